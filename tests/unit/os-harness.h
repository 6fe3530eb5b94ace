/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os-harness.h - a real world with one loop for the tests of lib/os, and a workout that any
 * store must pass: eight tasks, each with a lane of its own, against a model in memory.
 */
#ifndef OS_HARNESS_H
#define OS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/core.h"
#include "lib/os/os.h"

struct rig {
	struct ndm_world *world;
	struct ndm_loop *loop;
};

static inline void rig_log(void *arg, enum ndm_level level, const char *line)
{
	(void)arg;
	if (level <= NDM_LOG_WARNING)
		print_message("log: %s\n", line);
}

static inline int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	rig->world = ndm_world_os();
	rig->world->log.fn = rig_log;
	rig->loop = ndm_loop_new(rig->world);
	*state = rig;
	return !rig->loop;
}

static inline int rig_teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->loop->tasks)			/* a check failed in a task: let it be heard */
		return 0;
	ndm_loop_free(rig->loop);
	ndm_world_os_free(rig->world);
	free(rig);
	return 0;
}

/* ---- a function of the test as a task, to its end ---- */

struct rig_task {
	void (*fn)(struct rig *, void *);
	struct rig *rig;
	void *arg;
	bool done;
};

static inline void rig_task_entry(void *arg)
{
	struct rig_task *t = arg;

	t->fn(t->rig, t->arg);
	t->done = true;
}

static inline void run(struct rig *rig, void (*fn)(struct rig *, void *), void *arg)
{
	struct rig_task t = { .fn = fn, .rig = rig, .arg = arg };

	ndm_spawn(rig->loop, "test", rig_task_entry, &t);
	while (!t.done)
		ndm_loop_wait(rig->loop, UINT64_MAX);
}

/* ---- in a task: open or die ---- */

static inline struct ndm_store *open_store(struct rig *rig, const char *spec, unsigned mode)
{
	struct ndm_str why = { 0 };
	struct ndm_store *s = NULL;
	int err = store_open(rig->loop, spec, mode, &s, &why);

	if (err)
		print_message("%s: %s: %s\n", spec, strerror(-err), why.len ? why.text : "");
	ndm_str_free(&why);
	assert_int_equal(err, 0);
	return s;
}

/* the error with which a store refuses to open; its reason goes to `said` */
static inline int open_error(struct rig *rig, const char *spec, unsigned mode, char *said,
			     size_t len)
{
	const struct ndm_store_ops *const *ops;
	struct ndm_str why = { 0 };
	struct ndm_store *s = NULL;
	size_t scheme = strcspn(spec, ":");
	int err;

	for (ops = rig->world->stores; ops[1]; ops++)
		if (!strncmp((*ops)->scheme, spec, strlen((*ops)->scheme)))
			break;
	if (spec[scheme] != ':')
		ops = rig->world->stores;	/* file */
	err = (*ops)->open(rig->loop, spec, mode, &s, &why);
	snprintf(said, len, "%s", why.len ? why.text : "");
	ndm_str_free(&why);
	if (!err)
		(*ops)->close(s);
	return err;
}

/* ---- extents as text: "0+128 hole|zero, 128+8 data" in sectors ---- */

struct extents_wait { struct ndm_waitq q; bool done; };

static inline void extents_end(struct ndm_bio *bio)
{
	struct extents_wait *w = bio->owner;

	w->done = true;
	ndm_wake_all(&w->q);
}

static inline int extents_text(struct ndm_store *s, uint64_t sector, uint64_t nr, char *text,
			       size_t len)
{
	struct ndm_extents found = { 0 };
	struct extents_wait w = { 0 };
	struct ndm_bio bio = {
		.op = NDM_EXTENTS, .store = s, .sector = sector, .nr = nr, .origin = sector,
		.extents = &found, .done = extents_end, .owner = &w,
	};
	size_t at = 0;
	unsigned i;

	ndm_waitq_init(&w.q, s->loop);
	ndm_submit(&bio);
	while (!w.done)
		ndm_wait(&w.q);
	ndm_extents_finish(&found, sector);
	text[0] = '\0';
	for (i = 0; i < found.n; i++)
		at += (size_t)snprintf(text + at, len - at, "%s%llu+%llu %s", i ? ", " : "",
				       (unsigned long long)found.list[i].sector,
				       (unsigned long long)found.list[i].nr,
				       found.list[i].type == 0 ? "data"
				       : found.list[i].type == 3 ? "hole|zero"
				       : found.list[i].type == 1 ? "hole" : "zero");
	ndm_extents_free(&found);
	return bio.error;
}

/* ---- the workout ---- */

#define LANES 8

struct workout {
	struct ndm_store *s;
	unsigned char *model;			/* of the whole store */
	uint64_t lane_blocks;
	unsigned steps, left;
	size_t odd;				/* buffers start this many bytes off a page */
	struct ndm_waitq q;
	struct lane { struct workout *w; unsigned n; uint64_t dice; } lane[LANES];
};

static inline uint64_t lane_dice(struct lane *l)
{
	l->dice = l->dice * 6364136223846793005u + 1442695040888963407u;
	return l->dice >> 33;
}

