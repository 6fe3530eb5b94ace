/* SPDX-License-Identifier: BSD-2-Clause */
/* flakey: its clock, what each feature does while it is down, and the table it prints. */
#include "box.h"

#include <stdlib.h>

#define SECOND 1000000000ull

static unsigned char buf[64 * NDM_SECTOR_BYTES];

static int reading(struct ndm_store *m)
{
	return ndm_rw(m, NDM_READ, 0, 0, 8, buf);
}

static int writing(struct ndm_store *m, unsigned char byte)
{
	memset(buf, byte, sizeof buf);
	return ndm_rw(m, NDM_WRITE, 0, 0, 8, buf);
}

static void intervals(struct box *b)
{
	struct ndm_store *m;
	unsigned second;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 50 flakey box:a 0 3 2");
	assert_string_equal(box_table(b, "m"), "box:a 0 3 2 2 error_reads error_writes");
	assert_string_equal(box_status(b, "m"), "");
	ndm_sleep(box_loop(b), SECOND / 2);
	for (second = 0; second < 15; second++) {
		assert_int_equal(reading(m), second % 5 < 3 ? 0 : -EIO);
		assert_int_equal(writing(m, 1), second % 5 < 3 ? 0 : -EIO);
		assert_int_equal(ndm_flush(m), second % 5 < 3 ? 0 : -EIO);
		assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 1, NULL), second % 5 < 3 ? 0 : -EIO);
		ndm_sleep(box_loop(b), SECOND);
	}
	/* the clock starts when the table is made */
	box_reload(b, "m", "0 50 flakey box:a 0 3 2");
	assert_int_equal(reading(m), 0);
	/* questions are answered all the time */
	box_reload(b, "m", "0 50 flakey box:a 0 0 100");
	assert_int_equal(reading(m), -EIO);
	assert_string_equal(box_extents(b, m, 0, 16), "8:data 8:hole");
	ndm_sleep(box_loop(b), 1000 * SECOND);
	assert_int_equal(reading(m), -EIO);
}

static void errors_and_drops(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 100, 0);
	struct ndm_store *m = box_up(b, "m", "0 50 flakey box:a 0 0 9 1 error_reads");

	assert_string_equal(box_table(b, "m"), "box:a 0 0 9 1 error_reads");
	assert_int_equal(reading(m), -EIO);
	assert_int_equal(writing(m, 0x11), 0);
	assert_int_equal(a->bytes[5], 0x11);
	box_reload(b, "m", "0 50 flakey box:a 0 0 9 1 drop_writes");
	box_log(b);
	assert_int_equal(writing(m, 0x22), 0);
	assert_int_equal(ndm_flush(m), 0);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 1, NULL), 0);
	assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, 0, 1, NULL), 0);
	assert_string_equal(box_log(b), "");
	assert_int_equal(reading(m), 0);
	assert_int_equal(buf[5], 0x11);
	box_reload(b, "m", "0 50 flakey box:a 0 0 9 1 error_writes");
	assert_int_equal(writing(m, 0x33), -EIO);
	assert_int_equal(reading(m), 0);
	box_reload(b, "m", "0 50 flakey box:a 0 0 9 2 ERROR_READS Drop_Writes");
	assert_string_equal(box_table(b, "m"), "box:a 0 0 9 2 error_reads drop_writes");
	assert_int_equal(reading(m), -EIO);
	assert_int_equal(writing(m, 0x44), 0);
	assert_int_equal(a->bytes[5], 0x11);
}

