/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.c - the journal of raid4/5/6: data and parity of a write are durable there before a
 * member is touched, so that a power failure leaves no stripe half old and half new.
 *
 * On the journal device: metadata blocks of 4 KiB, each followed by the pages that it names; every
 * sum is crc32c.  There is no pointer to the first one: whoever opens it reads from sector 0 on,
 * as long as sequences count up by one.
 *
 * So laps are written whole: at the end of the device what is under way is waited for, the members
 * are flushed, and the next entry goes to sector 0.  One entry at a time: none may be durable
 * whose forerunner is not.
 *
 * Both modes of Linux write through here: a write is answered when members have it.
 */
#include "journal.h"

#include "lib/kit/hash.h"

struct raid_journal {
	struct ndm_store *store;
	uint64_t nr, pos, seq;			/* sectors; where the next entry goes */
	unsigned busy;				/* logged, not yet on the members */
	bool failed;
	struct ndm_mutex lock;
	struct ndm_waitq idle;
	uint8_t *memory;
	size_t bytes;
};

static uint32_t seed(void)
{
	static const uint8_t uuid[16];		/* dm-raid has none */

	return ndm_crc32c(UINT32_MAX, uuid, sizeof uuid);
}

uint32_t raid_journal_sum(const void *block)
{
	return ndm_crc32c(seed(), block, JOURNAL_BLOCK);
}

uint32_t raid_journal_head_sum(uint8_t *block)
{
	journal_put(block + 4, 0, 4);
	return raid_journal_sum(block);
}

/* the payloads of one row of 4 KiB */
static unsigned row_bytes(unsigned data, unsigned parity)
{
	return data * 20 + 16 + parity * 4;
}

int raid_journal_check(struct raid *r)
{
	unsigned d = raid_data_disks(&r->geo), parity = r->geo.parity;

	if (JOURNAL_HEAD + row_bytes(d, parity) > JOURNAL_BLOCK)
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
				 "too many devices for a journal");
	return 0;
}

bool raid_journal_failed(const struct raid *r)
{
	return r->log && r->log->failed;
}

void raid_journal_free(struct raid *r)
{
	struct raid_journal *l = r->log;

	if (l && l->memory)
		ndm_buffer_put(r->ti->loop, l->memory, l->bytes);
	ndm_free(l);
	r->log = NULL;
}

static void head_fill(uint8_t *block, uint64_t seq, uint64_t pos)
{
	memset(block, 0, JOURNAL_BLOCK);
	journal_put(block, JOURNAL_MAGIC, 4);
	block[8] = 1;
	journal_put(block + 12, JOURNAL_HEAD, 4);
	journal_put(block + 16, seq, 8);
	journal_put(block + 24, pos, 8);
}

static int empty_write(struct raid_journal *l)
{
	head_fill(l->memory, l->seq, l->pos);
	journal_put(l->memory + 4, raid_journal_head_sum(l->memory), 4);
	return ndm_rw(l->store, NDM_WRITE, NDM_FUA | NDM_META, l->pos, JOURNAL_BLOCK_SECTORS, l->memory);
}

int raid_journal_start(struct raid *r)
{
	struct raid_journal *l;
	uint64_t seq = (uint32_t)ndm_random(r->ti->loop);
	int err;

	err = raid_journal_replay(r, &seq);
	if (!err)
		err = raid_flush_members(r);
	if (err)
		return ndm_error(r->ti, err, "the journal cannot be replayed");
	raid_journal_free(r);
	l = r->log = ndm_zalloc(sizeof *l);
	if (!l)
		return -ENOMEM;
	l->store = r->journal->store;
	l->nr = l->store->nr / JOURNAL_BLOCK_SECTORS * JOURNAL_BLOCK_SECTORS;
	l->seq = seq;
	ndm_mutex_init(&l->lock, r->ti->loop);
	ndm_waitq_init(&l->idle, r->ti->loop);
	l->bytes = 1u << 20;
	l->memory = patient_buffer(r->ti->loop, l->bytes);
	if (!l->memory)
		return -ENOMEM;
	err = empty_write(l);
	if (err)
		return ndm_error(r->ti, err, "the journal cannot be written");
	l->seq++;
	l->pos = JOURNAL_BLOCK_SECTORS;
	return 0;
}

/* ---- an entry ---- */

struct entry { uint8_t *head, *page; unsigned meta; uint64_t room; };

