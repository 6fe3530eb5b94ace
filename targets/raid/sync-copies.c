/* SPDX-License-Identifier: BSD-2-Clause */
/* sync-copies.c - raid1, raid10: one window of a resync, a recovery, a check or a repair. */
#include "raid.h"

#define COMPARED 128u				/* sectors: what one mismatch counts for */

struct window {
	struct raid *r;
	struct copies_job *j;
	uint64_t first, nr;			/* of the array */
	uint8_t *buf;				/* source, then one other copy */
	size_t bytes;
};

static uint8_t *other(const struct window *w) { return w->buf + w->nr * NDM_SECTOR_BYTES; }

static int copy_rw(const struct window *w, unsigned i, enum ndm_op op, void *buf)
{
	const struct raid_copy *c = &w->j->copy[i];

	return ndm_rw(raid_store(w->r, c->disk), op, 0, raid_member_sector(w->r, c->disk, c->sector, w->j->old),
		      w->nr, buf);
}

/* the copy that is believed, or the next one that can be read; n: none */
static unsigned source_read(const struct window *w)
{
	unsigned i = w->j->n, k;

	if (w->r->sync.action < RAID_CHECK)	/* those take the first one, write-mostly or not */
		i = raid_copies_source(w->r, w->j, w->nr);
	if (i < w->j->n && !copy_rw(w, i, NDM_READ, w->buf))
		return i;
	for (k = 0; k < w->j->n; k++)
		if (k != i && raid_member_readable(w->r, w->j->copy[k].disk, w->j->copy[k].sector, w->nr) &&
		    !copy_rw(w, k, NDM_READ, w->buf))
			return k;
	return w->j->n;
}

static void copy_write(const struct window *w, unsigned i)
{
	if (raid_member_alive(w->r, w->j->copy[i].disk) && copy_rw(w, i, NDM_WRITE, w->buf))
		raid_member_fail(w->r, w->j->copy[i].disk, "Write error of a resync");
}

static uint64_t differing(const struct window *w)
{
	uint64_t at, n, count = 0;

	for (at = 0; at < w->nr; at += n) {
		n = w->nr - at < COMPARED ? w->nr - at : COMPARED;
		if (memcmp(w->buf + at * NDM_SECTOR_BYTES, other(w) + at * NDM_SECTOR_BYTES,
			   n * NDM_SECTOR_BYTES))
			count += n;
	}
	return count;
}

static int window_check(const struct window *w, unsigned from)
{
	struct raid *r = w->r;
	uint64_t count;
	unsigned i;

	for (i = 0; i < w->j->n; i++) {
		unsigned d = w->j->copy[i].disk;

		if (i == from || !raid_member_readable(r, d, w->j->copy[i].sector, w->nr))
			continue;
		if (copy_rw(w, i, NDM_READ, other(w))) {
			copy_write(w, i);	/* unreadable: written again */
			continue;
		}
		count = differing(w);
		r->sync.mismatches += count;
		if (count && r->sync.action == RAID_REPAIR)
			copy_write(w, i);
	}
	return 0;
}

/* only: the one member that is recovered; RAID_DISKS_MAX: all others */
static int window_copy(const struct window *w, unsigned from, unsigned only)
{
	unsigned i;

	for (i = 0; i < w->j->n; i++)
		if (i != from && (only == RAID_DISKS_MAX || w->j->copy[i].disk == only))
			copy_write(w, i);
	return 0;
}

static int window_do(struct raid *r, uint64_t first, uint64_t nr, unsigned only)
{
	struct window w = { .r = r, .first = first, .nr = nr };
	uint64_t run;
	unsigned from;
	int err = -ENOMEM;

	w.bytes = 2 * nr * NDM_SECTOR_BYTES;
	w.buf = patient_buffer(r->ti->loop, w.bytes);
	w.j = copies_job_get(r, raid_in_old(r, first), first, &run);
	if (!w.buf || !w.j)
		goto out;
	raid_window_take(r, first, first + nr - 1);
	from = source_read(&w);
	if (from == w.j->n)
		err = -EIO;
	else if (r->sync.action >= RAID_CHECK)
		err = window_check(&w, from);
	else
		err = window_copy(&w, from, only);
	raid_window_drop(r);
out:
	if (w.j)
		copies_job_put(r, w.j);
	if (w.buf)
		ndm_buffer_put(r->ti->loop, w.buf, w.bytes);
	return err ? err : raid_supers_failed(r);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static bool member_wants(struct raid *r, unsigned i, uint64_t row, uint64_t owner, uint64_t *run)
{
	const struct raid_member *m = &r->members[i];
	uint64_t dirty;

	if (!raid_member_alive(r, i) || m->in_sync)
		return false;
	if (!m->by_bitmap || raid_bitmap_none(r)) {
		if (row >= m->recovery_offset)
			return true;
		*run = least(*run, m->recovery_offset - row);
		return false;
	}
	if (raid_bitmap_dirty(r, owner, &dirty)) {
		*run = least(*run, dirty);
		return true;
	}
	*run = least(*run, dirty);
	return false;
}

/* The sector of the array that a member's row holds; some rows at the end hold none. */
static uint64_t owner_of(struct raid *r, unsigned i, uint64_t row)
{
	uint64_t run = 0, owner = raid_copy_owner(&r->geo, i, row, &run);

	return owner < r->usable ? owner : RAID_NONE;
}

/* by rows of the members; at most one chunk of each */
static int recover_row(struct raid *r, uint64_t row, uint64_t *did)
{
	uint64_t nr = least(RAID_PIECE, r->geo.dev_sectors - row), owner;
	unsigned i;
	int err = 0;

	if (r->geo.chunk)
		nr = least(nr, r->geo.chunk - row % r->geo.chunk);
	for (i = 0; i < r->geo.disks; i++) {	/* how far all agree on what is to be done */
		owner = owner_of(r, i, row);
		if (owner != RAID_NONE)
			member_wants(r, i, row, owner, &nr);
	}
	for (i = 0; i < r->geo.disks && !err; i++) {
		uint64_t all = nr;

		owner = owner_of(r, i, row);
		if (owner == RAID_NONE || !member_wants(r, i, row, owner, &all))
			continue;
		err = window_do(r, owner, least(nr, r->geo.array_sectors - owner), i);
	}
	*did = nr;
	return err;
}

/* within a chunk of both shapes, and on one side of where they meet */
static void reshape_limits(struct raid *r, uint64_t first, uint64_t *nr)
{
	const struct raid_reshape *p = &r->reshape;

	if (!p->active)
		return;
	*nr = least(*nr, p->old.chunk - first % p->old.chunk);
	if (first < p->position)
		*nr = least(*nr, p->position - first);
	else if (raid_in_old(r, first) && first < p->old_size)
		*nr = least(*nr, p->old_size - first);
}

int raid_sync_copies(struct raid *r, uint64_t first, uint64_t *did)
{
	uint64_t total = raid_sync_total(r), need;

	if (r->sync.action == RAID_RECOVER)
		return recover_row(r, first, did);
	*did = least(RAID_PIECE, total - first);
	if (r->geo.chunk)
		*did = least(*did, r->geo.chunk - first % r->geo.chunk);
	if (raid_in_old(r, first) && first >= r->reshape.old_size) {
		*did = total - first;		/* not there before it has moved */
		return 0;
	}
	reshape_limits(r, first, did);
	if (r->sync.action == RAID_RESYNC && !raid_bitmap_none(r)) {
		raid_bitmap_needs(r, first, &need);
		*did = least(*did, need);
	}
	return window_do(r, first, *did, RAID_DISKS_MAX);
}
