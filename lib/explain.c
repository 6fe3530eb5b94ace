/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - what a target's words are called: its descriptor as JSON, and a line of a table
 * or of a status as a JSON object with names.
 *
 * The object has the shape of the YAML that would say the same: a LIST is an array of objects,
 * a GROUP an object, FEATURES an object of the features that are there (true for a FLAG; for a
 * KEYED one its value, or an object where it has several).  COUNT and CONST do not appear: they
 * say nothing that is not said otherwise.
 */
#include <stdlib.h>
#include <strings.h>

#include "core.h"
#include "json.h"

/* ---- the descriptor ---- */

static const char *const kind_names[] = {
	[NDM_ARG_U64] = "number",	[NDM_ARG_SECTORS] = "sectors",
	[NDM_ARG_BYTES] = "bytes",	[NDM_ARG_MS] = "milliseconds",
	[NDM_ARG_SECONDS] = "seconds",	[NDM_ARG_TEXT] = "text",
	[NDM_ARG_WORD] = "word",	[NDM_ARG_HEX] = "hex",
	[NDM_ARG_DEVICE] = "device",	[NDM_ARG_CONST] = "const",
	[NDM_ARG_COUNT] = "count",	[NDM_ARG_LIST] = "list",
	[NDM_ARG_GROUP] = "group",	[NDM_ARG_FEATURES] = "features",
	[NDM_ARG_FLAG] = "flag",	[NDM_ARG_KEYED] = "keyed",
};

static void put_key(struct ndm_str *out, const char *key, const char *value)
{
	ndm_printf(out, ",\"%s\":", key);
	json_string(out, value);
}

static void put_args(struct ndm_str *out, const struct ndm_arg *args);

static void put_arg(struct ndm_str *out, const struct ndm_arg *a)
{
	const char *const *choice;

	ndm_printf(out, "{\"name\":");
	json_string(out, a->name);
	put_key(out, "kind", kind_names[a->kind]);
	if (a->flags & NDM_ARG_OPTIONAL)
		ndm_printf(out, ",\"optional\":true");
	if (a->flags & NDM_ARG_SECRET)
		ndm_printf(out, ",\"secret\":true");
	if (a->dflt)
		put_key(out, a->kind == NDM_ARG_CONST ? "value" : "default", a->dflt);
	if (a->of)
		put_key(out, "of", a->of);
	if (a->choices) {
		ndm_printf(out, ",\"choices\":[");
		for (choice = a->choices; *choice; choice++) {
			if (choice != a->choices)
				ndm_printf(out, ",");
			json_string(out, *choice);
		}
		ndm_printf(out, "]");
	}
	if (a->help)
		put_key(out, "help", a->help);
	if (a->sub) {
		ndm_printf(out, ",\"items\":");
		put_args(out, a->sub);
	}
	ndm_printf(out, "}");
}

static void put_args(struct ndm_str *out, const struct ndm_arg *args)
{
	const struct ndm_arg *a;

	ndm_printf(out, "[");
	for (a = args; a && a->name; a++) {
		if (a != args)
			ndm_printf(out, ",");
		put_arg(out, a);
	}
	ndm_printf(out, "]");
}

static void put_type(struct ndm_str *out, const struct ndm_target_type *t)
{
	ndm_printf(out, "{\"name\":");
	json_string(out, t->name);
	ndm_printf(out, ",\"version\":\"%u.%u.%u\"", t->version[0], t->version[1], t->version[2]);
	if (t->summary)
		put_key(out, "summary", t->summary);
	if (t->features & NDM_TARGET_OURS)
		ndm_printf(out, ",\"ours\":true");
	ndm_printf(out, ",\"args\":");
	put_args(out, t->args);
	ndm_printf(out, ",\"status\":");
	put_args(out, t->status_fields);
	ndm_printf(out, "}");
}

