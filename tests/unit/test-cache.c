/* SPDX-License-Identifier: BSD-2-Clause */
/* cache: where blocks lie in each mode, what is dirty, what a reload believes, failures. */
#include "same.h"

#define BLOCK 64u
#define CBLOCKS 8u
#define NR (32 * BLOCK)

struct cache { struct box *b; struct box_disk *m, *c, *o; struct ndm_store *store; };

static void table_make(char *to, size_t room, const char *rest)
{
	snprintf(to, room, "0 2048 cache box:m box:c box:o 64 %s", rest);
}

static void make(struct cache *c, struct box *b, const char *rest)
{
	char table[200];

	*c = (struct cache){ .b = b };
	c->m = box_disk(b, "m", 512, 0);
	c->c = box_disk(b, "c", CBLOCKS * BLOCK, 0);
	c->o = box_disk(b, "o", NR, 0);
	fill(c->m, 0);
	fill(c->c, 0xcc);
	fill(c->o, 0x55);
	table_make(table, sizeof table, rest);
	c->store = box_up(b, "k", table);
}

static void reload(struct box *b, const char *rest)
{
	char table[200];

	table_make(table, sizeof table, rest);
	box_reload(b, "k", table);
}

struct shown { unsigned used, read_hits, read_misses, write_hits, write_misses, demotions, promotions, dirty; };

static struct shown look(struct box *b)
{
	struct shown s = { 0 };
	const char *text = box_status(b, "k");

	if (sscanf(text, "8 %*u/%*u 64 %u/%*u %u %u %u %u %u %u %u", &s.used, &s.read_hits, &s.read_misses,
		   &s.write_hits, &s.write_misses, &s.demotions, &s.promotions, &s.dirty) != 8)
		fail_msg("status: %s", text);
	return s;
}

static void clean(struct box *b)
{
	unsigned i;

	for (i = 0; i < 80 && look(b).dirty; i++)
		ndm_sleep(box_loop(b), 1000000000);
	assert_int_equal(look(b).dirty, 0);
}

/* A whole block goes to the cache at once, and home when nothing else is to be done: an event. */
static void writeback(struct box *b)
{
	struct cache c;
	uint32_t events;

	make(&c, b, "1 writeback smq 0");
	assert_int_equal(put(c.store, 128, 64, 1, 0), 0);
	lies(c.o, 128, 64, 0x55);
	see(c.store, 128, 64, 1);
	assert_int_equal(look(b).used, 1);
	assert_int_equal(look(b).promotions, 1);
	assert_int_equal(look(b).dirty, 1);
	assert_int_equal(look(b).read_hits, 1);
	assert_int_equal(put(c.store, 0, 3, 2, 0), 0);		/* a piece of another: to the origin */
	lies(c.o, 0, 3, 2);
	assert_int_equal(look(b).write_misses, 1);
	events = box_event_nr(b, "k");
	clean(b);
	lies(c.o, 128, 64, 1);
	assert_int_equal(box_event_nr(b, "k"), events + 1);
	assert_int_equal(put(c.store, 130, 1, 3, 0), 0);
	lies(c.o, 130, 1, 1);
	assert_int_equal(look(b).dirty, 1);
	assert_int_equal(look(b).write_hits, 1);
}

/* A flush: cache and origin, then what leads to the cache. */
static void flushes(struct box *b)
{
	static const char *const order[] = { "c write", "c flush", "m write", "m flush", "m write 0+8", "m flush", NULL };
	struct cache c;

	make(&c, b, "1 writeback smq 0");
	box_log(b);
	assert_int_equal(put(c.store, 0, 64, 1, NDM_FUA), 0);
	in_order(box_log(b), order);
	assert_int_equal(put(c.store, 64, 64, 1, 0), 0);
	assert_int_equal(ndm_flush(c.store), 0);
	in_order(box_log(b), order);
}

static void writethrough(struct box *b)
{
	struct cache c;

	make(&c, b, "1 writeback smq 0");
	assert_int_equal(put(c.store, 128, 64, 1, 0), 0);
	clean(b);
	reload(b, "1 writethrough smq 0");
	assert_int_equal(put(c.store, 192, 64, 1, 0), 0);	/* not worth a place */
	lies(c.o, 192, 64, 1);
	assert_int_equal(look(b).used, 1);
	assert_int_equal(put(c.store, 130, 4, 2, 0), 0);
	lies(c.o, 130, 4, 2);
	see(c.store, 130, 4, 2);
	assert_int_equal(look(b).read_hits, 1);
	assert_int_equal(look(b).dirty, 0);
}

/* Everything from the origin; a write makes its block invalid. */
static void passthrough(struct box *b)
{
	struct cache c;
	const char *bad = "EINVAL: ";

	make(&c, b, "1 writeback smq 0");
	assert_non_null(strstr(box_message(b, "k", "invalidate_cblocks 0"), "Operation not permitted"));
	assert_int_equal(put(c.store, 0, 64, 1, 0), 0);
	assert_int_equal(put(c.store, 64, 64, 2, 0), 0);
	clean(b);
	reload(b, "1 passthrough smq 0");
	assert_int_equal(look(b).used, 2);
	memset(c.o->bytes, 9, 64 * BS);
	see(c.store, 0, 64, 9);
	assert_int_equal(put(c.store, 3, 1, 4, 0), 0);
	assert_int_equal(look(b).used, 1);
	assert_int_equal(look(b).demotions, 1);
	assert_non_null(strstr(box_message(b, "k", "invalidate_cblocks 8"), bad));
	assert_non_null(strstr(box_message(b, "k", "invalidate_cblocks 2-2"), bad));
	assert_non_null(strstr(box_message(b, "k", "invalidate_cblocks x"), bad));
	assert_non_null(strstr(box_message(b, "k", "invalidate_cblocks 0-9"), bad));
	assert_string_equal(box_message(b, "k", "invalidate_cblocks"), "");
	assert_int_equal(look(b).used, 1);
	assert_string_equal(box_message(b, "k", "invalidate_cblocks 0-4 4-8"), "");
	assert_int_equal(look(b).used, 0);
}