static void corrupting(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 100, 9);
	struct ndm_store *m = box_up(b, "m", "0 50 flakey box:a 0 0 9 5 corrupt_bio_byte 513 r 7 0");
	struct box_io io;
	unsigned i;

	assert_int_equal(reading(m), 0);
	for (i = 0; i < 8 * NDM_SECTOR_BYTES; i++)
		assert_int_equal(buf[i], i == 512 ? 7 : 9 + i / NDM_SECTOR_BYTES);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);	/* shorter than that */
	assert_int_equal(buf[511], 9);
	assert_int_equal(writing(m, 0x11), 0);
	assert_int_equal(a->bytes[512], 0x11);

	box_reload(b, "m", "0 50 flakey box:a 0 0 9 5 corrupt_bio_byte 2 W 0 131072");
	assert_string_equal(box_table(b, "m"), "box:a 0 0 9 5 corrupt_bio_byte 2 w 0 131072");
	assert_int_equal(writing(m, 0x22), 0);		/* not FUA */
	assert_int_equal(a->bytes[1], 0x22);
	memset(buf, 0x33, sizeof buf);
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 0, 8, buf), 0);
	assert_int_equal(a->bytes[0], 0x33);
	assert_int_equal(a->bytes[1], 0);
	assert_int_equal(a->bytes[2], 0x33);
	assert_int_equal(buf[1], 0x33);			/* the caller's own stays */
	a->fail_ops = 1 << NDM_WRITE;
	a->error = -ENOSPC;
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 0, 8, buf), -ENOSPC);
	a->fail_ops = 0;
	a->hold = true;
	box_start(b, &io, m, NDM_WRITE, 0, 8, buf);
	io.bio.flags = 0;
	box_release(a);
	assert_true(io.done);
	/* one flag the request has, one that it has not */
	box_reload(b, "m", "0 50 flakey box:a 0 0 9 5 corrupt_bio_byte 2 w 9 131073");
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 0, 8, buf), 0);
	assert_int_equal(a->bytes[1], 9);
	box_reload(b, "m", "0 50 flakey box:a 0 0 9 5 corrupt_bio_byte 2 w 8 131074");
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 0, 8, buf), 0);
	assert_int_equal(a->bytes[1], 0x33);
}

/* bytes of 8 sectors that are not `byte` */
static unsigned wrong_bytes(const unsigned char *p, unsigned char byte)
{
	unsigned i, n = 0;

	for (i = 0; i < 8 * NDM_SECTOR_BYTES; i++)
		n += p[i] != byte;
	return n;
}

static void random_corruption(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 100, 0);
	struct ndm_store *m = box_up(b, "m", "0 50 flakey box:a 0 0 9 2 random_write_corrupt "
				     "500000000");
	unsigned i, bad = 0;

	assert_string_equal(box_table(b, "m"), "box:a 0 0 9 2 random_write_corrupt 500000000");
	for (i = 0; i < 1000; i++) {
		assert_int_equal(writing(m, 0x11), 0);
		assert_true(wrong_bytes(a->bytes, 0x11) <= 1);
		bad += wrong_bytes(a->bytes, 0x11);
		assert_int_equal(wrong_bytes(buf, 0x11), 0);
	}
	assert_in_range(bad, 400, 600);
	memset(a->bytes, 0x22, 8 * NDM_SECTOR_BYTES);
	box_reload(b, "m", "0 50 flakey box:a 0 0 9 4 random_read_corrupt 1000000000 "
		   "random_write_corrupt 0");
	assert_string_equal(box_table(b, "m"), "box:a 0 0 9 2 random_read_corrupt 1000000000");
	for (i = 0, bad = 0; i < 1000; i++) {
		assert_int_equal(reading(m), 0);
		assert_true(wrong_bytes(buf, 0x22) <= 1);
		bad += wrong_bytes(buf, 0x22);
	}
	assert_in_range(bad, 950, 1000);
	assert_int_equal(wrong_bytes(a->bytes, 0x22), 0);
}

