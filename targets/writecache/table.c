/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writecache: writes go to a fast device, and from there to the origin when there is time.
 *
 *	writecache s|p <origin> <cache> <block_size> <#words> [<word>...]
 *
 * Mode p writes to persistent memory as a processor does.  It needs a device that can be mapped
 * for that (DAX), which none of ours is: such a table is refused, as Linux refuses it for a disk.
 *
 * This file takes tables apart and prints them; writecache.h says what is where.
 */
#include <strings.h>

#include "targets/writecache/writecache.h"

#define WORDS_MAX 18
#define PAGE_BYTES 4096u
#define JOBS 65536u				/* blocks in writeback, by default */

/* ---- constructor ---- */

struct word {
	const char *name;
	uint64_t most;
	size_t value, set;			/* where in struct writecache */
};

#define WORD(text, most, value, set) \
	{ text, most, offsetof(struct writecache, value), offsetof(struct writecache, set) }

static const struct word words[] = {
	WORD("high_watermark", 100, high_percent, high_set),
	WORD("low_watermark", 100, low_percent, low_set),
	WORD("writeback_jobs", UINT32_MAX, jobs, jobs_set),
	WORD("autocommit_blocks", UINT32_MAX, autocommit_blocks, blocks_set),
	WORD("autocommit_time", 3600000, autocommit_ms, time_set),
	WORD("max_age", 86400000, max_age_ms, age_set),
	WORD("pause_writeback", 60000, pause_ms, pause_set),
};

static int word_bad(struct ndm_target *ti, const char *word)
{
	return ndm_error(ti, -EINVAL, "Invalid optional argument: '%s'", word);
}

static int word_valued(struct ndm_target *ti, struct writecache *wc, const char *word,
		       const char *value)
{
	uint64_t n;
	size_t i;

	if (ndm_arg_u64(value, &n))
		return word_bad(ti, value);
	if (!strcasecmp(word, "start_sector")) {
		if (n >= wc->cache->store->nr)
			return word_bad(ti, value);
		wc->start_sector = n;
		wc->start_set = true;
		return 0;
	}
	for (i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcasecmp(word, words[i].name))
			continue;
		if (n > words[i].most)
			return word_bad(ti, value);
		*(unsigned *)((char *)wc + words[i].value) = (unsigned)n;
		*(bool *)((char *)wc + words[i].set) = true;
		return 0;
	}
	return word_bad(ti, word);
}

static int words_take(struct ndm_target *ti, struct writecache *wc, struct ndm_args *args)
{
	unsigned n;
	int err = ndm_args_group(ti, args, 0, WORDS_MAX, "Invalid number of feature args", &n);

	while (!err && n--) {
		const char *word = ndm_args_shift(args);

		if (!strcasecmp(word, "cleaner")) {
			wc->cleaner_set = wc->cleaner = true;
		} else if (!strcasecmp(word, "metadata_only")) {
			wc->metadata_only = true;
		} else if (n) {
			n--;
			err = word_valued(ti, wc, word, ndm_args_shift(args));
		} else {
			err = word_bad(ti, word);
		}
	}
	if (!err && wc->high_percent < wc->low_percent)
		err = ndm_error(ti, -EINVAL,
				"High watermark must be greater than or equal to low watermark");
	return err;
}

/* What mode p would have said before it looked for persistent memory. */
static int words_pmem(struct ndm_target *ti, struct writecache *wc, struct ndm_args *args)
{
	char *kept[WORDS_MAX];
	struct ndm_args left = { .argv = kept };
	unsigned n, i;
	int err = ndm_args_group(ti, args, 0, WORDS_MAX, "Invalid number of feature args", &n);

	for (i = 0; i < n && !err; i++) {
		char *word = args->argv[i];

		if (!strcasecmp(word, "fua") || !strcasecmp(word, "nofua"))
			continue;
		if (!strcasecmp(word, "pause_writeback"))
			return word_bad(ti, word);
		if (!strcasecmp(word, "cleaner") || !strcasecmp(word, "metadata_only"))
			continue;
		if (i + 1 == n)
			return word_bad(ti, word);
		kept[left.argc++] = word;
		kept[left.argc++] = args->argv[++i];
	}
	for (i = 0; i < left.argc && !err; i += 2)
		err = word_valued(ti, wc, kept[i], kept[i + 1]);
	if (!err && wc->high_percent < wc->low_percent)
		err = ndm_error(ti, -EINVAL,
				"High watermark must be greater than or equal to low watermark");
	return err ? err : ndm_error(ti, -EOPNOTSUPP, "Cache device is not a DAX device");
}

