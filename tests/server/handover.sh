#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One client whose server ndmd is: NBD on stdin and stdout, and a listening socket that was
# handed over (LISTEN_FDS), by libnbd as it starts any server; ndmd ends when the client leaves.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires nbdsh --version

cat > both.py <<'PY'
import os, subprocess, sys
import nbd
ndmd, disk = sys.argv[1:]
command = [ndmd, "--foreground", "--no-control", "--create", f"disk: 0 2048 linear {disk} 0"]

def use(h):
    assert h.get_size() == 1 << 20
    h.pwrite(b"hand over" * 100, 12345)
    assert h.pread(900, 12345) == b"hand over" * 100
    h.flush()
    h.shutdown()

h = nbd.NBD()
h.set_export_name("disk")
h.connect_command(command + ["--stdio"])
use(h)
del h
h = nbd.NBD()
h.connect_systemd_socket_activation(command)
use(h)
del h

# the server's end is its own doing, not a signal
import socket
for stdio in True, False:
    a, b = socket.socketpair()
    p = subprocess.Popen(command + ["--stdio"], stdin=b, stdout=b)
    b.close()
    if not stdio:
        a.sendall(b"\0\0\0\3garbage")
    else:
        assert a.recv(18, socket.MSG_WAITALL) == b"NBDMAGICIHAVEOPT\0\3"
    a.close()
    assert p.wait(20) == 0

# pipes instead of a socket
p = subprocess.Popen(command + ["--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert p.stdout.read(18) == b"NBDMAGICIHAVEOPT\0\3"
p.stdin.write(b"\0\0\0\3IHAVEOPT" + (1).to_bytes(4, "big") + (4).to_bytes(4, "big") + b"disk")
p.stdin.flush()
assert p.stdout.read(10)[:8] == (1 << 20).to_bytes(8, "big")
p.stdin.write(bytes.fromhex("25609513 0000 0000 0000000000000001 0000000000003039 00000384"))
p.stdin.flush()
assert p.stdout.read(16 + 900)[16:] == b"hand over" * 100
p.stdin.close()
assert p.wait(20) == 0
PY
truncate -s 1M disk.img
python3 both.py "$NDMD" "$T/disk.img" || fail "see above"
[ "$(dd if=disk.img bs=1 skip=12345 count=9 status=none)" = "hand over" ]
