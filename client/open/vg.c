/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vg.c - logical volumes: each becomes a volume called as LVM calls its devices (VG-LV, hyphens
 * doubled), and those that are for people exports VG/LV.  What is below is opened first; what
 * needs a disk that is missing is said and left out.
 */
#include "open.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum state { NEW, BUSY, MADE, FAILED };

struct lv {
	const struct lvm_node *node;
	enum state state;
	char *device;			/* its volume */
	char *real;			/* below a snapshot: the store itself */
	const char *why;		/* FAILED */
};

struct vg {
	struct open *open;
	const char *name;
	const struct lvm_node *node, *lvs;
	uint64_t extent;		/* sectors */
	struct lv *list;
	size_t n;
};

static const char *lv_device(struct vg *, const char *name, const char **why);

/* VG-LV, hyphens doubled */
static char *dm_name(const char *vg, const char *lv, const char *suffix)
{
	char *out = malloc(2 * (strlen(vg) + strlen(lv)) + strlen(suffix) + 2), *p = out;
	const char *text;

	for (text = vg; out && *text; text++) {
		*p++ = *text;
		if (*text == '-')
			*p++ = '-';
	}
	for (text = lv; out && *text; text++) {
		*p++ = text == lv ? '-' : *text;
		if (text == lv)
			*p++ = *text;
		if (*text == '-')
			*p++ = '-';
	}
	if (out)
		strcpy(p, suffix);
	return out;
}

/* ---- physical volumes ---- */

static struct pv *pv_find(struct open *o, const char *uuid)
{
	size_t i;

	for (i = 0; uuid && i < o->npvs; i++)
		if (!strcmp(o->pvs[i].label.uuid, uuid))
			return &o->pvs[i];
	return NULL;
}

/* A snapshot in memory over the disk: targets may write, and the image does not change. */
static const char *pv_over(struct open *o, struct pv *pv)
{
	char *name;

	if (pv->over)
		return pv->over;
	name = text_format("%s.over", pv->volume);
	if (name && volume_add(o, name, text_format("table: [\"0 %llu snapshot dev:%s mem:%lluK N 8\"]",
						    (unsigned long long)pv->sectors, pv->volume,
						    (unsigned long long)pv->sectors / 2 + 1024),
			       NULL, true))
		pv->over = name;
	else
		free(name);
	return pv->over;
}

/* "dev:NAME SECTOR" of an area: of a disk, or of another logical volume */
static char *area(struct vg *vg, const char *name, uint64_t extent, const char **why)
{
	const struct lvm_node *pv = lvm_get(lvm_get(vg->node, "physical_volumes"), name);
	const char *device;
	struct pv *disk;
	uint64_t at = extent * vg->extent;

	if (pv) {
		disk = pv_find(vg->open, lvm_text(pv, "id"));
		*why = disk ? NULL : "a physical volume is missing";
		device = disk ? pv_over(vg->open, disk) : NULL;
		at += lvm_number(pv, "pe_start", 0);
	} else {
		device = lv_device(vg, name, why);
	}
	return device ? text_format("dev:%s %llu", device, (unsigned long long)at) : NULL;
}

/* ---- segments ---- */

struct segment {
	struct vg *vg;
	const struct lvm_node *node, *lv;
	FILE *out;			/* the words of its line */
	const char *why;
};

static const char *below(struct segment *s, const char *key)
{
	const char *name = lvm_text(s->node, key);

	return name ? lv_device(s->vg, name, &s->why) : NULL;
}

static bool seg_striped(struct segment *s)
{
	uint64_t n = lvm_number(s->node, "stripe_count", 1), i = 0;
	const struct lvm_node *list = lvm_get(s->node, "stripes"), *name;
	char *place;

	if (n > 1)
		fprintf(s->out, "striped %llu %llu", (unsigned long long)n,
			(unsigned long long)lvm_number(s->node, "stripe_size", 128));
	else
		fprintf(s->out, "linear");
	for (name = list ? list->first : NULL; name && name->next && i < n; name = name->next->next, i++) {
		place = area(s->vg, name->text, strtoull(name->next->text, NULL, 10), &s->why);
		if (!place)
			return false;
		fprintf(s->out, " %s", place);
		free(place);
	}
	return i == n;
}

/* One leg is as good as the other: the first. */
static bool seg_mirror(struct segment *s)
{
	const struct lvm_node *list = lvm_get(s->node, "mirrors");
	const char *device = list && list->first ? lv_device(s->vg, list->first->text, &s->why) : NULL;

	if (device)
		fprintf(s->out, "linear dev:%s 0", device);
	return device;
}

