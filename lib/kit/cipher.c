/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher.c - who makes which cipher, and essiv(), the wrapper that encrypts the IV.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

bool cipher_name_inside(const char *name, const char *outer, char *inner)
{
	size_t n = strlen(name), skip = strlen(outer);

	if (n < skip + 3 || n >= NDM_CIPHER_NAME_MAX || strncmp(name, outer, skip) ||
	    name[skip] != '(' || name[n - 1] != ')')
		return false;
	memcpy(inner, name + skip + 1, n - skip - 2);
	inner[n - skip - 2] = 0;
	return true;
}

static int cipher_make(const char *name, struct ndm_cipher **out)
{
	static int (*const makers[])(const char *, struct ndm_cipher **) = {
		cipher_make_aes, cipher_make_evp, cipher_make_gcrypt, cipher_make_mode, cipher_make_block,
		cipher_make_essiv, cipher_make_chacha, cipher_make_adiantum, cipher_make_counter,
		cipher_make_wrap,
	};
	unsigned i;
	int err = -ENOENT;

	for (i = 0; i < sizeof makers / sizeof *makers && err == -ENOENT; i++)
		err = makers[i](name, out);
	return err;
}

static int aead_make(const char *name, struct ndm_aead **out)
{
	static int (*const makers[])(const char *, struct ndm_aead **) = {
		aead_make_evp, aead_make_authenc, aead_make_essiv, aead_make_aegis, aead_make_gcrypt, aead_make_esp,
	};
	unsigned i;
	int err = -ENOENT;

	for (i = 0; i < sizeof makers / sizeof *makers && err == -ENOENT; i++)
		err = makers[i](name, out);
	return err;
}

/* -EINVAL: it is there, but authenticates, or is a MAC */
int ndm_cipher_new(const char *name, struct ndm_cipher **out)
{
	struct ndm_aead *aead;
	struct ndm_hash *mac;
	int err = cipher_make(name, out);

	if (err == -ENOENT && !aead_make(name, &aead)) {
		ndm_aead_free(aead);
		err = -EINVAL;
	}
	if (err == -ENOENT && !strncmp(name, "hmac(", 5) && !ndm_hash_new(name, &mac)) {
		ndm_hash_free(mac);
		err = -EINVAL;
	}
	return err;
}

void ndm_cipher_free(struct ndm_cipher *c)
{
	if (c)
		c->ops->free(c);
}

int ndm_cipher_encrypt_iv(struct ndm_cipher *c, uint8_t *iv)
{
	static const uint8_t zero[NDM_CIPHER_IV_MAX];
	uint8_t out[NDM_CIPHER_IV_MAX];
	int err = ndm_cipher_crypt(c, true, iv, zero, out, c->iv_bytes, 1);

	if (!err)
		memcpy(iv, out, c->iv_bytes);
	return err;
}

/* ---- essiv ---- */

struct essiv {
	struct ndm_cipher cipher;
	struct ndm_cipher *inner, *salted;	/* salted: ecb of the block cipher, under the hash */
	struct ndm_hash *hash;
};

static int essiv_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	struct essiv *e = (struct essiv *)c;
	uint8_t salt[NDM_HASH_MAX];
	int err = ndm_cipher_setkey(e->inner, key, bytes);

	err = err ? err : ndm_hash_one(e->hash, key, bytes, salt);
	err = err ? err : ndm_cipher_setkey(e->salted, salt, ndm_hash_bytes(e->hash));
	ndm_secret_wipe(salt, sizeof salt);
	return err;
}

static int essiv_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
		       uint8_t *out, size_t bytes, unsigned n)
{
	struct essiv *e = (struct essiv *)c;
	int err = ndm_cipher_crypt(e->salted, true, NULL, ivs, ivs, c->iv_bytes, n);

	return err ? err : ndm_cipher_crypt(e->inner, encrypt, ivs, in, out, bytes, n);
}

