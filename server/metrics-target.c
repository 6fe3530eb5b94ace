/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics-target.c - what targets say of themselves, as rows for Prometheus.
 *
 * Most of it is cut out of status lines, whose words are the kernel's: a line that reads
 * otherwise than expected ("Fail", "Error", "Invalid") gives no row rather than a wrong one.
 * Latencies of paths, corrupted blocks and injected faults have no place there; targets count
 * them apart (struct ndm_counters).
 */
#include <stdlib.h>
#include <string.h>

#include "metrics-page.h"

#define THIN_META_BLOCK_BYTES 4096	/* of a pool's metadata device, whatever its data has */

struct family {
	const char *name, *type, *text;
	const char *target, *other_target;	/* whose lines it is about */
	/* table: arguments of the table line; text: of the status line, and may be cut up */
	void (*row)(struct page *, const struct family *, const struct report_device *, char *text,
		    const char *table);
	unsigned which;
};

static void head(struct page *p, const struct family *f, const struct report_device *rd,
		 const char *key, const char *value)
{
	page_announce(p, f->name, f->type, f->text);
	page_head(p, f->name, rd, key, value);
}

static void row_u64(struct page *p, const struct family *f, const struct report_device *rd,
		    uint64_t value)
{
	head(p, f, rd, NULL, NULL);
	page_u64(p, value);
}

/* "USED/ALL" */
static bool words_ratio(struct words *w, uint64_t *used, uint64_t *all)
{
	unsigned long long a, b;
	const char *word = words_next(w);

	if (!word || sscanf(word, "%llu/%llu", &a, &b) != 2)
		return false;
	*used = a;
	*all = b;
	return true;
}

/* ---- multipath ---- */

enum { PATH_UP, PATH_FAILURES };

struct path_page { struct page *p; const struct family *f; const struct report_device *rd; };

static void path_head(struct page *p, const struct family *f, const struct report_device *rd,
		      const char *device, unsigned group)
{
	struct ndm_str text = { 0 };
	unsigned major, minor;

	if (sscanf(device, "%u:%u", &major, &minor) == 2)
		report_dep_name(p->r, major, minor, &text);
	head(p, f, rd, "path", text.text ? text.text : device);
	ndm_printf(p->out, ",group=\"%u\"", group);
	ndm_str_free(&text);
}

static void path_row(void *arg, const struct report_path *path)
{
	struct path_page *pp = arg;

	path_head(pp->p, pp->f, pp->rd, path->device, path->group);
	page_u64(pp->p, pp->f->which == PATH_FAILURES ? path->failures : path->up);
}

static void multipath_row(struct page *p, const struct family *f, const struct report_device *rd,
			  char *text, const char *table)
{
	struct path_page pp = { p, f, rd };

	(void)table;
	report_paths(text, path_row, &pp);
}

/* ---- mirror, raid ---- */

enum { RAID_DEGRADED, RAID_SYNC, RAID_MISMATCHES };

struct raid_state { uint64_t in_sync, all, mismatches; bool degraded, has_mismatches; };

/* "LEGS device... IN-SYNC/ALL 1 HEALTH ..." */
static bool mirror_state(struct words *w, struct raid_state *s)
{
	const char *health;
	uint64_t legs;

	if (!words_number(w, &legs))
		return false;
	words_skip(w, legs);
	if (!words_ratio(w, &s->in_sync, &s->all))
		return false;
	words_skip(w, 1);
	health = words_next(w);
	s->degraded = health && health[strspn(health, "A")];
	return health;
}

/* "LEVEL DISKS HEALTH IN-SYNC/ALL ACTION MISMATCHES ..."; a: alive, and not yet in sync */
static bool raid_state(struct words *w, struct raid_state *s)
{
	const char *health;

	words_skip(w, 2);
	health = words_next(w);
	if (!health || !words_ratio(w, &s->in_sync, &s->all))
		return false;
	s->degraded = health[strspn(health, "Aa")];
	words_skip(w, 1);
	s->has_mismatches = words_number(w, &s->mismatches);
	return true;
}

static void raid_row(struct page *p, const struct family *f, const struct report_device *rd,
		     char *text, const char *table)
{
	struct words w = { text };
	struct raid_state s = { 0 };

	(void)table;
	if (!(f->target[0] == 'm' ? mirror_state(&w, &s) : raid_state(&w, &s)))
		return;
	if (f->which == RAID_DEGRADED) {
		row_u64(p, f, rd, s.degraded);
	} else if (f->which == RAID_MISMATCHES && s.has_mismatches) {
		row_u64(p, f, rd, s.mismatches);
	} else if (f->which == RAID_SYNC && s.all) {
		head(p, f, rd, NULL, NULL);
		ndm_printf(p->out, "} %.6f\n", (double)s.in_sync / (double)s.all);
	}
}

/* ---- snapshot ---- */

enum { SNAP_USED, SNAP_SIZE, SNAP_VALID };

