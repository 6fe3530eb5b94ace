/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thin-pool: the data blocks and the metadata that thin devices share.
 *
 *	thin-pool <metadata> <data> <block> <low water> [<#features> <features>]
 *
 * A first load formats a metadata device whose first block is zero.  Sizes are settled at each
 * resume: the pool grows with its table, the metadata with its device, neither ever shrinks.
 * I/O to the pool itself goes to the data device as it is.
 */
#include <strings.h>

#include "thin.h"

/* ---- constructing ---- */

static int features_take(struct ndm_target *ti, unsigned argc, char **argv, struct pool_features *f)
{
	struct ndm_args as = { .argc = argc, .argv = argv };
	const char *word;
	unsigned n;
	int err;

	*f = (struct pool_features){ .zero_new = true, .discard = true, .passdown = true };
	if (!argc)
		return 0;
	err = ndm_args_group(ti, &as, 0, 4, "Invalid number of pool feature arguments", &n);
	if (err)
		return err;
	while (n-- && (word = ndm_args_shift(&as))) {
		if (!strcasecmp(word, "skip_block_zeroing"))
			f->zero_new = false;
		else if (!strcasecmp(word, "ignore_discard"))
			f->discard = false;
		else if (!strcasecmp(word, "no_discard_passdown"))
			f->passdown = false;
		else if (!strcasecmp(word, "read_only"))
			f->read_only = true;
		else if (!strcasecmp(word, "error_if_no_space"))
			f->error_if_no_space = true;
		else
			return ndm_error(ti, -EINVAL, "Unrecognised pool feature requested");
	}
	return 0;
}

static int devices_take(struct ndm_target *ti, char **argv)
{
	struct pool_target *pt = ti->private_data;
	unsigned mode = NDM_OPEN_READ | (pt->asked.read_only ? 0 : NDM_OPEN_WRITE);
	uint64_t block;
	int err = ndm_get_dev_mode(ti, argv[0], mode, 0, 0, &pt->metadata);

	if (err)
		return ndm_error(ti, err, "Error opening metadata block device");
	err = ndm_get_dev_mode(ti, argv[1], NDM_OPEN_READ | NDM_OPEN_WRITE, 0, ti->nr, &pt->data);
	if (err)
		return ndm_error(ti, err, "Error getting data device");
	if (ndm_arg_u64_plus(argv[2], &block) || block < THIN_BLOCK_MIN || block > THIN_BLOCK_MAX ||
	    block % THIN_BLOCK_MIN)
		return ndm_error(ti, -EINVAL, "Invalid block size");
	pt->pool_block = (uint32_t)block;
	if (ndm_arg_u64_plus(argv[3], &pt->low_water))
		return ndm_error(ti, -EINVAL, "Invalid low water mark");
	return 0;
}

static int pool_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct pool_target *pt = ti->private_data;
	bool made = false;
	int err;

	pt->ti = ti;
	if (argc < 4)
		return ndm_error(ti, -EINVAL, "Invalid argument count");
	if (!strcmp(argv[0], argv[1]))
		return ndm_error(ti, -EINVAL, "Error setting metadata or data device");
	err = features_take(ti, argc - 4, argv + 4, &pt->asked);
	if (!err)
		err = devices_take(ti, argv);
	if (!err)
		err = pool_find(pt, &made);
	if (err)
		return err;
	if (!made && pt->asked.discard != pt->pool->f.discard) {
		pool_leave(pt);
		pool_drop(pt->pool);
		return ndm_error(ti, -EINVAL, "Discard support cannot be disabled once enabled");
	}
	pt->used = pt->asked;
	pt->mode = pt->asked.read_only ? POOL_READ_ONLY : POOL_WRITE;
	ti->num_flush = 1;
	ti->extents = true;
	if (pt->asked.discard && pt->asked.passdown)
		ti->num_discard = 1;
	return 0;
}

static void pool_dtr(struct ndm_target *ti)
{
	struct pool_target *pt = ti->private_data;

	pool_leave(pt);
	pool_drop(pt->pool);
}

/* ---- suspend, resume ---- */

static void pool_presuspend(struct ndm_target *ti)
{
	struct pool_target *pt = ti->private_data;
	struct pool *pool = pt->pool;

	if (pool->owner != pt)
		return;
	pool->suspended = true;
	while (pool->busy)
		ndm_wait(&pool->idle);
}

static void pool_wakes(struct pool *pool)
{
	pool->suspended = false;
	ndm_wake_all(&pool->resumed);
	ndm_wake_all(&pool->room);
}

static void pool_presuspend_undo(struct ndm_target *ti)
{
	struct pool_target *pt = ti->private_data;

	if (pt->pool->owner == pt)
		pool_wakes(pt->pool);
}

static void pool_postsuspend(struct ndm_target *ti)
{
	struct pool_target *pt = ti->private_data;

	if (pt->pool->owner == pt)
		pool_stop(pt->pool);
}

