/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task.h - one device-mapper command: what is asked, and what came back.
 *
 * A task is filled in, run, and may then be asked for the answer.  All functions that return
 * bool have said what is wrong when they return false.
 */
#ifndef NDM_CLIENT_TASK_H
#define NDM_CLIENT_TASK_H

#include "client.h"

enum task_type {
	TASK_CREATE, TASK_RELOAD, TASK_REMOVE, TASK_REMOVE_ALL, TASK_SUSPEND, TASK_RESUME,
	TASK_INFO, TASK_DEPS, TASK_RENAME, TASK_VERSION, TASK_STATUS, TASK_TABLE, TASK_WAIT,
	TASK_NAMES, TASK_CLEAR, TASK_MKNODES, TASK_VERSIONS, TASK_MESSAGE, TASK_GEOMETRY,
	TASK_TARGET_VERSION
};

/* A line of a table: to be loaded, or as answered. */
struct line {
	uint64_t start, length;		/* sectors */
	char type[DM_MAX_TYPE_NAME];
	char *params;
	bool escaped;			/* backslashes stand before blanks: sent as they are */
};

struct task {
	struct client *client;
	enum task_type type;
	char *name, *uuid;		/* as the kernel has them (mangled) */
	char *given_name;		/* as the user wrote it */
	int major, minor;		/* -1: not given */
	uint32_t flags;			/* DM_*_FLAG */
	uint32_t event_nr;
	uint64_t sector;
	char *text;			/* message, new name or UUID, geometry */
	struct line *lines;
	size_t nr_lines;
	bool retry_remove, quiet;
	long read_ahead;		/* READ_AHEAD_*, or sectors */
	bool read_ahead_minimum;

	struct dm_ioctl *dmi;		/* the answer */
	size_t dmi_bytes;
	int error;			/* 0 or -errno of the last run */
	char *shown_name, *shown_uuid;	/* of the answer, unmangled where that is wanted */
};

#define READ_AHEAD_AUTO (-1L)
#define READ_AHEAD_NONE 0L

struct info {
	bool exists, suspended, live, inactive, read_only, deferred;
	int open_count, target_count;
	uint32_t event_nr;
	unsigned major, minor;
};

struct task *task_new(struct client *client, enum task_type type);
void task_free(struct task *task);
bool task_set_name(struct task *task, const char *name);
bool task_set_uuid(struct task *task, const char *uuid);
bool task_set_new_name(struct task *task, const char *name);
bool task_set_new_uuid(struct task *task, const char *uuid);
void task_set_device(struct task *task, unsigned major, unsigned minor);
bool task_set_text(struct task *task, char *text);
bool task_add_line(struct task *task, uint64_t start, uint64_t length, const char *type,
		   const char *params);
bool task_run(struct task *task);

void task_info(const struct task *task, struct info *info);
const char *task_name(const struct task *task);
const char *task_uuid(const struct task *task);
char *task_name_mangled(const struct task *task);
char *task_name_unmangled(const struct task *task);
char *task_uuid_mangled(const struct task *task);
char *task_uuid_unmangled(const struct task *task);
bool task_read_ahead(struct task *task, uint32_t *sectors);
const char *task_response(const struct task *task);
const uint64_t *task_deps(const struct task *task, uint32_t *count);
bool task_dm_name(struct client *client, unsigned major, unsigned minor, char **name);

/* Entries of a list answered; the first for NULL, NULL after the last. */
struct name_entry {
	uint64_t dev;
	char *name;			/* unmangled where that is wanted */
	size_t at;			/* where in the answer it is */
};
bool task_next_name(struct task *task, struct name_entry *entry);
struct version_entry {
	const char *name;
	const uint32_t *version;
	size_t at;
};
bool task_next_version(struct task *task, struct version_entry *entry);

/* list.c: all devices, in the server's order, as a copy. */
struct device_list {
	char **names;
	uint64_t *devs;
	size_t n;
};
bool device_list_read(struct client *client, struct device_list *list);
void device_list_free(struct device_list *list);

/* table-text.c */
bool table_parse(struct task *task, const char *text, const char *file, int *line_number);
bool table_read_file(struct task *task, const char *path);

#endif
