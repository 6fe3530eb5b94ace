/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * move.c - `ndm move DEVICE --to DEST`: copies a volume to another place while it is in use.
 *
 * A linear device becomes a mirror of the old place and the new one; when the mirror says that
 * they agree, it becomes linear again, on the new one.  Until that moment the old place has
 * everything.  The copying is ndmd's: this program watches, and may end and be started again;
 * it finds the mirror and goes on.  A place that fails takes the device back to the old one.
 *
 * Segments and stripes get a device of their own meanwhile, DEVICE.moving, with the old table:
 * that is the mirror's old place, and what a way back is read from.  Targets with a state may
 * not be opened twice, and what is encrypted would arrive in the clear: they are refused.
 *
 * A watcher may be killed between any two commands.  So a table is changed by one command (a
 * resume that suspends), and DEVICE.moving is told to go with the last table that stands on it.
 * What can be left then is DEVICE.moving before there was such a table, and a mirror that was
 * loaded and never resumed: whoever calls next clears them up.  DEVICE.moving is known by its
 * UUID, lest somebody's own device of that name be taken for it.
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
	char *to_word;			/* as in tables */
	uint64_t nr;			/* sectors of the device */
	char *old_place, *old_at;	/* as in tables */
	char *new_place;
	char *helper, *helper_uuid;	/* DEVICE.moving */
	bool helped;			/* it is the old place */
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

/* Asks for table or status; NULL when there is none.  The lines are at task->lines. */
static struct task *ask(struct move *m, const char *device, enum task_type type)
{
	struct task *task = task_new(m->client, type);
	struct info info = { 0 };

	if (task && task_set_name(task, device) && task_run(task)) {
		task_info(task, &info);
		if (info.exists && task->nr_lines)
			return task;
		say(info.exists ? "%s: has no table." : "There is no device '%s'.", device);
	}
	task_free(task);
	return NULL;
}

/* As tables spell a device: its number, or the path of its node. */
static bool place_is(const struct move *m, const char *place, const char *name)
{
	const char *node = strstr(place, "/mapper/");
	struct task *task;
	struct info info = { 0 };
	unsigned major, minor;

	if (node)
		return !strcmp(node + 8, name);
	if (sscanf(place, "%u:%u", &major, &minor) != 2)
		return false;
	task = task_new(m->client, TASK_INFO);
	if (task && task_set_name(task, name) && task_run(task))
		task_info(task, &info);
	task_free(task);
	return info.exists && info.major == major && info.minor == minor;
}

/* In place; a blank behind a backslash belongs to its word. */
static unsigned split(char *text, char **words)
{
	unsigned n = 0;

	while (n < WORDS_MAX) {
		while (*text == ' ')
			*text++ = '\0';
		if (!*text)
			break;
		words[n++] = text;
		while (*text && *text != ' ')
			text += *text == '\\' && text[1] ? 2 : 1;
	}
	return n;
}

static bool refuse(const struct move *m, const char *type)
{
	say("%s: only linear and striped segments can be moved, this is %s.", m->device, type);
	return false;
}

/*
 * "PLACE AT" of linear, or "core N ... 2 PLACE AT PLACE AT ..." of a mirror that is ours
 * (moving).
 */
static bool take_line(struct move *m, struct line *line, bool moving)
{
	char *words[WORDS_MAX], *end;
	unsigned n = split(line->params, words), legs;

	if (!moving && n == 2) {
		m->old_place = strdup(words[0]);
		m->old_at = strdup(words[1]);
		return m->old_place && m->old_at;
	}
	legs = moving && n > 2 && !strcmp(words[0], "core") ?
		2 + (unsigned)strtoul(words[1], &end, 10) : WORDS_MAX;
	if (legs + 5 > n || strcmp(words[legs], "2"))
		return refuse(m, line->type);
	m->old_place = strdup(words[legs + 1]);
	m->old_at = strdup(words[legs + 2]);
	m->new_place = strdup(words[legs + 3]);
	m->helped = m->old_place && place_is(m, m->old_place, m->helper);
	return m->old_place && m->old_at && m->new_place;
}

/* What the device is now, whether a move has begun, and what the old place is. */
static bool take_table(struct move *m, struct task *task, bool *moving)
{
	const struct line *last = &task->lines[task->nr_lines - 1];
	size_t i;

	m->nr = last->start + last->length;
	*moving = task->nr_lines == 1 && !strcmp(last->type, "mirror");
	if (*moving || (task->nr_lines == 1 && !strcmp(last->type, "linear")))
		return take_line(m, task->lines, *moving);
	for (i = 0; i < task->nr_lines; i++)
		if (strcmp(task->lines[i].type, "linear") && strcmp(task->lines[i].type, "striped"))
			return refuse(m, task->lines[i].type);
	m->helped = true;
	m->old_place = text_format("/dev/mapper/%s", m->helper);
	m->old_at = strdup("0");
	return m->old_place && m->old_at;
}

