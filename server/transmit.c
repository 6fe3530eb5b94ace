/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transmit.c - requests come in: receive, cut into requests, check, submit.
 *
 * One receive takes whatever is there into an area shared by all connections of the thread.
 * A write whose payload is complete there is carried out from there; one that is not gets a
 * buffer of its own, into which the rest is received directly.  A client that streams large
 * writes is read header by header, so that its payload is not copied.
 *
 * Everything a client may send wrongly ends here: what leaves the stream in order gets an
 * error, what does not ends the connection.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "conn.h"
#include "meta.h"
#include "ndmd.h"
#include "tls.h"

#define BIG_WRITE_BYTES (32u << 10)		/* payloads worth a receive of their own */
#define SEND_EARLY_BYTES (128u << 10)		/* of replies, while requests are still parsed */
#define TURN_BYTES (1u << 20)			/* one connection in one turn; others wait */
#define STATUS_PAYLOAD_MAX 512u

struct header {
	uint16_t flags, type;
	uint64_t cookie, offset, length, payload;
};

static const struct command {
	const char *name;
	uint8_t op;			/* enum ndm_op */
	bool writes;
	uint16_t flags;			/* allowed ones; FUA always is */
	uint16_t needs;			/* transmission flag */
} commands[] = {
	[NBD_CMD_READ] = { "READ", NDM_READ, .flags = NBD_CMD_FLAG_DF },
	[NBD_CMD_WRITE] = { "WRITE", NDM_WRITE, true },
	[NBD_CMD_DISC] = { NULL },
	[NBD_CMD_FLUSH] = { "FLUSH", NDM_FLUSH },
	[NBD_CMD_TRIM] = { "TRIM", NDM_DISCARD, true, .needs = NBD_FLAG_SEND_TRIM },
	[NBD_CMD_CACHE] = { "CACHE", NDM_CACHE },
	[NBD_CMD_WRITE_ZEROES] = { "WRITE_ZEROES", NDM_ZEROES, true,
				   NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO },
	[NBD_CMD_BLOCK_STATUS] = { "BLOCK_STATUS", NDM_EXTENTS, .flags = NBD_CMD_FLAG_REQ_ONE },
};

/* ---- checking ---- */

static uint32_t check_flags(const struct conn *c, const struct header *h)
{
	uint16_t allowed = commands[h->type].flags | NBD_CMD_FLAG_FUA;

	if (c->mode == REPLY_EXTENDED &&
	    (h->type == NBD_CMD_WRITE || h->type == NBD_CMD_BLOCK_STATUS))
		allowed |= NBD_CMD_FLAG_PAYLOAD_LEN;
	if (!(c->tflags & NBD_FLAG_SEND_DF))
		allowed &= ~NBD_CMD_FLAG_DF;
	if (h->flags & ~allowed)
		return NBD_EINVAL;
	if (c->mode == REPLY_EXTENDED && h->type == NBD_CMD_WRITE &&
	    !(h->flags & NBD_CMD_FLAG_PAYLOAD_LEN))
		return NBD_EINVAL;
	return 0;
}

static uint32_t check_range(const struct conn *c, const struct header *h, uint64_t length)
{
	bool grows = h->type == NBD_CMD_WRITE || h->type == NBD_CMD_WRITE_ZEROES;

	if (h->type == NBD_CMD_FLUSH)
		return h->offset || length ? NBD_EINVAL : 0;
	if (length > c->size || h->offset > c->size - length)
		return grows ? NBD_ENOSPC : NBD_EINVAL;
	if ((h->type == NBD_CMD_READ || h->type == NBD_CMD_WRITE) && length > CONN_PAYLOAD_MAX)
		return NBD_EINVAL;
	return 0;
}

