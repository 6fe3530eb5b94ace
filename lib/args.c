/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * args.c - numbers in tables and messages.
 *
 * The kernel reads numbers in two ways, and tables rely on both: scanning (%llu, %u), which
 * wants digits and nothing else, and kstrtouint() or kstrtoull(), which also take one leading plus
 * sign.
 * Where the kernel's scanning wraps around silently on overflow, we refuse.
 */
#include "core.h"

static int parse_decimal(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	const char *p;

	if (!*text)
		return -EINVAL;
	for (p = text; *p; p++)
		if (*p < '0' || *p > '9')
			return -EINVAL;
	for (p = text; *p; p++) {
		unsigned digit = *p - '0';

		if (v > (max - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}
	*value = v;
	return 0;
}

int ndm_arg_u64(const char *text, uint64_t *value)
{
	return parse_decimal(text, UINT64_MAX, value);
}

int ndm_arg_u64_plus(const char *text, uint64_t *value)
{
	return parse_decimal(*text == '+' ? text + 1 : text, UINT64_MAX, value);
}

int ndm_arg_uint(const char *text, unsigned *value)
{
	uint64_t v;
	int err = parse_decimal(*text == '+' ? text + 1 : text, UINT32_MAX, &v);

	if (!err)
		*value = v;
	return err;
}

const char *ndm_args_shift(struct ndm_args *as)
{
	if (!as->argc)
		return NULL;
	as->argc--;
	return *as->argv++;
}

void ndm_args_consume(struct ndm_args *as, unsigned n)
{
	assert(n <= as->argc);
	as->argc -= n;
	as->argv += n;
}

/* The kernel's sentence, then what it does not tell. */
static int args_refuse(struct ndm_target *ti, const char *message, const char *word, unsigned min,
		       unsigned max)
{
	if (!word)
		return ndm_error(ti, -EINVAL, "%s: the number is missing", message);
	if (min == max)
		return ndm_error(ti, -EINVAL, "%s: '%s' is not %u", message, word, min);
	return ndm_error(ti, -EINVAL, "%s: '%s' is not a number from %u to %u", message, word, min,
			 max);
}

int ndm_args_uint(struct ndm_target *ti, struct ndm_args *as, unsigned min, unsigned max,
		  const char *message, unsigned *value)
{
	const char *word = ndm_args_shift(as);
	uint64_t v;

	if (!word || parse_decimal(word, UINT32_MAX, &v) || v < min || v > max)
		return args_refuse(ti, message, word, min, max);
	*value = v;
	return 0;
}

int ndm_args_group(struct ndm_target *ti, struct ndm_args *as, unsigned min, unsigned max,
		   const char *message, unsigned *count)
{
	int err = ndm_args_uint(ti, as, min, max, message, count);

	if (!err && *count > as->argc)
		return ndm_error(ti, -EINVAL, "%s: %u words announced, %u left", message, *count,
				 as->argc);
	return err;
}

int ndm_args_words(unsigned argc, char **argv, struct ndm_str *words)
{
	unsigned i;

	for (i = 0; i < argc; i++) {
		if (!ndm_str_room(words, strlen(argv[i]) + 1))
			return -ENOMEM;
		ndm_printf(words, " %s", argv[i]);
	}
	return 0;
}
