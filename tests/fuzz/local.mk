# SPDX-License-Identifier: BSD-2-Clause
# Fuzzers: tests/fuzz/fuzz-NAME.c and a line here.  Built with --enable-fuzzers only.

fuzzers =
fuzzers += tests/fuzz/fuzz-table
fuzzers += tests/fuzz/fuzz-yaml

FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_table_LDADD = libndm-core.la
tests_fuzz_fuzz_table_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_yaml_LDADD = libndm-core.la
tests_fuzz_fuzz_yaml_LDFLAGS = $(FUZZ_LINK)

if FUZZERS
noinst_PROGRAMS += $(fuzzers)
endif

EXTRA_DIST += tests/fuzz/run tests/fuzz/seeds.sh tests/fuzz/yaml.dict tests/fuzz/fuzz-table.c \
	tests/fuzz/fuzz-yaml.c
