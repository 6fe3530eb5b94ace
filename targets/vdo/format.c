/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.c - bytes of a vdo volume and back (ndm-vdo.h).  No I/O, no memory of its own.
 *
 * Geometry and super block are chains of components, each behind a head of 20 bytes: id, version
 * (major, minor), size.  As nothing in them is optional they have one length, and fixed places.
 */
#include <errno.h>
#include <string.h>

#include <ndm-vdo.h>

#include "lib/kit/bytes.h"
#include "lib/kit/hash.h"

#define HEAD 20u				/* of a component */

enum { ID_SUPER, ID_LAYOUT, ID_JOURNAL, ID_DEPOT, ID_MAP, ID_GEOMETRY };

/* places in the super block, in bytes */
#define S_VOLUME 24u
#define S_VDO 32u
#define S_CONFIG 60u
#define S_NONCE 100u
#define S_LAYOUT 108u
#define S_PARTS 145u
#define S_PART_BYTES 25u
#define S_JOURNAL 245u
#define S_DEPOT 289u
#define S_MAP 382u
#define S_CRC 434u

#define LOGICAL_MAX (UINT64_C(1) << 40)
#define PHYSICAL_MAX (UINT64_C(1) << 36)
#define USER_VIOS 2048u				/* requests that Linux has in flight at most */
#define SLAB_JOURNAL_FULL_ENTRIES 1300u		/* in a block of a slab's journal */
#define SMALL_SLAB 1024u

static uint32_t checksum(const uint8_t *bytes, size_t n)
{
	return ~ndm_crc32(0, bytes, n);
}

static bool is_power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

static void head_put(uint8_t *p, uint32_t id, uint32_t major, uint64_t bytes)
{
	le32_put(p, id);
	le32_put(p + 4, major);
	le32_put(p + 8, 0);
	le64_put(p + 12, bytes);
}

static bool head_is(const uint8_t *p, uint32_t id, uint32_t major, uint64_t bytes)
{
	return le32_get(p) == id && le32_get(p + 4) == major && !le32_get(p + 8) &&
	       le64_get(p + 12) == bytes;
}

/* ---- geometry ---- */

static const uint8_t magic[8] = { 'd', 'm', 'v', 'd', 'o', '0', '0', '1' };

int ndm_vdo_geometry_decode(const uint8_t *b, struct ndm_vdo_geometry *g, const char **why)
{
	unsigned at = 56, bytes;

	if (memcmp(b, magic, sizeof magic)) {
		*why = "no geometry block of a vdo volume";
		return -EIO;
	}
	*g = (struct ndm_vdo_geometry){ .version = le32_get(b + 12) <= 4 ? 4 : 5 };
	bytes = g->version == 4 ? 93 : 101;
	if (!head_is(b + 8, ID_GEOMETRY, g->version, bytes)) {
		*why = "the geometry block has a version that is not known";
		return -EIO;
	}
	if (checksum(b, bytes - 4) != le32_get(b + bytes - 4)) {
		*why = "the geometry block has a wrong checksum";
		return -EIO;
	}
	g->nonce = le64_get(b + 32);
	memcpy(g->uuid, b + 40, sizeof g->uuid);
	if (g->version > 4) {
		g->bio_offset = le64_get(b + at);
		at += 8;
	}
	g->index_start = le64_get(b + at + 4);
	g->data_start = le64_get(b + at + 16);
	g->index_memory = le32_get(b + at + 24);
	g->index_sparse = b[at + 32];
	return 0;
}

void ndm_vdo_geometry_encode(const struct ndm_vdo_geometry *g, uint8_t *b)
{
	unsigned at = g->version == 4 ? 56 : 64;

	memset(b, 0, NDM_VDO_BLOCK);
	memcpy(b, magic, sizeof magic);
	head_put(b + 8, ID_GEOMETRY, g->version, at + 37);
	le64_put(b + 32, g->nonce);
	memcpy(b + 40, g->uuid, sizeof g->uuid);
	if (g->version > 4)
		le64_put(b + 56, g->bio_offset);
	le64_put(b + at + 4, g->index_start);
	le32_put(b + at + 12, 1);
	le64_put(b + at + 16, g->data_start);
	le32_put(b + at + 24, g->index_memory);
	b[at + 32] = g->index_sparse;
	le32_put(b + at + 33, checksum(b, at + 33));
}

