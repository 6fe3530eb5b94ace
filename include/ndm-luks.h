/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndm-luks.h - LUKS1 and LUKS2 headers: open, make, change.  Format code alone: where the bytes
 * are is the caller's affair (struct ndm_luks_io), and so is what is done with the tables.
 *
 * Calls block, and those that derive keys take long and much memory; nothing here belongs on a
 * loop.  Errors: 0 or -errno, and a sentence from ndm_luks_why().
 *
 *	-EPERM	no keyslot takes the passphrase		-EINVAL	the header makes no sense
 *	-ENOENT	no such keyslot, token			-ENXIO	no LUKS header
 *	-EBUSY	the slot is in use			-ENOSPC	no room for another keyslot
 *
 * Keys are in memory that is locked where possible, and wiped.
 */
#ifndef NDM_LUKS_H
#define NDM_LUKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NDM_LUKS_KEY_MAX 512			/* bytes of a volume key, or of an area's */
#define NDM_LUKS_SLOTS 32			/* LUKS2's keyslots; LUKS1 has 8 */

/* Where the header is.  Short reads are errors. */
struct ndm_luks_io {
	int (*read)(struct ndm_luks_io *, uint64_t offset, void *, size_t bytes);
	int (*write)(struct ndm_luks_io *, uint64_t offset, const void *, size_t bytes);
	int (*sync)(struct ndm_luks_io *);
	uint64_t bytes;				/* size of the device or file */
	bool writable;
};

struct ndm_luks;

struct ndm_luks *ndm_luks_new(struct ndm_luks_io *);	/* NULL: no memory */
void ndm_luks_free(struct ndm_luks *);
const char *ndm_luks_why(const struct ndm_luks *);

/* Reads the header; of LUKS2's two copies a damaged one is written anew where that is possible. */
int ndm_luks_load(struct ndm_luks *);
int ndm_luks_version(const struct ndm_luks *);		/* 1 or 2 */
const char *ndm_luks_uuid(const struct ndm_luks *);
bool ndm_luks_repaired(const struct ndm_luks *);	/* a copy was damaged, or older */
const char *ndm_luks_label(const struct ndm_luks *);
const char *ndm_luks_subsystem(const struct ndm_luks *);
uint64_t ndm_luks_header_bytes(const struct ndm_luks *);	/* with the keyslots */
size_t ndm_luks_key_bytes(const struct ndm_luks *);	/* of the volume key; 0: unknown */
const char *ndm_luks_cipher(const struct ndm_luks *);	/* of the first segment, and its sectors */
unsigned ndm_luks_sector_bytes(const struct ndm_luks *);
uint64_t ndm_luks_data_offset(const struct ndm_luks *);	/* of the first segment, bytes */

/* ---- keyslots ---- */

enum ndm_luks_slot { NDM_LUKS_INVALID, NDM_LUKS_INACTIVE, NDM_LUKS_ACTIVE, NDM_LUKS_ACTIVE_LAST };
enum ndm_luks_slot ndm_luks_slot_state(const struct ndm_luks *, int slot);
int ndm_luks_slots(const struct ndm_luks *);		/* how many there can be */

/*
 * The volume key, by a passphrase.  slot: -1 = try all, by priority.  Returns the slot.  key:
 * NDM_LUKS_KEY_MAX bytes.
 */
int ndm_luks_unlock(struct ndm_luks *, int slot, const void *pass, size_t pass_bytes, uint8_t *key,
		    size_t *key_bytes);
int ndm_luks_check_key(struct ndm_luks *, const uint8_t *key, size_t key_bytes);

struct ndm_luks_kdf {
	const char *type;			/* "pbkdf2", "argon2i", "argon2id" */
	const char *hash;			/* pbkdf2; also the AF splitter's */
	uint32_t iterations;			/* or time */
	uint32_t memory_kib, lanes;
	const char *cipher;			/* of the keyslot area; NULL: aes-xts-plain64 */
	unsigned cipher_key_bytes;		/* 0: 64 */
};
/* Runs it once over nothing in particular: for those who measure. */
int ndm_luks_kdf_try(const struct ndm_luks_kdf *, size_t out_bytes);

/* slot: -1 = the first free one.  Returns the slot. */
int ndm_luks_add(struct ndm_luks *, int slot, const void *pass, size_t pass_bytes,
		 const uint8_t *key, size_t key_bytes, const struct ndm_luks_kdf *);
int ndm_luks_kill(struct ndm_luks *, int slot);		/* overwrites its area, too */
int ndm_luks_erase(struct ndm_luks *);			/* all keyslots */
/* The slot's parameters as they are, for a change of passphrase; texts live as the header does. */
int ndm_luks_slot_kdf(struct ndm_luks *, int slot, struct ndm_luks_kdf *);
int ndm_luks_set_priority(struct ndm_luks *, int slot, int priority);	/* 0, 1, 2; LUKS2 */

