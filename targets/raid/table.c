/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - the words of a table: types, parameters, devices, and what they may be together. */
#include "raid.h"

#include <stdio.h>
#include <strings.h>

enum { PARITY_0 = 4, PARITY_N = 5 };

/* later ones win where several names mean the same */
static const struct raid_type types[] = {
	{ "raid0", 0, 2, 0, 0 },
	{ "raid1", 0, 2, 1, 0 },
	{ "raid10_far", 0, 2, 10, 3 },
	{ "raid10_offset", 0, 2, 10, 2 },
	{ "raid10_near", 0, 2, 10, 1 },
	{ "raid10", 0, 2, 10, 0 },
	{ "raid4", 1, 2, 5, PARITY_0 },
	{ "raid5_n", 1, 2, 5, PARITY_N },
	{ "raid5_ls", 1, 2, 5, 2 },
	{ "raid5_rs", 1, 2, 5, 3 },
	{ "raid5_la", 1, 2, 5, 0 },
	{ "raid5_ra", 1, 2, 5, 1 },
	{ "raid6_zr", 2, 4, 6, 8 },
	{ "raid6_nr", 2, 4, 6, 9 },
	{ "raid6_nc", 2, 4, 6, 10 },
	{ "raid6_n_6", 2, 4, 6, PARITY_N },
	{ "raid6_ls_6", 2, 4, 6, 18 },
	{ "raid6_rs_6", 2, 4, 6, 19 },
	{ "raid6_la_6", 2, 4, 6, 16 },
	{ "raid6_ra_6", 2, 4, 6, 17 },
};
#define NTYPES (sizeof types / sizeof *types)

const struct raid_type *raid_type_find(const char *name)
{
	unsigned i;

	for (i = 0; i < NTYPES; i++)
		if (!strcasecmp(types[i].name, name))
			return &types[i];
	return NULL;
}

const char *raid10_format_of(int layout)
{
	return layout & RAID10_OFFSET ? "offset" : raid10_near(layout) > 1 ? "near"
	     : raid10_far(layout) > 1 ? "far" : "unknown";
}

static bool is_format(const struct raid_type *t, int layout)
{
	static const char *const formats[] = { "near", "near", "offset", "far" };

	return !strcmp(formats[t->layout], raid10_format_of(layout));
}

const struct raid_type *raid_type_of(int level, int layout)
{
	unsigned i = NTYPES;

	while (i--)
		if (types[i].level == level &&
		    (types[i].layout == layout || (level == 10 && is_format(&types[i], layout))))
			return &types[i];
	return NULL;
}

/* ---- parameters ---- */

struct parse {
	struct raid *r;
	unsigned mostly;			/* how many write_mostly */
	int format, copies;
	const char *key, *value;
};

/* kstrtoint(…, 10) */
static int number_take(const char *text, int *value)
{
	bool minus = *text == '-';
	unsigned u;

	if (minus && (text[1] == '+' || text[1] == '-'))
		return -EINVAL;
	if (ndm_arg_uint(text + minus, &u) || u > INT32_MAX + (unsigned)minus)
		return -EINVAL;
	*value = minus ? (int)-(int64_t)u : (int)u;
	return 0;
}

static int once(struct raid *r, enum raid_word word, const char *said)
{
	if (r->words & word)
		return ndm_error(r->ti, -EINVAL, "%s", said);
	r->words |= word;
	return 0;
}

static bool is_456(const struct raid_type *t) { return t->level == 5 || t->level == 6; }

/* words without a value; 1: it was one */
static int word_alone(struct raid *r, const char *key)
{
	int err;

	if (!strcasecmp(key, "nosync"))
		err = once(r, RAID_NOSYNC, "Only one 'nosync' argument allowed");
	else if (!strcasecmp(key, "sync"))
		err = once(r, RAID_SYNC, "Only one 'sync' argument allowed");
	else if (!strcasecmp(key, "raid10_use_near_sets"))
		err = once(r, RAID_NEAR_SETS, "Only one 'raid10_use_new_sets' argument allowed");
	else
		return 0;
	return err ? err : 1;
}

