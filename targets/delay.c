/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delay: requests wait before they go on; reads, writes and flushes may go to different devices.
 *
 *	delay <device> <offset> <delay> [<write_device> <write_offset> <write_delay>
 *		[<flush_device> <flush_offset> <flush_delay>]]
 *
 * Delays are milliseconds.  Three arguments serve everything; with six the second set serves
 * writes, discards and flushes; with nine the third serves flushes alone.  Questions about the
 * medium (block status, prefetch) go where reads go, and do not wait.
 *
 * A delayed request is linked into one list in order of arrival; one timer per target is set
 * to the earliest deadline.  When it rings, all that are due leave in the order of the list:
 * so requests with the same delay keep their order.  Suspending stops all delaying and lets go
 * of everything at once.
 *
 * The status line counts what is waiting now: reads, writes, flushes.
 */
#include <errno.h>
#include <inttypes.h>

#include <ndm-target.h>

#define NS_PER_MS 1000000ull

enum delay_class_nr { DELAY_READ, DELAY_WRITE, DELAY_FLUSH, DELAY_CLASSES };

struct delay_class {
	struct ndm_dev *dev;
	uint64_t start;
	unsigned delay_ms;
	unsigned waiting;
};

struct delay {
	uint64_t held;				/* requests, so far */
	struct delay_class class[DELAY_CLASSES];
	unsigned nclasses;		/* given in the table: 1 to 3 */
	bool may_delay;
	struct ndm_bio *head, **tail;
	struct ndm_timer timer;
};

struct delayed {			/* per bio, while it waits */
	uint64_t at_ns;
	struct delay_class *class;
};

/* ---- the list ---- */

/* Lets go of what is due (or of everything), and sets the timer for the rest. */
static void delay_release(struct delay *d, bool all)
{
	uint64_t now = all ? 0 : ndm_now(d->timer.loop), next = UINT64_MAX;
	struct ndm_bio *bio, *due = NULL, **due_tail = &due, **p = &d->head;

	while ((bio = *p)) {
		struct delayed *wait = ndm_per_bio(bio);

		if (!all && wait->at_ns > now) {
			if (wait->at_ns < next)
				next = wait->at_ns;
			p = &bio->next;
			continue;
		}
		*p = bio->next;
		*due_tail = bio;
		due_tail = &bio->next;
		wait->class->waiting--;
	}
	d->tail = p;
	*due_tail = NULL;
	if (next != UINT64_MAX)
		ndm_timer_set(&d->timer, next);

	while ((bio = due)) {
		due = bio->next;
		bio->next = NULL;
		ndm_submit(bio);
	}
}

static void delay_rings(struct ndm_timer *timer)
{
	struct delay *d = (struct delay *)((char *)timer - offsetof(struct delay, timer));

	delay_release(d, false);
}

static void delay_enqueue(struct delay *d, struct delay_class *c, struct ndm_bio *bio)
{
	struct delayed *wait = ndm_per_bio(bio);
	bool first = !d->head;

	wait->at_ns = ndm_now(d->timer.loop) + c->delay_ms * NS_PER_MS;
	wait->class = c;
	c->waiting++;
	bio->next = NULL;
	*d->tail = bio;
	d->tail = &bio->next;
	if (first || wait->at_ns < d->timer.at_ns)
		ndm_timer_set(&d->timer, wait->at_ns);
}

/* ---- the target ---- */

static int delay_class_ctr(struct ndm_target *ti, struct delay_class *c, unsigned first,
			   char **argv)
{
	int err;

	if (ndm_arg_u64(argv[1], &c->start))
		return ndm_error(ti, -EINVAL, "Invalid device sector: argument %u is '%s'",
				 first + 2, argv[1]);
	if (*argv[2] == '+' || ndm_arg_uint(argv[2], &c->delay_ms))
		return ndm_error(ti, -EINVAL, "Invalid delay: argument %u is '%s'", first + 3,
				 argv[2]);
	err = ndm_get_dev(ti, argv[0], c->start, ti->nr, &c->dev);
	return err ? ndm_error(ti, err, "Device lookup failed") : 0;
}

static int delay_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct delay *d = ti->private_data;
	unsigned i;
	int err;

	if (argc != 3 && argc != 6 && argc != 9)
		return ndm_error(ti, -EINVAL, "Requires exactly 3, 6 or 9 arguments, not %u", argc);

	d->nclasses = argc / 3;
	for (i = 0; i < d->nclasses; i++) {
		err = delay_class_ctr(ti, &d->class[i], 3 * i, argv + 3 * i);
		if (err)
			return err;
	}
	for (; i < DELAY_CLASSES; i++)
		d->class[i] = d->class[i - 1];

	d->may_delay = true;
	d->tail = &d->head;
	ndm_timer_init(&d->timer, ti->loop, delay_rings);
	ti->num_flush = ti->num_discard = 1;
	ti->extents = true;
	ti->per_bio_size = sizeof(struct delayed);
	return 0;
}

