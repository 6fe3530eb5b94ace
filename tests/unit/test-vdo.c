/* SPDX-License-Identifier: BSD-2-Clause */
/* vdo: tables, requests, clean ends, damage; each volume is audited on its disk. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/kit/lz4.h"
#include "tests/vdo-image.h"

#define BLOCKS VDO_IMAGE_BLOCKS(2u, 6, 64u)
#define LOGICAL 2000u
#define LINE "0 16000 vdo V4 box:d 319 512 64 1 deduplication off"

static struct vdo_image image;

static void disk_block(void *arg, uint64_t pbn, uint8_t *to)
{
	memcpy(to, ((struct box_disk *)arg)->bytes + pbn * 4096, 4096);
}

static struct box_disk *volume(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", BLOCKS * 8, 0);

	assert_int_equal(BLOCKS, 319);
	memset(d->bytes, 0, BLOCKS * 4096);
	vdo_image_make(&image, BLOCKS, LOGICAL, 6, 64, d->bytes, d->bytes + 2 * 4096);
	image.read = disk_block;
	image.arg = d;
	return d;
}

static void audit(void)
{
	const char *wrong = vdo_image_audit(&image);

	if (wrong)
		fail_msg("audit: %s", wrong);
}

static int put(struct ndm_store *m, uint64_t sector, uint64_t nr, int byte)
{
	uint8_t *buf = malloc(nr * 512);
	int err;

	memset(buf, byte, nr * 512);
	err = ndm_rw(m, NDM_WRITE, 0, sector, nr, buf);
	free(buf);
	return err;
}

static void is(struct ndm_store *m, uint64_t sector, uint64_t nr, int byte)
{
	uint8_t *buf = malloc(nr * 512);
	size_t i;

	assert_int_equal(ndm_rw(m, NDM_READ, 0, sector, nr, buf), 0);
	for (i = 0; i < nr * 512; i++)
		if (buf[i] != byte)
			fail_msg("byte %zu behind sector %u is %u, not %d", i, (unsigned)sector, buf[i], byte);
	free(buf);
}

/* ---- */

static void refused(struct box *b)
{
	static const struct { const char *line; int err; const char *why; } cases[] = {
		{ "0 15999 vdo V4 box:d 319 512 64 1", EINVAL, "Logical size must be a multiple of 4096" },
		{ "0 16000 vdo", EINVAL, "Incorrect number of arguments" },
		{ "0 16000 vdo V5 box:d 319 512 64 1", EINVAL, "Unknown version number detected" },
		{ "0 16000 vdo V0 box:d 319 512 64 1", EINVAL, "Unknown version number detected" },
		{ "0 16000 vdo V4 box:d 319 512 64", EINVAL, "Incorrect number of arguments for version" },
		{ "0 16000 vdo V1 box:d 319 512 0 0 64 1 on sync pool . x", EINVAL, "Incorrect number of arguments for" },
		{ "0 16000 vdo V4 box:d x 512 64 1", EINVAL, "Invalid physical block count" },
		{ "0 16000 vdo V4 box:d 319 1024 64 1", EINVAL, "Invalid logical block size" },
		{ "0 16000 vdo V4 box:d 319 512 x 1", EINVAL, "Invalid block map page cache size" },
		{ "0 16000 vdo V4 box:d 319 512 64 x", EINVAL, "Invalid block map maximum age" },
		{ "0 16000 vdo V4 box:d 319 512 64 1 ack", EINVAL, "Odd number of optional arguments given but they" },
		{ "0 16000 vdo V4 box:d 319 512 64 1 ack x", EINVAL, "Invalid optional argument configuration" },
		{ "0 16000 vdo V4 box:d 319 512 64 1 cpu 0", EINVAL, "Invalid optional argument configuration" },
		{ "0 16000 vdo V4 box:d 319 512 64 1 physical 17", EINVAL, "Invalid optional argument configuration" },
		{ "0 16000 vdo V4 box:d 319 512 64 1 maxDiscard 0", EINVAL, "Invalid optional argument configuration" },
		{ "0 16000 vdo V4 box:d 319 512 64 1 compression yes", EINVAL, "Invalid optional argument configuration" },
		{ "0 16000 vdo V1 box:d 319 512 0 0 64 1 on sync pool cpu=0", EINVAL, "Invalid thread-count configuration" },
		{ "0 16000 vdo V1 box:d 319 512 0 0 64 1 on sync pool cpu=0 x", EINVAL, "Incorrect" },
		{ "0 16000 vdo V4 box:d 319 512 64 1 logical 1", EINVAL, "Logical, physical, and hash zones counts must" },
		{ "0 16000 vdo V4 box:d 319 512 4000 1 logical 1 physical 1 hash 1", EINVAL, "Insufficient block map cache" },
		{ "0 16000 vdo V4 box:none 319 512 64 1", EINVAL, "Unable to open storage device" },
		{ "0 16000 vdo V4 box:z 319 512 64 1", EIO, "Could not load geometry block" },
		{ "0 16000 vdo V4 box:d 318 512 64 1", EIO, "Cannot load metadata from device" },
		{ "0 15992 vdo V4 box:d 319 512 64 1", EIO, "Cannot load metadata from device" },
		{ "0 16000 vdo V4 box:d 319 512 64 0", EIO, "Cannot load metadata from device" },
		{ "0 16000 vdo V4 box:d 319 512 64 500", EIO, "Cannot load metadata from device" },
	};
	const char *why;
	unsigned i;

	volume(b);
	box_disk(b, "z", BLOCKS * 8, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		int err = box_refused(b, cases[i].line, &why);

		if (err != cases[i].err || !strstr(why, cases[i].why))
			fail_msg("%s: %d, %s", cases[i].line, err, why);
	}
}
BOX_DEFINE(refused)

