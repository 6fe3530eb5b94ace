/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raid: after any cut, and the resync that follows, copies are equal and parity fits, what was
 * flushed is there; a member that has failed is not believed when it comes back.
 *
 * Members begin different where nothing has been promised yet (copies, parity), so that a resync
 * that does too little is seen.  Writes to raid1 and raid10 that are under way together do not
 * overlap, as with a mirror: nothing orders them.  Copies are compared on the disks themselves; so
 * is P (the exclusive or of all members of a raid4/5); for Q the array's own check is asked.
 *
 * A raid5 that is degraded when the power fails may lose what was not written (the write hole, as
 * with Linux): those scripts have no cuts.
 */
#include "sim.h"

#define MEMBER 48				/* sectors of each */
#define DISKS4 \
	{ { "a", MEMBER }, { "b", MEMBER }, { "c", MEMBER }, { "d", MEMBER }, \
	  { "ma", 16 }, { "mb", 16 }, { "mc", 16 }, { "md", 16 } }

static const char *const names[] = { "a", "b", "c", "d" };

struct plan {
	const char *type, *words;
	unsigned nwords, n;			/* members */
	unsigned sectors;
	bool copies;				/* raid1, raid10 */
	unsigned gone;				/* member that is left out, + 1 */
	const char *lazy;			/* data of member b, or its metadata, by this name */
	bool lazy_meta;
	unsigned writers;
};

static struct plan *plan(struct sim *s)
{
	return sim_private(s);
}

static void fill(struct sim *s, const char *disk, int byte)
{
	uint8_t bytes[512];
	unsigned i;

	memset(bytes, byte, sizeof bytes);
	for (i = 0; i < MEMBER; i++)
		sim_disk_write(s, disk, i, 1, bytes);
}

/* ---- how it is built ---- */

static void table_make(struct sim *s, const char *more, unsigned nmore, char *to, size_t room)
{
	struct plan *p = plan(s);
	unsigned i;
	size_t at;

	at = (size_t)snprintf(to, room, "0 %u raid %s %u %s%s %u", p->sectors, p->type,
			      p->nwords + nmore, p->words, more, p->n);
	for (i = 0; i < p->n; i++) {
		char meta[32], data[32];

		snprintf(meta, sizeof meta, "sim:m%s", names[i]);
		snprintf(data, sizeof data, "sim:%s", names[i]);
		if (i == 1 && p->lazy)
			snprintf(p->lazy_meta ? meta : data, sizeof meta, "%s", p->lazy);
		if (i + 1 == p->gone)
			at += (size_t)snprintf(to + at, room - at, " - -");
		else
			at += (size_t)snprintf(to + at, room - at, " %s %s", meta, data);
	}
}

static void up(struct sim *s)
{
	char table[400];

	table_make(s, "", 0, table, sizeof table);
	sim_up(s, "r", 0, "%s", table);
}

static void format_1(struct sim *s)
{
	static const char *const words[] = { "0 region_size 8", "0 region_size 16", "0 region_size 32" };
	struct plan *p = plan(s);

	*p = (struct plan){ .type = "raid1", .words = words[sim_dice(s, 3)], .nwords = 3,
			    .n = 2 + sim_dice(s, 2), .sectors = MEMBER, .copies = true };
	fill(s, "b", 0xb0);
	fill(s, "c", 0xc0);
}

/* one leg, the first or the second, gets writes later */
static void format_behind(struct sim *s)
{
	struct plan *p = plan(s);
	unsigned n = 2 + sim_dice(s, 2);
	bool second = sim_one_in(s, 2);

	*p = (struct plan){ .words = second ? "0 region_size 8 write_mostly 1 max_write_behind 12"
					    : "0 region_size 16 write_mostly 0 max_write_behind 4",
			    .type = "raid1", .nwords = 7, .n = n, .sectors = MEMBER, .copies = true };
	/* what is there is what the first other leg has */
	fill(s, second ? "b" : "a", 0xb0);
	fill(s, "c", 0xc0);
}

static void format_10(struct sim *s)
{
	static const char *const words[] = { "8 region_size 8", "8 region_size 16 raid10_format far",
					     "8 region_size 8 raid10_format offset" };
	struct plan *p = plan(s);
	unsigned i = sim_dice(s, 3);

	*p = (struct plan){ .type = "raid10", .words = words[i], .nwords = i ? 5 : 3, .n = 4,
			    .sectors = 2 * MEMBER, .copies = true };
}

