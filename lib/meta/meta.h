/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta.h - metadata that is never overwritten in place: Linux's persistent-data, byte for byte.
 *
 *	block.c		a cache of 4096-byte blocks with checksums
 *	txn.c		transactions: new blocks, shadows (copies on write), commit, abort
 *	space-meta.c	reference counts of the metadata blocks themselves
 *	btree*.c	u64 -> fixed-size values, in one or several levels
 *	space-disk.c	reference counts of something else (thin's data blocks), kept in metadata
 *
 * How it is used.  A target has one struct meta for its metadata device, and a superblock of its
 * own type in block 0.
 *
 *	meta_new();
 *	meta_read(m, 0, &my_super, &b);			has it been formatted? then
 *		meta_load(m, b->data + where the root of the space map is);
 *	or else	meta_format(m);				and meta_btree_empty() for each tree
 *	... meta_btree_insert() and so on, keeping the new roots in memory ...
 *	meta_commit(m, &my_super, false, fill, arg);	which is
 *	meta_commit_begin(m);				all but the superblock is durable
 *	meta_super(m, &my_super, false, &b);		block 0, to be filled in:
 *		meta_space_root(m, b->data + ...);	and the roots of the trees
 *	meta_commit_end(m, b);				block 0 is durable, a transaction is over
 *
 * Transactions.  All changes between two commits count or none does: until meta_commit_end() has
 * written block 0 everything is in blocks that the last superblock does not lead to.  A block
 * that was freed is not given out again before the commit.  So two flushes of the device for a
 * commit; what else must be durable before (thin: the data) the target flushes itself, first.
 *
 * Errors.  A function that changes something and fails leaves a transaction that can only be
 * thrown away: call meta_abort(), read the superblock anew and meta_load().  The exceptions are
 * said where they are.  -ENODATA is "no such key" and changes nothing; -EILSEQ a block that is
 * not what it should be; -ENOTBLK one that says it is another; -EINVAL one that was read as
 * something else before; -ENOSPC no free metadata block.  Nothing that is on disk, whatever it
 * is, makes these functions crash, loop or write outside blocks that the space map calls free.
 *
 * Waiting and locks.  Whatever is marked ndm_waits may read blocks.  There is no lock inside:
 * the target has one ndm_rwlock, reads under ndm_rdlock and changes (commit and abort too) under
 * ndm_wrlock.  Where waiting is forbidden (map), meta_btree_lookup_cached() answers from memory
 * or says -EAGAIN; ask it only while nobody holds or wants the write lock.
 *
 * Units: "block" is a metadata block, META_BLOCK_SECTORS long.
 */
#ifndef NDM_META_H
#define NDM_META_H

#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/bytes.h"

#define META_BLOCK_BYTES 4096u
#define META_BLOCK_SECTORS 8u
#define META_SPACE_ROOT_BYTES 32u	/* of either space map; superblocks keep 128 bytes for it */
#define META_BLOCKS_MAX (255u * 16320u)	/* what a metadata space map can count: 15.875 GiB */

struct meta;

/* ---- blocks ---- */

/* What a block is: checked when it is read, checksum and number written when it is written. */
struct meta_type {
	const char *name;
	uint32_t mask;				/* the checksum is crc32c XOR this, in the first 4 bytes */
	unsigned nr_at;				/* byte where the block's own number stands, u64 */
	int (*check)(const uint8_t *data);	/* beyond number and checksum; NULL: nothing */
};

struct meta_block {
	uint64_t nr;
	uint8_t *data;				/* META_BLOCK_BYTES; change it only when it is yours */
	const struct meta_type *type;
	/* block.c */
	unsigned pins;
	bool dirty;				/* differs from the disk */
	bool fresh;				/* made in this transaction: may be changed in place */
	bool reading, gone;
	int error;
	struct meta_block *hash_next, *prev, *next;
	struct ndm_waitq q;
};

/* read_only: nothing is ever written; cached: how many clean blocks are remembered, 0 = default */
int meta_new(struct ndm_loop *, struct ndm_store *, bool read_only, unsigned cached, struct meta **);
void meta_free(struct meta *);			/* NULL is fine; nothing is written */
/* another table has opened the same device: this store is used from now on */
void meta_store_set(struct meta *, struct ndm_store *);
uint64_t meta_device_blocks(const struct meta *);	/* how many the device has, at most the maximum */

/* A block to look at; give it back with meta_put(). */
int meta_read(struct meta *, uint64_t nr, const struct meta_type *, struct meta_block **) ndm_waits;
int meta_read_cached(struct meta *, uint64_t nr, const struct meta_type *, struct meta_block **);
void meta_put(struct meta *, struct meta_block *);
/* 1: block 0 is all zero (never formatted), 0: it is not, -errno */
int meta_blank(struct meta *) ndm_waits;

/* ---- transactions ---- */

/* A new block, zeroed, with one reference; to be put. */
int meta_block_new(struct meta *, const struct meta_type *, struct meta_block **) ndm_waits;
/*
 * A block that may be changed and holds what *nr did: itself, or a copy that takes over one
 * reference; *nr is updated.  *shared: the old block has other parents, so everything that the
 * copy points to has one reference more: add them.
 */
int meta_shadow(struct meta *, uint64_t *nr, const struct meta_type *, struct meta_block **,
		bool *shared) ndm_waits;
/* References to a block.  dec does not look into it: its children keep theirs. */
int meta_inc(struct meta *, uint64_t nr);
int meta_dec(struct meta *, uint64_t nr);
int meta_refs(const struct meta *, uint64_t nr, uint32_t *count);

/* Has anything been changed since the last commit? */
bool meta_changed(const struct meta *);
int meta_commit_begin(struct meta *) ndm_waits;
/* Block 0, to be changed and handed to meta_commit_end() or meta_super_write(); make: all zero. */
int meta_super(struct meta *, const struct meta_type *, bool make, struct meta_block **) ndm_waits;
int meta_commit_end(struct meta *, struct meta_block *super) ndm_waits;
/* All three, for those who have nothing to do in between: fill() writes the superblock's own part. */
int meta_commit(struct meta *, const struct meta_type *, bool make,
		void (*fill)(const void *arg, uint8_t *super), const void *arg) ndm_waits;
/*
 * Block 0 alone, outside of a transaction: a flag in a committed superblock.  When it fails the
 * transaction is none the worse; block 0 stays changed in memory, and may be tried again.
 */
int meta_super_write(struct meta *, struct meta_block *super) ndm_waits;
/* Forgets everything since the last commit.  Then meta_read() block 0 and meta_load(). */
void meta_abort(struct meta *);

/* ---- the space map of the metadata ---- */

int meta_format(struct meta *) ndm_waits;	/* everything but block 0 is free */
int meta_load(struct meta *, const uint8_t root[META_SPACE_ROOT_BYTES]) ndm_waits;
/* after meta_commit_begin() */
void meta_space_root(const struct meta *, uint8_t root[META_SPACE_ROOT_BYTES]);
int meta_extend(struct meta *, uint64_t nr_blocks) ndm_waits;	/* the device has become larger */
uint64_t meta_space_blocks(const struct meta *);
/* what can still be allocated in this transaction: what it frees does not count yet */
uint64_t meta_space_free(const struct meta *);

/* ---- btrees ---- */

/* What the values of a tree are. */
struct meta_value {
	unsigned bytes;				/* on disk, little-endian as the user likes it */
	/*
	 * A leaf was copied, and with it this value; a value is gone.  NULL where values refer
	 * to nothing.  Not called for the value handed to insert: that reference is the caller's
	 * gift.
	 */
	int (*inc)(void *context, const void *value) ndm_waits;
	int (*dec)(void *context, const void *value) ndm_waits;
	/* the same reference: overwriting one by the other needs no dec; NULL: never */
	bool (*equal)(void *context, const void *, const void *);
	void *context;
};

#define META_LEVELS_MAX 4u

/*
 * A kind of tree.  With several levels the leaves of the upper ones hold roots of the next, and
 * keys are one for each level.  Roots are plain numbers that the user keeps.  A tree whose top
 * level is to be handled by itself is described by another struct with levels = 1 and values
 * that are roots (meta_value_tree()).
 */
struct meta_btree {
	struct meta *m;
	unsigned levels;
	struct meta_value value;		/* of the lowest level */
};

int meta_btree_empty(const struct meta_btree *, uint64_t *root) ndm_waits;
/* drops one reference to the whole tree, and what goes with it */
int meta_btree_del(const struct meta_btree *, uint64_t root) ndm_waits;
int meta_btree_lookup(const struct meta_btree *, uint64_t root, const uint64_t *keys,
		      void *value) ndm_waits;
int meta_btree_lookup_cached(const struct meta_btree *, uint64_t root, const uint64_t *keys,
			     void *value);
/* the first entry whose lowest-level key is keys[levels - 1] or greater; *key is that key */
int meta_btree_lookup_next(const struct meta_btree *, uint64_t root, const uint64_t *keys,
			   uint64_t *key, void *value) ndm_waits;
/* the ends of the lowest level below keys[0 .. levels - 2]; -ENODATA: it is empty.  value or NULL */
int meta_btree_lowest(const struct meta_btree *, uint64_t root, const uint64_t *keys,
		      uint64_t *key, void *value) ndm_waits;
int meta_btree_highest(const struct meta_btree *, uint64_t root, const uint64_t *keys,
		       uint64_t *key, void *value) ndm_waits;
/* root is updated; *added (or NULL): the key was not there before.  Upper levels are made. */
int meta_btree_insert(const struct meta_btree *, uint64_t *root, const uint64_t *keys,
		      const void *value, bool *added) ndm_waits;
/* -ENODATA changes nothing */
int meta_btree_remove(const struct meta_btree *, uint64_t *root, const uint64_t *keys) ndm_waits;
/* one level: every entry in order, until fn says otherwise than 0; that is then returned */
int meta_btree_walk(const struct meta_btree *, uint64_t root,
		    int (*fn)(void *arg, uint64_t key, const void *value), void *arg) ndm_waits;
/* every block of a tree of one level, each once; for checks of reference counts */
int meta_btree_blocks(const struct meta_btree *, uint64_t root,
		      int (*fn)(void *arg, uint64_t nr), void *arg) ndm_waits;

/* Values that are roots of trees of kind `sub` (which must outlive them). */
struct meta_value meta_value_tree(const struct meta_btree *sub);
/* Values that are numbers of metadata blocks, u64, whose contents refer to nothing. */
struct meta_value meta_value_block(struct meta *);

/* ---- a space map kept in metadata: counts for `nr` things that are elsewhere ---- */

struct meta_space;

int meta_space_new(struct meta *, struct meta_space **) ndm_waits;	/* of zero things */
int meta_space_open(struct meta *, const uint8_t root[META_SPACE_ROOT_BYTES],
		    struct meta_space **) ndm_waits;
void meta_space_close(struct meta_space *);	/* NULL is fine */
int meta_space_extend(struct meta_space *, uint64_t nr) ndm_waits;
int meta_space_inc(struct meta_space *, uint64_t b) ndm_waits;
int meta_space_dec(struct meta_space *, uint64_t b) ndm_waits;
int meta_space_count(struct meta_space *, uint64_t b, uint32_t *count) ndm_waits;
/*
 * The first thing at or after `from` that is free now and was at the last commit, and for which
 * `taken` (or NULL) does not say otherwise; -ENOSPC.  It stays free until meta_space_inc().
 */
int meta_space_find(struct meta_space *, uint64_t from, bool (*taken)(void *arg, uint64_t b),
		    void *arg, uint64_t *b) ndm_waits;
/* before meta_commit_begin(): brings it into the transaction */
int meta_space_commit(struct meta_space *) ndm_waits;
/* after it; the root to be written to the superblock */
void meta_space_disk_root(const struct meta_space *, uint8_t root[META_SPACE_ROOT_BYTES]);
/* after meta_commit_end(): what this transaction has freed may be used */
void meta_space_committed(struct meta_space *);
uint64_t meta_space_total(const struct meta_space *);
uint64_t meta_space_left(const struct meta_space *);	/* free, net of this transaction */
bool meta_space_freed(const struct meta_space *);	/* has this transaction freed anything? */

/* For formats that build upon this (arrays): the types of blocks that are known here. */
extern const struct meta_type meta_type_node, meta_type_bitmap, meta_type_index;

#endif
