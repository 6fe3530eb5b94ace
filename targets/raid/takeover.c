/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * takeover.c - another level, at once: other words in the superblocks, and nothing is moved.
 *
 * Two gates.  Which pairs of levels Linux takes is the first.  The second is ours: all that the new
 * level looks for on members which are not filled anew (rebuild) must be what the old one has put
 * there.  Linux takes some tables where it is not, and their data are gone.
 */
#include "raid.h"

enum { PARITY_N = 5, ASYMMETRIC_6 = 16, SYMMETRIC_6 = 19, ROTATING = 8, ROTATING_LAST = 10 };

/* what a chunk of a member is: data of the array, or parity of a stripe over so many data */
enum content { NOTHING, DATA, PARITY_P, PARITY_Q };
struct stored { enum content what; uint64_t number; unsigned of; bool rotating; };

static struct stored parity_stored(const struct raid_geometry *g, unsigned disk, uint64_t row)
{
	unsigned d = raid_data_disks(g), i;
	uint8_t disks[RAID_DISKS_MAX + 3], power[RAID_DISKS_MAX + 3];
	struct stored s = { PARITY_P, row, d, false };

	raid_stripe_roles(g, row, disks, power);
	for (i = 0; i < g->disks; i++)
		if (disks[i] == disk)
			break;
	if (i < d || d == 1)			/* one of data: parity is a copy */
		return (struct stored){ DATA, row * d + (i < d ? i : 0), 0, false };
	if (i > d) {
		s.what = PARITY_Q;
		s.rotating = g->layout >= ROTATING && g->layout <= ROTATING_LAST;
	}
	return s;
}

static struct stored stored_at(const struct raid_geometry *g, unsigned disk, uint64_t row,
			       unsigned chunk)
{
	uint64_t run, sector;

	if (disk >= g->disks)
		return (struct stored){ 0 };
	if (g->parity)
		return parity_stored(g, disk, row);
	if (g->level == 0)
		return (struct stored){ DATA, row * g->disks + disk, 0, false };
	if (g->level == 1)
		return (struct stored){ DATA, row, 0, false };
	sector = raid_copy_owner(g, disk, row * chunk, &run);
	if (sector == RAID_NONE)
		return (struct stored){ 0 };
	return (struct stored){ DATA, sector / chunk, 0, false };
}

static bool same(const struct stored *a, const struct stored *b)
{
	return a->what == b->what && a->number == b->number && a->of == b->of &&
	       a->rotating == b->rotating;
}

/* a layout repeats itself after as many rows as there are members; far copies begin in the middle */
static bool rows_kept(const struct raid *r, const struct raid_geometry *to, uint64_t first,
		      uint64_t nr)
{
	unsigned chunk = to->chunk ? to->chunk : r->geo.chunk ? r->geo.chunk : 8, i;
	uint64_t row, rows = to->dev_sectors / chunk;

	for (row = first; row < first + nr && row < rows; row++)
		for (i = 0; i < to->disks; i++) {
			const struct raid_member *m = &r->members[i];
			unsigned was = m->meta && !m->first_use && !m->unreadable ? m->super.position : i;
			struct stored want = stored_at(to, i, row, chunk), have;

			if (m->rebuild || want.what == NOTHING)
				continue;
			have = stored_at(&r->geo, was, row, chunk);
			if (!same(&want, &have))
				return false;
		}
	return true;
}

static bool data_kept(const struct raid *r, const struct raid_geometry *to)
{
	uint64_t some = r->geo.disks + to->disks + 2, chunk = to->chunk ? to->chunk : 8;
	uint64_t rows = to->dev_sectors / chunk;

	return rows_kept(r, to, 0, some) && rows_kept(r, to, rows / 2, some) &&
	       rows_kept(r, to, rows > some ? rows - some : 0, some);
}

/* levels and layouts that Linux lets follow each other */
static bool pair_known(const struct raid *r)
{
	int from = r->geo.level, to = r->want_level, old = r->geo.layout, new = r->want_layout;
	unsigned had = r->geo.disks;

	switch (from) {
	case 0:
		return ((to == 1 || to == 5) && had == 1) || (to == 10 && r->n % had == 0) ||
		       ((to == 5 || to == 6) && new == PARITY_N && had > 1);
	case 10:
		if (old & RAID10_OFFSET)
			return false;
		return (to == 1 && raid10_copies(old) == had) || (to == 5 && had == 2);
	case 1:
		return (to == 5 && had == 2) || to == 10;
	case 5:
		if (to == 6)
			return (old == PARITY_N && new == PARITY_N) ||
			       (new >= ASYMMETRIC_6 && new <= SYMMETRIC_6);
		return (to == 1 || to == 10) && had == 2;
	default:
		return to == 5 && ((old == PARITY_N && new == PARITY_N) || (new >= 0 && new < 4));
	}
}

static void setup(struct raid *r, const struct raid_geometry *to)
{
	unsigned i;

	r->geo = *to;
	r->resync_offset = RAID_NONE;
	r->update = true;
	for (i = 0; i < r->n; i++) {
		struct raid_member *m = &r->members[i];

		if (!m->rebuild)
			continue;
		m->in_sync = m->by_bitmap = false;
		m->recovery_offset = 0;
		r->bitmap_anew = true;
	}
}

int raid_takeover(struct raid *r)
{
	struct raid_geometry to = { .level = r->want_level, .layout = r->want_layout, .disks = r->n,
				    .parity = r->type->parity, .chunk = r->want_chunk,
				    .dev_sectors = r->want_dev, .array_sectors = r->want_array };
	unsigned had = r->geo.disks, lost = 0, i;

	if (r->journal)
		return ndm_error(r->ti, -EPERM, "Can't takeover a journaled raid4/5/6 set");
	for (i = 0; i < had && i < r->n; i++)
		lost += !r->members[i].rebuild &&
			(!raid_member_alive(r, i) || !r->members[i].in_sync);
	if (lost && r->geo.level)
		return ndm_error(r->ti, -EPERM, "Can't takeover degraded raid set");
	if (!pair_known(r))
		return ndm_error(r->ti, -EINVAL, "takeover not possible");
	/* what has a chunk keeps it */
	if (r->geo.chunk && to.chunk && r->geo.level != 1 && to.chunk != r->geo.chunk)
		return ndm_error(r->ti, -EINVAL, "takeover not possible: chunks of another size");
	if (to.level && !raid_shape_runs(r, &to, RAID_DISKS_MAX))
		return ndm_error(r->ti, -EIO, "Failed to run raid array: too few members");
	if (!data_kept(r, &to))
		return ndm_error(r->ti, -EINVAL, "takeover not possible: data would not be where "
				 "%s looks for them", r->type->name);
	setup(r, &to);
	return raid_sizes_by_table(r, r->ti->nr);
}
