# SPDX-License-Identifier: BSD-2-Clause
"""What both drivers share: results, errors, the bench of one check."""
import errno
import os
import re
import subprocess
import time

SECTOR = 512
NBD_ERRNO = {"EPERM", "EIO", "ENOMEM", "EINVAL", "ENOSPC", "EOVERFLOW", "ENOTSUP", "EOPNOTSUPP", "ESHUTDOWN"}
BY_TEXT = {os.strerror(n): name for n, name in errno.errorcode.items()}


class Trouble(Exception):
    """A check cannot go on: it failed, for this reason."""


class Skip(Exception):
    """A check means nothing (or cannot be run) here."""


class Refused(Exception):
    """A table (or passphrase) was refused."""

    def __init__(self, device, stderr, rc, reasons):
        m = re.search(r"device-mapper: (\S+) ioctl.* failed: (.*)", stderr)
        self.what = {"device": device}
        if m:
            self.what["ioctl"] = m.group(1)
            self.what["errno"] = BY_TEXT.get(m.group(2).strip(), m.group(2).strip())
        else:
            self.what["exit"] = rc
        self.stderr, self.reasons = stderr, reasons
        super().__init__("%s refused: %s" % (device, stderr.strip().split("\n")[0]))


class Result:
    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err


def over_nbd(name):
    """The errno an NBD client sees where the kernel gives this one."""
    if name == "EOPNOTSUPP":
        return "ENOTSUP"
    return name if name in NBD_ERRNO else "EIO"


def tail(path, lines=15):
    try:
        with open(path, "rb") as f:
            f.seek(max(0, os.path.getsize(path) - 8192))
            return f.read().decode("utf-8", "replace").rstrip("\n").split("\n")[-lines:]
    except OSError:
        return []


class Bench:
    """The disks and mapped devices of one check.  A driver adds: attach, device_text, run (a shell command),
    argv (of dmsetup), node (open a mapped device for I/O), numbers, stop."""

    def __init__(self, options, tmp):
        self.options, self.tmp = options, tmp
        self.disks = {}             # name -> how tables name it
        self.paths = {}             # name -> backing file
        self.dms = []               # active devices, oldest first
        self.refusals = self.reasons = 0

    # -- tables -------------------------------------------------------------
    def expand(self, text):
        return re.sub(r"@([A-Za-z][\w-]*)",
                      lambda m: self.disks.get(m.group(1)) or "/dev/mapper/" + m.group(1), text)

    def dmsetup(self, *args, stdin=None, check=True, luks=False):
        argv = list(self.argv) + list(args) if not luks else list(args)
        p = subprocess.run(argv, input=stdin if stdin is not None else "", stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, errors="backslashreplace", env=self.env)
        err = self.without_reasons(p.stderr, p.returncode)
        if check and p.returncode:
            raise Trouble("dmsetup %s: exit status %d: %s" % (" ".join(args), p.returncode, err.strip()))
        return Result(p.returncode, p.stdout, err)

    def without_reasons(self, err, rc):
        lines = err.split("\n")
        found = [x for x in lines if x.startswith("reason: ")]
        if rc and re.search(r"device-mapper: (reload|resume|create) ioctl.*failed", err):
            self.refusals += 1
            self.reasons += bool(found)
        return "\n".join(x for x in lines if not x.startswith("reason: ")) if found else err

    def create(self, name, table, readonly=False):
        args = ["create", name] + (["--readonly"] if readonly else [])
        r = self.dmsetup(*args, stdin=self.expand(table) + "\n", check=False)
        if r.rc:
            raise Refused(name, r.err, r.rc, None)
        self.dms.append(name)

    def luks_open(self, name, spec):
        secret = bytes.fromhex(spec["keyfile_hex"]) if "keyfile_hex" in spec else spec["passphrase"].encode()
        key = os.path.join(self.tmp, name + ".key")
        with open(key, "wb") as f:
            f.write(secret)
        before = set(self.active())
        argv = self.luks_command(key, self.disks[spec["disk"]], name,
                                 self.disks[spec["header"]] if "header" in spec else None,
                                 spec.get("options", ""))
        r = self.dmsetup(*argv, check=False, luks=True)
        if r.rc:
            raise Refused(name, r.err, r.rc, None)
        if name not in self.active():
            raise Trouble("%s: exit status 0, but there is no device %s" % (" ".join(argv), name))
        self.dms += sorted((n for n in self.active() if n not in before), key=lambda n: (n == name, n))

    def active(self):
        return [n for n in self.numbers().values()]

    def remove(self, name, patience=8.0):
        end = time.time() + patience
        while True:
            r = self.dmsetup("remove", name, check=False)
            if not r.rc:
                break
            if time.time() > end:
                raise Trouble("dmsetup remove %s: %s" % (name, r.err.strip()))
            time.sleep(0.05)
        if name in self.dms:
            self.dms.remove(name)

    def line(self, command, name, *options):
        return self.contract(self.dmsetup(command, *options, name).out.rstrip("\n"))

    def status(self, name):
        return self.line("status", name)

    def table(self, name):
        return self.line("table", name)

    # -- waiting --------------------------------------------------------------
    def wait(self, name, what, good, limit=60, twice=1):
        end, n = time.time() + limit, 0
        while True:
            s = self.status(name)
            n = n + 1 if good(s) else 0
            if n >= twice:
                return
            if time.time() > end:
                raise Trouble("%s after %d s: %s" % (what, limit, s))
            time.sleep(0.2)

    def wait_raid(self, name):
        def good(s):
            w = s.split()
            a, b = w[6].split("/")
            return w[7] == "idle" and a == b
        self.wait(name, "raid %s is not idle" % name, good, twice=2)

    def wait_mirror(self, name):
        def good(s):
            m = re.search(r" (\d+)/(\d+) 1 ", s)
            return m and m.group(1) == m.group(2)
        self.wait(name, "mirror %s is not in sync" % name, good)

    def wait_merge(self, name):
        def good(s):
            m = re.search(r" (\d+)/\d+ (\d+)$", s)
            return m and m.group(1) == m.group(2)
        self.wait(name, "merge of %s has not ended" % name, good, limit=90)

    def wait_status(self, name, regex):
        self.wait(name, "status of %s does not match %s" % (name, regex), lambda s: re.search(regex, s))

    # -- ending -----------------------------------------------------------------
    def close(self):
        """Remove everything; a device that cannot be removed is a failure."""
        trouble = None
        for n in reversed(list(self.dms)):
            try:
                self.remove(n)
            except Trouble as e:
                trouble = trouble or e
        if trouble:
            raise trouble
