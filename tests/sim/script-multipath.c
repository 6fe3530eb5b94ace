/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multipath: up to four servers of one disk, in one group or two, under every selector; they
 * are killed, stopped, answer with errors, and the machine with the disk loses its power; paths
 * are failed and groups switched by message; the table is suspended and loaded anew.  Nobody
 * may see an error (requests queue while there is no path), nothing that was acknowledged may
 * be missing, and nothing that was flushed when the power of our own machine fails.
 */
#include "sim.h"

#define LEGS_MAX 4
#define SECTORS 48

struct plan {
	unsigned legs, groups;
	bool bio_mode, errors, ghosts;
	unsigned unflushed_bytes;
	bool over;				/* no more trouble: everything heals */
	bool stopped[LEGS_MAX];
};

static const char *const leg_names[LEGS_MAX] = { "a:0", "a:1", "a:2", "a:3" };

static void format(struct sim *s)
{
	struct plan *p = sim_private(s);

	p->legs = 2 + sim_dice(s, 3);
	p->groups = 1 + sim_dice(s, 2);
	p->bio_mode = sim_one_in(s, 3);
	p->errors = sim_one_in(s, 3);
	/* from much room to hardly any */
	p->unflushed_bytes = 4096u << sim_dice(s, 6);
}

static void put_group(struct sim *s, char *table, size_t size, unsigned first, unsigned end)
{
	static const char *const selectors[] = { "round-robin 0", "queue-length 0",
		"service-time 0", "historical-service-time 0", "io-affinity 0" };
	unsigned i, which = sim_dice(s, 5);
	size_t n = strlen(table);

	n += snprintf(table + n, size - n, " %s %u %u", selectors[which], end - first, which == 4);
	for (i = first; i < end; i++) {
		n += snprintf(table + n, size - n, " leg:%s", leg_names[i]);
		if (which == 4)
			n += snprintf(table + n, size - n, " %x", 1u << i);
	}
}

static void make_table(struct sim *s, char *table, size_t size)
{
	static const char *const failbacks[] = { "manual", "immediate", "followover", "1" };
	struct plan *p = sim_private(s);
	unsigned half = p->groups == 2 ? 1 + sim_dice(s, p->legs - 1) : p->legs;

	snprintf(table, size, "0 %u multipath %u queue_if_no_path %sndm_checker 2 1 ndm_failback %s"
		 " ndm_unflushed %u 0 %u 1", SECTORS, p->bio_mode ? 10 : 8,
		 p->bio_mode ? "queue_mode bio " : "", failbacks[sim_dice(s, 4)],
		 p->unflushed_bytes, p->groups);
	put_group(s, table, size, 0, half);
	if (p->groups == 2)
		put_group(s, table, size, half, p->legs);
}

static void up(struct sim *s)
{
	struct plan *p = sim_private(s);
	char table[512];
	unsigned i;

	p->over = false;
	make_table(s, table, sizeof table);
	sim_up(s, "m", 0, "%s", table);
	for (i = 0; i < p->legs; i++) {
		p->stopped[i] = false;
		if (p->ghosts)
			sim_leg_ghosts(s, leg_names[i]);
	}
}

/* ---- trouble ---- */

static void heal(struct sim *s)
{
	struct plan *p = sim_private(s);
	unsigned i;

	for (i = 0; i < p->legs; i++) {
		if (p->stopped[i])
			sim_leg_cont(s, leg_names[i]);
		p->stopped[i] = false;
		sim_leg_return(s, leg_names[i]);
		sim_leg_errors(s, leg_names[i], 0);
	}
}

/* The machine with the disk: all servers are gone first. */
static void crash(struct sim *s)
{
	struct plan *p = sim_private(s);
	unsigned i, up;

	for (i = 0; i < p->legs; i++)
		if (p->stopped[i])
			sim_leg_cont(s, leg_names[i]);
	do {
		up = 0;
		for (i = 0; i < p->legs; i++) {
			p->stopped[i] = false;
			sim_leg_kill(s, leg_names[i]);
			up += sim_leg_up(s, leg_names[i]);
		}
		sim_sleep(s, 1000);
	} while (up);
	sim_disk_crash(s, "a");
}

static void leg_trouble(struct sim *s, unsigned i)
{
	struct plan *p = sim_private(s);

	switch (sim_dice(s, 4)) {
	case 0:
		sim_leg_kill(s, leg_names[i]);
		break;
	case 1:
		sim_leg_stop(s, leg_names[i]);
		p->stopped[i] = true;
		break;
	case 2:
		if (p->stopped[i])
			sim_leg_cont(s, leg_names[i]);
		p->stopped[i] = false;
		sim_leg_return(s, leg_names[i]);
		break;
	case 3:					/* of one leg alone: a request that all refuse fails */
		if (p->errors)
			sim_leg_errors(s, leg_names[0], sim_dice(s, 3));
		break;
	}
}

