/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * switch: regions of equal size, each sent down a path of its own; messages change which.
 *
 *	switch <#paths> <region_size> <#optional_args = 0> [<device> <offset>]{#paths}
 *
 * Sector s goes to sector offset + s of its region's path.  A fresh table deals the regions
 * out in turn; nothing of the region table outlives a reload.
 *
 *	set_region_mappings <word>...		all numbers are hexadecimal
 *		R:P	region R gets path P
 *		:P	the region after the last one named gets path P; at first that is region 1
 *		Rn,m	the next m regions repeat the mapping of the n before them
 *
 * Words in front of a wrong one stay in force.
 *
 * The region table is a bit field: an entry holds how far the region's path lies, round the
 * circle of paths, behind the one that it was dealt.  So a fresh table is all zeroes and costs
 * neither time nor memory until it is written to.
 *
 * The kernel's target ignores flushes.  This one sends them down all paths.  A copy of a flush
 * serves several paths where there are more than 255.
 */
#include <errno.h>
#include <inttypes.h>
#include <strings.h>

#include <ndm-target.h>

#include "lib/kit/memo.h"

#define SLOTS_MAX (1ull << 30)		/* 8 GiB, of which only what was changed takes memory */
#define PATHS_MAX 262143u		/* the kernel's limit is what one of its allocations holds */

struct switch_path {
	struct ndm_dev *dev;
	uint64_t start;
};

struct switch_target {
	unsigned npaths, region_size;	/* sectors */
	unsigned copies;		/* of a flush */
	unsigned entry_bits, slot_entries;
	uint64_t nregions;
	uint64_t *slots;
	struct switch_path *path;
};

/* ---- the region table ---- */

static uint64_t entry_mask(const struct switch_target *s)
{
	return (1ull << s->entry_bits) - 1;
}

static unsigned region_path(const struct switch_target *s, uint64_t region)
{
	unsigned shift = region % s->slot_entries * s->entry_bits;
	uint64_t behind = s->slots[region / s->slot_entries] >> shift & entry_mask(s);

	return (region + behind) % s->npaths;
}

static void region_set(struct switch_target *s, uint64_t region, unsigned path)
{
	unsigned shift = region % s->slot_entries * s->entry_bits;
	uint64_t behind = (path + s->npaths - region % s->npaths) % s->npaths;
	uint64_t *slot = &s->slots[region / s->slot_entries];

	*slot = (*slot & ~(entry_mask(s) << shift)) | behind << shift;
}

static int region_table_new(struct ndm_target *ti)
{
	struct switch_target *s = ti->private_data;
	uint64_t nslots;

	s->entry_bits = 1;
	while (1ull << s->entry_bits < s->npaths)
		s->entry_bits++;
	s->slot_entries = 64 / s->entry_bits;
	s->nregions = ti->nr / s->region_size + (ti->nr % s->region_size != 0);
	nslots = s->nregions / s->slot_entries + 1;
	if (nslots <= SLOTS_MAX)
		s->slots = ndm_calloc(nslots, sizeof *s->slots);
	if (!s->slots)
		return ndm_error(ti, -ENOMEM, "Cannot allocate region table: %" PRIu64 " regions",
				 s->nregions);
	return 0;
}

/* ---- the target ---- */

static int switch_path_ctr(struct ndm_target *ti, unsigned i, struct ndm_args *as)
{
	struct switch_target *s = ti->private_data;
	struct switch_path *p = &s->path[i];
	const char *device = ndm_args_shift(as), *start = ndm_args_shift(as);
	int err;

	err = ndm_get_dev(ti, device, 0, ti->nr, &p->dev);
	if (err)
		return ndm_error(ti, err, "Device lookup failed");
	if (ndm_arg_u64(*start == '+' ? start + 1 : start, &p->start))
		return ndm_error(ti, -EINVAL, "Invalid device starting offset: that of path %u is "
				 "'%s'", i, start);
	ndm_dev_section(p->dev, p->start, ti->nr);
	return 0;
}

static void switch_dtr(struct ndm_target *ti)
{
	struct switch_target *s = ti->private_data;

	ndm_free(s->slots);
	ndm_free(s->path);
}

