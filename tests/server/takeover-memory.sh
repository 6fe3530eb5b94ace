#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# ndmd --takeover: what targets know that no table and no disk has goes along: bad blocks, region
# maps, failed paths and legs, counters, regions in sync, chunks of transient snapshots, the place
# in a log; twice, and also back again when the new process cannot serve.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires nbdsh --version

dm() { "$NDMSETUP" "$@"; }
sh_on() { nbdsh -u "$(uri "$1")" -c "$2"; }	# DEVICE PYTHON

takeover() {
	local old=$ndmd_pid status=0
	"$NDMD" --foreground --takeover --control "$NDM_CONTROL" --metrics "unix:$T/metrics$1" >> ndmd.out 2>> ndmd.err < /dev/null &
	ndmd_pid=$!
	started+=("$ndmd_pid")
	wait_end "$old" || status=$?
	[ "$status" -eq 0 ] || fail "the old process ended with $status"
	wait_for "the new process to answer" dm version
}

for f in a b c d e g clone-meta clone-to; do truncate -s 8M "$f.img"; done
start_ndmd --metrics "unix:$T/metrics0"
img() { echo "$T/$1.img"; }

say "things to remember"
dm create dust --table "0 16384 dust $(img a) 0 512"
for block in 5 60 7000; do dm message dust 0 addbadblock $block; done
dm message dust 0 addbadblock 9 3
dm message dust 0 enable
dm message dust 0 quiet
sh_on dust 'import errno
try:
    h.pread(512, 5 * 512)
    raise SystemExit("a bad block was read")
except nbd.Error as e:
    assert e.errnum == errno.EIO
try:
    h.pwrite(b"x" * 512, 9 * 512)
    raise SystemExit("its first write has not failed")
except nbd.Error as e:
    assert e.errnum == errno.EIO'

dm create switch --table "0 16384 switch 3 64 0 $(img b) 0 $(img c) 0 $(img d) 0"
dm message switch 0 set_region_mappings 0:2 1:2 2:1 R2,20 ff:0
sh_on switch 'for r in 0, 1, 2, 3, 4, 200, 255: h.pwrite(bytes([r + 1 & 255]) * 512, r * 64 * 512)
h.flush()'

dm create bad --table '0 8192 error'
dm create striped --table "0 16384 striped 2 64 $(img e) 0 /dev/mapper/bad 0"
sh_on striped 'try:
    h.pread(512, 64 * 512)
except nbd.Error: pass'

truncate -s 4M leg0.img leg1.img leg2.img
dm create mirror --table "0 8192 mirror core 1 1024 2 $(img leg0) 0 $(img leg1) 0 1 handle_errors"
synced() { dm status mirror | grep -q ' 8/8 '; }
wait_for "the mirror to be in sync" synced
# if it were copied once more, this would be lost
printf 'only here' | dd of=leg1.img bs=1 seek=1000000 conv=notrunc status=none
dm create broken --table "0 8192 mirror core 2 1024 nosync 2 $(img leg2) 0 /dev/mapper/bad 0 2 handle_errors keep_log"
sh_on broken 'h.pwrite(b"y" * 4096, 2097152)'
dm status broken | grep -q ' AD '

truncate -s 8M logged.img log.img
dm create log --table "0 16384 log-writes $(img logged) $(img log)"
sh_on log 'h.pwrite(b"1" * 4096, 0); h.flush(); h.pwrite(b"2" * 4096, 4096)'
dm message log 0 mark before

truncate -s 8M origin.img cow.img cow2.img
head -c 8M /dev/urandom > origin.img
cp origin.img was.img
dm create origin --table "0 16384 snapshot-origin $(img origin)"
dm create snap --table "0 16384 snapshot $(img origin) $(img cow) N 16"
dm create full --table "0 16384 snapshot $(img origin) $(img cow2) N 16"
sh_on origin 'for i in range(0, 60, 3): h.pwrite(b"new" * 5461 + b"n", i * 16384)'
sh_on snap 'h.pwrite(b"mine" * 1024, 5 * 1048576)'

dm create paths --table "0 16384 multipath 0 0 2 1 round-robin 0 2 1 $(img b) 1 $(img c) 1 round-robin 0 2 1 $(img d) 1 $(img e) 1"
dm message paths 0 fail_path "$(img b)"
dm message paths 0 fail_path "$(img c)"
dm message paths 0 reinstate_path "$(img b)"
dm message paths 0 disable_group 1
sh_on paths 'for i in range(20): h.pread(4096, i * 4096)'

dm create clone --table "0 16384 clone $(img clone-meta) $(img clone-to) $(img a) 8 1 no_hydration"
dm message clone 0 hydration_threshold 7
dm message clone 0 hydration_batch_size 3

dm create power --table "0 16384 powerfail $(img g) 0"
sh_on power 'for i in range(9): h.pwrite(b"z" * 4096, i * 8192)'
dm message power 0 crash

dm create flakey --table "0 2048 flakey $(img a) 0 0 60"
dm create delay --table "0 2048 delay $(img a) 0 1"
sh_on flakey 'try:
    h.pread(512, 0)
except nbd.Error: pass'
sh_on delay 'h.pread(512, 0)'

truncate -s 8M wc-origin.img wc-cache.img
dm create wc --table "0 16384 writecache s $(img wc-origin) $(img wc-cache) 4096 0"
sh_on wc 'h.pwrite(b"c" * 8192, 0); h.pread(4096, 0); h.flush()'
dm message wc 0 flush

