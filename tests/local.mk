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
noinst_HEADERS += tests/unit/os-harness.h
core_tests += tests/unit/test-table-text
core_tests += tests/unit/test-yaml
tests_unit_test_yaml_SOURCES = tests/unit/test-yaml.c tests/unit/box.c tests/unit/box.h

# ---- shell

shell_tests += tests/arch.sh
shell_tests += tests/sim/check.sh
shell_tests += tests/house.sh
shell_tests += tests/interop/suites-plugin.sh
# shell_tests += tests/man.sh

check_PROGRAMS += $(core_tests) $(host_tests)
TESTS += $(core_tests) $(host_tests) $(shell_tests)

TEST_LIBS = tests/libndm-moments.la $(CMOCKA_LIBS)
tests_libndm_moments_la_SOURCES = $(libndm_core_la_SOURCES)
tests_libndm_moments_la_CPPFLAGS = $(AM_CPPFLAGS) -DNDM_MOMENTS
tests_libndm_moments_la_CFLAGS = $(AM_CFLAGS)
tests_libndm_moments_la_LIBADD = $(CORE_LIBS)
check_LTLIBRARIES += tests/libndm-moments.la

TEST_EXTENSIONS = .sh
SH_LOG_COMPILER = $(BASH)
AM_TESTS_ENVIRONMENT = \
	top_builddir='$(abs_top_builddir)'; top_srcdir='$(abs_top_srcdir)'; CC='$(CC)'; \
	NDM_SANITIZERS='$(SANITIZE_CFLAGS)'; \
	export top_builddir top_srcdir CC NDM_SANITIZERS;

EXTRA_DIST += $(shell_tests) tests/interop tests/conformance tests/conformance.sh \
	tests/conformance-update tests/conformance-passed.txt tests/CONFORMANCE.md tests/data

# Parts with a list of their own
include tests/sim/local.mk
include tests/fuzz/local.mk
