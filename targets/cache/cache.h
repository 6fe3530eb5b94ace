/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.h - what the files of the cache target share.
 *
 *	table.c		tables, status, messages
 *	metadata.c	the metadata on disk
 *	commit.c	when they are written, and what becomes of failures
 *	locks.c		who uses a block
 *	migrate.c	promotions, demotions, writebacks, invalidations
 *	io.c		requests
 *	life.c		resume and suspend
 *	smq.c, queue.c	the policy: which blocks are worth a place
 *
 * oblock: a block of the origin.  cblock: a block of the cache device.  Both are block_sectors
 * long.  dblock: so many oblocks as one bit says whether they are discarded.
 *
 * A dirty cblock differs from its oblock.  Mappings on disk are always right; dirty bits, hints
 * and discards are written at suspend, and believed when the flag CLEAN_SHUTDOWN is set.
 */
#ifndef NDM_TARGETS_CACHE_H
#define NDM_TARGETS_CACHE_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/crew.h"
#include "lib/kit/patient.h"
#include "lib/meta/array.h"
#include "targets/cache/smq.h"

enum cache_mode { CACHE_WRITE, CACHE_READ_ONLY, CACHE_FAIL };
enum cache_io { CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_PASSTHROUGH };
enum { CACHE_CLEAN_SHUTDOWN = 1, CACHE_NEEDS_CHECK = 2 };	/* flags of the superblock */
enum { CACHE_READ_HITS, CACHE_READ_MISSES, CACHE_WRITE_HITS, CACHE_WRITE_MISSES, CACHE_COUNTS };

struct cache_meta {
	struct meta *m;
	struct ndm_loop *loop;
	uint32_t version, flags, block_sectors, cache_blocks, hint_bytes;
	uint64_t mapping, hints, discards, dirty;	/* roots */
	uint64_t discard_sectors, discard_blocks;
	char policy[16];
	uint32_t policy_version[3], counts[CACHE_COUNTS];
	bool changed;
	bool clean;				/* the flag was set when it was loaded */
};

/* One mapping, as it is loaded. */
typedef int (*cache_mapping_fn)(void *arg, uint64_t oblock, uint32_t cblock, bool dirty,
				uint32_t hint, bool hint_valid);

/* metadata.c: all under the metadata's lock; a failure of a change calls for cache_meta_load() */
int cache_meta_open(struct ndm_target *, struct ndm_store *, uint32_t block_sectors,
		    unsigned version, struct cache_meta *) ndm_waits;
int cache_meta_load(struct cache_meta *) ndm_waits;
void cache_meta_close(struct cache_meta *);
int cache_meta_flags(struct cache_meta *, uint32_t flags) ndm_waits;	/* in the superblock, at once */
int cache_meta_commit(struct cache_meta *, bool clean) ndm_waits;
int cache_meta_resize(struct ndm_target *, struct cache_meta *, uint32_t blocks) ndm_waits;
int cache_meta_insert(struct cache_meta *, uint32_t cblock, uint64_t oblock) ndm_waits;
int cache_meta_remove(struct cache_meta *, uint32_t cblock) ndm_waits;
int cache_meta_mappings(struct cache_meta *, const char *policy, cache_mapping_fn, void *arg) ndm_waits;
int cache_meta_load_discards(struct cache_meta *, uint64_t *words) ndm_waits;
int cache_meta_set_dirty(struct cache_meta *, const uint64_t *words) ndm_waits;
int cache_meta_set_discards(struct cache_meta *, uint64_t sectors, uint64_t blocks,
			    const uint64_t *words) ndm_waits;
int cache_meta_set_hints(struct cache_meta *, const struct smq *) ndm_waits;

#define CACHE_BUCKETS 1024u
#define CACHE_COPIES 16u			/* at a time */

struct cache_use {				/* of an oblock, by a request; part of per_bio */
	uint64_t oblock;
	struct cache_use *next, **at;
};

