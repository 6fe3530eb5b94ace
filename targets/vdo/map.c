/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.c - the block map: sixty trees whose leaves have 812 entries each.  Leaf number n belongs
 * to tree n % 60; there it is child n / 60, so four digits to the base 812 say the way to it from
 * the root.
 *
 * Pages that are in memory are found without waiting.  Clean ones go when there are too many, the
 * longest unused first; dirty ones stay until they are written, which change.c sees to (and in a
 * volume that is only read, for ever: they are what the recovery journal said).
 */
#include "targets/vdo/vdo.h"

#define PAGES_MIN 64u
#define BUCKETS_MAX (1u << 16)

int map_init(struct vdo *v)
{
	struct vdo_map *m = &v->map;

	*m = (struct vdo_map){ .limit = v->config.cache_blocks, .buckets = PAGES_MIN };
	if (m->limit < PAGES_MIN)
		m->limit = PAGES_MIN;
	while (m->buckets < m->limit && m->buckets < BUCKETS_MAX)
		m->buckets *= 2;
	ndm_waitq_init(&m->loaded, v->ti->loop);
	m->hash = ndm_calloc(m->buckets, sizeof *m->hash);
	return m->hash ? 0 : -ENOMEM;
}

static struct vdo_page **bucket(struct vdo_map *m, uint64_t pbn)
{
	return &m->hash[(pbn * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (m->buckets - 1)];
}

/* ---- order of use ---- */

static void use_remove(struct vdo_map *m, struct vdo_page *p)
{
	*(p->older ? &p->older->newer : &m->oldest) = p->newer;
	*(p->newer ? &p->newer->older : &m->newest) = p->older;
}

static void use_add(struct vdo_map *m, struct vdo_page *p)
{
	p->newer = NULL;
	p->older = m->newest;
	*(m->newest ? &m->newest->newer : &m->oldest) = p;
	m->newest = p;
}

/* ---- pages ---- */

static void page_drop(struct vdo *v, struct vdo_page *p)
{
	struct vdo_map *m = &v->map;
	struct vdo_page **at = bucket(m, p->pbn);

	while (*at != p)
		at = &(*at)->next_hash;
	*at = p->next_hash;
	use_remove(m, p);
	m->pages--;
	m->dirty -= p->dirty;
	ndm_buffer_put(v->ti->loop, p->bytes, NDM_VDO_BLOCK);
	ndm_free(p);
}

static void shrink(struct vdo *v)
{
	struct vdo_page *p, *newer;

	for (p = v->map.oldest; p && v->map.pages > v->map.limit; p = newer) {
		newer = p->newer;
		if (!p->dirty && !p->pins)
			page_drop(v, p);
	}
}

void map_free(struct vdo *v)
{
	if (!v->map.hash)
		return;
	while (v->map.oldest)
		page_drop(v, v->map.oldest);
	ndm_free(v->map.hash);
	v->map.hash = NULL;
}

static struct vdo_page *page_find(struct vdo *v, uint64_t pbn)
{
	struct vdo_page *p = *bucket(&v->map, pbn);

	while (p && p->pbn != pbn)
		p = p->next_hash;
	return p;
}

/* A pinned page that nobody else has; its bytes are for the caller to fill. */
static struct vdo_page *page_new(struct vdo *v, uint64_t pbn)
{
	struct vdo_page *p = ndm_zalloc(sizeof *p), **b = bucket(&v->map, pbn);