static int switch_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct switch_target *s = ti->private_data;
	struct ndm_args as = { .argc = argc, .argv = argv };
	unsigned i, optional;
	int err;

	err = ndm_args_uint(ti, &as, 1, PATHS_MAX, "Invalid number of paths", &s->npaths);
	if (err)
		return err;
	err = ndm_args_uint(ti, &as, 1, UINT32_MAX, "Invalid region size", &s->region_size);
	if (err)
		return err;
	err = ndm_args_group(ti, &as, 0, 0, "Invalid number of optional args", &optional);
	if (err)
		return err;
	if (as.argc != 2 * s->npaths)
		return ndm_error(ti, -EINVAL, "Incorrect number of path arguments: %u words for %u "
				 "pairs of <device> <offset>", as.argc, s->npaths);
	s->path = ndm_calloc(s->npaths, sizeof *s->path);
	if (!s->path)
		return ndm_error(ti, -ENOMEM, "Cannot allocate redirection context");
	for (i = 0; i < s->npaths; i++) {
		err = switch_path_ctr(ti, i, &as);
		if (err)
			goto bad;
	}
	err = region_table_new(ti);
	if (err)
		goto bad;

	s->copies = s->npaths < UINT8_MAX ? s->npaths : UINT8_MAX;
	ti->num_flush = s->copies;
	ti->num_discard = 1;
	ti->max_io = ti->max_discard = s->region_size;
	ti->extents = true;
	return 0;
bad:
	switch_dtr(ti);
	return err;
}

static enum ndm_map switch_map(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct switch_target *s = ti->private_data;
	uint64_t sector = ndm_offset(ti, bio->sector);
	struct switch_path *p;

	if (bio->op == NDM_FLUSH && s->copies < s->npaths)
		return NDM_MAP_WAIT;
	if (bio->op == NDM_FLUSH)
		return ndm_remap(bio, s->path[bio->copy].dev, 0);
	p = &s->path[region_path(s, sector / s->region_size)];
	return ndm_remap(bio, p->dev, p->start + sector);
}

/* More paths than copies of a flush: this copy's share of them, in turn. */
static int switch_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct switch_target *s = ti->private_data;
	int err, first = 0;
	unsigned i;

	for (i = bio->copy; i < s->npaths; i += s->copies) {
		err = ndm_flush(s->path[i].dev->store);
		first = first ? first : err;
	}
	return first;
}

/* ---- messages ---- */

/* Digits as far as they go; too many of them make a number that no table has. */
static uint64_t parse_hex(const char **word)
{
	uint64_t v = 0;
	const char *p;

	for (p = *word; ; p++) {
		unsigned c = (unsigned char)*p | 0x20, digit;

		if (*p >= '0' && *p <= '9')
			digit = *p - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else
			break;
		v = v >> 60 ? UINT64_MAX : v << 4 | digit;
	}
	*word = p;
	return v;
}

static int wrong_word(struct ndm_target *ti, const char *word)
{
	return ndm_error(ti, -EINVAL, "invalid set_region_mappings argument: '%s'", word);
}

static int wrong_region(struct ndm_target *ti, const char *word)
{
	struct switch_target *s = ti->private_data;

	return ndm_error(ti, -EINVAL, "invalid set_region_mappings region number: '%s' goes beyond "
			 "the last of %" PRIu64 " (hexadecimal %" PRIx64 ") regions", word,
			 s->nregions, s->nregions);
}

/* Rn,m */
static int mapping_repeat(struct ndm_target *ti, const char *word, uint64_t *region)
{
	struct switch_target *s = ti->private_data;
	const char *p = word + 1;
	uint64_t cycle, count;

	if (*p == ',')
		return wrong_word(ti, word);
	cycle = parse_hex(&p);
	if (*p++ != ',' || !*p)
		return wrong_word(ti, word);
	count = parse_hex(&p);
	if (*p)
		return wrong_word(ti, word);
	if (!cycle || cycle - 1 > *region)
		return ndm_error(ti, -EINVAL, "invalid set_region_mappings cycle length: '%s' after "
				 "region %" PRIx64, word, *region);
	if (count >= s->nregions || *region >= s->nregions - count)
		return wrong_region(ti, word);
	while (count--) {
		++*region;
		region_set(s, *region, region_path(s, *region - cycle));
	}
	return 0;
}

