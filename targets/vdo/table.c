/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - the table line, of this version (V4) and of the four before it:
 *
 *	vdo V4 <device> <physical blocks> <512|4096> <block map cache, blocks> <era> [<key> <value>]...
 *	vdo V3 ...	and a write policy behind the era
 *	vdo V2 ...	and a word before that (on, off), and the pool's name behind it
 *	vdo V1 ...	and two words behind the block size; instead of pairs one of thread counts
 *	vdo ...		and no count of physical blocks
 *
 * All that tunes threads is checked and has no meaning here.
 */
#include <limits.h>
#include <stdio.h>

#include "targets/vdo/vdo.h"

#define TABLE_VERSION 4u
#define ROTATION_MAX 1024u
#define LOGICAL_ZONES_MAX 60u
#define PHYSICAL_ZONES_MAX 16u
#define THREADS_MAX 100u
#define USER_VIOS 2048u

static const unsigned required_words[] = { 10, 12, 9, 7, 6 };

static int number_u64(const char *word, uint64_t *n)
{
	return ndm_arg_u64(*word == '+' ? word + 1 : word, n);
}

static int version_parse(struct ndm_target *ti, unsigned argc, char **argv, unsigned *version)
{
	if (sscanf(argv[0], "V%u", version) != 1)
		*version = 0;
	else if (*version < 1 || *version > TABLE_VERSION)
		return ndm_error(ti, -EINVAL, "Unknown version number detected: '%s'", argv[0]);
	if (*version <= 1 ? argc != required_words[*version] : argc < required_words[*version])
		return ndm_error(ti, -EINVAL, "Incorrect number of arguments for version: %u instead of %u",
				 argc, required_words[*version]);
	return 0;
}

/* ---- keys ---- */

/* Keys that nobody knows are for a later version, and pass.  Else NULL, or what is wrong. */
static const char *thread_count(struct vdo_config *c, const char *key, unsigned n)
{
	const struct { const char *key; unsigned *at, min, max; const char *wrong; } keys[] = {
		{ "bioRotationInterval", &c->threads.rotation, 1, ROTATION_MAX, "1 to 1024" },
		{ "logical", &c->threads.logical, 0, LOGICAL_ZONES_MAX, "at most 60" },
		{ "physical", &c->threads.physical, 0, PHYSICAL_ZONES_MAX, "at most 16" },
		{ "hash", &c->threads.hash, 0, THREADS_MAX, "at most 100" },
		{ "cpu", &c->threads.cpu, 1, THREADS_MAX, "1 to 100" },
		{ "ack", &c->threads.ack, 0, THREADS_MAX, "at most 100" },
		{ "bio", &c->threads.bio, 1, THREADS_MAX, "1 to 100" },
		{ NULL, NULL, 0, THREADS_MAX, "at most 100" },
	};
	unsigned i = 0;

	while (keys[i].key && strcmp(keys[i].key, key))
		i++;
	if (n < keys[i].min || n > keys[i].max)
		return keys[i].wrong;
	if (keys[i].at)
		*keys[i].at = n;
	return NULL;
}

static const char *on_off(const char *word, bool *on)
{
	*on = !strcmp(word, "on");
	return *on || !strcmp(word, "off") ? NULL : "on or off";
}

static const char *pair_parse(struct vdo_config *c, const char *key, const char *value)
{
	unsigned n;

	if (!strcmp(key, "deduplication"))
		return on_off(value, &c->deduplication);
	if (!strcmp(key, "compression"))
		return on_off(value, &c->compression);
	if (ndm_arg_uint(value, &n))
		return "a number";
	if (strcmp(key, "maxDiscard"))
		return thread_count(c, key, n);
	c->max_discard = n;
	return n && n <= UINT_MAX / NDM_VDO_BLOCK ? NULL : "1 to 1048575 blocks";
}

/* V0 and V1: "key=n,key=n", or a dot for none. */
static int threads_parse(struct ndm_target *ti, struct vdo_config *c, const char *word)
{
	char key[32], value[16];
	int used;
	unsigned n;

	if (!strcmp(word, "."))
		return 0;
	for (;; word++) {
		used = 0;
		if (sscanf(word, "%31[^=,]=%15[^=,]%n", key, value, &used) < 2 || !used ||
		    (word[used] && word[used] != ',') || ndm_arg_uint(value, &n) || thread_count(c, key, n))
			return ndm_error(ti, -EINVAL, "Invalid thread-count configuration: '%s'", word);
		word += used;
		if (!*word)
			return 0;
	}
}