	if (!p)
		return NULL;
	p->bytes = ndm_buffer_get(v->ti->loop, NDM_VDO_BLOCK);
	if (!p->bytes) {
		ndm_free(p);
		return NULL;
	}
	p->pbn = pbn;
	p->pins = 1;
	p->next_hash = *b;
	*b = p;
	use_add(&v->map, p);
	v->map.pages++;
	return p;
}

void map_put(struct vdo *v, struct vdo_page *p)
{
	p->pins--;
	if (!p->pins && p->error)
		page_drop(v, p);
	else if (!p->pins)
		shrink(v);
}

void map_dirty(struct vdo *v, struct vdo_page *p)
{
	if (!p->dirty)
		v->map.dirty++;
	p->dirty = true;
}

static int page_load(struct vdo *v, struct vdo_page *p)
{
	int err = vdo_block_read(v, p->pbn, 1, p->bytes);

	v->map.reads++;
	if (!err)
		err = ndm_vdo_page_check(p->bytes, v->super.nonce, p->pbn);
	if (err == -ENODATA) {
		ndm_vdo_page_init(p->bytes, v->super.nonce, p->pbn);
		err = 0;
	}
	if (err == -EBADMSG) {
		ndm_warn(v->ti, "block %" PRIu64 " has a page of the block map that belongs elsewhere", p->pbn);
		err = -EIO;
	}
	return err;
}

int map_get(struct vdo *v, uint64_t pbn, struct vdo_page **page)
{
	struct vdo_page *p = page_find(v, pbn);
	int err;

	if (!p) {
		p = page_new(v, pbn);
		if (!p)
			return -ENOMEM;
		p->loading = true;
		p->error = page_load(v, p);
		p->loading = false;
		ndm_wake_all(&v->map.loaded);
	} else {
		p->pins++;
		while (p->loading)
			ndm_wait(&v->map.loaded);
		if (p != v->map.newest) {
			use_remove(&v->map, p);
			use_add(&v->map, p);
		}
	}
	err = p->error;
	if (err)
		map_put(v, p);
	else
		*page = p;
	return err;
}

int map_get_new(struct vdo *v, uint64_t pbn, struct vdo_page **page)
{
	struct vdo_page *p = page_find(v, pbn);

	if (p)					/* of an earlier life of this block */
		p->pins++;
	else
		p = page_new(v, pbn);
	if (!p)
		return -ENOMEM;
	ndm_vdo_page_init(p->bytes, v->super.nonce, pbn);
	*page = p;
	return 0;
}

/* ---- from lbn to entry ---- */

static unsigned slot_at(const struct vdo *v, uint64_t lbn, unsigned height)
{
	uint64_t index;

	if (!height)
		return lbn % NDM_VDO_PAGE_ENTRIES;
	for (index = lbn / NDM_VDO_PAGE_ENTRIES / v->super.roots; --height; index /= NDM_VDO_PAGE_ENTRIES)
		;
	return index % NDM_VDO_PAGE_ENTRIES;
}

int map_walk(struct vdo *v, uint64_t lbn, struct vdo_page **page, unsigned *height, unsigned *slot)
{
	uint64_t pbn = v->super.root_start + lbn / NDM_VDO_PAGE_ENTRIES % v->super.roots;
	struct ndm_vdo_location child;
	unsigned h = NDM_VDO_HEIGHT;
	int err;

	for (;; h--) {
		err = map_get(v, pbn, page);
		if (err)
			return err;
		*height = h;
		*slot = slot_at(v, lbn, h);
		if (!h)
			return 0;
		child = ndm_vdo_entry_get((*page)->bytes, *slot);
		if (!ndm_vdo_child_ok(&v->super, child)) {
			ndm_warn(v->ti, "page %" PRIu64 " of the block map is damaged", pbn);
			map_put(v, *page);
			return -EIO;
		}
		if (child.state == NDM_VDO_UNMAPPED)
			return 0;
		map_put(v, *page);
		pbn = child.pbn;
	}
}

int map_lookup(struct vdo *v, uint64_t lbn, unsigned n, struct ndm_vdo_location *at)
{
	unsigned height, slot, i;
	struct vdo_page *page;
	int err;

	if (n > NDM_VDO_PAGE_ENTRIES - lbn % NDM_VDO_PAGE_ENTRIES)
		n = NDM_VDO_PAGE_ENTRIES - lbn % NDM_VDO_PAGE_ENTRIES;
	err = map_walk(v, lbn, &page, &height, &slot);
	if (err)
		return err;
	for (i = 0; i < n; i++)
		at[i] = height ? (struct ndm_vdo_location){ 0 } : ndm_vdo_entry_get(page->bytes, slot + i);
	map_put(v, page);
	return (int)n;
}

/* ---- writing ---- */

/*
 * Whoever comes here has the lock, so no page changes meanwhile.  Pages are pinned while they
 * are written: others may be read in, and push clean ones out.
 */
static int write_pass(struct vdo *v)
{
	struct vdo_page *p = v->map.oldest, *newer;
	int err = 0;

	while (p && !err) {
		p->pins++;
		if (p->dirty) {
			err = vdo_block_write(v, p->pbn, 1, p->bytes);
			v->map.writes++;
			if (!err) {
				p->dirty = false;
				v->map.dirty--;
			}
		}
		newer = p->newer;
		p->pins--;
		p = newer;
	}
	return err;
}

int map_write_dirty(struct vdo *v)
{
	int err = 0;

	/* what is used while it is written moves to the end of the list: others are passed by */
	while (v->map.dirty && !err)
		err = write_pass(v);
	shrink(v);
	return err;
}
