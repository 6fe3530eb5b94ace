/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-cast6.c - CAST-256 (RFC 2612), which the kernel calls cast6 and no library of ours has: one
 * block of 16 bytes.
 *
 * Keys are 16, 20, 24, 28 or 32 bytes, padded with zeroes.
 */
#include <errno.h>
#include <string.h>

#include "lib/kit/cipher-block.h"
#include "lib/kit/cipher-cast6.h"

#define QUADS 12

struct cast6 {
	uint32_t mask[QUADS][4];
	uint8_t turn[QUADS][4];
};

static uint32_t be32(const uint8_t *p)
{
	return __builtin_bswap32(le32_get(p));
}

static uint32_t rotate(uint32_t v, unsigned n)
{
	return v << n | v >> (-n & 31);
}

static uint32_t f1(uint32_t d, uint32_t mask, unsigned turn)
{
	uint32_t i = rotate(mask + d, turn);

	return ((cast_box[0][i >> 24] ^ cast_box[1][i >> 16 & 255]) - cast_box[2][i >> 8 & 255]) +
	       cast_box[3][i & 255];
}

static uint32_t f2(uint32_t d, uint32_t mask, unsigned turn)
{
	uint32_t i = rotate(mask ^ d, turn);

	return ((cast_box[0][i >> 24] - cast_box[1][i >> 16 & 255]) + cast_box[2][i >> 8 & 255]) ^
	       cast_box[3][i & 255];
}

static uint32_t f3(uint32_t d, uint32_t mask, unsigned turn)
{
	uint32_t i = rotate(mask - d, turn);

	return ((cast_box[0][i >> 24] + cast_box[1][i >> 16 & 255]) ^ cast_box[2][i >> 8 & 255]) -
	       cast_box[3][i & 255];
}

/* ---- keys: eight words, mixed by octaves whose constants go on and on ---- */

struct constants { uint32_t mask, turn; };

static void octave(uint32_t k[8], struct constants *c)
{
	static uint32_t (*const f[3])(uint32_t, uint32_t, unsigned) = { f1, f2, f3 };
	unsigned i;

	/* G ^= f1(H), F ^= f2(G), E ^= f3(F), ... B ^= f3(C), A ^= f1(B), H ^= f2(A) */
	for (i = 0; i < 8; i++) {
		k[(14 - i) & 7] ^= f[i % 3](k[(15 - i) & 7], c->mask, c->turn);
		c->mask += 0x6ed9eba1;
		c->turn = (c->turn + 17) & 31;
	}
}

static int cast6_setkey(void *state, const uint8_t *key, size_t bytes)
{
	struct cast6 *s = state;
	struct constants c = { 0x5a827999, 19 };
	uint8_t padded[32] = { 0 };
	uint32_t k[8];
	unsigned i, j;

	if (bytes < 16 || bytes > 32 || bytes % 4)
		return -EINVAL;
	memcpy(padded, key, bytes);
	for (i = 0; i < 8; i++)
		k[i] = be32(padded + 4 * i);
	for (i = 0; i < QUADS; i++) {
		octave(k, &c);
		octave(k, &c);
		for (j = 0; j < 4; j++) {
			s->turn[i][j] = k[2 * j] & 31;
			s->mask[i][j] = k[7 - 2 * j];
		}
	}
	ndm_secret_wipe(k, sizeof k);
	ndm_secret_wipe(padded, sizeof padded);
	return 0;
}

/* ---- blocks ---- */

static void quad(const struct cast6 *s, unsigned i, uint32_t b[4])
{
	b[2] ^= f1(b[3], s->mask[i][0], s->turn[i][0]);
	b[1] ^= f2(b[2], s->mask[i][1], s->turn[i][1]);
	b[0] ^= f3(b[1], s->mask[i][2], s->turn[i][2]);
	b[3] ^= f1(b[0], s->mask[i][3], s->turn[i][3]);
}

static void quad_back(const struct cast6 *s, unsigned i, uint32_t b[4])
{
	b[3] ^= f1(b[0], s->mask[i][3], s->turn[i][3]);
	b[0] ^= f3(b[1], s->mask[i][2], s->turn[i][2]);
	b[1] ^= f2(b[2], s->mask[i][1], s->turn[i][1]);
	b[2] ^= f1(b[3], s->mask[i][0], s->turn[i][0]);
}

/* Decryption is the same with the quads' keys from the other end. */
static void cast6_block(const void *state, bool encrypt, const uint8_t *in, uint8_t *out)
{
	const struct cast6 *s = state;
	uint32_t b[4];
	unsigned i;

	for (i = 0; i < 4; i++)
		b[i] = be32(in + 4 * i);
	for (i = 0; i < QUADS / 2; i++)
		quad(s, encrypt ? i : QUADS - 1 - i, b);
	for (; i < QUADS; i++)
		quad_back(s, encrypt ? i : QUADS - 1 - i, b);
	for (i = 0; i < 4; i++)
		be32_put(out + 4 * i, b[i]);
}

const struct cipher_block cipher_block_cast6 = {
	.name = "cast6", .block_bytes = 16, .state_bytes = sizeof(struct cast6), .mb_per_s = 60,
	.setkey = cast6_setkey, .block = cast6_block,
};
