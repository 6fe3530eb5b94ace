/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unflushed.c - a copy of what was written and not yet flushed.
 *
 * A server that dies may take with it what it has acknowledged and not yet made durable.  As
 * long as we have it too nothing is lost: it can be written again down another path, or down
 * the same when the server is back (NFS clients do so with writes not yet committed).
 *
 * Kept are pages of 8 sectors, each with a bit for every sector that counts, and a bit for
 * every path that has taken a part of it.  A sector has one content, the last acknowledged, so
 * writing a page again can never bring back what was overwritten; that is also why a write
 * that needs no copy itself (FUA) has to clear the bits of its sectors.
 *
 * Pages are listed in the order of their last write.  A flush covers what was noted before it
 * was sent: that is a number, and when it has ended all pages up to that number are dropped.
 * Not so those of a path that has failed: they are lost, until they have been written again.
 *
 * Megabytes pass through here that are hardly ever looked at again.  So the bytes go past the
 * caches, and what is known of the pages stands together, apart from them.
 */
#include <string.h>

#include "lib/kit/stream.h"
#include "targets/multipath/multipath.h"

#define PAGE_SECTORS 8u
#define PAGE_BYTES (PAGE_SECTORS * NDM_SECTOR_BYTES)

struct page {
	struct page *hash_next;
	struct page *prev, *next;		/* oldest write first */
	uint64_t number;			/* sector / PAGE_SECTORS */
	uint64_t seq;				/* of its last write */
	uint64_t sector_seq[PAGE_SECTORS];
	uint64_t paths;				/* bits: who took a part of it */
	uint8_t mask;				/* bits: which sectors count */
	bool lost;
	unsigned char *bytes;
};

#define SLAB_PAGES 64u
#define LINE_BYTES 64u

struct slab {
	struct slab *next;
	struct page pages[SLAB_PAGES];
	unsigned char bytes[SLAB_PAGES * PAGE_BYTES + LINE_BYTES];
};

struct unflushed {
	struct page **hash;
	unsigned hash_size;			/* a power of 2 */
	unsigned npages, max_pages, nlost;
	struct page *first, *last;
	struct page *free;
	struct slab *slabs;
	struct page *at;			/* of the walk */
	uint64_t seq;
	bool held;				/* dropping waits */
	uint64_t drop_until;
};

struct unflushed *unflushed_new(uint64_t bytes_max)
{
	struct unflushed *u = ndm_zalloc(sizeof *u);

	if (!u)
		return NULL;
	u->max_pages = bytes_max / PAGE_BYTES < UINT32_MAX / 4 ? (unsigned)(bytes_max / PAGE_BYTES)
		       : UINT32_MAX / 4;
	for (u->hash_size = 64; u->hash_size < u->max_pages; u->hash_size *= 2)
		;
	u->hash = ndm_calloc(u->hash_size, sizeof *u->hash);
	if (!u->hash) {
		ndm_free(u);
		return NULL;
	}
	return u;
}

static struct page **hash_slot(struct unflushed *u, uint64_t number)
{
	struct page **p = &u->hash[(number * 0x9e3779b97f4a7c15u >> 32) & (u->hash_size - 1)];

	while (*p && (*p)->number != number)
		p = &(*p)->hash_next;
	return p;
}

static void list_del(struct unflushed *u, struct page *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		u->first = p->next;
	if (p->next)
		p->next->prev = p->prev;
	else
		u->last = p->prev;
}

static void list_add(struct unflushed *u, struct page *p)
{
	p->next = NULL;
	p->prev = u->last;
	if (u->last)
		u->last->next = p;
	else
		u->first = p;
	u->last = p;
}

static void page_drop(struct unflushed *u, struct page *p)
{
	if (p->next)
		__builtin_prefetch(p->next);
	*hash_slot(u, p->number) = p->hash_next;
	if (u->at == p)
		u->at = p->next;
	list_del(u, p);
	p->next = u->free;
	u->free = p;
	u->npages--;
	u->nlost -= p->lost;
}

