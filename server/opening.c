/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opening.c - from an export's name to an open device, and to the thread it lives on.
 *
 * Opening may wait, so a task of the first loop does it; the connection reads nothing
 * meanwhile.  It looks at size and limits on the device's own loop, and the answer is given
 * by whichever thread the connection belongs to from then on: for GO that of the device.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handshake.h"
#include "takeover.h"

#define PREFERRED_BYTES 4096u
#define PREFERRED_MAX_BYTES (32u << 20)

void opening_forget(struct opening *o)
{
	if (o->device)
		ndm_device_put(o->device);
	free(o->name);
	free(o->description);
	*o = (struct opening){ 0 };
}

/* ---- what is told of an export ---- */

static uint16_t transmission_flags(const struct handshake *hs, const struct opening *o)
{
	uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
			 NBD_FLAG_CAN_MULTI_CONN | NBD_FLAG_SEND_CACHE;

	if (o->read_only)
		flags |= NBD_FLAG_READ_ONLY;
	else
		flags |= NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
	if (!o->read_only && o->limits.max_discard_sectors)
		flags |= NBD_FLAG_SEND_TRIM;
	if (o->limits.rotational)
		flags |= NBD_FLAG_ROTATIONAL;
	if (hs->mode != REPLY_SIMPLE)
		flags |= NBD_FLAG_SEND_DF;
	if (hs->mode == REPLY_EXTENDED)
		flags |= NBD_FLAG_BLOCK_STATUS_PAYLOAD;
	return flags;
}

static uint32_t preferred_bytes(const struct ndm_limits *l)
{
	uint32_t n = l->io_opt_bytes;

	if (n < PREFERRED_BYTES || n > PREFERRED_MAX_BYTES || (n & (n - 1)))
		n = l->physical_block_bytes;
	if (n < PREFERRED_BYTES || n > PREFERRED_MAX_BYTES)
		n = PREFERRED_BYTES;
	return n;
}

static void reply_infos(struct conn *c)
{
	struct handshake *hs = c->hs;
	struct opening *o = &hs->opening;
	uint8_t data[2 + NBD_STRING_MAX], *p;
	size_t bytes;

	p = nbd_put16(data, NBD_INFO_EXPORT);
	p = nbd_put64(p, o->nr << NDM_SECTOR_SHIFT);
	nbd_put16(p, transmission_flags(hs, o));
	option_reply(hs, o->option, NBD_REP_INFO, data, 12);
	if (o->want_name && (bytes = strlen(o->name)) <= NBD_STRING_MAX) {
		p = nbd_put16(data, NBD_INFO_NAME);
		memcpy(p, o->name, bytes);
		option_reply(hs, o->option, NBD_REP_INFO, data, 2 + bytes);
	}
	if (o->want_description && o->description &&
	    (bytes = strlen(o->description)) <= NBD_STRING_MAX) {
		p = nbd_put16(data, NBD_INFO_DESCRIPTION);
		memcpy(p, o->description, bytes);
		option_reply(hs, o->option, NBD_REP_INFO, data, 2 + bytes);
	}
	if (o->want_block_size) {
		p = nbd_put16(data, NBD_INFO_BLOCK_SIZE);
		p = nbd_put32(p, 1);		/* the core cuts what is not aligned */
		p = nbd_put32(p, preferred_bytes(&o->limits));
		nbd_put32(p, CONN_PAYLOAD_MAX);
		option_reply(hs, o->option, NBD_REP_INFO, data, 14);
	}
	option_reply(hs, o->option, NBD_REP_ACK, NULL, 0);
}

static void reply_export_name(struct conn *c)
{
	struct handshake *hs = c->hs;
	uint8_t data[10 + 124] = { 0 }, *p;

	p = nbd_put64(data, hs->opening.nr << NDM_SECTOR_SHIFT);
	nbd_put16(p, transmission_flags(hs, &hs->opening));
	ndm_str_put(&hs->out, data, hs->no_zeroes ? 10 : sizeof data);
}

/* ---- the answer ---- */

