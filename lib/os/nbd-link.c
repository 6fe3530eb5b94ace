/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-link.c - connections of an NBD store: made without blocking the loop, lost, and made
 * again.
 *
 * A connection rests, is being resolved by a worker (the look-up of a name may block),
 * negotiates, and is ready.  When it dies all that was in flight on it ends with -ENOTCONN,
 * and it is tried again after a pause: 100 ms at first, doubled up to 5 s, give or take a
 * quarter so that many clients of one server do not come back in step.
 *
 * Where connections see each other's writes, and block status is to be had, the first one is kept
 * for that, and data go over others, with simple replies: a structured one costs the server a
 * system call more, and both sides another piece in the socket.  The first one stands in while no
 * other is there, and goes when the last of them does.
 *
 * A server that comes back must offer what it offered: a different size, a missing ability or
 * an export turned read-only keeps the connection down, with the reason in the log; it is
 * asked again as after any failure, for the right server may return.
 *
 * libnbd makes the connection, and carries the requests where nbd-wire.c cannot (TLS).  It
 * holds a handle's lock while it calls back, so nothing that may submit again runs
 * there: callbacks put requests on a list, nbd_conn_settle() ends them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "nbd.h"

#define PAUSE_MIN_NS ((uint64_t)100 * 1000000u)
#define PAUSE_MAX_NS ((uint64_t)5000 * 1000000u)

static void conn_failed(struct nbd_conn *c);

/* ---- reasons ---- */

void nbd_conn_why(struct nbd_conn *c, int err, const char *why)
{
	c->err = err ? err : -EIO;
	snprintf(c->why, sizeof c->why, "%s", why ? why : strerror(-c->err));
}

/* libnbd's last error is the calling thread's own: asked right after the call that failed. */
static void conn_why_nbd(struct nbd_conn *c)
{
	const char *text = nbd_get_error();
	int err = nbd_get_errno();

	nbd_conn_why(c, err ? -err : -ENOTCONN, text ? text : "the server hung up");
}

/* ---- making one ---- */

/* On a worker; nobody else touches the handle meanwhile. */
static int resolve(void *arg)
{
	struct nbd_conn *c = arg;
	struct nbd_handle *h = nbd_create();

	if (!h) {
		conn_why_nbd(c);
		return c->err;
	}
	/* what a table names is the administrator's word, key files included */
	if (nbd_set_uri_allow_local_file(h, true) ||
	    (c->plain && nbd_set_request_structured_replies(h, false)) || nbd_set_pread_initialize(h, false) ||
	    nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) ||
	    nbd_aio_connect_uri(h, c->store->uri)) {
		conn_why_nbd(c);
		nbd_close(h);
		return c->err;
	}
	c->h = h;
	return 0;
}

static bool store_resolving(const struct nbd_store *st)
{
	unsigned i;

	for (i = 0; i < st->nconns; i++)
		if (st->conns[i].state == NBD_RESOLVE)
			return true;
	return false;
}

static void store_free(struct nbd_store *st)
{
	struct nbd_req *r;

	while ((r = st->free_reqs)) {
		st->free_reqs = r->next;
		ndm_free(r);
	}
	ndm_free(st->uri);
	ndm_free(st);
}

static uint32_t direction(const struct nbd_conn *c)
{
	unsigned d;
	uint32_t events = 0;

	if (c->wire.on)
		return c->wire.blocked ? EPOLLIN | EPOLLOUT : EPOLLIN;
	d = nbd_aio_get_direction(c->h);
	if (d & LIBNBD_AIO_DIRECTION_READ)
		events |= EPOLLIN;
	if (d & LIBNBD_AIO_DIRECTION_WRITE)
		events |= EPOLLOUT;
	return events;
}

static void conn_unwatch(struct nbd_conn *c)
{
	if (c->watch.fd < 0)
		return;
	os_watch_remove(c->store->base.loop, &c->watch);
	c->watch.fd = -1;
}

static void conn_close(struct nbd_conn *c)
{
	conn_unwatch(c);
	ndm_timer_cancel(&c->timer);
	nbd_wire_stop(c);
	if (c->h)
		nbd_close(c->h);
	c->h = NULL;
}

