/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metadata.c - the metadata of a cache.
 *
 * The superblock (block 0), little-endian:
 *
 *	0	checksum, flags u32; own number u64; 16 bytes 0; magic u64; version u32: 1 or 2
 *	44	16 bytes: name of the policy; size of a hint u32
 *	64	128 bytes: root of the space map
 *	192	u64: roots of mappings, hints (0: none) and discards; sectors of a dblock, dblocks
 *	232	u32: sectors of a block, 8, cblocks; compat, compat_ro, incompat flags
 *	256	u32: read hits, read misses, write hits, write misses; version of the policy, three
 *	284	u64: root of the dirty bits (version 2)
 *
 * Mappings are an array of u64, by cblock: oblock << 16 | flags (1 valid; 2 dirty, version 1).
 * Hints are an array of u32, by cblock.
 */
#include "targets/cache/cache.h"

#define MAGIC UINT64_C(0x18C403)
#define VALID 1u
#define DIRTY 2u

static int super_check(const uint8_t *d)
{
	uint32_t version = le32_get(d + 40);

	if (le64_get(d + 32) != MAGIC)
		return -EILSEQ;
	return version == 1 || version == 2 ? 0 : -EINVAL;
}

static const struct meta_type super_type = { "cache superblock", 9031977, 8, super_check };

static struct meta_array mappings(const struct cache_meta *cm)
{
	return (struct meta_array){ .m = cm->m, .value_bytes = 8 };
}

static struct meta_array hints(const struct cache_meta *cm)
{
	return (struct meta_array){ .m = cm->m, .value_bytes = 4 };
}

/* ---- the superblock ---- */

static void super_put(const void *arg, uint8_t *d)
{
	const struct cache_meta *cm = arg;
	unsigned i;

	le32_put(d + 4, cm->flags);
	le64_put(d + 32, MAGIC);
	le32_put(d + 40, cm->version);
	memcpy(d + 44, cm->policy, 16);
	le32_put(d + 60, cm->hint_bytes);
	meta_space_root(cm->m, d + 64);
	le64_put(d + 192, cm->mapping);
	le64_put(d + 200, cm->hints);
	le64_put(d + 208, cm->discards);
	le64_put(d + 216, cm->discard_sectors);
	le64_put(d + 224, cm->discard_blocks);
	le32_put(d + 232, cm->block_sectors);
	le32_put(d + 236, META_BLOCK_SECTORS);
	le32_put(d + 240, cm->cache_blocks);
	for (i = 0; i < CACHE_COUNTS; i++)
		le32_put(d + 256 + 4 * i, cm->counts[i]);
	for (i = 0; i < 3; i++)
		le32_put(d + 272 + 4 * i, cm->policy_version[i]);
	if (cm->version >= 2)
		le64_put(d + 284, cm->dirty);
}

static int super_get(struct cache_meta *cm, const uint8_t *d)
{
	unsigned i;

	if (le32_get(d + 252) || le32_get(d + 248))
		return -EINVAL;			/* features that nobody knows yet */
	cm->flags = le32_get(d + 4);
	cm->version = le32_get(d + 40);
	memcpy(cm->policy, d + 44, 16);
	cm->policy[15] = '\0';
	cm->hint_bytes = le32_get(d + 60);
	cm->mapping = le64_get(d + 192);
	cm->hints = le64_get(d + 200);
	cm->discards = le64_get(d + 208);
	cm->discard_sectors = le64_get(d + 216);
	cm->discard_blocks = le64_get(d + 224);
	cm->block_sectors = le32_get(d + 232);
	cm->cache_blocks = le32_get(d + 240);
	for (i = 0; i < CACHE_COUNTS; i++)
		cm->counts[i] = le32_get(d + 256 + 4 * i);
	for (i = 0; i < 3; i++)
		cm->policy_version[i] = le32_get(d + 272 + 4 * i);
	cm->dirty = cm->version >= 2 ? le64_get(d + 284) : 0;
	return 0;
}

static int commit(struct cache_meta *cm, bool make)
{
	int err = meta_commit(cm->m, &super_type, make, super_put, cm);

	if (!err)
		cm->changed = false;
	return err;
}

int cache_meta_commit(struct cache_meta *cm, bool clean)
{
	cm->flags &= ~(uint32_t)CACHE_CLEAN_SHUTDOWN;
	if (clean)
		cm->flags |= CACHE_CLEAN_SHUTDOWN;
	return commit(cm, false);
}

