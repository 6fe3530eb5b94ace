/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.c - digests and MACs by the kernel's names: OpenSSL's, libgcrypt's where OpenSSL has
 * none (or only in a provider that must be loaded), and the checksums of hash-crc.c.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#ifdef HAVE_LIBGCRYPT
#include <gcrypt.h>
#endif

#include <ndm-target.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

enum hash_kind { HASH_EVP, HASH_HMAC, HASH_BLAKE2, HASH_GCRYPT, HASH_MAC, HASH_CRC32, HASH_CRC32C, HASH_XXH64 };

struct ndm_hash {
	enum hash_kind kind;
	unsigned bytes;
	bool keyed, key_set, blake2;
	bool short_hmac;		/* of a digest that is cut: inside, too */
	uint8_t pads[2][64];
	EVP_MD *md;
	EVP_MD_CTX *ctx;
	EVP_MAC_CTX *mac;
#ifdef HAVE_LIBGCRYPT
	gcry_md_hd_t gcry;
	int gcry_algorithm;
#endif
	struct ndm_mac *own;		/* cmac and the like */
	struct ndm_checksum *sum;	/* crc32, crc32c, xxhash64 */
	uint8_t *prefix;
	size_t prefix_bytes;
};

static const struct { const char *kernel, *evp; } evp_names[] = {
	{ "md5", "MD5" }, { "sha1", "SHA1" }, { "sha224", "SHA224" }, { "sha256", "SHA256" },
	{ "sha384", "SHA384" }, { "sha512", "SHA512" }, { "sha3-224", "SHA3-224" },
	{ "sha3-256", "SHA3-256" }, { "sha3-384", "SHA3-384" }, { "sha3-512", "SHA3-512" },
	{ "rmd160", "RIPEMD160" }, { "ripemd160", "RIPEMD160" }, { "sm3", "SM3" },
	{ "blake2b-512", "BLAKE2B-512" }, { "blake2s-256", "BLAKE2S-256" },
};

#ifdef HAVE_LIBGCRYPT
static const struct { const char *kernel; int algorithm; } gcry_names[] = {
	{ "blake2b-160", GCRY_MD_BLAKE2B_160 }, { "blake2b-256", GCRY_MD_BLAKE2B_256 },
	{ "blake2b-384", GCRY_MD_BLAKE2B_384 }, { "wp512", GCRY_MD_WHIRLPOOL },
	{ "wp384", GCRY_MD_WHIRLPOOL }, { "wp256", GCRY_MD_WHIRLPOOL },
	{ "whirlpool", GCRY_MD_WHIRLPOOL }, { "md4", GCRY_MD_MD4 },
	{ "streebog256", GCRY_MD_STRIBOG256 }, { "streebog512", GCRY_MD_STRIBOG512 },
};
#endif

const char *hash_evp_name(const char *kernel)
{
	unsigned i;

	for (i = 0; i < sizeof evp_names / sizeof *evp_names; i++)
		if (!strcmp(evp_names[i].kernel, kernel))
			return evp_names[i].evp;
	return NULL;
}

/* ---- making ---- */

static int make_evp(struct ndm_hash *h, const char *name)
{
	const char *evp = hash_evp_name(name);

	h->md = evp ? EVP_MD_fetch(NULL, evp, NULL) : NULL;
	if (!h->md)
		return -ENOENT;
	h->kind = HASH_EVP;
	h->bytes = EVP_MD_get_size(h->md);
	h->ctx = EVP_MD_CTX_new();
	return h->ctx ? 0 : -ENOMEM;
}

static int make_hmac(struct ndm_hash *h, const char *inner)
{
	const char *evp = hash_evp_name(inner);
	EVP_MAC *mac;
	int err;

	if (!evp)
		return -ENOENT;
	err = make_evp(h, inner);		/* for the size, and to know that it is there */
	if (err)
		return err;
	h->kind = HASH_HMAC;
	h->keyed = true;
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	h->mac = mac ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	return h->mac ? 0 : -ENOMEM;
}

static int make_gcrypt(struct ndm_hash *h, const char *name, bool hmac)
{
#ifdef HAVE_LIBGCRYPT
	unsigned i;

	for (i = 0; i < sizeof gcry_names / sizeof *gcry_names; i++) {
		if (strcmp(gcry_names[i].kernel, name))
			continue;
		cipher_gcrypt_begin();
		h->short_hmac = hmac && !strncmp(name, "wp", 2) && strcmp(name, "wp512");
		if (gcry_md_open(&h->gcry, gcry_names[i].algorithm, hmac && !h->short_hmac ? GCRY_MD_FLAG_HMAC : 0))
			return -ENOENT;
		h->gcry_algorithm = gcry_names[i].algorithm;
		h->kind = HASH_GCRYPT;
		h->keyed = hmac;
		h->bytes = gcry_md_get_algo_dlen(gcry_names[i].algorithm);
		if (!strcmp(name, "wp384") || !strcmp(name, "wp256"))	/* the first bytes of it */
			h->bytes = !strcmp(name, "wp384") ? 48 : 32;
		return 0;
	}
#endif
	(void)h;
	(void)name;
	(void)hmac;
	return -ENOENT;
}

