/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal-replay.c - what a journal has is brought to the members.
 *
 * Data wait in memory until the parity of their row comes by: then both are written.  Data whose
 * parity never came (a write that was cut off; or Linux' write-back mode) are put into their
 * stripe as a write is: read, changed, parity made anew.
 */
#include "journal.h"

#define BUCKETS 256u

struct page {					/* 4 KiB of data, by array sector */
	uint64_t sector;
	struct page *next;
	uint8_t bytes[JOURNAL_BLOCK];
};

struct row { uint64_t row; struct page *pages; struct row *next; };

struct replay {
	struct raid *r;
	struct ndm_store *log;
	uint64_t nr, pos, seq;
	uint8_t *head, *page;			/* 4 KiB; 8 KiB */
	struct row *rows[BUCKETS];
};

static struct row **row_find(struct replay *p, uint64_t at)
{
	struct row **r = &p->rows[at / JOURNAL_BLOCK_SECTORS % BUCKETS];

	while (*r && (*r)->row != at)
		r = &(*r)->next;
	return r;
}

static void row_free(struct row *r)
{
	struct page *g;

	while ((g = r->pages)) {
		r->pages = g->next;
		ndm_free(g);
	}
	ndm_free(r);
}

static uint64_t row_of(const struct raid *r, uint64_t sector)
{
	return sector / r->geo.chunk / raid_data_disks(&r->geo) * r->geo.chunk + sector % r->geo.chunk;
}

static int data_keep(struct replay *p, uint64_t sector)
{
	uint64_t at = row_of(p->r, sector);
	struct row **slot = row_find(p, at);
	struct page *g;

	if (!*slot) {
		*slot = ndm_zalloc(sizeof **slot);
		if (!*slot)
			return -ENOMEM;
		(*slot)->row = at;
	}
	for (g = (*slot)->pages; g && g->sector != sector;)
		g = g->next;
	if (!g) {
		g = ndm_zalloc(sizeof *g);
		if (!g)
			return -ENOMEM;
		g->sector = sector;
		g->next = (*slot)->pages;
		(*slot)->pages = g;
	}
	memcpy(g->bytes, p->page, sizeof g->bytes);
	return 0;
}

static unsigned index_of(const struct raid *r, uint64_t sector)
{
	return sector / r->geo.chunk % raid_data_disks(&r->geo);
}

static struct stripe_job *job_of(struct raid *r, uint64_t row)
{
	return stripe_job_get(r, false, row / r->geo.chunk, (unsigned)(row % r->geo.chunk),
			      JOURNAL_BLOCK_SECTORS);
}

static void pages_write(struct stripe_job *j, const struct row *row)
{
	struct page *g;

	for (g = row ? row->pages : NULL; g; g = g->next) {
		unsigned i = index_of(j->r, g->sector);

		memcpy(j->slot[i], g->bytes, sizeof g->bytes);
		stripe_write(j, i, 0);
	}
}

/* parity is in p->page */
static int row_write(struct replay *p, uint64_t at)
{
	struct row **slot = row_find(p, at), *row = *slot;
	struct stripe_job *j = job_of(p->r, at);
	unsigned i;
	int err;

	if (!j)
		return -ENOMEM;
	pages_write(j, row);
	for (i = 0; i < p->r->geo.parity; i++) {
		memcpy(j->slot[j->d + i], p->page + i * JOURNAL_BLOCK, JOURNAL_BLOCK);
		stripe_write(j, j->d + i, 0);
	}
	err = stripe_wait_writes(j);
	stripe_job_put(j);
	if (row) {
		*slot = row->next;
		row_free(row);
	}
	return err;
}

static int row_merge(struct raid *r, const struct row *row)
{
	struct stripe_job *j = job_of(r, row->row);
	unsigned i;
	int err;

	if (!j)
		return -ENOMEM;
	err = stripe_fetch(j, false);
	if (!err) {
		pages_write(j, row);
		stripe_compute(j, j->slot[j->d], r->geo.parity == 2 ? j->slot[j->d + 1] : NULL);
		for (i = 0; i < r->geo.parity; i++)
			stripe_write(j, j->d + i, 0);
		err = stripe_wait_writes(j);
	}
	stripe_job_put(j);
	return err;
}

/* ---- reading ---- */

static int page_read(struct replay *p, uint64_t pos, void *to)
{
	return ndm_rw(p->log, NDM_READ, NDM_META, pos, JOURNAL_BLOCK_SECTORS, to);
}

static uint64_t add(const struct replay *p, uint64_t pos, uint64_t sectors)
{
	pos += sectors;
	return pos >= p->nr ? pos - p->nr : pos;
}

/* 1: there is one */
static int head_read(struct replay *p, bool first)
{
	uint32_t sum;
	int err = page_read(p, p->pos, p->head);

	if (err)
		return err;
	sum = (uint32_t)journal_get(p->head + 4, 4);
	if (journal_get(p->head, 4) != JOURNAL_MAGIC || p->head[8] != 1 ||
	    journal_get(p->head + 24, 8) != p->pos || sum != raid_journal_head_sum(p->head) ||
	    journal_get(p->head + 12, 4) > JOURNAL_BLOCK)
		return 0;
	if (first)
		p->seq = journal_get(p->head + 16, 8);
	return journal_get(p->head + 16, 8) == p->seq;
}

struct payload { unsigned type, pages, bytes; uint64_t location; const uint8_t *sums; };

static bool payload_get(const struct replay *p, unsigned at, struct payload *l)
{
	unsigned size = (unsigned)journal_get(p->head + 12, 4), most = p->r->geo.parity;
	const uint8_t *b = p->head + at;
	uint64_t sectors;

	if (at + 16 > size)
		return false;
	sectors = journal_get(b + 4, 4);
	*l = (struct payload){ .type = (unsigned)journal_get(b, 2), .location = journal_get(b + 8, 8),
			       .sums = b + 16 };
	if (l->type == JOURNAL_FLUSH) {		/* its size is in bytes, behind 8 of its own */
		l->bytes = 8 + (unsigned)sectors;
		return sectors <= JOURNAL_BLOCK && at + l->bytes <= size;
	}
	l->pages = (unsigned)(sectors / JOURNAL_BLOCK_SECTORS);
	l->bytes = 16 + 4 * l->pages;
	if (l->type == JOURNAL_DATA)
		return l->pages == 1 && at + l->bytes <= size &&
		       l->location % JOURNAL_BLOCK_SECTORS == 0 && l->location < p->r->usable;
	return l->type == JOURNAL_PARITY && l->pages == most && at + l->bytes <= size &&
	       l->location % JOURNAL_BLOCK_SECTORS == 0 && l->location < raid_sync_total(p->r);
}

/* 1: all of it is there and whole; else 0.  `act`: and does it. */
static int entry_do(struct replay *p, bool act, uint64_t *next)
{
	unsigned size = (unsigned)journal_get(p->head + 12, 4), at, i;
	uint64_t pos = add(p, p->pos, JOURNAL_BLOCK_SECTORS);
	struct payload l;
	int err;

	for (at = JOURNAL_HEAD; at + 8 <= size; at += l.bytes) {
		if (!payload_get(p, at, &l))
			return 0;
		for (i = 0; i < l.pages; i++) {
			err = page_read(p, pos, p->page + i * JOURNAL_BLOCK);
			if (err)
				return err;
			if (raid_journal_sum(p->page + i * JOURNAL_BLOCK) !=
			    journal_get(l.sums + 4 * i, 4))
				return 0;
			pos = add(p, pos, JOURNAL_BLOCK_SECTORS);
		}
		if (!act || l.type == JOURNAL_FLUSH)
			continue;
		err = l.type == JOURNAL_DATA ? data_keep(p, l.location) : row_write(p, l.location);
		if (err)
			return err;
	}
	*next = pos;
	return 1;
}

static int entries_do(struct replay *p, bool *any)
{
	uint64_t next = 0, blocks = p->nr / JOURNAL_BLOCK_SECTORS;
	int got = head_read(p, true);

	*any = got > 0;
	while (got > 0 && blocks--) {
		got = entry_do(p, false, &next);
		if (got > 0)
			got = entry_do(p, true, &next);
		if (got <= 0)
			break;
		p->pos = next;
		p->seq++;
		got = head_read(p, false);
	}
	return got < 0 ? got : 0;
}

static int replay_do(struct replay *p, uint64_t *seq)
{
	bool any = false;
	struct row *row;
	unsigned i;
	int err = entries_do(p, &any);

	for (i = 0; i < BUCKETS; i++)
		while ((row = p->rows[i])) {
			p->rows[i] = row->next;
			if (!err)
				err = row_merge(p->r, row);
			row_free(row);
		}
	if (any)
		*seq = p->seq + 10000;		/* nothing that is left behind goes on from there */
	return err;
}

int raid_journal_replay(struct raid *r, uint64_t *seq)
{
	struct ndm_loop *loop = r->ti->loop;
	struct replay *p = patient_zalloc(loop, sizeof *p);
	int err = -ENOMEM;

	if (!p)
		return err;
	p->r = r;
	p->log = r->journal->store;
	p->nr = p->log->nr / JOURNAL_BLOCK_SECTORS * JOURNAL_BLOCK_SECTORS;
	p->head = patient_buffer(loop, JOURNAL_BLOCK);
	p->page = patient_buffer(loop, 2 * JOURNAL_BLOCK);
	if (p->head && p->page)
		err = replay_do(p, seq);
	if (p->head)
		ndm_buffer_put(loop, p->head, JOURNAL_BLOCK);
	if (p->page)
		ndm_buffer_put(loop, p->page, 2 * JOURNAL_BLOCK);
	ndm_free(p);
	return err;
}
