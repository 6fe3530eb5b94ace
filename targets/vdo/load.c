/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load.c - what is on disk becomes what is in memory, and back at a clean end.
 *
 * A volume that was not shut down is replayed.  Where it may be written, it is brought in order at
 * once: FORCE_REBUILD goes into the super block, then the pages that the journal changed go to
 * their places, and last the journal begins anew, with a number of recoveries that makes all of its
 * old blocks void.  A cut at any moment of that leaves something to replay.
 */
#include "targets/vdo/vdo.h"

static uint64_t sector_of(const struct vdo *v, uint64_t pbn)
{
	return (pbn - v->geometry.bio_offset) * NDM_VDO_BLOCK_SECTORS;
}

int vdo_block_read(struct vdo *v, uint64_t pbn, uint64_t nr, void *to)
{
	return ndm_rw(v->dev->store, NDM_READ, NDM_META, sector_of(v, pbn), nr * NDM_VDO_BLOCK_SECTORS, to);
}

int vdo_block_write(struct vdo *v, uint64_t pbn, uint64_t nr, const void *from)
{
	return ndm_rw(v->dev->store, NDM_WRITE, NDM_META, sector_of(v, pbn), nr * NDM_VDO_BLOCK_SECTORS,
		      (void *)from);
}

/* ---- geometry and super block ---- */

static int super_fits(struct vdo *v, const char **why)
{
	uint64_t logical = v->ti->nr / NDM_VDO_BLOCK_SECTORS;
	int err;

	if (v->super.logical < logical)		/* it grows */
		v->super.logical = logical;
	err = ndm_vdo_super_check(&v->super, &v->geometry, why);
	if (err)
		return err;
	*why = "the table says another number of physical blocks than the super block";
	if (v->super.physical != v->config.physical)
		return -EIO;
	*why = "the volume is larger than the table says";
	return v->super.logical == logical ? 0 : -EIO;
}

/* Linux counts ages in blocks of another size than it has now, and wants two of them in the journal. */
static bool age_fits(const struct vdo *v)
{
	uint64_t age = ((uint64_t)v->config.max_age * 311 + 2 * NDM_VDO_JOURNAL_ENTRIES - 1) /
		       (2 * NDM_VDO_JOURNAL_ENTRIES);
	uint64_t reserved = 2048 / NDM_VDO_JOURNAL_ENTRIES + 2, length = v->super.journal_blocks;

	if (reserved > length / 4)
		reserved = length / 4;
	return age && age <= (length - reserved) / 2;
}

int vdo_headers_read(struct vdo *v, const char **why)
{
	uint8_t *block = ndm_buffer_get(v->ti->loop, NDM_VDO_BLOCK);
	int err;

	if (!block)
		return -ENOMEM;
	v->geometry.bio_offset = 0;
	*why = "it cannot be read";
	err = ndm_rw(v->dev->store, NDM_READ, NDM_META, 0, NDM_VDO_BLOCK_SECTORS, block) ? -EIO : 0;
	err = err ? err : ndm_vdo_geometry_decode(block, &v->geometry, why);
	if (err) {
		err = ndm_error(v->ti, err, "Could not load geometry block: %s", *why);
		goto out;
	}
	*why = "the data region lies outside";
	if (v->geometry.data_start < v->geometry.bio_offset || v->geometry.data_start >= v->config.physical ||
	    v->config.physical > v->dev->store->nr / NDM_VDO_BLOCK_SECTORS)
		err = -EIO;
	else
		err = vdo_block_read(v, v->geometry.data_start, 1, block) ? -EIO : 0;
	err = err ? err : ndm_vdo_super_decode(block, &v->super, why);
	err = err ? err : super_fits(v, why);
	if (!err && !age_fits(v)) {
		*why = "the block map's era is 0 or more than half the recovery journal";
		err = -EIO;
	}
	if (err)
		ndm_error(v->ti, err, "Cannot load metadata from device: %s", *why);
out:
	ndm_buffer_put(v->ti->loop, block, NDM_VDO_BLOCK);
	return err;
}

int vdo_super_write(struct vdo *v)
{
	uint8_t *block = ndm_buffer_get(v->ti->loop, NDM_VDO_BLOCK);
	int err;

	if (!block)
		return -ENOMEM;
	ndm_vdo_super_encode(&v->super, block);
	err = ndm_flush(v->dev->store);
	err = err ? err : vdo_block_write(v, v->geometry.data_start, 1, block);
	err = err ? err : ndm_flush(v->dev->store);
	ndm_buffer_put(v->ti->loop, block, NDM_VDO_BLOCK);
	return err;
}

/* ---- load ---- */

static int recovery_finish(struct vdo *v, uint64_t highest)
{
	int err;

	v->super.state = NDM_VDO_FORCE_REBUILD;
	err = vdo_super_write(v);
	err = err ? err : map_write_dirty(v);
	if (err)
		return err;
	v->super.complete_recoveries++;
	v->super.journal_start = highest + 1;
	err = vdo_super_write(v);
	if (!err) {
		v->changing = true;
		journal_restart(v, highest + 1);
	}
	return err;
}

static int recover(struct vdo *v)
{
	uint64_t highest = v->super.journal_start;
	int err = replay(v, &highest);

	if (err == -EBADMSG) {			/* as Linux: what is there can be read, and no more */
		ndm_warn(v->ti, "the recovery journal is damaged: the volume is read-only");
		v->writable = false;
		v->failed = true;
		return 0;
	}
	err = err ? err : depot_load(v, true);
	if (!err && v->writable)
		err = recovery_finish(v, highest);
	return err;
}

static int parts_load(struct vdo *v)
{
	const char *why;
	int err = vdo_headers_read(v, &why);	/* another table may have written since ctr */

	err = err ? err : map_init(v);
	err = err ? err : journal_init(v);
	if (err)
		return err;
	v->writable = v->ti->writable && v->super.state != NDM_VDO_READ_ONLY;
	journal_restart(v, v->super.journal_start);
	switch (v->super.state) {
	case NDM_VDO_NEW:
	case NDM_VDO_CLEAN:
		err = depot_load(v, false);
		return err || !v->depot.must_rebuild ? err : depot_load(v, true);
	case NDM_VDO_READ_ONLY:
		v->failed = true;
		return 0;
	default:
		return recover(v);
	}
}

int vdo_load(struct vdo *v)
{
	int err = parts_load(v);

	v->loaded = !err;
	if (err)
		vdo_unload(v);
	return err;
}

void vdo_unload(struct vdo *v)
{
	map_free(v);
	journal_free(v);
	depot_free(v);
	v->loaded = false;
}

/* ---- a clean end ---- */

static int save(struct vdo *v)
{
	int err = vdo_checkpoint(v);

	err = err ? err : depot_save(v);
	if (err)
		return err;
	v->super.state = NDM_VDO_CLEAN;
	v->super.journal_start = v->journal.first + v->journal.blocks;
	err = vdo_super_write(v);
	if (!err) {
		v->changing = false;
		journal_restart(v, v->super.journal_start);
	}
	return err;
}

int vdo_save(struct vdo *v)
{
	int err = 0;

	ndm_lock(&v->lock);
	if (v->changing && !v->failed)
		err = save(v);
	if (err)
		vdo_fail(v, "shutting the volume down", err);
	ndm_unlock(&v->lock);
	return err;
}
