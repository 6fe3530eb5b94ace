/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.c - exception stores: transient (N) here, persistent (P) behind pstore_*.
 *
 * Of the type only the first letter counts, in either case, and behind a P the letter O:
 * `None` is N, `PO` is a P whose user watches for overflow, `PX` is refused.
 */
#include "snapshot.h"

#define CHUNK_SECTORS_MAX ((uint64_t)INT32_MAX >> NDM_SECTOR_SHIFT)

static bool multiple_of_blocks(const struct ndm_dev *d, uint64_t chunk)
{
	return chunk % (d->store->limits.logical_block_bytes / NDM_SECTOR_BYTES) == 0;
}

/* NULL when the chunk size will do */
const char *chunk_size_bad(const struct ndm_dev *origin, const struct ndm_dev *cow, uint64_t chunk)
{
	if (chunk & (chunk - 1))
		return "Chunk size is not a power of 2";
	if (!multiple_of_blocks(cow, chunk) || !multiple_of_blocks(origin, chunk))
		return "Chunk size is not a multiple of device blocksize";
	if (chunk > CHUNK_SECTORS_MAX)
		return "Chunk size is too high";
	return NULL;
}

static int store_type(const char *text, struct store *s)
{
	char first = text[0] & ~0x20, second = text[0] ? text[1] & ~0x20 : 0;

	if (first == 'N') {
		s->type = 'N';
		return 0;
	}
	if (first != 'P')
		return -EINVAL;
	s->type = 'P';
	if (second == 'O')
		s->overflow = true;
	else if (second)
		return -EINVAL;
	return 0;
}

int store_create(struct ndm_target *ti, struct ndm_dev *origin, struct ndm_dev *cow,
		 const char *type, const char *chunk, struct store *s)
{
	const char *refused = "Couldn't create exception store";
	const char *bad;
	unsigned n;

	s->loop = ti->loop;
	s->cow = cow;
	if (store_type(type, s))
		return ndm_error(ti, -EINVAL, "%s: Exception store type is not P or N: '%s'",
				 refused, type);
	if (ndm_arg_uint(chunk, &n))
		return ndm_error(ti, -EINVAL, "%s: Invalid chunk size: '%s'", refused, chunk);
	bad = n ? chunk_size_bad(origin, cow, n) : NULL;
	if (bad)
		return ndm_error(ti, -EINVAL, "%s: %s: %u", refused, bad, n);
	s->chunk_sectors = n;
	return s->type == 'P' ? pstore_new(s) : 0;
}

void store_free(struct store *s)
{
	if (s->p)
		pstore_free(s->p);
	s->p = NULL;
}

int store_allocate(struct store *s, uint64_t *new_chunk)
{
	uint64_t room = s->cow->store->nr / s->chunk_sectors;

	if (s->next_free >= room)
		return -ENOSPC;
	*new_chunk = s->next_free++;
	if (s->p)
		pstore_promise(s);
	return 0;
}

int store_commit(struct store *s, uint64_t old_chunk, uint64_t new_chunk, bool good)
{
	if (s->p)
		return pstore_commit(s, old_chunk, new_chunk, good);
	return good ? 0 : -EIO;
}

int store_invalidate(struct store *s)
{
	return s->p ? pstore_invalidate(s) : 0;
}

void store_usage(const struct store *s, uint64_t *allocated, uint64_t *total, uint64_t *metadata)
{
	*allocated = s->next_free * s->chunk_sectors;
	*total = s->cow->store->nr;
	*metadata = s->p ? pstore_metadata_chunks(s) * s->chunk_sectors : 0;
}
