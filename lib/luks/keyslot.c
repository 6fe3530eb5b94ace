/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyslot.c - from a passphrase to the volume key and back: derive the area's key, decrypt the
 * area, merge its stripes, compare with the digest.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/reencrypt.h"

int luks_kdf(struct ndm_luks *l, const struct luks_slot *s, const void *pass, size_t pass_bytes,
	     uint8_t *out)
{
	int err;

	if (!strcmp(s->kdf, "pbkdf2"))
		err = ndm_pbkdf2(s->kdf_hash, pass, pass_bytes, s->salt, s->salt_bytes,
				 s->iterations, out, s->area_key_bytes);
	else
		err = ndm_argon2(!strcmp(s->kdf, "argon2id"), pass, pass_bytes, s->salt,
				 s->salt_bytes, s->iterations, s->memory_kib, s->lanes, out,
				 s->area_key_bytes);
	if (err == -ENOMEM)
		luks_fail(l, err, "no memory for %s with %u KiB", s->kdf, s->memory_kib);
	else if (err)
		luks_fail(l, err, "key derivation %s %s cannot be used", s->kdf, s->kdf_hash);
	return err;
}

int luks_slot_digest(const struct ndm_luks *l, int slot)
{
	const struct tree *t, *digests = luks_tree_get(l->json, "digests");
	char name[12];

	if (l->version == 1)
		return 0;
	snprintf(name, sizeof name, "%d", slot);
	for (t = digests ? digests->child : NULL; t; t = t->next)
		if (luks_tree_has_text(luks_tree_get(t, "keyslots"), name)) {
			unsigned id;

			if (sscanf(t->name, "%u", &id) == 1 && id < LUKS_SEGMENTS && l->digest[id].used)
				return id;
		}
	return -1;
}

int luks_check_digest(const struct luks_digest *d, const uint8_t *key, size_t key_bytes)
{
	uint8_t out[NDM_HASH_MAX];
	int err = ndm_pbkdf2(d->hash, key, key_bytes, d->salt, d->salt_bytes, d->iterations, out,
			     d->digest_bytes);

	if (!err && !ndm_secret_equal(out, d->digest, d->digest_bytes))
		err = -EPERM;
	ndm_secret_wipe(out, sizeof out);
	return err;
}

int ndm_luks_check_key(struct ndm_luks *l, const uint8_t *key, size_t key_bytes)
{
	unsigned i;
	int err = -EPERM;

	for (i = 0; i < LUKS_SEGMENTS && err == -EPERM; i++)
		if (l->digest[i].used)
			err = luks_check_digest(&l->digest[i], key, key_bytes);
	return err ? luks_fail(l, err, "Volume key does not match the volume.") : 0;
}

/* ---- unlocking ---- */

static int slot_try(struct ndm_luks *l, int slot, const void *pass, size_t pass_bytes, uint8_t *key)
{
	const struct luks_slot *s = &l->slot[slot];
	size_t bytes = luks_area_bytes(s->key_bytes, s->stripes);
	uint8_t *area_key = ndm_secret_alloc(NDM_LUKS_KEY_MAX), *area = ndm_zalloc(bytes);
	int digest = luks_slot_digest(l, slot), err;

	if (!area_key || !area)
		err = luks_fail(l, -ENOMEM, "no memory for a keyslot");
	else if (digest < 0)
		err = luks_fail(l, -EINVAL, "keyslot %d has no digest", slot);
	else
		err = luks_kdf(l, s, pass, pass_bytes, area_key);
	err = err ? err : luks_read(l, s->area_offset, area, bytes);
	err = err ? err : luks_area_crypt(l, s->area_cipher, area_key, s->area_key_bytes, false,
					  area, bytes);
	if (!err && luks_af_merge(s->af_hash, area, s->key_bytes, s->stripes, key))
		err = luks_fail(l, -EINVAL, "hash %s of the splitter cannot be used", s->af_hash);
	if (!err) {
		err = luks_check_digest(&l->digest[digest], key, s->key_bytes);
		if (err && err != -EPERM)
			luks_fail(l, err, "hash %s of the digest cannot be used",
				  l->digest[digest].hash);
	}
	if (area)
		ndm_secret_wipe(area, bytes);
	ndm_free(area);
	ndm_secret_free(area_key, NDM_LUKS_KEY_MAX);
	return err;
}

/* Words of config.requirements that we can honour: none of them changes how a segment is read. */
static int requirements_check(struct ndm_luks *l)
{
	const struct tree *c = luks_tree_get(luks_tree_get(luks_tree_get(l->json, "config"),
							   "requirements"), "mandatory");

	for (c = c ? c->child : NULL; c; c = c->next) {
		if (c->kind == TREE_STRING && !strncmp(c->text, "online-reencrypt", 16))
			continue;		/* the segments say how far it is */
		return luks_fail(l, -EINVAL, "the header requires '%.40s', which is not known here",
				 c->kind == TREE_STRING ? c->text : "something");
	}
	return 0;
}

int ndm_luks_unlock(struct ndm_luks *l, int slot, const void *pass, size_t pass_bytes, uint8_t *key,
		    size_t *key_bytes)
{
	int priority, i, err = requirements_check(l), found = -EPERM;

	if (err)
		return err;
	if (slot >= 0 && (slot >= (int)l->nslots || l->slot[slot].kind != SLOT_KEY))
		return luks_fail(l, -ENOENT, "Keyslot %d is not active.", slot);
	l->why[0] = 0;
	for (priority = 2; priority >= 0 && found == -EPERM; priority--)
		for (i = 0; i < (int)l->nslots && found == -EPERM; i++) {
			const struct luks_slot *s = &l->slot[i];

			if (s->kind != SLOT_KEY || (int)s->priority != priority)
				continue;
			if (slot >= 0 ? i != slot : !priority)
				continue;
			err = slot_try(l, i, pass, pass_bytes, key);
			if (!err) {
				*key_bytes = s->key_bytes;
				return i;
			}
			/* another slot may be of a kind that we know */
			if (err == -ENOMEM || err == -EIO)
				found = err;
		}
	ndm_secret_wipe(key, NDM_LUKS_KEY_MAX);
	if (!l->why[0])
		luks_fail(l, found, "No key available with this passphrase.");
	return found;
}

int luks_unlock_digest(struct ndm_luks *l, int digest, const void *pass, size_t pass_bytes, uint8_t *key,
		       size_t *key_bytes)
{
	int i, err;

	for (i = 0; i < (int)l->nslots; i++) {
		if (l->slot[i].kind != SLOT_KEY || luks_slot_digest(l, i) != digest)
			continue;
		err = slot_try(l, i, pass, pass_bytes, key);
		if (!err) {
			*key_bytes = l->slot[i].key_bytes;
			return i;
		}
		if (err == -ENOMEM || err == -EIO)
			return err;
	}
	ndm_secret_wipe(key, NDM_LUKS_KEY_MAX);
	return luks_fail(l, -EPERM, "No key available with this passphrase.");
}

int ndm_luks_kdf_try(const struct ndm_luks_kdf *k, size_t out_bytes)
{
	static const uint8_t salt[32];
	uint8_t out[NDM_LUKS_KEY_MAX];

	if (!strcmp(k->type, "pbkdf2"))
		return ndm_pbkdf2(k->hash, "foobarfo", 8, salt, sizeof salt, k->iterations, out,
				  out_bytes);
	return ndm_argon2(!strcmp(k->type, "argon2id"), "foobarfo", 8, salt, sizeof salt,
			  k->iterations, k->memory_kib, k->lanes, out, out_bytes);
}
