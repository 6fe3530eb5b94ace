/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multipath-stall: how long a request is held up at most.  Up to eight servers of one disk, of
 * which one is well; of the others as many as the dice say stop, die or answer with errors, at up
 * to three moments in a row, and come back.  No request may take longer than the checker's
 * time-out and a second, and the status line may not take any time at all, be a suspend waiting
 * for a server that has stopped or not.
 *
 * Three moments: a request that has been held up on one path can be sent to another a moment
 * before that one stops, too, and nobody can know.  Each such misfortune costs a time-out and a
 * silence (targets/multipath/checker.c); servers that stop at one moment are found out together.
 */
#include "sim.h"

#define LEGS_MAX 8
#define SECTORS 48
#define MS ((uint64_t)1000000u)
#define TIMEOUT_MS 300u
#define BOUND_NS (TIMEOUT_MS * MS + 1000 * MS)
#define MOMENTS_MAX 4
#define EPISODES 2
#define TASKS 4

struct plan {
	unsigned legs, groups, good;
	bool stopped[LEGS_MAX], suspends, over;
	uint64_t worst_ns;
};

static const char *const leg_names[LEGS_MAX] = {
	"a:0", "a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "a:7"
};

static void format(struct sim *s)
{
	struct plan *p = sim_private(s);

	p->legs = 1 + sim_dice(s, LEGS_MAX);
	p->groups = 1 + sim_dice(s, p->legs < 3 ? p->legs : 3);
	p->suspends = sim_one_in(s, 4);
}

static void make_table(struct sim *s, char *table, size_t size)
{
	static const char *const selectors[] = { "round-robin 0", "queue-length 0", "service-time 0" };
	static const char *const failbacks[] = { "manual", "immediate", "followover", "1" };
	struct plan *p = sim_private(s);
	unsigned g, i = 0, end;
	int n = snprintf(table, size, "0 %u multipath 8 queue_if_no_path ndm_checker 500 %u "
			 "ndm_failback %s ndm_unflushed %u 0 %u 1", SECTORS, TIMEOUT_MS,
			 failbacks[sim_dice(s, 4)], 4096u << sim_dice(s, 6), p->groups);

	for (g = 0; g < p->groups; g++) {
		end = g + 1 == p->groups ? p->legs : i + 1;
		n += snprintf(table + n, size - n, " %s %u 0", selectors[sim_dice(s, 3)], end - i);
		for (; i < end; i++)
			n += snprintf(table + n, size - n, " leg:%s", leg_names[i]);
	}
}

static void up(struct sim *s)
{
	char table[512];

	make_table(s, table, sizeof table);
	sim_up(s, "m", 0, "%s", table);
}

/* ---- those who are held up ---- */

static void requests(struct sim *s, void *arg)
{
	static const enum ndm_op ops[] = { NDM_READ, NDM_READ, NDM_WRITE, NDM_WRITE, NDM_WRITE,
					   NDM_WRITE, NDM_FLUSH, NDM_ZEROES };
	struct plan *p = sim_private(s);
	struct sim_dev *m = arg;

	while (!p->over) {
		enum ndm_op op = ops[sim_dice(s, 8)];
		uint64_t sector = sim_dice(s, SECTORS), start, took;
		unsigned nr = 1 + sim_dice(s, SECTORS - sector < 12 ? SECTORS - sector : 12);
		unsigned flags = op == NDM_WRITE && sim_one_in(s, 8) ? NDM_FUA : 0;

		start = ndm_now(sim_loop(s));
		if (op == NDM_FLUSH)
			sector = nr = 0;
		SIM_ASSERT(s, !sim_io(m, op, flags, sector, nr));
		took = ndm_now(sim_loop(s)) - start;
		if (took > p->worst_ns)
			p->worst_ns = took;
		if (took > BOUND_NS)
			sim_fail(s, "%u legs: op %u was held up for %llu ms", p->legs, op,
				 (unsigned long long)(took / MS));
		sim_sleep(s, 1 + sim_random(s) % (60 * MS));
	}
}

/* ---- and those who do it ---- */

