/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdo: a volume of Linux' dm-vdo, deduplicated and compressed blocks and all, read and written.
 *
 *	vdo V4 <device> <physical blocks> <512|4096> <block map cache, blocks> <era> [<key> <value>]...
 *	messages: stats | config | dump ... | compression on|off | index-... | dump-on-shutdown
 *
 * The volume is looked at by the constructor and loaded by the first resume; a suspend shuts it
 * down cleanly.  One device at a time may use it, and what cannot change between two tables of
 * that device is known from an owner that all of them share.
 */
#include "targets/vdo/vdo.h"

#include "lib/kit/lz4.h"

struct owner {					/* of the storage device */
	const struct ndm_device *device;
	unsigned tables;
	bool resumed;				/* then what follows is what a new table must keep */
	struct vdo_config config;
	uint64_t begin, logical;
};

static struct owner **owner_slot(struct vdo *v)
{
	return (struct owner **)ndm_slot(v->ti->loop, "vdo", v->dev->store->identity);
}

static const char *reload_wrong(const struct owner *o, const struct vdo *v)
{
	const struct vdo_config *now = &o->config, *then = &v->config;

	if (!o->resumed)
		return NULL;
	if (v->ti->begin != o->begin)
		return "Starting sector cannot change";
	if (then->logical_bytes != now->logical_bytes)
		return "Logical block size cannot change";
	if (v->ti->nr / NDM_VDO_BLOCK_SECTORS < o->logical)
		return "Can't shrink VDO logical size";
	if (then->cache_blocks != now->cache_blocks)
		return "Block map cache size cannot change";
	if (then->max_age != now->max_age)
		return "Block map maximum age cannot change";
	if (memcmp(&then->threads, &now->threads, sizeof now->threads))
		return "Thread configuration cannot change";
	if (then->physical < now->physical)
		return "Removing physical storage from a VDO is not supported";
	if (then->physical > now->physical)
		return "Device vdo_prepare_to_grow_physical failed: only Linux makes a volume larger below";
	return NULL;
}

static int owner_join(struct vdo *v)
{
	struct owner **slot = owner_slot(v), *o;
	const char *wrong;

	if (!slot)
		return -ENOMEM;
	o = *slot;
	if (o && o->device != v->ti->device)
		return ndm_error(v->ti, -EIO, "Cannot share storage device with already-running VDO");
	wrong = o ? reload_wrong(o, v) : NULL;
	if (wrong)
		return ndm_error(v->ti, -EINVAL, "%s", wrong);
	if (!o) {
		o = ndm_zalloc(sizeof *o);
		if (!o)
			return -ENOMEM;
		o->device = v->ti->device;
		*slot = o;
	}
	o->tables++;
	v->owner = o;
	return 0;
}

static void owner_leave(struct vdo *v)
{
	struct owner *o = v->owner;

	if (!o || --o->tables)
		return;
	*owner_slot(v) = NULL;
	ndm_free(o);
}

static void vdo_dtr(struct ndm_target *ti)
{
	struct vdo *v = ti->private_data;

	vdo_unload(v);
	owner_leave(v);
	ndm_str_free(&v->line);
}

static int vdo_open(struct vdo *v, unsigned argc, char **argv)
{
	const char *why;
	int err;

	if (!ndm_lz4_present())
		return ndm_error(v->ti, -EOPNOTSUPP, "vdo volumes need LZ4, and ndm was built without liblz4");
	err = vdo_config_parse(v, argc, argv);
	err = err ? err : owner_join(v);
	err = err ? err : vdo_headers_read(v, &why);
	if (!err)
		ndm_dev_section(v->dev, 0, v->config.physical * NDM_VDO_BLOCK_SECTORS);
	return err;
}

static int vdo_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct vdo *v = ti->private_data;
	int err;

	v->ti = ti;
	ndm_mutex_init(&v->lock, ti->loop);
	ndm_ranges_init(&v->busy, ti->loop);
	err = vdo_open(v, argc, argv);
	if (err) {
		vdo_dtr(ti);
		return err;
	}
	ti->num_flush = ti->num_discard = ti->num_zeroes = 1;
	ti->discards_supported = ti->zeroes_supported = true;
	ti->extents = ti->extents_whole = true;
	ti->max_io = 2048;
	return 0;
}

/* ---- life ---- */

