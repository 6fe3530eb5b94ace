/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metas.c - metadata contexts "ndm:NAME": what the targets of a live table tell of their
 * sectors besides block status.
 *
 * Number 0 is the core's own, "target": the index of the line of the table.  The others are
 * numbered in the order in which the target types name them for the first time, so a number
 * means the same everywhere in a process.  Nothing is asked of the devices below: a question
 * is answered at once, from memory, by the targets of the device itself.
 */
#include <stdlib.h>

#include "core.h"

#define CALLS_MAX 1024				/* of one question; the rest is not answered */

static const struct ndm_meta *meta_of(const struct ndm_target_type *type, const char *name)
{
	const struct ndm_meta *m;

	for (m = type->metas; m && m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

/* The types that come before number `n` know the name already. */
static bool is_known(unsigned n, const char *name)
{
	const struct ndm_target_type *const *types = ndm_target_types();
	unsigned i;

	for (i = 0; i < n; i++)
		if (meta_of(types[i], name))
			return true;
	return false;
}

static const struct ndm_meta *meta_at(unsigned number)
{
	const struct ndm_target_type *const *types = ndm_target_types();
	const struct ndm_meta *m;
	unsigned i;

	for (i = 0; types[i]; i++)
		for (m = types[i]->metas; m && m->name; m++)
			if (!is_known(i, m->name) && !--number)
				return m;
	return NULL;
}

const char *ndm_meta_name(unsigned number)
{
	const struct ndm_meta *m;

	if (!number)
		return "target";
	m = number < NDM_METAS_MAX ? meta_at(number) : NULL;
	return m ? m->name : NULL;
}

uint32_t table_metas(const struct ndm_table *t)
{
	const struct ndm_target_type *last = NULL;
	const char *name;
	uint32_t found = 1;
	unsigned i, n;

	for (i = 0; i < t->n; i++) {
		const struct ndm_target_type *type = t->targets[i].type;

		if (!type->metas || type == last)
			continue;
		last = type;
		for (n = 1; (name = ndm_meta_name(n)); n++)
			if (meta_of(type, name))
				found |= 1u << n;
	}
	return found;
}

/* false: that is enough, or there is no memory */
static bool append(struct ndm_extents *e, unsigned max, struct ndm_extent x)
{
	struct ndm_extent *last = e->n ? &e->list[e->n - 1] : NULL, *grown;
	unsigned cap;

	if (last && last->type == x.type) {
		last->nr += x.nr;
		return true;
	}
	if (e->n >= max)
		return false;
	if (e->n == e->cap) {
		cap = e->cap ? 2 * e->cap : 16;
		grown = realloc(e->list, cap * sizeof *grown);
		if (!grown)
			return false;
		e->list = grown;
		e->cap = cap;
	}
	e->list[e->n++] = x;
	return true;
}

void ndm_meta_query(struct ndm_opener *o, unsigned number, uint64_t sector, uint64_t nr,
		    unsigned max, struct ndm_extents *e)
{
	struct ndm_device *dev = ndm_opener_device(o);
	const char *name = ndm_meta_name(number);
	struct ndm_table *t = dev->live;
	uint64_t end = sector + nr;
	unsigned calls;

	if (!t || !name)
		return;
	if (end > t->nr)
		end = t->nr;
	for (calls = 0; sector < end && calls < CALLS_MAX; calls++) {
		struct ndm_target *ti = table_find(t, sector);
		const struct ndm_meta *m = number ? meta_of(ti->type, name) : NULL;
		uint64_t room = ti->begin + ti->nr - sector;
		uint32_t value = number ? 0 : (uint32_t)(ti - t->targets);

		nr = room < end - sector ? room : end - sector;
		if (m) {
			dev->loop->nowait++;
			nr = m->value(ti, sector, nr, &value);
			dev->loop->nowait--;
			assert(nr && nr <= end - sector);
		}
		if (!append(e, max, (struct ndm_extent){ sector, nr, value }))
			return;
		sector += nr;
	}
}
