#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# What the kernel's queue-length and service-time choose, for a sequence of requests, answers,
# failures: run as root in a kernel with dm-multipath.  Prints the golden file.
import mmap, os, random, re, subprocess, sys, threading, time

def dm(*words):
    r = subprocess.run(["dmsetup", *words], capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"dmsetup {' '.join(words)}: {r.stderr}")
    return r.stdout

def number(name):
    return dm("info", "-c", "--noheadings", "-o", "major,minor", name).strip()

class Request(threading.Thread):
    def __init__(self, nr):
        super().__init__(daemon=True)
        self.nr = nr
        self.start()
    def run(self):
        fd = os.open("/dev/mapper/m", os.O_RDONLY | os.O_DIRECT)
        buf = mmap.mmap(-1, self.nr * 512)
        try:
            os.preadv(fd, [buf], 0)
        except OSError:
            pass
        os.close(fd)

def status(numbers):
    line = dm("status", "m").rstrip("\n")
    for i, n in enumerate(numbers):
        line = re.sub(r"(?<= )" + n + r"(?= )", f"P{i}", line)
    return line.split("multipath ", 1)[1]

def settled(numbers):
    last = None
    for _ in range(100):
        now = status(numbers)
        if now == last:
            return now
        last = now
        time.sleep(0.15)
    sys.exit("never settles")

def session(seed, selector, args):
    random.seed(seed)
    n = len(args)
    for i in range(n):
        dm("create", f"l{i}", "--table", "0 2048 zero")
    numbers = [number(f"l{i}") for i in range(n)]
    nargs = len(args[0].split())
    table = f"0 2048 multipath 2 queue_mode bio 0 1 1 {selector} 0 {n} {nargs}"
    print(f"table {selector} {n} {nargs} " + " ".join(f"P{i} {args[i]}" for i in range(n)))
    dm("create", "m", "--table", table + "".join(f" {numbers[i]} {args[i]}" for i in range(n)))
    for i in range(n):
        dm("suspend", "--noflush", "--nolockfs", f"l{i}")
    failed = set()
    for step in range(45):
        what = random.random()
        if what < 0.62:
            nr = random.choice([1, 2, 8, 8, 16, 64])
            nr = max(8, nr) if nr > 2 else nr
            Request(nr)
            op = f"read {nr}"
            time.sleep(0.3)
        elif what < 0.84:
            i = random.randrange(n)
            dm("resume", f"l{i}")
            time.sleep(0.3)
            dm("suspend", "--noflush", "--nolockfs", f"l{i}")
            op = f"answer P{i}"
        else:
            i = random.randrange(n)
            if i in failed:
                dm("message", "m", "0", "reinstate_path", numbers[i]); failed.discard(i)
                op = f"reinstate P{i}"
            elif len(failed) < n - 1:
                dm("message", "m", "0", "fail_path", numbers[i]); failed.add(i)
                op = f"fail P{i}"
            else:
                continue
        print(f"{op}: {settled(numbers)}", flush=True)
    for i in range(n):
        dm("resume", f"l{i}")
    time.sleep(0.5)
    print(f"end: {settled(numbers)}")
    dm("remove", "--retry", "m")
    for i in range(n):
        dm("remove", f"l{i}")

subprocess.run(["modprobe", "dm-multipath"]); subprocess.run(["modprobe", "dm-queue-length"]); subprocess.run(["modprobe", "dm-service-time"])
os.environ["DM_DISABLE_UDEV"] = "1"
print("# recorded from Linux", os.uname().release)
session(1, "queue-length", ["1", "1", "1"])
session(2, "queue-length", ["1", "1", "1", "1"])
session(3, "service-time", ["1 1", "1 1", "1 1"])
session(4, "service-time", ["1 1", "1 2", "1 5"])
session(5, "service-time", ["1 3", "1 0", "1 3", "1 7"])
session(6, "service-time", ["1 100", "1 1", "1 50"])
