/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity: a tag for every block, so that a block that has changed by itself is noticed.
 *
 *	integrity <device> <offset> <tag_size> <mode> <#words> [<word>...]
 *
 * The target formats a device whose first 4 KiB (at the offset) are zero.  Mode J puts data and
 * tags through a journal, so that both are old or new after a power cut; B keeps a bitmap of
 * what is being written and makes those tags again; D does neither; R only reads, and believes.
 *
 * This file takes tables apart and prints them.  super.c has the superblock, format.c the
 * layout, tags.c tags in memory, io.c the requests, journal*.c and replay.c the journal,
 * bitmap.c and recalc.c what their names say, life.c suspend and resume.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/kit/hex.h"
#include "targets/integrity/integrity.h"

#define WORDS_MAX 18
#define JOURNAL_SECTORS_MAX 131072u	/* by default: the lesser of this and 1/128 of the device */
#define BUFFER_LOG2_MAX 22
#define JIFFY_MS 4			/* the kernel counts the flush interval in these */
#define MAX_IO 512			/* sectors at once: work for one worker */

/* ---- constructor: words ---- */

static void alg_free(struct integrity_alg *a)
{
	ndm_free(a->name);
	ndm_secret_free(a->key, a->key_bytes);
	*a = (struct integrity_alg){ 0 };
}

static int word_alg(struct ndm_target *ti, const char *text, struct integrity_alg *a,
		    const char *word)
{
	char *colon;

	alg_free(a);
	a->name = ndm_strdup(text);
	if (!a->name)
		return ndm_error(ti, -ENOMEM, "Out of memory for an argument");
	colon = strchr(a->name, ':');
	if (!colon)
		return 0;
	*colon++ = '\0';
	a->key_bytes = strlen(colon) / 2;
	a->key = ndm_secret_alloc(a->key_bytes ? a->key_bytes : 1);
	if (!a->key)
		return ndm_error(ti, -ENOMEM, "Out of memory for an argument");
	if (strlen(colon) % 2 || ndm_unhex(colon, a->key, a->key_bytes))
		return ndm_error(ti, -EINVAL, "Invalid %s argument", word);
	ndm_secret_wipe(colon, strlen(colon));
	return 0;
}

static const char *after(const char *word, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(word, prefix, n) ? NULL : word + n;
}

static bool word_number(const char *word, const char *prefix, uint64_t most, uint64_t *n)
{
	const char *text = after(word, prefix);

	return text && !ndm_arg_u64(text, n) && *n <= most;
}

static unsigned log2_floor(uint64_t n)
{
	return n ? 63 - __builtin_clzll(n) : 0;
}

static int word_sizes(struct ndm_target *ti, struct integrity *ic, const char *word, bool *known)
{
	uint64_t n;

	*known = true;
	if (word_number(word, "journal_sectors:", UINT32_MAX, &n))
		ic->journal_sectors = n ? n : 1;
	else if (word_number(word, "interleave_sectors:", UINT32_MAX, &n))
		ic->interleave_sectors = n;
	else if (word_number(word, "buffer_sectors:", UINT32_MAX, &n))
		ic->l.log2_buffer = log2_floor(n);
	else if (word_number(word, "journal_watermark:", 100, &n))
		ic->watermark = n;
	else if (word_number(word, "commit_time:", UINT32_MAX, &n))
		ic->commit_ms = n;
	else if (word_number(word, "sectors_per_bit:", UINT64_MAX, &n))
		ic->log2_sectors_per_bit = log2_floor(n);
	else if (word_number(word, "bitmap_flush_interval:", UINT32_MAX, &n))
		ic->flush_ms = (n + JIFFY_MS - 1) / JIFFY_MS * JIFFY_MS;
	else if (word_number(word, "block_size:", UINT32_MAX, &n)) {
		if (n < 512 || n > INTEGRITY_BLOCK_MAX || n & (n - 1))
			return ndm_error(ti, -EINVAL, "Invalid block_size argument: it is 512, 1024, 2048 "
					 "or 4096");
		ic->block_sectors = n >> NDM_SECTOR_SHIFT;
	} else {
		*known = false;
	}
	return 0;
}

