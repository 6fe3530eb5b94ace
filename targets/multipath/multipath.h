/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multipath.h - what the files of the multipath target share.
 *
 *	table.c      constructor and destructor: the table line
 *	status.c     status and table lines, as the kernel prints them
 *	path.c       which path takes a request; failing and reinstating paths; groups
 *	io.c         requests: sent, failed over, parked while there is no path
 *	flush.c      FLUSH, to every path that has something to flush
 *	message.c    messages
 *	selector.c   and one file for each selector
 */
#ifndef NDM_TARGETS_MULTIPATH_H
#define NDM_TARGETS_MULTIPATH_H

#include <ndm-target.h>

#include "targets/multipath/selector.h"

#define MPATH_DELAY_DEFAULT UINT32_MAX		/* pg_init_delay_msecs was not given */

struct mpath_group;

struct mpath_path {
	struct mpath_group *group;
	struct ndm_dev *dev;
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

struct mpath {
	struct ndm_target *ti;

	bool queue_io;				/* only shown: no request has looked for a path yet */
	bool queue_if_no_path, saved_queue;	/* saved: while suspended */
	bool retain_handler, bio_mode, suspended;
	unsigned pg_init_retries, pg_init_delay_ms;
	char *handler;				/* of the table line; NULL = none */

	unsigned ngroups, npaths, nvalid;
	struct mpath_group **groups;
	struct mpath_group *current, *next;	/* next: the group to try first, once */

	struct ndm_bio *parked, *parked_last;
};

/* What belongs to a request while it is ours. */
struct mpath_io {
	struct mpath_path *path;		/* NULL: it is on none */
	uint64_t sector, bytes;
	uint64_t start_ns;			/* 0: nobody wants to know */
	uint64_t flush_writes;			/* FLUSH: path->writes when it was sent */
	uint64_t refused;			/* paths whose server itself said no; bit = number % 64 */
};

/* ---- table.c ---- */

struct mpath_path *mpath_path_nth(const struct mpath *, unsigned n);	/* over all groups */

/* ---- path.c ---- */

/* The path for a request of so many bytes, or NULL when none is left. */
struct mpath_path *mpath_choose(struct mpath *, uint64_t sector, uint64_t bytes);
void mpath_fail(struct mpath *, struct mpath_path *);
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

/* ---- message.c, status.c ---- */

int mpath_message(struct ndm_target *, unsigned argc, char **argv, struct ndm_str *);
void mpath_status(struct ndm_target *, enum ndm_status, unsigned flags, struct ndm_str *);

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
