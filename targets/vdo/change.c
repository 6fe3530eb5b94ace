/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * change.c - entries of the block map change: the one place where the volume does.
 *
 * Whatever the data of a new entry is, it has been written (and need not be durable: a commit
 * flushes it) before the entry is changed.  Where a page of the block map is new it is written,
 * empty, before the entry that leads to it can become durable: so a replay never takes what was in
 * that block before for a page.
 */
#include "targets/vdo/vdo.h"

int vdo_fail(struct vdo *v, const char *what, int err)
{
	if (!v->failed)
		ndm_warn(v->ti, "%s failed (%s): the volume is read-only from now on", what, strerror(-err));
	v->failed = true;
	return err;
}

static int may_change(struct vdo *v)
{
	int err;

	if (!v->writable || v->failed) {
		v->read_only_errors++;
		return -EIO;
	}
	if (v->changing)
		return 0;
	v->super.state = NDM_VDO_FORCE_REBUILD;
	err = vdo_super_write(v);
	if (err)
		return vdo_fail(v, "writing the super block", err);
	v->changing = true;
	return 0;
}

/* The new head is on disk with the next commit, which begins with a flush: so the pages are, too. */
int vdo_checkpoint(struct vdo *v)
{
	struct vdo_journal *j = &v->journal;
	int err = journal_commit(v);

	err = err ? err : map_write_dirty(v);
	if (err)
		return vdo_fail(v, "writing the block map", err);
	j->head = j->blocks ? j->first + j->blocks - 1 : j->first;
	return 0;
}

/* Changes are durable when this returns; without any, a flush is all there is to do. */
int vdo_commit(struct vdo *v)
{
	int err;

	ndm_lock(&v->lock);
	if (v->failed && v->changing)
		err = -EIO;
	else
		err = v->journal.uncommitted ? journal_commit(v) : ndm_flush(v->dev->store);
	ndm_unlock(&v->lock);
	return err;
}

/* With the lock: what is freed can be had as soon as it is durable. */
static int alloc_locked(struct vdo *v, uint64_t *pbn)
{
	int err;

	if (depot_alloc(v, pbn))
		return 0;
	err = v->journal.nfreed ? journal_commit(v) : -ENOSPC;
	if (!err && !depot_alloc(v, pbn))
		err = -ENOSPC;
	v->no_space += err == -ENOSPC;
	return err;
}

int vdo_alloc(struct vdo *v, uint64_t *pbn)
{
	int err;

	if (!v->writable || v->failed) {
		v->read_only_errors++;
		return -EIO;
	}
	if (depot_alloc(v, pbn))
		return 0;
	ndm_lock(&v->lock);
	err = alloc_locked(v, pbn);
	ndm_unlock(&v->lock);
	return err;
}

static int space_make(struct vdo *v, unsigned entries)
{
	struct vdo_journal *j = &v->journal;
	uint64_t *more;
	size_t room;
	int err = 0;

	if (journal_space(v) < entries)
		err = journal_commit(v);
	if (err || j->nfreed + entries <= j->freed_room)
		return err;
	room = 2 * j->freed_room + entries + 64;
	more = ndm_calloc(room, sizeof *more);
	if (!more)
		return -ENOMEM;
	if (j->nfreed)
		memcpy(more, j->freed, j->nfreed * sizeof *more);
	ndm_free(j->freed);
	j->freed = more;
	j->freed_room = room;
	return 0;
}

/* A page of the block map where there is none yet. */
static int child_make(struct vdo *v, struct vdo_page *parent, unsigned slot)
{
	struct ndm_vdo_change c = { .tree = true, .page = parent->pbn, .slot = slot };
	struct vdo_page *child;
	uint64_t pbn;
	int err = space_make(v, 1);

	err = err ? err : alloc_locked(v, &pbn);
	if (err)
		return err;
	err = map_get_new(v, pbn, &child);
	if (!err) {
		err = vdo_block_write(v, pbn, 1, child->bytes);
		map_put(v, child);
	}
	if (err) {
		depot_unref(v, pbn);
		return err;
	}
	err = space_make(v, 1);			/* alloc_locked() may have committed */
	if (err) {
		depot_unref(v, pbn);
		return err;
	}
	c.now = (struct ndm_vdo_location){ .pbn = pbn, .state = NDM_VDO_MAPPED };
	journal_append(v, &c);
	ndm_vdo_entry_put(parent->bytes, slot, c.now);
	map_dirty(v, parent);
	depot_set_tree(v, pbn);
	return 0;
}

/* *page is NULL where there is no leaf, and none was to be made. */
static int leaf_get(struct vdo *v, uint64_t lbn, bool make, struct vdo_page **page, unsigned *slot)
{
	unsigned height;
	int err;

	for (;;) {
		err = map_walk(v, lbn, page, &height, slot);
		if (err || !height)
			return err;
		if (make)
			err = child_make(v, *page, *slot);
		map_put(v, *page);
		*page = NULL;
		if (err || !make)
			return err;
	}
}

static void entry_change(struct vdo *v, struct vdo_page *page, unsigned slot, struct ndm_vdo_location now)
{
	struct ndm_vdo_change c = { .page = page->pbn, .slot = slot, .now = now,
				    .before = ndm_vdo_entry_get(page->bytes, slot) };

	if (!ndm_vdo_entry_ok(&v->super, c.before))
		c.before = (struct ndm_vdo_location){ 0 };
	if (c.before.pbn == now.pbn && c.before.state == now.state)
		return;
	journal_append(v, &c);
	ndm_vdo_entry_put(page->bytes, slot, now);
	map_dirty(v, page);
}

static int leaf_change(struct vdo *v, uint64_t lbn, unsigned n, const struct ndm_vdo_location *now, bool make)
{
	struct vdo_page *page = NULL;
	unsigned slot, i;
	int err = may_change(v);

	if (!err && (journal_is_long(v) || v->map.dirty > v->map.limit / 2))
		err = vdo_checkpoint(v);
	err = err ? err : leaf_get(v, lbn, make, &page, &slot);
	if (err || !page)
		return err;
	err = space_make(v, n);
	for (i = 0; i < n && !err; i++)
		entry_change(v, page, slot + i, now[i]);
	map_put(v, page);
	return err;
}

int vdo_change(struct vdo *v, uint64_t lbn, unsigned n, const struct ndm_vdo_location *now, bool make)
{
	unsigned done = 0, part;
	int err = 0;

	ndm_lock(&v->lock);
	while (done < n && !err) {
		part = NDM_VDO_PAGE_ENTRIES - (lbn + done) % NDM_VDO_PAGE_ENTRIES;
		if (part > n - done)
			part = n - done;
		err = leaf_change(v, lbn + done, part, now + done, make);
		if (!err)
			done += part;
	}
	ndm_unlock(&v->lock);
	for (; done < n; done++)		/* these will not be used */
		if (now[done].pbn)
			depot_unref(v, now[done].pbn);
	return err;
}
