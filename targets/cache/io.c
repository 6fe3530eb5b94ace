/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - requests to a cache: hit or miss, and what follows.
 *
 * What is decided while nobody holds the block stays so until the request has ended, because it
 * uses the block.  Requests are cut at blocks; a partial block at the end is never cached.
 */
#include "targets/cache/cache.h"

enum where { UNDECIDED, TO_ORIGIN, TO_CACHE, TO_BOTH, OVERWRITES, INVALIDATES };

struct request {				/* per bio */
	struct cache_use use;
	uint64_t sectors;			/* counted as in flight */
	enum where where;
	uint32_t cblock;
	bool tick;
	struct smq_work work;
};

size_t cache_per_bio_size(void)
{
	return sizeof(struct request);
}

static uint64_t oblock_of(const struct cache *c, const struct ndm_bio *bio)
{
	return ndm_offset(c->ti, bio->sector) / c->block_sectors;
}

static uint64_t cache_sector(const struct cache *c, const struct ndm_bio *bio, uint32_t cblock)
{
	return (uint64_t)cblock * c->block_sectors + ndm_offset(c->ti, bio->sector) % c->block_sectors;
}

/* ---- decisions ---- */

static void tick_later(struct cache *c, struct request *r)
{
	if (c->ticking)
		return;
	c->ticking = r->tick = true;
}

static void decide_hit(struct cache *c, const struct ndm_bio *bio, struct request *r, uint64_t oblock)
{
	bool write = bio->op == NDM_WRITE;

	c->counts[write ? CACHE_WRITE_HITS : CACHE_READ_HITS]++;
	if (c->io == CACHE_PASSTHROUGH) {
		r->where = write ? INVALIDATES : TO_ORIGIN;
		return;
	}
	if (write && c->io == CACHE_WRITETHROUGH && !cache_bit(c->dirty, r->cblock)) {
		r->where = TO_BOTH;
		cache_clear_discard(c, oblock);
		return;
	}
	r->where = TO_CACHE;
	tick_later(c, r);
	if (write) {
		cache_set_dirty(c, r->cblock);
		cache_clear_discard(c, oblock);
	}
}

/* false: somebody holds the block */
static bool decide(struct cache *c, const struct ndm_bio *bio, struct request *r)
{
	uint64_t oblock = oblock_of(c, bio);
	bool write = bio->op == NDM_WRITE, queued, issued;

	if (!cache_use_begin(c, &r->use, oblock, write))
		return false;
	if (smq_lookup(c->policy, oblock, write, cache_optimisable(c, bio, oblock), &r->cblock,
		       &queued, &r->work, &issued)) {
		decide_hit(c, bio, r, oblock);
	} else if (issued) {
		r->where = OVERWRITES;
	} else {
		c->counts[write ? CACHE_WRITE_MISSES : CACHE_READ_MISSES]++;
		r->where = TO_ORIGIN;
		tick_later(c, r);
		if (write)
			cache_clear_discard(c, oblock);
	}
	if (queued && !issued)
		cache_migrate(c);
	if (r->where == OVERWRITES || r->where == INVALIDATES)
		cache_use_end(c, &r->use);	/* the task locks it */
	return true;
}

static enum ndm_map send(struct cache *c, struct ndm_bio *bio, const struct request *r)
{
	if (r->where == TO_CACHE)
		return ndm_remap(bio, c->cache_dev, cache_sector(c, bio, r->cblock));
	return ndm_remap(bio, c->origin, ndm_offset(c->ti, bio->sector));
}

enum ndm_map cache_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct cache *c = ti->private_data;
	struct request *r = ndm_per_bio(bio);

	if (bio->op == NDM_FLUSH)
		return c->meta.changed ? NDM_MAP_WAIT
		     : ndm_remap(bio, bio->copy ? c->cache_dev : c->origin, 0);
	if (bio->op == NDM_READ || bio->op == NDM_WRITE) {
		r->sectors = bio->nr;
		c->in_flight += bio->nr;
	}
	if (bio->op == NDM_EXTENTS || bio->op == NDM_CACHE)
		return NDM_MAP_WAIT;
	if (oblock_of(c, bio) >= c->origin_blocks)
		return ndm_remap(bio, c->origin, ndm_offset(ti, bio->sector));
	if (bio->op == NDM_DISCARD || !decide(c, bio, r))
		return NDM_MAP_WAIT;
	if ((r->where == TO_CACHE || r->where == TO_ORIGIN) &&
	    !(bio->flags & NDM_FUA && c->meta.changed))
		return send(c, bio, r);
	return NDM_MAP_WAIT;
}

