/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task.c - filling in a command and asking for its answer.  Running it is task-run.c.
 */
#include "task.h"

#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

struct task *task_new(struct client *client, enum task_type type)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task) {
		say("Out of memory.");
		return NULL;
	}
	task->client = client;
	task->type = type;
	task->major = task->minor = -1;
	task->read_ahead = READ_AHEAD_AUTO;
	return task;
}

void task_free(struct task *task)
{
	size_t i;

	if (!task)
		return;
	for (i = 0; i < task->nr_lines; i++) {
		/* Tables carry keys. */
		explicit_bzero(task->lines[i].params, strlen(task->lines[i].params));
		free(task->lines[i].params);
	}
	free(task->lines);
	if (task->dmi)
		explicit_bzero(task->dmi, task->dmi_bytes);
	free(task->dmi);
	free(task->name);
	free(task->given_name);
	free(task->uuid);
	free(task->text);
	free(task->shown_name);
	free(task->shown_uuid);
	free(task);
}

static bool keep(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	if (!*field)
		say("Out of memory.");
	return *field != NULL;
}

/* text, mangled as `mode` wants it, into *field */
static bool keep_mangled(char **field, const char *text, const char *what, size_t room,
			 enum mangling mode)
{
	char mangled[DM_UUID_LEN];

	if (!mangle_is_single(text, what, mode))
		return false;
	if (mode == MANGLE_NONE)
		return keep(field, text);
	return mangle_string(text, what, mangled, room, mode) >= 0 && keep(field, mangled);
}

/*
 * A name with a slash is the path of a node.  There are no nodes: $DM_DEV_DIR/mapper/NAME is
 * the device NAME (as the kernel spells it), and vg/lv what device-mapper tools would have
 * made of it, vg-lv.
 */
static bool set_name_from_path(struct task *task, const char *path)
{
	const char *dev = getenv("DM_DEV_DIR"), *last = strrchr(path, '/') + 1;
	char *prefix = text_format("%s%smapper/", dev && *dev ? dev : "/dev",
				   dev && *dev && dev[strlen(dev) - 1] == '/' ? "" : "/");
	bool found = prefix && !strncmp(path, prefix, strlen(prefix)) &&
		last == path + strlen(prefix) && *last;
	struct task *info = NULL;

	free(prefix);
	if (task->type == TASK_CREATE) {
		say("Name \"%s\" invalid. It contains \"/\".", path);
		return false;
	}
	if (found) {
		info = task_new(task->client, TASK_INFO);
		found = info && keep(&info->name, last) && task_run(info) && info->dmi &&
			info->dmi->name[0];
		task_free(info);
	}
	if (!found) {
		say("Device %s not found", path);
		return false;
	}
	return keep(&task->name, last) && keep(&task->given_name, last);
}

bool task_set_name(struct task *task, const char *name)
{
	if (strchr(name, '/'))
		return set_name_from_path(task, name);
	if (strlen(name) >= DM_NAME_LEN) {
		say("Name \"%s\" too long.", name);
		return false;
	}
	if (!mangle_is_single(name, "name", task->client->mangling))
		return false;
	if (!keep_mangled(&task->name, name, "name", DM_NAME_LEN, task->client->mangling)) {
		say("Failed to mangle device name \"%s\".", name);
		return false;
	}
	return keep(&task->given_name, name);
}

bool task_set_uuid(struct task *task, const char *uuid)
{
	if (!mangle_is_single(uuid, "UUID", task->client->mangling))
		return false;
	/* Without mangling libdevmapper cuts what is too long; the kernel sees 128 bytes. */
	if (!keep_mangled(&task->uuid, uuid, "UUID", DM_UUID_LEN, task->client->mangling)) {
		say("Failed to mangle device uuid \"%s\".", uuid);
		return false;
	}
	return true;
}

