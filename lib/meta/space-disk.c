/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * space-disk.c - counts of things outside the metadata: thin's data blocks.
 *
 * On disk: a btree from the number of a bitmap to its index entry, bitmaps of 2-bit counts, and a
 * btree with the counts that are 3 or more.  In memory: the index (16 bytes for 16320 things).
 * Bitmaps are shadowed as they change, so that their last committed version remains readable: a
 * thing is given out only when it is free in both.
 */
#include "inside.h"

struct entry {
	uint64_t nr, committed_nr;		/* the bitmap now, and at the last commit; 0: none */
	uint32_t nr_free, first_free;
	bool dirty;				/* differs from what is in the tree */
};

struct meta_space {
	struct meta *m;
	uint64_t nr, allocated;
	uint64_t index_root, large_root;
	struct meta_btree index, large;
	struct entry *entries;
	uint64_t nentries;
	uint64_t freed;				/* how many of this transaction */
};

static void trees_init(struct meta_space *s, struct meta *m)
{
	s->m = m;
	s->index = (struct meta_btree){ .m = m, .levels = 1, .value = { .bytes = 16 } };
	s->large = (struct meta_btree){ .m = m, .levels = 1, .value = { .bytes = 4 } };
}

int meta_space_new(struct meta *m, struct meta_space **out)
{
	struct meta_space *s = patient_zalloc(m->loop, sizeof *s);
	int err;

	if (!s)
		return -ENOMEM;
	trees_init(s, m);
	err = meta_btree_empty(&s->index, &s->index_root);
	if (!err)
		err = meta_btree_empty(&s->large, &s->large_root);
	if (err)
		meta_space_close(s);
	else
		*out = s;
	return err;
}

void meta_space_close(struct meta_space *s)
{
	if (!s)
		return;
	ndm_free(s->entries);
	ndm_free(s);
}

static uint64_t bitmaps_for(uint64_t nr)
{
	return nr / META_PER_BITMAP + (nr % META_PER_BITMAP != 0);
}

static int entries_resize(struct meta_space *s, uint64_t n)
{
	struct entry *e;

	if (n <= s->nentries)
		return 0;
	if (n > SIZE_MAX / sizeof *e - 1)
		return -ENOMEM;
	e = patient_zalloc(s->m->loop, n * sizeof *e);
	if (!e)
		return -ENOMEM;
	if (s->nentries)
		memcpy(e, s->entries, s->nentries * sizeof *e);
	ndm_free(s->entries);
	s->entries = e;
	s->nentries = n;
	return 0;
}

static int entry_load(void *arg, uint64_t i, const void *value)
{
	struct meta_space *s = arg;
	const uint8_t *v = value;

	if (i >= s->nentries)
		return -EILSEQ;
	s->entries[i].nr = s->entries[i].committed_nr = le64_get(v);
	s->entries[i].nr_free = le32_get(v + 8);
	s->entries[i].first_free = le32_get(v + 12);
	return 0;
}

int meta_space_open(struct meta *m, const uint8_t root[META_SPACE_ROOT_BYTES],
		    struct meta_space **out)
{
	struct meta_space *s = patient_zalloc(m->loop, sizeof *s);
	uint64_t nr = le64_get(root);
	int err;

	if (!s)
		return -ENOMEM;
	trees_init(s, m);
	s->nr = nr;
	s->allocated = le64_get(root + 8);
	s->index_root = le64_get(root + 16);
	s->large_root = le64_get(root + 24);
	/* each bitmap takes a block of the device: a number beyond that is not believed */
	err = bitmaps_for(nr) > meta_device_blocks(m) || s->allocated > nr ? -EILSEQ : 0;
	if (!err)
		err = entries_resize(s, bitmaps_for(nr));
	if (!err)
		err = meta_btree_walk(&s->index, s->index_root, entry_load, s);
	if (err)
		meta_space_close(s);
	else
		*out = s;
	return err;
}

int meta_space_extend(struct meta_space *s, uint64_t nr)
{
	uint64_t i = s->nentries, n = bitmaps_for(nr);
	struct meta_block *b;
	int err;

	if (nr < s->nr)
		return -EINVAL;
	err = entries_resize(s, n);
	for (; i < n && !err; i++) {
		err = meta_block_new(s->m, &meta_type_bitmap, &b);
		if (err)
			break;
		s->entries[i] = (struct entry){ .nr = b->nr, .nr_free = META_PER_BITMAP,
						.dirty = true };
		meta_put(s->m, b);
	}
	if (!err)
		s->nr = nr;
	return err;
}

/* ---- counts ---- */

static int bitmap_open(struct meta_space *s, uint64_t b, bool change, struct meta_block **out)
{
	struct entry *e = &s->entries[b / META_PER_BITMAP];
	uint64_t nr = e->nr;
	bool shared;
	int err;

	if (!change)
		return meta_read(s->m, e->nr, &meta_type_bitmap, out);
	err = meta_shadow(s->m, &nr, &meta_type_bitmap, out, &shared);
	if (!err && nr != e->nr) {
		e->nr = nr;
		e->dirty = true;
	}
	return err;
}

static int large_get(struct meta_space *s, uint64_t b, uint32_t *count)
{
	uint8_t value[4];
	int err = meta_btree_lookup(&s->large, s->large_root, &b, value);

	if (!err)
		*count = le32_get(value);
	return err == -ENODATA ? -EILSEQ : err;
}

int meta_space_count(struct meta_space *s, uint64_t b, uint32_t *count)
{
	struct meta_block *map;
	int err;

	if (b >= s->nr)
		return -EILSEQ;
	err = bitmap_open(s, b, false, &map);
	if (err)
		return err;
	*count = bitmap_get(map->data, b % META_PER_BITMAP);
	meta_put(s->m, map);
	return *count == 3 ? large_get(s, b, count) : 0;
}

