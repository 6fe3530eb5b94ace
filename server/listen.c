/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - where clients come from: unix sockets, TCP, sockets that were handed over
 * (LISTEN_FDS), stdin and stdout.
 *
 * TCP_NODELAY is set on the listening socket, and inherited; without it the kernel would hold
 * back our small second write of the handshake for the client's delayed acknowledgement.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "conn.h"
#include "image.h"
#include "ndmd.h"

#define BACKLOG 1024
#define ACCEPTS_MAX 64u				/* in one turn */
#define LISTEN_FDS_START 3

struct listener {
	struct listener *next;
	struct ndmd *ndmd;
	struct event *event, *pause;
	int fd;
	unsigned batch;				/* how many are tried at once: as many as come */
	char *uri;
	char *unlink_path;
	char *where;				/* as it was asked for, or NULL */
	dev_t device;				/* of the socket file: is it still ours? */
	ino_t inode;
};

/* ---- who it is ---- */

static char *text_of_tcp(const struct sockaddr *a, socklen_t bytes)
{
	char host[NI_MAXHOST], port[NI_MAXSERV], *text;

	if (getnameinfo(a, bytes, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV))
		return strdup("tcp");
	if (asprintf(&text, strchr(host, ':') ? "tcp [%s]:%s" : "tcp %s:%s", host, port) < 0)
		return NULL;
	return text;
}

static char *text_of_peer(int fd, const struct sockaddr *a, socklen_t bytes)
{
	struct ucred cred;
	socklen_t n = sizeof cred;
	char *text;

	if (a->sa_family == AF_INET || a->sa_family == AF_INET6)
		return text_of_tcp(a, bytes);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n))
		return strdup("unix");
	if (asprintf(&text, "unix pid %ld uid %lu", (long)cred.pid, (unsigned long)cred.uid) < 0)
		return NULL;
	return text;
}

/* ---- accepting ---- */

static void accept_resume(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	event_add(l->event, NULL);
}

/* No descriptors, no memory: the next client waits in the backlog for a moment. */
static void accept_failed(struct listener *l, int err)
{
	struct timeval moment = { .tv_usec = 100000 };

	if (err == EAGAIN || err == EINTR || err == ECONNABORTED)
		return;
	log_line(&l->ndmd->log, NDM_LOG_ERROR, "cannot accept on %s: %s", l->uri, strerror(err));
	event_del(l->event);
	if (!l->pause)
		l->pause = evtimer_new(l->ndmd->workers[0].base, accept_resume, l);
	if (l->pause)
		event_add(l->pause, &moment);
}

static void accept_one(struct listener *l, int fd, const struct sockaddr *a, socklen_t bytes)
{
	struct ndmd *d = l->ndmd;
	char *who;

	if (atomic_load(&d->nconns) >= d->opt.max_connections) {
		log_line(&d->log, NDM_LOG_WARNING, "refused a client: there are %u already",
			 d->opt.max_connections);
		close(fd);
		return;
	}
	who = text_of_peer(fd, a, bytes);
	if (!who) {
		close(fd);
		return;
	}
	conn_new(&d->workers[0], fd, fd, who);
}

static void acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	struct sockaddr_storage a;
	socklen_t bytes;
	unsigned i;
	int got;

	(void)what;
	for (i = 0; i < l->batch; i++) {
		bytes = sizeof a;
		got = accept4(fd, (struct sockaddr *)&a, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (got < 0) {
			accept_failed(l, errno);
			l->batch = i > 1 ? i : 1;
			return;
		}
		accept_one(l, got, (struct sockaddr *)&a, bytes);
	}
	if (l->batch < ACCEPTS_MAX)
		l->batch *= 2;
}

/* ---- listeners ---- */

static void listener_free(struct listener *l)
{
	struct stat st;

	if (l->event)
		event_free(l->event);
	if (l->pause)
		event_free(l->pause);
	if (l->fd >= 0)
		close(l->fd);
	/* another server may have taken the name over */
	if (l->unlink_path && !l->ndmd->handed_over && !lstat(l->unlink_path, &st) && st.st_dev == l->device &&
	    st.st_ino == l->inode)
		unlink(l->unlink_path);
	free(l->unlink_path);
	free(l->where);
	free(l->uri);
	free(l);
}

