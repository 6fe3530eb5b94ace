/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.c - the "file" store: regular files and block devices.
 *
 * A request takes the shortest way that does not make the loop wait for a disk:
 *
 *   read, who asks may    nothing: file-lend.c lends the page cache's own pages
 *         be content
 *   read, tmpfs           pread, on the loop
 *   read, page cache      preadv2(RWF_NOWAIT), on the loop; what is not cached: the engine
 *   write, tmpfs          where data still waits in a socket, the kernel puts it into the
 *                         mapping by itself (file-lend.c)
 *   write, page cache     pwrite, on the loop.  It copies into the page cache, so it waits for
 *                         a disk only when the kernel throttles dirty pages or a block must be
 *                         mapped whose metadata is not cached; handing each write to another
 *                         thread would cost several times the write.  Network and FUSE file
 *                         systems, where that wait is the rule, go to the engine.
 *   FUA                   RWF_DSYNC, the engine
 *   O_DIRECT              the engine; through a bounce buffer where memory is not aligned
 *   FLUSH                 fdatasync, the engine
 *
 * Durability: FLUSH is an fdatasync that starts after the FLUSH was submitted; while one runs,
 * those that arrive share the next one.
 *
 * A failed fdatasync is remembered for as long as the file is open, and every later FLUSH and
 * FUA fails too.  Linux reports a write-back error once and marks the pages clean: a second
 * fdatasync would succeed, and would promise what is lost.
 */
#include <unistd.h>

#include "file.h"

#define BOUNCE_BYTES ((size_t)1 << 20)

int file_synced(struct file_store *f, int result)
{
	if (result != -EIO || f->flush_error)
		return result;
	f->flush_error = -EIO;
	ndm_log(f->base.loop->world, NDM_LOG_ERROR,
		"%s: writes could not be made durable; every later flush fails", f->base.name);
	return result;
}

/* ---- through the engine ---- */

static bool direct_fits(const struct file_store *f, const struct iovec *iov, unsigned n)
{
	uint32_t block = f->base.limits.logical_block_bytes;

	for (; n; n--, iov++)
		if (((uintptr_t)iov->iov_base & (f->memory_align - 1)) ||
		    (iov->iov_len & (block - 1)))
			return false;
	return true;
}

static void rw_end(struct os_req *r, int error)
{
	struct ndm_bio *bio = r->bio;

	if (r->bounce)
		ndm_buffer_put(r->loop, r->bounce, r->bounce_bytes);
	r->bounce = NULL;
	os_req_put(r);
	ndm_end(bio, error);
}

static int rw_bounce(struct os_req *r, const struct ndm_data *data, size_t bytes)
{
	if (bytes > BOUNCE_BYTES)
		bytes = BOUNCE_BYTES;
	if (!r->bounce) {
		r->bounce_bytes = bytes;
		r->bounce = ndm_buffer_get(r->loop, bytes);
		if (!r->bounce)
			return -ENOMEM;
	}
	if (bytes > r->bounce_bytes)
		bytes = r->bounce_bytes;
	if (r->op == OS_WRITE)
		ndm_data_from(data, bytes, r->bounce);
	r->iov[0] = (struct iovec){ .iov_base = r->bounce, .iov_len = bytes };
	r->iovcnt = 1;
	return 0;
}

static void rw_next(struct os_req *r)
{
	struct file_store *f = r->file;
	struct ndm_data data = ndm_data_skip(r->bio->data, r->done_bytes);
	size_t bytes = r->total_bytes - r->done_bytes;
	int err = 0;

	r->offset = r->bio->sector * NDM_SECTOR_BYTES + r->done_bytes;
	r->iovcnt = ndm_data_iov(&data, bytes, r->iov, OS_REQ_IOV, NULL);
	if (r->bounce || (f->direct && !direct_fits(f, r->iov, r->iovcnt)))
		err = rw_bounce(r, &data, bytes);
	if (err)
		rw_end(r, err);
	else
		os_req_start(r);
}

static void rw_done(struct os_req *r)
{
	struct file_store *f = r->file;
	struct ndm_data data;

	if (r->result <= 0) {			/* 0: the file was made shorter */
		int err = r->result ? r->result : -EIO;

		rw_end(r, r->rwf & RWF_DSYNC ? file_synced(f, err) : err);
		return;
	}
	if (r->bounce && r->op == OS_READ) {
		data = ndm_data_skip(r->bio->data, r->done_bytes);
		ndm_data_to(&data, (size_t)r->result, r->bounce);
	}
	r->done_bytes += (size_t)r->result;
	if (r->done_bytes < r->total_bytes)
		rw_next(r);
	else
		rw_end(r, 0);
}

static void rw_engine(struct file_store *f, struct ndm_bio *bio, size_t done)
{
	struct os_req *r = os_req_get(f->base.loop);

	if (!r) {
		ndm_end(bio, -ENOMEM);
		return;
	}
	r->fn = rw_done;
	r->fd = f->fd;
	r->op = bio->op == NDM_READ ? OS_READ : OS_WRITE;
	r->rwf = bio->flags & NDM_FUA && !f->memory ? RWF_DSYNC : 0;
	r->file = f;
	r->bio = bio;
	r->done_bytes = done;
	r->total_bytes = bio->nr * NDM_SECTOR_BYTES;
	rw_next(r);
}

