/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * system.c - what is around the process: the service manager, the background, the pid file,
 * the command of --run.
 *
 * The notification protocol is a datagram of NAME=VALUE lines to the socket that
 * NOTIFY_SOCKET names; a path that begins with @ is in the abstract namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "ndmd.h"

extern char **environ;

/* ---- service manager ---- */

void system_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t bytes;
	size_t n;
	int fd;

	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof a.sun_path)
		return;
	n = strlen(path);
	memcpy(a.sun_path, path, n);
	if (*path == '@')
		a.sun_path[0] = '\0';
	bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path != '@'));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a, bytes) < 0)
		errno = 0;			/* nobody listens: we serve all the same */
	close(fd);
}

static void watchdog_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	system_notify("WATCHDOG=1");
}

/* The service manager asks for a sign of life; it gets two in each span. */
int system_watchdog_start(struct ndmd *d)
{
	const char *pid = getenv("WATCHDOG_PID"), *text = getenv("WATCHDOG_USEC");
	unsigned long long usec = text ? strtoull(text, NULL, 10) : 0;
	struct timeval half;

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	half.tv_sec = (time_t)(usec / 2 / 1000000);
	half.tv_usec = (suseconds_t)(usec / 2 % 1000000);
	d->watchdog = event_new(d->workers[0].base, -1, EV_PERSIST, watchdog_due, NULL);
	if (!d->watchdog || event_add(d->watchdog, &half))
		return -ENOMEM;
	return 0;
}

/* ---- background ---- */

int system_daemonize(struct ndmd *d)
{
	int pipe_fd[2], status = 1;
	unsigned char byte;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		int err = -errno;

		close(pipe_fd[0]);
		close(pipe_fd[1]);
		return err;
	}
	if (pid > 0) {				/* stay until the child serves, or fails */
		close(pipe_fd[1]);
		do {
			n = read(pipe_fd[0], &byte, 1);
		} while (n < 0 && errno == EINTR);
		if (n == 1)
			_exit(0);
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
	}
	close(pipe_fd[0]);
	d->ready_fd = pipe_fd[1];
	setsid();
	return 0;
}

static void leave_terminal(struct ndmd *d)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	openlog("ndmd", LOG_PID, LOG_DAEMON);
	d->log.syslog = !d->log.journal;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (d->log.syslog)
		dup2(null, STDERR_FILENO);
	close(null);
}

void system_ready(struct ndmd *d)
{
	system_notify("READY=1");
	if (!d->opt.daemon)
		return;
	leave_terminal(d);
	if (write(d->ready_fd, "", 1) < 0)
		log_line(&d->log, NDM_LOG_WARNING, "nobody waits for this daemon");
	close(d->ready_fd);
	d->ready_fd = -1;
}

int system_pidfile(struct ndmd *d, struct ndm_str *why)
{
	FILE *f;
	int err = 0;

	if (!d->opt.pidfile)
		return 0;
	f = fopen(d->opt.pidfile, "we");
	if (!f || fprintf(f, "%ld\n", (long)getpid()) < 0)
		err = -errno;
	if (f && fclose(f) && !err)
		err = -errno;
	if (err)
		ndm_printf(why, "%s: %s", d->opt.pidfile, strerror(-err));
	return err;
}

/* ---- --run ---- */

/* A folder of our own for sockets that nobody has named. */
int system_run_prepare(struct ndmd *d, struct ndm_str *why)
{
	const char *tmp = getenv("TMPDIR");
	char *where = NULL;
	int err = -ENOMEM;

	if (asprintf(&d->run_folder, "%s/ndmd.XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0) {
		d->run_folder = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(d->run_folder)) {
		err = -errno;
		ndm_printf(why, "%s: %s", d->run_folder, strerror(errno));
		free(d->run_folder);
		d->run_folder = NULL;
		return err;
	}
	if (!d->opt.control && !d->opt.no_control) {
		if (asprintf(&d->run_control, "%s/control", d->run_folder) < 0)
			return -ENOMEM;
		d->opt.control = d->run_control;
	}
	if (d->opt.listen.n)
		return 0;
	if (asprintf(&where, "unix:%s/nbd.sock", d->run_folder) >= 0)
		err = listen_on(d, where, why);
	free(where);
	return err;
}

static bool only_name(void *arg, const struct export *e)
{
	char *name = arg;

	strcpy(name, strlen(e->name) < NDM_NAME_BYTES ? e->name : "");
	return false;
}

/* The first listener's URI, with the export's name where there is one export only. */
static char *run_uri(struct ndmd *d)
{
	struct ndm_str uris = { 0 };
	char name[NDM_NAME_BYTES] = "", *slash, *uri = NULL;
	int n;

	listen_uris(d, &uris);
	if (!uris.len)
		return strdup("");
	uris.text[strcspn(uris.text, "\n")] = '\0';
	if (exports_count(d) == 1)
		exports_each(d, NULL, only_name, name);
	slash = strstr(uris.text, "///");
	if (slash)
		n = asprintf(&uri, "%.*s%s%s", (int)(slash + 3 - uris.text), uris.text, name, slash + 3);
	else
		n = asprintf(&uri, "%s/%s", uris.text, name);
	ndm_str_free(&uris);
	return n < 0 ? NULL : uri;
}

int system_run(struct ndmd *d, struct ndm_str *why)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)d->opt.run, NULL };
	char *uri = run_uri(d), *socket = uri ? strstr(uri, "socket=") : NULL;
	posix_spawnattr_t attr;
	sigset_t defaults, mask;
	int err;

	if (!uri)
		return -ENOMEM;
	setenv("uri", uri, 1);
	setenv("nbd", uri, 1);
	setenv("unixsocket", socket ? socket + strlen("socket=") : "", 1);
	if (d->opt.control)
		setenv("NDM_CONTROL", d->opt.control, 1);
	free(uri);
	posix_spawnattr_init(&attr);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigemptyset(&mask);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setsigmask(&attr, &mask);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	err = posix_spawn(&d->run_pid, "/bin/sh", NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (err) {
		d->run_pid = 0;
		ndm_printf(why, "cannot run the command: %s", strerror(err));
	}
	return -err;
}

void system_child(struct ndmd *d)
{
	int status;

	if (!d->run_pid || waitpid(d->run_pid, &status, WNOHANG) != d->run_pid)
		return;
	d->run_pid = 0;
	ndmd_stop(d, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void system_cleanup(struct ndmd *d)
{
	if (d->run_folder)
		rmdir(d->run_folder);
	free(d->run_folder);
	free(d->run_control);
	if (d->opt.pidfile && d->ready && !d->handed_over)
		unlink(d->opt.pidfile);
	if (d->watchdog)
		event_free(d->watchdog);
}
