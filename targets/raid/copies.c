/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copies.c - raid0, raid1 and raid10: reads of one copy, writes of all.
 *
 * Writes do not exclude each other, as with Linux; but a resync, or the repair of a block that
 * could not be read, copies within a window: writes there wait, and those under way are waited for.
 *
 * While copies may differ all reads come from the one that the others are going to be made from.
 */
#include "raid.h"

/* ---- memory for one request ---- */

struct copies_job *copies_job_get(struct raid *r, bool old, uint64_t sector, uint64_t *run)
{
	struct copies_job *j = r->copy_jobs;
	unsigned n = raid_disks_most(r);
	uint8_t *p;

	if (j) {
		r->copy_jobs = j->next;
	} else {
		j = patient_zalloc(r->ti->loop, sizeof *j + n * (sizeof *j->copy + sizeof *j->group +
								 sizeof *j->iov + sizeof *j->busy));
		if (!j)
			return NULL;
		p = (uint8_t *)(j + 1);
		j->group = (struct ndm_group *)p;
		j->copy = (struct raid_copy *)(j->group + n);
		j->iov = (struct iovec *)(j->copy + n);
		j->busy = (bool *)(j->iov + n);
	}
	j->old = old;
	j->n = raid_copies(raid_geo(r, old), sector, j->copy, n, run);
	return j;
}

void copies_job_put(struct raid *r, struct copies_job *j)
{
	j->next = r->copy_jobs;
	r->copy_jobs = j;
}

void copies_jobs_free(struct raid *r)
{
	struct copies_job *j;

	while ((j = r->copy_jobs)) {
		r->copy_jobs = j->next;
		ndm_free(j);
	}
}

/* ---- windows ---- */

static bool window_holds(const struct raid *r, uint64_t first, uint64_t last)
{
	return first <= r->window_last && last >= r->window_first;
}

static bool writes_in_window(const struct raid *r)
{
	const struct raid_write *w;

	for (w = r->writes.next; w != &r->writes; w = w->next)
		if (window_holds(r, w->first, w->last))
			return true;
	return false;
}

void raid_window_take(struct raid *r, uint64_t first, uint64_t last)
{
	ndm_lock(&r->window_lock);
	r->window_first = first;
	r->window_last = last;
	while (writes_in_window(r))
		ndm_wait(&r->window_idle);
}

void raid_window_drop(struct raid *r)
{
	r->window_first = RAID_NONE;
	r->window_last = 0;
	ndm_wake_all(&r->window_free);
	ndm_unlock(&r->window_lock);
}

/* legs that get a write later must get the next one of the same place after it */
static bool behind_holds(const struct raid *r, const struct raid_write *new)
{
	const struct raid_write *w;

	for (w = r->writes.next; r->behind && w != &r->writes; w = w->next)
		if (w->late && w->first <= new->last && w->last >= new->first)
			return true;
	return false;
}

static void write_enter(struct raid *r, struct raid_write *w, const struct ndm_bio *bio)
{
	w->first = ndm_offset(r->ti, bio->sector);
	w->last = w->first + bio->nr - 1;
	w->late = false;
	while ((r->window_first <= r->window_last && window_holds(r, w->first, w->last)) ||
	       behind_holds(r, w))
		ndm_wait(&r->window_free);
	w->prev = &r->writes;
	w->next = r->writes.next;
	w->next->prev = w->prev->next = w;
}

static void write_leave(struct raid *r, struct raid_write *w)
{
	w->prev->next = w->next;
	w->next->prev = w->prev;
	ndm_wake_all(&r->window_idle);
	if (w->late)
		ndm_wake_all(&r->window_free);
}

/* ---- which copy ---- */

