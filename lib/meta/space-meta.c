/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * space-meta.c - how many parents each metadata block has.
 *
 * On disk: one index block with up to 255 entries, a bitmap of 2-bit counts for each, and a btree
 * with the counts that are 3 or more.  In memory: all counts.  So that nothing recurses: while a
 * transaction lasts only memory changes, and its end (counts_write) gives each bitmap that has
 * changed a new block, once, until no more blocks are needed; then they are filled in.
 *
 * A bitmap that cannot be read makes none of its blocks free, and changing a count of it an
 * error: what can be read still can.
 */
#include "inside.h"

#define INDEX_AT 16u				/* bytes: entries of 16 */

const struct meta_type meta_type_bitmap = { "bitmap", 240779, 8, NULL };
const struct meta_type meta_type_index = { "space map index", 160478, 8, NULL };

static bool bit_get(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static void bit_put(uint8_t *bits, uint64_t i, bool on)
{
	bits[i / 8] = (uint8_t)((bits[i / 8] & ~(1u << i % 8)) | (unsigned)on << i % 8);
}

void counts_free(struct meta *m)
{
	struct meta_counts *c = &m->space;

	ndm_free(c->counts);
	ndm_free(c->committed);
	ndm_free(c->waiting);
	ndm_free(c->list);
	*c = (struct meta_counts){ 0 };
}

static void *grown(struct meta *m, void *old, size_t had, size_t want)
{
	void *p = patient_zalloc(m->loop, want);

	if (p && old)
		memcpy(p, old, had);
	return p;
}

static void replace(void *slot, void *p)
{
	void *old;

	memcpy(&old, slot, sizeof old);
	ndm_free(old);
	memcpy(slot, &p, sizeof p);
}

static int counts_resize(struct meta *m, uint64_t nr)
{
	struct meta_counts *c = &m->space;
	size_t had = c->nr / 8 + 1, want = nr / 8 + 1;
	uint32_t *counts = grown(m, c->counts, c->nr * sizeof *counts, (nr + 1) * sizeof *counts);
	uint8_t *committed = grown(m, c->committed, had, want);
	uint8_t *waiting = grown(m, c->waiting, had, want);

	if (!counts || !committed || !waiting) {
		ndm_free(counts);
		ndm_free(committed);
		ndm_free(waiting);
		return -ENOMEM;
	}
	replace(&c->counts, counts);
	replace(&c->committed, committed);
	replace(&c->waiting, waiting);
	c->nr = nr;
	c->nbitmaps = (unsigned)((nr + META_PER_BITMAP - 1) / META_PER_BITMAP);
	return 0;
}

/* ---- counts ---- */

int meta_refs(const struct meta *m, uint64_t nr, uint32_t *count)
{
	if (nr >= m->space.nr)
		return -EILSEQ;
	*count = m->space.counts[nr];
	return 0;
}

static int list_push(struct meta *m, uint64_t nr)
{
	struct meta_counts *c = &m->space;
	uint64_t *list;

	if (bit_get(c->waiting, nr))
		return 0;
	if (c->list_n == c->list_cap) {
		size_t cap = c->list_cap ? c->list_cap * 2 : 64;

		list = ndm_calloc(cap, sizeof *list);
		if (!list)
			return -ENOMEM;
		if (c->list_n)
			memcpy(list, c->list, c->list_n * sizeof *list);
		ndm_free(c->list);
		c->list = list;
		c->list_cap = cap;
	}
	bit_put(c->waiting, nr, true);
	c->list[c->list_n++] = nr;
	return 0;
}

static int count_put(struct meta *m, uint64_t nr, uint32_t count)
{
	struct meta_counts *c = &m->space;
	struct meta_bitmap *map = &c->bitmaps[nr / META_PER_BITMAP];
	uint32_t old = c->counts[nr];
	bool was = bit_get(c->committed, nr);
	int err;

	if (map->bad)
		return -EILSEQ;
	if (old >= 3 || count >= 3) {
		err = list_push(m, nr);
		if (err)
			return err;
	}
	c->counts[nr] = count;
	map->dirty = c->changed = true;
	if (!old && count) {
		c->allocated++;
		c->allocated_now += !was;
		map->busy += !was;
	} else if (old && !count) {
		c->allocated--;
		c->allocated_now -= !was;
		map->busy -= !was;
		block_forget(m, nr);
	}
	return 0;
}

int meta_inc(struct meta *m, uint64_t nr)
{
	if (nr >= m->space.nr || !m->space.counts[nr] || m->space.counts[nr] == UINT32_MAX)
		return -EILSEQ;
	return count_put(m, nr, m->space.counts[nr] + 1);
}

int meta_dec(struct meta *m, uint64_t nr)
{
	if (nr >= m->space.nr || !m->space.counts[nr])
		return -EILSEQ;
	return count_put(m, nr, m->space.counts[nr] - 1);
}

/* ---- allocation ---- */

static uint32_t bitmap_size(const struct meta_counts *c, unsigned i)
{
	uint64_t from = (uint64_t)i * META_PER_BITMAP;

	return c->nr - from < META_PER_BITMAP ? (uint32_t)(c->nr - from) : META_PER_BITMAP;
}

static bool find_free(const struct meta_counts *c, uint64_t from, uint64_t end, uint64_t *nr)
{
	uint64_t i = from;

	while (i < end) {
		unsigned map = (unsigned)(i / META_PER_BITMAP);

		if (c->bitmaps[map].bad || c->bitmaps[map].busy >= bitmap_size(c, map)) {
			i = (uint64_t)(map + 1) * META_PER_BITMAP;
			continue;
		}
		if (!c->counts[i] && !bit_get(c->committed, i)) {
			*nr = i;
			return true;
		}
		i++;
	}
	return false;
}

int counts_alloc(struct meta *m, uint64_t *nr)
{
	struct meta_counts *c = &m->space;
	int err;

	if (!find_free(c, c->cursor, c->nr, nr) && !find_free(c, 0, c->cursor, nr))
		return -ENOSPC;
	err = count_put(m, *nr, 1);
	if (!err)
		c->cursor = *nr + 1;
	return err;
}

uint64_t meta_space_blocks(const struct meta *m)
{
	return m->space.nr;
}

uint64_t meta_space_free(const struct meta *m)
{
	uint64_t used = m->space.committed_allocated + m->space.allocated_now;

	return used < m->space.nr ? m->space.nr - used : 0;
}

/* ---- the end of a transaction ---- */

static int large_update(struct meta *m)
{
	struct meta_counts *c = &m->space;
	uint8_t value[4];
	uint64_t nr;
	int err;

	while (c->list_n) {
		nr = c->list[--c->list_n];
		bit_put(c->waiting, nr, false);
		le32_put(value, c->counts[nr]);
		if (c->counts[nr] >= 3)
			err = meta_btree_insert(&m->large, &c->large_root, &nr, value, NULL);
		else
			err = meta_btree_remove(&m->large, &c->large_root, &nr);
		if (err && err != -ENODATA)
			return err;
	}
	return 0;
}

static int move_block(struct meta *m, uint64_t *nr)
{
	uint64_t from = *nr;
	int err = counts_alloc(m, nr);

	return err || !from ? err : meta_dec(m, from);
}

/* Every bitmap that has changed gets a block of this transaction; 1: one did. */
static int bitmaps_move(struct meta *m)
{
	struct meta_counts *c = &m->space;
	bool any = false;
	unsigned i;
	int err = 0;

	for (i = 0; i < c->nbitmaps && !err; i++) {
		if (!c->bitmaps[i].dirty || c->bitmaps[i].moved)
			continue;
		c->bitmaps[i].moved = any = true;
		err = move_block(m, &c->bitmaps[i].nr);
	}
	if (!err && !c->index_moved) {
		c->index_moved = any = true;
		err = move_block(m, &c->index_nr);
	}
	return err ? err : any;
}

static int bitmap_fill(struct meta *m, unsigned i)
{
	struct meta_counts *c = &m->space;
	struct meta_bitmap *map = &c->bitmaps[i];
	uint64_t from = (uint64_t)i * META_PER_BITMAP;
	uint32_t n = bitmap_size(c, i), used = 0, k;
	struct meta_block *b;
	int err = block_make(m, map->nr, &meta_type_bitmap, &b);

	if (err)
		return err;
	map->first_free = n;
	for (k = 0; k < n; k++) {
		if (c->counts[from + k]) {
			bitmap_put(b->data, k, c->counts[from + k] < 3 ? c->counts[from + k] : 3);
			used++;
		} else if (map->first_free == n) {
			map->first_free = k;
		}
	}
	map->nr_free = META_PER_BITMAP - used;	/* also those behind the end, as Linux has it */
	map->dirty = false;
	meta_put(m, b);
	return 0;
}

static int index_fill(struct meta *m)
{
	struct meta_counts *c = &m->space;
	struct meta_block *b;
	uint8_t *e;
	unsigned i;
	int err = block_make(m, c->index_nr, &meta_type_index, &b);

	if (err)
		return err;
	for (i = 0; i < c->nbitmaps; i++) {
		e = b->data + INDEX_AT + 16 * i;
		le64_put(e, c->bitmaps[i].nr);
		le32_put(e + 8, c->bitmaps[i].nr_free);
		le32_put(e + 12, c->bitmaps[i].first_free);
	}
	meta_put(m, b);
	return 0;
}

int counts_write(struct meta *m)
{
	struct meta_counts *c = &m->space;
	unsigned i;
	int err;

	if (!c->changed)
		return 0;
	do {
		err = large_update(m);
		if (!err)
			err = bitmaps_move(m);
	} while (err > 0 || (!err && c->list_n));
	for (i = 0; i < c->nbitmaps && !err; i++)
		if (c->bitmaps[i].dirty)
			err = bitmap_fill(m, i);
	if (!err)
		err = index_fill(m);
	if (!err)
		c->changed = false;
	return err;
}

static void bitmap_settle(struct meta_counts *c, unsigned i)
{
	uint64_t from = (uint64_t)i * META_PER_BITMAP, k;
	uint32_t n = bitmap_size(c, i);

	c->bitmaps[i].busy = 0;
	for (k = from; k < from + n; k++) {
		bit_put(c->committed, k, c->counts[k] != 0);
		c->bitmaps[i].busy += c->counts[k] != 0;
	}
}

void counts_settle(struct meta *m)
{
	struct meta_counts *c = &m->space;
	unsigned i;

	for (i = 0; i < c->nbitmaps; i++) {
		if (c->bitmaps[i].moved)
			bitmap_settle(c, i);
		c->bitmaps[i].moved = false;
	}
	c->index_moved = false;
	c->committed_allocated = c->allocated;
	c->allocated_now = 0;
}

void meta_space_root(const struct meta *m, uint8_t root[META_SPACE_ROOT_BYTES])
{
	le64_put(root, m->space.nr);
	le64_put(root + 8, m->space.allocated);
	le64_put(root + 16, m->space.index_nr);
	le64_put(root + 24, m->space.large_root);
}

/* ---- made, loaded, grown ---- */

int meta_format(struct meta *m)
{
	struct meta_counts *c = &m->space;
	unsigned i;
	int err;

	meta_abort(m);
	if (meta_device_blocks(m) < 2)
		return -EINVAL;
	err = counts_resize(m, meta_device_blocks(m));
	for (i = 0; i < c->nbitmaps; i++)
		c->bitmaps[i].dirty = true;
	if (!err)
		err = count_put(m, 0, 1);		/* the superblock */
	c->cursor = 1;
	c->loaded = true;
	return err ? err : meta_btree_empty(&m->large, &c->large_root);
}

int meta_extend(struct meta *m, uint64_t nr)
{
	struct meta_counts *c = &m->space;
	unsigned had = c->nbitmaps;
	int err;

	if (nr > META_BLOCKS_MAX)
		nr = META_BLOCKS_MAX;
	if (nr <= c->nr)
		return -EINVAL;
	err = counts_resize(m, nr);
	if (err)
		return err;
	for (; had < c->nbitmaps; had++)
		c->bitmaps[had].dirty = true;
	c->changed = true;
	return 0;
}

static void bitmap_load(struct meta *m, unsigned i, const uint8_t *entry)
{
	struct meta_counts *c = &m->space;
	struct meta_bitmap *map = &c->bitmaps[i];
	uint64_t from = (uint64_t)i * META_PER_BITMAP;
	uint32_t n = bitmap_size(c, i), k;
	struct meta_block *b = NULL;

	map->nr = le64_get(entry);
	map->nr_free = le32_get(entry + 8);
	map->first_free = le32_get(entry + 12);
	map->bad = meta_read(m, map->nr, &meta_type_bitmap, &b) != 0;
	for (k = 0; k < n; k++) {
		c->counts[from + k] = map->bad ? 1 : bitmap_get(b->data, k);
		bit_put(c->committed, from + k, c->counts[from + k] != 0);
		map->busy += c->counts[from + k] != 0;
	}
	if (!map->bad)
		meta_put(m, b);
}

static int large_load(void *arg, uint64_t nr, const void *value)
{
	struct meta_counts *c = &((struct meta *)arg)->space;

	if (nr < c->nr && c->counts[nr] == 3 && le32_get(value) > 3)
		c->counts[nr] = le32_get(value);
	return 0;
}

int meta_load(struct meta *m, const uint8_t root[META_SPACE_ROOT_BYTES])
{
	struct meta_counts *c = &m->space;
	uint64_t nr = le64_get(root);
	struct meta_block *index;
	unsigned i;
	int err;

	counts_free(m);
	if (nr < 2 || nr > META_BLOCKS_MAX)
		return -EILSEQ;
	if (nr > meta_device_blocks(m))
		return -EINVAL;			/* the device has become smaller */
	err = meta_read(m, le64_get(root + 16), &meta_type_index, &index);
	if (err)
		return err;
	c->index_nr = le64_get(root + 16);
	c->large_root = le64_get(root + 24);
	err = counts_resize(m, nr);
	for (i = 0; i < c->nbitmaps && !err; i++)
		bitmap_load(m, i, index->data + INDEX_AT + 16 * i);
	meta_put(m, index);
	if (!err)
		err = meta_btree_walk(&m->large, c->large_root, large_load, m);
	c->allocated = c->committed_allocated = le64_get(root + 8);
	c->loaded = !err;
	return err;
}
