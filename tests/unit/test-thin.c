/* SPDX-License-Identifier: BSD-2-Clause */
/* thin: what a pool does when it is full, grown, suspended, wrong; and what goes where. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/thin-check.h"

#define BS 512u
#define BLOCK 128u
#define META 512u				/* sectors: 64 metadata blocks */

static uint8_t buf[BLOCK * 16 * BS], want[BLOCK * 16 * BS];

struct pool { struct box *b; struct box_disk *m, *d; struct ndm_store *store; };

static void block_read(void *arg, uint64_t block, uint8_t *data)
{
	memcpy(data, ((struct box_disk *)arg)->bytes + block * 4096, 4096);
}

static void right(struct pool *p)
{
	const char *why = thin_check(block_read, p->m);

	if (why)
		fail_msg("the metadata is wrong: %s", why);
}

/* a pool of so many blocks; the data device has 16 */
static void make(struct pool *p, struct box *b, unsigned blocks, const char *more)
{
	char table[200];

	*p = (struct pool){ .b = b };
	p->m = box_disk(b, "m", META, 0);
	p->d = box_disk(b, "d", BLOCK * 16, 0);
	memset(p->m->bytes, 0, META * BS);
	memset(p->d->bytes, 0xee, BLOCK * 16 * BS);
	p->d->limits.max_discard_sectors = UINT32_MAX;
	snprintf(table, sizeof table, "0 %u thin-pool box:m box:d 128 %s", blocks * BLOCK, more);
	p->store = box_up(b, "pool", table);
	assert_string_equal(box_message(b, "pool", "create_thin 0"), "");
}

static int put(struct ndm_store *s, uint64_t sector, unsigned nr, uint8_t byte, unsigned flags)
{
	memset(buf, byte, nr * BS);
	return ndm_rw(s, NDM_WRITE, flags, sector, nr, buf);
}

static void see(struct ndm_store *s, uint64_t sector, unsigned nr, uint8_t byte)
{
	assert_int_equal(ndm_rw(s, NDM_READ, 0, sector, nr, buf), 0);
	memset(want, byte, nr * BS);
	assert_memory_equal(buf, want, nr * BS);
}

static struct ndm_store *thin_up(struct pool *p, const char *name, const char *rest, unsigned blocks)
{
	char table[100];

	snprintf(table, sizeof table, "0 %u thin dev:pool %s", blocks * BLOCK, rest);
	return box_up(p->b, name, table);
}

/* only what is written takes room; the rest of its block is zeroed, unless asked not to */
static void provisions(struct box *b)
{
	struct pool p;
	struct ndm_store *t;

	make(&p, b, 8, "0");
	t = thin_up(&p, "t", "0", 32);
	assert_string_equal(box_status(b, "t"), "0 -");
	see(t, 0, 128, 0);
	assert_int_equal(put(t, 130, 3, 0x11, 0), 0);
	see(t, 128, 2, 0);
	see(t, 130, 3, 0x11);
	see(t, 133, 123, 0);
	assert_string_equal(box_status(b, "t"), "128 255");
	assert_int_equal(put(t, 31 * BLOCK, BLOCK, 0x22, 0), 0);
	assert_string_equal(box_status(b, "t"), "256 4095");
	assert_string_equal(box_status(b, "pool"), "0 16/64 2/8 - rw discard_passdown queue_if_no_space - 16 ");
	right(&p);
	box_reload(b, "pool", "0 1024 thin-pool box:m box:d 128 0 1 skip_block_zeroing");
	assert_int_equal(put(t, 5 * BLOCK, 1, 0x33, 0), 0);
	see(t, 5 * BLOCK, 1, 0x33);
	see(t, 5 * BLOCK + 1, 100, 0xee);
	assert_string_equal(box_extents(b, t, 0, 384), "128:hole 128:data 128:hole");
}

