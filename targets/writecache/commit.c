/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit.c - the metadata on disk.
 *
 * A commit: what was written to the blocks has arrived; their entries, with the superblock's own
 * sequence S and therefore not yet counting, are written, and all of it is flushed; then one
 * durable write of the superblock with S + 1 makes them count, all at once.  What they replace is
 * freed behind that.
 *
 * Crash states: before the superblock nothing has happened (entries with S are dropped), after it
 * all has; both of two entries of one sector may be there, and the higher sequence is right.
 */
#include "targets/writecache/writecache.h"

#define READ_BYTES (1u << 20)			/* at once */

void wc_fail(struct writecache *wc, int err, const char *what)
{
	if (!wc->error) {
		wc->error = err;
		ndm_warn(wc->ti, "%s: %s", what, strerror(-err));
	}
	ndm_wake_all(&wc->freed);
}

void wc_dirty_all(struct writecache *wc)
{
	memset(wc->dirty, 1, wc->granules);
}

int wc_read_metadata(struct writecache *wc, size_t bytes)
{
	size_t at, n;
	int err = 0;

	for (at = 0; at < bytes && !err; at += n) {
		n = bytes - at < READ_BYTES ? bytes - at : READ_BYTES;
		err = ndm_rw(wc->cache->store, NDM_READ, NDM_META,
			     wc->start_sector + at / NDM_SECTOR_BYTES, n / NDM_SECTOR_BYTES,
			     wc->meta + at);
	}
	return err;
}

static int metadata_write(struct writecache *wc, unsigned flags, size_t at, size_t bytes)
{
	if (at + bytes > wc->meta_bytes)
		bytes = wc->meta_bytes - at;
	return ndm_rw(wc->cache->store, NDM_WRITE, flags | NDM_META,
		      wc->start_sector + at / NDM_SECTOR_BYTES, bytes / NDM_SECTOR_BYTES,
		      wc->meta + at);
}

void wc_wait_ios(struct writecache *wc, int direction)
{
	while (wc->in_progress[direction])
		ndm_wait(&wc->ios);
}

static void cache_flush(struct writecache *wc)
{
	int err = ndm_flush(wc->cache->store);

	if (err)
		wc_fail(wc, err, "error flushing metadata");
}

/* What has changed of the metadata, durable. */
void wc_write_metadata(struct writecache *wc, bool wait_for_writes)
{
	unsigned i, j;
	int err;

	for (i = 0; i < wc->granules; i = j) {
		for (j = i; j < wc->granules && wc->dirty[j]; j++)
			wc->dirty[j] = 0;
		if (j == i) {
			j++;
			continue;
		}
		err = metadata_write(wc, 0, (size_t)i * WC_GRANULE_BYTES,
				     (size_t)(j - i) * WC_GRANULE_BYTES);
		if (err)
			wc_fail(wc, -EIO, "error writing metadata");
	}
	if (wait_for_writes)
		wc_wait_ios(wc, WC_WRITES);
	cache_flush(wc);
}

static void superblock_write(struct writecache *wc)
{
	size_t bytes = wc->block_bytes > 4096 ? wc->block_bytes : 4096;
	int err = NDM_MOMENT(wc->ti->loop, "writecache.commit.before-superblock");

	wc->sequence++;
	wc_super(wc)->sequence = htole64(wc->sequence);
	if (!err)
		err = metadata_write(wc, NDM_FUA, 0, bytes);
	if (err)
		wc_fail(wc, err, "error writing superblock");
}

/* Blocks that the newly committed ones replace; those on their way to the origin stay. */
static bool superseded_free(struct writecache *wc, uint32_t b)
{
	uint32_t older = wc_find_older(wc, b), next;
	bool any = false;

	for (; older != WC_NONE; older = next) {
		next = wc_find_older(wc, older);
		if (wc->entries[older].writing_back)
			continue;
		wc_free(wc, older);
		any = true;
	}
	return any;
}

void wc_commit(struct writecache *wc)
{
	uint32_t b, last = WC_NONE;
	bool any = false;

	wc->uncommitted = 0;
	ndm_timer_cancel(&wc->autocommit);
	wc->autocommit_armed = false;
	for (b = wc->newest; b != WC_NONE && !wc_committed(wc, b); b = wc->entries[b].older) {
		wc->dirty[(WC_SUPER_BYTES + (size_t)b * sizeof(struct wc_disk_entry)) /
			  WC_GRANULE_BYTES] = 1;
		last = b;
	}
	if (last == WC_NONE) {
		if (wc->overwrote) {
			wc->overwrote = false;
			wc_wait_ios(wc, WC_WRITES);
			cache_flush(wc);
		}
		return;
	}
	wc->overwrote = false;
	wc_write_metadata(wc, true);
	superblock_write(wc);
	for (b = last; b != WC_NONE; b = wc->entries[b].newer)
		any |= superseded_free(wc, b);
	if (any)
		wc_write_metadata(wc, false);
}

/* ---- without being asked ---- */

static void commit_task(void *arg)
{
	struct writecache *wc = arg;

	wc->commit_queued = false;
	ndm_lock(&wc->lock);
	wc_commit(wc);
	ndm_unlock(&wc->lock);
	crew_leave(&wc->tasks);
}

static void commit_soon(struct writecache *wc)
{
	if (wc->commit_queued)
		return;
	wc->commit_queued = true;
	crew_send(&wc->tasks, "writecache commit", commit_task, wc);
}

void wc_autocommit_fired(struct ndm_timer *timer)
{
	struct writecache *wc = wc_of(timer, autocommit);

	wc->autocommit_armed = false;
	if (!wc->error)
		commit_soon(wc);
}

void wc_autocommit(struct writecache *wc)
{
	if (wc->uncommitted >= wc->autocommit_blocks) {
		wc->uncommitted = 0;
		commit_soon(wc);
	} else if (!wc->autocommit_armed) {
		wc->autocommit_armed = true;
		ndm_timer_set(&wc->autocommit, ndm_now(wc->ti->loop) +
			      wc->autocommit_ms * UINT64_C(1000000));
	}
}