static const struct { const char *word; size_t at; } flag_words[] = {
	{ "recalculate", offsetof(struct integrity, recalculate) },
	{ "reset_recalculate", offsetof(struct integrity, reset_recalculate) },
	{ "allow_discards", offsetof(struct integrity, discard) },
	{ "allow_discards_keyed", offsetof(struct integrity, discard_keyed) },
	{ "fix_padding", offsetof(struct integrity, fix_padding) },
	{ "fix_hmac", offsetof(struct integrity, fix_hmac) },
	{ "legacy_recalculate", offsetof(struct integrity, legacy_recalculate) },
};

static bool word_flag(struct integrity *ic, const char *word)
{
	unsigned i;

	for (i = 0; i < sizeof flag_words / sizeof *flag_words; i++) {
		if (strcmp(word, flag_words[i].word))
			continue;
		*(bool *)((char *)ic + flag_words[i].at) = true;
		ic->recalculate |= ic->reset_recalculate;
		ic->discard |= ic->discard_keyed;
		return true;
	}
	return false;
}

static int integrity_word(struct ndm_target *ti, struct integrity *ic, const char *word)
{
	const char *text;
	bool known;
	int err = word_sizes(ti, ic, word, &known);

	if (known || word_flag(ic, word))
		return err;
	text = after(word, "meta_device:");
	if (text) {
		err = ndm_get_dev(ti, text, 0, 0, &ic->meta);
		return err ? ndm_error(ti, err, "Device lookup failed") : 0;
	}
	text = after(word, "internal_hash:");
	if (text)
		return word_alg(ti, text, &ic->hash_alg, "internal_hash");
	text = after(word, "journal_crypt:");
	if (text)
		return word_alg(ti, text, &ic->crypt_alg, "journal_crypt");
	text = after(word, "journal_mac:");
	if (text)
		return word_alg(ti, text, &ic->mac_alg, "journal_mac");
	return ndm_error(ti, -EINVAL, "Invalid argument: '%s'", word);
}

static int integrity_words(struct ndm_target *ti, struct integrity *ic, struct ndm_args args)
{
	unsigned n;
	int err = ndm_args_group(ti, &args, 0, WORDS_MAX, "Invalid number of feature args", &n);

	while (!err && n--)
		err = integrity_word(ti, ic, ndm_args_shift(&args));
	return err;
}

/* ---- constructor ---- */

static int ctr_four(struct ndm_target *ti, struct integrity *ic, char **argv)
{
	int err = ndm_get_dev(ti, argv[0], 0, 0, &ic->data);
	uint64_t n;

	if (err)
		return ndm_error(ti, err, "Device lookup failed");
	if (ndm_arg_u64(argv[1], &ic->l.start))
		return ndm_error(ti, -EINVAL, "Invalid starting offset: '%s'", argv[1]);
	if (strcmp(argv[2], "-")) {
		if (ndm_arg_u64(argv[2], &n) || !n || n > UINT32_MAX)
			return ndm_error(ti, -EINVAL, "Invalid tag size: '%s'", argv[2]);
		ic->tag_bytes = n;
	}
	if (!*argv[3] || argv[3][1] || !strchr("JBDRI", *argv[3]))
		return ndm_error(ti, -EINVAL, "Invalid mode (expecting J, B, D, R, I): '%s'", argv[3]);
	ic->mode = *argv[3];
	return 0;
}

static int ctr_inline(struct ndm_target *ti, const struct integrity *ic)
{
	if (ic->l.separate)
		return ndm_error(ti, -EINVAL, "Metadata device not supported in inline mode");
	if (!ic->digest_bytes)
		return ndm_error(ti, -EINVAL, "Internal hash not set in inline mode");
	if (ic->crypt_alg.name || ic->mac_alg.name)
		return ndm_error(ti, -EINVAL, "Journal crypt not supported in inline mode");
	if (ic->discard)
		return ndm_error(ti, -EINVAL, "Discards not supported in inline mode");
	return ndm_error(ti, -EINVAL, "Integrity profile not supported");
}

/* What the words ask for, together. */
static int ctr_together(struct ndm_target *ti, struct integrity *ic)
{
	if (!ic->tag_bytes && !ic->digest_bytes)
		return ndm_error(ti, -EINVAL, "Unknown tag size");
	if (!ic->tag_bytes)
		ic->tag_bytes = ic->digest_bytes;
	if (ic->tag_bytes > NDM_INTEGRITY_TAG_MAX)
		return ndm_error(ti, -EINVAL, "Too big tag size: %u is more than 255", ic->tag_bytes);
	if (ic->mode == 'I')
		return ctr_inline(ti, ic);
	if (ic->mode == 'B' && !ic->digest_bytes)
		return ndm_error(ti, -EINVAL, "Bitmap mode can be only used with internal hash");
	if (ic->discard && !ic->digest_bytes)
		return ndm_error(ti, -EINVAL, "Discard can be only used with internal hash");
	if (ic->discard_keyed && !ic->hash_alg.key)
		return ndm_error(ti, -EINVAL, "Keyed discard can only be used with keyed internal hash");
	return 0;
}

