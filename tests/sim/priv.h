/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * priv.h - what the files of the simulator share; scripts see sim.h only.
 */
#ifndef NDM_TESTS_SIM_PRIV_H
#define NDM_TESTS_SIM_PRIV_H

#include <lib/core.h>

#include "sim.h"

#define SIM_LOOPS_MAX 4
#define SIM_ENUMERATE_MAX 6		/* units at risk up to which all subsets are tried */
#define SIM_DEPTH_MAX 2			/* a cut, and another during the recovery from it */
#define SIM_EVENTS_MAX 2000000		/* of one trial: more is a livelock */

/* ---- dice (dice.c): splitmix64 streams ---- */

struct sim_dice { uint64_t state; };
uint64_t dice_next(struct sim_dice *);
unsigned dice_below(struct sim_dice *, unsigned n);
struct sim_dice dice_seed(uint64_t seed, uint64_t stream);

/* ---- world (world.c) ---- */

/* Something outside that will happen: a disk completes, a worker returns. */
struct sim_event {
	struct ndm_loop *loop;
	uint64_t not_before_ns;
	void (*fire)(struct sim_event *);	/* on the loop, inside poll */
	const char *what;			/* for --trace */
};

struct sim_loop {
	struct ndm_loop *loop;
	bool kicked;
	uint64_t deadline_ns;
};

struct sim_world {
	struct ndm_world world;
	struct sim *sim;
	uint64_t now_ns;
	struct sim_dice order, core;	/* what happens next; ndm_random() */
	struct sim_loop loops[SIM_LOOPS_MAX];
	unsigned nloops;
	struct sim_event **pending;
	unsigned npending, cap;
	struct sim_event *deliver;	/* what the next poll brings */
};

struct sim_world *world_new(struct sim *, uint64_t seed);
void world_free(struct sim_world *);
void world_event(struct sim_world *, struct sim_event *);
/* One event.  false: nothing is left that could ever happen. */
bool world_step(struct sim_world *);
void world_print_tasks(struct sim_world *, FILE *);
static inline struct sim_world *world_of(struct ndm_world *w)
{
	return ndm_container_of(w, struct sim_world, world);
}

/* ---- disks (disk.c) ---- */

/* A write the disk has taken but may lose: in flight, or completed and not flushed. */
struct disk_write {
	struct disk_write *next;
	uint64_t sector, nr;
	uint8_t *bytes;
	bool *gone;			/* per sector: overtaken by FUA, or never applied */
	uint64_t done_seq;		/* 0 = in flight */
};

struct sim_disk {
	struct sim *sim;
	char name[32];
	uint64_t nr;
	unsigned block_bytes, flags;
	struct ndm_limits limits;
	uint8_t *durable, *visible;
	struct disk_write *done, **done_tail;		/* in order of completion */
	struct disk_write *flying, **flying_tail;	/* in order of submission */
	bool disconnected;
	unsigned ios;
	struct log_file *log;			/* --log-writes; or NULL */
};

extern const struct ndm_store_ops sim_disk_ops, sim_leg_ops;

struct sim_disk *disk_find(struct sim *, const char *name);
struct sim_disk *disk_must(struct sim *, const char *name);	/* or the trial fails */
void disks_create(struct sim *);
void disks_free(struct sim *);
unsigned disks_at_risk(struct sim *);		/* units (blocks of volatile writes) */
void disks_sync(struct sim *);			/* everything completed is durable */
/* mask: which units survive (bit per unit); NULL dice means "use the mask" */
void disks_cut(struct sim *, uint64_t mask, struct sim_dice *);

/* ---- dm-log-writes (logwrites.c) ---- */

void log_open(struct sim_disk *, const char *path);
/* both when the request has completed */
void log_write(struct sim_disk *, const struct ndm_bio *, const uint8_t *bytes);
void log_flush(struct sim_disk *, uint64_t submitted);
void log_close(struct sim_disk *);

/* ---- moments and faults (fault.c) ---- */

struct fault_rule { struct fault_rule *next; struct sim_fault f; unsigned hits; };
struct moment_rule {
	struct moment_rule *next;
	const char *name, *until;
	unsigned nth;
	enum { MOMENT_CUT, MOMENT_FAIL, MOMENT_HOLD } what;
	int error;
};
struct moment_seen { struct moment_seen *next; const char *name; unsigned count; };

int world_moment(struct ndm_world *, struct ndm_loop *, const char *name);
/* the error and delay for this request; -0 and 0 when no rule hits */
const struct sim_fault *fault_hit(struct sim_disk *, const struct ndm_bio *);
void faults_free(struct sim *);
bool alloc_countdown(size_t bytes);

/* ---- requests (io.c) ---- */

void io_area_leave(struct sim *);

/* ---- oracle (oracle.c) ---- */

