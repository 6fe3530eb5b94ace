/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot: an origin that is written, and two snapshots of it, one with small and one with
 * large chunks, that are written as well.
 *
 * The oracles of the three devices know nothing of each other.  That a snapshot is frozen is
 * therefore seen at once: a sector that was not written to it must go on reading what it read
 * when it was taken, whatever has become of the origin, and through every cut.
 */
#include "sim.h"

#define SECTORS 64

static void up(struct sim *s)
{
	sim_up(s, "origin", 0, "0 %d snapshot-origin sim:o", SECTORS);
	sim_up(s, "small", 0, "0 %d snapshot sim:o sim:a P 1", SECTORS);
	sim_up(s, "large", 0, "0 %d snapshot sim:o sim:b P 8", SECTORS);
}

static void write_device(struct sim *s, void *dev)
{
	sim_mix(dev, &(struct sim_mix){ .tasks = 2, .ops = 4, .max_nr = 12 });
}

static void work(struct sim *s)
{
	sim_spawn(s, "origin", write_device, sim_dev(s, "origin"));
	sim_spawn(s, "small", write_device, sim_dev(s, "small"));
	sim_spawn(s, "large", write_device, sim_dev(s, "large"));
	sim_join(s);
}

static void check(struct sim *s)
{
	if (strstr(sim_status(sim_dev(s, "small")), "Invalid") ||
	    strstr(sim_status(sim_dev(s, "large")), "Invalid"))
		sim_fail(s, "a snapshot with room enough has become invalid");
}

/* room for every chunk, copied for the origin, and the areas: 32 exceptions fill one of 512 bytes */
SIM_SCRIPT(snapshot) = {
	.name = "snapshot",
	.summary = "an origin and two persistent snapshots of it, all written at once",
	.disks = { { "o", SECTORS }, { "a", 80 }, { "b", 96 } },
	.one_in = 3,
	.samples = 1,
	.up = up,
	.work = work,
	.check = check,
};
