/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logwrites.c - what a disk was told, in the format of dm-log-writes (version 1), so that
 * other tools may judge a run: replay-log, a kernel, a checker of the format's own.
 *
 * As the target does it: a write is remembered when it completes and logged by the FLUSH that
 * was submitted after it; a FUA write is logged as it completes, before older ones.  Lengths
 * and positions are in blocks of the disk.  The file is a log device: superblock, entries,
 * and the mark `dm-log-writes-end`.
 */
#include "priv.h"

#define LOG_MAGIC 0x6a736677736872u
enum { LOG_FLUSH = 1, LOG_FUA = 2, LOG_DISCARD = 4, LOG_MARK = 8 };

struct remembered {
	struct remembered *next;
	uint64_t seq, sector, nr;
	unsigned flags;
	uint8_t *bytes;
};

struct log_file {
	FILE *f;
	unsigned block_bytes;
	uint64_t entries;
	struct remembered *first, **last;
};

static void put64(uint8_t *at, uint64_t value)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		at[i] = value >> 8 * i;
}

static void entry(struct log_file *l, uint64_t sector, uint64_t nr, unsigned flags,
		  const char *mark, const uint8_t *bytes)
{
	uint8_t *block = calloc(1, l->block_bytes);
	uint64_t per_block = l->block_bytes / NDM_SECTOR_BYTES;

	put64(block, sector / per_block);
	put64(block + 8, nr / per_block);
	put64(block + 16, flags);
	if (mark) {
		put64(block + 24, strlen(mark));
		memcpy(block + 32, mark, strlen(mark));
	}
	fwrite(block, l->block_bytes, 1, l->f);
	if (bytes)
		fwrite(bytes, NDM_SECTOR_BYTES, nr, l->f);
	l->entries++;
	free(block);
}

void log_open(struct sim_disk *d, const char *path)
{
	struct log_file *l = calloc(1, sizeof *l);

	l->f = fopen(path, "wb");
	if (!l->f)
		sim_fail(d->sim, "%s: %s", path, strerror(errno));
	l->block_bytes = d->block_bytes;
	l->last = &l->first;
	fseek(l->f, l->block_bytes, SEEK_SET);
	d->log = l;
}

void log_write(struct sim_disk *d, const struct ndm_bio *bio, const uint8_t *bytes)
{
	struct log_file *l = d->log;
	struct remembered *r;
	bool discard = bio->op == NDM_DISCARD;

	if (!l)
		return;
	if (bio->flags & NDM_FUA) {
		entry(l, bio->sector, bio->nr, LOG_FUA | (discard ? LOG_DISCARD : 0), NULL,
		      discard ? NULL : bytes);
		return;
	}
	r = calloc(1, sizeof *r);
	*r = (struct remembered){ .seq = d->sim->seq, .sector = bio->sector, .nr = bio->nr,
				  .flags = discard ? LOG_DISCARD : 0 };
	if (!discard) {
		r->bytes = malloc(bio->nr * NDM_SECTOR_BYTES);
		memcpy(r->bytes, bytes, bio->nr * NDM_SECTOR_BYTES);
	}
	*l->last = r;
	l->last = &r->next;
}

static void log_until(struct log_file *l, uint64_t seq)
{
	struct remembered *r;

	while ((r = l->first) && r->seq < seq) {
		entry(l, r->sector, r->nr, r->flags, NULL, r->bytes);
		l->first = r->next;
		if (!l->first)
			l->last = &l->first;
		free(r->bytes);
		free(r);
	}
}

void log_flush(struct sim_disk *d, uint64_t submitted)
{
	if (!d->log)
		return;
	log_until(d->log, submitted);
	entry(d->log, 0, 0, LOG_FLUSH, NULL, NULL);
}

void log_close(struct sim_disk *d)
{
	struct log_file *l = d->log;
	uint8_t super[28] = { 0 };

	if (!l)
		return;
	log_until(l, UINT64_MAX);
	entry(l, 0, 0, LOG_MARK, "dm-log-writes-end", NULL);
	put64(super, LOG_MAGIC);
	put64(super + 8, 1);
	put64(super + 16, l->entries);
	super[24] = l->block_bytes;
	super[25] = l->block_bytes >> 8;
	fseek(l->f, 0, SEEK_SET);
	fwrite(super, sizeof super, 1, l->f);
	if (fclose(l->f))
		sim_fail(d->sim, "the log of disk '%s' cannot be written: %s", d->name,
			 strerror(errno));
	free(l);
	d->log = NULL;
}
