# SPDX-License-Identifier: BSD-2-Clause
"""Replaying a transcript: the same commands, the same answers.  The format is described in README.md."""
import fnmatch
import hashlib
import os
import re
import shlex
import struct
import subprocess
import time

from .common import Trouble, over_nbd
from .compare import bound
from .perform import errno_name

SIZE = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 512}
OPERATORS = re.compile(r"Selection operands\n.*?List subset end\n \n", re.S)
FIELDS = re.compile(r"Mapped Device Name Fields\n.*?\n  \?  +- Show help\.[^\n]*\n \n", re.S)
TOKEN = re.compile(r"@(?:D\d+|DM\{[^}]*\}|MIN\{[^}]*\}|MAJ|MIN|NUM|F\d+)")


class Step:
    def __init__(self, kind, text, number):
        self.kind, self.text, self.number = kind, text, number      # kind: $ & @D @F
        self.out, self.err, self.rc, self.body = [], [], None, []


def parse(path):
    steps = []
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        for number, line in enumerate(f.read().split("\n"), 1):
            if line.startswith("@"):
                steps.append(Step(line[:2], line, number))
            elif line[:2] in ("$ ", "& "):
                steps.append(Step(line[0], line[2:], number))
            elif line.startswith(">"):
                steps[-1].body.append(line[2:])
            elif line.startswith("|"):
                steps[-1].out.append(line[2:])
            elif line.startswith("!"):
                steps[-1].err.append(line[2:])
            elif line.startswith("="):
                steps[-1].rc = line[2:]
    return steps


# what a help text must name: commands of dmsetup, fields of reports, operators of selections
NAMES = {"@USAGE": r"^\t(\w+)", "@FIELDS": r"^  (\w+) +- ", "@SELECTFIELDS": r"^  (\w+) +- ", "@SELECTHELP": r"^ {4,}(\S+) +- "}