static void answer_failure(struct conn *c)
{
	struct handshake *hs = c->hs;
	struct opening *o = &hs->opening;

	if (o->option == NBD_OPT_EXPORT_NAME) {
		conn_drop(c, "cannot open export '%s': %s", o->name, strerror(-o->err));
		return;
	}
	option_error(hs, o->option, o->err == -ENXIO ? NBD_REP_ERR_UNKNOWN : NBD_REP_ERR_PLATFORM,
		     "cannot open '%s': %s", o->name, strerror(-o->err));
	hs->phase = PHASE_OPTION;
}

static void answer_success(struct conn *c)
{
	struct handshake *hs = c->hs;
	struct opening *o = &hs->opening;

	if (o->option == NBD_OPT_EXPORT_NAME)
		reply_export_name(c);
	else
		reply_infos(c);
	if (o->option == NBD_OPT_INFO) {
		hs->phase = PHASE_OPTION;
		return;
	}
	c->size = o->nr << NDM_SECTOR_SHIFT;
	c->tflags = transmission_flags(hs, o);
	c->mode = hs->mode;
	c->contexts = hs->contexts;
	c->export_name = o->name;
	o->name = NULL;
	hs->phase = PHASE_TRANSMISSION;
	conn_log(c, NDM_LOG_DEBUG, "is served");
}

void opening_done(struct conn *c)
{
	struct opening *o = &c->hs->opening;
	struct worker *w = c->worker;

	c->opening = false;
	takeover_opened(w->ndmd);
	c->opener = o->opener;
	o->opener = NULL;
	if (c->closing || w->draining || (w->parked && c->tls)) {
		conn_close(c);
		return;
	}
	if (o->err)
		answer_failure(c);
	else
		answer_success(c);
	if (c->closing)
		return;
	if (w->index == 0 && c->hs->phase == PHASE_OPTION) {
		handshake_timer(c);
		conn_read_on(c);
	}
	handshake_run(c);
}

/* It has come to another thread: to that of its device. */
static void moved(struct ndm_msg *msg)
{
	struct conn *c = (struct conn *)((char *)msg - offsetof(struct conn, msg));

	conn_join(c, worker_of(c->worker->ndmd, ndm_opener_loop(c->hs->opening.opener)));
	opening_done(c);
}

/* ---- the task ---- */

static int open_device(struct conn *c, struct opening *o)
{
	int err = -EROFS;

	if (!o->read_only)
		err = ndm_open(o->device, NDM_OPEN_READ | NDM_OPEN_WRITE, c->who, &o->opener);
	if (err == -EROFS) {
		o->read_only = true;
		err = ndm_open(o->device, NDM_OPEN_READ, c->who, &o->opener);
	}
	ndm_device_put(o->device);
	o->device = NULL;
	return err;
}

static void opening_task(void *arg)
{
	struct conn *c = arg;
	struct opening *o = &c->hs->opening;
	struct ndm_loop *first = c->worker->loop, *home = first;
	const struct ndm_store *store;

	o->opener = NULL;
	o->err = open_device(c, o);
	if (!o->err) {
		home = ndm_opener_loop(o->opener);
		if (home != first && o->option != NBD_OPT_INFO)
			conn_leave(c);
		ndm_task_hop(first, home);
		store = ndm_opener_store(o->opener);
		o->nr = store->nr;
		o->limits = store->limits;
		o->read_only |= store->limits.read_only;
		if (o->option == NBD_OPT_INFO) {
			ndm_task_hop(home, first);
			home = first;
			ndm_close(o->opener);
			o->opener = NULL;
		}
	}
	if (home == first) {
		worker_arrived(c);		/* not here: encryption wants more stack */
		return;
	}
	c->msg.fn = moved;
	ndm_loop_post(home, &c->msg);
}

/* The socket is still watched: mostly the task has done before the client says more. */
void opening_start(struct conn *c)
{
	handshake_timer_off(c->hs);
	c->opening = true;
	atomic_fetch_add(&c->worker->ndmd->nopening, 1);
	ndm_spawn(c->worker->loop, "open", opening_task, c);
}
