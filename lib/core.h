/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core.h - what the files of lib/ share with each other and with nobody else.
 */
#ifndef NDM_CORE_H
#define NDM_CORE_H

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <ndm.h>

#define ndm_container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

/* ---- tasks (task.c) ---- */

enum ndm_task_state { NDM_TASK_READY, NDM_TASK_RUNNING, NDM_TASK_WAITING, NDM_TASK_HOPPING, NDM_TASK_DONE };

struct ndm_fiber;				/* a stack and its saved registers */

struct ndm_task {
	struct ndm_fiber *fiber;
	struct ndm_loop *loop;
	const char *name;
	void (*fn)(void *);
	void *arg;
	enum ndm_task_state state;
	struct ndm_task *next;			/* in the ready queue, a waitq, or the free list */
	struct ndm_task *all_prev, *all_next;	/* every living task of the loop */
	struct ndm_waitq *waiting_on;
	struct ndm_timer timer;			/* ndm_wait_until, ndm_sleep */
	bool timed_out;
	struct ndm_loop *hop_to;
	struct ndm_msg hop_msg;
};

struct ndm_fiber *fiber_new(void (*entry)(void *), void *arg);
void fiber_free(struct ndm_fiber *);
void fiber_resume(struct ndm_fiber *);		/* from the scheduler into the fiber */
void fiber_leave(struct ndm_fiber *);		/* from the fiber back to whoever resumed it */
void fiber_restart(struct ndm_fiber *);		/* after its entry has returned via fiber_leave */
size_t fiber_high_water(const struct ndm_fiber *);	/* bytes of stack ever used */

void task_ready(struct ndm_task *);
void task_suspend(struct ndm_loop *, struct ndm_task *);	/* leave until made ready */
void task_run(struct ndm_loop *, struct ndm_task *);
void task_free_all(struct ndm_loop *);

/* ---- loop (loop.c) ---- */

#define NDM_BUFFER_CLASSES 16			/* 4 KiB << class, up to 128 MiB */

struct ndm_bio_slot {
	struct ndm_bio bio;
	_Alignas(16) unsigned char per_bio[NDM_PER_BIO_MAX];
};

struct ndm_loop {
	struct ndm_world *world;
	void *os;				/* the world's part */
	struct ndm_task *current;
	unsigned nowait;			/* > 0: inside map, end_io, status: waiting is a bug */
	bool running;				/* inside ndm_loop_run or begin/end: no kick needed */
	bool submitting;			/* inside ndm_submit: bios queue up */
	bool lending;				/* between begin and end: no task runs */
	struct ndm_task *ready_head, *ready_tail;
	unsigned nready;
	struct ndm_bio *submit_head, *submit_tail;
	struct ndm_timer **timers;		/* binary heap by at_ns */
	unsigned ntimers, timers_cap;
	uint64_t armed_ns;			/* the deadline the world knows */
	_Atomic(struct ndm_msg *) mailbox;	/* a stack; taken whole and turned round */
	struct ndm_task *tasks;			/* all living ones */
	struct ndm_task *free_tasks;
	unsigned nfree_tasks, ntasks;
	struct ndm_bio_slot *free_bios;		/* linked through bio.next */
	unsigned nbios;				/* handed out */
	struct ndm_buffer { struct ndm_buffer *next; } *buffers[NDM_BUFFER_CLASSES];
	unsigned nbuffers[NDM_BUFFER_CLASSES];
	struct ndm_store *stores;		/* open ones, for sharing */
	struct ndm_slot *slots;			/* slots.c */
};

void loop_pools_free(struct ndm_loop *);
void loop_slots_free(struct ndm_loop *);
static inline uint64_t loop_now(struct ndm_loop *l) { return l->world->ops->now(l->world); }

void ndm_log(struct ndm_world *, enum ndm_level, const char *fmt, ...) ndm_printf_like(3, 4);