static int format_take(struct parse *p)
{
	static const char *const names[] = { "near", "offset", "far" };
	struct raid *r = p->r;
	int err = once(r, RAID_FORMAT, "Only one 'raid10_format' argument pair allowed");
	unsigned i;

	if (err)
		return err;
	if (r->type->level != 10)
		return ndm_error(r->ti, -EINVAL,
				 "'raid10_format' is an invalid parameter for this RAID type");
	for (i = 0; i < 3; i++)
		if (!strcasecmp(p->value, names[i])) {
			p->format = (int)i + 1;
			return 0;
		}
	return ndm_error(r->ti, -EINVAL, "Invalid 'raid10_format' value given: '%s'", p->value);
}

#define JOURNAL_MIN 8192u			/* sectors */

static int journal_take(struct parse *p)
{
	struct raid *r = p->r;
	int err = once(r, RAID_JOURNAL_DEV, "Only one raid4/5/6 set journaling device allowed");

	if (err)
		return err;
	if (!is_456(r->type))
		return ndm_error(r->ti, -EINVAL,
				 "'journal_dev' is an invalid parameter for this RAID type");
	err = ndm_get_dev(r->ti, p->value, 0, 0, &r->journal);
	if (err)
		return ndm_error(r->ti, err, "raid4/5/6 journal device lookup failure");
	if (r->journal->store->nr < JOURNAL_MIN)
		return ndm_error(r->ti, -ENOSPC, "No space for raid4/5/6 journal");
	return 0;
}

static int journal_mode_take(struct parse *p)
{
	struct raid *r = p->r;
	int err;

	if (!(r->words & RAID_JOURNAL_DEV))
		return ndm_error(r->ti, -EINVAL,
				 "raid4/5/6 'journal_mode' is invalid without 'journal_dev'");
	err = once(r, RAID_JOURNAL_MODE, "Only one raid4/5/6 'journal_mode' argument allowed");
	if (err)
		return err;
	r->write_back = !strcasecmp(p->value, "writeback");
	if (!r->write_back && strcasecmp(p->value, "writethrough"))
		return ndm_error(r->ti, -EINVAL, "Invalid 'journal_mode' argument");
	return 0;
}

static int rebuild_take(struct raid *r, int i)
{
	if (i < 0 || i >= (int)r->n)
		return ndm_error(r->ti, -EINVAL, "Invalid rebuild index given");
	if (r->members[i].rebuild)
		return ndm_error(r->ti, -EINVAL, "rebuild for this index already given");
	r->members[i].rebuild = true;
	r->words |= RAID_REBUILD;
	return 0;
}

static int mostly_take(struct parse *p, int i)
{
	struct raid *r = p->r;

	if (r->type->level != 1)
		return ndm_error(r->ti, -EINVAL, "write_mostly option is only valid for RAID1");
	if (i < 0 || i >= (int)r->n)
		return ndm_error(r->ti, -EINVAL, "Invalid write_mostly index given");
	p->mostly++;
	r->members[i].write_mostly = true;
	r->words |= RAID_WRITE_MOSTLY;
	return 0;
}

#define BEHIND_MAX 0x3fff			/* what a counter of the bitmap can hold */

static int behind_take(struct raid *r, int value)
{
	int err;

	if (r->type->level != 1)
		return ndm_error(r->ti, -EINVAL, "max_write_behind option is only valid for RAID1");
	err = once(r, RAID_WRITE_BEHIND, "Only one max_write_behind argument pair allowed");
	if (err)
		return err;
	if (value < 0 || value / 2 > BEHIND_MAX)
		return ndm_error(r->ti, -EINVAL, "Max write-behind limit out of range");
	r->write_behind = value / 2;		/* sectors to KiB */
	return 0;
}

static int offset_take(struct raid *r, int value)
{
	int err = once(r, RAID_DATA_OFFSET, "Only one data_offset argument pair allowed");

	if (err)
		return err;
	if (value < 0 || (value && (value < 32 || value % 8)))
		return ndm_error(r->ti, -EINVAL, "Bogus data_offset value");
	r->data_offset = (uint64_t)value;
	return 0;
}

static int delta_take(struct raid *r, int value)
{
	int err = once(r, RAID_DELTA_DISKS, "Only one delta_disks argument pair allowed");
	int64_t most = (int64_t)RAID_DISKS_MAX - r->type->min_disks;

	if (err)
		return err;
	if (!value || value > most || value < -most)
		return ndm_error(r->ti, -EINVAL, "Too many delta_disk requested");
	r->delta_disks = value;
	return 0;
}

