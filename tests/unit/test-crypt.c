/* SPDX-License-Identifier: BSD-2-Clause */
/* test-crypt.c - the crypt target: what lies on the disk, keys and who may see them, refusals. */
#include "box.h"

#include "lib/kit/crypt.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ZEROES "0000000000000000000000000000000000000000000000000000000000000000"

static unsigned char buf[2048 * NDM_SECTOR_BYTES], again[sizeof buf], clear[sizeof buf];

static void fill(unsigned char *p, size_t n, unsigned seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = i * 131 + seed * 7 + (i >> 9);
}

/* What should be on the disk, by the engine alone. */
static void expect_cipher(unsigned char *data, uint64_t sector, size_t bytes)
{
	struct ndm_crypt_spec spec = { .cipher = "aes-xts-plain64", .key_bytes = 32, .iv_offset = 5,
				       .sector_bytes = 512, .lanes = 1 };
	struct ndm_crypt_run run = { .encrypt = true, .sector = sector, .in = data, .out = data,
				     .bytes = bytes };
	struct ndm_crypt *c;
	const char *why;
	uint8_t key[32];

	for (unsigned i = 0; i < 32; i++)
		key[i] = i;
	assert_int_equal(ndm_crypt_new(&spec, &c, &why), 0);
	assert_int_equal(ndm_crypt_set_key(c, key), 0);
	assert_int_equal(ndm_crypt_init_iv(c, &why), 0);
	assert_int_equal(ndm_crypt_run(c, 0, &run), 0);
	ndm_crypt_free(c);
}

/* small ones on the loop, large ones by workers: the same bytes, and the caller's stay as they are */
static void writes_encrypt(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 4096, 0);
	struct ndm_store *m = box_up(b, "m", "0 2048 crypt aes-xts-plain64 " KEY " 5 box:a 16");
	static const unsigned lengths[] = { 1, 8, 127, 128, 129, 1000, 2048 };

	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		uint64_t nr = lengths[i], at = 2048 - nr;
		size_t bytes = nr * NDM_SECTOR_BYTES;

		fill(clear, bytes, i);
		memcpy(buf, clear, bytes);
		assert_int_equal(ndm_rw(m, NDM_WRITE, 0, at, nr, buf), 0);
		assert_memory_equal(buf, clear, bytes);
		expect_cipher(buf, at, bytes);
		assert_memory_equal(a->bytes + (16 + at) * NDM_SECTOR_BYTES, buf, bytes);
		assert_int_equal(ndm_rw(m, NDM_READ, 0, at, nr, again), 0);
		assert_memory_equal(again, clear, bytes);
	}
}

/* memory in pieces that end in the middle of sectors */
static void pieces_of_memory(struct box *b)
{
	struct iovec v[4] = { { buf, 100 }, { buf + 1000, 512 + 412 }, { buf + 4000, 2048 },
			      { buf + 8000, 4096 - 100 - 924 - 2048 } };
	struct ndm_data d = { .iov = v, .iovcnt = 4 };
	struct ndm_store *m;

	box_disk(b, "a", 64, 0);
	m = box_up(b, "m", "0 64 crypt aes-cbc-essiv:sha256 " KEY " 0 box:a 0");
	fill(clear, 4096, 3);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 8, 8, clear), 0);
	assert_int_equal(ndm_rw_data(m, NDM_READ, 0, 8, 8, &d), 0);
	ndm_data_from(&d, 4096, again);
	assert_memory_equal(again, clear, 4096);
	fill(clear, 4096, 4);
	ndm_data_to(&d, 4096, clear);
	assert_int_equal(ndm_rw_data(m, NDM_WRITE, 0, 8, 8, &d), 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 8, 8, again), 0);
	assert_memory_equal(again, clear, 4096);
}