int ndm_describe(const char *type, struct ndm_str *json)
{
	const struct ndm_target_type *const *t = ndm_target_types();

	if (type) {
		const struct ndm_target_type *one = ndm_target_type_find(type);

		if (!one)
			return -ENOENT;
		put_type(json, one);
		return 0;
	}
	ndm_printf(json, "[");
	for (; *t; t++) {
		put_type(json, *t);
		if (t[1])
			ndm_printf(json, ",");
	}
	ndm_printf(json, "]");
	return 0;
}

/* ---- a line ---- */

/* The counts that were read so far, of this level and those around it. */
struct counts {
	const struct ndm_arg *args;
	uint64_t *value;			/* one for each of args */
	const struct counts *around;
};

#define ARGS_MAX 64				/* on one level of a descriptor */

static int explain_object(struct ndm_args *words, const struct ndm_arg *args,
			  const struct counts *around, struct ndm_str *out);

static bool count_find(const struct counts *c, const char *list, uint64_t *n)
{
	const struct ndm_arg *a;

	for (; c; c = c->around)
		for (a = c->args; a->name; a++)
			if (a->kind == NDM_ARG_COUNT && !strcmp(a->of, list)) {
				*n = c->value[a - c->args];
				return true;
			}
	return false;
}

static int explain_word(const struct ndm_arg *a, const char *word, struct ndm_str *out)
{
	const char *const *choice;
	uint64_t v;

	switch (a->kind) {
	case NDM_ARG_U64:
	case NDM_ARG_SECTORS:
	case NDM_ARG_BYTES:
	case NDM_ARG_MS:
	case NDM_ARG_SECONDS:
		if (ndm_arg_u64(word, &v))
			return -EINVAL;
		ndm_printf(out, "%llu", (unsigned long long)v);
		return 0;
	case NDM_ARG_WORD:
		for (choice = a->choices; *choice; choice++)
			if (!strcasecmp(*choice, word)) {
				json_string(out, *choice);
				return 0;
			}
		return -EINVAL;
	default:
		json_string(out, word);
		return 0;
	}
}

static int explain_list(struct ndm_args *words, const struct ndm_arg *a, const struct counts *c,
			struct ndm_str *out)
{
	uint64_t n = UINT64_MAX, i;
	bool counted = count_find(c, a->name, &n);
	int err = 0;

	ndm_printf(out, "[");
	for (i = 0; !err && i < n && (counted || words->argc); i++) {
		ndm_printf(out, "%s{", i ? "," : "");
		if (!words->argc)
			return -EINVAL;
		err = explain_object(words, a->sub, c, out);
		ndm_printf(out, "}");
	}
	ndm_printf(out, "]");
	return err;
}

static int explain_keyed(struct ndm_args *words, const struct ndm_arg *a, const struct counts *c,
			 struct ndm_str *out)
{
	const char *word;
	int err;

	if (a->sub[0].name && !a->sub[1].name && !a->sub[0].sub) {
		word = ndm_args_shift(words);
		return word ? explain_word(&a->sub[0], word, out) : -EINVAL;
	}
	ndm_printf(out, "{");
	err = explain_object(words, a->sub, c, out);
	ndm_printf(out, "}");
	return err;
}

/* name:value:value, one word */
static int explain_joined(const char *values, const struct ndm_arg *a, const struct counts *c,
			  struct ndm_str *out)
{
	char *copy = ndm_strdup(values), *argv[8], *word = copy;
	struct ndm_args words = { .argv = argv };
	int err = copy ? 0 : -ENOMEM;

	while (word && words.argc < sizeof argv / sizeof *argv) {
		argv[words.argc++] = word;
		word = strchr(word, ':');
		if (word)
			*word++ = 0;
	}
	err = err ? err : explain_keyed(&words, a, c, out);
	ndm_free(copy);
	return err;
}

/* The word as it begins: "name", or "name:" where values hang on it. */
static bool feature_is(const struct ndm_arg *f, const char *word)
{
	size_t n = strlen(f->name);

	if (f->flags & NDM_ARG_COLON)
		return !strncasecmp(f->name, word, n) && word[n] == ':';
	return !strcasecmp(f->name, word);
}

