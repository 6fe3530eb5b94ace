/* SPDX-License-Identifier: BSD-2-Clause */
/* test-cipher.c - ciphers, hashes and key derivation against published vectors and each other. */
#include <config.h>

#include "box.h"

#include <stdio.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

#define UNIT 512

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned v;

	for (; hex[0] && hex[1]; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		out[n++] = v;
	}
	return n;
}

static void same_hex(const uint8_t *bytes, size_t n, const char *hex)
{
	char text[2 * 256 + 1];
	size_t i;

	assert_true(n <= 256);
	for (i = 0; i < n; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	assert_string_equal(text, hex);
}

/* Bytes that differ from place to place, and with the seed. */
static void fill(uint8_t *p, size_t n, unsigned seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (i * 167 + seed * 41 + (i >> 8) * 13) ^ (i >> 3);
}

/* ---- against the standard ---- */

/* IEEE 1619-2007, vectors 1 and 2; the first has equal halves, which OpenSSL refuses */
static void xts_vectors(void **state)
{
	static const struct { const char *key, *iv, *plain, *coded; } v[] = {
		{ "0000000000000000000000000000000000000000000000000000000000000000",
		  "00000000000000000000000000000000",
		  "0000000000000000000000000000000000000000000000000000000000000000",
		  "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e" },
		{ "1111111111111111111111111111111122222222222222222222222222222222",
		  "33333333330000000000000000000000",
		  "4444444444444444444444444444444444444444444444444444444444444444",
		  "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0" },
	};
	uint8_t key[64], iv[16], data[32];
	struct ndm_cipher *c;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(ndm_cipher_new("xts(aes)", &c), 0);
		assert_int_equal(ndm_cipher_setkey(c, key, unhex(v[i].key, key)), 0);
		unhex(v[i].iv, iv);
		unhex(v[i].plain, data);
		assert_int_equal(ndm_cipher_crypt(c, true, iv, data, data, 32, 1), 0);
		same_hex(data, 32, v[i].coded);
		unhex(v[i].iv, iv);
		assert_int_equal(ndm_cipher_crypt(c, false, iv, data, data, 32, 1), 0);
		same_hex(data, 32, v[i].plain);
		ndm_cipher_free(c);
	}
}

/*
 * CAST-256: RFC 2612, appendix A.  Twofish with 192 bits: its paper's table of the first vectors
 * (key of zeroes, key and text the results before).  CAST-128 with 40 and 80 bits: RFC 2144, B.1.
 */
static void block_vectors(void **state)
{
	static const struct { const char *name, *key, *plain, *coded; } v[] = {
		{ "ecb(cast6)", "2342bb9efa38542c0af75647f29f615d", "00000000000000000000000000000000",
		  "c842a08972b43d20836c91d1b7530f6b" },
		{ "ecb(cast6)", "2342bb9efa38542cbed0ac83940ac298bac77a7717942863",
		  "00000000000000000000000000000000", "1b386c0210dcadcbdd0e41aa08a7a7e8" },
		{ "ecb(cast6)", "2342bb9efa38542cbed0ac83940ac2988d7c47ce264908461cc1b5137ae6b604",
		  "00000000000000000000000000000000", "4f6a2038286897b9c9870136553317fa" },
#ifdef HAVE_NETTLE
		{ "ecb(twofish)", "000000000000000000000000000000000000000000000000",
		  "00000000000000000000000000000000", "efa71f788965bd4453f860178fc19101" },
		{ "ecb(twofish)", "0123456789abcdeffedcba98765432100011223344556677",
		  "00000000000000000000000000000000", "cfd1d2e5a9be9cdf501f13b892bd2248" },
		{ "ecb(cast5)", "01234567123456782345", "0123456789abcdef", "eb6a711a2c02271b" },
		{ "ecb(cast5)", "0123456712", "0123456789abcdef", "7ac816d16e9b302e" },
		/* FIPS 81's example, ecb */
		{ "ecb(des)", "0123456789abcdef", "4e6f772069732074", "3fa40e8a984d4815" },
#endif
	};
	uint8_t key[64], data[16];
	struct ndm_cipher *c;
	unsigned i, n;

	(void)state;
	for (i = 0; i < sizeof v / sizeof *v; i++) {
		assert_int_equal(ndm_cipher_new(v[i].name, &c), 0);
		assert_int_equal(ndm_cipher_setkey(c, key, unhex(v[i].key, key)), 0);
		n = unhex(v[i].plain, data);
		assert_int_equal(ndm_cipher_crypt(c, true, NULL, data, data, n, 1), 0);
		same_hex(data, n, v[i].coded);
		assert_int_equal(ndm_cipher_crypt(c, false, NULL, data, data, n, 1), 0);
		same_hex(data, n, v[i].plain);
		ndm_cipher_free(c);
	}
}

