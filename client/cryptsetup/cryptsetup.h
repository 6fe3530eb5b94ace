/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cryptsetup.h - cryptsetup's command line over ndmd.
 *
 * Headers are read and unlocked in this process; ndmd only sees the table that comes of it,
 * with the key in its text, over the control socket.  Keys are never arguments of a program and
 * never printed (but by luksDump --dump-volume-key).
 *
 * Functions return 0 or -errno and have said what is wrong; the exit status comes of the errno.
 */
#ifndef NDM_CLIENT_CRYPTSETUP_H
#define NDM_CLIENT_CRYPTSETUP_H

#include "client/client.h"
#include "client/nbd.h"
#include "client/task.h"

#include <errno.h>

#include <ndm-luks.h>

#define PASSPHRASE_MAX 512			/* typed, or read from a pipe as a line */
#define KEYFILE_MAX (8u << 20)

enum cs_option {
	CS_ALIGN_PAYLOAD = 1000, CS_ALLOW_DISCARDS, CS_BATCH_MODE, CS_CIPHER, CS_DEBUG, CS_DEFERRED,
	CS_CANCEL_DEFERRED, CS_DEVICE_SIZE, CS_DISABLE_KEYRING, CS_DISABLE_LOCKS,
	CS_DISABLE_EXTERNAL_TOKENS, CS_DUMP_JSON, CS_DUMP_KEY, CS_FORCE_PASSWORD, CS_HASH, CS_HEADER,
	CS_HEADER_BACKUP_FILE, CS_HELP, CS_INTEGRITY, CS_INTEGRITY_NO_JOURNAL, CS_INTEGRITY_NO_WIPE,
	CS_ITER_TIME, CS_IV_LARGE, CS_JSON_FILE, CS_KEY_DESCRIPTION, CS_KEY_FILE, CS_KEY_SIZE,
	CS_KEY_SLOT, CS_KEYFILE_OFFSET, CS_KEYFILE_SIZE, CS_KEYSLOT_CIPHER, CS_KEYSLOT_KEY_SIZE,
	CS_LABEL, CS_KEYSLOTS_SIZE, CS_METADATA_SIZE, CS_VOLUME_KEY_FILE, CS_NEW_KEYFILE,
	CS_NEW_KEY_SLOT, CS_NEW_KEYFILE_OFFSET, CS_NEW_KEYFILE_SIZE, CS_OFFSET, CS_PBKDF,
	CS_PBKDF_ITERATIONS, CS_PBKDF_MEMORY, CS_PBKDF_PARALLEL, CS_NO_READ_QUEUE, CS_NO_WRITE_QUEUE,
	CS_SAME_CPU, CS_FROM_CPUS, CS_HIGH_PRIORITY, CS_PERSISTENT, CS_PRIORITY, CS_READONLY,
	CS_REFRESH, CS_SECTOR_SIZE, CS_SHARED, CS_SIZE, CS_SKIP, CS_SUBSYSTEM, CS_TEST_PASSPHRASE,
	CS_TIMEOUT, CS_TOKEN_ID, CS_TOKEN_ONLY, CS_TOKEN_REPLACE, CS_TOKEN_TYPE, CS_TRIES, CS_TYPE,
	CS_UNBOUND, CS_USAGE, CS_USE_RANDOM, CS_USE_URANDOM, CS_UUID, CS_VERBOSE, CS_VERIFY,
	CS_VERSION, CS_DECRYPT, CS_ENCRYPT, CS_HOTZONE_SIZE, CS_INIT_ONLY, CS_RESILIENCE,
	CS_RESILIENCE_HASH, CS_RESUME_ONLY, CS_REDUCE, CS_FORCE_OFFLINE, CS_KEEP_KEY,
	CS_BLOCK_SIZE, CS_IGNORED, CS_ACTIVE_NAME, CS_END
};

struct cs {
	struct client *client;
	const char *text[CS_END - 1000];	/* of an option with a value */
	uint64_t number[CS_END - 1000];
	bool given[CS_END - 1000];
	int argc;				/* behind the action */
	char **argv;
	bool batch, verbose;
	const uint8_t *other_key;		/* of a device that is being re-encrypted */
	size_t other_key_bytes;
};

static inline bool given(const struct cs *cs, enum cs_option o)
{
	return cs->given[o - 1000];
}

static inline const char *text(const struct cs *cs, enum cs_option o)
{
	return cs->text[o - 1000];
}

static inline uint64_t number(const struct cs *cs, enum cs_option o, uint64_t otherwise)
{
	return cs->given[o - 1000] ? cs->number[o - 1000] : otherwise;
}

