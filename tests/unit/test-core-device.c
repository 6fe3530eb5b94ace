/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-core-device.c - the way of a request through a mapped device: splitting, flush, FUA,
 * zeroes, discards, limits, suspension, requests of odd alignment.
 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a target that does what the test wants ---- */

struct probe {
	struct ndm_dev *dev;
	enum ndm_map verdict;
	unsigned endio_requeues;		/* so many ends become REQUEUE */
	unsigned presuspends, postsuspends, resumes, refusals;
};

static struct probe *the_probe;

/* <device> <max_io> <num_flush> */
static int probe_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct probe *p = the_probe = ti->private_data;

	ti->max_io = (uint64_t)atoi(argv[1]);
	ti->num_flush = (uint8_t)atoi(argv[2]);
	ti->num_discard = ti->num_zeroes = 1;
	ti->per_bio_size = 100;
	return ndm_get_dev(ti, argv[0], 0, ti->nr, &p->dev);
}

static enum ndm_map probe_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct probe *p = ti->private_data;
	unsigned char *mine = ndm_per_bio(bio);
	unsigned i;

	for (i = 0; i < 100; i++)
		assert_int_equal(mine[i], 0);	/* fresh for every bio */
	memset(mine, 0xaa, 100);
	if (p->verdict != NDM_MAP_REMAPPED)
		return p->verdict;
	return ndm_remap(bio, p->dev, bio->op == NDM_FLUSH ? 0 : ndm_offset(ti, bio->sector));
}

static int probe_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct probe *p = ti->private_data;

	ndm_sleep(ti->loop, 1000);
	return ndm_forward(bio, p->dev, ndm_offset(ti, bio->sector));
}

static enum ndm_endio probe_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct probe *p = ti->private_data;

	(void)bio;
	if (!p->endio_requeues)
		return NDM_ENDIO_DONE;
	p->endio_requeues--;
	return NDM_ENDIO_REQUEUE;
}

static void probe_presuspend(struct ndm_target *ti)
{
	((struct probe *)ti->private_data)->presuspends++;
}

static void probe_postsuspend(struct ndm_target *ti)
{
	((struct probe *)ti->private_data)->postsuspends++;
}

static void probe_resume(struct ndm_target *ti)
{
	((struct probe *)ti->private_data)->resumes++;
}

static int probe_preresume(struct ndm_target *ti)
{
	struct probe *p = ti->private_data;

	if (p->refusals) {
		p->refusals--;
		return ndm_error(ti, -ENOSPC, "not today");
	}
	return 0;
}

static const struct ndm_target_type probe_type = {
	.name = "probe", .private_size = sizeof(struct probe),
	.ctr = probe_ctr, .map = probe_map, .io = probe_io, .end_io = probe_end_io,
	.presuspend = probe_presuspend, .postsuspend = probe_postsuspend,
	.preresume = probe_preresume, .resume = probe_resume,
};

static const struct ndm_target_type *const probe_types[] = { &probe_type, NULL };

static struct ndm_store *probe_up(struct box *b, const char *table)
{
	ndm_loop_world(box_loop(b))->types = probe_types;
	return box_up(b, "p", table);
}

static void log_is(struct box *b, const char *text)
{
	assert_string_equal(box_log(b), text);
}

static unsigned char *fill(unsigned char *buf, unsigned nr, unsigned char first)
{
	unsigned i;

	for (i = 0; i < nr; i++)
		memset(buf + i * 512, first + i, 512);
	return buf;
}

static struct ndm_device *device(struct box *b, const char *name)
{
	return ndm_device_by_name(box_context(b), name);
}

/* ---- splitting ---- */

static void split_at_edges(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0), *e = box_disk(b, "b", 64, 100);
	struct ndm_store *s = box_up(b, "s", "0 10 linear box:a 0\n10 1 linear box:b 5\n"
					      "11 20 linear box:a 30");
	unsigned char buf[31 * 512];

	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 31, buf), 0);
	log_is(b, "a read 0+10, b read 5+1, a read 30+20");
	assert_int_equal(buf[9 * 512], 9);
	assert_int_equal(buf[10 * 512], 105);
	assert_int_equal(buf[11 * 512], 30);
	assert_int_equal(buf[30 * 512 + 511], 49);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 9, 3, fill(buf, 3, 200)), 0);
	log_is(b, "a write 9+1, b write 5+1, a write 30+1");
	assert_int_equal(d->bytes[9 * 512], 200);
	assert_int_equal(e->bytes[5 * 512], 201);
	assert_int_equal(d->bytes[30 * 512 + 511], 202);
	assert_int_equal(d->bytes[31 * 512], 31);
}
BOX_DEFINE(split_at_edges)