static int cache_take(struct raid *r, int value)
{
	int err = once(r, RAID_STRIPE_CACHE, "Only one stripe_cache argument pair allowed");

	if (err)
		return err;
	if (!is_456(r->type))
		return ndm_error(r->ti, -EINVAL, "Inappropriate argument: stripe_cache");
	if (value < 0)
		return ndm_error(r->ti, -EINVAL, "Bogus stripe cache entries value");
	r->stripe_cache = value;
	return 0;
}

static int copies_take(struct parse *p, int value)
{
	struct raid *r = p->r;
	int err = once(r, RAID_COPIES, "Only one raid10_copies argument pair allowed");

	if (err)
		return err;
	if (value < 2 || value > (int)r->n)
		return ndm_error(r->ti, -EINVAL, "Bad value for 'raid10_copies'");
	p->copies = value;
	return 0;
}

/* numbers that only may not be negative */
static int plain_take(struct raid *r, const char *key, int value)
{
	static const struct { const char *name; enum raid_word word; const char *range; } plain[] = {
		{ "daemon_sleep", RAID_DAEMON_SLEEP, "daemon sleep period out of range" },
		{ "min_recovery_rate", RAID_MIN_RATE, "min_recovery_rate out of range" },
		{ "max_recovery_rate", RAID_MAX_RATE, "max_recovery_rate out of range" },
	};
	int *to[] = { &r->daemon_sleep, &r->min_rate, &r->max_rate };
	char said[80];
	unsigned i;
	int err;

	for (i = 0; i < 3; i++) {
		if (strcasecmp(key, plain[i].name))
			continue;
		snprintf(said, sizeof said, "Only one %s argument pair allowed", plain[i].name);
		err = once(r, plain[i].word, said);
		if (err)
			return err;
		if (value < 0)
			return ndm_error(r->ti, -EINVAL, "%s", plain[i].range);
		*to[i] = value;
		return 0;
	}
	return ndm_error(r->ti, -EINVAL, "Unable to parse RAID parameter: '%s'", key);
}

static int region_take(struct raid *r, int value)
{
	int err = once(r, RAID_REGION_SIZE, "Only one region_size argument pair allowed");

	r->want_region = (uint64_t)(unsigned)value;
	return err;
}

static int pair_take(struct parse *p)
{
	struct raid *r = p->r;
	const char *key = p->key;
	int value;

	if (!strcasecmp(key, "raid10_format"))
		return format_take(p);
	if (!strcasecmp(key, "journal_dev"))
		return journal_take(p);
	if (!strcasecmp(key, "journal_mode"))
		return journal_mode_take(p);
	if (number_take(p->value, &value))
		return ndm_error(r->ti, -EINVAL, "Bad numerical argument given in raid params: '%s'",
				 p->value);
	if (!strcasecmp(key, "rebuild"))
		return rebuild_take(r, value);
	if (!strcasecmp(key, "write_mostly"))
		return mostly_take(p, value);
	if (!strcasecmp(key, "max_write_behind"))
		return behind_take(r, value);
	if (!strcasecmp(key, "data_offset"))
		return offset_take(r, value);
	if (!strcasecmp(key, "delta_disks"))
		return delta_take(r, value);
	if (!strcasecmp(key, "stripe_cache"))
		return cache_take(r, value);
	if (!strcasecmp(key, "region_size"))
		return region_take(r, value);
	if (!strcasecmp(key, "raid10_copies"))
		return copies_take(p, value);
	return plain_take(r, key, value);
}

/* ---- what they are together ---- */

#define REGIONS_MAX_SHIFT 21
#define REGION_DEFAULT 8192u			/* sectors: 4 MiB */

static int region_check(struct raid *r)
{
	uint64_t least = r->ti->nr >> REGIONS_MAX_SHIFT, size = r->want_region;

	r->region = REGION_DEFAULT;
	if (!r->type->level)
		return 0;
	if (!size) {
		while (r->region < least)
			r->region <<= 1;
		return 0;
	}
	if (size > r->ti->nr)
		return ndm_error(r->ti, -EINVAL, "Supplied region size is too large");
	if (size < least)
		return ndm_error(r->ti, -EINVAL, "Supplied region size is too small");
	if (size & (size - 1))
		return ndm_error(r->ti, -EINVAL, "Region size is not a power of 2");
	if (size < r->want_chunk)
		return ndm_error(r->ti, -EINVAL, "Region size is smaller than the chunk size");
	r->region = size;
	return 0;
}

