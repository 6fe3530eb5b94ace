/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thin: a device whose blocks are taken from a pool when they are first written.
 *
 *	thin <pool> <device id> [<external origin>]
 *
 * A block that is mapped, and not shared, is read and written where it is, at once, as long as
 * the nodes that lead to it are in memory.  All else is done in a task: reading nodes, giving a
 * block (provision.c), discarding, flushing.
 *
 * Whoever changes what a virtual block is mapped to holds its range.  Whoever sends a request to a
 * data block because the metadata said so counts in pool->inflight from there on, so that the
 * block is not given to somebody else before.
 */
#include "thin.h"

struct per_bio { bool inflight; };

/* ---- constructing ---- */

static int origin_take(struct ndm_target *ti, char **argv)
{
	struct thin *t = ti->private_data;
	int err;

	if (!strcmp(argv[0], argv[2]))
		return ndm_error(ti, -EINVAL, "Error setting origin device");
	err = ndm_get_dev_mode(ti, argv[2], NDM_OPEN_READ, 0, 0, &t->origin);
	return err ? ndm_error(ti, err, "Error opening origin device") : 0;
}

static int pool_take(struct ndm_target *ti, char **argv)
{
	struct thin *t = ti->private_data;
	int err = ndm_get_dev(ti, argv[0], 0, 0, &t->pool_dev);
	const char *scheme;

	if (err)
		return ndm_error(ti, err, "Error opening pool device");
	if (!thin_id_parse(argv[1], &t->id))
		return ndm_error(ti, -EINVAL, "Invalid device id");
	scheme = t->pool_dev->store->ops->scheme;
	if (strcmp(scheme, "dev") && strcmp(scheme, "hop"))
		return ndm_error(ti, -EINVAL, "Couldn't get pool mapped device");
	t->pool = pool_of_device(ti->loop, t->pool_dev->store);
	if (!t->pool)
		return ndm_error(ti, -EINVAL, "Couldn't find pool object");
	return 0;
}

static int device_open(struct thin *t)
{
	struct pool *pool = t->pool;
	int err;

	if (pool->mode == POOL_FAIL)
		return ndm_error(t->ti, -EINVAL, "Couldn't open thin device, Pool is in fail mode");
	if (!pool->owner)
		return ndm_error(t->ti, -EINVAL, "Couldn't find pool object");
	ndm_rdlock(&pool->pmd->lock);
	err = thin_dev_open(pool->pmd, t->id, &t->td);
	ndm_rwunlock(&pool->pmd->lock);
	if (err)
		return ndm_error(t->ti, err, "Couldn't open thin internal device");
	if (pool->suspended) {
		thin_dev_close(t->td);
		return ndm_error(t->ti, -EINVAL, "Unable to activate thin device while pool is suspended");
	}
	return 0;
}

static int thin_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct thin *t = ti->private_data;
	int err = 0;

	t->ti = ti;
	t->highest = UINT64_MAX;
	if (argc != 2 && argc != 3)
		return ndm_error(ti, -EINVAL, "Invalid argument count");
	if (argc == 3)
		err = origin_take(ti, argv);
	if (!err)
		err = pool_take(ti, argv);
	if (err)
		return err;
	pool_hold(t->pool);
	err = device_open(t);
	if (err) {
		pool_drop(t->pool);
		return err;
	}
	ndm_dev_section(t->pool_dev, 0, t->pool->owner->ti->nr / t->pool->block * t->pool->block);
	ti->max_io = t->pool->block;
	ti->per_bio_size = sizeof(struct per_bio);
	ti->num_flush = 1;
	ti->extents = ti->extents_whole = true;
	if (t->pool->f.discard) {
		ti->num_discard = 1;
		ti->discards_supported = true;
		ti->max_discard = (uint64_t)t->pool->block * THIN_DISCARD_BLOCKS;
	}
	return 0;
}

static void thin_dtr(struct ndm_target *ti)
{
	struct thin *t = ti->private_data;
	struct pool *pool = t->pool;

	ndm_wrlock(&pool->pmd->lock);		/* its details go with the last commit that knows it */
	if (t->td->changed && t->td->opens == 1 && !pool->suspended)
		pool_commit(pool);
	if (t->td->changed && t->td->opens == 1 && pool->mode < POOL_OUT_OF_METADATA && pool->owner) {
		pmd_details_write(pool->pmd);
		pool_changed(pool);
	}
	thin_dev_close(t->td);
	ndm_rwunlock(&pool->pmd->lock);
	pool_drop(pool);
}

