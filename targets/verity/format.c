/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.c - bytes of dm-verity on disk.
 *
 * The superblock, little-endian, 512 bytes: 0 "verity\0\0", 8 superblock version 1, 12 hash
 * type, 16 uuid, 32 name of the hash (32 bytes), 64 data block size, 68 hash block size, 72
 * number of data blocks, 80 salt size (16 bits), 88 salt (256 bytes), the rest zero.
 *
 * The tree: the topmost level first, each level contiguous, the leaves last.  2^per_block_bits
 * digests lie in a hash block; version 1 pads each to a power of 2, version 0 packs them.
 *
 * No I/O, no allocation; shared by the target and the clients.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <ndm-verity.h>

#define BLOCK_BYTES_MIN 512u
#define BLOCK_BYTES_MAX (512u << 10)		/* of a superblock, as cryptsetup has it */

static const char magic[8] = "verity\0";

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void put_le(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (; bytes--; v >>= 8)
		*p++ = v;
}

/* ---- superblock ---- */

static bool block_bytes_ok(uint32_t n)
{
	return n >= BLOCK_BYTES_MIN && n <= BLOCK_BYTES_MAX && !(n & (n - 1));
}

static bool name_ok(const char *name)
{
	for (; *name; name++)
		if (*name <= ' ' || *name > '~')
			return false;
	return true;
}

int ndm_verity_super_decode(const uint8_t b[NDM_VERITY_SUPER_BYTES], struct ndm_verity_super *s,
			    const char **why)
{
	*s = (struct ndm_verity_super){ 0 };
	*why = "it is not a verity superblock";
	if (memcmp(b, magic, sizeof magic))
		return -EINVAL;
	*why = "its version is not supported";
	if (get_le(b + 8, 4) != 1)
		return -EINVAL;
	*why = "its hash type is not supported";
	s->version = get_le(b + 12, 4);
	if (s->version > 1)
		return -EINVAL;
	*why = "its block sizes are not powers of 2 from 512 to 524288";
	s->data_block_bytes = get_le(b + 64, 4);
	s->hash_block_bytes = get_le(b + 68, 4);
	if (!block_bytes_ok(s->data_block_bytes) || !block_bytes_ok(s->hash_block_bytes))
		return -EINVAL;
	*why = "it covers more than there can be";
	s->data_blocks = get_le(b + 72, 8);
	if (s->data_blocks > INT64_MAX / s->data_block_bytes)
		return -EINVAL;
	*why = "its salt is longer than 256 bytes";
	s->salt_bytes = get_le(b + 80, 2);
	if (s->salt_bytes > NDM_VERITY_SALT_MAX)
		return -EINVAL;
	*why = "the name of its hash is not text";
	memcpy(s->algorithm, b + 32, strnlen((const char *)b + 32, 32));
	if (b[63] || !s->algorithm[0] || !name_ok(s->algorithm))
		return -EINVAL;
	memcpy(s->uuid, b + 16, 16);
	memcpy(s->salt, b + 88, s->salt_bytes);
	return 0;
}

void ndm_verity_super_encode(const struct ndm_verity_super *s, uint8_t b[NDM_VERITY_SUPER_BYTES])
{
	memset(b, 0, NDM_VERITY_SUPER_BYTES);
	memcpy(b, magic, sizeof magic);
	put_le(b + 8, 1, 4);
	put_le(b + 12, s->version, 4);
	memcpy(b + 16, s->uuid, 16);
	memcpy(b + 32, s->algorithm, strnlen(s->algorithm, 31));
	put_le(b + 64, s->data_block_bytes, 4);
	put_le(b + 68, s->hash_block_bytes, 4);
	put_le(b + 72, s->data_blocks, 8);
	put_le(b + 80, s->salt_bytes, 2);
	memcpy(b + 88, s->salt, s->salt_bytes);
}

/* ---- tree ---- */

static unsigned log2_floor(uint64_t n)
{
	return 63 - __builtin_clzll(n);
}

/* blocks of a level: ceil(data_blocks / 2^shift) */
static uint64_t level_size(uint64_t data_blocks, unsigned shift)
{
	return shift > 63 ? 1 : (data_blocks >> shift) + !!(data_blocks & ((1ull << shift) - 1));
}

int ndm_verity_tree_init(struct ndm_verity_tree *t, const char **why)
{
	uint64_t at = t->start;
	unsigned i;

	t->per_block_bits = log2_floor(t->hash_block_bytes / t->digest_bytes);
	t->levels = 0;
	while (t->data_blocks && t->per_block_bits * t->levels < 64 &&
	       (t->data_blocks - 1) >> (t->per_block_bits * t->levels)) {
		*why = "Too many tree levels";
		if (t->levels == NDM_VERITY_LEVELS_MAX)
			return -E2BIG;
		t->levels++;
	}
	for (i = t->levels; i--;) {
		t->level_block[i] = at;
		t->level_blocks[i] = level_size(t->data_blocks, (i + 1) * t->per_block_bits);
		*why = "Hash device offset overflow";
		if (at + t->level_blocks[i] < at)
			return -E2BIG;
		at += t->level_blocks[i];
	}
	t->end = at;
	return 0;
}

uint64_t ndm_verity_tree_block(const struct ndm_verity_tree *t, uint64_t block, unsigned level)
{
	unsigned shift = (level + 1) * t->per_block_bits;

	return t->level_block[level] + (shift > 63 ? 0 : block >> shift);
}

size_t ndm_verity_tree_offset(const struct ndm_verity_tree *t, uint64_t block, unsigned level)
{
	size_t i = block >> (level * t->per_block_bits) & ((1ull << t->per_block_bits) - 1);

	return t->version ? i * (t->hash_block_bytes >> t->per_block_bits) : i * t->digest_bytes;
}
