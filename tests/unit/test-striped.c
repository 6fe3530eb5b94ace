/* SPDX-License-Identifier: BSD-2-Clause */
/* striped: the map against arithmetic done the long way, copies of discards, health. */
#include "box.h"

#include <stdio.h>

static unsigned char buf[256 * NDM_SECTOR_BYTES];

/* Sector by sector, for stripes and chunks that are powers of 2 and that are not. */
static void map_is_right(struct box *b, unsigned n, unsigned chunk)
{
	char table[256], name[32];
	unsigned i, nr = n * chunk * 3, len;
	struct ndm_store *m;

	len = snprintf(table, sizeof table, "0 %u striped %u %u", nr, n, chunk);
	for (i = 0; i < n; i++)
		len += snprintf(table + len, sizeof table - len, " box:%c %u", 'a' + i, i);
	snprintf(name, sizeof name, "m%u-%u", n, chunk);
	m = box_up(b, name, table);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, nr, buf), 0);
	for (i = 0; i < nr; i++) {
		unsigned disk = i / chunk % n, sector = disk + i / chunk / n * chunk + i % chunk;

		assert_int_equal(buf[i * NDM_SECTOR_BYTES], (unsigned char)(50 * disk + sector));
	}
}

static void maps(struct box *b)
{
	box_disk(b, "a", 64, 0);
	box_disk(b, "b", 64, 50);
	box_disk(b, "c", 64, 100);
	box_disk(b, "d", 64, 150);
	map_is_right(b, 1, 7);
	map_is_right(b, 2, 8);
	map_is_right(b, 3, 5);
	map_is_right(b, 3, 4);
	map_is_right(b, 4, 1);
	map_is_right(b, 4, 11);
}

static void requests(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 64, 0);
	box_disk(b, "b", 64, 100);
	m = box_up(b, "m", "0 40 striped 2 4 box:a 2 box:b 8");
	assert_string_equal(box_table(b, "m"), "2 4 box:a 2 box:b 8");
	assert_string_equal(box_status(b, "m"), "2 box:a box:b 1 AA");
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 3, 6, buf), 0);
	assert_string_equal(box_log(b), "a write 5+1 fua, b write 8+4 fua, a write 6+1 fua");
	/* one request a stripe, whatever the length */
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 3, 30, NULL), 0);
	assert_string_equal(box_log(b), "a discard 5+14, b discard 8+16");
	assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, 5, 2, NULL), 0);
	assert_string_equal(box_log(b), "b zeroes 9+2");
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 40, NULL), 0);
	assert_string_equal(box_log(b), "a discard 2+20, b discard 8+20");
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a flush, b flush");
	/* a: 2..5 data, b: 8..11 hole, a: 6,7 data, 8,9 hole, b: 12..15 hole */
	assert_string_equal(box_extents(b, m, 0, 16), "4:data 4:hole 2:data 6:hole");
}

/* Every discard clears exactly its own sectors, found out with write-zeroes. */
static void ranges_are_exact(struct box *b)
{
	unsigned first, nr, i;
	struct ndm_store *m;

	box_disk(b, "a", 64, 1);
	box_disk(b, "b", 64, 1);
	box_disk(b, "c", 64, 1);
	m = box_up(b, "m", "0 36 striped 3 3 box:a 0 box:b 0 box:c 1");
	for (first = 0; first < 36; first++)
		for (nr = 1; nr <= 36 - first; nr++) {
			memset(buf, 0x77, 36 * NDM_SECTOR_BYTES);
			assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 36, buf), 0);
			assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, first, nr, NULL), 0);
			assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 36, buf), 0);
			for (i = 0; i < 36; i++)
				assert_int_equal(buf[i * NDM_SECTOR_BYTES],
						 i >= first && i < first + nr ? 0 : 0x77);
		}
}

