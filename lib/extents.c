/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extents.c - the collector of block status.
 *
 * Clones of one NDM_EXTENTS bio answer in any order and from any depth; each answer is put
 * into the coordinates of whoever asked (bio->origin).  At the end the pieces are sorted,
 * merged, and cut at the first gap: a store may answer for less than it was asked.
 */
#include <stdlib.h>

#include "core.h"

void ndm_extent_add(struct ndm_bio *bio, uint64_t sector, uint64_t nr, unsigned type)
{
	struct ndm_extents *e = bio->extents;
	struct ndm_extent *last = e->n ? &e->list[e->n - 1] : NULL;
	uint64_t skip;

	if (sector < bio->sector) {
		skip = bio->sector - sector;
		if (skip >= nr)
			return;
		sector += skip;
		nr -= skip;
	}
	if (sector >= bio->sector + bio->nr || !nr)
		return;
	if (nr > bio->sector + bio->nr - sector)
		nr = bio->sector + bio->nr - sector;
	sector = sector - bio->sector + bio->origin;
	if (last && last->type == type && last->sector + last->nr == sector) {
		last->nr += nr;
		return;
	}
	if (e->n == e->cap) {
		unsigned cap = e->cap ? 2 * e->cap : 16;
		struct ndm_extent *grown = realloc(e->list, cap * sizeof *grown);

		if (!grown)
			return;			/* a gap: the caller hears less, never something wrong */
		e->list = grown;
		e->cap = cap;
	}
	e->list[e->n++] = (struct ndm_extent){ .sector = sector, .nr = nr, .type = type };
}

static int by_sector(const void *a, const void *b)
{
	const struct ndm_extent *x = a, *y = b;

	return x->sector < y->sector ? -1 : x->sector > y->sector;
}

void ndm_extents_finish(struct ndm_extents *e, uint64_t sector)
{
	unsigned i, n = 0;

	if (!e->n)
		return;
	qsort(e->list, e->n, sizeof *e->list, by_sector);
	for (i = 0; i < e->n; i++) {
		struct ndm_extent x = e->list[i];

		if (x.sector + x.nr <= sector)
			continue;
		if (x.sector > sector)
			break;
		x.nr -= sector - x.sector;
		x.sector = sector;
		sector += x.nr;
		if (n && e->list[n - 1].type == x.type)
			e->list[n - 1].nr += x.nr;
		else
			e->list[n++] = x;
	}
	e->n = n;
}

void ndm_extents_free(struct ndm_extents *e)
{
	free(e->list);
	*e = (struct ndm_extents){ 0 };
}
