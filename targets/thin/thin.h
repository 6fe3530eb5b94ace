/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thin.h - what the files of thin-pool and thin share.
 *
 *	metadata.c	what is on the metadata device: superblock, devices, mappings, counts
 *	devices.c	making, copying and deleting devices; metadata snapshots
 *	pool.c		the pool that its tables and its thin devices share: modes, space, commits
 *	pool-target.c	thin-pool
 *	message.c	its messages
 *	provision.c	giving a block of data to a thin device: zero, copy, insert
 *	thin.c		thin
 *
 * A "block" is a block of data, pool->block sectors long: virtual ones are those of a thin
 * device, data blocks those of the data device.  lib/meta has metadata blocks of its own.
 */
#ifndef NDM_TARGETS_THIN_H
#define NDM_TARGETS_THIN_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/crew.h"
#include "lib/kit/patient.h"
#include "lib/meta/meta.h"

#define THIN_ID_MAX ((1u << 24) - 1)
#define THIN_BLOCK_MIN 128u			/* sectors */
#define THIN_BLOCK_MAX 2097152u
#define THIN_DISCARD_BLOCKS 1024u		/* longest discard at once */

/* ---- metadata ---- */

struct pmd;

/* A device of the pool that some table has open. */
struct thin_dev {
	struct pmd *pmd;
	struct thin_dev *next;
	uint64_t id;
	unsigned opens;
	bool changed;			/* in this transaction */
	bool aborted;			/* changes of it were lost: flushes fail from then on */
	uint64_t mapped, transaction_id;
	uint32_t created, snapshotted;	/* times */
	struct ndm_ranges ranges;	/* virtual blocks that are being changed */
};

struct pmd {
	struct ndm_loop *loop;
	struct meta *m;
	struct meta_space *data;
	struct ndm_rwlock lock;		/* of everything here and in m */
	struct meta_btree mappings, tops, bottom, details;
	struct thin_dev *devs;
	bool changed;			/* a commit is due */
	bool super_late;		/* a flag of the superblock could not be written yet */

	/* the superblock */
	uint32_t flags, time, block, compat, compat_ro, incompat;
	uint64_t transaction_id, held_root, mapping_root, details_root, format_blocks;
};

struct thin_map { uint64_t block; bool shared; };

/* All but the first two want the lock: rd for looking, wr for changing. */
int pmd_open(struct ndm_loop *, struct ndm_store *, uint32_t block, bool read_only,
	     struct pmd **) ndm_waits;
void pmd_close(struct pmd *);
int pmd_commit(struct pmd *) ndm_waits;
int pmd_abort(struct pmd *) ndm_waits;
int pmd_set_needs_check(struct pmd *) ndm_waits;
int pmd_super_late(struct pmd *) ndm_waits;	/* tries again */
bool pmd_needs_check(const struct pmd *);
int pmd_grow_metadata(struct pmd *, uint64_t blocks) ndm_waits;
int pmd_grow_data(struct pmd *, uint64_t blocks) ndm_waits;
uint64_t pmd_metadata_free(const struct pmd *);	/* without the reserve */
bool pmd_lock_idle(const struct pmd *);		/* nobody writes or wants to */

/* devices.c */
int pmd_create_thin(struct pmd *, uint64_t id) ndm_waits;
int pmd_create_snap(struct pmd *, uint64_t id, uint64_t origin) ndm_waits;
int pmd_delete(struct pmd *, uint64_t id) ndm_waits;
int pmd_hold(struct pmd *) ndm_waits;		/* reserve_metadata_snap, after a commit */
int pmd_release(struct pmd *) ndm_waits;
int pmd_details_write(struct pmd *) ndm_waits;
int thin_dev_open(struct pmd *, uint64_t id, struct thin_dev **) ndm_waits;
void thin_dev_close(struct thin_dev *);

/* mappings; -ENODATA: unmapped.  cached: never waits, -EAGAIN */
int pmd_find(struct thin_dev *, uint64_t virtual, bool cached, struct thin_map *) ndm_waits;
int pmd_next(struct thin_dev *, uint64_t from, uint64_t *virtual, struct thin_map *) ndm_waits;
int pmd_highest(struct thin_dev *, uint64_t *virtual) ndm_waits;
/* counts the data block, and lets go of the one that was mapped */
int pmd_insert(struct thin_dev *, uint64_t virtual, uint64_t block) ndm_waits;
int pmd_remove(struct thin_dev *, uint64_t virtual) ndm_waits;

extern const struct meta_type thin_super_type;

/* ---- the pool ---- */

