# SPDX-License-Identifier: BSD-2-Clause
"""nbd-seeds.py handshake|transmit: first inputs, one file each, in the current folder."""
import struct
import sys


def option(number, data=b""):
    return b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data


def name(n, infos=(0, 1, 2, 3)):
    return struct.pack(">I", len(n)) + n + struct.pack(">H", len(infos)) + b"".join(struct.pack(">H", i) for i in infos)


def meta(n, queries):
    return struct.pack(">I", len(n)) + n + struct.pack(">I", len(queries)) + \
        b"".join(struct.pack(">I", len(q)) + q for q in queries)


def compact(kind, offset=0, length=0, flags=0, data=b""):
    return struct.pack(">IHHQQI", 0x25609513, flags, kind, 7, offset, length) + data


def extended(kind, offset=0, length=0, flags=0, data=b""):
    return struct.pack(">IHHQQQ", 0x21E41C71, flags | (32 if data else 0), kind, 7, offset, length) + data


def handshakes():
    read = compact(0, 0, 4096) + compact(2)
    for flags in 3, 1:
        start = struct.pack(">I", flags)
        yield start + option(1, b"e") + read
        yield start + option(3) + option(6, name(b"e")) + option(7, name(b"e")) + read
        yield start + option(8) + option(9, meta(b"e", [])) + option(10, meta(b"e", [b"base:allocation", b"x-ndm:"])) + \
            option(7, name(b"e")) + compact(7, 0, 65536) + read
        yield start + option(11) + option(10, meta(b"e", [b"base:allocation"])) + option(7, name(b"e")) + extended(2)
        yield start + option(5) + option(7, name(b"nope")) + option(4) + option(99, b"x" * 70) + option(2)
    yield struct.pack(">I", 0) + option(1, b"ro") + read


def transmissions():
    for how, r in ((0, compact), (1, compact), (5, compact), (2, extended), (6, extended), (9, compact)):
        every = [r(0, 512, 4096), r(1, 100, 5000, 1, b"w" * 5000), r(3), r(4, 0, 65536), r(5, 0, 1 << 20),
                 r(6, 3, 70000, 2), r(6, 0, 512, 16), r(7, 0, 1 << 20, 8), r(0, 1 << 20, 1), r(99, 1, 2, 3),
                 r(1, 1 << 20, 600, 0, b"z" * 600)]
        if r is extended:
            every.append(r(7, 0, 12, 0, struct.pack(">QI", 4096, 0)))
        yield bytes([how]) + b"".join(every) + r(2)
        for one in every:
            yield bytes([how]) + one


make = dict(handshake=handshakes, transmit=transmissions)[sys.argv[1]]
n = 0
for seed in make():
    for piece in 0, 3, 40:
        with open("seed-%03d" % n, "wb") as f:
            f.write(bytes([piece]) + seed)
        n += 1
