/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.c - what is done beside the users' I/O: resync (all members made equal), reshape (data
 * moved: reshape.c), recover (members that are not in sync are filled), check and repair on demand.  One worker, one window at a time.
 *
 * A resync does the regions that the bitmap says need it; a recovery all of a new member, or the
 * dirty regions of one that comes back.  Where a recovery got to is written to the superblock now
 * and then, after a flush; a resync needs no such marks, since bits are cleared as it goes on.
 */
#include "raid.h"

#include <strings.h>

#define CHECKPOINTS 16				/* in a whole run */

bool raid_sync_stop(const struct raid *r)
{
	return ndm_stopping(r->ti) || r->sync.interrupt || r->frozen;
}

static bool recovering(const struct raid *r, unsigned i)
{
	return i < r->geo.disks && raid_member_alive(r, i) && !r->members[i].in_sync;
}

static bool any_recovering(const struct raid *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (recovering(r, i))
			return true;
	return false;
}

static enum raid_action choose(struct raid *r)
{
	enum raid_action asked = r->sync.requested;

	if (r->frozen || !r->ti->writable)
		return RAID_IDLE;
	if (!r->sync.failed && r->resync_offset < raid_sync_total(r))
		return RAID_RESYNC;
	if (r->reshape.active)
		return r->sync.failed ? RAID_IDLE : RAID_RESHAPE;
	if (!r->sync.failed && any_recovering(r) && raid_may_run(r, RAID_DISKS_MAX))
		return RAID_RECOVER;
	return asked;
}

/* ---- one run ---- */

static uint64_t total_of(const struct raid *r)
{
	if (r->sync.action == RAID_RESHAPE)
		return raid_reshape_total(r);
	return r->sync.action == RAID_RECOVER ? r->geo.dev_sectors : raid_sync_total(r);
}

static uint64_t start_of(const struct raid *r)
{
	uint64_t start = RAID_NONE;
	unsigned i;

	if (r->sync.action == RAID_RESHAPE)
		return raid_reshape_progress(r);
	if (r->sync.action != RAID_RECOVER)
		return 0;
	for (i = 0; i < r->n; i++)
		if (recovering(r, i)) {
			uint64_t at = r->members[i].by_bitmap ? 0 : r->members[i].recovery_offset;

			start = at < start ? at : start;
		}
	return start < r->geo.dev_sectors ? start : r->geo.dev_sectors;
}

/* regions of a resync that need nothing are passed over */
static bool passed_over(struct raid *r, uint64_t at, uint64_t *did)
{
	return r->sync.action == RAID_RESYNC && !raid_bitmap_none(r) &&
	       !raid_bitmap_needs(r, at, did);
}

static int recovery_mark(struct raid *r)
{
	unsigned i;
	int err = raid_flush_members(r);

	for (i = 0; i < r->n && !err; i++) {
		struct raid_member *m = &r->members[i];

		if (recovering(r, i) && !m->by_bitmap && r->sync.completed > m->recovery_offset)
			m->recovery_offset = r->sync.completed;
	}
	return err ? err : raid_supers_update(r);
}

static void throttle(struct raid *r, uint64_t began, uint64_t done)
{
	uint64_t due = r->max_rate ? began + done * 1000000000 / 2 / (uint64_t)r->max_rate : 0;

	while (due > ndm_now(r->ti->loop) && !raid_sync_stop(r))
		ndm_wait_until(&r->sync.kick, due);
	ndm_yield(r->ti->loop);
}

static int run_reshape(struct raid *r)
{
	uint64_t total = raid_reshape_total(r), began = ndm_now(r->ti->loop), first = r->sync.completed;
	int err = 0;

	while (r->sync.completed < total && !err && !raid_sync_stop(r)) {
		err = raid_reshape_step(r);
		r->sync.completed = raid_reshape_progress(r);
		if (!err)
			throttle(r, began, r->sync.completed - first);
	}
	return err;
}

static int run(struct raid *r)
{
	struct raid_syncer *s = &r->sync;
	uint64_t total = total_of(r), began = ndm_now(r->ti->loop), first = s->completed, did = 0;
	int err = 0;

	s->checkpoint = s->completed;
	while (s->completed < total && !err && !raid_sync_stop(r)) {
		uint64_t at = s->completed;

		if (!passed_over(r, at, &did))
			err = r->geo.parity ? raid_sync_stripes(r, at, &did)
					    : raid_sync_copies(r, at, &did);
		if (err)
			break;
		s->completed = at + did < total ? at + did : total;
		if (s->action == RAID_RESYNC && !raid_bitmap_none(r))
			raid_bitmap_synced(r, at, s->completed);
		if (s->action == RAID_RECOVER && s->completed - s->checkpoint >= total / CHECKPOINTS &&
		    s->completed < total) {
			s->checkpoint = s->completed;
			err = recovery_mark(r);
		}
		throttle(r, began, s->completed - first);
	}
	return err;
}

