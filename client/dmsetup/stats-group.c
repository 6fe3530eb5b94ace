/* SPDX-License-Identifier: BSD-2-Clause */
/* stats-group.c - making and undoing groups of regions; removing regions that are in one. */
#include "stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX (1u << 20)	/* more regions than a device can have */

/* 0-2,5 as bits; *n is one more than the highest */
bool members_parse(const char *text, bool **bits, size_t *n)
{
	unsigned long first, last;
	char *end;

	*bits = NULL;
	*n = 0;
	while (*text) {
		if (*text < '0' || *text > '9')
			goto bad;
		first = last = strtoul(text, &end, 10);
		if (*end == '-' && end[1] >= '0' && end[1] <= '9')
			last = strtoul(end + 1, &end, 10);
		if (last < first || last >= ID_MAX || (*end && *end != ','))
			goto bad;
		if (last >= *n) {
			bool *longer = realloc(*bits, (last + 1) * sizeof(**bits));

			if (!longer)
				goto bad;
			memset(longer + *n, 0, (last + 1 - *n) * sizeof(**bits));
			*bits = longer;
			*n = last + 1;
		}
		memset(*bits + first, true, last - first + 1);
		text = *end ? end + 1 : end;
	}
	return *n != 0;
bad:
	free(*bits);
	*bits = NULL;
	return false;
}

struct extent {
	uint64_t id, start, length;
	bool gone;
};

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start ? 1 : x->id < y->id ? -1 : 1;
}

static uint64_t last_sector(const struct extent *extent)
{
	return extent->start + extent->length - 1;
}

/*
 * Warns of each pair of neighbours that overlap; of a pair one is kept that covers both, and
 * is compared with the next, until no pair is left.
 */
static void warn_of_overlap(struct extent *extents, size_t n)
{
	bool merged = true;
	size_t i, j;

	qsort(extents, n, sizeof(*extents), compare_extents);
	while (merged) {
		merged = false;
		for (i = 0; i < n; i++) {
			for (j = i + 1; j < n && extents[j].gone; j++)
				;
			if (extents[i].gone || j == n ||
			    last_sector(&extents[i]) <= extents[j].start)
				continue;
			say("WARNING: region IDs %" PRIu64 " and %" PRIu64 " overlap. "
			    "Some events will be counted twice.", extents[i].id, extents[j].id);
			if (last_sector(&extents[i]) > last_sector(&extents[j])) {
				extents[j].id = extents[i].id;
				extents[j].length = extents[i].length;
			}
			if (extents[i].start < extents[j].start)
				extents[j].start = extents[i].start;
			extents[i].gone = merged = true;
		}
	}
}

static bool same_bounds(const struct bounds *a, const struct bounds *b)
{
	return a->n == b->n && !memcmp(a->upper, b->upper, a->n * sizeof(*a->upper));
}

/* May these regions be a group?  Their extents, for the overlap check, come back. */
static bool check_members(const struct stats *stats, const bool *bits, size_t n,
			  struct extent *extents, size_t *count)
{
	const struct bounds *bounds = NULL;
	size_t i, precise = 0;

	*count = 0;
	for (i = 0; i < n; i++) {
		const struct region *region = bits[i] ? stats_find(stats, i) : NULL;

		if (!bits[i])
			continue;
		if (!region) {
			say("Region ID %zu does not exist", i);
			return false;
		}
		if (region->group >= 0) {
			say("Region ID %zu already a member of group ID %" PRIu64, i,
			    stats->regions[region->group].id);
			return false;
		}
		precise += region->timescale == 1;
		if (region->bounds.n && bounds && !same_bounds(bounds, &region->bounds)) {
			say("All region histogram bounds must match exactly");
			return false;
		}
		if (region->bounds.n)
			bounds = &region->bounds;
		extents[(*count)++] = (struct extent){ region->id, region->start, region->length,
						       false };
	}
	if (precise && precise != *count)
		say("WARNING: Grouping regions with different clock resolution: "
		    "precision may be lost.");
	return true;
}

