/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash-mac.c - MACs by the kernel's names that no library has for all of its ciphers:
 *
 *	cmac(CIPHER)	SP 800-38B: the last block XOR one of two keys, made of the cipher of zeroes
 *	xcbc(aes)	RFC 3566: three keys, made of the cipher of 01.., 02.., 03..
 *	cbcmac(CIPHER)	cbc of zero-padded blocks, and nothing else
 *	ghash		SP 800-38D, without the lengths
 *	michael_mic	IEEE 802.11's, eight bytes
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ndm-target.h>

#include "lib/kit/cipher.h"
#include "lib/kit/hash.h"

#define BLOCK 16			/* of the longest cipher */

enum mac_kind { MAC_CMAC, MAC_XCBC, MAC_CBC, MAC_GHASH, MAC_MICHAEL };

struct ndm_mac {
	enum mac_kind kind;
	unsigned block;
	struct ndm_cipher *ecb;
	uint8_t last[2][BLOCK];		/* keys of a last block that is whole, that is not */
	uint64_t h[2];			/* ghash: the key, big-endian */
	uint32_t michael_key[2], michael[2];
	uint8_t sum[BLOCK], left[BLOCK];
	unsigned nleft;
};

void ndm_mac_free(struct ndm_mac *m)
{
	if (!m)
		return;
	ndm_cipher_free(m->ecb);
	ndm_secret_free(m, sizeof *m);
}

int ndm_mac_new(const char *name, struct ndm_mac **out, unsigned *digest_bytes)
{
	static const struct { const char *outer; enum mac_kind kind; } of[] = {
		{ "cmac", MAC_CMAC }, { "xcbc", MAC_XCBC }, { "cbcmac", MAC_CBC },
	};
	char inside[NDM_CIPHER_NAME_MAX] = "", ecb[NDM_CIPHER_NAME_MAX + 5];
	struct ndm_mac *m;
	unsigned i;
	int err = 0;

	for (i = 0; i < 3 && !cipher_name_inside(name, of[i].outer, inside); i++)
		;
	if ((i == 3 && strcmp(name, "ghash") && strcmp(name, "michael_mic")) || strchr(inside, '('))
		return -ENOENT;
	m = ndm_secret_alloc(sizeof *m);
	if (!m)
		return -ENOMEM;
	m->kind = i < 3 ? of[i].kind : !strcmp(name, "ghash") ? MAC_GHASH : MAC_MICHAEL;
	m->block = m->kind == MAC_GHASH ? 16 : 4;
	if (i < 3) {
		snprintf(ecb, sizeof ecb, "ecb(%s)", inside);
		err = ndm_cipher_new(ecb, &m->ecb);
		m->block = err ? 0 : m->ecb->block_bytes;
		if (!err && m->block != 16 && (m->block != 8 || m->kind == MAC_XCBC))
			err = -EINVAL;
	}
	if (err) {
		ndm_mac_free(m);
		return err;
	}
	*digest_bytes = m->kind == MAC_MICHAEL ? 8 : m->block;
	*out = m;
	return 0;
}

/* ---- keys ---- */

static int block_encrypt(struct ndm_mac *m, uint8_t *block)
{
	return ndm_cipher_crypt(m->ecb, true, NULL, block, block, m->block, 1);
}

/* Times x, big-endian bits, in GF(2^64) or GF(2^128) */
static void twice(uint8_t *p, unsigned n)
{
	unsigned carry = p[0] >> 7, i;

	for (i = 0; i + 1 < n; i++)
		p[i] = p[i] << 1 | p[i + 1] >> 7;
	p[n - 1] = (p[n - 1] << 1) ^ (carry ? n == 16 ? 0x87 : 0x1b : 0);
}

static int cmac_keys(struct ndm_mac *m)
{
	int err;

	memset(m->last, 0, sizeof m->last);
	err = block_encrypt(m, m->last[0]);
	twice(m->last[0], m->block);
	memcpy(m->last[1], m->last[0], BLOCK);
	twice(m->last[1], m->block);
	return err;
}

static int xcbc_keys(struct ndm_mac *m)
{
	uint8_t first[BLOCK];
	int err;

	memset(first, 1, BLOCK);
	memset(m->last[0], 2, BLOCK);
	memset(m->last[1], 3, BLOCK);
	err = block_encrypt(m, first);
	err = err ? err : block_encrypt(m, m->last[0]);
	err = err ? err : block_encrypt(m, m->last[1]);
	err = err ? err : ndm_cipher_setkey(m->ecb, first, BLOCK);
	ndm_secret_wipe(first, sizeof first);
	return err;
}