static void raid_words(struct segment *s, const char *type)
{
	uint64_t chunk = lvm_number(s->node, "stripe_size", 0), copies = lvm_number(s->node, "data_copies", 0);
	uint64_t region = lvm_number(s->node, "region_size", 0);
	bool nosync = lvm_has(s->lv, "status", "NOTSYNCED");
	bool ten = !strncmp(type, "raid10", 6);

	fprintf(s->out, "raid %s %u %llu", !strcmp(type, "raid5") ? "raid5_ls" :
		!strcmp(type, "raid6") ? "raid6_zr" : !strcmp(type, "raid0_meta") ? "raid0" : type,
		1 + nosync + (region ? 2 : 0) + (ten && copies ? 2 : 0), (unsigned long long)chunk);
	if (nosync)
		fprintf(s->out, " nosync");
	if (region)
		fprintf(s->out, " region_size %llu", (unsigned long long)region);
	if (ten && copies)
		fprintf(s->out, " raid10_copies %llu", (unsigned long long)copies);
}

/* Members that are missing are left to the array. */
static bool seg_raid(struct segment *s, const char *type)
{
	const struct lvm_node *pairs = lvm_get(s->node, "raids"), *item;
	const struct lvm_node *list = pairs ? pairs : lvm_get(s->node, "raid0_lvs");
	const char *device;
	unsigned n = 0;
	bool any = false, all = true;

	for (item = list ? list->first : NULL; item; item = item->next)
		n++;
	raid_words(s, type);
	fprintf(s->out, " %u", pairs ? n / 2 : n);
	for (item = list ? list->first : NULL; item; item = item->next) {
		device = lv_device(s->vg, item->text, &s->why);
		any |= device != NULL;
		all &= device != NULL;
		if (!pairs)
			fprintf(s->out, " -");
		if (device)
			fprintf(s->out, " dev:%s", device);
		else
			fprintf(s->out, " -");
	}
	return strncmp(type, "raid0", 5) ? any : all;
}

static bool seg_pool(struct segment *s)
{
	const char *meta = below(s, "metadata"), *data = below(s, "pool");

	if (meta && data)
		fprintf(s->out, "thin-pool dev:%s dev:%s %llu 0 1 read_only", meta, data,
			(unsigned long long)lvm_number(s->node, "chunk_size", 128));
	return meta && data;
}

static bool seg_thin(struct segment *s)
{
	const char *pool = below(s, "thin_pool"), *outside = below(s, "external_origin");

	if (lvm_text(s->node, "external_origin") && !outside)
		return false;
	if (pool)
		fprintf(s->out, "thin dev:%s %llu%s%s", pool,
			(unsigned long long)lvm_number(s->node, "device_id", 0), outside ? " dev:" : "",
			outside ? outside : "");
	return pool;
}

/* The two parts of a volume that is metadata and cache in one. */
static bool cache_parts(struct segment *s, const char *volume, char *parts[2])
{
	static const char *const keys[2][3] = { { "metadata_start", "metadata_len", "cmeta" },
						{ "data_start", "data_len", "cdata" } };
	unsigned i;

	for (i = 0; i < 2; i++) {
		uint64_t start = lvm_number(s->node, keys[i][0], 0), nr = lvm_number(s->node, keys[i][1], 0);

		parts[i] = text_format("%s-%s", volume, keys[i][2]);
		if (!parts[i] || !nr ||
		    !volume_add(s->vg->open, parts[i],
				text_format("table: [\"0 %llu linear dev:%s %llu\"]", (unsigned long long)nr,
					    volume, (unsigned long long)start), NULL, true))
			return false;
	}
	return true;
}