/* Takes fd and uri. */
static int listener_add(struct ndmd *d, int fd, char *uri, const char *unlink_path)
{
	struct listener *l = calloc(1, sizeof *l), **last;
	struct stat st;
	int one = 1;

	if (!l) {
		close(fd);
		free(uri);
		return -ENOMEM;
	}
	l->ndmd = d;
	l->fd = fd;
	l->batch = 2;
	/* what is accepted has these from the first byte on; not for unix sockets */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	l->uri = uri;
	if (unlink_path && !lstat(unlink_path, &st)) {
		l->unlink_path = strdup(unlink_path);
		l->device = st.st_dev;
		l->inode = st.st_ino;
	}
	l->event = event_new(d->workers[0].base, fd, EV_READ | EV_PERSIST, acceptable, l);
	if (!uri || !l->event || (!d->takeover && event_add(l->event, NULL))) {
		listener_free(l);
		return -ENOMEM;
	}
	for (last = &d->listeners; *last; last = &(*last)->next)
		;
	*last = l;
	return 0;
}

void listen_stop(struct ndmd *d)
{
	struct listener *l;

	while ((l = d->listeners)) {
		d->listeners = l->next;
		listener_free(l);
	}
}

void listen_pause(struct ndmd *d, bool pause)
{
	struct listener *l;

	for (l = d->listeners; l; l = l->next) {
		if (l->pause)
			event_del(l->pause);
		if (pause)
			event_del(l->event);
		else
			event_add(l->event, NULL);
	}
}

void listen_pack(struct ndmd *d, struct image *im)
{
	struct listener *l;
	unsigned n = 0;

	for (l = d->listeners; l; l = l->next)
		n++;
	image_put_number(im, n);
	for (l = d->listeners; l; l = l->next) {
		image_put_text(im, l->uri);
		image_put_text(im, l->where);
		image_put_text(im, l->unlink_path);
		image_put_fd(im, l->fd);
	}
}

int listen_adopt(struct ndmd *d, int fd, const char *uri, const char *where, const char *path)
{
	struct listener *l;
	int err = listener_add(d, fd, strdup(uri), path);

	if (err)
		return err;
	for (l = d->listeners; l->next; l = l->next)
		;
	l->where = where ? strdup(where) : NULL;
	return 0;
}

static bool is_served(const struct ndmd *d, const char *where)
{
	const struct listener *l;

	for (l = d->listeners; l; l = l->next)
		if (l->where && !strcmp(l->where, where))
			return true;
	return false;
}

void listen_uris(void *ndmd, struct ndm_str *answer)
{
	struct ndmd *d = ndmd;
	struct listener *l;

	for (l = d->listeners; l; l = l->next)
		ndm_printf(answer, "%s\n", l->uri);
}

static const char *scheme(const struct ndmd *d)
{
	return d->tls_mode == TLS_REQUIRE ? "nbds" : "nbd";
}

/* ---- unix ---- */

/* true: nobody answers there, so the name can be taken over */
static bool socket_is_stale(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool stale;

	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)a, sizeof *a) && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int listen_unix(struct ndmd *d, const char *path, struct ndm_str *why)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char *uri = NULL;
	int fd, err;

	if (!*path || strlen(path) >= sizeof a.sun_path) {
		ndm_printf(why, "unix:%s: a socket's path has 1 to %zu bytes", path,
			   sizeof a.sun_path - 1);
		return -EINVAL;
	}
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		goto fail;
	if (bind(fd, (struct sockaddr *)&a, sizeof a)) {
		if (errno != EADDRINUSE || !socket_is_stale(&a)) {
			errno = errno == ECONNREFUSED ? EADDRINUSE : errno;
			goto fail;
		}
		unlink(path);
		if (bind(fd, (struct sockaddr *)&a, sizeof a))
			goto fail;
	}
	if (listen(fd, BACKLOG))
		goto fail;
	if (asprintf(&uri, "%s+unix:///?socket=%s", scheme(d), path) < 0)
		uri = NULL;
	return listener_add(d, fd, uri, path);
fail:
	err = errno;
	ndm_printf(why, "unix:%s: %s", path, strerror(err));
	if (fd >= 0)
		close(fd);
	return -err;
}

/* ---- TCP ---- */

static char *uri_of_tcp(struct ndmd *d, int fd)
{
	char host[NI_MAXHOST], port[NI_MAXSERV], *uri;
	struct sockaddr_storage a;
	socklen_t bytes = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &bytes) ||
	    getnameinfo((struct sockaddr *)&a, bytes, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV))
		return NULL;
	if (asprintf(&uri, strchr(host, ':') ? "%s://[%s]:%s" : "%s://%s:%s", scheme(d), host,
		     port) < 0)
		return NULL;
	return uri;
}

static int listen_address(struct ndmd *d, const struct addrinfo *ai)
{
	int one = 1, err, fd;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return listener_add(d, fd, uri_of_tcp(d, fd), NULL);
}

