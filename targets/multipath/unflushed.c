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
 * Megabytes pass through here that are hardly ever looked at again.  Where the host shares the
 * memory that it has received them in, a whole page stays there and is not copied.  A share is
 * mostly larger than what is wanted of it: those that would be kept for too little are left alone.
 * What is copied goes past the caches, and what is known of the pages stands together, apart from
 * their bytes.
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
	const unsigned char *bytes;		/* in a share, or a room of ours; NULL: neither yet */
	struct ndm_share *share;		/* NULL: ours */
};

#define SLAB_PAGES 64u
#define LINE_BYTES 64u
#define SPARSE_BYTES ((uint64_t)1 << 20)	/* of shares that may be kept for little */

struct slab { struct slab *next; struct page pages[SLAB_PAGES]; };
struct room { struct room *next; };		/* a page's bytes, while they are free */
struct rooms {
	struct rooms *next;
	unsigned char bytes[SLAB_PAGES * PAGE_BYTES + LINE_BYTES];
};

struct unflushed {
	struct page **hash;
	unsigned hash_size;			/* a power of 2 */
	unsigned npages, max_pages, nlost;
	struct page *first, *last;
	struct page *free;
	struct slab *slabs;
	struct room *free_room;
	struct rooms *rooms;
	uint64_t bytes_max;
	uint64_t room_bytes, share_bytes;	/* in use; kept, for what is wanted and the rest */
	uint64_t shared;			/* pages in shares */
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
	u->bytes_max = bytes_max;
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

/* ---- where the bytes are ---- */

static bool rooms_make(struct unflushed *u)
{
	struct rooms *r = ndm_zalloc(sizeof *r);
	unsigned char *bytes;
	unsigned i;

	if (!r)
		return false;
	r->next = u->rooms;
	u->rooms = r;
	bytes = r->bytes + (LINE_BYTES - (uintptr_t)r->bytes % LINE_BYTES) % LINE_BYTES;
	for (i = SLAB_PAGES; i-- > 0; ) {
		struct room *room = (struct room *)(void *)(bytes + i * PAGE_BYTES);

		room->next = u->free_room;
		u->free_room = room;
	}
	return true;
}

static unsigned char *room_get(struct unflushed *u)
{
	struct room *room;

	if (u->share_bytes + u->room_bytes + PAGE_BYTES > u->bytes_max ||
	    (!u->free_room && !rooms_make(u)))
		return NULL;
	room = u->free_room;
	u->free_room = room->next;
	u->room_bytes += PAGE_BYTES;
	return (unsigned char *)room;
}

static void bytes_leave(struct unflushed *u, struct page *p)
{
	struct ndm_share *s = p->share;
	struct room *room;

	if (s) {
		if (--s->kept == 0) {
			s->keeper = NULL;
			u->share_bytes -= s->bytes;
		}
		u->shared--;
		ndm_share_put(s);
	} else if (p->bytes) {
		room = (struct room *)(uintptr_t)p->bytes;
		room->next = u->free_room;
		u->free_room = room;
		u->room_bytes -= PAGE_BYTES;
	}
	p->share = NULL;
	p->bytes = NULL;
}

/* Whether a whole page is to stay in the share that it lies in, if it does. */
static bool worth_keeping(const struct unflushed *u, const struct ndm_share *s,
			  const unsigned char *bytes)
{
	uintptr_t at = (uintptr_t)bytes, first = s ? (uintptr_t)s->at : 0;

	if (!s || at < first || at + PAGE_BYTES > first + s->bytes)
		return false;
	if (s->kept)
		return s->keeper == u;
	return u->share_bytes <= 2 * u->shared * PAGE_BYTES + SPARSE_BYTES &&
	       u->share_bytes + u->room_bytes + s->bytes <= u->bytes_max;
}

static void share_keep(struct unflushed *u, struct page *p, struct ndm_share *s,
		       const unsigned char *bytes)
{
	s->refs++;
	if (s->kept++ == 0) {
		s->keeper = u;
		u->share_bytes += s->bytes;
	}
	u->shared++;
	bytes_leave(u, p);
	p->share = s;
	p->bytes = bytes;
}

/* The page's bytes, to be changed; NULL: no room. */
static unsigned char *page_room(struct unflushed *u, struct page *p)
{
	const unsigned char *old = p->bytes;
	unsigned char *room;

	if (old && !p->share)
		return (unsigned char *)(uintptr_t)old;
	room = room_get(u);
	if (!room)
		return NULL;
	if (old) {
		memcpy(room, old, PAGE_BYTES);
		bytes_leave(u, p);
	}
	p->bytes = room;
	return room;
}

/* ---- pages ---- */

static void page_drop(struct unflushed *u, struct page *p)
{
	if (p->next)
		__builtin_prefetch(p->next);
	bytes_leave(u, p);
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
	unsigned i;

	if (!s)
		return false;
	s->next = u->slabs;
	u->slabs = s;
	for (i = SLAB_PAGES; i-- > 0; ) {
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
	p->seq = u->seq;
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
	struct rooms *r;
	struct slab *s;
	struct page *p;

	if (!u)
		return;
	for (p = u->first; p; p = p->next)
		bytes_leave(u, p);
	while ((r = u->rooms)) {
		u->rooms = r->next;
		ndm_free(r);
	}
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

static bool page_put(struct unflushed *u, struct page *p, uint64_t sector, uint64_t nr,
		     const struct ndm_data *data, struct ndm_share *share)
{
	unsigned first = sector % PAGE_SECTORS, i;
	const unsigned char *flat = ndm_data_flat(data, nr * NDM_SECTOR_BYTES);
	unsigned char *to;

	if (nr == PAGE_SECTORS && flat && worth_keeping(u, share, flat)) {
		share_keep(u, p, share, flat);
	} else {
		to = page_room(u, p);
		if (!to)
			return false;
		if (flat)
			stream_copy(to + first * NDM_SECTOR_BYTES, flat, nr * NDM_SECTOR_BYTES);
		else
			ndm_data_from(data, nr * NDM_SECTOR_BYTES, to + first * NDM_SECTOR_BYTES);
	}
	p->mask |= page_bits(p->number, sector, nr);
	for (i = first; i < first + nr; i++)
		p->sector_seq[i] = u->seq;
	p->seq = u->seq;
	if (u->last != p) {
		list_del(u, p);
		list_add(u, p);
	}
	return true;
}

bool unflushed_note(struct unflushed *u, unsigned path, const struct ndm_bio *bio)
{
	uint64_t sector = bio->sector, nr = bio->nr, number, n;
	struct ndm_data data = bio->data;
	struct page **slot, *p;

	if (u->held)				/* bytes have to stay where they are */
		return false;
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
		if (!page_put(u, p, sector, n, &data, bio->share))
			return false;
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
	return u->npages > u->max_pages / 2 || u->share_bytes + u->room_bytes > u->bytes_max / 2;
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
