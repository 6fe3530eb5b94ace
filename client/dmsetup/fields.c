/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.c - every field of dmsetup's reports: what it is called, how wide it is, where its
 * value comes from.  Those of statistics are in stats-fields.c.
 */
#include "dmsetup.h"
#include "stats.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* -- LVM names: VG-LV[-LAYER], where a hyphen of a name is doubled ---------------------- */

/* Ends the part at the first single hyphen and returns what follows it. */
static char *split_at_hyphen(char *part)
{
	char *in = part, *out = part;

	while (*in) {
		if (*in == '-' && in[1] == '-') {
			*out++ = '-';
			in += 2;
		} else if (*in == '-') {
			*out = '\0';
			return in + 1;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
	return in;		/* an empty rest */
}

bool split_name(struct split_name *split, const char *uuid, const char *name, char separator)
{
	const char *end = strchr(uuid, separator);

	split->subsystem = strndup(uuid, end ? (size_t)(end - uuid) : 0);
	split->vg = split->subsystem ?
		strdup(strcmp(split->subsystem, "LVM") ? "" : name) : NULL;
	if (!split->vg) {
		free(split->subsystem);
		say("Out of memory.");
		return false;
	}
	split->lv = split_at_hyphen(split->vg);
	split->layer = split_at_hyphen(split->lv);
	split_at_hyphen(split->layer);
	return true;
}

void split_name_free(struct split_name *split)
{
	free(split->subsystem);
	free(split->vg);
}

/* -- values ------------------------------------------------------------------------- */

enum { PLAIN, MANGLED, UNMANGLED };

static bool name_value(struct cell *cell, const void *object, int which)
{
	const struct row_source *row = object;

	return which == MANGLED ? cell_take(cell, task_name_mangled(row->task)) :
		which == UNMANGLED ? cell_take(cell, task_name_unmangled(row->task)) :
		cell_string(cell, task_name(row->task));
}

static bool uuid_value(struct cell *cell, const void *object, int which)
{
	const struct row_source *row = object;

	return which == MANGLED ? cell_take(cell, task_uuid_mangled(row->task)) :
		which == UNMANGLED ? cell_take(cell, task_uuid_unmangled(row->task)) :
		cell_string(cell, task_uuid(row->task));
}

static bool read_ahead_value(struct cell *cell, const void *object, int which)
{
	const struct row_source *row = object;
	uint32_t sectors;

	(void)which;
	task_read_ahead(row->task, &sectors);
	return cell_number(cell, sectors);
}

static bool blkdevname_value(struct cell *cell, const void *object, int which)
{
	const struct row_source *row = object;

	(void)which;
	return cell_take(cell, device_text(row->ds, row->info->major, row->info->minor,
					   STYLE_BLKDEVNAME));
}

static bool attr_value(struct cell *cell, const void *object, int which)
{
	const struct info *info = ((const struct row_source *)object)->info;
	char text[5] = {
		info->live ? 'L' : '-', info->inactive ? 'I' : '-',
		info->suspended ? 's' : '-', info->read_only ? 'r' : 'w', '\0'
	};

	(void)which;
	return cell_string(cell, text);
}

static bool tables_value(struct cell *cell, const void *object, int which)
{
	const struct info *info = ((const struct row_source *)object)->info;

	(void)which;
	return cell_string(cell, info->live ? info->inactive ? "Both" : "Live" :
			   info->inactive ? "Inactive" : "None");
}

static bool suspended_value(struct cell *cell, const void *object, int which)
{
	(void)which;
	return cell_string(cell, ((const struct row_source *)object)->info->suspended ?
			   "Suspended" : "Active");
}

static bool readonly_value(struct cell *cell, const void *object, int which)
{
	(void)which;
	return cell_string(cell, ((const struct row_source *)object)->info->read_only ?
			   "Read-only" : "Writeable");
}

static bool devno_value(struct cell *cell, const void *object, int which)
{
	const struct info *info = ((const struct row_source *)object)->info;

	(void)which;
	return cell_take(cell, text_format("%u:%u", info->major, info->minor));
}

enum { MAJOR, MINOR, OPEN, SEGMENTS, EVENTS };

static bool info_number(struct cell *cell, const void *object, int which)
{
	const struct info *info = ((const struct row_source *)object)->info;

	switch (which) {
	case MAJOR:
		return cell_number(cell, info->major);
	case MINOR:
		return cell_number(cell, info->minor);
	case OPEN:
		return cell_signed(cell, info->open_count);
	case SEGMENTS:
		return cell_signed(cell, info->target_count);
	default:
		return cell_number(cell, info->event_nr);
	}
}

static bool deps_count(struct cell *cell, const void *object, int which)
{
	uint32_t count;

	(void)which;
	task_deps(((const struct row_source *)object)->deps, &count);
	return cell_number(cell, count);
}

/* A growing list with commas; NULL stays NULL. */
static char *listed(char *list, const char *item)
{
	char *longer = list ? text_format("%s%s%s", list, *list ? "," : "", item) : NULL;

	free(list);
	return longer;
}

static bool deps_value(struct cell *cell, const void *object, int style)
{
	const struct row_source *row = object;
	char *list = strdup(""), *text;
	uint32_t count, i;
	const uint64_t *devs = task_deps(row->deps, &count);

	for (i = 0; i < count; i++) {
		text = device_text(row->ds, major(devs[i]), minor(devs[i]),
				   (enum number_style)style);
		if (!text)
			text = text_format("%u:%u", major(devs[i]), minor(devs[i]));
		list = listed(list, text ? text : "?");
		free(text);
	}
	return cell_take(cell, list);
}

enum { USED_NAMES, USER_NAMES, USER_NUMBERS };

static bool tree_value(struct cell *cell, const void *object, int which)
{
	const struct tree_node *node = ((const struct row_source *)object)->node;
	size_t n = which == USED_NAMES ? node->nr_uses : node->nr_used_by, i;
	char *list = strdup(""), number[32];

	for (i = 0; i < n; i++) {
		const struct tree_node *other = which == USED_NAMES ? node->uses[i] :
			node->used_by[i];

		snprintf(number, sizeof(number), "%u:%u", other->major, other->minor);
		if (which == USER_NUMBERS)
			list = listed(list, number);
		else if (*other->name)
			list = listed(list, other->name);
	}
	return cell_take(cell, list);
}

static bool tree_users(struct cell *cell, const void *object, int which)
{
	(void)which;
	return cell_number(cell, ((const struct row_source *)object)->node->nr_used_by);
}

enum { SUBSYSTEM, VG, LV, LAYER };

static bool split_value(struct cell *cell, const void *object, int which)
{
	const struct split_name *split = ((const struct row_source *)object)->split;

	return cell_string(cell, which == SUBSYSTEM ? split->subsystem : which == VG ? split->vg :
			   which == LV ? split->lv : split->layer);
}

#define STR FIELD_STRING
#define NUM FIELD_NUMBER
#define SIZ FIELD_SIZE

static const struct field fields[] = {
	{ IN_TASK, STR, 16, "name", "Name", name_value, PLAIN, "Name of mapped device." },
	{ IN_TASK, STR, 16, "mangled_name", "MangledName", name_value, MANGLED,
	  "Mangled name of mapped device." },
	{ IN_TASK, STR, 16, "unmangled_name", "UnmangledName", name_value, UNMANGLED,
	  "Unmangled name of mapped device." },
	{ IN_TASK, STR, 32, "uuid", "UUID", uuid_value, PLAIN,
	  "Unique (optional) identifier for mapped device." },
	{ IN_TASK, STR, 32, "mangled_uuid", "MangledUUID", uuid_value, MANGLED,
	  "Mangled unique (optional) identifier for mapped device." },
	{ IN_TASK, STR, 32, "unmangled_uuid", "UnmangledUUID", uuid_value, UNMANGLED,
	  "Unmangled unique (optional) identifier for mapped device." },
	{ IN_TASK, NUM, 6, "read_ahead", "RAhead", read_ahead_value, 0, "Read ahead value." },

	{ IN_INFO, STR, 16, "blkdevname", "BlkDevName", blkdevname_value, 0,
	  "Name of block device." },
	{ IN_INFO, STR, 4, "attr", "Stat", attr_value, 0,
	  "(L)ive, (I)nactive, (s)uspended, (r)ead-only, read-(w)rite." },
	{ IN_INFO, STR, 6, "tables_loaded", "Tables", tables_value, 0,
	  "Which of the live and inactive table slots are filled." },
	{ IN_INFO, STR, 9, "suspended", "Suspended", suspended_value, 0,
	  "Whether the device is suspended." },
	{ IN_INFO, STR, 9, "readonly", "Read-only", readonly_value, 0,
	  "Whether the device is read-only or writeable." },
	{ IN_INFO, STR, 5, "devno", "DevNo", devno_value, 0, "Device major and minor numbers" },
	{ IN_INFO, NUM, 3, "major", "Maj", info_number, MAJOR, "Block device major number." },
	{ IN_INFO, NUM, 3, "minor", "Min", info_number, MINOR, "Block device minor number." },
	{ IN_INFO, NUM, 4, "open", "Open", info_number, OPEN,
	  "Number of references to open device, if requested." },
	{ IN_INFO, NUM, 4, "segments", "Targ", info_number, SEGMENTS,
	  "Number of segments in live table, if present." },
	{ IN_INFO, NUM, 6, "events", "Event", info_number, EVENTS,
	  "Number of most recent event." },

	{ IN_DEPS, NUM, 5, "device_count", "#Devs", deps_count, 0,
	  "Number of devices used by this one." },
	{ IN_TREE, STR, 16, "devs_used", "DevNamesUsed", tree_value, USED_NAMES,
	  "List of names of mapped devices used by this one." },
	{ IN_DEPS, STR, 16, "devnos_used", "DevNosUsed", deps_value, STYLE_NUMBER,
	  "List of device numbers of devices used by this one." },
	{ IN_DEPS, STR, 16, "blkdevs_used", "BlkDevNamesUsed", deps_value, STYLE_BLKDEVNAME,
	  "List of names of block devices used by this one." },
	{ IN_TREE, NUM, 5, "device_ref_count", "#Refs", tree_users, 0,
	  "Number of mapped devices referencing this one." },
	{ IN_TREE, STR, 8, "names_using_dev", "RefNames", tree_value, USER_NAMES,
	  "List of names of mapped devices using this one." },
	{ IN_TREE, STR, 9, "devnos_using_dev", "RefDevNos", tree_value, USER_NUMBERS,
	  "List of device numbers of mapped devices using this one." },

	{ IN_SPLIT, STR, 6, "subsystem", "Subsys", split_value, SUBSYSTEM,
	  "Userspace subsystem responsible for this device." },
	{ IN_SPLIT, STR, 4, "vg_name", "VG", split_value, VG, "LVM Volume Group name." },
	{ IN_SPLIT, STR, 4, "lv_name", "LV", split_value, LV, "LVM Logical Volume name." },
	{ IN_SPLIT, STR, 7, "lv_layer", "LVLayer", split_value, LAYER, "LVM device layer." },

	{ IN_STATS, NUM, 6, "read_count", "#Reads", stats_counter, READS,
	  "Count of reads completed." },
	{ IN_STATS, NUM, 7, "reads_merged_count", "#RdMrgs", stats_counter, READS_MERGED,
	  "Count of read requests merged." },
	{ IN_STATS, NUM, 10, "read_sector_count", "#RdSectors", stats_counter, READ_SECTORS,
	  "Count of sectors read." },
	{ IN_STATS, NUM, 11, "read_time", "AccRdTime", stats_counter, READ_NS,
	  "Accumulated duration of all read requests (ns)." },
	{ IN_STATS, NUM, 7, "write_count", "#Writes", stats_counter, WRITES,
	  "Count of writes completed." },
	{ IN_STATS, NUM, 7, "writes_merged_count", "#WrMrgs", stats_counter, WRITES_MERGED,
	  "Count of write requests merged." },
	{ IN_STATS, NUM, 10, "write_sector_count", "#WrSectors", stats_counter, WRITE_SECTORS,
	  "Count of sectors written." },
	{ IN_STATS, NUM, 11, "write_time", "AccWrTime", stats_counter, WRITE_NS,
	  "Accumulated duration of all writes (ns)." },
	{ IN_STATS, NUM, 7, "in_progress_count", "#InProg", stats_counter, IN_PROGRESS,
	  "Count of requests currently in progress." },
	{ IN_STATS, NUM, 7, "io_ticks", "IoTicks", stats_counter, IO_NS,
	  "Nanoseconds spent servicing requests." },
	{ IN_STATS, NUM, 10, "queue_ticks", "QueueTicks", stats_counter, WEIGHTED_NS,
	  "Total nanoseconds spent in queue." },
	{ IN_STATS, NUM, 7, "read_ticks", "RdTicks", stats_counter, TOTAL_READ_NS,
	  "Nanoseconds spent servicing reads." },
	{ IN_STATS, NUM, 7, "write_ticks", "WrTicks", stats_counter, TOTAL_WRITE_NS,
	  "Nanoseconds spent servicing writes." },
	{ IN_STATS, NUM, 6, "reads_merged_per_sec", "RMrg/s", stats_rate, READS_MERGED,
	  "Read requests merged per second." },
	{ IN_STATS, NUM, 6, "writes_merged_per_sec", "WMrg/s", stats_rate, WRITES_MERGED,
	  "Write requests merged per second." },
	{ IN_STATS, NUM, 3, "reads_per_sec", "R/s", stats_rate, READS, "Reads per second." },
	{ IN_STATS, NUM, 3, "writes_per_sec", "W/s", stats_rate, WRITES, "Writes per second." },
	{ IN_STATS, NUM, 5, "read_size_per_sec", "RSz/s", stats_size_rate, READ_SECTORS,
	  "Size of data read per second." },
	{ IN_STATS, NUM, 5, "write_size_per_sec", "WSz/s", stats_size_rate, WRITE_SECTORS,
	  "Size of data written per second." },
	{ IN_STATS, NUM, 7, "avg_request_size", "AvgRqSz", stats_request_size, 0,
	  "Average request size." },
	{ IN_STATS, NUM, 5, "queue_size", "QSize", stats_queue_size, 0, "Average queue size." },
	{ IN_STATS, NUM, 5, "await", "AWait", stats_wait, STATS_BOTH, "Average wait time." },
	{ IN_STATS, NUM, 7, "read_await", "RdAWait", stats_wait, STATS_READ,
	  "Average read wait time." },
	{ IN_STATS, NUM, 7, "write_await", "WrAWait", stats_wait, STATS_WRITE,
	  "Average write wait time." },
	{ IN_STATS, NUM, 10, "throughput", "Throughput", stats_throughput, 0, "Throughput." },
	{ IN_STATS, NUM, 5, "service_time", "SvcTm", stats_service_time, 0, "Service time." },
	{ IN_STATS, NUM, 5, "util", "Util%", stats_utilization, 0, "Utilization." },
	{ IN_STATS, STR, 16, "hist_count", "Histogram Counts", stats_histogram, HIST_COUNT,
	  "Latency histogram counts." },
	{ IN_STATS, STR, 16, "hist_count_bounds", "Histogram Counts", stats_histogram,
	  HIST_COUNT | HIST_BOUNDS, "Latency histogram counts with bin boundaries." },
	{ IN_STATS, STR, 16, "hist_count_ranges", "Histogram Counts", stats_histogram,
	  HIST_COUNT | HIST_RANGES, "Latency histogram counts with bin ranges." },
	{ IN_STATS, STR, 10, "hist_percent", "Histogram%", stats_histogram,
	  HIST_COUNT | HIST_PERCENT, "Relative latency histogram." },
	{ IN_STATS, STR, 10, "hist_percent_bounds", "Histogram%", stats_histogram,
	  HIST_COUNT | HIST_PERCENT | HIST_BOUNDS,
	  "Relative latency histogram with bin boundaries." },
	{ IN_STATS, STR, 10, "hist_percent_ranges", "Histogram%", stats_histogram,
	  HIST_COUNT | HIST_PERCENT | HIST_RANGES, "Relative latency histogram with bin ranges." },
	{ IN_STATS, NUM, 10, "interval_ns", "IntervalNs", stats_interval, 0,
	  "Sampling interval in nanoseconds." },
	{ IN_STATS, NUM, 8, "interval", "Interval", stats_interval, 1, "Sampling interval." },

	{ IN_REGION, NUM, 4, "region_id", "RgID", stats_region_id, 0, "Region ID." },
	{ IN_REGION, SIZ, 7, "region_start", "RgStart", stats_size, REGION_START,
	  "Region start." },
	{ IN_REGION, SIZ, 6, "region_len", "RgSize", stats_size, REGION_LENGTH, "Region length." },
	{ IN_REGION, NUM, 4, "area_id", "ArID", stats_area_id, 0, "Area ID." },
	{ IN_REGION, SIZ, 7, "area_start", "ArStart", stats_size, AREA_START,
	  "Area offset from start of device." },
	{ IN_REGION, SIZ, 6, "area_len", "ArSize", stats_size, AREA_LENGTH, "Area length." },
	{ IN_REGION, SIZ, 5, "area_offset", "ArOff", stats_size, AREA_OFFSET,
	  "Area offset from start of region." },
	{ IN_REGION, NUM, 6, "area_count", "#Areas", stats_area_count, 0, "Area count." },
	{ IN_REGION, NUM, 5, "group_id", "GrpID", stats_group_id, 0, "Group ID." },
	{ IN_REGION, STR, 6, "program_id", "ProgID", stats_text, TEXT_PROGRAM, "Program ID." },
	{ IN_REGION, STR, 8, "user_data", "UserData", stats_text, TEXT_USER, "Auxiliary data." },
	{ IN_REGION, STR, 7, "precise", "Precise", stats_small, SMALL_PRECISE,
	  "Set if nanosecond precision counters are enabled." },
	{ IN_REGION, STR, 9, "hist_bins", "#Bins", stats_small, SMALL_BINS,
	  "The number of histogram bins configured." },
	{ IN_REGION, STR, 16, "hist_bounds", "Histogram Bounds", stats_histogram, HIST_BOUNDS,
	  "Latency histogram bin boundaries." },
	{ IN_REGION, STR, 16, "hist_ranges", "Histogram Ranges", stats_histogram, HIST_RANGES,
	  "Latency histogram bin ranges." },
	{ IN_REGION, STR, 16, "stats_name", "Name", stats_text, TEXT_NAME,
	  "Stats name of current object." },
	{ IN_REGION, STR, 7, "obj_type", "ObjType", stats_text, TEXT_TYPE,
	  "Type of stats object being reported." },
	{ .id = NULL }
};

static const struct section sections[] = {
	{ IN_TASK, "Mapped Device Name", "name_" },
	{ IN_INFO, "Mapped Device Information", "info_" },
	{ IN_DEPS, "Mapped Device Relationship Information", "deps_" },
	{ IN_TREE, "Mapped Device Relationship Information", "tree_" },
	{ IN_SPLIT, "Mapped Device Name Components", "splitname_" },
	{ IN_STATS, "Mapped Device Statistics", "stats_" },
	{ IN_REGION, "Mapped Device Statistics Region Information", "region_" },
	{ .bit = 0 }
};

/* `splitname` has no device, and only statistics have regions. */
static bool has_section(const void *object, unsigned section)
{
	const struct row_source *row = object;

	switch (section) {
	case IN_TASK:
		return row->task;
	case IN_INFO:
		return row->info;
	case IN_DEPS:
		return row->deps;
	case IN_TREE:
		return row->node;
	case IN_SPLIT:
		return row->split;
	default:
		return row->stats;
	}
}

const struct report_type dmsetup_report_type = {
	.fields = fields, .sections = sections, .has = has_section,
};
