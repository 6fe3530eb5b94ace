/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-block.c - ecb, cbc and ctr of block ciphers that come as one block at a time: our own cast6 and fcrypt;
 * from nettle the key lengths that libgcrypt lacks, twofish with 24 bytes and cast5 with less than
 * 11 (12 rounds then, as RFC 2144 has it), and des, for volumes of old.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher-block.h"

#ifdef HAVE_NETTLE
#include <nettle/cast128.h>
#include <nettle/des.h>
#include <nettle/twofish.h>

static int twofish_setkey(void *state, const uint8_t *key, size_t bytes)
{
	if (bytes != 16 && bytes != 24 && bytes != 32)
		return -EINVAL;
	twofish_set_key(state, bytes, key);
	return 0;
}

static void twofish_block(const void *state, bool encrypt, const uint8_t *in, uint8_t *out)
{
	(encrypt ? twofish_encrypt : twofish_decrypt)(state, TWOFISH_BLOCK_SIZE, out, in);
}

static const struct cipher_block block_twofish = {
	.name = "twofish", .block_bytes = TWOFISH_BLOCK_SIZE, .state_bytes = sizeof(struct twofish_ctx),
	.mb_per_s = 60, .setkey = twofish_setkey, .block = twofish_block,
};

static int cast5_setkey(void *state, const uint8_t *key, size_t bytes)
{
	if (bytes < CAST5_MIN_KEY_SIZE || bytes > CAST5_MAX_KEY_SIZE)
		return -EINVAL;
	cast5_set_key(state, bytes, key);
	return 0;
}

static void cast5_block(const void *state, bool encrypt, const uint8_t *in, uint8_t *out)
{
	(encrypt ? cast128_encrypt : cast128_decrypt)(state, CAST128_BLOCK_SIZE, out, in);
}

static const struct cipher_block block_cast5 = {
	.name = "cast5", .block_bytes = CAST128_BLOCK_SIZE, .state_bytes = sizeof(struct cast128_ctx),
	.mb_per_s = 60, .setkey = cast5_setkey, .block = cast5_block,
};

/* Weak keys are keys, as the kernel has it. */
static int des_setkey(void *state, const uint8_t *key, size_t bytes)
{
	if (bytes != DES_KEY_SIZE)
		return -EINVAL;
	des_set_key(state, key);
	return 0;
}

static void des_block(const void *state, bool encrypt, const uint8_t *in, uint8_t *out)
{
	(encrypt ? des_encrypt : des_decrypt)(state, DES_BLOCK_SIZE, out, in);
}

static int des3_setkey(void *state, const uint8_t *key, size_t bytes)
{
	if (bytes != DES3_KEY_SIZE)
		return -EINVAL;
	des3_set_key(state, key);
	return 0;
}

static void des3_block(const void *state, bool encrypt, const uint8_t *in, uint8_t *out)
{
	(encrypt ? des3_encrypt : des3_decrypt)(state, DES3_BLOCK_SIZE, out, in);
}

static const struct cipher_block block_des = {
	.name = "des", .block_bytes = DES_BLOCK_SIZE, .state_bytes = sizeof(struct des_ctx),
	.mb_per_s = 40, .setkey = des_setkey, .block = des_block,
};

static const struct cipher_block block_des3 = {
	.name = "des3_ede", .block_bytes = DES3_BLOCK_SIZE, .state_bytes = sizeof(struct des3_ctx),
	.mb_per_s = 15, .setkey = des3_setkey, .block = des3_block,
};
#endif

/* The kernel's: a block of one byte that stays as it is.  Modes are more than nothing, even so. */
static int null_setkey(void *state, const uint8_t *key, size_t bytes)
{
	(void)state;
	(void)key;
	return bytes ? -EINVAL : 0;
}

static void null_block(const void *state, bool encrypt, const uint8_t *in, uint8_t *out)
{
	(void)state;
	(void)encrypt;
	*out = *in;
}

static const struct cipher_block block_null = {
	.name = "cipher_null", .block_bytes = 1, .state_bytes = 1, .mb_per_s = 200,
	.setkey = null_setkey, .block = null_block,
};

static const struct cipher_block *const blocks[] = {
	&block_null,

	&cipher_block_cast6, &cipher_block_fcrypt,
#ifdef HAVE_NETTLE
	&block_twofish, &block_cast5, &block_des, &block_des3,
#endif
};

static const char *const modes[] = { "ecb", "cbc", "ctr" };
enum { MODE_ECB, MODE_CBC, MODE_CTR, MODES };

