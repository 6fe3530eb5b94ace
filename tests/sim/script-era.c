/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * era: no write is missed.  After every cut, before anything is built again, the metadata are
 * read from the disk: a block whose data have changed has a mark, and one whose write was
 * acknowledged in era N has one of N or later.
 */
#include "meta-reader.h"

#define NR 256
#define BLOCK 8u
#define BLOCKS (NR / BLOCK)
#define MASK 146538381u

struct plan { unsigned acknowledged[BLOCKS]; unsigned writers; };

static struct plan *plan(struct sim *s)
{
	return sim_private(s);
}

static unsigned current_era(struct sim *s)
{
	unsigned used, total, era = 0;

	SIM_ASSERT(s, sscanf(sim_status(sim_dev(s, "e")), "8 %u/%u %u", &used, &total, &era) == 3);
	return era;
}

/* ---- what the disk says ---- */

static unsigned era_of(const struct reader *r, const uint8_t *super, unsigned block)
{
	uint64_t key = 0, last = reader_array(r, reader_get(super + 208, 8), block, 4);
	uint64_t root = reader_get(super + 192, 8), now = reader_get(super + 184, 4);
	uint8_t set[12];

	if (root && block < reader_get(super + 188, 4) && reader_bit(r, root, block))
		return (unsigned)now;
	for (; reader_next(r, reader_get(super + 200, 8), &key, set, 12); key++)
		if (block < reader_get(set, 4) && key > last && reader_bit(r, reader_get(set + 4, 8), block))
			last = key;
	return (unsigned)last;
}

static bool data_changed(struct sim *s, unsigned block)
{
	uint8_t bytes[512];
	unsigned i;

	for (i = 0; i < BLOCK; i++) {
		sim_disk_read(s, "o", block * BLOCK + i, 1, bytes);
		if (bytes[0] || memcmp(bytes, bytes + 1, sizeof bytes - 1))
			return true;
	}
	return false;
}

static void marks_check(struct sim *s)
{
	const struct reader r = { s, "m" };
	uint8_t *super = malloc(4096);
	bool made = reader_super(&r, MASK, super);
	unsigned i, era;

	for (i = 0; i < BLOCKS; i++) {
		era = made && reader_get(super + 180, 4) ? era_of(&r, super, i) : 0;
		if (era < plan(s)->acknowledged[i])
			sim_fail(s, "block %u was written in era %u; the metadata say %u", i,
				 plan(s)->acknowledged[i], era);
		if (!era && data_changed(s, i))
			sim_fail(s, "block %u has changed without a mark", i);
	}
	free(super);
}

/* ---- */

static void up(struct sim *s)
{
	if (sim_cuts(s))
		marks_check(s);
	sim_up(s, "e", 0, "0 %u era sim:m sim:o %u", NR, BLOCK);
}

static void write_some(struct sim *s, void *arg)
{
	unsigned ops = *(unsigned *)arg, at, nr, era, i;

	while (ops--) {
		at = sim_dice(s, NR);
		nr = 1 + sim_dice(s, NR - at < 20 ? NR - at : 20);
		era = current_era(s);
		if (sim_io(sim_dev(s, "e"), NDM_WRITE, sim_one_in(s, 4) ? NDM_FUA : 0, at, nr))
			continue;
		for (i = at / BLOCK; i <= (at + nr - 1) / BLOCK; i++)
			if (plan(s)->acknowledged[i] < era)
				plan(s)->acknowledged[i] = era;
		if (sim_one_in(s, 3))
			sim_io(sim_dev(s, "e"), NDM_FLUSH, 0, 0, 0);
	}
	plan(s)->writers--;
}

static void disturb(struct sim *s, void *arg)
{
	static const char *const messages[] = { "checkpoint", "take_metadata_snap",
						"drop_metadata_snap" };
	struct sim_dev *d = sim_dev(s, "e");

	(void)arg;
	while (plan(s)->writers) {
		sim_sleep(s, 1 + sim_dice(s, 3000000));
		if (sim_one_in(s, 5)) {
			SIM_ASSERT(s, !sim_suspend(d, 0));
			SIM_ASSERT(s, !sim_resume(d));
		} else {
			sim_try_message(d, "%s", messages[sim_dice(s, 3)]);
		}
	}
}

static unsigned ops = 5;

static void work(struct sim *s)
{
	unsigned i;

	plan(s)->writers = 2;
	for (i = 0; i < 2; i++)
		sim_spawn(s, "writer", write_some, &ops);
	sim_spawn(s, "disturb", disturb, NULL);
	sim_join(s);
}

static void after(struct sim *s)
{
	static unsigned few = 1;

	plan(s)->writers = 1;
	sim_spawn(s, "writer", write_some, &few);
}

static void check(struct sim *s)
{
	sim_verify(sim_dev(s, "e"));
	marks_check(s);
}

SIM_SCRIPT(era) = {
	.name = "era",
	.summary = "no write is missed by the metadata, whatever is cut off",
	.disks = { { "m", 1024 }, { "o", NR } },
	.private_size = sizeof(struct plan),
	.one_in = 4, .samples = 1,
	.up = up, .work = work, .after = after, .check = check,
};

/* ---- metadata that fail: writes do, too, and none slips through ---- */

static void work_faulty(struct sim *s)
{
	sim_fault(s, &(struct sim_fault){ .disk = "m", .error = -EIO, .nth = 1 + sim_dice(s, 60),
		.always = sim_one_in(s, 2) });
	sim_mix(sim_dev(s, "e"), &(struct sim_mix){ .tasks = 3, .ops = 6 });
	sim_try_message(sim_dev(s, "e"), "checkpoint");
	sim_mix(sim_dev(s, "e"), &(struct sim_mix){ .tasks = 3, .ops = 6 });
	sim_fault_clear(s);
	sim_try_message(sim_dev(s, "e"), "take_metadata_snap");
}

SIM_SCRIPT(era_faulty) = {
	.name = "era-faulty",
	.summary = "an era device whose metadata device fails",
	.disks = { { "m", 1024 }, { "o", NR } },
	.private_size = sizeof(struct plan),
	.flags = SIM_ERRORS_OK | SIM_NO_CUTS, .seeds = 30,
	.up = up, .work = work_faulty, .check = check,
};
