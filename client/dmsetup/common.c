/* SPDX-License-Identifier: BSD-2-Clause */
/* common.c - what most commands of dmsetup do: name a device, go through all, show one. */
#include "dmsetup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <ndm-control.h>

/* Is a device named by an option? */
bool names_one(const struct dmsetup *ds)
{
	return given(ds, OPT_UUID) || given(ds, OPT_MAJOR);
}

/* name, or what --uuid or --major and --minor say */
bool set_device(struct dmsetup *ds, struct task *task, const char *name)
{
	if (name)
		return task_set_name(task, name);
	if (given(ds, OPT_UUID))
		return task_set_uuid(task, ds->uuid);
	if (given(ds, OPT_MAJOR) && given(ds, OPT_MINOR)) {
		task_set_device(task, (unsigned)ds->o.number[OPT_MAJOR],
				(unsigned)ds->o.number[OPT_MINOR]);
		return true;
	}
	say("No device specified.");
	return false;
}

/* --noopencount is as good as ignored by today's kernels; --inactive is not. */
void set_common(struct dmsetup *ds, struct task *task)
{
	if (given(ds, OPT_NOOPENCOUNT))
		task->flags |= DM_SKIP_BDGET_FLAG;
	if (given(ds, OPT_INACTIVE))
		task->flags |= DM_QUERY_INACTIVE_TABLE_FLAG;
}

/* Runs a command for every device; the first failure makes the whole one, but none stops it. */
bool for_all(struct dmsetup *ds, const struct call *call, command_run *run, bool silent)
{
	struct device_list list;
	struct call one = *call;
	bool good = true;
	size_t i;

	if (!device_list_read(ds->client, &list))
		return false;
	if (!list.n && !silent && !ds->o.json)
		printf("No devices found\n");
	for (i = 0; i < list.n; i++) {
		one.name = list.names[i];
		one.dev = list.devs[i];
		one.several = true;
		if (!run(ds, &one))
			good = false;
	}
	device_list_free(&list);
	return good;
}

/*
 * A device by its number, as text to be freed: the kernel's name (dm-0, or the last part of
 * what a backing was named by), or the name of a mapped device.  NULL for its number.
 */
char *device_text(struct dmsetup *ds, unsigned major, unsigned minor, enum number_style style)
{
	const char *name;
	char *text;

	if (style == STYLE_NUMBER)
		return NULL;
	if (major == NDM_CTL_MAJOR) {
		if (style == STYLE_DEVNAME && task_dm_name(ds->client, major, minor, &text))
			return text;
		return text_format("dm-%u", minor);
	}
	name = control_backing_name(ds->client, major, minor);
	if (!name)
		return NULL;
	return strdup(strrchr(name, '/') && strrchr(name, '/')[1] ? strrchr(name, '/') + 1 : name);
}

static const char *tables_present(const struct info *info)
{
	if (info->live)
		return info->inactive ? "LIVE & INACTIVE" : "LIVE";
	return info->inactive ? "INACTIVE" : "None";
}

static void display_long(struct task *task, const struct info *info)
{
	uint32_t read_ahead;

	printf("Name:              %s\n", task_name(task));
	printf("State:             %s%s%s\n", info->suspended ? "SUSPENDED" : "ACTIVE",
	       info->read_only ? " (READ-ONLY)" : "", info->deferred ? " (DEFERRED REMOVE)" : "");
	if (task_read_ahead(task, &read_ahead))
		printf("Read Ahead:        %" PRIu32 "\n", read_ahead);
	printf("Tables present:    %s\n", tables_present(info));
	if (info->open_count != -1)
		printf("Open count:        %d\n", info->open_count);
	printf("Event number:      %" PRIu32 "\n", info->event_nr);
	printf("Major, minor:      %u, %u\n", info->major, info->minor);
	if (info->target_count != -1)
		printf("Number of targets: %d\n", info->target_count);
	if (*task_uuid(task))
		printf("UUID: %s\n", task_uuid(task));
	putchar('\n');
}

