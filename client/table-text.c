/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table-text.c - tables as text: START LENGTH TYPE PARAMETERS, a line each; `#` begins a
 * comment at the start of a line and in the parameters.
 */
#include "task.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool parse_line(struct task *task, char *text, const char *file, int number)
{
	unsigned long long start, length;
	char *end = text + strlen(text), *type, *comment;
	int at = 0, type_at = 0, type_end = 0;

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	if (!*text || *text == '#')
		return true;
	if (sscanf(text, "%llu %llu %n%*s%n %n", &start, &length, &type_at, &type_end, &at) < 2 ||
	    !type_end) {
		say("Invalid format on line %d of table %s.", number, file);
		return false;
	}
	type = strndup(text + type_at, (size_t)(type_end - type_at));
	if (!type) {
		say("Out of memory.");
		return false;
	}
	text += at ? at : type_end;
	comment = strchr(text, '#');
	if (comment)
		*comment = '\0';
	at = task_add_line(task, start, length, type, text);
	free(type);
	return at;
}

/* Adds the lines of `text` to the task.  `file` is only for messages. */
bool table_parse(struct task *task, const char *text, const char *file, int *line_number)
{
	char *copy = strdup(text), *rest = copy, *line;
	bool good = copy;

	while (good && (line = strsep(&rest, "\n")))
		good = parse_line(task, line, file, ++*line_number);
	if (copy)
		explicit_bzero(copy, strlen(text));
	free(copy);
	return good;
}

/* path: NULL for standard input */
bool table_read_file(struct task *task, const char *path)
{
	FILE *in = path ? fopen(path, "r") : stdin;
	char *line = NULL;
	size_t room = 0;
	int number = 0;
	bool good = true;

	if (!in) {
		say("Couldn't open '%s' for reading.", path);
		return false;
	}
	while (good && getline(&line, &room, in) > 0)
		good = parse_line(task, line, path ? path : "on stdin", ++number);
	if (line)
		explicit_bzero(line, room);
	free(line);
	if (path)
		fclose(in);
	return good;
}
