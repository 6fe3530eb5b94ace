/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life.c - raid: raid0, 1, 10, 4, 5, 6 on members with metadata devices beside them.
 *
 *	raid <type> <#params> <chunk> [params] <#devs> [<metadata>|- <data>|-]{#devs}
 *
 * On disk and in words what Linux' dm-raid is over its md.  Waits: metadata before data (bitmap.c,
 * member.c), stripes for each other (stripe-io.c), writes for a resync (copies.c).
 */
#include "journal.h"

static uint64_t data_begins(const struct raid *r, const struct raid_member *m)
{
	return r->reshape.active && m->data_offset < m->new_data_offset ? m->new_data_offset
									: m->data_offset;
}

/* a request stays within a stripe; while there are two shapes, within a chunk of both */
void raid_max_io(struct raid *r)
{
	const struct raid_geometry *g = &r->geo, *old = &r->reshape.old;

	if (g->level == 1)
		r->ti->max_io = r->want_region;
	else if (r->reshape.active)
		r->ti->max_io = g->chunk < old->chunk ? g->chunk : old->chunk;
	else
		r->ti->max_io = (uint64_t)g->chunk * (g->parity ? raid_data_disks(g) : 1);
	r->ti->max_discard = g->level == 1 ? 0 : r->ti->max_io;
	r->ti->extents = !g->parity && !r->reshape.active;	/* else all of it is data */
}

static int raid_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct raid *r = ti->private_data;
	unsigned i;
	int err;

	r->ti = ti;
	r->frozen = true;			/* until the first resume */
	ndm_mutex_init(&r->supers, ti->loop);
	ndm_mutex_init(&r->window_lock, ti->loop);
	ndm_waitq_init(&r->window_free, ti->loop);
	ndm_waitq_init(&r->window_idle, ti->loop);
	ndm_waitq_init(&r->sync.kick, ti->loop);
	ndm_waitq_init(&r->sync.idle, ti->loop);
	ndm_waitq_init(&r->behind_idle, ti->loop);
	ndm_ranges_init(&r->rows, ti->loop);
	ndm_waitq_init(&r->reshape.free, ti->loop);
	ndm_waitq_init(&r->reshape.idle, ti->loop);
	r->reshape.window_first = RAID_NONE;
	r->reshape.passages.next = r->reshape.passages.prev = &r->reshape.passages;
	r->window_first = RAID_NONE;
	r->writes.next = r->writes.prev = &r->writes;
	err = raid_table_take(r, argc, argv);
	if (!err)
		err = raid_assemble(r);
	if (!err && r->journal)
		err = raid_journal_check(r);
	if (err) {
		ndm_free(r->members);
		return err;
	}
	raid_max_io(r);
	ti->num_flush = 1;
	ti->num_discard = !r->geo.parity;
	ti->per_bio_size = sizeof(struct raid_fast);
	for (i = 0; i < r->n; i++)
		if (r->members[i].data)
			ndm_dev_section(r->members[i].data, 0, r->geo.dev_sectors +
					data_begins(r, &r->members[i]));
		else
			ti->num_discard = 0;
	return 0;
}

static void raid_dtr(struct ndm_target *ti)
{
	struct raid *r = ti->private_data;

	raid_owner_set(r, false);
	raid_bitmap_free(r);
	raid_journal_free(r);
	copies_jobs_free(r);
	stripe_jobs_free(r);
	ndm_free(r->members);
}

static enum ndm_map raid_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct raid *r = ti->private_data;

	*(struct raid_fast *)ndm_per_bio(bio) = (struct raid_fast){ 0 };
	return r->geo.parity ? raid_stripe_map(r, bio) : raid_copies_map(r, bio);
}

static int raid_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct raid *r = ti->private_data;

	if (r->reshape.active && bio->op != NDM_FLUSH)
		return raid_reshape_io(r, bio);
	return r->geo.parity ? raid_stripe_io(r, bio, false) : raid_copies_io(r, bio, false);
}

/* a read that went straight to a member and failed: the slow way, from the others */
static void read_again(void *arg)
{
	struct ndm_bio *bio = arg;
	struct raid *r = bio->target->private_data;

	bio->error = 0;
	bio->sector = bio->device_sector;
	ndm_end(bio, raid_io(r->ti, bio));
}

static enum ndm_endio raid_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct raid_fast *fast = ndm_per_bio(bio);
	struct raid_member *m = fast->member;

	fast->member = NULL;			/* once; the slow way ends here, too */
	if (!m)
		return NDM_ENDIO_DONE;
	m->reads--;
	if (!bio->error || bio->error == -EOPNOTSUPP || bio->op != NDM_READ)
		return NDM_ENDIO_DONE;
	fast->failed = m;
	ndm_spawn(ti->loop, "raid read", read_again, bio);
	return NDM_ENDIO_INCOMPLETE;
}

