#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The end of ndmd: TERM under load answers what is under way and loses nothing that was
# acknowledged; a suspended device with requests in it does not hold the end up; KILL loses
# nothing that was flushed or FUA; a client that takes no replies is cut off.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires nbdsh --version

table="0 131072 linear $T/disk.img 0"
truncate -s 64M disk.img

# Writes blocks that say which of their writes they are, notes what was acknowledged, until the
# server goes; then tells what it knows.
cat > writer.py <<'PY'
import json, os, sys
import nbd
uri, durable, out = sys.argv[1:]
durable = durable == "durable"
h = nbd.NBD()
h.connect_uri(uri)
acked, pending, flushed, n = {}, {}, {}, 0
began = False
try:
    while True:
        while len(pending) < 32:
            block = n % 4096
            if any(b == block for b, _, _ in pending.values()):
                break
            data = nbd.Buffer.from_bytearray(bytearray(n.to_bytes(8, "big") * 512))
            fua = durable and n % 7 == 0
            c = h.aio_pwrite(data, block * 4096, flags=nbd.CMD_FLAG_FUA if fua else 0)
            pending[c] = (block, n, fua)
            n += 1
        h.poll(1000)
        for c in list(pending):
            if h.aio_command_completed(c):
                block, number, fua = pending.pop(c)
                acked[block] = number
                if fua:
                    flushed[block] = number
        if durable and n % 512 == 0 and not any(f for _, _, f in pending.values()):
            before = dict(acked)
            h.flush()
            flushed.update(before)
        if not began and len(acked) > 200 and flushed:
            open(out + ".started", "w").close()
            began = True
except nbd.Error as e:
    assert e.errno in ("ESHUTDOWN", "ENOTCONN", "EPIPE", "ECONNRESET", None) or "DEAD" in str(e) or \
        "CLOSED" in str(e), (e.errno, str(e))
sent = {}
for block, number, _ in pending.values():
    sent[block] = number
json.dump(dict(acked=acked, flushed=flushed, sent=sent, n=n), open(out, "w"))
PY
cat > check.py <<'PY'
import json, sys
k = json.load(open(sys.argv[1]))
must = k[sys.argv[2]]
disk = open("disk.img", "rb")
for block, number in must.items():
    disk.seek(int(block) * 4096)
    data = disk.read(4096)
    found = int.from_bytes(data[:8], "big")
    assert data == data[:8] * 512, f"block {block} is torn"
    # a later write of the same block may have come through, acknowledged or not
    assert found >= number, f"block {block} holds write {found}, not {number}"
print(f"{k['n']} writes, {len(must)} blocks {sys.argv[2]}: all there")
assert must
PY

for signal in TERM KILL; do
	say "$signal under load"
	start_ndmd --create "d: $table"
	writers=()
	for i in 1; do
		rm -f "w$i" "w$i.started"
		/usr/bin/python3 writer.py "$(uri d)" durable "w$i" 2> "w$i.err" &
		writers+=($!)
		started+=($!)
	done
	wait_for "200 writes, and a flush or FUA" test -e w1.started
	kill -$signal "$ndmd_pid"
	status=0
	wait_end "$ndmd_pid" || status=$?
	[ $signal = KILL ] || [ $status -eq 0 ] || fail "ended with $status"
	wait_end "${writers[0]}" || fail "the writer: $(cat w1.err)"
	rm -f "$sock" control
	[ $signal = KILL ] || python3 check.py w1 acked
	python3 check.py w1 flushed
done

say "TERM with requests in a suspended device"
start_ndmd --create "d: $table"
"$NDMSETUP" suspend d
cat > waiting.py <<'PY'
import sys
import nbd
h = nbd.NBD()
h.connect_uri(sys.argv[1])
b = nbd.Buffer.from_bytearray(bytearray(b"W" * 4096))
c = h.aio_pwrite(b, 0)
r = h.aio_pread(nbd.Buffer(4096), 8192)
while h.aio_get_direction() & nbd.AIO_DIRECTION_WRITE:
    h.poll(1000)
open("sent", "w").close()
done = 0
while done < 2:
    h.poll(10000)
    done = bool(h.aio_command_completed(c)) + bool(h.aio_command_completed(r)) if done == 0 else 2
PY
/usr/bin/python3 waiting.py "$(uri d)" 2> waiting.err &
waiting=$!
started+=("$waiting")
wait_for "two requests" test -e sent
kill -TERM "$ndmd_pid"
status=0
wait_end "$ndmd_pid" || status=$?
[ $status -eq 0 ] || fail "ended with $status"
[ "$(head -c 4 disk.img)" = WWWW ] || fail "the write that waited is lost"

say "TERM with a client that takes no replies"
start_ndmd --create "d: $table"
cat > deaf.py <<'PY'
import struct, sys
sys.path.insert(0, sys.argv[2])
from nbdraw import *
c = Client(sys.argv[1])
assert c.go(b"d") == ACK
c.put(b"".join(struct.pack(">IHHQQI", 0x25609513, 0, READ, i, 0, 1 << 20) for i in range(100)))
c.take(1)
open("deaf", "w").close()
import time
time.sleep(60)
PY
python3 deaf.py "$sock" "$top_srcdir/tests/server" &
started+=($!)
wait_for "the deaf one" test -e deaf
kill -TERM "$ndmd_pid"
status=0
wait_end "$ndmd_pid" || status=$?
[ $status -eq 0 ] || fail "ended with $status"
grep -q 'does not take its replies' ndmd.err