/* 0, or the error to answer with */
static uint32_t check(const struct conn *c, const struct header *h)
{
	uint32_t err;

	if (h->type >= sizeof commands / sizeof commands[0])
		return NBD_EINVAL;
	err = check_flags(c, h);
	if (err)
		return err;
	if (c->draining)
		return NBD_ESHUTDOWN;
	if (commands[h->type].writes && (c->tflags & NBD_FLAG_READ_ONLY))
		return NBD_EPERM;
	if (commands[h->type].needs & ~c->tflags)
		return NBD_EINVAL;
	if (h->type == NBD_CMD_BLOCK_STATUS) {
		if (!c->contexts || !h->length)
			return NBD_EINVAL;
		if (h->payload)			/* its length is in the payload */
			return h->payload > STATUS_PAYLOAD_MAX ? NBD_EINVAL : 0;
	}
	return check_range(c, h, h->length);
}

/* ---- submitting ---- */

/* The device may have become smaller than the client was told. */
static bool beyond_end(const struct request *r)
{
	uint64_t size = ndm_opener_store(r->conn->opener)->nr << NDM_SECTOR_SHIFT;

	return r->type != NBD_CMD_FLUSH && (r->length > size || r->offset > size - r->length);
}

static void io_done(struct ndm_io *io)
{
	struct request *r = (struct request *)io;
	uint32_t error = reply_errno(r, io->error);

	r->conn->worker->below--;
	r->conn->worker->ended++;
	if (error && beyond_end(r))
		error = r->type == NBD_CMD_WRITE || r->type == NBD_CMD_WRITE_ZEROES ? NBD_ENOSPC :
			NBD_EINVAL;
	if (error)
		reply_error(r, error);
	else
		reply_ok(r);
}

static uint16_t io_flags(const struct request *r)
{
	uint16_t flags = 0;

	if ((r->flags & NBD_CMD_FLAG_FUA) && commands[r->type].writes)
		flags |= NDM_FUA;
	if (r->type == NBD_CMD_WRITE_ZEROES) {
		if (r->flags & NBD_CMD_FLAG_NO_HOLE)
			flags |= NDM_NOUNMAP;
		if (r->flags & NBD_CMD_FLAG_FAST_ZERO)
			flags |= NDM_FAST;
	}
	return flags;
}

/* OpenSSL would touch the bytes itself; and what cannot be sent now would be copied after all. */
static bool may_borrow(const struct conn *c, const struct request *r)
{
	return r->type == NBD_CMD_READ && !c->tls && !c->writing;
}

static void submit(struct conn *c, struct request *r)
{
	if (!r->length && r->type != NBD_CMD_FLUSH) {
		reply_ok(r);			/* nothing of nothing */
		return;
	}
	if (r->type == NBD_CMD_BLOCK_STATUS && !(r->contexts & META_TYPE_IDS)) {
		reply_ok(r);			/* the targets know it without any I/O */
		return;
	}
	r->io.op = commands[r->type].op;
	r->io.flags = io_flags(r);
	r->io.offset = r->offset + r->taken;
	r->io.bytes = r->length - r->taken;
	r->io.data = (struct ndm_data){ .iov = &r->iov, .iovcnt = 1 };
	r->io.extents = &r->extents;
	r->io.source = NULL;
	r->io.loan = may_borrow(c, r) ? &r->loan : NULL;
	r->io.share = r->area ? &r->area->share : NULL;
	r->io.done = io_done;
	r->io.error = 0;
	c->worker->below++;
	ndm_io_submit(c->opener, &r->io);
}

/* A BLOCK_STATUS that names some of the negotiated contexts. */
static void submit_status(struct conn *c, struct request *r, const uint8_t *p, uint64_t bytes)
{
	struct header h = { .type = r->type, .offset = r->offset };
	uint32_t err, id, wanted = 0;

	if (bytes < 12 || bytes % 4) {
		reply_error(r, NBD_EINVAL);
		return;
	}
	r->length = nbd_get64(p);
	for (p += 8, bytes -= 8; bytes; p += 4, bytes -= 4) {
		id = nbd_get32(p);
		if (id >= 32 || !(c->contexts & 1u << id) || (wanted & 1u << id)) {
			reply_error(r, NBD_EINVAL);
			return;
		}
		wanted |= 1u << id;
	}
	r->contexts = wanted;
	request_drop_data(r);			/* the answer gets a buffer of its own */
	err = r->length ? check_range(c, &h, r->length) : NBD_EINVAL;
	if (err)
		reply_error(r, err);
	else
		submit(c, r);
}

