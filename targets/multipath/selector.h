/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selector.h - path selectors: who of a group's valid paths takes the next request.
 *
 * A selector keeps the valid paths of its group in a list; the order of that list is part of
 * what it remembers, and is the kernel's.  Everything is called on the loop of the target and
 * nothing may wait.
 */
#ifndef NDM_TARGETS_MULTIPATH_SELECTOR_H
#define NDM_TARGETS_MULTIPATH_SELECTOR_H

#include <ndm-target.h>

#define SELECTOR_CPUS 256			/* io-affinity: bits of a mask */
#define SELECTOR_MASK_WORDS (SELECTOR_CPUS / 32)

struct mpath_path;
struct selector;

struct selector_type {
	const char *name;
	unsigned table_args, info_args;		/* words of a path in a table line, in a status line */
	/* group arguments; NULL: whatever they are, they mean nothing */
	int (*create)(struct selector *, unsigned argc, char **argv);
	/* may refuse with ndm_error() */
	int (*add)(struct ndm_target *, struct selector *, struct mpath_path *, unsigned argc,
		   char **argv);
	struct mpath_path *(*select)(struct selector *, uint64_t sector, uint64_t bytes);
	void (*reinstate)(struct selector *, struct mpath_path *);
	void (*fail)(struct selector *, struct mpath_path *);
	/* words of the group, or of one path; each is followed by a blank */
	void (*group_words)(const struct selector *, struct ndm_str *);
	void (*table_words)(const struct mpath_path *, struct ndm_str *);
	void (*info_words)(const struct mpath_path *, struct ndm_str *);
	void (*start)(struct selector *, struct mpath_path *, uint64_t bytes);
	void (*end)(struct selector *, struct mpath_path *, uint64_t bytes, uint64_t start_ns);
	bool wants_time;			/* end() looks at start_ns */
};

struct selector {
	const struct selector_type *type;
	struct ndm_loop *loop;
	struct mpath_path *first, *last;	/* valid paths */
	unsigned nvalid;
	union {
		struct {
			unsigned weights[64], threshold;
		} hst;
		struct {
			struct mpath_path *owner[SELECTOR_CPUS];
			uint8_t owned[SELECTOR_CPUS];	/* those that have one */
			unsigned nowned;
		} cpu;
	};
};

/* What a selector remembers of one path. */
struct selector_path {
	struct mpath_path *prev, *next;		/* in the list of valid ones */
	unsigned repeat_count;			/* as printed; has no effect */
	union {
		uint64_t in_flight;		/* queue-length: requests */
		struct {
			uint64_t in_flight_bytes;
			unsigned throughput;
		} st;
		struct {
			uint64_t service, last_finish, stale_after, outstanding;
		} hst;
		struct {
			uint32_t mask[SELECTOR_MASK_WORDS];
			bool failed;
		} cpu;
	};
};

const struct selector_type *selector_find(const char *name);

/* ---- for selectors (selector.c) ---- */

struct selector_path *selector_path(struct mpath_path *);
const struct selector_path *selector_path_const(const struct mpath_path *);
void selector_add_first(struct selector *, struct mpath_path *);
void selector_add_last(struct selector *, struct mpath_path *);
void selector_del(struct selector *, struct mpath_path *);
void selector_to_last(struct selector *, struct mpath_path *);
/* [<repeat_count>], where more than 1 counts as 1 */
int selector_repeat_count(struct ndm_target *, struct selector *, struct mpath_path *,
			  const char *word);
/* %u%c: the whole word in decimal; -EINVAL otherwise */
int selector_number(const char *word, unsigned *value);

#endif
