#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A real file system image goes into a volume that is striped over three files and then linear,
# and comes out the same, while another client verifies what it writes through a connection of
# its own; every byte is then where the table says.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program qemu-img nbdcopy nbdinfo jq mke2fs e2fsck

MiB=$((1024 * 1024))
for f in a b c; do truncate -s $((16 * MiB)) $f.img; done
truncate -s $((32 * MiB)) tail.img
sectors=$((16 * MiB / 512))

# 48 MiB striped, 16 MiB linear, and 16 MiB at the end for the other client
start_ndmd
"$NDMSETUP" create vol <<-END
	0 $((3 * sectors)) striped 3 128 $T/a.img 0 $T/b.img 0 $T/c.img 0
	$((3 * sectors)) $((2 * sectors)) linear $T/tail.img 0
END

real_ext4 fs.img 64M
nbdinfo --json "$(uri vol)" > info.json
jq -e '.exports[0]."export-size" == 83886080' info.json >/dev/null || fail "size: $(cat info.json)"
jq -e '.exports[0] | ."is_read_only" == false and ."can_flush" and ."can_fua" and ."can_multi_conn" and ."can_trim" and ."can_zero"' \
	info.json >/dev/null || fail "flags: $(cat info.json)"

other=
if command -v fio >/dev/null && fio --enghelp 2>/dev/null | grep -qw nbd; then
	fio --name=other --ioengine=nbd --uri="$(uri vol)" --rw=randwrite --bs=4k --iodepth=8 \
		--offset=64m --size=16m --verify=crc32c --loops=3 --minimal > fio.out 2> fio.err &
	other=$!
	started+=("$other")
else
	say "note: no fio with an nbd engine: no second client"
fi

qemu-img convert -n -f raw -O raw fs.img "$(uri vol)"
truncate -s 80M expected.img
nbdcopy "$(uri vol)" out.img
cmp -n $((64 * MiB)) fs.img out.img || fail "nbdcopy brought other bytes"
if [ -n "$other" ]; then
	wait_for "fio" ended "$other"
	wait "$other" || fail "fio --verify: $(cat fio.out fio.err)"
fi
# compare needs a quiet device of the same size
nbdcopy "$(uri vol)" out.img
dd if=fs.img of=out.img bs=1M count=64 conv=notrunc status=none
qemu-img compare -f raw -F raw out.img "$(uri vol)" || fail "qemu-img compare"
e2fsck -fn out.img > e2fsck.out 2>&1 || fail "e2fsck: $(cat e2fsck.out)"
stop_ndmd

# Where the bytes are, from the table alone: chunk k of 64 KiB is on file k mod 3.
/usr/bin/python3 - <<'END' || fail "bytes are not where the table says"
import sys
fs, chunk = open("fs.img", "rb"), 65536
legs = [open(n + ".img", "rb") for n in "abc"]
for k in range(48 * 16):
    legs[k % 3].seek(k // 3 * chunk)
    fs.seek(k * chunk)
    if fs.read(chunk) != legs[k % 3].read(chunk):
        sys.exit("chunk %d" % k)
fs.seek(48 << 20)
if fs.read() != open("tail.img", "rb").read(16 << 20):
    sys.exit("linear part")
END
say "64 MiB of ext4 in and out, a second client beside it"
