/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - a pool, which the tables of its device and all thin devices on it share.
 *
 * A commit: wait until no request is under way that may use a data block which this transaction
 * has freed; flush the data device, so that every mapping leads to what was written; then the
 * metadata.  It happens a second after the first change, at flushes, after messages, at suspends.
 *
 * A data block that is being filled is only reserved, in memory: it is counted when it is mapped,
 * in one step, so that no crash leaks it.
 *
 * When the metadata fails, the pool goes back to the last commit and is read-only from then on,
 * with a mark (needs_check) that only thin_check and thin_repair clear.
 */
#include "thin.h"

#define COMMIT_NS UINT64_C(1000000000)
#define NO_SPACE_NS (60 * UINT64_C(1000000000))	/* Linux's module parameter no_space_timeout */

static struct ndm_target *pool_ti(const struct pool *pool)
{
	return pool->owner ? pool->owner->ti : NULL;
}

struct ndm_store *pool_data(const struct pool *pool)
{
	return pool->owner->data->store;
}

static void pool_event(struct pool *pool)
{
	if (pool_ti(pool))
		ndm_event(pool_ti(pool));
}

/* ---- who is inside ---- */

void pool_busy(struct pool *pool)
{
	pool->busy++;
}

void pool_unbusy(struct pool *pool)
{
	if (--pool->busy == 0)
		ndm_wake_all(&pool->idle);
}

void pool_land(struct pool *pool)
{
	if (--pool->inflight == 0)
		ndm_wake_all(&pool->landed);
}

/* With the lock held for writing nothing new takes off. */
void pool_wait_landed(struct pool *pool)
{
	while (pool->inflight)
		ndm_wait(&pool->landed);
}

/* ---- modes ---- */

static void mode_told(struct pool *pool)
{
	static const char *const names[] = { "write", "out-of-data-space", "read-only", "read-only", "fail" };
	const char *more = "";

	if (!pool_ti(pool))
		return;
	if (pool->mode == POOL_OUT_OF_DATA)
		more = pool->f.error_if_no_space ? " (error IO)" : " (queue IO)";
	pool_event(pool);
	ndm_warn(pool_ti(pool), "switching pool to %s%s mode", names[pool->mode], more);
}

void pool_set_mode(struct pool *pool, enum pool_mode mode)
{
	enum pool_mode old = pool->mode;

	if (mode == POOL_WRITE && pmd_needs_check(pool->pmd)) {
		if (pool_ti(pool))
			ndm_warn(pool_ti(pool), "unable to switch pool to write mode until repaired.");
		mode = old != mode ? old : POOL_READ_ONLY;
	}
	if (old == POOL_FAIL)			/* there is no way back */
		mode = old;
	if (mode == POOL_WRITE) {
		ndm_timer_cancel(&pool->space_timer);
		pool->f.error_if_no_space = pool->owner && pool->owner->asked.error_if_no_space;
	}
	pool->mode = mode;
	if (pool->owner)
		pool->owner->mode = mode;	/* or its resume would change it again */
	if (mode == POOL_OUT_OF_DATA && !pool->f.error_if_no_space)
		ndm_timer_set(&pool->space_timer, ndm_now(pool->loop) + NO_SPACE_NS);
	if (old == mode)
		return;
	mode_told(pool);
	ndm_wake_all(&pool->room);
}

static void space_timeout(struct ndm_timer *timer)
{
	struct pool *pool = (struct pool *)((char *)timer - offsetof(struct pool, space_timer));

	if (pool->mode != POOL_OUT_OF_DATA || pool->f.error_if_no_space)
		return;
	pool->f.error_if_no_space = true;
	mode_told(pool);
	ndm_wake_all(&pool->room);
}

void pool_failed(struct pool *pool, const char *what, int err)
{
	if (pool_ti(pool))
		ndm_warn(pool_ti(pool), "metadata operation '%s' failed: error = %d", what, err);
	if (pool->mode != POOL_FAIL && pmd_abort(pool->pmd)) {
		pool_set_mode(pool, POOL_FAIL);
		return;
	}
	pmd_set_needs_check(pool->pmd);
	pool_set_mode(pool, POOL_READ_ONLY);
}

/* ---- commit ---- */

static void space_check(struct pool *pool)
{
	uint64_t total = meta_space_blocks(pool->pmd->m), low = total / 4 < 1024 ? total / 4 : 1024;
	bool is_low = meta_space_free(pool->pmd->m) <= low;

	if (is_low && !pool->metadata_low_told && pool_ti(pool)) {
		ndm_warn(pool_ti(pool), "reached low water mark for metadata device: sending event.");
		pool_event(pool);
	}
	pool->metadata_low_told = is_low;
	if (!pmd_metadata_free(pool->pmd) && pool->mode < POOL_OUT_OF_METADATA)
		pool_set_mode(pool, POOL_OUT_OF_METADATA);
	if (pool->mode == POOL_OUT_OF_DATA &&
	    meta_space_left(pool->pmd->data) > pool->nreserved) {
		pool_set_mode(pool, POOL_WRITE);
		ndm_wake_all(&pool->room);
	}
}

