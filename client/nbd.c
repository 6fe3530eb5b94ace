/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd.c - fixed newstyle handshake with NBD_OPT_GO, simple replies.
 */
#include "client.h"
#include "nbd.h"

#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAGIC_SERVER	0x4e42444d41474943ull	/* NBDMAGIC */
#define MAGIC_OPTION	0x49484156454f5054ull	/* IHAVEOPT */
#define MAGIC_REPLY	0x0003e889045565a9ull
#define MAGIC_REQUEST	0x25609513u
#define MAGIC_SIMPLE	0x67446698u
#define OPT_GO		7
#define REP_ACK		1
#define REP_INFO	3
#define REP_ERROR	0x80000000u
#define INFO_EXPORT	0
#define INFO_BLOCK_SIZE 3
#define REQUEST_BYTES	(1u << 20)
#define BLOCK_MAX	65536u

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_ZEROES };

bool nbdc_is_uri(const char *text)
{
	return !strncmp(text, "nbd:", 4) || !strncmp(text, "nbd+", 4) || !strncmp(text, "nbds", 4);
}

/* ---- the socket ---- */

static int put_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;
	ssize_t sent;

	for (; n; n -= sent, p += sent) {
		sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			sent = 0;
		else if (sent < 0)
			return -errno;
	}
	return 0;
}

static int get_all(int fd, void *bytes, size_t n)
{
	char *p = bytes;
	ssize_t got;

	for (; n; n -= got, p += got) {
		got = recv(fd, p, n, MSG_WAITALL);
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got <= 0)
			return got ? -errno : -ECONNRESET;
	}
	return 0;
}

static int dial_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int dial_tcp(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	int fd = -1, err = -EHOSTUNREACH;

	if (getaddrinfo(host, port, &hints, &list))
		return -EHOSTUNREACH;
	for (a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			err = -errno;
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd < 0 ? err : fd;
}

/* ---- URIs ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void unescape(char *text)
{
	char *out = text;

	for (; *text; text++)
		if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
			*out++ = hex(text[1]) << 4 | hex(text[2]);
			text += 2;
		} else {
			*out++ = *text;
		}
	*out = '\0';
}

static int dial(char *uri, const char **name)
{
	char *path, *query, *socket, *port, *host;

	query = strchr(uri, '?');
	if (query)
		*query++ = '\0';
	host = strstr(uri, "://");
	if (!host)
		return -EINVAL;
	host += 3;
	path = strchr(host, '/');
	if (path)
		*path++ = '\0';
	*name = path ? path : "";
	if (path)
		unescape(path);
	if (!strncmp(uri, "nbd+unix:", 9)) {
		socket = query ? strstr(query, "socket=") : NULL;
		if (!socket)
			return -EINVAL;
		socket += 7;
		socket[strcspn(socket, "&")] = '\0';
		unescape(socket);
		return dial_unix(socket);
	}
	if (strncmp(uri, "nbd:", 4))
		return -EPROTONOSUPPORT;	/* nbds: no TLS here */
	if (*host == '[') {
		host++;
		port = strchr(host, ']');
		if (!port)
			return -EINVAL;
		*port++ = '\0';
		port = *port == ':' ? port + 1 : NULL;
	} else {
		port = strchr(host, ':');
		if (port)
			*port++ = '\0';
	}
	return dial_tcp(host, port ? port : "10809");
}

/* ---- handshake ---- */

static int option_go(int fd, const char *name)
{
	uint32_t n = strlen(name), body = 4 + n + 2 + 2, words[2] = { htobe32(OPT_GO), htobe32(body) };
	uint64_t magic = htobe64(MAGIC_OPTION);
	uint32_t name_bytes = htobe32(n);
	uint16_t infos[2] = { htobe16(1), htobe16(INFO_BLOCK_SIZE) };
	int err = put_all(fd, &magic, sizeof(magic));

	err = err ? err : put_all(fd, words, sizeof(words));
	err = err ? err : put_all(fd, &name_bytes, sizeof(name_bytes));
	err = err ? err : put_all(fd, name, n);
	return err ? err : put_all(fd, infos, sizeof(infos));
}

