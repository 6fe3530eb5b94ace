/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multipath.c - `ndm multipath -ll`: paths and groups of multipath devices, in the layout of
 * multipath-tools, with what there is to say of a server: how fast it answers, how many
 * requests it has had, why it was given up.
 *
 *	data dm-0 ndm,multipath
 *	size=64.00m features='1 queue_if_no_path' hwhandler='0' wp=rw
 *	`-+- policy='service-time 0' prio=1 status=active
 *	  |- nbd+unix:///?socket=/run/a 240:0 active ready running 0.21 ms 4467 io
 *	  `- nbd+unix:///?socket=/run/b 240:1 failed faulty offline (no answer within 300 ms, 2.1 s ago) 4211 io
 *
 * -l leaves out what the checker knows; -j is the target's own JSON, an object by device names.
 */
#include "task.h"

#include <stdlib.h>
#include <string.h>

enum depth { DEPTH_TOPOLOGY, DEPTH_ALL, DEPTH_JSON };

#define WORDS_MAX 12

struct show {
	struct client *client;
	enum depth depth;
	struct json json;
	unsigned groups;		/* of the device that is shown */
	size_t shown;
};

/* ---- one device ---- */

static unsigned split_tabs(char *line, char **words)
{
	unsigned n = 0;

	while (line && n < WORDS_MAX) {
		words[n++] = line;
		line = strchr(line, '\t');
		if (line)
			*line++ = '\0';
	}
	return n;
}

/* The words of a table line up to the groups: features, handler. */
static void print_head(const struct task *table, const char *name, unsigned minor)
{
	struct info info;
	char *size = units_format(table->lines[0].length, 'h', 1, false);
	char *copy = strdup(table->lines[0].params), *at = copy, *end;
	unsigned i, n;

	task_info(table, &info);
	printf("%s dm-%u ndm,multipath\nsize=%s", name, minor, size ? size : "?");
	for (i = 0; copy && i < 2; i++) {
		n = (unsigned)strtoul(at, &end, 10);
		for (; n && *end; n--)
			end += 1 + strcspn(end + 1, " ");
		printf(" %s='%.*s'", i ? "hwhandler" : "features", (int)(end - at), at);
		at = *end ? end + 1 : end;
	}
	printf(" wp=%s\n", info.read_only ? "ro" : "rw");
	free(copy);
	free(size);
}

static void print_group(struct show *s, char **words)
{
	unsigned number = (unsigned)strtoul(words[1], NULL, 10);

	printf("%s-+- policy='%s' prio=%u status=%s\n", number == s->groups ? "`" : "|", words[3],
	       s->groups - number + 1, words[2]);
}

static void print_path(struct show *s, char **words, bool last_group, bool last)
{
	bool active = !strcmp(words[3], "active");
	double seconds = strtod(words[10], NULL) / 1000;

	printf("%s %s- %s %s %s", last_group ? " " : "|", last ? "`" : "|", words[1], words[2],
	       active ? "active" : "failed");
	if (s->depth == DEPTH_TOPOLOGY) {
		printf(" undef %s\n", !strcmp(words[4], "down") ? "offline" : "running");
		return;
	}
	printf(" %s %s", active ? "ready" : "faulty", !strcmp(words[4], "down") ? "offline" : "running");
	if (active && strcmp(words[9], "-"))
		printf(" %.2f ms", strtod(words[9], NULL) / 1000);
	if (!active && strcmp(words[11], "-"))
		printf(" (%s, %.1f s ago)", words[11], seconds);
	printf(" %s io\n", words[7]);
}

/* How many words each kind of line has. */
static bool is_line(char **words, unsigned n, const char *kind)
{
	return !strcmp(words[0], kind) && n == (*kind == 'g' ? 4 : *kind == 'p' ? 12 : 4);
}

static void print_lines(struct show *s, const char *answer)
{
	char *copy = strdup(answer), *line, *next, *words[WORDS_MAX];
	bool last_group = false;
	const char *p;

	s->groups = 0;
	for (p = answer; (p = strstr(p, "group\t")); p++)
		s->groups += p == answer || p[-1] == '\n';
	for (line = copy; line && *line; line = next) {
		bool last;
		unsigned n;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		last = !next || strncmp(next, "path\t", 5) != 0;
		n = split_tabs(line, words);
		if (is_line(words, n, "group")) {
			last_group = strtoul(words[1], NULL, 10) == s->groups;
			print_group(s, words);
		} else if (is_line(words, n, "path")) {
			print_path(s, words, last_group, last);
		}
	}
	free(copy);
}

static struct task *ask(struct show *s, enum task_type type, const char *name, const char *message)
{
	struct task *task = task_new(s->client, type);

	if (task && task_set_name(task, name) && (!message || task_set_text(task, strdup(message))) &&
	    task_run(task))
		return task;
	task_free(task);
	return NULL;
}

/* Whether it is one of ours; false only when something is wrong. */
static bool show_device(struct show *s, const char *name, bool must)
{
	struct task *table = ask(s, TASK_TABLE, name, NULL), *paths = NULL;
	struct info info;
	const char *answer;
	bool ok = false;

	if (!table)
		return false;
	if (!table->nr_lines || strcmp(table->lines[0].type, "multipath")) {
		if (must)
			say("ndm multipath: '%s' is no multipath device", name);
		task_free(table);
		return !must;
	}
	paths = ask(s, TASK_MESSAGE, name, s->depth == DEPTH_JSON ? "paths" : "paths lines");
	answer = paths ? task_response(paths) : NULL;
	if (answer) {
		task_info(table, &info);
		s->shown++;
		ok = true;
		if (s->depth == DEPTH_JSON) {
			json_name(&s->json, name);
			json_raw(&s->json, answer);
		} else {
			print_head(table, name, info.minor);
			print_lines(s, answer);
		}
	}
	task_free(paths);
	task_free(table);
	return ok;
}

static bool show_all(struct show *s)
{
	struct device_list list;
	bool ok = true;
	size_t i;

	if (!device_list_read(s->client, &list))
		return false;
	for (i = 0; i < list.n; i++)
		ok &= show_device(s, list.names[i], false);
	device_list_free(&list);
	return ok;
}

static int usage(void)
{
	say("Usage: ndm multipath [-l | -ll | -j] [NAME]...");
	return 1;
}

int multipath_main(struct client *client, int argc, char **argv)
{
	struct show s = { .client = client, .depth = DEPTH_ALL, .json = { .out = stdout } };
	bool ok = true;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-l"))
			s.depth = DEPTH_TOPOLOGY;
		else if (!strcmp(argv[i], "-ll"))
			s.depth = DEPTH_ALL;
		else if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json"))
			s.depth = DEPTH_JSON;
		else
			return usage();
	}
	if (s.depth == DEPTH_JSON)
		json_open(&s.json, '{');
	if (i == argc)
		ok = show_all(&s);
	for (; i < argc; i++)
		ok &= show_device(&s, argv[i], true);
	if (s.depth == DEPTH_JSON)
		json_close(&s.json, '}');
	return ok ? 0 : 1;
}
