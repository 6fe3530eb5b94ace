/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - dmsetup's options, read by getopt_long in their order: some are judged at once.
 *
 * Options of our own are taken out before, and only where they are written in full, so that
 * no abbreviation of dmsetup's gets another meaning: --control PATH, --json, --explain,
 * --reportformat FORMAT, and -j where no number follows (with one it is --major).
 */
#include "dmsetup.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum option_kind { FLAG, NUMBER, TEXT };

static const struct {
	const char *name;
	enum option_kind kind;
	char letter;
} options[NR_OPTIONS] = {
	[OPT_READONLY] = { "readonly", FLAG, 'r' },
	[OPT_ALIAS] = { "alias", TEXT, 0 },
	[OPT_ALLDEVICES] = { "alldevices", FLAG, 0 },
	[OPT_ALLPROGRAMS] = { "allprograms", FLAG, 0 },
	[OPT_ALLREGIONS] = { "allregions", FLAG, 0 },
	[OPT_AREA] = { "area", FLAG, 0 },
	[OPT_AREAS] = { "areas", NUMBER, 0 },
	[OPT_AREASIZE] = { "areasize", TEXT, 0 },
	[OPT_BOUNDS] = { "bounds", TEXT, 0 },
	[OPT_CHECKS] = { "checks", FLAG, 0 },
	[OPT_CLEAR] = { "clear", FLAG, 0 },
	[OPT_COLUMNS] = { "columns", FLAG, 'c' },
	[OPT_CONCISE] = { "concise", FLAG, 0 },
	[OPT_COUNT] = { "count", NUMBER, 0 },
	[OPT_DEFERRED] = { "deferred", FLAG, 0 },
	[OPT_SELECT] = { "select", TEXT, 'S' },
	[OPT_EXEC] = { "exec", TEXT, 0 },
	[OPT_FILEMAP] = { "filemap", FLAG, 0 },
	[OPT_FOLLOW] = { "follow", TEXT, 0 },
	[OPT_FORCE] = { "force", FLAG, 'f' },
	[OPT_FOREGROUND] = { "foreground", FLAG, 0 },
	[OPT_GID] = { "gid", NUMBER, 'G' },
	[OPT_GROUP] = { "group", FLAG, 0 },
	[OPT_GROUPID] = { "groupid", NUMBER, 0 },
	[OPT_HELP] = { "help", FLAG, 'h' },
	[OPT_HISTOGRAM] = { "histogram", FLAG, 0 },
	[OPT_INACTIVE] = { "inactive", FLAG, 0 },
	[OPT_INTERVAL] = { "interval", NUMBER, 0 },
	[OPT_LENGTH] = { "length", TEXT, 0 },
	[OPT_MANGLENAME] = { "manglename", TEXT, 0 },
	[OPT_MAJOR] = { "major", NUMBER, 'j' },
	[OPT_MINOR] = { "minor", NUMBER, 'm' },
	[OPT_MODE] = { "mode", TEXT, 'M' },
	[OPT_NAMEPREFIXES] = { "nameprefixes", FLAG, 0 },
	[OPT_NOGROUP] = { "nogroup", FLAG, 0 },
	[OPT_NOFLUSH] = { "noflush", FLAG, 0 },
	[OPT_NOHEADINGS] = { "noheadings", FLAG, 0 },
	[OPT_NOLOCKFS] = { "nolockfs", FLAG, 0 },
	[OPT_NOOPENCOUNT] = { "noopencount", FLAG, 0 },
	[OPT_NOSUFFIX] = { "nosuffix", FLAG, 0 },
	[OPT_NOTABLE] = { "notable", FLAG, 'n' },
	[OPT_NOTIMESUFFIX] = { "notimesuffix", FLAG, 0 },
	[OPT_UDEVCOOKIE] = { "udevcookie", TEXT, 0 },
	[OPT_NOMONITOR] = { "nomonitor", FLAG, 0 },
	[OPT_NOUDEVRULES] = { "noudevrules", FLAG, 0 },
	[OPT_NOUDEVSYNC] = { "noudevsync", FLAG, 0 },
	[OPT_OPTIONS] = { "options", TEXT, 'o' },
	[OPT_PRECISE] = { "precise", FLAG, 0 },
	[OPT_PROGRAMID] = { "programid", TEXT, 0 },
	[OPT_RAW] = { "raw", FLAG, 0 },
	[OPT_READAHEAD] = { "readahead", TEXT, 0 },
	[OPT_REGION] = { "region", FLAG, 0 },
	[OPT_REGIONS] = { "regions", TEXT, 0 },
	[OPT_REGIONID] = { "regionid", NUMBER, 0 },
	[OPT_RELATIVE] = { "relative", FLAG, 0 },
	[OPT_RETRY] = { "retry", FLAG, 0 },
	[OPT_ROWS] = { "rows", FLAG, 0 },
	[OPT_SEGMENTS] = { "segments", FLAG, 0 },
	[OPT_SEPARATOR] = { "separator", TEXT, 0 },
	[OPT_SETUUID] = { "setuuid", FLAG, 0 },
	[OPT_SHOWKEYS] = { "showkeys", FLAG, 0 },
	[OPT_SORT] = { "sort", TEXT, 'O' },
	[OPT_START] = { "start", TEXT, 0 },
	[OPT_TABLE] = { "table", TEXT, 0 },
	[OPT_TARGET] = { "target", TEXT, 0 },
	[OPT_TREE] = { "tree", FLAG, 0 },
	[OPT_UID] = { "uid", NUMBER, 'U' },
	[OPT_UNITS] = { "units", TEXT, 0 },
	[OPT_UUID] = { "uuid", TEXT, 'u' },
	[OPT_UNBUFFERED] = { "unbuffered", FLAG, 0 },
	[OPT_UNQUOTED] = { "unquoted", FLAG, 0 },
	[OPT_USERDATA] = { "userdata", TEXT, 0 },
	[OPT_VERBOSE] = { "verbose", TEXT, 0 },	/* -v takes none: an old slip, kept */
	[OPT_VERIFYUDEV] = { "verifyudev", FLAG, 0 },
	[OPT_VERSION] = { "version", FLAG, 0 },
	[OPT_YES] = { "yes", FLAG, 'y' },
	[OPT_ADDNODEONRESUME] = { "addnodeonresume", FLAG, 0 },
	[OPT_ADDNODEONCREATE] = { "addnodeoncreate", FLAG, 0 },
};

