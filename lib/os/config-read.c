/* SPDX-License-Identifier: BSD-2-Clause */
/* config-read.c - a volume definition, from its file. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "os.h"

#define CONFIG_BYTES_MAX (16u << 20)
#define ROOM_BYTES 65536u

static int read_all(int fd, char **text, size_t *bytes)
{
	size_t room = 0;
	ssize_t n = 1;
	char *more;

	while (n > 0) {
		if (*bytes == room) {
			room = room ? 2 * room : ROOM_BYTES;
			more = room > CONFIG_BYTES_MAX ? NULL : realloc(*text, room);
			if (!more)
				return room > CONFIG_BYTES_MAX ? -EFBIG : -ENOMEM;
			*text = more;
		}
		n = read(fd, *text + *bytes, room - *bytes);
		if (n < 0)
			return -errno;
		*bytes += (size_t)n;
	}
	return 0;
}

int ndm_config_read(const char *path, struct ndm_config **config, struct ndm_str *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;
	char *text = NULL;
	size_t bytes = 0;

	if (!err)
		err = read_all(fd, &text, &bytes);
	if (err)
		ndm_printf(why, "%s: %s", path, strerror(-err));
	else
		err = ndm_config_parse(path, text, bytes, config, why);
	if (fd >= 0)
		close(fd);
	free(text);
	return err;
}
