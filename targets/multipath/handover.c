/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.c - from one table of a device to the next: what is not flushed when a table is
 * suspended, because the paths that took it have failed, belongs to the table that comes.
 *
 * The one that is suspended stands in a slot for each of its paths; the next table of the same
 * device that shares a path with it takes its copies, and sends them before everything else.
 */
#include "targets/multipath/multipath.h"

#define KIND "multipath unflushed"

static struct mpath **slot_of(struct mpath *m, const struct mpath_path *p)
{
	return (struct mpath **)ndm_slot(m->ti->loop, KIND, p->dev->store->identity);
}

void mpath_hand_over(struct mpath *m)
{
	unsigned i;

	unflushed_lose_all(m->unflushed);
	for (i = 0; i < m->npaths; i++) {
		struct mpath **slot = slot_of(m, mpath_path_nth(m, i));

		if (slot)
			*slot = m;
	}
}

static void forget(struct mpath *m, const struct mpath *whom)
{
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		struct mpath **slot = slot_of(m, mpath_path_nth(m, i));

		if (slot && *slot == whom)
			*slot = NULL;
	}
}

void mpath_take_over(struct mpath *m)
{
	unsigned i;

	forget(m, m);
	for (i = 0; i < m->npaths; i++) {
		struct mpath **slot = slot_of(m, mpath_path_nth(m, i)), *from = slot ? *slot : NULL;

		if (!from || from->ti->device != m->ti->device)
			continue;
		if (m->unflushed && unflushed_bytes(m->unflushed))
			return;			/* it has its own already */
		unflushed_free(m->unflushed);
		m->unflushed = from->unflushed;
		from->unflushed = NULL;
		forget(from, from);
		return;
	}
}

/* The last word of a table: nobody has come for what it kept. */
void mpath_give_up(struct mpath *m)
{
	forget(m, m);
	if (m->unflushed && unflushed_lost(m->unflushed))
		ndm_warn(m->ti, "%llu KiB are lost that were written to paths that have failed",
			 (unsigned long long)unflushed_bytes(m->unflushed) / 1024);
}
