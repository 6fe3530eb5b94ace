/* SPDX-License-Identifier: BSD-2-Clause */
/* same.h - sectors that are all of one byte: writing them, and seeing that they are there. */
#ifndef NDM_TESTS_SAME_H
#define NDM_TESTS_SAME_H

#include <stdio.h>

#include "box.h"

#define BS 512u
#define SAME_MAX 2048u				/* sectors at once */

static uint8_t same_buf[SAME_MAX * BS], same_want[SAME_MAX * BS];

static inline int put(struct ndm_store *s, uint64_t sector, unsigned nr, uint8_t byte, unsigned flags)
{
	memset(same_buf, byte, nr * BS);
	return ndm_rw(s, NDM_WRITE, flags, sector, nr, same_buf);
}

static inline void see(struct ndm_store *s, uint64_t sector, unsigned nr, uint8_t byte)
{
	assert_int_equal(ndm_rw(s, NDM_READ, 0, sector, nr, same_buf), 0);
	memset(same_want, byte, nr * BS);
	assert_memory_equal(same_buf, same_want, nr * BS);
}

/* the same of a disk, past everybody */
static inline void lies(struct box_disk *d, uint64_t sector, unsigned nr, uint8_t byte)
{
	memset(same_want, byte, nr * BS);
	assert_memory_equal(d->bytes + sector * BS, same_want, nr * BS);
}

static inline void fill(struct box_disk *d, uint8_t byte)
{
	memset(d->bytes, byte, d->nr * BS);
}

/* what was asked in that order, whatever lies between; each ends at a blank or a comma */
static inline void in_order(const char *log, const char *const *words)
{
	const char *at = log;

	for (; *words; words++) {
		at = strstr(at, *words);
		if (!at)
			fail_msg("no '%s' where it should be in: %s", *words, log);
		at += strlen(*words);
	}
}

#endif
