/* SPDX-License-Identifier: BSD-2-Clause */
/* ebs: only whole blocks reach the device, and nothing else than what was written changes. */
#include "box.h"

#include <stdlib.h>

static unsigned char buf[256 * NDM_SECTOR_BYTES];

static void requests(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 128, 0);
	struct ndm_store *m = box_up(b, "m", "0 96 ebs box:a 16 1 8");
	struct box_io io;

	assert_string_equal(box_status(b, "m"), "");
	assert_int_equal(m->limits.logical_block_bytes, 512);
	assert_int_equal(m->limits.physical_block_bytes, 4096);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 8, 16, buf), 0);
	assert_string_equal(box_log(b), "a read 24+16");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 5, 20, buf), 0);
	assert_string_equal(box_log(b), "a read 16+8, a read 24+16, a read 40+8");
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(buf[i * NDM_SECTOR_BYTES], 16 + 5 + i);
	memset(buf, 0xee, sizeof buf);
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 3, 2, buf), 0);
	assert_string_equal(box_log(b), "a read 16+8, a write 16+8 fua");
	assert_int_equal(a->bytes[18 * NDM_SECTOR_BYTES], 18);
	assert_int_equal(a->bytes[19 * NDM_SECTOR_BYTES], 0xee);
	assert_int_equal(a->bytes[21 * NDM_SECTOR_BYTES - 1], 0xee);
	assert_int_equal(a->bytes[21 * NDM_SECTOR_BYTES], 21);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 16, 8, buf), 0);
	assert_string_equal(box_log(b), "a write 32+8");
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 3, 30, NULL), 0);
	assert_string_equal(box_log(b), "a discard 24+24");
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 3, 10, NULL), 0);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a flush");
	/* 19..23 of m are the rest of a block: data; the next blocks as the disk says */
	assert_string_equal(box_extents(b, m, 19, 5), "5:data");
	assert_string_equal(box_extents(b, m, 19, 50), "5:data");
	assert_string_equal(box_extents(b, m, 16, 22), "8:data 8:hole");
	box_log(b);
	box_start(b, &io, m, NDM_CACHE, 3, 2, NULL);
	box_start(b, &io, m, NDM_CACHE, 8, 8, NULL);
	assert_string_equal(box_log(b), "a cache 24+8");
	a->fail_ops = 1 << NDM_WRITE;
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), -EIO);
}

/* Against a plain array, one request after another. */
static void model(struct box *b)
{
	static unsigned char want[96], fill;
	struct ndm_store *m;
	unsigned i, round;

	box_disk(b, "a", 102, 7);		/* ends within a block */
	m = box_up(b, "m", "0 86 ebs box:a 16 1 16");
	for (i = 0; i < 86; i++)
		want[i] = 7 + 16 + i;
	for (round = 0; round < 3000; round++) {
		unsigned at = ndm_random(box_loop(b)) % 86;
		unsigned nr = 1 + ndm_random(box_loop(b)) % (86 - at);

		if (ndm_random(box_loop(b)) % 2) {
			memset(buf, ++fill, nr * NDM_SECTOR_BYTES);
			memset(want + at, fill, nr);
			assert_int_equal(ndm_rw(m, NDM_WRITE, 0, at, nr, buf), 0);
		}
		assert_int_equal(ndm_rw(m, NDM_READ, 0, at, nr, buf), 0);
		for (i = 0; i < nr; i++)
			assert_int_equal(buf[i * NDM_SECTOR_BYTES + round % 512], want[at + i]);
	}
}

