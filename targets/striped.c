/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * striped: chunks dealt out to devices in turn (RAID 0).
 *
 *	striped <#stripes> <chunk> [<device> <offset>]{#stripes}
 *
 * Chunk c of the target (c = sector / chunk) is chunk c / #stripes of stripe c % #stripes.
 * Neither number needs to be a power of 2.  Reads and writes are split at chunks.  A discard
 * or a write of zeroes is not: each stripe gets one request for its part of the whole range,
 * which is contiguous there.
 *
 * The status line shows D for a stripe that had an I/O error since the table was loaded, else
 * A.  That stops nothing; errors go up as they are.  Each of the first errors of a device
 * raises an event.
 *
 * The core hands out at most 255 copies of a request; copy k serves the stripes k, k + copies,
 * k + 2 * copies and so on, one after the other, in a task: only tables of more than 255
 * stripes come to that.
 */
#include <errno.h>
#include <inttypes.h>

#include <ndm-target.h>

#include "lib/kit/memo.h"

#define EVENT_THRESHOLD 15		/* errors; from the 15th on no more events */

struct stripe {
	struct ndm_dev *dev;
	uint64_t start;
	unsigned errors;
};

struct striped {
	unsigned n, chunk;		/* chunk in sectors */
	unsigned copies;
	struct stripe *stripe;
};

static int striped_destination(struct ndm_target *ti, unsigned i, char **argv)
{
	struct striped *s = ti->private_data;
	struct stripe *stripe = &s->stripe[i];
	int err;

	if (ndm_arg_u64(argv[1], &stripe->start))
		return ndm_error(ti, -EINVAL, "Couldn't parse stripe destination: "
				 "the offset of stripe %u is '%s'", i, argv[1]);
	err = ndm_get_dev(ti, argv[0], stripe->start, ti->nr / s->n, &stripe->dev);
	if (err)
		return ndm_error(ti, err, "Couldn't parse stripe destination");
	return 0;
}

static int striped_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct striped *s = ti->private_data;
	unsigned i;
	int err;

	if (argc < 2)
		return ndm_error(ti, -EINVAL, "Not enough arguments: %u, "
				 "<#stripes> <chunk> and the devices are needed", argc);
	if (ndm_arg_uint(argv[0], &s->n) || !s->n)
		return ndm_error(ti, -EINVAL, "Invalid stripe count: argument 1 is '%s'", argv[0]);
	if (ndm_arg_uint(argv[1], &s->chunk) || !s->chunk)
		return ndm_error(ti, -EINVAL, "Invalid chunk_size: argument 2 is '%s'", argv[1]);
	if (ti->nr % s->n)
		return ndm_error(ti, -EINVAL, "Target length not divisible by number of stripes "
				 "(%" PRIu64 " by %u)", ti->nr, s->n);
	if (ti->nr / s->n % s->chunk)
		return ndm_error(ti, -EINVAL, "Target length not divisible by chunk size "
				 "(%" PRIu64 " sectors a stripe by %u)", ti->nr / s->n, s->chunk);
	if (argc != 2 + 2 * (uint64_t)s->n)
		return ndm_error(ti, -EINVAL, "Not enough destinations specified: %u words for %u "
				 "pairs of <device> <offset>", argc - 2, s->n);

	s->stripe = ndm_calloc(s->n, sizeof *s->stripe);
	if (!s->stripe)
		return ndm_error(ti, -ENOMEM, "Memory allocation for striped context failed");
	for (i = 0; i < s->n; i++) {
		err = striped_destination(ti, i, argv + 2 + 2 * i);
		if (err) {
			ndm_free(s->stripe);
			return err;
		}
	}

	s->copies = s->n < UINT8_MAX ? s->n : UINT8_MAX;
	ti->num_flush = ti->num_discard = ti->num_zeroes = s->copies;
	ti->max_io = s->chunk;
	ti->extents = true;
	return 0;
}

