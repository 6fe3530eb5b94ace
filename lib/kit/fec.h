/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fec.h - Reed-Solomon over GF(2^8): codewords of 255 bytes, the last `roots` of them parity.
 *
 * Polynomial 0x11d, first root a^0, generator (x - a^0)...(x - a^(roots-1)); the first byte of a
 * codeword is the coefficient of the highest power.  No I/O; objects are read-only once made.
 */
#ifndef NDM_KIT_FEC_H
#define NDM_KIT_FEC_H

#include <stddef.h>
#include <stdint.h>

#define NDM_RS_BYTES 255
#define NDM_RS_ROOTS_MAX 24

struct ndm_rs {
	unsigned roots;
	uint8_t exp[2 * NDM_RS_BYTES], log[256];
	uint8_t times[NDM_RS_ROOTS_MAX][256];	/* by a^j */
	uint8_t feedback[256][NDM_RS_ROOTS_MAX];	/* times the generator, highest power first */
};						/* 13 KiB: not for a task's stack */

void ndm_rs_init(struct ndm_rs *, unsigned roots);	/* 1..24 */
/* message: 255 - roots bytes */
void ndm_rs_encode(const struct ndm_rs *, const uint8_t *message, uint8_t *parity);
/*
 * Corrects a codeword in place.  erasures: indexes of bytes known to be wrong, `roots` at most.
 * Returns how many bytes it changed, or -EBADMSG when there are too many errors.
 */
int ndm_rs_decode(const struct ndm_rs *, uint8_t codeword[NDM_RS_BYTES], const uint8_t *erasures,
		  unsigned nerasures);

#endif
