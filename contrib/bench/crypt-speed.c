/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypt-speed.c - what ndm_crypt_run costs over the cipher itself, both in one process by turns,
 * in processor time: aes-xts-plain64, 64 KiB at a time, sectors of 512 and 4096 bytes.  And what a
 * sha256 through lib/kit costs over OpenSSL's, for verity.
 *
 *	cc -O2 -ISRC -ISRC/include -IBUILD -o crypt-speed SRC/contrib/bench/crypt-speed.c \
 *		BUILD/.libs/libndm-luks.a -lgcrypt -lnettle -largon2 -lcrypto
 *	./crypt-speed [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "lib/kit/crypt.h"
#include "lib/kit/hash.h"

#define BYTES (64u << 10)
#define SLICE_S 0.2			/* of processor time, for each in a round */

static uint8_t in[BYTES], out[BYTES], key[64];

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

struct subject {
	EVP_CIPHER_CTX *evp;
	EVP_MD_CTX *md;
	EVP_MD *sha;
	struct ndm_crypt *crypt;
	struct ndm_hash *hash;
	unsigned sector;
};

static void raw_cipher(struct subject *s)
{
	uint8_t iv[16] = { 0 };
	unsigned at;
	int n;

	for (at = 0; at < BYTES; at += s->sector) {
		iv[0] = at >> 9;
		if (EVP_CipherInit_ex2(s->evp, NULL, NULL, iv, -1, NULL) != 1 ||
		    EVP_CipherUpdate(s->evp, out + at, &n, in + at, s->sector) != 1)
			abort();
	}
}

static void our_cipher(struct subject *s)
{
	struct ndm_crypt_run run = { .encrypt = true, .in = in, .out = out, .bytes = BYTES };

	if (ndm_crypt_run(s->crypt, 0, &run))
		abort();
}

static void raw_hash(struct subject *s)
{
	unsigned at, n;

	for (at = 0; at < BYTES; at += s->sector)
		if (EVP_DigestInit_ex2(s->md, s->sha, NULL) != 1 ||
		    EVP_DigestUpdate(s->md, in + at, s->sector) != 1 || EVP_DigestFinal_ex(s->md, out, &n) != 1)
			abort();
}

static void our_hash(struct subject *s)
{
	unsigned at;

	for (at = 0; at < BYTES; at += s->sector)
		if (ndm_hash_one(s->hash, in + at, s->sector, out))
			abort();
}

/* MB in a second of processor time */
static double speed(void (*fn)(struct subject *), struct subject *s)
{
	double begin = cpu_s(), now;
	unsigned long n = 0;
	unsigned i;

	do {
		for (i = 0; i < 16; i++, n++)
			fn(s);
		now = cpu_s();
	} while (now - begin < SLICE_S);
	return n * (double)BYTES / (now - begin) / 1e6;
}

static int by_size(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : 1;
}

static void compare(const char *name, void (*raw)(struct subject *), void (*ours)(struct subject *),
		    struct subject *s, unsigned rounds)
{
	double a[rounds], b[rounds];
	unsigned i;

	for (i = 0; i < rounds; i++) {
		a[i] = speed(raw, s);
		b[i] = speed(ours, s);
	}
	qsort(a, rounds, sizeof *a, by_size);
	qsort(b, rounds, sizeof *b, by_size);
	printf("%-24s %5u bytes: OpenSSL %5.0f MB/s, ours %5.0f MB/s, ratio %.2f\n", name, s->sector, a[rounds / 2],
	       b[rounds / 2], b[rounds / 2] / a[rounds / 2]);
}

static void cipher(struct subject *s, unsigned sector)
{
	struct ndm_crypt_spec spec = { .cipher = "aes-xts-plain64", .key_bytes = 64, .sector_bytes = sector, .lanes = 1 };
	EVP_CIPHER *xts = EVP_CIPHER_fetch(NULL, "AES-256-XTS", NULL);
	const char *why;

	s->sector = sector;
	s->evp = EVP_CIPHER_CTX_new();
	if (ndm_crypt_new(&spec, &s->crypt, &why) || ndm_crypt_set_key(s->crypt, key) ||
	    ndm_crypt_init_iv(s->crypt, &why) || EVP_CipherInit_ex2(s->evp, xts, key, key, 1, NULL) != 1)
		abort();
	EVP_CIPHER_free(xts);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? atoi(argv[1]) : 9, i;
	static const unsigned sectors[] = { 512, 4096 };
	struct subject s = { .sha = EVP_MD_fetch(NULL, "SHA256", NULL), .md = EVP_MD_CTX_new() };

	if (!rounds || rounds > 1000)
		return 2;
	for (i = 0; i < sizeof key; i++)
		key[i] = i * 7 + 1;
	for (i = 0; i < 2; i++) {
		cipher(&s, sectors[i]);
		compare("aes-xts-plain64", raw_cipher, our_cipher, &s, rounds);
		ndm_crypt_free(s.crypt);
		EVP_CIPHER_CTX_free(s.evp);
	}
	if (ndm_hash_new("sha256", &s.hash))
		return 1;
	compare("sha256, a block of data", raw_hash, our_hash, &s, rounds);
	ndm_hash_free(s.hash);
	EVP_MD_free(s.sha);
	EVP_MD_CTX_free(s.md);
	return 0;
}
