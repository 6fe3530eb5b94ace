# SPDX-License-Identifier: BSD-2-Clause
"""Driver "kernel": real dmsetup, real device-mapper, loop devices.  Only inside a throw-away VM (IN_KERNEL_VM)."""
import fcntl
import mmap
import os
import re
import stat
import struct
import subprocess
import sys
import time

from .common import Bench, Trouble

BLKDISCARD, BLKZEROOUT, BLKGETSIZE64, BLKROGET, BLKRASET = 0x1277, 0x127f, 0x80081272, 0x125e, 0x1262
LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LOOP_CLR_FD = 0x4C82, 0x4C0A, 0x4C01
MODULES = """loop dm-crypt dm-thin-pool dm-cache dm-cache-smq dm-snapshot dm-mirror dm-raid dm-integrity dm-verity
dm-multipath dm-delay dm-flakey dm-era dm-writecache dm-log-writes dm-switch dm-unstripe dm-zero dm-round-robin
dm-service-time dm-queue-length dm-historical-service-time dm-io-affinity dm-bufio dm-bio-prison raid456 raid1 raid10
raid0 aes_generic xts cbc ctr ecb lrw gcm ccm essiv authenc hmac cmac crypto_null cryptd seqiv echainiv adiantum nhpoly1305
chacha_generic chacha20poly1305 poly1305_generic aegis128 ghash_generic serpent_generic twofish_generic camellia_generic
cast5_generic cast6_generic blowfish_generic des_generic md5 sha1_generic sha256_generic sha512_generic sha3_generic
blake2b_generic wp512 rmd160 crc32_generic crc32c_generic xxhash_generic algif_skcipher algif_hash algif_aead""".split()


def prepare(options):
    if not os.environ.get("IN_KERNEL_VM"):
        sys.exit("run: the driver kernel works only inside kernel-vm (real devices are created and removed)")
    subprocess.run(["modprobe", "-aq", *MODULES])
    subprocess.run(["mount", "-o", "remount,size=90%", "/dev/shm"])
    for folder in (os.path.join(options.home, "record", "persistent", "extra-modules"),
                   os.path.join(options.root, ".runner", "record", "persistent", "extra-modules")):
        for m in ("dm-clone", "dm-dust", "dm-ebs"):
            p = os.path.join(folder, m + ".ko")
            if os.path.exists(p):
                subprocess.run(["insmod", p], stderr=subprocess.DEVNULL)
    if not os.path.exists("/dev/fd"):
        os.symlink("/proc/self/fd", "/dev/fd")


