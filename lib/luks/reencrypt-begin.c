/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt-begin.c - the header learns that its device is to get another key, its first, or none:
 * digests, keyslots and segments for it.  All in one write of the header; where the data has to
 * move, its head is copied before that.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/reencrypt.h"

static int digest_free(struct ndm_luks *l)
{
	char name[12];
	int i;

	for (i = 0; i < LUKS_SEGMENTS; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (!luks_tree_get(luks_tree_get(l->json, "digests"), name))
			return i;
	}
	return luks_fail(l, -ENOSPC, "no room for another digest");
}

/* Into struct and tree; digest_bytes 0: it is not known yet.  `slot` -1: of none */
static int digest_put(struct ndm_luks *l, int id, int slot)
{
	struct luks_digest *d = &l->digest[id];
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL), *slots = luks_tree_new(TREE_ARRAY, NULL);
	char text[4 * ((NDM_HASH_MAX + 2) / 3) + 1], name[12];
	int err = t ? 0 : -ENOMEM;

	snprintf(name, sizeof name, "%d", slot);
	if (slot >= 0)
		err |= luks_tree_add(slots, luks_tree_new(TREE_STRING, name));
	err |= luks_tree_set_text(t, "type", "pbkdf2");
	err |= luks_tree_set(t, "keyslots", slots);
	err |= luks_tree_set(t, "segments", luks_tree_new(TREE_ARRAY, NULL));
	err |= luks_tree_set_text(t, "hash", d->hash);
	err |= luks_tree_set_number(t, "iterations", d->iterations);
	luks_base64_encode(d->salt, d->salt_bytes, text);
	err |= luks_tree_set_text(t, "salt", text);
	luks_base64_encode(d->digest, d->digest_bytes, text);
	err |= luks_tree_set_text(t, "digest", text);
	snprintf(name, sizeof name, "%d", id);
	if (err)
		luks_tree_free(t);
	else
		err = luks_tree_set(luks_tree_get(l->json, "digests"), name, t);
	return err ? luks_fail(l, -ENOMEM, "no memory for a digest") : 0;
}

static int digest_begin(struct ndm_luks *l, const struct ndm_luks_reencrypt *want)
{
	int id = digest_free(l);
	struct luks_digest *d = &l->digest[id < 0 ? 0 : id];

	if (id < 0)
		return id;
	*d = (struct luks_digest){ .used = true, .salt_bytes = 32 };
	d->iterations = want->digest_iterations > 1000 ? want->digest_iterations : 1000;
	snprintf(d->hash, sizeof d->hash, "sha256");
	return ndm_secret_random(d->salt, d->salt_bytes) ? luks_fail(l, -EIO, "no random numbers to be had") : id;
}

static int digest_of_new(struct ndm_luks *l, const struct ndm_luks_reencrypt *want,
			 const struct ndm_luks_keys *k)
{
	int id = digest_begin(l, want), err;
	struct luks_digest *d = &l->digest[id < 0 ? 0 : id];

	if (id < 0)
		return id;
	err = ndm_pbkdf2(d->hash, k->fresh, k->fresh_bytes, d->salt, d->salt_bytes, d->iterations, d->digest, 32);
	d->digest_bytes = 32;
	err = err ? luks_fail(l, err, "no digest of the new key") : digest_put(l, id, -1);
	return err ? err : id;
}

/* The largest gap between the areas. */
static void largest_gap(const struct ndm_luks *l, uint64_t *offset, uint64_t *bytes)
{
	uint64_t begin = 2 * l->header_bytes, end = begin + l->keyslots_bytes, at, stop;
	int i, k;

	*bytes = 0;
	for (i = -1; i < (int)l->nslots; i++) {
		if (i >= 0 && l->slot[i].kind == SLOT_NONE)
			continue;
		at = i < 0 ? begin : l->slot[i].area_offset + l->slot[i].area_bytes;
		stop = end;
		for (k = 0; k < (int)l->nslots; k++)
			if (l->slot[k].kind && l->slot[k].area_offset >= at && l->slot[k].area_offset < stop)
				stop = l->slot[k].area_offset;
		if (stop - at > *bytes) {
			*offset = at;
			*bytes = stop - at;
		}
	}
}

