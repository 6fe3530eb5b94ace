/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raid.h - what the files of targets/raid/ share.
 *
 *	table.c      the words of a table, and their checks
 *	super.c      the superblock on a metadata device, as bytes
 *	assemble.c   superblocks and table together: which array is this, and may it run
 *	convert.c    another size, number of legs, shape, if the table wants it; takeover.c: level
 *	reshape.c    data moved to another layout, chunk or number of members, window by window
 *	bitmap.c     which regions may be out of sync, in memory and on the metadata devices
 *	geometry.c   where a sector lies; pure arithmetic
 *	parity.c     P and Q, and what is lost got back from them; pure arithmetic
 *	member.c     members that fail, and superblocks that are written
 *	copies.c     raid0, raid1, raid10: reads and writes
 *	behind.c     raid1: writes answered before write-mostly legs have them
 *	stripe.c     raid4, 5, 6: one piece of a stripe, its reads, its parity
 *	stripe-io.c  raid4, 5, 6: reads and writes
 *	journal.c    raid4, 5, 6: data and parity in a journal first; journal-replay.c
 *	sync.c       resync, recovery, check and repair; sync-copies.c, sync-stripe.c: one window
 *	status.c     the status and table lines;  life.c: the target
 *
 * Units: sectors of 512 bytes.  Three address spaces: that of the target ("array"), that of a
 * member (without its data offset), and "sync" sectors, which regions of the bitmap and the
 * progress of a resync count: members' sectors, but with raid10 the array's.
 */
#ifndef NDM_TARGETS_RAID_H
#define NDM_TARGETS_RAID_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/bytes.h"
#include "lib/kit/patient.h"

#define RAID_DISKS_MAX 253u
#define RAID_NONE UINT64_MAX		/* on disk, too: in sync, not reshaping */
struct raid_member;
/* of a bio: the member that its read has gone to, straight; the one that has failed it */
struct raid_fast { struct raid_member *member, *failed; };

#define RAID_PIECE 512u			/* longest piece of a member at once, sectors */

/* ---- words of a table (table.c) ---- */

enum raid_word {
	RAID_SYNC = 1 << 0, RAID_NOSYNC = 1 << 1, RAID_REBUILD = 1 << 2, RAID_DAEMON_SLEEP = 1 << 3,
	RAID_MIN_RATE = 1 << 4, RAID_MAX_RATE = 1 << 5, RAID_WRITE_BEHIND = 1 << 6,
	RAID_WRITE_MOSTLY = 1 << 7, RAID_STRIPE_CACHE = 1 << 8, RAID_REGION_SIZE = 1 << 9,
	RAID_COPIES = 1 << 10, RAID_FORMAT = 1 << 11, RAID_DELTA_DISKS = 1 << 12,
	RAID_DATA_OFFSET = 1 << 13, RAID_NEAR_SETS = 1 << 14, RAID_JOURNAL_DEV = 1 << 15,
	RAID_JOURNAL_MODE = 1 << 16,
};

/* layouts of raid10: near copies | far copies << 8 | these */
#define RAID10_OFFSET 0x10000
#define RAID10_FAR_SETS 0x40000

struct raid_type {
	const char *name;
	unsigned parity, min_disks;
	int level, layout;
};

const struct raid_type *raid_type_find(const char *name);
const struct raid_type *raid_type_of(int level, int layout);
const char *raid10_format_of(int layout);
static inline unsigned raid10_near(int layout) { return layout & 255; }
static inline unsigned raid10_far(int layout) { return layout >> 8 & 255; }
static inline unsigned raid10_copies(int layout)
{
	return raid10_near(layout) > raid10_far(layout) ? raid10_near(layout) : raid10_far(layout);
}

/* ---- superblock (super.c) ---- */

struct raid_super {
	uint32_t magic, compat, disks, position, level, layout, chunk, flags;
	uint32_t new_level, new_layout, new_chunk, incompat;
	int32_t delta_disks;
	uint64_t events, recovery_offset, resync_offset, reshape_position, array_sectors;
	uint64_t data_offset, new_data_offset, sectors;
	uint64_t failed[4];			/* 256 bits */
};

#define RAID_SUPER_MAGIC 0x64526D44u
#define RAID_SUPER_BYTES 148u
enum { RAID_SUPER_RESHAPE = 1, RAID_SUPER_BACKWARDS = 2 };

