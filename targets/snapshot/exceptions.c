/* SPDX-License-Identifier: BSD-2-Clause */
/* exceptions.c - the table of copied chunks: a hash that grows. */
#include "snapshot.h"

#define FIRST_BUCKETS 256

static size_t bucket_of(const struct exceptions *e, uint64_t old_chunk)
{
	return (old_chunk * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (e->nbuckets - 1);
}

const struct exception *exceptions_find(const struct exceptions *e, uint64_t old_chunk)
{
	const struct exception *x;

	if (!e->nbuckets)
		return NULL;
	for (x = e->buckets[bucket_of(e, old_chunk)]; x; x = x->next)
		if (x->old_chunk == old_chunk)
			return x;
	return NULL;
}

static void exceptions_link(struct exceptions *e, struct exception *x)
{
	struct exception **bucket = &e->buckets[bucket_of(e, x->old_chunk)];

	x->next = *bucket;
	*bucket = x;
}

/* A crowded table still works; only the first buckets are worth waiting for. */
static int exceptions_grow(struct ndm_loop *loop, struct exceptions *e)
{
	struct exceptions bigger = { .nbuckets = e->nbuckets ? 4 * e->nbuckets : FIRST_BUCKETS };
	struct exception *x, *next;
	size_t i;

	if (e->nbuckets)
		bigger.buckets = ndm_calloc(bigger.nbuckets, sizeof *bigger.buckets);
	else
		bigger.buckets = patient_zalloc(loop, bigger.nbuckets * sizeof *bigger.buckets);
	if (!bigger.buckets || e->nbuckets >= bigger.nbuckets) {
		ndm_free(bigger.buckets);	/* somebody else was faster */
		return e->nbuckets ? 0 : -ENOMEM;
	}
	for (i = 0; i < e->nbuckets; i++)
		for (x = e->buckets[i]; x; x = next) {
			next = x->next;
			exceptions_link(&bigger, x);
		}
	bigger.n = e->n;
	ndm_free(e->buckets);
	*e = bigger;
	return 0;
}

int exceptions_add(struct ndm_loop *loop, struct exceptions *e, uint64_t old_chunk,
		   uint64_t new_chunk)
{
	struct exception *x = patient_zalloc(loop, sizeof *x);
	int err = x ? 0 : -ENOMEM;

	if (!err && e->n >= 2 * e->nbuckets)
		err = exceptions_grow(loop, e);
	if (err) {
		ndm_free(x);
		return err;
	}
	x->old_chunk = old_chunk;
	x->new_chunk = new_chunk;
	exceptions_link(e, x);
	e->n++;
	return 0;
}

void exceptions_remove(struct exceptions *e, uint64_t old_chunk)
{
	struct exception **p, *x;

	if (!e->nbuckets)
		return;
	for (p = &e->buckets[bucket_of(e, old_chunk)]; (x = *p); p = &x->next)
		if (x->old_chunk == old_chunk) {
			*p = x->next;
			e->n--;
			ndm_free(x);
			return;
		}
}

void exceptions_free(struct exceptions *e)
{
	struct exception *x;
	size_t i;

	for (i = 0; i < e->nbuckets; i++)
		while ((x = e->buckets[i])) {
			e->buckets[i] = x->next;
			ndm_free(x);
		}
	ndm_free(e->buckets);
	*e = (struct exceptions){ 0 };
}
