/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats-report.c - rows of statistics for a device, and the clock of reports that repeat.
 *
 * Rates are of the interval since the last report; before the first one that is unknown, and
 * the interval asked for is taken.
 */
#include "dmsetup.h"
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

bool interval_start(struct dmsetup *ds);
bool interval_wait(struct dmsetup *ds);
bool stats_rows(struct dmsetup *ds, struct row_source *source);

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* How often to report, and how far apart. */
bool interval_start(struct dmsetup *ds)
{
	struct interval *interval = &ds->interval;
	uint64_t seconds = given(ds, OPT_INTERVAL) ? (uint64_t)ds->o.number[OPT_INTERVAL] : 1;
	struct itimerspec spec = {
		.it_interval.tv_sec = (time_t)seconds, .it_value.tv_sec = (time_t)seconds
	};

	interval->configured_ns = seconds * NS_PER_S;
	interval->left = 1;
	if (given(ds, OPT_COUNT) && ds->o.number[OPT_COUNT])
		interval->left = (uint64_t)ds->o.number[OPT_COUNT];
	else if (given(ds, OPT_COUNT) || given(ds, OPT_INTERVAL))
		interval->left = UINT64_MAX;
	if (interval->left == 1)
		return true;
	interval->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (interval->timer < 0 || timerfd_settime(interval->timer, 0, &spec, NULL)) {
		say("Could not set interval timer: %s", strerror(errno));
		return false;
	}
	return true;
}

bool interval_wait(struct dmsetup *ds)
{
	uint64_t expired;
	ssize_t n;

	do
		n = read(ds->interval.timer, &expired, sizeof(expired));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(expired)) {
		say("Interval timer wait failed: %s.", strerror(errno));
		return false;
	}
	if (expired > 1)
		say("WARNING: Try increasing --interval (%" PRIu64 " missed timer events).",
		    expired - 1);
	ds->interval.fresh = true;
	return true;
}

/* Right after counters were read: how long they counted. */
static void interval_measure(struct interval *interval)
{
	uint64_t now = now_ns();

	if (!interval->started_ns)
		interval->last_ns = interval->configured_ns;
	else if (interval->fresh)
		interval->last_ns = now - interval->started_ns;
	else
		return;
	interval->started_ns = now;
	interval->fresh = false;
}

static bool add_row(struct row_source *source, enum object_type type, size_t region, size_t area)
{
	source->stats->type = type;
	source->stats->region = region;
	source->stats->area = area;
	return report_row(source->ds->report, source, true, NULL);
}

static bool add_areas(struct row_source *source)
{
	struct stats *stats = source->stats;
	size_t i, j;

	for (i = 0; i < stats->n; i++)
		for (j = 0; j < region_areas(&stats->regions[i]); j++)
			if (!add_row(source, OBJECT_AREA, i, j))
				return false;
	return true;
}

/* Areas, then regions, then groups, each only if asked for. */
static bool add_rows(struct row_source *source, unsigned walk)
{
	struct stats *stats = source->stats;
	size_t i;

	if (walk & WALK_AREA && !add_areas(source))
		return false;
	for (i = 0; walk & WALK_REGION && i < stats->n; i++)
		if ((!(walk & WALK_SKIP_SINGLE) || region_areas(&stats->regions[i]) > 1) &&
		    !add_row(source, OBJECT_REGION, i, 0))
			return false;
	for (i = 0; walk & WALK_GROUP && i < stats->n; i++)
		if (stats->regions[i].leads && !add_row(source, OBJECT_GROUP, i, 0))
			return false;
	return true;
}

/* A device without regions, or whose counters cannot be read, has no rows; that is no error. */
bool stats_rows(struct dmsetup *ds, struct row_source *source)
{
	struct stats stats = {
		.client = ds->client, .major = (int)source->info->major,
		.minor = (int)source->info->minor, .program = STATS_PROGRAM,
	};
	bool good = true;

	source->stats = &stats;
	if (ds->report->sections & IN_STATS) {
		if (!stats_populate(&stats, ds->program_id))
			goto out;
		interval_measure(&ds->interval);
		stats.interval_ns = ds->interval.last_ns;
	} else {
		good = stats_list(&stats, ds->program_id);
	}
	if (good)
		/* `info -c` with fields of statistics shows regions and groups */
		good = add_rows(source, ds->walk ? ds->walk : WALK_REGION | WALK_GROUP);
out:
	stats_free(&stats);
	source->stats = NULL;
	return good;
}

bool run_stats_report(struct dmsetup *ds, const struct call *call)
{
	bool chosen = given(ds, OPT_AREA) || given(ds, OPT_REGION) || given(ds, OPT_GROUP);
	const unsigned all = WALK_AREA | WALK_REGION | WALK_GROUP | WALK_SKIP_SINGLE;

	if (given(ds, OPT_PROGRAMID))
		ds->program_id = ds->o.text[OPT_PROGRAMID];
	if (given(ds, OPT_ALLPROGRAMS))
		ds->program_id = "";
	if (given(ds, OPT_VERBOSE) && !strcmp(call->subcommand, "list"))
		ds->walk |= all;
	if (!chosen && !strcmp(call->subcommand, "report"))
		ds->walk |= all;
	if (run_info(ds, call))
		return true;
	report_free(ds->report);
	ds->report = NULL;
	return false;
}
