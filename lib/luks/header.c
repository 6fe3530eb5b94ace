/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * header.c - what is the same for both versions: the object, reading and writing, who is who.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/luks/luks.h"

struct ndm_luks *ndm_luks_new(struct ndm_luks_io *io)
{
	struct ndm_luks *l = ndm_secret_alloc(sizeof *l);

	if (l)
		l->io = io;
	return l;
}

void ndm_luks_free(struct ndm_luks *l)
{
	if (!l)
		return;
	luks_tree_free(l->json);
	ndm_secret_free(l, sizeof *l);
}

const char *ndm_luks_why(const struct ndm_luks *l)
{
	return l->why;
}

int luks_fail(struct ndm_luks *l, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->why, sizeof l->why, fmt, ap);
	va_end(ap);
	return err;
}

int luks_read(struct ndm_luks *l, uint64_t offset, void *buf, size_t bytes)
{
	int err;

	if (offset > l->io->bytes || bytes > l->io->bytes - offset)
		return luks_fail(l, -EINVAL, "the header reaches past the end of the device");
	err = l->io->read(l->io, offset, buf, bytes);
	return err ? luks_fail(l, err, "cannot read the header: %s", strerror(-err)) : 0;
}

int luks_write(struct ndm_luks *l, uint64_t offset, const void *buf, size_t bytes)
{
	int err;

	if (!l->io->writable)
		return luks_fail(l, -EROFS, "the header's device may not be written");
	if (offset > l->io->bytes || bytes > l->io->bytes - offset)
		return luks_fail(l, -ENOSPC, "the device is too small for the header");
	err = l->io->write(l->io, offset, buf, bytes);
	return err ? luks_fail(l, err, "cannot write the header: %s", strerror(-err)) : 0;
}

int luks_sync(struct ndm_luks *l)
{
	int err = l->io->sync(l->io);

	return err ? luks_fail(l, err, "cannot sync the header: %s", strerror(-err)) : 0;
}

bool luks_plain_text(const char *s, size_t room)
{
	size_t i;

	for (i = 0; i < room && s[i]; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return i < room;
}

/* ---- loading ---- */

int ndm_luks_load(struct ndm_luks *l)
{
	uint8_t first[592];
	int err = 0;

	if (l->io->bytes < sizeof first)
		return luks_fail(l, -ENXIO, "the device is too small for a LUKS header");
	err = luks_read(l, 0, first, sizeof first);
	if (err)
		return err;
	if (!memcmp(first, "LUKS\xba\xbe", 6) && be16_get(first + 6) == 1)
		return luks1_decode(l, first);
	err = luks2_load(l);			/* its second copy may be all that is left */
	if (err == -ENXIO && !memcmp(first, "LUKS\xba\xbe", 6) && be16_get(first + 6) > 2)
		return luks_fail(l, -EINVAL, "LUKS version %u is not known", be16_get(first + 6));
	return err;
}

int luks_commit(struct ndm_luks *l)
{
	return l->version == 1 ? luks1_write(l) : luks2_write(l);
}

/* ---- facts ---- */

int ndm_luks_version(const struct ndm_luks *l)
{
	return l->version;
}

const char *ndm_luks_uuid(const struct ndm_luks *l)
{
	return l->uuid;
}

const char *ndm_luks_label(const struct ndm_luks *l)
{
	return l->label;
}

const char *ndm_luks_subsystem(const struct ndm_luks *l)
{
	return l->subsystem;
}

bool ndm_luks_repaired(const struct ndm_luks *l)
{
	return l->repaired;
}

int ndm_luks_slots(const struct ndm_luks *l)
{
	return l->nslots;
}

uint64_t ndm_luks_header_bytes(const struct ndm_luks *l)
{
	unsigned i;
	uint64_t end = 4096;

	if (l->version == 2)
		return 2 * l->header_bytes + l->keyslots_bytes;
	for (i = 0; i < l->nslots; i++)		/* up to the last area */
		if (l->slot[i].area_offset + l->slot[i].area_bytes > end)
			end = l->slot[i].area_offset + l->slot[i].area_bytes;
	return (end + 4095) & ~(uint64_t)4095;
}

size_t ndm_luks_key_bytes(const struct ndm_luks *l)
{
	unsigned i;

	if (l->version == 1)
		return l->key_bytes;
	for (i = 0; i < l->nslots; i++)
		if (l->slot[i].kind == SLOT_KEY)
			return l->slot[i].key_bytes;
	return 0;
}

const char *ndm_luks_cipher(const struct ndm_luks *l)
{
	return l->segment[0].cipher;
}

unsigned ndm_luks_sector_bytes(const struct ndm_luks *l)
{
	return l->segment[0].sector_bytes;
}

uint64_t ndm_luks_data_offset(const struct ndm_luks *l)
{
	return l->version == 1 ? (uint64_t)l->payload_sector << 9 : l->segment[0].offset;
}

enum ndm_luks_slot ndm_luks_slot_state(const struct ndm_luks *l, int slot)
{
	unsigned i, active = 0;

	if (slot < 0 || (unsigned)slot >= l->nslots)
		return NDM_LUKS_INVALID;
	if (l->slot[slot].kind == SLOT_NONE)
		return NDM_LUKS_INACTIVE;
	for (i = 0; i < l->nslots; i++)
		active += l->slot[i].kind == SLOT_KEY;
	return active == 1 && l->slot[slot].kind == SLOT_KEY ? NDM_LUKS_ACTIVE_LAST : NDM_LUKS_ACTIVE;
}

/* ---- secrets for callers ---- */

void *ndm_luks_secret(size_t bytes)
{
	return ndm_secret_alloc(bytes);
}

void ndm_luks_secret_free(void *p, size_t bytes)
{
	ndm_secret_free(p, bytes);
}

int ndm_luks_random(void *p, size_t bytes)
{
	return ndm_secret_random(p, bytes);
}

void ndm_luks_text_free(char *text)
{
	if (text)
		ndm_secret_wipe(text, strlen(text));
	ndm_free(text);
}

/* Round r hashes r letters A and the passphrase; the results are strung together. */
int ndm_luks_plain_key(const char *hash, const void *pass, size_t pass_bytes, uint8_t *key,
		       size_t key_bytes)
{
	uint8_t digest[NDM_HASH_MAX];
	struct ndm_hash *h = NULL;
	size_t done = 0;
	unsigned round, i;
	int err;

	memset(key, 0, key_bytes);
	if (!strcmp(hash, "plain")) {
		memcpy(key, pass, pass_bytes < key_bytes ? pass_bytes : key_bytes);
		return 0;
	}
	err = ndm_hash_new(hash, &h);
	for (round = 0; !err && done < key_bytes; round++) {
		size_t now = ndm_hash_bytes(h);

		err = ndm_hash_begin(h);
		for (i = 0; i < round && !err; i++)
			err = ndm_hash_update(h, "A", 1);
		err = err ? err : ndm_hash_update(h, pass, pass_bytes);
		err = err ? err : ndm_hash_end(h, digest);
		now = now < key_bytes - done ? now : key_bytes - done;
		memcpy(key + done, digest, now);
		done += now;
	}
	ndm_hash_free(h);
	ndm_secret_wipe(digest, sizeof digest);
	return err;
}