enum ndm_endio cache_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct cache *c = ti->private_data;
	struct request *r = ndm_per_bio(bio);

	if (r->tick) {
		r->tick = c->ticking = false;
		smq_tick(c->policy);
	}
	cache_use_end(c, &r->use);
	if (r->sectors) {
		c->in_flight -= r->sectors;
		r->sectors = 0;
		if (!c->in_flight)
			c->last_io_ns = ndm_now(ti->loop);
	}
	return NDM_ENDIO_DONE;
}

/* ---- in a task ---- */

static int io_both(struct cache *c, struct ndm_bio *bio, const struct request *r)
{
	struct ndm_group group;

	ndm_group_init(&group, c->ti->loop);
	ndm_group_add(&group, ndm_clone(c->ti->loop, bio, 0, bio->nr), c->origin->store,
		      ndm_offset(c->ti, bio->sector));
	ndm_group_add(&group, ndm_clone(c->ti->loop, bio, 0, bio->nr), c->cache_dev->store,
		      cache_sector(c, bio, r->cblock));
	return ndm_group_wait(&group);
}

/* 1: it has to be decided again */
static int io_decided(struct cache *c, struct ndm_bio *bio, struct request *r)
{
	if (r->where == OVERWRITES)
		return cache_overwrite(c, bio, &r->work);
	if (r->where == INVALIDATES)
		return cache_invalidate_write(c, bio, oblock_of(c, bio), r->cblock);
	if (bio->flags & NDM_FUA && cache_commit(c))
		return -EIO;
	if (r->where == TO_BOTH)
		return io_both(c, bio, r);
	if (r->where == TO_CACHE)
		return ndm_forward(bio, c->cache_dev, cache_sector(c, bio, r->cblock));
	return ndm_forward(bio, c->origin, ndm_offset(c->ti, bio->sector));
}

static int io_read_write(struct cache *c, struct ndm_bio *bio)
{
	struct request *r = ndm_per_bio(bio);
	int err = 1;

	while (err > 0) {
		while (r->where == UNDECIDED && !decide(c, bio, r))
			cache_use_wait(c, oblock_of(c, bio), bio->op == NDM_WRITE);
		err = io_decided(c, bio, r);
		if (err > 0) {
			r->where = UNDECIDED;
			cache_use_wait(c, oblock_of(c, bio), true);
		}
	}
	return err;
}

/* Whole dblocks are remembered; what is cached stays. */
static int io_discard(struct cache *c, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(c->ti, bio->sector), size = c->discard_sectors, d;
	uint64_t first = (sector + size - 1) / size, end = (sector + bio->nr) / size;

	for (d = first; bio->nr >= size && d < end; d++)
		c->discards[d / 64] |= UINT64_C(1) << d % 64;
	return c->passdown ? ndm_forward(bio, c->origin, sector) : 0;
}

/* Cached blocks are data; of the rest the origin knows. */
static int io_ask(struct cache *c, struct ndm_bio *bio)
{
	uint64_t begin = ndm_offset(c->ti, bio->sector), at = begin, end = begin + bio->nr, n;
	struct ndm_group group;
	uint32_t cblock;

	ndm_group_init(&group, c->ti->loop);
	for (; at < end; at += n) {
		n = c->block_sectors - at % c->block_sectors;
		n = n < end - at ? n : end - at;
		if (bio->op == NDM_EXTENTS && c->io != CACHE_PASSTHROUGH &&
		    smq_peek(c->policy, at / c->block_sectors, &cblock)) {
			ndm_extent_add(bio, bio->sector + at - begin, n, 0);
			continue;
		}
		while (at + n < end && !smq_peek(c->policy, (at + n) / c->block_sectors, &cblock))
			n = end - at - n < c->block_sectors ? end - at : n + c->block_sectors;
		ndm_group_add(&group, ndm_clone(c->ti->loop, bio, at - begin, n), c->origin->store, at);
	}
	return ndm_group_wait(&group);
}

int cache_io_task(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct cache *c = ti->private_data;

	switch ((enum ndm_op)bio->op) {
	case NDM_FLUSH:
		if (cache_commit(c))
			return -EIO;
		return ndm_forward(bio, bio->copy ? c->cache_dev : c->origin, 0);
	case NDM_DISCARD:
		return io_discard(c, bio);
	case NDM_EXTENTS:
	case NDM_CACHE:
		return io_ask(c, bio);
	default:
		return io_read_write(c, bio);
	}
}
