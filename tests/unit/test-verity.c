/* SPDX-License-Identifier: BSD-2-Clause */
/* verity: whatever bit is wrong, on the data or on the tree, it is noticed or it is repaired. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>

#include <ndm-verity.h>

#include "lib/kit/fec.h"
#include "lib/kit/hash.h"

#define BS 512u
#define BLOCKS 24u				/* two levels: 16 digests in a hash block */
#define SALT "5a17"

static uint8_t buf[BLOCKS * BS], good[BLOCKS * BS];
static const uint8_t salt[2] = { 0x5a, 0x17 };
static char root[65], table[600];

static void digest_of(struct ndm_hash *h, const uint8_t *block, uint8_t *to)
{
	assert_int_equal(ndm_hash_begin(h), 0);
	assert_int_equal(ndm_hash_update(h, salt, sizeof salt), 0);
	assert_int_equal(ndm_hash_update(h, block, BS), 0);
	assert_int_equal(ndm_hash_end(h, to), 0);
}

/* The tree by the book: leaves behind the top block. */
static void tree_make(const uint8_t *data, uint8_t *tree)
{
	struct ndm_hash *h;
	uint8_t top[32];
	unsigned i;

	assert_int_equal(ndm_hash_new("sha256", &h), 0);
	memset(tree, 0, 3 * BS);
	for (i = 0; i < BLOCKS; i++)
		digest_of(h, data + i * BS, tree + BS + i * 32);
	for (i = 0; i < 2; i++)
		digest_of(h, tree + (1 + i) * BS, tree + i * 32);
	digest_of(h, tree, top);
	for (i = 0; i < 32; i++)
		sprintf(root + 2 * i, "%02x", top[i]);
	ndm_hash_free(h);
}

static struct box_disk *tree_disk;

static struct box_disk *disks(struct box *b)
{
	struct box_disk *d = box_disk(b, "d", BLOCKS, 0);
	unsigned i;

	tree_disk = box_disk(b, "t", 8, 0);
	for (i = 0; i < BLOCKS * BS; i++)
		d->bytes[i] = i * 7 + i / 512;
	memset(d->bytes + 5 * BS, 0, BS);
	memcpy(good, d->bytes, sizeof good);
	tree_make(d->bytes, tree_disk->bytes);
	return d;
}

static struct ndm_store *up(struct box *b, const char *name, const char *words)
{
	snprintf(table, sizeof table, "0 %u verity 1 box:d box:t 512 512 %u 0 sha256 %s " SALT "%s",
		 BLOCKS, BLOCKS, root, words);
	box_read_only(b);
	return box_up(b, name, table);
}

static void reads(struct box *b)
{
	struct ndm_store *m;

	disks(b);
	m = up(b, "m", "");
	assert_string_equal(box_status(b, "m"), "V");
	box_log(b);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 4, buf), 0);
	assert_memory_equal(buf, good + 3 * BS, 4 * BS);
	assert_string_equal(box_log(b), "d read 3+4, t read 0+1, t read 1+1");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 4, buf), 0);
	assert_string_equal(box_log(b), "d read 3+4");		/* the tree is remembered */
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, BLOCKS, buf), 0);
	assert_memory_equal(buf, good, sizeof good);
	assert_string_equal(box_log(b), "d read 0+16, d read 16+8, t read 2+1");
	box_suspend(b, "m", 0);
	box_resume(b, "m");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 20, 1, buf), 0);
	assert_string_equal(box_log(b), "d read 20+1, t read 0+1, t read 2+1");	/* until a suspend */
	assert_string_equal(box_status(b, "m"), "V");
	assert_string_equal(box_extents(b, m, 0, BLOCKS), "24:data");	/* holes prove nothing */
}