static void striped_dtr(struct ndm_target *ti)
{
	struct striped *s = ti->private_data;

	ndm_free(s->stripe);
}

/* Which stripe has this sector of the target, and where (without the stripe's own offset). */
static unsigned striped_locate(const struct striped *s, uint64_t sector, uint64_t *where)
{
	uint64_t chunk = sector / s->chunk;

	*where = chunk / s->n * s->chunk + sector % s->chunk;
	return chunk % s->n;
}

/* The first sector of stripe i that belongs to the target's sectors from `sector` on. */
static uint64_t striped_first(const struct striped *s, unsigned i, uint64_t sector)
{
	uint64_t where;
	unsigned at = striped_locate(s, sector, &where);

	if (at == i)
		return where;
	where -= where % s->chunk;
	return i < at ? where + s->chunk : where;
}

/* Stripe i's part of a range; false when there is none. */
static bool striped_part(struct ndm_target *ti, unsigned i, const struct ndm_bio *bio,
			 uint64_t *sector, uint64_t *nr)
{
	struct striped *s = ti->private_data;
	uint64_t first = ndm_offset(ti, bio->sector);
	uint64_t begin = striped_first(s, i, first);
	uint64_t end = striped_first(s, i, first + bio->nr);

	*sector = s->stripe[i].start + begin;
	*nr = end - begin;
	return begin < end;
}

static enum ndm_map striped_map_copy(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct striped *s = ti->private_data;
	struct ndm_dev *dev = s->stripe[bio->copy].dev;
	uint64_t sector, nr;

	if (s->copies < s->n)
		return NDM_MAP_WAIT;
	if (bio->op == NDM_FLUSH)
		return ndm_remap(bio, dev, 0);
	if (!striped_part(ti, bio->copy, bio, &sector, &nr)) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	bio->nr = nr;
	return ndm_remap(bio, dev, sector);
}

static enum ndm_map striped_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct striped *s = ti->private_data;
	struct stripe *stripe;
	uint64_t where;

	if (bio->op == NDM_FLUSH || bio->op == NDM_DISCARD || bio->op == NDM_ZEROES)
		return striped_map_copy(ti, bio);
	stripe = &s->stripe[striped_locate(s, ndm_offset(ti, bio->sector), &where)];
	return ndm_remap(bio, stripe->dev, stripe->start + where);
}

static bool same_device(const struct ndm_store *a, const struct ndm_store *b)
{
	if (a == b)
		return true;
	return (a->identity[0] || a->identity[1]) && a->identity[0] == b->identity[0] &&
	       a->identity[1] == b->identity[1];
}

static void striped_note_error(struct ndm_target *ti, const struct ndm_store *store, int error)
{
	struct striped *s = ti->private_data;
	unsigned i;

	if (!error || error == -EOPNOTSUPP)
		return;
	for (i = 0; i < s->n; i++) {
		if (!same_device(s->stripe[i].dev->store, store))
			continue;
		if (s->stripe[i].errors < EVENT_THRESHOLD)
			s->stripe[i].errors++;
		if (s->stripe[i].errors < EVENT_THRESHOLD)
			ndm_event(ti);
	}
}

/*
 * More stripes than copies: this copy's share of them, in turn.  Errors are noted here; the bio
 * itself was sent to none of the stripes, so end_io will not note them again.
 */
static int striped_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct striped *s = ti->private_data;
	uint64_t sector = 0, nr = 0;
	int err, first = 0;
	unsigned i;

	for (i = bio->copy; i < s->n; i += s->copies) {
		struct ndm_store *store = s->stripe[i].dev->store;

		if (bio->op != NDM_FLUSH && !striped_part(ti, i, bio, &sector, &nr))
			continue;
		err = ndm_rw(store, bio->op, bio->flags, sector, nr, NULL);
		striped_note_error(ti, store, err);
		first = first ? first : err;
	}
	return first;
}

static enum ndm_endio striped_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	if (bio->error && bio->store)
		striped_note_error(ti, bio->store, bio->error);
	return NDM_ENDIO_DONE;
}