struct oracle;
struct oracle *oracle_new(struct sim *, uint64_t nr);
void oracle_free(struct oracle *);
void oracle_resize(struct oracle *, uint64_t nr);
uint64_t oracle_nr(const struct oracle *);
void oracle_stamp(uint8_t *sector_bytes, uint64_t id);
/* a write of `nr` sectors begins; ids count up from `id` (0 = zeroes) and *ticket ends it */
struct oracle_ticket { uint64_t issue, first, nr; uint64_t *floors; bool any, soft; };
void oracle_write_begin(struct oracle *, struct oracle_ticket *, uint64_t first, uint64_t nr,
			uint64_t id);
void oracle_discard_begin(struct oracle *, struct oracle_ticket *, uint64_t first, uint64_t nr);
void oracle_write_end(struct oracle *, struct oracle_ticket *, bool ok, bool durable);
void oracle_read_begin(struct oracle *, struct oracle_ticket *, uint64_t first, uint64_t nr);
/* checks; false: *bad is the sector, and why says it in words */
bool oracle_read_end(struct oracle *, struct oracle_ticket *, const uint8_t *bytes, bool ok,
		     uint64_t *bad, struct ndm_str *why);
uint64_t oracle_flush_begin(struct oracle *);
void oracle_flush_end(struct oracle *, uint64_t begun, bool ok);
void oracle_cut(struct oracle *);
/* like read_end, for one sector after a cut: what is seen becomes what must be seen */
bool oracle_settle(struct oracle *, uint64_t sector, const uint8_t *bytes, struct ndm_str *why);
void oracle_copy(struct oracle *, const struct oracle *from);
void oracle_any(struct oracle *, uint64_t first, uint64_t nr);
bool oracle_expect(struct oracle *, uint64_t sector, uint8_t *bytes);
void oracle_set_discards(struct oracle *, enum sim_discards);

/* ---- devices (dev.c) ---- */

struct sim_dev {
	struct sim_dev *next;
	struct sim *sim;
	char name[NDM_NAME_BYTES];
	struct oracle *oracle;		/* NULL: SIM_RAW */
	bool unsettled;			/* a cut has happened since it was last verified */
	/* of the present world */
	struct ndm_device *device;
	struct ndm_opener *opener;
	unsigned ios;			/* in flight */
};

void devs_forget(struct sim *);			/* the world is gone */
void devs_down(struct sim *);			/* all of them, youngest first */
void devs_free(struct sim *);

/* ---- a trial (trial.c) ---- */

struct sim_cut { uint64_t event, subset; };

struct sim_options {
	uint64_t seed;
	unsigned one_in;			/* 0 = no cuts */
	bool torn, lying, blind, trace, moments, keep_going, one_loop;
	unsigned loops;				/* 0 = as the script says */
	unsigned fail_alloc;
	const char *cut_moment, *log_disk, *log_path;
	unsigned cut_moment_nth;
	struct sim_cut replay[SIM_DEPTH_MAX];
	unsigned nreplay;
	bool subset_given;
};

/* counters shared by all forked copies */
struct sim_shared {
	uint64_t cuts, failures, events;
	uint64_t first_bad_event;
	bool alloc_fired;
};

struct sim_task { struct sim *sim; void (*fn)(struct sim *, void *); void *arg; };

struct sim {
	const struct sim_script *script;
	struct sim_options opt;
	struct sim_shared *shared;
	void *private_data;
	struct sim_disk *disks[SIM_DISKS_MAX];
	unsigned ndisks;
	struct sim_dev *devs;
	uint64_t seq;				/* the oracle's clock and the disks' */
	uint64_t next_id;
	struct fault_rule *faults;
	struct moment_rule *moments;
	struct moment_seen *seen;
	struct sim_dice script_dice;

	/* cuts so far */
	struct sim_cut path[SIM_DEPTH_MAX];
	unsigned ncuts;
	bool formatting;			/* no cuts yet */
	bool power_off;				/* a moment said so; the cut follows at once */
	bool changed;				/* a disk's state, since the last cut tried */

	/* the present world */
	struct sim_world *world;
	struct ndm_context *ctx;
	uint64_t event;
	bool main_done;
	unsigned tasks;				/* of sim_spawn() */
	struct ndm_waitq join_q;
	struct ndm_str text, why;		/* replies; reasons */
	struct io_area *area;			/* what the next write is put into (io.c) */
	int error;
	bool alloc_fired;
};

enum trial_end { TRIAL_DONE, TRIAL_CUT };

/* Runs a seed with all its cuts; 0, or 1 when something failed.  In a process of its own. */
int trial_run(const struct sim_script *, const struct sim_options *, struct sim_shared *);
void trial_print_repro(struct sim *, FILE *);

#endif
