/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status.c - status and table lines, byte by byte the kernel's: each item is followed by a
 * blank, the last one too.
 */
#include "targets/multipath/multipath.h"

static void features_status(const struct mpath *m, struct ndm_str *out)
{
	ndm_printf(out, "2 %u 0 ", m->queue_io);	/* the 0: pg_init was never called */
}

static void features_table(const struct mpath *m, struct ndm_str *out)
{
	bool delay = m->pg_init_delay_ms != MPATH_DELAY_DEFAULT;

	ndm_printf(out, "%u ", m->queue_if_no_path + 2 * (m->pg_init_retries > 0) + 2 * delay +
		   m->retain_handler + 2 * m->bio_mode);
	if (m->queue_if_no_path)
		ndm_printf(out, "queue_if_no_path ");
	if (m->pg_init_retries)
		ndm_printf(out, "pg_init_retries %u ", m->pg_init_retries);
	if (delay)
		ndm_printf(out, "pg_init_delay_msecs %u ", m->pg_init_delay_ms);
	if (m->retain_handler)
		ndm_printf(out, "retain_attached_hw_handler ");
	if (m->bio_mode)
		ndm_printf(out, "queue_mode bio ");
}

static char group_state(const struct mpath *m, const struct mpath_group *g)
{
	return g->bypassed ? 'D' : g == m->current ? 'A' : 'E';
}

static void group_words(const struct mpath_group *g, struct ndm_str *out)
{
	if (g->selector.type->group_words)
		g->selector.type->group_words(&g->selector, out);
	else
		ndm_printf(out, "0 ");
}

static void group_status(const struct mpath *m, const struct mpath_group *g, struct ndm_str *out)
{
	const struct selector_type *type = g->selector.type;
	unsigned i;

	ndm_printf(out, "%c ", group_state(m, g));
	group_words(g, out);
	ndm_printf(out, "%u %u ", g->npaths, type->info_args);
	for (i = 0; i < g->npaths; i++) {
		const struct mpath_path *p = &g->paths[i];

		ndm_printf(out, "%s %c %u ", p->dev->name, p->active ? 'A' : 'F', p->fail_count);
		if (type->info_words)
			type->info_words(p, out);
	}
}

static void group_table(const struct mpath_group *g, struct ndm_str *out)
{
	const struct selector_type *type = g->selector.type;
	unsigned i;

	ndm_printf(out, "%s ", type->name);
	group_words(g, out);
	ndm_printf(out, "%u %u ", g->npaths, type->table_args);
	for (i = 0; i < g->npaths; i++) {
		ndm_printf(out, "%s ", g->paths[i].dev->name);
		type->table_words(&g->paths[i], out);
	}
}

/* The group that is used, or will be by the next request. */
static unsigned group_number(const struct mpath *m)
{
	const struct mpath_group *g = m->next ? m->next : m->current;

	return g ? g->number : m->ngroups ? 1 : 0;
}

void mpath_status(struct ndm_target *ti, enum ndm_status what, unsigned flags, struct ndm_str *out)
{
	const struct mpath *m = ti->private_data;
	unsigned i;

	(void)flags;
	if (what == NDM_STATUS_INFO)
		features_status(m, out);
	else
		features_table(m, out);
	if (what == NDM_STATUS_INFO || !m->handler)
		ndm_printf(out, "0 ");
	else
		ndm_printf(out, "1 %s ", m->handler);
	ndm_printf(out, "%u %u ", m->ngroups, group_number(m));
	for (i = 0; i < m->ngroups; i++) {
		if (what == NDM_STATUS_INFO)
			group_status(m, m->groups[i], out);
		else
			group_table(m->groups[i], out);
	}
}
