#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Volumes that Linux 6.12 has made: shut down, not shut down, and one with deduplicated blocks; read,
# written, read again.  (tests/golden: what was in them is known by its sha256.)
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program nbdcopy qemu-io xz tar sha256sum

dm() { "$NDMSETUP" "$@"; }
io() {	# NAME COMMAND...: of qemu-io
	local name=$1 words=() w
	shift
	for w; do words+=(-c "$w"); done
	qemu-io -f raw -n "${words[@]}" "$(uri "$name")" > io.out 2>&1 || fail "$name: $(cat io.out)"
	if grep -q 'failed' io.out; then fail "$name: $(cat io.out)"; fi
}
contents() { nbdcopy "$(uri "$1")" "$1.raw"; sha256sum < "$1.raw" | cut -d' ' -f1; }

want=d4b0a3c3e593e2cfb2b120d3422d8f85f6131e18127de3da1aa7c99f8b992d02
args="2431 512 4096 16 deduplication off"
tar -xf "$top_srcdir/tests/golden/vdo.tar.xz"
start_ndmd
if dm create x --table "0 32768 vdo V4 $T/none $args" 2> x.err; then fail "a table of nothing is taken"; fi
if grep -q 'built without liblz4' x.err; then skip "ndm was built without liblz4"; fi
dm targets | grep -q '^vdo *v9.1.0' || fail "targets: $(dm targets)"
dm targets | grep -q '^zoned *v2.0.0' || fail "targets: $(dm targets)"

# ---- read, and nothing is written: clean, and by its journal
for image in clean dirty; do
	cp $image.img before
	dm create $image --readonly --table "0 32768 vdo V4 $T/$image.img $args"
	[ "$(contents $image)" = $want ] || fail "$image: other contents"
	[ "$(dm status $image)" = "0 32768 vdo $T/$image.img normal - closed offline 548 2431" ] ||
		fail "$image: $(dm status $image)"
	dm remove $image
	cmp before $image.img || fail "$image: read only, and written to"
done

# ---- written: what Linux has compressed stays, and is freed block by block
for image in clean dirty; do
	dm create $image --table "0 32768 vdo V4 $T/$image.img $args"
	[ "$(contents $image)" = $want ] || fail "$image: other contents"
	cp $image.raw model
	for at in 0 4096 40960 102400 819200 12288000; do
		io $image "write -P 7 $at 9k" "write -P 8 $((at + 700000)) 512" flush
		for piece in "7 $at 9216" "8 $((at + 700000)) 512"; do
			read -r byte from n <<< "$piece"
			head -c "$n" /dev/zero | tr '\0' "\\$(printf %o "$byte")" |
				dd of=model bs=1 seek="$from" conv=notrunc status=none
		done
	done
	dm suspend $image; dm resume $image
	contents $image > sum
	cmp model $image.raw || fail "$image: other data than were written"
	used=$(dm status $image | cut -d' ' -f9)
	io $image "discard 0 4M" "write -z 8M 4M"
	dm suspend $image; dm resume $image
	[ "$(dm status $image | cut -d' ' -f9)" -lt "$used" ] || fail "$image: nothing is freed: $(dm status $image)"
	dm remove $image
	dm create $image --readonly --table "0 32768 vdo V4 $T/$image.img $args"
	head -c 4M /dev/zero | dd of=model bs=1M conv=notrunc status=none
	head -c 4M /dev/zero | dd of=model bs=1M seek=8 conv=notrunc status=none
	contents $image > sum
	cmp model $image.raw || fail "$image: other data after a clean end"
	dm remove $image
done

# ---- killed in the middle: what was flushed is there
tar -xf "$top_srcdir/tests/golden/vdo.tar.xz"
dm create k --table "0 32768 vdo V4 $T/clean.img $args"
io k "write -P 9 1M 1M" "write -P 10 3000k 40k" flush
contents k > before
kill -KILL "$ndmd_pid"
wait "$ndmd_pid" 2>/dev/null || :
start_ndmd
dm create k --table "0 32768 vdo V4 $T/clean.img $args"
contents k > after
cmp before after || fail "other data after kill -9"
dm remove k

# ---- deduplicated, 10 GiB of which 500 blocks are there
tar -xf "$top_srcdir/tests/golden/vdo-dedupe.tar.xz"
dm create d --readonly --table "0 20971520 vdo V4 $T/dedupe.img 972800 512 32768 16380 compression on"
[ "$(dm status d | cut -d' ' -f9,10)" = "745186 972800" ] || fail "dedupe: $(dm status d)"
python3 - "$(uri d)" > sum <<'END' || fail "dedupe: not read"
import hashlib, nbd, sys
h = nbd.NBD()
h.connect_uri(sys.argv[1])
data = h.pread(300 * 4096, 0) + h.pread(200 * 4096, 2000300 * 4096)
print(hashlib.sha256(data).hexdigest())
END
[ "$(cat sum)" = b3faed8c1eefb2f98d4b11c1b0b8fa9b3a88b93b2976975fbbed3e5aab9a41c1 ] || fail "dedupe: other contents"
dm remove d
# ---- made here: a volume of its own, refused a second time, named in YAML
truncate -s 64M made.img
"$NDM" vdoformat --no-index --slab-bits 12 --journal-size 1m --logical-size 1g -v made.img > made.out || fail "vdoformat"
grep -q '11613 blocks in 3 data slabs' made.out || fail "vdoformat: $(cat made.out)"
line=$(sed -n 's/^Its tables are: //p' made.out)
if "$NDM" vdoformat made.img 2> again.err; then fail "vdoformat over a volume"; fi
grep -q -- --force again.err || fail "vdoformat: $(cat again.err)"
truncate -s 1M small.img
if "$NDM" vdoformat small.img 2> small.err; then fail "vdoformat of 1 MiB"; fi
grep -q 'not enough space for one slab' small.err || fail "vdoformat: $(cat small.err)"
dm create m --table "${line/made.img/$T/made.img}"
io m "write -P 5 512M 1M" flush
[ "$(dm status m | cut -d' ' -f9,10)" = "$((16384 - 11613 + 256 + 4)) 16384" ] || fail "made: $(dm status m)"
dm remove m
dm create m --table "${line/made.img/$T/made.img}"
io m "read -P 5 512M 1M" "read -P 0 0 1M"
dm remove m
say "vdo volumes of Linux are read and written"
