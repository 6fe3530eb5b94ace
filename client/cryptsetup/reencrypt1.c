/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reencrypt1.c - re-encryption of LUKS1, as cryptsetup's: in the folder where it is begun there are
 * LUKS-UUID.org and .new, the headers of before and after, and LUKS-UUID.log, which says how far it
 * is (lib/luks/reencrypt1.c).  The device is marked, so that nobody opens it.  It goes on in that
 * folder, by this program or by cryptsetup.
 *
 * The log is made last, and taken away first: without it nothing has begun.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* of data without a header, and of the header that stands for plain data */
#define NO_UUID "cafecafe-cafe-cafe-cafe-cafecafeeeee"
#define TELL_BYTES (64u << 20)

enum { LOG, ORG, NEW, FILES };
static const char *const suffixes[FILES] = { "log", "org", "new" };

struct job {
	struct work *w;
	struct cs *cs;
	char name[FILES][64];
	struct disk file[FILES];
	struct ndm_luks *l[FILES];		/* ORG, NEW */
	struct ndm_luks1_change c;
	struct ndm_luks_io *place;		/* where the header is, or shall be */
	bool place_apart;			/* that is not where the data is */
};

/* ---- files ---- */

static void names_set(struct job *j, const char *uuid)
{
	unsigned i;

	snprintf(j->c.uuid, sizeof j->c.uuid, "%s", uuid);
	for (i = 0; i < FILES; i++)
		snprintf(j->name[i], sizeof j->name[i], "LUKS-%.40s.%s", uuid, suffixes[i]);
}