bool task_set_new_name(struct task *task, const char *name)
{
	if (strchr(name, '/')) {
		say("Name \"%s\" invalid. It contains \"/\".", name);
		return false;
	}
	if (strlen(name) >= DM_NAME_LEN) {
		say("Name \"%s\" too long", name);
		return false;
	}
	if (!*name) {
		say("Non empty new name is required.");
		return false;
	}
	if (!mangle_is_single(name, "new name", task->client->mangling))
		return false;
	if (!keep_mangled(&task->text, name, "new name", DM_NAME_LEN, task->client->mangling)) {
		say("Failed to mangle new device name \"%s\"", name);
		return false;
	}
	return true;
}

bool task_set_new_uuid(struct task *task, const char *uuid)
{
	if (strlen(uuid) >= DM_UUID_LEN) {
		say("Uuid \"%s\" too long", uuid);
		return false;
	}
	if (!mangle_is_single(uuid, "new UUID", task->client->mangling))
		return false;
	if (!keep_mangled(&task->text, uuid, "new UUID", DM_UUID_LEN, task->client->mangling)) {
		say("Failed to mangle new device UUID \"%s\"", uuid);
		return false;
	}
	task->flags |= DM_UUID_FLAG;
	return true;
}

void task_set_device(struct task *task, unsigned major, unsigned minor)
{
	task->major = (int)major;
	task->minor = (int)minor;
}

/* Takes the text. */
bool task_set_text(struct task *task, char *text)
{
	free(task->text);
	task->text = text;
	if (!text)
		say("Out of memory.");
	return text != NULL;
}

bool task_add_line(struct task *task, uint64_t start, uint64_t length, const char *type,
		   const char *params)
{
	struct line *line;

	if (strlen(type) >= DM_MAX_TYPE_NAME) {
		say("Target type name %s is too long.", type);
		return false;
	}
	line = realloc(task->lines, (task->nr_lines + 1) * sizeof(*line));
	if (!line) {
		say("Out of memory.");
		return false;
	}
	task->lines = line;
	line += task->nr_lines;
	line->start = start;
	line->length = length;
	line->escaped = false;
	strcpy(line->type, type);
	line->params = strdup(params);
	if (!line->params) {
		say("Out of memory.");
		return false;
	}
	task->nr_lines++;
	return true;
}

void task_info(const struct task *task, struct info *info)
{
	const struct dm_ioctl *dmi = task->dmi;

	memset(info, 0, sizeof(*info));
	info->exists = dmi && !task->error;
	if (!info->exists)
		return;
	info->suspended = dmi->flags & DM_SUSPEND_FLAG;
	info->live = dmi->flags & DM_ACTIVE_PRESENT_FLAG;
	info->inactive = dmi->flags & DM_INACTIVE_PRESENT_FLAG;
	info->read_only = dmi->flags & DM_READONLY_FLAG;
	info->deferred = dmi->flags & DM_DEFERRED_REMOVE;
	info->open_count = dmi->open_count;
	info->target_count = (int)dmi->target_count;
	info->event_nr = dmi->event_nr;
	info->major = major(dmi->dev);
	info->minor = minor(dmi->dev);
}

const char *task_name(const struct task *task)
{
	return task->shown_name ? task->shown_name : "";
}

const char *task_uuid(const struct task *task)
{
	return task->shown_uuid ? task->shown_uuid : "";
}

static char *mangled(const char *text, const char *what, size_t room, enum mangling mode)
{
	char out[DM_UUID_LEN];

	if (mangle_string(text, what, out, room, mode == MANGLE_HEX ? MANGLE_HEX : MANGLE_AUTO) < 0)
		return NULL;
	return strdup(out);
}

/* What the answer shows is unmangled already unless the mode is `none`. */
static char *unmangled(const char *text, const char *what, size_t room, enum mangling mode)
{
	char out[DM_UUID_LEN];

	if (mode != MANGLE_NONE)
		return strdup(text);
	if (unmangle_string(text, what, out, room, mode) < 0)
		return NULL;
	return strdup(out);
}

char *task_name_mangled(const struct task *task)
{
	char *text = mangled(task_name(task), "name", DM_NAME_LEN, task->client->mangling);

	if (!text)
		say("Failed to mangle device name \"%s\".", task_name(task));
	return text;
}

