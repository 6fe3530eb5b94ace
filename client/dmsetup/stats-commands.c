/* SPDX-License-Identifier: BSD-2-Clause */
/* stats-commands.c - the commands of dmstats that change or print regions. */
#include "dmsetup.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* These commands print no report. */
static void drop_report(struct dmsetup *ds)
{
	report_free(ds->report);
	ds->report = NULL;
}

static bool need_device(const struct dmsetup *ds, const struct call *call)
{
	if (call->name || call->argc || names_one(ds) || given(ds, OPT_ALLDEVICES))
		return true;
	say("Please specify device(s) or use --alldevices.");
	return false;
}

static bool is_for_all(const struct dmsetup *ds, const struct call *call)
{
	return !call->name && !call->argc && !names_one(ds);
}

static void bind_device(struct dmsetup *ds, const struct call *call, struct stats *stats,
		 const char *program)
{
	*stats = (struct stats){ .client = ds->client, .program = program, .major = -1,
				 .minor = -1 };
	stats->bound_name = call->name ? call->name : call->argc ? call->argv[0] : NULL;
	if (!stats->bound_name && given(ds, OPT_UUID))
		stats->bound_uuid = ds->uuid;
	stats->major = ds->o.number[OPT_MAJOR];
	stats->minor = ds->o.number[OPT_MINOR];
}

bool run_stats_help(struct dmsetup *ds, const struct call *call)
{
	const char *name = call->command ? call->command->name : "help";

	usage_print(ds);
	if (!given(ds, OPT_COLUMNS) && !(call->argc && !strcmp(call->argv[0], "report")))
		return true;
	ds->o.given[OPT_OPTIONS] = 1;
	ds->o.text[OPT_OPTIONS] = "help";
	ds->o.given[OPT_SORT] = 0;
	drop_report(ds);
	report_begin(ds, name, "help");
	drop_report(ds);
	return true;
}

static bool clear_region(struct stats *stats, uint64_t id)
{
	struct task *task;

	if (!stats_find(stats, id)) {
		say("No such region: %" PRIu64 ".", id);
		return false;
	}
	task = stats_message(stats, text_format("@stats_clear %" PRIu64, id));
	if (!task)
		say("Clearing statistics region %" PRIu64 " failed.", id);
	task_free(task);
	return task != NULL;
}

bool run_stats_clear(struct dmsetup *ds, const struct call *call)
{
	struct stats stats;
	bool good;
	size_t i;

	drop_report(ds);
	if (!given(ds, OPT_REGIONID) && !given(ds, OPT_ALLREGIONS)) {
		say("Please specify a --regionid or use --allregions.");
		return false;
	}
	if (is_for_all(ds, call))
		return for_all(ds, call, run_stats_clear, false);
	bind_device(ds, call, &stats, STATS_PROGRAM);
	good = stats_list(&stats, NULL);
	if (good && stats.n && !given(ds, OPT_ALLREGIONS))
		good = clear_region(&stats, (uint64_t)ds->o.number[OPT_REGIONID]);
	for (i = 0; good && given(ds, OPT_ALLREGIONS) && i < stats.n; i++)
		good = clear_region(&stats, stats.regions[i].id);
	stats_free(&stats);
	return good;
}

/* -- create ------------------------------------------------------------------------------ */

/* A size with a unit, in sectors without one; the result is bytes. */
static bool size_option(const struct dmsetup *ds, enum option_id id, uint64_t *bytes,
			const char *name)
{
	const char *text = ds->o.text[id];
	uint64_t factor;
	char *end, unit;

	*bytes = 0;
	if (!given(ds, id))
		return true;
	*bytes = strtoull(text, &end, 10);
	if (end == text) {
		*bytes = 0;
		say("Invalid %s argument: \"%s\"", name, text);
		return false;
	}
	factor = *end ? units_factor(end, &unit, NULL) : 512;
	if (factor)
		*bytes *= factor;
	return true;
}