static void old_tables(struct box *b)
{
	static const char *const lines[] = {
		"0 16000 vdo V3 box:d 319 512 64 1 sync ack 1",
		"0 16000 vdo V2 box:d 319 512 64 1 on sync pool ack 1 whatever 3",
		"0 16000 vdo V1 box:d 319 512 0 0 64 1 on sync pool cpu=2,ack=1",
		"0 16000 vdo box:d 512 0 0 64 1 on sync pool .",
	};
	struct ndm_store *m;
	unsigned i;

	volume(b);
	m = box_up(b, "v", LINE);
	assert_int_equal(put(m, 8, 8, 7), 0);
	for (i = 0; i < sizeof lines / sizeof *lines; i++) {
		const char *want = strstr(lines[i], "vdo ") + 4;

		if (i == 2)			/* this table has other threads */
			continue;
		box_reload(b, "v", lines[i]);
		assert_string_equal(box_table(b, "v"), want);
		is(m, 8, 8, 7);
	}
}
BOX_DEFINE(old_tables)

/* Whole blocks, parts of them, zeroes, across leaves; each again after a clean end. */
static void written(struct box *b)
{
	struct ndm_store *m;
	unsigned round;

	volume(b);
	m = box_up(b, "v", LINE);
	assert_string_equal(box_status(b, "v"), "box:d normal - closed offline 255 319");
	is(m, 0, 100, 0);
	assert_int_equal(put(m, 0, 16, 1), 0);
	assert_int_equal(put(m, 19, 3, 2), 0);
	assert_int_equal(put(m, 812 * 8 - 20, 40, 3), 0);
	assert_int_equal(put(m, 8, 8, 0), 0);
	for (round = 0; round < 3; round++) {
		is(m, 0, 8, 1);
		is(m, 8, 11, 0);
		is(m, 19, 3, 2);
		is(m, 22, 100, 0);
		is(m, 812 * 8 - 20, 40, 3);
		is(m, 812 * 8 + 20, 40, 0);
		if (round == 0)
			assert_int_equal(ndm_flush(m), 0);
		if (round == 1)
			box_reload(b, "v", LINE);
		box_suspend(b, "v", 0);
		audit();
		box_resume(b, "v");
	}
	/* 3 pages on each of two ways and their leaves; 3 blocks of 16 sectors, 1 part, 6 of 40 sectors */
	assert_string_equal(box_status(b, "v"), "box:d normal - closed offline 271 319");
	assert_string_equal(box_extents(b, m, 0, 32), "8:data 8:hole 8:data 8:hole");
}
BOX_DEFINE(written)