/* ---- super block ---- */

static int layout_decode(const uint8_t *b, struct ndm_vdo_super *s, const char **why)
{
	unsigned i, seen = 0;

	s->first_free = le64_get(b + S_LAYOUT + HEAD);
	s->last_free = le64_get(b + S_LAYOUT + HEAD + 8);
	for (i = 0; i < NDM_VDO_PARTITIONS; i++) {
		const uint8_t *p = b + S_PARTS + i * S_PART_BYTES;

		if (*p >= NDM_VDO_PARTITIONS)
			break;
		seen |= 1u << *p;
		s->part[*p].start = le64_get(p + 1);
		s->part[*p].nr = le64_get(p + 17);
	}
	if (b[S_PARTS - 1] == NDM_VDO_PARTITIONS && seen == (1u << NDM_VDO_PARTITIONS) - 1)
		return 0;
	*why = "the super block does not name its four partitions";
	return -EIO;
}

static void depot_decode(const uint8_t *p, struct ndm_vdo_super *s)
{
	s->slab = (struct ndm_vdo_slabs){
		le64_get(p), le64_get(p + 8), le64_get(p + 16), le64_get(p + 24),
		le64_get(p + 32), le64_get(p + 40), le64_get(p + 48),
	};
	s->depot_start = le64_get(p + 56);
	s->depot_end = le64_get(p + 64);
	s->zones = p[72];
}

int ndm_vdo_super_decode(const uint8_t *b, struct ndm_vdo_super *s, const char **why)
{
	*why = "the super block has a version that is not known";
	if (!head_is(b, ID_SUPER, 12, S_CRC + 4 - HEAD))
		return -EIO;
	if (checksum(b, S_CRC) != le32_get(b + S_CRC)) {
		*why = "the super block has a wrong checksum";
		return -EIO;
	}
	if (le32_get(b + S_VOLUME) != 67 || le32_get(b + S_VOLUME + 4) || le32_get(b + S_VDO) != 41 ||
	    le32_get(b + S_VDO + 4) || !head_is(b + S_LAYOUT, ID_LAYOUT, 3, 117) ||
	    !head_is(b + S_JOURNAL, ID_JOURNAL, 7, 24) || !head_is(b + S_DEPOT, ID_DEPOT, 2, 73) ||
	    !head_is(b + S_MAP, ID_MAP, 2, 32))
		return -EIO;
	*s = (struct ndm_vdo_super){
		.state = le32_get(b + 40), .complete_recoveries = le64_get(b + 44),
		.read_only_recoveries = le64_get(b + 52),
		.logical = le64_get(b + S_CONFIG), .physical = le64_get(b + S_CONFIG + 8),
		.slab_blocks = le64_get(b + S_CONFIG + 16), .journal_blocks = le64_get(b + S_CONFIG + 24),
		.slab_journal_blocks = le64_get(b + S_CONFIG + 32), .nonce = le64_get(b + S_NONCE),
		.journal_start = le64_get(b + S_JOURNAL + HEAD),
		.logical_used = le64_get(b + S_JOURNAL + HEAD + 8),
		.map_blocks = le64_get(b + S_JOURNAL + HEAD + 16),
		.root_start = le64_get(b + S_MAP + HEAD + 16), .roots = le64_get(b + S_MAP + HEAD + 24),
	};
	depot_decode(b + S_DEPOT + HEAD, s);
	if (le64_get(b + S_MAP + HEAD) != 1 || le64_get(b + S_MAP + HEAD + 8)) {
		*why = "the block map has flat pages";
		return -EIO;
	}
	return layout_decode(b, s, why);
}

