/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-aesni.c - "xts(aes)" with the processor's AES instructions, many sectors a call.
 *
 * OpenSSL takes one sector a call, which costs a third of the time at 512 bytes, and (3.0) never
 * uses the wide instructions.  Here a call is a batch of sectors: their first tweaks are made
 * side by side, and blocks go through the cipher 8 at a time, or 16 where there is VAES.
 * The round keys lie in secret memory.  Elsewhere, and for all else, OpenSSL.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#ifdef __x86_64__
#include <immintrin.h>

#define BLOCK 16
#define ROUNDS_MAX 14
#define SIDE 8				/* blocks side by side */

struct aes_keys { __m128i round[ROUNDS_MAX + 1]; };

struct aes_xts {
	struct ndm_cipher cipher;
	unsigned rounds;		/* 0: no key yet */
	bool wide;
	struct aes_keys tweak, key[2];	/* key: for decrypting, for encrypting */
};

#ifdef __clang__
#define UNROLL				/* does it anyway */
#else
#define UNROLL _Pragma("GCC unroll 8")	/* gcc would keep the blocks in memory */
#endif
#define AESNI __attribute__((target("aes,sse4.1")))
#define INLINE_AESNI AESNI static inline __attribute__((always_inline))
#define VAES __attribute__((target("aes,avx512f,avx512bw,vaes")))
#define INLINE_VAES VAES static inline __attribute__((always_inline))

/* ---- keys ---- */

AESNI static uint32_t substitute_word(uint32_t w)
{
	return _mm_cvtsi128_si32(_mm_aeskeygenassist_si128(_mm_set1_epi32(w), 0));
}

/* FIPS 197, 5.2 */
AESNI static void keys_expand(struct aes_keys *k, const uint8_t *key, unsigned words, unsigned rounds)
{
	uint32_t w[4 * (ROUNDS_MAX + 1)], t;
	unsigned i, constant = 1;

	for (i = 0; i < words; i++)
		w[i] = cipher_get32(key + 4 * i);
	for (; i < 4 * (rounds + 1); i++) {
		t = w[i - 1];
		if (i % words == 0) {
			t = substitute_word(t >> 8 | t << 24) ^ constant;
			constant = constant << 1 ^ (constant & 0x80 ? 0x11b : 0);
		} else if (words > 6 && i % words == 4) {
			t = substitute_word(t);
		}
		w[i] = w[i - words] ^ t;
	}
	for (i = 0; i <= rounds; i++)
		k->round[i] = _mm_loadu_si128((const __m128i *)(w + 4 * i));
	ndm_secret_wipe(w, sizeof w);
}

/* the equivalent inverse cipher's keys */
AESNI static void keys_invert(struct aes_keys *out, const struct aes_keys *in, unsigned rounds)
{
	unsigned i;

	out->round[0] = in->round[rounds];
	for (i = 1; i < rounds; i++)
		out->round[i] = _mm_aesimc_si128(in->round[rounds - i]);
	out->round[rounds] = in->round[0];
}

AESNI static int xts_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	struct aes_xts *x = (struct aes_xts *)c;
	unsigned words = bytes / 8;		/* of each half */

	if (bytes != 32 && bytes != 48 && bytes != 64)
		return -EINVAL;
	x->rounds = words + 6;
	keys_expand(&x->key[1], key, words, x->rounds);
	keys_invert(&x->key[0], &x->key[1], x->rounds);
	keys_expand(&x->tweak, key + bytes / 2, words, x->rounds);
	return 0;
}

/* ---- tweaks: times x^n in GF(2^128), n constant, at most 32 ---- */

INLINE_AESNI __m128i times(__m128i t, int n)
{
	__m128i over = _mm_shuffle_epi32(_mm_srli_epi64(t, 64 - n), 0x4e);
	__m128i folded = _mm_move_epi64(over);	/* what left at the top comes back as 0x87 */

	return _mm_slli_epi64(t, n) ^ over ^ _mm_slli_epi64(folded, 1) ^ _mm_slli_epi64(folded, 2) ^
	       _mm_slli_epi64(folded, 7);
}

/* n = 1, in fewer steps */
INLINE_AESNI __m128i twice(__m128i t)
{
	__m128i over = _mm_shuffle_epi32(_mm_srai_epi32(t, 31), 0x13);

	return _mm_add_epi64(t, t) ^ (over & _mm_set_epi32(0, 1, 0, 0x87));
}

