/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdo.h - what the files of the vdo target share.
 *
 *	format.c	bytes (ndm-vdo.h)
 *	table.c		the table line
 *	load.c		geometry and super block; what is on disk becomes what is in memory, and back
 *	map.c		pages of the block map in memory, and the way from an lbn to its entry
 *	journal.c	the recovery journal while there are writes
 *	replay.c	what the recovery journal of a volume says that was not shut down
 *	depot.c		reference counts: which blocks are free
 *	change.c	entries change: the one place where the volume does
 *	io.c		requests
 *	status.c	status line, messages
 *	stats.c		the answer to the message stats
 *	vdo.c		the target
 *
 * What is on disk is right without us at any moment.  Before the first change the super block
 * says that reference counts are to be rebuilt from the block map (FORCE_REBUILD): so these, the
 * slabs' journals and the slab summary are not written before the volume is shut down, and
 * whoever opens it after a power failure (Linux, too) replays the recovery journal into the block
 * map and counts.  What is durable of a change is its entry in the recovery journal:
 *
 *	data, flush, journal entry, flush		the write is durable
 *	... some time later: pages of the block map, flush, and the journal may be reused
 *
 * A block is not used again before the change that freed it is durable.
 *
 * `lock` is held by whoever changes entries, commits or writes pages; looking up takes none.
 */
#ifndef NDM_TARGETS_VDO_H
#define NDM_TARGETS_VDO_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>
#include <ndm-vdo.h>

struct vdo_config {				/* of the table line */
	unsigned version;
	uint64_t physical;			/* blocks */
	unsigned logical_bytes;			/* 512 or 4096 */
	unsigned cache_blocks, max_age;
	unsigned max_discard;			/* blocks */
	bool deduplication, compression;
	struct { unsigned ack, bio, rotation, cpu, hash, logical, physical; } threads;
};

/* ---- the block map (map.c) ---- */

struct vdo_page {
	uint64_t pbn;
	uint8_t *bytes;
	unsigned pins;				/* users; such pages stay */
	bool dirty, loading;
	int error;				/* of its loading */
	struct vdo_page *next_hash;
	struct vdo_page *older, *newer;		/* in the order of use */
};

struct vdo_map {
	struct vdo_page **hash;
	unsigned buckets;			/* a power of 2 */
	unsigned pages, dirty, limit;
	struct vdo_page *oldest, *newest;
	struct ndm_waitq loaded;
	uint64_t reads, writes;			/* pages, for `stats` */
};

/* ---- the recovery journal (journal.c) ---- */

#define JOURNAL_ROOM 16u			/* blocks that are not committed, at most */

struct vdo_journal {
	uint64_t head;				/* oldest block that is needed */
	uint64_t first;				/* the block in pending[0] */
	unsigned blocks;			/* in pending; the last one is open */
	unsigned room;				/* how many there may be */
	unsigned entries;			/* in the open one */
	bool uncommitted;
	struct ndm_vdo_journal_head last;	/* of the open one */
	uint8_t *pending;
	uint64_t *freed;			/* blocks whose freeing is not durable */
	size_t nfreed, freed_room;
	uint64_t entries_made, entries_committed, committed_blocks;	/* for `stats` */
};

/* ---- reference counts (depot.c) ---- */

struct vdo_slab {
	uint8_t *counts;			/* NULL: all 0, or not kept */
	uint8_t *changed;			/* for each block of counts */
	uint64_t free, cursor, point;
	struct ndm_vdo_summary summary;
	bool touched;				/* differs from what is on disk */
};

struct vdo_depot {
	struct vdo_slab *slabs;
	unsigned n, current;
	uint64_t allocated;
	uint8_t *summary;			/* of the first zone */
	bool must_rebuild;			/* some slab was not shut down */
};

struct vdo_io_counts { uint64_t read, write, flush, discard, fua; };

struct owner;

struct vdo {
	struct ndm_target *ti;
	struct ndm_dev *dev;
	struct owner *owner;			/* vdo.c */
	struct ndm_str line;			/* the table's arguments */
	struct vdo_config config;
	struct ndm_vdo_geometry geometry;
	struct ndm_vdo_super super;		/* as on disk, but for what a clean end will write */
	bool loaded;
	bool writable;				/* else nothing is ever written */
	bool changing;				/* the super block says FORCE_REBUILD */
	bool failed;				/* a write of metadata did: read-only from now on */
	bool index_error, dump_on_shutdown;	/* said by messages */
	struct ndm_mutex lock;
	struct ndm_ranges busy;			/* lbns */
	struct vdo_map map;
	struct vdo_journal journal;
	struct vdo_depot depot;
	struct vdo_io_counts in;
	uint64_t no_space, read_only_errors;
};

