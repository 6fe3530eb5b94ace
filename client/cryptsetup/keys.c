/* SPDX-License-Identifier: BSD-2-Clause */
/* keys.c - keyslots: luksAddKey, luksRemoveKey, luksChangeKey, luksKillSlot, luksErase. */
#include "client/cryptsetup/cryptsetup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *hash_of(struct cs *cs)
{
	return given(cs, CS_HASH) ? text(cs, CS_HASH) : "sha256";
}

static int complain(struct ndm_luks *l, int err)
{
	if (err < 0)
		say("%s", ndm_luks_why(l));
	return err < 0 ? err : 0;
}

/* The volume key, by the passphrase of another slot, or from a file. */
static int key_now(struct cs *cs, struct ndm_luks *l, const char *device, uint8_t *key, size_t *n)
{
	struct secret s;
	int err;

	if (!given(cs, CS_VOLUME_KEY_FILE))
		return unlock(cs, l, device, key, n, NULL);
	err = secret_read(cs, "", false, text(cs, CS_VOLUME_KEY_FILE), CS_END - 1, CS_END - 1, &s);
	if (err)
		return err;
	*n = s.n < NDM_LUKS_KEY_MAX ? s.n : NDM_LUKS_KEY_MAX;
	memcpy(key, s.bytes, *n);
	secret_free(&s);
	return 0;
}

/* --key-slot of luksAddKey is where the new one goes; --new-key-slot is its newer name */
static int slot_for_new(struct cs *cs)
{
	int slot = number(cs, CS_NEW_KEY_SLOT, number(cs, CS_KEY_SLOT, -1));

	if (!given(cs, CS_NEW_KEY_SLOT))
		cs->given[CS_KEY_SLOT - 1000] = false;
	return slot;
}

int cs_add_key(struct cs *cs)
{
	const char *device = cs->argv[0], *file = cs->argc > 1 ? cs->argv[1] : text(cs, CS_NEW_KEYFILE);
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	int slot = slot_for_new(cs), err;
	struct ndm_luks_kdf kdf;
	struct secret pass = { 0 };
	struct ndm_luks *l;
	struct disk d;
	size_t n = 0;

	if (!key)
		return -ENOMEM;
	err = header_open(cs, device, true, &d, &l);
	if (err)
		goto out;
	err = kdf_choose(cs, ndm_luks_version(l), hash_of(cs), &kdf);
	err = err ? err : key_now(cs, l, device, key, &n);
	err = err ? err : secret_new(cs, "Enter new passphrase for key slot: ", file, &pass);
	if (!err) {
		err = ndm_luks_add(l, slot, pass.bytes, pass.n, key, n, &kdf);
		if (err >= 0 && cs->verbose)
			printf("Key slot %d created.\n", err);
		err = complain(l, err);
	}
	secret_free(&pass);
	header_close(&d, l);
out:
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	return err;
}

static int kill_last_sure(struct cs *cs, struct ndm_luks *l, int slot)
{
	if (ndm_luks_slot_state(l, slot) != NDM_LUKS_ACTIVE_LAST)
		return 0;
	return confirm(cs, "This is the last keyslot. Device will become unusable after purging this key.");
}

int cs_remove_key(struct cs *cs)
{
	const char *device = cs->argv[0];
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	struct secret pass = { 0 };
	struct ndm_luks *l;
	struct disk d;
	size_t n = 0;
	int err, slot;

	if (!key)
		return -ENOMEM;
	if (cs->argc > 1 && !given(cs, CS_KEY_FILE)) {
		cs->given[CS_KEY_FILE - 1000] = true;
		cs->text[CS_KEY_FILE - 1000] = cs->argv[1];
	}
	err = header_open(cs, device, true, &d, &l);
	if (err)
		goto out;
	err = secret_read(cs, "Enter passphrase to be deleted: ", false, text(cs, CS_KEY_FILE),
			  CS_KEYFILE_OFFSET, CS_KEYFILE_SIZE, &pass);
	slot = err ? err : ndm_luks_unlock(l, -1, pass.bytes, pass.n, key, &n);
	err = err ? err : complain(l, slot);
	err = err ? err : kill_last_sure(cs, l, slot);
	err = err ? err : complain(l, ndm_luks_kill(l, slot));
	if (!err && cs->verbose)
		printf("Keyslot %d is selected for deletion.\nKey slot %d removed.\n", slot, slot);
	secret_free(&pass);
	header_close(&d, l);
out:
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	return err;
}

/*
 * The new slot first, then the old one goes: at no moment is there none.  Where all are full
 * the old one has to go first.
 */
