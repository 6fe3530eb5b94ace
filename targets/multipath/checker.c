/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checker.c - what multipathd's checkers do: finds out which paths work.
 *
 * A path from which nothing has been heard for a while is asked for one block: an idle or a
 * failed one each interval, a busy one sooner.  When it answers nothing at all within the
 * time-out it is given up: its link is reset, so whatever is in flight on it ends now and goes
 * elsewhere.  (A device that has no link can only be marked; its requests end when they end.)
 * A path that answers again, and has the same data as the others, is reinstated.
 *
 * Whether a path is alive is asked of small reads alone: a flush may well take longer than any
 * reasonable time-out.
 *
 * How long a request can be held up.  While a path owes an answer the others are asked, too, at
 * once and then whenever they have been quiet for QUIET_MAX_NS; and all of them again when it
 * is given up, which is when its requests go to another.  So paths that stop at one moment are
 * given up at one moment, before any of their requests can go from one to the next of them, and
 * one that stops later is given up a time-out after that at most.  A request waits for
 * QUIET_MAX_NS, and for one time-out with each such moment that it lives through (give or take
 * what a healthy path needs to answer); so does what it waits for, be it a flush of several
 * paths or a resend.  How many paths there are makes no difference.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "targets/multipath/multipath.h"

#define MS ((uint64_t)1000000u)
#define QUIET_MAX_NS (75 * MS)			/* a busy path is asked after so long a silence */
#define NAP_MIN_NS (1 * MS)			/* between two looks; the longest is QUIET_MAX_NS */
#define SAMPLE_SECTORS 8u
#define SAMPLE_BYTES (SAMPLE_SECTORS * NDM_SECTOR_BYTES)
#define SAMPLES 3
#define SAMPLE_TRIES 5
#define SAMPLE_PAUSE_NS (20 * MS)
#define LATENCY_SHIFT 3				/* each answer counts for an eighth */

static uint64_t now_of(const struct mpath *m)
{
	return ndm_now(m->ti->loop);
}

/* ---- what is heard of a path ---- */

void mpath_path_sent(struct mpath_path *p)
{
	if (p->health.in_flight++ == 0 && p->m->checking)
		p->health.busy_ns = now_of(p->m);
}

void mpath_path_answered(struct mpath_path *p, int error, uint64_t start_ns)
{
	struct mpath_health *h = &p->health;
	uint64_t now;

	h->in_flight--;
	h->ios++;
	h->errors += error != 0;
	if ((!p->m->checking && !start_ns) || (error && !mpath_error_passes(error)))
		return;
	now = now_of(p->m);
	h->alive_ns = now;
	if (!start_ns)
		return;
	if (!h->latency_ns)
		h->latency_ns = now - start_ns;
	else
		h->latency_ns += ((now - start_ns) >> LATENCY_SHIFT) -
				 (h->latency_ns >> LATENCY_SHIFT);
}

static void link_changed(struct ndm_link_watch *w, struct ndm_store *store, bool up)
{
	struct mpath_path *p = (struct mpath_path *)w;	/* health.watch is its first member */

	if (!p->m->checking || p->m->suspended)
		return;
	p->health.returned = up;
	if (up) {
		mpath_check_now(p->m);
		return;
	}
	mpath_fail(p->m, p, -ENOTCONN, p->link->why(store));
	if (p->health.error == -ENOTCONN)	/* a request had heard of it first, and no reason */
		snprintf(p->health.why, sizeof p->health.why, "%s", p->link->why(store));
}

void mpath_watch(struct mpath *m)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		if (!p->link)
			continue;
		p->health.watch.fn = link_changed;
		p->link->watch(p->dev->store, &p->health.watch);
		p->health.watching = true;
	}
}

void mpath_unwatch(struct mpath *m)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		if (p->health.watching)
			p->link->unwatch(p->dev->store, &p->health.watch);
		p->health.watching = false;
	}
}

/* ---- is it the right thing? ---- */

static struct mpath_path *other_path(struct mpath *m, const struct mpath_path *than)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		if (p->active && p->dev->store != than->dev->store)
			return p;
	}
	return NULL;
}

