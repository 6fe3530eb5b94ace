/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump.c - a header for people, in the form that cryptsetup's luksDump made known.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/luks/luks.h"

/* bytes as "aa bb ", a new line and its indent after every 16 */
static void put_hex(struct ndm_str *out, const uint8_t *p, size_t bytes, const char *indent)
{
	size_t i;

	for (i = 0; i < bytes; i++) {
		if (i && !(i % 16))
			ndm_printf(out, "\n%s", indent);
		ndm_printf(out, "%02x ", p[i]);
	}
	ndm_printf(out, "\n");
}

/* ---- LUKS1 ---- */

static void dump1_slot(const struct ndm_luks *l, unsigned i, struct ndm_str *out)
{
	const struct luks_slot *s = &l->slot[i];

	if (s->kind != SLOT_KEY) {
		ndm_printf(out, "Key Slot %u: DISABLED\n", i);
		return;
	}
	ndm_printf(out, "Key Slot %u: ENABLED\n", i);
	ndm_printf(out, "\tIterations:         \t%u\n", s->iterations);
	ndm_printf(out, "\tSalt:               \t");
	put_hex(out, s->salt, s->salt_bytes, "\t                      \t");
	ndm_printf(out, "\tKey material offset:\t%" PRIu64 "\n", s->area_offset >> 9);
	ndm_printf(out, "\tAF stripes:            \t%u\n", s->stripes);
}

static void dump1(const struct ndm_luks *l, const char *device, struct ndm_str *out)
{
	const struct luks_digest *d = &l->digest[0];
	unsigned i;

	ndm_printf(out, "LUKS header information for %s\n\n", device);
	ndm_printf(out, "Version:       \t1\n");
	ndm_printf(out, "Cipher name:   \t%s\n", l->cipher_name);
	ndm_printf(out, "Cipher mode:   \t%s\n", l->cipher_mode);
	ndm_printf(out, "Hash spec:     \t%s\n", l->hash);
	ndm_printf(out, "Payload offset:\t%u\n", l->payload_sector);
	ndm_printf(out, "MK bits:       \t%u\n", 8 * l->key_bytes);
	ndm_printf(out, "MK digest:     \t");
	for (i = 0; i < d->digest_bytes; i++)
		ndm_printf(out, "%02x ", d->digest[i]);
	ndm_printf(out, "\nMK salt:       \t");
	put_hex(out, d->salt, d->salt_bytes, "               \t");
	ndm_printf(out, "MK iterations: \t%u\n", d->iterations);
	ndm_printf(out, "UUID:          \t%s\n\n", l->uuid);
	for (i = 0; i < l->nslots; i++)
		dump1_slot(l, i, out);
}

/* ---- LUKS2 ---- */

static void dump2_flags(const struct ndm_luks *l, unsigned segment, struct ndm_str *out)
{
	const struct tree *flags, *c;
	char name[12];

	snprintf(name, sizeof name, "%u", segment);
	flags = luks_tree_get(luks_tree_get(luks_tree_get(l->json, "segments"), name), "flags");
	for (c = flags ? flags->child : NULL; c; c = c->next)
		if (c->kind == TREE_STRING)
			ndm_printf(out, "%s%s", c == flags->child ? "\tflags : " : ", ", c->text);
	if (flags && flags->child)
		ndm_printf(out, "\n");
}

static void dump2_segments(const struct ndm_luks *l, struct ndm_str *out)
{
	unsigned i;

	ndm_printf(out, "Data segments:\n");
	for (i = 0; i < LUKS_SEGMENTS; i++) {
		const struct luks_segment *s = &l->segment[i];

		if (!s->used)
			continue;
		ndm_printf(out, "  %u: %s\n", i, s->crypt ? "crypt" : "linear");
		ndm_printf(out, "\toffset: %" PRIu64 " [bytes]\n", s->offset);
		if (s->bytes)
			ndm_printf(out, "\tlength: %" PRIu64 " [bytes]\n", s->bytes);
		else
			ndm_printf(out, "\tlength: (whole device)\n");
		if (s->crypt) {
			ndm_printf(out, "\tcipher: %s\n", s->cipher);
			ndm_printf(out, "\tsector: %u [bytes]\n", s->sector_bytes);
		}
		if (*s->integrity)
			ndm_printf(out, "\tintegrity: %s\n", s->integrity);
		dump2_flags(l, i, out);
		ndm_printf(out, "\n");
	}
}

