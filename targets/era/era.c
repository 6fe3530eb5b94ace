/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * era: a device that remembers which of its blocks were written when.
 *
 *	era <metadata device> <origin device> <block size>
 *	messages: checkpoint | take_metadata_snap | drop_metadata_snap
 *
 * All I/O goes to the origin.  The first write to a block in an era waits until the block's mark
 * is durable; marks that come together share a commit.  Discards pass, and mark the block where
 * they begin: as in Linux, nothing splits them.
 *
 * An error of the metadata fails the writes that wait, and takes back what was not committed;
 * the next one tries again.
 */
#include <strings.h>

#include "targets/era/era.h"

#define MIN_BLOCK_SECTORS 8u

struct marking {				/* a write that waits for its mark */
	uint64_t block;
	struct marking *next;
	bool done;
	int error;
};

struct era {
	struct ndm_target *ti;
	struct ndm_dev *meta_dev, *origin;
	uint32_t block_sectors;
	uint64_t nr_blocks;			/* of the device; 0 before the first resume */
	struct era_meta meta;
	struct ndm_mutex lock;			/* the metadata's */
	uint64_t *marked;			/* bit: the mark of this era is durable */
	struct marking *markings, **last;
	bool digesting;
	bool fresh;				/* not resumed since it was made */
	bool running;				/* between resume and suspend */
};

static bool is_marked(const struct era *e, uint64_t block)
{
	return e->marked && block < e->nr_blocks && e->marked[block / 64] >> block % 64 & 1;
}

static void forget_marks(struct era *e)
{
	if (e->marked)
		memset(e->marked, 0, meta_bitset_words(e->nr_blocks) * 8);
}

/* With the lock: an operation has failed; everything is as it was at the last commit. */
static int take_back(struct era *e, const char *what, int err)
{
	if (!err)
		return 0;
	ndm_warn(e->ti, "%s failed: %s", what, strerror(-err));
	if (era_meta_load(&e->meta))
		ndm_warn(e->ti, "the metadata cannot be read");
	return err;
}

static int meta_ready(struct era *e)
{
	return e->meta.broken ? era_meta_load(&e->meta) : 0;
}

/* ---- the digest ---- */

static void digest_task(void *arg)
{
	struct era *e = arg;
	int more = 1;

	while (more > 0 && !ndm_stopping(e->ti)) {
		ndm_lock(&e->lock);
		more = meta_ready(e);
		if (!more)
			more = era_meta_digest(&e->meta);
		if (more < 0)
			take_back(e, "the digest", more);
		ndm_unlock(&e->lock);
		ndm_yield(e->ti->loop);
	}
	e->digesting = false;
}

/* As in Linux, what was archived is digested when something else comes along. */
static void digest_start(struct era *e)
{
	if (!e->meta.archived || e->digesting || ndm_stopping(e->ti))
		return;
	e->meta.archived = false;
	e->digesting = true;
	ndm_worker(e->ti, "era digest", digest_task, e);
}

/* ---- marks ---- */

static int mark_all(struct era *e, struct marking *list)
{
	struct marking *m;
	int err = meta_ready(e);

	if (!err && !e->meta.now.writeset)
		err = -EIO;			/* between two eras: nothing should come now */
	for (m = list; m && !err; m = m->next)
		err = m->block < e->nr_blocks ? era_meta_mark(&e->meta, m->block) : -EIO;
	if (!err)
		err = era_meta_commit(&e->meta);
	take_back(e, "marking a block", err);
	for (m = list; m; m = m->next) {
		m->done = true;
		m->error = err;
		if (!err)
			e->marked[m->block / 64] |= UINT64_C(1) << m->block % 64;
	}
	return err;
}

/* Returns when the mark is durable in what is then the current era. */
static int mark(struct era *e, uint64_t block)
{
	struct marking m, *list;

	digest_start(e);
	while (!is_marked(e, block)) {
		m = (struct marking){ .block = block };
		*e->last = &m;
		e->last = &m.next;
		ndm_lock(&e->lock);
		if (!m.done) {
			list = e->markings;
			e->markings = NULL;
			e->last = &e->markings;
			mark_all(e, list);
		}
		ndm_unlock(&e->lock);
		if (m.error)
			return -EIO;
	}
	return 0;
}

/* ---- requests ---- */

static enum ndm_map era_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct era *e = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);

	if ((bio->op == NDM_WRITE || bio->op == NDM_DISCARD || bio->op == NDM_ZEROES) &&
	    !is_marked(e, sector / e->block_sectors))
		return NDM_MAP_WAIT;
	return ndm_remap(bio, e->origin, bio->op == NDM_FLUSH ? 0 : sector);
}

