/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * make.c - hash trees made, or held against the data, in one pass over it.
 *
 * Each level has one block that is being filled.  A block that is full is written (or compared
 * with what is there), and its digest goes into the block of the level above; so the last digest
 * of all is the root.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ndm-luks.h>
#include <ndm-target.h>
#include <ndm-verity.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"
#include "lib/verity/inside.h"

#define READ_BYTES (1u << 20)

struct level {
	uint8_t *block;			/* being filled */
	uint64_t n;			/* digests put into this level */
};

struct ndm_verity_hasher {
	struct ndm_hash *hash;
	bool checking;
	struct level level[NDM_VERITY_LEVELS_MAX];
	uint8_t *stored;		/* what is there, when checking */
};

int verity_fail(struct ndm_verity_job *job, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(job->why, sizeof job->why, fmt, ap);
	va_end(ap);
	return err;
}

int ndm_verity_random(void *to, size_t bytes)
{
	return ndm_secret_random(to, bytes);
}

static uint64_t hash_start(const struct ndm_verity_job *job)
{
	uint64_t bs = job->super.hash_block_bytes, at = job->hash_offset;

	if (!job->no_super)
		at += NDM_VERITY_SUPER_BYTES;
	return (at + bs - 1) / bs;
}

/* ---- preparing ---- */

static int prepare_hash(struct ndm_verity_job *job)
{
	struct ndm_verity_hasher *h = ndm_zalloc(sizeof *h);
	const struct ndm_verity_super *s = &job->super;

	job->hasher = h;
	if (!h)
		return verity_fail(job, -ENOMEM, "Not enough memory.");
	if (ndm_hash_new(s->algorithm, &h->hash) || ndm_hash_keyed(h->hash))
		return verity_fail(job, -EINVAL, "Hash algorithm %s not supported.", s->algorithm);
	if (s->version && ndm_hash_prefix(h->hash, s->salt, s->salt_bytes))
		return verity_fail(job, -ENOMEM, "Not enough memory.");
	job->tree = (struct ndm_verity_tree){
		.version = s->version, .digest_bytes = ndm_hash_bytes(h->hash),
		.hash_block_bytes = s->hash_block_bytes, .data_blocks = s->data_blocks,
		.start = hash_start(job),
	};
	if (2 * job->tree.digest_bytes > s->hash_block_bytes)
		return verity_fail(job, -EINVAL, "Digests are too long for blocks of %u bytes.",
				   s->hash_block_bytes);
	return 0;
}

/* What parity covers: the data, and the hash device from the tree to its end, or to the parity. */
static int prepare_fec(struct ndm_verity_job *job)
{
	uint64_t bs = job->super.data_block_bytes, end, n = 255 - job->fec_roots;

	if (!job->fec)
		return 0;
	if (bs != job->super.hash_block_bytes)
		return verity_fail(job, -EINVAL, "Block sizes must match for FEC.");
	if (job->fec_roots < 2 || job->fec_roots > 24)
		return verity_fail(job, -EINVAL, "Invalid number of parity bytes.");
	if (job->fec_offset % bs)
		return verity_fail(job, -EINVAL, "FEC area must begin with a block.");
	end = job->same_fec ? job->fec_offset / bs : job->hash->bytes / bs;
	if (end < job->tree.end)
		end = job->tree.end;
	job->fec_blocks = job->super.data_blocks + end - job->tree.start;
	job->fec_rounds = (job->fec_blocks + n - 1) / n;
	return 0;
}

int ndm_verity_prepare(struct ndm_verity_job *job)
{
	const char *why;
	unsigned i;
	int err = prepare_hash(job);

	if (err)
		return err;
	err = ndm_verity_tree_init(&job->tree, &why);
	if (err)
		return verity_fail(job, err, "%s.", why);
	if (job->super.data_blocks > UINT64_MAX / job->super.data_block_bytes ||
	    job->tree.end > UINT64_MAX / job->super.hash_block_bytes)
		return verity_fail(job, -EINVAL, "There cannot be so many blocks.");
	for (i = 0; i < job->tree.levels; i++) {
		job->hasher->level[i].block = ndm_zalloc(job->super.hash_block_bytes);
		if (!job->hasher->level[i].block)
			return verity_fail(job, -ENOMEM, "Not enough memory.");
	}
	job->hasher->stored = ndm_zalloc(job->super.hash_block_bytes);
	if (!job->hasher->stored)
		return verity_fail(job, -ENOMEM, "Not enough memory.");
	return prepare_fec(job);
}

void ndm_verity_done(struct ndm_verity_job *job)
{
	unsigned i;

	if (!job->hasher)
		return;
	for (i = 0; i < job->tree.levels; i++)
		ndm_free(job->hasher->level[i].block);
	ndm_free(job->hasher->stored);
	ndm_hash_free(job->hasher->hash);
	ndm_free(job->hasher);
	job->hasher = NULL;
}

/* ---- the pass ---- */

static int digest(struct ndm_verity_job *job, const void *block, size_t bytes, uint8_t *to)
{
	const struct ndm_verity_super *s = &job->super;
	struct ndm_hash *h = job->hasher->hash;
	int err = ndm_hash_begin(h);

	err = err ? err : ndm_hash_update(h, block, bytes);
	if (!err && !s->version && s->salt_bytes)
		err = ndm_hash_update(h, s->salt, s->salt_bytes);
	return err ? err : ndm_hash_end(h, to);
}