static int block_size_take(struct ndm_target *ti, struct writecache *wc, const char *word)
{
	uint64_t n;

	if (ndm_arg_u64(word, &n) || n < 512 || n > PAGE_BYTES || n & (n - 1))
		return ndm_error(ti, -EINVAL, "Invalid block size: '%s' is not 512, 1024, 2048 or 4096",
				 word);
	if (n < wc->origin->store->limits.logical_block_bytes ||
	    n < wc->cache->store->limits.logical_block_bytes)
		return ndm_error(ti, -EINVAL, "Block size is smaller than device logical block size");
	wc->block_bytes = (uint32_t)n;
	wc->block_sectors = wc->block_bytes / NDM_SECTOR_BYTES;
	return 0;
}

static int construct(struct ndm_target *ti, struct writecache *wc, struct ndm_args *args)
{
	const char *word = ndm_args_shift(args);
	bool pmem;
	int err;

	if (!word || (strcasecmp(word, "s") && strcasecmp(word, "p")))
		return ndm_error(ti, -EINVAL, "Bad arguments: the mode is s or p");
	pmem = !strcasecmp(word, "p");
	word = ndm_args_shift(args);
	if (!word)
		return ndm_error(ti, -EINVAL, "Bad arguments: no origin");
	err = ndm_get_dev(ti, word, 0, ti->nr, &wc->origin);
	if (err)
		return ndm_error(ti, err, "Origin data device lookup failed");
	word = ndm_args_shift(args);
	if (!word)
		return ndm_error(ti, -EINVAL, "Bad arguments: no cache device");
	err = ndm_get_dev(ti, word, 0, 0, &wc->cache);
	if (err)
		return ndm_error(ti, err, "Cache data device lookup failed");
	word = ndm_args_shift(args);
	if (!word)
		return ndm_error(ti, -EINVAL, "Bad arguments: no block size");
	err = block_size_take(ti, wc, word);
	if (err)
		return err;
	err = pmem ? words_pmem(ti, wc, args) : words_take(ti, wc, args);
	if (err)
		return err;
	wc->cache_bytes = (wc->cache->store->nr - wc->start_sector) * NDM_SECTOR_BYTES;
	return wc_open(ti, wc);
}

static void writecache_dtr(struct ndm_target *ti)
{
	struct writecache *wc = ti->private_data;

	ndm_timer_cancel(&wc->autocommit);
	ndm_timer_cancel(&wc->age);
	ndm_free(wc->meta);
	ndm_free(wc->dirty);
	ndm_free(wc->entries);
	ndm_free(wc->buckets);
	ndm_free(wc->free_map);
}

static void defaults(struct ndm_target *ti, struct writecache *wc)
{
	wc->ti = ti;
	wc->high_percent = 50;
	wc->low_percent = 45;
	wc->jobs = JOBS;
	wc->autocommit_blocks = 65536;
	wc->autocommit_ms = 1000;
	wc->pause_ms = 3000;
	wc->copied = WC_NONE;
	wc->direct_ns = ndm_now(ti->loop);
	ndm_mutex_init(&wc->lock, ti->loop);
	ndm_waitq_init(&wc->ios, ti->loop);
	ndm_waitq_init(&wc->freed, ti->loop);
	ndm_waitq_init(&wc->kick, ti->loop);
	crew_init(&wc->tasks, ti->loop);
	ndm_timer_init(&wc->autocommit, ti->loop, wc_autocommit_fired);
	ndm_timer_init(&wc->age, ti->loop, wc_age_fired);
}

static int writecache_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct writecache *wc = ti->private_data;
	struct ndm_args args = { argc, argv };
	int err;

	defaults(ti, wc);
	err = construct(ti, wc, &args);
	if (err) {
		writecache_dtr(ti);
		return err;
	}
	ti->num_flush = 2;			/* to the cache, and to the origin */
	ti->num_discard = 1;
	ti->extents = ti->extents_whole = true;
	ti->per_bio_size = wc_per_bio_size();
	return 0;
}

