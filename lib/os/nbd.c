/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd.c - the "nbd" store: an export of another machine, by any NBD URI that libnbd takes
 * (nbd, nbds, nbd+unix, nbds+unix, nbd+vsock, nbds+vsock).
 *
 * What is ours and not the server's is said in the URI's query, and is not passed on (a
 * fragment would be the place, but '#' begins a comment in a table):
 *
 *	nbds://host/export?ndm-connections=4&ndm-timeout=3000
 *
 *   ndm-connections      how many, if the server says that several are safe (1)
 *   ndm-timeout          milliseconds without an answer after which a connection is given up
 *                        (none)
 *   ndm-connect-timeout  milliseconds for connecting, TLS and handshake together (10000)
 *   ndm-size             bytes that the export has at least: then the store is there even when
 *                        the server is not, and is down until it comes.  It can do no more
 *                        than read and write until then.
 *
 * A bio becomes one command, or several when it is longer than the server takes.  Commands go
 * to the connection with the least to do.
 *
 * Durability: a FLUSH answers for writes that had ended on any connection; that is what the
 * server's multi-conn flag promises, and without it there is only one.  When the last
 * connection dies after writes that were not flushed, the server may have died with them: the
 * next FLUSH says -EIO, once, whatever a new connection would say.
 */
#include <stdlib.h>

#include "nbd.h"

#define UNSEEN_NS ((uint64_t)1000000000u)	/* how long an open waits that need not */
#define SPACE_BYTES ((uint64_t)1 << 31)		/* TRIM, ZERO: 32 bits on the wire, and aligned */

/* ---- the end of a command ---- */

static struct nbd_req *req_get(struct nbd_store *st)
{
	struct nbd_req *r = st->free_reqs;

	if (!r)
		return ndm_zalloc(sizeof *r);
	st->free_reqs = r->next;
	r->bounce = NULL;
	r->error = 0;
	return r;
}

static void req_put(struct nbd_store *st, struct nbd_req *r)
{
	r->next = st->free_reqs;
	st->free_reqs = r;
}

/* Outside of libnbd's callbacks: whoever hears of the end may submit again. */
void nbd_req_finish(struct nbd_req *r, int error)
{
	struct nbd_store *st = r->conn->store;
	struct ndm_bio *bio = r->bio;
	size_t bytes = r->nr * NDM_SECTOR_BYTES;
	struct ndm_data data;

	if (r->bounce) {
		if (bio->op == NDM_READ && !error) {
			data = ndm_data_skip(bio->data,
					     (r->sector - bio->sector) * NDM_SECTOR_BYTES);
			ndm_data_to(&data, bytes, r->bounce);
		}
		ndm_buffer_put(st->base.loop, r->bounce, bytes);
	}
	if (bio->op == NDM_FLUSH && !error && r->writes_before > st->flushed)
		st->flushed = r->writes_before;
	if ((bio->op == NDM_WRITE || bio->op == NDM_ZEROES || bio->op == NDM_DISCARD) &&
	    !error && !(bio->flags & NDM_FUA))
		st->writes++;
	req_put(st, r);
	ndm_end_part(bio, error);
}

/* In libnbd, which holds the handle's lock: only note it. */
static int command_done(void *arg, int *error)
{
	struct nbd_req *r = arg;
	struct nbd_conn *c = r->conn;

	/* a server that is about to go is as good as gone */
	r->error = *error == ESHUTDOWN ? -ENOTCONN : -*error;
	nbd_reqs_del(&c->in_flight, r);
	c->nin_flight--;
	nbd_reqs_add(&c->finished, r);
	return 1;				/* libnbd may forget it */
}

/* ---- block status ---- */

void nbd_extents_begin(const struct nbd_req *r, struct nbd_extents *x)
{
	*x = (struct nbd_extents){ .offset = r->sector * NDM_SECTOR_BYTES, .at = r->sector };
}

