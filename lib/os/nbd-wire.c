/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-wire.c - the transmission phase of NBD, spoken by ourselves.
 *
 * libnbd connects, negotiates and says goodbye.  In between it makes a system call for each
 * request, another for its payload, and two to five for each reply.  So where there is no TLS
 * (whose records only libnbd has) its socket is ours once it is ready: what was submitted in a
 * turn of the loop goes out in one sendmsg(), and one recvmsg() takes in as many replies as
 * there are.  Payload is sent from, and long payload received into, the caller's own memory.
 *
 * A server is not trusted: whatever it says that does not fit what it was asked ends the
 * connection with a reason, as if it had hung up.
 *
 * A request's cookie is its slot, and a serial number in the upper half, so that a late or
 * invented reply finds nobody.  While replies are taken in nothing is called that could submit
 * again: finished requests go to the connection's list (nbd-link.c ends them).
 */
#include <endian.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "nbd.h"

#define REQUEST_MAGIC 0x25609513u
#define SIMPLE_MAGIC 0x67446698u
#define CHUNK_MAGIC 0x668e33efu
#define SIMPLE_BYTES 16u
#define CHUNK_BYTES 20u

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_ZEROES, CMD_STATUS };
enum { FLAG_FUA = 1, FLAG_NO_HOLE = 2, FLAG_FAST_ZERO = 16 };
enum { CHUNK_NONE, CHUNK_DATA, CHUNK_HOLE, CHUNK_STATUS = 5, CHUNK_ERROR = 0x8000,
       CHUNK_ERROR_OFFSET = 0x8002 };
#define CHUNK_DONE 1u

#define IN_BYTES 65536u			/* the buffer for replies */
#define DIRECT_BYTES 32768u		/* as much payload to come: not through the buffer */
#define SLOTS_MIN 64u
#define NO_SLOT UINT32_MAX
#define SEND_IOVS 64u
#define DIRECT_IOVS 15u
#define ROUNDS_MAX 8u			/* of recvmsg, then others have their turn */

struct nbd_slot { struct nbd_req *r; uint32_t serial, next_free; };

static uint16_t get16(const unsigned char *p)
{
	uint16_t n;

	memcpy(&n, p, sizeof n);
	return be16toh(n);
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof n);
	return be32toh(n);
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof n);
	return be64toh(n);
}

static void die(struct nbd_conn *c, int err, const char *why)
{
	if (c->wire.dead)
		return;
	c->wire.dead = true;
	nbd_conn_why(c, err, why);
}

/* ---- slots ---- */

static bool slots_more(struct nbd_wire *w)
{
	uint32_t n = w->nslots ? w->nslots * 2 : SLOTS_MIN, i;
	struct nbd_slot *more = ndm_calloc(n, sizeof *more);

	if (!more)
		return false;
	if (w->nslots)
		memcpy(more, w->slots, w->nslots * sizeof *more);
	for (i = w->nslots; i < n; i++)
		more[i].next_free = i + 1 < n ? i + 1 : NO_SLOT;
	ndm_free(w->slots);
	w->free_slot = w->nslots;
	w->slots = more;
	w->nslots = n;
	return true;
}

static struct nbd_req *slot_find(const struct nbd_wire *w, uint64_t cookie)
{
	uint32_t slot = (uint32_t)cookie;

	if (slot >= w->nslots || w->slots[slot].serial != cookie >> 32)
		return NULL;
	return w->slots[slot].r;
}

static void finish(struct nbd_conn *c, struct nbd_req *r)
{
	struct nbd_slot *s = &c->wire.slots[(uint32_t)r->cookie];

	s->r = NULL;
	s->next_free = c->wire.free_slot;
	c->wire.free_slot = (uint32_t)r->cookie;
	nbd_reqs_del(&c->in_flight, r);
	c->nin_flight--;
	nbd_reqs_add(&c->finished, r);
}

/* ---- sending ---- */

static uint64_t bytes_of(const struct nbd_req *r)
{
	return r->nr * NDM_SECTOR_BYTES;
}

static struct ndm_data data_of(const struct nbd_req *r, uint64_t skip_bytes)
{
	return ndm_data_skip(r->bio->data,
			     (r->sector - r->bio->sector) * NDM_SECTOR_BYTES + skip_bytes);
}

