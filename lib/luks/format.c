/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.c - new headers, as cryptsetup lays them out: LUKS1's slots from sector 8, LUKS2's
 * keyslots behind two copies of the header, the data at 1 MiB multiples, LUKS2's at 16 MiB.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/reencrypt.h"

#define DATA_ALIGN (1u << 20)
#define LUKS2_DATA_OFFSET (16u << 20)
#define DIGEST_ITERATIONS_MIN 1000

size_t ndm_luks_format_key_bytes(const struct ndm_luks_format *f)
{
	struct ndm_hash *h;
	size_t bytes = f->key_bytes;

	if (f->integrity && !strncmp(f->integrity, "hmac(", 5) && !ndm_hash_new(f->integrity, &h)) {
		bytes += ndm_hash_bytes(h);
		ndm_hash_free(h);
	}
	return bytes;
}

static int make_uuid(struct ndm_luks *l, const char *given)
{
	uint8_t r[16];
	unsigned i;

	if (given) {
		for (i = 0; given[i]; i++)
			if (!strchr("0123456789abcdefABCDEF-", given[i]))
				break;
		if (i != 36 || given[i])
			return luks_fail(l, -EINVAL, "Wrong LUKS UUID format provided.");
		memcpy(l->uuid, given, 37);
		return 0;
	}
	if (ndm_secret_random(r, sizeof r))
		return luks_fail(l, -EIO, "no random numbers to be had");
	r[6] = (r[6] & 0x0f) | 0x40;
	r[8] = (r[8] & 0x3f) | 0x80;
	snprintf(l->uuid, sizeof l->uuid,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
		 r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	return 0;
}

static int make_digest(struct ndm_luks *l, const struct ndm_luks_format *f, const uint8_t *key,
		       size_t digest_bytes)
{
	struct luks_digest *d = &l->digest[0];
	int err;

	*d = (struct luks_digest){ .used = true, .salt_bytes = 32, .digest_bytes = digest_bytes };
	d->iterations = f->digest_iterations > DIGEST_ITERATIONS_MIN ? f->digest_iterations
								     : DIGEST_ITERATIONS_MIN;
	snprintf(d->hash, sizeof d->hash, "%s", f->hash);
	if (ndm_secret_random(d->salt, d->salt_bytes))
		return luks_fail(l, -EIO, "no random numbers to be had");
	err = ndm_pbkdf2(d->hash, key, ndm_luks_format_key_bytes(f), d->salt, d->salt_bytes,
			 d->iterations, d->digest, digest_bytes);
	return err ? luks_fail(l, err, "Requested LUKS hash %s is not supported.", f->hash) : 0;
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

/* The cipher can be made, and takes a key of this size. */
static int check_cipher(struct ndm_luks *l, const char *cipher, const uint8_t *key, size_t key_bytes)
{
	uint8_t sector[512] = { 0 };

	return luks_area_crypt(l, cipher, key, key_bytes, true, sector, sizeof sector);
}

/* ---- LUKS1 ---- */

static int format1(struct ndm_luks *l, const struct ndm_luks_format *f, const uint8_t *key)
{
	const char *dash = strchr(f->cipher, '-');
	uint64_t sector = 8, area = round_up(luks_area_bytes(f->key_bytes, LUKS_STRIPES) >> 9, 8);
	uint64_t align = f->align_bytes ? f->align_bytes : DATA_ALIGN, payload;
	unsigned i;
	int err;

	if (!dash || dash - f->cipher > 30 || strlen(dash) > 31 || strlen(f->hash) > 31)
		return luks_fail(l, -EINVAL, "cipher %s cannot be written into a LUKS1 header", f->cipher);
	err = check_cipher(l, f->cipher, key, f->key_bytes);
	err = err ? err : make_digest(l, f, key, 20);
	if (err)
		return err;
	l->version = 1;
	l->nslots = LUKS1_SLOTS;
	l->key_bytes = f->key_bytes;
	snprintf(l->cipher_name, sizeof l->cipher_name, "%.*s", (int)(dash - f->cipher), f->cipher);
	snprintf(l->cipher_mode, sizeof l->cipher_mode, "%s", dash + 1);
	snprintf(l->hash, sizeof l->hash, "%s", f->hash);
	for (i = 0; i < LUKS1_SLOTS; i++, sector += area)
		l->slot[i] = (struct luks_slot){ .area_offset = sector << 9, .stripes = LUKS_STRIPES,
						 .area_bytes = luks_area_bytes(f->key_bytes, LUKS_STRIPES) };
	payload = round_up(sector << 9, align);
	if (f->detached)
		payload = f->data_offset > 0 ? (uint64_t)f->data_offset : 0;
	else if (f->data_offset >= 0)
		payload = f->data_offset;
	if (payload >> 9 > UINT32_MAX || payload % 512 || (!f->detached && payload < sector << 9))
		return luks_fail(l, -EINVAL, "Data offset cannot be at %llu bytes.",
				 (unsigned long long)payload);
	l->payload_sector = payload >> 9;
	return luks1_write(l);
}

/* ---- LUKS2 ---- */

static struct tree *segment_tree(const struct ndm_luks_format *f, uint64_t offset)
{
	struct tree *s = luks_tree_new(TREE_OBJECT, NULL), *i;
	int err = s ? 0 : -ENOMEM;

	err = err ? err : luks_tree_set_text(s, "type", "crypt");
	err = err ? err : luks_tree_set_u64(s, "offset", offset);
	err = err ? err : luks_tree_set_text(s, "size", "dynamic");
	err = err ? err : luks_tree_set_u64(s, "iv_tweak", 0);
	err = err ? err : luks_tree_set_text(s, "encryption", f->cipher);
	err = err ? err : luks_tree_set_number(s, "sector_size", f->sector_bytes);
	if (!err && f->integrity) {
		i = luks_tree_new(TREE_OBJECT, NULL);
		err = luks_tree_set(s, "integrity", i);
		err = err ? err : luks_tree_set_text(i, "type", f->integrity);
		err = err ? err : luks_tree_set_text(i, "journal_encryption", "none");
		err = err ? err : luks_tree_set_text(i, "journal_integrity", "none");
	}
	if (!err)
		return s;
	luks_tree_free(s);
	return NULL;
}

static struct tree *digest_tree(const struct luks_digest *d)
{
	struct tree *t = luks_tree_new(TREE_OBJECT, NULL), *segments;
	char text[4 * ((NDM_HASH_MAX + 2) / 3) + 1];
	int err = t ? 0 : -ENOMEM;

	err = err ? err : luks_tree_set_text(t, "type", "pbkdf2");
	err = err ? err : luks_tree_set(t, "keyslots", luks_tree_new(TREE_ARRAY, NULL));
	segments = luks_tree_new(TREE_ARRAY, NULL);
	err = err ? err : luks_tree_set(t, "segments", segments);
	err = err ? err : luks_tree_add(segments, luks_tree_new(TREE_STRING, "0"));
	err = err ? err : luks_tree_set_text(t, "hash", d->hash);
	err = err ? err : luks_tree_set_number(t, "iterations", d->iterations);
	luks_base64_encode(d->salt, d->salt_bytes, text);
	err = err ? err : luks_tree_set_text(t, "salt", text);
	luks_base64_encode(d->digest, d->digest_bytes, text);
	err = err ? err : luks_tree_set_text(t, "digest", text);
	if (!err)
		return t;
	luks_tree_free(t);
	return NULL;
}

int luks_tree_make(struct ndm_luks *l, const struct ndm_luks_format *f, uint64_t offset)
{
	static const char *const parts[] = { "keyslots", "tokens", "segments", "digests", "config" };
	struct tree *json = luks_tree_new(TREE_OBJECT, NULL), *config;
	unsigned i;
	int err = json ? 0 : -ENOMEM;

	for (i = 0; i < 5; i++)
		err = err ? err : luks_tree_set(json, parts[i], luks_tree_new(TREE_OBJECT, NULL));
	err = err ? err : luks_tree_set(luks_tree_get(json, "segments"), "0", segment_tree(f, offset));
	err = err ? err : luks_tree_set(luks_tree_get(json, "digests"), "0", digest_tree(&l->digest[0]));
	config = luks_tree_get(json, "config");
	err = err ? err : luks_tree_set_u64(config, "json_size", l->header_bytes - 4096);
	err = err ? err : luks_tree_set_u64(config, "keyslots_size", l->keyslots_bytes);
	luks_tree_free(l->json);
	l->json = json;
	return err ? luks_fail(l, err, "no memory for the header") : 0;
}

/* Where the data begins, and how much room the keyslots have. */
static int layout2(struct ndm_luks *l, const struct ndm_luks_format *f, uint64_t *offset)
{
	uint64_t header = f->metadata_bytes ? f->metadata_bytes : LUKS2_HEADER_MIN;
	uint64_t begin = 2 * header, align = f->align_bytes ? f->align_bytes : DATA_ALIGN, room;

	if (header < LUKS2_HEADER_MIN || header > LUKS2_HEADER_MAX || header & (header - 1))
		return luks_fail(l, -EINVAL, "Unsupported metadata size.");
	if (f->data_offset >= 0)
		*offset = f->data_offset;
	else if (f->detached)
		*offset = 0;
	else
		*offset = f->keyslots_bytes ? round_up(begin + f->keyslots_bytes, align)
					    : round_up(LUKS2_DATA_OFFSET, align);
	room = *offset > begin && !f->detached ? *offset - begin : LUKS2_DATA_OFFSET - begin;
	if (room > 128u << 20)
		room = 128u << 20;
	l->keyslots_bytes = f->keyslots_bytes ? f->keyslots_bytes : room & ~4095ull;
	l->header_bytes = header;
	if (*offset % 512 || (!f->detached && *offset < begin + l->keyslots_bytes) ||
	    l->keyslots_bytes % 4096 || l->keyslots_bytes < 4096)
		return luks_fail(l, -EINVAL, "Data offset or keyslots area make no sense.");
	if (f->detached && begin + l->keyslots_bytes > l->io->bytes && !f->keyslots_bytes &&
	    l->io->bytes > begin)
		l->keyslots_bytes = (l->io->bytes - begin) & ~4095ull;
	return 0;
}

static int wipe_area(struct ndm_luks *l, uint64_t from, uint64_t bytes)
{
	uint8_t *noise = ndm_zalloc(1 << 16);
	int err = noise ? 0 : -ENOMEM;

	while (bytes && !err) {
		size_t now = bytes < 1 << 16 ? bytes : 1 << 16;

		err = ndm_secret_random(noise, now);
		err = err ? err : luks_write(l, from, noise, now);
		from += now;
		bytes -= now;
	}
	ndm_free(noise);
	return err;
}

static int format2(struct ndm_luks *l, const struct ndm_luks_format *f, const uint8_t *key)
{
	struct ndm_hash *h;
	uint64_t offset = 0;
	unsigned digest_bytes;
	int err = ndm_hash_new(f->hash, &h);

	if (err)
		return luks_fail(l, err, "Requested hash %s is not supported.", f->hash);
	digest_bytes = ndm_hash_bytes(h);
	ndm_hash_free(h);
	l->version = 2;
	l->seqid = 0;
	snprintf(l->checksum, sizeof l->checksum, "sha256");
	snprintf(l->label, sizeof l->label, "%.47s", f->label ? f->label : "");
	snprintf(l->subsystem, sizeof l->subsystem, "%.47s", f->subsystem ? f->subsystem : "");
	err = layout2(l, f, &offset);
	if (!err && !f->integrity)
		err = check_cipher(l, f->cipher, key, f->key_bytes);
	err = err ? err : make_digest(l, f, key, digest_bytes);
	err = err ? err : luks_tree_make(l, f, offset);
	err = err ? err : wipe_area(l, 2 * l->header_bytes, l->keyslots_bytes);
	return err ? err : luks2_write(l);
}

int ndm_luks_format(struct ndm_luks *l, const struct ndm_luks_format *f, const uint8_t *key)
{
	int err;

	if (!f->key_bytes || ndm_luks_format_key_bytes(f) > NDM_LUKS_KEY_MAX ||
	    strlen(f->cipher) >= LUKS_NAME_BYTES || strlen(f->hash) >= 32)
		return luks_fail(l, -EINVAL, "key size, cipher or hash make no sense");
	ndm_secret_wipe(l->slot, sizeof l->slot);
	ndm_secret_wipe(l->segment, sizeof l->segment);
	err = make_uuid(l, f->uuid);
	if (err)
		return err;
	return f->version == 1 ? format1(l, f, key) : format2(l, f, key);
}
