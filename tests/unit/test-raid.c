/* SPDX-License-Identifier: BSD-2-Clause */
/* raid: geometry and parity against arithmetic done the long way; tables, failures, sizes. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include "targets/raid/raid.h"

/* ---- geometry ---- */

static const int layouts10[] = { 0x102, 0x103, 0x201, 0x40201, 0x50201, 0x10201, 0x40301, 0x50301 };

static struct raid_geometry geometry10(int layout, unsigned disks)
{
	struct raid_geometry g = { .level = 10, .layout = layout, .disks = disks, .chunk = 8,
				   .dev_sectors = 8 * 60 };

	g.array_sectors = 60 / raid10_far(layout) * disks / raid10_near(layout) * 8;
	return g;
}

/* No two copies in one place; each copy knows its owner; copies of a chunk on disks of their own. */
static void copies_and_owners(int layout, unsigned disks)
{
	struct raid_geometry g = geometry10(layout, disks);
	unsigned n, i, k, want = raid10_near(layout) * raid10_far(layout);
	bool *used = calloc(disks * 60, sizeof *used);
	struct raid_copy c[16];
	uint64_t s, run;

	for (s = 0; s < g.array_sectors; s += 8) {
		n = raid_copies(&g, s + 3, c, 16, &run);
		assert_int_equal(n, want);
		assert_int_equal(run, 5);
		for (i = 0; i < n; i++) {
			assert_in_range(c[i].disk, 0, disks - 1);
			assert_true(c[i].sector < g.dev_sectors);
			assert_int_equal(raid_copy_owner(&g, c[i].disk, c[i].sector, &run), s + 3);
			assert_int_equal(run, 5);
			assert_false(used[c[i].sector / 8 * disks + c[i].disk]);
			used[c[i].sector / 8 * disks + c[i].disk] = true;
			for (k = 0; k < i; k++)
				assert_int_not_equal(c[k].disk, c[i].disk);
		}
	}
	free(used);
}

static void raid10(void **state)
{
	unsigned i, disks;

	(void)state;
	for (i = 0; i < sizeof layouts10 / sizeof *layouts10; i++)
		for (disks = raid10_copies(layouts10[i]); disks < 9; disks++)
			copies_and_owners(layouts10[i], disks);
}

/* near 2 of 3: A A B / B C C; far 2 of 2: rows of the second half turned by one */
static void raid10_places(void **state)
{
	struct raid_geometry near = geometry10(0x102, 3), far = geometry10(0x40201, 2);
	struct raid_copy c[2];
	uint64_t run;

	(void)state;
	raid_copies(&near, 8, c, 2, &run);
	assert_int_equal(c[0].disk, 2);
	assert_int_equal(c[0].sector, 0);
	assert_int_equal(c[1].disk, 0);
	assert_int_equal(c[1].sector, 8);
	raid_copies(&far, 8, c, 2, &run);
	assert_int_equal(c[0].disk, 1);
	assert_int_equal(c[1].disk, 0);
	assert_int_equal(c[1].sector, 240);
}

static const struct { int level, layout; unsigned parity; } stripes[] = {
	{ 5, 0, 1 }, { 5, 1, 1 }, { 5, 2, 1 }, { 5, 3, 1 }, { 5, 4, 1 }, { 5, 5, 1 }, { 6, 8, 2 },
	{ 6, 9, 2 }, { 6, 10, 2 }, { 6, 5, 2 }, { 6, 16, 2 }, { 6, 17, 2 }, { 6, 18, 2 }, { 6, 19, 2 },
};

static void stripe_roles(void **state)
{
	uint8_t disk[RAID_DISKS_MAX + 3], power[RAID_DISKS_MAX + 3];
	unsigned i, n, k, m;
	uint64_t s;

	(void)state;
	for (i = 0; i < sizeof stripes / sizeof *stripes; i++)
		for (n = 2 + stripes[i].parity; n < 9; n++)
			for (s = 0; s < 40; s++) {
				struct raid_geometry g = { .level = stripes[i].level, .chunk = 8, .disks = n,
					.layout = stripes[i].layout, .parity = stripes[i].parity };

				raid_stripe_roles(&g, s, disk, power);
				for (k = 0; k < n; k++) {
					assert_in_range(disk[k], 0, n - 1);
					for (m = 0; m < k; m++) {
						assert_int_not_equal(disk[k], disk[m]);
						if (k < raid_data_disks(&g))
							assert_int_not_equal(power[k], power[m]);
					}
				}
			}
}

