/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * takeover.c - a table that wants another array than the superblocks have: another size, another
 * number of legs of a raid1, another level.
 *
 * A change of level is no more than other words in the superblocks where the data lie in the same
 * places.  Changes that move data (reshape: layout, chunk, disks of a raid4/5/6/10) are refused.
 */
#include "raid.h"

enum { PARITY_0 = 4, PARITY_N = 5, Q_LAST = 16 };

static int takeover_setup(struct raid *r)
{
	unsigned i;

	r->geo.level = r->want_level;
	r->geo.layout = r->want_layout;
	r->geo.chunk = r->want_chunk;
	r->geo.parity = r->type->parity;
	r->geo.disks = r->n;
	r->resync_offset = RAID_NONE;
	r->update = true;
	for (i = 0; i < r->n; i++)
		if (r->members[i].rebuild) {
			r->members[i].in_sync = false;
			r->members[i].recovery_offset = 0;
			r->members[i].by_bitmap = false;
			r->bitmap_anew = true;
		}
	return raid_sizes_by_table(r, r->ti->nr);
}

/* levels between which the data stay where they are */
static bool takeover_possible(const struct raid *r)
{
	int from = r->geo.level, to = r->want_level, old = r->geo.layout, new = r->want_layout;
	unsigned had = r->geo.disks, n = r->n;

	if (from == 0 && to >= 5 && to <= 6)	/* parity on new last members */
		return had > 1 && new == PARITY_N && n == had + r->type->parity;
	if (from == 1 && to == 5)		/* two legs: P is the copy, with any layout */
		return had == 2 && n == 2;
	if (from == 5 && to == 1)
		return had == 2 && n == 2;
	if (from == 1 && to == 10)
		return n == had && raid10_near(new) == n;
	if (from == 10 && to == 1)
		return n == had && raid10_near(old) == had && raid10_far(old) == 1;
	if (from == 5 && to == 6)
		return n == had + 1 && ((old == PARITY_N && new == PARITY_N) || new == (old | Q_LAST));
	if (from == 6 && to == 5)
		return n + 1 == had && ((old == PARITY_N && new == PARITY_N) || old == (new | Q_LAST));
	if (from == 5 && to == 0)
		return old == PARITY_N && n + 1 == had;
	if (from == 6 && to == 0)
		return old == PARITY_N && n + 2 == had;
	return false;
}

static int takeover(struct raid *r)
{
	unsigned had = r->geo.disks, lost = 0, i;

	if (r->journal)
		return ndm_error(r->ti, -EPERM, "Can't takeover a journaled raid4/5/6 set");
	for (i = 0; i < had && i < r->n; i++)
		lost += !r->members[i].rebuild &&
			(!raid_member_alive(r, i) || !r->members[i].in_sync);
	if (lost)
		return ndm_error(r->ti, -EPERM, "Can't takeover degraded raid set");
	if (!takeover_possible(r))
		return ndm_error(r->ti, -EINVAL, "takeover not possible");
	/* what has a chunk keeps it */
	if (r->geo.chunk && r->want_chunk && r->geo.level != 1 && r->want_chunk != r->geo.chunk)
		return ndm_error(r->ti, -EINVAL, "takeover not possible: chunks of another size");
	return takeover_setup(r);
}

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

static bool layout_differs(const struct raid *r)
{
	return r->delta_disks || r->geo.layout != r->want_layout || r->geo.chunk != r->want_chunk;
}

int raid_convert(struct raid *r)
{
	int level = r->geo.level;

	if (r->new_array)
		return 0;
	if (r->resync_offset >= r->geo.dev_sectors) {
		if (level != r->want_level)
			return takeover(r);
		if (level == 1 && r->n != r->geo.disks)
			return legs_change(r);
		if (level != 1 && layout_differs(r) && (r->data_offset || r->members[0].data_offset))
			return ndm_error(r->ti, -EOPNOTSUPP, "Reshape not supported: layout, chunk "
					 "size and disks of raid%d stay as they are", level);
	}
	if (level != r->want_level)
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
				 "the level cannot change while it is resynced");
	if (r->n < r->geo.disks || (r->n > r->geo.disks && level != 1))
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: the superblocks say "
				 "%u devices, the table %u", r->geo.disks, r->n);
	return size_change(r);
}
