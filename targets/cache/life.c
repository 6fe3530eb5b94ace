/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life.c - resume and suspend.
 *
 * The first resume of a table reads the metadata: what the superblock says then, and not when the
 * table was made, because another table may have been in use since.  CLEAN_SHUTDOWN is cleared on
 * disk before anything can become dirty.
 */
#include "targets/cache/cache.h"

#define WAKER_NS UINT64_C(1000000000)

/* ---- mappings ---- */

static int mapping_loaded(void *arg, uint64_t oblock, uint32_t cblock, bool dirty, uint32_t hint,
			  bool hint_valid)
{
	struct cache *c = arg;

	if (oblock >= c->origin_blocks) {	/* the origin has become smaller */
		if (dirty)
			return ndm_error(c->ti, -EFBIG, "unable to shrink origin; cache block %u is "
					 "dirty", cblock);
		return 0;			/* behind_remove() */
	}
	if (dirty && c->io == CACHE_PASSTHROUGH)
		return ndm_error(c->ti, -EBUSY, "cannot enter passthrough mode unless all blocks are "
				 "clean");
	if (smq_load(c->policy, oblock, cblock, dirty, hint, hint_valid))
		return -EILSEQ;			/* two of one block */
	if (dirty) {
		c->dirty[cblock / 64] |= UINT64_C(1) << cblock % 64;
		c->ndirty++;
	}
	return 0;
}

/* Clean mappings of blocks that the origin does not have any more. */
static int behind_remove(struct cache *c)
{
	struct meta_array map = { .m = c->meta.m, .value_bytes = 8 };
	uint8_t value[8];
	uint32_t i;
	int err = 0;

	for (i = 0; i < c->meta.cache_blocks && !err; i++) {
		err = meta_array_get(&map, c->meta.mapping, i, value);
		if (!err && le64_get(value) & 1 && le64_get(value) >> 16 >= c->origin_blocks)
			err = cache_meta_remove(&c->meta, i);
	}
	return err;
}

static int mappings_load(struct cache *c)
{
	int err = cache_meta_mappings(&c->meta, smq_kind_of(c->policy)->name, mapping_loaded, c);

	if (!err)
		err = behind_remove(c);
	if (err && err != -EFBIG && err != -EBUSY)
		cache_metadata_failed(c, "loading the mappings", err);
	return err;
}

/* ---- discards: dblocks may have had another size ---- */

static void discards_take(struct cache *c, const uint64_t *had)
{
	uint64_t size = c->meta.discard_sectors, n = c->meta.discard_blocks, i = 0, b, e;

	while (i < n) {
		if (!cache_bit(had, i)) {
			i++;
			continue;
		}
		b = i * size;
		while (i < n && cache_bit(had, i))
			i++;
		b = (b + c->discard_sectors - 1) / c->discard_sectors;
		e = i * size / c->discard_sectors;
		for (; b < e && b < c->discard_blocks; b++)
			c->discards[b / 64] |= UINT64_C(1) << b % 64;
	}
}

static int discards_load(struct cache *c)
{
	uint64_t *had;
	int err = 0;

	if (!c->meta.clean || !c->meta.discard_blocks || !c->meta.discard_sectors)
		return 0;
	if (c->meta.discard_blocks > meta_space_blocks(c->meta.m) * META_BLOCK_BYTES * 8 ||
	    c->meta.discard_sectors > UINT64_MAX / c->meta.discard_blocks) {
		err = -EILSEQ;			/* more bits than the device has room for */
	} else {
		had = patient_zalloc(c->ti->loop, meta_bitset_words(c->meta.discard_blocks) * 8);
		err = had ? cache_meta_load_discards(&c->meta, had) : -ENOMEM;
		if (!err)
			discards_take(c, had);
		ndm_free(had);
	}
	if (err)
		cache_metadata_failed(c, "loading the discards", err);
	return err;
}

/* ---- resume ---- */

static int resize(struct cache *c, uint64_t blocks)
{
	struct ndm_target *ti = c->ti;
	uint64_t i;
	int err;

	if (blocks > c->blocks)
		return ndm_error(ti, -EINVAL, "unable to extend cache due to missing cache table reload");
	for (i = c->loaded ? blocks : c->blocks; i < c->blocks; i++)
		if (cache_bit(c->dirty, i))
			return ndm_error(ti, -EINVAL, "unable to shrink cache; cache block %" PRIu64
					 " is dirty", i);
	err = cache_meta_resize(ti, &c->meta, (uint32_t)blocks);
	if (err) {
		cache_metadata_failed(c, "resizing", err);
		return err;
	}
	if (blocks < c->blocks)
		smq_shrink(c->policy, (uint32_t)blocks);
	c->blocks = (uint32_t)blocks;
	return 0;
}

static int fresh_load(struct cache *c)
{
	int err = cache_meta_load(&c->meta);

	if (err)
		return ndm_error(c->ti, err, "could not read the metadata");
	c->fresh = false;
	return 0;
}

static int preresume(struct cache *c)
{
	uint64_t blocks = c->cache_dev->store->nr / c->block_sectors;
	int err = c->fresh ? fresh_load(c) : 0;

	if (!err && c->sized && !c->loaded)
		err = ndm_error(c->ti, -EINVAL, "the mappings could not be loaded: reload the table");
	if (!err && c->mode == CACHE_WRITE && c->meta.flags & CACHE_CLEAN_SHUTDOWN) {
		err = cache_meta_flags(&c->meta, c->meta.flags & ~(uint32_t)CACHE_CLEAN_SHUTDOWN);
		if (err)
			cache_metadata_failed(c, "clearing the clean shutdown flag", err);
	}
	if (!err && (!c->sized || blocks != c->blocks))
		err = resize(c, blocks);
	if (err)
		return err;
	c->sized = true;
	if (c->loaded)
		return 0;
	err = mappings_load(c);
	if (!err)
		err = discards_load(c);
	c->loaded = !err;
	return err;
}

int cache_preresume(struct ndm_target *ti)
{
	struct cache *c = ti->private_data;
	int err;

	ndm_lock(&c->lock);
	err = preresume(c);
	ndm_unlock(&c->lock);
	return err;
}

static void commit_task(void *arg)
{
	struct cache *c = arg;

	cache_commit(c);
	crew_leave(&c->tasks);
}

void cache_waker(struct ndm_timer *timer)
{
	struct cache *c = (struct cache *)((char *)timer - offsetof(struct cache, waker));

	if (!c->running)
		return;
	smq_tick(c->policy);
	cache_migrate(c);
	if (c->meta.changed && c->mode == CACHE_WRITE)
		crew_send(&c->tasks, "cache commit", commit_task, c);
	ndm_timer_set(&c->waker, ndm_now(c->ti->loop) + WAKER_NS);
}

void cache_resume(struct ndm_target *ti)
{
	struct cache *c = ti->private_data;

	c->running = c->background = true;
	cache_waker(&c->waker);
}

/* ---- suspend ---- */

void cache_postsuspend(struct ndm_target *ti)
{
	struct cache *c = ti->private_data;

	c->running = c->background = false;
	ndm_timer_cancel(&c->waker);
	crew_wait(&c->tasks);
	if (c->mode == CACHE_WRITE && c->loaded)
		cache_sync(c);
}
