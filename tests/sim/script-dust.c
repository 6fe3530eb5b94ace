/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dust and flakey: requests that fail must leave the sectors they were about as they were or
 * as they should have become, and all others alone.
 */
#include "sim.h"

static void up_dust(struct sim *s)
{
	struct sim_dev *m = sim_up(s, "m", 0, "0 40 dust sim:a 5 1024");
	unsigned i, n = sim_dice(s, 6);

	for (i = 0; i < n; i++) {
		unsigned block = 2 + sim_dice(s, 20);

		sim_try_message(m, "addbadblock %u %u", block, sim_dice(s, 3));
	}
	sim_message(m, "quiet");
}

static void work_dust(struct sim *s)
{
	struct sim_dev *m = sim_dev(s, "m");

	sim_message(m, "enable");
	sim_mix(m, &(struct sim_mix){ .tasks = 3, .ops = 8, .max_nr = 6 });
	sim_message(m, "disable");
}

SIM_SCRIPT(dust) = {
	.name = "dust",
	.summary = "bad blocks that fail and heal",
	.disks = { { "a", 64 } },
	.flags = SIM_ERRORS_OK,
	.up = up_dust,
	.work = work_dust,
};

static void up_flakey(struct sim *s)
{
	sim_up(s, "m", 0, "0 40 flakey sim:a 5 1 1");
}

static void clock_mover(struct sim *s, void *arg)
{
	(void)arg;
	sim_sleep(s, 1500000000);
}

static void work_flakey(struct sim *s)
{
	unsigned i;

	for (i = 0; i < 3; i++) {
		sim_spawn(s, "clock", clock_mover, NULL);
		sim_mix(sim_dev(s, "m"), &(struct sim_mix){ .tasks = 2, .ops = 4 });
		sim_join(s);
	}
	/* up again, so that what is there can be looked at */
	SIM_ASSERT(s, !sim_reload(sim_dev(s, "m"), "0 40 flakey sim:a 5 3600 0"));
}

SIM_SCRIPT(flakey) = {
	.name = "flakey",
	.summary = "a device that fails every other second",
	.disks = { { "a", 64 } },
	.flags = SIM_ERRORS_OK,
	.up = up_flakey,
	.work = work_flakey,
};
