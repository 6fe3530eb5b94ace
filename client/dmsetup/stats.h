/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - what dmstats knows of a device: its regions, their areas' counters, groups of
 * regions.  All of it comes from @stats_ messages; groups live in the user data of their first
 * region as DMS_GROUP=ALIAS:MEMBERS#DATA.
 */
#ifndef NDM_CLIENT_STATS_H
#define NDM_CLIENT_STATS_H

#include "../client.h"
#include "../report.h"
#include "../task.h"

#define STATS_PROGRAM "dmstats"
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* The counters of an area, in the order in which @stats_print has them. */
enum counter {
	READS, READS_MERGED, READ_SECTORS, READ_NS, WRITES, WRITES_MERGED, WRITE_SECTORS,
	WRITE_NS, IN_PROGRESS, IO_NS, WEIGHTED_NS, TOTAL_READ_NS, TOTAL_WRITE_NS, NR_COUNTERS
};

struct bounds {
	size_t n;			/* bins */
	uint64_t *upper;		/* ns; UINT64_MAX for the last bin of a region */
};

struct area {
	uint64_t counters[NR_COUNTERS];
	uint64_t *bins;			/* as many as the region's bounds */
};

struct region {
	uint64_t id, start, length, step;	/* sectors */
	uint64_t timescale;		/* ns of a unit of time: 1 or 1000000 */
	char *program, *user;
	struct bounds bounds;		/* n 0: no histogram */
	struct area *areas;		/* NULL before stats_populate() */
	size_t nr_areas;		/* of `areas` */
	int group;			/* place of its group's first region, or -1 */
	bool leads;			/* is that first region */
	char *alias;			/* of the group it leads, or NULL */
};

enum object_type { OBJECT_AREA, OBJECT_REGION, OBJECT_GROUP };
enum { WALK_AREA = 1, WALK_REGION = 2, WALK_GROUP = 4, WALK_SKIP_SINGLE = 8 };

struct stats {
	struct client *client;
	const char *bound_name, *bound_uuid;
	int major, minor;
	const char *program;		/* whose regions are listed; "" is everybody's */
	char *name;			/* of the device */
	struct region *regions;		/* by ascending id */
	size_t n;
	uint64_t interval_ns;
	/* the object that a row of a report is about */
	enum object_type type;
	size_t region, area;		/* of a group: its first region */
};

uint64_t region_areas(const struct region *region);

/* stats.c */
bool stats_list(struct stats *stats, const char *program);
bool stats_populate(struct stats *stats, const char *program);
void stats_free(struct stats *stats);
struct region *stats_find(const struct stats *stats, uint64_t id);
struct task *stats_message(const struct stats *stats, char *text);
char *stats_members(const struct stats *stats, const struct region *leader);
bool stats_set_user(struct stats *stats, struct region *region, const char *user);

/* stats-group.c */
bool stats_create_group(struct stats *stats, const char *members, const char *alias,
			uint64_t *group_id);
bool stats_delete_group(struct stats *stats, uint64_t group_id, bool with_regions);
bool stats_delete_region(struct stats *stats, uint64_t id);
bool members_parse(const char *text, bool **bits, size_t *n);

/* stats-histogram.c */
enum { HIST_COUNT = 1, HIST_PERCENT = 2, HIST_BOUNDS = 0x10, HIST_RANGES = 0x30,
       HIST_SUFFIX = 0x100 };
bool bounds_parse(const char *text, struct bounds *bounds);
char *bounds_argument(const struct bounds *bounds, bool *precise);
char *histogram_text(const struct bounds *bounds, const uint64_t *bins, int width,
		     unsigned flags);
uint32_t percent_of(uint64_t part, uint64_t whole);
float percent_float(uint32_t percent);

/* stats-fields.c: for the table of fields */
enum { STATS_READ, STATS_WRITE, STATS_BOTH };
enum { REGION_START, REGION_LENGTH, AREA_START, AREA_LENGTH, AREA_OFFSET };
enum { TEXT_PROGRAM, TEXT_USER, TEXT_NAME, TEXT_TYPE };
enum { SMALL_PRECISE, SMALL_BINS };
typedef bool field_value(struct cell *cell, const void *object, int which);
field_value stats_counter, stats_rate, stats_size_rate, stats_request_size, stats_queue_size,
	stats_wait, stats_throughput, stats_service_time, stats_utilization, stats_histogram,
	stats_interval, stats_region_id, stats_size, stats_area_id, stats_area_count,
	stats_group_id, stats_text, stats_small;

#endif
