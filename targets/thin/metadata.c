/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metadata.c - what a pool keeps on its metadata device, in Linux's format.
 *
 * On disk: block 0, the superblock; a tree device id -> tree virtual block -> data block and time;
 * a tree device id -> details; and two space maps, of the metadata itself and of the data.
 *
 * A mapping is stamped with the pool's time, which counts snapshots.  A device treats a block as
 * shared when it was snapshotted after that.  No reference counts are read for it.
 *
 * Crash states: those of lib/meta: the last commit, whole.
 */
#include "thin.h"

#define SUPER_MAGIC 27022010u
#define SUPER_VERSION 2u
#define FLAG_NEEDS_CHECK 1u
#define TIME_BITS 24

enum super_at {					/* bytes */
	AT_FLAGS = 4, AT_UUID = 16, AT_MAGIC = 32, AT_VERSION = 40, AT_TIME = 44, AT_TRANSACTION = 48,
	AT_HELD = 56, AT_DATA_SPACE = 64, AT_META_SPACE = 192, AT_MAPPINGS = 320, AT_DETAILS = 328,
	AT_BLOCK = 336, AT_META_BLOCK = 340, AT_META_BLOCKS = 344, AT_COMPAT = 352, AT_COMPAT_RO = 356,
	AT_INCOMPAT = 360,
};

static int super_check(const uint8_t *d)
{
	return le64_get(d + AT_MAGIC) == SUPER_MAGIC ? 0 : -EILSEQ;
}

const struct meta_type thin_super_type = { "thin superblock", 160774, 8, super_check };

static void super_decode(struct pmd *p, const uint8_t *d)
{
	p->flags = le32_get(d + AT_FLAGS);
	p->time = le32_get(d + AT_TIME);
	p->transaction_id = le64_get(d + AT_TRANSACTION);
	p->held_root = le64_get(d + AT_HELD);
	p->mapping_root = le64_get(d + AT_MAPPINGS);
	p->details_root = le64_get(d + AT_DETAILS);
	p->block = le32_get(d + AT_BLOCK);
	p->format_blocks = le64_get(d + AT_META_BLOCKS);
	p->compat = le32_get(d + AT_COMPAT);
	p->compat_ro = le32_get(d + AT_COMPAT_RO);
	p->incompat = le32_get(d + AT_INCOMPAT);
}

static void super_encode(const struct pmd *p, uint8_t *d)
{
	le32_put(d + AT_FLAGS, p->flags);
	le64_put(d + AT_MAGIC, SUPER_MAGIC);
	le32_put(d + AT_VERSION, SUPER_VERSION);
	le32_put(d + AT_TIME, p->time);
	le64_put(d + AT_TRANSACTION, p->transaction_id);
	le64_put(d + AT_HELD, p->held_root);
	meta_space_disk_root(p->data, d + AT_DATA_SPACE);
	meta_space_root(p->m, d + AT_META_SPACE);
	le64_put(d + AT_MAPPINGS, p->mapping_root);
	le64_put(d + AT_DETAILS, p->details_root);
	le32_put(d + AT_BLOCK, p->block);
	le32_put(d + AT_META_BLOCK, META_BLOCK_SECTORS);
	le64_put(d + AT_META_BLOCKS, p->format_blocks);
	le32_put(d + AT_COMPAT, p->compat);
	le32_put(d + AT_COMPAT_RO, p->compat_ro);
	le32_put(d + AT_INCOMPAT, p->incompat);
}

/* ---- mappings hold references to data blocks ---- */

static int mapping_inc(void *context, const void *value)
{
	struct pmd *p = context;

	return meta_space_inc(p->data, le64_get(value) >> TIME_BITS);
}

static int mapping_dec(void *context, const void *value)
{
	struct pmd *p = context;

	return meta_space_dec(p->data, le64_get(value) >> TIME_BITS);
}

static bool mapping_equal(void *context, const void *a, const void *b)
{
	(void)context;
	return le64_get(a) >> TIME_BITS == le64_get(b) >> TIME_BITS;
}

