/* SPDX-License-Identifier: BSD-2-Clause */
/* clone: who has which region, what is copied for a write, what is durable when, failures. */
#include "same.h"

#define REGION 64u
#define NR (16 * REGION)

struct clone { struct box *b; struct box_disk *m, *d, *s; struct ndm_store *store; };

static void make(struct clone *c, struct box *b, const char *rest)
{
	char table[200];

	*c = (struct clone){ .b = b };
	c->m = box_disk(b, "m", 512, 0);
	c->d = box_disk(b, "d", NR, 0);
	c->s = box_disk(b, "s", NR, 0);
	fill(c->m, 0);
	fill(c->d, 0xdd);
	fill(c->s, 0x55);
	c->d->limits.max_discard_sectors = UINT32_MAX;
	snprintf(table, sizeof table, "0 1024 clone box:m box:d box:s 64 %s", rest);
	c->store = box_up(b, "c", table);
}

static unsigned hydrated(struct box *b)
{
	unsigned n = 99;

	assert_int_equal(sscanf(box_status(b, "c"), "%*u %*u/%*u %*u %u/16", &n), 1);
	return n;
}

/* Reads go to whoever has the region; a write copies it first, unless it is whole. */
static void writes(struct box *b)
{
	struct clone c;

	make(&c, b, "1 no_hydration");
	see(c.store, 0, NR, 0x55);
	box_log(b);
	assert_int_equal(put(c.store, 70, 4, 1, 0), 0);
	assert_string_equal(box_log(b), "s read 64+64, d write 64+64, d write 70+4");
	see(c.store, 64, 6, 0x55);
	see(c.store, 70, 4, 1);
	see(c.store, 74, 54, 0x55);
	lies(c.d, 0, 64, 0xdd);
	box_log(b);
	assert_int_equal(put(c.store, 128, 64, 2, 0), 0);
	assert_string_equal(box_log(b), "d write 128+64");
	assert_int_equal(put(c.store, 80, 4, 3, 0), 0);
	assert_string_equal(box_log(b), "d write 80+4");
	assert_int_equal(hydrated(b), 2);
	lies(c.s, 0, NR, 0x55);
}

/* FUA and FLUSH make durable that the region is there, after the data of it. */
static void durable(struct box *b)
{
	static const char *const order[] = { "d write", "d flush", "m write", "m flush", "m write 0+8", "m flush", NULL };
	struct clone c;

	make(&c, b, "1 no_hydration");
	box_log(b);
	assert_int_equal(put(c.store, 0, 1, 1, NDM_FUA), 0);
	in_order(box_log(b), order);
	assert_int_equal(put(c.store, 128, 1, 1, 0), 0);
	assert_int_equal(ndm_flush(c.store), 0);
	in_order(box_log(b), order);
	assert_int_equal(ndm_flush(c.store), 0);
	assert_string_equal(box_log(b), "d flush");
	assert_int_equal(put(c.store, 200, 1, 1, 0), 0);
	box_log(b);
	ndm_sleep(box_loop(b), 1100000000);		/* by itself */
	in_order(box_log(b), order + 1);
}

/* What is discarded counts as there; what touches a region only partly does nothing. */
static void discards(struct box *b)
{
	struct clone c;

	make(&c, b, "1 no_hydration");
	box_log(b);
	assert_int_equal(ndm_rw(c.store, NDM_DISCARD, 0, 10, 100, NULL), 0);
	assert_int_equal(hydrated(b), 0);
	box_log(b);
	assert_int_equal(ndm_rw(c.store, NDM_DISCARD, 0, 60, 200, NULL), 0);
	assert_non_null(strstr(box_log(b), "d discard 64+192"));
	assert_int_equal(hydrated(b), 3);
	see(c.store, 64, 192, 0xdd);
	see(c.store, 0, 64, 0x55);
	box_reload(b, "c", "0 1024 clone box:m box:d box:s 64 2 no_hydration no_discard_passdown");
	box_log(b);
	assert_int_equal(ndm_rw(c.store, NDM_DISCARD, 0, 512, 64, NULL), 0);
	assert_null(strstr(box_log(b), "d discard"));
	assert_int_equal(hydrated(b), 4);
	assert_non_null(strstr(box_status(b, "c"), " 2 no_hydration no_discard_passdown 4 "));
}

static void all_there(struct box *b)
{
	unsigned i;

	for (i = 0; i < 60 && hydrated(b) < 16; i++)
		ndm_sleep(box_loop(b), 100000000);
	assert_int_equal(hydrated(b), 16);
}

