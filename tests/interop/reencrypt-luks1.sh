#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `ndm cryptsetup reencrypt` of LUKS1 - another key, plain data encrypted, and decrypted - is killed again
# and again, goes on by the log in its folder, and in the end all data is there and cryptsetup takes
# the passphrases.  (Power lost at each write and sync: tests/unit/test-luks1-reencrypt.)
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program cryptsetup nbdcopy
ROUNDS=${ROUNDS:-5}
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
say "SEED=$SEED"

printf 'the passphrase' > pass
printf 'another' > other
cheap=(--pbkdf-force-iterations 1000)
ours() { "$NDM" cryptsetup -q "$@"; }
refused() { if "$@" > said.txt 2>&1; then fail "accepted: $*"; fi; }
takes() { cryptsetup open --disable-locks --test-passphrase --key-file "$@"; }
read_all() { ours open --key-file "$1" "${@:2}" disk.img v && nbdcopy "$(uri v)" seen; ours close v; }
busy() { compgen -G 'LUKS-*.log' > logs.txt; }
same() { cmp -n "$(stat -c %s data)" "$1" data; }
start_ndmd

# go_on WORD...: killed until it is done, or often enough; then to the end
kills=0
go_on() {
	local i pid k before
	for ((i = 0; i < ROUNDS; i++)); do
		busy || break
		"$NDM" cryptsetup -q reencrypt --hotzone-size 128k --key-file pass "$@" disk.img & pid=$!
		before=$(cat LUKS-*.log 2> /dev/null | sha256sum)
		for ((k = 0; k < 300; k++)); do		# until some of it is done
			kill -0 $pid 2> /dev/null || break
			[ "$(cat LUKS-*.log 2> /dev/null | sha256sum)" = "$before" ] || break
		done
		for ((k = RANDOM % 6; k > 0; k--)); do kill -0 $pid 2> /dev/null || break; done
		kill -KILL $pid 2> /dev/null && kills=$((kills + 1))
		wait $pid 2> /dev/null || :
	done
	if busy; then ours reencrypt --key-file pass "$@" disk.img; fi
	! busy || fail "the log is still there"
	! compgen -G 'LUKS-*' > logs.txt || fail "left behind: $(cat logs.txt)"
}

# ---- another key
head -c 6M /dev/urandom > data
truncate -s 9M disk.img
ours luksFormat --type luks1 "${cheap[@]}" --key-file pass disk.img
ours open --key-file pass disk.img v
nbdcopy data "$(uri v)"
refused ours reencrypt --key-file pass disk.img
grep -q 'still in use' said.txt || fail "an open volume: $(cat said.txt)"
ours close v
key_of() { ours luksDump --dump-volume-key --key-file "$1" disk.img | tail -n 4; }
before=$(key_of pass)
uuid=$(ours luksUUID disk.img)
ours reencrypt --init-only -c aes-cbc-plain64 -s 256 -h sha1 "${cheap[@]}" --key-file pass disk.img
[ -e "LUKS-$uuid.log" ] && [ -e "LUKS-$uuid.org" ] && [ -e "LUKS-$uuid.new" ] || fail "no files: $(ls)"
takes pass "LUKS-$uuid.org"
takes pass "LUKS-$uuid.new"
refused ours open --key-file pass disk.img v
refused cryptsetup isLuks --disable-locks disk.img
refused ours reencrypt --init-only --key-file pass disk.img
refused ours reencrypt --key-file other disk.img
(mkdir elsewhere && cd elsewhere && refused ours reencrypt --key-file ../pass ../disk.img &&
	grep -q 'goes on where it was begun' said.txt) || fail "in another folder: $(cat elsewhere/said.txt)"
go_on
takes pass disk.img
read_all pass
same seen || fail "other data"
[ "$(ours luksUUID disk.img)" = "$uuid" ] || fail "another UUID"
cryptsetup luksDump --disable-locks disk.img > dump.txt
grep -q 'Cipher mode:.*cbc-plain64' dump.txt && grep -q 'Hash spec:.*sha1' dump.txt || fail "$(cat dump.txt)"
diff dump.txt <(ours luksDump disk.img)
[ "$(key_of pass)" != "$before" ] || fail "the same key"

# ---- several keyslots: each keeps its number, or one is kept; and only the header
ours luksAddKey --key-slot 5 "${cheap[@]}" --key-file pass disk.img other
refused ours reencrypt --key-file pass disk.img
grep -q 'exactly one key slot' said.txt || fail "$(cat said.txt)"
before=$(key_of other)
ours reencrypt --keep-key -h sha256 --key-slot 5 "${cheap[@]}" --key-file other disk.img
refused takes pass disk.img
cryptsetup open -v --disable-locks --test-passphrase --key-file other disk.img | grep -q 'slot 5' || fail "another slot"
[ "$(key_of other)" = "$before" ] || fail "--keep-key: another key"
ours luksDump disk.img | grep -q 'Hash spec:.*sha256' || fail "--keep-key: the hash"
refused ours reencrypt --keep-key -c aes-cbc-plain64 --key-file other disk.img
ours luksChangeKey "${cheap[@]}" --key-file other disk.img pass
! busy || fail "a log is left"

# ---- more room before the data, at the cost of its end
head -c 5M data > less && mv less data
ours reencrypt --init-only --reduce-device-size 1M "${cheap[@]}" --key-file pass disk.img
go_on
read_all pass
same seen || fail "reduced: other data"
cryptsetup luksDump --disable-locks disk.img | grep -q 'Payload offset:.*6144' || fail "the data has not moved"

# ---- decrypted: the header is gone; it is known by its UUID
uuid=$(ours luksUUID disk.img)
ours reencrypt --decrypt --init-only --key-file pass disk.img
takes pass "LUKS-$uuid.org"
go_on --decrypt --uuid "$uuid"
same disk.img || fail "decrypted: other data"
[ "$(tail -c 3M disk.img | tr -d '\0' | wc -c)" = 0 ] || fail "cipher text is left behind the data"

# ---- encrypted again, with a header in the way of the data, which moves
ours reencrypt --encrypt --type luks1 --init-only --reduce-device-size 3M "${cheap[@]}" --key-file pass disk.img
refused ours reencrypt --encrypt --type luks1 --init-only --reduce-device-size 3M --key-file pass disk.img
truncate -s 8M small.img
refused ours reencrypt --encrypt --type luks1 --key-file pass small.img
grep -q 'another size' said.txt || fail "the log of another device: $(cat said.txt)"
go_on --encrypt --type luks1
takes pass disk.img
read_all pass
same seen || fail "encrypted: other data"
grep -qc "$(head -c 64 data | tail -c 32 | od -An -tx1 | tr -d ' \n')" <(od -An -v -tx1 disk.img | tr -d ' \n') &&
	fail "plain text is left before the data"

# ---- and with the header in a file
ours reencrypt --decrypt --key-file pass disk.img
same disk.img || fail "decrypted at once: other data"
ours reencrypt --encrypt --type luks1 --init-only --header head.img "${cheap[@]}" --key-file pass disk.img
go_on --encrypt --type luks1 --header head.img
takes pass head.img
read_all pass --header head.img
same seen || fail "encrypted, header in a file: other data"
ours reencrypt --header head.img "${cheap[@]}" --key-file pass disk.img
read_all pass --header head.img
same seen || fail "another key, header in a file: other data"
ours reencrypt --decrypt --header head.img --key-file pass disk.img
same disk.img || fail "decrypted, header in a file: other data"
say "killed $kills times"
[ $kills -gt 0 ] || fail "never killed in time"
