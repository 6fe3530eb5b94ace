/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life.c - resume and suspend of an integrity target, its tasks and timers, its failure.
 *
 * The superblock is read again at every resume: flags and position may have changed, anything
 * else may not.  A target that has failed serves nothing until the next table.  In a read-only
 * table nothing is written: what the journal holds is read from it.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

/* ---- failure ---- */

void integrity_fail(struct integrity *ic, const char *what, int err)
{
	if (err == -EILSEQ)
		ic->mismatches++;
	if (ic->failed)
		return;
	ic->failed = err;
	ndm_warn(ic->ti, "Error on %s: %d", what, err);
	ndm_wake_all(&ic->journal.changed);
}

/* ---- durable ---- */

void integrity_flush(struct integrity *ic, bool data)
{
	struct ndm_group group;
	struct ndm_bio *bio;
	int err;

	ndm_group_init(&group, ic->ti->loop);
	if (data && ic->l.separate) {
		bio = ndm_bio_get(ic->ti->loop);
		bio->op = NDM_FLUSH;
		ndm_group_add(&group, bio, ic->data->store, 0);
	}
	err = integrity_tags_flush(ic);
	if (err)
		integrity_fail(ic, "writing tags", err);
	err = ndm_flush(ic->meta->store);
	if (ndm_group_wait(&group) || err)
		integrity_fail(ic, "flushing disk cache", -EIO);
}

static void flush_task(void *arg)
{
	struct integrity *ic = arg;

	integrity_flush(ic, true);
	crew_leave(&ic->tasks);
}

static void autocommit_fire(struct ndm_timer *timer)
{
	struct integrity *ic = ndm_integrity_of(timer, autocommit);

	if (ic->failed)
		return;
	if (ic->mode == 'J')
		integrity_journal_commit_soon(ic);
	else
		crew_send(&ic->tasks, "integrity-flush", flush_task, ic);
}

void integrity_autocommit(struct integrity *ic)
{
	if (!ic->autocommit.index)
		ndm_timer_set(&ic->autocommit,
			      ndm_now(ic->ti->loop) + ic->commit_ms * 1000000ull);
}

static void bitmap_task(void *arg)
{
	struct integrity *ic = arg;

	integrity_bitmap_flush(ic);
	crew_leave(&ic->tasks);
}

static void bitmap_fire(struct ndm_timer *timer)
{
	struct integrity *ic = ndm_integrity_of(timer, bitmap_timer);

	if (!ic->failed)
		crew_send(&ic->tasks, "integrity-bitmap", bitmap_task, ic);
}

int integrity_life_init(struct integrity *ic)
{
	ndm_ranges_init(&ic->ranges, ic->ti->loop);
	crew_init(&ic->tasks, ic->ti->loop);
	ndm_timer_init(&ic->autocommit, ic->ti->loop, autocommit_fire);
	ndm_timer_init(&ic->bitmap_timer, ic->ti->loop, bitmap_fire);
	return 0;
}

/* ---- suspend: nothing is in flight ---- */

/* The journal on disk becomes an empty one that goes on where it ended. */
static void stop_journal(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;

	integrity_journal_empty(ic);
	if (ic->failed || !j->wrote)
		return;
	integrity_moment(ic, "integrity.stop.written");
	integrity_sections_clear(ic, j->free_section, j->sections - j->free_section, j->sequence);
	/* what is written next must differ from what lies there now, or tearing would not show */
	j->sequence = (j->sequence + 1) % NDM_INTEGRITY_SEQUENCES;
	integrity_sections_clear(ic, 0, j->free_section, j->sequence);
	j->wrote = false;
}

static void stop_bitmap(struct integrity *ic)
{
	int err;

	integrity_sections_clear(ic, 0, ic->journal.sections, 0);
	ic->l.super.flags &= ~NDM_INTEGRITY_DIRTY_BITMAP;
	err = ic->failed ? 0 : integrity_super_write(ic, NDM_FUA);
	if (err)
		integrity_fail(ic, "writing superblock", err);
}

void integrity_postsuspend(struct ndm_target *ti)
{
	struct integrity *ic = ti->private_data;

	ndm_timer_cancel(&ic->autocommit);
	ndm_timer_cancel(&ic->bitmap_timer);
	crew_wait(&ic->tasks);
	if (ic->mode != 'R' && ti->writable && !ic->failed) {
		integrity_flush(ic, true);
		if (ic->mode == 'J')
			stop_journal(ic);
		if (ic->mode == 'B')
			stop_bitmap(ic);
	}
	ndm_timer_cancel(&ic->autocommit);
	crew_wait(&ic->tasks);
	ic->clean = true;
}

/* ---- resume ---- */

static bool super_differs(const struct ndm_integrity_super *a, const struct ndm_integrity_super *b)
{
	const uint32_t fixed = NDM_INTEGRITY_JOURNAL_MAC | NDM_INTEGRITY_FIXED_PADDING |
			       NDM_INTEGRITY_FIXED_HMAC | NDM_INTEGRITY_INLINE;

	return a->log2_interleave != b->log2_interleave || a->tag_bytes != b->tag_bytes ||
	       a->journal_sections != b->journal_sections || a->log2_block != b->log2_block ||
	       (a->flags ^ b->flags) & fixed || memcmp(a->salt, b->salt, sizeof a->salt);
}

