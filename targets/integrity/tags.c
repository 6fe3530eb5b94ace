/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tags.c - the tags of the device in memory, in buffers of a power of 2 of sectors.
 *
 * Offsets count bytes from the first tag of the device.  What has been changed is written when
 * somebody flushes, or when there is no room for more; only the sectors that were touched are,
 * and neighbours together.  A buffer may be changed again while it is being written: what is
 * written is a copy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define CACHE_BYTES (32u << 20)
#define CACHE_LEAST 16u
#define WRITE_BYTES (256u << 10)		/* at most, at once */

struct tag_buffer {
	uint64_t index;
	bool reading;
	unsigned pins;
	uint32_t dirty_first, dirty_end;	/* sectors of it; equal when it is clean */
	struct tag_buffer *same_bucket, *newer, *older;
	_Alignas(16) uint8_t bytes[];
};

static size_t buffer_bytes(const struct integrity *ic)
{
	return (size_t)NDM_SECTOR_BYTES << ic->tags.log2_sectors;
}

static uint64_t buffer_sector(const struct integrity *ic, uint64_t index)
{
	return ic->l.start + ic->l.initial + (index << ic->tags.log2_sectors);
}

static bool is_dirty(const struct tag_buffer *b)
{
	return b->dirty_first < b->dirty_end;
}

/* ---- the list and the buckets ---- */

static struct tag_buffer **bucket_of(struct integrity_tags *t, uint64_t index)
{
	return &t->buckets[index * 0x9e3779b97f4a7c15ull >> 32 & (t->nbuckets - 1)];
}

static struct tag_buffer *buffer_find(struct integrity_tags *t, uint64_t index)
{
	struct tag_buffer *b = *bucket_of(t, index);

	while (b && b->index != index)
		b = b->same_bucket;
	return b;
}

static void list_remove(struct integrity_tags *t, struct tag_buffer *b)
{
	*(b->newer ? &b->newer->older : &t->newest) = b->older;
	*(b->older ? &b->older->newer : &t->oldest) = b->newer;
}

static void list_add(struct integrity_tags *t, struct tag_buffer *b)
{
	b->newer = NULL;
	b->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = b;
	t->newest = b;
}

static void buffer_remove(struct integrity_tags *t, struct tag_buffer *b)
{
	struct tag_buffer **p = bucket_of(t, b->index);

	while (*p != b)
		p = &(*p)->same_bucket;
	*p = b->same_bucket;
	list_remove(t, b);
	t->n--;
	ndm_free(b);
}

static void cache_shrink(struct integrity_tags *t, unsigned most)
{
	struct tag_buffer *b, *newer;

	for (b = t->oldest; b && t->n > most; b = newer) {
		newer = b->newer;
		if (!b->pins && !b->reading && !is_dirty(b))
			buffer_remove(t, b);
	}
}

int integrity_tags_init(struct integrity *ic)
{
	struct integrity_tags *t = &ic->tags;

	t->log2_sectors = ic->l.log2_buffer;
	if (!ic->l.separate && t->log2_sectors > ic->l.super.log2_interleave)
		t->log2_sectors = ic->l.super.log2_interleave;	/* or areas would not begin with one */
	t->most = CACHE_BYTES / buffer_bytes(ic);
	if (t->most < CACHE_LEAST)
		t->most = CACHE_LEAST;
	for (t->nbuckets = 64; t->nbuckets < t->most; t->nbuckets *= 2)
		;
	t->buckets = ndm_calloc(t->nbuckets, sizeof *t->buckets);
	ndm_waitq_init(&t->read, ic->ti->loop);
	ndm_mutex_init(&t->flush, ic->ti->loop);
	return t->buckets ? 0 : -ENOMEM;
}

void integrity_tags_free(struct integrity *ic)
{
	while (ic->tags.newest)
		buffer_remove(&ic->tags, ic->tags.newest);
	ndm_free(ic->tags.buckets);
}

/* ---- reading ---- */