static void health(struct box *b)
{
	struct box_disk *bd;
	struct ndm_store *m;
	unsigned i;

	box_disk(b, "a", 64, 0);
	bd = box_disk(b, "b", 64, 100);
	m = box_up(b, "m", "0 48 striped 3 8 box:a 0 box:b 0 box:b 16");
	bd->fail_ops = 1 << NDM_DISCARD;
	bd->error = -EOPNOTSUPP;
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 48, NULL), -EOPNOTSUPP);
	assert_string_equal(box_status(b, "m"), "3 box:a box:b box:b 1 AAA");
	assert_int_equal(box_event_nr(b, "m"), 0);
	bd->fail_ops = 1 << NDM_READ;
	bd->error = -ENODATA;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 8, 1, buf), -ENODATA);
	/* all stripes on that device are marked, and each of them raises an event */
	assert_string_equal(box_status(b, "m"), "3 box:a box:b box:b 1 ADD");
	assert_int_equal(box_event_nr(b, "m"), 2);
	bd->fail_ops = 0;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 8, 1, buf), 0);
	assert_string_equal(box_status(b, "m"), "3 box:a box:b box:b 1 ADD");
	bd->fail_ops = 1 << NDM_READ;
	for (i = 0; i < 30; i++)
		assert_int_equal(ndm_rw(m, NDM_READ, 0, 8, 1, buf), -ENODATA);
	assert_int_equal(box_event_nr(b, "m"), 28);
	box_reload(b, "m", "0 48 striped 3 8 box:a 0 box:b 0 box:b 16");
	assert_string_equal(box_status(b, "m"), "3 box:a box:b box:b 1 AAA");
}

/* More stripes than the core has copies of a request. */
static void very_wide(struct box *b)
{
	static char table[8192];
	unsigned i, n = 260, len;
	struct box_disk *last = NULL;
	struct ndm_store *m;
	char name[16];

	len = snprintf(table, sizeof table, "0 %u striped %u 1", n * 2, n);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "d%u", i);
		last = box_disk(b, name, 2, i);
		len += snprintf(table + len, sizeof table - len, " box:d%u 0", i);
	}
	len += snprintf(table + len, sizeof table - len, "\n%u 1 zero", n * 2);
	m = box_up(b, "m", table);
	memset(buf, 0x55, sizeof buf);
	for (i = 0; i < n; i++)
		assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 2 * i, 2, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, 1, 2 * n - 2, NULL), 0);
	for (i = 0; i < 2 * n; i++) {
		assert_int_equal(ndm_rw(m, NDM_READ, 0, i, 1, buf), 0);
		assert_int_equal(buf[0], i == 0 || i == 2 * n - 1 ? 0x55 : 0);
	}
	box_log(b);
	last->fail_ops = 1 << NDM_FLUSH;
	assert_int_equal(ndm_flush(m), -EIO);
	assert_non_null(strstr(box_log(b), "d259 flush"));
	assert_string_equal(strrchr(box_status(b, "m"), ' ') + 1 + n - 2, "AD");
}

static void refusals(struct box *b)
{
	static const struct { const char *table; int err; const char *why; } cases[] = {
		{ "0 8 striped", EINVAL, "Not enough arguments" },
		{ "0 8 striped 2", EINVAL, "Not enough arguments" },
		{ "0 8 striped 0 8", EINVAL, "Invalid stripe count: argument 1 is '0'" },
		{ "0 8 striped -1 8 box:a 0", EINVAL, "Invalid stripe count" },
		{ "0 8 striped 4294967296 8 box:a 0", EINVAL, "Invalid stripe count" },
		{ "0 8 striped 1 0 box:a 0", EINVAL, "Invalid chunk_size: argument 2 is '0'" },
		{ "0 8 striped 1 x box:a 0", EINVAL, "Invalid chunk_size: argument 2 is 'x'" },
		{ "0 9 striped 2 1 box:a 0 box:a 20", EINVAL,
		  "Target length not divisible by number of stripes (9 by 2)" },
		{ "0 8 striped 2 3 box:a 0 box:a 20", EINVAL,
		  "Target length not divisible by chunk size" },
		{ "0 8 striped 2 4 box:a 0", EINVAL, "Not enough destinations specified" },
		{ "0 8 striped 2 4 box:a 0 box:a 9 x y", EINVAL, "Not enough destinations specified" },
		{ "0 8 striped 2 4 box:a 0 box:a", EINVAL, "Not enough destinations specified" },
		{ "0 8 striped 2 4 box:a 0 box:a -9", EINVAL,
		  "Couldn't parse stripe destination: the offset of stripe 1 is '-9'" },
		{ "0 8 striped 2 4 box:a 0 box:x 0", ENOENT,
		  "Couldn't parse stripe destination: no such disk" },
		{ "0 8 striped 2 4 box:a 0 box:a 61", EINVAL, "too small for target" },
	};
	const char *why;
	unsigned i;

	box_disk(b, "a", 64, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(box_refused(b, cases[i].table, &why), cases[i].err);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", cases[i].table, why);
	}
}

BOX_DEFINE(maps)
BOX_DEFINE(requests)
BOX_DEFINE(ranges_are_exact)
BOX_DEFINE(health)
BOX_DEFINE(very_wide)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(maps),
		BOX_TEST(requests),
		BOX_TEST(ranges_are_exact),
		BOX_TEST(health),
		BOX_TEST(very_wide),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