/* Whatever can be read with this bit changed is right; is anything an error? */
static bool noticed(struct ndm_store *m)
{
	bool errors = false;
	unsigned i;
	int err;

	for (i = 0; i < BLOCKS; i++) {
		err = ndm_rw(m, NDM_READ, 0, i, 1, buf);
		if (err)
			assert_int_equal(err, -EIO);
		else if (memcmp(buf, good + i * BS, BS))
			fail_msg("block %u has other data", i);
		errors |= err != 0;
	}
	return errors;
}

/* Each of the bits that the root digest stands for, one after the other. */
static void every_bit_of_data(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m = up(b, "m", "");
	unsigned i, block, first;

	for (i = 0; i < BLOCKS * BS * 8; i++) {
		block = i / 8 / BS;
		first = block - block % 4;
		d->bytes[i / 8] ^= 1 << i % 8;
		if (ndm_rw(m, NDM_READ, 0, block, 1, buf) != -EIO ||
		    ndm_rw(m, NDM_READ, 0, first, 4, buf) != -EIO)	/* as one piece of many */
			fail_msg("bit %u of the data is not noticed", i);
		if (i % 509 == 0) {			/* and nobody else suffers */
			box_reload(b, "m", table);
			assert_string_equal(box_status(b, "m"), "V");
			assert_true(noticed(m));
			assert_string_equal(box_status(b, "m"), "C");
		}
		d->bytes[i / 8] ^= 1 << i % 8;
	}
	box_reload(b, "m", table);
	assert_false(noticed(m));
	assert_string_equal(box_status(b, "m"), "V");
}

static void every_bit_of_tree(struct box *b)
{
	struct ndm_store *m;
	unsigned i;

	disks(b);
	m = up(b, "m", "");
	for (i = 0; i < 3 * BS * 8; i++) {
		tree_disk->bytes[i / 8] ^= 1 << i % 8;
		box_reload(b, "m", table);		/* or hash blocks would still be known */
		if (!noticed(m))
			fail_msg("bit %u of the tree is not noticed", i);
		assert_string_equal(box_status(b, "m"), "C");
		tree_disk->bytes[i / 8] ^= 1 << i % 8;
	}
	tree_disk->bytes[3 * BS] ^= 1;			/* behind the tree: nobody's */
	box_reload(b, "m", table);
	assert_false(noticed(m));
	assert_string_equal(box_status(b, "m"), "V");
}

static void ignored(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m = up(b, "m", " 1 ignore_corruption");

	d->bytes[3 * BS] ^= 1;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 1, buf), 0);
	assert_memory_equal(buf, d->bytes + 3 * BS, BS);
	assert_string_equal(box_status(b, "m"), "C");
}

static void stops(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m = up(b, "m", " 1 panic_on_corruption");

	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), 0);
	d->bytes[3 * BS] ^= 1;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 3, 1, buf), -EIO);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), -EIO);	/* no more service */
	d->bytes[3 * BS] ^= 1;
	box_reload(b, "m", table);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), 0);
	strcpy(strstr(table, " 1 panic"), " 1 restart_on_error");
	box_reload(b, "m", table);
	d->fail_ops = 1 << NDM_READ;
	d->error = -EIO;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), -EIO);
	d->fail_ops = 0;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 1, buf), -EIO);
}

static void once(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m = up(b, "m", " 1 check_at_most_once");

	assert_int_equal(ndm_rw(m, NDM_READ, 0, 2, 2, buf), 0);
	d->bytes[2 * BS] ^= 1;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 2, 2, buf), 0);	/* known: not looked at */
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 1, 4, buf), 0);
	d->bytes[6 * BS] ^= 1;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 1, 7, buf), -EIO);
}

static void zeroes(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m = up(b, "m", " 1 ignore_zero_blocks");

	memset(d->bytes + 5 * BS, 0xee, BS);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 3, buf), 0);
	assert_memory_equal(buf, good + 4 * BS, 3 * BS);
	assert_string_equal(box_status(b, "m"), "V");
}

