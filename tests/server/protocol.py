# SPDX-License-Identifier: BSD-2-Clause
"""protocol.py SOCKET: what proto-traps.py (tests/interop/suites) does not ask.
Exports: "disk", 64 MiB, writable; "ro", read-only; "dead", which is of the target error."""
import struct
import sys

from nbdraw import *

path = sys.argv[1]
MB = 1 << 20


def ready(mode="simple", name=b"disk", contexts=()):
    c = Client(path)
    c.negotiate(mode)
    if contexts:
        c.ids = c.meta(contexts, name)[1]
    assert c.go(name) == ACK
    return c


def options():
    c = Client(path)
    assert c.option(OPT["PEEK"])[0] == ERR["UNSUP"]
    assert c.option(4711, b"x" * 300)[0] == ERR["UNSUP"]
    for o in "LIST", "STARTTLS", "STRUCTURED", "EXTENDED":
        assert c.option(OPT[o], b"data")[0] == ERR["INVALID"], o
    assert c.option(OPT["STARTTLS"])[0] in (ERR["POLICY"], ERR["UNSUP"])
    kind, list_of = c.option(OPT["LIST"])
    names = [b[4:4 + struct.unpack(">I", b[:4])[0]] for k, b in list_of]
    assert kind == ACK and names == [b"dead", b"disk", b"ro"], names
    # too long: thrown away, refused, and in step afterwards
    assert c.option(OPT["GO"], b"y" * 200000)[0] == ERR["TOO_BIG"]
    assert c.option(99, b"z" * (40 * MB))[0] == ERR["TOO_BIG"]
    assert c.go(b"") == ERR["UNKNOWN"]			# three exports: none is the default
    assert c.go(b"di\0sk") == ERR["INVALID"]
    assert c.go(b"disk", (0, 1, 2, 3, 77), OPT["INFO"]) == ACK
    before = c.infos
    assert before[1] == b"disk" and 2 not in before
    assert struct.unpack(">III", before[3]) == (1, 4096, 64 * MB)
    assert c.go(b"disk", (0, 1, 2, 3, 77)) == ACK and c.infos == before
    assert c.alive()


def option_limits():
    c = Client(path)
    try:
        for n in range(1000):
            c.option(4711)
        raise AssertionError("a thousand options")
    except Closed:
        assert n >= 32
    c = Client(path)
    c.put(b"IHAVEOPS" + bytes(8))
    assert c.closed()
    c = Client(path, flags=4)
    assert c.closed()
    c = Client(path)				# not fixed newstyle: EXPORT_NAME only
    c = Client(path, flags=0)
    assert c.option(OPT["LIST"])[0] == ERR["INVALID"]
    c.put(b"IHAVEOPT" + struct.pack(">II", 1, 4) + b"disk")
    c.size, c.flags = struct.unpack(">QH", c.take(134)[:10])
    assert c.size == 64 * MB and c.flags & 1 and c.alive()
    c = Client(path)
    c.put(b"IHAVEOPT" + struct.pack(">II", 1, 5000) + b"n" * 5000)
    assert c.closed()
    c = Client(path)
    c.put(b"IHAVEOPT" + struct.pack(">II", 1, 4) + b"nope")
    assert c.closed()


def one_byte_at_a_time():
    c = Client(path, flags=None)
    name = b"disk"
    data = struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">III", 7, 6 + len(name), len(name)) + name + b"\0\0"
    for i in range(len(data)):
        c.put(data[i:i + 1])
    while True:
        magic, option, kind, length = struct.unpack(">QIII", c.take(20))
        c.take(length)
        if kind == ACK:
            break
    data = struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 1, 4096, 10) + b"0123456789"
    for i in range(len(data)):
        c.put(data[i:i + 1])
    assert c.reply()[0] == 0
    assert c.call(READ, 4095, 12)[1][1:11] == b"0123456789"


