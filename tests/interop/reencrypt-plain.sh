#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Plain data is encrypted where it is, and made plain again: with the header on the device or in a
# file, begun by `ndm cryptsetup` or by cryptsetup, killed at any moment, gone on with by either; half
# way through and in the end all data is there.  (Cut off at each single write:
# tests/unit/test-luks-encrypt.)
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program cryptsetup nbdcopy
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
say "SEED=$SEED"

printf 'the passphrase' > pass
cheap=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
ours() { "$NDM" cryptsetup -q "$@"; }
repair() { theirs repair --key-file pass "$@" disk.img || { theirs repair --debug --key-file pass "$@" disk.img | tail -n 30; fail "cryptsetup repair"; }; }
theirs() { cryptsetup -q --disable-locks "$@"; }
refused() { if "$@" > said.txt 2>&1; then fail "accepted: $*"; fi; }
busy() { theirs luksDump "${1:-disk.img}" | grep '^  [0-9]*: reencrypt' > busy.txt; }
read_all() { ours open --key-file pass "$@" disk.img v && nbdcopy "$(uri v)" seen; ours close v; }
# same FILE: its first bytes are the data
same() { cmp -n "$(stat -c %s data)" "$1" data; }
start_ndmd

# once CMD HEADER WORD...: goes on for a moment, and is killed
kills=0
once() {
	local who=$1 header=$2 pid
	shift 2
	[ "$who" = ours ] || repair "$@"	# what was killed, it wants to be told
	if [ "$who" = ours ]; then
		"$NDM" cryptsetup -q reencrypt --resume-only --hotzone-size 64k --key-file pass "$@" disk.img & pid=$!
	else
		cryptsetup -q reencrypt --force-offline-reencrypt --resume-only --hotzone-size 64k --key-file pass "$@" disk.img & pid=$!
	fi
	# until some more of it is done, by the number that each write of the header counts up
	local before now k
	before=$(epoch "$header")
	before=${before:-0}
	for ((k = 0; k < 400; k++)); do
		kill -0 $pid 2> /dev/null || break
		now=$(epoch "$header")
		[ "${now:-0}" -lt $((before + 3 + RANDOM % 8)) ] || break
	done
	kill -KILL $pid 2> /dev/null && kills=$((kills + 1))
	wait $pid 2> /dev/null || :
}
epoch() { cryptsetup luksDump --disable-locks "$1" 2> /dev/null | sed -n 's/^Epoch:[^0-9]*//p' || :; }

# cryptsetup 2.6 ends a decryption by a header that says so but still wants to go on, then overwrites
# the keyslots, and then drops them.  Killed in between it would itself decrypt once more what is plain
# already, or opens it no more: that is ended by us, where a keyslot is left to do it with.
all_plain() { theirs luksDump "$1" | sed -n '/^  0: linear/,/^$/p' | grep 'whole device' > plain.txt; }

# work HEADER WORDS: what has begun goes on, now by one and now by the other
work() {
	local header=$1 i who
	shift
	for i in 1 2 3 4 5 6; do
		busy "$header" || break
		if [ $((RANDOM % 2)) = 0 ]; then who=ours; else who=theirs; fi
		once $who "$header" "$@"
		theirs isLuks "$header" || fail "$who: killed, and no header"
		if [ $who = theirs ] && busy "$header" && grep decrypt <(theirs luksDump "$header") > mode.txt &&
			all_plain "$header"; then
			ours open --test-passphrase --key-file pass "$@" disk.img || return 0
			ours reencrypt --resume-only --key-file pass "$@" disk.img
			return 0
		fi
	done
	busy "$header" || return 0
	case $((RANDOM % 2)) in
	0) ours reencrypt --resume-only --key-file pass "$@" disk.img ;;
	1)
		repair "$@"
		theirs reencrypt --force-offline-reencrypt --resume-only --key-file pass "$@" disk.img ;;
	esac
	! busy "$header" || fail "it has not ended"
}