static void format_5(struct sim *s)
{
	static const char *const types[] = { "raid4", "raid5_n", "raid5_ls", "raid5_ra" };
	struct plan *p = plan(s);
	unsigned i = sim_dice(s, 4);

	*p = (struct plan){ .type = types[i], .words = "8 region_size 16", .nwords = 3,
			    .n = 3 + sim_dice(s, 2) };
	p->sectors = (p->n - 1) * MEMBER;
	if (i < 2)
		fill(s, i ? names[p->n - 1] : "a", 0xaa);
}

static void format_6(struct sim *s)
{
	static const char *const types[] = { "raid6_zr", "raid6_n_6", "raid6_nc", "raid6_la_6" };
	struct plan *p = plan(s);
	unsigned i = sim_dice(s, 4);

	*p = (struct plan){ .type = types[i], .words = "8 region_size 16", .nwords = 3, .n = 4,
			    .sectors = 2 * MEMBER };
	if (i == 1) {
		fill(s, "c", 0xcc);
		fill(s, "d", 0xdd);
	}
}

/* ---- what is done with it ---- */

struct writer { unsigned first, nr, ops; };

static void write_part(struct sim *s, void *arg)
{
	struct writer *w = arg;

	sim_mix(sim_dev(s, "r"), &(struct sim_mix){ .tasks = 1, .ops = w->ops, .max_nr = 20,
		.first = w->first, .nr = w->nr, .write = 5, .read = 2, .fua = 1, .flush = 2 });
	plan(s)->writers--;
	free(w);
}

static void write_parts(struct sim *s, unsigned n, unsigned ops)
{
	unsigned part = plan(s)->sectors / n, i;

	for (i = 0; i < n; i++) {
		struct writer *w = calloc(1, sizeof *w);

		/* parts' edges are within chunks and regions; parity is shared anyway */
		*w = (struct writer){ i * part, part, ops };
		plan(s)->writers++;
		sim_spawn(s, "writer", write_part, w);
	}
}

static void work(struct sim *s)
{
	write_parts(s, 3, 4);
	sim_join(s);
	sim_sleep(s, (1 + sim_dice(s, 3)) * UINT64_C(6000000000));	/* some bits go */
	write_parts(s, 3, 4);
	sim_join(s);
}

/* stopped and started, and the same table again */
static void work_stops(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");
	char table[400];

	write_parts(s, 2, 3);
	sim_join(s);
	SIM_ASSERT(s, !sim_suspend(r, 0));
	SIM_ASSERT(s, !sim_resume(r));
	write_parts(s, 2, 3);
	sim_join(s);
	table_make(s, "", 0, table, sizeof table);
	SIM_ASSERT(s, !sim_reload(r, "%s", table));
	write_parts(s, 2, 3);
	sim_join(s);
}

static void after(struct sim *s)
{
	write_parts(s, 2, 2);
}

/* ---- what must hold ---- */

static void copies_equal(struct sim *s, const char *one, const char *other)
{
	uint8_t a[512], b[512];
	unsigned i;

	for (i = 0; i < MEMBER; i++) {
		sim_disk_read(s, one, i, 1, a);
		sim_disk_read(s, other, i, 1, b);
		if (memcmp(a, b, sizeof a))
			sim_fail(s, "sector %u of %s and %s differs", i, one, other);
	}
}

static void parity_fits(struct sim *s)
{
	uint8_t sum[512], one[512];
	unsigned i, k, j;

	for (i = 0; i < MEMBER; i++) {
		memset(sum, 0, sizeof sum);
		for (k = 0; k < plan(s)->n; k++) {
			sim_disk_read(s, names[k], i, 1, one);
			for (j = 0; j < sizeof sum; j++)
				sum[j] ^= one[j];
		}
		for (j = 0; j < sizeof sum; j++)
			if (sum[j])
				sim_fail(s, "parity of row %u does not fit", i);
	}
}

static void wait_idle(struct sim *s)
{
	struct plan *p = plan(s);
	unsigned total = p->copies && p->n == 4 ? p->sectors : MEMBER;
	char all[40];

	snprintf(all, sizeof all, " %.*s %u/%u idle ", (int)p->n, "AAAA", total, total);
	sim_wait_status(sim_dev(s, "r"), all);
}

