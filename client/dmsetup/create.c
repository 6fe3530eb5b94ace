/* SPDX-License-Identifier: BSD-2-Clause */
/* create.c - create and load, and the concise form that makes several devices at once. */
#include "dmsetup.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ndm-control.h>

/* --table, else a file, else standard input */
static bool read_table(struct dmsetup *ds, struct task *task, const char *file)
{
	int line = 0;

	if (ds->table)
		return table_parse(task, ds->table, "", &line);
	return table_read_file(task, file);
}

bool run_load(struct dmsetup *ds, const struct call *call)
{
	const char *name = NULL, *file = NULL;
	int argc = call->argc;
	struct task *task;
	bool good;

	if (given(ds, OPT_NOTABLE)) {
		say("--notable only available when creating new device.");
		return false;
	}
	if (!names_one(ds)) {
		if (!argc) {
			say("Please specify device.");
			return false;
		}
		name = call->argv[0];
		argc--;
	} else if (argc > 1) {
		say("Too many command line arguments.");
		return false;
	}
	if (argc == 1)
		file = call->argv[call->argc - 1];
	task = task_new(ds->client, TASK_RELOAD);
	good = task && set_device(ds, task, name) && read_table(ds, task, file);
	if (good) {
		if (given(ds, OPT_READONLY))
			task->flags |= DM_READONLY_FLAG;
		set_common(ds, task);
		good = task_run(task);
	}
	if (good && given(ds, OPT_VERBOSE))
		good = display_info(ds, task);
	task_free(task);
	return good;
}

static bool create_one(struct dmsetup *ds, const char *name, const char *file)
{
	struct task *task = task_new(ds->client, TASK_CREATE);
	bool good = task && task_set_name(task, name) &&
		(!given(ds, OPT_UUID) || task_set_uuid(task, ds->uuid)) &&
		(given(ds, OPT_NOTABLE) || read_table(ds, task, file));

	if (good) {
		if (given(ds, OPT_READONLY))
			task->flags |= DM_READONLY_FLAG;
		if (given(ds, OPT_MINOR))
			task_set_device(task, given(ds, OPT_MAJOR) ?
					(unsigned)ds->o.number[OPT_MAJOR] : NDM_CTL_MAJOR,
					(unsigned)ds->o.number[OPT_MINOR]);
		if (given(ds, OPT_READAHEAD)) {
			task->read_ahead = ds->o.number[OPT_READAHEAD];
			task->read_ahead_minimum = ds->o.read_ahead_minimum;
		}
		set_common(ds, task);
		good = task_run(task);
	}
	if (good && given(ds, OPT_VERBOSE))
		good = display_info(ds, task);
	task_free(task);
	return good;
}

/*
 * NAME,UUID,MINOR,FLAGS,TABLE[,TABLE...][;NAME,...] is read in place: quoting and separators
 * only ever make it shorter.
 */
struct concise {
	char *fields[5];
	int n;			/* of the field being read, from 0 */
	char *out;		/* where the next character goes */
	const char *in;
};

static bool concise_bad(struct concise *c, const char *what)
{
	char *text[5];
	int i;

	for (i = 0; i < 5; i++)
		text[i] = c->fields[i];
	say("%s", what);
	say("Parsed %d fields: name: %s uuid: %s minor: %s flags: %s table: %s", c->n + 1,
	    text[0] ? text[0] : "(null)", text[1] ? text[1] : "(null)",
	    text[2] ? text[2] : "(null)", text[3] ? text[3] : "(null)",
	    text[4] ? text[4] : "(null)");
	return false;
}

/* All five fields are there: make the device. */
static bool concise_device(struct dmsetup *ds, struct concise *c)
{
	bool good;

	if (c->n != 4)
		return concise_bad(c, "Five comma-separated fields are required for each device");
	if (*c->fields[1]) {
		ds->o.given[OPT_UUID] = 1;
		ds->uuid = c->fields[1];
	}
	if (*c->fields[2]) {
		ds->o.given[OPT_MINOR] = 1;
		ds->o.number[OPT_MINOR] = atoi(c->fields[2]);
	}
	if (!strcmp(c->fields[3], "ro")) {
		ds->o.given[OPT_READONLY] = 1;
	} else if (*c->fields[3] && strcmp(c->fields[3], "rw")) {
		say("Invalid flags parameter '%s' must be 'ro' or 'rw' or empty.", c->fields[3]);
		return false;
	}
	ds->table = c->fields[4];
	good = create_one(ds, c->fields[0], NULL);
	ds->table = ds->uuid = NULL;
	/* What was said for one device, by --readonly, too, does not hold for the next. */
	ds->o.given[OPT_UUID] = ds->o.given[OPT_MINOR] = ds->o.given[OPT_READONLY] = 0;
	memset(c->fields, 0, sizeof(c->fields));
	c->fields[0] = c->out;
	c->n = 0;
	return good;
}

static void skip_blanks(const char **at)
{
	while (isspace((unsigned char)**at))
		(*at)++;
}

static bool concise_read(struct dmsetup *ds, char *text)
{
	struct concise c = { .fields = { text }, .out = text, .in = text };

	while (*c.in) {
		if (*c.in == '\\') {
			if (!*++c.in) {
				*c.out = '\0';
				return concise_bad(&c, "Backslash must be followed by another "
						   "character at end of string.");
			}
			*c.out++ = *c.in++;
		} else if (*c.in == ',' && c.n < 4) {
			*c.out++ = '\0';
			c.in++;
			c.fields[++c.n] = c.out;
			skip_blanks(&c.in);
		} else if (*c.in == ',') {
			*c.out++ = '\n';
			c.in++;
		} else if (*c.in == ';' || !c.in[1]) {
			if (*c.in != ';')
				*c.out++ = *c.in;
			*c.out++ = '\0';
			c.in++;
			if (!concise_device(ds, &c))
				return false;
			skip_blanks(&c.in);
		} else {
			*c.out++ = *c.in++;
		}
	}
	if (c.fields[0] == c.out)
		return true;
	*c.out = '\0';
	return concise_bad(&c, "Incomplete entry: five comma-separated fields are required "
			   "for each device");
}

static bool create_concise(struct dmsetup *ds, const struct call *call)
{
	char *text;
	size_t n;
	bool good;

	if (given(ds, OPT_TABLE) || given(ds, OPT_MINOR) || given(ds, OPT_UUID) ||
	    given(ds, OPT_NOTABLE) || given(ds, OPT_INACTIVE)) {
		say("--concise is incompatible with --[no]table, --minor, --uuid and --inactive.");
		return false;
	}
	if (call->argc)
		text = strdup(call->argv[0]);
	else
		text = text_read_all(stdin, &n);
	if (!text) {
		say("Read from stdin aborted: %s", strerror(errno));
		return false;
	}
	n = strlen(text);
	good = concise_read(ds, text);
	explicit_bzero(text, n);
	free(text);
	return good;
}

bool run_create(struct dmsetup *ds, const struct call *call)
{
	if (given(ds, OPT_CONCISE)) {
		if (call->argc > 1) {
			say("dmsetup create --concise takes at most one argument");
			return false;
		}
		return create_concise(ds, call);
	}
	if (!call->argc) {
		say("Please provide a name for the new device.");
		return false;
	}
	return create_one(ds, call->argv[0], call->argc == 2 ? call->argv[1] : NULL);
}
