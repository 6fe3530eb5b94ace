/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - requests of an integrity target.
 *
 * Data and tags of a block are two things on the disk.  While a request reads or changes both it
 * holds the range of its sectors; in mode J writes only go into the journal, and hold nothing.
 * A request never crosses an area (max_io).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "targets/integrity/integrity.h"

static size_t tags_bytes(const struct integrity *ic, uint64_t nr)
{
	return nr / ic->block_sectors * ic->tag_bytes;
}

/* ---- reads ---- */

static bool read_checked(struct integrity *ic, uint64_t sector, uint64_t nr)
{
	const struct ndm_integrity_super *s = &ic->l.super;

	if (!ic->digest_bytes || ic->mode == 'R')
		return false;
	if (s->flags & NDM_INTEGRITY_RECALCULATING && sector + nr > s->recalc)
		return false;
	return ic->mode != 'B' || integrity_bitmap_believed(ic, sector, nr);
}

/* One block that did not match is read again: it may have been written by others under way. */
static int block_again(struct integrity *ic, uint64_t sector, const uint8_t *stored,
		       const struct ndm_data *to)
{
	uint8_t *block = ndm_buffer_get(ic->ti->loop, ic->block_bytes);
	uint8_t made[NDM_INTEGRITY_TAG_MAX];
	int err;

	if (!block)
		return -ENOMEM;
	err = ndm_rw(ic->data->store, NDM_READ, 0, ndm_integrity_data_sector(&ic->l, sector),
		     ic->block_sectors, block);
	err = err ? err : integrity_tag(ic, 0, sector, block, made);
	if (!err && integrity_tag_fits(ic, sector, stored, made)) {
		ndm_data_to(to, ic->block_bytes, block);
	} else if (!err) {
		ndm_warn(ic->ti, "%s: Checksum failed at sector 0x%" PRIx64, ic->data->name, sector);
		ic->mismatches++;
		err = -EILSEQ;
	}
	ndm_buffer_put(ic->ti->loop, block, ic->block_bytes);
	return err;
}

static int tags_compare(struct integrity *ic, uint64_t sector, uint64_t nr, struct ndm_data data,
			const uint8_t *stored, const uint8_t *made)
{
	uint64_t i;
	int err = 0;

	if (!memcmp(stored, made, tags_bytes(ic, nr)))
		return 0;
	for (i = 0; i < nr && !err; i += ic->block_sectors) {
		if (!integrity_tag_fits(ic, sector + i, stored, made))
			err = block_again(ic, sector + i, stored, &data);
		stored += ic->tag_bytes;
		made += ic->tag_bytes;
		data = ndm_data_skip(data, ic->block_bytes);
	}
	return err;
}

/* What lies on the disk, the range being held.  tags: for whoever is above, or NULL. */
static int read_disk(struct integrity *ic, struct ndm_bio *bio, uint64_t skip, uint64_t sector,
		     uint64_t nr, uint8_t *tags)
{
	struct ndm_bio *clone = ndm_clone(ic->ti->loop, bio, skip, nr);
	struct ndm_data data = ndm_data_skip(bio->data, skip << NDM_SECTOR_SHIFT);
	bool check = read_checked(ic, sector, nr);
	size_t bytes = tags_bytes(ic, nr);
	struct ndm_group group;
	uint8_t *stored = NULL;
	int err = 0, data_err;

	clone->tags.bytes = NULL;
	ndm_group_init(&group, ic->ti->loop);
	ndm_group_add(&group, clone, ic->data->store, ndm_integrity_data_sector(&ic->l, sector));
	if (check) {
		stored = ndm_buffer_get(ic->ti->loop, 2 * bytes);
		err = stored ? integrity_tags_read(ic, sector, nr, stored) : -ENOMEM;
	} else if (tags) {
		err = integrity_tags_read(ic, sector, nr, tags);
	}
	data_err = ndm_group_wait(&group);
	err = data_err ? data_err : err;
	if (!err && check)
		err = integrity_tags_make(ic, sector, nr, &data, stored + bytes);
	if (!err && check)
		err = tags_compare(ic, sector, nr, data, stored, stored + bytes);
	ndm_buffer_put(ic->ti->loop, stored, 2 * bytes);
	return err;
}

/* What the bio has of metadata from this sector of it on. */
static uint8_t *tags_of(const struct integrity *ic, const struct ndm_bio *bio, uint64_t skip)
{
	if (ic->digest_bytes || !bio->tags.bytes)
		return NULL;
	return bio->tags.bytes + tags_bytes(ic, skip);
}

