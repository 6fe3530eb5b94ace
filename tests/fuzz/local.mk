# SPDX-License-Identifier: BSD-2-Clause
# Fuzzers: tests/fuzz/fuzz-NAME.c and a line here.  Built with --enable-fuzzers only.

fuzzers =
fuzzers += tests/fuzz/fuzz-control
fuzzers += tests/fuzz/fuzz-table
fuzzers += tests/fuzz/fuzz-yaml

FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz-control.c server/control-dm.c server/control-call.h \
	server/control.h server/control-device.c server/control-list.c server/control-own.c \
	server/control-table.c
tests_fuzz_fuzz_control_LDADD = libndm-core.la
tests_fuzz_fuzz_control_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_table_LDADD = libndm-core.la
tests_fuzz_fuzz_table_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_yaml_LDADD = libndm-core.la
tests_fuzz_fuzz_yaml_LDFLAGS = $(FUZZ_LINK)

if FUZZERS
noinst_PROGRAMS += $(fuzzers)
endif

EXTRA_DIST += tests/fuzz/run tests/fuzz/seeds.sh tests/fuzz/yaml.dict tests/fuzz/fuzz-table.c tests/fuzz/fuzz-control.c \
	tests/fuzz/fuzz-yaml.c
