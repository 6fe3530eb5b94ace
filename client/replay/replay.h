/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.h - `ndm replay-log`: what a log of dm-log-writes says, the states of a disk that it
 * allows, and what is done with them.
 *
 * Entries are numbered from 0, as the tools for such logs do.  Sectors are 512 bytes, whatever
 * the unit of the log.  Functions that return bool have said what is wrong when it is false.
 */
#ifndef NDM_CLIENT_REPLAY_H
#define NDM_CLIENT_REPLAY_H

#include "client/client.h"

#include <signal.h>
#include <sys/types.h>

enum { LOG_FLUSH = 1, LOG_FUA = 2, LOG_DISCARD = 4, LOG_MARK = 8, LOG_METADATA = 16 };

struct entry {
	uint64_t sector, nr;
	uint64_t flags;
	uint64_t at_bytes;		/* where its data is in the log */
	char *mark;			/* text of a mark, else NULL */
};

struct log {
	char *path;
	int fd;
	unsigned unit_bytes;		/* "sector" of the log */
	struct entry *entries;
	uint64_t nr;
	uint64_t end_sector;		/* behind the last sector that it writes */
};

/* log.c */
bool log_open(struct log *log, const char *path);
void log_close(struct log *log);
bool log_has_data(const struct entry *e);
/* the first mark of that text at or after `from`; log->nr if there is none */
uint64_t log_find_mark(const struct log *log, uint64_t from, const char *mark);
void log_print(const struct log *log, uint64_t i, FILE *out);

/*
 * A state: the entries from 0 up to `end` (not included), without those in `omit`, over a base.
 * omit ascends.
 */
struct state {
	uint64_t end;
	uint64_t *omit;
	size_t nr_omit;
};
bool state_omits(const struct state *state, uint64_t i);

/* state.c: images */
struct image_source {
	const struct log *log;
	const char *base;		/* NULL: zeroes */
	bool no_discard;
};
/* Applies entries from..end-1 of a state to an open file or block device. */
bool entries_apply(const struct image_source *src, uint64_t from, const struct state *state,
		   int fd, const char *name);
bool image_from_base(const struct image_source *src, const char *path);
bool image_copy(const char *from, const char *to);

/* explore.c */
struct explore {
	struct image_source src;
	const char *command;		/* for /bin/sh; the image's path is in $image */
	uint64_t first, end;		/* which entries' flushes are looked at */
	bool each_flush, each_fua;
	unsigned subsets;		/* for each flush: states that it makes impossible afterwards */
	uint64_t seed;
	unsigned jobs;
	bool verbose, json;
	const char *program;		/* for the line that does it again */
};
int explore_run(struct explore *x);		/* exit status */
int explore_one(struct explore *x, const struct state *state);
bool scratch_make(char path[64]);
void scratch_remove(const char *path);
/* runs the command; 0, its exit status, or 128 and the signal's number */
int check_run(const char *command, const char *image, bool verbose);

/* shrink.c: delta debugging.  fails(arg, set, n) tells; *set shrinks in place. */
typedef bool shrink_test(void *arg, const uint64_t *set, size_t n);
void shrink(uint64_t *set, size_t *n, shrink_test *fails, void *arg);

/* serve.c */
int serve_state(struct client *client, const struct image_source *src, const struct state *state,
		const char *socket_path);

extern volatile sig_atomic_t replay_stopped;	/* a signal came */

#endif
