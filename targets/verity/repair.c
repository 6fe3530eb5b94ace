/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * repair.c - forward error correction.
 *
 * What is protected is one sequence of blocks: the data, then the hash device from the start of
 * the tree, fec_blocks in all, zeroes behind that.  With N = 255 - roots and rounds =
 * ceil(fec_blocks / N), the codewords of one block are made of the N blocks number (b mod
 * rounds) + i * rounds: byte k of each, in order, and `roots` bytes of parity, which lie at
 * fec_start * block size + (r * block size + k) * roots for round r.
 *
 * So to repair one block N others are read.  First the errors are to be found by the code
 * (roots / 2 of them); then blocks that could not be read or do not match their digest count as
 * missing (roots of them).  What comes out must match the digest that is wanted.
 *
 * Hash blocks needed on the way are taken as they are in memory or on disk; nothing is repaired
 * for the sake of a repair.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "targets/verity/verity.h"

struct repair {
	struct verity *v;
	unsigned n;			/* message bytes of a codeword, blocks to be read */
	uint64_t round;
	unsigned place;			/* of the block to be repaired */
	uint8_t *blocks, *parity;	/* n blocks; roots blocks */
	uint8_t bad[NDM_RS_BYTES];	/* of blocks: could not be read */
	uint8_t erasures[NDM_RS_ROOTS_MAX];
	unsigned nerasures;
	uint8_t *out;
	unsigned corrected;
};

/* ---- constructor ---- */

static const char *const fec_words[] = {
	"use_fec_from_device", "fec_blocks", "fec_start", "fec_roots", NULL
};

bool verity_fec_is_word(const char *word)
{
	unsigned i;

	for (i = 0; fec_words[i]; i++)
		if (!strcasecmp(word, fec_words[i]))
			return true;
	return false;
}

int verity_fec_word(struct ndm_target *ti, struct verity *v, const char *word, const char *value)
{
	struct verity_fec *f = &v->fec;
	uint64_t n;
	int err;

	if (!value)
		return ndm_error(ti, -EINVAL, "FEC feature arguments require a value");
	if (!strcasecmp(word, "use_fec_from_device")) {
		if (f->dev)
			return ndm_error(ti, -EINVAL, "FEC device already specified");
		err = ndm_get_dev_mode(ti, value, NDM_OPEN_READ, 0, 0, &f->dev);
		return err ? ndm_error(ti, err, "FEC device lookup failed") : 0;
	}
	err = ndm_arg_u64(value, &n);
	if (!strcasecmp(word, "fec_roots")) {
		if (err || n < 2 || n > NDM_RS_ROOTS_MAX)
			return ndm_error(ti, -EINVAL, "Invalid fec_roots: '%s' is not a number from 2 to 24",
					 value);
		f->roots = n;
		return 0;
	}
	if (err || n > UINT64_MAX >> (v->block_bits - NDM_SECTOR_SHIFT))
		return ndm_error(ti, -EINVAL, "Invalid %s: '%s'", strcasecmp(word, "fec_start") ?
				 "fec_blocks" : "fec_start", value);
	*(strcasecmp(word, "fec_start") ? &f->blocks : &f->start) = n;
	return 0;
}

static uint64_t blocks_of(const struct verity *v, const struct ndm_dev *dev)
{
	return dev->store->nr >> (v->block_bits - NDM_SECTOR_SHIFT);
}

int verity_fec_ctr(struct ndm_target *ti, struct verity *v)
{
	struct verity_fec *f = &v->fec;
	uint64_t tree = v->tree.end - v->tree.start;
	unsigned n = NDM_RS_BYTES - f->roots;

	if (!f->dev)
		return 0;
	if (verity_block_bytes(v) != v->tree.hash_block_bytes)
		return ndm_error(ti, -EINVAL, "Block sizes must match to use FEC");
	if (!f->roots)
		return ndm_error(ti, -EINVAL, "Missing fec_roots");
	if (!f->blocks)
		return ndm_error(ti, -EINVAL, "Missing fec_blocks");
	f->rounds = f->blocks / n + !!(f->blocks % n);
	if (f->blocks < v->tree.data_blocks + tree)
		return ndm_error(ti, -EINVAL, "Invalid fec_blocks: there are %" PRIu64 " of data and %"
				 PRIu64 " of the tree", v->tree.data_blocks, tree);
	if (blocks_of(v, v->hash) < v->tree.start + f->blocks - v->tree.data_blocks)
		return ndm_error(ti, -E2BIG, "Hash device is too small for fec_blocks");
	if (f->start > blocks_of(v, f->dev) ||
	    blocks_of(v, f->dev) - f->start < f->rounds * f->roots)
		return ndm_error(ti, -E2BIG, "FEC device is too small");
	if (blocks_of(v, v->data) < v->tree.data_blocks)
		return ndm_error(ti, -E2BIG, "Data device is too small");
	ndm_rs_init(&f->rs, f->roots);
	ndm_mutex_init(&f->lock, ti->loop);
	return 0;
}