/* ---- reading ---- */

int thin_origin_read(struct thin *t, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(t->ti, bio->sector), has = 0;
	struct ndm_data rest;
	int err = 0;

	if (sector < t->origin_sectors)
		has = t->origin_sectors - sector < bio->nr ? t->origin_sectors - sector : bio->nr;
	if (has)
		err = ndm_rw_data(t->origin->store, NDM_READ, 0, sector, has, &bio->data);
	rest = ndm_data_skip(bio->data, has * NDM_SECTOR_BYTES);
	if (has < bio->nr)
		ndm_data_zero(&rest, (bio->nr - has) * NDM_SECTOR_BYTES);
	return err;
}

static int read_unmapped(struct thin *t, struct ndm_bio *bio)
{
	if (t->origin)
		return thin_origin_read(t, bio);
	ndm_data_zero(&bio->data, bio->nr * NDM_SECTOR_BYTES);
	return 0;
}

static int thin_read(struct thin *t, struct ndm_bio *bio, uint64_t virtual)
{
	struct pool *pool = t->pool;
	uint64_t within = ndm_offset(t->ti, bio->sector) % pool->block;
	struct thin_map map;
	int err;

	ndm_rdlock(&pool->pmd->lock);
	err = pool->mode == POOL_FAIL ? -EIO : pmd_find(t->td, virtual, false, &map);
	if (!err)
		pool->inflight++;
	ndm_rwunlock(&pool->pmd->lock);
	if (err == -ENODATA)
		return read_unmapped(t, bio);
	if (err)
		return -EIO;
	err = ndm_rw_data(pool_data(pool), NDM_READ, 0, map.block * pool->block + within, bio->nr,
			  &bio->data);
	pool_land(pool);
	return err;
}

/* ---- discarding ---- */

#define BATCH 128u

struct batch { uint64_t freed[BATCH]; unsigned n; };

/*
 * Unmaps up to BATCH blocks of [*from, to); *from is where to go on.  What nobody else has is
 * listed, and counts as under way until it has been discarded below.
 */
static int unmap_some(struct thin *t, uint64_t *from, uint64_t to, struct batch *b)
{
	struct pmd *p = t->pool->pmd;
	uint64_t virtual;
	struct thin_map map;
	uint32_t count;
	unsigned looks;
	int err = 0;

	b->n = 0;
	for (looks = 0; looks < BATCH && *from < to; looks++) {
		err = pmd_next(t->td, *from, &virtual, &map);
		if (err == -ENODATA || (!err && virtual >= to)) {
			*from = to;
			return 0;
		}
		if (!err)
			err = pmd_remove(t->td, virtual);
		if (!err)
			err = meta_space_count(p->data, map.block, &count);
		if (err)
			return err;
		if (!count)
			b->freed[b->n++] = map.block;
		*from = virtual + 1;
	}
	return 0;
}

static void passdown(struct thin *t, const struct batch *b)
{
	struct ndm_store *data = pool_data(t->pool);
	uint32_t block = t->pool->block;
	unsigned i, run;

	for (i = 0; i < b->n; i += run) {
		for (run = 1; i + run < b->n && b->freed[i + run] == b->freed[i] + run; run++)
			;
		while (run > 1 && (uint64_t)run * block > data->limits.max_discard_sectors)
			run--;
		ndm_rw_data(data, NDM_DISCARD, 0, b->freed[i] * block, (uint64_t)run * block, NULL);
	}
}

static int discard_range(struct thin *t, uint64_t from, uint64_t to)
{
	struct pool *pool = t->pool;
	struct batch b;
	int err = 0;

	while (from < to && !err) {
		ndm_wrlock(&pool->pmd->lock);
		if (pool->mode >= POOL_OUT_OF_METADATA) {
			err = pool->mode == POOL_FAIL ? -EIO : 1;	/* does nothing, and says so to nobody */
		} else {
			err = unmap_some(t, &from, to, &b);
			if (err)
				pool_failed(pool, "remove mappings", err);
			if (pool->pmd->changed)
				pool_changed(pool);
			pool->inflight++;
		}
		ndm_rwunlock(&pool->pmd->lock);
		if (err == 1 || (err && pool->mode == POOL_FAIL))
			return err == 1 ? 0 : -EIO;
		if (!err && pool->f.passdown)
			passdown(t, &b);	/* failures do not matter: nothing was promised */
		pool_land(pool);
	}
	/* room for those who wait for it comes with a commit */
	if (!err && pool->mode == POOL_OUT_OF_DATA) {
		ndm_wrlock(&pool->pmd->lock);
		pool_commit(pool);
		ndm_rwunlock(&pool->pmd->lock);
	}
	return err ? -EIO : 0;
}

