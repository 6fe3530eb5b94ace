/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - sectors on their way through a crypt target.
 *
 * Reads go down into the caller's own memory and are decrypted there when they come back.
 * Writes are encrypted into a buffer of ours first: what the caller gave is never changed.
 * A small piece of work is done on the loop at once; a large one goes to a worker thread, each
 * with a lane (keyed cipher objects) of its own; when no lane is free the loop does it itself,
 * which is all the flow control there is.
 *
 * With metadata (authentication, stored IVs) a bio carries a window for it besides, from a
 * buffer of ours.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "targets/crypt/crypt.h"

#define OFFLOAD_US 15			/* from here on a worker is worth its two messages */

struct crypt_bio {
	struct crypt *crypt;
	struct ndm_bio *bio;
	uint64_t sector;		/* in the target */
	size_t bytes;
	struct ndm_data data;		/* the caller's */
	uint8_t *buffer;		/* a write's ciphertext */
	uint8_t *tags;
	uint8_t *random;		/* stored IVs, while encrypting; lies behind the tags */
	struct iovec iov;
	struct ndm_work work;
	uint64_t bad;			/* where authentication failed */
	uint8_t lane;
	bool done;			/* a read was decrypted */
};

_Static_assert(sizeof(struct crypt_bio) <= NDM_PER_BIO_MAX, "fits beside a bio");

size_t crypt_per_bio(void)
{
	return sizeof(struct crypt_bio);
}

void crypt_io_init(struct crypt *c)
{
	unsigned i;

	c->offload_bytes = ndm_crypt_bytes_in(c->crypt, OFFLOAD_US);
	c->nfree = 0;
	for (i = 1; i < CRYPT_LANES; i++)
		c->free_lane[c->nfree++] = i;
}

/* ---- the work: on the loop or on a worker; touches nothing of the loop ---- */

static int work_piece(struct crypt_bio *cb, bool encrypt, size_t at, const uint8_t *in, uint8_t *out,
		      size_t bytes)
{
	struct crypt *c = cb->crypt;
	size_t sectors = at / c->sector_bytes;
	struct ndm_crypt_run run = {
		.encrypt = encrypt, .sector = cb->sector + (at >> NDM_SECTOR_SHIFT),
		.in = in, .out = out, .bytes = bytes,
		.tags = cb->tags ? cb->tags + sectors * c->tuple_bytes : NULL,
		.random = cb->random ? cb->random + ndm_crypt_random_bytes(c->crypt, at) : NULL,
	};
	int err = ndm_crypt_run(c->crypt, cb->lane, &run);

	if (err == -EILSEQ)
		cb->bad = run.bad;
	return err;
}

static int work_encrypt(struct crypt_bio *cb)
{
	const uint8_t *flat = ndm_data_flat(&cb->data, cb->bytes);

	if (!flat) {
		ndm_data_from(&cb->data, cb->bytes, cb->buffer);
		flat = cb->buffer;
	}
	return work_piece(cb, true, 0, flat, cb->buffer, cb->bytes);
}

/* One sector that lies in several pieces of memory. */
static int decrypt_straddling(struct crypt_bio *cb, size_t at, const struct ndm_data *d)
{
	uint8_t *scratch = cb->crypt->scratch[cb->lane];
	size_t bytes = cb->crypt->sector_bytes;
	int err;

	ndm_data_from(d, bytes, scratch);
	err = work_piece(cb, false, at, scratch, scratch, bytes);
	if (!err)
		ndm_data_to(d, bytes, scratch);
	ndm_secret_wipe(scratch, bytes);
	return err;
}

static int work_decrypt(struct crypt_bio *cb)
{
	uint8_t *flat = ndm_data_flat(&cb->data, cb->bytes);
	size_t at, now, sector = cb->crypt->sector_bytes;
	struct ndm_data d = cb->data;
	struct iovec v;
	int err = 0;

	if (flat)
		return work_piece(cb, false, 0, flat, flat, cb->bytes);
	for (at = 0; at < cb->bytes && !err; at += now) {
		ndm_data_iov(&d, cb->bytes - at, &v, 1, &now);
		now -= now % sector;
		if (now) {
			err = work_piece(cb, false, at, v.iov_base, v.iov_base, now);
		} else {
			now = sector;
			err = decrypt_straddling(cb, at, &d);
		}
		d = ndm_data_skip(d, now);
	}
	return err;
}

static int work_run(void *arg)
{
	struct crypt_bio *cb = arg;

	return cb->bio->op == NDM_WRITE ? work_encrypt(cb) : work_decrypt(cb);
}

/* ---- metadata ---- */

/* The metadata of so many bytes, and behind it the IVs to be stored there. */
static size_t tags_bytes(const struct crypt *c, size_t bytes)
{
	return bytes / c->sector_bytes * c->tuple_bytes + ndm_crypt_random_bytes(c->crypt, bytes);
}

