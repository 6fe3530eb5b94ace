/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * move.c - `ndm move DEVICE --to DEST`: copies a volume to another place while it is in use.
 *
 * A linear device becomes a mirror of the old place and the new one; when the mirror says that
 * they agree, it becomes linear again, on the new one.  Until that moment the old place has
 * everything.  The copying is ndmd's: this program watches, and may end and be started again;
 * it finds the mirror and goes on.  A place that fails takes the device back to the old one.
 */
#include "task.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000L		/* between two looks at the progress */
#define REGION_SECTORS 1024u
#define BAR_CELLS 40u
#define WORDS_MAX 16

struct move {
	struct client *client;
	const char *device, *to;
	uint64_t nr;			/* sectors of the device */
	char *old_place, *old_at;	/* as in tables */
	char *new_place;
	bool progress, json, abort;
	double paused_s, longest_s;
	double began_s;
};

struct state { uint64_t done, total; bool failed; };

static volatile sig_atomic_t stopped;	/* a signal handler can reach nothing else */

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- what the device is ---- */

/* Asks for table or status; NULL when there is none.  The only line is at task->lines. */
static struct task *ask(struct move *m, enum task_type type)
{
	struct task *task = task_new(m->client, type);
	struct info info = { 0 };

	if (task && task_set_name(task, m->device) && task_run(task)) {
		task_info(task, &info);
		if (info.exists && task->nr_lines == 1)
			return task;
		if (!info.exists)
			say("There is no device '%s'.", m->device);
		else
			say("%s: only a device of one linear segment can be moved, this has %zu.",
			    m->device, task->nr_lines);
	}
	task_free(task);
	return NULL;
}

