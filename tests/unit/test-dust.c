/* SPDX-License-Identifier: BSD-2-Clause */
/* dust: bad blocks that fail, heal, and are talked about in messages. */
#include "box.h"

static unsigned char buf[64 * NDM_SECTOR_BYTES];

static void failing_and_healing(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 50 dust box:a 8 1024");
	assert_string_equal(box_table(b, "m"), "box:a 8 1024");
	assert_string_equal(box_status(b, "m"), "box:a bypass verbose");
	assert_string_equal(box_message(b, "m", "addbadblock 5"), "");	/* sectors 2, 3 of m */
	assert_string_equal(box_message(b, "m", "addbadblock 6 2"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 50, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 2, 2, buf), 0);
	assert_string_equal(box_message(b, "m", "countbadblocks"), "countbadblocks: 2 badblock(s) found");

	assert_string_equal(box_message(b, "m", "ENABLE"), "");
	assert_string_equal(box_status(b, "m"), "box:a fail_read_on_bad_block verbose");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 2, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 3, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 1, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 6, 40, buf), 0);
	box_log(b);
	assert_string_equal(box_extents(b, m, 2, 20), "6:hole 8:data 6:hole");
	assert_string_equal(box_log(b), "a extents 10+20");	/* one question, not one a block */
	assert_string_equal(box_message(b, "m", "quiet"), "");
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 3, 1, buf), 0);	/* heals */
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 2, 2, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 4, 1, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 4, 40, NULL), -EIO);	/* a write of its first block */
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 4, 1, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), 0);
	assert_string_equal(box_message(b, "m", "listbadblocks"), "No blocks in badblocklist");
	assert_string_equal(box_message(b, "m", "addbadblock 5"), "");
	assert_string_equal(box_message(b, "m", "disable"), "");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 50, buf), 0);
	assert_string_equal(box_status(b, "m"), "box:a bypass quiet");
}

static void talking(struct box *b)
{
	static const struct { const char *say, *answer; } talk[] = {
		{ "clearbadblocks", "dust_clear_badblocks: no badblocks found" },
		{ "addbadblock 7", "" },
		{ "addbadblock 3 255", "" },
		{ "AddBadBlock 200", "" },	/* one behind the last, as in the kernel */
		{ "addbadblock 0", "" },
		{ "listbadblocks", "0\n3\n7\n200\n" },
		{ "countbadblocks", "countbadblocks: 4 badblock(s) found" },
		{ "queryblock 7", "dust_query_block: block 7 found in badblocklist" },
		{ "queryblock 8", "dust_query_block: block 8 not found in badblocklist" },
		{ "removebadblock 7", "" },
		{ "queryblock 7", "dust_query_block: block 7 not found in badblocklist" },
		{ "removebadblock 7", "EINVAL: dust: block 7 not found in badblocklist" },
		{ "addbadblock 3", "EINVAL: dust: block 3 already in badblocklist" },
		{ "addbadblock 201", "EINVAL: dust: selected block value out of range: 201, the "
		  "device has 200 blocks" },
		{ "addbadblock 9 256", "EINVAL: dust: selected write fail count out of range: 256, "
		  "at most 255" },
		{ "addbadblock x", "EINVAL: dust: 'x' is not a block number" },
		{ "addbadblock 9 x", "EINVAL: dust: 'x' is not a write fail count" },
		{ "addbadblock", "EINVAL: dust: addbadblock requires an additional argument" },
		{ "queryblock 3 4", "EINVAL: dust: unrecognized message 'queryblock' received" },
		{ "bogus", "EINVAL: dust: unrecognized message 'bogus' received" },
		{ "bogus 1", "EINVAL: dust: unrecognized message 'bogus' received" },
		{ "addbadblock 1 2 3", "EINVAL: dust: invalid number of arguments '4'" },
		{ "listbadblocks", "0\n3\n200\n" },
		{ "clearbadblocks", "dust_clear_badblocks: badblocks cleared" },
		{ "countbadblocks", "countbadblocks: 0 badblock(s) found" },
	};
	unsigned i;

	box_disk(b, "a", 200, 0);
	box_up(b, "m", "0 200 dust box:a 0 512");
	for (i = 0; i < sizeof talk / sizeof *talk; i++)
		assert_string_equal(box_message(b, "m", talk[i].say), talk[i].answer);
}

/* Many blocks in any order stay one ascending list. */
static void many(struct box *b)
{
	struct ndm_str say = { 0 }, all = { 0 };
	unsigned i;

	box_disk(b, "a", 1009, 0);
	box_up(b, "m", "0 1009 dust box:a 0 512");
	for (i = 0; i < 1009; i++) {
		ndm_printf(&say, "addbadblock %u", i * 400 % 1009);
		assert_string_equal(box_message(b, "m", say.text), "");
		ndm_str_free(&say);
	}
	for (i = 0; i < 1009; i += 2) {
		ndm_printf(&say, "removebadblock %u", i);
		assert_string_equal(box_message(b, "m", say.text), "");
		ndm_str_free(&say);
	}
	for (i = 1; i < 1009; i += 2)
		ndm_printf(&all, "%u\n", i);
	assert_string_equal(box_message(b, "m", "listbadblocks"), all.text);
	ndm_str_free(&all);
}

static void refusals(struct box *b)
{
	static const struct { const char *table; const char *why; } cases[] = {
		{ "0 8 dust box:a 0", "Invalid argument count: 2 instead of 3" },
		{ "0 8 dust box:a 0 x", "Invalid block size parameter: argument 3 is 'x'" },
		{ "0 8 dust box:a 0 0", "Invalid block size parameter" },
		{ "0 8 dust box:a 0 256", "Block size must be at least 512, not 256" },
		{ "0 8 dust box:a 0 513", "Block size must be a power of 2, not 513" },
		{ "0 8 dust box:a 0 8192", "Block size is too large: 8192 bytes, at most 4096" },
		{ "0 8 dust box:a y 512", "Invalid device offset sector: argument 2 is 'y'" },
		{ "0 8 dust box:x 0 512", "Device lookup failed: no such disk" },
		{ "0 8 dust box:a 93 512", "too small for target" },
	};
	const char *why;
	unsigned i;

	box_disk(b, "a", 100, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(box_refused(b, cases[i].table, &why), EINVAL);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", cases[i].table, why);
	}
}

BOX_DEFINE(failing_and_healing)
BOX_DEFINE(talking)
BOX_DEFINE(many)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(failing_and_healing),
		BOX_TEST(talking),
		BOX_TEST(many),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
