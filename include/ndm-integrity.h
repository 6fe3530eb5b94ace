/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-integrity.h - dm-integrity's format: the superblock, where data, tags and journal lie, and
 * what a journal looks like.  Pure functions; what is read from a disk is checked here.
 *
 * Sectors are 512 bytes; a block is 1 to 8 of them and has one tag.
 */
#ifndef NDM_INTEGRITY_H
#define NDM_INTEGRITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NDM_INTEGRITY_SUPER_SECTORS 8		/* reserved for it */
#define NDM_INTEGRITY_SUPER_BYTES 512		/* what is used of them, with a MAC */
#define NDM_INTEGRITY_SALT_BYTES 16
#define NDM_INTEGRITY_TAG_MAX 255
#define NDM_INTEGRITY_VERSION_MAX 7
#define NDM_INTEGRITY_BLOCK_SECTORS_MAX 8
#define NDM_INTEGRITY_BITMAP_BYTES 4096		/* the bitmap is read and written in such blocks */
#define NDM_INTEGRITY_JOURNAL_HEAD 8		/* sectors with the entries of a section */
#define NDM_INTEGRITY_MAC_BYTES 64		/* of a section, 8 in each of those sectors */

enum ndm_integrity_flags {			/* on disk, never renumber */
	NDM_INTEGRITY_JOURNAL_MAC = 1,
	NDM_INTEGRITY_RECALCULATING = 2,
	NDM_INTEGRITY_DIRTY_BITMAP = 4,
	NDM_INTEGRITY_FIXED_PADDING = 8,
	NDM_INTEGRITY_FIXED_HMAC = 16,
	NDM_INTEGRITY_INLINE = 32,
	NDM_INTEGRITY_DISCARD_KEYED = 64,
};

struct ndm_integrity_super {
	unsigned version;
	unsigned log2_interleave, tag_bytes;
	uint32_t journal_sections;
	uint64_t provided;			/* data sectors */
	uint32_t flags;				/* enum ndm_integrity_flags */
	unsigned log2_block, log2_blocks_per_bit;	/* sectors per block; blocks per bitmap bit */
	uint64_t recalc;			/* sectors done */
	uint8_t salt[NDM_INTEGRITY_SALT_BYTES];
};

/* 0, -ENODATA when all is zero, -EINVAL when it is none */
int ndm_integrity_super_decode(const uint8_t *bytes, struct ndm_integrity_super *);
/* Bytes of a superblock, 0 to 63; the rest is zero, or a MAC put there by the caller. */
void ndm_integrity_super_encode(const struct ndm_integrity_super *, uint8_t *bytes);
/* Is it one that can be used?  -EINVAL, and what is wrong with it. */
int ndm_integrity_super_check(const struct ndm_integrity_super *, bool separate, const char **why);
/* The version that its flags ask for; changes with them at every write. */
unsigned ndm_integrity_super_version(const struct ndm_integrity_super *, bool bitmap, bool separate);

struct ndm_integrity_layout {
	/* given */
	uint64_t start;				/* of all that is ours on the metadata device */
	uint64_t data_sectors, meta_sectors;	/* sizes of the devices; the same one, the same */
	bool separate;				/* metadata is on a device of its own */
	unsigned log2_buffer;			/* sectors of tags that are read and written at once */
	struct ndm_integrity_super super;
	/* made of it */
	unsigned entry_bytes, section_entries, section_sectors;
	uint64_t initial;			/* sectors before the first tag, from start */
	uint64_t run;				/* sectors of tags of one area */
	uint64_t provided;
};

/*
 * All of it, for a superblock that has been checked.  The buffer is made smaller where that helps.
 * -EINVAL: the device is too small.
 */
int ndm_integrity_layout_init(struct ndm_integrity_layout *);
/*
 * A superblock for new devices: sizes, mode and flags are in l->super already; the journal is
 * made as large as journal_sectors says, or as fits.  -EINVAL: the device is too small.
 */
int ndm_integrity_layout_new(struct ndm_integrity_layout *, uint32_t journal_sectors,
			     uint32_t interleave_sectors);

/* Where logical sector s lies on the data device, and (bytes from the first tag) its block's tag. */
uint64_t ndm_integrity_data_sector(const struct ndm_integrity_layout *, uint64_t s);
uint64_t ndm_integrity_tag_offset(const struct ndm_integrity_layout *, uint64_t s);

/* ---- journal: section i has section_sectors, each ends with 8 bytes commit id ---- */

#define NDM_INTEGRITY_SEQUENCES 4

static inline uint64_t ndm_integrity_commit_id(const uint64_t ids[NDM_INTEGRITY_SEQUENCES],
					       unsigned sequence, uint32_t section, uint32_t sector)
{
	return ids[sequence] ^ ((uint64_t)section << 32 ^ sector);
}

/* Bytes from the start of a section: of entry n, and of its data. */
static inline size_t ndm_integrity_entry(const struct ndm_integrity_layout *l, unsigned n)
{
	return (size_t)(n % NDM_INTEGRITY_JOURNAL_HEAD) * 512 +
	       n / NDM_INTEGRITY_JOURNAL_HEAD * l->entry_bytes;
}

static inline size_t ndm_integrity_entry_data(const struct ndm_integrity_layout *l, unsigned n)
{
	return (NDM_INTEGRITY_JOURNAL_HEAD + ((size_t)n << l->super.log2_block)) * 512;
}

#ifdef __cplusplus
}
#endif
#endif
