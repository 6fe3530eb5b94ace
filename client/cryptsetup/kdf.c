/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kdf.c - how dear a passphrase shall be: forced, or as much as takes --iter-time here.
 */
#include "client/cryptsetup/cryptsetup.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define ITER_TIME_MS 2000
#define DIGEST_TIME_MS 125			/* the digest is checked after each slot that was tried */
#define ARGON2_MEMORY_KIB (1u << 20)
#define ARGON2_TIME_MIN 4
#define ARGON2_MEMORY_MIN 64

static double seconds_of(const struct ndm_luks_kdf *k, size_t bytes)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	if (ndm_luks_kdf_try(k, bytes))
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9;
}

/* Doubles until it can be measured, then extrapolates. */
static uint32_t pbkdf2_iterations(const char *hash, unsigned ms)
{
	struct ndm_luks_kdf k = { .type = "pbkdf2", .hash = hash, .iterations = 4096 };
	double took = 0, wanted;

	while (k.iterations < 1u << 28) {
		took = seconds_of(&k, 32);
		if (took < 0)
			return 0;
		if (took > 0.05)
			break;
		k.iterations *= 2;
	}
	wanted = k.iterations / took * ms / 1000;
	return wanted < 1000 ? 1000 : wanted > INT32_MAX ? INT32_MAX : (uint32_t)wanted;
}

uint32_t kdf_digest_iterations(const char *hash)
{
	return pbkdf2_iterations(hash, DIGEST_TIME_MS);
}

static uint32_t usual_memory_kib(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t half = pages > 0 && page > 0 ? (uint64_t)pages * page / 2048 : ARGON2_MEMORY_KIB;

	return half < ARGON2_MEMORY_KIB ? half : ARGON2_MEMORY_KIB;
}

/* Memory first, passes over it when there is time left. */
static int argon2_measure(struct ndm_luks_kdf *k, uint32_t most_kib, unsigned ms)
{
	double took, rate, blocks;

	k->iterations = ARGON2_TIME_MIN;
	k->memory_kib = most_kib < 65536 ? most_kib : 65536;
	took = seconds_of(k, 32);
	if (took <= 0)
		return -ENOMEM;
	rate = (double)k->iterations * k->memory_kib / took;
	blocks = rate * ms / 1000;
	if (blocks < (double)ARGON2_TIME_MIN * most_kib) {
		k->memory_kib = blocks / ARGON2_TIME_MIN;
		if (k->memory_kib < ARGON2_MEMORY_MIN)
			k->memory_kib = ARGON2_MEMORY_MIN;
		return 0;
	}
	k->memory_kib = most_kib;
	k->iterations = blocks / most_kib;
	return 0;
}

int kdf_choose(struct cs *cs, int version, const char *hash, struct ndm_luks_kdf *k)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned ms = number(cs, CS_ITER_TIME, ITER_TIME_MS);
	uint32_t memory = number(cs, CS_PBKDF_MEMORY, usual_memory_kib());

	*k = (struct ndm_luks_kdf){ .type = given(cs, CS_PBKDF) ? text(cs, CS_PBKDF) : "argon2id",
				    .hash = hash, .cipher = text(cs, CS_KEYSLOT_CIPHER),
				    .cipher_key_bytes = number(cs, CS_KEYSLOT_KEY_SIZE, 0) / 8,
				    .iterations = number(cs, CS_PBKDF_ITERATIONS, 0) };
	if (version == 1)
		k->type = "pbkdf2";
	if (strcmp(k->type, "pbkdf2") && strcmp(k->type, "argon2i") && strcmp(k->type, "argon2id")) {
		say("Unknown PBKDF type %s.", k->type);
		return -EINVAL;
	}
	if (!strcmp(k->type, "pbkdf2")) {
		if (given(cs, CS_PBKDF_ITERATIONS) && k->iterations < 1000) {
			say("Requested PBKDF iterations are too low: the minimum is 1000.");
			return -EINVAL;
		}
		if (!k->iterations)
			k->iterations = pbkdf2_iterations(hash, ms);
		if (!k->iterations)
			say("Requested PBKDF hash %s is not supported.", hash);
		return k->iterations ? 0 : -EINVAL;
	}
	k->lanes = number(cs, CS_PBKDF_PARALLEL, cpus > 4 ? 4 : cpus < 1 ? 1 : cpus);
	if (k->lanes > 4)
		k->lanes = 4;
	if (cpus > 0 && (long)k->lanes > cpus)
		k->lanes = cpus;		/* a header asks for no more than made it */
	k->memory_kib = memory;
	if (memory < 32 || memory > 4u << 20) {
		say("Requested PBKDF memory cost makes no sense.");
		return -EINVAL;
	}
	if (k->iterations)
		return 0;
	if (argon2_measure(k, memory, ms)) {
		say("Not enough memory for %s.", k->type);
		return -ENOMEM;
	}
	return 0;
}