/* A read that fails with one piece of memory in several parts is as good. */
static void scattered(struct box *b)
{
	struct iovec iov[5];
	struct ndm_data data = { .iov = iov, .iovcnt = 5, .skip = 100 };
	struct ndm_store *m;
	size_t at = 0, sizes[5] = { 300, 612, 1, 1023, 4096 };
	uint8_t all[sizeof buf];
	unsigned i;

	disks(b);
	m = up(b, "m", " 1 ignore_zero_blocks");
	for (i = 0; i < 5; i++) {
		iov[i] = (struct iovec){ buf + at, sizes[i] };
		at += sizes[i];
	}
	assert_int_equal(ndm_rw_data(m, NDM_READ, 0, 2, 10, &data), 0);
	memcpy(all, buf + 100, 10 * BS);
	assert_memory_equal(all, good + 2 * BS, 10 * BS);
}

static void writes(struct box *b)
{
	struct ndm_store *m;

	disks(b);
	m = up(b, "m", "");
	assert_int_not_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), 0);
	assert_int_equal(ndm_flush(m), 0);
}

/* ---- repair ---- */

#define ROOTS 4
#define COVERED (BLOCKS + 3)			/* data and tree: one round */

static struct box_disk *parity(struct box *b, const struct box_disk *d)
{
	struct box_disk *p = box_disk(b, "p", 8, 0);
	struct ndm_rs rs;
	uint8_t message[255] = { 0 };
	unsigned k, i;

	ndm_rs_init(&rs, ROOTS);
	for (k = 0; k < BS; k++) {
		for (i = 0; i < COVERED; i++)
			message[i] = i < BLOCKS ? d->bytes[i * BS + k] :
				     tree_disk->bytes[(i - BLOCKS) * BS + k];
		ndm_rs_encode(&rs, message, p->bytes + k * ROOTS);
	}
	return p;
}

static void repairs(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m;
	unsigned i;

	parity(b, d);
	m = up(b, "m", " 8 use_fec_from_device box:p fec_blocks 27 fec_start 0 fec_roots 4");
	for (i = 0; i < 2; i++)				/* two errors at places unknown */
		memset(d->bytes + (3 + 9 * i) * BS, 0xaa, BS);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, BLOCKS, buf), 0);
	assert_memory_equal(buf, good, sizeof good);
	assert_string_equal(box_status(b, "m"), "V");
	for (i = 0; i < 4; i++)				/* four that the tree points at */
		memset(d->bytes + (1 + 4 * i) * BS, 0x55, BS);
	memcpy(d->bytes + 3 * BS, good + 3 * BS, BS);
	memcpy(d->bytes + 12 * BS, good + 12 * BS, BS);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, BLOCKS, buf), 0);
	assert_memory_equal(buf, good, sizeof good);
	assert_string_equal(box_status(b, "m"), "V");
	memset(d->bytes + 20 * BS, 0x55, BS);		/* five are too many */
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 1, 1, buf), -EIO);
	assert_string_equal(box_status(b, "m"), "C");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 2, 1, buf), 0);
}

static void repairs_tree(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m;

	parity(b, d);
	m = up(b, "m", " 8 use_fec_from_device box:p fec_blocks 27 fec_start 0 fec_roots 4");
	tree_disk->bytes[3] ^= 8;			/* the top, and a leaf */
	memset(tree_disk->bytes + BS, 0, BS);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, BLOCKS, buf), 0);
	assert_memory_equal(buf, good, sizeof good);
	assert_string_equal(box_status(b, "m"), "V");
}

/* Blocks that cannot be read at all are repaired, too. */
static void repairs_unreadable(struct box *b)
{
	struct box_disk *d = disks(b);
	struct ndm_store *m;

	parity(b, d);
	m = up(b, "m", " 8 use_fec_from_device box:p fec_blocks 27 fec_start 0 fec_roots 4");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	d->fail_ops = 1 << NDM_READ;			/* all 24 of them: too many */
	d->error = -EIO;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 9, 1, buf), -EIO);
	d->fail_ops = 0;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 9, 1, buf), 0);
}

