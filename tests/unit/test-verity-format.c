/* SPDX-License-Identifier: BSD-2-Clause */
/* verity's bytes and places, and the Reed-Solomon code, each against numbers from elsewhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ndm-verity.h>

#include "lib/kit/fec.h"

/* As veritysetup wrote it: --hash=sha256 --data-blocks=3 --uuid=... --salt=abcd */
static const uint8_t super_head[96] = {
	'v', 'e', 'r', 'i', 't', 'y', 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
	0x3c, 0x53, 0xf2, 0x04, 0x7e, 0x0c, 0x23, 0x4d, 0xd0, 0x81, 0x7b, 0x5f, 0x3b, 0x41, 0x48, 0x53,
	's', 'h', 'a', '2', '5', '6', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0x10, 0, 0, 0, 0x02, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd,
};

static void super(void **state)
{
	uint8_t bytes[NDM_VERITY_SUPER_BYTES] = { 0 }, again[NDM_VERITY_SUPER_BYTES];
	struct ndm_verity_super s;
	const char *why;

	(void)state;
	memcpy(bytes, super_head, sizeof super_head);
	assert_int_equal(ndm_verity_super_decode(bytes, &s, &why), 0);
	assert_int_equal(s.version, 1);
	assert_string_equal(s.algorithm, "sha256");
	assert_int_equal(s.data_block_bytes, 4096);
	assert_int_equal(s.hash_block_bytes, 512);
	assert_int_equal(s.data_blocks, 3);
	assert_int_equal(s.salt_bytes, 2);
	assert_int_equal(s.salt[1], 0xcd);
	ndm_verity_super_encode(&s, again);
	assert_memory_equal(again, bytes, sizeof bytes);
}

static void super_refused(void **state)
{
	static const struct { unsigned at; uint8_t byte; const char *why; } cases[] = {
		{ 0, 'V', "not a verity superblock" }, { 7, 1, "not a verity superblock" },
		{ 8, 2, "version" }, { 12, 2, "hash type" }, { 65, 0x11, "block sizes" },
		{ 64, 1, "block sizes" }, { 66, 0x10, "block sizes" }, { 79, 0x80, "more than there can be" },
		{ 76, 0xff, "" }, { 81, 2, "salt" }, { 32, 0, "name" }, { 33, 7, "name" }, { 63, 'x', "name" },
	};
	uint8_t bytes[NDM_VERITY_SUPER_BYTES];
	struct ndm_verity_super s;
	const char *why;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(bytes, 0, sizeof bytes);
		memcpy(bytes, super_head, sizeof super_head);
		bytes[cases[i].at] = cases[i].byte;
		if (!*cases[i].why) {
			assert_int_equal(ndm_verity_super_decode(bytes, &s, &why), 0);
			continue;
		}
		assert_int_equal(ndm_verity_super_decode(bytes, &s, &why), -EINVAL);
		assert_non_null(strstr(why, cases[i].why));
	}
}

static struct ndm_verity_tree tree(unsigned version, unsigned digest, uint32_t block, uint64_t blocks,
				   uint64_t start)
{
	struct ndm_verity_tree t = { .version = version, .digest_bytes = digest,
				     .hash_block_bytes = block, .data_blocks = blocks, .start = start };
	const char *why;

	assert_int_equal(ndm_verity_tree_init(&t, &why), 0);
	return t;
}

static void places(void **state)
{
	struct ndm_verity_tree t = tree(1, 32, 4096, 256 * 128, 1);

	(void)state;
	assert_int_equal(t.levels, 3);			/* 256 leaves, 2, 1 */
	assert_int_equal(t.level_block[2], 1);
	assert_int_equal(t.level_block[1], 2);
	assert_int_equal(t.level_block[0], 4);
	assert_int_equal(t.end, 260);
	assert_int_equal(ndm_verity_tree_block(&t, 129, 0), 5);
	assert_int_equal(ndm_verity_tree_offset(&t, 129, 0), 32);
	assert_int_equal(ndm_verity_tree_block(&t, 128 * 128, 1), 3);
	assert_int_equal(ndm_verity_tree_offset(&t, 128 * 128, 2), 32);
	t = tree(1, 20, 4096, 1000, 0);			/* padded to 32: 128 of 204 that would fit */
	assert_int_equal(t.per_block_bits, 7);
	assert_int_equal(ndm_verity_tree_offset(&t, 3, 0), 96);
	t = tree(0, 20, 4096, 1000, 0);			/* packed, and still 128 */
	assert_int_equal(ndm_verity_tree_offset(&t, 3, 0), 60);
	t = tree(1, 32, 4096, 1, 7);
	assert_int_equal(t.levels, 0);
	assert_int_equal(t.end, 7);
	t = tree(1, 64, 512, UINT64_MAX >> 9, 0);
	assert_int_equal(t.levels, 19);
}

