/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life.c - a writecache from its first format to the end: the superblock, resume, suspend and
 * messages.
 *
 * A resume reads all metadata again.  What is in the cache stays there over a suspend, so the
 * origin is of no use alone, unless everything was written back: flush_on_suspend, or the cleaner.
 */
#include <strings.h>

#include "targets/writecache/writecache.h"

/* ---- the superblock ---- */

static uint64_t meta_bytes(const struct writecache *wc, uint64_t n)
{
	uint64_t bytes = WC_SUPER_BYTES + n * sizeof(struct wc_disk_entry);

	return (bytes + wc->block_bytes - 1) / wc->block_bytes * wc->block_bytes;
}

static uint64_t most_blocks(const struct writecache *wc)
{
	uint64_t n = wc->cache_bytes / (wc->block_bytes + sizeof(struct wc_disk_entry));

	while (n && meta_bytes(wc, n) + n * wc->block_bytes > wc->cache_bytes)
		n--;
	return n;
}

static int buffers_alloc(struct ndm_target *ti, struct writecache *wc, uint64_t n)
{
	wc->meta_bytes = meta_bytes(wc, n);
	wc->granules = (wc->meta_bytes + WC_GRANULE_BYTES - 1) / WC_GRANULE_BYTES;
	wc->meta = ndm_zalloc(wc->meta_bytes);
	if (!wc->meta)
		return ndm_error(ti, -ENOMEM, "Unable to allocate memory for metadata");
	wc->dirty = ndm_zalloc(wc->granules);
	return wc->dirty ? 0 : ndm_error(ti, -ENOMEM, "Unable to allocate dirty bitmap");
}

static bool blank(const struct writecache *wc)
{
	return !wc_super(wc)->magic && !wc_super(wc)->version;
}

/* The superblock comes last: as long as it is blank all of this is done again. */
static void format(struct writecache *wc, uint64_t n)
{
	memset(wc->meta, 0, WC_SUPER_BYTES);
	memset(wc->meta + WC_SUPER_BYTES, 0xff, n * sizeof(struct wc_disk_entry));
	wc_dirty_all(wc);
	ndm_lock(&wc->lock);
	wc_write_metadata(wc, false);
	wc_super(wc)->magic = htole32(WC_MAGIC);
	wc_super(wc)->version = htole32(WC_VERSION);
	wc_super(wc)->block_bytes = htole32(wc->block_bytes);
	wc_super(wc)->nblocks = htole64(n);
	wc->dirty[0] = 1;
	wc_write_metadata(wc, false);
	ndm_unlock(&wc->lock);
}

static int super_take(struct ndm_target *ti, struct writecache *wc, uint64_t most)
{
	const struct wc_super *super = wc_super(wc);
	uint64_t n = le64toh(super->nblocks);

	if (le32toh(super->magic) != WC_MAGIC)
		return ndm_error(ti, -EINVAL, "Invalid magic in the superblock");
	if (le32toh(super->version) != WC_VERSION)
		return ndm_error(ti, -EINVAL, "Invalid version in the superblock");
	if (le32toh(super->block_bytes) != wc->block_bytes)
		return ndm_error(ti, -EINVAL, "Block size does not match superblock: it has %u",
				 le32toh(super->block_bytes));
	if (n > UINT64_MAX / (wc->block_bytes + sizeof(struct wc_disk_entry)))
		return ndm_error(ti, -EINVAL, "Overflow in size calculation");
	if (n > most)
		return ndm_error(ti, -EINVAL, "Memory area is too small");
	wc->nblocks = n;
	wc->meta_bytes = meta_bytes(wc, n);
	wc->granules = (wc->meta_bytes + WC_GRANULE_BYTES - 1) / WC_GRANULE_BYTES;
	return 0;
}

static uint32_t watermark(const struct writecache *wc, unsigned percent)
{
	return ((uint64_t)wc->nblocks * (100 - percent) + 50) / 100;
}

int wc_open(struct ndm_target *ti, struct writecache *wc)
{
	uint64_t most = most_blocks(wc);
	int err;

	if (!most)
		return ndm_error(ti, -ENOSPC, "Invalid device size");
	if (most >= WC_NONE)
		return ndm_error(ti, -EFBIG, "Invalid device size");
	err = buffers_alloc(ti, wc, most);
	if (!err && wc_read_metadata(wc, wc->block_bytes))
		err = ndm_error(ti, -EIO, "Unable to read first block of metadata");
	if (err)
		return err;
	if (blank(wc))
		format(wc, most);
	err = super_take(ti, wc, most);
	if (err)
		return err;
	wc->high = watermark(wc, wc->high_percent);
	wc->low = watermark(wc, wc->low_percent);
	if (!wc->nblocks || wc_entries_alloc(wc))
		return ndm_error(ti, -ENOMEM, "Cannot allocate memory");
	wc_entries_reset(wc);
	if (wc->cleaner)
		wc_clean(wc);
	return 0;
}

