/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thin-delta.c - `ndm thin-delta POOL --from A --to B`: which blocks differ between two thin
 * devices of a pool, by their mappings alone.  The metadata are read as an export of ndmd or as
 * a file; both trees of mappings are walked, and every block number is checked.
 */
#include "client/bytes.h"
#include "client/export.h"
#include "client/nbd.h"
#include "client/task.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 4096u
#define HEADER_BYTES 32u
#define DEPTH_MAX 12u
#define THIN_MAGIC 27022010u
#define LEAF 2u

struct map { uint64_t from, to; };	/* a block of the device, and of the pool */
struct maps { struct map *list; size_t n, room; };

struct metadata {
	int fd;				/* a file, or -1 */
	struct nbd nbd;
	uint64_t blocks;
};

static bool block_read(struct metadata *m, uint64_t block, uint8_t *out)
{
	uint64_t at = block * BLOCK_BYTES;

	if (block >= m->blocks)
		return false;
	return m->fd >= 0 ? pread(m->fd, out, BLOCK_BYTES, (off_t)at) == BLOCK_BYTES
			  : !nbdc_read(&m->nbd, at, out, BLOCK_BYTES);
}

/* ---- trees ---- */

static bool maps_put(struct maps *maps, uint64_t key, uint64_t value)
{
	struct map *more;

	if (maps->n && maps->list[maps->n - 1].from >= key)
		return false;			/* keys ascend, or the tree is broken */
	if (maps->n == maps->room) {
		more = realloc(maps->list, (maps->room * 2 + 1024) * sizeof(*more));
		if (!more)
			return false;
		maps->list = more;
		maps->room = maps->room * 2 + 1024;
	}
	maps->list[maps->n++] = (struct map){ key, value };
	return true;
}

static bool tree_walk(struct metadata *m, uint64_t block, unsigned depth, struct maps *out)
{
	uint8_t *node = malloc(BLOCK_BYTES);
	uint32_t n, max, i;
	bool ok = node && depth < DEPTH_MAX && block_read(m, block, node);

	n = ok ? le32_get(node + 16) : 0;
	max = ok ? le32_get(node + 20) : 0;
	ok = ok && le64_get(node + 8) == block && max <= (BLOCK_BYTES - HEADER_BYTES) / 16 && n <= max &&
	     le32_get(node + 24) == 8;
	for (i = 0; ok && i < n; i++) {
		uint64_t key = le64_get(node + HEADER_BYTES + 8 * i);
		uint64_t value = le64_get(node + HEADER_BYTES + 8 * (max + i));

		ok = le32_get(node + 4) & LEAF ? maps_put(out, key, value)
					    : tree_walk(m, value, depth + 1, out);
	}
	free(node);
	return ok;
}

static bool device_maps(struct metadata *m, uint64_t id, struct maps *out, uint32_t *block_sectors)
{
	uint8_t super[BLOCK_BYTES];
	struct maps devices = { 0 };
	bool ok = block_read(m, 0, super) && le64_get(super + 32) == THIN_MAGIC;
	size_t i;

	if (!ok)
		say("ndm thin-delta: there is no metadata of a thin pool");
	*block_sectors = ok ? le32_get(super + 336) : 0;
	if (ok && !tree_walk(m, le64_get(super + 320), 0, &devices)) {
		say("ndm thin-delta: the metadata are damaged");
		ok = false;
	}
	for (i = 0; ok && i < devices.n && devices.list[i].from != id; i++)
		;
	if (ok && i == devices.n) {
		say("ndm thin-delta: the pool has no device %llu", (unsigned long long)id);
		ok = false;
	} else if (ok && !tree_walk(m, devices.list[i].to, 0, out)) {
		say("ndm thin-delta: the mappings of device %llu are damaged", (unsigned long long)id);
		ok = false;
	}
	free(devices.list);
	return ok;
}

/* ---- what differs ---- */

enum kind { SAME, DIFFERENT, LEFT_ONLY, RIGHT_ONLY };
static const char *const kinds[] = { "same", "different", "left_only", "right_only" };

struct runs { struct run { uint64_t begin, length; enum kind kind; } *list; size_t n, room; };

static void runs_put(struct runs *r, uint64_t at, enum kind kind)
{
	struct run *last = r->n ? &r->list[r->n - 1] : NULL, *more;

	if (last && last->kind == kind && last->begin + last->length == at) {
		last->length++;
		return;
	}
	if (r->n == r->room) {
		more = realloc(r->list, (r->room * 2 + 64) * sizeof(*more));
		if (!more)
			return;
		r->list = more;
		r->room = r->room * 2 + 64;
	}
	r->list[r->n++] = (struct run){ at, 1, kind };
}

/* The time of a mapping (its low 24 bits) is no part of where it leads. */
static void compare(const struct maps *a, const struct maps *b, struct runs *out)
{
	size_t i = 0, j = 0;

	while (i < a->n || j < b->n)
		if (j == b->n || (i < a->n && a->list[i].from < b->list[j].from)) {
			runs_put(out, a->list[i++].from, LEFT_ONLY);
		} else if (i == a->n || b->list[j].from < a->list[i].from) {
			runs_put(out, b->list[j++].from, RIGHT_ONLY);
		} else {
			runs_put(out, a->list[i].from,
				 a->list[i].to >> 24 == b->list[j].to >> 24 ? SAME : DIFFERENT);
			i++;
			j++;
		}
}

