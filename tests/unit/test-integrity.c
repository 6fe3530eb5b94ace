/* SPDX-License-Identifier: BSD-2-Clause */
/* integrity: whatever bit is wrong is noticed; modes, options and suspends keep what they should. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include <ndm-integrity.h>

#define NR 64u
#define BS 512u
#define SIZES " journal_sectors:16 interleave_sectors:8 fix_padding"
#define D_TABLE "0 64 integrity box:d 0 120 D 4 internal_hash:sha256" SIZES

static uint8_t buf[NR * BS], want[NR * BS];

static void fill(uint8_t *to, unsigned first, unsigned nr, unsigned seed)
{
	unsigned i;

	for (i = 0; i < nr * BS; i++)
		to[i] = (first + i / BS) * 31 + i * 7 + seed;
}

static int put(struct ndm_store *m, unsigned first, unsigned nr, unsigned seed, unsigned flags)
{
	fill(want + first * BS, first, nr, seed);
	return ndm_rw(m, NDM_WRITE, flags, first, nr, want + first * BS);
}

static void same(struct ndm_store *m)
{
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, NR, buf), 0);
	assert_memory_equal(buf, want, sizeof want);
}

/* 14 areas of 8 sectors, each behind its 8 sectors of tags */
#define AREA(s) (8 + 32 + (s) / 8 * 16)

/* Behind the journal: where the 8 sectors of tags of the first area are. */
static unsigned areas_begin(const struct box_disk *d)
{
	unsigned first, i;

	for (first = 8; first < 400 - 8 * 16; first++) {
		for (i = 0; i < 8; i++)
			if (memcmp(d->bytes + (first + 16 * i + 8) * BS, want + 8 * i * BS, 8 * BS))
				break;
		if (i == 8)
			return first;
	}
	fail_msg("the data is nowhere");
	return 0;
}

/*
 * Each bit of each sector and of each tag.  The target remembers tags, so that after those the
 * table is loaded anew; data it does not remember.
 */
static void flip_all(struct box *b, const char *table, unsigned tag_bytes)
{
	struct box_disk *d = box_disk(b, "d", 400, 0);
	struct ndm_store *m;
	unsigned s, i, first;

	memset(d->bytes, 0, 400 * BS);
	m = box_up(b, "m", table);
	assert_int_equal(put(m, 0, NR, 1, NDM_FUA), 0);
	box_reload(b, "m", table);			/* nothing is left in a journal */
	same(m);
	first = areas_begin(d);
	for (s = 0; s < NR; s++) {
		uint8_t *data = d->bytes + (first + s / 8 * 16 + 8 + s % 8) * BS;
		uint8_t *tag = d->bytes + (first + s / 8 * 16) * BS + s % 8 * tag_bytes;

		for (i = 0; i < BS * 8; i++) {
			data[i / 8] ^= 1 << i % 8;
			if (ndm_rw(m, NDM_READ, 0, s, 1, buf) != -EILSEQ)
				fail_msg("bit %u of sector %u is not noticed", i, s);
			data[i / 8] ^= 1 << i % 8;
		}
		for (i = 0; i < tag_bytes * 8; i++) {
			tag[i / 8] ^= 1 << i % 8;
			box_reload(b, "m", table);
			if (ndm_rw(m, NDM_READ, 0, s, 1, buf) != -EILSEQ)
				fail_msg("bit %u of the tag of sector %u is not noticed", i, s);
			assert_int_equal(strncmp(box_status(b, "m"), "1 ", 2), 0);
			tag[i / 8] ^= 1 << i % 8;
		}
		box_reload(b, "m", table);
	}
	same(m);
}

static void every_bit(struct box *b)
{
	flip_all(b, D_TABLE, 120);
}

static void every_bit_crc(struct box *b)
{
	flip_all(b, "0 64 integrity box:d 0 4 J 4 internal_hash:crc32c" SIZES, 4);
}

static void every_bit_keyed(struct box *b)
{
	flip_all(b, "0 64 integrity box:d 0 32 B 5 internal_hash:hmac(sha256):00112233 fix_hmac" SIZES,
		 32);
}