static void super_save(struct integrity *ic)
{
	int err = ic->ti->writable ? integrity_super_write(ic, NDM_FUA) : 0;

	if (err)
		integrity_fail(ic, "writing superblock", err);
}

/* The superblock as it is now, if it is still the same in what matters. */
static int super_again(struct integrity *ic, struct ndm_integrity_super *now)
{
	size_t bytes = NDM_INTEGRITY_SUPER_SECTORS * NDM_SECTOR_BYTES;
	uint8_t *raw = ndm_buffer_get(ic->ti->loop, bytes);
	int err = raw ? integrity_super_read(ic, raw) : -ENOMEM;

	if (err) {
		integrity_fail(ic, "reading superblock", err);
	} else if (ndm_integrity_super_decode(raw, now) || super_differs(now, &ic->given)) {
		ndm_warn(ic->ti, "The superblock was changed while the device was suspended");
		integrity_fail(ic, "superblock check", -EINVAL);
	} else if (ic->mode != 'R') {
		integrity_super_verify(ic, raw);
	}
	ndm_buffer_put(ic->ti->loop, raw, bytes);
	return ic->failed;
}

/* A device that has grown in mode B: what is new has no tags, and bits say so. */
static void grown_bitmap(struct integrity *ic, uint64_t old)
{
	struct ndm_integrity_super *s = &ic->l.super;

	if (ic->mode != 'B' || ic->l.provided <= old || !(s->flags & NDM_INTEGRITY_DIRTY_BITMAP) ||
	    s->log2_blocks_per_bit != ic->bitmap.log2_blocks)
		return;
	if (integrity_bitmap_read(ic))
		integrity_fail(ic, "reading bitmap", -EIO);
	integrity_bitmap_set(ic->bitmap.disk, ic, old, ic->l.provided - old);
	if (!ic->failed)
		integrity_bitmap_write(ic);
}

/* Flags that the table asks for and the disk has not; the size, if it is another one now. */
static void super_update(struct integrity *ic, uint32_t wanted, uint64_t old)
{
	struct ndm_integrity_super *s = &ic->l.super;

	if ((s->flags & wanted) != wanted) {
		s->flags |= wanted;
		super_save(ic);
	}
	if (ic->l.provided != old) {
		grown_bitmap(ic, old);
		s->provided = ic->l.provided;
		super_save(ic);
	}
}

/* Mode J or D after a mode B that did not stop: tags are made anew if any bit is set. */
static void after_bitmap(struct integrity *ic)
{
	struct ndm_integrity_super *s = &ic->l.super;

	if (integrity_bitmap_read(ic)) {
		integrity_fail(ic, "reading bitmap", -EIO);
		return;
	}
	if (ic->digest_bytes &&
	    (s->log2_blocks_per_bit != ic->bitmap.log2_blocks || ic->reset_recalculate ||
	     !integrity_bitmap_clear(ic->bitmap.disk, ic, 0, ic->l.provided))) {
		s->flags |= NDM_INTEGRITY_RECALCULATING;
		s->recalc = 0;
		super_save(ic);			/* before the bits are gone */
	}
	integrity_sections_clear(ic, 0, ic->journal.sections, 0);
	integrity_replay(ic);
	s->flags &= ~NDM_INTEGRITY_DIRTY_BITMAP;
	super_save(ic);
}

static void resume_writable(struct integrity *ic, uint32_t wanted, uint64_t old)
{
	struct ndm_integrity_super *s = &ic->l.super;

	super_update(ic, wanted, old);
	if (ic->failed)
		return;
	if (ic->mode != 'B' && s->flags & NDM_INTEGRITY_DIRTY_BITMAP) {
		after_bitmap(ic);
	} else if (ic->mode == 'B' && s->flags & NDM_INTEGRITY_DIRTY_BITMAP) {
		integrity_bitmap_resume(ic);
	} else {
		integrity_replay(ic);
		if (ic->reset_recalculate) {
			s->flags |= NDM_INTEGRITY_RECALCULATING;
			s->recalc = 0;
		}
		if (ic->mode == 'B' && !ic->failed)
			integrity_bitmap_resume(ic);
	}
	integrity_recalc_start(ic);
}

void integrity_resume(struct ndm_target *ti)
{
	struct integrity *ic = ti->private_data;
	uint32_t wanted = ic->l.super.flags & NDM_INTEGRITY_RECALCULATING;
	uint64_t old = ic->l.super.provided;
	struct ndm_integrity_super now;

	ic->journal.wrote = false;
	if (ic->failed || super_again(ic, &now))
		return;
	ic->l.super = now;
	if (ic->discard_keyed)
		wanted |= NDM_INTEGRITY_DISCARD_KEYED;
	if (ic->mode == 'R')
		return;
	if (ti->writable)
		resume_writable(ic, wanted, old);
	else
		integrity_replay(ic);
}
