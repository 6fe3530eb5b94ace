/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt-json.c - a re-encryption as the header has it: read, verified, its segments moved on,
 * and taken out again at the end.  Nothing here writes the header.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/luks/reencrypt.h"

#define BLOB_MAX 4096			/* two keys, and some words */

/* ---- finding ---- */

static struct tree *member(struct ndm_luks *l, const char *list, int id)
{
	char name[12];

	snprintf(name, sizeof name, "%d", id);
	return luks_tree_get(luks_tree_get(l->json, list), name);
}

static int segment_of_flag(struct ndm_luks *l, const char *flag)
{
	int i;

	for (i = 0; i < LUKS_SEGMENTS; i++)
		if (l->segment[i].used &&
		    luks_tree_has_text(luks_tree_get(member(l, "segments", i), "flags"), flag))
			return i;
	return -1;
}

/* The digest that has `id` in its list of "keyslots" or "segments". */
static int digest_of(struct ndm_luks *l, const char *list, int id)
{
	char name[12];
	int i;

	snprintf(name, sizeof name, "%d", id);
	for (i = 0; i < LUKS_SEGMENTS; i++)
		if (l->digest[i].used && luks_tree_has_text(luks_tree_get(member(l, "digests", i), list), name))
			return i;
	return -1;
}

static int slot_of_type(struct ndm_luks *l)
{
	const char *type;
	int i;

	for (i = 0; i < (int)l->nslots; i++) {
		type = luks_tree_text(member(l, "keyslots", i), "type");
		if (type && !strcmp(type, "reencrypt"))
			return i;
	}
	return -1;
}

static int find_area(struct ndm_luks *l, struct reencrypt *r)
{
	const struct tree *slot = member(l, "keyslots", r->slot), *area = luks_tree_get(slot, "area");
	const char *mode = luks_tree_text(slot, "mode"), *way = luks_tree_text(slot, "direction");
	const char *type = luks_tree_text(area, "type"), *hash = luks_tree_text(area, "hash");

	if (!mode || !way || !type)
		return luks_fail(l, -EINVAL, "LUKS2: the keyslot of the re-encryption makes no sense");
	if (strcmp(mode, "reencrypt") || strcmp(way, "forward"))
		return luks_fail(l, -EOPNOTSUPP, "the device is being changed by '%.20s', direction "
				 "'%.20s': only cryptsetup can finish that", mode, way);
	r->area_offset = l->slot[r->slot].area_offset;
	r->area_bytes = l->slot[r->slot].area_bytes;
	if (!strcmp(type, "none"))
		return 0;
	if (!strcmp(type, "journal")) {
		r->protection = PROTECT_JOURNAL;
		return 0;
	}
	if (strcmp(type, "checksum"))
		return luks_fail(l, -EOPNOTSUPP, "the re-encryption protects its data by '%.20s': only "
				 "cryptsetup can finish that", type);
	r->protection = PROTECT_CHECKSUM;
	if (!hash || !luks_plain_text(hash, sizeof r->hash) || luks_tree_u32(area, "sector_size", &r->block_bytes) ||
	    r->block_bytes < 512 || r->block_bytes > 1u << 20 || r->block_bytes & (r->block_bytes - 1))
		return luks_fail(l, -EINVAL, "LUKS2: the checksums of the re-encryption make no sense");
	snprintf(r->hash, sizeof r->hash, "%s", hash);
	return 0;
}

/* 0 new, 0 or 1 at work, 0 or 1 old: how far that is */
static int find_place(struct ndm_luks *l, struct reencrypt *r)
{
	const struct luks_segment *final = &l->segment[r->final];
	int i, n = 0, hot = -1;

	for (i = 0; i < LUKS_SEGMENTS; i++) {
		if (!l->segment[i].used || l->segment[i].backup)
			continue;
		if (l->segment[i].hot)
			hot = i;
		n++;
	}
	if (hot >= 0) {
		r->hot = l->segment[hot].bytes;
		r->done = l->segment[hot].offset - final->offset;
		if (l->segment[hot].offset < final->offset || !r->hot || r->hot > 1ull << 40)
			n = -1;
	} else if (n == 2) {
		r->done = l->segment[0].bytes;
	} else if (n == 1) {
		r->all_done = digest_of(l, "segments", 0) == r->digest_new;
	}
	return n < 1 || n > 3 || (n == 3 && hot != 1) ?
		luks_fail(l, -EINVAL, "LUKS2: the segments of the re-encryption make no sense") : 0;
}