static bool seg_cache(struct segment *s)
{
	const char *origin = below(s, "origin"), *name = lvm_text(s->node, "cache_pool");
	const struct lvm_node *pool = lvm_get(lvm_get(s->vg->lvs, name ? name : ""), "segment1");
	const struct lvm_node *words = lvm_get(s->node, "metadata_len") ? s->node : pool;
	struct segment inner = { .vg = s->vg, .node = pool };
	char *parts[2] = { NULL, NULL };
	const char *device, *mode = lvm_text(words, "cache_mode");
	bool ok = false, two = lvm_number(words, "metadata_format", 1) == 2;

	if (words == s->node) {
		device = below(s, "cache_pool");
		ok = origin && device && cache_parts(s, device, parts);
	} else if (pool) {
		device = below(&inner, "metadata");
		parts[0] = device ? strdup(device) : NULL;
		device = below(&inner, "data");
		parts[1] = device ? strdup(device) : NULL;
		s->why = s->why ? s->why : inner.why;
		ok = origin && parts[0] && parts[1];
	}
	if (ok)
		fprintf(s->out, "cache dev:%s dev:%s dev:%s %llu %u%s %s smq 2 migration_threshold 0",
			parts[0], parts[1], origin,
			(unsigned long long)lvm_number(words, "chunk_size", 128), 1 + two,
			two ? " metadata2" : "", mode ? mode : "writethrough");
	free(parts[0]);
	free(parts[1]);
	return ok;
}

static bool seg_writecache(struct segment *s)
{
	const char *origin = below(s, "origin"), *fast = below(s, "writecache");

	if (origin && fast)
		fprintf(s->out, "writecache s dev:%s dev:%s %llu 0", origin, fast,
			(unsigned long long)lvm_number(s->node, "writecache_block_size", 4096));
	return origin && fast;
}

static bool segment_words(struct segment *s)
{
	const char *type = lvm_text(s->node, "type");

	if (!type)
		return false;
	if (!strcmp(type, "striped") || !strcmp(type, "linear"))
		return seg_striped(s);
	if (!strcmp(type, "mirror"))
		return seg_mirror(s);
	if (!strncmp(type, "raid", 4))
		return seg_raid(s, type);
	if (!strcmp(type, "thin-pool"))
		return seg_pool(s);
	if (!strcmp(type, "thin"))
		return seg_thin(s);
	if (!strcmp(type, "cache") || !strncmp(type, "cache+", 6))
		return seg_cache(s);
	if (!strncmp(type, "writecache", 10))
		return seg_writecache(s);
	if (!strcmp(type, "zero") || !strcmp(type, "error"))
		return fprintf(s->out, "%s", type) > 0;
	s->why = "its type is not known here";
	return false;
}

/* ---- a logical volume ---- */

static uint64_t lv_sectors(struct vg *vg, const struct lvm_node *lv)
{
	const struct lvm_node *s;
	uint64_t extents = 0;

	for (s = lv ? lv->first : NULL; s; s = s->next)
		if (s->section && !strncmp(s->key, "segment", 7))
			extents += lvm_number(s, "extent_count", 0);
	return extents * vg->extent;
}

static char *lv_table(struct vg *vg, const struct lvm_node *lv, const char **why)
{
	char *text = NULL, *words;
	size_t bytes, inner;
	FILE *out = open_memstream(&text, &bytes);
	const struct lvm_node *s;
	bool ok = out, first = true;

	if (out)
		fprintf(out, "table: [");
	for (s = lv->first; ok && s; s = s->next) {
		struct segment seg = { .vg = vg, .node = s, .lv = lv };

		if (!s->section || strncmp(s->key, "segment", 7))
			continue;
		words = NULL;
		seg.out = open_memstream(&words, &inner);
		ok = seg.out && segment_words(&seg);
		if (seg.out)
			fclose(seg.out);
		if (ok)
			fprintf(out, "%s\"%llu %llu %s\"", first ? "" : ", ",
				(unsigned long long)(lvm_number(s, "start_extent", 0) * vg->extent),
				(unsigned long long)(lvm_number(s, "extent_count", 0) * vg->extent), words);
		else
			*why = seg.why ? seg.why : "its segments are not understood";
		free(words);
		first = false;
	}
	if (out) {
		fprintf(out, "]");
		fclose(out);
	}
	if (ok && !first)
		return text;
	*why = *why ? *why : "it has no segments";
	free(text);
	return NULL;
}

/* The segment "snapshot" that has this one as its store, or NULL. */
static const struct lvm_node *snapshot_of(struct vg *vg, const char *store)
{
	const struct lvm_node *lv, *s;
	const char *type, *cow;

	for (lv = vg->lvs->first; lv; lv = lv->next) {
		s = lvm_get(lv, "segment1");
		type = lvm_text(s, "type");
		cow = lvm_text(s, "cow_store");
		if (type && cow && !strcmp(type, "snapshot") && !strcmp(cow, store))
			return s;
	}
	return NULL;
}

