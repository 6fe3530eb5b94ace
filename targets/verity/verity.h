/* SPDX-License-Identifier: BSD-2-Clause */
/* verity.h - what the files of the verity target share. */
#ifndef NDM_TARGETS_VERITY_H
#define NDM_TARGETS_VERITY_H

#include <ndm-target.h>
#include <ndm-verity.h>

#include "lib/kit/fec.h"
#include "lib/kit/hash.h"

/* Lane 0 is the loop's own, the others are for workers. */
#define VERITY_LANES 5
#define VERITY_BLOCK_MAX 4096		/* bytes of a data block */

enum verity_mode { VERITY_EIO, VERITY_IGNORE, VERITY_RESTART, VERITY_PANIC };

struct verity_node;			/* a hash block in memory; tree.c */

struct verity_cache {			/* tree.c */
	struct verity_node **buckets, *newest, *oldest;
	unsigned nbuckets, n, most;
	struct ndm_waitq read;		/* some block has been read, or could not be */
};

struct verity_fec {			/* repair.c */
	struct ndm_dev *dev;
	uint64_t start, blocks, rounds;
	unsigned roots;
	struct ndm_rs rs;
	struct ndm_mutex lock;		/* one repair at a time: each needs a MiB */
};

struct verity {
	struct ndm_target *ti;
	struct ndm_dev *data, *hash;
	struct ndm_verity_tree tree;
	unsigned block_bits;		/* log2 of a data block's bytes */
	unsigned digest_bytes, salt_bytes;
	char *algorithm, *signature_key;
	uint8_t root[NDM_HASH_MAX], zero[NDM_HASH_MAX];
	uint8_t *salt;
	enum verity_mode corruption, error;
	bool ignore_zero, at_most_once, tasklet;
	uint8_t *validated;		/* at_most_once: a bit for each data block */

	struct ndm_hash *hashes[VERITY_LANES];
	uint8_t free_lane[VERITY_LANES], nfree;
	uint8_t scratch[VERITY_LANES][VERITY_BLOCK_MAX];
	struct ndm_waitq lane_free;

	struct verity_cache cache;
	struct verity_fec fec;
	bool failed;			/* status C */
	bool dead;			/* restart_ or panic_ has happened: no more service */
	unsigned complaints;
	uint64_t corruptions;		/* blocks found so far, the same one as often as it is found */
};

static inline uint32_t verity_block_bytes(const struct verity *v)
{
	return 1u << v->block_bits;
}

/* table.c: a block's digest, salted as the version wants it; by the owner of the lane */
int verity_digest(struct verity *, unsigned lane, const void *, size_t bytes, uint8_t *digest);
/* Something is wrong and could not be repaired: 0 where it is to be ignored, else -EIO. */
int verity_mismatch(struct verity *, bool metadata, uint64_t block, const uint8_t *want,
		    const uint8_t *got);
void verity_die(struct verity *, enum verity_mode, const char *why);

#define SIG "DM Verity Sig Verification "	/* how the kernel begins what it says of them */

/* signature.c: is the root digest's text signed by someone trusted? */
int verity_signature_check(struct ndm_target *, const char *key, const char *root) ndm_waits;

/* tree.c: hash blocks, pinned until put */
int verity_cache_init(struct verity *);
void verity_cache_drop(struct verity *);		/* nothing is pinned */
/* The leaf over a data block if it is here and verified, else NULL. */
struct verity_node *verity_leaf_cached(struct verity *, uint64_t block);
/*
 * The same, by reading what is missing; with ignore_corruption it may be unverified.  quiet:
 * damage is neither repaired nor counted, just -EIO.
 */
int verity_leaf(struct verity *, uint64_t block, bool quiet, struct verity_node **) ndm_waits;
void verity_node_put(struct verity *, struct verity_node *);
/* The digest that data block `block` should have; leaf is NULL where there are no levels. */
const uint8_t *verity_wanted(const struct verity *, const struct verity_node *leaf, uint64_t block);

/* repair.c */
int verity_fec_word(struct ndm_target *, struct verity *, const char *word, const char *value)
	ndm_waits;
bool verity_fec_is_word(const char *);
int verity_fec_ctr(struct ndm_target *, struct verity *);
/* block: of data, or (metadata) of the hash device; -errno when it cannot be helped */
int verity_repair(struct verity *, bool metadata, uint64_t block, const uint8_t *want, void *to)
	ndm_waits;

/* io.c */
enum ndm_map verity_map(struct ndm_target *, struct ndm_bio *);
int verity_io(struct ndm_target *, struct ndm_bio *) ndm_waits;
enum ndm_endio verity_end_io(struct ndm_target *, struct ndm_bio *);
size_t verity_per_bio(void);
void verity_io_init(struct verity *);

#endif
