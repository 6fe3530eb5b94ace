/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * depot.c - reference counts: one byte for each block of data, 0 when it is free.  A page of the
 * block map counts 254, which is also the most that a block of data can.
 *
 * They are read when the volume is loaded, or counted anew from the block map when what is on disk
 * may be wrong; and written at a clean end only.  A volume that is not written needs their sum
 * alone.
 */
#include "targets/vdo/vdo.h"

#define READ_BLOCKS 32u

static struct vdo_slab *slab_of(struct vdo *v, uint64_t pbn, uint64_t *index)
{
	uint64_t at = pbn - v->super.depot_start;

	*index = at % v->super.slab.blocks;
	return &v->depot.slabs[at / v->super.slab.blocks];
}

static uint64_t slab_start(const struct vdo *v, unsigned slab)
{
	return v->super.depot_start + slab * v->super.slab.blocks;
}

static int slab_memory(struct vdo *v, struct vdo_slab *s)
{
	if (!s->counts)
		s->counts = ndm_zalloc(v->super.slab.counts * NDM_VDO_COUNTS);
	if (!s->changed)
		s->changed = ndm_zalloc(v->super.slab.counts);
	return s->counts && s->changed ? 0 : -ENOMEM;
}

void depot_free(struct vdo *v)
{
	struct vdo_depot *d = &v->depot;
	unsigned i;

	for (i = 0; d->slabs && i < d->n; i++) {
		ndm_free(d->slabs[i].counts);
		ndm_free(d->slabs[i].changed);
	}
	ndm_free(d->slabs);
	ndm_free(d->summary);
	*d = (struct vdo_depot){ 0 };
}

/* ---- one block ---- */

static void count_set(struct vdo *v, struct vdo_slab *s, uint64_t i, uint8_t count)
{
	if (!s->counts[i] != !count) {
		s->free += count ? -1 : 1;
		v->depot.allocated += count ? 1 : -1;
	}
	s->counts[i] = count;
	s->changed[i / NDM_VDO_COUNTS] = 1;
	s->touched = true;
}

int depot_ref(struct vdo *v, uint64_t pbn)
{
	uint64_t i;
	struct vdo_slab *s = slab_of(v, pbn, &i);
	int err = slab_memory(v, s);

	if (err)
		return err;
	if (s->counts[i] >= NDM_VDO_COUNT_MAX)
		return -ERANGE;
	count_set(v, s, i, s->counts[i] + 1);
	return 0;
}

void depot_unref(struct vdo *v, uint64_t pbn)
{
	uint64_t i;
	struct vdo_slab *s = slab_of(v, pbn, &i);

	if (s->counts && s->counts[i] && s->counts[i] <= NDM_VDO_COUNT_MAX)
		count_set(v, s, i, s->counts[i] - 1);
}

void depot_set_tree(struct vdo *v, uint64_t pbn)
{
	uint64_t i;
	struct vdo_slab *s = slab_of(v, pbn, &i);

	count_set(v, s, i, NDM_VDO_COUNT_MAX);
}

static bool slab_alloc(struct vdo *v, unsigned n, uint64_t *pbn)
{
	struct vdo_slab *s = &v->depot.slabs[n];
	uint64_t data = v->super.slab.data;
	uint8_t *found;

	if (!s->free || slab_memory(v, s))
		return false;
	found = memchr(s->counts + s->cursor, 0, data - s->cursor);
	if (!found)
		found = memchr(s->counts, 0, data);
	if (!found)
		return false;
	s->cursor = (uint64_t)(found - s->counts) + 1;
	if (s->cursor == data)
		s->cursor = 0;
	count_set(v, s, (uint64_t)(found - s->counts), 1);
	*pbn = slab_start(v, n) + (uint64_t)(found - s->counts);
	return true;
}

bool depot_alloc(struct vdo *v, uint64_t *pbn)
{
	struct vdo_depot *d = &v->depot;
	unsigned i;

	for (i = 0; i < d->n; i++, d->current = (d->current + 1) % d->n)
		if (slab_alloc(v, d->current, pbn))
			return true;
	return false;
}

uint64_t vdo_used(const struct vdo *v)
{
	const struct ndm_vdo_super *s = &v->super;

	return s->physical - (s->depot_end - s->depot_start) / s->slab.blocks * s->slab.data + v->depot.allocated;
}

/* ---- read ---- */