/* options.c: true when there is something to do; else *status is the program's */
bool cs_options(struct cs *cs, int *argc, char ***argv, int *status);

/* secret.c: a passphrase or a key file; locked memory */
struct secret { char *bytes; size_t n, room; };
int secret_read(struct cs *cs, const char *prompt, bool verify, const char *file,
		enum cs_option offset, enum cs_option size, struct secret *);
int secret_for(struct cs *cs, const char *device, struct secret *);	/* --key-file, or asked */
int secret_new(struct cs *cs, const char *prompt, const char *file, struct secret *);
void secret_free(struct secret *);
bool secret_may_ask_again(const struct cs *cs, int err, unsigned tries);
int confirm(struct cs *cs, const char *question);	/* YES, or -b */

/* disk.c: the device or file that a header lies in */
struct disk { struct ndm_luks_io io; int fd; struct nbd nbd; char *path; };
int disk_open(struct cs *, const char *path, bool write, bool create, struct disk *);
char *disk_word(const struct disk *);	/* its name as a word of a table; allocated */
void disk_close(struct disk *);
int header_open(struct cs *cs, const char *device, bool write, struct disk *, struct ndm_luks **);
void header_close(struct disk *, struct ndm_luks *);

/* format.c: what the options ask of a new header; its file, if it is to be one */
int format_fill(struct cs *cs, struct ndm_luks_format *);
int format_key(struct cs *cs, const struct ndm_luks_format *, uint8_t *key);
int header_file(struct cs *cs, const char *device, const struct ndm_luks_format *, struct disk *);

/* reencrypt.c, reencrypt-begin.c: what a re-encryption is done with */
struct work {
	struct cs *cs;
	const char *device;
	struct disk header, apart, *data;
	struct ndm_luks *l;
	struct ndm_luks_keys keys;
	struct secret secret[NDM_LUKS_SLOTS];
	struct ndm_luks_pass pass[NDM_LUKS_SLOTS];
	int slot[NDM_LUKS_SLOTS];
	unsigned n;
};
int reencrypt_ask(struct work *);		/* passphrases of all slots, and the key */
int reencrypt_key(struct work *);		/* the fresh one */
int reencrypt_open(struct work *);		/* header and data, to be changed */
int reencrypt_begin(struct work *);
/* w->l and w->data of what has no header yet, or shall lose it, are there then */
int encrypt_begin(struct work *);
int decrypt_begin(struct work *);
/* reencrypt1.c: of LUKS1.  Is there one that has begun, by a mark on the device or by its log? */
bool reencrypt1_begun(struct work *, char uuid[41]);
int reencrypt1(struct work *, const char *uuid);	/* uuid NULL: it shall begin */

/* kdf.c: --pbkdf and its costs, measured where they are not forced */
int kdf_choose(struct cs *cs, int version, const char *hash, struct ndm_luks_kdf *);
uint32_t kdf_digest_iterations(const char *hash);

/* device.c: mapped devices */
struct dm_lines { const struct ndm_luks_line *line; unsigned n; };
int dm_create(struct cs *cs, const char *name, const char *uuid, struct dm_lines, bool read_only);
int dm_remove(struct cs *cs, const char *name, bool quiet);
bool dm_exists(struct cs *cs, const char *name);
bool dm_uuid_in_use(struct cs *cs, int version, const char *uuid);	/* a LUKS device of this uuid is open */
char *dm_uuid(const char *type, const char *uuid, const char *name);
int dm_table(struct cs *cs, const char *name, enum task_type, struct task **);

/* open.c: from an unlocked header to devices */
void table_options(struct cs *cs, const struct disk *data, const char *word,
		   struct ndm_luks_options *);
int make_devices(struct cs *cs, struct ndm_luks *l, struct disk *data, const char *name,
		 const uint8_t *key, size_t key_bytes);

/* the actions */
typedef int cs_action(struct cs *);
cs_action cs_open, cs_close, cs_status, cs_resize, cs_suspend, cs_resume;
cs_action cs_format, cs_add_key, cs_remove_key, cs_change_key, cs_kill_slot, cs_erase;
cs_action cs_dump, cs_uuid, cs_is_luks, cs_backup, cs_restore, cs_config, cs_token, cs_repair,
	cs_convert_key, cs_reencrypt, cs_convert, cs_benchmark, cs_refresh;
int unlock(struct cs *cs, struct ndm_luks *l, const char *device, uint8_t *key, size_t *key_bytes,
	   struct secret *kept);

#endif