static void split_at_max_io(struct box *b)
{
	unsigned char buf[64 * 512];
	struct ndm_store *s;

	box_disk(b, "a", 64, 0);
	box_disk(b, "b", 64, 0);
	s = probe_up(b, "0 5 linear box:b 0\n5 40 probe box:a 6 1");
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 3, 15, buf), 0);
	log_is(b, "b read 3+2, a read 0+6, a read 6+6, a read 12+1");	/* counted from its begin */
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 10, 1, buf), 0);
	log_is(b, "a read 5+1");
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 10, 2, buf), 0);
	log_is(b, "a read 5+1, a read 6+1");
	assert_int_equal(ndm_rw(s, NDM_ZEROES, 0, 5, 40, NULL), 0);
	log_is(b, "a zeroes 0+40");		/* no data, no splitting */
	assert_int_equal(ndm_rw(s, NDM_DISCARD, 0, 5, 40, NULL), 0);
	log_is(b, "a discard 0+40");
}
BOX_DEFINE(split_at_max_io)

/* Pieces end in any order, and the first error wins; the rest is done nevertheless. */
static void errors_of_pieces(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0), *e = box_disk(b, "b", 64, 0);
	struct ndm_store *s = box_up(b, "s", "0 8 linear box:a 0\n8 8 linear box:b 0");
	unsigned char buf[16 * 512];
	struct box_io io;

	d->hold = e->hold = true;
	e->fail_ops = d->fail_ops = 1 << NDM_WRITE;
	e->error = -ENODATA;
	box_start(b, &io, s, NDM_WRITE, 0, 16, fill(buf, 16, 0));
	box_release(e);
	assert_false(io.done);
	box_release(d);
	assert_true(io.done);
	assert_int_equal(io.bio.error, -ENODATA);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 16, buf), 0);
}
BOX_DEFINE(errors_of_pieces)

static void bounds(struct box *b)
{
	struct ndm_store *s;
	unsigned char buf[512 * 4];

	box_disk(b, "a", 64, 0);
	s = box_up(b, "s", "0 16 linear box:a 0");
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 16, 1, buf), -EIO);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 15, 2, buf), -EIO);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, UINT64_MAX, 2, buf), -EIO);
	assert_int_equal(ndm_rw(s, NDM_WRITE, 0, 17, 1, buf), -EIO);
	log_is(b, "");
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 15, 1, buf), 0);
}
BOX_DEFINE(bounds)

static void high_towers(struct box *b)
{
	struct ndm_store *s;
	unsigned char buf[512];
	char name[8], table[64];
	unsigned i;

	box_disk(b, "a", 64, 7);
	s = box_up(b, "l0", "0 60 linear box:a 0");
	for (i = 1; i < 8; i++) {
		snprintf(name, sizeof name, "l%u", i);
		snprintf(table, sizeof table, "0 %u linear /dev/mapper/l%u 1", 60 - i, i - 1);
		s = box_up(b, name, table);
	}
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), 0);
	log_is(b, "a read 7+1");
	assert_int_equal(buf[0], 14);
	assert_int_equal(ndm_flush(s), 0);
	log_is(b, "a flush");
}
BOX_DEFINE(high_towers)

/* ---- flush and FUA ---- */

static void flush_goes_to_each_once(struct box *b)
{
	struct ndm_store *s;

	box_disk(b, "a", 64, 0);
	box_disk(b, "b", 64, 0);
	s = box_up(b, "s", "0 8 linear box:a 0\n8 8 linear box:b 0\n16 8 linear box:a 8");
	assert_int_equal(ndm_flush(s), 0);
	log_is(b, "a flush, b flush");
}
BOX_DEFINE(flush_goes_to_each_once)

static void flush_copies(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	struct ndm_store *s = probe_up(b, "0 8 probe box:a 0 3\n8 8 linear box:a 8\n"
					  "16 8 probe box:a 0 0");

	assert_int_equal(ndm_flush(s), 0);
	log_is(b, "a flush, a flush, a flush, a flush");
	d->fail_ops = 1 << NDM_FLUSH;
	d->error = -ENOLINK;
	assert_int_equal(ndm_flush(s), -ENOLINK);
}
BOX_DEFINE(flush_copies)