class Replay:
    def __init__(self, bench, unit, tmp, options):
        self.bench, self.unit, self.tmp, self.options = bench, unit, tmp, options
        self.files, self.held, self.bg, self.names, self.bind = {}, {}, None, {}, {}
        self.diffs, self.commands, self.same = [], 0, 0
        self.big = {}
        for token, name in (("@USAGE", "usage.txt"), ("@FIELDS", "fields.txt"), ("@SELECTFIELDS", "selectfields.txt"),
                            ("@SELECTHELP", "selecthelp.txt")):
            for folder in (unit.folder, os.path.join(options.home, "transcripts")):
                p = os.path.join(folder, name)
                if os.path.exists(p):
                    with open(p) as f:
                        self.big[token] = f.read()
                    break

    # -- preparation ----------------------------------------------------------
    def disk(self, line):
        tok, size, content, *opts = line.split()
        m = re.match(r"(\d+)([A-Za-z]+)$", size)
        n = int(m.group(1)) * SIZE[m.group(2)]
        path = "%s/%s.img" % (self.tmp, tok[1:])
        with open(path, "wb") as f:
            if content.startswith("byte="):
                f.write(bytes([int(content[5:], 0)]) * n)
            elif content == "counter":
                for s in range(n // 512):
                    f.write(struct.pack("<Q", s) * 64)
            elif content.startswith("image="):
                for folder in (self.unit.folder, os.path.join(self.options.home, "transcripts")):
                    p = os.path.join(folder, "images", content[6:])
                    if os.path.exists(p):
                        with open(p, "rb") as src:
                            f.write(src.read())
                        break
                else:
                    raise Trouble("no file images/" + content[6:])
            f.truncate(n)
        block = next((int(o[3:]) for o in opts if o.startswith("bs=")), 512)
        self.bench.attach(tok[1:], path, block, "ro" in opts)

    def file(self, step):
        n = step.text[1:].split()[0]
        self.files[n] = "%s/%s.txt" % (self.tmp, n)
        with open(self.files[n], "w") as f:
            f.write(self.expand("".join(t + "\n" for t in step.body)))

    def expand(self, text):
        text = re.sub(r"@(D\d+)", lambda m: self.bench.disks[m.group(1)], text)
        text = re.sub(r"@(F\d+)", lambda m: self.files[m.group(1)], text)
        text = text.replace("@MAJ", str(self.bench.major))
        rev = {v: k for k, v in self.bench.numbers().items()} if "@MIN{" in text else {}
        return re.sub(r"@MIN\{([^}]*)\}", lambda m: str(rev.get(m.group(1), "no-such-device")), text)

    # -- answers ----------------------------------------------------------------
    def reference(self, cmd):
        """Do numbers in this command's answer name other devices?"""
        sub = next((x for x in cmd.split()[1:] if not x.startswith("-")), "")
        return sub in ("table", "status", "deps", "wait", "message") or (
            "devno" in cmd and "used" in cmd or "using" in cmd or "devs_used" in cmd)

    def norm(self, text, ref):
        b = self.bench
        for name, dev in sorted(b.disks.items(), key=lambda x: -len(x[1])):
            if b.nbd:
                text = re.sub(r"(file:)?%s(?![\w.])" % re.escape(dev), "@" + name, text)
            else:
                n = dev[len("/dev/loop"):]
                text = re.sub(r"(?<![\d.:])7:%s(?!\d)" % n, "@" + name, text)
                text = re.sub(r"\(7, %s\)" % n, "(@%s)" % name, text)
                text = re.sub(r"(/dev/)?\bloop%s\b" % n, "@" + name, text)
        for n, p in self.files.items():
            text = text.replace(p, "@" + n)
        maj = b.major

        def own(m):
            name = self.names.get(int(m.group(1)))
            return "@DM{%s}" % name if ref and name else "@MAJ:@MIN"
        text = re.sub(r"(?<![\d.:])%d:(\d+)(?!\d)" % maj, own, text)
        text = re.sub(r"\(%d, (\d+)\)" % maj, lambda m: "(%s)" % own(m) if ref else "(@MAJ, @MIN)", text)
        text = re.sub(r"(Major, minor: +)%d, \d+" % maj, r"\1@MAJ, @MIN", text)
        text = re.sub(r"(?<![\w-])dm-(\d+)\b",
                      lambda m: "dm-@MIN{%s}" % self.names.get(int(m.group(1))) if ref else "dm-@MIN", text)
        text = re.sub(r"(?<=[ ])%d +\d+(?= [L-][I-][s-][rw])" % maj, "@MAJ @MIN", text)
        text = re.sub(r":%d:(\d+):(?=[L-][I-][s-][rw]:)" % maj, ":@MAJ:@MIN:", text)
        text = re.sub(r"(?<=,)\d+(?=,r[wo](,|;|$))", "@MIN", text)
        text = re.sub(r"(DM_MAJOR=')\d+('.*DM_MINOR=')\d+(')", r"\1@MAJ\2@MIN\3", text)
        return text

    def lines(self, data, ref, is_out):
        if not data:
            return []
        lines = data.split("\n")
        if lines[-1] == "":
            lines.pop()
        elif is_out:
            lines[-1] += "\\c"
        return [self.norm(x, ref).rstrip("\r") for x in lines]

    def stderr(self, err, ref, rc):
        err = self.bench.without_reasons(err, rc)
        if self.bench.nbd:
            err = re.sub(r"^(lt-)?(ndmsetup|ndm): ", "dmsetup: ", err, flags=re.M)
            err = re.sub(r"^/dev/mapper/\S+: open failed: No such file or directory\n", "", err, flags=re.M)
        if self.bench.nbd:
            return self.lines(err, ref, False)          # help is the product's own words: see help_matches
        for token in ("@USAGE",):
            if token in self.big:
                err = err.replace(self.big[token], token + "\n")
        m = FIELDS.search(err)
        if m:
            token = "@FIELDS" if "name_all" in m.group(0) else "@SELECTFIELDS"
            if m.group(0) == self.big.get(token):
                err = FIELDS.sub(lambda _: token + "\n", err)
        m = OPERATORS.search(err)
        if m and m.group(0) == self.big.get("@SELECTHELP"):
            err = OPERATORS.sub("@SELECTHELP\n", err)
        return self.lines(err, ref, False)

    def line_matches(self, want, got):
        if want == got:
            return True
        if not TOKEN.search(want):
            return False
        want, got = re.sub(r"\s+", " ", want), re.sub(r"\s+", " ", got)
        got = re.sub(r"\((\d+), (\d+)\)", r"(\1:\2)", got)
        if want == got:
            return True
        # a disk may be printed as a number (or a name) of the implementation's own, always the same; @NUM is any number
        pattern, disks, pos = "", [], 0
        for m in re.finditer(r"@(D\d+|NUM)", want):
            pattern += re.escape(want[pos:m.start()])
            if m.group(1) == "NUM":
                pattern += r"\d+"
            else:
                pattern += r"([^\s(),]+)"
                disks.append(m.group(1))
            pos = m.end()
        m = re.fullmatch(pattern + re.escape(want[pos:]) + r"\s*", got)
        return bool(m) and all(bound(self.bind, d, t) for d, t in zip(disks, m.groups()))

    def help_matches(self, want, got):
        """Help texts are the product's own words: the lines around them and the names in them count.
        The expected and the got lines that are then left to compare."""
        around = [x for x in want if x not in self.big]
        kept = [next((x for x in got if self.line_matches(w, x)), None) for w in around]
        for token in (x for x in want if x in self.big):
            names = re.findall(NAMES[token], self.big[token], re.M)
            text = "\n".join(got)
            missing = [n for n in names if not re.search(r"(?<![\w])" + re.escape(n) + r"(?![\w])", text)]
            if missing or not text:
                return [token + " with the names " + " ".join(missing)], ["a text without them"]
        return around, [x for x in kept if x is not None]

    def check(self, step, out, err, rc):
        self.commands += 1
        what = None
        want_err = step.err
        if self.bench.nbd and any(x in self.big for x in want_err):
            want_err, err = self.help_matches(want_err, err)
        if self.bench.nbd:
            want_err = [x for x in want_err
                        if not re.match(r"/dev/mapper/\S+: open failed: No such file or directory$", x)]
        want_out = step.out
        if step.text.split()[:2] == ["dmsetup", "targets"]:     # the order is that of loading, and there may be more
            want_out, out = sorted(want_out), sorted(x for x in out if x in want_out)
        for name, want, got in (("output", want_out, out), ("error output", want_err, err)):
            for i in range(max(len(want), len(got))):
                a = want[i] if i < len(want) else "(nothing more)"
                b = got[i] if i < len(got) else "(nothing more)"
                if i >= len(want) or i >= len(got) or not self.line_matches(a, b):
                    what = "%s line %d: expected %r, got %r" % (name, i + 1, a, b)
                    break
            if what:
                break
        if not what and step.rc is not None and rc is not None:
            want = step.rc
            if self.bench.nbd and step.kind == "&" and want.startswith("E"):
                want = over_nbd(want)
            if want != str(rc):
                what = "expected %s, got %s" % (want, rc)
        if what:
            self.diffs.append("line %d, %s %s: %s" % (step.number, step.kind, step.text, what))
        else:
            self.same += 1

    # -- running ------------------------------------------------------------------
    def refresh(self):
        self.names.update(self.bench.numbers())

    def shell(self, cmd):
        text = self.expand(cmd)
        if self.bench.nbd or re.search(r"\$'|[<>&|*?;]", text):
            return ["bash", "-c", text]
        return shlex.split(text)

    def command(self, step):
        ref = self.reference(step.text)
        if ref:
            self.refresh()
        p = subprocess.Popen(self.shell(step.text), stdin=subprocess.DEVNULL, cwd=self.tmp, env=self.bench.env,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            o, e = p.communicate(timeout=self.options.command_timeout)
            rc = p.returncode
        except subprocess.TimeoutExpired:
            p.kill()
            o, e = p.communicate()
            rc = 124
        if ref:
            self.refresh()
        o, e = o.decode("utf-8", "backslashreplace"), e.decode("utf-8", "backslashreplace")
        self.check(step, self.lines(o, ref, True), self.stderr(e, ref, rc), rc)

    def start(self, step):
        self.bg_text = step.text[len("start "):]
        if self.reference(self.bg_text):
            self.refresh()
        text = self.expand(self.bg_text)
        self.bg = subprocess.Popen(["bash", "-c", text], stdin=subprocess.DEVNULL, cwd=self.tmp, env=self.bench.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.7)
        self.check(step, ["ended early"] if self.bg.poll() is not None else [], [], None)

    def join(self, step):
        ref = self.reference(self.bg_text)
        try:
            o, e = self.bg.communicate(timeout=15)
            rc = self.bg.returncode
        except subprocess.TimeoutExpired:
            self.bg.kill()
            o, e = self.bg.communicate()
            rc = 124
        if ref:
            self.refresh()
        self.check(step, self.lines(o.decode("utf-8", "backslashreplace"), ref, True),
                   self.stderr(e.decode("utf-8", "backslashreplace"), ref, rc), rc)

    def io(self, step):
        w = step.text.split()
        op = w[0]
        if op == "sleep":
            time.sleep(float(w[1]))
            self.same += 1
            self.commands += 1
            return
        if op == "start":
            return self.start(step)
        if op == "join":
            return self.join(step)
        lines, res = [], "0"
        before = self.bench.opens(w[1]) if self.bench.nbd and op != "open" else 0
        try:
            if op == "open":
                self.held.setdefault(w[1], []).append(self.bench.node(w[1], w[2:] == ["ro"]))
            elif op == "close":
                self.held[w[1]].pop().close()
                before -= 1
            else:
                node = self.bench.node(w[1], op in ("read", "size", "isro"))
                try:
                    if op == "size":
                        lines.append(str(node.size() // 512))
                    elif op == "isro":
                        lines.append(str(node.is_readonly()))
                    elif op == "flush":
                        node.flush()
                    elif op == "discard":
                        node.discard(int(w[2]) * 512, int(w[3]) * 512)
                    elif op == "write":
                        node.write(int(w[2]) * 512, bytes([int(w[4], 0)]) * (int(w[3]) * 512))
                    elif op == "read":
                        data = node.read(int(w[2]) * 512, int(w[3]) * 512)
                        lines.append("all 0x%02x" % data[0] if len(set(data)) == 1
                                     else "sha256 " + hashlib.sha256(data).hexdigest())
                    else:
                        raise Trouble("& " + step.text)
                finally:
                    node.close()
        except OSError as e:
            lines, res = [], errno_name(e)
            if self.bench.nbd:
                res = over_nbd(res)
        if op == "close":
            time.sleep(0.3 if not self.bench.nbd else 0)
        if self.bench.nbd and op != "open":
            self.bench.after_close(w[1], max(before, 0))
        self.check(step, lines, [], res)

    def run(self):
        rules = self.options.not_applicable
        for step in parse(self.unit.path):
            if step.kind == "@D":
                self.disk(step.text)
            elif step.kind == "@F":
                self.file(step)
            else:
                rule = next((r for r in rules if self.bench.nbd and fnmatch.fnmatch(self.unit.name, r["transcript"])
                             and fnmatch.fnmatch(step.text, r["command"])), None)
                if rule and rule.get("do") == "skip":
                    continue
                n = len(self.diffs)
                (self.command if step.kind == "$" else self.io)(step)
                if rule and rule.get("do") == "run-only":
                    self.same += len(self.diffs) - n
                    del self.diffs[n:]
                if self.bench.health():
                    raise Trouble("after line %d, %s %s: %s" % (step.number, step.kind, step.text, self.bench.health()))

    def end(self):
        for nodes in self.held.values():
            for node in nodes:
                node.close()
        if self.bg and self.bg.poll() is None:
            self.bg.kill()
            self.bg.wait()


def replay(make_bench, unit, tmp, options):
    """Differences, commands, commands answered the same, [refusals, with reason]."""
    bench = make_bench()
    r = Replay(bench, unit, tmp, options)
    try:
        try:
            r.run()
        finally:
            r.end()
        if bench.nbd:
            bench.dmsetup("remove_all", "--force", check=False)
            sick = bench.health()
            if sick:
                raise Trouble(sick)
            bench.stop()
    except Exception as e:
        sick = bench.health()
        bench.cleanup()
        if sick and str(e) != sick and sick not in str(e):
            raise Trouble("%s\n    (while: %s)" % (sick, e))
        raise
    if not bench.nbd:
        bench.cleanup()
    return r.diffs, r.commands, r.same, [bench.refusals, bench.reasons]
