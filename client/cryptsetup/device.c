/* SPDX-License-Identifier: BSD-2-Clause */
/* device.c - mapped devices of ndmd: made of lines, looked at, removed. */
#include "client/cryptsetup/cryptsetup.h"

#include <stdlib.h>
#include <string.h>

/* Tables have keys in them. */
static void task_wipe(struct task *t)
{
	size_t i;

	for (i = 0; t && i < t->nr_lines; i++)
		if (t->lines[i].params)
			explicit_bzero(t->lines[i].params, strlen(t->lines[i].params));
	task_free(t);
}

static int task_do(struct task *t, bool good)
{
	int err;

	good = good && task_run(t);
	err = good ? 0 : t && t->error ? t->error : -EINVAL;
	task_wipe(t);
	return err;
}

bool dm_exists(struct cs *cs, const char *name)
{
	struct task *t = task_new(cs->client, TASK_INFO);
	struct info info = { 0 };

	if (t && task_set_name(t, name) && task_run(t))
		task_info(t, &info);
	task_free(t);
	return info.exists;
}

/* Where no ndmd answers, none of its devices is open. */
bool dm_uuid_in_use(struct cs *cs, int version, const char *uuid)
{
	struct task *names = task_new(cs->client, TASK_NAMES), *t;
	char *begin = dm_uuid(version == 1 ? "LUKS1" : "LUKS2", uuid, "");
	struct name_entry entry = { 0 };
	bool found = false;

	if (names)
		names->quiet = true;
	if (names && begin && task_run(names))
		while (!found && task_next_name(names, &entry)) {
			t = task_new(cs->client, TASK_INFO);
			if (t && task_set_name(t, entry.name) && task_run(t) && task_uuid(t))
				found = !strncmp(task_uuid(t), begin, strlen(begin));
			task_free(t);
		}
	task_free(names);
	free(begin);
	return found;
}

/* CRYPT-LUKS2-uuidwithoutdashes-name */
char *dm_uuid(const char *type, const char *uuid, const char *name)
{
	char plain[64], *p = plain;

	for (; uuid && *uuid && p < plain + sizeof plain - 1; uuid++)
		if (*uuid != '-')
			*p++ = *uuid;
	*p = 0;
	return text_format("CRYPT-%s-%s%s%s", type, plain, *plain ? "-" : "", name);
}

int dm_create(struct cs *cs, const char *name, const char *uuid, struct dm_lines lines, bool read_only)
{
	struct task *t = task_new(cs->client, TASK_CREATE);
	bool good = t && task_set_name(t, name) && task_set_uuid(t, uuid);
	unsigned i;

	for (i = 0; good && i < lines.n; i++)
		good = task_add_line(t, lines.line[i].start, lines.line[i].nr, lines.line[i].type,
				     lines.line[i].args);
	for (i = 0; good && i < lines.n; i++)
		t->lines[i].escaped = true;
	if (good)
		t->flags |= DM_SECURE_DATA_FLAG | (read_only ? DM_READONLY_FLAG : 0);
	return task_do(t, good);
}

int dm_remove(struct cs *cs, const char *name, bool quiet)
{
	struct task *t = task_new(cs->client, TASK_REMOVE);
	bool good = t && task_set_name(t, name);

	if (good && given(cs, CS_DEFERRED))
		t->flags |= DM_DEFERRED_REMOVE;
	if (good)
		t->quiet = quiet;
	return task_do(t, good);
}

/* The answer with its lines; the caller frees it. */
int dm_table(struct cs *cs, const char *name, enum task_type type, struct task **out)
{
	struct task *t = task_new(cs->client, type);

	if (t && task_set_name(t, name) && task_run(t)) {
		*out = t;
		return 0;
	}
	task_free(t);
	return -ENODEV;
}
