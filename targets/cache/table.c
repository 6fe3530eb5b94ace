/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache: blocks of a slow origin that are used much lie on a fast device as well.
 *
 *	cache <metadata device> <cache device> <origin device> <block size>
 *	      <#features> [writeback|writethrough|passthrough] [metadata2] [no_discard_passdown]
 *	      <policy> <#policy args> [<key> <value>]...
 *	messages: <key> <value> | invalidate_cblocks [<cblock>|<begin>-<end>]...
 *
 * This file takes tables apart and prints them; cache.h says what is where.
 */
#include <strings.h>

#include "targets/cache/cache.h"

#define BLOCK_MIN 64u
#define BLOCK_MAX 2097152u
#define DISCARD_BLOCKS_MAX 16384u

/* ---- constructor: words ---- */

static int devices_take(struct cache *c, struct ndm_args *args)
{
	const unsigned both = NDM_OPEN_READ | NDM_OPEN_WRITE;
	struct ndm_target *ti = c->ti;
	int err;

	if (!args->argc)
		return ndm_error(ti, -EINVAL, "Insufficient args");
	err = ndm_get_dev_mode(ti, ndm_args_shift(args), both, 0, 0, &c->meta_dev);
	if (err)
		return ndm_error(ti, err, "Error opening metadata device");
	if (!args->argc)
		return ndm_error(ti, -EINVAL, "Insufficient args");
	err = ndm_get_dev_mode(ti, ndm_args_shift(args), both, 0, 0, &c->cache_dev);
	if (err)
		return ndm_error(ti, err, "Error opening cache device");
	ndm_dev_section(c->cache_dev, 0, c->cache_dev->store->nr);
	if (!args->argc)
		return ndm_error(ti, -EINVAL, "Insufficient args");
	err = ndm_get_dev_mode(ti, ndm_args_shift(args), both, 0, ti->nr, &c->origin);
	if (err)
		return ndm_error(ti, err, "Error opening origin device");
	if (!ti->nr)			/* from a volume definition: as long as the origin is */
		ti->nr = c->origin->store->nr;
	if (ti->nr > c->origin->store->nr)
		return ndm_error(ti, -EINVAL, "Device size larger than cached device");
	return 0;
}

static int block_size_take(struct cache *c, struct ndm_args *args)
{
	struct ndm_target *ti = c->ti;
	const char *word = ndm_args_shift(args);
	uint64_t n;

	if (!word)
		return ndm_error(ti, -EINVAL, "Insufficient args");
	if (ndm_arg_u64_plus(word, &n) || n < BLOCK_MIN || n > BLOCK_MAX || n % BLOCK_MIN)
		return ndm_error(ti, -EINVAL, "Invalid data block size: '%s' is no multiple of %u, %u to %u",
				 word, BLOCK_MIN, BLOCK_MIN, BLOCK_MAX);
	if (n > c->cache_dev->store->nr)
		return ndm_error(ti, -EINVAL, "Data block size is larger than the cache device");
	if (c->cache_dev->store->nr / n >= UINT32_MAX)
		return ndm_error(ti, -EINVAL, "Invalid data block size: the cache would have too many blocks");
	c->block_sectors = (uint32_t)n;
	c->blocks = (uint32_t)(c->cache_dev->store->nr / n);
	c->origin_blocks = ti->nr / n;
	return 0;
}

static int features_take(struct cache *c, struct ndm_args *args)
{
	static const char *const modes[] = { "writeback", "writethrough", "passthrough" };
	unsigned n, given = 0, i;

	if (ndm_args_group(c->ti, args, 0, 3, "Invalid number of cache feature arguments", &n))
		return -EINVAL;
	while (n--) {
		const char *word = ndm_args_shift(args);

		for (i = 0; i < 3 && strcasecmp(word, modes[i]); i++)
			;
		if (i < 3) {
			c->io = (enum cache_io)i;
			given++;
		} else if (!strcasecmp(word, "metadata2")) {
			c->metadata2 = true;
		} else if (!strcasecmp(word, "no_discard_passdown")) {
			c->passdown = false;
		} else {
			return ndm_error(c->ti, -EINVAL, "Unrecognised cache feature requested: '%s'", word);
		}
	}
	return given > 1 ? ndm_error(c->ti, -EINVAL, "Duplicate cache io_mode features requested") : 0;
}

static int value_set(struct cache *c, const char *key, const char *value)
{
	uint64_t n;

	if (strcasecmp(key, "migration_threshold"))
		return smq_set_value(c->policy, key, value);
	if (ndm_arg_u64_plus(value, &n))
		return -EINVAL;
	c->migration_threshold = n;
	return 0;
}