int cache_meta_flags(struct cache_meta *cm, uint32_t flags)
{
	struct meta_block *b;
	int err = meta_super(cm->m, &super_type, false, &b);

	if (err)
		return err;
	le32_put(b->data + 4, flags);
	err = meta_super_write(cm->m, b);
	if (!err)
		cm->flags = flags;
	return err;
}

int cache_meta_load(struct cache_meta *cm)
{
	struct meta_block *b;
	int err;

	meta_abort(cm->m);
	err = meta_read(cm->m, 0, &super_type, &b);
	if (err)
		return err;
	err = super_get(cm, b->data);
	if (!err)
		err = meta_load(cm->m, b->data + 64);
	meta_put(cm->m, b);
	cm->clean = cm->flags & CACHE_CLEAN_SHUTDOWN;
	cm->changed = false;
	return err;
}

static int meta_make(struct cache_meta *cm, uint32_t block_sectors, unsigned version)
{
	struct meta_array map = mappings(cm), bits = meta_bitset(cm->m);
	int err = meta_format(cm->m);

	cm->version = version;
	cm->block_sectors = block_sectors;
	if (!err)
		err = meta_array_empty(&map, &cm->mapping);
	if (!err && version >= 2)
		err = meta_array_empty(&bits, &cm->dirty);
	if (!err)
		err = meta_array_empty(&bits, &cm->discards);
	return err ? err : commit(cm, true);
}

int cache_meta_open(struct ndm_target *ti, struct ndm_store *store, uint32_t block_sectors,
		    unsigned version, struct cache_meta *cm)
{
	int err = meta_new(ti->loop, store, false, 0, &cm->m), blank;

	cm->loop = ti->loop;
	if (err)
		return err;
	blank = meta_blank(cm->m);
	if (blank < 0)
		return blank;
	err = blank ? meta_make(cm, block_sectors, version) : cache_meta_load(cm);
	if (!err && cm->block_sectors != block_sectors) {
		ndm_warn(ti, "changing the data block size (from %u to %u) is not supported",
			 cm->block_sectors, block_sectors);
		err = -EINVAL;
	}
	return err;
}

void cache_meta_close(struct cache_meta *cm)
{
	meta_free(cm->m);
	cm->m = NULL;
}

/* ---- mappings ---- */

static int mapping_put(struct cache_meta *cm, uint32_t cblock, uint64_t value)
{
	struct meta_array map = mappings(cm);
	uint8_t bytes[8];

	le64_put(bytes, value);
	cm->changed = true;
	return meta_array_set(&map, &cm->mapping, cblock, bytes);
}

int cache_meta_insert(struct cache_meta *cm, uint32_t cblock, uint64_t oblock)
{
	return mapping_put(cm, cblock, oblock << 16 | VALID);
}

int cache_meta_remove(struct cache_meta *cm, uint32_t cblock)
{
	return mapping_put(cm, cblock, 0);
}

/* ---- sizes ---- */

/* What would be cut off must not be dirty. */
static int tail_clean(struct ndm_target *ti, struct cache_meta *cm, uint32_t from)
{
	struct meta_array map = mappings(cm);
	uint8_t value[8];
	bool dirty = false;
	uint32_t i;
	int err = 0;

	for (i = from; i < cm->cache_blocks && !err && !dirty; i++) {
		if (cm->version >= 2) {
			err = meta_bitset_get(cm->m, cm->dirty, i, &dirty);
			continue;
		}
		err = meta_array_get(&map, cm->mapping, i, value);
		dirty = !err && (le64_get(value) & (VALID | DIRTY)) == (VALID | DIRTY);
	}
	if (err || !dirty)
		return err == -ENODATA ? -EILSEQ : err;
	return ndm_error(ti, -EINVAL, "unable to shrink cache; cache block %u is dirty", i - 1);
}

int cache_meta_resize(struct ndm_target *ti, struct cache_meta *cm, uint32_t blocks)
{
	struct meta_array map = mappings(cm);
	const uint8_t none[8] = { 0 };
	int err = 0;

	if (blocks < cm->cache_blocks)
		err = tail_clean(ti, cm, blocks);
	if (!err)
		err = meta_array_resize(&map, &cm->mapping, cm->cache_blocks, blocks, none);
	if (!err && cm->version >= 2)
		err = meta_bitset_resize(cm->m, &cm->dirty, cm->cache_blocks, blocks);
	if (err)
		return err;
	cm->cache_blocks = blocks;
	cm->changed = true;
	return 0;
}

/* ---- loading ---- */

struct loading {
	struct cache_meta *cm;
	const uint64_t *dirty;			/* version 2, believed; else NULL */
	const uint32_t *hints;			/* believed; else NULL */
	cache_mapping_fn fn;
	void *arg;
};