static int slot_put(struct ndm_luks *l, const struct ndm_luks_reencrypt *want, struct reencrypt *r)
{
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL), *area = luks_tree_new(TREE_OBJECT, NULL);
	static const char *const modes[] = { "reencrypt", "encrypt", "decrypt" };
	char name[12], type[32];
	int err = t && area ? 0 : -ENOMEM;

	largest_gap(l, &r->area_offset, &r->area_bytes);
	if (r->area_bytes < 4096)
		err = -ENOSPC;
	if (r->mode == MODE_ENCRYPT && r->shift)
		r->area_bytes = 4096;		/* nothing is ever in it */
	snprintf(type, sizeof type, "%s%s%s", r->shift ? "datashift" : "", r->shift && r->protection ? "-" : "",
		 r->protection ? want->resilience : "");
	err = err ? err : luks_tree_set_text(area, "type", type);
	if (!err && r->shift)
		err = luks_tree_set_u64(area, "shift_size", r->shift);
	if (!err && r->protection == PROTECT_CHECKSUM) {
		err = luks_tree_set_text(area, "hash", r->hash);
		err = err ? err : luks_tree_set_number(area, "sector_size", r->block_bytes);
	}
	err = err ? err : luks_tree_set_u64(area, "offset", r->area_offset);
	err = err ? err : luks_tree_set_u64(area, "size", r->area_bytes);
	err = err ? err : luks_tree_set_text(t, "type", "reencrypt");
	err = err ? err : luks_tree_set_number(t, "key_size", 1);	/* must be there */
	err = err ? err : luks_tree_set_number(t, "priority", 0);
	err = err ? err : luks_tree_set_text(t, "mode", modes[r->mode]);
	err = err ? err : luks_tree_set_text(t, "direction", r->backward ? "backward" : "forward");
	if (err) {
		luks_tree_free(t);
		luks_tree_free(area);
		return luks_fail(l, err, err == -ENOSPC ? "No space for the keyslot of the re-encryption."
							 : "no memory for a keyslot");
	}
	snprintf(name, sizeof name, "%d", r->slot);
	err = luks_tree_set(t, "area", area);
	err = luks_tree_set(luks_tree_get(l->json, "keyslots"), name, t) || err ? -ENOMEM : 0;
	return err ? luks_fail(l, err, "no memory for a keyslot") : 0;
}

/* A whole segment with a flag; like: of which the rest is taken, NULL: a linear one. */
static struct tree *backup(const struct tree *like, const char *flag, uint64_t offset, uint64_t bytes)
{
	struct tree *t = like ? luks_tree_copy(like) : luks_tree_new(TREE_OBJECT, NULL), *flags;
	int err = t ? 0 : -ENOMEM;

	if (!like)
		err = err ? err : luks_tree_set_text(t, "type", "linear");
	err = err ? err : luks_tree_set_u64(t, "offset", offset);
	if (!err && bytes)
		err = luks_tree_set_u64(t, "size", bytes);
	else if (!err)
		err = luks_tree_set_text(t, "size", "dynamic");
	flags = luks_tree_new(TREE_ARRAY, NULL);
	err = luks_tree_add(flags, luks_tree_new(TREE_STRING, flag)) || err ? -ENOMEM : 0;
	err = luks_tree_set(t, "flags", flags) || err ? -ENOMEM : 0;
	if (!err)
		return t;
	luks_tree_free(t);
	return NULL;
}

