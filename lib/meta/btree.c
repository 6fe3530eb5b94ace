/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * btree.c - looking up and inserting.
 *
 * An insert goes down once, from the root: it shadows each node and splits the full ones, so that
 * there is room when a child is split.  Upper levels go first: their leaf is a copy already, and
 * its trees have got their further reference, when the next tree is shadowed.
 */
#include "inside.h"

#define VALUE_MAX 256u				/* bytes; the largest of Linux's is 24 */

/* ---- what a level's values are ---- */

static int tree_inc(void *context, const void *value)
{
	const struct meta_btree *sub = context;

	return meta_inc(sub->m, le64_get(value));
}

static int tree_dec(void *context, const void *value)
{
	return meta_btree_del(context, le64_get(value));
}

static bool number_equal(void *context, const void *a, const void *b)
{
	(void)context;
	return !memcmp(a, b, 8);
}

struct meta_value meta_value_tree(const struct meta_btree *sub)
{
	return (struct meta_value){ .bytes = 8, .inc = tree_inc, .dec = tree_dec,
				    .equal = number_equal, .context = (void *)sub };
}

static int block_inc(void *context, const void *value)
{
	return meta_inc(context, le64_get(value));
}

static int block_dec(void *context, const void *value)
{
	return meta_dec(context, le64_get(value));
}

struct meta_value meta_value_block(struct meta *m)
{
	return (struct meta_value){ .bytes = 8, .inc = block_inc, .dec = block_dec,
				    .equal = number_equal, .context = m };
}

/* upper levels: roots.  Their dec is never called here: only whole trees are deleted. */
struct meta_value level_value(const struct meta_btree *t, unsigned level)
{
	if (level + 1 == t->levels)
		return t->value;
	return meta_value_block(t->m);
}

/* ---- nodes ---- */

/* value_bytes: of the leaves of this level */
int node_read(const struct meta_btree *t, uint64_t nr, unsigned value_bytes, struct meta_block **out)
{
	struct meta_block *b;
	int err = meta_read(t->m, nr, &meta_type_node, &b);

	if (err)
		return err;
	if (node_leaf(b->data) && node_bytes(b->data) != value_bytes) {
		meta_put(t->m, b);
		return -EILSEQ;
	}
	*out = b;
	return 0;
}

static int children_inc(const struct meta_btree *t, const uint8_t *n, const struct meta_value *v)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < node_nr(n) && !err; i++) {
		if (!node_leaf(n))
			err = meta_inc(t->m, node_child(n, i));
		else if (v->inc)
			err = v->inc(v->context, node_value(n, i));
	}
	return err;
}

int node_shadow(const struct meta_btree *t, uint64_t *nr, const struct meta_value *v,
		struct meta_block **out)
{
	struct meta_block *b;
	bool shared;
	int err = meta_shadow(t->m, nr, &meta_type_node, &b, &shared);

	if (err)
		return err;
	if (node_leaf(b->data) && node_bytes(b->data) != v->bytes)
		err = -EILSEQ;
	else if (shared)
		err = children_inc(t, b->data, v);
	if (err) {
		meta_put(t->m, b);
		return err;
	}
	*out = b;
	return 0;
}

int meta_btree_empty(const struct meta_btree *t, uint64_t *root)
{
	struct meta_value v = level_value(t, 0);
	struct meta_block *b;
	int err = meta_block_new(t->m, &meta_type_node, &b);

	if (err)
		return err;
	node_init(b->data, NODE_LEAF, node_capacity(v.bytes), v.bytes);
	*root = b->nr;
	meta_put(t->m, b);
	return 0;
}

/* ---- looking up ---- */

