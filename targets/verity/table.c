/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verity: a read-only volume, each block of which is held against a tree of hashes.
 *
 *	verity <version> <data_device> <hash_device> <data_block_size> <hash_block_size>
 *	       <num_data_blocks> <hash_start_block> <algorithm> <digest> <salt>
 *	       [<#words> <word>...]
 *
 * This file takes tables apart and prints them; tree.c keeps hash blocks, io.c reads, repair.c
 * has error correction, format.c the layout of the tree.
 *
 * restart_on_... and panic_on_... stop a machine in the kernel; here the volume stops: from
 * then on every request fails until the next table.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/kit/hex.h"
#include "targets/verity/verity.h"

#define WORDS_MAX 15
#define COMPLAINTS_MAX 100u		/* then the log has heard enough */

static const struct { const char *word; enum verity_mode mode; bool error; } mode_words[] = {
	{ "ignore_corruption", VERITY_IGNORE, false },
	{ "restart_on_corruption", VERITY_RESTART, false },
	{ "panic_on_corruption", VERITY_PANIC, false },
	{ "restart_on_error", VERITY_RESTART, true },
	{ "panic_on_error", VERITY_PANIC, true },
};
#define NMODES (sizeof mode_words / sizeof *mode_words)

/* ---- hashing ---- */

int verity_digest(struct verity *v, unsigned lane, const void *data, size_t bytes, uint8_t *digest)
{
	struct ndm_hash *h = v->hashes[lane];
	int err = ndm_hash_begin(h);			/* version 1: begins with the salt */

	err = err ? err : ndm_hash_update(h, data, bytes);
	if (!err && !v->tree.version && v->salt_bytes)
		err = ndm_hash_update(h, v->salt, v->salt_bytes);
	return err ? err : ndm_hash_end(h, digest);
}

/* ---- what goes wrong ---- */

static const char *hex(const uint8_t *bytes, size_t n, char *to)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		to[2 * i] = digits[bytes[i] >> 4];
		to[2 * i + 1] = digits[bytes[i] & 15];
	}
	to[2 * n] = '\0';
	return to;
}

void verity_die(struct verity *v, enum verity_mode mode, const char *why)
{
	if (v->dead)
		return;
	v->dead = true;
	ndm_warn(v->ti, "%s: no more service until the next table (%s)", why,
		 mode == VERITY_PANIC ? "panic was asked for" : "restart was asked for");
}

int verity_mismatch(struct verity *v, bool metadata, uint64_t block, const uint8_t *want,
		    const uint8_t *got)
{
	char expected[2 * NDM_HASH_MAX + 1], found[2 * NDM_HASH_MAX + 1];

	v->failed = true;
	v->corruptions++;
	if (v->complaints < COMPLAINTS_MAX) {
		ndm_warn(v->ti, "%s block %" PRIu64 " corrupted: expected %s got %s (%s)",
			 metadata ? "metadata" : "data", block,
			 hex(want, v->digest_bytes, expected), hex(got, v->digest_bytes, found),
			 metadata ? v->hash->name : v->data->name);
		if (++v->complaints == COMPLAINTS_MAX)
			ndm_warn(v->ti, "reached maximum errors");
	}
	switch (v->corruption) {
	case VERITY_IGNORE:
		return 0;
	case VERITY_RESTART:
	case VERITY_PANIC:
		verity_die(v, v->corruption, "corrupted");
		break;
	case VERITY_EIO:
		break;
	}
	return -EIO;
}

/* ---- constructor: options ---- */

static int word_mode(struct ndm_target *ti, struct verity *v, const char *word, bool *known)
{
	enum verity_mode *mode;
	unsigned i;

	for (i = 0; i < NMODES; i++) {
		if (strcasecmp(word, mode_words[i].word))
			continue;
		*known = true;
		mode = mode_words[i].error ? &v->error : &v->corruption;
		if (*mode)
			return ndm_error(ti, -EINVAL, "Conflicting error handling parameters");
		*mode = mode_words[i].mode;
	}
	return 0;
}

static int word_zero(struct ndm_target *ti, struct verity *v)
{
	int err;

	v->ignore_zero = true;
	memset(v->scratch[0], 0, VERITY_BLOCK_MAX);
	err = verity_digest(v, 0, v->scratch[0], verity_block_bytes(v), v->zero);
	return err ? ndm_error(ti, err, "Cannot allocate zero digest") : 0;
}

