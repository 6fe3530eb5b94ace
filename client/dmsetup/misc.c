/* SPDX-License-Identifier: BSD-2-Clause */
/* misc.c - message, setgeometry, targets, target-version, version, help and mangle. */
#include "dmsetup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The device of a command whose first argument is it, unless an option says it. */
static bool take_device(struct dmsetup *ds, struct task *task, int *argc, char ***argv)
{
	if (names_one(ds))
		return set_device(ds, task, NULL);
	if (!set_device(ds, task, (*argv)[0]))
		return false;
	(*argc)--;
	(*argv)++;
	return true;
}

static char *joined(int argc, char **argv)
{
	size_t room = 1;
	char *text, *at;
	int i;

	for (i = 0; i < argc; i++)
		room += strlen(argv[i]) + 1;
	text = at = malloc(room);
	for (i = 0; text && i < argc; i++)
		at += sprintf(at, "%s%s", i ? " " : "", argv[i]);
	if (text)
		*at = '\0';
	return text;
}

bool run_message(struct dmsetup *ds, const struct call *call)
{
	struct task *task = task_new(ds->client, TASK_MESSAGE);
	int argc = call->argc;
	char **argv = call->argv, *end;
	const char *response;
	bool good = false;

	if (!task || !take_device(ds, task, &argc, &argv))
		goto out;
	errno = 0;
	task->sector = argc ? strtoull(argv[0], &end, 10) : 0;
	if (!argc || errno || *end || end == argv[0]) {
		say("Invalid sector.");
		goto out;
	}
	if (argc == 1)
		say("No message supplied.");
	if (!task_set_text(task, joined(argc - 1, argv + 1)))
		goto out;
	set_common(ds, task);
	good = task_run(task);
	if (!good)
		goto out;
	response = task_response(task);
	if (response)
		printf("%s%s", response,
		       *response && response[strlen(response) - 1] == '\n' ? "" :
		       *response ? "\n" : "");
out:
	task_free(task);
	return good;
}

bool run_geometry(struct dmsetup *ds, const struct call *call)
{
	struct task *task = task_new(ds->client, TASK_GEOMETRY);
	int argc = call->argc;
	char **argv = call->argv;
	bool good;

	/* With a device in the options there is one argument too many: it is not looked at. */
	good = task && take_device(ds, task, &argc, &argv) &&
		task_set_text(task, joined(4, argv));
	if (good) {
		set_common(ds, task);
		good = task_run(task);
	}
	task_free(task);
	return good;
}

static void show_version(struct dmsetup *ds, const struct version_entry *entry)
{
	struct json *json = &ds->json;

	if (!ds->o.json) {
		printf("%-16s v%u.%u.%u\n", entry->name, entry->version[0], entry->version[1],
		       entry->version[2]);
		return;
	}
	json_open(json, '{');
	json_name(json, "name");
	json_string(json, entry->name);
	json_name(json, "version");
	json_open(json, '[');
	json_number(json, entry->version[0]);
	json_number(json, entry->version[1]);
	json_number(json, entry->version[2]);
	json_close(json, ']');
	json_close(json, '}');
}

bool run_targets(struct dmsetup *ds, const struct call *call)
{
	struct task *task = task_new(ds->client, TASK_VERSIONS);
	struct version_entry entry = { 0 };
	bool good = task && task_run(task);

	(void)call;
	while (good && task_next_version(task, &entry))
		show_version(ds, &entry);
	task_free(task);
	return good;
}

bool run_target_version(struct dmsetup *ds, const struct call *call)
{
	struct task *task = task_new(ds->client, TASK_TARGET_VERSION);
	struct version_entry entry = { 0 };
	bool good = task && task_set_name(task, call->argv[0]) && task_run(task);

	if (good && task_next_version(task, &entry))
		show_version(ds, &entry);
	task_free(task);
	return good;
}

bool run_version(struct dmsetup *ds, const struct call *call)
{
	struct task *task = task_new(ds->client, TASK_VERSION);
	struct json *json = &ds->json;
	bool good;

	(void)call;
	if (!ds->o.json)
		printf("Library version:   %s\n", NDM_LIBRARY_VERSION);
	good = task && task_run(task);
	if (good && ds->o.json) {
		char *driver = text_format("%u.%u.%u", task->dmi->version[0],
					   task->dmi->version[1], task->dmi->version[2]);

		json_open(json, '{');
		json_name(json, "library");
		json_string(json, NDM_LIBRARY_VERSION);
		json_name(json, "driver");
		json_string(json, driver ? driver : "");
		json_close(json, '}');
		free(driver);
	} else if (good) {
		printf("Driver version:    %u.%u.%u\n", task->dmi->version[0],
		       task->dmi->version[1], task->dmi->version[2]);
	}
	task_free(task);
	report_free(ds->report);
	ds->report = NULL;
	return good;
}

bool run_help(struct dmsetup *ds, const struct call *call)
{
	usage_print(ds);
	if (given(ds, OPT_COLUMNS)) {
		ds->o.given[OPT_OPTIONS] = 1;
		ds->o.text[OPT_OPTIONS] = "help";
		ds->o.given[OPT_SORT] = 0;
		report_free(ds->report);
		ds->report = NULL;
		report_begin(ds, call->command->name, "");
		report_free(ds->report);
		ds->report = NULL;
	}
	return true;
}

/* Renames a device to the form in which its name should have been written. */
static bool mangle_device(struct dmsetup *ds, struct task *task, const char *name)
{
	enum mangling form = given(ds, OPT_MANGLENAME) ?
		(enum mangling)ds->o.number[OPT_MANGLENAME] : MANGLE_AUTO;
	const char *uuid = task_uuid(task);
	char *new_name, *new_uuid;
	bool good = false;

	if (form == MANGLE_AUTO && (strstr(name, "\\x5cx") || strstr(uuid, "\\x5cx"))) {
		bool of_name = strstr(name, "\\x5cx");

		say("The %s \"%s\" seems to be mangled more than once. Manual intervention "
		    "required to %s.", of_name ? "name" : "UUID", of_name ? name : uuid,
		    of_name ? "rename the device" : "correct the device UUID");
		return false;
	}
	new_name = form == MANGLE_NONE ? task_name_unmangled(task) : task_name_mangled(task);
	new_uuid = form == MANGLE_NONE ? task_uuid_unmangled(task) : task_uuid_mangled(task);
	if (!new_name || !new_uuid)
		goto out;
	if (strcmp(uuid, new_uuid)) {
		say("%s: %s: UUID in incorrect form. ", name, uuid);
		say("Unable to change device UUID. The device must be deactivated first.");
	} else if (!strcmp(name, new_name)) {
		printf("%s: %s: name %salready in correct form\n", name,
		       *uuid ? uuid : "[no UUID]", *uuid ? "and UUID " : "");
		good = true;
	} else {
		printf("%s: renaming to %s\n", name, new_name);
		good = do_rename(ds, name, new_name, NULL);
	}
out:
	free(new_name);
	free(new_uuid);
	return good;
}

bool run_mangle(struct dmsetup *ds, const struct call *call)
{
	const char *name = call->name;
	struct task *task;
	struct info info;
	bool good = false;

	if (!name) {
		if (!call->argc && !names_one(ds))
			return for_all(ds, call, run_mangle, false);
		name = call->argc ? call->argv[0] : NULL;
	}
	task = task_new(ds->client, TASK_STATUS);
	if (task && set_device(ds, task, name) && task_run(task)) {
		task_info(task, &info);
		good = info.exists && mangle_device(ds, task, name ? name : task_name(task));
	}
	task_free(task);
	return good;
}
