/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror: the same data on several legs, and a log of the regions that may differ.
 *
 *	mirror <log type> <#log args> <log args> <#legs> [<device> <offset>]{#legs}
 *	       [<#features> handle_errors keep_log]
 *
 * A write first makes sure that its region is marked in the log on disk, then goes to all
 * legs at once.  A region that is out of sync is written to the default leg only: the worker
 * copies such regions, one at a time, from the default leg to all others, and keeps writes
 * to the one it is at waiting.
 *
 * Reads of a region in sync go to the default leg, and to another one after an error; of any
 * other region only the default leg knows the truth.
 *
 * A write that a leg has failed: without features it counts as done; with handle_errors it is
 * held until somebody suspends the device and gives it a better table; with keep_log as well
 * it counts as done and the region is out of sync, in the log on disk too.  No leg left: EIO.
 *
 * Crash states: a region whose bit is 0 on disk is copied again; it may have differed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ndm-target.h>

#include "../lib/kit/dirty-log.h"
#include "../lib/kit/memo.h"
#include "../lib/kit/patient.h"

#define LEGS_MAX 9
#define BUCKETS 64
#define IDLE_NS 20000000			/* a region is called clean so long after its last write */

enum leg_error { WRITE_ERROR = 1, FLUSH_ERROR = 2, SYNC_ERROR = 4, READ_ERROR = 8 };

struct leg { struct ndm_dev *dev; uint64_t offset; unsigned errors; };

struct region {					/* one with writes, or that is being copied */
	uint64_t nr;
	unsigned writes;
	bool recovering;
	struct region *next;
};

struct mirror {
	struct ndm_target *ti;
	struct dirty_log *log;
	unsigned nlegs;
	struct leg legs[LEGS_MAX], *primary;	/* the default leg */
	bool handle_errors, keep_log;
	bool in_sync, leg_failure, log_failure, flush_failure;
	bool suspended;
	bool cleaning, recovering;		/* the workers that are there */
	struct region *regions[BUCKETS];
	struct ndm_waitq changed;		/* a region's state */
	struct ndm_waitq kick;			/* the cleaning worker shall not sleep on */
	struct ndm_waitq released;		/* held writes */
};

/* ---- regions ---- */

static uint64_t region_of(const struct mirror *m, const struct ndm_bio *bio)
{
	return ndm_offset(m->ti, bio->sector) / dirty_log_region_sectors(m->log);
}

static struct region *region_find(struct mirror *m, uint64_t nr)
{
	struct region *r;

	for (r = m->regions[nr % BUCKETS]; r; r = r->next)
		if (r->nr == nr)
			return r;
	return NULL;
}

static struct region *region_get(struct mirror *m, uint64_t nr)
{
	struct region *r = region_find(m, nr), *fresh;

	if (r)
		return r;
	fresh = patient_zalloc(m->ti->loop, sizeof *fresh);
	r = region_find(m, nr);			/* somebody else may have made it meanwhile */
	if (r || !fresh) {
		ndm_free(fresh);
		return r;
	}
	r = fresh;
	r->nr = nr;
	r->next = m->regions[nr % BUCKETS];
	m->regions[nr % BUCKETS] = r;
	return r;
}

static void region_drop(struct mirror *m, struct region *r)
{
	struct region **p = &m->regions[r->nr % BUCKETS];

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	ndm_free(r);
}

/* ---- legs ---- */

static struct leg *leg_valid(struct mirror *m)
{
	unsigned i;

	for (i = 0; i < m->nlegs; i++)
		if (!m->legs[i].errors)
			return &m->legs[i];
	return NULL;
}

static void leg_fail(struct mirror *m, struct leg *leg, enum leg_error why)
{
	struct leg *other;

	m->leg_failure = true;
	if (leg->errors & why)
		return;
	leg->errors |= why;
	if (!m->handle_errors)
		return;
	if (leg == m->primary && (m->in_sync || m->keep_log)) {
		other = leg_valid(m);
		if (other)
			m->primary = other;
		else
			ndm_warn(m->ti, "All sides of mirror have failed.");
	} else if (leg == m->primary) {
		ndm_warn(m->ti, "Primary mirror (%s) failed while out-of-sync: Reads may fail.",
			 leg->dev->name);
	}
	ndm_event(m->ti);
}

static void legs_forgive(struct mirror *m)
{
	unsigned i;

	m->leg_failure = false;
	for (i = 0; i < m->nlegs; i++)
		m->legs[i].errors = 0;
}

/* for a region in sync: the default leg, else the next one below without an error */
static struct leg *leg_choose(struct mirror *m)
{
	unsigned start = (unsigned)(m->primary - m->legs), i;

	for (i = 0; i < m->nlegs; i++) {
		struct leg *leg = &m->legs[(start + m->nlegs - i) % m->nlegs];

		if (!leg->errors)
			return leg;
	}
	return NULL;
}

static uint64_t leg_sector(const struct mirror *m, const struct leg *leg, uint64_t sector)
{
	return leg->offset + ndm_offset(m->ti, sector);
}

/* one clone to each leg; bit i of the answer: leg i failed */
static unsigned legs_all(struct mirror *m, const struct ndm_bio *bio, int *error)
{
	struct ndm_group groups[LEGS_MAX];
	unsigned i, failed = 0;
	int err;

	for (i = 0; i < m->nlegs; i++) {
		uint64_t sector = bio->op == NDM_FLUSH ? 0 : leg_sector(m, &m->legs[i], bio->sector);

		ndm_group_init(&groups[i], m->ti->loop);
		ndm_group_add(&groups[i], ndm_clone(m->ti->loop, bio, 0, bio->nr),
			      m->legs[i].dev->store, sector);
	}
	for (i = 0; i < m->nlegs; i++) {
		err = ndm_group_wait(&groups[i]);
		if (err) {
			failed |= 1u << i;
			*error = err;
		}
	}
	return failed;
}

/* for the log: before anything is called clean */
static int mirror_flush_legs(struct ndm_target *ti)
{
	struct mirror *m = ti->private_data;
	struct ndm_bio flush = { .op = NDM_FLUSH };
	int error = 0;
	unsigned failed = legs_all(m, &flush, &error), i;

	for (i = 0; i < m->nlegs; i++)
		if (failed & 1u << i)
			leg_fail(m, &m->legs[i], FLUSH_ERROR);
	return failed ? -EIO : 0;
}

/* ---- calling regions clean, a while after their last write ---- */

static void regions_clean(struct mirror *m)
{
	struct region *r, *next;
	unsigned i;

	for (i = 0; i < BUCKETS; i++)
		for (r = m->regions[i]; r; r = next) {
			next = r->next;
			if (r->writes || r->recovering)
				continue;
			if (dirty_log_in_sync(m->log, r->nr) && !m->flush_failure)
				dirty_log_clear(m->log, r->nr);
			region_drop(m, r);
		}
	dirty_log_flush(m->log);		/* an error is seen by the next write */
}

static bool regions_idle(const struct mirror *m)
{
	const struct region *r;
	unsigned i;

	for (i = 0; i < BUCKETS; i++)
		for (r = m->regions[i]; r; r = r->next)
			if (!r->writes && !r->recovering)
				return true;
	return false;
}

static void clean_worker(void *arg)
{
	struct mirror *m = arg;

	while (!ndm_stopping(m->ti) && regions_idle(m)) {
		ndm_wait_until(&m->kick, ndm_now(m->ti->loop) + IDLE_NS);
		regions_clean(m);
	}
	m->cleaning = false;
}

static void write_ended(struct mirror *m, struct region *r)
{
	if (--r->writes)
		return;
	ndm_wake_all(&m->changed);
	if (m->cleaning || ndm_stopping(m->ti))
		return;				/* postsuspend does it */
	m->cleaning = true;
	ndm_worker(m->ti, "mirror log", clean_worker, m);
}

/* ---- recovery ---- */

static int region_copy(struct mirror *m, uint64_t nr, unsigned *failed)
{
	uint64_t size = dirty_log_region_sectors(m->log), sector = nr * size;
	uint64_t count = m->ti->nr - sector < size ? m->ti->nr - sector : size;
	struct leg *from = m->primary;
	uint64_t piece = count < 2048 ? count : 2048, at, n;
	void *buf = patient_buffer(m->ti->loop, piece * NDM_SECTOR_BYTES);
	unsigned i;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	for (at = 0; at < count && !err; at += n) {
		n = count - at < piece ? count - at : piece;
		err = ndm_rw(from->dev->store, NDM_READ, 0, from->offset + sector + at, n, buf);
		for (i = 0; i < m->nlegs && !err; i++)
			if (&m->legs[i] != from &&
			    ndm_rw(m->legs[i].dev->store, NDM_WRITE, 0,
				   m->legs[i].offset + sector + at, n, buf))
				*failed |= 1u << i;
	}
	ndm_buffer_put(m->ti->loop, buf, piece * NDM_SECTOR_BYTES);
	if (err) {
		ndm_warn(m->ti, "Unable to read primary mirror during recovery");
		leg_fail(m, from, SYNC_ERROR);
	}
	return err;
}

static void region_recover(struct mirror *m, struct region *r)
{
	unsigned failed = 0, i;
	int err;

	while (r->writes)			/* those to the default leg that were on their way */
		ndm_wait(&m->changed);
	err = region_copy(m, r->nr, &failed);
	for (i = 0; i < m->nlegs; i++)
		if (failed & 1u << i)
			leg_fail(m, &m->legs[i], SYNC_ERROR);
	/* without handle_errors nobody wants to know */
	dirty_log_set_sync(m->log, r->nr, (!err && !failed) || !m->handle_errors);
	if (!err && !failed)
		dirty_log_clear(m->log, r->nr);
	r->recovering = false;
	region_drop(m, r);			/* those who wait look it up again */
	ndm_wake_all(&m->changed);
}

static void sync_reached(struct mirror *m)
{
	if (m->in_sync || dirty_log_in_sync_count(m->log) != dirty_log_regions(m->log))
		return;
	m->in_sync = true;
	legs_forgive(m);
	ndm_event(m->ti);
}

static void recovery_worker(void *arg)
{
	struct mirror *m = arg;
	struct region *r;
	uint64_t nr;

	while (!ndm_stopping(m->ti) && dirty_log_next(m->log, &nr)) {
		r = region_get(m, nr);
		if (!r) {
			dirty_log_set_sync(m->log, nr, false);
			break;			/* tried again at the next resume */
		}
		r->recovering = true;		/* new writes wait from now on */
		region_recover(m, r);
		dirty_log_flush(m->log);
		ndm_yield(m->ti->loop);
	}
	sync_reached(m);
	m->recovering = false;
}

/* ---- writes ---- */

/* until somebody suspends the device: to the next table, or an error */
static int write_hold(struct mirror *m)
{
	while (!m->suspended)
		ndm_wait(&m->released);
	return ndm_noflush_suspending(m->ti) ? NDM_GIVE_BACK : -EIO;
}

static int write_failed(struct mirror *m, uint64_t region)
{
	if (!m->log_failure) {
		m->in_sync = false;
		dirty_log_set_sync(m->log, region, false);
	}
	if (!leg_valid(m) || (m->keep_log && m->log_failure))
		return -EIO;
	return m->handle_errors && !m->keep_log ? write_hold(m) : 0;
}

static int write_all(struct mirror *m, struct ndm_bio *bio, uint64_t region)
{
	unsigned failed, i;
	int error = 0;

	dirty_log_mark(m->log, region);
	if (dirty_log_flush(m->log))
		m->log_failure = true;
	if (m->log_failure && m->handle_errors)
		return write_failed(m, region);
	failed = legs_all(m, bio, &error);
	for (i = 0; i < m->nlegs; i++)
		if (failed & 1u << i)
			leg_fail(m, &m->legs[i], WRITE_ERROR);
	return failed ? write_failed(m, region) : 0;
}

static int write_primary(struct mirror *m, struct ndm_bio *bio, uint64_t region)
{
	if (m->leg_failure && m->handle_errors && !m->keep_log)
		return write_failed(m, region);
	return ndm_forward(bio, m->primary->dev, leg_sector(m, m->primary, bio->sector));
}

static int mirror_write(struct mirror *m, struct ndm_bio *bio)
{
	uint64_t nr = region_of(m, bio);
	struct region *r;
	int err;

	for (;;) {
		r = region_get(m, nr);
		if (!r)
			return -ENOMEM;
		if (!r->recovering)
			break;
		ndm_wait(&m->changed);
	}
	r->writes++;
	if (dirty_log_in_sync(m->log, nr))
		err = write_all(m, bio, nr);
	else
		err = write_primary(m, bio, nr);
	write_ended(m, r);
	return err;
}

/* flushes and discards go to all legs, without a look at the log */
static int mirror_broadcast(struct mirror *m, struct ndm_bio *bio)
{
	unsigned failed, i;
	int error = 0;

	failed = legs_all(m, bio, &error);
	if (!failed)
		return 0;
	if (bio->op == NDM_DISCARD)
		return -EOPNOTSUPP;
	for (i = 0; i < m->nlegs; i++)
		if (failed & 1u << i)
			leg_fail(m, &m->legs[i], FLUSH_ERROR);
	m->flush_failure = true;		/* nothing is called clean from now on */
	m->in_sync = false;
	if (!leg_valid(m))
		return -EIO;
	return m->handle_errors && !m->keep_log ? write_hold(m) : 0;
}

/* ---- reads ---- */

static int mirror_read(struct mirror *m, struct ndm_bio *bio)
{
	uint64_t nr = region_of(m, bio);
	struct leg *leg;
	int err;

	for (;;) {
		if (dirty_log_in_sync(m->log, nr))
			leg = leg_choose(m);
		else
			leg = m->primary->errors ? NULL : m->primary;
		if (!leg)
			return -EIO;
		err = ndm_forward(bio, leg->dev, leg_sector(m, leg, bio->sector));
		if (!err || err == -EOPNOTSUPP)
			return err;
		leg_fail(m, leg, READ_ERROR);
	}
}

/* ---- the target ---- */

static int features_take(struct mirror *m, unsigned argc, char **argv)
{
	struct ndm_target *ti = m->ti;
	unsigned n, i;

	if (!argc)
		return 0;
	if (ndm_arg_uint(argv[0], &n))
		return ndm_error(ti, -EINVAL, "Invalid number of features: '%s'", argv[0]);
	if (n > argc - 1)
		return ndm_error(ti, -EINVAL, "Not enough arguments to support feature count");
	for (i = 1; i <= n; i++)
		if (!strcmp(argv[i], "handle_errors"))
			m->handle_errors = true;
		else if (!strcmp(argv[i], "keep_log"))
			m->keep_log = true;
		else
			return ndm_error(ti, -EINVAL, "Unrecognised feature requested: '%s'", argv[i]);
	if (m->keep_log && !m->handle_errors)
		return ndm_error(ti, -EINVAL,
				 "keep_log feature requires the handle_errors feature");
	if (argc - 1 > n)
		return ndm_error(ti, -EINVAL, "Too many mirror arguments");
	return 0;
}

static int log_take(struct mirror *m, unsigned argc, char **argv, unsigned *used)
{
	struct ndm_target *ti = m->ti;
	unsigned n;

	if (argc < 2)
		return ndm_error(ti, -EINVAL, "Insufficient mirror log arguments");
	if (ndm_arg_uint(argv[1], &n))
		return ndm_error(ti, -EINVAL, "Invalid mirror log argument count: '%s'", argv[1]);
	if (n > argc - 2)
		return ndm_error(ti, -EINVAL, "Insufficient mirror log arguments");
	*used = 2 + n;
	if (dirty_log_new(ti, argv[0], n, argv + 2, mirror_flush_legs, &m->log))
		return ndm_error(ti, -EINVAL, "Error creating mirror dirty log");
	return 0;
}

static int leg_take(struct mirror *m, unsigned i, char **argv)
{
	struct ndm_target *ti = m->ti;
	int err;

	if (ndm_arg_u64(argv[1], &m->legs[i].offset))
		return ndm_error(ti, -EINVAL, "Invalid offset: leg %u has '%s'", i, argv[1]);
	err = ndm_get_dev(ti, argv[0], m->legs[i].offset, ti->nr, &m->legs[i].dev);
	return err ? ndm_error(ti, err, "Device lookup failure") : 0;
}

static int legs_take(struct mirror *m, unsigned argc, char **argv)
{
	struct ndm_target *ti = m->ti;
	unsigned i;
	int err;

	if (!argc || ndm_arg_uint(argv[0], &m->nlegs) || m->nlegs < 2 || m->nlegs > LEGS_MAX)
		return ndm_error(ti, -EINVAL, "Invalid number of mirrors");
	if (argc - 1 < 2 * m->nlegs)
		return ndm_error(ti, -EINVAL, "Too few mirror arguments");
	for (i = 0; i < m->nlegs; i++) {
		err = leg_take(m, i, argv + 1 + 2 * i);
		if (err)
			return err;
	}
	return features_take(m, argc - 1 - 2 * m->nlegs, argv + 1 + 2 * m->nlegs);
}

static int mirror_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct mirror *m = ti->private_data;
	unsigned used = 0;
	int err;

	m->ti = ti;
	ndm_waitq_init(&m->changed, ti->loop);
	ndm_waitq_init(&m->kick, ti->loop);
	ndm_waitq_init(&m->released, ti->loop);
	err = log_take(m, argc, argv, &used);
	if (!err)
		err = legs_take(m, argc - used, argv + used);
	if (err) {
		dirty_log_free(m->log);
		return err;
	}
	m->primary = &m->legs[0];
	ti->max_io = dirty_log_region_sectors(m->log);
	ti->num_flush = ti->num_discard = 1;
	ti->extents = true;
	ti->per_bio_size = sizeof(struct leg *);
	return 0;
}

