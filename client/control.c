/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - the connection to ndmd (include/ndm-control.h).
 *
 * A command waits as long as ndmd takes; only DM_DEV_WAIT takes long, and a signal ends it.
 */
#include "client.h"

#include <errno.h>
#include <ndm-control.h>
#include <ndm-exchange.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int client_init(struct client *client, const char *program)
{
	const char *given = getenv("NDM_CONTROL");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *mode = getenv("DM_DEFAULT_NAME_MANGLING_MODE");

	memset(client, 0, sizeof(*client));
	client->program = program;
	client->fd = -1;
	client->mangling = MANGLE_AUTO;
	if (mode && !strcasecmp(mode, "none"))
		client->mangling = MANGLE_NONE;
	else if (mode && !strcasecmp(mode, "hex"))
		client->mangling = MANGLE_HEX;
	if (given && *given)
		client->control = strdup(given);
	else if (!geteuid() || !runtime || !*runtime)
		client->control = strdup("/run/ndm/control");
	else
		client->control = text_format("%s/ndm/control", runtime);
	return client->control ? 0 : -ENOMEM;
}

void client_exit(struct client *client)
{
	size_t i;

	if (client->fd >= 0)
		close(client->fd);
	for (i = 0; i < client->nr_backings; i++)
		free(client->backings[i].name);
	free(client->backings);
	free(client->control);
}

/* Connects; says why not. */
int control_open(struct client *client)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, err;

	if (client->fd >= 0)
		return 0;
	if (strlen(client->control) >= sizeof(sun.sun_path)) {
		say("The path of the control socket is too long: %s", client->control);
		return -ENAMETOOLONG;
	}
	strcpy(sun.sun_path, client->control);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = -errno;
		say("No socket: %s", strerror(-err));
		return err;
	}
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		err = -errno;
		close(fd);
		say("Cannot reach ndmd at %s: %s", client->control, strerror(-err));
		return err;
	}
	client->fd = fd;
	return 0;
}

/* After a broken exchange the next answer would be another command's: start anew. */
static int broken(struct client *client, int err)
{
	close(client->fd);
	client->fd = -1;
	if (err != -EINTR)
		say("The connection to ndmd at %s broke: %s", client->control, strerror(-err));
	return err;
}

int control_call(struct client *client, uint32_t command, const void *body, size_t body_bytes,
		 char **answer, size_t *answer_bytes)
{
	struct ndm_ctl_request request = { .command = command, .length = (uint32_t)body_bytes };
	struct ndm_ctl_answer head;
	int err;

	*answer = NULL;
	*answer_bytes = 0;
	if (body_bytes > NDM_CTL_MAX_LENGTH)
		return -EMSGSIZE;
	err = control_open(client);
	if (err)
		return err;
	err = ndm_send_all(client->fd, &request, sizeof(request));
	if (!err)
		err = ndm_send_all(client->fd, body, body_bytes);
	if (!err)
		err = ndm_receive_all(client->fd, &head, sizeof(head),
				  command == _IOC_NR(DM_DEV_WAIT));
	if (!err && (head.length > NDM_CTL_MAX_LENGTH || head.error > 4095))
		err = -EPROTO;
	if (err)
		return broken(client, err);
	*answer = malloc((size_t)head.length + 1);
	if (!*answer)
		return broken(client, -ENOMEM);
	err = ndm_receive_all(client->fd, *answer, head.length, false);
	if (err) {
		free(*answer);
		*answer = NULL;
		return broken(client, err);
	}
	(*answer)[head.length] = '\0';
	*answer_bytes = head.length;
	return -(int)head.error;
}

int control_text(struct client *client, uint32_t command, const char *text, char **answer)
{
	size_t length_bytes;

	return control_call(client, command, text, strlen(text), answer, &length_bytes);
}

/* What ndmd can say about the command that just failed on this connection. */
void control_print_reason(struct client *client)
{
	char *text, *line, *rest;

	if (client->fd < 0)
		return;
	if (!control_text(client, NDM_CTL_REASON, "", &text)) {
		rest = text;
		while ((line = strsep(&rest, "\n")))
			if (*line)
				say("reason: %s", line);
	}
	free(text);
}

static void read_backings(struct client *client)
{
	char *text, *line, *rest;
	unsigned major, minor;
	int n;

	client->backings_known = true;
	if (control_text(client, NDM_CTL_BACKINGS, "", &text)) {
		free(text);
		return;
	}
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		struct backing *more;

		n = 0;
		if (sscanf(line, "%u:%u%n", &major, &minor, &n) < 2 || line[n] != '\t')
			continue;
		more = realloc(client->backings, (client->nr_backings + 1) * sizeof(*more));
		if (!more)
			break;
		client->backings = more;
		more += client->nr_backings;
		more->major = major;
		more->minor = minor;
		more->name = strdup(line + n + 1);
		if (!more->name)
			break;
		client->nr_backings++;
	}
	free(text);
}

/* The text that a device which is not ours was named by in a table; NULL if unknown. */
const char *control_backing_name(struct client *client, unsigned major, unsigned minor)
{
	size_t i;

	if (!client->backings_known)
		read_backings(client);
	for (i = 0; i < client->nr_backings; i++)
		if (client->backings[i].major == major && client->backings[i].minor == minor)
			return client->backings[i].name;
	return NULL;
}