static bool conn_watch(struct nbd_conn *c)
{
	int fd;

	if (c->watch.fd >= 0) {
		os_watch_change(c->store->base.loop, &c->watch, direction(c));
		return true;
	}
	fd = nbd_aio_get_fd(c->h);
	if (fd < 0)
		return false;
	c->watch.fd = fd;
	c->watch.events = direction(c);
	if (os_watch_add(c->store->base.loop, &c->watch)) {
		c->watch.fd = -1;
		return false;
	}
	return true;
}

static void conn_event(struct os_watch *w, uint32_t events)
{
	struct nbd_conn *c = ndm_container_of(w, struct nbd_conn, watch);
	unsigned d;
	int err = 0;

	if (c->wire.on) {
		nbd_wire_event(c, events);
		nbd_conn_settle(c);
		return;
	}
	d = nbd_aio_get_direction(c->h);
	/* A connection being made may close its socket and try the next address; the watch must
	 * not outlive the fd whose number it knows. */
	if (c->state == NBD_NEGOTIATE)
		conn_unwatch(c);
	if (d & LIBNBD_AIO_DIRECTION_READ && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		err = nbd_aio_notify_read(c->h);
	else if (d & LIBNBD_AIO_DIRECTION_WRITE)
		err = nbd_aio_notify_write(c->h);
	if (err)
		conn_why_nbd(c);
	nbd_conn_settle(c);
}

static void resolved(struct ndm_work *work)
{
	struct nbd_conn *c = work->arg;
	struct nbd_store *st = c->store;

	c->state = NBD_NEGOTIATE;
	if (st->closing) {
		conn_close(c);
		c->state = NBD_REST;
		if (!store_resolving(st))
			store_free(st);
		return;
	}
	if (work->result) {
		conn_failed(c);
		return;
	}
	ndm_timer_set(&c->timer, ndm_now(st->base.loop) + st->connect_ns);
	nbd_conn_settle(c);
}

static void conn_timer(struct ndm_timer *t)
{
	struct nbd_conn *c = ndm_container_of(t, struct nbd_conn, timer);
	struct nbd_store *st = c->store;
	char why[80];

	switch (c->state) {
	case NBD_REST:
		nbd_conn_start(c);
		return;
	case NBD_RESOLVE:
		return;
	case NBD_NEGOTIATE:
		snprintf(why, sizeof why, "no answer within %llu ms",
			 (unsigned long long)(st->connect_ns / 1000000u));
		break;
	case NBD_READY:
		if (!c->in_flight.first)
			return;
		if (c->in_flight.first->start_ns + st->timeout_ns > ndm_now(st->base.loop)) {
			ndm_timer_set(t, c->in_flight.first->start_ns + st->timeout_ns);
			return;
		}
		snprintf(why, sizeof why, "a request was not answered within %llu ms",
			 (unsigned long long)(st->timeout_ns / 1000000u));
		break;
	}
	nbd_conn_why(c, -ETIMEDOUT, why);
	conn_failed(c);
}

void nbd_conn_expect(struct nbd_conn *c)
{
	struct nbd_store *st = c->store;

	if (!st->timeout_ns)
		return;
	c->in_flight.last->start_ns = ndm_now(st->base.loop);
	if (c->in_flight.first == c->in_flight.last)
		ndm_timer_set(&c->timer, c->in_flight.first->start_ns + st->timeout_ns);
}

void nbd_conn_start(struct nbd_conn *c)
{
	struct ndm_loop *loop = c->store->base.loop;

	c->why[0] = '\0';
	c->state = NBD_RESOLVE;
	c->work = (struct ndm_work){ .fn = resolve, .arg = c, .loop = loop, .done = resolved };
	loop->world->ops->offload(loop->world, &c->work);
}

void nbd_conn_init(struct nbd_store *st, struct nbd_conn *c)
{
	c->store = st;
	c->watch.fn = conn_event;
	c->watch.fd = -1;
	ndm_timer_init(&c->timer, st->base.loop, conn_timer);
}

/* ---- what the server promises ---- */

static void promise_read(struct nbd_handle *h, struct nbd_promise *p)
{
	int64_t n;

	memset(p, 0, sizeof *p);
	p->size = nbd_get_size(h);
	n = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM);
	p->block_min = n > 0 ? (uint32_t)n : 0;
	n = nbd_get_block_size(h, LIBNBD_SIZE_PREFERRED);
	p->block_preferred = n > 0 ? (uint32_t)n : 0;
	n = nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM);
	p->block_max = n > 0 ? (uint32_t)n : 0;
	p->read_only = nbd_is_read_only(h) > 0;
	p->flush = nbd_can_flush(h) > 0;
	p->fua = nbd_can_fua(h) > 0;
	p->trim = nbd_can_trim(h) > 0;
	p->zero = nbd_can_zero(h) > 0;
	p->fast_zero = nbd_can_fast_zero(h) > 0;
	p->cache = nbd_can_cache(h) > 0;
	p->extents = nbd_can_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
	p->multi_conn = nbd_can_multi_conn(h) > 0;
	p->rotational = nbd_is_rotational(h) > 0;
}