/* what is in flight when a snapshot is taken, and who copies */
static void snapshots(struct box *b)
{
	struct pool p;
	struct ndm_store *t, *s;

	make(&p, b, 8, "0");
	t = thin_up(&p, "t", "0", 4);
	assert_int_equal(put(t, 0, BLOCK, 1, 0), 0);
	assert_string_equal(box_message(b, "pool", "create_snap 1 0"), "");
	s = thin_up(&p, "s", "1", 4);
	see(s, 0, BLOCK, 1);
	assert_int_equal(put(t, 4, 2, 2, 0), 0);
	see(s, 0, BLOCK, 1);
	see(t, 0, 4, 1);
	see(t, 4, 2, 2);
	see(t, 6, 100, 1);
	box_log(b);
	assert_int_equal(put(t, 9, 1, 3, 0), 0);		/* it has its own block now */
	assert_string_equal(box_log(b), "d write 137+1");
	assert_int_equal(put(s, 0, BLOCK, 4, 0), 0);		/* whole: nothing is copied */
	assert_null(strstr(box_log(b), "d read"));
	see(t, 9, 1, 3);
	assert_string_equal(box_message(b, "pool", "delete 1"), "Device or resource busy: thin-pool: Deletion of thin device 1 failed.");
	box_status(b, "pool");
	right(&p);
}

static void discards(struct box *b)
{
	struct pool p;
	struct ndm_store *t;

	make(&p, b, 8, "0");
	t = thin_up(&p, "t", "0", 8);
	assert_int_equal(put(t, 0, 4 * BLOCK, 1, 0), 0);
	assert_string_equal(box_message(b, "pool", "create_snap 1 0"), "");
	assert_int_equal(put(t, BLOCK, BLOCK, 2, 0), 0);
	box_log(b);
	/* parts of blocks stay; block 1 is its own, 2 is shared */
	assert_int_equal(ndm_rw(t, NDM_DISCARD, 0, 5, 3 * BLOCK - 5 + 100, NULL), 0);
	assert_string_equal(box_log(b), "d discard 512+128");
	see(t, 0, BLOCK, 1);
	see(t, BLOCK, 2 * BLOCK, 0);
	see(t, 3 * BLOCK, BLOCK, 1);
	assert_string_equal(box_status(b, "t"), "256 511");
	assert_string_equal(box_status(b, "pool"), "0 17/64 4/8 - rw discard_passdown queue_if_no_space - 16 ");
	right(&p);
	box_reload(b, "pool", "0 1024 thin-pool box:m box:d 128 0 1 no_discard_passdown");
	box_log(b);
	assert_int_equal(ndm_rw(t, NDM_DISCARD, 0, 0, 8 * BLOCK, NULL), 0);
	assert_null(strstr(box_log(b), "discard"));
	assert_string_equal(box_status(b, "t"), "0 -");
}

static void ignored(struct box *b)
{
	struct pool p;
	struct ndm_store *t;
	const char *why;

	make(&p, b, 8, "0 1 ignore_discard");
	t = thin_up(&p, "t", "0", 8);
	assert_int_equal(ndm_rw(t, NDM_DISCARD, 0, 0, BLOCK, NULL), -EOPNOTSUPP);
	assert_non_null(strstr(box_status(b, "pool"), " ignore_discard "));
	assert_int_equal(box_refused(b, "0 1024 thin-pool box:m box:d 128 0", &why), EBUSY);
}

