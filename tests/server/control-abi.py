# SPDX-License-Identifier: BSD-2-Clause
"""The dm ioctls as the kernel answers them: sizes, flags, errnos, order of checks, buffer rules."""

import struct
import sys

from control import *

c = Control()


def check(got, expected):
    assert got == expected, "%r instead of %r" % (got, expected)


def test_version():
    a = c.dm(VERSION)
    check((a.error, a.version), (0, (4, 48, 0)))
    for wrong in ((3, 0, 0), (5, 0, 0), (4, 49, 0)):
        a = c.dm(VERSION, version=wrong)
        refused(a, "EINVAL")
        check(a.version, (4, 48, 0))
        assert "version" in c.own(REASON)[1]
    check(c.dm(VERSION, version=(4, 48, 99)).error, 0)
    check(c.raw(VERSION, struct.pack("=3I", 4, 0, 0)).body, struct.pack("=3I", 4, 48, 0))
    refused(c.raw(VERSION, b"\4\0\0\0"), "EFAULT")
    refused(c.raw(VERSION, b""), "EFAULT")


def test_commands_and_sizes():
    refused(c.dm(18), "ENOTTY")
    refused(c.dm(4095), "ENOTTY")
    check(c.raw(0x1fff).error, 25)
    refused(c.dm(DEV_STATUS, name="x", data_size=304), "EINVAL")
    refused(c.dm(TABLE_STATUS, name="x", data_size=(1 << 30) + 1), "EINVAL")
    refused(c.dm(TABLE_STATUS, name="x", data_size=400), "EFAULT")
    refused(c.raw(DEV_STATUS, header(name="x")[:300]), "EFAULT")
    # commands without a payload do not look beyond the header, whatever data_size says
    refused(c.dm(DEV_STATUS, name="x", data_size=16384), "ENXIO")
    refused(c.raw(DEV_STATUS, header(name="x", data_size=305)[:305]), "ENXIO")


def test_create():
    refused(c.dm(DEV_CREATE), "EINVAL")
    for name in ("a/b", ".", "..", "control"):
        refused(c.dm(DEV_CREATE, name=name), "EINVAL")
    a = c.ok(DEV_CREATE, name="a", uuid="U-1", flags=INACTIVE | UEVENT)
    check((a.name, a.uuid, a.flags, a.target_count, a.event_nr, a.open_count), ("a", "U-1", 0, 0, 0, 0))
    check(a.data_size, DATA_BYTES)
    check(a.dev, 253 << 8)
    refused(c.dm(DEV_CREATE, name="a"), "EBUSY")
    refused(c.dm(DEV_CREATE, name="b", uuid="U-1"), "EBUSY")
    a = c.ok(DEV_CREATE, name="b", flags=PERSISTENT, dev=(300 & 0xff) | 253 << 8 | (300 & ~0xff) << 12)
    check(a.dev, (300 & 0xff) | 253 << 8 | 256 << 12)
    refused(c.dm(DEV_CREATE, name="d", flags=PERSISTENT, dev=a.dev), "ENXIO")
    check(c.ok(DEV_CREATE, name="c").dev, 253 << 8 | 1)
    # a name that fills its field is cut at 127 bytes
    a = c.ok(DEV_CREATE, name="n" * 128)
    check(c.ok(DEV_STATUS, name="n" * 127).dev, a.dev)


def test_lookup():
    c.create("a", (0, 8, "zero", ""), uuid="U-1")
    by_name = c.ok(DEV_STATUS, name="a")
    for fields in ({"uuid": "U-1"}, {"dev": by_name.dev}):
        a = c.ok(DEV_STATUS, **fields)
        check((a.name, a.uuid, a.dev), ("a", "U-1", by_name.dev))
    refused(c.dm(DEV_STATUS, name="a", uuid="U-1"), "EINVAL")
    refused(c.dm(DEV_STATUS, name="a", dev=by_name.dev), "ENXIO")
    refused(c.dm(DEV_STATUS, uuid="U-1", dev=by_name.dev), "ENXIO")
    refused(c.dm(DEV_STATUS), "ENXIO")
    refused(c.dm(DEV_STATUS, dev=8 << 8), "ENXIO")
    refused(c.dm(DEV_STATUS, name="none"), "ENXIO")
    check(c.own(REASON), (0, "there is no device none"))