/* 0, -ESTALE when the data differ, or the error of the path */
static int sample(struct mpath *m, struct mpath_path *p, uint64_t sector, uint64_t nr,
		  unsigned char *buf)
{
	struct mpath_path *other = NULL;
	unsigned try;
	int err;

	for (try = 0; try < SAMPLE_TRIES; try++) {
		/* somebody may have written in between: only a lasting difference is one */
		if (try)
			ndm_sleep(m->ti->loop, SAMPLE_PAUSE_NS);
		other = other_path(m, p);
		if (!other || m->check_stop)
			return 0;
		err = ndm_rw(p->dev->store, NDM_READ, 0, sector, nr, buf);
		if (err)
			return err;
		if (ndm_rw(other->dev->store, NDM_READ, 0, sector, nr, buf + SAMPLE_BYTES))
			continue;
		if (!memcmp(buf, buf + SAMPLE_BYTES, nr * NDM_SECTOR_BYTES))
			return 0;
	}
	snprintf(p->health.why, sizeof p->health.why, "sector %llu differs from what %s has",
		 (unsigned long long)sector, other->dev->name);
	return -ESTALE;
}

/* The beginning, the middle and the end, against a path that is in use. */
static int same_data(struct mpath *m, struct mpath_path *p)
{
	uint64_t nr = m->ti->nr, n = nr < SAMPLE_SECTORS ? nr : SAMPLE_SECTORS;
	uint64_t at[SAMPLES] = { 0, (nr - n) / 2 / SAMPLE_SECTORS * SAMPLE_SECTORS, nr - n };
	unsigned char *buf = ndm_buffer_get(m->ti->loop, 2 * SAMPLE_BYTES);
	unsigned i;
	int err = buf ? 0 : -ENOMEM;

	for (i = 0; i < SAMPLES && !err; i++)
		err = sample(m, p, at[i], n, buf);
	if (buf)
		ndm_buffer_put(m->ti->loop, buf, 2 * SAMPLE_BYTES);
	return err;
}

/* ---- probes ---- */

static void refuse(struct mpath *m, struct mpath_path *p)
{
	struct mpath_health *h = &p->health;

	if (h->error != -ESTALE)		/* once */
		ndm_warn(m->ti, "not reinstating path %s: %s: it is another disk, or does not "
			 "see what the others write", p->dev->name, h->why);
	h->error = -ESTALE;
	h->error_ns = now_of(m);
}

static int probe(struct mpath *m, struct mpath_path *p)
{
	uint64_t nr = p->dev->store->limits.logical_block_bytes / NDM_SECTOR_BYTES;
	uint64_t start = now_of(m);
	void *buf;
	int err;

	nr = nr ? nr : 1;
	buf = ndm_buffer_get(m->ti->loop, nr * NDM_SECTOR_BYTES);
	if (!buf)
		return 0;
	mpath_path_sent(p);
	err = ndm_rw(p->dev->store, NDM_READ, 0, 0, nr, buf);
	mpath_path_answered(p, err, start);
	ndm_buffer_put(m->ti->loop, buf, nr * NDM_SECTOR_BYTES);
	return mpath_error_passes(err) ? 0 : err;
}