/* ---- what it says of itself ---- */

static void print_table(const struct writecache *wc, struct ndm_str *out)
{
	unsigned n = 2 * (wc->start_set + wc->high_set + wc->low_set + wc->jobs_set +
			  wc->blocks_set + wc->time_set + wc->age_set + wc->pause_set) +
		     wc->cleaner_set + wc->metadata_only;

	ndm_printf(out, "s %s %s %u %u", wc->origin->name, wc->cache->name, wc->block_bytes, n);
	if (wc->start_set)
		ndm_printf(out, " start_sector %" PRIu64, wc->start_sector);
	if (wc->high_set)
		ndm_printf(out, " high_watermark %u", wc->high_percent);
	if (wc->low_set)
		ndm_printf(out, " low_watermark %u", wc->low_percent);
	if (wc->jobs_set)
		ndm_printf(out, " writeback_jobs %u", wc->jobs);
	if (wc->blocks_set)
		ndm_printf(out, " autocommit_blocks %u", wc->autocommit_blocks);
	if (wc->time_set)
		ndm_printf(out, " autocommit_time %u", wc->autocommit_ms);
	if (wc->age_set)
		ndm_printf(out, " max_age %u", wc->max_age_ms);
	if (wc->cleaner_set)
		ndm_printf(out, " cleaner");
	if (wc->metadata_only)
		ndm_printf(out, " metadata_only");
	if (wc->pause_set)
		ndm_printf(out, " pause_writeback %u", wc->pause_ms);
}

static void writecache_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			      struct ndm_str *out)
{
	const struct writecache *wc = ti->private_data;
	const struct wc_stats *s = &wc->stats;

	(void)flags;
	if (what == NDM_STATUS_TABLE) {
		print_table(wc, out);
		return;
	}
	ndm_printf(out, "%d %u %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		   " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
		   wc->error != 0, wc->nblocks, wc->nfree, wc->writing_back, s->reads, s->read_hits,
		   s->writes, s->hits_uncommitted, s->hits_committed, s->around, s->allocated,
		   s->blocked, s->flushes, s->discards);
}

static void writecache_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	const struct writecache *wc = ti->private_data;

	if (l->logical_block_bytes < wc->block_bytes)
		l->logical_block_bytes = wc->block_bytes;
	if (l->physical_block_bytes < wc->block_bytes)
		l->physical_block_bytes = wc->block_bytes;
	if (l->io_min_bytes < wc->block_bytes)
		l->io_min_bytes = wc->block_bytes;
	l->volatile_cache = true;
}

/* ---- names ---- */

static const char *const modes[] = { "s", "p", NULL };

#define VALUE(unit, text) .kind = NDM_ARG_KEYED, .sub = (const struct ndm_arg[]){ \
	{ .name = "number", .kind = unit, .help = text }, { 0 } }

static const struct ndm_arg word_args[] = {
	{ .name = "start_sector", VALUE(NDM_ARG_SECTORS, "Where."),
	  .help = "Where the cache begins on its device." },
	{ .name = "high_watermark", VALUE(NDM_ARG_U64, "0 to 100; 50."),
	  .help = "Per cent of the cache in use at which writeback starts." },
	{ .name = "low_watermark", VALUE(NDM_ARG_U64, "0 to 100; 45."),
	  .help = "Per cent of the cache in use at which writeback stops." },
	{ .name = "writeback_jobs", VALUE(NDM_ARG_U64, "How many; 0: any number."),
	  .help = "Blocks that may be in writeback at the same time." },
	{ .name = "autocommit_blocks", VALUE(NDM_ARG_U64, "How many; 65536."),
	  .help = "After so many blocks what was written is made durable unasked." },
	{ .name = "autocommit_time", VALUE(NDM_ARG_MS, "0 to 3600000; 1000."),
	  .help = "After this time what was written is made durable unasked." },
	{ .name = "max_age", VALUE(NDM_ARG_MS, "0 to 86400000."),
	  .help = "Blocks older than this are written back." },
	{ .name = "cleaner", .kind = NDM_ARG_FLAG,
	  .help = "Nothing more is cached, and all that is goes to the origin." },
	{ .name = "fua", .kind = NDM_ARG_FLAG, .help = "Mode p: write back with FUA." },
	{ .name = "nofua", .kind = NDM_ARG_FLAG, .help = "Mode p: write back, then flush." },
	{ .name = "metadata_only", .kind = NDM_ARG_FLAG,
	  .help = "Only writes marked as metadata are cached." },
	{ .name = "pause_writeback", VALUE(NDM_ARG_MS, "0 to 60000; 3000."),
	  .help = "Writeback waits until nothing was written to the origin directly for so long." },
	{ 0 }
};

