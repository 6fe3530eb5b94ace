# SPDX-License-Identifier: BSD-2-Clause
"""Driver "ndm": an ndmd of our own for each check, ndmsetup, and libnbd for I/O.  No root, no kernel."""
import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

from .common import Bench, Skip, Trouble, tail

MAJOR = 253


def absolute(command):
    """The same command from any folder."""
    def fix(word):
        key, eq, value = word.rpartition("=")
        return key + eq + os.path.abspath(value) if "/" in value and os.path.exists(value) else word
    return " ".join(shlex.quote(fix(w)) for w in shlex.split(command))


def prepare(options):
    try:
        import nbd                                  # noqa: F401
    except ImportError:
        sys.exit("run: the driver ndm needs libnbd for Python: apt-get install python3-libnbd (and start this program "
                 "with /usr/bin/python3)")
    build = options.build or os.environ.get("NDM_BUILD") or "."
    options.ndmd = os.environ.get("NDMD") or os.path.join(build, "server", "ndmd")
    options.ndmsetup = os.environ.get("NDMSETUP") or os.path.join(build, "client", "ndmsetup")
    options.ndm = os.environ.get("NDM") or os.path.join(build, "client", "ndm")
    options.ndmd, options.ndmsetup, options.ndm = map(absolute, (options.ndmd, options.ndmsetup, options.ndm))
    options.client = options.client and absolute(options.client)
    for p in shlex.split(options.ndmd)[:1] + ([] if options.client else shlex.split(options.ndmsetup)[:1]):
        if not (os.access(p, os.X_OK) or shutil.which(p)):
            sys.exit("run: no program %s (set --build, or $NDMD and $NDMSETUP)" % p)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Node:
    """An export, for I/O."""

    def __init__(self, sock, name):
        import nbd
        self.h = nbd.NBD()
        self.h.set_export_name(name)
        self.h.set_strict_mode(0)                  # what is refused is for the server to say
        try:
            self.h.connect_unix(sock)
        except nbd.Error as e:
            raise OSError(2, "no export %s: %s" % (name, e))
        self.error = nbd.Error

    def _do(self, call, *a):
        try:
            return call(*a)
        except self.error as e:
            if not e.errnum or self.h.aio_is_dead() or self.h.aio_is_closed():
                raise Trouble("the NBD connection broke: %s" % e)
            raise OSError(e.errnum, e.string)

    def size(self):
        return self.h.get_size()

    def is_readonly(self):
        return int(self.h.is_read_only())

    def read(self, offset, n):
        return bytes(self._do(self.h.pread, n, offset))

    def write(self, offset, data, fua=False):
        self._do(self.h.pwrite, data, offset, 1 if fua else 0)

    def flush(self):
        if self.h.can_flush():
            self._do(self.h.flush)

    def discard(self, offset, n):
        self._do(self.h.trim, n, offset)

    def zeroes(self, offset, n):
        self._do(self.h.zero, n, offset)

    def close(self):
        if self.h:
            try:
                self.h.shutdown()
            except self.error:
                pass
            self.h = None