/* Who knows neither key nor hash must not have tags made for whatever is there. */
static bool recalculation_refused(const struct integrity *ic)
{
	if (ic->legacy_recalculate)
		return false;
	if (ic->l.super.flags & NDM_INTEGRITY_FIXED_HMAC)
		return ic->hash_alg.key && !ic->mac_alg.key;
	return ic->hash_alg.key || ic->mac_alg.key;
}

static int ctr_recalculate(struct ndm_target *ti, struct integrity *ic)
{
	struct ndm_integrity_super *s = &ic->l.super;

	if (ic->recalculate && !(s->flags & NDM_INTEGRITY_RECALCULATING)) {
		s->flags |= NDM_INTEGRITY_RECALCULATING;
		s->recalc = 0;
	}
	if (!(s->flags & NDM_INTEGRITY_RECALCULATING))
		return 0;
	if (!ic->digest_bytes)
		return ndm_error(ti, -EINVAL, "Recalculate can only be specified with internal_hash");
	if (s->recalc < ic->l.provided && recalculation_refused(ic))
		return ndm_error(ti, -EOPNOTSUPP, "Recalculating with HMAC is disabled for security "
				 "reasons - if you really need it, use the argument \"legacy_recalculate\"");
	return 0;
}

static int ctr_disk(struct ndm_target *ti, struct integrity *ic)
{
	bool made = false;
	int err = integrity_super_open(ti, ic, &made);

	err = err ? err : integrity_bitmap_init(ti, ic);
	if (err)
		return err;
	if (made)
		ic->l.super.log2_blocks_per_bit = ic->bitmap.log2_blocks;
	if (ti->nr > ic->l.provided)
		return ndm_error(ti, -EINVAL, "Not enough provided sectors for requested mapping size: "
				 "there are %" PRIu64, ic->l.provided);
	err = ctr_recalculate(ti, ic);
	if (!err && ic->mode != 'R')
		err = integrity_journal_init(ti, ic);
	if (!err && integrity_tags_init(ic))
		err = ndm_error(ti, -ENOMEM, "Cannot initialize dm-bufio");
	if (err || !made)
		return err;
	integrity_sections_clear(ic, 0, ic->l.super.journal_sections, 0);
	if (ic->failed)
		return ndm_error(ti, ic->failed, "Error initializing journal");
	err = integrity_super_write(ic, NDM_FUA);
	ic->formatted = true;
	return err ? ndm_error(ti, err, "Error initializing superblock") : 0;
}

static void integrity_dtr(struct ndm_target *ti)
{
	struct integrity *ic = ti->private_data;
	unsigned i;

	integrity_tags_free(ic);
	integrity_journal_free(ic);
	integrity_bitmap_free(ic);
	for (i = 0; i < INTEGRITY_LANES; i++)
		ndm_hash_free(ic->hashes[i]);
	ndm_hash_free(ic->mac);
	alg_free(&ic->hash_alg);
	alg_free(&ic->crypt_alg);
	alg_free(&ic->mac_alg);
}

static void ctr_defaults(struct ndm_target *ti, struct integrity *ic)
{
	ic->ti = ti;
	ic->interleave_sectors = 32768;
	ic->l.log2_buffer = 7;
	ic->watermark = 50;
	ic->commit_ms = ic->flush_ms = 10000;
	ic->block_sectors = 1;
	ic->log2_sectors_per_bit = -1;
}

static int ctr_sizes(struct integrity *ic)
{
	uint64_t part = ic->data->store->nr / 128;

	ic->l.separate = ic->meta != NULL;
	if (!ic->meta)
		ic->meta = ic->data;
	ic->l.data_sectors = ic->data->store->nr;
	ic->l.meta_sectors = ic->meta->store->nr;
	if (!ic->journal_sectors)
		ic->journal_sectors = part < JOURNAL_SECTORS_MAX ? part : JOURNAL_SECTORS_MAX;
	if (ic->l.log2_buffer > BUFFER_LOG2_MAX)
		ic->l.log2_buffer = BUFFER_LOG2_MAX;
	ic->block_bytes = ic->block_sectors << NDM_SECTOR_SHIFT;
	return 0;
}

