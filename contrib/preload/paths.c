/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paths.c - the few files of a machine with device-mapper that its tools look at: nodes in
 * /dev/mapper, lines of /proc/devices and /proc/misc, and three attributes in sysfs.
 */
#define _GNU_SOURCE
#include "preload.h"

#include "ndm-control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MISC_MAJOR 10
#define CONTROL_MINOR 236

static const char *mapper_dir(char *buffer, size_t size_bytes)
{
	const char *dev = getenv("DM_DEV_DIR");
	size_t n;

	if (!dev || *dev != '/')
		dev = "/dev";
	n = strlen(dev);
	while (n > 1 && dev[n - 1] == '/')
		n--;
	snprintf(buffer, size_bytes, "%.*s/mapper", (int)n, dev);
	return buffer;
}

/* MAJOR:MINOR[/rest] below /sys/dev/block */
static void parse_sysfs(const char *text, struct spot *spot)
{
	static const struct {
		const char *rest;
		enum place place;
	} known[] = {
		{ "", PLACE_SYS_DEVICE },
		{ "/dm/name", PLACE_SYS_NAME },
		{ "/dm/uuid", PLACE_SYS_UUID },
		{ "/bdi/read_ahead_kb", PLACE_SYS_READ_AHEAD },
	};
	int n = 0;
	size_t i;

	if (sscanf(text, "%u:%u%n", &spot->major, &spot->minor, &n) < 2 || !n)
		return;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(text + n, known[i].rest))
			spot->place = known[i].place;
	/* Of the machine's own devices we only know what ndmd says of its backings. */
	if (spot->major != NDM_CTL_MAJOR && spot->place != PLACE_SYS_DEVICE)
		spot->place = PLACE_OTHER;
}

/*
 * /dev/VG/LV: what a link there says, where a program (lvm) has made one; or the node VG-LV, each '-'
 * of a name doubled, as udev would link it.  Folders of this machine's /dev are its own affair else.
 */
static void parse_volume(const char *path, const char *dir, struct spot *spot)
{
	const char *text = path + strlen("/dev/"), *slash = strchr(text, '/'), *p;
	char there[sizeof spot->name + 300];
	size_t n = 0;
	long bytes;

	if (!slash || slash == text || !slash[1] || strchr(slash + 1, '/') || *text == '.')
		return;
	bytes = syscall(SYS_readlinkat, AT_FDCWD, path, there, sizeof there - 1);
	if (bytes > 0) {
		there[bytes] = '\0';
		n = strlen(dir);
		if (strncmp(there, dir, n) || there[n] != '/' || strchr(there + n + 1, '/') ||
		    strlen(there + n + 1) >= sizeof spot->name)
			return;
		strcpy(spot->name, there + n + 1);
		spot->place = PLACE_NODE;
		spot->link = 1;
		return;
	}
	snprintf(there, sizeof there, "/dev/%.*s", (int)(slash - text), text);
	if (!syscall(SYS_faccessat, AT_FDCWD, there, F_OK))
		return;
	for (p = text; *p && n + 2 < sizeof spot->name; p++) {
		if (*p == '-')
			spot->name[n++] = '-';
		spot->name[n++] = p == slash ? '-' : *p;
	}
	spot->name[n] = '\0';
	spot->link = !*p;
	if (!*p)
		spot->place = PLACE_NODE;
	else
		memset(spot->name, 0, sizeof spot->name);
}

/* /dev/block/MAJOR:MINOR, one of udev's links, too */
static void parse_number(const char *text, struct spot *spot)
{
	unsigned major, minor;
	int n = 0;

	if (sscanf(text, "%u:%u%n", &major, &minor, &n) < 2 || text[n] || major != NDM_CTL_MAJOR)
		return;
	spot->place = PLACE_NODE;
	spot->major = major;
	spot->minor = minor;
}

void spot_parse(const char *path, struct spot *spot)
{
	char dir[256];
	size_t n;

	memset(spot, 0, sizeof(*spot));
	if (!path || *path != '/')
		return;
	if (!strcmp(path, "/proc/devices")) {
		spot->place = PLACE_PROC_DEVICES;
	} else if (!strcmp(path, "/proc/misc")) {
		spot->place = PLACE_PROC_MISC;
	} else if (!strncmp(path, "/sys/dev/block/", 15)) {
		parse_sysfs(path + 15, spot);
	} else if (!strncmp(path, "/dev/dm-", 8) && path[8] >= '0' && path[8] <= '9') {
		spot->place = PLACE_NODE;
		spot->major = NDM_CTL_MAJOR;
		spot->minor = (unsigned)strtoul(path + 8, NULL, 10);
	} else {
		n = strlen(mapper_dir(dir, sizeof(dir)));
		if (strncmp(path, dir, n)) {
			if (!strncmp(path, "/dev/block/", 11))
				parse_number(path + 11, spot);
			else if (!strncmp(path, "/dev/", 5))
				parse_volume(path, dir, spot);
			return;
		}
		path += n;
		if (*path && *path != '/')
			return;
		while (*path == '/')
			path++;
		if (!*path)
			spot->place = PLACE_DIR;
		else if (!strcmp(path, "control"))
			spot->place = PLACE_CONTROL;
		else if (!strchr(path, '/') && strlen(path) < sizeof(spot->name)) {
			spot->place = PLACE_NODE;
			strcpy(spot->name, path);
		}
	}
}

