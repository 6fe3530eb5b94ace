#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# seeds.sh NAME FOLDER: first inputs of a fuzzer, made of what the other tests feed.
set -eu
tests=$(cd "$(dirname "$0")/.." && pwd)
name=$1 folder=$2
cd "$folder"
case $name in
table)
	# real tables of the conformance cases, and those that must be refused
	grep -hoE 'table: "[^"]*"' "$tests"/conformance/*/*.yaml | sed 's/^table: "//; s/"$//' | sort -u | head -n 400 |
		split -l 1 -a 4 - seed-good-
	grep -v '^#' "$tests/interop/wrong-tables.txt" | split -l 1 -a 4 - seed-bad-
	;;
yaml)
	awk '/^===$/ { n++; next } n { print > sprintf("seed-bad-%03d", n) }' "$tests/interop/wrong-yaml.txt"
	n=0
	for f in "$tests"/../contrib/examples/*.yaml; do
		[ -f "$f" ] || continue
		cp "$f" "seed-example-$n"
		n=$((n + 1))
	done
	;;
control)
	# each ioctl on the fuzzer's devices, with an empty buffer, and with room for an answer
	python3 - <<-'END'
	import struct
	def call(command, flags=0, name=b"", payload=b"", room=0, count=0, mode=1):
	    head = struct.pack("=7I", 4, 0, 0, 0, 312, count, 0) + struct.pack("=IIIQ", flags, 0, 0, 0)
	    body = head + name.ljust(128, b"\0") + b"\0" * 129 + b"\0" * 7 + payload + b"\0" * room
	    return struct.pack("=BBH", command, mode, len(body)) + body
	spec = struct.pack("=QQiI16s", 0, 16, 0, 48, b"zero") + b"\0" * 8 + struct.pack("=QQiI16s", 16, 8, 0, 0, b"linear") + b"/dev/mapper/a 0\0"
	seeds = [call(c, flags=f, room=r, mode=3) for c in range(18) for f in (0, 2, 0x10, 0x1000, 0x4000) for r in (0, 64, 512)]
	seeds += [call(3, name=b"new", mode=1), call(9, payload=spec, count=2, mode=3) + call(6, mode=3),
	          call(14, payload=struct.pack("=Q", 0) + b"@stats_list\0", room=200, mode=3),
	          call(15, payload=b"1 2 3 0\0", mode=3), call(5, payload=b"c\0", mode=3) + call(2, flags=0x4000, room=500, mode=1),
	          call(1), call(8, mode=3), call(17, name=b"zero", room=99)]
	seeds += [struct.pack("=BBH", 0x80 + c, 0, len(t)) + t for c in range(12) for t in (b"", b"a", b"a inactive", b"zero", b"a 512")]
	for i, s in enumerate(seeds):
	    open("seed-%03d" % i, "wb").write(s)
	END
	;;
integrity)
	# what recorded devices begin with, in every mode
	python3 - "$tests" <<-'END'
	import glob, lzma, os, sys
	for i, path in enumerate(sorted(glob.glob(sys.argv[1] + "/conformance/integrity/*.img.xz"))):
	    image = lzma.open(path).read(60000)
	    for choice in (0x04, 0x05, 0x06, 0x07, 0x24, 0x10, 0x0c, 0x16, 0x35, 0x64, 0x00, 0x20):
	        open("seed-%02d-%02x" % (i, choice), "wb").write(bytes([choice]) + bytes([0, 1, 1, 2] * 4) + image)
	END
	;;
raid)
	# three members' superblocks and bitmaps of recorded arrays, under every table
	python3 - "$tests" <<-'END'
	import glob, lzma, os, sys
	for i, path in enumerate(sorted(glob.glob(sys.argv[1] + "/conformance/raid/*.D0.img.xz"))):
	    metas = b""
	    for d in ("D0", "D2", "D4"):
	        one = path.replace(".D0.", "." + d + ".")
	        image = lzma.open(one if os.path.exists(one) else path).read(8192)
	        metas += image[:148] + image[4096:4096 + 320]
	    for table in range(10):
	        for good in (0, 15):
	            open("seed-%02d-%d-%d" % (i, table, good), "wb").write(bytes([table, good, i % 2]) + metas)
	END
	;;
thin)
	# recorded pools, as they are and to be stamped; each block's type goes into its first byte
	python3 - "$tests" <<-'END'
	import glob, lzma, struct, sys
	masks = [121107, 240779, 160478, 160774]
	def crc(data):
	    c = 0xffffffff
	    for b in data:
	        c = table[(c ^ b) & 255] ^ c >> 8
	    return c
	table = []
	for i in range(256):
	    for _ in range(8):
	        i = i >> 1 ^ (0x82f63b78 if i & 1 else 0)
	    table.append(i)
	for n, path in enumerate(sorted(glob.glob(sys.argv[1] + "/conformance/thin/*.META.xz"))):
	    image = bytearray(lzma.open(path).read(64 * 4096))
	    struct.pack_into("<Q", image, 192, 64)
	    open("seed-%02d-0" % n, "wb").write(bytes([2]) + image)
	    for b in range(64):
	        block = image[b * 4096:b * 4096 + 4096]
	        k = crc(block[4:]) ^ struct.unpack("<I", block[:4])[0]
	        image[b * 4096] = masks.index(k) if k in masks else 0
	    struct.pack_into("<I", image, 336, 128)
	    for choice in (1, 3):
	        open("seed-%02d-%d" % (n, choice), "wb").write(bytes([choice]) + image)
	END
	;;
cache|clone|era)
	# recorded metadata, as they are and to be stamped; each block's type goes into its first byte
	python3 - "$tests" "$name" <<-'END'
	import glob, lzma, struct, sys
	supers = {"cache": 9031977, "clone": 257649492, "era": 146538381}
	masks = [121107, 240779, 160478, 595846735, supers[sys.argv[2]]]
	table = []
	for i in range(256):
	    for _ in range(8):
	        i = i >> 1 ^ 0x82f63b78 * (i & 1)
	    table.append(i)
	def crc(data):
	    c = 0xffffffff
	    for b in data:
	        c = table[(c ^ b) & 255] ^ c >> 8
	    return c
	for i, path in enumerate(sorted(glob.glob("%s/conformance/%s/*.META.xz" % tuple(sys.argv[1:])))):
	    image = bytearray(lzma.open(path).read(16 * 4096))
	    open("seed-%02d-raw" % i, "wb").write(bytes([6]) + image)
	    for b in range(0, len(image), 4096):
	        mask = struct.unpack_from("<I", image, b)[0] ^ crc(image[b + 4:b + 4096])
	        image[b] = masks.index(mask) if mask in masks else 0
	    for choice in range(1, 16, 2):
	        open("seed-%02d-%x" % (i, choice), "wb").write(bytes([choice]) + image)
	END
	;;
writecache)
	# recorded caches, under every table
	python3 - "$tests" <<-'END'
	import glob, lzma, sys
	for i, path in enumerate(sorted(glob.glob(sys.argv[1] + "/conformance/writecache/*.CACHE.xz"))):
	    image = lzma.open(path).read(20000)
	    for choice in range(0, 128, 4):
	        open("seed-%02d-%02x" % (i, choice), "wb").write(bytes([choice | 3]) + image)
	    open("seed-%02d-small" % i, "wb").write(bytes([0x20]) + image)
	END
	;;
verity)
	python3 - "$tests" <<-'END'
	import glob, lzma, os, sys
	for i, path in enumerate(sorted(glob.glob(sys.argv[1] + "/conformance/verity/*.D1.img.xz"))):
	    image = lzma.open(path).read(4096 + 32768)
	    for choice in range(0, 32, 5):
	        open("seed-%02d-%02x" % (i, choice), "wb").write(image[:512] + bytes([choice]) + image[4096:])
	END
	;;
luks)
	# the JSON of recorded headers, as it is and with costs that a fuzzer can pay; LUKS1 headers
	python3 - "$tests" <<-'END'
	import glob, lzma, os, re, sys, yaml
	for path in glob.glob(sys.argv[1] + "/conformance/luks/*.yaml"):
	    case = yaml.safe_load(open(path))
	    luks = case["facts"]["luks"]
	    name = "seed-" + case["name"]
	    if luks["version"] == 2:
	        text = luks["json"]
	        open(name, "wb").write(b"\1" + text.encode())
	        for a, b in (("iterations\":1000", "iterations\":3"), ("stripes\":4000", "stripes\":4"), ("time\":4", "time\":1")):
	            text = text.replace(a, b)
	        open(name + "-cheap", "wb").write(b"\1" + text.encode())
	    else:
	        image = lzma.open(os.path.join(os.path.dirname(path), case["disks"]["D0"]["image"])).read(2048)
	        open(name, "wb").write(b"\2" + image[8:592])
	        open(name + "-raw", "wb").write(b"\0" + image)
	END
	;;
state)
	n=0
	seed() { printf "$1$2" > "seed-$((n += 1))"; }
	seed '\0' 'uuid: U%%20x\nminor: 3\nsuspended: yes\nread_only: yes\ntable:\n0 8 zero\n8 16 error\n'
	seed '\0' 'read_ahead: 100\ngeometry: 10 16 63 5\nminor: 1000\ntable:\n0 100 error\n'
	seed '\0' '# a comment\nuuid: A\n'
	seed '\0' 'table:\n0 8 linear /dev/mapper/a\\ b 0\n8 8 striped 2 16 /dev/mapper/c 0 dev:d 0\n'
	seed '\0' 'table:\n0 8 zero # x\n\n  8   8 error a\\\\b c\n'
	seed '\200' 'plain.dm'
	seed '\200' 'odd%%20na%%2Fme.dm'
	seed '\200' '%%2Ehidden.dm'
	seed '\200' '.writing'
	;;
takeover)
	# the image as image.c and parcel.c write it
	python3 - <<-'END'
	import struct
	def num(*n): return struct.pack("=%dQ" % len(n), *[x & (1 << 64) - 1 for x in n])
	def blob(b): return num(len(b)) + b
	def text(t): return num(0) if t is None else blob(t.encode() + b"\0")
	def table(lines=(), ro=0):
	    return num(len(lines), ro) + b"".join(num(s, n) + text(k) + text(a) for s, n, k, a in lines)
	def region(i, start, end, step, bounds=(), areas=1, aux="-"):
	    r = num(i, start, end, step, 1, len(bounds)) + num(*bounds) + text("dmstats") + text(aux)
	    return r + areas * (num(*range(12)) + (num(*range(len(bounds) + 1)) if bounds else b""))
	# what of struct ndm_device_stats does not fit costs the statistics only
	def device(name, minor, live=(), inactive=(), flags=0, uuid=None, more=0, regions=(), size=968, ro=0, declared=b""):
	    stats = num(size) + b"\0" * size + num(len(regions)) + b"".join(regions)
	    return (text(name) + text(uuid) + num(minor, flags, 7, 1, 2, 3, 4, 256, more) + blob(declared) + blob(stats)
	            + table(live, ro) + table(inactive))
	def devices(*list, backings="", memory=()):
	    known = b"".join(num(m) + blob(b"".join(blob(k) + blob(r) for k, r in targets)) for m, targets in memory)
	    return blob(known) + num(3) + text(backings) + num(len(list)) + b"".join(list)
	def conn(minor=0, flags=1, mode=0, received=b"", unsent=b"", hs=None, discard=0, export="e", tflags=1):
	    c = num(flags) + text("unix pid 1") + text(export) + num(minor, mode, tflags, 0, 1 << 20, discard) + blob(received) + blob(unsent)
	    return c + (num(*hs[:6]) + text(hs[6]) if hs else b"")
	def image(mode, devs, conns=(), rules=b""):
	    part = num(len(conns)) + b"".join(conns)
	    return bytes([mode]) + devs + (rules or num(0)) + num(1) + blob(part) + num(len(conns))
	e = device("e", 0, [(0, 2048, "linear", "240:0 0")], uuid="U")
	back = "240:0\tmem:1M\n"
	def req(kind, cookie=1, off=0, n=512, data=b"", magic=0x25609513):
	    return struct.pack(">IHHQQI", magic, 0, kind, cookie, off, n) + data
	two = devices(e, device("top", 1, [(0, 100, "linear", "253:0 0"), (100, 50, "error", "")], [(0, 8, "zero", "")], flags=1), backings=back)
	stat = devices(device("s", 5, [(0, 64, "zero", "")], regions=[region(0, 0, 64, 32, areas=2), region(3, 5, 10, 5, (1, 10, 100), aux="DMS_GROUP=a:0#")]))
	odd = devices(device("none", 9, more=1, flags=1), device("going", 4, [(0, 8, "zero", "")], more=4), device("d", 2, [(0, 8, "delay", "240:0 0 1")], declared=b"one\0two\0"), backings=back)
	rules = num(1) + text("e") + text("export") + text("what it is") + num(1) + text("psk:alice") + text(None)
	one = devices(e, backings=back)
	seeds = [image(0, two), image(0, stat), image(1, odd), image(0, odd), image(0, one, rules=rules)]
	for mode in (0, 1):
	    seeds += [image(mode, one, [conn(received=req(0) + req(3)), conn(unsent=b"x" * 100, received=req(1, n=1024, data=b"abc"))]),
	              image(mode, one, [conn(mode=1, received=req(7, n=4096)), conn(flags=3), conn(discard=100, received=b"z" * 101)]),
	              image(mode, one, [conn(mode=2, received=struct.pack(">IHHQQQ", 0x21e41c71, 0, 0, 1, 0, 512))])]
	    seeds += [image(mode, one, [conn(flags=4 | 8 | 16, hs=(phase, 3, 100, 0, 1, 0, None), received=b"IHAVEOPT\0\0\0\3\0\0\0\0")]) for phase in range(8)]
	# what targets know besides their tables
	four = "".join("240:%d\tmem:%d\n" % (i, (1 << 20) + i * 512) for i in range(4))
	known = [("dust", "240:0 0 512", b"enabled 1\nquiet 1\nfailed 7\n", b"bad 5 0\nbad 60 3\n"),
	         ("switch", "3 64 0 240:0 0 240:1 0 240:2 0", b"", b"slot 0 10\nslot 1 18446744073709551615\n"),
	         ("striped", "2 64 240:0 0 240:1 0", b"", b"errors 1 3\n"),
	         ("mirror", "core 1 64 2 240:0 0 240:1 0 1 handle_errors", b"in_sync 1\nleg_failure 1\n",
	          b"leg 1 2\nprimary 0\nlog\nin_sync 0 3\nin_sync 5 11\n"),
	         ("log-writes", "240:0 240:1", b"", b"log 3 11 1\n"),
	         ("snapshot", "240:0 240:1 N 16", b"", b"state 1 0 0\nnext 40\nchunks 0 0 3\nchunks 7 5 1\n"),
	         ("multipath", "0 0 2 1 round-robin 0 1 1 240:0 1 round-robin 0 1 1 240:1 1", b"queue_io 0\ngave_up 1\n",
	          b"path 0 0 2 10 1 99 5 12345\npath 1 1 0 4 0 88 0 0\nbypassed 0\ncurrent 1\n"),
	         ("powerfail", "240:0 0", b"next_seed 9\noff 1\nwrites 5\n", b""),
	         ("flakey", "240:0 0 1 1", b"constructed_ns 77\nfailed 3\n", b"")]
	for kind, words, numbers, rest in known:
	    for mode in (0, 1):
	        seeds.append(image(mode, devices(device("k", 3, [(0, 1024, kind, words)]), backings=four, memory=[(3, [(numbers, rest)])]),
	                           [conn(minor=3, received=req(0) + req(1, data=b"w" * 512))]))
	for i, s in enumerate(seeds):
	    open("seed-%02d" % i, "wb").write(s)
	END
	;;
vdo)
	# journals, pages and reference counts of a volume that Linux has made, into the small one
	python3 - "$tests" <<-'END'
	import io, lzma, struct, sys, tarfile
	tar = tarfile.open(fileobj=io.BytesIO(lzma.open(sys.argv[1] + "/golden/vdo.tar.xz").read()))
	image = tar.extractfile("dirty.img").read()
	def block(n): return image[n * 4096:n * 4096 + 4096]
	def put(at, data):
	    return b"".join(struct.pack("<HHB", at, i, min(200, len(data) - i)) + data[i:i + 200] for i in range(0, len(data), 200))
	blocks = [0, 2, 3, 63, 64, 65, 66, 1054, 2111, 2112, 2113, 2367]
	for n, b in enumerate(blocks):
	    open("seed-codec-%02d" % n, "wb").write(b"\0" + block(b))
	nonce = image[32:40]
	# the journal of this volume: its nonce, its first block in the ring of the small one
	for state in range(8):
	    for more in (0, 16, 48):
	        journal = bytearray(block(2112))
	        journal[24:32] = struct.pack("<Q", 0x1234567812345678)
	        open("seed-%d-%02d" % (state, more), "wb").write(bytes([1 | state << 1 | more]) + put(63 + 32 + 1, bytes(journal)))
	END
	;;
handshake | transmit | nbd-wire)
	python3 "$tests/fuzz/nbd-seeds.py" "$name"
	;;
*)
	[ ! -d "$tests/fuzz/corpus/$name" ] || cp "$tests/fuzz/corpus/$name"/* .
	;;
esac