static int explain_features(struct ndm_args *words, const struct ndm_arg *a,
			    const struct counts *c, struct ndm_str *out)
{
	const char *word = ndm_args_shift(words);
	struct ndm_args own = { .argv = words->argv };
	const struct ndm_arg *f;
	bool first = true;
	uint64_t n;
	int err = 0;

	if (!word || ndm_arg_u64(word, &n) || n > words->argc)
		return -EINVAL;
	own.argc = n;
	ndm_args_consume(words, n);
	ndm_printf(out, "{");
	while (!err && (word = ndm_args_shift(&own))) {
		for (f = a->sub; f->name && !feature_is(f, word); f++)
			;
		if (!f->name)
			return -EINVAL;
		ndm_printf(out, "%s", first ? "" : ",");
		first = false;
		json_string(out, f->name);
		ndm_printf(out, ":");
		if (f->flags & NDM_ARG_COLON)
			err = explain_joined(word + strlen(f->name) + 1, f, c, out);
		else if (f->kind == NDM_ARG_KEYED)
			err = explain_keyed(&own, f, c, out);
		else
			ndm_printf(out, "true");
	}
	ndm_printf(out, "}");
	return err;
}

static int explain_value(struct ndm_args *words, const struct ndm_arg *a, const struct counts *c,
			 struct ndm_str *out)
{
	int err;

	switch (a->kind) {
	case NDM_ARG_LIST:
		return explain_list(words, a, c, out);
	case NDM_ARG_FEATURES:
		return explain_features(words, a, c, out);
	case NDM_ARG_GROUP:
		ndm_printf(out, "{");
		err = explain_object(words, a->sub, c, out);
		ndm_printf(out, "}");
		return err;
	default:
		return explain_word(a, ndm_args_shift(words), out);
	}
}

/* "name":value pairs of one level, without the braces */
static int explain_object(struct ndm_args *words, const struct ndm_arg *args,
			  const struct counts *around, struct ndm_str *out)
{
	uint64_t value[ARGS_MAX] = { 0 };
	struct counts c = { .args = args, .value = value, .around = around };
	const struct ndm_arg *a;
	bool first = true;
	int err;

	for (a = args; a && a->name; a++) {
		assert(a - args < ARGS_MAX);
		if (!words->argc && (a->flags & NDM_ARG_OPTIONAL))
			break;
		if (!words->argc && (a->flags & NDM_ARG_TRIM))
			continue;
		if (!words->argc && a->kind != NDM_ARG_LIST)
			return -EINVAL;
		if (a->kind == NDM_ARG_CONST && strcmp(ndm_args_shift(words), a->dflt))
			return -EINVAL;
		if (a->kind == NDM_ARG_COUNT && ndm_arg_u64(ndm_args_shift(words), &value[a - args]))
			return -EINVAL;
		if (a->kind == NDM_ARG_CONST || a->kind == NDM_ARG_COUNT)
			continue;
		ndm_printf(out, "%s", first ? "" : ",");
		first = false;
		json_string(out, a->name);
		ndm_printf(out, ":");
		err = explain_value(words, a, &c, out);
		if (err)
			return err;
	}
	return 0;
}

int ndm_explain(const struct ndm_target_type *type, const struct ndm_arg *descriptor,
		const char *text, struct ndm_str *json)
{
	char *copy = ndm_strdup(text ? text : ""), **argv = NULL;
	struct ndm_args words = { 0 };
	struct ndm_str out = { 0 };
	int err;

	(void)type;
	if (!copy)
		return -ENOMEM;
	err = split_words(copy, &words.argc, &argv);
	if (!err) {
		words.argv = argv;
		ndm_printf(&out, "{");
		err = explain_object(&words, descriptor, NULL, &out);
		ndm_printf(&out, "}");
	}
	if (!err && words.argc)
		err = -EINVAL;
	if (!err)
		ndm_str_put(json, out.text, out.len);
	ndm_str_free(&out);
	free(argv);
	ndm_free(copy);
	return err;
}
