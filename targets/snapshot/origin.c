/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot-origin: a device that has snapshots.
 *
 *	snapshot-origin <origin>
 *
 * Reads go straight through.  A write waits until every active snapshot of the origin has a
 * copy of the chunks that it touches.  That a snapshot is lost meanwhile does not hold it up.
 */
#include "snapshot.h"

struct origin_target {
	struct ndm_dev *dev;
	struct origin *origin;
};

static int origin_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct origin_target *o = ti->private_data;
	int err;

	if (argc != 1)
		return ndm_error(ti, -EINVAL, "origin: incorrect number of arguments");
	err = ndm_get_dev(ti, argv[0], 0, ti->nr, &o->dev);
	if (err)
		return ndm_error(ti, err, "Cannot get target device");
	o->origin = origin_get(ti->loop, o->dev);
	if (!o->origin)
		return ndm_error(ti, -ENOMEM, "Snapshot origin struct allocation failed");
	ti->num_flush = 1;
	ti->extents = true;
	return 0;
}

static void origin_dtr(struct ndm_target *ti)
{
	struct origin_target *o = ti->private_data;

	origin_put(o->origin);
}

static enum ndm_map origin_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct origin_target *o = ti->private_data;
	uint64_t sector = bio->op == NDM_FLUSH ? 0 : ndm_offset(ti, bio->sector);

	if (bio->op == NDM_WRITE && origin_snaps(o->origin) &&
	    !origin_ready(o->origin, sector, bio->nr, NULL))
		return NDM_MAP_WAIT;
	return ndm_remap(bio, o->dev, sector);
}

static int origin_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct origin_target *o = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);

	while (!origin_ready(o->origin, sector, bio->nr, NULL))
		origin_copy_out(o->origin, sector, bio->nr, NULL);
	return ndm_forward(bio, o->dev, sector);
}

static void origin_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			  struct ndm_str *out)
{
	struct origin_target *o = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_TABLE)
		ndm_printf(out, "%s", o->dev->name);
}

static const struct ndm_arg origin_args[] = {
	{ .name = "origin", .kind = NDM_ARG_DEVICE, .help = "The device that has snapshots." },
	{ 0 }
};

const struct ndm_target_type ndm_target_snapshot_origin = {
	.name = "snapshot-origin",
	.version = { 1, 9, 0 },
	.features = NDM_TARGET_LENDS_READS,	/* exceptions are made in tasks */
	.private_size = sizeof(struct origin_target),
	.args = origin_args,
	.summary = "A device that has snapshots: what is overwritten is copied out first.",
	.ctr = origin_ctr,
	.dtr = origin_dtr,
	.map = origin_map,
	.io = origin_io,
	.status = origin_status,
};
