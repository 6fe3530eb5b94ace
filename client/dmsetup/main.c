/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - dmsetup, dmstats and devmap_name: from the command line to a command that is run
 * once, for each of several devices, for those selected, or again and again.
 */
#include "dmsetup.h"

#include <stdlib.h>
#include <string.h>

bool interval_start(struct dmsetup *ds);
bool interval_wait(struct dmsetup *ds);

/* -- the command line -------------------------------------------------------------------- */

/* devmap_name MAJOR MINOR, or MAJOR:MINOR: prints the name of a device. */
static bool parse_devmap_name(struct dmsetup *ds, int *argc, char ***argv)
{
	int *number = ds->o.number;

	if (*argc == 3) {
		number[OPT_MAJOR] = atoi((*argv)[1]);
		number[OPT_MINOR] = atoi((*argv)[2]);
	} else if (*argc != 2 ||
		   sscanf((*argv)[1], "%i:%i", &number[OPT_MAJOR], &number[OPT_MINOR]) != 2) {
		usage_print(ds);
		return false;
	}
	ds->o.given[OPT_MAJOR] = ds->o.given[OPT_MINOR] = 1;
	ds->o.given[OPT_COLUMNS] = ds->o.given[OPT_NOHEADINGS] = ds->o.given[OPT_OPTIONS] = 1;
	ds->o.text[OPT_OPTIONS] = "name";
	ds->word = *argv[0];
	*argv += *argc;
	*argc = 0;
	ds->word = (char *)"info";
	return true;
}

static void set_usage(struct dmsetup *ds, const char *program)
{
	const char *base = strrchr(program, '/');

	base = base ? base + 1 : program;
	ds->usage_name = "dmsetup";
	if (!strcmp(base, "ndmsetup")) {
		ds->usage_name = "ndmsetup";
	} else if (!strcmp(base, "dmstats")) {
		ds->usage = USAGE_STATS;
		ds->usage_name = "dmstats";
	} else if (!strcmp(base, "devmap_name")) {
		ds->usage = USAGE_DEVMAP_NAME;
	}
}

/* On return argv are the command's arguments, and ds->word is its name or NULL. */
static bool parse_command_line(struct dmsetup *ds, int *argc, char ***argv)
{
	bool is_dmstats;

	set_usage(ds, (*argv)[0]);
	is_dmstats = ds->usage == USAGE_STATS;
	if (ds->usage == USAGE_DEVMAP_NAME)
		return parse_devmap_name(ds, argc, argv);
	if (!options_parse(ds, argc, argv))
		return false;
	if (!*argc) {
		ds->word = NULL;
	} else if (!strcmp((*argv)[0], "stats")) {
		ds->usage = USAGE_STATS;
		ds->usage_name = "dmsetup stats";
		ds->word = *(*argv)++;
		--*argc;
	} else if (is_dmstats) {
		ds->word = (char *)"stats";
	} else {
		ds->word = *(*argv)++;
		--*argc;
	}
	return true;
}

/* -o of ls and deps; that of a report is the report's affair. */
static bool read_style(struct dmsetup *ds)
{
	static const struct {
		const char *word;
		enum number_style style;
	} styles[] = {
		{ "devno", STYLE_NUMBER }, { "blkdevname", STYLE_BLKDEVNAME },
		{ "devname", STYLE_DEVNAME },
	};
	const char *text = ds->o.text[OPT_OPTIONS];
	size_t i, n;

	if (given(ds, OPT_TREE))
		return tree_options(ds, text);
	if (given(ds, OPT_COLUMNS) || !given(ds, OPT_OPTIONS))
		return true;
	for (; *text; text += text[n] ? n + 1 : n) {
		n = strcspn(text, ",");
		for (i = 0; i < 3; i++)
			if (!strncmp(text, styles[i].word, n))
				break;
		if (i == 3) {
			say("Option not recognised: %s.", text);
			return false;
		}
		ds->style = styles[i].style;
	}
	return true;
}

/* There is no udev to wait for; but who has set it wrong is told, as by dmsetup, and no more. */
static void look_at_cookie(const struct dmsetup *ds)
{
	const char *text = getenv("DM_UDEV_COOKIE");
	uint32_t cookie;

	if (text && *text && !given(ds, OPT_UDEVCOOKIE))
		cookie_value(text, &cookie);
}

static bool device_folder_is_right(void)
{
	const char *text = getenv("DM_DEV_DIR");

	if (!text || !*text || *text == '/')
		return true;
	say("Invalid DM_DEV_DIR environment variable value.");
	return false;
}

static const struct command *choose_command(struct dmsetup *ds, int argc)
{
	const struct command *list = ds->usage == USAGE_STATS ? stats_commands : dmsetup_commands;
	const struct command *command;

	if (given(ds, OPT_HELP))
		return command_find(list, "help");
	if (given(ds, OPT_VERSION))
		return command_find(list, "version");
	if (!ds->word) {
		usage_print(ds);
		return NULL;
	}
	command = command_find(dmsetup_commands, ds->word);
	if (!command) {
		say("Unknown command.");
		usage_print(ds);
		return NULL;
	}
	if (argc < command->least || (command->most >= 0 && argc > command->most)) {
		say("Incorrect number of arguments.");
		usage_print(ds);
		return NULL;
	}
	look_at_cookie(ds);
	return command;
}

