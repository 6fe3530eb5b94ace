/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.c - a state as an NBD export.  Nothing is copied: a read-only device is put together
 * from pieces of the base and of the log itself, and a snapshot over it takes what is written.
 * An ndmd of our own serves that until a signal comes.
 */
#include "client/server.h"
#include "client/task.h"
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

int serve_state(struct client *client, const struct image_source *src, const struct state *state,
		const char *socket_path)
{
	const char *args[] = { "ndmd", "--unix", NULL, "--control", NULL, NULL };
	char scratch[64];
	bool ok = false;
	pid_t pid;

	if (!scratch_make(scratch))
		return 1;
	free(client->control);
	client->control = text_format("%s/control", scratch);
	args[2] = socket_path;
	args[4] = client->control;
	pid = server_start(args);
	if (pid > 0 && server_ready(client, pid, &replay_stopped)) {
		ok = set_up(client, src, state, scratch);
		if (ok) {
			printf("nbd+unix:///crash?socket=%s\n", socket_path);
			fflush(stdout);
		}
		if (ok)
			server_wait(pid, &replay_stopped);
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