static int change_slot(struct cs *cs, struct ndm_luks *l, int slot, const struct secret *pass,
		       const uint8_t *key, size_t n, const struct ndm_luks_kdf *kdf)
{
	int fresh = ndm_luks_add(l, -1, pass->bytes, pass->n, key, n, kdf), err;

	if (fresh == -ENOSPC) {
		err = ndm_luks_kill(l, slot);
		err = err ? err : ndm_luks_add(l, slot, pass->bytes, pass->n, key, n, kdf);
		return complain(l, err);
	}
	if (fresh < 0)
		return complain(l, fresh);
	err = ndm_luks_kill(l, slot);
	if (!err && given(cs, CS_KEY_SLOT)) {		/* it shall have its old number */
		err = ndm_luks_add(l, slot, pass->bytes, pass->n, key, n, kdf);
		err = err < 0 ? err : ndm_luks_kill(l, fresh);
		fresh = slot;
	}
	if (!err && cs->verbose)
		printf("Key slot %d changed.\n", fresh);
	return complain(l, err);
}

static int change(struct cs *cs, bool same_passphrase)
{
	const char *device = cs->argv[0], *file = cs->argc > 1 ? cs->argv[1] : text(cs, CS_NEW_KEYFILE);
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	struct secret old = { 0 }, pass = { 0 };
	struct ndm_luks_kdf kdf;
	struct ndm_luks *l;
	struct disk d;
	size_t n = 0;
	int err, slot = -1;

	if (!key)
		return -ENOMEM;
	err = header_open(cs, device, true, &d, &l);
	if (err)
		goto out;
	err = kdf_choose(cs, ndm_luks_version(l), hash_of(cs), &kdf);
	err = err ? err : secret_read(cs, same_passphrase ? "Enter passphrase for keyslot to be converted: "
				      : "Enter passphrase to be changed: ", false, text(cs, CS_KEY_FILE),
				      CS_KEYFILE_OFFSET, CS_KEYFILE_SIZE, &old);
	if (!err) {
		slot = ndm_luks_unlock(l, number(cs, CS_KEY_SLOT, -1), old.bytes, old.n, key, &n);
		err = complain(l, slot);
	}
	if (!err && !same_passphrase)
		err = secret_new(cs, "Enter new passphrase: ", file, &pass);
	err = err ? err : change_slot(cs, l, slot, same_passphrase ? &old : &pass, key, n, &kdf);
	secret_free(&old);
	secret_free(&pass);
	header_close(&d, l);
out:
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	return err;
}

int cs_change_key(struct cs *cs)
{
	return change(cs, false);
}

int cs_convert_key(struct cs *cs)
{
	if (cs->argc > 1 && !given(cs, CS_KEY_FILE)) {
		cs->given[CS_KEY_FILE - 1000] = true;
		cs->text[CS_KEY_FILE - 1000] = cs->argv[1];
	}
	return change(cs, true);
}

/* Unless -q, somebody who knows another passphrase has to ask for it. */
static int kill_allowed(struct cs *cs, struct ndm_luks *l, const char *device, int slot)
{
	uint8_t *key = ndm_luks_secret(NDM_LUKS_KEY_MAX);
	struct secret s = { 0 };
	size_t n = 0;
	int err = key ? 0 : -ENOMEM, by = -1;

	if (!err && !(cs->batch && !given(cs, CS_KEY_FILE))) {
		err = secret_for(cs, device, &s);
		by = err ? err : ndm_luks_unlock(l, -1, s.bytes, s.n, key, &n);
		err = err ? err : complain(l, by);
		if (!err && by == slot && ndm_luks_slot_state(l, slot) != NDM_LUKS_ACTIVE_LAST) {
			/* its own passphrase will do only where no other would */
			say("No key available with this passphrase.");
			err = -EPERM;
		}
	}
	secret_free(&s);
	ndm_luks_secret_free(key, NDM_LUKS_KEY_MAX);
	return err;
}

int cs_kill_slot(struct cs *cs)
{
	const char *device = cs->argv[0];
	char *end;
	long slot = strtol(cs->argv[1], &end, 10);
	struct ndm_luks *l;
	struct disk d;
	int err;

	err = header_open(cs, device, true, &d, &l);
	if (err)
		return err;
	if (*end || ndm_luks_slot_state(l, slot) < NDM_LUKS_ACTIVE) {
		say("Keyslot %s is not active.", cs->argv[1]);
		err = -EINVAL;
	}
	err = err ? err : kill_last_sure(cs, l, slot);
	err = err ? err : kill_allowed(cs, l, device, slot);
	err = err ? err : complain(l, ndm_luks_kill(l, slot));
	if (!err && cs->verbose)
		printf("Key slot %ld removed.\n", slot);
	header_close(&d, l);
	return err;
}

int cs_erase(struct cs *cs)
{
	struct ndm_luks *l;
	struct disk d;
	char *question = text_format("This operation will erase all keyslots on device %s.\n"
				     "Device will become unusable after this operation.", cs->argv[0]);
	int err = question ? confirm(cs, question) : -ENOMEM;

	free(question);
	err = err ? err : header_open(cs, cs->argv[0], true, &d, &l);
	if (err)
		return err;
	err = complain(l, ndm_luks_erase(l));
	header_close(&d, l);
	return err;
}
