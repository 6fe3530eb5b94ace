/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm.h - for hosts (ndmd, the nbdkit plugin, tests): worlds, loops, contexts, devices, I/O.
 *
 * Threads.  A context owns one or more loops.  Each loop is run by one thread at a time:
 * ndmd gives each a thread of its own; blocking hosts take turns with ndm_loop_call().
 * Names, uuids and numbers of devices belong to the context's first loop; a device's tables
 * and I/O belong to its home loop.  Functions marked ndm_waits must be called from a task
 * (ndm_spawn) of the context's *first* loop; they travel to the device's loop and back by
 * themselves.  All others say who may call them.
 *
 * Errors: 0 or -errno; functions with a `why` argument say the reason in words as well.
 */
#ifndef NDM_H
#define NDM_H

#include <ndm-target.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NDM_NAME_BYTES 128		/* as DM_NAME_LEN, with the NUL */
#define NDM_UUID_BYTES 129		/* as DM_UUID_LEN */
#define NDM_MAJOR 253			/* of mapped devices */
#define NDM_VIRTUAL_MAJOR 240		/* of backing devices that have no number of their own */

struct ndm_context;
struct ndm_world;

/* ---- log ---- */

enum ndm_level { NDM_LOG_ERROR, NDM_LOG_WARNING, NDM_LOG_INFO, NDM_LOG_DEBUG };
struct ndm_log { void (*fn)(void *arg, enum ndm_level, const char *line); void *arg; };

/* ---- world: the five vtables behind which the outside is (lib/os, tests/sim) ---- */

struct ndm_world_ops {
	/* clock, dice */
	uint64_t (*now)(struct ndm_world *);
	uint64_t (*random)(struct ndm_world *);
	void (*random_bytes)(struct ndm_world *, void *, size_t);
	/* a loop's part of the outside: an epoll fd and what hangs on it */
	int (*loop_init)(struct ndm_world *, struct ndm_loop *);
	void (*loop_fini)(struct ndm_world *, struct ndm_loop *);
	int (*loop_fd)(struct ndm_loop *);
	/* any thread: makes the fd readable / the poll return */
	void (*kick)(struct ndm_loop *);
	/* the earliest deadline is now at_ns (UINT64_MAX = none) */
	void (*deadline)(struct ndm_loop *, uint64_t at_ns);
	/* collects what has happened outside; waits at most timeout_ns (0, or UINT64_MAX) */
	void (*poll)(struct ndm_loop *, uint64_t timeout_ns);
	/* runs work->fn on a worker, then work->done on the loop */
	void (*offload)(struct ndm_world *, struct ndm_work *);
	/* end of a batch: bios collected by stores go out (io_uring_submit and the like) */
	void (*flush_batch)(struct ndm_loop *);
	/* the payload of a key in the keyring: its bytes, or -errno; NULL: there are no keys */
	int (*key_read)(struct ndm_world *, const char *type, const char *description, void *,
			size_t bytes);
	/* NULL: first come, first served; else which of n ready things runs next */
	unsigned (*pick)(struct ndm_world *, unsigned n);
	/* named moments; NULL: none */
	int (*moment)(struct ndm_world *, struct ndm_loop *, const char *name);
};

struct ndm_world {
	const struct ndm_world_ops *ops;
	const struct ndm_store_ops *const *stores;	/* schemes, ends with NULL */
	const struct ndm_target_type *const *types;	/* more than the registry has; or NULL */
	struct ndm_log log;
};

/* The real one (lib/os/world.c). */
struct ndm_world *ndm_world_os(void);
void ndm_world_os_direct_io(struct ndm_world *, bool on);	/* files that are opened from now on */
void ndm_world_os_free(struct ndm_world *);

/* ---- loop ---- */

struct ndm_loop *ndm_loop_new(struct ndm_world *);
void ndm_loop_free(struct ndm_loop *);		/* asserts that nothing lives on it */
struct ndm_world *ndm_loop_world(struct ndm_loop *);
int ndm_loop_fd(struct ndm_loop *);		/* readable when there is work */
void ndm_loop_run(struct ndm_loop *);		/* everything ready; never blocks; bounded batch */
bool ndm_loop_busy(struct ndm_loop *);		/* more is ready now */
/*
 * A host that submits from its own event handlers (on the loop's thread, outside
 * ndm_loop_run) puts them between begin and end: end runs the tasks that became ready and
 * sends out what stores have batched, without a look at the fds.  Without begin the first
 * thing that becomes ready costs a kick of the loop's fd.
 */
