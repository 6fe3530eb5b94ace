/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ebs: small blocks on a disk of larger ones.  A cut in the middle of read-modify-write may
 * cost what was being written, and no neighbour; requests that share a block do not undo
 * each other.
 */
#include "sim.h"

struct plan { unsigned underlying, offset; };

static void format(struct sim *s)
{
	struct plan *p = sim_private(s);

	p->underlying = 2u << sim_dice(s, 3);
	p->offset = p->underlying * sim_dice(s, 3);
}

static void up(struct sim *s)
{
	struct plan *p = sim_private(s);

	sim_up(s, "small", 0, "0 96 ebs sim:a %u 1 %u", p->offset, p->underlying);
	sim_up(s, "native", 0, "0 48 ebs sim:b 8 1");
}

static void work(struct sim *s)
{
	const struct sim_mix mix = { .tasks = 4, .ops = 6, .max_nr = 20,
				     .read = 3, .write = 6, .fua = 2, .flush = 2, .discard = 1 };

	sim_mix(sim_dev(s, "small"), &mix);
	sim_mix(sim_dev(s, "native"), &mix);
}

SIM_SCRIPT(ebs) = {
	.name = "ebs",
	.summary = "small blocks on larger ones, read-modify-write",
	.disks = { { "a", 160 }, { "b", 64, .block_bytes = 4096 } },
	.private_size = sizeof(struct plan),
	.format = format,
	.up = up,
	.work = work,
};