static void mirror_dtr(struct ndm_target *ti)
{
	struct mirror *m = ti->private_data;
	struct region *r;
	unsigned i;

	for (i = 0; i < BUCKETS; i++)
		while ((r = m->regions[i]))
			region_drop(m, r);
	dirty_log_free(m->log);
}

static enum ndm_map mirror_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct mirror *m = ti->private_data;

	if (bio->op != NDM_READ && bio->op != NDM_EXTENTS && bio->op != NDM_CACHE)
		return NDM_MAP_WAIT;
	if (m->primary->errors)
		return NDM_MAP_WAIT;
	*(struct leg **)ndm_per_bio(bio) = m->primary;
	return ndm_remap(bio, m->primary->dev, leg_sector(m, m->primary, bio->sector));
}

static int mirror_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct mirror *m = ti->private_data;

	switch ((enum ndm_op)bio->op) {
	case NDM_WRITE:
		return mirror_write(m, bio);
	case NDM_FLUSH:
	case NDM_DISCARD:
	case NDM_ZEROES:
		return mirror_broadcast(m, bio);
	default:
		return mirror_read(m, bio);
	}
}

/* a fast read that failed: the slow way, on the legs that are left */
static void read_again(void *arg)
{
	struct ndm_bio *bio = arg;

	bio->error = 0;
	bio->sector = bio->device_sector;
	ndm_end(bio, mirror_read(bio->target->private_data, bio));
}

