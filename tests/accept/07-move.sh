#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 7: a volume is moved to an NBD server while a client writes to it and verifies; the
# longest pause is told; a move whose watcher is killed goes on; one that cannot be begun, or
# whose new place fails, leaves the device as it was; kill -9 of ndmd leaves the old place whole.
# Several segments and stripes go to one linear place.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdkit nbdcopy
requires_fio_nbd
SIZE=${SIZE:-64M}

truncate -s "$SIZE" old.img new.img
nbdkit -U "$T/new.sock" -P "$T/new.pid" -f file new.img 2> nbdkit.err &
started+=($!)
wait_for "nbdkit" test -s new.pid
start_ndmd
sectors=$(($(stat -c %s old.img) / 512))
old="0 $sectors linear $T/old.img 0"
"$NDMSETUP" create disk --table "$old"
new="nbd+unix:///?socket=$T/new.sock"

load() {	# NAME SIZE: random writes, then all is read and compared
	fio --name="$1" --ioengine=nbd --uri="$(uri disk)" --rw=randwrite --bs=4k --iodepth=8 --size="$2" \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --verify_state_save=0 --randseed=5 > "$1.fio" 2>&1
}

# ---- what cannot be begun
truncate -s 1M small.img
! "$NDM" move disk --to "$T/small.img" > out 2> err || fail "moved to a place that is too small"
grep -q "too small" err || fail "a place that is too small: $(cat err)"
! "$NDM" move nosuch --to "$T/small.img" > out 2> err || fail "moved a device that is not there"
! "$NDM" move disk --abort 2> err || fail "aborted what is not being moved"
[ "$("$NDMSETUP" table disk)" = "$old" ] || fail "the table is $("$NDMSETUP" table disk)"

# ---- while fio writes
load first 32M &
fio_pid=$!
started+=("$fio_pid")
"$NDM" move disk --to "$new" --progress > out || fail "move: $(cat out)"
grep -q '^\[#*\] 100%' out || fail "no progress: $(cat out)"
pause=$(sed -n 's/.*longest pause \([0-9]*\) ms$/\1/p' out)
[ -n "$pause" ] || fail "no pause is told: $(cat out)"
status=0
wait "$fio_pid" || status=$?
[ $status = 0 ] || fail "fio: $(tail -n 5 first.fio)"
"$NDMSETUP" table disk | grep -q "^0 $sectors linear nbd+unix:.* 0$" || fail "the table is $("$NDMSETUP" table disk)"
nbdcopy "$(uri disk)" seen
cmp seen new.img || fail "the device is not what is at the new place"
say "moved while fio wrote and verified; longest pause $pause ms"

# ---- a watcher that is killed; JSON
"$NDM" move disk --to "$T/old.img" & watcher=$!
wait_for "the mirror" eval '"$NDMSETUP" table disk | grep -q -e mirror -e "old.img 0$"'
kill -KILL "$watcher" 2>/dev/null || :
wait "$watcher" 2>/dev/null || :
if "$NDMSETUP" table disk | grep -q mirror; then
	"$NDM" move disk --to "$T/old.img" -j > out || fail "the second watcher: $(cat out)"
	/usr/bin/python3 -c '
import json, sys
lines = [json.loads(l) for l in open("out")]
assert lines[-1]["moved"] and "longest_pause_ms" in lines[-1], lines
assert all(l["done_bytes"] <= l["total_bytes"] for l in lines[:-1]), lines
' || fail "JSON: $(cat out)"
fi
[ "$("$NDMSETUP" table disk)" = "$old" ] || fail "moved back, the table is $("$NDMSETUP" table disk)"
nbdcopy "$(uri disk)" seen2
cmp seen seen2 || fail "something changed on the way back"

# ---- a place with a blank in its name
truncate -s "$SIZE" "a place.img"
"$NDM" move disk --to "$T/a place.img" > out || fail "to a place with a blank: $(cat out)"
cmp seen "a place.img" || fail "the bytes at 'a place.img' are others"
"$NDM" move disk --to "$T/old.img" > out || fail "from a place with a blank: $(cat out)"
[ "$("$NDMSETUP" table disk)" = "$old" ] || fail "moved back, the table is $("$NDMSETUP" table disk)"

# ---- segments and stripes
half=$((sectors / 2))
truncate -s "$SIZE" one.img two.img three.img
"$NDMSETUP" create pieces --table "0 $half linear $T/one.img 0
$half $half striped 2 128 $T/one.img $half $T/two.img 0"
nbdcopy seen "$(uri pieces)"
before=$("$NDMSETUP" table pieces)
! "$NDM" move pieces --to "$T/small.img" > out 2> err || fail "pieces moved to a place that is too small"
[ "$("$NDMSETUP" table pieces)" = "$before" ] || fail "after that the table is $("$NDMSETUP" table pieces)"
! "$NDMSETUP" info pieces.moving > out 2>&1 || grep -q "does not exist" out || fail "pieces.moving is left: $(cat out)"
"$NDM" move pieces --to "$T/three.img" & watcher=$!
wait_for "the mirror" eval '"$NDMSETUP" table pieces | grep -q -e mirror -e "three.img 0$"'
kill -KILL "$watcher" 2>/dev/null || :
wait "$watcher" 2>/dev/null || :
if "$NDMSETUP" table pieces | grep -q mirror; then
	"$NDM" move pieces --abort || fail "a move of pieces cannot be aborted"
	[ "$("$NDMSETUP" table pieces)" = "$before" ] || fail "aborted, the table is $("$NDMSETUP" table pieces)"
	! "$NDMSETUP" ls | grep -q moving || fail "pieces.moving is left: $("$NDMSETUP" ls)"
	"$NDM" move pieces --to "$T/three.img" > out || fail "move of pieces: $(cat out)"
fi
[ "$("$NDMSETUP" table pieces)" = "0 $sectors linear $T/three.img 0" ] || fail "pieces: $("$NDMSETUP" table pieces)"
cmp seen three.img || fail "pieces are not what they were"
none_moving() { ! "$NDMSETUP" ls | grep -q moving; }
wait_for "pieces.moving to go with the mirror" none_moving
"$NDMSETUP" create zeroes --table "0 2048 zero"
! "$NDM" move zeroes --to "$T/one.img" 2> err || fail "a zero device was moved"
grep -q "only linear and striped segments" err || fail "a zero device: $(cat err)"
say "segments and stripes moved, and back"

# ---- a place that fails on the way
"$NDMSETUP" create bad --table "0 $((sectors / 2)) zero
$((sectors / 2)) $((sectors - sectors / 2)) error"
! "$NDM" move disk --to /dev/mapper/bad > out 2> err || fail "moved to a place that fails"
[ "$("$NDMSETUP" table disk)" = "$old" ] || fail "after a failure the table is $("$NDMSETUP" table disk)"
nbdcopy "$(uri disk)" seen3
cmp seen seen3 || fail "a failed move changed something"

# ---- the server is killed on the way
"$NDM" move disk --to "$new" > out 2> err & watcher=$!
wait_for "the mirror" eval '"$NDMSETUP" table disk | grep -q -e mirror -e "nbd"'
if "$NDMSETUP" table disk | grep -q mirror; then
	kill -KILL "$ndmd_pid"
	wait "$watcher" 2>/dev/null || :
	cmp seen old.img || fail "the old place is not whole after kill -9 in the midst"
	say "kill -9 in the midst: the old place is whole"
else
	wait "$watcher" || fail "move: $(cat err)"
fi