/* A sector that holds more than one type is data: nothing is known of it as a whole. */
void nbd_extents_add(struct nbd_req *r, struct nbd_extents *x, uint32_t bytes, uint32_t flags)
{
	uint64_t first = (x->offset + NDM_SECTOR_BYTES - 1) / NDM_SECTOR_BYTES, last;
	unsigned type = 0;

	if (flags & LIBNBD_STATE_HOLE)
		type |= NDM_EXTENT_HOLE;
	if (flags & LIBNBD_STATE_ZERO)
		type |= NDM_EXTENT_ZERO;
	x->offset += bytes;
	last = x->offset / NDM_SECTOR_BYTES;
	if (first > x->at)
		ndm_extent_add(r->bio, x->at, first - x->at, 0);
	if (last > first)
		ndm_extent_add(r->bio, first, last - first, type);
	x->at = last > first ? last : first;
}

/* Entries are {bytes, type} in a row. */
static int extents_done(void *arg, const char *context, uint64_t offset, uint32_t *entries,
			size_t n, int *error)
{
	struct nbd_req *r = arg;
	struct nbd_extents x;
	size_t i;

	(void)error;
	(void)offset;				/* it is the request's */
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION))
		return 0;
	nbd_extents_begin(r, &x);
	for (i = 0; i + 1 < n; i += 2)
		nbd_extents_add(r, &x, entries[i], entries[i + 1]);
	return 0;
}

/* ---- sending ---- */

/* The one with the least to do; one that can do more than it has to only if there is no other. */
static struct nbd_conn *conn_pick(struct nbd_store *st, enum ndm_op op)
{
	struct nbd_conn *best = NULL;
	unsigned i;

	for (i = 0; i < st->nconns; i++) {
		struct nbd_conn *c = &st->conns[i];

		if (c->state != NBD_READY || (c->plain && op == NDM_EXTENTS))
			continue;
		if (!best || c->plain > best->plain ||
		    (c->plain == best->plain && c->nin_flight < best->nin_flight))
			best = c;
	}
	return best;
}

/* The part's memory in one piece: the caller's own, or a copy. */
static void *req_flat(struct nbd_store *st, struct nbd_req *r)
{
	struct ndm_bio *bio = r->bio;
	size_t bytes = r->nr * NDM_SECTOR_BYTES;
	struct ndm_data data = ndm_data_skip(bio->data,
					     (r->sector - bio->sector) * NDM_SECTOR_BYTES);
	void *flat = ndm_data_flat(&data, bytes);

	if (flat)
		return flat;
	r->bounce = ndm_buffer_get(st->base.loop, bytes);
	if (r->bounce && bio->op == NDM_WRITE)
		ndm_data_from(&data, bytes, r->bounce);
	return r->bounce;
}

static int64_t command_send(struct nbd_req *r, void *flat)
{
	const struct ndm_bio *bio = r->bio;
	struct nbd_handle *h = r->conn->h;
	uint64_t bytes = r->nr * NDM_SECTOR_BYTES, offset = r->sector * NDM_SECTOR_BYTES;
	uint32_t flags = bio->flags & NDM_FUA ? LIBNBD_CMD_FLAG_FUA : 0;
	nbd_completion_callback done = { .callback = command_done, .user_data = r };
	nbd_extent_callback extents = { .callback = extents_done, .user_data = r };

	switch ((enum ndm_op)bio->op) {
	case NDM_READ:
		return nbd_aio_pread(h, flat, bytes, offset, done, 0);
	case NDM_WRITE:
		return nbd_aio_pwrite(h, flat, bytes, offset, done, flags);
	case NDM_FLUSH:
		return nbd_aio_flush(h, done, 0);
	case NDM_DISCARD:
		return nbd_aio_trim(h, bytes, offset, done, flags);
	case NDM_ZEROES:
		flags |= bio->flags & NDM_NOUNMAP ? LIBNBD_CMD_FLAG_NO_HOLE : 0;
		flags |= bio->flags & NDM_FAST ? LIBNBD_CMD_FLAG_FAST_ZERO : 0;
		return nbd_aio_zero(h, bytes, offset, done, flags);
	case NDM_EXTENTS:
		return nbd_aio_block_status(h, bytes, offset, extents, done, 0);
	case NDM_CACHE:
		return nbd_aio_cache(h, bytes, offset, done, 0);
	}
	return -1;
}

