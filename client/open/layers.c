/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * layers.c - what a volume begins with.  Partition tables are read here and not by a library,
 * because they may lie inside encrypted or mapped volumes that no file descriptor shows.
 */
#include "open.h"
#include "client/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 70000u
#define DEPTH_MAX 8u
#define GPT_ENTRIES_MAX 1024u
#define LOGICAL_MAX 128u

struct look {
	struct open *open;
	struct nbd nbd;
	const char *volume, *label;
	uint8_t head[HEAD_BYTES];
	size_t bytes;			/* of head */
	unsigned depth;
};

static void indent(unsigned depth)
{
	if (depth)
		printf("%*s└─ ", (int)(depth * 4 - 3), "");
}

/* ---- partitions ---- */

static void partition(struct look *l, unsigned number, uint64_t first, uint64_t nr)
{
	char *name, *label, *reason, *table;
	int err;

	if (!nr || first + nr < first || first + nr > l->nbd.bytes / 512) {
		indent(l->depth + 1);
		printf("p%u  outside of %s\n", number, l->label);
		return;
	}
	name = text_format("%s.p%u", l->volume, number);
	label = text_format("%s/p%u", l->label, number);
	table = text_format("table: [\"0 %llu linear dev:%s %llu\"]", (unsigned long long)nr, l->volume,
			    (unsigned long long)first);
	if (name && label && volume_add(l->open, name, table, label, false)) {
		err = volumes_apply(l->open, &reason);
		if (err)
			say("%s: %s", label, reason && *reason ? reason : strerror(-err));
		else
			layers_find(l->open, name, label, l->depth + 1);
		free(reason);
	}
	free(name);
	free(label);
}