INLINE_VAES __m512i times_wide(__m512i t, int n)
{
	const __m512i low = _mm512_set_epi64(0, -1, 0, -1, 0, -1, 0, -1);
	__m512i over = _mm512_shuffle_epi32(_mm512_srli_epi64(t, 64 - n), (_MM_PERM_ENUM)0x4e);
	__m512i folded = over & low;

	return _mm512_slli_epi64(t, n) ^ over ^ _mm512_slli_epi64(folded, 1) ^
	       _mm512_slli_epi64(folded, 2) ^ _mm512_slli_epi64(folded, 7);
}

/* ---- the cipher, 8 blocks of 128 bits ---- */

INLINE_AESNI void blocks(__m128i *b, unsigned n, const struct aes_keys *k, unsigned rounds,
			 bool encrypt)
{
	unsigned r, i;

	UNROLL for (i = 0; i < n; i++)
		b[i] ^= k->round[0];
	for (r = 1; r < rounds; r++)
		UNROLL for (i = 0; i < n; i++)
			b[i] = encrypt ? _mm_aesenc_si128(b[i], k->round[r])
				       : _mm_aesdec_si128(b[i], k->round[r]);
	UNROLL for (i = 0; i < n; i++)
		b[i] = encrypt ? _mm_aesenclast_si128(b[i], k->round[rounds])
			       : _mm_aesdeclast_si128(b[i], k->round[rounds]);
}

/* IVs into first tweaks, in place */
AESNI static void first_tweaks(const struct aes_xts *x, uint8_t *ivs, unsigned n)
{
	__m128i b[SIDE];
	unsigned i, now;

	for (; n; n -= now, ivs += now * BLOCK) {
		now = n < SIDE ? n : SIDE;
		for (i = 0; i < SIDE; i++)
			b[i] = i < now ? _mm_loadu_si128((const __m128i *)ivs + i) : _mm_setzero_si128();
		blocks(b, SIDE, &x->tweak, x->rounds, true);
		for (i = 0; i < now; i++)
			_mm_storeu_si128((__m128i *)ivs + i, b[i]);
	}
}

/* the rest of a sector, one block after the other */
INLINE_AESNI void xts_rest(const struct aes_xts *x, bool encrypt, __m128i t, const uint8_t *in,
			   uint8_t *out, size_t bytes)
{
	for (; bytes >= BLOCK; bytes -= BLOCK, in += BLOCK, out += BLOCK) {
		__m128i b = _mm_loadu_si128((const __m128i *)in) ^ t;

		blocks(&b, 1, &x->key[encrypt], x->rounds, encrypt);
		_mm_storeu_si128((__m128i *)out, b ^ t);
		t = twice(t);
	}
}

INLINE_AESNI void xts_unit(const struct aes_xts *x, bool encrypt, __m128i t, const uint8_t *in,
			   uint8_t *out, size_t bytes)
{
	__m128i b[SIDE], tweak[SIDE];
	unsigned i;

	for (; bytes >= SIDE * BLOCK; bytes -= SIDE * BLOCK, in += SIDE * BLOCK, out += SIDE * BLOCK) {
		UNROLL for (i = 0; i < SIDE; i++) {
			tweak[i] = t;
			b[i] = _mm_loadu_si128((const __m128i *)in + i) ^ t;
			t = twice(t);
		}
		blocks(b, SIDE, &x->key[encrypt], x->rounds, encrypt);
		UNROLL for (i = 0; i < SIDE; i++)
			_mm_storeu_si128((__m128i *)out + i, b[i] ^ tweak[i]);
	}
	xts_rest(x, encrypt, t, in, out, bytes);
}

AESNI static void xts_narrow(const struct aes_xts *x, bool encrypt, const uint8_t *tweaks,
			     const uint8_t *in, uint8_t *out, size_t bytes, unsigned n)
{
	for (; n; n--, tweaks += BLOCK, in += bytes, out += bytes) {
		__m128i t = _mm_loadu_si128((const __m128i *)tweaks);

		if (encrypt)
			xts_unit(x, true, t, in, out, bytes);
		else
			xts_unit(x, false, t, in, out, bytes);
	}
}

/* ---- four blocks to a register, 16 or 32 side by side ---- */

#define WIDE 4				/* registers */

