/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash-kdf.c - keys from passphrases: PBKDF2 (OpenSSL, libgcrypt for the rare hashes) and
 * argon2 (libargon2).  They take long, and argon2 much memory: callers limit the costs first,
 * and call from a thread of their own or a worker, never on a loop.
 */
#include <config.h>

#include <errno.h>

#ifdef HAVE_LIBARGON2
#include <argon2.h>
#endif
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#ifdef HAVE_LIBGCRYPT
#include <gcrypt.h>
#endif

#include <ndm-target.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

static int pbkdf2_gcrypt(const char *hash, const void *pass, size_t pass_bytes, const void *salt,
			 size_t salt_bytes, uint32_t iterations, uint8_t *out, size_t out_bytes)
{
#ifdef HAVE_LIBGCRYPT
	int algorithm;

	cipher_gcrypt_begin();
	algorithm = gcry_md_map_name(hash);
	if (!algorithm)
		return -ENOENT;
	/* libgcrypt refuses an empty passphrase here */
	return gcry_kdf_derive(pass, pass_bytes, GCRY_KDF_PBKDF2, algorithm, salt, salt_bytes,
			       iterations, out_bytes, out) ? -EINVAL : 0;
#else
	(void)hash;
	return -ENOENT;
#endif
}

int ndm_pbkdf2(const char *hash, const void *pass, size_t pass_bytes, const void *salt,
	       size_t salt_bytes, uint32_t iterations, uint8_t *out, size_t out_bytes)
{
	const char *digest = hash_evp_name(hash);
	EVP_KDF *kdf;
	EVP_KDF_CTX *ctx;
	OSSL_PARAM params[6];
	int relaxed = 1, err = -EINVAL;

	if (!iterations || !out_bytes)
		return -EINVAL;
	if (!digest)
		return pbkdf2_gcrypt(hash, pass, pass_bytes, salt, salt_bytes, iterations, out,
				     out_bytes);
	kdf = EVP_KDF_fetch(NULL, "PBKDF2", NULL);
	ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	EVP_KDF_free(kdf);
	if (!ctx)
		return -ENOMEM;
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD,
						      pass_bytes ? (void *)pass : (void *)"", pass_bytes);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_bytes);
	params[2] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER, &iterations);
	params[3] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0);
	params[4] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &relaxed);
	params[5] = OSSL_PARAM_construct_end();
	if (EVP_KDF_derive(ctx, out, out_bytes, params) == 1)
		err = 0;
	EVP_KDF_CTX_free(ctx);
	return err;
}

int ndm_argon2(bool id, const void *pass, size_t pass_bytes, const void *salt, size_t salt_bytes,
	       uint32_t time, uint32_t memory_kib, uint32_t lanes, uint8_t *out, size_t out_bytes)
{
#ifdef HAVE_LIBARGON2
	argon2_context ctx = {
		.out = out, .outlen = out_bytes,
		.pwd = (uint8_t *)pass, .pwdlen = pass_bytes,
		.salt = (uint8_t *)salt, .saltlen = salt_bytes,
		.t_cost = time, .m_cost = memory_kib,
		.lanes = lanes, .threads = lanes,
		.version = ARGON2_VERSION_13,
	};

	switch (argon2_ctx(&ctx, id ? Argon2_id : Argon2_i)) {
	case ARGON2_OK:
		return 0;
	case ARGON2_MEMORY_ALLOCATION_ERROR:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
#else
	return -EOPNOTSUPP;
#endif
}
