/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stripe-io.c - raid4, 5, 6: reads and writes.
 *
 * A write holds the rows that it touches, so that no other write, nor a resync, sees data and
 * parity that do not belong together.  Where it covers all data of a stripe nothing is read; else
 * what is cheaper: the old data and parity (read, change, write), or the rest of the stripe.
 *
 * Crash states: data and parity go out together; after a power cut any of them may be old.  The
 * bitmap has the region, and the resync makes parity anew from the data.
 */
#include "journal.h"

/* a stretch of the array within one chunk */
struct part { uint64_t stripe, nr; unsigned index, first; };

static struct part part_at(const struct raid_geometry *g, uint64_t sector, uint64_t nr)
{
	unsigned chunk = g->chunk, d = raid_data_disks(g);
	uint64_t c = sector / chunk;
	struct part p = { c / d, chunk - sector % chunk, c % d, sector % chunk };

	if (p.nr > nr)
		p.nr = nr;
	return p;
}

static unsigned disk_of(const struct raid_geometry *g, const struct part *p)
{
	uint8_t disk[RAID_DISKS_MAX + 3], power[RAID_DISKS_MAX + 3];

	raid_stripe_roles(g, p->stripe, disk, power);
	return disk[p->index];
}

/* ---- reads ---- */

enum ndm_map raid_stripe_map(struct raid *r, struct ndm_bio *bio)
{
	uint64_t sector = ndm_offset(r->ti, bio->sector), row;
	struct raid_fast *fast = ndm_per_bio(bio);
	struct raid_member *m;
	struct part p;
	unsigned disk;

	if (bio->op == NDM_FLUSH)
		return NDM_MAP_WAIT;
	if (sector + bio->nr > r->usable)
		return NDM_MAP_KILL;
	if ((bio->op != NDM_READ && bio->op != NDM_CACHE) || r->reshape.active)
		return NDM_MAP_WAIT;
	p = part_at(&r->geo, sector, bio->nr);
	if (p.nr < bio->nr)
		return NDM_MAP_WAIT;
	disk = disk_of(&r->geo, &p);
	row = p.stripe * r->geo.chunk + p.first;
	if (!raid_member_readable(r, disk, row, bio->nr))
		return NDM_MAP_WAIT;
	m = &r->members[disk];
	fast->member = m;
	m->reads++;
	return ndm_remap(bio, m->data, raid_member_sector(r, disk, row, false));
}

static int part_rebuild(struct raid *r, bool old, struct ndm_data to, const struct part *p)
{
	unsigned max = stripe_piece_max(r), at, n;
	uint64_t row = p->stripe * raid_geo(r, old)->chunk + p->first;
	struct ndm_range held;
	int err = 0;

	ndm_range_lock(&r->rows, &held, row, row + p->nr - 1);
	for (at = 0; at < p->nr && !err; at += n) {
		struct stripe_job *j;
		struct ndm_data piece;

		n = p->nr - at < max ? (unsigned)p->nr - at : max;
		j = stripe_job_get(r, old, p->stripe, p->first + at, n);
		err = j ? stripe_fetch(j, true) : -ENOMEM;
		if (!err) {
			piece = ndm_data_skip(to, at * NDM_SECTOR_BYTES);
			ndm_data_to(&piece, stripe_bytes(j), j->slot[p->index]);
		}
		if (j)
			stripe_job_put(j);
	}
	ndm_range_unlock(&r->rows, &held);
	return err;
}

static int part_read(struct raid *r, bool old, struct ndm_bio *bio, const struct part *p,
		     uint64_t skip)
{
	const struct raid_geometry *g = raid_geo(r, old);
	uint64_t row = p->stripe * g->chunk + p->first;
	unsigned disk = disk_of(g, p);
	struct ndm_group grp;

	if (raid_member_readable(r, disk, row, p->nr)) {
		ndm_group_init(&grp, r->ti->loop);
		ndm_group_add(&grp, ndm_clone(r->ti->loop, bio, skip, p->nr), raid_store(r, disk),
			      raid_member_sector(r, disk, row, old));
		if (!ndm_group_wait(&grp))
			return 0;
	}
	return part_rebuild(r, old, ndm_data_skip(bio->data, skip * NDM_SECTOR_BYTES), p);
}

int raid_stripe_read(struct raid *r, bool old, uint64_t sector, uint64_t nr, void *to)
{
	const struct raid_geometry *g = raid_geo(r, old);
	struct part p = part_at(g, sector, nr);
	unsigned disk = disk_of(g, &p);
	uint64_t row = p.stripe * g->chunk + p.first;
	struct iovec iov = { to, nr * NDM_SECTOR_BYTES };

	if (raid_member_readable(r, disk, row, nr) &&
	    !ndm_rw(raid_store(r, disk), NDM_READ, 0, raid_member_sector(r, disk, row, old), nr, to))
		return 0;
	return part_rebuild(r, old, (struct ndm_data){ &iov, 1, 0 }, &p);
}

