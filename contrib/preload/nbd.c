/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd.c - just enough of NBD for a program that opens /dev/mapper/NAME and reads and writes it:
 * fixed newstyle handshake, simple replies, one request at a time.  The connection is the
 * descriptor that the program gets, so the server counts an opener for as long as it is open.
 */
#define _GNU_SOURCE
#include "preload.h"

#include "ndm-control.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define MAGIC_SERVER UINT64_C(0x4e42444d41474943)	/* "NBDMAGIC" */
#define MAGIC_OPTION UINT64_C(0x49484156454f5054)	/* "IHAVEOPT" */
#define MAGIC_OPTION_REPLY UINT64_C(0x3e889045565a9)
#define MAGIC_REQUEST 0x25609513u
#define MAGIC_REPLY 0x67446698u
#define FLAGS_CLIENT 3u			/* fixed newstyle, no zeroes */
#define OPTION_GO 7u
#define REPLY_ACK 1u
#define REPLY_INFO 3u
#define CHUNK_MAX (1u << 20)		/* bytes a request */

struct option_head {
	uint64_t magic;
	uint32_t option, length;
} __attribute__((packed));

struct option_reply {
	uint64_t magic;
	uint32_t option, type, length;
} __attribute__((packed));

struct request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t cookie, offset;
	uint32_t length;
} __attribute__((packed));

struct reply {
	uint32_t magic, error;
	uint64_t cookie;
} __attribute__((packed));

_Static_assert(sizeof(struct option_head) == 16 && sizeof(struct option_reply) == 20 &&
	       sizeof(struct request) == 28 && sizeof(struct reply) == 16, "wire format");

