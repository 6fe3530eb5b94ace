/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt.h - what the header says of a re-encryption that has begun; inside of lib/luks.
 *
 * In JSON: a keyslot of type "reencrypt" has mode, direction, and the area in which the zone at
 * work is protected; the first segments are what is done, what is at work ("in-reencryption") and
 * what is left, in the order of the data; behind them "backup-final" and "backup-previous" say how
 * all of it shall be and was; a digest of its own ties the keys to all this; "online-reencrypt-v2"
 * is required.
 *
 * Three modes: crypt to crypt, linear to crypt (encrypt), crypt to linear (decrypt).  In place, or
 * with a shift, where the header has to get room before the data, or gives it back:
 *
 *	encrypt	backward; the data moves up by `shift`.  What the header takes the place of, its
 *		first `shift` bytes, was copied behind all else before: "backup-moved-segment".
 *	decrypt	forward; the data moves down by `shift`, the header is in a file ("-v3" is required).
 *		Its first bytes were copied, as they are, to the device's begin; they are done
 *		last, in place.
 *
 * A zone that moves is never longer than the shift, so that it is read again after a cut.
 */
#ifndef NDM_LUKS_REENCRYPT_H
#define NDM_LUKS_REENCRYPT_H

#include "lib/luks/luks.h"

enum reencrypt_protection { PROTECT_NONE, PROTECT_CHECKSUM, PROTECT_JOURNAL };

enum reencrypt_mode { MODE_REENCRYPT, MODE_ENCRYPT, MODE_DECRYPT };

struct reencrypt {
	enum reencrypt_mode mode;
	bool backward;
	int slot;				/* the "reencrypt" one */
	int digest_old, digest_new, digest_self;	/* -1: none of that key */
	int final, previous, moved;		/* segments; moved -1: none */
	enum reencrypt_protection protection;
	uint64_t shift;				/* bytes; 0: in place */
	uint64_t head;				/* bytes of the moved segment; 0: none */
	uint64_t area_offset, area_bytes;
	char hash[32];				/* PROTECT_CHECKSUM */
	uint32_t block_bytes;			/* that one checksum is of */
	/* bytes of the data, wherever they lie */
	uint64_t low, high;			/* what is left; UINT64_MAX: to the end */
	bool head_left;				/* decrypt with a shift: the first `head`, too */
	uint64_t at, hot;			/* at work; hot 0: nothing is */
};

static inline bool reencrypt_all_done(const struct reencrypt *r)
{
	return r->low == r->high && !r->hot && !r->head_left;
}

/* Where a byte of the data was, and will be, on the data device. */
uint64_t luks_reencrypt_old(const struct ndm_luks *, const struct reencrypt *, uint64_t at);
uint64_t luks_reencrypt_new(const struct ndm_luks *, const struct reencrypt *, uint64_t at);

/* -ENOENT: there is none; -EOPNOTSUPP: one that is not done here */
int luks_reencrypt_find(struct ndm_luks *, struct reencrypt *);
/* The keys, and what find read, are those that the header's digest was made of. */
int luks_reencrypt_verify(struct ndm_luks *, const struct reencrypt *, const struct ndm_luks_keys *);
/* Changes of the tree: nothing is written yet.  Segments become what *r says. */
int luks_reencrypt_set(struct ndm_luks *, const struct reencrypt *, uint64_t total);
int luks_reencrypt_end(struct ndm_luks *, const struct reencrypt *);

/* bytes of data, by the size of its device; 0: it does not fit what the header says */
uint64_t luks_reencrypt_total(const struct ndm_luks *, const struct reencrypt *, uint64_t device_bytes);

struct ndm_crypt;
int luks_crypt_make(struct ndm_luks *, const struct luks_segment *, const uint8_t *key, size_t key_bytes,
		    struct ndm_crypt **);

/* keyslot-change.c: a keyslot and its area, but for the header */
int luks_slot_make(struct ndm_luks *, int slot, int digest, const void *pass, size_t pass_bytes,
		   const uint8_t *key, size_t key_bytes, const struct ndm_luks_kdf *);
int luks_slot_free(struct ndm_luks *, int slot);
int luks_key_digest(struct ndm_luks *, const uint8_t *key, size_t key_bytes);
void luks_slot_from_tree(struct ndm_luks *, int slot);
int luks_area_wipe(struct ndm_luks *, uint64_t offset, uint64_t bytes);
/* format.c, keyslot-change.c: the tree of l->digest[0] and one segment; a slot in it */
int luks_tree_make(struct ndm_luks *, const struct ndm_luks_format *, uint64_t offset);
int luks_slot_to_tree(struct ndm_luks *, int slot, int digest);
/* keyslot.c: the first slot of this digest that takes the passphrase */
int luks_unlock_digest(struct ndm_luks *, int digest, const void *pass, size_t pass_bytes, uint8_t *key,
		       size_t *key_bytes);

#endif
