/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-value.c - the small things of a definition: texts, numbers, sizes, times, truth values,
 * and mappings whose keys are known.
 */
#include <ctype.h>
#include <stdlib.h>

#include "yaml-impl.h"

#define NEAREST_BYTES_MAX 32 /* longer words are not compared */

static const char *kind_name(const struct yaml_node *node)
{
	return node->kind == YAML_LIST ? "a list" : node->kind == YAML_MAP ? "a mapping" : "a text";
}

bool yaml_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->plain &&
	       (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

const char *yaml_text(struct yaml *y, const struct yaml_node *node, const char *what)
{
	if (node->kind != YAML_SCALAR) {
		yaml_error(y, node, "%s has to be one value, not %s", what, kind_name(node));
		return NULL;
	}
	if (yaml_is_null(node) || !*node->text) {
		yaml_error(y, node, "%s has no value", what);
		return NULL;
	}
	return node->text;
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(text, *words))
			return true;
	return false;
}

/* The words of YAML 1.1, because people write them. */
int yaml_bool(struct yaml *y, const struct yaml_node *node, const char *what, bool *value)
{
	static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes",
					  "YES",  "on",	  "On",	  "ON",	 NULL};
	static const char *const no[] = {"false", "False", "FALSE", "no",  "No",
					 "NO",	  "off",   "Off",   "OFF", NULL};
	const char *text = yaml_text(y, node, what);

	if (!text)
		return -EINVAL;
	*value = is_one_of(text, yes);
	if (*value || is_one_of(text, no))
		return 0;
	yaml_error(y, node, "%s has to be true or false, not '%s'", what, text);
	return -EINVAL;
}

int yaml_unsigned(struct yaml *y, const struct yaml_node *node, const char *what, uint64_t max,
		  uint64_t *value)
{
	const char *text = yaml_text(y, node, what);
	int err;

	if (!text)
		return -EINVAL;
	err = ndm_arg_u64(text, value);
	if (err == -EINVAL) {
		yaml_error(y, node, "%s has to be a number, not '%s'", what, text);
	} else if (err || *value > max) {
		yaml_error(y, node, "%s is %s, more than %llu", what, text,
			   (unsigned long long)max);
		err = -ERANGE;
	}
	return err;
}

/* ---- sizes ---- */

static const struct {
	const char *name;
	uint64_t bytes;
} size_units[] = {
	{ "b", 1 },
	{ "B", 1 },
	{ "s", 512 },
	{ "k", 1ull << 10 },
	{ "K", 1ull << 10 },
	{ "KiB", 1ull << 10 },
	{ "kiB", 1ull << 10 },
	{ "m", 1ull << 20 },
	{ "M", 1ull << 20 },
	{ "MiB", 1ull << 20 },
	{ "g", 1ull << 30 },
	{ "G", 1ull << 30 },
	{ "GiB", 1ull << 30 },
	{ "t", 1ull << 40 },
	{ "T", 1ull << 40 },
	{ "TiB", 1ull << 40 },
	{ "p", 1ull << 50 },
	{ "P", 1ull << 50 },
	{ "PiB", 1ull << 50 },
	{ "e", 1ull << 60 },
	{ "E", 1ull << 60 },
	{ "EiB", 1ull << 60 },
	{ "kB", 1000ull },
	{ "KB", 1000ull },
	{ "MB", 1000000ull },
	{ "GB", 1000000000ull },
	{ "TB", 1000000000000ull },
	{ "PB", 1000000000000000ull },
	{ "EB", 1000000000000000000ull },
};

static uint64_t size_unit(const char *name, unsigned bare)
{
	if (!*name)
		return bare;
	for (size_t i = 0; i < sizeof(size_units) / sizeof(size_units[0]); i++)
		if (!strcmp(name, size_units[i].name))
			return size_units[i].bytes;
	return 0;
}

/*
 * DIGITS[.DIGITS][UNIT] in bytes.  -EINVAL: not a size; -ERANGE: beyond 64 bits; -EDOM: a
 * fraction that is no whole number of bytes.
 */
static int size_bytes(const char *text, unsigned bare, unsigned __int128 *bytes)
{
	unsigned __int128 whole = 0, rest = 0, ten = 1;
	uint64_t unit;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++) {
		whole = whole * 10 + (unsigned)(*p - '0');
		if (whole > UINT64_MAX)
			return -ERANGE;
	}
	if (p == text)
		return -EINVAL;
	if (*p == '.') {
		const char *digits = ++p;

		for (; *p >= '0' && *p <= '9'; p++) {
			if (p - digits >= 18)
				return -EINVAL;
			rest = rest * 10 + (unsigned)(*p - '0');
			ten *= 10;
		}
		if (p == digits)
			return -EINVAL;
	}
	while (*p == ' ')
		p++;
	unit = size_unit(p, bare);
	if (!unit)
		return -EINVAL;
	if (rest * unit % ten)
		return -EDOM;
	*bytes = whole * unit + rest * unit / ten;
	return 0;
}

int yaml_size_text(const char *text, unsigned unit, uint64_t *value)
{
	unsigned __int128 bytes;
	int err = size_bytes(text, unit, &bytes);

	if (err)
		return err;
	if (bytes % unit)
		return -EDOM;
	if (bytes / unit > UINT64_MAX)
		return -ERANGE;
	*value = (uint64_t)(bytes / unit);
	return 0;
}