/* Numbers as the kernel reads them, and what is refused. */
static void words(struct box *b)
{
	struct cache c;
	const char *why;

	make(&c, b, "3 metadata2 no_discard_passdown writeback mq 2 migration_threshold +7");
	assert_string_equal(box_table(b, "k"), "box:m box:c box:o 64 3 metadata2 no_discard_passdown writeback mq 2 migration_threshold +7");
	assert_non_null(strstr(box_status(b, "k"), " 2 migration_threshold 7 mq 10 random_threshold 0 "));
	assert_string_equal(box_message(b, "k", "migration_threshold +9"), "");
	assert_non_null(strstr(box_status(b, "k"), " 2 migration_threshold 9 mq "));
	assert_string_equal(box_message(b, "k", "random_threshold 4"), "");
	assert_non_null(strstr(box_message(b, "k", "migration_threshold x"), "EINVAL: "));
	assert_int_equal(box_refused(b, "0 2048 cache box:m box:c box:o 128 0 smq 0", &why), EINVAL);
	assert_non_null(strstr(why, "Error creating metadata object"));
	assert_int_equal(box_refused(b, "0 2048 cache box:m box:c box:o 64 2 writeback passthrough smq 0", &why), EINVAL);
	assert_non_null(strstr(why, "Duplicate cache io_mode features requested"));
	assert_int_equal(box_refused(b, "0 2048 cache box:m box:c box:o 1024 0 smq 0", &why), EINVAL);
	assert_non_null(strstr(why, "Data block size is larger than the cache device"));
}

/* What a table counts begins with what was counted when it was loaded, at the last suspend. */
static void counts(struct box *b)
{
	struct cache c;

	make(&c, b, "1 writethrough smq 0");
	see(c.store, 0, 8, 0x55);
	assert_int_equal(look(b).read_misses, 1);
	reload(b, "1 writethrough smq 0");
	assert_int_equal(look(b).read_misses, 0);
	see(c.store, 0, 8, 0x55);
	box_suspend(b, "k", 0);
	box_resume(b, "k");
	assert_int_equal(look(b).read_misses, 1);
	reload(b, "1 writethrough smq 0");
	assert_int_equal(look(b).read_misses, 1);
}

/* The flag of a clean shutdown goes before anything can become dirty; without it all is dirty. */
static void unclean(struct box *b)
{
	static uint8_t cut[512 * BS];
	struct cache c;

	make(&c, b, "1 writeback smq 0");
	assert_int_equal(c.m->bytes[4] & 1, 0);
	assert_int_equal(put(c.store, 128, 64, 1, 0), 0);
	clean(b);
	assert_int_equal(ndm_flush(c.store), 0);
	memcpy(cut, c.m->bytes, sizeof cut);
	assert_int_equal(cut[4] & 1, 0);
	box_suspend(b, "k", 0);
	assert_int_equal(c.m->bytes[4] & 1, 1);
	reload(b, "1 writeback smq 2 migration_threshold 0");
	assert_int_equal(look(b).used, 1);
	assert_int_equal(look(b).dirty, 0);
	box_suspend(b, "k", 0);
	memcpy(c.m->bytes, cut, sizeof cut);		/* as if there had been no suspend */
	reload(b, "1 writeback smq 2 migration_threshold 0");
	assert_int_equal(look(b).used, 1);
	assert_int_equal(look(b).dirty, 1);
	see(c.store, 128, 64, 1);
}

/* The metadata fail for good: nothing new is promised, and they want to be looked at. */
static void fails(struct box *b)
{
	struct cache c;

	make(&c, b, "1 writeback smq 0");
	assert_int_equal(put(c.store, 0, 64, 1, 0), 0);
	assert_int_equal(ndm_flush(c.store), 0);
	c.m->error = -EIO;
	assert_int_equal(put(c.store, 64, 64, 2, 0), 0);
	c.m->fail_ops = 1 << NDM_WRITE;
	assert_int_equal(ndm_flush(c.store), -EIO);
	c.m->fail_ops = 0;
	assert_null(strstr(box_status(b, "k"), " rw "));
	assert_non_null(strstr(box_message(b, "k", "migration_threshold 1"), "Operation not supported"));
	see(c.store, 0, 64, 1);
}

BOX_DEFINE(writeback)
BOX_DEFINE(flushes)
BOX_DEFINE(writethrough)
BOX_DEFINE(passthrough)
BOX_DEFINE(words)
BOX_DEFINE(counts)
BOX_DEFINE(unclean)
BOX_DEFINE(fails)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(writeback), BOX_TEST(flushes), BOX_TEST(writethrough), BOX_TEST(passthrough),
		BOX_TEST(words), BOX_TEST(counts), BOX_TEST(unclean), BOX_TEST(fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
