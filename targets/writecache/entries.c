/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entries.c - which block of the cache holds which sector, in memory.
 *
 * A sector may have several blocks: one that is being written back, and the one that has been
 * written since.  The newest stands first in its bucket.  Free blocks are taken in the order of
 * their numbers, round and round, so that what is written in a row lies in a row.
 *
 * Nothing here waits.
 */
#include "targets/writecache/writecache.h"

int wc_entries_alloc(struct writecache *wc)
{
	uint32_t n = 64;

	while (n < wc->nblocks && n < UINT32_C(1) << 30)
		n *= 2;
	wc->nbuckets = n;
	wc->buckets = ndm_calloc(n, sizeof *wc->buckets);
	wc->entries = ndm_calloc(wc->nblocks, sizeof *wc->entries);
	wc->free_map = ndm_calloc((wc->nblocks + UINT64_C(63)) / 64, sizeof *wc->free_map);
	return wc->buckets && wc->entries && wc->free_map ? 0 : -ENOMEM;
}

void wc_entries_reset(struct writecache *wc)
{
	memset(wc->buckets, 0xff, wc->nbuckets * sizeof *wc->buckets);
	memset(wc->entries, 0, wc->nblocks * sizeof *wc->entries);
	memset(wc->free_map, 0, (wc->nblocks + UINT64_C(63)) / 64 * sizeof *wc->free_map);
	wc->nfree = 0;
	wc->next_free = wc->newest = wc->oldest = WC_NONE;
}

/* ---- the hash ---- */

static uint32_t *bucket(const struct writecache *wc, uint64_t sector)
{
	uint64_t h = sector / wc->block_sectors * UINT64_C(0x9e3779b97f4a7c15);

	return &wc->buckets[h >> 32 & (wc->nbuckets - 1)];
}

static uint32_t with_sector(const struct writecache *wc, uint32_t b, uint64_t sector)
{
	while (b != WC_NONE && wc_sector(wc, b) != sector)
		b = wc->entries[b].next;
	return b;
}

uint32_t wc_find(const struct writecache *wc, uint64_t sector)
{
	return with_sector(wc, *bucket(wc, sector), sector);
}

uint32_t wc_find_older(const struct writecache *wc, uint32_t b)
{
	return with_sector(wc, wc->entries[b].next, wc_sector(wc, b));
}

/* ---- by age ---- */

static void list_newest(struct writecache *wc, uint32_t b)
{
	struct wc_entry *e = &wc->entries[b];

	e->newer = WC_NONE;
	e->older = wc->newest;
	if (wc->newest != WC_NONE)
		wc->entries[wc->newest].newer = b;
	else
		wc->oldest = b;
	wc->newest = b;
	e->listed = true;
}

void wc_list_oldest(struct writecache *wc, uint32_t b)
{
	struct wc_entry *e = &wc->entries[b];

	e->older = WC_NONE;
	e->newer = wc->oldest;
	if (wc->oldest != WC_NONE)
		wc->entries[wc->oldest].older = b;
	else
		wc->newest = b;
	wc->oldest = b;
	e->listed = true;
}

void wc_list_remove(struct writecache *wc, uint32_t b)
{
	struct wc_entry *e = &wc->entries[b];

	if (!e->listed)
		return;
	if (e->newer != WC_NONE)
		wc->entries[e->newer].older = e->older;
	else
		wc->newest = e->older;
	if (e->older != WC_NONE)
		wc->entries[e->older].newer = e->newer;
	else
		wc->oldest = e->newer;
	e->listed = false;
}

/* ---- cached blocks ---- */

void wc_adopt(struct writecache *wc, uint32_t b)
{
	uint32_t *head = bucket(wc, wc_sector(wc, b));

	wc->entries[b].next = *head;
	*head = b;
	wc->entries[b].since_ns = ndm_now(wc->ti->loop);
	list_newest(wc, b);
}

void wc_insert(struct writecache *wc, uint32_t b, uint64_t sector, uint64_t sequence)
{
	*wc_disk(wc, b) = (struct wc_disk_entry){ htole64(sector), htole64(sequence) };
	wc_adopt(wc, b);
}

static void unlink_block(struct writecache *wc, uint32_t b)
{
	uint32_t *p = bucket(wc, wc_sector(wc, b));

	while (*p != b)
		p = &wc->entries[*p].next;
	*p = wc->entries[b].next;
	wc_list_remove(wc, b);
}

/* ---- free blocks ---- */

void wc_make_free(struct writecache *wc, uint32_t b)
{
	if (!wc->nfree++)
		wc->next_free = b;
	wc->free_map[b / 64] |= UINT64_C(1) << b % 64;
	wc_disk(wc, b)->sequence = htole64(WC_FREE);
}

void wc_free(struct writecache *wc, uint32_t b)
{
	unlink_block(wc, b);
	wc_make_free(wc, b);
	wc->dirty[(WC_SUPER_BYTES + (size_t)b * sizeof(struct wc_disk_entry)) / WC_GRANULE_BYTES] = 1;
	ndm_wake_all(&wc->freed);
}

static uint32_t free_from(const struct writecache *wc, uint32_t b)
{
	uint64_t words = (wc->nblocks + UINT64_C(63)) / 64, i;
	uint64_t word = b < wc->nblocks ? wc->free_map[b / 64] & ~UINT64_C(0) << b % 64 : 0;

	if (word)
		return b / 64 * 64 + (uint32_t)__builtin_ctzll(word);
	for (i = b / 64 + 1; i < words; i++)
		if (wc->free_map[i])
			return (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(wc->free_map[i]);
	return WC_NONE;
}

uint32_t wc_take(struct writecache *wc, uint32_t only)
{
	uint32_t b = wc->next_free;

	if (!wc->nfree || (only != WC_NONE && b != only))
		return WC_NONE;
	wc->free_map[b / 64] &= ~(UINT64_C(1) << b % 64);
	wc->nfree--;
	wc->next_free = wc->nfree ? free_from(wc, b + 1) : WC_NONE;
	if (wc->nfree && wc->next_free == WC_NONE)
		wc->next_free = free_from(wc, 0);
	wc_watermark(wc);
	return b;
}
