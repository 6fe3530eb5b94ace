/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * persistent.c - store P on the COW device.  Little-endian:
 *
 *	chunk 0			header: magic "SnAp", valid (1, 0), version 1, chunk size in sectors
 *	chunk 1 + k * (E + 1)	area k: E entries of {old chunk, new chunk}, 16 bytes each
 *	all other chunks	data
 *
 * E = bytes of a chunk / 16.  An entry whose new chunk is 0 ends the list; after a full area
 * the next one is read.  Therefore the next area is zeroed on disk before an area that has
 * become full is written.
 *
 * An exception counts once its area is on stable storage.  Areas are written whole, behind a
 * flush (the copied data comes first) and durably.  Exceptions that are on their way at the
 * same time share one write: the last of them, or the one that fills the area, does it for
 * all (struct batch).
 *
 * Crash states: the area is written or not; entries never change until a merge takes them
 * away from the end.
 */
#include "snapshot.h"

#define MAGIC 0x70416e53u
#define VERSION 1
#define HEADER_CHUNKS 1
#define ENTRY_BYTES 16
#define DEFAULT_CHUNK_SECTORS 32u

struct batch {					/* exceptions of one area write */
	unsigned refs;
	bool done;
	int result;
	struct ndm_waitq q;
};

struct pstore {
	bool valid;
	unsigned per_area;			/* E */
	uint64_t area;				/* the one that is being filled */
	unsigned committed;			/* entries in it */
	unsigned pending;			/* allocated, not yet committed */
	unsigned char *entries;			/* the area, as on disk */
	unsigned char *zeroes, *header;		/* had in time: they are needed when memory is short */
	size_t bytes;
	struct batch *batch;
	struct ndm_mutex writing;
};