static void bind(struct pool_target *pt)
{
	struct pool *pool = pt->pool;
	enum pool_mode mode = pt->mode;

	pool_owner(pool, pt);
	pt->mode = pool->mode;
	pt->used = pt->asked;
	if (pt->used.passdown && pt->data->store->limits.max_discard_sectors < pool->block)
		pt->used.passdown = false;
	pool->f = pt->used;
	pool->low_water = pt->low_water;
	pool_set_mode(pool, mode);
}

static int data_fit(struct pool_target *pt)
{
	struct pool *pool = pt->pool;
	uint64_t want = pt->ti->nr / pool->block, have = meta_space_total(pool->pmd->data);
	int err;

	if (want < have)
		return ndm_error(pt->ti, -EINVAL, "pool target (%" PRIu64 " blocks) too small: expected %"
				 PRIu64, want, have);
	if (want == have || pmd_needs_check(pool->pmd) || pool->mode >= POOL_OUT_OF_METADATA)
		return 0;
	if (have)
		ndm_warn(pt->ti, "growing the data device from %" PRIu64 " to %" PRIu64 " blocks", have, want);
	err = pmd_grow_data(pool->pmd, want);
	if (err)
		pool_failed(pool, "grow the data device", err);
	return err;
}

static int metadata_fit(struct pool_target *pt)
{
	struct pool *pool = pt->pool;
	uint64_t want = meta_device_blocks(pool->pmd->m), have = meta_space_blocks(pool->pmd->m);
	int err;

	if (want < have)
		return ndm_error(pt->ti, -EINVAL, "metadata device (%" PRIu64 " blocks) too small: expected %"
				 PRIu64, want, have);
	if (want == have || pmd_needs_check(pool->pmd) || pt->asked.read_only)
		return 0;
	ndm_warn(pt->ti, "growing the metadata device from %" PRIu64 " to %" PRIu64 " blocks", have, want);
	if (pool->mode == POOL_OUT_OF_METADATA)
		pool_set_mode(pool, POOL_WRITE);
	err = pmd_grow_metadata(pool->pmd, want);
	if (err)
		pool_failed(pool, "grow the metadata device", err);
	return err;
}

static int pool_preresume(struct ndm_target *ti)
{
	struct pool_target *pt = ti->private_data;
	struct pool *pool = pt->pool;
	int err = 0;

	ndm_dev_grow(pt->metadata);
	ndm_wrlock(&pool->pmd->lock);
	bind(pt);
	if (pool->mode != POOL_FAIL) {
		err = data_fit(pt);
		if (!err && pool->mode != POOL_FAIL)
			err = metadata_fit(pt);
		if (!err)
			pool_commit(pool);
	}
	ndm_rwunlock(&pool->pmd->lock);
	return pool->mode == POOL_FAIL ? 0 : err;	/* what waits must be answered */
}

static void pool_resume(struct ndm_target *ti)
{
	struct pool_target *pt = ti->private_data;
	struct pool *pool = pt->pool;

	pool->low_water_told = false;
	if (pool->pmd->super_late || pool->pmd->changed)
		pool_changed(pool);
	pool_wakes(pool);
}

/* ---- I/O ---- */

static enum ndm_map pool_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct pool_target *pt = ti->private_data;

	return ndm_remap(bio, pt->data, bio->op == NDM_FLUSH ? 0 : ndm_offset(ti, bio->sector));
}

static void pool_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	struct pool_target *pt = ti->private_data;
	uint32_t bytes = pt->pool->block * NDM_SECTOR_BYTES;

	if (l->io_opt_bytes < bytes || l->io_opt_bytes % bytes)
		l->io_min_bytes = l->io_opt_bytes = bytes;
	if (!pt->asked.discard)
		l->discard_granularity_bytes = 0;
}

/* ---- status ---- */

/* Counts are those of the last commit, so there is one first. */
static void pool_prestatus(struct ndm_target *ti, unsigned flags)
{
	struct pool_target *pt = ti->private_data;
	struct pool *pool = pt->pool;

	if ((flags & NDM_STATUS_NOFLUSH) || pool->suspended || pool->owner != pt ||
	    pool->mode == POOL_FAIL)
		return;
	ndm_wrlock(&pool->pmd->lock);
	if (pool->owner == pt)
		pool_commit(pool);
	ndm_rwunlock(&pool->pmd->lock);
}

static void info_print(const struct pool *pool, struct ndm_str *out)
{
	const struct pmd *p = pool->pmd;
	uint64_t blocks, total, low;

	if (pool->mode == POOL_FAIL || !p->data) {
		ndm_printf(out, "Fail");
		return;
	}
	blocks = meta_space_blocks(p->m);
	total = meta_space_total(p->data);
	low = blocks / 4 < 1024 ? blocks / 4 : 1024;
	ndm_printf(out, "%" PRIu64 " %" PRIu64 "/%" PRIu64 " %" PRIu64 "/%" PRIu64 " ", p->transaction_id,
		   blocks - pmd_metadata_free(p), blocks, total - meta_space_left(p->data), total);
	if (p->held_root)
		ndm_printf(out, "%" PRIu64 " ", p->held_root);
	else
		ndm_printf(out, "- ");
	ndm_printf(out, "%s %s %s %s %" PRIu64 " ",
		   pool->mode == POOL_OUT_OF_DATA ? "out_of_data_space" :
		   pool->mode == POOL_WRITE ? "rw" : "ro",
		   !pool->f.discard ? "ignore_discard" :
		   pool->f.passdown ? "discard_passdown" : "no_discard_passdown",
		   pool->f.error_if_no_space ? "error_if_no_space" : "queue_if_no_space",
		   pmd_needs_check(p) ? "needs_check" : "-", low);
}

