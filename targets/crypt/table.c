/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypt: every sector encrypted, as the kernel's dm-crypt does it.
 *
 *	crypt <cipher> <key> <iv_offset> <device> <offset> [<#words> <word>...]
 *
 * Nothing of ours is on the disk: sector s of the target is sector offset + s of the device,
 * encrypted under the key with an IV made of iv_offset + s.  With integrity: the device below
 * is an integrity target that keeps metadata for each sector.
 *
 * This file takes tables apart and prints them; key.c has the keys, io.c the sectors,
 * lib/kit/crypt.c what they are made into.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "targets/crypt/crypt.h"

#define TAG_BYTES_MAX 480
#define WORDS_MAX 9			/* the kernel's, one less than there are */
#define MAX_IO 256			/* sectors at once: a piece of work for one worker */

static const struct { const char *word; unsigned flag; } crypt_words[] = {
	{ "allow_discards", CRYPT_DISCARDS },		/* in the order of the table line */
	{ "same_cpu_crypt", CRYPT_SAME_CPU },
	{ "high_priority", CRYPT_HIGH_PRIORITY },
	{ "submit_from_crypt_cpus", CRYPT_FROM_CPUS },
	{ "no_read_workqueue", CRYPT_NO_READ_QUEUE },
	{ "no_write_workqueue", CRYPT_NO_WRITE_QUEUE },
	{ "iv_large_sectors", CRYPT_LARGE_IV },
};
#define NWORDS (sizeof crypt_words / sizeof *crypt_words)

/* ---- constructor ---- */

static int word_integrity(struct ndm_target *ti, struct crypt *c, const char *word, unsigned bytes)
{
	const char *profile = strchr(word + strlen("integrity:"), ':') + 1;

	if (!bytes || bytes > TAG_BYTES_MAX)
		return ndm_error(ti, -EINVAL, "Invalid integrity arguments");
	c->tag_bytes = bytes;
	if (!strcasecmp(profile, "aead"))
		c->aead = true;
	else if (strcasecmp(profile, "none"))
		return ndm_error(ti, -EINVAL, "Unknown integrity profile");
	ndm_free(c->profile);
	c->profile = ndm_strdup(profile);
	return c->profile ? 0 : ndm_error(ti, -ENOMEM, "Cannot allocate integrity profile");
}

static int word_sector_size(struct ndm_target *ti, struct crypt *c, unsigned bytes)
{
	if (bytes < 512 || bytes > CRYPT_SECTOR_MAX || bytes & (bytes - 1))
		return ndm_error(ti, -EINVAL, "Invalid feature value for sector_size");
	if (ti->nr & ((bytes >> NDM_SECTOR_SHIFT) - 1))
		return ndm_error(ti, -EINVAL, "Device size is not multiple of sector_size feature");
	c->sector_bytes = bytes;
	return 0;
}

static int crypt_word(struct ndm_target *ti, struct crypt *c, const char *word)
{
	unsigned i, value;
	unsigned short small;
	char extra;

	for (i = 0; i < NWORDS; i++)
		if (!strcasecmp(word, crypt_words[i].word)) {
			c->flags |= crypt_words[i].flag;
			return 0;
		}
	if (sscanf(word, "integrity:%u%c", &value, &extra) == 2 && extra == ':')
		return word_integrity(ti, c, word, value);
	if (sscanf(word, "integrity_key_size:%u%c", &value, &extra) == 1) {
		if (!value)
			return ndm_error(ti, -EINVAL, "Invalid integrity_key_size argument");
		c->mac_key_bytes = value;
		return 0;
	}
	if (sscanf(word, "sector_size:%hu%c", &small, &extra) == 1)
		return word_sector_size(ti, c, small);
	return ndm_error(ti, -EINVAL, "Invalid feature arguments");
}

static int crypt_ctr_words(struct ndm_target *ti, struct crypt *c, unsigned argc, char **argv)
{
	struct ndm_args args = { .argc = argc, .argv = argv };
	unsigned n;
	int err = ndm_args_group(ti, &args, 0, WORDS_MAX, "Invalid number of feature args", &n);

	while (!err && n--)
		err = crypt_word(ti, c, ndm_args_shift(&args));
	return err;
}

static int crypt_ctr_cipher(struct ndm_target *ti, struct crypt *c, char *key)
{
	struct ndm_crypt_spec spec = {
		.cipher = c->cipher, .key_bytes = c->key_bytes, .iv_offset = c->iv_offset,
		.sector_bytes = c->sector_bytes, .tag_bytes = c->tag_bytes,
		.mac_key_bytes = c->mac_key_bytes, .aead = c->aead,
		.iv_large_sectors = c->flags & CRYPT_LARGE_IV, .lanes = CRYPT_LANES,
	};
	const char *why = "";
	int err = ndm_crypt_new(&spec, &c->crypt, &why);

	if (err)
		return ndm_error(ti, err, "%s", why);
	err = crypt_key_set(c, key);
	if (err)
		return ndm_error(ti, err, "Error decoding and setting key");
	err = ndm_crypt_init_iv(c->crypt, &why);
	return err ? ndm_error(ti, err, "%s", why) : 0;
}

static int crypt_ctr_device(struct ndm_target *ti, struct crypt *c, char **argv)
{
	int bad = ndm_arg_u64(argv[4], &c->start);
	int err = ndm_get_dev(ti, argv[3], bad ? 0 : c->start, ti->nr, &c->dev);

	if (err)
		return ndm_error(ti, err, "Device lookup failed");
	if (bad)
		return ndm_error(ti, -EINVAL, "Invalid device sector");
	return 0;
}

/* Below must be an integrity device that keeps metadata for us. */
static int crypt_ctr_profile(struct ndm_target *ti, struct crypt *c)
{
	const struct ndm_limits *below = &c->dev->store->limits;
	const char *why = "";
	int err;

	if (!ndm_crypt_tagged(c->crypt))
		return 0;
	if (!below->tag_bytes)
		return ndm_error(ti, -EINVAL, "Integrity profile not supported.");
	if (c->tag_bytes > below->tag_bytes)
		return ndm_error(ti, -EINVAL, "Integrity profile tag size mismatch.");
	if ((unsigned)below->tag_sectors << NDM_SECTOR_SHIFT != c->sector_bytes)
		return ndm_error(ti, -EINVAL, "Integrity profile sector size mismatch.");
	err = ndm_crypt_set_tuple(c->crypt, below->tag_bytes, &why);
	if (err)
		return ndm_error(ti, err, "%s", why);
	c->tuple_bytes = below->tag_bytes;
	return 0;
}

static void crypt_free(struct crypt *c)
{
	ndm_crypt_free(c->crypt);
	ndm_secret_free(c->key, c->key_bytes);
	ndm_free(c->keyring);
	ndm_free(c->cipher);
	ndm_free(c->profile);
}

static int crypt_construct(struct ndm_target *ti, struct crypt *c, unsigned argc, char **argv)
{
	char *key = argv[1];
	int bytes = crypt_key_size(&key), err = 0;
	bool offset_bad;

	if (bytes < 0)
		return ndm_error(ti, -EINVAL, "Cannot parse key size");
	c->key_bytes = bytes;
	c->key = ndm_secret_alloc(c->key_bytes);
	c->cipher = ndm_strdup(argv[0]);
	if (!c->key || !c->cipher)
		return ndm_error(ti, -ENOMEM, "Cannot allocate encryption context");
	if (argc > 5)
		err = crypt_ctr_words(ti, c, argc - 5, argv + 5);
	/* the offset goes into the cipher, but what is wrong with it comes after that */
	offset_bad = ndm_arg_u64(argv[2], &c->iv_offset) ||
		     c->iv_offset & ((c->sector_bytes >> NDM_SECTOR_SHIFT) - 1);
	err = err ? err : crypt_ctr_cipher(ti, c, key);
	if (err)
		return err;
	if (offset_bad)
		return ndm_error(ti, -EINVAL, "Invalid iv_offset sector");
	err = crypt_ctr_device(ti, c, argv);
	return err ? err : crypt_ctr_profile(ti, c);
}

int crypt_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct crypt *c = ti->private_data;
	int err;

	if (argc < 5)
		return ndm_error(ti, -EINVAL, "Not enough arguments");
	c->ti = ti;
	c->sector_bytes = NDM_SECTOR_BYTES;
	err = crypt_construct(ti, c, argc, argv);
	memset(argv[1], '0', strlen(argv[1]));
	if (err) {
		crypt_free(c);
		return err;
	}
	crypt_io_init(c);
	ti->num_flush = 1;
	ti->num_discard = c->flags & CRYPT_DISCARDS ? 1 : 0;
	ti->max_io = MAX_IO;
	ti->per_bio_size = crypt_per_bio();
	return 0;
}

