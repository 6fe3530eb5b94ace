#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# `ndm integritysetup` makes devices that Debian's integritysetup knows, opens them in every mode
# over ndmd, and what is damaged is an error.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program integritysetup qemu-io nbdcopy

ours() { "$NDM" integritysetup -q "$@"; }
refused() { if "$@" >/dev/null 2>&1; then fail "accepted: $*"; fi; }
# SC2046: words
# shellcheck disable=SC2046
start_ndmd
head -c 64 /dev/urandom > key
keys="--integrity-key-file=key --integrity-key-size=32 --journal-integrity=hmac-sha256
--journal-integrity-key-file=key --journal-integrity-key-size=64 --journal-crypt=ctr-aes
--journal-crypt-key-file=key --journal-crypt-key-size=32"

while IFS= read -r words; do
	read -ra format <<< "${words/KEYS/${keys//$'\n'/ }}"
	rm -f disk
	truncate -s 6M disk
	ours format "${format[@]}" disk
	ours dump disk > ours.txt
	integritysetup dump disk > theirs.txt
	diff theirs.txt ours.txt || fail "dump differs"
	grep -q '^superblock_version' ours.txt || fail "$(cat ours.txt)"
	sectors=$(sed -n 's/^provided_data_sectors //p' ours.txt)
	pattern=1
	for mode in "" --integrity-no-journal --integrity-bitmap-mode ""; do
		open=()
		for w in "${format[@]}"; do
			case $w in *sector-size*|*tag-size*|--interleave*|--journal-size*) ;; *) open+=("$w") ;; esac
		done
		ours open "${open[@]}" $mode disk v
		refused ours open "${open[@]}" $mode disk v
		[ "$("$NDMSETUP" table v | cut -d' ' -f2)" = "$sectors" ] || fail "size"
		nbdcopy "$(uri v)" out
		[ $pattern = 1 ] || cmp out before
		qemu-io -f raw -c "write -P $pattern 64k 1M" -c "write -P 7 4k 4k" -c flush "$(uri v)" > /dev/null
		nbdcopy "$(uri v)" before
		ours close v
		pattern=$((pattern + 1))
	done
	# one byte somewhere in the data, whatever the mode: not read
	at=$((4 * 1024 * 1024 + 123))
	printf x | dd of=disk bs=1 seek=$at conv=notrunc status=none
	ours open "${open[@]}" disk v
	refused nbdcopy "$(uri v)" null:
	[ "$("$NDMSETUP" status v | cut -d' ' -f4)" != 0 ] || fail "nothing was counted"
	ours close v
	ours open "${open[@]}" --integrity-recovery-mode disk v
	nbdcopy "$(uri v)" null:
	ours close v
done <<'END'
--integrity=crc32c
--integrity=crc32c --sector-size=4096
--integrity=sha256 --tag-size=32 --journal-size=512k
--integrity=xxhash64
--integrity=hmac-sha256 KEYS
END

# tags on a device of their own
truncate -s 4M data
rm -f disk
truncate -s 2M disk
ours format --data-device=data disk
ours open --data-device=data disk v
qemu-io -f raw -c 'write -P 3 0 1M' -c flush "$(uri v)" > /dev/null
ours close v
cmp -n 1048576 data <(head -c 1048576 /dev/zero | tr '\0' '\3')
ours open --data-device=data disk v
nbdcopy "$(uri v)" out
cmp data out
ours close v

# resize: smaller, larger, larger with the device below it, in every mode, wiped and recalculated
for mode in "" --integrity-no-journal --integrity-bitmap-mode; do
	for wipe in --wipe ""; do
		rm -f disk
		truncate -s 6M disk
		ours format disk
		ours open $mode disk v
		before=$("$NDMSETUP" table v | cut -d' ' -f2)
		head -c 1M /dev/urandom > first
		nbdcopy first "$(uri v)"
		refused ours resize --size $((before + 8)) v
		refused ours resize --size 4096 --device-size 2M v
		refused ours resize --device-size 1000 v
		[ "$("$NDMSETUP" table v | cut -d' ' -f2)" = "$before" ] || fail "refused, and another size"
		ours resize --device-size 2M v
		[ "$("$NDMSETUP" table v | cut -d' ' -f2)" = 4096 ] || fail "--device-size 2M: $("$NDMSETUP" table v)"
		ours resize --size 8000 $wipe v
		[ "$("$NDMSETUP" table v | cut -d' ' -f2)" = 8000 ] || fail "--size 8000: $("$NDMSETUP" table v)"
		truncate -s 12M disk
		head -c 1M /dev/urandom | dd of=disk bs=1M seek=10 conv=notrunc status=none
		ours resize $wipe v
		grown=$("$NDMSETUP" table v | cut -d' ' -f2)
		[ "$grown" -gt $((before + 10000)) ] || fail "$mode: it has not grown: $grown, before $before"
		tags_made() { [ "$("$NDMSETUP" status v | cut -d' ' -f6)" = - ] || [ "$("$NDMSETUP" status v | cut -d' ' -f6)" = "$grown" ]; }
		wait_for "tags of what is new" tags_made
		nbdcopy "$(uri v)" out || fail "mode '$mode' $wipe: what is new cannot be read"
		cmp -n 1048576 out first
		if [ -n "$wipe" ]; then cmp <(tail -c +4096001 out) <(head -c $((grown * 512 - 4096000)) /dev/zero); fi
		nbdcopy out "$(uri v)"
		ours close v
		integritysetup dump disk > dump
		grep -q "^provided_data_sectors $grown" dump || fail "$(cat dump)"
		ours open $mode disk v
		nbdcopy "$(uri v)" seen
		cmp seen out
		ours close v
	done
done
refused ours resize nothing
"$NDMSETUP" create z --table "0 8 zero"
refused ours resize z
"$NDMSETUP" remove z
# with its keys
rm -f disk
truncate -s 6M disk
keyed="--integrity=hmac-sha256 ${keys//$'\n'/ }"
# shellcheck disable=SC2086
ours format $keyed disk
# shellcheck disable=SC2086
ours open $keyed disk v
nbdcopy first "$(uri v)"
truncate -s 8M disk
ours resize --wipe v
nbdcopy "$(uri v)" out
cmp -n 1048576 out first
ours close v
# shellcheck disable=SC2086
ours open $keyed disk v
nbdcopy "$(uri v)" seen
cmp seen out
ours close v
rm -f disk
truncate -s 2M disk
ours format --data-device=data disk

# what is none is refused
refused ours dump data
for at in 0 8 28; do
	cp disk bad
	printf '\377' | dd of=bad bs=1 seek=$at conv=notrunc status=none
	refused ours dump bad
done
refused ours open bad v
refused ours format --integrity=nonsense disk
refused ours format --integrity=hmac-sha256 disk
