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

#include "metrics-page.h"

void page_announce(struct page *p, const char *name, const char *type, const char *text)
{
	if (p->family == name)
		return;
	p->family = name;
	ndm_printf(p->out, "# HELP %s %s\n# TYPE %s %s\n", name, text, name, type);
}

void page_label(struct page *p, const char *key, const char *text)
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

void page_head(struct page *p, const char *name, const struct report_device *rd, const char *key,
	       const char *value)
{
	ndm_printf(p->out, "%s{", name);
	page_label(p, "device", rd->info.name);
	if (key) {
		ndm_str_put(p->out, ",", 1);
		page_label(p, key, value);
	}
}

void page_u64(struct page *p, uint64_t value)
{
	ndm_printf(p->out, "} %llu\n", (unsigned long long)value);
}

void page_seconds(struct page *p, uint64_t ns)
{
	ndm_printf(p->out, "} %llu.%09llu\n", (unsigned long long)(ns / 1000000000),
		   (unsigned long long)(ns % 1000000000));
}

/* ---- the server ---- */

static void server_rows(struct page *p)
{
	const struct { const char *name, *text; uint64_t value; } rows[] = {
		{ "ndm_nbd_received_requests_total", "NBD requests received, refused ones too.",
		  p->r->requests },
		{ "ndm_nbd_errors_total", "NBD requests answered with an error.", p->r->errors },
		{ "ndm_nbd_received_bytes_total", "Bytes of requests and their data.",
		  p->r->received_bytes },
		{ "ndm_nbd_sent_bytes_total", "Bytes of replies and their data.", p->r->sent_bytes },
		{ "ndm_nbd_tls_handshakes_total", "TLS handshakes completed.", p->r->tls },
		{ "ndm_nbd_ktls_handshakes_total", "Those whose replies the kernel encrypts.",
		  p->r->ktls },
	};
	unsigned i;

	page_announce(p, "ndm_build_info", "gauge", "1; the version is a label.");
	ndm_printf(p->out, "ndm_build_info{version=\"%s\"} 1\n", VERSION);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		page_announce(p, rows[i].name, "counter", rows[i].text);
		ndm_printf(p->out, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
	}
	page_announce(p, "ndm_nbd_connections", "gauge", "Clients connected now.");
	ndm_printf(p->out, "ndm_nbd_connections %u\n", p->r->connections);
	page_announce(p, "ndm_nbd_tls_connections", "gauge", "Those of them that are encrypted.");
	ndm_printf(p->out, "ndm_nbd_tls_connections %u\n", p->r->tls_connections);
}

/* ---- exports ---- */

static void export_head(struct page *p, const char *name, const struct report_device *rd)
{
	ndm_printf(p->out, "%s{", name);
	page_label(p, "export", rd->export);
}

static void export_rows(struct page *p)
{
	static const char *const cmds[NDM_OPS] = {
		[NDM_READ] = "read", [NDM_WRITE] = "write", [NDM_FLUSH] = "flush",
		[NDM_DISCARD] = "trim", [NDM_ZEROES] = "write_zeroes",
		[NDM_EXTENTS] = "block_status", [NDM_CACHE] = "cache",
	};
	static const char requests[] = "ndm_nbd_requests_total", clients[] = "ndm_nbd_export_connections";
	const struct report_device *rd;
	unsigned i, op;

	for (i = 0; i < p->r->n; i++) {
		rd = &p->r->devices[i];
		for (op = 0; op < NDM_OPS && rd->export; op++) {
			page_announce(p, requests, "counter", "NBD requests that came to an export.");
			export_head(p, requests, rd);
			ndm_printf(p->out, ",cmd=\"%s\"", cmds[op]);
			page_u64(p, rd->stats.requests[op]);
		}
	}
	for (i = 0; i < p->r->n; i++) {
		rd = &p->r->devices[i];
		if (!rd->export)
			continue;
		page_announce(p, clients, "gauge", "Clients that have an export open.");
		export_head(p, clients, rd);
		page_u64(p, rd->clients);
	}
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
			page_announce(p, counters[k].name, "counter", counters[k].text);
			page_head(p, counters[k].name, rd, NULL, NULL);
			if (counters[k].what == IOS)
				page_u64(p, rd->stats.group[counters[k].group].ios);
			else if (counters[k].what == BYTES)
				page_u64(p, rd->stats.group[counters[k].group].sectors * NDM_SECTOR_BYTES);
			else
				page_seconds(p, rd->stats.group[counters[k].group].ns);
		}
}

static void error_rows(struct page *p)
{
	static const char name[] = "ndm_device_io_errors_total";
	unsigned i, g;

	for (i = 0; i < p->r->n; i++)
		for (g = 0; g < NDM_STAT_GROUPS; g++) {
			page_announce(p, name, "counter", "Requests that failed.");
			page_head(p, name, &p->r->devices[i], "op", report_groups[g]);
			page_u64(p, p->r->devices[i].stats.group[g].errors);
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

			page_announce(p, name, "histogram", "How long requests took.");
			for (b = 0; b < NDM_LATENCY_BUCKETS; b++) {
				total += rd->stats.group[g].latency[b];
				if (b + 1 < NDM_LATENCY_BUCKETS)
					snprintf(le, sizeof le, "%.9g", (double)(1024ull << b) / 1e9);
				else
					strcpy(le, "+Inf");
				page_head(p, "ndm_device_io_duration_seconds_bucket", rd, "op",
					 report_groups[g]);
				ndm_printf(p->out, ",le=\"%s\"", le);
				page_u64(p, total);
			}
			page_head(p, "ndm_device_io_duration_seconds_sum", rd, "op", report_groups[g]);
			page_seconds(p, rd->stats.group[g].ns);
			page_head(p, "ndm_device_io_duration_seconds_count", rd, "op", report_groups[g]);
			page_u64(p, total);
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
			page_announce(p, gauges[k].name, gauges[k].type, gauges[k].text);
			page_head(p, gauges[k].name, &p->r->devices[i], NULL, NULL);
			page_u64(p, gauges[k].get(&p->r->devices[i]));
		}
	for (i = 0; i < p->r->n; i++) {
		page_announce(p, "ndm_device_io_time_seconds_total", "counter",
			 "Time with at least one request in flight.");
		page_head(p, "ndm_device_io_time_seconds_total", &p->r->devices[i], NULL, NULL);
		page_seconds(p, p->r->devices[i].stats.busy_ns);
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
		page_announce(p, "ndm_device_info", "gauge", "1; what the device is, in labels.");
		page_head(p, "ndm_device_info", rd, "uuid", rd->info.uuid);
		ndm_printf(p->out, ",");
		page_label(p, "target", types.text ? types.text : "");
		ndm_printf(p->out, ",");
		page_label(p, "table_hash", rd->table_hash);
		page_u64(p, 1);
		ndm_str_free(&types);
	}
}

void metrics_text(const struct report *r, struct ndm_str *out)
{
	struct page p = { .r = r, .out = out };

	server_rows(&p);
	export_rows(&p);
	counter_rows(&p);
	error_rows(&p);
	histogram_rows(&p);
	gauge_rows(&p);
	info_rows(&p);
	page_targets(&p);
}
