/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-mode.c - modes made from a block cipher's ecb, where no library has them whole: xts
 * (IEEE 1619) and lrw for any cipher of 16-byte blocks, cts (cbc with its last two blocks
 * swapped), pcbc; and cipher_null, which does nothing.
 *
 * xts and lrw whiten a batch of blocks, encrypt it in one call, and whiten it again.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define BLOCK 16
#define BATCH 32			/* blocks whitened at once */

enum mode { MODE_XTS, MODE_LRW, MODE_CTS, MODE_PCBC };

struct composed {
	struct ndm_cipher cipher;
	enum mode mode;
	struct ndm_cipher *data;	/* ecb; cts: cbc */
	struct ndm_cipher *tweak;	/* xts: ecb under the second half of the key */
	uint64_t lrw_key[2];		/* lrw: high, low half of the key, big-endian read */
	uint64_t lrw_step[128][2];	/* key * (2^(k + 1) - 1): from a block to the next */
};

struct tweak {				/* of a block */
	uint8_t t[BLOCK];
	uint64_t index;			/* lrw: the low half of the block's number */
};

static void xor_bytes(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t bytes)
{
	uint64_t x, y;

	for (; bytes >= 8; bytes -= 8, out += 8, a += 8, b += 8) {
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		x ^= y;
		memcpy(out, &x, 8);
	}
	while (bytes--)
		*out++ = *a++ ^ *b++;
}

/* ---- tweaks ---- */

/* times x, little-endian bit order, x^128 + x^7 + x^2 + x + 1 */
static void xts_double(uint8_t t[BLOCK])
{
	uint64_t low = le64_get(t), high = le64_get(t + 8);
	uint64_t carry = -(high >> 63) & 0x87;

	le64_put(t + 8, high << 1 | low >> 63);
	le64_put(t, low << 1 ^ carry);
}

/* times x, big-endian bits */
static void lrw_double(uint64_t a[2])
{
	uint64_t carry = -(a[0] >> 63) & 0x87;

	a[0] = a[0] << 1 | a[1] >> 63;
	a[1] = a[1] << 1 ^ carry;
}

/* key * index in GF(2^128), big-endian bytes and bits */
static void lrw_multiply(const uint64_t key[2], const uint8_t index[BLOCK], uint8_t out[BLOCK])
{
	uint64_t i[2] = { be64_get(index), be64_get(index + 8) }, a[2] = { key[0], key[1] };
	uint64_t r[2] = { 0, 0 };
	unsigned bit;

	for (bit = 0; bit < 128; bit++) {
		uint64_t take = -(i[bit < 64 ? 1 : 0] >> (bit & 63) & 1);

		r[0] ^= a[0] & take;
		r[1] ^= a[1] & take;
		lrw_double(a);
	}
	be64_put(out, r[0]);
	be64_put(out + 8, r[1]);
}

static void lrw_set_key(struct composed *c, const uint8_t *key)
{
	uint64_t a[2] = { be64_get(key), be64_get(key + 8) }, sum[2] = { 0, 0 };
	unsigned k;

	memcpy(c->lrw_key, a, sizeof a);
	for (k = 0; k < 128; k++, lrw_double(a)) {
		sum[0] ^= a[0];
		sum[1] ^= a[1];
		memcpy(c->lrw_step[k], sum, sizeof sum);
	}
}

/* Counting up from i changes its last ones and the zero before them: 2^(ones + 1) - 1. */
static void lrw_next(const struct composed *c, struct tweak *w)
{
	unsigned ones = ~w->index ? __builtin_ctzll(~w->index) : 64;

	be64_put(w->t, be64_get(w->t) ^ c->lrw_step[ones][0]);
	be64_put(w->t + 8, be64_get(w->t + 8) ^ c->lrw_step[ones][1]);
	w->index++;
}

static void tweak_first(const struct composed *c, const uint8_t *iv, struct tweak *w)
{
	if (c->mode == MODE_XTS) {
		memcpy(w->t, iv, BLOCK);
	} else {
		lrw_multiply(c->lrw_key, iv, w->t);
		w->index = be64_get(iv + 8);
	}
}

static void tweaks_make(const struct composed *c, struct tweak *w, uint8_t *out, unsigned n)
{
	for (; n; n--, out += BLOCK) {
		memcpy(out, w->t, BLOCK);
		if (c->mode == MODE_XTS)
			xts_double(w->t);
		else
			lrw_next(c, w);
	}
}

