/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handshake.c - fixed newstyle negotiation, as a table of phases.
 *
 * A phase does one thing and says 1 (done, look at the phase again), 0 (wait: for the client,
 * for the socket, for a task) or -1 (the connection is not ours any more).  Replies gather in
 * `out` and leave in one write when nothing more can be done at once.
 *
 * Nothing here is trusted: lengths are bounded before anything is allocated, the number of
 * options and the time for each are limited.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "handshake.h"
#include "tls.h"

/* ---- sending and receiving ---- */

/* true: everything is out */
static bool flush_out(struct conn *c)
{
	struct handshake *hs = c->hs;
	struct iovec iov;
	ssize_t n;

	while (hs->out_done < hs->out.len) {
		iov = (struct iovec){ hs->out.text + hs->out_done, hs->out.len - hs->out_done };
		n = conn_send(c, &iov, 1);
		if (n == -EAGAIN) {
			conn_read_off(c);	/* it has to take these first */
			conn_write_on(c);
			return false;
		}
		if (n < 0) {
			conn_kill(c);		/* an ABORT need not wait for its ACK */
			return false;
		}
		hs->out_done += (size_t)n;
	}
	hs->out.len = hs->out_done = 0;
	conn_write_off(c);
	return true;
}

static bool make_room(struct handshake *hs, size_t bytes)
{
	uint8_t *grown;

	if (bytes <= hs->cap)
		return true;
	grown = malloc(bytes);
	if (!grown)
		return false;
	memcpy(grown, hs->in, hs->have);
	if (hs->in != hs->small)
		free(hs->in);
	hs->in = grown;
	hs->cap = bytes;
	return true;
}

static void consume(struct handshake *hs, size_t bytes)
{
	hs->have -= bytes;
	memmove(hs->in, hs->in + bytes, hs->have);
	if (!hs->have && hs->in != hs->small) {
		free(hs->in);
		hs->in = hs->small;
		hs->cap = sizeof hs->small;
	}
}

/* ---- phases ---- */

static int phase_client_flags(struct conn *c)
{
	struct handshake *hs = c->hs;
	uint32_t flags;

	if (hs->have < 4)
		return 0;
	flags = nbd_get32(hs->in);
	consume(hs, 4);
	if (flags & ~(uint32_t)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)) {
		conn_drop(c, "unknown client flags 0x%x", flags);
		return -1;
	}
	hs->fixed = flags & NBD_FIXED_NEWSTYLE;
	hs->no_zeroes = flags & NBD_NO_ZEROES;
	hs->phase = PHASE_OPTION;
	return 1;
}

static int run_option(struct conn *c, uint32_t number, const uint8_t *data, uint32_t bytes)
{
	struct ndmd *d = c->worker->ndmd;
	const struct option *o = option_find(number);
	struct handshake *hs = c->hs;

	if (d->stopping && number != NBD_OPT_ABORT && number != NBD_OPT_EXPORT_NAME) {
		option_error(hs, number, NBD_REP_ERR_SHUTDOWN, "the server is shutting down");
		return 1;
	}
	if (d->tls_mode == TLS_REQUIRE && !hs->tls && !(o && o->plain)) {
		if (number == NBD_OPT_EXPORT_NAME) {
			conn_drop(c, "asks for an export without TLS");
			return -1;
		}
		conn_log(c, NDM_LOG_INFO, "asks for something without TLS, which is required");
		option_error(hs, number, NBD_REP_ERR_TLS_REQD, "this server requires TLS");
		return 1;
	}
	if (!o) {
		option_error(hs, number, NBD_REP_ERR_UNSUP, "option %u is not supported", number);
		return 1;
	}
	if ((o->empty && bytes) || (!hs->fixed && number != NBD_OPT_EXPORT_NAME)) {
		option_error(hs, number, NBD_REP_ERR_INVALID, o->empty && bytes ?
			     "%s takes no data" : "%s needs fixed newstyle", o->name);
		return 1;
	}
	return o->run(c, data, bytes);
}