/* ---- the blocks of a round ---- */

static uint64_t sectors(const struct verity *v, uint64_t blocks)
{
	return blocks << (v->block_bits - NDM_SECTOR_SHIFT);
}

static void read_done(struct ndm_bio *bio)
{
	struct ndm_group *g = bio->owner;

	if (!--g->pending)
		ndm_wake_all(&g->q);
}

struct round_io {
	struct ndm_group group;
	struct ndm_bio *bios[NDM_RS_BYTES];
	struct iovec iov[NDM_RS_BYTES];
};

/* Sends the read of block i of the round; blocks behind the end are zero, as the buffer is. */
static void round_send(struct repair *r, struct round_io *io, unsigned i)
{
	struct verity *v = r->v;
	size_t bytes = verity_block_bytes(v);
	uint64_t block = r->round + i * v->fec.rounds, at = block;
	const struct ndm_dev *dev = v->data;
	struct ndm_bio *bio;

	if (block >= v->fec.blocks)
		return;
	if (block >= v->tree.data_blocks) {
		dev = v->hash;
		at = block - v->tree.data_blocks + v->tree.start;
	}
	io->bios[i] = bio = ndm_bio_get(v->ti->loop);
	io->iov[i] = (struct iovec){ r->blocks + i * bytes, bytes };
	bio->op = NDM_READ;
	bio->store = dev->store;
	bio->sector = sectors(v, at);
	bio->nr = sectors(v, 1);
	bio->data = (struct ndm_data){ .iov = &io->iov[i], .iovcnt = 1 };
	bio->done = read_done;
	bio->owner = &io->group;
	io->group.pending++;
	ndm_submit(bio);
}

/* Reads all blocks of the round at once; which of them failed is in r->bad. */
static int round_read(struct repair *r)
{
	struct verity *v = r->v;
	size_t bytes = verity_block_bytes(v);
	struct round_io *io = ndm_zalloc(sizeof *io);
	unsigned i;

	if (!io)
		return -ENOMEM;
	ndm_group_init(&io->group, v->ti->loop);
	for (i = 0; i < r->n; i++)
		round_send(r, io, i);
	while (io->group.pending)
		ndm_wait(&io->group.q);
	for (i = 0; i < r->n; i++) {
		if (!io->bios[i])
			continue;
		r->bad[i] = !!io->bios[i]->error;
		if (r->bad[i])
			memset(r->blocks + i * bytes, 0, bytes);
		ndm_bio_put(v->ti->loop, io->bios[i]);
	}
	ndm_free(io);
	return ndm_rw(v->fec.dev->store, NDM_READ, 0,
		      sectors(v, v->fec.start + r->round * v->fec.roots), sectors(v, v->fec.roots),
		      r->parity);
}

/* The digest of a block on the data device, if it can be had without repairing anything. */
static bool digest_of(struct verity *v, uint64_t block, uint8_t *digest)
{
	struct verity_node *leaf = NULL;

	if (v->tree.levels && verity_leaf(v, block, true, &leaf))
		return false;
	memcpy(digest, verity_wanted(v, leaf, block), v->digest_bytes);
	verity_node_put(v, leaf);
	return true;
}

