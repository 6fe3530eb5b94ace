#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Arrays whose ndmd is killed in the midst of writes: they come up again, resync what the bitmap
# names, and then copies are equal and parity fits.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_fio_nbd

start_ndmd

table_of() {	# NAME
	case $1 in
	one) echo "0 32768 raid raid1 3 0 region_size 64 2 $T/ma $T/a $T/mb $T/b" ;;
	five) echo "0 65536 raid raid5_ls 3 64 region_size 64 3 $T/ma $T/a $T/mb $T/b $T/mc $T/c" ;;
	six) echo "0 65536 raid raid6_nr 3 64 region_size 64 4 $T/ma $T/a $T/mb $T/b $T/mc $T/c $T/md $T/d" ;;
	esac
}

idle() { "$NDMSETUP" status "$1" | grep -Eq 'A ([0-9]+)/\1 idle '; }

killed() {	# NAME
	"$NDMSETUP" create "$1" --table "$(table_of "$1")"
	wait_for "$1 to be in sync" idle "$1"
	fio --name=w --ioengine=nbd --uri="$(uri "$1")" --rw=randwrite --bsrange=512-64k --iodepth=8 \
		--size=16M --time_based --runtime=60 > fio.txt 2>&1 &
	writer=$!
	wait_for "writes" busy
	kill -KILL "$ndmd_pid"
	wait_end "$ndmd_pid" || true
	wait $writer || true
	rm -f control nbd.sock
	start_ndmd
	"$NDMSETUP" create "$1" --table "$(table_of "$1")"
	wait_for "$1 to be in sync" idle "$1"
	"$NDMSETUP" message "$1" 0 check
	wait_for "$1 to be checked" checked "$1"
	"$NDMSETUP" remove "$1"
}

busy() { ! cmp -s a empty; }
checked() { "$NDMSETUP" status "$1" | grep -q ' idle 0 0 -$'; }

truncate -s 16M empty
for name in one five six; do
	for f in a b c d ma mb mc md; do truncate -s 0 $f; done
	truncate -s 16M a b c d
	truncate -s 256K ma mb mc md
	killed $name
	[ $name != one ] || cmp a b || fail "the legs of a raid1 differ"
	say "$name: resynced"
done
