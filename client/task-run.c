/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task-run.c - running a command: the buffer as the kernel's ioctl wants it, the answer taken
 * apart, errors put in libdevmapper's words.
 *
 * Habits of libdevmapper that scripts have come to rely on and that are kept here: an answer
 * too long for the buffer is asked for again with twice the room; info, status and mknodes of
 * a device that is not there succeed with "does not exist"; create with a table is three
 * commands and takes the device away again when the second or third fails.
 */
#include "task.h"

#include <errno.h>
#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>

#define LEAST_ROOM (16u << 10)	/* bytes */
#define REMOVE_TRIES 25
#define REMOVE_PAUSE_NS 200000000L

static const struct {
	const char *name;	/* in messages */
	unsigned command;
} ops[] = {
	[TASK_CREATE] = { "create", DM_DEV_CREATE },
	[TASK_RELOAD] = { "reload", DM_TABLE_LOAD },
	[TASK_REMOVE] = { "remove", DM_DEV_REMOVE },
	[TASK_REMOVE_ALL] = { "remove_all", DM_REMOVE_ALL },
	[TASK_SUSPEND] = { "suspend", DM_DEV_SUSPEND },
	[TASK_RESUME] = { "resume", DM_DEV_SUSPEND },
	[TASK_INFO] = { "info", DM_DEV_STATUS },
	[TASK_DEPS] = { "deps", DM_TABLE_DEPS },
	[TASK_RENAME] = { "rename", DM_DEV_RENAME },
	[TASK_VERSION] = { "version", DM_VERSION },
	[TASK_STATUS] = { "status", DM_TABLE_STATUS },
	[TASK_TABLE] = { "table", DM_TABLE_STATUS },
	[TASK_WAIT] = { "waitevent", DM_DEV_WAIT },
	[TASK_NAMES] = { "names", DM_LIST_DEVICES },
	[TASK_CLEAR] = { "clear", DM_TABLE_CLEAR },
	[TASK_MKNODES] = { "mknodes", DM_DEV_STATUS },
	[TASK_VERSIONS] = { "versions", DM_LIST_VERSIONS },
	[TASK_MESSAGE] = { "message", DM_TARGET_MSG },
	[TASK_GEOMETRY] = { "setgeometry", DM_DEV_SET_GEOMETRY },
	[TASK_TARGET_VERSION] = { "target-version", DM_GET_TARGET_VERSION },
};

static bool carries_lines(const struct task *task)
{
	return task->type == TASK_RELOAD;
}

/*
 * Bytes that a line takes in the buffer, its NUL and the padding to 8 included.  A backslash is
 * doubled: the kernel takes one away when it splits words, and the target gets what was written.
 */
static size_t line_bytes(const struct line *line)
{
	size_t n = sizeof(struct dm_target_spec) + strlen(line->params) + 1;
	const char *c;

	for (c = line->params; *c; c++)
		n += *c == '\\' && !line->escaped;
	return (n + 7) & ~(size_t)7;
}

static char *put_line(char *at, const struct line *line)
{
	struct dm_target_spec *spec = (struct dm_target_spec *)at;
	char *to = (char *)(spec + 1);
	const char *c;

	spec->sector_start = line->start;
	spec->length = line->length;
	spec->next = (uint32_t)line_bytes(line);
	strcpy(spec->target_type, line->type);
	for (c = line->params; *c; c++) {
		if (*c == '\\' && !line->escaped)
			*to++ = '\\';
		*to++ = *c;
	}
	return at + spec->next;		/* the buffer was zeroed: the NUL is there */
}

static size_t buffer_bytes(const struct task *task)
{
	size_t n = sizeof(struct dm_ioctl), i;

	for (i = 0; carries_lines(task) && i < task->nr_lines; i++)
		n += line_bytes(&task->lines[i]);
	if (task->text)
		n += sizeof(struct dm_target_msg) + strlen(task->text) + 1;
	if (n < LEAST_ROOM)
		n = LEAST_ROOM;
	n <<= task->client->room_doublings < 12 ? task->client->room_doublings : 12;
	return n < NDM_CTL_MAX_LENGTH ? n : NDM_CTL_MAX_LENGTH;
}

static uint32_t flags_of(const struct task *task)
{
	uint32_t flags = task->flags | 4;	/* an old "exists" bit that libdevmapper sets */

	if (task->type == TASK_SUSPEND)
		flags |= DM_SUSPEND_FLAG;
	if (task->type == TASK_TABLE)
		flags |= DM_STATUS_TABLE_FLAG;
	if (task->minor >= 0)
		flags |= DM_PERSISTENT_DEV_FLAG;
	return flags;
}

static struct dm_ioctl *build(const struct task *task, size_t *length_bytes)
{
	size_t n = buffer_bytes(task), i;
	struct dm_ioctl *dmi = calloc(1, n);
	bool by_number = task->minor >= 0 &&
		(task->type == TASK_RESUME || task->type == TASK_RELOAD);
	char *at;