static bool slab_make(struct unflushed *u)
{
	struct slab *s = ndm_zalloc(sizeof *s);
	uintptr_t bytes;
	unsigned i;

	if (!s)
		return false;
	s->next = u->slabs;
	u->slabs = s;
	bytes = ((uintptr_t)s->bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
	for (i = SLAB_PAGES; i-- > 0; ) {
		s->pages[i].bytes = (unsigned char *)bytes + i * PAGE_BYTES;
		s->pages[i].next = u->free;
		u->free = &s->pages[i];
	}
	return true;
}

static struct page *page_make(struct unflushed *u, struct page **slot, uint64_t number)
{
	struct page *p;

	if (u->npages >= u->max_pages || (!u->free && !slab_make(u)))
		return NULL;
	p = u->free;
	u->free = p->next;
	if (u->free)
		__builtin_prefetch(u->free, 1);
	p->hash_next = NULL;
	p->number = number;
	p->paths = 0;
	p->mask = 0;
	p->lost = false;
	*slot = p;
	u->npages++;
	list_add(u, p);
	return p;
}

void unflushed_free(struct unflushed *u)
{
	struct slab *s;

	if (!u)
		return;
	while ((s = u->slabs)) {
		u->slabs = s->next;
		ndm_free(s);
	}
	ndm_free(u->hash);
	ndm_free(u);
}

/* Bits of a page's sectors that belong to [sector, sector + nr). */
static uint8_t page_bits(uint64_t number, uint64_t sector, uint64_t nr)
{
	uint64_t begin = number * PAGE_SECTORS, first = sector > begin ? sector - begin : 0;
	uint64_t end = sector + nr < begin + PAGE_SECTORS ? sector + nr - begin : PAGE_SECTORS;

	return (uint8_t)((0xffu << first) & (0xffu >> (PAGE_SECTORS - end)));
}

static void page_forget(struct unflushed *u, struct page *p, uint64_t sector, uint64_t nr,
			uint64_t until)
{
	uint8_t bits = page_bits(p->number, sector, nr);
	unsigned i;

	for (i = 0; i < PAGE_SECTORS; i++)
		if (bits >> i & 1 && p->sector_seq[i] <= until)
			p->mask &= (uint8_t)~(1u << i);
	if (!p->mask && !u->held)
		page_drop(u, p);
}

void unflushed_forget(struct unflushed *u, uint64_t sector, uint64_t nr, uint64_t until)
{
	uint64_t number = sector / PAGE_SECTORS, last = (sector + nr - 1) / PAGE_SECTORS;
	struct page *p, *next;

	if (last - number <= u->npages) {
		for (; number <= last; number++) {
			p = *hash_slot(u, number);
			if (p)
				page_forget(u, p, sector, nr, until);
		}
		return;
	}
	for (p = u->first; p; p = next) {	/* a large discard */
		next = p->next;
		if (p->number >= number && p->number <= last)
			page_forget(u, p, sector, nr, until);
	}
}

static void page_put(struct unflushed *u, struct page *p, uint64_t sector, uint64_t nr,
		     const struct ndm_data *data)
{
	unsigned first = sector % PAGE_SECTORS, i;
	const void *flat = ndm_data_flat(data, nr * NDM_SECTOR_BYTES);
	unsigned char *to = p->bytes + first * NDM_SECTOR_BYTES;

	if (flat)
		stream_copy(to, flat, nr * NDM_SECTOR_BYTES);
	else
		ndm_data_from(data, nr * NDM_SECTOR_BYTES, to);
	p->mask |= page_bits(p->number, sector, nr);
	for (i = first; i < first + nr; i++)
		p->sector_seq[i] = u->seq;
	p->seq = u->seq;
	if (u->last == p)
		return;
	list_del(u, p);
	list_add(u, p);
}

bool unflushed_note(struct unflushed *u, unsigned path, const struct ndm_bio *bio)
{
	uint64_t sector = bio->sector, nr = bio->nr, number, n;
	struct ndm_data data = bio->data;
	struct page **slot, *p;

	u->seq++;
	while (nr) {
		number = sector / PAGE_SECTORS;
		n = PAGE_SECTORS - sector % PAGE_SECTORS;
		if (n > nr)
			n = nr;
		slot = hash_slot(u, number);
		p = *slot ? *slot : page_make(u, slot, number);
		if (!p)
			return false;
		p->paths |= (uint64_t)1 << path % 64;
		page_put(u, p, sector, n, &data);
		data = ndm_data_skip(data, n * NDM_SECTOR_BYTES);
		sector += n;
		nr -= n;
	}
	return true;
}

uint64_t unflushed_now(const struct unflushed *u)
{
	return u->seq;
}

void unflushed_drop(struct unflushed *u, uint64_t until)
{
	struct page *p, *next;

	if (u->held) {
		if (until > u->drop_until)
			u->drop_until = until;
		return;
	}
	for (p = u->first; p && p->seq <= until; p = next) {
		next = p->next;
		if (!p->lost)
			page_drop(u, p);
	}
}

bool unflushed_lose(struct unflushed *u, unsigned path)
{
	uint64_t bit = (uint64_t)1 << path % 64;
	struct page *p;

	for (p = u->first; p; p = p->next) {
		if (!(p->paths & bit))
			continue;
		p->paths &= ~bit;
		u->nlost += !p->lost;
		p->lost = true;
	}
	return u->nlost;
}

void unflushed_lose_all(struct unflushed *u)
{
	struct page *p;

	for (p = u->first; p; p = p->next) {
		p->paths = 0;
		p->lost = true;
	}
	u->nlost = u->npages;
}

bool unflushed_lost(const struct unflushed *u)
{
	return u->nlost;
}

bool unflushed_half_full(const struct unflushed *u)
{
	return u->npages > u->max_pages / 2;
}

uint64_t unflushed_bytes(const struct unflushed *u)
{
	return (uint64_t)u->npages * PAGE_BYTES;
}

/* ---- writing it again ---- */

void unflushed_walk(struct unflushed *u)
{
	u->held = true;
	u->at = u->first;
}

bool unflushed_next(struct unflushed *u, struct unflushed_page *out)
{
	struct page *p = u->at;

	while (p && !p->lost)
		p = p->next;
	u->at = p ? p->next : NULL;
	if (!p)
		return false;
	*out = (struct unflushed_page){ .sector = p->number * PAGE_SECTORS, .mask = p->mask,
					.bytes = p->bytes };
	return true;
}

void unflushed_moved(struct unflushed *u, uint64_t sector, uint64_t paths)
{
	struct page *p = *hash_slot(u, sector / PAGE_SECTORS);

	if (!p || !p->lost)
		return;
	p->paths |= paths;
	p->lost = false;
	u->nlost--;
}

void unflushed_walked(struct unflushed *u)
{
	u->held = false;
	u->at = NULL;
	unflushed_drop(u, u->drop_until);
}