static int word_once(struct ndm_target *ti, struct verity *v)
{
	v->at_most_once = true;
	if (v->validated)
		return 0;
	if (v->tree.data_blocks > INT32_MAX)
		return ndm_error(ti, -E2BIG, "device too large to use check_at_most_once");
	v->validated = ndm_zalloc(v->tree.data_blocks / 8 + 1);
	if (!v->validated)
		return ndm_error(ti, -ENOMEM, "failed to allocate bitset for check_at_most_once");
	return 0;
}

static int word_signature(struct ndm_target *ti, struct verity *v, const char *name,
			  const char *root)
{
	if (v->signature_key)
		return ndm_error(ti, -EINVAL, SIG "root_hash_sig_key_desc already specified");
	if (!name)
		return ndm_error(ti, -EINVAL, SIG "Signature key not specified");
	v->signature_key = ndm_strdup(name);
	if (!v->signature_key)
		return ndm_error(ti, -ENOMEM, SIG "Could not allocate memory for signature key");
	return verity_signature_check(ti, name, root);
}

static int verity_word(struct ndm_target *ti, struct verity *v, const char *word,
		       struct ndm_args *args, const char *root)
{
	bool known = false;
	int err = word_mode(ti, v, word, &known);

	if (known)
		return err;
	if (!strcasecmp(word, "ignore_zero_blocks"))
		return word_zero(ti, v);
	if (!strcasecmp(word, "check_at_most_once"))
		return word_once(ti, v);
	if (!strcasecmp(word, "try_verify_in_tasklet")) {
		v->tasklet = true;
		return 0;
	}
	if (verity_fec_is_word(word))
		return verity_fec_word(ti, v, word, ndm_args_shift(args));
	if (!strcasecmp(word, "root_hash_sig_key_desc"))
		return word_signature(ti, v, ndm_args_shift(args), root);
	return ndm_error(ti, -EINVAL, "Unrecognized verity feature request: '%s'", word);
}

static int verity_words(struct ndm_target *ti, struct verity *v, struct ndm_args args,
			const char *root)
{
	unsigned n;
	int err;

	if (!args.argc)
		return 0;
	err = ndm_args_group(ti, &args, 0, WORDS_MAX, "Invalid number of feature args", &n);
	if (err)
		return err;
	args.argc = n;
	while (!err && args.argc) {
		const char *word = ndm_args_shift(&args);

		err = verity_word(ti, v, word, &args, root);
	}
	return err;
}

/* ---- constructor: the ten words ---- */

/* What comes before anything else: how many words there are. */
static int ctr_count(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct ndm_args args = { .argc = argc - 10, .argv = argv + 10 };
	unsigned n;

	if (ti->writable)
		return ndm_error(ti, -EINVAL, "Device must be readonly");
	if (argc < 10)
		return ndm_error(ti, -EINVAL, "Not enough arguments: %u instead of 10", argc);
	if (argc == 10)
		return 0;
	return ndm_args_group(ti, &args, 0, WORDS_MAX, "Invalid number of feature args", &n);
}

static int ctr_devices(struct ndm_target *ti, struct verity *v, char **argv)
{
	int err = ndm_get_dev_mode(ti, argv[1], NDM_OPEN_READ, 0, ti->nr, &v->data);

	if (err)
		return ndm_error(ti, err, "Data device lookup failed");
	err = ndm_get_dev_mode(ti, argv[2], NDM_OPEN_READ, 0, 0, &v->hash);
	return err ? ndm_error(ti, err, "Hash device lookup failed") : 0;
}

static int block_size(struct ndm_target *ti, const char *word, const struct ndm_dev *dev,
		      uint64_t max, const char *which, uint32_t *bytes)
{
	uint32_t least = dev->store->limits.logical_block_bytes;
	uint64_t n;

	if (ndm_arg_u64(word, &n) || !n || n & (n - 1) || n < least || n > max)
		return ndm_error(ti, -EINVAL, "Invalid %s device block size: '%s' is not a power of 2 "
				 "from %u to %" PRIu64, which, word, least, max);
	*bytes = n;
	return 0;
}

/* A number of blocks whose bytes can be counted in sectors. */
static int block_number(const char *word, unsigned block_bits, uint64_t *n)
{
	if (ndm_arg_u64(word, n) || *n > UINT64_MAX >> (block_bits - NDM_SECTOR_SHIFT))
		return -EINVAL;
	return 0;
}

