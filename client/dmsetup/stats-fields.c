/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats-fields.c - the values of a row of statistics: of an area, of a region's areas
 * together, or of a group's regions together.
 */
#include "stats.h"
#include "dmsetup.h"

#include <stdlib.h>
#include <string.h>

static const struct region *region_of(const struct stats *stats)
{
	return &stats->regions[stats->region];
}

static bool is_member(const struct stats *stats, size_t region)
{
	return stats->regions[region].group == (int)stats->region;
}

/* -- sums -------------------------------------------------------------------------------- */

static uint64_t sum_region(const struct region *region, enum counter counter)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < region->nr_areas; i++)
		sum += region->areas[i].counters[counter];
	return sum;
}

static uint64_t count(const struct stats *stats, enum counter counter)
{
	const struct region *region = region_of(stats);
	uint64_t sum = 0;
	size_t i;

	if (stats->type == OBJECT_AREA)
		return stats->area < region->nr_areas ?
			region->areas[stats->area].counters[counter] : 0;
	if (stats->type == OBJECT_REGION)
		return sum_region(region, counter);
	for (i = 0; i < stats->n; i++)
		if (is_member(stats, i))
			sum += sum_region(&stats->regions[i], counter);
	return sum;
}

static const struct stats *stats_in(const void *object)
{
	return ((const struct row_source *)object)->stats;
}

bool stats_counter(struct cell *cell, const void *object, int which)
{
	return cell_number(cell, count(stats_in(object), (enum counter)which));
}

/* -- what follows from the counters ---------------------------------------------------------- */

static double interval(const struct stats *stats)
{
	return (double)stats->interval_ns;
}

static double per_second(const struct stats *stats, enum counter counter)
{
	return (double)count(stats, counter) * (double)NS_PER_S / interval(stats);
}

/* Merges are divided by nanoseconds: libdevmapper's arithmetic, as it is. */
bool stats_rate(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);
	bool merged = which == READS_MERGED || which == WRITES_MERGED;

	return cell_real(cell, "%.2f", merged ?
			 (double)count(stats, (enum counter)which) / interval(stats) :
			 per_second(stats, (enum counter)which));
}

/* -- sizes in the units asked for ------------------------------------------------------------ */

static bool cell_size(struct cell *cell, const void *object, uint64_t sectors, double sort)
{
	const struct dmsetup *ds = ((const struct row_source *)object)->ds;

	cell->real = sort;
	cell->is_real = true;
	return cell_take(cell, units_format(sectors, ds->unit, ds->unit_factor, false));
}

bool stats_size_rate(struct cell *cell, const void *object, int which)
{
	double rate = per_second(stats_in(object), (enum counter)which);

	return cell_size(cell, object, (uint64_t)rate, rate);
}

bool stats_request_size(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);
	uint64_t requests = count(stats, READS) + count(stats, WRITES);
	uint64_t sectors = count(stats, READ_SECTORS) + count(stats, WRITE_SECTORS);
	double size = requests ? (double)sectors / (double)requests : 0;

	(void)which;
	return cell_size(cell, object, (uint64_t)size, size);
}

bool stats_queue_size(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);

	(void)which;
	return cell_real(cell, "%.2f", (double)count(stats, WEIGHTED_NS) / interval(stats));
}

/* Milliseconds a request took. */
bool stats_wait(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);
	uint64_t requests = 0, ns = 0;

	if (which != STATS_WRITE) {
		requests += count(stats, READS);
		ns += count(stats, READ_NS);
	}
	if (which != STATS_READ) {
		requests += count(stats, WRITES);
		ns += count(stats, WRITE_NS);
	}
	return cell_real(cell, "%.2f",
			 requests ? (double)ns / (double)requests / (double)NS_PER_MS : 0);
}

static double throughput(const struct stats *stats)
{
	return (double)NS_PER_S * (double)(count(stats, READS) + count(stats, WRITES)) /
		interval(stats);
}

bool stats_throughput(struct cell *cell, const void *object, int which)
{
	(void)which;
	return cell_real(cell, "%.2f", throughput(stats_in(object)));
}

/* Part of the interval in which there was something to do; 0 to 1. */
static double utilization(const struct stats *stats)
{
	uint64_t busy = count(stats, IO_NS);

	if (busy > stats->interval_ns)
		busy = stats->interval_ns;
	return (double)busy / interval(stats);
}

/* Takes percent for millionths of it on the way, as libdevmapper does. */
bool stats_service_time(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);
	double rate = throughput(stats), percent = utilization(stats) * 100, ns = 0;

	(void)which;
	if ((uint64_t)rate && (uint64_t)percent)
		ns = (double)NS_PER_S * (double)percent_float((uint32_t)percent) / (100 * rate);
	return cell_real(cell, "%.2f", ns / (double)NS_PER_MS);
}

bool stats_utilization(struct cell *cell, const void *object, int which)
{
	uint32_t percent = percent_of((uint64_t)(1000000 * utilization(stats_in(object))), 1000000);
	double shown = (double)percent_float(percent);

	(void)which;
	/* What is not quite nothing, or not quite all, is not shown as that. */
	if (percent && percent < 10000)
		shown = 0.01;
	else if (percent > 99990000 && percent < 100000000)
		shown = 99.99;
	cell->number = percent;
	return cell_take(cell, text_format("%.2f", shown));
}