static void what_goes_down(struct box *b)
{
	struct box_disk *a = box_disk(b, "a", 256, 0);
	struct ndm_store *m = box_up(b, "m", "0 128 crypt aes-xts-plain64 " KEY " 0 box:a 16 2 "
				     "allow_discards sector_size:4096");

	memset(buf, 0, 4096);
	assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 8, 8, buf), 0);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 16, 8, NULL), 0);
	assert_int_equal(ndm_flush(m), 0);
	assert_string_equal(box_log(b), "a write 24+8 fua, a discard 32+8, a flush");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 4, 8, buf), -EIO);	/* across two sectors of 4096 */
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 8, 1, buf), -EIO);
	assert_string_equal(box_log(b), "");
	assert_int_equal(m->limits.logical_block_bytes, 4096);
	/* zeroes are data like any other */
	assert_int_equal(ndm_rw(m, NDM_ZEROES, 0, 0, 8, NULL), 0);
	assert_string_equal(box_log(b), "a write 16+8");
	assert_int_not_equal(a->bytes[16 * NDM_SECTOR_BYTES], 0);
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 8, buf), 0);
	assert_int_equal(buf[0] | buf[4095], 0);
	a->fail_ops = 1 << NDM_READ;
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 8, buf), -EIO);
}

static void keys_are_hidden(struct box *b)
{
	box_disk(b, "a", 64, 0);
	box_up(b, "m", "0 64 crypt aes-xts-plain64 " KEY " 7 box:a 0 4 SAME_CPU_CRYPT high_priority "
	       "no_read_workqueue no_write_workqueue");
	assert_string_equal(box_table(b, "m"), "aes-xts-plain64 " ZEROES " 7 box:a 0 4 same_cpu_crypt "
			    "high_priority no_read_workqueue no_write_workqueue");
	assert_string_equal(box_status(b, "m"), "");
}

static void keys_change_while_suspended(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 64, 0);
	m = box_up(b, "m", "0 64 crypt aes-xts-plain64 " KEY " 0 box:a 0");
	fill(clear, 512, 1);
	assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, clear), 0);
	assert_memory_equal(box_message(b, "m", "key wipe"), "EINVAL", 6);
	box_suspend(b, "m", 0);
	assert_memory_equal(box_message(b, "m", "key set 00"), "EINVAL", 6);
	assert_memory_equal(box_message(b, "m", "key forget"), "EINVAL", 6);
	assert_string_equal(box_message(b, "m", "key wipe"), "");
	assert_string_equal(box_message(b, "m", "KEY SET " ZEROES), "");
	box_resume(b, "m");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_memory_not_equal(buf, clear, 512);
	box_suspend(b, "m", 0);
	assert_string_equal(box_message(b, "m", "key set " KEY), "");
	box_resume(b, "m");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), 0);
	assert_memory_equal(buf, clear, 512);
}

static void refusals(struct box *b)
{
	static const struct { const char *table; int err; const char *why; } t[] = {
		{ "0 8 crypt aes-xts-plain64 " KEY " 0 box:a", EINVAL, "Not enough arguments" },
		{ "0 8 crypt aes-xts-plain64 :x:user:a 0 box:a 0", EINVAL, "Cannot parse key size" },
		{ "0 8 crypt aes-xts-plain64 :32:user:nobody:has:it 0 box:a 0", ENOKEY,
		  "Error decoding and setting key" },
		{ "0 8 crypt aes-xts-plain64 zz" KEY " 0 box:a 0", EINVAL, "Error decoding and setting key" },
		{ "0 8 crypt aes-cbc-essiv:nohash " KEY " 0 box:a 0", ENOENT,
		  "Error allocating crypto tfm" },
		{ "0 8 crypt aes:3-cbc-plain " KEY " 0 box:a 0", EINVAL,
		  "Bad cipher key count specification" },
		{ "0 8 crypt cbc(aes)-plain " KEY " 0 box:a 0", EINVAL, "Bad cipher specification" },
		{ "0 8 crypt aes-cbc " KEY " 0 box:a 0", EINVAL, "IV mechanism required" },
		{ "0 8 crypt aes-cbc-what " KEY " 0 box:a 0", EINVAL, "Invalid IV mode" },
		{ "0 8 crypt aes-cbc-lmk " KEY " 0 box:a 0 1 sector_size:4096", EINVAL, "Error creating IV" },
		{ "0 8 crypt aes-xts-plain64 " KEY " 1 box:a 0 1 sector_size:4096", EINVAL,
		  "Invalid iv_offset sector" },
		{ "0 8 crypt aes-xts-plain64 " KEY " 0 box:b 0", ENOENT, "Device lookup failed" },
		{ "0 8 crypt aes-xts-plain64 " KEY " 0 box:a -1", EINVAL, "Invalid device sector" },
		{ "0 8 crypt capi:authenc(hmac(nohash),cbc(aes))-plain " KEY " 0 box:a 0 1 "
		  "integrity:32:aead", ENOENT, "Invalid AEAD cipher spec" },
		{ "0 8 crypt capi:gcm(aes)-random " KEY " 0 box:a 0 1 integrity:28:aead", EINVAL,
		  "Integrity profile not supported." },
		{ "0 7 crypt aes-xts-plain64 " KEY " 0 box:a 0 1 sector_size:4096", EINVAL,
		  "Device size is not multiple of sector_size feature" },
	};
	const char *why;

	box_disk(b, "a", 64, 0);
	for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
		assert_int_equal(box_refused(b, t[i].table, &why), t[i].err);
		assert_non_null(strstr(why, t[i].why));
		assert_null(strstr(why, "0102030405"));		/* no key in a message */
	}
}

