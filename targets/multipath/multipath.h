/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multipath.h - what the files of the multipath target share.
 *
 *	table.c      constructor and destructor: the table line
 *	status.c     status and table lines, as the kernel prints them
 *	path.c       which path takes a request; failing and reinstating paths; groups
 *	io.c         requests: sent, failed over, parked while there is no path
 *	flush.c      FLUSH, to every path that has something to flush
 *	unflushed.c  a copy of what was written and not yet flushed
 *	resend.c     which is sent again when the server that took it has gone
 *	handover.c   or by the next table, when there is no path
 *	policy.c     what multipathd would be told: words of ours in tables and messages
 *	checker.c    what multipathd would do: probes, reinstating, giving paths up
 *	failback.c   back to a better group; enough of waiting for a path
 *	memory.c     to another process (ndmd --takeover)
 *	message.c    messages
 *	report.c     all that is known of the paths, as JSON
 *	selector.c   and one file for each selector
 */
#ifndef NDM_TARGETS_MULTIPATH_H
#define NDM_TARGETS_MULTIPATH_H

#include <ndm-target.h>

#include "targets/multipath/selector.h"

#define MPATH_DELAY_DEFAULT UINT32_MAX		/* pg_init_delay_msecs was not given */

struct mpath_group;

#define MPATH_WHY_BYTES 160

/* Of a path, for the checker and for people; times are 0 until there is one. */
struct mpath_health {
	struct ndm_link_watch watch;		/* first, likewise */
	bool watching;
	bool probing, late;			/* late: is being given up */
	bool returned;				/* its link is there again: ask at once */
	uint64_t probe_ns;			/* when the probe under way was sent */
	uint64_t alive_ns;			/* when it last answered anything */
	uint64_t busy_ns;			/* when it last went from idle to busy */
	unsigned in_flight;
	uint64_t ios, errors;
	uint64_t latency_ns;			/* of late: an average that forgets */
	int error;				/* the last that made it fail */
	uint64_t error_ns;
	char why[MPATH_WHY_BYTES];
};

struct mpath_path {
	struct mpath_health health;		/* first: see checker.c */
	struct mpath *m;
	struct mpath_group *group;
	const char *name;			/* while the table is built */
	struct ndm_dev *dev;
	const struct ndm_link_ops *link;	/* of its store; NULL: it cannot be lost */
	unsigned number;			/* from 0, over all groups */
	bool active;
	unsigned fail_count;			/* never reset */
	struct selector_path sel;
	/*
	 * Writes that ended well, and how many of them the last flush of this path covered.
	 * Different: there is something to flush.
	 */
	uint64_t writes, flushed;
};

struct mpath_group {
	unsigned number;			/* from 1 */
	bool bypassed;
	unsigned npaths;
	struct mpath_path *paths;
	struct selector selector;
};

enum mpath_failback {
	MPATH_FAILBACK_MANUAL,
	MPATH_FAILBACK_IMMEDIATE,
	MPATH_FAILBACK_FOLLOWOVER,		/* when a group's first path comes back */
	MPATH_FAILBACK_AFTER,			/* failback_ns after a better group can be used */
};

struct mpath_policy {
	uint64_t every_ns, timeout_ns;		/* checker; 0 = none */
	enum mpath_failback failback;
	uint64_t failback_ns;
	bool retry_limited;			/* no_path_retry is a number */
	unsigned retries;			/* of so many checks without a path */
	uint64_t unflushed_bytes;		/* kept at most; 0 = nothing is */
	bool unflushed_given;
	bool given;				/* any of it */
};

struct mpath {
	struct ndm_target *ti;

	bool queue_io;				/* only shown: no request has looked for a path yet */
	bool queue_if_no_path, saved_queue;	/* saved: while suspended */
	bool retain_handler, bio_mode, suspended;
	bool own_size;				/* the table line has none */
	unsigned pg_init_retries, pg_init_delay_ms;
	char *handler;				/* of the table line; NULL = none */

