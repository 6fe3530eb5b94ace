/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - see pool.h.  Sizes are powers of two; each class is a stack.
 *
 * From 256 KiB on a buffer is its own mapping, so that giving it back really frees it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conn.h"
#include "pool.h"

#define CACHED_MAX (32u << 20)			/* bytes kept for reuse, at most */
#define MAPPED_CLASS 6				/* 256 KiB */

static unsigned class_of(size_t bytes)
{
	unsigned bits;

	if (bytes <= POOL_MIN_BYTES)
		return 0;
	bits = 64 - (unsigned)__builtin_clzl(bytes - 1);
	return bits - 12;
}

static size_t class_bytes(unsigned class)
{
	return (size_t)POOL_MIN_BYTES << class;
}

static void *class_alloc(unsigned class)
{
	void *p;

	if (class < MAPPED_CLASS)
		return aligned_alloc(POOL_MIN_BYTES, class_bytes(class));
	p = mmap(NULL, class_bytes(class), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	return p == MAP_FAILED ? NULL : p;
}

static void class_free(unsigned class, void *p)
{
	if (class < MAPPED_CLASS)
		free(p);
	else
		munmap(p, class_bytes(class));
}

void pool_init(struct pool *pool)
{
	*pool = (struct pool){ 0 };
}

void *pool_get(struct pool *pool, size_t bytes)
{
	unsigned class = class_of(bytes);
	struct pool_buffer *b;
	void *p;

	assert(class < POOL_CLASSES);
	b = pool->free[class];
	if (b) {
		pool->free[class] = b->next;
		if (--pool->nfree[class] < pool->least_free[class])
			pool->least_free[class] = pool->nfree[class];
		pool->cached -= class_bytes(class);
		p = b;
	} else {
		p = class_alloc(class);
		if (!p)
			return NULL;
	}
	pool->used += class_bytes(class);
	return p;
}

void pool_put(struct pool *pool, void *p, size_t bytes)
{
	unsigned class = class_of(bytes);
	struct pool_buffer *b = p;

	pool->used -= class_bytes(class);
	if (pool->cached + class_bytes(class) > CACHED_MAX) {
		class_free(class, p);
		return;
	}
	b->next = pool->free[class];
	pool->free[class] = b;
	pool->nfree[class]++;
	pool->cached += class_bytes(class);
}

static void class_shrink(struct pool *pool, unsigned class, unsigned keep)
{
	struct pool_buffer *b;

	while (pool->nfree[class] > keep) {
		b = pool->free[class];
		pool->free[class] = b->next;
		pool->nfree[class]--;
		pool->cached -= class_bytes(class);
		class_free(class, b);
	}
	pool->least_free[class] = pool->nfree[class];
}

bool pool_trim(struct pool *pool)
{
	struct area *a;
	unsigned i;

	for (i = 0; i < POOL_CLASSES; i++)
		class_shrink(pool, i, pool->nfree[i] - pool->least_free[i]);
	if (pool->area && pool->area->share.refs == 1) {
		area_put(pool->area);
		pool->area = NULL;
	}
	for (i = pool->least_areas; i; i--) {
		a = pool->areas;
		pool->areas = a->next;
		pool->nareas--;
		munmap(a->data, AREA_BYTES);
		free(a);
	}
	pool->least_areas = pool->nareas;
	return pool->cached || pool->area || pool->areas;
}

/* ---- receive areas ---- */

static void area_unused(struct ndm_share *share)
{
	struct area *a = (struct area *)share;

	a->next = a->pool->areas;
	a->pool->areas = a;
	a->pool->nareas++;
}

static struct area *area_new(struct pool *pool)
{
	struct area *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->data = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->data == MAP_FAILED) {
		free(a);
		return NULL;
	}
	a->pool = pool;
	a->share = (struct ndm_share){ .at = a->data, .bytes = AREA_BYTES, .free = area_unused };
	return a;
}

static void around_unused(struct ndm_share *share)
{
	struct area *a = (struct area *)share;

	pool_put(a->pool, a->data, a->filled);
	a->next = a->pool->around;
	a->pool->around = a;
}

struct area *pool_area_around(struct pool *pool, void *buffer, size_t bytes)
{
	struct area *a = pool->around;

	if (a)
		pool->around = a->next;
	else
		a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->pool = pool;
	a->filled = bytes;
	a->data = buffer;
	a->share = (struct ndm_share){ .at = buffer, .bytes = class_bytes(class_of(bytes)), .refs = 1,
				       .free = around_unused };
	return a;
}

struct area *pool_area(struct pool *pool)
{
	struct area *a = pool->area;

	if (a && a->share.refs == 1)
		a->filled = 0;
	if (a && AREA_BYTES - a->filled >= AREA_ROOM)
		return a;
	if (a)
		area_put(a);
	a = pool->areas;
	if (a) {
		pool->areas = a->next;
		if (--pool->nareas < pool->least_areas)
			pool->least_areas = pool->nareas;
	} else {
		a = area_new(pool);
	}
	if (a) {
		area_get(a);
		a->filled = 0;
	}
	pool->area = a;
	return a;
}

struct area *pool_area_whole(struct pool *pool)
{
	if (pool->area)
		area_put(pool->area);
	pool->area = NULL;
	return pool_area(pool);
}

/* ---- requests ---- */

struct request *pool_request_get(struct pool *pool)
{
	struct request *r = pool->requests;

	if (!r)
		return malloc(sizeof *r);
	pool->requests = r->next;
	pool->nrequests--;
	return r;
}

void pool_request_put(struct pool *pool, struct request *r)
{
	if (pool->nrequests >= 1024) {
		free(r);
		return;
	}
	r->next = pool->requests;
	pool->requests = r;
	pool->nrequests++;
}

void pool_fini(struct pool *pool)
{
	struct request *r;
	struct area *a;
	unsigned i;

	assert(!pool->used);
	for (i = 0; i < POOL_CLASSES; i++)
		class_shrink(pool, i, 0);
	pool_trim(pool);
	pool_trim(pool);			/* areas that were in use until the first time */
	while ((a = pool->around)) {
		pool->around = a->next;
		free(a);
	}
	while ((r = pool->requests)) {
		pool->requests = r->next;
		free(r);
	}
}
