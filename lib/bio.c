/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bio.c - requests: submission, completion, slices, windows on data.
 *
 * Bios made by the core come from the loop's freelist and carry NDM_PER_BIO_MAX bytes for the
 * target that holds them; bios embedded in a host's own request are never put there.
 */
#include <stdlib.h>

#include "core.h"

/* ---- FUA to a store that does not know it: WRITE, then FLUSH ---- */

static void fua_flushed(struct ndm_bio *flush)
{
	struct ndm_bio *bio = flush->owner;
	int err = flush->error;

	ndm_bio_put(flush->store->loop, flush);
	ndm_end(bio, err);
}

static void fua_written(struct ndm_bio *b)
{
	if (b->error) {
		fua_flushed(b);
		return;
	}
	b->op = NDM_FLUSH;
	b->sector = b->nr = 0;
	b->data = (struct ndm_data){ 0 };
	b->done = fua_flushed;
	ndm_submit(b);
}

static void store_submit(struct ndm_bio *bio)
{
	struct ndm_bio *plain;

	if (bio->source && !bio->store->ops->takes_sources) {
		ndm_end(bio, -EOPNOTSUPP);
		return;
	}
	if (!(bio->flags & NDM_FUA) || bio->store->limits.fua) {
		bio->store->ops->submit(bio->store, bio);
		return;
	}
	plain = ndm_clone(bio->store->loop, bio, 0, bio->nr);
	plain->flags &= ~NDM_FUA;
	plain->store = bio->store;
	plain->done = fua_written;
	plain->owner = bio;
	plain->store->ops->submit(plain->store, plain);
}

void ndm_submit(struct ndm_bio *bio)
{
	struct ndm_loop *loop = bio->store->loop;

	if (loop->submitting) {			/* deeper levels wait here: the C stack stays flat */
		bio->next = NULL;
		if (loop->submit_head)
			loop->submit_tail->next = bio;
		else
			loop->submit_head = bio;
		loop->submit_tail = bio;
		return;
	}
	loop->submitting = true;
	store_submit(bio);
	while ((bio = loop->submit_head)) {
		loop->submit_head = bio->next;
		store_submit(bio);
	}
	loop->submitting = false;
}

void ndm_end(struct ndm_bio *bio, int error)
{
	if (error && !bio->error)
		bio->error = error;
	bio->done(bio);
}

void ndm_end_part(struct ndm_bio *bio, int error)
{
	if (error && !bio->error)
		bio->error = error;
	if (--bio->pending == 0)
		ndm_end(bio, 0);
}

static struct ndm_bio *slot_take(struct ndm_loop *loop)
{
	struct ndm_bio_slot *slot = loop->free_bios;

	if (slot) {
		loop->free_bios = (struct ndm_bio_slot *)slot->bio.next;
	} else {
		slot = malloc(sizeof *slot);
		if (!slot)
			abort();		/* 400 bytes: nothing could be saved any more */
	}
	loop->nbios++;
	return &slot->bio;
}

struct ndm_bio *ndm_bio_get(struct ndm_loop *loop)
{
	struct ndm_bio *bio = slot_take(loop);

	memset(bio, 0, sizeof *bio);
	return bio;
}

void ndm_bio_put(struct ndm_loop *loop, struct ndm_bio *bio)
{
	struct ndm_bio_slot *slot = (struct ndm_bio_slot *)bio;

	assert(loop->nbios);
	loop->nbios--;
	slot->bio.next = (struct ndm_bio *)loop->free_bios;
	loop->free_bios = slot;
}

void *ndm_per_bio(struct ndm_bio *bio)
{
	return ((struct ndm_bio_slot *)bio)->per_bio;
}

/*
 * Every layer makes one of each request, and a memset of this size (GCC makes it `rep stos`) was a
 * quarter of what a layer cost: each member is set here, one by one.
 */
struct ndm_bio *ndm_clone(struct ndm_loop *loop, const struct ndm_bio *from, uint64_t skip,
			  uint64_t nr)
{
	struct ndm_bio *b = slot_take(loop);

	b->op = from->op;
	b->copy = 0;
	b->flags = from->flags;
	b->error = 0;
	b->store = NULL;
	b->sector = from->sector + skip;
	b->nr = nr;
	b->data = from->data;
	b->data.skip += skip * NDM_SECTOR_BYTES;
	b->tags = from->tags;
	if (from->tags.bytes)
		b->tags.bytes += skip / b->tags.sectors * b->tags.each;
	b->loan = NULL;
	b->source = NULL;
	b->share = from->share;
	b->extents = from->extents;
	b->origin = from->origin + skip;
	b->done = NULL;
	b->owner = NULL;
	b->next = NULL;
	b->target = NULL;
	b->parent = NULL;
	b->device_sector = 0;
	b->pending = 0;
	b->held = 0;
	b->folded = 0;
	b->stats_merged = false;
	b->start_ns = b->stats_ns = 0;
	return b;
}

/* ---- windows ---- */

struct ndm_data ndm_data_skip(struct ndm_data d, size_t bytes)
{
	d.skip += bytes;
	while (d.iovcnt && d.skip >= d.iov->iov_len) {
		d.skip -= d.iov->iov_len;
		d.iov++;
		d.iovcnt--;
	}
	return d;
}

unsigned ndm_data_iov(const struct ndm_data *data, size_t bytes, struct iovec *out, unsigned max,
		      size_t *done_bytes)
{
	struct ndm_data d = ndm_data_skip(*data, 0);
	unsigned n = 0;
	size_t done = 0;

	while (n < max && done < bytes && d.iovcnt) {
		size_t len = d.iov->iov_len - d.skip;

		if (len > bytes - done)
			len = bytes - done;
		out[n].iov_base = (char *)d.iov->iov_base + d.skip;
		out[n++].iov_len = len;
		done += len;
		d = ndm_data_skip(d, len);
	}
	if (done_bytes)
		*done_bytes = done;
	return n;
}

void ndm_data_from(const struct ndm_data *data, size_t bytes, void *to)
{
	struct ndm_data d = ndm_data_skip(*data, 0);
	struct iovec v;
	size_t len;

	for (; bytes && ndm_data_iov(&d, bytes, &v, 1, &len); bytes -= len) {
		memcpy(to, v.iov_base, len);
		to = (char *)to + len;
		d = ndm_data_skip(d, len);
	}
}

void ndm_data_to(const struct ndm_data *data, size_t bytes, const void *from)
{
	struct ndm_data d = ndm_data_skip(*data, 0);
	struct iovec v;
	size_t len;

	for (; bytes && ndm_data_iov(&d, bytes, &v, 1, &len); bytes -= len) {
		memcpy(v.iov_base, from, len);
		from = (const char *)from + len;
		d = ndm_data_skip(d, len);
	}
}

void ndm_data_zero(const struct ndm_data *data, size_t bytes)
{
	struct ndm_data d = ndm_data_skip(*data, 0);
	struct iovec v;
	size_t len;

	for (; bytes && ndm_data_iov(&d, bytes, &v, 1, &len); bytes -= len) {
		memset(v.iov_base, 0, len);
		d = ndm_data_skip(d, len);
	}
}

void *ndm_data_flat(const struct ndm_data *data, size_t bytes)
{
	struct ndm_data d = ndm_data_skip(*data, 0);

	if (!d.iovcnt || d.iov->iov_len - d.skip < bytes)
		return NULL;
	return (char *)d.iov->iov_base + d.skip;
}
