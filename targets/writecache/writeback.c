/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writeback.c - from the cache to the origin, oldest first.
 *
 * One task chooses: committed blocks, those that lie in a row here and there as one run of up to
 * 256.  A few tasks copy.  Whoever of them is first to have copied something ends it for all that
 * have: the origin is flushed, the entries are freed, that is written and flushed; only then are
 * the blocks used again.
 *
 * A block in writeback is not written to in place: its sector gets another one.
 */
#include "targets/writecache/writecache.h"

#define RUN_BLOCKS 256u
#define WALK_BLOCKS 64u				/* chosen at a time, unless all are wanted */
#define COPIES 16u

void wc_watermark(struct writecache *wc)
{
	if ((uint64_t)wc->nfree + wc->writing_back <= wc->high)
		wc_writeback(wc);
}

/* ---- the end of a copy ---- */

static void run_end(struct writecache *wc, uint32_t first)
{
	uint32_t n = wc->entries[first].run, i;

	for (i = first; i < first + n; i++) {
		wc->entries[i].writing_back = false;
		wc->writing_back--;
		if (!wc->error)
			wc_free(wc, i);
	}
}

/* Runs that have been copied: one flush for all of them. */
static void runs_end(struct writecache *wc)
{
	uint32_t list, next;
	int err;

	wc->ending = true;
	while (wc->copied != WC_NONE) {
		list = wc->copied;
		wc->copied = WC_NONE;
		err = ndm_flush(wc->origin->store);
		if (err)
			wc_fail(wc, err, "error flushing the origin");
		ndm_lock(&wc->lock);
		for (; list != WC_NONE; list = next) {
			next = wc->entries[list].older;
			run_end(wc, list);
		}
		wc_wait_ios(wc, WC_READS);	/* those that read the blocks just freed */
		wc_write_metadata(wc, false);
		ndm_unlock(&wc->lock);
		ndm_wake_all(&wc->freed);
	}
	wc->ending = false;
}

struct copy { struct writecache *wc; uint32_t first; };

static void run_copy(struct writecache *wc, uint32_t first)
{
	uint64_t to = wc_sector(wc, first), end = wc->origin->store->nr;
	uint64_t n = (uint64_t)wc->entries[first].run * wc->block_sectors;
	int err = 0;

	if (to >= end)				/* the origin has shrunk: what lies behind is dropped */
		n = 0;
	else if (n > end - to)
		n = end - to;
	if (wc->error)
		err = -EIO;
	else if (n)
		err = ndm_copy(wc->cache->store, wc_cache_sector(wc, first), wc->origin->store, to, n);
	if (err)
		wc_fail(wc, -EIO, "copy error");
	wc->entries[first].older = wc->copied;
	wc->copied = first;
	if (!wc->ending)
		runs_end(wc);
}

static void copy_task(void *arg)
{
	struct copy c = *(struct copy *)arg;

	ndm_free(arg);
	run_copy(c.wc, c.first);
	c.wc->copies--;
	ndm_wake_all(&c.wc->freed);
	crew_leave(&c.wc->tasks);
}

/* `waiting`: blocks chosen that no task has yet */
static void run_start(struct writecache *wc, uint32_t first, uint32_t waiting)
{
	struct copy *c;

	while (wc->copies >= COPIES || (wc->jobs && wc->writing_back - waiting > wc->jobs &&
					wc->copies))
		ndm_wait(&wc->freed);
	c = ndm_zalloc(sizeof *c);
	if (!c) {
		run_copy(wc, first);		/* then by ourselves */
		return;
	}
	*c = (struct copy){ wc, first };
	wc->copies++;
	crew_send(&wc->tasks, "writecache copy", copy_task, c);
}

/* ---- choosing ---- */

static bool old_enough(const struct writecache *wc)
{
	uint64_t age = wc->max_age_ms * UINT64_C(1000000);

	return wc->age_set &&
	       ndm_now(wc->ti->loop) - wc->entries[wc->oldest].since_ns >= age - age / 16;
}

static bool more_wanted(const struct writecache *wc)
{
	return wc->oldest != WC_NONE &&
	       (wc->everything || (uint64_t)wc->nfree + wc->writing_back <= wc->low ||
		old_enough(wc));
}

static void take_block(struct writecache *wc, uint32_t b)
{
	wc_list_remove(wc, b);
	wc->entries[b].writing_back = true;
	wc->writing_back++;
}

static bool fits_behind(const struct writecache *wc, uint32_t b, uint32_t next)
{
	return next < wc->nblocks && wc_sector(wc, next) == wc_sector(wc, b) + wc->block_sectors &&
	       wc->entries[next].listed && !wc->entries[next].writing_back &&
	       wc_committed(wc, next) && wc_find_older(wc, next) == WC_NONE;
}