bool stats_create_group(struct stats *stats, const char *members, const char *alias,
			uint64_t *group_id)
{
	struct extent *extents = NULL;
	struct region *leader = NULL;
	size_t n, i, count;
	bool *bits = NULL, good = false;

	if (!stats->n) {
		say("Could not create group: no regions found.");
		return false;
	}
	if (!members_parse(members, &bits, &n)) {
		say("Could not parse list: '%s'", members);
		return false;
	}
	if (n - 1 > stats->regions[stats->n - 1].id) {
		say("Invalid region ID: %zu", n - 1);
		goto out;
	}
	extents = calloc(n, sizeof(*extents));
	if (!extents || !check_members(stats, bits, n, extents, &count))
		goto out;
	if (count > 1)
		warn_of_overlap(extents, count);
	for (i = 0; i < n; i++) {
		struct region *region = bits[i] ? stats_find(stats, i) : NULL;

		if (!region)
			continue;
		if (!leader)
			leader = region;
		region->group = (int)(leader - stats->regions);
	}
	leader->leads = true;
	leader->alias = alias ? strdup(alias) : NULL;
	*group_id = leader->id;
	good = stats_set_user(stats, leader, leader->user);
out:
	free(extents);
	free(bits);
	return good;
}

static void dissolve(struct stats *stats, struct region *leader)
{
	int group = (int)(leader - stats->regions);
	size_t i;

	for (i = 0; i < stats->n; i++)
		if (stats->regions[i].group == group)
			stats->regions[i].group = -1;
	leader->leads = false;
	free(leader->alias);
	leader->alias = NULL;
}

/* A group's description does not name a region that is about to go. */
static bool leave_group(struct stats *stats, struct region *region)
{
	struct region *leader = &stats->regions[region->group];

	region->group = -1;
	if (region == leader)
		dissolve(stats, leader);
	return stats_set_user(stats, leader, leader->user);
}

static bool delete_region(struct stats *stats, struct region *region)
{
	struct task *task;

	if (region->group >= 0 && !leave_group(stats, region)) {
		say("Could not remove region ID %" PRIu64 " from its group", region->id);
		return false;
	}
	task = stats_message(stats, text_format("@stats_delete %" PRIu64, region->id));
	task_free(task);
	return task != NULL;
}

bool stats_delete_region(struct stats *stats, uint64_t id)
{
	struct region *region;

	if (!stats->regions && !stats_list(stats, stats->program)) {
		say("Could not obtain region list while deleting region ID %" PRIu64, id);
		return false;
	}
	if (!stats->n) {
		say("Could not delete region ID %" PRIu64 ": no regions found", id);
		return false;
	}
	region = stats_find(stats, id);
	if (!region) {
		say("Region ID %" PRIu64 " does not exist", id);
		return false;
	}
	return delete_region(stats, region);
}

bool stats_delete_group(struct stats *stats, uint64_t group_id, bool with_regions)
{
	struct region *leader = stats_find(stats, group_id);
	size_t i;

	if (group_id > (stats->n ? stats->regions[stats->n - 1].id : 0)) {
		say("Invalid group ID: %" PRIu64, group_id);
		return false;
	}
	if (!leader || !leader->leads) {
		say("Group ID %" PRIu64 " does not exist", group_id);
		return false;
	}
	for (i = stats->n; with_regions && i-- > 0; ) {
		struct region *member = &stats->regions[i];

		if (member == leader || member->group != (int)(leader - stats->regions))
			continue;
		member->group = -1;
		if (!delete_region(stats, member))
			say("WARNING: Failed to delete region %" PRIu64 " on %s.", member->id,
			    stats->name);
	}
	dissolve(stats, leader);
	return with_regions ? delete_region(stats, leader) :
		stats_set_user(stats, leader, leader->user);
}
