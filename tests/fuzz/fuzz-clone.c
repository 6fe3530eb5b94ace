/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-clone.c - the metadata of a clone, of whatever origin.
 *
 * Input: a byte of choices, then blocks of the metadata (meta-stamp.h).
 */
#include "meta-stamp.h"
#include "one-device.h"

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
	ndm_rw(store, NDM_DISCARD, 0, 60, 640, NULL);
	ndm_flush(store);
	ndm_sleep(store->loop, 2000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct meta_super super = { 257649492, 0x8af27f64 };
	static const char *const words[] = {
		"0", "1 no_hydration", "1 no_discard_passdown", "0 4 hydration_threshold 9 hydration_batch_size 5",
	};
	static uint8_t meta[META_SECTORS * 512], to[NR * 512], from[NR * 512];
	const struct one_disk disks[] = { { "m", meta, META_SECTORS }, { "d", to, NR }, { "s", from, NR } };
	char table[120];

	if (bytes < 1)
		return 0;
	meta_take(meta, data, bytes, &super);
	if (data[0] & 8) {				/* what the table says it must say, too */
		le64_put(meta + 172, 64);
		le64_put(meta + 180, NR);
		meta_stamp(meta, 0, &super);
	}
	snprintf(table, sizeof table, "0 %u clone one:m one:d one:s 64 %s", NR, words[data[0] >> 1 & 3]);
	one_device(disks, 3, table, false, use);
	return 0;
}