refused ours reencrypt --encrypt --key-file pass disk.img
for who in ours theirs; do
	force=()
	[ $who = ours ] || force=(--force-offline-reencrypt)
	for resilience in checksum journal; do
		# the header on the device, which ends with 8 MiB of nothing
		head -c 6M /dev/urandom > data
		cp data disk.img
		truncate -s 14M disk.img
		$who reencrypt --encrypt --init-only --reduce-device-size 8M "${cheap[@]}" "${force[@]}" --key-file pass disk.img
		busy || fail "nothing has begun"
		theirs open --test-passphrase --key-file pass disk.img
		theirs luksDump disk.img > theirs.txt
		ours luksDump disk.img | diff theirs.txt - || fail "luksDump differs"
		refused ours reencrypt --decrypt --key-file pass disk.img
		read_all
		same seen || fail "$who: other data when it has begun"
		once ours disk.img
		! busy || ours reencrypt --init-only --key-file pass disk.img 2> /dev/null || :
		work disk.img
		read_all
		same seen || fail "$who: other data when all is encrypted"
		! LC_ALL=C grep -q -a -F "$(head -c 5000 data | tail -c 12 | tr -d '\0\n')" disk.img || fail "plain data is left"
		refused ours reencrypt --encrypt --reduce-device-size 8M --key-file pass disk.img

		# and back: the header goes to a file, the data to the device's begin
		rm -f header
		if [ $who = ours ]; then	# the first bytes are more than the header has room for
			cp disk.img was.img
			refused ours reencrypt --decrypt --init-only --header header --resilience journal --key-file pass disk.img
			cmp disk.img was.img
		fi
		$who reencrypt --decrypt --init-only --header header --resilience checksum "${force[@]}" --key-file pass disk.img
		theirs luksDump header > theirs.txt
		ours luksDump header | diff theirs.txt - || fail "luksDump differs"
		read_all --header header
		same seen || fail "$who: other data when decryption has begun"
		work header --header header
		same disk.img || fail "$who: other data when all is decrypted"

		# the header in a file all the time
		rm -f header
		cp data disk.img
		$who reencrypt --encrypt --init-only --header header --resilience $resilience "${cheap[@]}" "${force[@]}" \
			--key-file pass disk.img
		read_all --header header
		cmp seen data || fail "$who: other data when it has begun"
		work header --header header
		! cmp -s disk.img data || fail "it is still plain"
		read_all --header header
		cmp seen data || fail "$who: other data when all is encrypted"
		$who reencrypt --decrypt --init-only --header header --resilience $resilience "${force[@]}" --key-file pass disk.img
		work header --header header
		cmp disk.img data || fail "$who: other data when all is decrypted"
	done
done
say "killed $kills times"
[ $kills -gt 8 ] || fail "killed $kills times only"

# another key, killed with us, ended by cryptsetup
ours luksFormat --luks2-keyslots-size 1m --offset 8192 "${cheap[@]}" --key-file pass disk.img
truncate -s 20M disk.img
ours open --key-file pass disk.img v
nbdcopy "$(uri v)" was
ours close v
ours reencrypt --init-only -c aes-cbc-plain64 -s 256 --key-file pass disk.img
once ours disk.img
busy || fail "it was done before it was killed"
repair
theirs reencrypt --force-offline-reencrypt --resume-only --key-file pass disk.img
! busy || fail "cryptsetup has not ended it"
read_all
cmp seen was

# all at once, and what is refused
head -c 3M /dev/urandom > data
cp data disk.img
rm -f header
ours reencrypt --encrypt --header header "${cheap[@]}" -c serpent-xts-plain64 --sector-size 4096 --key-file pass disk.img
read_all --header header
cmp seen data
ours reencrypt --decrypt --header header --key-file pass disk.img
cmp disk.img data
refused ours reencrypt --encrypt --decrypt --header h --key-file pass disk.img
refused ours reencrypt --encrypt --header h --reduce-device-size 8M --key-file pass disk.img
refused ours reencrypt --encrypt --reduce-device-size 5000 --key-file pass disk.img
refused ours reencrypt --encrypt --reduce-device-size 8M --key-file pass disk.img
refused ours reencrypt --encrypt --reduce-device-size 64k "${cheap[@]}" --key-file pass disk.img
refused ours reencrypt --decrypt --key-file pass disk.img
refused ours reencrypt --decrypt --header h --key-file pass disk.img
cmp disk.img data || fail "refused, and changed"
