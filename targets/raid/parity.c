/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parity.c - P, the exclusive or, and Q, the sum of g^k D_k in GF(2^8) with the polynomial 0x11d
 * and g = 2; and data got back from them.
 *
 * Q is evaluated from the highest power down (multiply by g, add), which is shifts and ands of
 * whole vectors; the compiler does the rest.  Only the recovery of lost data multiplies by other
 * numbers than g, byte by byte with a table.
 */
#include "raid.h"

typedef uint8_t vec __attribute__((vector_size(16), aligned(1), may_alias));

void raid_xor(void *to, const void *from, size_t bytes)
{
	vec *t = to;
	const vec *f = from;
	size_t i;

	for (i = 0; i < bytes / sizeof(vec); i++)
		t[i] ^= f[i];
}

static inline vec twice(vec v)
{
	typedef int8_t svec __attribute__((vector_size(16)));

	return (v + v) ^ ((vec)((svec)v < 0) & 0x1d);
}

/* in blocks that stay in the cache, whatever the number of disks */
#define BLOCK 1024u

#define NONE UINT32_MAX

/* data without two of them */
struct blocks { unsigned n; void *const *data; const uint8_t *power; unsigned no, nor; };

static const uint8_t *block_at(const struct blocks *b, unsigned i, size_t at)
{
	return i == b->no || i == b->nor || !b->data[i] ? NULL : (const uint8_t *)b->data[i] + at;
}

static void q_block(const struct blocks *b, size_t at, uint8_t *q, size_t bytes)
{
	int16_t have[256];
	int k, top = -1;
	unsigned i;
	size_t j;

	memset(have, -1, sizeof have);
	for (i = 0; i < b->n; i++)
		if (block_at(b, i, at)) {
			have[b->power[i]] = (int16_t)i;
			top = b->power[i] > top ? b->power[i] : top;
		}
	memset(q, 0, bytes);
	for (k = top; k >= 0; k--) {
		const uint8_t *d = have[k] < 0 ? NULL : block_at(b, (unsigned)have[k], at);

		for (j = 0; j < bytes; j += sizeof(vec)) {
			vec *t = (vec *)(q + j);

			*t = twice(*t);
			if (d)
				*t ^= *(const vec *)(d + j);
		}
	}
}

static void make(const struct blocks *b, uint8_t *p, uint8_t *q, size_t bytes)
{
	size_t at, len;
	unsigned i;

	for (at = 0; at < bytes; at += len) {
		len = bytes - at < BLOCK ? bytes - at : BLOCK;
		if (p)
			memset(p + at, 0, len);
		for (i = 0; p && i < b->n; i++)
			if (block_at(b, i, at))
				raid_xor(p + at, block_at(b, i, at), len);
		if (q)
			q_block(b, at, q + at, len);
	}
}

void raid_parity_make(unsigned n, void *const *data, const uint8_t *power, void *p, void *q,
		      size_t bytes)
{
	const struct blocks b = { n, data, power, NONE, NONE };

	make(&b, p, q, bytes);
}

void raid_parity_add(unsigned n, void *const *delta, const uint8_t *power, void *p, void *q,
		     size_t bytes)
{
	const struct blocks b = { n, delta, power, NONE, NONE };
	uint8_t sum[BLOCK];
	size_t at, len;
	unsigned i;

	for (at = 0; at < bytes; at += len) {
		len = bytes - at < sizeof sum ? bytes - at : sizeof sum;
		for (i = 0; p && i < n; i++)
			if (block_at(&b, i, at))
				raid_xor((uint8_t *)p + at, block_at(&b, i, at), len);
		if (!q)
			continue;
		q_block(&b, at, sum, len);
		raid_xor((uint8_t *)q + at, sum, len);
	}
}

/* ---- getting data back ---- */

static uint8_t gf_mul(uint8_t a, uint8_t b)
{
	uint8_t r = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			r ^= a;
		a = (uint8_t)(a << 1) ^ (a & 0x80 ? 0x1d : 0);
	}
	return r;
}

static uint8_t gf_power(unsigned k)
{
	uint8_t r = 1;

	while (k--)
		r = gf_mul(r, 2);
	return r;
}

static uint8_t gf_inverse(uint8_t a)
{
	uint8_t r = 1;
	unsigned i;

	for (i = 0; i < 254; i++)		/* a^254 */
		r = gf_mul(r, a);
	return r;
}

static void mul_block(uint8_t *to, const uint8_t *from, uint8_t by, bool add, size_t bytes)
{
	uint8_t table[256];
	unsigned i;
	size_t j;

	for (i = 0; i < 256; i++)
		table[i] = gf_mul((uint8_t)i, by);
	for (j = 0; j < bytes; j++)
		to[j] = table[from[j]] ^ (add ? to[j] : 0);
}

int raid_parity_recover(unsigned n, void *const *data, const uint8_t *power, const unsigned *lost,
			unsigned nlost, const void *p, const void *q, void *tmp, size_t bytes)
{
	uint8_t *ps = tmp, *qs = (uint8_t *)tmp + bytes, *x, *y, gx, gy, f;
	struct blocks rest = { n, data, power, nlost ? lost[0] : NONE, nlost == 2 ? lost[1] : NONE };

	if (!nlost)
		return 0;
	if (nlost > 2 || (nlost == 2 && (!p || !q)) || (!p && !q))
		return -EIO;
	x = data[lost[0]];
	if (nlost == 1 && p) {
		make(&rest, x, NULL, bytes);
		raid_xor(x, p, bytes);
		return 0;
	}
	make(&rest, nlost == 2 ? ps : NULL, qs, bytes);
	raid_xor(qs, q, bytes);
	gx = gf_power(power[lost[0]]);
	if (nlost == 1) {			/* Q = g^x Dx + others */
		mul_block(x, qs, gf_inverse(gx), false, bytes);
		return 0;
	}
	/* ps = Dx + Dy, qs = g^x Dx + g^y Dy: Dx = (qs + g^y ps) / (g^x + g^y) */
	raid_xor(ps, p, bytes);
	gy = gf_power(power[lost[1]]);
	f = gf_inverse(gx ^ gy);
	mul_block(x, qs, f, false, bytes);
	mul_block(x, ps, gf_mul(gy, f), true, bytes);
	y = data[lost[1]];
	memcpy(y, x, bytes);
	raid_xor(y, ps, bytes);
	return 0;
}