/* A write waits for room: a longer table, a discard, or a minute. */
static void queues(struct box *b)
{
	struct pool p;
	struct ndm_store *t;
	struct box_io io, other;
	uint8_t data[BS] = { 7 }, more[BS] = { 8 };
	uint32_t events;

	make(&p, b, 2, "1");
	t = thin_up(&p, "t", "0", 16);
	assert_int_equal(box_event_nr(b, "pool"), 0);
	assert_int_equal(put(t, 0, 2 * BLOCK, 1, 0), 0);
	assert_int_equal(box_event_nr(b, "pool"), 1);	/* low water: one block was left */
	box_start(b, &io, t, NDM_WRITE, 5 * BLOCK, 1, data);
	ndm_sleep(box_loop(b), 1000000000);
	assert_false(io.done);
	assert_string_equal(box_status(b, "pool"), "0 16/64 2/2 - out_of_data_space discard_passdown queue_if_no_space - 16 ");
	assert_int_equal(box_event_nr(b, "pool"), 2);
	see(t, 0, BLOCK, 1);
	assert_int_equal(put(t, 3, 2, 2, NDM_FUA), 0);
	assert_string_equal(box_message(b, "pool", "create_thin 4"), "");
	box_reload(b, "pool", "0 384 thin-pool box:m box:d 128 1");
	box_wait(&io);
	assert_int_equal(io.bio.error, 0);
	assert_non_null(strstr(box_status(b, "pool"), " 3/3 - rw "));
	box_start(b, &io, t, NDM_WRITE, 6 * BLOCK, 1, data);
	ndm_sleep(box_loop(b), 1000000);
	assert_false(io.done);
	assert_int_equal(ndm_rw(t, NDM_DISCARD, 0, 0, BLOCK, NULL), 0);
	box_wait(&io);
	assert_int_equal(io.bio.error, 0);
	events = box_event_nr(b, "pool");
	box_start(b, &io, t, NDM_WRITE, 7 * BLOCK, 1, data);
	box_start(b, &other, t, NDM_WRITE, 8 * BLOCK, 1, more);
	ndm_sleep(box_loop(b), UINT64_C(59000000000));
	assert_false(io.done);
	ndm_sleep(box_loop(b), UINT64_C(2000000000));
	assert_true(io.done && other.done);
	assert_int_equal(io.bio.error, -ENOSPC);
	assert_int_equal(other.bio.error, -ENOSPC);
	assert_int_equal(box_event_nr(b, "pool"), events + 2);
	assert_non_null(strstr(box_status(b, "pool"), "out_of_data_space discard_passdown error_if_no_space"));
	assert_int_equal(put(t, 9 * BLOCK, 1, 1, 0), -ENOSPC);
	box_suspend(b, "pool", 0);
	box_resume(b, "pool");
	assert_non_null(strstr(box_status(b, "pool"), "out_of_data_space discard_passdown queue_if_no_space"));
	right(&p);
}

/* The pool stands still: so do its devices, and one that is suspended gives back what waits. */
static void suspended(struct box *b)
{
	struct pool p;
	struct ndm_store *t;
	struct box_io io;
	uint8_t data[BS] = { 7 };
	const char *why;

	make(&p, b, 4, "0");
	t = thin_up(&p, "t", "0", 16);
	assert_int_equal(put(t, 0, 1, 1, 0), 0);
	box_suspend(b, "pool", 0);
	box_log(b);
	box_start(b, &io, t, NDM_WRITE, 0, 1, data);
	ndm_sleep(box_loop(b), 5000000000);
	assert_false(io.done);
	assert_string_equal(box_log(b), "");
	assert_int_equal(box_refused(b, "0 128 thin dev:pool 0", &why), EINVAL);
	assert_non_null(strstr(why, "Unable to activate thin device while pool is suspended"));
	box_suspend(b, "t", NDM_SUSPEND_NOFLUSH);
	box_resume(b, "pool");
	assert_false(io.done);
	box_resume(b, "t");
	box_wait(&io);
	assert_int_equal(io.bio.error, 0);
	assert_int_equal(ndm_rw(t, NDM_READ, 0, 0, 1, buf), 0);
	assert_memory_equal(buf, data, BS);
}

static void origin(struct box *b)
{
	struct pool p;
	struct ndm_store *t;

	make(&p, b, 8, "0");
	box_disk(b, "o", 200, 0x30);			/* a block and 72 sectors */
	t = thin_up(&p, "t", "0 box:o", 4);
	assert_string_equal(box_table(b, "t"), "253:0 0 box:o");
	see(t, 3, 1, 0x33);
	assert_int_equal(ndm_rw(t, NDM_READ, 0, 190, 20, buf), 0);
	memset(want, 0, sizeof want);
	for (unsigned i = 0; i < 10; i++)
		memset(want + i * BS, 0x30 + 190 + i, BS);
	assert_memory_equal(buf, want, 20 * BS);
	assert_int_equal(put(t, 130, 1, 1, 0), 0);
	see(t, 129, 1, 0x30 + 129);
	see(t, 130, 1, 1);
	see(t, 199, 1, (uint8_t)(0x30 + 199));
	see(t, 200, 56, 0);
	assert_int_equal(put(t, 300, 1, 2, 0), 0);
	see(t, 256, 44, 0);
	assert_int_equal(ndm_rw(t, NDM_DISCARD, 0, 128, 128, NULL), 0);
	see(t, 130, 1, 0x30 + 130);
	assert_string_equal(box_extents(b, t, 0, 512), "512:data");
}