static void ctr_target(struct ndm_target *ti, struct integrity *ic)
{
	uint64_t interleave = 1ull << ic->l.super.log2_interleave;
	uint64_t most = ic->l.separate || interleave > MAX_IO ? MAX_IO : interleave;

	if (ic->l.separate)
		ndm_dev_section(ic->data, 0, ti->nr);
	else
		ndm_dev_section(ic->data, ic->l.start + ic->l.initial + ic->l.run, ti->nr);
	ti->max_io = most;
	ti->max_discard = ic->l.separate ? 0 : interleave;
	ti->num_flush = 1;
	ti->num_discard = ic->discard;
}

static int integrity_construct(struct ndm_target *ti, struct integrity *ic, unsigned argc,
			       char **argv)
{
	struct ndm_args words = { .argc = argc - 4, .argv = argv + 4 };
	int err = ctr_four(ti, ic, argv);

	err = err ? err : integrity_words(ti, ic, words);
	err = err ? err : ctr_sizes(ic);
	err = err ? err : integrity_hash_init(ti, ic);
	err = err ? err : ctr_together(ti, ic);
	err = err ? err : integrity_life_init(ic);
	return err ? err : ctr_disk(ti, ic);
}

/* Keys are not left in the words. */
static void wipe_words(unsigned argc, char **argv)
{
	unsigned i;

	for (i = 4; i < argc; i++) {
		char *colon = strchr(argv[i], ':');

		colon = colon ? strchr(colon + 1, ':') : NULL;
		if (colon && strncmp(argv[i], "meta_device:", 12))
			memset(colon + 1, '0', strlen(colon + 1));
	}
}

static int integrity_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct integrity *ic = ti->private_data;
	int err;

	if (argc <= 4)
		return ndm_error(ti, -EINVAL, "Invalid argument count: %u instead of 5 or more", argc);
	ctr_defaults(ti, ic);
	err = integrity_construct(ti, ic, argc, argv);
	wipe_words(argc, argv);
	if (err) {
		integrity_dtr(ti);
		return err;
	}
	ctr_target(ti, ic);
	return 0;
}

/* ---- what it says of itself ---- */

static void print_alg(const struct integrity_alg *a, const char *word, bool show,
		      struct ndm_str *out)
{
	size_t i;

	if (!a->name)
		return;
	ndm_printf(out, " %s:%s", word, a->name);
	if (a->key)
		ndm_printf(out, ":");
	for (i = 0; i < a->key_bytes; i++)
		ndm_printf(out, "%02x", show ? a->key[i] : 0);
}

static unsigned words_printed(const struct integrity *ic)
{
	uint32_t flags = ic->l.super.flags;

	return 3 + ic->l.separate + (ic->block_sectors != 1) +
	       !!(flags & NDM_INTEGRITY_RECALCULATING) + ic->reset_recalculate + ic->discard +
	       2 * (ic->mode == 'J' || ic->mode == 'B') + !!ic->hash_alg.name +
	       !!ic->crypt_alg.name + !!ic->mac_alg.name + !!(flags & NDM_INTEGRITY_FIXED_PADDING) +
	       !!(flags & NDM_INTEGRITY_FIXED_HMAC) + ic->legacy_recalculate;
}

static void print_mode(const struct integrity *ic, struct ndm_str *out)
{
	uint64_t entries = ic->journal.entries, percent;

	if (ic->mode == 'J') {
		percent = ((entries - ic->journal.threshold) * 100 + entries / 2) / entries;
		ndm_printf(out, " journal_watermark:%" PRIu64 " commit_time:%u", percent, ic->commit_ms);
	}
	if (ic->mode == 'B')
		ndm_printf(out, " sectors_per_bit:%" PRIu64 " bitmap_flush_interval:%u",
			   (uint64_t)ic->block_sectors << ic->bitmap.log2_blocks, ic->flush_ms);
}