/* What is written lies in a share, so that it need not be copied by whoever wants to keep it. */
static void buffer_share(struct conn *c, struct request *r)
{
	struct area *a = pool_area_around(&c->worker->pool, r->buf, r->buf_bytes);

	if (!a)
		return;
	r->area = a;
	r->buf = NULL;
}

static void payload_complete(struct conn *c, struct request *r, const uint8_t *payload,
			     uint64_t bytes)
{
	if (r->type == NBD_CMD_BLOCK_STATUS) {
		submit_status(c, r, payload, bytes);
		return;
	}
	if (r->buf)
		buffer_share(c, r);
	submit(c, r);
}

/* ---- one request ---- */

/* Takes what is there of the payload: `have` bytes at data, in area a.  Returns how many. */
static size_t take_payload(struct conn *c, struct request *r, uint64_t payload, struct area *a,
			   uint8_t *data, size_t have)
{
	c->big_writes = payload >= BIG_WRITE_BYTES;
	if (have >= payload) {
		r->iov = (struct iovec){ data, (size_t)payload };
		r->area = a;
		area_get(a);
		payload_complete(c, r, data, payload);
		return (size_t)payload;
	}
	if (!have && c->big_writes && pieces_begin(c, r))
		return 0;
	if (!request_buffer(r, payload)) {
		reply_error(r, NBD_ENOMEM);
		c->discard = payload - have;
		return have;
	}
	memcpy(r->buf, data, have);
	c->partial = r;
	c->partial_bytes = have;
	return have;
}

static size_t take_request(struct conn *c, const struct header *h, struct area *a, uint8_t *data,
			   size_t have)
{
	struct worker *w = c->worker;
	struct request *r = request_new(c, h->cookie);
	uint32_t err;

	if (!r) {
		conn_drop(c, "out of memory");
		return 0;
	}
	COUNT(w, requests, 1);
	r->type = h->type;
	r->flags = h->flags;
	r->offset = h->offset;
	r->length = h->length;
	r->contexts = c->contexts;
	err = check(c, h);
	if (err) {
		reply_error(r, err);
		c->discard = h->payload;	/* parse() drops what is there of it */
		return 0;
	}
	if (h->type == NBD_CMD_READ || h->type == NBD_CMD_WRITE) {
		r->charged = (size_t)h->length;
		c->bytes += r->charged;
		w->bytes += r->charged;
	}
	if (h->payload)
		return take_payload(c, r, h->payload, a, data, have);
	c->big_writes = false;
	if (h->type == NBD_CMD_READ && h->length && !request_buffer(r, h->length)) {
		reply_error(r, NBD_ENOMEM);
		return 0;
	}
	submit(c, r);
	return 0;
}

/* ---- cutting the stream into requests ---- */

static bool parse_header(struct conn *c, const uint8_t *p, struct header *h)
{
	bool extended = c->mode == REPLY_EXTENDED;
	uint32_t magic = nbd_get32(p);

	if (magic != (extended ? NBD_EXT_REQUEST_MAGIC : NBD_REQUEST_MAGIC)) {
		conn_drop(c, "bad request magic 0x%08x", magic);
		return false;
	}
	h->flags = nbd_get16(p + 4);
	h->type = nbd_get16(p + 6);
	h->cookie = nbd_get64(p + 8);
	h->offset = nbd_get64(p + 16);
	if (extended) {
		h->length = nbd_get64(p + 24);
		h->payload = h->flags & NBD_CMD_FLAG_PAYLOAD_LEN ? h->length : 0;
		if (h->payload > UINT32_MAX) {
			conn_drop(c, "a payload of %llu bytes", (unsigned long long)h->payload);
			return false;
		}
	} else {
		h->length = nbd_get32(p + 24);
		h->payload = h->type == NBD_CMD_WRITE ? h->length : 0;
	}
	return true;
}

