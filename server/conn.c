/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.c - the life of a connection, and its socket.  See conn.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "look.h"
#include "ndmd.h"
#include "tls.h"

#define SEND_BUFFER_BYTES (2 << 20)

/* ---- log ---- */

static void conn_vlog(struct conn *c, enum ndm_level level, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof text, fmt, ap);
	log_line(&c->worker->ndmd->log, level, "client %llu (%s%s%s): %s",
		 (unsigned long long)c->number, c->who, c->export_name ? ", export " : "",
		 c->export_name ? c->export_name : "", text);
}

void conn_log(struct conn *c, enum ndm_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > c->worker->ndmd->log.level)
		return;
	va_start(ap, fmt);
	conn_vlog(c, level, fmt, ap);
	va_end(ap);
}

void conn_drop(struct conn *c, const char *fmt, ...)
{
	va_list ap;

	if (!c->closing) {
		va_start(ap, fmt);
		conn_vlog(c, NDM_LOG_WARNING, fmt, ap);
		va_end(ap);
	}
	conn_close(c);
}

/* ---- events ---- */

static void conn_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	look_heard(c);
	if (c->hs)
		handshake_ready(c);
	else
		transmit_readable(c);
}

static void conn_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	c->worker->look.seen = true;
	if (c->hs) {
		handshake_ready(c);
		return;
	}
	conn_write_off(c);
	reply_send(c);
}

void conn_read_on(struct conn *c)
{
	if (c->reading || c->closing || c->worker->parked)
		return;
	c->reading = true;
	if (event_add(&c->read_event, NULL))
		conn_kill(c);
}

void conn_read_off(struct conn *c)
{
	if (!c->reading)
		return;
	c->reading = false;
	event_del(&c->read_event);
}

void conn_write_on(struct conn *c)
{
	if (c->writing)
		return;
	c->writing = true;
	if (event_add(&c->write_event, NULL))
		conn_kill(c);
}

void conn_write_off(struct conn *c)
{
	if (!c->writing)
		return;
	c->writing = false;
	event_del(&c->write_event);
}

void conn_leave(struct conn *c)
{
	struct worker *w = c->worker;

	look_forget(c);
	conn_read_off(c);
	conn_write_off(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		w->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
}

void conn_join(struct conn *c, struct worker *w)
{
	c->worker = w;
	c->prev = NULL;
	c->next = w->conns;
	if (w->conns)
		w->conns->prev = c;
	w->conns = c;
	event_assign(&c->read_event, w->base, c->fd, EV_READ | EV_PERSIST, conn_readable, c);
	event_assign(&c->write_event, w->base, c->fd_out, EV_WRITE | EV_PERSIST, conn_writable, c);
}

/* ---- the socket ---- */

ssize_t conn_recv(struct conn *c, struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	ssize_t got;

	if (c->tls)
		return tls_recv(c->tls, iov, n);
	do {
		if (c->plain_files)
			got = readv(c->fd, iov, n);
		else if (n == 1)
			got = recv(c->fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT);
		else
			got = recvmsg(c->fd, &m, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t conn_send(struct conn *c, struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	ssize_t put;

	if (c->tls)
		return tls_send(c->tls, iov, n);
	do {
		if (c->plain_files)
			put = writev(c->fd_out, iov, n);
		else if (n == 1)
			put = send(c->fd_out, iov->iov_base, iov->iov_len,
				   MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			put = sendmsg(c->fd_out, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
}

/*
 * Large replies through a unix socket's default buffer (208 KiB) cost a change of threads for
 * each piece; TCP sizes its buffer by itself.  Done when a reply has not fitted for the first
 * time, so that only those who read much have it.
 */
bool conn_make_room(struct conn *c)
{
	int bytes = SEND_BUFFER_BYTES;

	if (!c->unix_socket || c->roomy)
		return false;
	c->roomy = true;
	return !setsockopt(c->fd_out, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) ||
	       !setsockopt(c->fd_out, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* ---- beginning ---- */

static bool is_unix(int fd)
{
	int domain = 0;
	socklen_t n = sizeof domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) && domain == AF_UNIX;
}

int conn_new(struct worker *w, int fd, int fd_out, char *who)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c)
		goto fail;
	c->fd = fd;
	c->fd_out = fd_out;
	c->who = who;
	c->number = atomic_fetch_add(&w->ndmd->next_conn, 1) + 1;
	c->plain_files = fd != fd_out;
	c->unix_socket = is_unix(fd);
	atomic_fetch_add(&w->ndmd->nconns, 1);
	conn_join(c, w);
	if (handshake_new(c)) {
		conn_kill(c);
		return -ENOMEM;
	}
	return 0;
fail:
	close(fd);
	if (fd_out != fd)
		close(fd_out);
	free(who);
	return -ENOMEM;
}

struct conn *conn_revive(struct ndmd *d, int fd, const char *who, const char *export_name)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->fd = c->fd_out = fd;
	c->who = strdup(who);
	c->export_name = export_name ? strdup(export_name) : NULL;
	if (!c->who || (export_name && !c->export_name)) {
		free(c->who);
		free(c->export_name);
		free(c);
		return NULL;
	}
	c->worker = &d->workers[0];
	c->number = atomic_fetch_add(&d->next_conn, 1) + 1;
	c->unix_socket = is_unix(fd);
	atomic_fetch_add(&d->nconns, 1);
	return c;
}

/* ---- end ---- */

void conn_check_end(struct conn *c)
{
	if (c->closing && !c->in_flight && !c->opening && !c->finished)
		worker_finished(c);
}

void conn_close(struct conn *c)
{
	struct request *partial = c->partial;

	if (!c->closing) {
		c->closing = true;
		conn_read_off(c);
		if (c->pending)
			area_put(c->pending);
		c->pending = NULL;
		c->partial = NULL;
		if (partial && !partial->piece_out)	/* else piece_done() frees it */
			request_free(partial);
	}
	conn_check_end(c);
}

void conn_kill(struct conn *c)
{
	c->dead = true;
	conn_write_off(c);
	reply_drop_all(c);
	conn_close(c);
}

static void conn_free(struct conn *c)
{
	struct ndmd *d = c->worker->ndmd;

	free(c->who);
	free(c->export_name);
	free(c->revive);
	free(c);
	ndmd_conn_gone(d);
}

static void close_task(void *arg)
{
	struct conn *c = arg;

	ndm_close(c->opener);
	conn_free(c);
}

static void close_arrived(struct ndm_msg *msg)
{
	struct conn *c = (struct conn *)((char *)msg - offsetof(struct conn, msg));

	ndm_spawn(ndm_context_loop(c->worker->ndmd->context, 0), "close", close_task, c);
}

/*
 * The device is closed by a task of the first loop.  Where that is this thread's the task
 * starts at once, before any command that the same client may send to the control socket.
 */
void conn_finish(struct conn *c)
{
	struct worker *w = c->worker;

	conn_log(c, NDM_LOG_DEBUG, "gone");
	conn_leave(c);
	if (c->hs)
		handshake_free(c);
	if (c->tls)
		tls_conn_free(c->tls, !c->dead);
	if (c->fd >= 0)				/* else another process has it */
		close(c->fd);
	if (c->fd_out != c->fd)
		close(c->fd_out);
	if (!c->opener) {
		conn_free(c);
		return;
	}
	c->msg.fn = close_arrived;
	if (w->index == 0)
		close_arrived(&c->msg);
	else
		ndm_loop_post(ndm_context_loop(w->ndmd->context, 0), &c->msg);
}
