/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reshape.c - data move to another layout, chunk or number of members while the array is used.
 *
 * Array sectors go window by window from the old shape, at data_offset on each member, to the new
 * one at new_data_offset; forwards or backwards, so that the space between the two stays in front.
 * How far that has got is reshape_position in the superblocks.
 *
 * Crash states: a window is written only where no data lie that the old shape still has from the
 * position on disk on.  Then the members are flushed, then the superblocks say the new position.
 * Until they do the window's data are in the old shape, all of them; users who want to get there
 * wait, so that nothing is written into the new one that a crash would forget.
 *
 * Parity is made anew on the way.  Behind the end of what the old shape had are zeroes (raid4/5/6),
 * or whatever was there (raid10, which is resynced there afterwards).
 */
#include "raid.h"

#define WINDOW_ROWS 4096u			/* sectors of each member, at most, at once */

/* ---- positions ---- */

uint64_t raid_reshape_total(const struct raid *r)
{
	const struct raid_reshape *p = &r->reshape;
	uint64_t all = p->from > p->to ? p->from : p->to;

	return r->geo.parity ? all / raid_data_disks(&r->geo) : all;
}

uint64_t raid_reshape_progress(const struct raid *r)
{
	const struct raid_reshape *p = &r->reshape;
	uint64_t done = p->backwards ? p->from - p->position : p->position;

	return r->geo.parity ? done / raid_data_disks(&r->geo) : done;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t next_position(const struct raid_reshape *p, uint64_t at, uint64_t units)
{
	uint64_t on = p->backwards ? (at - 1) / p->unit : at / p->unit;

	if (p->backwards)
		return on + 1 > units ? (on + 1 - units) * p->unit : 0;
	return least((on + units) * p->unit, p->to);
}

/* sectors by which the data move away from what is still to come; the least of all members */
static int64_t distance(const struct raid *r)
{
	int64_t least_of = INT64_MAX;
	unsigned i;

	for (i = 0; i < r->n; i++) {
		const struct raid_member *m = &r->members[i];
		int64_t apart = (int64_t)m->data_offset - (int64_t)m->new_data_offset;

		if (r->reshape.backwards)
			apart = -apart;
		if (m->data && apart < least_of)
			least_of = apart;
	}
	return least_of;
}

/* may all between two positions be written while the old shape has all from the first one on? */
static bool fits(const struct raid *r, uint64_t from, uint64_t to, int64_t apart)
{
	const struct raid_reshape *p = &r->reshape;
	uint64_t low, high, old_low, old_high;

	if (from == to)
		return true;
	if (p->backwards) {
		raid_rows_of(&r->geo, to, from, &low, &high);
		raid_rows_of(&p->old, from - 1, from, &old_low, &old_high);
		return (int64_t)low + apart >= (int64_t)old_high;
	}
	if (from >= p->old_size)
		return true;			/* nothing is left there */
	raid_rows_of(&r->geo, from, to, &low, &high);
	raid_rows_of(&p->old, from, from + 1, &old_low, &old_high);
	return (int64_t)high <= (int64_t)old_low + apart;
}

/* where the space is shortest: near 0, within a period of both layouts */
bool raid_reshape_room(const struct raid *r)
{
	const struct raid_reshape *p = &r->reshape;
	uint64_t all = p->from > p->to ? p->from : p->to, at;
	uint64_t period = (uint64_t)2 * r->geo.disks * p->old.disks + 2;
	int64_t apart = distance(r);

	for (at = p->unit; at <= all && at <= period * p->unit; at += p->unit)
		if (!(p->backwards ? fits(r, at, at - p->unit, apart) : fits(r, at - p->unit, at, apart)))
			return false;
	return true;
}

static void sizes_set(struct raid *r)
{
	struct raid_reshape *p = &r->reshape;
	unsigned wide = p->old.chunk > r->geo.chunk ? p->old.chunk : r->geo.chunk;
	uint64_t before, after;

	p->old.dev_sectors = r->geo.dev_sectors;
	before = raid_size_of(&p->old);
	after = raid_size_of(&r->geo);
	p->old.array_sectors = before;
	r->geo.array_sectors = after;
	p->old_size = before;
	p->unit = (uint64_t)wide * (r->geo.parity ? raid_data_disks(&r->geo) : 1);
	p->from = p->backwards ? least(before, after) : 0;
	p->to = p->backwards ? 0 : r->geo.parity ? after : least(before, after);
}

/* position: as on disk, or RAID_NONE for one that begins */
int raid_reshape_begin(struct raid *r, uint64_t position)
{
	struct raid_reshape *p = &r->reshape;

	sizes_set(r);
	p->active = true;
	p->position = position == RAID_NONE ? p->from : position;
	if (p->position > (p->backwards ? p->from : p->to) || !p->unit ||
	    (r->geo.parity && p->position % p->unit && p->position != p->to))
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
				 "reshape_position %" PRIu64 " is not on a stripe boundary", position);
	if (!raid_reshape_room(r))
		return ndm_error(r->ti, -EINVAL, "Reshape check failed: data_offset is too small for "
				 "chunks of this size, data would be written over");
	return 0;
}

