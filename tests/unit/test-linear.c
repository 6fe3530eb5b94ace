/* SPDX-License-Identifier: BSD-2-Clause */
/* linear, zero, error: where requests go, what they answer, what they refuse. */
#include "box.h"

static unsigned char buf[64 * NDM_SECTOR_BYTES];

static void linear_remaps(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 100, 0);
	struct ndm_store *m = box_up(b, "m", "0 20 linear box:a 10\n20 5 linear box:a 60");

	assert_int_equal(ndm_rw(m, NDM_READ, 0, 18, 4, buf), 0);
	assert_string_equal(box_log(b), "a read 28+2, a read 60+2");
	assert_int_equal(buf[0], 28);
	assert_int_equal(buf[2 * NDM_SECTOR_BYTES], 60);
	memset(buf, 0xee, sizeof buf);
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 0, 1, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 19, 2, NULL), 0);
	assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, 1, 1, NULL), 0);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a write 10+1 fua, a discard 29+1, a discard 60+1, "
			    "a zeroes 11+1, a flush");
	assert_int_equal(a->bytes[10 * NDM_SECTOR_BYTES], 0xee);
	assert_int_equal(a->bytes[11 * NDM_SECTOR_BYTES], 0);
	assert_string_equal(box_table(b, "m"), "box:a 10");
	assert_string_equal(box_status(b, "m"), "");
	assert_string_equal(box_extents(b, m, 0, 25), "6:hole 8:data 10:hole 1:data");
	a->fail_ops = 1 << NDM_READ;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EIO);
}

static void linear_on_linear(struct box *b)
{
	struct ndm_store *top;

	box_disk(b, "a", 100, 0);
	box_up(b, "low", "0 50 linear box:a 50");
	top = box_up(b, "top", "0 10 linear /dev/mapper/low 40");
	assert_int_equal(ndm_rw(top, NDM_READ, 0, 9, 1, buf), 0);
	assert_string_equal(box_log(b), "a read 99+1");
	assert_string_equal(box_table(b, "top"), "253:0 40");
}

static void zero_reads_and_swallows(struct box *b)
{
	struct ndm_store *m = box_up(b, "m", "0 64 zero");

	memset(buf, 1, sizeof buf);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 64, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 64, buf), 0);
	for (size_t i = 0; i < sizeof buf; i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 64, NULL), 0);
	assert_int_equal(ndm_rw(m, NDM_ZEROES, NDM_FAST, 0, 64, NULL), 0);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_extents(b, m, 3, 10), "10:hole");
	assert_string_equal(box_table(b, "m"), "");
	assert_string_equal(box_status(b, "m"), "");
}

static void error_fails_everything(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 64 error box:a 36");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 1, NULL), -EIO);
	assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, 0, 1, NULL), -EIO);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_extents(b, m, 0, 8), "error 5");
	assert_string_equal(box_log(b), "");
	assert_string_equal(box_table(b, "m"), "");
	box_reload(b, "m", "0 64 error any words will do");
}

static void refusals(struct box *b)
{
	static const struct { const char *table; int err; const char *why; } cases[] = {
		{ "0 8 linear", EINVAL, "line 1 (linear): Invalid argument count: 0 instead of 2 "
		  "(<device> <offset>)" },
		{ "0 8 linear box:a x", EINVAL, "line 1 (linear): Invalid device sector: argument 2 "
		  "is 'x'" },
		{ "0 8 linear box:nosuch 0", ENOENT, "line 1 (linear): Device lookup failed: no such "
		  "disk" },
		{ "0 8 zero x", EINVAL, "line 1 (zero): No arguments required, but argument 1 is "
		  "'x'" },
		{ "0 8 error box:a -1", EINVAL, "line 1 (error): Invalid device sector: argument 2 "
		  "is '-1'" },
		{ "0 8 error box:nosuch 1", ENOENT, "line 1 (error): Device lookup failed: no such "
		  "disk" },
	};
	const char *why;
	unsigned i;

	box_disk(b, "a", 100, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(box_refused(b, cases[i].table, &why), cases[i].err);
		assert_string_equal(why, cases[i].why);
	}
	assert_int_equal(box_refused(b, "0 8 linear box:a 93", &why), EINVAL);
	assert_non_null(strstr(why, "too small for target"));
}

BOX_DEFINE(linear_remaps)
BOX_DEFINE(linear_on_linear)
BOX_DEFINE(zero_reads_and_swallows)
BOX_DEFINE(error_fails_everything)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(linear_remaps),
		BOX_TEST(linear_on_linear),
		BOX_TEST(zero_reads_and_swallows),
		BOX_TEST(error_fails_everything),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
