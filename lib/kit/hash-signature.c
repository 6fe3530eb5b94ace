/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash-signature.c - PKCS#7 signatures beside what they sign, against certificates that are
 * trusted as they are (PEM, one after the other).
 */
#include <errno.h>
#include <limits.h>

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/kit/hash.h"

/* How many certificates there were. */
static int store_fill(X509_STORE *store, const void *pem, size_t bytes)
{
	BIO *bio = BIO_new_mem_buf(pem, bytes);
	X509 *certificate;
	int n = 0;

	while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, certificate) == 1;
		X509_free(certificate);
	}
	BIO_free(bio);
	return n;
}

/* The signer's certificate may be left out of the signature: it is one of those trusted. */
static STACK_OF(X509) *trusted(X509_STORE *store)
{
	return X509_STORE_get1_all_certs(store);
}

static int signature_check(X509_STORE *store, const void *signature, size_t bytes,
			   const void *text, size_t text_bytes)
{
	const unsigned char *at = signature;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, bytes);
	BIO *content = BIO_new_mem_buf(text, text_bytes);
	STACK_OF(X509) *certificates = trusted(store);
	int err = -EBADMSG;

	if (cms && content && certificates)
		err = CMS_verify(cms, certificates, store, content, NULL,
				 CMS_DETACHED | CMS_BINARY) == 1 ? 0 : -EKEYREJECTED;
	sk_X509_pop_free(certificates, X509_free);
	BIO_free(content);
	CMS_ContentInfo_free(cms);
	return err;
}

int ndm_signature_check(const void *pem, size_t pem_bytes, const void *signature, size_t bytes,
			const void *text, size_t text_bytes)
{
	X509_STORE *store;
	int err;

	if (pem_bytes > INT_MAX || bytes > INT_MAX || text_bytes > INT_MAX)
		return -EINVAL;
	store = X509_STORE_new();
	if (!store)
		return -ENOMEM;
	/* the kernel asks for no particular purpose and trusts what is in its keyring as it is */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
	err = store_fill(store, pem, pem_bytes) ?
	      signature_check(store, signature, bytes, text, text_bytes) : -ENOKEY;
	X509_STORE_free(store);
	return err;
}
