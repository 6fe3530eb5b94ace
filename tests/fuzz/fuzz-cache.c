/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-cache.c - the metadata of a cache, of whatever origin.
 *
 * Input: a byte of choices, then blocks of the metadata (meta-stamp.h).
 */
#include "meta-stamp.h"
#include "one-device.h"

#define CACHE_SECTORS 2048u
#define NR 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Errors are what is expected; a crash, a hang or a request behind the end is not. */
static void use(struct ndm_store *store)
{
	static uint8_t buf[64 * 512];
	uint64_t s;

	for (s = 0; s < NR; s += 512)
		ndm_rw(store, NDM_READ, 0, s, 8, buf);
	for (s = 0; s < NR; s += 1024)
		ndm_rw(store, NDM_WRITE, s % 2048 ? NDM_FUA : 0, s, s % 3072 ? 64 : 3, buf);
	ndm_rw(store, NDM_DISCARD, 0, 64, 640, NULL);
	ndm_flush(store);
	ndm_sleep(store->loop, 3000000000);
	ndm_rw(store, NDM_READ, 0, 0, 64, buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct meta_super super = { 9031977, 0x18c403 };
	static const char *const words[] = {
		"1 writeback smq 0", "1 writethrough smq 0", "1 passthrough smq 0", "1 writeback cleaner 0",
	};
	static uint8_t meta[META_SECTORS * 512], cache[CACHE_SECTORS * 512], origin[NR * 512];
	const struct one_disk disks[] = {
		{ "m", meta, META_SECTORS }, { "c", cache, CACHE_SECTORS }, { "o", origin, NR },
	};
	char table[120];

	if (bytes < 1)
		return 0;
	meta_take(meta, data, bytes, &super);
	snprintf(table, sizeof table, "0 %u cache one:m one:c one:o 64 %s", NR, words[data[0] >> 1 & 3]);
	one_device(disks, 3, table, false, use);
	return 0;
}
