/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.c - mode B: which regions are being written.
 *
 * On disk the bitmap lies where the journal would.  Before anything in a region is written its
 * bit is set there, durably; some time later all bits are cleared, when what was written has
 * been made durable and nothing is being written.  So after a power cut only regions whose bits
 * are set can have tags that do not match: those are made anew, and not believed before.
 *
 * A clean stop leaves an empty journal instead.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define BLOCK_BITS (8u * NDM_INTEGRITY_BITMAP_BYTES)
#define BLOCK_SECTORS (NDM_INTEGRITY_BITMAP_BYTES / NDM_SECTOR_BYTES)
#define SECTORS_PER_BIT_LOG2 15

static uint64_t bit_of(const struct integrity *ic, uint64_t sector)
{
	return sector >> (ic->l.super.log2_block + ic->bitmap.log2_blocks);
}

static bool bit_test(const uint8_t *map, uint64_t bit)
{
	return map[bit / 8] >> (bit % 8) & 1;
}

static bool all_set(const uint8_t *map, const struct integrity *ic, uint64_t sector, uint64_t nr)
{
	uint64_t bit = bit_of(ic, sector), last = bit_of(ic, sector + nr - 1);

	while (bit <= last && bit_test(map, bit))
		bit++;
	return bit > last;
}

bool integrity_bitmap_clear(const uint8_t *map, const struct integrity *ic, uint64_t sector,
			    uint64_t nr)
{
	uint64_t bit = bit_of(ic, sector), last = bit_of(ic, sector + nr - 1);

	while (bit <= last && !bit_test(map, bit))
		bit++;
	return bit > last;
}

static void map_change(uint8_t *map, const struct integrity *ic, uint64_t sector, uint64_t nr,
		       bool set)
{
	uint64_t bit, last;

	if (!nr)
		return;
	last = bit_of(ic, sector + nr - 1);
	for (bit = bit_of(ic, sector); bit <= last; bit++)
		if (set)
			map[bit / 8] |= 1 << (bit % 8);
		else
			map[bit / 8] &= ~(1 << (bit % 8));
}

void integrity_bitmap_set(uint8_t *map, const struct integrity *ic, uint64_t sector, uint64_t nr)
{
	map_change(map, ic, sector, nr, true);
}

static size_t map_bytes(const struct integrity *ic)
{
	return (size_t)ic->bitmap.blocks * NDM_INTEGRITY_BITMAP_BYTES;
}

/* ---- disk ---- */

/* Blocks first to last as they are in memory now; what was written is then known to be set. */
static int blocks_write(struct integrity *ic, uint32_t first, uint32_t last)
{
	struct integrity_bitmap *b = &ic->bitmap;
	size_t bytes = (size_t)(last - first + 1) * NDM_INTEGRITY_BITMAP_BYTES, i;
	size_t at = (size_t)first * NDM_INTEGRITY_BITMAP_BYTES;
	uint8_t *copy = ndm_buffer_get(ic->ti->loop, bytes);
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, b->disk + at, bytes);
	err = ndm_rw(ic->meta->store, NDM_WRITE, NDM_FUA | NDM_META,
		     integrity_journal_start(ic) + (uint64_t)first * BLOCK_SECTORS,
		     bytes >> NDM_SECTOR_SHIFT, copy);
	for (i = 0; i < bytes && !err; i++)
		b->may_write[at + i] |= copy[i];
	ndm_buffer_put(ic->ti->loop, copy, bytes);
	if (err)
		integrity_fail(ic, "writing bitmap", err);
	return err;
}

int integrity_bitmap_write(struct integrity *ic)
{
	return blocks_write(ic, 0, ic->bitmap.blocks - 1);
}

int integrity_bitmap_read(struct integrity *ic)
{
	return ndm_rw(ic->meta->store, NDM_READ, NDM_META, integrity_journal_start(ic),
		      (uint64_t)ic->bitmap.blocks * BLOCK_SECTORS, ic->bitmap.disk);
}

/* ---- requests ---- */

int integrity_bitmap_mark(struct integrity *ic, uint64_t sector, uint64_t nr)
{
	struct integrity_bitmap *b = &ic->bitmap;
	int err = 0;

	if (all_set(b->may_write, ic, sector, nr))
		return 0;
	integrity_bitmap_set(b->disk, ic, sector, nr);
	ndm_lock(&b->lock);
	/* whoever was before us may have written our bits, too */
	if (!all_set(b->may_write, ic, sector, nr))
		err = blocks_write(ic, bit_of(ic, sector) / BLOCK_BITS,
				   bit_of(ic, sector + nr - 1) / BLOCK_BITS);
	ndm_unlock(&b->lock);
	if (!ic->bitmap_timer.index)
		ndm_timer_set(&ic->bitmap_timer, ndm_now(ic->ti->loop) + ic->flush_ms * 1000000ull);
	return err;
}

bool integrity_bitmap_believed(struct integrity *ic, uint64_t sector, uint64_t nr)
{
	return integrity_bitmap_clear(ic->bitmap.recalc, ic, sector, nr);
}

/* ---- clearing ---- */

