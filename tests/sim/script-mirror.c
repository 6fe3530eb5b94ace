/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror: two legs and a log.  After any cut, and the resync that follows, the legs agree; what
 * was flushed is there; and a region that the log on disk calls clean was the same on both legs
 * before anything was copied.
 *
 * The legs begin different, so that a resync that copies too little is seen.  Writes that are
 * under way together do not overlap: nothing orders them, on one disk or on two, and as with the
 * kernel's mirror the legs may then differ until the next resync.
 *
 * What is planted: a log that never flushes, a leg that never flushes; both must be found out.
 */
#include "sim.h"

#define SECTORS 64
#define LOG_MAGIC 0x4D695272u

enum { CORE, DISK };

struct plan {
	unsigned region, offset;
	unsigned log;
	bool keep_log, replaced;		/* leg b has given way to leg c */
	unsigned writers;			/* still at work */
	const char *log_name, *leg_b;		/* as in tables: a planted layer may lie between */
};

static struct plan *plan(struct sim *s)
{
	return sim_private(s);
}

/* ---- how it is built ---- */

static void legs_differ(struct sim *s, const char *leg, int byte)
{
	uint8_t bytes[512];
	unsigned i;

	memset(bytes, byte, sizeof bytes);
	for (i = 0; i < plan(s)->offset + SECTORS; i++)
		sim_disk_write(s, leg, i, 1, bytes);
}

static void format_with(struct sim *s, unsigned log)
{
	struct plan *p = plan(s);

	p->region = 2u << sim_dice(s, 4);
	p->offset = sim_dice(s, 2) * 8;
	p->log = log;
	p->log_name = "sim:log";
	p->leg_b = "sim:b";
	legs_differ(s, "b", 0xb0);
}

static void format_core(struct sim *s) { format_with(s, CORE); }
static void format_disk(struct sim *s) { format_with(s, DISK); }

/* mode: "" or " sync", with which nothing is believed to be the same */
static void table_make(struct sim *s, const char *b, const char *mode, char *to, size_t room)
{
	struct plan *p = plan(s);
	unsigned words = (p->log == DISK) + 1 + !!*mode;

	snprintf(to, room, "0 %d mirror %s %u %s%s%u%s 2 sim:a %u %s %u 1 handle_errors", SECTORS,
		 p->log == DISK ? "disk" : "core", words, p->log == DISK ? p->log_name : "",
		 p->log == DISK ? " " : "", p->region, mode, p->offset, b, p->offset);
	if (p->keep_log) {
		size_t n = strlen(to) - strlen("1 handle_errors");

		snprintf(to + n, room - n, "2 handle_errors keep_log");
	}
}

/* a sector at a time: a task's stack is small */
static bool legs_equal(struct sim *s, const char *b, unsigned sector, unsigned nr)
{
	unsigned at = plan(s)->offset + sector, end = at + nr;
	uint8_t one[512], two[512];

	for (; at < end; at++) {
		sim_disk_read(s, "a", at, 1, one);
		sim_disk_read(s, b, at, 1, two);
		if (memcmp(one, two, sizeof one))
			return false;
	}
	return true;
}

/* what the power cut has left: clean on disk means the same on both legs */
static void log_believed(struct sim *s)
{
	struct plan *p = plan(s);
	uint8_t log[3 * 512];
	unsigned i;

	sim_disk_read(s, "log", 0, 3, log);
	if ((log[0] | log[1] << 8 | log[2] << 16 | (unsigned)log[3] << 24) != LOG_MAGIC)
		return;				/* none yet: all will be copied */
	for (i = 0; i < SECTORS / p->region; i++)
		if (log[1024 + i / 8] >> i % 8 & 1 &&
		    !legs_equal(s, "b", i * p->region, p->region))
			sim_fail(s, "region %u is clean in the log, and the legs differ", i);
}

static void up(struct sim *s)
{
	struct plan *p = plan(s);
	char table[256];

	if (sim_cuts(s) && p->log == DISK && !p->replaced)
		log_believed(s);
	table_make(s, p->replaced ? "sim:c" : p->leg_b, p->replaced ? " sync" : "", table,
		   sizeof table);
	sim_up(s, "m", 0, "%s", table);
}

/* ---- what is done with it, and what must hold ---- */

#define WRITERS 3

struct writer { unsigned i, ops; };

/* each has a part of its own; the parts' edges are within regions */
static void write_part(struct sim *s, void *arg)
{
	struct writer *w = arg;
	unsigned part = SECTORS / WRITERS;

	sim_mix(sim_dev(s, "m"), &(struct sim_mix){ .tasks = 1, .ops = w->ops, .max_nr = 12,
		.first = w->i * part, .nr = part });
	plan(s)->writers--;
	free(w);
}

static void write_parts(struct sim *s, unsigned ops)
{
	unsigned i;

	plan(s)->writers = WRITERS;
	for (i = 0; i < WRITERS; i++) {
		struct writer *w = calloc(1, sizeof *w);

		*w = (struct writer){ .i = i, .ops = ops };
		sim_spawn(s, "writer", write_part, w);
	}
}

static void work(struct sim *s)
{
	write_parts(s, 6);
	sim_join(s);
	sim_sleep(s, (1 + sim_dice(s, 3)) * UINT64_C(15000000));	/* some regions become clean */
	write_parts(s, 6);
	sim_join(s);
}

static void after(struct sim *s)
{
	write_parts(s, 3);
}

static void wait_in_sync(struct sim *s)
{
	unsigned n = SECTORS / plan(s)->region;
	char all[32];

	snprintf(all, sizeof all, " %u/%u 1 AA ", n, n);
	sim_wait_status(sim_dev(s, "m"), all);
}