static bool gpt(struct look *l)
{
	const uint8_t *h = l->head + 512;
	uint32_t n, bytes, i;
	uint8_t *entries;
	uint64_t at;
	char *size;

	if (l->bytes < 1024 || memcmp(h, "EFI PART", 8))
		return false;
	at = le64_get(h + 72);
	n = le32_get(h + 80);
	bytes = le32_get(h + 84);
	if (bytes < 128 || bytes > 4096 || n > GPT_ENTRIES_MAX || at > l->nbd.bytes / 512 ||
	    l->nbd.bytes - at * 512 < (uint64_t)n * bytes)
		return false;
	size = size_text(l->nbd.bytes);
	indent(l->depth);
	printf("%s  %s  partition table gpt\n", l->label, size);
	free(size);
	entries = calloc(n + 1, bytes);
	if (entries && !nbdc_read(&l->nbd, at * 512, entries, (size_t)n * bytes))
		for (i = 0; i < n && !l->open->status; i++) {
			const uint8_t *e = entries + (size_t)i * bytes;

			if (le64_get(e) | le64_get(e + 8))
				partition(l, i + 1, le64_get(e + 32), le64_get(e + 40) - le64_get(e + 32) + 1);
		}
	free(entries);
	return true;
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static void logical(struct look *l, uint64_t extended)
{
	uint64_t at = extended;
	uint8_t sector[512];
	unsigned number;

	for (number = 5; number < 5 + LOGICAL_MAX && !l->open->status; number++) {
		const uint8_t *e = sector + 446;

		if (at >= l->nbd.bytes / 512 || nbdc_read(&l->nbd, at * 512, sector, 512) ||
		    sector[510] != 0x55 || sector[511] != 0xaa)
			return;
		if (le32_get(e + 12))
			partition(l, number, at + le32_get(e + 8), le32_get(e + 12));
		if (!is_extended(e[16 + 4]) || !le32_get(e + 24))
			return;
		at = extended + le32_get(e + 24);
	}
}

static bool mbr(struct look *l)
{
	const uint8_t *e = l->head + 446;
	unsigned i, used = 0;
	char *size;

	if (l->bytes < 512 || l->head[510] != 0x55 || l->head[511] != 0xaa)
		return false;
	for (i = 0; i < 4; i++) {
		if (e[16 * i] & 0x7f)		/* active or not: a boot sector of a file system is none */
			return false;
		used += e[16 * i + 4] && le32_get(e + 16 * i + 12);
	}
	if (!used)
		return false;
	size = size_text(l->nbd.bytes);
	indent(l->depth);
	printf("%s  %s  partition table dos\n", l->label, size);
	free(size);
	for (i = 0; i < 4 && !l->open->status; i++) {
		uint64_t first = le32_get(e + 16 * i + 8), nr = le32_get(e + 16 * i + 12);

		if (is_extended(e[16 * i + 4]))
			logical(l, first);
		else if (e[16 * i + 4] && nr)
			partition(l, i + 1, first, nr);
	}
	return true;
}

/* ---- LUKS ---- */

static void luks_unlock(struct look *l, unsigned version)
{
	char *name = text_format("%s.luks", l->volume), *reason = NULL;
	char *table = text_format("luks: {device: \"%s\", key: {fd: %d}}", l->volume, l->open->pass_fd);
	char *inside = text_format("%s/luks", l->label);
	int err;

	if (!name || !inside || !volume_add(l->open, name, table, inside, false))
		goto out;
	err = volumes_apply(l->open, &reason);
	if (!err) {
		layers_find(l->open, name, inside, l->depth + 1);
	} else if (reason && strstr(reason, "No key available")) {
		say("ndm open: %s: wrong passphrase", l->label);
		l->open->status = OPEN_WRONG_PASSPHRASE;
	} else {
		say("ndm open: %s: LUKS%u: %s", l->label, version,
		    reason && *reason ? reason : strerror(-err));
		l->open->nvolumes--;		/* the rest of the disk may still be read */
	}
out:
	free(reason);
	free(inside);
	free(name);
}

/* The text behind "KEY":" in LUKS2's JSON; for people only. */
static char *json_word(const char *json, const char *key)
{
	const char *at = strstr(json, key);

	return at ? strndup(at + strlen(key), strcspn(at + strlen(key), "\"")) : strdup("?");
}

static bool luks(struct look *l)
{
	static const uint8_t magic[6] = "LUKS\xba\xbe";
	unsigned version = l->head[6] << 8 | l->head[7];
	char *size, *cipher, *kdf;

	if (l->bytes < 16384 || memcmp(l->head, magic, 6) || version < 1 || version > 2)
		return false;
	if (version == 1) {
		cipher = text_format("%.32s-%.32s", (const char *)l->head + 8, (const char *)l->head + 40);
		kdf = strdup("pbkdf2");
	} else {
		l->head[16383] = 0;
		cipher = json_word((const char *)l->head + 4096, "\"encryption\":\"");
		kdf = json_word((const char *)l->head + 4096, "\"kdf\":{\"type\":\"");
	}
	size = size_text(l->nbd.bytes);
	indent(l->depth);
	printf("%s  %s  LUKS%u %s %s  uuid %.40s  %s\n", l->label, size, version, cipher ? cipher : "",
	       kdf ? kdf : "", (const char *)l->head + 168,
	       l->open->pass_fd < 0 ? "LOCKED" : "to be unlocked");
	free(size);
	free(cipher);
	free(kdf);
	if (l->open->pass_fd >= 0)
		luks_unlock(l, version);
	return true;
}

/* ---- LVM ---- */

/* The text of an area, the ring unrolled; NULL: none, or a wrong one. */
static struct lvm_node *area_text(struct look *l, const struct lvm_area *area)
{
	uint8_t mda[512];
	struct lvm_where where;
	struct lvm_node *text = NULL;
	uint64_t ring, first;
	const char *why;
	char *bytes;

	if (area->offset > l->nbd.bytes || l->nbd.bytes - area->offset < sizeof(mda) ||
	    nbdc_read(&l->nbd, area->offset, mda, sizeof(mda)) || !lvm_area_read(mda, area, &where))
		return NULL;
	ring = le64_get(mda + 32);
	if (ring > l->nbd.bytes - area->offset)
		return NULL;
	bytes = malloc(where.bytes);
	first = where.bytes < ring - where.offset ? where.bytes : ring - where.offset;
	if (bytes && !nbdc_read(&l->nbd, area->offset + where.offset, bytes, first) &&
	    (first == where.bytes ||
	     !nbdc_read(&l->nbd, area->offset + 512, bytes + first, where.bytes - first))) {
		if (lvm_checksum(bytes, where.bytes) != where.checksum)
			say("%s: a text of LVM has a wrong checksum", l->label);
		else if (!(text = lvm_parse(bytes, where.bytes, &why)))
			say("%s: a text of LVM is not understood: %s", l->label, why);
	}
	free(bytes);
	return text;
}

static bool lvm(struct look *l)
{
	struct pv *more;
	struct lvm_label label;
	char *size;
	unsigned i;

	if (!lvm_label_read(l->head, l->bytes, &label))
		return false;
	more = realloc(l->open->pvs, (l->open->npvs + 1) * sizeof(*more));
	if (!more)
		return true;
	l->open->pvs = more;
	more += l->open->npvs;
	*more = (struct pv){ .label = label, .volume = strdup(l->volume), .sectors = l->nbd.bytes / 512 };
	for (i = 0; i < label.nareas && !more->text; i++)
		more->text = area_text(l, &label.areas[i]);
	l->open->npvs += more->volume != NULL;
	size = size_text(l->nbd.bytes);
	indent(l->depth);
	printf("%s  %s  LVM2 physical volume  uuid %s%s\n", l->label, size, label.uuid,
	       more->text || !label.nareas ? "" : "  (no metadata)");
	free(size);
	return true;
}

/* ---- everything else ---- */

static const struct { size_t at, bytes; const char *magic, *name; } known[] = {
	{ 0x438, 2, "\x53\xef", "ext2/3/4" }, { 0, 4, "XFSB", "xfs" }, { 4086, 10, "SWAPSPACE2", "swap" },
	{ 0x10040, 8, "_BHRfS_M", "btrfs" }, { 0, 4, "hsqs", "squashfs" }, { 3, 8, "NTFS    ", "ntfs" },
	{ 82, 5, "FAT32", "vfat" }, { 54, 5, "FAT16", "vfat" }, { 4096, 4, "\xfc\x4e\x2b\xa9", "md member" },
	{ 0x400, 4, "\x10\x20\xf5\xf2", "f2fs" },
};

static void plain(struct look *l)
{
	const char *what = "data";
	char *size = size_text(l->nbd.bytes);
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].at + known[i].bytes <= l->bytes &&
		    !memcmp(l->head + known[i].at, known[i].magic, known[i].bytes))
			what = known[i].name;
	indent(l->depth);
	printf("%s  %s  %s\n", l->label, size ? size : "", what);
	free(size);
}

void layers_find(struct open *o, const char *volume, const char *label, unsigned depth)
{
	struct look *l = calloc(1, sizeof(*l));

	if (!l)
		return;
	l->open = o;
	l->volume = volume;
	l->label = label;
	l->depth = depth;
	if (depth < DEPTH_MAX && !volume_connect(o, volume, &l->nbd)) {
		l->bytes = l->nbd.bytes < HEAD_BYTES ? l->nbd.bytes : HEAD_BYTES;
		if (nbdc_read(&l->nbd, 0, l->head, l->bytes))
			say("%s cannot be read", label);
		else if (!luks(l) && !lvm(l) && !gpt(l) && !mbr(l))
			plain(l);
		nbdc_close(&l->nbd);
	}
	free(l);
}
