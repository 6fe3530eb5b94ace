#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""kernel-cases.py DIR NDMD NDMSETUP - cases for tests/conformance/verify-in-kernel: snapshots of many
chunk sizes, merges that were stopped half-way and a mirror whose server was killed, all written by
ndm; expected is what ndm read.  Prints a line for each."""
import hashlib, json, lzma, os, random, re, signal, subprocess, sys, time
import nbd

OUT, NDMD, NDMSETUP = sys.argv[1:]
SECTORS, COW_SECTORS = 4096, 12288
dice = random.Random(11)


class Server:
    def __init__(self):
        self.process = subprocess.Popen([NDMD, "--foreground", "--control", "kc-control", "--listen", "unix:kc-sock"])
        os.environ["NDM_CONTROL"] = os.path.realpath("kc-control")
        end = time.monotonic() + 30
        while subprocess.run([NDMSETUP, "version"], capture_output=True).returncode:
            if time.monotonic() > end:
                sys.exit("ndmd does not answer")
            time.sleep(0.02)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def setup(*words):
    r = subprocess.run([NDMSETUP, *words], capture_output=True, text=True)
    if r.returncode:
        sys.exit("ndmsetup %s: %s" % (" ".join(words), r.stderr))
    return r.stdout.strip()


def connect(name):
    h = nbd.NBD()
    h.connect_uri("nbd+unix:///%s?socket=%s" % (name, os.path.realpath("kc-sock")))
    return h


def read_all(name):
    h = connect(name)
    return h.pread(h.get_size(), 0)


def file_new(name, sectors, content=None):
    with open(name, "wb") as f:
        f.write(content or bytes(sectors * 512))
    return os.path.realpath(name)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def content(path):
    with open(path, "rb") as f:
        return f.read()


def case_write(family, name, title, disks, checks):
    folder = os.path.join(OUT, family)
    os.makedirs(folder, exist_ok=True)
    listed = {}
    for n, data in disks.items():
        image = "%s.%s.img.xz" % (name, n)
        with open(os.path.join(folder, image), "wb") as f:
            f.write(lzma.compress(data, preset=1))
        listed[n] = {"image": image, "bytes": len(data), "sha256": sha(data)}
    with open(os.path.join(folder, name + ".yaml"), "w") as f:
        json.dump({"name": name, "family": family, "title": title, "disks": listed, "checks": checks}, f, indent=1)
    print("%s: %s" % (name, title), flush=True)


def snapshot_checks(store, chunk, seen, status):
    """the kernel reads it, and merges it (on)"""
    n = len(seen) // 512
    area = {"name": "m", "bytes": len(seen), "sha256": sha(seen)}
    return [
        {"id": "read", "open": [{"name": "s", "table": "0 %d snapshot @D0 @D1 %s %d" % (n, store, chunk)}],
         "expect": {"devices": [{"name": "s", "bytes": len(seen), "sha256": sha(seen), "status": status}]}},
        {"id": "merge", "open": [{"name": "m", "table": "0 %d snapshot-merge @D0 @D1 %s %d" % (n, store, chunk)}],
         "then": [["wait_merge", "m"]], "disks_after": ["D0"],
         "expect": {"devices": [dict(area, status="0 %d snapshot-merge %d/%d %d" % (n, 2 * chunk, COW_SECTORS, 2 * chunk))],
                    "disks": {"D0": sha(seen)}}}]


def write_some(name, count, longest):
    h = connect(name)
    for _ in range(count):
        nr = dice.randrange(1, longest)
        h.pwrite(dice.randbytes(nr * 512), dice.randrange(SECTORS - nr) * 512)
    h.flush()


def taken(status):
    m = re.search(r" (\d+)/\d+ (\d+)$", status)
    return int(m[1]) - int(m[2])


def half_merge(origin, cow, store, chunk, before):
    """stops a merge when a third is done, and before all is"""
    setup("create", "slow", "--table", "0 %d delay %s 0 0 %s 0 5" % (SECTORS, origin, origin))
    setup("create", "m", "--table", "0 %d snapshot-merge /dev/mapper/slow %s %s %d" % (SECTORS, cow, store, chunk))
    while taken(setup("status", "m")) > before * 2 // 3:
        time.sleep(0.002)
    setup("remove", "--retry", "m")
    setup("remove", "slow")


def snapshots():
    for store, chunk in [("P", 1), ("P", 2), ("PO", 4), ("P", 8), ("P", 16), ("PO", 32), ("P", 64), ("P", 128), ("P", 1024)]:
        origin = file_new("origin", SECTORS, dice.randbytes(SECTORS * 512))
        cow = file_new("cow", COW_SECTORS)
        table = "0 %d snapshot %s %s %s %d" % (SECTORS, origin, cow, store, chunk)
        setup("create", "o", "--table", "0 %d snapshot-origin %s" % (SECTORS, origin))
        setup("create", "s", "--table", table)
        for _ in range(4):
            write_some("s", 12, 40)
            write_some("o", 6, 20)
        seen, status = read_all("s"), setup("status", "s")
        setup("remove", "s")
        setup("remove", "o")
        name = "ours-c%d-%s" % (chunk, store.lower())
        case_write("snapshot", name, "written by ndm: %s" % status, {"D0": content(origin), "D1": content(cow)},
                   snapshot_checks(store, chunk, seen, status))
        if chunk > 64:
            continue
        half_merge(origin, cow, store, chunk, taken(status))
        setup("create", "s", "--table", table)
        after = setup("status", "s")
        if read_all("s") != seen or not 0 < taken(after) < taken(status):
            sys.exit("%s: not half merged: %s, before %s" % (name, after, status))
        setup("remove", "s")
        case_write("snapshot", name + "-half", "half merged by ndm: %s of %s" % (after, status),
                   {"D0": content(origin), "D1": content(cow)}, snapshot_checks(store, chunk, seen, after))


def flip(path, sector, nr):
    with open(path, "r+b") as f:
        f.seek(sector * 512)
        f.write(b"\xa5" * nr * 512)


def mirror_killed():
    """the server dies between the legs: the kernel copies the dirty regions, and believes the clean ones"""
    base = dice.randbytes(SECTORS * 512)
    a, b, log = file_new("a", SECTORS, base), file_new("b", SECTORS, base), file_new("log", 8)
    server = Server()
    setup("create", "slow", "--table", "0 %d delay %s 0 0 %s 0 600000" % (SECTORS, b, b))
    setup("create", "m", "--table", "0 %d mirror disk 3 %s 64 nosync 2 %s 0 /dev/mapper/slow 0 1 handle_errors"
          % (SECTORS, log, a))
    h = connect("m")
    for sector in (100, 700, 2000):
        h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(dice.randbytes(4096))), sector * 512)
    while content(a)[2000 * 512:2008 * 512] == base[2000 * 512:2008 * 512] or \
            content(a)[100 * 512:108 * 512] == base[100 * 512:108 * 512] or \
            content(a)[700 * 512:708 * 512] == base[700 * 512:708 * 512]:
        h.poll(10)
    server.stop(signal.SIGKILL)
    if content(b) != base:
        sys.exit("the second leg was written")
    flip(b, 3000, 4)                    # region 46 is clean: nobody may look there
    wanted = bytearray(content(a))
    wanted[3000 * 512:3004 * 512] = b"\xa5" * 2048
    table = "0 %d mirror disk 2 @D2 64 2 @D0 0 @D1 0 1 handle_errors" % SECTORS
    case_write("mirror", "ours-killed", "ndmd was killed: three regions of 64 are dirty in the log",
               {"D0": content(a), "D1": content(b), "D2": content(log)},
               [{"id": "resync", "open": [{"name": "m", "table": table}], "then": [["wait_mirror", "m"]],
                 "disks_after": ["D0", "D1"],
                 "expect": {"devices": [{"name": "m", "bytes": SECTORS * 512, "sha256": sha(content(a)),
                                         "status": "0 %d mirror 2 @D0 @D1 64/64 1 AA 3 disk @D2 A" % SECTORS}],
                            "disks": {"D0": sha(content(a)), "D1": sha(bytes(wanted))}}}])


server = Server()
snapshots()
server.stop()
mirror_killed()
