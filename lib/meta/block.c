/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.c - metadata blocks in memory.
 *
 * A block is checked when it is read and stamped (number, checksum) when it is written.  Clean
 * blocks that nobody holds are forgotten when there are too many; dirty ones stay until a commit
 * writes them or an abort throws them away.
 */
#include <stdlib.h>

#include "inside.h"
#include "../kit/hash.h"

#define RUN_BLOCKS 64u				/* longest write: 256 KiB */

/* ---- the rings ---- */

static void ring_init(struct meta_block *head)
{
	head->prev = head->next = head;
}

static void ring_leave(struct meta_block *b)
{
	b->prev->next = b->next;
	b->next->prev = b->prev;
	b->prev = b->next = b;
}

static void ring_join(struct meta_block *head, struct meta_block *b)
{
	b->next = head->next;
	b->prev = head;
	head->next->prev = b;
	head->next = b;
}

/* ---- the hash ---- */

static struct meta_block **bucket_of(struct meta *m, uint64_t nr)
{
	return &m->buckets[nr % META_BUCKETS];
}

static struct meta_block *cache_find(struct meta *m, uint64_t nr)
{
	struct meta_block *b = *bucket_of(m, nr);

	while (b && b->nr != nr)
		b = b->hash_next;
	return b;
}

static void block_release(struct meta *m, struct meta_block *b)
{
	ndm_buffer_put(m->loop, b->data, META_BLOCK_BYTES);
	ndm_free(b);
}

/* Out of the cache; who holds it yet gives it back to nobody. */
static void cache_remove(struct meta *m, struct meta_block *b)
{
	struct meta_block **p = bucket_of(m, b->nr);

	while (*p != b)
		p = &(*p)->hash_next;
	*p = b->hash_next;
	ring_leave(b);
	if (b->dirty)
		m->ndirty--;
	b->dirty = false;
	b->gone = true;
	m->nblocks--;
	if (!b->pins)
		block_release(m, b);
}

static void cache_shrink(struct meta *m)
{
	struct meta_block *b = m->lru.prev, *before;

	for (; b != &m->lru && m->nblocks - m->ndirty >= m->cached; b = before) {
		before = b->prev;
		if (!b->pins && !b->fresh)
			cache_remove(m, b);
	}
}

/* May wait for memory; the caller looks again whether it is there now. */
static struct meta_block *block_alloc(struct meta *m, uint64_t nr)
{
	struct meta_block *b = patient_zalloc(m->loop, sizeof *b);

	if (!b)
		return NULL;
	b->nr = nr;
	b->data = patient_buffer(m->loop, META_BLOCK_BYTES);
	if (!b->data) {
		ndm_free(b);
		return NULL;
	}
	ndm_waitq_init(&b->q, m->loop);
	ring_init(b);
	return b;
}

static void cache_add(struct meta *m, struct meta_block *b)
{
	struct meta_block **p = bucket_of(m, b->nr);

	cache_shrink(m);
	b->hash_next = *p;
	*p = b;
	ring_join(&m->lru, b);
	m->nblocks++;
}

int meta_new(struct ndm_loop *loop, struct ndm_store *store, bool read_only, unsigned cached,
	     struct meta **out)
{
	struct meta *m = ndm_zalloc(sizeof *m);

	if (!m)
		return -ENOMEM;
	m->buckets = ndm_calloc(META_BUCKETS, sizeof *m->buckets);
	if (!m->buckets) {
		ndm_free(m);
		return -ENOMEM;
	}
	m->loop = loop;
	m->store = store;
	m->read_only = read_only;
	m->cached = cached ? cached : META_CACHED_DEFAULT;
	m->large = (struct meta_btree){ .m = m, .levels = 1, .value = { .bytes = 4 } };
	ring_init(&m->lru);
	ring_init(&m->dirty);
	*out = m;
	return 0;
}

void meta_free(struct meta *m)
{
	if (!m)
		return;
	while (m->lru.next != &m->lru)
		cache_remove(m, m->lru.next);
	while (m->dirty.next != &m->dirty)
		cache_remove(m, m->dirty.next);
	counts_free(m);
	ndm_free(m->buckets);
	ndm_free(m);
}

void meta_store_set(struct meta *m, struct ndm_store *store)
{
	m->store = store;
}