static int thin_discard(struct thin *t, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(t->ti, bio->sector), block = t->pool->block;
	uint64_t from = (sector + block - 1) / block, to = (sector + bio->nr) / block;
	struct ndm_range range;
	int err;

	if (from >= to)
		return 0;
	ndm_range_lock(&t->td->ranges, &range, from, to - 1);
	err = discard_range(t, from, to);
	ndm_range_unlock(&t->td->ranges, &range);
	if (!err && (bio->flags & NDM_FUA))
		err = thin_durable(t);
	return err;
}

/* ---- block status ---- */

#define LOOKS_MAX 4096u

static int thin_extents(struct thin *t, struct ndm_bio *bio)
{
	uint64_t at = ndm_offset(t->ti, bio->sector), end = at + bio->nr, block = t->pool->block;
	unsigned hole = t->origin ? 0 : NDM_EXTENT_HOLE | NDM_EXTENT_ZERO, looks;
	uint64_t virtual, begin, stop;
	struct thin_map map;
	int err = 0;

	ndm_rdlock(&t->pool->pmd->lock);
	for (looks = 0; at < end && looks < LOOKS_MAX && !err; looks++) {
		err = t->pool->mode == POOL_FAIL ? -EIO : pmd_next(t->td, at / block, &virtual, &map);
		begin = err == -ENODATA || virtual * block > end ? end : virtual * block;
		if (err == -ENODATA)
			err = 0;
		if (err)
			break;
		if (begin > at)
			ndm_extent_add(bio, t->ti->begin + at, begin - at, hole);
		else
			begin = at;
		stop = begin == end ? end : (virtual + 1) * block < end ? (virtual + 1) * block : end;
		if (stop > begin)
			ndm_extent_add(bio, t->ti->begin + begin, stop - begin, 0);
		at = stop;
	}
	ndm_rwunlock(&t->pool->pmd->lock);
	return err ? -EIO : 0;
}

/* ---- the ways in ---- */

static int thin_write(struct thin *t, struct ndm_bio *bio, uint64_t virtual)
{
	struct ndm_range range;
	int err;

	ndm_range_lock(&t->td->ranges, &range, virtual, virtual);
	err = thin_provision(t, bio, virtual);
	ndm_range_unlock(&t->td->ranges, &range);
	return err;
}

static int thin_serve(struct thin *t, struct ndm_bio *bio)
{
	uint64_t virtual = bio->op == NDM_FLUSH ? 0 : ndm_offset(t->ti, bio->sector) / t->pool->block;

	if (t->pool->mode == POOL_FAIL)
		return -EIO;
	switch (bio->op) {
	case NDM_READ:
		return thin_read(t, bio, virtual);
	case NDM_FLUSH:
		return thin_durable(t);
	case NDM_DISCARD:
		return thin_discard(t, bio);
	case NDM_EXTENTS:
		return thin_extents(t, bio);
	case NDM_WRITE:
		return thin_write(t, bio, virtual);
	default:				/* a hint */
		return 0;
	}
}

static int thin_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct thin *t = ti->private_data;
	int err;

	while (t->pool->suspended) {
		err = thin_park(t, &t->pool->resumed);
		if (err)
			return err;
	}
	pool_busy(t->pool);
	err = thin_serve(t, bio);
	pool_unbusy(t->pool);
	return err;
}

static enum ndm_map thin_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct thin *t = ti->private_data;
	struct pool *pool = t->pool;
	struct per_bio *pb = ndm_per_bio(bio);
	uint64_t sector;
	struct thin_map map;

	if (bio->op == NDM_CACHE) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	if (pool->mode == POOL_FAIL)
		return NDM_MAP_KILL;
	if (pool->suspended || (bio->op != NDM_READ && bio->op != NDM_WRITE) || (bio->flags & NDM_FUA) ||
	    !pmd_lock_idle(pool->pmd))
		return NDM_MAP_WAIT;
	sector = ndm_offset(ti, bio->sector);
	if (pmd_find(t->td, sector / pool->block, true, &map) || (map.shared && bio->op == NDM_WRITE))
		return NDM_MAP_WAIT;
	pool_busy(pool);
	pool->inflight++;
	pb->inflight = true;
	return ndm_remap(bio, pool->owner->data, map.block * pool->block + sector % pool->block);
}

