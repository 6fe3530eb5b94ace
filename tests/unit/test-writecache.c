/* SPDX-License-Identifier: BSD-2-Clause */
/* writecache: what is durable when, what is written back when, full caches, failures. */
#include "same.h"

#include <stdlib.h>

#define NR 1024u

struct wc { struct box *b; struct box_disk *o, *c; struct ndm_store *store; };

static void make(struct wc *w, struct box *b, unsigned cache_sectors, const char *rest)
{
	char table[200];

	*w = (struct wc){ .b = b };
	w->o = box_disk(b, "o", NR, 0);
	w->c = box_disk(b, "c", cache_sectors, 0);
	fill(w->o, 0x55);
	fill(w->c, 0);
	snprintf(table, sizeof table, "0 1024 writecache s box:o box:c 4096 %s", rest);
	w->store = box_up(b, "w", table);
}

struct shown { unsigned error, blocks, nfree, back, reads, hits, writes, uncommitted, committed, around, allocated, blocked, flushes, discards; };

static struct shown look(struct box *b)
{
	struct shown s;
	const char *text = box_status(b, "w");

	if (sscanf(text, "%u %u %u %u %u %u %u %u %u %u %u %u %u %u", &s.error, &s.blocks, &s.nfree, &s.back, &s.reads,
		   &s.hits, &s.writes, &s.uncommitted, &s.committed, &s.around, &s.allocated, &s.blocked,
		   &s.flushes, &s.discards) != 14)
		fail_msg("status: %s", text);
	return s;
}

/*
 * Data, then entries, then the superblock that makes them count; each flushed.  What is committed
 * is overwritten where it is.
 */
static void commits(struct box *b)
{
	static const char *const order[] = { "c write", "c flush", "c write 0+8 fua", NULL };
	struct wc w;
	const char *log;

	make(&w, b, 512, "2 autocommit_time 3600000");
	box_log(b);
	assert_int_equal(put(w.store, 8, 8, 1, 0), 0);
	log = box_log(b);
	assert_int_equal(strncmp(log, "c write", 7), 0);
	assert_null(strstr(log, "o "));
	see(w.store, 8, 8, 1);
	assert_int_equal(ndm_flush(w.store), 0);
	log = box_log(b);
	in_order(log, order + 1);
	assert_null(strstr(log, "o write"));
	lies(w.o, 8, 8, 0x55);
	assert_int_equal(look(b).flushes, 1);
	assert_int_equal(put(w.store, 8, 8, 2, NDM_FUA), 0);
	assert_string_equal(box_log(b), "c write 8+8 fua, c flush");
	see(w.store, 8, 8, 2);
	assert_int_equal(look(b).committed, 1);
	box_log(b);
	assert_int_equal(put(w.store, 16, 8, 3, NDM_FUA), 0);
	in_order(box_log(b), order);
}

/* What was not committed is lost, what was is there: the disks as they were after a cut. */
static void cut(struct box *b)
{
	struct wc w;
	uint8_t *was;

	make(&w, b, 512, "2 autocommit_time 3600000");
	assert_int_equal(put(w.store, 0, 8, 1, 0), 0);
	assert_int_equal(put(w.store, 16, 8, 1, NDM_FUA), 0);
	assert_int_equal(put(w.store, 32, 8, 2, 0), 0);
	was = malloc(512 * BS);
	memcpy(was, w.c->bytes, 512 * BS);
	box_suspend(b, "w", 0);
	memcpy(w.c->bytes, was, 512 * BS);
	free(was);
	box_resume(b, "w");
	see(w.store, 0, 8, 1);
	see(w.store, 16, 8, 1);
	see(w.store, 32, 8, 0x55);
	assert_int_equal(look(b).blocks - look(b).nfree, 2);
}

static void stats(struct box *b)
{
	struct wc w;
	struct shown s;

	make(&w, b, 512, "2 autocommit_time 3600000");
	assert_int_equal(put(w.store, 0, 8, 1, 0), 0);
	assert_int_equal(put(w.store, 0, 8, 2, 0), 0);
	see(w.store, 0, 8, 2);
	see(w.store, 800, 8, 0x55);
	assert_int_equal(ndm_rw(w.store, NDM_DISCARD, 0, 0, 8, NULL), 0);
	s = look(b);
	assert_int_equal(s.writes, 2);
	assert_int_equal(s.uncommitted, 1);
	assert_int_equal(s.allocated, 1);
	assert_int_equal(s.reads, 2);
	assert_int_equal(s.hits, 1);
	assert_int_equal(s.discards, 1);
	assert_int_equal(s.nfree, s.blocks);
	assert_string_equal(box_message(b, "w", "clear_stats"), "");
	assert_int_equal(look(b).writes, 0);
	assert_non_null(strstr(box_message(b, "w", "clear_stats x"), "EINVAL: "));
	assert_non_null(strstr(box_message(b, "w", "bogus"), "EINVAL: "));
}