static void preflush_comes_first(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	struct ndm_store *s = box_up(b, "s", "0 16 linear box:a 0");
	unsigned char buf[512];
	struct box_io io;

	d->hold = true;
	box_start(b, &io, s, NDM_WRITE, 0, 1, fill(buf, 1, 1));
	box_release(d);
	box_log(b);
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_PREFLUSH | NDM_FUA, 0, 1, buf), 0);
	log_is(b, "a flush, a write 0+1 fua");
	d->fail_ops = 1 << NDM_FLUSH;
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_PREFLUSH, 0, 1, buf), -EIO);
	log_is(b, "a flush");			/* then there is no write */
}
BOX_DEFINE(preflush_comes_first)

static void fua_where_nobody_knows_it(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	struct ndm_store *s;
	unsigned char buf[512 * 2];

	d->limits.fua = false;
	box_disk(b, "b", 64, 0);
	s = box_up(b, "s", "0 8 linear box:a 0\n8 8 linear box:b 0");
	assert_true(s->limits.fua);		/* the core sees to it */
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 7, 2, fill(buf, 2, 50)), 0);
	log_is(b, "a write 7+1, b write 0+1 fua, a flush");
	assert_int_equal(d->bytes[7 * 512], 50);
	assert_int_equal(ndm_rw(s, NDM_ZEROES, NDM_FUA, 0, 8, NULL), 0);
	log_is(b, "a zeroes 0+8, a flush");
	d->fail_ops = 1 << NDM_WRITE;
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 0, 1, buf), -EIO);
	log_is(b, "a write 0+1");
	d->fail_ops = 1 << NDM_FLUSH;
	d->error = -ENOLINK;
	assert_int_equal(ndm_rw(s, NDM_WRITE, NDM_FUA, 0, 1, buf), -ENOLINK);
}
BOX_DEFINE(fua_where_nobody_knows_it)

/* ---- zeroes and discards ---- */

static void zeroes_become_writes(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 5000, 1);
	struct ndm_store *s;
	unsigned i;

	d->limits.max_zeroes_sectors = 0;
	s = box_up(b, "s", "0 5000 linear box:a 0");
	assert_int_equal(ndm_rw(s, NDM_ZEROES, NDM_FAST, 0, 5, NULL), -EOPNOTSUPP);
	log_is(b, "");
	assert_int_equal(ndm_rw(s, NDM_ZEROES, NDM_NOUNMAP, 3, 4996, NULL), 0);
	log_is(b, "a write 3+2048, a write 2051+2048, a write 4099+900");
	assert_int_equal(d->bytes[2 * 512], 3);
	assert_int_equal(d->bytes[4999 * 512], (unsigned char)5000);
	for (i = 3 * 512; i < 4999 * 512; i++)
		assert_int_equal(d->bytes[i], 0);
}
BOX_DEFINE(zeroes_become_writes)

static void discards_need_everybody(struct box *b)
{
	struct ndm_store *s;

	box_disk(b, "a", 64, 0);
	box_disk(b, "b", 64, 0)->limits.max_discard_sectors = 0;
	s = box_up(b, "both", "0 8 linear box:a 0\n8 8 linear box:b 0");
	assert_int_equal(s->limits.max_discard_sectors, 0);
	assert_int_equal(ndm_rw(s, NDM_DISCARD, 0, 0, 4, NULL), -EOPNOTSUPP);
	s = box_up(b, "one", "0 8 linear box:a 8\n8 8 zero");
	assert_true(s->limits.max_discard_sectors > 0);
	assert_int_equal(ndm_rw(s, NDM_DISCARD, 0, 4, 8, NULL), 0);
	log_is(b, "a discard 12+4");
}
BOX_DEFINE(discards_need_everybody)

/* ---- limits ---- */

static void limits_are_stacked(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0), *e = box_disk(b, "b", 64, 0);
	const struct ndm_limits *l;
	const char *why;

	d->limits.logical_block_bytes = 1024;
	d->limits.io_min_bytes = 8192;
	e->limits.logical_block_bytes = 512;
	e->limits.physical_block_bytes = 4096;
	e->limits.rotational = true;
	e->limits.discard_granularity_bytes = 16384;
	d->limits.volatile_cache = e->limits.volatile_cache = false;
	l = &box_up(b, "s", "0 8 linear box:a 0\n8 8 linear box:b 0")->limits;
	assert_int_equal(l->logical_block_bytes, 1024);
	assert_int_equal(l->physical_block_bytes, 4096);
	assert_int_equal(l->io_min_bytes, 8192);
	assert_int_equal(l->discard_granularity_bytes, 16384);
	assert_true(l->rotational);
	assert_false(l->volatile_cache);
	assert_true(l->extents);
	assert_int_equal(box_refused(b, "0 8 linear box:a 1", &why), EINVAL);
	assert_non_null(strstr(why, "start=1 not aligned to h/w logical block size 1024 of box:a"));
	assert_int_equal(box_refused(b, "0 7 linear box:a 0", &why), EINVAL);
	assert_non_null(strstr(why, "len=7 not aligned"));
	assert_int_equal(box_refused(b, "0 7 linear box:b 0\n7 8 linear box:a 0", &why), EINVAL);
	assert_non_null(strstr(why, "table line 1 (start sect 7 len 8) not aligned"));
	assert_int_equal(box_refused(b, "0 65 linear box:b 0", &why), EINVAL);
	assert_non_null(strstr(why, "box:b too small for target: start=0, len=65, dev_size=64"));
}
BOX_DEFINE(limits_are_stacked)