/* Whether `now` offers all that `was` did; else says what is missing. */
static bool promise_kept(const struct nbd_promise *was, const struct nbd_promise *now, bool plain,
			 char *why, size_t len)
{
	const char *missing = NULL;

	if (was->size != now->size) {
		snprintf(why, len, "the export has changed: it had %lld bytes, now %lld",
			 (long long)was->size, (long long)now->size);
		return false;
	}
	if (!was->read_only && now->read_only)
		missing = "writes";
	else if (was->flush && !now->flush)
		missing = "flush";
	else if (was->fua && !now->fua)
		missing = "FUA";
	else if (was->trim && !now->trim)
		missing = "trim";
	else if (was->zero && !now->zero)
		missing = "write zeroes";
	else if (was->fast_zero && !now->fast_zero)
		missing = "fast zeroes";
	else if (was->cache && !now->cache)
		missing = "cache";
	else if (was->extents && !now->extents && !plain)
		missing = "block status";
	else if (now->block_min > was->block_min && now->block_min > NDM_SECTOR_BYTES)
		missing = "blocks as small as before";
	else if (now->block_max && now->block_max < (was->block_max ? was->block_max : 32u << 20))
		missing = "requests as long as before";
	if (missing)
		snprintf(why, len, "the export has changed: it no longer takes %s", missing);
	return !missing;
}

/* A server seen for the first time, after the size of its export was told in advance. */
static bool promise_suits(const struct nbd_store *st, const struct nbd_promise *p, char *why,
			  size_t len)
{
	if (p->size < st->told_bytes)
		snprintf(why, len, "the export has %lld bytes, and at least %lld are needed",
			 (long long)p->size, (long long)st->told_bytes);
	else if (p->read_only && st->mode & NDM_OPEN_WRITE)
		snprintf(why, len, "the export may not be written");
	else if (p->block_min > NDM_SECTOR_BYTES)
		snprintf(why, len, "the export wants blocks of %u bytes, which was not known when "
			 "the table was loaded: load it again", p->block_min);
	else
		return true;
	return false;
}

static void conn_ready(struct nbd_conn *c)
{
	struct nbd_store *st = c->store;
	struct nbd_promise now;
	char why[200];

	promise_read(c->h, &now);
	if (now.size < 0)
		conn_why_nbd(c);
	else if (st->unseen ? !promise_suits(st, &now, why, sizeof why)
		 : st->open && !promise_kept(&st->promise, &now, c->plain, why, sizeof why))
		nbd_conn_why(c, -ESTALE, why);
	else
		goto good;
	conn_failed(c);
	return;
good:
	if (!st->open || st->unseen)
		st->promise = now;
	ndm_timer_cancel(&c->timer);
	c->state = NBD_READY;
	nbd_wire_start(c);
	if (st->unseen) {
		st->unseen = false;
		nbd_conns_more(st);
	}
	if (c->failures)
		ndm_log(st->base.loop->world, NDM_LOG_INFO, "%s: connected again", st->uri);
	c->failures = 0;
	c->why[0] = c->logged[0] = '\0';
	ndm_wake_all(&st->changed);
	if (++st->nready == 1 && st->open)
		nbd_links_tell(st, true);
}

/* ---- losing one ---- */

/* Ends what libnbd has called back, and what it never will.  After conn_close(), for libnbd
 * may write into the buffers until then. */
static void finish_all(struct nbd_reqs finished, struct nbd_reqs in_flight)
{
	struct nbd_req *r;

	while ((r = finished.first)) {
		nbd_reqs_del(&finished, r);
		nbd_req_finish(r, r->error);
	}
	while ((r = in_flight.first)) {
		nbd_reqs_del(&in_flight, r);
		nbd_req_finish(r, -ENOTCONN);
	}
}