static void take_info(struct nbd *nbd, const unsigned char *body, uint32_t n)
{
	uint16_t flags;

	if (n >= 12 && !body[0] && body[1] == INFO_EXPORT) {
		memcpy(&nbd->bytes, body + 2, 8);
		nbd->bytes = be64toh(nbd->bytes);
		flags = body[10] << 8 | body[11];
		nbd->read_only = flags & 2;
		nbd->flush = flags & 4;
		nbd->zeroes = flags & 64;
	} else if (n >= 14 && !body[0] && body[1] == INFO_BLOCK_SIZE) {
		memcpy(&nbd->block_bytes, body + 2, 4);
		nbd->block_bytes = be32toh(nbd->block_bytes);
	}
}

/* replies to the option, up to the last */
static int option_replies(struct nbd *nbd)
{
	struct { uint64_t magic; uint32_t option, type, bytes; } __attribute__((packed)) reply;
	unsigned char body[4096];
	uint32_t n, type;
	int err;

	for (;;) {
		err = get_all(nbd->fd, &reply, sizeof(reply));
		if (err)
			return err;
		n = be32toh(reply.bytes);
		type = be32toh(reply.type);
		if (be64toh(reply.magic) != MAGIC_REPLY || n > sizeof(body))
			return -EPROTO;
		err = get_all(nbd->fd, body, n);
		if (err)
			return err;
		if (type == REP_ACK)
			return 0;
		if (type & REP_ERROR)
			return -ENOENT;
		if (type == REP_INFO)
			take_info(nbd, body, n);
	}
}

static int greet(struct nbd *nbd, const char *name)
{
	struct { uint64_t magic, option; uint16_t flags; } __attribute__((packed)) hello;
	uint32_t flags;
	int err = get_all(nbd->fd, &hello, sizeof(hello));

	if (err)
		return err;
	if (be64toh(hello.magic) != MAGIC_SERVER || be64toh(hello.option) != MAGIC_OPTION)
		return -EPROTO;
	flags = htobe32(be16toh(hello.flags) & 3);
	err = put_all(nbd->fd, &flags, sizeof(flags));
	err = err ? err : option_go(nbd->fd, name);
	return err ? err : option_replies(nbd);
}

int nbdc_connect(struct nbd *nbd, const char *uri)
{
	char *copy = strdup(uri);
	const char *name = "";
	int err;

	*nbd = (struct nbd){ .fd = -1, .block_bytes = 1 };
	nbd->fd = copy ? dial(copy, &name) : -ENOMEM;
	err = nbd->fd < 0 ? nbd->fd : greet(nbd, name);
	if (!err && (!nbd->block_bytes || nbd->block_bytes & (nbd->block_bytes - 1) ||
		     nbd->block_bytes > BLOCK_MAX))
		err = -EPROTO;
	if (err) {
		say("Cannot reach %s: %s", uri, strerror(-err));
		nbdc_close(nbd);
	}
	free(copy);
	return err;
}

/* ---- requests ---- */

static int request(struct nbd *nbd, uint16_t command, uint64_t offset, uint32_t bytes,
		   const void *out, void *in)
{
	struct { uint32_t magic; uint16_t flags, type; uint64_t cookie, offset; uint32_t bytes; }
		__attribute__((packed)) head = {
			htobe32(MAGIC_REQUEST), 0, htobe16(command), ++nbd->cookie, htobe64(offset),
			htobe32(bytes) };
	struct { uint32_t magic, error; uint64_t cookie; } __attribute__((packed)) reply;
	int err = put_all(nbd->fd, &head, sizeof(head));

	if (out)
		err = err ? err : put_all(nbd->fd, out, bytes);
	err = err ? err : get_all(nbd->fd, &reply, sizeof(reply));
	if (err)
		return err;
	if (be32toh(reply.magic) != MAGIC_SIMPLE || reply.cookie != nbd->cookie)
		return -EPROTO;
	if (reply.error)
		return -(int)be32toh(reply.error);	/* NBD's numbers are Linux's */
	return in ? get_all(nbd->fd, in, bytes) : 0;
}

