/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyslot-change.c - keyslots added, removed, erased.
 *
 * Order: a new slot's area is written and synced before the header names it; a slot that goes
 * is taken out of the header before its area is overwritten.  So no header ever names an area
 * that is half written.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/reencrypt.h"

#define AREA_ALIGN 4096u

static const char *or_else(const char *given, const char *usual)
{
	return given && *given ? given : usual;
}

/* ---- places ---- */

int luks_slot_free(struct ndm_luks *l, int slot)
{
	unsigned i;

	if (slot >= 0) {
		if (slot >= (int)l->nslots)
			return luks_fail(l, -EINVAL, "Key slot %d is invalid.", slot);
		if (l->slot[slot].kind != SLOT_NONE)
			return luks_fail(l, -EBUSY, "Key slot %d is full, please select another one.",
					 slot);
		return slot;
	}
	for (i = 0; i < l->nslots; i++)
		if (l->slot[i].kind == SLOT_NONE)
			return i;
	return luks_fail(l, -ENOSPC, "All key slots full.");
}

/* The first gap between the areas that is large enough. */
static int area_place(struct ndm_luks *l, struct luks_slot *s)
{
	uint64_t at = 2 * l->header_bytes, end = at + l->keyslots_bytes;
	unsigned i;
	bool moved;

	s->area_bytes = ((uint64_t)s->key_bytes * s->stripes + AREA_ALIGN - 1) & ~(uint64_t)(AREA_ALIGN - 1);
	do {
		moved = false;
		for (i = 0; i < l->nslots; i++) {
			const struct luks_slot *o = &l->slot[i];

			if (o->kind == SLOT_NONE || o == s || at >= o->area_offset + o->area_bytes ||
			    o->area_offset >= at + s->area_bytes)
				continue;
			at = o->area_offset + o->area_bytes;
			moved = true;
		}
	} while (moved);
	if (at + s->area_bytes > end)
		return luks_fail(l, -ENOSPC, "No space for new keyslot.");
	s->area_offset = at;
	return 0;
}

/* ---- adding ---- */

static int slot_fill(struct ndm_luks *l, struct luks_slot *s, size_t key_bytes,
		     const struct ndm_luks_kdf *k)
{
	const char *hash = or_else(k->hash, "sha256");

	s->kind = SLOT_KEY;
	s->priority = 1;
	s->key_bytes = key_bytes;
	s->stripes = LUKS_STRIPES;
	s->iterations = k->iterations;
	s->memory_kib = k->memory_kib;
	s->lanes = k->lanes;
	s->salt_bytes = 32;
	if (strlen(hash) >= sizeof s->af_hash || (k->cipher && strlen(k->cipher) >= sizeof s->area_cipher))
		return luks_fail(l, -EINVAL, "a name is too long");
	if (l->version == 1) {			/* everything but the passphrase comes from the header */
		s->area_key_bytes = l->key_bytes;
		snprintf(s->kdf, sizeof s->kdf, "pbkdf2");
		snprintf(s->af_hash, sizeof s->af_hash, "%.31s", l->hash);
		snprintf(s->kdf_hash, sizeof s->kdf_hash, "%.31s", l->hash);
		snprintf(s->area_cipher, sizeof s->area_cipher, "%.30s-%.32s", l->cipher_name,
			 l->cipher_mode);
	} else {
		s->area_key_bytes = k->cipher_key_bytes ? k->cipher_key_bytes : 64;
		snprintf(s->kdf, sizeof s->kdf, "%s", or_else(k->type, "argon2id"));
		snprintf(s->af_hash, sizeof s->af_hash, "%s", hash);
		if (!strcmp(s->kdf, "pbkdf2"))
			snprintf(s->kdf_hash, sizeof s->kdf_hash, "%s", hash);
		snprintf(s->area_cipher, sizeof s->area_cipher, "%s",
			 or_else(k->cipher, "aes-xts-plain64"));
	}
	if (s->area_key_bytes > NDM_LUKS_KEY_MAX)
		return luks_fail(l, -EINVAL, "a key of %u bytes for the keyslot", s->area_key_bytes);
	if (ndm_secret_random(s->salt, s->salt_bytes))
		return luks_fail(l, -EIO, "no random numbers to be had");
	return 0;
}