/* Eight writes to the eight sectors of one block at the same time: all of them are there. */
static void together(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 64, 0);
	struct ndm_store *m = box_up(b, "m", "0 64 ebs box:a 0 1 8");
	struct box_io io[9];
	unsigned i;

	a->hold = true;
	for (i = 0; i < 8; i++) {
		memset(buf + i * NDM_SECTOR_BYTES, 0xa0 + i, NDM_SECTOR_BYTES);
		box_start(b, &io[i], m, NDM_WRITE, i, 1, buf + i * NDM_SECTOR_BYTES);
	}
	ndm_yield(box_loop(b));
	assert_string_equal(box_log(b), "a read 0+8");	/* the others wait for the first */
	box_release(a);
	for (i = 0; i < 8; i++)
		box_wait(&io[i]);
	for (i = 0; i < 8; i++)
		assert_int_equal(a->bytes[i * NDM_SECTOR_BYTES], 0xa0 + i);
	/* a write of the whole block waits for one that has read it */
	box_log(b);
	a->hold = true;
	box_start(b, &io[0], m, NDM_WRITE, 3, 1, buf);
	ndm_yield(box_loop(b));
	memset(buf + 16 * NDM_SECTOR_BYTES, 0xbb, 8 * NDM_SECTOR_BYTES);
	box_start(b, &io[8], m, NDM_WRITE, 0, 8, buf + 16 * NDM_SECTOR_BYTES);
	ndm_yield(box_loop(b));
	assert_string_equal(box_log(b), "a read 0+8");
	box_release(a);
	box_wait(&io[0]);
	box_wait(&io[8]);
	for (i = 0; i < 8; i++)
		assert_int_equal(a->bytes[i * NDM_SECTOR_BYTES], 0xbb);
}

static void native_4k(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 128, 0);
	struct ndm_store *m;
	const char *why;

	a->limits.logical_block_bytes = a->limits.physical_block_bytes = 4096;
	m = box_up(b, "m", "0 64 ebs box:a 8 1");
	assert_string_equal(box_table(b, "m"), "box:a 8 1");
	assert_int_equal(m->limits.logical_block_bytes, 512);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 1, 1, buf), 0);
	assert_string_equal(box_log(b), "a read 8+8, a write 8+8");
	assert_int_equal(box_refused(b, "0 64 ebs box:a 4 1", &why), EINVAL);
	assert_non_null(strstr(why, "Device offset must be multiple of underlying block size: 4 is "
			       "not one of 8 sectors"));
	/* the length need not be one: the rest of the last block stays as it is */
	box_reload(b, "m", "0 63 ebs box:a 8 1");
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 62, 1, buf), 0);
	assert_int_equal(a->bytes[71 * NDM_SECTOR_BYTES], 71);
}

static void refusals(struct box *b)
{
	static const struct { const char *table; int err; const char *why; } cases[] = {
		{ "0 8 ebs box:a 0", EINVAL, "Invalid argument count: 2 instead of 3 or 4" },
		{ "0 8 ebs box:a 0 1 8 9", EINVAL, "Invalid argument count: 5" },
		{ "0 8 ebs box:a x 1", EINVAL, "Invalid device offset sector: argument 2 is 'x'" },
		{ "0 8 ebs box:a 0 0", EINVAL, "Invalid emulated block size: '0'" },
		{ "0 8 ebs box:a 0 3", EINVAL, "Invalid emulated block size: '3' is not a power of 2 "
		  "up to 8" },
		{ "0 8 ebs box:a 0 16", EINVAL, "Invalid emulated block size: '16'" },
		{ "0 8 ebs box:a 0 1 3", EINVAL, "Invalid underlying block size: '3'" },
		{ "0 8 ebs box:a 0 1 65536", EINVAL, "Invalid underlying block size: '65536'" },
		{ "0 8 ebs box:a 1 1 8", EINVAL, "Device offset must be multiple of underlying" },
		{ "0 8 ebs box:x 0 1", ENOENT, "Device lookup failed: no such disk" },
	};
	const char *why;
	unsigned i;

	box_disk(b, "a", 100, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(box_refused(b, cases[i].table, &why), cases[i].err);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", cases[i].table, why);
	}
}

BOX_DEFINE(requests)
BOX_DEFINE(model)
BOX_DEFINE(together)
BOX_DEFINE(native_4k)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(requests),
		BOX_TEST(model),
		BOX_TEST(together),
		BOX_TEST(native_4k),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