int yaml_size(struct yaml *y, const struct yaml_node *node, const char *what, unsigned unit,
	      uint64_t *value)
{
	const char *text = yaml_text(y, node, what);
	int err;

	if (!text)
		return -EINVAL;
	err = yaml_size_text(text, unit, value);
	if (err == -ERANGE)
		yaml_error(y, node, "%s is %s, beyond 64 bits", what, text);
	else if (err == -EDOM && unit == NDM_SECTOR_BYTES)
		yaml_error(y, node, "%s is %s, which is not a whole number of sectors (512 bytes)",
			   what, text);
	else if (err == -EDOM)
		yaml_error(y, node, "%s is %s, which is not a whole number of bytes", what, text);
	else if (err)
		yaml_error(y, node, "%s has to be a size like 2048, 64k, 10GiB, not '%s'", what,
			   text);
	return err;
}

int yaml_time(struct yaml *y, const struct yaml_node *node, const char *what, unsigned unit_ms,
	      uint64_t *value)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{ "ms", 1 },
		{ "s", 1000 },
		{ "min", 60000 },
		{ "h", 3600000 },
	};
	const char *text = yaml_text(y, node, what);
	uint64_t unit = 0, number;
	size_t digits, i;

	if (!text)
		return -EINVAL;
	digits = strspn(text, "0123456789");
	if (!text[digits])
		return yaml_unsigned(y, node, what, UINT64_MAX, value);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(text + digits, units[i].name))
			unit = units[i].ms;
	if (!digits || digits > 15 || !unit) {
		yaml_error(y, node, "%s has to be a time like 50ms, 2s, 5min, not '%s'", what,
			   text);
		return -EINVAL;
	}
	number = strtoull(text, NULL, 10) * unit;
	if (number % unit_ms) {
		yaml_error(y, node, "%s is %s, which is not a whole number of seconds", what, text);
		return -EINVAL;
	}
	*value = number / unit_ms;
	return 0;
}

/* ---- mappings ---- */

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (map->kind != YAML_MAP)
		return NULL;
	for (unsigned i = 0; i < map->n; i += 2)
		if (!strcmp(map->items[i]->text, key))
			return map->items[i + 1];
	return NULL;
}

bool yaml_want_map(struct yaml *y, const struct yaml_node *node, const char *what)
{
	if (node->kind == YAML_MAP)
		return true;
	if (yaml_is_null(node))
		yaml_error(y, node, "%s has no value: it has to be a mapping", what);
	else
		yaml_error(y, node, "%s has to be a mapping, not %s", what, kind_name(node));
	return false;
}

/* Edit distance of two short words, upper and lower case alike; neighbours may change places. */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned char d[NEAREST_BYTES_MAX + 1][NEAREST_BYTES_MAX + 1];

	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned char)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned char)j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			unsigned best = d[i - 1][j - 1] + (tolower((unsigned char)a[i - 1]) !=
							   tolower((unsigned char)b[j - 1]));

			if (d[i - 1][j] + 1u < best)
				best = d[i - 1][j] + 1u;
			if (d[i][j - 1] + 1u < best)
				best = d[i][j - 1] + 1u;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1u < best)
				best = d[i - 2][j - 2] + 1u;
			d[i][j] = (unsigned char)best;
		}
	return d[n][m];
}

const char *yaml_nearest(const char *word, const char *const *known, const char *const *more)
{
	unsigned length = (unsigned)strlen(word), best = length / 3 + 1, here;
	const char *near = NULL;

	if (length > NEAREST_BYTES_MAX)
		return NULL;
	for (unsigned list = 0; list < 2; list++)
		for (const char *const *k = list ? more : known; k && *k; k++) {
			if (strlen(*k) > NEAREST_BYTES_MAX)
				continue;
			here = distance(word, *k);
			if (here < length && (here < best || (here == best && !near))) {
				best = here;
				near = *k;
			}
		}
	return near;
}

void yaml_check_keys(struct yaml *y, const struct yaml_node *map, const char *what,
		     const char *const *known, const char *const *more)
{
	for (unsigned i = 0; i < map->n; i += 2) {
		const char *key = map->items[i]->text, *near;

		if (is_one_of(key, known) || (more && is_one_of(key, more)))
			continue;
		near = yaml_nearest(key, known, more);
		if (near)
			yaml_error(y, map->items[i], "unknown key '%s' in %s: did you mean '%s'?",
				   key, what, near);
		else
			yaml_error(y, map->items[i], "unknown key '%s' in %s", key, what);
	}
}

int yaml_texts(struct yaml *y, const struct yaml_node *node, const char *what, char ***out,
	       unsigned *n)
{
	unsigned count = node->kind == YAML_LIST ? node->n : 1;
	char **texts;

	if (node->kind == YAML_LIST && !count) {
		yaml_error(y, node, "%s is an empty list", what);
		return -EINVAL;
	}
	texts = ndm_calloc(count, sizeof(*texts));
	*out = texts;
	*n = texts ? count : 0;
	if (!texts)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		const char *text =
			yaml_text(y, node->kind == YAML_LIST ? node->items[i] : node, what);

		texts[i] = text ? ndm_strdup(text) : NULL;
		if (!texts[i])
			return text ? -ENOMEM : -EINVAL;
	}
	return 0;
}