/* LUKS1 becomes LUKS2, or back, where nothing is lost by it.  Cut off in the midst the keyslots are lost. */
int ndm_luks_convert(struct ndm_luks *, int version);
/* Some memory (a multiple of 4096) through a cipher: for those who measure. */
int ndm_luks_cipher_try(const char *cipher, size_t key_bytes, bool encrypt, void *, size_t bytes);

/* ---- making one ---- */

struct ndm_luks_format {
	int version;
	const char *cipher;			/* "aes-xts-plain64" */
	size_t key_bytes;			/* MAC key not counted */
	const char *hash;			/* of LUKS1's all, of LUKS2's digest */
	uint32_t digest_iterations;		/* at least 1000 */
	const char *uuid;			/* NULL: a new one */
	const char *label, *subsystem;		/* LUKS2; NULL: none */
	unsigned sector_bytes;			/* LUKS2: 512 .. 4096 */
	const char *integrity;			/* LUKS2: "hmac(sha256)", "aead", "poly1305"; NULL */
	int64_t data_offset;			/* bytes; -1: as usual */
	uint64_t align_bytes;			/* of the data; 0: 1 MiB */
	uint64_t metadata_bytes, keyslots_bytes;	/* LUKS2; 0: as usual */
	bool detached;				/* the data is elsewhere, from its start */
};
/* key: ndm_luks_format_key_bytes() of it.  Nothing is in the keyslots then. */
size_t ndm_luks_format_key_bytes(const struct ndm_luks_format *);
int ndm_luks_format(struct ndm_luks *, const struct ndm_luks_format *, const uint8_t *key);

/* ---- another key, cipher or sector size for data that is there, its first, or none (LUKS2) ---- */

struct ndm_luks_keys { uint8_t *old, *fresh; size_t old_bytes, fresh_bytes; };	/* NDM_LUKS_KEY_MAX each */
enum ndm_luks_change { NDM_LUKS_REENCRYPT, NDM_LUKS_ENCRYPT, NDM_LUKS_DECRYPT };
struct ndm_luks_reencrypt {
	enum ndm_luks_change how;
	/*
	 * Encrypt: the header, made with the fresh key and its passphrases, is elsewhere until all
	 * this is done; with a shift the device ends with twice as much that nobody needs, and the
	 * header says that the data begins there.  Decrypt: the header is elsewhere for good, and
	 * the data comes down to the device's begin.  Bytes, 0: it stays where it is.
	 */
	uint64_t shift;
	const char *cipher;
	unsigned sector_bytes;
	const char *resilience;			/* "checksum", "journal": how it survives being cut off */
	const char *hash;			/* of "checksum" */
	uint32_t digest_iterations;
	/* the passphrases that shall open it from now on */
	const struct ndm_luks_pass { const void *pass; size_t bytes; struct ndm_luks_kdf kdf; } *passes;
	unsigned npasses;
};
bool ndm_luks_reencrypting(const struct ndm_luks *);
enum ndm_luks_change ndm_luks_reencrypting_how(struct ndm_luks *);
/* Only the header changes.  After an error the object is good for nothing but _why() and _free(). */
int ndm_luks_reencrypt_begin(struct ndm_luks *, struct ndm_luks_io *data,
			     const struct ndm_luks_reencrypt *, const struct ndm_luks_keys *);
/*
 * A header made in memory goes to its device: keyslots, the second copy, then the first, so that at
 * any moment from the second copy on it is a whole one.
 */
int ndm_luks_install(const struct ndm_luks *, const uint8_t *header, uint64_t bytes, struct ndm_luks_io *device);
/* The keys of one that has begun; no bytes: there is none of them. */
int ndm_luks_reencrypt_unlock(struct ndm_luks *, const void *pass, size_t pass_bytes,
			      struct ndm_luks_keys *);
/*
 * The next piece, or what a step that was cut off left.  data: where the data is, used by nobody
 * else; most: bytes, 0: as many as is usual.  1: more is to be done, *done of *total bytes are.
 * Whatever happens the next call, by this or another process, goes on from there.
 */
int ndm_luks_reencrypt_step(struct ndm_luks *, struct ndm_luks_io *data, const struct ndm_luks_keys *,
			    uint64_t most, uint64_t *done, uint64_t *total);

/* ---- the same for LUKS1, as cryptsetup does it: both headers and a log are in files ---- */

