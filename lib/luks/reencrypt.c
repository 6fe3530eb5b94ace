/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt.c - a LUKS2 device gets another key, cipher or sector size where it is, and may be
 * cut off at any write.  Nobody else may use the data meanwhile.
 *
 * One zone after the other:
 *
 *	1. its old bytes (journal), or a checksum of each block of them, into the area; sync
 *	2. the header says that this zone is at work
 *	3. it is decrypted, encrypted, written; sync
 *	4. the header says that it is done
 *
 * Cut off before 2: nothing has changed.  Between 2 and 4: the journal is encrypted again; or
 * those blocks whose checksums are still those of the old bytes are.  Both can be done any
 * number of times.
 */
#include <stdio.h>
#include <string.h>

#include "lib/kit/crypt.h"
#include "lib/luks/reencrypt.h"

#define ZONE_MAX (4u << 20)			/* bytes in memory, and lost work at a cut */

bool ndm_luks_reencrypting(const struct ndm_luks *l)
{
	const struct tree *slots = luks_tree_get(l->json, "keyslots"), *t;
	const char *type;

	for (t = slots ? slots->child : NULL; t; t = t->next) {
		type = luks_tree_text(t, "type");
		if (type && !strcmp(type, "reencrypt"))
			return true;
	}
	return false;
}

int ndm_luks_reencrypt_unlock(struct ndm_luks *l, const void *pass, size_t pass_bytes,
			      struct ndm_luks_keys *k)
{
	struct reencrypt r;
	int err = luks_reencrypt_find(l, &r);

	err = err ? err : luks_unlock_digest(l, r.digest_old, pass, pass_bytes, k->old, &k->old_bytes);
	err = err < 0 ? err : luks_unlock_digest(l, r.digest_new, pass, pass_bytes, k->fresh, &k->fresh_bytes);
	return err < 0 ? err : luks_reencrypt_verify(l, &r, k->old, k->old_bytes, k->fresh, k->fresh_bytes);
}

/* ---- beginning ---- */

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
	char name[12];
	int err = t && area ? 0 : -ENOMEM;

	largest_gap(l, &r->area_offset, &r->area_bytes);
	if (r->area_bytes < 4096)
		err = -ENOSPC;
	err = err ? err : luks_tree_set_text(area, "type", want->resilience);
	if (!err && r->protection == PROTECT_CHECKSUM) {
		err = luks_tree_set_text(area, "hash", r->hash);
		err = err ? err : luks_tree_set_number(area, "sector_size", r->block_bytes);
	}
	err = err ? err : luks_tree_set_u64(area, "offset", r->area_offset);
	err = err ? err : luks_tree_set_u64(area, "size", r->area_bytes);
	err = err ? err : luks_tree_set_text(t, "type", "reencrypt");
	err = err ? err : luks_tree_set_number(t, "key_size", 1);	/* must be there */
	err = err ? err : luks_tree_set_text(t, "mode", "reencrypt");
	err = err ? err : luks_tree_set_text(t, "direction", "forward");
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

/* Segment 0 stays; behind it how it shall be, and how it was. */
static int backups_put(struct ndm_luks *l, const struct ndm_luks_reencrypt *want)
{
	struct tree *segments = luks_tree_get(l->json, "segments"), *now = luks_tree_get(segments, "0"), *t, *flags;
	static const char *const words[] = { "backup-final", "backup-previous" };
	int i, err = 0;

	for (i = 0; i < 2 && !err; i++) {
		t = luks_tree_copy(now);
		flags = luks_tree_new(TREE_ARRAY, NULL);
		err = luks_tree_add(flags, luks_tree_new(TREE_STRING, words[i]));
		err = luks_tree_set(t, "flags", flags) || err ? -ENOMEM : 0;
		if (!err && !i) {
			err = luks_tree_set_text(t, "encryption", want->cipher);
			err = err ? err : luks_tree_set_number(t, "sector_size", want->sector_bytes);
		}
		err = luks_tree_set(segments, i ? "2" : "1", t) || err ? -ENOMEM : 0;
	}
	return err ? luks_fail(l, err, "no memory for the segments") : 0;
}

