/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.c - time and dice of the real world.
 *
 * The dice are splitmix64 over one atomic counter: any thread may throw without a lock, and
 * no two throws use the same state.  They are for back-off, jitter and choice; keys and IVs
 * come from dice_bytes(), which is the kernel's generator.
 */
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "os.h"

uint64_t clock_now(struct ndm_world *world)
{
	struct timespec t;

	(void)world;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t dice_random(struct ndm_world *world)
{
	const uint64_t step = 0x9e3779b97f4a7c15u;
	uint64_t z = atomic_fetch_add_explicit(&os_world(world)->dice, step,
					       memory_order_relaxed) + step;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void dice_bytes(struct ndm_world *world, void *to, size_t len)
{
	char *p = to;

	(void)world;
	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort();	/* any other key would be worse than no program */
		p += n;
		len -= (size_t)n;
	}
}

void dice_seed(struct os_world *world)
{
	uint64_t seed;

	dice_bytes(&world->base, &seed, sizeof seed);
	atomic_store(&world->dice, seed);
}