static void tables(struct box *b)
{
	disks(b);
	up(b, "m", " 2 IGNORE_zero_blocks panic_on_error");
	strcpy(strchr(table, '\0') - 35, "2 panic_on_error ignore_zero_blocks");
	assert_string_equal(box_table(b, "m"), table + strlen("0 24 verity "));
}

static void refusals(struct box *b)
{
	static const struct { const char *words; int err; const char *why; } cases[] = {
		{ " 1 bogus", EINVAL, "Unrecognized verity feature request: 'bogus'" },
		{ " 16", EINVAL, "Invalid number of feature args" },
		{ " 2 ignore_corruption", EINVAL, "Invalid number of feature args" },
		{ " 2 ignore_corruption restart_on_corruption", EINVAL, "Conflicting error handling" },
		{ " 2 restart_on_error panic_on_error", EINVAL, "Conflicting error handling" },
		{ " 1 fec_roots", EINVAL, "FEC feature arguments require a value" },
		{ " 2 fec_roots 1", EINVAL, "Invalid fec_roots" },
		{ " 2 fec_start x", EINVAL, "Invalid fec_start" },
		{ " 2 use_fec_from_device box:x", ENOENT, "FEC device lookup failed" },
		{ " 2 use_fec_from_device box:p", EINVAL, "Missing fec_roots" },
		{ " 4 use_fec_from_device box:p fec_roots 4", EINVAL, "Missing fec_blocks" },
		{ " 6 use_fec_from_device box:p fec_roots 4 fec_blocks 26", EINVAL, "Invalid fec_blocks" },
		{ " 6 use_fec_from_device box:p fec_roots 4 fec_blocks 40", E2BIG,
		  "Hash device is too small for fec_blocks" },
		{ " 8 use_fec_from_device box:p fec_roots 4 fec_blocks 27 fec_start 5", E2BIG,
		  "FEC device is too small" },
		{ " 1 root_hash_sig_key_desc", EINVAL, "Signature key not specified" },
		{ " 2 root_hash_sig_key_desc nobody", ENOKEY, "Invalid key specified" },
	};
	const char *why;
	unsigned i;

	box_disk(b, "p", 8, 0);
	disks(b);
	snprintf(table, sizeof table, "0 24 verity 1 box:d box:t 512 512 24 0 sha256 %s -", root);
	assert_int_equal(box_refused(b, table, &why), EINVAL);
	assert_non_null(strstr(why, "Device must be readonly"));
	box_read_only(b);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(table, sizeof table, "0 24 verity 1 box:d box:t 512 512 24 0 sha256 %s "
			 SALT "%s", root, cases[i].words);
		assert_int_equal(box_refused(b, table, &why), cases[i].err);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", cases[i].words, why);
	}
}

BOX_DEFINE(reads)
BOX_DEFINE(every_bit_of_data)
BOX_DEFINE(every_bit_of_tree)
BOX_DEFINE(ignored)
BOX_DEFINE(stops)
BOX_DEFINE(once)
BOX_DEFINE(zeroes)
BOX_DEFINE(scattered)
BOX_DEFINE(writes)
BOX_DEFINE(repairs)
BOX_DEFINE(repairs_tree)
BOX_DEFINE(repairs_unreadable)
BOX_DEFINE(tables)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(reads),
		BOX_TEST(every_bit_of_data),
		BOX_TEST(every_bit_of_tree),
		BOX_TEST(ignored),
		BOX_TEST(stops),
		BOX_TEST(once),
		BOX_TEST(zeroes),
		BOX_TEST(scattered),
		BOX_TEST(writes),
		BOX_TEST(repairs),
		BOX_TEST(repairs_tree),
		BOX_TEST(repairs_unreadable),
		BOX_TEST(tables),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
