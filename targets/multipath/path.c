/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - which path takes a request; paths that fail and come back; groups.
 *
 * The rules are the kernel's: a group that was asked for is tried first, once; else the current
 * group stays as long as its selector yields a path; else groups in the order of the table,
 * those that are disabled last.  There is no way back to an earlier group by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "targets/multipath/multipath.h"

static struct mpath_path *choose_in(struct mpath *m, struct mpath_group *g, uint64_t sector,
				    uint64_t bytes)
{
	struct mpath_path *p = g->selector.type->select(&g->selector, sector, bytes);

	if (p && m->current != g) {
		m->current = g;
		m->queue_io = false;
	}
	return p;
}

static struct mpath_path *choose_group(struct mpath *m, bool bypassed, uint64_t sector,
				       uint64_t bytes)
{
	struct mpath_path *p = NULL;
	unsigned i;

	for (i = 0; !p && i < m->ngroups; i++)
		if (m->groups[i]->bypassed == bypassed)
			p = choose_in(m, m->groups[i], sector, bytes);
	return p;
}

struct mpath_path *mpath_choose(struct mpath *m, uint64_t sector, uint64_t bytes)
{
	struct mpath_group *asked_for = m->next;
	struct mpath_path *p = NULL;

	if (!m->nvalid) {
		m->queue_io = false;
		m->current = NULL;
		return NULL;
	}
	if (asked_for) {
		m->next = NULL;
		p = choose_in(m, asked_for, sector, bytes);
	}
	if (!p && m->current)
		p = choose_in(m, m->current, sector, bytes);
	if (!p)
		p = choose_group(m, false, sector, bytes);
	if (!p)
		p = choose_group(m, true, sector, bytes);
	if (!p)
		m->current = NULL;
	return p;
}

void mpath_fail(struct mpath *m, struct mpath_path *p, int error, const char *why)
{
	struct mpath_health *h = &p->health;

	if (!p->active)
		return;
	h->error = error;
	h->error_ns = ndm_now(m->ti->loop);
	if (!why && p->link && !p->link->up(p->dev->store))
		why = p->link->why(p->dev->store);
	snprintf(h->why, sizeof h->why, "%s", why ? why : strerror(-error));
	ndm_warn(m->ti, "failing path %s: %s", p->dev->name, h->why);
	p->group->selector.type->fail(&p->group->selector, p);
	p->active = false;
	p->fail_count++;
	m->nvalid--;
	m->upsets++;
	ndm_event(m->ti);
	mpath_lost(m, p);
	mpath_check_now(m);
}

void mpath_reinstate(struct mpath *m, struct mpath_path *p)
{
	if (p->active)
		return;
	ndm_warn(m->ti, "reinstating path %s", p->dev->name);
	if (p->link)
		p->link->settled(p->dev->store);
	/* what it took has gone elsewhere, or goes to it again before anything else */
	if (p->link && m->unflushed)
		p->flushed = p->writes;
	p->group->selector.type->reinstate(&p->group->selector, p);
	p->active = true;
	m->nvalid++;
	ndm_event(m->ti);
	mpath_came_back(m, p);
	mpath_resend(m);
	if (m->nvalid == 1)
		mpath_kick(m);
}

void mpath_group_bypass(struct mpath *m, struct mpath_group *g, bool bypass)
{
	g->bypassed = bypass;
	m->current = NULL;
	ndm_event(m->ti);
}

void mpath_group_switch(struct mpath *m, struct mpath_group *g)
{
	unsigned i;

	for (i = 0; i < m->ngroups; i++)
		m->groups[i]->bypassed = false;
	m->current = NULL;
	m->next = g;
	ndm_event(m->ti);
}

/*
 * The first row is the kernel's.  The second is what a server answers to a request that it
 * understood and will not carry out: another server would not either, and one bad request
 * must not kill all paths in turn.
 */
bool mpath_error_passes(int error)
{
	switch (error) {
	case -EOPNOTSUPP: case -ENOSPC: case -EREMOTEIO: case -EBADE: case -ENODATA: case -EILSEQ:
	case -EINVAL: case -EPERM: case -EACCES: case -EROFS: case -EOVERFLOW: case -EFBIG:
		return true;
	default:
		return false;
	}
}