static enum ndm_endio mirror_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct mirror *m = ti->private_data;
	struct leg **fast = ndm_per_bio(bio), *leg = *fast;

	*fast = NULL;				/* only once; io() answers by this way, too */
	if (!leg || !bio->error || bio->error == -EOPNOTSUPP || bio->op != NDM_READ)
		return NDM_ENDIO_DONE;
	leg_fail(m, leg, READ_ERROR);
	ndm_spawn(ti->loop, "mirror read", read_again, bio);
	return NDM_ENDIO_INCOMPLETE;
}

static void mirror_presuspend(struct ndm_target *ti)
{
	struct mirror *m = ti->private_data;

	m->suspended = true;
	ndm_wake_all(&m->released);
	ndm_wake_all(&m->kick);
}

static void mirror_postsuspend(struct ndm_target *ti)
{
	struct mirror *m = ti->private_data;

	regions_clean(m);
}

static void mirror_resume(struct ndm_target *ti)
{
	struct mirror *m = ti->private_data;

	m->suspended = false;
	if (dirty_log_resume(m->log))
		ndm_warn(ti, "failed to resume the dirty region log");
	m->recovering = true;
	ndm_worker(ti, "mirror recovery", recovery_worker, m);
}

static int mirror_recall(struct ndm_target *ti, struct ndm_str *out)
{
	const struct mirror *m = ti->private_data;
	unsigned i;

	for (i = 0; i < m->nlegs; i++)
		if (m->legs[i].errors)
			ndm_printf(out, "leg %u %u\n", i, m->legs[i].errors);
	ndm_printf(out, "primary %u\n", (unsigned)(m->primary - m->legs));
	dirty_log_recall(m->log, out);
	return 0;
}

