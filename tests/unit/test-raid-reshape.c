/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raid: data that move to another shape while they are used, and levels that change at once.
 *
 * Free space is where Linux wants it: in front of the data for a reshape forwards (the test moves
 * them up, as a volume manager remaps its members), else behind them.
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include "targets/raid/raid.h"

#define DEV 384u				/* sectors of a member that the array has */
#define SPACE 64u
#define MEMBERS 6u

static unsigned char want[MEMBERS * DEV * 512], back[MEMBERS * DEV * 512];

static void disks(struct box *b, unsigned n)
{
	char name[3] = "a", meta[3] = "am";
	unsigned i;

	for (i = 0; i < n; i++) {
		name[0] = meta[0] = (char)('a' + i);
		memset(box_disk(b, name, DEV + SPACE, 0)->bytes, 0x5a, (DEV + SPACE) * 512);
		memset(box_disk(b, meta, 64, 0)->bytes, 0, 64 * 512);
	}
}

/* box_disk() gives a new one; the test keeps its own */
struct world {
	struct box *b;
	struct box_disk *data[MEMBERS], *meta[MEMBERS];
	struct ndm_store *m;
	uint64_t nr;
};

static void world_make(struct world *w, struct box *b)
{
	char name[3] = "a", meta[3] = "am";
	unsigned i;

	*w = (struct world){ .b = b };
	for (i = 0; i < MEMBERS; i++) {
		name[0] = meta[0] = (char)('a' + i);
		w->data[i] = box_disk(b, name, DEV + SPACE, 0);
		w->meta[i] = box_disk(b, meta, 64, 0);
		memset(w->data[i]->bytes, 0x5a, (DEV + SPACE) * 512);
		memset(w->meta[i]->bytes, 0, 64 * 512);
	}
}

static const char *table(char *to, uint64_t nr, const char *type, const char *words, unsigned n)
{
	unsigned i, count = 1;
	const char *p;
	int at;

	for (p = words; *p; p++)
		count += *p == ' ';
	at = sprintf(to, "0 %u raid %s %u %s %u", (unsigned)nr, type, count, words, n);
	for (i = 0; i < n; i++)
		at += sprintf(to + at, " box:%cm box:%c", 'a' + i, 'a' + i);
	return to;
}

static void settle(struct world *w)
{
	while (!strstr(box_status(w->b, "m"), " idle "))
		ndm_sleep(box_loop(w->b), 1000000);
}

static void fill(struct world *w, unsigned seed, uint64_t first, uint64_t nr)
{
	uint64_t i;

	for (i = first * 512; i < (first + nr) * 512; i++)
		want[i] = (unsigned char)((i * 31 + seed + i / 512) >> 3);
	assert_int_equal(ndm_rw(w->m, NDM_WRITE, 0, first, nr, want + first * 512), 0);
}

static void same(struct world *w)
{
	assert_int_equal(ndm_rw(w->m, NDM_READ, 0, 0, w->nr, back), 0);
	assert_memory_equal(back, want, w->nr * 512);
}

static void check(struct world *w)
{
	settle(w);
	box_message(w->b, "m", "check");
	settle(w);
	assert_non_null(strstr(box_status(w->b, "m"), " idle 0 "));
}

static void space_in_front(struct world *w)
{
	unsigned i;

	for (i = 0; i < MEMBERS; i++) {
		memmove(w->data[i]->bytes + SPACE * 512, w->data[i]->bytes, DEV * 512);
		memset(w->data[i]->bytes, 0xee, SPACE * 512);
	}
}

/* one shape into another: how many array sectors, which words, how many members in the table */
struct shape { const char *type, *words; unsigned n; uint64_t nr; };	/* nr: of the table */

static void begin(struct world *w, struct box *b, const struct shape *from)
{
	char t[400];

	world_make(w, b);
	w->nr = from->nr;
	w->m = box_up(b, "m", table(t, from->nr, from->type, from->words, from->n));
	settle(w);
	fill(w, 1, 0, w->nr);
}

