/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reply.c - requests end here: the reply is built in the request itself, queued on its
 * connection, and leaves with all others of the turn in one system call.
 *
 * A reply is `head` (in the request) and `body` (the data that the store has read, or the
 * text of a block status), never copied together.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "conn.h"
#include "meta.h"
#include "ndmd.h"

#define SEND_IOV 128				/* pieces of one system call */
#define HOLE_MIN_BYTES 512u			/* zeroes worth a chunk that says so */
#define PROBE_MIN_BYTES (32u << 10)		/* reads worth a system call to look for zeroes */
#define STATUS_EXTENTS_MAX 65536u		/* in one answer; the client asks for the rest */

/* ---- requests ---- */

struct request *request_new(struct conn *c, uint64_t cookie)
{
	struct request *r = pool_request_get(&c->worker->pool);

	if (!r)
		return NULL;
	r->conn = c;
	r->next = NULL;
	r->cookie = cookie;
	r->charged = 0;
	r->buf = NULL;
	r->area = NULL;
	r->extents = (struct ndm_extents){ 0 };
	r->loan.at = NULL;
	r->taken = 0;
	r->pieces = r->submitting = r->piece_out = false;
	r->body = NULL;
	r->body_bytes = 0;
	c->in_flight++;
	return r;
}

bool request_buffer(struct request *r, uint64_t bytes)
{
	r->buf_bytes = (size_t)bytes;
	r->buf = pool_get(&r->conn->worker->pool, r->buf_bytes);
	r->iov = (struct iovec){ r->buf, r->buf_bytes };
	return r->buf != NULL;
}

/* The connections that this worker's byte limit has stopped may try again. */
static void feed_starved(struct worker *w)
{
	struct conn *c;

	w->starving = false;
	for (c = w->conns; c; c = c->next)
		if (c->held)
			worker_again(c);
}

void request_drop_data(struct request *r)
{
	struct pool *pool = &r->conn->worker->pool;

	if (r->area)
		area_put(r->area);
	r->area = NULL;
	if (r->buf)
		pool_put(pool, r->buf, r->buf_bytes);
	r->buf = NULL;
	if (r->extents.list)
		ndm_extents_free(&r->extents);
}

void request_free(struct request *r)
{
	struct conn *c = r->conn;
	struct worker *w = c->worker;

	request_drop_data(r);
	c->in_flight--;
	c->bytes -= r->charged;
	w->bytes -= r->charged;
	pool_request_put(&w->pool, r);
	if (c->held)
		worker_again(c);
	if (w->starving && w->bytes < w->bytes_max)
		feed_starved(w);
	if (!c->in_flight) {
		if (c->draining && !c->closing)
			conn_close(c);
		else
			conn_check_end(c);
	}
}

/* ---- heads ---- */

static void reply_queue(struct request *r)
{
	struct conn *c = r->conn;

	if (c->dead) {
		request_free(r);
		return;
	}
	r->next = NULL;
	if (c->out)
		c->out_last->next = r;
	else
		c->out = r;
	c->out_last = r;
	if (r->loan.at)
		c->lent++;
	c->out_bytes += r->head_bytes + r->body_bytes;
	worker_dirty(c);
}

static uint8_t *put_chunk(const struct request *r, uint8_t *p, uint16_t flags, uint16_t type,
			  uint64_t bytes)
{
	bool extended = r->conn->mode == REPLY_EXTENDED;

	p = nbd_put32(p, extended ? NBD_EXT_CHUNK_MAGIC : NBD_CHUNK_MAGIC);
	p = nbd_put16(p, flags);
	p = nbd_put16(p, type);
	p = nbd_put64(p, r->cookie);
	if (!extended)
		return nbd_put32(p, (uint32_t)bytes);
	p = nbd_put64(p, r->offset);
	return nbd_put64(p, bytes);
}

static void head_simple(struct request *r, uint32_t error)
{
	uint8_t *p = r->head;

	p = nbd_put32(p, NBD_SIMPLE_MAGIC);
	p = nbd_put32(p, error);
	p = nbd_put64(p, r->cookie);
	r->head_bytes = NBD_SIMPLE_BYTES;
}

/* With structured replies only READ and BLOCK_STATUS need chunks; a simple one is shorter. */
static bool wants_chunks(const struct request *r)
{
	if (r->conn->mode == REPLY_EXTENDED)
		return true;
	return r->conn->mode == REPLY_STRUCTURED &&
	       (r->type == NBD_CMD_READ || r->type == NBD_CMD_BLOCK_STATUS);
}

