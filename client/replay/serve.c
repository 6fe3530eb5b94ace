/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.c - a state as an NBD export.  Nothing is copied: a read-only device is put together
 * from pieces of the base and of the log itself, and a snapshot over it takes what is written.
 * An ndmd of our own serves that until a signal comes.
 */
#include "client/task.h"
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum origin { FROM_BASE, FROM_LOG, FROM_ZERO };

struct piece { uint64_t sector, nr, at; enum origin origin; };

struct pieces { struct piece *list; size_t n, room; };

/* ---- what lies where ---- */

static bool pieces_put(struct pieces *p, struct piece piece)
{
	struct piece *last = p->n ? &p->list[p->n - 1] : NULL;

	if (!piece.nr)
		return true;
	if (last && last->origin == piece.origin && last->sector + last->nr == piece.sector &&
	    (piece.origin == FROM_ZERO || last->at + last->nr == piece.at)) {
		last->nr += piece.nr;
		return true;
	}
	if (p->n == p->room) {
		void *more = realloc(p->list, (2 * p->room + 64) * sizeof(*p->list));

		if (!more)
			return false;
		p->list = more;
		p->room = 2 * p->room + 64;
	}
	p->list[p->n++] = piece;
	return true;
}

/* The part of a piece in [from, to). */
static struct piece piece_part(struct piece p, uint64_t from, uint64_t to)
{
	uint64_t end = p.sector + p.nr;

	from = from > p.sector ? from : p.sector;
	end = to < end ? to : end;
	if (end <= from)
		return (struct piece){ 0 };
	p.at += from - p.sector;
	p.sector = from;
	p.nr = end - from;
	return p;
}

static bool pieces_cover(struct pieces *p, struct piece over)
{
	struct pieces new = { 0 };
	bool ok = true, done = false;
	size_t i;

	for (i = 0; ok && i < p->n; i++) {
		ok = pieces_put(&new, piece_part(p->list[i], 0, over.sector));
		if (ok && !done && p->list[i].sector + p->list[i].nr > over.sector) {
			ok = pieces_put(&new, over);
			done = true;
		}
		ok = ok && pieces_put(&new, piece_part(p->list[i], over.sector + over.nr,
						       UINT64_MAX));
	}
	free(p->list);
	*p = new;
	return ok;
}

static bool base_size(const char *path, uint64_t *sectors)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t bytes = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (bytes < 0)
		say("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	*sectors = (uint64_t)bytes / 512;
	return bytes >= 0;
}

static bool pieces_make(const struct image_source *src, const struct state *state,
			struct pieces *p, uint64_t *nr)
{
	uint64_t base = 0, i;
	bool ok;

	if (src->base && !base_size(src->base, &base))
		return false;
	*nr = base > src->log->end_sector ? base : src->log->end_sector;
	ok = pieces_put(p, (struct piece){ 0, base, 0, FROM_BASE }) &&
	     pieces_put(p, (struct piece){ base, *nr - base, 0, FROM_ZERO });
	for (i = 0; ok && i < state->end; i++) {
		const struct entry *e = &src->log->entries[i];

		if (state_omits(state, i))
			continue;
		if (log_has_data(e))
			ok = pieces_cover(p, (struct piece){ e->sector, e->nr, e->at_bytes / 512,
							     FROM_LOG });
		else if (e->flags & LOG_DISCARD && e->nr && !src->no_discard)
			ok = pieces_cover(p, (struct piece){ e->sector, e->nr, 0, FROM_ZERO });
	}
	return ok;
}

/* ---- devices ---- */

static bool device_create(struct client *client, const char *name)
{
	struct task *task = task_new(client, TASK_CREATE);
	bool ok = task && task_set_name(task, name) && task_run(task);

	task_free(task);
	return ok;
}

/* Loads and resumes; the task has the lines. */
static bool device_start(struct task *load, const char *name)
{
	struct task *resume = task_new(load->client, TASK_RESUME);
	bool ok = resume && task_set_name(load, name) && task_run(load) &&
		task_set_name(resume, name) && task_run(resume);

	task_free(resume);
	return ok;
}