static int policy_take(struct cache *c, struct ndm_args *args)
{
	struct ndm_target *ti = c->ti;
	const char *name = ndm_args_shift(args);
	const struct smq_kind *kind;
	unsigned n;
	int err = 0;

	if (!name)
		return ndm_error(ti, -EINVAL, "Insufficient args");
	if (ndm_args_group(ti, args, 0, 1024, "Invalid number of policy arguments", &n))
		return -EINVAL;
	kind = smq_kind(name);
	if (!kind)
		return ndm_error(ti, -EINVAL, "Error creating cache's policy: there is no '%s'", name);
	c->policy = smq_new(ti->loop, kind, c->blocks, ti->nr, c->block_sectors);
	if (!c->policy)
		return ndm_error(ti, -ENOMEM, "Error creating cache's policy");
	if (c->io == CACHE_PASSTHROUGH)
		smq_no_migrations(c->policy);
	if (n % 2)
		err = -EINVAL;
	for (; n && !err; n -= 2) {
		const char *key = ndm_args_shift(args);

		err = value_set(c, key, ndm_args_shift(args));
	}
	return err ? ndm_error(ti, err, "Error setting cache policy's config values") : 0;
}

/* ---- constructor ---- */

static int bits_alloc(struct cache *c)
{
	struct ndm_target *ti = c->ti;

	c->discard_sectors = c->block_sectors;
	while (ti->nr / c->discard_sectors > DISCARD_BLOCKS_MAX)
		c->discard_sectors *= 2;
	c->discard_blocks = (ti->nr + c->discard_sectors - 1) / c->discard_sectors;
	c->discards = ndm_calloc(meta_bitset_words(c->discard_blocks) + 1, 8);
	if (!c->discards)
		return ndm_error(ti, -ENOMEM, "could not allocate discard bitset");
	c->dirty = ndm_calloc(meta_bitset_words(c->blocks) + 1, 8);
	return c->dirty ? 0 : ndm_error(ti, -ENOMEM, "could not allocate dirty bitset");
}

static int construct(struct cache *c, unsigned argc, char **argv)
{
	struct ndm_target *ti = c->ti;
	struct ndm_args args = { argc, argv };
	int err = devices_take(c, &args);

	err = err ? err : block_size_take(c, &args);
	err = err ? err : features_take(c, &args);
	err = err ? err : policy_take(c, &args);
	err = err ? err : bits_alloc(c);
	if (err)
		return err;
	err = cache_meta_open(ti, c->meta_dev->store, c->block_sectors, c->metadata2 ? 2 : 1, &c->meta);
	if (err)
		return ndm_error(ti, err, "Error creating metadata object");
	if (c->meta.flags & CACHE_NEEDS_CHECK)
		return ndm_error(ti, -EINVAL, "Unable to get write access to metadata, please "
				 "check/repair metadata.");
	memcpy(c->counts, c->meta.counts, sizeof c->counts);
	if (ndm_args_words(argc - 3, argv + 3, &c->words))
		return ndm_error(ti, -ENOMEM, "Error allocating memory for cache");
	if (!c->origin->store->limits.max_discard_sectors)
		c->passdown = false;
	return 0;
}

static void cache_dtr(struct ndm_target *ti)
{
	struct cache *c = ti->private_data;

	ndm_timer_cancel(&c->waker);
	cache_meta_close(&c->meta);
	smq_free(c->policy);
	ndm_free(c->dirty);
	ndm_free(c->discards);
	ndm_str_free(&c->words);
}

static int cache_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct cache *c = ti->private_data;
	int err;

	c->ti = ti;
	c->passdown = c->fresh = true;
	c->migration_threshold = 2048;
	ndm_mutex_init(&c->lock, ti->loop);
	crew_init(&c->tasks, ti->loop);
	ndm_waitq_init(&c->copy_room, ti->loop);
	ndm_timer_init(&c->waker, ti->loop, cache_waker);
	err = construct(c, argc, argv);
	if (err) {
		cache_dtr(ti);
		return err;
	}
	ti->max_io = c->block_sectors;
	ti->num_flush = 2;			/* to the origin, and to the cache */
	ti->num_discard = 1;
	ti->discards_supported = true;
	ti->extents = ti->extents_whole = true;
	ti->per_bio_size = cache_per_bio_size();
	return 0;
}

/* ---- messages ---- */

static int range_take(struct cache *c, const char *text, uint64_t *begin, uint64_t *end)
{
	char first[24];
	const char *dash = strchr(text, '-');
	size_t n = dash ? (size_t)(dash - text) : strlen(text);

	if (n >= sizeof first)
		return -EINVAL;
	memcpy(first, text, n);
	first[n] = '\0';
	if (ndm_arg_u64(first, begin) || (dash && ndm_arg_u64(dash + 1, end)))
		return -EINVAL;
	if (!dash)
		*end = *begin + 1;
	return *begin < c->blocks && *end <= c->blocks && *begin < *end ? 0 : -EINVAL;
}

