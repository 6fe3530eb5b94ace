# SPDX-License-Identifier: BSD-2-Clause
# LUKS headers: in the core for volume definitions, and for clients in a library of its own.

luks_sources = \
	include/ndm-luks.h lib/luks/luks.h lib/luks/reencrypt.h lib/luks/tree.h \
	lib/luks/af.c \
	lib/luks/convert.c lib/luks/speed.c \
	lib/luks/dump.c \
	lib/luks/format.c \
	lib/luks/header.c \
	lib/luks/keyslot.c \
	lib/luks/keyslot-change.c \
	lib/luks/luks1.c \
	lib/luks/luks2.c \
	lib/luks/luks2-json.c \
	lib/luks/misc.c \
	lib/luks/reencrypt.c lib/luks/reencrypt-begin.c lib/luks/reencrypt1.c \
	lib/luks/reencrypt-json.c \
	lib/luks/table.c \
	lib/luks/tree.c \
	lib/luks/tree-edit.c

libndm_core_la_SOURCES += $(luks_sources)

libndm_luks_la_SOURCES = $(luks_sources) $(kit_crypt_sources) lib/alloc.c lib/str.c
libndm_luks_la_CFLAGS = $(AM_CFLAGS) $(FRAME_CFLAGS)
libndm_luks_la_LIBADD = $(OPENSSL_LIBS) $(LIBGCRYPT_LIBS) $(NETTLE_LIBS) $(LIBARGON2_LIBS)
noinst_LTLIBRARIES += libndm-luks.la