int pool_flush_data(struct pool *pool, uint64_t *covers)
{
	*covers = pool->inserts;
	return ndm_flush(pool_data(pool));
}

int pool_commit(struct pool *pool)
{
	return pool_commit_flushed(pool, UINT64_MAX);
}

int pool_commit_flushed(struct pool *pool, uint64_t covers)
{
	int err = 0;

	if (pool->mode >= POOL_OUT_OF_METADATA || !pool->owner)
		return -EINVAL;
	if (pool->pmd->changed) {
		if (meta_space_freed(pool->pmd->data))
			pool_wait_landed(pool);
		if (covers != pool->inserts)
			err = ndm_flush(pool_data(pool));
		if (!err)
			err = pmd_commit(pool->pmd);
	}
	if (err)
		pool_failed(pool, "commit", err);
	else
		space_check(pool);
	return err;
}

static void commit_task(void *arg)
{
	struct pool *pool = arg;
	uint64_t covers = UINT64_MAX;

	if (pool->owner && !pool->suspended && pool->pmd->changed && pool_flush_data(pool, &covers))
		covers = UINT64_MAX;		/* the commit will see what is wrong */
	ndm_wrlock(&pool->pmd->lock);
	if (pool->owner && !pool->suspended) {
		pmd_super_late(pool->pmd);
		pool_commit_flushed(pool, covers);
	}
	ndm_rwunlock(&pool->pmd->lock);
	if (pool->pmd->super_late && pool->owner && !pool->suspended)
		pool_changed(pool);
	crew_leave(&pool->tasks);
}

static void commit_due(struct ndm_timer *timer)
{
	struct pool *pool = (struct pool *)((char *)timer - offsetof(struct pool, commit_timer));

	crew_send(&pool->tasks, "thin-commit", commit_task, pool);
}

void pool_changed(struct pool *pool)
{
	if (!pool->commit_timer.index)
		ndm_timer_set(&pool->commit_timer, ndm_now(pool->loop) + COMMIT_NS);
}

void pool_stop(struct pool *pool)
{
	ndm_timer_cancel(&pool->commit_timer);
	ndm_timer_cancel(&pool->space_timer);
	crew_wait(&pool->tasks);
	ndm_wrlock(&pool->pmd->lock);
	pmd_super_late(pool->pmd);
	pool_commit(pool);
	ndm_rwunlock(&pool->pmd->lock);
}

/* ---- data blocks ---- */

static bool is_reserved(void *arg, uint64_t block)
{
	struct pool *pool = arg;
	struct reserved *r = pool->reserved;

	while (r && r->block != block)
		r = r->next;
	return r != NULL;
}

static int find_block(struct pool *pool, uint64_t *block)
{
	int err = meta_space_find(pool->pmd->data, pool->cursor, is_reserved, pool, block);

	if (err == -ENOSPC)
		err = meta_space_find(pool->pmd->data, 0, is_reserved, pool, block);
	return err;
}

static void low_water_check(struct pool *pool)
{
	uint64_t left = meta_space_left(pool->pmd->data);

	left = left > pool->nreserved ? left - pool->nreserved : 0;
	if (left > pool->low_water || pool->low_water_told || !pool_ti(pool))
		return;
	pool->low_water_told = true;
	ndm_warn(pool_ti(pool), "reached low water mark for data device: sending event.");
	pool_event(pool);
}

static int reserve_locked(struct pool *pool, struct reserved *r)
{
	int err;

	if (pool->mode != POOL_WRITE)
		return -EAGAIN;
	low_water_check(pool);
	err = find_block(pool, &r->block);
	if (err == -ENOSPC && meta_space_freed(pool->pmd->data)) {
		err = pool_commit(pool);	/* what it has freed may be had then */
		if (err || pool->mode != POOL_WRITE)
			return -EAGAIN;
		err = find_block(pool, &r->block);
	}
	if (err == -ENOSPC) {
		pool_set_mode(pool, POOL_OUT_OF_DATA);
		return -EAGAIN;
	}
	if (err) {
		pool_failed(pool, "find a free data block", err);
		return -EIO;
	}
	pool->cursor = r->block + 1;
	r->next = pool->reserved;
	pool->reserved = r;
	pool->nreserved++;
	if (!pmd_metadata_free(pool->pmd))	/* before the reserve is used */
		pool_commit(pool);
	return 0;
}