static int level_find(const struct meta_btree *t, uint64_t nr, uint64_t key, unsigned bytes,
		      bool cached, void *value)
{
	struct meta_block *b;
	unsigned depth;
	int i, err;

	for (depth = 0; depth < META_DEPTH_MAX; depth++) {
		err = cached ? meta_read_cached(t->m, nr, &meta_type_node, &b) :
			       node_read(t, nr, bytes, &b);
		if (err)
			return err;
		i = node_find(b->data, key);
		if (node_leaf(b->data)) {
			if (node_bytes(b->data) != bytes)
				err = -EILSEQ;
			else if (i < 0 || node_key(b->data, (unsigned)i) != key)
				err = -ENODATA;
			else
				memcpy(value, node_value(b->data, (unsigned)i), bytes);
			meta_put(t->m, b);
			return err;
		}
		nr = i < 0 ? 0 : node_child(b->data, (unsigned)i);
		meta_put(t->m, b);
		if (i < 0)
			return -ENODATA;
	}
	return -EILSEQ;
}

/* the root of the tree of the lowest level */
static int upper_find(const struct meta_btree *t, uint64_t *root, const uint64_t *keys, bool cached)
{
	uint8_t value[8];
	unsigned i;
	int err = 0;

	for (i = 0; i + 1 < t->levels && !err; i++) {
		err = level_find(t, *root, keys[i], 8, cached, value);
		*root = err ? 0 : le64_get(value);
	}
	return err;
}

int meta_btree_lookup(const struct meta_btree *t, uint64_t root, const uint64_t *keys, void *value)
{
	int err = upper_find(t, &root, keys, false);

	return err ? err : level_find(t, root, keys[t->levels - 1], t->value.bytes, false, value);
}

int meta_btree_lookup_cached(const struct meta_btree *t, uint64_t root, const uint64_t *keys,
			     void *value)
{
	int err = upper_find(t, &root, keys, true);

	return err ? err : level_find(t, root, keys[t->levels - 1], t->value.bytes, true, value);
}

struct seek { uint64_t want, *key; void *value; bool last; };

/* The first entry at or after want below this node, or the last one of all. */
static int node_seek(const struct meta_btree *t, uint64_t nr, const struct seek *s, unsigned depth)
{
	struct meta_block *b;
	int i, end, step = s->last ? -1 : 1, err;

	if (depth >= META_DEPTH_MAX)
		return -EILSEQ;
	err = node_read(t, nr, t->value.bytes, &b);
	if (err)
		return err;
	end = (int)node_nr(b->data);
	i = s->last ? end - 1 : node_find(b->data, s->want);
	if (!s->last && (i < 0 || (node_leaf(b->data) && node_key(b->data, (unsigned)i) < s->want)))
		i++;
	err = -ENODATA;
	for (; i >= 0 && i < end && err == -ENODATA; i += step) {
		if (!node_leaf(b->data)) {
			err = node_seek(t, node_child(b->data, (unsigned)i), s, depth + 1);
			continue;
		}
		*s->key = node_key(b->data, (unsigned)i);
		if (s->value)
			memcpy(s->value, node_value(b->data, (unsigned)i), t->value.bytes);
		err = 0;
	}
	meta_put(t->m, b);
	return err;
}

static int tree_seek(const struct meta_btree *t, uint64_t root, const uint64_t *keys,
		     const struct seek *s)
{
	int err = upper_find(t, &root, keys, false);

	return err ? err : node_seek(t, root, s, 0);
}

int meta_btree_lookup_next(const struct meta_btree *t, uint64_t root, const uint64_t *keys,
			   uint64_t *key, void *value)
{
	struct seek s = { .want = keys[t->levels - 1], .key = key, .value = value };

	return tree_seek(t, root, keys, &s);
}

int meta_btree_lowest(const struct meta_btree *t, uint64_t root, const uint64_t *keys,
		      uint64_t *key, void *value)
{
	struct seek s = { .key = key, .value = value };

	return tree_seek(t, root, keys, &s);
}

int meta_btree_highest(const struct meta_btree *t, uint64_t root, const uint64_t *keys,
		       uint64_t *key, void *value)
{
	struct seek s = { .key = key, .value = value, .last = true };

	return tree_seek(t, root, keys, &s);
}

