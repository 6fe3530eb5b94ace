/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirty-log.c - the kernel's dirty region logs, core and disk.
 *
 * Disk, little-endian, from sector 0 of the log device:
 *
 *	0	magic 0x4D695272, version 2, number of regions (4, 4, 8 bytes)
 *	1024	a bit for each region: 1 = clean; rounded up to 64 bits
 *
 * Header and bits are written in one request, durably.  Order: a region's bit is 0 on disk
 * before any leg is written; it becomes 1 again only behind a flush of all legs.  The bytes
 * that are written are a copy made before that flush, so that nothing that was cleaned
 * meanwhile gets in.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dirty-log.h"
#include "memo.h"

#define MAGIC 0x4D695272u
#define VERSION 2u
#define BITS_OFFSET 1024u

enum sync_mode { SYNC_DEFAULT, SYNC_ALL_OUT, SYNC_ALL_IN };

struct dirty_log {
	struct ndm_target *ti;
	int (*flush_legs)(struct ndm_target *);
	uint64_t region_sectors, regions;
	enum sync_mode mode;
	size_t bitset_bytes;
	uint8_t *clean, *in_sync, *recovering;
	uint64_t in_sync_count, search;

	/* disk only */
	struct ndm_dev *dev;
	uint8_t *header, *shadow;		/* as on disk; and the copy that is being written */
	size_t bytes;
	bool dirtied, cleaned;			/* since the last copy was made */
	bool legs_unflushed;			/* nothing is called clean any more */
	bool failed, flush_failed;
	struct ndm_mutex writing;
};