static void discarded(struct box *b)
{
	struct ndm_store *m;

	volume(b);
	m = box_up(b, "v", LINE);
	assert_int_equal(put(m, 0, 80, 1), 0);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 12, 24, NULL), 0);
	is(m, 0, 12, 1);
	is(m, 12, 24, 0);
	is(m, 36, 44, 1);
	assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, 0, 8, NULL), 0);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 8000, 8000, NULL), 0);
	is(m, 0, 8, 0);
	box_suspend(b, "v", 0);
	audit();
	assert_int_equal(image.super.logical_used, 7);
	box_resume(b, "v");
	is(m, 36, 44, 1);
}
BOX_DEFINE(discarded)

/* What is freed can be had again, at once; what is more than there is has no space. */
static void full(struct box *b)
{
	struct ndm_store *m;
	unsigned i, n = 0;

	volume(b);
	m = box_up(b, "v", LINE);
	for (i = 0; i < 200; i++)
		if (!put(m, i * 8, 8, 1 + i % 200))
			n++;
	assert_int_equal(n, 319 - 255 - 4);
	assert_int_equal(put(m, 0, 8, 9), -ENOSPC);
	is(m, 0, 8, 1);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 80, NULL), 0);
	for (i = 0; i < 50; i++)
		assert_int_equal(put(m, 0, 40, 1 + i), 0);
	is(m, 0, 40, 50);
	is(m, 80, 8, 11);
	box_suspend(b, "v", 0);
	audit();
	box_resume(b, "v");
	assert_non_null(strstr(box_message(b, "v", "stats"), "noSpaceErrorCount : "));
}
BOX_DEFINE(full)

/* The power fails: another device over a copy of the disk as it was. */
static void not_shut_down(struct box *b)
{
	struct box_disk *d = volume(b), *copy;
	struct ndm_store *m, *n;
	unsigned i;

	m = box_up(b, "v", LINE);
	for (i = 0; i < 900; i++)		/* the journal is full twice over */
		assert_int_equal(put(m, i % 40 * 8, 8, 1 + i % 250), 0);
	assert_int_equal(ndm_flush(m), 0);
	copy = box_disk(b, "copy", BLOCKS * 8, 0);
	memcpy(copy->bytes, d->bytes, BLOCKS * 4096);
	n = box_up(b, "w", "0 16000 vdo V4 box:copy 319 4096 64 1");
	for (i = 0; i < 40; i++)
		is(n, i * 8, 8, 1 + (i < 20 ? 880 + i : 840 + i) % 250);
	assert_int_equal(put(n, 0, 8, 77), 0);
	box_suspend(b, "w", 0);
	image.arg = copy;
	audit();
	assert_int_equal(image.super.complete_recoveries, 1);
}
BOX_DEFINE(not_shut_down)

static void only_read(struct box *b)
{
	struct box_disk *d = volume(b), *copy;
	struct ndm_store *m;
	uint8_t *before = malloc(BLOCKS * 4096);

	m = box_up(b, "v", LINE);
	assert_int_equal(put(m, 0, 80, 5), 0);
	assert_int_equal(ndm_flush(m), 0);
	copy = box_disk(b, "copy", BLOCKS * 8, 0);
	memcpy(copy->bytes, d->bytes, BLOCKS * 4096);
	memcpy(before, d->bytes, BLOCKS * 4096);
	box_read_only(b);
	m = box_up(b, "w", "0 16000 vdo V4 box:copy 319 4096 64 1");
	is(m, 0, 80, 5);
	assert_string_equal(box_status(b, "w"), "box:copy normal - closed offline 269 319");
	box_suspend(b, "w", 0);
	assert_memory_equal(before, copy->bytes, BLOCKS * 4096);
	free(before);
}
BOX_DEFINE(only_read)

