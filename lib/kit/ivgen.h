/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ivgen.h - the IV modes of dm-crypt; inside of crypt.c.
 *
 * S, the sector's number for the IV, has the offset in it and counts 512-byte units, or sectors
 * with iv_large_sectors.
 */
#ifndef NDM_KIT_IVGEN_H
#define NDM_KIT_IVGEN_H

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

enum ivgen_mode {
	IV_NONE,		/* the cipher has no IV (ecb), or none was named */
	IV_PLAIN, IV_PLAIN64, IV_PLAIN64BE, IV_ESSIV, IV_BENBI, IV_NULL, IV_RANDOM, IV_EBOIV,
	/* these change the data as well, sector by sector */
	IV_ELEPHANT, IV_LMK, IV_TCW,
};

#define IVGEN_SEED_BYTES 64
#define TCW_WHITENING_BYTES 16
#define ELEPHANT_KEY_MAX 32

struct ivgen {
	enum ivgen_mode mode;
	unsigned iv_bytes, sector_bytes;
	unsigned benbi_shift;
	bool seeded;				/* lmk version 3 */
	uint8_t seed[IVGEN_SEED_BYTES];		/* lmk: hashed first; tcw: IV seed */
	uint8_t whitening[TCW_WHITENING_BYTES];
};

int ivgen_mode_parse(const char *name, enum ivgen_mode *);
static inline bool ivgen_touches_data(const struct ivgen *g)
{
	return g->mode >= IV_ELEPHANT;
}

/* IVs of n sectors, `step` apart; not for modes that touch the data, nor random */
void ivgen_fill(const struct ivgen *, uint64_t s, unsigned step, unsigned n, uint8_t *ivs);
/* the byte offset, as eboiv and elephant encrypt it */
void ivgen_offset(const struct ivgen *, uint64_t s, uint8_t *iv);

/* lmk: the IV of a sector with this plaintext (iv_bytes of it: 16) */
void ivgen_lmk(const struct ivgen *, uint64_t s, const uint8_t *plain, uint8_t iv[16]);
void ivgen_tcw(const struct ivgen *, uint64_t s, uint8_t *iv);
void ivgen_tcw_whiten(const struct ivgen *, uint64_t s, uint8_t *data);
/* aes: ecb under the sector key; in place */
int ivgen_elephant(const struct ivgen *, struct ndm_cipher *aes, uint64_t s, bool encrypt,
		   uint8_t *data);

#endif