def requests_with_the_last_option():
    c = Client(path)
    name = b"disk"
    go = b"IHAVEOPT" + struct.pack(">III", 7, 6 + len(name), len(name)) + name + b"\0\0"
    c.put(go + b"".join(struct.pack(">IHHQQI", 0x25609513, 0, READ, i, 0, 512) for i in range(5)))
    while struct.unpack(">QIII", (h := c.take(20)))[2] != ACK:
        c.take(struct.unpack(">QIII", h)[3])
    assert [(c.reply(512)[0], c.cookie)[1] for i in range(5)] == [0, 1, 2, 3, 4]


def commands(mode):
    c = ready(mode)
    for offset, n in (0, 512), (4096, 65536), (12345, 6789), (64 * MB - 1, 1), (MB - 3, 3 * MB + 5):
        data = bytes((offset + i) & 255 for i in range(256)) * (n // 256 + 1)
        data = data[:n]
        assert c.call(WRITE, offset, n, 0, data)[0] == 0
        assert c.call(READ, offset, n)[1] == data
        assert c.call(WRITE, offset, n, FUA, data[::-1])[0] == 0
        assert c.call(READ, offset, n, FUA)[1] == data[::-1]
    assert c.call(FLUSH)[0] == 0 and c.call(FLUSH, flags=FUA)[0] == 0
    assert c.call(FLUSH, 512)[0] == EINVAL
    assert c.call(CACHE, 0, MB)[0] == 0
    for flags in 0, FUA, NO_HOLE, NO_HOLE | FUA:
        assert c.call(WRITE, MB, 3, 0, b"abc")[0] == 0
        assert c.call(ZEROES, MB + 1, 100000, flags)[0] == 0
        assert c.call(READ, MB, 100001)[1] == b"a" + bytes(100000)
    assert c.call(ZEROES, 0, MB, FAST_ZERO)[0] in (0, ENOTSUP)
    assert c.call(TRIM, 2 * MB, MB)[0] == 0 and c.call(TRIM, 2 * MB + 3, 5000, FUA)[0] == 0
    # beyond the end
    end = c.size
    assert [c.call(k, end - 1, 2, 0, d)[0] for k, d in
            ((READ, b""), (WRITE, b"xx"), (TRIM, b""), (CACHE, b""), (ZEROES, b""))] == \
        [EINVAL, ENOSPC, EINVAL, EINVAL, ENOSPC]
    assert c.call(READ, 2 ** 64 - 1, 2)[0] == EINVAL
    # nothing of nothing
    assert [c.call(k, 4096, 0)[0] for k in (READ, WRITE, TRIM, CACHE, ZEROES)] == [0] * 5
    # what is not known, or does not belong there
    assert c.call(77, 0, 512)[0] == EINVAL
    for kind, flag in ((READ, 0x4000), (READ, NO_HOLE), (WRITE, DF), (WRITE, NO_HOLE), (FLUSH, DF),
                       (TRIM, NO_HOLE), (CACHE, REQ_ONE), (ZEROES, REQ_ONE), (STATUS, 0)):
        n = 0 if kind == FLUSH else 512
        assert c.call(kind, 0, n, flag, bytes(n) if kind == WRITE else b"")[0] == EINVAL, (kind, flag)
    assert (c.call(READ, 0, 512, DF)[0] == 0) == (mode != "simple")
    # payloads: the largest, one byte more (drained), and one that would be refused anyway
    whole = b"w" * (64 * MB)
    assert c.call(WRITE, 0, len(whole), 0, whole)[0] == 0
    error, data, _ = c.call(READ, 0, len(whole))
    assert error == 0 and data == whole
    assert c.call(WRITE, 0, len(whole) + 1, 0, whole + b"!")[0] in (EINVAL, ENOSPC)
    assert c.call(READ, 0, len(whole) + 1)[0] == EINVAL
    assert c.alive()


def read_only(mode):
    c = ready(mode, b"ro")
    assert c.flags & 2 and not c.flags & (32 | 64)
    for kind, n in (WRITE, 70000), (TRIM, 512), (ZEROES, 512):
        assert c.call(kind, 0, n, 0, bytes(n) if kind == WRITE else b"")[0] in (EPERM, EINVAL)
    assert c.call(WRITE, 0, 3, FUA, b"abc")[0] == EPERM
    assert c.alive() and c.call(FLUSH)[0] == 0


def failures(mode):
    c = ready(mode, b"dead")
    assert c.call(READ, 0, 4096)[0] == EIO
    assert c.call(WRITE, 0, 4096, 0, bytes(4096))[0] == EIO
    assert c.call(WRITE, 5, 10, 0, bytes(10))[0] == EIO
    assert c.call(READ, 0, 4096)[0] == EIO


def contexts(mode):
    c = Client(path)
    assert c.meta([b"base:allocation"], b"disk")[0] == ERR["INVALID"]
    c.negotiate(mode)
    everything = c.meta([], b"disk", OPT["LIST_META"])[1]
    assert "base:allocation" in everything and len(everything) >= 2
    assert list(c.meta([b"base:"], b"disk", OPT["LIST_META"])[1]) == ["base:allocation"]
    assert c.meta([b"base:"], b"disk") == (ACK, {})
    assert c.meta([b"base:alloc", b"other:thing", b"colonless"], b"disk") == (ACK, {})
    assert c.meta([b"base:allocation"], b"nope")[0] == ERR["UNKNOWN"]
    kind, ids = c.meta([q.encode() for q in everything], b"disk")
    assert kind == ACK and set(ids) == set(everything) and len(set(ids.values())) == len(ids)
    assert c.go(b"disk") == ACK
    assert c.call(ZEROES, 0, 8 * MB)[0] == 0 and c.call(TRIM, 0, 8 * MB)[0] == 0
    assert c.call(WRITE, MB, MB, 0, b"d" * MB)[0] == 0
    error, _, chunks = c.call(STATUS, 0, 4 * MB)
    found = c.extents(chunks)
    assert error == 0 and set(found) == set(ids.values())
    base = found[ids["base:allocation"]]
    assert base == [(MB, 3), (MB, 0), (2 * MB, 3)], base
    error, _, chunks = c.call(STATUS, MB // 2 + 1, MB, REQ_ONE)
    one = c.extents(chunks)
    assert one.pop(ids["ndm:target"]) == [(MB, 0)]
    assert all(e == [(MB // 2 - 1, 3)] for e in one.values()), chunks
    assert c.call(STATUS, 0, 0)[0] == EINVAL
    assert c.call(STATUS, c.size, 1)[0] == EINVAL
    return c, ids


def extended():
    c, ids = contexts("extended")
    assert c.flags & 1 << 12
    base = ids["base:allocation"]
    # whole disks in one request, whatever a payload may be
    assert c.call(STATUS, 0, c.size)[0] == 0 and c.offset == 0
    assert c.call(ZEROES, 0, c.size)[0] == 0 and c.call(TRIM, 0, c.size)[0] == 0
    assert c.call(ZEROES, 0, 1 << 40)[0] == ENOSPC and c.call(CACHE, 0, 1 << 63)[0] == EINVAL
    # a payload names contexts
    payload = struct.pack(">QI", MB, base)
    error, _, chunks = c.call(STATUS, 512, len(payload), PAYLOAD, payload)
    assert error == 0 and list(c.extents(chunks)) == [base] and c.offset == 512
    for bad in (struct.pack(">QII", MB, base, base), struct.pack(">QI", MB, 999), struct.pack(">Q", MB),
                struct.pack(">QI", 0, base), struct.pack(">QI", 1 << 40, base), b"x" * 2000):
        assert c.call(STATUS, 0, len(bad), PAYLOAD, bad)[0] == EINVAL
    # in pieces
    head = struct.pack(">IHHQQQ", 0x21E41C71, PAYLOAD, STATUS, 5, 0, len(payload))
    for i in range(0, len(head + payload), 5):
        c.put((head + payload)[i:i + 5])
    assert c.reply()[0] == 0 and c.cookie == 5
    # the server has read the first part when it has answered somebody else twice: the buffer that
    # it has for the payload must not become that of the answer (the pool would tell at the end)
    other = ready()
    for cut in 1, 8, 11:
        c.put(head + payload[:cut])
        assert other.alive() and other.alive()
        c.put(payload[cut:])
        assert c.reply()[0] == 0 and c.cookie == 5
    # payloads where there should be none, and none where there should be one
    assert c.call(READ, 0, 512, PAYLOAD, bytes(512))[0] == EINVAL
    assert c.call(TRIM, 0, 70000, PAYLOAD, bytes(70000))[0] == EINVAL
    c.request(WRITE, 0, 512)
    assert c.reply()[0] == EINVAL
    assert c.alive()
    c.request(WRITE, 0, 1 << 40, PAYLOAD)
    assert c.closed()
    c = Client(path)
    c.negotiate("extended")
    assert c.option(OPT["STRUCTURED"])[0] == ERR["EXT_HEADER_REQD"]
    c.put(b"IHAVEOPT" + struct.pack(">II", 1, 4) + b"disk")
    assert c.closed()


def voided_contexts():
    c = Client(path)
    c.negotiate("structured")
    assert c.meta([b"base:allocation"], b"disk")[1]
    assert c.go(b"ro") == ACK and c.call(STATUS, 0, 512)[0] == EINVAL
    c = Client(path)
    c.negotiate("structured")
    assert c.meta([b"base:allocation"], b"disk")[1]
    assert c.meta([b"base:allocation"], b"nope")[0] == ERR["UNKNOWN"]
    assert c.go(b"disk") == ACK and c.call(STATUS, 0, 512)[0] == EINVAL


def holes():
    for mode in "structured", "extended":
        c = ready(mode)
        assert c.call(ZEROES, 0, MB)[0] == 0 and c.call(WRITE, MB, 1, 0, b"x")[0] == 0
        for flags, kind in (0, 2), (DF, 1):
            error, data, chunks = c.call(READ, 100, 65536, flags)
            assert error == 0 and [k for k, _ in chunks] == [kind]
            assert data == bytes(65536)
            assert kind == 1 or struct.unpack(">QI", chunks[0][1]) == (100, 65536)
        assert [k for k, _ in c.call(READ, MB - 1000, 1001)[2]] == [1]
    c = ready()
    assert c.call(READ, 0, 65536)[1] == bytes(65536)


def slow_reader():
    """Far more than the server may keep for one client: it stops reading us, and forgets nothing."""
    c = ready()
    n, size = 300, MB
    assert c.call(WRITE, 0, size, 0, b"s" * size)[0] == 0
    other = ready()
    c.put(b"".join(struct.pack(">IHHQQI", 0x25609513, 0, READ, i, 0, size) for i in range(n)))
    assert other.alive()			# nobody else notices
    seen = set()
    for i in range(n):
        error, data, _ = c.reply(size)
        assert error == 0 and data == b"s" * size
        seen.add(c.cookie)
    assert len(seen) == n


def half_close():
    c = ready()
    for i in range(20):
        c.request(READ, 0, 65536, cookie=i)
    c.s.shutdown(1)
    assert sorted((c.reply(65536)[0], c.cookie)[1] for i in range(20)) == list(range(20))
    assert c.closed()


def left_in_the_middle():
    for cut in 1, 27, 28, 1000, 40000:
        c = ready()
        c.put((struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 1, 0, 65536) + b"!" * 65536)[:cut])
        c.s.close()
    assert ready().alive()


def disconnect():
    c = ready()
    for i in range(10):
        c.request(WRITE, 0, 4096, 0, bytes(4096), cookie=i)
    c.request(DISC)
    assert sorted((c.reply()[0], c.cookie)[1] for i in range(10)) == list(range(10))
    assert c.closed()
    c = ready("structured")
    c.put(b"\x25\x60\x95\x14" + bytes(24))
    assert c.closed()


options()
option_limits()
one_byte_at_a_time()
requests_with_the_last_option()
for m in "simple", "structured", "extended":
    commands(m)
    read_only(m)
    failures(m)
contexts("structured")
extended()
voided_contexts()
holes()
slow_reader()
half_close()
left_in_the_middle()
disconnect()
print("protocol.py: all as it should be")
