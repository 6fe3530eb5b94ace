/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree.c - a small strict JSON reader and writer.  Foreign bytes come in here: depth and size
 * are limited, and nothing is trusted.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/luks/tree.h"

#define DEPTH_MAX 16
#define NODES_MAX 65536

struct reader {
	const char *p, *end;
	const char *why;
	unsigned depth, nodes;
};

static struct tree *read_value(struct reader *);

void luks_tree_free(struct tree *t)
{
	while (t) {
		struct tree *next = t->next;

		luks_tree_free(t->child);	/* no deeper than DEPTH_MAX */
		ndm_free(t->name);
		ndm_free(t->text);
		ndm_free(t);
		t = next;
	}
}

static void *read_fail(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return NULL;
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static char *copy_text(const char *from, size_t bytes)
{
	char *text = ndm_calloc(1, bytes + 1);

	return text ? memcpy(text, from, bytes) : NULL;
}

/* ---- strings ---- */

static int read_hex4(struct reader *r, unsigned *code)
{
	unsigned i;

	*code = 0;
	if (r->end - r->p < 4)
		return -EINVAL;
	for (i = 0; i < 4; i++) {
		char c = *r->p++;

		if (!isxdigit((unsigned char)c))
			return -EINVAL;
		*code = *code << 4 | (isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
	}
	return 0;
}

static size_t put_utf8(char *out, unsigned code)
{
	if (code < 0x80) {
		out[0] = code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = 0xc0 | code >> 6;
		out[1] = 0x80 | (code & 0x3f);
		return 2;
	}
	if (code < 0x10000) {
		out[0] = 0xe0 | code >> 12;
		out[1] = 0x80 | (code >> 6 & 0x3f);
		out[2] = 0x80 | (code & 0x3f);
		return 3;
	}
	out[0] = 0xf0 | code >> 18;
	out[1] = 0x80 | (code >> 12 & 0x3f);
	out[2] = 0x80 | (code >> 6 & 0x3f);
	out[3] = 0x80 | (code & 0x3f);
	return 4;
}

/* behind the u; 0 bytes: wrong */
static size_t read_unicode(struct reader *r, char *out)
{
	unsigned high, low;

	if (read_hex4(r, &high) || !high || (high >= 0xdc00 && high < 0xe000))
		return 0;
	if (high < 0xd800 || high >= 0xe000)
		return put_utf8(out, high);
	if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
		return 0;
	r->p += 2;
	if (read_hex4(r, &low) || low < 0xdc00 || low >= 0xe000)
		return 0;
	return put_utf8(out, 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff)));
}

static size_t read_escape(struct reader *r, char *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	char c;

	if (r->p == r->end)
		return 0;
	c = *r->p++;
	if (c == 'u')
		return read_unicode(r, out);
	at = c ? strchr(from, c) : NULL;
	if (!at)
		return 0;
	*out = to[at - from];
	return 1;
}

/* behind the opening quote */
static char *read_string(struct reader *r)
{
	const char *close = r->p;
	char *text;
	size_t n = 0, more;

	while (close < r->end && *close != '"')
		close += *close == '\\' && close + 1 < r->end ? 2 : 1;
	if (close >= r->end)
		return read_fail(r, "a string without an end");
	text = ndm_calloc(1, close - r->p + 1);		/* no escape makes text longer */
	if (!text)
		return read_fail(r, "no memory");
	while (*r->p != '"') {
		if ((unsigned char)*r->p < 0x20) {
			more = 0;
		} else if (*r->p == '\\') {
			r->p++;
			more = read_escape(r, text + n);
		} else {
			text[n] = *r->p++;
			more = 1;
		}
		if (!more || r->p > close) {
			ndm_free(text);
			return read_fail(r, "a string with a wrong character in it");
		}
		n += more;
	}
	r->p++;
	return text;
}

/* ---- values ---- */

static struct tree *read_number(struct reader *r)
{
	const char *from = r->p;
	struct tree *t;

	while (r->p < r->end && *r->p && strchr("+-.0123456789eE", *r->p))
		r->p++;
	if (!isdigit((unsigned char)from[*from == '-' && r->p - from > 1]) || r->p - from > 40)
		return read_fail(r, "a wrong number");
	t = ndm_zalloc(sizeof *t);
	if (t) {
		t->kind = TREE_NUMBER;
		t->text = copy_text(from, r->p - from);
	}
	if (!t || !t->text) {
		luks_tree_free(t);
		return read_fail(r, "no memory");
	}
	return t;
}

static struct tree *read_word(struct reader *r)
{
	static const struct { const char *word; enum tree_kind kind; } words[] = {
		{ "null", TREE_NULL }, { "false", TREE_FALSE }, { "true", TREE_TRUE },
	};
	unsigned i;