static int make_checksum(struct ndm_hash *h, const char *name)
{
	if (!strcmp(name, "crc32"))
		h->kind = HASH_CRC32;
	else if (!strcmp(name, "crc32c"))
		h->kind = HASH_CRC32C;
	else if (!strcmp(name, "xxhash64"))
		h->kind = HASH_XXH64;
	else
		return -ENOENT;
	h->bytes = h->kind == HASH_XXH64 ? 8 : 4;
	h->sum = ndm_checksum_new(h->kind == HASH_CRC32 ? NDM_SUM_CRC32 :
				  h->kind == HASH_CRC32C ? NDM_SUM_CRC32C : NDM_SUM_XXH64);
	return h->sum ? 0 : -ENOMEM;
}

static int make_own(struct ndm_hash *h, const char *name)
{
	int err = ndm_mac_new(name, &h->own, &h->bytes);

	h->kind = HASH_MAC;
	h->keyed = true;
	return err;
}

int ndm_hash_new(const char *name, struct ndm_hash **out)
{
	char inner[NDM_CIPHER_NAME_MAX];
	struct ndm_hash *h = ndm_secret_alloc(sizeof *h);
	int err;

	if (!h)
		return -ENOMEM;
	if (cipher_name_inside(name, "hmac", inner)) {
		err = make_hmac(h, inner);
		if (err == -ENOENT)
			err = make_gcrypt(h, inner, true);
		if (err == -ENOENT && (!strncmp(inner, "crc32", 5) || !strcmp(inner, "xxhash64")))
			err = -EINVAL;		/* they have keys of their own */
	} else {
		err = make_evp(h, name);
		if (err == -ENOENT)
			err = make_gcrypt(h, name, false);
		if (err == -ENOENT)
			err = make_checksum(h, name);
		if (err == -ENOENT)
			err = make_own(h, name);
		h->blake2 = !strncmp(name, "blake2b-", 8);
	}
	if (err) {
		ndm_hash_free(h);
		return err;
	}
	*out = h;
	return 0;
}

void ndm_hash_free(struct ndm_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MAC_CTX_free(h->mac);
	EVP_MD_free(h->md);
	ndm_mac_free(h->own);
#ifdef HAVE_LIBGCRYPT
	if (h->gcry)
		gcry_md_close(h->gcry);
#endif
	ndm_checksum_free(h->sum);
	ndm_secret_free(h->prefix, h->prefix_bytes);
	ndm_secret_free(h, sizeof *h);
}

unsigned ndm_hash_bytes(const struct ndm_hash *h)
{
	return h->bytes;
}

bool ndm_hash_keyed(const struct ndm_hash *h)
{
	return h->keyed;
}

/* ---- keys, prefixes ---- */

/* blake2b with a key is a MAC of its own: the object becomes that. */
static int blake2_setkey(struct ndm_hash *h, const void *key, size_t bytes)
{
	size_t size = h->bytes;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end() };
	EVP_MAC *mac;

	if (!bytes || bytes > 64)
		return -EINVAL;
	if (!h->mac) {
		mac = EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
		h->mac = mac ? EVP_MAC_CTX_new(mac) : NULL;
		EVP_MAC_free(mac);
	}
	if (!h->mac)
		return -ENOMEM;
	if (EVP_MAC_init(h->mac, key, bytes, params) != 1)
		return -EINVAL;
	h->kind = HASH_BLAKE2;
	h->keyed = h->key_set = true;
	return 0;
}

#ifdef HAVE_LIBGCRYPT
static void pads_set(struct ndm_hash *h, const uint8_t *key, size_t bytes)
{
	uint8_t digest[NDM_HASH_MAX];
	size_t i;

	if (bytes > sizeof h->pads[0]) {
		gcry_md_reset(h->gcry);
		gcry_md_write(h->gcry, key, bytes);
		memcpy(digest, gcry_md_read(h->gcry, h->gcry_algorithm), h->bytes);
		key = digest;
		bytes = h->bytes;
	}
	for (i = 0; i < sizeof h->pads[0]; i++) {
		h->pads[0][i] = (i < bytes ? key[i] : 0) ^ 0x36;
		h->pads[1][i] = (i < bytes ? key[i] : 0) ^ 0x5c;
	}
	ndm_secret_wipe(digest, sizeof digest);
}

