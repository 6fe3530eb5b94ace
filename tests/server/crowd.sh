#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Many clients: a thousand idle ones cost at most 8 KiB of private memory each, half-open
# handshakes end by themselves and hinder nobody, 64 busy ones with ones that break off lose
# nothing and leave nothing behind.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires_program python3

start_ndmd --allow-core --create 'e: 0 131072 linear mem:64M 0' --handshake-timeout 2 --max-connections 1200
cat > crowd.py <<'PY'
import os, random, resource, struct, sys, threading
sys.path.insert(0, sys.argv[3])
from nbdraw import *
path, pid, _, sanitizers = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def anonymous():
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1])

def descriptors():
    return len(os.listdir(f"/proc/{pid}/fd"))

def ready():
    c = Client(path)
    c.negotiate("structured")
    assert c.go(b"e") == ACK
    return c

first = ready()
assert first.alive()
few, memory = descriptors(), anonymous()

crowd = [ready() for i in range(1000)]
assert all(c.alive() for c in crowd)
each = (anonymous() - memory) / len(crowd)
print(f"{each:.1f} KiB for each idle connection")
assert sanitizers or each <= 8, each
# no more than were allowed: the next ones are let go, the others stay
over = []
try:
    for i in range(400):
        over.append(ready())
    raise AssertionError("1401 connections")
except (Closed, ConnectionError):
    pass
assert first.alive() and crowd[500].alive()
for c in crowd + over:
    c.s.close()

# handshakes that never end
import time
while descriptors() > few + 10:
    time.sleep(0.01)
half = [Client(path, flags=random.choice((None, 3))) for i in range(200)]
for c in half[:100]:
    c.put(b"IHAVE")
assert ready().alive()
for c in half:
    assert c.closed()				# within the patience of the socket: 20 s

# busy ones, and ones that break off
def work(n, bad):
    rng = random.Random(n)
    for turn in range(6):
        c = ready()
        base = n << 20
        want = {}
        for i in range(60):
            block = rng.randrange(250)
            data = bytes([rng.randrange(256)]) * 4096
            c.request(WRITE, base + block * 4096, 4096, 0, data, cookie=i)
            want[block] = data
            if bad and rng.random() < 0.01:
                c.put(b"\0" * rng.randrange(1, 50))
                c.s.close()
                break
            if i % 16 == 15:
                for _ in range(16):
                    assert c.reply()[0] == 0
        else:
            for _ in range(60 % 16):
                assert c.reply()[0] == 0
            for block, data in want.items():
                assert c.call(READ, base + block * 4096, 4096)[1] == data
            c.s.close()

failed = []
def guarded(n, bad):
    try:
        work(n, bad)
    except Exception as e:
        failed.append((n, repr(e)))

crowd = [ready() for i in range(1000)]		# idle, while the others work
threads = [threading.Thread(target=guarded, args=(n, n % 2)) for n in range(64)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failed, failed
assert all(c.alive() for c in crowd)
for c in crowd:
    c.s.close()
deadline = time.monotonic() + 20
while descriptors() > few and time.monotonic() < deadline:
    time.sleep(0.01)
assert descriptors() <= few, (descriptors(), few)
assert first.alive()
PY
python3 crowd.py "$sock" "$ndmd_pid" "$top_srcdir/tests/server" "${NDM_SANITIZERS:-}" || fail "see above"
nobody_holds() { [ "$("$NDMSETUP" info -c --noheadings -o open e)" -eq 0 ]; }
wait_for "everybody to be gone" nobody_holds
grep -q 'has not finished the handshake in 2 seconds' ndmd.err
stop_ndmd

start_ndmd --create 'e: 0 2048 zero' --idle-timeout 1
cat > idle.py <<'PY'
import sys
sys.path.insert(0, sys.argv[2])
from nbdraw import *
c = Client(sys.argv[1])
assert c.go(b"e") == ACK and c.alive() and c.closed()
PY
python3 idle.py "$sock" "$top_srcdir/tests/server" || fail "an idle client stays"
grep -q 'has been idle for 1 seconds' ndmd.err
stop_ndmd