static int put(int fd, const void *data, size_t length_bytes)
{
	const char *p = data;

	while (length_bytes) {
		ssize_t n = send(fd, p, length_bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		p += n;
		length_bytes -= (size_t)n;
	}
	return 0;
}

static int get(int fd, void *data, size_t length_bytes)
{
	char *p = data;

	while (length_bytes) {
		ssize_t n = recv(fd, p, length_bytes, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		p += n;
		length_bytes -= (size_t)n;
	}
	return 0;
}

/* The path of a unix socket that ndmd serves NBD on; %XX of the URI undone. */
static int server_path(char *path, size_t room)
{
	char *uris, *at;
	size_t n = 0;
	int err = talk_own(NDM_CTL_LISTENERS, "", &uris);

	if (err)
		return err;
	at = strstr(uris, "nbd+unix://");
	at = at ? strstr(at, "?socket=") : NULL;
	at = at ? at + 8 : uris + strlen(uris);
	for (; *at && !strchr("&\n", *at) && n + 1 < room; at++) {
		unsigned code;

		if (*at == '%' && sscanf(at + 1, "%2x", &code) == 1) {
			path[n++] = (char)code;
			at += 2;
		} else {
			path[n++] = *at;
		}
	}
	path[n] = '\0';
	free(uris);
	return n ? 0 : -ENOENT;
}

/* The name under which a device is exported, into `name`. */
static int export_name(const char *device, char *name, size_t room)
{
	char *list, *line, *next, *tab;
	int err = talk_own(NDM_CTL_EXPORTS, "", &list);

	if (err)
		return err;
	err = -ENOENT;
	for (line = list; err && line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		tab = strchr(line, '\t');
		if (!tab || strncmp(tab + 1, device, strlen(device)) ||
		    tab[1 + strlen(device)] != '\t')
			continue;
		*tab = '\0';
		if ((size_t)snprintf(name, room, "%s", line) < room)
			err = 0;
	}
	free(list);
	return err;
}

static int greet(int fd)
{
	struct {
		uint64_t magic, option;
		uint16_t flags;
	} __attribute__((packed)) hello;
	uint32_t flags = htobe32(FLAGS_CLIENT);

	if (get(fd, &hello, sizeof(hello)) || be64toh(hello.magic) != MAGIC_SERVER ||
	    be64toh(hello.option) != MAGIC_OPTION)
		return -EPROTO;
	return put(fd, &flags, sizeof(flags));
}

/* Asks for the export; its size in bytes and transmission flags. */
static int go(int fd, const char *name, uint64_t *bytes, unsigned *flags)
{
	uint32_t length = (uint32_t)strlen(name);
	struct option_head head = {
		htobe64(MAGIC_OPTION), htobe32(OPTION_GO), htobe32(4 + length + 2)
	};
	uint32_t name_length = htobe32(length);
	uint16_t no_infos = 0;
	char info[1024];

	if (put(fd, &head, sizeof(head)) || put(fd, &name_length, 4) || put(fd, name, length) ||
	    put(fd, &no_infos, 2))
		return -EIO;
	for (;;) {
		struct option_reply reply;
		uint32_t n;

		if (get(fd, &reply, sizeof(reply)) || be64toh(reply.magic) != MAGIC_OPTION_REPLY)
			return -EPROTO;
		n = be32toh(reply.length);
		if (n > sizeof(info) || get(fd, info, n))
			return -EPROTO;
		if (be32toh(reply.type) == REPLY_ACK)
			return 0;
		if (be32toh(reply.type) != REPLY_INFO)
			return -ENXIO;
		if (n >= 12 && !info[0] && !info[1]) {
			uint64_t size;
			uint16_t bits;

			memcpy(&size, info + 2, 8);
			memcpy(&bits, info + 10, 2);
			*bytes = be64toh(size);
			*flags = be16toh(bits);
		}
	}
}

/* A connection to the device's export, or -errno. */
int nbd_connect(const char *device, uint64_t *bytes, unsigned *flags)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char name[4096];
	int fd, err;

	err = export_name(device, name, sizeof(name));
	if (!err)
		err = server_path(sun.sun_path, sizeof(sun.sun_path));
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*bytes = 0;
	*flags = 0;
	err = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : greet(fd);
	if (!err)
		err = go(fd, name, bytes, flags);
	if (err) {
		syscall(SYS_close, fd);
		return err;
	}
	return fd;
}

/* One request of at most CHUNK_MAX bytes; 0 or -errno */
static int exchange(int fd, enum nbd_command command, uint64_t offset, uint32_t length, char *data)
{
	struct request request = {
		htobe32(MAGIC_REQUEST), 0, htobe16(command), htobe64(1), htobe64(offset),
		htobe32(length)
	};
	struct reply reply;
	int err;

	err = put(fd, &request, sizeof(request));
	if (!err && command == NBD_DO_WRITE)
		err = put(fd, data, length);
	if (!err)
		err = get(fd, &reply, sizeof(reply));
	if (err)
		return err;
	if (be32toh(reply.magic) != MAGIC_REPLY)
		return -EPROTO;
	if (reply.error)
		return -(int)be32toh(reply.error);	/* NBD's numbers are Linux's */
	return command == NBD_DO_READ ? get(fd, data, length) : 0;
}

/* Bytes done, or -errno if it was none.  Reads and writes end at the end of the device. */
ssize_t nbd_transfer(int fd, enum nbd_command command, uint64_t device_bytes, uint64_t offset,
		     size_t length_bytes, void *data)
{
	size_t done = 0;
	int err = 0;

	if (command == NBD_DO_FLUSH)
		return exchange(fd, command, 0, 0, NULL);
	if (offset >= device_bytes)
		return command == NBD_DO_READ || !length_bytes ? 0 : -ENOSPC;
	if (length_bytes > device_bytes - offset)
		length_bytes = (size_t)(device_bytes - offset);
	while (done < length_bytes && !err) {
		uint32_t n = length_bytes - done < CHUNK_MAX ? (uint32_t)(length_bytes - done) :
			CHUNK_MAX;

		err = exchange(fd, command, offset + done, n, data ? (char *)data + done : NULL);
		if (!err)
			done += n;
	}
	return done ? (ssize_t)done : err;
}