uint64_t meta_device_blocks(const struct meta *m)
{
	uint64_t nr = m->store->nr / META_BLOCK_SECTORS;

	return nr < META_BLOCKS_MAX ? nr : META_BLOCKS_MAX;
}

/* ---- reading ---- */

static uint32_t block_sum(const struct meta_block *b, const struct meta_type *type)
{
	return ndm_crc32c(UINT32_MAX, b->data + 4, META_BLOCK_BYTES - 4) ^ type->mask;
}

static int block_check(const struct meta_block *b, const struct meta_type *type)
{
	if (le64_get(b->data + type->nr_at) != b->nr)
		return -ENOTBLK;
	if (le32_get(b->data) != block_sum(b, type))
		return -EILSEQ;
	return type->check ? type->check(b->data) : 0;
}

static int block_fetch(struct meta *m, struct meta_block *b, const struct meta_type *type)
{
	int err;

	b->pins = 1;
	b->reading = true;
	cache_add(m, b);
	err = ndm_rw(m->store, NDM_READ, NDM_META, b->nr * META_BLOCK_SECTORS, META_BLOCK_SECTORS,
		     b->data);
	b->reading = false;
	if (!err)
		err = block_check(b, type);
	b->type = type;
	ndm_wake_all(&b->q);
	if (!err)
		return 0;
	b->error = err;
	if (!b->gone)
		cache_remove(m, b);
	meta_put(m, b);
	return err;
}

/* 0, or 1: it has gone meanwhile, look again */
static int block_join(struct meta *m, struct meta_block *b, const struct meta_type *type)
{
	int err = 0;

	b->pins++;
	while (b->reading)
		ndm_wait(&b->q);
	if (b->gone)
		err = b->error ? b->error : 1;
	else if (b->type != type)
		err = -EINVAL;
	if (err) {
		meta_put(m, b);
	} else if (!b->dirty) {
		ring_leave(b);
		ring_join(&m->lru, b);
	}
	return err;
}

int meta_read(struct meta *m, uint64_t nr, const struct meta_type *type, struct meta_block **out)
{
	struct meta_block *b, *spare;
	int err;

	if (nr >= meta_device_blocks(m))
		return -EILSEQ;
	for (;;) {
		b = cache_find(m, nr);
		if (b) {
			err = block_join(m, b, type);
			if (err > 0)
				continue;
			if (!err)
				*out = b;
			return err;
		}
		spare = block_alloc(m, nr);
		if (!spare)
			return -ENOMEM;
		if (cache_find(m, nr)) {	/* came while we waited for memory */
			block_release(m, spare);
			continue;
		}
		err = block_fetch(m, spare, type);
		if (!err)
			*out = spare;
		return err;
	}
}

int meta_read_cached(struct meta *m, uint64_t nr, const struct meta_type *type,
		     struct meta_block **out)
{
	struct meta_block *b = cache_find(m, nr);

	if (!b || b->reading)
		return -EAGAIN;
	if (b->type != type)
		return -EINVAL;
	b->pins++;
	*out = b;
	return 0;
}

void meta_put(struct meta *m, struct meta_block *b)
{
	if (--b->pins == 0 && b->gone)
		block_release(m, b);
}

int meta_blank(struct meta *m)
{
	uint8_t *data = patient_buffer(m->loop, META_BLOCK_BYTES);
	int err;

	if (!data)
		return -ENOMEM;
	err = ndm_rw(m->store, NDM_READ, NDM_META, 0, META_BLOCK_SECTORS, data);
	if (!err)
		err = !data[0] && !memcmp(data, data + 1, META_BLOCK_BYTES - 1);
	ndm_buffer_put(m->loop, data, META_BLOCK_BYTES);
	return err;
}

/* ---- changing ---- */

void block_dirty(struct meta *m, struct meta_block *b)
{
	if (b->dirty)
		return;
	b->dirty = true;
	m->ndirty++;
	ring_leave(b);
	ring_join(&m->dirty, b);
}

/*
 * A block that is made and not read: zeroed, dirty, fresh.  Who holds a block of that number
 * holds one that the space map calls free: the metadata contradicts itself.
 */