static int layout10(struct parse *p)
{
	struct raid *r = p->r;
	int sets = r->words & RAID_NEAR_SETS ? 0 : RAID10_FAR_SETS;

	if (p->copies > (int)r->n)
		return ndm_error(r->ti, -EINVAL, "Not enough devices to satisfy specification");
	if (p->format <= 1)
		r->want_layout = 1 << 8 | p->copies;
	else
		r->want_layout = p->copies << 8 | 1 | sets | (p->format == 2 ? RAID10_OFFSET : 0);
	if (p->format <= 1 && r->words & RAID_NEAR_SETS)
		return ndm_error(r->ti, -EINVAL,
				 "RAID10 format 'near' and 'raid10_use_near_sets' are incompatible");
	return 0;
}

static int words_check(struct raid *r)
{
	const unsigned any = RAID_SYNC | RAID_NOSYNC | RAID_REBUILD | RAID_DAEMON_SLEEP |
			     RAID_MIN_RATE | RAID_MAX_RATE | RAID_REGION_SIZE | RAID_DELTA_DISKS |
			     RAID_DATA_OFFSET;
	unsigned valid;

	switch (r->type->level) {
	case 0: valid = RAID_DATA_OFFSET; break;
	case 1: valid = any | RAID_WRITE_MOSTLY | RAID_WRITE_BEHIND; break;
	case 10: valid = any | RAID_COPIES | RAID_FORMAT | RAID_NEAR_SETS; break;
	default: valid = any | RAID_STRIPE_CACHE | RAID_JOURNAL_DEV | RAID_JOURNAL_MODE; break;
	}
	if (r->type->level == 6)
		valid &= ~(unsigned)RAID_NOSYNC;
	if (r->words & ~valid)
		return ndm_error(r->ti, -EINVAL, "Invalid flags combination");
	return 0;
}

static int words_together(struct parse *p)
{
	struct raid *r = p->r;
	int err;

	if (r->words & RAID_SYNC && r->words & RAID_NOSYNC)
		return ndm_error(r->ti, -EINVAL, "sync and nosync are mutually exclusive");
	if (r->words & RAID_REBUILD && r->words & (RAID_SYNC | RAID_NOSYNC))
		return ndm_error(r->ti, -EINVAL, "sync/nosync and rebuild are mutually exclusive");
	if (p->mostly >= r->n)
		return ndm_error(r->ti, -EINVAL, "Can't set all raid1 devices to write_mostly");
	if (r->max_rate && r->min_rate > r->max_rate)
		return ndm_error(r->ti, -EINVAL, "Bogus recovery rates");
	err = region_check(r);
	if (!err && r->type->level == 10)
		err = layout10(p);
	r->copies10 = p->copies;
	return err ? err : words_check(r);
}

static int chunk_take(struct raid *r, const char *text)
{
	int value;

	if (number_take(text, &value))
		return ndm_error(r->ti, -EINVAL, "Bad numerical argument given for chunk_size: '%s'",
				 text);
	if (r->type->level == 1)
		value = 0;
	else if (value <= 0 || value & (value - 1))
		return ndm_error(r->ti, -EINVAL, "Chunk size must be a power of 2");
	else if (value < 8)
		return ndm_error(r->ti, -EINVAL, "Chunk size value is too small");
	r->want_chunk = (unsigned)value;
	return 0;
}

/* argc words are parameters, of all that are left */
static int params_take(struct raid *r, unsigned argc, unsigned all, char **argv)
{
	struct parse p = { .r = r, .copies = 2 };
	unsigned i;
	int err;

	if (!all)
		return ndm_error(r->ti, -EINVAL, "Bad numerical argument given for chunk_size");
	err = chunk_take(r, argv[0]);		/* also where there are said to be none */
	if (!argc && !err)
		err = ndm_error(r->ti, -EINVAL, "Not enough raid parameters given");
	for (i = 1; i < argc && !err; i++) {
		err = word_alone(r, argv[i]);
		if (err) {
			err = err > 0 ? 0 : err;
			continue;
		}
		if (i + 1 >= all)
			return ndm_error(r->ti, -EINVAL, "Wrong number of raid parameters given");
		p.key = argv[i];
		p.value = argv[++i];		/* as Linux does: also what is behind them */
		err = pair_take(&p);
	}
	if (!err)
		err = words_together(&p);
	if (!err && i > argc)			/* the last one had no value of its own */
		err = ndm_error(r->ti, -EINVAL, "Wrong number of raid parameters given");
	return err;
}

