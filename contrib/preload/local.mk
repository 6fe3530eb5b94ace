# SPDX-License-Identifier: BSD-2-Clause
# LD_PRELOAD library that leads libdevmapper to ndmd: contrib/preload/.libs/libndm-preload.so.

preloaddir = $(pkglibdir)
preload_LTLIBRARIES =

# contrib_preload_libndm_preload_la_SOURCES = contrib/preload/preload.c
# contrib_preload_libndm_preload_la_LIBADD = -ldl -lpthread
# contrib_preload_libndm_preload_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared
# preload_LTLIBRARIES += contrib/preload/libndm-preload.la
