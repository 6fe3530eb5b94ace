/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - reads of a verity target.
 *
 * Requests are cut so that one leaf of the tree has the digests of all of a piece's blocks.
 * When the leaf is here and verified the data is read into the caller's memory and hashed there
 * when it comes: on the loop, or, a large piece, by a worker with a lane of its own.  When the
 * leaf is missing it is read, in a task, while the data is being read.  A block that does not
 * match is looked at again in a task, one by one: read once more, repaired, or refused.
 *
 * A worker reads the leaf, which stays pinned, and the caller's memory; nothing of the loop.
 */
#include <errno.h>
#include <string.h>

#include "targets/verity/verity.h"

#define OFFLOAD_BYTES (64u << 10)	/* from here on a worker is worth its two messages */
#define PIECE_BYTES (256u << 10)	/* at once, so that two workers share a large request */

struct verity_bio {
	struct verity *v;
	struct ndm_bio *bio;
	struct verity_node *leaf;	/* pinned; NULL where there are no levels */
	uint64_t block;
	uint32_t nblocks;
	uint8_t lane;
	bool known;			/* every block has been verified before (at_most_once) */
	bool done;			/* nothing is left to do */
	bool mismatch;			/* the error is one of verification */
	struct ndm_work work;
};

_Static_assert(sizeof(struct verity_bio) <= NDM_PER_BIO_MAX, "fits beside a bio");

#define MISMATCH 1			/* of piece_check, beside 0 and -errno */

size_t verity_per_bio(void)
{
	return sizeof(struct verity_bio);
}

void verity_io_init(struct verity *v)
{
	struct ndm_target *ti = v->ti;
	uint64_t bytes = (uint64_t)verity_block_bytes(v) << v->tree.per_block_bits;
	unsigned i;

	ndm_waitq_init(&v->lane_free, ti->loop);
	for (i = 1; i < VERITY_LANES; i++)
		v->free_lane[v->nfree++] = i;
	if (bytes > PIECE_BYTES)		/* both are powers of 2 */
		bytes = PIECE_BYTES;
	ti->max_io = bytes >> NDM_SECTOR_SHIFT;
	ti->per_bio_size = sizeof(struct verity_bio);
}

/* ---- hashing a piece: on the loop or on a worker ---- */

static int block_check(struct verity *v, unsigned lane, const uint8_t *want, void *block)
{
	uint8_t got[NDM_HASH_MAX];
	int err;

	if (v->ignore_zero && !memcmp(want, v->zero, v->digest_bytes)) {
		memset(block, 0, verity_block_bytes(v));
		return 0;
	}
	err = verity_digest(v, lane, block, verity_block_bytes(v), got);
	return err ? err : memcmp(got, want, v->digest_bytes) ? MISMATCH : 0;
}

/* A block of the window, which may lie in pieces. */
static int window_check(struct verity *v, unsigned lane, const uint8_t *want,
			const struct ndm_data *data)
{
	uint32_t bytes = verity_block_bytes(v);
	uint8_t *flat = ndm_data_flat(data, bytes), *scratch = v->scratch[lane];
	int err;

	if (flat)
		return block_check(v, lane, want, flat);
	ndm_data_from(data, bytes, scratch);
	err = block_check(v, lane, want, scratch);
	if (!err && v->ignore_zero)
		ndm_data_to(data, bytes, scratch);
	return err;
}

static int piece_check(void *arg)
{
	struct verity_bio *vb = arg;
	struct verity *v = vb->v;
	struct ndm_data data = vb->bio->data;
	unsigned i;
	int err = 0;

	for (i = 0; i < vb->nblocks && !err; i++) {
		err = window_check(v, vb->lane, verity_wanted(v, vb->leaf, vb->block + i), &data);
		data = ndm_data_skip(data, verity_block_bytes(v));
	}
	return err;
}

static bool lane_take(struct verity_bio *vb)
{
	struct verity *v = vb->v;

	if (!v->nfree)
		return false;
	vb->lane = v->free_lane[--v->nfree];
	return true;
}