/* Test hook: when set, every allocation asks it first; false = fail.  Tests only. */
extern bool (*ndm_alloc_hook)(size_t bytes);

/* ---- tables (table.c) ---- */

struct ndm_table {
	struct ndm_device *device;
	struct ndm_loop *loop;
	struct ndm_target *targets;		/* in order of begin */
	unsigned n;
	uint64_t nr;
	bool read_only;
	bool flush_bypass;			/* every target says one flush per device will do */
	struct ndm_limits limits;
	struct ndm_store **flush_stores;	/* flush_bypass: the distinct ones */
	unsigned nflush_stores;
	unsigned users;				/* messages under way */
	struct ndm_waitq idle;
};

int split_words(char *text, unsigned *argc, char ***argv);	/* as the kernel splits */
int table_check_areas(struct ndm_table *, struct ndm_str *why);
int table_new(struct ndm_device *, const struct ndm_table_line *, unsigned n, bool read_only,
	      struct ndm_table **, struct ndm_str *why) ndm_waits;
void table_free(struct ndm_table *) ndm_waits;
struct ndm_target *table_find(struct ndm_table *, uint64_t sector);
void table_stack_limits(struct ndm_table *);
const struct ndm_target_type *table_immutable_type(const struct ndm_table *);
uint32_t table_metas(const struct ndm_table *);	/* metas.c: bits for struct ndm_device_info */
bool table_uses(const struct ndm_table *, const struct ndm_device *);
void target_put_devs(struct ndm_target *) ndm_waits;

/* ---- stores (store.c, hop.c) ---- */

int store_open(struct ndm_loop *, const char *spec, unsigned mode, struct ndm_store **,
	       struct ndm_str *why) ndm_waits;
void store_put(struct ndm_store *) ndm_waits;
bool store_same(const struct ndm_store *, const struct ndm_store *);
struct ndm_store *hop_new(struct ndm_loop *from, struct ndm_store *to);
void hop_free(struct ndm_store *);
void hop_refresh(struct ndm_store *) ndm_waits;

/* ---- devices (device.c, lifecycle.c, context.c) ---- */

enum ndm_device_state {
	DEVICE_SUSPENDED,			/* as created: no table, or stopped */
	DEVICE_ACTIVE,
	DEVICE_SUSPENDING,
	DEVICE_RESUMING,
	DEVICE_REMOVED,
};

struct ndm_opener {
	struct ndm_device *device;
	struct ndm_opener *next;
	struct ndm_store *store;		/* the device's */
	unsigned mode;
	bool table;				/* held by the tables of `user`, not by a client */
	unsigned refs;				/* tables: one hold for all lines of all tables */
	struct ndm_device *user;		/* the device whose table it is */
	char who[NDM_NAME_BYTES + 64];
};

struct ndm_device {
	/* first loop */
	struct ndm_context *ctx;
	struct ndm_device *next;		/* sorted by name */
	struct ndm_device_info info;		/* what the first loop knows */
	atomic_uint holds;
	struct ndm_opener *openers;
	struct ndm_mutex lifecycle;		/* load, suspend, resume, clear, remove: one at a time */
	struct ndm_waitq events;
	bool removing;
	uint64_t geometry[4], read_ahead;
	bool block_device;			/* it has had a table: a kernel would have made one */
	char *declared;				/* yaml-plan.c: the volume's text in the file it came from, or NULL */
	struct ndm_msg event_msg;
	atomic_bool event_posted;
	_Atomic uint32_t event_nr;

