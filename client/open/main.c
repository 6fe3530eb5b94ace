/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - `ndm open [--tree] [--passphrase-fd N] IMAGE... [--unix SOCKET]`. */
#include "open.h"

#include "client/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASSPHRASE_MAX (8u << 20)

static volatile sig_atomic_t stopped;	/* a signal handler can reach nothing else */

static const char usage[] =
"Usage: ndm open [OPTION]... IMAGE...\n"
"  --unix SOCKET          serves logical volumes, partitions and file systems there\n"
"  --tree                 only shows what is there\n"
"  --passphrase-fd N      a passphrase for LUKS, read to its end (a newline there is dropped)\n"
"  --control SOCKET       the management socket of the ndmd that serves\n"
"  --ro                   accepted: images are never written to\n";

/* ---- volumes ---- */

char *yaml_quoted(const char *text)
{
	char *out = malloc(4 * strlen(text) + 3), *p = out;

	if (!out)
		return NULL;
	*p++ = '"';
	for (; *text; text++)
		if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
			p += sprintf(p, "\\x%02x", (unsigned char)*text);
		else
			*p++ = *text;
	strcpy(p, "\"");
	return out;
}

/* table is taken over */
bool volume_add(struct open *o, const char *name, char *table, const char *export, bool writable)
{
	struct volume *more = realloc(o->volumes, (o->nvolumes + 1) * sizeof(*more));

	if (!more || !table) {
		free(table);
		say("No memory.");
		return false;
	}
	o->volumes = more;
	more[o->nvolumes] = (struct volume){ .name = strdup(name), .table = table,
					     .export = export ? strdup(export) : NULL,
					     .writable = writable };
	return more[o->nvolumes++].name;
}

static void volume_put(const struct open *o, const struct volume *v, FILE *out)
{
	char *export = v->export ? yaml_quoted(v->export) : NULL, *name = yaml_quoted(v->name);

	fprintf(out, "  %s: {read_only: %s, export: %s, %s}\n", name,
		v->writable ? "false" : "true", !o->final ? name : export ? export : "false", v->table);
	free(export);
	free(name);
}

int volumes_apply(struct open *o, char **reason)
{
	char *yaml = NULL, *answer = NULL;
	size_t bytes, i;
	FILE *out = open_memstream(&yaml, &bytes);
	int err;

	*reason = NULL;
	if (!out)
		return -ENOMEM;
	fprintf(out, "version: 1\nvolumes:\n");
	for (i = 0; i < o->nvolumes; i++)
		volume_put(o, &o->volumes[i], out);
	fclose(out);
	err = control_text(o->client, NDM_CTL_APPLY, yaml, &answer);
	if (err && o->client->fd >= 0 && control_text(o->client, NDM_CTL_REASON, "", reason))
		*reason = NULL;
	free(answer);
	free(yaml);
	return err;
}

int volume_connect(struct open *o, const char *name, struct nbd *nbd)
{
	char *uri = text_format("nbd+unix:///%s?socket=%s", name, o->own_socket);
	int err = uri ? nbdc_connect(nbd, uri) : -ENOMEM;

	free(uri);
	return err;
}

char *size_text(uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double size = bytes / 1024.0;
	unsigned i = 0;

	if (bytes < 1024)
		return text_format("%uB", (unsigned)bytes);
	for (; size >= 1024 && units[i + 1]; i++)
		size /= 1024;
	return text_format(size >= 10 || size == (unsigned)size ? "%.0f%c" : "%.1f%c", size, units[i]);
}

/* ---- the passphrase: in memory, given to ndmd as a descriptor ---- */