static int mapping_load(void *arg, uint64_t index, const void *value)
{
	const struct loading *l = arg;
	uint64_t v = le64_get(value);
	bool dirty = true;

	if (!(v & VALID))
		return 0;
	if (l->cm->clean)
		dirty = l->dirty ? cache_bit(l->dirty, index) : v & DIRTY;
	return l->fn(l->arg, v >> 16, (uint32_t)index, dirty, l->hints ? l->hints[index] : 0,
		     l->hints != NULL);
}

static int hint_load(void *arg, uint64_t index, const void *value)
{
	((uint32_t *)arg)[index] = le32_get(value);
	return 0;
}

static bool hints_believed(const struct cache_meta *cm, const char *policy)
{
	return cm->clean && !strcmp(cm->policy, policy) && cm->policy_version[0] == smq_version[0] &&
	       cm->hint_bytes == SMQ_HINT_BYTES && cm->hints;
}

int cache_meta_mappings(struct cache_meta *cm, const char *policy, cache_mapping_fn fn, void *arg)
{
	struct meta_array map = mappings(cm), hint = hints(cm);
	struct loading l = { .cm = cm, .fn = fn, .arg = arg };
	uint64_t *dirty = patient_zalloc(cm->loop, (meta_bitset_words(cm->cache_blocks) + 1) * 8);
	uint32_t *levels = patient_zalloc(cm->loop, ((size_t)cm->cache_blocks + 1) * 4);
	int err = dirty && levels ? 0 : -ENOMEM;

	if (!err && cm->version >= 2 && cm->clean) {
		err = meta_bitset_load(cm->m, cm->dirty, cm->cache_blocks, dirty);
		l.dirty = dirty;
	}
	if (!err && hints_believed(cm, policy) &&
	    !meta_array_walk(&hint, cm->hints, cm->cache_blocks, hint_load, levels))
		l.hints = levels;		/* else they are made up: no harm */
	if (!err)
		err = meta_array_walk(&map, cm->mapping, cm->cache_blocks, mapping_load, &l);
	ndm_free(dirty);
	ndm_free(levels);
	return err;
}

int cache_meta_load_discards(struct cache_meta *cm, uint64_t *words)
{
	return meta_bitset_load(cm->m, cm->discards, cm->discard_blocks, words);
}

/* ---- at suspend ---- */

static int bits_replace(struct cache_meta *cm, uint64_t *root, uint64_t bits, const uint64_t *words)
{
	struct meta_array a = meta_bitset(cm->m);
	int err = meta_array_del(&a, *root);

	cm->changed = true;
	return err ? err : meta_bitset_new(cm->m, root, bits, words);
}

static int dirty_flags(struct cache_meta *cm, const uint64_t *words)
{
	struct meta_array map = mappings(cm);
	uint8_t value[8];
	uint64_t v;
	uint32_t i;
	int err = 0;

	for (i = 0; i < cm->cache_blocks && !err; i++) {
		err = meta_array_get(&map, cm->mapping, i, value);
		v = le64_get(value);
		if (!err && !!(v & DIRTY) != cache_bit(words, i))
			err = mapping_put(cm, i, v ^ DIRTY);
	}
	return err;
}

int cache_meta_set_dirty(struct cache_meta *cm, const uint64_t *words)
{
	if (cm->version >= 2)
		return bits_replace(cm, &cm->dirty, cm->cache_blocks, words);
	return dirty_flags(cm, words);
}

int cache_meta_set_discards(struct cache_meta *cm, uint64_t sectors, uint64_t blocks,
			    const uint64_t *words)
{
	int err = bits_replace(cm, &cm->discards, blocks, words);

	if (err)
		return err;
	cm->discard_sectors = sectors;
	cm->discard_blocks = blocks;
	return 0;
}

static void hint_put(void *arg, uint64_t index, void *to)
{
	le32_put(to, smq_hint(arg, (uint32_t)index));
}

int cache_meta_set_hints(struct cache_meta *cm, const struct smq *policy)
{
	struct meta_array hint = hints(cm);
	int err = 0;

	memset(cm->policy, 0, sizeof cm->policy);
	strncpy(cm->policy, smq_kind_of(policy)->name, sizeof cm->policy - 1);
	memcpy(cm->policy_version, smq_version, sizeof cm->policy_version);
	cm->changed = true;
	if (cm->hints && cm->hint_bytes == SMQ_HINT_BYTES)
		err = meta_array_del(&hint, cm->hints);
	cm->hint_bytes = SMQ_HINT_BYTES;
	return err ? err : meta_array_new(&hint, &cm->hints, cm->cache_blocks, hint_put,
					  (void *)policy);
}