/* 0, or what it could not be sent for: then it was not called back. */
static int part_send(struct nbd_req *r)
{
	struct nbd_conn *c = r->conn;
	const struct ndm_bio *bio = r->bio;
	void *flat = NULL;

	if (c->wire.on)
		return nbd_wire_send(r);
	if (bio->op == NDM_READ || bio->op == NDM_WRITE) {
		flat = req_flat(c->store, r);
		if (!flat)
			return -ENOMEM;
	}
	if (command_send(r, flat) >= 0)
		return 0;
	return nbd_aio_is_dead(c->h) || nbd_aio_is_closed(c->h) ? -ENOTCONN
	       : nbd_get_errno() ? -nbd_get_errno() : -EIO;
}

static void part_start(struct nbd_store *st, struct ndm_bio *bio, uint64_t sector, uint64_t nr)
{
	struct nbd_conn *c = conn_pick(st, bio->op);
	struct nbd_req *r = c ? req_get(st) : NULL;
	int err;

	if (!r) {
		ndm_end_part(bio, c ? -ENOMEM : -ENOTCONN);
		return;
	}
	r->bio = bio;
	r->conn = c;
	r->sector = sector;
	r->nr = nr;
	r->writes_before = st->writes;
	nbd_reqs_add(&c->in_flight, r);
	c->nin_flight++;
	nbd_conn_expect(c);
	err = part_send(r);
	if (err) {
		r->error = err;
		nbd_reqs_del(&c->in_flight, r);
		c->nin_flight--;
		nbd_reqs_add(&c->finished, r);
	}
	if (err || !c->wire.on)
		nbd_conn_settle(c);
}

/* Not every server can do everything; what needs nothing done is done. */
static bool bio_refused(struct nbd_store *st, struct ndm_bio *bio, int *err)
{
	const struct nbd_promise *p = &st->promise;

	*err = 0;
	switch ((enum ndm_op)bio->op) {
	case NDM_READ:
		return false;
	case NDM_WRITE:
		*err = st->base.limits.read_only ? -EIO : 0;
		return *err;
	case NDM_FLUSH:
		if (st->lost) {
			st->lost = false;
			st->flushed = st->writes;
			*err = -EIO;
		}
		return *err || !p->flush;
	case NDM_DISCARD:
		*err = st->base.limits.read_only ? -EIO : 0;
		return *err || !p->trim;
	case NDM_ZEROES:
		if (st->base.limits.read_only)
			*err = -EIO;
		else if (!p->zero || (bio->flags & NDM_FAST && !p->fast_zero))
			*err = -EOPNOTSUPP;
		return *err;
	case NDM_EXTENTS:
		if (p->extents && conn_pick(st, NDM_EXTENTS))
			return false;
		ndm_extent_add(bio, bio->sector, bio->nr, 0);
		return true;
	case NDM_CACHE:
		return !p->cache;
	}
	*err = -EOPNOTSUPP;
	return true;
}

static uint64_t part_sectors_max(const struct nbd_store *st, const struct ndm_bio *bio)
{
	if (bio->op == NDM_READ || bio->op == NDM_WRITE || bio->op == NDM_CACHE)
		return st->base.limits.max_sectors;
	return SPACE_BYTES / NDM_SECTOR_BYTES;
}

static void nbd_submit(struct ndm_store *s, struct ndm_bio *bio)
{
	struct nbd_store *st = (struct nbd_store *)s;
	uint64_t sector = bio->sector, left = bio->nr, max, nr;
	int err = 0;

	if (st->nready == 0 || bio_refused(st, bio, &err)) {
		ndm_end(bio, st->nready ? err : -ENOTCONN);
		return;
	}
	max = part_sectors_max(st, bio);
	/* Of block status one command is enough: it may answer for less than it was asked. */
	if (bio->op == NDM_EXTENTS && left > max)
		left = max;
	bio->pending = 1;
	do {
		nr = left < max ? left : max;
		bio->pending++;
		part_start(st, bio, sector, nr);
		sector += nr;
		left -= nr;
	} while (left);
	ndm_end_part(bio, 0);
}

/* ---- opening ---- */