/* A commit flushes the data before the metadata; a FLUSH with nothing to commit is one of the data. */
static void flushes(struct box *b)
{
	struct pool p;
	struct ndm_store *t;
	const char *log, *data;

	make(&p, b, 8, "0");
	t = thin_up(&p, "t", "0", 8);
	assert_int_equal(put(t, 0, BLOCK, 1, 0), 0);
	box_log(b);
	assert_int_equal(ndm_flush(t), 0);
	log = box_log(b);
	data = strstr(log, "d flush");
	assert_non_null(data);
	assert_non_null(strstr(data, "m flush, m write 0+8, m flush"));
	assert_ptr_equal(log, data);
	assert_int_equal(ndm_flush(t), 0);
	assert_string_equal(box_log(b), "d flush");
	assert_int_equal(put(t, 5, 1, 2, NDM_FUA), 0);
	assert_string_equal(box_log(b), "d write 5+1 fua");
	assert_int_equal(put(t, BLOCK, 1, 2, NDM_FUA), 0);
	assert_non_null(strstr(box_log(b), "m write 0+8, m flush"));
	assert_int_equal(put(t, 2 * BLOCK, 1, 2, 0), 0);
	box_log(b);
	ndm_sleep(box_loop(b), 900000000);
	assert_string_equal(box_log(b), "");
	ndm_sleep(box_loop(b), 200000000);
	assert_non_null(strstr(box_log(b), "m write 0+8, m flush"));	/* by itself, after a second */
	ndm_sleep(box_loop(b), 5000000000);
	assert_string_equal(box_log(b), "");
}

/* Metadata that cannot be written: read-only, marked, and what is mapped is there. */
static void fails(struct box *b)
{
	struct pool p;
	struct ndm_store *t;

	make(&p, b, 8, "0");
	t = thin_up(&p, "t", "0", 8);
	assert_int_equal(put(t, 0, BLOCK, 1, NDM_FUA), 0);
	p.m->fail_ops = 1 << NDM_WRITE;
	p.m->error = -EIO;
	assert_int_equal(put(t, BLOCK, BLOCK, 2, 0), 0);
	assert_int_equal(ndm_flush(t), -EIO);
	assert_string_equal(box_status(b, "pool"), "0 16/64 1/8 - ro discard_passdown queue_if_no_space needs_check 16 ");
	assert_string_equal(box_status(b, "t"), "256 127");
	see(t, 0, BLOCK, 1);
	see(t, BLOCK, BLOCK, 0);
	assert_int_equal(put(t, 3, 1, 3, 0), 0);
	assert_int_equal(put(t, BLOCK, 1, 3, 0), -EIO);
	assert_int_equal(ndm_rw(t, NDM_DISCARD, 0, 0, BLOCK, NULL), 0);	/* does nothing */
	see(t, 3, 1, 3);
	assert_int_equal(ndm_flush(t), -EIO);
	assert_string_equal(box_message(b, "pool", "create_thin 8"),
			    "Operation not supported: thin-pool: unable to service pool target messages in READ_ONLY or FAIL mode");
	p.m->fail_ops = 0;
	ndm_sleep(box_loop(b), 3000000000);
	assert_int_equal(p.m->bytes[4], 1);		/* the mark has reached the disk */
	right(&p);
	box_reload(b, "pool", "0 2048 thin-pool box:m box:d 128 0");
	assert_string_equal(box_status(b, "pool"), "0 16/64 1/8 - ro discard_passdown queue_if_no_space needs_check 16 ");
}

