/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-wrap.c - kw(CIPHER): key wrapping (RFC 3394, SP 800-38F) of a block cipher of 16 bytes, as the
 * kernel has it: a unit is what is wrapped; the first 8 bytes of the result do not become part of it,
 * but are left in the IV, where unwrapping wants them.
 *
 * dm-crypt does not keep them: what it writes so cannot be read again, there as here (-EBADMSG).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define HALF 8
#define PASSES 6

struct wrap {
	struct ndm_cipher cipher;
	struct ndm_cipher *ecb;
};

static const uint8_t wrap_iv[HALF] = { 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6 };

static int wrap_setkey(struct ndm_cipher *cipher, const uint8_t *key, size_t bytes)
{
	return ndm_cipher_setkey(((struct wrap *)cipher)->ecb, key, bytes);
}

static void count(uint8_t *a, uint64_t t)
{
	be64_put(a, be64_get(a) ^ t);
}

static int wrap_unit(struct wrap *c, uint8_t *iv, uint8_t *data, size_t bytes)
{
	uint8_t block[2 * HALF];
	uint64_t t = 1;
	unsigned pass;
	size_t at;
	int err = 0;

	memcpy(block, wrap_iv, HALF);
	for (pass = 0; pass < PASSES; pass++)
		for (at = 0; at < bytes && !err; at += HALF) {
			memcpy(block + HALF, data + at, HALF);
			err = ndm_cipher_crypt(c->ecb, true, NULL, block, block, sizeof block, 1);
			count(block, t++);
			memcpy(data + at, block + HALF, HALF);
		}
	memcpy(iv, block, HALF);
	ndm_secret_wipe(block, sizeof block);
	return err;
}

static int unwrap_unit(struct wrap *c, uint8_t *iv, uint8_t *data, size_t bytes)
{
	uint64_t t = PASSES * (bytes / HALF);
	uint8_t block[2 * HALF];
	unsigned pass;
	size_t at;
	int err = 0;

	memcpy(block, iv, HALF);
	for (pass = 0; pass < PASSES; pass++)
		for (at = bytes; at && !err; at -= HALF) {
			memcpy(block + HALF, data + at - HALF, HALF);
			count(block, t--);
			err = ndm_cipher_crypt(c->ecb, false, NULL, block, block, sizeof block, 1);
			memcpy(data + at - HALF, block + HALF, HALF);
		}
	if (!err && !ndm_secret_equal(block, wrap_iv, HALF))
		err = -EBADMSG;
	ndm_secret_wipe(block, sizeof block);
	return err;
}

static int wrap_crypt(struct ndm_cipher *cipher, bool encrypt, uint8_t *ivs, const uint8_t *in, uint8_t *out,
		      size_t bytes, unsigned n)
{
	struct wrap *c = (struct wrap *)cipher;
	int err = 0;

	if (bytes < 2 * HALF || bytes % HALF)
		return -EINVAL;
	for (; n && !err; n--, in += bytes, out += bytes, ivs += HALF) {
		if (in != out)
			memcpy(out, in, bytes);
		err = encrypt ? wrap_unit(c, ivs, out, bytes) : unwrap_unit(c, ivs, out, bytes);
	}
	return err;
}

static void wrap_free(struct ndm_cipher *cipher)
{
	ndm_cipher_free(((struct wrap *)cipher)->ecb);
	ndm_free(cipher);
}

static const struct ndm_cipher_ops wrap_ops = {
	.setkey = wrap_setkey,
	.crypt = wrap_crypt,
	.free = wrap_free,
};

int cipher_make_wrap(const char *name, struct ndm_cipher **out)
{
	char inside[NDM_CIPHER_NAME_MAX], ecb[NDM_CIPHER_NAME_MAX + 5];
	struct wrap *c;
	int err;

	if (!cipher_name_inside(name, "kw", inside) || strchr(inside, '('))
		return -ENOENT;
	c = ndm_zalloc(sizeof *c);
	if (!c)
		return -ENOMEM;
	snprintf(ecb, sizeof ecb, "ecb(%s)", inside);
	err = ndm_cipher_new(ecb, &c->ecb);
	if (!err && c->ecb->block_bytes != 2 * HALF)
		err = -EINVAL;
	if (err) {
		wrap_free(&c->cipher);
		return err;
	}
	c->cipher = (struct ndm_cipher){ &wrap_ops, HALF, HALF, 20 };
	*out = &c->cipher;
	return 0;
}