static void essiv_free(struct ndm_cipher *c)
{
	struct essiv *e = (struct essiv *)c;

	ndm_cipher_free(e->inner);
	ndm_cipher_free(e->salted);
	ndm_hash_free(e->hash);
	ndm_free(e);
}

static const struct ndm_cipher_ops essiv_ops = {
	.setkey = essiv_setkey,
	.crypt = essiv_crypt,
	.free = essiv_free,
};

/* The block cipher of a mode: "xts(aes)" -> "ecb(aes)"; the innermost name counts. */
static bool essiv_block_name(const char *inner, char *name)
{
	const char *open = strrchr(inner, '('), *close;

	close = open ? strchr(open, ')') : NULL;
	if (!close || (size_t)(close - open) + 5 >= NDM_CIPHER_NAME_MAX)
		return false;
	memcpy(name, "ecb", 3);
	memcpy(name + 3, open, close - open + 1);
	name[3 + (close - open) + 1] = 0;
	return true;
}

/* The kernel's bounds of a key: a hash of another length is refused before any key is set. */
static bool essiv_key_fits(const char *block, unsigned bytes)
{
	static const struct { const char *name; uint8_t least, most; } bounds[] = {
		{ "ecb(aes)", 16, 32 }, { "ecb(camellia)", 16, 32 }, { "ecb(serpent)", 0, 32 }, { "ecb(twofish)", 16, 32 },
		{ "ecb(blowfish)", 4, 56 }, { "ecb(cast5)", 5, 16 }, { "ecb(cast6)", 16, 32 }, { "ecb(des)", 8, 8 },
		{ "ecb(des3_ede)", 24, 24 }, { "ecb(fcrypt)", 8, 8 },
	};
	unsigned i;

	for (i = 0; i < sizeof bounds / sizeof *bounds; i++)
		if (!strcmp(bounds[i].name, block))
			return bytes >= bounds[i].least && bytes <= bounds[i].most;
	return false;
}

/* "INNER,HASH" apart; the last comma decides.  INNER is known to be there when this is called. */
static int essiv_parts(const char *comma, const char *inside, struct ndm_cipher **salted, struct ndm_hash **hash)
{
	char block[NDM_CIPHER_NAME_MAX];
	int err;

	if (!essiv_block_name(inside, block))
		return -EINVAL;
	err = ndm_hash_new(comma + 1, hash);
	if (!err && (ndm_hash_keyed(*hash) || !essiv_key_fits(block, ndm_hash_bytes(*hash))))
		err = -EINVAL;
	return err ? err : ndm_cipher_new(block, salted);
}

int cipher_make_essiv(const char *name, struct ndm_cipher **out)
{
	char inside[NDM_CIPHER_NAME_MAX], *comma;
	struct essiv *e;
	int err;

	if (!cipher_name_inside(name, "essiv", inside))
		return -ENOENT;
	e = ndm_zalloc(sizeof *e);
	if (!e)
		return -ENOMEM;
	e->cipher.ops = &essiv_ops;
	comma = strrchr(inside, ',');
	if (comma)
		*comma = 0;
	err = comma ? ndm_cipher_new(inside, &e->inner) : -EINVAL;
	err = err ? err : essiv_parts(comma, inside, &e->salted, &e->hash);
	if (!err && e->inner->iv_bytes != e->salted->block_bytes)
		err = -EINVAL;
	if (err) {
		essiv_free(&e->cipher);
		return err;
	}
	e->cipher.block_bytes = e->inner->block_bytes;
	e->cipher.iv_bytes = e->inner->iv_bytes;
	e->cipher.mb_per_s = e->inner->mb_per_s;
	*out = &e->cipher;
	return 0;
}

/* ---- essiv around a cipher with authentication ---- */

struct aead_essiv {
	struct ndm_aead aead;
	struct ndm_aead *inner;
	struct ndm_cipher *salted;
	struct ndm_hash *hash;
};