/* What lies below may change after the load: the resume looks again. */
static void limits_are_looked_at_again(struct box *b)
{
	struct ndm_table_line line = { .nr = 30, .type = "linear", .args = "/dev/mapper/low 0" };
	struct ndm_str why = { 0 };
	struct ndm_device *top;
	bool deferred;

	box_disk(b, "a", 64, 0)->limits.logical_block_bytes = 2048;
	box_disk(b, "b", 64, 0);
	box_up(b, "low", "0 32 linear box:b 0");
	assert_int_equal(ndm_device_create(box_context(b), "top", NULL, -1, &top), 0);
	assert_int_equal(ndm_device_load(top, &line, 1, false, &why), 0);
	box_reload(b, "low", "0 32 linear box:a 0");
	assert_int_equal(ndm_device_resume(top, 0, &why), -EINVAL);
	assert_non_null(strstr(why.text, "len=30 not aligned"));
	ndm_str_free(&why);
	assert_int_equal(ndm_device_remove(top, false, &deferred), 0);
}
BOX_DEFINE(limits_are_looked_at_again)

/* ---- suspend and resume ---- */

struct verb { struct box *b; const char *name; unsigned flags; bool done; };

static void suspend_task(void *arg)
{
	struct verb *v = arg;

	box_suspend(v->b, v->name, v->flags);
	v->done = true;
}

static void suspend_waits_for_what_is_under_way(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	struct ndm_store *s = probe_up(b, "0 64 probe box:a 0 1");
	struct verb v = { .b = b, .name = "p" };
	unsigned char buf[4][512];
	struct box_io io[4];
	unsigned i;

	d->hold = true;
	box_start(b, &io[0], s, NDM_WRITE, 0, 1, fill(buf[0], 1, 70));
	ndm_spawn(box_loop(b), "suspend", suspend_task, &v);
	ndm_sleep(box_loop(b), 1000);
	assert_false(v.done);
	for (i = 1; i < 4; i++)
		box_start(b, &io[i], s, NDM_WRITE, 0, 1, fill(buf[i], 1, (unsigned char)(70 + i)));
	assert_int_equal(the_probe->presuspends, 1);
	assert_int_equal(the_probe->postsuspends, 0);
	box_release(d);
	ndm_sleep(box_loop(b), 1000);
	assert_true(v.done && io[0].done && !io[1].done && !io[3].done);
	assert_int_equal(the_probe->postsuspends, 1);
	assert_int_equal(d->bytes[0], 70);
	box_suspend(b, "p", 0);			/* again: nothing */
	assert_int_equal(the_probe->presuspends, 1);
	box_log(b);
	box_resume(b, "p");
	for (i = 1; i < 4; i++)
		box_wait(&io[i]);
	log_is(b, "a write 0+1, a write 0+1, a write 0+1");
	assert_int_equal(d->bytes[0], 73);	/* in the order they came */
	assert_int_equal(the_probe->resumes, 2);
}
BOX_DEFINE(suspend_waits_for_what_is_under_way)

static void waiting_io_goes_to_the_new_table(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0), *e = box_disk(b, "b", 64, 0);
	struct ndm_store *s = box_up(b, "s", "0 64 linear box:a 0");
	unsigned char buf[512];
	struct box_io io[2];

	box_suspend(b, "s", 0);
	box_start(b, &io[0], s, NDM_WRITE, 3, 1, fill(buf, 1, 99));
	box_start(b, &io[1], s, NDM_WRITE, 20, 1, buf);
	box_reload(b, "s", "0 16 linear box:b 8");
	box_wait(&io[0]);
	box_wait(&io[1]);
	assert_int_equal(io[0].bio.error, 0);
	assert_int_equal(io[1].bio.error, -EIO);	/* the device has become smaller */
	assert_int_equal(d->bytes[3 * 512], 3);
	assert_int_equal(e->bytes[11 * 512], 99);
	assert_int_equal(s->nr, 16);
}
BOX_DEFINE(waiting_io_goes_to_the_new_table)

