/* SPDX-License-Identifier: BSD-2-Clause */
/* status.c - status, table and measure, and the listings of `ls` that depend on targets. */
#include "dmsetup.h"

#include <errno.h>
#include <inttypes.h>
#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_WORDS_MAX 255

/* Characters that mean something in the concise format get a backslash. */
static void print_quoted(const char *text)
{
	for (; *text; text++) {
		if (strchr(",;\\", *text))
			putchar('\\');
		putchar(*text);
	}
}

/* NAME...: or NAME...:KEY up to a blank; the key, if there is one, becomes zeros. */
static void hide_optional_key(char *params, const char *name)
{
	char *c = strstr(params, name);

	if (!c)
		return;
	c = strpbrk(c + strlen(name), " :");
	if (!c || *c != ':')
		return;
	for (c++; *c && *c != ' '; c++)
		*c = '0';
}

static void hide_keys(const char *type, char *params)
{
	char *key;

	if (!strcmp(type, "crypt")) {
		key = strchr(params, ' ');
		/* A reference to the keyring is no secret. */
		if (key && key[1] != ':')
			for (key++; *key && *key != ' '; key++)
				*key = '0';
	} else if (!strcmp(type, "integrity")) {
		hide_optional_key(params, "internal_hash:");
		hide_optional_key(params, "journal_crypt:");
		hide_optional_key(params, "journal_mac:");
	}
}

/* The words of --exec and the device's path; the command's own status does not count. */
static bool exec_command(struct dmsetup *ds, const char *name)
{
	const char *dev = getenv("DM_DEV_DIR");
	char *words = strdup(ds->o.text[OPT_EXEC]), *path, *word, *rest = words;
	char *argv[EXEC_WORDS_MAX + 2];
	int argc = 0;
	bool good = false;
	pid_t pid;

	path = text_format("%s%smapper/%s", dev && *dev ? dev : "/dev",
			   dev && *dev && dev[strlen(dev) - 1] == '/' ? "" : "/", name);
	while (words && argc < EXEC_WORDS_MAX && (word = strsep(&rest, " \t\n\v\f\r")))
		if (*word)
			argv[argc++] = word;
	if (argc == EXEC_WORDS_MAX)
		say("Too many args to --exec.");
	if (!path || !argc || argc == EXEC_WORDS_MAX)
		goto out;
	argv[argc++] = path;
	argv[argc] = NULL;
	/* what is on its way to a pipe comes after what the command prints, as with dmsetup */
	pid = fork();
	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	good = pid > 0;
	if (good)
		TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
out:
	free(words);
	free(path);
	return good;
}

enum mode { MODE_STATUS, MODE_TABLE, MODE_MEASURE, MODE_LS };

struct status_view {
	struct dmsetup *ds;
	struct task *task;
	const char *name;
	enum mode mode;
	bool several, concise, quiet;	/* quiet: --exec without -v */
	bool matched;
	struct info info;
};

static void print_concise_head(struct status_view *v)
{
	if (v->ds->concise_begun)
		putchar(';');
	v->ds->concise_begun = true;
	print_quoted(v->name);
	putchar(',');
	print_quoted(task_uuid(v->task));
	printf(",%u,%s", v->info.minor, v->info.read_only ? "ro" : "rw");
}

/* line is NULL for a device without a table */
static void print_line(struct status_view *v, struct line *line)
{
	struct dmsetup *ds = v->ds;

	if (v->quiet)
		return;
	if (v->concise && !v->matched)
		print_concise_head(v);
	if (!v->concise && !v->matched && given(ds, OPT_VERBOSE))
		display_info(ds, v->task);
	if (!v->concise && v->several && !given(ds, OPT_VERBOSE))
		printf("%s: ", v->name);
	if (line) {
		if (v->mode == MODE_TABLE && !given(ds, OPT_SHOWKEYS))
			hide_keys(line->type, line->params);
		printf("%s%" PRIu64 " %" PRIu64 " %s ", v->concise ? "," : "", line->start,
		       line->length, line->type);
		if (v->concise)
			print_quoted(line->params);
		else
			fputs(line->params, stdout);
	}
	if (!v->concise)
		putchar('\n');
}

static void list_device(struct status_view *v)
{
	struct json *json = &v->ds->json;

	if (!v->ds->o.json) {
		printf("%s\t(%u, %u)\n", v->name, v->info.major, v->info.minor);
		return;
	}
	json_open(json, '{');
	json_name(json, "name");
	json_string(json, v->name);
	json_name(json, "major");
	json_number(json, v->info.major);
	json_name(json, "minor");
	json_number(json, v->info.minor);
	json_close(json, '}');
}

