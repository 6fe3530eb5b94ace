/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parcel.c - connections out of one process and into another, in the middle of what they say.
 *
 * Parking stops reading at once, wherever in a request that is.  What is below goes on until it
 * is answered; then a connection is its socket, what was agreed on, what was received and not
 * yet understood, and what was answered and not yet taken.  None of that waits for the client.
 *
 * A request whose payload is only half here goes back to the bytes it came as.  TLS lives in the
 * library and in this process: such a client gets its replies and a clean end, and comes again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handshake.h"
#include "image.h"
#include "tls.h"

#define UNSENT_BYTES (1u << 20)

enum { HAS_DEVICE = 1, CLOSING = 2, HANDSHAKE = 4, FIXED = 8, NO_ZEROES = 16 };

/* ---- parking ---- */

static bool is_encrypted(const struct conn *c)
{
	return c->tls || (c->hs && (c->hs->phase == PHASE_TLS_START || c->hs->phase == PHASE_TLS));
}

void parcel_park(struct worker *w)
{
	struct conn *c, *next;

	w->parked = true;
	for (c = w->conns; c; c = next) {
		next = c->next;
		conn_read_off(c);
		if (c->opening)
			continue;
		if (c->hs)
			handshake_timer_off(c->hs);
		if (is_encrypted(c))
			conn_close(c);
	}
}

static bool conn_quiet(const struct conn *c)
{
	const struct request *r;
	unsigned answered = c->partial && !c->partial->piece_out;

	if (c->opening || is_encrypted(c) || c->finished)
		return false;
	for (r = c->out; r; r = r->next)
		answered++;
	return c->in_flight == answered;
}

bool parcel_quiet(struct worker *w)
{
	const struct conn *c;

	for (c = w->conns; c; c = c->next)
		if (!conn_quiet(c))
			return false;
	return w->parked && !w->dirty && !w->finished && !w->arrived;
}

static void go_on(struct conn *c)
{
	struct handshake *hs = c->hs;

	if (c->opening || c->finished)
		return;
	if (hs) {
		handshake_timer(c);
		handshake_run(c);
		if (c->hs == hs && !c->closing && !hs->out.len)
			conn_read_on(c);
		return;
	}
	if (c->out)
		worker_dirty(c);
	transmit_revive(c);
	if (c->held)
		worker_again(c);
	else
		conn_read_on(c);
}

void parcel_unpark(struct worker *w)
{
	struct conn *c, *next;

	w->parked = false;
	for (c = w->conns; c; c = next) {
		next = c->next;
		go_on(c);
	}
}

/* ---- packing ---- */

/* With its length in front, which is known only now. */
static void put_part(struct image *im, struct image *part)
{
	image_put(im, part->bytes.text, part->bytes.len);
	im->no_memory |= part->no_memory;
	image_free(part);
}

static void pack_partial(const struct conn *c, struct image *out)
{
	const struct request *r = c->partial;
	bool extended = c->mode == REPLY_EXTENDED;
	uint8_t head[NBD_EXT_REQUEST_BYTES], *p = head;

	p = nbd_put32(p, extended ? NBD_EXT_REQUEST_MAGIC : NBD_REQUEST_MAGIC);
	p = nbd_put16(p, r->flags);
	p = nbd_put16(p, r->type);
	p = nbd_put64(p, r->cookie);
	/* the store has had r->taken bytes: what is left is a write by itself */
	p = nbd_put64(p, r->offset + r->taken);
	p = extended ? nbd_put64(p, r->length - r->taken) :
		       nbd_put32(p, (uint32_t)(r->length - r->taken));
	image_put_raw(out, head, (size_t)(p - head));
	if (r->buf)
		image_put_raw(out, r->buf, c->partial_bytes);
}

static void pack_received(const struct conn *c, struct image *im)
{
	struct image part = { 0 };

	if (c->hs)
		image_put_raw(&part, c->hs->in, c->hs->have);
	else if (c->revive)			/* it was handed to us, and never went on */
		image_put_raw(&part, c->revive, c->revive_bytes);
	else if (c->partial)
		pack_partial(c, &part);
	else if (c->pending)
		image_put_raw(&part, c->pending->data + c->pending_at, c->pending_bytes);
	else
		image_put_raw(&part, c->tail, c->tail_bytes);
	image_put_number(im, c->discard);
	put_part(im, &part);
}

