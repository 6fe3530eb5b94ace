/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-takeover.c - what an ndmd that takes over is given by the one before: devices, rules of
 * exports, connections in the midst of what they say.
 *
 * Byte 0 of an input is odd where the connections that are made go on, and end; else all of it is
 * packed again, as for the next process, and that image has to be readable.  The rest is the image.
 * Tables find memory only: no file of this machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/os/os.h"
#include "server/conn.h"
#include "server/image.h"
#include "server/ndmd.h"

#define FDS 8
#define TURNS 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const struct ndm_store_ops *const stores[] = { &mem_store_ops, NULL };
static struct ndmd *server;		/* made once; empty before and after each input */

struct step {
	void (*fn)(struct step *) ndm_waits;
	bool done;
	struct image_reader reader;
	int fds[FDS], others[FDS];
	ino_t inodes[FDS];
	struct image image;
	int err;
};

static void no_line(void *arg, enum ndm_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void server_start(void)
{
	server = calloc(1, sizeof *server);
	server->log.level = NDM_LOG_ERROR;
	server->world = ndm_world_os();
	server->world->stores = stores;
	server->world->log.fn = no_line;
	server->workers = calloc(1, sizeof *server->workers);
	server->nworkers = 1;
	server->opt.max_connections = 10;
	if (worker_init(&server->workers[0], server, 0))
		abort();
	server->workers[0].bytes_max = 8u << 20;
}

/* ---- tasks ---- */

static void step_task(void *arg)
{
	struct step *s = arg;

	s->fn(s);
	s->done = true;
}

static void run(struct step *s, void (*fn)(struct step *) ndm_waits)
{
	s->fn = fn;
	s->done = false;
	ndm_spawn(server->workers[0].loop, "fuzz", step_task, s);
	while (!s->done)
		worker_turn(&server->workers[0]);
}

static void take_parcels(struct step *s, struct ndm_str *why) ndm_waits;
static void take_parcels(struct step *s, struct ndm_str *why)
{
	uint64_t n = image_number(&s->reader), nfds;
	unsigned used = 0;
	size_t bytes;

	for (; n && !s->err; n--) {
		struct image_reader parcel = { 0 };

		parcel.at = image_bytes(&s->reader, &bytes);
		parcel.end = parcel.at + bytes;
		nfds = image_number(&s->reader);
		if (s->reader.bad || nfds > FDS - used) {
			s->err = -EBADMSG;
			return;
		}
		s->err = parcel_unpack(server, &parcel, s->fds + used, (unsigned)nfds, why);
		used += (unsigned)nfds;
	}
	if (!s->err)
		image_remove_deferred(server);
}

static void make_step(struct step *s)
{
	struct ndm_str why = { 0 };

	s->err = image_make_devices(server, &s->reader, &why);
	if (!s->err)
		s->err = exports_unpack(server, &s->reader, true);
	if (!s->err && s->reader.bad)
		s->err = -EBADMSG;
	if (!s->err)
		take_parcels(s, &why);
	ndm_str_free(&why);
}

/* Connections are gone from the worker then; their ends here are closed. */
static void pack_step(struct step *s)
{
	struct ndm_str why = { 0 };
	struct image part = { 0 }, memories = { 0 };
	struct ndm_device *dev;
	unsigned i;

	s->err = image_pack_devices(server, &s->image, &why);
	for (dev = ndm_device_first(server->context); dev && !s->err; dev = ndm_device_next(dev)) {
		ndm_device_hold(dev);
		/* who has unflushed writes may refuse; none has, as nothing can be written here */
		s->err = image_recall(dev, &memories, &why);
		ndm_device_put(dev);
	}
	image_put_in_front(&s->image, &memories);
	exports_pack(server, &s->image);
	parcel_pack(&server->workers[0], &part);
	image_put_number(&s->image, 1);
	image_put(&s->image, part.bytes.text, part.bytes.len);
	image_put_number(&s->image, part.nfds);
	for (i = 0; i < part.nfds; i++)
		close(part.fds[i]);
	image_free(&part);
	ndm_str_free(&why);
}

static void clear_step(struct step *s)
{
	(void)s;
	volumes_remove_all(server);
}

/* ---- one image ---- */

static void set_out(struct step *s)
{
	struct ndm_loop *loop = server->workers[0].loop;
	struct stat st;
	int fd[2], i;

	server->context = ndm_context_new(&loop, 1);
	server->workers[0].parked = true;
	for (i = 0; i < FDS; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) ||
		    fstat(fd[0], &st))
			abort();
		s->fds[i] = fd[0];
		s->others[i] = fd[1];
		s->inodes[i] = st.st_ino;
	}
}

static void nothing(struct ndm_msg *msg)
{
	(void)msg;
}

/* The clients have said all, and take what they get; a device may make them wait for ever. */
static void go_on(struct step *s)
{
	static uint8_t room[1u << 20];
	struct ndm_msg msg = { .fn = nothing };
	unsigned turn, i;

	for (i = 0; i < FDS; i++)
		shutdown(s->others[i], SHUT_WR);
	parcel_unpark(&server->workers[0]);
	for (turn = 0; turn < TURNS && atomic_load(&server->nconns); turn++) {
		ndm_loop_post(server->workers[0].loop, &msg);
		worker_turn(&server->workers[0]);
		for (i = 0; i < FDS; i++)
			while (recv(s->others[i], room, sizeof room, MSG_DONTWAIT) > 0)
				;
	}
}

static void wake_step(struct step *s)
{
	(void)s;
	volumes_wake_suspended(server);
}

/* Nothing of it stays: clients go, then devices, then what belongs to exports and numbers. */
static void clear(struct step *s)
{
	struct worker *w = &server->workers[0];
	struct conn *c, *next;
	struct stat st;
	int i;

	for (c = w->conns; c; c = next) {
		next = c->next;
		conn_kill(c);
	}
	run(s, wake_step);
	while (atomic_load(&server->nconns))
		worker_turn(w);
	run(s, clear_step);
	if (ndm_device_first(server->context) || w->conns || w->dirty || w->again || w->finished ||
	    w->bytes || w->pool.used)
		abort();
	exports_free_rules(server);
	ndm_context_free(server->context);
	w->parked = false;
	for (i = 0; i < FDS; i++) {
		close(s->others[i]);
		if (!fstat(s->fds[i], &st) && st.st_ino == s->inodes[i])
			close(s->fds[i]);	/* nobody took it */
	}
}

static void feed(const uint8_t *data, size_t bytes, bool ends)
{
	struct step s = { 0 }, again = { 0 };
	char *copy = malloc(bytes + 1);		/* so that the sanitizer sees each byte too many */

	memcpy(copy, data, bytes);
	s.reader = (struct image_reader){ copy, copy + bytes, false };
	set_out(&s);
	run(&s, make_step);
	if (s.err || ends) {
		if (!s.err)
			go_on(&s);
		clear(&s);
		free(copy);
		return;
	}
	run(&s, pack_step);
	if (s.err)
		abort();
	clear(&s);
	free(copy);
	again.reader.at = s.image.bytes.text;
	again.reader.end = s.image.bytes.text + s.image.bytes.len;
	set_out(&again);
	run(&again, make_step);
	if (again.err == -EBADMSG || again.err == -EPROTO || again.err == -EINVAL ||
	    again.reader.at != again.reader.end)
		abort();
	clear(&again);
	image_free(&s.image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (!server)
		server_start();
	if (bytes)
		feed(data + 1, bytes - 1, data[0] & 1);
	return 0;
}
