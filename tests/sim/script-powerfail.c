/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * powerfail: real cuts of the simulator's power below the target, and the target's own losses
 * of power by message in between: after either, what was flushed is there.
 *
 * The simulator's oracle knows nothing of crashes by message, so the script remembers by itself
 * which version of each sector is durable, and which one is the last.
 */
#include "sim.h"

#define SECTORS 24

/* what may be on the disk: the durable version of each sector, and all since */
struct memory { uint32_t durable[SECTORS], last[SECTORS], stamp; };

static void up(struct sim *s)
{
	sim_up(s, "top", SIM_RAW, "0 %d powerfail sim:d 0 4 seed %u torn 30", SECTORS,
	       (unsigned)sim_seed(s));
}

static void stamp(uint8_t sector[512], uint32_t value)
{
	unsigned i;

	for (i = 0; i < 512; i += 4)
		memcpy(sector + i, &value, 4);
}

/* The stamp of a sector; it must be whole, and not older than what is durable. */
static uint32_t look(struct sim *s, uint64_t sector)
{
	struct memory *m = sim_private(s);
	uint8_t bytes[512], want[512];
	uint32_t value;

	SIM_ASSERT(s, sim_raw(sim_dev(s, "top"), NDM_READ, 0, sector, 1, bytes) == 0);
	memcpy(&value, bytes, 4);
	stamp(want, value);
	SIM_ASSERT(s, !memcmp(bytes, want, 512));
	if (value < m->durable[sector] || value > m->last[sector])
		sim_fail(s, "sector %u has version %u; durable %u, last %u", (unsigned)sector, value,
			 m->durable[sector], m->last[sector]);
	return value;
}

static void put(struct sim *s, unsigned flags)
{
	struct memory *m = sim_private(s);
	uint64_t nr = 1 + sim_dice(s, 6), sector = sim_dice(s, SECTORS - 6), i;
	uint8_t bytes[6 * 512];

	for (i = 0; i < nr; i++) {
		m->last[sector + i] = ++m->stamp;
		stamp(bytes + i * 512, m->stamp);
	}
	SIM_ASSERT(s, sim_raw(sim_dev(s, "top"), NDM_WRITE, flags, sector, nr, bytes) == 0);
	for (i = 0; flags && i < nr; i++)
		m->durable[sector + i] = m->last[sector + i];
}

static void flush(struct sim *s)
{
	struct memory *m = sim_private(s);

	SIM_ASSERT(s, sim_raw(sim_dev(s, "top"), NDM_FLUSH, 0, 0, 0, NULL) == 0);
	memcpy(m->durable, m->last, sizeof m->durable);
}

static void crash(struct sim *s)
{
	struct memory *m = sim_private(s);
	uint8_t bytes[512];
	uint32_t i;

	sim_message(sim_dev(s, "top"), sim_one_in(s, 3) ? "crash ordered" : "crash");
	SIM_ASSERT(s, sim_raw(sim_dev(s, "top"), NDM_READ, 0, 0, 1, bytes) == -EIO);
	sim_message(sim_dev(s, "top"), "power_on");
	for (i = 0; i < SECTORS; i++)		/* what survived is durable, the rest is history */
		m->durable[i] = m->last[i] = look(s, i);
}

static void work(struct sim *s)
{
	unsigned i;

	for (i = 0; i < 24; i++)
		switch (sim_dice(s, 8)) {
		case 0:
			flush(s);
			break;
		case 1:
			put(s, NDM_FUA);
			break;
		case 2:
			crash(s);
			break;
		case 3:
			look(s, sim_dice(s, SECTORS));
			break;
		default:
			put(s, 0);
		}
}

/* What is seen after a cut is what must be seen from then on. */
static void check(struct sim *s)
{
	struct memory *m = sim_private(s);
	uint64_t i;

	SIM_ASSERT(s, sim_raw(sim_dev(s, "top"), NDM_FLUSH, 0, 0, 0, NULL) == 0);
	for (i = 0; i < SECTORS; i++)
		m->durable[i] = m->last[i] = look(s, i);
}

static void after(struct sim *s)
{
	put(s, 0);
	flush(s);
	put(s, NDM_FUA);
}

SIM_SCRIPT(powerfail) = {
	.name = "powerfail",
	.summary = "a volatile cache that crashes by message, while the power below fails, too",
	.disks = { { "d", SECTORS } },
	.private_size = sizeof(struct memory),
	.up = up,
	.work = work,
	.after = after,
	.check = check,
};