def test_load_and_flags():
    c.create("a")
    a = c.load("a", (0, 8, "zero", ""), (8, 8, "error", ""), flags=READONLY)
    check((a.error, a.flags & (ACTIVE | INACTIVE | READONLY), a.target_count), (0, INACTIVE, 0))
    a = c.ok(DEV_STATUS, name="a", flags=QUERY_INACTIVE)
    check((a.flags & (INACTIVE | READONLY), a.target_count), (INACTIVE | READONLY, 2))
    a = c.ok(DEV_SUSPEND, name="a")
    check((a.flags & (ACTIVE | INACTIVE | READONLY | SUSPEND | UEVENT), a.target_count), (ACTIVE | READONLY, 2))
    a = c.ok(DEV_SUSPEND, name="a", flags=SUSPEND)
    check(a.flags & SUSPEND, SUSPEND)
    check(c.ok(DEV_SUSPEND, name="a", flags=SUSPEND | NOFLUSH).error, 0)
    check(c.load("a", (0, 4, "zero", "")).flags & (INACTIVE | SUSPEND), INACTIVE | SUSPEND)
    check(c.ok(TABLE_CLEAR, name="a").flags & INACTIVE, 0)
    check(c.ok(TABLE_CLEAR, name="a").flags & INACTIVE, 0)
    check(c.ok(DEV_SUSPEND, name="a").flags & (SUSPEND | ACTIVE | READONLY), ACTIVE | READONLY)
    c.create("empty")
    c.ok(DEV_SUSPEND, name="empty", flags=SUSPEND)
    refused(c.dm(DEV_SUSPEND, name="empty"), "EINVAL")


def test_wrong_loads():
    c.create("a")

    def load(payload, count, **fields):
        return c.dm(TABLE_LOAD, name="a", payload=payload, count=count, **fields)

    good = table((0, 8, "zero", ""), (8, 8, "zero", ""))
    refused(load(good, 0), "EINVAL")
    refused(load(good, 3), "EINVAL")
    refused(load(good, 1048577), "EOVERFLOW")
    refused(load(good, 1000000), "EINVAL")
    refused(load(good, 2, data_start=304), "EINVAL")
    refused(load(good, 2, data_start=0), "EINVAL")
    refused(load(b"\0\0\0\0" + good, 2, data_start=316), "EINVAL")
    refused(load(good, 2, data_start=0xffffffff), "EINVAL")
    refused(load(good[:40], 1), "EINVAL")
    refused(load(SPEC.pack(0, 8, 0, 0, b"zero") + b"no end", 1), "EINVAL")
    for step in (0, 8, 40, 44, 4096, 0xfffffff8):
        refused(load(SPEC.pack(0, 8, 0, step, b"zero") + bytes(8) + table((8, 8, "zero", "")), 2), "EINVAL")
    refused(load(SPEC.pack(0, 8, 0, 48, b"0123456789abcdef") + bytes(8), 1), "EINVAL")
    check(c.ok(DEV_STATUS, name="a").flags & INACTIVE, 0)
    refused(c.load("a", (0, 8, "zero", ""), (9, 8, "zero", "")), "EINVAL")
    assert "Gap" in c.own(REASON)[1]
    check(load(good, 2, data_start=HEADER_BYTES).error, 0)
    check(load(bytes(32) + good, 2, data_start=344).error, 0)


