/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flakey: a device that is reliable for a while, and then is not, in turns.
 *
 *	flakey <device> <offset> <up_interval> <down_interval> [<#features> <features>...]
 *
 * The intervals are whole seconds; the clock starts when the table is constructed.  While the
 * target is up it is linear.  While it is down,
 *
 *	error_reads		reads fail with -EIO
 *	drop_writes		writes, discards and flushes succeed and do nothing
 *	error_writes		they fail with -EIO; not together with drop_writes
 *	corrupt_bio_byte <nth> <r|w> <value> <flags>
 *				byte nth (from 1) of each read or write gets that value, where all
 *				of these flags are set in the request
 *	random_read_corrupt <p>, random_write_corrupt <p>
 *				one read or write in 1e9 / p gets a random byte somewhere
 *
 * No features means error_reads and error_writes.
 *
 * The flags are those of the kernel's bi_opf; of a request that came over the network we know
 * the operation, FUA and META, all other bits count as not set.  A write is corrupted in a copy:
 * what the caller gave stays as it was.  Questions about the medium are always answered.
 */
#include <errno.h>
#include <inttypes.h>
#include <strings.h>

#include <ndm-target.h>

#define NS_PER_SECOND 1000000000ull
#define PROBABILITY_BASE 1000000000u

enum { OPF_READ = 0, OPF_WRITE = 1, OPF_META = 1 << 12, OPF_FUA = 1 << 17 };

struct flakey {
	struct ndm_dev *dev;
	uint64_t start, constructed_ns;
	unsigned up_s, down_s;
	bool error_reads, drop_writes, error_writes;
	unsigned corrupt_byte;			/* from 1; 0 = do not */
	bool corrupt_writes;			/* corrupt_bio_byte is about writes, not reads */
	unsigned corrupt_value, corrupt_flags;
	unsigned random_reads, random_writes;	/* in 1e9 */
	uint64_t failed, dropped, corrupted;	/* requests, so far */
};

struct flakey_bio {				/* per bio */
	bool may_corrupt;			/* it carries data and came while down */
	struct iovec copy;			/* the corrupted copy of a write */
};

/* ---- arguments ---- */

/* One of the words that stand alone; they may appear once. */
static int feature_flag(struct ndm_target *ti, const char *name, bool *flag)
{
	if (*flag)
		return ndm_error(ti, -EINVAL, "Feature %s duplicated", name);
	*flag = true;
	return 0;
}

static int feature_conflict(struct ndm_target *ti, const char *name, const char *other)
{
	return ndm_error(ti, -EINVAL, "Feature %s conflicts with feature %s", name, other);
}

static int feature_corrupt_byte(struct ndm_target *ti, struct ndm_args *as)
{
	struct flakey *f = ti->private_data;
	const char *direction;
	int err;

	err = ndm_args_uint(ti, as, 1, UINT32_MAX, "Invalid corrupt bio byte", &f->corrupt_byte);
	if (err)
		return err;
	direction = ndm_args_shift(as);
	if (!direction || (strcasecmp(direction, "r") && strcasecmp(direction, "w")))
		return ndm_error(ti, -EINVAL, "Invalid corrupt bio direction (r or w): '%s'",
				 direction ? direction : "");
	f->corrupt_writes = !strcasecmp(direction, "w");
	err = ndm_args_uint(ti, as, 0, 255,
			    "Invalid corrupt value to write into bio byte (0-255)",
			    &f->corrupt_value);
	if (err)
		return err;
	return ndm_args_uint(ti, as, 0, UINT32_MAX, "Invalid corrupt bio flags mask",
			     &f->corrupt_flags);
}

static int feature_random(struct ndm_target *ti, struct ndm_args *as, const char *name,
			  unsigned left, unsigned *probability)
{
	if (!left)
		return ndm_error(ti, -EINVAL, "Feature %s requires a parameter", name);
	return ndm_args_uint(ti, as, 0, PROBABILITY_BASE, "Invalid random corrupt argument",
			     probability);
}

/* One feature with its values; `left` words were announced behind its name. */
static int feature_parse(struct ndm_target *ti, struct ndm_args *as, const char *word,
			 unsigned left)
{
	struct flakey *f = ti->private_data;
	int err;

	if (!strcasecmp(word, "error_reads"))
		return feature_flag(ti, "error_reads", &f->error_reads);
	if (!strcasecmp(word, "drop_writes")) {
		err = feature_flag(ti, "drop_writes", &f->drop_writes);
		if (!err && f->error_writes)
			err = feature_conflict(ti, "drop_writes", "error_writes");
		return err;
	}
	if (!strcasecmp(word, "error_writes")) {
		err = feature_flag(ti, "error_writes", &f->error_writes);
		if (!err && f->drop_writes)
			err = feature_conflict(ti, "error_writes", "drop_writes");
		return err;
	}
	if (!strcasecmp(word, "corrupt_bio_byte")) {
		if (!left)
			return ndm_error(ti, -EINVAL, "Feature corrupt_bio_byte requires parameters: "
					 "<nth_byte> <r|w> <value> <flags>");
		return feature_corrupt_byte(ti, as);
	}
	if (!strcasecmp(word, "random_read_corrupt"))
		return feature_random(ti, as, "random_read_corrupt", left, &f->random_reads);
	if (!strcasecmp(word, "random_write_corrupt"))
		return feature_random(ti, as, "random_write_corrupt", left, &f->random_writes);
	return ndm_error(ti, -EINVAL, "Unrecognised flakey feature requested: '%s'", word);
}

static int flakey_features(struct ndm_target *ti, struct ndm_args *as)
{
	struct flakey *f = ti->private_data;
	unsigned n = 0, end;
	int err = 0;

	if (as->argc)
		err = ndm_args_group(ti, as, 0, 11, "Invalid number of feature args", &n);
	if (err)
		return err;
	end = as->argc - n;			/* what is behind the announced words is ignored */
	while (as->argc > end) {
		const char *word = ndm_args_shift(as);

		err = feature_parse(ti, as, word, as->argc - end);
		if (err)
			return err;
		if (as->argc < end)
			return ndm_error(ti, -EINVAL, "Insufficient feature arguments: '%s' needs "
					 "more words than were announced", word);
	}
	if (f->drop_writes && f->corrupt_writes)
		return ndm_error(ti, -EINVAL, "drop_writes is incompatible with corrupt_bio_byte "
				 "with the WRITE flag set");
	if (f->error_writes && f->corrupt_writes)
		return ndm_error(ti, -EINVAL, "error_writes is incompatible with corrupt_bio_byte "
				 "with the WRITE flag set");
	if (!f->error_reads && !f->drop_writes && !f->error_writes && !f->corrupt_byte &&
	    !f->random_reads && !f->random_writes)
		f->error_reads = f->error_writes = true;
	return 0;
}

static int flakey_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct flakey *f = ti->private_data;
	struct ndm_args as = { .argc = argc, .argv = argv };
	int err;

	if (argc < 4)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u, at least 4 are needed "
				 "(<device> <offset> <up_interval> <down_interval>)", argc);
	f->constructed_ns = ndm_now(ti->loop);
	if (ndm_arg_u64(argv[1], &f->start))
		return ndm_error(ti, -EINVAL, "Invalid device sector: argument 2 is '%s'", argv[1]);
	ndm_args_consume(&as, 2);
	err = ndm_args_uint(ti, &as, 0, UINT32_MAX, "Invalid up interval", &f->up_s);
	if (err)
		return err;
	err = ndm_args_uint(ti, &as, 0, UINT32_MAX, "Invalid down interval", &f->down_s);
	if (err)
		return err;
	if (!(f->up_s + f->down_s))
		return ndm_error(ti, -EINVAL, "Total (up + down) interval is zero");
	if (f->up_s + f->down_s < f->up_s)
		return ndm_error(ti, -EINVAL, "Interval overflow: %u + %u seconds", f->up_s,
				 f->down_s);
	err = flakey_features(ti, &as);
	if (err)
		return err;
	err = ndm_get_dev(ti, argv[0], f->start, ti->nr, &f->dev);
	if (err)
		return ndm_error(ti, err, "Device lookup failed");

	ti->num_flush = ti->num_discard = 1;
	ti->extents = true;
	ti->per_bio_size = sizeof(struct flakey_bio);
	return 0;
}

