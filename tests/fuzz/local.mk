# SPDX-License-Identifier: BSD-2-Clause
# Fuzzers: tests/fuzz/fuzz-NAME.c and a line here.  Built with --enable-fuzzers only.

fuzzers =
fuzzers += tests/fuzz/fuzz-control
fuzzers += tests/fuzz/fuzz-handshake
fuzzers += tests/fuzz/fuzz-luks
fuzzers += tests/fuzz/fuzz-lvm
fuzzers += tests/fuzz/fuzz-integrity
fuzzers += tests/fuzz/fuzz-state
fuzzers += tests/fuzz/fuzz-nbd-wire
fuzzers += tests/fuzz/fuzz-raid
fuzzers += tests/fuzz/fuzz-table
fuzzers += tests/fuzz/fuzz-takeover
fuzzers += tests/fuzz/fuzz-verity
fuzzers += tests/fuzz/fuzz-thin
fuzzers += tests/fuzz/fuzz-cache
fuzzers += tests/fuzz/fuzz-clone
fuzzers += tests/fuzz/fuzz-era
fuzzers += tests/fuzz/fuzz-writecache
fuzzers += tests/fuzz/fuzz-transmit
fuzzers += tests/fuzz/fuzz-yaml

FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_control_SOURCES = tests/fuzz/fuzz-control.c server/control-dm.c server/control-call.h \
	server/control.h server/control-device.c server/control-list.c server/control-own.c \
	server/control-table.c
tests_fuzz_fuzz_control_LDADD = libndm-core.la
tests_fuzz_fuzz_control_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_handshake_SOURCES = tests/fuzz/fuzz-handshake.c tests/fuzz/nbd-server.c tests/fuzz/nbd-server.h \
	$(server_parts)
tests_fuzz_fuzz_handshake_LDADD = $(server_ndmd_LDADD)
tests_fuzz_fuzz_handshake_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_transmit_SOURCES = tests/fuzz/fuzz-transmit.c tests/fuzz/nbd-server.c tests/fuzz/nbd-server.h \
	$(server_parts)
tests_fuzz_fuzz_transmit_LDADD = $(server_ndmd_LDADD)
tests_fuzz_fuzz_transmit_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_state_SOURCES = tests/fuzz/fuzz-state.c server/state-file.c server/state.h
tests_fuzz_fuzz_state_LDADD = libndm-core.la
tests_fuzz_fuzz_state_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_takeover_SOURCES = tests/fuzz/fuzz-takeover.c $(server_parts)
tests_fuzz_fuzz_takeover_LDADD = $(server_ndmd_LDADD)
tests_fuzz_fuzz_takeover_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_luks_LDADD = libndm-luks.la
tests_fuzz_fuzz_luks_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_lvm_SOURCES = tests/fuzz/fuzz-lvm.c client/open/lvm.c client/open/lvm.h
tests_fuzz_fuzz_lvm_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_nbd_wire_LDADD = libndm-core.la
tests_fuzz_fuzz_nbd_wire_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_table_LDADD = libndm-core.la
tests_fuzz_fuzz_table_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_yaml_LDADD = libndm-core.la
tests_fuzz_fuzz_yaml_LDFLAGS = $(FUZZ_LINK)

tests_fuzz_fuzz_integrity_SOURCES = tests/fuzz/fuzz-integrity.c tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_integrity_LDADD = libndm-core.la
tests_fuzz_fuzz_integrity_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_verity_SOURCES = tests/fuzz/fuzz-verity.c tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_verity_LDADD = libndm-core.la
tests_fuzz_fuzz_verity_LDFLAGS = $(FUZZ_LINK)

tests_fuzz_fuzz_raid_SOURCES = tests/fuzz/fuzz-raid.c tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_raid_LDADD = libndm-core.la
tests_fuzz_fuzz_raid_LDFLAGS = $(FUZZ_LINK)

tests_fuzz_fuzz_thin_SOURCES = tests/fuzz/fuzz-thin.c tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_thin_LDADD = libndm-core.la
tests_fuzz_fuzz_thin_LDFLAGS = $(FUZZ_LINK)

tests_fuzz_fuzz_cache_SOURCES = tests/fuzz/fuzz-cache.c tests/fuzz/meta-stamp.h tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_cache_LDADD = libndm-core.la
tests_fuzz_fuzz_cache_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_clone_SOURCES = tests/fuzz/fuzz-clone.c tests/fuzz/meta-stamp.h tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_clone_LDADD = libndm-core.la
tests_fuzz_fuzz_clone_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_era_SOURCES = tests/fuzz/fuzz-era.c tests/fuzz/meta-stamp.h tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_era_LDADD = libndm-core.la
tests_fuzz_fuzz_era_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_writecache_SOURCES = tests/fuzz/fuzz-writecache.c tests/fuzz/one-device.c tests/fuzz/one-device.h
tests_fuzz_fuzz_writecache_LDADD = libndm-core.la
tests_fuzz_fuzz_writecache_LDFLAGS = $(FUZZ_LINK)
fuzzers += tests/fuzz/fuzz-vdo
tests_fuzz_fuzz_vdo_SOURCES = tests/fuzz/fuzz-vdo.c tests/fuzz/one-device.c tests/fuzz/one-device.h \
	tests/vdo-image.c tests/vdo-image.h
tests_fuzz_fuzz_vdo_LDADD = libndm-core.la
tests_fuzz_fuzz_vdo_LDFLAGS = $(FUZZ_LINK)

if FUZZERS
noinst_PROGRAMS += $(fuzzers)
endif

EXTRA_DIST += tests/fuzz/RESULTS.md tests/fuzz/run tests/fuzz/seeds.sh tests/fuzz/yaml.dict tests/fuzz/fuzz-table.c tests/fuzz/fuzz-control.c \
	tests/fuzz/fuzz-yaml.c tests/fuzz/fuzz-luks.c \
	tests/fuzz/fuzz-handshake.c tests/fuzz/fuzz-transmit.c tests/fuzz/nbd-server.c tests/fuzz/nbd-server.h tests/fuzz/nbd-seeds.py
EXTRA_DIST += tests/fuzz/fuzz-integrity.c tests/fuzz/fuzz-verity.c tests/fuzz/one-device.c tests/fuzz/one-device.h
EXTRA_DIST += tests/fuzz/fuzz-state.c tests/fuzz/fuzz-takeover.c
EXTRA_DIST += tests/fuzz/fuzz-raid.c
EXTRA_DIST += tests/fuzz/fuzz-thin.c
EXTRA_DIST += tests/fuzz/fuzz-cache.c tests/fuzz/fuzz-clone.c tests/fuzz/fuzz-era.c tests/fuzz/fuzz-writecache.c tests/fuzz/meta-stamp.h
EXTRA_DIST += tests/fuzz/fuzz-vdo.c
EXTRA_DIST += tests/fuzz/fuzz-nbd-wire.c