/* Blocks that are known to be zero are; and, the second time, which blocks are known to be wrong. */
static void round_judge(struct repair *r, bool erasures)
{
	struct verity *v = r->v;
	size_t bytes = verity_block_bytes(v);
	uint8_t want[NDM_HASH_MAX], got[NDM_HASH_MAX];
	unsigned i;

	r->nerasures = 0;
	for (i = 0; i < r->n; i++) {
		uint64_t block = r->round + i * v->fec.rounds;
		uint8_t *at = r->blocks + i * bytes;
		bool wrong = r->bad[i];

		if ((erasures || v->ignore_zero) && block < v->tree.data_blocks &&
		    digest_of(v, block, want)) {
			if (v->ignore_zero && !memcmp(want, v->zero, v->digest_bytes)) {
				memset(at, 0, bytes);
				wrong = false;
			} else if (erasures && !wrong) {
				wrong = !verity_digest(v, 0, at, bytes, got) &&
					memcmp(got, want, v->digest_bytes);
			}
		}
		if (erasures && wrong && r->nerasures < v->fec.roots)
			r->erasures[r->nerasures++] = i;
	}
}

/* ---- decoding, on a worker ---- */

static int round_decode(void *arg)
{
	struct repair *r = arg;
	struct verity *v = r->v;
	unsigned roots = v->fec.roots, k, i, bytes = verity_block_bytes(v);
	uint8_t word[NDM_RS_BYTES];
	int n;

	r->corrected = 0;
	for (k = 0; k < bytes; k++) {
		for (i = 0; i < r->n; i++)
			word[i] = r->blocks[(size_t)i * bytes + k];
		memcpy(word + r->n, r->parity + (size_t)k * roots, roots);
		n = ndm_rs_decode(&v->fec.rs, word, r->erasures, r->nerasures);
		if (n < 0)
			return n;
		r->corrected += n;
		r->out[k] = word[r->place];
	}
	return 0;
}

static int repair_try(struct repair *r, bool erasures, const uint8_t *want)
{
	struct verity *v = r->v;
	uint8_t got[NDM_HASH_MAX];
	int err;

	round_judge(r, erasures);
	err = ndm_offload(v->ti->loop, round_decode, r);
	if (!err)
		err = verity_digest(v, 0, r->out, verity_block_bytes(v), got);
	if (!err && memcmp(got, want, v->digest_bytes))
		err = -EILSEQ;
	return err;
}

static int repair_run(struct repair *r, const uint8_t *want)
{
	struct verity *v = r->v;
	uint64_t first = r->round << v->block_bits;	/* as the kernel names the round */
	int err = round_read(r);

	if (err) {
		ndm_warn(v->ti, "%s: FEC %" PRIu64 ": parity read failed: %d", v->data->name, first, err);
		return err;
	}
	err = repair_try(r, false, want);
	if (err)
		err = repair_try(r, true, want);
	if (err)
		ndm_warn(v->ti, "%s: FEC %" PRIu64 ": failed to correct (%u erasures)",
			 v->data->name, first, r->nerasures);
	else if (r->corrected)
		ndm_warn(v->ti, "%s: FEC %" PRIu64 ": corrected %u errors", v->data->name, first,
			 r->corrected);
	return err;
}

int verity_repair(struct verity *v, bool metadata, uint64_t block, const uint8_t *want, void *to)
{
	size_t bytes = verity_block_bytes(v), all;
	struct repair r = { .v = v, .n = NDM_RS_BYTES - v->fec.roots };
	uint8_t *memory, wanted[NDM_HASH_MAX];
	int err;

	if (!v->fec.dev)
		return -EOPNOTSUPP;
	memcpy(wanted, want, v->digest_bytes);
	if (metadata)
		block = block - v->tree.start + v->tree.data_blocks;
	r.round = block % v->fec.rounds;
	r.place = block / v->fec.rounds;
	all = (NDM_RS_BYTES + 1) * bytes;
	ndm_lock(&v->fec.lock);
	memory = ndm_buffer_get(v->ti->loop, all);
	if (memory) {
		memset(memory, 0, all);
		r.blocks = memory;
		r.parity = memory + r.n * bytes;
		r.out = memory + NDM_RS_BYTES * bytes;
		err = repair_run(&r, wanted);
		if (!err)
			memcpy(to, r.out, bytes);
		ndm_buffer_put(v->ti->loop, memory, all);
	} else {
		err = -ENOMEM;
	}
	ndm_unlock(&v->fec.lock);
	return err;
}
