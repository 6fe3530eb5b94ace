/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clone: a copy of a source that can be used at once, while it is being made.
 *
 *	clone <metadata device> <destination device> <source device> <region size>
 *	      [<#features> [no_hydration] [no_discard_passdown]
 *	       [<#core args> [hydration_threshold <regions>] [hydration_batch_size <regions>]]]
 *	messages: enable_hydration | disable_hydration | hydration_threshold N |
 *	          hydration_batch_size N
 *
 * A commit flushes the destination, then writes which regions are there: so one that the disk
 * calls hydrated is.  A flush and a write with FUA commit first.
 *
 * Metadata that fail: what was not committed is forgotten and the device goes on read-only, as
 * far as regions that are not hydrated are concerned.
 */
#include <strings.h>

#include "targets/clone/clone.h"

#define REGION_MIN 8u
#define REGION_MAX 2097152u
#define REGIONS_MAX (UINT64_C(1) << 31)
#define COMMIT_NS UINT64_C(1000000000)

/* ---- commits ---- */

static void metadata_failed(struct clone *c, const char *what, int err)
{
	ndm_warn(c->ti, "metadata operation '%s' failed: %s", what, strerror(-err));
	if (c->mode != CLONE_WRITE)
		return;
	c->mode = CLONE_READ_ONLY;
	if (clone_map_load(&c->map))
		c->mode = CLONE_FAIL;
	ndm_event(c->ti);
}

/* With the lock. */
static int commit_locked(struct clone *c, bool *flushed)
{
	int err;

	if (!clone_map_changed(&c->map))
		return 0;
	if (c->mode != CLONE_WRITE)
		return -EPERM;
	clone_map_freeze(&c->map);
	err = ndm_flush(c->dest->store);
	if (err) {
		metadata_failed(c, "flush destination device", err);
		return err;
	}
	*flushed = true;
	err = clone_map_commit(&c->map);
	if (err) {
		metadata_failed(c, "commit", err);
		return err;
	}
	c->committed_ns = ndm_now(c->ti->loop);
	if (c->map.hydrated == c->map.regions)
		ndm_event(c->ti);
	return 0;
}

int clone_commit(struct clone *c, bool *flushed)
{
	int err;

	*flushed = false;
	ndm_lock(&c->lock);
	err = commit_locked(c, flushed);
	ndm_unlock(&c->lock);
	return err;
}

static void waker_task(void *arg)
{
	struct clone *c = arg;
	bool flushed;

	if (clone_map_changed(&c->map) && ndm_now(c->ti->loop) - c->committed_ns >= COMMIT_NS)
		clone_commit(c, &flushed);
	clone_background(c);
	crew_leave(&c->tasks);
}

static void waker_fired(struct ndm_timer *timer)
{
	struct clone *c = (struct clone *)((char *)timer - offsetof(struct clone, waker));

	if (!c->running)
		return;
	crew_send(&c->tasks, "clone", waker_task, c);
	ndm_timer_set(&c->waker, ndm_now(c->ti->loop) + COMMIT_NS);
}

/* ---- requests ---- */

static uint64_t region_of(const struct clone *c, uint64_t sector)
{
	return sector / c->map.region_sectors;
}

static enum ndm_map clone_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct clone *c = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);
	bool commits, there;

	c->ios++;
	if (c->mode == CLONE_FAIL)
		return NDM_MAP_KILL;
	commits = (bio->op == NDM_FLUSH || bio->flags & NDM_FUA) && clone_map_changed(&c->map);
	if (bio->op == NDM_FLUSH)
		return commits ? NDM_MAP_WAIT : ndm_remap(bio, c->dest, 0);
	if (bio->op == NDM_DISCARD || bio->op == NDM_EXTENTS || bio->op == NDM_CACHE)
		return NDM_MAP_WAIT;
	there = clone_map_get(&c->map, region_of(c, sector));
	if (bio->op == NDM_READ)
		return ndm_remap(bio, there ? c->dest : c->source, sector);
	return there && !commits ? ndm_remap(bio, c->dest, sector) : NDM_MAP_WAIT;
}

