/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - all that a simulator script may use.  docs/simulator.md is the introduction.
 *
 * A script is one file with one SIM_SCRIPT(): disks, how the devices are built, what I/O to
 * do, what must hold afterwards.  The simulator runs it from a seed and cuts the power after
 * every event, in forked copies of itself; each copy builds the devices again from what the
 * disks kept and checks.  Everything a script does is in tasks on the first loop.
 *
 * Units: sectors of 512 bytes, virtual nanoseconds.
 */
#ifndef NDM_TESTS_SIM_H
#define NDM_TESTS_SIM_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ndm.h>

struct sim;
struct sim_dev;

#define SIM_DISKS_MAX 16

/* ---- scripts ---- */

struct sim_disk_spec {
	const char *name;		/* `sim:NAME` in tables */
	uint64_t nr;			/* size in sectors */
	unsigned block_bytes;		/* logical block, also the unit that a cut tears; 0 = 512 */
	unsigned flags;			/* enum sim_disk_flags */
};

enum sim_disk_flags {
	SIM_DISK_NO_FUA = 1,		/* limits.fua is false; default: by the seed */
	SIM_DISK_FUA = 2,		/* limits.fua is true */
	SIM_DISK_NO_DISCARD = 4,
	SIM_DISK_NO_ZEROES = 8,
	SIM_DISK_READ_ONLY = 16,
};

enum sim_script_flags {
	SIM_NO_CUTS = 1,		/* plain runs only */
	SIM_ERRORS_OK = 2,		/* I/O of sim_mix() may fail; else that fails the trial */
	SIM_NO_AFTER = 4,		/* no I/O after the recovery from a cut */
	SIM_BROKEN = 8,			/* planted bug: the run succeeds when a trial fails */
	SIM_HIDDEN = 16,		/* not in --all: only by name */
	SIM_PROMPT = 32,		/* the clock jumps only when there is nothing else to do */
};

struct sim_script {
	const char *name;
	const char *summary;		/* one line for --list */
	struct sim_disk_spec disks[SIM_DISKS_MAX];
	unsigned loops;			/* 0 = 1 */
	unsigned flags;			/* enum sim_script_flags */
	unsigned seeds;			/* how many `make check` runs; 0 = 4 */
	unsigned one_in;		/* cut after one of so many events, by dice; 0 = all */
	unsigned samples;		/* dice throws per cut that cannot be enumerated; 0 = 2 */
	unsigned catch_events;		/* SIM_BROKEN: must be seen within so many events */
	size_t private_size;		/* zeroed bytes at sim_private(); they survive cuts */
	void (*format)(struct sim *);	/* once, before anything; optional */
	void (*up)(struct sim *);	/* builds the devices: at the start and after each cut */
	void (*work)(struct sim *);	/* I/O; the power may fail at any moment of it */
	void (*after)(struct sim *);	/* I/O after a recovery; NULL: a little on every device */
	void (*check)(struct sim *);	/* invariants, all is idle; optional */
	/* targets of the script's own; ends with NULL */
	const struct ndm_target_type *const *types;
};

#define SIM_SCRIPT(ident) \
	static const struct sim_script sim_script_##ident; \
	static const struct sim_script *const sim_script_ptr_##ident \
		__attribute__((used, section("sim_scripts"))) = &sim_script_##ident; \
	static const struct sim_script sim_script_##ident

void *sim_private(struct sim *);
unsigned sim_cuts(const struct sim *);		/* how many there were: 0 in the first run */
struct ndm_loop *sim_loop(struct sim *);	/* the first one */
struct ndm_context *sim_context(struct sim *);
uint64_t sim_seed(const struct sim *);

