/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt.c - a LUKS2 device gets another key, cipher or sector size where it is, or its first, or
 * none any more, and may be cut off at any write.  Nobody else may use the data meanwhile.
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
 * number of times.  A zone that moves (reencrypt.h: shift) needs no 1: it does not overlap with
 * its new place, so it is still there to be read again.
 */
#include <string.h>

#include "lib/kit/crypt.h"
#include "lib/luks/reencrypt.h"

#define ZONE_MAX (4u << 20)			/* bytes in memory, and lost work at a cut */
#define ALIGN 4096u				/* zones begin and end at multiples of it */

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

enum ndm_luks_change ndm_luks_reencrypting_how(struct ndm_luks *l)
{
	struct reencrypt r;

	return luks_reencrypt_find(l, &r) || r.mode == MODE_REENCRYPT ? NDM_LUKS_REENCRYPT :
	       r.mode == MODE_ENCRYPT ? NDM_LUKS_ENCRYPT : NDM_LUKS_DECRYPT;
}

int ndm_luks_reencrypt_unlock(struct ndm_luks *l, const void *pass, size_t pass_bytes,
			      struct ndm_luks_keys *k)
{
	struct reencrypt r;
	int err = luks_reencrypt_find(l, &r);

	k->old_bytes = k->fresh_bytes = 0;
	if (err)
		return err;
	if (r.digest_old >= 0)
		err = luks_unlock_digest(l, r.digest_old, pass, pass_bytes, k->old, &k->old_bytes);
	if (err >= 0 && r.digest_new >= 0)
		err = luks_unlock_digest(l, r.digest_new, pass, pass_bytes, k->fresh, &k->fresh_bytes);
	return err < 0 ? err : luks_reencrypt_verify(l, &r, k);
}

/* ---- going on ---- */

struct zone {				/* what a step works with */
	struct ndm_luks *l;
	struct ndm_luks_io *data;
	struct reencrypt r;
	struct ndm_crypt *old, *fresh;	/* NULL: plain */
	struct ndm_hash *hash;
	uint64_t total;			/* bytes of data */
	bool all;			/* is done */
	uint8_t *bytes, *sums;
	size_t room;			/* of bytes */
};