static int option_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return *text < '0' || *text > '9' || *end || errno || !*out || *out > max ? -EINVAL : 0;
}

static int option(struct nbd_store *st, const char *text, struct ndm_str *why)
{
	unsigned long n;

	if (!strncmp(text, "ndm-connections=", 16)) {
		if (!option_number(text + 16, NBD_CONNECTIONS_MAX, &n)) {
			st->nconns = (unsigned)n;
			return 0;
		}
		ndm_printf(why, "ndm-connections is a number from 1 to %d", NBD_CONNECTIONS_MAX);
		return -EINVAL;
	}
	if (!strncmp(text, "ndm-timeout=", 12) && !option_number(text + 12, 86400000, &n)) {
		st->timeout_ns = (uint64_t)n * 1000000u;
		return 0;
	}
	if (!strncmp(text, "ndm-connect-timeout=", 20) &&
	    !option_number(text + 20, 86400000, &n)) {
		st->connect_ns = (uint64_t)n * 1000000u;
		return 0;
	}
	if (!strncmp(text, "ndm-size=", 9) &&
	    !option_number(text + 9, INT64_MAX / NDM_SECTOR_BYTES * NDM_SECTOR_BYTES, &n) &&
	    n % NDM_SECTOR_BYTES == 0) {
		st->told_bytes = (int64_t)n;
		return 0;
	}
	ndm_printf(why, "'%s' is no option of an NBD connection (there are ndm-connections=N, "
		   "ndm-timeout=MS and ndm-connect-timeout=MS in milliseconds, and ndm-size=BYTES "
		   "in whole sectors)", text);
	return -EINVAL;
}

/* Takes what is ours out of the query; the rest is closed up, and is the server's URI. */
static int spec_parse(struct nbd_store *st, const char *spec, struct ndm_str *why)
{
	char *query, *from, *to, *next;
	int err = 0;

	st->nconns = 1;
	st->connect_ns = NBD_CONNECT_NS;
	st->uri = ndm_strdup(spec);
	if (!st->uri)
		return -ENOMEM;
	query = strchr(st->uri, '?');
	if (!query)
		return 0;
	to = query;				/* where the '?' or '&' of the next one goes */
	for (from = query + 1; from && !err; from = next) {
		next = strchr(from, '&');
		if (next)
			*next++ = '\0';
		if (!strncmp(from, "ndm-", 4)) {
			err = option(st, from, why);
			continue;
		}
		*to = to == query ? '?' : '&';
		memmove(to + 1, from, strlen(from) + 1);
		to += 1 + strlen(to + 1);
	}
	*to = '\0';
	return err;
}

/* FNV-1a, twice with different beginnings: the same URI is the same thing. */
static uint64_t text_hash(const char *text, uint64_t h)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return h | 1;
}

static uint32_t power_of_2_down(uint64_t n)
{
	uint32_t p = 1;

	while ((uint64_t)p * 2 <= n && p < (1u << 30))
		p *= 2;
	return p;
}

void nbd_limits_set(struct nbd_store *st)
{
	const struct nbd_promise *p = &st->promise;
	struct ndm_limits *l = &st->base.limits;
	uint32_t block = NDM_SECTOR_BYTES;
	uint64_t max = p->block_max ? p->block_max : 32u << 20;	/* the protocol's default */

	while (block < p->block_min)
		block *= 2;
	if (max > 64u << 20)
		max = 64u << 20;		/* libnbd's own */
	max -= max % block;
	l->logical_block_bytes = block;
	l->physical_block_bytes = block;
	if (p->block_preferred > block)
		l->physical_block_bytes = power_of_2_down(p->block_preferred);
	l->io_min_bytes = l->physical_block_bytes;
	l->max_sectors = (max ? max : block) / NDM_SECTOR_BYTES;
	if (p->trim) {
		l->max_discard_sectors = SPACE_BYTES / NDM_SECTOR_BYTES;
		l->discard_granularity_bytes = l->physical_block_bytes;
	}
	if (p->zero)
		l->max_zeroes_sectors = SPACE_BYTES / NDM_SECTOR_BYTES;
	l->read_only = p->read_only || !(st->mode & NDM_OPEN_WRITE);
	l->fua = p->fua;
	l->fast_zeroes = p->fast_zero;
	l->extents = p->extents;
	l->cache = p->cache;
	l->rotational = p->rotational;
	l->volatile_cache = p->flush;
	st->base.nr = (uint64_t)p->size / block * (block / NDM_SECTOR_BYTES);
	if (st->told_bytes)
		st->base.nr = (uint64_t)st->told_bytes / NDM_SECTOR_BYTES;
}