static int summary_read(struct vdo *v)
{
	uint64_t start = v->super.part[NDM_VDO_SUMMARY].start;
	unsigned zone_bytes = NDM_VDO_SUMMARY_BLOCKS / NDM_VDO_SUMMARY_ZONES * NDM_VDO_BLOCK, i;
	uint8_t *all = ndm_buffer_get(v->ti->loop, NDM_VDO_SUMMARY_BLOCKS * NDM_VDO_BLOCK);
	int err = all ? 0 : -ENOMEM;

	if (v->super.state != NDM_VDO_NEW && !err)
		err = vdo_block_read(v, start, NDM_VDO_SUMMARY_BLOCKS, all);
	if (!err && v->super.state != NDM_VDO_NEW) {
		memcpy(v->depot.summary, all, zone_bytes);
		/* zones have taken turns with the slabs */
		for (i = 0; v->super.zones > 1 && i < NDM_VDO_SLABS_MAX; i++)
			memcpy(v->depot.summary + 2 * i, all + i % v->super.zones * zone_bytes + 2 * i, 2);
	}
	if (all)
		ndm_buffer_put(v->ti->loop, all, NDM_VDO_SUMMARY_BLOCKS * NDM_VDO_BLOCK);
	return err;
}

static int depot_init(struct vdo *v)
{
	struct vdo_depot *d = &v->depot;
	unsigned i;
	int err;

	d->n = (unsigned)((v->super.depot_end - v->super.depot_start) / v->super.slab.blocks);
	d->slabs = ndm_calloc(d->n ? d->n : 1, sizeof *d->slabs);
	d->summary = ndm_zalloc(NDM_VDO_SLABS_MAX * 2);
	if (!d->slabs || !d->summary)
		return -ENOMEM;
	err = summary_read(v);
	for (i = 0; i < d->n; i++) {
		d->slabs[i].summary = ndm_vdo_summary_get(d->summary, i);
		d->slabs[i].free = v->super.slab.data;
	}
	return err;
}

static int slab_read(struct vdo *v, unsigned n, uint8_t *blocks)
{
	struct vdo_slab *s = &v->depot.slabs[n];
	uint64_t at = slab_start(v, n) + v->super.slab.data, i, k, part, point;
	int err = slab_memory(v, s);

	for (i = 0; i < v->super.slab.counts && !err; i += part) {
		part = v->super.slab.counts - i < READ_BLOCKS ? v->super.slab.counts - i : READ_BLOCKS;
		err = vdo_block_read(v, at + i, part, blocks);
		for (k = 0; k < part && !err; k++) {
			point = ndm_vdo_counts_get(blocks + k * NDM_VDO_BLOCK, s->counts + (i + k) * NDM_VDO_COUNTS);
			s->point = point > s->point ? point : s->point;
		}
	}
	for (i = 0; i < v->super.slab.data && !err; i++) {
		if (s->counts[i] > NDM_VDO_COUNT_MAX)	/* was being allocated */
			s->counts[i] = 0;
		if (s->counts[i]) {
			s->free--;
			v->depot.allocated++;
		}
	}
	if (!v->writable) {
		ndm_free(s->counts);
		ndm_free(s->changed);
		s->counts = s->changed = NULL;
	}
	return err;
}

static int counts_read(struct vdo *v)
{
	uint8_t *blocks = ndm_buffer_get(v->ti->loop, READ_BLOCKS * NDM_VDO_BLOCK);
	struct vdo_depot *d = &v->depot;
	unsigned i;
	int err = blocks ? 0 : -ENOMEM;

	for (i = 0; i < d->n && !err; i++) {
		if (d->slabs[i].summary.dirty)
			d->must_rebuild = true;
		else if (d->slabs[i].summary.load)
			err = slab_read(v, i, blocks);
	}
	if (blocks)
		ndm_buffer_put(v->ti->loop, blocks, READ_BLOCKS * NDM_VDO_BLOCK);
	return err;
}

/* ---- counted anew ---- */

static int leaf_count(struct vdo *v, const struct vdo_page *page, uint64_t number)
{
	uint64_t lbn = number * NDM_VDO_PAGE_ENTRIES;
	struct ndm_vdo_location l;
	unsigned i;
	int err;

	for (i = 0; i < NDM_VDO_PAGE_ENTRIES && lbn + i < v->super.logical; i++) {
		l = ndm_vdo_entry_get(page->bytes, i);
		if (l.state == NDM_VDO_UNMAPPED || !ndm_vdo_entry_ok(&v->super, l))
			continue;
		err = l.pbn ? depot_ref(v, l.pbn) : 0;
		if (err == -ENOMEM)
			return err;
		if (err)
			ndm_warn(v->ti, "block %" PRIu64 " has more references than there can be", l.pbn);
		v->super.logical_used++;
	}
	return 0;
}