/* flush, flush_on_suspend, the cleaner: the origin alone is as good. */
static void home(struct box *b)
{
	struct wc w;

	make(&w, b, 512, "2 autocommit_time 3600000");
	assert_int_equal(put(w.store, 0, 16, 1, 0), 0);
	assert_string_equal(box_message(b, "w", "flush"), "");
	lies(w.o, 0, 16, 1);
	assert_int_equal(look(b).nfree, look(b).blocks);
	assert_int_equal(put(w.store, 0, 16, 2, 0), 0);
	box_suspend(b, "w", 0);
	lies(w.o, 0, 16, 1);
	assert_non_null(strstr(box_message(b, "w", "flush"), "busy"));
	box_resume(b, "w");
	assert_string_equal(box_message(b, "w", "flush_on_suspend"), "");
	box_suspend(b, "w", 0);
	lies(w.o, 0, 16, 2);
	box_resume(b, "w");
	assert_int_equal(look(b).nfree, look(b).blocks);
	assert_int_equal(put(w.store, 64, 8, 3, 0), 0);
	assert_string_equal(box_message(b, "w", "cleaner"), "");
	assert_int_equal(put(w.store, 72, 8, 4, 0), 0);
	ndm_sleep(box_loop(b), 5000000000);
	lies(w.o, 64, 8, 3);
	lies(w.o, 72, 8, 4);
	assert_int_equal(look(b).nfree, look(b).blocks);
}

/* More than fits: writes wait for room, none is lost. */
static void full(struct box *b)
{
	struct wc w;
	unsigned i;

	make(&w, b, 72, "6 high_watermark 100 low_watermark 0 autocommit_time 3600000");
	assert_int_equal(look(b).blocks, 8);
	for (i = 0; i < 40; i++)
		assert_int_equal(put(w.store, i * 24, 8, (uint8_t)(i + 1), 0), 0);
	for (i = 0; i < 40; i++)
		see(w.store, i * 24, 8, (uint8_t)(i + 1));
	assert_int_equal(ndm_flush(w.store), 0);
	for (i = 0; i < 40; i++)
		see(w.store, i * 24, 8, (uint8_t)(i + 1));
}

/* The cache fails: nothing is written any more, what lies on the origin alone can be read. */
static void fails(struct box *b)
{
	struct wc w;

	make(&w, b, 512, "2 autocommit_time 3600000");
	assert_int_equal(put(w.store, 0, 8, 1, NDM_FUA), 0);
	w.c->fail_ops = 1 << NDM_WRITE | 1 << NDM_READ;
	w.c->error = -EIO;
	assert_int_equal(put(w.store, 16, 8, 2, 0), -EIO);
	assert_int_equal(ndm_flush(w.store), -EIO);
	assert_int_equal(look(b).error, 1);
	assert_int_equal(ndm_rw(w.store, NDM_READ, 0, 0, 8, same_buf), -EIO);
	see(w.store, 800, 8, 0x55);
	assert_int_equal(put(w.store, 800, 8, 2, 0), -EIO);
	lies(w.o, 800, 8, 0x55);
	assert_non_null(strstr(box_message(b, "w", "flush"), "Input/output error"));
	w.c->fail_ops = 0;
	box_reload(b, "w", "0 1024 writecache s box:o box:c 4096 0");
	assert_int_equal(look(b).error, 0);
	see(w.store, 0, 8, 1);
}

static void refusals(struct box *b)
{
	struct wc w;
	const char *why;

	make(&w, b, 512, "0");
	assert_int_equal(box_refused(b, "0 1024 writecache p box:o box:c 4096 0", &why), EOPNOTSUPP);
	assert_non_null(strstr(why, "Cache device is not a DAX device"));
	assert_int_equal(box_refused(b, "0 1024 writecache s box:o box:c 512 0", &why), EINVAL);
	assert_non_null(strstr(why, "Block size does not match superblock"));
	assert_int_equal(box_refused(b, "0 1024 writecache s box:o box:c 4096 2 high_watermark 44", &why), EINVAL);
	assert_non_null(strstr(why, "High watermark must be greater than or equal to low watermark"));
	assert_int_equal(box_refused(b, "0 1024 writecache s box:c box:o 4096 0", &why), EINVAL);
	assert_non_null(strstr(why, "magic"));
}

BOX_DEFINE(commits)
BOX_DEFINE(cut)
BOX_DEFINE(stats)
BOX_DEFINE(home)
BOX_DEFINE(full)
BOX_DEFINE(fails)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(commits), BOX_TEST(cut), BOX_TEST(stats), BOX_TEST(home), BOX_TEST(full),
		BOX_TEST(fails), BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
