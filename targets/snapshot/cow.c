/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cow.c - making an exception, top to bottom: allocate, copy, commit, wait for readers.
 *
 * New chunks are allocated in order of arrival and committed in that order, however long each
 * copy takes.  Whoever needs a chunk that is being made waits for it (struct pending).
 *
 * Crash states: before the commit the copy is garbage in a free chunk; after it the exception
 * counts.  The write that caused it is sent only then.
 */
#include "snapshot.h"

uint64_t snap_chunk(const struct snap *s, uint64_t sector)
{
	return sector / s->store.chunk_sectors;
}

enum ndm_map snap_remap(struct snap *s, const struct exception *e, struct ndm_bio *bio)
{
	unsigned chunk = s->store.chunk_sectors;

	return ndm_remap(bio, s->cow, e->new_chunk * chunk +
			 (ndm_offset(s->ti, bio->sector) & (chunk - 1)));
}

/* ---- who uses a chunk where it was ---- */

void snap_track(struct snap *s, struct ndm_bio *bio, uint64_t chunk)
{
	struct tracked *t = ndm_per_bio(bio);

	t->chunk = chunk;
	t->on = true;
	t->prev = NULL;
	t->next = s->tracked;
	if (s->tracked)
		s->tracked->prev = t;
	s->tracked = t;
}

void snap_untrack(struct snap *s, struct ndm_bio *bio)
{
	struct tracked *t = ndm_per_bio(bio);

	if (!t->on)
		return;
	t->on = false;
	if (t->prev)
		t->prev->next = t->next;
	else
		s->tracked = t->next;
	if (t->next)
		t->next->prev = t->prev;
	if (s->drained.head)
		ndm_wake_all(&s->drained);
}

static bool chunk_tracked(const struct snap *s, uint64_t chunk)
{
	const struct tracked *t;

	for (t = s->tracked; t; t = t->next)
		if (t->chunk == chunk)
			return true;
	return false;
}

void snap_wait_untracked(struct snap *s, uint64_t chunk)
{
	while (chunk_tracked(s, chunk))
		ndm_wait(&s->drained);
}

/* ---- the end of a snapshot ---- */

void snap_invalidate(struct snap *s, const char *why)
{
	if (!s->valid)
		return;
	ndm_warn(s->ti, "Invalidating snapshot: %s", why);
	s->valid = false;
	ndm_event(s->ti);
	store_invalidate(&s->store);		/* nothing more can be done where that fails */
}

/* ---- pending exceptions ---- */

static struct pending *pending_find(struct snap *s, uint64_t chunk)
{
	struct pending *p;

	for (p = s->pending; p; p = p->next)
		if (p->old_chunk == chunk)
			return p;
	return NULL;
}

static void pending_add(struct snap *s, struct pending *p, uint64_t chunk)
{
	p->old_chunk = chunk;
	ndm_waitq_init(&p->done, s->ti->loop);
	p->next = s->pending;
	s->pending = p;
}

static void pending_remove(struct snap *s, struct pending *me)
{
	struct pending **p = &s->pending;

	while (*p != me)
		p = &(*p)->next;
	*p = me->next;
	ndm_wake_all(&me->done);
}

/* ---- the copy ---- */

static int chunk_fill(struct snap *s, uint64_t chunk, uint64_t new_chunk,
		      const struct ndm_bio *data)
{
	uint64_t from = chunk * s->store.chunk_sectors, to = new_chunk * s->store.chunk_sectors;
	uint64_t nr = s->store.chunk_sectors, end = s->origin_dev->store->nr;

	if (data)				/* all of it is new: nothing to copy */
		return ndm_rw_data(s->cow->store, NDM_WRITE, data->flags, to, nr, &data->data);
	if (from >= end)
		return 0;
	if (nr > end - from)			/* the rest of the chunk does not exist */
		nr = end - from;
	return ndm_copy(s->origin_dev->store, from, s->cow->store, to, nr);
}

static void wait_turn(struct snap *s, uint64_t ticket)
{
	while (s->committed != ticket)
		ndm_wait(&s->turn);
}

static int exception_make(struct snap *s, uint64_t chunk, uint64_t new_chunk, uint64_t ticket,
			  const struct ndm_bio *data)
{
	int err = chunk_fill(s, chunk, new_chunk, data), committed;

	wait_turn(s, ticket);
	/* the next one's turn: it comes behind us, for it runs only once we wait */
	s->committed++;
	ndm_wake_all(&s->turn);
	committed = store_commit(&s->store, chunk, new_chunk, !err && s->valid);
	if (err || committed) {
		snap_invalidate(s, err ? "Error reading/writing." : "Unable to commit exception.");
		return -EIO;
	}
	if (!s->valid)
		return -EIO;
	if (exceptions_add(s->ti->loop, &s->exceptions, chunk, new_chunk)) {
		snap_invalidate(s, "Unable to allocate exception.");
		return -EIO;
	}
	return 0;
}

static int no_room(struct snap *s, bool own_write)
{
	if (own_write && s->store.overflow) {
		s->overflowed = true;		/* the user was told to watch for it */
		ndm_warn(s->ti, "Snapshot overflowed: Unable to allocate exception.");
	} else {
		snap_invalidate(s, "Unable to allocate exception.");
	}
	return -EIO;
}

static int snap_make(struct snap *s, uint64_t chunk, const struct ndm_bio *data, bool own_write)
{
	struct pending p;
	uint64_t new_chunk, ticket;
	int err;

	if (store_allocate(&s->store, &new_chunk))
		return no_room(s, own_write);
	ticket = s->allocated++;
	pending_add(s, &p, chunk);
	err = exception_make(s, chunk, new_chunk, ticket, data);
	/* readers that found the chunk in the origin are still on their way */
	snap_wait_untracked(s, chunk);
	pending_remove(s, &p);
	return err;
}

static int ensure(struct snap *s, uint64_t chunk, const struct ndm_bio *data, bool own_write)
{
	struct pending *p;
	bool mine = false;
	int err;

	for (;;) {
		if (!s->valid || (own_write && s->overflowed))
			return -EIO;
		p = pending_find(s, chunk);
		if (!p && exceptions_find(&s->exceptions, chunk))
			return mine || !data ? 0 : 1;
		if (!p) {
			mine = true;
			err = snap_make(s, chunk, data, own_write);
			if (err)
				return err;
			continue;
		}
		ndm_wait(&p->done);
	}
}

int snap_ensure(struct snap *s, uint64_t chunk, const struct ndm_bio *data)
{
	return ensure(s, chunk, data, true);
}

int snap_ensure_for_origin(struct snap *s, uint64_t chunk)
{
	return ensure(s, chunk, NULL, false);
}