bool raid_sync_trusted(struct raid *r, uint64_t sector, uint64_t nr)
{
	uint64_t end = sector + nr, run;

	if (r->resync_offset == RAID_NONE || raid_bitmap_none(r))
		return true;
	if (r->sync.action == RAID_RESYNC && end <= r->sync.completed)
		return true;
	for (; sector < end; sector += run)
		if (raid_bitmap_needs(r, sector, &run))
			return false;
	return true;
}

unsigned raid_copies_source(const struct raid *r, const struct copies_job *j, uint64_t nr)
{
	unsigned i, mostly = j->n;

	for (i = 0; i < j->n; i++) {
		if (!raid_member_readable(r, j->copy[i].disk, j->copy[i].sector, nr))
			continue;
		if (!r->members[j->copy[i].disk].write_mostly)
			return i;
		if (mostly == j->n)
			mostly = i;
	}
	return mostly;
}

/* where the head is already, else who has the least to do */
static unsigned copy_balanced(const struct raid *r, const struct raid_copy *copy, unsigned n,
			      uint64_t nr)
{
	unsigned i, best = n;

	for (i = 0; i < n; i++) {
		const struct raid_member *m = &r->members[copy[i].disk], *b;

		if (!raid_member_readable(r, copy[i].disk, copy[i].sector, nr) || m->write_mostly)
			continue;
		if (m->head == copy[i].sector)
			return i;
		b = best < n ? &r->members[copy[best].disk] : NULL;
		if (!b || m->reads < b->reads)
			best = i;
	}
	return best;
}

static unsigned copy_choose(struct raid *r, struct copies_job *j, uint64_t sector, uint64_t nr)
{
	unsigned best = j->n;

	if (raid_sync_trusted(r, sector, nr))
		best = copy_balanced(r, j->copy, j->n, nr);
	return best < j->n ? best : raid_copies_source(r, j, nr);
}

/* ---- reads ---- */

#define STACK_COPIES 16u

static enum ndm_map map0(struct raid *r, struct ndm_bio *bio)
{
	uint64_t run, sector = ndm_offset(r->ti, bio->sector);
	struct raid_copy c;

	raid_copies(&r->geo, sector, &c, 1, &run);
	return ndm_remap(bio, r->members[c.disk].data, raid_member_sector(r, c.disk, c.sector, false));
}

enum ndm_map raid_copies_map(struct raid *r, struct ndm_bio *bio)
{
	uint64_t run, sector = ndm_offset(r->ti, bio->sector);
	struct raid_copy copy[STACK_COPIES];
	struct copies_job j = { .copy = copy };
	struct raid_fast *fast = ndm_per_bio(bio);
	struct raid_member *m;
	unsigned i;

	if (bio->op == NDM_FLUSH)
		return NDM_MAP_WAIT;
	if (sector + bio->nr > r->usable)
		return NDM_MAP_KILL;
	if (!r->geo.level)
		return map0(r, bio);
	if ((bio->op != NDM_READ && bio->op != NDM_EXTENTS && bio->op != NDM_CACHE) ||
	    r->geo.disks > STACK_COPIES || r->reshape.active)
		return NDM_MAP_WAIT;
	j.n = raid_copies(&r->geo, sector, copy, STACK_COPIES, &run);
	i = copy_choose(r, &j, sector, bio->nr);
	if (i == j.n || run < bio->nr)
		return NDM_MAP_WAIT;
	m = &r->members[copy[i].disk];
	if (m->write_mostly && r->behind)
		return NDM_MAP_WAIT;
	fast->member = m;
	m->reads++;
	m->head = copy[i].sector + bio->nr;
	return ndm_remap(bio, m->data, raid_member_sector(r, copy[i].disk, copy[i].sector, false));
}

static int block_rewrite(struct raid *r, bool old, const struct raid_copy *to, uint64_t nr, void *buf)
{
	struct ndm_store *s = raid_store(r, to->disk);
	uint64_t at = raid_member_sector(r, to->disk, to->sector, old);
	int err = ndm_rw(s, NDM_WRITE, 0, at, nr, buf);

	return err ? err : ndm_rw(s, NDM_READ, 0, at, nr, buf);
}

