/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * self-*: the simulator itself.  Does a disk keep its side of the contract, do faults hit
 * what they say, do moments hold, fail and cut where they are named?
 */
#include "sim.h"

/* ---- disks ---- */

static uint8_t sector_of(struct sim *s, bool durable)
{
	uint8_t bytes[512];

	(durable ? sim_disk_read_durable : sim_disk_read)(s, "a", 5, 1, bytes);
	return bytes[100];
}

static void put(struct sim *s, unsigned flags, uint8_t value)
{
	uint8_t bytes[512];

	memset(bytes, value, sizeof bytes);
	SIM_ASSERT(s, !sim_raw(sim_dev(s, "raw"), NDM_WRITE, flags, 5, 1, bytes));
}

struct late { struct sim *s; bool started, done; };

static void late_flush(struct sim *s, void *arg)
{
	struct late *l = arg;

	l->started = true;
	SIM_ASSERT(s, !sim_raw(sim_dev(s, "raw"), NDM_FLUSH, 0, 0, 0, NULL));
	l->done = true;
}

static void disk_work(struct sim *s)
{
	struct late late = { s };

	put(s, 0, 1);
	SIM_ASSERT(s, sector_of(s, false) == 1 && sector_of(s, true) == 0);
	SIM_ASSERT(s, !sim_raw(sim_dev(s, "raw"), NDM_FLUSH, 0, 0, 0, NULL));
	SIM_ASSERT(s, sector_of(s, true) == 1);
	put(s, 0, 2);
	put(s, NDM_FUA, 3);			/* itself, and what it overtook is gone */
	SIM_ASSERT(s, sector_of(s, true) == 3);

	/* a flush that takes long covers nothing that completes meanwhile */
	sim_fault(s, &(struct sim_fault){ .ops = 1 << NDM_FLUSH, .delay_ns = 1000000000 });
	sim_spawn(s, "flush", late_flush, &late);
	while (!late.started)
		sim_sleep(s, 100);
	sim_sleep(s, 100);
	put(s, 0, 4);
	sim_join(s);
	SIM_ASSERT(s, late.done && sector_of(s, false) == 4 && sector_of(s, true) == 3);
}

static void raw_up(struct sim *s)
{
	sim_up(s, "raw", SIM_RAW, "0 16 linear sim:a 0");
}

SIM_SCRIPT(self_disk) = {
	.name = "self-disk", .summary = "what FLUSH and FUA of a simulated disk cover",
	.disks = { { "a", 16, .flags = SIM_DISK_FUA } },
	.flags = SIM_NO_CUTS, .up = raw_up, .work = disk_work,
};

/* ---- faults ---- */

static int rw(struct sim *s, enum ndm_op op, uint64_t sector)
{
	uint8_t bytes[512] = { 0 };

	return sim_raw(sim_dev(s, "raw"), op, 0, sector, 1, bytes);
}

static void fault_work(struct sim *s)
{
	uint64_t then;

	sim_fault(s, &(struct sim_fault){ .disk = "a", .ops = 1 << NDM_WRITE, .first = 3, .last = 5,
					  .nth = 2, .error = -ENODATA });
	SIM_ASSERT(s, rw(s, NDM_WRITE, 4) == 0);
	SIM_ASSERT(s, rw(s, NDM_WRITE, 6) == 0);
	SIM_ASSERT(s, rw(s, NDM_READ, 4) == 0);
	SIM_ASSERT(s, rw(s, NDM_WRITE, 3) == -ENODATA);
	SIM_ASSERT(s, rw(s, NDM_WRITE, 3) == 0);
	sim_fault_clear(s);
	sim_fault(s, &(struct sim_fault){ .first = 7, .last = 7, .always = true, .error = -EIO });
	SIM_ASSERT(s, rw(s, NDM_READ, 7) == -EIO && rw(s, NDM_READ, 7) == -EIO);
	SIM_ASSERT(s, rw(s, NDM_READ, 8) == 0);
	sim_fault_clear(s);
	sim_fault(s, &(struct sim_fault){ .delay_ns = 3000000000, .error = -ETIMEDOUT });
	then = ndm_now(sim_loop(s));
	SIM_ASSERT(s, rw(s, NDM_READ, 1) == -ETIMEDOUT);
	SIM_ASSERT(s, ndm_now(sim_loop(s)) >= then + 3000000000);
	SIM_ASSERT(s, rw(s, NDM_READ, 1) == 0);
	sim_disk_connect(s, "a", false);
	SIM_ASSERT(s, rw(s, NDM_READ, 1) == -ENOTCONN);
	SIM_ASSERT(s, sim_raw(sim_dev(s, "raw"), NDM_FLUSH, 0, 0, 0, NULL) == -ENOTCONN);
	sim_disk_connect(s, "a", true);
	SIM_ASSERT(s, rw(s, NDM_READ, 1) == 0);
	sim_disk_resize(s, "a", 10);
	SIM_ASSERT(s, rw(s, NDM_READ, 12) == -EIO && rw(s, NDM_READ, 9) == 0);
	sim_disk_resize(s, "a", 16);
	SIM_ASSERT(s, rw(s, NDM_READ, 12) == 0);
}

