/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-aegis.c - "aegis128" (Wu and Preneel, version 1.1): five AES blocks of state, one AES
 * round each a step.  Not AEGIS-128L, which libraries have; this one none has.
 *
 * The round is the processor's where it has one, else done by hand, slowly and in constant time.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define BLOCK 16

struct aegis {
	struct ndm_aead aead;
	bool keyed, fast;
	uint8_t key[BLOCK];
};

struct aegis_state { uint8_t s[5][BLOCK]; };

static const uint8_t aegis_constant[2][BLOCK] = {	/* Fibonacci numbers mod 256 */
	{ 0x00, 0x01, 0x01, 0x02, 0x03, 0x05, 0x08, 0x0d, 0x15, 0x22, 0x37, 0x59, 0x90, 0xe9, 0x79, 0x62 },
	{ 0xdb, 0x3d, 0x18, 0x55, 0x6d, 0xc2, 0x2f, 0xf1, 0x20, 0x11, 0x31, 0x42, 0x73, 0xb5, 0x28, 0xdd },
};

static void xor_block(uint8_t *out, const uint8_t *a, const uint8_t *b)
{
	unsigned i;

	for (i = 0; i < BLOCK; i++)
		out[i] = a[i] ^ b[i];
}

/* ---- one AES round ---- */

static uint8_t gf_double(uint8_t x)
{
	return x << 1 ^ (-(x >> 7) & 0x1b);
}

static uint8_t gf_multiply(uint8_t a, uint8_t b)
{
	uint8_t r = 0;

	for (; b; b >>= 1, a = gf_double(a))
		r ^= -(b & 1) & a;
	return r;
}

/* the S-box by its definition: the inverse (x^254), and an affine map */
static uint8_t aes_substitute(uint8_t x)
{
	uint8_t y = x, inverse = 1, i;

	for (i = 1; i < 8; i++) {
		y = gf_multiply(y, y);
		inverse = gf_multiply(inverse, y);
	}
	y = inverse;
	for (i = 0; i < 4; i++) {
		y = y << 1 | y >> 7;
		inverse ^= y;
	}
	return inverse ^ 0x63;
}

static void round_slow(const uint8_t in[BLOCK], const uint8_t key[BLOCK], uint8_t out[BLOCK])
{
	uint8_t t[BLOCK];
	unsigned c, r;

	for (c = 0; c < 4; c++)			/* shift the rows, substitute */
		for (r = 0; r < 4; r++)
			t[4 * c + r] = aes_substitute(in[4 * ((c + r) % 4) + r]);
	for (c = 0; c < 4; c++) {
		const uint8_t *a = t + 4 * c;
		uint8_t all = a[0] ^ a[1] ^ a[2] ^ a[3];

		for (r = 0; r < 4; r++)
			out[4 * c + r] = a[r] ^ all ^ gf_double(a[r] ^ a[(r + 1) % 4]) ^ key[4 * c + r];
	}
}

static void update_slow(struct aegis_state *st, const uint8_t *m)
{
	uint8_t last[BLOCK], first[BLOCK], was[BLOCK];
	int i;

	memcpy(last, st->s[4], BLOCK);
	for (i = 4; i > 0; i--) {
		memcpy(was, st->s[i], BLOCK);
		round_slow(st->s[i - 1], was, st->s[i]);
	}
	xor_block(first, st->s[0], m);
	round_slow(last, first, st->s[0]);
}

#ifdef __x86_64__
typedef long long two __attribute__((vector_size(16)));

__attribute__((target("aes,sse2")))
static void update_fast(struct aegis_state *st, const uint8_t *m)
{
	two s[5], last, message;
	int i;

	memcpy(s, st->s, sizeof s);
	memcpy(&message, m, sizeof message);
	last = s[4];
	for (i = 4; i > 0; i--)
		s[i] = __builtin_ia32_aesenc128(s[i - 1], s[i]);
	s[0] = __builtin_ia32_aesenc128(last, s[0] ^ message);
	memcpy(st->s, s, sizeof s);
}
#endif

static void aegis_update(const struct aegis *a, struct aegis_state *st, const uint8_t *m)
{
#ifdef __x86_64__
	if (a->fast) {
		update_fast(st, m);
		return;
	}
#endif
	(void)a;
	update_slow(st, m);
}

/* ---- the cipher ---- */

