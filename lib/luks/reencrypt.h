/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt.h - what the header says of a re-encryption that has begun; inside of lib/luks.
 *
 * In JSON: a keyslot of type "reencrypt" has the area in which the zone at work is protected;
 * segments 0, 1, 2 are what is done (new key), what is at work ("in-reencryption"), what is left
 * (old key); behind them "backup-final" and "backup-previous" say how all of it shall be and was;
 * a digest of its own ties both keys to all this; "online-reencrypt-v2" is required.
 */
#ifndef NDM_LUKS_REENCRYPT_H
#define NDM_LUKS_REENCRYPT_H

#include "lib/luks/luks.h"

enum reencrypt_protection { PROTECT_NONE, PROTECT_CHECKSUM, PROTECT_JOURNAL };

struct reencrypt {
	int slot;				/* the "reencrypt" one */
	int digest_old, digest_new, digest_self;
	int final, previous;			/* segments */
	enum reencrypt_protection protection;
	uint64_t area_offset, area_bytes;
	char hash[32];				/* PROTECT_CHECKSUM */
	uint32_t block_bytes;			/* that one checksum is of */
	uint64_t done, hot;			/* bytes; hot 0: nothing is at work */
	bool all_done;				/* nothing of the old key is left */
};

/* -ENOENT: there is none; -EOPNOTSUPP: one that is not done here */
int luks_reencrypt_find(struct ndm_luks *, struct reencrypt *);
/* Both keys, and what find read, are those that the header's digest was made of. */
int luks_reencrypt_verify(struct ndm_luks *, const struct reencrypt *, const uint8_t *old,
			  size_t old_bytes, const uint8_t *fresh, size_t fresh_bytes);
/* Changes of the tree: nothing is written yet. */
int luks_reencrypt_set(struct ndm_luks *, const struct reencrypt *, uint64_t done, uint64_t hot,
		       uint64_t total);
int luks_reencrypt_end(struct ndm_luks *, const struct reencrypt *);

/* keyslot-change.c: a keyslot and its area, but for the header */
int luks_slot_make(struct ndm_luks *, int slot, int digest, const void *pass, size_t pass_bytes,
		   const uint8_t *key, size_t key_bytes, const struct ndm_luks_kdf *);
int luks_slot_free(struct ndm_luks *, int slot);
int luks_key_digest(struct ndm_luks *, const uint8_t *key, size_t key_bytes);
void luks_slot_from_tree(struct ndm_luks *, int slot);
int luks_area_wipe(struct ndm_luks *, uint64_t offset, uint64_t bytes);
/* keyslot.c: the first slot of this digest that takes the passphrase */
int luks_unlock_digest(struct ndm_luks *, int digest, const void *pass, size_t pass_bytes, uint8_t *key,
		       size_t *key_bytes);

#endif
