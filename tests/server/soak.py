# SPDX-License-Identifier: BSD-2-Clause
"""Mixed load on one export for a while: clients that check what they read, are killed at random
and come again, while the device is suspended, given another table and resumed.

    soak.py SOCKET EXPORT PID SECONDS NDMSETUP TABLE

Each client owns a part of the export.  At the end nothing may be left of them in the server:
descriptors, memory, requests.  Prints what it saw; exit status 1 with a sentence where something
is wrong."""
import os
import random
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from nbdraw import *

path, export, pid, seconds, ndmsetup, table = sys.argv[1:]
seconds = float(seconds)
CLIENTS, PART = 8, 4 << 20
BLOCK = 4096
SLACK_KIB = 4096			# of private memory: what an allocator keeps by its own lights


def descriptors():
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory():
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1])


def client(n, seed, ready):
    """Batches of requests to blocks of its own that are all different; each answer is checked."""
    rng = random.Random(seed)
    c = Client(path, timeout=60)		# a request that is stuck ends the test
    mode = rng.choice(("simple", "structured", "extended"))
    c.negotiate(mode)
    if mode != "simple":
        c.meta([b"base:allocation", b"ndm:target"], export.encode())
    assert c.go(export.encode()) == ACK
    os.write(ready, b"!")
    # what the one before has left is unknown: begin anew
    assert c.call(WRITE, n * PART, PART, 0, b"%07d\n" % n * (PART // 8))[0] == 0
    have = {}
    for batch in range(1 << 30):
        sent, busy = {}, set()
        for cookie in range(rng.randrange(1, 33)):
            blocks = rng.choice((1, 1, 1, 2, 8, 32))
            first = rng.randrange(PART // BLOCK - blocks)
            span = range(first, first + blocks)
            if not busy.isdisjoint(span):
                continue
            busy.update(span)
            kind = rng.choice((READ, READ, READ, WRITE, WRITE, WRITE, ZEROES, TRIM, FLUSH, STATUS))
            if kind == STATUS and mode == "simple":
                kind = CACHE
            flags = rng.choice((0, 0, 0, FUA)) if kind == WRITE else 0
            at, length, data, what = n * PART + first * BLOCK, blocks * BLOCK, b"", None
            if kind == WRITE:
                what = rng.randbytes(8)
                data = what * (length // 8)
                flags |= PAYLOAD if mode == "extended" else 0
            elif kind == FLUSH:
                at = length = 0
            sent[cookie] = kind, span, what, length
            c.request(kind, at, length, flags, data, cookie)
        lengths = {k: v[3] if v[0] == READ else 0 for k, v in sent.items()}
        while sent:
            error, data, _ = reply(c, lengths)
            kind, span, what, length = sent.pop(c.cookie)
            assert error == 0, (kind, span, error)
            if kind == READ:
                for i, b in enumerate(span):
                    want = have.get(b, b"%07d\n" % n)
                    got = data[i * BLOCK:(i + 1) * BLOCK]
                    assert want is None or got == want * (BLOCK // 8), (n, b, want, got[:8])
            elif kind == WRITE:
                have.update((b, what) for b in span)
            elif kind == ZEROES:
                have.update((b, bytes(8)) for b in span)
            elif kind == TRIM:
                have.update((b, None) for b in span)


def reply(c, lengths):
    """A reply of which it is not known beforehand whose it is: simple ones say it before the data."""
    if c.mode != "simple":
        return c.reply()
    magic, error, c.cookie = struct.unpack(">IIQ", c.take(16))
    assert magic == 0x67446698
    return error, c.take(lengths[c.cookie]) if not error else b"", []


def start(n):
    """Returns when it is connected: the connections can be counted then."""
    seed = random.randrange(1 << 60)
    get, put = os.pipe()
    child = os.fork()
    if child:
        os.close(put)
        if not os.read(get, 1):
            sys.exit("soak: a client cannot connect")
        os.close(get)
        return child
    try:
        client(n, seed, put)
    except BaseException as e:
        print(f"client {n}: {type(e).__name__}: {e}", file=sys.stderr)
    os._exit(1)


def dm(*words):
    subprocess.run([ndmsetup, *words], check=True, stdout=subprocess.DEVNULL)


def wait_until(what, condition, patience=60):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"soak: waited in vain for {what}")
        time.sleep(0.05)


def load(until, clients, few, seen):
    while time.monotonic() < until:
        time.sleep(random.uniform(0.02, 0.3))
        n = random.randrange(CLIENTS)
        os.kill(clients[n], signal.SIGKILL)
        _, status = os.waitpid(clients[n], 0)
        if not os.WIFSIGNALED(status):
            sys.exit("soak: a client ended by itself")
        # what it had sent is over before somebody else writes there
        wait_until("its connection to be closed", lambda: descriptors() < few + CLIENTS)
        clients[n] = start(n)
        seen["kills"] += 1
        if seen["kills"] % 8 == 0:
            dm("suspend", export)
            if seen["kills"] % 16 == 0:
                dm("load", export, "--table", table)
            dm("resume", export)
            seen["suspends"] += 1
        if time.monotonic() > seen["next"]:
            seen["next"] += max(seconds / 10, 1)
            print(f"soak: {time.monotonic() - seen['begin']:.0f} s: {memory()} KiB, {descriptors()} "
                  f"descriptors, {seen['kills']} clients killed, {seen['suspends']} times suspended",
                  flush=True)


def stop(clients, few):
    for child in clients:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit("soak: a client ended by itself")
    wait_until("the descriptors to be closed", lambda: descriptors() <= few)


def settled():
    """How many descriptors there are when nobody is connected and everything has been used once."""
    c = Client(path)
    c.negotiate("structured")
    assert c.go(export.encode()) == ACK
    for kind, flags in (READ, 0), (WRITE, FUA), (FLUSH, 0), (ZEROES, 0), (TRIM, 0):
        n = 0 if kind == FLUSH else BLOCK
        assert c.call(kind, 0, n, flags, bytes(n) if kind == WRITE else b"")[0] == 0
    c.s.close()
    dm("suspend", export)
    dm("resume", export)
    seen = []
    wait_until("the number of descriptors to stay the same",
               lambda: seen.append(descriptors()) or len(set(seen[-10:])) == 1 and len(seen) > 10)
    return seen[-1]


def rested():
    """Private memory once buffers have been given back: the short form does not wait for that."""
    seen, looks = [], 30 if seconds >= 60 else 2
    while len(seen) < looks or max(seen[-looks:]) - min(seen[-looks:]) > 64:
        seen.append(memory())
        time.sleep(0.5)
    return seen[-1]


def main():
    few = settled()
    begin = time.monotonic()
    seen = dict(kills=0, suspends=0, begin=begin, next=begin)
    clients = [start(n) for n in range(CLIENTS)]
    load(begin + seconds / 5, clients, few, seen)	# after this it has what it needs
    stop(clients, few)
    early = rested()
    clients = [start(n) for n in range(CLIENTS)]
    load(begin + seconds, clients, few, seen)
    stop(clients, few)
    wait_until(f"memory to come down to {early} + {SLACK_KIB} KiB (it is at {memory()})",
               lambda: os.environ.get("NDM_SANITIZERS") or memory() <= early + SLACK_KIB)
    late = rested()
    if descriptors() != few:
        sys.exit(f"soak: {descriptors()} descriptors, and there were {few}")
    print(f"soak: {seconds:.0f} s, {seen['kills']} clients killed, {seen['suspends']} times suspended; "
          f"private memory {early} KiB after a fifth of the time, {late} KiB at the end; "
          f"{few} descriptors before and after")


main()