static void dump2_key(const struct luks_slot *s, struct ndm_str *out)
{
	ndm_printf(out, "\tCipher:     %s\n", s->area_cipher);
	ndm_printf(out, "\tCipher key: %u bits\n", 8 * s->area_key_bytes);
	ndm_printf(out, "\tPBKDF:      %s\n", s->kdf);
	if (!strcmp(s->kdf, "pbkdf2")) {
		ndm_printf(out, "\tHash:       %s\n", s->kdf_hash);
		ndm_printf(out, "\tIterations: %u\n", s->iterations);
	} else {
		ndm_printf(out, "\tTime cost:  %u\n", s->iterations);
		ndm_printf(out, "\tMemory:     %u\n", s->memory_kib);
		ndm_printf(out, "\tThreads:    %u\n", s->lanes);
	}
	ndm_printf(out, "\tSalt:       ");
	put_hex(out, s->salt, s->salt_bytes, "\t            ");
	ndm_printf(out, "\tAF stripes: %u\n", s->stripes);
	ndm_printf(out, "\tAF hash:    %s\n", s->af_hash);
}

/* Is there a segment in use that its key is for? */
static bool slot_bound(const struct ndm_luks *l, int digest)
{
	const struct tree *list;
	char name[12];
	unsigned i;

	snprintf(name, sizeof name, "%d", digest);
	list = luks_tree_get(luks_tree_get(luks_tree_get(l->json, "digests"), name), "segments");
	for (i = 0; i < LUKS_SEGMENTS; i++) {
		snprintf(name, sizeof name, "%u", i);
		if (l->segment[i].used && !l->segment[i].backup && luks_tree_has_text(list, name))
			return true;
	}
	return false;
}

/* What a re-encryption is, and how it survives being cut off. */
static void dump2_reencrypt(const struct tree *slot, struct ndm_str *out)
{
	const struct tree *area = luks_tree_get(slot, "area");
	const char *mode = luks_tree_text(slot, "mode"), *way = luks_tree_text(slot, "direction");
	const char *type = luks_tree_text(area, "type"), *hash = luks_tree_text(area, "hash");
	uint64_t shift;
	uint32_t bytes;

	if (!mode || !way || !type)
		return;
	ndm_printf(out, "\tMode:       %s\n\tDirection:  %s\n\tResilience: %s\n", mode, way, type);
	if (!strcmp(type, "checksum") && hash && !luks_tree_u32(area, "sector_size", &bytes))
		ndm_printf(out, "\tHash:       %s\n\tHash data:  %u [bytes]\n", hash, bytes);
	if (!strcmp(type, "datashift") && !luks_tree_u64(area, "shift_size", &shift))
		ndm_printf(out, "\tShift size: %" PRIu64 "[bytes]\n", shift);
}

static void dump2_slots(const struct ndm_luks *l, struct ndm_str *out)
{
	static const char *const priorities[] = { "ignored", "normal", "preferred" };
	unsigned i;

	ndm_printf(out, "Keyslots:\n");
	for (i = 0; i < l->nslots; i++) {
		const struct luks_slot *s = &l->slot[i];
		int digest = luks_slot_digest(l, i);
		const struct tree *slot;
		char name[12];

		if (s->kind == SLOT_NONE)
			continue;
		snprintf(name, sizeof name, "%u", i);
		slot = luks_tree_get(luks_tree_get(l->json, "keyslots"), name);
		ndm_printf(out, "  %u: %s%s\n", i, luks_tree_text(slot, "type"),
			   slot_bound(l, digest) ? "" : " (unbound)");
		ndm_printf(out, "\tKey:        %u bits\n", 8 * s->key_bytes);
		ndm_printf(out, "\tPriority:   %s\n", priorities[s->priority]);
		if (s->kind == SLOT_KEY)
			dump2_key(s, out);
		else
			dump2_reencrypt(slot, out);
		ndm_printf(out, "\tArea offset:%" PRIu64 " [bytes]\n", s->area_offset);
		ndm_printf(out, "\tArea length:%" PRIu64 " [bytes]\n", s->area_bytes);
		if (digest >= 0)
			ndm_printf(out, "\tDigest ID:  %d\n", digest);
	}
}

