/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.c - tags of blocks: hash(salt, if there is one; the sector's number, 64 bits; the data),
 * cut off or filled with zeroes.  Small requests are hashed on the loop, large ones by workers,
 * each of which has a hash of its own.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define OFFLOAD_BYTES (64u << 10)	/* from here on a worker is worth its two messages */

/* ---- making ---- */

static int alg_make(struct ndm_target *ti, const struct integrity_alg *a, struct ndm_hash **out,
		    const char *what, const char *key)
{
	int err = ndm_hash_new(a->name, out);

	if (err)
		return ndm_error(ti, err, "Invalid %s: '%s'", what, a->name);
	if (a->key)
		err = ndm_hash_setkey(*out, a->key, a->key_bytes);
	else if (ndm_hash_keyed(*out))
		err = -ENOKEY;
	return err ? ndm_error(ti, err, "Error setting %s key", key) : 0;
}

int integrity_hash_init(struct ndm_target *ti, struct integrity *ic)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < INTEGRITY_LANES && ic->hash_alg.name && !err; i++) {
		err = alg_make(ti, &ic->hash_alg, &ic->hashes[i], "internal hash", "internal hash");
		if (i)
			ic->free_lane[ic->nfree++] = i;
	}
	if (!err && ic->mac_alg.name)
		err = alg_make(ti, &ic->mac_alg, &ic->mac, "journal mac", "journal mac");
	if (!err && ic->hashes[0])
		ic->digest_bytes = ndm_hash_bytes(ic->hashes[0]);
	return err;
}

/* ---- one block ---- */

int integrity_tag(struct integrity *ic, unsigned lane, uint64_t sector, const uint8_t *data,
		  uint8_t *tag)
{
	struct ndm_hash *h = ic->hashes[lane];
	uint8_t number[8], digest[NDM_HASH_MAX];
	unsigned n = ic->digest_bytes < ic->tag_bytes ? ic->digest_bytes : ic->tag_bytes;
	int err = ndm_hash_begin(h);

	if (ic->l.super.flags & NDM_INTEGRITY_FIXED_HMAC)
		err = err ? err : ndm_hash_update(h, ic->l.super.salt, sizeof ic->l.super.salt);
	le64_put(number, sector);
	err = err ? err : ndm_hash_update(h, number, sizeof number);
	if (data)
		err = err ? err : ndm_hash_update(h, data, ic->block_bytes);
	err = err ? err : ndm_hash_end(h, digest);
	if (err)
		return err;
	memcpy(tag, digest, n);
	memset(tag + n, 0, ic->tag_bytes - n);
	return 0;
}

bool integrity_tag_fits(struct integrity *ic, uint64_t sector, const uint8_t *stored,
			const uint8_t *made)
{
	uint8_t marker[NDM_INTEGRITY_TAG_MAX];

	if (ndm_secret_equal(stored, made, ic->tag_bytes))
		return true;
	if (!ic->discard)
		return false;
	memset(marker, INTEGRITY_DISCARDED, ic->tag_bytes);
	if (ic->discard_keyed && integrity_tag(ic, 0, sector, NULL, marker))
		return false;
	return ndm_secret_equal(stored, marker, ic->tag_bytes);
}

/* ---- many, perhaps elsewhere ---- */

struct tags_job {
	struct integrity *ic;
	unsigned lane;
	uint64_t sector, nr;
	struct ndm_data data;
	uint8_t *tags;
};

static int tags_run(void *arg)
{
	struct tags_job *job = arg;
	struct integrity *ic = job->ic;
	struct ndm_data data = job->data;
	uint8_t *tag = job->tags;
	uint64_t i;
	int err = 0;

	for (i = 0; i < job->nr && !err; i += ic->block_sectors) {
		const uint8_t *block = ndm_data_flat(&data, ic->block_bytes);

		if (!block) {
			ndm_data_from(&data, ic->block_bytes, ic->scratch[job->lane]);
			block = ic->scratch[job->lane];
		}
		err = integrity_tag(ic, job->lane, job->sector + i, block, tag);
		tag += ic->tag_bytes;
		data = ndm_data_skip(data, ic->block_bytes);
	}
	return err;
}

int integrity_tags_make(struct integrity *ic, uint64_t sector, uint64_t nr,
			const struct ndm_data *data, uint8_t *tags)
{
	struct tags_job job = { .ic = ic, .sector = sector, .nr = nr, .data = *data, .tags = tags };
	int err;

	if (nr << NDM_SECTOR_SHIFT < OFFLOAD_BYTES || !ic->nfree)
		return tags_run(&job);
	job.lane = ic->free_lane[--ic->nfree];
	err = ndm_offload(ic->ti->loop, tags_run, &job);
	ic->free_lane[ic->nfree++] = job.lane;
	return err;
}