/* ---- one window ---- */

static bool window_holds(const struct raid_reshape *p, uint64_t first, uint64_t last)
{
	return p->window_first <= p->window_last && first <= p->window_last && last >= p->window_first;
}

static bool passage_in_window(const struct raid_reshape *p)
{
	const struct raid_passage *w;

	for (w = p->passages.next; w != &p->passages; w = w->next)
		if (window_holds(p, w->first, w->last))
			return true;
	return false;
}

static int piece_read(struct stripe_job *j)
{
	struct raid *r = j->r;
	unsigned i, chunk = j->geo->chunk;
	int err = 0;

	for (i = 0; i < j->d; i++) {
		uint64_t sector = (j->stripe * j->d + i) * chunk + j->first;

		if (sector >= r->reshape.old_size)
			memset(j->slot[i], 0, stripe_bytes(j));
		else if (!err)
			err = raid_stripe_read(r, true, sector, j->nr, j->slot[i]);
	}
	return err;
}

static int piece_move(struct raid *r, uint64_t stripe, unsigned first, unsigned nr)
{
	struct stripe_job *j = stripe_job_get(r, false, stripe, first, nr);
	unsigned i;
	int err = j ? piece_read(j) : -ENOMEM;

	if (!err) {
		stripe_compute(j, j->slot[j->d], j->geo->parity == 2 ? j->slot[j->d + 1] : NULL);
		for (i = 0; i < j->geo->disks; i++)
			stripe_write(j, i, 0);
		err = stripe_wait_writes(j);
	}
	if (j)
		stripe_job_put(j);
	return err;
}

static int stripes_move(struct raid *r, uint64_t first, uint64_t end)
{
	const struct raid_geometry *n = &r->geo;
	uint64_t wide = (uint64_t)n->chunk * raid_data_disks(n), stripe;
	unsigned max = stripe_piece_max(r), old = r->reshape.old.chunk, at, nr;
	int err = 0;

	for (stripe = first / wide; stripe < end / wide && !err; stripe++)
		for (at = 0; at < n->chunk && !err; at += nr) {
			nr = max;
			if (nr > n->chunk - at)
				nr = n->chunk - at;
			if (nr > old - at % old)
				nr = old - at % old;
			err = piece_move(r, stripe, at, nr);
		}
	return err;
}

static int copy_read(struct raid *r, const struct copies_job *j, uint64_t nr, void *to)
{
	unsigned i;
	int err = -EIO;

	for (i = 0; i < j->n && err; i++) {
		const struct raid_copy *c = &j->copy[i];

		if (raid_member_readable(r, c->disk, c->sector, nr))
			err = ndm_rw(raid_store(r, c->disk), NDM_READ, 0,
				     raid_member_sector(r, c->disk, c->sector, j->old), nr, to);
	}
	return err;
}

static int copy_write(struct raid *r, const struct copies_job *j, uint64_t nr, void *from)
{
	unsigned i, good = 0;
	int err = -EIO, got;

	for (i = 0; i < j->n; i++) {
		const struct raid_copy *c = &j->copy[i];

		if (!raid_member_alive(r, c->disk))
			continue;
		got = ndm_rw(raid_store(r, c->disk), NDM_WRITE, 0,
			     raid_member_sector(r, c->disk, c->sector, j->old), nr, from);
		if (!got)
			good++;
		else if (!raid_member_fail(r, c->disk, "Write error of a reshape"))
			err = got;
	}
	return good ? 0 : err;
}

static int copies_move(struct raid *r, uint64_t first, uint64_t end)
{
	const struct raid_geometry *n = &r->geo, *o = &r->reshape.old;
	void *buf = patient_buffer(r->ti->loop, RAID_PIECE * NDM_SECTOR_BYTES);
	uint64_t at, nr, run;
	int err = buf ? 0 : -ENOMEM;

	for (at = first; at < end && !err; at += nr) {
		struct copies_job *from = copies_job_get(r, true, at, &run), *to = NULL;

		nr = least(least(RAID_PIECE, end - at), n->chunk - at % n->chunk);
		nr = least(nr, o->chunk - at % o->chunk);
		err = from ? copy_read(r, from, nr, buf) : -ENOMEM;
		if (!err) {
			to = copies_job_get(r, false, at, &run);
			err = to ? copy_write(r, to, nr, buf) : -ENOMEM;
		}
		if (from)
			copies_job_put(r, from);
		if (to)
			copies_job_put(r, to);
	}
	if (buf)
		ndm_buffer_put(r->ti->loop, buf, RAID_PIECE * NDM_SECTOR_BYTES);
	return err;
}

static int window_close(struct raid *r, uint64_t end)
{
	uint64_t was = r->reshape.position;
	int err = raid_flush_members(r);

	if (err)
		return err;
	r->reshape.position = end;
	err = raid_supers_update(r);
	if (err)
		r->reshape.position = was;
	return err;
}

