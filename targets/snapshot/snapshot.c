/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot: a device as it was, and as it is written from then on.
 *
 *	snapshot <origin> <COW device> <P|PO|N> <chunk> [<#features> <features>]
 *
 * A chunk that has an exception is read and written on the COW device; any other is read from
 * the origin, and copied when it is first written.  See cow.c for how, persistent.c for what
 * is on disk.
 *
 * Without room, or after an error, the snapshot is invalid for good: all its I/O fails.  With
 * PO a write of its own that finds no room only stops further writes (Overflow).
 *
 * Discards need discard_zeroes_cow.  One that covers a chunk with an exception writes zeroes
 * there; a part of such a chunk is discarded on the COW device; a chunk without an exception
 * is left alone, so the origin shines through.  discard_passdown_origin sends each discard to
 * the origin as well, where it spoils the snapshot by design.
 */
#include <strings.h>

#include "snapshot.h"

/* ---- constructing; shared with snapshot-merge ---- */

static int features_take(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct ndm_args as = { .argc = argc, .argv = argv };
	struct snap *s = ti->private_data;
	const char *word;
	unsigned n;
	int err;

	if (!argc)
		return 0;
	err = ndm_args_group(ti, &as, 0, 2, "Invalid number of feature arguments", &n);
	if (err)
		return err;
	while (n-- && (word = ndm_args_shift(&as))) {
		if (!strcasecmp(word, "discard_zeroes_cow"))
			s->discard_zeroes_cow = true;
		else if (!strcasecmp(word, "discard_passdown_origin"))
			s->discard_passdown_origin = true;
		else
			return ndm_error(ti, -EINVAL, "Unrecognised feature requested: '%s'", word);
	}
	if (s->discard_passdown_origin && !s->discard_zeroes_cow)
		return ndm_error(ti, -EINVAL, "discard_passdown_origin feature depends on "
				 "discard_zeroes_cow");
	return 0;
}

static bool same_device(const struct ndm_dev *a, const struct ndm_dev *b)
{
	return a->store->identity[0] == b->store->identity[0] &&
	       a->store->identity[1] == b->store->identity[1];
}

static int devices_take(struct ndm_target *ti, char **argv)
{
	struct snap *s = ti->private_data;
	unsigned mode = NDM_OPEN_READ | (s->is_merge ? NDM_OPEN_WRITE : 0);
	int err;

	err = ndm_get_dev_mode(ti, argv[0], mode, 0, ti->nr, &s->origin_dev);
	if (err)
		return ndm_error(ti, err, "Cannot get origin device");
	err = ndm_get_dev(ti, argv[1], 0, 0, &s->cow);
	if (err)
		return ndm_error(ti, err, "Cannot get COW device");
	if (same_device(s->origin_dev, s->cow))
		return ndm_error(ti, -EINVAL, "COW device cannot be the same as origin device");
	ndm_dev_section(s->cow, 0, s->cow->store->nr);
	return 0;
}

/* joins the origin's snapshots; another table on the same COW device is to be taken over */
static int origin_join(struct ndm_target *ti)
{
	struct snap *s = ti->private_data;
	unsigned n;

	s->origin = origin_get(ti->loop, s->origin_dev);
	if (!s->origin)
		return ndm_error(ti, -ENOMEM, "Snapshot origin struct allocation failed");
	s->handover = origin_pair(s->origin, s, &n) != NULL;
	if (n > 1)
		return ndm_error(ti, -EINVAL, "Snapshot cow pairing for exception table handover "
				 "failed");
	if (s->is_merge && s->store.type != 'P')
		return ndm_error(ti, -EINVAL, "Snapshot exception store does not support "
				 "snapshot-merge.");
	if (s->is_merge && origin_merging(s->origin) && !s->handover)
		return ndm_error(ti, -EINVAL, "A snapshot is already merging.");
	return 0;
}

static int metadata_read(struct ndm_target *ti)
{
	struct snap *s = ti->private_data;
	int found = 0;

	if (s->handover) {
		s->store.chunk_sectors = 0;	/* known once it is taken over */
		return 0;
	}
	if (s->store.p)
		found = pstore_read(ti, s->origin_dev, &s->store, &s->exceptions);
	if (found < 0)
		return ndm_error(ti, found, "Failed to read snapshot metadata");
	if (found) {
		s->valid = false;
		ndm_warn(ti, "Snapshot is marked invalid.");
	}
	if (!s->store.chunk_sectors)
		return ndm_error(ti, -EINVAL, "Chunk size not set");
	return 0;
}

static void queues_init(struct snap *s)
{
	struct ndm_loop *loop = s->ti->loop;

	ndm_waitq_init(&s->drained, loop);
	ndm_waitq_init(&s->turn, loop);
	ndm_waitq_init(&s->unused, loop);
	ndm_waitq_init(&s->merged, loop);
}

static void snap_release(struct snap *s)
{
	exceptions_free(&s->exceptions);
	store_free(&s->store);
	origin_put(s->origin);
}

int snap_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct snap *s = ti->private_data;
	int err;

	if (argc < 4)
		return ndm_error(ti, -EINVAL, "requires 4 or more arguments");
	s->ti = ti;
	s->valid = true;
	queues_init(s);
	err = features_take(ti, argc - 4, argv + 4);
	if (!err)
		err = devices_take(ti, argv);
	if (!err)
		err = store_create(ti, s->origin_dev, s->cow, argv[2], argv[3], &s->store);
	if (!err)
		err = origin_join(ti);
	if (!err)
		err = metadata_read(ti);
	if (err) {
		snap_release(s);
		return err;
	}
	origin_add(s->origin, s);
	ti->max_io = s->store.chunk_sectors;
	ti->extents = true;
	ti->per_bio_size = sizeof(struct tracked);
	return 0;
}

