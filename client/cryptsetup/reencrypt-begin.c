/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt-begin.c - what a re-encryption has to be told before it begins: passphrases, the new key;
 * for data that is plain a header, and for data that shall be plain a file for its header.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As in the header, unless an option says otherwise. */
static int kdf_for(struct work *w, int slot, struct ndm_luks_kdf *kdf)
{
	struct cs *cs = w->cs;

	if (given(cs, CS_PBKDF) || given(cs, CS_PBKDF_ITERATIONS) || given(cs, CS_PBKDF_MEMORY) ||
	    given(cs, CS_ITER_TIME) || given(cs, CS_HASH))
		return kdf_choose(cs, ndm_luks_version(w->l), given(cs, CS_HASH) ? text(cs, CS_HASH) : "sha256", kdf);
	return ndm_luks_slot_kdf(w->l, slot, kdf);
}

/* The passphrase of one slot, and with it the key. */
static int ask(struct work *w, int slot)
{
	struct cs *cs = w->cs;
	struct secret *s = &w->secret[w->n];
	char *prompt = text_format("Enter passphrase for key slot %d: ", slot);
	unsigned tries = 0;
	int err = prompt ? 0 : -ENOMEM;

	while (!err) {
		secret_free(s);
		err = secret_read(cs, prompt, false, text(cs, CS_KEY_FILE), CS_KEYFILE_OFFSET, CS_KEYFILE_SIZE, s);
		if (err)
			break;
		err = ndm_luks_unlock(w->l, slot, s->bytes, s->n, w->keys.old, &w->keys.old_bytes);
		if (err >= 0)
			break;
		say("%s", ndm_luks_why(w->l));
		if (secret_may_ask_again(cs, err, ++tries))
			err = 0;
	}
	free(prompt);
	if (err < 0)
		return err;
	w->slot[w->n] = slot;
	w->pass[w->n] = (struct ndm_luks_pass){ .pass = s->bytes, .bytes = s->n };
	return kdf_for(w, slot, &w->pass[w->n++].kdf);
}

/* All slots that shall go on being there; the others are lost with the old key. */
int reencrypt_ask(struct work *w)
{
	struct cs *cs = w->cs;
	struct ndm_luks_kdf kdf;
	int slot, count = 0, only = number(cs, CS_KEY_SLOT, -1), err = 0;

	for (slot = 0; slot < NDM_LUKS_SLOTS; slot++)
		count += !ndm_luks_slot_kdf(w->l, slot, &kdf);
	if (only >= 0 && count > 1)
		err = confirm(cs, "All other key slots will be gone when this is done.");
	if (err)
		return err;
	if (only >= 0)
		return ask(w, only);
	if (count > 1 && given(cs, CS_KEY_FILE)) {
		say("Key file can be used only with --key-slot or with exactly one key slot active.");
		return -EINVAL;
	}
	for (slot = 0; slot < NDM_LUKS_SLOTS && !err; slot++)
		if (!ndm_luks_slot_kdf(w->l, slot, &kdf))
			err = ask(w, slot);
	return err;
}

int reencrypt_key(struct work *w)
{
	struct cs *cs = w->cs;
	struct secret s;
	int err;

	if (given(cs, CS_KEEP_KEY)) {
		w->keys.fresh_bytes = w->keys.old_bytes;
		memcpy(w->keys.fresh, w->keys.old, w->keys.old_bytes);
		return 0;
	}
	w->keys.fresh_bytes = number(cs, CS_KEY_SIZE, 8 * w->keys.old_bytes) / 8;
	if (!w->keys.fresh_bytes || w->keys.fresh_bytes > NDM_LUKS_KEY_MAX) {
		say("Key size makes no sense.");
		return -EINVAL;
	}
	if (!given(cs, CS_VOLUME_KEY_FILE))
		return ndm_luks_random(w->keys.fresh, w->keys.fresh_bytes);
	err = secret_read(cs, "", false, text(cs, CS_VOLUME_KEY_FILE), CS_END - 1, CS_END - 1, &s);
	if (err)
		return err;
	if (s.n != w->keys.fresh_bytes) {
		say("The volume key file must have %zu bytes.", w->keys.fresh_bytes);
		err = -EINVAL;
	} else {
		memcpy(w->keys.fresh, s.bytes, s.n);
	}
	secret_free(&s);
	return err;
}

static struct ndm_luks_reencrypt wanted(const struct work *w)
{
	struct cs *cs = w->cs;

