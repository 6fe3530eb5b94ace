# SPDX-License-Identifier: BSD-2-Clause
# LD_PRELOAD library that leads libdevmapper to ndmd: contrib/preload/.libs/libndm-preload.so.

preloaddir = $(pkglibdir)
preload_LTLIBRARIES = contrib/preload/libndm-preload.la

contrib_preload_libndm_preload_la_SOURCES = \
	contrib/preload/ndm-preload.c contrib/preload/data.c contrib/preload/nbd.c \
	contrib/preload/paths.c contrib/preload/talk.c contrib/preload/preload.h
contrib_preload_libndm_preload_la_CFLAGS = -std=gnu11 $(WARN_CFLAGS)
contrib_preload_libndm_preload_la_LIBADD = -ldl -lpthread
contrib_preload_libndm_preload_la_LDFLAGS = -module -avoid-version -shared