static int stripe_io_read(struct raid *r, struct ndm_bio *bio, bool old)
{
	uint64_t sector = ndm_offset(r->ti, bio->sector), at;
	struct part p;
	int err = 0, told;

	for (at = 0; at < bio->nr && !err; at += p.nr) {
		p = part_at(raid_geo(r, old), sector + at, bio->nr - at);
		err = bio->op == NDM_READ ? part_read(r, old, bio, &p, at) : 0;
	}
	told = raid_supers_failed(r);
	return err ? err : told;
}

/* ---- writes ---- */

/* the data lo .. hi of a piece are new; where they begin in the bio */
struct change { struct ndm_bio *bio; unsigned lo, hi; uint64_t begin; bool old; };

static uint64_t skip_of(const struct stripe_job *j, const struct change *c, unsigned i)
{
	return j->stripe * j->d * j->geo->chunk + (uint64_t)i * j->geo->chunk + j->first - c->begin;
}

static void new_data(struct stripe_job *j, const struct change *c, unsigned i, void *to)
{
	struct ndm_data d = ndm_data_skip(c->bio->data, skip_of(j, c, i) * NDM_SECTOR_BYTES);

	ndm_data_from(&d, stripe_bytes(j), to);
}

static bool is_new(const struct change *c, unsigned i) { return i >= c->lo && i <= c->hi; }

static void *parity_slot(struct stripe_job *j, unsigned which)
{
	return j->geo->parity > which ? j->slot[j->d + which] : NULL;
}

static bool modify_pays(struct stripe_job *j, const struct change *c)
{
	unsigned i, n = c->hi - c->lo + 1, parity = j->geo->parity, live = 0;
	bool rest = true;

	for (i = 0; i < j->d; i++) {
		if (is_new(c, i) && !stripe_readable(j, i))
			return false;
		rest &= is_new(c, i) || stripe_readable(j, i);
	}
	for (i = j->d; i < j->d + parity; i++)
		if (stripe_readable(j, i))
			live++;
		else if (raid_member_alive(j->r, j->disk[i]))
			return false;		/* being recovered: made anew */
	return !rest || n + live < j->d - n;
}

/* old data and parity, and what has changed; an error of reading: the other way */
static int by_modify(struct stripe_job *j, const struct change *c)
{
	unsigned i, parity = j->geo->parity;
	void *p, *q;

	for (i = 0; i < j->d + parity; i++)
		if ((i >= j->d || is_new(c, i)) && stripe_readable(j, i))
			stripe_read(j, i);
	if (stripe_wait(j))
		return -EIO;
	for (i = 0; i < j->d; i++) {
		j->list[i] = NULL;
		if (!is_new(c, i))
			continue;
		new_data(j, c, i, j->slot[j->geo->disks]);
		raid_xor(j->slot[i], j->slot[j->geo->disks], stripe_bytes(j));
		j->list[i] = j->slot[i];
	}
	p = j->state[j->d] == SLOT_FULL ? parity_slot(j, 0) : NULL;
	q = parity == 2 && j->state[j->d + 1] == SLOT_FULL ? parity_slot(j, 1) : NULL;
	raid_parity_add(j->d, j->list, j->power, p, q, stripe_bytes(j));
	return 0;
}

static int by_rest(struct stripe_job *j, const struct change *c)
{
	unsigned i, lost;
	int err = 0;

	for (i = 0, lost = 0; i < j->d; i++) {
		j->state[i] = SLOT_EMPTY;
		lost += !is_new(c, i) && !stripe_readable(j, i);
	}
	for (i = 0; i < j->d && !lost; i++)
		if (!is_new(c, i))
			stripe_read(j, i);
	if (stripe_wait(j) || lost)
		err = stripe_fetch(j, false);	/* old data of all, from parity where need be */
	if (err)
		return err;
	for (i = c->lo; i <= c->hi; i++)
		new_data(j, c, i, j->slot[i]);
	stripe_compute(j, parity_slot(j, 0), parity_slot(j, 1));
	return 0;
}

static int piece_write(struct raid *r, uint64_t stripe, unsigned first, unsigned nr,
		       const struct change *c)
{
	uint64_t row = stripe * raid_geo(r, c->old)->chunk + first;
	struct stripe_job *j = stripe_job_get(r, c->old, stripe, first, nr);
	bool modified = false;
	unsigned i;
	int err = 0;

	if (!j)
		return -ENOMEM;
	if (raid_sync_trusted(r, row, nr) && modify_pays(j, c))
		modified = !by_modify(j, c);
	if (!modified) {
		for (i = j->d; i < j->d + r->geo.parity; i++)
			j->state[i] = SLOT_EMPTY;
		err = by_rest(j, c);
	}
	if (!err) {
		for (i = j->d; i < j->d + r->geo.parity; i++)
			if (!modified || j->state[i] == SLOT_FULL)
				stripe_write(j, i, c->bio->flags & NDM_FUA);
		for (i = c->lo; i <= c->hi; i++)
			stripe_write_bio(j, i, c->bio, skip_of(j, c, i));
		err = stripe_wait_writes(j);
	}
	stripe_job_put(j);
	return err;
}

