#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""evidence.py gpt FILE: an empty disk of 66 MiB with two partitions, the second of 60 MiB at 2 MiB
evidence.py pattern WORD BYTES: what the golden images have in their volumes
evidence.py needs-check FILE OFFSET: sets that flag in the superblock of a thin pool there"""
import hashlib
import struct
import sys
import uuid
import zlib


def gpt(path):
    total = 66 << 20
    n = total // 512
    entries = b""
    for i, (first, last, name) in enumerate([(2048, 4095, "boot"), (4096, 126975, "crypt")]):
        kind = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le
        entries += kind + uuid.UUID(int=0x1234 + i).bytes_le + struct.pack("<QQQ", first, last, 0)
        entries += name.encode("utf-16le").ljust(72, b"\0")
    entries = entries.ljust(128 * 128, b"\0")

    def header(here, there, at):
        h = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, here, there, 34, n - 34,
                        uuid.UUID(int=0x99).bytes_le, at, 128, 128, zlib.crc32(entries))
        return (h[:16] + struct.pack("<I", zlib.crc32(h)) + h[20:]).ljust(512, b"\0")

    mbr = bytearray(512)
    mbr[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, n - 1)
    mbr[510:] = b"\x55\xaa"
    with open(path, "wb") as f:
        f.truncate(total)
        f.write(mbr + header(1, n - 1, 2) + entries)
        f.seek((n - 33) * 512)
        f.write(entries + header(n - 1, 1, n - 33))


def pattern(word, size):
    out, i = b"", 0
    while len(out) < size:
        out += hashlib.sha256((word + str(i)).encode()).hexdigest().encode()
        i += 1
    sys.stdout.buffer.write(out[:size])


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def needs_check(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        block = bytearray(f.read(4096))
        assert crc32c(block[4:]) ^ 160774 == struct.unpack_from("<I", block)[0], "no superblock there"
        struct.pack_into("<I", block, 4, struct.unpack_from("<I", block, 4)[0] | 1)
        struct.pack_into("<I", block, 0, crc32c(block[4:]) ^ 160774)
        f.seek(offset)
        f.write(block)


if sys.argv[1] == "gpt":
    gpt(sys.argv[2])
elif sys.argv[1] == "pattern":
    pattern(sys.argv[2], int(sys.argv[3]))
else:
    needs_check(sys.argv[2], int(sys.argv[3]))