static int requirement_put(struct ndm_luks *l)
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
	err = err ? err : luks_tree_add(list, luks_tree_new(TREE_STRING, "online-reencrypt-v2"));
	return err ? luks_fail(l, -ENOMEM, "no memory") : 0;
}

static int list_set(struct ndm_luks *l, int digest, const char *a, const char *b)
{
	struct tree *list = luks_tree_new(TREE_ARRAY, NULL);
	char name[12];
	int err = luks_tree_add(list, luks_tree_new(TREE_STRING, a));

	if (!err && b)
		err = luks_tree_add(list, luks_tree_new(TREE_STRING, b));
	snprintf(name, sizeof name, "%d", digest);
	err = luks_tree_set(luks_tree_get(luks_tree_get(l->json, "digests"), name), "segments", list) || err;
	return err ? luks_fail(l, -ENOMEM, "no memory") : 0;
}

/* What can be begun at all; *r gets what is known by then. */
static int begin_check(struct ndm_luks *l, struct ndm_luks_io *data, const struct ndm_luks_reencrypt *want,
		       const struct ndm_luks_keys *k, struct reencrypt *r)
{
	const struct luks_segment *s = &l->segment[0];
	uint8_t probe[512] = { 0 };
	struct ndm_hash *h;
	int i;

	if (l->version != 2)
		return luks_fail(l, -EOPNOTSUPP, "This operation is supported only for LUKS2 device.");
	if (ndm_luks_reencrypting(l))
		return luks_fail(l, -EBUSY, "LUKS2 reencryption already initialized in metadata.");
	for (i = 1; i < LUKS_SEGMENTS; i++)
		if (l->segment[i].used)
			return luks_fail(l, -EOPNOTSUPP, "devices of several segments cannot be re-encrypted");
	if (!s->crypt || *s->integrity)
		return luks_fail(l, -EOPNOTSUPP, "Reencryption of device with integrity profile is not supported.");
	if (s->offset >= data->bytes || s->bytes > data->bytes - s->offset ||
	    (s->bytes ? s->bytes : data->bytes - s->offset) % want->sector_bytes)
		return luks_fail(l, -EINVAL, "Data device size is not a multiple of the sector size of %u bytes.",
				 want->sector_bytes);
	if (strlen(want->cipher) >= sizeof s->cipher)
		return luks_fail(l, -EINVAL, "a name is too long");
	r->protection = !strcmp(want->resilience, "checksum") ? PROTECT_CHECKSUM :
			!strcmp(want->resilience, "journal") ? PROTECT_JOURNAL : PROTECT_NONE;
	if (r->protection == PROTECT_NONE)
		return luks_fail(l, -EOPNOTSUPP, "resilience '%.20s' is not offered: checksum or journal", want->resilience);
	r->block_bytes = s->sector_bytes > want->sector_bytes ? s->sector_bytes : want->sector_bytes;
	if (r->protection == PROTECT_CHECKSUM && (strlen(want->hash) >= sizeof r->hash || ndm_hash_new(want->hash, &h)))
		return luks_fail(l, -EINVAL, "Hash algorithm %.30s is not available.", want->hash);
	if (r->protection == PROTECT_CHECKSUM) {
		ndm_hash_free(h);
		snprintf(r->hash, sizeof r->hash, "%s", want->hash);
	}
	return luks_area_crypt(l, want->cipher, k->fresh, k->fresh_bytes, true, probe, sizeof probe);
}

