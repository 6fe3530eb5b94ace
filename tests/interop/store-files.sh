#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Files under a served volume, with io_uring and without: page cache, O_DIRECT and tmpfs hold the
# same bytes; what a client trims or zeroes is given back to the file system; a volume's holes
# are the file's.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program qemu-img nbdcopy
requires nbdsh --version

real_ext4 disk 24M
sectors=49152

allocated() { echo $(($(stat -c %b "$1") * 512)); }

one_round() {
	local kind path spec
	for kind in cached direct tmpfs; do
		path=$T/$kind.img
		[ $kind = tmpfs ] && path=$(mktemp /dev/shm/ndm-test.XXXXXX) && cleanup_fn rm -f "$path"
		spec=$path
		truncate -s 0 "$path"
		truncate -s 24M "$path"
		if [ $kind = direct ]; then
			dd if="$path" of=/dev/null iflag=direct bs=4096 count=1 2>/dev/null || continue
			spec=file:$path?direct=1
		fi
		"$NDMSETUP" create "$kind" --table "0 $sectors linear $spec 0"
		qemu-img convert -n -f raw -O raw disk "$(uri "$kind")"
		nbdcopy --flush disk "$(uri "$kind")"
		cmp disk "$path" || fail "$kind: the file is not what was written"
		nbdcopy "$(uri "$kind")" back
		cmp disk back || fail "$kind: what is read is not what was written"

		before=$(allocated "$path")
		nbdsh -u "$(uri "$kind")" -c '
h.trim(4 << 20, 0)
h.zero(4 << 20, 8 << 20)
h.flush()
assert h.pread(4 << 20, 0) == bytes(4 << 20)
assert h.pread(4 << 20, 8 << 20) == bytes(4 << 20)
seen = []
def extent(context, offset, entries, error):
    seen.append((offset, entries[0], entries[1]))
h2 = nbd.NBD()
h2.add_meta_context("base:allocation")
h2.connect_uri("'"$(uri "$kind")"'")
h2.block_status(4 << 20, 8 << 20, extent)
assert seen == [(8 << 20, 4 << 20, 3)], seen
h2.shutdown()'
		[ "$(allocated "$path")" -lt "$before" ] || fail "$kind: nothing was given back"
		"$NDMSETUP" remove "$kind"
	done
}

for without in 0 1; do
	export NDM_NO_URING=$without
	start_ndmd
	one_round
	stop_ndmd
done
say "as written, with io_uring and without"