/* State read-only, as Linux leaves it after damage. */
static void state_read_only(struct box *b)
{
	struct box_disk *d = volume(b);
	struct ndm_store *m = box_up(b, "v", LINE);

	assert_int_equal(put(m, 0, 8, 5), 0);
	box_suspend(b, "v", 0);
	audit();
	image.super.state = NDM_VDO_READ_ONLY;
	ndm_vdo_super_encode(&image.super, d->bytes + 2 * 4096);
	box_reload(b, "v", LINE);
	is(m, 0, 8, 5);
	assert_int_equal(put(m, 0, 8, 6), -EIO);
	assert_non_null(strstr(box_status(b, "v"), " read-only - "));
}
BOX_DEFINE(state_read_only)

/* 4096 times the letter, as an LZ4 block: one literal, a match of 4090, five literals. */
static unsigned lz4_block(uint8_t *to, uint8_t letter)
{
	uint8_t *p = to;

	*p++ = 0x1f;
	*p++ = letter;
	*p++ = 1;
	*p++ = 0;
	memset(p, 0xff, 15);
	p += 15;
	*p++ = 4090 - 4 - 15 - 15 * 255;
	*p++ = 0x50;
	memset(p, letter, 5);
	return (unsigned)(p + 5 - to);
}

/* Three lbns in one compressed block, a fourth twice; one of them is overwritten, one is damaged. */
static void compressed(struct box *b)
{
	struct box_disk *d = volume(b);
	struct ndm_store *m = box_up(b, "v", LINE);
	struct ndm_vdo_location l;
	uint8_t *block, *leaf = NULL;
	unsigned i, bytes, at = 36;
	uint64_t p;

	for (i = 0; i < 4; i++)
		assert_int_equal(put(m, i * 8, 8, 9), 0);
	box_suspend(b, "v", 0);
	audit();
	for (p = image.super.depot_start; p < image.super.depot_end; p++)
		if (!ndm_vdo_page_check(d->bytes + p * 4096, image.super.nonce, p))
			leaf = d->bytes + p * 4096;	/* the last one made is the leaf */
	assert_non_null(leaf);
	l = ndm_vdo_entry_get(leaf, 0);
	assert_true(ndm_vdo_is_data(&image.super, l.pbn));
	block = d->bytes + l.pbn * 4096;
	memset(block, 0, 4096);
	block[0] = 1;
	for (i = 0; i < 3; i++) {
		bytes = lz4_block(block + at, 'a' + i);
		block[8 + 2 * i] = (uint8_t)bytes;
		at += bytes;
		ndm_vdo_entry_put(leaf, i, (struct ndm_vdo_location){ l.pbn, NDM_VDO_FRAGMENT + i });
	}
	ndm_vdo_entry_put(leaf, 3, (struct ndm_vdo_location){ l.pbn, NDM_VDO_FRAGMENT + 2 });
	image.super.state = NDM_VDO_FORCE_REBUILD;	/* counts are made anew */
	ndm_vdo_super_encode(&image.super, d->bytes + 2 * 4096);
	box_reload(b, "v", LINE);
	is(m, 0, 8, 'a');
	is(m, 11, 3, 'b');
	is(m, 16, 16, 'c');
	assert_int_equal(put(m, 9, 2, 1), 0);
	is(m, 8, 1, 'b');
	is(m, 9, 2, 1);
	is(m, 11, 5, 'b');
	box_suspend(b, "v", 0);
	audit();
	block[36] = 0xff;
	box_resume(b, "v");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, (uint8_t[512]){ 0 }), -EIO);
	is(m, 16, 16, 'c');
}
BOX_DEFINE(compressed)

