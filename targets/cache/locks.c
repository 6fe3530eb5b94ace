/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * locks.c - who uses a block of the origin.
 *
 * A request uses its block from the decision where it goes until it ends; a migration locks it:
 * against new writes while it copies, against reads as well while the mapping changes, and waits
 * until those that use it have gone.
 */
#include "targets/cache/cache.h"

static unsigned bucket(uint64_t oblock)
{
	return (unsigned)(oblock % CACHE_BUCKETS);
}

static struct cache_lock *lock_of(const struct cache *c, uint64_t oblock)
{
	struct cache_lock *l = c->locks[bucket(oblock)];

	while (l && l->oblock != oblock)
		l = l->next;
	return l;
}

static bool used(const struct cache *c, uint64_t oblock)
{
	const struct cache_use *u = c->uses[bucket(oblock)];

	while (u && u->oblock != oblock)
		u = u->next;
	return u != NULL;
}

bool cache_use_begin(struct cache *c, struct cache_use *u, uint64_t oblock, bool write)
{
	struct cache_lock *l = lock_of(c, oblock);

	if (l && (write || l->reads))
		return false;
	u->oblock = oblock;
	u->at = &c->uses[bucket(oblock)];
	u->next = *u->at;
	if (u->next)
		u->next->at = &u->next;
	*u->at = u;
	return true;
}

void cache_use_end(struct cache *c, struct cache_use *u)
{
	struct cache_lock *l;

	if (!u->at)
		return;
	*u->at = u->next;
	if (u->next)
		u->next->at = u->at;
	u->at = NULL;
	l = lock_of(c, u->oblock);
	if (l)
		ndm_wake_all(&l->changed);
}

static void lock_put(struct cache_lock *l)
{
	if (!--l->refs)
		ndm_free(l);
}

void cache_use_wait(struct cache *c, uint64_t oblock, bool write)
{
	struct cache_lock *l = lock_of(c, oblock);

	if (!l || !(write || l->reads))
		return;
	l->refs++;
	ndm_wait(&l->changed);
	lock_put(l);
}

struct cache_lock *cache_lock_try(struct cache *c, uint64_t oblock, bool reads)
{
	struct cache_lock *l;

	if (lock_of(c, oblock))
		return NULL;
	l = ndm_zalloc(sizeof *l);
	if (!l)
		return NULL;
	*l = (struct cache_lock){ .oblock = oblock, .reads = reads, .refs = 1,
				  .next = c->locks[bucket(oblock)] };
	ndm_waitq_init(&l->changed, c->ti->loop);
	c->locks[bucket(oblock)] = l;
	return l;
}

void cache_lock_quiesce(struct cache *c, struct cache_lock *l)
{
	while (used(c, l->oblock))
		ndm_wait(&l->changed);
}

void cache_lock_end(struct cache *c, struct cache_lock *l)
{
	struct cache_lock **p = &c->locks[bucket(l->oblock)];

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	ndm_wake_all(&l->changed);
	lock_put(l);
}