/*
 * With a journal: whole pages of 4 KiB, as its entries are.  All data are at hand, so that parity
 * need not be changed but is made.
 */
static int piece_write_logged(struct raid *r, uint64_t stripe, unsigned first, unsigned nr,
			      const struct change *c)
{
	unsigned from = first & ~7u, end = (first + nr + 7) & ~7u, i;
	struct stripe_job *j = stripe_job_get(r, false, stripe, from, end - from);
	int err;

	if (!j)
		return -ENOMEM;
	err = stripe_fetch(j, false);
	for (i = c->lo; i <= c->hi && !err; i++) {
		struct ndm_data d = c->bio->data;
		uint64_t skip = stripe * j->d * r->geo.chunk + (uint64_t)i * r->geo.chunk + first - c->begin;

		d = ndm_data_skip(d, skip * NDM_SECTOR_BYTES);
		ndm_data_from(&d, (size_t)nr * NDM_SECTOR_BYTES,
			      (uint8_t *)j->slot[i] + (first - from) * NDM_SECTOR_BYTES);
	}
	if (!err) {
		stripe_compute(j, parity_slot(j, 0), parity_slot(j, 1));
		err = raid_journal_log(j, c->lo, c->hi);
	}
	if (!err) {
		for (i = c->lo; i <= c->hi; i++)
			stripe_write(j, i, 0);
		for (i = j->d; i < j->d + r->geo.parity; i++)
			stripe_write(j, i, 0);
		err = stripe_wait_writes(j);
		raid_journal_done(r);
	}
	stripe_job_put(j);
	return err;
}

/* rows where the same data are new: before, between and after the ends of the write */
static int rows_write(struct raid *r, uint64_t stripe, unsigned from, unsigned to,
		      const struct change *c)
{
	unsigned max = stripe_piece_max(r), at, n;
	int err = 0;

	if (c->lo > c->hi)
		return 0;
	for (at = from; at < to && !err; at += n) {
		n = to - at < max ? to - at : max;
		err = r->log ? piece_write_logged(r, stripe, at, n, c)
			     : piece_write(r, stripe, at, n, c);
	}
	return err;
}

static int stripe_change(struct raid *r, bool old, struct ndm_bio *bio, uint64_t stripe,
			 uint64_t begin, uint64_t end)
{
	unsigned chunk = raid_geo(r, old)->chunk, d = raid_data_disks(raid_geo(r, old));
	uint64_t base = stripe * d * chunk;
	unsigned i0 = (begin - base) / chunk, a = (begin - base) % chunk;
	unsigned i1 = (end - 1 - base) / chunk, b = (end - 1 - base) % chunk + 1;
	unsigned low = a < b ? a : b, high = a < b ? b : a;
	struct change c = { bio, i0, i1, ndm_offset(r->ti, bio->sector), old };
	int err;

	if (i0 == i1)
		return rows_write(r, stripe, a, b, &c);
	/* rows below a: without the first chunk; from b on: without the last one */
	c.lo = i0 + 1;
	err = rows_write(r, stripe, 0, low, &c);
	c.lo = a < b ? i0 : i0 + 1;
	c.hi = a < b ? i1 : i1 - 1;
	if (!err)
		err = rows_write(r, stripe, low, high, &c);
	c.lo = i0;
	c.hi = i1 - 1;
	if (!err)
		err = rows_write(r, stripe, high, chunk, &c);
	return err;
}

/* a bio does not leave its stripe: max_io */
static int stripe_io_write(struct raid *r, struct ndm_bio *bio, bool old)
{
	unsigned chunk = raid_geo(r, old)->chunk, d = raid_data_disks(raid_geo(r, old));
	uint64_t sector = ndm_offset(r->ti, bio->sector), stripe = sector / chunk / d;
	uint64_t first = stripe * chunk, nr = chunk;
	struct ndm_range held;
	int err, told;

	if (r->degraded > r->geo.parity)
		return -EIO;
	if (sector % chunk + bio->nr <= chunk) {	/* one chunk: only these rows */
		first += sector % chunk;
		nr = bio->nr;
	}
	if (r->log) {				/* whole pages */
		nr = ((first + nr + 7) & ~UINT64_C(7)) - (first & ~UINT64_C(7));
		first &= ~UINT64_C(7);
	}
	err = raid_bitmap_begin(r, first, nr);
	if (err)
		return err;
	ndm_range_lock(&r->rows, &held, first, first + nr - 1);
	err = stripe_change(r, old, bio, stripe, sector, sector + bio->nr);
	ndm_range_unlock(&r->rows, &held);
	told = raid_supers_failed(r);
	raid_bitmap_end(r, first, nr);
	return err ? err : told;
}

int raid_stripe_io(struct raid *r, struct ndm_bio *bio, bool old)
{
	switch ((enum ndm_op)bio->op) {
	case NDM_FLUSH:
		return raid_flush_members(r);
	case NDM_WRITE:
		return stripe_io_write(r, bio, old);
	case NDM_DISCARD:
	case NDM_ZEROES:
		return -EOPNOTSUPP;
	default:
		return stripe_io_read(r, bio, old);
	}
}
