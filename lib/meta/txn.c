/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * txn.c - transactions: new blocks, shadows, commit, abort.
 *
 * Crash states: before meta_commit_end() has written block 0 the last superblock leads to blocks
 * none of which was touched; after it, to the new ones, which were durable before.
 */
#include "inside.h"

int meta_block_new(struct meta *m, const struct meta_type *type, struct meta_block **out)
{
	uint64_t nr;
	int err = counts_alloc(m, &nr);

	return err ? err : block_make(m, nr, type, out);
}

static int shadow_copy(struct meta *m, uint64_t *nr, const struct meta_type *type,
		       struct meta_block *from, struct meta_block **out)
{
	struct meta_block *b;
	int err = meta_block_new(m, type, &b);

	if (err)
		return err;
	memcpy(b->data, from->data, META_BLOCK_BYTES);
	err = meta_dec(m, *nr);
	if (err) {
		meta_put(m, b);
		return err;
	}
	*nr = b->nr;
	*out = b;
	return 0;
}

int meta_shadow(struct meta *m, uint64_t *nr, const struct meta_type *type,
		struct meta_block **out, bool *shared)
{
	struct meta_block *from;
	uint32_t count;
	int err = meta_refs(m, *nr, &count);

	if (err)
		return err;
	if (!count)
		return -EILSEQ;			/* something leads to a free block */
	err = meta_read(m, *nr, type, &from);
	if (err)
		return err;
	*shared = count > 1;
	if (from->fresh && count == 1) {
		block_dirty(m, from);
		*out = from;
		return 0;
	}
	err = shadow_copy(m, nr, type, from, out);
	meta_put(m, from);
	return err;
}

bool meta_changed(const struct meta *m)
{
	return m->ndirty || m->space.changed;
}

int meta_commit_begin(struct meta *m)
{
	int err = counts_write(m);

	return err ? err : blocks_write(m);
}

int meta_super(struct meta *m, const struct meta_type *type, bool make, struct meta_block **out)
{
	struct meta_block *b;
	int err = make ? block_make(m, 0, type, &b) : meta_read(m, 0, type, &b);

	if (err)
		return err;
	b->fresh = false;
	block_dirty(m, b);
	*out = b;
	return 0;
}

int meta_super_write(struct meta *m, struct meta_block *super)
{
	int err = block_write(m, super);

	meta_put(m, super);
	return err;
}

int meta_commit_end(struct meta *m, struct meta_block *super)
{
	int err = meta_super_write(m, super);

	if (err)
		return err;
	blocks_settle(m);
	counts_settle(m);
	return 0;
}

int meta_commit(struct meta *m, const struct meta_type *type, bool make,
		void (*fill)(const void *arg, uint8_t *super), const void *arg)
{
	struct meta_block *b;
	int err = meta_commit_begin(m);

	if (!err)
		err = meta_super(m, type, make, &b);
	if (err)
		return err;
	fill(arg, b->data);
	return meta_commit_end(m, b);
}

void meta_abort(struct meta *m)
{
	blocks_abort(m);
	counts_free(m);
}