static bool is_shown(const struct lvm_node *lv)
{
	const char *type = lvm_text(lvm_get(lv, "segment1"), "type");

	return lvm_has(lv, "status", "VISIBLE") && type && strcmp(type, "snapshot") &&
	       strcmp(type, "thin-pool") && strncmp(type, "cache-pool", 10);
}

/* What the tree shows, and what is opened for it. */
static bool is_listed(struct vg *vg, const struct lvm_node *lv)
{
	const char *type = lvm_text(lvm_get(lv, "segment1"), "type");

	return snapshot_of(vg, lv->key) || (lvm_has(lv, "status", "VISIBLE") && type && strcmp(type, "snapshot"));
}

static bool add(struct vg *vg, const char *name, char *table, const char *lv, bool shown)
{
	char *export = shown ? text_format("%s/%s", vg->name, lv) : NULL;
	bool ok = volume_add(vg->open, name, table, export, true);

	free(export);
	return ok;
}

static void lv_make(struct vg *vg, struct lv *lv)
{
	const char *name = lv->node->key, *origin;
	const struct lvm_node *snapshot = snapshot_of(vg, name);
	size_t bytes = strlen(name);
	bool meta = bytes > 6 && !strcmp(name + bytes - 6, "_tmeta");	/* thin-delta reads it */
	char *table = lv_table(vg, lv->node, &lv->why), *device;

	lv->real = dm_name(vg->name, name, snapshot ? "-cow" : "");
	if (!table || !lv->real || !add(vg, lv->real, table, name, !snapshot && (meta || is_shown(lv->node))))
		return;
	if (!snapshot) {
		lv->device = strdup(lv->real);
		return;
	}
	origin = lv_device(vg, lvm_text(snapshot, "origin"), &lv->why);
	device = dm_name(vg->name, name, "");
	if (origin && device &&
	    add(vg, device, text_format("table: [\"0 %llu snapshot dev:%s dev:%s P %llu\"]",
					(unsigned long long)lv_sectors(vg, lvm_get(vg->lvs,
						lvm_text(snapshot, "origin"))), origin, lv->real,
					(unsigned long long)lvm_number(snapshot, "chunk_size", 8)), name, true))
		lv->device = device;
	else
		free(device);
}

static const char *lv_device(struct vg *vg, const char *name, const char **why)
{
	struct lv *lv = NULL;
	size_t i;

	for (i = 0; name && i < vg->n && !lv; i++)
		if (!strcmp(vg->list[i].node->key, name))
			lv = &vg->list[i];
	if (!lv) {
		*why = "a part of it is not in the group";
		return NULL;
	}
	if (lv->state == BUSY) {
		*why = "it stands on itself";
		return NULL;
	}
	if (lv->state == NEW) {
		lv->state = BUSY;
		lv_make(vg, lv);
		lv->state = lv->device ? MADE : FAILED;
	}
	if (!lv->device)
		*why = lv->why;
	return lv->device;
}

/* ---- for people ---- */

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

/* What the superblock of a pool says of itself. */
static void pool_show(struct vg *vg, const struct lvm_node *seg)
{
	char *name = dm_name(vg->name, lvm_text(seg, "metadata") ? lvm_text(seg, "metadata") : "", "");
	uint8_t super[512];
	struct nbd nbd;

	if (name && !volume_connect(vg->open, name, &nbd)) {
		if (!nbdc_read(&nbd, 0, super, sizeof(super)) && get64(super + 32) == 27022010) {
			uint64_t data = get64(super + 64), used = get64(super + 72);
			uint64_t meta = get64(super + 192), meta_used = get64(super + 200);

			printf("  used %.1f%%  meta %.1f%%  transaction_id %llu%s",
			       data ? 100.0 * used / data : 0, meta ? 100.0 * meta_used / meta : 0,
			       (unsigned long long)get64(super + 48),
			       super[4] & 1 ? "  note: needs_check, read as it is" : "");
		}
		nbdc_close(&nbd);
	}
	free(name);
}

