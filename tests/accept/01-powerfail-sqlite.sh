#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 1: a database on a file system on a disk whose power fails, without root.  sqlite with
# synchronous=FULL loses no acknowledged commit, whatever the seed; with synchronous=OFF some
# seed does lose one; the same seed leaves the same bytes.
#
#	SEEDS=200	crashes with FULL (4), and at most as many with OFF
export TEST_LIMIT_S=${TEST_LIMIT_S:-$((600 + ${SEEDS:-0} * 10))}
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_fuse
requires_program mke2fs e2fsck sha256sum
requires /usr/bin/python3 -c 'import sqlite3, nbd'
SEEDS=${SEEDS:-4}
bank=$top_srcdir/tests/accept/bank.py

truncate -s 16M empty.img
mke2fs -q -F -t ext4 -O ^has_journal empty.img
start_ndmd

# commits N: has sqlite said of so many that they are committed?
commits() {
	! ended "$bank_pid" || fail "sqlite ended: $(tail -n 1 bank.err)"
	[ -e running ] && [ "$(wc -l < running)" -ge "$1" ]
}

# crash SEED SYNCHRONOUS: commits, crash, power, repair, look; status of the look in $status
crash() {
	cp --sparse=always empty.img disk.img
	rm -f running acked
	"$NDMSETUP" create db --table "0 32768 powerfail $T/disk.img 0 2 seed $1"
	mount_nbd db "$T/m"
	mount_ext "$T/m/nbd" "$T/fs"
	/usr/bin/python3 "$bank" run "$T/fs/bank.db" "$2" running 1 1000000 >> bank.err 2>&1 &
	bank_pid=$!
	started+=("$bank_pid")
	wait_for "$((2 + $1 % 7)) commits" commits $((2 + $1 % 7))
	sleep "0.00$(($1 * 7 % 10))"		# anywhere in what it does next
	cp running acked			# what was promised while the power was there
	said=$("$NDMSETUP" message db 0 crash)
	grep -q "^crashed: [0-9]* writes since last flush; kept .*(seed $1)$" <<< "$said" || fail "crash says '$said'"
	kill -KILL "$bank_pid" 2>/dev/null || :
	wait_end "$bank_pid" 2>/dev/null || :
	unmount "$T/fs"
	wait_end "$fuse2fs_pid" || :		# its disk is gone, it may say so
	unmount "$T/m"
	wait_end "$nbdfuse_pid" || :
	"$NDMSETUP" message db 0 power_on
	"$NDMSETUP" remove --retry db
	status=0
	e2fsck -fy disk.img > fsck.out 2>&1 || status=$?
	[ $status -le 1 ] || fail "seed $1: e2fsck cannot repair ($status): $(tail -n 3 fsck.out)"
	e2fsck -fn disk.img > fsck.out 2>&1 || fail "seed $1: e2fsck repaired, and it is not clean"
	mount_ext "$T/disk.img" "$T/fs"
	status=0
	seen=$(/usr/bin/python3 "$bank" verify "$T/fs/bank.db" acked) || status=$?
	unmount "$T/fs"
	wait_end "$fuse2fs_pid" || :
}

at_risk=0 promised=0
for ((seed = 1; seed <= SEEDS; seed++)); do
	crash $seed FULL
	[ $status = 0 ] || fail "synchronous=FULL, seed $seed: $said; $seen"
	at_risk=$((at_risk + $(sed 's/crashed: \([0-9]*\) .*/\1/' <<< "$said")))
	promised=$((promised + $(wc -l < acked)))
done
say "synchronous=FULL: $SEEDS crashes with $at_risk unflushed writes; none of $promised acknowledged commits lost"

lost=
for ((seed = 1; seed <= (SEEDS > 20 ? SEEDS : 20); seed++)); do
	crash $seed OFF
	[ $status = 0 ] || { lost=$seed; break; }
done
[ -n "$lost" ] || fail "synchronous=OFF: nothing was ever lost"
say "synchronous=OFF: seed $lost: $said; $seen"

# the same requests and the same seed: the same bytes
same() {
	truncate -s 0 same.img
	truncate -s 4M same.img
	"$NDMSETUP" create same --table "0 8192 powerfail $T/same.img 0 2 seed $1" >&2
	/usr/bin/python3 - "$(uri same)" <<'END'
import nbd, random, sys
h = nbd.NBD()
h.connect_uri(sys.argv[1])
dice = random.Random(5)
for i in range(200):
    h.pwrite(dice.randbytes(4096), dice.randrange(1000) * 4096)
    if i == 60:
        h.flush()
END
	"$NDMSETUP" message same 0 crash >&2
	"$NDMSETUP" remove --retry same >&2
	sha256sum < same.img
}
one=$(same 42) two=$(same 42) other=$(same 43)
[ "$one" = "$two" ] || fail "the same seed leaves other bytes"
[ "$one" != "$other" ] || fail "another seed leaves the same bytes"
say "the same seed, the same bytes: ${one%% *}"
stop_ndmd
