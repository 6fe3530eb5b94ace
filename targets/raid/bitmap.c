/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.c - the write-intent bitmap: which regions may be out of sync.
 *
 * On each metadata device from byte 4096 on: a superblock of 256 bytes, then bit i for region i.
 * A write waits until the bits of its regions are on all metadata devices.  A worker clears them
 * two periods after the last write, once the members have been flushed; not while a member is
 * missing, since the bits are what it must be given when it comes back.
 *
 * Crash states: a bit that is 1 stands for a region that may differ; what becomes of it is the
 * business of array_resync_offset and of members that come back (sync.c).
 */
#include "raid.h"

#define BITMAP_MAGIC 0x6d746962u
#define BITMAP_SECTOR 8u
#define PAGE 4096u
#define PAGE_SECTORS 8u
#define HEAD 256u				/* bytes of superblock before the first bit */
#define TICKS 250				/* of Linux in a second: what daemon_sleep counts */
#define DEFAULT_SLEEP 5				/* seconds */
#define BEHIND_MAX 0x3fffu

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		p[i] = v >> 8 * i;
}

uint64_t raid_sync_total(const struct raid *r)
{
	return raid_total_of(&r->geo);
}

static uint64_t regions_of(uint64_t total, uint64_t region)
{
	return (total + region - 1) / region;
}

static unsigned pages_of(uint64_t regions)
{
	return (unsigned)((HEAD + (regions + 7) / 8 + PAGE - 1) / PAGE);
}

static bool bit_get(const uint8_t *image, uint64_t i)
{
	return image[HEAD + i / 8] >> i % 8 & 1;
}

static void bit_set(struct raid_bitmap *b, uint64_t i, bool to)
{
	uint8_t *byte = b->image + HEAD + i / 8, mask = 1 << i % 8;

	*byte = to ? *byte | mask : *byte & ~mask;
	b->page_dirty[(HEAD + i / 8) / PAGE] = true;
}

/* ---- memory ---- */

int raid_bitmap_init(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;

	raid_bitmap_free(r);
	if (!r->geo.level)
		return 0;
	b->on_disk = r->persistent && !r->journal;
	b->region = r->region;
	b->regions = regions_of(raid_sync_total(r), b->region);
	b->pages = pages_of(b->regions);
	b->state = ndm_calloc(b->regions ? b->regions : 1, sizeof *b->state);
	b->image = ndm_calloc(b->pages, PAGE);
	b->page_dirty = ndm_calloc(b->pages, sizeof *b->page_dirty);
	b->groups = ndm_calloc(r->n, sizeof *b->groups);
	b->buffer = ndm_buffer_get(r->ti->loop, PAGE);
	ndm_mutex_init(&b->writing, r->ti->loop);
	ndm_waitq_init(&b->kick, r->ti->loop);
	return b->state && b->image && b->page_dirty && b->groups && b->buffer ? 0 : -ENOMEM;
}

void raid_bitmap_free(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;

	ndm_free(b->state);
	ndm_free(b->image);
	ndm_free(b->page_dirty);
	ndm_free(b->groups);
	if (b->buffer)
		ndm_buffer_put(r->ti->loop, b->buffer, PAGE);
	*b = (struct raid_bitmap){ 0 };
}

/* ---- writing ---- */

static int page_write(struct raid *r, unsigned page)
{
	struct raid_bitmap *b = &r->bitmap;
	unsigned i, good = 0;
	int err = 0, one;

	memcpy(b->buffer, b->image + (size_t)page * PAGE, PAGE);
	b->page_dirty[page] = false;
	b->iov = (struct iovec){ b->buffer, PAGE };
	for (i = 0; i < r->n; i++) {
		struct ndm_bio *bio;

		ndm_group_init(&b->groups[i], r->ti->loop);
		if (!raid_member_alive(r, i) || !r->members[i].meta)
			continue;
		bio = ndm_bio_get(r->ti->loop);
		bio->op = NDM_WRITE;
		bio->flags = NDM_FUA | NDM_META;
		bio->nr = PAGE_SECTORS;
		bio->data = (struct ndm_data){ &b->iov, 1, 0 };
		ndm_group_add(&b->groups[i], bio, r->members[i].meta->store,
			      BITMAP_SECTOR + (uint64_t)page * PAGE_SECTORS);
		good++;
	}
	for (i = 0; i < r->n; i++) {
		one = ndm_group_wait(&b->groups[i]);
		if (!one)
			continue;
		err = one;
		if (!raid_member_fail(r, i, "Write error of the bitmap"))
			good = 0;
		else if (good)
			good--;
	}
	if (!good)
		b->page_dirty[page] = true;
	return good ? 0 : err ? err : -EIO;
}

