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
#define SHIFT_MAX (1ull << 30)		/* bytes; a moved segment is worked at in one piece, in memory */

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

static int find_mode(struct ndm_luks *l, struct reencrypt *r)
{
	static const char *const modes[] = { "reencrypt", "encrypt", "decrypt" };
	const struct tree *slot = member(l, "keyslots", r->slot);
	const char *mode = luks_tree_text(slot, "mode"), *way = luks_tree_text(slot, "direction");
	int i;

	if (!mode || !way || (strcmp(way, "forward") && strcmp(way, "backward")))
		return luks_fail(l, -EINVAL, "LUKS2: the keyslot of the re-encryption makes no sense");
	r->backward = !strcmp(way, "backward");
	for (i = 0; i < 3; i++)
		if (!strcmp(mode, modes[i])) {
			r->mode = i;
			return 0;
		}
	return luks_fail(l, -EOPNOTSUPP, "the device is being changed by '%.20s': only cryptsetup can finish "
			 "that", mode);
}

static int find_area(struct ndm_luks *l, struct reencrypt *r)
{
	const struct tree *area = luks_tree_get(member(l, "keyslots", r->slot), "area");
	const char *type = luks_tree_text(area, "type"), *hash = luks_tree_text(area, "hash"), *how = type;

	if (!type)
		return luks_fail(l, -EINVAL, "LUKS2: the keyslot of the re-encryption makes no sense");
	r->area_offset = l->slot[r->slot].area_offset;
	r->area_bytes = l->slot[r->slot].area_bytes;
	if (!strncmp(type, "datashift", 9)) {
		if (luks_tree_u64(area, "shift_size", &r->shift) || !r->shift || r->shift % 512 ||
		    r->shift > SHIFT_MAX)
			return luks_fail(l, -EINVAL, "LUKS2: the shift of the re-encryption makes no sense");
		how = type[9] == '-' ? type + 10 : "none";
	}
	if (!strcmp(how, "none"))
		return 0;
	if (!strcmp(how, "journal")) {
		r->protection = PROTECT_JOURNAL;
		return 0;
	}
	if (strcmp(how, "checksum"))
		return luks_fail(l, -EOPNOTSUPP, "the re-encryption protects its data by '%.20s': only "
				 "cryptsetup can finish that", type);
	r->protection = PROTECT_CHECKSUM;
	if (!hash || !luks_plain_text(hash, sizeof r->hash) || luks_tree_u32(area, "sector_size", &r->block_bytes) ||
	    r->block_bytes < 512 || r->block_bytes > 1u << 20 || r->block_bytes & (r->block_bytes - 1))
		return luks_fail(l, -EINVAL, "LUKS2: the checksums of the re-encryption make no sense");
	snprintf(r->hash, sizeof r->hash, "%s", hash);
	return 0;
}

/* ---- places ---- */

uint64_t luks_reencrypt_old(const struct ndm_luks *l, const struct reencrypt *r, uint64_t at)
{
	return at + l->segment[at < r->head ? r->moved : r->previous].offset;
}

uint64_t luks_reencrypt_new(const struct ndm_luks *l, const struct reencrypt *r, uint64_t at)
{
	return at + l->segment[r->final].offset;
}

uint64_t luks_reencrypt_total(const struct ndm_luks *l, const struct reencrypt *r, uint64_t device)
{
	const struct luks_segment *a = &l->segment[r->previous], *b = &l->segment[r->final];
	uint64_t total = a->bytes ? a->bytes : b->bytes;

	if (!total && a->offset < device && b->offset < device)
		total = device - (a->offset > b->offset ? a->offset : b->offset);
	if (total > INT64_MAX || total > device || a->offset > device - total || b->offset > device - total ||
	    total < r->head || (r->head && (l->segment[r->moved].offset > device ||
					    r->head > device - l->segment[r->moved].offset)))
		return 0;
	return total;
}

/* Is this segment, with what lies at byte `at` of the data, where it has to be? */
static bool in_place(const struct ndm_luks *l, const struct reencrypt *r, const struct luks_segment *s,
		     bool old, uint64_t at)
{
	const struct luks_segment *whole = &l->segment[old ? r->previous : r->final];

	return s->crypt == whole->crypt && at % 512 == 0 &&
	       s->offset == (old ? luks_reencrypt_old(l, r, at) : luks_reencrypt_new(l, r, at)) &&
	       (!s->crypt || s->iv_tweak == whole->iv_tweak + (at >> 9));
}

