#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Story 2: crash consistency by replaying a log of writes.  The kernel's own logs read and replay
# as the kernel's disk says; ext4 written through log-writes passes e2fsck at each flush; a
# storage engine that forgets one flush is found out, and the writes that may not be missing
# are named; one that does not is not blamed.
#
#	STATES=1000	how many states of the good engine are looked at, at least (120)
export TEST_LIMIT_S=${TEST_LIMIT_S:-$((600 + ${STATES:-0} * 2))}
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program xz mke2fs e2fsck debugfs nbdcopy
requires /usr/bin/python3 -c 'import nbd'
STATES=${STATES:-120}
journal=$top_srcdir/tests/accept/journal.py

# ---- logs that the kernel wrote

golden=$top_srcdir/tests/conformance/log-writes
[ -e "$golden/log-writes-512.D1.img.xz" ] || fail "no images in $golden"
for unit in 512 4k; do
	for disk in D0 D1; do xz -dc "$golden/log-writes-$unit.$disk.img.xz" > "$disk"; done
	truncate -s "$(stat -c %s D0)" replayed
	$REPLAY --log D1 --replay replayed || fail "the kernel's log of $unit does not replay"
	cmp D0 replayed || fail "the kernel's disk is not what its log of $unit says"
	rm replayed
done
xz -dc "$golden/log-writes-512.D1.img.xz" > kernel.log
cat > wanted <<'END'
0  sector 0 +8
1  sector 24 +2
2  FLUSH
3  mark "first"
4  sector 64 +1  FUA
5  sector 4 +8
6  FLUSH
7  sector 0 +2  DISCARD
8  sector 100 +40
9  FLUSH
END
$REPLAY --log kernel.log --list --limit 10 > got
diff wanted got || fail "the list of the kernel's log"
[ "$($REPLAY --log kernel.log --num-entries)" = 13 ] || fail "--num-entries"
[ "$($REPLAY --log kernel.log --find --end-mark first)" = 3 ] || fail "--find --end-mark"
[ "$($REPLAY --log kernel.log --find --next-fua --start-mark first)" = 4 ] || fail "--find --next-fua"
[ "$($REPLAY --log kernel.log --find --next-flush --start-entry 3)" = 6 ] || fail "--find --next-flush"
xz -dc "$golden/log-writes-full.D1.img.xz" > full.log
! $REPLAY --log full.log --list 2> got || fail "a log that was full has entries"
grep -q "no log of dm-log-writes" got || fail "a full log: $(cat got)"
head -c 30000 kernel.log > cut.log
! $REPLAY --log cut.log --list 2> got || fail "a log that is cut off has all entries"
grep -q "is damaged or cut off" got || fail "a cut log: $(cat got)"

# old_check fua|flush|N WANTED: how often the check of a replay in place is run
old_check() {
	rm -f target count
	$REPLAY --log kernel.log --replay target --check "$1" --fsck "echo x >> count; test -s target"
	[ "$(wc -l < count)" = "$2" ] || fail "--check $1: $(wc -l < count) times instead of $2"
}
old_check fua 1
old_check flush 3
old_check 5 2

# ---- ext4, at each flush

truncate -s 24M data log.big
truncate -s 160M log.big
start_ndmd --create "lw: 0 49152 log-writes $T/data $T/log.big"
real_ext4 fresh.img 24M
nbdcopy --flush fresh.img "$(uri lw)"
"$NDMSETUP" message lw 0 mark after-mkfs
if [ -w /dev/fuse ] && command -v nbdfuse fuse2fs >/dev/null; then
	mount_nbd lw "$T/m"
	mount_ext "$T/m/nbd" "$T/fs"
	for i in 1 2 3 4 5 6; do
		cp "$T/content/ndm.h" "$T/fs/copy-$i"
		sync "$T/fs/copy-$i"
	done
	rm "$T/fs/copy-3"
	unmount "$T/fs"
	wait_end "$fuse2fs_pid" || fail "fuse2fs ended with $?"
	unmount "$T/m"
	wait_end "$nbdfuse_pid" || fail "nbdfuse ended with $?"
	how=fuse2fs
else
	how="nbdcopy alone (no FUSE)"