enum pool_mode {			/* in order of what still works */
	POOL_WRITE,
	POOL_OUT_OF_DATA,
	POOL_OUT_OF_METADATA,
	POOL_READ_ONLY,
	POOL_FAIL,
};

struct pool_features {
	bool zero_new, discard, passdown, error_if_no_space, read_only;
};

/* A thin-pool target: one table of the pool's device. */
struct pool_target {
	struct ndm_target *ti;
	struct pool *pool;
	struct ndm_dev *metadata, *data;
	uint32_t pool_block;		/* sectors, as the table says */
	uint64_t low_water;		/* blocks */
	struct pool_features asked, used;	/* as the table says; as the devices allow */
	enum pool_mode mode;		/* to be when it is resumed */
	struct pool_target *next;
};

struct reserved { uint64_t block; struct reserved *next; };

struct pool {
	struct ndm_loop *loop;
	struct ndm_device *device;
	void **by_device, **by_metadata;	/* slots */
	uint64_t data_identity[2];
	unsigned refs;
	struct pmd *pmd;
	uint32_t block;			/* sectors */
	struct pool_target *targets;	/* all tables that stand on it */
	struct pool_target *owner;	/* whose devices are used; NULL: nobody's any more */
	bool bound;			/* the owner was resumed once */
	enum pool_mode mode;
	struct pool_features f;
	uint64_t low_water;
	bool suspended, low_water_told, metadata_low_told;
	struct ndm_waitq resumed;	/* bios of thin devices while the pool is suspended */
	struct ndm_waitq room;		/* bios that found no data block */
	unsigned busy;			/* bios of thin devices that are being served */
	unsigned inflight;		/* those under way to the data device, from where the metadata said */
	struct ndm_waitq idle, landed;
	struct reserved *reserved;	/* data blocks that are being filled, and mapped to nothing yet */
	unsigned nreserved;
	uint64_t inserts;		/* how many mappings were added */
	uint64_t cursor;		/* where to look for a free data block */
	struct ndm_timer commit_timer, space_timer;
	struct crew tasks;		/* own ones */
};

int pool_find(struct pool_target *, bool *made) ndm_waits;	/* sets pt->pool, or ndm_error()s */
struct pool *pool_of_device(struct ndm_loop *, const struct ndm_store *);
void pool_hold(struct pool *);
void pool_drop(struct pool *) ndm_waits;
void pool_leave(struct pool_target *);
void pool_owner(struct pool *, struct pool_target *);
void pool_set_mode(struct pool *, enum pool_mode);
void pool_failed(struct pool *, const char *what, int err) ndm_waits;	/* with the lock */
int pool_commit(struct pool *) ndm_waits;			/* with the lock */
/*
 * The same after pool_flush_data() without the lock, so that others need not wait for the flush:
 * another one is done only where mappings were added since it began.
 */
int pool_flush_data(struct pool *, uint64_t *covers) ndm_waits;
int pool_commit_flushed(struct pool *, uint64_t covers) ndm_waits;
void pool_changed(struct pool *);				/* a commit within a second */
/* a data block that nobody else is given; -ENOSPC, or -EIO when the metadata failed */
int pool_reserve(struct pool *, struct reserved *) ndm_waits;
void pool_unreserve(struct pool *, struct reserved *);
void pool_stop(struct pool *) ndm_waits;			/* postsuspend */
struct ndm_store *pool_data(const struct pool *);
void pool_busy(struct pool *);
void pool_unbusy(struct pool *);
void pool_land(struct pool *);
void pool_wait_landed(struct pool *) ndm_waits;

/* message.c */
int pool_message(struct ndm_target *, unsigned argc, char **argv, struct ndm_str *) ndm_waits;
bool thin_id_parse(const char *, uint64_t *);

/* ---- thin devices ---- */

struct thin {
	struct ndm_target *ti;
	struct ndm_dev *pool_dev, *origin;
	struct pool *pool;
	struct thin_dev *td;
	uint64_t id, origin_sectors;
	uint64_t highest;		/* virtual block, for status; UINT64_MAX: none */
	bool status_failed;
};

/* a write that has no block, or a shared one; a virtual block at most; its range is locked */
int thin_provision(struct thin *, struct ndm_bio *, uint64_t virtual) ndm_waits;
/* parks the task until something about the pool changes; 0, or what to answer */
int thin_park(struct thin *, struct ndm_waitq *) ndm_waits;
int thin_origin_read(struct thin *, struct ndm_bio *) ndm_waits;
int thin_durable(struct thin *) ndm_waits;

#endif
