/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot-merge: a snapshot goes back into its origin while the device is in use.
 *
 * The device is made as a snapshot first and written; what it reads then is what it must read
 * as a merge, at every moment of it, after a cut, and from the bare origin at the end.
 */
#include "sim.h"

#define SECTORS 48

struct plan { unsigned chunk; };

static void format(struct sim *s)
{
	struct plan *p = sim_private(s);

	p->chunk = 1u << sim_dice(s, 4);
	sim_up(s, "base", SIM_RAW, "0 %d snapshot-origin sim:o", SECTORS);
	sim_up(s, "m", 0, "0 %d snapshot sim:o sim:cow P %u", SECTORS, p->chunk);
	sim_mix(sim_dev(s, "m"), &(struct sim_mix){ .tasks = 2, .ops = 8, .max_nr = 12, .write = 1 });
}

static void up(struct sim *s)
{
	struct plan *p = sim_private(s);

	sim_up(s, "m", 0, "0 %d snapshot-merge sim:o sim:cow P %u", SECTORS, p->chunk);
}

static void work(struct sim *s)
{
	sim_mix(sim_dev(s, "m"), &(struct sim_mix){ .tasks = 2, .ops = 4, .max_nr = 12 });
}

/* merged as far as it goes: what is taken is the metadata of an empty store */
static void check(struct sim *s)
{
	struct plan *p = sim_private(s);
	char done[32];

	snprintf(done, sizeof done, "%u/96 %u", 2 * p->chunk, 2 * p->chunk);
	sim_wait_status(sim_dev(s, "m"), done);
	sim_verify(sim_dev(s, "m"));
}

SIM_SCRIPT(snapshot_merge) = {
	.name = "snapshot-merge",
	.summary = "a snapshot is merged into its origin while the device is written",
	.disks = { { "o", SECTORS }, { "cow", 96 } },
	.private_size = sizeof(struct plan),
	.seeds = 6,
	.one_in = 2,
	.samples = 1,
	.format = format,
	.up = up,
	.work = work,
	.check = check,
};
