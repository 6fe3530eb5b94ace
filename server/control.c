/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - the management socket: listening, connections, frames.
 *
 * All of this runs on the thread that dispatches the event_base, which is the one that runs the
 * context's first loop; a command itself runs in a task there (control_execute()), one at a
 * time for each connection.  Nothing here waits.
 *
 * A client that closes its side still gets the answer of what it asked before, except that a
 * DM_DEV_WAIT ends at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "server/control-call.h"

/* So much is read while a command still runs; the rest when its turn comes. */
#define CONTROL_INPUT_BYTES (64u << 10)
/* A refused accept (no file descriptors) is tried again after so long. */
#define CONTROL_RETRY_SECONDS 1

struct control {
	struct event_base *base;
	struct ndm_context *ctx;
	const struct control_host *host;
	struct ndm_watch watch;
	struct evconnlistener *listener;
	struct event *retry;
	char *path;
	struct stat inode; /* of the socket, to know it again */
	struct control_conn *conns;
	unsigned running; /* commands that have not ended */
	bool stopped, paused;
	bool keep; /* the socket's name is another process's */
};

struct control_conn {
	struct control *control;
	struct control_conn *next;
	struct bufferevent *bev;
	struct control_job *job; /* the command under way */
	char *reason;		 /* why the last command failed */
	bool eof;		 /* the client will not ask any more */
	bool refused;		 /* a frame too long: answer, then close */
	bool armed;		 /* DM_DEV_ARM_POLL: owes an event frame */
	pid_t pid;
};

/* A command: owned by its task, and by a cancelling message while that is under way. */
struct control_job {
	struct control_call call;
	struct control *control;
	struct control_conn *conn; /* NULL once the client is gone */
	struct ndm_msg start, cancel;
	unsigned refs;
	bool cancelling;
	bool secure; /* DM_SECURE_DATA_FLAG: wipe the buffer */
};

static void conn_next(struct control_conn *);

static void say(struct control *ctl, enum ndm_level level, const char *fmt, ...)
	ndm_printf_like(3, 4);

static void say(struct control *ctl, enum ndm_level level, const char *fmt, ...)
{
	struct ndm_str line = { 0 };
	va_list ap;

	if (!ctl->host->log.fn)
		return;
	va_start(ap, fmt);
	ndm_vprintf(&line, fmt, ap);
	va_end(ap);
	ctl->host->log.fn(ctl->host->log.arg, level, line.text);
	ndm_str_free(&line);
}

/* ---- jobs ---- */

static void job_put(struct control_job *job)
{
	if (--job->refs)
		return;
	if (job->secure)
		explicit_bzero(job->call.body, job->call.length);
	free(job->call.body);
	ndm_str_free(&job->call.text);
	ndm_str_free(&job->call.why);
	free(job);
}

/* On the loop: a wait looks at `cancelled` when it is woken. */
static void job_cancel_on_loop(struct ndm_msg *msg)
{
	struct control_job *job =
		(struct control_job *)((char *)msg - offsetof(struct control_job, cancel));

	if (job->call.waiting)
		ndm_device_wait_wake(job->call.waiting);
	job_put(job);
}

static void job_cancel(struct control_job *job)
{
	job->call.cancelled = true;
	if (job->cancelling)
		return;
	job->cancelling = true;
	job->refs++;
	job->cancel.fn = job_cancel_on_loop;
	ndm_loop_post(ndm_context_loop(job->control->ctx, 0), &job->cancel);
}

static void send_answer(struct control_conn *conn, uint32_t error, const void *bytes, size_t length)
{
	struct ndm_ctl_answer head = { .error = error, .length = (uint32_t)length };
	struct evbuffer *out = bufferevent_get_output(conn->bev);

	evbuffer_add(out, &head, sizeof(head));
	evbuffer_add(out, bytes, length);
}

static const char *command_name(uint32_t command)
{
	static const char *const ioctls[] = {
		"version",	  "remove_all",	   "list_devices",
		"create",	  "remove",	   "rename",
		"suspend/resume", "info",	   "wait",
		"load",		  "clear",	   "deps",
		"status",	  "list_versions", "message",
		"set_geometry",	  "arm_poll",	   "get_target_version",
	};

	if (command < sizeof(ioctls) / sizeof(ioctls[0]))
		return ioctls[command];
	return command == NDM_CTL_APPLY ? "apply" : command == NDM_CTL_PLAN ? "plan" : "a command";
}

/* Programs ask for what may not be there: nothing for the log. */
static bool is_question(uint32_t command)
{
	return command == DM_DEV_STATUS_CMD || command == DM_TABLE_STATUS_CMD ||
	       command == DM_TABLE_DEPS_CMD || command == DM_GET_TARGET_VERSION_CMD ||
	       (command >= NDM_CTL_OWN && command != NDM_CTL_APPLY);
}