static int window_move(struct raid *r, uint64_t end)
{
	struct raid_reshape *p = &r->reshape;
	uint64_t low = least(p->position, end), high = p->position > end ? p->position : end;
	int err;

	p->window_first = low;
	p->window_last = high - 1;
	while (passage_in_window(p))
		ndm_wait(&p->idle);
	err = r->geo.parity ? stripes_move(r, low, high) : copies_move(r, low, high);
	if (!err)
		err = window_close(r, end);
	p->window_first = RAID_NONE;
	p->window_last = 0;
	ndm_wake_all(&p->free);
	return err;
}

/* as much as there is room for */
static uint64_t window_end(const struct raid *r)
{
	const struct raid_reshape *p = &r->reshape;
	unsigned wide = p->old.chunk > r->geo.chunk ? p->old.chunk : r->geo.chunk;
	uint64_t most = WINDOW_ROWS / wide ? WINDOW_ROWS / wide : 1, k, end = p->position, next;
	int64_t apart = distance(r);

	for (k = 1; k <= most && end != p->to; k++) {
		next = next_position(p, p->position, k);
		if (!fits(r, p->position, next, apart))
			break;
		end = next;
	}
	return end;
}

/* one window; no flush or superblock for less */
int raid_reshape_step(struct raid *r)
{
	uint64_t end = window_end(r);

	return end == r->reshape.position ? -ENOSPC : window_move(r, end);
}

/* ---- the end ---- */

/* what only the new shape has, of a raid10, is not equal yet */
static void grown_resync(struct raid *r)
{
	if (r->geo.parity || r->geo.array_sectors <= r->reshape.old_size)
		return;
	r->resync_offset = r->reshape.old_size;
	raid_bitmap_need(r, r->reshape.old_size, raid_sync_total(r));
}

/*
 * A member that has been missing has nothing of the new shape: when it comes back, to us or to
 * Linux, it is given what the bitmap says, and that is all.
 */
static int missed_mark(struct raid *r)
{
	if (!r->degraded || raid_bitmap_none(r))
		return 0;
	raid_bitmap_need_all(r);
	return raid_bitmap_store(r);
}

int raid_reshape_done(struct raid *r)
{
	unsigned i;
	int err = missed_mark(r);

	if (err)
		return err;
	grown_resync(r);
	r->reshape.active = false;
	for (i = 0; i < r->n; i++) {
		struct raid_member *m = &r->members[i];

		m->data_offset = m->new_data_offset;
		if (i >= r->geo.disks)		/* it has been taken away */
			m->in_sync = false;
		if (!m->in_sync) {
			m->by_bitmap = false;
			m->recovery_offset = 0;
		}
	}
	r->degraded = raid_degraded(r);
	raid_max_io(r);
	ndm_wake_all(&r->reshape.free);
	return 0;
}

/* ---- users ---- */

static bool not_there_yet(const struct raid *r, uint64_t end)
{
	return raid_in_old(r, end - 1) && end > r->reshape.old_size;
}

static bool straddles(const struct raid *r, uint64_t first, uint64_t last)
{
	return raid_in_old(r, first) != raid_in_old(r, last);
}

/* 0: it is in; -EIO: it cannot come in, since nothing goes on */
static int enter(struct raid *r, struct raid_passage *w, bool change)
{
	struct raid_reshape *p = &r->reshape;

	while (p->active) {
		if (!window_holds(p, w->first, w->last)) {
			bool stuck = straddles(r, w->first, w->last) ||
				     (change && not_there_yet(r, w->last + 1));

			if (!stuck)
				break;
			if (r->frozen || r->sync.failed || !r->ti->writable)
				return -EIO;
		}
		ndm_wait(&p->free);
	}
	w->prev = &p->passages;
	w->next = p->passages.next;
	w->next->prev = w->prev->next = w;
	return 0;
}

static void leave(struct raid *r, struct raid_passage *w)
{
	w->prev->next = w->next;
	w->next->prev = w->prev;
	ndm_wake_all(&r->reshape.idle);
}

/* a bio lies within one chunk of either shape: raid_max_io() */
int raid_reshape_io(struct raid *r, struct ndm_bio *bio)
{
	bool change = bio->op == NDM_WRITE || bio->op == NDM_DISCARD || bio->op == NDM_ZEROES, old;
	struct raid_passage w = { .first = ndm_offset(r->ti, bio->sector) };
	int err;

	w.last = w.first + bio->nr - 1;
	err = enter(r, &w, change);
	if (err)
		return err;
	old = raid_in_old(r, w.first);
	if (!change && not_there_yet(r, w.last + 1)) {
		if (bio->op == NDM_READ)
			ndm_data_zero(&bio->data, bio->nr * NDM_SECTOR_BYTES);
		err = bio->op == NDM_READ || bio->op == NDM_CACHE ? 0 : -EOPNOTSUPP;
	} else if (r->geo.parity) {
		err = raid_stripe_io(r, bio, old);
	} else {
		err = raid_copies_io(r, bio, old);
	}
	leave(r, &w);
	return err;
}
