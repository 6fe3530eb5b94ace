/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-verity.h - dm-verity's format: the superblock that tools write in front of a hash tree, and
 * where everything lies in the tree.  Pure functions; what is read from a disk is checked here.
 *
 * The kernel's target knows no superblock, its table line has all of that.  Block numbers of the
 * tree are absolute: counted in hash blocks from the start of the hash device.
 */
#ifndef NDM_VERITY_H
#define NDM_VERITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NDM_VERITY_SUPER_BYTES 512
#define NDM_VERITY_SALT_MAX 256			/* of a superblock; a table takes any */
#define NDM_VERITY_LEVELS_MAX 63

struct ndm_verity_super {
	unsigned version;			/* "hash type": 0 (Chromium OS) or 1 */
	uint8_t uuid[16];
	char algorithm[33];			/* lower case */
	uint32_t data_block_bytes, hash_block_bytes;
	uint64_t data_blocks;
	unsigned salt_bytes;
	uint8_t salt[NDM_VERITY_SALT_MAX];
};

/* -EINVAL, and what is wrong with it in *why */
int ndm_verity_super_decode(const uint8_t bytes[NDM_VERITY_SUPER_BYTES], struct ndm_verity_super *,
			    const char **why);
void ndm_verity_super_encode(const struct ndm_verity_super *, uint8_t bytes[NDM_VERITY_SUPER_BYTES]);

struct ndm_verity_tree {
	/* given */
	unsigned version, digest_bytes;
	uint32_t hash_block_bytes;
	uint64_t data_blocks, start;		/* the first hash block's number */
	/* made of it */
	unsigned per_block_bits;		/* log2 of digests in a hash block */
	unsigned levels;			/* 0 is the lowest; 0 levels: the root is of the data */
	uint64_t level_block[NDM_VERITY_LEVELS_MAX], level_blocks[NDM_VERITY_LEVELS_MAX];
	uint64_t end;				/* behind the last hash block */
};

/* -E2BIG where the numbers run over; digest_bytes must fit twice into a hash block */
int ndm_verity_tree_init(struct ndm_verity_tree *, const char **why);
/* The hash block that has data block `block`'s digest (or its ancestor's) at that level. */
uint64_t ndm_verity_tree_block(const struct ndm_verity_tree *, uint64_t block, unsigned level);
/* and where the digest lies in it, in bytes */
size_t ndm_verity_tree_offset(const struct ndm_verity_tree *, uint64_t block, unsigned level);

/* ---- for clients (lib/verity/): trees and parity made and held against the data ---- */

struct ndm_luks_io;				/* bytes somewhere: ndm-luks.h */
struct ndm_verity_hasher;

#define NDM_VERITY_DIGEST_MAX 64

struct ndm_verity_job {
	/* given */
	struct ndm_verity_super super;
	struct ndm_luks_io *data, *hash, *fec;	/* fec: NULL without parity */
	uint64_t hash_offset, fec_offset;	/* bytes */
	bool no_super;				/* the tree begins at hash_offset itself */
	bool same_fec;				/* parity lies on the hash device */
	unsigned fec_roots;
	/* made of it by ndm_verity_prepare() */
	struct ndm_verity_tree tree;
	struct ndm_verity_hasher *hasher;
	uint64_t fec_blocks, fec_rounds;	/* blocks covered; codewords of a byte each */
	/* results */
	uint8_t root[NDM_VERITY_DIGEST_MAX];
	uint64_t fec_errors;
	char why[256];				/* after an error */
};

/* All functions: 0 or -errno, and why.  Forget what prepare allocated with ndm_verity_done(). */
int ndm_verity_prepare(struct ndm_verity_job *);
void ndm_verity_done(struct ndm_verity_job *);
int ndm_verity_make(struct ndm_verity_job *);	/* the tree, its root, the superblock */
/* -EPERM when the tree does not fit the data, -EBADMSG when the root is another one. */
int ndm_verity_check(struct ndm_verity_job *, const uint8_t *root);
int ndm_verity_fec_make(struct ndm_verity_job *);
/* How many bytes it could repair; -EPERM when there are too many. */
int ndm_verity_fec_check(struct ndm_verity_job *);
int ndm_verity_random(void *, size_t bytes);	/* for salts and UUIDs */

#ifdef __cplusplus
}
#endif
#endif