/* how = 0: at once; 1: written to meanwhile; 2: stopped and loaded again; 3: a member fails */
static void moved(struct box *b, const struct shape *from, const struct shape *to,
		  const char *then, bool front, uint64_t keep, unsigned how)
{
	char t[400], plain[400];
	struct world w;

	begin(&w, b, from);
	keep = keep ? keep : from->nr;
	box_suspend(b, "m", 0);
	if (front)
		space_in_front(&w);
	w.nr = keep;
	box_reload(b, "m", table(t, to->nr, to->type, to->words, to->n));
	if (!strstr(box_status(b, "m"), " reshape "))
		fail_msg("no reshape: %s", box_status(b, "m"));
	same(&w);
	if (how == 3) {
		w.data[1]->fail_ops = 1 << NDM_WRITE | 1 << NDM_READ;
		w.data[1]->error = -EIO;
	}
	if (how) {
		fill(&w, 2, 5, 100);
		fill(&w, 3, keep - 77, 70);
		ndm_sleep(box_loop(b), 40000000);
		fill(&w, 4, keep / 2, 90);
		same(&w);
	}
	if (how == 2) {
		uint64_t nr = to->nr;

		assert_non_null(strstr(box_status(b, "m"), " reshape "));
		box_suspend(b, "m", 0);
		box_reload(b, "m", table(plain, nr, to->type, then, to->n));
		same(&w);
		fill(&w, 5, keep / 3, 60);
	}
	settle(&w);
	same(&w);
	if (how == 3) {
		w.data[1]->fail_ops = 0;
		box_suspend(b, "m", 0);
		box_resume(b, "m");
		settle(&w);
		same(&w);
	}
	check(&w);
	box_suspend(b, "m", 0);
	box_reload(b, "m", table(plain, to->nr, to->type, then, to->n));
	settle(&w);
	same(&w);
	check(&w);
}

#define SLOW " max_recovery_rate 400"

static const struct { struct shape from, to; const char *then; bool front; uint64_t keep; } moves[] = {
	{ { "raid5_ls", "16 region_size 64", 3, 2 * DEV },
	  { "raid5_ls", "16 region_size 64 delta_disks 1 data_offset 64" SLOW, 4, 3 * DEV },
	  "16 region_size 64", true },
	{ { "raid5_ls", "16 region_size 64", 3, 2 * DEV },
	  { "raid5_ls", "32 region_size 64 data_offset 64" SLOW, 3, 2 * DEV }, "32 region_size 64", false },
	{ { "raid5_la", "32 region_size 64", 4, 3 * DEV },
	  { "raid5_n", "8 region_size 64 data_offset 64" SLOW, 4, 3 * DEV }, "8 region_size 64", false },
	{ { "raid5_rs", "16 region_size 64", 5, 4 * DEV },
	  { "raid5_rs", "16 region_size 64 delta_disks -2 data_offset 64" SLOW, 5, 4 * DEV },
	  "16 region_size 64", false, 2 * DEV },
	{ { "raid4", "16 region_size 64", 3, 2 * DEV },
	  { "raid4", "8 region_size 64 delta_disks 2 data_offset 64" SLOW, 5, 4 * DEV },
	  "8 region_size 64", true },
	{ { "raid6_zr", "16 region_size 64", 4, 2 * DEV },
	  { "raid6_nc", "16 region_size 64 data_offset 64" SLOW, 4, 2 * DEV }, "16 region_size 64", false },
	{ { "raid6_ls_6", "16 region_size 64", 4, 2 * DEV },
	  { "raid6_ls_6", "16 region_size 64 delta_disks 2 data_offset 64" SLOW, 6, 4 * DEV },
	  "16 region_size 64", true },
	{ { "raid10", "16 region_size 64", 4, 2 * DEV },
	  { "raid10", "16 region_size 64 delta_disks 2 data_offset 64" SLOW, 6, 3 * DEV },
	  "16 region_size 64", true },
	{ { "raid10", "16 region_size 64", 4, 2 * DEV },
	  { "raid10", "32 region_size 64 data_offset 64" SLOW, 4, 2 * DEV }, "32 region_size 64", false },
	{ { "raid10", "16 region_size 64", 4, 2 * DEV },
	  { "raid10_offset", "16 region_size 64 raid10_format offset data_offset 64" SLOW, 4, 2 * DEV },
	  "16 region_size 64 raid10_format offset", false },
};
#define MOVES (sizeof moves / sizeof *moves)

static unsigned which, how_now;

static void move_one(struct box *b)
{
	moved(b, &moves[which].from, &moves[which].to, moves[which].then, moves[which].front,
	      moves[which].keep, how_now);
}

static void move_all(unsigned how)
{
	how_now = how;
	for (which = 0; which < MOVES; which++) {
		print_message("%s -> %s %s\n", moves[which].from.type, moves[which].to.type,
			      moves[which].to.words);
		box_run(move_one);
	}
}