struct creation {
	struct dmsetup *ds;
	struct stats stats;
	uint64_t start, length;		/* sectors */
	int64_t step;			/* sectors, or minus the number of areas */
	const char *program, *user;
	char *bounds;			/* as @stats_create wants them */
	bool precise;
	uint64_t *ids;
	size_t n;
};

static uint64_t areas_of(uint64_t length, int64_t step)
{
	if (!step || !length)
		return 1;
	return step < 0 ? (uint64_t)-step :
		length / (uint64_t)step + !!(length % (uint64_t)step);
}

static bool create_region(struct creation *c, const char *device, uint64_t start, uint64_t length)
{
	unsigned options = c->precise + !!c->bounds;
	char range[48] = "-", *opts = NULL;
	const char *response;
	struct task *task = NULL;

	if (start || length)
		snprintf(range, sizeof(range), "%" PRIu64 "+%" PRIu64, start, length);
	if (options)
		opts = text_format("%u %s %s%s", options, c->precise ? "precise_timestamps" : "",
				   c->bounds ? "histogram:" : "", c->bounds ? c->bounds : "");
	task = stats_message(&c->stats, text_format("@stats_create %s %s%" PRIu64 " %s %s %s",
						    range, c->step < 0 ? "/" : "",
						    (uint64_t)llabs(c->step), opts ? opts : "",
						    c->program, c->user));
	free(opts);
	response = task ? task_response(task) : NULL;
	if (response) {
		c->ids[c->n] = strtoull(response, NULL, 10);
		printf("%s: Created new region with %" PRIu64 " area(s) as region ID %" PRIu64 "\n",
		       device, areas_of(length, c->step), c->ids[c->n++]);
	} else {
		say("%s: Could not create statistics region.", device);
	}
	task_free(task);
	return response != NULL;
}

/* One region for each line of the table, or one for all. */
static bool create_regions(struct creation *c, struct task *table)
{
	bool segments = given(c->ds, OPT_SEGMENTS);
	uint64_t length = c->length;
	size_t i;

	c->ids = calloc(table->nr_lines + 1, sizeof(*c->ids));
	if (!c->ids)
		return false;
	for (i = 0; segments && i < table->nr_lines; i++)
		if (!create_region(c, task_name(table), table->lines[i].start,
				   table->lines[i].length))
			return false;
	if (segments)
		return true;
	for (i = 0; !c->length && i < table->nr_lines; i++)
		length += table->lines[i].length;
	return create_region(c, task_name(table), c->start, length);
}

static bool group_segments(struct creation *c)
{
	const char *alias = c->ds->o.text[OPT_ALIAS];
	char *list = strdup(""), *longer;
	uint64_t group_id;
	bool good;
	size_t i;

	for (i = 0; list && i < c->n; i++) {
		longer = text_format("%s%s%" PRIu64, list, i ? "," : "", c->ids[i]);
		free(list);
		list = longer;
	}
	good = list && stats_list(&c->stats, NULL) &&
		stats_create_group(&c->stats, list, alias, &group_id);
	if (good)
		printf("Grouped regions %s as group ID %" PRIu64 "%s%s\n", list, group_id,
		       alias ? " with alias " : "", alias ? alias : "");
	else
		say("Failed to create group for regions %s.", list ? list : "");
	free(list);
	return good;
}

static bool do_create(struct creation *c)
{
	struct dmsetup *ds = c->ds;
	struct bounds bounds;
	struct task *table;
	bool good;

	if (given(ds, OPT_ALIAS) && given(ds, OPT_NOGROUP)) {
		say("Cannot set alias with --nogroup.");
		return false;
	}
	if (given(ds, OPT_BOUNDS)) {
		if (!bounds_parse(ds->o.text[OPT_BOUNDS], &bounds))
			return false;
		c->bounds = bounds_argument(&bounds, &c->precise);
		free(bounds.upper);
	}
	table = task_new(ds->client, TASK_TABLE);
	good = table && set_device(ds, table, c->stats.bound_name) && task_run(table);
	if (good && given(ds, OPT_BOUNDS) && !c->bounds) {
		say("%s: Could not create statistics region.", task_name(table));
		good = false;
	}
	good = good && create_regions(c, table);
	task_free(table);
	if (good && !given(ds, OPT_NOGROUP) && given(ds, OPT_SEGMENTS))
		good = group_segments(c);
	free(c->bounds);
	free(c->ids);
	stats_free(&c->stats);
	return good;
}

