/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * error: every request fails with an I/O error.
 *
 *	error [<device> <offset>]
 *
 * Fills the holes of a table, and replaces a table that is to be wiped: it is the only type
 * that may take the place of any other.  With exactly two arguments they are those of linear;
 * the device then gives its limits and its size is checked, but no request ever reaches it,
 * and the table line does not show it.  Any other arguments mean nothing.
 *
 * Discard is offered so that it fails like the rest instead of being unsupported.  A flush has
 * nothing to make durable and succeeds.
 */
#include <errno.h>

#include <ndm-target.h>

struct error_count { uint64_t killed; };

static int error_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct ndm_dev *dev;
	uint64_t start;
	int err;

	if (argc == 2) {
		if (ndm_arg_u64(argv[1], &start))
			return ndm_error(ti, -EINVAL, "Invalid device sector: argument 2 is '%s'",
					 argv[1]);
		err = ndm_get_dev(ti, argv[0], start, ti->nr, &dev);
		if (err)
			return ndm_error(ti, err, "Device lookup failed");
	}

	ti->num_discard = 1;
	ti->discards_supported = true;
	ti->extents = true;
	return 0;
}

static enum ndm_map error_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct error_count *e = ti->private_data;

	(void)bio;
	e->killed++;
	return NDM_MAP_KILL;
}

static void error_counters(struct ndm_target *ti, struct ndm_counters *out)
{
	struct error_count *e = ti->private_data;

	ndm_counter_put(out, NDM_COUNT_FAULTS, "error", 0, e->killed);
}

static void error_io_hints(struct ndm_target *ti, struct ndm_limits *limits)
{
	(void)ti;
	limits->max_discard_sectors = UINT32_MAX;
	limits->discard_granularity_bytes = NDM_SECTOR_BYTES;
}

static const struct ndm_arg error_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .flags = NDM_ARG_OPTIONAL,
	  .help = "A device whose limits the target takes; it is never read or written." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on that device the target would begin." },
	{ 0 }
};

static const struct ndm_keep error_keeps[] = {
	NDM_KEEP(struct error_count, killed),
	{ 0 }
};

const struct ndm_target_type ndm_target_error = {
	.name = "error",
	.version = { 1, 7, 0 },
	.features = NDM_TARGET_WILDCARD,
	.private_size = sizeof(struct error_count),
	.args = error_args,
	.summary = "Fails every request with an I/O error.",
	.ctr = error_ctr,
	.map = error_map,
	.io_hints = error_io_hints,
	.counters = error_counters,
	.keeps = error_keeps,
};
