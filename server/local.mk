# SPDX-License-Identifier: BSD-2-Clause
# All but main.c; the fuzzers of tests/fuzz are made of them, too.
server_parts = \
	server/conn.c server/conn.h \
	server/control-call.h \
	server/control-device.c \
	server/control-dm.c \
	server/control-list.c \
	server/control-own.c \
	server/control-table.c \
	server/control.c server/control.h \
	server/exports.c \
	server/handshake.c server/handshake.h \
	server/image.c server/image.h \
	server/listen.c \
	server/log.c server/log.h \
	server/meta.c server/meta.h \
	server/metrics.c \
	server/nbd-protocol.h \
	server/ndmd.c server/ndmd.h \
	server/opening.c \
	server/options.c \
	server/parcel.c \
	server/pool.c server/pool.h \
	server/reply.c \
	server/state-file.c \
	server/state.c server/state.h \
	server/system.c \
	server/takeover.c server/takeover.h \
	server/tls.c server/tls.h \
	server/transmit.c \
	server/volumes.c \
	server/worker.c server/worker.h
server_ndmd_SOURCES = server/main.c $(server_parts)
server_ndmd_LDADD = libndm-core.la $(LIBEVENT_LIBS) $(OPENSSL_LIBS) -lpthread
sbin_PROGRAMS += server/ndmd