static void check(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");
	struct plan *p = plan(s);
	unsigned i;

	wait_idle(s);
	sim_message(r, "check");		/* waits for what is behind, too */
	wait_idle(s);
	if (!strstr(sim_status(r), " idle 0 0 "))
		sim_fail(s, "the check found: %s", sim_status(r));
	if (!strcmp(p->type, "raid1"))
		for (i = 1; i < p->n; i++)
			copies_equal(s, "a", names[i]);
	else if (p->type[4] == '4' || p->type[4] == '5')
		parity_fits(s);
	else if (p->nwords == 3 && p->copies) {
		copies_equal(s, "a", "b");
		copies_equal(s, "c", "d");
	}
}

#define RAID(ident, title, what, make, do_work) \
SIM_SCRIPT(ident) = { \
	.name = title, .summary = what, .disks = DISKS4, .private_size = sizeof(struct plan), \
	.one_in = 3, .samples = 1, \
	.format = make, .up = up, .work = do_work, .after = after, .check = check, \
}

RAID(raid1, "raid1", "raid1: the bitmap tells the truth after any cut", format_1, work);
RAID(raid1_behind, "raid1-behind", "raid1: a write-mostly leg gets writes later", format_behind, work);
RAID(raid10, "raid10", "raid10 near, far, offset: likewise", format_10, work);
RAID(raid5, "raid5", "raid4 and raid5: parity fits after any cut", format_5, work);
RAID(raid6, "raid6", "raid6: P and Q fit after any cut", format_6, work);
RAID(raid1_stops, "raid1-stops", "raid1: suspended, resumed, loaded again", format_1, work_stops);
RAID(raid5_stops, "raid5-stops", "raid5: suspended, resumed, loaded again", format_5, work_stops);

/* ---- a member that fails ---- */

static void fault(struct sim *s)
{
	bool meta = sim_one_in(s, 3), always = sim_one_in(s, 2);
	unsigned what = sim_dice(s, 4), nth = 1 + sim_dice(s, 10);

	sim_fault(s, &(struct sim_fault){ .disk = meta ? "mb" : "b", .nth = nth, .error = -EIO,
		.always = always, .ops = what == 3 ? 1u << NDM_FLUSH : what == 2 ? 1u << NDM_READ
					 : 1u << NDM_WRITE });
}

static void work_fails(struct sim *s)
{
	wait_idle(s);
	fault(s);
	work(s);
}

/* it is there again: what it has missed is copied, and nothing of it was believed */
static void check_fails(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");

	sim_fault_clear(s);
	SIM_ASSERT(s, !sim_suspend(r, 0));
	SIM_ASSERT(s, !sim_resume(r));
	check(s);
	sim_verify(r);
}

#define FAILING(ident, title, make, more) \
SIM_SCRIPT(ident) = { \
	.name = title, .summary = "a member that fails, and comes back", .disks = DISKS4, \
	.private_size = sizeof(struct plan), .one_in = 3, .samples = 1, .flags = more, .seeds = 8, \
	.format = make, .up = up, .work = work_fails, .after = after, .check = check_fails, \
}

FAILING(raid1_fails, "raid1-fails", format_1, 0);
FAILING(raid1_behind_fails, "raid1-behind-fails", format_behind, 0);
FAILING(raid10_fails, "raid10-fails", format_10, 0);
FAILING(raid5_fails, "raid5-fails", format_5, SIM_NO_CUTS);
FAILING(raid6_fails, "raid6-fails", format_6, SIM_NO_CUTS);

/* ---- a journal: no stripe is half old and half new, even where a member is lost as well ---- */

#define DISKS_JOURNAL \
	{ { "a", MEMBER }, { "b", MEMBER }, { "c", MEMBER }, { "d", MEMBER }, \
	  { "ma", 16 }, { "mb", 16 }, { "mc", 16 }, { "md", 16 }, { "j", 8192 } }

static void format_journal(struct sim *s)
{
	bool six = sim_one_in(s, 3);

	if (six)
		format_6(s);
	else
		format_5(s);
	plan(s)->words = "8 journal_dev sim:j";
}

