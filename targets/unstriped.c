/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unstriped: one stripe of a device that is striped elsewhere, as a device of its own.
 *
 *	unstriped <#stripes> <chunk> <stripe> <device> <offset>
 *
 * The opposite of striped: chunk c of the target is chunk c * #stripes + stripe of the device,
 * counted from offset.  Stripes are numbered from 0; the kernel lets the number #stripes pass,
 * and so do we.  Only (offset, length) is checked against the device's size when the table is
 * loaded, as in the kernel; what lies behind the device's end then fails with -EIO.
 *
 * The kernel's target ignores flushes.  This one hands them down: completed and flushed must
 * mean durable.
 */
#include <errno.h>
#include <inttypes.h>

#include <ndm-target.h>

struct unstriped {
	struct ndm_dev *dev;
	uint64_t start;
	unsigned stripes, chunk, stripe;	/* chunk in sectors */
};

static int unstriped_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct unstriped *u = ti->private_data;

	if (argc != 5)
		return ndm_error(ti, -EINVAL, "Invalid number of arguments: %u instead of 5 "
				 "(<#stripes> <chunk> <stripe> <device> <offset>)", argc);
	if (ndm_arg_uint(argv[0], &u->stripes) || !u->stripes)
		return ndm_error(ti, -EINVAL, "Invalid stripe count: argument 1 is '%s'", argv[0]);
	if (ndm_arg_uint(argv[1], &u->chunk) || !u->chunk)
		return ndm_error(ti, -EINVAL, "Invalid chunk_size: argument 2 is '%s'", argv[1]);
	if (ndm_arg_uint(argv[2], &u->stripe))
		return ndm_error(ti, -EINVAL, "Invalid stripe number: argument 3 is '%s'", argv[2]);
	if (u->stripe > u->stripes && u->stripes > 1)
		return ndm_error(ti, -EINVAL, "Please provide stripe between [0, # of stripes]: "
				 "%u is not", u->stripe);
	/* the kernel answers EINVAL whatever the reason */
	if (ndm_get_dev(ti, argv[3], 0, ti->nr, &u->dev))
		return ndm_error(ti, -EINVAL, "Couldn't get striped device");
	if (ndm_arg_u64(argv[4], &u->start))
		return ndm_error(ti, -EINVAL, "Invalid striped device offset: argument 5 is '%s'",
				 argv[4]);
	ndm_dev_section(u->dev, u->start, ti->nr);
	if (ti->nr % u->chunk)
		return ndm_error(ti, -EINVAL, "Target length not divisible by chunk size "
				 "(%" PRIu64 " by %u)", ti->nr, u->chunk);

	ti->num_flush = 1;
	ti->max_io = u->chunk;
	ti->extents = true;
	return 0;
}

/* Where a sector of the target lies on the device; false where no device reaches that far. */
static bool unstriped_locate(const struct unstriped *u, uint64_t sector, uint64_t *where)
{
	uint64_t row = sector / u->chunk, others = (u->stripes - 1ull) * u->chunk;

	return !__builtin_mul_overflow(row, others, where) &&
	       !__builtin_add_overflow(*where, (uint64_t)u->stripe * u->chunk, where) &&
	       !__builtin_add_overflow(*where, sector, where) &&
	       !__builtin_add_overflow(*where, u->start, where);
}

static enum ndm_map unstriped_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct unstriped *u = ti->private_data;
	uint64_t where, size = u->dev->store->nr;

	if (bio->op == NDM_FLUSH)
		return ndm_remap(bio, u->dev, 0);
	if (!unstriped_locate(u, ndm_offset(ti, bio->sector), &where))
		return NDM_MAP_KILL;
	if (where > size || bio->nr > size - where)
		return NDM_MAP_KILL;
	return ndm_remap(bio, u->dev, where);
}

static void unstriped_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			     struct ndm_str *out)
{
	struct unstriped *u = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_TABLE)
		ndm_printf(out, "%u %u %u %s %" PRIu64, u->stripes, u->chunk, u->stripe,
			   u->dev->name, u->start);
}

static const struct ndm_arg unstriped_args[] = {
	{ .name = "stripes", .kind = NDM_ARG_U64,
	  .help = "How many stripes the device is divided into." },
	{ .name = "chunk", .kind = NDM_ARG_SECTORS, .help = "The chunk size of that striping." },
	{ .name = "stripe", .kind = NDM_ARG_U64, .help = "Which stripe to show, from 0." },
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The striped device." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on it the striping begins." },
	{ 0 }
};

const struct ndm_target_type ndm_target_unstriped = {
	.name = "unstriped",
	.version = { 1, 1, 0 },
	.features = NDM_TARGET_LENDS,
	.private_size = sizeof(struct unstriped),
	.args = unstriped_args,
	.summary = "One stripe of a device that is striped elsewhere.",
	.ctr = unstriped_ctr,
	.map = unstriped_map,
	.status = unstriped_status,
};
