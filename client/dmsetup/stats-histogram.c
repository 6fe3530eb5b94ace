/* SPDX-License-Identifier: BSD-2-Clause */
/* stats-histogram.c - latency histograms: bounds as given, and as text in a report. */
#include "stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * N[ns|us|ms|s],...  A unit holds until another is given.  Values are nanoseconds after it.
 */
bool bounds_parse(const char *text, struct bounds *bounds)
{
	uint64_t scale = 1;
	size_t room = 1;
	const char *c;
	char *end;

	for (c = text; *c; c++)
		room += *c == ',';
	memset(bounds, 0, sizeof(*bounds));
	bounds->upper = calloc(room, sizeof(*bounds->upper));
	if (!bounds->upper)
		return false;
	for (c = text; *c || !bounds->n; ) {
		if (*c == ',') {
			say("Empty histogram bin not allowed: %s", text);
			goto bad;
		}
		if (*c < '0' || *c > '9')
			goto bad_char;
		bounds->upper[bounds->n] = strtoull(c, &end, 10);
		c = end;
		if (*c == 's') {
			scale = NS_PER_S;
			c++;
		} else if (*c && c[1] == 's') {
			if (!strchr("mun", *c))
				goto bad_char;
			scale = *c == 'm' ? NS_PER_MS : *c == 'u' ? 1000 : 1;
			c += 2;
		}
		if (*c && *c != ',')
			goto bad_char;
		c += *c == ',';
		bounds->upper[bounds->n++] *= scale;
	}
	return true;

bad_char:
	say("Invalid character in histogram: %c", *c);
bad:
	free(bounds->upper);
	bounds->upper = NULL;
	return false;
}

/* The list for @stats_create; finer bounds than milliseconds make the region precise. */
char *bounds_argument(const struct bounds *bounds, bool *precise)
{
	char *text = strdup(""), *longer;
	size_t i;

	for (i = bounds->n; i-- > 0; ) {
		if (i && bounds->upper[i] < bounds->upper[i - 1]) {
			say("Histogram boundaries must be in order of increasing magnitude.");
			free(text);
			return NULL;
		}
		if (bounds->upper[i] % NS_PER_MS)
			*precise = true;
	}
	for (i = 0; text && i < bounds->n; i++) {
		longer = text_format("%s%s%" PRIu64, text, i ? "," : "",
				     bounds->upper[i] / (*precise ? 1 : NS_PER_MS));
		free(text);
		text = longer;
	}
	return text;
}

/* Percent in millionths; neither 0 nor 100 unless it is so exactly.  Of nothing it is 0. */
uint32_t percent_of(uint64_t part, uint64_t whole)
{
	uint32_t percent;

	if (!part)
		return 0;
	if (part >= whole)
		return 100000000;
	percent = (uint32_t)(100000000. * ((double)part / (double)whole));
	return percent == 100000000 ? percent - 1 : percent ? percent : 1;
}

float percent_float(uint32_t percent)
{
	return (float)percent / 1000000;
}

static uint64_t scaled(uint64_t ns, unsigned flags, const char **suffix)
{
	*suffix = "";
	if (!(flags & HIST_SUFFIX))
		return ns;
	*suffix = ns % NS_PER_S ? ns % NS_PER_MS ? ns % 1000 ? "ns" : "us" : "ms" : "s";
	return ns % NS_PER_S ? ns % NS_PER_MS ? ns % 1000 ? ns : ns / 1000 : ns / NS_PER_MS :
		ns / NS_PER_S;
}

/* "10ms" or "10ms-20ms", and a colon where a value follows */
static int bound_text(char *out, size_t room, uint64_t lower, uint64_t upper, int width,
		      unsigned flags)
{
	const char *lower_suffix, *upper_suffix, *colon = flags & HIST_COUNT ? ":" : "";
	uint64_t low = scaled(lower, flags, &lower_suffix);
	uint64_t high = scaled(upper, flags, &upper_suffix);
	char bound[64];

	if ((flags & HIST_RANGES) != HIST_RANGES) {
		snprintf(bound, sizeof(bound), "%" PRIu64 "%s", low, lower_suffix);
		return snprintf(out, room, "%*s%s", width, bound, colon);
	}
	if (upper == UINT64_MAX) {
		snprintf(bound, sizeof(bound), ">%" PRIu64 "%s", low, lower_suffix);
		return snprintf(out, room, "%*s%s", width, bound, colon);
	}
	return snprintf(out, room, "%" PRIu64 "%s-%" PRIu64 "%s%s", low, lower_suffix, high,
			upper_suffix, colon);
}

static uint64_t sum_of(const struct bounds *bounds, const uint64_t *bins)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; bins && i < bounds->n; i++)
		sum += bins[i];
	return sum;
}

/*
 * All bins in one line; NULL bins: all 0.  width -1: nothing is padded.  Values are padded to
 * 6 columns; a bound that takes more than its own 6 (10 without suffix) takes them from its
 * value.
 */
char *histogram_text(const struct bounds *bounds, const uint64_t *bins, int width,
		     unsigned flags)
{
	int value_width = width < 0 || !(flags & HIST_COUNT) ? 0 : 6;
	int bound_width = !value_width ? 0 : flags & HIST_SUFFIX ? 6 : 10;
	uint64_t sum = sum_of(bounds, bins);
	char *text = strdup(""), *longer;
	size_t i;

	for (i = 0; text && i < bounds->n; i++) {
		const char *separator = flags & HIST_COUNT && !value_width ? ":" : "";
		uint64_t lower = i ? bounds->upper[i - 1] : 0, count = bins ? bins[i] : 0;
		char bound[160] = "";
		int left = value_width;

		if (flags & HIST_RANGES) {
			int n = bound_text(bound, sizeof(bound), lower, bounds->upper[i],
					   bound_width, flags);

			separator = value_width || !(flags & HIST_COUNT) ? "," : ":";
			if (left)
				left -= n - (bound_width + 1);
			if (left < 0)
				left = 0;
		}
		if (i == bounds->n - 1)
			separator = "";
		if (flags & HIST_PERCENT)
			longer = text_format("%s%s%*.2f%%%s", text, bound, left,
					     (double)percent_float(percent_of(count, sum)),
					     separator);
		else if (flags & HIST_COUNT)
			longer = text_format("%s%s%*" PRIu64 "%s", text, bound, left, count,
					     separator);
		else
			longer = text_format("%s%s%s", text, bound, separator);
		free(text);
		text = longer;
	}
	return text;
}
