/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * striped: stripes of an odd chunk over disks that differ in what they know, and a device on
 * the striped one.  The number of stripes, the chunk and the offsets come from the dice.
 */
#include "sim.h"

struct plan { unsigned stripes, chunk, rows, offset[3]; };

static void format(struct sim *s)
{
	struct plan *p = sim_private(s);
	unsigned i;

	p->stripes = 1 + sim_dice(s, 3);
	p->chunk = 1 + sim_dice(s, 9);
	p->rows = 1 + sim_dice(s, 60 / p->chunk / 2);
	for (i = 0; i < 3; i++)
		p->offset[i] = sim_dice(s, 4);
}

static void up(struct sim *s)
{
	struct plan *p = sim_private(s);
	unsigned i, nr = p->stripes * p->chunk * p->rows;
	char table[256];
	int n = snprintf(table, sizeof table, "0 %u striped %u %u", nr, p->stripes, p->chunk);

	for (i = 0; i < p->stripes; i++)
		n += snprintf(table + n, sizeof table - n, " sim:%c %u", 'a' + i, p->offset[i]);
	sim_up(s, "striped", SIM_RAW, "%s", table);
	sim_up(s, "top", 0, "0 %u linear /dev/mapper/striped 0", nr);
}

static void work(struct sim *s)
{
	sim_mix(sim_dev(s, "top"), &(struct sim_mix){ .tasks = 3, .ops = 6, .max_nr = 40,
		.read = 3, .write = 5, .fua = 2, .flush = 2, .discard = 1, .zeroes = 1 });
}

static void check(struct sim *s)
{
	struct plan *p = sim_private(s);
	const char *status = sim_status(sim_dev(s, "striped"));
	char health[8] = "AAA";

	health[p->stripes] = '\0';
	if (!strstr(status, health))
		sim_fail(s, "status '%s' although no disk has failed", status);
}

SIM_SCRIPT(striped) = {
	.name = "striped",
	.samples = 1,
	.summary = "1 to 3 stripes of any chunk, below a linear device",
	.disks = { { "a", 64 }, { "b", 64, .flags = SIM_DISK_NO_ZEROES }, { "c", 64 } },
	.private_size = sizeof(struct plan),
	.format = format,
	.up = up,
	.work = work,
	.check = check,
};
