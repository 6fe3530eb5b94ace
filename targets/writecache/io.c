/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - requests to a writecache device.
 *
 * A request is cut into pieces: blocks that lie in a row in the cache, or sectors of the origin up
 * to the next cached one.  What one piece says for the whole request is sent on at once; nothing
 * is decided while somebody holds the lock.
 *
 * A piece on its way to the cache is counted: its block is not used for anything else before.
 */
#include "targets/writecache/writecache.h"

enum where { CACHE_READ, CACHE_WRITE, ORIGIN_READ, ORIGIN_WRITE, NOWHERE };

struct request {				/* per bio */
	struct writecache *wc;
	struct ndm_bio *bio;
	unsigned pending;
	int error;
	bool single, task, cached;		/* sent on as it is; a task waits; some went to the cache */
	uint8_t where;				/* single */
	struct ndm_waitq done;
};

struct piece { enum where where; uint64_t at, nr; };	/* sectors of the store */

size_t wc_per_bio_size(void)
{
	return sizeof(struct request);
}

/* ---- what is in flight ---- */

static void flight_begin(struct writecache *wc, enum where where)
{
	if (where == CACHE_READ || where == CACHE_WRITE)
		wc->in_progress[where == CACHE_WRITE]++;
	if (where == ORIGIN_WRITE)
		wc->direct_writes++;
}

static void flight_end(struct writecache *wc, enum where where)
{
	if ((where == CACHE_READ || where == CACHE_WRITE) &&
	    !--wc->in_progress[where == CACHE_WRITE])
		ndm_wake_all(&wc->ios);
	if (where == ORIGIN_WRITE && !--wc->direct_writes)
		wc->direct_ns = ndm_now(wc->ti->loop);
}

/* ---- which piece comes next ---- */

/* sectors from here on that are not cached */
static uint64_t uncached(const struct writecache *wc, uint64_t sector, uint64_t nr)
{
	uint64_t n = wc->block_sectors;

	if (wc->nfree == wc->nblocks)
		return nr;
	while (n < nr && wc_find(wc, sector + n) == WC_NONE)
		n += wc->block_sectors;
	return n;
}

static struct piece read_piece(struct writecache *wc, uint64_t sector, uint64_t nr)
{
	uint32_t b = wc_find(wc, sector);
	uint64_t n;

	if (b != WC_NONE) {
		wc->stats.reads++;
		wc->stats.read_hits++;
		return (struct piece){ CACHE_READ, wc_cache_sector(wc, b), wc->block_sectors };
	}
	n = uncached(wc, sector, nr);
	wc->stats.reads += n / wc->block_sectors;
	return (struct piece){ ORIGIN_READ, sector, n };
}

static struct piece around_piece(struct writecache *wc, uint64_t sector, uint64_t nr)
{
	uint64_t n = uncached(wc, sector, nr);

	wc->stats.around += n / wc->block_sectors;
	wc->stats.writes += n / wc->block_sectors;
	return (struct piece){ ORIGIN_WRITE, sector, n };
}

/* In place; and those behind, as long as they are cached in a row, too. */
static struct piece overwrite_piece(struct writecache *wc, uint32_t b, uint64_t sector,
				    uint64_t nr)
{
	uint32_t last = b, next;
	uint64_t n = wc->block_sectors;

	for (; n < nr; n += wc->block_sectors, last = next) {
		next = wc_find(wc, sector + n);
		if (next != last + 1 || wc->entries[next].writing_back)
			break;
		if (wc_committed(wc, next))
			wc->overwrote = true;
	}
	wc->stats.writes += n / wc->block_sectors;
	wc_autocommit(wc);
	return (struct piece){ CACHE_WRITE, wc_cache_sector(wc, b), n };
}

/* A new block; and those behind it as long as they are free, too. */
static struct piece allocate_piece(struct writecache *wc, uint32_t b, uint64_t sector,
				   uint64_t nr)
{
	uint64_t n = wc->block_sectors;
	uint32_t next = b, old;

	wc_insert(wc, b, sector, wc->sequence);
	for (; n < nr; n += wc->block_sectors) {
		/* two uncommitted entries of one sector could not be told apart after a crash */
		old = wc_find(wc, sector + n);
		if (old != WC_NONE && !wc_committed(wc, old))
			break;
		next = wc_take(wc, next + 1);
		if (next == WC_NONE)
			break;
		wc_insert(wc, next, sector + n, wc->sequence);
	}
	wc->uncommitted += n / wc->block_sectors;
	wc->stats.allocated += n / wc->block_sectors;
	wc->stats.writes += n / wc->block_sectors;
	wc_autocommit(wc);
	return (struct piece){ CACHE_WRITE, wc_cache_sector(wc, b), n };
}

/* NOWHERE: no block is free, and the origin may not have it before an older copy */
static struct piece write_piece(struct writecache *wc, uint64_t sector, uint64_t nr, bool meta)
{
	uint32_t b = wc_find(wc, sector), fresh;

