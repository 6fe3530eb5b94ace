/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ebs: emulated block size - small blocks on a device that only takes larger ones.
 *
 *	ebs <device> <offset> <emulated_sectors> [<underlying_sectors>]
 *
 * Both sizes are sectors and powers of 2; the emulated one is at most 4096 bytes.  The
 * underlying one is the device's logical block size when it is left out.  Clients see the
 * emulated size as logical, the underlying one as physical block size.
 *
 * Whole underlying blocks go straight to the device.  Of a block that a request covers in
 * part, the whole is read and, for a write, changed and written back before the request ends.
 * So a power cut leaves each block old or new as far as the device keeps whole blocks, and
 * sectors that were not written never change.  A device that may leave garbage in a block that
 * was being written loses the neighbours with it: nothing here protects from that.
 *
 * All writes take a lock on the blocks they touch, so that a block read for one write cannot
 * put back what another has just replaced.  Nothing is cached.
 *
 * A discard is rounded inwards to whole blocks.  Block status of a part of a block is not
 * known: it counts as data.
 */
#include <errno.h>
#include <inttypes.h>

#include <ndm-target.h>

#define EMULATED_SECTORS_MAX 8u
#define UNDERLYING_SECTORS_MAX 65535u		/* the kernel's number is 16 bits wide */

struct ebs {
	struct ndm_dev *dev;
	uint64_t start;
	unsigned emulated, underlying;		/* sectors */
	bool underlying_given;
	struct ndm_ranges writes;		/* of underlying blocks */
};

static int ebs_block_size(struct ndm_target *ti, const char *word, unsigned max,
			  const char *message, unsigned *sectors)
{
	uint64_t v;

	if (ndm_arg_u64(word, &v) || !v || v > max || (v & (v - 1)))
		return ndm_error(ti, -EINVAL, "%s: '%s' is not a power of 2 up to %u", message,
				 word, max);
	*sectors = v;
	return 0;
}

static int ebs_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct ebs *e = ti->private_data;
	int err;

	if (argc < 3 || argc > 4)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u instead of 3 or 4 (<device> "
				 "<offset> <emulated_sectors> [<underlying_sectors>])", argc);
	if (ndm_arg_u64(argv[1], &e->start))
		return ndm_error(ti, -EINVAL, "Invalid device offset sector: argument 2 is '%s'",
				 argv[1]);
	err = ebs_block_size(ti, argv[2], EMULATED_SECTORS_MAX, "Invalid emulated block size",
			     &e->emulated);
	if (err)
		return err;
	e->underlying_given = argc > 3;
	if (e->underlying_given) {
		err = ebs_block_size(ti, argv[3], UNDERLYING_SECTORS_MAX,
				     "Invalid underlying block size", &e->underlying);
		if (err)
			return err;
	}
	err = ndm_get_dev(ti, argv[0], e->start, ti->nr, &e->dev);
	if (err)
		return ndm_error(ti, err, "Device lookup failed");
	if (!e->underlying_given)
		e->underlying = e->dev->store->limits.logical_block_bytes / NDM_SECTOR_BYTES;
	if (!e->underlying || (e->underlying & (e->underlying - 1)))
		return ndm_error(ti, -EINVAL, "Invalid retrieved underlying block size");
	if (e->start % e->underlying)
		return ndm_error(ti, -EINVAL, "Device offset must be multiple of underlying block "
				 "size: %" PRIu64 " is not one of %u sectors", e->start,
				 e->underlying);

	ndm_ranges_init(&e->writes, ti->loop);
	ti->num_flush = ti->num_discard = 1;
	ti->extents = true;
	return 0;
}

/* ---- what needs no waiting ---- */

/* As much of the question as begins and ends with a block; what is left is asked again. */
static enum ndm_map ebs_map_extents(const struct ebs *e, struct ndm_bio *bio, uint64_t sector)
{
	uint64_t into = sector % e->underlying, part = e->underlying - into;

	if (into || bio->nr < e->underlying) {
		ndm_extent_add(bio, bio->sector, part < bio->nr ? part : bio->nr, 0);
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	bio->nr -= bio->nr % e->underlying;
	return ndm_remap(bio, e->dev, sector);
}

static enum ndm_map ebs_map_discard(const struct ebs *e, struct ndm_bio *bio, uint64_t sector)
{
	uint64_t end = sector + bio->nr, u = e->underlying;

	sector += (u - sector % u) % u;
	end -= end % u;
	if (sector >= end) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	bio->nr = end - sector;
	return ndm_remap(bio, e->dev, sector);
}

static enum ndm_map ebs_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct ebs *e = ti->private_data;
	uint64_t sector = e->start + ndm_offset(ti, bio->sector);
	bool whole = !(sector % e->underlying) && !(bio->nr % e->underlying);