static void header_write(struct nbd_req *r)
{
	static const uint16_t commands[] = {
		[NDM_READ] = CMD_READ, [NDM_WRITE] = CMD_WRITE, [NDM_FLUSH] = CMD_FLUSH,
		[NDM_DISCARD] = CMD_TRIM, [NDM_ZEROES] = CMD_ZEROES,
		[NDM_EXTENTS] = CMD_STATUS, [NDM_CACHE] = CMD_CACHE,
	};
	const struct ndm_bio *bio = r->bio;
	struct {
		uint32_t magic;
		uint16_t flags, type;
		uint64_t cookie, offset;
		uint32_t length;
	} __attribute__((packed)) head = {
		.magic = htobe32(REQUEST_MAGIC), .type = htobe16(commands[bio->op]),
		.cookie = htobe64(r->cookie),
	};
	unsigned flags = 0;

	if (bio->flags & NDM_FUA && bio->op != NDM_READ)
		flags |= FLAG_FUA;
	if (bio->op == NDM_ZEROES && bio->flags & NDM_NOUNMAP)
		flags |= FLAG_NO_HOLE;
	if (bio->op == NDM_ZEROES && bio->flags & NDM_FAST)
		flags |= FLAG_FAST_ZERO;
	head.flags = htobe16((uint16_t)flags);
	if (bio->op != NDM_FLUSH) {
		head.offset = htobe64(r->sector * NDM_SECTOR_BYTES);
		head.length = htobe32((uint32_t)bytes_of(r));
	}
	static_assert(sizeof head == sizeof r->head, "wire format");
	memcpy(r->head, &head, sizeof head);
}

int nbd_wire_send(struct nbd_req *r)
{
	struct nbd_conn *c = r->conn;
	struct nbd_wire *w = &c->wire;
	struct nbd_slot *s;

	if (w->free_slot == NO_SLOT && !slots_more(w))
		return -ENOMEM;
	s = &w->slots[w->free_slot];
	r->cookie = (uint64_t)++s->serial << 32 | w->free_slot;
	w->free_slot = s->next_free;
	s->r = r;
	r->got = 0;
	r->unsent = true;
	r->send_next = NULL;
	header_write(r);
	if (w->send_first)
		w->send_last->send_next = r;
	else
		w->send_first = r;
	w->send_last = r;
	if (!w->blocked)
		os_batch_add(c->store->base.loop, &w->batch);
	return 0;
}

/* The beginning of what waits to be sent; less than all of a request when its pieces are many. */
static unsigned gather(const struct nbd_wire *w, struct iovec *iov, size_t *bytes)
{
	size_t skip = w->sent_bytes, n, len;
	const struct nbd_req *r;
	unsigned i = 0;

	*bytes = 0;
	for (r = w->send_first; r && i + 2 <= SEND_IOVS; r = r->send_next, skip = 0) {
		size_t payload = r->bio->op == NDM_WRITE ? bytes_of(r) : 0;
		struct ndm_data data;

		if (skip < sizeof r->head) {
			n = sizeof r->head - skip;
			iov[i++] = (struct iovec){ (void *)(uintptr_t)(r->head + skip), n };
			*bytes += n;
			skip = 0;
		} else {
			skip -= sizeof r->head;
		}
		if (!payload)
			continue;
		data = data_of(r, skip);
		i += ndm_data_iov(&data, payload - skip, iov + i, SEND_IOVS - i, &len);
		*bytes += len;
		if (len < payload - skip)
			break;
	}
	return i;
}

static void sent(struct nbd_wire *w, size_t n)
{
	struct nbd_req *r;

	n += w->sent_bytes;
	while ((r = w->send_first)) {
		size_t all = sizeof r->head + (r->bio->op == NDM_WRITE ? bytes_of(r) : 0);

		if (n < all)
			break;
		n -= all;
		r->unsent = false;
		w->send_first = r->send_next;
	}
	w->sent_bytes = n;
}