static int pages_write(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;
	uint64_t mine = ++b->wanted, now;
	unsigned i;
	int err = 0;

	if (!b->on_disk)
		return 0;
	ndm_lock(&b->writing);
	now = b->wanted;
	if (b->written < mine) {
		for (i = 0; i < b->pages && !err; i++)
			if (b->page_dirty[i])
				err = page_write(r, i);
		if (!err)
			b->written = now;
	}
	ndm_unlock(&b->writing);
	return err;
}

int raid_bitmap_store(struct raid *r)
{
	return pages_write(r);
}

static void head_fill(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;

	if (!r->degraded)
		b->events_cleared = r->events;
	put(b->image, BITMAP_MAGIC, 4);
	put(b->image + 4, 4, 4);
	put(b->image + 24, r->events, 8);
	put(b->image + 32, b->events_cleared, 8);
	put(b->image + 40, raid_sync_total(r), 8);
	put(b->image + 48, 0, 4);
	put(b->image + 52, b->region * NDM_SECTOR_BYTES, 4);
	put(b->image + 56, b->daemon_sleep, 4);
	put(b->image + 60, (unsigned)r->write_behind, 4);
	b->page_dirty[0] = true;
}

int raid_bitmap_super(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;
	int err;

	if (!b->image || !b->on_disk)
		return 0;
	ndm_lock(&b->writing);
	head_fill(r);
	err = page_write(r, 0);
	ndm_unlock(&b->writing);
	return err;
}

/* ---- around a write ---- */

int raid_bitmap_begin(struct raid *r, uint64_t sector, uint64_t nr)
{
	struct raid_bitmap *b = &r->bitmap;
	uint64_t first, last, i;
	bool flush = false;
	int err;

	if (raid_bitmap_none(r))
		return 0;
	first = sector / b->region;
	last = (sector + nr - 1) / b->region;
	for (i = first; i <= last; i++) {
		struct raid_region *s = &b->state[i];

		s->writes++;
		s->leaving = s->age = 0;
		if (!s->dirty) {
			s->dirty = 1;
			bit_set(b, i, true);
		}
		flush |= !s->stable;
	}
	err = flush ? pages_write(r) : 0;
	if (!err)
		err = raid_mark_unclean(r);
	for (i = first; i <= last && !err; i++)
		b->state[i].stable = 1;
	if (err)
		raid_bitmap_end(r, sector, nr);
	return err;
}

static uint64_t period_ns(const struct raid *r)
{
	return r->daemon_sleep ? (uint64_t)r->daemon_sleep * (1000000000 / TICKS)
			       : DEFAULT_SLEEP * UINT64_C(1000000000);
}

static bool leaves(const struct raid *r, const struct raid_region *s)
{
	return s->dirty && !s->writes && !s->needed && !r->degraded;
}

/* all: at a suspend, when there are no writes; else what has been quiet for two periods */
void raid_bitmap_clean(struct raid *r, bool all)
{
	struct raid_bitmap *b = &r->bitmap;
	uint64_t i, n = 0;

	if (raid_bitmap_none(r) || r->degraded)
		return;
	for (i = 0; i < b->regions; i++) {
		struct raid_region *s = &b->state[i];

		if (leaves(r, s) && (all || ++s->age >= 2))
			n += s->leaving = 1;
	}
	if (!n || raid_flush_members(r))
		return;
	for (i = 0; i < b->regions; i++) {
		struct raid_region *s = &b->state[i];

		if (s->leaving && leaves(r, s)) {
			s->dirty = s->stable = 0;
			bit_set(b, i, false);
		}
		s->leaving = 0;
	}
	if (pages_write(r))
		ndm_warn(r->ti, "the bitmap cannot be written");
}

static bool cleanable(const struct raid *r)
{
	const struct raid_bitmap *b = &r->bitmap;
	uint64_t i;

	for (i = 0; i < b->regions; i++)
		if (leaves(r, &b->state[i]) || b->state[i].writes)
			return true;
	return false;
}

static void clean_worker(void *arg)
{
	struct raid *r = arg;

	while (!ndm_stopping(r->ti) && !r->degraded && cleanable(r)) {
		ndm_wait_until(&r->bitmap.kick, ndm_now(r->ti->loop) + period_ns(r));
		if (!ndm_stopping(r->ti))
			raid_bitmap_clean(r, false);
	}
	r->bitmap.cleaning = false;
}

static void cleaner_start(struct raid *r)
{
	if (r->bitmap.cleaning || !r->bitmap.on_disk || r->degraded || r->frozen ||
	    ndm_stopping(r->ti))
		return;
	r->bitmap.cleaning = true;
	ndm_worker(r->ti, "raid bitmap", clean_worker, r);
}

void raid_bitmap_end(struct raid *r, uint64_t sector, uint64_t nr)
{
	struct raid_bitmap *b = &r->bitmap;
	uint64_t i;

	if (raid_bitmap_none(r))
		return;
	for (i = sector / b->region; i <= (sector + nr - 1) / b->region; i++)
		b->state[i].writes--;
	cleaner_start(r);
}

