/* SPDX-License-Identifier: BSD-2-Clause */
/* format.c - luksFormat. */
#include "client/cryptsetup/cryptsetup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CIPHER "aes-xts-plain64"
#define DEFAULT_HASH "sha256"

/* "hmac-sha256" -> "hmac(sha256)"; others as they are */
static const char *integrity_name(const char *given_name)
{
	static const struct { const char *typed, *name; } names[] = {
		{ "hmac-sha1", "hmac(sha1)" }, { "hmac-sha256", "hmac(sha256)" },
		{ "hmac-sha512", "hmac(sha512)" }, { "aead", "aead" }, { "poly1305", "poly1305" },
		{ "none", "none" },
	};
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i].typed, given_name))
			return names[i].name;
	return NULL;
}

static int format_type(struct cs *cs, int *version)
{
	const char *type = given(cs, CS_TYPE) ? text(cs, CS_TYPE) : "luks2";

	*version = !strcmp(type, "luks1") ? 1 : 2;
	if (!strcmp(type, "luks1") || !strcmp(type, "luks2") || !strcmp(type, "luks"))
		return 0;
	say("Unrecognized metadata device type %s.", type);
	return -EINVAL;
}

int format_fill(struct cs *cs, struct ndm_luks_format *f)
{
	const char *cipher = given(cs, CS_CIPHER) ? text(cs, CS_CIPHER) : DEFAULT_CIPHER;
	uint64_t usual = strstr(cipher, "-xts-") ? 512 : 256;
	int err = format_type(cs, &f->version);

	if (err)
		return err;
	f->cipher = cipher;
	f->key_bytes = number(cs, CS_KEY_SIZE, usual) / 8;
	f->hash = given(cs, CS_HASH) ? text(cs, CS_HASH) : DEFAULT_HASH;
	f->uuid = text(cs, CS_UUID);
	f->label = text(cs, CS_LABEL);
	f->subsystem = text(cs, CS_SUBSYSTEM);
	f->sector_bytes = number(cs, CS_SECTOR_SIZE, 512);
	f->data_offset = given(cs, CS_OFFSET) ? (int64_t)(number(cs, CS_OFFSET, 0) << 9) : -1;
	f->align_bytes = number(cs, CS_ALIGN_PAYLOAD, 0) << 9;
	f->metadata_bytes = number(cs, CS_METADATA_SIZE, 0);
	f->keyslots_bytes = number(cs, CS_KEYSLOTS_SIZE, 0);
	f->detached = given(cs, CS_HEADER);
	if (given(cs, CS_INTEGRITY)) {
		f->integrity = integrity_name(text(cs, CS_INTEGRITY));
		if (!f->integrity || f->version == 1) {
			say("No known integrity specification pattern detected.");
			return -EINVAL;
		}
	}
	if (f->sector_bytes < 512 || f->sector_bytes > 4096 || f->sector_bytes & (f->sector_bytes - 1) ||
	    (f->version == 1 && f->sector_bytes != 512)) {
		say("Unsupported encryption sector size.");
		return -EINVAL;
	}
	f->digest_iterations = given(cs, CS_PBKDF_ITERATIONS) ? 1000 : kdf_digest_iterations(f->hash);
	return 0;
}

int format_key(struct cs *cs, const struct ndm_luks_format *f, uint8_t *key)
{
	size_t bytes = ndm_luks_format_key_bytes(f);
	struct secret s;
	int err;

	if (!given(cs, CS_VOLUME_KEY_FILE))
		return ndm_luks_random(key, bytes);
	err = secret_read(cs, "", false, text(cs, CS_VOLUME_KEY_FILE), CS_END - 1, CS_END - 1, &s);
	if (err)
		return err;
	if (s.n < bytes) {
		say("Cannot read %zu bytes from volume key file.", bytes);
		err = -EINVAL;
	} else {
		memcpy(key, s.bytes, bytes);
	}
	secret_free(&s);
	return err;
}

/* A header file of its own is made as large as it has to be. */
int header_file(struct cs *cs, const char *device, const struct ndm_luks_format *f, struct disk *d)
{
	const char *where = given(cs, CS_HEADER) ? text(cs, CS_HEADER) : device;
	uint64_t need = f->version == 1 ? 4u << 20 :
		2 * (f->metadata_bytes ? f->metadata_bytes : 16384) +
		(f->keyslots_bytes ? f->keyslots_bytes : (16u << 20) - 32768);
	int err = disk_open(cs, where, true, given(cs, CS_HEADER), d);

	if (err || !given(cs, CS_HEADER) || d->io.bytes >= need || d->io.bytes)
		return err;
	if (ftruncate(d->fd, need)) {
		err = -errno;
		say("Cannot make header file %s: %s.", where, strerror(-err));
		disk_close(d);
		return err;
	}
	d->io.bytes = need;
	return 0;
}