int luks_crypt_make(struct ndm_luks *l, const struct luks_segment *s, const uint8_t *key, size_t key_bytes,
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

/* Does it stay where it is?  Then it has to be protected. */
static bool in_place(const struct zone *z, uint64_t at)
{
	return luks_reencrypt_old(z->l, &z->r, at) == luks_reencrypt_new(z->l, &z->r, at);
}

static int zone_ciphers(struct zone *z, const struct ndm_luks_keys *k)
{
	const struct luks_segment *a = &z->l->segment[z->r.previous], *b = &z->l->segment[z->r.final];
	int err = a->crypt ? luks_crypt_make(z->l, a, k->old, k->old_bytes, &z->old) : 0;

	if (!err && b->crypt)
		err = luks_crypt_make(z->l, b, k->fresh, k->fresh_bytes, &z->fresh);
	if (!err && z->r.protection == PROTECT_CHECKSUM && ndm_hash_new(z->r.hash, &z->hash))
		err = luks_fail(z->l, -EINVAL, "Hash algorithm %s is not available.", z->r.hash);
	return err;
}

static int zone_begin(struct zone *z, const struct ndm_luks_keys *k, uint64_t most)
{
	struct ndm_luks *l = z->l;
	uint64_t blocks;
	int err;

	z->total = luks_reencrypt_total(l, &z->r, z->data->bytes);
	if (!z->total)
		return luks_fail(l, -EINVAL, "the data would reach past the end of the device");
	if (!z->r.block_bytes)
		z->r.block_bytes = 4096;
	if (z->r.high > z->total && z->r.high != UINT64_MAX)
		z->total = 0;
	if (z->r.high == UINT64_MAX)
		z->r.high = z->total;
	if (!z->total || z->r.low > z->r.high || z->r.at + z->r.hot > z->total ||
	    z->total % l->segment[z->r.final].sector_bytes || z->total % l->segment[z->r.previous].sector_bytes)
		return luks_fail(l, -EINVAL, "the device has another size than it had when this began");
	z->room = most && most < ZONE_MAX ? (most + ALIGN - 1) / ALIGN * ALIGN : ZONE_MAX;
	z->room = z->r.hot > z->room ? z->r.hot : z->room;
	z->room = z->r.head > z->room ? z->r.head : z->room;
	err = zone_ciphers(z, k);
	blocks = z->room / z->r.block_bytes + 1;
	if (z->room > 1u << 30)
		return luks_fail(l, -ENOMEM, "the zone at work is too large for this memory");
	z->bytes = ndm_zalloc(z->room);
	z->sums = ndm_zalloc(blocks * NDM_HASH_MAX);
	return err ? err : z->bytes && z->sums ? 0 : luks_fail(l, -ENOMEM, "no memory for a zone");
}

/* Reads from the old place, writes to the new one; at: byte of the data */
static int data_io(struct zone *z, bool write, uint64_t at, uint8_t *buf, size_t bytes)
{
	uint64_t place = write ? luks_reencrypt_new(z->l, &z->r, at) : luks_reencrypt_old(z->l, &z->r, at);

	if (write && z->data->write(z->data, place, buf, bytes))
		return luks_fail(z->l, -EIO, "cannot write data at byte %llu", (unsigned long long)place);
	if (!write && z->data->read(z->data, place, buf, bytes))
		return luks_fail(z->l, -EIO, "cannot read data at byte %llu", (unsigned long long)place);
	return 0;
}

/* From the old to the new key, in place; at: byte of the data */
static int turn(struct zone *z, uint64_t at, uint8_t *bytes, size_t n)
{
	struct ndm_crypt_run run = { .sector = at >> 9, .in = bytes, .out = bytes, .bytes = n };
	int err = z->old ? ndm_crypt_run(z->old, 0, &run) : 0;

	run.encrypt = true;
	if (!err && z->fresh)
		err = ndm_crypt_run(z->fresh, 0, &run);
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

/* Plain text lies elsewhere still: it may be overwritten only when nothing asks for it any more. */
static bool wipes_first(const struct zone *z)
{
	return z->r.mode == MODE_ENCRYPT && z->r.shift;
}

/* What was at work is done, and the header says so. */
static int done(struct zone *z)
{
	struct ndm_luks *l = z->l;
	int err = z->data->sync(z->data);

	if (err)
		return luks_fail(l, err, "cannot sync the data: %s", strerror(-err));
	z->r.at = z->r.hot = 0;
	z->all = reencrypt_all_done(&z->r);
	if (z->all && !wipes_first(z))
		return 0;			/* what follows writes the header */
	err = luks_reencrypt_set(l, &z->r, z->total);
	return err ? err : luks_commit(l);
}

/* Those blocks of the zone that are still as they were: their checksums are known. */
static int recover_checksums(struct zone *z)
{
	size_t n = z->r.hot, at, now, each = ndm_hash_bytes(z->hash);
	uint8_t *seen = ndm_zalloc(sums_bytes(z, n));
	int err = seen ? luks_read(z->l, z->r.area_offset, z->sums, sums_bytes(z, n)) : -ENOMEM;

	err = err ? err : data_io(z, false, z->r.at, z->bytes, n);
	err = err ? err : sums_make(z, n, seen);
	for (at = 0; at < n && !err; at += now) {
		size_t sum = at / z->r.block_bytes * each;

		now = n - at < z->r.block_bytes ? n - at : z->r.block_bytes;
		if (memcmp(seen + sum, z->sums + sum, each))
			continue;		/* it is a new one */
		err = turn(z, z->r.at + at, z->bytes + at, now);
		err = err ? err : data_io(z, true, z->r.at + at, z->bytes + at, now);
	}
	ndm_free(seen);
	return err ? err : done(z);
}

static int recover(struct zone *z)
{
	bool stays = in_place(z, z->r.at);
	size_t n = z->r.hot;
	int err;

	if (stays && z->r.protection == PROTECT_NONE)
		return luks_fail(z->l, -EIO, "the re-encryption was cut off without any resilience: the zone of %zu "
				 "bytes at byte %llu is lost", n, (unsigned long long)z->r.at);
	if (stays && (z->r.protection == PROTECT_JOURNAL ? n : sums_bytes(z, n)) > z->r.area_bytes)
		return luks_fail(z->l, -EINVAL, "LUKS2: the zone at work is larger than its area");
	if (stays && z->r.protection == PROTECT_CHECKSUM)
		return recover_checksums(z);
	err = stays ? luks_read(z->l, z->r.area_offset, z->bytes, n) : data_io(z, false, z->r.at, z->bytes, n);
	err = err ? err : turn(z, z->r.at, z->bytes, n);
	err = err ? err : data_io(z, true, z->r.at, z->bytes, n);
	return err ? err : done(z);
}

/* ---- the next zone ---- */

/* How much of what is left can be protected, or held, at once. */
static uint64_t zone_most(const struct zone *z, bool stays)
{
	uint64_t fits = z->r.area_bytes, n = z->room;

	if (!stays)
		return n < z->r.shift ? n : z->r.shift;
	if (z->r.protection == PROTECT_CHECKSUM)
		fits = fits / ndm_hash_bytes(z->hash) * z->r.block_bytes;
	return n < fits ? n : fits;
}

/* Where and how long the next zone is, which is taken out of what is left. */
static int zone_choose(struct zone *z)
{
	struct reencrypt *r = &z->r;
	bool moves = r->head && r->mode == MODE_ENCRYPT;	/* the head moves as one */
	uint64_t bottom = moves ? r->head : r->low, n;

	if (r->low == r->high || (moves && r->high <= r->head)) {
		r->at = 0;
		r->hot = moves ? r->high : r->head;
		if (r->hot != r->head || zone_most(z, in_place(z, 0)) < (in_place(z, 0) ? r->head : 0))
			return luks_fail(z->l, -ENOSPC, "the area of the re-encryption is too small");
		r->head_left = false;
		r->low = r->high = 0;
		return 0;
	}
	n = zone_most(z, in_place(z, bottom)) / ALIGN * ALIGN;
	if (!n)
		return luks_fail(z->l, -ENOSPC, "the area of the re-encryption is too small");
	n = n < r->high - bottom ? n : r->high - bottom;
	r->at = r->backward ? r->high - n : r->low;
	if (r->backward && !r->shift && r->at % ALIGN && r->at / ALIGN * ALIGN + ALIGN < r->high)
		r->at = r->at / ALIGN * ALIGN + ALIGN;	/* checksums are of whole blocks */
	r->hot = r->backward ? r->high - r->at : n;
	if (r->backward)
		r->high = r->at;
	else
		r->low += r->hot;
	return 0;
}

static int zone_next(struct zone *z)
{
	bool stays;
	int err = zone_choose(z);

	if (err)
		return err;
	stays = in_place(z, z->r.at);
	if (stays && z->r.protection == PROTECT_NONE)
		return luks_fail(z->l, -EOPNOTSUPP, "the re-encryption was begun without resilience: finish with cryptsetup");
	err = data_io(z, false, z->r.at, z->bytes, z->r.hot);
	if (!err && stays)
		err = protect(z, z->r.hot);
	err = err ? err : luks_reencrypt_set(z->l, &z->r, z->total);
	err = err ? err : luks_commit(z->l);
	if (err)
		return err;
	err = luks_reencrypt_find(z->l, &z->r);		/* segments have got other numbers */
	z->r.high = z->r.high == UINT64_MAX ? z->total : z->r.high;
	z->r.block_bytes = z->r.block_bytes ? z->r.block_bytes : ALIGN;
	err = err ? err : turn(z, z->r.at, z->bytes, z->r.hot);
	err = err ? err : data_io(z, true, z->r.at, z->bytes, z->r.hot);
	return err ? err : done(z);
}

/* ---- the end ---- */

struct range { uint64_t from, to; };	/* bytes of the data device */

/* What has moved is still where it was: plain text, or text of a key that is to be forgotten. */
static struct range left_behind(const struct zone *z)
{
	struct range r = { luks_reencrypt_new(z->l, &z->r, z->total), z->data->bytes };

	if (!z->r.shift)
		return (struct range){ 0, 0 };
	if (z->r.mode == MODE_ENCRYPT && z->l->segment[z->r.moved].offset > r.from)
		r.from = z->l->segment[z->r.moved].offset;
	return r;
}

static int wipe(struct zone *z, struct range r)
{
	uint64_t now;
	int err = 0;

	for (; r.from < r.to && !err; r.from += now) {
		now = r.to - r.from < z->room ? r.to - r.from : z->room;
		err = ndm_secret_random(z->bytes, now);
		err = err ? err : z->data->write(z->data, r.from, z->bytes, now);
	}
	err = err ? err : z->data->sync(z->data);
	return err ? luks_fail(z->l, err, "cannot overwrite what was left at byte %llu",
			       (unsigned long long)r.from) : 0;
}

/* All as it shall be: keyslots that are for nothing any more go. */
static int finish(struct zone *z)
{
	struct ndm_luks *l = z->l;
	struct luks_slot *before = ndm_secret_alloc(sizeof l->slot);
	struct range left = left_behind(z);
	bool first = wipes_first(z);
	int i, err;

	if (!before)
		return luks_fail(l, -ENOMEM, "no memory");
	memcpy(before, l->slot, sizeof l->slot);
	err = first ? wipe(z, left) : 0;
	err = err ? err : luks_reencrypt_end(l, &z->r);
	err = err ? err : luks_commit(l);
	if (!err && !first)
		err = wipe(z, left);
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

	err = err ? err : luks_reencrypt_verify(l, &z.r, k);
	err = err ? err : zone_begin(&z, k, most);
	z.all = !err && reencrypt_all_done(&z.r);
	if (!err && !z.all)
		err = z.r.hot ? recover(&z) : zone_next(&z);
	if (!err && !z.all) {
		*done_bytes = z.total - (z.r.high - z.r.low) - (z.r.head_left ? z.r.head : 0);
		*total = z.total;
		zone_end(&z);
		return 1;
	}
	*done_bytes = *total = z.total;
	err = err ? err : luks_reencrypt_find(l, &z.r);	/* segments have got other numbers */
	err = err ? err : finish(&z);
	zone_end(&z);
	return err;
}
