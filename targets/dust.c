/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dust: a device with bad blocks, as a disk that answers "medium error".
 *
 *	dust <device> <offset> <blksz>
 *
 * Blocks are blksz bytes (a power of 2) and are numbered on the device: block 0 is where the
 * device begins, whatever the offset.  Messages put blocks on the list of bad ones.  While the
 * target is enabled, reading a bad block fails; writing it fails as often as its write fail
 * count says, then heals it.  While it is not (as constructed: "bypass") everything goes
 * through and the list stays as it is.
 *
 *	enable, disable			failing on bad blocks
 *	addbadblock <block> [<wr_fail_cnt>]
 *	removebadblock <block>
 *	queryblock <block>, countbadblocks, listbadblocks
 *	clearbadblocks
 *	quiet				turns the lines in the log off, and on again
 *
 * A discard counts as a write of its first block, as in the kernel.
 *
 * The list is an array in ascending order, searched by halves.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include <ndm-target.h>

#include "lib/kit/memo.h"

#define BLOCK_SECTORS_MAX 2097152u	/* 1 GiB */

struct bad_block {
	uint64_t nr;
	unsigned write_fails;		/* so many writes fail before one heals it */
};

struct dust {
	struct ndm_dev *dev;
	uint64_t start;
	unsigned block_bytes, block_sectors;
	bool enabled, quiet;
	struct bad_block *bad;		/* ascending */
	size_t nbad, cap;
	uint64_t failed;		/* requests */
};

/* ---- the list ---- */

/* Where the block is, or would have to be. */
static size_t bad_position(const struct dust *d, uint64_t block)
{
	size_t low = 0, high = d->nbad;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (d->bad[middle].nr < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct bad_block *bad_find(const struct dust *d, uint64_t block)
{
	size_t i = bad_position(d, block);

	return i < d->nbad && d->bad[i].nr == block ? &d->bad[i] : NULL;
}

static void bad_remove(struct dust *d, struct bad_block *b)
{
	size_t i = b - d->bad;

	memmove(b, b + 1, (d->nbad - i - 1) * sizeof *b);
	d->nbad--;
}

static int bad_insert(struct dust *d, uint64_t block, unsigned write_fails)
{
	size_t i = bad_position(d, block);

	if (d->nbad == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 64;
		struct bad_block *grown = ndm_calloc(cap, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		if (d->nbad)
			memcpy(grown, d->bad, d->nbad * sizeof *grown);
		ndm_free(d->bad);
		d->bad = grown;
		d->cap = cap;
	}
	memmove(d->bad + i + 1, d->bad + i, (d->nbad - i) * sizeof *d->bad);
	d->bad[i] = (struct bad_block){ .nr = block, .write_fails = write_fails };
	d->nbad++;
	return 0;
}

/* ---- the target ---- */

static int dust_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct dust *d = ti->private_data;
	uint64_t most = ti->nr < BLOCK_SECTORS_MAX ? ti->nr : BLOCK_SECTORS_MAX;

	if (argc != 3)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u instead of 3 "
				 "(<device> <offset> <blksz>)", argc);
	if (ndm_arg_uint(argv[2], &d->block_bytes) || !d->block_bytes)
		return ndm_error(ti, -EINVAL, "Invalid block size parameter: argument 3 is '%s'",
				 argv[2]);
	if (d->block_bytes < NDM_SECTOR_BYTES)
		return ndm_error(ti, -EINVAL, "Block size must be at least 512, not %u",
				 d->block_bytes);
	if (d->block_bytes & (d->block_bytes - 1))
		return ndm_error(ti, -EINVAL, "Block size must be a power of 2, not %u",
				 d->block_bytes);
	d->block_sectors = d->block_bytes / NDM_SECTOR_BYTES;
	if (d->block_sectors > most)
		return ndm_error(ti, -EINVAL, "Block size is too large: %u bytes, at most %" PRIu64,
				 d->block_bytes, most * NDM_SECTOR_BYTES);
	if (ndm_arg_u64(argv[1], &d->start))
		return ndm_error(ti, -EINVAL, "Invalid device offset sector: argument 2 is '%s'",
				 argv[1]);
	if (ndm_get_dev(ti, argv[0], d->start, ti->nr, &d->dev))
		return ndm_error(ti, -EINVAL, "Device lookup failed");

	ti->num_flush = ti->num_discard = 1;
	ti->max_io = d->block_sectors;
	ti->extents = ti->extents_whole = true;
	return 0;
}

static void dust_dtr(struct ndm_target *ti)
{
	struct dust *d = ti->private_data;

	ndm_free(d->bad);
}

static bool dust_write_fails(struct ndm_target *ti, struct bad_block *b)
{
	struct dust *d = ti->private_data;

	if (b->write_fails) {
		b->write_fails--;
		return true;
	}
	if (!d->quiet)
		ndm_warn(ti, "block %" PRIu64 " removed from badblocklist by write", b->nr);
	bad_remove(d, b);
	return false;
}

static enum ndm_map dust_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct dust *d = ti->private_data;
	struct bad_block *bad = NULL;
	bool fails = false;

	ndm_remap(bio, d->dev, d->start + ndm_offset(ti, bio->sector));
	if (d->enabled && d->nbad)
		bad = bad_find(d, bio->sector / d->block_sectors);
	if (bad && bio->op == NDM_READ)
		fails = true;
	else if (bad && (bio->op == NDM_WRITE || bio->op == NDM_DISCARD))
		fails = dust_write_fails(ti, bad);
	d->failed += fails;
	return fails ? NDM_MAP_KILL : NDM_MAP_REMAPPED;
}

