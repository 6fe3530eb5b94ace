/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-fcrypt.c - fcrypt, the cipher of AFS' rxkad: a Feistel network of 16 rounds over 64 bits with a
 * key of 56.  No library has it.
 *
 * A round's key is the low 32 bits of the 56, which then are rotated right by 11.  A round XORs it
 * with one half, looks each of its four bytes up in a box of its own, puts those bytes together,
 * rotated, and XORs them into the other half.  Decrypting takes the rounds from the last.
 */
#include <errno.h>

#include "lib/kit/cipher-block.h"
#include "lib/kit/cipher-fcrypt.h"

#define ROUNDS 16

struct fcrypt { uint32_t round[ROUNDS]; };

static int fcrypt_setkey(void *state, const uint8_t *key, size_t bytes)
{
	struct fcrypt *f = state;
	uint64_t k = 0;
	unsigned i;

	if (bytes != 8)
		return -EINVAL;
	for (i = 0; i < 8; i++)			/* the lowest bit of each byte is parity */
		k = k << 7 | key[i] >> 1;
	for (i = 0; i < ROUNDS; i++) {
		f->round[i] = k;
		k = k >> 11 | (k & 0x7ff) << 45;
	}
	return 0;
}

static uint32_t rotate(uint32_t v, unsigned left)
{
	return v << left | v >> (32 - left);
}

static uint32_t fcrypt_mix(uint32_t v)
{
	return rotate(fcrypt_box[0][v >> 24], 3) ^ rotate(fcrypt_box[1][v >> 16 & 255], 27) ^
	       rotate(fcrypt_box[2][v >> 8 & 255], 11) ^ rotate(fcrypt_box[3][v & 255], 19);
}

static void fcrypt_block(const void *state, bool encrypt, const uint8_t *in, uint8_t *out)
{
	const struct fcrypt *f = state;
	uint32_t half[2] = { be32_get(in), be32_get(in + 4) };
	unsigned i, r;

	for (i = 0; i < ROUNDS; i++) {
		r = encrypt ? i : ROUNDS - 1 - i;
		half[r & 1] ^= fcrypt_mix(half[~r & 1] ^ f->round[r]);
	}
	be32_put(out, half[0]);
	be32_put(out + 4, half[1]);
}

const struct cipher_block cipher_block_fcrypt = {
	.name = "fcrypt", .block_bytes = 8, .state_bytes = sizeof(struct fcrypt),
	.mb_per_s = 60, .setkey = fcrypt_setkey, .block = fcrypt_block,
};
