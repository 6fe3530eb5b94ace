/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta-stamp.h - blocks of lib/meta's kind are made good, so that a fuzzer need not find checksums
 * and own numbers: of the type that the first byte of the checksum asks for.
 */
#ifndef NDM_FUZZ_META_STAMP_H
#define NDM_FUZZ_META_STAMP_H

#include <stdio.h>
#include <string.h>

#include "lib/kit/bytes.h"
#include "lib/kit/hash.h"

#define META_SECTORS 2048u			/* 256 blocks */

struct meta_super { uint32_t mask; uint64_t magic; };

static inline void meta_stamp(uint8_t *block, uint64_t nr, const struct meta_super *s)
{
	/* nodes, bitmaps, the index of the space map, arrays, and superblocks where they are held */
	const uint32_t masks[] = { 121107, 240779, 160478, 595846735, s->mask };
	bool array = nr && block[0] % 5 == 3;
	uint32_t mask = nr ? masks[block[0] % 5] : s->mask;

	le64_put(block + (array ? 16 : 8), nr);
	if (!nr)
		le64_put(block + 32, s->magic);
	le32_put(block, ndm_crc32c(UINT32_MAX, block + 4, 4092) ^ mask);
}

/* data[0] & 1: stamp; then blocks from block 0 on */
static inline void meta_take(uint8_t *meta, const uint8_t *data, size_t bytes, const struct meta_super *s)
{
	unsigned i;

	memset(meta, 0, META_SECTORS * 512);
	memcpy(meta, data + 1, bytes - 1 < META_SECTORS * 512 ? bytes - 1 : META_SECTORS * 512);
	for (i = 0; data[0] & 1 && i < META_SECTORS / 8; i++)
		meta_stamp(meta + i * 4096, i, s);
}

#endif
