/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * array.h - arrays and bitsets in metadata (meta.h), as Linux's dm-array and dm-bitset have them.
 *
 * An array is a btree of blocks, each full of values of one size but the last; how long it is
 * its user remembers.  A bitset is an array of u64, bit i in word i / 64.  Values refer to
 * nothing.  What meta.h says of errors, waiting and locks holds here.
 */
#ifndef NDM_META_ARRAY_H
#define NDM_META_ARRAY_H

#include "meta.h"

struct meta_array {
	struct meta *m;
	unsigned value_bytes;
};

int meta_array_empty(const struct meta_array *, uint64_t *root) ndm_waits;
/* drops one reference to all of it */
int meta_array_del(const struct meta_array *, uint64_t root) ndm_waits;
/* -ENODATA: it has no such index */
int meta_array_get(const struct meta_array *, uint64_t root, uint64_t index, void *value) ndm_waits;
int meta_array_set(const struct meta_array *, uint64_t *root, uint64_t index,
		   const void *value) ndm_waits;
/* from `had` values to `want`; new ones are `fill` */
int meta_array_resize(const struct meta_array *, uint64_t *root, uint64_t had, uint64_t want,
		      const void *fill) ndm_waits;
/* a new one of n values, which `value` says; it may not wait */
int meta_array_new(const struct meta_array *, uint64_t *root, uint64_t n,
		   void (*value)(void *arg, uint64_t index, void *to), void *arg) ndm_waits;
/* the first n values in order, until fn says otherwise than 0; that is then returned */
int meta_array_walk(const struct meta_array *, uint64_t root, uint64_t n,
		    int (*fn)(void *arg, uint64_t index, const void *value), void *arg) ndm_waits;

static inline struct meta_array meta_bitset(struct meta *m)
{
	return (struct meta_array){ .m = m, .value_bytes = 8 };
}

static inline uint64_t meta_bitset_words(uint64_t bits)
{
	return (bits + 63) / 64;
}

/* all bits are 0 where it grows */
int meta_bitset_resize(struct meta *, uint64_t *root, uint64_t had, uint64_t want) ndm_waits;
int meta_bitset_get(struct meta *, uint64_t root, uint64_t bit, bool *on) ndm_waits;
/* sets the bits of the mask in one word */
int meta_bitset_or(struct meta *, uint64_t *root, uint64_t word, uint64_t mask) ndm_waits;
/* bits as words in host order, for `bits` of them */
int meta_bitset_load(struct meta *, uint64_t root, uint64_t bits, uint64_t *words) ndm_waits;
int meta_bitset_new(struct meta *, uint64_t *root, uint64_t bits, const uint64_t *words) ndm_waits;

extern const struct meta_type meta_type_array;

#endif
