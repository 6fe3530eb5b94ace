/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree.h - JSON as a tree: read, changed, written again with all that was not understood.
 */
#ifndef NDM_LUKS_TREE_H
#define NDM_LUKS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ndm-target.h>

enum tree_kind { TREE_NULL, TREE_FALSE, TREE_TRUE, TREE_NUMBER, TREE_STRING, TREE_ARRAY, TREE_OBJECT };

struct tree {
	enum tree_kind kind;
	char *name;			/* as a member of an object */
	char *text;			/* STRING: without escapes, no NUL inside; NUMBER: as written */
	struct tree *child, *next;	/* ARRAY, OBJECT */
};

/* NULL with *why: "text" of one sentence.  bytes: up to the first NUL, if there is one. */
struct tree *luks_tree_parse(const char *text, size_t bytes, const char **why);
void luks_tree_free(struct tree *);
void luks_tree_print(const struct tree *, struct ndm_str *, bool indented);

struct tree *luks_tree_get(const struct tree *, const char *name);	/* NULL: no such member */
const char *luks_tree_text(const struct tree *, const char *name);	/* of a STRING, or NULL */
/* a JSON number of 32 bits; a 64-bit number in a string.  -EINVAL */
int luks_tree_u32(const struct tree *, const char *name, uint32_t *);
int luks_tree_u64(const struct tree *, const char *name, uint64_t *);

/* Making: NULL when there is no memory, and then everything below says so at the end. */
struct tree *luks_tree_new(enum tree_kind, const char *text);
/* takes `value` over; replaces a member of that name.  value NULL: -ENOMEM */
int luks_tree_set(struct tree *object, const char *name, struct tree *value);
int luks_tree_add(struct tree *array, struct tree *value);
struct tree *luks_tree_copy(const struct tree *);
void luks_tree_remove(struct tree *object, const char *name);
void luks_tree_remove_text(struct tree *array, const char *text);
bool luks_tree_has_text(const struct tree *array, const char *text);
int luks_tree_set_text(struct tree *, const char *name, const char *text);
int luks_tree_set_number(struct tree *, const char *name, uint64_t);
int luks_tree_set_u64(struct tree *, const char *name, uint64_t);	/* as a string */

/* base64.c; lengths in bytes */
int luks_base64_decode(const char *text, uint8_t *out, size_t room, size_t *bytes);
void luks_base64_encode(const uint8_t *in, size_t bytes, char *out);	/* 4 * ((bytes + 2) / 3) + 1 */

#endif