	if (b != WC_NONE) {
		bool committed = wc_committed(wc, b);

		*(committed ? &wc->stats.hits_committed : &wc->stats.hits_uncommitted) += 1;
		if (!committed || !wc->entries[b].writing_back) {
			wc->overwrote |= committed;
			return overwrite_piece(wc, b, sector, nr);
		}
	} else if (wc->cleaner || (wc->metadata_only && !meta)) {
		return around_piece(wc, sector, nr);
	}
	fresh = wc_take(wc, WC_NONE);
	if (fresh != WC_NONE)
		return allocate_piece(wc, fresh, sector, nr);
	if (b == WC_NONE)
		return around_piece(wc, sector, nr);
	wc->stats.blocked++;
	return (struct piece){ NOWHERE, 0, 0 };
}

/* ---- sending ---- */

static void piece_ended(struct ndm_bio *clone, enum where where)
{
	struct request *r = clone->owner;

	flight_end(r->wc, where);
	if (clone->error && !r->error)
		r->error = clone->error;
	ndm_bio_put(r->wc->ti->loop, clone);
	if (--r->pending)
		return;
	if (r->task)
		ndm_wake_all(&r->done);
	else
		ndm_end(r->bio, r->error);
}

static void cache_read_ended(struct ndm_bio *clone) { piece_ended(clone, CACHE_READ); }
static void cache_write_ended(struct ndm_bio *clone) { piece_ended(clone, CACHE_WRITE); }
static void origin_read_ended(struct ndm_bio *clone) { piece_ended(clone, ORIGIN_READ); }
static void origin_write_ended(struct ndm_bio *clone) { piece_ended(clone, ORIGIN_WRITE); }

static struct ndm_store *store_of(const struct writecache *wc, enum where where)
{
	return where <= CACHE_WRITE ? wc->cache->store : wc->origin->store;
}

static void piece_send(struct request *r, const struct piece *p, uint64_t skip)
{
	static void (*const ended[])(struct ndm_bio *) = {
		cache_read_ended, cache_write_ended, origin_read_ended, origin_write_ended,
	};
	struct ndm_bio *clone = ndm_clone(r->wc->ti->loop, r->bio, skip, p->nr);

	clone->done = ended[p->where];
	clone->owner = r;
	clone->store = store_of(r->wc, p->where);
	clone->sector = p->at;
	r->pending++;
	r->cached |= p->where == CACHE_WRITE;
	flight_begin(r->wc, p->where);
	ndm_submit(clone);
}

static struct request *request_of(struct writecache *wc, struct ndm_bio *bio, bool task)
{
	struct request *r = ndm_per_bio(bio);

	*r = (struct request){ .wc = wc, .bio = bio, .task = task };
	ndm_waitq_init(&r->done, wc->ti->loop);
	return r;
}

/* ---- without waiting ---- */

static bool may_decide(const struct writecache *wc, const struct ndm_bio *bio)
{
	if (wc->lock.owner || wc->lock.q.head)
		return false;
	if (bio->op == NDM_READ)		/* an uncommitted block may still be being written */
		return !wc->in_progress[WC_WRITES];
	return !(bio->flags & NDM_FUA) && !wc->error &&
	       (!wc->writing_back || wc->nfree >= bio->nr / wc->block_sectors);
}

static enum ndm_map map_pieces(struct writecache *wc, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(wc->ti, bio->sector), skip, nr = bio->nr;
	struct request *r = request_of(wc, bio, false);
	struct piece p;

	r->pending = 1;
	for (skip = 0; skip < nr; skip += p.nr) {
		if (bio->op == NDM_READ)
			p = read_piece(wc, sector + skip, nr - skip);
		else
			p = write_piece(wc, sector + skip, nr - skip, bio->flags & NDM_META);
		if (p.nr == nr) {
			r->single = true;
			r->where = p.where;
			flight_begin(wc, p.where);
			bio->store = store_of(wc, p.where);
			bio->sector = p.at;
			return NDM_MAP_REMAPPED;
		}
		piece_send(r, &p, skip);
	}
	if (!--r->pending)
		ndm_end(bio, r->error);
	return NDM_MAP_SUBMITTED;
}

enum ndm_map wc_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct writecache *wc = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);

	if (bio->op == NDM_FLUSH && bio->copy)
		return ndm_remap(bio, wc->origin, 0);
	if (bio->op != NDM_FLUSH && bio->op != NDM_EXTENTS && bio->op != NDM_CACHE &&
	    (sector | bio->nr) & (wc->block_sectors - 1))
		return NDM_MAP_KILL;
	if ((bio->op == NDM_READ || bio->op == NDM_WRITE) && may_decide(wc, bio))
		return map_pieces(wc, bio);
	return NDM_MAP_WAIT;
}

enum ndm_endio wc_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct request *r = ndm_per_bio(bio);

	if (r->single) {
		r->single = false;
		flight_end(ti->private_data, r->where);
	}
	return NDM_ENDIO_DONE;
}