static int phase_option(struct conn *c)
{
	struct handshake *hs = c->hs;
	uint32_t number, bytes;
	int go_on;

	if (hs->have < NBD_OPTION_BYTES)
		return 0;
	if (nbd_get64(hs->in) != NBD_IHAVEOPT) {
		conn_drop(c, "bad option magic 0x%016llx", (unsigned long long)nbd_get64(hs->in));
		return -1;
	}
	number = nbd_get32(hs->in + 8);
	bytes = nbd_get32(hs->in + 12);
	if (bytes > OPTION_DATA_MAX || (number == NBD_OPT_EXPORT_NAME && bytes > NBD_STRING_MAX)) {
		if (number == NBD_OPT_EXPORT_NAME) {
			conn_drop(c, "an export name of %u bytes", bytes);
			return -1;
		}
		option_error(hs, number, NBD_REP_ERR_TOO_BIG, "%u bytes are too many", bytes);
		consume(hs, NBD_OPTION_BYTES);
		hs->skip = bytes;
		hs->phase = PHASE_SKIP;
		return 1;
	}
	if (hs->have < NBD_OPTION_BYTES + (size_t)bytes) {
		if (make_room(hs, NBD_OPTION_BYTES + (size_t)bytes))
			return 0;
		conn_drop(c, "out of memory");
		return -1;
	}
	if (++hs->options > hs->options_max) {
		conn_drop(c, "more than %u options", hs->options_max);
		return -1;
	}
	go_on = run_option(c, number, hs->in + NBD_OPTION_BYTES, bytes);
	if (go_on < 0)
		return -1;
	consume(hs, NBD_OPTION_BYTES + (size_t)bytes);
	if (hs->phase == PHASE_OPENING) {
		opening_start(c);		/* may not touch c after this */
		return -1;
	}
	handshake_timer(c);
	return go_on;
}

static int phase_skip(struct conn *c)
{
	struct handshake *hs = c->hs;
	size_t n = hs->have < hs->skip ? hs->have : (size_t)hs->skip;

	hs->skip -= n;
	consume(hs, n);
	if (hs->skip)
		return 0;
	hs->phase = PHASE_OPTION;
	return 1;
}

static int phase_tls_start(struct conn *c)
{
	struct handshake *hs = c->hs;

	/* What came before the encryption began must not be read as if it had come after. */
	if (hs->have) {
		conn_drop(c, "sent %zu bytes between STARTTLS and TLS", hs->have);
		return -1;
	}
	if (!flush_out(c))
		return c->closing ? -1 : 0;
	if (tls_conn_new(&c->tls, c->worker->ndmd->tls, c->fd)) {
		conn_drop(c, "out of memory");
		return -1;
	}
	handshake_forget(hs);
	conn_read_on(c);
	hs->phase = PHASE_TLS;
	return 1;
}

static int phase_tls(struct conn *c)
{
	struct handshake *hs = c->hs;
	struct ndm_str why = { 0 };
	bool wants_write = false;
	int r = tls_accept(c->tls, &wants_write, &why);

	if (r < 0) {
		c->dead = true;			/* there is no polite end yet */
		conn_drop(c, "TLS: %s", why.text ? why.text : "handshake failed");
		ndm_str_free(&why);
		return -1;
	}
	if (r == 0) {
		if (wants_write)
			conn_write_on(c);
		else
			conn_write_off(c);
		return 0;
	}
	conn_write_off(c);
	hs->tls = true;
	hs->phase = PHASE_OPTION;
	handshake_timer(c);
	COUNT(c->worker, tls, 1);
	COUNT(c->worker, ktls, tls_conn_in_kernel(c->tls));
	conn_log(c, NDM_LOG_DEBUG, "%s%s%s%s", tls_conn_version(c->tls),
		 tls_conn_peer(c->tls) ? ", " : "",
		 tls_conn_peer(c->tls) ? tls_conn_peer(c->tls) : "",
		 tls_conn_in_kernel(c->tls) ? ", encrypted by the kernel" : "");
	return 1;
}

static int phase_opening(struct conn *c)
{
	(void)c;
	return 0;
}

static int phase_transmission(struct conn *c)
{
	struct handshake *hs = c->hs;

	if (!flush_out(c))
		return c->closing ? -1 : 0;
	c->hs = NULL;
	handshake_timer_off(hs);
	transmit_start(c, hs->in, hs->have);
	c->hs = hs;
	handshake_free(c);
	return -1;
}

static int phase_close(struct conn *c)
{
	if (!flush_out(c))
		return c->closing ? -1 : 0;
	conn_close(c);
	return -1;
}