static void lane_give(struct verity_bio *vb)
{
	vb->v->free_lane[vb->v->nfree++] = vb->lane;
	vb->lane = 0;
}

/* ---- check_at_most_once ---- */

static bool block_known(const struct verity *v, uint64_t block)
{
	return v->validated && v->validated[block / 8] >> (block % 8) & 1;
}

static void block_learn(struct verity *v, uint64_t block)
{
	if (v->validated)
		v->validated[block / 8] |= 1 << (block % 8);
}

static unsigned blocks_known(const struct verity_bio *vb)
{
	unsigned i, n = 0;

	for (i = 0; vb->v->validated && i < vb->nblocks; i++)
		n += block_known(vb->v, vb->block + i);
	return n;
}

static void piece_learn(struct verity_bio *vb)
{
	unsigned i;

	for (i = 0; vb->v->validated && i < vb->nblocks; i++)
		block_learn(vb->v, vb->block + i);
}

/* ---- one by one, in a task ---- */

static uint64_t block_sector(const struct verity *v, uint64_t block)
{
	return block << (v->block_bits - NDM_SECTOR_SHIFT);
}

/* Reads a block again: what came first may have been changed under way. */
static int block_again(struct verity *v, uint64_t block, const uint8_t *want, uint8_t *buffer)
{
	int err = ndm_rw(v->data->store, NDM_READ, 0, block_sector(v, block),
			 block_sector(v, 1), buffer);

	return err ? err : block_check(v, 0, want, buffer);
}

/* A block that did not match, or could not be read: 0 when it is as it should be, or as it is. */
static int block_rescue(struct verity_bio *vb, uint64_t block, const uint8_t *want,
			const struct ndm_data *data, int read_error)
{
	struct verity *v = vb->v;
	uint32_t bytes = verity_block_bytes(v);
	uint8_t *buffer = ndm_buffer_get(v->ti->loop, bytes), got[NDM_HASH_MAX] = { 0 };
	int err;

	if (!buffer)
		return -ENOMEM;
	err = block_again(v, block, want, buffer);
	if (!err)
		block_learn(v, block);
	else
		err = verity_repair(v, false, block, want, buffer);
	if (!err) {
		ndm_data_to(data, bytes, buffer);
	} else if (read_error) {
		err = -EIO;
	} else {
		ndm_data_from(data, bytes, buffer);
		err = verity_digest(v, 0, buffer, bytes, got);
		err = err ? err : verity_mismatch(v, false, block, want, got);
		vb->mismatch = err;
	}
	ndm_buffer_put(v->ti->loop, buffer, bytes);
	return err;
}

static int piece_slowly(struct verity_bio *vb, int read_error)
{
	struct verity *v = vb->v;
	struct ndm_data data = vb->bio->data;
	unsigned i;
	int err = 0;

	for (i = 0; i < vb->nblocks && !err; i++) {
		uint64_t block = vb->block + i;
		const uint8_t *want = verity_wanted(v, vb->leaf, block);

		if (!block_known(v, block) || read_error) {
			err = read_error ? MISMATCH : window_check(v, 0, want, &data);
			if (!err)
				block_learn(v, block);
			else if (err == MISMATCH)
				err = block_rescue(vb, block, want, &data, read_error);
		}
		data = ndm_data_skip(data, verity_block_bytes(v));
	}
	return err;
}

/* The last of a piece: lets go of the leaf. */
static void piece_end(struct verity_bio *vb, int err)
{
	struct verity *v = vb->v;

	verity_node_put(v, vb->leaf);
	vb->leaf = NULL;
	vb->done = true;
	if (err && !vb->mismatch && v->error)
		verity_die(v, v->error, "I/O error");
}

static void piece_task(void *arg)
{
	struct verity_bio *vb = arg;
	int err = vb->bio->error;

	vb->bio->error = 0;
	err = piece_slowly(vb, err);
	piece_end(vb, err);
	ndm_end(vb->bio, err);
}

/* ---- with the leaf at hand ---- */