int luks_reencrypt_find(struct ndm_luks *l, struct reencrypt *r)
{
	const struct luks_segment *a, *b;
	int err;

	*r = (struct reencrypt){ .slot = l->version == 2 ? slot_of_type(l) : -1 };
	if (r->slot < 0)
		return luks_fail(l, -ENOENT, "Device is not in reencryption.");
	r->final = segment_of_flag(l, "backup-final");
	r->previous = segment_of_flag(l, "backup-previous");
	if (r->final < 0 || r->previous < 0)
		return luks_fail(l, -EINVAL, "LUKS2: the segments of the re-encryption make no sense");
	a = &l->segment[r->final];
	b = &l->segment[r->previous];
	r->digest_new = digest_of(l, "segments", r->final);
	r->digest_old = digest_of(l, "segments", r->previous);
	r->digest_self = digest_of(l, "keyslots", r->slot);
	err = find_area(l, r);
	if (err)
		return err;
	if (!a->crypt || !b->crypt || *a->integrity || *b->integrity || a->offset != b->offset ||
	    a->bytes != b->bytes || r->digest_new < 0 || r->digest_old < 0 || r->digest_new == r->digest_old)
		return luks_fail(l, -EOPNOTSUPP, "this kind of re-encryption only cryptsetup can finish");
	if (r->digest_self < 0)
		return luks_fail(l, -EOPNOTSUPP, "the re-encryption has no digest, as old versions of "
				 "cryptsetup left it: only 'cryptsetup repair' can go on with it");
	return find_place(l, r);
}

/* ---- the digest that ties it together ---- */

struct blob { uint8_t *bytes; size_t n; bool bad; };

static void put(struct blob *b, const void *bytes, size_t n)
{
	if (n > BLOB_MAX - b->n) {
		b->bad = true;
		return;
	}
	memcpy(b->bytes + b->n, bytes, n);
	b->n += n;
}

static void put_text(struct blob *b, const struct tree *t, const char *name)
{
	const char *text = luks_tree_text(t, name);

	b->bad |= !text;
	if (text)
		put(b, text, strlen(text));
}

/* big-endian; "dynamic" stays a word */
static void put_u64(struct blob *b, const struct tree *t, const char *name)
{
	const char *text = luks_tree_text(t, name);
	uint8_t bytes[8];
	uint64_t v;

	if (text && !strcmp(text, "dynamic")) {
		put_text(b, t, name);
		return;
	}
	if (luks_tree_u64(t, name, &v)) {
		b->bad = true;
		return;
	}
	put_be64(bytes, v);
	put(b, bytes, sizeof bytes);
}

static void put_u32(struct blob *b, const struct tree *t, const char *name)
{
	uint8_t bytes[4];
	uint32_t v;

	if (luks_tree_u32(t, name, &v)) {
		b->bad = true;
		return;
	}
	put_be32(bytes, v);
	put(b, bytes, sizeof bytes);
}

static void put_segment(struct blob *b, const struct tree *t)
{
	put_text(b, t, "type");
	put_u64(b, t, "offset");
	put_u64(b, t, "size");
	put_u64(b, t, "iv_tweak");
	put_text(b, t, "encryption");
	put_u32(b, t, "sector_size");
}

/* "online-reencrypt-v2" -> '2' */
static char version_letter(struct ndm_luks *l)
{
	const struct tree *c = luks_tree_get(luks_tree_get(luks_tree_get(l->json, "config"), "requirements"),
					     "mandatory");

	for (c = c ? c->child : NULL; c; c = c->next)
		if (c->kind == TREE_STRING && !strncmp(c->text, "online-reencrypt-v", 18))
			return c->text[18];
	return 0;
}

int luks_reencrypt_verify(struct ndm_luks *l, const struct reencrypt *r, const uint8_t *old,
			  size_t old_bytes, const uint8_t *fresh, size_t fresh_bytes)
{
	const struct tree *slot = member(l, "keyslots", r->slot), *area = luks_tree_get(slot, "area");
	char head[2] = { 'v', version_letter(l) };
	struct luks_digest *d = &l->digest[r->digest_self];
	struct blob b = { .bytes = ndm_secret_alloc(BLOB_MAX) };
	int err = -EINVAL;

	if (!b.bytes)
		return luks_fail(l, -ENOMEM, "no memory");
	put(&b, head, 2);
	put(&b, old, old_bytes);
	put(&b, fresh, fresh_bytes);
	put_text(&b, slot, "mode");
	put_text(&b, slot, "direction");
	put_text(&b, area, "type");
	put_u64(&b, area, "offset");
	put_u64(&b, area, "size");
	if (r->protection == PROTECT_CHECKSUM) {
		put_text(&b, area, "hash");
		put_u32(&b, area, "sector_size");
	}
	put_segment(&b, member(l, "segments", r->previous));
	put_segment(&b, member(l, "segments", r->final));
	if (!b.bad && head[1] && d->digest_bytes)
		err = luks_check_digest(d, b.bytes, b.n);
	else if (!b.bad && head[1])		/* it is being made */
		err = ndm_pbkdf2(d->hash, b.bytes, b.n, d->salt, d->salt_bytes, d->iterations, d->digest, 32);
	ndm_secret_free(b.bytes, BLOB_MAX);
	return err ? luks_fail(l, -EINVAL, "Reencryption metadata is invalid.") : 0;
}

/* ---- moving on ---- */

