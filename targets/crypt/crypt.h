/* SPDX-License-Identifier: BSD-2-Clause */
/* crypt.h - what the files of the crypt target share. */
#ifndef NDM_TARGETS_CRYPT_H
#define NDM_TARGETS_CRYPT_H

#include <ndm-target.h>

#include "lib/kit/cipher.h"
#include "lib/kit/crypt.h"

/* Lane 0 is the loop's own, the others are for workers. */
#define CRYPT_LANES 5
#define CRYPT_SECTOR_MAX 4096		/* bytes */

enum crypt_flags {			/* as the table's words; the first six are hints */
	CRYPT_DISCARDS = 1, CRYPT_SAME_CPU = 2, CRYPT_HIGH_PRIORITY = 4, CRYPT_FROM_CPUS = 8,
	CRYPT_NO_READ_QUEUE = 16, CRYPT_NO_WRITE_QUEUE = 32, CRYPT_LARGE_IV = 64,
};

struct crypt {
	struct ndm_target *ti;
	struct ndm_crypt *crypt;
	struct ndm_dev *dev;
	uint64_t start, iv_offset;
	char *cipher;			/* as given */
	char *profile;			/* integrity: the word as given, or NULL */
	unsigned tag_bytes, mac_key_bytes, sector_bytes, flags;
	bool aead;

	uint8_t *key;			/* key_bytes; zeroes where the keyring has it */
	size_t key_bytes;
	char *keyring;			/* "type:description", or NULL */
	bool key_valid, suspended;

	unsigned tuple_bytes;		/* metadata of a sector below, 0 = none */
	size_t offload_bytes;		/* larger pieces of work go to a worker */
	uint8_t free_lane[CRYPT_LANES], nfree;
	uint8_t scratch[CRYPT_LANES][CRYPT_SECTOR_MAX];
};

/* table.c: the methods, which luks.c has in common */
int crypt_ctr(struct ndm_target *, unsigned argc, char **argv) ndm_waits;
void crypt_dtr(struct ndm_target *);
void crypt_postsuspend(struct ndm_target *);
int crypt_preresume(struct ndm_target *);
void crypt_resume(struct ndm_target *);
void crypt_io_hints(struct ndm_target *, struct ndm_limits *);

/* key.c */
int crypt_key_size(char **text);	/* of a key in any form; moves *text behind ":SIZE" */
int crypt_key_set(struct crypt *, char *text);		/* wipes the text */
int crypt_message(struct ndm_target *, unsigned argc, char **argv, struct ndm_str *);

/* io.c */
enum ndm_map crypt_map(struct ndm_target *, struct ndm_bio *);
enum ndm_endio crypt_end_io(struct ndm_target *, struct ndm_bio *);
size_t crypt_per_bio(void);
void crypt_io_init(struct crypt *);

#endif