/* each sector's metadata, by the engine alone: what is written back must be what was read */
static void metadata(struct box *b)
{
	struct ndm_crypt_spec spec = { .cipher = "capi:gcm(aes)-random", .key_bytes = 16,
				       .sector_bytes = 512, .tag_bytes = 28, .aead = true, .lanes = 1 };
	uint8_t key[16] = { 1 }, tags[4 * 32], random[4 * 12];
	struct ndm_crypt_run run = { .encrypt = true, .sector = 9, .in = clear, .out = buf,
				     .bytes = 2048, .tags = tags, .random = random };
	struct ndm_crypt *c;
	const char *why;

	(void)b;
	fill(clear, 2048, 5);
	fill(random, sizeof random, 6);
	memset(tags, 0xff, sizeof tags);
	assert_int_equal(ndm_crypt_new(&spec, &c, &why), 0);
	assert_true(ndm_crypt_tagged(c));
	assert_int_equal(ndm_crypt_set_tuple(c, 27, &why), -EINVAL);
	assert_string_equal(why, "Integrity profile tag size mismatch.");
	assert_int_equal(ndm_crypt_set_tuple(c, 32, &why), 0);
	assert_int_equal(ndm_crypt_set_key(c, key), 0);
	assert_int_equal(ndm_crypt_init_iv(c, &why), 0);
	assert_int_equal(ndm_crypt_random_bytes(c, 2048), sizeof random);
	assert_int_equal(ndm_crypt_run(c, 0, &run), 0);
	for (unsigned i = 0; i < 4; i++) {		/* tag, IV, zeroes */
		assert_memory_equal(tags + 32 * i + 16, random + 12 * i, 12);
		assert_memory_equal(tags + 32 * i + 28, "\0\0\0\0", 4);
	}
	run.encrypt = false;
	run.in = run.out = buf;
	memcpy(again, buf, 2048);
	assert_int_equal(ndm_crypt_run(c, 0, &run), 0);
	assert_memory_equal(buf, clear, 2048);
	memcpy(buf, again, 2048);
	tags[2 * 32] ^= 1;
	assert_int_equal(ndm_crypt_run(c, 0, &run), -EILSEQ);
	assert_int_equal(run.bad, 11);
	ndm_crypt_wipe(c);
	assert_int_equal(ndm_crypt_run(c, 0, &run), -ENOKEY);
	ndm_crypt_free(c);
}

BOX_DEFINE(writes_encrypt)
BOX_DEFINE(pieces_of_memory)
BOX_DEFINE(what_goes_down)
BOX_DEFINE(keys_are_hidden)
BOX_DEFINE(keys_change_while_suspended)
BOX_DEFINE(refusals)
BOX_DEFINE(metadata)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(writes_encrypt),
		BOX_TEST(pieces_of_memory),
		BOX_TEST(what_goes_down),
		BOX_TEST(keys_are_hidden),
		BOX_TEST(keys_change_while_suspended),
		BOX_TEST(refusals),
		BOX_TEST(metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