/* ---- requests ---- */

static bool flakey_is_down(struct ndm_target *ti)
{
	struct flakey *f = ti->private_data;
	uint64_t elapsed_s = (ndm_now(ti->loop) - f->constructed_ns) / NS_PER_SECOND;

	return elapsed_s % (f->up_s + f->down_s) >= f->up_s;
}

static bool flags_match(const struct flakey *f, const struct ndm_bio *bio)
{
	unsigned opf = bio->op == NDM_WRITE ? OPF_WRITE : OPF_READ;

	if (bio->flags & NDM_META)
		opf |= OPF_META;
	if (bio->flags & NDM_FUA)
		opf |= OPF_FUA;
	return (opf & f->corrupt_flags) == f->corrupt_flags;
}

static bool dice(struct ndm_target *ti, unsigned probability)
{
	return probability && ndm_random(ti->loop) % PROBABILITY_BASE < probability;
}

static void corrupt_at(const struct ndm_data *data, size_t bytes, size_t at, uint8_t value)
{
	struct ndm_data d = *data;

	if (at >= bytes)
		return;
	d = ndm_data_skip(d, at);
	ndm_data_to(&d, 1, &value);
}

static void corrupt_anywhere(struct ndm_target *ti, const struct ndm_data *data, size_t bytes)
{
	uint64_t random = ndm_random(ti->loop);

	corrupt_at(data, bytes, (random >> 8) % bytes, random & 0xff);
}