static int message_invalidate(struct cache *c, unsigned n, char **ranges)
{
	uint64_t begin = 0, end = 0;
	unsigned i;
	int err = 0;

	if (c->io != CACHE_PASSTHROUGH)
		return ndm_error(c->ti, -EPERM, "cache has to be in passthrough mode for invalidation");
	for (i = 0; i < n && !err; i++) {
		err = range_take(c, ranges[i], &begin, &end);
		if (err)
			return ndm_error(c->ti, err, "invalid cblock range '%s'", ranges[i]);
		ndm_lock(&c->lock);
		for (; begin < end && !err; begin++)
			err = cache_invalidate(c, (uint32_t)begin);
		ndm_unlock(&c->lock);
	}
	return err;
}

static int cache_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct cache *c = ti->private_data;

	(void)reply;
	if (c->mode != CACHE_WRITE)
		return ndm_error(ti, -EOPNOTSUPP, "no messages in read-only and fail mode");
	if (!strcasecmp(argv[0], "invalidate_cblocks"))
		return message_invalidate(c, argc - 1, argv + 1);
	if (argc != 2 || value_set(c, argv[0], argv[1]))
		return ndm_error(ti, -EINVAL, "messages are a key and its value, and invalidate_cblocks");
	return 0;
}

/* ---- status ---- */

static void print_features(const struct cache *c, struct ndm_str *out)
{
	static const char *const modes[] = { "writeback", "writethrough", "passthrough" };

	ndm_printf(out, "%d %s%s %s", c->metadata2 + !c->passdown + 1, c->metadata2 ? "metadata2 " : "",
		   modes[c->io], c->passdown ? "" : "no_discard_passdown ");
}

static void cache_prestatus(struct ndm_target *ti, unsigned flags)
{
	struct cache *c = ti->private_data;

	if (!(flags & NDM_STATUS_NOFLUSH) && c->running && c->mode == CACHE_WRITE)
		cache_commit(c);
}

static void cache_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			 struct ndm_str *out)
{
	struct cache *c = ti->private_data;
	uint64_t total = meta_space_blocks(c->meta.m);

	(void)flags;
	if (what == NDM_STATUS_TABLE) {
		ndm_printf(out, "%s %s %s", c->meta_dev->name, c->cache_dev->name, c->origin->name);
		ndm_str_put(out, c->words.text, c->words.len);
		return;
	}
	if (c->mode == CACHE_FAIL) {
		ndm_printf(out, "Fail");
		return;
	}
	ndm_printf(out, "%u %" PRIu64 "/%" PRIu64 " %u %u/%u %u %u %u %u %u %u %" PRIu64 " ",
		   META_BLOCK_SECTORS, total - meta_space_free(c->meta.m), total, c->block_sectors,
		   smq_residency(c->policy), c->blocks, c->counts[CACHE_READ_HITS],
		   c->counts[CACHE_READ_MISSES], c->counts[CACHE_WRITE_HITS],
		   c->counts[CACHE_WRITE_MISSES], c->demotions, c->promotions, c->ndirty);
	print_features(c, out);
	ndm_printf(out, "2 migration_threshold %" PRIu64 " %s ", c->migration_threshold,
		   smq_kind_of(c->policy)->name);
	smq_print_values(c->policy, out);
	ndm_printf(out, "%s %s ", c->mode == CACHE_WRITE ? "rw" : "ro",
		   c->meta.flags & CACHE_NEEDS_CHECK ? "needs_check" : "-");
}

static void cache_io_hints(struct ndm_target *ti, struct ndm_limits *l)
{
	const struct cache *c = ti->private_data;
	uint32_t block = c->block_sectors * NDM_SECTOR_BYTES;
	uint64_t discard = c->discard_sectors * NDM_SECTOR_BYTES;

	if (l->io_opt_bytes < block || l->io_opt_bytes % block)
		l->io_min_bytes = l->io_opt_bytes = block;
	if (c->passdown)
		l->discard_granularity_bytes = c->origin->store->limits.discard_granularity_bytes;
	else
		l->discard_granularity_bytes = discard < UINT32_MAX ? (uint32_t)discard : 1u << 31;
	l->volatile_cache = true;
}

/* ---- names ---- */

static const struct ndm_arg feature_args[] = {
	{ .name = "writeback", .kind = NDM_ARG_FLAG, .help = "Writes to cached blocks go to the cache alone." },
	{ .name = "writethrough", .kind = NDM_ARG_FLAG, .help = "They go to both; nothing becomes dirty." },
	{ .name = "passthrough", .kind = NDM_ARG_FLAG,
	  .help = "All goes to the origin; writes make cached blocks invalid." },
	{ .name = "metadata2", .kind = NDM_ARG_FLAG,
	  .help = "Dirty bits apart from mappings; only when the metadata are formatted." },
	{ .name = "no_discard_passdown", .kind = NDM_ARG_FLAG,
	  .help = "Discards are not passed to the origin." },
	{ 0 }
};

