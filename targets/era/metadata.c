/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metadata.c - the metadata of an era device.
 *
 * The superblock (block 0), little-endian:
 *
 *	0	checksum, flags u32; own number u64; 16 bytes 0; magic u64; version u32 = 1
 *	44	128 bytes: root of the space map
 *	172	u32: sectors of a block, 8, number of blocks, current era, bits of the writeset
 *	192	u64: roots of the writeset, the tree of writesets and the array; the snapshot's block
 *
 * An archived writeset is 12 bytes: number of bits u32, root u64.  It stays in the tree until
 * all of it is in the array, so a crash during a digest means that it begins again.
 */
#include "targets/era/era.h"

#define MAGIC UINT64_C(2126579579)
#define VERSION 1u
#define DIGEST_WORDS 16u			/* of a writeset, at a time */

static int super_check(const uint8_t *d)
{
	if (le64_get(d + 32) != MAGIC)
		return -EILSEQ;
	return le32_get(d + 40) == VERSION ? 0 : -EINVAL;
}

static const struct meta_type super_type = { "era superblock", 146538381, 8, super_check };

/* ---- the tree of writesets ---- */

static int writeset_inc(void *context, const void *value)
{
	return meta_inc(context, le64_get((const uint8_t *)value + 4));
}

static int writeset_dec(void *context, const void *value)
{
	struct meta_array bits = meta_bitset(context);

	return meta_array_del(&bits, le64_get((const uint8_t *)value + 4));
}

static bool writeset_equal(void *context, const void *a, const void *b)
{
	(void)context;
	return !memcmp(a, b, 12);
}

static struct meta_btree writesets(struct era_meta *e)
{
	return (struct meta_btree){ .m = e->m, .levels = 1, .value = {
		.bytes = 12, .inc = writeset_inc, .dec = writeset_dec, .equal = writeset_equal,
		.context = e->m } };
}

static struct meta_array eras(struct era_meta *e)
{
	return (struct meta_array){ .m = e->m, .value_bytes = 4 };
}

/* ---- the superblock ---- */

static void super_put(const void *arg, uint8_t *d)
{
	const struct era_meta *e = arg;
	const struct era_disk *n = &e->now;

	le32_put(d + 4, 0);
	memset(d + 16, 0, 16);
	le64_put(d + 32, MAGIC);
	le32_put(d + 40, VERSION);
	memset(d + 44, 0, 128);
	meta_space_root(e->m, d + 44);
	le32_put(d + 172, n->block_sectors);
	le32_put(d + 176, META_BLOCK_SECTORS);
	le32_put(d + 180, n->nr_blocks);
	le32_put(d + 184, n->current);
	le32_put(d + 188, n->writeset_bits);
	le64_put(d + 192, n->writeset);
	le64_put(d + 200, n->tree);
	le64_put(d + 208, n->array);
	le64_put(d + 216, n->snap);
}

static void super_get(const uint8_t *d, struct era_disk *n)
{
	n->block_sectors = le32_get(d + 172);
	n->nr_blocks = le32_get(d + 180);
	n->current = le32_get(d + 184);
	n->writeset_bits = le32_get(d + 188);
	n->writeset = le64_get(d + 192);
	n->tree = le64_get(d + 200);
	n->array = le64_get(d + 208);
	n->snap = le64_get(d + 216);
}

int era_meta_commit(struct era_meta *e)
{
	return meta_commit(e->m, &super_type, false, super_put, e);
}

int era_meta_load(struct era_meta *e)
{
	struct meta_block *b;
	int err;

	e->broken = e->archived = true;
	e->digest = (struct era_digest){ 0 };
	meta_abort(e->m);
	err = meta_read(e->m, 0, &super_type, &b);
	if (err)
		return err;
	super_get(b->data, &e->now);
	err = meta_load(e->m, b->data + 44);
	meta_put(e->m, b);
	e->broken = err != 0;
	return err;
}

static int meta_make(struct era_meta *e, uint32_t block_sectors)
{
	struct meta_btree tree = writesets(e);
	struct meta_array array = eras(e);
	int err = meta_format(e->m);

	e->now = (struct era_disk){ .block_sectors = block_sectors };
	if (!err)
		err = meta_btree_empty(&tree, &e->now.tree);
	if (!err)
		err = meta_array_empty(&array, &e->now.array);
	return err ? err : meta_commit(e->m, &super_type, true, super_put, e);
}

int era_meta_open(struct ndm_target *ti, struct ndm_store *store, uint32_t block_sectors,
		  struct era_meta *e)
{
	int err = meta_new(ti->loop, store, false, 0, &e->m), blank;

	if (err)
		return err;
	blank = meta_blank(e->m);
	if (blank < 0)
		return blank;
	err = blank ? meta_make(e, block_sectors) : era_meta_load(e);
	if (!err && e->now.block_sectors != block_sectors) {
		ndm_warn(ti, "changing the data block size (from %u to %u) is not supported",
			 e->now.block_sectors, block_sectors);
		err = -EINVAL;
	}
	return err;
}

