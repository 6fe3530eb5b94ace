/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c - asking for regions and counters, and reading the answers. */
#include "stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_TAG "DMS_GROUP="

/* Areas of a region; the last may be shorter. */
uint64_t region_areas(const struct region *region)
{
	return region->length && region->step ?
		region->length / region->step + !!(region->length % region->step) : 1;
}

static bool set_device(const struct stats *stats, struct task *task)
{
	if (stats->bound_name)
		return task_set_name(task, stats->bound_name);
	if (stats->bound_uuid)
		return task_set_uuid(task, stats->bound_uuid);
	task_set_device(task, (unsigned)stats->major, (unsigned)stats->minor);
	return true;
}

/* Sends a message (and takes the text); the task that has the answer, or NULL. */
struct task *stats_message(const struct stats *stats, char *text)
{
	struct task *task = task_new(stats->client, TASK_MESSAGE);

	if (!task) {
		free(text);
		return NULL;
	}
	if (task_set_text(task, text) && set_device(stats, task) && task_run(task))
		return task;
	task_free(task);
	return NULL;
}

static void region_free(struct region *region)
{
	size_t i;

	for (i = 0; i < region->nr_areas; i++)
		free(region->areas[i].bins);
	free(region->areas);
	free(region->bounds.upper);
	free(region->program);
	free(region->user);
	free(region->alias);
}

static void forget_regions(struct stats *stats)
{
	size_t i;

	for (i = 0; i < stats->n; i++)
		region_free(&stats->regions[i]);
	free(stats->regions);
	stats->regions = NULL;
	stats->n = 0;
}

void stats_free(struct stats *stats)
{
	forget_regions(stats);
	free(stats->name);
	stats->name = NULL;
}

struct region *stats_find(const struct stats *stats, uint64_t id)
{
	size_t i;

	for (i = 0; i < stats->n; i++)
		if (stats->regions[i].id == id)
			return &stats->regions[i];
	return NULL;
}

/* -- the answer to @stats_list ----------------------------------------------------------- */

/* histogram:N,N,... at `text`; a last bin without an end is added */
static bool read_bounds(struct region *region, const char *text)
{
	size_t n = 2;
	const char *c;
	char *end;

	for (c = text; *c && *c != ' '; c++)
		n += *c == ',';
	region->bounds.upper = calloc(n, sizeof(uint64_t));
	if (!region->bounds.upper)
		return false;
	for (n = 0, c = text; *c >= '0' && *c <= '9'; c = *end == ',' ? end + 1 : end)
		region->bounds.upper[n++] = strtoull(c, &end, 10) * region->timescale;
	region->bounds.upper[n++] = UINT64_MAX;
	region->bounds.n = n;
	return true;
}

/*
 * ID: START+LENGTH STEP PROGRAM USER[ precise_timestamps][ histogram:N,N...]
 * libdevmapper takes the last byte of the user data for the newline even where more follows
 * it, and so shows "hell" for "hello" of a precise region; so do we.
 */
static bool read_region(struct region *region, char *line)
{
	char *rest, *program, *user, *histogram;
	int at = 0;

	memset(region, 0, sizeof(*region));
	region->group = -1;
	if (sscanf(line, "%" SCNu64 ": %" SCNu64 "+%" SCNu64 " %" SCNu64 " %n", &region->id,
		   &region->start, &region->length, &region->step, &at) < 4 || !at)
		return false;
	rest = line + at;
	program = strsep(&rest, " ");
	user = rest ? strsep(&rest, " ") : NULL;
	if (user && *user != '-' && *user && rest)
		user[strlen(user) - 1] = '\0';
	region->timescale = rest && strstr(rest, "precise_timestamps") ? 1 : NS_PER_MS;
	histogram = rest ? strstr(rest, "histogram:") : NULL;
	if (histogram && !read_bounds(region, histogram + strlen("histogram:")))
		return false;
	region->program = strdup(*program == '-' ? "" : program);
	region->user = strdup(user && *user != '-' ? user : "");
	return region->program && region->user;
}

static bool add_region(struct stats *stats, char *line)
{
	struct region *longer = realloc(stats->regions, (stats->n + 1) * sizeof(*longer));

	if (!longer)
		return false;
	stats->regions = longer;
	if (!read_region(&longer[stats->n], line)) {
		region_free(&longer[stats->n]);
		return false;
	}
	stats->n++;
	return true;
}

/*
 * DMS_GROUP=ALIAS:MEMBERS#USER, with USER "-" where there is none: the region leads a group.
 * Members that are not there any more are told of and left out.
 */
static void read_group(struct stats *stats, size_t leader)
{
	struct region *region = &stats->regions[leader];
	char *alias = strstr(region->user, GROUP_TAG), *members, *user;
	bool *bits = NULL;
	size_t n, i;

	if (!alias)
		return;
	alias += strlen(GROUP_TAG);
	members = strchr(alias, ':');
	if (!members) {
		say("Found malformed group tag while reading aux_data");
		return;
	}
	*members++ = '\0';
	user = strchr(members, '#');
	if (user)
		*user++ = '\0';
	if (!members_parse(members, &bits, &n) || region->id >= n || !bits[region->id]) {
		say("Failed to parse group descriptor from region_id %" PRIu64 " aux_data:'%s'",
		    region->id, region->user);
		free(bits);
		return;
	}
	region->leads = true;
	region->alias = *alias ? strdup(alias) : NULL;
	for (i = 0; i < n; i++) {
		struct region *member = bits[i] ? stats_find(stats, i) : NULL;

		if (member)
			member->group = (int)leader;
		else if (bits[i])
			say("Group descriptor %" PRIu64 " contains non-existent region_id %zu.",
			    region->id, i);
	}
	free(bits);
	user = strdup(user && strcmp(user, "-") ? user : "");
	free(region->user);
	region->user = user;
}