/* ---- walking ---- */

struct walk {
	int (*entry)(void *arg, uint64_t key, const void *value);
	int (*block)(void *arg, uint64_t nr);
	void *arg;
	uint64_t left;				/* nodes: a tree cannot have more than the device */
};

static int node_walk(const struct meta_btree *t, uint64_t nr, struct walk *w, unsigned depth)
{
	struct meta_block *b;
	unsigned i;
	int err;

	if (depth >= META_DEPTH_MAX || !w->left--)
		return -EILSEQ;
	err = node_read(t, nr, t->value.bytes, &b);
	if (err)
		return err;
	if (w->block)
		err = w->block(w->arg, nr);
	for (i = 0; i < node_nr(b->data) && !err; i++) {
		if (!node_leaf(b->data))
			err = node_walk(t, node_child(b->data, i), w, depth + 1);
		else if (w->entry)
			err = w->entry(w->arg, node_key(b->data, i), node_value(b->data, i));
	}
	meta_put(t->m, b);
	return err;
}

int meta_btree_walk(const struct meta_btree *t, uint64_t root,
		    int (*fn)(void *arg, uint64_t key, const void *value), void *arg)
{
	struct walk w = { .entry = fn, .arg = arg, .left = meta_device_blocks(t->m) };

	return node_walk(t, root, &w, 0);
}

int meta_btree_blocks(const struct meta_btree *t, uint64_t root,
		      int (*fn)(void *arg, uint64_t nr), void *arg)
{
	struct walk w = { .block = fn, .arg = arg, .left = meta_device_blocks(t->m) };

	return node_walk(t, root, &w, 0);
}

/* ---- inserting ---- */

static int node_new_like(const struct meta_btree *t, const uint8_t *n, struct meta_block **out)
{
	int err = meta_block_new(t->m, &meta_type_node, out);

	if (!err)
		node_init((*out)->data, le32_get(n + 4), node_max(n), node_bytes(n));
	return err;
}

static void put64(uint8_t value[8], uint64_t v)
{
	le64_put(value, v);
}

/* The root's content goes to two new children: the root block stays the root. */
static int root_split(const struct meta_btree *t, struct meta_block *root)
{
	struct meta_block *left, *right;
	unsigned nr = node_nr(root->data);
	uint8_t value[8];
	int err = node_new_like(t, root->data, &left);

	if (err)
		return err;
	err = node_new_like(t, root->data, &right);
	if (err) {
		meta_put(t->m, left);
		return err;
	}
	err = node_shift(root->data, right->data, (int)(nr - nr / 2));
	if (!err)
		err = node_shift(root->data, left->data, (int)(nr / 2));
	node_init(root->data, NODE_INTERNAL, node_capacity(8), 8);
	le32_put(root->data + 16, 0);
	put64(value, left->nr);
	if (!err)
		err = node_add(root->data, 0, node_key(left->data, 0), value);
	put64(value, right->nr);
	if (!err)
		err = node_add(root->data, 1, node_key(right->data, 0), value);
	meta_put(t->m, left);
	meta_put(t->m, right);
	return err;
}

static int child_split(const struct meta_btree *t, uint8_t *parent, unsigned i,
		       struct meta_block *child)
{
	unsigned nr = node_nr(child->data);
	struct meta_block *right;
	uint8_t value[8];
	int err = node_new_like(t, child->data, &right);

	if (err)
		return err;
	err = node_shift(child->data, right->data, (int)(nr - nr / 2));
	put64(value, right->nr);
	if (!err)
		err = node_add(parent, i + 1, node_key(right->data, 0), value);
	meta_put(t->m, right);
	return err;
}

static bool wants_split(const uint8_t *n, uint64_t key)
{
	int i;

	if (node_nr(n) < node_max(n))
		return false;
	i = node_find(n, key);
	return !node_leaf(n) || i < 0 || node_key(n, (unsigned)i) != key;
}

