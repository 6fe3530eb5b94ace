/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lvm.h - LVM2 as it is on disk: labels, metadata areas, and the text in them.
 *
 *	sector 0 to 3	label: "LABELONE", its sector, a checksum, where the header is, "LVM2 001"
 *	header		uuid of the physical volume, its size, data areas, metadata areas
 *	metadata area	512 bytes that say where in the ring behind them the newest text is
 *	text		a tree of sections, numbers, strings and lists
 *
 * Everything comes from disks that may lie: all is checked against what was read.
 */
#ifndef NDM_CLIENT_LVM_H
#define NDM_CLIENT_LVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the text ---- */

struct lvm_node {
	char *key;			/* NULL: an item of a list */
	char *text;			/* of a string or a number; NULL: a section or a list */
	bool section;
	struct lvm_node *first, *last;	/* of a section or a list */
	struct lvm_node *next;
};

/* NULL and a sentence when the text is none. */
struct lvm_node *lvm_parse(const char *text, size_t bytes, const char **why);
void lvm_free(struct lvm_node *);
const struct lvm_node *lvm_get(const struct lvm_node *section, const char *key);
const char *lvm_text(const struct lvm_node *section, const char *key);	/* or NULL */
uint64_t lvm_number(const struct lvm_node *section, const char *key, uint64_t otherwise);
bool lvm_has(const struct lvm_node *section, const char *key, const char *item);

/* ---- the disk ---- */

#define LVM_UUID_BYTES 32
#define LVM_AREAS 4u
#define LVM_TEXT_MAX (64u << 20)

struct lvm_label {
	char uuid[LVM_UUID_BYTES + 7];	/* with hyphens, as the text has it */
	uint64_t bytes;
	struct lvm_area { uint64_t offset, bytes; } areas[LVM_AREAS];
	unsigned nareas;
};

/* head: the first 2048 bytes of the disk */
bool lvm_label_read(const uint8_t *head, size_t bytes, struct lvm_label *);

struct lvm_where { uint64_t offset, bytes; uint32_t checksum; };

/* mda: the first 512 bytes of an area; false when it holds no text */
bool lvm_area_read(const uint8_t *mda, const struct lvm_area *, struct lvm_where *);
uint32_t lvm_checksum(const void *, size_t bytes);

#endif