int ndm_luks_reencrypt_begin(struct ndm_luks *l, struct ndm_luks_io *data,
			     const struct ndm_luks_reencrypt *want, const struct ndm_luks_keys *k)
{
	struct reencrypt r = { 0 };
	unsigned i;
	int err = begin_check(l, data, want, k, &r), slot;

	if (err)
		return err;
	r.digest_old = luks_key_digest(l, k->old, k->old_bytes);
	r.digest_new = r.digest_old < 0 ? r.digest_old : digest_of_new(l, want, k);
	if (r.digest_new < 0)
		return r.digest_new;
	for (i = 0; i < want->npasses && !err; i++) {
		slot = luks_slot_free(l, -1);
		err = slot < 0 ? slot : luks_slot_make(l, slot, r.digest_new, want->passes[i].pass,
						       want->passes[i].bytes, k->fresh, k->fresh_bytes,
						       &want->passes[i].kdf);
	}
	r.slot = err ? err : luks_slot_free(l, -1);
	if (r.slot < 0)
		return r.slot;
	err = slot_put(l, want, &r);
	err = err ? err : backups_put(l, want);
	r.final = 1;
	r.previous = 2;
	err = err ? err : list_set(l, r.digest_old, "0", "2");
	err = err ? err : list_set(l, r.digest_new, "1", NULL);
	err = err ? err : requirement_put(l);
	if (err)
		return err;
	r.digest_self = digest_begin(l, want);
	if (r.digest_self < 0)
		return r.digest_self;
	err = luks_reencrypt_verify(l, &r, k->old, k->old_bytes, k->fresh, k->fresh_bytes);
	l->digest[r.digest_self].digest_bytes = 32;
	err = err ? err : digest_put(l, r.digest_self, r.slot);
	return err ? err : luks_commit(l);
}

/* ---- going on ---- */

struct zone {				/* what a step works with */
	struct ndm_luks *l;
	struct ndm_luks_io *data;
	struct reencrypt r;
	struct ndm_crypt *old, *fresh;
	struct ndm_hash *hash;
	uint64_t total;			/* bytes of data */
	uint8_t *bytes, *sums;
	size_t room;			/* of bytes */
};

static int crypt_make(struct ndm_luks *l, const struct luks_segment *s, const uint8_t *key, size_t key_bytes,
		      struct ndm_crypt **c)
{
	struct ndm_crypt_spec spec = { .cipher = s->cipher, .key_bytes = key_bytes, .iv_offset = s->iv_tweak,
				       .sector_bytes = s->sector_bytes, .lanes = 1 };
	const char *why = "the key does not fit it";
	int err = ndm_crypt_new(&spec, c, &why);

	err = err ? err : ndm_crypt_set_key(*c, key);
	err = err ? err : ndm_crypt_init_iv(*c, &why);
	if (!err && ndm_crypt_tagged(*c)) {
		err = -EINVAL;
		why = "it needs metadata";
	}
	return err ? luks_fail(l, err, "cipher %s cannot be used: %s", s->cipher, why) : 0;
}

static void zone_end(struct zone *z)
{
	ndm_crypt_free(z->old);
	ndm_crypt_free(z->fresh);
	ndm_hash_free(z->hash);
	if (z->bytes)
		ndm_secret_wipe(z->bytes, z->room);
	ndm_free(z->bytes);
	ndm_free(z->sums);
}

static int zone_begin(struct zone *z, const struct ndm_luks_keys *k, uint64_t most)
{
	struct ndm_luks *l = z->l;
	const struct luks_segment *s = &l->segment[z->r.final];
	uint64_t blocks;
	int err;

	z->total = s->offset < z->data->bytes ? z->data->bytes - s->offset : 0;
	if (s->bytes > z->total)
		return luks_fail(l, -EINVAL, "the data would reach past the end of the device");
	z->total = s->bytes ? s->bytes : z->total;
	if (!z->r.block_bytes)
		z->r.block_bytes = 4096;
	if (z->total % s->sector_bytes || z->total % l->segment[z->r.previous].sector_bytes ||
	    z->r.done + z->r.hot > z->total)
		return luks_fail(l, -EINVAL, "the device has another size than it had when this began");
	z->room = most && most < ZONE_MAX ? (most + 4095) & ~(uint64_t)4095 : ZONE_MAX;
	z->room = z->r.hot > z->room ? z->r.hot : z->room;
	err = crypt_make(l, &l->segment[z->r.previous], k->old, k->old_bytes, &z->old);
	err = err ? err : crypt_make(l, s, k->fresh, k->fresh_bytes, &z->fresh);
	if (!err && z->r.protection == PROTECT_CHECKSUM && ndm_hash_new(z->r.hash, &z->hash))
		err = luks_fail(l, -EINVAL, "Hash algorithm %s is not available.", z->r.hash);
	blocks = z->room / z->r.block_bytes + 1;
	if (z->room > 1u << 30)
		return luks_fail(l, -ENOMEM, "the zone at work is too large for this memory");
	z->bytes = ndm_zalloc(z->room);
	z->sums = ndm_zalloc(blocks * NDM_HASH_MAX);
	return err ? err : z->bytes && z->sums ? 0 : luks_fail(l, -ENOMEM, "no memory for a zone");
}