	*length_bytes = n;
	if (!dmi) {
		say("Out of memory.");
		return NULL;
	}
	dmi->version[0] = NDM_CTL_DM_MAJOR;
	dmi->data_size = (uint32_t)n;
	dmi->data_start = sizeof(*dmi);
	dmi->flags = flags_of(task);
	dmi->event_nr = task->event_nr;
	if (task->minor >= 0)
		dmi->dev = makedev((unsigned)task->major, (unsigned)task->minor);
	if (task->name && !by_number)
		memcpy(dmi->name, task->name, strnlen(task->name, sizeof(dmi->name) - 1));
	if (task->uuid)
		memcpy(dmi->uuid, task->uuid, strnlen(task->uuid, sizeof(dmi->uuid) - 1));
	at = (char *)(dmi + 1);
	if (carries_lines(task)) {
		dmi->target_count = (uint32_t)task->nr_lines;
		for (i = 0; i < task->nr_lines; i++)
			at = put_line(at, &task->lines[i]);
	} else if (task->type == TASK_MESSAGE) {
		struct dm_target_msg *message = (struct dm_target_msg *)at;

		message->sector = task->sector;
		strcpy(message->message, task->text ? task->text : "");
	} else if (task->text) {
		strcpy(at, task->text);
	}
	return dmi;
}

static void say_failed(const struct task *task)
{
	char number[32] = "";

	/* What happened to the connection has been told. */
	if (task->quiet || task->error == -EINTR || task->client->fd < 0)
		return;
	if (task->major > 0)
		snprintf(number, sizeof(number), "(%d:%d)", task->major,
			 task->minor > 0 ? task->minor : 0);
	say("device-mapper: %s ioctl on %s %s%s failed: %s", ops[task->type].name,
	    task->name ? task->name : "", task->uuid ? task->uuid : "", number,
	    strerror(-task->error));
	control_print_reason(task->client);
}

/* Names in an answer are shown as the mangling mode wants them. */
static bool show(char **field, const char *text, size_t room, const char *what,
		 enum mangling mode)
{
	char plain[DM_UUID_LEN];
	char copy[DM_UUID_LEN];

	free(*field);
	*field = NULL;
	snprintf(copy, sizeof(copy), "%.*s", (int)room - 1, text);
	if (mode == MANGLE_NONE) {
		*field = strdup(copy);
		return *field != NULL;
	}
	if (!mangle_is_single(copy, what, mode) ||
	    unmangle_string(copy, what, plain, sizeof(plain), mode) < 0)
		return false;
	*field = strdup(plain);
	return *field != NULL;
}

static bool show_names(struct task *task)
{
	struct name_entry entry = { 0 };
	char plain[DM_NAME_LEN];
	bool good;

	good = show(&task->shown_name, task->dmi->name, DM_NAME_LEN, "name",
		    task->client->mangling);
	if (task->type == TASK_NAMES && task->client->mangling != MANGLE_NONE)
		while (task_next_name(task, &entry)) {
			if (mangle_is_single(entry.name, "name", task->client->mangling) &&
			    unmangle_string(entry.name, "name", plain, sizeof(plain),
					    task->client->mangling) >= 0)
				strcpy(entry.name, plain);	/* never longer */
			else
				good = false;
		}
	if (good && task->type != TASK_REMOVE)
		good = show(&task->shown_uuid, task->dmi->uuid, DM_UUID_LEN, "UUID",
			    task->client->mangling);
	return good;
}

/* The lines of a status or table answer. */
static bool take_lines(struct task *task)
{
	const struct dm_ioctl *dmi = task->dmi;
	size_t at = dmi->data_start, i;

	for (i = 0; i < task->nr_lines; i++)
		free(task->lines[i].params);
	task->nr_lines = 0;
	for (i = 0; i < dmi->target_count; i++) {
		struct dm_target_spec spec;
		char type[DM_MAX_TYPE_NAME];

		if (at > task->dmi_bytes || task->dmi_bytes - at < sizeof(spec))
			break;
		memcpy(&spec, (const char *)dmi + at, sizeof(spec));
		snprintf(type, sizeof(type), "%.15s", spec.target_type);
		if (!task_add_line(task, spec.sector_start, spec.length, type,
				   (const char *)dmi + at + sizeof(spec)))
			return false;
		if (dmi->data_start + (size_t)spec.next <= at)
			break;		/* it would never end */
		at = dmi->data_start + (size_t)spec.next;
	}
	return true;
}

static bool is_missing_allowed(const struct task *task)
{
	return task->error == -ENXIO && (task->type == TASK_INFO || task->type == TASK_MKNODES ||
					 task->type == TASK_STATUS);
}

static bool may_repeat(const struct task *task)
{
	switch (task->type) {
	case TASK_VERSIONS: case TASK_NAMES: case TASK_DEPS: case TASK_STATUS: case TASK_TABLE:
	case TASK_WAIT: case TASK_MESSAGE:
		return true;
	default:
		return false;
	}
}