SIM_SCRIPT(self_faults) = {
	.name = "self-faults", .summary = "faults hit the request that they name",
	.disks = { { "a", 16 } },
	.flags = SIM_NO_CUTS, .up = raw_up, .work = fault_work,
};

/* ---- moments ---- */

/* self-steps <device>: a write of sector n goes to n, then to n + 8, with a moment between */
struct steps { struct ndm_dev *dev; };

static int steps_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct steps *p = ti->private_data;

	ti->num_flush = 1;
	return ndm_get_dev(ti, argv[0], 0, 16, &p->dev);
}

static int steps_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct steps *p = ti->private_data;
	int err;

	if (bio->op != NDM_WRITE)
		return ndm_forward(bio, p->dev, bio->sector);
	bio->flags |= NDM_FUA;
	err = ndm_forward(bio, p->dev, bio->sector);
	err = err ? err : NDM_MOMENT(ti->loop, "self.first-written");
	err = err ? err : ndm_forward(bio, p->dev, bio->sector + 8);
	if (!err)
		NDM_MOMENT(ti->loop, "self.both-written");
	return err;
}

static const struct ndm_target_type steps_type = {
	.name = "self-steps", .private_size = sizeof(struct steps),
	.ctr = steps_ctr, .io = steps_io,
};
static const struct ndm_target_type *const steps_types[] = { &steps_type, NULL };

static void steps_up(struct sim *s)
{
	sim_up(s, "raw", SIM_RAW, "0 8 self-steps sim:a");
}

static uint8_t durable(struct sim *s, uint64_t sector)
{
	uint8_t bytes[512];

	sim_disk_read_durable(s, "a", sector, 1, bytes);
	return bytes[0];
}

static int step(struct sim *s, uint64_t sector, uint8_t value)
{
	uint8_t bytes[512];

	memset(bytes, value, sizeof bytes);
	return sim_raw(sim_dev(s, "raw"), NDM_WRITE, 0, sector, 1, bytes);
}

static void held_writer(struct sim *s, void *arg)
{
	bool *done = arg;

	SIM_ASSERT(s, step(s, 2, 22) == 0);
	*done = true;
}

static void moments_work(struct sim *s)
{
	bool done = false;

	SIM_ASSERT(s, step(s, 0, 11) == 0);
	SIM_ASSERT(s, durable(s, 0) == 11 && durable(s, 8) == 11);
	SIM_ASSERT(s, sim_moment_count(s, "self.first-written") == 1);
	sim_fail_at(s, "self.first-written", 2, -ENOLINK);
	SIM_ASSERT(s, step(s, 1, 12) == -ENOLINK);
	SIM_ASSERT(s, durable(s, 1) == 12 && durable(s, 9) == 0);
	sim_hold_at(s, "self.first-written", 3, "self.both-written");
	sim_spawn(s, "held", held_writer, &done);
	while (sim_moment_count(s, "self.first-written") < 3)
		sim_sleep(s, 100);
	sim_sleep(s, 10000000);
	SIM_ASSERT(s, !done && durable(s, 2) == 22 && durable(s, 10) == 0);
	SIM_ASSERT(s, step(s, 3, 23) == 0);	/* passes "both-written" and lets it go */
	sim_join(s);
	SIM_ASSERT(s, done && durable(s, 10) == 22);
	if (sim_one_in(s, 2))
		return;
	sim_cut_at(s, "self.first-written", 5);
	step(s, 4, 44);
	sim_fail(s, "the power should have failed");
}

/* The cut came exactly there: the first sector is written, the second cannot be. */
static void moments_check(struct sim *s)
{
	if (!sim_cuts(s))
		return;
	SIM_ASSERT(s, durable(s, 4) == 44 && durable(s, 12) == 0);
}

SIM_SCRIPT(self_moments) = {
	.name = "self-moments", .summary = "named moments fail, hold and cut where they are",
	.disks = { { "a", 16, .flags = SIM_DISK_FUA } },
	.flags = SIM_NO_CUTS | SIM_NO_AFTER, .types = steps_types,
	.up = steps_up, .work = moments_work, .check = moments_check,
};
