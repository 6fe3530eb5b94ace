/* SPDX-License-Identifier: BSD-2-Clause */
/* cipher-block.h - block ciphers that come as one block at a time (cipher-block.c makes modes of them). */
#ifndef NDM_KIT_CIPHER_BLOCK_H
#define NDM_KIT_CIPHER_BLOCK_H

#include "lib/kit/cipher.h"

#define CIPHER_BLOCK_MAX 16		/* bytes */

struct cipher_block {
	const char *name;
	unsigned block_bytes, mb_per_s;
	size_t state_bytes;
	int (*setkey)(void *state, const uint8_t *key, size_t bytes);	/* -EINVAL: no such length */
	/* in and out may be the same */
	void (*block)(const void *state, bool encrypt, const uint8_t *in, uint8_t *out);
};

extern const struct cipher_block cipher_block_cast6, cipher_block_fcrypt;

#endif
