/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ivgen-elephant.c - the two IV modes with work on the data: BitLocker's Elephant diffuser and
 * loop-AES's lmk, whose IV is MD5 of the plaintext without MD5's last step (the padding), which
 * no library gives.
 */
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/ivgen.h"

/* ---- lmk ---- */

static uint32_t rotate(uint32_t v, unsigned n)
{
	return n ? v << n | v >> (32 - n) : v;
}

/* one block of MD5 (RFC 1321) */
static void md5_block(uint32_t state[4], const uint8_t block[64])
{
	static const uint32_t sines[64] = {
		0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613,
		0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193,
		0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
		0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
		0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
		0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
		0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244,
		0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
		0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
		0xeb86d391,
	};
	static const uint8_t turns[4][4] = {
		{ 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 },
	};
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], f, t;
	unsigned i, word;

	for (i = 0; i < 64; i++) {
		switch (i / 16) {
		case 0:
			f = (b & c) | (~b & d);
			word = i;
			break;
		case 1:
			f = (d & b) | (~d & c);
			word = (5 * i + 1) % 16;
			break;
		case 2:
			f = b ^ c ^ d;
			word = (3 * i + 5) % 16;
			break;
		default:
			f = c ^ (b | ~d);
			word = 7 * i % 16;
			break;
		}
		t = a + f + sines[i] + le32_get(block + 4 * word);
		a = d;
		d = c;
		c = b;
		b += rotate(t, turns[i / 16][i % 4]);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

void ivgen_lmk(const struct ivgen *g, uint64_t s, const uint8_t *plain, uint8_t iv[16])
{
	uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	uint8_t last[64];
	unsigned i;

	if (g->seeded)
		md5_block(state, g->seed);
	for (i = 16; i + 64 <= 512; i += 64)
		md5_block(state, plain + i);
	memcpy(last, plain + i, 48);		/* what is left of the sector, then its number */
	le32_put(last + 48, s);
	le32_put(last + 52, (s >> 32 & 0xffffff) | 0x80000000);
	le32_put(last + 56, 4024);
	le32_put(last + 60, 0);
	md5_block(state, last);
	for (i = 0; i < 4; i++)
		le32_put(iv + 4 * i, state[i]);
}

/* ---- elephant ---- */

/*
 * Each diffuser runs over the little-endian words of the sector as a ring; decrypting adds in
 * ascending order, encrypting takes the same away in descending order.  n is a power of 2.
 */
static void diffuse(uint8_t *d, unsigned n, bool encrypt, const uint8_t turns[4], unsigned near,
		    unsigned far)
{
	unsigned k;

	for (k = 0; k < n; k++) {
		unsigned i = encrypt ? n - 1 - k : k;
		uint32_t x = le32_get(d + 4 * ((i + near) & (n - 1)));

		x ^= rotate(le32_get(d + 4 * ((i + far) & (n - 1))), turns[i % 4]);
		le32_put(d + 4 * i, le32_get(d + 4 * i) + (encrypt ? -x : x));
	}
}

static void diffuse_a(uint8_t *d, unsigned n, bool encrypt)
{
	static const uint8_t turns[4] = { 9, 0, 13, 0 };
	unsigned cycle;

	for (cycle = 0; cycle < 5; cycle++)
		diffuse(d, n, encrypt, turns, n - 2, n - 5);
}

static void diffuse_b(uint8_t *d, unsigned n, bool encrypt)
{
	static const uint8_t turns[4] = { 0, 10, 0, 25 };
	unsigned cycle;

	for (cycle = 0; cycle < 3; cycle++)
		diffuse(d, n, encrypt, turns, 2, 5);
}

static void mask(uint8_t *d, unsigned bytes, const uint8_t key[32])
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		d[i] ^= key[i % 32];
}

int ivgen_elephant(const struct ivgen *g, struct ndm_cipher *aes, uint64_t s, bool encrypt,
		   uint8_t *data)
{
	const unsigned n = g->sector_bytes / 4;
	uint8_t key[32] = { 0 };
	int err;

	le64_put(key, s * g->sector_bytes);
	le64_put(key + 16, s * g->sector_bytes);
	key[31] = 0x80;
	err = ndm_cipher_crypt(aes, true, NULL, key, key, sizeof key, 1);
	if (err)
		return err;
	if (encrypt) {
		mask(data, g->sector_bytes, key);
		diffuse_a(data, n, true);
		diffuse_b(data, n, true);
	} else {
		diffuse_b(data, n, false);
		diffuse_a(data, n, false);
		mask(data, g->sector_bytes, key);
	}
	ndm_secret_wipe(key, sizeof key);
	return 0;
}
