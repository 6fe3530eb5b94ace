/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher.h - ciphers by the names that the kernel's crypto API gives them: "xts(aes)",
 * "cbc(serpent)", "adiantum(xchacha12,aes)", "essiv(cbc(aes),sha256)", and ciphers with
 * authentication: "gcm(aes)", "authenc(hmac(sha256),xts(aes))".
 *
 * A cipher object is keyed once and then used for any number of units (sectors), by one thread
 * at a time: threads that work side by side have one each.  Nothing here waits, does I/O or
 * allocates while it encrypts.  Keys and what is made of them lie in secret memory: locked
 * where the limit of locked memory permits, left out of core dumps, wiped when freed.
 *
 * OpenSSL does the work where it knows the cipher, else libgcrypt or nettle; AES of short sectors is
 * libgcrypt's where that is faster (cipher-aes.c); composed here is only what none of them has.  Errors: -ENOENT for a name nobody knows, -EINVAL for a key of a wrong length.
 */
#ifndef NDM_KIT_CIPHER_H
#define NDM_KIT_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kit/bytes.h"

#define NDM_CIPHER_IV_MAX 32		/* bytes: adiantum's and xchacha's */
#define NDM_CIPHER_NAME_MAX 128		/* as CRYPTO_MAX_ALG_NAME, with the NUL */

/* ---- secret memory (cipher-secret.c) ---- */

void *ndm_secret_alloc(size_t bytes);		/* zeroed; NULL when there is none */
void ndm_secret_free(void *, size_t bytes);	/* wipes; NULL is fine */
void ndm_secret_wipe(void *, size_t bytes);
bool ndm_secret_equal(const void *, const void *, size_t bytes);	/* in constant time */
int ndm_secret_random(void *, size_t bytes);	/* for those who have no loop: OpenSSL's generator */

/* ---- ciphers ---- */

struct ndm_cipher;

struct ndm_cipher_ops {
	int (*setkey)(struct ndm_cipher *, const uint8_t *key, size_t bytes);
	/*
	 * n units of `bytes` each, one after the other in `in` and `out` (the same, or not
	 * overlapping); ivs: n times iv_bytes, whose contents are lost.
	 */
	int (*crypt)(struct ndm_cipher *, bool encrypt, uint8_t *ivs, const uint8_t *in,
		     uint8_t *out, size_t bytes, unsigned n);
	void (*free)(struct ndm_cipher *);
};

struct ndm_cipher {
	const struct ndm_cipher_ops *ops;
	unsigned block_bytes;		/* units are a multiple of it */
	unsigned iv_bytes;		/* 0: takes none */
	unsigned mb_per_s;		/* roughly, on a processor of today: whom to give the work to */
};

int ndm_cipher_new(const char *name, struct ndm_cipher **);
void ndm_cipher_free(struct ndm_cipher *);	/* NULL is fine */

static inline int ndm_cipher_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	return c->ops->setkey(c, key, bytes);
}

static inline int ndm_cipher_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs,
				   const uint8_t *in, uint8_t *out, size_t bytes, unsigned n)
{
	return c->ops->crypt(c, encrypt, ivs, in, out, bytes, n);
}

/* What the mode makes of a block of zeroes under this IV, in place: eboiv's use of a cbc. */
int ndm_cipher_encrypt_iv(struct ndm_cipher *, uint8_t *iv);

/* ---- with authentication (cipher-aead.c) ---- */

struct ndm_aead;

struct ndm_aead_ops {
	/* enc_bytes of the key are the cipher's, the rest is the MAC's (authenc) */
	int (*setkey)(struct ndm_aead *, const uint8_t *key, size_t bytes, size_t mac_bytes);
	/* one unit; -EBADMSG when decrypting and the tag does not fit.  The IV may be changed. */
	int (*crypt)(struct ndm_aead *, bool encrypt, uint8_t *iv, const uint8_t *aad,
		     size_t aad_bytes, const uint8_t *in, uint8_t *out, size_t bytes, uint8_t *tag);
	void (*free)(struct ndm_aead *);
};

struct ndm_aead {
	const struct ndm_aead_ops *ops;
	unsigned block_bytes, iv_bytes;
	unsigned tag_min, tag_max;	/* bytes */
	uint32_t tag_sizes;		/* 1 << bytes of those between that there are; 0: all */
	unsigned tag_bytes;		/* in use; set with ndm_aead_set_tag() */
	unsigned mac_key_bytes;		/* authenc: the digest's size, else 0 */
	unsigned mb_per_s;		/* as a cipher's */
};

#define TAGS_GCM (1u << 4 | 1u << 8 | 0x1fu << 12)
#define TAGS_CCM (1u << 4 | 1u << 6 | 1u << 8 | 1u << 10 | 1u << 12 | 1u << 14 | 1u << 16)
#define TAGS_ESP (1u << 8 | 1u << 12 | 1u << 16)

int ndm_aead_new(const char *name, struct ndm_aead **);
int ndm_aead_set_tag(struct ndm_aead *, unsigned bytes);	/* -EINVAL: not a size it has */
void ndm_aead_free(struct ndm_aead *);

/* ---- makers: one for each file; -ENOENT when the name is not theirs ---- */

int cipher_make_aes(const char *name, struct ndm_cipher **);
int cipher_make_evp(const char *name, struct ndm_cipher **);
int cipher_make_gcrypt(const char *name, struct ndm_cipher **);
int cipher_make_block(const char *name, struct ndm_cipher **);
int cipher_make_mode(const char *name, struct ndm_cipher **);
int cipher_make_essiv(const char *name, struct ndm_cipher **);
int cipher_make_chacha(const char *name, struct ndm_cipher **);
int cipher_make_adiantum(const char *name, struct ndm_cipher **);
int cipher_make_counter(const char *name, struct ndm_cipher **);
int cipher_make_wrap(const char *name, struct ndm_cipher **);
void cipher_gcrypt_begin(void);		/* before anything else of libgcrypt */
int aead_make_evp(const char *name, struct ndm_aead **);
int aead_make_authenc(const char *name, struct ndm_aead **);
int aead_make_essiv(const char *name, struct ndm_aead **);
int aead_make_aegis(const char *name, struct ndm_aead **);
int aead_make_gcrypt(const char *name, struct ndm_aead **);
int aead_make_esp(const char *name, struct ndm_aead **);

/*
 * "outer(inner)" -> inner, when the name is that; false otherwise, or when it is too long.
 * inner: NDM_CIPHER_NAME_MAX bytes.
 */
bool cipher_name_inside(const char *name, const char *outer, char *inner);

/* ChaCha (cipher-chacha.c): state words, 64-byte blocks */
void chacha_permute(const uint32_t in[16], uint32_t out[16], unsigned rounds);
void chacha_xor(uint32_t state[16], unsigned rounds, const uint8_t *in, uint8_t *out, size_t bytes);
void xchacha_init(uint32_t state[16], const uint8_t key[32], const uint8_t iv[32], unsigned rounds);

#endif
