/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device.c - the way of a bio through a mapped device: admit, split, map, gather.
 *
 * Every bio that reaches a target is a clone made here; the bio that came in only waits for
 * its clones.  So a target may change store and sector of what it holds, and nothing else
 * needs a second lifetime rule.
 *
 * Bounds, read-only and support are checked here and nowhere below; targets assert.
 */
#include <stdlib.h>

#include "core.h"

#define ZERO_PIECE_BYTES 65536u
#define ZERO_PIECES 16u				/* one write of zeroes is at most 1 MiB */

enum { HELD_COUNTED = 1, HELD_REQUEUE = 2 };

static void clone_done(struct ndm_bio *);
static void device_start(struct ndm_device *, struct ndm_bio *);
static int bio_check(const struct ndm_device *, const struct ndm_bio *);
static uint64_t piece_length(const struct ndm_target *, const struct ndm_bio *, uint64_t sector,
			     uint64_t nr);

static struct ndm_device *device_of(struct ndm_store *store)
{
	return ndm_container_of(store, struct ndm_device, store);
}

/* ---- states ---- */

static const unsigned state_next[] = {
	[DEVICE_ACTIVE] = 1 << DEVICE_SUSPENDING | 1 << DEVICE_REMOVED,
	[DEVICE_SUSPENDING] = 1 << DEVICE_SUSPENDED,
	[DEVICE_SUSPENDED] = 1 << DEVICE_RESUMING | 1 << DEVICE_REMOVED,
	[DEVICE_RESUMING] = 1 << DEVICE_ACTIVE | 1 << DEVICE_SUSPENDED,
	[DEVICE_REMOVED] = 0,
};

void device_state(struct ndm_device *dev, enum ndm_device_state next)
{
	assert(state_next[dev->state] & 1u << next);
	dev->state = next;
}

/* ---- waiting for a table ---- */

void device_defer(struct ndm_device *dev, struct ndm_bio *bio)
{
	bio->next = NULL;
	if (dev->deferred_head)
		dev->deferred_tail->next = bio;
	else
		dev->deferred_head = bio;
	dev->deferred_tail = bio;
}

void device_release_deferred(struct ndm_device *dev, int error)
{
	struct ndm_bio *bio, *list = dev->deferred_head;

	dev->deferred_head = dev->deferred_tail = NULL;
	while ((bio = list)) {
		list = bio->next;
		bio->next = NULL;
		if (error)
			ndm_end(bio, error);
		else
			ndm_submit(bio);
	}
}

/* ---- accounting ---- */

static unsigned stat_group(const struct ndm_bio *bio)
{
	switch (bio->op) {
	case NDM_WRITE:
	case NDM_ZEROES:
		return NDM_STAT_WRITE;
	case NDM_DISCARD:
		return NDM_STAT_DISCARD;
	case NDM_FLUSH:
		return NDM_STAT_FLUSH;
	default:
		return NDM_STAT_READ;
	}
}

static unsigned latency_bucket(uint64_t ns)
{
	unsigned i = ns >> 10 ? 64 - (unsigned)__builtin_clzll(ns >> 10) : 0;

	return i < NDM_LATENCY_BUCKETS ? i : NDM_LATENCY_BUCKETS - 1;
}

/* The clock is asked only while somebody looks: these two are out of the way of all the others. */
__attribute__((cold, noinline))
static void bio_time_start(struct ndm_device *dev, struct ndm_bio *bio)
{
	bio->start_ns = loop_now(dev->loop);
	if (!dev->in_flight || !dev->busy_since_ns)
		dev->busy_since_ns = bio->start_ns;
}

__attribute__((cold, noinline))
static void bio_time(struct ndm_device *dev, struct ndm_bio *bio, unsigned g)
{
	uint64_t now = loop_now(dev->loop), ns = now - bio->start_ns;

	dev->stats.group[g].ns += ns;
	dev->stats.group[g].latency[latency_bucket(ns)]++;
	dev->stats.busy_ns += now - dev->busy_since_ns;
	dev->busy_since_ns = now;
}