static void requeue_in_a_noflush_suspend(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	struct ndm_store *s = probe_up(b, "0 64 probe box:a 4 1");
	struct verb v = { .b = b, .name = "p", .flags = NDM_SUSPEND_NOFLUSH };
	unsigned char buf[10 * 512];
	struct box_io io;

	d->hold = true;
	box_start(b, &io, s, NDM_WRITE, 0, 10, fill(buf, 10, 40));	/* three pieces */
	ndm_spawn(box_loop(b), "suspend", suspend_task, &v);
	ndm_sleep(box_loop(b), 1000);
	the_probe->endio_requeues = 1;
	box_release(d);
	ndm_sleep(box_loop(b), 1000);
	assert_true(v.done);
	assert_false(io.done);			/* kept for the next table */
	box_log(b);
	box_resume(b, "p");
	box_wait(&io);
	assert_int_equal(io.bio.error, 0);
	log_is(b, "a write 0+4, a write 4+4, a write 8+2");
	the_probe->verdict = NDM_MAP_REQUEUE;	/* nobody suspends: there is no next table */
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), -EIO);
	the_probe->verdict = NDM_MAP_KILL;
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, 1, buf), -EIO);
}
BOX_DEFINE(requeue_in_a_noflush_suspend)

static void a_refused_resume(struct box *b)
{
	struct ndm_str why = { 0 };
	struct ndm_device_info info;
	unsigned char buf[512];
	struct ndm_store *s;

	box_disk(b, "a", 64, 0);
	s = probe_up(b, "0 64 probe box:a 0 1");
	box_suspend(b, "p", 0);
	the_probe->refusals = 1;
	assert_int_equal(ndm_device_resume(device(b, "p"), 0, &why), -ENOSPC);
	assert_non_null(strstr(why.text, "not today"));
	ndm_device_info(device(b, "p"), &info);
	assert_int_equal(info.flags, NDM_DEVICE_LIVE | NDM_DEVICE_SUSPENDED);
	ndm_str_free(&why);
	box_resume(b, "p");
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 5, 1, buf), 0);
	assert_int_equal(buf[0], 5);
}
BOX_DEFINE(a_refused_resume)

static void io_in_tasks(struct box *b)
{
	struct ndm_store *s;
	unsigned char buf[4][512];
	struct box_io io[4];
	uint64_t now;
	unsigned i;

	box_disk(b, "a", 64, 0);
	s = probe_up(b, "0 64 probe box:a 0 1");
	the_probe->verdict = NDM_MAP_WAIT;
	now = ndm_now(box_loop(b));
	for (i = 0; i < 4; i++)
		box_start(b, &io[i], s, NDM_READ, i, 1, buf[i]);
	box_suspend(b, "p", 0);			/* waits for tasks, too */
	for (i = 0; i < 4; i++) {
		assert_true(io[i].done);
		assert_int_equal(buf[i][0], i);
	}
	assert_int_equal(ndm_now(box_loop(b)), now + 1000);	/* side by side */
	box_resume(b, "p");
}
BOX_DEFINE(io_in_tasks)

/* ---- loans and sources ---- */

struct once { struct ndm_source source; unsigned char byte; };

static int once_take(struct ndm_source *source, void *to, size_t bytes)
{
	assert_false(source->taken);
	source->taken = true;
	memset(to, ((struct once *)source)->byte, bytes);
	return 0;
}

struct ask { struct ndm_waitq q; bool done; };

static void ask_heard(struct ndm_bio *bio)
{
	struct ask *a = bio->owner;

	a->done = true;
	ndm_wake_all(&a->q);
}

static int ask(struct ndm_store *s, enum ndm_op op, uint64_t sector, uint64_t nr,
	       struct ndm_loan *loan, struct ndm_source *source)
{
	unsigned char buf[32 * 512];
	struct iovec iov = { buf, sizeof buf };
	struct ask a = { 0 };
	struct ndm_bio bio = { .op = (uint8_t)op, .store = s, .sector = sector, .nr = nr,
			       .loan = loan, .source = source, .done = ask_heard, .owner = &a };

	if (!source)
		bio.data = (struct ndm_data){ &iov, 1, 0 };
	ndm_waitq_init(&a.q, s->loop);
	ndm_submit(&bio);
	while (!a.done)
		ndm_wait(&a.q);
	return bio.error;
}

