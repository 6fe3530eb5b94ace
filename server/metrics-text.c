/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics-text.c - a report in Prometheus' text format.
 *
 * Names of devices and paths are labels; there are as many rows as those, never as many as
 * clients.  A family is announced with its first row, so that none is there without rows.
 */
#include <stdlib.h>
#include <string.h>

#include "config.h"

#include "metrics-report.h"

struct page {
	const struct report *r;
	struct ndm_str *out;
	const char *family;			/* the one announced last */
};

static void announce(struct page *p, const char *name, const char *type, const char *text)
{
	if (p->family == name)
		return;
	p->family = name;
	ndm_printf(p->out, "# HELP %s %s\n# TYPE %s %s\n", name, text, name, type);
}

static void put_label(struct page *p, const char *key, const char *text)
{
	ndm_printf(p->out, "%s=\"", key);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ndm_str_put(p->out, "\\", 1);
		if (*text == '\n')
			ndm_str_put(p->out, "\\n", 2);
		else
			ndm_str_put(p->out, text, 1);
	}
	ndm_str_put(p->out, "\"", 1);
}

/* NAME{device="..." and, where there is one, ,KEY="VALUE" */
static void put_head(struct page *p, const char *name, const struct report_device *rd,
		     const char *key, const char *value)
{
	ndm_printf(p->out, "%s{", name);
	put_label(p, "device", rd->info.name);
	if (key) {
		ndm_str_put(p->out, ",", 1);
		put_label(p, key, value);
	}
}

static void put_u64(struct page *p, uint64_t value)
{
	ndm_printf(p->out, "} %llu\n", (unsigned long long)value);
}

static void put_seconds(struct page *p, uint64_t ns)
{
	ndm_printf(p->out, "} %llu.%09llu\n", (unsigned long long)(ns / 1000000000),
		   (unsigned long long)(ns % 1000000000));
}

/* ---- the server ---- */

static void server_rows(struct page *p)
{
	const struct { const char *name, *text; uint64_t value; } rows[] = {
		{ "ndm_nbd_requests_total", "NBD requests received.", p->r->requests },
		{ "ndm_nbd_errors_total", "NBD requests answered with an error.", p->r->errors },
		{ "ndm_nbd_received_bytes_total", "Bytes of requests and their data.",
		  p->r->received_bytes },
		{ "ndm_nbd_sent_bytes_total", "Bytes of replies and their data.", p->r->sent_bytes },
		{ "ndm_nbd_tls_handshakes_total", "TLS handshakes completed.", p->r->tls },
		{ "ndm_nbd_ktls_handshakes_total", "Those whose replies the kernel encrypts.",
		  p->r->ktls },
	};
	unsigned i;

	announce(p, "ndm_build_info", "gauge", "1; the version is a label.");
	ndm_printf(p->out, "ndm_build_info{version=\"%s\"} 1\n", VERSION);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		announce(p, rows[i].name, "counter", rows[i].text);
		ndm_printf(p->out, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
	}
	announce(p, "ndm_nbd_connections", "gauge", "Clients connected now.");
	ndm_printf(p->out, "ndm_nbd_connections %u\n", p->r->connections);
}

/* ---- devices ---- */

enum what { IOS, BYTES, TIME };

static const struct {
	const char *name, *text;
	enum what what;
	unsigned group;
} counters[] = {
	{ "ndm_device_reads_completed_total", "Reads completed.", IOS, NDM_STAT_READ },
	{ "ndm_device_writes_completed_total", "Writes completed.", IOS, NDM_STAT_WRITE },
	{ "ndm_device_discards_completed_total", "Discards completed.", IOS, NDM_STAT_DISCARD },
	{ "ndm_device_flushes_completed_total", "Flushes completed.", IOS, NDM_STAT_FLUSH },
	{ "ndm_device_read_bytes_total", "Bytes read.", BYTES, NDM_STAT_READ },
	{ "ndm_device_written_bytes_total", "Bytes written.", BYTES, NDM_STAT_WRITE },
	{ "ndm_device_discarded_bytes_total", "Bytes discarded.", BYTES, NDM_STAT_DISCARD },
	{ "ndm_device_read_time_seconds_total", "Time spent on reads.", TIME, NDM_STAT_READ },
	{ "ndm_device_write_time_seconds_total", "Time spent on writes.", TIME, NDM_STAT_WRITE },
	{ "ndm_device_discard_time_seconds_total", "Time spent on discards.", TIME, NDM_STAT_DISCARD },
	{ "ndm_device_flush_time_seconds_total", "Time spent on flushes.", TIME, NDM_STAT_FLUSH },
};