/* ---- what a resync asks ---- */

static uint64_t run_from(const struct raid *r, uint64_t sector)
{
	const struct raid_bitmap *b = &r->bitmap;

	return (sector / b->region + 1) * b->region - sector;
}

bool raid_bitmap_needs(struct raid *r, uint64_t sector, uint64_t *run)
{
	*run = run_from(r, sector);
	return r->bitmap.state[sector / r->bitmap.region].needed;
}

bool raid_bitmap_dirty(struct raid *r, uint64_t sector, uint64_t *run)
{
	*run = run_from(r, sector);
	return r->bitmap.state[sector / r->bitmap.region].dirty;
}

void raid_bitmap_synced(struct raid *r, uint64_t first, uint64_t end)
{
	struct raid_bitmap *b = &r->bitmap;
	uint64_t i, last = end >= raid_sync_total(r) ? b->regions : end / b->region;

	for (i = regions_of(first, b->region); i < last; i++)
		b->state[i].needed = 0;
	cleaner_start(r);
}

void raid_bitmap_need_all(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;
	uint64_t i;

	for (i = 0; i < b->regions; i++) {
		b->state[i].dirty = b->state[i].needed = 1;
		bit_set(b, i, true);
	}
}

/* ---- loading ---- */

static struct raid_member *source(struct raid *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (raid_member_alive(r, i) && r->members[i].meta && r->members[i].in_sync &&
		    !r->members[i].first_use)
			return &r->members[i];
	return NULL;
}

static int head_check(struct raid *r, const uint8_t *head)
{
	uint32_t chunk = le32_get(head + 52), sleep = le32_get(head + 56), version = le32_get(head + 4);

	if (le32_get(head) != BITMAP_MAGIC)
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: no bitmap there");
	if (version < 3 || version > 4)
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: bitmap of version %u",
				 version);
	if (chunk < 512 || chunk & (chunk - 1))
		return ndm_error(r->ti, -EINVAL,
				 "Failed to run raid array: regions of %u bytes in the bitmap", chunk);
	if (!sleep || sleep > INT32_MAX / TICKS)
		return ndm_error(r->ti, -EINVAL,
				 "Failed to run raid array: daemon sleep period out of range");
	if (le32_get(head + 60) > BEHIND_MAX)
		return ndm_error(r->ti, -EINVAL,
				 "Failed to run raid array: write-behind limit out of range");
	return 0;
}

/* what regions the bitmap on disk has; the table's wish comes at the resume */
int raid_bitmap_check(struct raid *r)
{
	uint64_t regions = regions_of(raid_sync_total(r), r->region);
	struct raid_member *m = source(r);
	uint8_t *page;
	unsigned i;
	int err;

	for (i = 0; i < r->n; i++)
		if (r->members[i].meta && r->members[i].meta->store->nr <
		    BITMAP_SECTOR + (uint64_t)pages_of(regions) * PAGE_SECTORS)
			return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
					 "metadata device %u is too small for its bitmap", i);
	if (r->new_array && r->words & RAID_DAEMON_SLEEP && !r->daemon_sleep)
		r->daemon_sleep = DEFAULT_SLEEP * TICKS;
	if (r->new_array && (unsigned)r->write_behind > BEHIND_MAX / 2)
		r->write_behind = BEHIND_MAX / 2;	/* of a new bitmap */
	if (r->new_array || r->bitmap_anew || !m)
		return 0;
	page = patient_buffer(r->ti->loop, PAGE);
	if (!page)
		return -ENOMEM;
	err = ndm_rw(m->meta->store, NDM_READ, NDM_META, BITMAP_SECTOR, PAGE_SECTORS, page);
	if (err)
		ndm_error(r->ti, err, "Failed to run raid array: the bitmap cannot be read");
	else
		err = head_check(r, page);
	if (!err && !r->want_region) {
		r->region = le32_get(page + 52) / NDM_SECTOR_BYTES;
		if (regions_of(raid_sync_total(r), r->region) > UINT64_C(1) << 24)
			err = ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
					"too many regions in the bitmap");
	}
	if (!err && r->words & RAID_DAEMON_SLEEP)
		r->daemon_sleep = (int)(le32_get(page + 56) * TICKS);
	if (!err && r->words & RAID_WRITE_BEHIND)
		r->write_behind = (int)le32_get(page + 60);
	ndm_buffer_put(r->ti->loop, page, PAGE);
	return err;
}

static void region_loaded(struct raid *r, uint64_t first, uint64_t end, uint64_t start)
{
	struct raid_bitmap *b = &r->bitmap;
	uint64_t i, last = regions_of(end, b->region);

	for (i = first / b->region; i < last && i < b->regions; i++) {
		b->state[i].dirty = 1;
		if ((i + 1) * b->region >= start)
			b->state[i].needed = 1;
		bit_set(b, i, true);
	}
}