	return (struct ndm_luks_reencrypt){
		.cipher = ndm_luks_cipher(w->l), .sector_bytes = ndm_luks_sector_bytes(w->l),
		.resilience = given(cs, CS_RESILIENCE) ? text(cs, CS_RESILIENCE) : "checksum",
		.hash = given(cs, CS_RESILIENCE_HASH) ? text(cs, CS_RESILIENCE_HASH) : "sha256",
		.digest_iterations = given(cs, CS_PBKDF_ITERATIONS) ? 1000 : kdf_digest_iterations("sha256"),
	};
}

int reencrypt_begin(struct work *w)
{
	struct cs *cs = w->cs;
	struct ndm_luks_reencrypt want = wanted(w);
	int err;

	want.passes = w->pass;
	want.cipher = given(cs, CS_CIPHER) ? text(cs, CS_CIPHER) : want.cipher;
	want.sector_bytes = number(cs, CS_SECTOR_SIZE, want.sector_bytes);

	if (want.sector_bytes < 512 || want.sector_bytes > 4096 || want.sector_bytes & (want.sector_bytes - 1)) {
		say("Unsupported encryption sector size.");
		return -EINVAL;
	}
	err = reencrypt_ask(w);
	err = err ? err : reencrypt_key(w);
	want.npasses = w->n;
	if (err)
		return err;
	err = ndm_luks_reencrypt_begin(w->l, &w->data->io, &want, &w->keys);
	if (err)
		say("%s", ndm_luks_why(w->l));
	return err;
}

/* ---- plain data: a header for it ---- */

/* A header that is not on any disk yet. */
struct memory { struct ndm_luks_io io; uint8_t *bytes; };

static int memory_read(struct ndm_luks_io *io, uint64_t at, void *buf, size_t n)
{
	if (at > io->bytes || n > io->bytes - at)
		return -EIO;
	memcpy(buf, ((struct memory *)io)->bytes + at, n);
	return 0;
}

static int memory_write(struct ndm_luks_io *io, uint64_t at, const void *buf, size_t n)
{
	if (at > io->bytes || n > io->bytes - at)
		return -EIO;
	memcpy(((struct memory *)io)->bytes + at, buf, n);
	return 0;
}

static int memory_sync(struct ndm_luks_io *io)
{
	(void)io;
	return 0;
}

/* The header, its key and its passphrase, on `io`. */
static int header_make(struct work *w, struct ndm_luks_io *io, const struct ndm_luks_format *f)
{
	struct cs *cs = w->cs;
	struct ndm_luks_kdf kdf;
	struct secret pass = { 0 };
	char *prompt = text_format("Enter passphrase for %s: ", w->device);
	int err = prompt ? secret_read(cs, prompt, true, text(cs, CS_KEY_FILE), CS_KEYFILE_OFFSET,
				       CS_KEYFILE_SIZE, &pass) : -ENOMEM;

	free(prompt);
	err = err ? err : kdf_choose(cs, f->version, f->hash, &kdf);
	w->keys.fresh_bytes = ndm_luks_format_key_bytes(f);
	err = err ? err : format_key(cs, f, w->keys.fresh);
	if (!err) {
		w->l = ndm_luks_new(io);
		err = w->l ? ndm_luks_format(w->l, f, w->keys.fresh) : -ENOMEM;
		if (!err)
			err = ndm_luks_add(w->l, number(cs, CS_KEY_SLOT, -1), pass.bytes, pass.n, w->keys.fresh,
					   w->keys.fresh_bytes, &kdf);
		err = err > 0 ? 0 : err;
		if (err && w->l)
			say("%s", ndm_luks_why(w->l));
	}
	secret_free(&pass);
	return err;
}

static int begin_said(struct work *w, const struct ndm_luks_reencrypt *want)
{
	int err = ndm_luks_reencrypt_begin(w->l, &w->data->io, want, &w->keys);

	if (err)
		say("%s", ndm_luks_why(w->l));
	return err;
}