/* Where, in bytes, what the first wrong digest of a block is of. */
static int mismatch(struct ndm_verity_job *job, unsigned level, uint64_t block)
{
	const struct ndm_verity_tree *t = &job->tree;
	const uint8_t *a = job->hasher->level[level].block, *b = job->hasher->stored;
	uint64_t slots = 1ull << t->per_block_bits, slot, at, first = block << t->per_block_bits;

	for (slot = 0; slot < slots; slot++) {
		at = ndm_verity_tree_offset(t, slot, 0);
		if (memcmp(a + at, b + at, t->digest_bytes))
			break;
	}
	at = level ? (t->level_block[level - 1] + first + slot) * t->hash_block_bytes :
		     (first + slot) * job->super.data_block_bytes;
	if (slot == slots || first + slot >= job->hasher->level[level].n)
		return verity_fail(job, -EPERM, "Spare area is not zeroed at position %" PRIu64 ".",
				   (t->level_block[level] + block) * t->hash_block_bytes);
	return verity_fail(job, -EPERM, "Verification failed at position %" PRIu64 ".", at);
}

static int digest_put(struct ndm_verity_job *job, unsigned level, const uint8_t *d);

/* The block of a level is done: to the disk or against it, and its digest upwards. */
static int block_done(struct ndm_verity_job *job, unsigned level)
{
	const struct ndm_verity_tree *t = &job->tree;
	struct level *l = &job->hasher->level[level];
	uint64_t block = (l->n - 1) >> t->per_block_bits;
	uint64_t at = (t->level_block[level] + block) * t->hash_block_bytes;
	uint8_t d[NDM_VERITY_DIGEST_MAX];
	int err;

	if (job->hasher->checking) {
		err = job->hash->read(job->hash, at, job->hasher->stored, t->hash_block_bytes);
		if (!err && memcmp(job->hasher->stored, l->block, t->hash_block_bytes))
			return mismatch(job, level, block);
	} else {
		err = job->hash->write(job->hash, at, l->block, t->hash_block_bytes);
	}
	if (err)
		return verity_fail(job, err, "Hash area: %s.", strerror(-err));
	err = digest(job, l->block, t->hash_block_bytes, d);
	memset(l->block, 0, t->hash_block_bytes);
	return err ? err : digest_put(job, level + 1, d);
}

static int digest_put(struct ndm_verity_job *job, unsigned level, const uint8_t *d)
{
	const struct ndm_verity_tree *t = &job->tree;
	struct level *l = &job->hasher->level[level];

	if (level == t->levels) {
		memcpy(job->root, d, t->digest_bytes);
		return 0;
	}
	memcpy(l->block + ndm_verity_tree_offset(t, l->n, 0), d, t->digest_bytes);
	l->n++;
	return l->n & ((1ull << t->per_block_bits) - 1) ? 0 : block_done(job, level);
}

/* Blocks that are not full, from the leaves upwards. */
static int blocks_finish(struct ndm_verity_job *job)
{
	const struct ndm_verity_tree *t = &job->tree;
	unsigned level;
	int err = 0;

	for (level = 0; level < t->levels && !err; level++)
		if (job->hasher->level[level].n & ((1ull << t->per_block_bits) - 1))
			err = block_done(job, level);
	return err;
}

static int tree_pass(struct ndm_verity_job *job, bool checking)
{
	uint64_t bs = job->super.data_block_bytes, left = job->super.data_blocks, at = 0, now, i;
	size_t room = bs > READ_BYTES ? bs : READ_BYTES;
	uint8_t *buffer = ndm_zalloc(room), d[NDM_VERITY_DIGEST_MAX];
	unsigned level;
	int err = buffer ? 0 : verity_fail(job, -ENOMEM, "Not enough memory.");

	job->hasher->checking = checking;
	for (level = 0; level < job->tree.levels; level++)
		job->hasher->level[level].n = 0;
	memset(job->root, 0, sizeof job->root);
	while (!err && left) {
		now = room / bs < left ? room / bs : left;
		err = job->data->read(job->data, at, buffer, now * bs);
		if (err)
			verity_fail(job, err, "Data area: %s.", strerror(-err));
		for (i = 0; i < now && !err; i++) {
			err = digest(job, buffer + i * bs, bs, d);
			err = err ? err : digest_put(job, 0, d);
		}
		at += now * bs;
		left -= now;
	}
	ndm_free(buffer);
	return err ? err : blocks_finish(job);
}

/* The superblock, and of a new file the rest of its block. */
static int super_write(struct ndm_verity_job *job)
{
	uint64_t end = job->tree.start * job->super.hash_block_bytes;
	uint64_t at = job->hash_offset + NDM_VERITY_SUPER_BYTES;
	uint8_t super[NDM_VERITY_SUPER_BYTES];
	int err;

	ndm_verity_super_encode(&job->super, super);
	err = job->hash->write(job->hash, job->hash_offset, super, sizeof super);
	memset(super, 0, sizeof super);
	for (; !err && job->hash->bytes < end && at < end; at += sizeof super)
		err = job->hash->write(job->hash, at, super, sizeof super);
	return err ? verity_fail(job, err, "Superblock: %s.", strerror(-err)) : 0;
}

int ndm_verity_make(struct ndm_verity_job *job)
{
	int err = tree_pass(job, false);

	if (!err && !job->no_super)
		err = super_write(job);
	return err ? err : job->hash->sync(job->hash);
}

int ndm_verity_check(struct ndm_verity_job *job, const uint8_t *root)
{
	char first[sizeof job->why];
	int err = tree_pass(job, true);

	if (err == -EPERM) {
		memcpy(first, job->why, sizeof first);
		return verity_fail(job, err, "%.180s\nVerification of data area failed.", first);
	}
	if (err)
		return err;
	if (memcmp(root, job->root, job->tree.digest_bytes))
		return verity_fail(job, -EBADMSG, "Verification of root hash failed.");
	return 0;
}