void raid_bitmap_need(struct raid *r, uint64_t first, uint64_t end)
{
	if (!raid_bitmap_none(r) && first < end)
		region_loaded(r, first, end, 0);
}

/* old: the bitmap on disk, perhaps with other regions than ours */
static void image_take(struct raid *r, const uint8_t *old, uint64_t bits)
{
	uint64_t region = le32_get(old + 52) / NDM_SECTOR_BYTES, i;
	uint64_t start = r->resync_offset;

	r->bitmap.events_cleared = le64_get(old + 32);
	r->bitmap.daemon_sleep = le32_get(old + 56);
	/* a crash in a reshape leaves no other sign than the bits (member.c) */
	if ((r->degraded && r->bitmap.events_cleared != r->events) || r->reshape.active)
		start = 0;
	for (i = 0; i < bits; i++)
		if (bit_get(old, i))
			region_loaded(r, i * region, (i + 1) * region, start);
}

static int image_read(struct raid *r, struct raid_member *m)
{
	uint8_t *page = patient_buffer(r->ti->loop, PAGE), *old = NULL;
	struct ndm_store *store = m->meta->store;
	uint64_t bits = 0, total, bytes;
	unsigned i;
	int err;

	if (!page)
		return -ENOMEM;
	err = ndm_rw(store, NDM_READ, NDM_META, BITMAP_SECTOR, PAGE_SECTORS, page);
	if (!err)
		err = head_check(r, page);
	if (err)
		goto out;
	total = raid_sync_total(r);
	if (le64_get(page + 40) && le64_get(page + 40) < total)
		total = le64_get(page + 40);	/* before it grew */
	bits = regions_of(total, le32_get(page + 52) / NDM_SECTOR_BYTES);
	bytes = pages_of(bits) * (uint64_t)PAGE;
	err = -EINVAL;
	if (bytes / NDM_SECTOR_BYTES + BITMAP_SECTOR > store->nr)
		goto out;
	old = patient_zalloc(r->ti->loop, bytes);
	err = old ? 0 : -ENOMEM;
	for (i = 0; i < bytes / PAGE && !err; i++) {
		err = ndm_rw(store, NDM_READ, NDM_META, BITMAP_SECTOR + i * PAGE_SECTORS, PAGE_SECTORS,
			     page);
		memcpy(old + (size_t)i * PAGE, page, PAGE);
	}
	if (!err && le64_get(old + 24) < r->events)
		raid_bitmap_need_all(r);	/* not of this array's last life */
	else if (!err)
		image_take(r, old, bits);
	if (!err && !r->bitmap.daemon_sleep)
		r->bitmap.daemon_sleep = le32_get(old + 56);
out:
	ndm_free(old);
	ndm_buffer_put(r->ti->loop, page, PAGE);
	return err;
}

/* bits first: until then it is not of this array's life, so that all would be resynced */
static int bitmap_rewrite(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;
	unsigned i;
	int err = 0;

	for (i = 0; i < b->pages; i++)
		b->page_dirty[i] = true;
	head_fill(r);
	if (b->pages > 1) {
		put(b->image + 24, 0, 8);
		err = pages_write(r);
		head_fill(r);
	}
	return err ? err : pages_write(r);
}

static bool any_needed(const struct raid_bitmap *b)
{
	uint64_t i;

	for (i = 0; i < b->regions; i++)
		if (b->state[i].needed)
			return true;
	return false;
}

int raid_bitmap_load(struct raid *r)
{
	struct raid_bitmap *b = &r->bitmap;
	struct raid_member *m = source(r);
	int err = 0;

	if (raid_bitmap_none(r))
		return 0;
	if (b->on_disk && !r->new_array && !r->bitmap_anew && m)
		err = image_read(r, m);
	else if (r->resync_offset != RAID_NONE || b->on_disk)
		raid_bitmap_need_all(r);
	if (err)
		return ndm_error(r->ti, err, "Failed to load bitmap");
	if (r->resync_offset && r->resync_offset < raid_sync_total(r))
		region_loaded(r, r->resync_offset, raid_sync_total(r), 0);
	if (r->reshape.active && !r->degraded && any_needed(b))
		r->resync_offset = 0;
	if (!b->daemon_sleep)
		b->daemon_sleep = r->daemon_sleep / TICKS ? (unsigned)r->daemon_sleep / TICKS
				: r->daemon_sleep ? 1 : DEFAULT_SLEEP;
	if (r->resync_offset == RAID_NONE && (!r->degraded || r->new_array || r->bitmap_anew))
		raid_bitmap_synced(r, 0, raid_sync_total(r));
	return bitmap_rewrite(r);
}