/* Not even read: nothing works, and nothing hangs. */
static void dies(struct box *b)
{
	struct pool p;
	struct ndm_store *t;

	make(&p, b, 8, "0");
	t = thin_up(&p, "t", "0", 8);
	assert_int_equal(put(t, 0, BLOCK, 1, 0), 0);
	p.m->fail_ops = 1 << NDM_WRITE | 1 << NDM_READ;
	p.m->error = -EIO;
	memset(p.m->bytes, 0xff, 4096);
	assert_int_equal(ndm_flush(t), -EIO);
	assert_string_equal(box_status(b, "pool"), "Fail");
	assert_string_equal(box_status(b, "t"), "Fail");
	assert_string_equal(box_table(b, "t"), "Fail");
	assert_int_equal(ndm_rw(t, NDM_READ, 0, 0, 1, buf), -EIO);
	assert_int_equal(put(t, 0, 1, 1, 0), -EIO);
	box_suspend(b, "pool", 0);
	box_resume(b, "pool");
	assert_int_equal(ndm_rw(t, NDM_READ, 0, 0, 1, buf), -EIO);
}

/* No metadata blocks: read-only, until the metadata device grows. */
static void metadata_full(struct box *b)
{
	struct pool p;
	struct ndm_store *t, *part;
	char text[40];
	unsigned i;

	p = (struct pool){ .b = b };
	p.m = box_disk(b, "m", 4 * META, 0);
	p.d = box_disk(b, "d", BLOCK * 16, 0);
	memset(p.m->bytes, 0, 4 * META * BS);
	part = box_up(b, "meta", "0 1024 linear box:m 0");
	assert_non_null(part);
	box_up(b, "pool", "0 2048 thin-pool dev:meta box:d 128 0");
	assert_string_equal(box_message(b, "pool", "create_thin 0"), "");
	t = box_up(b, "t", "0 2048 thin dev:pool 0");
	assert_int_equal(put(t, 0, 1, 1, 0), 0);
	for (i = 1; i < 150 && strstr(box_status(b, "pool"), " rw "); i++) {
		snprintf(text, sizeof text, "create_thin %u", i);
		assert_string_equal(box_message(b, "pool", text), "");
	}
	assert_non_null(strstr(box_status(b, "pool"), " ro discard_passdown queue_if_no_space - 32 "));
	right(&p);
	assert_int_equal(put(t, 0, 1, 2, 0), 0);
	assert_int_equal(put(t, BLOCK, 1, 2, 0), -EIO);
	assert_int_equal(strncmp(box_message(b, "pool", "delete 3"), "Operation not", 13), 0);
	box_reload(b, "meta", "0 2048 linear box:m 0");
	box_suspend(b, "pool", 0);
	box_resume(b, "pool");
	assert_non_null(strstr(box_status(b, "pool"), "/256 1/16 - rw "));
	assert_string_equal(box_message(b, "pool", "delete 3"), "");
	assert_int_equal(put(t, BLOCK, 1, 2, 0), 0);
	box_status(b, "pool");
	right(&p);
}

/* Blocks that were freed are used again, but not before a commit. */
static void reused(struct box *b)
{
	struct pool p;
	struct ndm_store *t;
	unsigned i;

	make(&p, b, 3, "0 1 error_if_no_space");
	t = thin_up(&p, "t", "0", 100);
	for (i = 0; i < 60; i++) {
		assert_int_equal(put(t, i * BLOCK, 1 + i % 2 * 127, (uint8_t)i, 0), 0);
		see(t, i * BLOCK, 1, (uint8_t)i);
		if (i > 1)
			assert_int_equal(ndm_rw(t, NDM_DISCARD, 0, (i - 2) * BLOCK, BLOCK, NULL), 0);
	}
	assert_non_null(strstr(box_status(b, "pool"), " 2/3 - rw "));
	right(&p);
}

/* Everybody at once, against a model of every sector. */
struct writer { struct box *b; struct ndm_store *t; uint8_t *model; unsigned seed, first; bool done; };

