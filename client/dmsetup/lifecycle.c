/* SPDX-License-Identifier: BSD-2-Clause */
/* lifecycle.c - suspend, resume, clear, remove, remove_all, wipe_table, rename, wait, mknodes. */
#include "dmsetup.h"

#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define DEPTH_MAX 100

/*
 * --checks: warns of a suspended device below one that is to be suspended, where I/O would be
 * caught between the two.  dev NULL: the device of `above` itself.  The words, with their
 * missing blank, are libdevmapper's.
 */
static bool check_below(struct task *above, const uint64_t *dev, unsigned depth)
{
	struct task *task = task_new(above->client, TASK_DEPS);
	const uint64_t *devs;
	uint32_t count = 0, i;
	struct info info;
	bool good = task && depth < DEPTH_MAX;

	if (good && dev) {
		task_set_device(task, major(*dev), minor(*dev));
	} else if (good) {
		task->name = above->name ? strdup(above->name) : NULL;
		task->uuid = above->uuid ? strdup(above->uuid) : NULL;
		task->major = above->major;
		task->minor = above->minor;
	}
	good = good && task_run(task);
	if (!good)
		goto out;
	task_info(task, &info);
	if (info.suspended) {
		char number[32] = "";

		if (above->major > 0)
			snprintf(number, sizeof(number), "(%d:%d) ", above->major, above->minor);
		if (dev)
			say("Internal error: Attempt to suspend device %s%s%sthat uses "
			    "already-suspended device (%u:%u)", above->name ? above->name : "",
			    above->uuid ? above->uuid : "", number, info.major, info.minor);
		goto out;
	}
	devs = task_deps(task, &count);
	for (i = 0; good && i < count; i++)
		if (major(devs[i]) == NDM_CTL_MAJOR)
			good = check_below(task, &devs[i], depth + 1);
out:
	task_free(task);
	return good;
}

bool simple_command(struct dmsetup *ds, enum task_type type, const char *name,
		    uint32_t event_nr, bool show)
{
	struct task *task = task_new(ds->client, type);
	bool good = false;

	if (!task || (type != TASK_REMOVE_ALL && !set_device(ds, task, name)))
		goto out;
	task->event_nr = event_nr;
	set_common(ds, task);
	if (given(ds, OPT_NOFLUSH))
		task->flags |= DM_NOFLUSH_FLAG;
	if (given(ds, OPT_NOLOCKFS))
		task->flags |= DM_SKIP_LOCKFS_FLAG;
	if (given(ds, OPT_READAHEAD)) {
		task->read_ahead = ds->o.number[OPT_READAHEAD];
		task->read_ahead_minimum = ds->o.read_ahead_minimum;
	}
	task->retry_remove = given(ds, OPT_RETRY);
	if (given(ds, OPT_DEFERRED) && (type == TASK_REMOVE || type == TASK_REMOVE_ALL))
		task->flags |= DM_DEFERRED_REMOVE;
	good = (type != TASK_SUSPEND || !given(ds, OPT_CHECKS) || check_below(task, NULL, 0)) &&
		task_run(task);
	if (good && show && given(ds, OPT_VERBOSE))
		good = display_info(ds, task);
out:
	task_free(task);
	return good;
}

static const char *first(const struct call *call)
{
	return call->argc ? call->argv[0] : NULL;
}

bool run_suspend(struct dmsetup *ds, const struct call *call)
{
	return simple_command(ds, TASK_SUSPEND, first(call), 0, true);
}

bool run_resume(struct dmsetup *ds, const struct call *call)
{
	return simple_command(ds, TASK_RESUME, first(call), 0, true);
}

bool run_clear(struct dmsetup *ds, const struct call *call)
{
	return simple_command(ds, TASK_CLEAR, first(call), 0, true);
}

bool run_wait(struct dmsetup *ds, const struct call *call)
{
	const char *name = NULL;
	int argc = call->argc;

	if (!names_one(ds)) {
		if (!argc) {
			say("No device specified.");
			return false;
		}
		name = call->argv[0];
		argc--;
	}
	return simple_command(ds, TASK_WAIT, name,
			      argc ? (uint32_t)atoi(call->argv[call->argc - 1]) : 0, true);
}