static void dust_counters(struct ndm_target *ti, struct ndm_counters *out)
{
	struct dust *d = ti->private_data;

	ndm_counter_put(out, NDM_COUNT_FAULTS, "error", 0, d->failed);
}

/* ---- messages ---- */

static int message_add(struct ndm_target *ti, uint64_t block, unsigned write_fails)
{
	struct dust *d = ti->private_data;
	int err;

	if (bad_find(d, block))
		return ndm_error(ti, -EINVAL, "block %" PRIu64 " already in badblocklist", block);
	err = bad_insert(d, block, write_fails);
	if (err)
		return ndm_error(ti, err, "badblock allocation failed");
	return 0;
}

static int message_remove(struct ndm_target *ti, uint64_t block)
{
	struct dust *d = ti->private_data;
	struct bad_block *b = bad_find(d, block);

	if (!b)
		return ndm_error(ti, -EINVAL, "block %" PRIu64 " not found in badblocklist", block);
	bad_remove(d, b);
	return 0;
}

static int message_clear(struct dust *d, struct ndm_str *out)
{
	/* the names in front are the kernel's, and part of what its users see */
	ndm_printf(out, "dust_clear_badblocks: %s",
		   d->nbad ? "badblocks cleared" : "no badblocks found");
	ndm_free(d->bad);
	d->bad = NULL;
	d->nbad = d->cap = 0;
	return 1;
}

static int message_list(const struct dust *d, struct ndm_str *out)
{
	size_t i;

	for (i = 0; i < d->nbad; i++)
		ndm_printf(out, "%" PRIu64 "\n", d->bad[i].nr);
	if (!d->nbad)
		ndm_printf(out, "No blocks in badblocklist");
	return 1;
}

static int message_word(struct ndm_target *ti, const char *word, struct ndm_str *out)
{
	struct dust *d = ti->private_data;

	if (!strcasecmp(word, "enable") || !strcasecmp(word, "disable")) {
		d->enabled = !strcasecmp(word, "enable");
		return 0;
	}
	if (!strcasecmp(word, "quiet")) {
		d->quiet = !d->quiet;
		return 0;
	}
	if (!strcasecmp(word, "countbadblocks")) {
		ndm_printf(out, "countbadblocks: %zu badblock(s) found", d->nbad);
		return 1;
	}
	if (!strcasecmp(word, "clearbadblocks"))
		return message_clear(d, out);
	if (!strcasecmp(word, "listbadblocks"))
		return message_list(d, out);
	if (!strcasecmp(word, "addbadblock") || !strcasecmp(word, "removebadblock") ||
	    !strcasecmp(word, "queryblock"))
		return ndm_error(ti, -EINVAL, "%s requires an additional argument", word);
	return ndm_error(ti, -EINVAL, "unrecognized message '%s' received", word);
}

