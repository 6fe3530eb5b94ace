#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Tables change under clients: suspend, resume and reload while others write and verify; a device
# that grows and shrinks; requests of a suspended device wait and are not lost; a device with
# clients is not removed; TERM while somebody waits for an event.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_fio_nbd
requires nbdsh --version

truncate -s 32M a.img b.img
table="0 65536 linear $T/a.img 0"
start_ndmd --threads 2 --create "d: $table"

say "suspend, resume, reload under load"
for job in 0 16m; do
	fio --name="job$job" --ioengine=nbd --uri="$(uri d)" --thread --rw=randrw --bsrange=512-64k --bs_unaligned=1 \
		--iodepth=16 --offset="$job" --size=12m --verify=crc32c --verify_backlog=32 --loops=2 \
		--minimal > "fio$job.out" 2> "fio$job.err" &
	started+=($!)
	fios+=($!)
done
turns=0
while ! ended "${fios[0]}" || ! ended "${fios[1]}"; do
	"$NDMSETUP" suspend d
	[ $((turns % 2)) -eq 0 ] || "$NDMSETUP" load d --table "$table"
	"$NDMSETUP" resume d
	turns=$((turns + 1))
done
for job in 0 1; do
	wait_end "${fios[$job]}" || fail "fio: $(cat fio*.err)"
done
say "$turns times"
[ "$turns" -ge 3 ] || fail "fio was done before anything had changed"

say "a device that has clients stays; requests wait for a resume"
cat > wait.py <<'PY'
import subprocess, sys
import nbd
uri, ndmsetup = sys.argv[1:]
h = nbd.NBD()
h.connect_uri(uri)
h.set_strict_mode(0)
h.pwrite(b"before" * 100, 4096)
def run(*words):
    return subprocess.run([ndmsetup, *words], capture_output=True, text=True)
r = run("remove", "d")
assert r.returncode and "busy" in r.stderr.lower(), r
assert run("suspend", "d").returncode == 0
buf = nbd.Buffer(600)
reads = [h.aio_pread(buf, 4096), h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(b"after!" * 100)), 8192)]
while h.aio_get_direction() & nbd.AIO_DIRECTION_WRITE:
    h.poll(1000)
assert h.poll(300) == 0 and not any(h.aio_command_completed(c) for c in reads)
assert run("resume", "d").returncode == 0
while not all([h.aio_command_completed(c) for c in reads[1:]]):
    h.poll(1000)
assert h.pread(600, 8192) == b"after!" * 100

# larger and smaller: who is connected keeps the size it was told, and is told of the end
size = h.get_size()
def reload(sectors):
    for words in ("load", "d", "--table", f"0 {sectors} zero"), ("suspend", "d"), ("resume", "d"):
        r = run(*words)
        assert r.returncode == 0, r
def new_size():
    n = nbd.NBD()
    n.connect_uri(uri)
    return n.get_size()
reload(131072)
assert new_size() == 64 << 20 and h.pread(512, size - 512) == bytes(512)
reload(1024)
assert new_size() == 512 << 10 and h.pread(512, 0) == bytes(512)
for call, errno in (lambda: h.pread(512, 1 << 20), "EINVAL"), (lambda: h.pwrite(bytes(512), 1 << 20), "ENOSPC"), \
        (lambda: h.zero(512, 512 << 10), "ENOSPC"):
    try:
        call()
        raise SystemExit("nothing was said of the end")
    except nbd.Error as e:
        assert e.errno == errno, e.errno
assert h.pread(512, 0) == bytes(512)
PY
/usr/bin/python3 wait.py "$(uri d)" "$NDMSETUP" || fail "see above"

say "TERM while somebody waits for an event"
"$NDMSETUP" wait d > wait.out 2> wait.err &
waiting=$!
started+=("$waiting")
wait_for "the waiting" grep -q . "/proc/$waiting/cmdline"
stop_ndmd
wait_end "$waiting" || :