static void print_table(const struct integrity *ic, bool show, struct ndm_str *out)
{
	uint32_t flags = ic->l.super.flags;

	ndm_printf(out, "%s %" PRIu64 " %u %c %u", ic->data->name, ic->l.start, ic->tag_bytes,
		   ic->mode, words_printed(ic));
	if (ic->l.separate)
		ndm_printf(out, " meta_device:%s", ic->meta->name);
	if (ic->block_sectors != 1)
		ndm_printf(out, " block_size:%u", ic->block_bytes);
	if (flags & NDM_INTEGRITY_RECALCULATING)
		ndm_printf(out, " recalculate");
	if (ic->reset_recalculate)
		ndm_printf(out, " reset_recalculate");
	if (ic->discard)
		ndm_printf(out, ic->discard_keyed ? " allow_discards_keyed" : " allow_discards");
	ndm_printf(out, " journal_sectors:%" PRIu64 " interleave_sectors:%" PRIu64
		   " buffer_sectors:%u", ic->l.initial - NDM_INTEGRITY_SUPER_SECTORS,
		   (uint64_t)1 << ic->l.super.log2_interleave, 1u << ic->l.log2_buffer);
	print_mode(ic, out);
	if (flags & NDM_INTEGRITY_FIXED_PADDING)
		ndm_printf(out, " fix_padding");
	if (flags & NDM_INTEGRITY_FIXED_HMAC)
		ndm_printf(out, " fix_hmac");
	if (ic->legacy_recalculate)
		ndm_printf(out, " legacy_recalculate");
	print_alg(&ic->hash_alg, "internal_hash", show, out);
	print_alg(&ic->crypt_alg, "journal_crypt", show, out);
	print_alg(&ic->mac_alg, "journal_mac", show, out);
}

static void integrity_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			     struct ndm_str *out)
{
	struct integrity *ic = ti->private_data;

	if (what == NDM_STATUS_TABLE) {
		print_table(ic, flags & NDM_STATUS_SHOWKEYS, out);
		return;
	}
	ndm_printf(out, "%" PRIu64 " %" PRIu64, ic->mismatches, ic->l.provided);
	if (ic->l.super.flags & NDM_INTEGRITY_RECALCULATING)
		ndm_printf(out, " %" PRIu64, ic->l.super.recalc);
	else
		ndm_printf(out, " -");
}

static void integrity_io_hints(struct ndm_target *ti, struct ndm_limits *limits)
{
	struct integrity *ic = ti->private_data;

	if (ic->block_sectors > 1) {
		limits->logical_block_bytes = ic->block_bytes;
		limits->physical_block_bytes = ic->block_bytes;
		limits->io_min_bytes = ic->block_bytes;
		limits->discard_granularity_bytes = ic->block_bytes;
	}
	if (!ic->digest_bytes) {
		limits->tag_bytes = ic->tag_bytes;
		limits->tag_sectors = ic->block_sectors;
	}
}

/* ---- names ---- */

#define NUMBER(unit, text) (const struct ndm_arg[]){ { .name = "number", .kind = unit, .help = text }, { 0 } }
#define ALG(text) (const struct ndm_arg[]){ \
	{ .name = "algorithm", .kind = NDM_ARG_TEXT, .help = text }, \
	{ .name = "key", .kind = NDM_ARG_HEX, .flags = NDM_ARG_OPTIONAL | NDM_ARG_SECRET, \
	  .help = "Its key, hexadecimal." }, { 0 } }
#define KEYED .kind = NDM_ARG_KEYED, .flags = NDM_ARG_COLON

