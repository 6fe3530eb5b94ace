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
	if (pool->area && pool->area->refs == 1) {
		area_put(pool, pool->area);
		pool->area = NULL;
	}
	while ((a = pool->areas)) {
		pool->areas = a->next;
		munmap(a->data, AREA_BYTES);
		free(a);
	}
	return pool->cached || pool->area;
}

/* ---- receive areas ---- */

static struct area *area_new(void)
{
	struct area *a = malloc(sizeof *a);

	if (!a)
		return NULL;
	a->data = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->data == MAP_FAILED) {
		free(a);
		return NULL;
	}
	return a;
}

void area_put(struct pool *pool, struct area *a)
{
	assert(a->refs);
	if (--a->refs)
		return;
	a->next = pool->areas;
	pool->areas = a;
}

struct area *pool_area(struct pool *pool)
{
	struct area *a = pool->area;

	if (a && a->refs == 1)
		a->filled = 0;
	if (a && AREA_BYTES - a->filled >= AREA_ROOM)
		return a;
	if (a)
		area_put(pool, a);
	a = pool->areas;
	if (a)
		pool->areas = a->next;
	else
		a = area_new();
	if (a) {
		a->refs = 1;
		a->filled = 0;
	}
	pool->area = a;
	return a;
}

struct area *pool_area_whole(struct pool *pool)
{
	if (pool->area)
		area_put(pool, pool->area);
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
	unsigned i;

	assert(!pool->used);
	for (i = 0; i < POOL_CLASSES; i++)
		class_shrink(pool, i, 0);
	pool_trim(pool);
	while ((r = pool->requests)) {
		pool->requests = r->next;
		free(r);
	}
}
