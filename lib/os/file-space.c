/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file-space.c - discards, zeroes, block status and read-ahead of a file: calls that may take
 * long and that io_uring would give to a thread anyway, so they go to a worker.  On tmpfs,
 * where nothing waits, they are made on the loop unless they are large.
 *
 * What a file system cannot do is learned from its first refusal, once per file.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "file.h"

#define INLINE_BYTES ((uint64_t)16 << 20)	/* tmpfs frees some GiB a second */
#define ZERO_BYTES 65536
#define ZERO_IOV 16
#define EXTENTS_MAX 1024u			/* in one answer; the asker comes again */

static const _Alignas(4096) char zeroes[ZERO_BYTES];

struct extents_found {
	unsigned n;
	struct { uint64_t from, to; bool hole; } list[EXTENTS_MAX];	/* bytes */
};

static int write_zeroes(const struct file_store *f, uint64_t offset, uint64_t bytes)
{
	struct iovec iov[ZERO_IOV];
	uint64_t left;
	ssize_t n;
	int cnt;

	while (bytes) {
		left = bytes;
		for (cnt = 0; cnt < ZERO_IOV && left; cnt++) {
			iov[cnt].iov_base = (void *)(uintptr_t)zeroes;
			iov[cnt].iov_len = left < ZERO_BYTES ? (size_t)left : ZERO_BYTES;
			left -= iov[cnt].iov_len;
		}
		n = pwritev(f->fd, iov, cnt, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		offset += (uint64_t)n;
		bytes -= (uint64_t)n;
	}
	return 0;
}

/* -EOPNOTSUPP is remembered in *can, and given at once from then on. */
static int allocate(const struct file_store *f, atomic_bool *can, int mode, uint64_t offset,
		    uint64_t bytes)
{
	int err;

	if (!atomic_load_explicit(can, memory_order_relaxed))
		return -EOPNOTSUPP;
	do {
		err = fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
	} while (err && errno == EINTR);
	err = err ? -errno : 0;
	if (err == -ENOSYS || err == -ENODEV || err == -ENOTTY)
		err = -EOPNOTSUPP;
	if (err == -EOPNOTSUPP)
		atomic_store_explicit(can, false, memory_order_relaxed);
	return err;
}

static int space_discard(struct file_store *f, const struct ndm_bio *bio)
{
	uint64_t range[2] = { bio->sector * NDM_SECTOR_BYTES, bio->nr * NDM_SECTOR_BYTES };
	int err;

	if (!f->block_device) {
		err = allocate(f, &f->can_punch, FALLOC_FL_PUNCH_HOLE, range[0], range[1]);
	} else if (!atomic_load_explicit(&f->can_punch, memory_order_relaxed)) {
		err = -EOPNOTSUPP;
	} else {
		err = ioctl(f->fd, BLKDISCARD, range) ? -errno : 0;
		if (err == -EOPNOTSUPP)
			atomic_store_explicit(&f->can_punch, false, memory_order_relaxed);
	}
	return err == -EOPNOTSUPP ? 0 : err;	/* a discard may do nothing */
}

static int space_zeroes(struct file_store *f, const struct ndm_bio *bio)
{
	uint64_t offset = bio->sector * NDM_SECTOR_BYTES, bytes = bio->nr * NDM_SECTOR_BYTES;
	/* a block device's ZERO_RANGE may mean that the kernel writes zeroes, one by one */
	bool range_is_fast = !f->block_device;
	int err = -EOPNOTSUPP;

	if (!(bio->flags & NDM_NOUNMAP))
		err = allocate(f, &f->can_punch, FALLOC_FL_PUNCH_HOLE, offset, bytes);
	if (err == -EOPNOTSUPP && (range_is_fast || !(bio->flags & NDM_FAST)))
		err = allocate(f, &f->can_zero_range, FALLOC_FL_ZERO_RANGE, offset, bytes);
	if (err == -EOPNOTSUPP && !(bio->flags & NDM_FAST))
		err = write_zeroes(f, offset, bytes);
	return err;
}

/* Asks the file system where data is; fills r->bounce, which space_done() reports. */
static int space_extents(struct file_store *f, struct os_req *r)
{
	uint64_t at = r->bio->sector * NDM_SECTOR_BYTES;
	uint64_t end = at + r->bio->nr * NDM_SECTOR_BYTES;
	struct extents_found *found = ndm_zalloc(sizeof *found);
	off_t data, hole;

	r->bounce = found;
	if (!found)
		return -ENOMEM;
	while (at < end && found->n + 2 <= EXTENTS_MAX) {
		data = lseek(f->fd, (off_t)at, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			goto cannot;
		if (data < 0 || (uint64_t)data > end)
			data = (off_t)end;
		if ((uint64_t)data > at) {
			found->list[found->n].from = at;
			found->list[found->n].to = (uint64_t)data;
			found->list[found->n++].hole = true;
		}
		at = (uint64_t)data;
		if (at >= end)
			break;
		hole = lseek(f->fd, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole <= at)
			goto cannot;
		found->list[found->n].from = at;
		at = (uint64_t)hole < end ? (uint64_t)hole : end;
		found->list[found->n++].to = at;
	}
	return 0;
cannot:
	atomic_store_explicit(&f->can_seek, false, memory_order_relaxed);
	found->n = 0;
	return 0;
}

/* On a worker, or on the loop. */
static int space_run(void *arg)
{
	struct os_req *r = arg;
	struct file_store *f = r->file;
	struct ndm_bio *bio = r->bio;
	int err;

	switch ((enum ndm_op)bio->op) {
	case NDM_DISCARD:
		err = space_discard(f, bio);
		break;
	case NDM_ZEROES:
		err = space_zeroes(f, bio);
		break;
	case NDM_EXTENTS:
		return space_extents(f, r);
	default:				/* CACHE: a hint, whatever comes of it */
		posix_fadvise(f->fd, (off_t)(bio->sector * NDM_SECTOR_BYTES),
			      (off_t)(bio->nr * NDM_SECTOR_BYTES), POSIX_FADV_WILLNEED);
		return 0;
	}
	if (!err && bio->flags & NDM_FUA && !f->memory && fdatasync(f->fd))
		err = -errno;
	return err;
}

/* Data that begins or ends within a sector takes the whole sector. */
static void extents_report(struct ndm_bio *bio, const struct extents_found *found)
{
	uint64_t at = bio->sector, to;
	unsigned i;

	for (i = 0; i < found->n; i++) {
		to = found->list[i].to / NDM_SECTOR_BYTES;
		if (!found->list[i].hole && found->list[i].to % NDM_SECTOR_BYTES)
			to++;
		if (to <= at)
			continue;
		ndm_extent_add(bio, at, to - at,
			       found->list[i].hole ? NDM_EXTENT_HOLE | NDM_EXTENT_ZERO : 0);
		at = to;
	}
}

static void space_finish(struct os_req *r, int err)
{
	struct file_store *f = r->file;
	struct ndm_bio *bio = r->bio;
	struct extents_found *found = r->bounce;

	r->bounce = NULL;
	os_req_put(r);
	if (bio->op == NDM_DISCARD || bio->op == NDM_ZEROES)	/* somebody may have looked meanwhile */
		file_lend_no_more(f, bio->sector * NDM_SECTOR_BYTES, bio->nr * NDM_SECTOR_BYTES);
	if (bio->op == NDM_EXTENTS && !err) {
		if (found->n)
			extents_report(bio, found);
		else
			ndm_extent_add(bio, bio->sector, bio->nr, 0);
	}
	ndm_free(found);
	ndm_end(bio, bio->flags & NDM_FUA ? file_synced(f, err) : err);
}

static void space_done(struct ndm_work *work)
{
	space_finish(work->arg, work->result);
}

static bool space_refuses(struct file_store *f, struct ndm_bio *bio, int *err)
{
	bool change = bio->op == NDM_DISCARD || bio->op == NDM_ZEROES;

	*err = 0;
	if (change && f->base.limits.read_only)
		*err = -EIO;
	else if (change && bio->flags & NDM_FUA && f->flush_error)
		*err = f->flush_error;
	else if (bio->op == NDM_CACHE && (f->memory || f->direct))
		return true;			/* nothing to do */
	else if (bio->op == NDM_EXTENTS && !atomic_load_explicit(&f->can_seek,
								 memory_order_relaxed))
		ndm_extent_add(bio, bio->sector, bio->nr, 0);
	else
		return false;
	return true;
}

void file_space(struct file_store *f, struct ndm_bio *bio)
{
	struct ndm_loop *loop = f->base.loop;
	struct os_req *r;
	int err;

	if (space_refuses(f, bio, &err)) {
		ndm_end(bio, err);
		return;
	}
	if (bio->op == NDM_DISCARD || bio->op == NDM_ZEROES)
		file_lend_no_more(f, bio->sector * NDM_SECTOR_BYTES, bio->nr * NDM_SECTOR_BYTES);
	r = os_req_get(loop);
	if (!r) {
		ndm_end(bio, -ENOMEM);
		return;
	}
	r->file = f;
	r->bio = bio;
	r->bounce = NULL;
	if (f->memory && bio->nr * NDM_SECTOR_BYTES <= INLINE_BYTES) {
		space_finish(r, space_run(r));
		return;
	}
	r->work = (struct ndm_work){
		.fn = space_run, .arg = r, .loop = loop, .done = space_done,
	};
	loop->world->ops->offload(loop->world, &r->work);
}