/* Only those that do not look at data let them pass, and only as a whole. */
static void loans_pass_where_nobody_looks(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	struct ndm_loan loan = { 0 };
	struct once once = { { once_take, false }, 0x77 };
	struct ndm_store *s = box_up(b, "l", "0 32 linear box:a 8\n32 16 striped 2 8 box:a 0 box:a 48");
	struct ndm_store *up, *p;
	struct ndm_device_stats stats;

	assert_int_equal(ask(s, NDM_READ, 0, 8, &loan, NULL), 0);
	log_is(b, "a read 8+8 loan");
	assert_int_equal(ask(s, NDM_READ, 28, 8, &loan, NULL), 0);
	log_is(b, "a read 36+4, a read 0+4");
	assert_int_equal(ask(s, NDM_WRITE, 1, 2, NULL, &once.source), 0);
	log_is(b, "a write 9+2 source");
	assert_int_equal(d->bytes[9 * 512], 0x77);
	once.source.taken = false;
	assert_int_equal(ask(s, NDM_WRITE, 36, 8, NULL, &once.source), -EOPNOTSUPP);
	assert_false(once.source.taken);		/* in two: it comes again with its data */
	log_is(b, "");
	ndm_device_stats(device(b, "l"), &stats);
	assert_int_equal(stats.group[NDM_STAT_WRITE].ios, 1);
	assert_int_equal(stats.group[NDM_STAT_WRITE].errors, 0);

	up = box_up(b, "up", "0 48 linear /dev/mapper/l 0");
	assert_int_equal(ask(up, NDM_READ, 0, 8, &loan, NULL), 0);
	log_is(b, "a read 8+8 loan");
	p = probe_up(b, "0 48 probe /dev/mapper/l 0 1");
	the_probe->verdict = NDM_MAP_REMAPPED;
	assert_int_equal(ask(p, NDM_READ, 0, 8, &loan, NULL), 0);
	log_is(b, "a read 8+8");
	assert_int_equal(ask(p, NDM_WRITE, 0, 8, NULL, &once.source), -EOPNOTSUPP);
	log_is(b, "");
	assert_false(once.source.taken);
	assert_null(loan.at);
}
BOX_DEFINE(loans_pass_where_nobody_looks)

/* ---- towers of devices that only remap ---- */

static uint64_t writes_of(struct box *b, const char *name, uint64_t *errors)
{
	struct ndm_device_stats stats;

	ndm_device_stats(device(b, name), &stats);
	*errors = stats.group[NDM_STAT_WRITE].errors;
	return stats.group[NDM_STAT_WRITE].ios;
}

/* One clone goes through all of them; each counts it, and is not suspended under it. */
static void folded_towers(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	struct ndm_store *top;
	uint64_t errors;
	unsigned char buf[8 * 512];

	box_up(b, "l1", "0 32 linear box:a 8\n32 16 linear box:a 48");
	box_up(b, "l2", "0 40 linear /dev/mapper/l1 4");
	top = box_up(b, "l3", "0 40 linear /dev/mapper/l2 0");
	assert_int_equal(ndm_rw(top, NDM_WRITE, 0, 2, 4, fill(buf, 4, 9)), 0);
	log_is(b, "a write 14+4");
	assert_int_equal(d->bytes[14 * 512], 9);
	assert_int_equal(ndm_rw(top, NDM_WRITE, 0, 26, 4, buf), 0);	/* l1 is in two there */
	log_is(b, "a write 38+2, a write 48+2");
	d->fail_ops = 1u << NDM_WRITE;
	assert_int_equal(ndm_rw(top, NDM_WRITE, 0, 0, 1, buf), -EIO);
	d->fail_ops = 0;
	assert_int_equal(writes_of(b, "l3", &errors), 3);
	assert_int_equal(errors, 1);
	assert_int_equal(writes_of(b, "l2", &errors), 3);
	assert_int_equal(errors, 1);
	assert_int_equal(writes_of(b, "l1", &errors), 3);
	assert_int_equal(errors, 1);
	assert_int_equal(ndm_rw(top, NDM_READ, 0, 39, 2, buf), -EIO);	/* past the end */
	box_log(b);
}
BOX_DEFINE(folded_towers)

static void middle_write(void *arg)
{
	struct ndm_store *top = ((void **)arg)[0];
	bool *done = ((void **)arg)[1];
	unsigned char buf[512] = { 1 };

	assert_int_equal(ndm_rw(top, NDM_WRITE, 0, 0, 1, buf), 0);
	*done = true;
}

