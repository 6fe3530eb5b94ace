/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta: what was committed is there, what was not is not; every count of both space maps is the
 * number of pointers there are; and nothing on a disk, however wrong, does harm.
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/meta/inside.h"

#define BLOCKS 1024u
#define THINGS 40000u				/* three bitmaps */
#define TREES 6u
#define KEYS 1500u

static const struct meta_type super_type = { "test superblock", 4711, 8, NULL };

/* A superblock: space roots at 64 and 192, roots of the top level at 320. */
struct world {
	struct box *b;
	struct meta *m;
	struct meta_space *space;
	struct meta_btree trees;		/* tree, key -> thing << 24 | serial */
	struct meta_btree tops;			/* the upper level alone */
	struct meta_btree bottom;
	uint64_t root, cursor;
	uint32_t *model[TREES];			/* thing + 1 by key; NULL: no such tree */
	uint32_t *kept[TREES];			/* the model at the last commit */
	uint64_t dice;
};

static unsigned throw(struct world *w, unsigned n)
{
	w->dice ^= w->dice << 13;
	w->dice ^= w->dice >> 7;
	w->dice ^= w->dice << 17;
	return (unsigned)(w->dice >> 11) % n;
}

static int thing_inc(void *context, const void *value)
{
	struct world *w = context;

	return meta_space_inc(w->space, le64_get(value) >> 24);
}

static int thing_dec(void *context, const void *value)
{
	struct world *w = context;

	return meta_space_dec(w->space, le64_get(value) >> 24);
}

static void kinds(struct world *w)
{
	struct meta_value v = { .bytes = 8, .inc = thing_inc, .dec = thing_dec, .context = w };

	w->trees = (struct meta_btree){ .m = w->m, .levels = 2, .value = v };
	w->bottom = (struct meta_btree){ .m = w->m, .levels = 1, .value = v };
	w->tops = (struct meta_btree){ .m = w->m, .levels = 1, .value = meta_value_tree(&w->bottom) };
}

static int commit(struct world *w, bool make)
{
	struct meta_block *super;
	int err = meta_space_commit(w->space);

	if (!err)
		err = meta_commit_begin(w->m);
	if (!err)
		err = meta_super(w->m, &super_type, make, &super);
	if (err)
		return err;
	meta_space_root(w->m, super->data + 64);
	meta_space_disk_root(w->space, super->data + 192);
	le64_put(super->data + 320, w->root);
	err = meta_commit_end(w->m, super);
	if (!err)
		meta_space_committed(w->space);
	return err;
}

static int load(struct world *w)
{
	struct meta_block *super;
	int err = meta_read(w->m, 0, &super_type, &super);

	if (err)
		return err;
	err = meta_load(w->m, super->data + 64);
	meta_space_close(w->space);
	w->space = NULL;
	if (!err)
		err = meta_space_open(w->m, super->data + 192, &w->space);
	w->root = le64_get(super->data + 320);
	meta_put(w->m, super);
	return err;
}

static struct ndm_store *begin(struct world *w, struct box *b, uint64_t blocks)
{
	struct box_disk *d = box_disk(b, "m", blocks * META_BLOCK_SECTORS, 0);
	struct ndm_store *store;

	memset(d->bytes, 0, blocks * META_BLOCK_BYTES);
	*w = (struct world){ .b = b, .dice = 88172645463325252 };
	store = box_up(b, "dev", blocks == BLOCKS ? "0 8192 linear box:m 0" : "0 80000 linear box:m 0");
	assert_int_equal(meta_new(box_loop(b), store, false, 64, &w->m), 0);
	assert_int_equal(meta_blank(w->m), 1);
	assert_int_equal(meta_format(w->m), 0);
	kinds(w);
	assert_int_equal(meta_space_new(w->m, &w->space), 0);
	assert_int_equal(meta_btree_empty(&w->trees, &w->root), 0);
	assert_int_equal(meta_space_extend(w->space, THINGS), 0);
	assert_int_equal(commit(w, true), 0);
	assert_int_equal(meta_blank(w->m), 0);
	return store;
}

static void end(struct world *w)
{
	unsigned i;

	for (i = 0; i < TREES; i++) {
		free(w->model[i]);
		free(w->kept[i]);
	}
	meta_space_close(w->space);
	meta_free(w->m);
}

/* ---- counts, by walking ---- */

struct tally { struct world *w; uint32_t *blocks, *things; uint8_t *seen; };