bool stats_interval(struct cell *cell, const void *object, int in_seconds)
{
	uint64_t ns = ((const struct row_source *)object)->ds->interval.last_ns;

	return in_seconds ? cell_real(cell, "%2.6f", (double)ns / (double)NS_PER_S) :
		cell_number(cell, ns);
}

/* -- histograms ------------------------------------------------------------------------------ */

static void add_bins(uint64_t *bins, size_t n, const struct region *region)
{
	size_t i, j;

	for (i = 0; i < region->nr_areas; i++)
		for (j = 0; j < n && region->areas[i].bins && j < region->bounds.n; j++)
			bins[j] += region->areas[i].bins[j];
}

bool stats_histogram(struct cell *cell, const void *object, int which)
{
	const struct dmsetup *ds = ((const struct row_source *)object)->ds;
	const struct stats *stats = stats_in(object);
	const struct region *region = region_of(stats);
	unsigned flags = (unsigned)which | (given(ds, OPT_NOTIMESUFFIX) ? 0 : HIST_SUFFIX);
	uint64_t *bins;
	bool good;
	size_t i;

	if (!region->bounds.n)
		return cell_string(cell, "");
	bins = calloc(region->bounds.n, sizeof(*bins));
	if (!bins)
		return cell_take(cell, NULL);
	if (stats->type == OBJECT_AREA && stats->area < region->nr_areas)
		memcpy(bins, region->areas[stats->area].bins, region->bounds.n * sizeof(*bins));
	else if (stats->type == OBJECT_REGION)
		add_bins(bins, region->bounds.n, region);
	for (i = 0; stats->type == OBJECT_GROUP && i < stats->n; i++)
		if (is_member(stats, i))
			add_bins(bins, region->bounds.n, &stats->regions[i]);
	good = cell_take(cell, histogram_text(&region->bounds, bins,
					      given(ds, OPT_NOHEADINGS) ? -1 : 0, flags));
	free(bins);
	return good;
}

/* -- what the object is ------------------------------------------------------------------------ */

bool stats_region_id(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);

	(void)which;
	if (stats->type != OBJECT_GROUP)
		return cell_number(cell, region_of(stats)->id);
	cell->number = region_of(stats)->id;
	return cell_take(cell, stats_members(stats, region_of(stats)));
}

bool stats_group_id(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);
	int group = region_of(stats)->group;

	(void)which;
	if (group >= 0)
		return cell_number(cell, stats->regions[group].id);
	cell->number = UINT64_MAX;
	return cell_string(cell, "-");
}

static uint64_t length_of(const struct stats *stats)
{
	uint64_t length = 0;
	size_t i;

	if (stats->type != OBJECT_GROUP)
		return region_of(stats)->length;
	for (i = 0; i < stats->n; i++)
		if (is_member(stats, i))
			length += stats->regions[i].length;
	return length;
}

/*
 * The area of a whole region is numbered 1 << 49 in libdevmapper, and shows in offsets: in
 * most cases the product is 0 modulo 2^64 bytes, and "0b" is printed.
 */
static uint64_t area_offset(const struct stats *stats)
{
	const struct region *region = region_of(stats);

	if (stats->type == OBJECT_GROUP)
		return 0;
	return region->step * (stats->type == OBJECT_REGION ? UINT64_C(1) << 49 : stats->area);
}

bool stats_size(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);
	const struct region *region = region_of(stats);
	uint64_t sectors;

	switch (which) {
	case REGION_START:
		sectors = region->start;
		break;
	case REGION_LENGTH:
		sectors = length_of(stats);
		break;
	case AREA_START:
		sectors = region->start + area_offset(stats);
		break;
	case AREA_OFFSET:
		sectors = area_offset(stats);
		break;
	default:
		sectors = stats->type == OBJECT_GROUP ? length_of(stats) : region->step;
	}
	return cell_size(cell, object, sectors, (double)sectors);
}

bool stats_area_id(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);

	(void)which;
	return cell_number(cell, stats->type == OBJECT_AREA ? stats->area : 0);
}

bool stats_area_count(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);

	(void)which;
	return cell_number(cell, stats->type == OBJECT_GROUP ? 1 : region_areas(region_of(stats)));
}

bool stats_text(struct cell *cell, const void *object, int which)
{
	static const char *const types[] = { "area", "region", "group" };
	const struct stats *stats = stats_in(object);
	const struct region *region = region_of(stats);
	bool group = stats->type == OBJECT_GROUP;
	const char *alias = region->group >= 0 ? stats->regions[region->group].alias : NULL;

	switch (which) {
	case TEXT_PROGRAM:
		return cell_string(cell, group ? STATS_PROGRAM : region->program);
	case TEXT_USER:
		return cell_string(cell, group ? "" : region->user);
	case TEXT_NAME:
		return cell_string(cell, alias ? alias : stats->name);
	default:
		return cell_string(cell, types[stats->type]);
	}
}

bool stats_small(struct cell *cell, const void *object, int which)
{
	const struct stats *stats = stats_in(object);
	const struct region *region = region_of(stats);

	if (which == SMALL_PRECISE)
		return cell_number(cell, region->timescale == 1);
	return cell_number(cell, stats->type == OBJECT_GROUP ? 0 : region->bounds.n);
}
