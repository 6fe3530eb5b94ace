# SPDX-License-Identifier: BSD-2-Clause
# All tests.  A cmocka program is tests/unit/NAME.c and a line in core_tests or host_tests: the
# former need nothing but the core, and are run again with the ucontext switch and without
# io_uring.  It is linked with the core built with its named moments on (NDM_MOMENTS), and
# cmocka.  A shell test is a line in shell_tests; it exits 0, or 77 when what it needs is not
# there, and finds build and source tree in $top_builddir and $top_srcdir.

core_tests =
host_tests =
shell_tests =

# ---- programs

# core_tests += tests/unit/bio
core_tests += tests/unit/test-os-file
core_tests += tests/unit/test-os-mem
core_tests += tests/unit/test-os-world
core_tests += tests/unit/test-lead
core_tests += tests/unit/test-os-nbd
core_tests += tests/unit/test-os-rbd
noinst_HEADERS += tests/unit/os-harness.h
core_tests += tests/unit/test-table-text
core_tests += tests/unit/test-yaml
tests_unit_test_yaml_SOURCES = tests/unit/test-yaml.c tests/unit/box.c tests/unit/box.h

# the core
core_tests += tests/unit/test-core-sync
tests_unit_test_core_sync_SOURCES = tests/unit/test-core-sync.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-core-bio
tests_unit_test_core_bio_SOURCES = tests/unit/test-core-bio.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-core-device
tests_unit_test_core_device_SOURCES = tests/unit/test-core-device.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-core-threads

# targets: each in a box of its own (tests/unit/box.h)
core_tests += tests/unit/test-args
core_tests += tests/unit/test-linear
tests_unit_test_linear_SOURCES = tests/unit/test-linear.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-striped
tests_unit_test_striped_SOURCES = tests/unit/test-striped.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-delay
tests_unit_test_delay_SOURCES = tests/unit/test-delay.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-flakey
tests_unit_test_flakey_SOURCES = tests/unit/test-flakey.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-powerfail
tests_unit_test_powerfail_SOURCES = tests/unit/test-powerfail.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-dust
tests_unit_test_dust_SOURCES = tests/unit/test-dust.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-ebs
tests_unit_test_ebs_SOURCES = tests/unit/test-ebs.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-multipath
tests_unit_test_multipath_SOURCES = tests/unit/test-multipath.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-multipath-unflushed
core_tests += tests/unit/test-multipath-golden
tests_unit_test_multipath_golden_SOURCES = tests/unit/test-multipath-golden.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-raid
tests_unit_test_raid_SOURCES = tests/unit/test-raid.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-raid-reshape
tests_unit_test_raid_reshape_SOURCES = tests/unit/test-raid-reshape.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-switch
tests_unit_test_switch_SOURCES = tests/unit/test-switch.c tests/unit/box.c tests/unit/box.h

# metadata
core_tests += tests/unit/test-meta
tests_unit_test_meta_SOURCES = tests/unit/test-meta.c tests/unit/box.c tests/unit/box.h

core_tests += tests/unit/test-cache
tests_unit_test_cache_SOURCES = tests/unit/test-cache.c tests/unit/same.h tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-clone
tests_unit_test_clone_SOURCES = tests/unit/test-clone.c tests/unit/same.h tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-era
tests_unit_test_era_SOURCES = tests/unit/test-era.c tests/unit/same.h tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-writecache
tests_unit_test_writecache_SOURCES = tests/unit/test-writecache.c tests/unit/same.h tests/unit/box.c tests/unit/box.h

core_tests += tests/unit/test-thin
tests_unit_test_thin_SOURCES = tests/unit/test-thin.c tests/unit/box.c tests/unit/box.h tests/thin-check.c tests/thin-check.h

core_tests += tests/unit/test-vdo
tests_unit_test_vdo_SOURCES = tests/unit/test-vdo.c tests/unit/box.c tests/unit/box.h tests/vdo-image.c tests/vdo-image.h

# encryption
core_tests += tests/unit/test-cipher
core_tests += tests/unit/test-crypt
core_tests += tests/unit/test-kernel-ciphers
tests_unit_test_kernel_ciphers_SOURCES = tests/unit/test-kernel-ciphers.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-crypt-threads
tests_unit_test_crypt_SOURCES = tests/unit/test-crypt.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-luks
core_tests += tests/unit/test-luks-reencrypt tests/unit/test-luks-encrypt
core_tests += tests/unit/test-luks1-reencrypt
core_tests += tests/unit/test-verity-format
core_tests += tests/unit/test-verity
tests_unit_test_verity_SOURCES = tests/unit/test-verity.c tests/unit/box.c tests/unit/box.h
core_tests += tests/unit/test-integrity-format
core_tests += tests/unit/test-integrity
tests_unit_test_integrity_SOURCES = tests/unit/test-integrity.c tests/unit/box.c tests/unit/box.h

# ---- shell

