/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-target.h - everything the author of a target (or of a store) may call.
 *
 * Units: a sector is always 512 bytes; `sector` and `nr` count sectors; whatever counts
 * bytes says so.  Times are nanoseconds (`_ns`).
 *
 * Errors: 0 or -errno.  The first error of a bio wins.  A constructor that refuses says why
 * in words with ndm_error().
 *
 * Threads: everything here is called by whoever runs the loop of the device at that moment,
 * and by nobody else at the same time; targets need no locks of the operating system.  A
 * task may continue on another OS thread after a wait, so keep no thread-local across one.
 *
 * Waiting: functions marked ndm_waits may only be called from a task (ctr, dtr, io, message,
 * presuspend, postsuspend, preresume, resume and workers run in tasks).  map, end_io and
 * status may never wait; the core asserts it.
 *
 * Names and meanings follow <linux/device-mapper.h> of Linux 6.12 wherever the kernel has a
 * word for the thing.
 */
#ifndef NDM_TARGET_H
#define NDM_TARGET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ndm_waits			/* on a prototype: may wait, so only in a task */
#define ndm_printf_like(f, a) __attribute__((format(printf, f, a)))

#define NDM_SECTOR_SHIFT 9
#define NDM_SECTOR_BYTES 512u

struct ndm_bio;
struct ndm_dev;
struct ndm_device;
struct ndm_extents;
struct ndm_loop;
struct ndm_store;
struct ndm_str;
struct ndm_table;
struct ndm_target;
struct ndm_task;

/* ---- bio: one request going down; it ends exactly once coming up ---- */

enum ndm_op {
	NDM_READ,
	NDM_WRITE,
	NDM_FLUSH,		/* nr == 0, no data: everything completed before is made durable */
	NDM_DISCARD,		/* contents become undefined; may do nothing */
	NDM_ZEROES,		/* reads as zeroes afterwards */
	NDM_EXTENTS,		/* block status: answers go to bio->extents */
	NDM_CACHE,		/* a hint: will be read soon; may do nothing */
};
#define NDM_OPS (NDM_CACHE + 1)

enum ndm_bio_flags {
	NDM_FUA = 1,		/* WRITE, DISCARD, ZEROES: durable before it ends */
	NDM_PREFLUSH = 2,	/* only hosts set it; the core turns it into FLUSH, then WRITE */
	NDM_NOUNMAP = 4,	/* ZEROES: allocate, do not punch */
	NDM_META = 8,		/* metadata of a target */
	NDM_FAST = 16,		/* ZEROES: -EOPNOTSUPP at once where it is no faster than writing */
};

/* A window on the caller's memory, never a copy.  `skip` bytes come before the window. */
struct ndm_data {
	const struct iovec *iov;
	unsigned iovcnt;
	size_t skip;
};

/*
 * Metadata that travels beside the data: `each` bytes for every `sectors` sectors, in order.
 * Only stores whose limits say so have any; READ fills it, WRITE takes it.
 */
struct ndm_tags {
	uint8_t *bytes;
	uint16_t each, sectors;
};

/*
 * READ without a copy.  Who asks with a loan may get a look at the store's own memory instead
 * of data: then `at` is set when the bio ends, the window of data is untouched, and the look
 * is good until the host calls ndm_loop_end().  Where fd is not -1 the bytes are those of that
 * file at that offset; only system calls may look at them (another program may make the file
 * shorter).  A later write may show in what was lent, as it may in any read that is still
 * under way.
 */
struct ndm_loan {
	const void *at;				/* NULL: nothing was lent */
	int fd;
	uint64_t offset;			/* bytes */
};

/*
 * WRITE whose data is not in memory yet, but can be put anywhere at once: a store that takes it
 * calls take() once, within submit, and `data` is empty.  taken: something has been consumed.
 * Who does not know sources ends the bio with an error and leaves it alone.
 */
struct ndm_source {
	int (*take)(struct ndm_source *, void *to, size_t bytes);	/* 0 or -errno */
	bool taken;
};

/*
 * WRITE whose data lies in memory that can be had for longer than the bio lives: whoever wants to
 * keep some of it counts itself in, and out when it is done, on the loop of the bio.  Nobody
 * changes the bytes as long as anybody is counted.  To keep a little keeps all of it, so who
 * keeps much of many shares notes here which it has.
 */
