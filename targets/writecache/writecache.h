/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writecache.h - what the files of the writecache target share.
 *
 *	table.c		tables and status lines
 *	entries.c	which block of the cache holds which sector: hash, age, free blocks
 *	commit.c	the metadata on disk, and the one thing that makes writes durable
 *	writeback.c	from the cache to the origin
 *	io.c		requests
 *	life.c		formatting, resume, suspend, messages
 *
 * On the cache device, from start_sector, little-endian:
 *
 *	superblock	64 bytes: magic, version, block size in bytes, pad, blocks, sequence, zero
 *	entries		{ sector of the origin, sequence } for each block
 *	data		the blocks, from the next multiple of the block size on
 *
 * An entry whose sequence is below the superblock's is committed: its block is what the origin's
 * sector contains.  All ones: the block is free.  Any other was being written, and counts for
 * nothing.  Of two committed entries with one sector the higher sequence is right.
 *
 * A "block" is an index of an entry; a "sector" counts 512 bytes from the start of the origin.
 */
#ifndef NDM_TARGETS_WRITECACHE_H
#define NDM_TARGETS_WRITECACHE_H

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/crew.h"

#define WC_MAGIC 0x23489321u
#define WC_VERSION 1u
#define WC_SUPER_BYTES 64u
#define WC_GRANULE_BYTES 65536u			/* metadata is written in such pieces */
#define WC_NONE UINT32_MAX			/* no block */
#define WC_FREE UINT64_MAX			/* an entry's sequence */

struct wc_super {				/* as on disk */
	uint32_t magic, version, block_bytes, pad;
	uint64_t nblocks, sequence, zero[4];
};

struct wc_disk_entry { uint64_t sector, sequence; };	/* as on disk */

struct wc_entry {
	uint32_t next;				/* in its bucket; of one sector the newest comes first */
	uint32_t newer, older;			/* the list by age; a run of writeback uses `older` */
	uint32_t run;				/* first of a run in writeback: how many blocks */
	bool writing_back, listed;
	uint64_t since_ns;
};

enum { WC_READS, WC_WRITES };

struct wc_stats {
	uint64_t reads, read_hits, writes, hits_uncommitted, hits_committed, around, allocated;
	uint64_t blocked, flushes, discards;
};

struct writecache {
	struct ndm_target *ti;
	struct ndm_dev *origin, *cache;
	uint64_t start_sector, cache_bytes;	/* bytes: from start_sector on */
	uint32_t block_bytes, block_sectors, nblocks;

	/* the table's words */
	unsigned high_percent, low_percent, jobs, autocommit_blocks, autocommit_ms, max_age_ms;
	unsigned pause_ms;
	bool start_set, high_set, low_set, jobs_set, blocks_set, time_set, age_set, pause_set;
	bool cleaner_set, metadata_only;

	/* metadata as on disk, or as they will be next */
	uint8_t *meta;
	size_t meta_bytes;
	uint8_t *dirty;				/* one for each granule */
	unsigned granules;
	uint64_t sequence;			/* host order; the superblock's */

	struct wc_entry *entries;
	uint32_t *buckets, nbuckets;
	uint64_t *free_map;			/* bit: the block is free */
	uint32_t nfree, next_free;		/* the one that is taken next */
	uint32_t newest, oldest;		/* by age */
	uint32_t high, low;			/* watermarks: blocks free or on their way to it */
	uint32_t uncommitted;

	struct ndm_mutex lock;			/* held over commits; the map holds still */
	int error;				/* the first; sticks */
	bool overwrote;				/* committed blocks were written to in place */
	unsigned in_progress[2];		/* requests at the cache device */
	struct ndm_waitq ios;			/* one of them has ended */
	struct ndm_waitq freed;			/* a block is free, or there is an error */
	unsigned direct_writes;			/* at the origin */
	uint64_t direct_ns;			/* when the last one ended */