static enum ndm_endio clone_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct clone *c = ti->private_data;

	(void)bio;
	c->ios--;
	return NDM_ENDIO_DONE;
}

static int io_flush(struct clone *c, struct ndm_bio *bio)
{
	bool flushed;

	if (clone_commit(c, &flushed))
		return -EIO;
	return flushed ? 0 : ndm_forward(bio, c->dest, 0);
}

static int io_write(struct clone *c, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(c->ti, bio->sector);
	bool written, flushed;
	int err = clone_hydrate(c, region_of(c, sector), bio, &written);

	if (!err && bio->flags & NDM_FUA && clone_commit(c, &flushed))
		err = -EIO;
	return err || written ? err : ndm_forward(bio, c->dest, sector);
}

/* Regions that lie in it as a whole count as hydrated, whatever the destination has there. */
static int io_discard(struct clone *c, struct ndm_bio *bio)
{
	uint64_t size = c->map.region_sectors, sector = ndm_offset(c->ti, bio->sector);
	uint64_t first = (sector + size - 1) / size, end = (sector + bio->nr) / size, i;
	struct ndm_group group;

	if (first >= end)
		return 0;
	if (!clone_map_range(&c->map, first, end - first)) {
		if (c->mode != CLONE_WRITE)
			return 0;
		/* a copy that ends later must not put the source's data over newer ones */
		clone_wait_copies(c, first, end - first);
		if (c->mode != CLONE_WRITE)
			return 0;
		for (i = first; i < end; i++)
			clone_map_set(&c->map, i);
	}
	if (!c->passdown)
		return 0;
	ndm_group_init(&group, c->ti->loop);
	ndm_group_add(&group, ndm_clone(c->ti->loop, bio, first * size - sector, (end - first) * size),
		      c->dest->store, first * size);
	return ndm_group_wait(&group);
}

/* Block status and hints: of whoever has the data. */
static int io_ask(struct clone *c, struct ndm_bio *bio)
{
	uint64_t size = c->map.region_sectors, begin = ndm_offset(c->ti, bio->sector);
	uint64_t at = begin, end = begin + bio->nr, region, n;
	struct ndm_group group;
	bool there;

	ndm_group_init(&group, c->ti->loop);
	for (; at < end; at += n) {
		region = region_of(c, at);
		there = clone_map_get(&c->map, region);
		n = (region + 1) * size - at;
		while (at + n < end && clone_map_get(&c->map, region_of(c, at + n)) == there)
			n += size;
		n = n < end - at ? n : end - at;
		ndm_group_add(&group, ndm_clone(c->ti->loop, bio, at - begin, n),
			      there ? c->dest->store : c->source->store, at);
	}
	return ndm_group_wait(&group);
}

static int clone_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct clone *c = ti->private_data;

	switch ((enum ndm_op)bio->op) {
	case NDM_FLUSH:
		return io_flush(c, bio);
	case NDM_DISCARD:
		return io_discard(c, bio);
	case NDM_EXTENTS:
	case NDM_CACHE:
		return io_ask(c, bio);
	default:
		return io_write(c, bio);
	}
}

/* ---- constructor ---- */

static int features_take(struct clone *c, struct ndm_args *args)
{
	struct ndm_target *ti = c->ti;
	unsigned n;
	int err;

	if (!args->argc)
		return 0;
	err = ndm_args_group(ti, args, 0, 2, "Invalid number of feature arguments", &n);
	while (!err && n--) {
		const char *word = ndm_args_shift(args);

		if (!strcasecmp(word, "no_hydration"))
			c->hydration = false;
		else if (!strcasecmp(word, "no_discard_passdown"))
			c->passdown = false;
		else
			err = ndm_error(ti, -EINVAL, "Invalid feature argument: '%s'", word);
	}
	return err;
}