static int open_wait(struct nbd_store *st, struct ndm_str *why)
{
	struct ndm_loop *loop = st->base.loop;
	/* the connection's own timer speaks first; this one is for a name that nobody answers */
	uint64_t most = st->connect_ns + 100000000u, until;
	struct nbd_conn *c = &st->conns[0];
	int err = 0;

	if (st->unseen && most > UNSEEN_NS)
		most = UNSEEN_NS;
	until = ndm_now(loop) + most;
	nbd_conn_start(c);
	while (!err && c->state != NBD_READY && c->state != NBD_REST)
		err = ndm_wait_until(&st->changed, until);
	if (c->state == NBD_READY || st->unseen)
		return 0;
	if (err)
		ndm_printf(why, "no answer within %llu ms",
			   (unsigned long long)(st->connect_ns / 1000000u));
	else
		ndm_printf(why, "%s", c->why);
	return err ? err : c->err;
}

/* The store is called as it would be without the size, and found again by that name. */
static char *name_without_size(const char *spec)
{
	char *name = ndm_strdup(spec), *at = name ? strstr(name, "ndm-size=") : NULL, *end;

	if (!at)
		return name;
	end = strchr(at, '&');
	if (end)
		memmove(at, end + 1, strlen(end + 1) + 1);
	else
		at[-1] = '\0';
	return name;
}

/* The first connection is there, and with it the server's word. */
void nbd_conns_more(struct nbd_store *st)
{
	const struct nbd_promise *p = &st->promise;
	bool plain = p->multi_conn && p->extents && st->conns[0].wire.on;
	unsigned i;

	nbd_limits_set(st);
	if (!p->multi_conn)
		st->nconns = 1;
	st->nconns += plain;
	for (i = 1; i < st->nconns; i++) {
		st->conns[i].plain = plain;
		nbd_conn_start(&st->conns[i]);
	}
}

static int nbd_open(struct ndm_loop *loop, const char *spec, unsigned mode,
		    struct ndm_store **store, struct ndm_str *why)
{
	struct nbd_store *st = ndm_zalloc(sizeof *st);
	unsigned i;
	int err;

	if (!st)
		return -ENOMEM;
	st->base.loop = loop;
	st->mode = mode;
	ndm_waitq_init(&st->changed, loop);
	for (i = 0; i <= NBD_CONNECTIONS_MAX; i++)
		nbd_conn_init(st, &st->conns[i]);
	err = spec_parse(st, spec, why);
	if (!err) {
		st->base.identity[0] = text_hash(st->uri, 0xcbf29ce484222325u);
		st->base.identity[1] = text_hash(st->uri, 0x6c62272e07bb0142u);
		st->open = st->unseen = st->told_bytes;
		st->promise.size = st->told_bytes;
		err = open_wait(st, why);
	}
	if (!err && !st->told_bytes && st->promise.read_only && mode & NDM_OPEN_WRITE) {
		ndm_printf(why, "the export may not be written");
		err = -EROFS;
	}
	if (err) {
		nbd_store_drop(st);
		return err;
	}
	st->open = true;
	if (st->unseen)
		nbd_limits_set(st);
	else if (!st->told_bytes)
		nbd_conns_more(st);
	if (st->told_bytes)
		st->base.name = name_without_size(spec);
	*store = &st->base;
	return 0;
}

static void nbd_close_store(struct ndm_store *s)
{
	nbd_store_drop((struct nbd_store *)s);
}

const struct ndm_store_ops nbd_store_ops = {
	.scheme = "nbd",
	.open = nbd_open,
	.submit = nbd_submit,
	.close = nbd_close_store,
	.link = &nbd_link_ops,
};