static int ctr_sizes(struct ndm_target *ti, struct verity *v, char **argv)
{
	uint32_t bytes;
	int err = block_size(ti, argv[3], v->data, VERITY_BLOCK_MAX, "data", &bytes);

	if (err)
		return err;
	v->block_bits = __builtin_ctz(bytes);
	err = block_size(ti, argv[4], v->hash, 1u << 30, "hash", &v->tree.hash_block_bytes);
	if (err)
		return err;
	if (block_number(argv[5], v->block_bits, &v->tree.data_blocks))
		return ndm_error(ti, -EINVAL, "Invalid data blocks: '%s'", argv[5]);
	if (ti->nr > v->tree.data_blocks << (v->block_bits - NDM_SECTOR_SHIFT))
		return ndm_error(ti, -EINVAL, "Data device is too small: %" PRIu64 " blocks of %u bytes "
				 "are fewer than %" PRIu64 " sectors", v->tree.data_blocks, bytes, ti->nr);
	if (block_number(argv[6], __builtin_ctz(v->tree.hash_block_bytes), &v->tree.start))
		return ndm_error(ti, -EINVAL, "Invalid hash start: '%s'", argv[6]);
	return 0;
}

static int ctr_hash(struct ndm_target *ti, struct verity *v, const char *name)
{
	unsigned i;
	int err;

	v->algorithm = ndm_strdup(name);
	if (!v->algorithm)
		return ndm_error(ti, -ENOMEM, "Cannot allocate algorithm name");
	for (i = 0; i < VERITY_LANES; i++) {
		err = ndm_hash_new(name, &v->hashes[i]);
		if (err)
			return ndm_error(ti, err, "Cannot initialize hash function: '%s'", name);
	}
	if (ndm_hash_keyed(v->hashes[0]))
		return ndm_error(ti, -EINVAL, "Cannot initialize hash function: '%s' wants a key", name);
	v->digest_bytes = v->tree.digest_bytes = ndm_hash_bytes(v->hashes[0]);
	if (v->tree.hash_block_bytes < 2 * v->digest_bytes)
		return ndm_error(ti, -EINVAL, "Digest size too big: two of %u bytes do not fit into %u",
				 v->digest_bytes, v->tree.hash_block_bytes);
	return 0;
}

static int ctr_digests(struct ndm_target *ti, struct verity *v, const char *root, const char *salt)
{
	size_t bytes = strlen(salt) / 2;
	unsigned i;
	int err = 0;

	if (strlen(root) != 2 * v->digest_bytes || ndm_unhex(root, v->root, v->digest_bytes))
		return ndm_error(ti, -EINVAL, "Invalid root digest: %u hexadecimal bytes are wanted",
				 v->digest_bytes);
	if (!strcmp(salt, "-"))
		return 0;
	v->salt = ndm_zalloc(bytes + 1);
	if (!v->salt)
		return ndm_error(ti, -ENOMEM, "Cannot allocate salt");
	if (strlen(salt) % 2 || ndm_unhex(salt, v->salt, bytes))
		return ndm_error(ti, -EINVAL, "Invalid salt");
	v->salt_bytes = bytes;
	for (i = 0; i < VERITY_LANES && v->tree.version && !err; i++)
		err = ndm_hash_prefix(v->hashes[i], v->salt, bytes);
	return err ? ndm_error(ti, err, "Cannot set up initial hash state") : 0;
}

static int ctr_tree(struct ndm_target *ti, struct verity *v)
{
	const char *why;
	int err = ndm_verity_tree_init(&v->tree, &why);

	if (err)
		return ndm_error(ti, err, "%s", why);
	if (v->hash->store->nr / (v->tree.hash_block_bytes >> NDM_SECTOR_SHIFT) < v->tree.end)
		return ndm_error(ti, -E2BIG, "Hash device is too small: the tree ends with block %" PRIu64,
				 v->tree.end);
	err = verity_fec_ctr(ti, v);
	if (err)
		return err;
	return verity_cache_init(v) ? ndm_error(ti, -ENOMEM, "Cannot initialize dm-bufio") : 0;
}

static void verity_dtr(struct ndm_target *ti)
{
	struct verity *v = ti->private_data;
	unsigned i;

	if (v->cache.buckets)
		verity_cache_drop(v);
	ndm_free(v->cache.buckets);
	for (i = 0; i < VERITY_LANES; i++)
		ndm_hash_free(v->hashes[i]);
	ndm_free(v->validated);
	ndm_free(v->salt);
	ndm_free(v->algorithm);
	ndm_free(v->signature_key);
}

static int verity_construct(struct ndm_target *ti, struct verity *v, unsigned argc, char **argv)
{
	struct ndm_args words = { .argc = argc - 10, .argv = argv + 10 };
	uint64_t version;
	int err;

	if (ndm_arg_u64(argv[0], &version) || version > 1)
		return ndm_error(ti, -EINVAL, "Invalid version: '%s' is neither 0 nor 1", argv[0]);
	v->tree.version = version;
	err = ctr_devices(ti, v, argv);
	err = err ? err : ctr_sizes(ti, v, argv);
	err = err ? err : ctr_hash(ti, v, argv[7]);
	err = err ? err : ctr_digests(ti, v, argv[8], argv[9]);
	err = err ? err : verity_words(ti, v, words, argv[8]);
	return err ? err : ctr_tree(ti, v);
}