/* In the background everything comes, in batches; then an event, and the source is not asked any more. */
static void hydrates(struct box *b)
{
	struct clone c;
	uint32_t events;

	make(&c, b, "1 no_hydration");
	assert_int_equal(put(c.store, 70, 4, 1, 0), 0);
	ndm_sleep(box_loop(b), 5000000000);
	assert_int_equal(hydrated(b), 1);
	events = box_event_nr(b, "c");
	assert_string_equal(box_message(b, "c", "hydration_batch_size 4"), "");
	assert_string_equal(box_message(b, "c", "hydration_threshold 8"), "");
	box_log(b);
	assert_string_equal(box_message(b, "c", "enable_hydration"), "");
	all_there(b);
	assert_non_null(strstr(box_log(b), "+256"));
	assert_int_equal(box_event_nr(b, "c"), events + 1);
	box_log(b);
	see(c.store, 0, 70, 0x55);
	see(c.store, 70, 4, 1);
	assert_null(strstr(box_log(b), "s read"));
	lies(c.d, 74, NR - 74, 0x55);
	box_suspend(b, "c", 0);
	box_resume(b, "c");
	assert_int_equal(hydrated(b), 16);
}

static void messages(struct box *b)
{
	static const char *const bad[] = { "hydration_threshold", "hydration_threshold x", "hydration_threshold -1",
					   "hydration_batch_size 4294967296", "hydration_batch_size 1 2", "bogus" };
	struct clone c;
	const char *why;
	unsigned i;

	make(&c, b, "1 no_hydration 4 hydration_threshold 3 hydration_batch_size 2");
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_non_null(strstr(box_message(b, "c", bad[i]), "EINVAL: "));
	assert_non_null(strstr(box_status(b, "c"), " 1 no_hydration 4 hydration_threshold 3 hydration_batch_size 2 rw"));
	assert_string_equal(box_table(b, "c"), "box:m box:d box:s 64 1 no_hydration 4 hydration_threshold 3 hydration_batch_size 2");
	assert_int_equal(box_refused(b, "0 1024 clone box:m box:d box:s 24", &why), EINVAL);
	assert_non_null(strstr(why, "Region size is not a power of 2"));
	assert_int_equal(box_refused(b, "0 1024 clone box:m box:d box:s 64 0 2 hydration_threshold x", &why), EINVAL);
	assert_non_null(strstr(why, "Invalid value for argument `hydration_threshold'"));
	assert_int_equal(box_refused(b, "0 1024 clone box:m box:d box:s 128", &why), EINVAL);
	assert_non_null(strstr(why, "Failed to load metadata"));
}

/* A source that fails: the write does, too, and the region is tried again. */
static void source_fails(struct box *b)
{
	struct clone c;

	make(&c, b, "1 no_hydration");
	c.s->fail_ops = 1 << NDM_READ;
	c.s->error = -EIO;
	assert_int_equal(put(c.store, 3, 1, 1, 0), -EIO);
	assert_int_equal(hydrated(b), 0);
	assert_int_equal(put(c.store, 64, 64, 1, 0), 0);	/* whole: needs no source */
	c.s->fail_ops = 0;
	assert_int_equal(put(c.store, 3, 1, 1, 0), 0);
	see(c.store, 0, 3, 0x55);
	assert_int_equal(hydrated(b), 2);
}

/* Metadata that fail: nothing new is promised. */
static void metadata_fails(struct box *b)
{
	struct clone c;

	make(&c, b, "1 no_hydration");
	assert_int_equal(put(c.store, 0, 64, 1, NDM_FUA), 0);
	c.m->fail_ops = 1 << NDM_WRITE;
	c.m->error = -EIO;
	assert_int_equal(put(c.store, 64, 64, 2, 0), 0);
	assert_int_equal(ndm_flush(c.store), -EIO);
	assert_null(strstr(box_status(b, "c"), " rw"));
	assert_int_equal(put(c.store, 128, 64, 2, 0), -EIO);
	c.m->fail_ops = 0;
	box_reload(b, "c", "0 1024 clone box:m box:d box:s 64 1 no_hydration");
	assert_int_equal(hydrated(b), 1);
	see(c.store, 0, 64, 1);
	see(c.store, 64, 64, 0x55);
}

BOX_DEFINE(writes)
BOX_DEFINE(durable)
BOX_DEFINE(discards)
BOX_DEFINE(hydrates)
BOX_DEFINE(messages)
BOX_DEFINE(source_fails)
BOX_DEFINE(metadata_fails)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(writes), BOX_TEST(durable), BOX_TEST(discards), BOX_TEST(hydrates), BOX_TEST(messages),
		BOX_TEST(source_fails), BOX_TEST(metadata_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
