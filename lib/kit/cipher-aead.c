/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-aead.c - encryption with authentication by OpenSSL: "gcm(aes)",
 * "rfc7539(chacha20,poly1305)"; and "authenc(MAC,CIPHER)", which encrypts and then takes the MAC
 * of the associated data and the ciphertext.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

/* ---- OpenSSL's ---- */

struct aead_evp {
	struct ndm_aead aead;
	bool gcm;
	EVP_CIPHER_CTX *ctx[2];
};

static int aead_evp_setkey(struct ndm_aead *a, const uint8_t *key, size_t bytes, size_t mac_bytes)
{
	struct aead_evp *e = (struct aead_evp *)a;
	char name[32] = "ChaCha20-Poly1305";
	EVP_CIPHER *algorithm;
	int i, err = 0;

	if (mac_bytes || (e->gcm ? bytes != 16 && bytes != 24 && bytes != 32 : bytes != 32))
		return -EINVAL;
	if (e->gcm)
		snprintf(name, sizeof name, "AES-%u-GCM", (unsigned)(8 * bytes));
	algorithm = EVP_CIPHER_fetch(NULL, name, NULL);
	if (!algorithm)
		return -ENOENT;
	for (i = 0; i < 2 && !err; i++) {
		if (!e->ctx[i])
			e->ctx[i] = EVP_CIPHER_CTX_new();
		if (!e->ctx[i])
			err = -ENOMEM;
		else if (EVP_CipherInit_ex2(e->ctx[i], algorithm, key, NULL, i, NULL) != 1)
			err = -EINVAL;
	}
	EVP_CIPHER_free(algorithm);
	return err;
}

static int aead_evp_crypt(struct ndm_aead *a, bool encrypt, uint8_t *iv, const uint8_t *aad,
			  size_t aad_bytes, const uint8_t *in, uint8_t *out, size_t bytes,
			  uint8_t *tag)
{
	struct aead_evp *e = (struct aead_evp *)a;
	EVP_CIPHER_CTX *ctx = e->ctx[encrypt];
	int len;

	if (!ctx || EVP_CipherInit_ex2(ctx, NULL, NULL, iv, -1, NULL) != 1)
		return -EIO;
	if (!encrypt && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, a->tag_bytes, tag) != 1)
		return -EIO;
	if (EVP_CipherUpdate(ctx, NULL, &len, aad, aad_bytes) != 1 ||
	    EVP_CipherUpdate(ctx, out, &len, in, bytes) != 1)
		return -EIO;
	if (EVP_CipherFinal_ex(ctx, out + len, &len) != 1)
		return encrypt ? -EIO : -EBADMSG;
	if (encrypt && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, a->tag_bytes, tag) != 1)
		return -EIO;
	return 0;
}

static void aead_evp_free(struct ndm_aead *a)
{
	struct aead_evp *e = (struct aead_evp *)a;

	EVP_CIPHER_CTX_free(e->ctx[0]);
	EVP_CIPHER_CTX_free(e->ctx[1]);
	ndm_free(e);
}

static const struct ndm_aead_ops aead_evp_ops = {
	.setkey = aead_evp_setkey,
	.crypt = aead_evp_crypt,
	.free = aead_evp_free,
};

int aead_make_evp(const char *name, struct ndm_aead **out)
{
	bool gcm = !strcmp(name, "gcm(aes)");
	struct aead_evp *e;

	if (!gcm && strcmp(name, "rfc7539(chacha20,poly1305)"))
		return strncmp(name, "rfc7539(", 8) ? -ENOENT : -EINVAL;
	e = ndm_zalloc(sizeof *e);
	if (!e)
		return -ENOMEM;
	e->gcm = gcm;
	e->aead = (struct ndm_aead){ .ops = &aead_evp_ops, .block_bytes = 1, .iv_bytes = 12,
				     .tag_min = gcm ? 4 : 16, .tag_max = 16, .tag_bytes = 16,
				     .tag_sizes = gcm ? TAGS_GCM : 0,
				     .mb_per_s = 1500 };
	*out = &e->aead;
	return 0;
}

