/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache: what was flushed is there after every cut, wherever the block was at that moment: on the
 * origin, on the cache device, or on its way from one to the other.
 *
 * The cache has four blocks and the origin eight and a half.  Writes of whole blocks promote at
 * once, blocks that are read again and again after some time, and what waits a while is written
 * back; so a few requests make promotions, demotions and writebacks.
 *
 * After a clean end every clean block on the disks is the same as the origin's.
 */
#include "meta-reader.h"

#define BLOCK 64u
#define BLOCKS 8u
#define NR (BLOCKS * BLOCK + 24)
#define CBLOCKS 4u
#define MASK 9031977u

struct plan { const char *mode; const char *policy; unsigned threshold, features; };

static struct plan *plan(struct sim *s)
{
	return sim_private(s);
}

static void format_mode(struct sim *s, const char *mode)
{
	bool two = sim_one_in(s, 2);

	plan(s)->mode = !strcmp(mode, "writeback") ? (two ? "metadata2 writeback" : "writeback")
						   : (two ? "metadata2 writethrough" : "writethrough");
	plan(s)->features = 1 + two;
	plan(s)->policy = sim_one_in(s, 4) ? "mq" : "smq";
	plan(s)->threshold = sim_dice(s, 4) * BLOCK;
}

static void format(struct sim *s)
{
	format_mode(s, "writeback");
}

static void format_through(struct sim *s)
{
	format_mode(s, "writethrough");
}

static void table_make(struct sim *s, const char *policy, char *to, size_t room)
{
	const struct plan *p = plan(s);

	snprintf(to, room, "0 %u cache sim:m sim:c sim:o %u %u %s %s 2 migration_threshold %u", NR,
		 BLOCK, p->features, p->mode, policy, p->threshold);
}

/* ---- what the disks say after a clean end ---- */

static bool same_blocks(struct sim *s, unsigned cblock, uint64_t oblock)
{
	uint8_t one[512], two[512];
	unsigned i;

	for (i = 0; i < BLOCK; i++) {
		sim_disk_read(s, "c", cblock * BLOCK + i, 1, one);
		sim_disk_read(s, "o", oblock * BLOCK + i, 1, two);
		if (memcmp(one, two, sizeof one))
			return false;
	}
	return true;
}

static void clean_believed(struct sim *s)
{
	const struct reader r = { s, "m" };
	uint8_t *super = malloc(4096);
	uint64_t v, n;
	unsigned i;
	bool dirty;

	if (reader_super(&r, MASK, super) && reader_get(super + 4, 4) & 1) {
		n = reader_get(super + 240, 4);
		for (i = 0; i < n; i++) {
			v = reader_array(&r, reader_get(super + 192, 8), i, 8);
			dirty = v & 2;
			if (reader_get(super + 40, 4) == 2)
				dirty = reader_bit(&r, reader_get(super + 284, 8), i);
			if (v & 1 && !dirty && !same_blocks(s, i, v >> 16))
				sim_fail(s, "cache block %u is clean, and differs from the origin's", i);
		}
	}
	free(super);
}

static void up(struct sim *s)
{
	char table[160];

	table_make(s, plan(s)->policy, table, sizeof table);
	sim_up(s, "c", 0, "%s", table);
}

/* ---- requests ---- */

static void hammer(struct sim *s, unsigned block)
{
	unsigned i;

	for (i = 0; i < 16; i++)
		sim_io(sim_dev(s, "c"), NDM_READ, 0, block * BLOCK + sim_dice(s, BLOCK), 1);
}

static void request(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "c");
	unsigned block = sim_dice(s, BLOCKS), at, nr;

	switch (sim_dice(s, 8)) {
	case 0:
	case 1:
		sim_io(d, NDM_WRITE, sim_one_in(s, 3) ? NDM_FUA : 0, block * BLOCK, BLOCK);
		break;
	case 2:
	case 3:
		at = sim_dice(s, NR);
		nr = 1 + sim_dice(s, NR - at < 24 ? NR - at : 24);
		sim_io(d, NDM_WRITE, sim_one_in(s, 4) ? NDM_FUA : 0, at, nr);
		break;
	case 4:
		at = sim_dice(s, NR - 30);
		sim_io(d, NDM_READ, 0, at, 1 + sim_dice(s, 30));
		break;
	case 5:
		hammer(s, block);
		break;
	case 6:
		sim_sleep(s, UINT64_C(1000000) * (1 + sim_dice(s, 2500)));
		break;
	default:
		sim_io(d, NDM_FLUSH, 0, 0, 0);
	}
}

static void requests(struct sim *s, void *arg)
{
	unsigned n;

	for (n = *(unsigned *)arg; n; n--)
		request(s);
}

static void run(struct sim *s, unsigned tasks, unsigned *each)
{
	while (tasks--)
		sim_spawn(s, "requests", requests, each);
	sim_join(s);
}