static int count_leaf(struct tally *t, uint64_t nr)
{
	struct meta_block *b;
	unsigned i;

	assert_int_equal(meta_read(t->w->m, nr, &meta_type_node, &b), 0);
	for (i = 0; i < node_nr(b->data); i++) {
		if (node_leaf(b->data))
			t->things[node_child(b->data, i) >> 24]++;
		else if (!t->blocks[node_child(b->data, i)]++)
			count_leaf(t, node_child(b->data, i));
	}
	meta_put(t->w->m, b);
	return 0;
}

static int count_top(void *arg, uint64_t key, const void *value)
{
	struct tally *t = arg;

	(void)key;
	if (!t->blocks[le64_get(value)]++)
		count_leaf(t, le64_get(value));
	return 0;
}

static int count_one(void *arg, uint64_t nr)
{
	((struct tally *)arg)->blocks[nr]++;
	return 0;
}

static int count_bitmap(void *arg, uint64_t i, const void *value)
{
	(void)i;
	return count_one(arg, le64_get(value));
}

/* right after a commit */
static void counts_right(struct world *w)
{
	uint64_t nr = meta_space_blocks(w->m), i, used = 0, things = 0;
	struct tally t = { .w = w, .blocks = calloc(nr, 4), .things = calloc(THINGS, 4) };
	struct meta_btree index = { .m = w->m, .levels = 1, .value = { .bytes = 16 } };
	struct meta_btree large = { .m = w->m, .levels = 1, .value = { .bytes = 4 } };
	uint8_t root[META_SPACE_ROOT_BYTES];
	uint32_t count;

	t.blocks[0] = 1;
	assert_int_equal(meta_btree_blocks(&w->tops, w->root, count_one, &t), 0);
	assert_int_equal(meta_btree_walk(&w->tops, w->root, count_top, &t), 0);
	meta_space_disk_root(w->space, root);
	meta_btree_blocks(&index, le64_get(root + 16), count_one, &t);
	meta_btree_walk(&index, le64_get(root + 16), count_bitmap, &t);
	meta_btree_blocks(&large, le64_get(root + 24), count_one, &t);
	meta_space_root(w->m, root);
	count_one(&t, le64_get(root + 16));
	meta_btree_blocks(&large, le64_get(root + 24), count_one, &t);
	for (i = 0; i < w->m->space.nbitmaps; i++)
		count_one(&t, w->m->space.bitmaps[i].nr);
	for (i = 0; i < nr; i++) {
		assert_int_equal(meta_refs(w->m, i, &count), 0);
		if (count != t.blocks[i])
			fail_msg("block %u has count %u and %u pointers", (unsigned)i, count, t.blocks[i]);
		used += count != 0;
	}
	for (i = 0; i < THINGS; i++) {
		assert_int_equal(meta_space_count(w->space, i, &count), 0);
		if (count != t.things[i])
			fail_msg("thing %u has count %u and %u pointers", (unsigned)i, count, t.things[i]);
		things += count != 0;
	}
	assert_int_equal(le64_get(root + 8), used);
	assert_int_equal(meta_space_free(w->m), nr - used);
	assert_int_equal(meta_space_left(w->space), THINGS - things);
	free(t.blocks);
	free(t.things);
}

/* every key of every tree, and how they are looked for */
static void model_right(struct world *w)
{
	uint64_t keys[2], key, high;
	uint8_t value[8];
	unsigned i, k, next;

	for (i = 0; i < TREES; i++) {
		keys[0] = i * 100;
		keys[1] = 0;
		if (!w->model[i]) {
			assert_int_equal(meta_btree_lookup(&w->tops, w->root, keys, value), -ENODATA);
			continue;
		}
		high = UINT64_MAX;
		for (k = next = 0; k < KEYS; k++) {
			int err;

			keys[1] = k;
			err = meta_btree_lookup(&w->trees, w->root, keys, value);
			if (!w->model[i][k]) {
				assert_int_equal(err, -ENODATA);
				continue;
			}
			assert_int_equal(err, 0);
			assert_int_equal(le64_get(value) >> 24, w->model[i][k] - 1);
			keys[1] = next;
			assert_int_equal(meta_btree_lookup_next(&w->trees, w->root, keys, &key, value), 0);
			assert_int_equal(key, k);
			next = k + 1;
			high = k;
		}
		keys[1] = next;
		assert_int_equal(meta_btree_lookup_next(&w->trees, w->root, keys, &key, value), -ENODATA);
		if (high != UINT64_MAX) {
			assert_int_equal(meta_btree_highest(&w->trees, w->root, keys, &key, NULL), 0);
			assert_int_equal(key, high);
		}
	}
}