static bool state_device(struct client *client, const struct pieces *p, const char *base,
			 const char *log)
{
	struct task *task = task_new(client, TASK_RELOAD);
	bool ok = task && device_create(client, "state");
	size_t i;

	for (i = 0; ok && i < p->n; i++) {
		const struct piece *piece = &p->list[i];
		char *params = text_format("%s %" PRIu64, piece->origin == FROM_LOG ? log : base,
					   piece->at);

		ok = params && (piece->origin == FROM_ZERO ?
				task_add_line(task, piece->sector, piece->nr, "zero", "") :
				task_add_line(task, piece->sector, piece->nr, "linear", params));
		free(params);
	}
	if (ok) {
		task->flags |= DM_READONLY_FLAG;
		ok = device_start(task, "state");
	}
	task_free(task);
	return ok;
}

static bool crash_device(struct client *client, uint64_t nr, const char *scratch)
{
	struct task *task = task_new(client, TASK_RELOAD);
	char *cow = text_format("%s/cow", scratch), *params = NULL;
	int fd = cow ? open(cow, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	bool ok = task && fd >= 0 && !ftruncate(fd, (off_t)(nr + nr / 16 + 4096) * 512);

	if (!ok)
		say("%s: %s", cow ? cow : scratch, strerror(errno));
	params = text_format("/dev/mapper/state %s N 8", cow ? cow : "");
	ok = ok && params && device_create(client, "crash") &&
		task_add_line(task, 0, nr, "snapshot", params) && device_start(task, "crash");
	if (fd >= 0)
		close(fd);
	free(params);
	free(cow);
	task_free(task);
	return ok;
}

/* ---- the server ---- */

/* Ours, beside this program or where it was built; else the one of $PATH. */
static void ndmd_exec(const char *socket_path, const char *control)
{
	static const char *const places[] = { "../sbin/ndmd", "../server/ndmd", "ndmd" };
	const char *args[] = { "ndmd", "--unix", socket_path, "--control", control, NULL };
	char self[PATH_MAX], path[PATH_MAX + 32], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;

	if (getenv("NDMD"))
		execvp(getenv("NDMD"), (char **)args);
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self), self, places[i]);
		execv(path, (char **)args);
	}
	execvp("ndmd", (char **)args);
	say("ndmd cannot be started: %s", strerror(errno));
	_exit(127);
}

static pid_t ndmd_start(const char *socket_path, const char *control)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	ndmd_exec(socket_path, control);
	return -1;
}

/* Until it listens, 10 s at most. */
static bool ndmd_ready(struct client *client, pid_t pid)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	unsigned tries;

	for (tries = 0; tries < 1000 && !replay_stopped; tries++) {
		if (!access(client->control, F_OK) && !control_open(client))
			return true;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool set_up(struct client *client, const struct image_source *src,
		   const struct state *state, const char *scratch)
{
	char *base = src->base ? realpath(src->base, NULL) : NULL;
	char *log = realpath(src->log->path, NULL);
	struct pieces p = { 0 };
	uint64_t nr;
	bool ok = log && pieces_make(src, state, &p, &nr) &&
		state_device(client, &p, base, log) && crash_device(client, nr, scratch);

	free(p.list);
	free(base);
	free(log);
	return ok;
}

/* Returns when one came that asks to stop, or the server ended; SIGCHLD has a handler, too. */
static void wait_for_signal(pid_t pid)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);	/* none may come between look and sleep */
	while (!replay_stopped && !waitpid(pid, NULL, WNOHANG))
		sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int serve_state(struct client *client, const struct image_source *src, const struct state *state,
		const char *socket_path)
{
	char scratch[64];
	bool ok = false;
	pid_t pid;

	if (!scratch_make(scratch))
		return 1;
	free(client->control);
	client->control = text_format("%s/control", scratch);
	pid = ndmd_start(socket_path, client->control);
	if (pid > 0 && ndmd_ready(client, pid)) {
		ok = set_up(client, src, state, scratch);
		if (ok) {
			printf("nbd+unix:///crash?socket=%s\n", socket_path);
			fflush(stdout);
		}
		if (ok)
			wait_for_signal(pid);
	} else if (!replay_stopped) {
		say("No ndmd could be started.");
	}
	if (pid > 0) {
		kill(pid, SIGTERM);
		waitpid(pid, NULL, 0);
	}
	scratch_remove(scratch);
	return ok ? 0 : 1;
}