static int optional_parse(struct ndm_target *ti, struct vdo_config *c, struct ndm_args *as)
{
	if (c->version <= 1)
		return threads_parse(ti, c, as->argv[0]);
	if (as->argc % 2)
		return ndm_error(ti, -EINVAL, "Odd number of optional arguments given but they should be "
				 "<key> <value> pairs");
	while (as->argc) {
		const char *key = ndm_args_shift(as), *value = ndm_args_shift(as);
		const char *wanted = pair_parse(c, key, value);

		if (wanted)
			return ndm_error(ti, -EINVAL, "Invalid optional argument configuration: %s is %s, not "
					 "'%s'", key, wanted, value);
	}
	return 0;
}

/* ---- the line ---- */

static int fixed_parse(struct ndm_target *ti, struct vdo_config *c, struct ndm_args *as)
{
	const char *word;

	if (c->version >= 1) {
		word = ndm_args_shift(as);
		if (number_u64(word, &c->physical))
			return ndm_error(ti, -EINVAL, "Invalid physical block count: '%s'", word);
	}
	word = ndm_args_shift(as);
	if (strcmp(word, "512") && strcmp(word, "4096"))
		return ndm_error(ti, -EINVAL, "Invalid logical block size: '%s' is neither 512 nor 4096", word);
	c->logical_bytes = *word == '5' ? 512 : 4096;
	if (c->version <= 1)
		ndm_args_consume(as, 2);
	word = ndm_args_shift(as);
	if (ndm_arg_uint(word, &c->cache_blocks))
		return ndm_error(ti, -EINVAL, "Invalid block map page cache size: '%s'", word);
	word = ndm_args_shift(as);
	if (ndm_arg_uint(word, &c->max_age))
		return ndm_error(ti, -EINVAL, "Invalid block map maximum age: '%s'", word);
	/* a RAID5 mode, a write policy, the name of a pool */
	ndm_args_consume(as, c->version <= 2 ? 3 : c->version == 3 ? 1 : 0);
	return 0;
}

int vdo_config_parse(struct vdo *v, unsigned argc, char **argv)
{
	struct vdo_config *c = &v->config;
	struct ndm_target *ti = v->ti;
	struct ndm_args as = { argc, argv };
	const char *device;
	int err;

	*c = (struct vdo_config){ .max_discard = 1, .deduplication = true,
				  .threads = { .ack = 1, .bio = 4, .rotation = 64, .cpu = 1 } };
	if (ti->nr % NDM_VDO_BLOCK_SECTORS)
		return ndm_error(ti, -EINVAL, "Logical size must be a multiple of 4096");
	if (!argc)
		return ndm_error(ti, -EINVAL, "Incorrect number of arguments");
	err = version_parse(ti, argc, argv, &c->version);
	if (err)
		return err;
	ndm_args_consume(&as, c->version ? 1 : 0);
	device = ndm_args_shift(&as);
	err = fixed_parse(ti, c, &as);
	err = err ? err : optional_parse(ti, c, &as);
	if (err)
		return err;
	if (!c->threads.logical != !c->threads.physical || !c->threads.physical != !c->threads.hash)
		return ndm_error(ti, -EINVAL, "Logical, physical, and hash zones counts must all be zero or all "
				 "non-zero");
	if (c->cache_blocks < 2 * USER_VIOS * c->threads.logical)
		return ndm_error(ti, -EINVAL, "Insufficient block map cache for logical zones: %u blocks instead "
				 "of %u", c->cache_blocks, 2 * USER_VIOS * c->threads.logical);
	if (ndm_get_dev(ti, device, 0, 0, &v->dev))
		return ndm_error(ti, -EINVAL, "Unable to open storage device");
	if (!c->version)
		c->physical = v->dev->store->nr / NDM_VDO_BLOCK_SECTORS;
	return ndm_args_words(argc, argv, &v->line);
}
