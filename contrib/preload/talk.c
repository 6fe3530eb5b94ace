/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * talk.c - frames to and from ndmd (include/ndm-control.h).
 *
 * Every function here may wait for the server.  Only DM_DEV_WAIT may wait for long; it gets a
 * connection of its own, so that other threads' commands on the same descriptor go on, and a
 * signal ends it as it would end the ioctl.
 */
#define _GNU_SOURCE
#include "preload.h"

#include "ndm-control.h"
#include "ndm-exchange.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static int socket_path(char *path, size_t size_bytes)
{
	const char *given = getenv("NDM_CONTROL");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (given && *given)
		n = snprintf(path, size_bytes, "%s", given);
	else if (!geteuid() || !runtime || !*runtime)
		n = snprintf(path, size_bytes, "/run/ndm/control");
	else
		n = snprintf(path, size_bytes, "%s/ndm/control", runtime);
	return n < 0 || (size_t)n >= size_bytes ? -ENAMETOOLONG : 0;
}

int talk_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, err;

	err = socket_path(sun.sun_path, sizeof(sun.sun_path));
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		if (errno == EINTR)
			continue;
		err = -errno;
		shutdown(fd, SHUT_RDWR);
		close(fd);
		return err;
	}
	return fd;
}

/* One command and its answer.  The result is the server's errno, negative, or ours. */
int talk_frame(int fd, uint32_t command, const void *body, uint32_t length_bytes, void **answer,
	       uint32_t *answer_bytes)
{
	struct ndm_ctl_request request = { .command = command, .length = length_bytes };
	struct ndm_ctl_answer head;
	int err;

	*answer = NULL;
	*answer_bytes = 0;
	err = ndm_send_all(fd, &request, sizeof(request));
	if (!err)
		err = ndm_send_all(fd, body, length_bytes);
	/* an event that DM_DEV_ARM_POLL asked for has woken poll(2), and is no answer */
	do {
		if (!err)
			err = ndm_receive_all(fd, &head, sizeof(head),
					  command == _IOC_NR(DM_DEV_WAIT));
	} while (!err && head.error == NDM_CTL_EVENT && !head.length);
	if (err)
		return err;
	if (head.length > NDM_CTL_MAX_LENGTH || head.error > 4095)
		return -EPROTO;
	*answer = malloc(head.length + 1);
	if (!*answer)
		return -ENOMEM;
	err = ndm_receive_all(fd, *answer, head.length, 0);
	if (err) {
		free(*answer);
		*answer = NULL;
		return err;
	}
	((char *)*answer)[head.length] = '\0';
	*answer_bytes = head.length;
	return -(int)head.error;
}

static int is_worth_a_reason(unsigned command)
{
	const char *quiet = getenv("NDM_PRELOAD_QUIET");

	if (quiet && *quiet && strcmp(quiet, "0"))
		return 0;
	return command == DM_TABLE_LOAD || command == DM_DEV_SUSPEND || command == DM_TARGET_MSG;
}

/* The program knows only errno; what the server can say in words goes to standard error. */
static void print_reason(int fd)
{
	void *text;
	uint32_t length_bytes;
	char *line, *end;

	if (!talk_frame(fd, NDM_CTL_REASON, "", 0, &text, &length_bytes))
		for (line = text; line && *line; line = end ? end + 1 : NULL) {
			end = strchr(line, '\n');
			if (end)
				*end = '\0';
			fprintf(stderr, "reason: %s\n", line);
		}
	free(text);
}