static bool find_name(struct stats *stats)
{
	struct task *task;

	if (stats->name)
		return true;
	task = task_new(stats->client, TASK_INFO);
	if (task && set_device(stats, task) && task_run(task))
		stats->name = strdup(task_name(task));
	task_free(task);
	if (!stats->name)
		say("Could not retrieve device-mapper name for device.");
	return stats->name != NULL;
}

/* program: NULL for that of `stats`; "" for all */
bool stats_list(struct stats *stats, const char *program)
{
	char *text, *rest, *line;
	const char *response;
	struct task *task;
	bool good = true;
	size_t i;

	if (!find_name(stats))
		return false;
	forget_regions(stats);
	task = stats_message(stats, text_format("@stats_list %s",
						program ? program : stats->program));
	if (!task)
		return false;
	response = task_response(task);
	text = rest = strdup(response ? response : "");
	task_free(task);
	while (good && text && (line = strsep(&rest, "\n")))
		good = !*line || add_region(stats, line);
	free(text);
	if (!good) {
		say("Could not parse @stats_list response.");
		return false;
	}
	for (i = 0; i < stats->n; i++)
		read_group(stats, i);
	return text != NULL;
}

/* -- the answer to @stats_print ------------------------------------------------------------ */

static bool read_bins(struct region *region, struct area *area, const char *text)
{
	char *end;
	size_t i;

	area->bins = calloc(region->bounds.n, sizeof(uint64_t));
	if (!area->bins)
		return false;
	for (i = 0; i < region->bounds.n && *text; i++) {
		area->bins[i] = strtoull(text, &end, 10);
		text = *end == ':' ? end + 1 : end;
	}
	return true;
}

static bool is_time(int counter)
{
	return counter == READ_NS || counter == WRITE_NS || counter >= IO_NS;
}

static bool read_area(struct region *region, struct area *area, const char *line)
{
	char *end = (char *)line;
	int i;

	for (i = 0; i < NR_COUNTERS; i++) {
		const char *begin = end;

		area->counters[i] = strtoull(begin, &end, 10);
		if (end == begin)
			return false;
		if (is_time(i))
			area->counters[i] *= region->timescale;
	}
	while (*end == ' ')
		end++;
	return !region->bounds.n || read_bins(region, area, end);
}

/* START+STEP and counters, an area a line.  Start, step and length follow what is printed. */
static bool read_areas(struct region *region, char *text)
{
	uint64_t start, length;
	char *line;
	int at;

	while ((line = strsep(&text, "\n"))) {
		struct area *longer;

		if (!*line)
			continue;
		longer = realloc(region->areas, (region->nr_areas + 1) * sizeof(*longer));
		if (!longer)
			return false;
		region->areas = longer;
		memset(&longer[region->nr_areas], 0, sizeof(*longer));
		if (sscanf(line, "%" SCNu64 "+%" SCNu64 "%n", &start, &length, &at) < 2 ||
		    !read_area(region, &longer[region->nr_areas], line + at)) {
			free(longer[region->nr_areas].bins);
			say("Could not parse @stats_print row.");
			return false;
		}
		if (!region->nr_areas++) {
			region->start = start;
			region->step = length;
		}
		region->length = start + length - region->start;
	}
	return region->nr_areas != 0;
}

/* The counters of all regions, which are cleared by this.  false where there are none. */
bool stats_populate(struct stats *stats, const char *program)
{
	size_t i;

	if (!stats_list(stats, program))
		return false;
	for (i = 0; i < stats->n; i++) {
		struct task *task = stats_message(stats, text_format("@stats_print_clear %" PRIu64,
								     stats->regions[i].id));
		const char *response = task ? task_response(task) : NULL;
		char *text = response ? strdup(response) : NULL;
		bool good = text && read_areas(&stats->regions[i], text);

		free(text);
		task_free(task);
		if (!good)
			return false;
	}
	return stats->n != 0;
}

/* -- groups as they are stored --------------------------------------------------------------- */

/* Members of a group: 0-2,5 */
char *stats_members(const struct stats *stats, const struct region *leader)
{
	int group = (int)(leader - stats->regions);
	char *text = strdup(""), *longer;
	size_t i, j;

	for (i = 0; text && i < stats->n; i = j) {
		j = i + 1;
		if (stats->regions[i].group != group)
			continue;
		while (j < stats->n && stats->regions[j].group == group &&
		       stats->regions[j].id == stats->regions[j - 1].id + 1)
			j++;
		if (j - i > 1)
			longer = text_format("%s%s%" PRIu64 "-%" PRIu64, text, *text ? "," : "",
					     stats->regions[i].id, stats->regions[j - 1].id);
		else
			longer = text_format("%s%s%" PRIu64, text, *text ? "," : "",
					     stats->regions[i].id);
		free(text);
		text = longer;
	}
	return text;
}

/* Stores the user data of a region together with the group that it leads. */
bool stats_set_user(struct stats *stats, struct region *region, const char *user)
{
	char *members = region->leads ? stats_members(stats, region) : NULL;
	struct task *task;

	task = stats_message(stats, text_format("@stats_set_aux %" PRIu64 " %s%s%s%s%s%s ",
						region->id, members ? GROUP_TAG : "",
						members && region->alias ? region->alias : "",
						members ? ":" : "", members ? members : "",
						members ? "#" : "", *user ? user : "-"));
	free(members);
	task_free(task);
	return task != NULL;
}