/* ---- parity ---- */

#define BLOCK 2048u

static uint8_t mul(uint8_t a, unsigned b)
{
	unsigned r = 0, x = a;

	for (; b; b >>= 1, x = x << 1 ^ (x & 0x80 ? 0x11d : 0))
		if (b & 1)
			r ^= x;
	return (uint8_t)r;
}

static void parity_is_right(unsigned n)
{
	uint8_t *bytes = malloc((n + 6) * BLOCK), *p = bytes + n * BLOCK, *q = p + BLOCK;
	uint8_t *tmp = q + BLOCK, *keep = tmp + 2 * BLOCK, power[32], want_p, want_q, g;
	void *data[32];
	unsigned i, j, k, m, lost[2];

	for (i = 0; i < n * BLOCK; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	for (i = 0; i < n; i++) {
		data[i] = bytes + i * BLOCK;
		power[i] = (uint8_t)((i * 3 + 1) % (n + 3));
		for (j = 0; j < i; j++)
			if (power[j] == power[i])
				power[i] = (uint8_t)(n + 4 + i);
	}
	raid_parity_make(n, data, power, p, q, BLOCK);
	for (j = 0; j < BLOCK; j += 97) {
		for (want_p = want_q = i = 0; i < n; i++) {
			for (g = 1, k = 0; k < power[i]; k++)
				g = mul(g, 2);
			want_p ^= bytes[i * BLOCK + j];
			want_q ^= mul(bytes[i * BLOCK + j], g);
		}
		assert_int_equal(p[j], want_p);
		assert_int_equal(q[j], want_q);
	}
	for (i = 0; i < n; i++)
		for (k = i; k < n; k++)
			for (m = 0; m < 3; m++) {	/* both; without Q; without P */
				if (i != k && m)
					continue;
				lost[0] = i;
				lost[1] = k;
				memcpy(keep, data[k], BLOCK);
				memset(data[i], 0x5a, BLOCK);
				memset(data[k], 0xa5, BLOCK);
				assert_int_equal(raid_parity_recover(n, data, power, lost, 1 + (i != k),
					m == 2 ? NULL : p, m == 1 ? NULL : q, tmp, BLOCK), 0);
				assert_memory_equal(data[k], keep, BLOCK);
				for (j = 0; j < BLOCK; j++)
					assert_int_equal(((uint8_t *)data[i])[j],
						(uint8_t)((i * BLOCK + j) * 2654435761u >> 13));
			}
	free(bytes);
}

static void parity(void **state)
{
	unsigned n;

	(void)state;
	for (n = 1; n < 12; n++)
		parity_is_right(n);
}

static void parity_changed(void **state)
{
	static uint8_t old[4][BLOCK], new[4][BLOCK], p[2][BLOCK], q[2][BLOCK];
	const uint8_t power[4] = { 3, 0, 5, 1 };
	void *data[4], *delta[4] = { NULL };
	unsigned i, j;

	(void)state;
	for (i = 0; i < 4; i++)
		for (j = 0; j < BLOCK; j++) {
			old[i][j] = (uint8_t)(i * 77 + j * 13);
			new[i][j] = i % 2 ? (uint8_t)(j * 7 + i) : old[i][j];
		}
	for (i = 0; i < 4; i++)
		data[i] = old[i];
	raid_parity_make(4, data, power, p[0], q[0], BLOCK);
	for (i = 0; i < 4; i++)
		data[i] = new[i];
	raid_parity_make(4, data, power, p[1], q[1], BLOCK);
	for (i = 1; i < 4; i += 2) {
		raid_xor(old[i], new[i], BLOCK);
		delta[i] = old[i];
	}
	raid_parity_add(4, delta, power, p[0], q[0], BLOCK);
	assert_memory_equal(p[0], p[1], BLOCK);
	assert_memory_equal(q[0], q[1], BLOCK);
}

/* ---- a superblock, there and back ---- */

static void super(void **state)
{
	uint8_t bytes[RAID_SUPER_BYTES], again[RAID_SUPER_BYTES];
	struct raid_super s;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	raid_super_decode(bytes, &s);
	assert_int_equal(s.magic, 0x160f0801);
	raid_super_encode(again, &s);
	assert_memory_equal(again, bytes, sizeof bytes);
}

/* ---- in a box ---- */

static unsigned char buf[256 * 512], back[256 * 512];

static void disks(struct box *b, const char *letters, uint64_t nr)
{
	char name[3] = "?";

	for (; *letters; letters++) {
		name[0] = *letters;
		name[1] = '\0';
		memset(box_disk(b, name, nr, 0)->bytes, 0, nr * 512);
		name[1] = 'm';
		memset(box_disk(b, name, 64, 0)->bytes, 0, 64 * 512);
	}
}

static void settle(struct box *b, const char *name)
{
	while (!strstr(box_status(b, name), " idle "))
		ndm_sleep(box_loop(b), 1000000);
}

static void pattern(unsigned seed)
{
	unsigned i;

	for (i = 0; i < sizeof buf; i++)
		buf[i] = (unsigned char)((i * 31 + seed) >> 3);
}

/* a write that a member fails is answered well, and the others' superblocks know of it */
static void fails(struct box *b)
{
	struct ndm_store *m;
	struct box_disk *c;
	struct raid_super s;

	disks(b, "ab", 128);
	c = box_disk(b, "c", 128, 0);
	memset(c->bytes, 0, 128 * 512);
	memset(box_disk(b, "cm", 64, 0)->bytes, 0, 64 * 512);
	m = box_up(b, "m", "0 256 raid raid5_ls 3 16 region_size 64 3 box:am box:a box:bm box:b box:cm box:c");
	settle(b, "m");
	assert_string_equal(box_status(b, "m"), "raid5_ls 3 AAA 128/128 idle 0 0 -");
	pattern(1);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 256, buf), 0);
	c->fail_ops = 1 << NDM_WRITE;
	c->error = -EIO;
	pattern(2);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 100, buf), 0);
	assert_string_equal(box_status(b, "m"), "raid5_ls 3 AAD 128/128 idle 0 0 -");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 100, back), 0);
	assert_memory_equal(back, buf, 100 * 512);
	(void)s;
	/* it comes back, and gets what it has missed */
	c->fail_ops = 0;
	box_suspend(b, "m", 0);
	box_resume(b, "m");
	settle(b, "m");
	assert_string_equal(box_status(b, "m"), "raid5_ls 3 AAA 128/128 idle 0 0 -");
}