static int raid_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *out)
{
	(void)out;
	return raid_sync_message(ti->private_data, argc, argv);
}

static void raid_presuspend(struct ndm_target *ti)
{
	struct raid *r = ti->private_data;

	r->frozen = true;
	ndm_wake_all(&r->sync.kick);
	ndm_wake_all(&r->bitmap.kick);
	ndm_wake_all(&r->reshape.free);
}

static void raid_presuspend_undo(struct ndm_target *ti)
{
	struct raid *r = ti->private_data;

	r->frozen = false;
	raid_sync_start(r);
}

static void raid_postsuspend(struct ndm_target *ti)
{
	struct raid *r = ti->private_data;

	if (r->suspended || !r->preresumed)
		return;
	raid_behind_drain(r);
	r->suspended = true;
	raid_owner_set(r, false);
	if (!ti->writable || !r->geo.level || !r->persistent || raid_flush_members(r))
		return;				/* unclean: the next start sees to it */
	raid_bitmap_clean(r, true);
	r->marked = false;
	if (raid_supers_update(r))
		ndm_warn(ti, "the superblocks cannot be written");
}

static int raid_preresume(struct ndm_target *ti)
{
	struct raid *r = ti->private_data;
	int err;

	if (r->preresumed)
		return 0;
	err = raid_assemble(r);			/* the table before this one may have written */
	if (!err)
		raid_max_io(r);			/* and begun, or ended, a reshape */
	if (!err && raid_bitmap_init(r))
		err = ndm_error(ti, -ENOMEM, "Cannot allocate the bitmap");
	if (!err)
		err = raid_bitmap_load(r);
	if (!err && r->journal && ti->writable)
		err = raid_journal_start(r);
	if (!err && ti->writable && r->persistent && r->new_array)
		err = raid_supers_update(r);	/* events 1: being made (assemble.c) */
	if (!err && ti->writable && r->persistent)
		err = raid_supers_update(r);
	if (!err)
		r->preresumed = true;
	return err;
}

/* a resume of the same table gives failed members another chance */
static void members_revive(struct raid *r)
{
	uint8_t *block = patient_buffer(r->ti->loop, 4096);
	unsigned i;

	for (i = 0; i < r->n && block; i++) {
		struct raid_member *m = &r->members[i];

		if (!m->data || !m->faulty || !m->meta ||
		    ndm_rw(m->meta->store, NDM_READ, NDM_META, 0,
			   m->meta->store->limits.logical_block_bytes / NDM_SECTOR_BYTES, block))
			continue;
		m->faulty = m->in_sync = false;
		m->unreadable = false;
		m->recovery_offset = 0;
		m->by_bitmap = r->bitmap.on_disk;
	}
	if (block)
		ndm_buffer_put(r->ti->loop, block, 4096);
	r->degraded = raid_degraded(r);
}

static void raid_resume(struct ndm_target *ti)
{
	struct raid *r = ti->private_data;

	if (r->resumed && r->geo.level)
		members_revive(r);
	r->resumed = true;
	r->frozen = r->suspended = false;
	r->sync.failed = r->sync.interrupt = false;
	raid_sync_start(r);
}

static void raid_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	const struct raid *r = ti->private_data;

	if (!r->geo.chunk)
		return;
	l->io_min_bytes = r->geo.chunk * NDM_SECTOR_BYTES;
	l->io_opt_bytes = l->io_min_bytes * raid_data_disks(&r->geo);
}

static const struct ndm_keep raid_keeps[] = {
	NDM_KEEP(struct raid, sync.mismatches), NDM_KEEP(struct raid, sync.last),
	{ 0 }
};

const struct ndm_target_type ndm_target_raid = {
	.name = "raid",
	.version = { 1, 15, 1 },
	.private_size = sizeof(struct raid),
	.args = raid_args,
	.status_fields = raid_status_fields,
	.summary = "Members with copies or parity: raid0, raid1, raid10, raid4, raid5 and raid6.",
	.ctr = raid_ctr,
	.dtr = raid_dtr,
	.map = raid_map,
	.io = raid_io,
	.end_io = raid_end_io,
	.status = raid_status,
	.message = raid_message,
	.presuspend = raid_presuspend,
	.presuspend_undo = raid_presuspend_undo,
	.postsuspend = raid_postsuspend,
	.preresume = raid_preresume,
	.resume = raid_resume,
	.io_hints = raid_io_hints,
	.metas = raid_metas,
	.keeps = raid_keeps,
};
