# SPDX-License-Identifier: BSD-2-Clause
# All tests.  A cmocka program is tests/unit/NAME.c and two lines here:
#	check_PROGRAMS += tests/unit/NAME
#	TESTS += tests/unit/NAME
# It is linked with the core built with its named moments on (NDM_MOMENTS), and cmocka.
# A shell test is one line, `TESTS += tests/interop/NAME.sh`; it exits 0, or 77 when what it
# needs is not there, and finds build and source tree in $top_builddir and $top_srcdir.

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