/* How it shall be, how it was, and what was moved, behind segment 0. */
static int backups_put(struct ndm_luks *l, const struct ndm_luks_reencrypt *want, const struct reencrypt *r,
		       uint64_t total)
{
	struct tree *segments = luks_tree_get(l->json, "segments"), *now = luks_tree_get(segments, "0"), *t;
	const struct luks_segment *s = &l->segment[0];
	bool up = r->mode == MODE_ENCRYPT && r->shift, down = r->mode == MODE_DECRYPT && r->shift;
	int err;

	t = backup(r->mode == MODE_DECRYPT ? NULL : now, "backup-final", down ? 0 : s->offset, s->bytes);
	err = t ? 0 : -ENOMEM;
	if (!err && r->mode == MODE_REENCRYPT) {
		err = luks_tree_set_text(t, "encryption", want->cipher);
		err = err ? err : luks_tree_set_number(t, "sector_size", want->sector_bytes);
	}
	err = luks_tree_set(segments, "1", t) || err ? -ENOMEM : 0;
	t = backup(r->mode == MODE_ENCRYPT ? NULL : now, "backup-previous", up ? 0 : s->offset,
		   up ? total : s->bytes);
	err = err ? err : luks_tree_set(segments, "2", t);
	if (!err && r->shift) {
		t = backup(up ? NULL : now, "backup-moved-segment", up ? total + r->shift : 0, r->head);
		err = luks_tree_set(segments, "3", t);
	}
	return err ? luks_fail(l, -ENOMEM, "no memory for the segments") : 0;
}

static int requirement_put(struct ndm_luks *l, const char *word)
{
	struct tree *config = luks_tree_get(l->json, "config"), *needs = luks_tree_get(config, "requirements");
	struct tree *list = luks_tree_get(needs, "mandatory");
	int err = 0;

	if (!needs) {
		err = luks_tree_set(config, "requirements", luks_tree_new(TREE_OBJECT, NULL));
		needs = luks_tree_get(config, "requirements");
	}
	if (!err && !list) {
		err = luks_tree_set(needs, "mandatory", luks_tree_new(TREE_ARRAY, NULL));
		list = luks_tree_get(needs, "mandatory");
	}
	err = err ? err : luks_tree_add(list, luks_tree_new(TREE_STRING, word));
	return err ? luks_fail(l, -ENOMEM, "no memory") : 0;
}

/* ---- what can be begun at all; *r gets what is known by then ---- */

static int check_protection(struct ndm_luks *l, const struct ndm_luks_reencrypt *want, struct reencrypt *r)
{
	struct ndm_hash *h;

	if (r->mode == MODE_ENCRYPT && r->shift)
		return 0;			/* nothing is done in its place */
	r->protection = !strcmp(want->resilience, "checksum") ? PROTECT_CHECKSUM :
			!strcmp(want->resilience, "journal") ? PROTECT_JOURNAL : PROTECT_NONE;
	if (r->protection == PROTECT_NONE)
		return luks_fail(l, -EOPNOTSUPP, "resilience '%.20s' is not offered: checksum or journal", want->resilience);
	if (r->protection == PROTECT_JOURNAL)
		return 0;
	if (strlen(want->hash) >= sizeof r->hash || ndm_hash_new(want->hash, &h))
		return luks_fail(l, -EINVAL, "Hash algorithm %.30s is not available.", want->hash);
	ndm_hash_free(h);
	snprintf(r->hash, sizeof r->hash, "%s", want->hash);
	return 0;
}

static int check_shift(struct ndm_luks *l, const struct ndm_luks_reencrypt *want, uint64_t device,
		       struct reencrypt *r, uint64_t *total)
{
	const struct luks_segment *s = &l->segment[0];

	r->shift = want->shift;
	r->backward = r->mode == MODE_DECRYPT ? !r->shift : r->shift != 0;
	if (!r->shift)
		return 0;
	if (r->mode == MODE_REENCRYPT || s->offset != r->shift || r->shift % 4096 || s->bytes || s->iv_tweak ||
	    r->shift > 1u << 30)
		return luks_fail(l, -EINVAL, "the data cannot be moved by %llu bytes", (unsigned long long)r->shift);
	r->head = r->shift;
	if (r->mode == MODE_DECRYPT) {
		r->head = *total < r->shift ? *total : r->shift;
		return 0;
	}
	if (device < 3 * r->shift)
		return luks_fail(l, -EINVAL, "Device is too small to be reduced by %llu bytes.",
				 2ull * r->shift);
	*total = device - 2 * r->shift;
	return 0;
}

