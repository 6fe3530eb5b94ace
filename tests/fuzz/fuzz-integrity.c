/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-integrity.c - superblocks, journals, bitmaps and tags of whatever origin.
 *
 * Input: a byte of choices, a byte for each of 16 journal sections, then what lies at the start
 * of the device.  With a choice the commit ids of the sections are made good, of the sequences
 * that the bytes say, so that the fuzzer need not find them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ndm-integrity.h>

#include "one-device.h"

#define DISK_SECTORS 512u
#define STAMPS 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Everything that a superblock can say, without a device. */
static bool layout(const uint8_t *disk, struct ndm_integrity_layout *l, bool separate)
{
	uint8_t again[4096];
	const char *why;

	*l = (struct ndm_integrity_layout){ .data_sectors = DISK_SECTORS, .meta_sectors = DISK_SECTORS,
					    .log2_buffer = 7, .separate = separate };
	if (ndm_integrity_super_decode(disk, &l->super))
		return false;
	ndm_integrity_super_encode(&l->super, again);
	if (again[8] != disk[8] || memcmp(again + 10, disk + 10, 20))
		abort();
	if (ndm_integrity_super_check(&l->super, separate, &why) || ndm_integrity_layout_init(l))
		return false;
	if (ndm_integrity_data_sector(l, l->provided - 1) >= DISK_SECTORS)
		abort();
	return true;
}

static void put64(uint8_t *to, uint64_t v)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		to[i] = v >> 8 * i;
}

static void stamp(uint8_t *disk, const struct ndm_integrity_layout *l, const uint8_t *sequences)
{
	static const uint64_t ids[4] = { 0x1111111111111111, 0x2222222222222222, 0x3333333333333333,
					 0x4444444444444444 };
	uint32_t i, s;

	for (i = 0; i < l->super.journal_sections; i++)
		for (s = 0; s < l->section_sectors; s++)
			put64(disk + (8 + (uint64_t)i * l->section_sectors + s) * 512 + 504,
			      ndm_integrity_commit_id(ids, sequences[i % STAMPS] & 3, i, s));
}

static void use(struct ndm_store *store)
{
	static uint8_t buf[DISK_SECTORS * 512];
	uint64_t block = store->limits.logical_block_bytes >> NDM_SECTOR_SHIFT, s;

	for (s = 0; s < store->nr; s += 8)
		ndm_rw(store, NDM_READ, 0, s, 8, buf);
	if (store->limits.read_only)
		return;
	for (s = 0; s < store->nr; s += 24)
		ndm_rw(store, NDM_WRITE, s % 48 ? NDM_FUA : 0, s, block, buf);
	ndm_rw(store, NDM_DISCARD, 0, 0, 8, NULL);
	ndm_flush(store);
	ndm_rw(store, NDM_READ, 0, 0, store->nr, buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char *const words[] = {
		"0", "1 internal_hash:crc32c", "2 internal_hash:crc32c recalculate",
		"2 internal_hash:crc32c allow_discards",
		"3 internal_hash:crc32c journal_mac:hmac(sha256):00 legacy_recalculate",
		"2 internal_hash:crc32c meta_device:one:m", "2 internal_hash:crc32c sectors_per_bit:8",
		"2 internal_hash:sha256 reset_recalculate",
	};
	static const char modes[] = "JBDR";
	static uint8_t disk[DISK_SECTORS * 512], other[DISK_SECTORS * 512];
	const struct one_disk disks[] = { { "d", disk, DISK_SECTORS }, { "m", other, DISK_SECTORS } };
	struct ndm_integrity_layout l;
	uint8_t choice, *meta;
	char table[200];
	bool separate;

	if (bytes < 1 + STAMPS)
		return 0;
	choice = data[0];
	separate = (choice >> 2 & 7) == 5;
	meta = separate ? other : disk;
	memset(disk, 0, sizeof disk);
	memset(other, 0, sizeof other);
	memcpy(meta, data + 1 + STAMPS, bytes - 1 - STAMPS < sizeof disk ? bytes - 1 - STAMPS : sizeof disk);
	if (!layout(meta, &l, separate))
		l.super = (struct ndm_integrity_super){ .tag_bytes = 4 };
	else if (choice & 0x20)
		stamp(meta, &l, data + 1);
	snprintf(table, sizeof table, "0 8 integrity one:d 0 %u %c %s%s", l.super.tag_bytes, modes[choice & 3],
		 words[choice >> 2 & 7], "");
	if (l.super.log2_block && l.super.log2_block < 4) {
		char *count = strchr(table, modes[choice & 3]) + 2;

		*count += 1;
		snprintf(strchr(table, '\0'), 24, " block_size:%u", 512u << l.super.log2_block);
	}
	one_device(disks, 2, table, choice & 0x40, use);
	return 0;
}