static void print(const struct runs *r, uint32_t block_sectors, bool as_json)
{
	struct json json = { .out = stdout, .first = true, .one_line = true };
	size_t i, k;

	for (i = 0; !as_json && i < r->n; i++)
		printf("%-10s %llu +%llu\n", kinds[r->list[i].kind], (unsigned long long)r->list[i].begin,
		       (unsigned long long)r->list[i].length);
	if (!as_json)
		return;
	json_open(&json, '{');
	for (k = DIFFERENT; k <= RIGHT_ONLY; k++) {
		json_name(&json, kinds[k]);
		json_open(&json, '[');
		for (i = 0; i < r->n; i++)
			if (r->list[i].kind == k) {
				json_open(&json, '{');
				json_name(&json, "begin");
				json_number(&json, r->list[i].begin);
				json_name(&json, "length");
				json_number(&json, r->list[i].length);
				json_close(&json, '}');
			}
		json_close(&json, ']');
	}
	json_name(&json, "block_sectors");
	json_number(&json, block_sectors);
	json_close(&json, '}');
	printf("\n");
}

/* ---- names ---- */

/* "VG/LV" and what an export is called; LV alone beside a pool "VG/POOL" */
static const struct export *find(const struct exports *all, const char *pool, const char *name)
{
	const char *slash = strchr(pool, '/');
	const struct export *e = exports_find(all, name);
	char *full = e || !slash ? NULL : text_format("%.*s/%s", (int)(slash - pool), pool, name);

	if (full)
		e = exports_find(all, full);
	free(full);
	return e;
}

/* A number, or the id in the table of that thin device. */
static bool device_id(struct client *client, const struct exports *all, const char *pool,
		      const char *name, uint64_t *id)
{
	const struct export *e = all ? find(all, pool, name) : NULL;
	struct task *task;
	unsigned long long n;
	char *end;
	bool ok;

	n = strtoull(name, &end, 10);
	*id = n;
	if (*name && !*end)
		return true;
	task = all ? task_new(client, TASK_TABLE) : NULL;
	ok = task && task_set_name(task, e ? e->device : name) && task_run(task) && task->nr_lines == 1 &&
	     !strcmp(task->lines[0].type, "thin") && sscanf(task->lines[0].params, "%*s %llu", &n) == 1;
	*id = n;
	task_free(task);
	if (!ok)
		say("ndm thin-delta: '%s' is no thin device", name);
	return ok;
}

/* POOL is a file of metadata, or VG/POOL or a name whose metadata are exported as POOL_tmeta. */
static bool metadata_open(struct metadata *m, const struct exports *all, const char *pool)
{
	char *name = all ? text_format("%s_tmeta", pool) : NULL, *uri = NULL;
	off_t bytes;
	bool ok = false;

	m->fd = all ? -1 : open(pool, O_RDONLY | O_CLOEXEC);
	if (m->fd >= 0) {
		bytes = lseek(m->fd, 0, SEEK_END);
		m->blocks = bytes > 0 ? (uint64_t)bytes / BLOCK_BYTES : 0;
		ok = true;
	} else if (all && name && all->nr_listeners) {
		uri = export_uri(all->listeners[0], exports_find(all, name) ? name : pool);
		ok = uri && !nbdc_connect(&m->nbd, uri);
		m->blocks = ok ? m->nbd.bytes / BLOCK_BYTES : 0;
	} else {
		say("ndm thin-delta: %s: %s", pool, strerror(errno));
	}
	free(uri);
	free(name);
	return ok;
}

static int delta(struct client *client, const char *pool, const char *from, const char *to, bool as_json)
{
	bool is_file = !access(pool, R_OK);
	struct exports all = { 0 };
	struct metadata m = { .fd = -1 };
	struct maps left = { 0 }, right = { 0 };
	struct runs runs = { 0 };
	uint32_t block_sectors = 0;
	uint64_t a, b;
	bool ok = is_file || !exports_read(client, &all);

	ok = ok && device_id(client, is_file ? NULL : &all, pool, from, &a) &&
	     device_id(client, is_file ? NULL : &all, pool, to, &b) &&
	     metadata_open(&m, is_file ? NULL : &all, pool);
	if (ok) {
		ok = device_maps(&m, a, &left, &block_sectors) && device_maps(&m, b, &right, &block_sectors);
		if (m.fd < 0)
			nbdc_close(&m.nbd);
		else
			close(m.fd);
	}
	if (ok) {
		compare(&left, &right, &runs);
		print(&runs, block_sectors, as_json);
	}
	free(runs.list);
	free(left.list);
	free(right.list);
	if (!is_file)
		exports_free(&all);
	return ok ? 0 : 1;
}

int thin_delta_main(struct client *client, int argc, char **argv)
{
	static const struct option list[] = { { "from", required_argument, NULL, 'f' },
					      { "to", required_argument, NULL, 't' },
					      { "json", no_argument, NULL, 'j' },
					      { "control", required_argument, NULL, 'c' },
					      { NULL, 0, NULL, 0 } };
	const char *from = NULL, *to = NULL;
	bool as_json = false, bad = false;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "j", list, NULL)) != -1)
		if (option == 'f') {
			from = optarg;
		} else if (option == 't') {
			to = optarg;
		} else if (option == 'j') {
			as_json = true;
		} else if (option == 'c') {
			free(client->control);
			client->control = strdup(optarg);
		} else {
			bad = true;
		}
	if (bad || !from || !to || optind + 1 != argc) {
		say("Usage: ndm thin-delta [--json] POOL|FILE --from DEVICE|ID --to DEVICE|ID");
		return 1;
	}
	return delta(client, argv[optind], from, to, as_json);
}