void ndm_vdo_super_encode(const struct ndm_vdo_super *s, uint8_t *b)
{
	/* as the kernel's list has them: what was added last comes first */
	static const uint8_t order[] = { NDM_VDO_DEPOT, NDM_VDO_JOURNAL, NDM_VDO_SUMMARY, NDM_VDO_MAP };
	const uint64_t config[] = { s->logical, s->physical, s->slab_blocks, s->journal_blocks,
				    s->slab_journal_blocks, s->nonce };
	const uint64_t depot[] = { s->slab.blocks, s->slab.data, s->slab.counts, s->slab.journal,
				   s->slab.flushing, s->slab.blocking, s->slab.scrubbing,
				   s->depot_start, s->depot_end };
	unsigned i;

	memset(b, 0, NDM_VDO_BLOCK);
	head_put(b, ID_SUPER, 12, S_CRC + 4 - HEAD);
	le32_put(b + S_VOLUME, 67);
	le32_put(b + S_VDO, 41);
	le32_put(b + 40, s->state);
	le64_put(b + 44, s->complete_recoveries);
	le64_put(b + 52, s->read_only_recoveries);
	for (i = 0; i < sizeof config / sizeof *config; i++)
		le64_put(b + S_CONFIG + 8 * i, config[i]);
	head_put(b + S_LAYOUT, ID_LAYOUT, 3, 117);
	le64_put(b + S_LAYOUT + HEAD, s->first_free);
	le64_put(b + S_LAYOUT + HEAD + 8, s->last_free);
	b[S_PARTS - 1] = NDM_VDO_PARTITIONS;
	for (i = 0; i < NDM_VDO_PARTITIONS; i++) {
		uint8_t *p = b + S_PARTS + i * S_PART_BYTES;

		*p = order[i];
		le64_put(p + 1, s->part[order[i]].start);
		le64_put(p + 17, s->part[order[i]].nr);
	}
	head_put(b + S_JOURNAL, ID_JOURNAL, 7, 24);
	le64_put(b + S_JOURNAL + HEAD, s->journal_start);
	le64_put(b + S_JOURNAL + HEAD + 8, s->logical_used);
	le64_put(b + S_JOURNAL + HEAD + 16, s->map_blocks);
	head_put(b + S_DEPOT, ID_DEPOT, 2, 73);
	for (i = 0; i < sizeof depot / sizeof *depot; i++)
		le64_put(b + S_DEPOT + HEAD + 8 * i, depot[i]);
	b[S_DEPOT + HEAD + 72] = s->zones;
	head_put(b + S_MAP, ID_MAP, 2, 32);
	le64_put(b + S_MAP + HEAD, 1);
	le64_put(b + S_MAP + HEAD + 16, s->root_start);
	le64_put(b + S_MAP + HEAD + 24, s->roots);
	le32_put(b + S_CRC, checksum(b, S_CRC));
}

/* How a slab is divided; false: it cannot be. */
static bool slabs_make(uint64_t blocks, uint64_t journal, struct ndm_vdo_slabs *s)
{
	uint64_t left, extra = 1 + USER_VIOS / SLAB_JOURNAL_FULL_ENTRIES, data;

	if (!is_power_of_2(blocks) || blocks > 1u << NDM_VDO_SLAB_BITS_MAX || journal < 2 || journal >= blocks)
		return false;
	*s = (struct ndm_vdo_slabs){ .blocks = blocks, .journal = journal,
		.counts = (blocks - journal + NDM_VDO_COUNTS - 1) / NDM_VDO_COUNTS };
	if (s->counts + journal >= blocks)
		return false;
	s->data = blocks - s->counts - journal;
	if (blocks < SMALL_SLAB) {
		for (data = 1; data * 2 <= s->data; data *= 2)
			;
		s->data = data;
	}
	s->flushing = (journal * 3 + 3) / 4;
	left = journal - s->flushing;
	s->blocking = s->flushing + left * 5 / 7;
	s->scrubbing = journal > extra ? journal - extra : s->blocking;
	if (s->blocking > s->scrubbing)
		s->blocking = s->scrubbing;
	return true;
}

