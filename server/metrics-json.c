/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics-json.c - a report as JSON, at /status.json: what the page at / draws.
 *
 * client/schema/server-status.json says what is in it; tests/server/page.sh holds it to that.
 * Status lines are in it, tables are not: those of crypt have keys in them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#include "metrics-report.h"

static void put_field(struct ndm_str *out, const char *key, uint64_t value)
{
	ndm_printf(out, ",\"%s\":%llu", key, (unsigned long long)value);
}

static void put_io(struct ndm_str *out, const struct ndm_device_stats *s)
{
	unsigned g, b;

	ndm_printf(out, ",\"io\":{");
	for (g = 0; g < NDM_STAT_GROUPS; g++) {
		ndm_printf(out, "%s\"%s\":{\"ios\":%llu", g ? "," : "", report_groups[g],
			   (unsigned long long)s->group[g].ios);
		put_field(out, "bytes", s->group[g].sectors * NDM_SECTOR_BYTES);
		put_field(out, "errors", s->group[g].errors);
		put_field(out, "ns", s->group[g].ns);
		ndm_printf(out, ",\"latency\":[");
		for (b = 0; b < NDM_LATENCY_BUCKETS; b++)
			ndm_printf(out, "%s%llu", b ? "," : "",
				   (unsigned long long)s->group[g].latency[b]);
		ndm_printf(out, "]}");
	}
	ndm_printf(out, "}");
}

static void put_deps(struct ndm_str *out, const struct report *r, const struct report_device *rd)
{
	unsigned i;

	ndm_printf(out, ",\"deps\":[");
	for (i = 0; i < rd->ndeps; i++) {
		struct ndm_str name = { 0 };

		report_dep_name(r, rd->deps[i][0], rd->deps[i][1], &name);
		ndm_printf(out, "%s{\"device\":\"%u:%u\",\"mapped\":%s,\"name\":", i ? "," : "",
			   rd->deps[i][0], rd->deps[i][1],
			   rd->deps[i][0] == NDM_MAJOR ? "true" : "false");
		ndm_json_string(out, name.text ? name.text : "");
		ndm_printf(out, "}");
		ndm_str_free(&name);
	}
	ndm_printf(out, "]");
}

static void put_targets(struct ndm_str *out, const struct report_device *rd)
{
	unsigned i;

	ndm_printf(out, ",\"targets\":[");
	for (i = 0; i < rd->nlines; i++) {
		const struct ndm_target_status *line = &rd->lines[i];

		ndm_printf(out, "%s{\"type\":", i ? "," : "");
		ndm_json_string(out, line->type);
		put_field(out, "start", line->start);
		put_field(out, "length", line->nr);
		ndm_printf(out, ",\"status\":");
		ndm_json_string(out, line->text ? line->text : "");
		ndm_printf(out, "}");
	}
	ndm_printf(out, "]");
}

struct path_list { struct ndm_str *out; const struct report *r; unsigned n; };

static void put_path(void *arg, const struct report_path *path)
{
	struct path_list *list = arg;
	struct ndm_str name = { 0 };
	unsigned major, minor;

	ndm_printf(list->out, "%s{\"device\":", list->n++ ? "," : "");
	ndm_json_string(list->out, path->device);
	if (sscanf(path->device, "%u:%u", &major, &minor) == 2)
		report_dep_name(list->r, major, minor, &name);
	ndm_printf(list->out, ",\"name\":");
	ndm_json_string(list->out, name.text ? name.text : path->device);
	ndm_str_free(&name);
	put_field(list->out, "group", path->group);
	ndm_printf(list->out, ",\"up\":%s", path->up ? "true" : "false");
	put_field(list->out, "failures", path->failures);
	ndm_printf(list->out, "}");
}

static void put_paths(struct ndm_str *out, const struct report *r, const struct report_device *rd)
{
	struct path_list list = { out, r, 0 };
	unsigned i;

	ndm_printf(out, ",\"paths\":[");
	for (i = 0; i < rd->nlines; i++) {
		char *text = strcmp(rd->lines[i].type, "multipath") || !rd->lines[i].text ? NULL :
			     strdup(rd->lines[i].text);

		if (text)
			report_paths(text, put_path, &list);
		free(text);
	}
	ndm_printf(out, "]");
}

static void put_device(struct ndm_str *out, const struct report *r, const struct report_device *rd)
{
	unsigned flags = rd->info.flags;

	ndm_printf(out, "{\"name\":");
	ndm_json_string(out, rd->info.name);
	ndm_printf(out, ",\"uuid\":");
	ndm_json_string(out, rd->info.uuid);
	ndm_printf(out, ",\"device\":\"%u:%u\",\"state\":\"%s\",\"read_only\":%s,\"inactive_table\":%s",
		   NDM_MAJOR, rd->info.minor, flags & NDM_DEVICE_SUSPENDED ? "suspended" :
		   flags & NDM_DEVICE_LIVE ? "active" : "empty",
		   flags & NDM_DEVICE_READ_ONLY ? "true" : "false",
		   flags & NDM_DEVICE_INACTIVE ? "true" : "false");
	put_field(out, "bytes", rd->info.nr * NDM_SECTOR_BYTES);
	put_field(out, "open_count", rd->info.open_count);
	put_field(out, "events", rd->info.event_nr);
	put_field(out, "in_flight", rd->stats.in_flight);
	put_field(out, "busy_ns", rd->stats.busy_ns);
	put_io(out, &rd->stats);
	put_targets(out, rd);
	put_paths(out, r, rd);
	put_deps(out, r, rd);
	ndm_printf(out, "}");
}

void metrics_json(const struct report *r, struct ndm_str *out)
{
	unsigned i;

	ndm_printf(out, "{\"version\":\"%s\"", VERSION);
	put_field(out, "now_ns", r->now_ns);
	put_field(out, "connections", r->connections);
	put_field(out, "requests", r->requests);
	put_field(out, "errors", r->errors);
	put_field(out, "received_bytes", r->received_bytes);
	put_field(out, "sent_bytes", r->sent_bytes);
	ndm_printf(out, ",\"latency_bounds_ns\":[");
	for (i = 0; i + 1 < NDM_LATENCY_BUCKETS; i++)
		ndm_printf(out, "%s%llu", i ? "," : "", 1024ull << i);
	ndm_printf(out, "],\"devices\":[");
	for (i = 0; i < r->n; i++) {
		ndm_printf(out, i ? ",\n" : "\n");
		put_device(out, r, &r->devices[i]);
	}
	ndm_printf(out, "]}\n");
}