/* a copy that could not be read is written again; a member where that fails, too, is failed */
static void copy_repair(struct raid *r, struct copies_job *j, unsigned bad, unsigned good,
			uint64_t sector, uint64_t nr)
{
	const struct raid_copy *from = &j->copy[good], *to = &j->copy[bad];
	uint64_t at, n;
	void *buf = patient_buffer(r->ti->loop, RAID_PIECE * NDM_SECTOR_BYTES);
	int err = 0;

	if (!buf)
		return;
	raid_window_take(r, sector, sector + nr - 1);
	for (at = 0; at < nr && !err; at += n) {
		struct raid_copy part = { to->disk, to->sector + at };

		n = nr - at < RAID_PIECE ? nr - at : RAID_PIECE;
		if (!raid_member_alive(r, from->disk) || !raid_member_alive(r, to->disk) ||
		    ndm_rw(raid_store(r, from->disk), NDM_READ, 0,
			   raid_member_sector(r, from->disk, from->sector + at, j->old), n, buf))
			break;
		err = block_rewrite(r, j->old, &part, n, buf);
	}
	if (err)
		raid_member_fail(r, to->disk, "A block can neither be read nor written");
	raid_window_drop(r);
	ndm_buffer_put(r->ti->loop, buf, RAID_PIECE * NDM_SECTOR_BYTES);
}

static int copies_read(struct raid *r, struct copies_job *j, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(r->ti, bio->sector);
	const struct raid_fast *fast = ndm_per_bio(bio);
	unsigned i, k, failed = 0;
	int err = -EIO, got;

	for (k = 0; k < j->n; k++) {
		j->busy[k] = fast->failed == &r->members[j->copy[k].disk];
		failed += j->busy[k];
	}
	for (;;) {
		i = copy_choose(r, j, sector, bio->nr);
		for (k = 0; k < j->n && (i == j->n || j->busy[i]); k++)
			if (!j->busy[k] && raid_member_readable(r, j->copy[k].disk,
								j->copy[k].sector, bio->nr))
				i = k;
		if (i == j->n || j->busy[i])
			return err;		/* all of them have been tried */
		if (r->members[j->copy[i].disk].write_mostly && r->behind) {
			raid_behind_wait(r);
			continue;		/* and look again */
		}
		got = ndm_forward(bio, r->members[j->copy[i].disk].data,
				  raid_member_sector(r, j->copy[i].disk, j->copy[i].sector, j->old));
		if (!got || got == -EOPNOTSUPP)
			break;
		err = got;
		j->busy[i] = true;
		failed++;
	}
	for (k = 0; k < j->n && failed && !got && bio->op == NDM_READ && r->ti->writable; k++)
		if (j->busy[k])
			copy_repair(r, j, k, i, sector, bio->nr);
	return got;
}

static int copies_look(struct raid *r, struct ndm_bio *bio, bool old)
{
	uint64_t run;
	struct copies_job *j = copies_job_get(r, old, ndm_offset(r->ti, bio->sector), &run);
	int err;

	if (!j)
		return -ENOMEM;
	err = copies_read(r, j, bio);
	copies_job_put(r, j);
	return err;
}

/* ---- writes ---- */

/* its place in the ring is to outlive the request */
static struct raid_write *write_moved(struct raid_write *to, const struct raid_write *from)
{
	*to = *from;
	to->prev->next = to->next->prev = to;
	return to;
}

/* what has become of one copy; *good: copies that may be read */
static int copy_wait(struct raid *r, struct copies_job *j, unsigned i, const struct ndm_bio *bio,
		     unsigned *good)
{
	unsigned d = j->copy[i].disk;
	int got = ndm_group_wait(&j->group[i]);

	j->busy[i] = false;
	if (got == -EOPNOTSUPP && bio->op == NDM_DISCARD)
		return got;
	if (got)
		return raid_member_fail(r, d, "Write error") ? 0 : got;
	/* those that are recovered do not count yet */
	*good += raid_member_readable(r, d, j->copy[i].sector, bio->nr);
	return 0;
}