/* ---- on the loop itself ---- */

/* One call.  Plain pread and pwrite where they will do: they have no iovec to fetch. */
static ssize_t rw_call(const struct file_store *f, bool write, const struct iovec *iov, unsigned n,
		       uint64_t offset, int rwf)
{
	if (n == 1 && !rwf)
		return write ? pwrite(f->fd, iov->iov_base, iov->iov_len, (off_t)offset)
			     : pread(f->fd, iov->iov_base, iov->iov_len, (off_t)offset);
	return write ? pwritev2(f->fd, iov, (int)n, (off_t)offset, rwf)
		     : preadv2(f->fd, iov, (int)n, (off_t)offset, rwf);
}

/*
 * Reads or writes as much as can be had; *done says how much that was.  -EAGAIN: the rest
 * would have to wait.
 */
static int rw_inline(struct file_store *f, struct ndm_bio *bio, int rwf, size_t *done)
{
	size_t bytes = bio->nr * NDM_SECTOR_BYTES, len;
	struct ndm_data data = bio->data;
	struct iovec iov[OS_REQ_IOV];
	unsigned n;
	ssize_t got;

	for (*done = 0; *done < bytes; *done += (size_t)got) {
		n = ndm_data_iov(&data, bytes - *done, iov, OS_REQ_IOV, &len);
		do {
			got = rw_call(f, bio->op == NDM_WRITE, iov, n,
				      bio->sector * NDM_SECTOR_BYTES + *done, rwf);
		} while (got < 0 && errno == EINTR);
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;		/* the file was made shorter */
		data = ndm_data_skip(data, (size_t)got);
		if (rwf && (size_t)got < len) {
			*done += (size_t)got;
			return -EAGAIN;
		}
	}
	return 0;
}

static void file_read(struct file_store *f, struct ndm_bio *bio)
{
	size_t done = 0;
	int err = -EAGAIN;

	if (bio->loan && file_lend(f, bio)) {
		ndm_end(bio, 0);
		return;
	}
	if (f->memory)
		err = rw_inline(f, bio, 0, &done);
	else if (f->can_nowait)
		err = rw_inline(f, bio, RWF_NOWAIT, &done);
	if (err == -EOPNOTSUPP) {
		f->can_nowait = false;
		err = -EAGAIN;
	}
	if (err == -EAGAIN)
		rw_engine(f, bio, done);
	else
		ndm_end(bio, err);
}

static void file_write(struct file_store *f, struct ndm_bio *bio)
{
	bool fua = bio->flags & NDM_FUA && !f->memory;
	size_t done;

	if (f->base.limits.read_only)
		ndm_end(bio, -EIO);		/* as the kernel's read-only disk */
	else if (fua && f->flush_error)
		ndm_end(bio, f->flush_error);
	else if (bio->source)
		ndm_end(bio, file_take(f, bio));
	else if (fua || !f->write_inline)
		rw_engine(f, bio, 0);
	else
		ndm_end(bio, rw_inline(f, bio, 0, &done));
}

/* ---- flush ---- */

static void flush_start(struct file_store *f);

static void flush_finish(struct file_store *f, int result)
{
	struct ndm_bio *bio = f->flush_now, *next;

	f->flush_now = NULL;
	f->flushing = false;
	if (f->flush_head)
		flush_start(f);
	for (; bio; bio = next) {
		next = bio->next;
		ndm_end(bio, result);
	}
}

static void flush_done(struct os_req *r)
{
	struct file_store *f = r->file;
	int result = r->result;

	os_req_put(r);
	flush_finish(f, file_synced(f, result));
}

static void flush_start(struct file_store *f)
{
	struct os_req *r = os_req_get(f->base.loop);

	f->flush_now = f->flush_head;
	f->flush_head = f->flush_tail = NULL;
	f->flushing = true;
	if (!r) {
		flush_finish(f, -ENOMEM);
		return;
	}
	r->fn = flush_done;
	r->fd = f->fd;
	r->op = OS_FDATASYNC;
	r->rwf = 0;
	r->file = f;
	os_req_start(r);
}

static void file_flush(struct file_store *f, struct ndm_bio *bio)
{
	if (f->flush_error || f->memory || f->base.limits.read_only) {
		ndm_end(bio, f->flush_error);
		return;
	}
	bio->next = NULL;
	if (f->flush_head)
		f->flush_tail->next = bio;
	else
		f->flush_head = bio;
	f->flush_tail = bio;
	if (!f->flushing)
		flush_start(f);
}

static void file_submit(struct ndm_store *s, struct ndm_bio *bio)
{
	struct file_store *f = file_of(s);

	switch ((enum ndm_op)bio->op) {
	case NDM_READ:
		file_read(f, bio);
		return;
	case NDM_WRITE:
		file_write(f, bio);
		return;
	case NDM_FLUSH:
		file_flush(f, bio);
		return;
	case NDM_DISCARD:
	case NDM_ZEROES:
	case NDM_EXTENTS:
	case NDM_CACHE:
		file_space(f, bio);
		return;
	}
	ndm_end(bio, -EOPNOTSUPP);
}

const struct ndm_store_ops file_store_ops = {
	.scheme = "file",
	.open = file_open,
	.submit = file_submit,
	.close = file_close,
	.takes_sources = true,
	.grow = file_grow,
};