bool given(const struct dmsetup *ds, enum option_id id)
{
	return ds->o.given[id] != 0;
}

/* A udev cookie: a number of 32 bits that is not 0. */
bool cookie_value(const char *text, uint32_t *value)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 0);
	if (errno || !number || *end || number > UINT32_MAX) {
		say("Incorrect cookie value.");
		return false;
	}
	*value = (uint32_t)number;
	return true;
}

static bool take_mangling(struct dmsetup *ds, const char *text)
{
	static const char *const modes[] = {
		[MANGLE_NONE] = "none", [MANGLE_AUTO] = "auto", [MANGLE_HEX] = "hex",
	};
	int i;

	for (i = MANGLE_NONE; i <= MANGLE_HEX; i++)
		if (!strcasecmp(text, modes[i])) {
			ds->o.number[OPT_MANGLENAME] = i;
			ds->client->mangling = (enum mangling)i;
			return true;
		}
	say("Unknown name mangling mode.");
	return false;
}

static bool take_read_ahead(struct dmsetup *ds, const char *text)
{
	if (!strcasecmp(text, "auto")) {
		ds->o.number[OPT_READAHEAD] = (int)READ_AHEAD_AUTO;
		return true;
	}
	if (!strcasecmp(text, "none")) {
		ds->o.number[OPT_READAHEAD] = (int)READ_AHEAD_NONE;
		return true;
	}
	while (isspace((unsigned char)*text))
		text++;
	if (*text == '+')
		ds->o.read_ahead_minimum = true;
	ds->o.number[OPT_READAHEAD] = atoi(text);
	if (ds->o.number[OPT_READAHEAD] < -1) {
		say("Negative read ahead value (%d) is not understood.",
		    ds->o.number[OPT_READAHEAD]);
		return false;
	}
	return true;
}

static bool take_mode(struct dmsetup *ds, const char *text)
{
	char *end;

	errno = 0;
	ds->o.number[OPT_MODE] = (int)strtol(text, &end, 8);
	if (!errno && !*end && ds->o.number[OPT_MODE])
		return true;
	say("Invalid argument for --mode: %s. %s", text, errno ? strerror(errno) : "");
	return false;
}