static void bio_account(struct ndm_device *dev, struct ndm_bio *bio)
{
	unsigned g = stat_group(bio);

	if (bio->op == NDM_EXTENTS || bio->op == NDM_CACHE)
		return;
	if (bio->source && !bio->source->taken)	/* refused: it comes again with its data */
		return;
	dev->stats.group[g].ios++;
	dev->stats.group[g].sectors += bio->nr;
	if (bio->error)
		dev->stats.group[g].errors++;
	if (bio->start_ns)
		bio_time(dev, bio, g);
}

/* ---- the end ---- */

static void in_flight_less(struct ndm_device *dev)
{
	assert(dev->in_flight);
	if (--dev->in_flight == 0 && dev->drained.head)
		ndm_wake_all(&dev->drained);
}

static void bio_finish(struct ndm_device *dev, struct ndm_bio *bio)
{
	if (bio->held & HELD_REQUEUE) {
		bio->held = 0;
		bio->error = 0;
		if (dev->noflush_suspending)
			device_defer(dev, bio);
		else
			bio->error = -EIO;	/* nobody will come for it */
		if (!bio->error)
			goto out;
	}
	bio_account(dev, bio);
	bio->held = 0;
	bio->done(bio);
out:
	in_flight_less(dev);
}

/* ---- folding ---- */

/*
 * A device that only remaps needs no clone of its own: the one that comes from above is mapped
 * again, and remembers (where its target would have private bytes, and has none) which devices
 * it has passed.  They count it as any other request.  So ten linears on each other cost about
 * what one does.
 */
#define FOLDED_MAX (NDM_PER_BIO_MAX / sizeof(struct ndm_device *))

static struct ndm_target *fold_target(struct ndm_device *low, const struct ndm_bio *clone)
{
	struct ndm_target *ti;

	if (low->state != DEVICE_ACTIVE || low->deferred_head || low->regions ||
	    atomic_load_explicit(&low->ctx->timing, memory_order_relaxed) ||
	    bio_check(low, clone))
		return NULL;
	ti = table_find(low->live, clone->sector);
	if (!(ti->type->features & NDM_TARGET_LENDS) || ti->type->end_io || !ti->devs ||
	    piece_length(ti, clone, clone->sector, clone->nr) != clone->nr)
		return NULL;
	return ti;
}

/* The clone has been sent to a device; true: it has gone through it, and on to what is below. */
static bool clone_fold(struct ndm_bio *clone)
{
	struct ndm_device **passed = ndm_per_bio(clone), *low;
	struct ndm_target *ti;
	enum ndm_map verdict;

	if (clone->store->ops != &device_store_ops || clone->op > NDM_WRITE ||
	    clone->flags & NDM_PREFLUSH || !clone->nr || !clone->target ||
	    clone->target->per_bio_size || clone->folded == FOLDED_MAX)
		return false;
	low = device_of(clone->store);
	ti = fold_target(low, clone);
	if (!ti)
		return false;
	low->loop->nowait++;
	verdict = ti->type->map(ti, clone);
	low->loop->nowait--;
	assert(verdict == NDM_MAP_REMAPPED);	/* NDM_TARGET_LENDS says so */
	(void)verdict;
	low->in_flight++;
	passed[clone->folded++] = low;
	return true;
}

static void clone_unfold(struct ndm_bio *clone)
{
	struct ndm_device **passed = ndm_per_bio(clone), *low;

	while (clone->folded) {
		low = passed[--clone->folded];
		bio_account(low, clone);
		in_flight_less(low);
	}
}