	/* home loop */
	struct ndm_loop *loop;
	struct ndm_store store;			/* what others submit to */
	struct ndm_table *live, *inactive;
	enum ndm_device_state state;
	bool noflush_suspending, no_requeue;
	struct ndm_bio *deferred_head, *deferred_tail;
	uint64_t in_flight;
	struct ndm_waitq drained;
	struct ndm_device_stats stats;
	struct ndm_waitq workers_idle;
	bool had_table;				/* the first load checks limits, later ones the resume */
	bool request_based;			/* settled by the first load */
	bool homed;				/* first loop: its home is settled */
	unsigned visitors;			/* first loop: tasks at its home without the lock */
	bool track_writes;			/* align.c: an unaligned write has been seen */
	uint64_t untracked_writes;
	struct ndm_waitq untracked_idle;
	uint64_t busy_since_ns;			/* up to when stats.busy_ns is counted */
	struct ndm_stats *regions;		/* stats.c; NULL when no region exists */
	uint64_t stats_last_end;		/* to know requests that follow each other */
	unsigned stats_last_rw;
	struct ndm_ranges align_locks;		/* align.c: blocks being read, changed and written */
};

extern const struct ndm_store_ops device_store_ops;
void device_state(struct ndm_device *, enum ndm_device_state);
void device_defer(struct ndm_device *, struct ndm_bio *);
void device_release_deferred(struct ndm_device *, int error);	/* 0: submit again, else fail */
void device_free(struct ndm_device *);
void device_move(struct ndm_device *, struct ndm_loop *);
void context_unlink(struct ndm_device *);
void device_visit(struct ndm_device *) ndm_waits;	/* first loop -> home; it will not move */
void device_leave(struct ndm_device *) ndm_waits;
void device_event(struct ndm_device *);

struct ndm_context {
	struct ndm_loop **loops;
	unsigned nloops;
	atomic_bool timing;			/* someone looks at latencies: ask the clock each time */
	struct ndm_device *devices;
	unsigned next_loop;
	uint64_t event_nr;
	struct ndm_watch *watches;
	struct ndm_number {			/* by virtual minor */
		uint64_t identity[2];
		char *name;
		struct ndm_loop *loop;		/* where it was last opened */
		bool reserved;			/* a name only, not opened yet (keep.c) */
	} *numbers;
	unsigned nnumbers;
};

void context_notify(struct ndm_context *, struct ndm_device *, const char *what);
void context_number(struct ndm_context *, struct ndm_store *);	/* first loop */
/*
 * What a table's device argument names: a mapped device, or NULL; then *mapped says whether it
 * could only have been one, and `spec` is filled where a number stands for a backing's text.
 */
struct ndm_device *context_find(struct ndm_context *, const char *spec, bool *mapped,
				struct ndm_str *text);
struct ndm_loop *context_loop_of(struct ndm_context *, struct ndm_device *, const char *word);
/* from's live or inactive table stands on `on`, at any depth */
bool device_reaches(struct ndm_device *from, struct ndm_device *on);

/* what stands behind a struct ndm_dev */
struct target_dev {
	struct ndm_dev dev;
	struct ndm_opener *opener;		/* mapped devices only */
	struct ndm_store *hop;			/* where the lower device lives on another loop */
	char name[24];
	struct ndm_str escaped;			/* a backing's name, where a table needs it so */
};

/* tables as openers (open.c); first loop */
int opener_for_table(struct ndm_device *lower, struct ndm_device *user, unsigned mode,
		     struct ndm_opener **);
void opener_put(struct ndm_opener *);
void align_submit(struct ndm_opener *, struct ndm_io *);
bool align_track(struct ndm_opener *, struct ndm_io *);
void align_untrack(struct ndm_io *);
void io_start(struct ndm_io *);
int core_message(struct ndm_device *, unsigned argc, char **argv, struct ndm_str *reply) ndm_waits;
int stats_message(struct ndm_device *, unsigned argc, char **argv, struct ndm_str *reply) ndm_waits;
void counters_of(const struct ndm_table *, struct ndm_counters *);
void stats_free(struct ndm_device *);
int stats_save(struct ndm_device *, struct ndm_str *);
int stats_restore(struct ndm_device *, const char *, size_t bytes);
void stats_start(struct ndm_device *, struct ndm_bio *clone);
void stats_end(struct ndm_device *, struct ndm_bio *clone);

#endif