void ndm_loop_begin(struct ndm_loop *);
void ndm_loop_end(struct ndm_loop *);
/* Waits for events at most timeout_ns, then runs them: for hosts without a loop of their own. */
void ndm_loop_wait(struct ndm_loop *, uint64_t timeout_ns);

/* the mailbox: from any thread, fn runs on the loop */
struct ndm_msg { void (*fn)(struct ndm_msg *); struct ndm_msg *next; };
void ndm_loop_post(struct ndm_loop *, struct ndm_msg *);

/* In a task: continue on another loop (and on whatever thread runs that one). */
void ndm_task_hop(struct ndm_loop *from, struct ndm_loop *to) ndm_waits;

/*
 * Blocking hosts (lib/os/lead.c): callers take turns as the loop.  A leader object is made
 * once per loop; call() submits through `start` (run on the loop) and returns when *finished
 * has become true on the loop.  housekeeping() is the body of the one extra thread that
 * leads while nobody calls; ndm_lead_stop() ends it.
 */
struct ndm_lead;
struct ndm_lead *ndm_lead_new(struct ndm_loop *);
void ndm_lead_free(struct ndm_lead *);
struct ndm_call { void (*start)(struct ndm_call *); bool finished; struct ndm_call *next; void *waiter; };
void ndm_lead_call(struct ndm_lead *, struct ndm_call *);	/* any thread that is not the loop */
void ndm_call_finish(struct ndm_lead *, struct ndm_call *);	/* on the loop */
void ndm_lead_housekeeping(struct ndm_lead *);
void ndm_lead_stop(struct ndm_lead *);

/* ---- context ---- */

struct ndm_context *ndm_context_new(struct ndm_loop *const *loops, unsigned nloops);
void ndm_context_free(struct ndm_context *);		/* no device may be left */
struct ndm_loop *ndm_context_loop(struct ndm_context *, unsigned i);
unsigned ndm_context_loops(struct ndm_context *);

/* Measure how long requests take, from now on: costs two looks at the clock for each. */
void ndm_context_timing(struct ndm_context *, bool on);

/* global event counter and waiters, as DM_DEV_ARM_POLL; first loop */
uint64_t ndm_context_event_nr(struct ndm_context *);
/* called on the first loop after any device was created, removed, renamed, resumed, or raised
 * an event; hosts refresh their exports here.  name: the device; never waits. */
struct ndm_watch {
	void (*fn)(struct ndm_watch *, struct ndm_device *, const char *what);
	struct ndm_watch *next;
};
void ndm_context_watch(struct ndm_context *, struct ndm_watch *);
void ndm_context_unwatch(struct ndm_context *, struct ndm_watch *);

/* "MAJOR:MINOR TAB TEXT" lines of the backing devices seen so far */
void ndm_context_backings(struct ndm_context *, struct ndm_str *);

/* The same lines from another process, before anything is opened here: numbers stay what they were. */
int ndm_context_backings_set(struct ndm_context *, const char *lines);

/* target types, in the order of targets/all.h; ends with NULL */
const struct ndm_target_type *const *ndm_target_types(void);
const struct ndm_target_type *ndm_target_type_find(const char *name);

/* ---- devices: first loop.  A pointer stays valid while it is held (hold/put). ---- */

struct ndm_device *ndm_device_by_name(struct ndm_context *, const char *name);
struct ndm_device *ndm_device_by_uuid(struct ndm_context *, const char *uuid);
struct ndm_device *ndm_device_by_minor(struct ndm_context *, unsigned minor);
struct ndm_device *ndm_device_first(struct ndm_context *);	/* in the order the kernel lists: by name */
struct ndm_device *ndm_device_next(struct ndm_device *);
void ndm_device_hold(struct ndm_device *);
void ndm_device_put(struct ndm_device *);

