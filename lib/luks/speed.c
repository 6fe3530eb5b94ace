/* SPDX-License-Identifier: BSD-2-Clause */
/* speed.c - a cipher over some memory, for those who measure it. */
#include <string.h>

#include "lib/kit/crypt.h"
#include "lib/luks/luks.h"

int ndm_luks_cipher_try(const char *cipher, size_t key_bytes, bool encrypt, void *buf, size_t bytes)
{
	struct ndm_crypt_spec spec = { .cipher = cipher, .key_bytes = key_bytes, .sector_bytes = 4096, .lanes = 1 };
	struct ndm_crypt_run run = { .encrypt = encrypt, .in = buf, .out = buf, .bytes = bytes };
	uint8_t key[NDM_LUKS_KEY_MAX];
	struct ndm_crypt *c = NULL;
	const char *why;
	size_t i;
	int err;

	if (key_bytes > sizeof key)
		return -EINVAL;
	for (i = 0; i < key_bytes; i++)		/* xts wants two halves that differ */
		key[i] = i * 7;
	err = ndm_crypt_new(&spec, &c, &why);
	err = err ? err : ndm_crypt_set_key(c, key);
	err = err ? err : ndm_crypt_init_iv(c, &why);
	err = err ? err : ndm_crypt_run(c, 0, &run);
	ndm_crypt_free(c);
	return err;
}