void crypt_dtr(struct ndm_target *ti)
{
	crypt_free(ti->private_data);
}

/* ---- suspend, resume ---- */

void crypt_postsuspend(struct ndm_target *ti)
{
	struct crypt *c = ti->private_data;

	c->suspended = true;
}

int crypt_preresume(struct ndm_target *ti)
{
	struct crypt *c = ti->private_data;

	if (c->key_valid)
		return 0;
	ndm_warn(ti, "aborting resume - crypt key is not set.");
	return -EAGAIN;
}

void crypt_resume(struct ndm_target *ti)
{
	struct crypt *c = ti->private_data;

	c->suspended = false;
}

/* ---- what it says of itself ---- */

static void print_key(const struct crypt *c, bool show, struct ndm_str *out)
{
	size_t i;

	if (!c->key_bytes)
		ndm_printf(out, "-");
	else if (c->keyring)
		ndm_printf(out, ":%zu:%s", c->key_bytes, c->keyring);
	else
		for (i = 0; i < c->key_bytes; i++)
			ndm_printf(out, "%02x", show ? c->key[i] : 0);
}

static void print_words(const struct crypt *c, struct ndm_str *out)
{
	unsigned i, n;

	n = !!c->profile + (c->sector_bytes != NDM_SECTOR_BYTES) + !!c->mac_key_bytes;
	for (i = 0; i < NWORDS; i++)
		n += !!(c->flags & crypt_words[i].flag);
	if (!n)
		return;
	ndm_printf(out, " %u", n);
	for (i = 0; i < NWORDS - 1; i++)
		if (c->flags & crypt_words[i].flag)
			ndm_printf(out, " %s", crypt_words[i].word);
	if (c->profile)
		ndm_printf(out, " integrity:%u:%s", c->tag_bytes, c->profile);
	if (c->sector_bytes != NDM_SECTOR_BYTES)
		ndm_printf(out, " sector_size:%u", c->sector_bytes);
	if (c->flags & CRYPT_LARGE_IV)
		ndm_printf(out, " iv_large_sectors");
	if (c->mac_key_bytes)
		ndm_printf(out, " integrity_key_size:%u", c->mac_key_bytes);
}

