/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faulty: striped over disks that fail, hang, get shorter and go away.  Requests may fail;
 * those that succeed must have told the truth, and in the end, when the disks are whole
 * again, everything can be read, and every sector holds something that was written there.
 */
#include "sim.h"

static void up(struct sim *s)
{
	sim_up(s, "low", SIM_RAW, "0 48 striped 2 4 sim:a 0 sim:b 0");
	sim_up(s, "m", 0, "0 48 linear /dev/mapper/low 0\n48 16 linear sim:b 40");
}

static void breaker(struct sim *s, void *arg)
{
	static const int errors[] = { -EIO, -ENODATA, -ETIMEDOUT, -EILSEQ, -ENOSPC };
	unsigned i;

	for (i = 0; i < 8; i++) {
		struct sim_fault f = { .disk = sim_one_in(s, 2) ? "a" : "b" };

		f.ops = sim_dice(s, 32);
		f.nth = 1 + sim_dice(s, 4);
		f.error = sim_one_in(s, 4) ? 0 : errors[sim_dice(s, 5)];
		f.delay_ns = sim_one_in(s, 3) ? sim_dice(s, 1000000) : 0;
		f.untouched = sim_one_in(s, 2);
		f.first = sim_dice(s, 32);
		f.last = f.first + sim_dice(s, 8);
		sim_fault(s, &f);
		sim_sleep(s, sim_dice(s, 20000));
		if (sim_one_in(s, 4)) {
			sim_disk_connect(s, f.disk, false);
			sim_sleep(s, sim_dice(s, 5000));
			sim_disk_connect(s, f.disk, true);
		}
	}
}

static void work(struct sim *s)
{
	sim_spawn(s, "breaker", breaker, NULL);
	sim_mix(sim_dev(s, "m"), &(struct sim_mix){ .tasks = 4, .ops = 10, .max_nr = 24 });
	sim_join(s);
	sim_fault_clear(s);
}

SIM_SCRIPT(faulty) = {
	.name = "faulty",
	.summary = "disks that fail, hang and go away, below striped and linear",
	.disks = { { "a", 32 }, { "b", 64 } },
	.flags = SIM_ERRORS_OK,
	.seeds = 8,
	.one_in = 4,
	.samples = 1,
	.up = up,
	.work = work,
};
