/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.c - which regions are hydrated.
 *
 * The superblock (block 0), little-endian, made anew at each commit:
 *
 *	0	checksum, flags u32 = 0; own number u64; 16 bytes 0; magic u64; version u32 = 1
 *	44	128 bytes: root of the space map
 *	172	u64: sectors of a region, sectors of the device, root of the bitset
 */
#include "targets/clone/clone.h"

#define MAGIC UINT64_C(0x8af27f64)
#define VERSION 1u

static int super_check(const uint8_t *d)
{
	if (le64_get(d + 32) != MAGIC)
		return -EILSEQ;
	return le32_get(d + 40) == VERSION ? 0 : -EINVAL;
}

static const struct meta_type super_type = { "clone superblock", 257649492, 8, super_check };

/* ---- in memory ---- */

bool clone_map_get(const struct clone_map *c, uint64_t region)
{
	return c->words[region / 64] >> region % 64 & 1;
}

bool clone_map_range(const struct clone_map *c, uint64_t first, uint64_t nr)
{
	return clone_map_next(c, first) >= first + nr;
}

uint64_t clone_map_next(const struct clone_map *c, uint64_t from)
{
	uint64_t word = from / 64, n = meta_bitset_words(c->regions), free;

	if (from >= c->regions || c->hydrated == c->regions)
		return c->regions;
	free = ~c->words[word] & ~UINT64_C(0) << from % 64;
	while (!free && ++word < n)
		free = ~c->words[word];
	if (word >= n)
		return c->regions;
	from = word * 64 + (uint64_t)__builtin_ctzll(free);
	return from < c->regions ? from : c->regions;
}

void clone_map_set(struct clone_map *c, uint64_t region)
{
	struct clone_dirty *d = &c->dirty[c->current];
	uint64_t word = region / 64, bit = UINT64_C(1) << region % 64;

	if (c->words[word] & bit)
		return;
	c->words[word] |= bit;
	c->hydrated++;
	d->words[word] |= bit;
	if (d->first == d->end) {
		d->first = word;
		d->end = word + 1;
	}
	if (word < d->first)
		d->first = word;
	if (word >= d->end)
		d->end = word + 1;
}

static bool is_dirty(const struct clone_dirty *d)
{
	return d->first != d->end;
}

bool clone_map_changed(const struct clone_map *c)
{
	return is_dirty(&c->dirty[0]) || is_dirty(&c->dirty[1]);
}

void clone_map_freeze(struct clone_map *c)
{
	if (c->committing)
		return;
	c->committing = true;
	c->current = !c->current;
}

/* ---- on disk ---- */

static void super_put(const void *arg, uint8_t *d)
{
	const struct clone_map *c = arg;

	le64_put(d + 32, MAGIC);
	le32_put(d + 40, VERSION);
	meta_space_root(c->m, d + 44);
	le64_put(d + 172, c->region_sectors);
	le64_put(d + 180, c->target_sectors);
	le64_put(d + 188, c->root);
}

static int commit(struct clone_map *c)
{
	return meta_commit(c->m, &super_type, true, super_put, c);
}

int clone_map_commit(struct clone_map *c)
{
	struct clone_dirty *d = &c->dirty[!c->current];
	uint64_t i;
	int err = 0;

	for (i = d->first; i < d->end && !err; i++)
		if (d->words[i])
			err = meta_bitset_or(c->m, &c->root, i, d->words[i]);
	if (!err)
		err = commit(c);
	if (err)
		return err;
	for (i = d->first; i < d->end; i++)
		d->words[i] = 0;
	d->first = d->end = 0;
	c->committing = false;
	return 0;
}

static void count_hydrated(struct clone_map *c)
{
	uint64_t n = meta_bitset_words(c->regions), i;

	c->hydrated = 0;
	for (i = 0; i < n; i++)
		c->hydrated += (uint64_t)__builtin_popcountll(c->words[i]);
}

int clone_map_load(struct clone_map *c)
{
	struct meta_block *b;
	int err;

	meta_abort(c->m);
	err = meta_read(c->m, 0, &super_type, &b);
	if (err)
		return err;
	if (le64_get(b->data + 172) != c->region_sectors ||
	    le64_get(b->data + 180) != c->target_sectors)
		err = -EINVAL;
	c->root = le64_get(b->data + 188);
	if (!err)
		err = meta_load(c->m, b->data + 44);
	meta_put(c->m, b);
	if (!err)
		err = meta_bitset_load(c->m, c->root, c->regions, c->words);
	if (!err)
		count_hydrated(c);
	return err;
}

static int map_make(struct clone_map *c)
{
	struct meta_array bits = meta_bitset(c->m);
	int err = meta_format(c->m);

	if (!err)
		err = meta_array_empty(&bits, &c->root);
	if (!err)
		err = meta_bitset_resize(c->m, &c->root, 0, c->regions);
	return err ? err : commit(c);
}

int clone_map_open(struct ndm_target *ti, struct ndm_store *store, struct clone_map *c)
{
	uint64_t n;
	int err, blank;

	c->regions = (c->target_sectors + c->region_sectors - 1) / c->region_sectors;
	n = meta_bitset_words(c->regions);
	c->words = ndm_calloc(n, 8);
	c->dirty[0].words = ndm_calloc(n, 8);
	c->dirty[1].words = ndm_calloc(n, 8);
	if (!c->words || !c->dirty[0].words || !c->dirty[1].words)
		return -ENOMEM;
	err = meta_new(ti->loop, store, false, 0, &c->m);
	if (err)
		return err;
	blank = meta_blank(c->m);
	if (blank < 0)
		return blank;
	return blank ? map_make(c) : clone_map_load(c);
}

void clone_map_close(struct clone_map *c)
{
	meta_free(c->m);
	ndm_free(c->words);
	ndm_free(c->dirty[0].words);
	ndm_free(c->dirty[1].words);
	*c = (struct clone_map){ 0 };
}
