/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open.c - who holds a device open: clients and the tables of other devices; clients' I/O.
 *
 * As in the kernel all tables of one device together count as one opener of a device below,
 * however many lines name it.
 */
#include <stdio.h>

#include "core.h"

static void opener_link(struct ndm_opener *o)
{
	o->next = o->device->openers;
	o->device->openers = o;
	ndm_device_hold(o->device);
}

static void deferred_remove_task(void *arg)
{
	struct ndm_device *dev = arg;

	if (!dev->removing && !dev->openers && (dev->info.flags & NDM_DEVICE_DEFERRED_REMOVE))
		ndm_device_remove(dev, false, NULL);
	ndm_device_put(dev);
}

static void opener_unlink(struct ndm_opener *o)
{
	struct ndm_device *dev = o->device;
	struct ndm_opener **p = &dev->openers;

	while (*p != o)
		p = &(*p)->next;
	*p = o->next;
	if (!dev->openers && (dev->info.flags & NDM_DEVICE_DEFERRED_REMOVE))
		ndm_spawn(dev->ctx->loops[0], "deferred remove", deferred_remove_task, dev);
	else
		ndm_device_put(dev);
}

int opener_for_table(struct ndm_device *lower, struct ndm_device *user, unsigned mode,
		     struct ndm_opener **out)
{
	struct ndm_opener *o;

	if (lower->removing)
		return -ENXIO;
	for (o = lower->openers; o; o = o->next)
		if (o->user == user) {
			o->refs++;
			*out = o;
			return 0;
		}
	o = ndm_zalloc(sizeof *o);
	if (!o)
		return -ENOMEM;
	o->device = lower;
	o->user = user;
	o->mode = mode;
	o->table = true;
	o->refs = 1;
	lower->homed = true;			/* what stands on it counts on its loop */
	opener_link(o);
	*out = o;
	return 0;
}

void opener_put(struct ndm_opener *o)
{
	if (--o->refs)
		return;
	opener_unlink(o);
	ndm_free(o);
}

int ndm_open(struct ndm_device *dev, unsigned mode, const char *who, struct ndm_opener **out)
{
	struct ndm_opener *o;

	if (dev->removing || !(dev->info.flags & NDM_DEVICE_LIVE))
		return -ENXIO;
	o = ndm_zalloc(sizeof *o);
	if (!o)
		return -ENOMEM;
	o->device = dev;
	o->mode = mode;
	o->refs = 1;
	o->store = &dev->store;
	snprintf(o->who, sizeof o->who, "%s", who);
	opener_link(o);
	*out = o;
	return 0;
}

void ndm_close(struct ndm_opener *o)
{
	opener_put(o);
}

struct ndm_loop *ndm_opener_loop(struct ndm_opener *o)
{
	return o->device->loop;
}

struct ndm_store *ndm_opener_store(struct ndm_opener *o)
{
	return o->store;
}

struct ndm_device *ndm_opener_device(struct ndm_opener *o)
{
	return o->device;
}

void ndm_device_holders(struct ndm_device *dev, struct ndm_str *out)
{
	struct ndm_opener *o;

	for (o = dev->openers; o; o = o->next)
		ndm_printf(out, "%s %s\n", o->table ? "device" : "client",
			   o->table ? o->user->info.name : o->who);
}

void ndm_device_stats(struct ndm_device *dev, struct ndm_device_stats *stats)
{
	*stats = dev->stats;
	stats->in_flight = (unsigned)dev->in_flight;
}

/* ---- I/O ---- */

static void io_done(struct ndm_bio *bio)
{
	struct ndm_io *io = ndm_container_of(bio, struct ndm_io, bio);

	io->error = bio->error;
	align_untrack(io);
	io->done(io);
}

void io_start(struct ndm_io *io)
{
	struct ndm_bio *bio = &io->bio;

	memset(bio, 0, sizeof *bio);
	bio->op = io->op;
	bio->flags = io->flags;
	bio->store = io->opener->store;
	bio->sector = io->offset >> NDM_SECTOR_SHIFT;
	bio->nr = io->bytes >> NDM_SECTOR_SHIFT;
	bio->data = io->data;
	bio->extents = io->extents;
	bio->loan = io->loan;
	bio->source = io->source;
	bio->share = io->share;
	bio->origin = bio->sector;
	bio->done = io_done;
	ndm_submit(bio);
}

static bool io_writes(const struct ndm_io *io)
{
	return io->op == NDM_WRITE || io->op == NDM_DISCARD || io->op == NDM_ZEROES;
}

static int io_check(const struct ndm_opener *o, const struct ndm_io *io)
{
	uint64_t size = o->store->nr << NDM_SECTOR_SHIFT;

	if (io_writes(io) && (o->store->limits.read_only || !(o->mode & NDM_OPEN_WRITE)))
		return -EPERM;
	if (io->op != NDM_FLUSH && (io->offset > size || io->bytes > size - io->offset))
		return io_writes(io) ? -ENOSPC : -EINVAL;
	return 0;
}

void ndm_io_submit(struct ndm_opener *o, struct ndm_io *io)
{
	uint64_t block = o->store->limits.logical_block_bytes;
	bool odd = ((io->offset | io->bytes) & (block - 1)) && io->op != NDM_FLUSH;

	io->opener = o;
	io->tracked = false;
	o->device->stats.requests[io->op]++;
	io->error = io_check(o, io);
	if (!io->error && odd && io->source)
		io->error = -EOPNOTSUPP;
	if (io->error || (!io->bytes && io->op != NDM_FLUSH)) {
		io->done(io);
		return;
	}
	if (odd) {
		align_submit(o, io);
		return;
	}
	if (io_writes(io) && align_track(o, io))
		return;				/* it waits for an unaligned write */
	io_start(io);
}