/* The same data, whatever the mode, through reloads from one to the next. */
static void modes(struct box *b)
{
	static const char *const words[] = { "J 4", "B 5", "D 4", "J 5", "B 4", "R 4" };
	struct box_disk *d = box_disk(b, "d", 400, 0);
	char table[256];
	struct ndm_store *m = NULL;
	unsigned i;

	memset(d->bytes, 0, 400 * BS);
	for (i = 0; i < 6; i++) {
		snprintf(table, sizeof table, "0 64 integrity box:d 0 120 %s internal_hash:sha256" SIZES
			 "%s", words[i], i == 1 ? " sectors_per_bit:8" : i == 3 ? " commit_time:5" : "");
		if (i)
			box_reload(b, "m", table);
		else
			m = box_up(b, "m", table);
		if (!i)
			assert_int_equal(put(m, 0, NR, 9, 0), 0);
		same(m);
		if (words[i][0] == 'R') {
			assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), -EIO);
			continue;
		}
		assert_int_equal(put(m, i * 7, 20, i, i % 2 ? NDM_FUA : 0), 0);
		same(m);
		box_suspend(b, "m", 0);
		box_resume(b, "m");
		same(m);
		assert_int_equal(put(m, 3 + i, 9, 50 + i, 0), 0);
		assert_int_equal(ndm_flush(m), 0);
		same(m);
	}
	assert_string_equal(box_status(b, "m"), "0 176 -");
}

/* Written to the journal, read from there; a flush writes sections, nothing else moves. */
static void journal_first(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", 400, 0);
	struct ndm_store *m;

	memset(d->bytes, 0, 400 * BS);
	m = box_up(b, "m", "0 64 integrity box:d 0 120 J 4 internal_hash:crc32c journal_sectors:96 "
		   "interleave_sectors:8 fix_padding");
	box_log(b);
	assert_int_equal(put(m, 5, 3, 1, 0), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 5, 3, buf), 0);
	assert_memory_equal(buf, want + 5 * BS, 3 * BS);
	assert_string_equal(box_log(b), "");
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "d write 8+32 fua");
	assert_int_equal(put(m, 5, 1, 2, NDM_FUA), 0);
	ndm_sleep(box_loop(b), 1000000);
	/* two of three sections are used, so they are emptied; of sector 5 only the newest is written */
	assert_string_equal(box_log(b), "d write 40+32 fua, d write 118+2, d read 104+8, d write 117+1, "
			    "d write 105+1, d flush");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 5, 3, buf), 0);
	assert_memory_equal(buf, want + 5 * BS, 3 * BS);
	box_suspend(b, "m", 0);
	box_resume(b, "m");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 5, 3, buf), 0);
	assert_memory_equal(buf, want + 5 * BS, 3 * BS);
}

static void commit_time(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", 400, 0);
	struct ndm_store *m;

	memset(d->bytes, 0, 400 * BS);
	m = box_up(b, "m", "0 64 integrity box:d 0 120 J 5 internal_hash:crc32c journal_sectors:96 "
		   "interleave_sectors:8 fix_padding commit_time:300");
	box_log(b);
	assert_int_equal(put(m, 5, 3, 1, 0), 0);
	ndm_sleep(box_loop(b), 200 * 1000000);
	assert_string_equal(box_log(b), "");
	ndm_sleep(box_loop(b), 200 * 1000000);
	assert_string_equal(box_log(b), "d write 8+32 fua");
}

static void recalculates(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", 400, 0);
	struct ndm_store *m;

	memset(d->bytes, 0, 400 * BS);
	memset(want, 0, sizeof want);
	m = box_up(b, "m", D_TABLE);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EILSEQ);	/* nobody made its tag */
	assert_string_equal(box_status(b, "m"), "1 176 -");
	box_reload(b, "m", "0 64 integrity box:d 0 120 D 5 internal_hash:sha256 recalculate" SIZES);
	while (strcmp(box_status(b, "m"), "0 176 176"))
		ndm_sleep(box_loop(b), 1000);
	same(m);
	box_reload(b, "m", D_TABLE);
	same(m);
	assert_string_equal(box_status(b, "m"), "0 176 176");		/* the flag stays */
	d->bytes[(AREA(9) + 8 + 1) * BS] ^= 4;
	box_reload(b, "m", D_TABLE);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 9, 1, buf), -EILSEQ);
	box_reload(b, "m", "0 64 integrity box:d 0 120 D 5 internal_hash:sha256 reset_recalculate" SIZES);
	while (strcmp(box_status(b, "m"), "0 176 176"))
		ndm_sleep(box_loop(b), 1000);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 9, 1, buf), 0);
}

