/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-race: several tasks give control commands at the same time, to the same devices.
 * There is no model of what they return; but nothing may crash, hang, or be left over, and
 * in the end every device can be made to go.
 */
#include "sim.h"

#define NAMES 4

struct race { unsigned racers; };

static const char *const names[NAMES] = { "a", "b", "c", "d" };

static struct ndm_device *pick(struct sim *s)
{
	struct ndm_device *dev = ndm_device_by_name(sim_context(s), names[sim_dice(s, NAMES)]);

	if (dev)
		ndm_device_hold(dev);
	return dev;
}

static void load(struct sim *s, struct ndm_device *dev)
{
	struct ndm_table_line line = { .nr = 8 + sim_dice(s, 8), .type = "linear" };
	struct ndm_str why = { 0 };
	char args[64];

	switch (sim_dice(s, 4)) {
	case 0:
		line.type = "zero";
		args[0] = '\0';
		break;
	case 1:
		snprintf(args, sizeof args, "/dev/mapper/%s 0", names[sim_dice(s, NAMES)]);
		break;
	default:
		snprintf(args, sizeof args, "sim:disk %u", sim_dice(s, 8));
	}
	line.args = args;
	ndm_device_load(dev, &line, 1, sim_one_in(s, 8), &why);
	ndm_str_free(&why);
}

static void look(struct sim *s, struct ndm_device *dev)
{
	struct ndm_target_status *list;
	uint32_t (*deps)[2];
	bool read_only, inactive = sim_dice(s, 2);
	unsigned n;

	if (!ndm_device_status(dev, sim_dice(s, 2), 0, inactive, &list, &n, &read_only))
		ndm_target_status_free(list, n);
	if (!ndm_device_deps(dev, inactive, &deps, &n))
		ndm_free(deps);
}

static void some_io(struct sim *s, struct ndm_device *dev);

static void command(struct sim *s)
{
	struct ndm_device *dev = pick(s), *made;
	struct ndm_str why = { 0 };

	if (!dev || sim_one_in(s, 10)) {
		ndm_device_create(sim_context(s), names[sim_dice(s, NAMES)], NULL, -1, &made);
		if (dev)
			ndm_device_put(dev);
		return;
	}
	switch (sim_dice(s, 14)) {
	case 0: case 1: case 2: load(s, dev); break;
	case 3: ndm_device_suspend(dev, sim_dice(s, 4)); break;
	case 4: case 5: case 6: ndm_device_resume(dev, sim_dice(s, 4), &why); break;
	case 7: ndm_device_clear(dev); break;
	case 8: ndm_device_remove(dev, sim_dice(s, 2), NULL); break;
	case 9: ndm_device_rename(dev, names[sim_dice(s, NAMES)]); break;
	case 10: look(s, dev); break;
	default: some_io(s, dev);
	}
	ndm_str_free(&why);
	ndm_device_put(dev);
}

struct request {
	struct ndm_io io;
	struct ndm_waitq q;
	bool done;
	uint8_t bytes[1024];
	struct iovec iov;
};

static void heard(struct ndm_io *io)
{
	struct request *r = (struct request *)((char *)io - offsetof(struct request, io));

	r->done = true;
	ndm_wake_all(&r->q);
}

/* Opens, does one request, closes; waits as long as somebody keeps the device suspended. */
static void some_io(struct sim *s, struct ndm_device *dev)
{
	struct request *r = calloc(1, sizeof *r);
	struct ndm_opener *opener;
	struct ndm_loop *there;

	if (ndm_open(dev, NDM_OPEN_READ | NDM_OPEN_WRITE, "race", &opener)) {
		free(r);
		return;
	}
	there = ndm_opener_loop(opener);
	r->iov = (struct iovec){ r->bytes, sizeof r->bytes };
	r->io.op = sim_dice(s, 2) ? NDM_READ : NDM_WRITE;
	r->io.offset = sim_dice(s, 6) * 512;
	r->io.bytes = 512 + sim_dice(s, 513);
	r->io.data = (struct ndm_data){ .iov = &r->iov, .iovcnt = 1 };
	r->io.done = heard;
	ndm_task_hop(sim_loop(s), there);
	ndm_waitq_init(&r->q, there);
	ndm_io_submit(opener, &r->io);
	while (!r->done)
		ndm_wait(&r->q);
	ndm_task_hop(there, sim_loop(s));
	ndm_close(opener);
	free(r);
}

static void racer(struct sim *s, void *arg)
{
	struct race *r = arg;
	unsigned i;

	for (i = 0; i < 40; i++)
		command(s);
	r->racers--;
}

/* One device, in a task of its own: its lock may be held by who waits for another device. */
static void resume_one(struct sim *s, void *arg)
{
	struct ndm_table_line zero = { .nr = 8, .type = "zero", .args = "" };
	struct ndm_str why = { 0 };
	struct ndm_device *dev = arg;

	if (ndm_device_resume(dev, 0, &why) == -EINVAL && sim_one_in(s, 2))
		ndm_device_load(dev, &zero, 1, false, &why);
	ndm_device_put(dev);
	ndm_str_free(&why);
}

/* Somebody must resume what others have left suspended, or their I/O waits for ever. */
static void resumer(struct sim *s, void *arg)
{
	struct race *r = arg;
	struct ndm_device *dev;

	while (r->racers) {
		sim_sleep(s, 20000);
		dev = pick(s);
		if (dev)
			sim_spawn(s, "resume one", resume_one, dev);
	}
}

static void work(struct sim *s)
{
	struct race *r = sim_private(s);
	struct ndm_device *dev;
	unsigned round;

	r->racers = 3;
	sim_spawn(s, "resumer", resumer, r);
	for (round = 0; round < 3; round++)
		sim_spawn(s, "racer", racer, r);
	sim_join(s);
	for (round = 0; ndm_device_first(sim_context(s)) && round < 100; round++) {
		for (dev = ndm_device_first(sim_context(s)); dev; dev = ndm_device_next(dev))
			if (!ndm_device_remove(dev, false, NULL))
				break;		/* the list has changed */
		sim_sleep(s, 1000);
	}
	if (ndm_device_first(sim_context(s)))
		sim_fail(s, "devices are left that cannot be removed");
}

static void up(struct sim *s)
{
}

SIM_SCRIPT(control_race) = {
	.name = "control-race",
	.summary = "control commands by several tasks at once",
	.disks = { { "disk", 64 } },
	.flags = SIM_NO_CUTS | SIM_NO_AFTER,
	.seeds = 200,
	.private_size = sizeof(struct race),
	.up = up,
	.work = work,
};
