/* SPDX-License-Identifier: BSD-2-Clause */
/* switch and unstriped: maps against arithmetic, messages, flushes, refusals. */
#include "box.h"

#include <stdio.h>

static unsigned char buf[256 * NDM_SECTOR_BYTES];

/* The path of each region of m, one letter each: every path's disk has its own first byte. */
static const char *paths(struct ndm_store *m, unsigned region_size, unsigned n)
{
	static char text[128];
	unsigned i;

	for (i = 0; i < n; i++) {
		assert_int_equal(ndm_rw(m, NDM_READ, 0, i * region_size, 1, buf), 0);
		text[i] = 'a' + (buf[0] - i * region_size) / 70;
	}
	text[n] = 0;
	return text;
}

static struct ndm_store *three_paths(struct box *b)
{
	box_disk(b, "a", 70, 0);
	box_disk(b, "b", 72, 70 - 2);
	box_disk(b, "c", 73, 140 - 3);
	return box_up(b, "m", "0 68 switch 3 7 0 box:a 0 box:b 2 box:c 3");
}

static void mappings(struct box *b)
{
	static const struct { const char *say, *want; } talk[] = {
		{ "set_region_mappings", "abcabcabca" },
		{ "set_region_mappings 0:2 :2 :1", "ccbabcabca" },
		{ "Set_Region_Mappings 9:0 7:2 :0", "ccbabcacaa" },
		{ "set_region_mappings 0:0 :1 R2,8", "ababababab" },
		{ "set_region_mappings 3:C", "E ababababab" },
		{ "set_region_mappings 3:2 r1,6", "abaccccccc" },
		{ "set_region_mappings 5:0 a:0", "E abaccacccc" },	/* the first word stays */
		{ "set_region_mappings :2", "acaccacccc" },
		{ "set_region_mappings 0:3", "E acaccacccc" },
		{ "set_region_mappings x:0", "E acaccacccc" },
		{ "set_region_mappings 0", "E acaccacccc" },
		{ "set_region_mappings 0:", "E acaccacccc" },
		{ "set_region_mappings 0:1x", "E acaccacccc" },
		{ "set_region_mappings R1,1", "aaaccacccc" },
		{ "set_region_mappings 1:1 R3,1", "E abaccacccc" },
		{ "set_region_mappings 1:1 R0,1", "E abaccacccc" },
		{ "set_region_mappings 1:1 R1,9", "E abaccacccc" },
		{ "set_region_mappings 1:1 R,1", "E abaccacccc" },
		{ "set_region_mappings 1:1 R1,", "E abaccacccc" },
		{ "set_region_mappings 1:1 R1", "E abaccacccc" },
		{ "set_region_mappings 1:1 R1,1x", "E abaccacccc" },
		{ "set_region_mappings fffffffffffffffff:0", "E abaccacccc" },
		{ "set_region_mappings 1:10000000000000001", "E abaccacccc" },
		{ "set_region_mappings 1:1 R1,ffffffffffffffff", "E abaccacccc" },
		{ "bogus", "E abaccacccc" },
	};
	struct ndm_store *m = three_paths(b);
	unsigned i;

	assert_string_equal(box_table(b, "m"), "3 7 0 box:a 0 box:b 2 box:c 3");
	assert_string_equal(box_status(b, "m"), "");
	for (i = 0; i < sizeof talk / sizeof *talk; i++) {
		bool refused = talk[i].want[0] == 'E';
		const char *answer = box_message(b, "m", talk[i].say);

		if (!strncmp(answer, "EINVAL: switch: ", 16) != refused || (!refused && *answer))
			fail_msg("%s: '%s'", talk[i].say, answer);
		assert_string_equal(paths(m, 7, 10), talk[i].want + (refused ? 2 : 0));
	}
	/* nothing outlives a reload */
	box_reload(b, "m", "0 68 switch 3 7 0 box:a 0 box:b 2 box:c 3");
	assert_string_equal(paths(m, 7, 10), "abcabcabca");
}

static void requests(struct box *b)
{
	struct ndm_store *m = three_paths(b);

	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 5, 10, buf), 0);
	assert_string_equal(box_log(b), "a write 5+2, b write 9+7, c write 17+1");
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 5, 10, NULL), 0);
	assert_string_equal(box_log(b), "a discard 5+2, b discard 9+7, c discard 17+1");
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a flush, b flush, c flush");
}

/* Entries of every width, and a last region that is shorter. */
static void many_paths(struct box *b)
{
	static char table[16384];
	char name[16], say[64];
	unsigned n, i, len;
	struct ndm_store *m = NULL;

	for (i = 0; i < 257; i++) {
		snprintf(name, sizeof name, "d%u", i);
		box_disk(b, name, 600, i);
	}
	for (n = 1; n <= 257; n = n < 8 ? n + 1 : n == 8 ? 257 : n + 1) {
		len = snprintf(table, sizeof table, "0 599 switch %u 2 0", n);
		for (i = 0; i < n; i++)
			len += snprintf(table + len, sizeof table - len, " box:d%u 0", i);
		if (m)
			box_reload(b, "m", table);
		else
			m = box_up(b, "m", table);
		snprintf(say, sizeof say, "set_region_mappings 12b:%x 0:%x", n - 1, n - 1);
		assert_string_equal(box_message(b, "m", say), "");
		for (i = 0; i < 300; i++) {
			unsigned path = i == 0 || i == 299 ? n - 1 : i % n;

			assert_int_equal(ndm_rw(m, NDM_READ, 0, 2 * i, 1, buf), 0);
			assert_int_equal(buf[0], (unsigned char)(path + 2 * i));
		}
	}
	box_log(b);
	assert_int_equal(ndm_flush(m), 0);
	assert_non_null(strstr(box_log(b), "d256 flush"));
}