/* The header takes the place of the data's first bytes, which go behind all else first. */
static int encrypt_reduced(struct work *w, struct ndm_luks_format *f)
{
	uint64_t reduce = number(w->cs, CS_REDUCE, 0);
	struct memory m = { .io = { memory_read, memory_write, memory_sync, reduce / 2, true } };
	struct ndm_luks_reencrypt want;
	int err;

	if (!reduce || reduce % 8192 || reduce > 1u << 30) {
		say("The device can be reduced by a multiple of 8192 bytes, up to 1 GiB.");
		return -EINVAL;
	}
	m.bytes = calloc(1, m.io.bytes);
	f->data_offset = m.io.bytes;
	err = m.bytes ? header_make(w, &m.io, f) : -ENOMEM;
	if (!err) {
		want = wanted(w);
		want.how = NDM_LUKS_ENCRYPT;
		want.shift = m.io.bytes;
		err = begin_said(w, &want);
	}
	if (!err) {
		err = ndm_luks_install(w->l, m.bytes, m.io.bytes, &w->data->io);
		if (err)
			say("Cannot write the header to %s: %s.", w->device, strerror(-err));
	}
	/* from here on it is read from the device */
	ndm_luks_free(w->l);
	w->l = err ? NULL : ndm_luks_new(&w->data->io);
	free(m.bytes);
	if (!err)
		err = w->l ? ndm_luks_load(w->l) : -ENOMEM;
	return err;
}

static int encrypt_detached(struct work *w, struct ndm_luks_format *f)
{
	struct ndm_luks_reencrypt want;
	int err = header_file(w->cs, w->device, f, &w->header);

	err = err ? err : header_make(w, &w->header.io, f);
	if (err)
		return err;
	want = wanted(w);
	want.how = NDM_LUKS_ENCRYPT;
	return begin_said(w, &want);
}

int encrypt_begin(struct work *w)
{
	struct cs *cs = w->cs;
	struct ndm_luks_format f = { 0 };
	int err;

	if (!given(cs, CS_HEADER) == !given(cs, CS_REDUCE)) {
		say("Encryption needs either a detached header (--header) or data device size reduction "
		    "(--reduce-device-size).");
		return -EINVAL;
	}
	err = format_fill(cs, &f);
	if (!err && (f.version != 2 || f.integrity)) {
		say("Data that is there can be encrypted as LUKS2 without integrity only.");
		err = -EINVAL;
	}
	err = err ? err : confirm(cs, "This will encrypt the data where it is; without a backup it is at risk.");
	err = err ? err : disk_open(cs, w->device, true, false, &w->apart);
	if (err)
		return err;
	w->data = &w->apart;
	return given(cs, CS_REDUCE) ? encrypt_reduced(w, &f) : encrypt_detached(w, &f);
}

/* ---- data that shall be plain ---- */

/* The header as it is on the device, into the file that was named. */
static int header_export(struct work *w)
{
	struct cs *cs = w->cs;
	struct disk on = { .fd = -1, .nbd = { .fd = -1 } };
	struct ndm_luks *l = NULL;
	struct disk *to = &w->header;
	int err = disk_open(cs, w->device, true, false, &on);

	if (err)
		return err;
	l = ndm_luks_new(&on.io);
	err = l ? ndm_luks_load(l) : -ENOMEM;
	if (!err && ndm_luks_version(l) != 2)
		err = -EINVAL;
	if (err)
		say("Device %s is not a valid LUKS2 device.", w->device);
	err = err ? err : disk_open(cs, text(cs, CS_HEADER), true, true, to);
	if (!err && ftruncate(to->fd, ndm_luks_header_bytes(l)))
		err = -errno;
	if (!err) {
		to->io.bytes = ndm_luks_header_bytes(l);
		err = ndm_luks_backup(l, &to->io);
		if (err)
			say("%s", ndm_luks_why(l));
	}
	ndm_luks_free(l);
	disk_close(&on);
	disk_close(to);
	return err;
}

/* Has the device a header of its own, the same as in the file?  Then the data takes its place. */
static bool header_attached(struct work *w)
{
	struct ndm_luks *l = ndm_luks_new(&w->data->io);
	bool same = l && !ndm_luks_load(l) && !strcmp(ndm_luks_uuid(l), ndm_luks_uuid(w->l));

	ndm_luks_free(l);
	return same;
}

int decrypt_begin(struct work *w)
{
	struct cs *cs = w->cs;
	struct ndm_luks_reencrypt want;
	int err;

	if (!given(cs, CS_HEADER)) {
		say("LUKS2 decryption requires --header option: a file with the header, or for it.");
		return -EINVAL;
	}
	err = confirm(cs, "This will decrypt the data where it is; without a backup it is at risk.");
	if (!err && access(text(cs, CS_HEADER), F_OK))
		err = header_export(w);
	err = err ? err : reencrypt_open(w);
	err = err ? err : unlock(cs, w->l, w->device, w->keys.old, &w->keys.old_bytes, NULL);
	if (err)
		return err;
	want = wanted(w);
	want.how = NDM_LUKS_DECRYPT;
	want.shift = header_attached(w) ? ndm_luks_data_offset(w->l) : 0;
	return begin_said(w, &want);
}