	for (i = 0; i < 3; i++) {
		size_t n = strlen(words[i].word);
		struct tree *t;

		if ((size_t)(r->end - r->p) < n || strncmp(r->p, words[i].word, n))
			continue;
		r->p += n;
		t = luks_tree_new(words[i].kind, NULL);
		return t ? t : read_fail(r, "no memory");
	}
	return read_fail(r, "something that is no value");
}

static bool read_member(struct reader *r, struct tree *parent, struct tree **last)
{
	struct tree *t;
	char *name = NULL;

	if (parent->kind == TREE_OBJECT) {
		if (!take(r, '"'))
			return read_fail(r, "a member without a name");
		name = read_string(r);
		if (!name)
			return false;
		if (luks_tree_get(parent, name) || !take(r, ':')) {
			ndm_free(name);
			return read_fail(r, "a member twice, or without a value");
		}
	}
	t = read_value(r);
	if (!t) {
		ndm_free(name);
		return false;
	}
	t->name = name;
	if (*last)
		(*last)->next = t;
	else
		parent->child = t;
	*last = t;
	return true;
}

/* behind the opening bracket */
static struct tree *read_list(struct reader *r, enum tree_kind kind, char close)
{
	struct tree *t = luks_tree_new(kind, NULL), *last = NULL;
	bool good = t != NULL;

	if (++r->depth > DEPTH_MAX) {
		read_fail(r, "too deep");
		good = false;
	}
	if (good && !take(r, close)) {
		do {
			good = read_member(r, t, &last);
		} while (good && take(r, ','));
		if (good && !take(r, close)) {
			read_fail(r, "a list or object without an end");
			good = false;
		}
	}
	r->depth--;
	if (good)
		return t;
	luks_tree_free(t);
	return read_fail(r, "no memory");
}

static struct tree *read_value(struct reader *r)
{
	struct tree *t;

	if (++r->nodes > NODES_MAX)
		return read_fail(r, "too many values");
	skip_blanks(r);
	if (r->p == r->end)
		return read_fail(r, "the end, where a value should be");
	if (take(r, '{'))
		return read_list(r, TREE_OBJECT, '}');
	if (take(r, '['))
		return read_list(r, TREE_ARRAY, ']');
	if (take(r, '"')) {
		char *text = read_string(r);

		if (!text)
			return NULL;
		t = luks_tree_new(TREE_STRING, NULL);
		if (!t) {
			ndm_free(text);
			return read_fail(r, "no memory");
		}
		t->text = text;
		return t;
	}
	if (*r->p == '-' || isdigit((unsigned char)*r->p))
		return read_number(r);
	return read_word(r);
}

struct tree *luks_tree_parse(const char *text, size_t bytes, const char **why)
{
	const char *nul = memchr(text, 0, bytes);
	struct reader r = { .p = text, .end = nul ? nul : text + bytes };
	struct tree *t = read_value(&r);

	skip_blanks(&r);
	if (t && r.p != r.end) {
		luks_tree_free(t);
		t = read_fail(&r, "more behind the end");
	}
	*why = r.why;
	return t;
}

/* ---- writing ---- */

static void print_string(const char *s, struct ndm_str *out)
{
	ndm_str_put(out, "\"", 1);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			ndm_printf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			ndm_printf(out, "\\u%04x", *s);
		else
			ndm_str_put(out, s, 1);
	}
	ndm_str_put(out, "\"", 1);
}

static void print_value(const struct tree *t, struct ndm_str *out, bool indented, unsigned depth)
{
	const struct tree *c;

	switch (t->kind) {
	case TREE_NULL:
		ndm_printf(out, "null");
		return;
	case TREE_FALSE:
	case TREE_TRUE:
		ndm_printf(out, t->kind == TREE_TRUE ? "true" : "false");
		return;
	case TREE_NUMBER:
		ndm_printf(out, "%s", t->text);
		return;
	case TREE_STRING:
		print_string(t->text, out);
		return;
	default:
		break;
	}
	ndm_printf(out, t->kind == TREE_OBJECT ? "{" : "[");
	for (c = t->child; c; c = c->next) {
		if (c != t->child)
			ndm_printf(out, ",");
		if (indented)
			ndm_printf(out, "\n%*s", 2 * (int)depth + 2, "");
		if (c->name) {
			print_string(c->name, out);
			ndm_printf(out, ":");
		}
		print_value(c, out, indented, depth + 1);
	}
	if (indented)
		ndm_printf(out, "\n%*s", 2 * (int)depth, "");
	ndm_printf(out, t->kind == TREE_OBJECT ? "}" : "]");
}

void luks_tree_print(const struct tree *t, struct ndm_str *out, bool indented)
{
	print_value(t, out, indented, 0);
}
