# SPDX-License-Identifier: BSD-2-Clause
# What targets share.  cipher*, hash*, ivgen*, crypt*: also in the clients' LUKS library.

kit_crypt_sources = \
	lib/kit/cipher.h lib/kit/hash.h lib/kit/ivgen.h lib/kit/crypt.h lib/kit/crypt-inside.h \
	lib/kit/cipher.c \
	lib/kit/cipher-adiantum.c \
	lib/kit/cipher-aead.c \
	lib/kit/cipher-aes.c \
	lib/kit/cipher-aegis.c \
	lib/kit/cipher-block.h lib/kit/cipher-block.c \
	lib/kit/cipher-cast6.h lib/kit/cipher-cast6.c \
	lib/kit/cipher-chacha.c \
	lib/kit/cipher-evp.c \
	lib/kit/cipher-gcrypt.c \
	lib/kit/cipher-mode.c lib/kit/cipher-counter.c lib/kit/cipher-wrap.c lib/kit/cipher-aead-gcrypt.c lib/kit/cipher-aead-esp.c lib/kit/hash-mac.c lib/kit/cipher-fcrypt.c lib/kit/cipher-fcrypt.h \
	lib/kit/cipher-secret.c \
	lib/kit/crypt.c \
	lib/kit/crypt-run.c \
	lib/kit/hash.c \
	lib/kit/hash-crc.c \
	lib/kit/hash-kdf.c \
	lib/kit/hash-signature.c \
	lib/kit/ivgen.c \
	lib/kit/ivgen-elephant.c

libndm_core_la_SOURCES += $(kit_crypt_sources)
libndm_core_la_SOURCES += lib/kit/fec.h lib/kit/fec.c lib/kit/hex.h
libndm_core_la_SOURCES += lib/kit/lz4.h lib/kit/lz4.c
