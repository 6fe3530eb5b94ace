/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd.h - what the parts of the "nbd" store share: requests (nbd.c), connections that come and
 * go (nbd-link.c), and what is said on them (libnbd, or nbd-wire.c).
 */
#ifndef NDM_OS_NBD_H
#define NDM_OS_NBD_H

#include <libnbd.h>

#include "os.h"

#define NBD_CONNECTIONS_MAX 16
#define NBD_CONNECT_NS ((uint64_t)10 * 1000000000u)	/* handshake at most, by default */
#define NBD_WHY_BYTES 512

struct nbd_store;
struct nbd_conn;

struct nbd_req {				/* one NBD command: a bio, or a part of one */
	struct nbd_req *prev, *next;
	struct ndm_bio *bio;
	struct nbd_conn *conn;
	uint64_t sector, nr;
	void *bounce;				/* libnbd wants flat memory */
	int error;
	uint64_t start_ns;			/* with a time-out only */
	uint64_t writes_before;			/* FLUSH: what it answers for */

	/* nbd-wire.c's */
	struct nbd_req *send_next;
	unsigned char head[28];			/* as it is sent */
	bool unsent;				/* not all of it has been */
	uint64_t cookie;
	uint64_t got;				/* READ: bytes that have come */
};

struct nbd_reqs { struct nbd_req *first, *last; };

enum nbd_conn_state {
	NBD_REST,				/* not connected; perhaps until the timer says so */
	NBD_RESOLVE,				/* a worker has it: names are looked up */
	NBD_NEGOTIATE,				/* connecting, TLS, handshake */
	NBD_READY,
};

/* A walk over the answer to a block status. */
struct nbd_extents { uint64_t offset, at; };	/* bytes; the sector that is next */

enum nbd_part {					/* of a reply: what comes next */
	NBD_PART_HEAD,
	NBD_PART_DATA, NBD_PART_STATUS, NBD_PART_SKIP,
};

struct nbd_slot;

struct nbd_wire {				/* nbd-wire.c */
	bool on;				/* the socket is ours, and not libnbd's */
	bool structured, dead;
	bool blocked;				/* the socket takes no more for now */
	struct os_batch batch;
	struct nbd_req *send_first, *send_last;	/* not, or not all, sent yet */
	size_t sent_bytes;			/* of the first of them */
	struct nbd_slot *slots;
	uint32_t nslots, free_slot;
	unsigned char *in;			/* received, and not yet understood */
	size_t have;
	enum nbd_part part;
	struct nbd_req *cur;			/* the request whose payload comes */
	uint64_t cur_left, cur_at;		/* bytes that are to come; where in it they go */
	bool cur_last;				/* the request ends with them */
	struct nbd_extents extents;
};

struct nbd_conn {
	struct nbd_store *store;
	struct nbd_handle *h;
	enum nbd_conn_state state;
	bool plain;				/* simple replies: no block status, less work */
	struct os_watch watch;
	struct ndm_timer timer;			/* try again; enough; no answer */
	struct ndm_work work;
	struct nbd_reqs in_flight;		/* oldest first */
	struct nbd_reqs finished;		/* called back; ended outside of libnbd */
	unsigned nin_flight;
	struct nbd_wire wire;
	unsigned failures;			/* in a row */
	bool settling;
	int err;				/* of the last failure */
	char why[NBD_WHY_BYTES], logged[NBD_WHY_BYTES];
};

struct nbd_promise {				/* what was told to those above */
	int64_t size;
	uint32_t block_min, block_max, block_preferred;
	bool read_only, flush, fua, trim, zero, fast_zero, cache, extents, multi_conn, rotational;
};

struct nbd_store {
	struct ndm_store base;
	char *uri;				/* without our own options */
	uint64_t connect_ns, timeout_ns;	/* 0: requests may take for ever */
	unsigned mode;
	bool open;				/* the first connection has succeeded, or need not */
	int64_t told_bytes;			/* ndm-size; 0 = the server says it */
	bool unseen;				/* the server has never been there: ndm-size */
	bool closing;
	struct nbd_promise promise;
	uint64_t writes, flushed;		/* counted at their ends; equal: nothing to lose */
	bool lost;				/* a server went away with unflushed writes */
	struct ndm_waitq changed;		/* the task that opens */
	struct ndm_link_watch *watches;
	char last[NBD_WHY_BYTES];		/* why it last went down, or did not come up */
	struct nbd_req *free_reqs;
	unsigned nconns, nready;
	struct nbd_conn conns[NBD_CONNECTIONS_MAX + 1];	/* [0] may be for block status alone */
};

/* ---- nbd-link.c ---- */

void nbd_conn_init(struct nbd_store *, struct nbd_conn *);
void nbd_conn_start(struct nbd_conn *);
/* after every call into libnbd: ends what is finished, follows the connection's state */
void nbd_conn_settle(struct nbd_conn *);
void nbd_conn_expect(struct nbd_conn *);	/* a request was added: mind the time-out */
/* err < 0; why: NULL for what the number says */
void nbd_conn_why(struct nbd_conn *, int err, const char *why);
void nbd_store_reset(struct nbd_store *, const char *why);
/* closes connections; frees the store now, or when the last worker has come back */
void nbd_store_drop(struct nbd_store *);

/* ---- nbd-wire.c ---- */

void nbd_wire_start(struct nbd_conn *);		/* negotiated: takes the socket, if it can */
void nbd_wire_stop(struct nbd_conn *);		/* before the handle is closed */
int nbd_wire_send(struct nbd_req *);		/* goes out with others at the end of the turn */
void nbd_wire_event(struct nbd_conn *, uint32_t events);	/* then settle */

/* ---- nbd-watch.c ---- */

extern const struct ndm_link_ops nbd_link_ops;
void nbd_links_tell(struct nbd_store *, bool up);

/* ---- nbd.c ---- */

void nbd_req_finish(struct nbd_req *, int error);
void nbd_extents_begin(const struct nbd_req *, struct nbd_extents *);
void nbd_extents_add(struct nbd_req *, struct nbd_extents *, uint32_t bytes, uint32_t flags);
void nbd_limits_set(struct nbd_store *);	/* from the promise */
void nbd_conns_more(struct nbd_store *);	/* the first connection is ready */

static inline void nbd_reqs_add(struct nbd_reqs *q, struct nbd_req *r)
{
	r->next = NULL;
	r->prev = q->last;
	if (q->last)
		q->last->next = r;
	else
		q->first = r;
	q->last = r;
}

static inline void nbd_reqs_del(struct nbd_reqs *q, struct nbd_req *r)
{
	if (r->prev)
		r->prev->next = r->next;
	else
		q->first = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		q->last = r->prev;
}

#endif