struct ndm_share {
	const void *at;
	size_t bytes;
	unsigned refs;
	void (*free)(struct ndm_share *);	/* the last one has gone */
	void *keeper;				/* NULL: nobody's */
	unsigned kept;				/* parts, by the keeper */
};

static inline void ndm_share_put(struct ndm_share *s)
{
	if (--s->refs == 0)
		s->free(s);
}

struct ndm_bio {
	uint8_t op;				/* enum ndm_op */
	uint8_t copy;				/* which of num_flush/num_discard/num_zeroes copies */
	uint16_t flags;				/* enum ndm_bio_flags */
	int error;				/* 0 or -errno, the first one */
	struct ndm_store *store;		/* who gets it next */
	uint64_t sector, nr;
	struct ndm_data data;
	struct ndm_tags tags;			/* bytes == NULL: none wanted */
	struct ndm_loan *loan;			/* READ: NULL, or who asks may be lent the data */
	struct ndm_source *source;		/* WRITE: NULL, or where the data is to be had */
	struct ndm_share *share;		/* WRITE: NULL, or where data may lie: look at its `at` */
	struct ndm_extents *extents;		/* NDM_EXTENTS: the collector */
	uint64_t origin;			/* NDM_EXTENTS: this sector in the collector's space */
	void (*done)(struct ndm_bio *);		/* called once, never waits */
	void *owner;				/* belongs to whoever set done */

	/* the rest belongs to whoever holds the bio now: the core, a store */
	struct ndm_bio *next;			/* queue link of the holder */
	struct ndm_target *target;		/* clones made by a device: of which target */
	struct ndm_bio *parent;
	uint64_t device_sector;			/* clones: where in the mapped device, for requeue */
	uint32_t pending;			/* clones not yet ended, plus one while splitting */
	uint8_t held;				/* the core's: counted in the device's in_flight */
	uint8_t folded;				/* clones: how many devices it has passed as it is */
	bool stats_merged;			/* clones: dm-stats */
	uint64_t start_ns;			/* accounting */
	uint64_t stats_ns;			/* clones: dm-stats, when it began; 0 = not counted */
};

/* For stores: whether a READ that ends now may be answered with a loan. */
bool ndm_may_lend(const struct ndm_loop *);
/* Sends a bio to bio->store.  Never waits, never recurses deeper than one level. */
void ndm_submit(struct ndm_bio *);
/* The holder's last word on a bio: calls bio->done.  Nobody keeps a pointer after it. */
void ndm_end(struct ndm_bio *, int error);
/* One of bio->pending parts has ended; the last one ends the bio, with the first error. */
void ndm_end_part(struct ndm_bio *, int error);
/*
 * A slice of a bio, `skip` sectors from its start, `nr` long, sharing its data.  It must end
 * before its source does.  Give it done, owner, store and sector; free it with ndm_bio_put()
 * when it has ended.
 */
struct ndm_bio *ndm_clone(struct ndm_loop *, const struct ndm_bio *, uint64_t skip, uint64_t nr);
struct ndm_bio *ndm_bio_get(struct ndm_loop *);		/* an empty one */
void ndm_bio_put(struct ndm_loop *, struct ndm_bio *);
/* per_bio_size bytes that belong to the target while it holds a clone (NDM_PER_BIO_MAX at most) */
void *ndm_per_bio(struct ndm_bio *);
#define NDM_PER_BIO_MAX 192

/* Data windows.  Lengths in bytes. */
struct ndm_data ndm_data_skip(struct ndm_data, size_t bytes);
/* The window as at most max plain pieces; returns how many, *done_bytes how far they reach. */
unsigned ndm_data_iov(const struct ndm_data *, size_t bytes, struct iovec *, unsigned max,
		      size_t *done_bytes);
void ndm_data_from(const struct ndm_data *, size_t bytes, void *to);	/* gather */
void ndm_data_to(const struct ndm_data *, size_t bytes, const void *from);	/* scatter */
void ndm_data_zero(const struct ndm_data *, size_t bytes);
/* One plain pointer to the window's bytes where it is contiguous, else NULL. */
void *ndm_data_flat(const struct ndm_data *, size_t bytes);

/* ---- block status ---- */

enum { NDM_EXTENT_HOLE = 1, NDM_EXTENT_ZERO = 2 };	/* as NBD's base:allocation */

