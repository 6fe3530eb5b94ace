#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The lists of answers.sh, asked of Linux itself once more, in a guest: what is recorded is what it
# says.  dm-clone.ko is not in Debian's kernel: $EXTRA_MODULES names one that was built for it, and
# without it the clone lists are left out.
#
#	VERIFY_IN_KERNEL=1	do it (half an hour in an emulated machine)
#	KERNEL_VM=FILE		what starts the guest (contrib/kernel-vm/kernel-vm)
TEST_LIMIT_S=7200
. "$(dirname "$0")/functions.sh"
[ -n "${VERIFY_IN_KERNEL:-}" ] || skip "takes half an hour in an emulated machine; VERIFY_IN_KERNEL=1 asks for it"
requires_program qemu-system-x86_64 busybox cpio dmsetup thin_check cache_check era_check
compgen -G "/boot/vmlinuz-6.12*" > /dev/null || skip "needs a kernel 6.12 in /boot (Debian: linux-image-6.12-amd64)"
requires /usr/bin/python3 -c 'import nbd, yaml'
requires_root				# the guest's programs are read from this machine's files
vm=${KERNEL_VM:-$top_srcdir/contrib/kernel-vm/kernel-vm}
[ -x "$vm" ] || skip "needs \$KERNEL_VM: $vm is not there"

mkdir lists modules
cp "$top_srcdir/tests/interop/answers.py" "$top_srcdir"/tests/interop/answers/*.t lists/
cp -r "$top_srcdir/tests/conformance/runner" .
modules=()
for m in ${EXTRA_MODULES:-}; do
	cp "$m" modules/
	modules+=("$T/modules/$(basename "$m")")
done
case ${EXTRA_MODULES:-} in *dm-clone*) ;; *) rm lists/clone-*.t ;; esac
"$vm" -w "$T" -m 2048 -t 7000 -- env RUNNER="$T" EXTRA_MODULES="${modules[*]:-}" \
	/usr/bin/python3 "$T/lists/answers.py" --driver kernel "$T"/lists/*.t > answers.out 2>&1 ||
	fail "Linux answers otherwise: $(cat answers.out)"
say "Linux: $(tail -n 1 answers.out)"