/* One exchange.  After it task->error is set, and task->dmi where there is an answer. */
static bool exchange(struct task *task)
{
	size_t length_bytes, answer_bytes;
	struct dm_ioctl *dmi = build(task, &length_bytes);
	char *answer;

	if (!dmi)
		return false;
	task->error = control_call(task->client, _IOC_NR(ops[task->type].command), dmi,
				   length_bytes, &answer, &answer_bytes);
	explicit_bzero(dmi, length_bytes);
	if (task->error && !is_missing_allowed(task)) {
		free(answer);
		free(dmi);
		say_failed(task);
		return false;
	}
	if (!task->error && answer_bytes >= sizeof(*dmi)) {
		free(dmi);
		dmi = (struct dm_ioctl *)answer;
		length_bytes = answer_bytes;
	} else {
		free(answer);
	}
	if (task->dmi)
		explicit_bzero(task->dmi, task->dmi_bytes);
	free(task->dmi);
	task->dmi = dmi;
	task->dmi_bytes = length_bytes;
	return true;
}

static bool run_once(struct task *task)
{
	if (task->minor >= 0 && task->major <= 0) {
		say("Missing major number for persistent device.");
		say("Couldn't create ioctl argument.");
		return false;
	}
	for (;;) {
		if (!exchange(task))
			return false;
		if (task->error || !(task->dmi->flags & DM_BUFFER_FULL_FLAG) || !may_repeat(task))
			break;
		if (buffer_bytes(task) >= NDM_CTL_MAX_LENGTH) {
			say("The answer of ndmd is too long.");
			return false;
		}
		task->client->room_doublings++;
	}
	if (task->error) {
		task->dmi->name[0] = '\0';	/* nothing there to be shown */
		return true;
	}
	if (!show_names(task))
		return false;
	if (task->type == TASK_STATUS || task->type == TASK_TABLE || task->type == TASK_WAIT)
		return take_lines(task);
	return true;
}

/* `remove --retry`: somebody may just be about to let go. */
static bool run_retrying(struct task *task)
{
	const struct timespec pause = { .tv_nsec = REMOVE_PAUSE_NS };
	int tries;

	for (tries = 1; ; tries++) {
		if (run_once(task))
			return true;
		if (task->error != -EBUSY || task->type != TASK_REMOVE || !task->retry_remove ||
		    tries >= REMOVE_TRIES)
			return false;
		nanosleep(&pause, NULL);
	}
}

/* Read ahead lives with the block device; nothing here depends on it, but scripts look. */
static void set_read_ahead(struct task *task)
{
	char *text, *answer = NULL;
	uint32_t now;

	if (task->read_ahead == READ_AHEAD_AUTO || !task->dmi || !task->dmi->name[0] ||
	    !task_read_ahead(task, &now))
		return;
	if (task->read_ahead_minimum && now >= (uint32_t)task->read_ahead)
		return;
	/* Kept in KiB and in whole pages of 8 sectors. */
	text = text_format("%s %lu", task->dmi->name,
			   ((unsigned long)task->read_ahead + 1) / 2 / 4 * 8);
	if (text)
		control_text(task->client, NDM_CTL_READ_AHEAD, text, &answer);
	free(answer);
	free(text);
}

static void forget_uuid(struct task *task)
{
	free(task->uuid);
	task->uuid = NULL;
}

/* Create, load, resume; what fails after the first is undone. */
static bool run_create_with_table(struct task *task)
{
	struct task *step = task_new(task->client, TASK_CREATE);
	struct info info;
	bool good;

	if (!step)
		return false;
	step->name = strdup(task->name);
	step->uuid = task->uuid ? strdup(task->uuid) : NULL;
	step->major = task->major ? task->major : NDM_CTL_MAJOR;
	step->minor = task->minor;
	good = step->name && run_once(step);
	task_info(step, &info);
	task_free(step);
	if (!good || !info.exists)
		return false;

	step = task_new(task->client, TASK_RELOAD);
	if (!step)
		return false;
	step->name = strdup(task->name);
	task_set_device(step, info.major, info.minor);
	step->flags = task->flags & (DM_READONLY_FLAG | DM_SECURE_DATA_FLAG);
	step->lines = task->lines;
	step->nr_lines = task->nr_lines;
	good = step->name && run_once(step);
	step->lines = NULL;
	step->nr_lines = 0;
	task_free(step);

	forget_uuid(task);
	if (good) {
		task->type = TASK_RESUME;
		if (run_once(task)) {
			set_read_ahead(task);
			return true;
		}
	}
	task->type = TASK_REMOVE;
	if (!run_once(task))
		say("Failed to revert device creation.");
	return false;
}

bool task_run(struct task *task)
{
	if (task->type == TASK_CREATE && task->nr_lines)
		return run_create_with_table(task);
	if (task->type == TASK_MKNODES && !task->name && !task->uuid && task->major <= 0)
		return control_open(task->client) == 0;	/* there are no nodes to be made */
	if (!run_retrying(task))
		return false;
	if (task->type == TASK_RESUME)
		set_read_ahead(task);
	return true;
}