static const struct ndm_arg writecache_args[] = {
	{ .name = "mode", .kind = NDM_ARG_WORD, .choices = modes, .dflt = "s",
	  .help = "s: the cache is a disk; p: it is persistent memory, which must be a DAX device." },
	{ .name = "origin", .kind = NDM_ARG_DEVICE, .help = "The device that is cached." },
	{ .name = "cache", .kind = NDM_ARG_DEVICE, .help = "The fast device." },
	{ .name = "block_size", .kind = NDM_ARG_BYTES, .dflt = "4096",
	  .help = "What is cached at once: 512, 1024, 2048 or 4096." },
	{ .name = "options", .kind = NDM_ARG_FEATURES, .sub = word_args, .help = "Options." },
	{ 0 }
};

static const struct ndm_arg writecache_status_fields[] = {
	{ .name = "error", .kind = NDM_ARG_U64, .help = "1 after an error of the cache." },
	{ .name = "blocks", .kind = NDM_ARG_U64, .help = "Blocks of the cache." },
	{ .name = "free", .kind = NDM_ARG_U64, .help = "Free ones." },
	{ .name = "writeback", .kind = NDM_ARG_U64, .help = "Those that are being written back." },
	{ .name = "reads", .kind = NDM_ARG_U64, .help = "Blocks read." },
	{ .name = "read_hits", .kind = NDM_ARG_U64, .help = "Of these, from the cache." },
	{ .name = "writes", .kind = NDM_ARG_U64, .help = "Blocks written." },
	{ .name = "write_hits_uncommitted", .kind = NDM_ARG_U64,
	  .help = "Writes to what was cached and not yet durable." },
	{ .name = "write_hits_committed", .kind = NDM_ARG_U64, .help = "Writes to what was cached." },
	{ .name = "writes_around", .kind = NDM_ARG_U64, .help = "Blocks written to the origin." },
	{ .name = "writes_allocated", .kind = NDM_ARG_U64, .help = "Blocks taken for writes." },
	{ .name = "writes_blocked", .kind = NDM_ARG_U64, .help = "Times that a write waited for a free block." },
	{ .name = "flushes", .kind = NDM_ARG_U64, .help = "Flushes." },
	{ .name = "discards", .kind = NDM_ARG_U64, .help = "Blocks discarded." },
	{ 0 }
};

static const struct ndm_keep writecache_keeps[] = {
	NDM_KEEP(struct writecache, stats.reads), NDM_KEEP(struct writecache, stats.read_hits),
	NDM_KEEP(struct writecache, stats.writes),
	NDM_KEEP(struct writecache, stats.hits_uncommitted),
	NDM_KEEP(struct writecache, stats.hits_committed),
	NDM_KEEP(struct writecache, stats.around), NDM_KEEP(struct writecache, stats.allocated),
	NDM_KEEP(struct writecache, stats.blocked), NDM_KEEP(struct writecache, stats.flushes),
	NDM_KEEP(struct writecache, stats.discards),
	{ 0 }
};

const struct ndm_target_type ndm_target_writecache = {
	.name = "writecache",
	.version = { 1, 6, 0 },
	.features = NDM_TARGET_FORMATS,
	.private_size = sizeof(struct writecache),
	.args = writecache_args,
	.status_fields = writecache_status_fields,
	.summary = "Writes go to a fast device first, and to the origin when there is time.",
	.ctr = writecache_ctr,
	.dtr = writecache_dtr,
	.map = wc_map,
	.io = wc_io,
	.end_io = wc_end_io,
	.status = writecache_status,
	.message = wc_message,
	.postsuspend = wc_postsuspend,
	.resume = wc_resume,
	.io_hints = writecache_io_hints,
	.keeps = writecache_keeps,
};
