/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log-writes: the log of what was written, replayed whole, gives the device; and a log that
 * was cut short is a log still: its superblock counts only entries that are there.
 */
#include "sim.h"

#define SECTORS 32
#define LOG_SECTORS 400

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void up(struct sim *s)
{
	bool *logged = sim_private(s);

	/* a new table begins a new log over the old one, which is what check() looks at */
	if (*logged)
		sim_up(s, "dev", 0, "0 %d linear sim:d 0", SECTORS);
	else
		sim_up(s, "dev", 0, "0 %d log-writes sim:d sim:log", SECTORS);
	*logged = true;
}

static void work(struct sim *s)
{
	sim_mix(sim_dev(s, "dev"), &(struct sim_mix){ .tasks = 3, .ops = 6, .max_nr = 8 });
}

/* walks the entries that the superblock counts; every one must make sense */
static void log_walk(struct sim *s)
{
	uint8_t sector[512];
	uint64_t entries, at = 1, i;

	sim_disk_read(s, "log", 0, 1, sector);
	if (get_le(sector, 8) == 0)
		return;				/* no FUA, no mark: nothing was promised */
	SIM_ASSERT(s, get_le(sector, 8) == UINT64_C(0x6a736677736872));
	SIM_ASSERT(s, get_le(sector + 8, 8) == 1);
	SIM_ASSERT(s, get_le(sector + 24, 4) == 512);
	entries = get_le(sector + 16, 8);
	for (i = 0; i < entries; i++) {
		uint64_t first, nr, flags;

		SIM_ASSERT(s, at < LOG_SECTORS);
		sim_disk_read(s, "log", at, 1, sector);
		first = get_le(sector, 8);
		nr = get_le(sector + 8, 8);
		flags = get_le(sector + 16, 8);
		SIM_ASSERT(s, first + nr <= SECTORS && flags < 32);
		SIM_ASSERT(s, nr || (flags & (1 | 8)));	/* only flushes and marks are empty */
		at += 1 + (flags & 4 ? 0 : nr);
	}
	SIM_ASSERT(s, at <= LOG_SECTORS);
}

static void check(struct sim *s)
{
	log_walk(s);
}

SIM_SCRIPT(log_writes) = {
	.name = "log-writes",
	.summary = "a device and the log of its writes; the log makes sense after any cut",
	.disks = { { "d", SECTORS }, { "log", LOG_SECTORS } },
	.samples = 1,
	.private_size = sizeof(bool),
	.up = up,
	.work = work,
	.check = check,
};
