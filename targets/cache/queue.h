/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.h - entries in lists stacked by level, for the policy (smq.c).
 *
 * Entries are in one array and named by index.  A sentinel is an entry that only marks a place
 * in its list: what stands before it has been there for a while.
 */
#ifndef NDM_TARGETS_CACHE_QUEUE_H
#define NDM_TARGETS_CACHE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define QUEUE_NONE UINT32_MAX
#define QUEUE_LEVELS 64u

struct queue_entry {
	uint64_t oblock;
	uint32_t hash_next, prev, next;
	uint8_t level;
	bool dirty, allocated, sentinel, pending;
};

struct queue_list { uint32_t head, tail, n; };	/* n: without sentinels */

struct queue {
	struct queue_entry *entries;
	struct queue_list levels[QUEUE_LEVELS];
	uint32_t n, targets_for;		/* entries; for how many the targets were made */
	uint32_t top_levels, in_top;		/* the top ones are to hold so many in all */
	uint32_t targets[QUEUE_LEVELS];
};

void list_init(struct queue_list *);
void list_add_head(struct queue_entry *, struct queue_list *, uint32_t e);
void list_add_tail(struct queue_entry *, struct queue_list *, uint32_t e);
void list_del(struct queue_entry *, struct queue_list *, uint32_t e);

void queue_init(struct queue *, struct queue_entry *);
void queue_push(struct queue *, uint32_t e);		/* to the end of its level */
void queue_push_front(struct queue *, uint32_t e);
void queue_del(struct queue *, uint32_t e);
/* the oldest entry of the lowest level, below `levels`; cross: also behind sentinels */
uint32_t queue_peek(const struct queue *, uint32_t levels, bool cross);
/* up by so many levels, in exchange for one from there; s1, s2: where that one goes, or NONE */
void queue_raise(struct queue *, uint32_t e, uint32_t by, uint32_t s1, uint32_t s2);
void queue_redistribute(struct queue *);		/* levels get their targets again */

#endif
