/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypt.h - sectors encrypted as dm-crypt does it: a cipher specification with its IV mode, one
 * key or several, and the metadata of each sector where there is authentication.
 *
 * Made in the kernel's order, so that of two mistakes the same one is reported:
 * ndm_crypt_new(), ndm_crypt_set_key(), ndm_crypt_init_iv().  Then any number of
 * ndm_crypt_run() side by side, each on a lane of its own.  A new key must find no lane in use.
 */
#ifndef NDM_KIT_CRYPT_H
#define NDM_KIT_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ndm_crypt;

struct ndm_crypt_spec {
	const char *cipher;		/* "aes-xts-plain64", "capi:authenc(...)-random" */
	size_t key_bytes;		/* of the whole key, IV seeds and MAC keys included */
	uint64_t iv_offset;		/* 512-byte sectors */
	unsigned sector_bytes;		/* 512, 1024, 2048, 4096 */
	unsigned tag_bytes;		/* used of each sector's metadata; 0: none */
	unsigned mac_key_bytes;		/* 0: the digest's size */
	bool aead;			/* the cipher authenticates */
	bool iv_large_sectors;		/* IVs count sectors of sector_bytes */
	unsigned lanes;			/* as many may run at once */
};

/* why: the kernel's sentence; with all three functions, only on failure */
int ndm_crypt_new(const struct ndm_crypt_spec *, struct ndm_crypt **, const char **why);
int ndm_crypt_set_key(struct ndm_crypt *, const uint8_t *key);
int ndm_crypt_init_iv(struct ndm_crypt *, const char **why);
void ndm_crypt_wipe(struct ndm_crypt *);	/* forgets all keys; runs fail with -ENOKEY */
void ndm_crypt_free(struct ndm_crypt *);

/* Wants metadata from below: authentication, or an IV that is stored. */
bool ndm_crypt_tagged(const struct ndm_crypt *);
/*
 * The device below keeps `tuple` bytes for each sector; checks that all that is needed finds
 * room there.
 */
int ndm_crypt_set_tuple(struct ndm_crypt *, unsigned tuple_bytes, const char **why);

/*
 * bytes: a multiple of the sector size.  sector: the first one, in 512-byte units from the
 * target's start, without iv_offset.  tags: the metadata of each sector, tuple bytes apart;
 * written when encrypting.  random: fresh bytes, as many as ndm_crypt_random_bytes() says, when
 * encrypting.  -EILSEQ: authentication failed at *bad (a sector, as above).
 */
struct ndm_crypt_run {
	bool encrypt;
	uint64_t sector;
	const uint8_t *in;
	uint8_t *out;			/* may be `in` */
	size_t bytes;
	uint8_t *tags;
	const uint8_t *random;
	uint64_t bad;
};
/* What about so many microseconds are enough for. */
size_t ndm_crypt_bytes_in(const struct ndm_crypt *, unsigned microseconds);
size_t ndm_crypt_random_bytes(const struct ndm_crypt *, size_t bytes);
int ndm_crypt_run(struct ndm_crypt *, unsigned lane, struct ndm_crypt_run *);

#endif