static void clone_done(struct ndm_bio *clone)
{
	struct ndm_target *ti = clone->target;
	struct ndm_bio *bio = clone->parent;
	struct ndm_device *dev = device_of(bio->store);
	enum ndm_endio verdict = NDM_ENDIO_DONE;

	if (clone->folded)
		clone_unfold(clone);
	if (clone->error == NDM_GIVE_BACK) {
		clone->error = 0;
		verdict = NDM_ENDIO_REQUEUE;
	} else if (ti && ti->type->end_io) {
		dev->loop->nowait++;
		verdict = ti->type->end_io(ti, clone);
		dev->loop->nowait--;
		if (verdict == NDM_ENDIO_INCOMPLETE)
			return;
	}
	if (clone->stats_ns)
		stats_end(dev, clone);
	if (verdict == NDM_ENDIO_REQUEUE)
		bio->held |= HELD_REQUEUE;
	else if (clone->error && !bio->error)
		bio->error = clone->error;
	ndm_bio_put(dev->loop, clone);
	if (--bio->pending == 0)
		bio_finish(dev, bio);
}

/* ---- mapping one clone ---- */

static void clone_io_task(void *arg)
{
	struct ndm_bio *clone = arg;

	ndm_end(clone, clone->target->type->io(clone->target, clone));
}

static void clone_map(struct ndm_device *dev, struct ndm_bio *clone)
{
	struct ndm_target *ti = clone->target;
	enum ndm_map verdict = NDM_MAP_WAIT;

	if (ti->type->map) {
		dev->loop->nowait++;
		verdict = ti->type->map(ti, clone);
		dev->loop->nowait--;
	}
	switch (verdict) {
	case NDM_MAP_REMAPPED:
		while (clone_fold(clone))
			;
		ndm_submit(clone);
		break;
	case NDM_MAP_SUBMITTED:
		break;
	case NDM_MAP_WAIT:
		assert(ti->type->io);
		ndm_spawn(dev->loop, ti->type->name, clone_io_task, clone);
		break;
	case NDM_MAP_REQUEUE:
		ndm_end(clone, NDM_GIVE_BACK);
		break;
	case NDM_MAP_KILL:
		ndm_end(clone, -EIO);
		break;
	}
}

static struct ndm_bio *clone_make(struct ndm_device *dev, struct ndm_bio *bio,
				  struct ndm_target *ti, uint64_t skip, uint64_t nr)
{
	struct ndm_bio *c = ndm_clone(dev->loop, bio, skip, nr);

	c->parent = bio;
	c->target = ti;
	c->device_sector = c->sector;
	c->done = clone_done;
	if (ti && ti->per_bio_size)
		memset(ndm_per_bio(c), 0, ti->per_bio_size);
	if (nr == bio->nr && ti) {
		if (ti->type->features & (NDM_TARGET_LENDS | NDM_TARGET_LENDS_READS))
			c->loan = bio->loan;
		if (ti->type->features & NDM_TARGET_LENDS)
			c->source = bio->source;
	}
	bio->pending++;
	if (dev->regions)
		stats_start(dev, c);
	return c;
}

/* ---- splitting ---- */

static uint64_t to_boundary(const struct ndm_target *ti, uint64_t sector, uint64_t every)
{
	return every - (sector - ti->begin) % every;
}

/* how much of [sector, sector + nr) one target takes at once */
static uint64_t piece_length(const struct ndm_target *ti, const struct ndm_bio *bio,
			     uint64_t sector, uint64_t nr)
{
	uint64_t room = ti->begin + ti->nr - sector, every = ti->max_io;

	if (bio->op == NDM_DISCARD || bio->op == NDM_ZEROES)
		every = bio->op == NDM_DISCARD ? ti->max_discard : 0;
	if (bio->op == NDM_EXTENTS && ti->extents_whole)
		every = 0;
	if (nr > room)
		nr = room;
	if (every && nr > to_boundary(ti, sector, every))
		nr = to_boundary(ti, sector, every);
	return nr;
}