static void quiet(void **state) { (void)state; move_all(0); }
static void used(void **state) { (void)state; move_all(1); }
static void stopped(void **state) { (void)state; move_all(2); }
static void failing(void **state) { (void)state; move_all(3); }

/* ---- what the superblocks say meanwhile, and at the end ---- */

static void words_on_disk(struct box *b)
{
	struct shape from = { "raid5_ls", "16 region_size 64", 3, 2 * DEV };
	struct raid_super s;
	struct world w;
	char t[400];

	begin(&w, b, &from);
	box_suspend(b, "m", 0);
	space_in_front(&w);
	box_reload(b, "m", table(t, 3 * DEV, "raid5_ls", "16 region_size 64 delta_disks 1 data_offset 64"
				 SLOW, 4));
	assert_string_equal(box_table(b, "m"), "raid5_ls 9 16 max_recovery_rate 400 region_size 64 "
			    "delta_disks 1 data_offset 64 4 box:am box:a box:bm box:b box:cm box:c box:dm box:d");
	raid_super_decode(w.meta[3]->bytes, &s);
	assert_int_equal(s.disks, 4);
	assert_int_equal(s.position, 3);
	assert_int_equal(s.flags, RAID_SUPER_RESHAPE);
	assert_int_equal(s.delta_disks, 1);
	assert_int_equal(s.data_offset, 64);
	assert_int_equal(s.new_data_offset, 0);
	assert_int_equal(s.sectors, DEV + 64);
	assert_int_equal(s.array_sectors, 2 * DEV);
	assert_true(s.resync_offset == RAID_NONE && s.recovery_offset == RAID_NONE);
	settle(&w);
	raid_super_decode(w.meta[0]->bytes, &s);
	assert_int_equal(s.flags, 0);
	assert_true(s.reshape_position == RAID_NONE);
	assert_int_equal(s.delta_disks, 0);
	assert_int_equal(s.data_offset, 0);
	assert_int_equal(s.array_sectors, 3 * DEV);
	assert_string_equal(box_status(b, "m"), "raid5_ls 4 AAAA 384/384 idle 0 0 -");
}

/* what would write over data, or is of no use, is refused; without space nothing moves */
static void refused(struct box *b)
{
	struct shape from = { "raid5_ls", "16 region_size 64", 3, 2 * DEV };
	const char *why;
	struct world w;
	char t[400];

	begin(&w, b, &from);
	box_suspend(b, "m", 0);
	assert_int_equal(box_refused(b, table(t, 2 * DEV, "raid5_ls", "64 region_size 64 data_offset 32",
					      3), &why), EINVAL);
	assert_non_null(strstr(why, "data_offset is too small"));
	assert_int_equal(box_refused(b, table(t, 2 * DEV, "raid5_ls", "16 delta_disks -2 data_offset 64",
					      3), &why), EINVAL);
	assert_non_null(strstr(why, "Reshape check failed"));
	assert_int_equal(box_refused(b, table(t, 2 * DEV, "raid6_zr", "16 rebuild 3", 4), &why),
			 EINVAL);
	assert_non_null(strstr(why, "takeover not possible"));
	box_reload(b, "m", table(t, 2 * DEV, "raid5_ls", "32 region_size 64", 3));
	settle(&w);
	assert_string_equal(box_status(b, "m"), "raid5_ls 3 AAA 384/384 idle 0 0 -");
	same(&w);
}

/*
 * What LVM loads to add a member, one table after the other: the new member as one to be rebuilt of
 * an array that has no place for it, then the reshape, then the plain table while that goes on.
 */
static void as_lvm_does(struct box *b)
{
	struct shape from = { "raid5_ls", "16 region_size 64", 3, 2 * DEV };
	struct world w;
	char t[400];

	begin(&w, b, &from);
	box_reload(b, "m", table(t, 3 * DEV, "raid5_ls", "16 rebuild 3 region_size 64", 4));
	settle(&w);
	assert_string_equal(box_status(b, "m"), "raid5_ls 3 AAAa 384/384 idle 0 0 -");
	same(&w);
	box_suspend(b, "m", 0);
	space_in_front(&w);
	box_reload(b, "m", table(t, 3 * DEV, "raid5_ls", "16 max_recovery_rate 400 region_size 64 "
				 "delta_disks 1 data_offset 64", 4));
	assert_non_null(strstr(box_status(b, "m"), "raid5_ls 4 aaaa "));
	box_reload(b, "m", table(t, 3 * DEV, "raid5_ls", "16 region_size 64", 4));
	same(&w);
	settle(&w);
	assert_string_equal(box_status(b, "m"), "raid5_ls 4 AAAA 384/384 idle 0 0 -");
	same(&w);
	w.nr = 3 * DEV;
	fill(&w, 7, 0, w.nr);
	check(&w);
}

