/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h - what the files of the three snapshot targets share.
 *
 *	exceptions.c	which chunks of the origin have a copy, and where (in memory)
 *	store.c		the exception stores: what they are called, chunk sizes, room
 *	persistent.c	store P: the format on the COW device
 *	cow.c		making an exception: allocate, copy, commit, in that order
 *	origins.c	all snapshots of one origin, on whatever devices
 *	memory.c	what goes to another process (ndmd --takeover)
 *	snapshot.c, origin.c, merge.c	the targets
 *
 * A chunk is chunk_sectors long, a power of two.  "Old" numbers count chunks of the origin,
 * "new" numbers those of the COW device.
 */
#ifndef NDM_TARGETS_SNAPSHOT_H
#define NDM_TARGETS_SNAPSHOT_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/patient.h"

/* ---- exceptions: a hash from old to new ---- */

struct exception { uint64_t old_chunk, new_chunk; struct exception *next; };
struct exceptions { struct exception **buckets; size_t nbuckets, n; };

const struct exception *exceptions_find(const struct exceptions *, uint64_t old_chunk);
int exceptions_add(struct ndm_loop *, struct exceptions *, uint64_t old_chunk,
		   uint64_t new_chunk) ndm_waits;
void exceptions_remove(struct exceptions *, uint64_t old_chunk);
void exceptions_free(struct exceptions *);

/* ---- exception stores ---- */

struct pstore;				/* persistent.c */

struct store {
	struct ndm_loop *loop;
	struct ndm_dev *cow;
	char type;			/* 'P' or 'N' */
	bool overflow;			/* PO */
	unsigned chunk_sectors;		/* 0: to be known later */
	uint64_t next_free;		/* new chunk; N: the next one, P: behind all taken */
	struct pstore *p;		/* P only */
};

/* argv: type, chunk; sets why with ndm_error */
int store_create(struct ndm_target *, struct ndm_dev *origin, struct ndm_dev *cow,
		 const char *type, const char *chunk, struct store *);
const char *chunk_size_bad(const struct ndm_dev *origin, const struct ndm_dev *cow, uint64_t chunk);
void store_free(struct store *);
/* the next chunk in order of arrival; -ENOSPC */
int store_allocate(struct store *, uint64_t *new_chunk);
/*
 * Makes the exception durable (P) and returns when it is.  Callers come in the order of
 * allocation; good == false: the copy failed, which makes the store invalid.
 */
int store_commit(struct store *, uint64_t old_chunk, uint64_t new_chunk, bool good) ndm_waits;
int store_invalidate(struct store *) ndm_waits;
void store_usage(const struct store *, uint64_t *allocated, uint64_t *total, uint64_t *metadata);

/* persistent.c.  read: 0, 1 = marked invalid, -errno; `add` is called for each exception. */
int pstore_new(struct store *);
void pstore_free(struct pstore *);
int pstore_read(struct ndm_target *, struct ndm_dev *origin, struct store *,
		struct exceptions *) ndm_waits;
void pstore_promise(struct store *);	/* a chunk was allocated: a commit will come */
int pstore_commit(struct store *, uint64_t old_chunk, uint64_t new_chunk, bool good) ndm_waits;
int pstore_invalidate(struct store *) ndm_waits;
uint64_t pstore_metadata_chunks(const struct store *);
/* how many chunks, counted back from *old, *new, go back in one step; 0: all is merged */
int pstore_merge_next(struct store *, uint64_t *old_chunk, uint64_t *new_chunk) ndm_waits;
int pstore_merged(struct store *, unsigned chunks) ndm_waits;

/* ---- a snapshot ---- */

struct origin;				/* origins.c */

struct pending {			/* an exception that is being made */
	uint64_t old_chunk;
	struct pending *next;
	struct ndm_waitq done;
};

struct tracked {			/* per bio: it uses a chunk where it was before */
	uint64_t chunk;
	struct tracked *next, *prev;
	bool on;
};

struct snap {
	struct ndm_target *ti;
	struct ndm_dev *origin_dev, *cow;
	struct origin *origin;
	struct snap *next;		/* of the same origin */
	struct store store;
	struct exceptions exceptions;
	struct pending *pending;
	struct tracked *tracked;	/* reads of the origin; when merging: writes to the COW */
	struct ndm_waitq drained;	/* a tracked bio has ended */
	uint64_t allocated, committed;	/* exceptions: their order */
	struct ndm_waitq turn;
	bool valid, overflowed;
	bool active;			/* resumed once: origin writes copy out */
	bool running;			/* not suspended */
	bool is_merge, merge_failed;
	bool discard_zeroes_cow, discard_passdown_origin;
	bool handover;			/* takes over from another table at resume */
	unsigned users;			/* tasks of others that are inside */
	struct ndm_waitq unused;
	uint64_t merging_first, merging_n;	/* old chunks on their way back */
	struct ndm_waitq merged;
};

uint64_t snap_chunk(const struct snap *, uint64_t sector);
extern const struct ndm_meta snap_metas[];
/*
 * 0 when the chunk has its exception now; -EIO when the snapshot is, or becomes, invalid.
 * data: a bio that covers the whole chunk and is written instead of a copy; 1 = somebody else
 * made the exception meanwhile, so the bio is still to be written.
 */
int snap_ensure(struct snap *, uint64_t chunk, const struct ndm_bio *data) ndm_waits;
/* the same, because the origin's chunk will be overwritten: no room makes it invalid */
int snap_ensure_for_origin(struct snap *, uint64_t chunk) ndm_waits;
void snap_invalidate(struct snap *, const char *why) ndm_waits;
void snap_track(struct snap *, struct ndm_bio *, uint64_t chunk);
void snap_untrack(struct snap *, struct ndm_bio *);
void snap_wait_untracked(struct snap *, uint64_t chunk) ndm_waits;
enum ndm_map snap_remap(struct snap *, const struct exception *, struct ndm_bio *);

/* shared by snapshot and snapshot-merge (snapshot.c) */
int snap_ctr(struct ndm_target *, unsigned argc, char **argv);
void snap_dtr(struct ndm_target *);
int snap_preresume(struct ndm_target *);
void snap_resume(struct ndm_target *);
void snap_status(struct ndm_target *, enum ndm_status, unsigned flags, struct ndm_str *);
enum ndm_endio snap_end_io(struct ndm_target *, struct ndm_bio *);
/* memory.c */
int snap_recall(struct ndm_target *, struct ndm_str *);
int snap_remember(struct ndm_target *, const char *, size_t bytes) ndm_waits;
extern const struct ndm_arg snap_args[], snap_status_fields[];

/* ---- origins ---- */

struct origin *origin_get(struct ndm_loop *, const struct ndm_dev *);
void origin_put(struct origin *);
int origin_add(struct origin *, struct snap *);
void origin_remove(struct origin *, struct snap *);
void origin_resort(struct origin *);
struct snap *origin_snaps(struct origin *);
struct snap *origin_merging(struct origin *);
/* another table's snapshot on the same COW device, or NULL; *n = how many there are */
struct snap *origin_pair(struct origin *, const struct snap *, unsigned *n);
/* true: no active snapshot lacks a chunk of the range */
bool origin_ready(struct origin *, uint64_t sector, uint64_t nr, const struct snap *except);
/* makes it so; returns when the range may be overwritten */
void origin_copy_out(struct origin *, uint64_t sector, uint64_t nr, const struct snap *except) ndm_waits;

#endif