struct ndm_luks1_change {
	enum ndm_luks_change how;
	struct ndm_luks_io *data, *log;		/* the log grows, up to a few MiB */
	struct ndm_luks *old, *fresh;		/* loaded from their files; NULL: plain data */
	struct ndm_luks_keys keys;
	uint64_t bytes;				/* of the data; 0: all of the device */
	bool keep;				/* the key and the cipher: only the header is another */
	char uuid[41];				/* by which the log knows its device */
	/* as the log says; offset: bytes done, or backward those that are left */
	bool backward;
	uint64_t offset, hot;
	char why[192];
};
int ndm_luks1_begin(struct ndm_luks1_change *);		/* writes the log */
int ndm_luks1_load(struct ndm_luks1_change *);		/* reads it: how, backward, offset, hot */
/* The next piece, as ndm_luks_reencrypt_step() does it; bytes written are in their place when it returns. */
int ndm_luks1_step(struct ndm_luks1_change *, uint64_t most, uint64_t *done, uint64_t *total);
bool ndm_luks1_done(const struct ndm_luks1_change *);
int ndm_luks1_clear(struct ndm_luks1_change *);		/* decrypted: what is behind the data */
int ndm_luks1_install(struct ndm_luks1_change *, struct ndm_luks_io *device);	/* the fresh header */
int ndm_luks1_mark(struct ndm_luks_io *device);		/* not to be opened meanwhile */
bool ndm_luks1_marked(struct ndm_luks_io *device, char uuid[41]);

/* ---- tables ---- */

struct ndm_luks_options {
	const char *device;			/* of the data, as it shall stand in the table */
	uint64_t device_bytes;
	uint64_t skip, nr;			/* sectors of the segment left out; 0, 0: all */
	bool discards, same_cpu, from_cpus, no_read_queue, no_write_queue, high_priority;
	bool no_journal;			/* integrity in mode D */
	const char *integrity_device;		/* how the upper table names the lower device */
	uint64_t integrity_nr;			/* what the lower device provides, sectors */
	const uint8_t *other_key;		/* of a device that is being re-encrypted; or NULL */
	size_t other_key_bytes;
};
struct ndm_luks_line {
	uint64_t start, nr;
	const char *type;
	char *args;				/* holds the key: ndm_luks_lines_free() wipes it */
};
bool ndm_luks_has_integrity(const struct ndm_luks *);
/* the integrity device below, as its superblock on the data device says */
int ndm_luks_integrity_line(struct ndm_luks *, struct ndm_luks_io *data,
			    const struct ndm_luks_options *, struct ndm_luks_line *);
/*
 * A line that, loaded over zeroes at the segment's start (ndm_luks_integrity_clear), makes the
 * integrity device new.
 */
int ndm_luks_integrity_clear(struct ndm_luks *, struct ndm_luks_io *data);
int ndm_luks_integrity_format(struct ndm_luks *, const struct ndm_luks_options *,
			      struct ndm_luks_line *);
int ndm_luks_lines(struct ndm_luks *, const struct ndm_luks_options *, const uint8_t *key,
		   size_t key_bytes, struct ndm_luks_line **, unsigned *n);
void ndm_luks_lines_free(struct ndm_luks_line *, unsigned n);
/* Any one of the flags stored in the header ("allow-discards", ...); LUKS2. */
bool ndm_luks_flag(const struct ndm_luks *, const char *flag);
int ndm_luks_set_flags(struct ndm_luks *, const char *const *flags, unsigned n);

/* ---- other things in the header ---- */

int ndm_luks_set_label(struct ndm_luks *, const char *label, const char *subsystem);
int ndm_luks_set_uuid(struct ndm_luks *, const char *uuid);
/* tokens are JSON texts; id -1: the first free.  json NULL: removed.  Returns the id. */
int ndm_luks_token_set(struct ndm_luks *, int id, const char *json);
char *ndm_luks_token_json(const struct ndm_luks *, int id);	/* allocated; NULL: none */
char *ndm_luks_json(const struct ndm_luks *);		/* all of it, indented; allocated */
char *ndm_luks_dump(const struct ndm_luks *, const char *device);	/* luksDump's; allocated */
char *ndm_luks_dump_key(const struct ndm_luks *, const char *device, const uint8_t *key,
			size_t key_bytes);
void ndm_luks_text_free(char *);			/* wipes */

/* Header and keyslots as they are on the device.  Restoring checks what it is given. */
int ndm_luks_backup(struct ndm_luks *, struct ndm_luks_io *to);
int ndm_luks_restore(struct ndm_luks *, struct ndm_luks_io *from);

/* ---- secrets, for callers ---- */

void *ndm_luks_secret(size_t bytes);			/* zeroed, locked */
void ndm_luks_secret_free(void *, size_t bytes);
int ndm_luks_random(void *, size_t bytes);
/* cryptsetup's plain mode: a key from a passphrase.  hash: "plain" too */
int ndm_luks_plain_key(const char *hash, const void *pass, size_t pass_bytes, uint8_t *key,
		       size_t key_bytes);

#ifdef __cplusplus
}
#endif
#endif
