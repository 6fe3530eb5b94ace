# SPDX-License-Identifier: BSD-2-Clause
# server_ndmd_SOURCES = server/main.c
# server_ndmd_LDADD = libndm-core.la $(LIBEVENT_LIBS) $(OPENSSL_LIBS)
# sbin_PROGRAMS += server/ndmd
