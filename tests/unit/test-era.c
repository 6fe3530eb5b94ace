/* SPDX-License-Identifier: BSD-2-Clause */
/* era: marks come before writes, what the messages do, metadata that fail. */
#include "same.h"

#define BLOCK 64u
#define NR (16 * BLOCK)

struct era { struct box *b; struct box_disk *m, *d; struct ndm_store *store; };

static void make(struct era *e, struct box *b)
{
	*e = (struct era){ .b = b };
	e->m = box_disk(b, "m", 512, 0);
	e->d = box_disk(b, "d", NR, 0);
	fill(e->m, 0);
	fill(e->d, 0x5a);
	e->store = box_up(b, "e", "0 1024 era box:m box:d 64");
}

/* The first write of an era to a block waits until its mark is durable; the next do not. */
static void marks_first(struct box *b)
{
	static const char *const order[] = { "m write", "m flush", "d write 70+3", NULL };
	struct era e;

	make(&e, b);
	box_log(b);
	assert_int_equal(put(e.store, 70, 3, 1, 0), 0);
	in_order(box_log(b), order);
	assert_int_equal(put(e.store, 80, 3, 2, 0), 0);
	assert_string_equal(box_log(b), "d write 80+3");
	see(e.store, 70, 3, 1);
	box_log(b);
	assert_string_equal(box_message(b, "e", "checkpoint"), "");
	box_log(b);
	assert_int_equal(put(e.store, 70, 3, 4, 0), 0);
	in_order(box_log(b), order);
	see(e.store, 0, 64, 0x5a);
}

/* Writes that come together share a commit. */
static void together(struct box *b)
{
	static uint8_t bytes[BS];
	struct box_io io[4];
	struct era e;
	const char *log;
	unsigned i, supers = 0;

	make(&e, b);
	box_log(b);
	e.m->hold = true;
	for (i = 0; i < 4; i++)
		box_start(b, &io[i], e.store, NDM_WRITE, i * 2 * BLOCK, 1, bytes);
	ndm_sleep(box_loop(b), 1000000);		/* all have come, nothing has been written */
	e.m->hold = false;
	box_release(e.m);
	for (i = 0; i < 4; i++) {
		box_wait(&io[i]);
		assert_int_equal(io[i].bio.error, 0);
	}
	for (log = box_log(b); (log = strstr(log, "m write 0+8")); log++)
		supers++;
	assert_int_equal(supers, 1);
}

/* A discard marks, too; a read and a flush do not. */
static void which(struct box *b)
{
	struct era e;

	make(&e, b);
	box_log(b);
	see(e.store, 0, 8, 0x5a);
	assert_int_equal(ndm_flush(e.store), 0);
	assert_null(strstr(box_log(b), "m "));
	e.d->limits.max_discard_sectors = UINT32_MAX;
	box_reload(b, "e", "0 1024 era box:m box:d 64");
	box_log(b);
	assert_int_equal(ndm_rw(e.store, NDM_DISCARD, 0, 128, 64, NULL), 0);
	assert_non_null(strstr(box_log(b), "m write 0+8"));
}

static unsigned era_of(struct box *b)
{
	unsigned era = 0;

	assert_int_equal(sscanf(box_status(b, "e"), "%*u %*u/%*u %u", &era), 1);
	return era;
}

static void messages(struct box *b)
{
	struct era e;

	make(&e, b);
	assert_string_equal(box_table(b, "e"), "box:m box:d 64");
	assert_int_equal(era_of(b), 1);
	assert_string_equal(box_message(b, "e", "CheckPoint"), "");
	assert_int_equal(era_of(b), 2);
	assert_string_equal(box_message(b, "e", "take_metadata_snap"), "");
	assert_int_equal(era_of(b), 3);
	assert_null(strstr(box_status(b, "e"), " -"));
	assert_non_null(strstr(box_message(b, "e", "take_metadata_snap"), "snapshot already"));
	assert_int_equal(era_of(b), 3);
	assert_string_equal(box_message(b, "e", "drop_metadata_snap"), "");
	assert_non_null(strstr(box_status(b, "e"), " 3 -"));
	assert_non_null(strstr(box_message(b, "e", "drop_metadata_snap"), "no metadata snapshot"));
	assert_non_null(strstr(box_message(b, "e", "checkpoint now"), "EINVAL: "));
	assert_non_null(strstr(box_message(b, "e", "bogus"), "EINVAL: "));
	box_suspend(b, "e", 0);
	box_resume(b, "e");
	assert_int_equal(era_of(b), 4);		/* each resume begins one */
}

/* Writes whose mark cannot be made fail, and nothing reaches the origin; later all is well again. */
static void fails(struct box *b)
{
	struct era e;

	make(&e, b);
	assert_int_equal(put(e.store, 0, 8, 1, 0), 0);
	e.m->fail_ops = 1 << NDM_WRITE;
	e.m->error = -EIO;
	box_log(b);
	assert_int_equal(put(e.store, 640, 8, 2, 0), -EIO);
	assert_null(strstr(box_log(b), "d write"));
	lies(e.d, 640, 8, 0x5a);
	assert_int_equal(put(e.store, 0, 8, 3, 0), 0);	/* it is marked */
	assert_non_null(strstr(box_message(b, "e", "checkpoint"), "Input/output error"));
	e.m->fail_ops = 0;
	assert_int_equal(put(e.store, 640, 8, 2, 0), 0);
	see(e.store, 640, 8, 2);
	assert_string_equal(box_message(b, "e", "checkpoint"), "");
	assert_int_equal(era_of(b), 2);
}

/* Another size, the same metadata; and another block size, which is refused. */
static void sizes(struct box *b)
{
	struct era e;
	const char *why;

	make(&e, b);
	assert_int_equal(put(e.store, 1000, 8, 1, 0), 0);
	box_reload(b, "e", "0 512 era box:m box:d 64");
	assert_int_equal(put(e.store, 504, 8, 2, 0), 0);
	box_reload(b, "e", "0 1024 era box:m box:d 64");
	assert_int_equal(put(e.store, 1000, 8, 3, 0), 0);
	see(e.store, 1000, 8, 3);
	see(e.store, 504, 8, 2);
	assert_int_equal(era_of(b), 3);
	assert_int_equal(box_refused(b, "0 1024 era box:m box:d 128", &why), EINVAL);
	assert_non_null(strstr(why, "Error reading metadata"));
	assert_int_equal(box_refused(b, "0 1024 era box:m box:d 12", &why), EINVAL);
	assert_non_null(strstr(why, "Invalid block size"));
	assert_int_equal(box_refused(b, "0 1024 era box:d box:m 64", &why), ENOTBLK);
}

BOX_DEFINE(marks_first)
BOX_DEFINE(together)
BOX_DEFINE(which)
BOX_DEFINE(messages)
BOX_DEFINE(fails)
BOX_DEFINE(sizes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(marks_first), BOX_TEST(together), BOX_TEST(which), BOX_TEST(messages),
		BOX_TEST(fails), BOX_TEST(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