static void snapshot_row(struct page *p, const struct family *f, const struct report_device *rd,
			 char *text, const char *table)
{
	struct words w = { text };
	uint64_t used = 0, size = 0;
	bool valid = words_ratio(&w, &used, &size);

	(void)table;
	if (f->which == SNAP_VALID)
		row_u64(p, f, rd, valid);
	else if (valid)
		row_u64(p, f, rd, (f->which == SNAP_USED ? used : size) * NDM_SECTOR_BYTES);
}

/* ---- thin-pool ---- */

enum { POOL_DATA_USED, POOL_DATA_SIZE, POOL_META_USED, POOL_META_SIZE, POOL_MODE };

static void pool_mode(struct page *p, const struct family *f, const struct report_device *rd,
		      const char *mode)
{
	static const char *const modes[] = { "rw", "ro", "out_of_data_space", "fail" };
	unsigned i;

	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		head(p, f, rd, "mode", modes[i]);
		page_u64(p, !strcmp(mode, modes[i]));
	}
}

/* "TRANSACTION META/ALL DATA/ALL ROOT MODE ..."; "METADATA-DEVICE DATA-DEVICE SECTORS ..." */
static void pool_row(struct page *p, const struct family *f, const struct report_device *rd,
		     char *text, const char *table)
{
	struct words w = { text };
	uint64_t id, meta_used, meta_all, used, all;
	unsigned long long sectors;
	const char *mode;

	if (!strcmp(text, "Fail") || !strcmp(text, "Error")) {
		if (f->which == POOL_MODE)
			pool_mode(p, f, rd, "fail");
		return;
	}
	if (!words_number(&w, &id) || !words_ratio(&w, &meta_used, &meta_all) ||
	    !words_ratio(&w, &used, &all) || sscanf(table, "%*s %*s %llu", &sectors) != 1)
		return;
	words_skip(&w, 1);
	mode = words_next(&w);
	if (f->which == POOL_MODE && mode)
		pool_mode(p, f, rd, mode);
	else if (f->which == POOL_META_USED || f->which == POOL_META_SIZE)
		row_u64(p, f, rd, (f->which == POOL_META_USED ? meta_used : meta_all) *
			THIN_META_BLOCK_BYTES);
	else if (f->which != POOL_MODE)
		row_u64(p, f, rd, (f->which == POOL_DATA_USED ? used : all) * sectors *
			NDM_SECTOR_BYTES);
}

/* ---- cache ---- */

enum { CACHE_HITS, CACHE_MISSES, CACHE_DIRTY };

/*
 * "METADATA-BLOCK META/ALL CACHE-BLOCK USED/ALL READ-HITS READ-MISSES WRITE-HITS WRITE-MISSES
 * DEMOTIONS PROMOTIONS DIRTY ..."
 */
static void cache_row(struct page *p, const struct family *f, const struct report_device *rd,
		      char *text, const char *table)
{
	struct words w = { text };
	uint64_t n[7];
	unsigned i;

	(void)table;
	words_skip(&w, 4);
	for (i = 0; i < 7; i++)
		if (!words_number(&w, &n[i]))
			return;
	if (f->which == CACHE_DIRTY) {
		row_u64(p, f, rd, n[6]);
		return;
	}
	head(p, f, rd, "op", "read");
	page_u64(p, n[f->which == CACHE_HITS ? 0 : 1]);
	head(p, f, rd, "op", "write");
	page_u64(p, n[f->which == CACHE_HITS ? 2 : 3]);
}

/* ---- verity, integrity ---- */

static void verity_row(struct page *p, const struct family *f, const struct report_device *rd,
		       char *text, const char *table)
{
	(void)table;
	row_u64(p, f, rd, *text == 'C');
}

static void integrity_row(struct page *p, const struct family *f, const struct report_device *rd,
			  char *text, const char *table)
{
	struct words w = { text };
	uint64_t n;

	(void)table;
	if (words_number(&w, &n))
		row_u64(p, f, rd, n);
}

/* ---- all of them ---- */

#define DEGRADED "1 while a leg of a mirror, or a disk of an array, has failed."
#define SYNCED "How much of a mirror or an array is in sync."

/* Neighbours of one name are one family. */
static const char raid_degraded[] = "ndm_raid_degraded", raid_sync[] = "ndm_raid_sync_ratio";