/* Says that [sector, sector + nr) *of this bio's own space* is of that type. */
void ndm_extent_add(struct ndm_bio *, uint64_t sector, uint64_t nr, unsigned type);

/*
 * What a target tells of its sectors besides: the NBD metadata context "ndm:NAME".  Types that
 * offer the same name mean the same by it.  Sectors of other targets have the value 0.  An array
 * of these ends with an entry whose name is NULL.
 */
struct ndm_meta {
	const char *name;
	const char *help;			/* what the values say, one sentence */
	/*
	 * The value at a sector of the device; returns for how many sectors from there on it
	 * holds, 1 to nr, and rather fewer than it could than look at thousands of things.
	 * Never waits.  May be asked before the first resume and while suspended.
	 */
	uint64_t (*value)(struct ndm_target *, uint64_t sector, uint64_t nr, uint32_t *value);
};

/* ---- store: the only thing below a target ---- */

enum { NDM_OPEN_READ = 1, NDM_OPEN_WRITE = 2 };

struct ndm_limits {
	uint32_t logical_block_bytes;		/* power of 2, 512 or more */
	uint32_t physical_block_bytes;
	uint32_t io_min_bytes, io_opt_bytes;	/* hints; 0 = none */
	uint64_t max_sectors;			/* longest READ/WRITE taken at once; 0 = any */
	uint64_t max_discard_sectors;		/* longest DISCARD; 0 = not supported */
	uint64_t max_zeroes_sectors;		/* longest ZEROES; 0 = not supported */
	uint32_t discard_granularity_bytes;	/* 0 = none */
	uint16_t tag_bytes, tag_sectors;	/* keeps metadata: bio->tags; 0 = none */
	bool read_only;
	bool fua;				/* honours NDM_FUA itself */
	bool fast_zeroes;			/* NDM_FAST can be honoured */
	bool extents;				/* answers NDM_EXTENTS */
	bool cache;				/* NDM_CACHE has an effect, or needs none */
	bool rotational;
	bool volatile_cache;			/* FLUSH has a meaning */
};

/*
 * A store whose other side may go away and come back (nbd).  While it is down every bio ends
 * with -ENOTCONN at once; it is tried again and again by itself.
 */
struct ndm_link_watch {
	/* on the store's loop, after each change; may submit, but not close the store */
	void (*fn)(struct ndm_link_watch *, struct ndm_store *, bool up);
	struct ndm_link_watch *next;
};

struct ndm_link_ops {
	void (*watch)(struct ndm_store *, struct ndm_link_watch *);
	void (*unwatch)(struct ndm_store *, struct ndm_link_watch *);
	bool (*up)(const struct ndm_store *);
	/* what it said when it last went down or could not be made; "" when it never did */
	const char *(*why)(const struct ndm_store *);
	/* gives the connections up, as if the other side had: what is in flight ends */
	void (*reset)(struct ndm_store *, const char *why);
	/* whether there are writes that no flush has covered */
	bool (*dirty)(const struct ndm_store *);
	/* who asks has seen to what was lost: the next FLUSH need not say -EIO for it */
	void (*settled)(struct ndm_store *);
};

struct ndm_store_ops {
	const char *scheme;			/* "file", "nbd", "mem", "dev", "sim" */
	/*
	 * Opens what `spec` names.  On failure returns -errno and says why in `why`, one
	 * sentence without a full stop ("No such file or directory" needs no repeating: give
	 * what strerror cannot know).  May wait.
	 */
	int (*open)(struct ndm_loop *, const char *spec, unsigned mode, struct ndm_store **,
		    struct ndm_str *why) ndm_waits;
	void (*submit)(struct ndm_store *, struct ndm_bio *);
	void (*close)(struct ndm_store *) ndm_waits;
	const struct ndm_link_ops *link;	/* NULL: cannot be lost */
	bool takes_sources;			/* knows bio->source */
	/* looks whether it has become larger meanwhile, and sets nr then; NULL: never does */
	void (*grow)(struct ndm_store *) ndm_waits;
};