static void piece_checked(struct ndm_work *work)
{
	struct verity_bio *vb = work->arg;

	lane_give(vb);
	if (work->result == MISMATCH) {
		ndm_spawn(vb->v->ti->loop, "verity", piece_task, vb);
		return;
	}
	if (!work->result)
		piece_learn(vb);
	piece_end(vb, work->result);
	ndm_end(vb->bio, work->result);
}

static size_t piece_bytes(const struct verity_bio *vb)
{
	return (size_t)vb->nblocks << vb->v->block_bits;
}

enum ndm_endio verity_end_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct verity_bio *vb = ndm_per_bio(bio);
	struct verity *v = vb->v;
	int err;

	if (!v || vb->done)			/* refused, or all done */
		return NDM_ENDIO_DONE;
	if (bio->error ? !!v->fec.dev : blocks_known(vb) && !vb->known) {
		ndm_spawn(ti->loop, "verity", piece_task, vb);
		return NDM_ENDIO_INCOMPLETE;
	}
	err = bio->error;
	if (!err && !vb->known) {
		if (piece_bytes(vb) >= OFFLOAD_BYTES && lane_take(vb)) {
			vb->work = (struct ndm_work){ .fn = piece_check, .arg = vb,
						      .done = piece_checked };
			ndm_work_start(ti->loop, &vb->work);
			return NDM_ENDIO_INCOMPLETE;
		}
		err = piece_check(vb);
		if (err == MISMATCH) {
			ndm_spawn(ti->loop, "verity", piece_task, vb);
			return NDM_ENDIO_INCOMPLETE;
		}
		if (!err)
			piece_learn(vb);
	}
	piece_end(vb, err);
	bio->error = err;
	return NDM_ENDIO_DONE;
}

enum ndm_map verity_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct verity *v = ti->private_data;
	struct verity_bio *vb = ndm_per_bio(bio);
	uint64_t sector = ndm_offset(ti, bio->sector), align = block_sector(v, 1) - 1;

	if (bio->op != NDM_READ || v->dead || (sector | bio->nr) & align)
		return NDM_MAP_KILL;
	*vb = (struct verity_bio){ .v = v, .bio = bio, .block = sector / (align + 1),
				   .nblocks = bio->nr / (align + 1) };
	if (v->validated)
		vb->known = blocks_known(vb) == vb->nblocks;
	if (v->tree.levels && !(vb->known && !v->fec.dev)) {
		vb->leaf = verity_leaf_cached(v, vb->block);
		if (!vb->leaf)
			return NDM_MAP_WAIT;
	}
	return ndm_remap(bio, v->data, sector);
}

/* ---- with the leaf to be read ---- */

/* As verity_end_io, but by waiting. */
static int piece_wait(struct verity_bio *vb)
{
	int err;

	if (piece_bytes(vb) >= OFFLOAD_BYTES && lane_take(vb)) {
		err = ndm_offload(vb->v->ti->loop, piece_check, vb);
		lane_give(vb);
	} else {
		err = piece_check(vb);
	}
	if (!err)
		piece_learn(vb);
	return err == MISMATCH ? piece_slowly(vb, 0) : err;
}

int verity_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct verity *v = ti->private_data;
	struct verity_bio *vb = ndm_per_bio(bio);
	struct ndm_bio *data = ndm_clone(ti->loop, bio, 0, bio->nr);
	struct ndm_group group;
	int err, read_error;

	ndm_group_init(&group, ti->loop);
	ndm_group_add(&group, data, v->data->store, ndm_offset(ti, bio->sector));
	err = verity_leaf(v, vb->block, false, &vb->leaf);
	vb->mismatch = err == -EIO && v->failed;
	read_error = ndm_group_wait(&group);
	if (!err && read_error)
		err = v->fec.dev ? piece_slowly(vb, read_error) : read_error;
	else if (!err && blocks_known(vb))
		err = piece_slowly(vb, 0);
	else if (!err)
		err = piece_wait(vb);
	piece_end(vb, err);
	return err;
}
