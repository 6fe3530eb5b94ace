/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - `ndm explain NAME` and `ndm describe [TARGET]`: JSON from ndmd, as it is with -j,
 * otherwise laid out for people: a member a line, what is inside something indented.
 */
#include "client.h"

#include <ctype.h>
#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

struct layout {
	const char *at;
	FILE *out;
};

static void skip_blanks(struct layout *l)
{
	while (isspace((unsigned char)*l->at))
		l->at++;
}

/* Copies a string without its quotes; \uXXXX of control characters stays. */
static void put_string(struct layout *l)
{
	for (l->at++; *l->at && *l->at != '"'; l->at++) {
		if (*l->at == '\\' && l->at[1]) {
			l->at++;
			if (*l->at == 'u') {
				fputs("\\u", l->out);
				continue;
			}
			fputc(*l->at == 'n' ? ' ' : *l->at == 't' ? ' ' : *l->at, l->out);
			continue;
		}
		fputc(*l->at, l->out);
	}
	if (*l->at)
		l->at++;
}

static void put_word(struct layout *l)
{
	while (*l->at && !strchr(",]} \t\r\n", *l->at))
		fputc(*l->at++, l->out);
}

static bool is_empty(const struct layout *l)
{
	const char *c = l->at + 1;

	while (isspace((unsigned char)*c))
		c++;
	return *c == ']' || *c == '}';
}

/* A value; containers begin on a new line unless they are empty. */
static bool put_value(struct layout *l, unsigned depth, bool in_list)
{
	char close = *l->at == '{' ? '}' : ']';
	bool object = *l->at == '{', first = true;

	if (*l->at == '"') {
		put_string(l);
		fputc('\n', l->out);
		return true;
	}
	if (*l->at != '{' && *l->at != '[') {
		put_word(l);
		fputc('\n', l->out);
		return true;
	}
	if (depth > DEPTH_MAX)
		return false;
	if (is_empty(l))
		fputs(object ? "{}\n" : "[]\n", l->out);
	else if (depth && !in_list)
		fputc('\n', l->out);
	l->at++;
	for (;;) {
		skip_blanks(l);
		if (*l->at == ',')
			l->at++;
		skip_blanks(l);
		if (!*l->at)
			return false;
		if (*l->at == close)
			break;
		/* The first member of an object in a list stands behind the list's dash. */
		if (!in_list || !first)
			fprintf(l->out, "%*s", (int)depth * 2, "");
		first = false;
		if (object) {
			if (*l->at != '"')
				return false;
			put_string(l);
			skip_blanks(l);
			if (*l->at++ != ':')
				return false;
			skip_blanks(l);
			fputs(*l->at == '{' || *l->at == '[' ? ":" : ": ", l->out);
			if ((*l->at == '{' || *l->at == '[') && is_empty(l))
				fputc(' ', l->out);
			if (!put_value(l, depth + 1, false))
				return false;
		} else {
			fputs("- ", l->out);
			if (!put_value(l, depth + 1, *l->at == '{'))
				return false;
		}
	}
	l->at++;
	return true;
}

/* Lays out several documents one after the other; 0, or 1 after a message. */
int json_lay_out(const char *document)
{
	struct layout l = { .at = document, .out = stdout };

	for (;;) {
		skip_blanks(&l);
		if (!*l.at)
			return 0;
		if (!put_value(&l, 0, false)) {
			say("ndmd's answer is not understood.");
			return 1;
		}
	}
}

static int run(struct client *client, uint32_t command, const char *request, bool as_json,
	       const char *word)
{
	char *text;
	int err = control_text(client, command, request, &text), status = 1;

	if (err && client->fd >= 0) {
		say("ndm %s: %s", word, strerror(-err));
		control_print_reason(client);
	} else if (!err && as_json) {
		printf("%s%s", text, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
		status = 0;
	} else if (!err) {
		status = json_lay_out(text);
	}
	free(text);
	return status;
}

int explain_main(struct client *client, int argc, char **argv)
{
	bool as_json = false, inactive = false;
	const char *name = NULL;
	char *request;
	int i, status;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json"))
			as_json = true;
		else if (!strcmp(argv[i], "--inactive"))
			inactive = true;
		else if (!name && argv[i][0] != '-')
			name = argv[i];
		else
			name = NULL, i = argc;
	}
	if (!name) {
		say("Usage: ndm explain [-j] [--inactive] NAME");
		return 1;
	}
	request = text_format("%s%s", name, inactive ? " inactive" : "");
	if (!request)
		return 1;
	status = run(client, NDM_CTL_EXPLAIN, request, as_json, "explain");
	free(request);
	return status;
}

int describe_main(struct client *client, int argc, char **argv)
{
	bool as_json = false;
	const char *name = "";
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json")) {
			as_json = true;
		} else if (argv[i][0] == '-' || *name) {
			say("Usage: ndm describe [-j] [TARGET]");
			return 1;
		} else {
			name = argv[i];
		}
	}
	return run(client, NDM_CTL_DESCRIBE, name, as_json, "describe");
}

int version_main(struct client *client, int argc, char **argv)
{
	char *text;
	int err;

	(void)argc;
	(void)argv;
	err = control_text(client, NDM_CTL_VERSION, "", &text);
	if (!err)
		fputs(text, stdout);
	free(text);
	return err ? 1 : 0;
}

/* Who keeps a device from being removed. */
int holders_main(struct client *client, int argc, char **argv)
{
	char *text;
	int err;

	if (argc != 2) {
		say("Usage: ndm holders NAME");
		return 1;
	}
	err = control_text(client, NDM_CTL_HOLDERS, argv[1], &text);
	if (!err)
		fputs(text, stdout);
	free(text);
	if (err && client->fd >= 0) {
		say("ndm holders: %s", strerror(-err));
		control_print_reason(client);
	}
	return err ? 1 : 0;
}