static int check_begin(struct ndm_luks *l, struct ndm_luks_io *data, const struct ndm_luks_reencrypt *want,
		       const struct ndm_luks_keys *k, struct reencrypt *r, uint64_t *total)
{
	const struct luks_segment *s = &l->segment[0];
	uint8_t probe[512] = { 0 };
	int i, err;

	if (l->version != 2)
		return luks_fail(l, -EOPNOTSUPP, "This operation is supported only for LUKS2 device.");
	if (ndm_luks_reencrypting(l))
		return luks_fail(l, -EBUSY, "LUKS2 reencryption already initialized in metadata.");
	for (i = 1; i < LUKS_SEGMENTS; i++)
		if (l->segment[i].used)
			return luks_fail(l, -EOPNOTSUPP, "devices of several segments cannot be re-encrypted");
	if (!s->crypt || *s->integrity)
		return luks_fail(l, -EOPNOTSUPP, "Reencryption of device with integrity profile is not supported.");
	if (s->offset >= data->bytes || s->bytes > data->bytes - s->offset)
		return luks_fail(l, -EINVAL, "the data would reach past the end of the device");
	*total = s->bytes ? s->bytes : data->bytes - s->offset;
	r->mode = want->how == NDM_LUKS_ENCRYPT ? MODE_ENCRYPT :
		  want->how == NDM_LUKS_DECRYPT ? MODE_DECRYPT : MODE_REENCRYPT;
	err = check_shift(l, want, data->bytes, r, total);
	if (err)
		return err;
	if (*total % want->sector_bytes)
		return luks_fail(l, -EINVAL, "Data device size is not a multiple of the sector size of %u bytes.",
				 want->sector_bytes);
	if (strlen(want->cipher) >= sizeof s->cipher)
		return luks_fail(l, -EINVAL, "a name is too long");
	r->block_bytes = s->sector_bytes > want->sector_bytes ? s->sector_bytes : want->sector_bytes;
	err = check_protection(l, want, r);
	if (err || r->mode != MODE_REENCRYPT)
		return err;
	return luks_area_crypt(l, want->cipher, k->fresh, k->fresh_bytes, true, probe, sizeof probe);
}

/* ---- all of it ---- */

static int digests_find(struct ndm_luks *l, const struct ndm_luks_reencrypt *want, const struct ndm_luks_keys *k,
			struct reencrypt *r)
{
	r->digest_old = r->digest_new = -1;
	if (r->mode != MODE_ENCRYPT) {
		r->digest_old = luks_key_digest(l, k->old, k->old_bytes);
		if (r->digest_old < 0)
			return r->digest_old;
	}
	if (r->mode == MODE_REENCRYPT)
		r->digest_new = digest_of_new(l, want, k);
	else if (r->mode == MODE_ENCRYPT)
		r->digest_new = luks_key_digest(l, k->fresh, k->fresh_bytes);
	return r->mode != MODE_DECRYPT && r->digest_new < 0 ? r->digest_new : 0;
}

static int slots_make(struct ndm_luks *l, const struct ndm_luks_reencrypt *want, const struct ndm_luks_keys *k,
		      const struct reencrypt *r)
{
	unsigned i;
	int err = 0, slot;

	for (i = 0; i < want->npasses && !err; i++) {
		slot = luks_slot_free(l, -1);
		err = slot < 0 ? slot : luks_slot_make(l, slot, r->digest_new, want->passes[i].pass,
						       want->passes[i].bytes, k->fresh, k->fresh_bytes,
						       &want->passes[i].kdf);
	}
	return err;
}

