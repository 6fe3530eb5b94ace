/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-aes.c - AES in the modes xts, cbc and ctr by libgcrypt, where the processor has AES
 * instructions: dm-crypt's sectors are short, and what counts then is the price of a new IV and a
 * new call.  At 512 bytes libgcrypt is twice as fast as OpenSSL's EVP interface (which compares
 * names of parameters for each IV), and where there is VAES it is so at 4096 bytes, too.
 *
 * Elsewhere libgcrypt would use tables, whose timing tells of the key: there, and for keys of
 * lengths that a kernel's user rarely gives, OpenSSL (cipher-evp.c) does it.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#ifdef HAVE_LIBGCRYPT
#include <gcrypt.h>

struct aes_kind {
	const char *name;
	int mode;
	uint8_t block_bytes;
	uint16_t mb_per_s;
};

static const struct aes_kind aes_kinds[] = {
	{ "xts(aes)", GCRY_CIPHER_MODE_XTS, 16, 5000 },
	{ "cbc(aes)", GCRY_CIPHER_MODE_CBC, 16, 1000 },
	{ "ctr(aes)", GCRY_CIPHER_MODE_CTR, 1, 5000 },
};

struct aes {
	struct ndm_cipher cipher;
	const struct aes_kind *kind;
	gcry_cipher_hd_t handle;
	struct ndm_cipher *other;	/* in use instead, for a key of another length */
};

static int aes_algorithm(const struct aes_kind *kind, size_t bytes)
{
	if (kind->mode == GCRY_CIPHER_MODE_XTS)
		bytes = bytes % 2 ? 0 : bytes / 2;
	switch (bytes) {
	case 16:
		return GCRY_CIPHER_AES128;
	case 32:
		return GCRY_CIPHER_AES256;
	case 24:				/* OpenSSL has it for the others */
		return kind->mode == GCRY_CIPHER_MODE_XTS ? 0 : GCRY_CIPHER_AES192;
	default:
		return 0;
	}
}

static int aes_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	struct aes *a = (struct aes *)c;
	int algorithm = aes_algorithm(a->kind, bytes), err;

	ndm_cipher_free(a->other);
	a->other = NULL;
	gcry_cipher_close(a->handle);		/* wipes it; NULL is fine */
	a->handle = NULL;
	if (algorithm && !gcry_cipher_open(&a->handle, algorithm, a->kind->mode, 0)) {
		if (!gcry_cipher_setkey(a->handle, key, bytes))
			return 0;
		gcry_cipher_close(a->handle);
		a->handle = NULL;
	}
	err = cipher_make_evp(a->kind->name, &a->other);
	return err ? err : ndm_cipher_setkey(a->other, key, bytes);
}

static int aes_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
		     uint8_t *out, size_t bytes, unsigned n)
{
	struct aes *a = (struct aes *)c;
	gcry_cipher_hd_t h = a->handle;
	gcry_error_t failed;

	if (a->other)
		return ndm_cipher_crypt(a->other, encrypt, ivs, in, out, bytes, n);
	if (!h)
		return -ENOKEY;
	for (; n; n--, in += bytes, out += bytes, ivs += c->iv_bytes) {
		failed = a->kind->mode == GCRY_CIPHER_MODE_CTR ?
			gcry_cipher_setctr(h, ivs, c->iv_bytes) :
			gcry_cipher_setiv(h, ivs, c->iv_bytes);
		if (!failed)
			failed = encrypt ? gcry_cipher_encrypt(h, out, bytes, in, bytes)
					 : gcry_cipher_decrypt(h, out, bytes, in, bytes);
		if (failed)
			return -EIO;
	}
	return 0;
}

static void aes_free(struct ndm_cipher *c)
{
	struct aes *a = (struct aes *)c;

	gcry_cipher_close(a->handle);
	ndm_cipher_free(a->other);
	ndm_free(a);
}

static const struct ndm_cipher_ops aes_ops = {
	.setkey = aes_setkey,
	.crypt = aes_crypt,
	.free = aes_free,
};

/* As libgcrypt found it: "intel-aesni", "arm-aes", "ppc-vcrypto", "s390x-msa-4". */
static bool hardware_has_aes(void)
{
	static const char *const words[] = { "intel-aesni:", "arm-aes:", "ppc-vcrypto:", "s390x-msa:" };
	char *list = gcry_get_config(0, "hwflist");
	bool found = false;
	unsigned i;

	for (i = 0; list && i < sizeof words / sizeof *words; i++)
		found |= strstr(list, words[i]) != NULL;
	gcry_free(list);
	return found;
}

int cipher_make_aes(const char *name, struct ndm_cipher **out)
{
	const unsigned n = sizeof aes_kinds / sizeof *aes_kinds;
	struct aes *a;
	unsigned i;

	for (i = 0; i < n && strcmp(aes_kinds[i].name, name); i++)
		;
	if (i == n)
		return -ENOENT;
	cipher_gcrypt_begin();
	if (!hardware_has_aes())
		return -ENOENT;
	a = ndm_zalloc(sizeof *a);
	if (!a)
		return -ENOMEM;
	a->kind = &aes_kinds[i];
	a->cipher = (struct ndm_cipher){ &aes_ops, a->kind->block_bytes, 16, a->kind->mb_per_s };
	*out = &a->cipher;
	return 0;
}

#else

int cipher_make_aes(const char *name, struct ndm_cipher **out)
{
	(void)name;
	(void)out;
	return -ENOENT;
}

#endif
