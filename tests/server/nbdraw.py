# SPDX-License-Identifier: BSD-2-Clause
"""An NBD client that can be made to say anything: bytes in, bytes out, and a few words for them."""
import socket
import struct

OPT = dict(EXPORT_NAME=1, ABORT=2, LIST=3, PEEK=4, STARTTLS=5, INFO=6, GO=7, STRUCTURED=8,
           LIST_META=9, SET_META=10, EXTENDED=11)
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD = 1, 2, 4, 8, 16, 32
ACK, SERVER, INFO, META = 1, 2, 3, 4
ERR = dict(UNSUP=0x80000001, POLICY=0x80000002, INVALID=0x80000003, PLATFORM=0x80000004,
           TLS_REQD=0x80000005, UNKNOWN=0x80000006, SHUTDOWN=0x80000007, TOO_BIG=0x80000009,
           EXT_HEADER_REQD=0x8000000A)
EPERM, EIO, EINVAL, ENOSPC, ENOTSUP, ESHUTDOWN = 1, 5, 22, 28, 95, 108


class Closed(Exception):
    pass


class Client:
    def __init__(self, path, flags=3, timeout=20):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(timeout)
        self.s.connect(path)
        self.mode = "simple"
        assert self.take(18) == b"NBDMAGICIHAVEOPT\0\3"
        if flags is not None:
            self.put(struct.pack(">I", flags))

    def put(self, data):
        try:
            self.s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def take(self, n):
        data = b""
        while len(data) < n:
            try:
                more = self.s.recv(n - len(data))
            except ConnectionResetError:
                raise Closed from None
            if not more:
                raise Closed
            data += more
        return data

    def closed(self):
        """The server closes, and says nothing more before it does."""
        try:
            return self.take(1) is None
        except Closed:
            return True

    # options

    def option(self, number, data=b""):
        self.put(b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data)
        replies = []
        while True:
            magic, option, kind, length = struct.unpack(">QIII", self.take(20))
            assert magic == 0x3E889045565A9 and option == number
            body = self.take(length)
            if kind == ACK or kind & 0x80000000:
                return kind, replies
            replies.append((kind, body))

    def go(self, name=b"", infos=(3,), option=OPT["GO"]):
        data = struct.pack(">I", len(name)) + name + struct.pack(">H", len(infos))
        kind, replies = self.option(option, data + b"".join(struct.pack(">H", i) for i in infos))
        self.infos = {struct.unpack(">H", b[:2])[0]: b[2:] for k, b in replies if k == INFO}
        if kind == ACK:
            self.size, self.flags = struct.unpack(">QH", self.infos[0])
        return kind

    def negotiate(self, mode):
        self.mode = mode
        if mode == "structured":
            assert self.option(OPT["STRUCTURED"])[0] == ACK
        elif mode == "extended":
            assert self.option(OPT["EXTENDED"])[0] == ACK

    def meta(self, queries, name=b"", option=OPT["SET_META"]):
        data = struct.pack(">I", len(name)) + name + struct.pack(">I", len(queries))
        data += b"".join(struct.pack(">I", len(q)) + q for q in queries)
        kind, replies = self.option(option, data)
        return kind, {b[4:].decode(): struct.unpack(">I", b[:4])[0] for k, b in replies if k == META}

    # requests

    def request(self, kind, offset=0, length=0, flags=0, data=b"", cookie=7):
        if self.mode == "extended":
            head = struct.pack(">IHHQQQ", 0x21E41C71, flags, kind, cookie, offset, length)
        else:
            head = struct.pack(">IHHQQI", 0x25609513, flags, kind, cookie, offset, length)
        self.put(head + data)

    def reply(self, length=0):
        """-> error, data, chunks; `length` bytes follow a simple reply without error"""
        chunks, data, error = [], b"", 0
        while True:
            magic = struct.unpack(">I", self.take(4))[0]
            if magic == 0x67446698:
                assert self.mode != "extended"
                error, self.cookie = struct.unpack(">IQ", self.take(12))
                return error, b"" if error else self.take(length), []
            if magic == 0x668E33EF:
                assert self.mode == "structured"
                flags, kind, self.cookie, n = struct.unpack(">HHQI", self.take(16))
            else:
                assert magic == 0x6E8A278C and self.mode == "extended", hex(magic)
                flags, kind, self.cookie, self.offset, n = struct.unpack(">HHQQQ", self.take(28))
            body = self.take(n)
            chunks.append((kind, body))
            if kind & 0x8000:
                error, text = struct.unpack(">IH", body[:6])
                assert error and len(body) == 6 + text + (8 if kind == 0x8002 else 0)
            elif kind == 1:
                assert n > 8
                data += body[8:]
            elif kind == 2:
                assert n == 12
                data += bytes(struct.unpack(">I", body[8:])[0])
            if flags & 1:
                return error, data, chunks

    def call(self, kind, offset=0, length=0, flags=0, data=b""):
        if self.mode == "extended" and kind == WRITE:
            flags |= PAYLOAD
        self.request(kind, offset, length, flags, data)
        return self.reply(length if kind == READ else 0)

    def alive(self):
        return self.call(READ, 0, 512)[0] == 0

    def extents(self, chunks):
        """-> {context id: [(length, flags)]}"""
        found = {}
        for kind, body in chunks:
            if kind == 5:
                context, rest = struct.unpack(">I", body[:4])[0], body[4:]
                found[context] = list(struct.iter_unpack(">II", rest))
            elif kind == 6:
                context, n = struct.unpack(">II", body[:8])
                found[context] = list(struct.iter_unpack(">QQ", body[8:]))
                assert len(found[context]) == n
        return found
