/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-args.c - a target's arguments: from a mapping with names to the words of a table line,
 * led by the target's descriptor (struct ndm_arg) alone.
 *
 * The words come in the descriptor's order whatever the order in the file.  What is OPTIONAL is
 * left out together with all behind it, unless something behind it was given.
 */
#include <stdio.h>
#include <stdlib.h>

#include "yaml-impl.h"

#define WHAT_BYTES 96 /* "striped: devices[3]: offset", cut if longer */

struct printer {
	struct yaml_args *args;
	struct ndm_str *out;
	unsigned words;
	bool colon; /* what is put belongs to the word before it */
};

static void print_args(struct printer *, const struct ndm_arg *list, const struct yaml_node *map,
		       const char *what);

/* Names of places are for people: too long ones are cut. */
static void name_place(char *to, const char *fmt, ...) ndm_printf_like(2, 3);

static void name_place(char *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to, WHAT_BYTES, fmt, ap);
	va_end(ap);
}

static void put(struct printer *p, const char *word)
{
	ndm_printf(p->out, "%s", p->colon ? ":" : p->out->len ? " " : "");
	ndm_table_put_word(p->out, word, strlen(word));
	p->words += !p->colon;
}

static void put_number(struct printer *p, uint64_t value)
{
	char word[24];

	snprintf(word, sizeof(word), "%llu", (unsigned long long)value);
	put(p, word);
}

/* ---- one value ---- */

static void put_choice(struct printer *p, const struct ndm_arg *arg, const struct yaml_node *node,
		       const char *what)
{
	const char *text = yaml_text(p->args->yaml, node, what), *near;
	struct ndm_str all = { 0 };

	if (!text)
		return;
	for (const char *const *c = arg->choices; c && *c; c++) {
		if (!strcmp(*c, text)) {
			put(p, text);
			ndm_str_free(&all);
			return;
		}
		ndm_printf(&all, "%s%s", all.len ? ", " : "", *c);
	}
	near = arg->choices ? yaml_nearest(text, arg->choices, NULL) : NULL;
	if (near)
		yaml_error(p->args->yaml, node, "%s cannot be '%s': did you mean '%s'?", what, text,
			   near);
	else
		yaml_error(p->args->yaml, node, "%s cannot be '%s': it is one of %s", what, text,
			   all.len ? all.text : "nothing");
	ndm_str_free(&all);
}

/* "-" and a key's name in a keyring (:size:type:name) stand where bytes do */
static void put_hex(struct printer *p, const struct yaml_node *node, const char *what)
{
	const char *text = yaml_text(p->args->yaml, node, what);

	if (!text)
		return;
	if (strcmp(text, "-") && *text != ':' && text[strspn(text, "0123456789abcdefABCDEF")]) {
		yaml_error(p->args->yaml, node, "%s has to be hexadecimal digits", what);
		return;
	}
	put(p, text);
}

static void put_device(struct printer *p, const struct yaml_node *node, const char *what)
{
	const char *text = yaml_text(p->args->yaml, node, what);

	text = text ? p->args->device(p->args->arg, node, text) : NULL;
	if (text)
		put(p, text);
}

/* {file: /etc/key} -> file:/etc/key */
static void put_named(struct printer *p, const struct ndm_arg *arg, const struct yaml_node *node,
		      const char *what)
{
	struct ndm_str word = {0};
	const char *text;

	yaml_check_keys(p->args->yaml, node, what, arg->choices, NULL);
	if (node->n != 2) {
		yaml_error(p->args->yaml, node, "%s has to be one of its kinds", what);
		return;
	}
	text = yaml_text(p->args->yaml, node->items[1], what);
	if (text) {
		ndm_printf(&word, "%s:%s", node->items[0]->text, text);
		put(p, word.text);
	}
	ndm_str_free(&word);
}

static void put_value(struct printer *p, const struct ndm_arg *arg, const struct yaml_node *node,
		      const char *what)
{
	struct yaml *y = p->args->yaml;
	const char *text;
	uint64_t value;

	switch (arg->kind) {
	case NDM_ARG_U64:
		if (!yaml_unsigned(y, node, what, UINT64_MAX, &value))
			put_number(p, value);
		break;
	case NDM_ARG_SECTORS:
		if (!yaml_size(y, node, what, NDM_SECTOR_BYTES, &value))
			put_number(p, value);
		break;
	case NDM_ARG_BYTES:
		if (!yaml_size(y, node, what, 1, &value))
			put_number(p, value);
		break;
	case NDM_ARG_MS:
	case NDM_ARG_SECONDS:
		if (!yaml_time(y, node, what, arg->kind == NDM_ARG_MS ? 1 : 1000, &value))
			put_number(p, value);
		break;
	case NDM_ARG_WORD:
		put_choice(p, arg, node, what);
		break;
	case NDM_ARG_TEXT:
		if (arg->flags & NDM_ARG_COLON && node->kind == YAML_MAP)
			put_named(p, arg, node, what);
		else if ((text = yaml_text(y, node, what)))
			put(p, text);
		break;
	case NDM_ARG_HEX:
		put_hex(p, node, what);
		break;
	case NDM_ARG_DEVICE:
		put_device(p, node, what);
		break;
	default:
		text = yaml_text(y, node, what);
		if (text)
			put(p, text);
	}
}

