/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-counter.c - streams made from a block cipher and a counter, as the kernel has them beside ctr:
 *
 *	rfc3686(ctr(CIPHER))	the counter is a nonce (the key's last 4 bytes), the IV (8 bytes),
 *				and a big-endian number from 1
 *	xctr(aes)		block i, from 1, is the cipher of the IV XOR little-endian i (HCTR2)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define BLOCK 16
#define BATCH 32			/* blocks of stream at once */
#define NONCE 4

/* ---- rfc3686 ---- */

struct rfc3686 {
	struct ndm_cipher cipher;
	struct ndm_cipher *ctr;
	uint8_t nonce[NONCE];
};

static int rfc3686_setkey(struct ndm_cipher *cipher, const uint8_t *key, size_t bytes)
{
	struct rfc3686 *c = (struct rfc3686 *)cipher;

	if (bytes < NONCE)
		return -EINVAL;
	memcpy(c->nonce, key + bytes - NONCE, NONCE);
	return ndm_cipher_setkey(c->ctr, key, bytes - NONCE);
}

static int rfc3686_crypt(struct ndm_cipher *cipher, bool encrypt, uint8_t *ivs, const uint8_t *in, uint8_t *out,
			 size_t bytes, unsigned n)
{
	struct rfc3686 *c = (struct rfc3686 *)cipher;
	uint8_t counter[BLOCK];
	int err = 0;

	for (; n && !err; n--, in += bytes, out += bytes, ivs += 8) {
		memcpy(counter, c->nonce, NONCE);
		memcpy(counter + NONCE, ivs, 8);
		be32_put(counter + 12, 1);
		err = ndm_cipher_crypt(c->ctr, encrypt, counter, in, out, bytes, 1);
	}
	return err;
}

static void rfc3686_free(struct ndm_cipher *cipher)
{
	struct rfc3686 *c = (struct rfc3686 *)cipher;

	ndm_cipher_free(c->ctr);
	ndm_secret_free(c, sizeof *c);
}

static const struct ndm_cipher_ops rfc3686_ops = {
	.setkey = rfc3686_setkey,
	.crypt = rfc3686_crypt,
	.free = rfc3686_free,
};

static int rfc3686_make(const char *inside, struct ndm_cipher **out)
{
	struct rfc3686 *c = ndm_secret_alloc(sizeof *c);
	int err = c ? ndm_cipher_new(inside, &c->ctr) : -ENOMEM;

	if (!err && (c->ctr->iv_bytes != BLOCK || c->ctr->block_bytes != 1))
		err = -EINVAL;
	if (err) {
		if (c)
			rfc3686_free(&c->cipher);
		return err;
	}
	c->cipher = (struct ndm_cipher){ &rfc3686_ops, 1, 8, c->ctr->mb_per_s };
	*out = &c->cipher;
	return 0;
}

/* ---- xctr ---- */

struct xctr {
	struct ndm_cipher cipher;
	struct ndm_cipher *ecb;
};

static int xctr_setkey(struct ndm_cipher *cipher, const uint8_t *key, size_t bytes)
{
	return ndm_cipher_setkey(((struct xctr *)cipher)->ecb, key, bytes);
}

static int xctr_unit(struct xctr *c, const uint8_t *iv, const uint8_t *in, uint8_t *out, size_t bytes)
{
	uint64_t low = le64_get(iv), i = 1;
	uint8_t stream[BATCH * BLOCK];
	size_t at, now;
	int err = 0;

	for (; bytes && !err; bytes -= now, in += now, out += now) {
		for (at = 0; at < sizeof stream; at += BLOCK, i++) {
			le64_put(stream + at, low ^ i);
			memcpy(stream + at + 8, iv + 8, 8);
		}
		err = ndm_cipher_crypt(c->ecb, true, NULL, stream, stream, sizeof stream, 1);
		now = bytes < sizeof stream ? bytes : sizeof stream;
		for (at = 0; at < now && !err; at++)
			out[at] = in[at] ^ stream[at];
	}
	ndm_secret_wipe(stream, sizeof stream);
	return err;
}

static int xctr_crypt(struct ndm_cipher *cipher, bool encrypt, uint8_t *ivs, const uint8_t *in, uint8_t *out,
		      size_t bytes, unsigned n)
{
	int err = 0;

	(void)encrypt;
	for (; n && !err; n--, in += bytes, out += bytes, ivs += BLOCK)
		err = xctr_unit((struct xctr *)cipher, ivs, in, out, bytes);
	return err;
}

static void xctr_free(struct ndm_cipher *cipher)
{
	ndm_cipher_free(((struct xctr *)cipher)->ecb);
	ndm_free(cipher);
}

static const struct ndm_cipher_ops xctr_ops = {
	.setkey = xctr_setkey,
	.crypt = xctr_crypt,
	.free = xctr_free,
};

static int xctr_make(struct ndm_cipher **out)
{
	struct xctr *c = ndm_zalloc(sizeof *c);
	int err = c ? ndm_cipher_new("ecb(aes)", &c->ecb) : -ENOMEM;

	if (err) {
		ndm_free(c);
		return err;
	}
	c->cipher = (struct ndm_cipher){ &xctr_ops, 1, BLOCK, c->ecb->mb_per_s / 2 };
	*out = &c->cipher;
	return 0;
}

int cipher_make_counter(const char *name, struct ndm_cipher **out)
{
	char inside[NDM_CIPHER_NAME_MAX];

	if (!strcmp(name, "xctr(aes)"))
		return xctr_make(out);
	if (cipher_name_inside(name, "rfc3686", inside))
		return rfc3686_make(inside, out);
	return -ENOENT;
}
