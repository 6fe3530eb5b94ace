/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * btree-node.c - one node of a btree: a header of 32 bytes, max keys, max values.
 *
 * Nodes that others have made may be larger or smaller than ours: what they hold is in their
 * header, and node_check() sees that it fits into a block.
 */
#include "inside.h"

#define NODE_HEADER 32u

unsigned node_capacity(unsigned value_bytes)
{
	return (META_BLOCK_BYTES - NODE_HEADER) / (8 + value_bytes) / 3 * 3;
}

void node_init(uint8_t *n, unsigned flags, unsigned max, unsigned value_bytes)
{
	le32_put(n + 4, flags);
	le32_put(n + 20, max);
	le32_put(n + 24, value_bytes);
}

static int node_check(const uint8_t *n)
{
	uint64_t max = node_max(n), bytes = node_bytes(n);
	uint32_t flags = le32_get(n + 4);
	unsigned i;

	if (flags != NODE_INTERNAL && flags != NODE_LEAF)
		return -EILSEQ;
	if (!max || max % 3 || NODE_HEADER + max * (8 + bytes) > META_BLOCK_BYTES || node_nr(n) > max)
		return -EILSEQ;
	if (flags == NODE_INTERNAL && (bytes != 8 || !node_nr(n)))
		return -EILSEQ;
	for (i = 1; i < node_nr(n); i++)
		if (node_key(n, i) <= node_key(n, i - 1))
			return -EILSEQ;
	return 0;
}

const struct meta_type meta_type_node = { "btree node", 121107, 8, node_check };

int node_find(const uint8_t *n, uint64_t key)
{
	int low = -1, high = (int)node_nr(n), middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (node_key(n, (unsigned)middle) <= key)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void node_key_put(uint8_t *n, unsigned i, uint64_t key)
{
	le64_put(n + NODE_HEADER + 8 * i, key);
}

static void *key_at(uint8_t *n, unsigned i)
{
	return n + NODE_HEADER + 8 * i;
}

int node_add(uint8_t *n, unsigned i, uint64_t key, const void *value)
{
	unsigned nr = node_nr(n), bytes = node_bytes(n);

	if (nr >= node_max(n) || i > nr)
		return -EILSEQ;
	memmove(key_at(n, i + 1), key_at(n, i), 8 * (nr - i));
	memmove(node_value(n, i + 1), node_value(n, i), bytes * (nr - i));
	node_key_put(n, i, key);
	memcpy(node_value(n, i), value, bytes);
	le32_put(n + 16, nr + 1);
	return 0;
}

void node_cut(uint8_t *n, unsigned i)
{
	unsigned nr = node_nr(n), bytes = node_bytes(n);

	memmove(key_at(n, i), key_at(n, i + 1), 8 * (nr - i - 1));
	memmove(node_value(n, i), node_value(n, i + 1), bytes * (nr - i - 1));
	le32_put(n + 16, nr - 1);
}

static void copy_entries(uint8_t *to, unsigned at, uint8_t *from, unsigned i, unsigned n)
{
	memcpy(key_at(to, at), key_at(from, i), 8 * n);
	memcpy(node_value(to, at), node_value(from, i), node_bytes(to) * n);
}

static void slide(uint8_t *n, unsigned to, unsigned from, unsigned count)
{
	memmove(key_at(n, to), key_at(n, from), 8 * count);
	memmove(node_value(n, to), node_value(n, from), node_bytes(n) * count);
}

int node_shift(uint8_t *left, uint8_t *right, int count)
{
	unsigned l = node_nr(left), r = node_nr(right);
	unsigned n = (unsigned)(count < 0 ? -count : count);

	if (node_bytes(left) != node_bytes(right) || node_leaf(left) != node_leaf(right))
		return -EILSEQ;
	if (count > 0) {
		if (n > l || r + n > node_max(right))
			return -EILSEQ;
		slide(right, n, 0, r);
		copy_entries(right, 0, left, l - n, n);
		le32_put(left + 16, l - n);
		le32_put(right + 16, r + n);
	} else if (count < 0) {
		if (n > r || l + n > node_max(left))
			return -EILSEQ;
		copy_entries(left, l, right, 0, n);
		slide(right, 0, n, r - n);
		le32_put(left + 16, l + n);
		le32_put(right + 16, r - n);
	}
	return 0;
}