static void crypt_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			 struct ndm_str *out)
{
	struct crypt *c = ti->private_data;

	if (what != NDM_STATUS_TABLE)
		return;
	ndm_printf(out, "%s ", c->cipher);
	print_key(c, flags & NDM_STATUS_SHOWKEYS, out);
	ndm_printf(out, " %" PRIu64 " %s %" PRIu64, c->iv_offset, c->dev->name, c->start);
	print_words(c, out);
}

void crypt_io_hints(struct ndm_target *ti, struct ndm_limits *limits)
{
	struct crypt *c = ti->private_data;

	if (limits->logical_block_bytes < c->sector_bytes)
		limits->logical_block_bytes = c->sector_bytes;
	if (limits->physical_block_bytes < c->sector_bytes)
		limits->physical_block_bytes = c->sector_bytes;
	if (limits->io_min_bytes < c->sector_bytes)
		limits->io_min_bytes = c->sector_bytes;
}

static const struct ndm_arg integrity_args[] = {
	{ .name = "bytes", .kind = NDM_ARG_BYTES, .help = "Metadata of each sector." },
	{ .name = "profile", .kind = NDM_ARG_TEXT,
	  .help = "aead: the cipher authenticates; none: it only stores its IV." },
	{ 0 }
};

static const struct ndm_arg bytes_args[] = {
	{ .name = "bytes", .kind = NDM_ARG_BYTES, .help = "How many." },
	{ 0 }
};