static void discards(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", 400, 0);
	struct ndm_store *m;

	memset(d->bytes, 0, 400 * BS);
	m = box_up(b, "m", "0 64 integrity box:d 0 64 J 5 internal_hash:sha256 allow_discards" SIZES);
	assert_int_equal(put(m, 0, NR, 1, NDM_FUA), 0);
	box_log(b);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 4, 8, NULL), 0);
	assert_non_null(strstr(box_log(b), "discard"));
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, NR, buf), 0);
	assert_int_equal(ndm_flush(m), 0);
	box_reload(b, "m", "0 64 integrity box:d 0 64 J 4 internal_hash:sha256" SIZES);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 1, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), -EILSEQ);	/* a tag anyone can make */
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 4, 8, NULL), -EOPNOTSUPP);
}

/* A key makes tags of discarded blocks, too; and the device cannot be used without them again. */
static void discards_keyed(struct box *b)
{
#define KEYED "internal_hash:hmac(sha256):0011223344 fix_hmac"
	struct box_disk *d = box_disk(b, "d", 400, 0);
	struct ndm_store *m;
	const char *why;

	memset(d->bytes, 0, 400 * BS);
	m = box_up(b, "m", "0 64 integrity box:d 0 120 D 6 " KEYED " allow_discards_keyed" SIZES);
	assert_int_equal(put(m, 0, NR, 1, NDM_FUA), 0);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 4, 8, NULL), 0);
	box_suspend(b, "m", 0);
	box_resume(b, "m");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, NR, buf), 0);
	box_suspend(b, "m", 0);
	memset(d->bytes + AREA(0) * BS + 4 * 120, 0xf6, 120);	/* the marker that needs no key */
	box_resume(b, "m");
	box_reload(b, "m", "0 64 integrity box:d 0 120 D 6 " KEYED " allow_discards_keyed" SIZES);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), -EILSEQ);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 5, 1, buf), 0);
	assert_int_equal(box_refused(b, "0 64 integrity box:d 0 120 D 5 " KEYED SIZES, &why), EINVAL);
	assert_non_null(strstr(why, "Keyed discard cannot be disabled once enabled"));
}

/* Without a hash tags are whatever comes from above. */
static void tags_from_above(struct box *b)
{
	static const char *const tables[] = {
		"0 64 integrity box:d 0 24 D 3" SIZES, "0 64 integrity box:d 0 24 J 3" SIZES,
	};
	struct box_disk *d = box_disk(b, "d", 400, 0);
	uint8_t tags[NR * 24], back[NR * 24];
	struct iovec iov = { want, sizeof want };
	struct ndm_store *m = NULL;
	struct ndm_group g;
	struct ndm_bio *bio;
	unsigned i, k;

	memset(d->bytes, 0, 400 * BS);
	fill(want, 0, NR, 3);
	for (i = 0; i < sizeof tags; i++)
		tags[i] = i * 11;
	for (i = 0; i < 2; i++) {
		if (i)
			box_reload(b, "m", tables[i]);
		else
			m = box_up(b, "m", tables[i]);
		assert_int_equal(m->limits.tag_bytes, 24);
		assert_int_equal(m->limits.tag_sectors, 1);
		for (k = 0; k < 3; k++) {		/* write, read, and read after a suspend */
			memset(back, 0, sizeof back);
			iov.iov_base = k ? buf : want;
			bio = ndm_bio_get(box_loop(b));
			bio->op = k ? NDM_READ : NDM_WRITE;
			bio->nr = NR;
			bio->data = (struct ndm_data){ .iov = &iov, .iovcnt = 1 };
			bio->tags = (struct ndm_tags){ .bytes = k ? back : tags, .each = 24, .sectors = 1 };
			ndm_group_init(&g, box_loop(b));
			ndm_group_add(&g, bio, m, 0);
			assert_int_equal(ndm_group_wait(&g), 0);
			if (k)
				assert_memory_equal(back, tags, sizeof tags);
			if (k == 1) {
				box_suspend(b, "m", 0);
				box_resume(b, "m");
			}
		}
	}
}

static void metadata_apart(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", 64, 0), *t = box_disk(b, "t", 300, 0);
	struct ndm_store *m;

	memset(t->bytes, 0, 300 * BS);
	m = box_up(b, "m", "0 64 integrity box:d 0 8 D 3 internal_hash:xxhash64 meta_device:box:t "
		   "buffer_sectors:8");
	assert_int_equal(put(m, 0, NR, 1, NDM_FUA), 0);
	assert_memory_equal(d->bytes, want, sizeof want);
	same(m);
	d->bytes[0] ^= 1;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EILSEQ);
}