static void gcrypt_end(struct ndm_hash *h, uint8_t *digest)
{
	memcpy(digest, gcry_md_read(h->gcry, h->gcry_algorithm), h->bytes);
	if (!h->short_hmac)
		return;
	gcry_md_reset(h->gcry);
	gcry_md_write(h->gcry, h->pads[1], sizeof h->pads[1]);
	gcry_md_write(h->gcry, digest, h->bytes);
	memcpy(digest, gcry_md_read(h->gcry, h->gcry_algorithm), h->bytes);
}
#endif

int ndm_hash_setkey(struct ndm_hash *h, const void *key, size_t bytes)
{
	OSSL_PARAM params[2];

	if (h->blake2)
		return blake2_setkey(h, key, bytes);
	switch (h->kind) {
	case HASH_HMAC:
		params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
							     (char *)EVP_MD_get0_name(h->md), 0);
		params[1] = OSSL_PARAM_construct_end();
		if (EVP_MAC_init(h->mac, bytes ? key : "", bytes, params) != 1)
			return -EINVAL;
		break;
	case HASH_GCRYPT:
#ifdef HAVE_LIBGCRYPT
		if (!h->keyed)
			return -ENOSYS;
		if (h->short_hmac)
			pads_set(h, key, bytes);
		else if (gcry_md_setkey(h->gcry, key, bytes))
			return -EINVAL;
#endif
		break;
	case HASH_CRC32:
	case HASH_CRC32C:
	case HASH_XXH64:			/* the kernel's seed: as many bytes as the digest */
		return ndm_checksum_setkey(h->sum, key, bytes);
	case HASH_MAC:
		if (ndm_mac_setkey(h->own, key, bytes))
			return -EINVAL;
		break;
	default:
		return -ENOSYS;
	}
	h->key_set = true;
	return 0;
}

int ndm_hash_prefix(struct ndm_hash *h, const void *salt, size_t bytes)
{
	uint8_t *copy = NULL;

	if (bytes) {
		copy = ndm_secret_alloc(bytes);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, salt, bytes);
	}
	ndm_secret_free(h->prefix, h->prefix_bytes);
	h->prefix = copy;
	h->prefix_bytes = bytes;
	return 0;
}

/* ---- hashing ---- */

int ndm_hash_begin(struct ndm_hash *h)
{
	if (h->keyed && !h->key_set)
		return -ENOKEY;
	switch (h->kind) {
	case HASH_EVP:
		if (EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1)
			return -EIO;
		break;
	case HASH_HMAC:
	case HASH_BLAKE2:
		if (EVP_MAC_init(h->mac, NULL, 0, NULL) != 1)	/* the key it has */
			return -EIO;
		break;
	case HASH_MAC:
		ndm_mac_begin(h->own);
		break;
	case HASH_GCRYPT:
#ifdef HAVE_LIBGCRYPT
		gcry_md_reset(h->gcry);
		if (h->short_hmac)
			gcry_md_write(h->gcry, h->pads[0], sizeof h->pads[0]);
#endif
		break;
	default:
		ndm_checksum_begin(h->sum);
		break;
	}
	return h->prefix_bytes ? ndm_hash_update(h, h->prefix, h->prefix_bytes) : 0;
}

int ndm_hash_update(struct ndm_hash *h, const void *data, size_t bytes)
{
	switch (h->kind) {
	case HASH_EVP:
		return EVP_DigestUpdate(h->ctx, data, bytes) == 1 ? 0 : -EIO;
	case HASH_MAC:
		return ndm_mac_update(h->own, data, bytes);
	case HASH_HMAC:
	case HASH_BLAKE2:
		return EVP_MAC_update(h->mac, data, bytes) == 1 ? 0 : -EIO;
	case HASH_GCRYPT:
#ifdef HAVE_LIBGCRYPT
		gcry_md_write(h->gcry, data, bytes);
#endif
		return 0;
	default:
		ndm_checksum_update(h->sum, data, bytes);
		return 0;
	}
}

int ndm_hash_end(struct ndm_hash *h, uint8_t *digest)
{
	size_t len = h->bytes;

	switch (h->kind) {
	case HASH_EVP:
		return EVP_DigestFinal_ex(h->ctx, digest, NULL) == 1 ? 0 : -EIO;
	case HASH_MAC:
		return ndm_mac_end(h->own, digest);
	case HASH_HMAC:
	case HASH_BLAKE2:
		return EVP_MAC_final(h->mac, digest, &len, h->bytes) == 1 ? 0 : -EIO;
	case HASH_GCRYPT:
#ifdef HAVE_LIBGCRYPT
		gcrypt_end(h, digest);
#endif
		return 0;
	default:
		ndm_checksum_end(h->sum, digest);
		return 0;
	}
}

int ndm_hash_one(struct ndm_hash *h, const void *data, size_t bytes, uint8_t *digest)
{
	int err = ndm_hash_begin(h);

	err = err ? err : ndm_hash_update(h, data, bytes);
	return err ? err : ndm_hash_end(h, digest);
}
