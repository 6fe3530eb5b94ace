/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypt-run.c - sectors through a lane of an ndm_crypt.  IVs are made a batch at a time, and the
 * cipher sees the whole batch.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/crypt-inside.h"

#define BATCH 32			/* sectors */

static uint64_t iv_sector(const struct ndm_crypt *c, uint64_t sector)
{
	uint64_t s = sector + c->spec.iv_offset;

	return c->spec.iv_large_sectors ? s >> c->shift : s;
}

/* Keys take turns by 512-byte sectors, whatever the size of ours. */
static struct ndm_cipher *lane_cipher(const struct ndm_crypt *c, const struct crypt_lane *lane,
				      uint64_t sector)
{
	return lane->ciphers[(sector + c->spec.iv_offset) & (c->keys - 1)];
}

/* ---- IV modes that look at the data ---- */

static int one_encrypt(struct ndm_crypt *c, struct crypt_lane *lane, uint64_t sector,
		       const uint8_t *in, uint8_t *out)
{
	struct ndm_cipher *cipher = lane_cipher(c, lane, sector);
	const unsigned bytes = c->spec.sector_bytes;
	uint64_t s = iv_sector(c, sector);
	uint8_t iv[NDM_CIPHER_IV_MAX];
	int err;

	switch (c->iv.mode) {
	case IV_LMK:
		ivgen_lmk(&c->iv, s, in, iv);
		return ndm_cipher_crypt(cipher, true, iv, in, out, bytes, 1);
	case IV_TCW:
		ivgen_tcw(&c->iv, s, iv);
		err = ndm_cipher_crypt(cipher, true, iv, in, out, bytes, 1);
		ivgen_tcw_whiten(&c->iv, s, out);
		return err;
	default:
		if (in != out)
			memcpy(out, in, bytes);
		err = ivgen_elephant(&c->iv, lane->elephant, s, true, out);
		ivgen_offset(&c->iv, s, iv);
		err = err ? err : ndm_cipher_encrypt_iv(lane->ciphers[0], iv);
		return err ? err : ndm_cipher_crypt(cipher, true, iv, out, out, bytes, 1);
	}
}

static int one_decrypt(struct ndm_crypt *c, struct crypt_lane *lane, uint64_t sector,
		       const uint8_t *in, uint8_t *out)
{
	struct ndm_cipher *cipher = lane_cipher(c, lane, sector);
	const unsigned bytes = c->spec.sector_bytes;
	uint64_t s = iv_sector(c, sector);
	uint8_t iv[NDM_CIPHER_IV_MAX] = { 0 };
	unsigned i;
	int err;

	switch (c->iv.mode) {
	case IV_LMK:
		err = ndm_cipher_crypt(cipher, false, iv, in, out, bytes, 1);
		ivgen_lmk(&c->iv, s, out, iv);
		for (i = 0; i < c->iv.iv_bytes; i++)
			out[i] ^= iv[i];
		return err;
	case IV_TCW:
		if (in != out)
			memcpy(out, in, bytes);
		ivgen_tcw_whiten(&c->iv, s, out);
		ivgen_tcw(&c->iv, s, iv);
		return ndm_cipher_crypt(cipher, false, iv, out, out, bytes, 1);
	default:
		ivgen_offset(&c->iv, s, iv);
		err = ndm_cipher_encrypt_iv(lane->ciphers[0], iv);
		err = err ? err : ndm_cipher_crypt(cipher, false, iv, in, out, bytes, 1);
		return err ? err : ivgen_elephant(&c->iv, lane->elephant, s, false, out);
	}
}

/* ---- authentication ---- */

static int one_aead(struct ndm_crypt *c, struct crypt_lane *lane, bool encrypt, uint64_t sector,
		    const uint8_t *in, uint8_t *out, uint8_t *tag, const uint8_t *random)
{
	const unsigned iv_bytes = c->iv.iv_bytes;
	uint8_t aad[8 + NDM_CIPHER_IV_MAX], *iv = aad + 8, work[NDM_CIPHER_IV_MAX];
	int err;

	le64_put(aad, sector);		/* without the IV's offset */
	if (!c->iv_stored)
		ivgen_fill(&c->iv, iv_sector(c, sector), 0, 1, iv);
	else if (encrypt)
		memcpy(iv, random, iv_bytes);
	else
		memcpy(iv, tag + c->tag_bytes, iv_bytes);
	memcpy(work, iv, iv_bytes);
	err = lane->aead->ops->crypt(lane->aead, encrypt, work, aad, 8 + iv_bytes, in, out,
				     c->spec.sector_bytes, tag);
	if (encrypt && !err) {
		memset(tag + c->tag_bytes, 0, c->tuple_bytes - c->tag_bytes);
		if (c->iv_stored)
			memcpy(tag + c->tag_bytes, iv, iv_bytes);
	}
	return err == -EBADMSG ? -EILSEQ : err;
}