/* Write-zeroes that a target cannot take: plain writes of a page that is always zero. */
static void write_zero_pages(struct ndm_device *dev, struct ndm_bio *bio, struct ndm_target *ti,
			     uint64_t skip, uint64_t nr)
{
	static const unsigned char zeroes[ZERO_PIECE_BYTES] __attribute__((aligned(4096)));
#define P { (void *)zeroes, ZERO_PIECE_BYTES }
	static const struct iovec pieces[ZERO_PIECES] = { P, P, P, P, P, P, P, P,
							  P, P, P, P, P, P, P, P };
#undef P
	uint64_t most = (uint64_t)ZERO_PIECES * ZERO_PIECE_BYTES >> NDM_SECTOR_SHIFT;

	while (nr) {
		uint64_t sector = bio->sector + skip, n = nr < most ? nr : most;
		struct ndm_bio *c;

		if (ti->max_io && n > to_boundary(ti, sector, ti->max_io))
			n = to_boundary(ti, sector, ti->max_io);
		c = clone_make(dev, bio, ti, skip, n);
		c->op = NDM_WRITE;
		c->flags &= ~(NDM_NOUNMAP | NDM_FAST);
		c->data = (struct ndm_data){ .iov = pieces, .iovcnt = ZERO_PIECES };
		clone_map(dev, c);
		skip += n;
		nr -= n;
	}
}

static bool target_takes_zeroes(const struct ndm_target *ti)
{
	const struct ndm_dev *d;

	if (!ti->num_zeroes)
		return false;
	if (ti->zeroes_supported)
		return true;
	for (d = ti->devs; d; d = d->next)
		if (!d->store->limits.max_zeroes_sectors)
			return false;
	return ti->devs != NULL;
}

/* Data that is not there yet goes through those only that do not look at it. */
static bool source_passes(const struct ndm_device *dev, const struct ndm_bio *bio,
			  const struct ndm_target *ti, uint64_t nr)
{
	return nr == bio->nr && ti->type->features & NDM_TARGET_LENDS && !dev->regions;
}

/* one piece of one target; errors go into bio->error */
static void piece_send(struct ndm_device *dev, struct ndm_bio *bio, struct ndm_target *ti,
		       uint64_t skip, uint64_t nr)
{
	unsigned copies = 1, i;

	if (bio->source && !source_passes(dev, bio, ti, nr)) {
		bio->error = -EOPNOTSUPP;
		return;
	}
	switch (bio->op) {
	case NDM_DISCARD:
		copies = ti->num_discard;
		break;
	case NDM_ZEROES:
		if (!target_takes_zeroes(ti)) {
			if (bio->flags & NDM_FAST)
				bio->error = bio->error ? bio->error : -EOPNOTSUPP;
			else
				write_zero_pages(dev, bio, ti, skip, nr);
			return;
		}
		copies = ti->num_zeroes;
		break;
	case NDM_EXTENTS:
		if (!ti->extents) {
			ndm_extent_add(bio, bio->sector + skip, nr, 0);
			return;
		}
		break;
	case NDM_CACHE:
		if (!ti->extents)		/* only those who pass questions through */
			return;
		break;
	}
	for (i = 0; i < copies; i++) {
		struct ndm_bio *c = clone_make(dev, bio, ti, skip, nr);

		c->copy = i;
		clone_map(dev, c);
	}
}

#define EXTENT_PIECES 1024			/* of one question; the rest is not answered */

static void bio_split(struct ndm_device *dev, struct ndm_bio *bio)
{
	struct ndm_table *t = dev->live;
	uint64_t skip = 0;
	unsigned pieces = 0;

	while (skip < bio->nr && !bio->error) {
		struct ndm_target *ti = table_find(t, bio->sector + skip);
		uint64_t nr = piece_length(ti, bio, bio->sector + skip, bio->nr - skip);

		if (bio->op == NDM_EXTENTS && ++pieces > EXTENT_PIECES)
			break;
		piece_send(dev, bio, ti, skip, nr);
		skip += nr;
	}
}

/* ---- flush ---- */

