/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-gcrypt.c - block ciphers that OpenSSL does not have, or not by default: serpent,
 * twofish, blowfish, cast5; ecb, cbc and ctr.
 *
 * Key lengths are the kernel's.  Serpent takes any number of bytes up to 32: the cipher's own
 * definition pads a short key with one 1 bit and zeroes.  CAST5 keys of 88 bits and more are
 * padded with zeroes (RFC 2144).  Shorter ones have 12 rounds, which libgcrypt lacks, as it does
 * twofish with 24 bytes: those are cipher-block.c's.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#ifdef HAVE_LIBGCRYPT
#include <gcrypt.h>
#include <openssl/crypto.h>

struct gcry_kind {
	const char *name;
	int algorithm;
	uint8_t block_bytes;
};

static const struct gcry_kind gcry_kinds[] = {
	{ "serpent", GCRY_CIPHER_SERPENT256, 16 },
	{ "twofish", GCRY_CIPHER_TWOFISH, 16 },
	{ "blowfish", GCRY_CIPHER_BLOWFISH, 8 },
	{ "cast5", GCRY_CIPHER_CAST5, 8 },
};

static const struct { const char *name; int mode; } gcry_modes[] = {
	{ "ecb", GCRY_CIPHER_MODE_ECB },
	{ "cbc", GCRY_CIPHER_MODE_CBC },
	{ "ctr", GCRY_CIPHER_MODE_CTR },
};

static CRYPTO_ONCE gcrypt_once = CRYPTO_ONCE_STATIC_INIT;

static void gcrypt_init(void)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return;
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

/* Constructors run on several threads. */
void cipher_gcrypt_begin(void)
{
	CRYPTO_THREAD_run_once(&gcrypt_once, gcrypt_init);
}

struct gcry {
	struct ndm_cipher cipher;
	const struct gcry_kind *kind;
	int mode;
	char name[32];
	gcry_cipher_hd_t handle;
	struct ndm_cipher *other;	/* in use instead, for a key of a length that libgcrypt lacks */
};

/* Which algorithm this length means; `padded` (32 bytes, zeroed) gets the key as it wants it. */
static int gcrypt_key(const struct gcry_kind *kind, const uint8_t *key, size_t bytes,
		    uint8_t *padded, size_t *padded_bytes)
{
	int algorithm = kind->algorithm;

	*padded_bytes = bytes;
	switch (kind->algorithm) {
	case GCRY_CIPHER_SERPENT256:
		if (bytes > 32)
			return -EINVAL;
		if (bytes < 32)
			padded[bytes] = 1;
		*padded_bytes = 32;
		break;
	case GCRY_CIPHER_TWOFISH:
		if (bytes != 16 && bytes != 32)
			return -EINVAL;
		algorithm = bytes == 16 ? GCRY_CIPHER_TWOFISH128 : GCRY_CIPHER_TWOFISH;
		break;
	case GCRY_CIPHER_CAST5:
		if (bytes < 11 || bytes > 16)
			return -EINVAL;
		*padded_bytes = 16;
		break;
	case GCRY_CIPHER_BLOWFISH:
		if (bytes < 4 || bytes > 56)
			return -EINVAL;
		break;
	}
	memcpy(padded, key, bytes);
	return algorithm;
}

static int gcrypt_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	struct gcry *g = (struct gcry *)c;
	uint8_t padded[64] = { 0 };
	size_t padded_bytes;
	int algorithm = gcrypt_key(g->kind, key, bytes, padded, &padded_bytes), err = 0;
	gcry_error_t failed;

	ndm_cipher_free(g->other);
	g->other = NULL;
	if (algorithm < 0) {
		err = cipher_make_block(g->name, &g->other);
		return err ? -EINVAL : ndm_cipher_setkey(g->other, key, bytes);
	}
	if (g->handle)
		gcry_cipher_close(g->handle);
	g->handle = NULL;
	failed = gcry_cipher_open(&g->handle, algorithm, g->mode, 0);
	if (failed) {
		g->handle = NULL;
		err = -ENOENT;
	} else {
		failed = gcry_cipher_setkey(g->handle, padded, padded_bytes);
		if (failed && gcry_err_code(failed) != GPG_ERR_WEAK_KEY)
			err = -EINVAL;
	}
	ndm_secret_wipe(padded, sizeof padded);
	return err;
}

