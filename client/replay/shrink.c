/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shrink.c - delta debugging: a set that makes a test fail, made so small that it does not fail
 * any more when any one of its members is taken out.
 */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

/* The set without its members from..to-1. */
static size_t without(const uint64_t *set, size_t n, size_t from, size_t to, uint64_t *out)
{
	memcpy(out, set, from * sizeof(*set));
	memcpy(out + from, set + to, (n - to) * sizeof(*set));
	return n - (to - from);
}

/* One round with so many parts; true: the set became smaller. */
static bool round_of(uint64_t *set, size_t *n, size_t parts, uint64_t *try, shrink_test *fails,
		     void *arg)
{
	size_t part, from, to, left;

	for (part = 0; part < parts; part++) {		/* a part alone */
		from = *n * part / parts;
		to = *n * (part + 1) / parts;
		memcpy(try, set + from, (to - from) * sizeof(*set));
		if (to > from && to - from < *n && fails(arg, try, to - from)) {
			*n = to - from;
			memcpy(set, try, *n * sizeof(*set));
			return true;
		}
	}
	for (part = 0; parts > 2 && part < parts; part++) {	/* all but a part */
		from = *n * part / parts;
		to = *n * (part + 1) / parts;
		left = without(set, *n, from, to, try);
		if (left && left < *n && fails(arg, try, left)) {
			*n = left;
			memcpy(set, try, *n * sizeof(*set));
			return true;
		}
	}
	return false;
}

void shrink(uint64_t *set, size_t *n, shrink_test *fails, void *arg)
{
	uint64_t *try = calloc(*n + 1, sizeof(*try));
	size_t parts = 2;

	while (try && *n > 1) {
		if (round_of(set, n, parts, try, fails, arg))
			parts = 2;
		else if (parts >= *n)
			break;
		else
			parts = parts * 2 < *n ? parts * 2 : *n;
	}
	free(try);
}