static void flush(struct nbd_conn *c)
{
	struct nbd_wire *w = &c->wire;
	struct iovec iov[SEND_IOVS];
	struct msghdr m = { .msg_iov = iov };
	size_t bytes;
	ssize_t n;

	w->blocked = false;
	while (w->send_first && !w->dead && !w->blocked) {
		m.msg_iovlen = gather(w, iov, &bytes);
		n = sendmsg(c->watch.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			sent(w, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			die(c, -errno, NULL);
		w->blocked = n < 0 ? errno == EAGAIN : (size_t)n < bytes;
	}
}

static void flush_batch(struct os_batch *b)
{
	struct nbd_conn *c = ndm_container_of(b, struct nbd_conn, wire.batch);

	flush(c);
	nbd_conn_settle(c);
}

/* ---- what the server says ---- */

/* The protocol's numbers are Linux's, but not every number may come. */
static int error_of(uint32_t n)
{
	switch (n) {
	case 0: case EPERM: case EIO: case ENOMEM: case EINVAL: case ENOSPC: case EOVERFLOW:
	case EOPNOTSUPP:
		return -(int)n;
	case ESHUTDOWN:			/* a server that is about to go is as good as gone */
		return -ENOTCONN;
	default:
		return -EINVAL;
	}
}

static bool done(struct nbd_conn *c, struct nbd_req *r)
{
	if (r->unsent) {
		die(c, -EPROTO, "the server answered a request that it did not have");
		return false;
	}
	if (!r->error && r->bio->op == NDM_READ && r->got != bytes_of(r)) {
		die(c, -EPROTO, "the server sent less than was read");
		return false;
	}
	finish(c, r);
	return true;
}

/* The end of a chunk: false when the connection has ended over it. */
static bool chunk_end(struct nbd_conn *c)
{
	struct nbd_wire *w = &c->wire;
	struct nbd_req *r = w->cur;

	w->part = NBD_PART_HEAD;
	w->cur = NULL;
	return !w->cur_last || done(c, r);
}

/* Takes from payload that is to come; returns how many bytes. */
static size_t payload(struct nbd_conn *c, const unsigned char *p, size_t n)
{
	struct nbd_wire *w = &c->wire;
	struct ndm_data data;

	if (n > w->cur_left)
		n = w->cur_left;
	switch (w->part) {
	case NBD_PART_DATA:
		data = data_of(w->cur, w->cur_at);
		ndm_data_to(&data, n, p);
		w->cur_at += n;
		break;
	case NBD_PART_STATUS:
		if (n < 8)
			return 0;
		n = 8;
		nbd_extents_add(w->cur, &w->extents, get32(p), get32(p + 4));
		break;
	case NBD_PART_SKIP:
	case NBD_PART_HEAD:
		break;
	}
	w->cur_left -= n;
	if (!w->cur_left && !chunk_end(c))
		return 0;
	return n;
}

/* [offset, offset + n) of a read, in bytes of the export: is it within, and not too much? */
static bool read_range(struct nbd_conn *c, struct nbd_req *r, uint64_t offset, uint64_t n)
{
	uint64_t first = r->sector * NDM_SECTOR_BYTES;

	if (r->bio->op != NDM_READ || !n || offset < first || offset - first > bytes_of(r) ||
	    n > bytes_of(r) - (offset - first) || n > bytes_of(r) - r->got) {
		die(c, -EPROTO, "the server sent data that were not asked for");
		return false;
	}
	r->got += n;
	c->wire.cur_at = offset - first;
	return true;
}

/* What of a chunk belongs to its head beside the 20 bytes; UINT32_MAX: there is no such chunk. */
static uint32_t chunk_more(unsigned type, uint32_t length)
{
	switch (type) {
	case CHUNK_NONE:
		return length ? UINT32_MAX : 0;
	case CHUNK_DATA:
		return length > 8 ? 8 : UINT32_MAX;
	case CHUNK_HOLE:
		return length == 12 ? 12 : UINT32_MAX;
	case CHUNK_STATUS:
		return length >= 12 && length % 8 == 4 ? 4 : UINT32_MAX;
	default:
		return type & CHUNK_ERROR && length >= 6 ? 6 : UINT32_MAX;
	}
}

static bool chunk_take(struct nbd_conn *c, struct nbd_req *r, unsigned type, uint32_t length,
		       const unsigned char *p)
{
	struct nbd_wire *w = &c->wire;
	struct ndm_data data;

	w->cur = r;
	w->part = NBD_PART_SKIP;
	w->cur_left = length - chunk_more(type, length);
	switch (type) {
	case CHUNK_NONE:
		break;
	case CHUNK_DATA:
		w->part = NBD_PART_DATA;
		if (!read_range(c, r, get64(p), length - 8))
			return false;
		break;
	case CHUNK_HOLE:
		if (!read_range(c, r, get64(p), get32(p + 8)))
			return false;
		data = data_of(r, w->cur_at);
		ndm_data_zero(&data, get32(p + 8));
		break;
	case CHUNK_STATUS:
		if (r->bio->op != NDM_EXTENTS) {
			die(c, -EPROTO, "the server sent block status that was not asked for");
			return false;
		}
		w->part = NBD_PART_STATUS;
		nbd_extents_begin(r, &w->extents);
		break;
	default:
		if (!r->error)
			r->error = get32(p) ? error_of(get32(p)) : -EIO;
	}
	return w->cur_left || chunk_end(c);
}

/* One head of a reply: how many bytes it has; 0: not all of it is there, or all is over. */
static size_t head(struct nbd_conn *c, const unsigned char *p, size_t n)
{
	struct nbd_wire *w = &c->wire;
	bool simple;
	struct nbd_req *r;
	uint32_t more;

	if (n < SIMPLE_BYTES)
		return 0;
	simple = get32(p) == SIMPLE_MAGIC;
	if (!simple && (get32(p) != CHUNK_MAGIC || !w->structured)) {
		die(c, -EPROTO, "what the server sends is no NBD");
		return 0;
	}
	r = slot_find(w, get64(p + 8));
	if (!r || (simple && w->structured && r->bio->op == NDM_READ)) {
		die(c, -EPROTO, "the server sent a reply to nothing that was asked");
		return 0;
	}
	if (simple) {
		r->error = error_of(get32(p + 4));
		w->cur = r;
		w->cur_last = true;
		w->cur_left = r->bio->op == NDM_READ && !r->error ? bytes_of(r) : 0;
		w->part = NBD_PART_DATA;
		w->cur_at = 0;
		r->got = w->cur_left;
		return w->cur_left || chunk_end(c) ? SIMPLE_BYTES : 0;
	}
	if (n < CHUNK_BYTES)
		return 0;
	more = chunk_more(get16(p + 6), get32(p + 16));
	if (more == UINT32_MAX) {
		die(c, -EPROTO, "the server sent a piece of a reply that makes no sense");
		return 0;
	}
	if (n < CHUNK_BYTES + more)
		return 0;
	w->cur_last = get16(p + 4) & CHUNK_DONE;
	if (!chunk_take(c, r, get16(p + 6), get32(p + 16), p + CHUNK_BYTES))
		return 0;
	return CHUNK_BYTES + more;
}

static void parse(struct nbd_conn *c)
{
	struct nbd_wire *w = &c->wire;
	size_t at = 0, n;

	while (!w->dead && at < w->have) {
		n = w->part == NBD_PART_HEAD ? head(c, w->in + at, w->have - at)
		    : payload(c, w->in + at, w->have - at);
		if (!n)
			break;
		at += n;
	}
	memmove(w->in, w->in + at, w->have - at);
	w->have -= at;
}

/* ---- receiving ---- */

/* The rest of a long payload goes where it belongs, what follows it into the buffer. */
static unsigned scatter(struct nbd_wire *w, struct iovec *iov, size_t *direct)
{
	unsigned n = 0;

	*direct = 0;
	if (w->part == NBD_PART_DATA && !w->have && w->cur_left >= DIRECT_BYTES) {
		struct ndm_data data = data_of(w->cur, w->cur_at);

		n = ndm_data_iov(&data, w->cur_left, iov, DIRECT_IOVS, direct);
		if (*direct < w->cur_left)
			return n;
	}
	iov[n++] = (struct iovec){ w->in + w->have, IN_BYTES - w->have };
	return n;
}

static void received(struct nbd_conn *c, size_t n, size_t direct)
{
	struct nbd_wire *w = &c->wire;
	size_t placed = n < direct ? n : direct;

	w->have += n - placed;
	w->cur_at += placed;
	if (placed) {
		w->cur_left -= placed;
		if (!w->cur_left && !chunk_end(c))
			return;
	}
	parse(c);
}

static void receive(struct nbd_conn *c)
{
	struct nbd_wire *w = &c->wire;
	struct iovec iov[DIRECT_IOVS + 1];
	unsigned rounds, i;

	for (rounds = 0; rounds < ROUNDS_MAX && !w->dead; rounds++) {
		struct msghdr m = { .msg_iov = iov };
		size_t direct, room = 0;
		ssize_t n;

		m.msg_iovlen = scatter(w, iov, &direct);
		for (i = 0; i < m.msg_iovlen; i++)
			room += iov[i].iov_len;
		n = recvmsg(c->watch.fd, &m, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			die(c, n < 0 ? -errno : -ENOTCONN, n < 0 ? NULL : "the server hung up");
			return;
		}
		received(c, (size_t)n, direct);
		if ((size_t)n < room)
			return;
	}
}

void nbd_wire_event(struct nbd_conn *c, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(c);
	if (c->wire.blocked && events & EPOLLOUT)
		flush(c);
}

/* ---- beginning and end ---- */

/* Whether the socket is nothing but the protocol that this file knows. */
static bool is_plain(struct nbd_handle *h)
{
#ifdef LIBNBD_HAVE_NBD_GET_EXTENDED_HEADERS_NEGOTIATED
	if (nbd_get_extended_headers_negotiated(h) != 0)
		return false;
#endif
	return nbd_get_tls_negotiated(h) == 0;
}

void nbd_wire_start(struct nbd_conn *c)
{
	struct nbd_wire *w = &c->wire;

	if (!is_plain(c->h))
		return;
	*w = (struct nbd_wire){ .free_slot = NO_SLOT, .batch.fn = flush_batch };
	w->structured = nbd_get_structured_replies_negotiated(c->h) > 0;
	w->in = ndm_zalloc(IN_BYTES);
	w->on = w->in;				/* without memory libnbd goes on */
}

void nbd_wire_stop(struct nbd_conn *c)
{
	struct nbd_wire *w = &c->wire;

	if (!w->on)
		return;
	os_batch_remove(c->store->base.loop, &w->batch);
	ndm_free(w->slots);
	ndm_free(w->in);
	*w = (struct nbd_wire){ 0 };
}