/* A device in the middle: its suspension waits for what has passed it, and holds what comes. */
static void suspend_in_the_middle(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 64, 0);
	bool first = false, second = false;
	struct ndm_store *top;
	void *args[2][2];

	box_up(b, "l1", "0 32 linear box:a 8");
	box_up(b, "l2", "0 32 linear /dev/mapper/l1 0");
	top = box_up(b, "l3", "0 32 linear /dev/mapper/l2 0");
	args[0][0] = args[1][0] = top;
	args[0][1] = &first;
	args[1][1] = &second;
	d->hold = true;
	ndm_spawn(box_loop(b), "first", middle_write, args[0]);
	ndm_sleep(box_loop(b), 1000);
	assert_false(first);
	ndm_spawn(box_loop(b), "release", (void (*)(void *))box_release, d);
	box_suspend(b, "l2", 0);
	assert_int_equal(d->bytes[8 * 512], 1);
	log_is(b, "a write 8+1");
	ndm_spawn(box_loop(b), "second", middle_write, args[1]);
	ndm_sleep(box_loop(b), 1000000);
	assert_false(second);
	log_is(b, "");
	box_reload(b, "l2", "0 32 linear box:a 32");
	while (!second)
		ndm_sleep(box_loop(b), 1000);
	log_is(b, "a write 32+1");
}
BOX_DEFINE(suspend_in_the_middle)

/* ---- any alignment ---- */

#define ODD_BYTES (32 * 512)
#define ODD_TASKS 6

struct odd {
	struct box *b;
	struct ndm_opener *opener;
	unsigned char model[ODD_BYTES];
	unsigned running;
};

struct odd_io { struct ndm_io io; struct ndm_waitq q; bool done; struct iovec iov; };

static void odd_open(struct odd *o, const char *name, unsigned mode)
{
	assert_int_equal(ndm_open(device(o->b, name), mode, "odd", &o->opener), 0);
}

static void odd_heard(struct ndm_io *io)
{
	struct odd_io *r = (struct odd_io *)io;

	r->done = true;
	ndm_wake_all(&r->q);
}

static int odd_request(struct odd *o, enum ndm_op op, uint64_t offset, uint64_t bytes, void *buf)
{
	struct odd_io r = { .iov = { buf, bytes } };

	ndm_waitq_init(&r.q, box_loop(o->b));
	r.io = (struct ndm_io){ .op = op, .offset = offset, .bytes = bytes, .done = odd_heard,
				.data = { &r.iov, 1, 0 } };
	ndm_io_submit(o->opener, &r.io);
	while (!r.done)
		ndm_wait(&r.q);
	return r.io.error;
}

/* Each task changes only bytes that are its own modulo ODD_TASKS runs of 37, so the model is exact
 * although all of them read, change and write the same blocks at the same time. */
static void odd_task(void *arg)
{
	struct odd *o = *(struct odd **)arg;
	unsigned me = (unsigned)(uintptr_t)((void **)arg)[1], i;
	uint64_t seed = me + 1;
	unsigned char buf[37];

	for (i = 0; i < 60; i++) {
		uint64_t run, at;
		size_t len;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		run = (seed >> 33) % (ODD_BYTES / 37 / ODD_TASKS) * ODD_TASKS + me;
		len = 1 + (seed >> 45) % 37;
		at = run * 37;
		if (seed >> 60 == 0) {
			memset(o->model + at, 0, len);
			assert_int_equal(odd_request(o, NDM_ZEROES, at, len, NULL), 0);
		} else {
			memset(buf, (int)(seed >> 50), len);
			memset(o->model + at, (int)(seed >> 50), len);
			assert_int_equal(odd_request(o, NDM_WRITE, at, len, buf), 0);
		}
		assert_int_equal(odd_request(o, NDM_READ, at, len, buf), 0);
		assert_memory_equal(buf, o->model + at, len);
		ndm_sleep(box_loop(o->b), seed >> 40 & 255);
	}
	o->running--;
}