/* Something that must not be: says it, prints the repro line, ends the trial. */
void sim_fail(struct sim *, const char *fmt, ...) ndm_printf_like(2, 3) __attribute__((noreturn));
#define SIM_ASSERT(s, condition) \
	((condition) ? (void)0 : sim_fail((s), "%s:%d: %s", __FILE__, __LINE__, #condition))
void sim_trace(struct sim *, const char *fmt, ...) ndm_printf_like(2, 3);	/* --trace */

/* ---- dice of the script: a stream of their own ---- */

uint64_t sim_random(struct sim *);
unsigned sim_dice(struct sim *, unsigned n);			/* 0 .. n-1 */
static inline bool sim_one_in(struct sim *s, unsigned n) { return sim_dice(s, n) == 0; }

/* ---- devices ---- */

enum sim_up_flags {
	SIM_RAW = 1,		/* no oracle: the script looks after its contents */
	SIM_MAY_FAIL = 2,	/* sim_up() gives NULL rather than failing the trial */
	SIM_UP_READ_ONLY = 4,
};

/*
 * Creates, loads, resumes and opens a device.  The table may have several lines ("\n").  The
 * first time this makes the device's oracle, which knows what may be read from every sector;
 * later (after a cut) the same name finds it again.
 */
struct sim_dev *sim_up(struct sim *, const char *name, unsigned flags, const char *table, ...)
	ndm_printf_like(4, 5);
struct sim_dev *sim_dev(struct sim *, const char *name);	/* NULL: never made */
bool sim_dev_is_up(const struct sim_dev *);
void sim_down(struct sim_dev *);		/* closes and removes it */
const char *sim_dev_name(const struct sim_dev *);
uint64_t sim_dev_nr(const struct sim_dev *);
struct ndm_device *sim_dev_device(const struct sim_dev *);
int sim_error(struct sim *);			/* of the last sim_up() etc. that may fail */
const char *sim_why(struct sim *);		/* and its reason in words */

/* All return 0 or -errno. */
int sim_load(struct sim_dev *, const char *table, ...) ndm_printf_like(2, 3);
int sim_suspend(struct sim_dev *, unsigned flags);
int sim_resume(struct sim_dev *);
/* suspend, load, resume */
int sim_reload(struct sim_dev *, const char *table, ...) ndm_printf_like(2, 3);
/* the reply, or "" - valid until the next call; the trial fails when the message does */
const char *sim_message(struct sim_dev *, const char *fmt, ...) ndm_printf_like(2, 3);
int sim_try_message(struct sim_dev *, const char *fmt, ...) ndm_printf_like(2, 3);
/* the params of the first target; valid until the next call */
const char *sim_status(struct sim_dev *);
const char *sim_table(struct sim_dev *);
/* sleeps (virtually) until the status contains the text; fails the trial after 1000 looks */
void sim_wait_status(struct sim_dev *, const char *text);
void sim_sleep(struct sim *, uint64_t ns);

/* ---- I/O through the oracle ---- */

/* WRITE stamps each sector with a value of its own; READ checks.  0 or -errno. */
int sim_io(struct sim_dev *, enum ndm_op, unsigned flags, uint64_t sector, uint64_t nr);
/* Reads everything and checks it; after a cut, what is seen becomes what must be seen. */
void sim_verify(struct sim_dev *);
/* I/O past the oracle, for devices made with SIM_RAW; 0 or -errno. */
int sim_raw(struct sim_dev *, enum ndm_op, unsigned flags, uint64_t sector, uint64_t nr, void *);

struct sim_mix {
	unsigned tasks;			/* how many at a time; 0 = 3 */
	unsigned ops;			/* of each task; 0 = 6 */
	unsigned max_nr;		/* longest request; 0 = 16 */
	uint64_t first, nr;		/* where; nr 0 = to the end */
	unsigned align;			/* sectors; 0 = the device's logical block */
	/* weights; all 0 = read 3, write 5, fua 1, flush 2, discard 0, zeroes 1 */
	unsigned read, write, fua, flush, discard, zeroes;
};
void sim_mix(struct sim_dev *, const struct sim_mix *);		/* runs and waits */

/* Tasks of the script's own; sim_join() waits for all of them. */
void sim_spawn(struct sim *, const char *name, void (*fn)(struct sim *, void *), void *arg);
void sim_join(struct sim *);

/* ---- the oracle's opinion, adjusted by a script ---- */

/* dev may contain from now on exactly what src may contain now (a snapshot was taken) */
void sim_oracle_copy(struct sim_dev *dev, struct sim_dev *src);
/* these sectors may contain anything until they are written again */
void sim_oracle_any(struct sim_dev *, uint64_t sector, uint64_t nr);
/* everything completed so far is durable now (a commit that the script knows about) */
void sim_oracle_durable(struct sim_dev *);
/* what the last write (acknowledged) put there, as bytes; false when it is not certain */
bool sim_oracle_expect(struct sim_dev *, uint64_t sector, void *bytes512);
enum sim_discards { SIM_DISCARD_ANY, SIM_DISCARD_OLD_OR_ZERO, SIM_DISCARD_KEEPS };
void sim_oracle_discards(struct sim_dev *, enum sim_discards);

/* ---- disks ---- */

/* what a read would give now, and what a cut that loses everything would leave */
void sim_disk_read(struct sim *, const char *disk, uint64_t sector, uint64_t nr, void *);
void sim_disk_read_durable(struct sim *, const char *disk, uint64_t sector, uint64_t nr, void *);
/* durable at once */
void sim_disk_write(struct sim *, const char *disk, uint64_t sector, uint64_t nr, const void *);
uint64_t sim_disk_nr(struct sim *, const char *disk);
void sim_disk_resize(struct sim *, const char *disk, uint64_t nr);
/* all requests fail with -ENOTCONN until it is connected again */
void sim_disk_connect(struct sim *, const char *disk, bool connected);

/* its power alone fails: what was not flushed is lost or not; nothing may be in flight */
void sim_disk_crash(struct sim *, const char *disk);

/* ---- servers in front of disks: `leg:DISK:NAME` in tables, "DISK:NAME" here (leg.c) ---- */

bool sim_leg_up(struct sim *, const char *leg);
void sim_leg_kill(struct sim *, const char *leg);	/* until sim_leg_return() */
void sim_leg_return(struct sim *, const char *leg);
void sim_leg_stop(struct sim *, const char *leg);	/* no answers until sim_leg_cont() */
void sim_leg_cont(struct sim *, const char *leg);
void sim_leg_errors(struct sim *, const char *leg, unsigned one_in);	/* -EIO; 0 = none */
/* carries out what a client has given up, when it comes back; else it never does */
void sim_leg_ghosts(struct sim *, const char *leg);

struct sim_fault {
	const char *disk;		/* NULL = every one */
	unsigned ops;			/* 1 << NDM_WRITE | ...; 0 = every op */
	uint64_t first, last;		/* requests touching these sectors; last 0 = all */
	unsigned nth;			/* the first it hits, from 1; 0 = 1 */
	bool always;			/* the nth and all after it; default: once */
	int error;			/* -errno; 0: only the delay */
	uint64_t delay_ns;		/* before it completes or fails: latency, hang */
	bool untouched;			/* a failed write changes nothing; default: by dice */
};
void sim_fault(struct sim *, const struct sim_fault *);
void sim_fault_clear(struct sim *);

/* ---- named moments: NDM_MOMENT(loop, "name") in targets ---- */

void sim_cut_at(struct sim *, const char *moment, unsigned nth);	/* nth from 1 */
void sim_fail_at(struct sim *, const char *moment, unsigned nth, int error);
/* the task that comes there sleeps until some task has passed `until` */
void sim_hold_at(struct sim *, const char *moment, unsigned nth, const char *until);
unsigned sim_moment_count(struct sim *, const char *moment);	/* how often it was passed */

/* the nth allocation from now on fails, and only it; 0 = none.  --fail-alloc does it for you. */
void sim_fail_alloc(struct sim *, unsigned nth);

#endif