/* Words that take a block number; the kernel looks at the number before it looks at the word. */
static int message_block(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *out)
{
	struct dust *d = ti->private_data;
	uint64_t block;
	unsigned write_fails = 0;

	if (ndm_arg_u64(argv[1], &block))
		return ndm_error(ti, -EINVAL, "'%s' is not a block number", argv[1]);
	if (argc == 3 && (*argv[2] == '+' || ndm_arg_uint(argv[2], &write_fails)))
		return ndm_error(ti, -EINVAL, "'%s' is not a write fail count", argv[2]);
	if (write_fails > 255)
		return ndm_error(ti, -EINVAL, "selected write fail count out of range: %u, at most "
				 "255", write_fails);
	if (block > d->dev->store->nr / d->block_sectors)
		return ndm_error(ti, -EINVAL, "selected block value out of range: %" PRIu64
				 ", the device has %" PRIu64 " blocks", block,
				 d->dev->store->nr / d->block_sectors);
	if (!strcasecmp(argv[0], "addbadblock"))
		return message_add(ti, block, write_fails);
	if (argc == 2 && !strcasecmp(argv[0], "removebadblock"))
		return message_remove(ti, block);
	if (argc == 2 && !strcasecmp(argv[0], "queryblock")) {
		ndm_printf(out, "dust_query_block: block %" PRIu64 " %s in badblocklist", block,
			   bad_find(d, block) ? "found" : "not found");
		return 1;
	}
	return ndm_error(ti, -EINVAL, "unrecognized message '%s' received", argv[0]);
}

static int dust_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *out)
{
	if (argc == 1)
		return message_word(ti, argv[0], out);
	if (argc == 2 || argc == 3)
		return message_block(ti, argc, argv, out);
	return ndm_error(ti, -EINVAL, "invalid number of arguments '%u'", argc);
}

/* ---- from one process to the next ---- */

static int dust_recall(struct ndm_target *ti, struct ndm_str *out)
{
	const struct dust *d = ti->private_data;
	size_t i;

	for (i = 0; i < d->nbad; i++)
		ndm_printf(out, "bad %" PRIu64 " %u\n", d->bad[i].nr, d->bad[i].write_fails);
	return 0;
}

static int dust_remember(struct ndm_target *ti, const char *text, size_t bytes)
{
	struct dust *d = ti->private_data;
	struct memo memo = { text, text + bytes };
	struct memo_line l;
	int err;

	while ((err = memo_next(&memo, &l)) > 0) {
		if (!memo_is(&l, "bad", 2) || bad_find(d, l.number[0]))
			return -EBADMSG;
		err = bad_insert(d, l.number[0], (unsigned)l.number[1]);
		if (err)
			return err;
	}
	return err;
}

/* ---- status ---- */

static void dust_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			struct ndm_str *out)
{
	struct dust *d = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_TABLE)
		ndm_printf(out, "%s %" PRIu64 " %u", d->dev->name, d->start, d->block_bytes);
	else
		ndm_printf(out, "%s %s %s", d->dev->name,
			   d->enabled ? "fail_read_on_bad_block" : "bypass",
			   d->quiet ? "quiet" : "verbose");
}

static const struct ndm_arg dust_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that holds the data." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on the device the target's first sector lies." },
	{ .name = "blksz", .kind = NDM_ARG_BYTES,
	  .help = "Block size, a power of 2 from 512 bytes to 1 GiB." },
	{ 0 }
};

static const char *const dust_states[] = { "fail_read_on_bad_block", "bypass", NULL };
static const char *const dust_moods[] = { "quiet", "verbose", NULL };

static const struct ndm_arg dust_status_fields[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that holds the data." },
	{ .name = "state", .kind = NDM_ARG_WORD, .choices = dust_states,
	  .help = "Whether bad blocks fail." },
	{ .name = "verbosity", .kind = NDM_ARG_WORD, .choices = dust_moods,
	  .help = "Whether changes are written to the log." },
	{ 0 }
};

static const struct ndm_keep dust_keeps[] = {
	NDM_KEEP(struct dust, enabled), NDM_KEEP(struct dust, quiet), NDM_KEEP(struct dust, failed),
	{ 0 }
};

const struct ndm_target_type ndm_target_dust = {
	.name = "dust",
	.version = { 1, 0, 0 },
	.private_size = sizeof(struct dust),
	.args = dust_args,
	.status_fields = dust_status_fields,
	.summary = "A device with bad blocks; for tests.",
	.ctr = dust_ctr,
	.dtr = dust_dtr,
	.map = dust_map,
	.message = dust_message,
	.status = dust_status,
	.counters = dust_counters,
	.keeps = dust_keeps,
	.recall = dust_recall,
	.remember = dust_remember,
};