static int core_take(struct clone *c, struct ndm_args *args)
{
	struct ndm_target *ti = c->ti;
	unsigned n, *to;
	int err;

	if (!args->argc)
		return 0;
	err = ndm_args_group(ti, args, 0, 4, "Invalid number of core arguments", &n);
	if (!err && n % 2)
		return ndm_error(ti, -EINVAL, "Number of core arguments must be even");
	for (; !err && n; n -= 2) {
		const char *word = ndm_args_shift(args), *value = ndm_args_shift(args);

		to = !strcasecmp(word, "hydration_threshold") ? &c->threshold
		   : !strcasecmp(word, "hydration_batch_size") ? &c->batch : NULL;
		if (!to)
			err = ndm_error(ti, -EINVAL, "Invalid core argument: '%s'", word);
		else if (ndm_arg_uint(value, to))
			err = ndm_error(ti, -EINVAL, "Invalid value for argument `%s': '%s'",
					to == &c->threshold ? "hydration_threshold"
							    : "hydration_batch_size", value);
	}
	return err;
}

static int devices_take(struct clone *c, struct ndm_args *args)
{
	const unsigned both = NDM_OPEN_READ | NDM_OPEN_WRITE;
	struct ndm_target *ti = c->ti;
	int err = ndm_get_dev_mode(ti, ndm_args_shift(args), both, 0, 0, &c->meta_dev);

	if (err)
		return ndm_error(ti, err, "Error opening metadata device");
	err = ndm_get_dev_mode(ti, ndm_args_shift(args), both, 0, ti->nr, &c->dest);
	if (err)
		return ndm_error(ti, err, "Error opening destination device");
	if (c->dest->store->nr < ti->nr)
		return ndm_error(ti, -EINVAL, "Device size larger than destination device");
	err = ndm_get_dev_mode(ti, ndm_args_shift(args), NDM_OPEN_READ, 0, ti->nr, &c->source);
	if (err)
		return ndm_error(ti, err, "Error opening source device");
	if (c->source->store->nr < ti->nr)
		return ndm_error(ti, -EINVAL, "Device size larger than source device");
	return 0;
}

static int region_take(struct clone *c, struct ndm_args *args)
{
	struct ndm_target *ti = c->ti;
	unsigned n;
	int err = ndm_args_uint(ti, args, REGION_MIN, REGION_MAX, "Invalid region size", &n);

	if (err)
		return err;
	if (n & (n - 1))
		return ndm_error(ti, -EINVAL, "Region size is not a power of 2: %u", n);
	if (n % (c->source->store->limits.logical_block_bytes / NDM_SECTOR_BYTES) ||
	    n % (c->dest->store->limits.logical_block_bytes / NDM_SECTOR_BYTES))
		return ndm_error(ti, -EINVAL,
				 "Region size is not a multiple of device logical block size");
	if ((ti->nr + n - 1) / n > REGIONS_MAX)
		return ndm_error(ti, -EINVAL, "Too many regions. Consider increasing the region size");
	c->map.region_sectors = n;
	c->map.target_sectors = ti->nr;
	return 0;
}

static void clone_dtr(struct ndm_target *ti)
{
	struct clone *c = ti->private_data;

	ndm_timer_cancel(&c->waker);
	clone_map_close(&c->map);
	ndm_str_free(&c->words);
}

static int construct(struct clone *c, unsigned argc, char **argv)
{
	struct ndm_target *ti = c->ti;
	struct ndm_args args = { argc, argv };
	int err = devices_take(c, &args);

	err = err ? err : region_take(c, &args);
	err = err ? err : features_take(c, &args);
	err = err ? err : core_take(c, &args);
	if (err)
		return err;
	err = clone_map_open(ti, c->meta_dev->store, &c->map);
	if (err)
		return ndm_error(ti, err, "Failed to load metadata");
	if (ndm_args_words(argc - 3, argv + 3, &c->words))
		return ndm_error(ti, -ENOMEM, "Failed to allocate memory for table line");
	if (!c->dest->store->limits.max_discard_sectors)
		c->passdown = false;
	return 0;
}