static int large_put(struct meta_space *s, uint64_t b, uint32_t old, uint32_t count)
{
	uint8_t value[4];
	int err = 0;

	le32_put(value, count);
	if (count >= 3)
		err = meta_btree_insert(&s->large, &s->large_root, &b, value, NULL);
	else if (old >= 3)
		err = meta_btree_remove(&s->large, &s->large_root, &b);
	return err == -ENODATA ? -EILSEQ : err;
}

static void entry_count(struct meta_space *s, uint64_t b, uint32_t old, uint32_t count)
{
	struct entry *e = &s->entries[b / META_PER_BITMAP];
	uint32_t i = b % META_PER_BITMAP;

	if (!old && count) {
		s->allocated++;
		e->nr_free--;
		if (e->first_free == i)
			e->first_free++;
		e->dirty = true;
	} else if (old && !count) {
		s->allocated--;
		s->freed++;
		e->nr_free++;
		if (i < e->first_free)
			e->first_free = i;
		e->dirty = true;
	}
}

static int count_change(struct meta_space *s, uint64_t b, int by)
{
	struct meta_block *map;
	uint32_t old, count;
	int err;

	err = meta_space_count(s, b, &old);
	if (err)
		return err;
	if ((by < 0 && !old) || (by > 0 && old == UINT32_MAX))
		return -EILSEQ;
	count = old + (uint32_t)by;
	if (count < 3 || old < 3) {
		err = bitmap_open(s, b, true, &map);
		if (err)
			return err;
		bitmap_put(map->data, b % META_PER_BITMAP, count < 3 ? count : 3);
		meta_put(s->m, map);
	}
	err = large_put(s, b, old, count);
	if (!err)
		entry_count(s, b, old, count);
	return err;
}

int meta_space_inc(struct meta_space *s, uint64_t b)
{
	return count_change(s, b, 1);
}

int meta_space_dec(struct meta_space *s, uint64_t b)
{
	return count_change(s, b, -1);
}

/* ---- what is free ---- */

struct hunt {
	bool (*taken)(void *arg, uint64_t b);
	void *arg;
};

/* -ENOSPC: nothing in this bitmap */
static int bitmap_hunt(struct meta_space *s, uint64_t which, uint32_t from, uint32_t end,
		       const struct hunt *h, uint64_t *out)
{
	struct entry *e = &s->entries[which];
	struct meta_block *now, *then = NULL;
	int err = meta_read(s->m, e->nr, &meta_type_bitmap, &now);

	if (err)
		return err;
	if (e->committed_nr && e->committed_nr != e->nr)
		err = meta_read(s->m, e->committed_nr, &meta_type_bitmap, &then);
	if (err) {
		meta_put(s->m, now);
		return err;
	}
	err = -ENOSPC;
	for (; from < end && err; from++) {
		*out = which * META_PER_BITMAP + from;
		if (!bitmap_get(now->data, from) && !(then && bitmap_get(then->data, from)) &&
		    !(h->taken && h->taken(h->arg, *out)))
			err = 0;
	}
	meta_put(s->m, now);
	if (then)
		meta_put(s->m, then);
	return err;
}

static int range_hunt(struct meta_space *s, uint64_t from, uint64_t end, const struct hunt *h,
		      uint64_t *out)
{
	uint64_t i;
	int err = -ENOSPC;

	for (i = from / META_PER_BITMAP; i < s->nentries && i * META_PER_BITMAP < end && err == -ENOSPC;
	     i++) {
		uint64_t base = i * META_PER_BITMAP;
		uint32_t first = from > base ? (uint32_t)(from - base) : 0;
		uint32_t last = end - base < META_PER_BITMAP ? (uint32_t)(end - base) : META_PER_BITMAP;

		if (!s->entries[i].nr_free)
			continue;
		if (first < s->entries[i].first_free)
			first = s->entries[i].first_free;
		err = bitmap_hunt(s, i, first, last, h, out);
	}
	return err;
}

int meta_space_find(struct meta_space *s, uint64_t from, bool (*taken)(void *arg, uint64_t b),
		    void *arg, uint64_t *b)
{
	struct hunt h = { .taken = taken, .arg = arg };

	return range_hunt(s, from, s->nr, &h, b);
}

uint64_t meta_space_total(const struct meta_space *s)
{
	return s->nr;
}

uint64_t meta_space_left(const struct meta_space *s)
{
	return s->nr - s->allocated;
}

bool meta_space_freed(const struct meta_space *s)
{
	return s->freed != 0;
}

/* ---- the end of a transaction ---- */

int meta_space_commit(struct meta_space *s)
{
	uint8_t value[16];
	uint64_t i;
	int err = 0;

	for (i = 0; i < s->nentries && !err; i++) {
		struct entry *e = &s->entries[i];

		if (!e->dirty)
			continue;
		le64_put(value, e->nr);
		le32_put(value + 8, e->nr_free);
		le32_put(value + 12, e->first_free);
		err = meta_btree_insert(&s->index, &s->index_root, &i, value, NULL);
		e->dirty = false;
	}
	return err;
}

void meta_space_committed(struct meta_space *s)
{
	uint64_t i;

	for (i = 0; i < s->nentries; i++)
		s->entries[i].committed_nr = s->entries[i].nr;
	s->freed = 0;
}

void meta_space_disk_root(const struct meta_space *s, uint8_t root[META_SPACE_ROOT_BYTES])
{
	le64_put(root, s->nr);
	le64_put(root + 8, s->allocated);
	le64_put(root + 16, s->index_root);
	le64_put(root + 24, s->large_root);
}
