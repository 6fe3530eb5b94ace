/* SPDX-License-Identifier: BSD-2-Clause */
/* inside.h - what the files of lib/meta share. */
#ifndef NDM_META_INSIDE_H
#define NDM_META_INSIDE_H

#include "meta.h"
#include "../kit/patient.h"

#define META_BUCKETS 4096u
#define META_CACHED_DEFAULT 4096u	/* blocks: 16 MiB */
#define META_PER_BITMAP 16320u		/* counts of 2 bits */
#define META_BITMAPS_MAX 255u		/* of the metadata's own space map */
#define META_BITMAP_AT 16u		/* bytes of header */
#define META_DEPTH_MAX 24u		/* nodes from a root to a leaf: more is a loop */

/* One bitmap of the metadata's space map. */
struct meta_bitmap {
	uint64_t nr;			/* where it is; 0: nowhere yet */
	uint32_t busy;			/* entries in use, now or at the last commit */
	uint32_t nr_free, first_free;	/* as the index says */
	bool dirty;			/* counts have changed since it was written */
	bool moved;			/* has a block of this transaction */
	bool bad;			/* could not be read: its counts are unknown */
};

/* All counts of the metadata blocks are in memory: 4 bytes each, 16 MiB at most. */
struct meta_counts {
	uint64_t nr;
	uint32_t *counts;
	uint8_t *committed;		/* a bit for each: in use at the last commit */
	uint8_t *waiting;		/* a bit for each: in the list below */
	uint64_t *list;			/* those whose entry in the tree of large counts is old */
	size_t list_n, list_cap;
	struct meta_bitmap bitmaps[META_BITMAPS_MAX];
	unsigned nbitmaps;
	uint64_t allocated, committed_allocated, allocated_now;
	uint64_t cursor;
	uint64_t index_nr, large_root;
	bool index_moved, changed, loaded;
};

struct meta {
	struct ndm_loop *loop;
	struct ndm_store *store;
	bool read_only;
	unsigned cached, nblocks, ndirty;
	struct meta_block **buckets;
	struct meta_block lru;		/* head of the ring of clean blocks, oldest at prev */
	struct meta_block dirty;	/* head of the ring of dirty ones */
	struct meta_counts space;
	struct meta_btree large;	/* count of 3 and more, by block */
};

/* block.c */
void block_dirty(struct meta *, struct meta_block *);
int block_make(struct meta *, uint64_t nr, const struct meta_type *, struct meta_block **);
void block_forget(struct meta *, uint64_t nr);
int blocks_write(struct meta *) ndm_waits;
int block_write(struct meta *, struct meta_block *) ndm_waits;
void blocks_settle(struct meta *);
void blocks_abort(struct meta *);

/* space-meta.c */
int counts_alloc(struct meta *, uint64_t *nr);
int counts_write(struct meta *) ndm_waits;
void counts_settle(struct meta *);
void counts_free(struct meta *);

/* bitmaps, for both space maps */
static inline unsigned bitmap_get(const uint8_t *data, unsigned i)
{
	unsigned v = data[META_BITMAP_AT + i / 4] >> i % 4 * 2 & 3;

	return v == 1 ? 2 : v == 2 ? 1 : v;		/* the lower-numbered bit is the high one */
}

static inline void bitmap_put(uint8_t *data, unsigned i, unsigned count)
{
	uint8_t *p = data + META_BITMAP_AT + i / 4;
	unsigned v = count == 1 ? 2 : count == 2 ? 1 : count;

	*p = (uint8_t)((*p & ~(3u << i % 4 * 2)) | v << i % 4 * 2);
}

/* btree-node.c: a node is the data of its block */
enum { NODE_INTERNAL = 1, NODE_LEAF = 2 };

static inline bool node_leaf(const uint8_t *n) { return le32_get(n + 4) == NODE_LEAF; }
static inline unsigned node_nr(const uint8_t *n) { return le32_get(n + 16); }
static inline unsigned node_max(const uint8_t *n) { return le32_get(n + 20); }
static inline unsigned node_bytes(const uint8_t *n) { return le32_get(n + 24); }
static inline uint64_t node_key(const uint8_t *n, unsigned i) { return le64_get(n + 32 + 8 * i); }
static inline uint8_t *node_value(const uint8_t *n, unsigned i)
{
	return (uint8_t *)n + 32 + 8 * node_max(n) + node_bytes(n) * i;
}
static inline uint64_t node_child(const uint8_t *n, unsigned i) { return le64_get(node_value(n, i)); }

unsigned node_capacity(unsigned value_bytes);
void node_init(uint8_t *n, unsigned flags, unsigned max, unsigned value_bytes);
/* the last entry whose key is `key` or less; -1: none */
int node_find(const uint8_t *n, uint64_t key);
int node_add(uint8_t *n, unsigned i, uint64_t key, const void *value);
void node_cut(uint8_t *n, unsigned i);
void node_key_put(uint8_t *n, unsigned i, uint64_t key);
/* moves the last (count > 0) entries of left to right, or the first of right to left (< 0) */
int node_shift(uint8_t *left, uint8_t *right, int count);

/* btree.c */
int node_read(const struct meta_btree *, uint64_t nr, unsigned value_bytes, struct meta_block **) ndm_waits;
int node_shadow(const struct meta_btree *, uint64_t *nr, const struct meta_value *,
		struct meta_block **) ndm_waits;
struct meta_value level_value(const struct meta_btree *, unsigned level);
int level_open(const struct meta_btree *, uint64_t *root, uint64_t key, const struct meta_value *,
	       struct meta_block **leaf, unsigned *at, bool *found) ndm_waits;

#endif
