/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdoformat.c - `ndm vdoformat DEVICE`: an empty vdo volume, as vdoformat makes it.
 *
 * The geometry block comes last: until then the device is none, or still the one it was.  Linux
 * makes the deduplication index when it first starts the volume; here is only room for it.
 */
#include "client/setup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ndm-vdo.h>
#include <ndm-verity.h>

enum { V_FORCE, V_HELP, V_LOGICAL, V_NO_INDEX, V_SLAB_BITS, V_JOURNAL, V_VERBOSE, V_END };

static const struct setup_option options[V_END] = {
	[V_FORCE] = { "force", 0, SETUP_FLAG, "over a volume that is there" },
	[V_HELP] = { "help", 'h', SETUP_FLAG, "this text" },
	[V_LOGICAL] = { "logical-size", 0, SETUP_SIZE, "BYTES  of the volume; else as much as fits" },
	[V_NO_INDEX] = { "no-index", 0, SETUP_FLAG, "no room for an index: Linux needs `deduplication off`" },
	[V_SLAB_BITS] = { "slab-bits", 0, SETUP_NUMBER, "N  slabs of 2^N blocks, 19 by default" },
	[V_JOURNAL] = { "journal-size", 0, SETUP_SIZE, "BYTES  of the recovery journal, 128m by default" },
	[V_VERBOSE] = { "verbose", 'v', SETUP_FLAG, "say how the volume is divided" },
};

#define INDEX_BLOCKS 679127u			/* of an index with 0.25 GB of memory, as Linux lays it out */
#define INDEX_MEMORY 0xffffff00u		/* as which that is written */
#define SLAB_BITS 19u
#define SLAB_JOURNAL 224u
#define JOURNAL_BLOCKS 32768u
#define ERA 16380u
#define CLEAR_BYTES (1u << 20)

static int clear(struct disk *d, uint64_t block, uint64_t nr)
{
	static const uint8_t zeroes[CLEAR_BYTES];
	uint64_t at = block * NDM_VDO_BLOCK, end = (block + nr) * NDM_VDO_BLOCK;
	int err = 0;

	for (; at < end && !err; at += CLEAR_BYTES)
		err = d->io.write(&d->io, at, zeroes, end - at < CLEAR_BYTES ? end - at : CLEAR_BYTES);
	return err;
}

static int blocks_write(struct disk *d, const struct ndm_vdo_geometry *g, const struct ndm_vdo_super *s)
{
	uint8_t block[NDM_VDO_BLOCK];
	int err = clear(d, 0, 1);

	err = err ? err : d->io.sync(&d->io);
	err = err ? err : clear(d, s->part[NDM_VDO_MAP].start, s->part[NDM_VDO_MAP].nr);
	err = err ? err : clear(d, s->part[NDM_VDO_JOURNAL].start, s->part[NDM_VDO_JOURNAL].nr);
	ndm_vdo_super_encode(s, block);
	err = err ? err : d->io.write(&d->io, g->data_start * NDM_VDO_BLOCK, block, sizeof block);
	err = err ? err : d->io.sync(&d->io);
	ndm_vdo_geometry_encode(g, block);
	err = err ? err : d->io.write(&d->io, 0, block, sizeof block);
	return err ? err : d->io.sync(&d->io);
}

static bool is_volume(struct disk *d)
{
	struct ndm_vdo_geometry g;
	uint8_t block[NDM_VDO_BLOCK];
	const char *why;

	return !d->io.read(&d->io, 0, block, sizeof block) && !ndm_vdo_geometry_decode(block, &g, &why);
}

/* The longest that fits the journal, as far as Linux takes one: 311 entries of it count as 434. */
static uint64_t era(const struct ndm_vdo_super *v)
{
	uint64_t most = v->journal_blocks * 3 / 8 * 434 / 311;

	return most < ERA ? most : ERA;
}

static void tell(const struct setup *s, const struct ndm_vdo_super *v)
{
	uint64_t slabs = (v->depot_end - v->depot_start) / v->slab_blocks;

	printf("The VDO volume can address %" PRIu64 " blocks in %" PRIu64 " data slabs, each %" PRIu64 " blocks.\n",
	       slabs * v->slab.data, slabs, v->slab_blocks);
	if (s->given[V_VERBOSE])
		printf("Its tables are: 0 %" PRIu64 " vdo V4 %s %" PRIu64 " 4096 32768 %" PRIu64 "\n",
		       v->logical * NDM_VDO_BLOCK_SECTORS, s->argv[0], v->physical, era(v));
}

static int format(struct setup *s, struct disk *d)
{
	struct ndm_vdo_geometry g = { .version = 5, .index_start = 1, .data_start = 2 };
	const struct ndm_vdo_sizes sizes = {
		.physical = d->io.bytes / NDM_VDO_BLOCK,
		.logical = setup_number(s, V_LOGICAL, 0) / NDM_VDO_BLOCK,
		.journal_blocks = setup_number(s, V_JOURNAL, JOURNAL_BLOCKS * (uint64_t)NDM_VDO_BLOCK) / NDM_VDO_BLOCK,
		.slab_bits = (unsigned)setup_number(s, V_SLAB_BITS, SLAB_BITS),
		.slab_journal_blocks = SLAB_JOURNAL,
	};
	struct ndm_vdo_super super;
	struct timespec now;
	const char *why;
	int err;

	if (is_volume(d) && !s->given[V_FORCE]) {
		say("vdoformat: %s has a vdo volume already; --force makes a new one in its place.", s->argv[0]);
		return -EEXIST;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	g.nonce = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	err = ndm_verity_random(g.uuid, sizeof g.uuid);
	g.uuid[6] = (g.uuid[6] & 15) | 0x40;
	g.uuid[8] = (g.uuid[8] & 63) | 0x80;
	if (!s->given[V_NO_INDEX]) {
		g.data_start = 1 + INDEX_BLOCKS;
		g.index_memory = INDEX_MEMORY;
	}
	if (err)
		return err;
	err = ndm_vdo_super_make(&sizes, &g, &super, &why);
	if (err) {
		say("vdoformat: %s: %s.", s->argv[0], why);
		return err;
	}
	err = blocks_write(d, &g, &super);
	if (err)
		say("vdoformat: %s: %s.", s->argv[0], strerror(-err));
	else
		tell(s, &super);
	return err;
}

static int format_device(struct setup *s)
{
	struct disk d;
	int err;

	err = disk_open(&s->cs, s->argv[0], true, false, &d);
	if (err)
		return err;
	err = format(s, &d);
	disk_close(&d);
	return err;
}

static int help(void)
{
	unsigned i;

	printf("Usage: ndm vdoformat [OPTION...] DEVICE\n\n");
	for (i = 0; i < V_END; i++)
		printf("  --%-14s %s\n", options[i].name, options[i].help);
	return 0;
}

int vdoformat_main(struct client *client, int argc, char **argv)
{
	struct setup s = { .cs = { .client = client }, .program = "vdoformat", .options = options,
			   .noptions = V_END };
	const struct setup_action only = { "", format_device, 1, "<device>" };
	char **words = calloc((size_t)argc + 2, sizeof *words), none[] = "";
	int status, i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			free(words);
			return help();
		}
	if (!words)
		return 3;
	/* it has no actions: an empty one in front is what setup_main() looks for */
	words[0] = argv[0];
	words[1] = none;
	memcpy(words + 2, argv + 1, (size_t)(argc - 1) * sizeof *words);
	status = setup_main(&s, &only, 1, argc + 1, words);
	free(words);
	return status;
}