/* one step down from `node`, which is put; *node becomes the child */
static int level_step(const struct meta_btree *t, struct meta_block **node, uint64_t key,
		      const struct meta_value *v)
{
	uint8_t *n = (*node)->data, *slot;
	struct meta_block *child;
	uint64_t nr;
	int i = node_find(n, key), err;

	if (i < 0) {				/* below all that there is */
		i = 0;
		node_key_put(n, 0, key);
	}
	slot = node_value(n, (unsigned)i);
	nr = le64_get(slot);
	err = node_shadow(t, &nr, v, &child);
	if (err)
		return err;
	put64(slot, nr);
	if (wants_split(child->data, key)) {
		err = child_split(t, n, (unsigned)i, child);
		meta_put(t->m, child);
		return err ? err : 1;		/* which half it is: look again */
	}
	meta_put(t->m, *node);
	*node = child;
	return 0;
}

/*
 * The leaf of this level where the key is or belongs, shadowed, with room for it.  found: at is
 * its entry; else where it is to be added.
 */
int level_open(const struct meta_btree *t, uint64_t *root, uint64_t key, const struct meta_value *v,
	       struct meta_block **leaf, unsigned *at, bool *found)
{
	struct meta_block *node;
	unsigned steps = 0;
	int i, err = node_shadow(t, root, v, &node);

	if (err)
		return err;
	if (wants_split(node->data, key))
		err = root_split(t, node);
	while (!err && !node_leaf(node->data)) {
		if (++steps > 2 * META_DEPTH_MAX)
			err = -EILSEQ;
		else
			err = level_step(t, &node, key, v);
		if (err > 0)
			err = 0;
	}
	if (err) {
		meta_put(t->m, node);
		return err;
	}
	i = node_find(node->data, key);
	*found = i >= 0 && node_key(node->data, (unsigned)i) == key;
	*at = (unsigned)(*found ? i : i + 1);
	*leaf = node;
	return 0;
}

static int value_put(struct meta_block *leaf, unsigned at, bool found, uint64_t key,
		     const struct meta_value *v, const void *value)
{
	uint8_t old[VALUE_MAX];

	if (!found)
		return node_add(leaf->data, at, key, value);
	memcpy(old, node_value(leaf->data, at), v->bytes);
	memcpy(node_value(leaf->data, at), value, v->bytes);
	if (v->dec && !(v->equal && v->equal(v->context, old, value)))
		return v->dec(v->context, old);
	return 0;
}

static int insert_level(const struct meta_btree *t, unsigned level, uint64_t *root,
			const uint64_t *keys, const void *value, bool *added)
{
	struct meta_value v = level_value(t, level);
	struct meta_btree rest = *t;
	struct meta_block *leaf;
	uint8_t sub[8];
	uint64_t nr;
	bool found;
	unsigned at;
	int err;

	if (v.bytes > VALUE_MAX)
		return -EINVAL;
	err = level_open(t, root, keys[level], &v, &leaf, &at, &found);
	if (err)
		return err;
	if (level + 1 == t->levels) {
		err = value_put(leaf, at, found, keys[level], &v, value);
		if (added)
			*added = !found;
		meta_put(t->m, leaf);
		return err;
	}
	if (found) {
		nr = le64_get(node_value(leaf->data, at));
	} else {
		rest.levels = t->levels - level - 1;
		err = meta_btree_empty(&rest, &nr);
		put64(sub, nr);
		if (!err)
			err = node_add(leaf->data, at, keys[level], sub);
	}
	if (!err)
		err = insert_level(t, level + 1, &nr, keys, value, added);
	if (!err)
		put64(node_value(leaf->data, at), nr);
	meta_put(t->m, leaf);
	return err;
}

int meta_btree_insert(const struct meta_btree *t, uint64_t *root, const uint64_t *keys,
		      const void *value, bool *added)
{
	return insert_level(t, 0, root, keys, value, added);
}
