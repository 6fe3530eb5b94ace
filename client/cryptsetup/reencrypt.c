/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt.c - another volume key, cipher or sector size for a LUKS2 device that nobody uses, its
 * first, or none any more.  Cut off at any moment, the same command goes on; so does cryptsetup,
 * and here what it began.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TELL_BYTES (64u << 20)

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

int reencrypt_open(struct work *w)
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
	if (!err && dm_uuid_in_use(cs, ndm_luks_version(w->l), ndm_luks_uuid(w->l))) {
		say("Device %s is still in use: it is re-encrypted only while it is closed.", w->device);
		err = -EBUSY;
	}
	return err;
}

/* Is there a header where it is said to be?  Says nothing when there is none. */
static bool header_there(struct work *w)
{
	struct cs *cs = w->cs;
	const char *where = given(cs, CS_HEADER) ? text(cs, CS_HEADER) : w->device;
	struct disk d;
	struct ndm_luks *l;
	bool found;

	if (given(cs, CS_HEADER) && access(where, F_OK))
		return false;
	if (disk_open(cs, where, false, false, &d))
		return false;
	l = ndm_luks_new(&d.io);
	found = l && ndm_luks_load(l) != -ENXIO;
	ndm_luks_free(l);
	disk_close(&d);
	return found;
}

static int resume(struct work *w)
{
	static const char *const words[] = { "reencryption", "encryption", "decryption" };
	enum ndm_luks_change how = ndm_luks_reencrypting_how(w->l);

	if ((given(w->cs, CS_ENCRYPT) && how != NDM_LUKS_ENCRYPT) ||
	    (given(w->cs, CS_DECRYPT) && how != NDM_LUKS_DECRYPT)) {
		say("Device %s is in %s: only that can go on.", w->device, words[how]);
		return -EINVAL;
	}
	return unlock_both(w);
}

static int begin_or_resume(struct work *w)
{
	struct cs *cs = w->cs;
	bool there = header_there(w);
	char uuid[41];
	int err = 0;

	if (given(cs, CS_ENCRYPT) && given(cs, CS_DECRYPT)) {
		say("Options --encrypt and --decrypt cannot be combined.");
		return -EINVAL;
	}
	if (reencrypt1_begun(w, uuid))
		return reencrypt1(w, uuid);
	if (!there && !given(cs, CS_RESUME_ONLY) && given(cs, CS_ENCRYPT))
		return given(cs, CS_TYPE) && !strcmp(text(cs, CS_TYPE), "luks1") ? reencrypt1(w, NULL) : encrypt_begin(w);
	if (!there && !given(cs, CS_RESUME_ONLY) && given(cs, CS_DECRYPT))
		return decrypt_begin(w);
	err = reencrypt_open(w);
	if (err)
		return err;
	if (ndm_luks_version(w->l) == 1 && !given(cs, CS_RESUME_ONLY) && !given(cs, CS_ENCRYPT))
		return reencrypt1(w, NULL);
	if (ndm_luks_reencrypting(w->l))
		return resume(w);
	if (given(cs, CS_RESUME_ONLY)) {
		say("Device is not in reencryption.");
		return -EINVAL;
	}
	if (given(cs, CS_ENCRYPT)) {
		say("Device %s is already a LUKS device.", w->device);
		return -EINVAL;
	}
	if (!given(cs, CS_DECRYPT))
		return reencrypt_begin(w);
	disk_close(&w->apart);
	header_close(&w->header, w->l);
	w->l = NULL;
	return decrypt_begin(w);
}

int cs_reencrypt(struct cs *cs)
{
	struct work w = { .cs = cs, .device = cs->argv[0], .header = { .fd = -1, .nbd = { .fd = -1 } },
			  .apart = { .fd = -1, .nbd = { .fd = -1 } } };
	uint8_t *keys = ndm_luks_secret(2 * NDM_LUKS_KEY_MAX);
	int err;

	if (given(cs, CS_ACTIVE_NAME)) {
		say("Only a device that is closed can be re-encrypted here, not an active one.");
		ndm_luks_secret_free(keys, 2 * NDM_LUKS_KEY_MAX);
		return -EINVAL;
	}
	if (!keys)
		return -ENOMEM;
	w.keys.old = keys;
	w.keys.fresh = keys + NDM_LUKS_KEY_MAX;
	err = begin_or_resume(&w);
	if (!err && !given(cs, CS_INIT_ONLY) && w.l && ndm_luks_version(w.l) == 2)
		err = go_on(&w);
	while (w.n)
		secret_free(&w.secret[--w.n]);
	ndm_luks_free(w.l);
	disk_close(&w.apart);
	disk_close(&w.header);
	ndm_luks_secret_free(keys, 2 * NDM_LUKS_KEY_MAX);
	return err;
}
