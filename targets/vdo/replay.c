/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - what the recovery journal of a volume says that was not shut down.
 *
 * Two readings, as in Linux.  After a power failure under Linux (DIRTY) the journal ends at the
 * first block or sector that is not whole, and an entry that cannot be is a damaged journal.  When
 * reference counts are to be rebuilt (FORCE_REBUILD, and so after a power failure under us) every
 * sector that is whole counts, and entries that cannot be are passed by.
 *
 * Pages that change stay in memory; who may write puts them in their places (load.c).
 */
#include "targets/vdo/vdo.h"

#define READ_BLOCKS 32u

struct reading {
	struct vdo *v;
	uint64_t start, size;
	uint64_t map_head, slab_head, highest;
	bool found, lenient, apply;
	uint64_t applied;
};

static bool block_is_ours(const struct reading *r, const struct ndm_vdo_journal_head *h)
{
	return h->nonce == r->v->super.nonce && h->recovery == (uint8_t)r->v->super.complete_recoveries &&
	       ((h->type == NDM_VDO_JOURNAL_TYPE && h->entries <= NDM_VDO_JOURNAL_ENTRIES) ||
		(h->type == NDM_VDO_JOURNAL_OLD && h->entries <= 311));
}

static int ends_find(struct reading *r)
{
	uint8_t *blocks = ndm_buffer_get(r->v->ti->loop, READ_BLOCKS * NDM_VDO_BLOCK);
	struct ndm_vdo_journal_head h;
	uint64_t i, n, k;
	int err = blocks ? 0 : -ENOMEM;

	for (i = 0; i < r->size && !err; i += n) {
		n = r->size - i < READ_BLOCKS ? r->size - i : READ_BLOCKS;
		err = vdo_block_read(r->v, r->start + i, n, blocks);
		for (k = 0; k < n && !err; k++) {
			ndm_vdo_journal_head_get(blocks + k * NDM_VDO_BLOCK, &h);
			if (!block_is_ours(r, &h) || h.sequence % r->size != i + k)
				continue;
			if (h.sequence >= r->highest) {
				r->found = true;
				r->highest = h.sequence;
			}
			if (!r->found)
				continue;
			if (h.type == NDM_VDO_JOURNAL_OLD && h.sequence == r->highest)
				err = -EINVAL;
			r->map_head = h.map_head > r->map_head ? h.map_head : r->map_head;
			r->slab_head = h.slab_head > r->slab_head ? h.slab_head : r->slab_head;
		}
	}
	if (blocks)
		ndm_buffer_put(r->v->ti->loop, blocks, READ_BLOCKS * NDM_VDO_BLOCK);
	if (err == -EINVAL)
		ndm_error(r->v->ti, err, "Recovery journal is in the old format. Downgrade and complete recovery, "
			  "then upgrade with a clean volume");
	return err;
}

static int change_apply(struct reading *r, const struct ndm_vdo_change *c)
{
	struct vdo_page *page;
	int err;

	if (!ndm_vdo_change_ok(&r->v->super, c))
		return r->lenient ? 0 : -EBADMSG;
	if (!r->apply)
		return 0;
	err = map_get(r->v, c->page, &page);
	if (err)
		return err;
	ndm_vdo_entry_put(page->bytes, c->slot, c->now);
	map_dirty(r->v, page);
	map_put(r->v, page);
	r->applied++;
	return 0;
}

/* 1: the journal ends in this block. */
static int block_replay(struct reading *r, const uint8_t *block, uint64_t sequence)
{
	struct ndm_vdo_journal_head h;
	struct ndm_vdo_change c;
	unsigned sector, left;
	int err = 0, n, i;

	ndm_vdo_journal_head_get(block, &h);
	if (!block_is_ours(r, &h) || h.sequence != sequence || h.type != NDM_VDO_JOURNAL_TYPE)
		return r->lenient ? 0 : 1;
	left = h.entries;
	for (sector = 1; sector < 8 && left && !err; sector++) {
		n = ndm_vdo_journal_sector(block, &h, sector);
		if (n < 0 && !r->lenient)
			return 1;
		n = n > (int)left ? (int)left : n;
		for (i = 0; i < n && !err; i++) {
			ndm_vdo_change_get(block, sector, (unsigned)i, &c);
			if (sequence >= r->map_head)
				err = change_apply(r, &c);
		}
		if (!r->lenient && n < (int)NDM_VDO_SECTOR_ENTRIES && n < (int)left)
			return err ? err : 1;
		left -= left < NDM_VDO_SECTOR_ENTRIES ? left : NDM_VDO_SECTOR_ENTRIES;
	}
	if (err)
		return err;
	return !r->lenient && h.entries != NDM_VDO_JOURNAL_ENTRIES;
}

static int blocks_replay(struct reading *r, bool apply)
{
	uint64_t from = r->lenient || r->map_head < r->slab_head ? r->map_head : r->slab_head, i;
	uint8_t *block = ndm_buffer_get(r->v->ti->loop, NDM_VDO_BLOCK);
	int err = block ? 0 : -ENOMEM;

	r->apply = apply;
	if (r->highest - from >= r->size)	/* heads that cannot be */
		from = r->highest - r->size + 1;
	for (i = from; i <= r->highest && !err; i++) {
		err = vdo_block_read(r->v, r->start + i % r->size, 1, block);
		err = err ? err : block_replay(r, block, i);
		if (err == 1 && i < r->map_head)
			err = -EBADMSG;		/* it ends before what is needed of it begins */
	}
	if (block)
		ndm_buffer_put(r->v->ti->loop, block, NDM_VDO_BLOCK);
	return err < 0 ? err : 0;
}

int replay(struct vdo *v, uint64_t *highest)
{
	struct reading r = { .v = v, .start = v->super.part[NDM_VDO_JOURNAL].start,
		.size = v->super.journal_blocks, .highest = v->super.journal_start,
		.lenient = v->super.state == NDM_VDO_FORCE_REBUILD ||
			   v->super.state == NDM_VDO_REBUILD_FOR_UPGRADE };
	int err = ends_find(&r);

	if (err)
		return err;
	*highest = r.highest;
	if (!r.found)
		return 0;
	if (r.map_head > r.highest || r.slab_head > r.highest)
		return -EBADMSG;
	err = blocks_replay(&r, false);
	err = err ? err : blocks_replay(&r, true);
	if (!err)
		ndm_warn(v->ti, "the volume was not shut down: %" PRIu64 " entries of its recovery journal were "
			 "replayed", r.applied);
	return err;
}