static void delay_dtr(struct ndm_target *ti)
{
	struct delay *d = ti->private_data;

	ndm_timer_cancel(&d->timer);
}

static enum delay_class_nr delay_class_of(const struct ndm_bio *bio)
{
	switch (bio->op) {
	case NDM_FLUSH:
		return DELAY_FLUSH;
	case NDM_WRITE:
	case NDM_DISCARD:
	case NDM_ZEROES:
		return DELAY_WRITE;
	default:
		return DELAY_READ;
	}
}

static enum ndm_map delay_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct delay *d = ti->private_data;
	struct delay_class *c = &d->class[delay_class_of(bio)];
	bool question = bio->op == NDM_EXTENTS || bio->op == NDM_CACHE;

	ndm_remap(bio, c->dev, c->start + ndm_offset(ti, bio->sector));
	if (question || !c->delay_ms || !d->may_delay)
		return NDM_MAP_REMAPPED;
	d->held++;
	delay_enqueue(d, c, bio);
	return NDM_MAP_SUBMITTED;
}

static void delay_counters(struct ndm_target *ti, struct ndm_counters *out)
{
	struct delay *d = ti->private_data;

	ndm_counter_put(out, NDM_COUNT_FAULTS, "delay", 0, d->held);
}

static void delay_presuspend(struct ndm_target *ti)
{
	struct delay *d = ti->private_data;

	d->may_delay = false;
	ndm_timer_cancel(&d->timer);
	delay_release(d, true);
}

static void delay_resume(struct ndm_target *ti)
{
	struct delay *d = ti->private_data;

	d->may_delay = true;
}

static void delay_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			 struct ndm_str *out)
{
	struct delay *d = ti->private_data;
	unsigned i;

	(void)flags;
	if (what == NDM_STATUS_INFO) {
		ndm_printf(out, "%u %u %u", d->class[DELAY_READ].waiting,
			   d->class[DELAY_WRITE].waiting, d->class[DELAY_FLUSH].waiting);
		return;
	}
	for (i = 0; i < d->nclasses; i++)
		ndm_printf(out, "%s%s %" PRIu64 " %u", i ? " " : "", d->class[i].dev->name,
			   d->class[i].start, d->class[i].delay_ms);
}

#define DELAY_SET(whose) \
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that serves " whose "." }, \
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0", \
	  .help = "Where on that device the target's first sector lies." }, \
	{ .name = "delay", .kind = NDM_ARG_MS, .help = "How many milliseconds " whose " wait." }

static const struct ndm_arg write_args[] = { DELAY_SET("writes, discards and flushes"), { 0 } };
static const struct ndm_arg flush_args[] = { DELAY_SET("flushes"), { 0 } };

static const struct ndm_arg delay_args[] = {
	DELAY_SET("reads"),
	{ .name = "write", .kind = NDM_ARG_GROUP, .flags = NDM_ARG_OPTIONAL, .sub = write_args,
	  .help = "Another device or delay for writes; without it they share the reads'." },
	{ .name = "flush", .kind = NDM_ARG_GROUP, .flags = NDM_ARG_OPTIONAL, .sub = flush_args,
	  .help = "Another device or delay for flushes; without it they share the writes'." },
	{ 0 }
};

static const struct ndm_arg delay_status_fields[] = {
	{ .name = "reads", .kind = NDM_ARG_U64, .help = "Reads waiting now." },
	{ .name = "writes", .kind = NDM_ARG_U64, .help = "Writes and discards waiting now." },
	{ .name = "flushes", .kind = NDM_ARG_U64, .help = "Flushes waiting now." },
	{ 0 }
};

static const struct ndm_keep delay_keeps[] = {
	NDM_KEEP(struct delay, held),
	{ 0 }
};

const struct ndm_target_type ndm_target_delay = {
	.name = "delay",
	.version = { 1, 4, 0 },
	.private_size = sizeof(struct delay),
	.args = delay_args,
	.status_fields = delay_status_fields,
	.summary = "Delays reads, writes and flushes, and may send them to different devices.",
	.ctr = delay_ctr,
	.dtr = delay_dtr,
	.map = delay_map,
	.presuspend = delay_presuspend,
	.presuspend_undo = delay_resume,
	.resume = delay_resume,
	.status = delay_status,
	.counters = delay_counters,
	.keeps = delay_keeps,
};
