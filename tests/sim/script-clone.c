/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clone: what was written and flushed is there after every cut, and all else is what the source
 * has, never what lay on the destination before.
 *
 * A region that the metadata call hydrated is whole on the destination: that is looked at on the
 * disks, after each cut.
 */
#include "meta-reader.h"

#define NR 100					/* the last region is short */
#define MASK 257649492u

struct plan { unsigned region, threshold, batch; bool hydration; };

static void format(struct sim *s)
{
	struct plan *p = sim_private(s);
	uint8_t garbage[512];
	unsigned i;

	p->region = 8u << sim_dice(s, 2);
	p->threshold = sim_dice(s, 5);
	p->batch = sim_dice(s, 4);
	p->hydration = !sim_one_in(s, 3);
	memset(garbage, 0xd5, sizeof garbage);
	for (i = 0; i < NR + 20; i++)
		sim_disk_write(s, "d", i, 1, garbage);
}

/* the source is all zero, so a sector of garbage was never copied, written or discarded */
static void believed(struct sim *s)
{
	const struct reader r = { s, "m" };
	uint8_t *super = malloc(4096), bytes[512];
	unsigned i;

	if (reader_super(&r, MASK, super))
		for (i = 0; i < NR; i++) {
			if (!reader_bit(&r, reader_get(super + 188, 8), i / reader_get(super + 172, 8)))
				continue;
			sim_disk_read(s, "d", i, 1, bytes);
			if (bytes[0] == 0xd5 && !memcmp(bytes, bytes + 1, sizeof bytes - 1))
				sim_fail(s, "sector %u counts as hydrated, and never was", i);
		}
	free(super);
}

static void up(struct sim *s)
{
	const struct plan *p = sim_private(s);

	if (sim_cuts(s))
		believed(s);
	sim_up(s, "c", 0, "0 %u clone sim:m sim:d sim:s %u %s 4 hydration_threshold %u "
	       "hydration_batch_size %u", NR, p->region, p->hydration ? "0" : "1 no_hydration",
	       p->threshold, p->batch);
}

static void work(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "c");
	unsigned i;

	for (i = 0; i < 3; i++) {
		sim_mix(d, &(struct sim_mix){ .tasks = 3, .ops = 4, .max_nr = 20, .read = 3, .write = 5,
			.fua = 1, .flush = 2, .zeroes = 1 });
		sim_sleep(s, UINT64_C(600000000));
		if (sim_one_in(s, 2)) {
			SIM_ASSERT(s, !sim_suspend(d, 0));
			SIM_ASSERT(s, !sim_resume(d));
		}
		sim_message(d, sim_one_in(s, 2) ? "enable_hydration" : "disable_hydration");
	}
}

static void check(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "c");
	char all[32];
	unsigned n = (NR + ((struct plan *)sim_private(s))->region - 1) /
		     ((struct plan *)sim_private(s))->region;

	snprintf(all, sizeof all, " %u/%u 0 ", n, n);
	sim_message(d, "hydration_threshold 4");
	sim_message(d, "enable_hydration");
	sim_wait_status(d, all);
	sim_verify(d);
	believed(s);
}

#define DISKS { { "m", 512 }, { "d", NR + 20 }, { "s", NR, .flags = SIM_DISK_READ_ONLY } }

SIM_SCRIPT(clone) = {
	.name = "clone",
	.summary = "a copy in the making: never what lay on the destination before",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 3, .samples = 1,
	.format = format, .up = up, .work = work, .check = check,
};

/* ---- with discards, which leave the destination's own data ---- */

static void work_discard(struct sim *s)
{
	sim_mix(sim_dev(s, "c"), &(struct sim_mix){ .tasks = 4, .ops = 8, .max_nr = 40, .read = 2,
		.write = 5, .fua = 1, .flush = 2, .discard = 4 });
}

static void check_discard(struct sim *s)
{
	sim_verify(sim_dev(s, "c"));
}

static void format_discard(struct sim *s)
{
	struct plan *p = sim_private(s);

	*p = (struct plan){ .region = 8, .threshold = sim_dice(s, 3), .batch = 1, .hydration = true };
}

static void up_discard(struct sim *s)
{
	const struct plan *p = sim_private(s);

	sim_up(s, "c", 0, "0 %u clone sim:m sim:d sim:s 8 0 2 hydration_threshold %u", NR,
	       p->threshold);
}

SIM_SCRIPT(clone_discard) = {
	.name = "clone-discard",
	.summary = "discards while regions are being copied",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 4, .samples = 1,
	.format = format_discard, .up = up_discard, .work = work_discard, .check = check_discard,
};

static void work_faulty(struct sim *s)
{
	sim_fault(s, &(struct sim_fault){ .disk = sim_one_in(s, 2) ? "d" : "s", .error = -EIO,
		.ops = 1u << NDM_READ | 1u << NDM_WRITE,	/* a flush that fails is as bad as metadata that do */
		.nth = 1 + sim_dice(s, 40), .always = sim_one_in(s, 2) });
	work_discard(s);
	sim_sleep(s, UINT64_C(1500000000));
	work_discard(s);
	sim_fault_clear(s);
	sim_down(sim_dev(s, "c"));		/* it may have failed altogether */
	up_discard(s);
}

SIM_SCRIPT(clone_faulty) = {
	.name = "clone-faulty",
	.summary = "a clone whose source or destination fails",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.flags = SIM_ERRORS_OK | SIM_NO_CUTS, .seeds = 30,
	.format = format_discard, .up = up_discard, .work = work_faulty, .check = check_discard,
};

/*
 * Metadata that fail: what was not committed is forgotten, as in Linux, so nobody can say what is
 * read then; but all ends, what the disk calls hydrated is, and flushes do not lie.
 */
static void up_meta(struct sim *s)
{
	if (sim_cuts(s))
		believed(s);
	sim_up(s, "c", SIM_RAW, "0 %u clone sim:m sim:d sim:s 8", NR);
}

static void work_meta(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "c");
	uint8_t bytes[512] = { 1 };
	unsigned i, at;

	sim_fault(s, &(struct sim_fault){ .disk = "m", .error = -EIO, .nth = 1 + sim_dice(s, 12),
		.ops = sim_one_in(s, 2) ? 1u << NDM_READ : 0, .always = sim_one_in(s, 2) });
	for (i = 0; i < 40; i++) {
		at = sim_dice(s, NR);
		sim_raw(d, sim_one_in(s, 2) ? NDM_WRITE : NDM_READ, 0, at, 1, bytes);
		if (sim_one_in(s, 4) && sim_raw(d, NDM_FLUSH, 0, 0, 0, NULL) &&
		    strstr(sim_status(d), "rw"))
			sim_fail(s, "a flush has failed, and the mode is still rw");
		if (sim_one_in(s, 8))
			sim_sleep(s, UINT64_C(400000000));
	}
	sim_fault_clear(s);
	believed(s);
}

SIM_SCRIPT(clone_meta_faulty) = {
	.name = "clone-meta-faulty",
	.summary = "a clone whose metadata device fails",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.flags = SIM_NO_CUTS | SIM_NO_AFTER, .seeds = 30,
	.format = format, .up = up_meta, .work = work_meta,
};
