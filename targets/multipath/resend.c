/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resend.c - unflushed writes of a path that has failed are written again.
 *
 * While that is done no other request is sent (they are parked), and it begins when the last
 * write under way has ended: so an old content can overtake no newer one, and nobody reads
 * what the server that is gone may have taken with it.  When there is no path it waits for
 * one, like everything else; then it comes before everything else.
 *
 * The copies have a limit.  At half of it the paths are flushed, for our own sake; a write
 * that finds no room ends when that flush has.  If a path fails before, it is written again,
 * for its data are still there.
 */
#include <errno.h>

#include "targets/multipath/multipath.h"

#define PAGE_SECTORS 8u
#define RESENDERS 8				/* pages at a time */

struct resenders { struct mpath *m; unsigned running; };

/* ---- writing again ---- */

/* One run of sectors, down whatever path takes it; its bit, or 0. */
static uint64_t run_send(struct mpath *m, uint64_t sector, uint64_t nr, const unsigned char *bytes)
{
	struct mpath_path *p;
	int err;

	while ((p = mpath_choose(m, sector, nr * NDM_SECTOR_BYTES))) {
		mpath_path_sent(p);
		err = ndm_rw(p->dev->store, NDM_WRITE, 0, sector, nr, (void *)(uintptr_t)bytes);
		mpath_path_answered(p, err, 0);
		if (!err) {
			p->writes++;
			return mpath_path_bit(p);
		}
		if (mpath_error_passes(err)) {
			ndm_warn(m->ti, "%s does not take again what was written to sector %llu: "
				 "error %d", p->dev->name, (unsigned long long)sector, -err);
			m->resend_failed = true;
			return mpath_path_bit(p);
		}
		mpath_fail(m, p, err, NULL);
	}
	return 0;
}

static bool page_send(struct mpath *m, const struct unflushed_page *page)
{
	uint64_t taken = 0, upsets = m->upsets, bit;
	unsigned first, end;

	for (first = 0; first < PAGE_SECTORS; first = end) {
		end = first + 1;
		if (!(page->mask >> first & 1))
			continue;
		while (end < PAGE_SECTORS && page->mask >> end & 1)
			end++;
		bit = run_send(m, page->sector + first, end - first,
			       page->bytes + first * NDM_SECTOR_BYTES);
		if (!bit)
			return false;
		taken |= bit;
	}
	if (m->upsets == upsets)		/* else who took the first part may be gone */
		unflushed_moved(m->unflushed, page->sector, taken);
	return true;
}

static void resender_task(void *arg)
{
	struct resenders *r = arg;
	struct unflushed_page page;

	while (unflushed_next(r->m->unflushed, &page))
		if (!page_send(r->m, &page))
			break;
	r->running--;
	ndm_wake_all(&r->m->resend_q);
}

static void resend_task(void *arg)
{
	struct mpath *m = arg;
	struct resenders r = { .m = m };
	unsigned i;

	while (m->changing)
		ndm_wait(&m->resend_q);
	m->upsets++;				/* goes over what waits for a flush to end */
	while (unflushed_lost(m->unflushed) && m->nvalid) {
		unflushed_walk(m->unflushed);
		for (i = 0; i < RESENDERS; i++, r.running++)
			ndm_spawn(m->ti->loop, "multipath resend", resender_task, &r);
		while (r.running)
			ndm_wait(&m->resend_q);
		unflushed_walked(m->unflushed);
	}
	m->resending = m->barrier = false;
	ndm_wake_all(&m->resend_q);
	mpath_kick(m);
}

void mpath_resend(struct mpath *m)
{
	if (m->resending || !m->nvalid || m->suspended || !m->unflushed ||
	    !unflushed_lost(m->unflushed))
		return;
	m->resending = m->barrier = true;
	ndm_spawn(m->ti->loop, "multipath resend", resend_task, m);
}

