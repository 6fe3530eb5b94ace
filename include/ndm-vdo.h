/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-vdo.h - dm-vdo's format: geometry, super block, block map, recovery journal, reference
 * counts, slab summary, compressed blocks.  Pure functions; what is read from a disk is checked
 * here.
 *
 * Everything is little-endian and comes in blocks of 4096 bytes.  A pbn is the number of a block
 * on the device, an lbn that of one of the volume.
 *
 *	0			geometry: where the index and the data region begin
 *	index region		the deduplication index; a hint, and none of our business
 *	data region		super block, then four partitions in this order:
 *	  block map		the roots of its trees; all other pages are allocated like data
 *	  slab depot		slabs: data blocks, their reference counts, a journal each
 *	  recovery journal	a ring of blocks: which entry of the block map became what
 *	  slab summary		2 bytes a slab, sixteen copies
 */
#ifndef NDM_VDO_H
#define NDM_VDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NDM_VDO_BLOCK 4096u			/* bytes */
#define NDM_VDO_BLOCK_SECTORS 8u
#define NDM_VDO_ROOTS 60u			/* of trees, in volumes made by anybody so far */
#define NDM_VDO_HEIGHT 4u			/* pages above a leaf, with the root */
#define NDM_VDO_PAGE_ENTRIES 812u
#define NDM_VDO_SLABS_MAX 8192u
#define NDM_VDO_SLAB_BITS_MAX 23u
#define NDM_VDO_SUMMARY_BLOCKS 64u
#define NDM_VDO_SUMMARY_ZONES 16u
#define NDM_VDO_COUNTS 4032u			/* reference counts in a block */
#define NDM_VDO_COUNT_MAX 254u			/* and that of every page of the block map */
#define NDM_VDO_JOURNAL_ENTRIES 217u		/* in a block: 31 in each of sectors 1 to 7 */
#define NDM_VDO_SECTOR_ENTRIES 31u
#define NDM_VDO_FRAGMENTS 14u			/* in a compressed block */

enum ndm_vdo_state {				/* on disk, never renumber */
	NDM_VDO_DIRTY = 0,
	NDM_VDO_NEW = 1,
	NDM_VDO_CLEAN = 2,
	NDM_VDO_READ_ONLY = 3,
	NDM_VDO_FORCE_REBUILD = 4,		/* reference counts are to be made anew */
	NDM_VDO_RECOVERING = 5,
	NDM_VDO_REPLAYING = 6,
	NDM_VDO_REBUILD_FOR_UPGRADE = 7,
};

struct ndm_vdo_geometry {
	unsigned version;			/* 4 or 5 */
	uint64_t nonce;
	uint8_t uuid[16];
	uint64_t bio_offset;			/* taken off every pbn before it is used; 0, nearly always */
	uint64_t index_start, data_start;
	uint32_t index_memory;
	bool index_sparse;
};

/* 0, or -EIO and what is wrong with it. */
int ndm_vdo_geometry_decode(const uint8_t *block, struct ndm_vdo_geometry *, const char **why);
void ndm_vdo_geometry_encode(const struct ndm_vdo_geometry *, uint8_t *block);

enum ndm_vdo_partition { NDM_VDO_MAP, NDM_VDO_DEPOT, NDM_VDO_JOURNAL, NDM_VDO_SUMMARY, NDM_VDO_PARTITIONS };

struct ndm_vdo_slabs {				/* blocks of each slab */
	uint64_t blocks, data, counts, journal;
	uint64_t flushing, blocking, scrubbing;	/* thresholds of its journal */
};

struct ndm_vdo_super {
	uint32_t state;				/* enum ndm_vdo_state */
	uint64_t complete_recoveries, read_only_recoveries;
	uint64_t logical, physical;		/* blocks */
	uint64_t slab_blocks, journal_blocks, slab_journal_blocks;
	uint64_t nonce;
	uint64_t first_free, last_free;
	struct { uint64_t start, nr; } part[NDM_VDO_PARTITIONS];
	uint64_t journal_start;			/* sequence number of the next block, at least */
	uint64_t logical_used, map_blocks;	/* lbns in use; pages of the block map but its roots */
	struct ndm_vdo_slabs slab;
	uint64_t depot_start, depot_end;
	uint8_t zones;				/* copies of the slab summary that take turns; 0: one */
	uint64_t root_start, roots;
};