static int era_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct era *e = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);
	int err = mark(e, sector / e->block_sectors);

	return err ? err : ndm_forward(bio, e->origin, sector);
}

/* ---- constructor ---- */

static int era_open(struct ndm_target *ti, struct era *e, char **argv)
{
	const unsigned mode = NDM_OPEN_READ | NDM_OPEN_WRITE;
	uint64_t n;
	int err;

	if (ndm_get_dev_mode(ti, argv[0], mode, 0, 0, &e->meta_dev))
		return ndm_error(ti, -EINVAL, "Error opening metadata device");
	if (ndm_get_dev_mode(ti, argv[1], mode, 0, 0, &e->origin))
		return ndm_error(ti, -EINVAL, "Error opening data device");
	ndm_dev_section(e->origin, 0, e->origin->store->nr);
	if (ndm_arg_u64(argv[2], &n) || n > UINT32_MAX)
		return ndm_error(ti, -EINVAL, "Error parsing block size: '%s'", argv[2]);
	if (!n || n % MIN_BLOCK_SECTORS)
		return ndm_error(ti, -EINVAL, "Invalid block size: %" PRIu64 " is no multiple of %u "
				 "sectors", n, MIN_BLOCK_SECTORS);
	e->block_sectors = (uint32_t)n;
	err = era_meta_open(ti, e->meta_dev->store, e->block_sectors, &e->meta);
	return err ? ndm_error(ti, err, "Error reading metadata") : 0;
}

static void era_dtr(struct ndm_target *ti)
{
	struct era *e = ti->private_data;

	era_meta_close(&e->meta);
	ndm_free(e->marked);
}

static int era_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct era *e = ti->private_data;
	int err;

	if (argc != 3)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u instead of 3", argc);
	e->ti = ti;
	e->last = &e->markings;
	e->fresh = true;
	ndm_mutex_init(&e->lock, ti->loop);
	err = era_open(ti, e, argv);
	if (err) {
		era_dtr(ti);
		return err;
	}
	ti->max_io = e->block_sectors;
	ti->num_flush = ti->num_discard = 1;
	ti->extents = ti->extents_whole = true;
	return 0;
}

/* ---- resume and suspend ---- */

static int resize(struct era *e, uint64_t nr)
{
	uint64_t *marked;
	int err;

	if (nr >= UINT64_C(1) << 31)
		return ndm_error(e->ti, -EINVAL, "Invalid number of origin blocks %" PRIu64, nr);
	marked = ndm_calloc(meta_bitset_words(nr), 8);
	if (!marked)
		return -ENOMEM;
	err = era_meta_resize(&e->meta, nr);
	if (!err)
		err = era_meta_commit(&e->meta);
	if (err) {
		ndm_free(marked);
		return err;
	}
	ndm_free(e->marked);
	e->marked = marked;
	e->nr_blocks = nr;
	return 0;
}

static int era_preresume(struct ndm_target *ti)
{
	struct era *e = ti->private_data;
	uint64_t nr = (ti->nr + e->block_sectors - 1) / e->block_sectors;
	int err;

	ndm_lock(&e->lock);
	/* another table may have written the metadata since this one was made */
	err = e->fresh ? era_meta_load(&e->meta) : meta_ready(e);
	e->fresh = false;
	if (!err && nr != e->nr_blocks)
		err = resize(e, nr);
	if (!err)
		err = era_meta_rollover(&e->meta);
	if (!err)
		err = era_meta_commit(&e->meta);
	if (!err)
		forget_marks(e);
	take_back(e, "beginning an era", err);
	ndm_unlock(&e->lock);
	return err;
}

static void era_resume(struct ndm_target *ti)
{
	struct era *e = ti->private_data;

	e->running = true;
	digest_start(e);
}

static void era_postsuspend(struct ndm_target *ti)
{
	struct era *e = ti->private_data;
	int err;

	e->running = false;
	ndm_lock(&e->lock);
	err = meta_ready(e);
	if (!err)
		err = era_meta_archive(&e->meta);
	if (!err)
		err = era_meta_commit(&e->meta);
	take_back(e, "archiving the era", err);
	forget_marks(e);
	ndm_unlock(&e->lock);
}

/* ---- messages and status ---- */

static int checkpoint(struct era *e)
{
	int err = era_meta_rollover(&e->meta);

	return err ? err : era_meta_commit(&e->meta);
}