static void messages(struct box *b)
{
	volume(b);
	box_up(b, "v", LINE);
	assert_string_equal(box_message(b, "v", "CONFIG"),
		"{ version : 1, physicalSize : 1306624, logicalSize : 8192000, slabSize : 64, "
		"index :  { memorySize : 0, isSparse : 0, }, }");
	assert_non_null(strstr(box_message(b, "v", "stats"), "{ version : 36, dataBlocksUsed : 0, "
		"overheadBlocksUsed : 255, logicalBlocksUsed : 0, physicalBlocks : 319, logicalBlocks : 2000, "));
	assert_string_equal(box_message(b, "v", "compression off"), "");
	assert_non_null(strstr(box_message(b, "v", "compression maybe"), "invalid argument 'maybe'"));
	assert_non_null(strstr(box_message(b, "v", "compression on"), "is not compressed"));
	assert_string_equal(box_message(b, "v", "dump vdo queues"), "");
	assert_non_null(strstr(box_message(b, "v", "dump foo"), "dump option name 'foo' unknown"));
	assert_string_equal(box_message(b, "v", "index-enable"), "");
	assert_string_equal(box_status(b, "v"), "box:d normal - error offline 255 319");
	assert_string_equal(box_message(b, "v", "index-close"), "");
	assert_string_equal(box_status(b, "v"), "box:d normal - closed offline 255 319");
	assert_non_null(strstr(box_message(b, "v", "foo"), "unrecognized dmsetup message 'foo'"));
}
BOX_DEFINE(messages)

static void shared(struct box *b)
{
	const char *why;

	volume(b);
	box_up(b, "v", LINE);
	assert_int_equal(box_refused(b, LINE, &why), EIO);
	assert_non_null(strstr(why, ": Cannot share storage device with already-running VDO"));
}
BOX_DEFINE(shared)

/* The table is longer than the volume was: it grows, and keeps what was in it. */
static void grown(struct box *b)
{
	struct ndm_store *m;

	volume(b);
	m = box_up(b, "v", LINE);
	assert_int_equal(put(m, 8, 8, 7), 0);
	box_reload(b, "v", "0 800000 vdo V4 box:d 319 512 64 1");
	is(m, 8, 8, 7);
	m = box_up(b, "top", "0 800000 linear dev:v 0");
	assert_int_equal(put(m, 799992, 8, 8), 0);
	is(m, 799992, 8, 8);
	box_suspend(b, "v", 0);
	audit();
	assert_int_equal(image.super.logical, 100000);
	box_resume(b, "v");
}
BOX_DEFINE(grown)

/* ---- zoned: nothing has zones ---- */

static void zoned(struct box *b)
{
	const char *why;

	box_disk(b, "d", 64, 0);
	box_disk(b, "e", 64, 0);
	assert_int_equal(box_refused(b, "0 64 zoned", &why), EINVAL);
	assert_non_null(strstr(why, ": Invalid argument count"));
	assert_int_equal(box_refused(b, "0 64 zoned box:none", &why), ENOENT);
	assert_non_null(strstr(why, ": Get target device failed"));
	assert_int_equal(box_refused(b, "0 64 zoned box:d", &why), EINVAL);
	assert_non_null(strstr(why, ": Invalid regular device"));
	assert_int_equal(box_refused(b, "0 64 zoned box:d box:e", &why), EINVAL);
	assert_non_null(strstr(why, ": First device must be a regular device"));
}
BOX_DEFINE(zoned)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(refused), BOX_TEST(old_tables), BOX_TEST(written), BOX_TEST(discarded), BOX_TEST(full),
		BOX_TEST(not_shut_down), BOX_TEST(only_read), BOX_TEST(state_read_only), BOX_TEST(compressed),
		BOX_TEST(messages), BOX_TEST(shared), BOX_TEST(grown), BOX_TEST(zoned),
	};

	if (!ndm_lz4_present())
		return 77;			/* such tables are refused then */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