int talk_ioctl(int fd, unsigned command, struct dm_ioctl *dmi)
{
	int own_connection = command == DM_DEV_WAIT;
	uint32_t answer_bytes, given_bytes = dmi->data_size;
	void *answer;
	int err;

	if (given_bytes < sizeof(*dmi))
		given_bytes = sizeof(*dmi);
	if (own_connection) {
		fd = talk_connect();
		if (fd < 0)
			return fd;
	} else {
		pthread_mutex_lock(&one_at_a_time);
	}
	err = talk_frame(fd, _IOC_NR(command), dmi, given_bytes, &answer, &answer_bytes);
	if (!err && answer) {
		memcpy(dmi, answer, answer_bytes < given_bytes ? answer_bytes : given_bytes);
		dmi->data_size = answer_bytes < given_bytes ? answer_bytes : given_bytes;
		/* No udev will ever see an event of ours: nobody may wait for one. */
		dmi->flags &= ~DM_UEVENT_GENERATED_FLAG;
	} else if (answer && is_worth_a_reason(command)) {
		print_reason(fd);
	}
	free(answer);
	if (own_connection)
		close(fd);
	else
		pthread_mutex_unlock(&one_at_a_time);
	return err;
}

/* A command of ndmd's own on a connection of its own; *answer is to be freed. */
int talk_own(uint32_t command, const char *text, char **answer)
{
	uint32_t length_bytes;
	void *reply;
	int fd = talk_connect(), err;

	*answer = NULL;
	if (fd < 0)
		return fd;
	err = talk_frame(fd, command, text, (uint32_t)strlen(text), &reply, &length_bytes);
	close(fd);
	if (err)
		free(reply);
	else
		*answer = reply;
	return err;
}

/* The device that a path or number means; dmi has room for its head only. */
int talk_status(const struct spot *spot, struct dm_ioctl *dmi)
{
	int fd = talk_connect(), err;

	if (fd < 0)
		return fd;
	memset(dmi, 0, sizeof(*dmi));
	dmi->version[0] = DM_VERSION_MAJOR;
	dmi->data_size = sizeof(*dmi);
	dmi->data_start = sizeof(*dmi);
	if (spot->name[0])
		strcpy(dmi->name, spot->name);
	else
		dmi->dev = makedev(spot->major, spot->minor);
	err = talk_ioctl(fd, DM_DEV_STATUS, dmi);
	close(fd);
	return err;
}

/* Read ahead in sectors; -ENOENT for a device that never had a table. */
int talk_read_ahead(const struct spot *spot, const unsigned *set, unsigned *sectors)
{
	char text[DM_NAME_LEN + 16], *answer;
	struct dm_ioctl dmi;
	int err;

	err = talk_status(spot, &dmi);
	if (err)
		return err;
	if (set)
		snprintf(text, sizeof(text), "%s %u", dmi.name, *set);
	else
		snprintf(text, sizeof(text), "%s", dmi.name);
	err = talk_own(NDM_CTL_READ_AHEAD, text, &answer);
	if (!err)
		*sectors = (unsigned)strtoul(answer, NULL, 10);
	free(answer);
	return err;
}

/* Size in sectors, the sum of the live table's lines. */
uint64_t talk_size(const struct spot *spot)
{
	enum { ROOM = 1 << 20 };
	struct dm_ioctl *dmi = calloc(1, ROOM);
	uint64_t nr = 0;
	uint32_t i, at;
	int fd = talk_connect();

	if (!dmi || fd < 0)
		goto out;
	dmi->version[0] = DM_VERSION_MAJOR;
	dmi->data_size = ROOM;
	dmi->data_start = sizeof(*dmi);
	dmi->flags = DM_STATUS_TABLE_FLAG;
	if (spot->name[0])
		strcpy(dmi->name, spot->name);
	else
		dmi->dev = makedev(spot->major, spot->minor);
	if (talk_ioctl(fd, DM_TABLE_STATUS, dmi) || dmi->flags & DM_BUFFER_FULL_FLAG)
		goto out;
	for (i = 0, at = dmi->data_start; i < dmi->target_count; i++) {
		struct dm_target_spec spec;

		if (at > dmi->data_size || dmi->data_size - at < sizeof(spec))
			break;
		memcpy(&spec, (char *)dmi + at, sizeof(spec));
		nr += spec.length;
		at = dmi->data_start + spec.next;
	}
out:
	if (fd >= 0)
		close(fd);
	free(dmi);
	return nr;
}
