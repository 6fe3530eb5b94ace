# SPDX-License-Identifier: BSD-2-Clause
# Metadata of thin, cache and era: the format that Linux calls persistent-data (lib/meta/meta.h).

libndm_core_la_SOURCES += lib/meta/meta.h lib/meta/inside.h \
	lib/meta/block.c \
	lib/meta/btree.c \
	lib/meta/btree-node.c \
	lib/meta/btree-remove.c \
	lib/meta/space-disk.c \
	lib/meta/space-meta.c \
	lib/meta/txn.c
libndm_core_la_SOURCES += lib/meta/array.h lib/meta/array.c
