#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What we write, Linux reads, in a guest with a real kernel: exception stores of all kinds, merges
# that we have begun and it ends, dirty logs of mirrors, and what the conformance cases of these and
# of thin, cache, era and writecache leave.  The guest is emulated, which takes minutes: only where it is asked for.
#
#	VERIFY_IN_KERNEL=1	do it
#	KERNEL_VM=FILE		what starts the guest (contrib/kernel-vm/kernel-vm)
TEST_LIMIT_S=3000
. "$(dirname "$0")/functions.sh"
[ -n "${VERIFY_IN_KERNEL:-}" ] || skip "takes minutes in an emulated machine; VERIFY_IN_KERNEL=1 asks for it"
requires_ndmd
requires_program qemu-system-x86_64 busybox cpio dmsetup
compgen -G "/boot/vmlinuz-6.12*" > /dev/null || skip "needs a kernel 6.12 in /boot (Debian: linux-image-6.12-amd64)"
requires /usr/bin/python3 -c 'import nbd, yaml'
requires_root				# the guest's programs are read from this machine's files
conformance=$top_srcdir/tests/conformance

/usr/bin/python3 "$top_srcdir/tests/interop/kernel-cases.py" "$T/cases" "$NDMD" "$NDMSETUP" || fail "the cases cannot be made"
for family in snapshot mirror log-writes thin cache era writecache; do
	cases=()				# those that make check holds us to
	while read -r id; do
		cases+=(--case "$id")
	done < <(grep -x "$family/.*" "$top_srcdir/tests/conformance-passed.txt")
	"$conformance/run" --build "$top_builddir" "${cases[@]}" --emit "$T/cases" > run.out 2>&1 ||
		fail "conformance of $family: $(tail -n 3 run.out)"
done
TIMEOUT=2700 MEMORY=1024 "$conformance/verify-in-kernel" "$T/cases" > kernel.out 2>&1 ||
	fail "the kernel reads it otherwise: $(cat kernel.out)"
say "the kernel: $(tail -n 1 kernel.out)"