static void corrupted_write_done(struct ndm_bio *clone)
{
	struct ndm_bio *bio = clone->owner;
	struct ndm_target *ti = bio->target;
	struct flakey_bio *pb = ndm_per_bio(bio);
	int err = clone->error;

	ndm_buffer_put(ti->loop, pb->copy.iov_base, pb->copy.iov_len);
	ndm_bio_put(ti->loop, clone);
	ndm_end(bio, err);
}

/* Corrupts a copy and sends that; false when there was nothing to corrupt, or no memory to. */
static bool write_corrupted(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct flakey *f = ti->private_data;
	struct flakey_bio *pb = ndm_per_bio(bio);
	size_t bytes = bio->nr * NDM_SECTOR_BYTES;
	bool fixed = f->corrupt_byte && f->corrupt_writes && flags_match(f, bio);
	bool random = dice(ti, f->random_writes);
	struct ndm_bio *clone;

	if (!fixed && !random)
		return false;
	pb->copy = (struct iovec){ ndm_buffer_get(ti->loop, bytes), bytes };
	if (!pb->copy.iov_base)
		return false;
	ndm_data_from(&bio->data, bytes, pb->copy.iov_base);

	clone = ndm_clone(ti->loop, bio, 0, bio->nr);
	clone->data = (struct ndm_data){ .iov = &pb->copy, .iovcnt = 1 };
	clone->done = corrupted_write_done;
	clone->owner = bio;
	ndm_remap(clone, f->dev, f->start + ndm_offset(ti, bio->sector));
	f->corrupted++;
	if (fixed)
		corrupt_at(&clone->data, bytes, f->corrupt_byte - 1, f->corrupt_value);
	if (random)
		corrupt_anywhere(ti, &clone->data, bytes);
	ndm_submit(clone);
	return true;
}

static enum ndm_map flakey_map_down(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct flakey *f = ti->private_data;
	struct flakey_bio *pb = ndm_per_bio(bio);

	if (bio->op == NDM_READ) {
		pb->may_corrupt = true;
		f->failed += f->error_reads;
		return f->error_reads ? NDM_MAP_KILL : NDM_MAP_REMAPPED;
	}
	if (f->drop_writes) {
		f->dropped++;
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	f->failed += f->error_writes;
	if (f->error_writes)
		return NDM_MAP_KILL;
	if (bio->op == NDM_WRITE && write_corrupted(ti, bio))
		return NDM_MAP_SUBMITTED;
	return NDM_MAP_REMAPPED;
}

static enum ndm_map flakey_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct flakey *f = ti->private_data;
	enum ndm_map verdict = NDM_MAP_REMAPPED;
	bool question = bio->op == NDM_EXTENTS || bio->op == NDM_CACHE;

	if (!question && flakey_is_down(ti))
		verdict = flakey_map_down(ti, bio);
	if (verdict == NDM_MAP_REMAPPED)
		ndm_remap(bio, f->dev, f->start + ndm_offset(ti, bio->sector));
	return verdict;
}

static enum ndm_endio flakey_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct flakey *f = ti->private_data;
	struct flakey_bio *pb = ndm_per_bio(bio);
	size_t bytes = bio->nr * NDM_SECTOR_BYTES;

	bool fixed, random;

	if (bio->error || !pb->may_corrupt)
		return NDM_ENDIO_DONE;
	fixed = f->corrupt_byte && !f->corrupt_writes && flags_match(f, bio);
	if (fixed)
		corrupt_at(&bio->data, bytes, f->corrupt_byte - 1, f->corrupt_value);
	random = dice(ti, f->random_reads);
	if (random)
		corrupt_anywhere(ti, &bio->data, bytes);
	f->corrupted += fixed || random;
	return NDM_ENDIO_DONE;
}

