/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack: two lower devices and one on top of both, of a shape that the dice choose; while I/O
 * runs, each in turn is suspended and resumed, or gets its table anew.  Not a byte may get
 * lost, come twice, or come late, whatever the moment; cuts included.
 */
#include "sim.h"

#define LOW_NR 48

struct shape { char low[2][128]; char top[128]; unsigned nr; };

static void format(struct sim *s)
{
	struct shape *p = sim_private(s);
	unsigned i, split = 8 * (1 + sim_dice(s, 4)), first = 8 * sim_dice(s, 2);

	for (i = 0; i < 2; i++) {
		const char *one = i ? "c" : "a", *two = i ? "d" : "b";

		switch (sim_dice(s, 3)) {
		case 0:
			snprintf(p->low[i], sizeof p->low[i], "0 %u striped 2 8 sim:%s 0 sim:%s 8",
				 LOW_NR, one, two);
			break;
		case 1:
			snprintf(p->low[i], sizeof p->low[i],
				 "0 16 linear sim:%s 8\n16 %u linear sim:%s 0", one, LOW_NR - 16,
				 two);
			break;
		default:
			snprintf(p->low[i], sizeof p->low[i], "0 %u linear sim:%s 8", LOW_NR, one);
		}
	}
	p->nr = split + LOW_NR - first;
	snprintf(p->top, sizeof p->top,
		 "0 %u linear /dev/mapper/low0 0\n%u %u linear /dev/mapper/low1 %u", split, split,
		 LOW_NR - first, first);
}

static void up(struct sim *s)
{
	struct shape *p = sim_private(s);

	sim_up(s, "low0", SIM_RAW, "%s", p->low[0]);
	sim_up(s, "low1", SIM_RAW, "%s", p->low[1]);
	sim_up(s, "top", 0, "%s", p->top);
}

static void disturb(struct sim *s, void *arg)
{
	static const char *const names[] = { "low0", "low1", "top" };
	struct shape *p = sim_private(s);
	unsigned i, n;

	for (i = 0; i < 5; i++) {
		struct sim_dev *d = sim_dev(s, names[n = sim_dice(s, 3)]);
		int err;

		if (sim_one_in(s, 2)) {
			err = sim_reload(d, "%s", n == 2 ? p->top : p->low[n]);
		} else {
			err = sim_suspend(d, sim_dice(s, 4));
			sim_sleep(s, sim_dice(s, 10000));
			err = err ? err : sim_resume(d);
		}
		if (err)
			sim_fail(s, "%s: %s: %s", names[n], strerror(-err), sim_why(s));
		sim_sleep(s, sim_dice(s, 5000));
	}
}

static void work(struct sim *s)
{
	sim_spawn(s, "disturb", disturb, NULL);
	sim_mix(sim_dev(s, "top"), &(struct sim_mix){ .tasks = 4, .ops = 8, .max_nr = 48,
		.read = 4, .write = 5, .fua = 2, .flush = 2, .zeroes = 1 });
	sim_join(s);
}

SIM_SCRIPT(stack) = {
	.name = "stack",
	.summary = "I/O through a stack whose parts are suspended and reloaded meanwhile",
	.disks = { { "a", 64 }, { "b", 64, .block_bytes = 4096 },
		   { "c", 64, .flags = SIM_DISK_NO_FUA }, { "d", 64, .flags = SIM_DISK_NO_ZEROES } },
	.seeds = 8,
	.one_in = 3,
	.samples = 1,
	.private_size = sizeof(struct shape),
	.format = format,
	.up = up,
	.work = work,
};
