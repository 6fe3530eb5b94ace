/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-secret.c - memory for keys: OpenSSL's secure heap, which is locked, has guard pages and
 * is left out of core dumps.  When it is full, or cannot be had, ordinary memory that is wiped.
 */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define SECRET_HEAP_BYTES (1u << 18)
#define SECRET_SMALLEST 64		/* bytes */

static CRYPTO_ONCE secret_once = CRYPTO_ONCE_STATIC_INIT;

static void secret_init(void)
{
	/* without the right to lock so much it still comes, unlocked */
	if (!CRYPTO_secure_malloc_initialized())
		CRYPTO_secure_malloc_init(SECRET_HEAP_BYTES, SECRET_SMALLEST);
}

void *ndm_secret_alloc(size_t bytes)
{
	void *p = NULL;

	CRYPTO_THREAD_run_once(&secret_once, secret_init);
	if (CRYPTO_secure_malloc_initialized())
		p = OPENSSL_secure_zalloc(bytes ? bytes : 1);
	return p ? p : ndm_zalloc(bytes ? bytes : 1);
}

void ndm_secret_free(void *p, size_t bytes)
{
	if (!p)
		return;
	if (CRYPTO_secure_allocated(p)) {
		OPENSSL_secure_clear_free(p, bytes);
		return;
	}
	OPENSSL_cleanse(p, bytes);
	ndm_free(p);
}

void ndm_secret_wipe(void *p, size_t bytes)
{
	OPENSSL_cleanse(p, bytes);
}

bool ndm_secret_equal(const void *a, const void *b, size_t bytes)
{
	return CRYPTO_memcmp(a, b, bytes) == 0;
}

int ndm_secret_random(void *p, size_t bytes)
{
	return RAND_priv_bytes(p, bytes) == 1 ? 0 : -5 /* EIO: the system's entropy failed */;
}
