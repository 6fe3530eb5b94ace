#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Raw-socket checks of NBD corner cases.  usage: proto-traps.py URI [-v]
The export must be writable scratch space of at least 1 MiB.  Prints one line per
check: ok / FAIL / note (behaviour the protocol leaves open), exit 1 on FAIL."""
import socket, struct, sys, urllib.parse, time

u = urllib.parse.urlsplit(sys.argv[1])
NAME = urllib.parse.unquote(u.path[1:]).encode()
fails = 0

def dial():
    if u.scheme == "nbd+unix":
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(urllib.parse.parse_qs(u.query)["socket"][0])
    else:
        s = socket.create_connection((u.hostname, u.port or 10809), 5)
    s.settimeout(5)
    return s

class Closed(Exception):
    pass

class C:
    def __init__(self, flags=3):
        self.s = dial()
        g = self.r(18)
        assert g[:16] == b"NBDMAGICIHAVEOPT"
        self.hflags = struct.unpack(">H", g[16:])[0]
        self.w(struct.pack(">I", flags))
    def w(self, b):
        try:
            self.s.sendall(b)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed
    def r(self, n):
        b = b""
        while len(b) < n:
            try:
                x = self.s.recv(n - len(b))
            except ConnectionResetError:
                raise Closed
            if not x:
                raise Closed
            b += x
        return b
    def opt(self, o, data=b""):
        self.w(b"IHAVEOPT" + struct.pack(">II", o, len(data)) + data)
    def reply(self):
        m, o, t, l = struct.unpack(">QIII", self.r(20))
        assert m == 0x3e889045565a9
        return o, t, self.r(l)
    def final(self):
        infos = []
        while True:
            o, t, d = self.reply()
            if t == 1 or t & 0x80000000:
                return t, infos
            infos.append((t, d))
    def go(self, name=NAME, reqs=(), o=7):
        self.opt(o, struct.pack(">I", len(name)) + name + struct.pack(">H", len(reqs)) + b"".join(struct.pack(">H", x) for x in reqs))
        t, infos = self.final()
        for k, d in infos:
            if k == 3 and d[:2] == b"\0\0":
                self.size, self.flags = struct.unpack(">QH", d[2:])
        return t, infos
    def sr(self):
        self.opt(8)
        return self.final()[0]
    def meta(self, name=NAME, q=(b"base:allocation",), o=10):
        self.opt(o, struct.pack(">I", len(name)) + name + struct.pack(">I", len(q)) + b"".join(struct.pack(">I", len(x)) + x for x in q))
        return self.final()
    def req(self, typ, off=0, ln=0, flags=0, data=b"", ck=7):
        self.w(struct.pack(">IHHQQI", 0x25609513, flags, typ, ck, off, ln) + data)
    def rep(self, rd=0):
        """-> (kind, error, chunks, data)"""
        m = self.r(4)
        if m == b"\x67\x44\x66\x98":
            e, ck = struct.unpack(">IQ", self.r(12))
            return "simple", e, [], self.r(rd) if rd and not e else b""
        assert m == b"\x66\x8e\x33\xef", m
        chunks, err, data = [], 0, b""
        while True:
            f, t, ck, l = struct.unpack(">HHQI", self.r(16))
            p = self.r(l)
            chunks.append((f, t, p))
            if t & 0x8000:
                err = struct.unpack(">I", p[:4])[0]
            if t == 1:
                data += p[8:]
            if t == 2:
                data += bytes(struct.unpack(">I", p[8:])[0])
            if f & 1:
                return "structured", err, chunks, data
            assert self.r(4) == b"\x66\x8e\x33\xef"
    def alive(self):
        self.req(0, 0, 512, ck=99)
        return self.rep(512)[1] == 0

def check(name, cond, detail=""):
    global fails
    if not cond:
        fails += 1
    print(f"{'ok  ' if cond else 'FAIL'} {name} {detail}", flush=True)

def note(name, detail):
    print(f"note {name}: {detail}", flush=True)

def case(fn):
    try:
        fn()
    except Closed:
        check(fn.__name__, False, "(connection closed)")
    except (socket.timeout, TimeoutError):
        check(fn.__name__, False, "(no answer within 5 s)")
    except OSError as e:
        check(fn.__name__, False, f"({e})")
    except AssertionError as e:
        check(fn.__name__, False, f"(malformed answer {e})")

def unknown_option():
    c = C(); c.opt(0x1234, b"x" * 300)
    check("unknown option -> ERR_UNSUP", c.final()[0] == 0x80000001)
    check("... and haggling goes on", c.go()[0] == 1)
    check("... and reads work", c.alive())

def client_flags():
    c = C(flags=0x80000003)
    try:
        c.opt(3); c.final(); check("unknown client flag closes", False)
    except Closed:
        check("unknown client flag closes", True)

def list_with_data():
    c = C(); c.opt(3, b"abc"); t = c.final()[0]
    check("LIST with data -> error", t & 0x80000000, hex(t)); check("... still in sync", c.go()[0] == 1)

def abort():
    c = C(); c.opt(2); check("ABORT -> ACK", c.final()[0] == 1)
    try:
        c.r(1); check("... then close", False)
    except Closed:
        check("... then close", True)

def unknown_export():
    c = C(); t = c.go(b"no such export %%%")[0]
    if t == 1:
        note("GO unknown name", "accepted (server ignores names)")
    else:
        check("GO unknown name -> ERR_UNKNOWN", t == 0x80000006, hex(t)); check("... then GO works", c.go()[0] == 1)

def bad_go():
    c = C(); c.opt(7, struct.pack(">I", 1000) + b"abc\0\0"); t = c.final()[0]
    check("GO with lying name length -> ERR_INVALID", t == 0x80000003, hex(t)); check("... still in sync", c.go()[0] == 1)

def long_name():
    c = C(); n = b"x" * 5000; c.opt(7, struct.pack(">I", len(n)) + n + b"\0\0"); t = c.final()[0]
    check("GO name > 4096 -> error", t & 0x80000000, hex(t)); check("... still in sync", c.go()[0] == 1)

def info_then_go():
    c = C(); a = c.go(reqs=(0, 3, 0x7777), o=6); b = c.go(reqs=(0, 3, 0x7777))
    check("INFO answers, unknown info ignored", a[0] == 1); check("GO gives same infos", sorted(a[1]) == sorted(b[1]))
    for t, d in b[1]:
        if d[:2] == b"\0\3":
            mn, pf, mx = struct.unpack(">III", d[2:])
            pow2 = lambda x: x and not x & (x - 1)
            check("block sizes legal", len(d) == 14 and pow2(mn) and mn <= 65536 and pow2(pf) and pf >= max(512, mn) and mx >= pf, f"{mn}/{pf}/{mx}")
            break
    else:
        note("BLOCK_SIZE", "not sent although asked")

def df_flag():
    c = C(); c.go(); check("no SEND_DF without structured replies", not c.flags & 128)
    c = C(); r = c.sr(); c.go(); note("structured replies", "yes" if r == 1 else "no") if r != 1 else check("SEND_DF with structured replies", c.flags & 128)

def export_name():
    c = C(); c.w(b"IHAVEOPT" + struct.pack(">II", 1, len(NAME)) + NAME); b = c.r(10)
    c.s.settimeout(0.3)
    try:
        x = c.s.recv(1); check("EXPORT_NAME without zeroes", False)
    except (socket.timeout, TimeoutError):
        check("EXPORT_NAME without zeroes", True)
    c.s.settimeout(5); check("... reads work", c.alive())
    c = C(flags=1); c.w(b"IHAVEOPT" + struct.pack(">II", 1, len(NAME)) + NAME); b = c.r(134); check("EXPORT_NAME with 124 zeroes", b[10:] == bytes(124)); check("... reads work", c.alive())

def tls_off():
    c = C(); c.opt(5); t = c.final()[0]
    if t != 1:
        check("STARTTLS refused with an error", t in (0x80000001, 0x80000002, 0x80000003, 0x80000004), hex(t)); check("... still in sync", c.go()[0] == 1)
    else:
        note("STARTTLS", "accepted")

def meta_rules():
    c = C(); t = c.meta()[0]; check("SET_META without structured -> error", t & 0x80000000, hex(t))
    c = C()
    if c.sr() != 1:
        return
    t, i = c.meta(q=(b"x-unknown:foo", b"base:nonsense", b"base:"))
    check("SET_META ignores unknown", t == 1 and not i, f"{hex(t)} {len(i)}")
    t, i = c.meta(q=(b"base:",), o=9); check("LIST_META base: lists allocation", t == 1 and any(d[4:] == b"base:allocation" for _, d in i))
    t, i = c.meta(q=(), o=9); check("LIST_META without query lists", t == 1, str([d[4:].decode() for _, d in i]))
    t, i = c.meta(q=(b"nocolon",)); note("SET_META query without colon", hex(t))
    c.opt(10, struct.pack(">I", len(NAME)) + NAME + struct.pack(">II", 1, 9999) + b"base"); t = c.final()[0]
    check("SET_META lying query length -> ERR_INVALID", t == 0x80000003, hex(t))
    t, i = c.meta(); c.opt(10, b"\0"); t2 = c.final()[0]
    check("SET_META short data -> error", t2 & 0x80000000)
    c.go(); c.req(7, 0, 65536); k, e, ch, _ = c.rep(); check("failed SET_META clears the set: STATUS -> EINVAL", e == 22, f"err {e}")
    c = C(); c.sr(); c.meta(name=NAME + b"other"); t = c.go()[0]; c.req(7, 0, 65536); k, e, ch, _ = c.rep(); check("contexts of another export void", e == 22, f"err {e}")

def block_status():
    c = C()
    if c.sr() != 1: return
    t, i = c.meta(); c.go()
    if not i:
        note("base:allocation", "not offered"); return
    ctx = i[0][1][:4]
    c.req(7, 0, c.size if c.size < 1 << 31 else 1 << 30); k, e, ch, _ = c.rep()
    st = [p for f, t, p in ch if t == 5]
    check("STATUS one chunk per context", e == 0 and len(st) == 1 and st[0][:4] == ctx)
    ex = [struct.unpack(">II", st[0][4 + 8 * n:12 + 8 * n]) for n in range((len(st[0]) - 4) // 8)]
    check("STATUS extents sane", all(l for l, _ in ex) and sum(l for l, _ in ex) <= c.size and all(f < 4 for _, f in ex), str(ex[:3]))
    c.req(7, 4096, 8192, flags=8); k, e, ch, _ = c.rep(); st = [p for f, t, p in ch if t == 5]
    check("STATUS REQ_ONE one extent within request", e == 0 and len(st[0]) == 12 and struct.unpack(">I", st[0][4:8])[0] <= 8192)
    c.req(7, 0, 0); k, e, _, _ = c.rep(); note("STATUS length 0", f"error {e}"); check("... alive", c.alive())
    c.req(7, c.size, 4096); check("STATUS past the end -> EINVAL", c.rep()[1] == 22)

def bounds():
    for sr in (0, 1):
        c = C()
        if sr and c.sr() != 1: return
        c.go(); m = "structured" if sr else "simple"
        c.req(0, c.size, 512); k, e, ch, _ = c.rep(512); check(f"{m} READ past the end -> EINVAL", e == 22, f"err {e}"); check(f"{m} READ error uses {m}", k == m)
        c.req(0, c.size - 256, 512); check(f"{m} READ crossing the end fails", c.rep(512)[1] == 22)
        c.req(0, 2**64 - 256, 512); check(f"{m} READ offset wrap fails", c.rep(512)[1] != 0)
        c.req(1, c.size, 512, data=bytes(512)); e = c.rep()[1]; check(f"{m} WRITE past the end -> ENOSPC", e == 28, f"err {e}")
        c.req(1, 2**64 - 256, 512, data=bytes(512)); check(f"{m} WRITE wrap fails", c.rep()[1] != 0)
        if c.flags & 64:
            c.req(6, c.size, 512); e = c.rep()[1]; check(f"{m} ZEROES past the end -> ENOSPC", e == 28, f"err {e}")
        if c.flags & 32:
            c.req(4, c.size, 512); e = c.rep()[1]; check(f"{m} TRIM past the end -> EINVAL", e == 22, f"err {e}")
        check(f"{m} alive after errors", c.alive())

def zero_len():
    for sr in (0, 1):
        c = C()
        if sr and c.sr() != 1: return
        c.go(); out = []
        for n, t in (("READ", 0), ("WRITE", 1), ("TRIM", 4), ("ZEROES", 6), ("CACHE", 5)):
            c.req(t, 0, 0); k, e, ch, d = c.rep(); out.append(f"{n}={e}")
            if t == 0 and sr and any(x[1] == 1 and len(x[2]) < 9 for x in ch): out.append("(empty OFFSET_DATA!)")
        note(f"zero length {'structured' if sr else 'simple'}", " ".join(out)); check("alive after zero-length", c.alive())

def flags_cmds():
    c = C(); c.go()
    c.req(0x55, 0, 512); e = c.rep()[1]; check("unknown command -> EINVAL", e == 22, f"err {e}")
    c.req(0, 0, 512, flags=0x8000); k, e, _, _ = c.rep(512); check("unknown flag on READ -> EINVAL", e == 22, f"err {e}")
    c.req(1, 0, 512, flags=0x8000, data=bytes(512)); e = c.rep()[1]; check("unknown flag on WRITE -> EINVAL, payload dropped", e == 22, f"err {e}"); check("... alive", c.alive())
    c.req(1, 0, 512, flags=2, data=bytes(512)); e = c.rep()[1]; check("NO_HOLE on WRITE -> EINVAL", e == 22, f"err {e}"); check("... alive", c.alive())
    if c.flags & 8:
        for n, t, d in (("READ", 0, b""), ("WRITE", 1, bytes(512)), ("FLUSH", 3, b""), ("TRIM", 4, b""), ("ZEROES", 6, b"")):
            if (t == 4 and not c.flags & 32) or (t == 6 and not c.flags & 64) or (t == 3 and not c.flags & 4): continue
            c.req(t, 0, 512 if t != 3 else 0, flags=1, data=d); e = c.rep(512 if t == 0 else 0)[1]; check(f"FUA accepted on {n}", e == 0, f"err {e}")
    c.req(7, 0, 512); check("STATUS not negotiated -> EINVAL", c.rep()[1] == 22)
    if c.flags & 4:
        c.req(3, 4096, 512); note("FLUSH with offset/length", f"error {c.rep()[1]}")
    c.req(0, 0, 512, flags=4); note("DF on READ, not negotiated", f"error {c.rep(512)[1]}"); check("alive", c.alive())
    if c.flags & 64 and not c.flags & 2048:
        c.req(6, 0, 512, flags=16); e = c.rep()[1]; check("FAST_ZERO unadvertised -> EINVAL", e == 22, f"err {e}")
    if c.flags & 2048:
        c.req(6, 0, 65536, flags=16); e = c.rep()[1]; check("FAST_ZERO ok or ENOTSUP", e in (0, 95), f"err {e}")

def df_read():
    c = C()
    if c.sr() != 1: return
    c.go(); c.req(4, 0, 65536) if c.flags & 32 else None; c.flags & 32 and c.rep()
    c.req(1, 4096, 4096, data=b"z" * 4096); c.rep()
    c.req(0, 0, 65536, flags=4); k, e, ch, d = c.rep(); check("DF read has one content chunk", e == 0 and len([1 for _, t, _ in ch if t in (1, 2)]) == 1 and len(d) == 65536)
    check("... right data", d[4096:8192] == b"z" * 4096)
    c.req(0, 1, 12345); k, e, ch, d = c.rep(); 
    if e == 0: check("unaligned structured read", len(d) == 12345)

def big():
    c = C(); c.go()
    n = min(c.size, 32 << 20)
    c.req(0, 0, n); k, e, _, d = c.rep(n); check("READ of 32 MiB (or whole)", e == 0 and len(d) == n, f"err {e}")
    c.req(1, 0, n, data=bytes(n)); e = c.rep()[1]; check("WRITE of 32 MiB (or whole)", e == 0, f"err {e}")
    if c.size >= 48 << 20:
        n = 48 << 20
        try:
            c.req(1, 0, n, data=bytes(n)); note("WRITE of 48 MiB", f"error {c.rep()[1]}")
        except Closed:
            note("WRITE of 48 MiB", "connection closed")

def split_bytes():
    c = C(); c.go()
    b = struct.pack(">IHHQQI", 0x25609513, 0, 1, 5, 0, 512) + b"q" * 512
    for i in range(0, len(b), 7):
        c.w(b[i:i + 7]); time.sleep(0.0005)
    check("request in 7-byte pieces", c.rep()[1] == 0); check("... alive", c.alive())

def pipelined():
    c = C(); c.go(); n = 2000
    c.s.settimeout(20)
    c.w(b"".join(struct.pack(">IHHQQI", 0x25609513, 0, 0, i, (i % 200) * 512, 512) for i in range(n)))
    seen = set()
    for _ in range(n):
        m, e, ck = struct.unpack(">IIQ", c.r(16)); c.r(512); seen.add(ck)
    check("2000 pipelined requests all answered once", len(seen) == n)

def half_close():
    c = C(); c.go(); c.req(0, 0, 512); c.s.shutdown(socket.SHUT_WR)
    try:
        check("reply after client half-close", c.rep(512)[1] == 0)
    except Closed:
        note("reply after client half-close", "none")

def disc():
    c = C(); c.go(); t = time.time(); c.req(2)
    try:
        c.r(1); check("DISC closes", False)
    except Closed:
        check("DISC closes", True, f"{(time.time()-t)*1000:.1f} ms")

def bad_magic():
    c = C(); c.go(); c.w(b"\0" * 28)
    try:
        c.r(1); check("bad request magic closes", False)
    except Closed:
        check("bad request magic closes", True)

def multi_conn():
    a, b = C(), C(); a.go(); b.go()
    if not a.flags & 256:
        note("multi-conn", "not advertised"); return
    pat = struct.pack(">d", time.time()) * 64
    a.req(1, 8192, 512, data=pat); a.rep(); b.req(3); e = b.rep()[1]; b.req(0, 8192, 512); check("multi-conn: write A, flush B, read B", e == 0 and b.rep(512)[3] == pat)

def idle_handshake():
    cs = [dial() for _ in range(30)]
    c = C(); check("30 idle handshakes do not block others", c.go()[0] == 1)
    for x in cs: x.close()

def many_options():
    c = C(); n = 0
    try:
        for n in range(1, 200):
            c.opt(3); c.final()
        note("options per connection", "200 LISTs accepted")
    except Closed:
        note("options per connection", f"closed after {n}")

for f in (unknown_option, client_flags, list_with_data, abort, unknown_export, bad_go, long_name, info_then_go, df_flag, export_name, tls_off,
          meta_rules, block_status, bounds, zero_len, flags_cmds, df_read, big, split_bytes, pipelined, half_close, disc, bad_magic, multi_conn,
          idle_handshake, many_options):
    case(f)
print(f"# {fails} failed")
sys.exit(1 if fails else 0)
