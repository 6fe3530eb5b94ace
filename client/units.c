/* SPDX-License-Identifier: BSD-2-Clause */
/* units.c - sizes with suffixes as dmstats reads and prints them. */
#include "client.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char prefixes[] = "kmgtpe";

static uint64_t power(uint64_t base, unsigned exponent)
{
	uint64_t value = 1;

	while (exponent--)
		value *= base;
	return value;
}

/*
 * What a unit stands for, in bytes: b, s (sector), k..e by 1024, K..E by 1000; h, H, r and R
 * (for people to read) are 1.  A number before it makes a unit of its own.  0: no unit.
 */
uint64_t units_factor(const char *text, char *unit, const char **end)
{
	double own = 0;
	uint64_t value = 1, multiplier;
	const char *prefix;
	char *after;

	if (end)
		*end = text;
	if (isdigit((unsigned char)*text)) {
		own = strtod(text, &after);
		value = strtoull(text, NULL, 10);
		if ((double)value == own)
			own = 0;
		text = after;
	}
	*unit = value == 1 ? *text : 'U';
	prefix = *text ? strchr(prefixes, tolower((unsigned char)*text)) : NULL;
	if (*text && strchr("hHrR", *text)) {
		multiplier = value = 1;
		*unit = *text;
	} else if (*text && strchr("bB", *text)) {
		multiplier = 1;
	} else if (*text && strchr("sS", *text)) {
		multiplier = 512;
	} else if (prefix) {
		multiplier = power(isupper((unsigned char)*text) ? 1000 : 1024,
				   (unsigned)(prefix - prefixes) + 1);
	} else {
		return 0;
	}
	if (end)
		*end = text + 1;
	return own != 0 ? (uint64_t)(own * (double)multiplier) : value * multiplier;
}

/* A size for people: the largest unit that leaves at least 1. */
static char *format_human(uint64_t bytes, char unit)
{
	bool decimal = unit == 'H' || unit == 'R';
	uint64_t base = decimal ? 1000 : 1024, factor = power(base, 6);
	const char *mark = "";
	int i = 6;
	double hundredths;
	char letter;

	for (; i && bytes < factor; i--)
		factor /= base;
	letter = i ? prefixes[i - 1] : 'b';
	if (decimal)
		letter = (char)toupper((unsigned char)letter);
	hundredths = 100. * (double)bytes / (double)factor;
	if (i && (unit == 'r' || unit == 'R') && fabs(floor(hundredths) - rint(hundredths)) > 1e-9)
		mark = "<";
	return text_format("%s%.*f%c", mark, i ? 2 : 0, (double)bytes / (double)factor, letter);
}

/* factor: what units_factor() said of the unit.  NULL without memory. */
char *units_format(uint64_t sectors, char unit, uint64_t factor, bool suffix)
{
	bool human = strchr("hHrR", unit) != NULL;
	char letter = (char)toupper((unsigned char)unit);
	bool special = letter == 'S' || letter == 'B' || letter == 'U';

	/* The suffix of bytes, sectors and units of one's own is a capital; 0 has none of 'h'. */
	if (!special)
		letter = unit;
	if (!sectors)
		return human ? text_format("0%s", suffix ? " " : "") :
			text_format(suffix ? "0%c" : "0", letter);
	if (human)
		return format_human(sectors * 512, unit);
	return text_format("%.*f%.*s", special && letter != 'U' ? 0 : 2,
			   (double)(sectors * 512) / (double)factor, suffix ? 1 : 0, &letter);
}