/* Which segments are old, new, at work: how far it is. */
static int find_place(struct ndm_luks *l, struct reencrypt *r)
{
	uint64_t at = 0;
	bool any = false, good = true, old;
	int i;

	for (i = 0; i < LUKS_SEGMENTS && l->segment[i].used && !l->segment[i].backup; i++) {
		const struct luks_segment *s = &l->segment[i];

		old = !s->hot && (r->mode == MODE_REENCRYPT ? digest_of(l, "segments", i) == r->digest_old :
				  s->crypt == (r->mode == MODE_DECRYPT));
		good = good && in_place(l, r, s, old, at) && (s->bytes || !s->hot);
		if (s->hot && r->hot)
			good = false;
		if (s->hot) {
			r->at = at;
			r->hot = s->bytes;
		} else if (old && r->mode == MODE_DECRYPT && !at && r->head) {
			r->head_left = true;
			good = good && s->bytes == r->head;
		} else if (old) {
			good = good && (!any || r->high == at);
			r->low = any ? r->low : at;
			r->high = s->bytes ? at + s->bytes : UINT64_MAX;
			any = true;
		}
		at += s->bytes;
	}
	/* there is an order in which it is done */
	if (any && r->mode == MODE_DECRYPT && r->shift)
		good = good && r->low >= r->head && r->head_left && (!r->hot || r->at + r->hot == r->low);
	else if (any)
		good = good && (r->backward ? !r->low : !r->hot || r->at + r->hot == r->low);
	return good && i && r->hot <= 1ull << 40 ? 0 :
		luks_fail(l, -EINVAL, "LUKS2: the segments of the re-encryption make no sense");
}

/* A shift comes with a moved segment, and its direction with it. */
static bool shift_known(const struct ndm_luks *l, const struct reencrypt *r)
{
	const struct luks_segment *a = &l->segment[r->final], *b = &l->segment[r->previous];
	const struct luks_segment *m = &l->segment[r->moved < 0 ? 0 : r->moved];

	if (!r->shift)
		return r->moved < 0 && a->offset == b->offset && a->bytes == b->bytes;
	if (r->moved < 0 || m->crypt != b->crypt || !m->bytes || m->bytes > r->shift)
		return false;
	if (r->mode == MODE_ENCRYPT)
		return r->backward && !b->offset && b->bytes && !a->bytes && a->offset == r->shift &&
		       m->bytes == r->shift && m->offset >= a->offset + b->bytes;
	return r->mode == MODE_DECRYPT && !r->backward && !a->offset && b->offset == r->shift && !m->offset &&
	       m->iv_tweak == b->iv_tweak && !a->bytes;
}

static bool digests_known(const struct ndm_luks *l, const struct reencrypt *r)
{
	bool a = l->segment[r->final].crypt, b = l->segment[r->previous].crypt;

	return a == (r->mode != MODE_DECRYPT) && b == (r->mode != MODE_ENCRYPT) && a == (r->digest_new >= 0) &&
	       b == (r->digest_old >= 0) && r->digest_new != r->digest_old;
}

int luks_reencrypt_find(struct ndm_luks *l, struct reencrypt *r)
{
	int err;

	*r = (struct reencrypt){ .slot = l->version == 2 ? slot_of_type(l) : -1 };
	if (r->slot < 0)
		return luks_fail(l, -ENOENT, "Device is not in reencryption.");
	r->final = segment_of_flag(l, "backup-final");
	r->previous = segment_of_flag(l, "backup-previous");
	r->moved = segment_of_flag(l, "backup-moved-segment");
	if (r->final < 0 || r->previous < 0)
		return luks_fail(l, -EINVAL, "LUKS2: the segments of the re-encryption make no sense");
	r->head = r->moved < 0 ? 0 : l->segment[r->moved].bytes;
	r->digest_new = digest_of(l, "segments", r->final);
	r->digest_old = digest_of(l, "segments", r->previous);
	r->digest_self = digest_of(l, "keyslots", r->slot);
	err = find_mode(l, r);
	err = err ? err : find_area(l, r);
	if (err)
		return err;
	if (!digests_known(l, r) || !shift_known(l, r) || *l->segment[r->final].integrity ||
	    *l->segment[r->previous].integrity)
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
	be64_put(bytes, v);
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
	be32_put(bytes, v);
	put(b, bytes, sizeof bytes);
}