/* -EAGAIN: the mode is another now, look at it */
int pool_reserve(struct pool *pool, struct reserved *r)
{
	int err;

	ndm_wrlock(&pool->pmd->lock);
	err = reserve_locked(pool, r);
	ndm_rwunlock(&pool->pmd->lock);
	return err;
}

void pool_unreserve(struct pool *pool, struct reserved *r)
{
	struct reserved **p = &pool->reserved;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	pool->nreserved--;
}

/* ---- finding it, making it, giving it up ---- */

static bool same(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] == b[0] && a[1] == b[1];
}

struct pool *pool_of_device(struct ndm_loop *loop, const struct ndm_store *store)
{
	void **slot = ndm_slot(loop, "thin-pool", store->identity);

	return slot ? *slot : NULL;
}

static int pool_make(struct pool_target *pt, void **by_device, void **by_metadata)
{
	struct ndm_target *ti = pt->ti;
	struct pool *pool = patient_zalloc(ti->loop, sizeof *pool);
	int err;

	if (!pool)
		return ndm_error(ti, -ENOMEM, "Error allocating memory for pool");
	err = pmd_open(ti->loop, pt->metadata->store, pt->pool_block, pt->asked.read_only, &pool->pmd);
	if (err) {
		ndm_free(pool);
		return ndm_error(ti, err, "Error creating metadata object");
	}
	pool->loop = ti->loop;
	pool->device = ti->device;
	pool->by_device = by_device;
	pool->by_metadata = by_metadata;
	memcpy(pool->data_identity, pt->data->store->identity, sizeof pool->data_identity);
	pool->block = pt->pool_block;
	pool->f = (struct pool_features){ .zero_new = true, .discard = true, .passdown = true };
	pool->suspended = true;
	ndm_waitq_init(&pool->resumed, ti->loop);
	ndm_waitq_init(&pool->room, ti->loop);
	ndm_waitq_init(&pool->idle, ti->loop);
	ndm_waitq_init(&pool->landed, ti->loop);
	crew_init(&pool->tasks, ti->loop);
	ndm_timer_init(&pool->commit_timer, ti->loop, commit_due);
	ndm_timer_init(&pool->space_timer, ti->loop, space_timeout);
	*by_device = *by_metadata = pool;
	pt->pool = pool;
	return 0;
}

int pool_find(struct pool_target *pt, bool *made)
{
	struct ndm_target *ti = pt->ti;
	void **by_device = ndm_slot(ti->loop, "thin-pool", ndm_own_store(ti)->identity);
	void **by_metadata = ndm_slot(ti->loop, "thin-metadata", pt->metadata->store->identity);
	struct pool *pool;
	int err = 0;

	if (!by_device || !by_metadata)
		return ndm_error(ti, -ENOMEM, "Error allocating memory for pool");
	*made = false;
	pool = *by_metadata;
	if (pool && pool->device != ti->device)
		return ndm_error(ti, -EBUSY, "metadata device already in use by a pool");
	if (pool && !same(pool->data_identity, pt->data->store->identity))
		return ndm_error(ti, -EBUSY, "data device already in use by a pool");
	if (!pool && *by_device)
		return ndm_error(ti, -EINVAL, "different pool cannot replace a pool");
	if (!pool) {
		err = pool_make(pt, by_device, by_metadata);
		*made = !err;
	} else {
		pt->pool = pool;
	}
	if (err)
		return err;
	pool_hold(pt->pool);
	pt->next = pt->pool->targets;
	pt->pool->targets = pt;
	if (!pt->pool->owner)
		pool_owner(pt->pool, pt);
	return 0;
}

void pool_hold(struct pool *pool)
{
	pool->refs++;
}

void pool_drop(struct pool *pool)
{
	if (--pool->refs)
		return;
	*pool->by_device = *pool->by_metadata = NULL;
	ndm_timer_cancel(&pool->commit_timer);
	ndm_timer_cancel(&pool->space_timer);
	crew_wait(&pool->tasks);
	pmd_close(pool->pmd);
	ndm_free(pool);
}

/* From now on the devices of this table are used. */
void pool_owner(struct pool *pool, struct pool_target *pt)
{
	pool->owner = pt;
	if (pt)
		meta_store_set(pool->pmd->m, pt->metadata->store);
}

/* A table goes.  Where it was the last one, thin devices have nothing to stand on but memory. */
void pool_leave(struct pool_target *pt)
{
	struct pool *pool = pt->pool;
	struct pool_target **p = &pool->targets;

	while (*p != pt)
		p = &(*p)->next;
	*p = pt->next;
	if (pool->owner != pt)
		return;
	ndm_timer_cancel(&pool->commit_timer);
	ndm_timer_cancel(&pool->space_timer);
	pool->suspended = true;
	pool_owner(pool, pool->targets);
}
