/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * box.h - the smallest world in which targets live: one loop, a clock that jumps to the next
 * deadline when nothing else is left to do, and disks of memory that write down each request.
 *
 * A test is a function that runs in a task of that loop.  Disks are `box:NAME` in tables.
 */
#ifndef NDM_TESTS_BOX_H
#define NDM_TESTS_BOX_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ndm.h>

struct box;

struct box_disk {
	char name[16];
	uint64_t nr;
	unsigned char *bytes;
	struct ndm_limits limits;		/* may be changed before a table opens it */
	unsigned fail_ops;			/* 1 << enum ndm_op: these fail with `error` */
	int error;
	bool hold;				/* requests wait for box_release() */
	struct ndm_bio *held, **held_tail;
};

/* Runs a test in a fresh box, and sees that nothing is left behind. */
void box_run(void (*test)(struct box *));

struct ndm_loop *box_loop(struct box *);
struct ndm_context *box_context(struct box *);

/* Sector s of a fresh disk is filled with the byte `first` + s. */
struct box_disk *box_disk(struct box *, const char *name, uint64_t nr, unsigned char first);
void box_release(struct box_disk *);		/* what is held, in order of arrival */
/* What the disks were asked since the last look, "a read 0+8, b flush"; valid until the next. */
const char *box_log(struct box *);

/* Makes device `name` and loads, resumes and opens it. */
struct ndm_store *box_up(struct box *, const char *name, const char *table);
/* From now on tables are loaded read-only. */
void box_read_only(struct box *);
/* The table must be refused; returns the errno (positive), *why is its sentence. */
int box_refused(struct box *, const char *table, const char **why);
void box_reload(struct box *, const char *name, const char *table);
void box_suspend(struct box *, const char *name, unsigned flags);
void box_resume(struct box *, const char *name);

/* First line of the device's table or status, without "start len type "; until the next call. */
const char *box_table(struct box *, const char *name);
const char *box_status(struct box *, const char *name);
/* What the message answered, or the errno as "EINVAL: sentence"; until the next call. */
const char *box_message(struct box *, const char *name, const char *text);
uint32_t box_event_nr(struct box *, const char *name);

/* A request that goes on while the test does something else. */
struct box_io {
	struct ndm_bio bio;
	struct iovec iov;
	struct ndm_extents extents;
	bool done;
	uint64_t done_ns;
	struct box *box;
};
void box_start(struct box *, struct box_io *, struct ndm_store *, enum ndm_op, uint64_t sector,
	       uint64_t nr, void *buf);
void box_wait(struct box_io *);

/* Block status of a range as text: "8:data 16:hole", lengths in sectors. */
const char *box_extents(struct box *, struct ndm_store *, uint64_t sector, uint64_t nr);

#define BOX_TEST(fn) { #fn, fn##_in_box, NULL, NULL, NULL }
#define BOX_DEFINE(fn) \
	static void fn##_in_box(void **state) { (void)state; box_run(fn); }

#endif
