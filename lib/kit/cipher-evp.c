/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-evp.c - ciphers that OpenSSL has whole: AES, Camellia and triple DES in the modes ecb,
 * cbc, ctr, xts; ChaCha20.
 *
 * Two contexts, one for each direction, keyed once; a unit costs one change of the IV and one
 * call.  OpenSSL refuses XTS keys with equal halves (and knows no AES-192-XTS), the kernel does
 * not: for those the mode is composed from the block cipher instead (cipher-mode.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

struct evp_kind {
	const char *name;		/* the kernel's */
	const char *format;		/* OpenSSL's; %u: key bits */
	uint16_t key_bytes[3];		/* which there are; 0: no more */
	uint8_t bits_divisor;		/* of the key's bits, to get those of the name: 2 for xts */
	uint8_t block_bytes, iv_bytes;
	uint16_t mb_per_s;
};

static const struct evp_kind evp_kinds[] = {
	{ "xts(aes)", "AES-%u-XTS", { 32, 64 }, 2, 16, 16, 3000 },
	{ "cbc(aes)", "AES-%u-CBC", { 16, 24, 32 }, 1, 16, 16, 1000 },
	{ "ecb(aes)", "AES-%u-ECB", { 16, 24, 32 }, 1, 16, 0, 4000 },
	{ "ctr(aes)", "AES-%u-CTR", { 16, 24, 32 }, 1, 1, 16, 3000 },
	{ "cbc(camellia)", "CAMELLIA-%u-CBC", { 16, 24, 32 }, 1, 16, 16, 150 },
	{ "ecb(camellia)", "CAMELLIA-%u-ECB", { 16, 24, 32 }, 1, 16, 0, 150 },
	{ "ctr(camellia)", "CAMELLIA-%u-CTR", { 16, 24, 32 }, 1, 1, 16, 150 },
	{ "cbc(des3_ede)", "DES-EDE3-CBC", { 24 }, 1, 8, 8, 30 },
	{ "ecb(des3_ede)", "DES-EDE3-ECB", { 24 }, 1, 8, 0, 30 },
	{ "chacha20", "ChaCha20", { 32 }, 1, 1, 16, 2000 },
};

struct evp {
	struct ndm_cipher cipher;
	const struct evp_kind *kind;
	EVP_CIPHER_CTX *ctx[2];		/* decrypting, encrypting */
	struct ndm_cipher *composed;	/* xts only: in use instead, when OpenSSL will not */
};

static int evp_set_one(struct evp *e, bool encrypt, const EVP_CIPHER *algorithm, const uint8_t *key)
{
	static const uint8_t zero[NDM_CIPHER_IV_MAX];

	if (!e->ctx[encrypt])
		e->ctx[encrypt] = EVP_CIPHER_CTX_new();
	if (!e->ctx[encrypt])
		return -ENOMEM;
	if (EVP_CipherInit_ex2(e->ctx[encrypt], algorithm, key, zero, encrypt, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(e->ctx[encrypt], 0) != 1)
		return -EINVAL;
	return 0;
}

/* XTS under a key that OpenSSL does not take */
static int evp_compose(struct evp *e, const uint8_t *key, size_t bytes)
{
	int err;

	if (e->kind->bits_divisor != 2)
		return -EINVAL;
	if (bytes != 32 && bytes != 48 && bytes != 64)
		return -EINVAL;
	err = cipher_make_mode(e->kind->name, &e->composed);
	return err ? err : ndm_cipher_setkey(e->composed, key, bytes);
}

static int evp_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	struct evp *e = (struct evp *)c;
	EVP_CIPHER *algorithm;
	char name[32];
	unsigned i;
	int err;

	ndm_cipher_free(e->composed);
	e->composed = NULL;
	for (i = 0; i < 3 && e->kind->key_bytes[i] != bytes; i++)
		;
	if (i == 3 || !bytes)
		return evp_compose(e, key, bytes);
	snprintf(name, sizeof name, e->kind->format, (unsigned)(8 * bytes / e->kind->bits_divisor));
	algorithm = EVP_CIPHER_fetch(NULL, name, NULL);
	if (!algorithm)
		return -ENOENT;
	err = evp_set_one(e, false, algorithm, key);
	err = err ? err : evp_set_one(e, true, algorithm, key);
	EVP_CIPHER_free(algorithm);
	return err == -EINVAL ? evp_compose(e, key, bytes) : err;
}

static int evp_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
		     uint8_t *out, size_t bytes, unsigned n)
{
	struct evp *e = (struct evp *)c;
	EVP_CIPHER_CTX *ctx = e->ctx[encrypt];
	int len;

	if (e->composed)
		return ndm_cipher_crypt(e->composed, encrypt, ivs, in, out, bytes, n);
	if (!c->iv_bytes) {			/* ecb: units do not matter */
		bytes *= n;
		n = 1;
	}
	for (; n; n--, in += bytes, out += bytes, ivs += c->iv_bytes) {
		if (c->iv_bytes && EVP_CipherInit_ex2(ctx, NULL, NULL, ivs, -1, NULL) != 1)
			return -EIO;
		if (EVP_CipherUpdate(ctx, out, &len, in, bytes) != 1)
			return -EIO;
	}
	return 0;
}

static void evp_free(struct ndm_cipher *c)
{
	struct evp *e = (struct evp *)c;

	EVP_CIPHER_CTX_free(e->ctx[0]);		/* OpenSSL wipes what it frees here */
	EVP_CIPHER_CTX_free(e->ctx[1]);
	ndm_cipher_free(e->composed);
	ndm_free(e);
}

static const struct ndm_cipher_ops evp_ops = {
	.setkey = evp_setkey,
	.crypt = evp_crypt,
	.free = evp_free,
};

int cipher_make_evp(const char *name, struct ndm_cipher **out)
{
	const unsigned n = sizeof evp_kinds / sizeof *evp_kinds;
	struct evp *e;
	unsigned i;

	for (i = 0; i < n && strcmp(evp_kinds[i].name, name); i++)
		;
	if (i == n)
		return -ENOENT;
	e = ndm_zalloc(sizeof *e);
	if (!e)
		return -ENOMEM;
	e->kind = &evp_kinds[i];
	e->cipher = (struct ndm_cipher){ &evp_ops, e->kind->block_bytes, e->kind->iv_bytes,
					  e->kind->mb_per_s };
	*out = &e->cipher;
	return 0;
}