struct cache_lock {				/* of an oblock, by one task */
	uint64_t oblock;
	bool reads;				/* keeps them out, too */
	struct cache_lock *next;
	struct ndm_waitq changed;		/* a use has ended, or the lock */
	unsigned refs;
};

struct cache {
	struct ndm_target *ti;
	struct ndm_dev *meta_dev, *cache_dev, *origin;
	uint32_t block_sectors, blocks;
	uint64_t origin_blocks;
	enum cache_io io;
	bool metadata2, passdown;
	enum cache_mode mode;
	uint64_t migration_threshold;		/* sectors */
	struct ndm_str words;			/* of the table, behind the devices */

	struct cache_meta meta;
	struct ndm_mutex lock;			/* of the metadata */
	bool cache_written, origin_written;	/* to be flushed before the next commit */
	struct smq *policy;
	uint64_t *dirty;
	uint64_t ndirty;
	uint64_t discard_sectors, discard_blocks, *discards;
	uint32_t counts[CACHE_COUNTS], demotions, promotions;

	struct cache_use *uses[CACHE_BUCKETS];
	struct cache_lock *locks[CACHE_BUCKETS];
	uint64_t in_flight, last_io_ns;		/* sectors; 0: there was none yet */
	bool ticking;				/* a request will tick the policy when it ends */

	bool fresh, sized, loaded;
	bool running, background;		/* not suspended; migrations may begin */
	unsigned migrations, copies;
	struct crew tasks;
	struct ndm_waitq copy_room;
	struct ndm_timer waker;
};

static inline bool cache_bit(const uint64_t *words, uint64_t i)
{
	return words[i / 64] >> i % 64 & 1;
}

static inline bool cache_is_discarded(const struct cache *c, uint64_t oblock)
{
	return cache_bit(c->discards, oblock * c->block_sectors / c->discard_sectors);
}

/* commit.c */
int cache_commit(struct cache *) ndm_waits;		/* if anything has changed */
int cache_sync(struct cache *) ndm_waits;		/* all, with CLEAN_SHUTDOWN; at suspend */
void cache_metadata_failed(struct cache *, const char *what, int err) ndm_waits;

/* locks.c */
bool cache_use_begin(struct cache *, struct cache_use *, uint64_t oblock, bool write);
void cache_use_end(struct cache *, struct cache_use *);
void cache_use_wait(struct cache *, uint64_t oblock, bool write) ndm_waits;	/* then try again */
struct cache_lock *cache_lock_try(struct cache *, uint64_t oblock, bool reads);
void cache_lock_quiesce(struct cache *, struct cache_lock *) ndm_waits;	/* until nobody uses it */
void cache_lock_end(struct cache *, struct cache_lock *);

/* migrate.c */
void cache_migrate(struct cache *);		/* begins what the policy wants done */
/* a promotion by a write that needs no copy; 1: it has to go another way now */
int cache_overwrite(struct cache *, struct ndm_bio *, const struct smq_work *) ndm_waits;
int cache_invalidate_write(struct cache *, struct ndm_bio *, uint64_t oblock, uint32_t cblock) ndm_waits;
int cache_invalidate(struct cache *, uint32_t cblock) ndm_waits;	/* with the metadata's lock */
void cache_set_dirty(struct cache *, uint32_t cblock);
void cache_clear_discard(struct cache *, uint64_t oblock);
bool cache_optimisable(const struct cache *, const struct ndm_bio *, uint64_t oblock);

/* io.c */
enum ndm_map cache_map(struct ndm_target *, struct ndm_bio *);
int cache_io_task(struct ndm_target *, struct ndm_bio *) ndm_waits;
enum ndm_endio cache_end_io(struct ndm_target *, struct ndm_bio *);
size_t cache_per_bio_size(void);

/* life.c */
int cache_preresume(struct ndm_target *) ndm_waits;
void cache_resume(struct ndm_target *) ndm_waits;
void cache_postsuspend(struct ndm_target *) ndm_waits;
void cache_waker(struct ndm_timer *);

#endif
