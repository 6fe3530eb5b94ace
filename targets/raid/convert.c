/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * convert.c - a table that wants another array than the superblocks have: another size, other legs
 * of a raid1, another level (takeover.c), or another shape: layout, chunk, number of members.
 *
 * Another shape means that data move, and they move through free space of data_offset sectors: in
 * front of the data (they are there already, and move to 0) or behind them.  Without any such
 * space the array stays as it is, as with Linux.
 */
#include "raid.h"

#define SPACE_LEAST 32u				/* sectors */

static bool is_far(int layout)
{
	return !(layout & RAID10_OFFSET) && raid10_far(layout) > 1;
}

/* ---- legs and sizes ---- */

/* legs of a raid1 come and go */
static int legs_change(struct raid *r)
{
	unsigned i;

	for (i = r->geo.disks; i < r->n; i++)
		if (r->members[i].data) {
			r->members[i].in_sync = false;
			r->members[i].recovery_offset = 0;
			r->members[i].by_bitmap = false;
		}
	r->geo.disks = r->n;
	r->update = true;
	return raid_sizes_by_table(r, r->ti->nr);
}

static uint64_t sectors_on_disk(const struct raid *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (r->members[i].data && r->members[i].sectors)
			return r->members[i].sectors;
	return 0;
}

static int size_change(struct raid *r)
{
	uint64_t had = sectors_on_disk(r);
	int err;

	err = raid_sizes_by_table(r, r->ti->nr);
	if (err)
		return err;
	if (r->words & RAID_REBUILD) {
		r->resync_offset = RAID_NONE;
		r->update = true;
		return 0;
	}
	if (had && had < r->want_dev) {		/* the new part is resynced */
		r->grow = r->update = true;
		if (r->resync_offset > had && !(r->words & RAID_NOSYNC))
			r->resync_offset = had;
	} else if (had > r->want_dev) {
		r->update = true;
		if (r->resync_offset >= r->want_dev)
			r->resync_offset = RAID_NONE;
	}
	return 0;
}

/* ---- shapes ---- */

/* where data are, and where they shall go; Linux notes it whether anything moves or not */
static int offsets_set(struct raid *r)
{
	uint64_t space = r->data_offset, is = r->members[0].data_offset, will = 0;
	const struct ndm_dev *first = r->members[0].data;
	unsigned i;

	if (!(r->words & RAID_DATA_OFFSET)) {
		if (r->geo.parity || (r->geo.level == 10 && !is_far(r->geo.layout)))
			return 0;
		is = 0;
	} else if (r->delta_disks < 0) {
		is = 0;
		will = space;
	} else if (r->delta_disks > 0) {
		is = space;
	} else {
		is = space ? is : 0;
		will = is ? 0 : space;
	}
	if (r->words & RAID_DATA_OFFSET && space && first &&
	    first->store->nr < r->want_dev + SPACE_LEAST)
		return ndm_error(r->ti, -ENOSPC, "No space for %s reshape", is ? "forward" : "backward");
	for (i = 0; i < r->n; i++) {
		r->members[i].data_offset = is;
		r->members[i].new_data_offset = will;
	}
	return 0;
}

static uint64_t space(const struct raid *r)
{
	const struct raid_member *m = &r->members[0];
	uint64_t apart = m->data_offset > m->new_data_offset ? m->data_offset - m->new_data_offset
							     : m->new_data_offset - m->data_offset;

	return apart > r->data_offset ? apart : r->data_offset;
}

static bool reshape_wanted(const struct raid *r)
{
	bool change = r->delta_disks || r->geo.layout != r->want_layout || r->geo.chunk != r->want_chunk;

	if (r->geo.level == 10 && (is_far(r->want_layout) || r->delta_disks < 0))
		return false;
	return change && r->geo.level > 1 && space(r);
}

/* of the new shape, which is in r->geo already */
static bool shape_valid(const struct raid *r)
{
	const struct raid_geometry *o = &r->reshape.old, *n = &r->geo;
	unsigned wide = o->chunk > n->chunk ? o->chunk : n->chunk;

	if (!raid_type_of(n->level, n->layout))
		return false;
	if (n->parity)
		return n->disks >= (n->parity == 2 ? 4 : 2) && n->disks <= RAID_DISKS_MAX &&
		       n->dev_sectors / o->chunk * o->chunk == n->dev_sectors / wide * wide;
	return !is_far(o->layout) && !is_far(n->layout) && n->disks <= RAID_DISKS_MAX &&
	       raid10_near(o->layout) * raid10_far(o->layout) ==
	       raid10_near(n->layout) * raid10_far(n->layout) && raid_size_of(n) >= raid_size_of(o);
}

static int reshape_ask(struct raid *r)
{
	struct raid_reshape *p = &r->reshape;
	uint64_t sectors = r->geo.array_sectors;
	unsigned i, had = r->geo.disks;
	int err;

	if (r->journal)
		return ndm_error(r->ti, -EPERM, "Can't reshape a journaled raid4/5/6 set");
	if (raid_degraded(r))
		return ndm_error(r->ti, -EPERM, "Can't reshape degraded raid set");
	err = raid_sizes_by_table(r, r->ti->nr);
	if (!err)
		err = offsets_set(r);
	if (err)
		return err;
	p->old = r->geo;
	r->geo.chunk = r->want_chunk;
	if (!r->delta_disks)			/* both at once is none of Linux' */
		r->geo.layout = r->want_layout;
	r->geo.disks = (unsigned)((int)had + r->delta_disks);
	if ((int)had + r->delta_disks < 2 || r->n < had || r->n < r->geo.disks ||
	    sectors % r->geo.chunk || !shape_valid(r))
		return ndm_error(r->ti, -EINVAL, "Reshape check failed");
	for (i = had; i < r->geo.disks; i++) {
		if (!raid_member_alive(r, i))
			return ndm_error(r->ti, -EINVAL, "Reshape check failed: member %u is missing", i);
		r->members[i].in_sync = true;	/* nothing is there that anybody would read */
		r->members[i].by_bitmap = false;
		r->members[i].recovery_offset = RAID_NONE;
	}
	p->backwards = r->delta_disks < 0 || (!r->delta_disks && !r->members[0].data_offset);
	r->resync_offset = RAID_NONE;
	r->update = true;
	return raid_reshape_begin(r, RAID_NONE);
}

/* ---- all of it ---- */

int raid_convert(struct raid *r)
{
	int level = r->geo.level, err;

	if (r->new_array || !r->want_level)
		return offsets_set(r);
	if (r->reshape.active) {
		if (level != r->want_level)
			return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
					 "Can't takeover a reshaping raid set");
		err = raid_sizes_by_table(r, r->ti->nr);
		r->reshape.old.dev_sectors = r->geo.dev_sectors;
		if (!err && !shape_valid(r))
			err = ndm_error(r->ti, -EINVAL, "Failed to run raid array: no reshape that is known");
		return err ? err : raid_reshape_begin(r, r->reshape.position);
	}
	if (r->resync_offset >= r->geo.dev_sectors) {
		if (level != r->want_level) {
			err = raid_takeover(r);
			return err ? err : offsets_set(r);
		}
		if (level == 1 && r->n != r->geo.disks) {
			err = legs_change(r);
			return err ? err : offsets_set(r);
		}
		if (reshape_wanted(r))
			return reshape_ask(r);
	}
	if (level != r->want_level)
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
				 "the level cannot change while it is resynced");
	if (r->n < r->geo.disks)
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: the superblocks say "
				 "%u devices, the table %u", r->geo.disks, r->n);
	err = size_change(r);
	return err ? err : offsets_set(r);
}