/* What hangs below a page; index counts pages of this height within their tree. */
static int tree_count(struct vdo *v, uint64_t pbn, unsigned height, uint64_t root, uint64_t index)
{
	struct ndm_vdo_location child;
	struct vdo_page *page;
	unsigned i;
	int err = map_get(v, pbn, &page);

	if (err)
		return err;
	if (!height)
		err = leaf_count(v, page, index * v->super.roots + root);
	for (i = 0; height && i < NDM_VDO_PAGE_ENTRIES && !err; i++) {
		uint64_t at;
		struct vdo_slab *s;

		child = ndm_vdo_entry_get(page->bytes, i);
		if (child.state == NDM_VDO_UNMAPPED || !ndm_vdo_child_ok(&v->super, child))
			continue;
		s = slab_of(v, child.pbn, &at);
		err = slab_memory(v, s);
		if (err || s->counts[at])	/* a page hangs in one place */
			continue;
		depot_set_tree(v, child.pbn);
		v->super.map_blocks++;
		err = tree_count(v, child.pbn, height - 1, root, index * NDM_VDO_PAGE_ENTRIES + i);
	}
	map_put(v, page);
	return err;
}

static int counts_make(struct vdo *v)
{
	uint64_t root;
	unsigned i;
	int err = 0;

	v->super.logical_used = v->super.map_blocks = 0;
	for (root = 0; root < v->super.roots && !err; root++)
		err = tree_count(v, v->super.root_start + root, NDM_VDO_HEIGHT, root, 0);
	for (i = 0; i < v->depot.n && !err; i++) {
		struct vdo_slab *s = &v->depot.slabs[i];

		if (s->summary.load || s->summary.dirty || s->counts)
			err = slab_memory(v, s);
		if (!err && s->counts)
			memset(s->changed, 1, v->super.slab.counts);
		s->touched = s->counts != NULL;
	}
	return err;
}

int depot_load(struct vdo *v, bool rebuild)
{
	int err;

	depot_free(v);
	err = depot_init(v);
	if (err)
		return err;
	return rebuild ? counts_make(v) : counts_read(v);
}

/* ---- written ---- */

static int slab_write(struct vdo *v, unsigned n, uint8_t *block)
{
	struct vdo_slab *s = &v->depot.slabs[n];
	uint64_t at = slab_start(v, n) + v->super.slab.data, i;
	int err = 0;

	/* what was never written has anything in it */
	if (!s->summary.load)
		memset(s->changed, 1, v->super.slab.counts);
	for (i = 0; i < v->super.slab.counts && !err; i++) {
		if (!s->changed[i])
			continue;
		ndm_vdo_counts_put(block, s->counts + i * NDM_VDO_COUNTS, s->point);
		err = vdo_block_write(v, at + i, 1, block);
		s->changed[i] = 0;
	}
	return err;
}

static int summary_write(struct vdo *v)
{
	unsigned zone_blocks = NDM_VDO_SUMMARY_BLOCKS / NDM_VDO_SUMMARY_ZONES, i;
	struct vdo_depot *d = &v->depot;
	int err = 0;

	for (i = 0; i < d->n; i++)
		ndm_vdo_summary_put(d->summary, i, d->slabs[i].summary);
	for (i = 0; i < NDM_VDO_SUMMARY_ZONES && !err; i++)
		err = vdo_block_write(v, v->super.part[NDM_VDO_SUMMARY].start + i * zone_blocks, zone_blocks,
				      d->summary);
	return err;
}

int depot_save(struct vdo *v)
{
	uint8_t *block = ndm_buffer_get(v->ti->loop, NDM_VDO_BLOCK);
	struct vdo_depot *d = &v->depot;
	unsigned i;
	int err = block ? 0 : -ENOMEM;

	for (i = 0; i < d->n && !err; i++) {
		struct vdo_slab *s = &d->slabs[i];

		if (!s->touched)
			continue;
		err = slab_write(v, i, block);
		s->summary.load = true;
		s->summary.dirty = false;
		s->summary.fullness = ndm_vdo_fullness(&v->super, s->free);
		s->touched = err != 0;
	}
	err = err ? err : summary_write(v);
	if (block)
		ndm_buffer_put(v->ti->loop, block, NDM_VDO_BLOCK);
	return err ? err : ndm_flush(v->dev->store);
}
