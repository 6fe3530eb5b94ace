/* SPDX-License-Identifier: BSD-2-Clause */
/* info.c - info, deps, ls, splitname, and the report that info -c prints. */
#include "dmsetup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

bool run_info(struct dmsetup *ds, const struct call *call)
{
	const char *name = call->name;
	struct task *task;
	bool good = false;

	if (!name) {
		if (!call->argc && !names_one(ds))
			return for_all(ds, call, run_info, false);
		name = call->argc ? call->argv[0] : NULL;
	}
	task = task_new(ds->client, TASK_INFO);
	if (task && set_device(ds, task, name)) {
		set_common(ds, task);
		good = task_run(task) && display_info(ds, task);
	}
	task_free(task);
	return good;
}

static void print_deps(struct dmsetup *ds, const struct task *task)
{
	uint32_t count, i;
	const uint64_t *devs = task_deps(task, &count);

	printf("%u dependencies\t:", count);
	for (i = 0; i < count; i++) {
		char *text = device_text(ds, major(devs[i]), minor(devs[i]), ds->style);

		if (text)
			printf(" (%s)", text);
		else
			printf(" (%u, %u)", major(devs[i]), minor(devs[i]));
		free(text);
	}
	putchar('\n');
}

static void json_deps(struct dmsetup *ds, const struct task *task)
{
	struct json *json = &ds->json;
	uint32_t count, i;
	const uint64_t *devs = task_deps(task, &count);

	json_open(json, '{');
	json_name(json, "name");
	json_string(json, task_name(task));
	json_name(json, "deps");
	json_open(json, '[');
	for (i = 0; i < count; i++) {
		char *text = device_text(ds, major(devs[i]), minor(devs[i]), STYLE_DEVNAME);
		const char *path = control_backing_name(ds->client, major(devs[i]),
							minor(devs[i]));

		json_open(json, '{');
		json_name(json, "major");
		json_number(json, major(devs[i]));
		json_name(json, "minor");
		json_number(json, minor(devs[i]));
		json_name(json, "name");
		json_string(json, path ? path : text ? text : "");
		json_close(json, '}');
		free(text);
	}
	json_close(json, ']');
	json_close(json, '}');
}

bool run_deps(struct dmsetup *ds, const struct call *call)
{
	const char *name = call->name;
	struct task *task;
	bool good = false;

	if (!name) {
		if (!call->argc && !names_one(ds))
			return for_all(ds, call, run_deps, false);
		name = call->argc ? call->argv[0] : NULL;
	}
	task = task_new(ds->client, TASK_DEPS);
	if (!task || !set_device(ds, task, name))
		goto out;
	set_common(ds, task);
	good = task_run(task);
	if (!good)
		goto out;
	if (ds->o.json) {
		json_deps(ds, task);
		goto out;
	}
	if (given(ds, OPT_VERBOSE))
		display_info(ds, task);
	if (call->several && !given(ds, OPT_VERBOSE))
		printf("%s: ", name ? name : "");
	print_deps(ds, task);
	if (call->several && given(ds, OPT_VERBOSE))
		putchar('\n');
out:
	task_free(task);
	return good;
}

static bool list_one(struct dmsetup *ds, const struct call *call)
{
	char *text;

	if (ds->o.json) {
		json_open(&ds->json, '{');
		json_name(&ds->json, "name");
		json_string(&ds->json, call->name);
		json_name(&ds->json, "major");
		json_number(&ds->json, major(call->dev));
		json_name(&ds->json, "minor");
		json_number(&ds->json, minor(call->dev));
		json_close(&ds->json, '}');
		return true;
	}
	text = device_text(ds, major(call->dev), minor(call->dev), ds->style);
	if (text)
		printf("%s\t(%s)\n", call->name, text);
	else
		printf("%s\t(%u:%u)\n", call->name, major(call->dev), minor(call->dev));
	free(text);
	return true;
}

bool run_ls(struct dmsetup *ds, const struct call *call)
{
	if (given(ds, OPT_TARGET) || given(ds, OPT_EXEC))
		return run_status(ds, call);
	if (given(ds, OPT_TREE))
		return tree_print(ds);
	return for_all(ds, call, list_one, false);
}

bool run_splitname(struct dmsetup *ds, const struct call *call)
{
	struct split_name split;
	struct row_source source = { .ds = ds, .split = &split };
	bool good;

	if (!split_name(&split, call->argc == 2 ? call->argv[1] : "LVM", call->argv[0], '\0'))
		return false;
	good = report_row(ds->report, &source, true, NULL);
	split_name_free(&split);
	return good;
}
