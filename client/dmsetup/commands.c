/* SPDX-License-Identifier: BSD-2-Clause */
/* commands.c - the commands of dmsetup and of dmstats, in the order in which help names them. */
#include "dmsetup.h"

#include <string.h>

const struct command dmsetup_commands[] = {
	{ "help", "[-c|-C|--columns]", 0, 0, false, false, false, run_help },
	{ "create", "<name>\n"
	  "\t    [-j|--major <major> -m|--minor <minor>]\n"
	  "\t    [-U|--uid <uid>] [-G|--gid <gid>] [-M|--mode <octal_mode>]\n"
	  "\t    [-u|--uuid <uuid>] [--addnodeonresume|--addnodeoncreate]\n"
	  "\t    [--readahead {[+]<sectors>|auto|none}]\n"
	  "\t    [-n|--notable|--table <table>|<file>]\n"
	  "\tcreate --concise [<concise_devices>]",
	  0, 2, false, false, false, run_create },
	{ "remove", "[--deferred] [-f|--force] [--retry] <device>...",
	  0, -1, true, true, false, run_remove },
	{ "remove_all", "[-f|--force] [--deferred]", 0, 0, false, false, false, run_remove_all },
	{ "suspend", "[--noflush] [--nolockfs] <device>...",
	  0, -1, true, true, false, run_suspend },
	{ "resume", "[--noflush] [--nolockfs] <device>...\n"
	  "\t       [--addnodeonresume|--addnodeoncreate]\n"
	  "\t       [--readahead {[+]<sectors>|auto|none}]",
	  0, -1, true, true, false, run_resume },
	{ "load", "<device> [--table <table>|<file>]", 0, 2, false, false, false, run_load },
	{ "clear", "<device>...", 0, -1, true, true, false, run_clear },
	{ "reload", "<device> [--table <table>|<file>]", 0, 2, false, false, false, run_load },
	{ "wipe_table", "[-f|--force] [--noflush] [--nolockfs] <device>...",
	  0, -1, true, true, false, run_wipe },
	{ "rename", "<device> [--setuuid] <new_name_or_uuid>",
	  1, 2, false, false, false, run_rename },
	{ "measure", "[<device>...]", 0, -1, true, true, false, run_status },
	{ "message", "<device> <sector> <message>", 2, -1, false, false, false, run_message },
	{ "ls", "[--target <type>] [--exec <command>] [-o <options>] [--tree]",
	  0, 0, false, false, false, run_ls },
	{ "info", "[<device>...]", 0, -1, true, false, false, run_info },
	{ "deps", "[-o <options>] [<device>...]", 0, -1, true, true, false, run_deps },
	{ "stats", "<command> [<options>] [<device>...]", 1, -1, true, false, true, run_stats },
	{ "status", "[<device>...] [--noflush] [--target <type>] [--explain]",
	  0, -1, true, true, false, run_status },
	{ "table", "[<device>...] [--concise] [--target <type>] [--showkeys]",
	  0, -1, true, true, false, run_status },
	{ "wait", "<device> [<event_nr>] [--noflush]", 0, 2, false, false, false, run_wait },
	{ "mknodes", "[<device>...]", 0, -1, true, false, false, run_mknodes },
	{ "mangle", "[<device>...]", 0, -1, true, false, false, run_mangle },
	{ "udevcreatecookie", "", 0, 0, false, false, false, run_cookie_create },
	{ "udevreleasecookie", "[<cookie>]", 0, 1, false, false, false, run_cookie_release },
	{ "udevflags", "<cookie>", 1, 1, false, false, false, run_udev_flags },
	{ "udevcomplete", "<cookie>", 1, 1, false, false, false, run_udev_complete },
	{ "udevcomplete_all", "[<age_in_minutes>]", 0, 1, false, false, false,
	  run_udev_complete_all },
	{ "udevcookies", "", 0, 0, false, false, false, run_cookies },
	{ "target-version", "<target>...", 1, -1, true, false, false, run_target_version },
	{ "targets", "", 0, 0, false, false, false, run_targets },
	{ "version", "", 0, 0, false, false, false, run_version },
	{ "setgeometry", "<device> <cyl> <head> <sect> <start>",
	  5, 5, false, false, false, run_geometry },
	{ "splitname", "<device> [<subsystem>]", 1, 2, false, false, false, run_splitname },
	{ .name = NULL }
};

/*
 * The help of dmstats is what scripts have seen in recordings of it, to the blank at a line's
 * end; create is there twice: with --filemap it takes quite other options.
 */
#define NEXT "\n\t    "
#define ALL_DEVICES "[--alldevices|<device>...] "
#define ALL_PROGRAMS "[--allprograms|--programid id] "
#define ALL_REGIONS "[--allregions|--regionid id] "
#define OF_REGION "[--programid <id>] [--userdata <data> ] "
#define OF_HISTOGRAM "[--bounds histogram_boundaries] [--precise] "

const struct command stats_commands[] = {
	{ "help", "", 0, 0, false, false, false, run_stats_help },
	{ "clear", ALL_REGIONS ALL_DEVICES, 0, -1, true, false, false, run_stats_clear },
	{ "create", "[--start <start> [--length <len>]" NEXT
	  "[--areas <nr_areas>] [--areasize <size>] " NEXT OF_REGION NEXT OF_HISTOGRAM NEXT
	  "[--segments] " ALL_DEVICES, 0, -1, true, false, false, run_stats_create },
	{ "create", "--filemap [--nogroup] [--nomonitor] [--follow mode]" NEXT
	  OF_REGION NEXT OF_HISTOGRAM "<file_path>", 0, -1, true, false, false,
	  run_stats_create },
	{ "delete", ALL_PROGRAMS NEXT ALL_REGIONS NEXT ALL_DEVICES, 1, -1, true, false, false,
	  run_stats_delete },
	{ "group", "[--alias NAME] --regions <regions>" NEXT ALL_PROGRAMS ALL_DEVICES,
	  1, -1, true, false, false, run_stats_group },
	{ "list", ALL_PROGRAMS ALL_REGIONS, 0, -1, true, false, false, run_stats_report },
	{ "print", "[--clear] " ALL_PROGRAMS NEXT ALL_REGIONS NEXT ALL_DEVICES,
	  0, -1, true, false, false, run_stats_print },
	{ "report", "[--interval <seconds>] [--count <cnt>]" NEXT
	  "[--units <u>] [--programid <id>] [--regionid <id>] " NEXT
	  "[-o <fields>] [-O|--sort <sort_fields>]" NEXT
	  "[-S|--select <selection>] [--nameprefixes]" NEXT
	  "[--noheadings] [--separator <separator>]" NEXT
	  ALL_PROGRAMS "[<device>...]", 0, -1, true, false, false, run_stats_report },
	{ "ungroup", "--groupid <id> " ALL_PROGRAMS NEXT ALL_DEVICES,
	  1, -1, true, false, false, run_stats_ungroup },
	{ "update_filemap", "--groupid <id> " NEXT "[--nomonitor] [--follow mode] <file_path>",
	  1, 1, false, false, false, run_stats_update_filemap },
	{ "version", "", 0, -1, true, false, false, run_version },
	{ .name = NULL }
};

const struct command *command_find(const struct command *list, const char *name)
{
	for (; list->name; list++)
		if (!strcmp(list->name, name))
			return list;
	return NULL;
}