static int folder_sync(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0 || fsync(fd)) {
		err = -errno;
		say("Cannot sync this folder: %s.", strerror(-err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* A new one, in place of what may be there from an attempt that never began. */
static int file_new(struct job *j, int which, uint64_t bytes)
{
	struct disk *d = &j->file[which];
	int err = 0;

	if (unlink(j->name[which]) && errno != ENOENT)
		err = -errno;
	if (err) {
		say("Cannot replace %s: %s.", j->name[which], strerror(-err));
		return err;
	}
	err = disk_open(j->cs, j->name[which], true, true, d);
	if (!err && ftruncate(d->fd, bytes)) {
		err = -errno;
		say("Cannot make %s: %s.", j->name[which], strerror(-err));
	}
	d->io.bytes = bytes;
	return err;
}

static void files_remove(struct job *j)
{
	unsigned i;

	for (i = 0; i < FILES; i++) {		/* the log first */
		unlink(j->name[i]);
		folder_sync();
	}
}

static int header_read(struct job *j, int which)
{
	int err = disk_open(j->cs, j->name[which], true, false, &j->file[which]);

	if (err)
		return err;
	j->l[which] = ndm_luks_new(&j->file[which].io);
	err = j->l[which] ? ndm_luks_load(j->l[which]) : -ENOMEM;
	if (!err && ndm_luks_version(j->l[which]) != 1)
		err = -EINVAL;
	if (err)
		say("%s is no LUKS1 header: %s", j->name[which], j->l[which] ? ndm_luks_why(j->l[which]) : "no memory");
	return err;
}

/* ---- beginning ---- */

static int said(struct ndm_luks *l, int err)
{
	if (err < 0)
		say("%s", l ? ndm_luks_why(l) : "No memory.");
	return err < 0 ? err : 0;
}

static int org_copy(struct job *j)
{
	struct ndm_luks *l = j->w->l;
	int err = file_new(j, ORG, ndm_luks_header_bytes(l));

	return err ? err : said(l, ndm_luks_backup(l, &j->file[ORG].io));
}

/* What stands for plain data: a header whose cipher does nothing, open to an empty passphrase. */
static int fake_make(struct job *j, int which)
{
	struct ndm_luks_format f = { .version = 1, .cipher = "cipher_null-ecb", .key_bytes = 32, .hash = "sha256",
				     .uuid = NO_UUID, .digest_iterations = 1000, .detached = true };
	struct ndm_luks_kdf kdf = { .type = "pbkdf2", .hash = "sha256", .iterations = 1000 };
	uint8_t key[32];
	int err = file_new(j, which, 4u << 20);

	err = err ? err : ndm_luks_random(key, sizeof key);
	if (err)
		return err;
	j->l[which] = ndm_luks_new(&j->file[which].io);
	err = j->l[which] ? ndm_luks_format(j->l[which], &f, key) : -ENOMEM;
	err = err ? err : ndm_luks_add(j->l[which], 0, "", 0, key, sizeof key, &kdf);
	return said(j->l[which], err);
}

/* The header that shall be; f: all but what the options say */
static int new_make(struct job *j, struct ndm_luks_format *f)
{
	struct work *w = j->w;
	struct cs *cs = j->cs;
	unsigned i;
	int err = file_new(j, NEW, 4u << 20);

	if (err)
		return err;
	f->version = 1;
	f->detached = true;			/* in that file it is */
	f->hash = given(cs, CS_HASH) ? text(cs, CS_HASH) : "sha256";
	f->digest_iterations = given(cs, CS_PBKDF_ITERATIONS) ? 1000 : kdf_digest_iterations(f->hash);
	j->l[NEW] = ndm_luks_new(&j->file[NEW].io);
	err = j->l[NEW] ? ndm_luks_format(j->l[NEW], f, w->keys.fresh) : -ENOMEM;
	for (i = 0; i < w->n && err >= 0; i++)
		err = ndm_luks_add(j->l[NEW], w->slot[i], w->pass[i].pass, w->pass[i].bytes, w->keys.fresh,
				   w->keys.fresh_bytes, &w->pass[i].kdf);
	err = said(j->l[NEW], err);
	if (!err && f->data_offset && (uint64_t)f->data_offset < ndm_luks_header_bytes(j->l[NEW])) {
		say("The new header needs more room than there is before the data: --reduce-device-size makes it.");
		err = -ENOSPC;
	}
	/* no longer than it has to be: it is restored whole by others */
	if (!err && ftruncate(j->file[NEW].fd, ndm_luks_header_bytes(j->l[NEW])))
		err = -errno;
	return err;
}

static int reduce_check(struct cs *cs, uint64_t *bytes)
{
	*bytes = number(cs, CS_REDUCE, 0);
	if (*bytes % 512 || *bytes > 1u << 30) {
		say("Reduce size must be a multiple of 512 bytes, up to 1 GiB.");
		return -EINVAL;
	}
	return 0;
}

static int begin_reencrypt(struct job *j)
{
	struct work *w = j->w;
	struct cs *cs = j->cs;
	struct ndm_luks_format f = { .cipher = given(cs, CS_CIPHER) ? text(cs, CS_CIPHER) : ndm_luks_cipher(w->l),
				     .uuid = ndm_luks_uuid(w->l) };
	uint64_t reduce;
	int err = reduce_check(cs, &reduce);

	if (!err && given(cs, CS_KEEP_KEY) && (given(cs, CS_CIPHER) || given(cs, CS_KEY_SIZE) || given(cs, CS_VOLUME_KEY_FILE) || reduce)) {
		say("Option --keep-key can be used only with --hash, --iter-time or --pbkdf-force-iterations.");
		err = -EINVAL;
	}
	err = err ? err : reencrypt_ask(w);
	err = err ? err : reencrypt_key(w);
	err = err ? err : org_copy(j);
	f.key_bytes = w->keys.fresh_bytes;
	f.data_offset = ndm_luks_data_offset(w->l) + reduce;
	err = err ? err : new_make(j, &f);
	j->c.keep = given(cs, CS_KEEP_KEY);
	j->c.how = NDM_LUKS_REENCRYPT;
	return err;
}

static int begin_decrypt(struct job *j)
{
	struct work *w = j->w;
	int err = confirm(j->cs, "This will decrypt the data where it is; without a backup it is at risk.");

	err = err ? err : unlock(j->cs, w->l, w->device, w->keys.old, &w->keys.old_bytes, NULL);
	err = err ? err : org_copy(j);
	err = err ? err : fake_make(j, NEW);
	j->c.how = NDM_LUKS_DECRYPT;
	return err;
}

static int encrypt_open(struct job *j)
{
	struct work *w = j->w;
	struct cs *cs = j->cs;
	int err = disk_open(cs, w->device, true, false, &w->apart);

	w->data = &w->apart;
	if (!err && given(cs, CS_HEADER))
		err = disk_open(cs, text(cs, CS_HEADER), true, true, &w->header);
	return err;
}

static int begin_encrypt(struct job *j)
{
	struct work *w = j->w;
	struct cs *cs = j->cs;
	struct ndm_luks_format f = { 0 };
	char *prompt;
	uint64_t reduce;
	int err = reduce_check(cs, &reduce);

	if (!err && !given(cs, CS_HEADER) == !reduce) {
		say("Encryption needs either a detached header (--header) or data device size reduction "
		    "(--reduce-device-size).");
		err = -EINVAL;
	}
	err = err ? err : format_fill(cs, &f);
	err = err ? err : confirm(cs, "This will encrypt the data where it is; without a backup it is at risk.");
	err = err ? err : encrypt_open(j);
	if (err)
		return err;
	prompt = text_format("Enter passphrase for %s: ", w->device);
	err = prompt ? secret_read(cs, prompt, true, text(cs, CS_KEY_FILE), CS_KEYFILE_OFFSET, CS_KEYFILE_SIZE,
				   &w->secret[0]) : -ENOMEM;
	free(prompt);
	w->n = 1;
	w->slot[0] = number(cs, CS_KEY_SLOT, 0);
	w->pass[0] = (struct ndm_luks_pass){ .pass = w->secret[0].bytes, .bytes = w->secret[0].n };
	err = err ? err : kdf_choose(cs, 1, f.hash, &w->pass[0].kdf);
	w->keys.fresh_bytes = ndm_luks_format_key_bytes(&f);
	err = err ? err : format_key(cs, &f, w->keys.fresh);
	err = err ? err : fake_make(j, ORG);
	f.data_offset = reduce;
	err = err ? err : new_make(j, &f);
	j->c.how = NDM_LUKS_ENCRYPT;
	return err;
}

/* What the change works with, from the files that are there now. */
static void change_fill(struct job *j)
{
	struct work *w = j->w;

	j->c.data = &w->data->io;
	j->c.log = &j->file[LOG].io;
	j->c.old = j->c.how == NDM_LUKS_ENCRYPT ? NULL : j->l[ORG];
	j->c.fresh = j->c.how == NDM_LUKS_DECRYPT ? NULL : j->l[NEW];
	j->c.keys = w->keys;
	j->c.bytes = number(j->cs, CS_DEVICE_SIZE, 0);
	j->place_apart = w->header.path && w->data != &w->header;
	j->place = w->header.path ? &w->header.io : &w->data->io;
}

static int begin(struct job *j)
{
	struct cs *cs = j->cs;
	int err;

	if (!given(cs, CS_ENCRYPT) && ndm_luks_header_bytes(j->w->l) > j->w->header.io.bytes)
		return said(j->w->l, -EINVAL);
	names_set(j, given(cs, CS_ENCRYPT) ? NO_UUID : ndm_luks_uuid(j->w->l));
	err = given(cs, CS_ENCRYPT) ? begin_encrypt(j) : given(cs, CS_DECRYPT) ? begin_decrypt(j) : begin_reencrypt(j);
	if (!err && !j->l[ORG]) {
		disk_close(&j->file[ORG]);
		err = header_read(j, ORG);
	}
	if (!err && (fsync(j->file[ORG].fd) || fsync(j->file[NEW].fd))) {
		err = -errno;
		say("Cannot write the headers' files: %s.", strerror(-err));
	}
	err = err ? err : folder_sync();
	err = err ? err : file_new(j, LOG, 512);
	if (err)
		return err;
	change_fill(j);
	err = ndm_luks1_begin(&j->c);
	if (err)
		say("%s.", j->c.why);
	err = err ? err : folder_sync();
	if (!err && !given(cs, CS_ENCRYPT))
		err = ndm_luks1_mark(j->place);
	if (err)
		unlink(j->name[LOG]);
	return err;
}

/* ---- going on ---- */

static int keys_again(struct job *j)
{
	struct work *w = j->w;
	struct secret s = { 0 };
	unsigned tries = 0;
	int err;

	do {
		secret_free(&s);
		err = secret_for(j->cs, w->device, &s);
		if (err)
			return err;
		if (j->c.old)
			err = said(j->c.old, ndm_luks_unlock(j->c.old, -1, s.bytes, s.n, w->keys.old, &w->keys.old_bytes));
		if (!err && j->c.fresh)
			err = said(j->c.fresh, ndm_luks_unlock(j->c.fresh, -1, s.bytes, s.n, w->keys.fresh,
							       &w->keys.fresh_bytes));
	} while (err && secret_may_ask_again(j->cs, err, ++tries));
	secret_free(&s);
	j->c.keys = w->keys;
	return err;
}

static int same_header(struct job *j, int which, const uint8_t here[592], bool *same)
{
	uint8_t there[592];
	int err = j->file[which].io.read(&j->file[which].io, 0, there, sizeof there);

	*same = !err && !memcmp(here, there, sizeof there);
	return err;
}

/*
 * A device that is not marked: it was cut off before that, or behind the end.  1: all of it is done, and
 * only the files are left.
 */
static int unmarked_check(struct job *j)
{
	bool before = false, after = false, decrypt = j->c.how == NDM_LUKS_DECRYPT;
	uint8_t here[592];
	int err = j->place->bytes < sizeof here ? 0 : j->place->read(j->place, 0, here, sizeof here);

	if (err || j->place->bytes < sizeof here || memcmp(here, "LUKS\xba\xbe", 6))
		return err;
	if (decrypt && j->c.offset && !j->place_apart)
		return 0;			/* plain data that looks like a header */
	err = same_header(j, ORG, here, &before);
	err = err ? err : same_header(j, NEW, here, &after);
	if (!err && after && ndm_luks1_done(&j->c))
		return 1;
	if (!err && before && j->c.how != NDM_LUKS_ENCRYPT)
		return ndm_luks1_mark(j->place);
	if (err)
		return err;
	say("%s is of something that ended or never began, and the header has changed since: remove it to begin anew.",
	    j->name[LOG]);
	return -EINVAL;
}

static int resume(struct job *j, const char *uuid)
{
	struct work *w = j->w;
	struct cs *cs = j->cs;
	int err = 0;

	names_set(j, uuid);
	if (given(cs, CS_INIT_ONLY)) {
		say("Reencryption of this device has begun already.");
		return -EINVAL;
	}
	if (access(j->name[LOG], F_OK)) {
		say("Device %s is in re-encryption, and %s is not in this folder: it goes on where it was begun.",
		    w->device, j->name[LOG]);
		return -EINVAL;
	}
	err = disk_open(cs, w->device, true, false, &w->apart);
	w->data = &w->apart;
	if (!err && given(cs, CS_HEADER))
		err = disk_open(cs, text(cs, CS_HEADER), true, true, &w->header);
	err = err ? err : disk_open(cs, j->name[LOG], true, false, &j->file[LOG]);
	j->c.data = &w->data->io;
	j->c.log = &j->file[LOG].io;
	if (!err && ndm_luks1_load(&j->c)) {
		say("%s: %s.", j->name[LOG], j->c.why);
		err = -EINVAL;
	}
	err = err ? err : header_read(j, ORG);
	err = err ? err : header_read(j, NEW);
	if (err)
		return err;
	if ((given(cs, CS_ENCRYPT) && j->c.how != NDM_LUKS_ENCRYPT) || (given(cs, CS_DECRYPT) && j->c.how != NDM_LUKS_DECRYPT)) {
		say("What has begun here is another operation: only that can go on.");
		return -EINVAL;
	}
	change_fill(j);
	err = unmarked_check(j);
	return err ? err : keys_again(j);
}

static int go_on(struct job *j)
{
	uint64_t done = 0, total = 0, told = 0, most = number(j->cs, CS_BLOCK_SIZE, 0) << 20;
	int more;

	do {
		more = ndm_luks1_step(&j->c, number(j->cs, CS_HOTZONE_SIZE, most), &done, &total);
		if (j->cs->verbose && more >= 0 && (done - told >= TELL_BYTES || !more)) {
			printf("Reencrypted %" PRIu64 " of %" PRIu64 " MiB.\n", done >> 20, total >> 20);
			told = done;
		}
	} while (more > 0);
	if (!more)
		more = j->c.how == NDM_LUKS_DECRYPT ? ndm_luks1_clear(&j->c) : 0;
	if (!more && j->c.how != NDM_LUKS_DECRYPT && j->place != &j->w->data->io) {
		uint64_t bytes = ndm_luks_header_bytes(j->c.fresh);	/* a header file may have to grow */

		if (j->w->header.fd >= 0 && j->place->bytes < bytes && !ftruncate(j->w->header.fd, bytes))
			j->place->bytes = bytes;
	}
	if (!more && j->c.how != NDM_LUKS_DECRYPT)
		more = ndm_luks1_install(&j->c, j->place);
	if (more)
		say("%s.", j->c.why);
	return more;
}

/* ---- what main has of it ---- */

bool reencrypt1_begun(struct work *w, char uuid[41])
{
	struct cs *cs = w->cs;
	const char *where = given(cs, CS_HEADER) ? text(cs, CS_HEADER) : w->device;
	struct job j = { 0 };
	struct ndm_luks *l;
	struct disk d;
	bool begun = false;

	if (given(cs, CS_ENCRYPT) || (given(cs, CS_DECRYPT) && given(cs, CS_UUID))) {
		snprintf(uuid, 41, "%s", given(cs, CS_ENCRYPT) ? NO_UUID : text(cs, CS_UUID));
		names_set(&j, uuid);
		return !access(j.name[LOG], F_OK);
	}
	if ((given(cs, CS_HEADER) && access(where, F_OK)) || disk_open(cs, where, false, false, &d))
		return false;
	if (ndm_luks1_marked(&d.io, uuid)) {
		begun = true;
	} else {				/* by its log, where it was cut off before the mark, or at the end */
		l = ndm_luks_new(&d.io);
		if (l && !ndm_luks_load(l) && ndm_luks_version(l) == 1) {
			snprintf(uuid, 41, "%s", ndm_luks_uuid(l));
			names_set(&j, uuid);
			begun = !access(j.name[LOG], F_OK);
		}
		ndm_luks_free(l);
	}
	disk_close(&d);
	return begun;
}

int reencrypt1(struct work *w, const char *uuid)
{
	struct job j = { .w = w, .cs = w->cs };
	unsigned i;
	int err;

	for (i = 0; i < FILES; i++)
		j.file[i] = (struct disk){ .fd = -1, .nbd = { .fd = -1 } };
	err = uuid ? resume(&j, uuid) : begin(&j);
	if (!err && !given(w->cs, CS_INIT_ONLY))
		err = go_on(&j);
	if (err > 0)				/* there was nothing left to do */
		err = 0;
	if (!err && !given(w->cs, CS_INIT_ONLY))
		files_remove(&j);
	for (i = 0; i < FILES; i++) {
		ndm_luks_free(j.l[i]);
		disk_close(&j.file[i]);
	}
	return err;
}