/* late: legs that are not waited for, if another one has the data; they stay busy */
static int copies_write(struct raid *r, struct copies_job *j, struct ndm_bio *bio,
			const struct raid_late *late)
{
	unsigned i, good = 0, round;
	int err = -EIO, got;

	for (i = 0; i < j->n; i++) {
		unsigned d = j->copy[i].disk;
		bool later = late && r->members[d].write_mostly;

		ndm_group_init(&j->group[i], r->ti->loop);
		j->busy[i] = raid_member_alive(r, d);
		if (j->busy[i])
			ndm_group_add(&j->group[i], ndm_clone(r->ti->loop, later ? &late->bio : bio, 0, bio->nr),
				      raid_store(r, d), raid_member_sector(r, d, j->copy[i].sector, j->old));
	}
	for (round = 0; round < 2 && !(round && late && good); round++)
		for (i = 0; i < j->n; i++) {
			if (!j->busy[i] || (!round && late && r->members[j->copy[i].disk].write_mostly))
				continue;
			got = copy_wait(r, j, i, bio, &good);
			if (got)
				err = got;
		}
	return good ? 0 : err;
}

static void late_finish(void *arg)
{
	struct raid_late *l = arg;
	struct raid *r = l->r;
	uint64_t sector = l->sector, nr = l->bio.nr;
	unsigned i, good = 0;

	for (i = 0; i < l->job->n; i++)
		if (l->job->busy[i] && copy_wait(r, l->job, i, &l->bio, &good))
			ndm_warn(r->ti, "what was written behind is lost on the last leg");
	copies_job_put(r, l->job);
	write_leave(r, &l->write);
	raid_behind_written(l);
	raid_supers_failed(r);		/* the bits stay until it is known */
	raid_bitmap_end(r, sector, nr);
	raid_behind_end(r);
}

static bool any_busy(const struct copies_job *j)
{
	unsigned i;

	for (i = 0; i < j->n; i++)
		if (j->busy[i])
			return true;
	return false;
}

static int copies_change(struct raid *r, struct ndm_bio *bio, bool old)
{
	uint64_t run, sector = ndm_offset(r->ti, bio->sector);
	struct raid_late *late;
	struct raid_write here, *w = &here;
	struct copies_job *j;
	int err, told;

	err = raid_bitmap_begin(r, sector, bio->nr);
	if (err)
		return err;
	write_enter(r, w, bio);
	late = raid_behind_begin(r, bio);
	if (late)
		w = write_moved(&late->write, w);
	j = copies_job_get(r, old, sector, &run);
	err = j ? copies_write(r, j, bio, late) : -ENOMEM;
	if (late && j && any_busy(j)) {
		late->job = j;
		late->sector = sector;
		w->late = true;
		ndm_spawn(r->ti->loop, "raid behind", late_finish, late);
		told = raid_supers_failed(r);
		return err ? err : told;
	}
	if (j)
		copies_job_put(r, j);
	write_leave(r, w);
	if (late)
		raid_behind_written(late);	/* before superblocks, which may wait for it */
	told = raid_supers_failed(r);
	raid_bitmap_end(r, sector, bio->nr);
	if (late)
		raid_behind_end(r);
	return err ? err : told;
}

int raid_copies_io(struct raid *r, struct ndm_bio *bio, bool old)
{
	switch ((enum ndm_op)bio->op) {
	case NDM_FLUSH:
		return raid_flush_members(r);
	case NDM_WRITE:
	case NDM_DISCARD:
	case NDM_ZEROES:
		return copies_change(r, bio, old);
	default:
		return copies_look(r, bio, old);
	}
}