static void refusals(struct box *b)
{
	static const struct { const char *table; int err; const char *why; } cases[] = {
		{ "box:a 0 1", EINVAL, "Invalid argument count: 3" },
		{ "box:a x 1 1", EINVAL, "Invalid device sector: argument 2 is 'x'" },
		{ "box:a 0 x 1", EINVAL, "Invalid up interval: 'x'" },
		{ "box:a 0 1 -1", EINVAL, "Invalid down interval: '-1'" },
		{ "box:a 0 1 4294967296", EINVAL, "Invalid down interval" },
		{ "box:a 0 0 0", EINVAL, "Total (up + down) interval is zero" },
		{ "box:a 0 4294967295 1", EINVAL, "Total (up + down) interval is zero" },
		{ "box:a 0 4294967295 2", EINVAL, "Interval overflow" },
		{ "box:a 0 1 1 x", EINVAL, "Invalid number of feature args: 'x'" },
		{ "box:a 0 1 1 12", EINVAL, "Invalid number of feature args: '12'" },
		{ "box:a 0 1 1 2 drop_writes", EINVAL, "Invalid number of feature args: 2 words" },
		{ "box:a 0 1 1 1 bogus", EINVAL, "Unrecognised flakey feature requested: 'bogus'" },
		{ "box:a 0 1 1 2 drop_writes drop_writes", EINVAL, "Feature drop_writes duplicated" },
		{ "box:a 0 1 1 2 error_reads error_reads", EINVAL, "Feature error_reads duplicated" },
		{ "box:a 0 1 1 2 error_writes drop_writes", EINVAL,
		  "Feature drop_writes conflicts with feature error_writes" },
		{ "box:a 0 1 1 2 drop_writes error_writes", EINVAL,
		  "Feature error_writes conflicts with feature drop_writes" },
		{ "box:a 0 1 1 1 corrupt_bio_byte", EINVAL,
		  "Feature corrupt_bio_byte requires parameters" },
		{ "box:a 0 1 1 5 corrupt_bio_byte 0 r 1 0", EINVAL, "Invalid corrupt bio byte: '0'" },
		{ "box:a 0 1 1 5 corrupt_bio_byte 1 x 1 0", EINVAL,
		  "Invalid corrupt bio direction (r or w): 'x'" },
		{ "box:a 0 1 1 5 corrupt_bio_byte 1 r 256 0", EINVAL,
		  "Invalid corrupt value to write into bio byte (0-255): '256'" },
		{ "box:a 0 1 1 5 corrupt_bio_byte 1 r 1 z", EINVAL,
		  "Invalid corrupt bio flags mask: 'z'" },
		{ "box:a 0 1 1 4 corrupt_bio_byte 1 r 1 0", EINVAL, "Insufficient feature arguments" },
		{ "box:a 0 1 1 6 drop_writes corrupt_bio_byte 1 w 1 0", EINVAL,
		  "drop_writes is incompatible with corrupt_bio_byte with the WRITE flag set" },
		{ "box:a 0 1 1 6 error_writes corrupt_bio_byte 1 w 1 0", EINVAL,
		  "error_writes is incompatible with corrupt_bio_byte with the WRITE flag set" },
		{ "box:a 0 1 1 1 random_read_corrupt", EINVAL,
		  "Feature random_read_corrupt requires a parameter" },
		{ "box:a 0 1 1 2 random_write_corrupt 1000000001", EINVAL,
		  "Invalid random corrupt argument: '1000000001'" },
		{ "box:x 0 1 1", ENOENT, "Device lookup failed: no such disk" },
	};
	char table[128];
	const char *why;
	unsigned i;

	box_disk(b, "a", 100, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		strcpy(table, "0 8 flakey ");
		strcat(table, cases[i].table);
		assert_int_equal(box_refused(b, table, &why), cases[i].err);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", table, why);
	}
	/* words behind the announced ones are nobody's business */
	box_up(b, "m", "0 8 flakey box:a 0 1 1 1 drop_writes error_writes");
	assert_string_equal(box_table(b, "m"), "box:a 0 1 1 1 drop_writes");
}

BOX_DEFINE(intervals)
BOX_DEFINE(errors_and_drops)
BOX_DEFINE(corrupting)
BOX_DEFINE(random_corruption)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(intervals),
		BOX_TEST(errors_and_drops),
		BOX_TEST(corrupting),
		BOX_TEST(random_corruption),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