static void print_all(struct status_view *v)
{
	struct task *task = v->task;
	size_t i;

	for (i = 0; i < task->nr_lines || (!i && !task->nr_lines); i++) {
		struct line *line = task->nr_lines ? &task->lines[i] : NULL;

		if (given(v->ds, OPT_TARGET) &&
		    (!line || strcmp(line->type, v->ds->o.text[OPT_TARGET])))
			continue;
		if (v->mode == MODE_LS) {
			if (!v->quiet)
				list_device(v);
			v->matched = true;
			break;
		}
		print_line(v, line);
		v->matched = true;
	}
	if (v->several && given(v->ds, OPT_VERBOSE) && v->matched && v->mode != MODE_LS &&
	    (!v->concise || v->ds->o.given[OPT_VERBOSE] > 1))
		putchar('\n');
}

/*
 * What ndmd makes of the parameters: every value with the name that the kernel's
 * documentation gives it.  Only with --explain; an older ndmd may not know how.
 */
static void json_explain(struct status_view *v)
{
	char *text, *request;

	request = text_format("%s%s", v->task->dmi->name,
			      given(v->ds, OPT_INACTIVE) ? " inactive" : "");
	if (!request)
		return;
	if (!control_text(v->ds->client, NDM_CTL_EXPLAIN, request, &text) && *text) {
		json_name(&v->ds->json, "explained");
		json_raw(&v->ds->json, text);
	}
	free(text);
	free(request);
}

static void json_all(struct status_view *v)
{
	struct json *json = &v->ds->json;
	size_t i;

	json_open(json, '{');
	json_name(json, "name");
	json_string(json, v->name);
	json_name(json, "uuid");
	json_string(json, task_uuid(v->task));
	json_name(json, "major");
	json_number(json, v->info.major);
	json_name(json, "minor");
	json_number(json, v->info.minor);
	json_name(json, v->mode == MODE_TABLE ? "table" : "status");
	json_open(json, '[');
	for (i = 0; i < v->task->nr_lines; i++) {
		struct line *line = &v->task->lines[i];

		if (given(v->ds, OPT_TARGET) && strcmp(line->type, v->ds->o.text[OPT_TARGET]))
			continue;
		if (v->mode == MODE_TABLE && !given(v->ds, OPT_SHOWKEYS))
			hide_keys(line->type, line->params);
		json_open(json, '{');
		json_name(json, "start_bytes");
		json_number(json, line->start * 512);
		json_name(json, "length_bytes");
		json_number(json, line->length * 512);
		json_name(json, "target");
		json_string(json, line->type);
		json_name(json, "raw");
		json_string(json, line->params);
		json_close(json, '}');
	}
	json_close(json, ']');
	if (v->ds->o.explain)
		json_explain(v);
	json_close(json, '}');
}

static void print_explained(struct status_view *v)
{
	char *text;

	if (!control_text(v->ds->client, NDM_CTL_EXPLAIN, v->task->dmi->name, &text) && *text)
		json_lay_out(text);
	free(text);
}

static enum mode mode_of(const struct call *call)
{
	if (!strcmp(call->command->name, "table"))
		return MODE_TABLE;
	if (!strcmp(call->command->name, "measure"))
		return MODE_MEASURE;
	return !strcmp(call->command->name, "ls") ? MODE_LS : MODE_STATUS;
}

static bool show_status(struct status_view *v)
{
	struct dmsetup *ds = v->ds;
	struct task *task = v->task;

	if (!set_device(ds, task, v->name))
		return false;
	set_common(ds, task);
	if (given(ds, OPT_NOFLUSH))
		task->flags |= DM_NOFLUSH_FLAG;
	if (v->mode == MODE_MEASURE)
		task->flags |= DM_IMA_MEASUREMENT_FLAG;
	if (!task_run(task))
		return false;
	task_info(task, &v->info);
	if (!v->info.exists) {
		say("Device does not exist.");
		return false;
	}
	if (!v->name)
		v->name = task_name(task);
	if (ds->o.json && v->mode != MODE_LS) {
		json_all(v);
		return true;
	}
	if (ds->o.explain && v->mode != MODE_LS) {
		print_explained(v);
		return true;
	}
	print_all(v);
	return !v->matched || !given(ds, OPT_EXEC) || exec_command(ds, v->name);
}

bool run_status(struct dmsetup *ds, const struct call *call)
{
	struct status_view v = { .ds = ds, .mode = mode_of(call), .several = call->several };
	bool good;

	if (call->name)
		v.name = call->name;
	else if (!call->argc && !names_one(ds))
		return for_all(ds, call, run_status, false);
	else
		v.name = call->argc ? call->argv[0] : NULL;
	v.concise = v.mode == MODE_TABLE && given(ds, OPT_CONCISE);
	v.quiet = given(ds, OPT_EXEC) && !given(ds, OPT_VERBOSE);
	v.task = task_new(ds->client, v.mode == MODE_TABLE ? TASK_TABLE : TASK_STATUS);
	good = v.task && show_status(&v);
	task_free(v.task);
	return good;
}
