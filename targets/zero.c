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

#define LENT_BYTES (1u << 20)

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

/* Never written: all its pages are the kernel's one page of zeroes. */
static unsigned char zeroes[LENT_BYTES] __attribute__((aligned(4096)));

static bool zero_lend(const struct ndm_target *ti, const struct ndm_bio *bio)
{
	if (!bio->loan || bio->nr > LENT_BYTES / NDM_SECTOR_BYTES || !ndm_may_lend(ti->loop))
		return false;
	*bio->loan = (struct ndm_loan){ .at = zeroes, .fd = -1 };
	return true;
}

static enum ndm_map zero_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	if (bio->op == NDM_READ && !zero_lend(ti, bio))
		ndm_data_zero(&bio->data, bio->nr * NDM_SECTOR_BYTES);
	else if (bio->op == NDM_EXTENTS)
		ndm_extent_add(bio, bio->sector, bio->nr, NDM_EXTENT_HOLE | NDM_EXTENT_ZERO);
	ndm_end(bio, bio->source ? -EOPNOTSUPP : 0);	/* nobody would take it from the socket */
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
	.features = NDM_TARGET_LENDS,
	.args = zero_args,
	.summary = "Reads as zeroes; what is written vanishes.",
	.ctr = zero_ctr,
	.map = zero_map,
	.io_hints = zero_io_hints,
};
