/* SPDX-License-Identifier: BSD-2-Clause */
/* lvm.c - the parser of lvm.h: no I/O, so that a fuzzer can have it. */
#include "lvm.h"
#include "client/bytes.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16u
#define NODES_MAX 1000000u
#define SECTOR 512u
#define CHECKSUM_BEGIN 0xf597a6cfu

uint32_t lvm_checksum(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint32_t crc = CHECKSUM_BEGIN;
	unsigned bit;

	while (bytes--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

/* ---- label and area ---- */

static void uuid_put(char *to, const uint8_t *from)
{
	static const uint8_t groups[] = { 6, 4, 4, 4, 4, 4, 6 };
	unsigned g, i;

	for (g = 0; g < sizeof(groups); g++) {
		for (i = 0; i < groups[g]; i++, from++)
			*to++ = isalnum(*from) || *from == '!' || *from == '#' ? (char)*from : '?';
		*to++ = '-';
	}
	to[-1] = '\0';
}

static bool header_read(const uint8_t *p, const uint8_t *end, struct lvm_label *l)
{
	unsigned list;

	if (end - p < LVM_UUID_BYTES + 8)
		return false;
	uuid_put(l->uuid, p);
	l->bytes = le64_get(p + LVM_UUID_BYTES);
	p += LVM_UUID_BYTES + 8;
	for (list = 0; list < 2; list++, p += 16)	/* data areas, then those of metadata */
		for (; ; p += 16) {
			if (end - p < 16)
				return false;
			if (!le64_get(p))
				break;
			if (list && l->nareas < LVM_AREAS)
				l->areas[l->nareas++] = (struct lvm_area){ le64_get(p), le64_get(p + 8) };
		}
	return true;
}

bool lvm_label_read(const uint8_t *head, size_t bytes, struct lvm_label *l)
{
	size_t at;
	uint32_t offset;

	for (at = 0; at + SECTOR <= bytes && at < 4 * SECTOR; at += SECTOR) {
		const uint8_t *p = head + at;

		*l = (struct lvm_label){ .nareas = 0 };
		offset = le32_get(p + 20);
		if (memcmp(p, "LABELONE", 8) || memcmp(p + 24, "LVM2 001", 8) ||
		    le64_get(p + 8) != at / SECTOR || offset < 32 || offset > SECTOR - 64)
			continue;
		if (le32_get(p + 16) == lvm_checksum(p + 20, SECTOR - 20) &&
		    header_read(p + offset, p + SECTOR, l))
			return true;
	}
	return false;
}

bool lvm_area_read(const uint8_t *mda, const struct lvm_area *area, struct lvm_where *where)
{
	static const char magic[16] = " LVM2 x[5A%r0N*>";
	uint64_t bytes = le64_get(mda + 32);

	if (memcmp(mda + 4, magic, sizeof(magic)) || le32_get(mda + 20) != 1 ||
	    le64_get(mda + 24) != area->offset || le32_get(mda) != lvm_checksum(mda + 4, SECTOR - 4))
		return false;
	where->offset = le64_get(mda + 40);
	where->bytes = le64_get(mda + 48);
	where->checksum = le32_get(mda + 56);
	return !(le32_get(mda + 60) & 1) && where->offset >= SECTOR && where->offset < bytes &&
	       where->bytes && where->bytes <= bytes - SECTOR && where->bytes <= LVM_TEXT_MAX;
}

/* ---- text ---- */

struct parser {
	const char *p, *end, *why;
	unsigned nodes;
};

static struct lvm_node *node_new(struct parser *ps, struct lvm_node *parent)
{
	struct lvm_node *node = ++ps->nodes < NODES_MAX ? calloc(1, sizeof(*node)) : NULL;

	if (!node) {
		ps->why = "it is too large";
		return NULL;
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	return node;
}

void lvm_free(struct lvm_node *node)
{
	struct lvm_node *next;

	for (; node; node = next) {		/* as deep as DEPTH_MAX at most */
		next = node->next;
		lvm_free(node->first);
		free(node->key);
		free(node->text);
		free(node);
	}
}

static void skip(struct parser *ps)
{
	while (ps->p < ps->end)
		if (*ps->p == '#')
			while (ps->p < ps->end && *ps->p != '\n')
				ps->p++;
		else if (isspace((unsigned char)*ps->p) || !*ps->p)
			ps->p++;
		else
			break;
}

static bool next_is(struct parser *ps, char c)
{
	skip(ps);
	if (ps->p == ps->end || *ps->p != c)
		return false;
	ps->p++;
	return true;
}

static char *word(struct parser *ps)
{
	const char *from;

	skip(ps);
	for (from = ps->p; ps->p < ps->end && *ps->p && (isalnum((unsigned char)*ps->p) ||
							 strchr("_-+.:!@/", *ps->p)); )
		ps->p++;
	return ps->p > from ? strndup(from, ps->p - from) : NULL;
}

static char *quoted(struct parser *ps)
{
	char *text = malloc(ps->end - ps->p + 1), *out = text;

	while (text && ps->p < ps->end && *ps->p != '"') {
		if (*ps->p == '\\' && ps->p + 1 < ps->end)
			ps->p++;
		*out++ = *ps->p++;
	}
	if (!text || ps->p++ == ps->end) {
		ps->why = "a string has no end";
		free(text);
		ps->p = ps->end;
		return NULL;
	}
	*out = '\0';
	out = realloc(text, out - text + 1);
	return out ? out : text;
}

static bool value(struct parser *ps, struct lvm_node *node)
{
	struct lvm_node *item;

	if (next_is(ps, '[')) {
		while (!next_is(ps, ']')) {
			item = node_new(ps, node);
			if (!item)
				return false;
			item->text = next_is(ps, '"') ? quoted(ps) : word(ps);
			if (!item->text) {
				ps->why = ps->why ? ps->why : "a list has no end";
				return false;
			}
			next_is(ps, ',');
		}
		return true;
	}
	node->text = next_is(ps, '"') ? quoted(ps) : word(ps);
	if (!node->text && !ps->why)
		ps->why = "a value is missing";
	return node->text;
}

static bool section(struct parser *ps, struct lvm_node *into, unsigned depth)
{
	struct lvm_node *node;
	char *key;

	if (depth > DEPTH_MAX) {
		ps->why = "its sections are too deep";
		return false;
	}
	while ((key = word(ps))) {
		node = node_new(ps, into);
		if (!node) {
			free(key);
			return false;
		}
		node->key = key;
		if (next_is(ps, '=')) {
			if (!value(ps, node))
				return false;
		} else if (next_is(ps, '{')) {
			node->section = true;
			if (!section(ps, node, depth + 1))
				return false;
			if (!next_is(ps, '}')) {
				ps->why = "a section has no end";
				return false;
			}
		} else {
			ps->why = "a word stands alone";
			return false;
		}
	}
	return true;
}

struct lvm_node *lvm_parse(const char *text, size_t bytes, const char **why)
{
	struct parser ps = { .p = text, .end = text + bytes };
	struct lvm_node *root = calloc(1, sizeof(*root));
	bool ok = root && section(&ps, root, 0);

	skip(&ps);
	if (ok && ps.p != ps.end) {
		ps.why = "there is something behind its end";
		ok = false;
	}
	if (ok) {
		root->section = true;
		return root;
	}
	*why = ps.why ? ps.why : "no memory";
	lvm_free(root);
	return NULL;
}

const struct lvm_node *lvm_get(const struct lvm_node *s, const char *key)
{
	const struct lvm_node *n;

	for (n = s ? s->first : NULL; n; n = n->next)
		if (n->key && !strcmp(n->key, key))
			return n;
	return NULL;
}

const char *lvm_text(const struct lvm_node *s, const char *key)
{
	const struct lvm_node *n = lvm_get(s, key);

	return n ? n->text : NULL;
}

uint64_t lvm_number(const struct lvm_node *s, const char *key, uint64_t otherwise)
{
	const char *text = lvm_text(s, key);
	char *end;
	unsigned long long n;

	if (!text || !isdigit((unsigned char)*text))
		return otherwise;
	n = strtoull(text, &end, 10);
	return *end ? otherwise : n;
}

bool lvm_has(const struct lvm_node *s, const char *key, const char *item)
{
	const struct lvm_node *n = lvm_get(s, key);

	for (n = n ? n->first : NULL; n; n = n->next)
		if (n->text && !strcmp(n->text, item))
			return true;
	return false;
}
