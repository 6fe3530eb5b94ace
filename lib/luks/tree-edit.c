/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree-edit.c - looking into a JSON tree, and changing it; base64, in which LUKS2 keeps bytes.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/luks/tree.h"

struct tree *luks_tree_get(const struct tree *t, const char *name)
{
	struct tree *c;

	if (!t || t->kind != TREE_OBJECT)
		return NULL;
	for (c = t->child; c; c = c->next)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

const char *luks_tree_text(const struct tree *t, const char *name)
{
	const struct tree *c = luks_tree_get(t, name);

	return c && c->kind == TREE_STRING ? c->text : NULL;
}

/* digits only, no sign, no leading zero but 0 itself */
static int parse_u64(const char *text, uint64_t *value)
{
	const char *p;

	if (!*text || strlen(text) > 20 || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (p = text; *p; p++)
		if (!isdigit((unsigned char)*p))
			return -EINVAL;
	*value = 0;
	for (p = text; *p; p++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value))
			return -ERANGE;
	return 0;
}

int luks_tree_u32(const struct tree *t, const char *name, uint32_t *value)
{
	const struct tree *c = luks_tree_get(t, name);
	uint64_t wide;

	if (!c || c->kind != TREE_NUMBER || parse_u64(c->text, &wide) || wide > UINT32_MAX)
		return -EINVAL;
	*value = wide;
	return 0;
}

int luks_tree_u64(const struct tree *t, const char *name, uint64_t *value)
{
	const char *text = luks_tree_text(t, name);

	return text ? parse_u64(text, value) : -EINVAL;
}

/* ---- changing ---- */

struct tree *luks_tree_new(enum tree_kind kind, const char *text)
{
	struct tree *t = ndm_zalloc(sizeof *t);

	if (!t)
		return NULL;
	t->kind = kind;
	if (text) {
		t->text = ndm_strdup(text);
		if (!t->text) {
			ndm_free(t);
			return NULL;
		}
	}
	return t;
}

static void append(struct tree *parent, struct tree *value)
{
	struct tree **p = &parent->child;

	while (*p)
		p = &(*p)->next;
	*p = value;
}

int luks_tree_set(struct tree *object, const char *name, struct tree *value)
{
	struct tree **p;

	if (!object || !value) {
		luks_tree_free(value);
		return -ENOMEM;
	}
	value->name = ndm_strdup(name);
	if (!value->name) {
		luks_tree_free(value);
		return -ENOMEM;
	}
	for (p = &object->child; *p; p = &(*p)->next)
		if (!strcmp((*p)->name, name)) {
			struct tree *old = *p;

			value->next = old->next;
			*p = value;
			old->next = NULL;
			luks_tree_free(old);
			return 0;
		}
	append(object, value);
	return 0;
}

int luks_tree_add(struct tree *array, struct tree *value)
{
	if (!array || !value) {
		luks_tree_free(value);
		return -ENOMEM;
	}
	append(array, value);
	return 0;
}

static void cut_out(struct tree **p)
{
	struct tree *old = *p;

	*p = old->next;
	old->next = NULL;
	luks_tree_free(old);
}

void luks_tree_remove(struct tree *object, const char *name)
{
	struct tree **p;

	for (p = &object->child; *p; p = &(*p)->next)
		if (!strcmp((*p)->name, name)) {
			cut_out(p);
			return;
		}
}

void luks_tree_remove_text(struct tree *array, const char *text)
{
	struct tree **p = &array->child;

	while (*p)
		if ((*p)->kind == TREE_STRING && !strcmp((*p)->text, text))
			cut_out(p);
		else
			p = &(*p)->next;
}

bool luks_tree_has_text(const struct tree *array, const char *text)
{
	const struct tree *c;

	for (c = array ? array->child : NULL; c; c = c->next)
		if (c->kind == TREE_STRING && !strcmp(c->text, text))
			return true;
	return false;
}

int luks_tree_set_text(struct tree *t, const char *name, const char *text)
{
	return luks_tree_set(t, name, luks_tree_new(TREE_STRING, text));
}

int luks_tree_set_number(struct tree *t, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	return luks_tree_set(t, name, luks_tree_new(TREE_NUMBER, text));
}

int luks_tree_set_u64(struct tree *t, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	return luks_tree_set_text(t, name, text);
}

struct tree *luks_tree_copy(const struct tree *t)
{
	struct ndm_str text = { 0 };
	const char *why;
	struct tree *copy;

	luks_tree_print(t, &text, false);
	copy = luks_tree_parse(text.text, text.len, &why);
	ndm_str_free(&text);
	return copy;
}

/* ---- base64, the standard alphabet with padding ---- */

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int luks_base64_decode(const char *text, uint8_t *out, size_t room, size_t *bytes)
{
	size_t len = strlen(text), pad = 0, n = 0, i, j;

	if (len % 4)
		return -EINVAL;
	while (pad < 2 && len && text[len - 1 - pad] == '=')
		pad++;
	if (len / 4 * 3 - pad > room)
		return -EINVAL;
	for (i = 0; i < len; i += 4) {
		uint32_t word = 0;

		for (j = 0; j < 4; j++) {
			int v = i + j >= len - pad ? 0 : base64_value(text[i + j]);

			if (v < 0)
				return -EINVAL;
			word = word << 6 | v;
		}
		for (j = 0; j < 3 && n < len / 4 * 3 - pad; j++)
			out[n++] = word >> (16 - 8 * j);
	}
	*bytes = n;
	return 0;
}

void luks_base64_encode(const uint8_t *in, size_t bytes, char *out)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < bytes; i += 3) {
		uint32_t word = (uint32_t)in[i] << 16;

		word |= i + 1 < bytes ? (uint32_t)in[i + 1] << 8 : 0;
		word |= i + 2 < bytes ? in[i + 2] : 0;
		*out++ = letters[word >> 18];
		*out++ = letters[word >> 12 & 63];
		*out++ = i + 1 < bytes ? letters[word >> 6 & 63] : '=';
		*out++ = i + 2 < bytes ? letters[word & 63] : '=';
	}
	*out = 0;
}
