/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz-vdo.c - vdo volumes of whatever origin.
 *
 * Input: a byte of choices, then a block that every decoder looks at; or, with a choice, changes to
 * a small volume: block (2 bytes), offset (2), length (1), that many bytes.  Checksums of geometry
 * and super block are made good then, so that the fuzzer need not find them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kit/bytes.h"
#include "lib/kit/hash.h"
#include "one-device.h"
#include "tests/vdo-image.h"

#define JOURNAL 16u
#define BLOCKS VDO_IMAGE_BLOCKS(1u, 5, JOURNAL)
#define LOGICAL 1700u
#define SUPER 2u
#define SUPER_CRC 434u
#define GEOMETRY_CRC 97u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void codec(const uint8_t *block)
{
	struct ndm_vdo_journal_head h;
	struct ndm_vdo_geometry g, g2;
	struct ndm_vdo_super s, s2;
	struct ndm_vdo_change c;
	uint8_t again[NDM_VDO_BLOCK];
	unsigned i, k, at, n;
	const char *why;

	memset(&s, 0, sizeof s);
	if (!ndm_vdo_geometry_decode(block, &g, &why)) {
		ndm_vdo_geometry_encode(&g, again);
		if (ndm_vdo_geometry_decode(again, &g2, &why) || g2.data_start != g.data_start)
			abort();
	}
	if (!ndm_vdo_super_decode(block, &s, &why)) {
		ndm_vdo_super_encode(&s, again);
		if (ndm_vdo_super_decode(again, &s2, &why) || memcmp(&s.slab, &s2.slab, sizeof s.slab))
			abort();
		ndm_vdo_super_check(&s, &g, &why);
	}
	for (i = 0; i < 16; i++)
		if (!ndm_vdo_fragment(block, i, &at, &n) && at + n > NDM_VDO_BLOCK)
			abort();
	ndm_vdo_journal_head_get(block, &h);
	s.slab.blocks = s.slab.blocks ? s.slab.blocks : 1;
	for (i = 1; i < 8; i++)
		for (k = 0; (int)k < ndm_vdo_journal_sector(block, &h, i); k++) {
			ndm_vdo_change_get(block, i, k, &c);
			ndm_vdo_change_ok(&s, &c);
		}
}

static void stamp(uint8_t *block, unsigned at)
{
	le32_put(block + at, ~ndm_crc32(0, block, at));
}

static bool writes;

static void use(struct ndm_store *store)
{
	static const unsigned at[] = { 0, 6, 800, 1619, 1690 };
	static uint8_t buf[16 * 4096];
	unsigned i;

	for (i = 0; i < 5; i++)
		ndm_rw(store, NDM_READ, 0, at[i] * 8, 64, buf);
	for (i = 0; writes && i < 5; i++) {
		memset(buf, (int)i + 1, sizeof buf);
		ndm_rw(store, NDM_WRITE, 0, at[i] * 8 + i, 40, buf);
		ndm_rw(store, NDM_DISCARD, 0, at[i] * 8 + 8, 16, NULL);
		ndm_rw(store, NDM_WRITE, NDM_FUA, at[i] * 8, 8, buf);
	}
	ndm_flush(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char table[] = "0 13600 vdo V4 one:d 175 512 64 1 deduplication off";
	static uint8_t disk[BLOCKS * NDM_VDO_BLOCK];
	const struct one_disk disks[] = { { "d", disk, BLOCKS * 8 } };
	struct vdo_image v;
	uint8_t choice;

	if (!bytes)
		return 0;
	choice = *data++;
	bytes--;
	memset(disk, 0, sizeof disk);
	if (!(choice & 1)) {
		memcpy(disk, data, bytes < NDM_VDO_BLOCK ? bytes : NDM_VDO_BLOCK);
		codec(disk);
		return 0;
	}
	vdo_image_make(&v, BLOCKS, LOGICAL, 5, JOURNAL, disk, disk + SUPER * NDM_VDO_BLOCK);
	disk[SUPER * NDM_VDO_BLOCK + 40] = choice >> 1 & 7;	/* its state */
	while (bytes > 5) {
		unsigned block = (data[0] | data[1] << 8) % BLOCKS, at = (data[2] | data[3] << 8) % NDM_VDO_BLOCK;
		size_t n = data[4];

		data += 5;
		bytes -= 5;
		n = n > bytes ? bytes : n;
		n = n > NDM_VDO_BLOCK - at ? NDM_VDO_BLOCK - at : n;
		memcpy(disk + block * NDM_VDO_BLOCK + at, data, n);
		data += n;
		bytes -= n;
	}
	stamp(disk, GEOMETRY_CRC);
	stamp(disk + SUPER * NDM_VDO_BLOCK, SUPER_CRC);
	writes = choice & 16;
	one_device(disks, 1, table, choice & 32, use);
	return 0;
}