int ndm_vdo_super_decode(const uint8_t *block, struct ndm_vdo_super *, const char **why);
void ndm_vdo_super_encode(const struct ndm_vdo_super *, uint8_t *block);
/* Does it fit its geometry and itself?  0, or -EIO and why not. */
int ndm_vdo_super_check(const struct ndm_vdo_super *, const struct ndm_vdo_geometry *, const char **why);
/*
 * A new volume's super block, for physical blocks of which data_start are not its own.  -ENOSPC
 * when not one slab fits, -EINVAL for sizes that cannot be.  logical 0: as much as there is data.
 */
struct ndm_vdo_sizes { uint64_t physical, logical, journal_blocks; unsigned slab_bits, slab_journal_blocks; };
int ndm_vdo_super_make(const struct ndm_vdo_sizes *, const struct ndm_vdo_geometry *,
		       struct ndm_vdo_super *, const char **why);

/* Is it a block that data or a page of the block map may be in? */
bool ndm_vdo_is_data(const struct ndm_vdo_super *, uint64_t pbn);
bool ndm_vdo_is_root(const struct ndm_vdo_super *, uint64_t pbn);

/* ---- the block map ---- */

enum { NDM_VDO_UNMAPPED = 0, NDM_VDO_MAPPED = 1, NDM_VDO_FRAGMENT = 2 };	/* 2 to 15: in a compressed block */

struct ndm_vdo_location { uint64_t pbn; unsigned state; };	/* pbn 0: zeroes */

struct ndm_vdo_location ndm_vdo_entry_get(const uint8_t *page, unsigned slot);
void ndm_vdo_entry_put(uint8_t *page, unsigned slot, struct ndm_vdo_location);
/* What a leaf may say, and what a page above one may. */
bool ndm_vdo_entry_ok(const struct ndm_vdo_super *, struct ndm_vdo_location);
bool ndm_vdo_child_ok(const struct ndm_vdo_super *, struct ndm_vdo_location);

/* 0; -ENODATA: never written, all of it is unmapped; -EBADMSG: it belongs elsewhere */
int ndm_vdo_page_check(const uint8_t *page, uint64_t nonce, uint64_t pbn);
void ndm_vdo_page_init(uint8_t *page, uint64_t nonce, uint64_t pbn);

/* ---- the recovery journal ---- */

struct ndm_vdo_journal_head {
	uint64_t map_head, slab_head;		/* the oldest blocks that are needed */
	uint64_t sequence, nonce, logical_used, map_blocks;
	unsigned type;				/* 3; 1: an old format */
	unsigned entries;
	uint8_t check, recovery;
};

#define NDM_VDO_JOURNAL_TYPE 3u
#define NDM_VDO_JOURNAL_OLD 1u

struct ndm_vdo_change {
	bool tree;				/* a page of the block map was allocated */
	uint64_t page;				/* pbn of the page that changes */
	unsigned slot;
	struct ndm_vdo_location now, before;
};

uint8_t ndm_vdo_journal_check_byte(uint64_t sequence, uint64_t journal_blocks);
void ndm_vdo_journal_head_get(const uint8_t *block, struct ndm_vdo_journal_head *);
void ndm_vdo_journal_head_put(uint8_t *block, const struct ndm_vdo_journal_head *);
/* How many entries of sector 1 to 7 count; -1: it was not written with this head. */
int ndm_vdo_journal_sector(const uint8_t *block, const struct ndm_vdo_journal_head *, unsigned sector);
/* Puts the entry behind those that are there, and makes a sector's head with its first one. */
void ndm_vdo_change_put(uint8_t *block, const struct ndm_vdo_journal_head *, unsigned entry,
			const struct ndm_vdo_change *);
void ndm_vdo_change_get(const uint8_t *block, unsigned sector, unsigned entry, struct ndm_vdo_change *);
bool ndm_vdo_change_ok(const struct ndm_vdo_super *, const struct ndm_vdo_change *);

/* ---- slabs ---- */

struct ndm_vdo_summary { uint8_t tail; unsigned fullness; bool load, dirty; };

struct ndm_vdo_summary ndm_vdo_summary_get(const uint8_t *entries, unsigned slab);
void ndm_vdo_summary_put(uint8_t *entries, unsigned slab, struct ndm_vdo_summary);
unsigned ndm_vdo_fullness(const struct ndm_vdo_super *, uint64_t free_blocks);

/* 4032 reference counts; the latest commit point of its eight sectors, and the same for all */
uint64_t ndm_vdo_counts_get(const uint8_t *block, uint8_t *counts);
void ndm_vdo_counts_put(uint8_t *block, const uint8_t *counts, uint64_t point);

/* ---- compressed blocks ---- */

/* Where the fragment lies in the block.  0 or -EIO. */
int ndm_vdo_fragment(const uint8_t *block, unsigned state, unsigned *offset, unsigned *bytes);

#ifdef __cplusplus
}
#endif
#endif