/* table.c */
int vdo_config_parse(struct vdo *, unsigned argc, char **argv) ndm_waits;

/* load.c */
int vdo_block_read(struct vdo *, uint64_t pbn, uint64_t nr, void *) ndm_waits;
int vdo_block_write(struct vdo *, uint64_t pbn, uint64_t nr, const void *) ndm_waits;
int vdo_headers_read(struct vdo *, const char **why) ndm_waits;
int vdo_super_write(struct vdo *) ndm_waits;	/* flushes before and after */
int vdo_load(struct vdo *) ndm_waits;
int vdo_save(struct vdo *) ndm_waits;		/* a clean end, if there was a change */
void vdo_unload(struct vdo *);

/* map.c */
int map_init(struct vdo *);
void map_free(struct vdo *);
/* pinned, until map_put() */
int map_get(struct vdo *, uint64_t pbn, struct vdo_page **) ndm_waits;
int map_get_new(struct vdo *, uint64_t pbn, struct vdo_page **);	/* all unmapped */
void map_put(struct vdo *, struct vdo_page *);
void map_dirty(struct vdo *, struct vdo_page *);
/*
 * The way to the leaf with this lbn's entry: pages[0] is the lowest there is on it, pinned, and
 * *height how far it lies above the leaf (0: the leaf itself), *slot the entry in it.
 */
int map_walk(struct vdo *, uint64_t lbn, struct vdo_page **, unsigned *height, unsigned *slot) ndm_waits;
/* Where n blocks are, of one leaf at most: returns how many, or -errno. */
int map_lookup(struct vdo *, uint64_t lbn, unsigned n, struct ndm_vdo_location *) ndm_waits;
int map_write_dirty(struct vdo *) ndm_waits;

/* journal.c */
int journal_init(struct vdo *);
void journal_free(struct vdo *);
void journal_restart(struct vdo *, uint64_t sequence);
unsigned journal_space(const struct vdo *);	/* entries until a commit is needed */
void journal_append(struct vdo *, const struct ndm_vdo_change *);	/* there is space */
int journal_commit(struct vdo *) ndm_waits;	/* flushes data, too; with the lock */
bool journal_is_long(const struct vdo *);	/* pages should be written */

/* replay.c */
int replay(struct vdo *, uint64_t *highest) ndm_waits;

/* depot.c */
int depot_load(struct vdo *, bool rebuild) ndm_waits;
void depot_free(struct vdo *);
bool depot_alloc(struct vdo *, uint64_t *pbn);
void depot_set_tree(struct vdo *, uint64_t pbn);	/* what was allocated is a page of the block map */
int depot_ref(struct vdo *, uint64_t pbn);
void depot_unref(struct vdo *, uint64_t pbn);
int depot_save(struct vdo *) ndm_waits;
uint64_t vdo_used(const struct vdo *);		/* blocks, as the status line says it */

/* change.c */
int vdo_commit(struct vdo *) ndm_waits;		/* all that has been written is durable */
/* n entries from lbn on; what they said is freed.  With make, leaves that are missing are made. */
int vdo_change(struct vdo *, uint64_t lbn, unsigned n, const struct ndm_vdo_location *, bool make) ndm_waits;
int vdo_alloc(struct vdo *, uint64_t *pbn) ndm_waits;
int vdo_checkpoint(struct vdo *) ndm_waits;	/* with the lock */
int vdo_fail(struct vdo *, const char *what, int err);

/* io.c */
int vdo_io(struct ndm_target *, struct ndm_bio *) ndm_waits;

/* status.c */
void vdo_status(struct ndm_target *, enum ndm_status, unsigned flags, struct ndm_str *);
void vdo_dump(struct vdo *);
int vdo_message(struct ndm_target *, unsigned argc, char **argv, struct ndm_str *) ndm_waits;
/* stats.c */
void vdo_stats_print(struct vdo *, struct ndm_str *);

#endif
