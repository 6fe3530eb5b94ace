/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luks2-json.c - LUKS2's JSON, member by member, into the structs of luks.h.
 *
 * 64-bit numbers are strings of digits.  What is not known is kept in the tree and left alone,
 * except what is mandatory to know.  Costs of key derivation are limited here: a header must
 * not be able to hang or starve whoever only looks at it with a passphrase.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/luks/luks.h"

#define ARGON2_MEMORY_MAX (4u << 20)		/* KiB */
#define ARGON2_TIME_MAX 100000u
#define ARGON2_LANES_MAX 64u
#define STRIPES_MAX 8192u

static int want(struct ndm_luks *l, bool good, const char *what, int id, const char *problem)
{
	return good ? 0 : luks_fail(l, -EINVAL, "LUKS2: %s %d: %s", what, id, problem);
}

static int get_text(const struct tree *t, const char *name, char *to, size_t room)
{
	const char *text = luks_tree_text(t, name);

	if (!text || !*text || !luks_plain_text(text, room))
		return -EINVAL;
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static int get_bytes(const struct tree *t, const char *name, uint8_t *to, size_t room, size_t *n)
{
	const char *text = luks_tree_text(t, name);

	return text ? luks_base64_decode(text, to, room, n) : -EINVAL;
}

/* Member names are numbers; -1: not one, or too large. */
static int member_id(const struct tree *t, int limit)
{
	size_t n = strlen(t->name);
	int id;

	if (!n || n > 4 || strspn(t->name, "0123456789") != n || (*t->name == '0' && n > 1))
		return -1;
	id = atoi(t->name);
	return id < limit ? id : -1;
}

/* ---- keyslots ---- */

static int slot_kdf(struct ndm_luks *l, struct luks_slot *s, const struct tree *kdf, int id)
{
	bool pbkdf2, argon2;
	int err = get_text(kdf, "type", s->kdf, sizeof s->kdf);

	err = err ? err : get_bytes(kdf, "salt", s->salt, sizeof s->salt, &s->salt_bytes);
	if (err)
		return want(l, false, "keyslot", id, "no type or salt of the key derivation");
	pbkdf2 = !strcmp(s->kdf, "pbkdf2");
	argon2 = !strcmp(s->kdf, "argon2i") || !strcmp(s->kdf, "argon2id");
	if (pbkdf2) {
		err = get_text(kdf, "hash", s->kdf_hash, sizeof s->kdf_hash);
		err = err ? err : luks_tree_u32(kdf, "iterations", &s->iterations);
		return want(l, !err && s->iterations && s->iterations <= INT32_MAX, "keyslot", id,
			    "hash or iterations of pbkdf2 make no sense");
	}
	if (!argon2)
		return want(l, false, "keyslot", id, "its key derivation is not known");
	err = luks_tree_u32(kdf, "time", &s->iterations);
	err = err ? err : luks_tree_u32(kdf, "memory", &s->memory_kib);
	err = err ? err : luks_tree_u32(kdf, "cpus", &s->lanes);
	if (err || !s->iterations || !s->lanes || s->memory_kib < 8 * s->lanes || s->salt_bytes < 8)
		return want(l, false, "keyslot", id, "costs of argon2 make no sense");
	return want(l, s->memory_kib <= ARGON2_MEMORY_MAX && s->iterations <= ARGON2_TIME_MAX &&
		    s->lanes <= ARGON2_LANES_MAX, "keyslot", id,
		    "costs of argon2 are beyond what anybody would wait for");
}

static int slot_area(struct ndm_luks *l, struct luks_slot *s, const struct tree *area, int id)
{
	uint64_t begin = 2 * l->header_bytes, end = begin + l->keyslots_bytes;
	int err = luks_tree_u64(area, "offset", &s->area_offset);

	err = err ? err : luks_tree_u64(area, "size", &s->area_bytes);
	return want(l, !err && s->area_bytes && s->area_offset >= begin && s->area_offset < end &&
		    s->area_bytes <= end - s->area_offset, "keyslot", id,
		    "its area lies outside of the keyslots' place");
}

static int slot_key(struct ndm_luks *l, struct luks_slot *s, const struct tree *t, int id)
{
	const struct tree *area = luks_tree_get(t, "area"), *af = luks_tree_get(t, "af");
	const char *type = luks_tree_text(area, "type");
	int err;

	err = want(l, type && !strcmp(type, "raw") &&
		   !get_text(area, "encryption", s->area_cipher, sizeof s->area_cipher) &&
		   !luks_tree_u32(area, "key_size", &s->area_key_bytes) && s->area_key_bytes &&
		   s->area_key_bytes <= NDM_LUKS_KEY_MAX, "keyslot", id,
		   "encryption of its area makes no sense");
	if (err)
		return err;
	type = luks_tree_text(af, "type");
	err = want(l, type && !strcmp(type, "luks1") &&
		   !get_text(af, "hash", s->af_hash, sizeof s->af_hash) &&
		   !luks_tree_u32(af, "stripes", &s->stripes) && s->stripes &&
		   s->stripes <= STRIPES_MAX, "keyslot", id, "its splitter makes no sense");
	err = err ? err : slot_kdf(l, s, luks_tree_get(t, "kdf"), id);
	return err ? err : want(l, luks_area_bytes(s->key_bytes, s->stripes) <= s->area_bytes,
				"keyslot", id, "its area is too small");
}

static int slot_decode(struct ndm_luks *l, const struct tree *t)
{
	int id = member_id(t, NDM_LUKS_SLOTS), err;
	const char *type = luks_tree_text(t, "type");
	const struct tree *area = luks_tree_get(t, "area");
	struct luks_slot *s;

	if (id < 0)
		return luks_fail(l, -EINVAL, "LUKS2: '%.20s' is no number of a keyslot", t->name);
	s = &l->slot[id];
	s->priority = 1;
	err = want(l, type && area && area->kind == TREE_OBJECT &&
		   !luks_tree_u32(t, "key_size", &s->key_bytes) && s->key_bytes &&
		   s->key_bytes <= NDM_LUKS_KEY_MAX, "keyslot", id, "type or key size make no sense");
	if (!err && luks_tree_get(t, "priority"))
		err = want(l, !luks_tree_u32(t, "priority", &s->priority) && s->priority <= 2,
			   "keyslot", id, "its priority makes no sense");
	err = err ? err : slot_area(l, s, area, id);
	if (err)
		return err;
	s->kind = SLOT_OTHER;			/* "reencrypt", or of the future */
	if (strcmp(type, "luks2"))
		return 0;
	s->kind = SLOT_KEY;
	return slot_key(l, s, t, id);
}

static int slots_apart(struct ndm_luks *l)
{
	unsigned i, j;

	for (i = 0; i < l->nslots; i++)
		for (j = 0; j < i; j++) {
			const struct luks_slot *a = &l->slot[i], *b = &l->slot[j];

			if (a->kind && b->kind && a->area_offset < b->area_offset + b->area_bytes &&
			    b->area_offset < a->area_offset + a->area_bytes)
				return luks_fail(l, -EINVAL, "LUKS2: keyslots %u and %u overlap", j, i);
		}
	return 0;
}

/* ---- segments ---- */

static int segment_crypt(struct ndm_luks *l, struct luks_segment *s, const struct tree *t, int id)
{
	const struct tree *integrity = luks_tree_get(t, "integrity");
	uint32_t b;
	int err = get_text(t, "encryption", s->cipher, sizeof s->cipher);

	err = err ? err : luks_tree_u64(t, "iv_tweak", &s->iv_tweak);
	err = err ? err : luks_tree_u32(t, "sector_size", &s->sector_bytes);
	b = s->sector_bytes;
	if (err || (b != 512 && b != 1024 && b != 2048 && b != 4096) || s->offset % 512 || s->bytes % b)
		return want(l, false, "segment", id, "its encryption makes no sense");
	if (!integrity)
		return 0;
	if (luks_tree_get(integrity, "key_size") &&
	    luks_tree_u32(integrity, "key_size", &s->integrity_key_bytes))
		return want(l, false, "segment", id, "the size of its MAC's key makes no sense");
	return want(l, !get_text(integrity, "type", s->integrity, sizeof s->integrity), "segment", id,
		    "its integrity makes no sense");
}

static int segment_decode(struct ndm_luks *l, const struct tree *t)
{
	int id = member_id(t, LUKS_SEGMENTS), err;
	const char *type = luks_tree_text(t, "type"), *size = luks_tree_text(t, "size");
	const struct tree *flags = luks_tree_get(t, "flags");
	struct luks_segment *s;

	if (id < 0)
		return luks_fail(l, -EINVAL, "LUKS2: '%.20s' is no number of a segment", t->name);
	s = &l->segment[id];
	s->used = true;
	s->sector_bytes = 512;
	s->hot = luks_tree_has_text(flags, "in-reencryption");
	s->backup = luks_tree_has_text(flags, "backup-previous") ||
		    luks_tree_has_text(flags, "backup-final") ||
		    luks_tree_has_text(flags, "backup-moved-segment");
	if (!type || !size || luks_tree_u64(t, "offset", &s->offset) ||
	    (strcmp(size, "dynamic") && (luks_tree_u64(t, "size", &s->bytes) || !s->bytes)) ||
	    s->offset > INT64_MAX || s->bytes > INT64_MAX)
		return want(l, false, "segment", id, "place or size make no sense");
	s->crypt = !strcmp(type, "crypt");
	if (!s->crypt && strcmp(type, "linear"))
		return want(l, false, "segment", id, "its type is not known");
	err = s->crypt ? segment_crypt(l, s, t, id) : 0;
	return err;
}

/* 0, 1, 2 ... without a gap, and only the last one may reach to the end of the device */
static int segments_in_order(struct ndm_luks *l)
{
	int i, last = -1;

	for (i = 0; i < LUKS_SEGMENTS; i++) {
		if (!l->segment[i].used || l->segment[i].backup)
			continue;
		if (i != last + 1)
			return want(l, false, "segment", i, "there is a gap before it");
		if (last >= 0 && !l->segment[last].bytes)
			return want(l, false, "segment", last, "it has no end, but another follows");
		last = i;
	}
	return last >= 0 ? 0 : luks_fail(l, -EINVAL, "LUKS2: there is no segment");
}

/* ---- digests, tokens ---- */

/* every element of the array is a member of `among` */
static bool names_known(const struct tree *array, const struct tree *among)
{
	const struct tree *c;

	if (!array || array->kind != TREE_ARRAY)
		return false;
	for (c = array->child; c; c = c->next)
		if (c->kind != TREE_STRING || !luks_tree_get(among, c->text))
			return false;
	return true;
}

static int digest_decode(struct ndm_luks *l, const struct tree *t)
{
	int id = member_id(t, LUKS_SEGMENTS), err;
	const char *type = luks_tree_text(t, "type");
	struct luks_digest *d;

	if (id < 0)
		return luks_fail(l, -EINVAL, "LUKS2: '%.20s' is no number of a digest", t->name);
	d = &l->digest[id];
	err = want(l, type && names_known(luks_tree_get(t, "keyslots"), luks_tree_get(l->json, "keyslots")) &&
		   names_known(luks_tree_get(t, "segments"), luks_tree_get(l->json, "segments")),
		   "digest", id, "it names a keyslot or segment that is not there");
	if (err || strcmp(type, "pbkdf2"))
		return err;
	err = get_text(t, "hash", d->hash, sizeof d->hash);
	err = err ? err : luks_tree_u32(t, "iterations", &d->iterations);
	err = err ? err : get_bytes(t, "salt", d->salt, sizeof d->salt, &d->salt_bytes);
	err = err ? err : get_bytes(t, "digest", d->digest, sizeof d->digest, &d->digest_bytes);
	d->used = true;
	return want(l, !err && d->digest_bytes >= 16 && d->iterations && d->iterations <= INT32_MAX,
		    "digest", id, "it makes no sense");
}

static int token_decode(struct ndm_luks *l, const struct tree *t)
{
	int id = member_id(t, NDM_LUKS_SLOTS);

	if (id < 0)
		return luks_fail(l, -EINVAL, "LUKS2: '%.20s' is no number of a token", t->name);
	return want(l, luks_tree_text(t, "type") &&
		    names_known(luks_tree_get(t, "keyslots"), luks_tree_get(l->json, "keyslots")),
		    "token", id, "it has no type, or names a keyslot that is not there");
}

/* ---- all ---- */

static int config_decode(struct ndm_luks *l, const struct tree *config)
{
	uint64_t json_bytes;

	if (luks_tree_u64(config, "json_size", &json_bytes) || json_bytes + 4096 != l->header_bytes)
		return luks_fail(l, -EINVAL, "LUKS2: the JSON area's size is not the header's");
	if (luks_tree_u64(config, "keyslots_size", &l->keyslots_bytes) ||
	    l->keyslots_bytes % 4096 || l->keyslots_bytes > 128u << 20)
		return luks_fail(l, -EINVAL, "LUKS2: the size of the keyslots' place makes no sense");
	return 0;
}

static int each(struct ndm_luks *l, const char *name, int (*fn)(struct ndm_luks *, const struct tree *))
{
	const struct tree *t = luks_tree_get(l->json, name), *c;
	int err = 0;

	if (!t || t->kind != TREE_OBJECT)
		return luks_fail(l, -EINVAL, "LUKS2: no object '%s'", name);
	for (c = t->child; c && !err; c = c->next)
		err = c->kind == TREE_OBJECT ? fn(l, c) :
		      luks_fail(l, -EINVAL, "LUKS2: a member of '%s' is no object", name);
	return err;
}

int luks2_decode(struct ndm_luks *l)
{
	int err;

	l->nslots = NDM_LUKS_SLOTS;
	ndm_secret_wipe(l->slot, sizeof l->slot);
	ndm_secret_wipe(l->digest, sizeof l->digest);
	ndm_secret_wipe(l->segment, sizeof l->segment);
	err = config_decode(l, luks_tree_get(l->json, "config"));
	err = err ? err : each(l, "keyslots", slot_decode);
	err = err ? err : slots_apart(l);
	err = err ? err : each(l, "segments", segment_decode);
	err = err ? err : segments_in_order(l);
	err = err ? err : each(l, "digests", digest_decode);
	return err ? err : each(l, "tokens", token_decode);
}