static void kinds(struct pmd *p)
{
	struct meta_value v = { .bytes = 8, .inc = mapping_inc, .dec = mapping_dec,
				.equal = mapping_equal, .context = p };

	p->mappings = (struct meta_btree){ .m = p->m, .levels = 2, .value = v };
	p->bottom = (struct meta_btree){ .m = p->m, .levels = 1, .value = v };
	p->tops = (struct meta_btree){ .m = p->m, .levels = 1, .value = meta_value_tree(&p->bottom) };
	p->details = (struct meta_btree){ .m = p->m, .levels = 1, .value = { .bytes = 24 } };
}

/* ---- commit, abort ---- */

static int commit_write(struct pmd *p, bool make)
{
	struct meta_block *super;
	int err = pmd_details_write(p);

	if (!err)
		err = meta_space_commit(p->data);
	if (!err)
		err = NDM_MOMENT(p->loop, "thin.commit.before-blocks");
	if (!err)
		err = meta_commit_begin(p->m);
	if (!err)
		err = NDM_MOMENT(p->loop, "thin.commit.before-superblock");
	if (!err)
		err = meta_super(p->m, &thin_super_type, make, &super);
	if (err)
		return err;
	super_encode(p, super->data);
	err = meta_commit_end(p->m, super);
	if (!err)
		meta_space_committed(p->data);
	return err;
}

int pmd_commit(struct pmd *p)
{
	struct thin_dev *td;
	int err;

	if (!p->changed)
		return 0;
	err = commit_write(p, false);
	if (err)
		return err;
	for (td = p->devs; td; td = td->next)
		td->changed = false;
	p->changed = p->super_late = false;
	return 0;
}

static int trees_load(struct pmd *p, const uint8_t *d)
{
	int err;

	super_decode(p, d);
	err = meta_load(p->m, d + AT_META_SPACE);
	if (!err)
		err = meta_space_open(p->m, d + AT_DATA_SPACE, &p->data);
	return err;
}

static int super_load(struct pmd *p)
{
	struct meta_block *super;
	int err = meta_read(p->m, 0, &thin_super_type, &super);

	if (err)
		return err;
	err = trees_load(p, super->data);
	meta_put(p->m, super);
	return err;
}

/* What devices said of themselves since the last commit stays, as Linux has it, but not on disk. */
int pmd_abort(struct pmd *p)
{
	struct thin_dev *td;

	for (td = p->devs; td; td = td->next) {
		td->aborted |= td->changed;
		td->changed = false;
	}
	p->changed = false;
	meta_abort(p->m);
	meta_space_close(p->data);
	p->data = NULL;
	return super_load(p);
}

bool pmd_needs_check(const struct pmd *p)
{
	return p->flags & FLAG_NEEDS_CHECK;
}

int pmd_super_late(struct pmd *p)
{
	struct meta_block *super;
	int err;

	if (!p->super_late)
		return 0;
	err = meta_super(p->m, &thin_super_type, false, &super);
	if (err)
		return err;
	le32_put(super->data + AT_FLAGS, p->flags);
	err = meta_super_write(p->m, super);
	if (!err)
		p->super_late = false;
	return err;
}

/* In memory at once, on disk as soon as it can be written. */
int pmd_set_needs_check(struct pmd *p)
{
	p->flags |= FLAG_NEEDS_CHECK;
	p->super_late = true;
	pmd_super_late(p);
	return 0;
}

/* ---- opening ---- */

static int format(struct pmd *p, uint32_t block)
{
	int err = meta_format(p->m);

	p->block = block;
	p->format_blocks = meta_device_blocks(p->m);
	if (!err)
		err = meta_space_new(p->m, &p->data);
	if (!err)
		err = meta_btree_empty(&p->mappings, &p->mapping_root);
	if (!err)
		err = meta_btree_empty(&p->details, &p->details_root);
	return err ? err : commit_write(p, true);
}

static int features_check(const struct pmd *p, bool read_only)
{
	if (p->incompat)
		return -EINVAL;
	return p->compat_ro && !read_only ? -EINVAL : 0;
}

static int load(struct pmd *p, uint32_t block, bool read_only)
{
	struct meta_block *super;
	int err = meta_read(p->m, 0, &thin_super_type, &super);

	if (err)
		return err;
	if (le32_get(super->data + AT_BLOCK) != block)
		err = -EINVAL;
	if (!err)
		err = trees_load(p, super->data);
	if (!err)
		err = features_check(p, read_only);
	meta_put(p->m, super);
	return err;
}

