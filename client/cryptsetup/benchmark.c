/* SPDX-License-Identifier: BSD-2-Clause */
/* benchmark.c - how fast key derivation and ciphers are here, in memory, by one processor. */
#include "client/cryptsetup/cryptsetup.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES (4u << 20)
#define SECONDS_LEAST 0.25

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* MiB a second; < 0: there is none of that name and size */
static double speed(const char *cipher, size_t key_bytes, bool encrypt, void *buf)
{
	double began = now(), took;
	unsigned n = 0;

	do {
		if (ndm_luks_cipher_try(cipher, key_bytes, encrypt, buf, BYTES))
			return -1;
		n++;
		took = now() - began;
	} while (took < SECONDS_LEAST);
	return n * (BYTES >> 20) / took;
}

static int cipher_line(const char *cipher, unsigned bits, void *buf)
{
	double there = speed(cipher, bits / 8, true, buf), back = there < 0 ? -1 : speed(cipher, bits / 8, false, buf);
	char name[64];
	const char *last = strrchr(cipher, '-');

	snprintf(name, sizeof name, "%.*s", last && strchr(cipher, '-') != last ? (int)(last - cipher) : (int)strlen(cipher),
		 cipher);
	if (there < 0)
		printf("%15s %10ub             N/A             N/A\n", name, bits);
	else
		printf("%15s %10ub %10.1f MiB/s %10.1f MiB/s\n", name, bits, there, back);
	return there < 0 ? -ENOENT : 0;
}

static int kdf_line(struct cs *cs, const char *type, const char *hash)
{
	struct ndm_luks_kdf k;
	unsigned ms = number(cs, CS_ITER_TIME, 2000);
	int err;

	cs->given[CS_PBKDF - 1000] = true;
	cs->text[CS_PBKDF - 1000] = type;
	err = kdf_choose(cs, 2, hash, &k);
	if (err)
		return err;
	if (!strcmp(type, "pbkdf2"))
		printf("PBKDF2-%-10s %9.0f iterations per second for 256-bit key\n", hash, k.iterations * 1000.0 / ms);
	else
		printf("%-10s %6u iterations, %u memory, %u parallel threads (CPUs) for 256-bit key (requested %u ms time)\n",
		       type, k.iterations, k.memory_kib, k.lanes, ms);
	fflush(stdout);
	return 0;
}

static int kdf_all(struct cs *cs)
{
	static const char *const hashes[] = { "sha1", "sha256", "sha512", "ripemd160", "whirlpool" };
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof hashes / sizeof *hashes && !err; i++)
		err = kdf_line(cs, "pbkdf2", hashes[i]);
	err = err ? err : kdf_line(cs, "argon2i", "sha256");
	return err ? err : kdf_line(cs, "argon2id", "sha256");
}

int cs_benchmark(struct cs *cs)
{
	static const struct { const char *cipher; unsigned bits; } usual[] = {
		{ "aes-cbc-plain64", 128 }, { "serpent-cbc-plain64", 128 }, { "twofish-cbc-plain64", 128 },
		{ "aes-cbc-plain64", 256 }, { "serpent-cbc-plain64", 256 }, { "twofish-cbc-plain64", 256 },
		{ "aes-xts-plain64", 256 }, { "serpent-xts-plain64", 256 }, { "twofish-xts-plain64", 256 },
		{ "aes-xts-plain64", 512 }, { "serpent-xts-plain64", 512 }, { "twofish-xts-plain64", 512 },
	};
	const char *cipher = text(cs, CS_CIPHER);
	char *full = NULL;
	void *buf = calloc(1, BYTES);
	size_t i;
	int err = buf ? 0 : -ENOMEM;

	printf("# Tests are approximate using memory only (no storage IO).\n");
	if (!err && given(cs, CS_PBKDF)) {
		err = kdf_line(cs, text(cs, CS_PBKDF), given(cs, CS_HASH) ? text(cs, CS_HASH) : "sha256");
	} else if (!err && given(cs, CS_HASH)) {
		err = kdf_line(cs, "pbkdf2", text(cs, CS_HASH));
	} else if (!err && cipher) {
		full = strchr(cipher, '-') && strchr(cipher, '-') != strrchr(cipher, '-') ? strdup(cipher)
											  : text_format("%s-plain64", cipher);
		printf("#     Algorithm |       Key |      Encryption |      Decryption\n");
		err = full ? cipher_line(full, number(cs, CS_KEY_SIZE, strstr(cipher, "-xts") ? 512 : 256), buf) : -ENOMEM;
		if (err)
			say("Cipher %s (with %u bits key) is not available.", cipher, (unsigned)number(cs, CS_KEY_SIZE, 256));
	} else if (!err) {
		err = kdf_all(cs);
		printf("#     Algorithm |       Key |      Encryption |      Decryption\n");
		for (i = 0; i < sizeof usual / sizeof *usual && !err; i++)
			cipher_line(usual[i].cipher, usual[i].bits, buf);
	}
	free(full);
	free(buf);
	return err;
}
