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
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "targets/multipath/multipath.h"

#define MS ((uint64_t)1000000u)
#define QUIET_MAX_NS (500 * MS)			/* a busy path is asked after so long a silence */
#define TICK_MIN_NS (10 * MS)
#define TICK_MAX_NS (100 * MS)
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

static void give_up(struct mpath *m, struct mpath_path *p)
{
	char why[64];

	snprintf(why, sizeof why, "no answer within %llu ms",
		 (unsigned long long)(m->policy.timeout_ns / MS));
	mpath_fail(m, p, -ETIMEDOUT, why);
	if (p->link && p->link->up(p->dev->store))
		p->link->reset(p->dev->store, why);
}

static bool is_due(const struct mpath *m, const struct mpath_path *p, uint64_t now)
{
	const struct mpath_health *h = &p->health;
	uint64_t every = m->policy.every_ns, quiet = every < QUIET_MAX_NS ? every : QUIET_MAX_NS;

	if (!p->active)
		return h->returned || now - later(h->probe_ns, h->error_ns) >= every;
	if (h->in_flight)
		return now - later(h->alive_ns, h->busy_ns) >= quiet;
	return now - later(h->alive_ns, h->probe_ns) >= every;
}

static void check(struct mpath *m, struct mpath_path *p, uint64_t now)
{
	struct mpath_health *h = &p->health;

	if (h->probing) {
		if (now - later(h->probe_ns, h->alive_ns) >= m->policy.timeout_ns)
			give_up(m, p);
		return;
	}
	if (p->link && !p->link->up(p->dev->store)) {
		mpath_fail(m, p, -ENOTCONN, NULL);
		return;
	}
	if (m->check_stop || !is_due(m, p, now))
		return;
	h->probing = true;
	h->returned = false;
	h->probe_ns = now;
	m->probes++;
	ndm_spawn(m->ti->loop, "multipath probe", probe_task, p);
}

/* ---- the checker ---- */

void mpath_check_now(struct mpath *m)
{
	if (m->checking)
		ndm_wake_all(&m->checker_q);
}

static uint64_t tick(const struct mpath *m)
{
	const struct mpath_policy *y = &m->policy;
	uint64_t t = (y->every_ns < y->timeout_ns ? y->every_ns : y->timeout_ns) / 4;

	return t < TICK_MIN_NS ? TICK_MIN_NS : t > TICK_MAX_NS ? TICK_MAX_NS : t;
}

/*
 * It goes on while the device is being suspended, for somebody has to give up a path on which
 * requests do not end.  Probes under way are waited for; the time-out sees to their end.
 */
static void checker(void *arg)
{
	struct mpath *m = arg;
	unsigned i;

	while (m->probes || (!m->check_stop && m->policy.every_ns)) {
		uint64_t now = now_of(m);

		for (i = 0; i < m->npaths; i++)
			check(m, mpath_path_nth(m, i), now);
		mpath_failback(m, now);
		ndm_wait_until(&m->checker_q, now_of(m) + tick(m));
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
