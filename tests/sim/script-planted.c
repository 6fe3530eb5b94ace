/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * planted: targets of the simulator's own that break one promise each.  Every one must be
 * caught; a simulator that lets one through is broken itself.  (With --blind, which takes
 * away the oracle, none of those that lose data is caught: tests/sim/check.sh sees to that.)
 *
 *	sim-planted <what> <device>
 */
#include "sim.h"

enum plant { NOTHING, NO_FUA, NO_FLUSH, EARLY_ACK, OLD_READ, NO_END };

static const char *const plants[] = {
	"nothing", "no-fua", "no-flush", "early-ack", "old-read", "no-end",
};

struct planted {
	struct ndm_dev *dev;
	enum plant what;
	unsigned late;			/* acknowledged writes still under way */
	struct ndm_waitq idle;
	unsigned writes;
};

static int planted_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct planted *p = ti->private_data;

	while (strcmp(plants[p->what], argv[0]))
		p->what++;
	ti->num_flush = ti->num_zeroes = 1;
	ndm_waitq_init(&p->idle, ti->loop);
	return ndm_get_dev(ti, argv[1], 0, ti->nr, &p->dev);
}

struct late { struct ndm_target *ti; uint64_t sector, nr; uint8_t *bytes; };

static void late_write(void *arg)
{
	struct late *l = arg;
	struct planted *p = l->ti->private_data;

	ndm_rw(p->dev->store, NDM_WRITE, 0, l->sector, l->nr, l->bytes);
	ndm_free(l->bytes);
	ndm_free(l);
	if (--p->late == 0)
		ndm_wake_all(&p->idle);
}

static int ack_early(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct planted *p = ti->private_data;
	struct late *l = ndm_zalloc(sizeof *l);

	*l = (struct late){ .ti = ti, .sector = bio->sector, .nr = bio->nr };
	l->bytes = ndm_zalloc(bio->nr * NDM_SECTOR_BYTES);
	ndm_data_from(&bio->data, bio->nr * NDM_SECTOR_BYTES, l->bytes);
	p->late++;
	ndm_spawn(ti->loop, "late write", late_write, l);
	return 0;
}

static void planted_presuspend(struct ndm_target *ti)
{
	struct planted *p = ti->private_data;

	while (p->late)
		ndm_wait(&p->idle);
}

static int planted_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct planted *p = ti->private_data;

	switch (p->what) {
	case EARLY_ACK:
		if (bio->op == NDM_WRITE && bio->nr < 4)
			return ack_early(ti, bio);
		break;
	case OLD_READ:
		if (bio->op == NDM_WRITE && ++p->writes == 5)
			return 0;
		break;
	case NO_FLUSH:
		if (bio->op == NDM_FLUSH)
			return 0;
		break;
	case NO_FUA:
		bio->flags &= ~NDM_FUA;
		break;
	case NO_END:
		if (bio->op == NDM_WRITE && ++p->writes == 5)
			planted_presuspend((p->late = 1, ti));
		break;
	case NOTHING:
		break;
	}
	return ndm_forward(bio, p->dev, bio->sector);
}

static const struct ndm_target_type planted_type = {
	.name = "sim-planted",
	.private_size = sizeof(struct planted),
	.ctr = planted_ctr,
	.io = planted_io,
	.presuspend = planted_presuspend,
};

static const struct ndm_target_type *const types[] = { &planted_type, NULL };

static void work(struct sim *s)
{
	sim_mix(sim_dev(s, "p"), &(struct sim_mix){ .tasks = 3, .ops = 8, .max_nr = 8,
		.read = 3, .write = 5, .fua = 3, .flush = 2 });
}

#define PLANTED(ident, text, fate, events) \
static void up_##ident(struct sim *s) \
{ \
	sim_up(s, "p", 0, "0 32 sim-planted " text " sim:a"); \
} \
SIM_SCRIPT(ident) = { \
	.name = "planted-" text, .summary = "a target with a planted bug: " text, \
	.disks = { { "a", 32, .flags = SIM_DISK_FUA } }, \
	.flags = fate, .catch_events = events, .seeds = 4, \
	.up = up_##ident, .work = work, .types = types, \
}

PLANTED(nothing, "nothing", 0, 0);
PLANTED(no_fua, "no-fua", SIM_BROKEN, 40);
PLANTED(no_flush, "no-flush", SIM_BROKEN, 40);
PLANTED(early_ack, "early-ack", SIM_BROKEN, 100);
PLANTED(old_read, "old-read", SIM_BROKEN, 200);
PLANTED(no_end, "no-end", SIM_BROKEN, 200);