struct ndm_store {
	const struct ndm_store_ops *ops;
	struct ndm_loop *loop;
	uint64_t nr;				/* size */
	struct ndm_limits limits;
	uint32_t major, minor;			/* real, mapped (253) or virtual device number */
	unsigned refs;				/* the core's */
	uint64_t identity[2];			/* stores that are the same thing have the same */
	char *name;				/* the text by which it was named; the core frees it */
	bool writable;				/* the core's: the mode it was asked for */
	struct ndm_store *next;			/* the core's: open stores of the loop */
};

/* ---- target type ---- */

enum ndm_map {
	NDM_MAP_REMAPPED,	/* store and sector are set: send it on */
	NDM_MAP_SUBMITTED,	/* the target owns it and will end it (or has) */
	NDM_MAP_WAIT,		/* call io() in a task */
	NDM_MAP_REQUEUE,	/* not now: keep it for the next table (noflush suspend only) */
	NDM_MAP_KILL,		/* -EIO */
};

enum ndm_endio {
	NDM_ENDIO_DONE,		/* goes up with bio->error */
	NDM_ENDIO_INCOMPLETE,	/* the target has taken it again and will end it later */
	NDM_ENDIO_REQUEUE,
};

enum ndm_status { NDM_STATUS_INFO, NDM_STATUS_TABLE };
enum { NDM_STATUS_NOFLUSH = 1, NDM_STATUS_SHOWKEYS = 2 };

enum ndm_target_features {
	NDM_TARGET_SINGLETON = 1,	/* only as the one target of a table */
	NDM_TARGET_ALWAYS_WRITABLE = 2,	/* refused in a read-only table */
	NDM_TARGET_IMMUTABLE = 4,	/* may not be replaced by another type */
	NDM_TARGET_WILDCARD = 8,	/* may replace an immutable one (error) */
	NDM_TARGET_FLUSH_BYPASS = 16,	/* one flush per device will do (linear, striped) */
	NDM_TARGET_OURS = 32,		/* not known to the kernel */
	NDM_TARGET_OWN_SIZE = 64,	/* a line of length 0: the constructor sets ti->nr */
	NDM_TARGET_LENDS = 256,		/* READ and WRITE are only remapped (or ended, without devs) */
	/* a READ that map() remaps shows what is below as it is, until the next task runs: a loan will do */
	NDM_TARGET_LENDS_READS = 512,
	NDM_TARGET_FORMATS = 128,	/* ctr may have to write: not built for trial (ndmd --check) */
};

/*
 * What a target's arguments are called and how they are written: one table per target, from
 * which come YAML, --explain, JSON Schema, named status fields and the manual's synopsis.
 * Arrays end with an entry whose name is NULL.
 */
enum ndm_arg_kind {
	NDM_ARG_U64 = 1,	/* a plain number */
	NDM_ARG_SECTORS,	/* a size; printed in sectors; suffixes in YAML */
	NDM_ARG_BYTES,		/* a size; printed in bytes; suffixes in YAML */
	NDM_ARG_MS,		/* milliseconds */
	NDM_ARG_SECONDS,
	NDM_ARG_TEXT,		/* one word */
	NDM_ARG_WORD,		/* one of choices */
	NDM_ARG_HEX,		/* hexadecimal bytes */
	NDM_ARG_DEVICE,		/* a backing or mapped device */
	NDM_ARG_CONST,		/* literal text `dflt`; nothing in YAML */
	NDM_ARG_COUNT,		/* how many items the list called `of` has; nothing in YAML */
	NDM_ARG_LIST,		/* `sub`, once for each item */
	NDM_ARG_GROUP,		/* `sub`, once, or left out as a whole when OPTIONAL */
	NDM_ARG_FEATURES,	/* number of words that follow, then any of `sub` */
	NDM_ARG_FLAG,		/* within FEATURES: the word alone; true/false in YAML */
	NDM_ARG_KEYED,		/* within FEATURES: the word, then the values of `sub` */
};

enum {
	NDM_ARG_OPTIONAL = 1,	/* trailing; left out with all that come after it */
	NDM_ARG_SECRET = 2,	/* never shown without --showkeys */
	NDM_ARG_TRIM = 4,	/* FEATURES: nothing at all is printed when there are none */
	NDM_ARG_COLON = 8,	/* KEYED: one word in a table, name:value:value;
				   TEXT: may be a mapping of one of choices, {name: value} */
};