int ndm_mac_setkey(struct ndm_mac *m, const uint8_t *key, size_t bytes)
{
	int err;

	if (m->kind == MAC_GHASH) {
		if (bytes != 16)
			return -EINVAL;
		m->h[0] = be64_get(key);
		m->h[1] = be64_get(key + 8);
		return 0;
	}
	if (m->kind == MAC_MICHAEL) {
		if (bytes != 8)
			return -EINVAL;
		m->michael_key[0] = le32_get(key);
		m->michael_key[1] = le32_get(key + 4);
		return 0;
	}
	if (m->kind == MAC_XCBC && bytes != 16)
		return -EINVAL;
	err = ndm_cipher_setkey(m->ecb, key, bytes);
	if (!err && m->kind == MAC_CMAC)
		err = cmac_keys(m);
	else if (!err && m->kind == MAC_XCBC)
		err = xcbc_keys(m);
	return err;
}

/* ---- blocks ---- */

/* sum = (sum XOR block) times the key in GCM's field: bits from the left */
static void ghash_block(struct ndm_mac *m, const uint8_t *p)
{
	uint64_t x[2] = { be64_get(m->sum) ^ be64_get(p), be64_get(m->sum + 8) ^ be64_get(p + 8) };
	uint64_t v[2] = { m->h[0], m->h[1] }, z[2] = { 0, 0 };
	unsigned i;

	for (i = 0; i < 128; i++) {
		uint64_t take = -(x[i / 64] >> (63 - i % 64) & 1), carry = -(v[1] & 1);

		z[0] ^= v[0] & take;
		z[1] ^= v[1] & take;
		v[1] = v[1] >> 1 | v[0] << 63;
		v[0] = v[0] >> 1 ^ (carry & 0xe100000000000000u);
	}
	be64_put(m->sum, z[0]);
	be64_put(m->sum + 8, z[1]);
}

static uint32_t left(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void michael_block(struct ndm_mac *m, uint32_t word)
{
	uint32_t l = m->michael[0] ^ word, r = m->michael[1];

	r ^= left(l, 17);
	l += r;
	r ^= (l & 0xff00ff00) >> 8 | (l & 0x00ff00ff) << 8;
	l += r;
	r ^= left(l, 3);
	l += r;
	r ^= left(l, 30);
	l += r;
	m->michael[0] = l;
	m->michael[1] = r;
}

static int block_take(struct ndm_mac *m, const uint8_t *p)
{
	unsigned i;

	if (m->kind == MAC_GHASH) {
		ghash_block(m, p);
		return 0;
	}
	if (m->kind == MAC_MICHAEL) {
		michael_block(m, le32_get(p));
		return 0;
	}
	for (i = 0; i < m->block; i++)
		m->sum[i] ^= p[i];
	return block_encrypt(m, m->sum);
}

void ndm_mac_begin(struct ndm_mac *m)
{
	memset(m->sum, 0, sizeof m->sum);
	memcpy(m->michael, m->michael_key, sizeof m->michael);
	m->nleft = 0;
}

/* cmac and xcbc treat the last block in their own way, be it whole: one is always kept. */
int ndm_mac_update(struct ndm_mac *m, const uint8_t *p, size_t bytes)
{
	bool keep = m->kind == MAC_CMAC || m->kind == MAC_XCBC;
	size_t now;
	int err = 0;

	while (bytes && !err) {
		if (m->nleft == m->block) {
			err = block_take(m, m->left);
			m->nleft = 0;
		}
		now = m->block - m->nleft < bytes ? m->block - m->nleft : bytes;
		memcpy(m->left + m->nleft, p, now);
		m->nleft += now;
		p += now;
		bytes -= now;
	}
	if (!err && m->nleft == m->block && !keep) {
		err = block_take(m, m->left);
		m->nleft = 0;
	}
	return err;
}

static int last_block(struct ndm_mac *m)
{
	bool whole = m->nleft == m->block;
	unsigned i;

	memset(m->left + m->nleft, 0, BLOCK - m->nleft);
	if (m->kind == MAC_CMAC || m->kind == MAC_XCBC) {
		if (!whole)
			m->left[m->nleft] = 0x80;
		for (i = 0; i < m->block; i++)
			m->left[i] ^= m->last[!whole][i];
		return block_take(m, m->left);
	}
	if (m->kind == MAC_MICHAEL) {		/* an end mark, and at least four zeroes */
		m->left[m->nleft] = 0x5a;
		michael_block(m, le32_get(m->left));
		michael_block(m, 0);
		return 0;
	}
	return m->nleft ? block_take(m, m->left) : 0;
}

int ndm_mac_end(struct ndm_mac *m, uint8_t *digest)
{
	int err = last_block(m);

	if (m->kind == MAC_MICHAEL) {
		le32_put(digest, m->michael[0]);
		le32_put(digest + 4, m->michael[1]);
	} else {
		memcpy(digest, m->sum, m->block);
	}
	return err;
}
