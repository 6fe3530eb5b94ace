#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Lists of commands, and what Linux answered to them.

  answers.py [--driver ndm|kernel] [--build DIR] [--record DIR] [--keep] LIST...

A LIST is a transcript in the form that tests/conformance/README.md describes, replayed by the same
program; its answers were recorded from the real kernel (--driver kernel --record DIR, in a guest).
Without --record each answer is compared, and the last line is `N answers, N others`.  More words:

  & zeroes NAME SECTOR COUNT    write zeroes
  & until NAME REGEX            wait until the status matches (20 s)
  & grow Dn SIZE                a larger disk
  & patch Dn OFFSET HEX         bytes on a disk, behind everybody's back
  & copy Dn Dm                  the bytes of a disk, to another one
  & cut Dn OFFSET COUNT         the sha256 of bytes on a disk, or `all 0xNN`
  & tool PROGRAM Dn             of thin-provisioning-tools: its exit status; lines of a dump, in
                                the form in which two right implementations agree
  & event NAME                  how many events there were since the last question
  & begin WORDS                 the same as `& WORDS`, in the background ...
  & waits                       ... it has not ended within a second ...
  & end                         ... and what it answered
"""
import argparse
import fcntl
import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.environ.get("RUNNER", os.path.join(HERE, "..", "conformance")))
from runner import dumps, kernel, ndm, transcript      # noqa: E402
from runner.common import Skip, Trouble                # noqa: E402

LOOP_SET_CAPACITY = 0x4C07
OURS = {"zeroes", "until", "grow", "patch", "copy", "cut", "tool", "event", "begin", "waits", "end"}


class Unit:
    def __init__(self, path):
        self.path, self.folder = path, os.path.dirname(os.path.realpath(path))
        self.name = os.path.basename(path)


def summary(data):
    return "all 0x%02x" % data[0] if len(set(data)) == 1 else "sha256 " + hashlib.sha256(data).hexdigest()


class Answers(transcript.Replay):
    def __init__(self, bench, unit, tmp, options):
        super().__init__(bench, unit, tmp, options)
        self.record, self.events, self.why = [], {}, ""
        self.behind = None

    def disk(self, line):
        super().disk(line)
        self.record.append(line)

    def file(self, step):
        super().file(step)
        self.record += [step.text] + ["> " + x for x in step.body]

    def check(self, step, out, err, rc):
        self.record.append("%s %s" % (step.kind, step.text))
        self.record += ["| " + x for x in out] + ["! " + x for x in err]
        self.record += ["~ " + x for x in self.log()]
        if rc is not None:
            self.record.append("= %s" % rc)
        super().check(step, out, err, rc)

    def stderr(self, err, ref, rc):
        self.why = "\n".join(x for x in err.split("\n") if x.startswith("reason: "))
        return super().stderr(err, ref, rc)

    def log(self):
        """why, in the words of whoever answered"""
        if not self.options.record:
            return []
        if self.bench.nbd:
            lines, self.why = self.why.split("\n"), ""
            return [self.norm(x, False) for x in lines if x]
        text = subprocess.run(["dmesg", "-c"], stdout=subprocess.PIPE, text=True, errors="replace").stdout
        lines = (re.sub(r"^\[ *[\d.]+\] ", "", x) for x in text.splitlines())
        return [self.norm(x, False) for x in lines if "device-mapper" in x and "ima_measure" not in x]

    def io(self, step):
        w = step.text.split()
        if w[0] == "sleep":
            self.record.append("& " + step.text)
        if w[0] not in OURS:
            return super().io(step)
        out, rc = [], "0"
        try:
            out = getattr(self, "do_" + w[0])(*w[1:]) or []
        except OSError as e:
            rc = transcript.errno_name(e)
            rc = transcript.over_nbd(rc) if self.bench.nbd else rc
        self.check(step, out, [], rc)

    # -- more words ---------------------------------------------------------------
    def do_zeroes(self, name, sector, count):
        node = self.bench.node(name)
        try:
            node.zeroes(int(sector) * 512, int(count) * 512)
        finally:
            node.close()
        if self.bench.nbd:
            self.bench.after_close(name)

    def do_until(self, name, *regex):
        end = time.monotonic() + 20
        while not re.search(" ".join(regex), self.bench.status(name)):
            if time.monotonic() > end:
                return ["never: " + self.bench.status(name)]
            time.sleep(0.05)
        return None

    def do_grow(self, disk, size):
        m = re.match(r"(\d+)([A-Za-z]+)$", size)
        os.truncate(self.bench.paths[disk], int(m.group(1)) * transcript.SIZE[m.group(2)])
        if not self.bench.nbd:
            with open(self.bench.disks[disk], "rb") as loop:
                fcntl.ioctl(loop, LOOP_SET_CAPACITY, 0)

    def do_patch(self, disk, offset, data):
        with open(self.bench.paths[disk], "rb+") as f:
            f.seek(int(offset))
            f.write(bytes.fromhex(data))

    def do_copy(self, source, to):
        with open(self.bench.paths[source], "rb") as s, open(self.bench.paths[to], "rb+") as t:
            shutil.copyfileobj(s, t)

    def do_cut(self, disk, offset, count):
        with open(self.bench.paths[disk], "rb") as f:
            f.seek(int(offset))
            return [summary(f.read(int(count)))]

    def do_tool(self, program, disk, *more):
        p = subprocess.run([program, *more, self.bench.paths[disk]], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace")
        lines = []
        if program.endswith("_dump") and not p.returncode:
            lines = [x for x in dumps.canonical(program, p.stdout)
                     if 'era="0"' not in x and 'value="false"' not in x]
        return lines + ["exit %d" % p.returncode]

    def do_begin(self, *words):
        r, w = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(r)
            self.record, self.diffs, self.log = [], [], list
            self.io(transcript.Step("&", " ".join(words), 0))
            os.write(w, "\n".join(self.record[1:]).encode())
            os._exit(0)
        os.close(w)
        self.behind = pid, r

    def do_waits(self):
        return ["ended"] if select.select([self.behind[1]], [], [], 1)[0] else ["waits"]

    def do_end(self):
        pid, r = self.behind
        ready = select.select([r], [], [], 20)[0]
        text = os.read(r, 4096).decode() if ready else "never"
        os.close(r)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        else:
            os.waitpid(pid, 0)
        return text.split("\n")

    def do_event(self, name):
        out = self.bench.dmsetup("info", "-c", "--noheadings", "-o", "events", name).out
        before, self.events[name] = self.events.get(name, 0), int(out)
        return [str(int(out) - before)]


def arguments():
    a = argparse.ArgumentParser(usage=__doc__)
    a.add_argument("--driver", choices=["ndm", "kernel"], default="ndm")
    a.add_argument("--build")
    a.add_argument("--client")
    a.add_argument("--record")
    a.add_argument("--keep", action="store_true")
    a.add_argument("lists", nargs="+")
    o = a.parse_args()
    o.home = o.root = HERE
    o.command_timeout, o.not_applicable, o.luks_open, o.keep_capabilities = 25, [], None, False
    return o


def one(path, options):
    tmp = tempfile.mkdtemp(prefix="answers-", dir="/dev/shm" if options.driver == "kernel" else None)
    bench = (kernel.KernelBench if options.driver == "kernel" else ndm.NdmBench)(options, tmp)
    answers = Answers(bench, Unit(path), tmp, options)
    sick = None
    try:
        answers.run()
        answers.end()
        if bench.nbd:
            bench.dmsetup("remove_all", "--force", check=False)
            bench.stop()
    except (Trouble, Skip) as e:
        sick = str(e)
        answers.end()
    bench.cleanup()
    if options.record:
        with open(path, encoding="utf-8") as f:
            head = [x for x in f.read().split("\n") if x.startswith("#")]
        with open(os.path.join(options.record, os.path.basename(path)), "w", encoding="utf-8") as f:
            f.write("\n".join(head + answers.record) + "\n")
    if options.keep:
        print("kept: " + tmp)
    else:
        shutil.rmtree(tmp)
    return answers.diffs if not options.record else [], answers.commands, sick


def main():
    options = arguments()
    (kernel if options.driver == "kernel" else ndm).prepare(options)
    if options.driver == "kernel":
        extra = os.environ.get("EXTRA_MODULES", "").split()
        for module in extra:
            subprocess.run(["insmod", module], stderr=subprocess.DEVNULL)
        subprocess.run(["dmesg", "-C"])
    total = others = 0
    for path in options.lists:
        began = time.monotonic()
        diffs, commands, sick = one(path, options)
        for d in diffs + ([sick] if sick else []):
            print("%s: %s" % (os.path.basename(path), d))
        print("%s: %d answers, %d others, %.0f s" % (os.path.basename(path), commands, len(diffs),
                                                     time.monotonic() - began), flush=True)
        total += commands
        others += len(diffs) + bool(sick)
    print("%d answers, %d others" % (total, others))
    return 1 if others else 0


sys.exit(main())