static void look(struct sim *s, struct sim_dev *m)
{
	uint64_t before = ndm_now(sim_loop(s));

	SIM_ASSERT(s, strchr(sim_status(m), ' '));
	SIM_ASSERT(s, ndm_now(sim_loop(s)) == before);
}

static void stop(struct sim *s, unsigned i, bool hunt)
{
	struct plan *p = sim_private(s);

	switch (hunt ? 5 : sim_dice(s, 6)) {
	case 0:
		sim_leg_kill(s, leg_names[i]);
		break;
	case 1:
		sim_leg_errors(s, leg_names[i], 1 + sim_dice(s, 3));
		break;
	default:
		sim_leg_stop(s, leg_names[i]);
		p->stopped[i] = true;
	}
}

static void come_back(struct sim *s, unsigned i)
{
	struct plan *p = sim_private(s);

	if (p->stopped[i])
		sim_leg_cont(s, leg_names[i]);
	p->stopped[i] = false;
	sim_leg_return(s, leg_names[i]);
	sim_leg_errors(s, leg_names[i], 0);
}

static void episode(struct sim *s, struct sim_dev *m)
{
	struct plan *p = sim_private(s);
	/* the worst: one path after the other stops right before the last one is given up */
	bool hunt = sim_one_in(s, 2);
	unsigned moments = hunt ? MOMENTS_MAX : 1 + sim_dice(s, MOMENTS_MAX), i, j;
	unsigned one_in = hunt ? 1 + p->legs / 2 : 2;

	p->good = sim_dice(s, p->legs);
	for (j = 0; j < moments; j++) {
		for (i = 0; i < p->legs; i++)
			if (i != p->good && !p->stopped[i] && sim_one_in(s, one_in))
				stop(s, i, hunt);
		if (hunt)
			sim_sleep(s, (TIMEOUT_MS - 30) * MS + sim_random(s) % ((j ? 40 : 100) * MS));
		else
			sim_sleep(s, 1 + sim_random(s) % ((100 << sim_dice(s, 4)) * MS));
		look(s, m);
	}
	for (i = 0; i < p->legs; i++) {
		sim_sleep(s, 1 + sim_random(s) % (400 * MS));
		look(s, m);
		if (i != p->good)
			come_back(s, i);
	}
}

/* all paths are known to be well: the next episode may leave another one */
static void settle(struct sim *s, struct sim_dev *m)
{
	unsigned i;

	for (i = 0; strstr(sim_status(m), " F "); i++) {
		SIM_ASSERT(s, i < 100);
		sim_sleep(s, 100 * MS);
	}
	sim_sleep(s, 1 + sim_random(s) % (300 * MS));
}

static void suspender(struct sim *s, void *arg)
{
	struct plan *p = sim_private(s);
	struct sim_dev *m = arg;

	while (!p->over) {
		sim_sleep(s, 1 + sim_random(s) % (700 * MS));
		SIM_ASSERT(s, !sim_suspend(m, NDM_SUSPEND_NOFLUSH));
		SIM_ASSERT(s, !sim_resume(m));
	}
}

static void work(struct sim *s)
{
	struct plan *p = sim_private(s);
	struct sim_dev *m = sim_dev(s, "m");
	unsigned i;

	p->over = false;
	for (i = 0; i < TASKS; i++)
		sim_spawn(s, "requests", requests, m);
	if (p->suspends)
		sim_spawn(s, "suspender", suspender, m);
	for (i = 0; i < EPISODES; i++) {
		sim_sleep(s, 1 + sim_random(s) % (400 * MS));
		episode(s, m);
		settle(s, m);
	}
	p->over = true;
	sim_join(s);
	sim_trace(s, "%u legs: held up for %llu ms at most", p->legs,
		  (unsigned long long)(p->worst_ns / MS));
}

static void check(struct sim *s)
{
	sim_verify(sim_dev(s, "m"));
}

SIM_SCRIPT(multipath_stall) = {
	.name = "multipath-stall",
	.summary = "one server is well, others stop: nothing is held up for long",
	.disks = { { "a", SECTORS } },
	.private_size = sizeof(struct plan),
	.flags = SIM_NO_CUTS | SIM_PROMPT,
	.seeds = 200,
	.format = format,
	.up = up,
	.work = work,
	.check = check,
};