shell_tests += tests/arch.sh
shell_tests += tests/sim/check.sh
shell_tests += tests/house.sh
shell_tests += tests/conformance.sh
shell_tests += tests/install.sh
shell_tests += tests/readme.sh
shell_tests += tests/systemd.sh
shell_tests += tests/interop/filesystem.sh
shell_tests += tests/interop/cryptsetup.sh tests/interop/cryptsetup-convert.sh
shell_tests += tests/interop/veritysetup.sh
shell_tests += tests/interop/verity-signature.sh
shell_tests += tests/interop/integritysetup.sh
shell_tests += tests/interop/reencrypt.sh tests/interop/reencrypt-plain.sh tests/interop/reencrypt-luks1.sh
shell_tests += tests/interop/cache-tools.sh
shell_tests += tests/interop/answers.sh
shell_tests += tests/interop/vdo.sh
EXTRA_DIST += tests/golden/vdo.tar.xz tests/golden/vdo-dedupe.tar.xz
shell_tests += tests/interop/thin-tools.sh
shell_tests += tests/interop/raid.sh
shell_tests += tests/interop/raid-reshape.sh
EXTRA_DIST += tests/golden/raid-reshape.tar.xz
shell_tests += tests/interop/stack-crypto.sh
shell_tests += tests/interop/luks-yaml.sh
shell_tests += tests/interop/plugin.sh
shell_tests += tests/interop/store-files.sh
shell_tests += tests/interop/multipath.sh
shell_tests += tests/interop/multipath-status.sh
shell_tests += tests/interop/multipath-links.sh
shell_tests += tests/interop/store-remote.sh
shell_tests += tests/interop/nbd-peer.sh
shell_tests += tests/interop/qemu-client.sh
EXTRA_DIST += tests/interop/nbd-peer.py
shell_tests += tests/interop/rbd.sh
shell_tests += tests/interop/rbd-absent.sh
shell_tests += tests/interop/suites.sh
shell_tests += tests/interop/suites-plugin.sh
shell_tests += tests/interop/term.sh
shell_tests += tests/interop/wrong-tables.sh
shell_tests += tests/interop/wrong-yaml.sh
shell_tests += tests/man.sh

# the management socket, and the examples of volume definitions
shell_tests += tests/server/control-abi.sh
shell_tests += tests/server/control-conn.sh
shell_tests += tests/server/examples.sh
shell_tests += tests/server/poll.sh
shell_tests += tests/server/schema.sh
EXTRA_DIST += tests/server/control.py tests/server/control-abi.py tests/server/control-conn.py \
	tests/server/examples.py tests/server/poll.c

# what the server prints of a report
host_tests += tests/unit/test-metrics
tests_unit_test_metrics_SOURCES = tests/unit/test-metrics.c $(server_parts)
tests_unit_test_metrics_LDADD = $(server_ndmd_LDADD) $(CMOCKA_LIBS)

check_PROGRAMS += $(core_tests) $(host_tests)
TESTS += $(core_tests) $(host_tests) $(shell_tests)
EXTRA_DIST += tests/still-world.h tests/golden/multipath-selectors.txt tests/golden/record-multipath.py

TEST_LIBS = tests/libndm-moments.la $(CMOCKA_LIBS)
tests_libndm_moments_la_SOURCES = $(libndm_core_la_SOURCES)
tests_libndm_moments_la_CPPFLAGS = $(AM_CPPFLAGS) -DNDM_MOMENTS
tests_libndm_moments_la_CFLAGS = $(AM_CFLAGS)
tests_libndm_moments_la_LIBADD = $(CORE_LIBS)
check_LTLIBRARIES += tests/libndm-moments.la

# With a real kernel as the client or the reader, in an emulated machine: minutes each, so only
# where it is asked for.
kernel_tests = tests/interop/vdo-kernel.sh tests/interop/nbd-ko.sh tests/interop/kernel-crypto.sh tests/interop/verify-in-kernel.sh
kernel_tests += tests/interop/answers-in-kernel.sh
check-kernel: all
	VERIFY_IN_KERNEL=1 KERNEL_VM=$(abs_top_srcdir)/contrib/kernel-vm/kernel-vm \
		$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(kernel_tests)'
.PHONY: check-kernel

# The Debian packages, built and started under a systemd of its own: minutes, and root
check-packages: all
	$(MAKE) $(AM_MAKEFLAGS) check TESTS=tests/packages.sh
.PHONY: check-packages
EXTRA_DIST += tests/packages.sh

TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = $(BASH)
AM_TESTS_ENVIRONMENT = \
	top_builddir='$(abs_top_builddir)'; top_srcdir='$(abs_top_srcdir)'; CC='$(CC)'; \
	NDM_SANITIZERS='$(SANITIZE_CFLAGS)'; \
	export top_builddir top_srcdir CC NDM_SANITIZERS;

EXTRA_DIST += $(shell_tests) tests/interop tests/conformance \
	tests/conformance-update tests/conformance-passed.txt tests/CONFORMANCE.md tests/data

# Parts with a list of their own
include tests/sim/local.mk
include tests/accept/local.mk
include tests/fuzz/local.mk
include tests/server/local.mk