static int clone_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct clone *c = ti->private_data;
	int err;

	if (argc < 4)
		return ndm_error(ti, -EINVAL, "Invalid number of arguments: %u are less than 4", argc);
	c->ti = ti;
	c->hydration = c->passdown = c->fresh = true;
	c->threshold = c->batch = 1;
	ndm_mutex_init(&c->lock, ti->loop);
	crew_init(&c->tasks, ti->loop);
	ndm_timer_init(&c->waker, ti->loop, waker_fired);
	err = construct(c, argc, argv);
	if (err) {
		clone_dtr(ti);
		return err;
	}
	ti->max_io = c->map.region_sectors;
	ti->num_flush = ti->num_discard = 1;
	ti->discards_supported = true;
	ti->extents = ti->extents_whole = true;
	return 0;
}

/* ---- resume and suspend ---- */

static int clone_preresume(struct ndm_target *ti)
{
	struct clone *c = ti->private_data;
	int err = 0;

	ndm_lock(&c->lock);
	/* another table may have written the metadata since this one was made */
	if (c->fresh)
		err = clone_map_load(&c->map);
	if (!err)
		c->fresh = false;
	ndm_unlock(&c->lock);
	return err ? ndm_error(ti, err, "Failed to load metadata") : 0;
}

static void clone_resume(struct ndm_target *ti)
{
	struct clone *c = ti->private_data;

	c->running = true;
	c->committed_ns = ndm_now(ti->loop);
	waker_fired(&c->waker);
}

static void clone_postsuspend(struct ndm_target *ti)
{
	struct clone *c = ti->private_data;
	bool flushed;

	c->running = false;
	ndm_timer_cancel(&c->waker);
	crew_wait(&c->tasks);
	clone_commit(c, &flushed);
}

/* ---- messages and status ---- */

static int clone_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct clone *c = ti->private_data;
	unsigned n, *to = NULL;

	(void)reply;
	if (!strcasecmp(argv[0], "enable_hydration") || !strcasecmp(argv[0], "disable_hydration")) {
		c->hydration = !strcasecmp(argv[0], "enable_hydration");
		clone_background(c);
		return 0;
	}
	if (!strcasecmp(argv[0], "hydration_threshold"))
		to = &c->threshold;
	else if (!strcasecmp(argv[0], "hydration_batch_size"))
		to = &c->batch;
	if (!to)
		return ndm_error(ti, -EINVAL, "messages are enable_hydration, disable_hydration, "
				 "hydration_threshold N and hydration_batch_size N");
	if (argc != 2 || ndm_arg_uint(argv[1], &n))
		return ndm_error(ti, -EINVAL, "%s wants one number", argv[0]);
	*to = n;
	clone_background(c);
	return 0;
}

static void clone_prestatus(struct ndm_target *ti, unsigned flags)
{
	struct clone *c = ti->private_data;
	bool flushed;

	if (!(flags & NDM_STATUS_NOFLUSH) && c->running && c->mode == CLONE_WRITE)
		clone_commit(c, &flushed);
}

static void clone_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			 struct ndm_str *out)
{
	struct clone *c = ti->private_data;
	uint64_t total = meta_space_blocks(c->map.m);

	(void)flags;
	if (what == NDM_STATUS_TABLE) {
		ndm_printf(out, "%s %s %s", c->meta_dev->name, c->dest->name, c->source->name);
		ndm_str_put(out, c->words.text, c->words.len);
		return;
	}
	if (c->mode == CLONE_FAIL) {
		ndm_printf(out, "Fail");
		return;
	}
	ndm_printf(out, "%u %" PRIu64 "/%" PRIu64 " %" PRIu64 " %" PRIu64 "/%" PRIu64 " %u ",
		   META_BLOCK_SECTORS, total - meta_space_free(c->map.m), total,
		   c->map.region_sectors, c->map.hydrated, c->map.regions, c->hydrating);
	ndm_printf(out, "%d %s%s", !c->hydration + !c->passdown, c->hydration ? "" : "no_hydration ",
		   c->passdown ? "" : "no_discard_passdown ");
	ndm_printf(out, "4 hydration_threshold %u hydration_batch_size %u %s", c->threshold, c->batch,
		   c->mode == CLONE_WRITE ? "rw" : "ro");
}

