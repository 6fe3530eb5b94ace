#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# journal.py write URI RECORDS [MISSING-FLUSH] - a small storage engine: each record is written
# twice, flushed, then the commit block that counts it is written, and flushed.  Before record
# number MISSING-FLUSH is committed, the flush is forgotten.
# journal.py check IMAGE - fails when a record that is counted has no good copy.
import random, struct, sys, zlib

SLOTS, BLOCK = 40, 4096


def place(record, copy):
    return (1 + record % SLOTS * 2 + copy) * BLOCK


def block(record):
    body = struct.pack('<Q', record) + random.Random(record).randbytes(BLOCK - 12)
    return body + struct.pack('<I', zlib.crc32(body))


def good(data, record):
    return (len(data) == BLOCK and zlib.crc32(data[:-4]) == struct.unpack('<I', data[-4:])[0]
            and struct.unpack('<Q', data[:8])[0] == record)


def write(uri, records, forgotten):
    import nbd
    h = nbd.NBD()
    h.connect_uri(uri)
    dice = random.Random(1)
    for record in range(1, records + 1):
        for _ in range(dice.randrange(4)):      # what does not matter
            h.pwrite(dice.randbytes(512), (100 + dice.randrange(100)) * BLOCK)
        for copy in 0, 1:
            h.pwrite(block(record), place(record, copy))
        if record != forgotten:
            h.flush()
        h.pwrite(block(record), 0)
        h.flush()
    h.shutdown()


def check(image):
    with open(image, 'rb') as f:
        head = f.read(BLOCK)
        if not any(head):
            return True                         # not yet anything
        last = struct.unpack('<Q', head[:8])[0]
        if not good(head, last):
            return False
        for record in range(max(1, last - SLOTS + 2), last + 1):
            copies = []
            for copy in 0, 1:
                f.seek(place(record, copy))
                copies.append(f.read(BLOCK))
            if not any(good(c, record) for c in copies):
                return False
    return True


if sys.argv[1] == 'write':
    write(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
else:
    sys.exit(0 if check(sys.argv[2]) else 1)
