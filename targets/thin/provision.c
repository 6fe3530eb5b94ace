/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * provision.c - a write that has no block of its own: reserve one, fill it, map it, top to bottom.
 *
 * What is filled in is what was read there before: the shared block, the external origin, or
 * zeroes.  Nothing of that where the write covers the whole block, and then the data of the write
 * goes there before the block is mapped.  Otherwise it goes there after.
 *
 * Crash states: before the commit that follows the block belongs to nobody; after it, to the
 * device, with all that was filled in, because a commit flushes the data device first.
 */
#include "thin.h"

#define ZERO_SECTORS 512u			/* of a buffer: 256 KiB */
#define GIVE_UP_NS (60 * UINT64_C(1000000000))

/* Its own suspend goes before: what it must not wait for is given back, or answered. */
int thin_park(struct thin *t, struct ndm_waitq *q)
{
	uint64_t until = ndm_now(t->ti->loop) + GIVE_UP_NS;

	if (ndm_noflush_suspending(t->ti))
		return NDM_GIVE_BACK;
	if (!ndm_stopping(t->ti) || q == &t->pool->room) {
		ndm_wait(q);
		return 0;
	}
	return ndm_wait_until(q, until) ? -EIO : 0;	/* a suspended pool may never return */
}

static int zero(struct thin *t, uint64_t sector, uint64_t nr)
{
	struct ndm_store *data = pool_data(t->pool);
	uint64_t n, most = data->limits.max_zeroes_sectors;
	void *buf;
	int err = 0;

	for (; most && nr && !err; nr -= n, sector += n) {
		n = nr < most ? nr : most;
		err = ndm_rw(data, NDM_ZEROES, 0, sector, n, NULL);
	}
	if (err || !nr)
		return err;
	most = nr < ZERO_SECTORS ? nr : ZERO_SECTORS;
	buf = patient_buffer(t->ti->loop, most * NDM_SECTOR_BYTES);
	if (!buf)
		return -ENOMEM;
	memset(buf, 0, most * NDM_SECTOR_BYTES);
	for (; nr && !err; nr -= n, sector += n) {
		n = nr < most ? nr : most;
		err = ndm_rw(data, NDM_WRITE, 0, sector, n, buf);
	}
	ndm_buffer_put(t->ti->loop, buf, most * NDM_SECTOR_BYTES);
	return err;
}

/* what the external origin has of the block, then zeroes */
static int fill_from_origin(struct thin *t, uint64_t virtual, uint64_t to)
{
	uint64_t from = virtual * t->pool->block, nr = t->pool->block, has = 0;
	int err = 0;

	if (from < t->origin_sectors)
		has = t->origin_sectors - from < nr ? t->origin_sectors - from : nr;
	if (has)
		err = ndm_copy(t->origin->store, from, pool_data(t->pool), to, has);
	if (!err && has < nr && t->pool->f.zero_new)
		err = zero(t, to + has, nr - has);
	return err;
}

static int fill(struct thin *t, const struct ndm_bio *bio, uint64_t virtual,
		const struct thin_map *shared, uint64_t block)
{
	uint64_t to = block * t->pool->block;

	if (bio->nr == t->pool->block)
		return ndm_rw_data(pool_data(t->pool), NDM_WRITE, 0, to, bio->nr, &bio->data);
	if (shared)
		return ndm_copy(pool_data(t->pool), shared->block * t->pool->block, pool_data(t->pool), to,
				t->pool->block);
	if (t->origin)
		return fill_from_origin(t, virtual, to);
	return t->pool->f.zero_new ? zero(t, to, t->pool->block) : 0;
}

static int map_it(struct thin *t, uint64_t virtual, struct reserved *r)
{
	struct pool *pool = t->pool;
	int err;

	ndm_wrlock(&pool->pmd->lock);
	pool_unreserve(pool, r);
	if (pool->mode >= POOL_OUT_OF_METADATA) {
		err = -EIO;
	} else {
		err = pmd_insert(t->td, virtual, r->block);
		if (err)
			pool_failed(pool, "insert a mapping", err);
		else
			pool_changed(pool);
	}
	if (!err)
		pool->inflight++;		/* the write that follows */
	ndm_rwunlock(&pool->pmd->lock);
	return err ? -EIO : 0;
}