#define KEY(text) .kind = NDM_ARG_KEYED, .sub = (const struct ndm_arg[]){ \
	{ .name = "value", .kind = NDM_ARG_U64, .help = "A number." }, { 0 } }, .help = text

static const struct ndm_arg policy_args[] = {
	{ .name = "migration_threshold",
	  KEY("Sectors that may be on their way in the background; 2048.") },
	{ .name = "random_threshold", KEY("mq: without effect.") },
	{ .name = "sequential_threshold", KEY("mq: without effect.") },
	{ .name = "discard_promote_adjustment", KEY("mq: without effect.") },
	{ .name = "read_promote_adjustment", KEY("mq: without effect.") },
	{ .name = "write_promote_adjustment", KEY("mq: without effect.") },
	{ 0 }
};

static const char *const policies[] = { "smq", "mq", "cleaner", "default", NULL };

static const struct ndm_arg cache_args[] = {
	{ .name = "metadata", .kind = NDM_ARG_DEVICE, .help = "Where it is remembered what is cached." },
	{ .name = "cache", .kind = NDM_ARG_DEVICE, .help = "The fast device." },
	{ .name = "origin", .kind = NDM_ARG_DEVICE, .help = "The slow one." },
	{ .name = "block_size", .kind = NDM_ARG_SECTORS, .dflt = "512",
	  .help = "What is cached at once: a multiple of 64 sectors, up to 2097152." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .sub = feature_args, .help = "Features." },
	{ .name = "policy", .kind = NDM_ARG_WORD, .choices = policies, .dflt = "smq",
	  .help = "What is worth a place: smq; mq is the same; cleaner empties the cache." },
	{ .name = "policy_args", .kind = NDM_ARG_FEATURES, .sub = policy_args, .help = "Numbers." },
	{ 0 }
};

static const struct ndm_arg cache_status_fields[] = {
	{ .name = "metadata_block", .kind = NDM_ARG_SECTORS, .help = "Size of a metadata block; or Fail." },
	{ .name = "metadata", .kind = NDM_ARG_TEXT, .flags = NDM_ARG_OPTIONAL,
	  .help = "Metadata blocks in use / all." },
	{ .name = "block_size", .kind = NDM_ARG_SECTORS, .help = "Size of a block." },
	{ .name = "used", .kind = NDM_ARG_TEXT, .help = "Cache blocks in use / all." },
	{ .name = "read_hits", .kind = NDM_ARG_U64, .help = "Reads of cached blocks." },
	{ .name = "read_misses", .kind = NDM_ARG_U64, .help = "Other reads." },
	{ .name = "write_hits", .kind = NDM_ARG_U64, .help = "Writes to cached blocks." },
	{ .name = "write_misses", .kind = NDM_ARG_U64, .help = "Other writes." },
	{ .name = "demotions", .kind = NDM_ARG_U64, .help = "Blocks that have left the cache." },
	{ .name = "promotions", .kind = NDM_ARG_U64, .help = "Blocks that have come." },
	{ .name = "dirty", .kind = NDM_ARG_U64, .help = "Blocks that the origin does not have yet." },
	{ .name = "features", .kind = NDM_ARG_FEATURES, .sub = feature_args, .help = "Features." },
	{ .name = "core", .kind = NDM_ARG_FEATURES, .sub = policy_args, .help = "Numbers of the target." },
	{ .name = "policy", .kind = NDM_ARG_TEXT, .help = "The policy." },
	{ .name = "policy_args", .kind = NDM_ARG_FEATURES, .sub = policy_args, .help = "Its numbers." },
	{ .name = "mode", .kind = NDM_ARG_TEXT, .help = "rw, or ro after a failure of the metadata." },
	{ .name = "needs_check", .kind = NDM_ARG_TEXT, .help = "needs_check, or -." },
	{ 0 }
};

const struct ndm_target_type ndm_target_cache = {
	.name = "cache",
	.version = { 2, 3, 0 },
	.features = NDM_TARGET_FORMATS | NDM_TARGET_OWN_SIZE,
	.private_size = sizeof(struct cache),
	.args = cache_args,
	.status_fields = cache_status_fields,
	.summary = "Blocks of a slow device that are used much lie on a fast one as well.",
	.ctr = cache_ctr,
	.dtr = cache_dtr,
	.map = cache_map,
	.io = cache_io_task,
	.end_io = cache_end_io,
	.prestatus = cache_prestatus,
	.status = cache_status,
	.message = cache_message,
	.preresume = cache_preresume,
	.resume = cache_resume,
	.postsuspend = cache_postsuspend,
	.io_hints = cache_io_hints,
};