static enum ndm_endio thin_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct thin *t = ti->private_data;
	struct per_bio *pb = ndm_per_bio(bio);

	if (pb->inflight) {
		pb->inflight = false;
		pool_land(t->pool);
		pool_unbusy(t->pool);
	}
	return NDM_ENDIO_DONE;
}

/* ---- suspend, resume, status ---- */

static void thin_presuspend(struct ndm_target *ti)
{
	struct thin *t = ti->private_data;

	ndm_wake_all(&t->pool->resumed);	/* those of this device look at what is wanted */
	ndm_wake_all(&t->pool->room);
}

static int thin_preresume(struct ndm_target *ti)
{
	struct thin *t = ti->private_data;

	if (t->origin)
		t->origin_sectors = t->origin->store->nr;
	return 0;
}

static void thin_prestatus(struct ndm_target *ti, unsigned flags)
{
	struct thin *t = ti->private_data;
	int err = -EIO;

	(void)flags;
	ndm_rdlock(&t->pool->pmd->lock);
	if (t->pool->mode != POOL_FAIL && t->pool->owner)
		err = pmd_highest(t->td, &t->highest);
	ndm_rwunlock(&t->pool->pmd->lock);
	if (err)
		t->highest = UINT64_MAX;
	t->status_failed = err && err != -ENODATA;
}

static void thin_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			struct ndm_str *out)
{
	const struct thin *t = ti->private_data;
	uint64_t block = t->pool->block;

	(void)flags;
	if (t->pool->mode == POOL_FAIL) {
		ndm_printf(out, "Fail");
	} else if (what == NDM_STATUS_TABLE) {
		ndm_printf(out, "%s %" PRIu64, t->pool_dev->name, t->id);
		if (t->origin)
			ndm_printf(out, " %s", t->origin->name);
	} else if (t->status_failed) {
		ndm_printf(out, "Error");
	} else {
		ndm_printf(out, "%" PRIu64 " ", t->td->mapped * block);
		if (t->highest == UINT64_MAX)
			ndm_printf(out, "-");
		else
			ndm_printf(out, "%" PRIu64, (t->highest + 1) * block - 1);
	}
}

static void thin_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	struct thin *t = ti->private_data;

	if (t->pool->f.discard)
		l->discard_granularity_bytes = t->pool->block * NDM_SECTOR_BYTES;
}

static const struct ndm_arg thin_args[] = {
	{ .name = "pool", .kind = NDM_ARG_DEVICE, .help = "The thin-pool device." },
	{ .name = "device_id", .kind = NDM_ARG_U64,
	  .help = "Which of the pool's devices (create_thin, create_snap): 0 to 16777215." },
	{ .name = "external_origin", .kind = NDM_ARG_DEVICE, .flags = NDM_ARG_OPTIONAL,
	  .help = "What is read where nothing was written; it must not change." },
	{ 0 }
};

static const struct ndm_arg thin_status_fields[] = {
	{ .name = "mapped", .kind = NDM_ARG_TEXT,
	  .help = "Sectors that have blocks, shared ones too; or Fail, Error, alone." },
	{ .name = "highest", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "The last sector that has a block, or -." },
	{ 0 }
};

const struct ndm_target_type ndm_target_thin = {
	.name = "thin",
	.version = { 1, 23, 0 },
	.features = NDM_TARGET_FORMATS,		/* its pool is not built for trial, so neither is it */
	.private_size = sizeof(struct thin),
	.args = thin_args,
	.status_fields = thin_status_fields,
	.summary = "A device whose blocks are taken from a pool when they are first written.",
	.ctr = thin_ctr,
	.dtr = thin_dtr,
	.map = thin_map,
	.io = thin_io,
	.end_io = thin_end_io,
	.prestatus = thin_prestatus,
	.status = thin_status,
	.presuspend = thin_presuspend,
	.preresume = thin_preresume,
	.io_hints = thin_io_hints,
};