/* ---- in a task ---- */

/* With the lock, which is given up while no block is free. */
static bool write_next(struct writecache *wc, struct request *r, uint64_t sector, uint64_t nr,
		       struct piece *p)
{
	for (;;) {
		if (wc->error) {
			wc->stats.writes += nr / wc->block_sectors;
			return false;
		}
		*p = write_piece(wc, sector, nr, r->bio->flags & NDM_META);
		if (p->where != NOWHERE)
			return true;
		ndm_unlock(&wc->lock);
		if (!wc->nfree && !wc->error)
			ndm_wait(&wc->freed);
		ndm_lock(&wc->lock);
	}
}

static int io_read_write(struct writecache *wc, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(wc->ti, bio->sector), skip, nr = bio->nr;
	struct request *r = request_of(wc, bio, true);
	struct piece p;
	bool ok = true;

	ndm_lock(&wc->lock);
	for (skip = 0; skip < nr && ok; skip += p.nr) {
		if (bio->op == NDM_READ) {
			uint32_t b = wc_find(wc, sector + skip);

			if (b != WC_NONE && !wc_committed(wc, b))
				wc_wait_ios(wc, WC_WRITES);
			p = read_piece(wc, sector + skip, nr - skip);
		} else {
			ok = write_next(wc, r, sector + skip, nr - skip, &p);
		}
		if (ok)
			piece_send(r, &p, skip);
	}
	ndm_unlock(&wc->lock);
	while (r->pending)
		ndm_wait(&r->done);
	if (!ok || r->error)
		return r->error ? r->error : -EIO;
	if (!(bio->flags & NDM_FUA) || bio->op != NDM_WRITE || !r->cached)
		return 0;
	ndm_lock(&wc->lock);
	wc_commit(wc);
	ndm_unlock(&wc->lock);
	return wc->error ? -EIO : 0;
}

static int io_flush(struct writecache *wc)
{
	if (wc->error)
		return -EIO;
	wc->stats.flushes++;
	ndm_lock(&wc->lock);
	wc_commit(wc);
	ndm_unlock(&wc->lock);
	return wc->error ? -EIO : 0;
}

static void discard_block(struct writecache *wc, uint32_t b, bool *any)
{
	uint32_t older;

	for (; b != WC_NONE; b = older) {
		older = wc_find_older(wc, b);
		if (wc->entries[b].writing_back)
			continue;
		if (!*any) {
			wc_wait_ios(wc, WC_READS);
			wc_wait_ios(wc, WC_WRITES);
			*any = true;
		}
		wc_free(wc, b);
	}
}

/* What is cached of it is forgotten, durably, before the origin hears of it. */
static int io_discard(struct writecache *wc, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(wc->ti, bio->sector), end = sector + bio->nr, s;
	bool any = false;
	uint32_t b;

	wc->stats.discards += bio->nr / wc->block_sectors;
	if (wc->error)
		return -EIO;
	ndm_lock(&wc->lock);
	if (bio->nr / wc->block_sectors <= wc->nblocks) {
		for (s = sector; s < end; s += wc->block_sectors)
			discard_block(wc, wc_find(wc, s), &any);
	} else {
		for (b = 0; b < wc->nblocks; b++)
			if (wc->entries[b].listed && wc_sector(wc, b) >= sector &&
			    wc_sector(wc, b) < end)
				discard_block(wc, wc_find(wc, wc_sector(wc, b)), &any);
	}
	if (any)
		wc_write_metadata(wc, false);
	ndm_unlock(&wc->lock);
	return ndm_forward(bio, wc->origin, sector);
}

/* Cached blocks are data; of the rest the origin knows. */
static int io_extents(struct writecache *wc, struct ndm_bio *bio)
{
	uint64_t begin = ndm_offset(wc->ti, bio->sector), at = begin, end = begin + bio->nr, n;
	struct ndm_group group;

	ndm_group_init(&group, wc->ti->loop);
	for (; at < end; at += n) {
		uint64_t block = at / wc->block_sectors * wc->block_sectors;

		n = block + wc->block_sectors - at;
		if (wc_find(wc, block) != WC_NONE) {
			n = n < end - at ? n : end - at;
			ndm_extent_add(bio, bio->sector + at - begin, n, 0);
			continue;
		}
		while (at + n < end && wc_find(wc, at + n) == WC_NONE)
			n += wc->block_sectors;
		n = n < end - at ? n : end - at;
		ndm_group_add(&group, ndm_clone(wc->ti->loop, bio, at - begin, n),
			      wc->origin->store, at);
	}
	return ndm_group_wait(&group);
}

int wc_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct writecache *wc = ti->private_data;

	switch ((enum ndm_op)bio->op) {
	case NDM_FLUSH:
		return io_flush(wc);
	case NDM_DISCARD:
		return io_discard(wc, bio);
	case NDM_EXTENTS:
		return io_extents(wc, bio);
	case NDM_CACHE:
		return 0;
	default:
		return io_read_write(wc, bio);
	}
}