static int data_io(struct zone *z, bool write, uint64_t at, uint8_t *buf, size_t bytes)
{
	at += z->l->segment[z->r.final].offset;
	if (write && z->data->write(z->data, at, buf, bytes))
		return luks_fail(z->l, -EIO, "cannot write data at byte %llu", (unsigned long long)at);
	if (!write && z->data->read(z->data, at, buf, bytes))
		return luks_fail(z->l, -EIO, "cannot read data at byte %llu", (unsigned long long)at);
	return 0;
}

/* From the old to the new key, in place; at: byte of the data */
static int turn(struct zone *z, uint64_t at, uint8_t *bytes, size_t n)
{
	struct ndm_crypt_run run = { .sector = at >> 9, .in = bytes, .out = bytes, .bytes = n };
	int err = ndm_crypt_run(z->old, 0, &run);

	run.encrypt = true;
	err = err ? err : ndm_crypt_run(z->fresh, 0, &run);
	return err ? luks_fail(z->l, err, "encryption failed") : 0;
}

static int sums_make(struct zone *z, size_t n, uint8_t *sums)
{
	size_t at, each = ndm_hash_bytes(z->hash);
	int err = 0;

	for (at = 0; at < n && !err; at += z->r.block_bytes, sums += each)
		err = ndm_hash_one(z->hash, z->bytes + at, n - at < z->r.block_bytes ? n - at : z->r.block_bytes,
				   sums);
	return err ? luks_fail(z->l, err, "hash %s failed", z->r.hash) : 0;
}

static size_t sums_bytes(const struct zone *z, size_t n)
{
	return (n + z->r.block_bytes - 1) / z->r.block_bytes * ndm_hash_bytes(z->hash);
}

static int protect(struct zone *z, size_t n)
{
	int err = 0;

	if (z->r.protection == PROTECT_CHECKSUM) {
		err = sums_make(z, n, z->sums);
		err = err ? err : luks_write(z->l, z->r.area_offset, z->sums, sums_bytes(z, n));
	} else {
		err = luks_write(z->l, z->r.area_offset, z->bytes, n);
	}
	return err ? err : luks_sync(z->l);
}

/* The zone in memory goes to its place, and the header says so. */
static int done(struct zone *z, size_t n)
{
	struct ndm_luks *l = z->l;
	uint64_t now = z->r.done + n;
	int err = z->data->sync(z->data);

	if (err)
		return luks_fail(l, err, "cannot sync the data: %s", strerror(-err));
	if (now == z->total)
		return 0;			/* what follows writes the header */
	err = luks_reencrypt_set(l, &z->r, now, 0, z->total);
	return err ? err : luks_commit(l);
}