static bool check_create(const struct dmsetup *ds)
{
	const char *program = ds->o.text[OPT_PROGRAMID];

	if (given(ds, OPT_ALLREGIONS)) {
		say("Cannot use --allregions with create.");
		return false;
	}
	if (given(ds, OPT_ALLPROGRAMS)) {
		say("Cannot use --allprograms with create.");
		return false;
	}
	if (given(ds, OPT_AREAS) && given(ds, OPT_AREASIZE)) {
		say("Please specify one of --areas and --areasize.");
		return false;
	}
	if (program && !*program && !given(ds, OPT_FORCE)) {
		say("Creating a region with no program id requires --force.");
		return false;
	}
	return true;
}

/*
 * Regions over the extents of a file need a file system on the device in this machine's
 * kernel, which never knows our devices.
 */
static bool check_filemap(const struct dmsetup *ds, const struct call *call, const char *complaint)
{
	char *path;

	if (given(ds, OPT_AREAS) || given(ds, OPT_AREASIZE))
		say("--filemap is incompatible with --areas and --area-size.");
	else if (given(ds, OPT_START) || given(ds, OPT_LENGTH))
		say("--filemap is incompatible with --start and --length.");
	else if (given(ds, OPT_SEGMENTS))
		say("--filemap and --segments are incompatible.");
	else if (given(ds, OPT_USERDATA))
		say("--userdata is not yet supported with --filemap.");
	else if (names_one(ds))
		say("--uuid and --major are incompatible with --filemap.");
	else if (given(ds, OPT_ALLDEVICES))
		say("--alldevices is incompatible with --filemap.");
	else if (!call->argc)
		say("%s", complaint);
	else if (!(path = canonicalize_file_name(call->argv[0])))
		say("Could not canonicalize file name: %s", call->argv[0]);
	else {
		free(path);
		return true;
	}
	return false;
}

static bool refuse_filemap(const char *verb, const char *path)
{
	say("%s is not in a file system on a mapped device of this machine: what ndmd maps, "
	    "no kernel here mounts.", path);
	say("Could not %s regions from file %s.", verb, path);
	return false;
}

bool run_stats_create(struct dmsetup *ds, const struct call *call)
{
	struct creation c = { .ds = ds, .user = "", .program = STATS_PROGRAM };
	uint64_t area_bytes, start_bytes, length_bytes;

	drop_report(ds);
	if (!check_create(ds))
		return false;
	if (given(ds, OPT_FILEMAP))
		return check_filemap(ds, call, "--filemap requires a file path argument") &&
			refuse_filemap("create", call->argv[0]);
	if (!need_device(ds, call))
		return false;
	if (is_for_all(ds, call))
		return for_all(ds, call, run_stats_create, false);
	if (!size_option(ds, OPT_AREASIZE, &area_bytes, "areasize") ||
	    !size_option(ds, OPT_START, &start_bytes, "start") ||
	    !size_option(ds, OPT_LENGTH, &length_bytes, "length"))
		return false;
	c.step = area_bytes ? (int64_t)(area_bytes / 512) :
		-(int64_t)(ds->o.number[OPT_AREAS] ? ds->o.number[OPT_AREAS] : 1);
	c.start = start_bytes / 512;
	c.length = length_bytes / 512;
	c.precise = given(ds, OPT_PRECISE);
	if (given(ds, OPT_PROGRAMID))
		c.program = ds->o.text[OPT_PROGRAMID];
	if (given(ds, OPT_USERDATA))
		c.user = ds->o.text[OPT_USERDATA];
	bind_device(ds, call, &c.stats, *c.program ? STATS_PROGRAM : "");
	return do_create(&c);
}