static void head_error(struct request *r, uint32_t error)
{
	uint8_t *p;

	COUNT(r->conn->worker, replies_failed, 1);
	request_drop_data(r);
	r->loan.at = NULL;
	r->body_bytes = 0;
	if (!wants_chunks(r)) {
		head_simple(r, error);
	} else {
		p = put_chunk(r, r->head, NBD_CHUNK_FLAG_DONE, NBD_CHUNK_ERROR, 6);
		p = nbd_put32(p, error);
		p = nbd_put16(p, 0);
		r->head_bytes = (unsigned)(p - r->head);
	}
}

void reply_error(struct request *r, uint32_t error)
{
	head_error(r, error);
	reply_queue(r);
}

/* ---- loans ---- */

/*
 * The body from byte `from` on becomes the request's own.  0, or -errno: the file has become
 * shorter, or cannot be read.
 */
static int loan_copy(struct request *r, size_t from)
{
	uint8_t *to = r->buf;
	ssize_t got;

	if (r->loan.fd < 0) {
		memcpy(to + from, r->body + from, r->body_bytes - from);
		from = r->body_bytes;
	}
	for (; from < r->body_bytes; from += (size_t)got) {
		got = pread(r->loan.fd, to + from, r->body_bytes - from,
			    (off_t)(r->loan.offset + from));
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got <= 0)
			return got ? -errno : -EIO;
	}
	r->body = to;
	r->loan.at = NULL;
	return 0;
}

/* Data that is not zero mostly says so with its first bytes. */
static bool all_zero(const uint8_t *p, size_t bytes)
{
	uint64_t word;

	if (bytes < HOLE_MIN_BYTES)
		return false;
	memcpy(&word, p, sizeof word);
	return !word && !memcmp(p, p + sizeof word, bytes - sizeof word);
}

/*
 * Zeroes are worth a chunk of their own, loan or not; but only memory of this process may be
 * looked at.  Of a file's pages the kernel shows us the first ones, where that costs little.
 */
static bool body_is_zero(struct request *r)
{
	uint64_t first;

	if (!r->loan.at || r->loan.fd < 0)
		return all_zero(r->body, r->length);
	if (r->length < PROBE_MIN_BYTES ||
	    pread(r->loan.fd, &first, sizeof first, (off_t)r->loan.offset) != sizeof first || first)
		return false;
	return !loan_copy(r, 0) && all_zero(r->body, r->length);
}

static void head_read(struct request *r)
{
	uint8_t *p;

	r->body = r->loan.at ? r->loan.at : r->buf;
	r->body_bytes = r->length;
	r->conn->lends = r->loan.at != NULL;
	if (!wants_chunks(r)) {
		head_simple(r, 0);
		return;
	}
	if (!r->length) {			/* a data chunk must not be empty */
		p = put_chunk(r, r->head, NBD_CHUNK_FLAG_DONE, NBD_CHUNK_NONE, 0);
	} else if (!(r->flags & NBD_CMD_FLAG_DF) && body_is_zero(r)) {
		p = put_chunk(r, r->head, NBD_CHUNK_FLAG_DONE, NBD_CHUNK_OFFSET_HOLE, 12);
		p = nbd_put64(p, r->offset);
		p = nbd_put32(p, (uint32_t)r->length);
		request_drop_data(r);
		r->loan.at = NULL;
		r->body_bytes = 0;
	} else {
		p = put_chunk(r, r->head, NBD_CHUNK_FLAG_DONE, NBD_CHUNK_OFFSET_DATA,
			      8 + r->length);
		p = nbd_put64(p, r->offset);
	}
	r->head_bytes = (unsigned)(p - r->head);
}

/* ---- block status ---- */

/* One extent in bytes within the request; false: not in it. */
static bool extent_clip(const struct request *r, const struct ndm_extent *e, uint64_t *bytes)
{
	uint64_t from = e->sector << NDM_SECTOR_SHIFT, to = from + (e->nr << NDM_SECTOR_SHIFT);
	uint64_t end = r->offset + r->length;

	if (from < r->offset)
		from = r->offset;
	if (to > end)
		to = end;
	*bytes = to - from;
	return from < to;
}

static uint8_t *put_extent(const struct request *r, uint8_t *p, uint64_t bytes, uint32_t flags)
{
	if (r->conn->mode == REPLY_EXTENDED) {
		p = nbd_put64(p, bytes);
		return nbd_put64(p, flags);
	}
	p = nbd_put32(p, (uint32_t)bytes);
	return nbd_put32(p, flags);
}