static int whiten_unit(struct composed *c, bool encrypt, const uint8_t *iv, const uint8_t *in,
		       uint8_t *out, size_t bytes)
{
	uint8_t tweaks[BATCH * BLOCK];
	struct tweak w = { .index = 0 };
	int err = 0;

	tweak_first(c, iv, &w);
	while (bytes && !err) {
		size_t now = bytes < sizeof tweaks ? bytes : sizeof tweaks;

		tweaks_make(c, &w, tweaks, now / BLOCK);
		xor_bytes(out, in, tweaks, now);
		err = ndm_cipher_crypt(c->data, encrypt, NULL, out, out, now, 1);
		xor_bytes(out, out, tweaks, now);
		in += now;
		out += now;
		bytes -= now;
	}
	ndm_secret_wipe(tweaks, sizeof tweaks);
	return err;
}

/* ---- cts, pcbc ---- */

static void swap_blocks(uint8_t *p, size_t bytes, unsigned block)
{
	uint8_t last[BLOCK];

	if (bytes <= block)
		return;
	memcpy(last, p + bytes - block, block);
	memcpy(p + bytes - block, p + bytes - 2 * block, block);
	memcpy(p + bytes - 2 * block, last, block);
}

static int cts_unit(struct composed *c, bool encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out,
		    size_t bytes)
{
	int err;

	if (encrypt) {
		err = ndm_cipher_crypt(c->data, true, iv, in, out, bytes, 1);
		swap_blocks(out, bytes, c->cipher.block_bytes);
		return err;
	}
	if (in != out)
		memcpy(out, in, bytes);
	swap_blocks(out, bytes, c->cipher.block_bytes);
	return ndm_cipher_crypt(c->data, false, iv, out, out, bytes, 1);
}

static int pcbc_unit(struct composed *c, bool encrypt, uint8_t *iv, const uint8_t *in,
		     uint8_t *out, size_t bytes)
{
	unsigned block = c->cipher.block_bytes;
	uint8_t was[BLOCK];
	int err = 0;

	for (; bytes && !err; bytes -= block, in += block, out += block) {
		memcpy(was, in, block);
		if (encrypt) {
			xor_bytes(out, in, iv, block);
			err = ndm_cipher_crypt(c->data, true, NULL, out, out, block, 1);
		} else {
			err = ndm_cipher_crypt(c->data, false, NULL, was, out, block, 1);
			xor_bytes(out, out, iv, block);
		}
		xor_bytes(iv, was, out, block);
	}
	return err;
}

/* ---- the cipher ---- */

static int composed_setkey(struct ndm_cipher *cipher, const uint8_t *key, size_t bytes)
{
	struct composed *c = (struct composed *)cipher;
	int err;

	switch (c->mode) {
	case MODE_XTS:
		if (bytes % 2)
			return -EINVAL;
		err = ndm_cipher_setkey(c->data, key, bytes / 2);
		return err ? err : ndm_cipher_setkey(c->tweak, key + bytes / 2, bytes / 2);
	case MODE_LRW:
		if (bytes < BLOCK)
			return -EINVAL;
		lrw_set_key(c, key + bytes - BLOCK);
		return ndm_cipher_setkey(c->data, key, bytes - BLOCK);
	default:
		return ndm_cipher_setkey(c->data, key, bytes);
	}
}

static int composed_crypt(struct ndm_cipher *cipher, bool encrypt, uint8_t *ivs, const uint8_t *in,
			  uint8_t *out, size_t bytes, unsigned n)
{
	struct composed *c = (struct composed *)cipher;
	int err = 0;

	if (c->mode == MODE_XTS)		/* all first tweaks at once */
		err = ndm_cipher_crypt(c->tweak, true, NULL, ivs, ivs, BLOCK, n);
	for (; n && !err; n--, in += bytes, out += bytes, ivs += cipher->iv_bytes) {
		if (c->mode == MODE_CTS)
			err = cts_unit(c, encrypt, ivs, in, out, bytes);
		else if (c->mode == MODE_PCBC)
			err = pcbc_unit(c, encrypt, ivs, in, out, bytes);
		else
			err = whiten_unit(c, encrypt, ivs, in, out, bytes);
	}
	return err;
}

