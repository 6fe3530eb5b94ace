#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `ndm cryptsetup reencrypt` is killed again and again, at any moment; cryptsetup still reads the
# header, a half-done volume opens with both keys, and in the end all data is there under the new
# key.  (Cut off at each single write: tests/unit/test-luks-reencrypt.  With the kernel:
# tests/interop/kernel-crypto.sh.)
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program cryptsetup nbdcopy
ROUNDS=${ROUNDS:-6}
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
say "SEED=$SEED"

printf 'the passphrase' > pass
printf 'another' > other
cheap=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
ours() { "$NDM" cryptsetup -q "$@"; }
refused() { if "$@" > said.txt 2>&1; then fail "accepted: $*"; fi; }
dump() { cryptsetup luksDump --disable-locks disk.img; }
busy() { dump | grep reencrypt > busy.txt; }
read_all() { ours open --key-file "$1" disk.img v && nbdcopy "$(uri v)" seen; ours close v; }
start_ndmd

for resilience in checksum journal; do
	rm -f disk.img
	truncate -s 20M disk.img
	head -c 16M /dev/urandom > data
	ours luksFormat --luks2-keyslots-size 1m --offset 8192 "${cheap[@]}" --key-file pass disk.img
	ours open --key-file pass disk.img v
	nbdcopy data "$(uri v)"
	refused ours reencrypt --key-file pass disk.img
	grep -q 'still in use' said.txt || fail "an open volume: $(cat said.txt)"
	ours close v
	before=$(ours luksDump --dump-volume-key --key-file pass disk.img | tail -n 4)

	# begun, and nothing else
	ours reencrypt --init-only --resilience $resilience -c twofish-xts-plain64 --key-file pass disk.img
	busy || fail "nothing has begun"
	dump | grep > found.txt 'online-reencrypt-v2' || fail "not said to be required: $(dump)"
	cryptsetup open --test-passphrase --key-file pass disk.img
	refused ours reencrypt --init-only --key-file pass disk.img
	refused ours reencrypt --resume-only --key-file other disk.img
	read_all pass
	cmp seen data || fail "both keys together read other data"

	# killed, and killed, and killed
	kills=0
	for ((i = 0; i < ROUNDS; i++)); do
		busy || break
		"$NDM" cryptsetup -q reencrypt --resume-only --hotzone-size 64k --key-file pass disk.img & pid=$!	# itself: a function would be a shell
		for ((k = RANDOM % 8; k > 0; k--)); do
			cryptsetup isLuks --disable-locks disk.img || fail "killed $kills times: no header"
			kill -0 $pid 2> /dev/null || break
		done
		kill -KILL $pid 2> /dev/null && kills=$((kills + 1))
		wait $pid 2> /dev/null || :
		cryptsetup open --test-passphrase --key-file pass disk.img || fail "killed $kills times: not read"
	done
	if busy; then ours reencrypt --resume-only --key-file pass disk.img; fi
	say "$resilience: killed $kills times"
	! busy || fail "it has not ended: $(dump)"
	! dump | grep -i > found.txt 'requirements:.*reenc' || fail "still required: $(dump)"
	read_all pass
	cmp seen data || fail "$resilience: other data in the end"
	dump | grep > found.txt twofish-xts-plain64 || fail "$(dump)"
	[ "$(ours luksDump --dump-volume-key --key-file pass disk.img | tail -n 4)" != "$before" ] || fail "the same key"
	diff <(cryptsetup luksDump disk.img) <(ours luksDump disk.img)
	refused ours reencrypt --resume-only --key-file pass disk.img
done

# several keyslots: one is kept, or all are asked for
ours luksAddKey "${cheap[@]}" --key-file pass disk.img other
refused ours reencrypt --key-file pass disk.img
grep -q 'exactly one key slot' said.txt || fail "$(cat said.txt)"
slot=$(cryptsetup open -v --test-passphrase --key-file other disk.img | sed -n 's/Key slot \([0-9]*\) unlocked.*/\1/p')
ours reencrypt --key-slot "$slot" --key-file other --sector-size 4096 disk.img
refused ours open --test-passphrase --key-file pass disk.img
read_all other
cmp seen data || fail "a larger sector: other data"