truncate -s 4M integrity.img
"$NDM" integritysetup format -q --no-wipe --integrity crc32c "$T/integrity.img" > format.out 2>&1 || fail "$(cat format.out)"
sectors=$("$NDM" integritysetup dump "$T/integrity.img" | sed -n 's/^provided_data_sectors *//p')
dm create integrity --table "0 $sectors integrity $(img integrity) 0 4 D 1 internal_hash:crc32c"
sh_on integrity 'h.pwrite(b"i" * 512, 8 * 512); h.flush()
try:
    h.pread(512, 16 * 512)
except nbd.Error: pass'
[ "$(dm status integrity | cut -d' ' -f4)" -gt 0 ] || fail "no mismatch: $(dm status integrity)"

head -c 1M /dev/urandom > verity.img
root=$("$NDM" veritysetup format "$T/verity.img" "$T/hash.img" | sed -n 's/^Root hash: *//p')
salt=$("$NDM" veritysetup dump "$T/hash.img" | sed -n 's/^Salt: *//p')
dm create -r verity --table "0 2048 verity 1 $(img verity) $(img hash) 4096 4096 256 1 sha256 $root $salt"
printf 'not as it was' | dd of=verity.img bs=1 seek=40960 conv=notrunc status=none
sh_on verity 'try:
    h.pread(4096, 40960)
except nbd.Error: pass'
dm status verity | grep -q ' C$'

counters() {	# N: of faults, corruption and paths; latencies change with what is looked at
	curl -s --unix-socket "metrics$1" http://m/metrics |
		grep -E '^ndm_[a-z_]*(fault|corrupt|path)[a-z_]*' | grep -v 'latency\|device="bad"' | sort
}
everything() {
	dm status --noflush | grep -v '^log:'	# what was not flushed joins the log meanwhile
	dm message dust 0 listbadblocks
}
everything > before
counters 0 > counters-before
[ "$(grep -c . counters-before)" -gt 10 ] || fail "counters: $(cat counters-before)"

check() {	# WORDS
	everything > after
	diff -u before after > difference || fail "$1: $(cat difference)"
	sh_on switch 'for r in 0, 1, 2, 3, 4, 200, 255: assert h.pread(512, r * 64 * 512) == bytes([r + 1 & 255]) * 512, r'
	sh_on snap "was = open('was.img', 'rb').read()
mine = bytearray(was); mine[5 * 1048576:5 * 1048576 + 4096] = b'mine' * 1024
assert h.pread(8 << 20, 0) == mine"
	sh_on full "assert h.pread(8 << 20, 0) == open('was.img', 'rb').read()"
	[ "$(dd if=leg1.img bs=1 skip=1000000 count=9 status=none)" = "only here" ] || fail "$1: the mirror was copied again"
}
say "over and over"
for turn in 1 2; do
	takeover $turn
	check "turn $turn"
	counters $turn > counters-after
	diff -u counters-before counters-after > difference || fail "counters: $(cat difference)"
done

say "and back, when the new process cannot serve"
: > ndmd.err
! "$NDMD" --takeover --control "$NDM_CONTROL" --listen "unix:$T/no/such/folder" 2> bad.log || fail "it has taken over"
wait_for "the old one to go on" grep -q 'failed, serving on' ndmd.err
! grep -q 'not everything' ndmd.err || fail "$(cat ndmd.err)"
check back

say "what was remembered is at work"
sh_on dust 'import errno
for block in 5, 60, 7000:
    try:
        h.pread(512, block * 512)
        raise SystemExit("a bad block was read")
    except nbd.Error as e:
        assert e.errnum == errno.EIO
for turn in range(2):
    try:
        h.pwrite(b"x" * 512, 9 * 512)
        raise SystemExit("it should fail three times")
    except nbd.Error as e:
        assert e.errnum == errno.EIO
h.pwrite(b"x" * 512, 9 * 512)'
# the origin's next writes are copied to free chunks
sh_on origin 'h.pwrite(b"newer" * 3277 + b"...", 61 * 16384)
for i in range(0, 60, 2): h.pwrite(b"again" * 3277 + b"...", i * 16384)'
check_snap() { sh_on full "assert h.pread(8 << 20, 0) == open('was.img', 'rb').read()"; }
check_snap

say "the log is one: entries before and after, one end"
sh_on log 'h.pwrite(b"3" * 4096, 8192); h.flush()'
dm message log 0 mark after
dm remove log
cat > log.py <<'PY'
import struct, sys
log = open(sys.argv[1], "rb").read()
magic, version, entries, size = struct.unpack("<QQQI", log[:28])
assert (magic, version, size) == (0x6a736677736872, 1, 512), (magic, version, size)
at, found = size, []
for _ in range(entries):
    sector, nr, flags, text = struct.unpack("<QQQQ", log[at:at + 32])
    mark = log[at + 32:at + 32 + text].decode()
    at += size
    if flags & 8:
        found.append(mark)
    elif nr and not flags & 4:
        found.append(log[at:at + 1].decode())
        at += nr * size
print(" ".join(found))
PY
[ "$(/usr/bin/python3 log.py log.img)" = "1 before 2 3 after dm-log-writes-end" ] || fail "the log: $(/usr/bin/python3 log.py log.img)"
stop_ndmd