static int mirror_remember(struct ndm_target *ti, const char *text, size_t bytes)
{
	struct mirror *m = ti->private_data;
	struct memo memo = { text, text + bytes };
	struct memo_line l;
	int err;

	while ((err = memo_next(&memo, &l)) > 0) {
		if (memo_is(&l, "leg", 2) && l.number[0] < m->nlegs)
			m->legs[l.number[0]].errors = (unsigned)l.number[1];
		else if (memo_is(&l, "primary", 1) && l.number[0] < m->nlegs)
			m->primary = &m->legs[l.number[0]];
		else if ((err = dirty_log_remember(m->log, &l)))
			return err;
	}
	return err;
}

static char leg_char(const struct leg *leg)
{
	return leg->errors & FLUSH_ERROR ? 'F' : leg->errors & WRITE_ERROR ? 'D'
	     : leg->errors & SYNC_ERROR ? 'S' : leg->errors & READ_ERROR ? 'R' : 'A';
}

static void mirror_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			  struct ndm_str *out)
{
	const struct mirror *m = ti->private_data;
	unsigned i;

	(void)flags;
	if (what == NDM_STATUS_INFO) {
		ndm_printf(out, "%u ", m->nlegs);
		for (i = 0; i < m->nlegs; i++)
			ndm_printf(out, "%s ", m->legs[i].dev->name);
		ndm_printf(out, "%" PRIu64 "/%" PRIu64 " 1 ", dirty_log_in_sync_count(m->log),
			   dirty_log_regions(m->log));
		for (i = 0; i < m->nlegs; i++)
			ndm_printf(out, "%c", leg_char(&m->legs[i]));
		ndm_printf(out, " ");
		dirty_log_status(m->log, what, out);
		return;
	}
	dirty_log_status(m->log, what, out);
	ndm_printf(out, "%u", m->nlegs);
	for (i = 0; i < m->nlegs; i++)
		ndm_printf(out, " %s %" PRIu64, m->legs[i].dev->name, m->legs[i].offset);
	if (m->handle_errors)
		ndm_printf(out, " %d handle_errors%s", 1 + m->keep_log,
			   m->keep_log ? " keep_log" : "");
}

