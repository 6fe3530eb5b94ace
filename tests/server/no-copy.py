# SPDX-License-Identifier: BSD-2-Clause
"""Reads that are sent from the store's own memory, large writes that go there from the socket.

no-copy.py SOCK EXPORT PATH BYTES WORK: PATH is the file behind EXPORT, - for none;
WORK is verify, saves, suspend, unread, shorter or half.
"""
import os
import random
import re
import struct
import subprocess
import sys

from nbdraw import EIO, READ, WRITE, Client, Closed

sock, export, path, size, work = sys.argv[1:6]
size = int(size)
MIB = 1 << 20
dice = random.Random(6)


def client(mode="simple"):
    c = Client(sock)
    c.negotiate(mode)
    assert c.go(export.encode()) == 1
    return c


def dm(*arguments):
    subprocess.run([os.environ["NDMSETUP"], *arguments], check=True)


def crumbs(c, data):
    """The payload as a client sends it that has other things to do."""
    while data:
        n = dice.choice((1, 511, 4095, 4096, 4097, 32768, 70000, len(data)))
        c.put(data[:n])
        data = data[n:]


def big_write_mode(c, model=None):
    """The server reads headers apart only after it has seen a large payload."""
    data = dice.randbytes(65536)
    assert c.call(WRITE, 0, len(data), data=data)[0] == 0
    if model is not None:
        model[:65536] = data


def header(length, offset, cookie=7):
    return struct.pack(">IHHQQI", 0x25609513, 0, WRITE, cookie, offset, length)