static int area_write(struct ndm_luks *l, const struct luks_slot *s, const void *pass,
		      size_t pass_bytes, const uint8_t *key)
{
	size_t bytes = luks_area_bytes(s->key_bytes, s->stripes);
	uint8_t *area_key = ndm_secret_alloc(NDM_LUKS_KEY_MAX), *area = ndm_zalloc(bytes);
	int err;

	if (!area_key || !area)
		err = luks_fail(l, -ENOMEM, "no memory for a keyslot");
	else
		err = luks_kdf(l, s, pass, pass_bytes, area_key);
	if (!err && luks_af_split(s->af_hash, key, s->key_bytes, s->stripes, area))
		err = luks_fail(l, -EINVAL, "hash %s cannot be used", s->af_hash);
	err = err ? err : luks_area_crypt(l, s->area_cipher, area_key, s->area_key_bytes, true,
					  area, bytes);
	err = err ? err : luks_write(l, s->area_offset, area, bytes);
	err = err ? err : luks_sync(l);
	if (area)
		ndm_secret_wipe(area, bytes);
	ndm_free(area);
	ndm_secret_free(area_key, NDM_LUKS_KEY_MAX);
	return err;
}

static struct tree *slot_kdf_tree(const struct luks_slot *s)
{
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL);
	char salt[4 * ((LUKS_SALT_MAX + 2) / 3) + 1];
	int err = t ? 0 : -ENOMEM;

	luks_base64_encode(s->salt, s->salt_bytes, salt);
	err = err ? err : luks_tree_set_text(t, "type", s->kdf);
	if (!strcmp(s->kdf, "pbkdf2")) {
		err = err ? err : luks_tree_set_text(t, "hash", s->kdf_hash);
		err = err ? err : luks_tree_set_number(t, "iterations", s->iterations);
	} else {
		err = err ? err : luks_tree_set_number(t, "time", s->iterations);
		err = err ? err : luks_tree_set_number(t, "memory", s->memory_kib);
		err = err ? err : luks_tree_set_number(t, "cpus", s->lanes);
	}
	err = err ? err : luks_tree_set_text(t, "salt", salt);
	if (!err)
		return t;
	luks_tree_free(t);
	return NULL;
}

static struct tree *slot_area_tree(const struct luks_slot *s)
{
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL);
	int err = t ? 0 : -ENOMEM;

	err = err ? err : luks_tree_set_text(t, "type", "raw");
	err = err ? err : luks_tree_set_u64(t, "offset", s->area_offset);
	err = err ? err : luks_tree_set_u64(t, "size", s->area_bytes);
	err = err ? err : luks_tree_set_text(t, "encryption", s->area_cipher);
	err = err ? err : luks_tree_set_number(t, "key_size", s->area_key_bytes);
	if (!err)
		return t;
	luks_tree_free(t);
	return NULL;
}

static struct tree *slot_af_tree(const struct luks_slot *s)
{
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL);
	int err = t ? 0 : -ENOMEM;

	err = err ? err : luks_tree_set_text(t, "type", "luks1");
	err = err ? err : luks_tree_set_number(t, "stripes", s->stripes);
	err = err ? err : luks_tree_set_text(t, "hash", s->af_hash);
	if (!err)
		return t;
	luks_tree_free(t);
	return NULL;
}

/* The slot into the tree, and into the lists of its digest. */
int luks_slot_to_tree(struct ndm_luks *l, int slot, int digest)
{
	const struct luks_slot *s = &l->slot[slot];
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL), *d;
	char name[12], digest_name[12];
	int err = t ? 0 : -ENOMEM;

	snprintf(name, sizeof name, "%d", slot);
	snprintf(digest_name, sizeof digest_name, "%d", digest);
	err = err ? err : luks_tree_set_text(t, "type", "luks2");
	err = err ? err : luks_tree_set_number(t, "key_size", s->key_bytes);
	err = err ? err : luks_tree_set(t, "af", slot_af_tree(s));
	err = err ? err : luks_tree_set(t, "area", slot_area_tree(s));
	err = err ? err : luks_tree_set(t, "kdf", slot_kdf_tree(s));
	if (err) {
		luks_tree_free(t);
		return luks_fail(l, err, "no memory for a keyslot");
	}
	err = luks_tree_set(luks_tree_get(l->json, "keyslots"), name, t);
	d = luks_tree_get(luks_tree_get(luks_tree_get(l->json, "digests"), digest_name), "keyslots");
	err = err ? err : luks_tree_add(d, luks_tree_new(TREE_STRING, name));
	return err ? luks_fail(l, err, "no memory for a keyslot") : 0;
}

/* The digest that fits this key. */
int luks_key_digest(struct ndm_luks *l, const uint8_t *key, size_t key_bytes)
{
	int i;

	for (i = 0; i < LUKS_SEGMENTS; i++)
		if (l->digest[i].used && !luks_check_digest(&l->digest[i], key, key_bytes))
			return i;
	return luks_fail(l, -EPERM, "Volume key does not match the volume.");
}