static unsigned split(char *text, char **words)
{
	char *rest = NULL, *word = strtok_r(text, " ", &rest);
	unsigned n = 0;

	for (; word && n < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
		words[n++] = word;
	return n;
}

/*
 * "PLACE AT" of linear, or "core N ... 2 PLACE AT PLACE AT ..." of a mirror that is ours; then
 * *moving is true.
 */
static bool take_line(struct move *m, struct line *line, bool *moving)
{
	char *words[WORDS_MAX], *end;
	unsigned n = split(line->params, words), legs;

	m->nr = line->length;
	*moving = !strcmp(line->type, "mirror");
	if (!strcmp(line->type, "linear") && n == 2) {
		m->old_place = strdup(words[0]);
		m->old_at = strdup(words[1]);
		return m->old_place && m->old_at;
	}
	legs = *moving && n > 2 && !strcmp(words[0], "core") ?
		2 + (unsigned)strtoul(words[1], &end, 10) : WORDS_MAX;
	if (legs + 5 > n || strcmp(words[legs], "2")) {
		say("%s: only a linear device can be moved, this is %s.", m->device, line->type);
		return false;
	}
	m->old_place = strdup(words[legs + 1]);
	m->old_at = strdup(words[legs + 2]);
	m->new_place = strdup(words[legs + 3]);
	return m->old_place && m->old_at && m->new_place;
}

/* "2 OLD NEW done/total 1 HEALTH ..." */
static bool look(struct move *m, struct state *state)
{
	struct task *task = ask(m, TASK_STATUS);
	char *words[WORDS_MAX];
	unsigned n = task ? split(task->lines[0].params, words) : 0;
	bool ok = n > 5 && !strcmp(words[0], "2") &&
		sscanf(words[3], "%" SCNu64 "/%" SCNu64, &state->done, &state->total) == 2;

	if (task && !ok)
		say("%s: is no mirror any more; somebody else has changed it.", m->device);
	if (ok)
		state->failed = strspn(words[5], "A") != strlen(words[5]);
	task_free(task);
	return ok;
}

/* ---- changing it ---- */

static bool run_simple(struct move *m, enum task_type type)
{
	struct task *task = task_new(m->client, type);
	bool ok = task && task_set_name(task, m->device) && task_run(task);

	task_free(task);
	return ok;
}

/* Loads the table, and swaps it in: nothing happens to the device when it cannot be loaded. */
static bool change(struct move *m, const char *type, char *params)
{
	struct task *load = task_new(m->client, TASK_RELOAD);
	bool ok = load && params && task_set_name(load, m->device) &&
		task_add_line(load, 0, m->nr, type, params) && task_run(load);
	double before = now_s(), s;

	if (ok) {
		ok = run_simple(m, TASK_SUSPEND);
		ok = run_simple(m, TASK_RESUME) && ok;
		s = now_s() - before;
		m->paused_s += s;
		m->longest_s = s > m->longest_s ? s : m->longest_s;
	}
	free(params);
	task_free(load);
	return ok;
}

static bool go_back(struct move *m)
{
	return change(m, "linear", text_format("%s %s", m->old_place, m->old_at));
}

/* ---- telling ---- */

static void tell(const struct move *m, const struct state *state)
{
	double part = state->total ? (double)state->done / (double)state->total : 1;
	double mib = (double)m->nr / 2048, s = now_s() - m->began_s;
	struct json json = { .out = stdout, .first = true, .one_line = true };
	unsigned i;

	if (m->json) {
		json_open(&json, '{');
		json_name(&json, "done_bytes");
		json_number(&json, (uint64_t)(part * (double)m->nr) * 512);
		json_name(&json, "total_bytes");
		json_number(&json, m->nr * 512);
		json_name(&json, "seconds");
		json_real(&json, s);
		json_close(&json, '}');
	} else if (m->progress) {
		printf("%s[", isatty(1) ? "\r" : "");
		for (i = 0; i < BAR_CELLS; i++)
			putchar(i < (unsigned)(part * BAR_CELLS) ? '#' : '.');
		printf("] %3.0f%%  %.0f/%.0f MiB  %.0f s%s", part * 100, part * mib, mib, s,
		       isatty(1) ? "" : "\n");
	}
	fflush(stdout);
}

static void tell_end(const struct move *m)
{
	struct json json = { .out = stdout, .first = true, .one_line = true };

	if (!m->json) {
		printf("%s%s: moved to %s; longest pause %.0f ms\n",
		       m->progress && isatty(1) ? "\n" : "", m->device, m->new_place,
		       m->longest_s * 1e3);
		return;
	}
	json_open(&json, '{');
	json_name(&json, "moved");
	json_bool(&json, true);
	json_name(&json, "to");
	json_string(&json, m->new_place);
	json_name(&json, "longest_pause_ms");
	json_real(&json, m->longest_s * 1e3);
	json_name(&json, "seconds");
	json_real(&json, now_s() - m->began_s);
	json_close(&json, '}');
}

/* ---- */

/* Until both places agree: 1; 0: something is wrong; -1: a signal came. */
static int watch(struct move *m)
{
	struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t told = UINT64_MAX;
	struct state state;

	while (!stopped) {
		if (!look(m, &state))
			return 0;
		if (state.failed) {
			say("%s: a place failed while it was copied (%" PRIu64 " of %" PRIu64
			    " regions); back to %s.", m->device, state.done, state.total,
			    m->old_place);
			go_back(m);
			return 0;
		}
		if (state.done != told)
			tell(m, &state);
		told = state.done;
		if (state.done == state.total)
			return 1;
		nanosleep(&pause, NULL);
	}
	return -1;
}

static int run(struct move *m)
{
	struct task *task = ask(m, TASK_TABLE);
	bool moving = false, ok = task && take_line(m, &task->lines[0], &moving);
	int result;

	task_free(task);
	if (!ok)
		return 1;
	if (m->abort) {
		if (moving)
			return go_back(m) ? 0 : 1;
		say("%s: is not being moved.", m->device);
		return 1;
	}
	m->began_s = now_s();
	if (!moving) {
		m->new_place = strdup(m->to);
		if (!m->new_place ||
		    !change(m, "mirror", text_format("core 1 %u 2 %s %s %s 0 1 handle_errors",
						     REGION_SECTORS, m->old_place, m->old_at,
						     m->to)))
			return 1;
	}
	result = watch(m);
	if (result < 0)
		say("%s: ndmd goes on copying; the same command goes on watching, --abort goes back.",
		    m->device);
	if (result <= 0 || !change(m, "linear", text_format("%s 0", m->new_place)))
		return 1;
	tell_end(m);
	return 0;
}

int move_main(struct client *client, int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' }, { "progress", no_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' }, { "abort", no_argument, NULL, 'a' }, { 0 }
	};
	struct move m = { .client = client, .json = client->json };
	struct sigaction action = { .sa_handler = stop };
	int option, status;

	optind = 0;
	while ((option = getopt_long(argc, argv, "j", options, NULL)) >= 0) {
		if (option == 't')
			m.to = optarg;
		else if (option == 'p')
			m.progress = true;
		else if (option == 'j')
			m.json = true;
		else if (option == 'a')
			m.abort = true;
		else
			return 1;
	}
	if (optind + 1 != argc || !m.to == !m.abort) {
		say("Usage: ndm move DEVICE --to DEST [--progress] [-j]; ndm move DEVICE --abort");
		return 1;
	}
	m.device = argv[optind];
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = run(&m);
	free(m.old_place);
	free(m.old_at);
	free(m.new_place);
	return status;
}
