/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-server.c - see nbd-server.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd-server.h"
#include "server/conn.h"
#include "server/ndmd.h"

static struct ndmd *server;		/* made once, used by every input */
static bool booted;

static void boot_task(void *arg)
{
	struct ndm_str why = { 0 };

	(void)arg;
	if (volumes_create(server, "e: 0 2048 linear mem:1M 0", &why))
		abort();
	server->opt.read_only = true;
	if (volumes_create(server, "ro: 0 100 zero", &why))
		abort();
	server->opt.read_only = false;
	booted = true;
}

static void server_start(void)
{
	struct ndm_loop *loop;

	server = calloc(1, sizeof *server);
	server->log.level = NDM_LOG_ERROR;	/* what a client does wrong is not worth a line here */
	server->world = ndm_world_os();
	server->workers = calloc(1, sizeof *server->workers);
	server->nworkers = 1;
	server->opt.max_connections = 10;
	if (worker_init(&server->workers[0], server, 0))
		abort();
	server->workers[0].bytes_max = 8u << 20;
	loop = server->workers[0].loop;
	server->context = ndm_context_new(&loop, 1);
	ndm_spawn(loop, "boot", boot_task, NULL);
	while (!booted)
		worker_turn(&server->workers[0]);
}

/* Takes what the server says, so that it never waits for us. */
static void drain(int fd)
{
	static uint8_t room[1u << 20];

	while (recv(fd, room, sizeof room, MSG_DONTWAIT) > 0)
		;
}

static void check_clean(void)
{
	struct worker *w = &server->workers[0];

	if (w->conns || w->dirty || w->again || w->finished || w->bytes || w->pool.used ||
	    (w->pool.area && w->pool.area->share.refs != 1))
		abort();
}

void nbd_server_feed(const uint8_t *data, size_t bytes, size_t piece)
{
	size_t done = 0, n;
	ssize_t put;
	int fd[2];

	if (!server)
		server_start();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd))
		abort();
	if (conn_new(&server->workers[0], fd[0], fd[0], strdup("fuzzer")))
		abort();
	while (atomic_load(&server->nconns)) {
		n = bytes - done < piece ? bytes - done : piece;
		put = n ? send(fd[1], data + done, n, MSG_NOSIGNAL) : 0;
		if (put > 0)
			done += (size_t)put;
		else if (n && (errno == EPIPE || errno == ECONNRESET))
			done = bytes;
		if (done == bytes)
			shutdown(fd[1], SHUT_WR);
		worker_turn(&server->workers[0]);
		drain(fd[1]);
	}
	close(fd[1]);
	check_clean();
}