void snap_dtr(struct ndm_target *ti)
{
	struct snap *s = ti->private_data;

	s->active = false;
	origin_remove(s->origin, s);
	while (s->users)			/* writes to the origin that are copying out */
		ndm_wait(&s->unused);
	snap_release(s);
}

/* ---- taking over from another table ---- */

int snap_preresume(struct ndm_target *ti)
{
	struct snap *s = ti->private_data, *from;
	unsigned n;

	if (!s->handover)
		return 0;
	from = origin_pair(s->origin, s, &n);
	if (from && from->running)
		return ndm_error(ti, -EINVAL, "Unable to perform snapshot handover until source is "
				 "suspended");
	return 0;
}

static void take_over(struct snap *s, struct snap *from)
{
	struct store mine = s->store;

	while (from->users)			/* its allocations must all be committed */
		ndm_wait(&from->unused);
	exceptions_free(&s->exceptions);
	s->exceptions = from->exceptions;
	s->store = from->store;
	s->store.cow = mine.cow;
	s->store.overflow = mine.overflow;
	s->allocated = from->allocated;
	s->committed = from->committed;
	s->valid = from->valid;
	s->overflowed = from->overflowed;
	from->exceptions = (struct exceptions){ 0 };
	from->store.p = NULL;
	from->valid = false;			/* it will get no I/O any more */
	from->active = false;
	store_free(&mine);
	s->ti->max_io = s->store.chunk_sectors;
	if (s->discard_zeroes_cow)
		s->ti->max_discard = s->store.chunk_sectors;
}

void snap_resume(struct ndm_target *ti)
{
	struct snap *s = ti->private_data, *from;
	unsigned n;

	if (s->handover) {
		from = origin_pair(s->origin, s, &n);
		if (from)
			take_over(s, from);
		s->handover = false;
		origin_remove(s->origin, s);	/* its chunk size is known now: sort it in */
		origin_add(s->origin, s);
	}
	s->active = true;
	s->running = true;
}

/* ---- status ---- */

static void usage_print(const struct snap *s, struct ndm_str *out)
{
	uint64_t allocated, total, metadata;

	if (!s->valid) {
		ndm_printf(out, "Invalid");
	} else if (s->merge_failed) {
		ndm_printf(out, "Merge failed");
	} else if (s->overflowed) {
		ndm_printf(out, "Overflow");
	} else {
		store_usage(&s->store, &allocated, &total, &metadata);
		ndm_printf(out, "%" PRIu64 "/%" PRIu64 " %" PRIu64, allocated, total, metadata);
	}
}