	bool suspended, cleaner, flush_on_suspend;
	unsigned everything;			/* somebody wants all written back */
	bool writeback_runs, writeback_again, commit_queued, ending;
	uint32_t writing_back;			/* blocks */
	unsigned copies;			/* tasks that copy */
	uint32_t copied;			/* runs that have been: a list by `older` */
	struct ndm_waitq kick;			/* writeback shall not pause any more */
	struct ndm_timer autocommit, age;
	bool autocommit_armed;
	struct crew tasks;

	struct wc_stats stats;
};

#define wc_of(p, member) ((struct writecache *)((char *)(p) - offsetof(struct writecache, member)))

static inline struct wc_super *wc_super(const struct writecache *wc)
{
	return (struct wc_super *)wc->meta;
}

static inline struct wc_disk_entry *wc_disk(const struct writecache *wc, uint32_t b)
{
	return (struct wc_disk_entry *)(wc->meta + WC_SUPER_BYTES) + b;
}

static inline uint64_t wc_sector(const struct writecache *wc, uint32_t b)
{
	return le64toh(wc_disk(wc, b)->sector);
}

static inline bool wc_committed(const struct writecache *wc, uint32_t b)
{
	return le64toh(wc_disk(wc, b)->sequence) < wc->sequence;
}

static inline uint64_t wc_cache_sector(const struct writecache *wc, uint32_t b)
{
	return wc->start_sector + wc->meta_bytes / NDM_SECTOR_BYTES +
	       (uint64_t)b * wc->block_sectors;
}

/* entries.c */
int wc_entries_alloc(struct writecache *);
void wc_entries_reset(struct writecache *);	/* nothing cached, nothing free */
uint32_t wc_find(const struct writecache *, uint64_t sector);	/* the newest, or WC_NONE */
uint32_t wc_find_older(const struct writecache *, uint32_t b);	/* of the same sector */
void wc_insert(struct writecache *, uint32_t b, uint64_t sector, uint64_t sequence);
void wc_adopt(struct writecache *, uint32_t b);	/* the same with what its entry says */
void wc_list_remove(struct writecache *, uint32_t b);
void wc_list_oldest(struct writecache *, uint32_t b);	/* puts it back, at the end */
void wc_make_free(struct writecache *, uint32_t b);	/* one that is not cached */
void wc_free(struct writecache *, uint32_t b);	/* one that is; durable after wc_write_metadata() */
/* the next free block; with `only`, that one or none */
uint32_t wc_take(struct writecache *, uint32_t only);

/* commit.c */
void wc_fail(struct writecache *, int err, const char *what);
void wc_dirty_all(struct writecache *);
int wc_read_metadata(struct writecache *, size_t bytes) ndm_waits;
/* what follows is called with the lock */
void wc_wait_ios(struct writecache *, int direction) ndm_waits;
void wc_write_metadata(struct writecache *, bool wait_for_writes) ndm_waits;
void wc_commit(struct writecache *) ndm_waits;
/* and these without */
void wc_autocommit(struct writecache *);	/* after a write to the cache */
void wc_autocommit_fired(struct ndm_timer *);

/* writeback.c */
void wc_watermark(struct writecache *);
void wc_writeback(struct writecache *);		/* as soon as it may */
void wc_age_fired(struct ndm_timer *);
void wc_age_arm(struct writecache *);

/* io.c */
enum ndm_map wc_map(struct ndm_target *, struct ndm_bio *);
int wc_io(struct ndm_target *, struct ndm_bio *) ndm_waits;
enum ndm_endio wc_end_io(struct ndm_target *, struct ndm_bio *);
size_t wc_per_bio_size(void);

/* life.c */
int wc_open(struct ndm_target *, struct writecache *) ndm_waits;	/* reads or makes the superblock */
void wc_clean(struct writecache *);		/* switches the cleaner on */
void wc_resume(struct ndm_target *) ndm_waits;
void wc_postsuspend(struct ndm_target *) ndm_waits;
int wc_message(struct ndm_target *, unsigned argc, char **argv, struct ndm_str *) ndm_waits;

#endif
