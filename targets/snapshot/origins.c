/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origins.c - the snapshots of one origin, by the identity of the device.
 *
 * A snapshot counts from its resume on.  Whoever is about to overwrite a part of the origin
 * asks first (origin_ready), and where a snapshot lacks a chunk, has it copied out and asks
 * again: between the last answer and the write nothing may wait.
 */
#include "snapshot.h"

struct origin {
	void **slot;
	unsigned refs;
	struct snap *snaps;			/* largest chunks first */
};

struct origin *origin_get(struct ndm_loop *loop, const struct ndm_dev *dev)
{
	void **slot = ndm_slot(loop, "snapshot-origin", dev->store->identity);
	struct origin *o;

	if (!slot)
		return NULL;
	o = *slot;
	if (!o) {
		o = ndm_zalloc(sizeof *o);
		if (!o)
			return NULL;
		o->slot = slot;
		*slot = o;
	}
	o->refs++;
	return o;
}

void origin_put(struct origin *o)
{
	if (!o || --o->refs)
		return;
	*o->slot = NULL;
	ndm_free(o);
}

int origin_add(struct origin *o, struct snap *s)
{
	struct snap **p = &o->snaps;

	while (*p && (*p)->store.chunk_sectors > s->store.chunk_sectors)
		p = &(*p)->next;
	s->next = *p;
	*p = s;
	return 0;
}

void origin_remove(struct origin *o, struct snap *s)
{
	struct snap **p;

	for (p = &o->snaps; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			return;
		}
}

struct snap *origin_snaps(struct origin *o)
{
	return o->snaps;
}

struct snap *origin_merging(struct origin *o)
{
	struct snap *s;

	for (s = o->snaps; s; s = s->next)
		if (s->is_merge)
			return s;
	return NULL;
}

struct snap *origin_pair(struct origin *o, const struct snap *me, unsigned *n)
{
	struct snap *s, *found = NULL;

	*n = 0;
	for (s = o->snaps; s; s = s->next)
		if (s != me && s->cow->store->identity[0] == me->cow->store->identity[0] &&
		    s->cow->store->identity[1] == me->cow->store->identity[1]) {
			found = s;
			++*n;
		}
	return found;
}

/* ---- writing to the origin ---- */

static bool lacks(const struct snap *s, uint64_t chunk)
{
	const struct pending *p;

	for (p = s->pending; p; p = p->next)
		if (p->old_chunk == chunk)
			return true;
	return !exceptions_find(&s->exceptions, chunk);
}

/* the first chunk of the range that s lacks; false: none */
static bool first_lacking(const struct snap *s, const struct snap *except, uint64_t sector,
			  uint64_t nr, uint64_t *chunk)
{
	uint64_t end = sector + nr;

	if (s == except || !s->active || !s->valid || s->is_merge)
		return false;
	if (end > s->ti->nr)			/* behind its end nothing is kept */
		end = s->ti->nr;
	if (sector >= end)
		return false;
	for (*chunk = snap_chunk(s, sector); *chunk <= snap_chunk(s, end - 1); ++*chunk)
		if (lacks(s, *chunk))
			return true;
	return false;
}

bool origin_ready(struct origin *o, uint64_t sector, uint64_t nr, const struct snap *except)
{
	struct snap *s;
	uint64_t chunk;

	for (s = o->snaps; s; s = s->next)
		if (first_lacking(s, except, sector, nr, &chunk))
			return false;
	return true;
}

void origin_copy_out(struct origin *o, uint64_t sector, uint64_t nr, const struct snap *except)
{
	struct snap *s;
	uint64_t chunk;

	for (s = o->snaps; s;) {
		if (!first_lacking(s, except, sector, nr, &chunk)) {
			s = s->next;
			continue;
		}
		s->users++;
		snap_ensure_for_origin(s, chunk);	/* else it has become invalid: the write goes on */
		if (--s->users == 0)
			ndm_wake_all(&s->unused);
		s = o->snaps;			/* the list may have changed: look again */
	}
}