void mpath_lost(struct mpath *m, struct mpath_path *p)
{
	if (m->unflushed && unflushed_lose(m->unflushed, p->number))
		mpath_resend(m);
}

/* ---- room ---- */

static int flush_dirty(struct mpath *m)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);
		uint64_t writes = p->writes;
		int err;

		if (!p->active || !mpath_path_dirty(p))
			continue;
		mpath_path_sent(p);
		err = ndm_flush(p->dev->store);
		mpath_path_answered(p, err, 0);
		if (!err)
			mpath_path_flushed(p, writes);
		else if (mpath_error_passes(err))
			return err;
		else
			mpath_fail(m, p, err, NULL);
	}
	return 0;
}

/* Ends those that waited; those whose path failed meanwhile are written again. */
static void unacked_end(struct mpath *m, struct ndm_bio *list, int err)
{
	struct ndm_bio *bio;

	while ((bio = list)) {
		struct mpath_io *io = ndm_per_bio(bio);

		list = bio->next;
		bio->next = NULL;
		if (!err && io->upsets != m->upsets) {
			mpath_park(m, bio);
			continue;
		}
		if (!err)			/* durable: older copies must not come back */
			unflushed_forget(m->unflushed, io->sector, io->bytes / NDM_SECTOR_BYTES,
					 io->covers);
		ndm_end(bio, err);
	}
	mpath_kick(m);
}

static void own_flush_task(void *arg)
{
	struct mpath *m = arg;

	do {
		struct ndm_bio *list = m->unacked;
		uint64_t until = unflushed_now(m->unflushed), upsets = m->upsets;
		int err;

		m->unacked = m->unacked_last = NULL;
		while (m->resending)
			ndm_wait(&m->resend_q);
		err = flush_dirty(m);
		if (!err && m->upsets == upsets)
			unflushed_drop(m->unflushed, until);
		unacked_end(m, list, err);
	} while (m->unacked);
	m->own_flush = false;
	ndm_wake_all(&m->resend_q);
}

static void own_flush(struct mpath *m)
{
	if (m->own_flush)
		return;
	m->own_flush = true;
	ndm_spawn(m->ti->loop, "multipath flush", own_flush_task, m);
}

bool mpath_written(struct mpath *m, struct mpath_path *p, struct ndm_bio *bio)
{
	struct mpath_io *io = ndm_per_bio(bio);

	if (!(bio->flags & NDM_FUA))
		p->writes++;
	if (!m->unflushed)
		return true;
	if (bio->op != NDM_WRITE || bio->flags & NDM_FUA || !p->link) {
		unflushed_forget(m->unflushed, io->sector, io->bytes / NDM_SECTOR_BYTES,
				 io->covers);
		return true;
	}
	if (unflushed_note(m->unflushed, p->number, bio)) {
		if (!p->active)			/* it has failed while this was under way */
			mpath_lost(m, p);
		else if (unflushed_half_full(m->unflushed))
			own_flush(m);
		return true;
	}
	io->upsets = p->active ? m->upsets : UINT64_MAX;
	bio->next = NULL;
	if (m->unacked)
		m->unacked_last->next = bio;
	else
		m->unacked = bio;
	m->unacked_last = bio;
	own_flush(m);
	return false;
}

/* Before the table goes: nothing may be left that only we know of. */
void mpath_settle(struct mpath *m)
{
	uint64_t upsets;
	int err;

	do {
		while (m->resending || m->own_flush)
			ndm_wait(&m->resend_q);
		if (!m->unflushed || !unflushed_bytes(m->unflushed))
			return;
		upsets = m->upsets;
		err = flush_dirty(m);
	} while (!err && m->upsets != upsets);
	while (m->resending)
		ndm_wait(&m->resend_q);
	if (!err)
		unflushed_drop(m->unflushed, unflushed_now(m->unflushed));
	if (unflushed_bytes(m->unflushed))
		mpath_hand_over(m);
}