static int recover(struct zone *z)
{
	size_t n = z->r.hot, at, each, now;
	uint8_t *seen = NULL;
	int err;

	if (z->r.protection == PROTECT_NONE)
		return luks_fail(z->l, -EIO, "the re-encryption was cut off without any resilience: the zone of %zu "
				 "bytes at byte %llu is lost", n, (unsigned long long)z->r.done);
	if ((z->r.protection == PROTECT_JOURNAL ? n : sums_bytes(z, n)) > z->r.area_bytes)
		return luks_fail(z->l, -EINVAL, "LUKS2: the zone at work is larger than its area");
	if (z->r.protection == PROTECT_JOURNAL) {
		err = luks_read(z->l, z->r.area_offset, z->bytes, n);
		err = err ? err : turn(z, z->r.done, z->bytes, n);
		err = err ? err : data_io(z, true, z->r.done, z->bytes, n);
		return err ? err : done(z, n);
	}
	each = ndm_hash_bytes(z->hash);
	seen = ndm_zalloc(sums_bytes(z, n));
	err = seen ? luks_read(z->l, z->r.area_offset, z->sums, sums_bytes(z, n)) : -ENOMEM;
	err = err ? err : data_io(z, false, z->r.done, z->bytes, n);
	err = err ? err : sums_make(z, n, seen);
	for (at = 0; at < n && !err; at += now) {
		size_t sum = at / z->r.block_bytes * each;

		now = n - at < z->r.block_bytes ? n - at : z->r.block_bytes;
		if (memcmp(seen + sum, z->sums + sum, each))
			continue;		/* it is a new one */
		err = turn(z, z->r.done + at, z->bytes + at, now);
		err = err ? err : data_io(z, true, z->r.done + at, z->bytes + at, now);
	}
	ndm_free(seen);
	return err ? err : done(z, n);
}

static int zone_next(struct zone *z)
{
	size_t n = z->room;
	uint64_t fits = z->r.area_bytes;
	int err;

	if (z->r.protection == PROTECT_NONE)
		return luks_fail(z->l, -EOPNOTSUPP, "the re-encryption was begun without resilience: finish with cryptsetup");
	if (z->r.protection == PROTECT_CHECKSUM)
		fits = fits / ndm_hash_bytes(z->hash) * z->r.block_bytes;
	n = n < fits ? n : fits;
	n = n < z->total - z->r.done ? n / 4096 * 4096 : z->total - z->r.done;
	if (!n)
		return luks_fail(z->l, -ENOSPC, "the area of the re-encryption is too small");
	err = data_io(z, false, z->r.done, z->bytes, n);
	err = err ? err : protect(z, n);
	err = err ? err : luks_reencrypt_set(z->l, &z->r, z->r.done, n, z->total);
	err = err ? err : luks_commit(z->l);
	if (err)
		return err;
	err = luks_reencrypt_find(z->l, &z->r);		/* segments have got other numbers */
	err = err ? err : turn(z, z->r.done, z->bytes, n);
	err = err ? err : data_io(z, true, z->r.done, z->bytes, n);
	return err ? err : done(z, n);
}

/* All with the new key: the old one's keyslots go. */
static int finish(struct zone *z)
{
	struct ndm_luks *l = z->l;
	struct luks_slot *before = ndm_secret_alloc(sizeof l->slot);
	int i, err;

	if (!before)
		return luks_fail(l, -ENOMEM, "no memory");
	memcpy(before, l->slot, sizeof l->slot);
	err = luks_reencrypt_end(l, &z->r);
	err = err ? err : luks_commit(l);
	for (i = 0; i < NDM_LUKS_SLOTS && !err; i++)
		if (before[i].kind && !l->slot[i].kind)
			err = luks_area_wipe(l, before[i].area_offset, before[i].area_bytes);
	ndm_secret_free(before, sizeof l->slot);
	return err;
}

int ndm_luks_reencrypt_step(struct ndm_luks *l, struct ndm_luks_io *data, const struct ndm_luks_keys *k,
			    uint64_t most, uint64_t *done_bytes, uint64_t *total)
{
	struct zone z = { .l = l, .data = data };
	int err = luks_reencrypt_find(l, &z.r);
	uint64_t n;

	err = err ? err : luks_reencrypt_verify(l, &z.r, k->old, k->old_bytes, k->fresh, k->fresh_bytes);
	err = err ? err : zone_begin(&z, k, most);
	if (!err && z.r.all_done)
		z.r.done = z.total;
	else if (!err)
		err = z.r.hot ? recover(&z) : zone_next(&z);
	n = z.r.done + z.r.hot;				/* find counted what is at work now */
	if (!err && n < z.total) {
		*done_bytes = n;
		*total = z.total;
		zone_end(&z);
		return 1;
	}
	*done_bytes = *total = z.total;
	err = err ? err : finish(&z);
	zone_end(&z);
	return err;
}