/* Nodes but roots are filled to a third: Linux's tools ask for it. */
static void fill_right(struct world *w, uint64_t nr, bool root, unsigned levels)
{
	struct meta_block *b;
	unsigned i;

	assert_int_equal(meta_read(w->m, nr, &meta_type_node, &b), 0);
	assert_true(root || node_nr(b->data) >= node_max(b->data) / 3);
	for (i = 0; i < node_nr(b->data); i++)
		if (!node_leaf(b->data))
			fill_right(w, node_child(b->data, i), false, levels);
		else if (levels)
			fill_right(w, node_child(b->data, i), true, levels - 1);
	meta_put(w->m, b);
}

/* ---- changes ---- */

static int put(struct world *w, unsigned i, unsigned k)
{
	uint64_t keys[2] = { i * 100, k }, thing;
	uint8_t value[8];
	bool added;
	int err = meta_space_find(w->space, w->cursor, NULL, NULL, &thing);

	if (err == -ENOSPC)
		err = meta_space_find(w->space, 0, NULL, NULL, &thing);
	if (!err)
		err = meta_space_inc(w->space, thing);
	le64_put(value, thing << 24 | 7);
	if (!err)
		err = meta_btree_insert(&w->trees, &w->root, keys, value, &added);
	if (err)
		return err;
	w->cursor = thing + 1;
	if (w->model[i]) {
		assert_int_equal(added, !w->model[i][k]);
		w->model[i][k] = (uint32_t)thing + 1;
	}
	return 0;
}

static int cut(struct world *w, unsigned i, unsigned k)
{
	uint64_t keys[2] = { i * 100, k };
	int err = meta_btree_remove(&w->trees, &w->root, keys);

	if (w->model[i]) {
		assert_int_equal(err, w->model[i][k] ? 0 : -ENODATA);
		w->model[i][k] = 0;
	}
	return err == -ENODATA ? 0 : err;
}

static int tree_new(struct world *w, unsigned i)
{
	uint64_t key = i * 100, root;
	uint8_t value[8];
	int err = meta_btree_empty(&w->bottom, &root);

	le64_put(value, root);
	w->model[i] = calloc(KEYS, sizeof *w->model[i]);
	return err ? err : meta_btree_insert(&w->tops, &w->root, &key, value, NULL);
}

static int tree_copy(struct world *w, unsigned from, unsigned to)
{
	uint64_t key = from * 100;
	uint8_t value[8];
	int err = meta_btree_lookup(&w->tops, w->root, &key, value);

	if (!err)
		err = meta_inc(w->m, le64_get(value));
	key = to * 100;
	if (!err)
		err = meta_btree_insert(&w->tops, &w->root, &key, value, NULL);
	w->model[to] = calloc(KEYS, sizeof *w->model[to]);
	memcpy(w->model[to], w->model[from], KEYS * sizeof *w->model[to]);
	return err;
}

static int tree_drop(struct world *w, unsigned i)
{
	uint64_t key = i * 100;

	free(w->model[i]);
	w->model[i] = NULL;
	return meta_btree_remove(&w->tops, &w->root, &key);
}

static void keep(struct world *w, bool back)
{
	uint32_t **from = back ? w->kept : w->model, **to = back ? w->model : w->kept;
	unsigned i;

	for (i = 0; i < TREES; i++) {
		free(to[i]);
		to[i] = NULL;
		if (!from[i])
			continue;
		to[i] = calloc(KEYS, sizeof *to[i]);
		memcpy(to[i], from[i], KEYS * sizeof *to[i]);
	}
}

static int step(struct world *w)
{
	unsigned i = throw(w, TREES), n, k, j = throw(w, TREES);
	int err = 0;

	if (!w->model[i] && w->model[j] && throw(w, 3))
		return tree_copy(w, j, i);
	if (!w->model[i])
		return tree_new(w, i);
	if (throw(w, 40) == 0)
		return tree_drop(w, i);
	n = 1 + throw(w, 60);
	k = throw(w, KEYS);
	switch (throw(w, 3)) {
	case 0:					/* a run, ascending */
		for (; n-- && k < KEYS && !err; k++)
			err = put(w, i, k);
		break;
	case 1:
		while (n-- && !err)
			err = put(w, i, throw(w, KEYS));
		break;
	default:
		for (; n-- && k < KEYS && !err; k++)
			err = cut(w, i, k);
	}
	return err;
}

