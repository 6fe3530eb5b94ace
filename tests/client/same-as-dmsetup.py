#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian's dmsetup and ours give the same answer to the same command line.

same-as-dmsetup.py [--server NDMD] NDM PRELOAD FILE...

Each FILE holds command lines for bash, one a line; @D0 and @D1 in them are files of 8 MiB.
They are run twice, each time against a fresh fake-ndmd.py (or a real ndmd): by the dmsetup of this machine, which the preload library leads there, and
by ours.  Standard output, standard error and the exit status must be equal.  Help texts are
our own words: of them only the place counts.  Exit status 77: there is no dmsetup 1.02.185.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
HELP = [
    (r"Usage:\n(?:.*\n)*?.*(?:for list\.|against it\.|drawing\.|and uuid\.)\n\n", "@USAGE\n"),
    (r"Mapped Device Name Fields\n(?:.*\n)*?Special Fields\n-*\n(?:  .*\n)*(?: \n)?", "@FIELDS\n"),
    (r"Selection operands\n(?:.*\n)*?.*List subset end\n \n", "@OPERATORS\n"),
    (r"^/dev/mapper/.*: open failed: No such file or directory\n", ""),
    (r"^reason: .*\n", ""),
]


def plain(err):
    for pattern, text in HELP:
        err = re.sub(pattern, text, err, flags=re.M)
    return err


def programs(folder, setup, program):
    """dmsetup and dmstats as scripts, so that command lines may name them, and they know themselves by that name."""
    os.makedirs(folder)
    for name in ("dmsetup", "dmstats"):
        path = os.path.join(folder, name)
        with open(path, "w") as f:
            f.write('#!/bin/bash\n%s\nexec -a %s %s "$@"\n' % (setup, name, program % {"name": name}))
        os.chmod(path, 0o755)


def answers(folder, lines, env, ndmd):
    control = os.path.join(folder, "control")
    for name in ("D0", "D1"):
        with open(os.path.join(folder, name), "wb") as f:
            f.truncate(8 << 20)
    argv = [sys.executable, os.path.join(HERE, "fake-ndmd.py"), control]
    if ndmd:
        argv = [ndmd, "--foreground", "--control", control, "--listen", "unix:" + folder + "/nbd.sock"]
    server = subprocess.Popen(argv, stderr=subprocess.DEVNULL if ndmd else None)
    try:
        while server.poll() is None:
            try:
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(control)
                break
            except OSError:
                time.sleep(0.01)
        env = dict(env, NDM_CONTROL=control, PATH=folder + "/bin:" + env["PATH"], DM_DISABLE_UDEV="1", LC_ALL="C")
        for line in lines:
            p = subprocess.run(["bash", "-c", line.replace("@D", folder + "/D")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=env, timeout=60, cwd=folder)
            yield (p.returncode, p.stdout.decode("utf-8", "replace").replace(folder, "@"),
                   plain(p.stderr.decode("utf-8", "replace").replace(folder, "@")))
    finally:
        server.kill()
        server.wait()


def main():
    ndmd = None
    if sys.argv[1] == "--server":
        ndmd = os.path.abspath(sys.argv[2])
        del sys.argv[1:3]
    ndm, preload, files = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
    debian = shutil.which("dmsetup", path="/sbin:/usr/sbin:" + os.environ["PATH"])
    if debian:
        version = subprocess.run([debian, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    if not debian or b"1.02.185 " not in version:
        print("there is no dmsetup 1.02.185 to compare with")
        return 77
    differences = 0
    for path in files:
        with open(path) as f:
            lines = [x.rstrip("\n") for x in f if x.strip() and not x.startswith("#")]
        with tempfile.TemporaryDirectory() as tmp:
            ref, our = tmp + "/ref", tmp + "/our"
            programs(ref + "/bin", "export NDM_PRELOAD_QUIET=1 LD_PRELOAD=" + preload, os.path.dirname(debian) + "/%(name)s")
            programs(our + "/bin", "", ndm)
            want = answers(ref, lines, dict(os.environ), ndmd)
            got = answers(our, lines, dict(os.environ), ndmd)
            for line, a, b in zip(lines, want, got):
                if a != b and a[0] >= 0:         # what Debian's crashes on is ours to answer
                    differences += 1
                    print("%s\n$ %s" % (os.path.basename(path), line))
                    for what, x, y in zip(("status", "output", "errors"), a, b):
                        if x != y:
                            print("--- %s of dmsetup\n%s\n--- ours\n%s" % (what, x, y))
        print("%s: %d command lines" % (os.path.basename(path), len(lines)))
    print("%d differences" % differences)
    return 1 if differences else 0


sys.exit(main())
