# SPDX-License-Identifier: BSD-2-Clause
# The outside world: clock, dice, workers, files, memory, NBD, and turns at the loop.
libndm_core_la_SOURCES += lib/os/os.h lib/os/file.h lib/os/nbd.h \
	lib/os/world.c lib/os/clock.c lib/os/workers.c \
	lib/os/engine.c lib/os/uring.c \
	lib/os/file.c lib/os/file-open.c lib/os/file-space.c lib/os/file-lend.c \
	lib/os/keyring.c lib/os/mem.c lib/os/nbd.c lib/os/nbd-link.c lib/os/nbd-watch.c \
	lib/os/nbd-wire.c lib/os/lead.c
libndm_core_la_SOURCES += lib/os/certificates.c lib/os/config-read.c
libndm_core_la_SOURCES += lib/os/rbd.h lib/os/rbd.c lib/os/rbd-load.c lib/os/rbd-open.c lib/os/rbd-extents.c