enum ndm_device_flags {			/* what ndm_device_info() says */
	NDM_DEVICE_SUSPENDED = 1, NDM_DEVICE_READ_ONLY = 2, NDM_DEVICE_LIVE = 4,
	NDM_DEVICE_INACTIVE = 8, NDM_DEVICE_DEFERRED_REMOVE = 16, NDM_DEVICE_INTERNAL_SUSPEND = 32,
};

struct ndm_device_info {
	char name[NDM_NAME_BYTES], uuid[NDM_UUID_BYTES];
	unsigned minor, flags, open_count, live_targets, inactive_targets;
	uint32_t event_nr;
	uint64_t nr;				/* size of the live table */
	unsigned loop;
	uint32_t metas;				/* bit n: ndm_meta_query() has an answer for n */
};
void ndm_device_info(struct ndm_device *, struct ndm_device_info *);

/* minor: -1 = the lowest free one.  uuid may be NULL.  -EBUSY: name, uuid or minor taken. */
int ndm_device_create(struct ndm_context *, const char *name, const char *uuid, int minor,
		      struct ndm_device **) ndm_waits;
/* -EBUSY while open (the open count is not 0), unless deferred: then later, and *deferred = true */
int ndm_device_remove(struct ndm_device *, bool deferred, bool *was_deferred) ndm_waits;
int ndm_device_cancel_deferred(struct ndm_device *);
int ndm_device_rename(struct ndm_device *, const char *name);
int ndm_device_set_uuid(struct ndm_device *, const char *uuid);
/* pins the home loop of a device without a table */
int ndm_device_pin(struct ndm_device *, unsigned loop);

struct ndm_table_line {
	uint64_t start, nr;
	const char *type, *args;
	bool strict;				/* nr of 0 is refused, as Linux does, but for types of our own */
};

/* Builds a table into the inactive slot.  why: one sentence for each thing wrong. */
int ndm_device_load(struct ndm_device *, const struct ndm_table_line *, unsigned n, bool read_only,
		    struct ndm_str *why) ndm_waits;
int ndm_device_clear(struct ndm_device *) ndm_waits;
enum { NDM_SUSPEND_NOFLUSH = 1, NDM_SUSPEND_NOLOCKFS = 2 };
int ndm_device_suspend(struct ndm_device *, unsigned flags) ndm_waits;
/* swaps in the inactive table where there is one; flags as for the suspend that this implies */
int ndm_device_resume(struct ndm_device *, unsigned flags, struct ndm_str *why) ndm_waits;
/* text: one entry per target, "start", "len", "type" apart: callers print them */
struct ndm_target_status { uint64_t start, nr; const char *type; char *text; };
int ndm_device_status(struct ndm_device *, enum ndm_status, unsigned flags, bool inactive,
		      struct ndm_target_status **, unsigned *n, bool *read_only) ndm_waits;
void ndm_target_status_free(struct ndm_target_status *, unsigned n);
int ndm_device_deps(struct ndm_device *, bool inactive, uint32_t (**major_minor)[2], unsigned *n) ndm_waits;
/* sector picks the target; returns 1 when reply has text.  @-messages are the core's. */
int ndm_device_message(struct ndm_device *, uint64_t sector, const char *text,
		       struct ndm_str *reply, struct ndm_str *why) ndm_waits;
/* waits until event_nr differs from the one given; -EINTR when *cancelled becomes true */
int ndm_device_wait(struct ndm_device *, uint32_t event_nr, bool *cancelled) ndm_waits;
void ndm_device_wait_wake(struct ndm_device *);		/* after setting *cancelled */
/* "heads sectors-per-track cylinders start": kept for the kernel's sake */
int ndm_device_set_geometry(struct ndm_device *, const uint64_t geometry[4]);

/* What a device is besides name, uuid, number and tables; first loop.  `declared` is opaque. */
struct ndm_device_memory {
	uint32_t event_nr;
	uint64_t geometry[4];
	uint64_t read_ahead;			/* sectors */
	bool had_table, request_based;		/* the first table has settled what kind it is */
	bool deferred_remove;			/* goes with whoever has it open now */
	const char *declared;			/* recall: the device's own */
	size_t declared_bytes;
};
void ndm_device_recall(const struct ndm_device *, struct ndm_device_memory *);
int ndm_device_remember(struct ndm_device *, const struct ndm_device_memory *);
/*
 * And what its targets know that no table says, as bytes: of the live table, suspended and about
 * to be removed; for the inactive one, which is the same table and about to be resumed.
 */