static void odd_alignment(struct box *b, unsigned block_bytes)
{
	struct odd *o = calloc(1, sizeof *o);
	void *args[ODD_TASKS][2];
	struct box_disk *d = box_disk(b, "a", 32, 0);
	unsigned i;

	d->limits.logical_block_bytes = block_bytes;
	probe_up(b, "0 32 probe box:a 0 1");
	the_probe->verdict = NDM_MAP_WAIT;	/* slow, so that they overlap */
	o->b = b;
	o->running = ODD_TASKS;
	memcpy(o->model, d->bytes, ODD_BYTES);
	odd_open(o, "p", NDM_OPEN_READ | NDM_OPEN_WRITE);
	for (i = 0; i < ODD_TASKS; i++) {
		args[i][0] = o;
		args[i][1] = (void *)(uintptr_t)i;
		ndm_spawn(box_loop(b), "odd", odd_task, args[i]);
	}
	while (o->running)
		ndm_sleep(box_loop(b), 100000);
	assert_memory_equal(o->model, d->bytes, ODD_BYTES);
	ndm_close(o->opener);
	free(o);
}

static void odd_alignment_512(struct box *b) { odd_alignment(b, 512); }
static void odd_alignment_4096(struct box *b) { odd_alignment(b, 4096); }
BOX_DEFINE(odd_alignment_512)
BOX_DEFINE(odd_alignment_4096)

static void odd_requests_in_detail(struct box *b)
{
	struct odd *o = calloc(1, sizeof *o);
	unsigned char buf[3 * 4096];

	box_disk(b, "a", 32, 0)->limits.logical_block_bytes = 1024;
	box_up(b, "s", "0 32 linear box:a 0");
	o->b = b;
	odd_open(o, "s", NDM_OPEN_READ | NDM_OPEN_WRITE);
	assert_int_equal(odd_request(o, NDM_READ, 100, 1000, buf), 0);
	log_is(b, "a read 0+4");
	assert_int_equal(odd_request(o, NDM_WRITE, 1000, 24, buf), 0);
	log_is(b, "a read 0+2, a write 0+2");		/* to the end of a block */
	assert_int_equal(odd_request(o, NDM_WRITE, 1024, 100, buf), 0);
	log_is(b, "a read 2+2, a write 2+2");		/* from its beginning */
	assert_int_equal(odd_request(o, NDM_WRITE, 1000, 2100, buf), 0);
	log_is(b, "a read 0+2, a read 6+2, a write 0+8");
	assert_int_equal(odd_request(o, NDM_DISCARD, 1, 3000, NULL), 0);
	log_is(b, "a discard 2+2");			/* only whole blocks */
	assert_int_equal(odd_request(o, NDM_DISCARD, 1, 1000, NULL), 0);
	log_is(b, "");
	assert_int_equal(odd_request(o, NDM_ZEROES, 1000, 2100, NULL), 0);
	log_is(b, "a read 0+2, a write 0+2, a zeroes 2+4, a read 6+2, a write 6+2");
	assert_int_equal(odd_request(o, NDM_READ, 16384, 1, buf), -EINVAL);
	assert_int_equal(odd_request(o, NDM_WRITE, 16383, 2, buf), -ENOSPC);
	assert_int_equal(odd_request(o, NDM_READ, 16383, 1, buf), 0);
	assert_int_equal(odd_request(o, NDM_READ, 16384, 0, buf), 0);	/* nothing, at the end */
	ndm_close(o->opener);
	odd_open(o, "s", NDM_OPEN_READ);
	assert_int_equal(odd_request(o, NDM_WRITE, 0, 512, buf), -EPERM);
	ndm_close(o->opener);
	free(o);
}
BOX_DEFINE(odd_requests_in_detail)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(split_at_edges),
		BOX_TEST(split_at_max_io),
		BOX_TEST(errors_of_pieces),
		BOX_TEST(bounds),
		BOX_TEST(high_towers),
		BOX_TEST(flush_goes_to_each_once),
		BOX_TEST(flush_copies),
		BOX_TEST(preflush_comes_first),
		BOX_TEST(fua_where_nobody_knows_it),
		BOX_TEST(zeroes_become_writes),
		BOX_TEST(discards_need_everybody),
		BOX_TEST(limits_are_stacked),
		BOX_TEST(limits_are_looked_at_again),
		BOX_TEST(suspend_waits_for_what_is_under_way),
		BOX_TEST(waiting_io_goes_to_the_new_table),
		BOX_TEST(requeue_in_a_noflush_suspend),
		BOX_TEST(a_refused_resume),
		BOX_TEST(io_in_tasks),
		BOX_TEST(loans_pass_where_nobody_looks),
		BOX_TEST(folded_towers),
		BOX_TEST(suspend_in_the_middle),
		BOX_TEST(odd_alignment_512),
		BOX_TEST(odd_alignment_4096),
		BOX_TEST(odd_requests_in_detail),
	};

	return cmocka_run_group_tests_name("core: devices", tests, NULL, NULL);
}