static void lv_show(struct vg *vg, struct lv *lv, bool last)
{
	const struct lvm_node *s = lvm_get(lv->node, "segment1"), *snapshot = snapshot_of(vg, lv->node->key);
	const char *type = lvm_text(s, "type"), *of = lvm_text(s, "origin");
	char *size = size_text(512 * lv_sectors(vg, snapshot ? lvm_get(vg->lvs, lvm_text(snapshot, "origin"))
						: lv->node));

	type = type && !strcmp(type, "striped") && lvm_number(s, "stripe_count", 1) == 1 ? "linear" : type;
	printf("     %s %-12s %5s  %.*s", last ? "└─" : "├─", lv->node->key, size ? size : "",
	       (int)strcspn(type ? type : "?", "+"), type ? type : "?");
	if (type && !strcmp(type, "thin"))
		printf(" %s", lvm_text(s, "device_id") ? lvm_text(s, "device_id") : "?");
	if (type && !strcmp(type, "thin") && of)
		printf(" (snapshot of %s)", of);
	if (snapshot)
		printf(" (snapshot of %s)", lvm_text(snapshot, "origin"));
	if (type && !strcmp(type, "thin-pool")) {
		printf(" %lluk", (unsigned long long)lvm_number(s, "chunk_size", 0) / 2);
		pool_show(vg, s);
	}
	if (!lv->device)
		printf("  NOT OPENED: %s", lv->why ? lv->why : "?");
	else if (vg->open->socket && (is_shown(lv->node) || snapshot))
		printf("  nbd+unix:///%s/%s?socket=%s", vg->name, lv->node->key, vg->open->socket);
	printf("\n");
	free(size);
}

static void vg_show(struct vg *vg)
{
	const struct lvm_node *pvs = lvm_get(vg->node, "physical_volumes"), *pv;
	unsigned found = 0, all = 0;
	size_t i, last = vg->n;

	for (pv = pvs ? pvs->first : NULL; pv; pv = pv->next) {
		all++;
		found += pv_find(vg->open, lvm_text(pv, "id")) != NULL;
	}
	printf(" └─ VG %s  PV %u/%u\n", vg->name, found, all);
	for (pv = pvs ? pvs->first : NULL; pv; pv = pv->next)
		if (!pv_find(vg->open, lvm_text(pv, "id")))
			printf("     missing: %s  uuid %s  (%s)\n", pv->key, lvm_text(pv, "id"),
			       lvm_text(pv, "device") ? lvm_text(pv, "device") : "?");
	for (i = 0; i < vg->n; i++)
		if (is_listed(vg, vg->list[i].node))
			last = i;
	for (i = 0; i < vg->n; i++)
		if (is_listed(vg, vg->list[i].node))
			lv_show(vg, &vg->list[i], i == last);
}

/* ---- groups ---- */

static const struct lvm_node *group_of(const struct lvm_node *text)
{
	const struct lvm_node *n;

	for (n = text ? text->first : NULL; n && !n->section; n = n->next)
		;
	return n;
}

static void group_open(struct open *o, const struct lvm_node *node)
{
	struct vg vg = { .open = o, .name = node->key, .node = node, .lvs = lvm_get(node, "logical_volumes"),
			 .extent = lvm_number(node, "extent_size", 0) };
	const struct lvm_node *lv;
	const char *why = NULL;
	char *reason;
	size_t i;
	int err;

	for (lv = vg.lvs ? vg.lvs->first : NULL; lv; lv = lv->next)
		vg.n += lv->section;
	vg.list = calloc(vg.n + 1, sizeof(*vg.list));
	vg.n = 0;
	for (lv = vg.lvs && vg.list ? vg.lvs->first : NULL; lv; lv = lv->next)
		if (lv->section)
			vg.list[vg.n++].node = lv;
	for (i = 0; i < vg.n; i++)
		if (is_listed(&vg, vg.list[i].node))
			lv_device(&vg, vg.list[i].node->key, &why);
	err = volumes_apply(o, &reason);
	if (err)
		say("ndm open: %s: %s", vg.name, reason && *reason ? reason : strerror(-err));
	free(reason);
	vg_show(&vg);
	for (i = 0; i < vg.n; i++) {
		free(vg.list[i].device);
		free(vg.list[i].real);
	}
	free(vg.list);
}

void groups_open(struct open *o)
{
	size_t i, j;

	for (i = 0; i < o->npvs; i++) {
		const struct lvm_node *best = group_of(o->pvs[i].text), *other;
		const char *id = lvm_text(best, "id");

		if (o->pvs[i].done || !id)
			continue;
		for (j = i; j < o->npvs; j++) {
			other = group_of(o->pvs[j].text);
			if (!lvm_text(other, "id") || strcmp(lvm_text(other, "id"), id))
				continue;
			o->pvs[j].done = true;
			if (lvm_number(other, "seqno", 0) > lvm_number(best, "seqno", 0))
				best = other;
		}
		group_open(o, best);
	}
}
