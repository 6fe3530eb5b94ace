/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-raid.c - superblocks, bitmaps and a journal of whatever origin.
 *
 * Input: a byte that chooses the table, two of choices, then for each member 148 bytes of
 * superblock and 320 of bitmap, then the start of the journal.  With a choice magics, versions and
 * the sums of the journal's first block are made good, so that the fuzzer need not find them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "targets/raid/journal.h"
#include "one-device.h"

#define MEMBER 64u				/* sectors */
#define META 64u
#define JOURNAL 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void use(struct ndm_store *store)
{
	static uint8_t buf[512 * 512];
	uint64_t s;

	for (s = 0; s + 8 <= store->nr; s += 8)
		ndm_rw(store, NDM_READ, 0, s, 8, buf);
	for (s = 0; s + 5 <= store->nr; s += 24)
		ndm_rw(store, NDM_WRITE, s % 48 ? NDM_FUA : 0, s, 5, buf);
	if (store->nr <= 512)
		ndm_rw(store, NDM_WRITE, 0, 0, store->nr, buf);
	ndm_flush(store);
}

static size_t take(uint8_t *to, size_t most, const uint8_t **data, size_t *bytes)
{
	size_t n = most < *bytes ? most : *bytes;

	memcpy(to, *data, n);
	*data += n;
	*bytes -= n;
	return n;
}

static void head_good(uint8_t *meta, unsigned position, bool reshape)
{
	journal_put(meta, RAID_SUPER_MAGIC, 4);
	journal_put(meta + 4, 1, 4);
	journal_put(meta + 12, position, 4);
	journal_put(meta + 144, 0, 4);
	journal_put(meta + 4096, 0x6d746962, 4);
	journal_put(meta + 4096 + 4, 4, 4);
	if (!reshape) {				/* else nearly all of them would be refused for it */
		meta[60] &= ~1;
		return;
	}
	meta[60] |= 1;
	memcpy(meta + 72, meta + 48, 4);	/* the level stays */
	meta[87] = meta[86] = meta[85] = meta[84] & 0x80 ? 0xff : 0;
}

static void journal_good(uint8_t *j)
{
	journal_put(j, JOURNAL_MAGIC, 4);
	j[8] = 1;
	journal_put(j + 12, JOURNAL_HEAD + 44, 4);
	journal_put(j + 24, 0, 8);
	/* one page of data, one of parity */
	journal_put(j + 32, JOURNAL_DATA, 4);
	journal_put(j + 36, 8, 4);
	journal_put(j + 48, raid_journal_sum(j + 4096), 4);
	journal_put(j + 52, JOURNAL_PARITY, 4);
	journal_put(j + 56, 8, 4);
	journal_put(j + 72, raid_journal_sum(j + 8192), 4);
	journal_put(j + 4, raid_journal_head_sum(j), 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char *const tables[] = {
		"0 64 raid raid1 1 0 3", "0 64 raid raid1 3 0 region_size 8 3",
		"0 96 raid raid10 3 8 region_size 8 3", "0 96 raid raid10 5 8 region_size 8 raid10_format far 3",
		"0 128 raid raid5_ls 3 8 region_size 16 3", "0 128 raid raid4 1 8 3",
		"0 128 raid raid5_n 5 8 rebuild 1 region_size 16 3", "0 192 raid raid0 1 8 3",
		"0 128 raid raid5_ls 3 8 journal_dev one:j 3", "0 64 raid raid6_zr 1 8 3",
		"0 64 raid raid5_ls 3 8 data_offset 32 3", "0 32 raid raid5_n 5 8 delta_disks -1 data_offset 32 3",
		"0 48 raid raid10 3 8 data_offset 32 3",
	};
	static uint8_t members[3][MEMBER * 512], metas[3][META * 512], journal[JOURNAL * 512];
	const struct one_disk disks[] = {
		{ "a", members[0], MEMBER }, { "b", members[1], MEMBER }, { "c", members[2], MEMBER },
		{ "ma", metas[0], META }, { "mb", metas[1], META }, { "mc", metas[2], META },
		{ "j", journal, JOURNAL },
	};
	char table[256];
	unsigned i, good;

	if (bytes < 3)
		return 0;
	good = data[1];
	snprintf(table, sizeof table, "%s one:ma one:a one:mb one:b %s", tables[data[0] % 13],
		 data[2] & 1 ? "- -" : "one:mc one:c");
	data += 3;
	bytes -= 3;
	memset(metas, 0, sizeof metas);
	memset(journal, 0, 64 * 4096);
	for (i = 0; i < 3; i++) {
		take(metas[i], RAID_SUPER_BYTES, &data, &bytes);
		take(metas[i] + 4096, 320, &data, &bytes);
		if (good >> i & 1)
			head_good(metas[i], i, good & 16);
	}
	take(journal, 64 * 4096, &data, &bytes);
	if (good & 8)
		journal_good(journal);
	one_device(disks, 7, table, false, use);
	return 0;
}
