/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-adiantum.c - Adiantum (Crowley and Biggers, 2018): "adiantum(xchacha12,aes)", with
 * xchacha20, and with other ciphers of 16-byte blocks; one wide block as long as the sector.
 *
 * The sector is L || R, R its last 16 bytes.  M = R + H(L), AES turns it into M', XChaCha under
 * the nonce M' is added to L, and R' = M' - H(L').  H is Poly1305 of length and tweak, plus
 * Poly1305 of NH of L; both Poly1305 without the final addition of a nonce.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/params.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define NH_PASSES 4
#define NH_UNIT 1024			/* bytes hashed under one run over the key */
#define NH_KEY_WORDS (NH_UNIT / 4 + 4 * (NH_PASSES - 1))
#define NH_HASH_BYTES (8 * NH_PASSES)
#define SECTOR_MAX 4096

struct adiantum {
	struct ndm_cipher cipher;
	unsigned rounds;
	bool keyed;
	struct ndm_cipher *block;	/* ecb, with a key of 32 bytes */
	EVP_MAC_CTX *poly;
	uint8_t stream_key[32];
	uint8_t header_key[32], message_key[32];	/* Poly1305: r, then 16 zeroes */
	uint32_t nh_key[NH_KEY_WORDS];
};

static int adiantum_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	static const uint8_t iv[32] = { 1 }, zero[32 + 16 + 16 + 4 * NH_KEY_WORDS];
	struct adiantum *a = (struct adiantum *)c;
	uint8_t derived[sizeof zero];
	uint32_t state[16];
	unsigned i;
	int err;

	if (bytes != 32)
		return -EINVAL;
	memcpy(a->stream_key, key, 32);
	xchacha_init(state, key, iv, a->rounds);
	chacha_xor(state, a->rounds, zero, derived, sizeof derived);
	err = ndm_cipher_setkey(a->block, derived, 32);
	memcpy(a->header_key, derived + 32, 16);
	memcpy(a->message_key, derived + 48, 16);
	for (i = 0; i < NH_KEY_WORDS; i++)
		a->nh_key[i] = le32_get(derived + 64 + 4 * i);
	a->keyed = true;
	ndm_secret_wipe(derived, sizeof derived);
	ndm_secret_wipe(state, sizeof state);
	return err;
}

/* bytes: a multiple of 16, NH_UNIT at most */
static void nh_hash(const uint32_t *key, const uint8_t *message, size_t bytes,
		    uint8_t out[NH_HASH_BYTES])
{
	uint64_t sum[NH_PASSES] = { 0 };
	unsigned pass;

	for (; bytes; bytes -= 16, message += 16, key += 4) {
		uint32_t m0 = le32_get(message), m1 = le32_get(message + 4);
		uint32_t m2 = le32_get(message + 8), m3 = le32_get(message + 12);

		for (pass = 0; pass < NH_PASSES; pass++) {
			const uint32_t *k = key + 4 * pass;

			sum[pass] += (uint64_t)(m0 + k[0]) * (m2 + k[2]);
			sum[pass] += (uint64_t)(m1 + k[1]) * (m3 + k[3]);
		}
	}
	for (pass = 0; pass < NH_PASSES; pass++)
		le64_put(out + 8 * pass, sum[pass]);
}

static int poly(struct adiantum *a, const uint8_t key[32], const uint8_t *data, size_t bytes,
		uint8_t out[16])
{
	size_t len = 16;

	if (EVP_MAC_init(a->poly, key, 32, NULL) != 1 ||
	    EVP_MAC_update(a->poly, data, bytes) != 1 ||
	    EVP_MAC_final(a->poly, out, &len, 16) != 1)
		return -EIO;
	return 0;
}

static void add128(uint8_t a[16], const uint8_t b[16])
{
	uint64_t low = le64_get(a), sum = low + le64_get(b);

	le64_put(a + 8, le64_get(a + 8) + le64_get(b + 8) + (sum < low));
	le64_put(a, sum);
}

static void sub128(uint8_t a[16], const uint8_t b[16])
{
	uint64_t low = le64_get(a), less = le64_get(b);

	le64_put(a + 8, le64_get(a + 8) - le64_get(b + 8) - (low < less));
	le64_put(a, low - less);
}

/* header: what Poly1305 made of length and tweak */
static int message_hash(struct adiantum *a, const uint8_t header[16], const uint8_t *left,
			size_t bytes, uint8_t out[16])
{
	uint8_t nh[(SECTOR_MAX / NH_UNIT + 1) * NH_HASH_BYTES];
	size_t n = 0;
	int err;

	while (bytes) {
		size_t now = bytes < NH_UNIT ? bytes : NH_UNIT;

		nh_hash(a->nh_key, left, now, nh + n);
		n += NH_HASH_BYTES;
		left += now;
		bytes -= now;
	}
	err = poly(a, a->message_key, nh, n, out);
	add128(out, header);
	return err;
}

