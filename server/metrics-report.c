/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics-report.c - takes down what metrics-text.c and metrics-json.c print.
 *
 * Status and dependencies are at a device's home loop, so that it has to be waited for; a device
 * that is removed meanwhile stays in the report with what is known of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metrics-report.h"
#include "tls.h"

const char *const report_groups[NDM_STAT_GROUPS] = {
	[NDM_STAT_READ] = "read",
	[NDM_STAT_WRITE] = "write",
	[NDM_STAT_DISCARD] = "discard",
	[NDM_STAT_FLUSH] = "flush",
};

/* ---- taking ---- */

static uint64_t sum(struct ndmd *d, size_t field)
{
	uint64_t total = 0;
	unsigned i;

	for (i = 0; i < d->nworkers; i++)
		total += atomic_load_explicit((_Atomic uint64_t *)((char *)&d->workers[i].count + field),
					      memory_order_relaxed);
	return total;
}

static int hold_devices(struct ndmd *d, struct report *r)
{
	struct ndm_device *dev;
	unsigned n = 0;

	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev))
		n++;
	r->devices = calloc(n ? n : 1, sizeof *r->devices);
	if (!r->devices)
		return -ENOMEM;
	for (dev = ndm_device_first(d->context); dev; dev = ndm_device_next(dev)) {
		ndm_device_hold(dev);
		r->devices[r->n++].device = dev;
	}
	return 0;
}

static void table_hash(struct report_device *rd)
{
	struct ndm_str text = { 0 };
	uint8_t digest[TLS_SHA256_BYTES];
	unsigned i;

	for (i = 0; i < rd->ntable; i++)
		ndm_printf(&text, "%llu %llu %s %s\n", (unsigned long long)rd->table[i].start,
			   (unsigned long long)rd->table[i].nr, rd->table[i].type,
			   rd->table[i].text ? rd->table[i].text : "");
	if (text.len && !tls_sha256(text.text, text.len, digest))
		for (i = 0; i < REPORT_HASH_CHARS / 2; i++)
			snprintf(rd->table_hash + 2 * i, 3, "%02x", digest[i]);
	ndm_str_free(&text);
}

static bool export_take(void *arg, const struct export *e)
{
	struct report *r = arg;
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (r->devices[i].device == e->device) {
			r->devices[i].export = strdup(e->name);
			r->devices[i].clients = exports_clients(e->device);
		}
	return true;
}

static void device_take(struct report_device *rd) ndm_waits;
static void device_take(struct report_device *rd)
{
	bool read_only;

	ndm_device_info(rd->device, &rd->info);
	if (rd->info.flags & NDM_DEVICE_LIVE) {
		if (ndm_device_status(rd->device, NDM_STATUS_INFO, NDM_STATUS_NOFLUSH, false,
				      &rd->lines, &rd->nlines, &read_only))
			rd->nlines = 0;
		if (ndm_device_status(rd->device, NDM_STATUS_TABLE, NDM_STATUS_NOFLUSH, false,
				      &rd->table, &rd->ntable, &read_only))
			rd->ntable = 0;
		ndm_device_counters(rd->device, &rd->counters);
		table_hash(rd);
		if (ndm_device_deps(rd->device, false, &rd->deps, &rd->ndeps))
			rd->ndeps = 0;
	}
	ndm_device_stats(rd->device, &rd->stats);
	ndm_device_put(rd->device);
	rd->device = NULL;
}

int report_take(struct ndmd *d, struct report *r)
{
	unsigned i;
	int err;

	memset(r, 0, sizeof *r);
	err = hold_devices(d, r);
	if (err)
		return err;
	exports_each(d, NULL, export_take, r);
	for (i = 0; i < r->n; i++)
		device_take(&r->devices[i]);
	ndm_context_backings(d->context, &r->backings);
	r->requests = sum(d, offsetof(struct worker_counters, requests));
	r->errors = sum(d, offsetof(struct worker_counters, replies_failed));
	r->received_bytes = sum(d, offsetof(struct worker_counters, bytes_in));
	r->sent_bytes = sum(d, offsetof(struct worker_counters, bytes_out));
	r->tls = sum(d, offsetof(struct worker_counters, tls));
	r->ktls = sum(d, offsetof(struct worker_counters, ktls));
	r->connections = atomic_load(&d->nconns);
	r->tls_connections = d->tls ? tls_connections(d->tls) : 0;
	r->now_ns = ndm_now(d->workers[0].loop);
	return 0;
}

void report_free(struct report *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++) {
		ndm_target_status_free(r->devices[i].lines, r->devices[i].nlines);
		ndm_target_status_free(r->devices[i].table, r->devices[i].ntable);
		ndm_counters_free(&r->devices[i].counters);
		free(r->devices[i].export);
		ndm_free(r->devices[i].deps);
	}
	free(r->devices);
	ndm_str_free(&r->backings);
}

/* ---- names ---- */

void report_dep_name(const struct report *r, unsigned major, unsigned minor, struct ndm_str *out)
{
	const char *line = r->backings.text, *end;
	char key[32];
	size_t bytes;
	unsigned i;

	if (major == NDM_MAJOR) {
		for (i = 0; i < r->n; i++)
			if (r->devices[i].info.minor == minor) {
				ndm_printf(out, "%s", r->devices[i].info.name);
				return;
			}
	}
	bytes = (size_t)snprintf(key, sizeof key, "%u:%u\t", major, minor);
	for (; line && *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (!strncmp(line, key, bytes)) {
			ndm_str_put(out, line + bytes, (size_t)(end - line) - bytes);
			return;
		}
	}
	ndm_printf(out, "%u:%u", major, minor);
}

/* ---- words of status lines ---- */

char *words_next(struct words *w)
{
	char *word;

	while ((word = strsep(&w->rest, " ")) && !*word)
		;
	return word;
}

bool words_number(struct words *w, uint64_t *value)
{
	char *word = words_next(w), *end;

	if (!word || *word < '0' || *word > '9')
		return false;
	*value = strtoull(word, &end, 10);
	return !*end;
}

void words_skip(struct words *w, uint64_t n)
{
	while (n-- && words_next(w))
		;
}

/* one group: its state, the selector's words, then paths with a fixed number of words each */
static bool group_paths(struct words *w, unsigned group,
			void (*fn)(void *, const struct report_path *), void *arg)
{
	uint64_t nwords, npaths, each;
	const char *state;

	if (!words_next(w) || !words_number(w, &nwords))
		return false;
	words_skip(w, nwords);
	if (!words_number(w, &npaths) || !words_number(w, &each))
		return false;
	while (npaths--) {
		struct report_path path = { .device = words_next(w), .group = group };

		state = words_next(w);
		if (!state || !words_number(w, &path.failures))
			return false;
		path.up = *state == 'A';
		fn(arg, &path);
		words_skip(w, each);
	}
	return true;
}

/* "FEATURES words HANDLER words GROUPS NEXT group..." */
void report_paths(char *text, void (*fn)(void *, const struct report_path *), void *arg)
{
	struct words w = { text };
	uint64_t n, i;

	for (i = 0; i < 2; i++) {
		if (!words_number(&w, &n))
			return;
		words_skip(&w, n);
	}
	if (!words_number(&w, &n) || !words_next(&w))
		return;
	for (i = 1; i <= n; i++)
		if (!group_paths(&w, (unsigned)i, fn, arg))
			return;
}