static bool inside(uint64_t start, uint64_t nr, uint64_t from, uint64_t to)
{
	return start >= from && start <= to && nr <= to - start;
}

/* What the kernel takes for granted is asked, too: nothing here may lead out of the volume. */
static const char *super_wrong(const struct ndm_vdo_super *s, const struct ndm_vdo_geometry *g)
{
	struct ndm_vdo_slabs slab;
	uint64_t from = g->data_start + 1, covered = from;
	unsigned i;

	if (s->nonce != g->nonce)
		return "geometry and super block have different nonces";
	if (!slabs_make(s->slab_blocks, s->slab_journal_blocks, &slab))
		return "slabs of a size that cannot be";
	if (!s->physical || s->physical > PHYSICAL_MAX || s->logical > LOGICAL_MAX)
		return "a size that cannot be";
	if (!is_power_of_2(s->journal_blocks) || s->journal_blocks > 1u << 24)
		return "the recovery journal has a size that cannot be";
	if (g->bio_offset > g->data_start || g->data_start >= s->physical)
		return "the data region lies outside";
	for (i = 0; i < NDM_VDO_PARTITIONS; i++) {
		if (!inside(s->part[i].start, s->part[i].nr, from, s->physical))
			return "a partition lies outside";
		covered += s->part[i].nr;
	}
	if (covered != s->physical)
		return "partitions do not cover the layout";
	if (s->part[NDM_VDO_JOURNAL].nr < s->journal_blocks ||
	    s->part[NDM_VDO_SUMMARY].nr < NDM_VDO_SUMMARY_BLOCKS)
		return "a partition is too small";
	if (!s->roots || s->roots > 1024 ||
	    !inside(s->root_start, s->roots, s->part[NDM_VDO_MAP].start,
		    s->part[NDM_VDO_MAP].start + s->part[NDM_VDO_MAP].nr))
		return "the roots of the block map lie outside";
	if (s->slab.blocks != slab.blocks || s->slab.data > slab.data || !s->slab.data ||
	    s->slab.counts != slab.counts || s->slab.journal != slab.journal)
		return "slabs of two sizes";
	if (s->depot_end < s->depot_start ||
	    !inside(s->depot_start, s->depot_end - s->depot_start, s->part[NDM_VDO_DEPOT].start,
		    s->part[NDM_VDO_DEPOT].start + s->part[NDM_VDO_DEPOT].nr) ||
	    (s->depot_end - s->depot_start) / s->slab.blocks > NDM_VDO_SLABS_MAX)
		return "slabs lie outside";
	if (s->zones > NDM_VDO_SUMMARY_ZONES || s->journal_start >> 48)
		return "a number that cannot be";
	return NULL;
}

int ndm_vdo_super_check(const struct ndm_vdo_super *s, const struct ndm_vdo_geometry *g, const char **why)
{
	*why = super_wrong(s, g);
	return *why ? -EIO : 0;
}

/* Pages of the block map but its roots, for so many blocks. */
static uint64_t forest_pages(uint64_t entries)
{
	uint64_t leaves = (entries + NDM_VDO_PAGE_ENTRIES - 1) / NDM_VDO_PAGE_ENTRIES, pages = leaves;
	uint64_t level = (leaves + NDM_VDO_ROOTS - 1) / NDM_VDO_ROOTS;
	unsigned i;

	for (i = 0; i + 1 < NDM_VDO_HEIGHT; i++) {
		level = (level + NDM_VDO_PAGE_ENTRIES - 1) / NDM_VDO_PAGE_ENTRIES;
		pages += level * NDM_VDO_ROOTS;
	}
	return pages;
}

