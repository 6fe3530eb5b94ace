/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flush.c - FLUSH, to every path that has something to flush.
 *
 * The kernel sends one flush down one path, since SCSI paths lead to one device with one cache.
 * Paths over a network lead to servers, and each may have a cache of its own; so a flush also
 * goes to each other valid path that took a write since its last one.  It ends well when all
 * of them have: then everything that was acknowledged before it is durable, whatever the
 * servers share.
 *
 * When one of them fails on the way its path fails, and the flush begins anew with those that
 * are left.
 *
 * What a path took that has failed meanwhile: of a server that can be lost we have a copy, and
 * it has been written again before any flush is sent (resend.c).  Else the flush is tried down
 * the failed path, too, where that can be done; when it cannot, the paths lead to one thing,
 * as the kernel assumes, and a flush down one covers what went down another.
 */
#include <errno.h>

#include "targets/multipath/multipath.h"

struct flush_leg {
	struct flush *flush;
	struct mpath_path *path;
	uint64_t writes;			/* of the path, when this was sent */
	bool needed;				/* the path is not one that has failed before */
	int error;
};

struct flush {
	struct mpath *m;
	struct ndm_bio *bio;
	uint64_t covers;			/* of the unflushed log */
	unsigned pending, n;
	struct flush_leg leg[];
};

static void flush_ended(struct flush *f)
{
	struct mpath *m = f->m;
	struct ndm_bio *bio = f->bio;
	int passed = 0;
	bool again = false;
	unsigned i;

	for (i = 0; i < f->n; i++) {
		struct flush_leg *leg = &f->leg[i];

		if (!leg->error) {
			mpath_path_flushed(leg->path, leg->writes);
		} else if (!leg->needed) {
			continue;
		} else if (mpath_error_passes(leg->error)) {
			passed = leg->error;
		} else {
			mpath_fail(m, leg->path, leg->error, NULL);
			again = true;
		}
	}
	if (m->unflushed && !passed && !again)
		unflushed_drop(m->unflushed, f->covers);
	ndm_free(f);
	if (passed || !again) {
		ndm_end(bio, passed);
		return;
	}
	mpath_park(m, bio);
	mpath_kick(m);
}

static void leg_ended(struct ndm_bio *b)
{
	struct flush_leg *leg = b->owner;
	struct flush *f = leg->flush;

	leg->error = b->error;
	mpath_path_answered(leg->path, leg->error, 0);
	ndm_bio_put(f->m->ti->loop, b);
	if (--f->pending == 0)
		flush_ended(f);
}

static void leg_send(struct flush *f, struct mpath_path *p)
{
	struct flush_leg *leg = &f->leg[f->n++];
	struct ndm_bio *b = ndm_bio_get(f->m->ti->loop);

	*leg = (struct flush_leg){ .flush = f, .path = p, .writes = p->writes,
				   .needed = p->active };
	b->op = NDM_FLUSH;
	b->store = p->dev->store;
	b->done = leg_ended;
	b->owner = leg;
	f->pending++;
	mpath_path_sent(p);
	ndm_submit(b);
}

static bool is_asked(const struct mpath *m, const struct mpath_path *p)
{
	if (!mpath_path_dirty(p))
		return false;
	if (p->active)
		return true;
	return !p->link || (!m->unflushed && p->link->up(p->dev->store));
}

static bool others_dirty(const struct mpath *m, const struct mpath_path *chosen)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		const struct mpath_path *p = mpath_path_nth(m, i);

		if (p != chosen && is_asked(m, p))
			return true;
	}
	return false;
}

static enum ndm_map flush_one(struct mpath *m, struct ndm_bio *bio, struct mpath_path *p)
{
	struct mpath_io *io = ndm_per_bio(bio);
	struct selector *s = &p->group->selector;

	io->path = p;
	io->flush_writes = p->writes;
	io->covers = m->unflushed ? unflushed_now(m->unflushed) : 0;
	io->start_ns = s->type->wants_time ? ndm_now(m->ti->loop) : 0;
	mpath_path_sent(p);
	if (s->type->start)
		s->type->start(s, p, 0);
	return ndm_remap(bio, p->dev, 0);
}

void mpath_flushed(struct mpath *m, struct mpath_path *p, struct ndm_bio *bio)
{
	const struct mpath_io *io = ndm_per_bio(bio);

	mpath_path_flushed(p, io->flush_writes);
	if (m->unflushed)
		unflushed_drop(m->unflushed, io->covers);
}

enum ndm_map mpath_flush(struct mpath *m, struct ndm_bio *bio, struct mpath_path *chosen)
{
	struct mpath_io *io = ndm_per_bio(bio);
	struct flush *f;
	unsigned i;

	if (m->resend_failed) {
		m->resend_failed = false;
		return NDM_MAP_KILL;
	}
	if (!others_dirty(m, chosen))
		return flush_one(m, bio, chosen);
	f = ndm_zalloc(sizeof *f + m->npaths * sizeof *f->leg);
	if (!f)
		return NDM_MAP_KILL;
	io->path = NULL;
	f->m = m;
	f->bio = bio;
	f->covers = m->unflushed ? unflushed_now(m->unflushed) : 0;
	f->pending = 1;				/* until all have been sent */
	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		if (p == chosen || is_asked(m, p))
			leg_send(f, p);
	}
	if (--f->pending == 0)
		flush_ended(f);
	return NDM_MAP_SUBMITTED;
}
