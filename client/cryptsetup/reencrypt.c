/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt.c - another volume key, cipher or sector size for a LUKS2 device that nobody uses.
 * Cut off at any moment, the same command goes on; so does cryptsetup, and here what it began.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TELL_BYTES (64u << 20)

/* What a re-encryption is done with. */
struct work {
	struct cs *cs;
	const char *device;
	struct disk header, apart, *data;
	struct ndm_luks *l;
	struct ndm_luks_keys keys;
	struct secret secret[NDM_LUKS_SLOTS];
	struct ndm_luks_pass pass[NDM_LUKS_SLOTS];
	unsigned n;
};

/* As in the header, unless an option says otherwise. */
static int kdf_for(struct work *w, int slot, struct ndm_luks_kdf *kdf)
{
	struct cs *cs = w->cs;

	if (given(cs, CS_PBKDF) || given(cs, CS_PBKDF_ITERATIONS) || given(cs, CS_PBKDF_MEMORY) ||
	    given(cs, CS_ITER_TIME) || given(cs, CS_HASH))
		return kdf_choose(cs, 2, given(cs, CS_HASH) ? text(cs, CS_HASH) : "sha256", kdf);
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
	w->pass[w->n] = (struct ndm_luks_pass){ .pass = s->bytes, .bytes = s->n };
	return kdf_for(w, slot, &w->pass[w->n++].kdf);
}

/* All slots that shall go on being there; the others are lost with the old key. */
static int ask_all(struct work *w)
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

static int new_key(struct work *w)
{
	struct cs *cs = w->cs;
	struct secret s;
	int err;

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

static int begin(struct work *w)
{
	struct cs *cs = w->cs;
	struct ndm_luks_reencrypt want = {
		.cipher = given(cs, CS_CIPHER) ? text(cs, CS_CIPHER) : ndm_luks_cipher(w->l),
		.sector_bytes = number(cs, CS_SECTOR_SIZE, ndm_luks_sector_bytes(w->l)),
		.resilience = given(cs, CS_RESILIENCE) ? text(cs, CS_RESILIENCE) : "checksum",
		.hash = given(cs, CS_RESILIENCE_HASH) ? text(cs, CS_RESILIENCE_HASH) : "sha256",
		.digest_iterations = given(cs, CS_PBKDF_ITERATIONS) ? 1000 : kdf_digest_iterations("sha256"),
		.passes = w->pass,
	};
	int err;

	if (given(cs, CS_RESUME_ONLY)) {
		say("Device is not in reencryption.");
		return -EINVAL;
	}
	if (want.sector_bytes < 512 || want.sector_bytes > 4096 || want.sector_bytes & (want.sector_bytes - 1)) {
		say("Unsupported encryption sector size.");
		return -EINVAL;
	}
	if (ndm_luks_version(w->l) != 2) {
		say("Only LUKS2 devices can be re-encrypted here; for LUKS1 use 'cryptsetup convert' first.");
		return -EINVAL;
	}
	err = ask_all(w);
	err = err ? err : new_key(w);
	want.npasses = w->n;
	if (err)
		return err;
	err = ndm_luks_reencrypt_begin(w->l, &w->data->io, &want, &w->keys);
	if (err)
		say("%s", ndm_luks_why(w->l));
	return err;
}

static int unlock_both(struct work *w)
{
	struct secret s = { 0 };
	unsigned tries = 0;
	int err;

	if (given(w->cs, CS_INIT_ONLY)) {
		say("LUKS2 reencryption already initialized in metadata.");
		return -EINVAL;
	}
	do {
		secret_free(&s);
		err = secret_for(w->cs, w->device, &s);
		if (err)
			return err;
		err = ndm_luks_reencrypt_unlock(w->l, s.bytes, s.n, &w->keys);
		if (err)
			say("%s", ndm_luks_why(w->l));
	} while (err && secret_may_ask_again(w->cs, err, ++tries));
	secret_free(&s);
	return err;
}

static int go_on(struct work *w)
{
	uint64_t done = 0, total = 0, told = 0;
	int more;

	do {
		more = ndm_luks_reencrypt_step(w->l, &w->data->io, &w->keys, number(w->cs, CS_HOTZONE_SIZE, 0),
					       &done, &total);
		if (w->cs->verbose && more >= 0 && (done - told >= TELL_BYTES || !more)) {
			printf("Reencrypted %" PRIu64 " of %" PRIu64 " MiB.\n", done >> 20, total >> 20);
			told = done;
		}
	} while (more > 0);
	if (more)
		say("%s", ndm_luks_why(w->l));
	return more;
}

static int open_both(struct work *w)
{
	struct cs *cs = w->cs;
	int err = header_open(cs, w->device, true, &w->header, &w->l);

	if (err)
		return err;
	w->data = &w->header;
	if (given(cs, CS_HEADER)) {
		err = disk_open(cs, w->device, true, false, &w->apart);
		w->data = &w->apart;
	}
	if (!err && dm_uuid_in_use(cs, ndm_luks_uuid(w->l))) {
		say("Device %s is still in use: it is re-encrypted only while it is closed.", w->device);
		err = -EBUSY;
	}
	return err;
}

int cs_reencrypt(struct cs *cs)
{
	struct work w = { .cs = cs, .device = cs->argv[0], .header = { .fd = -1, .nbd = { .fd = -1 } },
			  .apart = { .fd = -1, .nbd = { .fd = -1 } } };
	uint8_t *keys;
	int err;

	if (given(cs, CS_ENCRYPT) || given(cs, CS_DECRYPT)) {
		say("reencrypt --encrypt and --decrypt are not offered: only LUKS2 to LUKS2.");
		return -EINVAL;
	}
	keys = ndm_luks_secret(2 * NDM_LUKS_KEY_MAX);
	if (!keys)
		return -ENOMEM;
	w.keys.old = keys;
	w.keys.fresh = keys + NDM_LUKS_KEY_MAX;
	err = open_both(&w);
	if (!err)
		err = ndm_luks_reencrypting(w.l) ? unlock_both(&w) : begin(&w);
	if (!err && !given(cs, CS_INIT_ONLY))
		err = go_on(&w);
	while (w.n)
		secret_free(&w.secret[--w.n]);
	disk_close(&w.apart);
	header_close(&w.header, w.l);
	ndm_luks_secret_free(keys, 2 * NDM_LUKS_KEY_MAX);
	return err;
}
