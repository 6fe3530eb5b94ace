/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - one file operation that may block: io_uring carries it out, or a worker thread
 * where there is none (not built in, forbidden by seccomp, an old kernel, NDM_NO_URING=1).
 *
 * Requests come from a freelist of the loop; nothing is allocated per operation once the
 * loop is warm.
 */
#include <sys/uio.h>
#include <unistd.h>

#include "os.h"

struct os_req *os_req_get(struct ndm_loop *loop)
{
	struct os_loop *os = os_loop(loop);
	struct os_req *r = os->free_reqs;

	if (r) {
		os->free_reqs = r->next;
		return r;
	}
	r = ndm_zalloc(sizeof *r);
	if (r)
		r->loop = loop;
	return r;
}

void os_req_put(struct os_req *r)
{
	struct os_loop *os = os_loop(r->loop);

	r->next = os->free_reqs;
	os->free_reqs = r;
}

void os_reqs_free(struct os_loop *os)
{
	struct os_req *r;

	while ((r = os->free_reqs)) {
		os->free_reqs = r->next;
		ndm_free(r);
	}
}

/* On a worker. */
static int req_run(void *arg)
{
	struct os_req *r = arg;
	ssize_t n = -1;

	do {
		switch (r->op) {
		case OS_READ:
			n = preadv2(r->fd, r->iov, (int)r->iovcnt, (off_t)r->offset, r->rwf);
			break;
		case OS_WRITE:
			n = pwritev2(r->fd, r->iov, (int)r->iovcnt, (off_t)r->offset, r->rwf);
			break;
		case OS_FDATASYNC:
			n = fdatasync(r->fd);
			break;
		}
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n;
}

static void req_back(struct ndm_work *work)
{
	struct os_req *r = work->arg;

	r->result = work->result;
	r->fn(r);
}

void os_req_offload(struct os_req *r)
{
	r->work = (struct ndm_work){
		.fn = req_run, .arg = r, .loop = r->loop, .done = req_back,
	};
	r->loop->world->ops->offload(r->loop->world, &r->work);
}

void os_req_start(struct os_req *r)
{
	if (!ring_start(os_loop(r->loop), r))
		os_req_offload(r);
}