void nbdc_close(struct nbd *nbd)
{
	struct { uint32_t magic; uint16_t flags, type; uint64_t cookie, offset; uint32_t bytes; }
		__attribute__((packed)) head = { htobe32(MAGIC_REQUEST), 0, htobe16(CMD_DISC), 0, 0, 0 };

	if (nbd->fd >= 0) {
		put_all(nbd->fd, &head, sizeof(head));
		close(nbd->fd);
	}
	nbd->fd = -1;
}

/* One request's worth of whole blocks, around what is wanted. */
static int piece(struct nbd *nbd, uint64_t offset, size_t bytes, uint64_t *first, uint32_t *whole)
{
	uint64_t mask = nbd->block_bytes - 1;

	if (offset > nbd->bytes || bytes > nbd->bytes - offset)
		return -EINVAL;
	*first = offset & ~mask;
	*whole = ((offset + bytes + mask) & ~mask) - *first;
	return 0;
}

int nbdc_read(struct nbd *nbd, uint64_t offset, void *buf, size_t bytes)
{
	unsigned char *whole = malloc(REQUEST_BYTES + 2 * BLOCK_MAX);
	uint64_t first;
	uint32_t n;
	size_t now;
	int err = whole ? 0 : -ENOMEM;

	for (; bytes && !err; bytes -= now, offset += now, buf = (char *)buf + now) {
		now = bytes < REQUEST_BYTES ? bytes : REQUEST_BYTES;
		err = piece(nbd, offset, now, &first, &n);
		err = err ? err : request(nbd, CMD_READ, first, n, NULL, whole);
		if (!err)
			memcpy(buf, whole + (offset - first), now);
	}
	if (whole)
		explicit_bzero(whole, REQUEST_BYTES + 2 * BLOCK_MAX);
	free(whole);
	return err;
}

int nbdc_write(struct nbd *nbd, uint64_t offset, const void *buf, size_t bytes)
{
	unsigned char *whole = malloc(REQUEST_BYTES + 2 * BLOCK_MAX);
	uint64_t first;
	uint32_t n;
	size_t now;
	int err = whole ? 0 : -ENOMEM;

	for (; bytes && !err; bytes -= now, offset += now, buf = (const char *)buf + now) {
		now = bytes < REQUEST_BYTES ? bytes : REQUEST_BYTES;
		err = piece(nbd, offset, now, &first, &n);
		if (!err && n != now)
			err = request(nbd, CMD_READ, first, n, NULL, whole);
		if (!err) {
			memcpy(whole + (offset - first), buf, now);
			err = request(nbd, CMD_WRITE, first, n, whole, NULL);
		}
	}
	if (whole)
		explicit_bzero(whole, REQUEST_BYTES + 2 * BLOCK_MAX);
	free(whole);
	return err;
}

int nbdc_write_zeroes(struct nbd *nbd, uint64_t offset, uint64_t bytes)
{
	const uint32_t most = 32u << 20;
	uint32_t now;
	int err = nbd->zeroes ? 0 : -EOPNOTSUPP;

	for (; bytes && !err; bytes -= now, offset += now) {
		now = bytes < most ? bytes : most;
		err = request(nbd, CMD_ZEROES, offset, now, NULL, NULL);
	}
	return err;
}

int nbdc_flush(struct nbd *nbd)
{
	return nbd->flush ? request(nbd, CMD_FLUSH, 0, 0, NULL, NULL) : 0;
}