char *task_name_unmangled(const struct task *task)
{
	return unmangled(task_name(task), "name", DM_NAME_LEN, task->client->mangling);
}

char *task_uuid_mangled(const struct task *task)
{
	char *text = mangled(task_uuid(task), "UUID", DM_UUID_LEN, task->client->mangling);

	if (!text)
		say("Failed to mangle device uuid \"%s\".", task_uuid(task));
	return text;
}

char *task_uuid_unmangled(const struct task *task)
{
	return unmangled(task_uuid(task), "UUID", DM_UUID_LEN, task->client->mangling);
}

/* A message's answer; NULL if there is none. */
const char *task_response(const struct task *task)
{
	const struct dm_ioctl *dmi = task->dmi;

	if (!dmi || !(dmi->flags & DM_DATA_OUT_FLAG) || dmi->data_start >= task->dmi_bytes)
		return NULL;
	return (const char *)dmi + dmi->data_start;	/* a NUL follows the answer */
}

const uint64_t *task_deps(const struct task *task, uint32_t *count)
{
	const struct dm_target_deps *deps;
	size_t room;

	*count = 0;
	if (!task->dmi || task->dmi->data_start % 8 ||
	    task->dmi->data_start + sizeof(*deps) > task->dmi_bytes)
		return NULL;
	room = (task->dmi_bytes - task->dmi->data_start - sizeof(*deps)) / sizeof(uint64_t);
	deps = (const void *)((const char *)task->dmi + task->dmi->data_start);
	*count = deps->count < room ? deps->count : (uint32_t)room;
	return (const uint64_t *)deps->dev;
}

/* The mapped device with this number, as the kernel spells it.  *name is to be freed. */
bool task_dm_name(struct client *client, unsigned major, unsigned minor, char **name)
{
	struct task *task = task_new(client, TASK_INFO);

	*name = NULL;
	if (!task)
		return false;
	task_set_device(task, major, minor);
	if (task_run(task) && !task->error)
		*name = strndup(task->dmi->name, DM_NAME_LEN);
	task_free(task);
	return *name != NULL;
}

bool task_next_name(struct task *task, struct name_entry *entry)
{
	char *base = (char *)task->dmi;
	size_t at = task->dmi ? task->dmi->data_start : 0;
	struct dm_name_list *item;

	if (!task->dmi)
		return false;
	if (entry->at) {
		item = (struct dm_name_list *)(base + entry->at);
		if (!item->next)
			return false;
		at = entry->at + item->next;
	}
	if (at < sizeof(*task->dmi) || at % 8 ||
	    at + offsetof(struct dm_name_list, name) >= task->dmi_bytes)
		return false;
	item = (struct dm_name_list *)(base + at);
	if (!item->dev)
		return false;
	entry->at = at;
	entry->dev = item->dev;
	entry->name = item->name;
	return true;
}

bool task_next_version(struct task *task, struct version_entry *entry)
{
	char *base = (char *)task->dmi;
	size_t at = task->dmi ? task->dmi->data_start : 0;
	struct dm_target_versions *item;

	if (!task->dmi)
		return false;
	if (entry->at) {
		item = (struct dm_target_versions *)(base + entry->at);
		if (!item->next)
			return false;
		at = entry->at + item->next;
	}
	if (at < sizeof(*task->dmi) || at % 4 || at + sizeof(*item) >= task->dmi_bytes)
		return false;
	item = (struct dm_target_versions *)(base + at);
	entry->at = at;
	entry->version = item->version;
	entry->name = item->name;
	return true;
}

/* false where a kernel would have no block device yet; no message is due then. */
bool task_read_ahead(struct task *task, uint32_t *sectors)
{
	const struct dm_ioctl *dmi = task->dmi;
	char *answer;
	int err;

	*sectors = 0;
	if (!dmi || task->error)
		return false;
	err = control_text(task->client, NDM_CTL_READ_AHEAD, dmi->name, &answer);
	if (!err)
		*sectors = (uint32_t)strtoul(answer, NULL, 10);
	free(answer);
	return !err;
}