static void table_print(const struct pool_target *pt, struct ndm_str *out)
{
	const struct pool_features *f = &pt->asked;

	ndm_printf(out, "%s %s %u %" PRIu64 " %d ", pt->metadata->name, pt->data->name, pt->pool->block,
		   pt->low_water, !f->zero_new + !f->discard + !f->passdown + f->read_only +
		   f->error_if_no_space);
	if (!f->zero_new)
		ndm_printf(out, "skip_block_zeroing ");
	if (!f->discard)
		ndm_printf(out, "ignore_discard ");
	if (!f->passdown)
		ndm_printf(out, "no_discard_passdown ");
	if (f->read_only)
		ndm_printf(out, "read_only ");
	if (f->error_if_no_space)
		ndm_printf(out, "error_if_no_space ");
}

static void pool_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			struct ndm_str *out)
{
	const struct pool_target *pt = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_INFO)
		info_print(pt->pool, out);
	else
		table_print(pt, out);
}

static const struct ndm_arg pool_words[] = {
	{ .name = "skip_block_zeroing", .kind = NDM_ARG_FLAG,
	  .help = "A new block keeps what lay there before, where it is not written." },
	{ .name = "ignore_discard", .kind = NDM_ARG_FLAG, .help = "Thin devices take no discards." },
	{ .name = "no_discard_passdown", .kind = NDM_ARG_FLAG,
	  .help = "Discards unmap blocks, and the data device hears nothing of them." },
	{ .name = "read_only", .kind = NDM_ARG_FLAG, .help = "The metadata is not changed." },
	{ .name = "error_if_no_space", .kind = NDM_ARG_FLAG,
	  .help = "Writes that find no data block fail at once; otherwise they wait." },
	{ 0 }
};

static const struct ndm_arg pool_args[] = {
	{ .name = "metadata", .kind = NDM_ARG_DEVICE, .help = "Where the mappings are kept." },
	{ .name = "data", .kind = NDM_ARG_DEVICE, .help = "Where the blocks of all thin devices are." },
	{ .name = "block_size", .kind = NDM_ARG_SECTORS, .dflt = "128",
	  .help = "What is allocated at once: 64 KiB to 1 GiB, a multiple of 64 KiB." },
	{ .name = "low_water_mark", .kind = NDM_ARG_U64, .dflt = "0",
	  .help = "An event is raised when no more than so many blocks are free." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_OPTIONAL, .sub = pool_words,
	  .help = "Features, four at most." },
	{ 0 }
};

static const struct ndm_arg pool_status_fields[] = {
	{ .name = "transaction_id", .kind = NDM_ARG_TEXT,
	  .help = "A number of the user's (set_transaction_id); or Fail, alone." },
	{ .name = "metadata", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "Used, with the reserve, / all metadata blocks of 4 KiB." },
	{ .name = "data", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "Used / all data blocks." },
	{ .name = "held_root", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "The metadata block of the metadata snapshot, or -." },
	{ .name = "mode", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "rw, ro or out_of_data_space." },
	{ .name = "discard", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "discard_passdown, no_discard_passdown or ignore_discard." },
	{ .name = "no_space", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "queue_if_no_space or error_if_no_space." },
	{ .name = "check", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "needs_check, or -." },
	{ .name = "metadata_low_water_mark", .kind = NDM_ARG_U64, .flags = NDM_ARG_OPTIONAL,
	  .help = "An event is raised when no more than so many metadata blocks are free." },
	{ 0 }
};

const struct ndm_target_type ndm_target_thin_pool = {
	.name = "thin-pool",
	.version = { 1, 23, 0 },
	.features = NDM_TARGET_SINGLETON | NDM_TARGET_ALWAYS_WRITABLE | NDM_TARGET_IMMUTABLE |
		    NDM_TARGET_FORMATS,
	.private_size = sizeof(struct pool_target),
	.args = pool_args,
	.status_fields = pool_status_fields,
	.summary = "The blocks and the metadata that thin devices share.",
	.ctr = pool_ctr,
	.dtr = pool_dtr,
	.map = pool_map,
	.prestatus = pool_prestatus,
	.status = pool_status,
	.message = pool_message,
	.presuspend = pool_presuspend,
	.presuspend_undo = pool_presuspend_undo,
	.postsuspend = pool_postsuspend,
	.preresume = pool_preresume,
	.resume = pool_resume,
	.io_hints = pool_io_hints,
};