static void striped_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			   struct ndm_str *out)
{
	struct striped *s = ti->private_data;
	unsigned i;

	(void)flags;
	if (what == NDM_STATUS_TABLE) {
		ndm_printf(out, "%u %u", s->n, s->chunk);
		for (i = 0; i < s->n; i++)
			ndm_printf(out, " %s %" PRIu64, s->stripe[i].dev->name, s->stripe[i].start);
		return;
	}
	ndm_printf(out, "%u", s->n);
	for (i = 0; i < s->n; i++)
		ndm_printf(out, " %s", s->stripe[i].dev->name);
	ndm_printf(out, " 1 ");
	for (i = 0; i < s->n; i++)
		ndm_printf(out, "%c", s->stripe[i].errors ? 'D' : 'A');
}

static int striped_recall(struct ndm_target *ti, struct ndm_str *out)
{
	const struct striped *s = ti->private_data;
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (s->stripe[i].errors)
			ndm_printf(out, "errors %u %u\n", i, s->stripe[i].errors);
	return 0;
}

static int striped_remember(struct ndm_target *ti, const char *text, size_t bytes)
{
	struct striped *s = ti->private_data;
	struct memo memo = { text, text + bytes };
	struct memo_line l;
	int err;

	while ((err = memo_next(&memo, &l)) > 0) {
		if (!memo_is(&l, "errors", 2) || l.number[0] >= s->n)
			return -EBADMSG;
		s->stripe[l.number[0]].errors = (unsigned)l.number[1];
	}
	return err;
}

static void striped_io_hints(struct ndm_target *ti, struct ndm_limits *limits)
{
	struct striped *s = ti->private_data;
	uint64_t min = (uint64_t)s->chunk * NDM_SECTOR_BYTES;

	if (min <= UINT32_MAX / s->n) {
		limits->io_min_bytes = min;
		limits->io_opt_bytes = min * s->n;
	}
}

static const struct ndm_arg stripe_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device of this stripe." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on the device the stripe begins." },
	{ 0 }
};

static const struct ndm_arg striped_args[] = {
	{ .name = "stripes", .kind = NDM_ARG_COUNT, .of = "devices",
	  .help = "How many stripes there are." },
	{ .name = "chunk", .kind = NDM_ARG_SECTORS,
	  .help = "How much goes to one stripe before the next has its turn; "
		  "any number of sectors." },
	{ .name = "devices", .kind = NDM_ARG_LIST, .sub = stripe_args, .help = "The stripes." },
	{ 0 }
};

static const struct ndm_arg stripe_status[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device of this stripe." },
	{ 0 }
};

static const struct ndm_arg striped_status_fields[] = {
	{ .name = "stripes", .kind = NDM_ARG_COUNT, .of = "devices",
	  .help = "How many stripes there are." },
	{ .name = "devices", .kind = NDM_ARG_LIST, .sub = stripe_status, .help = "The stripes." },
	{ .name = "words", .kind = NDM_ARG_CONST, .dflt = "1",
	  .help = "How many words of health follow." },
	{ .name = "health", .kind = NDM_ARG_TEXT,
	  .help = "One letter a stripe: A (alive) or D (had an I/O error)." },
	{ 0 }
};

const struct ndm_target_type ndm_target_striped = {
	.name = "striped",
	.version = { 1, 6, 0 },
	.features = NDM_TARGET_FLUSH_BYPASS | NDM_TARGET_LENDS,
	.private_size = sizeof(struct striped),
	.args = striped_args,
	.status_fields = striped_status_fields,
	.summary = "Chunks dealt out to several devices in turn (RAID 0).",
	.ctr = striped_ctr,
	.dtr = striped_dtr,
	.map = striped_map,
	.io = striped_io,
	.end_io = striped_end_io,
	.status = striped_status,
	.io_hints = striped_io_hints,
	.recall = striped_recall,
	.remember = striped_remember,
};
