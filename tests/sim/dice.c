/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dice.c - seeded dice: splitmix64, one stream per purpose, so that asking one more question
 * in one place does not change all the answers elsewhere.
 */
#include "priv.h"

uint64_t dice_next(struct sim_dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

unsigned dice_below(struct sim_dice *d, unsigned n)
{
	return n < 2 ? 0 : (dice_next(d) >> 32) * n >> 32;
}

struct sim_dice dice_seed(uint64_t seed, uint64_t stream)
{
	struct sim_dice d = { .state = seed };

	d.state = dice_next(&d) ^ stream * 0xd6e8feb86659fd93u;
	dice_next(&d);
	return d;
}

uint64_t sim_random(struct sim *s)
{
	return dice_next(&s->script_dice);
}

unsigned sim_dice(struct sim *s, unsigned n)
{
	return dice_below(&s->script_dice, n);
}
