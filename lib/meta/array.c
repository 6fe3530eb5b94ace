/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * array.c - arrays of values in metadata, and bitsets.
 *
 * An array block: checksum, most values, number of values, bytes of a value, u32 each, the
 * block's own number u64, then the values.  The tree of blocks is keyed by block of the array.
 *
 * Who changes a value makes the way to its block his own first (an insert of what is there), so
 * that the block's count of references is right when it is shadowed in its turn.
 */
#include "array.h"

#define VALUES_AT 24u
#define VALUE_MAX 16u

static int array_check(const uint8_t *data)
{
	uint32_t most = le32_get(data + 4), n = le32_get(data + 8), bytes = le32_get(data + 12);

	if (!bytes || bytes > META_BLOCK_BYTES - VALUES_AT ||
	    most != (META_BLOCK_BYTES - VALUES_AT) / bytes || n > most)
		return -EILSEQ;
	return 0;
}

const struct meta_type meta_type_array = { "array", 595846735, 16, array_check };

static unsigned per_block(const struct meta_array *a)
{
	return (META_BLOCK_BYTES - VALUES_AT) / a->value_bytes;
}

static struct meta_btree tree_of(const struct meta_array *a)
{
	return (struct meta_btree){ .m = a->m, .levels = 1, .value = meta_value_block(a->m) };
}

/* the same for a number whose old block has given up its reference already */
static struct meta_btree tree_moved(const struct meta_array *a)
{
	struct meta_btree t = tree_of(a);

	t.value.dec = NULL;
	return t;
}

static uint8_t *value_at(const struct meta_array *a, const struct meta_block *b, uint64_t i)
{
	return b->data + VALUES_AT + i * a->value_bytes;
}

int meta_array_empty(const struct meta_array *a, uint64_t *root)
{
	struct meta_btree t = tree_of(a);

	return meta_btree_empty(&t, root);
}

int meta_array_del(const struct meta_array *a, uint64_t root)
{
	struct meta_btree t = tree_of(a);

	return meta_btree_del(&t, root);
}

static int block_number(const struct meta_array *a, uint64_t root, uint64_t key, uint64_t *nr)
{
	struct meta_btree t = tree_of(a);
	uint8_t value[8];
	int err = meta_btree_lookup(&t, root, &key, value);

	if (!err)
		*nr = le64_get(value);
	return err;
}

static int block_get(const struct meta_array *a, uint64_t root, uint64_t key,
		     struct meta_block **out)
{
	uint64_t nr;
	int err = block_number(a, root, key, &nr);

	if (!err)
		err = meta_read(a->m, nr, &meta_type_array, out);
	if (!err && le32_get((*out)->data + 12) != a->value_bytes) {
		meta_put(a->m, *out);
		err = -EILSEQ;
	}
	return err;
}

int meta_array_get(const struct meta_array *a, uint64_t root, uint64_t index, void *value)
{
	struct meta_block *b;
	int err = block_get(a, root, index / per_block(a), &b);

	if (err)
		return err;
	if (index % per_block(a) < le32_get(b->data + 8))
		memcpy(value, value_at(a, b, index % per_block(a)), a->value_bytes);
	else
		err = -ENODATA;
	meta_put(a->m, b);
	return err;
}

/* A block that may be changed, with the way to it. */
static int block_shadow(const struct meta_array *a, uint64_t *root, uint64_t key,
			struct meta_block **out)
{
	struct meta_btree t = tree_of(a), moved = tree_moved(a);
	uint64_t nr, was;
	uint8_t value[8];
	bool shared;
	int err = block_number(a, *root, key, &nr);

	if (err)
		return err;
	was = nr;
	le64_put(value, nr);
	err = meta_btree_insert(&t, root, &key, value, NULL);
	if (!err)
		err = meta_shadow(a->m, &nr, &meta_type_array, out, &shared);
	if (err)
		return err;
	if (le32_get((*out)->data + 12) != a->value_bytes)
		err = -EILSEQ;
	le64_put(value, nr);
	if (!err && nr != was)
		err = meta_btree_insert(&moved, root, &key, value, NULL);
	if (err)
		meta_put(a->m, *out);
	return err;
}

int meta_array_set(const struct meta_array *a, uint64_t *root, uint64_t index, const void *value)
{
	uint8_t old[VALUE_MAX];
	struct meta_block *b;
	int err = meta_array_get(a, *root, index, old);

	if (err || !memcmp(old, value, a->value_bytes))
		return err;
	err = block_shadow(a, root, index / per_block(a), &b);
	if (err)
		return err;
	memcpy(value_at(a, b, index % per_block(a)), value, a->value_bytes);
	meta_put(a->m, b);
	return 0;
}

/* ---- growing and shrinking ---- */

static int block_add(const struct meta_array *a, uint64_t *root, uint64_t key,
		     struct meta_block **out)
{
	struct meta_btree t = tree_of(a);
	uint8_t value[8];
	int err = meta_block_new(a->m, &meta_type_array, out);

	if (err)
		return err;
	le32_put((*out)->data + 4, per_block(a));
	le32_put((*out)->data + 12, a->value_bytes);
	le64_put(value, (*out)->nr);
	err = meta_btree_insert(&t, root, &key, value, NULL);
	if (err)
		meta_put(a->m, *out);
	return err;
}