static void churn(struct box *b)
{
	struct world w;
	unsigned i;

	begin(&w, b, BLOCKS);
	for (i = 1; i <= 600; i++) {
		assert_int_equal(step(&w), 0);
		if (i % 7 == 0) {
			assert_int_equal(commit(&w, false), 0);
			keep(&w, false);
			if (i % 35 == 0) {
				counts_right(&w);
				fill_right(&w, w.root, true, 1);
			}
		}
		if (i % 98 == 0)
			model_right(&w);
		if (i % 61 == 0) {		/* what was not committed was never there */
			meta_abort(w.m);
			assert_int_equal(load(&w), 0);
			keep(&w, true);
			counts_right(&w);
			model_right(&w);
		}
	}
	for (i = 0; i < TREES; i++)
		if (w.model[i])
			assert_int_equal(tree_drop(&w, i), 0);
	assert_int_equal(commit(&w, false), 0);
	counts_right(&w);
	assert_int_equal(meta_space_left(w.space), THINGS);
	end(&w);
}

/* Read again by somebody who knows nothing. */
static void reopened(struct box *b)
{
	struct world w;
	struct ndm_store *store = begin(&w, b, BLOCKS);
	unsigned i;

	for (i = 0; i < 80; i++)
		assert_int_equal(step(&w), 0);
	assert_int_equal(commit(&w, false), 0);
	meta_free(w.m);
	assert_int_equal(meta_new(box_loop(b), store, false, 0, &w.m), 0);
	kinds(&w);
	assert_int_equal(load(&w), 0);
	counts_right(&w);
	model_right(&w);
	for (i = 0; i < 80; i++)
		assert_int_equal(step(&w), 0);
	assert_int_equal(commit(&w, false), 0);
	counts_right(&w);
	model_right(&w);
	end(&w);
}

/* A commit: all blocks, a flush, block 0, a flush; block 0 is written at no other time. */
static void order(struct box *b)
{
	struct world w;
	const char *log;

	begin(&w, b, BLOCKS);
	tree_new(&w, 0);
	put(&w, 0, 1);
	box_log(b);
	assert_int_equal(commit(&w, false), 0);
	log = box_log(b);
	assert_non_null(strstr(log, "m flush, m write 0+8, m flush"));
	assert_int_equal(strncmp(log, "m write ", 8), 0);
	assert_null(strstr(log, "m write 0+8, m write"));
	assert_false(meta_changed(w.m));
	end(&w);
}

/* No room: an error, and after an abort all is as it was. */
static void full(struct box *b)
{
	struct world w;
	unsigned i, tree, k = 0;
	int err = 0;

	begin(&w, b, BLOCKS);
	tree_new(&w, 0);
	assert_int_equal(commit(&w, false), 0);
	keep(&w, false);
	for (i = 0; !err && i < 100; i++)		/* trees of a block each, until it is full */
		for (tree = 100; !err && tree < 120; tree++) {
			uint64_t keys[2] = { tree * 1000 + i, 0 }, thing = k++;
			uint8_t value[8];

			err = meta_space_inc(w.space, thing);
			le64_put(value, thing << 24);
			if (!err)
				err = meta_btree_insert(&w.trees, &w.root, keys, value, NULL);
		}
	assert_int_equal(err, -ENOSPC);
	meta_abort(w.m);
	assert_int_equal(load(&w), 0);
	keep(&w, true);
	counts_right(&w);
	model_right(&w);
	end(&w);
}

/* The device grows; what is new is used. */
static void grown(struct box *b)
{
	struct world w;
	uint64_t room;
	unsigned i;

	begin(&w, b, 10000);
	meta_free(w.m);
	meta_space_close(w.space);
	w.space = NULL;
	assert_int_equal(meta_new(box_loop(b), box_up(b, "part", "0 4000 linear box:m 0"), false, 0,
				  &w.m), 0);
	kinds(&w);
	assert_int_equal(meta_format(w.m), 0);
	assert_int_equal(meta_space_new(w.m, &w.space), 0);
	assert_int_equal(meta_btree_empty(&w.trees, &w.root), 0);
	assert_int_equal(meta_space_extend(w.space, THINGS), 0);
	assert_int_equal(commit(&w, true), 0);
	room = meta_space_free(w.m);
	meta_store_set(w.m, box_up(b, "more", "0 80000 linear box:m 0"));
	assert_int_equal(meta_extend(w.m, meta_device_blocks(w.m)), 0);
	assert_true(meta_space_free(w.m) >= room + 9500);
	for (i = 0; i < 100; i++)
		assert_int_equal(step(&w), 0);
	assert_int_equal(commit(&w, false), 0);
	counts_right(&w);
	model_right(&w);
	end(&w);
}