/* a block that cannot be read comes from the others, and is written again */
static void unreadable(struct box *b)
{
	struct box_disk *a;
	struct ndm_store *m;

	disks(b, "b", 64);
	a = box_disk(b, "a", 64, 0);
	memset(box_disk(b, "am", 64, 0)->bytes, 0, 64 * 512);
	m = box_up(b, "m", "0 64 raid raid1 4 0 nosync region_size 64 2 box:am box:a box:bm box:b");
	pattern(3);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 64, buf), 0);
	a->fail_ops = 1 << NDM_READ;
	a->error = -ENODATA;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 64, back), 0);
	assert_memory_equal(back, buf, 64 * 512);
	/* still unreadable after it was written: failed */
	assert_string_equal(box_status(b, "m"), "raid1 2 DA 64/64 idle 0 0 -");
}

static void sizes(struct box *b)
{
	struct ndm_store *m;

	disks(b, "abc", 128);
	m = box_up(b, "m", "0 64 raid raid1 3 0 region_size 16 2 box:am box:a box:bm box:b");
	settle(b, "m");
	pattern(4);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 64, buf), 0);
	box_reload(b, "m", "0 96 raid raid1 3 0 region_size 16 2 box:am box:a box:bm box:b");
	settle(b, "m");
	assert_string_equal(box_status(b, "m"), "raid1 2 AA 96/96 idle 0 0 -");
	/* a third leg, new */
	box_reload(b, "m", "0 96 raid raid1 5 0 rebuild 2 region_size 16 3 box:am box:a box:bm box:b "
		   "box:cm box:c");
	settle(b, "m");
	assert_string_equal(box_status(b, "m"), "raid1 3 AAA 96/96 idle 0 0 -");
	/* and one alone, by the third */
	box_reload(b, "m", "0 96 raid raid1 3 0 region_size 16 3 - - - - box:cm box:c");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 64, back), 0);
	assert_memory_equal(back, buf, 64 * 512);
}