static void payload(struct entry *e, unsigned type, unsigned pages, uint64_t location)
{
	uint8_t *p = e->head + e->meta;
	unsigned i;

	journal_put(p, type, 2);
	journal_put(p + 2, 0, 2);
	journal_put(p + 4, pages * JOURNAL_BLOCK_SECTORS, 4);
	journal_put(p + 8, location, 8);
	for (i = 0; i < pages; i++)
		journal_put(p + 16 + 4 * i, raid_journal_sum(e->page - (pages - i) * JOURNAL_BLOCK), 4);
	e->meta += 16 + 4 * pages;
}

static void page_add(struct entry *e, const void *bytes)
{
	memcpy(e->page, bytes, JOURNAL_BLOCK);
	e->page += JOURNAL_BLOCK;
}

static void row_add(struct entry *e, struct stripe_job *j, unsigned at, unsigned lo, unsigned hi)
{
	unsigned chunk = j->r->geo.chunk, parity = j->r->geo.parity, i;
	uint64_t row = j->stripe * chunk + j->first + at;

	for (i = lo; i <= hi; i++) {
		page_add(e, (uint8_t *)j->slot[i] + (size_t)at * NDM_SECTOR_BYTES);
		payload(e, JOURNAL_DATA, 1, (j->stripe * j->d + i) * chunk + j->first + at);
	}
	for (i = 0; i < parity; i++)
		page_add(e, (uint8_t *)j->slot[j->d + i] + (size_t)at * NDM_SECTOR_BYTES);
	payload(e, JOURNAL_PARITY, parity, row);
}

/* there is room for so many blocks, at the next lap's start if need be */
static int room_make(struct raid *r, struct raid_journal *l, unsigned blocks)
{
	int err;

	if (l->pos + (uint64_t)blocks * JOURNAL_BLOCK_SECTORS <= l->nr)
		return 0;
	while (l->busy)
		ndm_wait(&l->idle);
	err = raid_flush_members(r);
	if (!err)
		l->pos = 0;
	return err;
}

static int entry_write(struct raid *r, struct stripe_job *j, unsigned from, unsigned rows,
		       unsigned lo, unsigned hi)
{
	struct raid_journal *l = r->log;
	unsigned i, blocks = 1 + rows * (hi - lo + 1 + r->geo.parity);
	struct entry e = { .head = l->memory, .page = l->memory + JOURNAL_BLOCK, .meta = JOURNAL_HEAD };
	int err = room_make(r, l, blocks);

	if (err)
		return err;
	head_fill(e.head, l->seq, l->pos);
	for (i = 0; i < rows; i++)
		row_add(&e, j, from + i * JOURNAL_BLOCK_SECTORS, lo, hi);
	journal_put(e.head + 12, e.meta, 4);
	journal_put(e.head + 4, raid_journal_head_sum(e.head), 4);
	err = ndm_rw(l->store, NDM_WRITE, NDM_FUA | NDM_META, l->pos,
		     (uint64_t)blocks * JOURNAL_BLOCK_SECTORS, l->memory);
	if (err)
		return err;
	l->seq++;
	l->pos += (uint64_t)blocks * JOURNAL_BLOCK_SECTORS;
	return 0;
}

int raid_journal_log(struct stripe_job *j, unsigned lo, unsigned hi)
{
	struct raid *r = j->r;
	struct raid_journal *l = r->log;
	unsigned rows = j->nr / JOURNAL_BLOCK_SECTORS, at, n, parity = r->geo.parity;
	unsigned most = (JOURNAL_BLOCK - JOURNAL_HEAD) / row_bytes(hi - lo + 1, parity);
	unsigned fit = (unsigned)(l->bytes / JOURNAL_BLOCK - 1) / (hi - lo + 1 + parity);
	int err = 0;

	most = most < fit ? most : fit;
	ndm_lock(&l->lock);
	for (at = 0; at < rows && !err && !l->failed; at += n) {
		n = rows - at < most ? rows - at : most;
		err = entry_write(r, j, at * JOURNAL_BLOCK_SECTORS, n, lo, hi);
	}
	if (err && !l->failed) {
		l->failed = true;
		ndm_warn(r->ti, "the journal has failed: nothing is written any more");
		ndm_event(r->ti);
	}
	if (!err && l->failed)
		err = -EIO;
	if (!err)
		l->busy++;
	ndm_unlock(&l->lock);
	return err;
}

void raid_journal_done(struct raid *r)
{
	if (!--r->log->busy)
		ndm_wake_all(&r->log->idle);
}