	switch (bio->op) {
	case NDM_FLUSH:
		return ndm_remap(bio, e->dev, 0);
	case NDM_DISCARD:
		return ebs_map_discard(e, bio, sector);
	case NDM_EXTENTS:
		return ebs_map_extents(e, bio, sector);
	case NDM_CACHE:
		if (whole)
			return ndm_remap(bio, e->dev, sector);
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	case NDM_READ:
		return whole ? ndm_remap(bio, e->dev, sector) : NDM_MAP_WAIT;
	default:
		return NDM_MAP_WAIT;
	}
}

/* ---- parts of blocks ---- */

/* Sectors [sector, sector + nr) of the device, all in one block; data is the window on them. */
static int ebs_part(struct ndm_target *ti, const struct ndm_bio *bio, uint64_t sector, uint64_t nr,
		    const struct ndm_data *data)
{
	struct ebs *e = ti->private_data;
	struct ndm_store *store = e->dev->store;
	uint64_t block = sector - sector % e->underlying, len = e->underlying;
	size_t bytes = nr * NDM_SECTOR_BYTES, buffer_bytes = len * NDM_SECTOR_BYTES;
	unsigned char *buffer = ndm_buffer_get(ti->loop, buffer_bytes), *at;
	int err;

	if (!buffer)
		return -ENOMEM;
	if (len > store->nr - block)
		len = store->nr - block;	/* the device ends within a block */
	at = buffer + (sector - block) * NDM_SECTOR_BYTES;
	err = ndm_rw(store, NDM_READ, 0, block, len, buffer);
	if (!err && bio->op == NDM_READ)
		ndm_data_to(data, bytes, at);
	if (!err && bio->op == NDM_WRITE) {
		ndm_data_from(data, bytes, at);
		err = ndm_rw(store, NDM_WRITE, bio->flags, block, len, buffer);
	}
	ndm_buffer_put(ti->loop, buffer, buffer_bytes);
	return err;
}

/* Parts and whole blocks, in turn; the first error ends it. */
static int ebs_rw(struct ndm_target *ti, struct ndm_bio *bio, uint64_t sector)
{
	struct ebs *e = ti->private_data;
	uint64_t end = sector + bio->nr, u = e->underlying;
	struct ndm_data data = bio->data;
	int err = 0;

	while (!err && sector < end) {
		uint64_t nr = u - sector % u;

		if (sector % u || end - sector < u) {
			nr = nr < end - sector ? nr : end - sector;
			err = ebs_part(ti, bio, sector, nr, &data);
		} else {
			nr = (end - sector) / u * u;
			err = ndm_rw_data(e->dev->store, bio->op, bio->flags, sector, nr, &data);
		}
		data = ndm_data_skip(data, nr * NDM_SECTOR_BYTES);
		sector += nr;
	}
	return err;
}

static int ebs_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct ebs *e = ti->private_data;
	uint64_t sector = e->start + ndm_offset(ti, bio->sector);
	struct ndm_range lock;
	int err;

	if (bio->op == NDM_READ)
		return ebs_rw(ti, bio, sector);
	ndm_range_lock(&e->writes, &lock, sector / e->underlying,
		       (sector + bio->nr - 1) / e->underlying);
	err = ebs_rw(ti, bio, sector);
	ndm_range_unlock(&e->writes, &lock);
	return err;
}

/* ---- status ---- */

static void ebs_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
		       struct ndm_str *out)
{
	struct ebs *e = ti->private_data;

	(void)flags;
	if (what != NDM_STATUS_TABLE)
		return;
	ndm_printf(out, "%s %" PRIu64 " %u", e->dev->name, e->start, e->emulated);
	if (e->underlying_given)
		ndm_printf(out, " %u", e->underlying);
}

static void ebs_io_hints(struct ndm_target *ti, struct ndm_limits *limits)
{
	struct ebs *e = ti->private_data;

	limits->logical_block_bytes = e->emulated * NDM_SECTOR_BYTES;
	limits->physical_block_bytes = e->underlying * NDM_SECTOR_BYTES;
	limits->io_min_bytes = limits->logical_block_bytes;
}

static const struct ndm_arg ebs_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device with the larger blocks." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on the device the target's first sector lies; a multiple of the "
		  "underlying block size." },
	{ .name = "emulated_sectors", .kind = NDM_ARG_SECTORS,
	  .help = "The block size that clients see: 1, 2, 4 or 8 sectors." },
	{ .name = "underlying_sectors", .kind = NDM_ARG_SECTORS, .flags = NDM_ARG_OPTIONAL,
	  .help = "The block size of the device, if not the one that it tells." },
	{ 0 }
};

const struct ndm_target_type ndm_target_ebs = {
	.name = "ebs",
	.version = { 1, 0, 1 },
	.private_size = sizeof(struct ebs),
	.args = ebs_args,
	.summary = "Small logical blocks on a device with larger ones.",
	.ctr = ebs_ctr,
	.map = ebs_map,
	.io = ebs_io,
	.status = ebs_status,
	.io_hints = ebs_io_hints,
};