int luks_slot_make(struct ndm_luks *l, int slot, int digest, const void *pass, size_t pass_bytes,
		   const uint8_t *key, size_t key_bytes, const struct ndm_luks_kdf *k)
{
	struct luks_slot *s = &l->slot[slot];
	uint64_t offset = 0, bytes = 0;
	int err;

	if (l->version == 1) {			/* its place is fixed */
		offset = s->area_offset;
		bytes = s->area_bytes;
	}
	ndm_secret_wipe(s, sizeof *s);
	s->area_offset = offset;
	s->area_bytes = bytes;
	err = slot_fill(l, s, key_bytes, k);
	if (!err && l->version == 2)
		err = area_place(l, s);
	err = err ? err : area_write(l, s, pass, pass_bytes, key);
	if (!err && l->version == 2)
		err = luks_slot_to_tree(l, slot, digest);
	if (err)
		s->kind = SLOT_NONE;
	return err;
}

int ndm_luks_add(struct ndm_luks *l, int slot, const void *pass, size_t pass_bytes,
		 const uint8_t *key, size_t key_bytes, const struct ndm_luks_kdf *k)
{
	int digest, err;

	slot = luks_slot_free(l, slot);
	if (slot < 0)
		return slot;
	digest = luks_key_digest(l, key, key_bytes);
	if (digest < 0)
		return digest;
	err = luks_slot_make(l, slot, digest, pass, pass_bytes, key, key_bytes, k);
	err = err ? err : luks_commit(l);
	if (err)
		l->slot[slot].kind = SLOT_NONE;
	return err ? err : slot;
}

/* ---- removing ---- */

int luks_area_wipe(struct ndm_luks *l, uint64_t offset, uint64_t bytes)
{
	uint8_t noise[1024];
	uint64_t done;
	int err = 0;

	for (done = 0; done < bytes && !err; done += sizeof noise) {
		size_t now = bytes - done < sizeof noise ? bytes - done : sizeof noise;

		err = ndm_secret_random(noise, now);
		err = err ? err : luks_write(l, offset + done, noise, now);
	}
	return err ? err : luks_sync(l);
}

void luks_slot_from_tree(struct ndm_luks *l, int slot)
{
	static const char *const lists[] = { "digests", "tokens" };
	struct tree *t;
	char name[12];
	unsigned i;

	snprintf(name, sizeof name, "%d", slot);
	luks_tree_remove(luks_tree_get(l->json, "keyslots"), name);
	for (i = 0; i < 2; i++)
		for (t = luks_tree_get(l->json, lists[i])->child; t; t = t->next) {
			struct tree *slots = luks_tree_get(t, "keyslots");

			if (slots)
				luks_tree_remove_text(slots, name);
		}
}

int ndm_luks_kill(struct ndm_luks *l, int slot)
{
	uint64_t offset, bytes;
	int err;

	if (slot < 0 || slot >= (int)l->nslots || l->slot[slot].kind == SLOT_NONE)
		return luks_fail(l, -ENOENT, "Keyslot %d is not active.", slot);
	offset = l->slot[slot].area_offset;
	bytes = l->slot[slot].area_bytes;
	if (l->version == 2)
		luks_slot_from_tree(l, slot);
	l->slot[slot].kind = SLOT_NONE;
	err = luks_commit(l);
	return err ? err : luks_area_wipe(l, offset, bytes);
}

int ndm_luks_erase(struct ndm_luks *l)
{
	int i, err = 0;

	for (i = 0; i < (int)l->nslots && !err; i++)
		if (l->slot[i].kind != SLOT_NONE)
			err = ndm_luks_kill(l, i);
	return err;
}

int ndm_luks_slot_kdf(struct ndm_luks *l, int slot, struct ndm_luks_kdf *k)
{
	const struct luks_slot *s;

	if (slot < 0 || slot >= (int)l->nslots || l->slot[slot].kind != SLOT_KEY)
		return luks_fail(l, -ENOENT, "Keyslot %d is not active.", slot);
	s = &l->slot[slot];
	*k = (struct ndm_luks_kdf){ .type = s->kdf, .hash = s->af_hash, .iterations = s->iterations,
				    .memory_kib = s->memory_kib, .lanes = s->lanes,
				    .cipher = s->area_cipher, .cipher_key_bytes = s->area_key_bytes };
	return 0;
}

int ndm_luks_set_priority(struct ndm_luks *l, int slot, int priority)
{
	struct tree *t;
	char name[12];
	int err;

	snprintf(name, sizeof name, "%d", slot);
	t = luks_tree_get(luks_tree_get(l->json, "keyslots"), name);
	if (!t)
		return luks_fail(l, -ENOENT, "Keyslot %d is not active.", slot);
	err = luks_tree_set_number(t, "priority", priority);
	return err ? luks_fail(l, err, "no memory") : luks_commit(l);
}