/* ---- groups and lists ---- */

static bool has_key(const struct ndm_arg *arg)
{
	return arg->kind != NDM_ARG_CONST && arg->kind != NDM_ARG_COUNT;
}

/* What stands behind a feature's word: a mapping, or its first value alone. */
static void print_keyed(struct printer *p, const struct ndm_arg *sub, const struct yaml_node *node,
			const char *what)
{
	struct yaml_node key = { .kind = YAML_SCALAR, .line = node->line, .column = node->column };
	struct yaml_node value = *node, *items[2] = { &key, &value };
	struct yaml_node map = {.kind = YAML_MAP,
				.line = node->line,
				.column = node->column,
				.items = items,
				.n = 2};
	const struct ndm_arg *first = sub;
	char name[WHAT_BYTES];

	while (first && first->name && !has_key(first))
		first++;
	if (node->kind == YAML_SCALAR && !yaml_is_null(node) && first && first->name) {
		name_place(name, "%s", first->name);
		key.text = name;
		print_args(p, sub, &map, what);
	} else if (yaml_want_map(p->args->yaml, node, what)) {
		print_args(p, sub, node, what);
	}
}

static void print_list(struct printer *p, const struct ndm_arg *arg, const struct yaml_node *node,
		       const char *what)
{
	char item[WHAT_BYTES];

	if (node->kind != YAML_LIST) {
		yaml_error(p->args->yaml, node, "%s has to be a list", what);
		return;
	}
	if (!node->n && !(arg->flags & NDM_ARG_OPTIONAL))
		yaml_error(p->args->yaml, node, "%s is an empty list", what);
	for (unsigned i = 0; i < node->n; i++) {
		name_place(item, "%s[%u]", what, i);
		if (yaml_want_map(p->args->yaml, node->items[i], item))
			print_args(p, arg->sub, node->items[i], item);
	}
}

/* ---- features ---- */

/* The value of one feature in a mapping, or in a list of words and mappings; NULL: not given. */
static const struct yaml_node *feature_value(const struct yaml_node *node, const char *name,
					     bool *word)
{
	*word = false;
	if (node->kind == YAML_MAP)
		return yaml_get(node, name);
	for (unsigned i = 0; i < (node->kind == YAML_LIST ? node->n : 1); i++) {
		const struct yaml_node *item = node->kind == YAML_LIST ? node->items[i] : node;
		const struct yaml_node *value = yaml_get(item, name);

		if (value)
			return value;
		if (item->kind == YAML_SCALAR && !strcmp(item->text, name)) {
			*word = true;
			return item;
		}
	}
	return NULL;
}

static void print_feature(struct printer *p, const struct ndm_arg *arg,
			  const struct yaml_node *node, const char *what)
{
	char name[WHAT_BYTES];
	bool word, on = false;
	const struct yaml_node *value = feature_value(node, arg->name, &word);

	if (!value)
		return;
	name_place(name, "%s: %s", what, arg->name);
	if (arg->kind == NDM_ARG_FLAG) {
		if (!word && yaml_bool(p->args->yaml, value, name, &on))
			return;
		if (word || on)
			put(p, arg->name);
		return;
	}
	if (word) {
		yaml_error(p->args->yaml, value, "%s needs a value", name);
		return;
	}
	if (arg->kind == NDM_ARG_KEYED) {
		put(p, arg->name);
		p->colon = arg->flags & NDM_ARG_COLON;
		print_keyed(p, arg->sub, value, name);
		p->colon = false;
		return;
	}
	put_value(p, arg, value, name);
}

static bool knows_feature(const struct ndm_arg *sub, const char *name)
{
	for (; sub && sub->name; sub++)
		if (!strcmp(sub->name, name))
			return true;
	return false;
}

/* The names of a descriptor's keys; ends with NULL, allocated. */
static const char **key_names(const struct ndm_arg *list)
{
	const char **names;
	unsigned n = 0;

	while (list && list[n].name)
		n++;
	names = ndm_calloc(n + 1, sizeof(*names));
	n = 0;
	for (; names && list && list->name; list++)
		if (has_key(list))
			names[n++] = list->name;
	return names;
}