static const struct ndm_arg words_args[] = {
	{ .name = "meta_device", KEYED,
	  .sub = (const struct ndm_arg[]){ { .name = "device", .kind = NDM_ARG_DEVICE,
					     .help = "The device." }, { 0 } },
	  .help = "Superblock, journal and tags are on a device of their own." },
	{ .name = "block_size", KEYED, .sub = NUMBER(NDM_ARG_BYTES, "512, 1024, 2048 or 4096."),
	  .help = "What has one tag." },
	{ .name = "recalculate", .kind = NDM_ARG_FLAG,
	  .help = "Make all tags anew, in the background; blocks not reached yet are believed." },
	{ .name = "reset_recalculate", .kind = NDM_ARG_FLAG,
	  .help = "The same, from the start even when it had been begun." },
	{ .name = "allow_discards", .kind = NDM_ARG_FLAG,
	  .help = "Discards are passed down, and the blocks marked with tags that anyone can make." },
	{ .name = "allow_discards_keyed", .kind = NDM_ARG_FLAG,
	  .help = "The same with tags that need the hash's key; cannot be undone." },
	{ .name = "journal_sectors", KEYED, .sub = NUMBER(NDM_ARG_SECTORS, "How large."),
	  .help = "Size of the journal; only when the device is formatted." },
	{ .name = "interleave_sectors", KEYED, .sub = NUMBER(NDM_ARG_SECTORS, "A power of 2."),
	  .help = "Data between two runs of tags; only when the device is formatted." },
	{ .name = "buffer_sectors", KEYED, .sub = NUMBER(NDM_ARG_SECTORS, "A power of 2."),
	  .help = "How much of the tags is read at once." },
	{ .name = "journal_watermark", KEYED, .sub = NUMBER(NDM_ARG_U64, "0 to 100."),
	  .help = "Per cent of the journal that may be full before it is emptied." },
	{ .name = "commit_time", KEYED, .sub = NUMBER(NDM_ARG_MS, "How long."),
	  .help = "After this time what was written is made durable unasked." },
	{ .name = "sectors_per_bit", KEYED, .sub = NUMBER(NDM_ARG_SECTORS, "A power of 2."),
	  .help = "Mode B: sectors that share a bit." },
	{ .name = "bitmap_flush_interval", KEYED, .sub = NUMBER(NDM_ARG_MS, "How long."),
	  .help = "Mode B: how often bits are cleared." },
	{ .name = "fix_padding", .kind = NDM_ARG_FLAG,
	  .help = "Pad tags to 4 KiB and not to 128 KiB; only when the device is formatted." },
	{ .name = "fix_hmac", .kind = NDM_ARG_FLAG,
	  .help = "A salt, and MACs that cover the superblock and the section's number; only when the "
		  "device is formatted." },
	{ .name = "legacy_recalculate", .kind = NDM_ARG_FLAG,
	  .help = "Recalculate even where keyed tags would be made for data nobody vouches for." },
	{ .name = "internal_hash", KEYED, .sub = ALG("crc32c, sha256, hmac(sha256), ..."),
	  .help = "What tags are made with; without it they come from the target above." },
	{ .name = "journal_crypt", KEYED, .sub = ALG("ctr(aes), cbc(aes), ..."),
	  .help = "The journal is encrypted." },
	{ .name = "journal_mac", KEYED, .sub = ALG("hmac(sha256), ..."),
	  .help = "The journal's sector numbers are authenticated." },
	{ 0 }
};

static const char *const mode_choices[] = { "J", "B", "D", "R", "I", NULL };

static const struct ndm_arg integrity_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device with the data." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where the superblock lies (on the metadata device if there is one)." },
	{ .name = "tag_size", .kind = NDM_ARG_TEXT, .dflt = "-",
	  .help = "Bytes of a tag; - for as many as the internal hash gives." },
	{ .name = "mode", .kind = NDM_ARG_WORD, .choices = mode_choices, .dflt = "J",
	  .help = "J: journal; B: bitmap; D: direct; R: recovery (read only, unchecked)." },
	{ .name = "words", .kind = NDM_ARG_FEATURES, .sub = words_args, .help = "Options." },
	{ 0 }
};

static const struct ndm_arg integrity_status_fields[] = {
	{ .name = "mismatches", .kind = NDM_ARG_U64, .help = "Blocks whose tag did not match." },
	{ .name = "provided_sectors", .kind = NDM_ARG_U64, .help = "What the device could hold." },
	{ .name = "recalculated", .kind = NDM_ARG_TEXT, .help = "How far tags have been made; - if none are." },
	{ 0 }
};

static const struct ndm_keep integrity_keeps[] = {
	NDM_KEEP(struct integrity, mismatches),
	{ 0 }
};

const struct ndm_target_type ndm_target_integrity = {
	.name = "integrity",
	.version = { 1, 14, 0 },
	.features = NDM_TARGET_SINGLETON | NDM_TARGET_FORMATS,
	.private_size = sizeof(struct integrity),
	.args = integrity_args,
	.status_fields = integrity_status_fields,
	.summary = "A tag for every block, so that a block that has changed by itself is noticed.",
	.ctr = integrity_ctr,
	.dtr = integrity_dtr,
	.map = integrity_map,
	.io = integrity_io,
	.status = integrity_status,
	.postsuspend = integrity_postsuspend,
	.resume = integrity_resume,
	.io_hints = integrity_io_hints,
	.keeps = integrity_keeps,
};