static void flakey_counters(struct ndm_target *ti, struct ndm_counters *out)
{
	struct flakey *f = ti->private_data;

	ndm_counter_put(out, NDM_COUNT_FAULTS, "error", 0, f->failed);
	ndm_counter_put(out, NDM_COUNT_FAULTS, "drop", 0, f->dropped);
	ndm_counter_put(out, NDM_COUNT_FAULTS, "corrupt", 0, f->corrupted);
}

/* ---- status ---- */

static void flakey_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			  struct ndm_str *out)
{
	struct flakey *f = ti->private_data;

	(void)flags;
	if (what != NDM_STATUS_TABLE)
		return;
	ndm_printf(out, "%s %" PRIu64 " %u %u %u", f->dev->name, f->start, f->up_s, f->down_s,
		   f->error_reads + f->drop_writes + f->error_writes + 5 * (f->corrupt_byte > 0) +
		   2 * (f->random_reads > 0) + 2 * (f->random_writes > 0));
	if (f->error_reads)
		ndm_printf(out, " error_reads");
	if (f->drop_writes)
		ndm_printf(out, " drop_writes");
	else if (f->error_writes)
		ndm_printf(out, " error_writes");
	if (f->corrupt_byte)
		ndm_printf(out, " corrupt_bio_byte %u %c %u %u", f->corrupt_byte,
			   f->corrupt_writes ? 'w' : 'r', f->corrupt_value, f->corrupt_flags);
	if (f->random_reads)
		ndm_printf(out, " random_read_corrupt %u", f->random_reads);
	if (f->random_writes)
		ndm_printf(out, " random_write_corrupt %u", f->random_writes);
}

static const char *const directions[] = { "r", "w", NULL };

static const struct ndm_arg corrupt_args[] = {
	{ .name = "nth_byte", .kind = NDM_ARG_U64, .help = "Which byte of the request, from 1." },
	{ .name = "direction", .kind = NDM_ARG_WORD, .choices = directions,
	  .help = "r corrupts reads, w writes." },
	{ .name = "value", .kind = NDM_ARG_U64, .help = "What the byte becomes, 0 to 255." },
	{ .name = "flags", .kind = NDM_ARG_U64, .dflt = "0",
	  .help = "Only requests with all of these flags of bi_opf set; 0 is all." },
	{ 0 }
};

static const struct ndm_arg random_args[] = {
	{ .name = "probability", .kind = NDM_ARG_U64, .help = "Of a billion requests, how many." },
	{ 0 }
};

static const struct ndm_arg flakey_feature_args[] = {
	{ .name = "error_reads", .kind = NDM_ARG_FLAG, .help = "Reads fail." },
	{ .name = "drop_writes", .kind = NDM_ARG_FLAG,
	  .help = "Writes succeed without effect; not with error_writes." },
	{ .name = "error_writes", .kind = NDM_ARG_FLAG,
	  .help = "Writes fail; not with drop_writes." },
	{ .name = "corrupt_bio_byte", .kind = NDM_ARG_KEYED, .sub = corrupt_args,
	  .help = "One byte of each request gets a value." },
	{ .name = "random_read_corrupt", .kind = NDM_ARG_KEYED, .sub = random_args,
	  .help = "Some reads get a random byte." },
	{ .name = "random_write_corrupt", .kind = NDM_ARG_KEYED, .sub = random_args,
	  .help = "Some writes get a random byte." },
	{ 0 }
};

static const struct ndm_arg flakey_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that holds the data." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on the device the target's first sector lies." },
	{ .name = "up_interval", .kind = NDM_ARG_SECONDS,
	  .help = "How many seconds the device is reliable." },
	{ .name = "down_interval", .kind = NDM_ARG_SECONDS,
	  .help = "How many seconds it is then unreliable." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_OPTIONAL,
	  .sub = flakey_feature_args,
	  .help = "What unreliable means; error_reads and error_writes when left out." },
	{ 0 }
};

static const struct ndm_keep flakey_keeps[] = {
	NDM_KEEP(struct flakey, constructed_ns), NDM_KEEP(struct flakey, failed),
	NDM_KEEP(struct flakey, dropped), NDM_KEEP(struct flakey, corrupted),
	{ 0 }
};

const struct ndm_target_type ndm_target_flakey = {
	.name = "flakey",
	.version = { 1, 5, 0 },
	.private_size = sizeof(struct flakey),
	.args = flakey_args,
	.summary = "Reliable and unreliable in turns; for tests.",
	.ctr = flakey_ctr,
	.map = flakey_map,
	.end_io = flakey_end_io,
	.status = flakey_status,
	.counters = flakey_counters,
	.keeps = flakey_keeps,
};
