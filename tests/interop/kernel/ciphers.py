#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""ciphers.py - what Linux's dm-crypt makes of every cipher, mode, IV and key size, as root under a
real kernel.  Prints a line for each table:

    SPEC KEYBYTES WORDS yes SHA256 READ	   of 4096 bytes as they then lie on the device; READ: are
					   they read back ("back"), or what the read fails with
    SPEC KEYBYTES WORDS no ERRNO SENTENCE  refused, and what the kernel's log says of it

    WORDS: of the optional ones, joined by +, or "-"

With authentication the table is above an integrity device of TUPLE bytes a sector, and SHA256 is of
the 4096 bytes with all tags behind them.  The key's bytes, and the plain text's, are those of key()
and plain() here; tests/unit/test-kernel-ciphers.c has the same."""
import errno, fcntl, hashlib, mmap, os, re, stat, struct, subprocess, sys

BLOCKS = {
    "aes": [16, 24, 32, 15], "blowfish": [4, 16, 32, 56, 3, 57], "camellia": [16, 24, 32, 20],
    "cast5": [5, 8, 10, 11, 16, 4, 17], "cast6": [16, 20, 24, 28, 32, 18], "des": [8, 7],
    "des3_ede": [24, 16], "fcrypt": [8, 7], "serpent": [0, 1, 16, 24, 32, 33], "tnepres": [32],
    "twofish": [16, 24, 32, 20], "cipher_null": [0, 16],
}
ABSENT = {			# what kernels of other configurations may have
    "anubis": [16], "khazad": [16], "tea": [16], "xtea": [16], "xeta": [16], "seed": [16], "sm4": [16],
    "aria": [16], "arc4": [16], "rc2": [16], "idea": [16], "gost": [32], "skipjack": [10], "nothing": [16],
}
MODES = {			# name of the API, bytes of key from those of the cipher
    "ecb(%s)": lambda n: n, "cbc(%s)": lambda n: n, "ctr(%s)": lambda n: n, "xts(%s)": lambda n: 2 * n,
    "lrw(%s)": lambda n: n + 16, "pcbc(%s)": lambda n: n, "cts(cbc(%s))": lambda n: n,
    "rfc3686(ctr(%s))": lambda n: n + 4, "xctr(%s)": lambda n: n, "hctr2(%s)": lambda n: n,
    "kw(%s)": lambda n: n, "cfb(%s)": lambda n: n, "ofb(%s)": lambda n: n,
}
ODD = [
    ("xts(ecb(aes))", 64), ("lrw(ecb(aes))", 48), ("cts(aes)", 32), ("cts(ecb(aes))", 32), ("cts(xts(aes))", 64),
    ("cts(cts(cbc(aes)))", 32), ("ctr(ecb(aes))", 32), ("cbc(ecb(aes))", 32), ("rfc3686(aes)", 36), ("rfc3686(cbc(aes))", 36),
    ("rfc3686(xctr(aes))", 36), ("aes", 32), ("chacha20", 32), ("chacha20", 16), ("xchacha20", 32), ("xchacha12", 32), ("chacha12", 32),
    ("salsa20", 32), ("adiantum(xchacha12,aes)", 32), ("adiantum(xchacha20,aes)", 32), ("adiantum(xchacha12,serpent)", 32),
    ("adiantum(xchacha12,twofish)", 32), ("adiantum(xchacha12,camellia)", 32), ("adiantum(xchacha12,cast6)", 32),
    ("adiantum(xchacha12,blowfish)", 32), ("adiantum(chacha20,aes)", 32), ("adiantum(xchacha12,aes,nhpoly1305)", 32),
    ("adiantum(xchacha12,des3_ede)", 32), ("adiantum(xchacha12,aes)", 16), ("hctr2_base(xctr(aes),polyval)", 32),
    ("essiv(cbc(aes),sha256)", 32), ("essiv(xts(aes),sha256)", 64), ("essiv(cbc(blowfish),sha256)", 32),
    ("essiv(ctr(aes),sha256)", 32), ("essiv(lrw(aes),sha256)", 48), ("essiv(pcbc(aes),sha256)", 32),
    ("essiv(cts(cbc(aes)),sha256)", 32), ("essiv(ecb(aes),sha256)", 32), ("essiv(cbc(serpent),md5)", 32),
    ("essiv(cbc(aes),crc32c)", 32), ("essiv(cbc(aes),hmac(sha256))", 32), ("essiv(cbc(aes),rmd160)", 32),
    ("essiv(cbc(fcrypt),sha1)", 8), ("essiv(cbc(twofish),sha3-256)", 32), ("essiv(cbc(camellia),sm3)", 32),
    ("essiv(cbc(aes),streebog256)", 32), ("essiv(cbc(aes),wp256)", 32), ("essiv(cbc(aes),blake2b-256)", 32),
    ("essiv(cbc(aes),nothing)", 32), ("essiv(kw(aes),sha256)", 32), ("essiv(rfc3686(ctr(aes)),sha256)", 36),
    ("cryptd(cbc(aes))", 32), ("cryptd(xts(aes))", 64), ("pcrypt(cbc(aes))", 32), ("cbc(paes)", 32), ("cbc(aes-generic)", 32),
    ("ecb_cipher_null", 0), ("gcm(aes)", 32), ("cbc(aes", 32), ("cbc()", 32), ("(aes)", 32), ("ccm(aes)", 32), ("cbc(cbc(aes))", 32),
    ("sha256", 32), ("hmac(sha256)", 32), ("deflate", 0), ("xts(chacha20)", 64), ("ctr(chacha20)", 32),
]
IVS = ["plain", "plain64", "plain64be", "benbi", "null", "eboiv", "essiv:sha256", "elephant", "lmk", "tcw", "random", "nothing", "essiv"]
IV_MODES = [("ecb(aes)", 32), ("cbc(aes)", 32), ("ctr(aes)", 32), ("xts(aes)", 64), ("lrw(aes)", 48), ("pcbc(aes)", 32),
            ("cts(cbc(aes))", 32), ("rfc3686(ctr(aes))", 36), ("kw(aes)", 32), ("xctr(aes)", 32), ("cbc(des3_ede)", 24),
            ("cbc(blowfish)", 32), ("ctr(cast5)", 16), ("chacha20", 32), ("xchacha12", 32), ("adiantum(xchacha12,aes)", 32),
            ("pcbc(fcrypt)", 8), ("cbc(aes)", 64), ("cbc(aes)", 80), ("cbc(blowfish)", 40), ("cbc(cipher_null)", 0)]
OLD = [("aes", 16), ("aes-plain", 16), ("aes-ecb", 16), ("aes-ecb-plain", 16), ("aes-cbc-plain", 16), ("aes:2-cbc-plain64", 32), ("aes:64-cbc-lmk", 1024),
       ("aes:64-cbc-lmk", 1040), ("aes:3-cbc-plain64", 48), ("fcrypt-pcbc-plain64", 8), ("aes-kw-plain64", 32), ("aes-xctr-plain64", 32),
       ("aes-rfc3686-plain64", 36), ("xchacha12,aes-adiantum-plain64", 32), ("xchacha20-adiantum-plain64", 32), ("aes-cts-plain64", 32),
       ("cipher_null-ecb", 0), ("cipher_null-ecb", 16), ("cipher_null-cbc-plain64", 0), ("aes-xts", 64), ("aes-xts-plain64:more", 64), ("aes-xts-nothing", 64),
       ("aes-cbc-benbi:3", 32), ("aes--plain64", 32), ("-cbc-plain64", 32), ("aes:x-cbc-plain64", 32), ("aes:0-cbc-plain64", 32)]
MACS = {"hmac(sha256)": 32, "hmac(sha1)": 20, "hmac(md5)": 16, "hmac(sha224)": 28, "hmac(sha384)": 48, "hmac(sha512)": 64,
        "hmac(sha3-256)": 32, "hmac(sha3-512)": 64, "hmac(rmd160)": 20, "hmac(md4)": 16, "hmac(wp512)": 64, "hmac(wp384)": 48, "hmac(wp256)": 32,
        "hmac(streebog256)": 32, "hmac(streebog512)": 64, "streebog256": 32, "cmac(aes)": 16, "xcbc(aes)": 16, "cmac(des3_ede)": 8, "cmac(serpent)": 16,
        "vmac64(aes)": 8, "blake2b-256": 32, "blake2b-512": 64, "blake2b-160": 20, "blake2b-384": 48, "hmac(blake2b-256)": 32, "hmac(crc32c)": 4,
        "crc32c": 4, "crc32": 4, "xxhash64": 8, "sha256": 32, "michael_mic": 8, "cbcmac(aes)": 16, "ghash": 16, "poly1305": 16, "hmac(sm3)": 32, "digest_null": 0,
        "nhpoly1305": 16, "hmac(nothing)": 32}
MAC_CIPHERS = [("cbc(aes)", 32), ("xts(aes)", 64), ("ctr(aes)", 32), ("ecb(aes)", 32), ("lrw(aes)", 48), ("cbc(des3_ede)", 24), ("cbc(serpent)", 32),
               ("rfc3686(ctr(aes))", 36), ("cts(cbc(aes))", 32), ("chacha20", 32), ("xchacha12", 32), ("adiantum(xchacha12,aes)", 32),
               ("cbc(blowfish)", 16), ("pcbc(fcrypt)", 8), ("ecb(cipher_null)", 0), ("kw(aes)", 32), ("cbc(nothing)", 32)]
AEADS = [("gcm(aes)", 32, 16), ("gcm(aes)", 16, 12), ("gcm(aes)", 24, 4), ("gcm(aes)", 32, 5), ("gcm(camellia)", 32, 16), ("gcm(serpent)", 32, 16),
         ("gcm(twofish)", 32, 16), ("gcm(blowfish)", 32, 16), ("gcm_base(ctr(aes),ghash)", 32, 16), ("ccm(aes)", 32, 16), ("ccm(aes)", 16, 8), ("ccm(aes)", 16, 5),
         ("ccm(camellia)", 32, 16), ("ccm_base(ctr(aes),cbcmac(aes))", 32, 16), ("rfc4106(gcm(aes))", 36, 16), ("rfc4106(gcm(aes))", 20, 8),
         ("rfc4309(ccm(aes))", 35, 16), ("rfc4309(ccm(aes))", 19, 12), ("rfc4543(gcm(aes))", 36, 16), ("rfc7539(chacha20,poly1305)", 32, 16),
         ("rfc7539esp(chacha20,poly1305)", 36, 16), ("rfc7539(xchacha12,poly1305)", 32, 16), ("rfc7539(chacha20,poly1305)", 32, 12),
         ("aegis128", 16, 16), ("aegis128", 16, 8), ("aegis128", 16, 7), ("aegis128", 32, 16), ("aegis256", 32, 16),
         ("seqiv(gcm(aes))", 32, 16), ("seqiv(rfc4106(gcm(aes)))", 36, 16), ("echainiv(authenc(hmac(sha256),cbc(aes)))", 64, 32), ("pcrypt(gcm(aes))", 32, 16),
         ("cryptd(gcm(aes))", 32, 16), ("essiv(authenc(hmac(sha256),cbc(aes)),sha256)", 64, 32),
         ("essiv(gcm(aes),sha256)", 32, 16), ("cbc(aes)", 32, 16), ("nothing", 32, 16), ("authenc(hmac(sha256),gcm(aes))", 64, 32), ("authenc(hmac(sha256))", 64, 32),
         ("authencesn(hmac(sha256),cbc(aes))", 64, 32), ("authenc(hmac(sha256),cbc(aes))", 64, 16), ("authenc(hmac(sha256),cbc(aes))", 64, 33),
         ("authenc(hmac(sha1),xts(aes))", 84, 20)]
AEAD_IVS = ["plain64", "plain64be", "benbi", "null", "essiv:sha256", "random", "eboiv", "elephant", "lmk", "tcw", "plain"]
TUPLE = 96
SECTORS = 8
WORK = "/tmp/ciphers"


def key(n):
    return bytes((i * 37 + 11 + (i >> 8)) & 255 for i in range(n)).hex() or "-"


def plain():
    return bytes((i * 7 + (i >> 9) * 13 + 1) & 255 for i in range(SECTORS * 512))


def block_cases():
    for block, sizes in {**BLOCKS, **ABSENT}.items():
        for mode, size in MODES.items():
            if block in ABSENT and mode[:3] not in ("ecb", "cbc", "xts"):
                continue
            for n in sizes:
                yield "capi:%s-plain64" % (mode % block), size(n), []


def iv_cases():
    for spec, n in OLD:
        yield spec, n, []
    for api, n in IV_MODES:
        for iv in IVS:
            yield "capi:%s-%s" % (api, iv), n, []
    for api, n in IV_MODES:
        yield "capi:%s" % api, n, []
        yield "capi:%s-plain64" % api, n, ["sector_size:4096"]
        yield "capi:%s-benbi" % api, n, ["sector_size:2048", "iv_large_sectors"]
        yield "capi:%s-eboiv" % api, n, ["sector_size:4096", "iv_large_sectors"]
    for api, n in ODD:
        yield "capi:%s-plain64" % api, n, []


def aead_cases():
    for mac, n in MACS.items():
        yield "capi:authenc(%s,xts(aes))-plain64" % mac, 64 + n, ["integrity:%d:aead" % n]
    for cipher, n in MAC_CIPHERS:
        yield "capi:authenc(hmac(sha256),%s)-plain64" % cipher, n + 32, ["integrity:32:aead"]
    for aead, n, tag in AEADS:
        yield "capi:%s-plain64" % aead, n, ["integrity:%d:aead" % tag]
    for iv in AEAD_IVS:
        extra = 12 if iv == "random" else 0
        yield "capi:gcm(aes)-%s" % iv, 32, ["integrity:%d:aead" % (16 + extra)]
        yield "capi:authenc(hmac(sha256),cbc(aes))-%s" % iv, 64, ["integrity:%d:aead" % (32 + (16 if extra else 0))]
        yield "capi:rfc4543(gcm(aes))-%s" % iv, 36, ["integrity:%d:aead" % 16]
    for aead, n, tag in (("gcm(aes)", 32, 16), ("ccm(aes)", 32, 16), ("authenc(hmac(sha256),xts(aes))", 96, 32), ("aegis128", 16, 16),
                         ("rfc7539(chacha20,poly1305)", 32, 16)):
        yield "capi:%s-plain64" % aead, n, ["integrity:%d:aead" % tag, "sector_size:4096", "iv_large_sectors"]
    yield "capi:authenc(hmac(sha256),xts(aes))-plain64", 80, ["integrity:32:aead", "integrity_key_size:16"]
    yield "capi:authenc(hmac(sha256),xts(aes))-plain64", 128, ["integrity:32:aead", "integrity_key_size:64"]
    yield "capi:xts(aes)-random", 64, ["integrity:16:none"]
    yield "capi:xts(aes)-plain64", 64, ["integrity:16:none"]
    yield "aes-gcm-random", 32, ["integrity:28:aead"]


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, **more)


def loop(name, size):
    path = os.path.join(WORK, name)
    with open(path, "wb") as f:
        f.truncate(size)
    return path, run("losetup", "--show", "-f", path).stdout.strip()


class Mapped:
    """a device, driven by ioctls: a process for each would take half an hour where processors are emulated"""
    CREATE, REMOVE, SUSPEND, LOAD = 3, 4, 6, 9

    def __init__(self, name):
        self.name = name.encode()
        self.control = os.open("/dev/mapper/control", os.O_RDWR)
        dev = struct.unpack_from("<Q", self.ioctl(self.CREATE), 40)[0]
        self.path = os.path.join(WORK, name)
        os.mknod(self.path, 0o600 | stat.S_IFBLK, os.makedev((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)))

    def ioctl(self, nr, data=b"", targets=0, flags=0):
        buf = bytearray(struct.pack("<3I4IIIIQ", 4, 0, 0, 16384, 312, targets, 0, flags, 0, 0, 0) + self.name.ljust(257, b"\0") + bytes(7))
        buf[32:36] = struct.pack("<I", 0)
        buf += data.ljust(16384 - len(buf), b"\0")
        fcntl.ioctl(self.control, 0xc138fd00 | nr, buf)
        return buf

    def load(self, nr, kind, args):
        args = args.encode() + b"\0"
        args += bytes(-len(args) % 8)
        self.ioctl(self.LOAD, struct.pack("<QQiI16s", 0, nr, 0, 40 + len(args), kind.encode()) + args, 1)
        self.resume()

    def resume(self):
        self.ioctl(self.SUSPEND)

    def suspend(self):
        self.ioctl(self.SUSPEND, flags=2)


class Log:
    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def last(self):
        """of device-mapper, since it was asked before"""
        said = ""
        while True:
            try:
                text = os.read(self.fd, 8192).decode(errors="replace").split(";", 1)[-1].split("\n")[0]
            except BlockingIOError:
                return re.sub(r" \(-E[A-Z0-9]+\)$", "", re.sub(r"^.*?table: [0-9:]+: ", "", said))
            except OSError:
                continue
            if "device-mapper: table:" in text:
                said = text


def direct(path, write):
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    page = mmap.mmap(-1, SECTORS * 512)
    try:
        if write:
            page[:] = plain()
            os.pwritev(fd, [page], 0)
            os.fsync(fd)
        else:
            os.preadv(fd, [page], 0)
        return page[:]
    finally:
        os.close(fd)


def one(v, log, spec, n, words, device, seen):
    """seen: reads what lies below"""
    line = "%s %d %s" % (spec, n, "+".join(words) or "-")
    log.last()
    extra = " %d %s" % (len(words), " ".join(words)) if words else ""
    try:
        v.load(SECTORS, "crypt", "%s %s 8 %s 0%s" % (spec, key(n), device, extra))
    except OSError as e:
        return "%s no %s %s" % (line, errno.errorcode[e.errno], log.last())
    how = "back"
    try:
        direct(v.path, True)
    except OSError as e:
        how = "write:" + errno.errorcode[e.errno]
    digest = hashlib.sha256(seen()).hexdigest()
    if how == "back":
        try:
            how = "back" if direct(v.path, False) == plain() else "other"
        except OSError as e:
            how = "read:" + errno.errorcode[e.errno]
    return "%s yes %s %s" % (line, digest, how)


def main():
    os.makedirs(WORK, exist_ok=True)
    run("modprobe", "-a", "loop", "dm-crypt", "dm-integrity")
    path, device = loop("data", SECTORS * 512)
    v, log = Mapped("v"), Log()

    def below():
        with open(path, "rb") as f:
            return f.read()
    parts = sys.argv[1:] or ["tags", "ivs", "blocks"]
    if "tags" in parts:
        tags(v, log, path, device, below)
    for part, all_of in (("ivs", iv_cases), ("blocks", block_cases)):
        for spec, n, words in all_of() if part in parts else ():
            print(one(v, log, spec, n, words, device, below), flush=True)


def tags(v, log, path, device, below):
    for sector in (512, 4096):
        meta, metadev = loop("meta%d" % sector, 1 << 20)
        i = Mapped("i%d" % sector)
        i.load(SECTORS, "integrity", "%s 0 %d D 4 meta_device:%s journal_sectors:8 buffer_sectors:8 block_size:%d" % (device, TUPLE, metadev, sector))
        i.suspend()
        i.resume()
        run("blockdev", "--flushbufs", metadev)
        before = open(meta, "rb").read()
        at = None

        def both():
            nonlocal at
            v.suspend()
            i.suspend()			# writes the tags
            i.resume()
            v.resume()
            run("blockdev", "--flushbufs", metadev)
            with open(meta, "rb") as f:
                after = f.read()
            if at is None:
                at = next((at for at in range(4096, len(after)) if after[at] != before[at]), None)
                print("# tags", at, flush=True)
            return below() + (after[at:at + SECTORS * TUPLE * 512 // sector] if at else b"")
        for spec, n, words in aead_cases():
            if ("sector_size:4096" in words) == (sector == 4096):
                print(one(v, log, spec, n, words, i.path, both), flush=True)


main()
