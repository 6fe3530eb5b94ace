/* SPDX-License-Identifier: BSD-2-Clause */
/* server.c - starting the ndmd that belongs to this program, and waiting with it. */
#include "server.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Ours, beside this program or where it was built; else the one of $PATH. */
static void server_exec(const char *const *args)
{
	static const char *const places[] = { "../sbin/ndmd", "../server/ndmd", "ndmd" };
	char self[PATH_MAX], path[PATH_MAX + 32], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;

	if (getenv("NDMD"))
		execvp(getenv("NDMD"), (char **)(uintptr_t)args);
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self), self, places[i]);
		execv(path, (char **)(uintptr_t)args);
	}
	execvp("ndmd", (char **)(uintptr_t)args);
	say("ndmd cannot be started: %s", strerror(errno));
	_exit(127);
}

pid_t server_start(const char *const *args)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	server_exec(args);
	return -1;
}

bool server_ready(struct client *client, pid_t pid, const volatile sig_atomic_t *stopped)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	unsigned tries;

	for (tries = 0; tries < 1000 && !*stopped; tries++) {
		if (!access(client->control, F_OK) && !control_open(client))
			return true;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

void server_wait(pid_t pid, const volatile sig_atomic_t *stopped)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);	/* none may come between look and sleep */
	while (!*stopped && !waitpid(pid, NULL, WNOHANG))
		sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}