/* -- delete ------------------------------------------------------------------------------ */

static bool delete_all(struct stats *stats)
{
	while (stats->n) {
		uint64_t id = stats->regions[0].id;

		/* Each removal may change what is known of groups: ask again. */
		if (!stats_delete_region(stats, id)) {
			say("Could not delete statistics region.");
			return false;
		}
		if (!stats_list(stats, stats->program))
			return false;
	}
	return true;
}

static bool check_delete(const struct dmsetup *ds)
{
	if (given(ds, OPT_REGIONID) && given(ds, OPT_GROUPID)) {
		say("Please use one of --regionid and --groupid.");
		return false;
	}
	if (!given(ds, OPT_REGIONID) && !given(ds, OPT_ALLREGIONS) && !given(ds, OPT_GROUPID)) {
		say("Please specify a --regionid or --groupid, or use --allregions.");
		return false;
	}
	return true;
}

bool run_stats_delete(struct dmsetup *ds, const struct call *call)
{
	uint64_t group_id = (uint64_t)ds->o.number[OPT_GROUPID];
	const char *program = given(ds, OPT_PROGRAMID) ? ds->o.text[OPT_PROGRAMID] :
		STATS_PROGRAM;
	struct stats stats;
	bool good;

	drop_report(ds);
	if (!check_delete(ds) || !need_device(ds, call))
		return false;
	if (is_for_all(ds, call))
		return for_all(ds, call, run_stats_delete, false);
	bind_device(ds, call, &stats, given(ds, OPT_ALLPROGRAMS) ? "" : program);
	good = stats_list(&stats, NULL);
	if (!good && !given(ds, OPT_ALLREGIONS) && !given(ds, OPT_GROUPID)) {
		say("Could not obtain region list while deleting region ID %d",
		    ds->o.number[OPT_REGIONID]);
		say("Could not delete statistics region");
	}
	if (!good || (given(ds, OPT_ALLREGIONS) && !stats.n))
		goto out;
	if (given(ds, OPT_GROUPID)) {
		good = stats_delete_group(&stats, group_id, true);
		if (good)
			printf("Deleted statistics group %" PRIu64 ".\n", group_id);
		else
			say("Could not delete statistics group.");
	} else if (given(ds, OPT_ALLREGIONS)) {
		good = delete_all(&stats);
	} else {
		good = stats_delete_region(&stats, (uint64_t)ds->o.number[OPT_REGIONID]);
		if (!good)
			say("Could not delete statistics region");
	}
out:
	stats_free(&stats);
	return good;
}

/* -- print, group, ungroup --------------------------------------------------------------- */

static bool print_region(struct dmsetup *ds, struct stats *stats, uint64_t id)
{
	struct task *task = stats_message(stats, text_format("@stats_print%s %" PRIu64 " ",
							     given(ds, OPT_CLEAR) ? "_clear" : "",
							     id));
	const char *response = task ? task_response(task) : NULL;

	if (response)
		fputs(response, stdout);
	else
		say("Could not print statistics region.");
	task_free(task);
	return response != NULL;
}

bool run_stats_print(struct dmsetup *ds, const struct call *call)
{
	struct stats stats;
	bool good;
	size_t i;

	drop_report(ds);
	if (!given(ds, OPT_REGIONID) && !given(ds, OPT_ALLREGIONS)) {
		say("Please specify a --regionid or use --allregions.");
		return false;
	}
	if (is_for_all(ds, call))
		return for_all(ds, call, run_stats_print, false);
	bind_device(ds, call, &stats, STATS_PROGRAM);
	good = stats_list(&stats, NULL);
	if (good && !given(ds, OPT_ALLREGIONS))
		good = print_region(ds, &stats, (uint64_t)ds->o.number[OPT_REGIONID]);
	/* dmstats prints each region twice here; the second time after --clear */
	for (i = 0; good && given(ds, OPT_ALLREGIONS) && i < stats.n; i++)
		good = print_region(ds, &stats, stats.regions[i].id) &&
			print_region(ds, &stats, stats.regions[i].id);
	stats_free(&stats);
	return good;
}