static void clone_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	const struct clone *c = ti->private_data;
	uint32_t region = (uint32_t)(c->map.region_sectors * NDM_SECTOR_BYTES);

	if (l->io_opt_bytes < region || l->io_opt_bytes % region)
		l->io_min_bytes = l->io_opt_bytes = region;
	l->discard_granularity_bytes = c->passdown
		? c->dest->store->limits.discard_granularity_bytes : region;
	l->volatile_cache = true;
}

/* ---- names ---- */

static const struct ndm_arg feature_args[] = {
	{ .name = "no_hydration", .kind = NDM_ARG_FLAG, .help = "Nothing is copied in the background." },
	{ .name = "no_discard_passdown", .kind = NDM_ARG_FLAG,
	  .help = "Discards are not passed to the destination." },
	{ 0 }
};

#define REGIONS(text) .kind = NDM_ARG_KEYED, .sub = (const struct ndm_arg[]){ \
	{ .name = "regions", .kind = NDM_ARG_U64, .help = "How many; 1." }, { 0 } }, .help = text

static const struct ndm_arg core_args[] = {
	{ .name = "hydration_threshold",
	  REGIONS("So many regions may be on their way in the background at a time.") },
	{ .name = "hydration_batch_size", REGIONS("So many adjacent regions are copied at once.") },
	{ 0 }
};

static const struct ndm_arg clone_args[] = {
	{ .name = "metadata", .kind = NDM_ARG_DEVICE, .help = "Where it is remembered what is copied." },
	{ .name = "destination", .kind = NDM_ARG_DEVICE, .help = "Becomes the copy." },
	{ .name = "source", .kind = NDM_ARG_DEVICE, .help = "What is copied; only read." },
	{ .name = "region_size", .kind = NDM_ARG_SECTORS, .dflt = "8",
	  .help = "What is copied at once: a power of 2, 8 to 2097152 sectors." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_OPTIONAL, .sub = feature_args,
	  .help = "Features." },
	{ .name = "core", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_OPTIONAL, .sub = core_args,
	  .help = "Numbers." },
	{ 0 }
};

static const struct ndm_arg clone_status_fields[] = {
	{ .name = "metadata_block", .kind = NDM_ARG_SECTORS, .help = "Size of a metadata block; or Fail." },
	{ .name = "metadata", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "Metadata blocks in use / all." },
	{ .name = "region_size", .kind = NDM_ARG_SECTORS, .help = "Size of a region." },
	{ .name = "hydrated", .kind = NDM_ARG_TEXT, .help = "Regions that are there / all." },
	{ .name = "hydrating", .kind = NDM_ARG_U64, .help = "Regions on their way." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .sub = feature_args, .help = "Features." },
	{ .name = "core", .kind = NDM_ARG_FEATURES, .sub = core_args, .help = "Numbers." },
	{ .name = "mode", .kind = NDM_ARG_TEXT, .help = "rw, or ro after a failure of the metadata." },
	{ 0 }
};

static const struct ndm_keep clone_keeps[] = {
	NDM_KEEP(struct clone, hydration), NDM_KEEP(struct clone, threshold),
	NDM_KEEP(struct clone, batch),
	{ 0 }
};

const struct ndm_target_type ndm_target_clone = {
	.name = "clone",
	.version = { 1, 0, 0 },
	.features = NDM_TARGET_FORMATS,
	.private_size = sizeof(struct clone),
	.args = clone_args,
	.status_fields = clone_status_fields,
	.summary = "A copy of a source that can be used at once, while it is being made.",
	.ctr = clone_ctr,
	.dtr = clone_dtr,
	.map = clone_map,
	.io = clone_io,
	.end_io = clone_end_io,
	.prestatus = clone_prestatus,
	.status = clone_status,
	.message = clone_message,
	.preresume = clone_preresume,
	.resume = clone_resume,
	.postsuspend = clone_postsuspend,
	.io_hints = clone_io_hints,
	.keeps = clone_keeps,
};