static void composed_free(struct ndm_cipher *cipher)
{
	struct composed *c = (struct composed *)cipher;

	ndm_cipher_free(c->data);
	ndm_cipher_free(c->tweak);
	ndm_secret_free(c, sizeof *c);
}

static const struct ndm_cipher_ops composed_ops = {
	.setkey = composed_setkey,
	.crypt = composed_crypt,
	.free = composed_free,
};

/* ---- cipher_null ---- */

static int null_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	(void)c;
	(void)key;
	return bytes ? -EINVAL : 0;
}

static int null_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
		      uint8_t *out, size_t bytes, unsigned n)
{
	(void)c;
	(void)encrypt;
	(void)ivs;
	if (in != out)
		memcpy(out, in, bytes * n);
	return 0;
}

static void null_free(struct ndm_cipher *c)
{
	ndm_free(c);
}

static const struct ndm_cipher_ops null_ops = {
	.setkey = null_setkey,
	.crypt = null_crypt,
	.free = null_free,
};

static int null_make(struct ndm_cipher **out)
{
	struct ndm_cipher *c = ndm_zalloc(sizeof *c);

	if (!c)
		return -ENOMEM;
	*c = (struct ndm_cipher){ &null_ops, 1, 0, 20000 };
	*out = c;
	return 0;
}

/* ---- making ---- */

/* "xts(aes)" -> the mode, and the name of what it is made of */
static bool mode_parse(const char *name, enum mode *mode, char *base)
{
	static const struct { const char *outer; enum mode mode; } modes[] = {
		{ "xts", MODE_XTS }, { "lrw", MODE_LRW }, { "pcbc", MODE_PCBC },
	};
	char inside[NDM_CIPHER_NAME_MAX];
	unsigned i;

	if (cipher_name_inside(name, "cts", inside)) {
		char cipher[NDM_CIPHER_NAME_MAX];

		if (!cipher_name_inside(inside, "cbc", cipher))
			return false;
		*mode = MODE_CTS;
		memcpy(base, inside, sizeof inside);
		return true;
	}
	for (i = 0; i < sizeof modes / sizeof *modes; i++) {
		size_t n;

		if (!cipher_name_inside(name, modes[i].outer, inside))
			continue;
		n = strlen(inside);
		if (strchr(inside, '(') || n + 6 > NDM_CIPHER_NAME_MAX)
			return false;
		memcpy(base, "ecb(", 4);
		memcpy(base + 4, inside, n);
		memcpy(base + 4 + n, ")", 2);
		*mode = modes[i].mode;
		return true;
	}
	return false;
}

/* cts and ctr of something that is there, but is not what they are made of */
static bool mode_over_other(const char *name)
{
	char inside[NDM_CIPHER_NAME_MAX];
	struct ndm_cipher *c;

	if ((!cipher_name_inside(name, "cts", inside) && !cipher_name_inside(name, "ctr", inside)) ||
	    !strchr(inside, '(') || ndm_cipher_new(inside, &c))
		return false;
	ndm_cipher_free(c);
	return true;
}

int cipher_make_mode(const char *name, struct ndm_cipher **out)
{
	char base[NDM_CIPHER_NAME_MAX];
	struct composed *c;
	enum mode mode;
	int err;

	if (!strcmp(name, "ecb(cipher_null)"))
		return null_make(out);
	if (!mode_parse(name, &mode, base))
		return mode_over_other(name) ? -EINVAL : -ENOENT;
	c = ndm_secret_alloc(sizeof *c);
	if (!c)
		return -ENOMEM;
	c->mode = mode;
	c->cipher.ops = &composed_ops;
	err = ndm_cipher_new(base, &c->data);
	if (err == -ENOENT && !strncmp(base, "ecb(chacha", 10))
		err = -EINVAL;			/* there, but no block cipher */
	if (!err && mode == MODE_XTS)
		err = ndm_cipher_new(base, &c->tweak);
	if (!err && (mode == MODE_XTS || mode == MODE_LRW) && c->data->block_bytes != BLOCK)
		err = -EINVAL;
	if (err) {
		composed_free(&c->cipher);
		return err;
	}
	c->cipher.block_bytes = c->data->block_bytes;
	c->cipher.iv_bytes = c->data->block_bytes;
	c->cipher.mb_per_s = c->data->mb_per_s / 2;
	*out = &c->cipher;
	return 0;
}