static bool over_limit(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->in_flight >= CONN_REQUESTS_MAX || c->bytes >= CONN_BYTES_MAX ||
	    c->out_bytes >= CONN_UNSENT_MAX)
		return true;
	if (c->writing && c->lends)		/* read ahead of the client, it would be a copy */
		return true;
	if (w->bytes >= w->bytes_max && c->bytes) {
		w->starving = true;
		return true;
	}
	return false;
}

static void hold(struct conn *c, struct area *a, const uint8_t *p, size_t have)
{
	c->held = true;
	conn_read_off(c);
	if (!have)
		return;
	c->pending = a;
	c->pending_at = (size_t)(p - a->data);
	c->pending_bytes = have;
	area_get(a);
}

/* All requests in [p, p + have) of area a; the beginning of one more is kept. */
static void parse(struct conn *c, struct area *a, uint8_t *p, size_t have)
{
	unsigned header_bytes = c->mode == REPLY_EXTENDED ? NBD_EXT_REQUEST_BYTES : NBD_REQUEST_BYTES;
	struct header h;
	size_t n;

	while (!c->closing) {
		if (c->discard) {
			n = have < c->discard ? have : (size_t)c->discard;
			c->discard -= n;
			p += n;
			have -= n;
			if (c->discard)
				return;
		}
		if (c->partial)			/* it has taken all there was */
			return;
		if (over_limit(c)) {
			hold(c, a, p, have);
			return;
		}
		if (have < header_bytes) {
			memcpy(c->tail, p, have);
			c->tail_bytes = (unsigned)have;
			return;
		}
		if (!parse_header(c, p, &h))
			return;
		p += header_bytes;
		have -= header_bytes;
		if (h.type == NBD_CMD_DISC) {
			conn_log(c, NDM_LOG_DEBUG, "says good-bye");
			conn_close(c);
			return;
		}
		n = take_request(c, &h, a, p, have);
		p += n;
		have -= n;
		if (c->out_bytes >= SEND_EARLY_BYTES)
			reply_send(c);
	}
}

/* ---- receiving ---- */

static void partial_received(struct conn *c, size_t n)
{
	struct request *r = c->partial;

	c->partial_bytes += n;
	if (c->partial_bytes < r->buf_bytes)
		return;
	c->partial = NULL;
	payload_complete(c, r, r->buf, r->buf_bytes);
}

static void ended(struct conn *c, ssize_t err)
{
	if (err)
		conn_log(c, NDM_LOG_DEBUG, "cannot receive: %s", strerror((int)-err));
	if (c->partial || c->tail_bytes || c->discard)
		conn_log(c, NDM_LOG_WARNING, "went away in the middle of a request");
	if (err)
		conn_kill(c);
	else
		conn_close(c);			/* it may have closed its side only */
}

static void area_fill(struct area *a, size_t bytes)
{
	a->filled += (bytes + 63) & ~(size_t)63;	/* payloads do not share cache lines */
	if (a->filled > AREA_BYTES)
		a->filled = AREA_BYTES;
}