void raid_super_decode(const uint8_t *, struct raid_super *);
void raid_super_encode(uint8_t *, const struct raid_super *);

/* ---- geometry (geometry.c) ---- */

struct raid_geometry {
	int level, layout;
	unsigned disks, parity, chunk;		/* chunk 0: raid1 */
	uint64_t dev_sectors, array_sectors;
};

struct raid_copy {
	unsigned disk;
	uint64_t sector;			/* of the member */
};

/* raid0, 1, 10: where the copies of an array sector are; how many; *run: for so long */
unsigned raid_copies(const struct raid_geometry *, uint64_t sector, struct raid_copy *,
		     unsigned max, uint64_t *run);
/* the way back: which array sector lies there, or RAID_NONE */
uint64_t raid_copy_owner(const struct raid_geometry *, unsigned disk, uint64_t sector,
			 uint64_t *run);
/* raid10, 4, 5, 6: the members' rows that array sectors first .. end - 1 take, in whole chunks */
void raid_rows_of(const struct raid_geometry *, uint64_t first, uint64_t end, uint64_t *low,
		  uint64_t *high);
/* raid4, 5, 6: data disks first, then P, then Q; power[i]: of data i in Q */
void raid_stripe_roles(const struct raid_geometry *, uint64_t stripe, uint8_t *disk,
		       uint8_t *power);
/* how much of a resync there is: members' sectors, or with raid10 the array's */
uint64_t raid_total_of(const struct raid_geometry *);
uint64_t raid_size_of(const struct raid_geometry *);	/* array sectors, in whole chunks */
static inline unsigned raid_data_disks(const struct raid_geometry *g)
{
	return g->disks - g->parity;
}

/* ---- parity (parity.c) ---- */

/* data[i] NULL counts as zeroes; p or q may be NULL; bytes is a multiple of 64 */
void raid_parity_make(unsigned n, void *const *data, const uint8_t *power, void *p, void *q,
		      size_t bytes);
void raid_parity_add(unsigned n, void *const *delta, const uint8_t *power, void *p, void *q,
		     size_t bytes);
void raid_xor(void *to, const void *from, size_t bytes);
/*
 * Fills in the one or two missing data blocks from the others and P and Q; NULL where P or Q is
 * lost itself.  tmp: two blocks of memory.  0, or -EIO when that is not enough.
 */
int raid_parity_recover(unsigned n, void *const *data, const uint8_t *power, const unsigned *lost,
			unsigned nlost, const void *p, const void *q, void *tmp, size_t bytes);

/* ---- the array ---- */

struct raid_member {
	struct ndm_dev *meta, *data;		/* NULL: not there */
	bool faulty, in_sync, write_mostly, rebuild;
	bool first_use;				/* has no superblock of this array yet */
	bool unreadable;			/* its superblock could not be read */
	bool by_bitmap;				/* comes back: only dirty regions differ */
	uint64_t recovery_offset;		/* sectors that are in sync, from 0; NONE: all */
	uint64_t sectors;			/* as its superblock says */
	uint64_t data_offset, new_data_offset;	/* a reshape moves the data from one to the other */
	struct raid_super super;		/* as read */
	unsigned reads;				/* under way */
	uint64_t head;				/* where the last read ended */
};

struct raid_region { uint32_t writes : 24, dirty : 1, stable : 1, needed : 1, leaving : 1, age : 4; };

struct raid_bitmap {
	uint64_t region;			/* sectors, a power of 2 */
	uint64_t regions;
	struct raid_region *state;
	bool on_disk;
	uint8_t *image;				/* superblock and bits, whole pages */
	unsigned pages;
	bool *page_dirty;
	uint64_t events_cleared;
	unsigned daemon_sleep;			/* seconds, as on disk */
	uint64_t wanted, written;		/* generations of page writes */
	struct ndm_mutex writing;
	bool cleaning;				/* the worker is there */
	struct ndm_waitq kick;
	uint8_t *buffer;			/* one page on its way out */
	struct ndm_group *groups;		/* one for each member, under `writing` */
	struct iovec iov;
};

struct raid_write {				/* a write under way, raid1 and raid10 */
	uint64_t first, last;
	bool late;				/* answered already */
	struct raid_write *prev, *next;
};

