/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thin: whatever moment the power fails at, the metadata is right as a whole, what was flushed is
 * there, and a snapshot reads as its origin did when it was taken.
 *
 * The metadata is judged by tests/thin-check.c, which knows nothing of how it was written.
 */
#include "sim.h"
#include "tests/thin-check.h"

#define BLOCK 128u				/* sectors */
#define THIN (4u * BLOCK)			/* of a device */
#define DATA (24u * BLOCK)
#define META 512u				/* 64 metadata blocks */

struct plan {
	unsigned snaps;				/* that were promised: ids 1 .. snaps */
	bool copied[4];				/* their oracles know what they are */
	bool no_zero, no_passdown;
	const char *data, *meta;
};

static struct plan *plan(struct sim *s)
{
	return sim_private(s);
}

static void block_read(void *arg, uint64_t block, uint8_t *data)
{
	sim_disk_read(arg, "m", block * 8, 8, data);
}

static void metadata_right(struct sim *s)
{
	const char *why = thin_check(block_read, s);

	if (why)
		sim_fail(s, "the metadata is wrong: %s", why);
}

static void pool_up(struct sim *s)
{
	struct plan *p = plan(s);

	if (p->data)
		sim_up(s, "deaf", SIM_RAW, "0 %u thin-deaf sim:%s", p->data[0] == 'd' ? DATA : META, p->data);
	sim_up(s, "pool", SIM_RAW, "0 %u thin-pool %s %s %u 0%s", DATA,
	       p->data && p->data[0] == 'm' ? "dev:deaf" : "sim:m",
	       p->data && p->data[0] == 'd' ? "dev:deaf" : "sim:d", BLOCK,
	       p->no_zero && p->no_passdown ? " 2 skip_block_zeroing no_discard_passdown" :
	       p->no_zero ? " 1 skip_block_zeroing" : p->no_passdown ? " 1 no_discard_passdown" : " 0");
}

static void format_as(struct sim *s, const char *deaf)
{
	struct plan *p = plan(s);

	p->no_passdown = sim_one_in(s, 2);
	pool_up(s);
	sim_message(sim_dev(s, "pool"), "create_thin 0");
	p->data = deaf;
}

static void format(struct sim *s)
{
	format_as(s, NULL);
}

static void snap_up(struct sim *s, unsigned i)
{
	char name[8];

	snprintf(name, sizeof name, "t%u", i);
	sim_up(s, name, 0, "0 %u thin dev:pool %u", THIN, i);
	if (i && !plan(s)->copied[i]) {		/* nothing was written since it was taken */
		sim_oracle_copy(sim_dev(s, name), sim_dev(s, i == 1 ? "t0" : "t1"));
		plan(s)->copied[i] = true;
	}
}

static void up(struct sim *s)
{
	unsigned i;

	if (sim_cuts(s))
		metadata_right(s);
	pool_up(s);
	for (i = 0; i <= plan(s)->snaps; i++)
		snap_up(s, i);
}

static void mix(struct sim *s, void *dev)
{
	(void)s;
	sim_mix(dev, &(struct sim_mix){ .tasks = 2, .ops = 2, .max_nr = 16, .read = 2, .write = 6, .fua = 2,
					.flush = 2, .discard = 0, .zeroes = 0 });
}

static void blocks(struct sim *s, void *arg)
{
	struct sim_dev *dev = arg;
	unsigned b = sim_dice(s, 4), what = sim_dice(s, 3), flags = sim_one_in(s, 2) ? NDM_FUA : 0;

	if (what == 0)
		sim_io(dev, NDM_DISCARD, 0, b * BLOCK, BLOCK);
	else
		sim_io(dev, NDM_WRITE, flags, b * BLOCK, BLOCK);
}

static void take(struct sim *s, unsigned i)
{
	sim_message(sim_dev(s, "pool"), "create_snap %u %u", i, i - 1);
	plan(s)->snaps = i;
	sim_oracle_durable(sim_dev(s, i == 1 ? "t0" : "t1"));
	snap_up(s, i);
}

static void work(struct sim *s)
{
	mix(s, sim_dev(s, "t0"));
	take(s, 1);
	sim_spawn(s, "t0", mix, sim_dev(s, "t0"));
	sim_spawn(s, "t1", mix, sim_dev(s, "t1"));
	sim_spawn(s, "t0", blocks, sim_dev(s, "t0"));
	sim_join(s);
	take(s, 2);
	sim_spawn(s, "t1", blocks, sim_dev(s, "t1"));
	sim_spawn(s, "t2", mix, sim_dev(s, "t2"));
	sim_join(s);
	if (sim_one_in(s, 2))
		sim_sleep(s, 1500000000);	/* the commit that comes by itself */
	blocks(s, sim_dev(s, "t0"));
}

static void check(struct sim *s)
{
	const char *status = sim_status(sim_dev(s, "pool"));	/* commits */

	if (!strstr(status, " rw ") || strstr(status, "needs_check"))
		sim_fail(s, "the pool is not what it was: %s", status);
	metadata_right(s);
}

