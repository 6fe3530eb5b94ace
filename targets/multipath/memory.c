/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - what is known of paths and groups, on its way to another process.
 *
 * What was written and has not been flushed stays: it is too much, and a device whose paths took
 * it and failed is not handed over.
 */
#include <stdio.h>
#include <string.h>

#include "lib/kit/memo.h"
#include "targets/multipath/multipath.h"

#define ERROR_MAX 4095u

static void path_print(const struct mpath_path *p, struct ndm_str *out)
{
	const struct mpath_health *h = &p->health;

	ndm_printf(out, "path %u %d %u %llu %llu %llu %d %llu\n", p->number, p->active, p->fail_count,
		   (unsigned long long)h->ios, (unsigned long long)h->errors,
		   (unsigned long long)h->latency_ns, -h->error, (unsigned long long)h->error_ns);
}

int mpath_recall(struct ndm_target *ti, struct ndm_str *out)
{
	const struct mpath *m = ti->private_data;
	unsigned i;

	if (m->unflushed && unflushed_lost(m->unflushed))
		return ndm_error(ti, -EBUSY, "%llu KiB that failed paths took are to be written again first",
				 (unsigned long long)unflushed_bytes(m->unflushed) / 1024);
	for (i = 0; i < m->npaths; i++)
		path_print(mpath_path_nth((struct mpath *)m, i), out);
	for (i = 0; i < m->ngroups; i++)
		if (m->groups[i]->bypassed)
			ndm_printf(out, "bypassed %u\n", i);
	if (m->current)
		ndm_printf(out, "current %u\n", m->current->number - 1);
	if (m->next)
		ndm_printf(out, "next %u\n", m->next->number - 1);
	return 0;
}

static void path_take(struct mpath *m, const struct memo_line *l)
{
	struct mpath_path *p = mpath_path_nth(m, (unsigned)l->number[0]);
	struct mpath_health *h = &p->health;

	p->fail_count = (unsigned)l->number[2];
	h->ios = l->number[3];
	h->errors = l->number[4];
	h->latency_ns = l->number[5];
	h->error = -(int)l->number[6];
	h->error_ns = l->number[7];
	if (h->error)
		snprintf(h->why, sizeof h->why, "%s", strerror(-h->error));
	else if (!l->number[1])
		snprintf(h->why, sizeof h->why, "by message");
	if (l->number[1] || !p->active)
		return;
	p->group->selector.type->fail(&p->group->selector, p);
	p->active = false;
	m->nvalid--;
}

int mpath_remember(struct ndm_target *ti, const char *text, size_t bytes)
{
	struct mpath *m = ti->private_data;
	struct memo memo = { text, text + bytes };
	struct memo_line l;
	int err;

	while ((err = memo_next(&memo, &l)) > 0) {
		if (memo_is(&l, "path", 8) && l.number[0] < m->npaths && l.number[6] <= ERROR_MAX)
			path_take(m, &l);
		else if (memo_is(&l, "bypassed", 1) && l.number[0] < m->ngroups)
			m->groups[l.number[0]]->bypassed = true;
		else if (memo_is(&l, "current", 1) && l.number[0] < m->ngroups)
			m->current = m->groups[l.number[0]];
		else if (memo_is(&l, "next", 1) && l.number[0] < m->ngroups)
			m->next = m->groups[l.number[0]];
		else
			return -EBADMSG;
	}
	return err;
}