static int message_run(struct era *e, const char *word)
{
	bool drop = !strcasecmp(word, "drop_metadata_snap");
	int err = meta_ready(e);

	if (err)
		return err;
	if (drop && !e->meta.now.snap)
		return ndm_error(e->ti, -EINVAL, "there is no metadata snapshot");
	if (!strcasecmp(word, "take_metadata_snap") && e->meta.now.snap)
		return ndm_error(e->ti, -EINVAL, "there is a metadata snapshot already");
	if (drop)
		err = era_meta_drop_snap(&e->meta);
	else
		err = !strcasecmp(word, "checkpoint") ? checkpoint(e) : era_meta_take_snap(&e->meta);
	if (err || !drop)
		forget_marks(e);		/* another era, or nobody knows which */
	return take_back(e, word, err);
}

static int era_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct era *e = ti->private_data;
	int err;

	(void)reply;
	if (argc != 1 || (strcasecmp(argv[0], "checkpoint") &&
			  strcasecmp(argv[0], "take_metadata_snap") &&
			  strcasecmp(argv[0], "drop_metadata_snap")))
		return ndm_error(ti, -EINVAL, "messages are checkpoint, take_metadata_snap and "
				 "drop_metadata_snap, each a single word");
	if (e->running)
		digest_start(e);
	ndm_lock(&e->lock);
	err = message_run(e, argv[0]);
	ndm_unlock(&e->lock);
	return err;
}

static void era_prestatus(struct ndm_target *ti, unsigned flags)
{
	struct era *e = ti->private_data;

	(void)flags;
	if (e->running)
		digest_start(e);
	ndm_lock(&e->lock);			/* an era is not shown before it is durable */
	ndm_unlock(&e->lock);
}

static void era_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
		       struct ndm_str *out)
{
	const struct era *e = ti->private_data;
	uint64_t total = meta_space_blocks(e->meta.m);

	(void)flags;
	if (what == NDM_STATUS_TABLE) {
		ndm_printf(out, "%s %s %u", e->meta_dev->name, e->origin->name, e->block_sectors);
		return;
	}
	if (e->meta.broken) {
		ndm_printf(out, "Error");
		return;
	}
	ndm_printf(out, "%u %" PRIu64 "/%" PRIu64 " %u ", META_BLOCK_SECTORS,
		   total - meta_space_free(e->meta.m), total, e->meta.now.current);
	if (e->meta.now.snap)
		ndm_printf(out, "%" PRIu64, e->meta.now.snap);
	else
		ndm_printf(out, "-");
}

static void era_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	const struct era *e = ti->private_data;
	uint64_t block = (uint64_t)e->block_sectors * NDM_SECTOR_BYTES;

	if (block <= UINT32_MAX && (l->io_opt_bytes < block || l->io_opt_bytes % block)) {
		l->io_min_bytes = 0;
		l->io_opt_bytes = (uint32_t)block;
	}
}

static const struct ndm_arg era_args[] = {
	{ .name = "metadata", .kind = NDM_ARG_DEVICE, .help = "Where the eras are remembered." },
	{ .name = "origin", .kind = NDM_ARG_DEVICE, .help = "The device with the data." },
	{ .name = "block_size", .kind = NDM_ARG_SECTORS,
	  .help = "What has one mark: a multiple of 8 sectors." },
	{ 0 }
};

static const struct ndm_arg era_status_fields[] = {
	{ .name = "metadata_block", .kind = NDM_ARG_SECTORS, .help = "Size of a metadata block." },
	{ .name = "metadata", .kind = NDM_ARG_TEXT, .help = "Metadata blocks in use / all." },
	{ .name = "era", .kind = NDM_ARG_U64, .help = "The current era." },
	{ .name = "snapshot", .kind = NDM_ARG_TEXT,
	  .help = "Block of the metadata snapshot; - without one." },
	{ 0 }
};

const struct ndm_target_type ndm_target_era = {
	.name = "era",
	.version = { 1, 0, 0 },
	.features = NDM_TARGET_FORMATS,
	.private_size = sizeof(struct era),
	.args = era_args,
	.status_fields = era_status_fields,
	.summary = "A device that remembers which of its blocks were written when.",
	.ctr = era_ctr,
	.dtr = era_dtr,
	.map = era_map,
	.io = era_io,
	.prestatus = era_prestatus,
	.status = era_status,
	.message = era_message,
	.preresume = era_preresume,
	.resume = era_resume,
	.postsuspend = era_postsuspend,
	.io_hints = era_io_hints,
};
