/* SPDX-License-Identifier: BSD-2-Clause */
/* crypt-inside.h - what crypt.c and crypt-run.c share, and nobody else sees. */
#ifndef NDM_KIT_CRYPT_INSIDE_H
#define NDM_KIT_CRYPT_INSIDE_H

#include "lib/kit/cipher.h"
#include "lib/kit/crypt.h"
#include "lib/kit/ivgen.h"

struct crypt_lane {
	struct ndm_cipher **ciphers;	/* one for each key */
	struct ndm_aead *aead;		/* or this */
	struct ndm_cipher *elephant;	/* ecb(aes) under the sector key */
};

struct ndm_crypt {
	struct ndm_crypt_spec spec;
	bool essiv_authenc;			/* named so: takes no key of ours */
	unsigned keys, key_parts;
	size_t key_extra;		/* bytes at the end of the key that the IV mode has */
	size_t mac_bytes;		/* of the key of authenc(); else 0 */
	unsigned shift;			/* log2 of 512-byte units in a sector */
	unsigned iv_stored;		/* bytes of the metadata that hold an IV */
	unsigned tag_bytes;		/* of authentication */
	unsigned tuple_bytes;		/* metadata of a sector as the device below has it */
	bool keyed;
	struct ivgen iv;
	uint8_t extra[ELEPHANT_KEY_MAX];
	struct crypt_lane *lane;
};

#endif