/* RFC 8439, 2.8.2: the first bytes and the tag */
static void aead_vector(void **state)
{
	static const char plain[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				    "only one tip for the future, sunscreen would be it.";
	uint8_t key[32], iv[12], aad[12], out[114], tag[16], work[12];
	struct ndm_aead *a;

	(void)state;
	assert_int_equal(ndm_aead_new("rfc7539(chacha20,poly1305)", &a), 0);
	unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", key);
	unhex("070000004041424344454647", iv);
	unhex("50515253c0c1c2c3c4c5c6c7", aad);
	assert_int_equal(a->ops->setkey(a, key, 32, 0), 0);
	memcpy(work, iv, 12);
	assert_int_equal(a->ops->crypt(a, true, work, aad, 12, (const uint8_t *)plain, out, 114, tag), 0);
	same_hex(out, 16, "d31a8d34648e60db7b86afbc53ef7ec2");
	same_hex(tag, 16, "1ae10b594f09e26a7e902ecbd0600691");
	memcpy(work, iv, 12);
	assert_int_equal(a->ops->crypt(a, false, work, aad, 12, out, out, 114, tag), 0);
	assert_memory_equal(out, plain, 114);
	ndm_aead_free(a);
}

static void hash_vectors(void **state)
{
	static const struct { const char *name, *digest; } v[] = {
		{ "md5", "900150983cd24fb0d6963f7d28e17f72" },
		{ "sha1", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "ripemd160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc" },
		{ "rmd160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc" },
		{ "blake2b-256", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319" },
		{ "crc32c", "b73f4b36" },	/* 364b3fb7, little-endian */
		{ "xxhash64", "990977adf52cbc44" },
	};
	struct ndm_hash *h;
	uint8_t out[NDM_HASH_MAX];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof v / sizeof *v; i++) {
		assert_int_equal(ndm_hash_new(v[i].name, &h), 0);
		assert_int_equal(ndm_hash_one(h, "abc", 3, out), 0);
		same_hex(out, ndm_hash_bytes(h), v[i].digest);
		/* in pieces, twice, with a prefix */
		assert_int_equal(ndm_hash_prefix(h, "a", 1), 0);
		assert_int_equal(ndm_hash_begin(h), 0);
		assert_int_equal(ndm_hash_update(h, "b", 1), 0);
		assert_int_equal(ndm_hash_update(h, "c", 1), 0);
		assert_int_equal(ndm_hash_end(h, out), 0);
		same_hex(out, ndm_hash_bytes(h), v[i].digest);
		ndm_hash_free(h);
	}
	assert_int_equal(ndm_hash_new("nohash", &h), -ENOENT);
	assert_int_equal(ndm_hash_new("hmac(nohash)", &h), -ENOENT);
	/* the check value of CRC-32 is with both inversions */
	assert_int_equal(~ndm_crc32(0xffffffff, "123456789", 9), 0xcbf43926);
	assert_int_equal(~ndm_crc32c(0xffffffff, "123456789", 9), 0xe3069283);
}

/* RFC 4231, case 2; RFC 6070, case 2; RFC 7914 has PBKDF2-SHA-256 */
static void keyed_vectors(void **state)
{
	struct ndm_hash *h;
	uint8_t out[64];

	(void)state;
	assert_int_equal(ndm_hash_new("hmac(sha256)", &h), 0);
	assert_true(ndm_hash_keyed(h));
	assert_int_equal(ndm_hash_begin(h), -ENOKEY);
	assert_int_equal(ndm_hash_setkey(h, "Jefe", 4), 0);
	assert_int_equal(ndm_hash_one(h, "what do ya want for nothing?", 28, out), 0);
	same_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_int_equal(ndm_hash_one(h, "what do ya want for nothing?", 28, out), 0);
	same_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	ndm_hash_free(h);
	assert_int_equal(ndm_pbkdf2("sha1", "password", 8, "salt", 4, 2, out, 20), 0);
	same_hex(out, 20, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
	assert_int_equal(ndm_pbkdf2("sha256", "passwd", 6, "salt", 4, 1, out, 32), 0);
	same_hex(out, 32, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
	assert_int_equal(ndm_pbkdf2("sha256", "passwd", 6, "salt", 4, 0, out, 32), -EINVAL);
	assert_int_equal(ndm_pbkdf2("nohash", "passwd", 6, "salt", 4, 1, out, 32), -ENOENT);
}

/* ---- against each other ---- */

static const struct { const char *name; unsigned key; } ciphers[] = {
	{ "xts(aes)", 32 }, { "xts(aes)", 48 }, { "xts(aes)", 64 }, { "cbc(aes)", 24 },
	{ "ecb(aes)", 16 }, { "ctr(aes)", 32 }, { "cbc(camellia)", 32 }, { "xts(camellia)", 64 },
	{ "cbc(des3_ede)", 24 }, { "chacha20", 32 }, { "xchacha12", 32 }, { "xchacha20", 32 },
	{ "xts(serpent)", 64 }, { "cbc(serpent)", 7 }, { "cbc(twofish)", 16 }, { "lrw(aes)", 48 },
	{ "cbc(cast5)", 16 }, { "cbc(blowfish)", 56 }, { "ctr(twofish)", 32 }, { "pcbc(aes)", 16 },
	{ "cts(cbc(aes))", 32 }, { "adiantum(xchacha12,aes)", 32 }, { "adiantum(xchacha20,aes)", 32 },
	{ "essiv(cbc(aes),sha256)", 16 }, { "ecb(cipher_null)", 0 },
	{ "cbc(cast6)", 16 }, { "ctr(cast6)", 20 }, { "xts(cast6)", 48 }, { "lrw(cast6)", 44 },
	{ "cts(cbc(cast6))", 32 }, { "adiantum(xchacha12,serpent)", 32 },
#ifdef HAVE_NETTLE
	{ "cbc(twofish)", 24 }, { "xts(twofish)", 48 }, { "ctr(twofish)", 24 }, { "cbc(cast5)", 5 },
	{ "ctr(cast5)", 10 }, { "cbc(des)", 8 }, { "ctr(des3_ede)", 24 },
#endif
};

/* what comes back is what went in, in place and beside, one by one and in batches */
static void round_trips(void **state)
{
	uint8_t key[64], ivs[4 * NDM_CIPHER_IV_MAX], keep[sizeof ivs], plain[4 * UNIT], a[4 * UNIT];
	uint8_t b[4 * UNIT];
	struct ndm_cipher *c;
	unsigned i, j;

	(void)state;
	fill(key, sizeof key, 1);
	fill(keep, sizeof keep, 2);
	fill(plain, sizeof plain, 3);
	for (i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
		assert_int_equal(ndm_cipher_new(ciphers[i].name, &c), 0);
		assert_int_equal(ndm_cipher_setkey(c, key, ciphers[i].key), 0);
		memcpy(ivs, keep, sizeof ivs);
		assert_int_equal(ndm_cipher_crypt(c, true, ivs, plain, a, UNIT, 4), 0);
		assert_int_equal(!memcmp(a, plain, sizeof a), !ciphers[i].key);
		memcpy(b, plain, sizeof b);
		memcpy(ivs, keep, sizeof ivs);
		for (j = 0; j < 4; j++)
			assert_int_equal(ndm_cipher_crypt(c, true, ivs + j * c->iv_bytes, b + j * UNIT,
							  b + j * UNIT, UNIT, 1), 0);
		assert_memory_equal(a, b, sizeof a);
		memcpy(ivs, keep, sizeof ivs);
		assert_int_equal(ndm_cipher_crypt(c, false, ivs, a, b, UNIT, 4), 0);
		assert_memory_equal(b, plain, sizeof b);
		ndm_cipher_free(c);
	}
}

/* OpenSSL's, and the one that we compose */
static void all_xts_are_one(void **state)
{
	static const unsigned units[] = { 16, 32, 112, 128, 144, 512, 1024, 4080, 4096 };
	uint8_t key[64], ivs[2 * 16], keep[sizeof ivs], plain[8192], first[8192], out[8192];
	struct ndm_cipher *c[2] = { NULL };
	unsigned i, k, u, bytes;

	(void)state;
	fill(key, sizeof key, 4);
	fill(plain, sizeof plain, 5);
	fill(keep, sizeof keep, 6);
	assert_int_equal(cipher_make_evp("xts(aes)", &c[0]), 0);
	assert_int_equal(cipher_make_mode("xts(aes)", &c[1]), 0);
	for (k = 32; k <= 64; k += 16)
		for (u = 0; u < sizeof units / sizeof *units; u++)
			for (i = 0; i < 2; i++) {
				bytes = units[u];
				assert_int_equal(ndm_cipher_setkey(c[i], key, k), 0);
				memcpy(ivs, keep, sizeof ivs);
				assert_int_equal(ndm_cipher_crypt(c[i], true, ivs, plain, out, bytes, 2), 0);
				if (!i)
					memcpy(first, out, 2 * bytes);
				assert_memory_equal(out, first, 2 * bytes);
				memcpy(ivs, keep, sizeof ivs);
				assert_int_equal(ndm_cipher_crypt(c[i], false, ivs, out, out, bytes, 2), 0);
				assert_memory_equal(out, plain, 2 * bytes);
			}
	for (i = 0; i < 2; i++)
		ndm_cipher_free(c[i]);
}

/* libgcrypt's AES beside OpenSSL's: any length of key, a new key under way, in place and not */
static void both_aes_are_one(void **state)
{
	static const char *const names[] = { "xts(aes)", "cbc(aes)", "ctr(aes)" };
	static const unsigned units[] = { 16, 48, 512, 4096 };
	uint8_t key[64], ivs[3 * 16], plain[3 * 4096], out[2][3 * 4096];
	struct ndm_cipher *c[2];
	unsigned i, j, k, u;
	int err[2];

	(void)state;
	fill(key, sizeof key, 14);
	fill(plain, sizeof plain, 15);
	for (i = 0; i < 3; i++) {
		if (cipher_make_aes(names[i], &c[0]) == -ENOENT)
			skip();			/* no AES instructions here, or no libgcrypt */
		assert_int_equal(cipher_make_evp(names[i], &c[1]), 0);
		assert_int_equal(c[0]->block_bytes, c[1]->block_bytes);
		assert_int_equal(c[0]->iv_bytes, c[1]->iv_bytes);
		assert_int_equal(ndm_cipher_crypt(c[0], true, ivs, plain, out[0], 16, 1), -ENOKEY);
		for (k = 0; k <= 64; k += 8)
			for (u = 0; u < 4; u++) {
				for (j = 0; j < 2; j++) {
					err[j] = ndm_cipher_setkey(c[j], key, k);
					fill(ivs, sizeof ivs, u);
					if (!err[j])
						assert_int_equal(ndm_cipher_crypt(c[j], true, ivs, plain, out[j],
										  units[u], 3), 0);
				}
				assert_int_equal(err[0], err[1]);
				if (err[0])
					continue;
				assert_memory_equal(out[0], out[1], 3 * units[u]);
				for (j = 0; j < 2; j++) {
					fill(ivs, sizeof ivs, u);
					assert_int_equal(ndm_cipher_crypt(c[j], false, ivs, out[j], out[j],
									  units[u], 3), 0);
					assert_memory_equal(out[j], plain, 3 * units[u]);
				}
			}
		ndm_cipher_free(c[0]);
		ndm_cipher_free(c[1]);
	}
}

static void chacha_core_is_chacha(void **state)
{
	uint8_t key[32], iv[32] = { 0 }, plain[700], a[700], b[700];
	struct ndm_cipher *theirs;
	uint32_t words[16];
	unsigned i;

	(void)state;
	fill(key, sizeof key, 7);
	fill(iv, 16, 8);
	fill(plain, sizeof plain, 9);
	assert_int_equal(ndm_cipher_new("chacha20", &theirs), 0);
	assert_int_equal(ndm_cipher_setkey(theirs, key, 32), 0);
	words[0] = 0x61707865;
	words[1] = 0x3320646e;
	words[2] = 0x79622d32;
	words[3] = 0x6b206574;
	for (i = 0; i < 8; i++)
		words[4 + i] = le32_get(key + 4 * i);
	for (i = 0; i < 4; i++)
		words[12 + i] = le32_get(iv + 4 * i);
	chacha_xor(words, 20, plain, a, sizeof a);
	assert_int_equal(ndm_cipher_crypt(theirs, true, iv, plain, b, sizeof b, 1), 0);
	assert_memory_equal(a, b, sizeof a);
	ndm_cipher_free(theirs);
}

static const struct { const char *name; unsigned key, mac; } aeads[] = {
	{ "gcm(aes)", 16, 0 }, { "gcm(aes)", 32, 0 }, { "rfc7539(chacha20,poly1305)", 32, 0 },
	{ "aegis128", 16, 0 }, { "authenc(hmac(sha256),xts(aes))", 96, 32 },
	{ "authenc(hmac(sha1),cbc(aes))", 36, 20 },
	{ "essiv(authenc(hmac(sha256),cbc(aes)),sha256)", 64, 32 },
};

/* every bit of data, tag and associated data counts */
static void tags_notice(void **state)
{
	uint8_t key[96], iv[16], work[16], aad[24], plain[UNIT], coded[UNIT], tag[64], out[UNIT];
	struct ndm_aead *a;
	unsigned i, bit;

	(void)state;
	fill(key, sizeof key, 10);
	fill(plain, sizeof plain, 11);
	fill(aad, sizeof aad, 12);
	for (i = 0; i < sizeof aeads / sizeof *aeads; i++) {
		assert_int_equal(ndm_aead_new(aeads[i].name, &a), 0);
		assert_int_equal(a->ops->setkey(a, key, aeads[i].key, aeads[i].mac), 0);
		memcpy(iv, aad + 8, 16);
#define OPEN() (memcpy(work, iv, 16), 		a->ops->crypt(a, false, work, aad, 8 + a->iv_bytes, coded, out, UNIT, tag))
		memcpy(work, iv, 16);
		assert_int_equal(a->ops->crypt(a, true, work, aad, 8 + a->iv_bytes, plain, coded,
					       UNIT, tag), 0);
		assert_int_equal(OPEN(), 0);
		assert_memory_equal(out, plain, UNIT);
		for (bit = 0; bit < 8 * UNIT; bit += 97) {
			coded[bit / 8] ^= 1 << bit % 8;
			assert_int_equal(OPEN(), -EBADMSG);
			coded[bit / 8] ^= 1 << bit % 8;
		}
		for (bit = 0; bit < 8 * a->tag_bytes; bit++) {
			tag[bit / 8] ^= 1 << bit % 8;
			assert_int_equal(OPEN(), -EBADMSG);
			tag[bit / 8] ^= 1 << bit % 8;
		}
		aad[3] ^= 4;
		assert_int_equal(OPEN(), -EBADMSG);
		aad[3] ^= 4;
		assert_int_equal(OPEN(), 0);
		ndm_aead_free(a);
	}
}

static void wrong_names_and_keys(void **state)
{
	static const char *const names[] = {
		"", "aes", "xts(", "xts()", "xts(nocipher)", "cbc(aes", "essiv(cbc(aes))",
		"essiv(cbc(aes),nohash)", "adiantum(aes)", "xts(xts(aes))", "lrw(des3_ede)",
	};
	static const struct { const char *name; unsigned key; } keys[] = {
		{ "xts(aes)", 16 }, { "xts(aes)", 33 }, { "cbc(aes)", 0 }, { "cbc(aes)", 31 },
		{ "cbc(serpent)", 33 }, { "cbc(twofish)", 17 }, { "adiantum(xchacha12,aes)", 31 },
		{ "cbc(cast6)", 15 }, { "cbc(cast6)", 18 }, { "cbc(cast6)", 36 }, { "cbc(cast5)", 4 },
		{ "lrw(aes)", 16 }, { "lrw(aes)", 3 }, { "ecb(cipher_null)", 1 },
		{ "essiv(cbc(aes),sha1)", 16 },		/* 20 bytes are no key of AES */
	};
	uint8_t key[64];
	struct ndm_cipher *c;
	unsigned i;

	(void)state;
	fill(key, sizeof key, 13);
	for (i = 0; i < sizeof names / sizeof *names; i++)
		assert_true(ndm_cipher_new(names[i], &c) < 0);
	for (i = 0; i < sizeof keys / sizeof *keys; i++) {
		assert_int_equal(ndm_cipher_new(keys[i].name, &c), 0);
		assert_int_equal(ndm_cipher_setkey(c, key, keys[i].key), -EINVAL);
		ndm_cipher_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xts_vectors), cmocka_unit_test(block_vectors),
		cmocka_unit_test(aead_vector),
		cmocka_unit_test(hash_vectors),
		cmocka_unit_test(keyed_vectors),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(all_xts_are_one),
		cmocka_unit_test(both_aes_are_one),
		cmocka_unit_test(chacha_core_is_chacha),
		cmocka_unit_test(tags_notice),
		cmocka_unit_test(wrong_names_and_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