static void dump2_tokens(const struct ndm_luks *l, struct ndm_str *out)
{
	const struct tree *t, *slot;

	ndm_printf(out, "Tokens:\n");
	for (t = luks_tree_get(l->json, "tokens")->child; t; t = t->next) {
		const char *key = luks_tree_text(t, "key_description");

		ndm_printf(out, "  %s: %s\n", t->name, luks_tree_text(t, "type"));
		if (key && !strcmp(luks_tree_text(t, "type"), "luks2-keyring"))
			ndm_printf(out, "\tKey description: %s\n", key);
		for (slot = luks_tree_get(t, "keyslots")->child; slot; slot = slot->next)
			ndm_printf(out, "\tKeyslot:    %s\n", slot->text);
	}
}

static void dump2_digests(const struct ndm_luks *l, struct ndm_str *out)
{
	unsigned i;

	ndm_printf(out, "Digests:\n");
	for (i = 0; i < LUKS_SEGMENTS; i++) {
		const struct luks_digest *d = &l->digest[i];

		if (!d->used)
			continue;
		ndm_printf(out, "  %u: pbkdf2\n", i);
		ndm_printf(out, "\tHash:       %s\n", d->hash);
		ndm_printf(out, "\tIterations: %u\n", d->iterations);
		ndm_printf(out, "\tSalt:       ");
		put_hex(out, d->salt, d->salt_bytes, "\t            ");
		ndm_printf(out, "\tDigest:     ");
		put_hex(out, d->digest, d->digest_bytes, "\t            ");
	}
}

static void dump2_words(const struct tree *list, const char *what, const char *none, struct ndm_str *out)
{
	const struct tree *t = list ? list->child : NULL;

	if (!t && !none)
		return;
	ndm_printf(out, "%s\t", what);
	if (!t)
		ndm_printf(out, "%s", none);
	for (; t; t = t->next)
		if (t->kind == TREE_STRING)
			ndm_printf(out, "%s ", t->text);
	ndm_printf(out, "\n");
}

static void dump2(const struct ndm_luks *l, struct ndm_str *out)
{
	const struct tree *config = luks_tree_get(l->json, "config");

	ndm_printf(out, "LUKS header information\n");
	ndm_printf(out, "Version:       \t2\n");
	ndm_printf(out, "Epoch:         \t%" PRIu64 "\n", l->seqid);
	ndm_printf(out, "Metadata area: \t%" PRIu64 " [bytes]\n", l->header_bytes);
	ndm_printf(out, "Keyslots area: \t%" PRIu64 " [bytes]\n", l->keyslots_bytes);
	ndm_printf(out, "UUID:          \t%s\n", *l->uuid ? l->uuid : "(no UUID)");
	ndm_printf(out, "Label:         \t%s\n", *l->label ? l->label : "(no label)");
	ndm_printf(out, "Subsystem:     \t%s\n", *l->subsystem ? l->subsystem : "(no subsystem)");
	dump2_words(luks_tree_get(config, "flags"), "Flags:       ", "(no flags)", out);
	dump2_words(luks_tree_get(luks_tree_get(config, "requirements"), "mandatory"),
		    "Requirements:", NULL, out);
	ndm_printf(out, "\n");
	dump2_segments(l, out);
	dump2_slots(l, out);
	dump2_tokens(l, out);
	dump2_digests(l, out);
}

char *ndm_luks_dump(const struct ndm_luks *l, const char *device)
{
	struct ndm_str out = { 0 };

	if (l->version == 1)
		dump1(l, device, &out);
	else
		dump2(l, &out);
	return out.text;
}

char *ndm_luks_dump_key(const struct ndm_luks *l, const char *device, const uint8_t *key,
			size_t key_bytes)
{
	const struct luks_segment *s = &l->segment[0];
	const char *dash = strchr(s->cipher, '-');
	struct ndm_str out = { 0 };

	ndm_printf(&out, "LUKS header information for %s\n", device);
	ndm_printf(&out, "Cipher name:   \t%.*s\n", dash ? (int)(dash - s->cipher) : 64, s->cipher);
	ndm_printf(&out, "Cipher mode:   \t%s\n", dash ? dash + 1 : "");
	ndm_printf(&out, "Payload offset:\t%" PRIu64 "\n", s->offset >> 9);
	ndm_printf(&out, "UUID:          \t%s\n", l->uuid);
	ndm_printf(&out, "MK bits:       \t%zu\n", 8 * key_bytes);
	ndm_printf(&out, "MK dump:\t");
	put_hex(&out, key, key_bytes, "\t\t");
	return out.text;
}
