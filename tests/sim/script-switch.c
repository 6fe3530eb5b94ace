/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * switch over paths that lead to the same disk, its regions moved about by messages during
 * I/O; switch over two disks; and unstriped, the stripes of a striped device each by itself.
 * Both hand flushes down, which the kernel's do not: what was flushed has to survive.
 */
#include "sim.h"

static void up_switch(struct sim *s)
{
	sim_up(s, "p0", SIM_RAW, "0 48 linear sim:a 0");
	sim_up(s, "p1", SIM_RAW, "0 50 linear sim:a 0");
	sim_up(s, "m", 0, "0 45 switch 3 4 0 /dev/mapper/p0 2 /dev/mapper/p1 2 sim:a 2");
	sim_up(s, "apart", 0, "0 30 switch 2 4 0 sim:b 0 sim:c 1");
}

static void mover(struct sim *s, void *arg)
{
	unsigned i, j, r[4];

	for (i = 0; i < 6; i++) {
		sim_sleep(s, 1 + sim_random(s) % 20000);
		for (j = 0; j < 4; j++)		/* before the call: arguments have no order */
			r[j] = sim_random(s);
		sim_message(arg, "set_region_mappings %x:%x :%x R2,%x", r[0] % 4, r[1] % 3,
			    r[2] % 3, r[3] % 6);
	}
}

static void work_switch(struct sim *s)
{
	struct sim_dev *m = sim_dev(s, "m");

	sim_spawn(s, "mover", mover, m);
	sim_mix(m, &(struct sim_mix){ .tasks = 4, .ops = 6, .read = 3, .write = 5, .fua = 1,
				      .flush = 2, .discard = 1, .zeroes = 1 });
	sim_join(s);
	sim_mix(sim_dev(s, "apart"), &(struct sim_mix){ .tasks = 2, .ops = 5 });
}

SIM_SCRIPT(switch) = {
	.name = "switch",
	.summary = "three paths to one disk, regions moved during I/O; two paths to two",
	.disks = { { "a", 64 }, { "b", 32 }, { "c", 32 } },
	.up = up_switch,
	.work = work_switch,
};

static void up_unstriped(struct sim *s)
{
	sim_up(s, "striped", SIM_RAW, "0 60 striped 3 5 sim:a 0 sim:b 1 sim:c 2");
	sim_up(s, "u0", 0, "0 20 unstriped 3 5 0 /dev/mapper/striped 0");
	sim_up(s, "u2", 0, "0 20 unstriped 3 5 2 /dev/mapper/striped 0");
}

static void work_unstriped(struct sim *s)
{
	sim_mix(sim_dev(s, "u0"), &(struct sim_mix){ .tasks = 2, .ops = 6 });
	sim_mix(sim_dev(s, "u2"), &(struct sim_mix){ .tasks = 2, .ops = 6 });
}

SIM_SCRIPT(unstriped) = {
	.name = "unstriped",
	.summary = "two stripes of a striped device, each by itself",
	.disks = { { "a", 32 }, { "b", 32 }, { "c", 32 } },
	.up = up_unstriped,
	.work = work_unstriped,
};
