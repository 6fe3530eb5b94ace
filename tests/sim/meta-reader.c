/* SPDX-License-Identifier: BSD-2-Clause */
/* meta-reader.c - persistent-data on a simulated disk, as a reader sees it. */
#include "meta-reader.h"

#define BYTES 4096u

uint64_t reader_get(const void *p, unsigned bytes)
{
	const uint8_t *b = p;
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | b[bytes];
	return v;
}

/* crc32c, neither begun nor ended with what the library does */
static uint32_t checksum(const uint8_t *p, size_t n)
{
	static uint32_t table[256];
	uint32_t crc = UINT32_MAX;
	unsigned i, k;

	for (i = 256; !table[1] && i--;)
		for (table[i] = i, k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78u : table[i] >> 1;
	for (; n--; p++)
		crc = crc >> 8 ^ table[(crc ^ *p) & 255];
	return crc;
}

static uint8_t *block(const struct reader *r, uint64_t nr, uint32_t mask, unsigned nr_at)
{
	uint8_t *b = malloc(BYTES);

	if (nr >= sim_disk_nr(r->s, r->disk) / 8)
		sim_fail(r->s, "%s: block %llu lies behind the end", r->disk, (unsigned long long)nr);
	sim_disk_read(r->s, r->disk, nr * 8, 8, b);
	if (reader_get(b + nr_at, 8) != nr || reader_get(b, 4) != (checksum(b + 4, BYTES - 4) ^ mask))
		sim_fail(r->s, "%s: block %llu is not what it should be", r->disk, (unsigned long long)nr);
	return b;
}

bool reader_super(const struct reader *r, uint32_t mask, uint8_t *to)
{
	uint8_t *b;

	sim_disk_read(r->s, r->disk, 0, 8, to);
	if (!to[0] && !memcmp(to, to + 1, BYTES - 1))
		return false;
	b = block(r, 0, mask, 8);
	memcpy(to, b, BYTES);
	free(b);
	return true;
}

bool reader_next(const struct reader *r, uint64_t root, uint64_t *key, void *value, unsigned bytes)
{
	uint8_t *b = block(r, root, 121107, 8), *values;
	uint64_t n = reader_get(b + 16, 4), i, k, from = *key;
	bool leaf = reader_get(b + 4, 4) == 2, found = false;

	values = b + 32 + 8 * reader_get(b + 20, 4);
	for (i = 0; i < n && !found; i++) {
		k = reader_get(b + 32 + 8 * i, 8);
		if (leaf && k >= from) {
			*key = k;
			memcpy(value, values + bytes * i, bytes);
			found = true;
		} else if (!leaf && (i + 1 == n || reader_get(b + 40 + 8 * i, 8) > from)) {
			*key = from;
			found = reader_next(r, reader_get(values + 8 * i, 8), key, value, bytes);
		}
	}
	free(b);
	return found;
}

bool reader_lookup(const struct reader *r, uint64_t root, uint64_t key, void *value, unsigned bytes)
{
	uint64_t found = key;

	return reader_next(r, root, &found, value, bytes) && found == key;
}

uint64_t reader_array(const struct reader *r, uint64_t root, uint64_t index, unsigned bytes)
{
	uint64_t most = (BYTES - 24) / bytes, v;
	uint8_t nr[8], *b;

	if (!reader_lookup(r, root, index / most, nr, 8))
		sim_fail(r->s, "%s: an array without index %llu", r->disk, (unsigned long long)index);
	b = block(r, reader_get(nr, 8), 595846735, 16);
	if (reader_get(b + 8, 4) <= index % most)
		sim_fail(r->s, "%s: an array ends before index %llu", r->disk, (unsigned long long)index);
	v = reader_get(b + 24 + index % most * bytes, bytes);
	free(b);
	return v;
}

bool reader_bit(const struct reader *r, uint64_t root, uint64_t bit)
{
	return reader_array(r, root, bit / 64, 8) >> bit % 64 & 1;
}