/*
 * Bytes of committed blocks become others: with a wrong checksum that is an error; with a right
 * one (the cache keeps what was changed) whatever may come, but no crash and no hang.
 */
static void spoilt(struct box *b)
{
	struct world w;
	struct ndm_store *store = begin(&w, b, BLOCKS);
	uint8_t *saved = malloc(BLOCKS * META_BLOCK_BYTES);
	unsigned round, i, errors = 0;

	for (i = 0; i < 120; i++)
		assert_int_equal(step(&w), 0);
	assert_int_equal(commit(&w, false), 0);
	assert_int_equal(ndm_rw(store, NDM_READ, 0, 0, BLOCKS * META_BLOCK_SECTORS, saved), 0);
	for (i = 0; i < TREES; i++) {
		free(w.model[i]);
		w.model[i] = NULL;
	}
	for (round = 0; round < 400; round++) {
		static const unsigned at[] = { 4, 16, 20, 24, 32, 40, 48, 320, 2048, 2056 };
		struct meta_block *block;
		int err;

		meta_space_close(w.space);
		w.space = NULL;
		meta_free(w.m);
		assert_int_equal(ndm_rw(store, NDM_WRITE, 0, 0, BLOCKS * META_BLOCK_SECTORS, saved), 0);
		assert_int_equal(meta_new(box_loop(b), store, false, 0, &w.m), 0);
		kinds(&w);
		err = load(&w);
		for (i = 0; !err && i < 1 + round % 4; i++) {
			uint64_t nr = 1 + throw(&w, 150);

			if (meta_read(w.m, nr, &meta_type_node, &block) &&
			    meta_read(w.m, nr, &meta_type_bitmap, &block))
				continue;
			if (throw(&w, 3))
				le64_put(block->data + at[throw(&w, 10)], throw(&w, 300));
			else
				block->data[32 + throw(&w, META_BLOCK_BYTES - 32)] ^= 1u << throw(&w, 8);
			meta_put(w.m, block);
		}
		for (i = 0; !err && i < 200; i++) {
			uint64_t keys[2] = { throw(&w, TREES) * 100, throw(&w, KEYS) }, key;
			uint8_t value[8];

			meta_btree_lookup(&w.trees, w.root, keys, value);
			meta_btree_lookup_next(&w.trees, w.root, keys, &key, value);
			meta_btree_highest(&w.trees, w.root, keys, &key, value);
			if (throw(&w, 3))
				err = put(&w, (unsigned)keys[0] / 100, (unsigned)keys[1]);
			else if (throw(&w, 20))
				err = cut(&w, (unsigned)keys[0] / 100, (unsigned)keys[1]);
			else
				err = meta_btree_remove(&w.tops, &w.root, keys);
			if (err == -ENODATA)
				err = 0;
		}
		if (!err)
			err = commit(&w, false);
		if (err) {
			errors++;
			meta_abort(w.m);
		}
	}
	assert_true(errors > 20);
	free(saved);
	end(&w);
}

/* Whatever byte of whatever block: the checksum knows. */
static void flipped(struct box *b)
{
	struct world w;
	struct ndm_store *store = begin(&w, b, BLOCKS);
	uint8_t sector[512];
	struct meta_block *block;
	unsigned i, k;

	tree_new(&w, 0);
	for (i = 0; i < 700; i++)
		put(&w, 0, i);
	assert_int_equal(commit(&w, false), 0);
	for (i = 0; i < 300; i++) {
		uint64_t nr = 1 + throw(&w, 12);
		int err;

		k = throw(&w, 4096);
		meta_free(w.m);
		assert_int_equal(meta_new(box_loop(b), store, false, 0, &w.m), 0);
		kinds(&w);
		assert_int_equal(ndm_rw(store, NDM_READ, 0, nr * 8 + k / 512, 1, sector), 0);
		sector[k % 512] ^= 1u << throw(&w, 8);
		assert_int_equal(ndm_rw(store, NDM_WRITE, 0, nr * 8 + k / 512, 1, sector), 0);
		err = meta_read(w.m, nr, &meta_type_node, &block);
		assert_true(err == -EILSEQ || err == -ENOTBLK);
	}
	end(&w);
}

BOX_DEFINE(churn)
BOX_DEFINE(reopened)
BOX_DEFINE(order)
BOX_DEFINE(full)
BOX_DEFINE(grown)
BOX_DEFINE(spoilt)
BOX_DEFINE(flipped)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(order), BOX_TEST(churn), BOX_TEST(reopened), BOX_TEST(full), BOX_TEST(grown),
		BOX_TEST(spoilt), BOX_TEST(flipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