	unsigned ngroups, npaths, nvalid;
	struct mpath_group **groups;
	struct mpath_group *current, *next;	/* next: the group to try first, once */

	struct ndm_bio *parked, *parked_last;

	struct mpath_policy policy;
	bool checking, check_stop;		/* the checker runs; is to end */
	struct ndm_waitq checker_q;		/* it waits here */
	unsigned probes;			/* tasks under way */
	uint64_t no_path_ns;			/* since when; 0 = there is one */
	bool gave_up;				/* queueing was switched off after the retries */
	uint64_t better_ns;			/* since when a better group could be used */
	bool followover;			/* a group has got its first path back */

	struct unflushed *unflushed;		/* NULL: nothing is kept */
	uint64_t upsets;			/* paths failed, resends begun: since the last one
						 * what was written may not be where it was */
	bool resending, resend_failed;
	bool barrier;				/* requests wait for a resend */
	unsigned changing;			/* WRITE, ZEROES, DISCARD on a path */
	struct ndm_waitq resend_q;
	bool own_flush;				/* to make room for unflushed writes */
	struct ndm_bio *unacked, *unacked_last;	/* writes that end when it has */
};

/* What belongs to a request while it is ours. */
struct mpath_io {
	struct mpath_path *path;		/* NULL: it is on none */
	uint64_t sector, bytes;
	uint64_t start_ns;			/* 0: nobody wants to know */
	uint64_t covers;			/* state of the unflushed log when it was sent */
	uint64_t flush_writes;			/* FLUSH: path->writes when it was sent */
	uint64_t upsets;			/* m->upsets when it began to wait for a flush */
	uint64_t refused;			/* bits of paths that said -EIO */
	unsigned refusals;			/* how often all of them had */
};

/* ---- table.c ---- */

struct mpath_path *mpath_path_nth(const struct mpath *, unsigned n);	/* over all groups */

/* ---- path.c ---- */

/* The path for a request of so many bytes, or NULL when none is left. */
struct mpath_path *mpath_choose(struct mpath *, uint64_t sector, uint64_t bytes);
/* why: for people; NULL where somebody has asked for it */
void mpath_fail(struct mpath *, struct mpath_path *, int error, const char *why);
void mpath_reinstate(struct mpath *, struct mpath_path *);
void mpath_group_bypass(struct mpath *, struct mpath_group *, bool bypass);
void mpath_group_switch(struct mpath *, struct mpath_group *);
/* Not the path's fault: it goes up, and the path stays. */
bool mpath_error_passes(int error);

/* ---- io.c ---- */

enum ndm_map mpath_map(struct ndm_target *, struct ndm_bio *);
enum ndm_endio mpath_end_io(struct ndm_target *, struct ndm_bio *);
/* What is parked is sent, or fails, or stays parked, as things are now. */
void mpath_kick(struct mpath *);
void mpath_park(struct mpath *, struct ndm_bio *);
/* There is no path: what becomes of the bio. */
enum ndm_map mpath_no_path(struct mpath *, struct ndm_bio *);
/* Does what a verdict says with a bio that was kept. */
void mpath_act(struct mpath *, struct ndm_bio *, enum ndm_map verdict);
void mpath_queue_if_no_path(struct mpath *, bool on, bool save);

/* ---- flush.c ---- */

/* How to send a FLUSH that has been given this path. */
enum ndm_map mpath_flush(struct mpath *, struct ndm_bio *, struct mpath_path *);
/* A flush of this path alone has ended well. */
void mpath_flushed(struct mpath *, struct mpath_path *, struct ndm_bio *);

/* ---- unflushed.c ---- */