void snap_status(struct ndm_target *ti, enum ndm_status what, unsigned flags, struct ndm_str *out)
{
	const struct snap *s = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_INFO) {
		usage_print(s, out);
		return;
	}
	ndm_printf(out, "%s %s %s %u", s->origin_dev->name, s->cow->name,
		   s->store.type == 'N' ? "N" : s->store.overflow ? "PO" : "P",
		   s->store.chunk_sectors);
	if (s->discard_zeroes_cow)
		ndm_printf(out, " %d discard_zeroes_cow%s", 1 + s->discard_passdown_origin,
			   s->discard_passdown_origin ? " discard_passdown_origin" : "");
}

enum ndm_endio snap_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	snap_untrack(ti->private_data, bio);
	return NDM_ENDIO_DONE;
}

/* ---- snapshot itself ---- */

static int snapshot_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct snap *s = ti->private_data;
	int err = snap_ctr(ti, argc, argv);

	if (err)
		return err;
	ti->num_flush = 1;
	if (s->discard_zeroes_cow) {
		ti->num_discard = 1 + s->discard_passdown_origin;
		ti->max_discard = s->store.chunk_sectors;
	}
	return 0;
}

static bool covers_chunk(const struct snap *s, const struct ndm_bio *bio)
{
	return bio->nr == s->store.chunk_sectors;	/* they never cross an edge */
}

static enum ndm_map snapshot_discard(struct snap *s, const struct exception *e,
				     struct ndm_bio *bio, uint64_t chunk)
{
	if (bio->copy == 1) {			/* passed down; exceptions are not made for it */
		snap_track(s, bio, chunk);
		return ndm_remap(bio, s->origin_dev, ndm_offset(s->ti, bio->sector));
	}
	if (!e) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	if (covers_chunk(s, bio))
		return NDM_MAP_WAIT;
	return snap_remap(s, e, bio);
}

static enum ndm_map snapshot_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct snap *s = ti->private_data;
	const struct exception *e;
	uint64_t chunk;

	if (bio->op == NDM_FLUSH)
		return ndm_remap(bio, s->cow, 0);
	if (!s->valid || (bio->op == NDM_WRITE && s->overflowed))
		return NDM_MAP_KILL;
	chunk = snap_chunk(s, ndm_offset(ti, bio->sector));
	e = exceptions_find(&s->exceptions, chunk);
	if (bio->op == NDM_DISCARD)
		return snapshot_discard(s, e, bio, chunk);
	if (e)
		return snap_remap(s, e, bio);
	if (bio->op == NDM_WRITE)
		return NDM_MAP_WAIT;
	if (bio->op == NDM_READ)
		snap_track(s, bio, chunk);
	return ndm_remap(bio, s->origin_dev, ndm_offset(ti, bio->sector));
}

static int forward_to_cow(struct snap *s, const struct exception *e, struct ndm_bio *bio)
{
	uint64_t within = ndm_offset(s->ti, bio->sector) & (s->store.chunk_sectors - 1);

	return ndm_forward(bio, s->cow, e->new_chunk * s->store.chunk_sectors + within);
}

static int zero_chunk(struct snap *s, uint64_t chunk)
{
	const struct exception *e = exceptions_find(&s->exceptions, chunk);
	size_t bytes = (size_t)s->store.chunk_sectors * NDM_SECTOR_BYTES;
	void *zeroes;
	int err;

	if (!e)
		return 0;
	zeroes = ndm_buffer_get(s->ti->loop, bytes);
	if (!zeroes)
		return -ENOMEM;
	memset(zeroes, 0, bytes);
	err = ndm_rw(s->cow->store, NDM_WRITE, 0, e->new_chunk * s->store.chunk_sectors,
		     s->store.chunk_sectors, zeroes);
	ndm_buffer_put(s->ti->loop, zeroes, bytes);
	return err;
}

static int snapshot_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct snap *s = ti->private_data;
	uint64_t chunk = snap_chunk(s, ndm_offset(ti, bio->sector));
	bool whole = covers_chunk(s, bio);
	int done;

	if (bio->op == NDM_DISCARD)
		return zero_chunk(s, chunk);
	done = snap_ensure(s, chunk, whole ? bio : NULL);
	if (done < 0 || (whole && !done))
		return done;
	return forward_to_cow(s, exceptions_find(&s->exceptions, chunk), bio);
}