static void display_json(struct dmsetup *ds, struct task *task, const struct info *info)
{
	struct json *json = &ds->json;
	uint32_t read_ahead;

	json_open(json, '{');
	json_name(json, "name");
	json_string(json, task_name(task));
	json_name(json, "uuid");
	json_string(json, task_uuid(task));
	json_name(json, "major");
	json_number(json, info->major);
	json_name(json, "minor");
	json_number(json, info->minor);
	json_name(json, "suspended");
	json_bool(json, info->suspended);
	json_name(json, "readonly");
	json_bool(json, info->read_only);
	json_name(json, "deferred_remove");
	json_bool(json, info->deferred);
	json_name(json, "live_table");
	json_bool(json, info->live);
	json_name(json, "inactive_table");
	json_bool(json, info->inactive);
	json_name(json, "open");
	json_number(json, (uint64_t)info->open_count);
	json_name(json, "segments");
	json_number(json, (uint64_t)info->target_count);
	json_name(json, "events");
	json_number(json, info->event_nr);
	if (task_read_ahead(task, &read_ahead)) {
		json_name(json, "read_ahead");
		json_number(json, read_ahead);
	}
	json_close(json, '}');
}

static bool is_split(const struct split_name *split)
{
	return split->subsystem != NULL;
}

bool stats_rows(struct dmsetup *ds, struct row_source *source);

/* The row, or rows, of a device; with -S the command is run for it instead. */
static bool display_columns(struct dmsetup *ds, struct task *task, const struct info *info)
{
	struct row_source source = { .ds = ds, .task = task, .info = info };
	struct split_name split = { NULL };
	unsigned sections = ds->report->sections;
	bool good = false, selected;

	if (sections & IN_TREE) {
		source.node = tree_find(ds->tree, info->major, info->minor);
		if (!source.node) {
			say("Cannot find node %u:%u.", info->major, info->minor);
			goto out;
		}
	}
	if (sections & IN_DEPS) {
		source.deps = task_new(ds->client, TASK_DEPS);
		if (!source.deps)
			goto out;
		task_set_device(source.deps, info->major, info->minor);
		set_common(ds, source.deps);
		if (!task_run(source.deps)) {
			say("Cannot get deps for %u:%u.", info->major, info->minor);
			goto out;
		}
	}
	if (sections & IN_SPLIT) {
		if (!split_name(&split, task_uuid(task), task_name(task), '-'))
			goto out;
		source.split = &split;
	}
	if (sections & (IN_STATS | IN_REGION)) {
		good = stats_rows(ds, &source);
		goto out;
	}
	good = report_row(ds->report, &source, !ds->selecting, &selected);
	if (good && ds->selecting && selected) {
		char *argv[] = { strdup(task_name(task)), NULL };
		struct call call = { .command = ds->selecting, .argc = 1, .argv = argv,
				     .several = true };

		good = argv[0] && ds->selecting->run(ds, &call);
		free(argv[0]);
	}
out:
	task_free(source.deps);
	if (is_split(&split))
		split_name_free(&split);
	return good;
}

/* What a task that was run says of its device, in the form that was asked for. */
bool display_info(struct dmsetup *ds, struct task *task)
{
	struct info info;

	task_info(task, &info);
	if (!info.exists) {
		say("Device does not exist.");
		return false;
	}
	if (given(ds, OPT_COLUMNS))
		return display_columns(ds, task, &info);
	if (ds->o.json)
		display_json(ds, task, &info);
	else
		display_long(task, &info);
	return true;
}

/* The envelope of lvm's reports: {"report": [{KIND: [ ... ]}]} */
void json_begin(struct dmsetup *ds, const char *kind)
{
	ds->json = (struct json){ .out = stdout, .first = true };
	json_open(&ds->json, '{');
	json_name(&ds->json, "report");
	json_open(&ds->json, '[');
	json_open(&ds->json, '{');
	json_name(&ds->json, kind);
	json_open(&ds->json, '[');
}

void json_end(struct dmsetup *ds)
{
	json_close(&ds->json, ']');
	json_close(&ds->json, '}');
	json_close(&ds->json, ']');
	json_close(&ds->json, '}');
}