/* "2 OLD NEW done/total 1 HEALTH ..." */
static bool look(struct move *m, struct state *state)
{
	struct task *task = ask(m, m->device, TASK_STATUS);
	char *words[WORDS_MAX];
	unsigned n = task ? split(task->lines[0].params, words) : 0;
	bool ok = n > 5 && task->nr_lines == 1 && !strcmp(words[0], "2") &&
		sscanf(words[3], "%" SCNu64 "/%" SCNu64, &state->done, &state->total) == 2;

	if (task && !ok)
		say("%s: is no mirror any more; somebody else has changed it.", m->device);
	if (ok)
		state->failed = strspn(words[5], "A") != strlen(words[5]);
	task_free(task);
	return ok;
}

/* ---- changing it ---- */

static bool run_simple(struct move *m, const char *device, enum task_type type)
{
	struct task *task = task_new(m->client, type);
	bool ok = task && task_set_name(task, device) && task_run(task);

	task_free(task);
	return ok;
}

/* Its words are as tables have them. */
static bool add_line(struct task *to, uint64_t start, uint64_t length, const char *type,
		     const char *params)
{
	if (!task_add_line(to, start, length, type, params))
		return false;
	to->lines[to->nr_lines - 1].escaped = true;
	return true;
}

static bool add_lines(struct task *to, const struct task *from)
{
	size_t i;

	for (i = 0; i < from->nr_lines; i++)
		if (!add_line(to, from->lines[i].start, from->lines[i].length,
			      from->lines[i].type, from->lines[i].params))
			return false;
	return true;
}

/*
 * The table that was loaded becomes the device's.  One that does not fit is thrown away and
 * leaves the device suspended: it goes on with the one it had.
 */
static bool swap_in(struct move *m)
{
	double before = now_s(), s;
	bool ok = run_simple(m, m->device, TASK_RESUME);

	if (!ok)
		run_simple(m, m->device, TASK_RESUME);
	s = now_s() - before;
	m->paused_s += s;
	m->longest_s = s > m->longest_s ? s : m->longest_s;
	return ok;
}

static bool load(struct move *m, const char *type, char *params)
{
	struct task *task = task_new(m->client, TASK_RELOAD);
	bool ok = task && params && task_set_name(task, m->device) &&
		add_line(task, 0, m->nr, type, params) && task_run(task);

	free(params);
	task_free(task);
	return ok;
}

/* Nothing happens to the device when the table cannot be loaded. */
static bool change(struct move *m, const char *type, char *params)
{
	return load(m, type, params) && swap_in(m);
}

/* ---- segments and stripes: the device that holds them meanwhile ---- */

static bool helper_make(struct move *m, const struct task *table)
{
	struct task *task = task_new(m->client, TASK_CREATE);
	bool ok = task && task_set_name(task, m->helper) &&
		task_set_uuid(task, m->helper_uuid) && add_lines(task, table) && task_run(task);

	task_free(task);
	return ok;
}

/* later: when nobody stands on it any more.  It may have gone by itself. */
static bool helper_remove(struct move *m, bool later)
{
	struct task *task = task_new(m->client, TASK_REMOVE);
	bool ok;

	if (task) {
		task->quiet = true;
		task->flags |= later ? DM_DEFERRED_REMOVE : 0;
	}
	ok = task && task_set_name(task, m->helper) && (task_run(task) || task->error == -ENXIO);
	if (task && !ok)
		say("%s: cannot be removed: %s", m->helper, strerror(-task->error));
	task_free(task);
	return ok;
}

static bool helper_is_there(struct move *m)
{
	struct task *task = task_new(m->client, TASK_INFO);
	struct info info = { 0 };
	bool ours;

	if (task && task_set_name(task, m->helper) && task_run(task))
		task_info(task, &info);
	ours = info.exists && task_uuid(task) && !strcmp(task_uuid(task), m->helper_uuid);
	task_free(task);
	return ours;
}

static bool go_back(struct move *m)
{
	struct task *old, *task;
	bool ok;

	if (!m->helped)
		return change(m, "linear", text_format("%s %s", m->old_place, m->old_at));
	old = ask(m, m->helper, TASK_TABLE);
	task = task_new(m->client, TASK_RELOAD);
	ok = old && task && task_set_name(task, m->device) && add_lines(task, old) &&
		task_run(task) && swap_in(m) && helper_remove(m, false);
	task_free(task);
	task_free(old);
	return ok;
}

/* ---- what a watcher that was killed has left ---- */

