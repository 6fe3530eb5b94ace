/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stripe.c - raid4, 5, 6: a piece of one stripe (the same sectors of a chunk of each member) in
 * memory, by role: data 0 .. d-1, then P, then Q.  What is read, what is got back from parity,
 * what is written.  The caller holds the piece's rows (ndm_range_lock).
 */
#include "raid.h"

#define SPARES 2u				/* slots for what is being computed */
#define MEMORY_MAX (4u << 20)			/* bytes of one job */

static unsigned roles(const struct stripe_job *j) { return j->d + j->geo->parity; }

unsigned stripe_piece_max(const struct raid *r)
{
	unsigned slots = raid_disks_most(r) + SPARES, chunk = r->geo.chunk;
	unsigned most = MEMORY_MAX / slots / NDM_SECTOR_BYTES & ~7u;

	if (r->reshape.active && r->reshape.old.chunk < chunk)
		chunk = r->reshape.old.chunk;
	most = most < RAID_PIECE ? most : RAID_PIECE;
	return most < chunk ? most : chunk;
}

size_t stripe_bytes(const struct stripe_job *j)
{
	return (size_t)j->nr * NDM_SECTOR_BYTES;
}

static struct stripe_job *job_new(struct raid *r)
{
	unsigned n = raid_disks_most(r) + SPARES;
	struct stripe_job *j;

	j = patient_zalloc(r->ti->loop, sizeof *j + n * (sizeof *j->group + 2 * sizeof(void *) +
							 sizeof *j->iov + sizeof *j->busy));
	if (!j)
		return NULL;
	j->group = (struct ndm_group *)(j + 1);
	j->slot = (void **)(j->group + n);
	j->list = j->slot + n;
	j->iov = (struct iovec *)(j->list + n);
	j->busy = (bool *)(j->iov + n);
	j->r = r;
	return j;
}

struct stripe_job *stripe_job_get(struct raid *r, bool old, uint64_t stripe, unsigned first,
				  unsigned nr)
{
	const struct raid_geometry *geo = raid_geo(r, old);
	unsigned i, n = geo->disks + SPARES;
	struct stripe_job *j = r->jobs;

	if (j)
		r->jobs = j->next;
	else
		j = job_new(r);
	if (!j)
		return NULL;
	j->geo = geo;
	j->old = old;
	j->stripe = stripe;
	j->first = first;
	j->nr = nr;
	j->d = raid_data_disks(geo);
	j->bytes = n * stripe_bytes(j);
	j->memory = patient_buffer(r->ti->loop, j->bytes);
	if (!j->memory) {
		j->next = r->jobs;
		r->jobs = j;
		return NULL;
	}
	for (i = 0; i < n; i++) {
		j->slot[i] = j->memory + i * stripe_bytes(j);
		j->busy[i] = false;
		j->state[i] = SLOT_EMPTY;
	}
	raid_stripe_roles(geo, stripe, j->disk, j->power);
	return j;
}

void stripe_job_put(struct stripe_job *j)
{
	struct raid *r = j->r;

	ndm_buffer_put(r->ti->loop, j->memory, j->bytes);
	j->next = r->jobs;
	r->jobs = j;
}

void stripe_jobs_free(struct raid *r)
{
	struct stripe_job *j;

	while ((j = r->jobs)) {
		r->jobs = j->next;
		ndm_free(j);
	}
}

/* ---- one role ---- */

static uint64_t row(const struct stripe_job *j)
{
	return j->stripe * j->geo->chunk + j->first;
}

bool stripe_readable(struct stripe_job *j, unsigned role)
{
	return j->state[role] != SLOT_LOST &&
	       raid_member_readable(j->r, j->disk[role], row(j), j->nr);
}

static void start(struct stripe_job *j, unsigned role, struct ndm_bio *bio)
{
	struct raid *r = j->r;
	unsigned d = j->disk[role];

	ndm_group_init(&j->group[role], r->ti->loop);
	ndm_group_add(&j->group[role], bio, raid_store(r, d), raid_member_sector(r, d, row(j), j->old));
	j->busy[role] = true;
}

static void start_plain(struct stripe_job *j, unsigned role, enum ndm_op op, unsigned flags,
			void *memory)
{
	struct ndm_bio *bio = ndm_bio_get(j->r->ti->loop);

	j->iov[role] = (struct iovec){ memory, stripe_bytes(j) };
	bio->op = op;
	bio->flags = flags;
	bio->nr = j->nr;
	bio->data = (struct ndm_data){ &j->iov[role], 1, 0 };
	start(j, role, bio);
}