static void counter_rows(struct page *p)
{
	const struct report_device *rd;
	unsigned i, k;

	for (k = 0; k < sizeof counters / sizeof counters[0]; k++)
		for (i = 0; i < p->r->n; i++) {
			rd = &p->r->devices[i];
			announce(p, counters[k].name, "counter", counters[k].text);
			put_head(p, counters[k].name, rd, NULL, NULL);
			if (counters[k].what == IOS)
				put_u64(p, rd->stats.group[counters[k].group].ios);
			else if (counters[k].what == BYTES)
				put_u64(p, rd->stats.group[counters[k].group].sectors * NDM_SECTOR_BYTES);
			else
				put_seconds(p, rd->stats.group[counters[k].group].ns);
		}
}

static void error_rows(struct page *p)
{
	static const char name[] = "ndm_device_io_errors_total";
	unsigned i, g;

	for (i = 0; i < p->r->n; i++)
		for (g = 0; g < NDM_STAT_GROUPS; g++) {
			announce(p, name, "counter", "Requests that failed.");
			put_head(p, name, &p->r->devices[i], "op", report_groups[g]);
			put_u64(p, p->r->devices[i].stats.group[g].errors);
		}
}

static void histogram_rows(struct page *p)
{
	static const char name[] = "ndm_device_io_duration_seconds";
	unsigned i, g, b;

	for (i = 0; i < p->r->n; i++)
		for (g = 0; g < NDM_STAT_GROUPS; g++) {
			const struct report_device *rd = &p->r->devices[i];
			uint64_t total = 0;
			char le[32] = "+Inf";

			announce(p, name, "histogram", "How long requests took.");
			for (b = 0; b < NDM_LATENCY_BUCKETS; b++) {
				total += rd->stats.group[g].latency[b];
				if (b + 1 < NDM_LATENCY_BUCKETS)
					snprintf(le, sizeof le, "%.9g", (double)(1024ull << b) / 1e9);
				else
					strcpy(le, "+Inf");
				put_head(p, "ndm_device_io_duration_seconds_bucket", rd, "op",
					 report_groups[g]);
				ndm_printf(p->out, ",le=\"%s\"", le);
				put_u64(p, total);
			}
			put_head(p, "ndm_device_io_duration_seconds_sum", rd, "op", report_groups[g]);
			put_seconds(p, rd->stats.group[g].ns);
			put_head(p, "ndm_device_io_duration_seconds_count", rd, "op", report_groups[g]);
			put_u64(p, total);
		}
}

static uint64_t gauge_size(const struct report_device *rd) { return rd->info.nr * NDM_SECTOR_BYTES; }
static uint64_t gauge_now(const struct report_device *rd) { return rd->stats.in_flight; }
static uint64_t gauge_open(const struct report_device *rd) { return rd->info.open_count; }
static uint64_t gauge_events(const struct report_device *rd) { return rd->info.event_nr; }
static uint64_t gauge_suspended(const struct report_device *rd)
{
	return !!(rd->info.flags & NDM_DEVICE_SUSPENDED);
}