struct ndm_arg {
	const char *name;		/* the kernel documentation's word; the YAML key */
	enum ndm_arg_kind kind;
	unsigned flags;
	const char *dflt;		/* default in YAML, as table text; NULL = must be given */
	const struct ndm_arg *sub;
	const char *of;			/* COUNT: name of the list */
	const char *const *choices;	/* WORD: ends with NULL */
	const char *help;		/* one sentence, for the manual */
};

/* ---- what targets count for metrics (lib/counters.c) ---- */

enum ndm_counter_kind {
	NDM_COUNT_FAULTS,		/* injected ones; what: their class */
	NDM_COUNT_CORRUPTIONS,		/* blocks that were found not to be what they should */
	NDM_PATH_LATENCY,		/* of late, in ns; what: the path's device */
};
struct ndm_counters;
/* group: of a path; else 0 */
void ndm_counter_put(struct ndm_counters *, enum ndm_counter_kind, const char *what, unsigned group,
		     uint64_t value);

/*
 * What of a target's private data outlives its process (ndmd --takeover): numbers and flags that
 * no table and no disk has.  An array of these ends with an entry whose name is NULL.
 */
struct ndm_keep { const char *name; size_t offset, bytes; };	/* bytes: 1 (a bool), 4 or 8 */
#define NDM_KEEP(type, field) { #field, offsetof(type, field), sizeof ((type *)0)->field }

struct ndm_target_type {
	const char *name;
	unsigned version[3];
	unsigned features;			/* enum ndm_target_features */
	size_t private_size;
	const struct ndm_arg *args;		/* table line */
	const struct ndm_arg *status_fields;	/* status line, same language */
	const char *summary;			/* one sentence, for the manual */

	/* may refuse with ndm_error(); the core frees private, devices, after dtr */
	int (*ctr)(struct ndm_target *, unsigned argc, char **argv) ndm_waits;
	/* called for every target whose ctr succeeded; optional */
	void (*dtr)(struct ndm_target *) ndm_waits;
	/* fast path; NULL = every bio goes to io */
	enum ndm_map (*map)(struct ndm_target *, struct ndm_bio *);
	/* slow path, a task of its own per bio; the result ends the bio */
	int (*io)(struct ndm_target *, struct ndm_bio *) ndm_waits;
	enum ndm_endio (*end_io)(struct ndm_target *, struct ndm_bio *);
	/*
	 * Before the status (INFO) is asked for: what may wait, such as a commit that makes its
	 * numbers right, unless flags say NDM_STATUS_NOFLUSH; optional.
	 */
	void (*prestatus)(struct ndm_target *, unsigned flags) ndm_waits;
	/* the core has printed "start len name "; print what follows */
	void (*status)(struct ndm_target *, enum ndm_status, unsigned flags, struct ndm_str *);
	/* 0, 1 (a text was printed into the string), or -errno */
	int (*message)(struct ndm_target *, unsigned argc, char **argv, struct ndm_str *) ndm_waits;
	void (*presuspend)(struct ndm_target *) ndm_waits;
	void (*presuspend_undo)(struct ndm_target *) ndm_waits;
	void (*postsuspend)(struct ndm_target *) ndm_waits;
	int (*preresume)(struct ndm_target *) ndm_waits;
	void (*resume)(struct ndm_target *) ndm_waits;
	void (*io_hints)(struct ndm_target *, struct ndm_limits *);
	const struct ndm_meta *metas;		/* NULL: none */
	/* what it has counted besides its status line, for metrics; never waits; optional */
	void (*counters)(struct ndm_target *, struct ndm_counters *);
	const struct ndm_keep *keeps;		/* NULL: none */
	/*
	 * What is kept besides, of any length: recall prints it, of a target that is suspended and
	 * will not be resumed; remember is given it, by a fresh target of the same table before its
	 * first resume, when `keeps` are there already.  Both may refuse with ndm_error(); optional.
	 */
	int (*recall)(struct ndm_target *, struct ndm_str *) ndm_waits;
	int (*remember)(struct ndm_target *, const char *, size_t bytes) ndm_waits;
};

/* A device used by a target; belongs to the core, lives as long as the target. */
struct ndm_dev {
	struct ndm_store *store;
	const char *name;			/* as it is printed in tables: text, or 253:N */
	uint64_t start, nr;			/* the section used */
	unsigned mode;
	struct ndm_dev *next;
};

