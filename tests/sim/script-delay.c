/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delay: writes and flushes that wait each their own time, while the device is suspended and
 * its table replaced.  What was acknowledged and flushed is there, whatever overtook what.
 */
#include "sim.h"

static void up(struct sim *s)
{
	sim_up(s, "m", 0, "0 40 delay sim:a 3 1 sim:a 3 2 sim:a 3 3");
}

static void suspender(struct sim *s, void *arg)
{
	struct sim_dev *m = arg;
	unsigned i;

	for (i = 0; i < 4; i++) {
		sim_sleep(s, 1 + sim_random(s) % 4000000);
		if (sim_one_in(s, 2)) {
			SIM_ASSERT(s, !sim_suspend(m, sim_one_in(s, 2) ? NDM_SUSPEND_NOFLUSH : 0));
			SIM_ASSERT(s, !strcmp(sim_status(m), "0 0 0"));
			SIM_ASSERT(s, !sim_resume(m));
		} else {
			unsigned writes = sim_dice(s, 3);

			SIM_ASSERT(s, !sim_reload(m, "0 40 delay sim:a 3 %u sim:a 3 %u",
						  writes, sim_dice(s, 3)));
		}
	}
}

static void work(struct sim *s)
{
	struct sim_dev *m = sim_dev(s, "m");

	sim_spawn(s, "suspender", suspender, m);
	sim_mix(m, &(struct sim_mix){ .tasks = 4, .ops = 6, .discard = 1, .read = 3, .write = 5,
				      .fua = 1, .flush = 2 });
	sim_join(s);
}

static void check(struct sim *s)
{
	struct sim_dev *m = sim_dev(s, "m");

	if (strcmp(sim_status(m), "0 0 0"))
		sim_fail(s, "idle, and the status says '%s'", sim_status(m));
}

SIM_SCRIPT(delay) = {
	.name = "delay",
	.summary = "delayed writes and flushes, suspended and reloaded meanwhile",
	.disks = { { "a", 64 } },
	.up = up,
	.work = work,
	.check = check,
};
