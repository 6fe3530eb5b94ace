/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * era.h - what the files of the era target share.
 *
 *	metadata.c	the metadata: superblock, eras, writesets, digest, snapshots of it
 *	era.c		the target
 *
 * On the metadata device (lib/meta): for the current era a bitset, the writeset, of the blocks
 * written in it; a btree of earlier writesets that are yet to be digested; and an array that says
 * for each block in which digested era it was written last.  A reader takes the largest of the
 * three.
 */
#ifndef NDM_TARGETS_ERA_H
#define NDM_TARGETS_ERA_H

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/meta/array.h"

struct era_digest {				/* where it is in the oldest writeset */
	bool begun;
	uint64_t era, root, bits, at;
};

struct era_disk {				/* as in the superblock */
	uint32_t block_sectors, nr_blocks, current;
	uint32_t writeset_bits;
	uint64_t writeset;			/* bitset root; 0: there is no current writeset */
	uint64_t tree, array, snap;		/* roots; block of the metadata snapshot, 0: none */
};

struct era_meta {
	struct meta *m;
	struct era_disk now;			/* what the next commit will say */
	bool broken;				/* to be loaded anew before anything else */
	bool archived;				/* there may be something to digest */
	struct era_digest digest;
};

/* All of these but era_meta_close() are called under one lock. */
int era_meta_open(struct ndm_target *, struct ndm_store *, uint32_t block_sectors,
		  struct era_meta *) ndm_waits;
void era_meta_close(struct era_meta *);
/* What the superblock says, and nothing else; also after an error. */
int era_meta_load(struct era_meta *) ndm_waits;
int era_meta_commit(struct era_meta *) ndm_waits;
int era_meta_resize(struct era_meta *, uint64_t nr_blocks) ndm_waits;
int era_meta_mark(struct era_meta *, uint64_t block) ndm_waits;
int era_meta_archive(struct era_meta *) ndm_waits;	/* the writeset, if there is one */
int era_meta_rollover(struct era_meta *) ndm_waits;	/* archive, and begin the next era */
int era_meta_take_snap(struct era_meta *) ndm_waits;	/* commits, too */
int era_meta_drop_snap(struct era_meta *) ndm_waits;
/* some of the oldest writeset goes to the array; 1: there is more to do, 0: nothing is left */
int era_meta_digest(struct era_meta *) ndm_waits;

#endif
