# SPDX-License-Identifier: BSD-2-Clause
"""Doing one check: disks, devices, actions, a look at everything, removal, a look at the disks."""
import errno
import hashlib
import lzma
import os
import subprocess
import time
import zlib

from . import dumps
from .cases import make_disk
from .common import Refused, SECTOR, Trouble
from .pattern import pattern

CHUNK = 1 << 20


def errno_name(e):
    return errno.errorcode.get(e.errno, "errno %s" % e.errno)


def part_size(size):
    n = 512
    while n * 64 < size:
        n *= 2
    return n


class Digest:
    """sha256, and the crc32 of at most 64 parts: these tell where a difference begins."""

    def __init__(self, size):
        self.sha, self.part, self.left, self.crc, self.crcs = hashlib.sha256(), part_size(size), part_size(size), 0, []
        self.any = False

    def add(self, b):
        self.sha.update(b)
        pos = 0
        while pos < len(b):
            n = min(self.left, len(b) - pos)
            self.crc = zlib.crc32(memoryview(b)[pos:pos + n], self.crc)
            self.left -= n
            pos += n
            self.any = True
            if not self.left:
                self._next()

    def _next(self):
        self.crcs.append("%08x" % self.crc)
        self.crc, self.left, self.any = 0, self.part, False

    def result(self):
        if self.any:
            self._next()
        return {"sha256": self.sha.hexdigest(), "parts": "%d:%s" % (self.part, "".join(self.crcs))}


def digest_file(path):
    d = Digest(os.path.getsize(path))
    with open(path, "rb") as f:
        for b in iter(lambda: f.read(CHUNK), b""):
            d.add(b)
    return d.result()


