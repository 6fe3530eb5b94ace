/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hydrate.c - regions from the source to the destination.
 *
 * Who writes to a region that is not there has it copied first; all who want the same region wait
 * for the one copy.  In the background adjacent regions are copied together, from a moving
 * offset, while no request is in flight and fewer regions than the threshold are on their way.
 *
 * A region counts once its copy has ended, in memory; on disk after the next commit, which
 * flushes the destination first.
 */
#include "targets/clone/clone.h"

/* ---- copies ---- */

static struct clone_copy *copy_find(const struct clone *c, uint64_t first, uint64_t nr)
{
	struct clone_copy *k;

	for (k = c->copies; k; k = k->next)
		if (k->first < first + nr && first < k->first + k->nr)
			return k;
	return NULL;
}

static void copy_add(struct clone *c, struct clone_copy *k, uint64_t first, uint64_t nr)
{
	k->first = first;
	k->nr = nr;
	k->refs = 1;
	ndm_waitq_init(&k->done, c->ti->loop);
	k->next = c->copies;
	c->copies = k;
	c->hydrating += nr;
}

static void copy_put(struct clone_copy *k)
{
	if (!--k->refs)
		ndm_free(k);
}

static int copy_wait(struct clone_copy *k)
{
	int err;

	k->refs++;
	while (!k->ended)
		ndm_wait(&k->done);
	err = k->error;
	copy_put(k);
	return err;
}

void clone_wait_copies(struct clone *c, uint64_t first, uint64_t nr)
{
	struct clone_copy *k;

	while ((k = copy_find(c, first, nr)))
		copy_wait(k);
}

static void copy_end(struct clone *c, struct clone_copy *k, int err)
{
	struct clone_copy **p = &c->copies;
	uint64_t i;

	if (!err && c->mode != CLONE_WRITE)
		err = -EIO;			/* it could not be remembered */
	for (i = 0; i < k->nr && !err; i++)
		clone_map_set(&c->map, k->first + i);
	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	c->hydrating -= k->nr;
	k->ended = true;
	k->error = err;
	ndm_wake_all(&k->done);
	copy_put(k);
}

/* The last region may be short. */
static uint64_t copy_sectors(const struct clone *c, const struct clone_copy *k)
{
	uint64_t from = k->first * c->map.region_sectors, nr = k->nr * c->map.region_sectors;

	return from + nr > c->map.target_sectors ? c->map.target_sectors - from : nr;
}

static int copy_run(struct clone *c, const struct clone_copy *k)
{
	uint64_t at = k->first * c->map.region_sectors;
	int err = ndm_copy(c->source->store, at, c->dest->store, at, copy_sectors(c, k));

	if (err)
		ndm_warn(c->ti, "hydration failed: %s", strerror(-err));
	return err;
}

int clone_hydrate(struct clone *c, uint64_t region, struct ndm_bio *bio, bool *written)
{
	struct clone_copy *k;
	int err;

	*written = false;
	for (;;) {
		k = copy_find(c, region, 1);
		if (k) {
			err = copy_wait(k);
			if (err)
				return -EIO;
			continue;
		}
		if (clone_map_get(&c->map, region))
			return 0;
		if (c->mode != CLONE_WRITE)
			return -EIO;
		k = patient_zalloc(c->ti->loop, sizeof *k);
		if (!k)
			return -ENOMEM;
		if (!copy_find(c, region, 1) && !clone_map_get(&c->map, region))
			break;
		ndm_free(k);			/* somebody was faster while we waited for memory */
	}
	copy_add(c, k, region, 1);
	*written = bio->nr == c->map.region_sectors;
	k->refs++;
	err = *written ? ndm_forward(bio, c->dest, region * c->map.region_sectors) : copy_run(c, k);
	copy_end(c, k, err);
	err = k->error;
	copy_put(k);
	return err ? -EIO : 0;
}

/* ---- in the background ---- */

struct batch { struct clone *c; struct clone_copy *k; };

static void batch_task(void *arg)
{
	struct batch b = *(struct batch *)arg;
	struct clone *c = b.c;

	ndm_free(arg);
	copy_end(c, b.k, copy_run(c, b.k));
	if (!c->ios)
		clone_background(c);
	crew_leave(&c->tasks);
}

static bool batch_start(struct clone *c, uint64_t first, uint64_t nr)
{
	struct clone_copy *k = ndm_zalloc(sizeof *k);
	struct batch *b = ndm_zalloc(sizeof *b);

	if (!k || !b) {
		ndm_free(k);
		ndm_free(b);
		return false;			/* the waker tries again */
	}
	copy_add(c, k, first, nr);
	*b = (struct batch){ c, k };
	crew_send(&c->tasks, "clone hydration", batch_task, b);
	return true;
}

void clone_background(struct clone *c)
{
	uint64_t at = c->offset, n;

	if (c->mode != CLONE_WRITE || c->map.hydrated == c->map.regions)
		return;
	while (c->running && c->hydration && !c->ios && c->hydrating < c->threshold) {
		at = clone_map_next(&c->map, at);
		if (at >= c->map.regions)
			break;
		if (copy_find(c, at, 1)) {
			at++;
			continue;
		}
		for (n = 1; n < c->batch && c->hydrating + n < c->threshold &&
			    at + n < c->map.regions; n++)
			if (clone_map_get(&c->map, at + n) || copy_find(c, at + n, 1))
				break;
		if (!batch_start(c, at, n))
			break;
		at += n;
	}
	c->offset = at >= c->map.regions ? 0 : at;
}
