/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linear: a range of sectors laid onto a range of one device.
 *
 *	linear <device> <offset>
 *
 * Sector s of the target is sector offset + s of the device.  Whatever the device can do
 * (flush, discard, write zeroes, block status), the target can.  Nothing is kept, nothing waits.
 */
#include <errno.h>
#include <inttypes.h>

#include <ndm-target.h>

struct linear {
	struct ndm_dev *dev;
	uint64_t start;
};

static int linear_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct linear *l = ti->private_data;
	int err;

	if (argc != 2)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u instead of 2 "
				 "(<device> <offset>)", argc);
	if (ndm_arg_u64(argv[1], &l->start))
		return ndm_error(ti, -EINVAL, "Invalid device sector: argument 2 is '%s'", argv[1]);
	err = ndm_get_dev(ti, argv[0], l->start, ti->nr, &l->dev);
	if (err)
		return ndm_error(ti, err, "Device lookup failed");

	ti->num_flush = ti->num_discard = ti->num_zeroes = 1;
	ti->extents = true;
	return 0;
}

static enum ndm_map linear_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct linear *l = ti->private_data;

	if (bio->op == NDM_FLUSH)
		return ndm_remap(bio, l->dev, 0);
	return ndm_remap(bio, l->dev, l->start + ndm_offset(ti, bio->sector));
}

static void linear_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			  struct ndm_str *out)
{
	struct linear *l = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_TABLE)
		ndm_printf(out, "%s %" PRIu64, l->dev->name, l->start);
}

static const struct ndm_arg linear_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that holds the data." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on the device the target's first sector lies." },
	{ 0 }
};

const struct ndm_target_type ndm_target_linear = {
	.name = "linear",
	.version = { 1, 4, 0 },
	.features = NDM_TARGET_FLUSH_BYPASS | NDM_TARGET_LENDS,
	.private_size = sizeof(struct linear),
	.args = linear_args,
	.summary = "A range of sectors laid onto a range of one device.",
	.ctr = linear_ctr,
	.map = linear_map,
	.status = linear_status,
};