/* A superblock that becomes another while the device is suspended: nothing is served. */
static void changed_under_us(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", 400, 0);
	struct ndm_store *m;

	memset(d->bytes, 0, 400 * BS);
	m = box_up(b, "m", D_TABLE);
	assert_int_equal(put(m, 0, NR, 1, NDM_FUA), 0);
	box_suspend(b, "m", 0);
	d->bytes[12] ^= 1;				/* journal sections */
	box_resume(b, "m");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EINVAL);
	d->bytes[12] ^= 1;
	box_reload(b, "m", D_TABLE);
	same(m);
}

static void hidden_keys(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", 400, 0);

	memset(d->bytes, 0, 400 * BS);
	box_up(b, "m", "0 64 integrity box:d 0 - J 6 internal_hash:hmac(sha1):aabbcc fix_hmac "
	       "journal_mac:hmac(sha256):ddee" SIZES);
	assert_string_equal(box_table(b, "m"), "box:d 0 20 J 9 journal_sectors:104 interleave_sectors:8 "
			    "buffer_sectors:8 journal_watermark:50 commit_time:10000 fix_padding fix_hmac "
			    "internal_hash:hmac(sha1):000000 journal_mac:hmac(sha256):0000");
}

static void refusals(struct box *b)
{
	static const struct { const char *words; int err; const char *why; } cases[] = {
		{ "0 0 J 0", EINVAL, "Invalid tag size" },
		{ "0 - J 0", EINVAL, "Unknown tag size" },
		{ "x 4 J 0", EINVAL, "Invalid starting offset: 'x'" },
		{ "0 4 Q 0", EINVAL, "Invalid mode (expecting J, B, D, R, I): 'Q'" },
		{ "0 4 J 19", EINVAL, "Invalid number of feature args" },
		{ "0 4 J 1 block_size:1000", EINVAL, "Invalid block_size argument" },
		{ "0 4 J 1 journal_watermark:101", EINVAL, "Invalid argument: 'journal_watermark:101'" },
		{ "0 4 J 1 meta_device:box:x", ENOENT, "Device lookup failed" },
		{ "0 4 J 1 internal_hash:hmac(sha1):0", EINVAL, "Invalid internal_hash argument" },
		{ "0 4 J 1 journal_mac:hmac(sha1)", ENOKEY, "Error setting journal mac key" },
		{ "0 4 J 1 journal_mac:nothing", ENOENT, "Invalid journal mac" },
		{ "0 4 J 4 internal_hash:crc32c journal_crypt:ctr(aes):00 interleave_sectors:8 fix_padding",
		  EINVAL, "Error setting encryption key" },
		{ "0 4 I 1 internal_hash:crc32c", EINVAL, "Integrity profile not supported" },
		{ "0 4 I 0", EINVAL, "Internal hash not set in inline mode" },
		{ "0 4 B 0", EINVAL, "Bitmap mode can be only used with internal hash" },
	};
	struct box_disk *d = box_disk(b, "d", 400, 0);
	char table[200];
	const char *why;
	unsigned i;

	memset(d->bytes, 0, 400 * BS);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(table, sizeof table, "0 8 integrity box:d %s", cases[i].words);
		assert_int_equal(box_refused(b, table, &why), cases[i].err);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", cases[i].words, why);
	}
	for (i = 0; i < 4096; i++)			/* and nothing has been formatted */
		assert_int_equal(d->bytes[i], 0);
}

BOX_DEFINE(every_bit)
BOX_DEFINE(every_bit_crc)
BOX_DEFINE(every_bit_keyed)
BOX_DEFINE(modes)
BOX_DEFINE(journal_first)
BOX_DEFINE(commit_time)
BOX_DEFINE(recalculates)
BOX_DEFINE(discards)
BOX_DEFINE(discards_keyed)
BOX_DEFINE(tags_from_above)
BOX_DEFINE(metadata_apart)
BOX_DEFINE(changed_under_us)
BOX_DEFINE(hidden_keys)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(every_bit),
		BOX_TEST(every_bit_crc),
		BOX_TEST(every_bit_keyed),
		BOX_TEST(modes),
		BOX_TEST(journal_first),
		BOX_TEST(commit_time),
		BOX_TEST(recalculates),
		BOX_TEST(discards),
		BOX_TEST(discards_keyed),
		BOX_TEST(tags_from_above),
		BOX_TEST(metadata_apart),
		BOX_TEST(changed_under_us),
		BOX_TEST(hidden_keys),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
