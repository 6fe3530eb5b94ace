/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * luks.h - a LUKS header in memory, the same for both versions; inside of lib/luks.
 *
 * Of LUKS2 the JSON tree is the truth that is written back; the structs are what has been read
 * from it and checked.  Of LUKS1 the structs are all there is.
 */
#ifndef NDM_LUKS_INSIDE_H
#define NDM_LUKS_INSIDE_H

#include <errno.h>

#include <ndm-luks.h>

#include "lib/kit/bytes.h"
#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"
#include "lib/luks/tree.h"

#define LUKS_STRIPES 4000
#define LUKS_SALT_MAX 64
#define LUKS_NAME_BYTES 64
#define LUKS_SEGMENTS 32
#define LUKS1_SLOTS 8
#define LUKS2_HEADER_MIN 0x4000u
#define LUKS2_HEADER_MAX 0x400000u

enum luks_slot_kind { SLOT_NONE, SLOT_KEY, SLOT_OTHER };

struct luks_slot {
	enum luks_slot_kind kind;
	uint32_t key_bytes;			/* of the volume key */
	uint32_t priority;
	uint64_t area_offset, area_bytes;
	char area_cipher[LUKS_NAME_BYTES];
	uint32_t area_key_bytes;
	uint32_t stripes;
	char af_hash[32], kdf[16], kdf_hash[32];
	uint32_t iterations, memory_kib, lanes;
	uint8_t salt[LUKS_SALT_MAX];
	size_t salt_bytes;
};

struct luks_digest {
	bool used;
	char hash[32];
	uint32_t iterations;
	uint8_t salt[LUKS_SALT_MAX], digest[NDM_HASH_MAX];
	size_t salt_bytes, digest_bytes;
};

struct luks_segment {
	bool used, crypt, backup, hot;		/* hot: being re-encrypted */
	uint64_t offset, bytes;			/* bytes 0: to the end */
	uint64_t iv_tweak;
	char cipher[LUKS_NAME_BYTES], integrity[LUKS_NAME_BYTES];
	uint32_t sector_bytes, integrity_key_bytes;
};

struct ndm_luks {
	struct ndm_luks_io *io;
	char why[256];
	int version;
	char uuid[41], label[49], subsystem[49];
	bool repaired;
	unsigned nslots;
	struct luks_slot slot[NDM_LUKS_SLOTS];
	struct luks_digest digest[LUKS_SEGMENTS];
	struct luks_segment segment[LUKS_SEGMENTS];

	/* LUKS1 */
	char cipher_name[33], cipher_mode[33], hash[33];
	uint32_t payload_sector, key_bytes;

	/* LUKS2 */
	uint64_t seqid, header_bytes, keyslots_bytes;
	char checksum[33];
	struct tree *json;
};

int luks_fail(struct ndm_luks *, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int luks_read(struct ndm_luks *, uint64_t offset, void *, size_t bytes);
int luks_write(struct ndm_luks *, uint64_t offset, const void *, size_t bytes);
int luks_sync(struct ndm_luks *);
bool luks_plain_text(const char *, size_t room);	/* ends within room, printable */

/* luks1.c */
int luks1_decode(struct ndm_luks *, const uint8_t header[592]);
int luks1_write(struct ndm_luks *);

/* luks2.c: binary header and its two copies */
int luks2_load(struct ndm_luks *);
int luks2_write(struct ndm_luks *);		/* the next seqid, both copies */
/* luks2-json.c: the tree into the structs, everything checked */
int luks2_decode(struct ndm_luks *);

/* af.c */
bool luks_cipher_null(const char *cipher);	/* it encrypts nothing, and takes no key */
size_t luks_area_bytes(size_t key_bytes, uint32_t stripes);	/* whole sectors */
int luks_area_crypt(struct ndm_luks *, const char *cipher, const uint8_t *key, size_t key_bytes,
		    bool encrypt, uint8_t *area, size_t bytes);
int luks_af_split(const char *hash, const uint8_t *key, size_t key_bytes, uint32_t stripes,
		  uint8_t *out);
int luks_af_merge(const char *hash, const uint8_t *area, size_t key_bytes, uint32_t stripes,
		  uint8_t *key);

/* keyslot.c */
int luks_kdf(struct ndm_luks *, const struct luks_slot *, const void *pass, size_t pass_bytes,
	     uint8_t *out);
int luks_slot_digest(const struct ndm_luks *, int slot);	/* which digest it belongs to, or -1 */
int luks_check_digest(const struct luks_digest *, const uint8_t *key, size_t key_bytes);
int luks_commit(struct ndm_luks *);		/* writes the header, of either version */

#endif