static int read_bio(struct integrity *ic, struct ndm_bio *bio, uint64_t sector)
{
	struct ndm_range range;
	uint64_t done = 0, n;
	bool found = false;
	int err = 0;

	while (!err && done < bio->nr) {
		n = integrity_journal_look(ic, sector + done, bio->nr - done, &found);
		if (found) {
			integrity_journal_copy(ic, sector + done, n,
					       ndm_data_skip(bio->data, done << NDM_SECTOR_SHIFT),
					       tags_of(ic, bio, done));
			done += n;
			continue;
		}
		ndm_range_lock(&ic->ranges, &range, sector + done, sector + done + n - 1);
		/* it may have come into the journal, or gone through it, while we waited */
		if (integrity_journal_look(ic, sector + done, n, &found) == n && !found) {
			err = ic->failed;
			err = err ? err : read_disk(ic, bio, done, sector + done, n,
						    tags_of(ic, bio, done));
			done += n;
		}
		ndm_range_unlock(&ic->ranges, &range);
	}
	return err;
}

/* ---- writes ---- */

/* The tags to go with nr sectors: made here, or given from above; NULL where none were. */
static int write_tags(struct integrity *ic, const struct ndm_bio *bio, uint64_t sector,
		      uint8_t *made, const uint8_t **tags)
{
	*tags = made;
	if (ic->digest_bytes)
		return integrity_tags_make(ic, sector, bio->nr, &bio->data, made);
	*tags = bio->tags.bytes;
	return 0;
}

/* Modes D and B: data and tags go to their places side by side. */
static int write_disk(struct integrity *ic, struct ndm_bio *bio, uint64_t sector, uint8_t *made)
{
	struct ndm_bio *clone = ndm_clone(ic->ti->loop, bio, 0, bio->nr);
	struct ndm_range range;
	struct ndm_group group;
	const uint8_t *tags;
	int err, data_err;

	clone->tags.bytes = NULL;
	clone->flags &= ~NDM_FUA;		/* a flush follows, for the tags' sake */
	ndm_range_lock(&ic->ranges, &range, sector, sector + bio->nr - 1);
	ndm_group_init(&group, ic->ti->loop);
	ndm_group_add(&group, clone, ic->data->store, ndm_integrity_data_sector(&ic->l, sector));
	err = write_tags(ic, bio, sector, made, &tags);
	if (!err && tags)
		err = integrity_tags_write(ic, sector, bio->nr, tags);
	data_err = ndm_group_wait(&group);
	ndm_range_unlock(&ic->ranges, &range);
	integrity_autocommit(ic);
	return err ? err : data_err;
}

static int write_direct(struct integrity *ic, struct ndm_bio *bio, uint64_t sector, uint8_t *made)
{
	int err = 0;

	if (ic->mode != 'B')
		return write_disk(ic, bio, sector, made);
	ndm_rdlock(&ic->bitmap.gate);
	err = integrity_bitmap_mark(ic, sector, bio->nr);
	err = err ? err : write_disk(ic, bio, sector, made);
	ndm_rwunlock(&ic->bitmap.gate);
	return err;
}

static int write_bio(struct integrity *ic, struct ndm_bio *bio, uint64_t sector)
{
	size_t bytes = tags_bytes(ic, bio->nr);
	uint8_t *made = ndm_buffer_get(ic->ti->loop, bytes);
	const uint8_t *tags;
	int err;

	if (!made)
		return -ENOMEM;
	if (ic->mode == 'J') {
		err = write_tags(ic, bio, sector, made, &tags);
		err = err ? err : integrity_journal_write(ic, sector, bio->nr, bio->data, tags);
		if (!err && bio->flags & NDM_FUA)
			err = integrity_journal_commit(ic);
	} else {
		err = write_direct(ic, bio, sector, made);
		if (!err && bio->flags & NDM_FUA)
			integrity_flush(ic, true);
	}
	ndm_buffer_put(ic->ti->loop, made, bytes);
	return err ? err : ic->failed;
}

/* ---- discards: the tags first, and durable, then the data ---- */

static int discard_tags(struct integrity *ic, uint64_t sector, uint64_t nr)
{
	size_t most = 4096 / ic->tag_bytes * ic->tag_bytes;	/* whole tags */
	uint8_t *tags = ndm_buffer_get(ic->ti->loop, 4096), *t;
	int err = tags ? 0 : -ENOMEM;

	if (tags)
		memset(tags, INTEGRITY_DISCARDED, 4096);
	while (!err && nr) {
		uint64_t n = most / ic->tag_bytes * ic->block_sectors, i;

		n = n < nr ? n : nr;
		for (i = 0, t = tags; ic->discard_keyed && i < n && !err; i += ic->block_sectors) {
			err = integrity_tag(ic, 0, sector + i, NULL, t);
			t += ic->tag_bytes;
		}
		err = err ? err : integrity_tags_write(ic, sector, n, tags);
		sector += n;
		nr -= n;
	}
	ndm_buffer_put(ic->ti->loop, tags, 4096);
	return err;
}

