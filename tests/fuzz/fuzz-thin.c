/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-thin.c - the metadata of a pool, of whatever origin.
 *
 * Input: a byte of choices, then blocks of 4096 bytes from block 0 on.  With a choice the checksums
 * and block numbers are made good, of the type that the first byte of the checksum asks for, so that
 * the fuzzer need not find them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kit/hash.h"
#include "targets/thin/thin.h"
#include "one-device.h"

#define META_SECTORS 512u			/* 64 blocks */
#define BLOCKS (META_SECTORS / 8)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void stamp(uint8_t *block, uint64_t nr)
{
	static const uint32_t masks[] = { 121107, 240779, 160478, 160774 };
	uint32_t mask = nr ? masks[block[0] & 3] : 160774;

	le64_put(block + 8, nr);
	if (!nr)
		le64_put(block + 32, 27022010);
	le32_put(block, ndm_crc32c(UINT32_MAX, block + 4, 4092) ^ mask);
}

static bool changes;

/* Errors are what is expected; a crash, a hang or a write behind the end is not. */
static int use_device(struct pmd *p, uint64_t id)
{
	struct thin_dev *td;
	struct thin_map map;
	uint64_t at, block;
	unsigned i;
	int err = thin_dev_open(p, id, &td);

	if (err)
		return 0;
	pmd_highest(td, &at);
	for (i = 0; i < 40; i++)
		pmd_find(td, i, i % 2, &map);
	for (at = i = 0; i < 300 && !pmd_next(td, at, &at, &map); i++)
		at++;
	for (i = 0; changes && !err && i < 30; i++) {
		err = meta_space_find(p->data, i, NULL, NULL, &block);
		if (!err)
			err = pmd_insert(td, i * 3, block);
		if (!err && i % 3 == 0)
			err = pmd_remove(td, i * 3);
	}
	thin_dev_close(td);
	return err == -ENODATA ? 0 : err;
}

static int use_pool(struct pmd *p)
{
	uint64_t id;
	int err = 0;

	for (id = 0; id < 4 && !err; id++)
		err = use_device(p, id);
	if (!changes || err)
		return err;
	pmd_create_snap(p, 100, 0);
	pmd_create_thin(p, 101);
	err = pmd_delete(p, 1);
	if (err && err != -ENODATA)
		return err;
	err = p->held_root ? pmd_release(p) : pmd_hold(p);
	if (!err)
		err = pmd_grow_data(p, meta_space_total(p->data) + 20000);
	return err ? err : pmd_commit(p);
}

static void use(struct ndm_store *store)
{
	struct pmd *p;

	if (pmd_open(store->loop, store, 128, false, &p))
		return;
	ndm_wrlock(&p->lock);
	if (use_pool(p) && !pmd_abort(p)) {
		pmd_set_needs_check(p);
		use_device(p, 0);
	}
	ndm_rwunlock(&p->lock);
	pmd_close(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t meta[META_SECTORS * 512];
	const struct one_disk disks[] = { { "m", meta, META_SECTORS } };
	unsigned i;

	if (bytes < 1)
		return 0;
	changes = data[0] & 2;
	memset(meta, 0, sizeof meta);
	memcpy(meta, data + 1, bytes - 1 < sizeof meta ? bytes - 1 : sizeof meta);
	for (i = 0; data[0] & 1 && i < BLOCKS; i++)
		stamp(meta + i * 4096, i);
	one_device(disks, 1, "0 512 linear one:m 0", false, use);
	return 0;
}