static void gauge_rows(struct page *p)
{
	static const struct {
		const char *name, *type, *text;
		uint64_t (*get)(const struct report_device *);
	} gauges[] = {
		{ "ndm_device_size_bytes", "gauge", "Size of the live table.", gauge_size },
		{ "ndm_device_io_now", "gauge", "Requests in flight.", gauge_now },
		{ "ndm_device_open_count", "gauge", "Tables and clients that hold the device.",
		  gauge_open },
		{ "ndm_device_suspended", "gauge", "1 while the device is suspended.",
		  gauge_suspended },
		{ "ndm_device_events_total", "counter", "Events raised by the device.", gauge_events },
	};
	unsigned i, k;

	for (k = 0; k < sizeof gauges / sizeof gauges[0]; k++)
		for (i = 0; i < p->r->n; i++) {
			announce(p, gauges[k].name, gauges[k].type, gauges[k].text);
			put_head(p, gauges[k].name, &p->r->devices[i], NULL, NULL);
			put_u64(p, gauges[k].get(&p->r->devices[i]));
		}
	for (i = 0; i < p->r->n; i++) {
		announce(p, "ndm_device_io_time_seconds_total", "counter",
			 "Time with at least one request in flight.");
		put_head(p, "ndm_device_io_time_seconds_total", &p->r->devices[i], NULL, NULL);
		put_seconds(p, p->r->devices[i].stats.busy_ns);
	}
}

/* the types of its targets, each once */
static void info_rows(struct page *p)
{
	unsigned i, k, before;

	for (i = 0; i < p->r->n; i++) {
		const struct report_device *rd = &p->r->devices[i];
		struct ndm_str types = { 0 };

		for (k = 0; k < rd->nlines; k++) {
			for (before = 0; before < k; before++)
				if (!strcmp(rd->lines[before].type, rd->lines[k].type))
					break;
			if (before == k)
				ndm_printf(&types, "%s%s", types.len ? "," : "", rd->lines[k].type);
		}
		announce(p, "ndm_device_info", "gauge", "1; what the device is, in labels.");
		put_head(p, "ndm_device_info", rd, "uuid", rd->info.uuid);
		ndm_printf(p->out, ",");
		put_label(p, "target", types.text ? types.text : "");
		put_u64(p, 1);
		ndm_str_free(&types);
	}
}

/* ---- what targets say in their status lines ---- */

struct path_page { struct page *p; const struct report_device *rd; bool failures; };

static void path_row(void *arg, const struct report_path *path)
{
	struct path_page *pp = arg;
	const char *name = pp->failures ? "ndm_path_failures_total" : "ndm_path_up";
	struct ndm_str text = { 0 };
	unsigned major, minor;

	if (pp->failures)
		announce(pp->p, name, "counter", "How often a path of a multipath device has failed.");
	else
		announce(pp->p, name, "gauge", "1 while a path of a multipath device is in use.");
	if (sscanf(path->device, "%u:%u", &major, &minor) == 2)
		report_dep_name(pp->p->r, major, minor, &text);
	put_head(pp->p, name, pp->rd, "path", text.text ? text.text : path->device);
	ndm_printf(pp->p->out, ",group=\"%u\"", path->group);
	put_u64(pp->p, pp->failures ? path->failures : path->up);
	ndm_str_free(&text);
}

/* announce() knows a family by the address of its name: these are the ones of many places */
static const char sync_ratio[] = "ndm_raid_sync_ratio", degraded[] = "ndm_raid_degraded";

/* "LEGS device... IN-SYNC/ALL 1 HEALTH ..." */
static void mirror_row(struct page *p, const struct report_device *rd, char *text, bool ratio)
{
	struct words w = { text };
	unsigned long long in_sync, all;
	const char *word;
	uint64_t legs;

	if (!words_number(&w, &legs))
		return;
	words_skip(&w, legs);
	word = words_next(&w);
	if (!word || sscanf(word, "%llu/%llu", &in_sync, &all) != 2 || !all)
		return;
	if (ratio) {
		announce(p, sync_ratio, "gauge", "How much of a mirror is the same on all legs.");
		put_head(p, sync_ratio, rd, NULL, NULL);
		ndm_printf(p->out, "} %.6f\n", (double)in_sync / (double)all);
		return;
	}
	words_skip(&w, 1);
	word = words_next(&w);
	if (!word)
		return;
	announce(p, degraded, "gauge", "1 while a leg of a mirror has failed.");
	put_head(p, degraded, rd, NULL, NULL);
	put_u64(p, word[strspn(word, "A")] != '\0');
}