static int verity_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct verity *v = ti->private_data;
	int err = ctr_count(ti, argc, argv);

	if (err)
		return err;
	v->ti = ti;
	err = verity_construct(ti, v, argc, argv);
	if (err) {
		verity_dtr(ti);
		return err;
	}
	verity_io_init(v);
	return 0;
}

static void verity_postsuspend(struct ndm_target *ti)
{
	verity_cache_drop(ti->private_data);
}

/* ---- what it says of itself ---- */

static const char *mode_word(enum verity_mode mode, bool error)
{
	unsigned i;

	for (i = 0; i < NMODES; i++)
		if (mode_words[i].mode == mode && mode_words[i].error == error)
			return mode_words[i].word;
	return NULL;
}

static void print_hex(struct ndm_str *out, const uint8_t *bytes, size_t n)
{
	while (n--)
		ndm_printf(out, "%02x", *bytes++);
}

static void print_words(const struct verity *v, struct ndm_str *out)
{
	const struct verity_fec *f = &v->fec;
	unsigned n = !!v->corruption + !!v->error + v->ignore_zero + v->at_most_once + v->tasklet +
		     (f->dev ? 8 : 0) + (v->signature_key ? 2 : 0);

	if (!n)
		return;
	ndm_printf(out, " %u", n);
	if (v->corruption)
		ndm_printf(out, " %s", mode_word(v->corruption, false));
	if (v->error)
		ndm_printf(out, " %s", mode_word(v->error, true));
	if (v->ignore_zero)
		ndm_printf(out, " ignore_zero_blocks");
	if (v->at_most_once)
		ndm_printf(out, " check_at_most_once");
	if (v->tasklet)
		ndm_printf(out, " try_verify_in_tasklet");
	if (f->dev)
		ndm_printf(out, " use_fec_from_device %s fec_blocks %" PRIu64 " fec_start %" PRIu64
			   " fec_roots %u", f->dev->name, f->blocks, f->start, f->roots);
	if (v->signature_key)
		ndm_printf(out, " root_hash_sig_key_desc %s", v->signature_key);
}

static void verity_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			  struct ndm_str *out)
{
	struct verity *v = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_INFO) {
		ndm_printf(out, "%c", v->failed ? 'C' : 'V');
		return;
	}
	ndm_printf(out, "%u %s %s %u %u %" PRIu64 " %" PRIu64 " %s ", v->tree.version,
		   v->data->name, v->hash->name, verity_block_bytes(v), v->tree.hash_block_bytes,
		   v->tree.data_blocks, v->tree.start, v->algorithm);
	print_hex(out, v->root, v->digest_bytes);
	ndm_printf(out, v->salt_bytes ? " " : " -");
	print_hex(out, v->salt, v->salt_bytes);
	print_words(v, out);
}

static void verity_io_hints(struct ndm_target *ti, struct ndm_limits *limits)
{
	struct verity *v = ti->private_data;
	uint32_t bytes = verity_block_bytes(v);

	if (limits->logical_block_bytes < bytes)
		limits->logical_block_bytes = bytes;
	if (limits->physical_block_bytes < bytes)
		limits->physical_block_bytes = bytes;
	limits->io_min_bytes = limits->logical_block_bytes;
}

static const struct ndm_arg fec_device_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device with the parity." },
	{ 0 }
};

static const struct ndm_arg number_args[] = {
	{ .name = "number", .kind = NDM_ARG_U64, .help = "The number." },
	{ 0 }
};

static const struct ndm_arg key_args[] = {
	{ .name = "description", .kind = NDM_ARG_TEXT, .help = "What the key is called." },
	{ 0 }
};