static void keep_reason(struct control_conn *conn, struct control_job *job, uint32_t error)
{
	struct ndm_str *why = &job->call.why;

	if (job->call.command == NDM_CTL_REASON)
		return;
	while (why->len && why->text[why->len - 1] == '\n')
		why->text[--why->len] = '\0';
	free(conn->reason);
	conn->reason = error && why->len ? strdup(why->text) : NULL;
	if (conn->reason)
		say(job->control, is_question(job->call.command) ? NDM_LOG_DEBUG : NDM_LOG_INFO,
		    "control: %s by process %d refused: %s (%s)", command_name(job->call.command),
		    (int)conn->pid, conn->reason, strerror((int)error));
}

static void job_answer(struct control_conn *conn, struct control_job *job, uint32_t error)
{
	struct control_call *call = &job->call;

	keep_reason(conn, job, error);
	if (call->command >= NDM_CTL_OWN && call->text.len > NDM_CTL_MAX_LENGTH)
		send_answer(conn, EMSGSIZE, NULL, 0);
	else if (call->command >= NDM_CTL_OWN)
		send_answer(conn, error, call->text.text, call->text.len);
	else
		send_answer(conn, error, call->body, call->answered);
	if (call->arm && !error)
		conn->armed = true;
}

/* The task of one command. */
static void job_run(void *arg)
{
	struct control_job *job = arg;
	struct control *ctl = job->control;
	uint32_t error = control_execute(&job->call);
	struct control_conn *conn;

	if (ctl->host->changed && (!is_question(job->call.command) ||
				   job->call.command == NDM_CTL_READ_AHEAD))
		ctl->host->changed(ctl->host->arg);
	conn = job->conn;
	if (conn) {
		conn->job = NULL;
		job_answer(conn, job, error);
		/* conn_next() goes on when the answer has been written */
	}
	job_put(job);
	ctl->running--;
	if (ctl->paused && !ctl->running && ctl->host->idle)
		ctl->host->idle(ctl->host->arg);
}

static void job_spawn(struct ndm_msg *msg)
{
	struct control_job *job =
		(struct control_job *)((char *)msg - offsetof(struct control_job, start));

	ndm_spawn(ndm_context_loop(job->control->ctx, 0), "control", job_run, job);
}

static struct control_job *job_new(struct control_conn *conn, const struct ndm_ctl_request *head)
{
	struct control_job *job = calloc(1, sizeof(*job));
	uint8_t *body = calloc(1, (size_t)head->length + 1);

	if (!job || !body) {
		free(job);
		free(body);
		return NULL;
	}
	job->refs = 1;
	job->control = conn->control;
	job->conn = conn;
	job->start.fn = job_spawn;
	job->call.ctx = conn->control->ctx;
	job->call.host = conn->control->host;
	job->call.command = head->command;
	job->call.length = head->length;
	job->call.body = body;
	job->call.last_reason = conn->reason ? conn->reason : "";
	return job;
}

/* ---- connections ---- */

static void conn_free(struct control_conn *conn)
{
	struct control_conn **link = &conn->control->conns;

	while (*link != conn)
		link = &(*link)->next;
	*link = conn->next;
	if (conn->job) {
		conn->job->conn = NULL;
		/* the reason goes with the connection; the command may be asking for it */
		conn->job->call.last_reason = "";
		job_cancel(conn->job);
	}
	bufferevent_free(conn->bev);
	free(conn->reason);
	free(conn);
}

/* The connection leaves us: its socket goes to the host. */
static void conn_detach(struct control_conn *conn)
{
	const struct control_host *host = conn->control->host;
	int fd = fcntl(bufferevent_getfd(conn->bev), F_DUPFD_CLOEXEC, 3), pid = (int)conn->pid;

	conn_free(conn);
	if (fd < 0)
		return;
	evutil_make_socket_nonblocking(fd);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	host->takeover(host->arg, fd, pid);
}

/* A whole frame is there: hand it to a task. */
static void conn_start(struct control_conn *conn, const struct ndm_ctl_request *head)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);
	struct control_job *job = job_new(conn, head);

	evbuffer_drain(in, sizeof(*head));
	if (!job) {
		evbuffer_drain(in, head->length);
		send_answer(conn, ENOMEM, NULL, 0);
		return;
	}
	evbuffer_remove(in, job->call.body, head->length);
	if (head->command < NDM_CTL_OWN && head->length >= offsetof(struct dm_ioctl, data))
		job->secure = ((struct dm_ioctl *)job->call.body)->flags & DM_SECURE_DATA_FLAG;
	conn->job = job;
	conn->control->running++;
	ndm_loop_post(ndm_context_loop(conn->control->ctx, 0), &job->start);
	if (conn->eof && head->command == DM_DEV_WAIT_CMD)
		job_cancel(job);
}