static void check_feature(struct printer *p, const struct ndm_arg *arg, const struct yaml_node *at,
			  const char *name, const char *what)
{
	const char **names, *near;

	if (knows_feature(arg->sub, name))
		return;
	names = key_names(arg->sub);
	near = names ? yaml_nearest(name, names, NULL) : NULL;
	if (near)
		yaml_error(p->args->yaml, at, "%s has no '%s': did you mean '%s'?", what, name,
			   near);
	else
		yaml_error(p->args->yaml, at, "%s has no '%s'", what, name);
	ndm_free(names);
}

static void check_features(struct printer *p, const struct ndm_arg *arg,
			   const struct yaml_node *node, const char *what)
{
	for (unsigned i = 0; node->kind == YAML_MAP && i < node->n; i += 2)
		check_feature(p, arg, node->items[i], node->items[i]->text, what);
	for (unsigned i = 0; node->kind == YAML_LIST && i < node->n; i++) {
		if (node->items[i]->kind == YAML_LIST)
			yaml_error(p->args->yaml, node->items[i], "%s has to be words and mappings",
				   what);
		else if (node->items[i]->kind == YAML_MAP)
			check_features(p, arg, node->items[i], what);
		else
			check_feature(p, arg, node->items[i], node->items[i]->text, what);
	}
	if (node->kind == YAML_SCALAR && !yaml_is_null(node))
		check_feature(p, arg, node, node->text, what);
}

/* NULL: none given */
static void print_features(struct printer *p, const struct ndm_arg *arg,
			   const struct yaml_node *node, const char *what)
{
	struct ndm_str words = { 0 };
	struct printer inner = { .args = p->args, .out = &words };

	if (node) {
		check_features(p, arg, node, what);
		for (const struct ndm_arg *f = arg->sub; f && f->name; f++)
			print_feature(&inner, f, node, what);
	}
	if (inner.words || !(arg->flags & NDM_ARG_TRIM)) {
		put_number(p, inner.words);
		if (words.len)
			ndm_printf(p->out, " %s", words.text);
		p->words += inner.words;
	}
	ndm_str_free(&words);
}

/* ---- a list of arguments ---- */

static const struct yaml_node *given(const struct ndm_arg *arg, const struct yaml_node *map)
{
	if (arg->kind == NDM_ARG_CONST)
		return NULL;
	return yaml_get(map, arg->kind == NDM_ARG_COUNT ? arg->of : arg->name);
}

static bool any_given(const struct ndm_arg *list, const struct yaml_node *map)
{
	for (; list->name; list++)
		if (given(list, map))
			return true;
	return false;
}

static void print_arg(struct printer *p, const struct ndm_arg *arg, const struct yaml_node *map,
		      const char *what)
{
	const struct yaml_node *node = given(arg, map);
	char name[WHAT_BYTES];

	name_place(name, "%s: %s", what, arg->name);
	if (arg->kind == NDM_ARG_CONST)
		put(p, arg->dflt);
	else if (arg->kind == NDM_ARG_COUNT)
		put_number(p, node && node->kind == YAML_LIST ? node->n : 0);
	else if (arg->kind == NDM_ARG_FEATURES)
		print_features(p, arg, node, name);
	else if (!node && arg->dflt)
		put(p, arg->dflt);
	else if (!node)
		yaml_error(p->args->yaml, map, "%s needs '%s'", what, arg->name);
	else if (arg->kind == NDM_ARG_LIST)
		print_list(p, arg, node, name);
	else if (arg->kind != NDM_ARG_GROUP)
		put_value(p, arg, node, name);
	else if (yaml_want_map(p->args->yaml, node, name))
		print_args(p, arg->sub, node, name);
}

static void check_keys(struct printer *p, const struct ndm_arg *list, const struct yaml_node *map,
		       const char *what, const char *const *more)
{
	const char **names = key_names(list);

	if (names)
		yaml_check_keys(p->args->yaml, map, what, names, more);
	else
		p->args->yaml->no_memory = true;
	ndm_free(names);
}

static void print_list_of_args(struct printer *p, const struct ndm_arg *list,
			       const struct yaml_node *map, const char *what)
{
	for (; list && list->name; list++) {
		if ((list->flags & NDM_ARG_OPTIONAL) && !any_given(list, map))
			break;
		print_arg(p, list, map, what);
	}
}

static void print_args(struct printer *p, const struct ndm_arg *list, const struct yaml_node *map,
		       const char *what)
{
	check_keys(p, list, map, what, NULL);
	print_list_of_args(p, list, map, what);
}

void yaml_args_print(struct yaml_args *args, const struct ndm_target_type *type,
		     const struct yaml_node *map)
{
	static const char *const segment_keys[] = { "length", "start", "args", NULL };
	struct printer p = { .args = args, .out = args->out };

	if (!strcmp(type->name, "multipath")) {
		yaml_multipath_print(args, map);
		return;
	}
	check_keys(&p, type->args, map, type->name, segment_keys);
	print_list_of_args(&p, type->args, map, type->name);
}