static const char snapshot_used[] = "ndm_snapshot_used_bytes";
static const char snapshot_size[] = "ndm_snapshot_size_bytes";
static const char snapshot_valid[] = "ndm_snapshot_valid";

static void snapshot_row(struct page *p, const struct report_device *rd, const char *text,
			 const char *family)
{
	unsigned long long used = 0, size = 0;
	bool valid = sscanf(text, "%llu/%llu", &used, &size) == 2;

	if (family != snapshot_valid && !valid)
		return;
	announce(p, family, "gauge",
		 family == snapshot_used ? "How much of a snapshot's COW device is taken." :
		 family == snapshot_size ? "Size of a snapshot's COW device." :
					   "0 once a snapshot is lost: invalid, or overflown.");
	put_head(p, family, rd, NULL, NULL);
	put_u64(p, family == snapshot_valid ? valid :
		   (family == snapshot_used ? used : size) * NDM_SECTOR_BYTES);
}

static void verity_row(struct page *p, const struct report_device *rd, const char *text)
{
	static const char name[] = "ndm_verity_corrupted";

	announce(p, name, "gauge", "1 once a block was found that does not match its hash.");
	put_head(p, name, rd, NULL, NULL);
	put_u64(p, *text == 'C');
}

static void integrity_row(struct page *p, const struct report_device *rd, const char *text)
{
	static const char name[] = "ndm_integrity_mismatches_total";

	announce(p, name, "counter", "Blocks whose tag did not match.");
	put_head(p, name, rd, NULL, NULL);
	put_u64(p, strtoull(text, NULL, 10));
}

/* Families come one after the other, so every one goes through all devices. */
enum family { PATH_UP, PATH_FAILURES, RAID_DEGRADED, RAID_SYNC, SNAP_USED, SNAP_SIZE, SNAP_VALID,
	      VERITY, INTEGRITY, FAMILIES };

static void target_row(struct page *p, const struct report_device *rd,
		       const struct ndm_target_status *line, char *text, enum family family)
{
	struct path_page paths = { p, rd, family == PATH_FAILURES };
	const char *type = line->type;

	if (family <= PATH_FAILURES && !strcmp(type, "multipath"))
		report_paths(text, path_row, &paths);
	else if ((family == RAID_DEGRADED || family == RAID_SYNC) && !strcmp(type, "mirror"))
		mirror_row(p, rd, text, family == RAID_SYNC);
	else if (family >= SNAP_USED && family <= SNAP_VALID &&
		 (!strcmp(type, "snapshot") || !strcmp(type, "snapshot-merge")))
		snapshot_row(p, rd, text, family == SNAP_USED ? snapshot_used :
					  family == SNAP_SIZE ? snapshot_size : snapshot_valid);
	else if (family == VERITY && !strcmp(type, "verity"))
		verity_row(p, rd, text);
	else if (family == INTEGRITY && !strcmp(type, "integrity"))
		integrity_row(p, rd, text);
}

/*
 * A device's rows of a family are told apart by path only, so a second target of the same type
 * in one device would say the same thing twice: the first is printed.
 */
static void target_rows(struct page *p)
{
	unsigned family, i, k, before;

	for (family = 0; family < FAMILIES; family++)
		for (i = 0; i < p->r->n; i++) {
			const struct report_device *rd = &p->r->devices[i];

			for (k = 0; k < rd->nlines; k++) {
				char *text;

				for (before = 0; before < k; before++)
					if (!strcmp(rd->lines[before].type, rd->lines[k].type))
						break;
				text = before == k ? strdup(rd->lines[k].text ? rd->lines[k].text : "") :
						     NULL;
				if (text)
					target_row(p, rd, &rd->lines[k], text, family);
				free(text);
			}
		}
}

void metrics_text(const struct report *r, struct ndm_str *out)
{
	struct page p = { .r = r, .out = out };

	server_rows(&p);
	counter_rows(&p);
	error_rows(&p);
	histogram_rows(&p);
	gauge_rows(&p);
	info_rows(&p);
	target_rows(&p);
}