/* Makes durable what has completed, and what it is mapped by. */
int thin_durable(struct thin *t)
{
	struct pool *pool = t->pool;
	bool committed = false;
	int err = 0;

	if (t->td->changed) {
		ndm_wrlock(&pool->pmd->lock);
		committed = t->td->changed;
		if (committed)
			err = pool_commit(pool);
		ndm_rwunlock(&pool->pmd->lock);
	}
	if (err || t->td->aborted)
		return -EIO;
	return committed ? 0 : ndm_flush(pool_data(pool));
}

/* what to answer to a write that cannot be served in this mode; 0: it waits */
static int unserviceable(const struct pool *pool)
{
	if (pool->mode == POOL_OUT_OF_DATA)
		return pool->f.error_if_no_space ? -ENOSPC : 0;
	return pool->mode == POOL_WRITE ? 0 : -EIO;
}

/* -EAGAIN: look again, the mode is another */
static int reserve_or_wait(struct thin *t, struct reserved *r)
{
	struct pool *pool = t->pool;
	int err;

	if (pool->mode == POOL_WRITE) {
		err = pool_reserve(pool, r);
		if (err != -EAGAIN || pool->mode == POOL_WRITE)
			return err;
	}
	err = unserviceable(pool);
	if (err || pool->mode == POOL_WRITE)
		return err ? err : -EAGAIN;
	pool_unbusy(pool);			/* a suspend of the pool need not wait for it */
	err = thin_park(t, &pool->room);
	while (!err && pool->suspended)
		err = thin_park(t, &pool->resumed);
	pool_busy(pool);
	return err ? err : -EAGAIN;
}

/* counted in inflight; FUA: durable itself, or by the commit that its mapping needs anyway */
static int write_mapped(struct thin *t, struct ndm_bio *bio, uint64_t block)
{
	struct pool *pool = t->pool;
	uint64_t within = ndm_offset(t->ti, bio->sector) % pool->block;
	bool fua = bio->flags & NDM_FUA, changed = t->td->changed || t->td->aborted;
	int err = ndm_rw_data(pool_data(pool), NDM_WRITE, fua && !changed ? NDM_FUA : 0,
			      block * pool->block + within, bio->nr, &bio->data);

	pool_land(pool);
	return !err && fua && changed ? thin_durable(t) : err;
}

static int provision_with(struct thin *t, struct ndm_bio *bio, uint64_t virtual,
			  const struct thin_map *shared, struct reserved *r)
{
	struct pool *pool = t->pool;
	int err = fill(t, bio, virtual, shared, r->block);

	if (!err)
		err = NDM_MOMENT(t->ti->loop, "thin.filled");
	if (err) {
		pool_unreserve(pool, r);
		return err;
	}
	err = map_it(t, virtual, r);
	if (err)
		return err;
	if (bio->nr != pool->block)
		return write_mapped(t, bio, r->block);
	pool_land(pool);
	return bio->flags & NDM_FUA ? thin_durable(t) : 0;
}

int thin_provision(struct thin *t, struct ndm_bio *bio, uint64_t virtual)
{
	struct pool *pool = t->pool;
	struct reserved r;
	struct thin_map map;
	int err, found;

	for (;;) {
		ndm_rdlock(&pool->pmd->lock);
		found = pool->mode == POOL_FAIL ? -EIO : pmd_find(t->td, virtual, false, &map);
		if (!found && !map.shared)	/* somebody has done it meanwhile */
			pool->inflight++;
		ndm_rwunlock(&pool->pmd->lock);
		if (!found && !map.shared)
			return write_mapped(t, bio, map.block);
		if (found && found != -ENODATA)
			return -EIO;
		err = reserve_or_wait(t, &r);
		if (err == -EAGAIN)
			continue;
		return err ? err : provision_with(t, bio, virtual, found ? NULL : &map, &r);
	}
}
