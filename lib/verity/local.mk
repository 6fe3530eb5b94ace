# SPDX-License-Identifier: BSD-2-Clause
# Trees of verity made and checked, and the formats of verity and integrity: for clients, in the
# library that has the LUKS headers.

libndm_luks_la_SOURCES += include/ndm-verity.h include/ndm-integrity.h \
	lib/verity/inside.h lib/verity/make.c lib/verity/parity.c \
	lib/kit/fec.h lib/kit/fec.c \
	targets/verity/format.c targets/integrity/format.c

# the format of vdo, for `ndm vdoformat`
libndm_luks_la_SOURCES += include/ndm-vdo.h targets/vdo/format.c