/* ---- LUKS2 with integrity: the device below is made, and its sectors get their first tags ---- */

/* ndmd makes superblock and journal when it finds zeroes where they should be. */
static int integrity_format(struct cs *cs, struct ndm_luks *l, struct disk *data, const char *name)
{
	struct ndm_luks_options o;
	struct ndm_luks_line line = { 0 };
	char *word = disk_word(data), *uuid = dm_uuid("TEMP", "", name);
	int err = word && uuid ? ndm_luks_integrity_clear(l, &data->io) : -ENOMEM;

	if (!err) {
		table_options(cs, data, word, &o);
		err = ndm_luks_integrity_format(l, &o, &line);
	}
	if (err)
		say("%s", ndm_luks_why(l));
	err = err ? err : dm_create(cs, name, uuid, (struct dm_lines){ &line, 1 }, false);
	err = err ? err : dm_remove(cs, name, false);
	ndm_luks_text_free(line.args);
	free(word);
	free(uuid);
	return err;
}

/* A sector that was never written has no tag, and cannot be read: so all are written once. */
static int integrity_wipe(struct cs *cs, struct ndm_luks *l, struct disk *data, const char *name,
			  const uint8_t *key, size_t key_bytes)
{
	char *path = text_format("/dev/mapper/%s", name), *lower = text_format("%s_dif", name);
	struct disk d = { .fd = -1, .nbd = { .fd = -1 } };
	int err = path && lower ? make_devices(cs, l, data, name, key, key_bytes) : -ENOMEM;

	if (!err) {
		err = disk_open(cs, path, true, false, &d);
		if (!err) {
			err = nbdc_write_zeroes(&d.nbd, 0, d.io.bytes);
			err = err ? err : nbdc_flush(&d.nbd);
			if (err)
				say("Wiping %s failed: %s.", path, strerror(-err));
		}
		disk_close(&d);
		dm_remove(cs, name, true);
		dm_remove(cs, lower, true);
	}
	free(path);
	free(lower);
	return err;
}

static int format_integrity(struct cs *cs, struct ndm_luks *l, const char *device, const uint8_t *key,
			    size_t key_bytes, struct disk *header)
{
	struct disk apart = { .fd = -1, .nbd = { .fd = -1 } }, *data = header;
	char *name = text_format("temporary-cryptsetup-%d", (int)getpid());
	int err = name ? 0 : -ENOMEM;

	if (!err && given(cs, CS_HEADER)) {
		err = disk_open(cs, device, true, false, &apart);
		data = &apart;
	}
	err = err ? err : integrity_format(cs, l, data, name);
	if (!err && !given(cs, CS_INTEGRITY_NO_WIPE))
		err = integrity_wipe(cs, l, data, name, key, key_bytes);
	disk_close(&apart);
	free(name);
	return err;
}

int cs_format(struct cs *cs)
{
	const char *device = cs->argv[0];
	const char *file = cs->argc > 1 ? cs->argv[1] : text(cs, CS_KEY_FILE);
	struct ndm_luks_format f = { 0 };
	struct ndm_luks_kdf kdf;
	struct secret pass = { 0 };
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	struct ndm_luks *l = NULL;
	struct disk d = { .fd = -1, .nbd = { .fd = -1 } };
	char *prompt, *question = text_format("This will overwrite data on %s irrevocably.", device);
	int err = key && question ? confirm(cs, question) : -ENOMEM;

	free(question);
	err = err ? err : format_fill(cs, &f);
	if (!err) {
		prompt = text_format("Enter passphrase for %s: ", device);
		err = secret_read(cs, prompt, true, file, CS_KEYFILE_OFFSET, CS_KEYFILE_SIZE, &pass);
		free(prompt);
	}
	err = err ? err : kdf_choose(cs, f.version, f.hash, &kdf);
	err = err ? err : format_key(cs, &f, key);
	err = err ? err : header_file(cs, device, &f, &d);
	if (!err) {
		l = ndm_luks_new(&d.io);
		err = l ? ndm_luks_format(l, &f, key) : -ENOMEM;
		if (!err)
			err = ndm_luks_add(l, number(cs, CS_KEY_SLOT, -1), pass.bytes, pass.n, key,
					   ndm_luks_format_key_bytes(&f), &kdf);
		if (err >= 0 && cs->verbose)
			printf("Key slot %d created.\n", err);
		if (err < 0 && l)
			say("%s", ndm_luks_why(l));
		err = err > 0 ? 0 : err;
		if (!err && f.integrity)
			err = format_integrity(cs, l, device, key, ndm_luks_format_key_bytes(&f), &d);
		header_close(&d, l);
	}
	secret_free(&pass);
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	return err;
}