static int vdo_preresume(struct ndm_target *ti)
{
	struct vdo *v = ti->private_data;
	int err = v->loaded ? 0 : vdo_load(v);

	if (err)
		return err;
	v->owner->resumed = true;
	v->owner->config = v->config;
	v->owner->begin = ti->begin;
	v->owner->logical = ti->nr / NDM_VDO_BLOCK_SECTORS;
	return 0;
}

static void vdo_postsuspend(struct ndm_target *ti)
{
	struct vdo *v = ti->private_data;

	if (!v->loaded)
		return;
	if (v->dump_on_shutdown)
		vdo_dump(v);
	vdo_save(v);
}

static void vdo_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	const struct vdo *v = ti->private_data;

	l->logical_block_bytes = v->config.logical_bytes;
	l->physical_block_bytes = l->io_min_bytes = l->io_opt_bytes = NDM_VDO_BLOCK;
	l->discard_granularity_bytes = NDM_VDO_BLOCK;
	l->volatile_cache = true;
}

/* ---- descriptor ---- */

static const char *const block_sizes[] = { "512", "4096", NULL };
static const char *const switches[] = { "on", "off", NULL };

static const struct ndm_arg dedupe_args[] = {
	{ .name = "key", .kind = NDM_ARG_CONST, .dflt = "deduplication" },
	{ .name = "deduplication", .kind = NDM_ARG_WORD, .choices = switches,
	  .help = "Checked, and without effect: there is no index here." },
	{ 0 }
};

static const struct ndm_arg compression_args[] = {
	{ .name = "key", .kind = NDM_ARG_CONST, .dflt = "compression" },
	{ .name = "compression", .kind = NDM_ARG_WORD, .choices = switches,
	  .help = "Checked, and without effect: what is compressed is read, what is written is not compressed." },
	{ 0 }
};

static const struct ndm_arg vdo_args[] = {
	{ .name = "version", .kind = NDM_ARG_CONST, .dflt = "V4" },
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device with the volume." },
	{ .name = "physical_blocks", .kind = NDM_ARG_U64,
	  .help = "The size of the volume on the device, in blocks of 4096 bytes, as it was made." },
	{ .name = "logical_block_size", .kind = NDM_ARG_WORD, .dflt = "4096", .choices = block_sizes,
	  .help = "What a request is a multiple of, in bytes." },
	{ .name = "block_map_cache", .kind = NDM_ARG_U64, .dflt = "32768",
	  .help = "Pages of the block map that are kept in memory, of 4096 bytes each." },
	{ .name = "block_map_era", .kind = NDM_ARG_U64, .dflt = "16380",
	  .help = "Checked against the recovery journal, and without effect." },
	{ .name = "dedupe", .kind = NDM_ARG_GROUP, .flags = NDM_ARG_OPTIONAL, .sub = dedupe_args,
	  .help = "Deduplication." },
	{ .name = "compress", .kind = NDM_ARG_GROUP, .flags = NDM_ARG_OPTIONAL, .sub = compression_args,
	  .help = "Compression." },
	{ 0 }
};

static const struct ndm_arg vdo_status_fields[] = {
	{ .name = "device", .kind = NDM_ARG_TEXT, .help = "The device with the volume." },
	{ .name = "mode", .kind = NDM_ARG_TEXT, .help = "normal, or read-only after damage or a failed write." },
	{ .name = "recovery", .kind = NDM_ARG_TEXT, .help = "Always -: what had to be recovered is, before the volume can be used." },
	{ .name = "index", .kind = NDM_ARG_TEXT, .help = "closed; error when a message has asked for one." },
	{ .name = "compression", .kind = NDM_ARG_TEXT, .help = "offline: nothing is compressed." },
	{ .name = "used", .kind = NDM_ARG_U64, .help = "Blocks of 4096 bytes in use, with all metadata." },
	{ .name = "total", .kind = NDM_ARG_U64, .help = "Blocks of the volume on the device." },
	{ 0 }
};

const struct ndm_target_type ndm_target_vdo = {
	.name = "vdo",
	.version = { 9, 1, 0 },
	.features = NDM_TARGET_SINGLETON,
	.private_size = sizeof(struct vdo),
	.args = vdo_args,
	.status_fields = vdo_status_fields,
	.summary = "A volume of Linux' dm-vdo, with its deduplicated and compressed blocks.",
	.ctr = vdo_ctr,
	.dtr = vdo_dtr,
	.io = vdo_io,
	.status = vdo_status,
	.message = vdo_message,
	.preresume = vdo_preresume,
	.postsuspend = vdo_postsuspend,
	.io_hints = vdo_io_hints,
};
