/* SPDX-License-Identifier: BSD-2-Clause */
/* thin-check.c - see thin-check.h.  All integers on disk are little-endian. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thin-check.h"

#define BLOCK 4096u
#define DEVICES 1024u

struct device { uint64_t id, mapped, counted; bool details, tree; };

struct check {
	void (*read)(void *arg, uint64_t block, uint8_t *data);
	void *arg;
	jmp_buf out;
	char why[200];
	uint64_t nr;				/* metadata blocks */
	uint32_t *refs, *said;			/* pointers seen; what the space map says */
	uint64_t nr_data;
	uint32_t *data_refs, *data_said;
	struct device devices[DEVICES];
	unsigned ndevices;
	struct device *device;			/* whose mappings are being read */
	bool first;				/* this leaf was not seen before */
};

static void __attribute__((noreturn, format(printf, 2, 3))) wrong(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof c->why, fmt, ap);
	va_end(ap);
	longjmp(c->out, 1);
}

static uint32_t le32(const uint8_t *p) { return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t le64(const uint8_t *p) { return le32(p) | (uint64_t)le32(p + 4) << 32; }

static uint32_t crc32c(const uint8_t *p, size_t n)
{
	static uint32_t table[256];
	uint32_t crc = UINT32_MAX, i, k;

	for (i = 0; i < 256 && !table[255]; i++)
		for (k = 0, table[i] = i; k < 8; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78 : 0);
	while (n--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 255];
	return crc;
}

/* to be freed */
static uint8_t *get(struct check *c, uint64_t nr, uint32_t mask, const char *what)
{
	uint8_t *d;

	if (nr && nr >= c->nr)
		wrong(c, "a %s is said to be in block %llu", what, (unsigned long long)nr);
	d = malloc(BLOCK);
	c->read(c->arg, nr, d);
	if ((crc32c(d + 4, BLOCK - 4) ^ mask) != le32(d))
		wrong(c, "block %llu, a %s: checksum", (unsigned long long)nr, what);
	if (le64(d + 8) != nr)
		wrong(c, "block %llu, a %s: says that it is %llu", (unsigned long long)nr, what,
		      (unsigned long long)le64(d + 8));
	return d;
}

typedef void entry_fn(struct check *, uint64_t key, const uint8_t *value);

/* One more pointer to a node; the first time it is looked into. */
static uint64_t tree(struct check *c, uint64_t nr, unsigned bytes, bool root, bool again, entry_fn *fn)
{
	uint8_t *n = get(c, nr, 121107, "btree node");
	unsigned flags = le32(n + 4), used = le32(n + 16), max = le32(n + 20), size = le32(n + 24), i;
	bool first = !again && c->refs[nr] == 0;
	uint64_t lowest;

	if (!again)
		c->refs[nr]++;
	if (size != (flags == 1 ? 8 : bytes) || (flags != 1 && flags != 2) || !max || max % 3 || used > max ||
	    32 + max * (8 + size) > BLOCK || (flags == 1 && !used))
		wrong(c, "node %llu has a wrong header", (unsigned long long)nr);
	if (!root && used < max / 3)
		wrong(c, "node %llu has %u entries of %u", (unsigned long long)nr, used, max);
	for (i = 0; i < used; i++) {
		uint64_t key = le64(n + 32 + 8 * i);
		const uint8_t *value = n + 32 + 8 * max + size * i;

		if (i && key <= le64(n + 32 + 8 * (i - 1)))
			wrong(c, "node %llu: keys are not in order", (unsigned long long)nr);
		if (flags == 2) {
			c->first = first;
			fn(c, key, value);
		} else if (tree(c, le64(value), bytes, false, !first, fn) < key) {
			wrong(c, "node %llu: a child's keys are lower than it says", (unsigned long long)nr);
		}
	}
	lowest = used ? le64(n + 32) : UINT64_MAX;
	free(n);
	return lowest;
}

/* ---- space maps ---- */

static unsigned count_at(const uint8_t *bitmap, unsigned i)
{
	const uint8_t *word = bitmap + 16 + i / 32 * 8;
	unsigned low = le64(word) >> 2 * (i % 32) & 1, high = le64(word) >> (2 * (i % 32) + 1) & 1;

	return low << 1 | high;
}

static uint64_t bitmap(struct check *c, const uint8_t *entry, uint64_t from, uint64_t nr, uint32_t *said)
{
	uint8_t *b = get(c, le64(entry), 240779, "bitmap");
	unsigned i, used = 0, first = UINT32_MAX;

	for (i = 0; i < 16320 && from + i < nr; i++) {
		said[from + i] = count_at(b, i);
		used += said[from + i] != 0;
		if (!said[from + i] && first == UINT32_MAX)
			first = i;
	}
	if (le32(entry + 8) != 16320 - used)
		wrong(c, "the index says %u free, the bitmap %u", le32(entry + 8), 16320 - used);
	if (first < le32(entry + 12))
		wrong(c, "%u is free, and none before %u should be", first, le32(entry + 12));
	c->refs[le64(entry)]++;
	free(b);
	return used;
}

static struct large { uint32_t *said; uint64_t nr; } large;	/* one check at a time */
static uint64_t data_used;

static void large_entry(struct check *c, uint64_t key, const uint8_t *value)
{
	if (key >= large.nr || large.said[key] != 3 || le32(value) < 3)
		wrong(c, "a large count of %u for %llu, which says %u", le32(value), (unsigned long long)key,
		      key < large.nr ? large.said[key] : 0);
	large.said[key] = le32(value) | 0x80000000;
}

static void large_done(struct check *c)
{
	uint64_t i;

	for (i = 0; i < large.nr; i++) {
		if (large.said[i] == 3)
			wrong(c, "%llu has no large count", (unsigned long long)i);
		large.said[i] &= 0x7fffffff;
	}
}

static void metadata_space(struct check *c, const uint8_t *root)
{
	uint64_t i, used = 0;
	uint8_t *index = get(c, le64(root + 16), 160478, "index");

	c->refs[le64(root + 16)]++;
	for (i = 0; i * 16320 < c->nr; i++)
		used += bitmap(c, index + 16 + 16 * i, i * 16320, c->nr, c->said);
	free(index);
	if (used != le64(root + 8))
		wrong(c, "%llu metadata blocks are used, the root says otherwise", (unsigned long long)used);
	large = (struct large){ c->said, c->nr };
	tree(c, le64(root + 24), 4, true, false, large_entry);
	large_done(c);
}

static void data_entry(struct check *c, uint64_t key, const uint8_t *value)
{
	if (key * 16320 >= c->nr_data)
		wrong(c, "a bitmap for data that does not exist");
	data_used += bitmap(c, value, key * 16320, c->nr_data, c->data_said);
}

static void data_space(struct check *c, const uint8_t *root)
{
	data_used = 0;
	tree(c, le64(root + 16), 16, true, false, data_entry);
	if (data_used != le64(root + 8))
		wrong(c, "%llu data blocks are used, the root says otherwise", (unsigned long long)data_used);
	large = (struct large){ c->data_said, c->nr_data };
	tree(c, le64(root + 24), 4, true, false, large_entry);
	large_done(c);
}

/* ---- devices ---- */

static struct device *device_of(struct check *c, uint64_t id)
{
	unsigned i;

	for (i = 0; i < c->ndevices; i++)
		if (c->devices[i].id == id)
			return &c->devices[i];
	if (c->ndevices == DEVICES)
		wrong(c, "more devices than this check knows");
	c->devices[c->ndevices] = (struct device){ .id = id };
	return &c->devices[c->ndevices++];
}

static void mapping(struct check *c, uint64_t key, const uint8_t *value)
{
	uint64_t block = le64(value) >> 24;

	(void)key;
	if (block >= c->nr_data)
		wrong(c, "data block %llu does not exist", (unsigned long long)block);
	if (c->first)
		c->data_refs[block]++;
	c->device->counted++;
}

static struct device nobody;

static void top_entry(struct check *c, uint64_t key, const uint8_t *value)
{
	bool first = c->first;

	c->device = c->device == &nobody ? &nobody : device_of(c, key);
	c->device->tree = true;
	tree(c, le64(value), 8, true, !first, mapping);
	if (!first)
		c->first = false;
}

static void details_entry(struct check *c, uint64_t key, const uint8_t *value)
{
	if (c->device == &nobody)
		return;
	device_of(c, key)->details = true;
	device_of(c, key)->mapped = le64(value);
}

static void held(struct check *c, uint64_t nr)
{
	uint8_t *super;

	if (!nr)
		return;
	super = get(c, nr, 160774, "metadata snapshot");
	c->refs[nr]++;
	c->device = &nobody;
	tree(c, le64(super + 320), 8, true, false, top_entry);
	tree(c, le64(super + 328), 24, true, false, details_entry);
	free(super);
}

static void compare(struct check *c)
{
	uint64_t i;

	for (i = 0; i < c->nr; i++)
		if (c->refs[i] != c->said[i])
			wrong(c, "metadata block %llu has %u pointers and count %u", (unsigned long long)i,
			      c->refs[i], c->said[i]);
	for (i = 0; i < c->nr_data; i++)
		if (c->data_refs[i] != c->data_said[i])
			wrong(c, "data block %llu has %u pointers and count %u", (unsigned long long)i,
			      c->data_refs[i], c->data_said[i]);
	for (i = 0; i < c->ndevices; i++) {
		struct device *d = &c->devices[i];

		if (!d->details || !d->tree)
			wrong(c, "device %llu has no %s", (unsigned long long)d->id, d->tree ? "details" : "tree");
		if (d->mapped != d->counted)
			wrong(c, "device %llu says %llu mapped, and it is %llu", (unsigned long long)d->id,
			      (unsigned long long)d->mapped, (unsigned long long)d->counted);
	}
}

static void all(struct check *c)
{
	uint8_t *super = get(c, 0, 160774, "superblock");

	if (le64(super + 32) != 27022010)
		wrong(c, "no superblock of a pool");
	c->nr = le64(super + 192);
	c->nr_data = le64(super + 64);
	if (c->nr > 255 * 16320 || c->nr_data > 1 << 24)
		wrong(c, "more blocks than this check believes");
	c->refs = calloc(c->nr, 4);
	c->said = calloc(c->nr, 4);
	c->data_refs = calloc(c->nr_data + 1, 4);
	c->data_said = calloc(c->nr_data + 1, 4);
	c->refs[0] = 1;
	metadata_space(c, super + 192);
	data_space(c, super + 64);
	c->device = NULL;
	tree(c, le64(super + 320), 8, true, false, top_entry);
	tree(c, le64(super + 328), 24, true, false, details_entry);
	held(c, le64(super + 56));
	compare(c);
	free(super);
}

const char *thin_check(void (*read)(void *arg, uint64_t block, uint8_t *data), void *arg)
{
	static struct check c;
	bool bad;

	c = (struct check){ .read = read, .arg = arg };
	bad = setjmp(c.out);
	if (!bad)
		all(&c);
	free(c.refs);
	free(c.said);
	free(c.data_refs);
	free(c.data_said);
	return bad ? c.why : NULL;
}
