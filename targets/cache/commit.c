/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit.c - when the metadata are written, and what becomes of failures.
 *
 * A new mapping is not committed before its block is durable on the cache device, and a removed
 * one not before the origin has what it had: both are flushed first where something was copied.
 * (Linux leaves that to luck.)
 */
#include "targets/cache/cache.h"

static void mode_set(struct cache *c, enum cache_mode mode)
{
	if (c->mode >= mode)
		return;
	c->mode = mode;
	ndm_event(c->ti);
	ndm_warn(c->ti, "switching cache to %s mode", mode == CACHE_FAIL ? "fail" : "read-only");
}

/* Back to the last commit, and no further: the flag says that somebody should look. */
void cache_metadata_failed(struct cache *c, const char *what, int err)
{
	ndm_warn(c->ti, "metadata operation '%s' failed: %s", what, strerror(-err));
	if (c->mode != CACHE_WRITE)
		return;
	if (cache_meta_load(&c->meta)) {
		mode_set(c, CACHE_FAIL);
	} else {
		c->meta.flags |= CACHE_NEEDS_CHECK;
		if (cache_meta_flags(&c->meta, c->meta.flags))
			mode_set(c, CACHE_FAIL);
	}
	c->meta.changed = true;			/* what is in memory is not on disk, and never will be */
	mode_set(c, CACHE_READ_ONLY);
}

static int flush_if(struct ndm_dev *dev, bool *written)
{
	int err;

	if (!*written)
		return 0;
	*written = false;
	err = ndm_flush(dev->store);
	if (err)
		*written = true;
	return err;
}

static int data_flush(struct cache *c)
{
	int err = flush_if(c->cache_dev, &c->cache_written);
	int err2 = flush_if(c->origin, &c->origin_written);

	return err ? err : err2;
}

/* With the lock. */
static int commit_locked(struct cache *c, bool clean)
{
	int err = c->mode == CACHE_WRITE ? data_flush(c) : -EINVAL;

	if (err)
		return err;			/* nothing has been changed on disk: try again later */
	err = NDM_MOMENT(c->ti->loop, "cache.commit.before-metadata");
	if (!err)
		err = cache_meta_commit(&c->meta, clean);
	if (err)
		cache_metadata_failed(c, "commit", err);
	return err;
}

int cache_commit(struct cache *c)
{
	int err = 0;

	ndm_lock(&c->lock);
	if (c->meta.changed)
		err = commit_locked(c, false);
	ndm_unlock(&c->lock);
	return err;
}

static int sync_all(struct cache *c)
{
	int err = cache_meta_set_dirty(&c->meta, c->dirty);

	if (!err)
		err = cache_meta_set_discards(&c->meta, c->discard_sectors, c->discard_blocks,
					      c->discards);
	memcpy(c->meta.counts, c->counts, sizeof c->counts);
	if (!err)
		err = cache_meta_set_hints(&c->meta, c->policy);
	if (err)
		cache_metadata_failed(c, "writing dirty bits, discards and hints", err);
	return err;
}

int cache_sync(struct cache *c)
{
	int err = 0;

	ndm_lock(&c->lock);
	if (c->mode == CACHE_WRITE)
		err = sync_all(c);
	if (!err && c->mode == CACHE_WRITE) {
		/* clean blocks are clean only if the origin has them for good */
		c->cache_written = c->origin_written = true;
		err = commit_locked(c, true);
	}
	ndm_unlock(&c->lock);
	return err;
}