static void put_segment(struct blob *b, const struct tree *t)
{
	put_text(b, t, "type");
	put_u64(b, t, "offset");
	put_u64(b, t, "size");
	if (luks_tree_text(t, "type") && !strcmp(luks_tree_text(t, "type"), "linear"))
		return;
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

int luks_reencrypt_verify(struct ndm_luks *l, const struct reencrypt *r, const struct ndm_luks_keys *k)
{
	const struct tree *slot = member(l, "keyslots", r->slot), *area = luks_tree_get(slot, "area");
	char head[2] = { 'v', version_letter(l) };
	struct luks_digest *d = &l->digest[r->digest_self];
	struct blob b = { .bytes = ndm_secret_alloc(BLOB_MAX) };
	int err = -EINVAL;

	if (!b.bytes)
		return luks_fail(l, -ENOMEM, "no memory");
	put(&b, head, 2);
	if (r->digest_old >= 0)
		put(&b, k->old, k->old_bytes);
	if (r->digest_new >= 0)
		put(&b, k->fresh, k->fresh_bytes);
	put_text(&b, slot, "mode");
	put_text(&b, slot, "direction");
	put_text(&b, area, "type");
	put_u64(&b, area, "offset");
	put_u64(&b, area, "size");
	if (r->protection == PROTECT_CHECKSUM) {
		put_text(&b, area, "hash");
		put_u32(&b, area, "sector_size");
	}
	if (r->shift)
		put_u64(&b, area, "shift_size");
	put_segment(&b, member(l, "segments", r->previous));
	put_segment(&b, member(l, "segments", r->final));
	if (r->moved >= 0)
		put_segment(&b, member(l, "segments", r->moved));
	if (!b.bad && head[1] && d->digest_bytes)
		err = luks_check_digest(d, b.bytes, b.n);
	else if (!b.bad && head[1])		/* it is being made */
		err = ndm_pbkdf2(d->hash, b.bytes, b.n, d->salt, d->salt_bytes, d->iterations, d->digest, 32);
	ndm_secret_free(b.bytes, BLOB_MAX);
	return err ? luks_fail(l, -EINVAL, "Reencryption metadata is invalid.") : 0;
}

/* ---- moving on ---- */

/* A part of segment s that lies at `offset`, from byte `from` of the data; bytes 0: to its end */
static struct tree *part(const struct luks_segment *s, uint64_t offset, uint64_t from, uint64_t bytes, bool hot)
{
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL), *flags;
	int err = t ? 0 : -ENOMEM;

	err = err ? err : luks_tree_set_text(t, "type", s->crypt ? "crypt" : "linear");
	err = err ? err : luks_tree_set_u64(t, "offset", offset);
	if (!err && bytes)
		err = luks_tree_set_u64(t, "size", bytes);
	else if (!err)
		err = luks_tree_set_text(t, "size", "dynamic");
	if (!err && s->crypt) {
		err = luks_tree_set_u64(t, "iv_tweak", s->iv_tweak + (from >> 9));
		err = err ? err : luks_tree_set_text(t, "encryption", s->cipher);
		err = err ? err : luks_tree_set_number(t, "sector_size", s->sector_bytes);
	}
	if (!err && hot) {
		flags = luks_tree_new(TREE_ARRAY, NULL);
		err = luks_tree_add(flags, luks_tree_new(TREE_STRING, "in-reencryption"));
		err = luks_tree_set(t, "flags", flags) || err ? -ENOMEM : 0;
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
	if (digest_list)
		s->err = s->err ? s->err : luks_tree_add(digest_list, luks_tree_new(TREE_STRING, name));
}

static void segments_begin(struct segments *s)
{
	*s = (struct segments){ .all = luks_tree_new(TREE_OBJECT, NULL),
				.of_old = luks_tree_new(TREE_ARRAY, NULL),
				.of_new = luks_tree_new(TREE_ARRAY, NULL) };
}

static int list_put(struct ndm_luks *l, int digest, struct tree *list)
{
	if (digest >= 0)
		return luks_tree_set(member(l, "digests", digest), "segments", list);
	luks_tree_free(list);
	return 0;
}

/* Into the header's tree; a digest that is none of the two has no segments. */
static int segments_put(struct ndm_luks *l, const struct reencrypt *r, struct segments *s)
{
	int err = s->err;

	if (err) {
		luks_tree_free(s->all);
		luks_tree_free(s->of_old);
		luks_tree_free(s->of_new);
	} else {
		err = luks_tree_set(l->json, "segments", s->all);
		err |= list_put(l, r->digest_new, s->of_new);
		err |= list_put(l, r->digest_old, s->of_old);
	}
	return err ? luks_fail(l, -ENOMEM, "no memory for the segments") : 0;
}

enum piece { PIECE_NEW, PIECE_HOT, PIECE_OLD };

static enum piece piece_at(const struct reencrypt *r, uint64_t at)
{
	if (r->hot && at >= r->at && at - r->at < r->hot)
		return PIECE_HOT;
	if ((at >= r->low && at < r->high) || (r->head_left && at < r->head))
		return PIECE_OLD;
	return PIECE_NEW;
}

/* The next byte at which something else begins. */
static uint64_t piece_end(const struct reencrypt *r, uint64_t at, uint64_t total)
{
	const uint64_t ends[] = { r->head, r->low, r->high, r->at, r->at + r->hot };
	uint64_t end = total;
	unsigned i;

	for (i = 0; i < sizeof ends / sizeof *ends; i++)
		if (ends[i] > at && ends[i] < end)
			end = ends[i];
	return end;
}

static void pieces_add(struct ndm_luks *l, const struct reencrypt *r, uint64_t total, struct segments *s)
{
	const struct luks_segment *final = &l->segment[r->final], *previous = &l->segment[r->previous];
	bool open_end = !final->bytes && (!previous->bytes || reencrypt_all_done(r));
	uint64_t at, end;
	enum piece what;

	for (at = 0; at < total; at = end) {
		bool moved = at < r->head && r->head_left;

		what = piece_at(r, at);
		end = piece_end(r, at, total);
		while (end < total && piece_at(r, end) == what && (what != PIECE_OLD || end != r->head))
			end = piece_end(r, end, total);
		segments_add(s, part(what == PIECE_OLD ? previous : final,
				     what == PIECE_OLD ? luks_reencrypt_old(l, r, at) : luks_reencrypt_new(l, r, at), at,
				     end == total && open_end && what != PIECE_HOT && !(moved && what == PIECE_OLD) ?
				     0 : end - at, what == PIECE_HOT),
			     what == PIECE_OLD ? (previous->crypt ? s->of_old : NULL) :
						 (final->crypt ? s->of_new : NULL));
	}
}

int luks_reencrypt_set(struct ndm_luks *l, const struct reencrypt *r, uint64_t total)
{
	bool a = l->segment[r->previous].crypt, b = l->segment[r->final].crypt;
	struct segments s;

	segments_begin(&s);
	pieces_add(l, r, total, &s);
	segments_add(&s, luks_tree_copy(member(l, "segments", r->final)), b ? s.of_new : NULL);
	segments_add(&s, luks_tree_copy(member(l, "segments", r->previous)), a ? s.of_old : NULL);
	if (r->moved >= 0)
		segments_add(&s, luks_tree_copy(member(l, "segments", r->moved)), a ? s.of_old : NULL);
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
	const struct luks_segment *final = &l->segment[r->final];
	struct segments s;
	char name[12];
	int i, err;

	segments_begin(&s);
	segments_add(&s, part(final, final->offset, 0, final->bytes, false), final->crypt ? s.of_new : NULL);
	err = segments_put(l, r, &s);
	for (i = 0; i < (int)l->nslots && !err; i++)
		if (l->slot[i].kind == SLOT_KEY &&
		    (r->mode == MODE_DECRYPT ||
		     (r->digest_old >= 0 && digest_of(l, "keyslots", i) == r->digest_old)))
			luks_slot_from_tree(l, i);
	luks_slot_from_tree(l, r->slot);
	for (i = 0; i < LUKS_SEGMENTS; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (i == r->digest_old || i == r->digest_self || r->mode == MODE_DECRYPT)
			luks_tree_remove(luks_tree_get(l->json, "digests"), name);
	}
	return err ? err : requirement_drop(l);
}