static bool bit_get(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static void bit_set(uint8_t *bits, uint64_t i, bool on)
{
	if (on)
		bits[i / 8] |= (uint8_t)(1u << i % 8);
	else
		bits[i / 8] &= (uint8_t)~(1u << i % 8);
}

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void put_le(uint8_t *p, unsigned bytes, uint64_t v)
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* ---- constructing ---- */

static int core_args(struct dirty_log *l, unsigned argc, char **argv)
{
	struct ndm_target *ti = l->ti;
	unsigned region;

	if (argc < 1 || argc > 2)
		return ndm_error(ti, -EINVAL, "wrong number of arguments to dirty region log");
	if (argc == 2 && !strcmp(argv[1], "sync"))
		l->mode = SYNC_ALL_OUT;
	else if (argc == 2 && !strcmp(argv[1], "nosync"))
		l->mode = SYNC_ALL_IN;
	else if (argc == 2)
		return ndm_error(ti, -EINVAL, "unrecognised sync argument to dirty region log: %s",
				 argv[1]);
	if (ndm_arg_uint(argv[0], &region) || region < 2 || region > ti->nr ||
	    (region & (region - 1)))
		return ndm_error(ti, -EINVAL, "invalid region size %s", argv[0]);
	l->region_sectors = region;
	l->regions = ti->nr / region + (ti->nr % region != 0);
	l->bitset_bytes = (l->regions + 63) / 64 * 8;
	return 0;
}

static int disk_buffers(struct dirty_log *l)
{
	uint32_t block = l->dev->store->limits.logical_block_bytes;

	l->bytes = (BITS_OFFSET + l->bitset_bytes + block - 1) / block * block;
	if (l->bytes > l->dev->store->nr * NDM_SECTOR_BYTES)
		return ndm_error(l->ti, -EINVAL, "log device %s too small: need %zu bytes",
				 l->dev->name, l->bytes);
	l->header = ndm_zalloc(l->bytes);
	l->shadow = ndm_zalloc(l->bytes);
	if (!l->header || !l->shadow)
		return -ENOMEM;
	l->clean = l->header + BITS_OFFSET;
	ndm_mutex_init(&l->writing, l->ti->loop);
	return 0;
}

static int log_build(struct dirty_log *l, const char *type, unsigned argc, char **argv)
{
	bool disk = !strcmp(type, "disk");
	int err;

	if (!disk && strcmp(type, "core"))
		return ndm_error(l->ti, -EINVAL, "Module for logging type \"%s\" not found.", type);
	if (disk && (argc < 2 || argc > 3))
		return ndm_error(l->ti, -EINVAL, "wrong number of arguments to disk dirty region log");
	if (disk) {
		err = ndm_get_dev(l->ti, argv[0], 0, 0, &l->dev);
		if (err)
			return err;
	}
	err = core_args(l, argc - disk, argv + disk);
	if (!err && disk)
		err = disk_buffers(l);
	if (err)
		return err;
	if (!disk)
		l->clean = ndm_zalloc(l->bitset_bytes);
	l->in_sync = ndm_zalloc(l->bitset_bytes);
	l->recovering = ndm_zalloc(l->bitset_bytes);
	if (!l->clean || !l->in_sync || !l->recovering)
		return -ENOMEM;
	memset(l->clean, 0xff, l->bitset_bytes);
	if (l->mode == SYNC_ALL_IN) {
		memset(l->in_sync, 0xff, l->bitset_bytes);
		l->in_sync_count = l->regions;
	}
	return 0;
}

int dirty_log_new(struct ndm_target *ti, const char *type, unsigned argc, char **argv,
		  int (*flush_legs)(struct ndm_target *), struct dirty_log **out)
{
	struct dirty_log *l = ndm_zalloc(sizeof *l);
	int err;

	if (!l)
		return -ENOMEM;
	l->ti = ti;
	l->flush_legs = flush_legs;
	err = log_build(l, type, argc, argv);
	if (err) {
		dirty_log_free(l);
		return err;
	}
	*out = l;
	return 0;
}

void dirty_log_free(struct dirty_log *l)
{
	if (!l)
		return;
	if (!l->header)
		ndm_free(l->clean);
	ndm_free(l->header);
	ndm_free(l->shadow);
	ndm_free(l->in_sync);
	ndm_free(l->recovering);
	ndm_free(l);
}

uint64_t dirty_log_region_sectors(const struct dirty_log *l)
{
	return l->region_sectors;
}

uint64_t dirty_log_regions(const struct dirty_log *l)
{
	return l->regions;
}

uint64_t dirty_log_in_sync_count(const struct dirty_log *l)
{
	return l->in_sync_count;
}

/* ---- the disk ---- */

static void log_fail(struct dirty_log *l)
{
	if (l->failed)
		return;
	l->failed = true;
	ndm_event(l->ti);
}

static int header_rw(struct dirty_log *l, enum ndm_op op, uint8_t *buf)
{
	return ndm_rw(l->dev->store, op, NDM_META, 0, l->bytes / NDM_SECTOR_BYTES, buf);
}

/* how many regions the log on disk knows; 0 when it is new or not to be trusted */
static int header_read(struct dirty_log *l, uint64_t *known)
{
	unsigned version;
	int err = header_rw(l, NDM_READ, l->header);

	*known = 0;
	if (err)
		return err;
	if (l->mode != SYNC_DEFAULT || get_le(l->header, 4) != MAGIC)
		return 0;
	version = (unsigned)get_le(l->header + 4, 4);
	if (version != VERSION && version != 1) {
		ndm_warn(l->ti, "incompatible disk log version %u", version);
		return -EINVAL;
	}
	*known = get_le(l->header + 8, 8);
	return 0;
}

static int header_write_new(struct dirty_log *l)
{
	int err;

	put_le(l->header, 4, MAGIC);
	put_le(l->header + 4, 4, VERSION);
	put_le(l->header + 8, 8, l->regions);
	memcpy(l->shadow, l->header, l->bytes);
	err = header_rw(l, NDM_WRITE, l->shadow);
	if (err)
		return err;
	err = ndm_flush(l->dev->store);
	if (err)
		l->flush_failed = true;
	return err;
}

static void sync_from_clean(struct dirty_log *l)
{
	uint64_t i;

	memcpy(l->in_sync, l->clean, l->bitset_bytes);
	for (l->in_sync_count = i = 0; i < l->regions; i++)
		l->in_sync_count += bit_get(l->in_sync, i);
}

static int disk_resume(struct dirty_log *l)
{
	uint64_t known, i;
	int err = header_read(l, &known);

	if (err) {
		ndm_warn(l->ti, "Failed to read header on dirty region log device");
		log_fail(l);
		known = 0;			/* so all are out of sync */
	}
	for (i = known; i < l->regions; i++)
		bit_set(l->clean, i, l->mode == SYNC_ALL_IN);
	for (i = l->regions; i % 64; i++)
		bit_set(l->clean, i, false);
	sync_from_clean(l);
	l->dirtied = l->cleaned = false;
	err = header_write_new(l);
	if (err) {
		ndm_warn(l->ti, "Failed to write header on dirty region log device");
		log_fail(l);
	} else {
		l->failed = false;
	}
	return err;
}

int dirty_log_resume(struct dirty_log *l)
{
	l->search = 0;
	return l->dev ? disk_resume(l) : 0;
}

/* the legs could not be flushed: which regions are clean can no longer be known */
static void all_dirty(struct dirty_log *l)
{
	l->legs_unflushed = true;
	memset(l->clean, 0, l->bitset_bytes);
	memcpy(l->shadow, l->header, l->bytes);
}

static int disk_write(struct dirty_log *l)
{
	bool cleaned = l->cleaned, dirtied = l->dirtied;
	int err;

	l->cleaned = l->dirtied = false;
	memcpy(l->shadow, l->header, l->bytes);
	if (cleaned && l->flush_legs(l->ti))
		all_dirty(l);
	err = NDM_MOMENT(l->ti->loop, "mirror.log.before-write");
	if (!err)
		err = header_rw(l, NDM_WRITE, l->shadow);
	if (!err && dirtied) {
		err = ndm_flush(l->dev->store);
		if (err)
			l->flush_failed = true;
	}
	if (err) {
		l->cleaned |= cleaned;
		l->dirtied |= dirtied;
		log_fail(l);
	}
	return err;
}

int dirty_log_flush(struct dirty_log *l)
{
	int err = 0;

	if (!l->dev)
		return 0;
	ndm_lock(&l->writing);			/* whoever waited finds its mark written, or writes */
	if (l->cleaned || l->dirtied)
		err = disk_write(l);
	ndm_unlock(&l->writing);
	return err;
}

bool dirty_log_touched(const struct dirty_log *l)
{
	return l->dev && (l->cleaned || l->dirtied);
}

/* ---- regions ---- */

bool dirty_log_in_sync(const struct dirty_log *l, uint64_t region)
{
	return bit_get(l->in_sync, region);
}

void dirty_log_mark(struct dirty_log *l, uint64_t region)
{
	bit_set(l->clean, region, false);
	l->dirtied = true;
}

void dirty_log_clear(struct dirty_log *l, uint64_t region)
{
	if (l->legs_unflushed)
		return;
	bit_set(l->clean, region, true);
	l->cleaned = true;
}

bool dirty_log_next(struct dirty_log *l, uint64_t *region)
{
	while (l->search < l->regions) {
		*region = l->search++;
		if (bit_get(l->in_sync, *region) || bit_get(l->recovering, *region))
			continue;
		bit_set(l->recovering, *region, true);
		return true;
	}
	return false;
}

void dirty_log_restart(struct dirty_log *l)
{
	l->search = 0;
}

void dirty_log_set_sync(struct dirty_log *l, uint64_t region, bool in_sync)
{
	bool was = bit_get(l->in_sync, region);

	bit_set(l->recovering, region, false);
	bit_set(l->in_sync, region, in_sync);
	if (in_sync && !was)
		l->in_sync_count++;
	else if (!in_sync && was)
		l->in_sync_count--;
}

/* ---- to another process ---- */

void dirty_log_recall(const struct dirty_log *l, struct ndm_str *out)
{
	uint64_t i, first;

	if (l->dev)
		return;				/* it is on the disk */
	ndm_printf(out, "log\n");
	for (i = 0; i < l->regions; i++) {
		for (first = i; i < l->regions && bit_get(l->in_sync, i); i++)
			;
		if (i > first)
			ndm_printf(out, "in_sync %" PRIu64 " %" PRIu64 "\n", first, i - first);
	}
}

int dirty_log_remember(struct dirty_log *l, const struct memo_line *line)
{
	uint64_t i;

	if (l->dev)
		return -EBADMSG;
	if (memo_is(line, "log", 0)) {		/* whatever the table says of a beginning */
		memset(l->clean, 0, l->bitset_bytes);
		sync_from_clean(l);
		return 0;
	}
	if (!memo_is(line, "in_sync", 2) || line->number[1] > l->regions ||
	    line->number[0] > l->regions - line->number[1])
		return -EBADMSG;
	for (i = 0; i < line->number[1]; i++) {
		bit_set(l->clean, line->number[0] + i, true);
		dirty_log_set_sync(l, line->number[0] + i, true);
	}
	return 0;
}

/* ---- status ---- */

void dirty_log_status(const struct dirty_log *l, enum ndm_status what, struct ndm_str *out)
{
	const char *mode = l->mode == SYNC_DEFAULT ? "" : l->mode == SYNC_ALL_IN ? "nosync " : "sync ";
	unsigned words = (l->dev ? 2 : 1) + (l->mode != SYNC_DEFAULT);

	if (what == NDM_STATUS_INFO) {
		if (l->dev)
			ndm_printf(out, "3 disk %s %c", l->dev->name,
				   l->flush_failed ? 'F' : l->failed ? 'D' : 'A');
		else
			ndm_printf(out, "1 core");
		return;
	}
	ndm_printf(out, "%s %u ", l->dev ? "disk" : "core", words);
	if (l->dev)
		ndm_printf(out, "%s ", l->dev->name);
	ndm_printf(out, "%" PRIu64 " %s", l->region_sectors, mode);
}