/* ---- its end ---- */

static void resync_done(struct raid *r)
{
	r->resync_offset = RAID_NONE;
	raid_bitmap_synced(r, 0, raid_sync_total(r));
}

static void recovery_done(struct raid *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (recovering(r, i)) {
			r->members[i].in_sync = true;
			r->members[i].by_bitmap = false;
			r->members[i].recovery_offset = RAID_NONE;
		}
	r->degraded = raid_degraded(r);
	if (!r->degraded && r->resync_offset == RAID_NONE && !raid_bitmap_none(r))
		raid_bitmap_synced(r, 0, raid_sync_total(r));
}

static void finish(struct raid *r, int err)
{
	struct raid_syncer *s = &r->sync;
	bool whole = !err && s->completed >= total_of(r);

	if (whole && !raid_sync_stop(r) && s->action <= RAID_RECOVER && raid_flush_members(r))
		whole = false;			/* what was copied may be lost */
	if (whole && raid_sync_stop(r))
		whole = false;			/* a member has failed meanwhile: once more */
	if (whole && s->action == RAID_RESYNC)
		resync_done(r);
	else if (whole && s->action == RAID_RESHAPE)
		whole = !raid_reshape_done(r);
	else if (whole && s->action == RAID_RECOVER)
		recovery_done(r);
	if (err && !s->interrupt) {
		s->failed = true;		/* until somebody asks, or resumes */
		ndm_warn(r->ti, s->action == RAID_RESHAPE ? "it cannot be reshaped any further"
							 : "it cannot be synchronised");
		ndm_wake_all(&r->reshape.free);
	}
	if (whole && s->action <= RAID_RECOVER && raid_supers_update(r))
		ndm_warn(r->ti, "the superblocks cannot be written");
	if (s->action == RAID_RESYNC && !whole && r->frozen && r->resync_offset < s->completed &&
	    !err)
		r->resync_offset = s->completed;	/* an orderly stop: from here on */
	s->last = s->action;
	if (s->action >= RAID_CHECK)
		s->requested = RAID_IDLE;
}

/* what is next, also for a status before the worker has begun with it */
static bool next(struct raid *r)
{
	struct raid_syncer *s = &r->sync;

	s->action = choose(r);
	s->completed = start_of(r);
	if (s->action >= RAID_CHECK)
		s->mismatches = 0;
	return s->action != RAID_IDLE;
}

static void worker(void *arg)
{
	struct raid *r = arg;
	struct raid_syncer *s = &r->sync;
	int err;

	while (!ndm_stopping(r->ti) && next(r)) {
		s->interrupt = false;
		err = raid_supers_failed(r);
		if (!err)
			err = s->action == RAID_RESHAPE ? run_reshape(r) : run(r);
		finish(r, err);
		ndm_event(r->ti);
	}
	s->action = RAID_IDLE;
	s->running = s->interrupt = false;
	ndm_wake_all(&s->idle);
}

void raid_sync_start(struct raid *r)
{
	if (r->sync.running || r->frozen || !r->resumed || ndm_stopping(r->ti) || !r->geo.level ||
	    !next(r))
		return;
	r->sync.running = true;
	ndm_worker(r->ti, "raid sync", worker, r);
}

/* members have come or gone: what is done is to be thought over */
void raid_sync_kick(struct raid *r)
{
	r->sync.interrupt = true;
	ndm_wake_all(&r->sync.kick);
	raid_sync_start(r);
}

/* ---- messages ---- */

static void stop_and_wait(struct raid *r)
{
	r->sync.requested = RAID_IDLE;
	r->sync.interrupt = true;
	ndm_wake_all(&r->sync.kick);
	while (r->sync.running && r->sync.interrupt)
		ndm_wait_until(&r->sync.idle, ndm_now(r->ti->loop) + 1000000);
}

int raid_sync_message(struct raid *r, unsigned argc, char **argv)
{
	const char *word = argc ? argv[0] : "";

	if (!r->geo.level)
		return -EINVAL;
	if (r->suspended || r->frozen)
		return -EBUSY;
	/* as Linux 6.12 does: they stop what is going on, and answer that they know no such word */
	if (!strcasecmp(word, "frozen") || !strcasecmp(word, "idle")) {
		stop_and_wait(r);
		return -EINVAL;
	}
	if (r->sync.action != RAID_IDLE)
		return -EBUSY;
	if (!strcasecmp(word, "check"))
		r->sync.requested = RAID_CHECK;
	else if (!strcasecmp(word, "repair"))
		r->sync.requested = RAID_REPAIR;
	else if (strcasecmp(word, "resync") && strcasecmp(word, "recover"))
		return -EINVAL;
	r->sync.failed = false;
	raid_sync_start(r);
	return 0;
}