static void probe_task(void *arg)
{
	struct mpath_path *p = arg;
	struct mpath *m = p->m;
	int err = probe(m, p);

	if (err) {
		mpath_fail(m, p, err, NULL);
	} else if (!p->active && !m->check_stop) {
		err = same_data(m, p);
		if (err == -ESTALE)
			refuse(m, p);
		else if (!err && !m->check_stop)
			mpath_reinstate(m, p);
	}
	p->health.probing = false;
	m->probes--;
	mpath_check_now(m);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t quiet_of(const struct mpath *m)
{
	return m->policy.every_ns < QUIET_MAX_NS ? m->policy.every_ns : QUIET_MAX_NS;
}

static bool is_down(const struct mpath_path *p)
{
	return p->link && !p->link->up(p->dev->store);
}

/*
 * When a path that has been asked is given up, or one that has not is to be asked.  Never: a
 * link that is down tells when it is there again, and what has been given up is over.
 */
static uint64_t due_ns(const struct mpath *m, const struct mpath_path *p, bool suspicion)
{
	const struct mpath_health *h = &p->health;
	uint64_t heard = later(h->alive_ns, h->probe_ns), due;

	if (is_down(p) || (h->probing && !p->active && !p->link))
		return UINT64_MAX;
	if (h->probing)
		return heard + m->policy.timeout_ns;
	if (!p->active)
		return h->returned ? 0 : later(h->probe_ns, h->error_ns) + m->policy.every_ns;
	due = heard + (suspicion ? quiet_of(m) : m->policy.every_ns);
	if (h->in_flight && later(h->alive_ns, h->busy_ns) + quiet_of(m) < due)
		due = later(h->alive_ns, h->busy_ns) + quiet_of(m);
	return due;
}

static void ask(struct mpath *m, struct mpath_path *p, uint64_t now)
{
	struct mpath_health *h = &p->health;

	if (h->probing || m->check_stop)
		return;
	h->probing = true;
	h->returned = false;
	h->probe_ns = now;
	m->probes++;
	ndm_spawn(m->ti->loop, "multipath probe", probe_task, p);
}

/* Marks all whose time is over, before a request of one of them can go to the next. */
static bool give_up_late(struct mpath *m, uint64_t now)
{
	bool any = false;
	char why[64];
	unsigned i;

	snprintf(why, sizeof why, "no answer within %llu ms",
		 (unsigned long long)(m->policy.timeout_ns / MS));
	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		p->health.late = p->health.probing && due_ns(m, p, false) <= now;
		any |= p->health.late;
		if (p->health.late)
			mpath_fail(m, p, -ETIMEDOUT, why);
	}
	for (i = 0; any && i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		if (p->health.late && p->link && !is_down(p))
			p->link->reset(p->dev->store, why);
	}
	return any;
}

/* A path owes an answer, or one has just been given up: are the others well? */
static bool suspicious(const struct mpath *m)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		const struct mpath_path *p = mpath_path_nth(m, i);

		if (p->active && p->health.probing && p->health.alive_ns <= p->health.probe_ns)
			return true;
	}
	return false;
}

static void ask_active(struct mpath *m, uint64_t now)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++)
		if (mpath_path_nth(m, i)->active)
			ask(m, mpath_path_nth(m, i), now);
}

/* The time of the next look. */
static uint64_t check(struct mpath *m, uint64_t now)
{
	bool given_up = give_up_late(m, now), suspicion = suspicious(m), silent = false;
	uint64_t next = now + QUIET_MAX_NS;
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		if (!p->health.probing && is_down(p)) {
			mpath_fail(m, p, -ENOTCONN, NULL);
		} else if (!p->health.probing && due_ns(m, p, suspicion) <= now) {
			silent |= p->active && p->health.in_flight;
			ask(m, p, now);
		}
	}
	if (given_up || silent)
		ask_active(m, now);
	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);
		uint64_t due = due_ns(m, p, suspicion || silent);

		if (due < next && (p->health.probing || !m->check_stop))
			next = due;
	}
	return next;
}

/* ---- the checker ---- */

void mpath_check_now(struct mpath *m)
{
	if (m->checking)
		ndm_wake_all(&m->checker_q);
}

/*
 * It goes on while the device is being suspended, for somebody has to give up a path on which
 * requests do not end.  Probes under way are waited for; the time-out sees to their end.
 */
static void checker(void *arg)
{
	struct mpath *m = arg;

	while (m->probes || (!m->check_stop && m->policy.every_ns)) {
		uint64_t now = now_of(m), next = check(m, now);

		mpath_failback(m, now);
		ndm_wait_until(&m->checker_q, later(next, now_of(m) + NAP_MIN_NS));
	}
	m->checking = false;
	ndm_wake_all(&m->resend_q);
}

void mpath_check_start(struct mpath *m)
{
	uint64_t now = now_of(m);
	unsigned i;

	if (!m->policy.every_ns || m->checking || m->suspended)
		return;
	for (i = 0; i < m->npaths; i++)
		mpath_path_nth(m, i)->health.alive_ns = now;
	m->checking = true;
	m->check_stop = false;
	ndm_spawn(m->ti->loop, "multipath checker", checker, m);
}

void mpath_check_stop(struct mpath *m)
{
	m->check_stop = true;
	while (m->checking) {
		ndm_wake_all(&m->checker_q);
		ndm_wait(&m->resend_q);
	}
}