static void conn_refuse(struct control_conn *conn, const struct ndm_ctl_request *head)
{
	say(conn->control, NDM_LOG_WARNING,
	    "control: process %d sends a request of %u bytes, more than %u: closed", (int)conn->pid,
	    head->length, NDM_CTL_MAX_LENGTH);
	conn->refused = true;
	bufferevent_disable(conn->bev, EV_READ);
	send_answer(conn, EMSGSIZE, NULL, 0);
}

/*
 * Starts the next command when the one before it is answered and the answer written: a client
 * that asks and never reads holds at most one answer.
 */
static void conn_next(struct control_conn *conn)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);
	struct ndm_ctl_request head;

	if (conn->job || evbuffer_get_length(bufferevent_get_output(conn->bev)))
		return;
	if (!conn->refused && !conn->control->paused && evbuffer_copyout(in, &head, sizeof(head)) == sizeof(head)) {
		if (head.length > NDM_CTL_MAX_LENGTH) {
			conn_refuse(conn, &head);
			return;
		}
		if (head.command == NDM_CTL_TAKEOVER && conn->control->host->takeover) {
			conn_detach(conn);
			return;
		}
		if (evbuffer_get_length(in) >= sizeof(head) + head.length) {
			conn_start(conn, &head);
			return;
		}
	}
	if (conn->eof || conn->refused || conn->control->paused)
		conn_free(conn);
	else
		bufferevent_enable(conn->bev, EV_READ);
}

/*
 * Reading goes on while a command runs, because that is how we learn that the client is gone;
 * but not for ever.  (A high watermark will not do: libevent calls a reader that leaves so much
 * unread again and again, and nothing else gets its turn.)
 */
static void conn_readable(struct bufferevent *bev, void *arg)
{
	struct control_conn *conn = arg;

	if ((conn->job || evbuffer_get_length(bufferevent_get_output(bev))) &&
	    evbuffer_get_length(bufferevent_get_input(bev)) >= CONTROL_INPUT_BYTES)
		bufferevent_disable(bev, EV_READ);
	else
		conn_next(conn);
}

static void conn_written(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_next(arg);
}

static void conn_event(struct bufferevent *bev, short what, void *arg)
{
	struct control_conn *conn = arg;

	(void)bev;
	if (what & BEV_EVENT_ERROR) {
		conn_free(conn);
		return;
	}
	if (!(what & BEV_EVENT_EOF))
		return;
	conn->eof = true;
	if (conn->job && conn->job->call.command == DM_DEV_WAIT_CMD)
		job_cancel(conn->job);
	conn_next(conn);
}

static void conn_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
			int peer_bytes, void *arg)
{
	struct control *ctl = arg;
	struct control_conn *conn = calloc(1, sizeof(*conn));
	struct ucred who = { 0 };
	socklen_t who_bytes = sizeof(who);

	(void)listener;
	(void)peer;
	(void)peer_bytes;
	if (conn)
		conn->bev = bufferevent_socket_new(ctl->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!conn || !conn->bev) {
		free(conn);
		evutil_closesocket(fd);
		return;
	}
	conn->control = ctl;
	conn->next = ctl->conns;
	ctl->conns = conn;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_bytes))
		conn->pid = who.pid;
	say(ctl, NDM_LOG_DEBUG, "control: process %d (uid %u, gid %u) connected", (int)who.pid,
	    who.uid, who.gid);
	bufferevent_setcb(conn->bev, conn_readable, conn_written, conn_event, conn);
	bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}

/* Without file descriptors the listening socket would stay readable and spin: rest a while. */
static void accept_failed(struct evconnlistener *listener, void *arg)
{
	struct control *ctl = arg;
	struct timeval later = { .tv_sec = CONTROL_RETRY_SECONDS };

	say(ctl, NDM_LOG_WARNING, "control: cannot accept a connection: %s",
	    evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	evconnlistener_disable(listener);
	evtimer_add(ctl->retry, &later);
}

static void accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(ctl->listener);
}

/* ---- events ---- */

/* First loop, from inside the core: drops what is kept for a device, tells who has armed. */
static void on_change(struct ndm_watch *watch, struct ndm_device *dev, const char *what)
{
	struct control *ctl = (struct control *)((char *)watch - offsetof(struct control, watch));

	for (struct control_conn *conn = ctl->conns; conn; conn = conn->next)
		if (conn->armed) {
			conn->armed = false;
			send_answer(conn, NDM_CTL_EVENT, NULL, 0);
		}
	(void)dev;
	(void)what;
}