/* raid5 becomes raid6 with Q on a new last member, and raid5 again */
static void levels(struct box *b)
{
	struct ndm_store *m;

	disks(b, "abcd", 64);
	m = box_up(b, "m", "0 128 raid raid5_ls 3 16 region_size 64 3 box:am box:a box:bm box:b box:cm box:c");
	settle(b, "m");
	pattern(5);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 128, buf), 0);
	box_reload(b, "m", "0 128 raid raid6_ls_6 5 16 rebuild 3 region_size 64 4 box:am box:a box:bm box:b "
		   "box:cm box:c box:dm box:d");
	settle(b, "m");
	assert_string_equal(box_status(b, "m"), "raid6_ls_6 4 AAAA 64/64 idle 0 0 -");
	/* two are lost */
	box_reload(b, "m", "0 128 raid raid6_ls_6 3 16 region_size 64 4 - - box:bm box:b - - box:dm box:d");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 128, back), 0);
	assert_memory_equal(back, buf, 128 * 512);
	box_reload(b, "m", "0 128 raid raid6_ls_6 3 16 region_size 64 4 box:am box:a box:bm box:b "
		   "box:cm box:c box:dm box:d");
	settle(b, "m");
	box_reload(b, "m", "0 128 raid raid5_ls 3 16 region_size 64 3 box:am box:a box:bm box:b box:cm box:c");
	assert_string_equal(box_status(b, "m"), "raid5_ls 3 AAA 64/64 idle 0 0 -");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 128, back), 0);
	assert_memory_equal(back, buf, 128 * 512);
}

static void refused(struct box *b)
{
	const char *why;

	disks(b, "abc", 64);
	assert_int_equal(box_refused(b, "0 128 raid raid5_ls 3 16 region_size 8 3 box:am box:a box:bm box:b "
				     "box:cm box:c", &why), EINVAL);
	assert_non_null(strstr(why, "Region size is smaller than the chunk size"));
	assert_int_equal(box_refused(b, "0 64 raid raid1 5 0 write_mostly 0 write_mostly 1 2 box:am box:a "
				     "box:bm box:b", &why), EINVAL);
	assert_non_null(strstr(why, "Can't set all raid1 devices to write_mostly"));
	assert_int_equal(box_refused(b, "0 128 raid raid5_ls 3 16 rebuild 0 3 - - box:bm box:b box:cm box:c",
				     &why), EINVAL);
	assert_non_null(strstr(why, "Drive designated for rebuild not specified"));
	assert_int_equal(box_refused(b, "0 130 raid raid5_ls 1 16 4 box:am box:a box:bm box:b box:cm box:c "
				     "- -", &why), EINVAL);
	assert_non_null(strstr(why, "not divisible"));
	assert_int_equal(box_refused(b, "0 64 raid raid1 3 0 stripe_cache 5 2 box:am box:a box:bm box:b",
				     &why), EINVAL);
}

/* journal: the same data with it, and after it has gone round several times */
static void journal(struct box *b)
{
	struct ndm_store *m;
	unsigned i;

	disks(b, "abc", 128);
	memset(box_disk(b, "j", 8192, 0)->bytes, 0, 8192 * 512);
	m = box_up(b, "m", "0 256 raid raid5_ls 3 16 journal_dev box:j 3 box:am box:a box:bm box:b box:cm box:c");
	settle(b, "m");
	for (i = 0; i < 60; i++) {
		pattern(i);
		assert_int_equal(ndm_rw(m, NDM_WRITE, 0, i, 256 - 2 * i, buf + i * 512), 0);
		assert_int_equal(ndm_rw(m, NDM_READ, 0, i, 256 - 2 * i, back + i * 512), 0);
		assert_memory_equal(back + i * 512, buf + i * 512, (256 - 2 * i) * 512);
	}
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 256, buf), 0);
	assert_string_equal(box_status(b, "m"), "raid5_ls 3 AAA 128/128 idle 0 0 A");
	box_reload(b, "m", "0 256 raid raid5_ls 3 16 journal_dev box:j 3 - - box:bm box:b box:cm box:c");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 256, back), 0);
	assert_memory_equal(back, buf, 256 * 512);
}

/* ---- write-behind ---- */

static bool held_on(const struct box_disk *d) { return d->held; }

static void behind_make(struct box *b, struct box_disk **data)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		data[i] = box_disk(b, i ? "b" : "a", 128, 0);
		memset(data[i]->bytes, 0, 128 * 512);
		memset(box_disk(b, i ? "bm" : "am", 64, 0)->bytes, 0, 64 * 512);
	}
}

#define BEHIND "0 128 raid raid1 8 0 nosync region_size 16 write_mostly 1 max_write_behind 4 2 " \
	       "box:am box:a box:bm box:b"