static uint32_t take_run(struct writecache *wc, uint32_t first)
{
	uint32_t n = 1;

	take_block(wc, first);
	while (n < RUN_BLOCKS && fits_behind(wc, first + n - 1, first + n))
		take_block(wc, first + n++);
	wc->entries[first].run = n;
	return n;
}

/* The runs of this round, oldest first, a list by `older`; with the lock. */
static uint32_t choose(struct writecache *wc, uint32_t *blocks)
{
	uint32_t head = WC_NONE, tail = WC_NONE, skipped = WC_NONE, walked = 0, b;

	*blocks = 0;
	while (more_wanted(wc)) {
		if (++walked > WALK_BLOCKS && !wc->everything) {
			if (!wc->suspended)
				wc_writeback(wc);
			break;
		}
		if (!wc_committed(wc, wc->oldest))
			wc_commit(wc);
		if (wc->error || wc->oldest == WC_NONE)
			break;
		b = wc->oldest;
		if (wc_find_older(wc, b) != WC_NONE) {	/* that one must reach the origin first */
			wc_list_remove(wc, b);
			wc->entries[b].older = skipped;
			skipped = b;
			continue;
		}
		*blocks += take_run(wc, b);
		walked += wc->entries[b].run - 1;
		wc->entries[b].older = WC_NONE;
		if (head == WC_NONE)
			head = b;
		else
			wc->entries[tail].older = b;
		tail = b;
	}
	while (skipped != WC_NONE) {
		b = skipped;
		skipped = wc->entries[b].older;
		if (wc_disk(wc, b)->sequence != htole64(WC_FREE))	/* a commit has freed it */
			wc_list_oldest(wc, b);
	}
	return head;
}

/* ---- the task ---- */

/* Who writes to the origin directly shall have it for himself. */
static void pause_writeback(struct writecache *wc)
{
	uint64_t pause = wc->pause_ms * UINT64_C(1000000), now = ndm_now(wc->ti->loop);

	while (pause && !wc->cleaner && !wc->everything && !wc->suspended &&
	       (wc->direct_writes || now - wc->direct_ns < pause)) {
		ndm_wait_until(&wc->kick, wc->direct_writes ? now + pause : wc->direct_ns + pause);
		now = ndm_now(wc->ti->loop);
	}
}

/* With the lock, which is given up meanwhile. */
static void wait_written_back(struct writecache *wc)
{
	while (wc->writing_back) {
		ndm_unlock(&wc->lock);
		if (wc->writing_back)
			ndm_wait(&wc->freed);
		ndm_lock(&wc->lock);
	}
}

static void round_of_writeback(struct writecache *wc)
{
	uint32_t run, next, blocks;

	pause_writeback(wc);
	ndm_lock(&wc->lock);
	if (wc->everything)
		wait_written_back(wc);
	if (wc->error) {
		ndm_unlock(&wc->lock);
		return;
	}
	if (wc->everything)
		wc_commit(wc);
	if (wc->overwrote)
		wc_wait_ios(wc, WC_WRITES);
	run = choose(wc, &blocks);
	ndm_unlock(&wc->lock);
	if (run == WC_NONE && more_wanted(wc) && wc->writing_back)
		ndm_wait(&wc->freed);		/* all that is wanted waits for an older copy */
	for (; run != WC_NONE; run = next) {
		next = wc->entries[run].older;
		blocks -= wc->entries[run].run;
		run_start(wc, run, blocks);
	}
	while (wc->everything && wc->writing_back)
		ndm_wait(&wc->freed);
}

static void writeback_task(void *arg)
{
	struct writecache *wc = arg;

	do {
		wc->writeback_again = false;
		round_of_writeback(wc);
	} while (wc->writeback_again && !wc->error);
	wc->writeback_runs = false;
	crew_leave(&wc->tasks);
}

void wc_writeback(struct writecache *wc)
{
	if (wc->writeback_runs) {
		wc->writeback_again = true;
		ndm_wake_all(&wc->kick);
		return;
	}
	wc->writeback_runs = true;
	crew_send(&wc->tasks, "writecache writeback", writeback_task, wc);
}

/* ---- old blocks ---- */

void wc_age_arm(struct writecache *wc)
{
	uint64_t every = wc->max_age_ms * UINT64_C(1000000) / 16;

	if (wc->age_set)
		ndm_timer_set(&wc->age, ndm_now(wc->ti->loop) + (every > 1000000 ? every : 1000000));
}

void wc_age_fired(struct ndm_timer *timer)
{
	struct writecache *wc = wc_of(timer, age);

	if (wc->suspended || wc->error)
		return;
	wc_writeback(wc);
	wc_age_arm(wc);
}
