#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A real kernel as the client: nbd.ko and nbd-client in a virtual machine, ext4 on it, fsck,
# discards, disconnect and reconnect, four sockets (tests/interop/suites/vm-nbd); and the power
# of the machine is cut while it writes: what was synced is there after it has come back.
. "$(dirname "$0")/functions.sh"
requires_ndmd
[ -n "${KERNEL_VM:-}" ] || skip "takes minutes: set KERNEL_VM=$top_srcdir/contrib/kernel-vm/kernel-vm for it"
vm=$KERNEL_VM
requires_program qemu-system-x86_64 busybox cpio nbd-client mkfs.ext4 fio
[ -z "${NDM_SANITIZERS:-}" ] || skip "a sanitizer's ndmd is too slow for software emulation"
ls /boot/vmlinuz-6.12* > /dev/null 2>&1 || skip "needs a 6.12 kernel for the virtual machine (linux-image-6.12-amd64)"
requires_root

mkdir shared
cp "$NDMD" "$top_srcdir/tests/interop/suites/vm-nbd" shared/
run_vm() { timeout 580 "$vm" -w "$T/shared" -t 560 -- "$@"; }
status=0
run_vm true > vm.err 2>&1 || status=$?
[ $status -ne 125 ] || skip "no virtual machine can be had: $(tail -n 1 vm.err)"
[ $status -eq 0 ] || fail "the virtual machine: $(tail -n 3 vm.err)"

say "nbd.ko"
run_vm sh "$T/shared/vm-nbd" "$T/shared" /run/k.sock e "$T/shared/ndmd --daemon --no-control \
	--create 'e: 0 131072 linear mem:64M 0' --listen unix:/run/k.sock" > nbd.err 2>&1 ||
	fail "$(grep -E '^(FAIL|##)' nbd.err)"
grep '^##' nbd.err
grep -q '^## vm pass 2[0-9] fail 0' nbd.err

say "power-off in the middle of writing"
truncate -s 64M shared/disk.img
cat > shared/cut <<'SH'
modprobe ext4; modprobe nbd nbds_max=1 || exit 1
"$1/ndmd" --daemon --no-control --create "e: 0 131072 linear $1/disk.img 0" --listen unix:/run/k.sock || exit 1
nbd-client -unix /run/k.sock /dev/nbd0 -N e -b 4096 || exit 1
mkdir -p /run/m
if [ "$2" = write ]; then
	mkfs.ext4 -q -F -b 4096 /dev/nbd0 && mount /dev/nbd0 /run/m || exit 1
	dd if=/dev/urandom of=/run/m/kept bs=64k count=64 conv=fsync 2>/dev/null || exit 1
	cksum < /run/m/kept > "$1/sum" && sync
	( while :; do dd if=/dev/zero of=/run/m/noise bs=64k count=200 2>/dev/null; done ) &
	while [ ! -s /run/m/noise ]; do :; done
	echo 1 > /proc/sys/kernel/sysrq
	echo o > /proc/sysrq-trigger
	while :; do :; done
fi
mount /dev/nbd0 /run/m || exit 1
cksum < /run/m/kept | cmp - "$1/sum" || exit 1
umount /run/m && e2fsck -fn /dev/nbd0 && nbd-client -d /dev/nbd0
SH
run_vm sh "$T/shared/cut" "$T/shared" write > cut.err 2>&1 || :	# it never comes to an end of its own
[ -s shared/sum ] || fail "it wrote nothing: $(tail -n 5 cut.err)"
run_vm sh "$T/shared/cut" "$T/shared" read > again.err 2>&1 || fail "after the power-off: $(tail -n 5 again.err)"

say "TLS by the kernel"
cat > shared/ktls <<'SH'
cd "$1" || exit 1
modprobe tls || exit 77
ip link set lo up 2>/dev/null || ifconfig lo up
printf 'alice:%032d\n' 7 > keys.psk
head -c 4M /dev/urandom > data
./ndmd -v --foreground --no-control --create 'e: 0 8192 linear mem:4M 0' --tls require --tls-psk keys.psk \
	--tcp 127.0.0.1:10809 2> ktls.log & server=$!
while ! grep -q nbds:// ktls.log; do kill -0 $server || exit 1; sleep 1; done
uri="nbds://alice@127.0.0.1/e?tls-psk-file=$1/keys.psk"
nbdcopy data "$uri" && nbdcopy "$uri" back && cmp data back || exit 1
kill $server && wait $server
SH
status=0
run_vm sh "$T/shared/ktls" "$T/shared" > ktls.err 2>&1 || status=$?
if [ $status -eq 77 ] || ! command -v nbdcopy > /dev/null; then
	say "no module tls, or no nbdcopy: not looked at"
else
	[ $status -eq 0 ] || fail "the kernel's TLS: $(tail -n 5 ktls.err)"
	grep -q 'TLSv1.3, alice, encrypted by the kernel' shared/ktls.log
fi
