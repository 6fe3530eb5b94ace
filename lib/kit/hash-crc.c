/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash-crc.c - checksums that the kernel's crypto API offers as digests: crc32, crc32c, xxhash64.
 *
 * As digests they are little-endian.  crc32 begins with its seed (0) and ends as it is; crc32c
 * begins with its seed (all ones) and ends inverted; xxhash64's seed is 0.  "Setting the key"
 * sets the seed.  CRC32C is the processor's where it has it, else eight tables at a time.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

#define POLY_CRC32 0xedb88320u
#define POLY_CRC32C 0x82f63b78u

/* ---- crc ---- */

static void crc_table(uint32_t poly, uint32_t table[8][256])
{
	unsigned i, j;

	for (i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (j = 0; j < 8; j++)
			crc = crc >> 1 ^ (-(crc & 1) & poly);
		table[0][i] = crc;
	}
	for (i = 0; i < 256; i++)
		for (j = 1; j < 8; j++)
			table[j][i] = table[j - 1][i] >> 8 ^ table[0][table[j - 1][i] & 0xff];
}

static uint32_t crc_sliced(uint32_t (*const t)[256], uint32_t crc, const uint8_t *p, size_t bytes)
{
	for (; bytes >= 8; bytes -= 8, p += 8) {
		uint32_t low = le32_get(p) ^ crc, high = le32_get(p + 4);

		crc = t[7][low & 0xff] ^ t[6][low >> 8 & 0xff] ^ t[5][low >> 16 & 0xff] ^
		      t[4][low >> 24] ^ t[3][high & 0xff] ^ t[2][high >> 8 & 0xff] ^
		      t[1][high >> 16 & 0xff] ^ t[0][high >> 24];
	}
	while (bytes--)
		crc = crc >> 8 ^ t[0][(crc ^ *p++) & 0xff];
	return crc;
}

