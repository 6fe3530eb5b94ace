#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Metadata contexts of the namespace ndm: which target serves an extent, what a snapshot has
# copied, where the legs of a mirror may differ; listed for those exports that have them.
. "$(dirname "$0")/../interop/functions.sh"
requires_ndmd
requires nbdsh --version

start_ndmd --create 'three: 0 1024 zero, 1024 1024 error, 2048 1024 linear mem:1M 0' \
	--create 'o: 0 16384 linear mem:8M 0' --create 's: 0 16384 snapshot dev:o mem:8M N 16' \
	--create 'bad: 0 2048 error' \
	--create 'same: 0 2048 mirror core 2 64 nosync 2 mem:1M 0 mem:1M 0' \
	--create 'apart: 0 2048 mirror core 1 64 2 mem:1M 0 dev:bad 0 1 handle_errors'
cat > metas.py <<'PY'
import subprocess, sys
import nbd
uri, ndmsetup = sys.argv[1:]
KB = 1024

def listed(export, *queries):
    h = nbd.NBD()
    h.set_opt_mode(True)
    h.connect_uri(uri)
    h.set_export_name(export)
    for q in queries:
        h.add_meta_context(q)
    found = []
    h.opt_list_meta_context(lambda name: found.append(name))
    h.opt_abort()
    return sorted(found)

always = ["ndm:extent-type", "ndm:target"]
assert listed("three", "ndm:") == always, listed("three", "ndm:")
assert listed("three") == sorted(always + ["base:allocation", "x-ndm:extent-type"])
assert listed("three", "x-ndm:") == ["x-ndm:extent-type"]
assert listed("s", "ndm:") == sorted(always + ["ndm:snapshot-copied"])
assert listed("same", "ndm:") == sorted(always + ["ndm:dirty"])
assert listed("three", "ndm:targ") == [] and listed("three", "ndm:dirty") == []

def connect(export, *contexts):
    h = nbd.NBD()
    for c in contexts:
        h.add_meta_context(c)
    h.connect_uri(uri.replace("///", "///" + export))
    return h

def status(h, length, offset=0, flags=0):
    found = {}
    def extent(context, at, entries, error):
        assert at == offset
        found[context] = list(zip(entries[::2], entries[1::2]))
    h.block_status(length, offset, extent, flags)
    return found

# which line of the table serves it: known without any I/O, so the one that fails is told of, too
h = connect("three", "ndm:target")
assert status(h, 1536 * KB) == {"ndm:target": [(512 * KB, i) for i in range(3)]}
assert status(h, 1024 * KB, 256 * KB + 1) == \
    {"ndm:target": [(256 * KB - 1, 0), (512 * KB, 1), (256 * KB + 1, 2)]}
assert status(h, 1536 * KB, 0, nbd.CMD_FLAG_REQ_ONE) == {"ndm:target": [(512 * KB, 0)]}
# beside block status, which asks the devices
h = connect("three", "ndm:target", "base:allocation", "ndm:extent-type", "x-ndm:extent-type", "ndm:dirty")
assert not h.can_meta_context("ndm:dirty")
found = status(h, 512 * KB)
assert found == {"ndm:target": [(512 * KB, 0)], "base:allocation": [(512 * KB, 3)],
                 "ndm:extent-type": [(512 * KB, 3)], "x-ndm:extent-type": [(512 * KB, 3)]}, found
try:
    status(h, 1024 * KB)
    raise SystemExit("block status of a target that always fails")
except nbd.Error as e:
    assert e.errno == "EIO"

# what a snapshot has copied: by its own writes, and by those to its origin
h, o = connect("s", "ndm:snapshot-copied"), connect("o")
assert status(h, 8 * KB * KB) == {"ndm:snapshot-copied": [(8 * KB * KB, 0)]}
h.pwrite(bytes(512), 16 * KB + 700)
assert status(h, 64 * KB) == {"ndm:snapshot-copied": [(16 * KB, 0), (8 * KB, 1), (40 * KB, 0)]}
assert status(h, 2 * KB, 17 * KB) == {"ndm:snapshot-copied": [(2 * KB, 1)]}
h.pwrite(bytes(16 * KB), 24 * KB)
assert status(h, 64 * KB) == {"ndm:snapshot-copied": [(16 * KB, 0), (24 * KB, 1), (24 * KB, 0)]}
# one of a hundred islands: every one is told
for i in range(100):
    h.pwrite(b"x", 1024 * KB + i * 16 * KB)
islands = status(h, 1600 * KB, 1024 * KB)["ndm:snapshot-copied"]
assert islands == [(8 * KB, 1 - i % 2) for i in range(200)], islands
assert status(h, 1600 * KB, 1024 * KB, nbd.CMD_FLAG_REQ_ONE)["ndm:snapshot-copied"] == [(8 * KB, 1)]

# a mirror
assert status(connect("same", "ndm:dirty"), 1024 * KB) == {"ndm:dirty": [(1024 * KB, 0)]}
assert status(connect("apart", "ndm:dirty"), 1024 * KB) == {"ndm:dirty": [(1024 * KB, 1)]}

# another table: other answers, on the same connection
h = connect("three", "ndm:target")
for words in (("load", "three", "--table", "0 2048 zero\n2048 1024 linear mem:1M 0"), ("suspend", "three")):
    subprocess.run([ndmsetup, *words], check=True)
assert len(status(h, 1536 * KB)["ndm:target"]) == 3	# the old one is live, suspended or not
subprocess.run([ndmsetup, "resume", "three"], check=True)
assert status(h, 1536 * KB) == {"ndm:target": [(1024 * KB, 0), (512 * KB, 1)]}
PY
/usr/bin/python3 metas.py "nbd+unix:///?socket=$sock" "$NDMSETUP" || fail "see above"
stop_ndmd
