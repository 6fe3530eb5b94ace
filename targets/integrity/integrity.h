/* SPDX-License-Identifier: BSD-2-Clause */
/* integrity.h - what the files of the integrity target share. */
#ifndef NDM_TARGETS_INTEGRITY_H
#define NDM_TARGETS_INTEGRITY_H

#include <ndm-target.h>
#include <ndm-integrity.h>

#include "lib/kit/cipher.h"
#include "lib/kit/crew.h"
#include "lib/kit/hash.h"

/* Lane 0 is the loop's own, the others are for workers. */
#define INTEGRITY_LANES 5
#define INTEGRITY_BLOCK_MAX 4096		/* bytes */
#define INTEGRITY_DISCARDED 0xf6		/* every byte of a discarded block's tag */

struct integrity_alg {				/* "name" or "name:key" */
	char *name;
	uint8_t *key;				/* NULL: none was given */
	size_t key_bytes;
};

struct tag_buffer;				/* tags.c */

struct integrity_tags {				/* tags.c: tags of the device in memory */
	struct tag_buffer **buckets, *newest, *oldest;
	unsigned nbuckets, n, most, ndirty;
	unsigned log2_sectors;			/* of a buffer */
	struct ndm_waitq read;
	struct ndm_mutex flush;
};

struct journal_node {				/* of an entry in use */
	uint64_t sector;			/* UINT64_MAX: not in use */
	uint32_t next;				/* in the bucket, only of the newest of a sector */
	uint32_t older;				/* entry of the same sector */
};

struct integrity_journal {			/* journal.c */
	uint8_t *bytes;				/* as on disk, not encrypted */
	size_t nbytes;
	uint32_t sections, entries, section_entries;
	uint64_t ids[NDM_INTEGRITY_SEQUENCES];
	unsigned sequence;			/* of the section after the last committed one */

	struct journal_node *nodes;		/* by entry */
	uint32_t *buckets, nbuckets;
	uint32_t used;				/* nodes in use */

	uint32_t committed, ncommitted;		/* sections: written, not yet at their places */
	uint32_t uncommitted, nuncommitted;	/* sections: full, not yet written */
	uint32_t free_section, free_entry, nfree, threshold;	/* where the next entry goes */
	bool wrote;				/* since it was last empty on disk */

	uint64_t wanted, done;			/* commits */
	bool committing, writing, writeback_wanted;
	struct ndm_waitq changed;		/* space, a commit, an end of either task */
	struct ndm_mutex write_lock;		/* held while entries go to their places */

	struct ndm_cipher *cipher;		/* block mode */
	uint8_t *stream;			/* stream mode: xored with the journal */
	uint8_t *ivs;				/* block mode: one for each section */
};

struct integrity_bitmap {			/* bitmap.c; bit = 2^log2_blocks_per_bit blocks */
	uint8_t *disk;				/* as it is on disk, or will be next */
	uint8_t *may_write;			/* known to be set on disk */
	uint8_t *recalc;			/* tags are not to be believed */
	uint64_t bits;
	uint32_t blocks;			/* of NDM_INTEGRITY_BITMAP_BYTES */
	unsigned log2_blocks;
	struct ndm_mutex lock;			/* while it is being written */
	struct ndm_rwlock gate;			/* requests read, clearing writes */
};

struct integrity {
	struct ndm_target *ti;
	struct ndm_dev *data, *meta;		/* the same, or not */
	struct ndm_integrity_layout l;
	struct ndm_integrity_super given;	/* as it was when it was checked */
	char mode;				/* J B D R */
	unsigned block_bytes, block_sectors, tag_bytes;
	bool formatted;				/* just now: the journal need not be read */
	bool clean;				/* the journal in memory is that on disk */

	struct integrity_alg hash_alg, crypt_alg, mac_alg;
	struct ndm_hash *hashes[INTEGRITY_LANES], *mac;
	unsigned digest_bytes;			/* of the hash; 0: tags come from above */
	uint8_t free_lane[INTEGRITY_LANES], nfree;
	uint8_t scratch[INTEGRITY_LANES][INTEGRITY_BLOCK_MAX];

	uint32_t journal_sectors, interleave_sectors, commit_ms, flush_ms;
	unsigned watermark;
	int log2_sectors_per_bit;		/* -1: not given */
	bool recalculate, reset_recalculate, discard, discard_keyed, fix_padding, fix_hmac;
	bool legacy_recalculate;

	int failed;				/* the first error that nothing can be done about */
	uint64_t mismatches;
	struct ndm_ranges ranges;		/* logical sectors whose data or tags are in use */
	struct integrity_tags tags;
	struct integrity_journal journal;
	struct integrity_bitmap bitmap;
	struct ndm_timer autocommit, bitmap_timer;
	struct crew tasks;			/* of ours, beside those of requests */
};

#define ndm_integrity_of(p, member) \
	((struct integrity *)((char *)(p) - offsetof(struct integrity, member)))

static inline bool integrity_separate(const struct integrity *ic)
{
	return ic->l.separate;
}

/* Where the journal begins on ic->meta. */
static inline uint64_t integrity_journal_start(const struct integrity *ic)
{
	return ic->l.start + NDM_INTEGRITY_SUPER_SECTORS;
}

/* a named moment where a test may fail it */
#define integrity_moment(ic, name) \
	integrity_fail_if(ic, name, NDM_MOMENT((ic)->ti->loop, name))

