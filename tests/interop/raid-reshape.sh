#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Reshapes that were cut off: those that Linux had begun go on here (images of a kernel 6.12), and so does
# one of ours whose ndmd is killed in the midst of it.  The data are what they were, and parity fits.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdcopy xz tar sha256sum python3

idle() { "$NDMSETUP" status r | grep -q ' idle '; }
reshaping() { "$NDMSETUP" status r | grep -q ' reshape '; }
checked() { "$NDMSETUP" status r | grep -q ' idle 0 '; }
moved_some() { "$NDMSETUP" status r | awk '{ split($7, p, "/"); exit !($8 == "reshape" && p[1] > 300) }'; }

# each sector 32 times: a number, and its own
pattern() {	# SECTORS
	python3 -c "
import struct, sys
for s in range($1): sys.stdout.buffer.write(struct.pack('<QQ', 9, s) * 32)"
}

same() {	# SECTORS
	nbdcopy "$(uri r)" out.img
	[ "$(head -c $(($1 * 512)) out.img | sha256sum)" = "$(pattern "$1" | sha256sum)" ]
}

goes_on() {	# TABLE SECTORS: while it moves, and afterwards
	"$NDMSETUP" create r --table "$1"
	same "$2" || fail "other data while it goes on: $("$NDMSETUP" status r)"
	wait_for "the end of the reshape" idle
	same "$2" || fail "other data at the end"
	"$NDMSETUP" message r 0 check
	wait_for "the check" checked
	"$NDMSETUP" remove r
}

members() {	# FOLDER N
	local i
	printf '%s' "$2"
	for i in $(seq 0 $(($2 - 1))); do printf ' %s/m%s %s/d%s' "$1" "$i" "$1" "$i"; done
}

start_ndmd
tar -C "$T" -xJf "$top_srcdir/tests/golden/raid-reshape.tar.xz"
while read -r name keep table; do
	n=${table##* }
	table=${table% *}
	goes_on "$table $(members "$T/$name" "$n")" "$keep"
	say "Linux' $name"
done <<- END
	grow5 4096 0 6144 raid raid5_ls 3 16 region_size 64 4
	layout5 6144 0 6144 raid raid5_n 3 16 region_size 64 4
	layout6 4096 0 4096 raid raid6_nc 3 16 region_size 64 4
	grow10 4096 0 6144 raid raid10 3 16 region_size 64 6
	chunk10 4096 0 4096 raid raid10 3 32 region_size 64 4
END

mkdir ours
for i in 0 1 2 3; do
	truncate -s $((2176 * 512)) "ours/d$i"
	truncate -s 64K "ours/m$i"
done
"$NDMSETUP" create r --table "0 6144 raid raid6_zr 3 16 region_size 64 $(members "$T/ours" 5)" 2>/dev/null &&
	fail "a table with a member that is not there was taken"
"$NDMSETUP" create r --table "0 4096 raid raid6_zr 3 16 region_size 64 $(members "$T/ours" 4)"
wait_for "it to be in sync" idle
pattern 4096 > in.img
nbdcopy in.img "$(uri r)"
"$NDMSETUP" remove r
"$NDMSETUP" create r --table \
	"0 4096 raid raid6_nc 7 8 max_recovery_rate 400 region_size 64 data_offset 64 $(members "$T/ours" 4)"
reshaping || fail "no reshape: $("$NDMSETUP" status r)"
wait_for "some of it to have moved" moved_some
kill -KILL "$ndmd_pid"
wait_end "$ndmd_pid" || true
rm -f control nbd.sock
start_ndmd
goes_on "0 4096 raid raid6_nc 3 8 region_size 64 $(members "$T/ours" 4)" 4096
say "ours went on after a kill"
stop_ndmd