/* ---- the socket ---- */

char *control_default_path(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path = NULL;

	if (!geteuid() || !runtime || !*runtime)
		return strdup("/run/ndm/control");
	if (asprintf(&path, "%s/ndm/control", runtime) < 0)
		return NULL;
	return path;
}

/* Only the folder itself is made, for the owner's use; one that exists is left as it is. */
static void make_parent(const char *path)
{
	char *copy = strdup(path), *slash = copy ? strrchr(copy, '/') : NULL;

	if (slash && slash != copy) {
		*slash = '\0';
		mkdir(copy, geteuid() ? 0700 : 0755);
	}
	free(copy);
}

/* A socket file that nobody listens on was left by a process that died. */
static int remove_stale(const struct sockaddr_un *where)
{
	struct stat st;
	int fd, err = 0;

	if (lstat(where->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)where, sizeof(*where)) || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		err = -errno;
	else if (unlink(where->sun_path) && errno != ENOENT)
		err = -errno;
	close(fd);
	return err;
}

/* The mode is set before there is a name: nobody else can come in between. */
static int open_socket(const char *path, int *out)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(where.sun_path))
		return -ENAMETOOLONG;
	memcpy(where.sun_path, path, strlen(path) + 1);
	err = remove_stale(&where);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&where, sizeof(where)) ||
	    chmod(path, 0600) || listen(fd, SOMAXCONN)) {
		err = -errno;
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

int control_start(struct control **out, struct event_base *base, struct ndm_context *ctx,
		  const struct control_host *host, const char *path)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	int fd = -1, err = -ENOMEM;

	if (!ctl)
		return -ENOMEM;
	ctl->base = base;
	ctl->ctx = ctx;
	ctl->host = host;
	ctl->path = path ? strdup(path) : control_default_path();
	ctl->retry = evtimer_new(base, accept_again, ctl);
	if (!ctl->path || !ctl->retry)
		goto fail;
	if (!path)
		make_parent(ctl->path);
	fd = host->listener;
	ctl->paused = ctl->keep = fd > 0;
	err = fd > 0 ? 0 : open_socket(ctl->path, &fd);
	if (err)
		goto fail;
	err = -ENOMEM;
	ctl->listener = evconnlistener_new(base, conn_accept, ctl,
					   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
						   (ctl->paused ? LEV_OPT_DISABLED : 0),
					   0, fd);
	if (!ctl->listener) {
		close(fd);
		if (!ctl->keep)
			unlink(ctl->path);
		goto fail;
	}
	evconnlistener_set_error_cb(ctl->listener, accept_failed);
	stat(ctl->path, &ctl->inode);
	ctl->watch.fn = on_change;
	ndm_context_watch(ctx, &ctl->watch);
	*out = ctl;
	return 0;
fail:
	if (ctl->retry)
		event_free(ctl->retry);
	free(ctl->path);
	free(ctl);
	return err;
}

void control_stop(struct control *ctl)
{
	struct stat now;

	if (ctl->stopped)
		return;
	ctl->stopped = true;
	evconnlistener_free(ctl->listener);
	event_free(ctl->retry);
	/* another ndmd may have taken the name since */
	if (!ctl->keep && !lstat(ctl->path, &now) && now.st_dev == ctl->inode.st_dev &&
	    now.st_ino == ctl->inode.st_ino)
		unlink(ctl->path);
	while (ctl->conns)
		conn_free(ctl->conns);
	ndm_context_unwatch(ctl->ctx, &ctl->watch);
}

void control_pause(struct control *ctl, bool pause)
{
	struct control_conn *conn, *next;

	ctl->paused = pause;
	if (!pause) {
		ctl->keep = false;
		evconnlistener_enable(ctl->listener);
		return;
	}
	evtimer_del(ctl->retry);
	evconnlistener_disable(ctl->listener);
	for (conn = ctl->conns; conn; conn = next) {
		next = conn->next;
		if (conn->job && conn->job->call.command == DM_DEV_WAIT_CMD)
			job_cancel(conn->job);
		conn_next(conn);
	}
}

int control_listener(const struct control *ctl)
{
	return evconnlistener_get_fd(ctl->listener);
}

void control_keep_socket(struct control *ctl)
{
	ctl->keep = true;
}

bool control_idle(const struct control *ctl)
{
	return !ctl->running;
}

void control_free(struct control *ctl)
{
	free(ctl->path);
	free(ctl);
}