static void snapshot_postsuspend(struct ndm_target *ti)
{
	struct snap *s = ti->private_data;

	s->running = false;			/* origin writes still copy out into it */
}

static void snapshot_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	struct snap *s = ti->private_data;

	if (s->discard_zeroes_cow)
		l->discard_granularity_bytes = s->store.chunk_sectors * NDM_SECTOR_BYTES;
}

static const char *const store_types[] = { "P", "PO", "N", NULL };

static const struct ndm_arg snap_features[] = {
	{ .name = "discard_zeroes_cow", .kind = NDM_ARG_FLAG,
	  .help = "Discards write zeroes to chunks that have a copy." },
	{ .name = "discard_passdown_origin", .kind = NDM_ARG_FLAG,
	  .help = "Discards go to the origin as well; needs discard_zeroes_cow." },
	{ 0 }
};

const struct ndm_arg snap_args[] = {
	{ .name = "origin", .kind = NDM_ARG_DEVICE, .help = "The device that is kept as it was." },
	{ .name = "cow", .kind = NDM_ARG_DEVICE, .help = "Where copied chunks are kept." },
	{ .name = "store", .kind = NDM_ARG_WORD, .choices = store_types, .dflt = "P",
	  .help = "Persistent, persistent with overflow seen to by the user, or not persistent." },
	{ .name = "chunk", .kind = NDM_ARG_SECTORS, .dflt = "32",
	  .help = "How much is copied at once, a power of 2; 0 is what the COW device says." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_OPTIONAL | NDM_ARG_TRIM,
	  .sub = snap_features, .help = "Features." },
	{ 0 }
};

const struct ndm_arg snap_status_fields[] = {
	{ .name = "allocated", .kind = NDM_ARG_TEXT,
	  .help = "Sectors taken / all sectors of the COW device; or Invalid, Overflow, Merge failed." },
	{ .name = "metadata", .kind = NDM_ARG_SECTORS, .flags = NDM_ARG_OPTIONAL,
	  .help = "How much of what is taken is metadata." },
	{ 0 }
};

#define LOOKS_MAX 256u				/* chunks looked up for one answer */

static uint64_t copied_value(struct ndm_target *ti, uint64_t sector, uint64_t nr, uint32_t *value)
{
	const struct snap *s = ti->private_data;
	uint64_t within = ndm_offset(ti, sector), chunk, got;
	unsigned looks;

	*value = 0;
	if (!s->valid || !s->store.chunk_sectors)
		return nr;
	chunk = snap_chunk(s, within);
	*value = exceptions_find(&s->exceptions, chunk) != NULL;
	got = (chunk + 1) * s->store.chunk_sectors - within;
	for (looks = 1; got < nr && looks < LOOKS_MAX; looks++) {
		chunk++;
		if (!!exceptions_find(&s->exceptions, chunk) != *value)
			break;
		got += s->store.chunk_sectors;
	}
	return got < nr ? got : nr;
}

const struct ndm_meta snap_metas[] = {
	{ "snapshot-copied", "1: the snapshot has its own copy of the chunk; 0: it is the origin's.",
	  copied_value },
	{ 0 }
};

const struct ndm_target_type ndm_target_snapshot = {
	.name = "snapshot",
	.version = { 1, 16, 0 },
	.features = NDM_TARGET_LENDS_READS,	/* exceptions are made in tasks */
	.private_size = sizeof(struct snap),
	.args = snap_args,
	.status_fields = snap_status_fields,
	.summary = "A device as it was at one moment, and may be written from then on.",
	.ctr = snapshot_ctr,
	.dtr = snap_dtr,
	.map = snapshot_map,
	.io = snapshot_io,
	.end_io = snap_end_io,
	.status = snap_status,
	.postsuspend = snapshot_postsuspend,
	.preresume = snap_preresume,
	.resume = snap_resume,
	.io_hints = snapshot_io_hints,
	.metas = snap_metas,
	.recall = snap_recall,
	.remember = snap_remember,
};