enum raid_action { RAID_IDLE, RAID_RESYNC, RAID_RESHAPE, RAID_RECOVER, RAID_CHECK, RAID_REPAIR };

struct raid_syncer {
	enum raid_action action, requested, last;
	uint64_t completed;
	uint64_t mismatches;
	bool running;				/* the worker is there */
	bool interrupt;				/* it shall stop what it does */
	bool failed;				/* could not finish: not before somebody asks again */
	uint64_t checkpoint;
	struct ndm_waitq kick, idle;		/* the worker shall look up; it does nothing */
};

/* a request of a user on its way through an array that is reshaped */
struct raid_passage {
	uint64_t first, last;			/* array sectors */
	struct raid_passage *prev, *next;
};

/*
 * While it is active raid.geo is the new shape.  Array sectors below the position (backwards: from
 * the position on) lie in the new shape, the others in the old one.
 */
struct raid_reshape {
	bool active, backwards;
	struct raid_geometry old;
	uint64_t position;			/* as on disk, but while a window is being closed */
	uint64_t from, to;			/* where the position begins, and ends */
	uint64_t old_size;			/* array sectors that have data in the old shape */
	uint64_t unit;				/* array sectors: positions are multiples of it */
	uint64_t window_first, window_last;	/* users wait there; first > last: none */
	struct raid_passage passages;		/* head of a ring */
	struct ndm_waitq free, idle;
};

struct stripe_job;
struct copies_job;
struct raid_journal;

struct raid {
	struct ndm_target *ti;
	const struct raid_type *type;		/* as loaded */
	unsigned words;				/* enum raid_word */
	struct raid_geometry geo;		/* as it runs */
	int want_level, want_layout;		/* as the table has it */
	unsigned want_chunk;
	unsigned n;				/* members in the table; geo.disks may be others */
	struct raid_member *members;
	uint64_t want_region, region;		/* sectors */
	int copies10, delta_disks;
	uint64_t data_offset;
	int daemon_sleep, min_rate, max_rate, write_behind, stripe_cache;
	struct ndm_dev *journal;
	struct raid_journal *log;
	uint64_t usable;			/* array sectors in whole chunks */
	bool write_back;

	uint64_t want_array, want_dev;		/* sectors by the table */
	uint64_t events;
	uint64_t resync_offset;
	bool persistent, new_array, grow, update;	/* update: superblocks at the next resume */
	bool bitmap_anew;			/* after a takeover: all regions are new */
	bool preresumed, frozen, suspended, resumed;
	bool marked;				/* unclean; on disk from update `marked_at` on */
	uint64_t marked_at;
	unsigned degraded;

	struct raid_bitmap bitmap;
	struct raid_syncer sync;
	struct raid_reshape reshape;
	struct ndm_mutex supers;		/* being written */
	uint64_t supers_wanted, supers_written;

	/* raid0, 1, 10 */
	struct raid_write writes;		/* head of a ring */
	struct ndm_mutex window_lock;
	uint64_t window_first, window_last;	/* writes there wait; first > last: none */
	struct ndm_waitq window_free, window_idle;
	struct copies_job *copy_jobs;		/* idle ones */
	unsigned behind, behind_readers;	/* writes; who waits until there are none */
	unsigned behind_tasks;			/* those, and who still writes down what became of one */
	size_t behind_bytes;
	bool behind_settled;
	struct ndm_waitq behind_idle;

	/* raid4, 5, 6 */
	struct ndm_ranges rows;			/* in members' sectors */
	struct stripe_job *jobs;		/* idle ones */
};

/* table.c */
int raid_table_take(struct raid *, unsigned argc, char **argv) ndm_waits;
int raid_sizes_by_table(struct raid *, uint64_t sectors);

/* assemble.c, takeover.c */
int raid_assemble(struct raid *) ndm_waits;
int raid_convert(struct raid *);
int raid_takeover(struct raid *);