/* a member is missing from some time on, and the power fails after that */
static void work_journal(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");
	char table[400];

	wait_idle(s);
	write_parts(s, 2, 3);
	sim_join(s);
	SIM_ASSERT(s, !sim_suspend(r, 0));
	plan(s)->gone = 1 + sim_dice(s, plan(s)->n);
	table_make(s, "", 0, table, sizeof table);
	SIM_ASSERT(s, !sim_load(r, "%s", table));
	SIM_ASSERT(s, !sim_resume(r));
	write_parts(s, 3, 5);
	sim_join(s);
}

/* it comes back, and parity fits again */
static void check_journal(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");
	char table[400];

	plan(s)->gone = 0;
	table_make(s, "", 0, table, sizeof table);
	SIM_ASSERT(s, !sim_reload(r, "%s", table));
	check(s);
	sim_verify(r);
}

SIM_SCRIPT(raid5_journal) = {
	.name = "raid5-journal",
	.summary = "raid4/5/6 with a journal: a member is missing when the power fails",
	.disks = DISKS_JOURNAL, .private_size = sizeof(struct plan), .one_in = 4, .samples = 1,
	.format = format_journal, .up = up, .work = work_journal, .after = after,
	.check = check_journal,
};

/* left out for a while, then there with its old contents; then new, and filled */
static void work_missing(struct sim *s)
{
	struct sim_dev *r = sim_dev(s, "r");
	struct plan *p = plan(s);
	char table[400], more[32];
	unsigned who = sim_dice(s, p->n);

	wait_idle(s);
	p->gone = who + 1;
	table_make(s, "", 0, table, sizeof table);
	SIM_ASSERT(s, !sim_reload(r, "%s", table));
	write_parts(s, 3, 4);
	sim_join(s);
	p->gone = 0;
	table_make(s, "", 0, table, sizeof table);
	SIM_ASSERT(s, !sim_reload(r, "%s", table));
	write_parts(s, 3, 4);
	sim_join(s);
	check(s);
	snprintf(more, sizeof more, " rebuild %u", who);
	table_make(s, more, 2, table, sizeof table);
	SIM_ASSERT(s, !sim_suspend(r, 0));
	fill(s, names[who], 0x55);
	SIM_ASSERT(s, !sim_load(r, "%s", table));
	SIM_ASSERT(s, !sim_resume(r));
	write_parts(s, 2, 3);
	sim_join(s);
}

#define MISSING(ident, title, make) \
SIM_SCRIPT(ident) = { \
	.name = title, .summary = "a member is missing, comes back, is replaced", .disks = DISKS4, \
	.private_size = sizeof(struct plan), .flags = SIM_NO_CUTS, .seeds = 10, \
	.format = make, .up = up, .work = work_missing, .after = after, .check = check, \
}

MISSING(raid1_missing, "raid1-missing", format_1);
MISSING(raid10_missing, "raid10-missing", format_10);
MISSING(raid5_missing, "raid5-missing", format_5);
MISSING(raid6_missing, "raid6-missing", format_6);

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

	if (bio->op == NDM_FLUSH)
		return 0;
	bio->flags &= ~NDM_FUA;
	return ndm_forward(bio, l->dev, ndm_offset(ti, bio->sector));
}

static const struct ndm_target_type lazy_type = {
	.name = "sim-lazy", .private_size = sizeof(struct lazy), .ctr = lazy_ctr, .io = lazy_io,
};

static const struct ndm_target_type *const types[] = { &lazy_type, NULL };

static void up_lazy(struct sim *s, bool meta)
{
	sim_up(s, "lazy", SIM_RAW, meta ? "0 16 sim-lazy sim:mb" : "0 48 sim-lazy sim:b");
	plan(s)->lazy = "/dev/mapper/lazy";
	plan(s)->lazy_meta = meta;
	up(s);
}

static void up_lazy_leg(struct sim *s) { up_lazy(s, false); }

#define LAZY(ident, title, make) \
SIM_SCRIPT(ident) = { \
	.name = title, .summary = "planted: a member that is never flushed", .disks = DISKS4, \
	.private_size = sizeof(struct plan), .flags = SIM_BROKEN, .catch_events = 1500, \
	.types = types, .format = make, .up = up_lazy_leg, .work = work, .after = after, \
	.check = check, \
}

LAZY(raid1_lazy, "raid1-lazy", format_1);
LAZY(raid5_lazy, "raid5-lazy", format_5);
