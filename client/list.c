/* SPDX-License-Identifier: BSD-2-Clause */
/* list.c - the names of all mapped devices. */
#include "task.h"

#include <stdlib.h>
#include <string.h>

bool device_list_read(struct client *client, struct device_list *list)
{
	struct task *task = task_new(client, TASK_NAMES);
	struct name_entry entry = { 0 };
	bool good = task && task_run(task);

	memset(list, 0, sizeof(*list));
	while (good && task_next_name(task, &entry)) {
		char **names = realloc(list->names, (list->n + 1) * sizeof(*names));
		uint64_t *devs = realloc(list->devs, (list->n + 1) * sizeof(*devs));

		if (names)
			list->names = names;
		if (devs)
			list->devs = devs;
		good = names && devs && (names[list->n] = strdup(entry.name));
		if (!good) {
			say("Out of memory.");
			break;
		}
		devs[list->n++] = entry.dev;
	}
	task_free(task);
	if (!good)
		device_list_free(list);
	return good;
}

void device_list_free(struct device_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
	free(list->devs);
	memset(list, 0, sizeof(*list));
}
