/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luks1.c - the header of LUKS1, 592 bytes, integers big-endian.
 *
 *	0 magic, 6 version, 8 cipher, 40 mode, 72 hash, 104 payload sector, 108 key bytes,
 *	112 digest (20), 132 its salt, 164 its iterations, 168 UUID, 208 eight slots of 48 bytes:
 *	state, iterations, salt (32), first sector, stripes.
 */
#include <stdio.h>
#include <string.h>

#include "lib/luks/luks.h"

#define HEADER_BYTES 592
#define SLOT_ENABLED 0x00ac71f3u
#define SLOT_DISABLED 0x0000deadu
#define DIGEST_BYTES 20

static int text_field(struct ndm_luks *l, const uint8_t *from, size_t room, char *to, const char *what)
{
	memcpy(to, from, room);
	to[room] = 0;
	if (!luks_plain_text((const char *)from, room) || (!*to && room == 32))
		return luks_fail(l, -EINVAL, "LUKS1: the %s makes no sense", what);
	return 0;
}

static int slot_decode(struct ndm_luks *l, unsigned i, const uint8_t *p)
{
	struct luks_slot *s = &l->slot[i];
	uint32_t state = be32_get(p);

	*s = (struct luks_slot){ .key_bytes = l->key_bytes, .priority = 1,
				 .area_key_bytes = l->key_bytes, .salt_bytes = 32 };
	s->iterations = be32_get(p + 4);
	memcpy(s->salt, p + 8, 32);
	s->area_offset = (uint64_t)be32_get(p + 40) << 9;
	s->stripes = be32_get(p + 44);
	snprintf(s->area_cipher, sizeof s->area_cipher, "%.30s-%.32s", l->cipher_name,
		 l->cipher_mode);
	snprintf(s->af_hash, sizeof s->af_hash, "%.31s", l->hash);
	snprintf(s->kdf_hash, sizeof s->kdf_hash, "%.31s", l->hash);
	snprintf(s->kdf, sizeof s->kdf, "pbkdf2");
	if (state != SLOT_ENABLED && state != SLOT_DISABLED)
		return luks_fail(l, -EINVAL, "LUKS1: keyslot %u is neither used nor free", i);
	if (s->stripes != LUKS_STRIPES)
		return luks_fail(l, -EINVAL, "LUKS1: keyslot %u has %u stripes, not %u", i,
				 s->stripes, LUKS_STRIPES);
	s->area_bytes = luks_area_bytes(l->key_bytes, s->stripes);
	if (s->area_offset < 1024 ||
	    (l->payload_sector && s->area_offset + s->area_bytes > (uint64_t)l->payload_sector << 9))
		return luks_fail(l, -EINVAL, "LUKS1: keyslot %u lies outside of its place", i);
	if (state == SLOT_ENABLED) {
		if (!s->iterations || s->iterations > INT32_MAX)
			return luks_fail(l, -EINVAL, "LUKS1: keyslot %u asks for %u iterations", i,
					 s->iterations);
		s->kind = SLOT_KEY;
	}
	return 0;
}

static int slots_apart(struct ndm_luks *l)
{
	unsigned i, j;

	for (i = 0; i < l->nslots; i++)
		for (j = 0; j < i; j++)
			if (l->slot[i].area_offset < l->slot[j].area_offset + l->slot[j].area_bytes &&
			    l->slot[j].area_offset < l->slot[i].area_offset + l->slot[i].area_bytes)
				return luks_fail(l, -EINVAL, "LUKS1: keyslots %u and %u overlap", j, i);
	return 0;
}

/* What a LUKS2 header would say in its JSON. */
static void luks1_as_parts(struct ndm_luks *l)
{
	struct luks_segment *seg = &l->segment[0];

	*seg = (struct luks_segment){ .used = true, .crypt = true, .sector_bytes = 512 };
	seg->offset = (uint64_t)l->payload_sector << 9;
	snprintf(seg->cipher, sizeof seg->cipher, "%.30s-%.32s", l->cipher_name, l->cipher_mode);
}

int luks1_decode(struct ndm_luks *l, const uint8_t h[HEADER_BYTES])
{
	struct luks_digest *d = &l->digest[0];
	unsigned i;
	int err;

	l->version = 1;
	l->nslots = LUKS1_SLOTS;
	err = text_field(l, h + 8, 32, l->cipher_name, "cipher's name");
	err = err ? err : text_field(l, h + 40, 32, l->cipher_mode, "cipher's mode");
	err = err ? err : text_field(l, h + 72, 32, l->hash, "hash's name");
	err = err ? err : text_field(l, h + 168, 40, l->uuid, "UUID");
	if (err)
		return err;
	l->payload_sector = be32_get(h + 104);
	l->key_bytes = be32_get(h + 108);
	if (!l->key_bytes || l->key_bytes > NDM_LUKS_KEY_MAX)
		return luks_fail(l, -EINVAL, "LUKS1: a key of %u bytes", l->key_bytes);
	*d = (struct luks_digest){ .used = true, .digest_bytes = DIGEST_BYTES, .salt_bytes = 32 };
	snprintf(d->hash, sizeof d->hash, "%.31s", l->hash);
	memcpy(d->digest, h + 112, DIGEST_BYTES);
	memcpy(d->salt, h + 132, 32);
	d->iterations = be32_get(h + 164);
	if (!d->iterations || d->iterations > INT32_MAX)
		return luks_fail(l, -EINVAL, "LUKS1: a digest of %u iterations", d->iterations);
	for (i = 0; i < LUKS1_SLOTS && !err; i++)
		err = slot_decode(l, i, h + 208 + 48 * i);
	err = err ? err : slots_apart(l);
	luks1_as_parts(l);
	return err;
}

static void put_text(uint8_t *to, const char *from, size_t room)
{
	size_t n = strlen(from);

	memcpy(to, from, n < room ? n : room - 1);
}

int luks1_write(struct ndm_luks *l)
{
	uint8_t h[1024] = { 0 };
	unsigned i;
	int err;

	memcpy(h, "LUKS\xba\xbe", 6);
	be16_put(h + 6, 1);
	put_text(h + 8, l->cipher_name, 32);
	put_text(h + 40, l->cipher_mode, 32);
	put_text(h + 72, l->hash, 32);
	be32_put(h + 104, l->payload_sector);
	be32_put(h + 108, l->key_bytes);
	memcpy(h + 112, l->digest[0].digest, DIGEST_BYTES);
	memcpy(h + 132, l->digest[0].salt, 32);
	be32_put(h + 164, l->digest[0].iterations);
	put_text(h + 168, l->uuid, 40);
	for (i = 0; i < LUKS1_SLOTS; i++) {
		const struct luks_slot *s = &l->slot[i];
		uint8_t *p = h + 208 + 48 * i;

		be32_put(p, s->kind == SLOT_KEY ? SLOT_ENABLED : SLOT_DISABLED);
		if (s->kind == SLOT_KEY) {
			be32_put(p + 4, s->iterations);
			memcpy(p + 8, s->salt, 32);
		}
		be32_put(p + 40, s->area_offset >> 9);
		be32_put(p + 44, s->stripes);
	}
	luks1_as_parts(l);
	err = luks_write(l, 0, h, sizeof h);
	return err ? err : luks_sync(l);
}