/* The last buffer of all may reach beyond the device. */
static uint64_t sectors_there(const struct integrity *ic, uint64_t index)
{
	uint64_t at = buffer_sector(ic, index), n = 1ull << ic->tags.log2_sectors;
	uint64_t size = ic->meta->store->nr;

	return at >= size ? 0 : n < size - at ? n : size - at;
}

static int buffer_load(struct integrity *ic, uint64_t index, struct tag_buffer **out)
{
	struct integrity_tags *t = &ic->tags;
	struct tag_buffer *b = ndm_zalloc(sizeof *b + buffer_bytes(ic));
	int err;

	if (!b)
		return -ENOMEM;
	b->index = index;
	b->pins = 1;
	b->reading = true;
	b->same_bucket = *bucket_of(t, index);
	*bucket_of(t, index) = b;
	list_add(t, b);
	t->n++;
	err = ndm_rw(ic->meta->store, NDM_READ, NDM_META, buffer_sector(ic, index),
		     sectors_there(ic, index), b->bytes);
	b->reading = false;
	ndm_wake_all(&t->read);
	if (err) {
		b->pins = 0;
		buffer_remove(t, b);
		return err;
	}
	*out = b;
	return 0;
}

/* The buffer, pinned. */
static int buffer_get(struct integrity *ic, uint64_t index, struct tag_buffer **out)
{
	struct integrity_tags *t = &ic->tags;
	struct tag_buffer *b;
	int err;

	while ((b = buffer_find(t, index))) {
		if (!b->reading) {
			b->pins++;
			if (t->newest != b) {
				list_remove(t, b);
				list_add(t, b);
			}
			*out = b;
			return 0;
		}
		ndm_wait(&t->read);
	}
	if (t->n >= t->most) {
		cache_shrink(t, t->most - 1);
		if (t->n >= t->most && t->ndirty) {
			err = integrity_tags_flush(ic);
			if (err)
				return err;
			cache_shrink(t, t->most - 1);
			if (buffer_find(t, index))
				return buffer_get(ic, index, out);
		}
	}
	return buffer_load(ic, index, out);
}

static void buffer_change(struct integrity *ic, struct tag_buffer *b, size_t at,
			  const uint8_t *bytes, size_t n)
{
	uint32_t first = at >> NDM_SECTOR_SHIFT, end = (at + n - 1) / NDM_SECTOR_BYTES + 1;

	if (!memcmp(b->bytes + at, bytes, n))
		return;
	memcpy(b->bytes + at, bytes, n);
	if (!is_dirty(b)) {
		ic->tags.ndirty++;
		b->dirty_first = first;
		b->dirty_end = end;
		return;
	}
	if (b->dirty_first > first)
		b->dirty_first = first;
	if (b->dirty_end < end)
		b->dirty_end = end;
}

static int tags_move(struct integrity *ic, uint64_t sector, uint64_t nr, uint8_t *to,
		     const uint8_t *from)
{
	uint64_t at = ndm_integrity_tag_offset(&ic->l, sector);
	size_t left = nr / ic->block_sectors * ic->tag_bytes, size = buffer_bytes(ic);
	struct tag_buffer *b;
	int err = ic->failed;

	while (!err && left) {
		size_t into = at & (size - 1), n = size - into < left ? size - into : left;

		err = buffer_get(ic, at / size, &b);
		if (err)
			break;
		if (to) {
			memcpy(to, b->bytes + into, n);
			to += n;
		} else {
			buffer_change(ic, b, into, from, n);
			from += n;
		}
		b->pins--;
		at += n;
		left -= n;
	}
	return err;
}

int integrity_tags_read(struct integrity *ic, uint64_t sector, uint64_t nr, uint8_t *to)
{
	return tags_move(ic, sector, nr, to, NULL);
}

int integrity_tags_write(struct integrity *ic, uint64_t sector, uint64_t nr, const uint8_t *from)
{
	return tags_move(ic, sector, nr, NULL, from);
}

/* ---- writing ---- */

