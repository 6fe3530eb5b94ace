#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Data that is copied once only, by the kernel, between the store's memory and the socket: right
# in every size and in crumbs, gone from the process's read and write counters, in nobody's way
# when a device is suspended, and no danger when a file becomes shorter.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3
[ "$(stat -f -c %T /dev/shm 2> /dev/null)" = tmpfs ] || skip "/dev/shm is no tmpfs"

shm=$(mktemp /dev/shm/ndm-no-copy-XXXXXX)
cleanup_fn rm -f "$shm" "$shm.other" "$shm.holes" "$shm.base" "$shm.cow"
size=$((8 << 20))
truncate -s $size "$shm" disk.img
sectors=$((size / 512))
start_ndmd --listen tcp:127.0.0.1:0 --create "shm: 0 $sectors linear $shm 0" \
	--create "disk: 0 $sectors linear $T/disk.img 0" --create "mem: 0 $sectors linear mem:$size 0" \
	--create "two: 0 8192 linear $shm 8192,8192 8192 linear $shm 0" \
	--create "stripes: 0 $sectors striped 2 512 $shm 0 $T/disk.img 0" \
	--create "lower: 0 $sectors linear $shm 0" --create "upper: 0 $sectors linear /dev/mapper/lower 0" \
	--create "slow: 0 $sectors delay $shm 0 0" --create "zero: 0 $sectors zero"
export NDMSETUP
work() { PYTHONPATH=$top_srcdir/tests/server python3 "$top_srcdir/tests/server/no-copy.py" "$sock" "$@" || fail "$*"; }

for name in shm disk mem two stripes upper slow; do work "$name" - $size verify; done
for name in shm mem upper; do work "$name" "$shm" $size saves "$ndmd_pid"; done
work shm "$shm" $size suspend
for name in shm upper; do work "$name" "$shm" $size unread; done
work disk "$T/disk.img" $size unread
work shm "$shm" $size shorter
work disk "$T/disk.img" $size shorter

# a snapshot and its origin
truncate -s $size "$shm.base" "$shm.cow"
"$NDMSETUP" create base --table "0 $sectors linear $shm.base 0"
"$NDMSETUP" create origin --table "0 $sectors snapshot-origin /dev/mapper/base"
"$NDMSETUP" create snap --table "0 $sectors snapshot /dev/mapper/base $shm.cow N 16"
work origin snap $size apart /dev/mapper/base "$shm.cow"
"$NDMSETUP" remove --retry snap
"$NDMSETUP" create snap --table "0 $sectors snapshot /dev/mapper/base $shm.cow N 16"
work snap - $size verify

# a hole is read without being filled, and one that was made is not filled again
truncate -s $size "$shm.holes"
"$NDMSETUP" create holes --table "0 $sectors linear $shm.holes 0"
python3 - "$top_srcdir/tests/server" "$sock" "$shm.holes" <<'PY' || fail "holes"
import os, sys
sys.path.insert(0, sys.argv[1])
from nbdraw import *
c = Client(sys.argv[2])
assert c.go(b"holes") == 1
used = lambda: os.stat(sys.argv[3]).st_blocks * 512
for at in range(0, 8 << 20, 1 << 20):
    assert c.call(READ, at, 1 << 20)[1] == bytes(1 << 20)
assert used() == 0, used()
for at in range(0, 8 << 20, 1 << 20):
    assert c.call(WRITE, at, 1 << 20, data=b"x" * (1 << 20))[0] == 0
for turn in range(300):                         # until it is known to be whole
    assert c.call(READ, turn % 8 << 20, 4096)[1] == b"x" * 4096
assert c.call(TRIM, 2 << 20, 3 << 20)[0] == 0
assert used() == 5 << 20, used()
for turn in range(300):
    assert c.call(READ, turn % 8 << 20, 65536)[1] == (bytes(65536) if 2 <= turn % 8 < 5 else b"x" * 65536)
assert used() == 5 << 20, used()
PY

# half a write, and another process
truncate -s $size "$shm"
"$NDMSETUP" remove mem			# memory stays where it is
mkfifo go-on
PYTHONPATH=$top_srcdir/tests/server python3 "$top_srcdir/tests/server/no-copy.py" "$sock" shm "$shm" $size half &
half=$!
started+=("$half")
wait_for "half a write" test -e half-way
old=$ndmd_pid
"$NDMD" --foreground --takeover --control "$NDM_CONTROL" >> ndmd.out 2>> ndmd.err < /dev/null &
ndmd_pid=$!
started+=("$ndmd_pid")
wait_end "$old" || fail "the old process ended with $?"
echo > go-on
wait_end "$half" || fail "half a write did not survive"
stop_ndmd