static int aead_essiv_setkey(struct ndm_aead *a, const uint8_t *key, size_t bytes, size_t mac_bytes)
{
	struct aead_essiv *e = (struct aead_essiv *)a;
	uint8_t salt[NDM_HASH_MAX];
	int err;

	e->inner->tag_bytes = a->tag_bytes;
	err = e->inner->ops->setkey(e->inner, key, bytes, mac_bytes);
	/* the kernel hashes the cipher's key, then the MAC's: the order in which we have them */
	err = err ? err : ndm_hash_one(e->hash, key, bytes, salt);
	err = err ? err : ndm_cipher_setkey(e->salted, salt, ndm_hash_bytes(e->hash));
	ndm_secret_wipe(salt, sizeof salt);
	return err;
}

#define AEAD_AAD_MAX 64

static int aead_essiv_crypt(struct ndm_aead *a, bool encrypt, uint8_t *iv, const uint8_t *aad,
			    size_t aad_bytes, const uint8_t *in, uint8_t *out, size_t bytes,
			    uint8_t *tag)
{
	struct aead_essiv *e = (struct aead_essiv *)a;
	uint8_t changed[AEAD_AAD_MAX];
	int err;

	if (aad_bytes > sizeof changed || aad_bytes < a->iv_bytes)
		return -EINVAL;
	err = ndm_cipher_crypt(e->salted, true, NULL, iv, iv, a->iv_bytes, 1);
	if (err)
		return err;
	memcpy(changed, aad, aad_bytes);	/* it ends with the IV, as encrypted */
	memcpy(changed + aad_bytes - a->iv_bytes, iv, a->iv_bytes);
	return e->inner->ops->crypt(e->inner, encrypt, iv, changed, aad_bytes, in, out, bytes, tag);
}

static void aead_essiv_free(struct ndm_aead *a)
{
	struct aead_essiv *e = (struct aead_essiv *)a;

	ndm_aead_free(e->inner);
	ndm_cipher_free(e->salted);
	ndm_hash_free(e->hash);
	ndm_free(e);
}

static const struct ndm_aead_ops aead_essiv_ops = {
	.setkey = aead_essiv_setkey,
	.crypt = aead_essiv_crypt,
	.free = aead_essiv_free,
};

int aead_make_essiv(const char *name, struct ndm_aead **out)
{
	char inside[NDM_CIPHER_NAME_MAX], *comma;
	struct aead_essiv *e;
	int err;

	if (!cipher_name_inside(name, "essiv", inside))
		return -ENOENT;
	e = ndm_zalloc(sizeof *e);
	if (!e)
		return -ENOMEM;
	comma = strrchr(inside, ',');
	if (comma)
		*comma = 0;
	err = comma ? ndm_aead_new(inside, &e->inner) : -EINVAL;
	err = err ? err : essiv_parts(comma, inside, &e->salted, &e->hash);
	if (!err && e->inner->iv_bytes != e->salted->block_bytes)
		err = -EINVAL;
	if (err) {
		aead_essiv_free(&e->aead);
		return err;
	}
	e->aead = *e->inner;
	e->aead.ops = &aead_essiv_ops;
	*out = &e->aead;
	return 0;
}

/* ---- makers of those with authentication ---- */

/* -EINVAL: it is there, but does not authenticate */
int ndm_aead_new(const char *name, struct ndm_aead **out)
{
	struct ndm_cipher *plain;
	int err = aead_make(name, out);

	if (err == -ENOENT && !cipher_make(name, &plain)) {
		ndm_cipher_free(plain);
		err = -EINVAL;
	}
	return err;
}

int ndm_aead_set_tag(struct ndm_aead *a, unsigned bytes)
{
	if (bytes < a->tag_min || bytes > a->tag_max || (a->tag_sizes && !(a->tag_sizes >> bytes & 1)))
		return -EINVAL;
	a->tag_bytes = bytes;
	return 0;
}

void ndm_aead_free(struct ndm_aead *a)
{
	if (a)
		a->ops->free(a);
}