static int gcrypt_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
		      uint8_t *out, size_t bytes, unsigned n)
{
	struct gcry *g = (struct gcry *)c;
	gcry_error_t failed = 0;

	if (g->other)
		return ndm_cipher_crypt(g->other, encrypt, ivs, in, out, bytes, n);
	if (!g->handle)
		return -ENOKEY;
	if (!c->iv_bytes) {
		bytes *= n;
		n = 1;
	}
	for (; n; n--, in += bytes, out += bytes, ivs += c->iv_bytes) {
		if (g->mode == GCRY_CIPHER_MODE_CTR)
			failed = gcry_cipher_setctr(g->handle, ivs, c->iv_bytes);
		else if (c->iv_bytes)
			failed = gcry_cipher_setiv(g->handle, ivs, c->iv_bytes);
		if (!failed && in == out)
			failed = encrypt ? gcry_cipher_encrypt(g->handle, out, bytes, NULL, 0)
					 : gcry_cipher_decrypt(g->handle, out, bytes, NULL, 0);
		else if (!failed)
			failed = encrypt ? gcry_cipher_encrypt(g->handle, out, bytes, in, bytes)
					 : gcry_cipher_decrypt(g->handle, out, bytes, in, bytes);
		if (failed)
			return -EIO;
	}
	return 0;
}

static void gcrypt_free(struct ndm_cipher *c)
{
	struct gcry *g = (struct gcry *)c;

	if (g->handle)
		gcry_cipher_close(g->handle);
	ndm_cipher_free(g->other);
	ndm_free(g);
}

static const struct ndm_cipher_ops gcrypt_ops = {
	.setkey = gcrypt_setkey,
	.crypt = gcrypt_crypt,
	.free = gcrypt_free,
};

static const struct gcry_kind *gcrypt_find(const char *name, int *mode)
{
	char inside[NDM_CIPHER_NAME_MAX];
	unsigned i, j;

	for (i = 0; i < sizeof gcry_modes / sizeof *gcry_modes; i++) {
		if (!cipher_name_inside(name, gcry_modes[i].name, inside))
			continue;
		*mode = gcry_modes[i].mode;
		for (j = 0; j < sizeof gcry_kinds / sizeof *gcry_kinds; j++)
			if (!strcmp(gcry_kinds[j].name, inside))
				return &gcry_kinds[j];
	}
	return NULL;
}

int cipher_make_gcrypt(const char *name, struct ndm_cipher **out)
{
	int mode;
	const struct gcry_kind *kind = gcrypt_find(name, &mode);
	struct gcry *g;

	if (!kind)
		return -ENOENT;
	cipher_gcrypt_begin();
	g = ndm_zalloc(sizeof *g);
	if (!g)
		return -ENOMEM;
	g->kind = kind;
	g->mode = mode;
	snprintf(g->name, sizeof g->name, "%s", name);
	g->cipher.ops = &gcrypt_ops;
	g->cipher.block_bytes = mode == GCRY_CIPHER_MODE_CTR ? 1 : kind->block_bytes;
	g->cipher.iv_bytes = mode == GCRY_CIPHER_MODE_ECB ? 0 : kind->block_bytes;
	g->cipher.mb_per_s = 100;
	*out = &g->cipher;
	return 0;
}

#else

int cipher_make_gcrypt(const char *name, struct ndm_cipher **out)
{
	(void)name;
	(void)out;
	return -ENOENT;
}

#endif
