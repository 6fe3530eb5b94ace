/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirty-log.h - which regions of a mirror are the same on all legs.
 *
 * A region is `region_sectors` long, a power of two.  "Clean" is what outlives a crash: no
 * write was under way.  "In sync" is what is known now.  Both start equal at resume.
 */
#ifndef NDM_KIT_DIRTY_LOG_H
#define NDM_KIT_DIRTY_LOG_H

#include <ndm-target.h>

struct dirty_log;

/*
 * type: core (<region> [sync|nosync]) or disk (<device> <region> [sync|nosync]); says why with
 * ndm_error().  flush_legs is called before anything is called clean on disk.
 */
int dirty_log_new(struct ndm_target *, const char *type, unsigned argc, char **argv,
		  int (*flush_legs)(struct ndm_target *), struct dirty_log **) ndm_waits;
void dirty_log_free(struct dirty_log *);

uint64_t dirty_log_region_sectors(const struct dirty_log *);
uint64_t dirty_log_regions(const struct dirty_log *);
uint64_t dirty_log_in_sync_count(const struct dirty_log *);

/* reads the disk log, or begins a new one; an error leaves all regions out of sync */
int dirty_log_resume(struct dirty_log *) ndm_waits;
bool dirty_log_in_sync(const struct dirty_log *, uint64_t region);
/* a write is about to begin: durable only after dirty_log_flush() */
void dirty_log_mark(struct dirty_log *, uint64_t region);
/* the last write has ended; on disk some time later */
void dirty_log_clear(struct dirty_log *, uint64_t region);
/* all marks made before are on disk when it returns 0 */
int dirty_log_flush(struct dirty_log *) ndm_waits;
bool dirty_log_touched(const struct dirty_log *);
/* the next region to copy, ascending; false when there is none at the moment */
bool dirty_log_next(struct dirty_log *, uint64_t *region);
void dirty_log_set_sync(struct dirty_log *, uint64_t region, bool in_sync);
void dirty_log_restart(struct dirty_log *);		/* look from the first region again */

/* A log in memory for another process: which regions are in sync, as lines; none of a disk's. */
void dirty_log_recall(const struct dirty_log *, struct ndm_str *);
struct memo_line;
int dirty_log_remember(struct dirty_log *, const struct memo_line *);	/* before the first resume */

void dirty_log_status(const struct dirty_log *, enum ndm_status, struct ndm_str *);

#endif