static const char *shown(const char *name)
{
	return name ? name : "(null)";
}

bool run_stats_group(struct dmsetup *ds, const struct call *call)
{
	const char *members = ds->o.text[OPT_REGIONS];
	struct stats stats;
	uint64_t group_id;
	bool good;

	drop_report(ds);
	if (!given(ds, OPT_REGIONS)) {
		say("Group requires --regions.");
		return false;
	}
	if (!need_device(ds, call))
		return false;
	if (is_for_all(ds, call))
		return for_all(ds, call, run_stats_group, false);
	bind_device(ds, call, &stats, STATS_PROGRAM);
	good = stats_list(&stats, NULL);
	if (good) {
		good = stats_create_group(&stats, members, ds->o.text[OPT_ALIAS], &group_id);
		if (good)
			printf("Grouped regions %s as group ID %" PRIu64 " on %s\n", members,
			       group_id, shown(stats.bound_name));
		else
			say("Could not create group on %s: %s", shown(stats.bound_name), members);
	}
	stats_free(&stats);
	return good;
}

bool run_stats_ungroup(struct dmsetup *ds, const struct call *call)
{
	uint64_t group_id = (uint64_t)ds->o.number[OPT_GROUPID];
	struct stats stats;
	bool good;

	drop_report(ds);
	if (!given(ds, OPT_GROUPID)) {
		say("Please specify group id.");
		return false;
	}
	if (!need_device(ds, call))
		return false;
	if (is_for_all(ds, call))
		return for_all(ds, call, run_stats_ungroup, false);
	bind_device(ds, call, &stats, STATS_PROGRAM);
	good = stats_list(&stats, NULL);
	if (good) {
		good = stats_delete_group(&stats, group_id, false);
		if (!good)
			say("Could not delete group %" PRIu64 " on %s.", group_id,
			    shown(stats.bound_name));
		/* said in any case */
		printf("Removed group ID %" PRIu64 " on %s\n", group_id, shown(stats.bound_name));
	}
	stats_free(&stats);
	return good;
}

bool run_stats_update_filemap(struct dmsetup *ds, const struct call *call)
{
	if (!given(ds, OPT_GROUPID)) {
		say("--groupid is required to update a filemap group.");
		return false;
	}
	if (!check_filemap(ds, call, "update_filemap requires a file path argument"))
		return false;
	return refuse_filemap("update", call->argv[0]);
}

/* -- the command itself -------------------------------------------------------------------- */

bool run_stats(struct dmsetup *ds, const struct call *call)
{
	const struct command *command = command_find(stats_commands, call->subcommand);
	struct call sub = *call;

	ds->walk = (given(ds, OPT_AREA) ? WALK_AREA : 0) |
		(given(ds, OPT_REGION) ? WALK_REGION : 0) |
		(given(ds, OPT_GROUP) ? WALK_GROUP : 0);
	if (!ds->walk)
		ds->walk = WALK_REGION | WALK_GROUP;
	if (!command) {
		say("Unknown stats command.");
		sub.command = NULL;
		run_stats_help(ds, &sub);
		return false;
	}
	if (given(ds, OPT_ALLPROGRAMS) && given(ds, OPT_PROGRAMID)) {
		say("Please supply one of --allprograms and --programid");
		return false;
	}
	if (given(ds, OPT_ALLREGIONS) && given(ds, OPT_REGIONID)) {
		say("Please supply one of --allregions and --regionid");
		return false;
	}
	if (given(ds, OPT_FOLLOW) && given(ds, OPT_NOMONITOR)) {
		say("Use of --follow is incompatible with --nomonitor.");
		return false;
	}
	sub.command = command;
	return command->run(ds, &sub);
}
