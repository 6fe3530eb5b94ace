/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h - one client: its socket, its handshake, its requests, its replies.
 *
 * A connection belongs to one worker (thread) at a time.  It negotiates on the first one; at
 * NBD_OPT_GO it moves, while nothing is under way, to the worker whose loop is the home of
 * the device.  Only that thread touches it from then on.
 *
 * Its end: conn_close() stops reading; when the last request is gone it is put on the
 * worker's list of finished ones, and freed at the end of the turn, never under a caller.
 */
#ifndef NDM_SERVER_CONN_H
#define NDM_SERVER_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include <ndm.h>

#include "nbd-protocol.h"
#include "pool.h"
#include "worker.h"

#define CONN_PAYLOAD_MAX (64u << 20)		/* bytes of one READ or WRITE */
#define CONN_REQUESTS_MAX 512u			/* in flight on a connection */
#define CONN_BYTES_MAX (64u << 20)		/* of data in flight on a connection */
#define CONN_UNSENT_MAX (2u << 20)		/* bytes of replies that the client does not take */

struct handshake;
struct tls_conn;

enum reply_mode { REPLY_SIMPLE, REPLY_STRUCTURED, REPLY_EXTENDED };

struct request {
	struct ndm_io io;			/* first: done() gets it back */
	struct conn *conn;
	struct request *next;			/* queue of replies; freelist */
	uint64_t cookie, offset, length;	/* as they were sent */
	uint16_t type, flags;
	uint32_t contexts;			/* BLOCK_STATUS: bit n = context id n */
	size_t charged;				/* bytes counted against the limits */
	void *buf;				/* data of its own, or NULL */
	size_t buf_bytes;
	struct area *area;			/* or a share of what was received */
	struct iovec iov;			/* what io.data shows */
	struct ndm_source source;		/* pieces.c */
	uint64_t taken;				/* bytes of the payload that the store has already */
	bool pieces, submitting, piece_out;
	struct ndm_extents extents;
	struct ndm_loan loan;			/* READ: where the store's own memory is the reply's body */
	/* the reply */
	const uint8_t *body;
	size_t body_bytes;
	unsigned head_bytes;
	uint8_t head[48];
};

struct conn {
	struct worker *worker;
	struct conn *prev, *next;		/* all of the worker */
	struct conn *next_dirty, *next_again, *next_finished;
	struct ndm_msg msg;			/* to another thread */
	struct event read_event, write_event;
	int fd, fd_out;				/* the same but for --stdio on pipes */
	struct tls_conn *tls;
	struct handshake *hs;			/* NULL once requests may come */
	struct ndm_opener *opener;
	char *who;				/* for people: "tcp 10.0.0.7:40022" */
	char *export_name;
	uint64_t number;			/* for log lines */
	unsigned heard_tick;			/* when it last said something */

	bool plain_files : 1;			/* pipes: read() and write() */
	bool closing : 1;			/* nothing is read any more */
	bool dead : 1;				/* nothing can be sent any more */
	bool opening : 1;			/* a task works for it: it may not be freed */
	bool finished : 1;			/* on the worker's list */
	bool dirty : 1, again : 1;		/* on those lists */
	bool reading : 1, writing : 1;		/* events are added */
	bool held : 1;				/* over a limit: not reading */
	bool draining : 1;			/* the server ends */
	bool big_writes : 1;			/* the last payload was a large one */
	bool lends : 1;				/* the last read was answered with a loan */
	bool unix_socket : 1, roomy : 1;	/* its send buffer is the kernel's default, or ours */

	/* transmission */
	enum reply_mode mode;
	uint16_t tflags;
	uint32_t contexts;			/* negotiated ones: bit n = context id n */
	uint64_t size;				/* bytes */
	unsigned in_flight;
	size_t bytes;				/* charged by the requests in flight */
	struct request *out, *out_last;		/* replies to be sent */
	size_t out_bytes;			/* of them */
	size_t out_done;			/* bytes of the first one that have been sent */
	unsigned lent;				/* replies in out whose body is a loan */
	struct request *partial;		/* its payload is still coming */
	size_t partial_bytes;			/* how much of it has come */
	unsigned piece_pause;			/* so many writes are not tried by pieces */
	uint64_t discard;			/* bytes of payload that nobody wants */
	struct area *pending;			/* received, but over a limit */
	size_t pending_at, pending_bytes;
	uint8_t tail[NBD_EXT_REQUEST_BYTES];	/* the beginning of a request */
	unsigned tail_bytes;
	uint8_t *revive;			/* received by the process before (takeover) */
	size_t revive_bytes;
};

/* conn.c */
int conn_new(struct worker *, int fd, int fd_out, char *who);	/* takes fds and who */
/* One of another process; parked, on no worker yet: conn_join() comes next.  NULL: no memory. */
struct conn *conn_revive(struct ndmd *, int fd, const char *who, const char *export_name);
void conn_log(struct conn *, enum ndm_level, const char *fmt, ...) ndm_printf_like(3, 4);
void conn_close(struct conn *);			/* answers what is under way, then ends */
void conn_kill(struct conn *);			/* the socket is of no use any more */
/* the client broke the rules: one line to the log, and the end */
void conn_drop(struct conn *, const char *fmt, ...) ndm_printf_like(2, 3);
void conn_check_end(struct conn *);
void conn_finish(struct conn *);		/* the worker, at the end of its turn */
void conn_read_on(struct conn *);
void conn_read_off(struct conn *);
void conn_write_on(struct conn *);
void conn_write_off(struct conn *);
void conn_leave(struct conn *);			/* its worker, to go to another */
void conn_join(struct conn *, struct worker *);
/* A larger send buffer, where that helps and has not been done; true: try again to send. */
bool conn_make_room(struct conn *);
/* bytes, 0 at the end, -EAGAIN, or another -errno */
ssize_t conn_recv(struct conn *, struct iovec *, int n);
ssize_t conn_send(struct conn *, struct iovec *, int n);

/* handshake.c */
int handshake_new(struct conn *);
void handshake_free(struct conn *);
void handshake_ready(struct conn *);		/* the socket is readable or writable */

/* opening.c */
void opening_done(struct conn *);		/* its device is open, or is not to be had */

/* transmit.c */
void transmit_start(struct conn *, const uint8_t *received, size_t bytes);
void transmit_readable(struct conn *);
void transmit_revive(struct conn *);		/* goes on with what was received before */
void transmit_again(struct conn *);		/* it was over a limit */

/* pieces.c */
/* A write of which nothing has come yet; false: not in pieces. */
bool pieces_begin(struct conn *, struct request *);
bool pieces_receive(struct conn *, size_t *turn_bytes);	/* true: more may be there at once */

/* reply.c */
bool request_buffer(struct request *, uint64_t bytes);	/* of its own; false: no memory */
struct request *request_new(struct conn *, uint64_t cookie);
void request_free(struct request *);
void request_drop_data(struct request *);	/* buffers, before the reply is sent */
void reply_ok(struct request *);		/* whatever belongs to it is in buf or extents */
void reply_error(struct request *, uint32_t nbd_error);
uint32_t reply_errno(const struct request *, int err);
void reply_send(struct conn *);			/* as much as the socket takes */
void reply_settle(struct conn *);		/* loans that could not be sent: copied, now */
void reply_drop_all(struct conn *);

#endif
