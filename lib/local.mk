# SPDX-License-Identifier: BSD-2-Clause
# The core, and with it lib/os, lib/kit, lib/meta and the targets: one convenience library that
# ndmd, the plugin and the tests link (no wrapper scripts), and the installed libndm beside it.
# Add to libndm_core_la_SOURCES, one file a line, headers too.

libndm_core_la_SOURCES = include/ndm.h include/ndm-target.h
libndm_core_la_SOURCES += lib/args.c
libndm_core_la_SOURCES += lib/str.c
libndm_core_la_CFLAGS = $(AM_CFLAGS) $(FRAME_CFLAGS)
libndm_core_la_LIBADD = $(CORE_LIBS)

# The installed library: the core's public names and nothing else.
libndm_la_SOURCES =
libndm_la_LIBADD = libndm-core.la
libndm_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined -export-symbols-regex '^ndm_'

noinst_LTLIBRARIES += libndm-core.la
# lib_LTLIBRARIES += libndm.la	(once there are sources: an empty version script is an error)