/* Returns 0 or -errno; PLACE_OTHER is never asked for. */
int spot_stat(const struct spot *spot, struct stat *st)
{
	struct dm_ioctl dmi;
	int err;

	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_blksize = 4096;
	switch (spot->place) {
	case PLACE_DIR:
		st->st_mode = S_IFDIR | 0755;
		return 0;
	case PLACE_CONTROL:
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = makedev(MISC_MAJOR, CONTROL_MINOR);
		return 0;
	case PLACE_NODE:
		err = talk_status(spot, &dmi);
		if (err)
			return err == -ENXIO ? -ENOENT : err;
		st->st_mode = S_IFBLK | 0660;
		st->st_rdev = (dev_t)dmi.dev;
		return 0;
	case PLACE_SYS_DEVICE:
		st->st_mode = S_IFDIR | 0755;
		return spot->major != NDM_CTL_MAJOR ? -ENOENT :
			talk_status(spot, &dmi) ? -ENOENT : 0;
	default:
		st->st_mode = S_IFREG | 0644;
		return 0;
	}
}

/* What a backing device is called: the last part of the text it was named by. */
static int backing_name(const struct spot *spot, char *buffer, size_t size_bytes)
{
	unsigned major, minor;
	char *answer, *line, *next;
	int err, n;

	err = talk_own(NDM_CTL_BACKINGS, "", &answer);
	if (err)
		return err;
	err = -ENOENT;
	for (line = answer; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		n = 0;
		if (sscanf(line, "%u:%u\t%n", &major, &minor, &n) < 2 || !n ||
		    major != spot->major || minor != spot->minor)
			continue;
		line += n;
		if (strrchr(line, '/'))
			line = strrchr(line, '/') + 1;
		err = snprintf(buffer, size_bytes, "../../devices/virtual/block/%s", line);
		break;
	}
	free(answer);
	return err;
}

/* Returns the length or -errno; -EINVAL is "not a link of ours". */
int spot_readlink(const struct spot *spot, char *buffer, size_t length_bytes)
{
	char text[512];
	struct dm_ioctl dmi;
	int n;

	if (spot->place != PLACE_SYS_DEVICE)
		return -EINVAL;
	if (spot->major == NDM_CTL_MAJOR) {
		if (talk_status(spot, &dmi))
			return -ENOENT;
		n = snprintf(text, sizeof(text), "../../devices/virtual/block/dm-%u", spot->minor);
	} else {
		n = backing_name(spot, text, sizeof(text));
	}
	if (n < 0)
		return n;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	if ((size_t)n > length_bytes)
		n = (int)length_bytes;
	memcpy(buffer, text, (size_t)n);
	return n;
}

/* A file of /proc without its device-mapper lines and with ours after the line `after`. */
static char *proc_file(const char *path, const char *after, const char *ours)
{
	char *text = NULL, *line = NULL;
	size_t text_bytes = 0, line_bytes = 0;
	int done = 0, fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r"), *out = open_memstream(&text, &text_bytes);

	if (!out) {
		if (in)
			fclose(in);
		return NULL;
	}
	while (in && getline(&line, &line_bytes, in) > 0) {
		if (!strstr(line, " device-mapper"))
			fputs(line, out);
		if (after && !strcmp(line, after)) {
			fputs(ours, out);
			done = 1;
		}
	}
	if (!done)
		fprintf(out, "%s%s", after ? after : "", ours);
	if (in)
		fclose(in);
	free(line);
	fclose(out);
	return text;
}

/* The whole text of one of our files, to be freed; NULL and errno. */
char *spot_content(const struct spot *spot)
{
	char *text = NULL;
	struct dm_ioctl dmi;
	unsigned sectors;
	int err;

	switch (spot->place) {
	case PLACE_PROC_DEVICES:
		return proc_file("/proc/devices", "Block devices:\n", "253 device-mapper\n");
	case PLACE_PROC_MISC:
		return proc_file("/proc/misc", NULL, "236 device-mapper\n");
	case PLACE_SYS_NAME:
	case PLACE_SYS_UUID:
		err = talk_status(spot, &dmi);
		if (!err)
			err = asprintf(&text, "%s\n", spot->place == PLACE_SYS_NAME ?
				       dmi.name : dmi.uuid) < 0 ? -ENOMEM : 0;
		break;
	case PLACE_SYS_READ_AHEAD:
		err = talk_read_ahead(spot, NULL, &sectors);
		if (!err)
			err = asprintf(&text, "%u\n", sectors / 2) < 0 ? -ENOMEM : 0;
		break;
	default:
		err = -EINVAL;
	}
	if (!err)
		return text;
	errno = err == -ENXIO ? ENOENT : -err;
	return NULL;
}

/* All names, each with its NUL, an empty one last; to be freed.  NULL and errno. */
char *spot_names(void)
{
	uint32_t room = 16 << 10, at;
	struct dm_ioctl *dmi = NULL;
	char *names = NULL, *out;
	int fd = talk_connect(), err = fd < 0 ? fd : 0;

	for (; !err; room *= 2) {
		free(dmi);
		dmi = calloc(1, room);
		if (!dmi)
			err = -ENOMEM;
		if (err)
			break;
		dmi->version[0] = DM_VERSION_MAJOR;
		dmi->data_size = room;
		dmi->data_start = sizeof(*dmi);
		err = talk_ioctl(fd, DM_LIST_DEVICES, dmi);
		if (!err && !(dmi->flags & DM_BUFFER_FULL_FLAG))
			break;
	}
	if (!err)
		names = out = calloc(1, room);
	for (at = err ? 0 : dmi->data_start; names && at; ) {
		struct dm_name_list *item = (void *)((char *)dmi + at);

		if (at + offsetof(struct dm_name_list, name) >= dmi->data_size || !item->dev)
			break;
		out = stpcpy(out, item->name) + 1;
		at = item->next ? at + item->next : 0;
	}
	if (fd >= 0)
		close(fd);
	free(dmi);
	if (!names)
		errno = err ? -err : ENOMEM;
	return names;
}
