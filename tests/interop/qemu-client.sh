#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients that stay: qemu-storage-daemon with ndmd below an export of its own, and nbdfuse.  What is
# written through them is there, what is trimmed or zeroed reads as zeroes, and ndmd sees them go.
. "$(dirname "$0")/functions.sh"
requires_ndmd
requires_program qemu-storage-daemon nbdcopy nbdinfo qemu-io
requires nbdsh --version

truncate -s 16M disk.img
head -c 16M /dev/urandom > data.img
start_ndmd --create "d: 0 32768 linear $T/disk.img 0"
nobody() { [ "$("$NDMSETUP" info -c --noheadings -o open d)" -eq 0 ]; }

say "qemu-storage-daemon"
qemu-storage-daemon \
	--blockdev "driver=nbd,node-name=below,server.type=unix,server.path=$sock,export=d,discard=unmap" \
	--nbd-server "addr.type=unix,addr.path=$T/qsd.sock" \
	--export type=nbd,id=e,node-name=below,name=e,writable=on > qsd.out 2> qsd.err < /dev/null &
qsd=$!
started+=("$qsd")
wait_for "qemu-storage-daemon" test -S qsd.sock
through="nbd+unix:///e?socket=$T/qsd.sock"
nbdcopy data.img "$through"
cmp data.img disk.img
nbdcopy "$through" back.img
cmp data.img back.img
nbdsh -u "$through" -c '
h.zero(1 << 20, 1 << 20)
h.trim(2 << 20, 4 << 20)
h.pwrite(b"fua" * 100, 12345, nbd.CMD_FLAG_FUA)
h.flush()
assert h.pread(1 << 20, 1 << 20) == bytes(1 << 20)
assert h.pread(300, 12345) == b"fua" * 100'
nbdsh -u "$(uri d)" -c '
assert h.pread(1 << 20, 1 << 20) == bytes(1 << 20)
assert h.pread(300, 12345) == b"fua" * 100'
# a request that is refused below is refused above, and nobody falls over
"$NDMSETUP" suspend d
"$NDMSETUP" load d --table '0 32768 error'
"$NDMSETUP" resume d
nbdsh -u "$through" -c 'try:
    h.pread(512, 0)
    raise SystemExit("an error target was read")
except nbd.Error as e:
    assert e.errno == "EIO", e'
"$NDMSETUP" load d --table "0 32768 linear $T/disk.img 0"
"$NDMSETUP" resume d
nbdsh -u "$through" -c 'assert h.pread(300, 12345) == b"fua" * 100'
kill -TERM "$qsd"
wait_end "$qsd" || fail "qemu-storage-daemon: $(cat qsd.err)"
wait_for "qemu-storage-daemon to be gone" nobody

if [ -w /dev/fuse ] && command -v nbdfuse > nbdfuse.out && command -v fusermount3 > nbdfuse.out; then
	say "nbdfuse"
	mkdir mnt
	nbdfuse mnt "$(uri d)" > nbdfuse.out 2> nbdfuse.err &
	fuse=$!
	started+=("$fuse")
	cleanup_fn sh -c "fusermount3 -uz '$T/mnt' 2> /dev/null || :"
	wait_for "nbdfuse" test -e mnt/nbd
	[ "$(stat -c %s mnt/nbd)" -eq $((16 << 20)) ]
	dd if=data.img of=mnt/nbd bs=64k conv=notrunc,fsync status=none
	cmp data.img mnt/nbd
	cmp data.img disk.img
	fusermount3 -u mnt
	wait_end "$fuse" || fail "nbdfuse: $(cat nbdfuse.err)"
	wait_for "nbdfuse to be gone" nobody
else
	say "no FUSE here: nbdfuse is left out"
fi
stop_ndmd