/* ---- devices ---- */

static int member_take(struct raid *r, struct raid_member *m, char **argv)
{
	bool meta = strcmp(argv[0], "-"), data = strcmp(argv[1], "-");
	int err;

	if (meta) {
		err = ndm_get_dev(r->ti, argv[0], 0, 0, &m->meta);
		if (err)
			return ndm_error(r->ti, err, "RAID metadata device lookup failure");
	}
	if (!data && m->rebuild)
		return ndm_error(r->ti, -EINVAL, "Drive designated for rebuild not specified");
	if (!data && meta)
		return ndm_error(r->ti, -EINVAL, "No data device supplied with metadata device");
	if (!data)
		return 0;
	err = ndm_get_dev(r->ti, argv[1], 0, 0, &m->data);
	if (err)
		return ndm_error(r->ti, err, "RAID device lookup failure");
	r->persistent |= meta;
	return 0;
}

static int sizes_check(struct raid *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (r->members[i].data && r->members[i].data->store->nr < r->geo.dev_sectors)
			return ndm_error(r->ti, -EINVAL, "Component device(s) too small");
	return 0;
}

/* dev_sectors and array_sectors of an array of `sectors`, with the members of the table */
int raid_sizes_by_table(struct raid *r, uint64_t sectors)
{
	unsigned data = r->n - r->type->parity;
	uint64_t dev = sectors, array = sectors;

	if (r->type->level == 10) {
		if (r->delta_disks < 0 || dev > UINT64_MAX / 256)
			return ndm_error(r->ti, -EINVAL, "Bogus raid10 data copies or delta disks");
		dev *= (unsigned)r->copies10;
	}
	if (r->type->level != 1) {
		if (dev % data)
			return ndm_error(r->ti, -EINVAL,
					 "Target length not divisible by number of data devices");
		dev /= data;
	}
	r->geo.dev_sectors = dev;
	r->geo.array_sectors = array;
	return sizes_check(r);
}

static int devices_take(struct raid *r, char **argv)
{
	unsigned i;
	int err;

	for (i = 0; i < r->n; i++) {
		err = member_take(r, &r->members[i], argv + 2 * i);
		if (err)
			return err;
	}
	err = raid_sizes_by_table(r, r->ti->nr);
	r->want_array = r->geo.array_sectors;
	r->want_dev = r->geo.dev_sectors;
	for (i = 0; i < r->n && !err; i++)
		if (r->members[i].data)
			break;
	if (!err && i == r->n)
		return ndm_error(r->ti, -EINVAL, "Invalid rdev size");
	return err;
}

int raid_table_take(struct raid *r, unsigned argc, char **argv)
{
	struct ndm_target *ti = r->ti;
	struct ndm_args args = { argc, argv }, rest;
	unsigned params;
	int err;

	if (!argc)
		return ndm_error(ti, -EINVAL, "No arguments");
	r->type = raid_type_find(ndm_args_shift(&args));
	if (!r->type)
		return ndm_error(ti, -EINVAL, "Unrecognised raid_type: '%s'", argv[0]);
	err = ndm_args_group(ti, &args, 0, args.argc, "Cannot understand number of raid parameters",
			     &params);
	if (err)
		return err;
	rest = args;
	ndm_args_consume(&rest, params);
	err = ndm_args_uint(ti, &rest, 1, rest.argc ? (rest.argc - 1) / 2 : 0,
			    "Cannot understand number of raid devices parameters", &r->n);
	if (err)
		return err;
	if (r->n > RAID_DISKS_MAX)
		return ndm_error(ti, -EINVAL, "Invalid number of supplied raid devices");
	if (r->n <= r->type->parity)
		return ndm_error(ti, -EINVAL, "Insufficient number of devices");
	r->members = ndm_calloc(r->n, sizeof *r->members);
	if (!r->members)
		return ndm_error(ti, -ENOMEM, "Cannot allocate raid context");
	r->want_level = r->type->level;
	r->want_layout = r->type->layout;
	r->stripe_cache = 256;
	err = params_take(r, params, args.argc, args.argv);
	return err ? err : devices_take(r, rest.argv);
}