static int tags_get(struct crypt_bio *cb)
{
	struct crypt *c = cb->crypt;
	size_t tags = cb->bytes / c->sector_bytes * c->tuple_bytes;

	cb->tags = ndm_buffer_get(c->ti->loop, tags_bytes(c, cb->bytes));
	if (!cb->tags)
		return -ENOMEM;
	cb->bio->tags = (struct ndm_tags){ .bytes = cb->tags, .each = c->tuple_bytes,
					   .sectors = c->sector_bytes >> NDM_SECTOR_SHIFT };
	if (cb->bio->op == NDM_WRITE && tags_bytes(c, cb->bytes) > tags) {
		cb->random = cb->tags + tags;
		ndm_random_bytes(c->ti->loop, cb->random, tags_bytes(c, cb->bytes) - tags);
	}
	return 0;
}

/* ---- lanes ---- */

static bool work_offload(struct crypt_bio *cb, unsigned never, void (*done)(struct ndm_work *))
{
	struct crypt *c = cb->crypt;

	if (cb->bytes < c->offload_bytes || c->flags & never || !c->nfree)
		return false;
	cb->lane = c->free_lane[--c->nfree];
	cb->work = (struct ndm_work){ .fn = work_run, .arg = cb, .done = done };
	ndm_work_start(c->ti->loop, &cb->work);
	return true;
}

static struct crypt_bio *work_back(struct ndm_work *work)
{
	struct crypt_bio *cb = work->arg;

	cb->crypt->free_lane[cb->crypt->nfree++] = cb->lane;
	return cb;
}

static void buffers_put(struct crypt_bio *cb)
{
	struct ndm_loop *loop = cb->crypt->ti->loop;

	ndm_buffer_put(loop, cb->buffer, cb->bytes);
	if (cb->tags)
		ndm_buffer_put(loop, cb->tags, tags_bytes(cb->crypt, cb->bytes));
	cb->buffer = cb->tags = NULL;
}

/* ---- writes ---- */

static void write_send(struct crypt_bio *cb)
{
	struct ndm_bio *bio = cb->bio;

	cb->iov = (struct iovec){ cb->buffer, cb->bytes };
	bio->data = (struct ndm_data){ .iov = &cb->iov, .iovcnt = 1 };
}

static void write_encrypted(struct ndm_work *work)
{
	struct crypt_bio *cb = work_back(work);

	if (work->result) {
		ndm_end(cb->bio, work->result);
		return;
	}
	write_send(cb);
	ndm_submit(cb->bio);
}

static enum ndm_map write_start(struct crypt_bio *cb)
{
	int err;

	cb->buffer = ndm_buffer_get(cb->crypt->ti->loop, cb->bytes);
	if (!cb->buffer) {
		ndm_end(cb->bio, -ENOMEM);
		return NDM_MAP_SUBMITTED;
	}
	if (work_offload(cb, CRYPT_NO_WRITE_QUEUE, write_encrypted))
		return NDM_MAP_SUBMITTED;
	err = work_run(cb);
	if (err) {
		ndm_end(cb->bio, err);
		return NDM_MAP_SUBMITTED;
	}
	write_send(cb);
	return NDM_MAP_REMAPPED;
}

/* ---- the target's methods ---- */

enum ndm_map crypt_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct crypt *c = ti->private_data;
	struct crypt_bio *cb = ndm_per_bio(bio);
	uint64_t sector = ndm_offset(ti, bio->sector);
	unsigned align = (c->sector_bytes >> NDM_SECTOR_SHIFT) - 1;

	if (bio->op == NDM_FLUSH)
		return ndm_remap(bio, c->dev, 0);
	ndm_remap(bio, c->dev, c->start + sector);
	if (bio->op != NDM_READ && bio->op != NDM_WRITE)
		return NDM_MAP_REMAPPED;
	if ((sector | bio->nr) & align)
		return NDM_MAP_KILL;
	*cb = (struct crypt_bio){ .crypt = c, .bio = bio, .sector = sector,
				  .bytes = bio->nr << NDM_SECTOR_SHIFT, .data = bio->data };
	if (c->tuple_bytes && tags_get(cb)) {
		ndm_end(bio, -ENOMEM);
		return NDM_MAP_SUBMITTED;
	}
	return bio->op == NDM_READ ? NDM_MAP_REMAPPED : write_start(cb);
}

static void read_decrypted(struct ndm_work *work)
{
	struct crypt_bio *cb = work_back(work);

	cb->done = true;
	ndm_end(cb->bio, work->result);
}

static void read_failed(struct crypt_bio *cb)
{
	if (cb->bio->error == -EILSEQ && cb->done)
		ndm_warn(cb->crypt->ti, "INTEGRITY AEAD ERROR, sector %" PRIu64, cb->bad);
}

enum ndm_endio crypt_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct crypt_bio *cb = ndm_per_bio(bio);

	(void)ti;
	if (bio->op != NDM_READ && bio->op != NDM_WRITE)
		return NDM_ENDIO_DONE;
	if (!cb->crypt)				/* killed before it was ours */
		return NDM_ENDIO_DONE;
	if (bio->op == NDM_READ && !bio->error && !cb->done) {
		if (work_offload(cb, CRYPT_NO_READ_QUEUE, read_decrypted))
			return NDM_ENDIO_INCOMPLETE;
		bio->error = work_run(cb);
		cb->done = true;
	}
	if (bio->error)
		read_failed(cb);
	buffers_put(cb);
	return NDM_ENDIO_DONE;
}
