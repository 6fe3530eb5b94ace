/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * af.c - the anti-forensic splitter, which blows a key up so that losing any part of it loses it
 * all, and the encryption of a keyslot's area: 512-byte sectors, counted from its start.
 */
#include <string.h>

#include "lib/kit/crypt.h"
#include "lib/luks/luks.h"

size_t luks_area_bytes(size_t key_bytes, uint32_t stripes)
{
	return (key_bytes * stripes + 511) / 512 * 512;
}

bool luks_cipher_null(const char *cipher)
{
	return !strncmp(cipher, "cipher_null-", strlen("cipher_null-"));
}

int luks_area_crypt(struct ndm_luks *l, const char *cipher, const uint8_t *key, size_t key_bytes,
		    bool encrypt, uint8_t *area, size_t bytes)
{
	struct ndm_crypt_spec spec = { .cipher = cipher, .key_bytes = key_bytes,
				       .sector_bytes = 512, .lanes = 1 };
	struct ndm_crypt_run run = { .encrypt = encrypt, .in = area, .out = area, .bytes = bytes };
	struct ndm_crypt *c = NULL;
	const char *why = "the key does not fit it";
	int err;

	if (luks_cipher_null(cipher))
		return 0;
	err = ndm_crypt_new(&spec, &c, &why);

	err = err ? err : ndm_crypt_set_key(c, key);
	err = err ? err : ndm_crypt_init_iv(c, &why);
	if (!err && ndm_crypt_tagged(c)) {
		err = -EINVAL;
		why = "it needs metadata";
	}
	if (err)
		luks_fail(l, err, "cipher %s of the keyslot area cannot be used: %s", cipher, why);
	else
		err = ndm_crypt_run(c, 0, &run);
	ndm_crypt_free(c);
	return err;
}

/* Piece j of the block becomes HASH(big-endian j || piece j); a short last piece stays as short. */
static int diffuse(struct ndm_hash *h, uint8_t *block, size_t bytes)
{
	uint8_t number[4], digest[NDM_HASH_MAX];
	uint32_t j;
	int err = 0;

	for (j = 0; bytes && !err; j++) {
		size_t now = bytes < ndm_hash_bytes(h) ? bytes : ndm_hash_bytes(h);

		be32_put(number, j);
		err = ndm_hash_begin(h);
		err = err ? err : ndm_hash_update(h, number, sizeof number);
		err = err ? err : ndm_hash_update(h, block, now);
		err = err ? err : ndm_hash_end(h, digest);
		memcpy(block, digest, now);
		block += now;
		bytes -= now;
	}
	ndm_secret_wipe(digest, sizeof digest);
	return err;
}

static void xor_into(uint8_t *to, const uint8_t *from, size_t bytes)
{
	while (bytes--)
		*to++ ^= *from++;
}

/* All stripes but the last, folded. */
static int af_fold(const char *hash, const uint8_t *area, size_t key_bytes, uint32_t stripes,
		   uint8_t *block)
{
	struct ndm_hash *h;
	uint32_t i;
	int err = ndm_hash_new(hash, &h);

	if (err)
		return err;
	memset(block, 0, key_bytes);
	for (i = 0; i + 1 < stripes && !err; i++) {
		xor_into(block, area + (size_t)i * key_bytes, key_bytes);
		err = diffuse(h, block, key_bytes);
	}
	ndm_hash_free(h);
	return err;
}

int luks_af_merge(const char *hash, const uint8_t *area, size_t key_bytes, uint32_t stripes,
		  uint8_t *key)
{
	int err = af_fold(hash, area, key_bytes, stripes, key);

	xor_into(key, area + (size_t)(stripes - 1) * key_bytes, key_bytes);
	return err;
}

int luks_af_split(const char *hash, const uint8_t *key, size_t key_bytes, uint32_t stripes,
		  uint8_t *out)
{
	uint8_t *last = out + (size_t)(stripes - 1) * key_bytes;
	int err = ndm_secret_random(out, (size_t)(stripes - 1) * key_bytes);

	err = err ? err : af_fold(hash, out, key_bytes, stripes, last);
	xor_into(last, key, key_bytes);
	return err;
}