/*
 * A write is answered when the other leg has it; one of the same place waits for it, and so does one
 * too many; what is behind is there after a suspend.
 */
static void behind(struct box *b)
{
	struct box_disk *data[2];
	struct box_io again, third;
	struct ndm_store *m;

	behind_make(b, data);
	m = box_up(b, "m", BEHIND);
	assert_string_equal(box_table(b, "m"), "raid1 8 0 nosync write_mostly 1 "
			    "max_write_behind 2 region_size 16 2 box:am box:a box:bm box:b");
	pattern(1);
	data[1]->hold = true;
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 8, 4, buf), 0);
	assert_true(held_on(data[1]));
	assert_memory_equal(data[0]->bytes + 8 * 512, buf, 4 * 512);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 8, 4, back), 0);
	assert_memory_equal(back, buf, 4 * 512);
	box_start(b, &again, m, NDM_WRITE, 10, 1, buf + 20 * 512);
	ndm_sleep(box_loop(b), 1000000);
	assert_false(again.done);		/* the same place */
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 40, 4, buf + 512), 0);
	box_start(b, &third, m, NDM_WRITE, 60, 1, buf);
	ndm_sleep(box_loop(b), 1000000);
	assert_false(third.done);		/* two are behind: all legs are waited for */
	data[1]->hold = false;
	box_release(data[1]);
	box_wait(&again);
	box_wait(&third);
	assert_int_equal(again.bio.error, 0);
	box_suspend(b, "m", 0);
	assert_memory_equal(data[1]->bytes, data[0]->bytes, 128 * 512);
	assert_memory_equal(data[1]->bytes + 10 * 512, buf + 20 * 512, 512);
	box_resume(b, "m");
}

/* the other leg fails: a flush waits for what is behind, and reads see it */
static void behind_alone(struct box *b)
{
	struct box_disk *data[2];
	struct box_io flush, read;
	struct ndm_store *m;

	behind_make(b, data);
	m = box_up(b, "m", BEHIND);
	pattern(2);
	data[1]->hold = true;
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 8, buf), 0);
	data[0]->fail_ops = 1 << NDM_FLUSH | 1 << NDM_READ | 1 << NDM_WRITE;
	data[0]->error = -EIO;
	box_start(b, &flush, m, NDM_FLUSH, 0, 0, NULL);
	box_start(b, &read, m, NDM_READ, 0, 8, back);
	ndm_sleep(box_loop(b), 1000000);
	assert_false(flush.done);
	assert_false(read.done);
	data[1]->hold = false;
	box_release(data[1]);
	box_wait(&flush);
	box_wait(&read);
	assert_int_equal(flush.bio.error, 0);
	assert_int_equal(read.bio.error, 0);
	assert_memory_equal(back, buf, 8 * 512);
	assert_string_equal(box_status(b, "m"), "raid1 2 DA 128/128 idle 0 0 -");
}

/* the write that would have been answered early is the one that the other leg fails */
static void behind_fails(struct box *b)
{
	struct box_disk *data[2];
	struct ndm_store *m;

	behind_make(b, data);
	m = box_up(b, "m", BEHIND);
	pattern(3);
	data[0]->fail_ops = 1 << NDM_WRITE;
	data[0]->error = -EIO;
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 8, buf), 0);
	assert_memory_equal(data[1]->bytes, buf, 8 * 512);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_status(b, "m"), "raid1 2 DA 128/128 idle 0 0 -");
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 4, 8, buf + 512), 0);
	assert_memory_equal(data[1]->bytes + 4 * 512, buf + 512, 8 * 512);
}

BOX_DEFINE(behind)
BOX_DEFINE(behind_fails)
BOX_DEFINE(behind_alone)
BOX_DEFINE(fails)
BOX_DEFINE(unreadable)
BOX_DEFINE(sizes)
BOX_DEFINE(levels)
BOX_DEFINE(refused)
BOX_DEFINE(journal)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raid10),
		cmocka_unit_test(raid10_places),
		cmocka_unit_test(stripe_roles),
		cmocka_unit_test(parity),
		cmocka_unit_test(parity_changed),
		cmocka_unit_test(super),
		BOX_TEST(fails),
		BOX_TEST(unreadable),
		BOX_TEST(sizes),
		BOX_TEST(levels),
		BOX_TEST(refused),
		BOX_TEST(journal),
		BOX_TEST(behind),
		BOX_TEST(behind_fails),
		BOX_TEST(behind_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