static const struct family families[] = {
	{ "ndm_path_up", "gauge", "1 while a path of a multipath device is in use.", "multipath",
	  NULL, multipath_row, PATH_UP },
	{ "ndm_path_failures_total", "counter", "How often a path of a multipath device has failed.",
	  "multipath", NULL, multipath_row, PATH_FAILURES },
	{ raid_degraded, "gauge", DEGRADED, "mirror", NULL, raid_row, RAID_DEGRADED },
	{ raid_degraded, "gauge", DEGRADED, "raid", NULL, raid_row, RAID_DEGRADED },
	{ raid_sync, "gauge", SYNCED, "mirror", NULL, raid_row, RAID_SYNC },
	{ raid_sync, "gauge", SYNCED, "raid", NULL, raid_row, RAID_SYNC },
	{ "ndm_raid_mismatches", "gauge", "Sectors that the last check of an array found to differ.",
	  "raid", NULL, raid_row, RAID_MISMATCHES },
	{ "ndm_snapshot_used_bytes", "gauge", "How much of a snapshot's COW device is taken.",
	  "snapshot", "snapshot-merge", snapshot_row, SNAP_USED },
	{ "ndm_snapshot_size_bytes", "gauge", "Size of a snapshot's COW device.",
	  "snapshot", "snapshot-merge", snapshot_row, SNAP_SIZE },
	{ "ndm_snapshot_valid", "gauge", "0 once a snapshot is lost: invalid, or overflown.",
	  "snapshot", "snapshot-merge", snapshot_row, SNAP_VALID },
	{ "ndm_thin_pool_data_used_bytes", "gauge", "How much of a pool's data device is taken.",
	  "thin-pool", NULL, pool_row, POOL_DATA_USED },
	{ "ndm_thin_pool_data_size_bytes", "gauge", "Size of a pool's data device.",
	  "thin-pool", NULL, pool_row, POOL_DATA_SIZE },
	{ "ndm_thin_pool_metadata_used_bytes", "gauge", "How much of a pool's metadata device is taken.",
	  "thin-pool", NULL, pool_row, POOL_META_USED },
	{ "ndm_thin_pool_metadata_size_bytes", "gauge", "Size of a pool's metadata device.",
	  "thin-pool", NULL, pool_row, POOL_META_SIZE },
	{ "ndm_thin_pool_mode", "gauge", "1 for the mode that a pool is in.",
	  "thin-pool", NULL, pool_row, POOL_MODE },
	{ "ndm_cache_hits_total", "counter", "Requests that a cache had the block for.",
	  "cache", NULL, cache_row, CACHE_HITS },
	{ "ndm_cache_misses_total", "counter", "Requests that went to the origin.",
	  "cache", NULL, cache_row, CACHE_MISSES },
	{ "ndm_cache_dirty_blocks", "gauge", "Blocks of a cache that the origin does not have yet.",
	  "cache", NULL, cache_row, CACHE_DIRTY },
	{ "ndm_verity_corrupted", "gauge", "1 once a block was found that does not match its hash.",
	  "verity", NULL, verity_row, 0 },
	{ "ndm_integrity_mismatches_total", "counter", "Blocks whose tag did not match.",
	  "integrity", NULL, integrity_row, 0 },
};

static bool is_about(const struct family *f, const struct ndm_target_status *line)
{
	return !strcmp(line->type, f->target) ||
	       (f->other_target && !strcmp(line->type, f->other_target));
}

/*
 * A device's rows of a family are told apart by path only, so a second target of the same type
 * in one device would say the same thing twice: the first is printed.
 */
static void device_rows(struct page *p, const struct family *f, const struct report_device *rd)
{
	const char *table = "";
	char *text;
	unsigned k;

	for (k = 0; k < rd->nlines && !is_about(f, &rd->lines[k]); k++)
		;
	if (k == rd->nlines)
		return;
	if (k < rd->ntable && rd->table[k].text)
		table = rd->table[k].text;
	text = strdup(rd->lines[k].text ? rd->lines[k].text : "");
	if (text)
		f->row(p, f, rd, text, table);
	free(text);
}

/* ---- what is counted apart ---- */

static const struct family counted[] = {
	[NDM_COUNT_FAULTS] = { "ndm_injected_faults_total", "counter",
		"Requests that a target made for tests has failed, dropped, corrupted or held up.",
		NULL, NULL, NULL, 0 },
	[NDM_COUNT_CORRUPTIONS] = { "ndm_verity_corruptions_total", "counter",
		"Blocks found that do not match their hash, again each time they are found.",
		NULL, NULL, NULL, 0 },
	[NDM_PATH_LATENCY] = { "ndm_path_latency_seconds", "gauge",
		"How long requests on a path of a multipath device have taken of late.",
		NULL, NULL, NULL, 0 },
};

static void counted_rows(struct page *p, enum ndm_counter_kind kind, const struct report_device *rd)
{
	const struct family *f = &counted[kind];
	unsigned i;

	for (i = 0; i < rd->counters.n; i++) {
		const struct ndm_counter *c = &rd->counters.list[i];

		if (c->kind != kind)
			continue;
		if (kind == NDM_PATH_LATENCY) {
			path_head(p, f, rd, c->what, c->group);
			page_seconds(p, c->value);
		} else {
			head(p, f, rd, *c->what ? "class" : NULL, c->what);
			page_u64(p, c->value);
		}
	}
}

void page_targets(struct page *p)
{
	unsigned i, k;

	for (k = 0; k < sizeof families / sizeof families[0]; k++)
		for (i = 0; i < p->r->n; i++)
			device_rows(p, &families[k], &p->r->devices[i]);
	for (k = 0; k < sizeof counted / sizeof counted[0]; k++)
		for (i = 0; i < p->r->n; i++)
			counted_rows(p, (enum ndm_counter_kind)k, &p->r->devices[i]);
}