static void check(struct sim *s)
{
	wait_in_sync(s);
	if (!legs_equal(s, plan(s)->replaced ? "c" : "b", 0, SECTORS))
		sim_fail(s, "the legs differ after the resync");
	sim_verify(sim_dev(s, "m"));
}

#define DISKS { { "a", 80 }, { "b", 80 }, { "log", 16 } }

SIM_SCRIPT(mirror) = {
	.name = "mirror",
	.summary = "two legs and a log on disk: it tells the truth after any cut",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 2, .samples = 1,
	.format = format_disk, .up = up, .work = work, .after = after, .check = check,
};

SIM_SCRIPT(mirror_core) = {
	.name = "mirror-core",
	.summary = "two legs and a log in memory: all is copied after any cut",
	.disks = { { "a", 80 }, { "b", 80 } },
	.private_size = sizeof(struct plan),
	.one_in = 2, .samples = 1,
	.format = format_core, .up = up, .work = work, .after = after, .check = check,
};

/* ---- a leg that fails ---- */

static void fault(struct sim *s)
{
	bool always = sim_one_in(s, 2), flush = sim_one_in(s, 4);
	unsigned nth = 1 + sim_dice(s, 12);

	sim_fault(s, &(struct sim_fault){ .disk = "b", .nth = nth, .error = -EIO, .always = always,
		.ops = flush ? 1u << NDM_FLUSH : 1u << NDM_WRITE });
}

/* keep_log: nobody waits; the log knows what the leg has missed, also after a cut */
static void format_keep(struct sim *s)
{
	format_with(s, DISK);
	plan(s)->keep_log = true;
}

static void work_keep(struct sim *s)
{
	fault(s);
	work(s);
}

static void check_keep(struct sim *s)
{
	struct sim_dev *m = sim_dev(s, "m");
	char table[256];

	/* the leg is back: the same table again copies what it has missed */
	sim_fault_clear(s);
	table_make(s, plan(s)->leg_b, "", table, sizeof table);
	SIM_ASSERT(s, !sim_reload(m, "%s", table));
	check(s);
}

SIM_SCRIPT(mirror_keep_log) = {
	.name = "mirror-keep-log",
	.summary = "a leg that fails and comes back: the log knows what it has missed",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 2, .samples = 1,
	.format = format_keep, .up = up, .work = work_keep, .after = after, .check = check_keep,
};

/* handle_errors alone: writes wait until the leg is replaced */
static void replace(struct sim *s, void *arg)
{
	struct sim_dev *m = sim_dev(s, "m");
	struct plan *p = plan(s);
	char table[256];

	(void)arg;
	while (p->writers && !strpbrk(strstr(sim_status(m), "/") + 1, "DFS"))
		sim_sleep(s, 1000000);
	SIM_ASSERT(s, !sim_suspend(m, NDM_SUSPEND_NOFLUSH));
	p->replaced = true;
	table_make(s, "sim:c", " sync", table, sizeof table);
	SIM_ASSERT(s, !sim_load(m, "%s", table));
	SIM_ASSERT(s, !sim_resume(m));
}

static void work_replace(struct sim *s)
{
	fault(s);
	write_parts(s, 8);
	sim_spawn(s, "replace", replace, NULL);
	sim_join(s);
}

static void format_replace(struct sim *s)
{
	format_with(s, sim_dice(s, 2) ? DISK : CORE);
	legs_differ(s, "c", 0xc0);
}

SIM_SCRIPT(mirror_replace) = {
	.name = "mirror-replace",
	.summary = "a leg that fails is replaced by another one, under load",
	.disks = { { "a", 80 }, { "b", 80 }, { "c", 80 }, { "log", 16 } },
	.private_size = sizeof(struct plan),
	.one_in = 2, .samples = 1,
	.format = format_replace, .up = up, .work = work_replace, .after = after, .check = check,
};

/* ---- planted: a layer that says it has flushed ---- */

struct lazy { struct ndm_dev *dev; };

static int lazy_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct lazy *l = ti->private_data;

	(void)argc;
	ti->num_flush = 1;
	return ndm_get_dev(ti, argv[0], 0, ti->nr, &l->dev);
}

static int lazy_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct lazy *l = ti->private_data;

	return bio->op == NDM_FLUSH ? 0 : ndm_forward(bio, l->dev, ndm_offset(ti, bio->sector));
}

static const struct ndm_target_type lazy_type = {
	.name = "sim-lazy", .private_size = sizeof(struct lazy), .ctr = lazy_ctr, .io = lazy_io,
};

static const struct ndm_target_type *const types[] = { &lazy_type, NULL };

static void up_lazy_log(struct sim *s)
{
	sim_up(s, "lazy", SIM_RAW, "0 16 sim-lazy sim:log");
	plan(s)->log_name = "/dev/mapper/lazy";
	up(s);
}

static void up_lazy_leg(struct sim *s)
{
	sim_up(s, "lazy", SIM_RAW, "0 80 sim-lazy sim:b");
	plan(s)->leg_b = "/dev/mapper/lazy";
	up(s);
}

#define LAZY(ident, what) \
SIM_SCRIPT(ident) = { \
	.name = "mirror-lazy-" what, .summary = "planted: a mirror whose " what " is never flushed", \
	.disks = DISKS, .private_size = sizeof(struct plan), .flags = SIM_BROKEN, \
	.catch_events = 600, .types = types, \
	.format = format_disk, .up = up_##ident, .work = work, .after = after, \
	.check = check, \
}

LAZY(lazy_log, "log");
LAZY(lazy_leg, "leg");