fi
"$NDMSETUP" message lw 0 mark end
"$NDMSETUP" remove lw
out=$($REPLAY --log log.big --start-mark after-mkfs --end-mark end --each-flush --jobs 2 \
	--check 'e2fsck -fy "$image"; [ $? -le 1 ] && e2fsck -fn "$image"') ||
	{ $REPLAY --log log.big --list | tail -n 5; fail "ext4 at each flush: $out"; }
say "ext4 by $how, at each flush: $out"

# ---- a storage engine, right and wrong

engine() {	# NAME RECORDS [MISSING-FLUSH]
	truncate -s 1M "$T/$1.data"
	truncate -s 16M "$T/$1.log"
	"$NDMSETUP" create "$1" --table "0 2048 log-writes $T/$1.data $T/$1.log"
	/usr/bin/python3 "$journal" write "$(uri "$1")" "${@:2}"
	"$NDMSETUP" remove "$1"
}
check="/usr/bin/python3 '$journal' check \"\$image\""

engine good $((STATES / 14 + 5))
out=$($REPLAY --log good.log --explore 16 --seed 3 --jobs 2 --check "$check") ||
	fail "the good engine is blamed: $out"
n=$(sed 's/states \([0-9]*\) .*/\1/' <<< "$out")
[ "$n" -ge "$STATES" ] || fail "only $n states of the good engine, $STATES were wanted"
say "the good engine: $out"

engine bad 12 7
status=0
$REPLAY --log bad.log --explore 16 --seed 3 --jobs 2 --check "$check" > got || status=$?
[ $status = 2 ] || fail "the forgotten flush was not found: $(cat got)"
say "the forgotten flush:"
cat got
# both copies of record 7, and nothing else
[ "$(grep -o '(sector [0-9]* +8)' got | tr '\n' ' ')" = "(sector 120 +8) (sector 128 +8) " ] ||
	fail "the minimal set is not that of the two copies"
entry=$(sed -n 's/.*--to-entry \([0-9]*\) .*/\1/p' got) omit=$(sed -n 's/.*--omit \([0-9,]*\) .*/\1/p' got)
status=0
$REPLAY --log bad.log --to-entry "$entry" --omit "$omit" --check "$check" > again || status=$?
[ $status = 2 ] || fail "the line for a rerun does not fail: $(cat again)"
for one in ${omit//,/ }; do
	$REPLAY --log bad.log --to-entry "$entry" --omit "$one" --check "$check" > again ||
		fail "one copy ($one) alone makes the check fail"
done
again=$($REPLAY --log bad.log --explore 16 --seed 3 --jobs 1 --check "$check" --json) && fail "found only with two jobs"
/usr/bin/python3 -c '
import json, sys
d = json.loads(sys.argv[1])
assert d["failed"] and d["states"] == d["ok"] + len(d["failed"]), d
assert ",".join(map(str, d["minimal_missing_set"])) == sys.argv[2], d
' "$again" "$omit" || fail "the answer in JSON: $again"

# ---- a state, served

head -c 2M /dev/urandom > base
truncate -s 2M state
cp base state
$REPLAY --log bad.log --replay state --to-entry "$entry" --omit "$omit"
before=$(sha256sum base bad.log)
NDMD=$NDMD $REPLAY --log bad.log --base base --to-entry "$entry" --omit "$omit" --serve "$T/crash.sock" > served 2> serve.err &
serve_pid=$!
started+=("$serve_pid")
wait_for "the state to be served" grep -q "^nbd+unix:///crash" served
nbdcopy "$(cat served)" copy
cmp state copy || fail "what is served is not what is replayed"
/usr/bin/python3 -c '
import nbd, sys
h = nbd.NBD()
h.connect_uri(sys.argv[1])
h.pwrite(b"x" * 4096, 65536)
assert h.pread(4096, 65536) == b"x" * 4096
h.flush()
' "$(cat served)" || fail "the state cannot be written to"
kill -TERM "$serve_pid"
wait_end "$serve_pid" || fail "the server of the state ended with $?"
[ "$before" = "$(sha256sum base bad.log)" ] || fail "base or log were written to"
say "served, written to, nothing copied"
