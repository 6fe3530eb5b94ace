/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmsetup.h - the command line of dmsetup and dmstats: options, commands, and what the
 * commands of one run share.
 */
#ifndef NDM_CLIENT_DMSETUP_H
#define NDM_CLIENT_DMSETUP_H

#include "../client.h"
#include "../report.h"
#include "../task.h"

/* In the order in which getopt names what an abbreviation might mean. */
enum option_id {
	OPT_READONLY, OPT_ALIAS, OPT_ALLDEVICES, OPT_ALLPROGRAMS, OPT_ALLREGIONS, OPT_AREA,
	OPT_AREAS, OPT_AREASIZE, OPT_BOUNDS, OPT_CHECKS, OPT_CLEAR, OPT_COLUMNS, OPT_CONCISE,
	OPT_COUNT, OPT_DEFERRED, OPT_SELECT, OPT_EXEC, OPT_FILEMAP, OPT_FOLLOW, OPT_FORCE,
	OPT_FOREGROUND, OPT_GID, OPT_GROUP, OPT_GROUPID, OPT_HELP, OPT_HISTOGRAM, OPT_INACTIVE,
	OPT_INTERVAL, OPT_LENGTH, OPT_MANGLENAME, OPT_MAJOR, OPT_MINOR, OPT_MODE,
	OPT_NAMEPREFIXES, OPT_NOGROUP, OPT_NOFLUSH, OPT_NOHEADINGS, OPT_NOLOCKFS,
	OPT_NOOPENCOUNT, OPT_NOSUFFIX, OPT_NOTABLE, OPT_NOTIMESUFFIX, OPT_UDEVCOOKIE,
	OPT_NOMONITOR, OPT_NOUDEVRULES, OPT_NOUDEVSYNC, OPT_OPTIONS, OPT_PRECISE,
	OPT_PROGRAMID, OPT_RAW, OPT_READAHEAD, OPT_REGION, OPT_REGIONS, OPT_REGIONID,
	OPT_RELATIVE, OPT_RETRY, OPT_ROWS, OPT_SEGMENTS, OPT_SEPARATOR, OPT_SETUUID,
	OPT_SHOWKEYS, OPT_SORT, OPT_START, OPT_TABLE, OPT_TARGET, OPT_TREE, OPT_UID, OPT_UNITS,
	OPT_UUID, OPT_UNBUFFERED, OPT_UNQUOTED, OPT_USERDATA, OPT_VERBOSE, OPT_VERIFYUDEV,
	OPT_VERSION, OPT_YES, OPT_ADDNODEONRESUME, OPT_ADDNODEONCREATE, NR_OPTIONS
};

struct options {
	unsigned given[NR_OPTIONS];	/* how often */
	int number[NR_OPTIONS];
	const char *text[NR_OPTIONS];
	bool read_ahead_minimum;
	bool json, explain;		/* ours, not dmsetup's */
};

enum usage { USAGE_DMSETUP, USAGE_STATS, USAGE_DEVMAP_NAME };
enum number_style { STYLE_NUMBER, STYLE_BLKDEVNAME, STYLE_DEVNAME };

/* Sections of the fields of a report. */
enum {
	IN_TASK = 1, IN_INFO = 2, IN_DEPS = 4, IN_TREE = 8, IN_SPLIT = 16, IN_STATS = 32,
	IN_REGION = 64,
};

struct tree;
struct dmsetup;
struct command;

/* How a command is called: arguments, or a device of a list. */
struct call {
	const struct command *command;
	const char *subcommand;
	int argc;
	char **argv;
	const char *name;	/* of the list; its arguments are for all then */
	uint64_t dev;
	bool several;		/* devices: lines begin with their names */
};

typedef bool command_run(struct dmsetup *ds, const struct call *call);

struct command {
	const char *name, *help;
	int least, most;	/* arguments; most -1: any number */
	bool repeats;		/* once for each argument */
	bool selects;		/* -S works */
	bool has_subcommands;
	command_run *run;
};