/* ---- resume ---- */

/* true: something has changed that must go to the disk */
static bool entry_resume(struct writecache *wc, uint32_t b)
{
	bool was_free = wc_disk(wc, b)->sequence == htole64(WC_FREE);
	uint64_t sequence = le64toh(wc_disk(wc, b)->sequence);
	uint32_t old = WC_NONE;

	if (wc_committed(wc, b))
		old = wc_find(wc, wc_sector(wc, b));
	if (old != WC_NONE && le64toh(wc_disk(wc, old)->sequence) == sequence) {
		ndm_warn(wc->ti, "two identical entries, position %" PRIu32 ", sector %" PRIu64
			 ", sequence %" PRIu64, b, wc_sector(wc, b), sequence);
		wc_fail(wc, -EINVAL, "the metadata are damaged");
	}
	if (!wc_committed(wc, b) ||
	    (old != WC_NONE && le64toh(wc_disk(wc, old)->sequence) > sequence)) {
		wc_make_free(wc, b);
		return !was_free;
	}
	if (old != WC_NONE)
		wc_free(wc, old);
	wc_adopt(wc, b);
	return old != WC_NONE;
}

void wc_resume(struct ndm_target *ti)
{
	struct writecache *wc = ti->private_data;
	bool changed = false;
	uint32_t b;
	int err;

	ndm_lock(&wc->lock);
	wc->suspended = false;
	err = wc_read_metadata(wc, wc->meta_bytes);
	if (err) {
		wc_fail(wc, err, "unable to read metadata");
		memset(wc->meta + WC_SUPER_BYTES, 0xff, wc->meta_bytes - WC_SUPER_BYTES);
	}
	wc->sequence = le64toh(wc_super(wc)->sequence);
	wc_entries_reset(wc);
	for (b = 0; b < wc->nblocks; b++)
		changed |= entry_resume(wc, b);
	if (changed) {
		wc_dirty_all(wc);
		wc_write_metadata(wc, false);
	}
	wc_watermark(wc);
	wc_age_arm(wc);
	ndm_unlock(&wc->lock);
}

/* ---- suspend ---- */

void wc_postsuspend(struct ndm_target *ti)
{
	struct writecache *wc = ti->private_data;
	bool all;

	wc->suspended = true;
	ndm_timer_cancel(&wc->autocommit);
	ndm_timer_cancel(&wc->age);
	wc->autocommit_armed = false;
	ndm_wake_all(&wc->kick);
	ndm_lock(&wc->lock);
	wc_commit(wc);
	all = wc->flush_on_suspend;
	wc->flush_on_suspend = false;
	if (all) {
		wc->everything++;
		wc_writeback(wc);
	}
	ndm_unlock(&wc->lock);
	crew_wait(&wc->tasks);
	wc->everything -= all;
	ndm_timer_cancel(&wc->autocommit);
}

/* ---- messages ---- */

void wc_clean(struct writecache *wc)
{
	wc->flush_on_suspend = wc->cleaner = true;
	wc->high = wc->low = wc->nblocks;
}

static int message_flush(struct writecache *wc)
{
	ndm_lock(&wc->lock);
	if (wc->suspended || wc->error) {
		ndm_unlock(&wc->lock);
		return wc->suspended ? ndm_error(wc->ti, -EBUSY, "the device is suspended")
				     : ndm_error(wc->ti, -EIO, "the cache has failed");
	}
	wc_commit(wc);
	wc->everything++;
	wc_writeback(wc);
	ndm_unlock(&wc->lock);
	while (wc->writeback_runs)
		ndm_wait(&wc->tasks.left);
	wc->everything--;
	return wc->error ? ndm_error(wc->ti, -EIO, "the cache has failed") : 0;
}

int wc_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct writecache *wc = ti->private_data;

	(void)reply;
	if (argc == 1 && !strcasecmp(argv[0], "flush"))
		return message_flush(wc);
	if (argc == 1 && !strcasecmp(argv[0], "flush_on_suspend")) {
		wc->flush_on_suspend = true;
		return 0;
	}
	if (argc == 1 && !strcasecmp(argv[0], "cleaner")) {
		wc_clean(wc);
		ndm_wake_all(&wc->kick);
		if (!wc->suspended)
			wc_watermark(wc);
		return 0;
	}
	if (argc == 1 && !strcasecmp(argv[0], "clear_stats")) {
		wc->stats = (struct wc_stats){ 0 };
		return 0;
	}
	return ndm_error(ti, -EINVAL, "messages are flush, flush_on_suspend, cleaner and clear_stats, "
			 "each a single word");
}