struct ndm_target {
	const struct ndm_target_type *type;
	struct ndm_table *table;
	struct ndm_device *device;
	struct ndm_loop *loop;
	uint64_t begin, nr;			/* its segment of the table */
	bool writable;				/* false in a read-only table */
	void *private_data;			/* private_size zeroed bytes */
	struct ndm_dev *devs;

	/* set by ctr */
	uint8_t num_flush, num_discard, num_zeroes;	/* copies wanted; 0 = none */
	bool request_based;			/* as the kernel's: a device may not change between
						 * this and bio based after its first table */
	bool discards_supported;		/* whatever the devices below say */
	bool zeroes_supported;			/* likewise */
	bool extents;				/* map knows NDM_EXTENTS; else: "data" */
	bool extents_whole;			/* EXTENTS are not split at max_io */
	uint64_t max_io;			/* split at multiples of it from begin; 0 = none */
	uint64_t max_discard;			/* longest discard; 0 = max_io's rule does not apply */
	size_t per_bio_size;
	struct ndm_str *error;			/* what ndm_error() said */

	/* the core's */
	bool constructed, stopping;
	unsigned workers;
};

/*
 * ndm_end(bio, NDM_GIVE_BACK) for a bio that the target had kept (SUBMITTED): the same as
 * REQUEUE, it goes to the next table; outside a noflush suspend it fails with -EIO.
 */
#define NDM_GIVE_BACK (-85)		/* -ERESTART, which no store uses */

/* Says why, and returns err: `return ndm_error(ti, -EINVAL, "Invalid device sector");` */
int ndm_error(struct ndm_target *, int err, const char *fmt, ...) ndm_printf_like(3, 4);

/*
 * Opens the device that `path` names (a path, mem:SIZE, an NBD URI, /dev/mapper/NAME, 253:N,
 * dev:NAME) and records the section used: the core checks sizes, stacks limits, answers
 * deps, and puts the reference.  On failure says "Device lookup failed"-like words of its
 * own into ti->error only if the target says nothing: call ndm_error() after it with the
 * kernel's sentence and the core appends the reason.
 */
int ndm_get_dev(struct ndm_target *, const char *path, uint64_t start, uint64_t nr,
		struct ndm_dev **) ndm_waits;
/* the same for a device that is only read, whatever the table's mode */
int ndm_get_dev_mode(struct ndm_target *, const char *path, unsigned mode, uint64_t start,
		     uint64_t nr, struct ndm_dev **) ndm_waits;
/*
 * Which of the target's devices a text in a message names, however it is written; NULL when it
 * is none of them.  -ENOENT and the like: there is no such device at all.
 */
int ndm_dev_find(struct ndm_target *, const char *path, struct ndm_dev **) ndm_waits;
/* The device whose table this target is in, as others see it: to be known by them. */
const struct ndm_store *ndm_own_store(const struct ndm_target *);
/* Has it become larger since it was opened?  A load asks that of all devices by itself. */
void ndm_dev_grow(struct ndm_dev *) ndm_waits;
/* corrects the section when it is known only later in ctr */
void ndm_dev_section(struct ndm_dev *, uint64_t start, uint64_t nr);

static inline uint64_t ndm_offset(const struct ndm_target *t, uint64_t sector)
{
	return sector - t->begin;
}

static inline enum ndm_map ndm_remap(struct ndm_bio *b, const struct ndm_dev *d, uint64_t sector)
{
	b->store = d->store;
	b->sector = sector;
	return NDM_MAP_REMAPPED;
}

/* Raises an event of the device: event_nr counts up, waiters wake.  Never waits. */
void ndm_event(struct ndm_target *);
/* A device is being suspended without flushing: queued bios may be given back (REQUEUE). */
bool ndm_noflush_suspending(const struct ndm_target *);
/* Own task of a target (resync, commit); presuspend waits until it returns. */
void ndm_worker(struct ndm_target *, const char *name, void (*fn)(void *), void *arg);
bool ndm_stopping(const struct ndm_target *);

/*
 * A pointer that all users of one thing on the loop share (slots.c): `kind` is a literal,
 * `identity` that of a store.  NULL when there is no memory.
 */
void **ndm_slot(struct ndm_loop *, const char *kind, const uint64_t identity[2]);

