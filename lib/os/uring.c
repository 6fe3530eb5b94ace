/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uring.c - io_uring inside a loop: requests are collected, go to the kernel once per turn of
 * the loop, and their ends are read from shared memory without a system call.  The ring's own
 * fd hangs on the loop's epoll fd, so that an idle loop wakes.
 *
 * The ring is made when a loop first needs it.  Where it cannot be had, ring_start() says no
 * for ever and the engine uses workers.
 *
 * Flags that tie a ring to one thread (SINGLE_ISSUER, COOP and DEFER_TASKRUN) are not for us:
 * blocking hosts take turns as the loop, so submitter and reaper change.  For the same reason
 * a request may come back with ECANCELED: the kernel cancels what an exiting thread has
 * submitted.  It is submitted again; a bio that has not ended may be carried out twice.
 */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "os.h"

#ifdef HAVE_LIBURING
#include <liburing.h>

#define RING_ENTRIES 256
#define RING_ENDS 4096

struct os_ring {
	struct io_uring uring;
	struct os_watch watch;
	unsigned collected;			/* prepared, not yet in the kernel's hands */
	unsigned in_flight;			/* prepared, and not yet ended */
};

static void ring_event(struct os_watch *w, uint32_t events)
{
	(void)w;
	(void)events;				/* os_poll reaps after the dispatch */
}

static struct os_ring *ring_new(struct os_loop *os)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = RING_ENDS,
	};
	const char *no = getenv("NDM_NO_URING");
	struct os_ring *ring;

	if (no && !strcmp(no, "1"))
		return NULL;
	ring = ndm_zalloc(sizeof *ring);
	if (!ring)
		return NULL;
	if (io_uring_queue_init_params(RING_ENTRIES, &ring->uring, &params) < 0)
		goto no_ring;
	/* 5.6 and later: reads and writes that need no iovec kept for them, no lost ends */
	if (!(params.features & IORING_FEAT_NODROP) ||
	    !(params.features & IORING_FEAT_RW_CUR_POS))
		goto too_old;
	ring->watch = (struct os_watch){
		.fn = ring_event, .fd = ring->uring.ring_fd, .events = EPOLLIN,
	};
	if (os_watch_add(os->loop, &ring->watch))
		goto too_old;
	os->watches--;				/* os_poll sees its ends without asking */
	return ring;
too_old:
	io_uring_queue_exit(&ring->uring);
no_ring:
	ndm_free(ring);
	return NULL;
}

/* One piece of memory needs no vector to be fetched. */
static void sqe_fill(struct io_uring_sqe *sqe, struct os_req *r)
{
	const struct iovec *v = r->iov;

	if (r->op == OS_FDATASYNC) {
		io_uring_prep_fsync(sqe, r->fd, IORING_FSYNC_DATASYNC);
		return;
	}
	if (r->op == OS_READ && r->iovcnt == 1)
		io_uring_prep_read(sqe, r->fd, v->iov_base, (unsigned)v->iov_len, r->offset);
	else if (r->op == OS_READ)
		io_uring_prep_readv(sqe, r->fd, v, r->iovcnt, r->offset);
	else if (r->iovcnt == 1)
		io_uring_prep_write(sqe, r->fd, v->iov_base, (unsigned)v->iov_len, r->offset);
	else
		io_uring_prep_writev(sqe, r->fd, v, r->iovcnt, r->offset);
	sqe->rw_flags = r->rwf;
}

bool ring_start(struct os_loop *os, struct os_req *r)
{
	struct os_ring *ring;
	struct io_uring_sqe *sqe;

	if (!os->ring_tried) {
		os->ring_tried = true;
		os->ring = ring_new(os);
	}
	ring = os->ring;
	if (!ring)
		return false;
	sqe = io_uring_get_sqe(&ring->uring);
	if (!sqe) {
		ring_submit(os);
		sqe = io_uring_get_sqe(&ring->uring);
		if (!sqe)
			return false;		/* the kernel takes no more just now */
	}
	sqe_fill(sqe, r);
	io_uring_sqe_set_data(sqe, r);
	ring->collected++;
	ring->in_flight++;
	/* Started outside a turn of the loop, nobody would send it: see to it that one comes. */
	if (!os->loop->running)
		os->loop->world->ops->kick(os->loop);
	return true;
}

void ring_submit(struct os_loop *os)
{
	struct os_ring *ring = os->ring;

	while (ring && ring->collected) {
		int n = io_uring_submit(&ring->uring);

		if (n == -EINTR)
			continue;
		/* -EAGAIN, -EBUSY: no memory, or too many ends unread.  They stay in the ring and
		 * go with the next turn, which the unread ends or the kick bring about. */
		if (n <= 0) {
			os->loop->world->ops->kick(os->loop);
			return;
		}
		ring->collected -= (unsigned)n < ring->collected ? (unsigned)n : ring->collected;
	}
}

static void ring_ended(struct os_loop *os, struct os_req *r, int result)
{
	os->ring->in_flight--;
	if (result == -ECANCELED || result == -EINTR) {
		os_req_start(r);
	} else if (result == -EAGAIN || result == -EOPNOTSUPP || result == -EINVAL) {
		os_req_offload(r);		/* the plain system call has the last word */
	} else {
		r->result = result;
		r->fn(r);
	}
}

bool ring_reap(struct os_loop *os)
{
	struct io_uring_cqe *cqe;
	bool any = false;

	/* One at a time: what ends may start others and, in the end, come here again. */
	while (os->ring && !io_uring_peek_cqe(&os->ring->uring, &cqe)) {
		struct os_req *r = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&os->ring->uring, cqe);
		ring_ended(os, r, result);
		any = true;
	}
	return any;
}

unsigned ring_in_flight(const struct os_loop *os)
{
	return os->ring ? os->ring->in_flight : 0;
}

void ring_free(struct os_loop *os)
{
	struct os_ring *ring = os->ring;

	if (!ring)
		return;
	os->watches++;
	os_watch_remove(os->loop, &ring->watch);
	io_uring_queue_exit(&ring->uring);
	os->ring = NULL;
	ndm_free(ring);
}

#else /* !HAVE_LIBURING */

bool ring_start(struct os_loop *os, struct os_req *r)
{
	(void)os;
	(void)r;
	return false;
}

void ring_submit(struct os_loop *os)
{
	(void)os;
}

bool ring_reap(struct os_loop *os)
{
	(void)os;
	return false;
}

unsigned ring_in_flight(const struct os_loop *os)
{
	(void)os;
	return 0;
}

void ring_free(struct os_loop *os)
{
	(void)os;
}
#endif
