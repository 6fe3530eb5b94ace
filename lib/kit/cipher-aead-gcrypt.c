/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-aead-gcrypt.c - gcm and ccm of block ciphers by libgcrypt: gcm of what OpenSSL has it not for,
 * ccm of all.
 *
 * The kernel's IV of ccm is SP 800-38C's first counter block: a byte that says how many bytes the length has,
 * less one, from 1 to 7, the nonce, and room for the length.  dm-crypt's IVs are not made for that: where
 * the byte is another, the sector cannot be encrypted (-EIO), there as here.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#ifdef HAVE_LIBGCRYPT
#include <gcrypt.h>

struct aead_gcrypt {
	struct ndm_aead aead;
	bool ccm;
	const struct gcrypt_block *block;
	gcry_cipher_hd_t handle;
};

static const struct gcrypt_block { const char *name; int algorithm[3]; } blocks[] = {	/* of 16, 24, 32 bytes */
	{ "aes", { GCRY_CIPHER_AES128, GCRY_CIPHER_AES192, GCRY_CIPHER_AES256 } },
	{ "camellia", { GCRY_CIPHER_CAMELLIA128, GCRY_CIPHER_CAMELLIA192, GCRY_CIPHER_CAMELLIA256 } },
	{ "serpent", { GCRY_CIPHER_SERPENT128, GCRY_CIPHER_SERPENT192, GCRY_CIPHER_SERPENT256 } },
	{ "twofish", { GCRY_CIPHER_TWOFISH128, 0, GCRY_CIPHER_TWOFISH } },
};

static int aead_gcrypt_setkey(struct ndm_aead *a, const uint8_t *key, size_t bytes, size_t mac_bytes)
{
	struct aead_gcrypt *g = (struct aead_gcrypt *)a;
	int mode = g->ccm ? GCRY_CIPHER_MODE_CCM : GCRY_CIPHER_MODE_GCM;

	if (mac_bytes || (bytes != 16 && bytes != 24 && bytes != 32) || !g->block->algorithm[bytes / 8 - 2])
		return -EINVAL;
	if (g->handle)
		gcry_cipher_close(g->handle);
	g->handle = NULL;
	if (gcry_cipher_open(&g->handle, g->block->algorithm[bytes / 8 - 2], mode, 0)) {
		g->handle = NULL;
		return -ENOENT;
	}
	return gcry_cipher_setkey(g->handle, key, bytes) ? -EINVAL : 0;
}

/* Nonce and lengths */
static int unit_begin(struct aead_gcrypt *g, const uint8_t *iv, size_t aad_bytes, size_t bytes)
{
	uint64_t lengths[3] = { bytes, aad_bytes, g->aead.tag_bytes };

	if (!g->handle)
		return -ENOKEY;
	if (gcry_cipher_reset(g->handle))
		return -EIO;
	if (!g->ccm)
		return gcry_cipher_setiv(g->handle, iv, 12) ? -EIO : 0;
	if (iv[0] < 1 || iv[0] > 7 || gcry_cipher_setiv(g->handle, iv + 1, 14 - iv[0]) ||
	    gcry_cipher_ctl(g->handle, GCRYCTL_SET_CCM_LENGTHS, lengths, sizeof lengths))
		return -EIO;
	return 0;
}

static int aead_gcrypt_crypt(struct ndm_aead *a, bool encrypt, uint8_t *iv, const uint8_t *aad, size_t aad_bytes,
			     const uint8_t *in, uint8_t *out, size_t bytes, uint8_t *tag)
{
	struct aead_gcrypt *g = (struct aead_gcrypt *)a;
	const uint8_t *from = in == out ? NULL : in;
	int err = unit_begin(g, iv, aad_bytes, bytes);

	if (err)
		return err;
	if (gcry_cipher_authenticate(g->handle, aad, aad_bytes))
		return -EIO;
	if (encrypt) {
		if (gcry_cipher_encrypt(g->handle, out, bytes, from, from ? bytes : 0) ||
		    gcry_cipher_gettag(g->handle, tag, a->tag_bytes))
			return -EIO;
		return 0;
	}
	if (gcry_cipher_decrypt(g->handle, out, bytes, from, from ? bytes : 0))
		return -EIO;
	return gcry_cipher_checktag(g->handle, tag, a->tag_bytes) ? -EBADMSG : 0;
}

static void aead_gcrypt_free(struct ndm_aead *a)
{
	struct aead_gcrypt *g = (struct aead_gcrypt *)a;

	if (g->handle)
		gcry_cipher_close(g->handle);
	ndm_free(g);
}

static const struct ndm_aead_ops aead_gcrypt_ops = {
	.setkey = aead_gcrypt_setkey,
	.crypt = aead_gcrypt_crypt,
	.free = aead_gcrypt_free,
};

int aead_make_gcrypt(const char *name, struct ndm_aead **out)
{
	char inside[NDM_CIPHER_NAME_MAX];
	bool ccm = cipher_name_inside(name, "ccm", inside);
	struct aead_gcrypt *g;
	unsigned i;

	if (!ccm && !cipher_name_inside(name, "gcm", inside))
		return -ENOENT;
	for (i = 0; i < sizeof blocks / sizeof *blocks && strcmp(blocks[i].name, inside); i++)
		;
	if (i == sizeof blocks / sizeof *blocks)
		return strcmp(inside, "blowfish") && strcmp(inside, "des3_ede") && strcmp(inside, "cast5") ? -ENOENT : -EINVAL;
	cipher_gcrypt_begin();
	g = ndm_zalloc(sizeof *g);
	if (!g)
		return -ENOMEM;
	g->ccm = ccm;
	g->block = &blocks[i];
	g->aead = (struct ndm_aead){ .ops = &aead_gcrypt_ops, .block_bytes = 1, .iv_bytes = ccm ? 16 : 12, .tag_min = 4,
				     .tag_max = 16, .tag_bytes = 16, .tag_sizes = ccm ? TAGS_CCM : TAGS_GCM, .mb_per_s = 100 };
	*out = &g->aead;
	return 0;
}

#else

int aead_make_gcrypt(const char *name, struct ndm_aead **out)
{
	(void)name;
	(void)out;
	return -ENOENT;
}

#endif