/* Sectors of the table that is there; 0 if that cannot be said. */
static uint64_t table_size(struct dmsetup *ds, const char *name)
{
	struct task *task = task_new(ds->client, TASK_TABLE);
	uint64_t nr = 0;
	size_t i;

	if (task && set_device(ds, task, name)) {
		set_common(ds, task);
		if (task_run(task))
			for (i = 0; i < task->nr_lines; i++)
				nr += task->lines[i].length;
	}
	task_free(task);
	return nr;
}

/* Replaces the table by one that fails everything. */
bool run_wipe(struct dmsetup *ds, const struct call *call)
{
	const char *name = call->name ? call->name : first(call);
	struct task *task;
	uint64_t nr;
	bool good = false;

	if (!name || !*name) {
		say("No device specified.");
		return false;
	}
	nr = table_size(ds, name);
	task = task_new(ds->client, TASK_RELOAD);
	if (!task || !set_device(ds, task, name) || !task_add_line(task, 0, nr, "error", ""))
		goto out;
	if (given(ds, OPT_READONLY))
		task->flags |= DM_READONLY_FLAG;
	set_common(ds, task);
	if (!task_run(task))
		goto out;
	if (given(ds, OPT_FORCE))	/* what cannot be flushed shall not hold us up */
		ds->o.given[OPT_NOLOCKFS] = ds->o.given[OPT_NOFLUSH] = 1;
	good = simple_command(ds, TASK_RESUME, name, 0, false);
	if (!good)
		simple_command(ds, TASK_CLEAR, name, 0, false);
out:
	task_free(task);
	return good;
}

bool run_remove(struct dmsetup *ds, const struct call *call)
{
	if (given(ds, OPT_FORCE) && call->argc)
		run_wipe(ds, call);
	return simple_command(ds, TASK_REMOVE, first(call), 0, false);
}

static bool count_one(struct dmsetup *ds, const struct call *call)
{
	(void)call;
	ds->remaining++;
	return true;
}

static unsigned count_devices(struct dmsetup *ds, const struct call *call)
{
	ds->remaining = 0;
	for_all(ds, call, count_one, true);
	return ds->remaining;
}

/*
 * Never fails once ndmd is there.  --force: what is left after the first sweep gets a table of
 * errors, so that what it used is let go, and a second sweep follows.
 */
bool run_remove_all(struct dmsetup *ds, const struct call *call)
{
	bool good = simple_command(ds, TASK_REMOVE_ALL, "", 0, false);

	if (control_open(ds->client))
		return false;
	if (!given(ds, OPT_FORCE) || !count_devices(ds, call))
		return true;
	good |= for_all(ds, call, run_wipe, true);
	good |= simple_command(ds, TASK_REMOVE_ALL, "", 0, false);
	if (count_devices(ds, call))
		say("Unable to remove %u device(s).", ds->remaining);
	return true;
}

bool do_rename(struct dmsetup *ds, const char *name, const char *new_name, const char *new_uuid)
{
	struct task *task = task_new(ds->client, TASK_RENAME);
	bool good = task && set_device(ds, task, name) &&
		(new_uuid ? task_set_new_uuid(task, new_uuid) : task_set_new_name(task, new_name));

	if (good) {
		set_common(ds, task);
		good = task_run(task);
	}
	task_free(task);
	return good;
}

bool run_rename(struct dmsetup *ds, const struct call *call)
{
	const char *name = call->argc == 2 ? call->argv[0] : NULL;
	const char *new = call->argv[call->argc - 1];

	return given(ds, OPT_SETUUID) ? do_rename(ds, name, NULL, new) :
		do_rename(ds, name, new, NULL);
}

/* There are no nodes; a name is still checked as one. */
bool run_mknodes(struct dmsetup *ds, const struct call *call)
{
	struct task *task = task_new(ds->client, TASK_MKNODES);
	bool good = task && (!call->argc || task_set_name(task, call->argv[0])) && task_run(task);

	task_free(task);
	return good;
}
