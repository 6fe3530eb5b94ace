/* SPDX-License-Identifier: BSD-2-Clause */
/* sync-stripe.c - raid4, 5, 6: one piece of a stripe, resynced, recovered, checked or repaired. */
#include "raid.h"

#define COMPARED 8u				/* sectors: what one mismatch counts for */

static bool wanted(struct raid *r, unsigned i, uint64_t row)
{
	const struct raid_member *m = &r->members[i];
	uint64_t run;

	if (!raid_member_alive(r, i) || m->in_sync)
		return false;
	if (m->by_bitmap && !raid_bitmap_none(r))
		return raid_bitmap_dirty(r, row, &run);
	return row >= m->recovery_offset;
}

/* sectors whose P or Q is not what it should be */
static uint64_t differing(struct stripe_job *j)
{
	unsigned parity = j->geo->parity, at, n, k, count = 0;

	for (at = 0; at < j->nr; at += n) {
		size_t skip = (size_t)at * NDM_SECTOR_BYTES;
		bool same = true;

		n = j->nr - at < COMPARED ? j->nr - at : COMPARED;
		for (k = 0; k < parity; k++)
			if (j->state[j->d + k] == SLOT_FULL &&
			    memcmp((uint8_t *)j->slot[j->d + k] + skip,
				   (uint8_t *)j->slot[j->geo->disks + k] + skip,
				   (size_t)n * NDM_SECTOR_BYTES))
				same = false;
		count += same ? 0 : n;
	}
	return count;
}

/* the data are believed: parity is made from them, compared, and written where it differs */
static int parity_piece(struct stripe_job *j)
{
	unsigned parity = j->geo->parity, k, slot = j->geo->disks;
	uint64_t count;
	int err = stripe_fetch(j, true);

	if (err)
		return err;
	for (k = 0; k < parity; k++)
		if (j->state[j->d + k] == SLOT_EMPTY && stripe_readable(j, j->d + k))
			stripe_read(j, j->d + k);
	stripe_wait(j);
	stripe_compute(j, j->slot[slot], parity == 2 ? j->slot[slot + 1] : NULL);
	count = differing(j);
	j->r->sync.mismatches += count;
	for (k = 0; k < parity; k++)
		if (j->state[j->d + k] == SLOT_LOST || (count && j->r->sync.action != RAID_CHECK))
			stripe_store_from(j, j->d + k, j->slot[slot + k], 0);
	return stripe_wait_writes(j);
}

static int recover_piece(struct stripe_job *j, uint64_t row)
{
	unsigned i, n = j->geo->disks, parity = j->geo->parity;
	bool any = false;
	int err;

	for (i = 0; i < n; i++)
		any |= wanted(j->r, j->disk[i], row);
	if (!any)
		return 0;
	err = stripe_fetch(j, true);
	if (err)
		return err;
	stripe_compute(j, j->slot[j->d], parity == 2 ? j->slot[j->d + 1] : NULL);
	for (i = 0; i < n; i++)
		if (wanted(j->r, j->disk[i], row))
			stripe_write(j, i, 0);
	return stripe_wait_writes(j);
}

/* one piece in one shape */
static int piece_sync(struct raid *r, bool old, uint64_t first, unsigned nr)
{
	unsigned chunk = raid_geo(r, old)->chunk;
	struct stripe_job *j;
	struct ndm_range held;
	int err;

	ndm_range_lock(&r->rows, &held, first, first + nr - 1);
	j = stripe_job_get(r, old, first / chunk, first % chunk, nr);
	if (!j)
		err = -ENOMEM;
	else if (r->sync.action == RAID_RECOVER)
		err = recover_piece(j, first);
	else
		err = parity_piece(j);
	if (j)
		stripe_job_put(j);
	ndm_range_unlock(&r->rows, &held);
	return err;
}

/*
 * While there are two shapes a row is one stripe of each: the new one if all of its data lie there,
 * the old one if any do.
 */
static int row_resync(struct raid *r, uint64_t first, unsigned nr)
{
	const struct raid_geometry *n = &r->geo, *o = &r->reshape.old;
	uint64_t wide = (uint64_t)n->chunk * raid_data_disks(n), at = first / n->chunk * wide;
	bool now = !raid_in_old(r, at) && !raid_in_old(r, at + wide - 1);
	int err = now ? piece_sync(r, false, first, nr) : 0;

	wide = (uint64_t)o->chunk * raid_data_disks(o);
	at = first / o->chunk * wide;
	if (!err && (raid_in_old(r, at) || raid_in_old(r, at + wide - 1)))
		err = piece_sync(r, true, first, nr);
	return err;
}

int raid_sync_stripes(struct raid *r, uint64_t first, uint64_t *did)
{
	unsigned chunk = r->geo.chunk, nr = stripe_piece_max(r);
	int err;

	if (r->reshape.active && r->reshape.old.chunk < chunk)
		chunk = r->reshape.old.chunk;
	if (nr > chunk - first % chunk)
		nr = chunk - (unsigned)(first % chunk);
	if (r->sync.action != RAID_RECOVER && r->degraded >= r->geo.parity) {
		*did = raid_sync_total(r) - first;	/* nothing to compare with */
		return 0;
	}
	if (r->sync.action == RAID_RECOVER && first / chunk * chunk + chunk > raid_sync_total(r)) {
		*did = nr;			/* what is left over behind the last whole chunk */
		return 0;
	}
	err = r->reshape.active ? row_resync(r, first, nr) : piece_sync(r, false, first, nr);
	*did = nr;
	return err ? err : raid_supers_failed(r);
}