static void pack_unsent(const struct conn *c, struct image *im)
{
	struct image part = { 0 };
	const struct request *r;
	size_t skip = c->out_done;

	if (c->hs)
		image_put_raw(&part, c->hs->out.text ? c->hs->out.text + c->hs->out_done : "",
			    c->hs->out.len - c->hs->out_done);
	for (r = c->out; r; r = r->next) {
		if (skip < r->head_bytes)
			image_put_raw(&part, r->head + skip, r->head_bytes - skip);
		skip -= skip < r->head_bytes ? skip : r->head_bytes;
		image_put_raw(&part, r->body + skip, r->body_bytes - skip);
		skip = 0;
	}
	put_part(im, &part);
}

static void pack_handshake(const struct handshake *hs, struct image *im)
{
	image_put_number(im, hs->phase);
	image_put_number(im, hs->options);
	image_put_number(im, hs->options_max);
	image_put_number(im, hs->skip);
	image_put_number(im, hs->mode);
	image_put_number(im, hs->contexts);
	image_put_text(im, hs->contexts_export);
}

static void pack_conn(const struct conn *c, struct image *im)
{
	const struct handshake *hs = c->hs;
	bool negotiates = hs && hs->phase != PHASE_TRANSMISSION;
	unsigned flags = (c->opener ? HAS_DEVICE : 0) | (c->closing ? CLOSING : 0) |
			 (negotiates ? HANDSHAKE : 0) | (hs && hs->fixed ? FIXED : 0) |
			 (hs && hs->no_zeroes ? NO_ZEROES : 0);

	image_put_fd(im, c->fd);
	image_put_number(im, flags);
	image_put_text(im, c->who);
	image_put_text(im, c->export_name);
	image_put_number(im, c->opener ? ndm_opener_store(c->opener)->minor : 0);
	image_put_number(im, c->mode);
	image_put_number(im, c->tflags);
	image_put_number(im, c->contexts);
	image_put_number(im, c->size);
	pack_received(c, im);
	pack_unsent(c, im);
	if (negotiates)
		pack_handshake(hs, im);
}

void parcel_pack(struct worker *w, struct image *im)
{
	struct conn *c, *next;
	unsigned n = 0;

	for (c = w->conns; c; c = c->next)
		n += !c->dead;
	image_put_number(im, n);
	for (c = w->conns; c; c = c->next)
		if (!c->dead)
			pack_conn(c, im);
	for (c = w->conns; c; c = next) {
		next = c->next;
		conn_kill(c);
		if (!im->no_memory)
			c->fd = c->fd_out = -1;	/* the image has it */
	}
}

/* ---- unpacking ---- */

static int unpack_handshake(struct conn *c, struct image_reader *r, unsigned flags,
			    const char *received, size_t nreceived, const char *unsent,
			    size_t nunsent)
{
	struct handshake *hs = calloc(1, sizeof *hs);
	const char *contexts_export;

	if (!hs)
		return -ENOMEM;
	c->hs = hs;
	hs->in = hs->small;
	hs->cap = sizeof hs->small;
	hs->phase = (enum phase)image_number(r);
	hs->options = (unsigned)image_number(r);
	hs->options_max = (unsigned)image_number(r);
	hs->skip = image_number(r);
	hs->mode = (enum reply_mode)image_number(r);
	hs->contexts = (uint32_t)image_number(r);
	contexts_export = image_text(r);
	hs->contexts_export = contexts_export ? strdup(contexts_export) : NULL;
	hs->fixed = flags & FIXED;
	hs->no_zeroes = flags & NO_ZEROES;
	if (hs->phase != PHASE_CLIENT_FLAGS && hs->phase != PHASE_OPTION &&
	    hs->phase != PHASE_SKIP && hs->phase != PHASE_CLOSE)
		return -EBADMSG;
	if (hs->mode > REPLY_EXTENDED || (hs->contexts && !hs->contexts_export))
		return -EBADMSG;
	ndm_str_put(&hs->out, unsent, nunsent);
	/* one option at most is begun: room for all of it */
	if (nreceived > hs->cap) {
		hs->cap = NBD_OPTION_BYTES + OPTION_DATA_MAX;
		if (nreceived > hs->cap || !(hs->in = malloc(hs->cap))) {
			hs->in = hs->small;
			hs->cap = sizeof hs->small;
			return nreceived > NBD_OPTION_BYTES + OPTION_DATA_MAX ? -EBADMSG : -ENOMEM;
		}
	}
	memcpy(hs->in, received, nreceived);
	hs->have = nreceived;
	return 0;
}