/* 24 blocks are enough for three devices of 4, twice */
#define THIN_DISKS { { "m", META }, { "d", DATA } }

SIM_SCRIPT(thin) = {
	.name = "thin",
	.summary = "a pool, a device, a snapshot and a snapshot of that",
	.disks = THIN_DISKS,
	.one_in = 12,
	.samples = 2,
	.seeds = 4,
	.private_size = sizeof(struct plan),
	.format = format,
	.up = up,
	.work = work,
	.check = check,
};

/* ---- short, and cut at every event ---- */

static void work_short(struct sim *s)
{
	struct sim_dev *t = sim_dev(s, "t0");

	sim_io(t, NDM_WRITE, 0, 3, 5);
	sim_io(t, NDM_FLUSH, 0, 0, 0);
	sim_io(t, NDM_WRITE, NDM_FUA, BLOCK, BLOCK);
	take(s, 1);
	sim_io(t, NDM_WRITE, 0, 7, 2);
	sim_io(sim_dev(s, "t1"), NDM_WRITE, NDM_FUA, BLOCK + 9, 1);
	sim_io(t, NDM_DISCARD, 0, BLOCK, BLOCK);
	sim_io(t, NDM_FLUSH, 0, 0, 0);
}

SIM_SCRIPT(thin_short) = {
	.name = "thin-short",
	.summary = "a few requests and a snapshot, cut at every event",
	.disks = THIN_DISKS,
	.seeds = 2,
	.private_size = sizeof(struct plan),
	.format = format,
	.up = up,
	.work = work_short,
	.check = check,
};

/* ---- planted: a device below that forgets its flushes ---- */

struct deaf { struct ndm_dev *dev; };

static int deaf_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct deaf *d = ti->private_data;

	(void)argc;
	ti->num_flush = 1;
	return ndm_get_dev(ti, argv[0], 0, ti->nr, &d->dev);
}

static enum ndm_map deaf_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct deaf *d = ti->private_data;

	if (bio->op == NDM_FLUSH) {
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	return ndm_remap(bio, d->dev, bio->sector);
}

static const struct ndm_target_type deaf_type = {
	.name = "thin-deaf",
	.private_size = sizeof(struct deaf),
	.ctr = deaf_ctr,
	.map = deaf_map,
};

static const struct ndm_target_type *const types[] = { &deaf_type, NULL };

static void format_deaf_data(struct sim *s)
{
	format_as(s, "d");
}

static void format_deaf_meta(struct sim *s)
{
	format_as(s, "m");
}

#define DEAF(ident, text, how) \
SIM_SCRIPT(ident) = { \
	.name = text, .summary = "a pool whose flushes get lost", .disks = THIN_DISKS, .flags = SIM_BROKEN, \
	.catch_events = 2000, .seeds = 3, .private_size = sizeof(struct plan), .format = how, .up = up, \
	.work = work_short, .check = check, .types = types, \
}

DEAF(thin_deaf_data, "thin-deaf-data", format_deaf_data);
DEAF(thin_deaf_meta, "thin-deaf-meta", format_deaf_meta);

/* ---- metadata that fails ---- */

static void write_only(struct sim *s)
{
	sim_mix(sim_dev(s, "t0"), &(struct sim_mix){ .tasks = 2, .ops = 3, .max_nr = 16, .write = 6,
						     .fua = 2, .flush = 2 });
}

/*
 * Once, anything; or from then on, writes: what can be read still is.  What was acknowledged and
 * not flushed may be lost at once when a transaction is, as in Linux, so nothing is read meanwhile.
 */
static void work_failing(struct sim *s)
{
	bool always = sim_one_in(s, 2);
	unsigned nth = 1 + sim_dice(s, 12);

	sim_fault(s, &(struct sim_fault){ .disk = "m", .nth = nth, .error = -EIO, .always = always,
					  .ops = 1 << NDM_WRITE | 1 << NDM_FLUSH | (always ? 0 : 1 << NDM_READ) });
	write_only(s);
	sim_try_message(sim_dev(s, "pool"), "create_snap 9 0");
	write_only(s);
	sim_fault_clear(s);
	sim_sleep(s, 3000000000);
	if (!strstr(sim_status(sim_dev(s, "pool")), " rw "))
		sim_oracle_any(sim_dev(s, "t0"), 0, THIN);
}

static void check_failing(struct sim *s)
{
	const char *status = sim_status(sim_dev(s, "pool"));

	if (strstr(status, " rw ") ? !!strstr(status, "needs_check") : !strstr(status, "needs_check"))
		sim_fail(s, "a strange state: %s", status);
	metadata_right(s);
}

SIM_SCRIPT(thin_failing) = {
	.name = "thin-failing",
	.summary = "a metadata device that fails: read-only, and right as of the last commit",
	.disks = THIN_DISKS,
	.flags = SIM_ERRORS_OK,
	.one_in = 15,
	.samples = 1,
	.seeds = 12,
	.private_size = sizeof(struct plan),
	.format = format,
	.up = up,
	.work = work_failing,
	.check = check_failing,
};
