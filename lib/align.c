/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * align.c - requests that are not made of whole logical blocks.
 *
 * Reads take the blocks around; writes read the first and the last block, change them and
 * write all, holding the range.  Discards shrink to whole blocks; zeroes write their edges.
 *
 * A whole-block write that runs at the same time as such a read-change-write could be lost.
 * Devices that never see an unaligned write pay nothing for that but a counter: the first
 * one switches the device to tracking, waits until the writes that were not tracked are
 * done, and from then on every write holds its range.
 */
#include "core.h"

static uint64_t block_bytes(const struct ndm_opener *o)
{
	return o->store->limits.logical_block_bytes;
}

/* ---- tracking ---- */

static void track_task(void *arg)
{
	struct ndm_io *io = arg;
	struct ndm_device *dev = io->opener->device;

	ndm_range_lock(&dev->align_locks, &io->range, io->offset, io->offset + io->bytes - 1);
	io->range.owner = NULL;			/* this task ends before the range does */
	io->tracked = true;
	io_start(io);
}

bool align_track(struct ndm_opener *o, struct ndm_io *io)
{
	struct ndm_device *dev = o->device;

	if (!dev->track_writes) {
		dev->untracked_writes++;
		return false;
	}
	if (!ndm_range_trylock(&dev->align_locks, &io->range, io->offset,
			       io->offset + io->bytes - 1)) {
		ndm_spawn(dev->loop, "write behind an unaligned one", track_task, io);
		return true;
	}
	io->range.owner = NULL;
	io->tracked = true;
	return false;
}

void align_untrack(struct ndm_io *io)
{
	struct ndm_device *dev = io->opener->device;

	if (io->op != NDM_WRITE && io->op != NDM_DISCARD && io->op != NDM_ZEROES)
		return;
	if (io->tracked) {
		ndm_range_unlock(&dev->align_locks, &io->range);
		return;
	}
	if (--dev->untracked_writes == 0 && dev->untracked_idle.head)
		ndm_wake_all(&dev->untracked_idle);
}

/* ---- the slow way ---- */

struct span { uint64_t first, end; };		/* bytes, whole blocks */

static struct span span_around(const struct ndm_opener *o, const struct ndm_io *io)
{
	uint64_t mask = block_bytes(o) - 1;

	return (struct span){ io->offset & ~mask, (io->offset + io->bytes + mask) & ~mask };
}

static struct span span_inside(const struct ndm_opener *o, const struct ndm_io *io)
{
	uint64_t mask = block_bytes(o) - 1;

	return (struct span){ (io->offset + mask) & ~mask, (io->offset + io->bytes) & ~mask };
}

static int rw_bytes(struct ndm_opener *o, enum ndm_op op, unsigned flags, uint64_t offset,
		    uint64_t bytes, void *buf)
{
	return ndm_rw(o->store, op, flags, offset >> NDM_SECTOR_SHIFT, bytes >> NDM_SECTOR_SHIFT,
		      buf);
}

static int read_around(struct ndm_opener *o, struct ndm_io *io)
{
	struct span s = span_around(o, io);
	size_t len = s.end - s.first;
	char *buf = ndm_buffer_get(o->store->loop, len);
	int err;

	if (!buf)
		return -ENOMEM;
	err = rw_bytes(o, NDM_READ, io->flags, s.first, len, buf);
	if (!err)
		ndm_data_to(&io->data, io->bytes, buf + (io->offset - s.first));
	ndm_buffer_put(o->store->loop, buf, len);
	return err;
}

/* data == NULL: zeroes */
static int change_and_write(struct ndm_opener *o, unsigned flags, uint64_t offset, uint64_t bytes,
			    const struct ndm_data *data)
{
	uint64_t block = block_bytes(o);
	uint64_t first = offset & ~(block - 1), end = (offset + bytes + block - 1) & ~(block - 1);
	size_t len = end - first;
	char *buf = ndm_buffer_get(o->store->loop, len);
	int err = 0;

	if (!buf)
		return -ENOMEM;
	if (offset != first)
		err = rw_bytes(o, NDM_READ, 0, first, block, buf);
	if (!err && offset + bytes != end && (end - block != first || offset == first))
		err = rw_bytes(o, NDM_READ, 0, end - block, block, buf + len - block);
	if (err)
		goto out;
	if (data)
		ndm_data_from(data, bytes, buf + (offset - first));
	else
		memset(buf + (offset - first), 0, bytes);
	err = rw_bytes(o, NDM_WRITE, flags, first, len, buf);
out:
	ndm_buffer_put(o->store->loop, buf, len);
	return err;
}

static int zeroes_unaligned(struct ndm_opener *o, struct ndm_io *io)
{
	struct span in = span_inside(o, io);
	uint64_t end = io->offset + io->bytes;
	unsigned flags = io->flags & (NDM_FUA | NDM_PREFLUSH);
	int err = 0;

	if (in.first >= in.end)			/* less than a block, or two edges that meet */
		return change_and_write(o, flags, io->offset, io->bytes, NULL);
	if (io->offset < in.first)
		err = change_and_write(o, flags, io->offset, in.first - io->offset, NULL);
	if (!err)
		err = rw_bytes(o, NDM_ZEROES, io->flags, in.first, in.end - in.first, NULL);
	if (!err && in.end < end)
		err = change_and_write(o, flags, in.end, end - in.end, NULL);
	return err;
}

static int discard_inside(struct ndm_opener *o, struct ndm_io *io)
{
	struct span s = span_inside(o, io);

	if (!o->store->limits.max_discard_sectors)
		return -EOPNOTSUPP;
	if (s.first >= s.end)
		return 0;
	return rw_bytes(o, NDM_DISCARD, io->flags, s.first, s.end - s.first, NULL);
}

static int around(struct ndm_opener *o, struct ndm_io *io)
{
	struct ndm_bio *b = ndm_bio_get(o->store->loop);
	struct span s = span_around(o, io);
	struct ndm_group g;

	b->op = io->op;
	b->flags = io->flags;
	b->sector = b->origin = s.first >> NDM_SECTOR_SHIFT;
	b->nr = (s.end - s.first) >> NDM_SECTOR_SHIFT;
	b->extents = io->extents;
	ndm_group_init(&g, o->store->loop);
	ndm_group_add(&g, b, o->store, b->sector);
	return ndm_group_wait(&g);
}

static int unaligned(struct ndm_opener *o, struct ndm_io *io)
{
	struct ndm_device *dev = o->device;
	struct span s = span_around(o, io);
	struct ndm_range range;
	int err;

	if (io->op == NDM_READ)
		return read_around(o, io);
	if (io->op == NDM_EXTENTS || io->op == NDM_CACHE)
		return around(o, io);
	dev->track_writes = true;
	while (dev->untracked_writes)
		ndm_wait(&dev->untracked_idle);
	ndm_range_lock(&dev->align_locks, &range, s.first, s.end - 1);
	if (io->op == NDM_WRITE)
		err = change_and_write(o, io->flags & (NDM_FUA | NDM_PREFLUSH), io->offset, io->bytes, &io->data);
	else if (io->op == NDM_ZEROES)
		err = zeroes_unaligned(o, io);
	else
		err = discard_inside(o, io);
	ndm_range_unlock(&dev->align_locks, &range);
	return err;
}

static void align_task(void *arg)
{
	struct ndm_io *io = arg;

	io->error = unaligned(io->opener, io);
	io->done(io);
}

void align_submit(struct ndm_opener *o, struct ndm_io *io)
{
	ndm_spawn(o->store->loop, "unaligned request", align_task, io);
}
