/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - a snapshot's table of exceptions on its way to another process.
 *
 * A persistent store is read from the disk again.  A transient one (N) has its exceptions in memory
 * alone: all of them go along, runs of neighbours in one line.
 */
#include "lib/kit/memo.h"
#include "targets/snapshot/snapshot.h"

struct run { uint64_t old_chunk, new_chunk, n; };

static void run_print(const struct run *r, struct ndm_str *out)
{
	if (r->n)
		ndm_printf(out, "chunks %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", r->old_chunk,
			   r->new_chunk, r->n);
}

static void exceptions_print(const struct exceptions *e, struct ndm_str *out)
{
	const struct exception *x;
	struct run r = { 0 };
	size_t i;

	for (i = 0; i < e->nbuckets; i++)
		for (x = e->buckets[i]; x; x = x->next) {
			if (r.n && x->old_chunk == r.old_chunk + r.n &&
			    x->new_chunk == r.new_chunk + r.n) {
				r.n++;
				continue;
			}
			run_print(&r, out);
			r = (struct run){ x->old_chunk, x->new_chunk, 1 };
		}
	run_print(&r, out);
}

int snap_recall(struct ndm_target *ti, struct ndm_str *out)
{
	const struct snap *s = ti->private_data;

	ndm_printf(out, "state %d %d %d\n", s->valid, s->overflowed, s->merge_failed);
	if (s->store.type != 'N' || !s->valid)
		return 0;
	ndm_printf(out, "next %" PRIu64 "\n", s->store.next_free);
	exceptions_print(&s->exceptions, out);
	return 0;
}

static int chunks_take(struct snap *s, const struct memo_line *l)
{
	uint64_t i, room;
	int err = 0;

	if (!s->store.chunk_sectors)
		return -EBADMSG;
	room = s->cow->store->nr / s->store.chunk_sectors;
	if (l->number[2] > room || l->number[1] > room - l->number[2])
		return -EBADMSG;
	for (i = 0; i < l->number[2] && !err; i++)
		err = exceptions_add(s->ti->loop, &s->exceptions, l->number[0] + i, l->number[1] + i);
	return err;
}

int snap_remember(struct ndm_target *ti, const char *text, size_t bytes)
{
	struct snap *s = ti->private_data;
	struct memo memo = { text, text + bytes };
	struct memo_line l;
	int err;

	while ((err = memo_next(&memo, &l)) > 0) {
		if (memo_is(&l, "state", 3)) {
			s->valid &= l.number[0] != 0;
			s->overflowed |= l.number[1] != 0;
			s->merge_failed |= l.number[2] != 0;
		} else if (memo_is(&l, "next", 1) && s->store.type == 'N') {
			s->store.next_free = l.number[0];
		} else if (memo_is(&l, "chunks", 3) && s->store.type == 'N') {
			err = chunks_take(s, &l);
			if (err)
				return err;
		} else {
			return -EBADMSG;
		}
	}
	return err;
}