/* What is moved down is decrypted where it is then, at once: all of it has to be protected. */
static int check_area(struct ndm_luks *l, const struct reencrypt *r)
{
	struct ndm_hash *h;
	uint64_t need = r->head;

	if (r->mode != MODE_DECRYPT || !r->head)
		return 0;
	if (r->protection == PROTECT_CHECKSUM) {
		if (ndm_hash_new(r->hash, &h))
			return luks_fail(l, -EINVAL, "Hash algorithm %s is not available.", r->hash);
		need = (r->head / r->block_bytes + 1) * ndm_hash_bytes(h);
		ndm_hash_free(h);
	}
	return need <= r->area_bytes ? 0 :
	       luks_fail(l, -ENOSPC, "The header has no room for %llu bytes of %s: decrypt with --resilience "
			 "checksum.", (unsigned long long)need, r->protection == PROTECT_CHECKSUM ? "checksums" : "journal");
}

/* The bytes whose place the header takes, or that take the header's. */
static int head_move(struct ndm_luks *l, struct ndm_luks_io *data, const struct reencrypt *r, uint64_t total)
{
	uint64_t from = r->mode == MODE_ENCRYPT ? 0 : r->shift, to = r->mode == MODE_ENCRYPT ? total + r->shift : 0;
	uint64_t at, now;
	uint8_t *bytes = ndm_zalloc(1u << 20);
	int err = bytes ? 0 : -ENOMEM;

	for (at = 0; at < r->head && !err; at += now) {
		now = r->head - at < 1u << 20 ? r->head - at : 1u << 20;
		err = data->read(data, from + at, bytes, now);
		err = err ? err : data->write(data, to + at, bytes, now);
	}
	err = err ? err : data->sync(data);
	if (bytes)
		ndm_secret_wipe(bytes, 1u << 20);
	ndm_free(bytes);
	return err ? luks_fail(l, err, "cannot move the first bytes of the data: %s", strerror(-err)) : 0;
}

int ndm_luks_reencrypt_begin(struct ndm_luks *l, struct ndm_luks_io *data,
			     const struct ndm_luks_reencrypt *want, const struct ndm_luks_keys *k)
{
	struct reencrypt r = { .moved = -1 };
	uint64_t total = 0;
	int err = check_begin(l, data, want, k, &r, &total);

	err = err ? err : digests_find(l, want, k, &r);
	err = err ? err : slots_make(l, want, k, &r);
	r.slot = err ? err : luks_slot_free(l, -1);
	if (r.slot < 0)
		return r.slot;
	err = slot_put(l, want, &r);
	err = err ? err : check_area(l, &r);
	err = err ? err : backups_put(l, want, &r, total);
	r.final = 1;
	r.previous = 2;
	r.moved = r.shift ? 3 : -1;
	err = err ? err : requirement_put(l, r.mode == MODE_DECRYPT && r.shift ? "online-reencrypt-v3"
										: "online-reencrypt-v2");
	r.digest_self = err ? err : digest_begin(l, want);
	if (r.digest_self < 0)
		return r.digest_self;
	err = luks_reencrypt_verify(l, &r, k);
	l->digest[r.digest_self].digest_bytes = 32;
	err = err ? err : digest_put(l, r.digest_self, r.slot);
	err = err ? err : luks2_decode(l);	/* the backups as segments */
	r.low = r.mode == MODE_DECRYPT ? r.head : 0;
	r.high = total;
	r.head_left = r.mode == MODE_DECRYPT && r.head;
	err = err ? err : luks_reencrypt_set(l, &r, total);
	if (!err && r.shift)
		err = head_move(l, data, &r, total);
	return err ? err : luks_commit(l);
}

int ndm_luks_install(const struct ndm_luks *l, const uint8_t *header, uint64_t bytes, struct ndm_luks_io *device)
{
	const uint64_t one = l->header_bytes;
	int err = device->write(device, 2 * one, header + 2 * one, bytes - 2 * one);

	err = err ? err : device->sync(device);
	err = err ? err : device->write(device, one, header + one, one);
	err = err ? err : device->sync(device);
	err = err ? err : device->write(device, 0, header, one);
	return err ? err : device->sync(device);
}