static const char *const log_types[] = { "core", "disk", NULL };

static const struct ndm_arg mirror_log_args[] = {
	{ .name = "log_device_or_region", .kind = NDM_ARG_TEXT,
	  .help = "Words of the log: <region> [sync|nosync], before them the device of a disk log." },
	{ 0 }
};

static const struct ndm_arg mirror_leg_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "A leg." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0", .help = "Where on it." },
	{ 0 }
};

static const struct ndm_arg mirror_features[] = {
	{ .name = "handle_errors", .kind = NDM_ARG_FLAG,
	  .help = "Hold writes that a leg failed, until there is a better table." },
	{ .name = "keep_log", .kind = NDM_ARG_FLAG,
	  .help = "Go on with the legs that are left; the log remembers what they missed." },
	{ 0 }
};

static const struct ndm_arg mirror_args[] = {
	{ .name = "log_type", .kind = NDM_ARG_WORD, .choices = log_types, .dflt = "core",
	  .help = "Where it is remembered which regions may differ." },
	{ .name = "log_words", .kind = NDM_ARG_COUNT, .of = "log", .help = "Number of log words." },
	{ .name = "log", .kind = NDM_ARG_LIST, .sub = mirror_log_args, .help = "The log's words." },
	{ .name = "legs", .kind = NDM_ARG_COUNT, .of = "devices", .help = "Number of legs." },
	{ .name = "devices", .kind = NDM_ARG_LIST, .sub = mirror_leg_args, .help = "The legs." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_OPTIONAL | NDM_ARG_TRIM,
	  .sub = mirror_features, .help = "Features." },
	{ 0 }
};