int ndm_device_recall_targets(struct ndm_device *, struct ndm_str *, struct ndm_str *why) ndm_waits;
int ndm_device_remember_targets(struct ndm_device *, const char *, size_t bytes,
				struct ndm_str *why) ndm_waits;

/*
 * Read ahead, in sectors: kept, and of no effect here.  As a kernel's block device a device has
 * one from its first table on; -ENOENT before.
 */
#define NDM_READ_AHEAD 256			/* a kernel's default */
int ndm_device_read_ahead(const struct ndm_device *, uint64_t *sectors);
void ndm_device_set_read_ahead(struct ndm_device *, uint64_t sectors);

/* Statistics, regions and counters, as bytes that another process takes; -EINVAL: it does not. */
int ndm_device_stats_save(struct ndm_device *, struct ndm_str *) ndm_waits;
int ndm_device_stats_restore(struct ndm_device *, const char *, size_t bytes) ndm_waits;

/* whole-device counters since creation, as /sys/block/dm-N/stat (sectors are 512 bytes) */
enum { NDM_STAT_READ, NDM_STAT_WRITE, NDM_STAT_DISCARD, NDM_STAT_FLUSH, NDM_STAT_GROUPS };
/* bucket i of a latency histogram counts requests of less than 1024 << i ns; the last one, all others */
#define NDM_LATENCY_BUCKETS 24
struct ndm_device_stats {
	struct {
		uint64_t ios, sectors, errors;
		uint64_t ns, latency[NDM_LATENCY_BUCKETS];	/* while ndm_context_timing() is on */
	} group[NDM_STAT_GROUPS];
	uint64_t busy_ns;			/* with something in flight; the same */
	uint64_t requests[NDM_OPS];		/* of clients, by enum ndm_op, refused ones too */
	unsigned in_flight;
};
void ndm_device_stats(struct ndm_device *, struct ndm_device_stats *);	/* snapshot, any loop */

/* what the targets of the live table have counted; ndm_counters_free() it */
struct ndm_counter {
	enum ndm_counter_kind kind;
	unsigned group;
	uint64_t value;
	char what[NDM_NAME_BYTES];
};
struct ndm_counters { struct ndm_counter *list; unsigned n, cap; };
void ndm_device_counters(struct ndm_device *, struct ndm_counters *) ndm_waits;
void ndm_counters_free(struct ndm_counters *);

/* ---- I/O by hosts ---- */

struct ndm_opener;			/* one hold on a device: a client, a table */

/* -ENXIO without a live table; -EROFS for writing a read-only device.  who: for people. */
int ndm_open(struct ndm_device *, unsigned mode, const char *who, struct ndm_opener **) ndm_waits;
void ndm_close(struct ndm_opener *) ndm_waits;
struct ndm_loop *ndm_opener_loop(struct ndm_opener *);
struct ndm_store *ndm_opener_store(struct ndm_opener *);	/* nr and limits; on its loop */
/* who holds the device, one line each: "device NAME" or "client WHO" */
void ndm_device_holders(struct ndm_device *, struct ndm_str *);

/*
 * One request in bytes, of any alignment; embedded in the host's own request.  The core
 * checks bounds, read-only and flags, cuts what is not aligned to the device's logical
 * blocks by reading and writing whole blocks under a range lock, and calls done once.
 */
struct ndm_io {
	uint8_t op;				/* enum ndm_op */
	uint16_t flags;				/* enum ndm_bio_flags */
	uint64_t offset, bytes;
	struct ndm_data data;			/* stays valid until done */
	struct ndm_extents *extents;		/* NDM_EXTENTS */
	struct ndm_loan *loan;			/* READ: NULL, or data need not be filled; see ndm_loan */
	struct ndm_source *source;		/* WRITE of whole blocks: NULL, or instead of data */
	struct ndm_share *share;		/* WRITE: NULL, or whose memory data lies in */
	void (*done)(struct ndm_io *);		/* on the loop; may be called before submit returns */
	int error;
	/* the core's */
	struct ndm_opener *opener;
	struct ndm_bio bio;
	struct ndm_range range;			/* writes, once an unaligned write has been seen */
	bool tracked;
};
struct ndm_device *ndm_opener_device(struct ndm_opener *);
void ndm_io_submit(struct ndm_opener *, struct ndm_io *);	/* on the opener's loop */