static void aegis_start(const struct aegis *a, struct aegis_state *st, const uint8_t *iv)
{
	uint8_t key_iv[BLOCK];
	unsigned i;

	xor_block(key_iv, a->key, iv);
	memcpy(st->s[0], key_iv, BLOCK);
	memcpy(st->s[1], aegis_constant[1], BLOCK);
	memcpy(st->s[2], aegis_constant[0], BLOCK);
	xor_block(st->s[3], a->key, aegis_constant[0]);
	xor_block(st->s[4], a->key, aegis_constant[1]);
	for (i = 0; i < 5; i++) {
		aegis_update(a, st, a->key);
		aegis_update(a, st, key_iv);
	}
}

static void aegis_absorb(const struct aegis *a, struct aegis_state *st, const uint8_t *data,
			 size_t bytes)
{
	while (bytes) {
		uint8_t block[BLOCK] = { 0 };
		size_t now = bytes < BLOCK ? bytes : BLOCK;

		memcpy(block, data, now);
		aegis_update(a, st, block);
		data += now;
		bytes -= now;
	}
}

static void aegis_data(const struct aegis *a, struct aegis_state *st, bool encrypt,
		       const uint8_t *in, uint8_t *out, size_t bytes)
{
	uint8_t plain[BLOCK], coded[BLOCK];
	unsigned i;

	for (; bytes >= BLOCK; bytes -= BLOCK, in += BLOCK, out += BLOCK) {
		for (i = 0; i < BLOCK; i++)
			coded[i] = in[i] ^ st->s[1][i] ^ st->s[4][i] ^ (st->s[2][i] & st->s[3][i]);
		memcpy(plain, encrypt ? in : coded, BLOCK);
		memcpy(out, coded, BLOCK);
		aegis_update(a, st, plain);
	}
}

static int aegis_crypt(struct ndm_aead *aead, bool encrypt, uint8_t *iv, const uint8_t *aad,
		       size_t aad_bytes, const uint8_t *in, uint8_t *out, size_t bytes, uint8_t *tag)
{
	struct aegis *a = (struct aegis *)aead;
	struct aegis_state st;
	uint8_t sum[BLOCK], lengths[BLOCK];
	unsigned i;
	int err = 0;

	if (!a->keyed)
		return -ENOKEY;
	if (bytes % BLOCK)
		return -EINVAL;
	aegis_start(a, &st, iv);
	aegis_absorb(a, &st, aad, aad_bytes);
	aegis_data(a, &st, encrypt, in, out, bytes);
	le64_put(lengths, 8 * (uint64_t)aad_bytes);
	le64_put(lengths + 8, 8 * (uint64_t)bytes);
	xor_block(lengths, lengths, st.s[3]);
	for (i = 0; i < 7; i++)
		aegis_update(a, &st, lengths);
	memcpy(sum, st.s[0], BLOCK);
	for (i = 1; i < 5; i++)
		xor_block(sum, sum, st.s[i]);
	if (encrypt)
		memcpy(tag, sum, aead->tag_bytes);
	else if (!ndm_secret_equal(tag, sum, aead->tag_bytes))
		err = -EBADMSG;
	ndm_secret_wipe(&st, sizeof st);
	return err;
}

static int aegis_setkey(struct ndm_aead *aead, const uint8_t *key, size_t bytes, size_t mac_bytes)
{
	struct aegis *a = (struct aegis *)aead;

	if (bytes != BLOCK || mac_bytes)
		return -EINVAL;
	memcpy(a->key, key, BLOCK);
	a->keyed = true;
	return 0;
}

static void aegis_free(struct ndm_aead *a)
{
	ndm_secret_free(a, sizeof(struct aegis));
}

static const struct ndm_aead_ops aegis_ops = {
	.setkey = aegis_setkey,
	.crypt = aegis_crypt,
	.free = aegis_free,
};

int aead_make_aegis(const char *name, struct ndm_aead **out)
{
	struct aegis *a;

	if (strcmp(name, "aegis128"))
		return -ENOENT;
	a = ndm_secret_alloc(sizeof *a);
	if (!a)
		return -ENOMEM;
#ifdef __x86_64__
	a->fast = __builtin_cpu_supports("aes");
#endif
	a->aead = (struct ndm_aead){ .ops = &aegis_ops, .block_bytes = 1, .iv_bytes = BLOCK,
				     .tag_min = 8, .tag_max = 16, .tag_bytes = 16,
				     .mb_per_s = 500 };
	*out = &a->aead;
	return 0;
}