/* One receive, and all that was in it.  Returns whether more may be there at once. */
static bool receive(struct conn *c, size_t *turn_bytes)
{
	struct pool *pool = &c->worker->pool;
	struct area *a = pool_area(pool);
	size_t room, rest = 0, asked;
	struct iovec iov[2];
	uint8_t *start;
	int n = 0;
	ssize_t got;

	if (c->partial && c->partial->pieces)
		return pieces_receive(c, turn_bytes);
	if (!a) {
		conn_drop(c, "out of memory");
		return false;
	}
	start = a->data + a->filled;
	room = AREA_BYTES - a->filled;
	if (c->partial) {
		rest = c->partial->buf_bytes - c->partial_bytes;
		iov[n].iov_base = (uint8_t *)c->partial->buf + c->partial_bytes;
		iov[n++].iov_len = rest;
	}
	if (c->big_writes && !c->discard)
		room = c->mode == REPLY_EXTENDED ? NBD_EXT_REQUEST_BYTES : NBD_REQUEST_BYTES;
	memcpy(start, c->tail, c->tail_bytes);
	iov[n].iov_base = start + c->tail_bytes;
	iov[n++].iov_len = room - c->tail_bytes;
	asked = rest + room - c->tail_bytes;
	got = conn_recv(c, iov, n);
	if (got <= 0) {
		if (got != -EAGAIN)
			ended(c, got);
		return false;
	}
	COUNT(c->worker, bytes_in, (uint64_t)got);
	c->heard_tick = c->worker->idle_tick;
	*turn_bytes += (size_t)got;
	area_get(a);
	if (rest) {
		size_t mine = (size_t)got < rest ? (size_t)got : rest;

		partial_received(c, mine);
		room = (size_t)got - mine;
	} else {
		room = (size_t)got + c->tail_bytes;
		c->tail_bytes = 0;
	}
	area_fill(a, room);
	if (room)
		parse(c, a, start, room);
	area_put(a);
	return (size_t)got == asked || c->tls;
}

void transmit_readable(struct conn *c)
{
	size_t bytes = 0;

	while (!c->closing && !c->held && receive(c, &bytes))
		if (bytes >= TURN_BYTES) {
			if (c->tls)		/* the socket may have nothing more to say */
				worker_again(c);
			return;
		}
}

void transmit_again(struct conn *c)
{
	struct area *a = c->pending;

	if (c->closing || c->hs || c->worker->parked)
		return;
	if (c->held) {
		if (over_limit(c))
			return;
		c->held = false;
		c->pending = NULL;
		if (a) {
			parse(c, a, a->data + c->pending_at, c->pending_bytes);
			area_put(a);
		}
	}
	if (c->held || c->closing || (c->partial && c->partial->piece_out))
		return;
	conn_read_on(c);
	if (c->tls)
		transmit_readable(c);
}

/* A payload that has only begun to come; false: it is all there, or something else is wrong. */
static bool revive_partial(struct conn *c, uint8_t *p, size_t have)
{
	unsigned bytes = c->mode == REPLY_EXTENDED ? NBD_EXT_REQUEST_BYTES : NBD_REQUEST_BYTES;
	struct header h;
	size_t taken;

	if (have < bytes || c->discard)
		return false;
	if (!parse_header(c, p, &h))
		return true;
	have -= bytes;
	if (h.payload <= have)
		return false;
	taken = take_request(c, &h, NULL, p + bytes, have);
	if (c->discard)
		c->discard -= have - taken;
	return true;
}

void transmit_revive(struct conn *c)
{
	uint8_t *bytes = c->revive;
	struct area *a;

	c->heard_tick = c->worker->idle_tick;
	if (!bytes || c->closing)
		return;
	c->revive = NULL;
	if (!revive_partial(c, bytes, c->revive_bytes)) {
		a = pool_area_whole(&c->worker->pool);
		if (!a || c->revive_bytes > AREA_BYTES) {
			conn_drop(c, "too much at once");
		} else {
			memcpy(a->data, bytes, c->revive_bytes);
			area_get(a);
			area_fill(a, c->revive_bytes);
			parse(c, a, a->data, c->revive_bytes);
			area_put(a);
		}
	}
	free(bytes);
}

void transmit_start(struct conn *c, const uint8_t *received, size_t bytes)
{
	struct area *a;
	uint8_t *p;

	c->heard_tick = c->worker->idle_tick;
	conn_read_on(c);
	if (bytes) {				/* requests that came with the last option */
		a = pool_area(&c->worker->pool);
		if (!a || bytes > AREA_ROOM) {
			conn_drop(c, "too much at once");
			return;
		}
		p = a->data + a->filled;
		memcpy(p, received, bytes);
		area_get(a);
		area_fill(a, bytes);
		parse(c, a, p, bytes);
		area_put(a);
	}
	if (c->tls && !c->closing && !c->held)
		worker_again(c);
}