static bool same_lines(const struct task *a, const struct task *b)
{
	size_t i;

	if (a->nr_lines != b->nr_lines)
		return false;
	for (i = 0; i < a->nr_lines; i++)
		if (a->lines[i].start != b->lines[i].start ||
		    a->lines[i].length != b->lines[i].length ||
		    strcmp(a->lines[i].type, b->lines[i].type) ||
		    strcmp(a->lines[i].params, b->lines[i].params))
			return false;
	return true;
}

/* A mirror of our kind that was loaded and never resumed; true when there was one. */
static bool clear_mirror(struct move *m)
{
	struct task *task = task_new(m->client, TASK_TABLE);
	char kind[32];
	bool ours = false;

	snprintf(kind, sizeof kind, "core 1 %u 2 ", REGION_SECTORS);
	if (task) {
		task->flags |= DM_QUERY_INACTIVE_TABLE_FLAG;
		ours = task_set_name(task, m->device) && task_run(task) && task->nr_lines == 1 &&
			!strcmp(task->lines[0].type, "mirror") &&
			!strncmp(task->lines[0].params, kind, strlen(kind));
	}
	task_free(task);
	return ours && run_simple(m, m->device, TASK_CLEAR);
}

/*
 * The device is no mirror.  Takes away what may be left; *begun: of a move that has not come to
 * its mirror.  false: it cannot be taken away.
 */
static bool clear_up(struct move *m, const struct task *table, bool *begun)
{
	struct task *task;
	bool ok = true;

	*begun = clear_mirror(m);
	if (!helper_is_there(m))
		return true;
	task = task_new(m->client, TASK_TABLE);
	ok = task && task_set_name(task, m->helper) && task_run(task);
	if (ok && (!task->nr_lines || same_lines(task, table)))
		*begun = true;
	task_free(task);
	return ok && helper_remove(m, false);
}

/* Whether the device is where it is to go. */
static bool is_there(const struct move *m, const struct task *table)
{
	const char *node = strstr(m->to, "/mapper/");

	if (table->nr_lines != 1 || m->helped || strcmp(m->old_at, "0"))
		return false;
	return !strcmp(m->old_place, m->to_word) || (node && place_is(m, m->old_place, node + 8));
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

static bool begin(struct move *m, const struct task *table)
{
	m->new_place = strdup(m->to_word);
	if (!m->new_place || (m->helped && !helper_make(m, table)))
		return false;
	if (load(m, "mirror", text_format("core 1 %u 2 %s %s %s 0 1 handle_errors", REGION_SECTORS,
					  m->old_place, m->old_at, m->to_word)) &&
	    (!m->helped || helper_remove(m, true)) && swap_in(m))
		return true;
	if (m->helped) {
		clear_mirror(m);
		helper_remove(m, false);
	}
	return false;
}

/* The device is no mirror: there is nothing to go on with. */
static int begin_anew(struct move *m, const struct task *table, bool *over)
{
	bool begun;

	if (!clear_up(m, table, &begun))
		return 1;
	if (m->abort) {
		if (!begun)
			say("%s: is not being moved.", m->device);
		return begun ? 0 : 1;
	}
	if (!is_there(m, table))
		return begin(m, table) ? 0 : 1;
	*over = true;
	m->new_place = strdup(m->to_word);
	if (!m->new_place)
		return 1;
	tell_end(m);
	return 0;
}

/* 0: there is a mirror now, or all is over; else the exit status is 1 */
static int prepare(struct move *m, bool *over)
{
	struct task *table = ask(m, m->device, TASK_TABLE);
	bool moving = false, ok = table && take_table(m, table, &moving);
	int status = ok ? 0 : 1;

	*over = m->abort;
	if (ok && !moving)
		status = begin_anew(m, table, over);
	else if (ok && m->abort)
		status = go_back(m) ? 0 : 1;
	task_free(table);
	return status;
}

static int run(struct move *m)
{
	bool over;
	int result;

	m->began_s = now_s();
	if (prepare(m, &over))
		return 1;
	if (over)
		return 0;
	result = watch(m);
	if (result < 0)
		say("%s: ndmd goes on copying; the same command goes on watching, --abort goes back.",
		    m->device);
	if (result <= 0 || !change(m, "linear", text_format("%s 0", m->new_place)) ||
	    (m->helped && !helper_remove(m, false)))
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
	m.helper = text_format("%s.moving", m.device);
	m.helper_uuid = text_format("MOVE-%s", m.device);
	m.to_word = text_word(m.to ? m.to : "");
	if (!m.helper || !m.helper_uuid || !m.to_word)
		return 1;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = run(&m);
	free(m.old_place);
	free(m.old_at);
	free(m.new_place);
	free(m.to_word);
	free(m.helper);
	free(m.helper_uuid);
	return status;
}