struct block {
	struct ndm_cipher cipher;
	const struct cipher_block *kind;
	unsigned mode;
	void *state;			/* secret memory */
	bool keyed;
};

static int block_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	struct block *b = (struct block *)c;
	int err = b->kind->setkey(b->state, key, bytes);

	b->keyed = !err;
	return err;
}

static void xor_to(uint8_t *out, const uint8_t *a, const uint8_t *b, unsigned n)
{
	while (n--)
		*out++ = *a++ ^ *b++;
}

static void unit_ecb(const struct block *b, bool encrypt, const uint8_t *in, uint8_t *out, size_t bytes)
{
	const unsigned n = b->kind->block_bytes;

	for (; bytes; bytes -= n, in += n, out += n)
		b->kind->block(b->state, encrypt, in, out);
}

static void unit_cbc(const struct block *b, bool encrypt, uint8_t *iv, const uint8_t *in, uint8_t *out,
		     size_t bytes)
{
	const unsigned n = b->kind->block_bytes;
	uint8_t before[CIPHER_BLOCK_MAX];

	for (; bytes; bytes -= n, in += n, out += n) {
		if (encrypt) {
			xor_to(out, in, iv, n);
			b->kind->block(b->state, true, out, out);
			memcpy(iv, out, n);
			continue;
		}
		memcpy(before, in, n);
		b->kind->block(b->state, false, in, out);
		xor_to(out, out, iv, n);
		memcpy(iv, before, n);
	}
}

/* The IV is a big-endian number; the last block may be shorter. */
static void unit_ctr(const struct block *b, uint8_t *iv, const uint8_t *in, uint8_t *out, size_t bytes)
{
	unsigned n = b->kind->block_bytes, i;
	uint8_t stream[CIPHER_BLOCK_MAX];

	for (; bytes; bytes -= n, in += n, out += n) {
		b->kind->block(b->state, true, iv, stream);
		for (i = b->kind->block_bytes; i-- && !++iv[i];)
			;
		n = bytes < n ? bytes : n;
		xor_to(out, in, stream, n);
	}
	ndm_secret_wipe(stream, sizeof stream);
}

static int block_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in, uint8_t *out,
		       size_t bytes, unsigned n)
{
	struct block *b = (struct block *)c;

	if (!b->keyed)
		return -ENOKEY;
	for (; n; n--, in += bytes, out += bytes, ivs += c->iv_bytes)
		if (b->mode == MODE_ECB)
			unit_ecb(b, encrypt, in, out, bytes);
		else if (b->mode == MODE_CBC)
			unit_cbc(b, encrypt, ivs, in, out, bytes);
		else
			unit_ctr(b, ivs, in, out, bytes);
	return 0;
}

static void block_free(struct ndm_cipher *c)
{
	struct block *b = (struct block *)c;

	ndm_secret_free(b->state, b->kind->state_bytes);
	ndm_free(b);
}

static const struct ndm_cipher_ops block_ops = {
	.setkey = block_setkey,
	.crypt = block_crypt,
	.free = block_free,
};

static const struct cipher_block *block_find(const char *name, unsigned *mode)
{
	char inside[NDM_CIPHER_NAME_MAX];
	unsigned i;

	for (*mode = 0; *mode < MODES; ++*mode)
		if (cipher_name_inside(name, modes[*mode], inside))
			for (i = 0; i < sizeof blocks / sizeof *blocks; i++)
				if (!strcmp(blocks[i]->name, inside))
					return blocks[i];
	return NULL;
}

int cipher_make_block(const char *name, struct ndm_cipher **out)
{
	unsigned mode;
	const struct cipher_block *kind = block_find(name, &mode);
	struct block *b;

	if (!kind)
		return -ENOENT;
	if (mode == MODE_CTR && kind->block_bytes < 4)
		return -EINVAL;			/* no room for a counter */
	b = ndm_zalloc(sizeof *b);
	if (!b)
		return -ENOMEM;
	b->kind = kind;
	b->mode = mode;
	b->state = ndm_secret_alloc(kind->state_bytes);
	if (!b->state) {
		ndm_free(b);
		return -ENOMEM;
	}
	b->cipher = (struct ndm_cipher){ .ops = &block_ops, .mb_per_s = kind->mb_per_s,
					 .block_bytes = mode == MODE_CTR ? 1 : kind->block_bytes,
					 .iv_bytes = mode == MODE_ECB ? 0 : kind->block_bytes };
	*out = &b->cipher;
	return 0;
}