#define LOOKS_MAX 4096u				/* regions looked at for one answer */

static uint64_t dirty_value(struct ndm_target *ti, uint64_t sector, uint64_t nr, uint32_t *value)
{
	const struct mirror *m = ti->private_data;
	uint64_t length = dirty_log_region_sectors(m->log), within = ndm_offset(ti, sector);
	uint64_t region = within / length, got = (region + 1) * length - within;
	unsigned looks;

	*value = !dirty_log_in_sync(m->log, region);
	for (looks = 1; got < nr && looks < LOOKS_MAX; looks++) {
		region++;
		if (!dirty_log_in_sync(m->log, region) != *value)
			break;
		got += length;
	}
	return got < nr ? got : nr;
}

static const struct ndm_meta mirror_metas[] = {
	{ "dirty", "1: the legs of the mirror may differ here; 0: they are in sync.", dirty_value },
	{ 0 }
};

static const struct ndm_keep mirror_keeps[] = {
	NDM_KEEP(struct mirror, in_sync), NDM_KEEP(struct mirror, leg_failure),
	NDM_KEEP(struct mirror, log_failure), NDM_KEEP(struct mirror, flush_failure),
	{ 0 }
};

const struct ndm_target_type ndm_target_mirror = {
	.name = "mirror",
	.version = { 1, 14, 0 },
	.private_size = sizeof(struct mirror),
	.args = mirror_args,
	.summary = "The same data on several legs, with a log of the regions that may differ.",
	.ctr = mirror_ctr,
	.dtr = mirror_dtr,
	.map = mirror_map,
	.io = mirror_io,
	.end_io = mirror_end_io,
	.status = mirror_status,
	.presuspend = mirror_presuspend,
	.postsuspend = mirror_postsuspend,
	.resume = mirror_resume,
	.metas = mirror_metas,
	.keeps = mirror_keeps,
	.recall = mirror_recall,
	.remember = mirror_remember,
};