/* ---- all others, in batches ---- */

static int batch_ivs(struct ndm_crypt *c, struct crypt_lane *lane, struct ndm_crypt_run *r,
		     uint64_t sector, unsigned n, unsigned first, uint8_t *ivs)
{
	const unsigned iv_bytes = c->iv.iv_bytes;
	unsigned i, step = c->spec.iv_large_sectors ? 1 : 1u << c->shift;
	int err = 0;

	if (c->iv_stored) {
		for (i = 0; i < n; i++) {
			uint8_t *stored = r->tags + (size_t)(first + i) * c->tuple_bytes;

			if (r->encrypt) {
				memset(stored, 0, c->tuple_bytes);
				memcpy(stored, r->random + (size_t)(first + i) * iv_bytes, iv_bytes);
			}
			memcpy(ivs + i * iv_bytes, stored, iv_bytes);
		}
		return 0;
	}
	ivgen_fill(&c->iv, iv_sector(c, sector), step, n, ivs);
	if (c->iv.mode == IV_EBOIV)		/* always under the first key */
		for (i = 0; i < n && !err; i++)
			err = ndm_cipher_encrypt_iv(lane->ciphers[0], ivs + i * iv_bytes);
	return err;
}

static int run_batches(struct ndm_crypt *c, struct crypt_lane *lane, struct ndm_crypt_run *r,
		       unsigned n)
{
	const unsigned bytes = c->spec.sector_bytes;
	uint8_t ivs[BATCH * NDM_CIPHER_IV_MAX];
	unsigned done, now, most = c->keys > 1 ? 1 : BATCH;
	int err = 0;

	for (done = 0; done < n && !err; done += now) {
		uint64_t sector = r->sector + ((uint64_t)done << c->shift);

		now = n - done < most ? n - done : most;
		err = batch_ivs(c, lane, r, sector, now, done, ivs);
		if (!err)
			err = ndm_cipher_crypt(lane_cipher(c, lane, sector), r->encrypt, ivs,
					       r->in + (size_t)done * bytes,
					       r->out + (size_t)done * bytes, bytes, now);
		if (err == -EBADMSG) {		/* kw: which of them is not known */
			r->bad = sector;
			return -EILSEQ;
		}
	}
	return err;
}

size_t ndm_crypt_bytes_in(const struct ndm_crypt *c, unsigned microseconds)
{
	unsigned speed = c->spec.aead ? c->lane->aead->mb_per_s : c->lane->ciphers[0]->mb_per_s;

	if (ivgen_touches_data(&c->iv) && speed > 200)
		speed = 200;
	return (size_t)speed * microseconds;	/* MB/s are bytes in a microsecond */
}

size_t ndm_crypt_random_bytes(const struct ndm_crypt *c, size_t bytes)
{
	return bytes / c->spec.sector_bytes * c->iv_stored;
}

static int run_sectors(struct ndm_crypt *c, unsigned which, struct ndm_crypt_run *r)
{
	struct crypt_lane *lane = &c->lane[which];
	const unsigned bytes = c->spec.sector_bytes, n = r->bytes / bytes;
	unsigned i;
	int err = 0;

	if (!c->keyed)
		return -ENOKEY;
	if (!c->spec.aead && !ivgen_touches_data(&c->iv))
		return run_batches(c, lane, r, n);
	for (i = 0; i < n && !err; i++) {
		const uint8_t *in = r->in + (size_t)i * bytes;
		uint8_t *out = r->out + (size_t)i * bytes;

		r->bad = r->sector + ((uint64_t)i << c->shift);
		if (c->spec.aead)
			err = one_aead(c, lane, r->encrypt, r->bad, in, out,
				       r->tags + (size_t)i * c->tuple_bytes,
				       r->random ? r->random + (size_t)i * c->iv_stored : NULL);
		else if (r->encrypt)
			err = one_encrypt(c, lane, r->bad, in, out);
		else
			err = one_decrypt(c, lane, r->bad, in, out);
	}
	return err;
}

/* What a cipher cannot do with a sector is an error of the device. */
int ndm_crypt_run(struct ndm_crypt *c, unsigned which, struct ndm_crypt_run *r)
{
	int err = run_sectors(c, which, r);

	return err == -EINVAL ? -EIO : err;
}
