/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fec.c - Reed-Solomon, the textbook's way: an LFSR encodes; syndromes, Berlekamp and Massey,
 * Chien's search and Forney's formula decode.
 *
 * Index i of a codeword is the coefficient of x^(254 - i).  Logarithms are to the base a = 2.
 */
#include <errno.h>
#include <string.h>

#include "lib/kit/fec.h"

#define POLYNOMIAL 0x11d
#define N NDM_RS_BYTES

static uint8_t mul(const struct ndm_rs *rs, uint8_t a, uint8_t b)
{
	return a && b ? rs->exp[rs->log[a] + rs->log[b]] : 0;
}

static uint8_t divide(const struct ndm_rs *rs, uint8_t a, uint8_t b)	/* b is not 0 */
{
	return a ? rs->exp[rs->log[a] + N - rs->log[b]] : 0;
}

void ndm_rs_init(struct ndm_rs *rs, unsigned roots)
{
	uint8_t g[NDM_RS_ROOTS_MAX + 1] = { 1 };	/* lowest power first */
	unsigned i, j, v = 1;

	memset(rs, 0, sizeof *rs);
	rs->roots = roots;
	for (i = 0; i < N; i++) {
		rs->exp[i] = rs->exp[i + N] = v;
		rs->log[v] = i;
		v <<= 1;
		if (v & 0x100)
			v ^= POLYNOMIAL;
	}
	for (i = 0; i < roots; i++) {			/* times (x + a^i) */
		for (j = i + 1; j; j--)
			g[j] = g[j - 1] ^ mul(rs, g[j], rs->exp[i]);
		g[0] = mul(rs, g[0], rs->exp[i]);
	}
	for (i = 0; i < roots; i++)
		for (j = 0; j < 256; j++) {
			rs->times[i][j] = mul(rs, j, rs->exp[i]);
			rs->feedback[j][i] = mul(rs, j, g[roots - 1 - i]);
		}
}

void ndm_rs_encode(const struct ndm_rs *rs, const uint8_t *message, uint8_t *parity)
{
	unsigned roots = rs->roots, i, j;

	memset(parity, 0, roots);
	for (i = 0; i < N - roots; i++) {
		const uint8_t *f = rs->feedback[message[i] ^ parity[0]];

		for (j = 0; j + 1 < roots; j++)
			parity[j] = parity[j + 1] ^ f[j];
		parity[j] = f[j];
	}
}

/* ---- decoding ---- */

/* S[j] is the codeword at a^j; returns whether any is not 0 */
static int syndromes(const struct ndm_rs *rs, const uint8_t *word, uint8_t *s)
{
	unsigned i, j;
	int any = 0;

	memset(s, word[0], rs->roots);
	for (i = 1; i < N; i++)				/* Horner, for all roots at once */
		for (j = 0; j < rs->roots; j++)
			s[j] = rs->times[j][s[j]] ^ word[i];
	for (j = 0; j < rs->roots; j++)
		any |= s[j];
	return any;
}

/* (1 - X x) for each erasure, X = a^(254 - index) */
static void erasure_locator(const struct ndm_rs *rs, const uint8_t *erasures, unsigned n,
			    uint8_t *lambda)
{
	unsigned i, j;

	for (i = 0; i < n; i++)
		for (j = i + 1; j; j--)
			if (lambda[j - 1])
				lambda[j] ^= rs->exp[rs->log[lambda[j - 1]] + N - 1 - erasures[i]];
}

