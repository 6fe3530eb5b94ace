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
	server/metrics-json.c \
	server/metrics-page.h \
	server/metrics-report.c server/metrics-report.h \
	server/metrics-target.c \
	server/metrics-text.c \
	server/nbd-protocol.h \
	server/ndmd.c server/ndmd.h \
	server/opening.c \
	server/options.c \
	server/parcel.c server/pieces.c \
	server/pool.c server/pool.h \
	server/reply.c \
	server/state-file.c \
	server/state.c server/state.h \
	server/system.c \
	server/takeover.c server/takeover.h \
	server/tls.c server/tls.h \
	server/transmit.c \
	server/volumes.c \
	server/look.c server/look.h \
	server/nap.c server/nap.h \
	server/worker.c server/worker.h
server_ndmd_SOURCES = server/main.c $(server_parts)
server_ndmd_LDADD = libndm-core.la $(LIBEVENT_LIBS) $(OPENSSL_LIBS) -lpthread
sbin_PROGRAMS += server/ndmd

# the page at / of the metrics listener, as the bytes of an array
server/page.inc: server/page.html
	$(AM_V_GEN)$(MKDIR_P) server && od -An -v -tx1 $(srcdir)/server/page.html | \
	sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g' > $@.new && mv -f $@.new $@
server/metrics.$(OBJEXT): server/page.inc
BUILT_SOURCES += server/page.inc
CLEANFILES += server/page.inc
EXTRA_DIST += server/page.html