class Node:
    """A mapped device, for I/O."""

    def __init__(self, path, readonly=False):
        self.path = path
        self.fd = os.open(path, os.O_RDONLY if readonly else os.O_RDWR)

    def size(self):
        b = fcntl.ioctl(self.fd, BLKGETSIZE64, b"\0" * 8)
        return struct.unpack("Q", b)[0]

    def is_readonly(self):
        return struct.unpack("i", fcntl.ioctl(self.fd, BLKROGET, b"\0" * 4))[0]

    def _direct(self, flags, data, offset, n):
        fd = os.open(self.path, flags | os.O_DIRECT)
        try:
            m = mmap.mmap(-1, (n + 4095) // 4096 * 4096)
            if data is not None:
                m[:n] = data
                done = os.pwritev(fd, [memoryview(m)[:n]], offset)
            else:
                done = os.preadv(fd, [memoryview(m)[:n]], offset)
            if done != n:
                raise OSError(5, "short")
            return bytes(m[:n])
        finally:
            os.close(fd)

    def read(self, offset, n):
        return self._direct(os.O_RDONLY, None, offset, n)

    def write(self, offset, data, fua=False):
        self._direct(os.O_RDWR | (os.O_DSYNC if fua else 0), data, offset, len(data))

    def flush(self):
        os.fsync(self.fd)

    def discard(self, offset, n):
        fcntl.ioctl(self.fd, BLKDISCARD, struct.pack("QQ", offset, n))

    def zeroes(self, offset, n):
        fcntl.ioctl(self.fd, BLKZEROOUT, struct.pack("QQ", offset, n))

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class KernelBench(Bench):
    argv = ["dmsetup"]
    major = None
    nbd = False

    def __init__(self, options, tmp):
        super().__init__(options, tmp)
        self.env = dict(os.environ, DM_DISABLE_UDEV="1", LC_ALL="C")
        with open("/proc/devices") as f:
            self.major = next(int(l.split()[0]) for l in f if l.split()[1:] == ["device-mapper"])

    def attach(self, name, path, block=512, readonly=False):
        flags = os.O_RDONLY if readonly else os.O_RDWR
        for _ in range(50):
            with open("/dev/loop-control", "rb+", buffering=0) as ctl:
                n = fcntl.ioctl(ctl, LOOP_CTL_GET_FREE)
            dev = "/dev/loop%d" % n
            for _ in range(100):
                if os.path.exists(dev):
                    break
                time.sleep(0.02)
            fd, loop = os.open(path, flags), os.open(dev, os.O_RDWR)
            try:
                config = bytearray(304)
                struct.pack_into("II", config, 0, fd, block)
                struct.pack_into("I", config, 8 + 52, 1 if readonly else 0)       # lo_flags: read-only
                fcntl.ioctl(loop, LOOP_CONFIGURE, config)
                fcntl.ioctl(loop, BLKRASET, 0)
                break
            except OSError as e:
                trouble = e
                time.sleep(0.05)
            finally:
                os.close(fd)
                os.close(loop)
        else:
            raise Trouble("no loop device for %s: %s" % (name, trouble))
        self.disks[name], self.paths[name] = dev, path

    @staticmethod
    def detach(dev):
        for _ in range(50):
            try:
                fd = os.open(dev, os.O_RDONLY)
                try:
                    fcntl.ioctl(fd, LOOP_CLR_FD)
                finally:
                    os.close(fd)
                return
            except OSError:
                if not os.path.exists("/sys/block/%s/loop" % dev[5:]):
                    return
                time.sleep(0.05)

    def numbers(self):
        """minor -> name, as the kernel has it (DM_LIST_DEVICES)."""
        fd = os.open("/dev/mapper/control", os.O_RDWR)
        try:
            buf = bytearray(65536)
            struct.pack_into("=3I2I", buf, 0, 4, 0, 0, len(buf), 312)
            fcntl.ioctl(fd, 0xC138FD02, buf)
        finally:
            os.close(fd)
        res, pos = {}, struct.unpack_from("=I", buf, 16)[0]
        while True:
            dev, nxt = struct.unpack_from("=QI", buf, pos)
            if not dev:
                return res
            res[(dev & 0xff) | (dev >> 12 & 0xfff00)] = bytes(
                buf[pos + 12:buf.index(0, pos + 12)]).decode("utf-8", "backslashreplace")
            if not nxt:
                return res
            pos += nxt

    def contract(self, text):
        for name, dev in self.disks.items():
            n = dev[len("/dev/loop"):]
            text = re.sub(r"(?<![0-9.])(?<!\d:)7:%s(?![0-9:])" % n, "@" + name, text)
        names = self.numbers()
        return re.sub(r"(?<![0-9.])(?<!\d:)%d:(\d+)(?![0-9:])" % self.major,
                      lambda m: "@" + names.get(int(m.group(1)), "?"), text)

    def luks_command(self, key, disk, name, header, options):
        return (["cryptsetup", "-q", "open", "--disable-keyring", "--key-file", key] + options.split()
                + (["--header", header] if header else []) + [disk, name])

    def node(self, name, readonly=False):
        path = "/dev/mapper/" + name
        try:
            return Node(path, readonly)
        except OSError:
            if not readonly:
                return Node(path, True)
            raise

    def after_close(self, name):
        pass

    def stop(self):
        for dev in self.disks.values():
            self.detach(dev)
        self.disks = {}
        for f in os.listdir("/dev/mapper"):
            if f != "control" and stat.S_ISBLK(os.lstat("/dev/mapper/" + f).st_mode) and f not in self.active():
                os.unlink("/dev/mapper/" + f)

    def cleanup(self):
        """After a failure: everything goes (we own this VM)."""
        for loop in os.listdir("/sys/block"):
            if loop.startswith("loop") and os.path.exists("/sys/block/%s/loop" % loop):
                self.disks.setdefault(loop, "/dev/" + loop)
        for _ in range(3):
            for argv in ([["dmsetup", "remove_all", "--force"]]
                         + [["dmsetup", "remove", "--force", "--noflush", n] for n in self.active()]):
                try:
                    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20)
                except subprocess.TimeoutExpired:
                    pass
            if not self.active():
                break
            time.sleep(0.3)
        self.stop()

    def health(self):
        return None