/* up to three pieces of odd lengths, so that no store can count on one flat buffer */
static inline struct ndm_data lane_window(struct lane *l, unsigned char *buf, size_t bytes,
					  struct iovec iov[3])
{
	size_t a = lane_dice(l) % (bytes + 1), b = a + lane_dice(l) % (bytes - a + 1);

	if (lane_dice(l) % 2) {
		iov[0] = (struct iovec){ buf, bytes };
		return (struct ndm_data){ .iov = iov, .iovcnt = 1 };
	}
	iov[0] = (struct iovec){ buf, a };
	iov[1] = (struct iovec){ buf + a, b - a };
	iov[2] = (struct iovec){ buf + b, bytes - b };
	return (struct ndm_data){ .iov = iov, .iovcnt = 3 };
}

static inline void lane_step(struct lane *l, unsigned char *buf)
{
	struct workout *w = l->w;
	uint32_t per_block = w->s->limits.logical_block_bytes / NDM_SECTOR_BYTES;
	uint64_t max = w->lane_blocks < 64 ? w->lane_blocks : 64;
	uint64_t nr = 1 + lane_dice(l) % max;
	uint64_t block = l->n * w->lane_blocks + lane_dice(l) % (w->lane_blocks - nr + 1);
	uint64_t sector = block * per_block;
	size_t bytes = nr * per_block * NDM_SECTOR_BYTES, i;
	unsigned char *model = w->model + sector * NDM_SECTOR_BYTES;
	unsigned flags = lane_dice(l) % 4 == 0 && w->s->limits.fua ? NDM_FUA : 0;
	struct iovec iov[3];
	struct ndm_data data = lane_window(l, buf, bytes, iov);
	int err = 0;

	nr *= per_block;
	switch (lane_dice(l) % 8) {
	case 0: case 1: case 2:
		for (i = 0; i < bytes; i++)
			buf[i] = (unsigned char)(lane_dice(l) >> 3);
		memcpy(model, buf, bytes);
		err = ndm_rw_data(w->s, NDM_WRITE, flags, sector, nr, &data);
		break;
	case 3:
		if (!w->s->limits.max_zeroes_sectors)
			break;
		memset(model, 0, bytes);
		flags |= lane_dice(l) % 2 ? NDM_NOUNMAP : 0;
		err = ndm_rw_data(w->s, NDM_ZEROES, flags, sector, nr, NULL);
		break;
	case 4:
		if (!w->s->limits.max_discard_sectors)
			break;
		err = ndm_rw_data(w->s, NDM_DISCARD, flags, sector, nr, NULL);
		if (!err)			/* whatever it reads as now */
			err = ndm_rw(w->s, NDM_READ, 0, sector, nr, model);
		break;
	case 5:
		if (lane_dice(l) % 4 == 0)
			err = ndm_flush(w->s);
		break;
	default:
		memset(buf, 0xee, bytes);
		err = ndm_rw_data(w->s, NDM_READ, 0, sector, nr, &data);
		if (!err)
			assert_memory_equal(buf, model, bytes);
	}
	assert_int_equal(err, 0);
}

static inline void lane_run(void *arg)
{
	struct lane *l = arg;
	struct workout *w = l->w;
	size_t bytes = (size_t)64 * w->s->limits.logical_block_bytes + 4096;
	unsigned char *buf = NULL;
	unsigned i;

	assert_int_equal(posix_memalign((void **)&buf, 4096, bytes), 0);
	for (i = 0; i < w->steps; i++)
		lane_step(l, buf + w->odd);
	free(buf);
	w->left--;
	ndm_wake_all(&w->q);
}

/* In a task. */
static inline void workout(struct ndm_store *s, unsigned steps, size_t odd)
{
	struct workout *w = calloc(1, sizeof *w);
	size_t bytes = s->nr * NDM_SECTOR_BYTES;
	unsigned char *all = malloc(bytes);
	unsigned i;
	uint64_t at, nr;

	w->s = s;
	w->steps = steps;
	w->odd = odd;
	w->left = LANES;
	w->model = calloc(1, bytes);
	w->lane_blocks = bytes / s->limits.logical_block_bytes / LANES;
	ndm_waitq_init(&w->q, s->loop);
	assert_int_equal(ndm_rw(s, NDM_READ, 0, 0, s->nr, w->model), 0);
	for (i = 0; i < LANES; i++) {
		w->lane[i] = (struct lane){ .w = w, .n = i, .dice = 1000 + i };
		ndm_spawn(s->loop, "lane", lane_run, &w->lane[i]);
	}
	while (w->left)
		ndm_wait(&w->q);
	assert_int_equal(ndm_flush(s), 0);
	for (at = 0; at < s->nr; at += nr) {	/* in one go and piece by piece: both alike */
		nr = s->nr - at < 2048 ? s->nr - at : 2048;
		assert_int_equal(ndm_rw(s, NDM_READ, 0, at, nr, all + at * NDM_SECTOR_BYTES), 0);
	}
	assert_memory_equal(all, w->model, bytes);
	free(all);
	free(w->model);
	free(w);
}

#endif
