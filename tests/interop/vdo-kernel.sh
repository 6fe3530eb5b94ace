#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What ndm writes to a vdo volume is read by Linux's own dm-vdo, after a clean end and after kill -9,
# and goes on there; and what Linux has written then is read by ndm: in a virtual machine ($KERNEL_VM:
# see contrib/kernel-vm; without it this is skipped, for it takes minutes).
TEST_LIMIT_S=${TEST_LIMIT_S:-2000}
. "$(dirname "$0")/functions.sh"
[ -n "${KERNEL_VM:-}" ] || skip "takes minutes: set KERNEL_VM=$top_srcdir/contrib/kernel-vm/kernel-vm for it"
requires_ndmd
requires_program nbdcopy qemu-io dmsetup xz
vm=$KERNEL_VM
[ -x "$vm" ] || skip "needs a starter of virtual machines (\$KERNEL_VM)"
"$vm" -m 512 -t 300 -- modprobe dm-vdo > vm.txt 2>&1 || skip "no virtual machine with dm-vdo here: $(tail -n 1 vm.txt)"

S=$T/share
mkdir "$S"
cd "$S"
dm() { "$NDMSETUP" "$@"; }
io() {	# NAME COMMAND...: of qemu-io
	local name=$1 words=() w
	shift
	for w; do words+=(-c "$w"); done
	qemu-io -f raw -n "${words[@]}" "$(uri "$name")" > io.out 2>&1 || fail "$name: $(cat io.out)"
}
sum() { nbdcopy "$(uri "$1")" got; sha256sum < got | cut -d' ' -f1; }
table() { echo "0 $1 vdo V4 $2 $3 512 4096 16 deduplication off"; }

# ---- three volumes, two of Linux' and one of ours; each used, the second and third killed
tar -xf "$top_srcdir/tests/golden/vdo.tar.xz"
cp clean.img 0.img; mv dirty.img 1.img; mv clean.img 2.img
truncate -s 64M 3.img
"$NDM" vdoformat --no-index --slab-bits 12 --journal-size 1m --logical-size 16m 3.img > /dev/null || fail "vdoformat"
blocks=(2431 2431 2431 16384)
start_ndmd
for i in 0 1 2 3; do
	dm create v$i --table "$(table 32768 "$S/$i.img" ${blocks[i]})"
	for round in 1 2 3 4 5 6; do	# the journal comes round
		io v$i "write -P 1$round 0 800k" "write -P 2$round 5000k 3" "write -P 3$round 12000k 150k" \
			"discard 400k 100k" "write -z 600k 40k" flush
	done
	sum v$i > $i.want
	dm status v$i | cut -d' ' -f9,10 > $i.used
done
dm remove v0
dm remove v1
kill -KILL "$ndmd_pid"
wait "$ndmd_pid" 2>/dev/null || :

# ---- Linux: the same contents, as many blocks in use; then it writes
cat > guest.sh <<'END'
set -e
cd "$1"
modprobe dm-vdo
for i in 0 1 2 3; do
	set -- $(cat $i.used)
	disk=/dev/vd$(echo $i | tr 0123 abcd)
	echo "0 32768 vdo V4 $disk $2 512 4096 16 deduplication off compression on" | dmsetup create v$i
	sha256sum < /dev/mapper/v$i | cut -d' ' -f1 > $i.got
	dmsetup status v$i | cut -d' ' -f9,10 > $i.got-used
	for n in 1 2 3 4 5 6 7 8 9; do yes "line $n of volume $i" | head -c 40960; done |
		dd of=/dev/mapper/v$i bs=40960 seek=20 conv=fsync iflag=fullblock 2>/dev/null
	sync
	echo 3 > /proc/sys/vm/drop_caches
	sha256sum < /dev/mapper/v$i | cut -d' ' -f1 > $i.after
	dmsetup remove v$i
done
END
"$vm" -w "$S" -m 1500 -t 1500 -d "$S/0.img" -d "$S/1.img" -d "$S/2.img" -d "$S/3.img" -- sh "$S/guest.sh" "$S" \
	> guest.out 2>&1 || fail "in Linux: $(tail -n 5 guest.out)"
start_ndmd
for i in 0 1 2 3; do
	cmp $i.want $i.got || fail "volume $i has other contents in Linux"
	cmp $i.used $i.got-used || fail "volume $i has other blocks in use: $(cat $i.got-used), not $(cat $i.used)"
	dm create v$i --table "$(table 32768 "$S/$i.img" ${blocks[i]})"
	[ "$(sum v$i)" = "$(cat $i.after)" ] || fail "volume $i: other contents than Linux wrote"
	dm remove v$i
done
say "Linux goes on where ndm ended or was killed, and the other way round"