static int unpack_transmission(struct conn *c, const char *received, size_t nreceived)
{
	if (c->mode > REPLY_EXTENDED)
		return -EBADMSG;
	if (!nreceived)
		return 0;
	c->revive = malloc(nreceived);
	if (!c->revive)
		return -ENOMEM;
	memcpy(c->revive, received, nreceived);
	c->revive_bytes = nreceived;
	return 0;
}

/* Replies of the process before: requests that are nothing but bytes. */
static int queue_unsent(struct conn *c, const char *unsent, size_t n)
{
	struct request *r;
	size_t part;

	for (; n && !c->hs; unsent += part, n -= part) {
		part = n < UNSENT_BYTES ? n : UNSENT_BYTES;
		r = request_new(c, 0);
		if (!r)
			return -ENOMEM;
		r->type = NBD_CMD_READ;
		r->length = 0;
		r->buf = pool_get(&c->worker->pool, part);
		if (!r->buf) {
			request_free(r);
			return -ENOMEM;
		}
		r->buf_bytes = part;
		memcpy(r->buf, unsent, part);
		r->head_bytes = 0;
		r->body = r->buf;
		r->body_bytes = part;
		if (c->out)
			c->out_last->next = r;
		else
			c->out = r;
		c->out_last = r;
		c->out_bytes += part;
	}
	return 0;
}

static int open_device(struct ndmd *d, struct conn *c, unsigned minor, struct ndm_str *why)
{
	struct ndm_device *dev = ndm_device_by_minor(d->context, minor);
	unsigned mode = NDM_OPEN_READ;
	int err = -ENXIO;

	if (!(c->tflags & NBD_FLAG_READ_ONLY))
		mode |= NDM_OPEN_WRITE;
	if (dev) {
		ndm_device_hold(dev);
		err = ndm_open(dev, mode, c->who, &c->opener);
		ndm_device_put(dev);
	}
	if (err)
		ndm_printf(why, "%s: the device of export %s cannot be opened: %s", c->who,
			   c->export_name ? c->export_name : "(none)", strerror(-err));
	return err;
}

static int unpack_one(struct ndmd *d, struct image_reader *r, int fd, struct ndm_str *why)
{
	unsigned flags = (unsigned)image_number(r), minor;
	const char *who = image_text(r), *export = image_text(r), *received, *unsent;
	struct ndm_loop *first = d->workers[0].loop, *home = first;
	size_t nreceived, nunsent;
	struct conn *c;
	int err = 0;

	c = conn_revive(d, fd, who ? who : "", export);
	if (!c)
		return -ENOMEM;
	minor = (unsigned)image_number(r);
	c->mode = (enum reply_mode)image_number(r);
	c->tflags = (uint16_t)image_number(r);
	c->contexts = (uint32_t)image_number(r);
	c->size = image_number(r);
	c->discard = image_number(r);
	received = image_bytes(r, &nreceived);
	unsent = image_bytes(r, &nunsent);
	if (flags & HANDSHAKE)
		err = unpack_handshake(c, r, flags, received, nreceived, unsent, nunsent);
	else
		err = unpack_transmission(c, received, nreceived);
	if (!err && (r->bad || (!(flags & HAS_DEVICE) && !(flags & HANDSHAKE))))
		err = -EBADMSG;
	if (!err && (flags & HAS_DEVICE))
		err = open_device(d, c, minor, why);
	if (!err && c->opener)
		home = ndm_opener_loop(c->opener);
	ndm_task_hop(first, home);
	conn_join(c, worker_of(d, home));
	if (!err)
		err = queue_unsent(c, unsent, nunsent);
	if (err)
		conn_kill(c);
	else if (flags & CLOSING)
		conn_close(c);
	ndm_task_hop(home, first);
	return err;
}

int parcel_unpack(struct ndmd *d, struct image_reader *r, const int *fds, unsigned nfds,
		  struct ndm_str *why)
{
	uint64_t i, n = image_number(r);
	int err = r->bad || n > nfds ? -EBADMSG : 0;

	for (i = 0; i < n && !err; i++)
		err = unpack_one(d, r, fds[i], why);
	return err;
}
