/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * convert.c - a LUKS1 header becomes one of LUKS2, and back, with the same keyslots, where the data does
 * not begin before there is room.
 *
 * LUKS1's areas begin at 4 KiB, LUKS2's behind two headers of 16 KiB: all areas in use are read, and
 * written where they are then, before the header is.  Cut off in between the keyslots are lost, as with
 * cryptsetup: a backup of the header belongs before it.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/reencrypt.h"

#define AREA_ALIGN 4096u
#define LUKS1_AREAS 4096u		/* bytes: where they begin */
#define LUKS2_AREAS (2 * LUKS2_HEADER_MIN)

struct areas { uint8_t *bytes[NDM_LUKS_SLOTS]; size_t n[NDM_LUKS_SLOTS]; };

static uint64_t area_room(size_t key_bytes)
{
	return (luks_area_bytes(key_bytes, LUKS_STRIPES) + AREA_ALIGN - 1) / AREA_ALIGN * AREA_ALIGN;
}

static void areas_free(struct areas *a)
{
	unsigned i;

	for (i = 0; i < NDM_LUKS_SLOTS; i++) {
		if (a->bytes[i])
			ndm_secret_wipe(a->bytes[i], a->n[i]);
		ndm_free(a->bytes[i]);
	}
}

static int areas_read(struct ndm_luks *l, struct areas *a)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < l->nslots && !err; i++) {
		if (l->slot[i].kind != SLOT_KEY)
			continue;
		a->n[i] = luks_area_bytes(l->slot[i].key_bytes, l->slot[i].stripes);
		a->bytes[i] = ndm_zalloc(a->n[i]);
		err = a->bytes[i] ? luks_read(l, l->slot[i].area_offset, a->bytes[i], a->n[i])
				  : luks_fail(l, -ENOMEM, "no memory for the keyslots");
	}
	return err;
}

/* To where the slots say that they are now; all else between `from` and `end` becomes noise. */
static int areas_write(struct ndm_luks *l, const struct areas *a, uint64_t from, uint64_t end)
{
	unsigned i;
	int err = luks_area_wipe(l, from, end - from);

	for (i = 0; i < l->nslots && !err; i++)
		if (a->bytes[i])
			err = luks_write(l, l->slot[i].area_offset, a->bytes[i], a->n[i]);
	return err ? err : luks_sync(l);
}

/* ---- to LUKS2 ---- */

static int up_check(struct ndm_luks *l, uint64_t *end)
{
	uint64_t data = (uint64_t)l->payload_sector << 9, used = ndm_luks_header_bytes(l);

	if (luks_cipher_null(l->segment[0].cipher))
		return luks_fail(l, -EINVAL, "A header with cipher_null cannot be converted.");
	used += LUKS2_AREAS - LUKS1_AREAS;
	*end = data ? data : l->io->bytes;
	*end = *end > LUKS2_AREAS + (128u << 20) ? LUKS2_AREAS + (128u << 20) : *end / AREA_ALIGN * AREA_ALIGN;
	if (used > *end || *end > l->io->bytes)
		return luks_fail(l, -ENOSPC, "Cannot convert to LUKS2: there is no room for its header before the data.");
	return 0;
}

static int convert_up(struct ndm_luks *l)
{
	struct ndm_luks_format f = { .version = 2, .sector_bytes = 512 };
	char cipher[LUKS_NAME_BYTES];
	struct areas a = { 0 };
	uint64_t end = 0;
	int err = up_check(l, &end), i;

	err = err ? err : areas_read(l, &a);
	if (err)
		goto out;
	snprintf(cipher, sizeof cipher, "%s", l->segment[0].cipher);
	f.cipher = cipher;
	l->version = 2;
	l->seqid = 1;			/* as cryptsetup counts it */
	l->header_bytes = LUKS2_HEADER_MIN;
	l->keyslots_bytes = end - LUKS2_AREAS;
	snprintf(l->checksum, sizeof l->checksum, "sha256");
	err = luks_tree_make(l, &f, (uint64_t)l->payload_sector << 9);
	for (i = 0; i < LUKS1_SLOTS && !err; i++) {
		l->slot[i].area_offset += LUKS2_AREAS - LUKS1_AREAS;
		l->slot[i].area_bytes = area_room(l->slot[i].key_bytes);
		if (l->slot[i].kind == SLOT_KEY)
			err = luks_slot_to_tree(l, i, 0);
	}
	err = err ? err : areas_write(l, &a, LUKS1_AREAS, end);
	err = err ? err : luks2_write(l);
out:
	areas_free(&a);
	return err;
}

/* ---- to LUKS1 ---- */

