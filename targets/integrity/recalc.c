/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recalc.c - tags made anew for data that is there, in the background.
 *
 * The superblock says how far it has come; blocks behind that position are not checked when
 * they are read.  In mode B only regions that are not to be believed are done.  The position on
 * disk never runs ahead of the tags: they are made durable before it is written.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define CHUNK_SECTORS 2048u
#define CHUNKS_PER_SUPER 256u		/* 16 times 16 MiB, as the kernel does it */
#define CHUNKS_AT_ONCE 16u		/* before a resume returns: small devices are done then */

struct recalc {
	struct integrity *ic;
	uint8_t *data, *tags;
	size_t tags_bytes;
	unsigned chunks;
};

static void position_write(struct integrity *ic)
{
	int err;

	integrity_flush(ic, false);
	if (ic->failed)
		return;
	integrity_moment(ic, "integrity.recalc.before-super");
	err = integrity_super_write(ic, 0);
	if (err)
		integrity_fail(ic, "writing superblock", err);
}

/* Sectors from `sector` on that are to be done together; *skip: that need not be done before. */
static uint64_t chunk_find(struct integrity *ic, uint64_t sector, uint64_t most, uint64_t *skip)
{
	const uint8_t *map = ic->bitmap.recalc;
	uint64_t n, bs = ic->block_sectors;

	*skip = 0;
	if (ic->mode != 'B')
		return most;
	while (*skip < most && integrity_bitmap_clear(map, ic, sector + *skip, bs))
		*skip += bs;
	for (n = 0; *skip + n < most && !integrity_bitmap_clear(map, ic, sector + *skip + n, bs);)
		n += bs;
	return n;
}

static int chunk_make(struct recalc *r, uint64_t sector, uint64_t nr)
{
	struct integrity *ic = r->ic;
	struct iovec iov = { r->data, nr << NDM_SECTOR_SHIFT };
	struct ndm_data data = { .iov = &iov, .iovcnt = 1 };
	int err = ndm_rw(ic->data->store, NDM_READ, 0, ndm_integrity_data_sector(&ic->l, sector), nr,
			 r->data);

	if (err) {
		integrity_fail(ic, "reading data", err);
		return err;
	}
	err = integrity_tags_make(ic, sector, nr, &data, r->tags);
	err = err ? err : integrity_tags_write(ic, sector, nr, r->tags);
	if (err)
		integrity_fail(ic, "writing tags", err);
	return err;
}

/* One chunk; false when there is nothing left, or nothing can be done. */
static bool chunk_do(struct recalc *r)
{
	struct integrity *ic = r->ic;
	uint64_t at = ic->l.super.recalc, most = ic->l.provided - at, skip, nr;
	uint64_t area = 1ull << ic->l.super.log2_interleave;
	struct ndm_range range;

	if (at >= ic->l.provided || ic->failed)
		return false;
	most = most < CHUNK_SECTORS ? most : CHUNK_SECTORS;
	if (!ic->l.separate && most > area - (at & (area - 1)))
		most = area - (at & (area - 1));
	ndm_lock(&ic->journal.write_lock);	/* nothing goes from the journal to its place now */
	ndm_range_lock(&ic->ranges, &range, at, at + most - 1);
	nr = chunk_find(ic, at, most, &skip);
	if (!nr || !chunk_make(r, at + skip, nr)) {
		ic->l.super.recalc = at + skip + nr;
		if (ic->mode == 'B')
			integrity_bitmap_recalculated(ic, at + skip, nr);
	}
	ndm_range_unlock(&ic->ranges, &range);
	ndm_unlock(&ic->journal.write_lock);
	if (++r->chunks % CHUNKS_PER_SUPER == 0 && !ic->failed)
		position_write(ic);
	return !ic->failed;
}

static void recalc_end(struct integrity *ic)
{
	if (ic->failed)
		return;
	if (ic->mode == 'B' && ic->l.super.recalc >= ic->l.provided) {
		memset(ic->bitmap.recalc, 0,
		       (size_t)ic->bitmap.blocks * NDM_INTEGRITY_BITMAP_BYTES);
		integrity_bitmap_flush(ic);
	}
	position_write(ic);
}

static void recalc_free(struct recalc *r)
{
	ndm_buffer_put(r->ic->ti->loop, r->data, CHUNK_SECTORS * NDM_SECTOR_BYTES);
	ndm_buffer_put(r->ic->ti->loop, r->tags, r->tags_bytes);
	ndm_free(r);
}

static void recalc_worker(void *arg)
{
	struct recalc *r = arg;

	while (!ndm_stopping(r->ic->ti) && chunk_do(r))
		;
	recalc_end(r->ic);
	recalc_free(r);
}

void integrity_recalc_start(struct integrity *ic)
{
	struct recalc *r;
	unsigned i;

	if (ic->failed || !ic->digest_bytes || !(ic->l.super.flags & NDM_INTEGRITY_RECALCULATING))
		return;
	if (ic->l.super.recalc > ic->l.provided) {
		ic->l.super.recalc = ic->l.provided;
		position_write(ic);
	}
	if (ic->l.super.recalc == ic->l.provided)
		return;
	r = ndm_zalloc(sizeof *r);
	if (!r) {
		ndm_warn(ic->ti, "out of memory for recalculate buffer - recalculation disabled");
		return;
	}
	r->ic = ic;
	r->tags_bytes = CHUNK_SECTORS / ic->block_sectors * ic->tag_bytes;
	r->data = ndm_buffer_get(ic->ti->loop, CHUNK_SECTORS * NDM_SECTOR_BYTES);
	r->tags = ndm_buffer_get(ic->ti->loop, r->tags_bytes);
	if (!r->data || !r->tags) {
		ndm_warn(ic->ti, "out of memory for recalculate buffer - recalculation disabled");
		recalc_free(r);
		return;
	}
	for (i = 0; i < CHUNKS_AT_ONCE && chunk_do(r); i++)
		;
	if (ic->l.super.recalc < ic->l.provided && !ic->failed) {
		ndm_worker(ic->ti, "integrity-recalc", recalc_worker, r);
		return;
	}
	recalc_end(ic);
	recalc_free(r);
}
