/* SPDX-License-Identifier: BSD-2-Clause */
/* usage.c - help, on standard error as dmsetup's is, and the choice of a report's fields. */
#include "dmsetup.h"

#include <stdlib.h>
#include <string.h>

static void print_commands(const struct command *command)
{
	for (; command->name; command++)
		say("\t%s %s", command->name, command->help);
}

static void print_dmsetup(const struct dmsetup *ds)
{
	say("Usage:\n\n%s\n"
	    "        [--version] [-h|--help [-c|-C|--columns]] [--control <socket>]\n"
	    "        [-v|--verbose [-v|--verbose ...]] [-f|--force]\n"
	    "        [--checks] [--manglename {none|hex|auto}]\n"
	    "        [-r|--readonly] [--noopencount] [--noflush] [--nolockfs] [--inactive]\n"
	    "        [--udevcookie <cookie>] [--noudevrules] [--noudevsync] [--verifyudev]\n"
	    "        [-y|--yes] [--readahead {[+]<sectors>|auto|none}] [--retry]\n"
	    "        [-c|-C|--columns] [-o <fields>] [-O|--sort <sort_fields>]\n"
	    "        [-S|--select <selection>] [--nameprefixes] [--noheadings]\n"
	    "        [--separator <separator>] [--reportformat {basic|json}|-j]\n", ds->usage_name);
	print_commands(dmsetup_commands);
	say("\n<device> is a name or, for one device, -u <uuid> or -j <major> -m <minor>.\n"
	    "A table is lines of START LENGTH TARGET PARAMETERS, in sectors of 512 bytes; it is\n"
	    "read from standard input where none is given.\n"
	    "<fields> are separated by commas; 'help -c' lists them.\n"
	    "<concise_devices> are <name>,<uuid>,<minor>,{ro|rw|},<table line>[,<table line>...]\n"
	    "with semicolons between devices.\n"
	    "-o of ls and deps: devno, devname, blkdevname.\n"
	    "-o of ls --tree: ascii, utf, vt100; compact, inverted, notrunc; blkdevname,\n"
	    "[no]device, active, open, rw, uuid.\n"
	    "Where libdevmapper would print only an errno, lines beginning with 'reason: '\n"
	    "say what ndmd has against it.\n");
}

static void print_stats(const struct dmsetup *ds)
{
	say("Usage:\n\n%s\n"
	    "        [-h|--help]\n"
	    "        [-v|--verbose [-v|--verbose ...]]\n"
	    "        [--areas <nr_areas>] [--areasize <size>]\n"
	    "        [--userdata <data>] [--clear]\n"
	    "        [--count <count>] [--interval <seconds>]\n"
	    "        [-o <fields>] [-O|--sort <sort_fields>]\n"
	    "\t      [--programid <id>]\n"
	    "        [--start <start>] [--length <length>]\n"
	    "        [--segments] [--units <units>]\n", ds->usage_name);
	print_commands(stats_commands);
	say("\n<device> may be device name or (if only one) -u <uuid> or -j <major> -m <minor>\n"
	    "<fields> are comma-separated.  Use 'help -c' for list.\n");
}

void usage_print(const struct dmsetup *ds)
{
	if (ds->usage == USAGE_STATS)
		print_stats(ds);
	else if (ds->usage == USAGE_DEVMAP_NAME)
		say("Usage: devmap_name <major> <minor>\n");
	else
		print_dmsetup(ds);
}

#define READ_COUNTERS "read_count,reads_merged_count,read_sector_count,read_time,read_ticks,"
#define WRITE_COUNTERS \
	"write_count,writes_merged_count,write_sector_count,write_time,write_ticks,"
#define IO_COUNTERS "in_progress_count,io_ticks,queue_ticks"
#define RATES "reads_merged_per_sec,writes_merged_per_sec,reads_per_sec,writes_per_sec," \
	"read_size_per_sec,write_size_per_sec,avg_request_size,queue_size,util,await," \
	"read_await,write_await"
