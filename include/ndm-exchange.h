/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-exchange.h - all of a piece of memory over a blocking socket.  Not installed: it is here
 * because ndmd, its clients and the preload library may have nothing else in common.
 */
#ifndef NDM_EXCHANGE_H
#define NDM_EXCHANGE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* 0 or -errno; -ETIMEDOUT where the socket has a time limit. */
static inline int ndm_send_all(int fd, const void *bytes, size_t n)
{
	const char *p = (const char *)bytes;
	ssize_t put;

	while (n) {
		put = send(fd, p, n, MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

/* The same; -ECONNRESET at the end of the stream.  may_break: by a signal before the first byte. */
static inline int ndm_receive_all(int fd, void *bytes, size_t n, bool may_break)
{
	char *p = (char *)bytes;
	ssize_t got;

	while (n) {
		got = recv(fd, p, n, 0);
		if (got < 0 && errno == EINTR && !(may_break && p == (char *)bytes))
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!got)
			return -ECONNRESET;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

#endif