static bool take(struct dmsetup *ds, enum option_id id, const char *text)
{
	uint32_t ignored;

	if (id == OPT_UNBUFFERED)
		return true;		/* dmsetup knows the word, but does nothing with it */
	ds->o.given[id]++;
	if (options[id].kind != FLAG)
		ds->o.text[id] = text;
	if (options[id].kind == NUMBER)
		ds->o.number[id] = atoi(text);
	switch (id) {
	case OPT_COUNT:
		if (ds->o.number[id] >= 0)
			return true;
		say("Count must be zero or greater.");
		return false;
	case OPT_INTERVAL:
		if (ds->o.number[id] > 0)
			return true;
		say("Interval must be a positive integer.");
		return false;
	case OPT_MODE:
		return take_mode(ds, text);
	case OPT_MANGLENAME:
		return take_mangling(ds, text);
	case OPT_READAHEAD:
		return take_read_ahead(ds, text);
	case OPT_UDEVCOOKIE:
		cookie_value(text, &ignored);	/* a bad one is told, and then ignored */
		return true;
	case OPT_TABLE:
		ds->table = text;
		return true;
	case OPT_UUID:
		ds->uuid = text;
		return true;
	default:
		return true;
	}
}

static enum option_id by_letter(int letter)
{
	int id;

	if (letter == 'v')
		return OPT_VERBOSE;
	if (letter == 'C')
		return OPT_COLUMNS;
	for (id = 0; id < NR_OPTIONS; id++)
		if (options[id].letter == letter)
			break;
	return (enum option_id)id;
}

static bool are_compatible(const struct dmsetup *ds)
{
	if (given(ds, OPT_MAJOR) != given(ds, OPT_MINOR)) {
		say("Please specify both major number and minor number.");
		return false;
	}
	if (given(ds, OPT_TABLE) && given(ds, OPT_NOTABLE)) {
		say("--table and --notable are incompatible.");
		return false;
	}
	if (given(ds, OPT_ADDNODEONRESUME) && given(ds, OPT_ADDNODEONCREATE)) {
		say("--addnodeonresume and --addnodeoncreate are incompatible.");
		return false;
	}
	return true;
}

static bool take_own(struct dmsetup *ds, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *next = *i + 1 < argc ? argv[*i + 1] : NULL;
	const char *value = strchr(word, '=');

	if (!strncmp(word, "--control", 9) && (word[9] == '=' || (!word[9] && next))) {
		free(ds->client->control);
		ds->client->control = strdup(value ? value + 1 : argv[++*i]);
		return ds->client->control != NULL;
	}
	if (!strncmp(word, "--reportformat", 14) && (word[14] == '=' || (!word[14] && next))) {
		value = value ? value + 1 : argv[++*i];
		ds->o.json = !strncmp(value, "json", 4);
		return ds->o.json || !strcmp(value, "basic") ? true :
			(say("Unknown report format: %s", value), false);
	}
	if (!strcmp(word, "--json") || (!strcmp(word, "-j") &&
					(!next || !isdigit((unsigned char)*next)))) {
		ds->o.json = true;
		return true;
	}
	if (!strcmp(word, "--explain")) {
		ds->o.explain = true;
		return true;
	}
	return false;
}

static bool is_own(int argc, char **argv, int i)
{
	const char *next = i + 1 < argc ? argv[i + 1] : NULL;

	return !strncmp(argv[i], "--control=", 10) || (!strcmp(argv[i], "--control") && next) ||
		!strncmp(argv[i], "--reportformat=", 15) ||
		(!strcmp(argv[i], "--reportformat") && next) ||
		!strcmp(argv[i], "--json") || !strcmp(argv[i], "--explain") ||
		(!strcmp(argv[i], "-j") && (!next || !isdigit((unsigned char)*next)));
}

/* Our own options, out of argv. */
static bool take_all_own(struct dmsetup *ds, int *argc, char **argv)
{
	int i, kept = 1;

	for (i = 1; i < *argc; i++) {
		if (!strcmp(argv[i], "--"))
			break;
		if (!is_own(*argc, argv, i))
			argv[kept++] = argv[i];
		else if (!take_own(ds, *argc, argv, &i))
			return false;
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
	return true;
}

/* On return argv begins with the first word that is no option. */
bool options_parse(struct dmsetup *ds, int *argc, char ***argv)
{
	struct option table[NR_OPTIONS + 1] = { 0 };
	int id, flag, c;

	if (!take_all_own(ds, argc, *argv))
		return false;
	for (id = 0; id < NR_OPTIONS; id++)
		table[id] = (struct option){ options[id].name, options[id].kind != FLAG, &flag,
					     id };
	optind = 0;
	for (;;) {
		flag = -1;
		c = getopt_long(*argc, *argv, "cCfG:hj:m:M:no:O:rS:u:U:vy", table, NULL);
		if (c < 0)
			break;
		if (c == '?' || c == ':' ||
		    !take(ds, flag >= 0 ? (enum option_id)flag : by_letter(c), optarg))
			return false;
	}
	ds->client->verbose = ds->o.given[OPT_VERBOSE];
	ds->client->json = ds->o.json;
	*argv += optind;
	*argc -= optind;
	return are_compatible(ds);
}