INLINE_VAES void blocks_wide(__m512i *b, const struct aes_keys *k, unsigned rounds, bool encrypt)
{
	__m512i key = _mm512_broadcast_i32x4(k->round[0]);
	unsigned r, i;

	UNROLL for (i = 0; i < WIDE; i++)
		b[i] ^= key;
	for (r = 1; r < rounds; r++) {
		key = _mm512_broadcast_i32x4(k->round[r]);
		UNROLL for (i = 0; i < WIDE; i++)
			b[i] = encrypt ? _mm512_aesenc_epi128(b[i], key) : _mm512_aesdec_epi128(b[i], key);
	}
	key = _mm512_broadcast_i32x4(k->round[rounds]);
	UNROLL for (i = 0; i < WIDE; i++)
		b[i] = encrypt ? _mm512_aesenclast_epi128(b[i], key)
			       : _mm512_aesdeclast_epi128(b[i], key);
}

INLINE_VAES void xts_unit_wide(const struct aes_xts *x, bool encrypt, __m128i first,
			       const uint8_t *in, uint8_t *out, size_t bytes)
{
	const size_t step = WIDE * sizeof(__m512i);
	__m128i four[4] = { first, times(first, 1), times(first, 2), times(first, 3) };
	__m512i t[WIDE], b[WIDE];
	unsigned i;

	t[0] = _mm512_loadu_si512(four);
	UNROLL for (i = 1; i < WIDE; i++)
		t[i] = times_wide(t[i - 1], 4);
	for (; bytes >= step; bytes -= step, in += step, out += step) {
		UNROLL for (i = 0; i < WIDE; i++)
			b[i] = _mm512_loadu_si512(in + i * sizeof *b) ^ t[i];
		blocks_wide(b, &x->key[encrypt], x->rounds, encrypt);
		UNROLL for (i = 0; i < WIDE; i++) {
			_mm512_storeu_si512(out + i * sizeof *b, b[i] ^ t[i]);
			t[i] = times_wide(t[i], 4 * WIDE);
		}
	}
	if (bytes)
		xts_rest(x, encrypt, _mm512_castsi512_si128(t[0]), in, out, bytes);
}

VAES static void xts_wide(const struct aes_xts *x, bool encrypt, const uint8_t *tweaks,
			  const uint8_t *in, uint8_t *out, size_t bytes, unsigned n)
{
	for (; n; n--, tweaks += BLOCK, in += bytes, out += bytes) {
		__m128i t = _mm_loadu_si128((const __m128i *)tweaks);

		if (encrypt)
			xts_unit_wide(x, true, t, in, out, bytes);
		else
			xts_unit_wide(x, false, t, in, out, bytes);
	}
}

/* ---- the cipher object ---- */

static int xts_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
		     uint8_t *out, size_t bytes, unsigned n)
{
	struct aes_xts *x = (struct aes_xts *)c;

	if (!x->rounds)
		return -ENOKEY;
	if (bytes % BLOCK)
		return -EINVAL;
	first_tweaks(x, ivs, n);
	if (x->wide)
		xts_wide(x, encrypt, ivs, in, out, bytes, n);
	else
		xts_narrow(x, encrypt, ivs, in, out, bytes, n);
	return 0;
}

static void xts_free(struct ndm_cipher *c)
{
	ndm_secret_free(c, sizeof(struct aes_xts));
}

static const struct ndm_cipher_ops xts_ops = {
	.setkey = xts_setkey,
	.crypt = xts_crypt,
	.free = xts_free,
};

/* CPUID leaf 7: VAES is bit 9 of ecx; whether the system saves such registers gcc has asked */
static bool have_vaes(void)
{
	uint32_t a = 7, b, c = 0, d;

	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw"))
		return false;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c >> 9 & 1;
}

int cipher_make_aesni(const char *name, struct ndm_cipher **out)
{
	struct aes_xts *x;

	if (strcmp(name, "xts(aes)") || !__builtin_cpu_supports("aes"))
		return -ENOENT;
	x = ndm_secret_alloc(sizeof *x);
	if (!x)
		return -ENOMEM;
	x->wide = have_vaes();
	x->cipher = (struct ndm_cipher){ &xts_ops, BLOCK, BLOCK, x->wide ? 8000 : 5000 };
	*out = &x->cipher;
	return 0;
}

/* For tests: the same without the wide instructions. */
void cipher_aesni_narrow(struct ndm_cipher *c)
{
	((struct aes_xts *)c)->wide = false;
}

#else

int cipher_make_aesni(const char *name, struct ndm_cipher **out)
{
	(void)name;
	(void)out;
	return -ENOENT;
}

void cipher_aesni_narrow(struct ndm_cipher *c)
{
	(void)c;
}

#endif