static void conn_pause(struct nbd_conn *c)
{
	struct ndm_loop *loop = c->store->base.loop;
	uint64_t pause = PAUSE_MAX_NS;

	if (c->failures < 6)
		pause = PAUSE_MIN_NS << c->failures;
	if (pause > PAUSE_MAX_NS)
		pause = PAUSE_MAX_NS;
	pause = pause / 4 * 3 + ndm_random(loop) % (pause / 2);
	c->failures++;
	ndm_timer_set(&c->timer, ndm_now(loop) + pause);
}

/* Each reason once while it lasts: a server may be away for days. */
static void conn_log(struct nbd_conn *c, bool was_ready)
{
	bool news = was_ready || strcmp(c->why, c->logged) != 0;

	ndm_log(c->store->base.loop->world, news ? NDM_LOG_WARNING : NDM_LOG_DEBUG, "%s: %s: %s",
		c->store->uri, was_ready ? "connection lost" : "cannot connect", c->why);
	memcpy(c->logged, c->why, sizeof c->logged);
}

static bool plain_ready(const struct nbd_store *st)
{
	unsigned i;

	for (i = 0; i < st->nconns; i++)
		if (st->conns[i].plain && st->conns[i].state == NBD_READY)
			return true;
	return false;
}

/* c->why and c->err say what happened. */
static void conn_failed(struct nbd_conn *c)
{
	struct nbd_store *st = c->store;
	struct nbd_reqs finished = c->finished, in_flight = c->in_flight;
	bool was_ready = c->state == NBD_READY;

	conn_close(c);
	c->state = NBD_REST;
	memcpy(st->last, c->why, sizeof st->last);
	c->finished = c->in_flight = (struct nbd_reqs){ 0 };
	c->nin_flight = 0;
	if (was_ready)
		st->nready--;
	if (st->open) {
		conn_log(c, was_ready);
		conn_pause(c);
	}
	if (was_ready && st->nready == 0 && st->writes != st->flushed)
		st->lost = true;
	ndm_wake_all(&st->changed);
	finish_all(finished, in_flight);
	if (was_ready && c->plain && !plain_ready(st) && st->conns[0].state == NBD_READY) {
		nbd_conn_why(&st->conns[0], -ENOTCONN, st->last);
		conn_failed(&st->conns[0]);
	} else if (was_ready && st->nready == 0 && st->open) {
		nbd_links_tell(st, false);
	}
}

void nbd_conn_settle(struct nbd_conn *c)
{
	struct nbd_req *r;

	if (c->settling)
		return;				/* whoever is at it looks again */
	c->settling = true;
	while (c->h && (r = c->finished.first)) {
		nbd_reqs_del(&c->finished, r);
		nbd_req_finish(r, r->error);
	}
	c->settling = false;
	if (!c->h)
		return;
	if (c->wire.on ? c->wire.dead : nbd_aio_is_dead(c->h) || nbd_aio_is_closed(c->h)) {
		if (!c->why[0])
			nbd_conn_why(c, -ENOTCONN, "the server hung up");
		conn_failed(c);
	} else if (c->state == NBD_NEGOTIATE && nbd_aio_is_ready(c->h)) {
		conn_watch(c);
		conn_ready(c);
	} else if (!conn_watch(c)) {
		nbd_conn_why(c, -EMFILE, "its socket cannot be watched");
		conn_failed(c);
	}
}

/* Also from within the end of one of its requests: settling looks again at each connection. */
void nbd_store_reset(struct nbd_store *st, const char *why)
{
	unsigned i;

	for (i = 0; i < st->nconns; i++) {
		if (st->conns[i].state != NBD_READY)
			continue;
		nbd_conn_why(&st->conns[i], -ETIMEDOUT, why);
		conn_failed(&st->conns[i]);
	}
}

void nbd_store_drop(struct nbd_store *st)
{
	unsigned i;

	st->closing = true;
	for (i = 0; i < st->nconns; i++) {
		struct nbd_conn *c = &st->conns[i];

		assert(!c->nin_flight);
		ndm_timer_cancel(&c->timer);
		if (c->state == NBD_RESOLVE || c->state == NBD_REST)
			continue;
		if (c->state == NBD_READY)
			nbd_aio_disconnect(c->h, 0);	/* a polite word, if it goes out at once */
		conn_close(c);
		c->state = NBD_REST;
	}
	if (!store_resolving(st))
		store_free(st);
}
