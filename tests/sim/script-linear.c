/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linear: three lines over two disks, FUA by the seed; the smallest script there is.
 */
#include "sim.h"

static void up(struct sim *s)
{
	sim_up(s, "lin", 0,
	       "0 24 linear sim:a 0\n"
	       "24 16 linear sim:b 8\n"
	       "40 24 linear sim:a 40");
}

static void work(struct sim *s)
{
	sim_mix(sim_dev(s, "lin"), &(struct sim_mix){ .tasks = 3, .ops = 8, .max_nr = 24 });
}

SIM_SCRIPT(linear) = {
	.name = "linear",
	.summary = "three segments over two disks",
	.disks = { { "a", 64 }, { "b", 32 } },
	.up = up,
	.work = work,
};
