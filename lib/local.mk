# SPDX-License-Identifier: BSD-2-Clause
# The core, and with it lib/os, lib/kit, lib/meta and the targets: one convenience library that
# ndmd, the plugin and the tests link (no wrapper scripts), and the installed libndm beside it.
# Add to libndm_core_la_SOURCES, one file a line, headers too.

libndm_core_la_SOURCES = include/ndm.h include/ndm-target.h
libndm_core_la_SOURCES += lib/core.h
libndm_core_la_SOURCES += lib/align.c
libndm_core_la_SOURCES += lib/alloc.c
libndm_core_la_SOURCES += lib/args.c
libndm_core_la_SOURCES += lib/bio.c
libndm_core_la_SOURCES += lib/context.c
libndm_core_la_SOURCES += lib/counters.c
libndm_core_la_SOURCES += lib/device.c
libndm_core_la_SOURCES += lib/explain.c
libndm_core_la_SOURCES += lib/extents.c
libndm_core_la_SOURCES += lib/fiber.c
libndm_core_la_SOURCES += lib/hop.c
libndm_core_la_SOURCES += lib/keep.c
libndm_core_la_SOURCES += lib/json.c lib/json.h
libndm_core_la_SOURCES += lib/key.c
libndm_core_la_SOURCES += lib/lifecycle.c
libndm_core_la_SOURCES += lib/limits.c
libndm_core_la_SOURCES += lib/log.c
libndm_core_la_SOURCES += lib/loop.c
libndm_core_la_SOURCES += lib/message.c
libndm_core_la_SOURCES += lib/metas.c
libndm_core_la_SOURCES += lib/open.c
libndm_core_la_SOURCES += lib/pool.c
libndm_core_la_SOURCES += lib/slots.c
libndm_core_la_SOURCES += lib/stats.c
libndm_core_la_SOURCES += lib/kit/copy.c
libndm_core_la_SOURCES += lib/kit/dirty-log.c lib/kit/dirty-log.h lib/kit/bytes.h lib/kit/crew.h lib/kit/memo.h lib/kit/patient.h lib/kit/stream.h
libndm_core_la_SOURCES += lib/store.c
libndm_core_la_SOURCES += lib/str.c
libndm_core_la_SOURCES += lib/sync.c
libndm_core_la_SOURCES += lib/table.c
libndm_core_la_SOURCES += lib/table-text.c
libndm_core_la_SOURCES += lib/target.c
libndm_core_la_SOURCES += lib/task.c
libndm_core_la_SOURCES += lib/yaml.c
libndm_core_la_SOURCES += lib/yaml-impl.h
libndm_core_la_SOURCES += lib/yaml-args.c
libndm_core_la_SOURCES += lib/yaml-check.c
libndm_core_la_SOURCES += lib/yaml-multipath.c lib/yaml-nest.c lib/yaml-settle.c
libndm_core_la_SOURCES += lib/yaml-plan.c
libndm_core_la_SOURCES += lib/yaml-schema.c
libndm_core_la_SOURCES += lib/yaml-server.c
libndm_core_la_SOURCES += lib/yaml-value.c
libndm_core_la_SOURCES += lib/yaml-volume.c
libndm_core_la_CFLAGS = $(AM_CFLAGS) $(FRAME_CFLAGS)
libndm_core_la_LIBADD = $(CORE_LIBS)

# The installed library: the core's public names and nothing else.
libndm_la_SOURCES =
libndm_la_LIBADD = libndm-core.la
libndm_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined -export-symbols-regex '^ndm_'

noinst_LTLIBRARIES += libndm-core.la
lib_LTLIBRARIES += libndm.la
include lib/kit/local.mk
include lib/luks/local.mk
include lib/meta/local.mk
include lib/verity/local.mk
include lib/os/local.mk