static void places_too_many(void **state)
{
	struct ndm_verity_tree t = { .version = 1, .digest_bytes = 32, .hash_block_bytes = 4096,
				     .data_blocks = UINT64_MAX, .start = UINT64_MAX - 3 };
	const char *why;

	(void)state;
	assert_int_equal(ndm_verity_tree_init(&t, &why), -E2BIG);
	assert_string_equal(why, "Hash device offset overflow");
	t.hash_block_bytes = 64;			/* two digests a block: one bit a level */
	assert_int_equal(ndm_verity_tree_init(&t, &why), -E2BIG);
	assert_string_equal(why, "Too many tree levels");
}

/* The example of ISO/IEC 18004 (QR codes: the same field and the same generator), 10 roots. */
static void code_vector(void **state)
{
	static const uint8_t text[] = { 32, 91, 11, 120, 209, 114, 220, 77, 67, 64, 236, 17, 236, 17,
					236, 17 };
	static const uint8_t want[] = { 196, 35, 39, 119, 235, 215, 231, 226, 93, 23 };
	uint8_t message[245] = { 0 }, parity[10];
	struct ndm_rs rs;

	(void)state;
	ndm_rs_init(&rs, 10);
	memcpy(message + sizeof message - sizeof text, text, sizeof text);
	ndm_rs_encode(&rs, message, parity);
	assert_memory_equal(parity, want, sizeof want);
}

/* Up to the limit everything is repaired: 2 errors + erasures <= roots. */
static void code_repairs(void **state)
{
	uint8_t word[255], good[255], erasures[24];
	struct ndm_rs rs;
	unsigned roots, round, i, k;

	(void)state;
	srandom(1);
	for (roots = 2; roots <= 24; roots++) {
		ndm_rs_init(&rs, roots);
		for (round = 0; round < 200; round++) {
			unsigned lost = random() % (roots + 1), wrong = (roots - lost) / 2, n = 0;
			bool hit[255] = { false };
			int fixed;

			for (i = 0; i < 255 - roots; i++)
				good[i] = random();
			ndm_rs_encode(&rs, good, good + 255 - roots);
			memcpy(word, good, sizeof word);
			for (k = 0; k < lost + wrong; k++) {
				do
					i = random() % 255;
				while (hit[i]);
				hit[i] = true;
				word[i] ^= 1 + random() % 255;
				if (k < lost)
					erasures[n++] = i;
			}
			fixed = ndm_rs_decode(&rs, word, erasures, n);
			assert_int_equal(fixed, lost + wrong);
			assert_memory_equal(word, good, sizeof word);
		}
	}
}

/* Beyond it, it says so or finds another codeword, but never leaves something that is none. */
static void code_gives_up(void **state)
{
	uint8_t word[255], parity[24];
	struct ndm_rs rs;
	unsigned round, i, refused = 0;

	(void)state;
	srandom(2);
	ndm_rs_init(&rs, 8);
	for (round = 0; round < 2000; round++) {
		uint8_t before[255];
		int n;

		for (i = 0; i < 255; i++)
			word[i] = before[i] = random();
		n = ndm_rs_decode(&rs, word, NULL, 0);
		if (n < 0) {
			assert_int_equal(n, -EBADMSG);
			assert_memory_equal(word, before, sizeof word);
			refused++;
			continue;
		}
		ndm_rs_encode(&rs, word, parity);
		assert_memory_equal(parity, word + 247, 8);
	}
	assert_true(refused > 1900);
	assert_int_equal(ndm_rs_decode(&rs, word, word, 9), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(super),
		cmocka_unit_test(super_refused),
		cmocka_unit_test(places),
		cmocka_unit_test(places_too_many),
		cmocka_unit_test(code_vector),
		cmocka_unit_test(code_repairs),
		cmocka_unit_test(code_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
