#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What ill-behaved clients cost a good one: its latency alone, beside clients that never finish
their handshake, beside ones that never finish a request, beside 1,000 connects a second.

    slow.py NDMD [ROUNDS [SECONDS]]

Starts NDMD itself, on a unix socket.  The good client reads 4 KiB at depth 1.  Each round measures
it alone, and then beside each kind; the medians over the rounds are printed."""
import mmap
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/server"))
from nbdraw import *

CROWD, PER_SECOND = 500, 1000
done = mmap.mmap(-1, 8)			# what the ill-behaved have done, shared with them


def count():
    done[:] = struct.pack("=Q", struct.unpack("=Q", done[:])[0] + 1)


def ready(path):
    c = Client(path, timeout=60)
    assert c.go(b"e") == ACK
    return c


def half_handshakes(path):
    """Always 500 of them, each with a word of an option, and one byte more now and then."""
    crowd = []
    while True:
        while len(crowd) < CROWD:
            c = Client(path)
            c.put(b"IHAVE")
            crowd.append(c)
        for c in list(crowd):
            try:
                c.s.send(b"O", socket.MSG_DONTWAIT)
                count()
            except OSError:
                crowd.remove(c)
            time.sleep(0.001)


def half_requests(path):
    """500 writes of 64 KiB of which a byte comes now and then."""
    crowd = [ready(path) for _ in range(CROWD)]
    for c in crowd:
        c.put(struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 1, 0, 65536))
    while True:
        for c in crowd:
            c.put(b"x")
            count()
            time.sleep(0.001)


def connects(path):
    """1,000 a second, each gone when it has the greeting."""
    due = time.monotonic()
    while True:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.recv(18)
        s.close()
        count()
        due += 1 / PER_SECOND
        ahead = due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)


def latencies(path, seconds):
    c = ready(path)
    request = struct.pack(">IHHQQI", 0x25609513, 0, READ, 1, 4096, 4096)
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter()
        c.s.sendall(request)
        left = 16 + 4096
        while left:
            left -= len(c.s.recv(left))
        found.append(time.perf_counter() - begin)
    c.s.close()
    found.sort()
    return found[len(found) // 2] * 1e6, found[len(found) * 99 // 100] * 1e6


def beside(what, path, seconds):
    child = os.fork()
    if not child:
        try:
            what(path)
        finally:
            os._exit(1)
    time.sleep(1.5)				# the crowd is there
    before, begin = struct.unpack("=Q", done[:])[0], time.monotonic()
    found = latencies(path, seconds)
    rate = (struct.unpack("=Q", done[:])[0] - before) / (time.monotonic() - begin)
    if os.waitpid(child, os.WNOHANG)[0]:
        sys.exit(f"{what.__name__} came to an end by itself")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return *found, rate


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 2
    folder = tempfile.TemporaryDirectory()
    path = folder.name + "/nbd.sock"
    server = subprocess.Popen([sys.argv[1], "--foreground", "--no-control", "--create",
                               "e: 0 131072 linear mem:64M 0", "--listen", "unix:" + path,
                               "--handshake-timeout", "5"], stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(path):
            time.sleep(0.01)
        found = {}
        for _ in range(rounds):
            found.setdefault("alone", []).append((*latencies(path, seconds), 0))
            for what in half_handshakes, half_requests, connects:
                found.setdefault(what.__name__, []).append(beside(what, path, seconds))
        alone = None
        print("| beside | bytes or connects / s | p50 us | p99 us | p50 / alone | p99 / alone |")
        print("|---|---|---|---|---|---|")
        for name, samples in found.items():
            p50, p99, rate = (statistics.median(s[i] for s in samples) for i in range(3))
            alone = alone or (p50, p99)
            print(f"| {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {p50 / alone[0]:.2f} | {p99 / alone[1]:.2f} |")
    finally:
        server.terminate()
        server.wait()


main()