/* Berlekamp and Massey, begun behind the erasures; returns the locator's degree. */
static unsigned error_locator(const struct ndm_rs *rs, const uint8_t *s, unsigned nerasures,
			      uint8_t *lambda)
{
	uint8_t b[NDM_RS_ROOTS_MAX + 2], t[NDM_RS_ROOTS_MAX + 2];
	unsigned roots = rs->roots, length = nerasures, r, i;

	memcpy(b, lambda, sizeof b);
	for (r = nerasures; r < roots; r++) {
		uint8_t discrepancy = 0;

		for (i = 0; i <= r && i <= roots; i++)
			discrepancy ^= mul(rs, lambda[i], s[r - i]);
		memmove(b + 1, b, sizeof b - 1);		/* b *= x */
		b[0] = 0;
		if (!discrepancy)
			continue;
		for (i = 0; i < sizeof t; i++)
			t[i] = lambda[i] ^ mul(rs, discrepancy, b[i]);
		if (2 * length <= r + nerasures) {
			length = r + 1 + nerasures - length;
			for (i = 0; i < sizeof b; i++)
				b[i] = divide(rs, lambda[i], discrepancy);
		}
		memcpy(lambda, t, sizeof t);
	}
	for (i = roots; i && !lambda[i]; i--)
		;
	return lambda[roots + 1] ? roots + 1 : i;
}

/* Where lambda(1/X) is 0, X = a^power; Chien.  Returns how many there are. */
static unsigned error_places(const struct ndm_rs *rs, const uint8_t *lambda, unsigned degree,
			     uint8_t *powers)
{
	unsigned p, i, n = 0;

	for (p = 0; p < N; p++) {
		uint8_t v = lambda[0];

		for (i = 1; i <= degree; i++)
			if (lambda[i])
				v ^= rs->exp[(rs->log[lambda[i]] + i * (N - p)) % N];
		if (v)
			continue;
		if (n == degree)
			return degree + 1;
		powers[n++] = p;
	}
	return n;
}

/* What was added at X: X omega(1/X) / lambda'(1/X), omega = S lambda mod x^roots; Forney. */
static int error_value(const struct ndm_rs *rs, const uint8_t *omega, const uint8_t *lambda,
		       unsigned degree, unsigned power, uint8_t *value)
{
	uint8_t above = 0, below = 0;
	unsigned i;

	for (i = 0; i < rs->roots; i++)
		if (omega[i])
			above ^= rs->exp[(rs->log[omega[i]] + i * (N - power)) % N];
	for (i = 1; i <= degree; i += 2)		/* the derivative: odd powers only */
		if (lambda[i])
			below ^= rs->exp[(rs->log[lambda[i]] + (i - 1) * (N - power)) % N];
	if (!below)
		return -EBADMSG;
	*value = divide(rs, mul(rs, above, rs->exp[power]), below);
	return 0;
}

int ndm_rs_decode(const struct ndm_rs *rs, uint8_t word[N], const uint8_t *erasures,
		  unsigned nerasures)
{
	uint8_t s[NDM_RS_ROOTS_MAX], lambda[NDM_RS_ROOTS_MAX + 2] = { 1 };
	uint8_t omega[NDM_RS_ROOTS_MAX] = { 0 }, powers[NDM_RS_ROOTS_MAX];
	uint8_t values[NDM_RS_ROOTS_MAX];
	unsigned degree, i, j;
	int err, changed = 0;

	if (nerasures > rs->roots)
		return -EBADMSG;
	if (!syndromes(rs, word, s))
		return 0;
	erasure_locator(rs, erasures, nerasures, lambda);
	degree = error_locator(rs, s, nerasures, lambda);
	if (degree > rs->roots || error_places(rs, lambda, degree, powers) != degree)
		return -EBADMSG;
	for (i = 0; i < rs->roots; i++)
		for (j = 0; j <= i; j++)
			omega[i] ^= mul(rs, s[i - j], lambda[j]);
	for (i = 0; i < degree; i++) {
		err = error_value(rs, omega, lambda, degree, powers[i], &values[i]);
		if (err)
			return err;
	}
	for (i = 0; i < degree; i++) {
		word[N - 1 - powers[i]] ^= values[i];
		changed += !!values[i];
	}
	if (!syndromes(rs, word, s))
		return changed;
	for (i = 0; i < degree; i++)			/* more errors than can be known: not a word */
		word[N - 1 - powers[i]] ^= values[i];
	return -EBADMSG;
}