/* without a table, for a few bytes */
static uint32_t crc_bits(uint32_t poly, uint32_t crc, const uint8_t *p, size_t bytes)
{
	unsigned j;

	while (bytes--) {
		crc ^= *p++;
		for (j = 0; j < 8; j++)
			crc = crc >> 1 ^ (-(crc & 1) & poly);
	}
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2")))
static uint32_t crc32c_fast(uint32_t crc, const uint8_t *p, size_t bytes)
{
	uint64_t wide = crc, word;

	for (; bytes >= 8; bytes -= 8, p += 8) {
		memcpy(&word, p, 8);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = wide;
	while (bytes--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

static bool crc32c_have(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t crc32c_fast(uint32_t crc, const uint8_t *p, size_t bytes)
{
	return crc_bits(POLY_CRC32C, crc, p, bytes);
}

static bool crc32c_have(void)
{
	return false;
}
#endif

uint32_t ndm_crc32(uint32_t crc, const void *data, size_t bytes)
{
	return crc_bits(POLY_CRC32, crc, data, bytes);
}

uint32_t ndm_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	if (crc32c_have())
		return crc32c_fast(crc, data, bytes);
	return crc_bits(POLY_CRC32C, crc, data, bytes);
}

/* ---- xxhash64 (Collet; the 64-bit variant) ---- */

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull
#define P4 0x85ebca77c2b2ae63ull
#define P5 0x27d4eb2f165667c5ull

static uint64_t rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static uint64_t xxh_lane(uint64_t acc, uint64_t word)
{
	return rotate(acc + word * P2, 31) * P1;
}

static void xxh_block(uint64_t acc[4], const uint8_t *p)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		acc[i] = xxh_lane(acc[i], le64_get(p + 8 * i));
}

static void xxh_start(uint64_t acc[4], uint64_t seed)
{
	acc[0] = seed + P1 + P2;
	acc[1] = seed + P2;
	acc[2] = seed;
	acc[3] = seed - P1;
}

/* rest: what was left of the input after whole blocks of 32 bytes; total: all of it */
static uint64_t xxh_end(const uint64_t acc[4], uint64_t seed, uint64_t total, const uint8_t *rest,
			size_t bytes)
{
	uint64_t h = seed + P5;
	unsigned i;

	if (total >= 32) {
		h = rotate(acc[0], 1) + rotate(acc[1], 7) + rotate(acc[2], 12) + rotate(acc[3], 18);
		for (i = 0; i < 4; i++)
			h = (h ^ xxh_lane(0, acc[i])) * P1 + P4;
	}
	h += total;
	for (; bytes >= 8; bytes -= 8, rest += 8)
		h = rotate(h ^ xxh_lane(0, le64_get(rest)), 27) * P1 + P4;
	for (; bytes >= 4; bytes -= 4, rest += 4)
		h = rotate(h ^ le32_get(rest) * P1, 23) * P2 + P3;
	for (; bytes; bytes--, rest++)
		h = rotate(h ^ *rest * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}

uint64_t ndm_xxh64(uint64_t seed, const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint64_t acc[4], total = bytes;

	xxh_start(acc, seed);
	for (; bytes >= 32; bytes -= 32, p += 32)
		xxh_block(acc, p);
	return xxh_end(acc, seed, total, p, bytes);
}

/* ---- as a digest, piece by piece ---- */

struct ndm_checksum {
	enum ndm_checksum_kind kind;
	uint64_t seed, total;
	uint32_t crc;
	uint64_t acc[4];
	uint8_t rest[32];
	unsigned nrest;
	uint32_t table[8][256];		/* crc only */
};

struct ndm_checksum *ndm_checksum_new(enum ndm_checksum_kind kind)
{
	struct ndm_checksum *s = ndm_zalloc(sizeof *s);

	if (!s)
		return NULL;
	s->kind = kind;
	s->seed = kind == NDM_SUM_CRC32C ? 0xffffffff : 0;
	if (kind != NDM_SUM_XXH64)
		crc_table(kind == NDM_SUM_CRC32 ? POLY_CRC32 : POLY_CRC32C, s->table);
	return s;
}

void ndm_checksum_free(struct ndm_checksum *s)
{
	ndm_free(s);
}

int ndm_checksum_setkey(struct ndm_checksum *s, const void *key, size_t bytes)
{
	if (bytes != (s->kind == NDM_SUM_XXH64 ? 8 : 4))
		return -EINVAL;
	s->seed = bytes == 8 ? le64_get(key) : le32_get(key);
	return 0;
}

void ndm_checksum_begin(struct ndm_checksum *s)
{
	s->crc = s->seed;
	s->total = 0;
	s->nrest = 0;
	xxh_start(s->acc, s->seed);
}

static void xxh_update(struct ndm_checksum *s, const uint8_t *p, size_t bytes)
{
	s->total += bytes;
	while (bytes) {
		size_t now = sizeof s->rest - s->nrest;

		if (!s->nrest && bytes >= sizeof s->rest) {
			xxh_block(s->acc, p);
			now = sizeof s->rest;
		} else {
			now = now < bytes ? now : bytes;
			memcpy(s->rest + s->nrest, p, now);
			s->nrest += now;
			if (s->nrest == sizeof s->rest) {
				xxh_block(s->acc, s->rest);
				s->nrest = 0;
			}
		}
		p += now;
		bytes -= now;
	}
}

void ndm_checksum_update(struct ndm_checksum *s, const void *data, size_t bytes)
{
	if (s->kind == NDM_SUM_XXH64)
		xxh_update(s, data, bytes);
	else if (s->kind == NDM_SUM_CRC32C && crc32c_have())
		s->crc = crc32c_fast(s->crc, data, bytes);
	else
		s->crc = crc_sliced(s->table, s->crc, data, bytes);
}

void ndm_checksum_end(struct ndm_checksum *s, uint8_t *digest)
{
	switch (s->kind) {
	case NDM_SUM_CRC32:
		le32_put(digest, s->crc);
		break;
	case NDM_SUM_CRC32C:
		le32_put(digest, ~s->crc);
		break;
	case NDM_SUM_XXH64:
		le64_put(digest, xxh_end(s->acc, s->seed, s->total, s->rest, s->nrest));
		break;
	}
}