/* "HOST:PORT", "[HOST]:PORT", ":PORT", "HOST", ""; port 10809 by default */
static bool split_address(const char *where, char **host, char **port)
{
	const char *colon = strrchr(where, ':'), *end = where + strlen(where);

	*port = NULL;
	if (colon && !(*where == '[' && strchr(colon, ']')) &&
	    (*where == '[' || strchr(where, ':') == colon)) {
		end = colon;
		*port = strdup(colon + 1);
	} else {
		*port = strdup("10809");
	}
	if (*where == '[' && end > where && end[-1] == ']') {
		where++;
		end--;
	}
	*host = strndup(where, (size_t)(end - where));
	/* getaddrinfo() takes a number that is too large, and wraps it */
	return *host && *port && **port && (!isdigit((unsigned char)**port) ||
					    strtoul(*port, NULL, 10) < 65536);
}

static int listen_tcp(struct ndmd *d, const char *where, struct ndm_str *why)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *list = NULL;
	char *host = NULL, *port = NULL;
	int err = -EINVAL, first_err = 0, n = 0, r;
	struct addrinfo *ai;

	if (!split_address(where, &host, &port)) {
		ndm_printf(why, "tcp:%s: not HOST:PORT", where);
		goto out;
	}
	r = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (r) {
		ndm_printf(why, "tcp:%s: %s", where, gai_strerror(r));
		goto out;
	}
	for (ai = list; ai; ai = ai->ai_next) {
		err = listen_address(d, ai);
		n += !err;
		if (err && err != -EAFNOSUPPORT && !first_err)
			first_err = err;
	}
	err = first_err ? first_err : n ? 0 : -EAFNOSUPPORT;
	if (err)
		ndm_printf(why, "tcp:%s: %s", where, strerror(-err));
out:
	if (list)
		freeaddrinfo(list);
	free(host);
	free(port);
	return err;
}

static int listen_anew(struct ndmd *d, const char *where, struct ndm_str *why)
{
	if (!strncmp(where, "unix:", 5))
		return listen_unix(d, where + 5, why);
	if (!strncmp(where, "tcp:", 4))
		return listen_tcp(d, where + 4, why);
	if (*where == '/')
		return listen_unix(d, where, why);
	ndm_printf(why, "'%s' is neither unix:PATH nor tcp:HOST:PORT", where);
	return -EINVAL;
}

int listen_on(struct ndmd *d, const char *where, struct ndm_str *why)
{
	struct listener *l;
	int err;

	if (d->takeover && is_served(d, where))
		return 0;
	err = listen_anew(d, where, why);
	for (l = err ? NULL : d->listeners; l; l = l->next)
		if (!l->next && !l->where)
			l->where = strdup(where);
	return err;
}

/* ---- handed over ---- */

static int take_over(struct ndmd *d, int fd)
{
	struct sockaddr_storage a = { 0 };
	socklen_t bytes = sizeof a;
	char *uri = NULL;

	if (getsockname(fd, (struct sockaddr *)&a, &bytes))
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (a.ss_family == AF_UNIX) {
		if (asprintf(&uri, "%s+unix:///?socket=%s", scheme(d),
			     ((struct sockaddr_un *)&a)->sun_path) < 0)
			uri = NULL;
	} else {
		uri = uri_of_tcp(d, fd);
	}
	return listener_add(d, fd, uri, NULL);
}

int listen_activated(struct ndmd *d, struct ndm_str *why)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int i, err, n = fds ? atoi(fds) : 0;

	if (!pid || n <= 0 || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	for (i = 0; i < n; i++) {
		err = take_over(d, LISTEN_FDS_START + i);
		if (err) {
			ndm_printf(why, "LISTEN_FDS: descriptor %d: %s", LISTEN_FDS_START + i,
				   strerror(-err));
			return err;
		}
	}
	unsetenv("LISTEN_PID");			/* not for our children */
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return n;
}

int listen_stdio(struct ndmd *d)
{
	struct stat in, out;
	int fd, fd_out, null, one = 1;
	char *who = strdup("stdio");

	if (!who)
		return -ENOMEM;
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || fstat(STDIN_FILENO, &in) || fstat(STDOUT_FILENO, &out)) {
		free(who);
		return -errno;
	}
	fd_out = fd;
	if (!S_ISSOCK(in.st_mode) || !S_ISSOCK(out.st_mode) || in.st_ino != out.st_ino)
		fd_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd_out, F_SETFL, fcntl(fd_out, F_GETFL) | O_NONBLOCK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);	/* nothing else may speak there */
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
	return conn_new(&d->workers[0], fd, fd_out, who);
}
