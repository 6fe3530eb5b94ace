/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signature.c - root_hash_sig_key_desc: the root digest's text must be signed by a key that is
 * trusted here.  The signature is a "user" key; whom to trust is what the world knows as
 * "certificates" for "verity" (ndmd: the folders verity.d).
 */
#include <errno.h>
#include <string.h>

#include "targets/verity/verity.h"

#define CERTIFICATES_MAX (1u << 20)

int verity_signature_check(struct ndm_target *ti, const char *root, const void *signature,
			   size_t bytes)
{
	char *pem = ndm_zalloc(CERTIFICATES_MAX);
	int n, err;

	if (!pem)
		return ndm_error(ti, -ENOMEM, "Root hash verification failed");
	n = ndm_key_read(ti->loop, "certificates", "verity", pem, CERTIFICATES_MAX);
	err = n < 0 ? n : n > (int)CERTIFICATES_MAX ? -E2BIG :
	      ndm_signature_check(pem, n, signature, bytes, root, strlen(root));
	ndm_free(pem);
	if (err == -ENOKEY)
		return ndm_error(ti, err, "Root hash verification failed: there is no certificate to "
				 "trust");
	return err ? ndm_error(ti, err, "Root hash verification failed") : 0;
}