/* legs of a raid1 come with delta_disks, too, and are filled */
static void legs(struct box *b)
{
	struct shape from = { "raid1", "0 region_size 64", 2, DEV };
	struct world w;
	char t[400];

	begin(&w, b, &from);
	box_reload(b, "m", table(t, DEV, "raid1", "0 region_size 64 delta_disks 1", 3));
	settle(&w);
	assert_string_equal(box_status(b, "m"), "raid1 3 AAA 384/384 idle 0 0 -");
	box_suspend(b, "m", 0);
	assert_memory_equal(w.data[2]->bytes, want, DEV * 512);
}

/* ---- levels ---- */

/* raid0 becomes raid10: its members are the first of each pair */
static void striped_to_copies(struct box *b)
{
	struct shape from = { "raid0", "16", 2, 2 * DEV };
	struct world w;

	begin(&w, b, &from);
	box_suspend(b, "m", 0);
	box_reload(b, "m", "0 768 raid raid10 7 16 rebuild 1 rebuild 3 region_size 64 4 box:am box:a "
		   "box:cm box:c box:bm box:b box:dm box:d");
	settle(&w);
	assert_string_equal(box_status(b, "m"), "raid10 4 AAAA 768/768 idle 0 0 -");
	same(&w);
	check(&w);
	/* either half will do */
	box_reload(b, "m", "0 768 raid raid10 3 16 region_size 64 4 - - box:cm box:c - - box:dm box:d");
	same(&w);
	box_reload(b, "m", "0 768 raid raid10 3 16 region_size 64 4 box:am box:a box:cm box:c box:bm box:b "
		   "box:dm box:d");
	settle(&w);
	box_suspend(b, "m", 0);
	box_reload(b, "m", "0 768 raid raid0 1 16 2 box:am box:a box:bm box:b");
	same(&w);
}

static void levels_refused(struct box *b)
{
	struct shape from = { "raid0", "16", 3, 3 * DEV };
	const char *why;
	struct world w;

	begin(&w, b, &from);
	box_suspend(b, "m", 0);
	/* Linux takes it, and what was on the third member is gone */
	assert_int_equal(box_refused(b, "0 768 raid raid6_n_6 3 16 rebuild 3 4 box:am box:a box:bm box:b "
				     "box:cm box:c box:dm box:d", &why), EINVAL);
	assert_non_null(strstr(why, "takeover not possible"));
	assert_int_equal(box_refused(b, "0 1152 raid raid5_ls 3 16 rebuild 3 4 box:am box:a box:bm box:b "
				     "box:cm box:c box:dm box:d", &why), EINVAL);
	assert_int_equal(box_refused(b, "0 1152 raid raid10 5 16 rebuild 3 rebuild 4 6 box:am box:a box:bm "
				     "box:b box:cm box:c box:dm box:d box:em box:e box:fm box:f", &why), EINVAL);
}

/* a discard goes to the members in chunks, as a write does */
static void discards(struct box *b)
{
	struct ndm_store *m;

	disks(b, 2);
	m = box_up(b, "m", "0 768 raid raid0 1 16 2 box:am box:a box:bm box:b");
	box_log(b);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 8, 40, NULL), 0);
	assert_string_equal(box_log(b), "a discard 8+8, b discard 0+16, a discard 16+16");
}

BOX_DEFINE(words_on_disk)
BOX_DEFINE(refused)
BOX_DEFINE(as_lvm_does)
BOX_DEFINE(legs)
BOX_DEFINE(striped_to_copies)
BOX_DEFINE(levels_refused)
BOX_DEFINE(discards)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet),
		cmocka_unit_test(used),
		cmocka_unit_test(stopped),
		cmocka_unit_test(failing),
		BOX_TEST(words_on_disk),
		BOX_TEST(refused),
		BOX_TEST(as_lvm_does),
		BOX_TEST(legs),
		BOX_TEST(striped_to_copies),
		BOX_TEST(levels_refused),
		BOX_TEST(discards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
