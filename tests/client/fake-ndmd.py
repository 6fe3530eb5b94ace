#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A control server without any storage behind it: the devices live in a dictionary.

fake-ndmd.py SOCKET [SEED]

It answers the commands of include/ndm-control.h so that the client and the preload library
can be tested alone.  Tables are only checked for what the client can get wrong: order,
length and the name of the target type.  It ends with SIGTERM.  With a SEED it changes bytes of
its answers at random, or cuts them short: a client may be misled by that, but must not break.
"""
import errno
import json
import os
import random
import re
import socket
import struct
import sys
import threading

HEAD = struct.Struct("=3IIIIiIIIQ128s129s7s")
SPEC = struct.Struct("=QQiI16s")
READONLY, SUSPEND, STATUS_TABLE = 1, 2, 1 << 4
ACTIVE, INACTIVE, FULL, QUERY_INACTIVE = 1 << 5, 1 << 6, 1 << 8, 1 << 12
UEVENT, UUID, DATA_OUT, DEFERRED = 1 << 13, 1 << 14, 1 << 16, 1 << 17
MAJOR, BACKING_MAJOR = 253, 240
TARGETS = {"linear": (1, 4, 0), "zero": (1, 2, 0), "error": (1, 7, 0), "striped": (1, 6, 0),
           "crypt": (1, 28, 0), "integrity": (1, 14, 0)}


class Refused(Exception):
    def __init__(self, number, reason=""):
        self.number, self.reason = number, reason


class Table:
    def __init__(self, lines, readonly):
        self.lines, self.readonly = lines, readonly
        self.size = sum(n for _, n, _, _ in lines)


class Device:
    def __init__(self, name, uuid, minor):
        self.name, self.uuid, self.minor = name, uuid, minor
        self.live = self.inactive = None
        self.suspended = self.deferred = False
        self.event, self.read_ahead, self.regions = 0, None, {}


class World:
    def __init__(self):
        self.devices, self.backings = {}, {}
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)

    # -- looking up ---------------------------------------------------------
    def find(self, name, uuid, dev):
        if uuid and name:
            raise Refused(errno.EINVAL)
        for d in self.devices.values():
            if uuid and d.uuid == uuid or name and d.name == name or not uuid and not name and dev and \
               (dev >> 8 & 0xfff, dev & 0xff | dev >> 12 & 0xfff00) == (MAJOR, d.minor):
                return d
        raise Refused(errno.ENXIO)

    def uses(self, table):
        """What a table opens, most recent first: numbers of devices."""
        found = []
        for _, _, kind, params in (table.lines if table else []):
            for word in params.split() if kind in ("linear", "striped", "crypt", "integrity") else []:
                m = re.match(r"%d:(\d+)$" % MAJOR, word)
                name = word[12:] if word.startswith("/dev/mapper/") else None
                d = next((d for d in self.devices.values() if name == d.name or m and int(m.group(1)) == d.minor), None)
                if d:
                    number = (MAJOR, d.minor)
                elif word.startswith("/"):
                    number = (BACKING_MAJOR, self.backings.setdefault(word, len(self.backings)))
                else:
                    continue
                if number not in found:
                    found.insert(0, number)
        return found

    def opens(self, d):
        return sum((MAJOR, d.minor) in self.uses(t) for u in self.devices.values() for t in {u.live, u.inactive} - {None})

    def event(self, d):
        d.event += 1
        self.changed.notify_all()


def garbled(dice, number, answer):
    data = bytearray(answer)
    for _ in range(dice.choice([0, 0, 1, 1, 2, 8])):
        if data:
            # mostly where it hurts: the head's counts and offsets, and the first entries
            at = dice.randrange(min(len(data), dice.choice([48, 360, 1 << 20])))
            data[at] = dice.choice([0, 1, 0x7f, 0x80, 0xff, dice.randrange(256)])
    if dice.random() < .1:
        data = data[:dice.randrange(len(data) + 1)]
    return number if dice.random() < .95 else dice.choice([0, 5, 4095, 70000]), bytes(data)


class Session(threading.Thread):
    def __init__(self, world, conn, garble=None):
        super().__init__(daemon=True)
        self.world, self.conn, self.reason, self.garble = world, conn, "", garble

    def receive(self, n):
        data = b""
        while len(data) < n:
            more = self.conn.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def run(self):
        try:
            while True:
                command, length = struct.unpack("=II", self.receive(8))
                body = self.receive(length)
                number, answer = self.answer(command, body)
                if self.garble:
                    number, answer = garbled(self.garble, number, answer)
                self.conn.sendall(struct.pack("=II", number, len(answer)) + answer)
        except (EOFError, OSError):
            pass

    def answer(self, command, body):
        try:
            with self.world.lock:
                if command >= 0x1000:
                    return 0, self.own(command, body.decode()).encode()
                self.reason = ""
                return 0, self.ioctl(command, body)
        except (IndexError, KeyError, ValueError):  # a request without sense
            return errno.EINVAL, body
        except Refused as r:
            if command < 0x1000:
                self.reason = r.reason
                return r.number, body
            return r.number, b""

    # -- commands of our own ------------------------------------------------
    def own(self, command, text):
        w = self.world
        if command == 0x1000:
            return "ndmd fake\n"
        if command == 0x1001:
            return self.reason
        if command == 0x1002:
            return "nbd+unix:///?socket=/run/fake/nbd.sock\n"
        if command == 0x1003:
            return "".join("%s\t%s\t%d\t%s\t0\t\n" % (d.name, d.name, d.live.size * 512, "ro" if d.live.readonly else "rw")
                           for d in w.devices.values() if d.live)
        if command in (0x1004, 0x1005):
            return "".join("create %s\n" % m for m in re.findall(r"^  (\w+):", text, re.M))
        if command == 0x1006:
            d = w.find(text.split()[0], "", 0)
            return json.dumps({"device": d.name})
        if command == 0x1007:
            return '{"targets": [%s]}' % ", ".join('"%s"' % t for t in TARGETS if text in ("", t))
        if command == 0x1008:
            d = w.find(text, "", 0)
            return "".join("device %s\n" % u.name for u in w.devices.values()
                           for t in {u.live, u.inactive} - {None} if (MAJOR, d.minor) in w.uses(t))
        if command == 0x1009:
            return "".join("%d:%d\t%s\n" % (BACKING_MAJOR, n, p) for p, n in w.backings.items())
        if command == 0x100a:
            words = text.split()
            d = w.find(words[0], "", 0)
            if d.read_ahead is None:
                raise Refused(errno.ENOENT)
            if len(words) > 1:
                d.read_ahead = int(words[1])
            return "%d\n" % d.read_ahead
        raise Refused(errno.EOPNOTSUPP)

    # -- the kernel's -------------------------------------------------------
    def ioctl(self, nr, body):
        head = HEAD.unpack_from(body)
        self.size, self.start, self.count = head[3], head[4], head[5]
        self.flags, self.event_nr, self.dev = head[7], head[8], head[10]
        self.name, self.uuid = (x.split(b"\0")[0].decode("latin-1") for x in head[11:13])
        self.payload = body[self.start:]
        names = ["version", "remove_all", "names", "create", "remove", "rename", "suspend", "info", "wait", "load",
                 "clear", "deps", "status", "versions", "message", "geometry", "arm", "target_version"]
        if nr >= len(names):
            raise Refused(errno.ENOTTY)
        self.out_flags = 0
        out = getattr(self, "do_" + names[nr])()
        d, data, count = out if isinstance(out, tuple) else (out, b"", 0)
        return self.build(d, data, count)

    def build(self, d, data, count):
        w, flags, name, uuid, opens, event, dev = self.world, self.flags & ~FULL, self.name, self.uuid, 0, 0, 0
        if d:
            table = d.inactive if self.flags & QUERY_INACTIVE else d.live
            flags &= ~(READONLY | SUSPEND | ACTIVE | INACTIVE | DEFERRED)
            flags |= (SUSPEND if d.suspended else 0) | (ACTIVE if d.live else 0) | (INACTIVE if d.inactive else 0)
            flags |= (READONLY if table and table.readonly else 0) | (DEFERRED if d.deferred else 0)
            name, uuid, opens, event = d.name, d.uuid, w.opens(d), d.event
            dev = MAJOR << 8 | d.minor & 0xff | (d.minor & ~0xff) << 12
            count = count or (len(table.lines) if table else 0)
        flags |= self.out_flags
        if HEAD.size + len(data) > self.size:
            flags, data = flags | FULL, b""
        head = HEAD.pack(4, 48, 0, max(HEAD.size + len(data), HEAD.size), HEAD.size, count, opens, flags, event, 0, dev,
                         name.encode("latin-1"), uuid.encode("latin-1"), b"")
        return head + data

    def lookup(self):
        return self.world.find(self.name, self.uuid, self.dev)

    def text(self):
        return self.payload.split(b"\0")[0].decode("latin-1")

    def do_version(self):
        return None

    def do_names(self):
        out, last = b"", b""
        for d in sorted(self.world.devices.values(), key=lambda d: d.name.encode("latin-1")):
            name = d.name.encode("latin-1") + b"\0"
            entry = struct.pack("=QI", MAJOR << 8 | d.minor & 0xff | (d.minor & ~0xff) << 12, 0) + name
            entry += b"\0" * (-len(entry) % 8) + struct.pack("=II", d.event, 2)
            out += last[:8] + struct.pack("=I", len(last)) + last[12:] if last else b""
            last = entry + b"\0" * (-len(entry) % 8)
        return None, out + last if out or last else struct.pack("=QI", 0, 0) + b"\0" * 4, 0

    def do_versions(self):
        out = b""
        names = sorted(TARGETS, reverse=True)
        for t in names:
            body = struct.pack("=3I", *TARGETS[t]) + t.encode() + b"\0"
            body += b"\0" * (-(len(body) + 4) % 8)
            out += struct.pack("=I", 0 if t == names[-1] else len(body) + 4) + body
        return None, out, 0

    def do_target_version(self):
        if self.name not in TARGETS:
            raise Refused(errno.EINVAL)
        return None, struct.pack("=4I", 0, *TARGETS[self.name]) + self.name.encode() + b"\0" * 8, 0

    def do_create(self):
        w = self.world
        if not self.name or "/" in self.name or self.name in (".", "..", "control"):
            raise Refused(errno.EINVAL, "device name cannot be \"control\", \".\", or \"..\"")
        if self.name in w.devices or any(self.uuid and d.uuid == self.uuid for d in w.devices.values()):
            raise Refused(errno.EBUSY)
        used = {d.minor for d in w.devices.values()}
        minor = next(i for i in range(1 << 20) if i not in used)
        if self.flags & 8:
            minor = self.dev & 0xff | self.dev >> 12 & 0xfff00
            if minor in used:
                raise Refused(errno.ENXIO)
        d = w.devices[self.name] = Device(self.name, self.uuid, minor)
        return d

    def do_remove(self):
        d = self.lookup()
        if self.world.opens(d):
            if self.flags & DEFERRED:
                d.deferred = True
                return d
            raise Refused(errno.EBUSY, "device \"%s\" is open" % d.name)
        self.drop(d)
        self.out_flags = UEVENT
        return None

    def drop(self, d):
        del self.world.devices[d.name]
        self.world.event(d)

    def do_remove_all(self):
        w = self.world
        while True:
            free = [d for d in w.devices.values() if not w.opens(d)]
            if not free:
                return None
            for d in free:
                self.drop(d)

    def do_rename(self):
        d = next((x for x in self.world.devices.values() if x.name == self.name), None)
        new = self.text()
        if not new:
            raise Refused(errno.EINVAL)
        if not d:
            raise Refused(errno.ENXIO)
        if self.flags & UUID:
            if any(x.uuid == new for x in self.world.devices.values()):
                raise Refused(errno.EBUSY)
            if d.uuid:
                raise Refused(errno.EINVAL)
            d.uuid = new
        else:
            if new in ("control", ".", "..") or "/" in new:
                raise Refused(errno.EINVAL)
            if new in self.world.devices:
                raise Refused(errno.EBUSY)
            del self.world.devices[d.name]
            d.name = new
            self.world.devices[new] = d
        if d.live:
            self.world.event(d)
        self.out_flags = UEVENT
        return d

    def do_suspend(self):
        d = self.lookup()
        if self.flags & SUSPEND:
            d.suspended = True
            return d
        if d.inactive:
            d.live, d.inactive = d.inactive, None
        elif d.suspended and not d.live:
            raise Refused(errno.EINVAL)
        d.suspended = False
        self.out_flags = UEVENT
        return d

    def do_info(self):
        return self.lookup()

    def do_load(self):
        d = self.lookup()
        lines, at, end = [], 0, 0
        for _ in range(self.count):
            start, length, _, step, kind = SPEC.unpack_from(self.payload, at)
            kind = kind.split(b"\0")[0].decode()
            params = self.payload[at + SPEC.size:].split(b"\0")[0].decode("latin-1").strip()
            if kind not in TARGETS:
                raise Refused(errno.EINVAL, "%s: unknown target type" % kind)
            if start != end or not length or start + length >= 1 << 54:
                raise Refused(errno.EINVAL, "%s: Gap in table" % kind)
            if kind == "linear" and len(params.split()) != 2:
                raise Refused(errno.EINVAL, "linear: Invalid argument count")
            lines.append((start, length, kind, params))
            end, at = start + length, at + step
        if not lines:
            raise Refused(errno.EINVAL, "no targets specified")
        d.inactive = Table(lines, bool(self.flags & READONLY))
        d.read_ahead = 256 if d.read_ahead is None else d.read_ahead
        self.world.uses(d.inactive)
        return d

    def do_clear(self):
        d = self.lookup()
        d.inactive = None
        return d

    def table(self, d):
        return d.inactive if self.flags & QUERY_INACTIVE else d.live

    def do_deps(self):
        d = self.lookup()
        used = self.world.uses(self.table(d))
        return d, struct.pack("=II%dQ" % len(used), len(used), 0, *(a << 8 | b for a, b in used)), 0

    def do_status(self):
        d = self.lookup()
        table, out = self.table(d), b""
        for start, length, kind, params in table.lines if table else []:
            text = params if self.flags & STATUS_TABLE and kind not in ("zero", "error") else ""
            body = text.encode("latin-1") + b"\0"
            body += b"\0" * (-len(body) % 8)
            out += SPEC.pack(start, length, 0, len(out) + SPEC.size + len(body), kind.encode()) + body
        return d, out, len(table.lines) if table else 0

    def do_wait(self):
        d = self.lookup()
        while d.name in self.world.devices and d.event == self.event_nr:
            self.world.changed.wait()
        return self.do_status() if d.name in self.world.devices else d

    def do_geometry(self):
        d = self.lookup()
        if not all(x.isdigit() for x in self.text().split()):
            raise Refused(errno.EINVAL)
        return d

    def do_arm(self):
        return None

    def do_message(self):
        d = self.lookup()
        words = self.payload[8:].split(b"\0")[0].decode("latin-1").split()
        if not words:
            raise Refused(errno.EINVAL, "Empty message received.")
        if words[0] == "@cancel_deferred_remove":
            d.deferred = False
            return d
        if words[0].startswith("@stats_"):
            reply = self.stats(d, words[0][7:], words[1:])
            if reply is None:
                return d
            self.out_flags = DATA_OUT
            return d, reply.encode("latin-1") + b"\0", 0
        raise Refused(errno.EINVAL, "Unsupported message sent to DM core: " + words[0])

    def stats(self, d, verb, args):
        size = d.live.size if d.live else 0
        if verb == "create":
            start, length = (0, size) if args[0] == "-" else map(int, args[0].split("+"))
            if not length:
                raise Refused(errno.EINVAL)
            step = -(-length // int(args[1][1:])) if args[1][0] == "/" else int(args[1])
            rest, opts = args[2:], []
            if rest and rest[0].isdigit():
                opts, rest = rest[1:1 + int(rest[0])], rest[1 + int(rest[0]):]
            number = next(i for i in range(1 << 20) if i not in d.regions)
            d.regions[number] = [start, length, step, (rest + ["-"])[0], (rest + ["-", "-"])[1], opts]
            return str(number)
        if verb == "list":
            return "".join("%d: %d+%d %d %s %s%s\n" % (n, *r[:5], "".join(" " + o for o in r[5]))
                           for n, r in sorted(d.regions.items()) if not args or r[3] == args[0])
        number = int(args[0])
        if number not in d.regions:
            raise Refused(errno.ENOENT)
        r = d.regions[number]
        if verb == "delete":
            del d.regions[number]
            return None
        if verb == "set_aux":
            r[4] = args[1]
            return None
        if verb in ("print", "print_clear"):
            bins = next((o.count(",") + 2 for o in r[5] if o.startswith("histogram:")), 0)
            tail = " " + ":".join("3" * bins) if bins else ""
            return "".join("%d+%d 4 0 32 20 2 1 16 8 0 24 28 18 7%s\n" % (r[0] + i * r[2], r[2], tail)
                           for i in range(-(-r[1] // r[2])))
        return ""


def main():
    path = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path + ".new")
    listener.listen(64)
    os.rename(path + ".new", path)  # who sees it can connect
    world = World()
    garble = random.Random(int(sys.argv[2])) if len(sys.argv) > 2 else None
    while True:
        Session(world, listener.accept()[0], garble).start()


main()