#define OBJECT "stats_name,group_id,region_id,obj_type"
#define REGION OBJECT ",region_start,region_len,area_count,area_len"
#define AREAS OBJECT ",region_start,region_len,area_count,area_id,area_start,area_len"

static const char *default_fields(const struct dmsetup *ds, const char *command,
				  const char *subcommand)
{
	bool histogram = given(ds, OPT_HISTOGRAM);

	if (!strcmp(command, "splitname"))
		return "vg_name,lv_name,lv_layer";
	if (strcmp(command, "stats"))
		return "name,major,minor,attr,open,segments,events,uuid";
	if (!strcmp(subcommand, "list")) {
		if (histogram)
			return given(ds, OPT_VERBOSE) ? AREAS ",hist_bins,hist_bounds" :
				REGION ",hist_bins,hist_bounds";
		return given(ds, OPT_VERBOSE) ? AREAS ",program_id" : REGION ",program_id";
	}
	if (histogram)
		return given(ds, OPT_RELATIVE) ? REGION ",util,await,hist_percent_bounds" :
			REGION ",util,await,hist_count_bounds";
	if (given(ds, OPT_RAW))
		return OBJECT ",area_id,area_start,area_len," READ_COUNTERS WRITE_COUNTERS
			IO_COUNTERS;
	return OBJECT ",area_id,area_start,area_len," RATES;
}

static unsigned report_flags(const struct dmsetup *ds)
{
	unsigned flags = REPORT_ALIGNED | REPORT_HEADINGS;

	if (given(ds, OPT_NOHEADINGS))
		flags = 0;
	if (given(ds, OPT_NAMEPREFIXES))
		flags = (flags & ~(unsigned)REPORT_ALIGNED) | REPORT_PREFIXES;
	if (given(ds, OPT_SEPARATOR))
		flags &= ~(unsigned)REPORT_ALIGNED;
	if (given(ds, OPT_UNQUOTED))
		flags |= REPORT_UNQUOTED;
	if (given(ds, OPT_ROWS))
		flags |= REPORT_ROWS;
	return flags;
}

/* Makes ds->report for a command. */
bool report_begin(struct dmsetup *ds, const char *command, const char *subcommand)
{
	const char *fields = default_fields(ds, command, subcommand);
	const char *wanted = given(ds, OPT_OPTIONS) ? ds->o.text[OPT_OPTIONS] : NULL;
	const char *separator = given(ds, OPT_NOHEADINGS) ? ":" : " ";
	unsigned flags = report_flags(ds), sections = 0;
	char *both = NULL;

	if (!strcmp(command, "splitname"))
		sections = IN_SPLIT;
	if (!strcmp(command, "stats"))
		sections = strcmp(subcommand, "list") ? IN_REGION | IN_STATS : IN_REGION;
	if (wanted && strstr(wanted, "help")) {
		ds->o.given[OPT_COUNT] = ds->o.given[OPT_INTERVAL] = 0;
		flags &= ~(unsigned)REPORT_HEADINGS;
	}
	if (wanted && *wanted == '+')
		fields = both = text_format("%s,%s", fields, wanted + 1);
	else if (wanted)
		fields = wanted;
	if (given(ds, OPT_SORT) && (!strcmp(command, "status") || !strcmp(command, "table"))) {
		say("--sort is not yet supported with status and table.");
		free(both);
		return false;
	}
	if (given(ds, OPT_SEPARATOR))
		separator = ds->o.text[OPT_SEPARATOR];
	ds->report = fields ? report_new(&dmsetup_report_type, sections, fields, separator, flags,
					 given(ds, OPT_SORT) ? ds->o.text[OPT_SORT] : "",
					 given(ds, OPT_SELECT) ? ds->o.text[OPT_SELECT] : NULL) :
		NULL;
	free(both);
	if (!ds->report)
		return false;
	return !(ds->report->sections & IN_TREE) || tree_build(ds);
}