void era_meta_close(struct era_meta *e)
{
	meta_free(e->m);
	e->m = NULL;
}

/* ---- eras ---- */

int era_meta_resize(struct era_meta *e, uint64_t nr_blocks)
{
	struct meta_array array = eras(e);
	const uint8_t never[4] = { 0 };
	int err = meta_array_resize(&array, &e->now.array, e->now.nr_blocks, nr_blocks, never);

	if (!err)
		e->now.nr_blocks = (uint32_t)nr_blocks;
	return err;
}

int era_meta_mark(struct era_meta *e, uint64_t block)
{
	return meta_bitset_or(e->m, &e->now.writeset, block / 64, UINT64_C(1) << block % 64);
}

int era_meta_archive(struct era_meta *e)
{
	struct meta_btree tree = writesets(e);
	uint64_t key = e->now.current;
	uint8_t value[12];
	int err;

	if (!e->now.writeset)
		return 0;
	le32_put(value, e->now.writeset_bits);
	le64_put(value + 4, e->now.writeset);
	err = meta_btree_insert(&tree, &e->now.tree, &key, value, NULL);
	if (!err) {
		e->now.writeset = 0;
		e->archived = true;
	}
	return err;
}

int era_meta_rollover(struct era_meta *e)
{
	struct meta_array bits = meta_bitset(e->m);
	int err = era_meta_archive(e);

	if (!err)
		err = meta_array_empty(&bits, &e->now.writeset);
	if (!err)
		err = meta_bitset_resize(e->m, &e->now.writeset, 0, e->now.nr_blocks);
	if (err)
		return err;
	e->now.writeset_bits = e->now.nr_blocks;
	e->now.current++;
	return 0;
}

/* ---- the snapshot: a copy of the superblock, whose two roots have one more reference ---- */

int era_meta_take_snap(struct era_meta *e)
{
	struct meta_block *b;
	uint64_t nr = 0;
	bool shared;
	int err = era_meta_rollover(e);

	if (!err)
		err = era_meta_commit(e);
	if (!err)
		err = meta_inc(e->m, 0);
	if (!err)
		err = meta_shadow(e->m, &nr, &super_type, &b, &shared);
	if (err)
		return err;
	meta_put(e->m, b);
	err = meta_inc(e->m, e->now.tree);
	if (!err)
		err = meta_inc(e->m, e->now.array);
	e->now.snap = nr;
	return err ? err : era_meta_commit(e);
}

int era_meta_drop_snap(struct era_meta *e)
{
	struct meta_btree tree = writesets(e);
	struct meta_array array = eras(e);
	struct era_disk held;
	struct meta_block *b;
	int err = meta_read(e->m, e->now.snap, &super_type, &b);

	if (err)
		return err;
	super_get(b->data, &held);
	meta_put(e->m, b);
	err = meta_btree_del(&tree, held.tree);
	if (!err)
		err = meta_array_del(&array, held.array);
	if (!err)
		err = meta_dec(e->m, e->now.snap);
	e->now.snap = 0;
	return err ? err : era_meta_commit(e);
}

/* ---- the digest ---- */

static int digest_begin(struct era_meta *e)
{
	struct meta_btree tree = writesets(e);
	struct era_digest *d = &e->digest;
	uint8_t value[12];
	uint64_t bits;
	int err = meta_btree_lowest(&tree, e->now.tree, NULL, &d->era, value);

	if (err)
		return err;
	bits = le32_get(value);
	d->bits = bits < e->now.nr_blocks ? bits : e->now.nr_blocks;
	d->root = le64_get(value + 4);
	d->at = 0;
	d->begun = true;
	return 0;
}

static int digest_word(struct era_meta *e, uint64_t word)
{
	struct meta_array array = eras(e), bits = meta_bitset(e->m);
	uint8_t value[8], era[4];
	uint64_t set, block;
	int err = meta_array_get(&bits, e->digest.root, word, value);

	le32_put(era, (uint32_t)e->digest.era);
	for (set = err ? 0 : le64_get(value); set && !err; set &= set - 1) {
		block = word * 64 + (uint64_t)__builtin_ctzll(set);
		if (block >= e->digest.bits)
			break;
		err = meta_array_set(&array, &e->now.array, block, era);
	}
	return err;
}

int era_meta_digest(struct era_meta *e)
{
	struct meta_btree tree = writesets(e);
	struct era_digest *d = &e->digest;
	uint64_t end;
	int err = d->begun ? 0 : digest_begin(e);

	if (err)
		return err == -ENODATA ? 0 : err;
	end = d->at + DIGEST_WORDS;
	if (end > meta_bitset_words(d->bits))
		end = meta_bitset_words(d->bits);
	while (d->at < end && !err)
		err = digest_word(e, d->at++);
	if (err || d->at < meta_bitset_words(d->bits))
		return err ? err : 1;
	d->begun = false;
	err = meta_btree_remove(&tree, &e->now.tree, &d->era);
	return err ? err : 1;
}