int ndm_vdo_super_make(const struct ndm_vdo_sizes *z, const struct ndm_vdo_geometry *g,
		       struct ndm_vdo_super *s, const char **why)
{
	uint64_t from = g->data_start + 1, fixed = NDM_VDO_ROOTS + z->journal_blocks + NDM_VDO_SUMMARY_BLOCKS;
	uint64_t slabs, depot, data;

	*s = (struct ndm_vdo_super){ .state = NDM_VDO_NEW, .nonce = g->nonce, .physical = z->physical,
		.logical = z->logical, .journal_blocks = z->journal_blocks, .roots = NDM_VDO_ROOTS,
		.slab_journal_blocks = z->slab_journal_blocks, .journal_start = 1 };
	*why = "not enough space for one slab";
	if (z->slab_bits > NDM_VDO_SLAB_BITS_MAX || z->journal_blocks > 1u << 24) {
		*why = "slabs of a size that cannot be";
		return -EINVAL;
	}
	s->slab_blocks = UINT64_C(1) << z->slab_bits;
	if (!slabs_make(s->slab_blocks, z->slab_journal_blocks, &s->slab)) {
		*why = "slabs of a size that cannot be";
		return -EINVAL;
	}
	if (z->physical < from + fixed || z->physical > PHYSICAL_MAX)
		return -ENOSPC;
	depot = z->physical - from - fixed;
	slabs = depot / s->slab_blocks;
	if (!slabs)
		return -ENOSPC;
	if (slabs > NDM_VDO_SLABS_MAX) {
		*why = "more slabs than there can be: make them larger";
		return -EINVAL;
	}
	s->part[NDM_VDO_MAP].start = s->root_start = from;
	s->part[NDM_VDO_MAP].nr = NDM_VDO_ROOTS;
	s->part[NDM_VDO_DEPOT].start = s->depot_start = from + NDM_VDO_ROOTS;
	s->part[NDM_VDO_DEPOT].nr = depot;
	s->depot_end = s->depot_start + slabs * s->slab_blocks;
	s->part[NDM_VDO_JOURNAL].start = s->depot_start + depot;
	s->part[NDM_VDO_JOURNAL].nr = z->journal_blocks;
	s->part[NDM_VDO_SUMMARY].start = s->depot_start + depot + z->journal_blocks;
	s->part[NDM_VDO_SUMMARY].nr = NDM_VDO_SUMMARY_BLOCKS;
	s->first_free = s->last_free = s->part[NDM_VDO_JOURNAL].start;
	data = slabs * s->slab.data;
	if (!s->logical)
		s->logical = data > forest_pages(data) ? data - forest_pages(data) : 1;
	return ndm_vdo_super_check(s, g, why) ? -EINVAL : 0;
}

bool ndm_vdo_is_data(const struct ndm_vdo_super *s, uint64_t pbn)
{
	return pbn >= s->depot_start && pbn < s->depot_end &&
	       (pbn - s->depot_start) % s->slab.blocks < s->slab.data;
}

bool ndm_vdo_is_root(const struct ndm_vdo_super *s, uint64_t pbn)
{
	return pbn >= s->root_start && pbn - s->root_start < s->roots;
}

/* ---- the block map ---- */

#define PAGE_HEAD 36u
#define ENTRY 5u

static struct ndm_vdo_location location_get(const uint8_t *p)
{
	return (struct ndm_vdo_location){ .pbn = (uint64_t)(*p >> 4) << 32 | le32_get(p + 1), .state = *p & 15 };
}

static void location_put(uint8_t *p, struct ndm_vdo_location l)
{
	*p = (uint8_t)((l.pbn >> 32 & 15) << 4 | (l.state & 15));
	le32_put(p + 1, (uint32_t)l.pbn);
}

struct ndm_vdo_location ndm_vdo_entry_get(const uint8_t *page, unsigned slot)
{
	return location_get(page + PAGE_HEAD + slot * ENTRY);
}

void ndm_vdo_entry_put(uint8_t *page, unsigned slot, struct ndm_vdo_location l)
{
	location_put(page + PAGE_HEAD + slot * ENTRY, l);
}