/* A statistics clock for reports that repeat; stats-report.c */
struct interval {
	uint64_t configured_ns, last_ns, started_ns, count, left;
	int timer;
	bool fresh;
};

struct dmsetup {
	struct client *client;
	struct options o;
	enum usage usage;
	const char *usage_name;
	char *word;			/* the command, as written */
	const struct command *selecting;	/* what -S runs for each device */
	struct report *report;
	struct json json;
	struct tree *tree;
	enum number_style style;
	unsigned remaining;		/* devices counted */
	bool concise_begun;
	const char *table;		/* --table, or of a concise line */
	const char *uuid;		/* --uuid, or of a concise line */
	const char *program_id;		/* statistics */
	unsigned walk;			/* objects of statistics to be shown */
	struct interval interval;
	char unit;
	uint64_t unit_factor;
};

/* options.c */
bool options_parse(struct dmsetup *ds, int *argc, char ***argv);
bool given(const struct dmsetup *ds, enum option_id id);
bool cookie_value(const char *text, uint32_t *value);

/* commands.c, usage.c */
extern const struct command dmsetup_commands[], stats_commands[];
const struct command *command_find(const struct command *list, const char *name);
void usage_print(const struct dmsetup *ds);
bool report_begin(struct dmsetup *ds, const char *command, const char *subcommand);

/* common.c */
bool set_device(struct dmsetup *ds, struct task *task, const char *name);
void set_common(struct dmsetup *ds, struct task *task);
bool for_all(struct dmsetup *ds, const struct call *call, command_run *run, bool silent);
bool names_one(const struct dmsetup *ds);
bool display_info(struct dmsetup *ds, struct task *task);
char *device_text(struct dmsetup *ds, unsigned major, unsigned minor, enum number_style style);
void json_begin(struct dmsetup *ds, const char *kind);
void json_end(struct dmsetup *ds);

/* fields.c */
extern const struct report_type dmsetup_report_type;
struct split_name {
	char *subsystem, *vg, *lv, *layer;
};
bool split_name(struct split_name *split, const char *uuid, const char *name, char separator);
void split_name_free(struct split_name *split);

struct stats;
/* What a row of a report is about; parts that its sections do not need are NULL. */
struct row_source {
	struct dmsetup *ds;
	struct task *task, *deps;
	const struct info *info;
	const struct tree_node *node;
	const struct split_name *split;
	struct stats *stats;
};

/* tree.c */
struct tree_node {
	unsigned major, minor;
	bool mapped;
	char *name, *uuid;
	struct info info;
	struct tree_node **uses, **used_by;	/* the root is never among them */
	size_t nr_uses, nr_used_by;
};
bool tree_build(struct dmsetup *ds);
void tree_free(struct tree *tree);
const struct tree_node *tree_find(const struct tree *tree, unsigned major, unsigned minor);
/* what stands at the top; inverted: at the bottom */
size_t tree_roots(const struct tree *tree, bool inverted, struct tree_node *const **roots);
struct tree_view;
bool tree_options(struct dmsetup *ds, const char *text);
bool tree_print(struct dmsetup *ds);

/* the commands */
command_run run_help, run_create, run_remove, run_remove_all, run_suspend, run_resume, run_load,
	run_clear, run_wipe, run_rename, run_message, run_ls, run_info, run_deps, run_stats,
	run_status, run_wait, run_mknodes, run_mangle, run_cookie_create, run_cookie_release,
	run_udev_flags, run_udev_complete, run_udev_complete_all, run_cookies,
	run_target_version, run_targets, run_version, run_geometry, run_splitname;
command_run run_stats_help, run_stats_clear, run_stats_create, run_stats_delete, run_stats_group,
	run_stats_report, run_stats_print, run_stats_ungroup, run_stats_update_filemap;
bool simple_command(struct dmsetup *ds, enum task_type type, const char *name,
		    uint32_t event_nr, bool show);
bool do_rename(struct dmsetup *ds, const char *name, const char *new_name, const char *new_uuid);

#endif