static void writer_task(void *arg)
{
	struct writer *w = arg;
	uint8_t data[BLOCK / 4 * BS];
	unsigned i, at, nr;

	for (i = 0; i < 60; i++) {
		w->seed = w->seed * 1103515245 + 12345;
		nr = 1 + (w->seed >> 8) % (BLOCK / 4);
		at = w->first + (w->seed >> 16) % (BLOCK - nr);
		memset(data, (int)i + 1, nr * BS);
		assert_int_equal(ndm_rw(w->t, NDM_WRITE, w->seed >> 30 ? 0 : NDM_FUA, at, nr, data), 0);
		memset(w->model + at, (int)i + 1, nr);
		if (i % 7 == 0)
			ndm_yield(box_loop(w->b));
	}
	w->done = true;
}

static void crowd(struct box *b)
{
	static uint8_t model[2][8 * BLOCK];
	struct writer w[8];
	struct pool p;
	struct ndm_store *t[2];
	unsigned i, k;

	memset(model, 0, sizeof model);
	make(&p, b, 16, "0");
	t[0] = thin_up(&p, "a", "0", 8);
	assert_int_equal(put(t[0], 0, 8 * BLOCK, 9, 0), 0);
	memset(model[0], 9, sizeof model[0]);
	memset(model[1], 9, sizeof model[1]);
	assert_string_equal(box_message(b, "pool", "create_snap 1 0"), "");
	t[1] = thin_up(&p, "b", "1", 8);
	for (i = 0; i < 8; i++) {			/* two on each block of four, disjoint halves */
		w[i] = (struct writer){ .b = b, .t = t[i % 2], .model = model[i % 2], .seed = i * 77,
					.first = i / 2 * BLOCK + i / 4 * 40 };
		ndm_spawn(box_loop(b), "writer", writer_task, &w[i]);
	}
	for (i = 0; i < 8; i++)
		while (!w[i].done)
			ndm_sleep(box_loop(b), 1000000);
	for (k = 0; k < 2; k++)
		for (i = 0; i < 8 * BLOCK; i++)
			see(t[k], i, 1, model[k][i]);
	box_status(b, "pool");
	right(&p);
}

static void refusals(struct box *b)
{
	struct pool p;
	const char *why;

	make(&p, b, 4, "0");
	assert_int_equal(box_refused(b, "0 512 thin-pool box:m box:d 128 0", &why), EBUSY);
	assert_non_null(strstr(why, "metadata device already in use by a pool"));
	assert_int_equal(box_refused(b, "0 512 thin dev:pool 3", &why), ENODATA);
	assert_non_null(strstr(why, "Couldn't open thin internal device"));
	assert_int_equal(box_refused(b, "0 512 thin dev:pool 0 dev:pool", &why), EINVAL);
	assert_non_null(strstr(why, "Error setting origin device"));
	assert_int_equal(box_refused(b, "0 512 thin dev:pool 16777216", &why), EINVAL);
	assert_non_null(strstr(why, "Invalid device id"));
	assert_int_equal(box_refused(b, "0 512 thin-pool box:m box:d 128 0 5 a b c d e", &why), EINVAL);
	assert_non_null(strstr(why, "Invalid number of pool feature arguments"));
}

BOX_DEFINE(provisions)
BOX_DEFINE(snapshots)
BOX_DEFINE(discards)
BOX_DEFINE(ignored)
BOX_DEFINE(queues)
BOX_DEFINE(suspended)
BOX_DEFINE(origin)
BOX_DEFINE(flushes)
BOX_DEFINE(fails)
BOX_DEFINE(dies)
BOX_DEFINE(metadata_full)
BOX_DEFINE(reused)
BOX_DEFINE(crowd)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(provisions), BOX_TEST(snapshots), BOX_TEST(discards), BOX_TEST(ignored),
		BOX_TEST(queues), BOX_TEST(suspended), BOX_TEST(origin), BOX_TEST(flushes), BOX_TEST(fails),
		BOX_TEST(dies), BOX_TEST(metadata_full), BOX_TEST(reused), BOX_TEST(crowd),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