static bool location_valid(struct ndm_vdo_location l)
{
	return l.pbn ? l.state != NDM_VDO_UNMAPPED : l.state < NDM_VDO_FRAGMENT;
}

bool ndm_vdo_entry_ok(const struct ndm_vdo_super *s, struct ndm_vdo_location l)
{
	return location_valid(l) && (!l.pbn || ndm_vdo_is_data(s, l.pbn));
}

bool ndm_vdo_child_ok(const struct ndm_vdo_super *s, struct ndm_vdo_location l)
{
	if (l.state == NDM_VDO_UNMAPPED)
		return !l.pbn;
	return l.state == NDM_VDO_MAPPED && ndm_vdo_is_data(s, l.pbn);
}

int ndm_vdo_page_check(const uint8_t *page, uint64_t nonce, uint64_t pbn)
{
	if (le32_get(page) != 4 || le32_get(page + 4) != 1 || le64_get(page + 8) != nonce || !page[32])
		return -ENODATA;
	return le64_get(page + 16) == pbn ? 0 : -EBADMSG;
}

void ndm_vdo_page_init(uint8_t *page, uint64_t nonce, uint64_t pbn)
{
	memset(page, 0, NDM_VDO_BLOCK);
	le32_put(page, 4);
	le32_put(page + 4, 1);
	le64_put(page + 8, nonce);
	le64_put(page + 16, pbn);
	page[32] = 1;
}

/* ---- the recovery journal ---- */

#define CHANGE 16u
#define SECTOR 512u

uint8_t ndm_vdo_journal_check_byte(uint64_t sequence, uint64_t journal_blocks)
{
	return (uint8_t)((sequence / journal_blocks & 0x7f) | 0x80);
}

void ndm_vdo_journal_head_get(const uint8_t *b, struct ndm_vdo_journal_head *h)
{
	*h = (struct ndm_vdo_journal_head){
		.map_head = le64_get(b), .slab_head = le64_get(b + 8), .sequence = le64_get(b + 16),
		.nonce = le64_get(b + 24), .type = b[32], .entries = b[33] | b[34] << 8,
		.logical_used = le64_get(b + 35), .map_blocks = le64_get(b + 43), .check = b[51], .recovery = b[52],
	};
}

void ndm_vdo_journal_head_put(uint8_t *b, const struct ndm_vdo_journal_head *h)
{
	le64_put(b, h->map_head);
	le64_put(b + 8, h->slab_head);
	le64_put(b + 16, h->sequence);
	le64_put(b + 24, h->nonce);
	b[32] = (uint8_t)h->type;
	b[33] = (uint8_t)h->entries;
	b[34] = (uint8_t)(h->entries >> 8);
	le64_put(b + 35, h->logical_used);
	le64_put(b + 43, h->map_blocks);
	b[51] = h->check;
	b[52] = h->recovery;
}

int ndm_vdo_journal_sector(const uint8_t *block, const struct ndm_vdo_journal_head *h, unsigned sector)
{
	const uint8_t *p = block + sector * SECTOR;

	if (p[0] != h->check || p[1] != h->recovery || p[2] > NDM_VDO_SECTOR_ENTRIES)
		return -1;
	return p[2];
}

void ndm_vdo_change_put(uint8_t *block, const struct ndm_vdo_journal_head *h, unsigned entry,
			const struct ndm_vdo_change *c)
{
	uint8_t *p = block + (1 + entry / NDM_VDO_SECTOR_ENTRIES) * SECTOR;
	unsigned i = entry % NDM_VDO_SECTOR_ENTRIES;

	p[0] = h->check;
	p[1] = h->recovery;
	p[2] = (uint8_t)(i + 1);
	p += 3 + i * CHANGE;
	p[0] = (uint8_t)(c->tree | (c->slot & 63) << 2);
	p[1] = (uint8_t)((c->slot >> 6 & 15) | (c->page >> 32 & 15) << 4);
	le32_put(p + 2, (uint32_t)c->page);
	location_put(p + 6, c->now);
	location_put(p + 11, c->before);
}