/* Copies sectors between stores, in pieces of bounded size (kit/copy.c). */
int ndm_copy(struct ndm_store *from, uint64_t from_sector, struct ndm_store *to,
	     uint64_t to_sector, uint64_t nr) ndm_waits;

/* ---- arguments (lib/args.c); the kernel's two families of number parsing ---- */

/* %llu%c: the whole word, decimal, no blanks; -EINVAL or -ERANGE otherwise */
int ndm_arg_u64(const char *, uint64_t *);
int ndm_arg_u64_plus(const char *, uint64_t *);	/* also +5: what the kernel has kstrtoull() for */
/* kstrtouint(…, 10): strict unsigned 32 bits, a leading + is allowed */
int ndm_arg_uint(const char *, unsigned *);
/* an "arg group": %u with the whole word and a range, else ti->error = message */
struct ndm_args { unsigned argc; char **argv; };
int ndm_args_uint(struct ndm_target *, struct ndm_args *, unsigned min, unsigned max,
		  const char *message, unsigned *value);
/* the same, and the number must not exceed the words that are left */
int ndm_args_group(struct ndm_target *, struct ndm_args *, unsigned min, unsigned max,
		   const char *message, unsigned *count);
const char *ndm_args_shift(struct ndm_args *);		/* NULL at the end */
void ndm_args_consume(struct ndm_args *, unsigned n);
/* As they were given, each behind a blank, to be printed in the table line.  -ENOMEM */
int ndm_args_words(unsigned argc, char **argv, struct ndm_str *);

/* ---- growable text (lib/str.c) ---- */

struct ndm_str { char *text; size_t len, cap; };	/* text is always NUL-terminated once printed to */
void ndm_printf(struct ndm_str *, const char *fmt, ...) ndm_printf_like(2, 3);
void ndm_vprintf(struct ndm_str *, const char *fmt, va_list);
void ndm_str_put(struct ndm_str *, const void *bytes, size_t len);
bool ndm_str_room(struct ndm_str *, size_t more);	/* for so many bytes; false: no memory */
void ndm_str_free(struct ndm_str *);			/* and makes it empty */
/* A word of a table, with a backslash before all that would end or change it. */
void ndm_table_put_word(struct ndm_str *, const char *word, size_t bytes);

/* ---- memory (lib/alloc.c): never NULL for small things; sizes checked ---- */

void *ndm_zalloc(size_t bytes);				/* NULL when there is none */
void *ndm_calloc(size_t n, size_t bytes);		/* overflow-checked, NULL when there is none */
char *ndm_strdup(const char *);
void ndm_free(void *);
/* page-aligned buffers for data, pooled by the loop; bytes is rounded up to a power of 2 */
void *ndm_buffer_get(struct ndm_loop *, size_t bytes);
void ndm_buffer_put(struct ndm_loop *, void *, size_t bytes);

/* ---- waiting: only inside a task ---- */

struct ndm_waitq { struct ndm_loop *loop; struct ndm_task *head, *tail; };
struct ndm_mutex { struct ndm_task *owner; struct ndm_waitq q; };
struct ndm_rwlock { struct ndm_task *writer; unsigned readers, writers_waiting; struct ndm_waitq q; };
struct ndm_range { uint64_t first, last; struct ndm_range *next; struct ndm_task *owner; struct ndm_waitq q; };
struct ndm_ranges { struct ndm_loop *loop; struct ndm_range *held; };
struct ndm_group { struct ndm_loop *loop; unsigned pending; int error; struct ndm_waitq q; };

void ndm_waitq_init(struct ndm_waitq *, struct ndm_loop *);
void ndm_wait(struct ndm_waitq *) ndm_waits;		/* FIFO; re-check the condition after it */
/* like ndm_wait but at most until at_ns; 0, or -ETIMEDOUT */
int ndm_wait_until(struct ndm_waitq *, uint64_t at_ns) ndm_waits;
void ndm_wake_all(struct ndm_waitq *);
void ndm_wake_one(struct ndm_waitq *);
void ndm_sleep(struct ndm_loop *, uint64_t ns) ndm_waits;
void ndm_yield(struct ndm_loop *) ndm_waits;		/* lets everything that is ready run first */
uint64_t ndm_now(struct ndm_loop *);			/* monotonic nanoseconds */
uint64_t ndm_random(struct ndm_loop *);
void ndm_random_bytes(struct ndm_loop *, void *, size_t);	/* fit for keys and IVs */