/* ---- authenc ---- */

struct authenc {
	struct ndm_aead aead;
	struct ndm_cipher *cipher;
	struct ndm_hash *mac;
};

static int authenc_setkey(struct ndm_aead *a, const uint8_t *key, size_t bytes, size_t mac_bytes)
{
	struct authenc *c = (struct authenc *)a;
	int err;

	if (mac_bytes > bytes)
		return -EINVAL;
	err = ndm_hash_setkey(c->mac, key + bytes - mac_bytes, mac_bytes);
	return err ? err : ndm_cipher_setkey(c->cipher, key, bytes - mac_bytes);
}

static int authenc_mac(struct authenc *c, const uint8_t *aad, size_t aad_bytes,
		       const uint8_t *data, size_t bytes, uint8_t digest[NDM_HASH_MAX])
{
	int err = ndm_hash_begin(c->mac);

	err = err ? err : ndm_hash_update(c->mac, aad, aad_bytes);
	err = err ? err : ndm_hash_update(c->mac, data, bytes);
	return err ? err : ndm_hash_end(c->mac, digest);
}

static int authenc_crypt(struct ndm_aead *a, bool encrypt, uint8_t *iv, const uint8_t *aad,
			 size_t aad_bytes, const uint8_t *in, uint8_t *out, size_t bytes,
			 uint8_t *tag)
{
	struct authenc *c = (struct authenc *)a;
	uint8_t digest[NDM_HASH_MAX];
	int err;

	if (!encrypt) {
		err = authenc_mac(c, aad, aad_bytes, in, bytes, digest);
		if (err)
			return err;
		if (!ndm_secret_equal(digest, tag, a->tag_bytes))
			return -EBADMSG;
		return ndm_cipher_crypt(c->cipher, false, iv, in, out, bytes, 1);
	}
	err = ndm_cipher_crypt(c->cipher, true, iv, in, out, bytes, 1);
	err = err ? err : authenc_mac(c, aad, aad_bytes, out, bytes, digest);
	if (!err)
		memcpy(tag, digest, a->tag_bytes);
	return err;
}

static void authenc_free(struct ndm_aead *a)
{
	struct authenc *c = (struct authenc *)a;

	ndm_cipher_free(c->cipher);
	ndm_hash_free(c->mac);
	ndm_free(c);
}

static const struct ndm_aead_ops authenc_ops = {
	.setkey = authenc_setkey,
	.crypt = authenc_crypt,
	.free = authenc_free,
};

int aead_make_authenc(const char *name, struct ndm_aead **out)
{
	char inside[NDM_CIPHER_NAME_MAX], *comma;
	struct ndm_aead *within;
	struct authenc *c;
	int err;

	if (!cipher_name_inside(name, "authenc", inside))
		return -ENOENT;
	comma = strchr(inside, ',');
	if (!comma)
		return -EINVAL;
	*comma = 0;
	c = ndm_zalloc(sizeof *c);
	if (!c)
		return -ENOMEM;
	err = ndm_hash_new(inside, &c->mac);
	err = err ? err : ndm_cipher_new(comma + 1, &c->cipher);
	if (err == -ENOENT && !ndm_aead_new(comma + 1, &within)) {
		ndm_aead_free(within);		/* it is there, but is no cipher for this */
		err = -EINVAL;
	}
	if (err) {
		authenc_free(&c->aead);
		return err;
	}
	c->aead = (struct ndm_aead){ .ops = &authenc_ops, .block_bytes = c->cipher->block_bytes,
				     .iv_bytes = c->cipher->iv_bytes, .tag_min = 1,
				     .tag_max = ndm_hash_bytes(c->mac),
				     .tag_bytes = ndm_hash_bytes(c->mac),
				     .mac_key_bytes = ndm_hash_bytes(c->mac), .mb_per_s = 500 };
	*out = &c->aead;
	return 0;
}