/* A part of segment s, from byte `from`; bytes 0: to its end */
static struct tree *part(const struct luks_segment *s, uint64_t from, uint64_t bytes, bool hot)
{
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL), *flags;
	int err = t ? 0 : -ENOMEM;

	if (!bytes && s->bytes)
		bytes = s->bytes - from;
	err = err ? err : luks_tree_set_text(t, "type", "crypt");
	err = err ? err : luks_tree_set_u64(t, "offset", s->offset + from);
	if (!err && bytes)
		err = luks_tree_set_u64(t, "size", bytes);
	else if (!err)
		err = luks_tree_set_text(t, "size", "dynamic");
	err = err ? err : luks_tree_set_u64(t, "iv_tweak", s->iv_tweak + (from >> 9));
	err = err ? err : luks_tree_set_text(t, "encryption", s->cipher);
	err = err ? err : luks_tree_set_number(t, "sector_size", s->sector_bytes);
	if (!err && hot) {
		flags = luks_tree_new(TREE_ARRAY, NULL);
		err = luks_tree_add(flags, luks_tree_new(TREE_STRING, "in-reencryption"));
		err = err ? err : luks_tree_set(t, "flags", flags);
	}
	if (!err)
		return t;
	luks_tree_free(t);
	return NULL;
}

struct segments { struct tree *all, *of_old, *of_new; int n, err; };

static void segments_add(struct segments *s, struct tree *segment, struct tree *digest_list)
{
	char name[12];

	snprintf(name, sizeof name, "%d", s->n++);
	s->err = s->err ? s->err : luks_tree_set(s->all, name, segment);
	s->err = s->err ? s->err : luks_tree_add(digest_list, luks_tree_new(TREE_STRING, name));
}

static void segments_begin(struct segments *s)
{
	*s = (struct segments){ .all = luks_tree_new(TREE_OBJECT, NULL),
				.of_old = luks_tree_new(TREE_ARRAY, NULL),
				.of_new = luks_tree_new(TREE_ARRAY, NULL) };
}

/* Into the header's tree; a digest that is none of the two has no segments. */
static int segments_put(struct ndm_luks *l, const struct reencrypt *r, struct segments *s)
{
	if (s->err) {
		luks_tree_free(s->all);
		luks_tree_free(s->of_old);
		luks_tree_free(s->of_new);
		return luks_fail(l, -ENOMEM, "no memory for the segments");
	}
	s->err = luks_tree_set(l->json, "segments", s->all);
	s->err |= luks_tree_set(member(l, "digests", r->digest_new), "segments", s->of_new);
	s->err |= luks_tree_set(member(l, "digests", r->digest_old), "segments", s->of_old);
	return s->err ? luks_fail(l, -ENOMEM, "no memory for the segments") : 0;
}

int luks_reencrypt_set(struct ndm_luks *l, const struct reencrypt *r, uint64_t done, uint64_t hot,
		       uint64_t total)
{
	const struct luks_segment *final = &l->segment[r->final], *previous = &l->segment[r->previous];
	struct segments s;

	segments_begin(&s);
	if (done)
		segments_add(&s, part(final, 0, done, false), s.of_new);
	if (hot)
		segments_add(&s, part(final, done, hot, true), s.of_new);
	if (done + hot < total)
		segments_add(&s, part(previous, done + hot, 0, false), s.of_old);
	segments_add(&s, luks_tree_copy(member(l, "segments", r->final)), s.of_new);
	segments_add(&s, luks_tree_copy(member(l, "segments", r->previous)), s.of_old);
	return segments_put(l, r, &s);
}

static int requirement_drop(struct ndm_luks *l)
{
	struct tree *config = luks_tree_get(l->json, "config");
	struct tree *needs = luks_tree_get(config, "requirements"), *list = luks_tree_get(needs, "mandatory");
	struct tree *c;

again:
	for (c = list ? list->child : NULL; c; c = c->next)
		if (c->kind == TREE_STRING && !strncmp(c->text, "online-reencrypt", 16)) {
			char text[64];

			snprintf(text, sizeof text, "%s", c->text);
			luks_tree_remove_text(list, text);
			goto again;
		}
	if (list && !list->child)
		luks_tree_remove(needs, "mandatory");
	if (needs && !needs->child)
		luks_tree_remove(config, "requirements");
	return 0;
}

int luks_reencrypt_end(struct ndm_luks *l, const struct reencrypt *r)
{
	struct segments s;
	char name[12];
	int i, err;

	segments_begin(&s);
	segments_add(&s, part(&l->segment[r->final], 0, 0, false), s.of_new);
	err = segments_put(l, r, &s);
	for (i = 0; i < (int)l->nslots && !err; i++)
		if (l->slot[i].kind == SLOT_KEY && digest_of(l, "keyslots", i) == r->digest_old)
			luks_slot_from_tree(l, i);
	luks_slot_from_tree(l, r->slot);
	snprintf(name, sizeof name, "%d", r->digest_old);
	luks_tree_remove(luks_tree_get(l->json, "digests"), name);
	snprintf(name, sizeof name, "%d", r->digest_self);
	luks_tree_remove(luks_tree_get(l->json, "digests"), name);
	return err ? err : requirement_drop(l);
}
