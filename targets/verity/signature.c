/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signature.c - root_hash_sig_key_desc: the root digest's text must be signed by somebody who is
 * trusted here.  The signature is a "user" key; whom to trust is what the world knows as
 * "certificates" of "verity" (lib/os/certificates.c).
 *
 * Reading either may block, so a worker does it, and the check.
 */
#include <errno.h>
#include <string.h>

#include "targets/verity/verity.h"

#define SIGNATURE_MAX (64u << 10)
#define CERTIFICATES_MAX (1u << 20)

struct signature {
	struct ndm_loop *loop;
	const char *key, *root;
	uint8_t *bytes, *pem;
	bool found;			/* the key was */
};

static int signature_run(void *arg)
{
	struct signature *s = arg;
	int n = ndm_key_read(s->loop, "user", s->key, s->bytes, SIGNATURE_MAX), trusted;

	if (n < 0)
		return n;
	s->found = true;
	if (n > (int)SIGNATURE_MAX)
		return -EBADMSG;
	trusted = ndm_key_read(s->loop, "certificates", "verity", s->pem, CERTIFICATES_MAX);
	if (trusted < 0)
		return trusted;
	return ndm_signature_check(s->pem, trusted, s->bytes, n, s->root, strlen(s->root));
}

int verity_signature_check(struct ndm_target *ti, const char *key, const char *root)
{
	struct signature s = { .loop = ti->loop, .key = key, .root = root };
	int err = -ENOMEM;

	s.bytes = ndm_zalloc(SIGNATURE_MAX);
	s.pem = ndm_zalloc(CERTIFICATES_MAX);
	if (s.bytes && s.pem)
		err = ndm_offload(ti->loop, signature_run, &s);
	ndm_free(s.bytes);
	ndm_free(s.pem);
	if (!err)
		return 0;
	if (!s.found)
		return ndm_error(ti, err, SIG "Invalid key specified: '%s'", key);
	if (err == -ENOKEY)
		return ndm_error(ti, err, "Root hash verification failed: there is no certificate to "
				 "trust");
	return ndm_error(ti, err, "Root hash verification failed");
}