static void flush_send(struct ndm_device *dev, struct ndm_bio *bio)
{
	struct ndm_table *t = dev->live;
	struct ndm_bio *c;
	unsigned i, j;

	if (t->flush_bypass) {
		for (i = 0; i < t->nflush_stores; i++) {
			c = clone_make(dev, bio, NULL, 0, 0);
			c->store = t->flush_stores[i];
			ndm_submit(c);
		}
		return;
	}
	for (i = 0; i < t->n; i++)
		for (j = 0; j < t->targets[i].num_flush; j++) {
			c = clone_make(dev, bio, &t->targets[i], 0, 0);
			c->sector = c->device_sector = t->targets[i].begin;
			c->copy = j;
			clone_map(dev, c);
		}
}

static void preflush_done(struct ndm_bio *flush)
{
	struct ndm_bio *bio = flush->owner;
	struct ndm_device *dev = device_of(bio->store);
	int err = flush->error;

	ndm_bio_put(dev->loop, flush);
	bio->flags &= ~NDM_PREFLUSH;
	if (err) {
		ndm_end(bio, err);
		return;
	}
	ndm_submit(bio);
}

/* PREFLUSH + WRITE: FLUSH, then WRITE; so targets see only the two simple cases */
static void preflush_send(struct ndm_bio *bio)
{
	struct ndm_bio *flush = ndm_bio_get(bio->store->loop);

	flush->op = NDM_FLUSH;
	flush->store = bio->store;
	flush->done = preflush_done;
	flush->owner = bio;
	ndm_submit(flush);
}

/* ---- admission ---- */

static int bio_check(const struct ndm_device *dev, const struct ndm_bio *bio)
{
	const struct ndm_table *t = dev->live;
	bool writes = bio->op == NDM_WRITE || bio->op == NDM_DISCARD || bio->op == NDM_ZEROES;

	if (!t)
		return -EIO;
	if (bio->op == NDM_FLUSH)
		return 0;
	if (bio->sector > t->nr || bio->nr > t->nr - bio->sector)
		return -EIO;
	if (writes && bio->op == NDM_DISCARD && !t->limits.max_discard_sectors)
		return -EOPNOTSUPP;
	return 0;
}

static void device_start(struct ndm_device *dev, struct ndm_bio *bio)
{
	int err = bio_check(dev, bio);

	if (err) {
		ndm_end(bio, err);
		return;
	}
	bio->start_ns = 0;
	if (atomic_load_explicit(&dev->ctx->timing, memory_order_relaxed))
		bio_time_start(dev, bio);
	dev->in_flight++;
	bio->held = HELD_COUNTED;
	bio->pending = 1;
	if (bio->op == NDM_FLUSH)
		flush_send(dev, bio);
	else
		bio_split(dev, bio);
	if (--bio->pending == 0)
		bio_finish(dev, bio);
}

static void device_submit(struct ndm_store *store, struct ndm_bio *bio)
{
	struct ndm_device *dev = device_of(store);

	if (dev->state == DEVICE_REMOVED)
		ndm_end(bio, -EIO);
	else if (dev->state != DEVICE_ACTIVE || dev->deferred_head)
		device_defer(dev, bio);
	else if ((bio->flags & NDM_PREFLUSH) && bio->op != NDM_FLUSH)
		preflush_send(bio);
	else
		device_start(dev, bio);
}

const struct ndm_store_ops device_store_ops = {
	.scheme = "dev",
	.submit = device_submit,
	.takes_sources = true,
};

/* ---- events ---- */

static void event_arrived(struct ndm_msg *msg)
{
	struct ndm_device *dev = ndm_container_of(msg, struct ndm_device, event_msg);

	atomic_store(&dev->event_posted, false);
	ndm_wake_all(&dev->events);
	context_notify(dev->ctx, dev, "event");
	ndm_device_put(dev);
}

void device_event(struct ndm_device *dev)
{
	atomic_fetch_add(&dev->event_nr, 1);
	if (atomic_exchange(&dev->event_posted, true))
		return;				/* one message may tell of several events */
	ndm_device_hold(dev);
	dev->event_msg.fn = event_arrived;
	ndm_loop_post(dev->ctx->loops[0], &dev->event_msg);
}
