/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree.c - hash blocks in memory.
 *
 * A block that has once matched the digest above it is believed until it is dropped; what is
 * here is bounded, and the block unused for longest goes first.  A suspend drops all.  Blocks
 * that do not match and may be used nevertheless (ignore_corruption) stay unverified and are
 * checked each time.
 *
 * Leaves that follow each other are read ahead; such blocks are checked when they are wanted,
 * so that damage nobody looks at is not noticed.
 */
#include <errno.h>
#include <string.h>

#include "targets/verity/verity.h"

#define CACHE_BYTES (64u << 20)
#define CACHE_LEAST 16u
#define AHEAD_BYTES (256u << 10)
#define AHEAD_BLOCKS 64u

enum node_state { NODE_READING, NODE_READ, NODE_VERIFIED };

struct verity_node {
	uint64_t block;
	enum node_state state;
	unsigned pins;
	struct verity_node *same_bucket, *newer, *older;
	_Alignas(16) uint8_t bytes[];
};

/* ---- the list and the buckets ---- */

static struct verity_node **bucket_of(struct verity *v, uint64_t block)
{
	return &v->cache.buckets[block * 0x9e3779b97f4a7c15ull >> 32 & (v->cache.nbuckets - 1)];
}

static struct verity_node *node_find(struct verity *v, uint64_t block)
{
	struct verity_node *n = *bucket_of(v, block);

	while (n && n->block != block)
		n = n->same_bucket;
	return n;
}

static void list_remove(struct verity_cache *c, struct verity_node *n)
{
	*(n->newer ? &n->newer->older : &c->newest) = n->older;
	*(n->older ? &n->older->newer : &c->oldest) = n->newer;
}

static void list_add(struct verity_cache *c, struct verity_node *n)
{
	n->newer = NULL;
	n->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = n;
	c->newest = n;
}

static void node_remove(struct verity *v, struct verity_node *n)
{
	struct verity_node **p = bucket_of(v, n->block);

	while (*p != n)
		p = &(*p)->same_bucket;
	*p = n->same_bucket;
	list_remove(&v->cache, n);
	v->cache.n--;
	ndm_free(n);
}

static void cache_make_room(struct verity *v)
{
	struct verity_node *n, *newer;

	for (n = v->cache.oldest; n && v->cache.n >= v->cache.most; n = newer) {
		newer = n->newer;
		if (!n->pins)
			node_remove(v, n);
	}
}

static struct verity_node *node_add(struct verity *v, uint64_t block)
{
	struct verity_node *n;

	cache_make_room(v);
	n = ndm_zalloc(sizeof *n + v->tree.hash_block_bytes);
	if (!n)
		return NULL;
	n->block = block;
	n->pins = 1;
	n->same_bucket = *bucket_of(v, block);
	*bucket_of(v, block) = n;
	list_add(&v->cache, n);
	v->cache.n++;
	return n;
}

int verity_cache_init(struct verity *v)
{
	struct verity_cache *c = &v->cache;

	c->most = CACHE_BYTES / v->tree.hash_block_bytes;
	if (c->most < CACHE_LEAST)
		c->most = CACHE_LEAST;
	for (c->nbuckets = 64; c->nbuckets < c->most; c->nbuckets *= 2)
		;
	if (v->tree.end - v->tree.start < c->nbuckets)		/* few there are */
		for (c->nbuckets = 1; c->nbuckets < v->tree.end - v->tree.start; c->nbuckets *= 2)
			;
	c->buckets = ndm_calloc(c->nbuckets, sizeof *c->buckets);
	ndm_waitq_init(&c->read, v->ti->loop);
	return c->buckets ? 0 : -ENOMEM;
}

void verity_cache_drop(struct verity *v)
{
	struct verity_node *n, *older;

	for (n = v->cache.newest; n; n = older) {
		older = n->older;
		if (!n->pins)
			node_remove(v, n);
	}
}

void verity_node_put(struct verity *v, struct verity_node *n)
{
	(void)v;
	if (n)
		n->pins--;
}

static void node_use(struct verity *v, struct verity_node *n)
{
	n->pins++;
	if (v->cache.newest != n) {
		list_remove(&v->cache, n);
		list_add(&v->cache, n);
	}
}

/* ---- reading ---- */

/* How many blocks from this one are worth a read: more than one where leaves are read in turn. */
static unsigned run_length(struct verity *v, uint64_t block)
{
	uint64_t last = v->tree.level_block[0] + v->tree.level_blocks[0];
	unsigned n = 1, most = AHEAD_BYTES / v->tree.hash_block_bytes;

	if (block <= v->tree.level_block[0] || !node_find(v, block - 1))
		return 1;
	if (most > AHEAD_BLOCKS)
		most = AHEAD_BLOCKS;
	while (n < most && block + n < last && !node_find(v, block + n))
		n++;
	return n;
}

