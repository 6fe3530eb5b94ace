/* SPDX-License-Identifier: BSD-2-Clause */
/* delay: who waits how long, in which order they leave, and what suspending does. */
#include "box.h"

#define MS 1000000ull

static unsigned char buf[64 * NDM_SECTOR_BYTES];

static uint64_t waited_ms(struct box *b, struct box_io *io, uint64_t since)
{
	(void)b;
	box_wait(io);
	return (io->done_ns - since) / MS;
}

static void classes(struct box *b)
{
	struct ndm_store *m;
	struct box_io r, w, d, f;
	uint64_t now;

	box_disk(b, "a", 100, 0);
	box_disk(b, "b", 100, 0);
	box_disk(b, "c", 100, 0);
	m = box_up(b, "m", "0 50 delay box:a 1 10 box:b 2 200 box:c 3 3000");
	assert_string_equal(box_table(b, "m"), "box:a 1 10 box:b 2 200 box:c 3 3000");
	now = ndm_now(box_loop(b));
	box_start(b, &f, m, NDM_FLUSH, 0, 0, NULL);
	box_start(b, &w, m, NDM_WRITE, 5, 2, buf);
	box_start(b, &d, m, NDM_DISCARD, 7, 2, NULL);
	box_start(b, &r, m, NDM_READ, 5, 2, buf);
	assert_string_equal(box_status(b, "m"), "1 2 1");
	assert_string_equal(box_log(b), "");
	assert_int_equal(waited_ms(b, &r, now), 10);
	assert_string_equal(box_status(b, "m"), "0 2 1");
	assert_int_equal(waited_ms(b, &w, now), 200);
	assert_int_equal(waited_ms(b, &d, now), 200);
	assert_string_equal(box_status(b, "m"), "0 0 1");
	assert_int_equal(waited_ms(b, &f, now), 3000);
	assert_string_equal(box_log(b), "a read 6+2, b write 7+2, b discard 9+2, c flush");
	assert_string_equal(box_status(b, "m"), "0 0 0");
	/* questions do not wait */
	box_start(b, &r, m, NDM_CACHE, 0, 8, NULL);
	assert_true(r.done);
	assert_string_equal(box_log(b), "a cache 1+8");
	assert_string_equal(box_extents(b, m, 0, 20), "7:data 8:hole 5:data");
}

static void three_and_six(struct box *b)
{
	struct ndm_store *m;
	struct box_io w;
	uint64_t now;

	box_disk(b, "a", 100, 0);
	box_disk(b, "b", 100, 0);
	m = box_up(b, "m", "0 50 delay box:a 1 0");
	assert_string_equal(box_table(b, "m"), "box:a 1 0");
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a write 1+1, a flush");
	box_reload(b, "m", "0 50 delay box:a 1 7 box:b 2 0");
	assert_string_equal(box_table(b, "m"), "box:a 1 7 box:b 2 0");
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "b write 2+1, b flush");
	box_reload(b, "m", "0 50 delay box:a 1 70");
	now = ndm_now(box_loop(b));
	box_start(b, &w, m, NDM_FLUSH, 0, 0, NULL);
	assert_string_equal(box_status(b, "m"), "0 0 1");
	assert_int_equal(waited_ms(b, &w, now), 70);
}

static void order(struct box *b)
{
	struct box_io io[6];
	struct ndm_store *m;
	unsigned i;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 50 delay box:a 0 40 box:a 0 20");
	for (i = 0; i < 6; i++) {
		box_start(b, &io[i], m, i % 2 ? NDM_WRITE : NDM_READ, i, 1, buf);
		ndm_sleep(box_loop(b), MS);
	}
	for (i = 0; i < 6; i++)
		box_wait(&io[i]);
	assert_string_equal(box_log(b), "a write 1+1, a write 3+1, a write 5+1, "
			    "a read 0+1, a read 2+1, a read 4+1");
}

static void suspending(struct box *b)
{
	struct box_io one, two, three;
	struct ndm_store *m;
	uint64_t now;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 50 delay box:a 0 1000000");
	now = ndm_now(box_loop(b));
	box_start(b, &one, m, NDM_READ, 1, 1, buf);
	box_start(b, &two, m, NDM_WRITE, 2, 1, buf);
	box_suspend(b, "m", 0);
	assert_true(one.done && two.done);
	assert_true(ndm_now(box_loop(b)) - now < 1000 * MS);
	assert_string_equal(box_log(b), "a read 1+1, a write 2+1");
	box_start(b, &three, m, NDM_READ, 3, 1, buf);
	box_resume(b, "m");
	assert_int_equal(waited_ms(b, &three, now) / 1000, 1000);
	/* a table goes away with requests waiting in it */
	box_start(b, &one, m, NDM_READ, 1, 1, buf);
	box_reload(b, "m", "0 50 delay box:a 0 0");
	assert_true(one.done);
}

static void failing(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 100, 0);
	struct ndm_store *m = box_up(b, "m", "0 50 delay box:a 0 60");
	struct box_io io;

	a->fail_ops = 1 << NDM_READ;
	box_start(b, &io, m, NDM_READ, 1, 1, buf);
	box_wait(&io);
	assert_int_equal(io.bio.error, -EIO);
}

static void refusals(struct box *b)
{
	static const struct { const char *table; int err; const char *why; } cases[] = {
		{ "0 8 delay", EINVAL, "Requires exactly 3, 6 or 9 arguments, not 0" },
		{ "0 8 delay box:a 0 1 2", EINVAL, "Requires exactly 3, 6 or 9 arguments, not 4" },
		{ "0 8 delay box:a x 1", EINVAL, "Invalid device sector: argument 2 is 'x'" },
		{ "0 8 delay box:a 0 x", EINVAL, "Invalid delay: argument 3 is 'x'" },
		{ "0 8 delay box:a 0 +1", EINVAL, "Invalid delay: argument 3 is '+1'" },
		{ "0 8 delay box:a 0 -1", EINVAL, "Invalid delay: argument 3 is '-1'" },
		{ "0 8 delay box:a 0 1 box:a 0 z", EINVAL, "Invalid delay: argument 6 is 'z'" },
		{ "0 8 delay box:a 0 1 box:a 0 1 box:a y 1", EINVAL,
		  "Invalid device sector: argument 8 is 'y'" },
		{ "0 8 delay box:a 0 1 box:x 0 1", ENOENT, "Device lookup failed: no such disk" },
		{ "0 8 delay box:a 0 1 box:a 93 1", EINVAL, "too small for target" },
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

BOX_DEFINE(classes)
BOX_DEFINE(three_and_six)
BOX_DEFINE(order)
BOX_DEFINE(suspending)
BOX_DEFINE(failing)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(classes),
		BOX_TEST(three_and_six),
		BOX_TEST(order),
		BOX_TEST(suspending),
		BOX_TEST(failing),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