struct dirty { uint64_t sector; uint32_t nr; struct tag_buffer *buffer; };

static int dirty_order(const void *a, const void *b)
{
	const struct dirty *x = a, *y = b;

	return x->sector < y->sector ? -1 : x->sector > y->sector;
}

/* What is dirty now, in order; those buffers are pinned. */
static unsigned dirty_collect(struct integrity *ic, struct dirty *list)
{
	struct tag_buffer *b;
	unsigned n = 0;

	for (b = ic->tags.newest; b; b = b->older) {
		if (!is_dirty(b))
			continue;
		list[n++] = (struct dirty){ .sector = buffer_sector(ic, b->index) + b->dirty_first,
					    .nr = b->dirty_end - b->dirty_first, .buffer = b };
		b->pins++;
	}
	qsort(list, n, sizeof *list, dirty_order);
	return n;
}

/* Copies out what is to be written of a buffer, which is clean from then on. */
static void dirty_take(struct integrity *ic, struct dirty *d, uint8_t *to)
{
	struct tag_buffer *b = d->buffer;

	memcpy(to, b->bytes + (size_t)b->dirty_first * NDM_SECTOR_BYTES,
	       (size_t)d->nr * NDM_SECTOR_BYTES);
	b->dirty_first = b->dirty_end = 0;
	ic->tags.ndirty--;
}

static void dirty_again(struct integrity *ic, const struct dirty *d)
{
	struct tag_buffer *b = d->buffer;
	uint32_t first = d->sector - buffer_sector(ic, b->index);

	if (!is_dirty(b)) {
		ic->tags.ndirty++;
		b->dirty_first = first;
		b->dirty_end = first + d->nr;
		return;
	}
	if (b->dirty_first > first)
		b->dirty_first = first;
	if (b->dirty_end < first + d->nr)
		b->dirty_end = first + d->nr;
}

/* Neighbours from list[0] on, in one write; *taken is how many. */
static int run_write(struct integrity *ic, struct dirty *list, unsigned n, unsigned *taken)
{
	uint64_t sectors = 0, most = WRITE_BYTES >> NDM_SECTOR_SHIFT;
	uint8_t *bytes;
	unsigned i;
	int err;

	for (i = 0; i < n; i++) {
		struct dirty *d = &list[i];

		/* it may have grown since it was collected */
		d->sector = buffer_sector(ic, d->buffer->index) + d->buffer->dirty_first;
		d->nr = d->buffer->dirty_end - d->buffer->dirty_first;
		if (i && (d->sector != list[0].sector + sectors || sectors + d->nr > most))
			break;
		sectors += d->nr;
	}
	*taken = i;
	bytes = ndm_buffer_get(ic->ti->loop, sectors << NDM_SECTOR_SHIFT);
	if (!bytes)
		return -ENOMEM;
	for (i = 0; i < *taken; i++)
		dirty_take(ic, &list[i], bytes + ((list[i].sector - list[0].sector) <<
						  NDM_SECTOR_SHIFT));
	err = ndm_rw(ic->meta->store, NDM_WRITE, NDM_META, list[0].sector, sectors, bytes);
	for (i = 0; i < *taken && err; i++)
		dirty_again(ic, &list[i]);
	ndm_buffer_put(ic->ti->loop, bytes, sectors << NDM_SECTOR_SHIFT);
	return err;
}

int integrity_tags_flush(struct integrity *ic)
{
	struct dirty *list;
	unsigned n, i, taken;
	int err = 0, each;

	ndm_lock(&ic->tags.flush);
	list = ndm_calloc(ic->tags.ndirty + 1, sizeof *list);
	n = list ? dirty_collect(ic, list) : 0;
	err = list ? 0 : -ENOMEM;
	for (i = 0; i < n; i += taken) {
		each = run_write(ic, list + i, n - i, &taken);
		err = err ? err : each;
	}
	for (i = 0; i < n; i++)
		list[i].buffer->pins--;
	ndm_free(list);
	ndm_unlock(&ic->tags.flush);
	return err;
}