static void work(struct sim *s)
{
	static unsigned each = 7;
	unsigned i;

	for (i = 0; i < 3; i++) {
		run(s, 3, &each);
		if (sim_one_in(s, 2))		/* levels are shared out again: demotions may follow */
			sim_sleep(s, UINT64_C(62000000000));
	}
}

static void after(struct sim *s)
{
	static unsigned each = 3;

	run(s, 2, &each);
}

static void check(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "c");

	if (!strstr(sim_status(d), " rw - "))
		sim_fail(s, "failed: %s", sim_status(d));
	SIM_ASSERT(s, !sim_suspend(d, 0));
	clean_believed(s);
	SIM_ASSERT(s, !sim_resume(d));
	sim_verify(d);
}

#define DISKS { { "m", 512 }, { "c", CBLOCKS * BLOCK }, { "o", NR } }

SIM_SCRIPT(cache) = {
	.name = "cache",
	.summary = "a small writeback cache: flushed data survive every cut",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 12, .samples = 1,
	.format = format, .up = up, .work = work, .after = after, .check = check,
};

SIM_SCRIPT(cache_through) = {
	.name = "cache-through",
	.summary = "a small writethrough cache",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 16, .samples = 1,
	.format = format_through, .up = up, .work = work, .after = after, .check = check,
};

/* ---- other tables: the cleaner empties it, the origin alone is as good, and back again ---- */

static void cleaned(struct sim *s)
{
	uint8_t should[512], is[512];
	unsigned i;

	for (i = 0; i < NR; i++) {
		if (!sim_oracle_expect(sim_dev(s, "c"), i, should))
			continue;
		sim_disk_read(s, "o", i, 1, is);
		if (memcmp(should, is, sizeof is))
			sim_fail(s, "sector %u is not on the origin, and the cache is clean", i);
	}
}

/* what is behind the policy's sentinels takes it 20 seconds */
static void wait_clean(struct sim *s)
{
	const char *clean = plan(s)->features == 2 ? " 0 2 metadata2" : " 0 1 write";
	unsigned i;

	for (i = 0; i < 60 && !strstr(sim_status(sim_dev(s, "c")), clean); i++)
		sim_sleep(s, UINT64_C(1000000000));
	if (i == 60)
		sim_fail(s, "never clean: %s", sim_status(sim_dev(s, "c")));
}

static void work_life(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "c");
	static unsigned each = 5;
	char table[160];
	unsigned i;

	for (i = 0; i < 3; i++) {
		run(s, 2, &each);
		if (sim_one_in(s, 2)) {
			SIM_ASSERT(s, !sim_suspend(d, 0));
			SIM_ASSERT(s, !sim_resume(d));
			run(s, 2, &each);
		}
		table_make(s, "cleaner", table, sizeof table);
		SIM_ASSERT(s, !sim_reload(d, "%s", table));
		wait_clean(s);
		cleaned(s);
		table_make(s, plan(s)->policy, table, sizeof table);
		SIM_ASSERT(s, !sim_reload(d, "%s", table));
	}
}

SIM_SCRIPT(cache_life) = {
	.name = "cache-life",
	.summary = "a cache that is suspended, cleaned and reloaded between requests",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.one_in = 16, .samples = 1,
	.format = format, .up = up, .work = work_life, .after = after, .check = check,
};

/* ---- a device that fails ---- */

static void work_faulty(struct sim *s)
{
	static const char *const disks[] = { "m", "m", "c", "o" };
	static unsigned each = 6;

	sim_fault(s, &(struct sim_fault){ .disk = disks[sim_dice(s, 4)], .error = -EIO,
		.nth = 1 + sim_dice(s, 40), .always = sim_one_in(s, 2) });
	run(s, 3, &each);
	sim_sleep(s, UINT64_C(3000000000));
	run(s, 3, &each);
	sim_fault_clear(s);
}

/* metadata that have failed want somebody to look at them: the table is refused */
static void up_faulty(struct sim *s)
{
	char table[160];

	table_make(s, plan(s)->policy, table, sizeof table);
	if (!sim_up(s, "c", SIM_MAY_FAIL, "%s", table) && !strstr(sim_why(s), "please check/repair"))
		sim_fail(s, "refused: %s", sim_why(s));
}

static void check_faulty(struct sim *s)
{
	if (sim_dev_is_up(sim_dev(s, "c")))
		sim_verify(sim_dev(s, "c"));
}

SIM_SCRIPT(cache_faulty) = {
	.name = "cache-faulty",
	.summary = "a cache one of whose devices fails",
	.disks = DISKS,
	.private_size = sizeof(struct plan),
	.flags = SIM_ERRORS_OK | SIM_NO_CUTS | SIM_NO_AFTER, .seeds = 30,
	.format = format, .up = up_faulty, .work = work_faulty, .check = check_faulty,
};
