/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd.c - the "rbd" store: an image of a Ceph cluster through librbd.  How it is named is in
 * rbd-open.c; docs/rbd.md says how several servers may share one.
 *
 * A bio becomes one asynchronous call, or several when it discards or zeroes more than a GiB.
 * librbd calls back on threads of its own; the end travels to the loop through its mailbox.
 *
 * Durability: without librbd's cache a write ends when all replicas have it, and FLUSH finds
 * nothing to do but wait for what is under way.  It is passed on all the same, and FUA is left
 * to the core (a write, then a FLUSH): nothing depends on the cache being off.
 */
#include <stdlib.h>

#include "rbd.h"

static struct rbd_req *req_get(struct rbd_store *st)
{
	struct rbd_req *r = st->free_reqs;

	if (!r)
		return ndm_zalloc(sizeof *r);
	st->free_reqs = r->next;
	r->bounce = NULL;
	r->result = 0;
	r->nfound = 0;
	return r;
}

void rbd_req_finish(struct rbd_req *r, int error)
{
	struct rbd_store *st = r->store;
	struct ndm_bio *bio = r->bio;

	if (r->bounce) {
		if (bio->op == NDM_READ && !error)
			ndm_data_to(&bio->data, r->bytes, r->bounce);
		ndm_buffer_put(st->base.loop, r->bounce, r->bytes);
	}
	if (error == -ESHUTDOWN && !st->cut_off) {
		st->cut_off = true;
		ndm_log(st->base.loop->world, NDM_LOG_ERROR, "%s: the Ceph cluster has blocklisted "
			"this client: nothing goes through until the image is closed and opened "
			"again", st->base.name);
	}
	r->next = st->free_reqs;
	st->free_reqs = r;
	ndm_end_part(bio, error);
}

static void req_arrived(struct ndm_msg *msg)
{
	struct rbd_req *r = ndm_container_of(msg, struct rbd_req, msg);
	int err = r->result < 0 ? (int)r->result : 0;

	/* the image has become shorter behind our back */
	if (!err && r->bio->op == NDM_READ && (uint64_t)r->result < r->bytes)
		err = -EIO;
	rbd_req_finish(r, err);
}

/* A thread of librbd's. */
static void req_called_back(rbd_completion c, void *arg)
{
	struct rbd_req *r = arg;
	struct rbd_store *st = r->store;

	atomic_fetch_add_explicit(&st->calling, 1, memory_order_relaxed);
	r->result = st->api->rbd_aio_get_return_value(c);
	st->api->rbd_aio_release(c);
	r->msg.fn = req_arrived;
	ndm_loop_post(st->base.loop, &r->msg);
	/* the loop may be done with the request by now, but closes the store after this */
	atomic_fetch_sub_explicit(&st->calling, 1, memory_order_release);
}

/* The part's memory as librbd takes it: the caller's own, or a copy. */
static int req_memory(struct rbd_req *r)
{
	struct ndm_bio *bio = r->bio;
	size_t reached;
	unsigned n = ndm_data_iov(&bio->data, r->bytes, r->iov, RBD_IOV, &reached);

	if (reached == r->bytes)
		return (int)n;
	r->bounce = ndm_buffer_get(r->store->base.loop, r->bytes);
	if (!r->bounce)
		return -ENOMEM;
	if (bio->op == NDM_WRITE)
		ndm_data_from(&bio->data, r->bytes, r->bounce);
	r->iov[0] = (struct iovec){ r->bounce, r->bytes };
	return 1;
}

static int req_call(struct rbd_req *r, int iovcnt, rbd_completion c)
{
	const struct rbd_api *api = r->store->api;
	rbd_image image = r->store->image;

	switch ((enum ndm_op)r->bio->op) {
	case NDM_READ:
		return api->rbd_aio_readv(image, r->iov, iovcnt, r->offset, c);
	case NDM_WRITE:
		return api->rbd_aio_writev(image, r->iov, iovcnt, r->offset, c);
	case NDM_FLUSH:
		return api->rbd_aio_flush(image, c);
	case NDM_DISCARD:
		return api->rbd_aio_discard(image, r->offset, r->bytes, c);
	case NDM_ZEROES:
		return api->rbd_aio_write_zeroes(image, r->offset, r->bytes, c,
						 r->bio->flags & NDM_NOUNMAP ? RBD_ZEROES_THICK : 0,
						 0);
	case NDM_EXTENTS:
	case NDM_CACHE:
		break;
	}
	return -EOPNOTSUPP;
}

static int req_start(struct rbd_req *r)
{
	const struct rbd_api *api = r->store->api;
	rbd_completion c;
	int err, n = 0;

	if (r->bio->op == NDM_READ || r->bio->op == NDM_WRITE)
		n = req_memory(r);
	if (n < 0)
		return n;
	err = api->rbd_aio_create_completion(r, req_called_back, &c);
	if (err < 0)
		return err;
	err = req_call(r, n, c);
	if (err < 0)				/* then it will not be called back */
		api->rbd_aio_release(c);
	return err < 0 ? err : 0;
}

static void part_start(struct rbd_store *st, struct ndm_bio *bio, uint64_t sector, uint64_t nr)
{
	struct rbd_req *r = req_get(st);
	int err;

	if (!r) {
		ndm_end_part(bio, -ENOMEM);
		return;
	}
	r->store = st;
	r->bio = bio;
	r->offset = sector * NDM_SECTOR_BYTES;
	r->bytes = nr * NDM_SECTOR_BYTES;
	if (bio->op == NDM_EXTENTS) {
		rbd_extents_start(r);
		return;
	}
	err = req_start(r);
	if (err)
		rbd_req_finish(r, err);
}

/* What is answered without the cluster. */
static bool answered(struct rbd_store *st, struct ndm_bio *bio, int *err)
{
	*err = 0;
	switch ((enum ndm_op)bio->op) {
	case NDM_READ:
	case NDM_FLUSH:
		return false;
	case NDM_ZEROES:
		/* a range that is to stay allocated is written */
		if (bio->flags & NDM_FAST && bio->flags & NDM_NOUNMAP)
			*err = -EOPNOTSUPP;
		__attribute__((fallthrough));
	case NDM_WRITE:
	case NDM_DISCARD:
		if (st->base.limits.read_only)
			*err = -EIO;
		return *err;
	case NDM_EXTENTS:
		if (st->whole_data)
			ndm_extent_add(bio, bio->sector, bio->nr, 0);
		return st->whole_data;
	case NDM_CACHE:
		return true;
	}
	*err = -EOPNOTSUPP;
	return true;
}

static void rbd_submit(struct ndm_store *s, struct ndm_bio *bio)
{
	struct rbd_store *st = (struct rbd_store *)s;
	uint64_t sector = bio->sector, left = bio->nr, most = left, nr;
	int err;

	if (answered(st, bio, &err)) {
		ndm_end(bio, err);
		return;
	}
	if (bio->op == NDM_DISCARD || bio->op == NDM_ZEROES)
		most = s->limits.max_discard_sectors;
	bio->pending = 1;
	do {
		nr = left < most ? left : most;
		bio->pending++;
		part_start(st, bio, sector, nr);
		sector += nr;
		left -= nr;
	} while (left);
	ndm_end_part(bio, 0);
}

const struct ndm_store_ops rbd_store_ops = {
	.scheme = "rbd",
	.open = rbd_open_store,
	.submit = rbd_submit,
	.close = rbd_close_store,
};
