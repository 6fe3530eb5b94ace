/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ivgen.c - IVs that only depend on the sector's number; tcw's, which is seeded as well.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/ivgen.h"

int ivgen_mode_parse(const char *name, enum ivgen_mode *mode)
{
	static const struct { const char *name; enum ivgen_mode mode; } modes[] = {
		{ "plain", IV_PLAIN }, { "plain64", IV_PLAIN64 }, { "plain64be", IV_PLAIN64BE },
		{ "essiv", IV_ESSIV }, { "benbi", IV_BENBI }, { "null", IV_NULL },
		{ "eboiv", IV_EBOIV }, { "elephant", IV_ELEPHANT }, { "lmk", IV_LMK },
		{ "tcw", IV_TCW }, { "random", IV_RANDOM },
	};
	unsigned i;

	for (i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(modes[i].name, name)) {
			*mode = modes[i].mode;
			return 0;
		}
	return -EINVAL;
}

/* An IV of less than 8 bytes (cipher_null's) is the begin of one of 8. */
static void fill_short(const struct ivgen *g, uint64_t s, unsigned step, unsigned n, uint8_t *iv)
{
	struct ivgen wide = { .mode = g->mode, .iv_bytes = 8, .sector_bytes = g->sector_bytes,
			      .benbi_shift = g->benbi_shift };
	uint8_t one[8];

	for (; n; n--, s += step, iv += g->iv_bytes) {
		ivgen_fill(&wide, s, step, 1, one);
		memcpy(iv, one, g->iv_bytes);
	}
}

void ivgen_fill(const struct ivgen *g, uint64_t s, unsigned step, unsigned n, uint8_t *iv)
{
	const unsigned bytes = g->iv_bytes;

	if (bytes && bytes < 8) {
		fill_short(g, s, step, n, iv);
		return;
	}
	memset(iv, 0, (size_t)n * bytes);
	if (!bytes)
		return;
	for (; n; n--, s += step, iv += bytes) {
		switch (g->mode) {
		case IV_PLAIN:
			le32_put(iv, s);
			break;
		case IV_PLAIN64:
		case IV_ESSIV:			/* essiv(...) encrypts it */
			le64_put(iv, s);
			break;
		case IV_PLAIN64BE:
			be64_put(iv + bytes - 8, s);
			break;
		case IV_BENBI:
			be64_put(iv + bytes - 8, (s << g->benbi_shift) + 1);
			break;
		case IV_EBOIV:
			le64_put(iv, s * g->sector_bytes);
			break;
		default:
			break;
		}
	}
}

void ivgen_offset(const struct ivgen *g, uint64_t s, uint8_t *iv)
{
	memset(iv, 0, g->iv_bytes);
	le64_put(iv, s * g->sector_bytes);
}

/* ---- tcw: TrueCrypt before 4.1 ---- */

void ivgen_tcw(const struct ivgen *g, uint64_t s, uint8_t *iv)
{
	uint8_t number[8];
	unsigned i;

	le64_put(number, s);
	for (i = 0; i < g->iv_bytes; i++)
		iv[i] = g->seed[i] ^ number[i % 8];
}

void ivgen_tcw_whiten(const struct ivgen *g, uint64_t s, uint8_t *data)
{
	uint8_t mask[TCW_WHITENING_BYTES], number[8];
	uint64_t word, m;
	unsigned i;

	le64_put(number, s);
	for (i = 0; i < sizeof mask; i++)
		mask[i] = g->whitening[i] ^ number[i % 8];
	for (i = 0; i < sizeof mask; i += 4)
		le32_put(mask + i, ndm_crc32(0, mask + i, 4));
	for (i = 0; i < 4; i++) {
		mask[i] ^= mask[12 + i];
		mask[4 + i] ^= mask[8 + i];
	}
	memcpy(&m, mask, 8);
	for (i = 0; i < g->sector_bytes; i += 8) {
		memcpy(&word, data + i, 8);
		word ^= m;
		memcpy(data + i, &word, 8);
	}
	ndm_secret_wipe(mask, sizeof mask);
}