/* R:P or :P */
static int mapping_one(struct ndm_target *ti, const char *word, uint64_t *region)
{
	struct switch_target *s = ti->private_data;
	const char *p = word;
	uint64_t path;

	if (*p == ':')
		++*region;
	else
		*region = parse_hex(&p);
	if (*p++ != ':' || !*p)
		return wrong_word(ti, word);
	path = parse_hex(&p);
	if (*p)
		return wrong_word(ti, word);
	if (*region >= s->nregions)
		return wrong_region(ti, word);
	if (path >= s->npaths)
		return ndm_error(ti, -EINVAL, "invalid set_region_mappings device: '%s', there are "
				 "%u paths", word, s->npaths);
	region_set(s, *region, path);
	return 0;
}

static int switch_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *out)
{
	uint64_t region = 0;
	unsigned i;
	int err = 0;

	(void)out;
	if (strcasecmp(argv[0], "set_region_mappings"))
		return ndm_error(ti, -EINVAL, "Unrecognised message received: '%s'", argv[0]);
	for (i = 1; !err && i < argc; i++)
		err = *argv[i] == 'R' || *argv[i] == 'r' ? mapping_repeat(ti, argv[i], &region) :
							   mapping_one(ti, argv[i], &region);
	return err;
}

/* ---- from one process to the next: the words of the table that are not zero ---- */

static uint64_t slot_count(const struct switch_target *s)
{
	return s->nregions / s->slot_entries + 1;
}

static int switch_recall(struct ndm_target *ti, struct ndm_str *out)
{
	const struct switch_target *s = ti->private_data;
	uint64_t i;

	for (i = 0; i < slot_count(s); i++)
		if (s->slots[i])
			ndm_printf(out, "slot %" PRIu64 " %" PRIu64 "\n", i, s->slots[i]);
	return 0;
}

static int switch_remember(struct ndm_target *ti, const char *text, size_t bytes)
{
	struct switch_target *s = ti->private_data;
	struct memo memo = { text, text + bytes };
	struct memo_line l;
	int err;

	while ((err = memo_next(&memo, &l)) > 0) {
		if (!memo_is(&l, "slot", 2) || l.number[0] >= slot_count(s))
			return -EBADMSG;
		s->slots[l.number[0]] = l.number[1];
	}
	return err;
}

/* ---- status ---- */

static void switch_status(struct ndm_target *ti, enum ndm_status what, unsigned flags,
			  struct ndm_str *out)
{
	struct switch_target *s = ti->private_data;
	unsigned i;

	(void)flags;
	if (what != NDM_STATUS_TABLE)
		return;
	ndm_printf(out, "%u %u 0", s->npaths, s->region_size);
	for (i = 0; i < s->npaths; i++)
		ndm_printf(out, " %s %" PRIu64, s->path[i].dev->name, s->path[i].start);
}

static const struct ndm_arg path_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The device of this path." },
	{ .name = "offset", .kind = NDM_ARG_SECTORS, .dflt = "0",
	  .help = "Where on that device the target's first sector lies." },
	{ 0 }
};

static const struct ndm_arg switch_args[] = {
	{ .name = "num_paths", .kind = NDM_ARG_COUNT, .of = "paths",
	  .help = "How many paths there are." },
	{ .name = "region_size", .kind = NDM_ARG_SECTORS,
	  .help = "The size of a region, any number of sectors." },
	{ .name = "num_optional_args", .kind = NDM_ARG_CONST, .dflt = "0",
	  .help = "There are no optional arguments yet." },
	{ .name = "paths", .kind = NDM_ARG_LIST, .sub = path_args, .help = "The paths." },
	{ 0 }
};

const struct ndm_target_type ndm_target_switch = {
	.name = "switch",
	.version = { 1, 1, 0 },
	.features = NDM_TARGET_LENDS,
	.private_size = sizeof(struct switch_target),
	.args = switch_args,
	.summary = "Regions of equal size, each sent down a path of its own.",
	.ctr = switch_ctr,
	.dtr = switch_dtr,
	.map = switch_map,
	.io = switch_io,
	.message = switch_message,
	.status = switch_status,
	.recall = switch_recall,
	.remember = switch_remember,
};