static int passphrase_keep(int from)
{
	int fd = memfd_create("passphrase", 0);
	char *text = malloc(PASSPHRASE_MAX);
	size_t have = 0;
	ssize_t n = 1;

	while (text && fd >= 0 && n > 0 && have < PASSPHRASE_MAX) {
		n = read(from, text + have, PASSPHRASE_MAX - have);
		have += n > 0 ? (size_t)n : 0;
	}
	if (have && text[have - 1] == '\n')
		have--;
	if (!text || fd < 0 || n < 0 || write(fd, text, have) != (ssize_t)have) {
		say("ndm open: no passphrase from descriptor %d: %s", from, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	if (text)
		explicit_bzero(text, have);
	free(text);
	return fd;
}

/* ---- images ---- */

static bool image_add(struct open *o, const char *image, size_t number, char *name, size_t room)
{
	char *path = realpath(image, NULL), *quoted = path ? yaml_quoted(path) : NULL, *table = NULL;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	off_t bytes = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
	bool ok = false;

	snprintf(name, room, "image%zu", number);
	if (bytes < 512)
		say("%s: %s", image, fd < 0 || bytes < 0 ? strerror(errno) : "it is empty");
	else
		table = text_format("linear: {length: %llus, device: {file: %s}}",
				    (unsigned long long)bytes / 512, quoted);
	if (table)
		ok = volume_add(o, name, table, NULL, false);
	if (fd >= 0)
		close(fd);
	free(quoted);
	free(path);
	return ok;
}

static int images_open(struct open *o, char **images, size_t n)
{
	char name[32], *reason;
	size_t i;
	int err;

	for (i = 0; i < n; i++)
		if (!image_add(o, images[i], i, name, sizeof(name)))
			return 1;
	err = volumes_apply(o, &reason);
	if (err) {
		say("ndm open: %s", reason && *reason ? reason : strerror(-err));
		free(reason);
		return 1;
	}
	for (i = 0; i < n && !o->status; i++) {
		const char *slash = strrchr(images[i], '/');

		snprintf(name, sizeof(name), "image%zu", i);
		layers_find(o, name, slash ? slash + 1 : images[i], 0);
	}
	if (!o->status)
		groups_open(o);
	return o->status;
}

static int serve(struct open *o, pid_t pid)
{
	char *reason;
	int err;

	o->final = true;
	err = volumes_apply(o, &reason);
	if (err)
		say("ndm open: %s", reason && *reason ? reason : strerror(-err));
	free(reason);
	printf("served: nbd+unix:///NAME?socket=%s\n", o->socket);
	fflush(stdout);
	server_wait(pid, &stopped);
	return err ? 1 : 0;
}

static int run(struct open *o, char **images, size_t n)
{
	const char *args[] = { "ndmd", "--control", o->client->control, "--unix", o->own_socket,
			       o->socket ? "--unix" : NULL, o->socket, NULL };
	pid_t pid = server_start(args);
	int status = 1;

	if (pid > 0 && server_ready(o->client, pid, &stopped)) {
		status = images_open(o, images, n);
		fflush(stdout);
		if (!status && !o->tree_only)
			status = serve(o, pid);
	} else if (!stopped) {
		say("No ndmd could be started.");
	}
	if (pid > 0) {
		kill(pid, SIGTERM);
		waitpid(pid, NULL, 0);
	}
	return status;
}

/* ---- options ---- */

static void on_signal(int number)
{
	if (number != SIGCHLD)
		stopped = 1;
}

static bool options(struct open *o, int argc, char **argv)
{
	static const struct option list[] = {
		{ "ro", no_argument, NULL, 'r' }, { "tree", no_argument, NULL, 't' },
		{ "unix", required_argument, NULL, 'u' }, { "control", required_argument, NULL, 'c' },
		{ "passphrase-fd", required_argument, NULL, 'p' }, { NULL, 0, NULL, 0 }
	};
	bool control = false;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1)
		if (option == 't') {
			o->tree_only = true;
		} else if (option == 'u') {
			o->socket = strdup(optarg);
		} else if (option == 'c') {
			free(o->client->control);
			o->client->control = strdup(optarg);
			control = true;
		} else if (option == 'p') {
			o->pass_fd = passphrase_keep(atoi(optarg));
			if (o->pass_fd < 0)
				return false;
		} else if (option != 'r') {
			return false;
		}
	if (!control) {
		free(o->client->control);
		o->client->control = text_format("%s/control", o->scratch);
	}
	o->own_socket = text_format("%s/nbd", o->scratch);
	return optind < argc && (o->tree_only || o->socket) && o->client->control && o->own_socket;
}

static void forget(struct open *o)
{
	size_t i;

	for (i = 0; i < o->nvolumes; i++) {
		free(o->volumes[i].name);
		free(o->volumes[i].table);
		free(o->volumes[i].export);
	}
	for (i = 0; i < o->npvs; i++) {
		free(o->pvs[i].volume);
		free(o->pvs[i].over);
		lvm_free(o->pvs[i].text);
	}
	free(o->volumes);
	free(o->pvs);
	free(o->socket);
	free(o->own_socket);
}

int open_main(struct client *client, int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	char scratch[] = "/tmp/ndm-open.XXXXXX", path[sizeof(scratch) + 16];
	struct open o = { .client = client, .scratch = scratch, .pass_fd = -1 };
	int status = 1;

	if (!mkdtemp(scratch)) {
		say("%s: %s", scratch, strerror(errno));
		return 1;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGCHLD, &action, NULL);
	if (options(&o, argc, argv))
		status = run(&o, argv + optind, argc - optind);
	else
		fputs(usage, stderr);
	snprintf(path, sizeof(path), "%s/nbd", scratch);
	unlink(path);
	snprintf(path, sizeof(path), "%s/control", scratch);
	unlink(path);
	snprintf(path, sizeof(path), "%s/control.lock", scratch);
	unlink(path);
	rmdir(scratch);
	forget(&o);
	return status;
}
