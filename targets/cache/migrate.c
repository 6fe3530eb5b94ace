/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * migrate.c - blocks on their way between origin and cache device.
 *
 * Each is a task: keep writes out, copy, keep reads out as well, change the mapping, let all in
 * again.  A demotion commits before its cblock may be used for anything else, or the mapping on
 * disk would lead to another block's data after a crash.
 *
 * A write of a whole block, and one to a block whose contents a discard has made undefined, takes
 * the place of the copy.
 */
#include "targets/cache/cache.h"

#define IDLE_NS UINT64_C(1000000000)

/* ---- dirty and discarded ---- */

static void dirty_set(struct cache *c, uint32_t cblock, bool dirty)
{
	uint64_t bit = UINT64_C(1) << cblock % 64;

	if (cache_bit(c->dirty, cblock) == dirty)
		return;
	c->dirty[cblock / 64] ^= bit;
	if (dirty)
		c->ndirty++;
	else if (!--c->ndirty)
		ndm_event(c->ti);
}

void cache_set_dirty(struct cache *c, uint32_t cblock)
{
	if (cache_bit(c->dirty, cblock))
		return;
	dirty_set(c, cblock, true);
	smq_set_dirty(c->policy, cblock, true);
}

/* whatever they knew before, both know now */
static void dirty_force(struct cache *c, uint32_t cblock, bool dirty)
{
	dirty_set(c, cblock, dirty);
	smq_set_dirty(c->policy, cblock, dirty);
}

void cache_clear_discard(struct cache *c, uint64_t oblock)
{
	uint64_t d = oblock * c->block_sectors / c->discard_sectors;

	c->discards[d / 64] &= ~(UINT64_C(1) << d % 64);
}

bool cache_optimisable(const struct cache *c, const struct ndm_bio *bio, uint64_t oblock)
{
	return c->io == CACHE_WRITEBACK && bio->op == NDM_WRITE &&
	       (bio->nr == c->block_sectors || cache_is_discarded(c, oblock));
}

/* ---- steps ---- */

static int block_copy(struct cache *c, const struct smq_work *w)
{
	uint64_t o = w->oblock * c->block_sectors, at = (uint64_t)w->cblock * c->block_sectors;
	int err;

	while (c->copies >= CACHE_COPIES)
		ndm_wait(&c->copy_room);
	c->copies++;
	if (w->op == SMQ_PROMOTE)
		err = ndm_copy(c->origin->store, o, c->cache_dev->store, at, c->block_sectors);
	else
		err = ndm_copy(c->cache_dev->store, at, c->origin->store, o, c->block_sectors);
	c->copies--;
	ndm_wake_one(&c->copy_room);
	*(w->op == SMQ_PROMOTE ? &c->cache_written : &c->origin_written) = true;
	return err;
}

static int mapping_change(struct cache *c, const struct smq_work *w)
{
	int err = c->mode == CACHE_WRITE ? 0 : -EROFS;

	if (w->op == SMQ_WRITEBACK)
		return 0;
	ndm_lock(&c->lock);
	if (!err && c->mode != CACHE_WRITE)
		err = -EROFS;
	if (!err) {
		err = w->op == SMQ_PROMOTE ? cache_meta_insert(&c->meta, w->cblock, w->oblock)
					   : cache_meta_remove(&c->meta, w->cblock);
		if (err)
			cache_metadata_failed(c, "changing a mapping", err);
	}
	ndm_unlock(&c->lock);
	if (!err && w->op == SMQ_DEMOTE)
		err = cache_commit(c);
	return err;
}

static void complete(struct cache *c, const struct smq_work *w, bool overwritten, bool success)
{
	if (w->op == SMQ_PROMOTE) {
		cache_clear_discard(c, w->oblock);
		smq_complete(c->policy, w, success);
		if (success)
			dirty_force(c, w->cblock, overwritten);
		c->promotions += success;
		return;
	}
	if (success)
		dirty_force(c, w->cblock, false);
	smq_complete(c->policy, w, success);
	c->demotions += success && w->op == SMQ_DEMOTE;
}

/* ---- a migration ---- */

struct migration { struct cache *c; struct smq_work w; };