def test_status_in_small_buffers():
    lines = [(0, 8, "zero", ""), (8, 8, "linear", "mem:1M 17"), (16, 8, "error", "")]
    c.create("a", *lines)
    whole = c.ok(TABLE_STATUS, name="a", flags=STATUS_TABLE, room=4096)
    check(whole.target_count, 3)
    at, seen = 0, []
    for _ in lines:
        start, length, _, following, kind = SPEC.unpack_from(whole.payload, at)
        text = whole.payload[at + SPEC.size:].split(b"\0")[0].decode()
        seen.append((start, length, kind.rstrip(b"\0").decode(), text))
        check(following % 8, 0)
        at = following
    check(seen, lines)
    # as much as there is room for, and the flag; one byte to spare is needed
    used = whole.data_size - HEADER_BYTES
    for room in range(0, used + 12):
        a = c.ok(TABLE_STATUS, name="a", flags=STATUS_TABLE, room=room)
        check(bool(a.flags & BUFFER_FULL), room <= used or room < (used + 7) // 8 * 8)
        assert a.data_size <= HEADER_BYTES + room, a.data_size
        check(a.target_count, 3)
    a = c.ok(TABLE_STATUS, name="a", flags=QUERY_INACTIVE | STATUS_TABLE, room=512)
    check((a.data_size, a.target_count), (DATA_BYTES, 0))
    refused(c.dm(TABLE_STATUS, name="b", room=512), "ENXIO")


def test_list_devices():
    a = c.ok(LIST_DEVICES, room=64)
    check((a.data_size, a.payload[:8]), (HEADER_BYTES, bytes(8)))
    check(c.ok(LIST_DEVICES, room=7).flags & BUFFER_FULL, BUFFER_FULL)
    c.create("b", uuid="LVM-b")
    c.create("a")
    c.create("abc", uuid="X")

    def entries(**fields):
        answer = c.ok(LIST_DEVICES, **fields)
        at, out = 0, []
        while answer.data_size > HEADER_BYTES:
            dev, following = struct.unpack_from("=QI", answer.payload, at)
            name = answer.payload[at + 12:].split(b"\0")[0].decode()
            tail = at + (12 + len(name) + 1 + 7) // 8 * 8
            event_nr, flags = struct.unpack_from("=II", answer.payload, tail)
            uuid = answer.payload[tail + 8:].split(b"\0")[0].decode() if flags & 1 else None
            out.append((name, dev, event_nr, flags, uuid))
            if not following:
                return out
            at += following
        return out

    check(entries(room=500), [("a", 253 << 8 | 1, 0, 0, None), ("abc", 253 << 8 | 2, 0, 0, None),
                              ("b", 253 << 8, 0, 0, None)])
    check([(e[0], e[3], e[4]) for e in entries(room=500, flags=UUID_FLAG)],
          [("a", 2, None), ("abc", 1, "X"), ("b", 1, "LVM-b")])
    check([e[0] for e in entries(room=500, name="a")], ["a", "abc"])
    check([e[0] for e in entries(room=500, uuid="LVM-")], ["b"])
    full = c.ok(LIST_DEVICES, room=500).data_size - HEADER_BYTES
    check(c.ok(LIST_DEVICES, room=full).flags & BUFFER_FULL, 0)
    a = c.ok(LIST_DEVICES, room=full - 1)
    check((a.flags & BUFFER_FULL, a.data_size), (BUFFER_FULL, DATA_BYTES))


def versions(answer):
    at, out = 0, {}
    while True:
        following, *version = struct.unpack_from("=4I", answer.payload, at)
        out[answer.payload[at + 16:].split(b"\0")[0].decode()] = tuple(version)
        if not following:
            return out
        check(following % 8, 0)
        at += following


def test_versions():
    check(c.ok(LIST_VERSIONS, room=16).flags & BUFFER_FULL, BUFFER_FULL)
    all_of_them = versions(c.ok(LIST_VERSIONS, room=16384))
    check(all_of_them["linear"], (1, 4, 0))
    assert len(all_of_them) >= 10
    for name, version in all_of_them.items():
        check(versions(c.ok(GET_TARGET_VERSION, name=name, room=100)), {name: version})
    refused(c.dm(GET_TARGET_VERSION, name="nosuch", room=100), "EINVAL")
    refused(c.dm(GET_TARGET_VERSION, room=100), "EINVAL")
    # the padding is reserved in full
    check(c.ok(GET_TARGET_VERSION, name="zero", room=28).data_size, HEADER_BYTES + 16 + 5 + 7)
    check(c.ok(GET_TARGET_VERSION, name="zero", room=27).flags & BUFFER_FULL, BUFFER_FULL)


def test_rename():
    def rename(name, new, **fields):
        return c.dm(DEV_RENAME, name=name, payload=new.encode() + b"\0", **fields)

    c.create("a", (0, 8, "zero", ""))
    c.create("b", uuid="U-b")
    refused(rename("a", "b"), "EBUSY")
    refused(rename("none", "b"), "EBUSY")
    refused(rename("none", "c"), "ENXIO")
    refused(rename("a", "a"), "EBUSY")
    for wrong in ("", "x/y", "..", "n" * 128):
        refused(rename("a", wrong), "EINVAL")
    refused(c.dm(DEV_RENAME, name="a", payload=b"noend"), "EINVAL")
    refused(c.dm(DEV_RENAME, name="a", payload=b"x\0", data_start=300), "EINVAL")
    refused(c.dm(DEV_RENAME, name="a", payload=b"x\0", data_start=5000), "EINVAL")
    refused(c.dm(DEV_RENAME, uuid="U-b", payload=b"x\0"), "ENXIO")
    a = rename("a", "c")
    check((a.error, a.name, a.event_nr, a.flags & UEVENT), (0, "a", 1, 0))
    refused(rename("b", "U-2", flags=UUID_FLAG), "EINVAL")
    refused(rename("c", "U-b", flags=UUID_FLAG), "EBUSY")
    check(rename("c", "u" * 128, flags=UUID_FLAG).error, 0)
    check(c.ok(DEV_STATUS, uuid="u" * 128).name, "c")


def test_remove():
    c.create("low", (0, 8, "zero", ""))
    c.create("mid", (0, 8, "linear", "/dev/mapper/low 0"))
    c.create("top", (0, 8, "linear", "/dev/mapper/mid 0"))
    check(c.ok(DEV_STATUS, name="low").open_count, 1)
    refused(c.dm(DEV_REMOVE, name="low"), "EBUSY")
    check(c.own(REASON)[1], "the device is in use by device mid")
    a = c.ok(DEV_REMOVE, name="low", flags=DEFERRED)
    check(a.flags & DEFERRED, DEFERRED)
    check(c.ok(DEV_STATUS, name="low").flags & DEFERRED, DEFERRED)
    check(c.own(HOLDERS, "low"), (0, "device mid\n"))
    a = c.ok(DEV_REMOVE, name="top", flags=DEFERRED)
    check(a.flags & DEFERRED, 0)
    c.ok(DEV_REMOVE, name="mid")
    refused(c.dm(DEV_STATUS, name="low"), "ENXIO")
    refused(c.dm(DEV_REMOVE, name="low"), "ENXIO")


def test_remove_all():
    c.create("low", (0, 8, "zero", ""))
    c.create("mid", (0, 8, "linear", "/dev/mapper/low 0"))
    c.create("a-top", (0, 8, "linear", "/dev/mapper/mid 0"))
    a = c.ok(REMOVE_ALL, event_nr=7)
    check((a.event_nr, a.data_size), (7, HEADER_BYTES))     # the header comes back as it went
    check(c.ok(LIST_DEVICES, room=100).data_size, HEADER_BYTES)


def test_deps():
    c.create("low", (0, 8, "zero", ""))
    c.create("a", (0, 8, "linear", "mem:1M 0"), (8, 8, "linear", "253:0 0"), (16, 8, "linear", "253:0 0"))
    a = c.ok(TABLE_DEPS, name="a", room=100)
    count, = struct.unpack_from("=I", a.payload)
    devs = struct.unpack_from("=%dQ" % count, a.payload, 8)
    check((count, devs[0], a.data_size), (2, 253 << 8, HEADER_BYTES + 8 + 16))
    check(c.ok(TABLE_DEPS, name="a", room=23).flags & BUFFER_FULL, BUFFER_FULL)
    check(c.ok(TABLE_DEPS, name="a", room=24).flags & BUFFER_FULL, 0)
    check(c.ok(TABLE_DEPS, name="a", room=24, flags=QUERY_INACTIVE).data_size, DATA_BYTES)


def message(name, sector, text, room=200, **fields):
    return c.dm(TARGET_MSG, name=name, payload=struct.pack("=Q", sector) + text.encode() + b"\0", room=room, **fields)


def test_messages():
    c.create("empty")
    c.create("a", (0, 8, "zero", ""), (8, 8, "switch", "1 8 0 mem:1M 0"))
    refused(message("none", 0, "x"), "ENXIO")
    for text in ("", "   "):
        refused(message("a", 0, text), "EINVAL")
    refused(message("empty", 0, "x"), "EINVAL")
    refused(message("a", 16, "x"), "EINVAL")
    refused(message("a", 0, "x"), "EINVAL")
    refused(message("a", 0, "@nosuch"), "EINVAL")
    refused(c.dm(TARGET_MSG, name="a", payload=b"\0" * 8), "EINVAL")
    refused(c.dm(TARGET_MSG, name="a", payload=b"\0" * 8 + b"noend"), "EINVAL")
    refused(c.dm(TARGET_MSG, name="a", payload=b"\0" * 12, data_start=296), "EINVAL")
    a = message("a", 8, "set_region_mappings 0:0")
    check((a.error, a.flags & DATA_OUT, a.data_size), (0, 0, DATA_BYTES))
    check(message("empty", 0, "@cancel_deferred_remove").error, 0)
    refused(message("empty", 0, "@cancel_deferred_remove now"), "EINVAL")
    a = message("a", 0, "@stats_create - /1")
    check((a.error, a.flags & (DATA_OUT | BUFFER_FULL), a.payload[:2]), (0, DATA_OUT, b"0\0"))
    check(a.data_size, HEADER_BYTES + 2)
    # a reply has to leave one byte of the buffer over
    a = message("a", 0, "@stats_list", room=0)
    reply = message("a", 0, "@stats_list").payload.split(b"\0")[0]
    own = 8 + len("@stats_list") + 1
    for room in range(0, 12):
        a = message("a", 0, "@stats_list", room=room)
        check(bool(a.flags & BUFFER_FULL), len(reply) + 1 >= own + room)


def test_geometry():
    def geometry(text, **fields):
        return c.dm(DEV_SET_GEOMETRY, name="a", payload=text.encode() + b"\0", **fields)

    c.create("a", (0, 8, "zero", ""))
    for wrong in ("", "1 2 3", "1 2 3 4 5", "65536 1 1 0", "1 256 1 0", "1 1 256 0", "1 1 1 2", "-1 1 1 0", "x 1 1 0",
                  "1 1 1 0 "):
        refused(geometry(wrong), "EINVAL")
    for right in ("1 1 1 0", "65535 255 255 0", "  2 3\t4 24"):
        a = geometry(right)
        check((a.error, a.data_size > HEADER_BYTES), (0, True))     # the header comes back as it went
    refused(c.dm(DEV_SET_GEOMETRY, name="none", payload=b"1 1 1 0\0"), "ENXIO")


def test_read_ahead():
    c.create("a")
    check(c.own(READ_AHEAD, "a")[0], 2)
    refused(Answer(c.own(READ_AHEAD, "none")[0], b""), "ENXIO")
    c.load("a", (0, 8, "zero", ""))
    check(c.own(READ_AHEAD, "a"), (0, "256\n"))
    check(c.own(READ_AHEAD, "a 512"), (0, "512\n"))
    check(c.own(READ_AHEAD, "a x")[0], 22)
    c.ok(TABLE_CLEAR, name="a")
    check(c.own(READ_AHEAD, "a"), (0, "512\n"))
    c.ok(DEV_REMOVE, name="a")
    c.create("a", (0, 8, "zero", ""))
    check(c.own(READ_AHEAD, "a"), (0, "256\n"))


def test_plan_and_apply():
    yaml = "version: 1\nvolumes:\n  top: {linear: {length: 8, device: low}}\n  low: {zero: {length: 8}}\n"
    check(c.own(PLAN, yaml), (0, "create low\ncreate top\n"))
    check(c.ok(LIST_DEVICES, room=99).data_size, HEADER_BYTES)
    check(c.own(APPLY, yaml), (0, "create low\ncreate top\n"))
    check(c.own(APPLY, yaml), (0, "keep low\nkeep top\n"))
    error, _ = c.own(APPLY, "version: 1\nvolumes: {low: {zero: {length: x}}}")
    check(error, 22)
    reason = c.own(REASON)[1]
    assert ":2:32: zero: length" in reason, reason
    check(c.own(APPLY, "version: 1\n"), (0, "remove low\nremove top\n"))
    check(c.own(PLAN, "")[0], 2)


def test_explain_and_describe():
    import json
    c.create("a", (0, 8, "linear", "mem:1M 5"))
    got = json.loads(c.own(EXPLAIN, "a")[1])
    check(got["table"][0]["arguments"], {"device": "mem:1M", "offset": 5})
    check(json.loads(c.own(EXPLAIN, "a inactive")[1])["table"], [])
    check(c.own(EXPLAIN, "none")[0], 6)
    assert "device" in c.own(DESCRIBE, "linear")[1]
    json.loads(c.own(DESCRIBE, "")[1])
    check(c.own(DESCRIBE, "nosuch")[0], 2)


for name, fn in list(globals().items()):
    if name.startswith("test_"):
        try:
            fn()
        except Exception:
            print(name, "failed:")
            raise
        c.ok(REMOVE_ALL)
        check(c.ok(LIST_DEVICES, room=99).data_size, HEADER_BYTES)
print("all as the kernel does it")
