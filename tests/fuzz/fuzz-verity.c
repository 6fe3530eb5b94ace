/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-verity.c - superblocks, trees and parity of whatever origin.
 *
 * Input: a superblock, read and looked at without a device; and behind its 512 bytes a byte of
 * choices, data, tree and parity of a small device that goes on in spite of what is wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ndm-verity.h>

#include "lib/kit/fec.h"
#include "one-device.h"

#define SECTORS 64u
#define BLOCKS 40u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void super(const uint8_t *bytes)
{
	uint8_t again[NDM_VERITY_SUPER_BYTES];
	struct ndm_verity_super s, back;
	struct ndm_verity_tree t;
	const char *why = NULL;
	unsigned level;

	if (ndm_verity_super_decode(bytes, &s, &why)) {
		if (!why)
			abort();
		return;
	}
	ndm_verity_super_encode(&s, again);
	if (ndm_verity_super_decode(again, &back, &why) || memcmp(&s, &back, sizeof s))
		abort();
	t = (struct ndm_verity_tree){ .version = s.version, .digest_bytes = 32, .start = 1,
				      .hash_block_bytes = s.hash_block_bytes, .data_blocks = s.data_blocks };
	if (ndm_verity_tree_init(&t, &why) || !s.data_blocks)
		return;
	for (level = 0; level < t.levels; level++) {
		uint64_t at = ndm_verity_tree_block(&t, s.data_blocks - 1, level);

		if (at < t.start || at >= t.end ||
		    ndm_verity_tree_offset(&t, s.data_blocks - 1, level) + 32 > s.hash_block_bytes)
			abort();
	}
}

static void code(const uint8_t *bytes, size_t n)
{
	uint8_t word[NDM_RS_BYTES] = { 0 }, erasures[NDM_RS_ROOTS_MAX], parity[NDM_RS_ROOTS_MAX];
	static struct ndm_rs codes[NDM_RS_ROOTS_MAX + 1];	/* making one costs more than all else */
	unsigned roots = 2 + bytes[0] % 23, lost = bytes[1] % (roots + 1), i;
	struct ndm_rs *rs = &codes[roots];

	for (i = 0; i < lost; i++)
		erasures[i] = (bytes[2] + i * 7) % 255;
	memcpy(word, bytes + 3, n - 3 < sizeof word ? n - 3 : sizeof word);
	if (!rs->roots)
		ndm_rs_init(rs, roots);
	if (ndm_rs_decode(rs, word, erasures, lost) < 0)
		return;
	ndm_rs_encode(rs, word, parity);
	if (memcmp(parity, word + NDM_RS_BYTES - roots, roots))
		abort();
}

/* A device that repairs has one block, read once: that is hundreds of words decoded, for each try. */
static void use(struct ndm_store *store)
{
	uint8_t buf[BLOCKS * 512];
	unsigned i;

	ndm_rw(store, NDM_READ, 0, 0, store->nr, buf);
	for (i = 7; i < store->nr; i += 7)
		ndm_rw(store, NDM_READ, 0, i, 1, buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char *const words[] = {
		"", " 1 ignore_corruption", " 2 ignore_corruption check_at_most_once",
		" 2 ignore_corruption ignore_zero_blocks", " 1 panic_on_corruption",
		" 8 use_fec_from_device one:p fec_blocks 44 fec_start 1 fec_roots 4",
		" 9 use_fec_from_device one:p fec_blocks 44 fec_start 1 fec_roots 4 ignore_corruption",
		" 2 root_hash_sig_key_desc one",
	};
	static uint8_t disk[3][SECTORS * 512];
	const struct one_disk disks[] = { { "d", disk[0], SECTORS }, { "t", disk[1], SECTORS },
					  { "p", disk[2], SECTORS } };
	char table[300];
	uint8_t choice;

	if (bytes < NDM_VERITY_SUPER_BYTES)
		return 0;
	super(data);
	code(data, bytes);
	if (bytes == NDM_VERITY_SUPER_BYTES)
		return 0;
	choice = data[NDM_VERITY_SUPER_BYTES];
	data += NDM_VERITY_SUPER_BYTES + 1;
	bytes -= NDM_VERITY_SUPER_BYTES + 1;
	memset(disk, 0, sizeof disk);
	memcpy(disk, data, bytes < sizeof disk ? bytes : sizeof disk);
	snprintf(table, sizeof table, "0 %u verity %u one:d one:t 512 512 %u 0 %s %064x -%s",
		 (choice & 7) == 5 || (choice & 7) == 6 ? 1 : BLOCKS,
		 choice >> 3 & 1, BLOCKS, choice & 16 ? "sha256" : "sha3-256", 0, words[choice & 7]);
	one_device(disks, 3, table, true, use);
	return 0;
}