static int migration_locked(struct cache *c, const struct smq_work *w, struct cache_lock *lock)
{
	int err = 0;

	cache_lock_quiesce(c, lock);
	if (!((w->op != SMQ_PROMOTE && !cache_bit(c->dirty, w->cblock)) ||
	      cache_is_discarded(c, w->oblock)))
		err = block_copy(c, w);
	if (err)
		return err;
	lock->reads = true;
	cache_lock_quiesce(c, lock);
	return mapping_change(c, w);
}

static void migration_run(struct cache *c, const struct smq_work *w)
{
	struct cache_lock *lock = cache_lock_try(c, w->oblock, false);
	int err = lock ? migration_locked(c, w, lock) : -EBUSY;

	complete(c, w, false, !err);
	c->migrations--;
	if (lock)
		cache_lock_end(c, lock);
}

static void migration_task(void *arg)
{
	struct migration m = *(struct migration *)arg;
	struct cache *c = m.c;

	ndm_free(arg);
	migration_run(c, &m.w);
	cache_migrate(c);
	crew_leave(&c->tasks);
}

static bool migration_begin(struct cache *c, const struct smq_work *w)
{
	struct migration *m = c->background ? ndm_zalloc(sizeof *m) : NULL;

	if (!m) {
		smq_complete(c->policy, w, false);
		return false;
	}
	*m = (struct migration){ c, *w };
	c->migrations++;
	crew_send(&c->tasks, "cache migration", migration_task, m);
	return true;
}

static bool spare_bandwidth(const struct cache *c)
{
	bool idle = !c->in_flight && (!c->last_io_ns || ndm_now(c->ti->loop) - c->last_io_ns > IDLE_NS);

	return idle && (c->migrations + UINT64_C(1)) * c->block_sectors <= c->migration_threshold;
}

void cache_migrate(struct cache *c)
{
	struct smq_work w;

	if (c->io == CACHE_PASSTHROUGH || !c->background)
		return;
	while (smq_get_work(c->policy, spare_bandwidth(c), &w))
		if (!migration_begin(c, &w))
			break;
}

/* ---- a write that promotes its block ---- */

static int overwrite(struct cache *c, struct ndm_bio *bio, const struct smq_work *w)
{
	uint64_t within = ndm_offset(c->ti, bio->sector) % c->block_sectors;
	int err = ndm_forward(bio, c->cache_dev, (uint64_t)w->cblock * c->block_sectors + within);

	c->cache_written = true;
	return err ? err : mapping_change(c, w);
}

int cache_overwrite(struct cache *c, struct ndm_bio *bio, const struct smq_work *w)
{
	struct cache_lock *lock = cache_lock_try(c, w->oblock, true);
	int err;

	if (!lock) {
		complete(c, w, false, false);
		return 1;
	}
	cache_lock_quiesce(c, lock);
	if (!cache_optimisable(c, bio, w->oblock)) {	/* no longer discarded: as any other */
		cache_lock_end(c, lock);
		c->migrations++;
		migration_run(c, w);
		return 1;
	}
	err = overwrite(c, bio, w);
	complete(c, w, true, !err);
	cache_lock_end(c, lock);
	cache_migrate(c);
	if (!err && bio->flags & NDM_FUA)
		err = cache_commit(c);
	return err ? -EIO : 0;
}

/* ---- invalidation ---- */

int cache_invalidate(struct cache *c, uint32_t cblock)
{
	int err = c->mode == CACHE_WRITE ? smq_invalidate(c->policy, cblock) : -EROFS;

	if (err == -ENODATA)
		return 0;			/* nothing is there */
	if (!err)
		err = cache_meta_remove(&c->meta, cblock);
	if (err && err != -EROFS)
		cache_metadata_failed(c, "removing a mapping", err);
	return err;
}

int cache_invalidate_write(struct cache *c, struct ndm_bio *bio, uint64_t oblock, uint32_t cblock)
{
	struct cache_lock *lock = cache_lock_try(c, oblock, true);
	int err;

	if (!lock)
		return 1;
	cache_lock_quiesce(c, lock);
	ndm_lock(&c->lock);
	err = cache_invalidate(c, cblock);
	ndm_unlock(&c->lock);
	if (!err)
		err = cache_commit(c);
	if (!err) {
		cache_clear_discard(c, oblock);
		err = ndm_forward(bio, c->origin, ndm_offset(c->ti, bio->sector));
		c->demotions += !err;
	}
	cache_lock_end(c, lock);
	return err ? -EIO : 0;
}