/* One chunk; neighbours that look the same in this context become one. */
static uint8_t *put_status(const struct request *r, uint8_t *chunk, unsigned id, uint16_t flags,
			   const struct ndm_extents *e)
{
	bool extended = r->conn->mode == REPLY_EXTENDED;
	uint8_t *p = chunk + (extended ? NBD_EXT_CHUNK_BYTES + 8 : NBD_CHUNK_BYTES + 4);
	uint8_t *count = p - 4, *first = p;
	uint64_t bytes, run = 0;
	uint32_t state = 0, next;
	unsigned i, extents = 0;

	for (i = 0; i < e->n && i < STATUS_EXTENTS_MAX; i++) {
		if (!extent_clip(r, &e->list[i], &bytes))
			continue;
		next = meta_state(id, e->list[i].type);
		if (run && next != state) {
			p = put_extent(r, p, run, state);
			run = 0;
			extents++;
			if (r->flags & NBD_CMD_FLAG_REQ_ONE)
				break;
		}
		state = next;
		run += bytes;
	}
	if (run || p == first) {		/* nothing known: data, which is always true */
		p = put_extent(r, p, run ? run : r->length, run ? state : 0);
		extents++;
	}
	put_chunk(r, chunk, flags, extended ? NBD_CHUNK_BLOCK_STATUS_EXT : NBD_CHUNK_BLOCK_STATUS,
		  (uint64_t)(p - first) + (extended ? 8 : 4));
	nbd_put32(extended ? count - 4 : count, id);
	if (extended)
		nbd_put32(count, extents);
	return p;
}

/* What targets tell by themselves, one list for each such context that was asked for. */
static void ask_targets(const struct request *r, struct ndm_extents told[META_MAX])
{
	uint64_t first = r->offset >> NDM_SECTOR_SHIFT;
	uint64_t end = (r->offset + r->length + NDM_SECTOR_BYTES - 1) >> NDM_SECTOR_SHIFT;
	unsigned max = r->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : STATUS_EXTENTS_MAX, id;

	for (id = 0; id < META_MAX; id++)
		if ((r->contexts & 1u << id) && meta_number(id) >= 0)
			ndm_meta_query(r->conn->opener, (unsigned)meta_number(id), first,
				       end - first, max, &told[id]);
}

static size_t status_bytes(const struct request *r, const struct ndm_extents told[META_MAX])
{
	size_t bytes = 0, n;
	unsigned id;

	for (id = 0; id < META_MAX; id++) {
		if (!(r->contexts & 1u << id))
			continue;
		n = meta_number(id) < 0 ? r->extents.n : told[id].n;
		if (n > STATUS_EXTENTS_MAX)
			n = STATUS_EXTENTS_MAX;
		bytes += NBD_EXT_CHUNK_BYTES + 8 + (n + 1) * 16;
	}
	return bytes;
}

static bool body_status(struct request *r)
{
	unsigned left = (unsigned)__builtin_popcount(r->contexts), id;
	struct ndm_extents told[META_MAX] = { 0 };
	uint8_t *p;

	ndm_extents_finish(&r->extents, r->offset >> NDM_SECTOR_SHIFT);
	if (r->contexts & ~META_TYPE_IDS)
		ask_targets(r, told);
	r->buf_bytes = status_bytes(r, told);
	p = r->buf = pool_get(&r->conn->worker->pool, r->buf_bytes);
	for (id = 0; p && left; id++)
		if (r->contexts & 1u << id)
			p = put_status(r, p, id, --left ? 0 : NBD_CHUNK_FLAG_DONE,
				       meta_number(id) < 0 ? &r->extents : &told[id]);
	for (id = 0; id < META_MAX; id++)
		if (told[id].list)
			ndm_extents_free(&told[id]);
	if (!p)
		return false;
	r->head_bytes = 0;
	r->body = r->buf;
	r->body_bytes = (size_t)(p - (uint8_t *)r->buf);
	ndm_extents_free(&r->extents);
	return true;
}

/* ---- the end of a request ---- */

void reply_ok(struct request *r)
{
	switch (r->type) {
	case NBD_CMD_READ:
		head_read(r);
		break;
	case NBD_CMD_BLOCK_STATUS:
		if (!body_status(r)) {
			reply_error(r, NBD_ENOMEM);
			return;
		}
		break;
	default:
		request_drop_data(r);
		if (wants_chunks(r))
			r->head_bytes = (unsigned)(put_chunk(r, r->head, NBD_CHUNK_FLAG_DONE,
							     NBD_CHUNK_NONE, 0) - r->head);
		else
			head_simple(r, 0);
	}
	reply_queue(r);
}