static const struct ndm_arg words_args[] = {
	{ .name = "allow_discards", .kind = NDM_ARG_FLAG,
	  .help = "Discards are passed down; they tell an onlooker which sectors are in use." },
	{ .name = "same_cpu_crypt", .kind = NDM_ARG_FLAG, .help = "Accepted; without effect." },
	{ .name = "high_priority", .kind = NDM_ARG_FLAG, .help = "Accepted; without effect." },
	{ .name = "submit_from_crypt_cpus", .kind = NDM_ARG_FLAG, .help = "Accepted; without effect." },
	{ .name = "no_read_workqueue", .kind = NDM_ARG_FLAG,
	  .help = "Reads are decrypted by the device's own thread, never by workers." },
	{ .name = "no_write_workqueue", .kind = NDM_ARG_FLAG,
	  .help = "Writes are encrypted by the device's own thread, never by workers." },
	{ .name = "integrity", .kind = NDM_ARG_KEYED, .flags = NDM_ARG_COLON, .sub = integrity_args,
	  .help = "Metadata is kept by an integrity device below." },
	{ .name = "sector_size", .kind = NDM_ARG_KEYED, .flags = NDM_ARG_COLON, .sub = bytes_args,
	  .help = "What is encrypted at once: 512, 1024, 2048 or 4096 bytes." },
	{ .name = "iv_large_sectors", .kind = NDM_ARG_FLAG,
	  .help = "IVs count sectors of sector_size instead of 512 bytes." },
	{ .name = "integrity_key_size", .kind = NDM_ARG_KEYED, .flags = NDM_ARG_COLON,
	  .sub = bytes_args, .help = "Length of the MAC's key at the end of the key." },
	{ 0 }
};

static const struct ndm_arg crypt_args[] = {
	{ .name = "cipher", .kind = NDM_ARG_TEXT,
	  .help = "cipher[:keycount]-mode-ivmode[:ivopts], or capi:name-ivmode[:ivopts]." },
	{ .name = "key", .kind = NDM_ARG_HEX, .flags = NDM_ARG_SECRET,
	  .help = "Hexadecimal; - for none; :size:type:description for a key of the keyring." },
	{ .name = "iv_offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Added to the sector's number before the IV is made." },
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device that holds the ciphertext." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on the device the target's first sector lies." },
	{ .name = "words", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_TRIM, .sub = words_args,
	  .help = "Options." },
	{ 0 }
};

const struct ndm_target_type ndm_target_crypt = {
	.name = "crypt",
	.version = { 1, 28, 0 },
	.private_size = sizeof(struct crypt),
	.args = crypt_args,
	.summary = "Every sector encrypted, as the kernel's dm-crypt does it.",
	.ctr = crypt_ctr,
	.dtr = crypt_dtr,
	.map = crypt_map,
	.end_io = crypt_end_io,
	.status = crypt_status,
	.message = crypt_message,
	.postsuspend = crypt_postsuspend,
	.preresume = crypt_preresume,
	.resume = crypt_resume,
	.io_hints = crypt_io_hints,
};
