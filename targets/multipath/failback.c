/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * failback.c - back to a better group, and enough of waiting for a path: what multipathd's
 * `failback` and `no_path_retry` say.  Groups are in the order of their priority.
 *
 *	manual		nobody goes back but by the message switch_group
 *	immediate	as soon as a better group can be used
 *	followover	when a better group had no path and has got its first one back
 *	seconds		when a better group could be used for so long
 */
#include "targets/multipath/multipath.h"

static bool usable(const struct mpath_group *g)
{
	unsigned i;

	if (g->bypassed)
		return false;
	for (i = 0; i < g->npaths; i++)
		if (g->paths[i].active)
			return true;
	return false;
}

static unsigned active_paths(const struct mpath_group *g)
{
	unsigned i, n = 0;

	for (i = 0; i < g->npaths; i++)
		n += g->paths[i].active;
	return n;
}

/* The best group that can be used, if it is better than the one in use. */
static struct mpath_group *better_group(struct mpath *m)
{
	unsigned i;

	if (!m->current || m->next)
		return NULL;
	for (i = 0; i < m->ngroups && m->groups[i] != m->current; i++)
		if (usable(m->groups[i]))
			return m->groups[i];
	return NULL;
}

static bool is_time(struct mpath *m, uint64_t now)
{
	switch (m->policy.failback) {
	case MPATH_FAILBACK_IMMEDIATE:
		return true;
	case MPATH_FAILBACK_FOLLOWOVER:
		return m->followover;
	case MPATH_FAILBACK_AFTER:
		return now - m->better_ns >= m->policy.failback_ns;
	default:
		return false;
	}
}

static void no_path(struct mpath *m, uint64_t now)
{
	const struct mpath_policy *y = &m->policy;

	if (m->nvalid) {
		m->no_path_ns = 0;
		return;
	}
	if (!m->no_path_ns)
		m->no_path_ns = now;
	if (!y->retry_limited || !m->queue_if_no_path ||
	    now - m->no_path_ns < y->retries * y->every_ns)
		return;
	ndm_warn(m->ti, "no path for %u checks: requests fail from now on", y->retries);
	m->gave_up = true;
	mpath_queue_if_no_path(m, false, false);
}

void mpath_failback(struct mpath *m, uint64_t now)
{
	struct mpath_group *g = better_group(m);

	no_path(m, now);
	if (!g) {
		m->better_ns = 0;
		return;
	}
	if (!m->better_ns)
		m->better_ns = now;
	if (!is_time(m, now))
		return;
	m->better_ns = 0;
	m->followover = false;
	ndm_warn(m->ti, "back to group %u", g->number);
	m->current = NULL;
	m->next = g;
	ndm_event(m->ti);
}

void mpath_came_back(struct mpath *m, struct mpath_path *p)
{
	if (active_paths(p->group) == 1)
		m->followover = true;
	if (m->gave_up) {
		m->gave_up = false;
		mpath_queue_if_no_path(m, true, false);
	}
}
