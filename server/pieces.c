/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pieces.c - a large write goes to the store as it comes, straight from the socket.
 *
 * Where the store is memory (or tmpfs) the kernel can put the payload where it belongs, and
 * nothing is copied twice.  But a device must not wait for a client: so each piece is a write
 * of its own, of bytes that the socket has already, and is over when its submission returns.
 * Between two pieces tables may change and the device may be suspended.
 *
 * A store that does not know this says so before anything was taken; then the rest of the
 * payload is received as always.  A block that has only begun to come goes through a buffer.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "conn.h"
#include "ndmd.h"

#define PIECE_ALIGN 4096u			/* a block: pieces end at multiples of it, but for the last */
#define PAUSE_WRITES 16u			/* not tried again for so many, once refused */

static struct request *request_of(struct ndm_source *source)
{
	return (struct request *)((char *)source - offsetof(struct request, source));
}

/* All of it is there, as the kernel has told. */
static int take(struct ndm_source *source, void *to, size_t bytes)
{
	struct conn *c = request_of(source)->conn;
	struct iovec iov = { to, bytes };
	ssize_t got = c->dead ? -EIO : conn_recv(c, &iov, 1);

	if (got < 0)
		return (int)got;
	source->taken = true;
	return (size_t)got == bytes ? 0 : -EIO;
}

bool pieces_begin(struct conn *c, struct request *r)
{
	uint32_t block = ndm_opener_store(c->opener)->limits.logical_block_bytes;

	if (c->piece_pause) {
		c->piece_pause--;
		return false;
	}
	if (r->type != NBD_CMD_WRITE || r->flags & NBD_CMD_FLAG_FUA || c->tls || c->plain_files ||
	    block > PIECE_ALIGN || r->offset % block || r->length % block)
		return false;
	r->pieces = true;
	r->source.take = take;
	c->partial = r;
	c->partial_bytes = 0;
	return true;
}

/* The rest of the payload, into a buffer: what c->partial_bytes counts from now on. */
static void receive_rest(struct conn *c, struct request *r)
{
	uint64_t rest = r->length - r->taken;

	r->pieces = false;
	c->partial_bytes = 0;
	if (request_buffer(r, rest))
		return;
	c->partial = NULL;
	c->discard = rest;
	reply_error(r, NBD_ENOMEM);
}

/* What has become of a piece, once it is over. */
static void piece_over(struct conn *c, struct request *r)
{
	uint64_t bytes = r->io.bytes, rest = r->length - r->taken - bytes;

	if (r->io.error && r->buf) {
		c->partial = NULL;
		c->discard = rest;
		reply_error(r, reply_errno(r, r->io.error));
		return;
	}
	if (r->io.error && !r->source.taken) {
		c->piece_pause = PAUSE_WRITES;
		receive_rest(c, r);
		return;
	}
	if (r->io.error) {
		/* the store took some of it: where the stream stands now nobody knows */
		conn_log(c, NDM_LOG_WARNING, "cannot put a write where it belongs: %s",
			 strerror(-r->io.error));
		conn_kill(c);
		return;
	}
	if (!r->buf)
		COUNT(c->worker, bytes_in, bytes);
	request_drop_data(r);
	r->taken += bytes;
	if (rest)
		return;
	c->partial = NULL;
	r->pieces = false;
	reply_ok(r);
}

static void piece_done(struct ndm_io *io)
{
	struct request *r = (struct request *)io;
	struct conn *c = r->conn;

	r->piece_out = false;
	if (r->submitting)
		return;
	if (c->closing) {			/* the connection has let go of it */
		request_free(r);
		return;
	}
	piece_over(c, r);
	if (!c->closing)
		worker_again(c);
}

/* Nothing is there although the socket is readable: is this the end? */
static bool has_ended(struct conn *c)
{
	ssize_t got;
	char byte;

	do {
		got = recv(c->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
	} while (got < 0 && errno == EINTR);
	return !got || (got < 0 && errno != EAGAIN);
}

static bool submit(struct conn *c, struct request *r, struct ndm_source *source, uint64_t bytes)
{
	r->source.taken = false;
	r->io = (struct ndm_io){
		.op = NDM_WRITE, .offset = r->offset + r->taken, .bytes = bytes,
		.data = { .iov = &r->iov, .iovcnt = source ? 0 : 1 },
		.source = source, .done = piece_done,
	};
	r->submitting = r->piece_out = true;
	ndm_io_submit(c->opener, &r->io);
	r->submitting = false;
	if (r->piece_out) {			/* the device is suspended: piece_done() goes on */
		conn_read_off(c);
		return false;
	}
	piece_over(c, r);
	return true;
}

/* A block of which the socket has the beginning only. */
static bool receive_block(struct conn *c, struct request *r, size_t *turn_bytes)
{
	struct iovec iov = { (uint8_t *)r->buf + c->partial_bytes, r->buf_bytes - c->partial_bytes };
	ssize_t got = conn_recv(c, &iov, 1);

	if (got == -EAGAIN)
		return false;
	if (got <= 0) {				/* heard again there, and told */
		r->pieces = false;
		return true;
	}
	COUNT(c->worker, bytes_in, (uint64_t)got);
	*turn_bytes += (size_t)got;
	c->partial_bytes += (size_t)got;
	return c->partial_bytes < r->buf_bytes || submit(c, r, NULL, r->buf_bytes);
}

static bool begin_block(struct conn *c, struct request *r, uint64_t rest)
{
	c->partial_bytes = 0;
	if (!request_buffer(r, rest < PIECE_ALIGN ? rest : PIECE_ALIGN))
		receive_rest(c, r);
	return true;
}

bool pieces_receive(struct conn *c, size_t *turn_bytes)
{
	struct request *r = c->partial;
	uint64_t rest = r->length - r->taken;
	int there = 0;

	c->heard_tick = c->worker->idle_tick;
	if (r->buf)
		return receive_block(c, r, turn_bytes);
	if (ioctl(c->fd, FIONREAD, &there) || (!there && has_ended(c))) {
		receive_rest(c, r);		/* and hear there what is wrong */
		return true;
	}
	if (!there)
		return false;
	if ((uint64_t)there < rest && there < (int)PIECE_ALIGN)
		return begin_block(c, r, rest);
	if ((uint64_t)there < rest)
		rest = (uint64_t)there & ~(uint64_t)(PIECE_ALIGN - 1);
	*turn_bytes += rest;
	return submit(c, r, &r->source, rest);
}