struct unflushed *unflushed_new(uint64_t bytes_max);
void unflushed_free(struct unflushed *);
/* A write to a path has ended well; false: no room, and a part may have been noted. */
bool unflushed_note(struct unflushed *, unsigned path, const struct ndm_bio *);
/* What was noted of these sectors up to then has been overwritten in a durable way. */
void unflushed_forget(struct unflushed *, uint64_t sector, uint64_t nr, uint64_t until);
uint64_t unflushed_now(const struct unflushed *);	/* for unflushed_drop() */
/* All that was noted up to then is durable. */
void unflushed_drop(struct unflushed *, uint64_t until);
/* The path has failed: what it took is lost.  Whether anything is, now. */
bool unflushed_lose(struct unflushed *, unsigned path);
void unflushed_lose_all(struct unflushed *);
bool unflushed_lost(const struct unflushed *);
bool unflushed_half_full(const struct unflushed *);
uint64_t unflushed_bytes(const struct unflushed *);
/*
 * A walk over what is lost.  Nothing is dropped before it ends, so the bytes stay where they
 * are.
 */
struct unflushed_page { uint64_t sector; uint8_t mask; const unsigned char *bytes; };
void unflushed_walk(struct unflushed *);
bool unflushed_next(struct unflushed *, struct unflushed_page *);
void unflushed_moved(struct unflushed *, uint64_t sector, uint64_t paths);	/* bits */
void unflushed_walked(struct unflushed *);

/* ---- resend.c ---- */

/* The path is not to be relied upon any more: its unflushed writes go elsewhere. */
void mpath_lost(struct mpath *, struct mpath_path *);
/* Starts what is to be done, if it can be done now. */
void mpath_resend(struct mpath *);
/* A write has ended well; false: its end has to wait, and will be seen to. */
bool mpath_written(struct mpath *, struct mpath_path *, struct ndm_bio *);
void mpath_settle(struct mpath *) ndm_waits;	/* at the end of a suspend */

/* ---- handover.c ---- */

void mpath_hand_over(struct mpath *);		/* at the end of a suspend, if anything is left */
void mpath_take_over(struct mpath *);		/* at a resume */
void mpath_give_up(struct mpath *);		/* at the end of a table */

/* ---- memory.c ---- */

int mpath_recall(struct ndm_target *, struct ndm_str *);
int mpath_remember(struct ndm_target *, const char *, size_t bytes);

/* ---- checker.c ---- */

/* For everything that is sent to a path; start_ns 0: its time does not count. */
void mpath_path_sent(struct mpath_path *);
void mpath_path_answered(struct mpath_path *, int error, uint64_t start_ns);

void mpath_watch(struct mpath *);		/* all paths' links */
void mpath_unwatch(struct mpath *);
void mpath_check_start(struct mpath *);		/* if the policy has a checker and none runs */
void mpath_check_stop(struct mpath *) ndm_waits;	/* in the end of a suspend */
void mpath_check_now(struct mpath *);

/* ---- failback.c ---- */

void mpath_failback(struct mpath *, uint64_t now);
void mpath_came_back(struct mpath *, struct mpath_path *);

/* ---- policy.c ---- */

/* A feature word or message of ours and what follows it; 1: it is none. */
int mpath_policy_word(struct mpath *, const char *word, struct ndm_args *);

/* ---- message.c, status.c, report.c ---- */

void mpath_counters(struct ndm_target *, struct ndm_counters *);
void mpath_report(struct mpath *, struct ndm_str *);
void mpath_report_lines(struct mpath *, struct ndm_str *);

int mpath_message(struct ndm_target *, unsigned argc, char **argv, struct ndm_str *);
void mpath_status(struct ndm_target *, enum ndm_status, unsigned flags, struct ndm_str *);

static inline uint64_t mpath_path_bit(const struct mpath_path *p)
{
	return (uint64_t)1 << p->number % 64;
}

static inline bool mpath_changes_data(const struct ndm_bio *bio)
{
	return bio->op == NDM_WRITE || bio->op == NDM_ZEROES || bio->op == NDM_DISCARD;
}

static inline bool mpath_path_dirty(const struct mpath_path *p)
{
	return p->writes != p->flushed;
}

/* A flush of it has ended well that was sent when p->writes was this. */
static inline void mpath_path_flushed(struct mpath_path *p, uint64_t writes)
{
	if (writes > p->flushed)
		p->flushed = writes;
}

#endif
