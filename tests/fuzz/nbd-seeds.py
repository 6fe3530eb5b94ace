# SPDX-License-Identifier: BSD-2-Clause
"""nbd-seeds.py handshake|transmit|nbd-wire: first inputs, one file each, in the current folder."""
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


def servers():
    """What a server says (fuzz-nbd-wire.c): choices, an export perhaps, requests, records."""
    def ask(op, sector=0, sectors=8, flags=0, half=0):
        return bytes([op, flags, sector, sectors - 1] + ([half] if op < 2 else []))
    odd = struct.pack(">QHIII", 1 << 20, 0x56D, 1, 4096, 65536)
    every = [ask(0), ask(1), ask(2, 0, 1), ask(3), ask(4), ask(5), ask(6), ask(0, 3, 150, 0, 77)]
    for head in b"\0", b"\1", b"\2" + odd, b"\3" + odd, b"\3" + struct.pack(">QHIII", 1 << 40, 3, 512, 512, 512):
        yield head + b"\7" + b"".join(every) + b"".join(bytes([slot << 3, 1, 1]) for slot in range(8))
        for n, one in enumerate(every):
            yield head + b"\0" + one + b"\0\1\1" + b"\2" + bytes([0x83, 0, 0, 0, 1])
            yield head + b"\0" + one + b"".join(b"\2" + bytes([2 * t, 0, 0, 12, 0, 3, 1, 2, 3]) for t in range(10))
    yield b"\1\0" + ask(0) + b"\7\x20" + struct.pack(">IHHQIQ", 0x668E33EF, 0, 1, 1 << 32, 520, 0)
    yield b"\1\0" + ask(5) + b"\7\x20" + struct.pack(">IHHQIIII", 0x668E33EF, 1, 5, 1 << 32, 12, 1, 4096, 3)


make = dict(handshake=handshakes, transmit=transmissions, **{"nbd-wire": servers})[sys.argv[1]]
n = 0
for seed in make():
    for piece in (0, 3, 40) if sys.argv[1] != "nbd-wire" else (0,):
        with open("seed-%03d" % n, "wb") as f:
            f.write(seed if sys.argv[1] == "nbd-wire" else bytes([piece]) + seed)
        n += 1
