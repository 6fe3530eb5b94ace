/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.c - `ndm plan` and `ndm apply`: what a YAML file of volumes would change, and doing it.
 * Without a file it is the one that ndmd was started with; "-" is standard input.
 */
#include "client.h"

#include <errno.h>
#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path)
{
	FILE *in = strcmp(path, "-") ? fopen(path, "r") : stdin;
	char *text;

	if (!in) {
		say("Couldn't open '%s' for reading: %s", path, strerror(errno));
		return NULL;
	}
	text = text_read_all(in, NULL);
	if (!text)
		say("Couldn't read '%s': %s", path, strerror(errno));
	if (in != stdin)
		fclose(in);
	return text;
}

/* "VERB NAME" lines as JSON */
static void print_json(char *plan)
{
	struct json json = { .out = stdout, .first = true };
	char *line, *name;

	json_open(&json, '{');
	json_name(&json, "plan");
	json_open(&json, '[');
	while ((line = strsep(&plan, "\n"))) {
		name = strchr(line, ' ');
		if (!name || name[-1] == ':')	/* what was done on the way, for people */
			continue;
		*name++ = '\0';
		json_open(&json, '{');
		json_name(&json, "action");
		json_string(&json, line);
		json_name(&json, "name");
		json_string(&json, name);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
}

static int run(struct client *client, int argc, char **argv, uint32_t command)
{
	const char *path = NULL;
	char *text, *plan;
	bool as_json = false;
	int i, err;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json")) {
			as_json = true;
		} else if (path || (argv[i][0] == '-' && argv[i][1])) {
			say("Usage: ndm %s [-j] [FILE.yaml]", argv[0]);
			return 1;
		} else {
			path = argv[i];
		}
	}
	text = path ? read_file(path) : strdup("");
	if (!text)
		return 1;
	err = control_text(client, command, text, &plan);
	free(text);
	if (err && client->fd >= 0) {
		say("ndm %s: %s", argv[0], strerror(-err));
		control_print_reason(client);
	} else if (!err && as_json) {
		print_json(plan);
	} else if (!err) {
		fputs(plan, stdout);
	}
	free(plan);
	return err ? 1 : 0;
}

int plan_main(struct client *client, int argc, char **argv)
{
	return run(client, argc, argv, NDM_CTL_PLAN);
}

int apply_main(struct client *client, int argc, char **argv)
{
	return run(client, argc, argv, NDM_CTL_APPLY);
}