uint32_t reply_errno(const struct request *r, int err)
{
	switch (-err) {
	case 0:
		return 0;
	case EPERM:
	case EACCES:
	case EROFS:
		return NBD_EPERM;
	case ENOMEM:
		return NBD_ENOMEM;
	case EINVAL:
		return NBD_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBD_ENOSPC;
	case ESHUTDOWN:
		return NBD_ESHUTDOWN;
	case EOPNOTSUPP:
		if (r->type == NBD_CMD_TRIM || r->type == NBD_CMD_CACHE)
			return 0;		/* hints: to do nothing is to obey */
		return r->flags & NBD_CMD_FLAG_FAST_ZERO ? NBD_ENOTSUP : NBD_EINVAL;
	default:
		return NBD_EIO;
	}
}

/* ---- sending ---- */

static int gather(struct conn *c, struct iovec *iov, uint8_t *scratch, size_t room, size_t *total)
{
	size_t skip = c->out_done;
	struct request *r;
	int n = 0;

	*total = 0;
	for (r = c->out; r && n + 2 <= SEND_IOV; r = r->next) {
		size_t head = r->head_bytes, body = r->body_bytes, from_head, from_body;

		from_head = skip < head ? skip : head;
		from_body = skip - from_head;
		skip = 0;
		head -= from_head;
		body -= from_body;
		*total += head + body;
		if (head && !body && head <= room) {	/* small ones, side by side */
			memcpy(scratch, r->head + from_head, head);
			if (n && (uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len == scratch) {
				iov[n - 1].iov_len += head;
			} else {
				iov[n].iov_base = scratch;
				iov[n++].iov_len = head;
			}
			scratch += head;
			room -= head;
			continue;
		}
		if (head) {
			iov[n].iov_base = r->head + from_head;
			iov[n++].iov_len = head;
		}
		if (body) {
			iov[n].iov_base = (void *)(uintptr_t)(r->body + from_body);
			iov[n++].iov_len = body;
		}
	}
	return n;
}

static void sent(struct conn *c, size_t bytes)
{
	struct request *r;

	c->out_bytes -= bytes;
	bytes += c->out_done;
	while ((r = c->out) && bytes >= r->head_bytes + r->body_bytes) {
		bytes -= r->head_bytes + r->body_bytes;
		c->out = r->next;
		if (r->loan.at)
			c->lent--;
		request_free(r);
	}
	c->out_done = bytes;
}

/* A reply that is queued turns out to be an error.  False: the client has seen too much of it. */
static bool reply_turn(struct conn *c, struct request *r, int err)
{
	if (r == c->out && c->out_done)
		return false;
	c->out_bytes -= r->head_bytes + r->body_bytes;
	head_error(r, reply_errno(r, err));
	c->out_bytes += r->head_bytes;
	return true;
}

void reply_settle(struct conn *c)
{
	struct request *r;
	size_t done = c->out_done;
	int err;

	for (r = c->out; r && c->lent; r = r->next, done = 0) {
		if (!r->loan.at)
			continue;
		c->lent--;
		err = loan_copy(r, done > r->head_bytes ? done - r->head_bytes : 0);
		if (err && !reply_turn(c, r, err)) {
			conn_log(c, NDM_LOG_WARNING, "half a reply was sent when its data went away");
			conn_kill(c);
			return;
		}
	}
}

void reply_send(struct conn *c)
{
	struct iovec iov[SEND_IOV];
	uint8_t scratch[2048];
	size_t total;
	ssize_t put;
	int n;

	while (c->out && !c->writing && !c->dead) {
		n = gather(c, iov, scratch, sizeof scratch, &total);
		put = conn_send(c, iov, n);
		if (put == -EAGAIN) {
			if (conn_make_room(c))
				continue;
			conn_write_on(c);
			return;
		}
		if (put == -EFAULT && c->lent) {	/* a file has become shorter: who reads it? */
			reply_settle(c);
			continue;
		}
		if (put < 0) {
			conn_log(c, NDM_LOG_DEBUG, "cannot send: %s", strerror((int)-put));
			conn_kill(c);
			return;
		}
		COUNT(c->worker, bytes_out, (uint64_t)put);
		sent(c, (size_t)put);
		if ((size_t)put < total && !c->tls && !conn_make_room(c)) {
			conn_write_on(c);
			return;
		}
	}
}

void reply_drop_all(struct conn *c)
{
	struct request *r;

	while ((r = c->out)) {
		c->out = r->next;
		request_free(r);
	}
	c->out_bytes = c->out_done = 0;
	c->lent = 0;
}
