/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * certificates.c - whom to trust: the certificates (*.crt, PEM) of a folder, or of those that
 * systemd reads for signed images, /etc/verity.d, /run/verity.d and /usr/lib/verity.d.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"

struct gathered { char *to; size_t n, room; };

static int file_add(struct gathered *g, const char *folder, const char *name)
{
	char path[1024];
	ssize_t n = 0;
	int fd;

	if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return 0;			/* not ours to read: not trusted */
	while (g->n < g->room && (n = read(fd, g->to + g->n, g->room - g->n)) > 0)
		g->n += n;
	close(fd);
	if (g->n == g->room)
		return -E2BIG;
	g->to[g->n++] = '\n';			/* they need not end with a line */
	return n < 0 ? -EIO : 0;
}

static int folder_add(struct gathered *g, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	const char *dot;
	int err = 0;

	while (dir && !err && (entry = readdir(dir))) {
		dot = strrchr(entry->d_name, '.');
		if (*entry->d_name != '.' && dot && !strcmp(dot, ".crt"))
			err = file_add(g, folder, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return err;
}

/* what: "verity".  How many bytes there are, or -errno; 0: nobody is trusted. */
int certificates_read(const char *what, void *to, size_t room)
{
	static const char *const folders[] = { "/etc/verity.d", "/run/verity.d", "/usr/lib/verity.d" };
	const char *chosen = getenv("NDM_VERITY_CERTIFICATES");
	struct gathered g = { .to = to, .room = room };
	unsigned i;
	int err = 0;

	if (strcmp(what, "verity"))
		return -ENOKEY;
	if (chosen)
		err = folder_add(&g, chosen);
	for (i = 0; !chosen && !err && i < sizeof folders / sizeof *folders; i++)
		err = folder_add(&g, folders[i]);
	return err ? err : (int)g.n;
}