static int down_check_slots(struct ndm_luks *l)
{
	const char *cipher = l->segment[0].cipher;
	unsigned i, used = 0;

	for (i = 0; i < l->nslots; i++) {
		const struct luks_slot *s = &l->slot[i];

		if (s->kind == SLOT_NONE)
			continue;
		if (s->kind != SLOT_KEY || i >= LUKS1_SLOTS)
			return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - keyslot %u is in use.", i);
		if (strcmp(s->kdf, "pbkdf2") || strcmp(s->kdf_hash, l->digest[0].hash) || strcmp(s->af_hash, l->digest[0].hash) ||
		    s->salt_bytes != 32 || s->stripes != LUKS_STRIPES || strcmp(s->area_cipher, cipher) ||
		    s->area_key_bytes != s->key_bytes || luks_slot_digest(l, i) != 0)
			return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - keyslot %u is not LUKS1 compatible: "
					 "pbkdf2, hash, cipher and key size must be the volume's.", i);
		if (used && s->key_bytes != used)
			return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - keys of several sizes.");
		used = s->key_bytes;
	}
	l->key_bytes = used;
	return used ? 0 : luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - there are no active keyslots.");
}

static int down_check(struct ndm_luks *l)
{
	const struct tree *needs = luks_tree_get(luks_tree_get(l->json, "config"), "requirements");
	const struct tree *tokens = luks_tree_get(l->json, "tokens");
	const struct luks_segment *s = &l->segment[0];
	unsigned i;

	if (ndm_luks_reencrypting(l) || (needs && needs->child))
		return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - the header has requirements that LUKS1 lacks.");
	if (tokens && tokens->child)
		return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - there are tokens.");
	for (i = 1; i < LUKS_SEGMENTS; i++)
		if (l->segment[i].used || l->digest[i].used)
			return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - more than one segment or key.");
	if (!s->crypt || *s->integrity || s->sector_bytes != 512 || s->iv_tweak || s->bytes || s->offset >> 9 > UINT32_MAX)
		return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - default segment encryption cipher "
				 "is not compatible.");
	if (!l->digest[0].used || l->digest[0].digest_bytes < 20 || l->digest[0].salt_bytes != 32)
		return luks_fail(l, -EINVAL, "Cannot convert to LUKS1 format - key slot digests are not LUKS1 compatible.");
	return down_check_slots(l);
}

static int convert_down(struct ndm_luks *l)
{
	uint64_t room, data = l->segment[0].offset, end = 2 * l->header_bytes + l->keyslots_bytes;
	const char *dash = strchr(l->segment[0].cipher, '-');
	struct areas a = { 0 };
	static const uint8_t zeroes[LUKS1_AREAS];
	unsigned i;
	int err = down_check(l);

	if (!err && (!dash || dash - l->segment[0].cipher > 31 || strlen(dash) > 32))
		err = luks_fail(l, -EINVAL, "the cipher's name does not fit a LUKS1 header");
	room = area_room(l->key_bytes);
	if (!err && LUKS1_AREAS + LUKS1_SLOTS * room > (data ? data : end))
		err = luks_fail(l, -ENOSPC, "Cannot convert to LUKS1 format - there is no room for eight keyslots.");
	err = err ? err : areas_read(l, &a);
	if (err)
		goto out;
	snprintf(l->cipher_name, sizeof l->cipher_name, "%.*s", (int)(dash - l->segment[0].cipher), l->segment[0].cipher);
	snprintf(l->cipher_mode, sizeof l->cipher_mode, "%.32s", dash + 1);
	snprintf(l->hash, sizeof l->hash, "%.31s", l->digest[0].hash);
	l->payload_sector = data >> 9;
	l->version = 1;
	l->nslots = LUKS1_SLOTS;
	luks_tree_free(l->json);
	l->json = NULL;
	for (i = 0; i < LUKS1_SLOTS; i++) {
		l->slot[i].area_offset = LUKS1_AREAS + i * room;
		l->slot[i].area_bytes = luks_area_bytes(l->key_bytes, LUKS_STRIPES);
		l->slot[i].stripes = LUKS_STRIPES;
	}
	err = areas_write(l, &a, LUKS1_AREAS, end);
	err = err ? err : luks_write(l, 0, zeroes, sizeof zeroes);
	err = err ? err : luks1_write(l);
out:
	areas_free(&a);
	return err;
}

int ndm_luks_convert(struct ndm_luks *l, int version)
{
	if (version == l->version)
		return luks_fail(l, -EINVAL, "Device is already LUKS%d type.", version);
	return version == 2 ? convert_up(l) : convert_down(l);
}