static const struct ndm_arg words_args[] = {
	{ .name = "ignore_corruption", .kind = NDM_ARG_FLAG,
	  .help = "Log corrupted blocks, and return them as they are." },
	{ .name = "restart_on_corruption", .kind = NDM_ARG_FLAG,
	  .help = "Stop the volume at the first corrupted block." },
	{ .name = "panic_on_corruption", .kind = NDM_ARG_FLAG,
	  .help = "Stop the volume at the first corrupted block." },
	{ .name = "restart_on_error", .kind = NDM_ARG_FLAG,
	  .help = "Stop the volume at the first I/O error." },
	{ .name = "panic_on_error", .kind = NDM_ARG_FLAG,
	  .help = "Stop the volume at the first I/O error." },
	{ .name = "ignore_zero_blocks", .kind = NDM_ARG_FLAG,
	  .help = "Blocks that should be zero are returned as zeroes, unverified." },
	{ .name = "check_at_most_once", .kind = NDM_ARG_FLAG,
	  .help = "Verify each data block only the first time it is read." },
	{ .name = "try_verify_in_tasklet", .kind = NDM_ARG_FLAG, .help = "Accepted; without effect." },
	{ .name = "use_fec_from_device", .kind = NDM_ARG_KEYED, .sub = fec_device_args,
	  .help = "Repair corrupted blocks with Reed-Solomon parity." },
	{ .name = "fec_blocks", .kind = NDM_ARG_KEYED, .sub = number_args,
	  .help = "How many blocks are covered: data, and the hash device from its start block." },
	{ .name = "fec_start", .kind = NDM_ARG_KEYED, .sub = number_args,
	  .help = "Where the parity begins, in blocks." },
	{ .name = "fec_roots", .kind = NDM_ARG_KEYED, .sub = number_args,
	  .help = "Parity bytes of each codeword of 255: 2 to 24." },
	{ .name = "root_hash_sig_key_desc", .kind = NDM_ARG_KEYED, .sub = key_args,
	  .help = "The user key that holds a PKCS#7 signature of the root digest." },
	{ 0 }
};

static const struct ndm_arg verity_args[] = {
	{ .name = "version", .kind = NDM_ARG_U64, .dflt = "1",
	  .help = "How the tree is laid out and salted: 1, or 0 as the first Chromium OS had it." },
	{ .name = "data_device", .kind = NDM_ARG_DEVICE, .help = "The device with the data." },
	{ .name = "hash_device", .kind = NDM_ARG_DEVICE,
	  .help = "The device with the tree; may be the same." },
	{ .name = "data_block_size", .kind = NDM_ARG_BYTES, .dflt = "4096",
	  .help = "What is hashed at once." },
	{ .name = "hash_block_size", .kind = NDM_ARG_BYTES, .dflt = "4096",
	  .help = "Size of a block of the tree." },
	{ .name = "num_data_blocks", .kind = NDM_ARG_U64, .help = "How many data blocks there are." },
	{ .name = "hash_start_block", .kind = NDM_ARG_U64,
	  .help = "Where the tree begins, in hash blocks: behind the superblock if there is one." },
	{ .name = "algorithm", .kind = NDM_ARG_TEXT, .dflt = "sha256", .help = "The hash." },
	{ .name = "digest", .kind = NDM_ARG_HEX, .help = "The root digest." },
	{ .name = "salt", .kind = NDM_ARG_HEX, .help = "Hashed with every block; - for none." },
	{ .name = "words", .kind = NDM_ARG_FEATURES, .flags = NDM_ARG_TRIM, .sub = words_args,
	  .help = "Options." },
	{ 0 }
};

static const char *const status_choices[] = { "V", "C", NULL };

static const struct ndm_arg verity_status_fields[] = {
	{ .name = "state", .kind = NDM_ARG_WORD, .choices = status_choices,
	  .help = "V: nothing wrong so far; C: corruption has been found." },
	{ 0 }
};

static void verity_counters(struct ndm_target *ti, struct ndm_counters *out)
{
	struct verity *v = ti->private_data;

	ndm_counter_put(out, NDM_COUNT_CORRUPTIONS, "", 0, v->corruptions);
}

static const struct ndm_keep verity_keeps[] = {
	NDM_KEEP(struct verity, failed), NDM_KEEP(struct verity, dead),
	NDM_KEEP(struct verity, complaints), NDM_KEEP(struct verity, corruptions),
	{ 0 }
};

const struct ndm_target_type ndm_target_verity = {
	.name = "verity",
	.version = { 1, 10, 0 },
	.features = NDM_TARGET_SINGLETON | NDM_TARGET_IMMUTABLE,
	.private_size = sizeof(struct verity),
	.args = verity_args,
	.status_fields = verity_status_fields,
	.summary = "A read-only volume, each block of which is held against a tree of hashes.",
	.ctr = verity_ctr,
	.dtr = verity_dtr,
	.map = verity_map,
	.io = verity_io,
	.end_io = verity_end_io,
	.status = verity_status,
	.counters = verity_counters,
	.postsuspend = verity_postsuspend,
	.io_hints = verity_io_hints,
	.keeps = verity_keeps,
};
