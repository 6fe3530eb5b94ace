/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - requests: sent down a path, sent down another when that one fails, parked while there
 * is none.
 *
 * A request ends well only when a path has said so.  When a path fails under it, it goes to
 * another at once; since the path is out of the selector's list it does not come back to it,
 * unless somebody reinstates the path meanwhile.  A request that is refused by every path
 * again and again, each time that paths are reinstated, is what is wrong, not the paths: after
 * REFUSALS_MAX rounds its error goes up, lest it take the others with it for ever.
 *
 * Parked requests are in one list, in order.  Reinstating the first path, switching queueing
 * off, suspending, and the end of a resend (resend.c) let them go.
 */
#include <errno.h>

#include "targets/multipath/multipath.h"

#define REFUSALS_MAX 10u

/* ---- without a path ---- */

void mpath_park(struct mpath *m, struct ndm_bio *bio)
{
	struct mpath_io *io = ndm_per_bio(bio);

	io->path = NULL;
	bio->next = NULL;
	if (m->parked)
		m->parked_last->next = bio;
	else
		m->parked = bio;
	m->parked_last = bio;
}

enum ndm_map mpath_no_path(struct mpath *m, struct ndm_bio *bio)
{
	struct mpath_io *io = ndm_per_bio(bio);

	io->path = NULL;
	if (ndm_noflush_suspending(m->ti))
		return NDM_MAP_REQUEUE;
	if (!m->queue_if_no_path)
		return NDM_MAP_KILL;
	mpath_park(m, bio);
	return NDM_MAP_SUBMITTED;
}

void mpath_act(struct mpath *m, struct ndm_bio *bio, enum ndm_map verdict)
{
	(void)m;
	switch (verdict) {
	case NDM_MAP_REMAPPED:
		ndm_submit(bio);
		break;
	case NDM_MAP_REQUEUE:
		ndm_end(bio, NDM_GIVE_BACK);
		break;
	case NDM_MAP_KILL:
		ndm_end(bio, -EIO);
		break;
	case NDM_MAP_SUBMITTED:
	case NDM_MAP_WAIT:
		break;
	}
}

/* ---- sending ---- */

static enum ndm_map send_down(struct mpath *m, struct ndm_bio *bio, struct mpath_path *p)
{
	struct mpath_io *io = ndm_per_bio(bio);
	struct selector *s = &p->group->selector;

	if (mpath_changes_data(bio)) {
		m->changing++;
		io->covers = m->unflushed ? unflushed_now(m->unflushed) : 0;
		/* of zeroes no copy is kept: they are durable when they end */
		if (bio->op == NDM_ZEROES && m->unflushed && p->link)
			bio->flags |= NDM_FUA;
	}
	io->path = p;
	io->start_ns = s->type->wants_time || m->checking ? ndm_now(m->ti->loop) : 0;
	mpath_path_sent(p);
	if (s->type->start)
		s->type->start(s, p, io->bytes);
	return ndm_remap(bio, p->dev, io->sector);
}

static enum ndm_map send(struct mpath *m, struct ndm_bio *bio)
{
	struct mpath_io *io = ndm_per_bio(bio);
	struct mpath_path *p;

	if (m->barrier) {
		mpath_park(m, bio);
		return NDM_MAP_SUBMITTED;
	}
	p = mpath_choose(m, io->sector, io->bytes);
	if (!p)
		return mpath_no_path(m, bio);
	bio->error = 0;
	return bio->op == NDM_FLUSH ? mpath_flush(m, bio, p) : send_down(m, bio, p);
}

enum ndm_map mpath_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct mpath_io *io = ndm_per_bio(bio);

	io->sector = bio->sector;
	io->bytes = bio->op == NDM_FLUSH ? 0 : bio->nr * NDM_SECTOR_BYTES;
	return send(ti->private_data, bio);
}

void mpath_kick(struct mpath *m)
{
	struct ndm_bio *bio, *list = m->parked;

	m->parked = m->parked_last = NULL;
	while ((bio = list)) {
		list = bio->next;
		bio->next = NULL;
		mpath_act(m, bio, send(m, bio));
	}
}

/* ---- the end ---- */

/* In end_io() one must not end the bio: the verdict says what becomes of it. */
static enum ndm_endio endio_verdict(struct mpath *m, struct ndm_bio *bio, enum ndm_map verdict)
{
	switch (verdict) {
	case NDM_MAP_REQUEUE:
		return NDM_ENDIO_REQUEUE;
	case NDM_MAP_KILL:
		bio->error = -EIO;
		return NDM_ENDIO_DONE;
	default:
		mpath_act(m, bio, verdict);
		return NDM_ENDIO_INCOMPLETE;
	}
}

/* -EIO is a server's answer; a link that is gone says something else. */
static bool refused_too_often(struct mpath *m, struct mpath_io *io, const struct mpath_path *p)
{
	unsigned n = m->npaths < 64 ? m->npaths : 64;

	io->refused |= mpath_path_bit(p);
	if (io->refused != UINT64_MAX >> (64 - n))
		return false;
	io->refused = 0;
	return ++io->refusals >= REFUSALS_MAX;
}

static enum ndm_endio fail_over(struct mpath *m, struct ndm_bio *bio, struct mpath_path *p)
{
	struct mpath_io *io = ndm_per_bio(bio);

	if (bio->error == -EIO && refused_too_often(m, io, p))
		return NDM_ENDIO_DONE;
	if (m->nvalid == 0 && !m->queue_if_no_path && !ndm_noflush_suspending(m->ti)) {
		if (m->bio_mode)
			bio->error = -EIO;
		return NDM_ENDIO_DONE;
	}
	bio->error = 0;
	if (m->nvalid == 0)
		return endio_verdict(m, bio, mpath_no_path(m, bio));
	return endio_verdict(m, bio, send(m, bio));
}

static void taken_off(struct mpath *m, struct ndm_bio *bio, struct mpath_path *p)
{
	struct mpath_io *io = ndm_per_bio(bio);
	struct selector *s = &p->group->selector;

	mpath_path_answered(p, bio->error, io->start_ns);
	if (s->type->end)
		s->type->end(s, p, io->bytes, io->start_ns);
	io->path = NULL;
	if (mpath_changes_data(bio) && --m->changing == 0 && m->barrier)
		ndm_wake_all(&m->resend_q);
}

enum ndm_endio mpath_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct mpath *m = ti->private_data;
	struct mpath_io *io = ndm_per_bio(bio);
	struct mpath_path *p = io->path;
	bool failed = bio->error && !mpath_error_passes(bio->error), ended = true;

	if (!p)					/* it was on no path: killed, or a flush of several */
		return NDM_ENDIO_DONE;
	if (failed)
		mpath_fail(m, p, bio->error, NULL);
	else if (!bio->error && bio->op == NDM_FLUSH)
		mpath_flushed(m, p, bio);
	else if (!bio->error && mpath_changes_data(bio))
		ended = mpath_written(m, p, bio);
	taken_off(m, bio, p);
	if (failed)
		return fail_over(m, bio, p);
	return ended ? NDM_ENDIO_DONE : NDM_ENDIO_INCOMPLETE;
}

void mpath_queue_if_no_path(struct mpath *m, bool on, bool save)
{
	if (!save) {
		if (!on)			/* a message, while saved: it is meant for later, too */
			m->saved_queue = false;
	} else if (m->queue_if_no_path || !m->saved_queue) {
		m->saved_queue = m->queue_if_no_path;
	}
	m->queue_if_no_path = on;
	if (!on)
		mpath_kick(m);
}