static int (*const phases[])(struct conn *) = {
	[PHASE_CLIENT_FLAGS] = phase_client_flags,
	[PHASE_OPTION] = phase_option,
	[PHASE_SKIP] = phase_skip,
	[PHASE_TLS_START] = phase_tls_start,
	[PHASE_TLS] = phase_tls,
	[PHASE_OPENING] = phase_opening,
	[PHASE_TRANSMISSION] = phase_transmission,
	[PHASE_CLOSE] = phase_close,
};

/* ---- driving ---- */

void handshake_run(struct conn *c)
{
	int r;

	if (c->worker->parked) {		/* as it is, it goes on later or elsewhere */
		flush_out(c);
		return;
	}
	do {
		r = phases[c->hs->phase](c);
	} while (r > 0);
	if (r == 0 && c->hs->phase != PHASE_TLS)
		flush_out(c);
}

/* Bytes, or 0: nothing now (or nothing ever: then it has been seen to). */
static size_t receive(struct conn *c)
{
	struct handshake *hs = c->hs;
	struct iovec iov = { hs->in + hs->have, hs->cap - hs->have };
	ssize_t n;

	n = conn_recv(c, &iov, 1);
	if (n > 0) {
		hs->have += (size_t)n;
		return (size_t)n;
	}
	if (n != -EAGAIN) {
		conn_log(c, NDM_LOG_DEBUG, "left during the handshake%s%s", n ? ": " : "",
			 n ? strerror((int)-n) : "");
		if (n)
			conn_kill(c);
		else
			conn_close(c);
	}
	return 0;
}

void handshake_ready(struct conn *c)
{
	struct handshake *hs = c->hs;

	if (c->worker->parked) {
		flush_out(c);
		return;
	}
	if (hs->phase == PHASE_OPENING) {
		conn_read_off(c);		/* a task has it */
		conn_write_off(c);
		return;
	}
	if (hs->out.len && !flush_out(c))
		return;
	if (hs->phase == PHASE_TLS || hs->phase >= PHASE_TRANSMISSION ||
	    hs->phase == PHASE_TLS_START) {
		handshake_run(c);
		if (c->closing || c->hs != hs || hs->phase != PHASE_OPTION)
			return;
	}
	conn_read_on(c);
	while (receive(c)) {
		handshake_run(c);
		/* plain sockets say by themselves when there is more, TLS does not */
		if (c->closing || c->hs != hs || c->opening || !c->reading || !c->tls)
			return;
	}
}

/* ---- time ---- */

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	c->dead = true;
	conn_drop(c, "has not finished the handshake in %u seconds",
		  c->worker->ndmd->opt.handshake_s);
}

void handshake_timer(struct conn *c)
{
	struct timeval patience = { .tv_sec = c->worker->ndmd->opt.handshake_s };

	if (!patience.tv_sec || c->worker->parked)
		return;
	if (!event_initialized(&c->hs->timer))
		event_assign(&c->hs->timer, c->worker->base, -1, 0, timer_due, c);
	event_add(&c->hs->timer, &patience);
}

void handshake_timer_off(struct handshake *hs)
{
	if (event_initialized(&hs->timer))
		event_del(&hs->timer);
	hs->timer = (struct event){ 0 };
}

/* ---- beginning and end ---- */

void handshake_forget(struct handshake *hs)
{
	hs->mode = REPLY_SIMPLE;
	hs->contexts = 0;
	free(hs->contexts_export);
	hs->contexts_export = NULL;
}

int handshake_new(struct conn *c)
{
	struct handshake *hs = calloc(1, sizeof *hs);
	uint8_t greeting[NBD_GREETING_BYTES], *p = greeting;

	if (!hs)
		return -ENOMEM;
	hs->in = hs->small;
	hs->cap = sizeof hs->small;
	hs->options_max = OPTIONS_MAX;
	c->hs = hs;
	p = nbd_put64(p, NBD_MAGIC);
	p = nbd_put64(p, NBD_IHAVEOPT);
	nbd_put16(p, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	ndm_str_put(&hs->out, greeting, sizeof greeting);
	handshake_timer(c);
	conn_read_on(c);
	flush_out(c);
	return 0;
}

void handshake_free(struct conn *c)
{
	struct handshake *hs = c->hs;

	handshake_timer_off(hs);
	handshake_forget(hs);
	opening_forget(&hs->opening);
	ndm_str_free(&hs->out);
	if (hs->in != hs->small)
		free(hs->in);
	free(hs);
	c->hs = NULL;
}