def verify(mode):
    c, model = client(mode), bytearray(size)
    extended = mode == "extended"
    assert c.call(WRITE, 0, size // 2, data=model[:size // 2])[0] == 0
    assert c.call(WRITE, size // 2, size // 2, data=model[:size // 2])[0] == 0
    for turn in range(60):
        bits = dice.choice((9, 12, 15, 16, 18, 20))
        length = min(dice.randrange(1, 4) * (1 << bits), size)
        offset = dice.randrange(0, (size - length) // 512 + 1) * 512
        if dice.randrange(8) == 0:
            offset, length = offset + dice.randrange(0, 300), max(1, length - 512)
        if dice.randrange(3):
            data = dice.randbytes(length) if dice.randrange(6) else bytes(length)
            c.request(WRITE, offset, length, 32 if extended else 0)
            crumbs(c, data)
            model[offset:offset + length] = data
            assert c.reply()[0] == 0
        else:
            # several at once, so that some do not fit into the socket
            n = dice.randrange(1, 9)
            for i in range(n):
                c.request(READ, offset, length, cookie=i)
            for i in range(n):
                error, data, _ = c.reply(length)
                assert not error and data == model[offset:offset + length], (turn, offset, length)
    assert c.call(READ, 0, size // 2)[1] == model[:size // 2]


def io_bytes(pid, what):
    with open(f"/proc/{pid}/io") as f:
        return int(re.search(rf"{what}: (\d+)", f.read())[1])


def saves():
    """Neither read() nor write() sees the data: the kernel counts what they copy."""
    pid, c, data = sys.argv[6], client(), dice.randbytes(MIB)
    for i in range(size // MIB):
        assert c.call(WRITE, i * MIB, MIB, data=data)[0] == 0
    for i in range(150 * size // MIB):          # until all of it is known to be there
        assert c.call(READ, i % (size // MIB) * MIB, 512)[0] == 0
    c = client()
    big_write_mode(c)
    for what, kind in (("rchar", READ), ("wchar", WRITE)):
        before = io_bytes(pid, what)
        for i in range(64):
            at = i % (size // MIB) * MIB
            assert c.call(kind, at, MIB, data=data if kind == WRITE else b"")[0] == 0
        copied = io_bytes(pid, what) - before
        assert copied < 32 * MIB, f"{what}: {copied} bytes of 64 MiB were copied"


def wait_for_bytes(at, data):
    with open(path, "rb", 0) as f:
        while os.pread(f.fileno(), len(data), at) != data:
            os.sched_yield()


def suspend():
    """Half a write does not hold the device up; the other half goes to the next table."""
    c, other = client(), path + ".other"
    with open(other, "wb") as f:
        f.truncate(size)
    big_write_mode(c)
    data = dice.randbytes(MIB)
    c.put(header(MIB, 0) + data[:MIB // 2])
    wait_for_bytes(0, data[:4096])
    dm("suspend", export)
    dm("load", export, "--table", f"0 {size // 512} linear {other} 0")
    c.put(data[MIB // 2:MIB // 2 + 65536])      # as much as a socket holds
    dm("resume", export)
    c.put(data[MIB // 2 + 65536:])
    assert c.reply()[0] == 0
    with open(path, "rb") as a, open(other, "rb") as b:
        old, new = a.read(MIB), b.read(MIB)
    assert all(x == z or y == z for x, y, z in zip(old, new, data))
    assert new[-4096:] == data[-4096:] and old[-4096:] != data[-4096:]
    dm("load", export, "--table", f"0 {size // 512} linear {path} 0")
    dm("suspend", export)
    dm("resume", export)
    os.unlink(other)


def unread():
    """What was answered stays what it was, sent or not, once the device is suspended."""
    c = client()
    for i in range(4):
        assert c.call(WRITE, i * MIB, MIB, data=b"A" * MIB)[0] == 0
    for i in range(16):
        c.request(READ, i % 4 * MIB, MIB, cookie=i)
    first = c.take(16)                          # they are being answered
    dm("suspend", export)
    with open(path, "r+b") as f:
        f.write(b"B" * 4 * MIB)
    dm("resume", export)
    for i in range(16):
        head = first if i == 0 else c.take(16)
        assert head[:8] == bytes.fromhex("6744669800000000")
        data = c.take(MIB)
        assert data in (b"A" * MIB, b"B" * MIB), f"reply {i} changed after it was given"
        assert i or data[0] == ord("A")


def shorter():
    """Somebody takes the file's end away: errors, and nobody else notices."""
    c, other, third = client(), client(), client("structured")
    data = dice.randbytes(size)
    for at in range(0, size, MIB):
        assert c.call(WRITE, at, MIB, data=data[at:at + MIB])[0] == 0
    for turn in range(200):                     # until the end is known to be there
        assert c.call(READ, size - 4096, 4096)[1] == data[-4096:]
    writer = client()
    big_write_mode(writer)
    data = c.call(READ, 0, MIB)[1] + data[MIB:]
    os.truncate(path, size // 2)
    for length in (4096, 65536, MIB):
        assert c.call(READ, size - length, length)[0] == EIO
        assert third.call(READ, size - length, length)[0] == EIO
        c.request(READ, 0, length, cookie=1)
        c.request(READ, size - length, length, cookie=2)
        error, got, _ = c.reply(length)
        assert not error and got == data[:length] and c.reply()[0] == EIO
    # Refused before a byte was taken, it comes as pwrite() and makes the file longer again; else
    # nobody knows where the stream stands, and it ends.
    try:
        writer.call(WRITE, size - MIB, MIB, data=data[-MIB:])
    except Closed:
        pass
    assert other.call(READ, 0, MIB)[1] == data[:MIB]
    os.truncate(path, size)
    assert client().call(READ, 0, MIB)[1] == data[:MIB]


def half():
    """A write is half there when another process takes over."""
    c = client()
    big_write_mode(c)
    data = dice.randbytes(MIB)
    c.put(header(MIB, 3 * MIB) + data[:MIB // 2 + 100])
    wait_for_bytes(3 * MIB, data[:4096])
    with open("half-way", "w"):
        pass
    with open("go-on") as f:
        f.read()
    c.put(data[MIB // 2 + 100:])
    assert c.reply()[0] == 0 and c.cookie == 7
    assert c.call(READ, 3 * MIB, MIB)[1] == data


def apart():
    """A snapshot shows what was there, whatever is written to its origin meanwhile."""
    chunk = 8192
    old = {n: dice.randbytes(chunk) for n in range(size // chunk)}
    origin, snap = client(), Client(sock)
    assert snap.go(path.encode()) == 1
    for n, data in old.items():
        assert snap.call(READ, n * chunk, chunk)[1] == bytes(chunk)
    for n, data in old.items():                 # copied out of the way
        origin.request(WRITE, n * chunk, chunk, data=data)
        snap.request(READ, n * chunk, chunk)
        assert snap.reply(chunk)[:2] == (0, bytes(chunk)) and origin.reply()[0] == 0
    snap.s.close()
    dm("remove", "--retry", path)
    dm("create", path, "--table", f"0 {size // 512} snapshot {sys.argv[6]} {sys.argv[7]} N 16")
    snap = Client(sock)
    assert snap.go(path.encode()) == 1
    for turn in range(size // chunk):
        n = dice.randrange(size // chunk)
        for i in range(6):
            snap.request(READ, n * chunk, chunk, cookie=i)
        origin.request(WRITE, n * chunk, chunk, data=dice.randbytes(chunk))
        for i in range(6):
            snap.request(READ, n * chunk, chunk, cookie=i)
        for i in range(12):
            assert snap.reply(chunk)[:2] == (0, old[n]), f"chunk {n}"
        assert origin.reply()[0] == 0


if work == "verify":
    for mode in "simple", "structured", "extended":
        verify(mode)
else:
    dict(apart=apart, saves=saves, suspend=suspend, unread=unread, shorter=shorter, half=half)[work]()
