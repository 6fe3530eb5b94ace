/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writecache: what was flushed, or written with FUA, is there after every cut, in the cache or on
 * the origin; and when all has been written back the origin alone has it.
 *
 * Caches are small, so that writeback, writes around and blocks that are used again all happen
 * within a few requests.
 */
#include "sim.h"

#define NR 96

struct plan {
	unsigned block, start, high, low, jobs, blocks, ms, pause, age;
	bool cleaner;
};

static void format(struct sim *s)
{
	struct plan *p = sim_private(s);

	p->block = 512u << sim_dice(s, 3);
	p->start = sim_dice(s, 2) * 8;
	p->high = sim_dice(s, 5) * 25;
	p->low = p->high ? sim_dice(s, p->high + 1) : 0;
	p->jobs = sim_dice(s, 4);
	p->blocks = 1 + sim_dice(s, 40);
	p->ms = sim_one_in(s, 2) ? 1000 : 1 + sim_dice(s, 3);
	p->pause = sim_one_in(s, 2) ? 0 : 1 + sim_dice(s, 4);
	p->age = sim_one_in(s, 3) ? 32 : 0;
	p->cleaner = sim_one_in(s, 8);
}

static struct sim_dev *build(struct sim *s)
{
	const struct plan *p = sim_private(s);
	char more[64] = "";

	if (p->age)
		snprintf(more, sizeof more, " max_age %u", p->age);
	return sim_up(s, "w", 0,
		      "0 %u writecache s sim:o sim:c %u %u start_sector %u high_watermark %u "
		      "low_watermark %u writeback_jobs %u autocommit_blocks %u autocommit_time %u "
		      "pause_writeback %u%s%s", NR, p->block, 14 + 2 * !!p->age + p->cleaner, p->start,
		      p->high, p->low, p->jobs, p->blocks, p->ms, p->pause, more,
		      p->cleaner ? " cleaner" : "");
}

static void up(struct sim *s)
{
	sim_oracle_discards(build(s), SIM_DISCARD_ANY);
}

static const struct sim_mix mix = {
	.tasks = 4, .ops = 7, .max_nr = 24,
	.read = 3, .write = 7, .fua = 1, .flush = 2, .discard = 1, .zeroes = 1,
};

static void work(struct sim *s)
{
	sim_mix(sim_dev(s, "w"), &mix);
}

static void work_life(struct sim *s)
{
	const struct sim_mix some = { .tasks = 3, .ops = 4, .max_nr = 24, .read = 1, .write = 5,
				      .fua = 1, .flush = 1, .discard = 1 };
	struct sim_dev *d = sim_dev(s, "w");

	sim_mix(d, &some);
	sim_message(d, "flush");
	sim_mix(d, &some);
	SIM_ASSERT(s, !sim_suspend(d, 0));
	SIM_ASSERT(s, !sim_resume(d));
	sim_sleep(s, 5000000);
	sim_mix(d, &some);
	sim_message(d, "flush_on_suspend");
	SIM_ASSERT(s, !sim_suspend(d, 0));
	SIM_ASSERT(s, !sim_resume(d));
	sim_mix(d, &some);
	sim_message(d, "cleaner");
	sim_mix(d, &some);
}

/* everything goes to the origin, which is then as good as the device */
static void check(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "w");
	uint8_t should[512], is[512];
	unsigned i;

	sim_message(d, "flush");
	SIM_ASSERT(s, !sim_io(d, NDM_FLUSH, 0, 0, 0));	/* for what was written around the cache */
	if (strncmp(sim_status(d), "0 ", 2))
		sim_fail(s, "failed: %s", sim_status(d));
	for (i = 0; i < NR; i++) {
		if (!sim_oracle_expect(d, i, should))
			continue;
		sim_disk_read_durable(s, "o", i, 1, is);
		if (memcmp(should, is, sizeof is))
			sim_fail(s, "sector %u is not on the origin after the message flush", i);
	}
	sim_verify(d);
}

#define DISKS { { "o", NR }, { "c", 64 } }

SIM_SCRIPT(writecache) = {
	.name = "writecache",
	.summary = "a small writecache under load: flushed data survive every cut",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 2, .samples = 1,
	.format = format, .up = up, .work = work, .check = check,
};

SIM_SCRIPT(writecache_life) = {
	.name = "writecache-life",
	.summary = "a writecache that is flushed, suspended and cleaned between writes",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 4, .samples = 1,
	.format = format, .up = up, .work = work_life, .check = check,
};

/* ---- a device that fails: errors, never other data than was written ---- */

static void work_faulty(struct sim *s)
{
	sim_fault(s, &(struct sim_fault){ .disk = sim_one_in(s, 2) ? "c" : "o", .error = -EIO,
		.nth = 1 + sim_dice(s, 20), .always = sim_one_in(s, 2) });
	sim_mix(sim_dev(s, "w"), &mix);
	sim_fault_clear(s);
}

static void check_faulty(struct sim *s)
{
	sim_down(sim_dev(s, "w"));
	build(s);
	sim_verify(sim_dev(s, "w"));
}

SIM_SCRIPT(writecache_faulty) = {
	.name = "writecache-faulty",
	.summary = "a writecache one of whose devices fails",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.flags = SIM_ERRORS_OK | SIM_NO_CUTS, .seeds = 30,
	.format = format, .up = up, .work = work_faulty, .check = check_faulty,
};
