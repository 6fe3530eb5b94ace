/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-writecache.c - superblock and entries of a writecache, of whatever origin.
 *
 * Input: a byte of choices, then what lies at the start of the cache.
 */
#include <stdio.h>
#include <string.h>

#include "lib/kit/bytes.h"
#include "one-device.h"

#define CACHE_SECTORS 512u
#define NR 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Errors are what is expected; a crash, a hang or a request behind the end is not. */
static void use(struct ndm_store *store)
{
	static uint8_t buf[64 * 512];
	uint64_t block = store->limits.logical_block_bytes >> NDM_SECTOR_SHIFT, s;

	for (s = 0; s < NR; s += 64)
		ndm_rw(store, NDM_READ, 0, s, 64, buf);
	for (s = 0; s < NR; s += 96)
		ndm_rw(store, NDM_WRITE, s % 192 ? NDM_FUA : 0, s, s % 288 ? block : 32, buf);
	ndm_rw(store, NDM_DISCARD, 0, 64, 640, NULL);
	ndm_flush(store);
	ndm_sleep(store->loop, 3000000000);
	ndm_rw(store, NDM_READ, 0, 0, 64, buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char *const words[] = {
		"0", "1 cleaner", "4 high_watermark 90 low_watermark 10", "2 start_sector 8",
		"2 max_age 1000", "1 metadata_only", "2 writeback_jobs 1", "2 autocommit_blocks 1",
	};
	static uint8_t cache[CACHE_SECTORS * 512], origin[NR * 512];
	const struct one_disk disks[] = { { "c", cache, CACHE_SECTORS }, { "o", origin, NR } };
	unsigned block = 512u << (bytes ? data[0] & 3 : 0), which = bytes ? data[0] >> 2 & 7 : 0;
	uint8_t *start = cache + (which == 3 ? 8 * 512 : 0);
	char table[120];

	if (bytes < 1)
		return 0;
	memset(cache, 0, sizeof cache);
	memcpy(start, data + 1, bytes - 1 < sizeof cache - 4096 ? bytes - 1 : sizeof cache - 4096);
	if (data[0] & 0x20) {				/* what is looked at first is right */
		le32_put(start, 0x23489321);
		le32_put(start + 4, 1);
		le32_put(start + 8, block);
		le64_put(start + 16, le64_get(start + 16) % 600);
	}
	snprintf(table, sizeof table, "0 %u writecache s one:o one:c %u %s", NR, block, words[which]);
	one_device(disks, 2, table, data[0] & 0x40, use);
	return 0;
}
