/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd-extents.c - block status of an image: what librbd names as data is data, the rest is a
 * hole that reads as zeroes.
 *
 * The only question is rbd_diff_iterate2(), which blocks, for as long as the OSDs are away.  So
 * it gets a thread of its own (a worker would be missed by others), one at a time.
 *
 * With the feature fast-diff the object map answers, for whole objects and at once.  Without it
 * each object is asked, so that a question is answered for a few objects only; whoever asked
 * goes on from there.  librbd before 17 mislays the answer when the question does not begin with
 * an object (tracker.ceph.com/issues/53784), so that every question does, and it is not asked at
 * all for clones and striped images, where that does not help: they are data from end to end.
 */
#include <signal.h>
#include <stdlib.h>

#include "rbd.h"

#define OBJECTS_FAST 65536u			/* 256 GiB of objects of the usual 4 MiB */
#define OBJECTS_SLOW 64u

/* ---- on the thread ---- */

static int diff_found(uint64_t offset, size_t bytes, int exists, void *arg)
{
	struct rbd_req *r = arg;
	struct rbd_extent *more;
	size_t cap = r->found_cap ? r->found_cap * 2 : 64;

	if (!exists)
		return 0;
	if (r->nfound == r->found_cap) {
		more = realloc(r->found, cap * sizeof *more);
		if (!more)
			return -ENOMEM;
		r->found = more;
		r->found_cap = cap;
	}
	r->found[r->nfound++] = (struct rbd_extent){ offset, bytes };
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	uint64_t x = ((const struct rbd_extent *)a)->offset;
	uint64_t y = ((const struct rbd_extent *)b)->offset;

	return x < y ? -1 : x > y;
}

static int diff_ask(struct rbd_req *r)
{
	struct rbd_store *st = r->store;
	uint64_t flags, skip = r->offset % st->object_bytes, most;
	bool fast = st->features & RBD_FAST_DIFF && !st->api->rbd_get_flags(st->image, &flags) &&
		    !(flags & RBD_FAST_DIFF_INVALID);

	most = st->object_bytes * (fast ? OBJECTS_FAST : OBJECTS_SLOW) - skip;
	if (r->bytes > most)
		r->bytes = most;
	return st->api->rbd_diff_iterate2(st->image, NULL, r->offset - skip, r->bytes + skip, 1,
					  fast, diff_found, r);
}

static void diff_arrived(struct ndm_msg *msg);

static void *diff_run(void *arg)
{
	struct rbd_req *r = arg;
	struct rbd_store *st = r->store;

	r->result = diff_ask(r);
	if (r->nfound)
		qsort(r->found, r->nfound, sizeof *r->found, by_offset);
	r->msg.fn = diff_arrived;
	ndm_loop_post(st->base.loop, &r->msg);
	return NULL;
}

/* ---- on the loop ---- */

static void diff_begin(struct rbd_req *r)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);			/* signals are for the host's threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&r->store->thread, NULL, diff_run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	r->store->threaded = !err;
	if (!err)
		return;
	r->result = -err;
	r->msg.fn = diff_arrived;
	ndm_loop_post(r->store->base.loop, &r->msg);
}

/* A sector that holds some data is data; what failed to be asked may hold some. */
static void extents_tell(struct rbd_req *r)
{
	struct ndm_bio *bio = r->bio;
	uint64_t at = bio->sector, end = bio->sector + r->bytes / NDM_SECTOR_BYTES, from, to;
	size_t i;

	if (r->result < 0) {
		ndm_extent_add(bio, at, end - at, 0);
		return;
	}
	for (i = 0; i < r->nfound && at < end; i++) {
		from = r->found[i].offset / NDM_SECTOR_BYTES;
		to = (r->found[i].offset + r->found[i].bytes + NDM_SECTOR_BYTES - 1) /
		     NDM_SECTOR_BYTES;
		from = from < at ? at : from > end ? end : from;
		to = to > end ? end : to;
		if (from > at)
			ndm_extent_add(bio, at, from - at, NDM_EXTENT_HOLE | NDM_EXTENT_ZERO);
		if (to > from)
			ndm_extent_add(bio, from, to - from, 0);
		at = to > from ? to : from;
	}
	if (at < end)
		ndm_extent_add(bio, at, end - at, NDM_EXTENT_HOLE | NDM_EXTENT_ZERO);
}

static void diff_arrived(struct ndm_msg *msg)
{
	struct rbd_req *r = ndm_container_of(msg, struct rbd_req, msg);
	struct rbd_store *st = r->store;

	if (st->threaded)
		pthread_join(st->thread, NULL);
	st->extents = r->next;
	if (st->extents)
		diff_begin(st->extents);
	extents_tell(r);
	rbd_req_finish(r, 0);
}

void rbd_extents_start(struct rbd_req *r)
{
	struct rbd_store *st = r->store;

	r->next = NULL;
	if (st->extents)
		st->extents_last->next = r;
	else
		st->extents = r;
	st->extents_last = r;
	if (st->extents == r)
		diff_begin(r);
}