/* A table of 2^54 sectors in regions of one: an answer, whichever, and at once. */
static void huge(struct box *b)
{
	const char *why;

	box_disk(b, "a", 100, 0);
	assert_int_not_equal(box_refused(b, "0 18014398509481983 switch 1 1 0 box:a 0", &why), 0);
	assert_true(strlen(why) > 0);
}

static void unstriped_maps(struct box *b)
{
	char table[80], name[16];
	unsigned stripe, i;

	box_disk(b, "a", 200, 0);
	for (stripe = 0; stripe < 3; stripe++) {
		struct ndm_store *m;

		snprintf(table, sizeof table, "0 60 unstriped 3 5 %u box:a 7", stripe);
		snprintf(name, sizeof name, "m%u", stripe);
		m = box_up(b, name, table);
		assert_string_equal(box_table(b, name), table + strlen("0 60 unstriped "));
		assert_string_equal(box_status(b, name), "");
		assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 60, buf), 0);
		for (i = 0; i < 60; i++)
			assert_int_equal(buf[i * NDM_SECTOR_BYTES],
					 (unsigned char)(7 + i / 5 * 15 + stripe * 5 + i % 5));
		assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 5, NULL), -EOPNOTSUPP);
		box_log(b);
		assert_int_equal(ndm_flush(m), 0);
		assert_string_equal(box_log(b), "a flush");
	}
}

/* The kernel checks only (offset, length): the rest must fail, and touch nothing. */
static void unstriped_beyond(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 60 unstriped 3 5 3 box:a 0");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 30, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 30, 30, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 59, 1, buf), -EIO);
	box_log(b);
	/* numbers whose product leaves 64 bits */
	box_disk(b, "big", 100, 0);
	box_reload(b, "m", "0 60 unstriped 4294967295 20 4294967294 box:big 0");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 40, 20, buf), -EIO);
	assert_string_equal(box_log(b), "");
}

static void refusals(struct box *b)
{
	static const struct { const char *table; int err; const char *why; } cases[] = {
		{ "0 8 switch", EINVAL, "Invalid number of paths: the number is missing" },
		{ "0 8 switch 0 8 0", EINVAL, "Invalid number of paths: '0'" },
		{ "0 8 switch 262144 8 0", EINVAL, "Invalid number of paths: '262144'" },
		{ "0 8 switch 1 0 0 box:a 0", EINVAL, "Invalid region size: '0'" },
		{ "0 8 switch 1 x 0 box:a 0", EINVAL, "Invalid region size: 'x'" },
		{ "0 8 switch 1 8 1 box:a 0", EINVAL, "Invalid number of optional args: '1'" },
		{ "0 8 switch 2 8 0 box:a 0", EINVAL, "Incorrect number of path arguments" },
		{ "0 8 switch 1 8 0 box:a", EINVAL, "Incorrect number of path arguments" },
		{ "0 8 switch 1 8 0 box:a 0 1", EINVAL, "Incorrect number of path arguments" },
		{ "0 8 switch 1 8 0 box:x 0", ENOENT, "Device lookup failed: no such disk" },
		{ "0 8 switch 2 8 0 box:a 0 box:a x", EINVAL,
		  "Invalid device starting offset: that of path 1 is 'x'" },
		{ "0 8 switch 1 8 0 box:a 93", EINVAL, "too small for target" },
		{ "0 8 unstriped 2 8 0 box:a", EINVAL, "Invalid number of arguments: 4 instead of 5" },
		{ "0 8 unstriped 0 8 0 box:a 0", EINVAL, "Invalid stripe count: argument 1 is '0'" },
		{ "0 8 unstriped 2 0 0 box:a 0", EINVAL, "Invalid chunk_size: argument 2 is '0'" },
		{ "0 8 unstriped 2 8 x box:a 0", EINVAL, "Invalid stripe number: argument 3 is 'x'" },
		{ "0 8 unstriped 2 8 3 box:a 0", EINVAL,
		  "Please provide stripe between [0, # of stripes]: 3 is not" },
		{ "0 8 unstriped 2 8 0 box:x 0", EINVAL, "Couldn't get striped device: no such disk" },
		{ "0 8 unstriped 2 8 0 box:a y", EINVAL,
		  "Invalid striped device offset: argument 5 is 'y'" },
		{ "0 8 unstriped 2 7 0 box:a 0", EINVAL,
		  "Target length not divisible by chunk size (8 by 7)" },
		{ "0 8 unstriped 2 8 0 box:a 93", EINVAL, "too small for target" },
	};
	const char *why;
	unsigned i;

	box_disk(b, "a", 100, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(box_refused(b, cases[i].table, &why), cases[i].err);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", cases[i].table, why);
	}
}

BOX_DEFINE(mappings)
BOX_DEFINE(requests)
BOX_DEFINE(many_paths)
BOX_DEFINE(huge)
BOX_DEFINE(unstriped_maps)
BOX_DEFINE(unstriped_beyond)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(mappings),
		BOX_TEST(requests),
		BOX_TEST(many_paths),
		BOX_TEST(huge),
		BOX_TEST(unstriped_maps),
		BOX_TEST(unstriped_beyond),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
