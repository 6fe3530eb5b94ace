/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * btree-remove.c - removing one entry, and whole trees.
 *
 * On the way down a child that could fall under a third of what it can hold is merged with a
 * neighbour, or gets some of its entries: Linux's tools call a node with less than a third wrong,
 * unless it is a root.  A root with one child is replaced by it.
 */
#include "inside.h"

/* ---- one entry ---- */

static int child_shadow(const struct meta_btree *t, uint8_t *parent, unsigned i,
			const struct meta_value *v, struct meta_block **out)
{
	uint8_t *slot = node_value(parent, i);
	uint64_t nr = le64_get(slot);
	int err = node_shadow(t, &nr, v, out);

	if (!err)
		le64_put(slot, nr);
	return err;
}

static unsigned third(const uint8_t *n)
{
	return node_max(n) / 3;
}

/* all of right's entries go to left, and right goes */
static int merge(const struct meta_btree *t, uint8_t *parent, unsigned i, struct meta_block *left,
		 struct meta_block *right)
{
	int err = node_shift(left->data, right->data, -(int)node_nr(right->data));

	if (err)
		return err;
	node_cut(parent, i + 1);
	return meta_dec(t->m, right->nr);	/* its children are left's now */
}

static int share(uint8_t *parent, unsigned i, uint8_t *left, uint8_t *right)
{
	unsigned l = node_nr(left), r = node_nr(right);
	int err = node_shift(left, right, (int)l - (int)((l + r) / 2));

	if (!err && node_nr(right))
		node_key_put(parent, i + 1, node_key(right, 0));
	return err;
}

static int neighbours_even(const struct meta_btree *t, uint8_t *parent, unsigned i,
			   const struct meta_value *v)
{
	struct meta_block *left, *right = NULL;
	unsigned total;
	int err = child_shadow(t, parent, i, v, &left);

	if (err)
		return err;
	err = child_shadow(t, parent, i + 1, v, &right);
	if (err) {
		meta_put(t->m, left);
		return err;
	}
	if (left == right) {
		err = -EILSEQ;			/* both lead to the same block */
	} else {
		total = node_nr(left->data) + node_nr(right->data);
		if (total < 2 * (third(left->data) + 1) && total <= node_max(left->data))
			err = merge(t, parent, i, left, right);
		else
			err = share(parent, i, left->data, right->data);
	}
	meta_put(t->m, left);
	meta_put(t->m, right);
	return err;
}

/* child i may lose an entry afterwards */
static int child_strengthen(const struct meta_btree *t, uint8_t *parent, unsigned i,
			    const struct meta_value *v)
{
	struct meta_block *child;
	bool weak;
	int err = node_read(t, node_child(parent, i), v->bytes, &child);

	if (err)
		return err;
	weak = node_nr(child->data) <= third(child->data);
	meta_put(t->m, child);
	if (!weak || node_nr(parent) < 2)
		return 0;
	return neighbours_even(t, parent, i ? i - 1 : 0, v);
}

/* The root leads to one child only: that is the root now. */
static int root_drop(const struct meta_btree *t, struct meta_block **node, uint64_t *root,
		     const struct meta_value *v)
{
	struct meta_block *child;
	int err = child_shadow(t, (*node)->data, 0, v, &child);

	if (err)
		return err;
	*root = child->nr;
	err = meta_dec(t->m, (*node)->nr);
	meta_put(t->m, *node);
	*node = child;
	return err;
}

static int remove_step(const struct meta_btree *t, struct meta_block **node, uint64_t key,
		       const struct meta_value *v)
{
	struct meta_block *child;
	int i = node_find((*node)->data, key), err;

	if (i < 0)
		return -EILSEQ;			/* it was there when it was looked up */
	err = child_strengthen(t, (*node)->data, (unsigned)i, v);
	if (err)
		return err;
	i = node_find((*node)->data, key);
	if (i < 0)
		return -EILSEQ;
	err = child_shadow(t, (*node)->data, (unsigned)i, v, &child);
	if (err)
		return err;
	meta_put(t->m, *node);
	*node = child;
	return 0;
}

static int leaf_remove(struct meta_block *leaf, uint64_t key, const struct meta_value *v)
{
	int i = node_find(leaf->data, key), err;

	if (i < 0 || node_key(leaf->data, (unsigned)i) != key)
		return -EILSEQ;
	err = v->dec ? v->dec(v->context, node_value(leaf->data, (unsigned)i)) : 0;
	if (!err)
		node_cut(leaf->data, (unsigned)i);
	return err;
}

static int level_remove(const struct meta_btree *t, uint64_t *root, uint64_t key,
			const struct meta_value *v)
{
	struct meta_block *node;
	unsigned steps = 0;
	int err = node_shadow(t, root, v, &node);

	if (err)
		return err;
	while (!err && !node_leaf(node->data)) {
		bool is_root = node->nr == *root;

		if (++steps > 2 * META_DEPTH_MAX)
			err = -EILSEQ;
		else if (is_root && node_nr(node->data) == 1)
			err = root_drop(t, &node, root, v);
		else
			err = remove_step(t, &node, key, v);
	}
	if (!err)
		err = leaf_remove(node, key, v);
	meta_put(t->m, node);
	return err;
}

static int remove_level(const struct meta_btree *t, unsigned level, uint64_t *root,
			const uint64_t *keys)
{
	struct meta_value v = level_value(t, level);
	struct meta_block *leaf;
	uint64_t nr;
	unsigned at;
	bool found;
	int err;

	if (level + 1 == t->levels)
		return level_remove(t, root, keys[level], &v);
	err = level_open(t, root, keys[level], &v, &leaf, &at, &found);
	if (err)
		return err;
	if (!found) {
		err = -EILSEQ;
	} else {
		nr = le64_get(node_value(leaf->data, at));
		err = remove_level(t, level + 1, &nr, keys);
		if (!err)
			le64_put(node_value(leaf->data, at), nr);
	}
	meta_put(t->m, leaf);
	return err;
}

int meta_btree_remove(const struct meta_btree *t, uint64_t *root, const uint64_t *keys)
{
	uint8_t value[META_BLOCK_BYTES / 16];
	int err;

	if (t->value.bytes > sizeof value)
		return -EINVAL;
	err = meta_btree_lookup(t, *root, keys, value);		/* -ENODATA changes nothing */
	return err ? err : remove_level(t, 0, root, keys);
}

/* ---- a whole tree ---- */

static int node_del(const struct meta_btree *t, unsigned level, uint64_t nr, unsigned depth)
{
	struct meta_value v = level_value(t, level);
	bool last = level + 1 == t->levels;
	struct meta_block *b;
	uint32_t count;
	unsigned i;
	int err = meta_refs(t->m, nr, &count);

	if (err)
		return err;
	if (!count || depth >= META_DEPTH_MAX)
		return -EILSEQ;
	if (count > 1)				/* somebody else has it, with all that is below */
		return meta_dec(t->m, nr);
	err = node_read(t, nr, v.bytes, &b);
	if (err)
		return err;
	for (i = 0; i < node_nr(b->data) && !err; i++) {
		if (!node_leaf(b->data))
			err = node_del(t, level, node_child(b->data, i), depth + 1);
		else if (!last)
			err = node_del(t, level + 1, node_child(b->data, i), 0);
		else if (v.dec)
			err = v.dec(v.context, node_value(b->data, i));
	}
	meta_put(t->m, b);
	return err ? err : meta_dec(t->m, nr);
}

int meta_btree_del(const struct meta_btree *t, uint64_t root)
{
	return node_del(t, 0, root, 0);
}