void ndm_mutex_init(struct ndm_mutex *, struct ndm_loop *);
void ndm_lock(struct ndm_mutex *) ndm_waits;
void ndm_unlock(struct ndm_mutex *);
void ndm_rwlock_init(struct ndm_rwlock *, struct ndm_loop *);
void ndm_rdlock(struct ndm_rwlock *) ndm_waits;
void ndm_wrlock(struct ndm_rwlock *) ndm_waits;
void ndm_rwunlock(struct ndm_rwlock *);
void ndm_ranges_init(struct ndm_ranges *, struct ndm_loop *);
/* whole range [first, last], both included; at most one range per set and task */
void ndm_range_lock(struct ndm_ranges *, struct ndm_range *, uint64_t first, uint64_t last) ndm_waits;
bool ndm_range_trylock(struct ndm_ranges *, struct ndm_range *, uint64_t first, uint64_t last);
void ndm_range_unlock(struct ndm_ranges *, struct ndm_range *);

void ndm_spawn(struct ndm_loop *, const char *name, void (*fn)(void *), void *arg);
/* pure CPU work on a worker thread; fn may not touch anything of the loop */
int ndm_offload(struct ndm_loop *, int (*fn)(void *), void *) ndm_waits;
/* the same without waiting: done is called on the loop, from where map and end_io may start it */
struct ndm_work {			/* one piece of CPU work for a worker thread */
	int (*fn)(void *);
	void *arg;
	int result;
	struct ndm_loop *loop;
	void (*done)(struct ndm_work *);	/* on the loop, after fn returned */
	struct ndm_work *next;
};
void ndm_work_start(struct ndm_loop *, struct ndm_work *);

/* Synchronous I/O in a task, through plain memory or windows. */
int ndm_rw(struct ndm_store *, enum ndm_op, unsigned flags, uint64_t sector, uint64_t nr, void *buf) ndm_waits;
int ndm_rw_data(struct ndm_store *, enum ndm_op, unsigned flags, uint64_t sector, uint64_t nr,
		const struct ndm_data *) ndm_waits;
int ndm_flush(struct ndm_store *) ndm_waits;
int ndm_forward(struct ndm_bio *, struct ndm_dev *, uint64_t sector) ndm_waits;	/* clone, send, wait */
void ndm_group_init(struct ndm_group *, struct ndm_loop *);
/* sends a clone (made by ndm_clone or ndm_bio_get); the group frees it */
void ndm_group_add(struct ndm_group *, struct ndm_bio *clone, struct ndm_store *, uint64_t sector);
int ndm_group_wait(struct ndm_group *) ndm_waits;	/* the first error */

/*
 * The payload of a key in the keyring of the process (type "user", "logon", ...), or a secret
 * from elsewhere ("file", "fd", "credential", "exec"): copies as much as finds room, returns how
 * many bytes there are, or -errno; -ENOKEY also where there is no keyring.  May be called on a
 * worker; the second kind blocks, and must be.
 */
int ndm_key_read(struct ndm_loop *, const char *type, const char *description, void *,
		 size_t bytes);

/* Timers: callbacks, never wait. */
struct ndm_timer { uint64_t at_ns; unsigned index; void (*fn)(struct ndm_timer *); struct ndm_loop *loop; };
void ndm_timer_init(struct ndm_timer *, struct ndm_loop *, void (*fn)(struct ndm_timer *));
void ndm_timer_set(struct ndm_timer *, uint64_t at_ns);	/* again and again is fine */
void ndm_timer_cancel(struct ndm_timer *);

/*
 * Named moments: a test may cut, fail or hold here.  Returns 0 or an injected -errno;
 * compiled to 0 unless the library is built for the simulator.
 */
#ifdef NDM_MOMENTS
int ndm_moment(struct ndm_loop *, const char *name);
#define NDM_MOMENT(loop, name) ndm_moment(loop, name)
#else
#define NDM_MOMENT(loop, name) ((void)(loop), 0)
#endif

/* One line to the host's log, of level enum ndm_level (ndm.h). */
void ndm_warn(struct ndm_target *, const char *fmt, ...) ndm_printf_like(2, 3);

#ifdef __cplusplus
}
#endif
#endif