static void by_message(struct sim *s, struct sim_dev *m)
{
	static const char *const words[] = { "fail_path", "reinstate_path" };
	static const char *const group_words[] = { "switch_group", "disable_group",
		"enable_group" };
	struct plan *p = sim_private(s);
	int err;

	if (sim_one_in(s, 2))
		err = sim_try_message(m, "%s leg:%s", words[sim_dice(s, 2)],
				      leg_names[sim_dice(s, p->legs)]);
	else
		err = sim_try_message(m, "%s %u", group_words[sim_dice(s, 3)],
				      1 + sim_dice(s, p->groups));
	SIM_ASSERT(s, err >= 0 || err == -EBUSY);	/* it is being suspended */
}

static void trouble(struct sim *s, void *arg)
{
	struct plan *p = sim_private(s);
	struct sim_dev *m = arg;
	unsigned i, n = 4 + sim_dice(s, 12);

	for (i = 0; i < n; i++) {
		sim_sleep(s, 1 + sim_random(s) % 60000);
		switch (sim_dice(s, 8)) {
		case 0:
			by_message(s, m);
			break;
		case 1:
			if (!p->ghosts)
				crash(s);
			break;
		default:
			leg_trouble(s, sim_dice(s, p->legs));
		}
		SIM_ASSERT(s, strchr(sim_status(m), ' '));
	}
	sim_sleep(s, 1 + sim_random(s) % 3000000);
	heal(s);
	p->over = true;
}

/* Without flush: a suspend that flushes fails what has no path.  Mostly into a new table. */
static void suspender(struct sim *s, void *arg)
{
	struct plan *p = sim_private(s);
	struct sim_dev *m = arg;
	char table[512];

	while (!p->over) {
		sim_sleep(s, 1 + sim_random(s) % 300000);
		make_table(s, table, sizeof table);
		if (sim_dice(s, 3))
			SIM_ASSERT(s, !sim_load(m, "%s", table));
		SIM_ASSERT(s, !sim_suspend(m, NDM_SUSPEND_NOFLUSH));
		SIM_ASSERT(s, !sim_resume(m));
	}
}

static void work(struct sim *s)
{
	struct sim_dev *m = sim_dev(s, "m");

	sim_spawn(s, "trouble", trouble, m);
	if (sim_one_in(s, 3))
		sim_spawn(s, "suspender", suspender, m);
	sim_mix(m, &(struct sim_mix){ .tasks = 4, .ops = 25, .max_nr = 20, .read = 4, .write = 6,
				      .fua = 1, .flush = 2, .discard = 1, .zeroes = 1 });
	sim_join(s);
}

static void check(struct sim *s)
{
	struct sim_dev *m = sim_dev(s, "m");

	sim_verify(m);
}

SIM_SCRIPT(multipath) = {
	.name = "multipath",
	.summary = "servers of one disk that die, stop, fail and lose their memory",
	.disks = { { "a", SECTORS } },
	.private_size = sizeof(struct plan),
	.flags = SIM_NO_CUTS,
	.seeds = 300,
	.format = format,
	.up = up,
	.work = work,
	.check = check,
};

SIM_SCRIPT(multipath_cut) = {
	.name = "multipath-cut",
	.summary = "the same, and our own machine loses its power",
	.disks = { { "a", SECTORS } },
	.private_size = sizeof(struct plan),
	.one_in = 40,
	.format = format,
	.up = up,
	.work = work,
};

/* ---- without the copies: a machine that loses its power takes acknowledged data with it ---- */

static void format_unkept(struct sim *s)
{
	struct plan *p = sim_private(s);

	format(s);
	p->unflushed_bytes = 0;
}

SIM_SCRIPT(multipath_unkept) = {
	.name = "multipath-unkept",
	.summary = "nothing is kept of what was not flushed: data must be seen to get lost",
	.disks = { { "a", SECTORS } },
	.private_size = sizeof(struct plan),
	.flags = SIM_NO_CUTS | SIM_BROKEN,
	.seeds = 100,
	.format = format_unkept,
	.up = up,
	.work = work,
	.check = check,
};

/* ---- what no client can prevent: a server carries out what was long given up ---- */

static void format_ghosts(struct sim *s)
{
	struct plan *p = sim_private(s);

	format(s);
	p->ghosts = true;
}

SIM_SCRIPT(multipath_ghosts) = {
	.name = "multipath-ghosts",
	.summary = "a stopped server carries out what was given up: data must be seen to go wrong",
	.disks = { { "a", SECTORS } },
	.private_size = sizeof(struct plan),
	.flags = SIM_NO_CUTS | SIM_BROKEN,
	.seeds = 5000,
	.format = format_ghosts,
	.up = up,
	.work = work,
	.check = check,
};
