# SPDX-License-Identifier: BSD-2-Clause
"""The client's side of the management socket, as bare as the wire (include/ndm-control.h)."""

import errno
import os
import socket
import struct

(VERSION, REMOVE_ALL, LIST_DEVICES, DEV_CREATE, DEV_REMOVE, DEV_RENAME, DEV_SUSPEND, DEV_STATUS, DEV_WAIT,
 TABLE_LOAD, TABLE_CLEAR, TABLE_DEPS, TABLE_STATUS, LIST_VERSIONS, TARGET_MSG, DEV_SET_GEOMETRY, DEV_ARM_POLL,
 GET_TARGET_VERSION) = range(18)
OWN_VERSION, REASON, LISTENERS, EXPORTS, PLAN, APPLY, EXPLAIN, DESCRIBE, HOLDERS, BACKINGS, READ_AHEAD = \
    range(0x1000, 0x100b)
EVENT = 0xffffffff

READONLY, SUSPEND, PERSISTENT, STATUS_TABLE, ACTIVE, INACTIVE = 1, 2, 8, 16, 32, 64
BUFFER_FULL, SKIP_LOCKFS, NOFLUSH, QUERY_INACTIVE, UEVENT = 1 << 8, 1 << 10, 1 << 11, 1 << 12, 1 << 13
UUID_FLAG, SECURE, DATA_OUT, DEFERRED = 1 << 14, 1 << 15, 1 << 16, 1 << 17

HEAD = struct.Struct("=3I2IIiIIIQ128s129s7s")
HEADER_BYTES, DATA_BYTES = 312, 305
SPEC = struct.Struct("=QQiI16s")


class Answer:
    def __init__(self, error, body):
        self.error, self.body = error, body
        if len(body) >= HEADER_BYTES:
            f = HEAD.unpack_from(body)
            (self.version, self.data_size, self.data_start, self.target_count, self.open_count, self.flags,
             self.event_nr, self.dev) = f[:3], f[3], f[4], f[5], f[6], f[7], f[8], f[10]
            self.name, self.uuid = (t.split(b"\0")[0].decode() for t in f[11:13])

    @property
    def payload(self):
        return self.body[self.data_start:]


def header(name="", uuid="", flags=0, dev=0, data_size=None, data_start=HEADER_BYTES, count=0, event_nr=0,
           version=(4, 0, 0), payload=b"", room=0):
    size = HEADER_BYTES + len(payload) + room if data_size is None else data_size
    return HEAD.pack(*version, size, data_start, count, 0, flags, event_nr, 0, dev, name.encode(), uuid.encode(),
                     b"") + payload + bytes(room)


def table(*lines):
    """Lines (start, length, type, arguments) as the payload of DM_TABLE_LOAD."""
    out = []
    for start, length, kind, args in lines:
        text = args.encode() + b"\0"
        text += bytes(-len(text) % 8)
        out.append(SPEC.pack(start, length, 0, SPEC.size + len(text), kind.encode()) + text)
    return b"".join(out)


class Control:
    def __init__(self, path=None):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path or os.environ["NDM_CONTROL"])

    def send(self, command, body=b"", length=None):
        self.sock.sendall(struct.pack("=II", command, len(body) if length is None else length) + body)

    def receive_bytes(self, n):
        data = bytearray()
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError("ndmd has closed the connection")
            data += more
        return bytes(data)

    def receive(self):
        error, length = struct.unpack("=II", self.receive_bytes(8))
        return Answer(error, self.receive_bytes(length))

    def raw(self, command, body=b""):
        self.send(command, body)
        return self.receive()

    def dm(self, command, **fields):
        return self.raw(command, header(**fields))

    def own(self, command, text=""):
        answer = self.raw(command, text.encode())
        return answer.error, answer.body.decode()

    def ok(self, command, **fields):
        answer = self.dm(command, **fields)
        assert answer.error == 0, "%d: %s: %s" % (command, errno.errorcode.get(answer.error), self.own(REASON)[1])
        return answer

    def load(self, name, *lines, flags=0):
        return self.dm(TABLE_LOAD, name=name, payload=table(*lines), count=len(lines), flags=flags)

    def create(self, name, *lines, uuid=""):
        self.ok(DEV_CREATE, name=name, uuid=uuid)
        if lines:
            answer = self.load(name, *lines)
            assert answer.error == 0, self.own(REASON)
            self.ok(DEV_SUSPEND, name=name)

    def close(self):
        self.sock.close()


def refused(answer, name):
    got = errno.errorcode.get(answer.error, answer.error)
    assert got == name, "%s instead of %s" % (got, name)
