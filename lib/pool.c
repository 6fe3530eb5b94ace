/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - buffers for data: page-aligned, in powers of two, last in first out.
 *
 * The buffer given back last is handed out first, so it is warm in the cache.  Of each size a
 * bounded number is kept; buffers are private to a loop.
 */
#include <stdlib.h>

#include "core.h"

#define SMALLEST_SHIFT 12
#define KEEP_BYTES (4u << 20)			/* kept of each size, at most */

static unsigned buffer_class(size_t bytes)
{
	unsigned c = 0;

	while (((size_t)1 << (SMALLEST_SHIFT + c)) < bytes)
		c++;
	assert(c < NDM_BUFFER_CLASSES);
	return c;
}

void *ndm_buffer_get(struct ndm_loop *loop, size_t bytes)
{
	unsigned c = buffer_class(bytes);
	struct ndm_buffer *b = loop->buffers[c];
	void *fresh;

	if (b) {
		loop->buffers[c] = b->next;
		loop->nbuffers[c]--;
		return b;
	}
	if (ndm_alloc_hook && !ndm_alloc_hook(bytes))
		return NULL;
	if (posix_memalign(&fresh, 4096, (size_t)1 << (SMALLEST_SHIFT + c)))
		return NULL;
	return fresh;
}

void ndm_buffer_put(struct ndm_loop *loop, void *buffer, size_t bytes)
{
	unsigned c = buffer_class(bytes);
	struct ndm_buffer *b = buffer;

	if (!b)
		return;
	if (((size_t)loop->nbuffers[c] + 1) << (SMALLEST_SHIFT + c) > KEEP_BYTES) {
		free(b);
		return;
	}
	b->next = loop->buffers[c];
	loop->buffers[c] = b;
	loop->nbuffers[c]++;
}

void loop_pools_free(struct ndm_loop *loop)
{
	struct ndm_bio_slot *slot;
	struct ndm_buffer *b;
	unsigned c;

	while ((slot = loop->free_bios)) {
		loop->free_bios = (struct ndm_bio_slot *)slot->bio.next;
		free(slot);
	}
	for (c = 0; c < NDM_BUFFER_CLASSES; c++)
		while ((b = loop->buffers[c])) {
			loop->buffers[c] = b->next;
			free(b);
		}
}