/* life.c */
void integrity_fail(struct integrity *, const char *what, int err);
static inline void integrity_fail_if(struct integrity *ic, const char *what, int err)
{
	if (err)
		integrity_fail(ic, what, err);
}

/* Tags, and what has been written, durable: of the metadata device, or of both. */
void integrity_flush(struct integrity *, bool data) ndm_waits;
void integrity_autocommit(struct integrity *);	/* in commit_ms, if not sooner */
void integrity_postsuspend(struct ndm_target *) ndm_waits;
void integrity_resume(struct ndm_target *) ndm_waits;
int integrity_life_init(struct integrity *);

/* super.c */
int integrity_super_read(struct integrity *, uint8_t *bytes) ndm_waits;	/* 8 sectors */
int integrity_super_write(struct integrity *, unsigned flags) ndm_waits;
int integrity_super_verify(struct integrity *, const uint8_t *bytes);	/* fails where the MAC does */
/* Reads or makes it, checks it, and works out the layout. */
int integrity_super_open(struct ndm_target *, struct integrity *, bool *made) ndm_waits;

/* hash.c */
int integrity_hash_init(struct ndm_target *, struct integrity *);
/* A block's tag; data NULL: that of a keyed discard.  tag: tag_bytes. */
int integrity_tag(struct integrity *, unsigned lane, uint64_t sector, const uint8_t *data,
		  uint8_t *tag);
/* Tags of nr sectors; large ones on a worker. */
int integrity_tags_make(struct integrity *, uint64_t sector, uint64_t nr,
			const struct ndm_data *, uint8_t *tags) ndm_waits;
bool integrity_tag_fits(struct integrity *, uint64_t sector, const uint8_t *stored,
			const uint8_t *made);

/* tags.c */
int integrity_tags_init(struct integrity *);
void integrity_tags_free(struct integrity *);
int integrity_tags_read(struct integrity *, uint64_t sector, uint64_t nr, uint8_t *) ndm_waits;
int integrity_tags_write(struct integrity *, uint64_t sector, uint64_t nr, const uint8_t *) ndm_waits;
int integrity_tags_flush(struct integrity *) ndm_waits;	/* written, not yet durable */

/* io.c */
enum ndm_map integrity_map(struct ndm_target *, struct ndm_bio *);
int integrity_io(struct ndm_target *, struct ndm_bio *) ndm_waits;

/* journal.c */
int integrity_journal_init(struct ndm_target *, struct integrity *);
void integrity_journal_free(struct integrity *);
void integrity_journal_reset(struct integrity *, uint32_t section);	/* nothing is in it */
int integrity_journal_write(struct integrity *, uint64_t sector, uint64_t nr,
			    struct ndm_data, const uint8_t *tags) ndm_waits;
/* How many sectors from this one are in the journal (*found), or are not. */
uint64_t integrity_journal_look(struct integrity *, uint64_t sector, uint64_t nr, bool *found);
void integrity_journal_copy(struct integrity *, uint64_t sector, uint64_t nr, struct ndm_data,
			    uint8_t *tags);
int integrity_journal_commit(struct integrity *) ndm_waits;	/* all that has been written to it */
void integrity_journal_commit_soon(struct integrity *);
void integrity_journal_empty(struct integrity *) ndm_waits;	/* everything to its place */
void integrity_journal_adopt(struct integrity *, uint32_t entry, uint64_t sector);	/* replay */
uint8_t *integrity_journal_entry(struct integrity *, uint32_t section, unsigned n);
uint8_t *integrity_journal_data(struct integrity *, uint32_t section, unsigned n);

/* journal-write.c: sections to the disk */
int integrity_journal_crypt_init(struct ndm_target *, struct integrity *);
void integrity_journal_crypt_free(struct integrity *);
/* Stamps them (the sequence goes up behind the last one), and writes them with FUA. */
int integrity_sections_write(struct integrity *, uint32_t first, uint32_t n) ndm_waits;
int integrity_sections_read(struct integrity *) ndm_waits;	/* all */
/* Empty ones, of that sequence. */
void integrity_sections_clear(struct integrity *, uint32_t first, uint32_t n, unsigned sequence)
	ndm_waits;
int integrity_section_check(struct integrity *, uint32_t section);	/* its MAC */

/* replay.c */
void integrity_replay(struct integrity *) ndm_waits;

/* bitmap.c */
int integrity_bitmap_init(struct ndm_target *, struct integrity *);
void integrity_bitmap_free(struct integrity *);
int integrity_bitmap_mark(struct integrity *, uint64_t sector, uint64_t nr) ndm_waits;
bool integrity_bitmap_believed(struct integrity *, uint64_t sector, uint64_t nr);
void integrity_bitmap_resume(struct integrity *) ndm_waits;
void integrity_bitmap_recalculated(struct integrity *, uint64_t sector, uint64_t nr);
bool integrity_bitmap_clear(const uint8_t *map, const struct integrity *, uint64_t sector,
			    uint64_t nr);
void integrity_bitmap_set(uint8_t *map, const struct integrity *, uint64_t sector, uint64_t nr);
int integrity_bitmap_read(struct integrity *) ndm_waits;
int integrity_bitmap_write(struct integrity *) ndm_waits;
void integrity_bitmap_flush(struct integrity *) ndm_waits;	/* clears what may be cleared */

/* recalc.c */
void integrity_recalc_start(struct integrity *) ndm_waits;

#endif