static int adiantum_unit(struct adiantum *a, bool encrypt, const uint8_t *iv, const uint8_t *in,
			 uint8_t *out, size_t bytes)
{
	uint8_t header[48] = { 0 }, hash[16], mid[16], nonce[32] = { 0 };
	uint32_t state[16];
	size_t left = bytes - 16;
	int err;

	le64_put(header, 8 * (uint64_t)left);
	memcpy(header + 16, iv, 32);
	err = poly(a, a->header_key, header, sizeof header, header);
	err = err ? err : message_hash(a, header, in, left, hash);
	if (err)
		return err;
	memcpy(mid, in + left, 16);
	add128(mid, hash);
	memcpy(nonce, mid, 16);			/* decrypting: this is the nonce already */
	err = ndm_cipher_crypt(a->block, encrypt, NULL, mid, mid, 16, 1);
	if (encrypt)
		memcpy(nonce, mid, 16);
	nonce[16] = 1;
	xchacha_init(state, a->stream_key, nonce, a->rounds);
	chacha_xor(state, a->rounds, in, out, left);
	err = err ? err : message_hash(a, header, out, left, hash);
	sub128(mid, hash);
	memcpy(out + left, mid, 16);
	return err;
}

static int adiantum_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
			  uint8_t *out, size_t bytes, unsigned n)
{
	struct adiantum *a = (struct adiantum *)c;
	int err = 0;

	if (!a->keyed)
		return -ENOKEY;
	if (bytes % 16 || bytes < 16 || bytes > SECTOR_MAX)
		return -EINVAL;
	for (; n && !err; n--, in += bytes, out += bytes, ivs += 32)
		err = adiantum_unit(a, encrypt, ivs, in, out, bytes);
	return err;
}

static void adiantum_free(struct ndm_cipher *c)
{
	struct adiantum *a = (struct adiantum *)c;

	ndm_cipher_free(a->block);
	EVP_MAC_CTX_free(a->poly);
	ndm_secret_free(a, sizeof *a);
}

static const struct ndm_cipher_ops adiantum_ops = {
	.setkey = adiantum_setkey,
	.crypt = adiantum_crypt,
	.free = adiantum_free,
};

/* "adiantum(xchacha12,aes)" -> 12 and "ecb(aes)"; 0: it is none */
static unsigned adiantum_parse(const char *name, char *block, size_t room)
{
	static const char *const blocks[] = { "aes", "serpent", "twofish", "camellia", "cast6" };
	char inside[NDM_CIPHER_NAME_MAX], *comma, *last;
	unsigned rounds, i;

	if (!cipher_name_inside(name, "adiantum", inside))
		return 0;
	comma = strchr(inside, ',');
	if (!comma)
		return 0;
	*comma++ = 0;
	rounds = !strcmp(inside, "xchacha12") ? 12 : !strcmp(inside, "xchacha20") ? 20 : 0;
	last = strchr(comma, ',');
	if (last && strcmp(last, ",nhpoly1305"))
		return 0;
	if (last)
		*last = 0;
	for (i = 0; i < sizeof blocks / sizeof *blocks; i++)
		if (!strcmp(blocks[i], comma)) {
			snprintf(block, room, "ecb(%s)", comma);
			return rounds;
		}
	return 0;
}

/* Both parts are ciphers that are there, but not of the kind that it takes. */
static bool adiantum_of_others(const char *name)
{
	char inside[NDM_CIPHER_NAME_MAX], block[NDM_CIPHER_NAME_MAX + 5], *comma;
	struct ndm_cipher *stream, *ecb;
	bool there;

	comma = cipher_name_inside(name, "adiantum", inside) ? strchr(inside, ',') : NULL;
	if (!comma || strchr(inside, '('))
		return false;
	*comma++ = 0;
	snprintf(block, sizeof block, "ecb(%s)", comma);
	if (ndm_cipher_new(inside, &stream))
		return false;
	ndm_cipher_free(stream);
	there = !ndm_cipher_new(block, &ecb);
	if (there)
		ndm_cipher_free(ecb);
	return there;
}

int cipher_make_adiantum(const char *name, struct ndm_cipher **out)
{
	char block[32];
	unsigned rounds = adiantum_parse(name, block, sizeof block);
	struct adiantum *a;
	EVP_MAC *mac;
	int err;

	if (!rounds)
		return adiantum_of_others(name) ? -EINVAL : -ENOENT;
	a = ndm_secret_alloc(sizeof *a);
	if (!a)
		return -ENOMEM;
	a->rounds = rounds;
	a->cipher = (struct ndm_cipher){ &adiantum_ops, 16, 32, 500 };
	mac = EVP_MAC_fetch(NULL, "POLY1305", NULL);
	a->poly = mac ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	err = a->poly ? ndm_cipher_new(block, &a->block) : -ENOMEM;
	if (err) {
		adiantum_free(&a->cipher);
		return err;
	}
	*out = &a->cipher;
	return 0;
}