void stripe_read(struct stripe_job *j, unsigned role)
{
	start_plain(j, role, NDM_READ, 0, j->slot[role]);
}

/* a member that has failed, or is not there, is none that a write must reach */
void stripe_write(struct stripe_job *j, unsigned role, unsigned flags)
{
	stripe_store_from(j, role, j->slot[role], flags);
}

void stripe_store_from(struct stripe_job *j, unsigned role, void *memory, unsigned flags)
{
	if (raid_member_alive(j->r, j->disk[role]))
		start_plain(j, role, NDM_WRITE, flags, memory);
}

void stripe_write_bio(struct stripe_job *j, unsigned role, struct ndm_bio *bio, uint64_t skip)
{
	if (raid_member_alive(j->r, j->disk[role]))
		start(j, role, ndm_clone(j->r->ti->loop, bio, skip, j->nr));
}

unsigned stripe_wait(struct stripe_job *j)
{
	unsigned i, lost = 0;

	for (i = 0; i < roles(j); i++) {
		if (!j->busy[i])
			continue;
		j->state[i] = ndm_group_wait(&j->group[i]) ? SLOT_LOST : SLOT_FULL;
		j->busy[i] = false;
		lost += j->state[i] == SLOT_LOST;
	}
	return lost;
}

int stripe_wait_writes(struct stripe_job *j)
{
	struct raid *r = j->r;
	unsigned i;

	for (i = 0; i < roles(j); i++) {
		if (j->busy[i] && ndm_group_wait(&j->group[i]))
			raid_member_fail(r, j->disk[i], "Write error");
		j->busy[i] = false;
	}
	return r->degraded > r->geo.parity ? -EIO : 0;
}

/* ---- all of the data ---- */

void stripe_compute(struct stripe_job *j, void *p, void *q)
{
	raid_parity_make(j->d, j->slot, j->power, p, q, stripe_bytes(j));
}

static void want(struct stripe_job *j, unsigned role)
{
	if (j->state[role] != SLOT_EMPTY)
		return;
	if (stripe_readable(j, role))
		stripe_read(j, role);
	else
		j->state[role] = SLOT_LOST;
}

/* unreadable blocks of members that are there otherwise */
static void rewrite_lost(struct stripe_job *j, const unsigned *lost, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		unsigned role = lost[i];

		j->state[role] = SLOT_EMPTY;	/* as far as its member is concerned */
		if (stripe_readable(j, role)) {
			stripe_write(j, role, 0);
			stripe_wait_writes(j);
			if (raid_member_alive(j->r, j->disk[role])) {
				stripe_read(j, role);
				if (stripe_wait(j))
					raid_member_fail(j->r, j->disk[role],
							 "A block can neither be read nor written");
			}
		}
		j->state[role] = SLOT_FULL;
	}
}

int stripe_fetch(struct stripe_job *j, bool rewrite)
{
	unsigned i, nlost = 0, lost[2] = { 0 }, parity = j->geo->parity;
	void *p, *q;
	int err;

	for (i = 0; i < j->d; i++)
		want(j, i);
	stripe_wait(j);
	for (i = 0; i < j->d; i++)
		if (j->state[i] == SLOT_LOST) {
			if (nlost == parity)
				return -EIO;
			lost[nlost++] = i;
		}
	if (!nlost)
		return 0;
	if (!raid_sync_trusted(j->r, row(j), j->nr))
		return -EIO;			/* parity has not been made yet */
	for (i = j->d; i < roles(j); i++)
		want(j, i);
	stripe_wait(j);
	p = j->state[j->d] == SLOT_FULL ? j->slot[j->d] : NULL;
	q = parity == 2 && j->state[j->d + 1] == SLOT_FULL ? j->slot[j->d + 1] : NULL;
	err = raid_parity_recover(j->d, j->slot, j->power, lost, nlost, p, q,
				  j->slot[j->geo->disks], stripe_bytes(j));
	if (err)
		return err;
	for (i = 0; i < nlost; i++)
		j->state[lost[i]] = SLOT_FULL;
	if (rewrite && j->r->ti->writable)
		rewrite_lost(j, lost, nlost);
	return 0;
}
