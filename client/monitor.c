/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * monitor.c - `ndm monitor [-j]`: a line for each thing that happens to a device.
 *
 * An event of a device ends a DM_DEV_WAIT at once; each device has a connection on which one
 * waits.  What raises no event (create, suspend, resume, load) is found by looking at the list
 * of devices every INTERVAL.  The program ends by a signal, or when ndmd goes.
 */
#include "task.h"

#include <errno.h>
#include <inttypes.h>
#include <ndm-control.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 500
#define WAIT_ROOM (64u << 10)		/* bytes of a wait's answer; a longer one is cut */

struct watched {
	uint64_t dev;
	char *name;
	uint32_t flags, event_nr;
	struct client wait;		/* the connection on which a DM_DEV_WAIT is pending */
	bool pending, present;
};

struct monitor {
	struct client *client;
	struct watched *list;
	size_t n;
	bool json, first;
};

static void print_event(struct monitor *m, const struct watched *w, const char *what)
{
	struct json json = { .out = stdout, .first = true, .one_line = true };
	struct timespec now;
	char stamp[40];
	struct tm tm;
	size_t n;

	if (m->first)
		return;			/* what was there when we began */
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp + n, sizeof(stamp) - n, ".%03ldZ", now.tv_nsec / 1000000);
	if (!m->json) {
		printf("%s %-10s %s (%" PRIu32 ")\n", stamp, what, w->name, w->event_nr);
		fflush(stdout);
		return;
	}
	json_open(&json, '{');
	json_name(&json, "time");
	json_string(&json, stamp);
	json_name(&json, "event");
	json_string(&json, what);
	json_name(&json, "device");
	json_string(&json, w->name);
	json_name(&json, "major");
	json_number(&json, major(w->dev));
	json_name(&json, "minor");
	json_number(&json, minor(w->dev));
	json_name(&json, "event_nr");
	json_number(&json, w->event_nr);
	json_name(&json, "suspended");
	json_bool(&json, w->flags & DM_SUSPEND_FLAG);
	json_close(&json, '}');
	fflush(stdout);
}

static void stop_waiting(struct watched *w)
{
	if (w->wait.fd >= 0)
		close(w->wait.fd);
	w->wait.fd = -1;
	w->pending = false;
}

/* Asks for the next event; its answer is read when the connection has something to say. */
static void start_waiting(struct monitor *m, struct watched *w)
{
	struct ndm_ctl_request request = { .command = _IOC_NR(DM_DEV_WAIT), .length = WAIT_ROOM };
	struct dm_ioctl *dmi;

	if (w->pending)
		return;
	w->wait = (struct client){ .fd = -1, .control = m->client->control };
	dmi = calloc(1, WAIT_ROOM);
	if (!dmi || control_open(&w->wait)) {
		free(dmi);
		return;
	}
	dmi->version[0] = NDM_CTL_DM_MAJOR;
	dmi->data_size = WAIT_ROOM;
	dmi->data_start = sizeof(*dmi);
	dmi->dev = w->dev;
	dmi->event_nr = w->event_nr;
	w->pending = send(w->wait.fd, &request, sizeof(request), MSG_NOSIGNAL) ==
		sizeof(request) &&
		send(w->wait.fd, dmi, WAIT_ROOM, MSG_NOSIGNAL) == WAIT_ROOM;
	free(dmi);
	if (!w->pending)
		stop_waiting(w);
}

static struct watched *find(struct monitor *m, uint64_t dev)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (m->list[i].dev == dev)
			return &m->list[i];
	return NULL;
}

static struct watched *add(struct monitor *m, uint64_t dev, const char *name)
{
	struct watched *longer = realloc(m->list, (m->n + 1) * sizeof(*longer));
	struct watched *w;

	if (!longer)
		return NULL;
	m->list = longer;
	w = &longer[m->n];
	*w = (struct watched){ .dev = dev, .name = strdup(name), .wait.fd = -1 };
	if (!w->name)
		return NULL;
	m->n++;
	return w;
}

/* What changed between two looks at one device. */
static void compare(struct monitor *m, struct watched *w, const struct dm_ioctl *dmi, bool new)
{
	const uint32_t tables = DM_ACTIVE_PRESENT_FLAG | DM_INACTIVE_PRESENT_FLAG;
	uint32_t before = w->flags, after = dmi->flags;
	bool event = w->event_nr != dmi->event_nr;

	w->flags = after;
	w->event_nr = dmi->event_nr;
	if (new) {
		print_event(m, w, "created");
		return;
	}
	if (strcmp(w->name, dmi->name)) {
		char *name = strndup(dmi->name, DM_NAME_LEN);

		free(w->name);
		w->name = name ? name : strdup("");
		print_event(m, w, "renamed");
	} else if (event) {
		print_event(m, w, "event");
	}
	if ((before ^ after) & tables)
		print_event(m, w, "table");
	if ((before ^ after) & DM_SUSPEND_FLAG)
		print_event(m, w, after & DM_SUSPEND_FLAG ? "suspended" : "resumed");
	if (event)
		stop_waiting(w);	/* its number is of the past */
}

/* false when ndmd is gone */
static bool look(struct monitor *m)
{
	struct device_list list;
	size_t i;

	if (!device_list_read(m->client, &list))
		return false;
	for (i = 0; i < m->n; i++)
		m->list[i].present = false;
	for (i = 0; i < list.n; i++) {
		struct task *task = task_new(m->client, TASK_INFO);
		struct watched *w = find(m, list.devs[i]);
		bool new = !w;

		task_set_device(task, major(list.devs[i]), minor(list.devs[i]));
		if (task_run(task) && !task->error) {
			if (new)
				w = add(m, list.devs[i], task->dmi->name);
			if (w) {
				w->present = true;
				compare(m, w, task->dmi, new);
				start_waiting(m, w);
			}
		}
		task_free(task);
	}
	device_list_free(&list);
	for (i = m->n; i-- > 0; ) {
		struct watched *w = &m->list[i];

		if (w->present)
			continue;
		print_event(m, w, "removed");
		stop_waiting(w);
		free(w->name);
		memmove(w, w + 1, (--m->n - i) * sizeof(*w));
	}
	m->first = false;
	return true;
}

/* Until something happens or it is time to look again. */
static void pause_until_event(struct monitor *m)
{
	struct pollfd *fds = calloc(m->n + 1, sizeof(*fds));
	size_t i;

	for (i = 0; fds && i < m->n; i++)
		fds[i] = (struct pollfd){ .fd = m->list[i].wait.fd, .events = POLLIN };
	if (fds && poll(fds, m->n, INTERVAL_MS) > 0)
		for (i = 0; i < m->n; i++)
			if (fds[i].revents)
				stop_waiting(&m->list[i]);	/* look() finds out why */
	free(fds);
}

int monitor_main(struct client *client, int argc, char **argv)
{
	struct monitor m = { .client = client, .first = true };
	size_t i;

	for (i = 1; i < (size_t)argc; i++) {
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json")) {
			m.json = true;
		} else {
			say("Usage: ndm monitor [-j]");
			return 1;
		}
	}
	while (look(&m) && !ferror(stdout))
		pause_until_event(&m);
	for (i = 0; i < m.n; i++) {
		stop_waiting(&m.list[i]);
		free(m.list[i].name);
	}
	free(m.list);
	return 1;
}