void ndm_vdo_change_get(const uint8_t *block, unsigned sector, unsigned entry, struct ndm_vdo_change *c)
{
	const uint8_t *p = block + sector * SECTOR + 3 + entry * CHANGE;

	*c = (struct ndm_vdo_change){ .tree = p[0] & 3, .slot = p[0] >> 2 | (p[1] & 15u) << 6,
		.page = (uint64_t)(p[1] >> 4) << 32 | le32_get(p + 2),
		.now = location_get(p + 6), .before = location_get(p + 11) };
}

bool ndm_vdo_change_ok(const struct ndm_vdo_super *s, const struct ndm_vdo_change *c)
{
	if (c->slot >= NDM_VDO_PAGE_ENTRIES || !(ndm_vdo_is_data(s, c->page) || ndm_vdo_is_root(s, c->page)) ||
	    !ndm_vdo_entry_ok(s, c->now) || !ndm_vdo_entry_ok(s, c->before))
		return false;
	return !c->tree || (c->now.pbn && c->now.state == NDM_VDO_MAPPED && !c->before.pbn &&
			    c->before.state == NDM_VDO_UNMAPPED);
}

/* ---- slabs ---- */

struct ndm_vdo_summary ndm_vdo_summary_get(const uint8_t *entries, unsigned slab)
{
	const uint8_t *p = entries + 2 * slab;

	return (struct ndm_vdo_summary){ .tail = p[0], .fullness = p[1] & 63, .load = p[1] & 64, .dirty = p[1] & 128 };
}

void ndm_vdo_summary_put(uint8_t *entries, unsigned slab, struct ndm_vdo_summary s)
{
	uint8_t *p = entries + 2 * slab;

	p[0] = s.tail;
	p[1] = (uint8_t)((s.fullness & 63) | (s.load ? 64 : 0) | (s.dirty ? 128 : 0));
}

unsigned ndm_vdo_fullness(const struct ndm_vdo_super *s, uint64_t free_blocks)
{
	uint64_t hint = free_blocks;

	if (s->slab_blocks > 64)
		hint = free_blocks / (s->slab_blocks / 64);
	return free_blocks && !hint ? 1 : (unsigned)hint;
}

uint64_t ndm_vdo_counts_get(const uint8_t *block, uint8_t *counts)
{
	uint64_t latest = 0, point;
	unsigned i;

	for (i = 0; i < 8; i++) {
		point = le64_get(block + i * SECTOR);
		latest = point > latest ? point : latest;
		memcpy(counts + i * (SECTOR - 8), block + i * SECTOR + 8, SECTOR - 8);
	}
	return latest;
}

void ndm_vdo_counts_put(uint8_t *block, const uint8_t *counts, uint64_t point)
{
	unsigned i;

	for (i = 0; i < 8; i++) {
		le64_put(block + i * SECTOR, point);
		memcpy(block + i * SECTOR + 8, counts + i * (SECTOR - 8), SECTOR - 8);
	}
}

/* ---- compressed blocks ---- */

#define FRAGMENTS_HEAD (8 + 2 * NDM_VDO_FRAGMENTS)

int ndm_vdo_fragment(const uint8_t *block, unsigned state, unsigned *offset, unsigned *bytes)
{
	unsigned slot = state - NDM_VDO_FRAGMENT, at = FRAGMENTS_HEAD, i;

	if (state < NDM_VDO_FRAGMENT || slot >= NDM_VDO_FRAGMENTS || le32_get(block) != 1 || le32_get(block + 4))
		return -EIO;
	for (i = 0; i < slot; i++) {
		at += block[8 + 2 * i] | block[9 + 2 * i] << 8;
		if (at >= NDM_VDO_BLOCK)
			return -EIO;
	}
	*offset = at;
	*bytes = block[8 + 2 * slot] | block[9 + 2 * slot] << 8;
	return at + *bytes > NDM_VDO_BLOCK ? -EIO : 0;
}
