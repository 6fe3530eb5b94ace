/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot-merge: the origin as the snapshot has it, while its chunks go home.
 *
 *	snapshot-merge <origin> <COW device> <P|PO> <chunk> [<#features> <features>]
 *
 * Chunks with an exception are read and written on the COW device, all others on the origin.
 * A worker takes exceptions back from the last to the first: a run of chunks that lie side by
 * side in both places is copied to the origin, the origin is flushed, and only then are the
 * entries taken off the end of their area.
 *
 * Crash states: after the copy and before the area is written the run is simply merged again;
 * its exceptions still win over the origin.  Interrupted at any point, the same two devices
 * may be loaded again, as snapshot or as snapshot-merge.
 *
 * Writes to a run that is being merged wait for the end of the step, then go to the origin.
 * A merging store gets no new exceptions; other snapshots of the origin do.
 */
#include "snapshot.h"

static bool being_merged(const struct snap *s, uint64_t chunk)
{
	return chunk - s->merging_first < s->merging_n;
}

/* ---- the worker ---- */

static int run_copy(struct snap *s, uint64_t old_chunk, uint64_t new_chunk, unsigned n)
{
	uint64_t to = old_chunk * s->store.chunk_sectors, nr = (uint64_t)n * s->store.chunk_sectors;
	uint64_t end = s->origin_dev->store->nr, i;
	int err;

	if (to >= end)
		return 0;
	if (nr > end - to)
		nr = end - to;
	while (!origin_ready(s->origin, to, nr, s))
		origin_copy_out(s->origin, to, nr, s);
	s->merging_first = old_chunk;
	s->merging_n = n;
	for (i = 0; i < n; i++)			/* writes that are on their way to the COW device */
		snap_wait_untracked(s, old_chunk + i);
	err = ndm_copy(s->cow->store, new_chunk * s->store.chunk_sectors, s->origin_dev->store, to,
		       nr);
	if (!err)
		err = NDM_MOMENT(s->ti->loop, "snapshot.merge.before-flush");
	return err ? err : ndm_flush(s->origin_dev->store);
}

/* 0: a step is done, 1: all is merged, -errno */
static int merge_step(struct snap *s)
{
	uint64_t old_chunk, new_chunk, i;
	int n = pstore_merge_next(&s->store, &old_chunk, &new_chunk), err;

	if (n <= 0)
		return n ? n : 1;
	old_chunk -= (unsigned)n - 1;
	new_chunk -= (unsigned)n - 1;
	err = run_copy(s, old_chunk, new_chunk, (unsigned)n);
	if (!err)
		err = pstore_merged(&s->store, (unsigned)n);
	for (i = 0; !err && i < (unsigned)n; i++)
		exceptions_remove(&s->exceptions, old_chunk + i);
	return err;
}

static void merge_worker(void *arg)
{
	struct snap *s = arg;
	int done = 0;

	while (!done && s->valid && !ndm_stopping(s->ti)) {
		done = merge_step(s);
		if (done < 0) {
			ndm_warn(s->ti, "Merge failed: %s", strerror(-done));
			s->merge_failed = true;
		}
		s->merging_n = 0;
		ndm_wake_all(&s->merged);
	}
}

/* ---- the target ---- */

static int merge_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct snap *s = ti->private_data;
	int err;

	s->is_merge = true;
	err = snap_ctr(ti, argc, argv);
	if (err)
		return err;
	ti->num_flush = 2;
	if (s->discard_zeroes_cow) {
		ti->num_discard = 1;
		ti->discards_supported = true;
	}
	return 0;
}

static enum ndm_map merge_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct snap *s = ti->private_data;
	const struct exception *e = NULL;
	uint64_t sector, chunk;

	if (bio->op == NDM_FLUSH)
		return ndm_remap(bio, bio->copy ? s->cow : s->origin_dev, 0);
	if (bio->op == NDM_DISCARD) {		/* no longer of any effect */
		ndm_end(bio, 0);
		return NDM_MAP_SUBMITTED;
	}
	sector = ndm_offset(ti, bio->sector);
	chunk = snap_chunk(s, sector);
	if (s->valid)
		e = exceptions_find(&s->exceptions, chunk);
	if (e && bio->op == NDM_WRITE) {
		if (being_merged(s, chunk))
			return NDM_MAP_WAIT;
		snap_track(s, bio, chunk);
	}
	if (e)
		return snap_remap(s, e, bio);
	if (bio->op == NDM_WRITE && !origin_ready(s->origin, sector, bio->nr, s))
		return NDM_MAP_WAIT;
	return ndm_remap(bio, s->origin_dev, sector);
}

static int merge_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct snap *s = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector), chunk = snap_chunk(s, sector);

	while (s->valid && being_merged(s, chunk)) {
		ndm_wait(&s->merged);
		if (s->merge_failed)
			return -EIO;
	}
	/* what was merged is the origin's now; it has no exception that could come back */
	while (!origin_ready(s->origin, sector, bio->nr, s))
		origin_copy_out(s->origin, sector, bio->nr, s);
	return ndm_forward(bio, s->origin_dev, sector);
}

static void merge_postsuspend(struct ndm_target *ti)
{
	struct snap *s = ti->private_data;

	s->running = false;
}

static void merge_resume(struct ndm_target *ti)
{
	struct snap *s = ti->private_data;

	snap_resume(ti);
	if (s->valid && !s->merge_failed)
		ndm_worker(ti, "merge", merge_worker, s);
}

const struct ndm_target_type ndm_target_snapshot_merge = {
	.name = "snapshot-merge",
	.version = { 1, 5, 0 },
	.private_size = sizeof(struct snap),
	.args = snap_args,
	.status_fields = snap_status_fields,
	.summary = "An origin into which a snapshot is being merged back.",
	.ctr = merge_ctr,
	.dtr = snap_dtr,
	.map = merge_map,
	.io = merge_io,
	.end_io = snap_end_io,
	.status = snap_status,
	.postsuspend = merge_postsuspend,
	.preresume = snap_preresume,
	.resume = merge_resume,
	.metas = snap_metas,
	.recall = snap_recall,
	.remember = snap_remember,
};