/* reshape.c */
int raid_reshape_begin(struct raid *, uint64_t position);	/* geo and reshape.old are there */
bool raid_reshape_room(const struct raid *);	/* between old and new data, at each position */
int raid_reshape_step(struct raid *) ndm_waits;
int raid_reshape_done(struct raid *) ndm_waits;
uint64_t raid_reshape_total(const struct raid *);	/* as the status line counts */
uint64_t raid_reshape_progress(const struct raid *);
int raid_reshape_io(struct raid *, struct ndm_bio *) ndm_waits;
static inline bool raid_in_old(const struct raid *r, uint64_t sector)
{
	const struct raid_reshape *s = &r->reshape;

	return s->active && (s->backwards ? sector < s->position : sector >= s->position);
}
static inline const struct raid_geometry *raid_geo(const struct raid *r, bool old)
{
	return old ? &r->reshape.old : &r->geo;
}
static inline unsigned raid_disks_most(const struct raid *r)
{
	return r->reshape.old.disks > r->geo.disks ? r->reshape.old.disks : r->geo.disks;
}
void raid_max_io(struct raid *);

/* bitmap.c */
int raid_bitmap_init(struct raid *);
void raid_bitmap_free(struct raid *);
int raid_bitmap_check(struct raid *) ndm_waits;	/* of a metadata device, before anything runs */
int raid_bitmap_load(struct raid *) ndm_waits;
int raid_bitmap_begin(struct raid *, uint64_t sector, uint64_t nr) ndm_waits;
void raid_bitmap_end(struct raid *, uint64_t sector, uint64_t nr);
void raid_bitmap_clean(struct raid *, bool all) ndm_waits;
int raid_bitmap_super(struct raid *) ndm_waits;	/* its superblock, with today's events */
bool raid_bitmap_needs(struct raid *, uint64_t sector, uint64_t *run);
bool raid_bitmap_dirty(struct raid *, uint64_t sector, uint64_t *run);
void raid_bitmap_synced(struct raid *, uint64_t first, uint64_t end);
void raid_bitmap_need_all(struct raid *);
int raid_bitmap_store(struct raid *) ndm_waits;	/* what has changed, to all metadata devices */
void raid_bitmap_need(struct raid *, uint64_t first, uint64_t end);
uint64_t raid_sync_total(const struct raid *);
static inline bool raid_bitmap_none(const struct raid *r) { return !r->bitmap.state; }

/* member.c */
bool raid_member_readable(const struct raid *, unsigned i, uint64_t sector, uint64_t nr);
static inline bool raid_member_alive(const struct raid *r, unsigned i)
{
	return i < r->n && r->members[i].data && !r->members[i].faulty;
}
unsigned raid_degraded(const struct raid *);
bool raid_shape_runs(const struct raid *, const struct raid_geometry *, unsigned without);
bool raid_may_run(const struct raid *, unsigned without);	/* enough members in sync */
/* may refuse to fail the last one; says whether it did */
bool raid_member_fail(struct raid *, unsigned i, const char *why);
/* until failures seen so far are in the superblocks of those that are left */
int raid_supers_update(struct raid *) ndm_waits;
int raid_supers_failed(struct raid *) ndm_waits;
int raid_flush_members(struct raid *) ndm_waits;
int raid_mark_unclean(struct raid *) ndm_waits;
void raid_owner_set(struct raid *, bool mine);
const struct raid *raid_owner(const struct raid *, unsigned i);	/* who has marked member i; NULL */
struct ndm_store *raid_store(const struct raid *, unsigned i);
/* old: of the shape that is left, while there are two */
uint64_t raid_member_sector(const struct raid *, unsigned i, uint64_t sector, bool old);

/* entries, as Linux would have them; here only a number that is checked and printed */
static inline unsigned raid_stripe_cache(const struct raid *r)
{
	unsigned least = r->geo.chunk / 2, n = (unsigned)r->stripe_cache;

	return n > least ? n : least;
}

/* copies.c */
enum ndm_map raid_copies_map(struct raid *, struct ndm_bio *);
int raid_copies_io(struct raid *, struct ndm_bio *, bool old) ndm_waits;
void copies_jobs_free(struct raid *);
struct copies_job {
	struct copies_job *next;
	bool old;
	unsigned n;
	struct raid_copy *copy;
	struct ndm_group *group;
	struct iovec *iov;
	bool *busy;
};
struct copies_job *copies_job_get(struct raid *, bool old, uint64_t sector,
				  uint64_t *run) ndm_waits;