def read_device(node, size, block):
    """The whole content; block: read in such pieces, those that fail count as zeroes."""
    d, bad, first = Digest(size), [], None
    step = block or CHUNK
    for o in range(0, size, step):
        n = min(step, size - o)
        try:
            d.add(node.read(o, n))
        except OSError as e:
            if not block:
                return {"read_error": errno_name(e)}
            bad.append(o // block)
            first = first or errno_name(e)
            d.add(bytes(n))
    res = d.result()
    if bad:
        res["failed"] = {"block": block, "blocks": bad, "errno": first}
    return res


def with_node(bench, name, fn, readonly=False):
    node = bench.node(name, readonly)
    try:
        return fn(node)
    finally:
        node.close()


def write(bench, name, start, count, seed, options=None):
    options = options or {}
    step = options.get("io", 256)

    def go(node):
        for o in range(0, count, step):
            n = min(step, count - o)
            node.write((start + o) * SECTOR, pattern(seed, start + o, n), options.get("fua", False))
    with_node(bench, name, go)


def action(bench, a):
    """One action; a text where it answers something."""
    k, a = a[0], a[1:]
    if k == "sleep":
        time.sleep(a[0])
    elif k in ("wait_raid", "wait_mirror", "wait_merge"):
        getattr(bench, k)(a[0])
    elif k == "wait_status":
        bench.wait_status(a[0], a[1])
    elif k == "message":
        out = bench.dmsetup("message", a[0], str(a[1]), *a[2].split(" ")).out.strip()
        return "message: " + out if out else None
    elif k == "expect_message_error":
        r = bench.dmsetup("message", a[0], str(a[1]), *a[2].split(" "), check=False)
        if not r.rc:
            return "message: accepted"
        e = Refused(a[0], r.err, r.rc, None).what
        return "message: " + e.get("errno", "exit status %d" % r.rc)
    elif k in ("suspend", "resume", "clear"):
        bench.dmsetup(k, *a)
    elif k == "reload":
        r = bench.dmsetup("reload", a[0], stdin=bench.expand(a[1]) + "\n", check=False)
        if r.rc:
            raise Refused(a[0], r.err, r.rc, None)
    elif k == "create":
        bench.create(a[0], a[1])
    elif k == "remove":
        bench.remove(a[0])
    elif k == "write":                     # NAME START COUNT SEED [{fua: true, io: SECTORS}]
        write(bench, *a)
    elif k == "expect_write_error":
        try:
            write(bench, *a)
        except OSError as e:
            return "%s: %s" % (k, errno_name(e))
        return k + ": no error"
    elif k == "read":                      # NAME START COUNT: answers the hash
        def go(node):
            h = hashlib.sha256()
            for o in range(0, a[2], 2048):
                h.update(node.read((a[1] + o) * SECTOR, min(2048, a[2] - o) * SECTOR))
            return h.hexdigest()
        try:
            return "read: sha256 " + with_node(bench, a[0], go, True)
        except OSError as e:
            return "read: " + errno_name(e)
    elif k == "discard":
        with_node(bench, a[0], lambda node: node.discard(a[1] * SECTOR, a[2] * SECTOR))
    elif k == "zeroes":
        with_node(bench, a[0], lambda node: node.zeroes(a[1] * SECTOR, a[2] * SECTOR))
    elif k in ("flush", "fsync"):
        with_node(bench, a[0], lambda node: node.flush())
    elif k == "zero":                      # a whole disk, behind the target's back
        with open(bench.paths[a[0]], "rb+") as f:
            size = os.fstat(f.fileno()).st_size
            f.write(bytes(size))
    else:
        raise Trouble("the case has an unknown action: %s" % k)
    return None


def observe(bench, check, want, recording):
    """Status, table, size and content of each active device."""
    res = []
    expected = {d["name"]: d for d in (want or {}).get("devices") or []}
    names = [n for n in bench.dms if not expected or recording or n in expected]
    for n in names:
        w = expected.get(n, {})
        size = with_node(bench, n, lambda node: node.size(), True)
        e = {"name": n, "status": bench.status(n), "table": bench.table(n), "bytes": size}
        if "table_showkeys" in w or (recording and (" crypt " in e["table"] or " integrity " in e["table"])):
            keys = bench.line("table", n, "--showkeys")
            if keys != e["table"] or "table_showkeys" in w:
                e["table_showkeys"] = keys
        if not (check.get("no_read") is True or n in (check.get("no_read") or [])
                or (n in (check.get("heavy") or []) and not bench.nbd)):
            e.update(with_node(bench, n, lambda node: read_device(node, size, check.get("read_block")), True))
            st = bench.status(n)
            if "status_after_read" in w or ((e.get("read_error") or e.get("failed")) and st != e["status"]):
                e["status_after_read"] = st
        else:
            e["not_read"] = True
        res.append(e)
    return res


def tool(bench, command, spec):
    text = " ".join(bench.paths[w[1:]] if w.startswith("@") else w for w in command.split())
    try:
        p = subprocess.run(text.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except FileNotFoundError:
        raise Trouble("no program %s: apt-get install thin-provisioning-tools" % text.split()[0])
    r = {"run": command, "exit": p.returncode, "output": p.stdout.strip()}
    if "_dump" in command.split()[0]:
        try:
            r["lines"] = dumps.canonical(command, p.stdout)
            r.pop("output")
        except ValueError as e:
            r["output"] = r["output"][-300:] + " (%s)" % e
    return r


def expected_of(unit, check):
    """The expectations, with dumps read from their files."""
    want = check.get("expect")
    if want is None:
        return None
    want = dict(want)
    if want.get("tools"):
        want["tools"] = [dict(t) for t in want["tools"]]
        for t in want["tools"]:
            if "lines_file" in t:
                with lzma.open(os.path.join(unit.folder, t["lines_file"]), "rt") as f:
                    t["lines"] = f.read().rstrip("\n").split("\n")
    return want


def perform(make_bench, unit, tmp, recording=False, emit=None):
    """The observations of one check, in the form of its "expect"."""
    case, check = unit.case, unit.check
    want = expected_of(unit, check)
    got, before = {}, {}
    os.makedirs(tmp + "/disks")
    for n, spec in case.get("disks", {}).items():
        p = "%s/disks/%s.img" % (tmp, n)
        make_disk(unit.folder, spec, p)
        if n in check.get("zeroed", []):
            size = os.path.getsize(p)
            os.truncate(p, 0)
            os.truncate(p, size)
        before[n] = digest_file(p)["sha256"] if emit else None
    bench = make_bench()
    try:
        for n, spec in case.get("disks", {}).items():
            if n not in check.get("missing", []):
                bench.attach(n, "%s/disks/%s.img" % (tmp, n), spec.get("logical_block_size", 512),
                             bool(spec.get("readonly")))
        try:
            for d in check.get("open") or []:
                if "luks" in d:
                    bench.luks_open(d["name"], d["luks"])
                else:
                    bench.create(d["name"], d["table"], bool(d.get("readonly")))
            replies = []
            for a in check.get("then") or []:
                r = action(bench, a)
                if r:
                    replies.append(r)
            if replies:
                got["replies"] = replies
            got["devices"] = observe(bench, check, want, recording)
        except Refused as e:
            got["refused"], got["refusal"] = e.what, e.stderr.strip()
            got["why"] = bench_log(bench) if recording else []
        except OSError as e:
            raise Trouble("I/O failed: %s" % e)
        if bench.health():
            raise Trouble(bench.health())
        bench.close()
        paths = dict(bench.paths)
        bench.stop()
        bench.paths = paths
    except Exception as e:
        sick = bench.health()
        bench.cleanup()
        if sick and not (isinstance(e, Trouble) and str(e) == sick):
            raise Trouble("%s\n    (while: %s)" % (sick, e))
        raise
    got["reasons"] = [bench.refusals, bench.reasons]
    if "refused" not in got or check.get("tools"):
        got["disks"] = {n: digest_file(p) for n, p in bench.paths.items()
                        if n in (check.get("disks_after") or []) or n in ((want or {}).get("disks") or {})}
        got["tools"] = [tool(bench, t, None) for t in check.get("tools") or []]
        for t in (want or {}).get("tools") or []:
            if t["run"] not in [x["run"] for x in got["tools"]]:
                got["tools"].append(tool(bench, t["run"], t))
    if emit and "refused" not in got:
        changed = [n for n, p in bench.paths.items() if digest_file(p)["sha256"] != before[n]]
        if changed:
            from .emit import emit_case
            emit_case(emit, unit, bench.paths, got)
    return got, want


def bench_log(bench):
    if bench.nbd:
        return []
    out = subprocess.run(["dmesg", "-t"], stdout=subprocess.PIPE, text=True).stdout
    return [x for x in out.splitlines() if "device-mapper" in x][-3:]