class NdmBench(Bench):
    nbd = True
    major = MAJOR

    def __init__(self, options, tmp):
        super().__init__(options, tmp)
        self.control, self.sock = tmp + "/control", tmp + "/nbd.sock"
        self.log = tmp + "/ndmd.err"
        self.helpers = []
        os.mkdir(tmp + "/bin")
        path = os.environ.get("PATH", "/usr/bin:/bin")
        shim = tmp + "/bin/dmsetup"
        with open(shim, "w") as f:
            f.write("#!/bin/bash\nexport PATH=%s\nexec %s \"$@\"\n" % (
                shlex.quote(path), options.client or "-a dmsetup " + options.ndmsetup))
        os.chmod(shim, 0o755)
        for other in ("dmstats", "devmap_name"):
            with open(tmp + "/bin/" + other, "w") as f:
                f.write("#!/bin/bash\nexport PATH=%s\nexec -a %s %s \"$@\"\n" % (
                    shlex.quote(path), other, options.ndmsetup))
            os.chmod(tmp + "/bin/" + other, 0o755)
        self.argv = [shim]
        self.env = dict(os.environ, NDM_CONTROL=self.control, DM_DISABLE_UDEV="1", LC_ALL="C",
                        PATH=tmp + "/bin:" + path, TMPDIR=tmp)
        self.env.pop("DM_DEFAULT_NAME_MANGLING_MODE", None)
        argv = shlex.split(options.ndmd) + ["--foreground", "--control", self.control, "--listen", "unix:" + self.sock]
        if os.getuid() == 0 and shutil.which("setpriv") and not options.keep_capabilities:
            # rootless: without CAP_DAC_OVERRIDE a file of mode 0444 is read-only for us, too
            argv = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"] + argv
        self.ndmd = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=open(tmp + "/ndmd.out", "wb"),
                                     stderr=open(self.log, "wb"), env=self.env, cwd=tmp, preexec_fn=die_with_parent)
        end = time.time() + 15
        while True:
            if self.ndmd.poll() is not None:
                raise Trouble(self.health())
            if os.path.exists(self.control) or options.client:
                r = self.dmsetup("version", check=False)
                if not r.rc:
                    return
            if time.time() > end:
                raise Trouble("dmsetup version does not succeed 15 s after the start of ndmd")
            time.sleep(0.02)

    def attach(self, name, path, block=512, readonly=False):
        self.paths[name] = self.disks[name] = path
        if block != 512:                            # only an NBD server can tell of larger blocks
            if not shutil.which("nbdkit"):
                raise Skip("a disk with %d-byte blocks needs nbdkit (blocksize-policy)" % block)
            sock = "%s/%s.nbd" % (self.tmp, name)
            p = subprocess.Popen(["nbdkit", "-f", "-U", sock, "--filter=blocksize-policy", "file", path,
                                  "blocksize-minimum=%d" % block, "blocksize-preferred=%d" % block]
                                 + (["-r"] if readonly else []),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=open(sock + ".err", "wb"), preexec_fn=die_with_parent)
            self.helpers.append(p)
            for _ in range(500):
                if os.path.exists(sock) or p.poll() is not None:
                    break
                time.sleep(0.01)
            if p.poll() is not None:
                raise Skip("nbdkit with blocksize-policy does not start: " + " ".join(tail(sock + ".err", 2)))
            self.disks[name] = "nbd+unix:///?socket=" + sock
        elif readonly:
            os.chmod(path, 0o444)

    def numbers(self):
        """minor -> name"""
        out = self.dmsetup("ls", "--manglename", "none", check=False).out
        return {int(m.group(2)): m.group(1) for m in re.finditer(r"^(.*)\t\(%d[:,] ?(\d+)\)$" % MAJOR, out, re.M)}

    def contract(self, text):
        for name, p in sorted(self.disks.items(), key=lambda x: -len(x[1])):
            text = re.sub(r"(file:)?%s(?![\w.])" % re.escape(p), "@" + name, text)
        text = re.sub(r"(/dev/mapper/|dev:)([\w.+-]+)", r"@\2", text)
        if re.search(r"(?<![0-9.])%d:\d" % MAJOR, text):
            names = self.numbers()
            text = re.sub(r"(?<![0-9.])(?<!\d:)%d:(\d+)(?![0-9:])" % MAJOR,
                          lambda m: "@" + names.get(int(m.group(1)), "?"), text)
        return text

    def luks_command(self, key, disk, name, header, options):
        template = self.options.luks_open
        if not template:
            if os.access(shlex.split(self.options.ndm)[0], os.X_OK):
                template = "$NDM cryptsetup luksOpen --key-file FILE OPTIONS DEVICE NAME"
            else:
                template = "$NDMSETUP luksOpen --key-file FILE OPTIONS DEVICE NAME"
        words = []
        for w in template.split():
            if w == "OPTIONS":
                words += options.split() + (["--header", header] if header else [])
            elif w in ("$NDM", "$NDMSETUP"):
                words += shlex.split(self.options.ndm if w == "$NDM" else self.options.ndmsetup)
            else:
                words.append({"FILE": key, "DEVICE": disk, "NAME": name, "HEADER": header or disk}.get(w, w))
        return words

    def node(self, name, readonly=False):
        return Node(self.sock, name)

    def opens(self, name):
        r = self.dmsetup("info", "-c", "--noheadings", "-o", "open", name, check=False)
        return int(r.out) if not r.rc and r.out.strip().isdigit() else 0

    def after_close(self, name, before=0):
        """The server learns of a closed connection a little later than we."""
        for _ in range(100):
            if self.opens(name) <= before:
                return
            time.sleep(0.02)

    def health(self):
        """What is wrong with ndmd, or None."""
        rc = self.ndmd.poll()
        if rc is None:
            return None
        how = "killed by %s" % signal.Signals(-rc).name if rc < 0 else "ended with status %d" % rc
        return "ndmd %s; its last words:\n%s" % (how, "\n".join("      " + x for x in tail(self.log)))

    def stop(self):
        sick = self.health()
        if not sick:
            self.ndmd.terminate()
            try:
                rc = self.ndmd.wait(15)
                if rc not in (0, -signal.SIGTERM):
                    sick = self.health()
            except subprocess.TimeoutExpired:
                self.ndmd.kill()
                self.ndmd.wait()
                sick = "ndmd did not end within 15 s of SIGTERM"
        self.stop_helpers()
        if sick:
            raise Trouble(sick)

    def stop_helpers(self):
        for p in self.helpers:
            if p.poll() is None:
                p.terminate()
                try:
                    p.wait(5)
                except subprocess.TimeoutExpired:
                    p.kill()
        self.helpers = []

    def cleanup(self):
        if self.ndmd.poll() is None:
            self.ndmd.kill()
            self.ndmd.wait()
        self.stop_helpers()