int block_make(struct meta *m, uint64_t nr, const struct meta_type *type, struct meta_block **out)
{
	struct meta_block *b = cache_find(m, nr);

	if (b && b->pins)
		return -EILSEQ;
	if (!b) {
		b = block_alloc(m, nr);
		if (!b)
			return -ENOMEM;
		cache_add(m, b);
	}
	memset(b->data, 0, META_BLOCK_BYTES);
	b->type = type;
	b->pins = 1;
	b->fresh = true;
	block_dirty(m, b);
	*out = b;
	return 0;
}

/* Nothing leads to it any more: if it was made in this transaction it need not be written. */
void block_forget(struct meta *m, uint64_t nr)
{
	struct meta_block *b = cache_find(m, nr);

	if (b && b->fresh && !b->pins)
		cache_remove(m, b);
}

/* ---- writing ---- */

static void block_stamp(struct meta_block *b)
{
	le64_put(b->data + b->type->nr_at, b->nr);
	le32_put(b->data, block_sum(b, b->type));
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = (*(struct meta_block *const *)a)->nr, y = (*(struct meta_block *const *)b)->nr;

	return x < y ? -1 : x > y;
}

static void runs_send(struct meta *m, struct meta_block **list, struct iovec *iov, size_t n,
		      struct ndm_group *g)
{
	size_t i, from = 0;
	struct ndm_bio *bio;

	for (i = 0; i < n; i++) {
		block_stamp(list[i]);
		iov[i] = (struct iovec){ .iov_base = list[i]->data, .iov_len = META_BLOCK_BYTES };
		if (i + 1 < n && list[i + 1]->nr == list[i]->nr + 1 && i + 1 - from < RUN_BLOCKS)
			continue;
		bio = ndm_bio_get(m->loop);
		bio->op = NDM_WRITE;
		bio->flags = NDM_META;
		bio->nr = (i + 1 - from) * META_BLOCK_SECTORS;
		bio->data = (struct ndm_data){ .iov = iov + from, .iovcnt = i + 1 - from };
		ndm_group_add(g, bio, m->store, list[from]->nr * META_BLOCK_SECTORS);
		from = i + 1;
	}
}

static void block_clean(struct meta *m, struct meta_block *b)
{
	b->dirty = false;
	m->ndirty--;
	ring_leave(b);
	ring_join(&m->lru, b);
}

/* All dirty blocks but the superblock, and a flush: when it returns 0 they are durable. */
int blocks_write(struct meta *m)
{
	struct meta_block **list, *b;
	struct ndm_group g;
	struct iovec *iov;
	size_t n = 0, i;
	int err = -ENOMEM;

	if (m->read_only)
		return -EROFS;
	list = patient_zalloc(m->loop, (m->ndirty + 1) * sizeof *list);
	iov = patient_zalloc(m->loop, (m->ndirty + 1) * sizeof *iov);
	if (list && iov) {
		for (b = m->dirty.next; b != &m->dirty; b = b->next)
			if (b->nr)
				list[n++] = b;
		qsort(list, n, sizeof *list, by_number);
		ndm_group_init(&g, m->loop);
		runs_send(m, list, iov, n, &g);
		err = ndm_group_wait(&g);
	}
	for (i = 0; !err && i < n; i++)
		block_clean(m, list[i]);
	ndm_free(list);
	ndm_free(iov);
	return err ? err : ndm_flush(m->store);
}

/* The superblock: a write, and a flush. */
int block_write(struct meta *m, struct meta_block *b)
{
	int err;

	if (m->read_only)
		return -EROFS;
	block_stamp(b);
	err = ndm_rw(m->store, NDM_WRITE, NDM_META, b->nr * META_BLOCK_SECTORS, META_BLOCK_SECTORS,
		     b->data);
	if (!err)
		err = ndm_flush(m->store);
	if (!err && b->dirty)
		block_clean(m, b);
	return err;
}

/* A commit is over: what was made is now what must not be changed in place. */
void blocks_settle(struct meta *m)
{
	struct meta_block *b;

	for (b = m->lru.next; b != &m->lru; b = b->next)
		b->fresh = false;
}

/* Clean ones, too: what the device says is what counts from now on. */
void blocks_abort(struct meta *m)
{
	while (m->dirty.next != &m->dirty)
		cache_remove(m, m->dirty.next);
	while (m->lru.next != &m->lru)
		cache_remove(m, m->lru.next);
}