void copies_job_put(struct raid *, struct copies_job *);
/* behind.c */
struct raid_late {				/* a write that some legs get later */
	struct raid *r;
	struct raid_write write;
	struct copies_job *job;
	struct ndm_bio bio;			/* with the copy of its data */
	struct iovec iov;
	uint8_t *buf;
	size_t bytes;
	uint64_t sector;			/* of the array */
};
/* NULL: all legs are waited for */
struct raid_late *raid_behind_begin(struct raid *, const struct ndm_bio *);
void raid_behind_written(struct raid_late *);	/* by all; frees it */
void raid_behind_end(struct raid *);
void raid_behind_drain(struct raid *) ndm_waits;
void raid_behind_wait(struct raid *) ndm_waits;
/* before superblocks say that the last other leg has failed */
void raid_behind_settle(struct raid *) ndm_waits;

/* the copy that the others are made from while they may differ; n: none */
unsigned raid_copies_source(const struct raid *, const struct copies_job *, uint64_t nr);
void raid_window_take(struct raid *, uint64_t first, uint64_t last) ndm_waits;
void raid_window_drop(struct raid *);
bool raid_sync_trusted(struct raid *, uint64_t sector, uint64_t nr);

/* stripe.c */
enum { SLOT_EMPTY, SLOT_FULL, SLOT_LOST };

struct stripe_job {
	struct stripe_job *next;
	struct raid *r;
	const struct raid_geometry *geo;
	bool old;
	uint64_t stripe;
	unsigned d, first, nr;			/* data disks; sectors within the chunk */
	uint8_t *memory;
	size_t bytes;				/* of it */
	uint8_t disk[RAID_DISKS_MAX + 3], power[RAID_DISKS_MAX + 3];
	uint8_t state[RAID_DISKS_MAX + 3];
	void **slot;				/* by role: d data, P, Q, two spare */
	void **list;
	struct iovec *iov;
	struct ndm_group *group;
	bool *busy;
};

struct stripe_job *stripe_job_get(struct raid *, bool old, uint64_t stripe, unsigned first,
				  unsigned nr) ndm_waits;
void stripe_job_put(struct stripe_job *);
void stripe_jobs_free(struct raid *);
unsigned stripe_piece_max(const struct raid *);
bool stripe_readable(struct stripe_job *, unsigned role);
void stripe_read(struct stripe_job *, unsigned role);	/* starts it; stripe_wait() ends it */
void stripe_write(struct stripe_job *, unsigned role, unsigned flags);
void stripe_write_bio(struct stripe_job *, unsigned role, struct ndm_bio *, uint64_t skip);
/* roles that failed become LOST; the number of them */
unsigned stripe_wait(struct stripe_job *) ndm_waits;
int stripe_wait_writes(struct stripe_job *) ndm_waits;
/* all data of the piece, read or got back; with `rewrite` unreadable blocks are written again */
int stripe_fetch(struct stripe_job *, bool rewrite) ndm_waits;
void stripe_compute(struct stripe_job *, void *p, void *q);
void stripe_store_from(struct stripe_job *, unsigned role, void *memory, unsigned flags);
size_t stripe_bytes(const struct stripe_job *);

/* stripe-io.c */
enum ndm_map raid_stripe_map(struct raid *, struct ndm_bio *);
int raid_stripe_io(struct raid *, struct ndm_bio *, bool old) ndm_waits;
/* array sectors of one chunk of that shape, from a member or from what the others have */
int raid_stripe_read(struct raid *, bool old, uint64_t sector, uint64_t nr, void *) ndm_waits;

/* sync.c */
void raid_sync_start(struct raid *);
void raid_sync_kick(struct raid *);
int raid_sync_message(struct raid *, unsigned argc, char **argv) ndm_waits;
bool raid_sync_stop(const struct raid *);
/* one window; `first` and the answer in *did are sectors of the action's space */
int raid_sync_copies(struct raid *, uint64_t first, uint64_t *did) ndm_waits;
int raid_sync_stripes(struct raid *, uint64_t first, uint64_t *did) ndm_waits;

/* status.c */
void raid_status(struct ndm_target *, enum ndm_status, unsigned flags, struct ndm_str *);
extern const struct ndm_arg raid_args[], raid_status_fields[];
extern const struct ndm_meta raid_metas[];

#endif