void integrity_bitmap_flush(struct integrity *ic)
{
	struct integrity_bitmap *b = &ic->bitmap;
	uint64_t limit;

	integrity_flush(ic, false);		/* most of it while others still write */
	ndm_wrlock(&b->gate);
	limit = ic->l.provided;
	if (ic->l.super.flags & NDM_INTEGRITY_RECALCULATING && ic->l.super.recalc < limit)
		limit = bit_of(ic, ic->l.super.recalc) << (ic->l.super.log2_block + b->log2_blocks);
	integrity_flush(ic, true);
	if (!ic->failed) {
		map_change(b->disk, ic, 0, limit, false);
		map_change(b->may_write, ic, 0, limit, false);
		integrity_moment(ic, "integrity.bitmap.before-clear");
		integrity_bitmap_write(ic);
	}
	ndm_rwunlock(&b->gate);
}

void integrity_bitmap_recalculated(struct integrity *ic, uint64_t sector, uint64_t nr)
{
	unsigned shift = ic->l.super.log2_block + ic->bitmap.log2_blocks;
	uint64_t first = (sector + (1ull << shift) - 1) >> shift << shift, end = sector + nr;

	if (end < ic->l.provided)
		end = end >> shift << shift;	/* bits that are done to their end */
	if (first < end)
		map_change(ic->bitmap.recalc, ic, first, end - first, false);
}

/* ---- start ---- */

/* Bits were set when it stopped, or could not be told: these regions are made anew. */
static void resume_dirty(struct integrity *ic)
{
	struct integrity_bitmap *b = &ic->bitmap;
	struct ndm_integrity_super *s = &ic->l.super;

	if (s->log2_blocks_per_bit == b->log2_blocks && !ic->reset_recalculate) {
		memcpy(b->recalc, b->disk, map_bytes(ic));
		memcpy(b->may_write, b->disk, map_bytes(ic));
		if (integrity_bitmap_clear(b->disk, ic, 0, ic->l.provided))
			return;
	} else {
		integrity_bitmap_set(b->disk, ic, 0, ic->l.provided);
		integrity_bitmap_set(b->recalc, ic, 0, ic->l.provided);
		integrity_bitmap_write(ic);
		s->log2_blocks_per_bit = b->log2_blocks;
	}
	s->flags |= NDM_INTEGRITY_RECALCULATING;
	s->recalc = 0;
}

/* The disk has no bitmap yet, but an empty journal. */
static void resume_clean(struct integrity *ic)
{
	struct integrity_bitmap *b = &ic->bitmap;
	struct ndm_integrity_super *s = &ic->l.super;
	int err;

	memset(b->disk, 0, map_bytes(ic));
	memset(b->recalc, 0, map_bytes(ic));
	memset(b->may_write, 0, map_bytes(ic));
	if (s->flags & NDM_INTEGRITY_RECALCULATING && s->recalc < ic->l.provided) {
		integrity_bitmap_set(b->disk, ic, s->recalc, ic->l.provided - s->recalc);
		integrity_bitmap_set(b->recalc, ic, s->recalc, ic->l.provided - s->recalc);
	}
	s->flags |= NDM_INTEGRITY_DIRTY_BITMAP;
	s->log2_blocks_per_bit = b->log2_blocks;
	err = integrity_super_write(ic, NDM_FUA);
	if (err)
		integrity_fail(ic, "writing superblock", err);
	integrity_moment(ic, "integrity.bitmap.super-before-bits");
	integrity_bitmap_write(ic);
}

void integrity_bitmap_resume(struct integrity *ic)
{
	int err;

	if (!(ic->l.super.flags & NDM_INTEGRITY_DIRTY_BITMAP)) {
		resume_clean(ic);
		return;
	}
	err = integrity_bitmap_read(ic);
	if (err) {
		integrity_fail(ic, "reading bitmap", err);
		return;
	}
	resume_dirty(ic);
	err = integrity_super_write(ic, NDM_FUA);
	if (err)
		integrity_fail(ic, "writing superblock", err);
}

/* ---- making it ---- */

static uint64_t bits_needed(const struct integrity *ic, unsigned log2_sectors)
{
	return (ic->l.provided + (1ull << log2_sectors) - 1) >> log2_sectors;
}

int integrity_bitmap_init(struct ndm_target *ti, struct integrity *ic)
{
	struct integrity_bitmap *b = &ic->bitmap;
	uint64_t room = (ic->l.initial - NDM_INTEGRITY_SUPER_SECTORS) / BLOCK_SECTORS * BLOCK_BITS;
	unsigned log2 = ic->log2_sectors_per_bit < 0 ? SECTORS_PER_BIT_LOG2 : ic->log2_sectors_per_bit;

	if (log2 < ic->l.super.log2_block)
		log2 = ic->l.super.log2_block;
	if (room > UINT32_MAX)
		room = UINT32_MAX;
	while (log2 < 63 && room < bits_needed(ic, log2))
		log2++;
	b->log2_blocks = log2 - ic->l.super.log2_block;
	b->bits = bits_needed(ic, log2);
	b->blocks = (b->bits + BLOCK_BITS - 1) / BLOCK_BITS;
	if (ic->mode == 'R')
		return 0;
	ndm_mutex_init(&b->lock, ti->loop);
	ndm_rwlock_init(&b->gate, ti->loop);
	b->disk = ndm_calloc(1, map_bytes(ic));
	b->may_write = ndm_calloc(1, map_bytes(ic));
	b->recalc = ndm_calloc(1, map_bytes(ic));
	if (!b->disk || !b->may_write || !b->recalc)
		return ndm_error(ti, -ENOMEM, "Could not allocate memory for bitmap");
	return 0;
}

void integrity_bitmap_free(struct integrity *ic)
{
	ndm_free(ic->bitmap.disk);
	ndm_free(ic->bitmap.may_write);
	ndm_free(ic->bitmap.recalc);
}