/* Does a block's tag lie in two sectors? */
static bool tag_is_split(const struct integrity *ic, uint64_t sector)
{
	uint64_t at = ndm_integrity_tag_offset(&ic->l, sector);

	return at / NDM_SECTOR_BYTES != (at + ic->tag_bytes - 1) / NDM_SECTOR_BYTES;
}

/*
 * How many sectors from this one on can be discarded together, or (*keep) must be kept.  In mode
 * J every block is to be readable after a power cut, but of a tag in two sectors one half may get
 * to the disk and the other not; a write would be repaired from the journal, a discard is not in
 * it.  So blocks with such tags are left as they are.
 */
static uint64_t discard_run(const struct integrity *ic, uint64_t sector, uint64_t nr, bool *keep)
{
	uint64_t n;

	*keep = false;
	if (ic->mode != 'J' || NDM_SECTOR_BYTES % ic->tag_bytes == 0)
		return nr;
	*keep = tag_is_split(ic, sector);
	for (n = ic->block_sectors; n < nr; n += ic->block_sectors)
		if (tag_is_split(ic, sector + n) != *keep)
			break;
	return n;
}

static void discard_send(struct integrity *ic, struct ndm_group *group, uint64_t sector, uint64_t nr)
{
	struct ndm_bio *bio = ndm_bio_get(ic->ti->loop);

	bio->op = NDM_DISCARD;
	bio->nr = nr;
	ndm_group_add(group, bio, ic->data->store, ndm_integrity_data_sector(&ic->l, sector));
}

static int discard_held(struct integrity *ic, uint64_t sector, uint64_t nr)
{
	struct ndm_group group;
	uint64_t i, n;
	bool keep;
	int err = 0;

	for (i = 0; i < nr && !err; i += n) {
		n = discard_run(ic, sector + i, nr - i, &keep);
		err = keep ? 0 : discard_tags(ic, sector + i, n);
	}
	if (!err && ic->mode != 'D')
		integrity_flush(ic, false);
	err = err ? err : ic->failed;
	if (err)
		return err;
	ndm_group_init(&group, ic->ti->loop);
	for (i = 0; i < nr; i += n) {
		n = discard_run(ic, sector + i, nr - i, &keep);
		if (!keep)
			discard_send(ic, &group, sector + i, n);
	}
	return ndm_group_wait(&group);
}

static int discard_bio(struct integrity *ic, struct ndm_bio *bio, uint64_t sector)
{
	struct ndm_range range;
	bool found = false;
	int err = 0;

	if (ic->mode == 'B') {
		ndm_rdlock(&ic->bitmap.gate);
		err = integrity_bitmap_mark(ic, sector, bio->nr);
	}
	for (;;) {				/* until nothing of it is in the journal */
		ndm_range_lock(&ic->ranges, &range, sector, sector + bio->nr - 1);
		if (ic->failed ||
		    (integrity_journal_look(ic, sector, bio->nr, &found) == bio->nr && !found))
			break;
		ndm_range_unlock(&ic->ranges, &range);
		integrity_journal_empty(ic);
	}
	err = err ? err : ic->failed;
	err = err ? err : discard_held(ic, sector, bio->nr);
	ndm_range_unlock(&ic->ranges, &range);
	if (ic->mode == 'B')
		ndm_rwunlock(&ic->bitmap.gate);
	integrity_autocommit(ic);
	if (!err && bio->flags & NDM_FUA)
		integrity_flush(ic, true);
	return err ? err : ic->failed;
}

/* ---- the target's methods ---- */

enum ndm_map integrity_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct integrity *ic = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);

	if (bio->op == NDM_FLUSH)
		return NDM_MAP_WAIT;
	if ((sector | bio->nr) & (ic->block_sectors - 1))
		return NDM_MAP_KILL;
	if (bio->op != NDM_READ && ic->mode == 'R')
		return NDM_MAP_KILL;
	if (bio->tags.bytes && ic->digest_bytes)
		return NDM_MAP_KILL;
	return NDM_MAP_WAIT;
}

int integrity_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct integrity *ic = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);

	if (ic->failed)
		return ic->failed;
	switch (bio->op) {
	case NDM_READ:
		return read_bio(ic, bio, sector);
	case NDM_WRITE:
		return write_bio(ic, bio, sector);
	case NDM_DISCARD:
		return discard_bio(ic, bio, sector);
	case NDM_FLUSH:
		if (ic->mode == 'J')
			return integrity_journal_commit(ic);
		integrity_flush(ic, true);
		return ic->failed;
	default:
		return -EIO;
	}
}