int pmd_open(struct ndm_loop *loop, struct ndm_store *store, uint32_t block, bool read_only,
	     struct pmd **out)
{
	struct pmd *p = patient_zalloc(loop, sizeof *p);
	int err;

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	ndm_rwlock_init(&p->lock, loop);
	err = meta_new(loop, store, false, 0, &p->m);
	if (!err) {
		kinds(p);
		err = meta_blank(p->m);
	}
	if (err > 0)
		err = read_only ? -EPERM : format(p, block);
	else if (!err)
		err = load(p, block, read_only);
	if (err)
		pmd_close(p);
	else
		*out = p;
	return err;
}

void pmd_close(struct pmd *p)
{
	if (!p)
		return;
	meta_space_close(p->data);
	meta_free(p->m);
	ndm_free(p);
}

bool pmd_lock_idle(const struct pmd *p)
{
	return !p->lock.writer && !p->lock.writers_waiting;
}

/* ---- sizes ---- */

int pmd_grow_metadata(struct pmd *p, uint64_t blocks)
{
	p->changed = true;
	return meta_extend(p->m, blocks);
}

int pmd_grow_data(struct pmd *p, uint64_t blocks)
{
	p->changed = true;
	return meta_space_extend(p->data, blocks);
}

/* A tenth of the metadata, 16 MiB at most, is kept so that deleting always succeeds. */
uint64_t pmd_metadata_free(const struct pmd *p)
{
	uint64_t total = meta_space_blocks(p->m), free = meta_space_free(p->m);
	uint64_t reserve = total / 10 < 4096 ? total / 10 : 4096;

	return free > reserve ? free - reserve : 0;
}

/* ---- mappings ---- */

static void mapping_decode(const struct thin_dev *td, const uint8_t *value, struct thin_map *map)
{
	uint64_t v = le64_get(value);

	map->block = v >> TIME_BITS;
	map->shared = td->snapshotted > (v & ((1u << TIME_BITS) - 1));
}

int pmd_find(struct thin_dev *td, uint64_t virtual, bool cached, struct thin_map *map)
{
	uint64_t keys[2] = { td->id, virtual };
	struct pmd *p = td->pmd;
	uint8_t value[8];
	int err;

	if (cached)
		err = meta_btree_lookup_cached(&p->mappings, p->mapping_root, keys, value);
	else
		err = meta_btree_lookup(&p->mappings, p->mapping_root, keys, value);
	if (!err)
		mapping_decode(td, value, map);
	return err;
}

int pmd_next(struct thin_dev *td, uint64_t from, uint64_t *virtual, struct thin_map *map)
{
	uint64_t keys[2] = { td->id, from };
	uint8_t value[8];
	int err = meta_btree_lookup_next(&td->pmd->mappings, td->pmd->mapping_root, keys, virtual, value);

	if (!err)
		mapping_decode(td, value, map);
	return err;
}

int pmd_highest(struct thin_dev *td, uint64_t *virtual)
{
	uint64_t keys[2] = { td->id, 0 };

	return meta_btree_highest(&td->pmd->mappings, td->pmd->mapping_root, keys, virtual, NULL);
}

int pmd_insert(struct thin_dev *td, uint64_t virtual, uint64_t block)
{
	uint64_t keys[2] = { td->id, virtual };
	struct pmd *p = td->pmd;
	uint8_t value[8];
	bool added;
	int err = meta_space_inc(p->data, block);

	p->changed = td->changed = true;
	le64_put(value, block << TIME_BITS | (p->time & ((1u << TIME_BITS) - 1)));
	if (!err)
		err = meta_btree_insert(&p->mappings, &p->mapping_root, keys, value, &added);
	if (!err)
		td->mapped += added;
	return err;
}

int pmd_remove(struct thin_dev *td, uint64_t virtual)
{
	uint64_t keys[2] = { td->id, virtual };
	struct pmd *p = td->pmd;
	int err = meta_btree_remove(&p->mappings, &p->mapping_root, keys);

	if (err == -ENODATA)
		return err;
	p->changed = td->changed = true;
	if (!err)
		td->mapped--;
	return err;
}
