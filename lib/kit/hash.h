/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h - digests, MACs and checksums by the kernel's names ("sha256", "hmac(sha256)",
 * "crc32c", "xxhash64", "blake2b-256"), and key derivation.
 *
 * An object is used by one thread at a time.  Nothing here waits or does I/O.
 */
#ifndef NDM_KIT_HASH_H
#define NDM_KIT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NDM_HASH_MAX 64			/* bytes of the longest digest */

struct ndm_hash;

/* -ENOENT: nobody knows the name */
int ndm_hash_new(const char *name, struct ndm_hash **);
void ndm_hash_free(struct ndm_hash *);		/* NULL is fine */
unsigned ndm_hash_bytes(const struct ndm_hash *);	/* of the digest */
bool ndm_hash_keyed(const struct ndm_hash *);	/* wants a key: hmac(...) */
/* hmac: any key; -ENOSYS where there is no key to set, -EINVAL a wrong one, -ENOKEY from others without */
int ndm_hash_setkey(struct ndm_hash *, const void *key, size_t bytes);
/* Every digest begins with these bytes (a salt); they are copied.  NULL, 0: none. */
int ndm_hash_prefix(struct ndm_hash *, const void *salt, size_t bytes);

/* begin, any number of updates, end; errors of the library come out at the end */
int ndm_hash_begin(struct ndm_hash *);
int ndm_hash_update(struct ndm_hash *, const void *, size_t bytes);
int ndm_hash_end(struct ndm_hash *, uint8_t *digest);
int ndm_hash_one(struct ndm_hash *, const void *, size_t bytes, uint8_t *digest);

/* ---- checksums (hash-crc.c), as the kernel computes them ---- */

/* crc32(seed): reflected, polynomial EDB88320, neither begun nor ended with an inversion */
uint32_t ndm_crc32(uint32_t crc, const void *, size_t bytes);
uint32_t ndm_crc32c(uint32_t crc, const void *, size_t bytes);
uint64_t ndm_xxh64(uint64_t seed, const void *, size_t bytes);

/* the same piece by piece: what hash.c makes digests of */
enum ndm_checksum_kind { NDM_SUM_CRC32, NDM_SUM_CRC32C, NDM_SUM_XXH64 };
struct ndm_checksum;
struct ndm_checksum *ndm_checksum_new(enum ndm_checksum_kind);
void ndm_checksum_free(struct ndm_checksum *);
int ndm_checksum_setkey(struct ndm_checksum *, const void *key, size_t bytes);
void ndm_checksum_begin(struct ndm_checksum *);
void ndm_checksum_update(struct ndm_checksum *, const void *, size_t bytes);
void ndm_checksum_end(struct ndm_checksum *, uint8_t *digest);

/* ---- MACs of block ciphers, and small ones (hash-mac.c): what hash.c makes digests of ---- */

struct ndm_mac;
int ndm_mac_new(const char *name, struct ndm_mac **, unsigned *digest_bytes);	/* -ENOENT, -EINVAL */
void ndm_mac_free(struct ndm_mac *);
int ndm_mac_setkey(struct ndm_mac *, const uint8_t *key, size_t bytes);
void ndm_mac_begin(struct ndm_mac *);
int ndm_mac_update(struct ndm_mac *, const uint8_t *, size_t bytes);
int ndm_mac_end(struct ndm_mac *, uint8_t *digest);

/*
 * A detached PKCS#7 signature of the text by one of these certificates (PEM) or of those they
 * vouch for (hash-signature.c): -ENOKEY without any, -EBADMSG where it is no signature,
 * -EKEYREJECTED where it does not hold.
 */
int ndm_signature_check(const void *pem, size_t pem_bytes, const void *signature, size_t bytes,
			const void *text, size_t text_bytes);

/* OpenSSL's name of a hash, or NULL (hash.c) */
const char *hash_evp_name(const char *kernel);

/* ---- key derivation (hash-kdf.c): heavy, never on a loop ---- */

int ndm_pbkdf2(const char *hash, const void *pass, size_t pass_bytes, const void *salt,
	       size_t salt_bytes, uint32_t iterations, uint8_t *out, size_t out_bytes);
/* id: argon2id, else argon2i; -EOPNOTSUPP when built without libargon2 */
int ndm_argon2(bool id, const void *pass, size_t pass_bytes, const void *salt, size_t salt_bytes,
	       uint32_t time, uint32_t memory_kib, uint32_t lanes, uint8_t *out, size_t out_bytes);

#endif
