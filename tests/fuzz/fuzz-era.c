/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-era.c - the metadata of an era device, of whatever origin.
 *
 * Input: a byte of choices, then blocks of the metadata (meta-stamp.h).
 */
#include "lib/kit/patient.h"
#include "meta-stamp.h"
#include "one-device.h"
#include "targets/era/era.h"

#define NR 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool changes;

/* Errors are what is expected; a crash, a hang or a request behind the end is not. */
static void use(struct ndm_store *store)
{
	static uint8_t buf[8 * 512];
	uint64_t s;

	for (s = 0; s < NR; s += 640)
		ndm_rw(store, NDM_WRITE, 0, s, 8, buf);
	ndm_rw(store, NDM_DISCARD, 0, 64, 640, NULL);
	ndm_flush(store);
	ndm_rw(store, NDM_READ, 0, 0, 8, buf);
}

/* The messages' part: on the metadata alone, which the device then finds. */
static void use_meta(struct ndm_store *store)
{
	struct ndm_target ti = { .loop = store->loop };
	struct era_meta e = { 0 };
	unsigned i;
	int err = era_meta_open(&ti, store, 64, &e);

	for (i = 0; i < 3 && !err; i++)
		err = era_meta_digest(&e) < 0;
	if (!err && changes) {
		err = era_meta_resize(&e, NR / 64);
		if (!err)
			err = e.now.snap ? era_meta_drop_snap(&e) : era_meta_take_snap(&e);
		for (i = 0; i < 100 && !err; i += 7)
			err = e.now.writeset ? era_meta_mark(&e, i) : -EIO;
		if (!err)
			err = era_meta_rollover(&e);
		if (!err)
			era_meta_commit(&e);
	}
	era_meta_close(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct meta_super super = { 146538381, 2126579579 };
	static uint8_t meta[META_SECTORS * 512], origin[NR * 512];
	const struct one_disk disks[] = { { "m", meta, META_SECTORS }, { "o", origin, NR } };

	if (bytes < 1)
		return 0;
	meta_take(meta, data, bytes, &super);
	changes = data[0] & 4;
	if (data[0] & 2)
		one_device(disks, 1, "0 2048 linear one:m 0", false, use_meta);
	one_device(disks, 2, "0 8192 era one:m one:o 64", false, use);
	return 0;
}
