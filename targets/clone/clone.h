/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clone.h - what the files of the clone target share.
 *
 *	map.c		which regions are hydrated, in memory and on the metadata device
 *	hydrate.c	copying regions, for writes that wait and in the background
 *	clone.c		the target
 *
 * A region is hydrated when the destination has it: it was copied there, written as a whole, or
 * discarded.  All others are read from the source.
 */
#ifndef NDM_TARGETS_CLONE_H
#define NDM_TARGETS_CLONE_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/crew.h"
#include "lib/kit/patient.h"
#include "lib/meta/array.h"

enum clone_mode { CLONE_WRITE, CLONE_READ_ONLY, CLONE_FAIL };

struct clone_dirty {				/* words of the map that the disk does not have yet */
	uint64_t *words;
	uint64_t first, end;			/* none outside of these; first == end: none */
};

struct clone_map {
	struct meta *m;
	uint64_t region_sectors, target_sectors, regions, root;
	uint64_t hydrated;			/* how many */
	uint64_t *words;			/* bit: the region is hydrated */
	struct clone_dirty dirty[2];
	unsigned current;			/* that which new bits go to; the other is being committed */
	bool committing;
};

struct clone_copy {				/* regions that are being hydrated */
	uint64_t first, nr;
	struct clone_copy *next;
	struct ndm_waitq done;
	bool ended;
	int error;
	unsigned refs;
};

struct clone {
	struct ndm_target *ti;
	struct ndm_dev *meta_dev, *dest, *source;
	struct clone_map map;
	enum clone_mode mode;
	bool hydration, passdown;		/* as messages and devices have it */
	unsigned threshold, batch;
	struct ndm_str words;			/* of the table, behind the devices */

	bool running;				/* between resume and suspend */
	bool fresh;				/* not resumed since it was made */
	unsigned ios;				/* requests in flight: no hydration in the background */
	struct clone_copy *copies;
	unsigned hydrating;			/* regions */
	uint64_t offset;			/* where the background looks next */
	struct ndm_mutex lock;			/* commits */
	struct ndm_timer waker;
	uint64_t committed_ns;
	struct crew tasks;
};

/* map.c; what waits is called under the lock */
int clone_map_open(struct ndm_target *, struct ndm_store *, struct clone_map *) ndm_waits;
int clone_map_load(struct clone_map *) ndm_waits;	/* what the disk says, and nothing else */
void clone_map_close(struct clone_map *);
bool clone_map_get(const struct clone_map *, uint64_t region);
bool clone_map_range(const struct clone_map *, uint64_t first, uint64_t nr);
/* the next region that is not hydrated, or the number of regions */
uint64_t clone_map_next(const struct clone_map *, uint64_t from);
void clone_map_set(struct clone_map *, uint64_t region);
bool clone_map_changed(const struct clone_map *);
void clone_map_freeze(struct clone_map *);	/* what is dirty now is what will be committed */
int clone_map_commit(struct clone_map *) ndm_waits;

/* hydrate.c */
/* 0 when the region is hydrated; bio: a write of all of it, which is then done, too */
int clone_hydrate(struct clone *, uint64_t region, struct ndm_bio *bio, bool *written) ndm_waits;
void clone_wait_copies(struct clone *, uint64_t first, uint64_t nr) ndm_waits;
void clone_background(struct clone *);		/* starts copies if it may */

/* clone.c */
/* makes durable what is hydrated; *flushed: the destination has been flushed for it */
int clone_commit(struct clone *, bool *flushed) ndm_waits;

#endif