static unsigned run_add(struct verity *v, uint64_t block, struct verity_node **run, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		run[i] = node_add(v, block + i);
		if (!run[i])
			break;
	}
	return i;
}

/* Reads blocks that are not here; the first stays pinned. */
static int run_read(struct verity *v, uint64_t block, struct verity_node **out)
{
	struct verity_node *run[AHEAD_BLOCKS];
	size_t each = v->tree.hash_block_bytes, bytes;
	unsigned n = run_add(v, block, run, run_length(v, block)), i;
	uint64_t sectors = each >> NDM_SECTOR_SHIFT;
	uint8_t *buffer;
	int err;

	if (!n)
		return -ENOMEM;
	bytes = n * each;
	buffer = ndm_buffer_get(v->ti->loop, bytes);
	err = buffer ? ndm_rw(v->hash->store, NDM_READ, NDM_META, block * sectors, n * sectors,
			      buffer) : -ENOMEM;
	for (i = 0; i < n; i++) {
		if (err) {
			node_remove(v, run[i]);
			continue;
		}
		memcpy(run[i]->bytes, buffer + i * each, each);
		run[i]->state = NODE_READ;
		run[i]->pins -= i > 0;
	}
	ndm_buffer_put(v->ti->loop, buffer, bytes);
	ndm_wake_all(&v->cache.read);
	*out = run[0];
	return err;
}

/* A block of the tree, pinned, verified or not. */
static int node_get(struct verity *v, uint64_t block, struct verity_node **out)
{
	struct verity_node *n;

	while ((n = node_find(v, block))) {
		if (n->state != NODE_READING) {
			node_use(v, n);
			*out = n;
			return 0;
		}
		ndm_wait(&v->cache.read);
	}
	return run_read(v, block, out);
}

/* ---- believing ---- */

/* quiet: for the sake of a repair, so nothing is repaired and nothing counted */
static int node_verify(struct verity *v, struct verity_node *n, const uint8_t *want, bool quiet)
{
	uint8_t got[NDM_HASH_MAX];
	int err = verity_digest(v, 0, n->bytes, v->tree.hash_block_bytes, got);

	if (err)
		return err;
	if (!memcmp(got, want, v->digest_bytes) ||
	    (!quiet && !verity_repair(v, true, n->block, want, n->bytes))) {
		n->state = NODE_VERIFIED;
		return 0;
	}
	return quiet ? -EIO : verity_mismatch(v, true, n->block, want, got);
}

struct verity_node *verity_leaf_cached(struct verity *v, uint64_t block)
{
	struct verity_node *n = node_find(v, ndm_verity_tree_block(&v->tree, block, 0));

	if (!n || n->state != NODE_VERIFIED)
		return NULL;
	node_use(v, n);
	return n;
}

/* The lowest level whose block is here and verified, or that of the root's own digest. */
static unsigned level_known(struct verity *v, uint64_t block)
{
	struct verity_node *n;
	unsigned i;

	for (i = 0; i < v->tree.levels; i++) {
		n = node_find(v, ndm_verity_tree_block(&v->tree, block, i));
		if (n && n->state == NODE_VERIFIED)
			break;
	}
	return i;
}

int verity_leaf(struct verity *v, uint64_t block, bool quiet, struct verity_node **out)
{
	unsigned level = level_known(v, block);
	uint8_t want[NDM_HASH_MAX];
	struct verity_node *n = NULL;
	int err = 0;

	memcpy(want, v->root, v->digest_bytes);
	if (level < v->tree.levels)
		level++;		/* begin with the verified one itself */
	while (!err && level--) {
		verity_node_put(v, n);
		err = node_get(v, ndm_verity_tree_block(&v->tree, block, level), &n);
		if (err) {
			n = NULL;
			break;
		}
		if (n->state != NODE_VERIFIED)
			err = node_verify(v, n, want, quiet);
		memcpy(want, n->bytes + ndm_verity_tree_offset(&v->tree, block, level),
		       v->digest_bytes);
	}
	if (err) {
		verity_node_put(v, n);
		n = NULL;
	}
	*out = n;
	return err;
}

const uint8_t *verity_wanted(const struct verity *v, const struct verity_node *leaf, uint64_t block)
{
	return leaf ? leaf->bytes + ndm_verity_tree_offset(&v->tree, block, 0) : v->root;
}