/* Collector of block status: pieces come in any order, and are sorted and merged at the end. */
struct ndm_extent { uint64_t sector, nr; unsigned type; };
struct ndm_extents { struct ndm_extent *list; unsigned n, cap; };
/* after done: leaves only what is known without a gap from sector on, ascending, merged */
void ndm_extents_finish(struct ndm_extents *, uint64_t sector);
void ndm_extents_free(struct ndm_extents *);

/* ---- metadata contexts "ndm:NAME" of NBD (lib/metas.c) ---- */

#define NDM_METAS_MAX 24
/* without "ndm:"; NULL behind the last; 0 is "target", the index of the line of the table */
const char *ndm_meta_name(unsigned number);
/*
 * What the live table tells of [sector, sector + nr), in `type` of at most max extents; it may
 * be about less.  On the opener's loop; never waits.
 */
void ndm_meta_query(struct ndm_opener *, unsigned number, uint64_t sector, uint64_t nr,
		    unsigned max, struct ndm_extents *);

/* ---- tables as text (lib/table-text.c) ---- */

/* Splits "start len type args" lines; comments and blank lines as dmsetup takes them. */
int ndm_table_parse(char *text, struct ndm_table_line **, unsigned *n, struct ndm_str *why);

/* ---- volumes in YAML (lib/yaml.c) ---- */

struct ndm_volume {
	char *name, *uuid, *export_name, *description;
	bool read_only, no_export;
	int loop;				/* -1: any */
	struct ndm_table_line *lines;		/* type and args owned by the volume */
	unsigned nlines;
	char **allow;				/* who may connect: "psk:", "cn:", "dn:" and a pattern */
	unsigned nallow;			/* 0: everybody */
	unsigned line, column;			/* in the file */
};
struct ndm_config {
	struct ndm_volume *volumes;		/* in order of dependency */
	unsigned nvolumes;
	struct ndm_config_server {
		char **listen; unsigned nlisten;
		char *control, *state, *metrics, *tls_mode, *tls_certificates, *tls_psk;
		bool tls_verify_peer, direct_io;
		unsigned threads;
	} server;
};
/* text of `bytes` bytes; path is for messages only.  why: "FILE:LINE:COLUMN: sentence" lines. */
int ndm_config_parse(const char *path, const char *text, size_t bytes, struct ndm_config **,
		     struct ndm_str *why);
int ndm_config_read(const char *path, struct ndm_config **, struct ndm_str *why);
void ndm_config_free(struct ndm_config *);
/* The plan that leads from what is to what is wanted; prints it, or carries it out. */
int ndm_config_plan(struct ndm_context *, const struct ndm_config *, struct ndm_str *plan) ndm_waits;
int ndm_config_apply(struct ndm_context *, const struct ndm_config *, struct ndm_str *plan,
		     struct ndm_str *why) ndm_waits;
/* Builds the file's tables for trial, without writing anywhere, and says what would be refused. */
int ndm_config_check(struct ndm_context *, const struct ndm_config *, struct ndm_str *why) ndm_waits;
void ndm_config_schema(struct ndm_str *json);		/* JSON Schema of the file, for editors */
/* a target's descriptor, or all, as JSON; -ENOENT */
int ndm_describe(const char *type, struct ndm_str *json);
/* a string with its quotes; bytes that are not UTF-8 become U+FFFD */
void ndm_json_string(struct ndm_str *json, const char *text);
/* table line args (text) -> JSON object with named arguments; -EINVAL where they do not fit */
int ndm_explain(const struct ndm_target_type *, const struct ndm_arg *descriptor, const char *text,
		struct ndm_str *json);

#ifdef __cplusplus
}
#endif
#endif