static uint64_t get_le(const unsigned char *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void put_le(unsigned char *p, unsigned bytes, uint64_t v)
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

int pstore_new(struct store *s)
{
	s->p = ndm_zalloc(sizeof *s->p);
	if (!s->p)
		return -ENOMEM;
	s->p->valid = true;
	s->next_free = HEADER_CHUNKS + 1;	/* header and first area */
	ndm_mutex_init(&s->p->writing, s->loop);
	return 0;
}

void pstore_free(struct pstore *p)
{
	ndm_free(p->batch);
	ndm_free(p->entries);
	ndm_free(p->zeroes);
	ndm_free(p->header);
	ndm_free(p);
}

static uint64_t area_chunk(const struct pstore *p, uint64_t area)
{
	return HEADER_CHUNKS + (p->per_area + 1) * area;
}

static void skip_metadata(struct store *s)
{
	if (s->next_free % (s->p->per_area + 1) == HEADER_CHUNKS)
		s->next_free++;
}

void pstore_promise(struct store *s)
{
	skip_metadata(s);
	s->p->pending++;
}

uint64_t pstore_metadata_chunks(const struct store *s)
{
	return s->p->area + 1 + HEADER_CHUNKS;
}

/* ---- chunks of metadata ---- */

static int chunk_rw(struct store *s, enum ndm_op op, unsigned flags, uint64_t chunk, void *buf)
{
	uint64_t sector = chunk * s->chunk_sectors;

	if (sector + s->chunk_sectors > s->cow->store->nr)
		return -EIO;
	return ndm_rw(s->cow->store, op, flags | NDM_META, sector, s->chunk_sectors, buf);
}

/* behind everything written before, and durable itself */
static int area_write(struct store *s)
{
	int err = ndm_flush(s->cow->store);

	if (!err)
		err = NDM_MOMENT(s->loop, "snapshot.commit.before-area");
	return err ? err : chunk_rw(s, NDM_WRITE, NDM_FUA, area_chunk(s->p, s->p->area),
				    s->p->entries);
}

static int area_zero(struct store *s, uint64_t area)
{
	return chunk_rw(s, NDM_WRITE, 0, area_chunk(s->p, area), s->p->zeroes);
}

static int header_write(struct store *s)
{
	unsigned char *h = s->p->header;

	put_le(h, 4, MAGIC);
	put_le(h + 4, 4, s->p->valid);
	put_le(h + 8, 4, VERSION);
	put_le(h + 12, 4, s->chunk_sectors);
	return chunk_rw(s, NDM_WRITE, NDM_FUA, 0, h);
}

static int area_allocate(struct store *s)
{
	struct pstore *p = s->p;

	p->bytes = (size_t)s->chunk_sectors * NDM_SECTOR_BYTES;
	p->per_area = p->bytes / ENTRY_BYTES;
	p->entries = ndm_zalloc(p->bytes);
	p->zeroes = ndm_zalloc(p->bytes);
	p->header = ndm_zalloc(p->bytes);
	return p->entries && p->zeroes && p->header ? 0 : -ENOMEM;
}

/* ---- reading ---- */

/* the header's chunk size wins over the table's */
static int header_take(struct ndm_target *ti, struct ndm_dev *origin, struct store *s,
		       const unsigned char *h, bool supplied, unsigned *version)
{
	uint64_t chunk = get_le(h + 12, 4);
	const char *bad;

	s->p->valid = get_le(h + 4, 4) != 0;
	*version = (unsigned)get_le(h + 8, 4);
	if (chunk == s->chunk_sectors)
		return 0;
	if (supplied)
		ndm_warn(ti, "chunk size %" PRIu64 " in device metadata overrides table chunk size "
			 "of %u", chunk, s->chunk_sectors);
	bad = chunk ? chunk_size_bad(origin, s->cow, chunk) : "Chunk size is zero";
	if (bad) {
		ndm_error(ti, -EINVAL, "invalid on-disk chunk size %" PRIu64 ": %s", chunk, bad);
		return -EINVAL;
	}
	s->chunk_sectors = (unsigned)chunk;
	return 0;
}

/* 1: there is no store yet; 0: there is one, and its version is told */
static int header_read(struct ndm_target *ti, struct ndm_dev *origin, struct store *s,
		       unsigned *version)
{
	uint32_t block = s->cow->store->limits.logical_block_bytes;
	bool supplied = s->chunk_sectors != 0;
	unsigned char *h = ndm_buffer_get(s->loop, block);
	uint32_t magic;
	int err;

	if (!h)
		return -ENOMEM;
	if (!supplied) {
		s->chunk_sectors = DEFAULT_CHUNK_SECTORS;
		if (s->chunk_sectors < block / NDM_SECTOR_BYTES)
			s->chunk_sectors = block / NDM_SECTOR_BYTES;
	}
	err = ndm_rw(s->cow->store, NDM_READ, NDM_META, 0, block / NDM_SECTOR_BYTES, h);
	if (err)
		goto out;
	magic = (uint32_t)get_le(h, 4);
	if (!magic)
		err = 1;
	else if (magic != MAGIC)
		err = ndm_error(ti, -ENXIO, "Invalid or corrupt snapshot");
	else
		err = header_take(ti, origin, s, h, supplied, version);
out:
	ndm_buffer_put(s->loop, h, block);
	return err;
}

/* the entries of the area in memory; *full: none of them ends the list */
static int entries_take(struct store *s, struct exceptions *to, bool *full)
{
	struct pstore *p = s->p;
	unsigned i;
	int err;

	*full = true;
	for (i = 0; i < p->per_area; i++) {
		uint64_t old_chunk = get_le(p->entries + i * ENTRY_BYTES, 8);
		uint64_t new_chunk = get_le(p->entries + i * ENTRY_BYTES + 8, 8);

		if (!new_chunk) {
			p->committed = i;
			*full = false;
			return 0;
		}
		if (new_chunk >= s->cow->store->nr / s->chunk_sectors)
			return -EINVAL;		/* points behind the device */
		if (s->next_free <= new_chunk)
			s->next_free = new_chunk + 1;
		err = exceptions_add(s->loop, to, old_chunk, new_chunk);
		if (err)
			return err;
	}
	return 0;
}

static int areas_read(struct store *s, struct exceptions *to)
{
	bool full = true;
	int err = 0;

	for (s->p->area = 0; full && !err; s->p->area++) {
		err = chunk_rw(s, NDM_READ, 0, area_chunk(s->p, s->p->area), s->p->entries);
		if (!err)
			err = entries_take(s, to, &full);
	}
	s->p->area--;
	skip_metadata(s);
	return err;
}

int pstore_read(struct ndm_target *ti, struct ndm_dev *origin, struct store *s,
		struct exceptions *to)
{
	unsigned version = VERSION;
	int fresh = header_read(ti, origin, s, &version), err;

	if (fresh < 0)
		return fresh;
	err = area_allocate(s);
	if (err)
		return err;
	if (fresh) {
		err = area_zero(s, 0);
		return err ? err : header_write(s);
	}
	if (version != VERSION)
		return ndm_error(ti, -EINVAL, "unable to handle snapshot disk version %u", version);
	if (!s->p->valid)
		return 1;
	return areas_read(s, to);
}

/* ---- committing ---- */

static struct batch *batch_join(struct store *s)
{
	struct pstore *p = s->p;

	if (!p->batch) {
		p->batch = patient_zalloc(s->loop, sizeof *p->batch);
		if (!p->batch)
			return NULL;
		ndm_waitq_init(&p->batch->q, s->loop);
	}
	p->batch->refs++;
	return p->batch;
}

static int batch_leave(struct batch *b)
{
	int result = b->result;

	if (--b->refs == 0)
		ndm_free(b);
	return result;
}

/* writes the area for all who have joined; a full area makes room for the next first */
static void batch_write(struct store *s)
{
	struct pstore *p = s->p;
	struct batch *b = p->batch;
	bool full = p->committed == p->per_area;

	p->batch = NULL;
	if (p->valid && full && area_zero(s, p->area + 1))
		p->valid = false;
	if (p->valid && area_write(s))
		p->valid = false;
	if (full) {
		p->committed = 0;
		p->area++;
		memset(p->entries, 0, p->bytes);
	}
	b->result = p->valid ? 0 : -EIO;
	b->done = true;
	ndm_wake_all(&b->q);
}

int pstore_commit(struct store *s, uint64_t old_chunk, uint64_t new_chunk, bool good)
{
	struct pstore *p = s->p;
	struct batch *b;

	ndm_lock(&p->writing);			/* nobody changes the area while it is written */
	b = batch_join(s);
	if (!b || !good)
		p->valid = false;
	put_le(p->entries + p->committed * ENTRY_BYTES, 8, old_chunk);
	put_le(p->entries + p->committed * ENTRY_BYTES + 8, 8, new_chunk);
	p->committed++;
	p->pending--;
	if (b && (!p->pending || p->committed == p->per_area))
		batch_write(s);
	ndm_unlock(&p->writing);
	if (!b)
		return -ENOMEM;
	while (!b->done)
		ndm_wait(&b->q);
	return batch_leave(b);
}

int pstore_invalidate(struct store *s)
{
	s->p->valid = false;
	return s->chunk_sectors && s->p->bytes ? header_write(s) : 0;
}

/* ---- merging: entries go away from the end ---- */

static void entry_get(const struct pstore *p, unsigned i, uint64_t *old_chunk, uint64_t *new_chunk)
{
	*old_chunk = get_le(p->entries + i * ENTRY_BYTES, 8);
	*new_chunk = get_le(p->entries + i * ENTRY_BYTES + 8, 8);
}

int pstore_merge_next(struct store *s, uint64_t *old_chunk, uint64_t *new_chunk)
{
	struct pstore *p = s->p;
	uint64_t old_before, new_before;
	unsigned n;
	int err;

	if (!p->committed) {
		if (!p->area)
			return 0;
		err = chunk_rw(s, NDM_READ, 0, area_chunk(p, p->area - 1), p->entries);
		if (err)
			return err;
		p->area--;
		p->committed = p->per_area;
	}
	entry_get(p, p->committed - 1, old_chunk, new_chunk);
	for (n = 1; n < p->committed; n++) {
		entry_get(p, p->committed - 1 - n, &old_before, &new_before);
		if (old_before != *old_chunk - n || new_before != *new_chunk - n)
			break;
	}
	return (int)n;
}

int pstore_merged(struct store *s, unsigned chunks)
{
	struct pstore *p = s->p;
	int err;

	memset(p->entries + (size_t)(p->committed - chunks) * ENTRY_BYTES, 0,
	       (size_t)chunks * ENTRY_BYTES);
	err = area_write(s);
	if (err)
		return err;
	p->committed -= chunks;
	s->next_free = area_chunk(p, p->area) + p->committed + 1;
	return 0;
}
