/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explore.c - runs a check on states that a power cut may leave, in several processes.
 *
 * A flush makes durable what is before it in the log.  Between two flushes the log has FUA
 * writes, durable one by one as they come, then the writes that the second flush made durable;
 * until it ended any of those may be missing.  So for the flush at entry f, and p the flush
 * before it, these states are looked at: all up to f; and all up to p, the FUA writes between,
 * and a subset of the other writes between: every one if there are few, else some by dice.
 *
 * Each process has an image that goes forward with the flushes; a state is a copy of it with
 * the rest applied, so that the check may write to it.
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN_MAX 10
#define SUBSETS_ALL_BITS 16

struct candidate {
	uint64_t from, end;			/* entries of its own: those behind the last flush */
	uint64_t subset;			/* 0: nothing is missing */
	uint64_t flush;				/* its number, from 1 */
	int status;				/* of the check; -1: it was not run */
};

struct plan { struct candidate *list; size_t n, room; };

struct worker { char base[96], image[96]; uint64_t at; };

struct outcome { size_t i; int status; };

/* ---- scratch files, checks ---- */

bool scratch_make(char path[64])
{
	const char *dir = getenv("TMPDIR");

	snprintf(path, 64, "%s/ndm-replay.XXXXXX", dir && strlen(dir) < 40 ? dir : "/tmp");
	if (mkdtemp(path))
		return true;
	say("%s: %s", path, strerror(errno));
	return false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_remove(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int check_run(const char *command, const char *image, bool verbose)
{
	pid_t pid = fork();
	int status, null;

	if (pid < 0)
		return -1;
	if (!pid) {
		null = verbose ? -1 : open("/dev/null", O_RDWR);
		if (null >= 0) {
			dup2(null, 1);
			dup2(null, 2);
		}
		setenv("image", image, 1);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- states ---- */

static uint64_t dice(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool at_risk(const struct entry *e)
{
	return e->nr && !(e->flags & (LOG_MARK | LOG_FLUSH | LOG_FUA));
}

static uint64_t nr_at_risk(const struct log *log, uint64_t from, uint64_t end)
{
	uint64_t n = 0;

	for (; from < end; from++)
		n += at_risk(&log->entries[from]);
	return n;
}

/*
 * Is the k-th of n writes missing in that subset?  Beside plain coins: one alone is missing; one
 * alone is there; all behind some place are missing.  These find most mistakes of order.
 */
static bool is_missing(const struct explore *x, const struct candidate *c, uint64_t k, uint64_t n,
		       uint64_t *coins)
{
	uint64_t state = x->seed * 1000003 + c->from * 8191 + c->subset;
	uint64_t pick;

	if (n <= SUBSETS_ALL_BITS && (UINT64_C(1) << n) - 1 <= x->subsets)
		return c->subset >> k & 1;
	pick = dice(&state) % n;
	switch (c->subset % 4) {
	case 0:
		return dice(coins) & 1;
	case 1:
		return k == pick;
	case 2:
		return n == 1 || k != pick;
	default:
		return k >= pick;
	}
}

static bool candidate_state(const struct explore *x, const struct candidate *c,
			    struct state *state)
{
	const struct entry *entries = x->src.log->entries;
	uint64_t n = nr_at_risk(x->src.log, c->from, c->end), i, k = 0;
	uint64_t coins = x->seed ^ c->end << 20 ^ c->subset;

	*state = (struct state){ .end = c->end, .omit = calloc(n + 1, sizeof(uint64_t)) };
	if (!state->omit)
		return false;
	for (i = c->from; c->subset && i < c->end; i++)
		if (at_risk(&entries[i]) && is_missing(x, c, k++, n, &coins))
			state->omit[state->nr_omit++] = i;
	return true;
}

/* A flush with data of its own (PREFLUSH) writes that when the flush is done: not with gaps. */
static void omit_flush_data(const struct explore *x, struct state *state)
{
	const struct entry *last = &x->src.log->entries[state->end - 1];

	if (state->nr_omit && last->flags & LOG_FLUSH && last->nr)
		state->omit[state->nr_omit++] = state->end - 1;
}

static bool plan_add(struct plan *p, struct candidate c)
{
	if (p->n == p->room) {
		void *more = realloc(p->list, (2 * p->room + 64) * sizeof(*p->list));

		if (!more)
			return false;
		p->list = more;
		p->room = 2 * p->room + 64;
	}
	c.status = -1;
	p->list[p->n++] = c;
	return true;
}

static bool plan_epoch(const struct explore *x, struct plan *p, uint64_t from, uint64_t end,
		       uint64_t flush)
{
	uint64_t n = nr_at_risk(x->src.log, from, end), subsets = x->subsets, j;

	if (n <= SUBSETS_ALL_BITS && (UINT64_C(1) << n) - 1 < subsets)
		subsets = (UINT64_C(1) << n) - 1;
	for (j = 0; j <= (n ? subsets : 0); j++)
		if (!plan_add(p, (struct candidate){ .from = from, .end = end, .flush = flush,
						     .subset = j }))
			return false;
	return true;
}

static bool plan_make(const struct explore *x, struct plan *p)
{
	const struct log *log = x->src.log;
	uint64_t i, from = 0, flushes = 0;
	bool ok = true;

	for (i = 0; ok && i < x->end; i++) {
		bool last = i + 1 == log->nr && from < i;
		bool flush = log->entries[i].flags & LOG_FLUSH;

		flushes += flush;
		if (x->each_fua && !flush && log->entries[i].flags & LOG_FUA && i >= x->first)
			ok = plan_add(p, (struct candidate){ .from = from, .end = i + 1,
							     .flush = flushes });
		if (!flush && !last)
			continue;
		if (ok && x->each_flush && i >= x->first)
			ok = plan_epoch(x, p, from, i + 1, flushes);
		from = i + 1;
	}
	return ok;
}

/* ---- a process ---- */

static bool worker_make(struct worker *w, const struct explore *x, const char *scratch,
			unsigned nr)
{
	snprintf(w->base, sizeof(w->base), "%s/base.%u", scratch, nr);
	snprintf(w->image, sizeof(w->image), "%s/image.%u", scratch, nr);
	w->at = 0;
	return image_from_base(&x->src, w->base);
}

static bool apply_to(const struct explore *x, const char *path, uint64_t from,
		     const struct state *state)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool ok = fd >= 0 && entries_apply(&x->src, from, state, fd, path);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Makes the image of a state and checks it: the status, or -1 when that could not be done. */
static int worker_check(struct worker *w, const struct explore *x, uint64_t from,
			const struct state *state)
{
	struct state before = { .end = from };

	if (!apply_to(x, w->base, w->at, &before))
		return -1;
	w->at = from;
	if (!image_copy(w->base, w->image) || !apply_to(x, w->image, from, state))
		return -1;
	return check_run(x->command, w->image, x->verbose);
}

static void worker_main(const struct explore *x, const struct plan *p, const char *scratch,
			unsigned nr, int to)
{
	struct worker w;
	bool ok = worker_make(&w, x, scratch, nr);
	size_t i;

	for (i = nr; ok && i < p->n; i += x->jobs) {
		struct outcome o = { .i = i, .status = -1 };
		struct state state;

		ok = candidate_state(x, &p->list[i], &state);
		if (ok) {
			omit_flush_data(x, &state);
			o.status = worker_check(&w, x, p->list[i].from, &state);
			free(state.omit);
			ok = o.status >= 0 && write(to, &o, sizeof(o)) == sizeof(o);
		}
	}
	_exit(ok ? 0 : 1);
}

/* ---- all of them ---- */

static bool collect(struct plan *p, int from)
{
	struct outcome o;
	ssize_t n;

	for (;;) {
		n = read(from, &o, sizeof(o));
		if (n < 0 && errno == EINTR && !replay_stopped)
			continue;
		if (n != sizeof(o))
			return n == 0;
		p->list[o.i].status = o.status;
	}
}

static bool run_all(struct explore *x, struct plan *p, const char *scratch)
{
	unsigned started, i;
	pid_t pids[64];
	bool ok = true;
	int fds[2], status;

	if (pipe2(fds, O_CLOEXEC)) {
		say("pipe: %s", strerror(errno));
		return false;
	}
	fflush(stdout);
	for (started = 0; started < x->jobs; started++) {
		pids[started] = fork();
		if (pids[started] < 0) {
			say("fork: %s", strerror(errno));
			ok = false;
			break;
		}
		if (!pids[started]) {
			close(fds[0]);
			worker_main(x, p, scratch, started, fds[1]);
		}
	}
	close(fds[1]);
	ok = collect(p, fds[0]) && ok;
	close(fds[0]);
	for (i = 0; i < started; i++) {
		if (replay_stopped)
			kill(pids[i], SIGTERM);
		while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
			continue;
		ok = ok && WIFEXITED(status) && !WEXITSTATUS(status);
	}
	return ok && !replay_stopped;
}

/* ---- the smallest set ---- */

struct trial { struct explore *x; struct worker *w; const struct candidate *c; };

static bool trial_fails(void *arg, const uint64_t *set, size_t n)
{
	struct trial *t = arg;
	struct state state = { .end = t->c->end, .omit = calloc(n + 1, sizeof(*set)),
			       .nr_omit = n };
	bool fails = false;

	if (state.omit && !replay_stopped) {
		memcpy(state.omit, set, n * sizeof(*set));
		omit_flush_data(t->x, &state);
		fails = worker_check(t->w, t->x, t->c->from, &state) > 0;
	}
	free(state.omit);
	return fails;
}

static bool smallest(struct explore *x, const struct candidate *c, const char *scratch,
		     struct state *state)
{
	struct worker w;
	struct trial t = { .x = x, .w = &w, .c = c };

	if (!candidate_state(x, c, state))
		return false;
	if (state->nr_omit > 1 && worker_make(&w, x, scratch, x->jobs))
		shrink(state->omit, &state->nr_omit, trial_fails, &t);
	return true;
}

/* ---- words ---- */

static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	putchar('\'');
}

static void print_failure(const struct explore *x, const struct candidate *c, struct state *state)
{
	const struct log *log = x->src.log;
	size_t i;

	for (i = 0; i < state->nr_omit; i++)
		printf("%s entry %" PRIu64 " (sector %" PRIu64 " +%" PRIu64 ")",
		       i ? "," : "  minimal missing set:", state->omit[i],
		       log->entries[state->omit[i]].sector, log->entries[state->omit[i]].nr);
	if (!state->nr_omit)
		printf("  nothing is missing");
	omit_flush_data(x, state);
	printf("\n  rerun: %s --log %s", x->program, log->path);
	if (x->src.base)
		printf(" --base %s", x->src.base);
	printf(" --to-entry %" PRIu64, c->end - 1);
	for (i = 0; i < state->nr_omit; i++)
		printf("%s%" PRIu64, i ? "," : " --omit ", state->omit[i]);
	printf(" --check ");
	print_quoted(x->command);
	putchar('\n');
}

static void print_json(const struct plan *p, size_t failed, const struct candidate *first,
		       const struct state *state)
{
	struct json json = { .out = stdout, .first = true };
	size_t i;

	json_open(&json, '{');
	json_name(&json, "states");
	json_number(&json, p->n);
	json_name(&json, "ok");
	json_number(&json, p->n - failed);
	json_name(&json, "failed");
	json_open(&json, '[');
	for (i = 0; i < p->n; i++) {
		if (p->list[i].status <= 0)
			continue;
		json_open(&json, '{');
		json_name(&json, "entry");
		json_number(&json, p->list[i].end - 1);
		json_name(&json, "flush");
		json_number(&json, p->list[i].flush);
		json_name(&json, "status");
		json_number(&json, (uint64_t)p->list[i].status);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	if (first) {
		size_t k;

		json_name(&json, "minimal_missing_set");
		json_open(&json, '[');
		for (k = 0; k < state->nr_omit; k++)
			json_number(&json, state->omit[k]);
		json_close(&json, ']');
	}
	json_close(&json, '}');
}

static int report(struct explore *x, const struct plan *p, const char *scratch)
{
	const struct candidate *first = NULL, *c;
	struct state state = { 0 };
	size_t i, failed = 0;

	for (i = 0; i < p->n; i++) {
		if (p->list[i].status <= 0)
			continue;
		first = first ? first : &p->list[i];
		failed++;
	}
	if (first && !smallest(x, first, scratch, &state))
		return 1;
	if (x->json) {
		print_json(p, failed, first, &state);
		free(state.omit);
		return failed ? 2 : 0;
	}
	printf("states %zu  ok %zu", p->n, p->n - failed);
	if (failed)
		printf("  FAILED %zu:", failed);
	for (c = p->list, i = 0; c < p->list + p->n && i < SHOWN_MAX; c++)
		if (c->status > 0)
			printf("%s entry %" PRIu64 " (flush %" PRIu64 ")", i++ ? "," : "",
			       c->end - 1, c->flush);
	puts(failed > SHOWN_MAX ? " ..." : "");
	if (first)
		print_failure(x, first, &state);
	free(state.omit);
	return failed ? 2 : 0;
}

int explore_run(struct explore *x)
{
	struct plan p = { 0 };
	char scratch[64];
	int status = 1;

	if (!scratch_make(scratch))
		return 1;
	if (plan_make(x, &p) && run_all(x, &p, scratch))
		status = report(x, &p, scratch);
	else
		say("%s", replay_stopped ? "Interrupted." : "Not all states could be checked.");
	scratch_remove(scratch);
	free(p.list);
	return status;
}

int explore_one(struct explore *x, const struct state *state)
{
	char scratch[64];
	struct worker w;
	int status = -1;

	if (!scratch_make(scratch))
		return 1;
	if (worker_make(&w, x, scratch, 0))
		status = worker_check(&w, x, 0, state);
	scratch_remove(scratch);
	if (status >= 0)
		printf("%s: status %d\n", status ? "FAILED" : "ok", status);
	return status < 0 ? 1 : status ? 2 : 0;
}
