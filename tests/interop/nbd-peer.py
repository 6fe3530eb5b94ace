#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""An NBD server with manners of its own: nbd-peer.py SOCKET [SEED]

Serves exports of 1 MiB in which byte N is (N * 7 + N // 4096) mod 256.  What is asked of it is answered
rightly until the sector that an export's manners are about is read:

  right            structured replies in one piece, or simple ones (right-simple)
  dribble          any reply a few bytes at a time
  pieces           a read in many chunks, out of order, with others' in between, zeroes as holes
  garbage, nothing, twice, short, long, beyond, before, hole, chunk, tiny, status, simple, early, random
                   what no server may say; random: right replies with a byte changed here and there
  simple-short, simple-twice
                   the same in simple replies, over a connection that is for data alone
"""
import os
import random
import socket
import struct
import sys
import threading

SIZE = 1 << 20
DATA = bytes((n * 7 + n // 4096) % 256 for n in range(SIZE))
DATA = DATA[:512 * 1024] + bytes(65536) + DATA[512 * 1024 + 65536:]
CHUNK, SIMPLE = 0x668E33EF, 0x67446698


class Gone(Exception):
    pass


def read(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise Gone
        data += more
    return data


def chunk(cookie, kind, body, done=False):
    return struct.pack(">IHHQI", CHUNK, done, kind, cookie, len(body)) + body


def simple(cookie, error=0, body=b""):
    return struct.pack(">IIQ", SIMPLE, error, cookie) + body


def data_chunk(cookie, at, body, done=False):
    return chunk(cookie, 1, struct.pack(">Q", at) + body, done)


def right(cookie, at, n):
    return [data_chunk(cookie, at, DATA[at:at + n]), chunk(cookie, 0, b"", True)]


def pieces(cookie, at, n, dice):
    out, begin = [], at
    while begin < at + n:
        end = min(at + n, begin + dice.choice((1, 511, 512, 4096, 70000)))
        body = DATA[begin:end]
        out.append(chunk(cookie, 2, struct.pack(">QI", begin, len(body))) if not any(body)
                   else data_chunk(cookie, begin, body))
        begin = end
    dice.shuffle(out)
    return out + [chunk(cookie, 0, b"", True)]


def wrong(how, cookie, at, n):
    body = DATA[at:at + n]
    return {
        "garbage": [os.urandom(64)],
        "nothing": [chunk(cookie ^ 1 << 40, 0, b"", True)],
        "twice": right(cookie, at, n) + right(cookie, at, n),
        "short": [data_chunk(cookie, at, body[:-1], True)],
        "long": [data_chunk(cookie, at, body + b"x", True)],
        "beyond": [data_chunk(cookie, at + 1, body, True)],
        "before": [data_chunk(cookie, at - 1 if at else (1 << 64) - 1, body, True)],
        "hole": [chunk(cookie, 2, struct.pack(">QI", at, n + 1), True)],
        "chunk": [chunk(cookie, 9, b"12345678", True)],
        "tiny": [chunk(cookie, 1, b"12345678", True)],
        "status": [chunk(cookie, 5, struct.pack(">III", 1, n, 0), True)],
        "simple": [simple(cookie, 0, body)],
        "early": [chunk(cookie, 0, b"", True)],
    }[how]


class Client:
    def __init__(self, s, dice):
        self.s, self.dice, self.waiting = s, dice, []

    def options(self):
        self.s.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        read(self.s, 4)
        self.structured = False
        while True:
            _, option, length = struct.unpack(">QII", read(self.s, 16))
            body = read(self.s, length)

            def answer(kind, body=b""):
                self.s.sendall(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(body)) + body)
            if option in (6, 7):
                name = struct.unpack(">I", body[:4])[0]
                self.how = body[4:4 + name].decode()
                # where connections see each other's writes, data have some with simple replies
                multi = 1 << 8 if self.how in ("right", "simple-short", "simple-twice") else 0
                answer(3, struct.pack(">HQH", 0, SIZE, 1 | 1 << 2 | 1 << 3 | 1 << 5 | multi))
                answer(1)
                if option == 7:
                    return
            elif option == 8 and not self.how_simple():
                self.structured = True
                answer(1)
            elif option == 10 and self.structured:
                answer(4, struct.pack(">I", 1) + b"base:allocation")
                answer(1)
            elif option == 2:
                answer(1)
                raise Gone
            else:
                answer(0x80000001)

    def how_simple(self):
        return SIMPLE_ONLY

    def send(self, data):
        if self.how == "dribble":
            while data:
                n = self.dice.choice((1, 3, 15, 16, 17, 28, 5000))
                self.s.sendall(data[:n])
                data = data[n:]
        else:
            self.s.sendall(data)

    def reply(self, kind, cookie, at, n):
        if kind == 7:
            return [chunk(cookie, 5, struct.pack(">III", 1, n, 0), True)]
        if kind:
            return [chunk(cookie, 0, b"", True) if self.structured else simple(cookie)]
        if not self.structured and self.how == "simple-twice" and at >= 65536:
            return [simple(cookie, 0, DATA[at:at + n])] * 2
        if not self.structured and self.how == "simple-short" and at >= 65536:
            self.s.sendall(simple(cookie, 0, DATA[at:at + n - 1]))
            raise Gone
        if not self.structured:
            return [simple(cookie, 0, DATA[at:at + n])]
        if self.how == "pieces":
            return pieces(cookie, at, n, self.dice)
        if at < 65536 or self.how in ("right", "dribble", "random"):
            return right(cookie, at, n)
        return wrong(self.how, cookie, at, n)

    def serve(self):
        self.options()
        print(self.how, file=sys.stderr, flush=True)
        while True:
            magic, flags, kind, cookie, at, n = struct.unpack(">IHHQQI", read(self.s, 28))
            assert magic == 0x25609513
            if kind == 1:
                read(self.s, n)
            if kind == 2:
                return
            parts = self.reply(kind, cookie, at, n)
            if self.how == "pieces":		# with those of another request in between
                self.waiting.append(parts)
                if len(self.waiting) < 4 and self.more():
                    continue
                while self.waiting:
                    one = self.dice.choice(self.waiting)
                    self.send(one.pop(0))
                    self.waiting = [w for w in self.waiting if w]
                continue
            data = bytearray(b"".join(parts))
            if self.how == "random" and self.dice.random() < 0.3:
                data[self.dice.randrange(min(len(data), 40))] ^= 1 << self.dice.randrange(8)
            self.send(bytes(data))

    def more(self):
        self.s.settimeout(0.02)
        try:
            return self.s.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        finally:
            self.s.settimeout(None)


def serve(s, seed):
    try:
        Client(s, random.Random(seed)).serve()
    except (Gone, OSError):
        pass
    s.close()


SIMPLE_ONLY = os.environ.get("SIMPLE_ONLY", "") != ""
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
number = int(sys.argv[2]) if len(sys.argv) > 2 else 1
while True:
    connection, _ = listener.accept()
    number += 1
    threading.Thread(target=serve, args=(connection, number), daemon=True).start()