static int array_grow(const struct meta_array *a, uint64_t *root, uint64_t had, uint64_t want,
		      const void *fill)
{
	unsigned per = per_block(a), n;
	struct meta_block *b;
	int err = 0;

	while (had < want && !err) {
		err = had % per ? block_shadow(a, root, had / per, &b) : block_add(a, root, had / per, &b);
		if (err)
			break;
		if (le32_get(b->data + 8) != had % per)
			err = -EILSEQ;		/* it is not as long as was said */
		for (n = had % per; n < per && had < want; n++, had++)
			memcpy(value_at(a, b, n), fill, a->value_bytes);
		le32_put(b->data + 8, n);
		meta_put(a->m, b);
	}
	return err;
}

static int array_shrink(const struct meta_array *a, uint64_t *root, uint64_t had, uint64_t want)
{
	uint64_t per = per_block(a), key, keep = (want + per - 1) / per;
	struct meta_btree t = tree_of(a);
	struct meta_block *b;
	int err = 0;

	for (key = (had + per - 1) / per; key-- > keep && !err;)
		err = meta_btree_remove(&t, root, &key);
	if (err || !(want % per))
		return err;
	err = block_shadow(a, root, want / per, &b);
	if (err)
		return err;
	if (le32_get(b->data + 8) < want % per)
		err = -EILSEQ;
	else
		le32_put(b->data + 8, want % per);
	meta_put(a->m, b);
	return err;
}

int meta_array_resize(const struct meta_array *a, uint64_t *root, uint64_t had, uint64_t want,
		      const void *fill)
{
	if (had == want)
		return 0;
	return had < want ? array_grow(a, root, had, want, fill) : array_shrink(a, root, had, want);
}

int meta_array_new(const struct meta_array *a, uint64_t *root, uint64_t n,
		   void (*value)(void *arg, uint64_t index, void *to), void *arg)
{
	unsigned per = per_block(a), i;
	struct meta_block *b;
	uint64_t index = 0;
	int err = meta_array_empty(a, root);

	while (index < n && !err) {
		err = block_add(a, root, index / per, &b);
		if (err)
			break;
		for (i = 0; i < per && index < n; i++, index++)
			value(arg, index, value_at(a, b, i));
		le32_put(b->data + 8, i);
		meta_put(a->m, b);
	}
	return err;
}

int meta_array_walk(const struct meta_array *a, uint64_t root, uint64_t n,
		    int (*fn)(void *arg, uint64_t index, const void *value), void *arg)
{
	unsigned per = per_block(a);
	struct meta_block *b;
	uint64_t index = 0, end;
	int err = 0;

	while (index < n && !err) {
		err = block_get(a, root, index / per, &b);
		if (err)
			break;
		end = n - index < per ? n : index + per;
		if (le32_get(b->data + 8) < end - index)
			err = -EILSEQ;
		for (; index < end && !err; index++)
			err = fn(arg, index, value_at(a, b, index % per));
		meta_put(a->m, b);
	}
	return err == -ENODATA ? -EILSEQ : err;
}

/* ---- bitsets ---- */

int meta_bitset_resize(struct meta *m, uint64_t *root, uint64_t had, uint64_t want)
{
	struct meta_array a = meta_bitset(m);
	const uint8_t zero[8] = { 0 };

	return meta_array_resize(&a, root, meta_bitset_words(had), meta_bitset_words(want), zero);
}

int meta_bitset_get(struct meta *m, uint64_t root, uint64_t bit, bool *on)
{
	struct meta_array a = meta_bitset(m);
	uint8_t value[8];
	int err = meta_array_get(&a, root, bit / 64, value);

	if (!err)
		*on = le64_get(value) >> bit % 64 & 1;
	return err;
}

int meta_bitset_or(struct meta *m, uint64_t *root, uint64_t word, uint64_t mask)
{
	struct meta_array a = meta_bitset(m);
	uint8_t value[8];
	int err = meta_array_get(&a, *root, word, value);

	if (err)
		return err;
	le64_put(value, le64_get(value) | mask);
	return meta_array_set(&a, root, word, value);
}

static int word_load(void *arg, uint64_t index, const void *value)
{
	((uint64_t *)arg)[index] = le64_get(value);
	return 0;
}

int meta_bitset_load(struct meta *m, uint64_t root, uint64_t bits, uint64_t *words)
{
	struct meta_array a = meta_bitset(m);
	uint64_t n = meta_bitset_words(bits);
	int err = meta_array_walk(&a, root, n, word_load, words);

	if (!err && bits % 64)
		words[n - 1] &= (UINT64_C(1) << bits % 64) - 1;
	return err;
}

static void word_put(void *arg, uint64_t index, void *to)
{
	le64_put(to, ((const uint64_t *)arg)[index]);
}

int meta_bitset_new(struct meta *m, uint64_t *root, uint64_t bits, const uint64_t *words)
{
	struct meta_array a = meta_bitset(m);

	return meta_array_new(&a, root, meta_bitset_words(bits), word_put, (void *)words);
}
