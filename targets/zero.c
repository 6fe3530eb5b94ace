/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zero: reads as zeroes, swallows what is written.
 *
 *	zero
 *
 * It stands on no device.  Writing zeroes, which the kernel's does by writing pages, succeeds
 * at once here: the outcome is the same.  Block status says hole.
 */
#include <errno.h>

#include <ndm-target.h>

static int zero_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	if (argc)
		return ndm_error(ti, -EINVAL, "No arguments required, but argument 1 is '%s'",
				 argv[0]);

	ti->num_discard = ti->num_zeroes = 1;
	ti->discards_supported = ti->zeroes_supported = true;
	ti->extents = true;
	return 0;
}

static enum ndm_map zero_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	(void)ti;
	if (bio->op == NDM_READ)
		ndm_data_zero(&bio->data, bio->nr * NDM_SECTOR_BYTES);
	else if (bio->op == NDM_EXTENTS)
		ndm_extent_add(bio, bio->sector, bio->nr, NDM_EXTENT_HOLE | NDM_EXTENT_ZERO);
	ndm_end(bio, 0);
	return NDM_MAP_SUBMITTED;
}

static void zero_io_hints(struct ndm_target *ti, struct ndm_limits *limits)
{
	(void)ti;
	limits->max_discard_sectors = UINT32_MAX;
	limits->discard_granularity_bytes = NDM_SECTOR_BYTES;
	limits->max_zeroes_sectors = UINT32_MAX;
	limits->fast_zeroes = true;
}

static const struct ndm_arg zero_args[] = { { 0 } };

const struct ndm_target_type ndm_target_zero = {
	.name = "zero",
	.version = { 1, 2, 0 },
	.args = zero_args,
	.summary = "Reads as zeroes; what is written vanishes.",
	.ctr = zero_ctr,
	.map = zero_map,
	.io_hints = zero_io_hints,
};