/* -- running ----------------------------------------------------------------------------- */

static bool run_repeated(struct dmsetup *ds, struct call *call)
{
	struct call one = *call;

	do {
		if (!one.command->run(ds, &one)) {
			say("Command failed.");
			return false;
		}
		one.argv++;
	} while (one.command->repeats && one.argc-- > 1);
	return true;
}

/* What the members of the JSON report are called; NULL: the command has none. */
static const char *json_kind(const struct command *command)
{
	static const char *const kinds[][2] = {
		{ "info", "device" }, { "ls", "device" }, { "status", "device" },
		{ "table", "device" }, { "measure", "device" }, { "deps", "device" },
		{ "targets", "target" }, { "target-version", "target" }, { "version", "version" },
		{ "splitname", "name" }, { "stats", "region" },
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(command->name, kinds[i][0]))
			return kinds[i][1];
	return NULL;
}

/* One round: all devices once, and what came of it printed. */
static bool run_round(struct dmsetup *ds, struct call *call)
{
	const struct command *shown = ds->selecting ? ds->selecting : call->command;
	bool json = ds->o.json && json_kind(shown);
	bool good;

	if (json)
		json_begin(ds, json_kind(shown));
	good = run_repeated(ds, call);
	if (ds->concise_begun)
		putchar('\n');
	if (ds->report && json) {
		report_json(ds->report, &ds->json);
	} else if (ds->report) {
		if (ds->o.number[OPT_COUNT] != 1 && !report_is_empty(ds->report))
			report_headings(ds->report);
		report_output(ds->report);
	}
	if (json)
		json_end(ds);
	fflush(stdout);
	return good;
}

/* -S: every device is looked at as by `info -c`, and the command run for those selected. */
static bool begin_selection(struct dmsetup *ds, struct call *call)
{
	if (!given(ds, OPT_SELECT) || !call->command->selects)
		return true;
	ds->selecting = call->command;
	ds->o.given[OPT_COLUMNS] = 1;
	call->command = command_find(dmsetup_commands, "info");
	return true;
}

static bool begin_units(struct dmsetup *ds)
{
	ds->unit = 's';
	ds->unit_factor = 512;
	if (!given(ds, OPT_UNITS))
		return true;
	ds->unit_factor = units_factor(ds->o.text[OPT_UNITS], &ds->unit, NULL);
	if (!ds->unit_factor)
		say("Invalid --units argument.");
	return ds->unit_factor != 0;
}

static bool prepare(struct dmsetup *ds, struct call *call)
{
	const char *name = call->command->name;

	if (!strcmp(name, "splitname"))
		ds->o.given[OPT_COLUMNS] = 1;
	if (!strcmp(name, "stats")) {
		ds->o.given[OPT_COLUMNS]++;
		if (!given(ds, OPT_UNITS)) {
			ds->o.given[OPT_UNITS] = 1;
			ds->o.text[OPT_UNITS] = "h";
		}
	}
	if (!strcmp(name, "mangle"))
		ds->client->mangling = MANGLE_NONE;
	if (!read_style(ds)) {
		say("Couldn't process command line.");
		return false;
	}
	if (call->command->has_subcommands) {
		call->subcommand = call->argv[0];
		call->argc--;
		call->argv++;
	}
	begin_selection(ds, call);
	if (given(ds, OPT_COLUMNS) && !report_begin(ds, call->command->name, call->subcommand))
		return false;
	return begin_units(ds) && interval_start(ds);
}

static bool run_command(struct dmsetup *ds, struct call *call)
{
	bool at_once = given(ds, OPT_HELP) || given(ds, OPT_VERSION);

	ds->interval.left = 1;
	if (!at_once && !prepare(ds, call))
		return false;
	call->several = call->command->repeats && call->argc != 1 &&
		(call->argc || !names_one(ds));
	for (;;) {
		if (!run_round(ds, call))
			return at_once;
		if (--ds->interval.left == 0)
			return true;
		putchar('\n');
		fflush(stdout);
		if (!interval_wait(ds))
			return false;
	}
}

int dmsetup_main(struct client *client, int argc, char **argv)
{
	struct dmsetup ds = { .client = client, .program_id = "dmstats", .interval.timer = -1 };
	struct call call = { .subcommand = "" };
	bool good = false;

	if (!device_folder_is_right())
		return 1;
	if (!parse_command_line(&ds, &argc, &argv)) {
		say("Couldn't process command line.");
		goto out;
	}
	call.argc = argc;
	call.argv = argv;
	call.command = choose_command(&ds, argc);
	good = call.command && run_command(&ds, &call);
out:
	report_free(ds.report);
	tree_free(ds.tree);
	return good || given(&ds, OPT_HELP) || given(&ds, OPT_VERSION) ? 0 : 1;
}
