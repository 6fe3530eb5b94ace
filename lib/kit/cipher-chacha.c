/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cipher-chacha.c - ChaCha with any number of rounds, and XChaCha as the kernel's crypto API has
 * it: "xchacha20", "xchacha12".  OpenSSL knows neither the long nonce nor fewer rounds.
 *
 * The IV of XChaCha has 32 bytes here: a nonce of 24, and the 64-bit number of the first block.
 */
#include <errno.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"

#define BLOCK 64
#define LANES 4				/* blocks made side by side */

typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));

#define ROTATE(v, n) ((v) << (n) | (v) >> (32 - (n)))

#define QUARTER(x, a, b, c, d) do { \
		x[a] += x[b]; x[d] ^= x[a]; x[d] = ROTATE(x[d], 16); \
		x[c] += x[d]; x[b] ^= x[c]; x[b] = ROTATE(x[b], 12); \
		x[a] += x[b]; x[d] ^= x[a]; x[d] = ROTATE(x[d], 8); \
		x[c] += x[d]; x[b] ^= x[c]; x[b] = ROTATE(x[b], 7); \
	} while (0)

#define DOUBLE_ROUND(x) do { \
		QUARTER(x, 0, 4, 8, 12); QUARTER(x, 1, 5, 9, 13); \
		QUARTER(x, 2, 6, 10, 14); QUARTER(x, 3, 7, 11, 15); \
		QUARTER(x, 0, 5, 10, 15); QUARTER(x, 1, 6, 11, 12); \
		QUARTER(x, 2, 7, 8, 13); QUARTER(x, 3, 4, 9, 14); \
	} while (0)

void chacha_permute(const uint32_t in[16], uint32_t out[16], unsigned rounds)
{
	uint32_t x[16];
	unsigned i;

	memcpy(x, in, sizeof x);
	for (i = 0; i < rounds; i += 2)
		DOUBLE_ROUND(x);
	memcpy(out, x, sizeof x);
}

/* four blocks: one a lane */
static void chacha_four(const uint32_t state[16], unsigned rounds, const uint8_t *in, uint8_t *out)
{
	static const lanes count = { 0, 1, 2, 3 };
	lanes x[16], start[16];
	unsigned i, lane;

	for (i = 0; i < 16; i++)
		start[i] = (lanes){ state[i], state[i], state[i], state[i] };
	start[12] += count;
	memcpy(x, start, sizeof x);
	for (i = 0; i < rounds; i += 2)
		DOUBLE_ROUND(x);
	for (i = 0; i < 16; i++) {
		x[i] += start[i];
		for (lane = 0; lane < LANES; lane++) {
			size_t at = lane * BLOCK + 4 * i;

			le32_put(out + at, le32_get(in + at) ^ x[i][lane]);
		}
	}
}

static void chacha_one(const uint32_t state[16], unsigned rounds, const uint8_t *in, uint8_t *out,
		       size_t bytes)
{
	uint32_t x[16];
	uint8_t stream[BLOCK];
	size_t i;

	chacha_permute(state, x, rounds);
	for (i = 0; i < 16; i++)
		le32_put(stream + 4 * i, x[i] + state[i]);
	for (i = 0; i < bytes; i++)
		out[i] = in[i] ^ stream[i];
}

void chacha_xor(uint32_t state[16], unsigned rounds, const uint8_t *in, uint8_t *out, size_t bytes)
{
	while (bytes >= LANES * BLOCK) {
		chacha_four(state, rounds, in, out);
		state[12] += LANES;
		in += LANES * BLOCK;
		out += LANES * BLOCK;
		bytes -= LANES * BLOCK;
	}
	while (bytes) {
		size_t now = bytes < BLOCK ? bytes : BLOCK;

		chacha_one(state, rounds, in, out, now);
		state[12]++;
		in += now;
		out += now;
		bytes -= now;
	}
}

static void chacha_words(uint32_t state[16], const uint8_t key[32], const uint8_t iv[16])
{
	unsigned i;

	state[0] = 0x61707865;			/* "expand 32-byte k" */
	state[1] = 0x3320646e;
	state[2] = 0x79622d32;
	state[3] = 0x6b206574;
	for (i = 0; i < 8; i++)
		state[4 + i] = le32_get(key + 4 * i);
	for (i = 0; i < 4; i++)
		state[12 + i] = le32_get(iv + 4 * i);
}

/* HChaCha makes a key of the key and the first half of the IV; that and the rest make the state */
void xchacha_init(uint32_t state[16], const uint8_t key[32], const uint8_t iv[32], unsigned rounds)
{
	uint8_t subkey[32], rest[16];
	uint32_t x[16];
	unsigned i;

	chacha_words(state, key, iv);
	chacha_permute(state, x, rounds);
	for (i = 0; i < 4; i++) {
		le32_put(subkey + 4 * i, x[i]);
		le32_put(subkey + 16 + 4 * i, x[12 + i]);
	}
	memcpy(rest, iv + 24, 8);
	memcpy(rest + 8, iv + 16, 8);
	chacha_words(state, subkey, rest);
	ndm_secret_wipe(subkey, sizeof subkey);
	ndm_secret_wipe(x, sizeof x);
}

/* ---- the cipher ---- */

struct xchacha {
	struct ndm_cipher cipher;
	unsigned rounds;
	bool keyed;
	uint8_t key[32];
};

static int xchacha_setkey(struct ndm_cipher *c, const uint8_t *key, size_t bytes)
{
	struct xchacha *x = (struct xchacha *)c;

	if (bytes != sizeof x->key)
		return -EINVAL;
	memcpy(x->key, key, sizeof x->key);
	x->keyed = true;
	return 0;
}

static int xchacha_crypt(struct ndm_cipher *c, bool encrypt, uint8_t *ivs, const uint8_t *in,
			 uint8_t *out, size_t bytes, unsigned n)
{
	struct xchacha *x = (struct xchacha *)c;
	uint32_t state[16];

	(void)encrypt;
	if (!x->keyed)
		return -ENOKEY;
	for (; n; n--, in += bytes, out += bytes, ivs += 32) {
		xchacha_init(state, x->key, ivs, x->rounds);
		chacha_xor(state, x->rounds, in, out, bytes);
	}
	ndm_secret_wipe(state, sizeof state);
	return 0;
}

static void xchacha_free(struct ndm_cipher *c)
{
	ndm_secret_free(c, sizeof(struct xchacha));
}

static const struct ndm_cipher_ops xchacha_ops = {
	.setkey = xchacha_setkey,
	.crypt = xchacha_crypt,
	.free = xchacha_free,
};

int cipher_make_chacha(const char *name, struct ndm_cipher **out)
{
	unsigned rounds = !strcmp(name, "xchacha20") ? 20 : !strcmp(name, "xchacha12") ? 12 : 0;
	struct xchacha *x;

	if (!rounds)
		return -ENOENT;
	x = ndm_secret_alloc(sizeof *x);
	if (!x)
		return -ENOMEM;
	x->rounds = rounds;
	x->cipher = (struct ndm_cipher){ &xchacha_ops, 1, 32, 600 };
	*out = &x->cipher;
	return 0;
}
