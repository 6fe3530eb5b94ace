/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.c - bytes and places of dm-integrity on disk.
 *
 * The superblock, little-endian: 0 "integrt\0", 8 version, 9 log2 of interleave sectors, 10 tag
 * bytes (16 bits), 12 journal sections (32), 16 provided data sectors (64), 24 flags (32), 28
 * log2 of sectors per block, 29 log2 of blocks per bitmap bit, 32 recalculated sectors (64), 48
 * salt (16 bytes).  8 sectors are reserved for it.
 *
 * Behind it lies the journal, and then, area by area, a run of tags and 2^interleave sectors of
 * data; or, with a metadata device, all the tags there and all the data on the other one.  The
 * run is padded to 4096 bytes, on old volumes to 128 KiB.
 *
 * No I/O, no allocation; shared by the target and the clients.
 */
#include <errno.h>
#include <string.h>

#include <ndm-integrity.h>

#define INTERLEAVE_MIN 3u			/* log2 of sectors */
#define INTERLEAVE_MAX 31u
#define INTERLEAVE_DEFAULT 32768u
#define PADDING_SECTORS 8u			/* also: what must be left behind the journal */
#define PADDING_SECTORS_OLD 256u
#define BUFFER_MIN 3u				/* log2 of sectors, with a metadata device */
#define ENTRY_SPACE 504u			/* bytes of a journal sector without its commit id */
#define SECTORS_MAX (UINT64_MAX >> 9)

static const char magic[8] = "integrt";

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void put_le(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (; bytes--; v >>= 8)
		*p++ = v;
}

/* ---- superblock ---- */

int ndm_integrity_super_decode(const uint8_t *b, struct ndm_integrity_super *s)
{
	unsigned i;

	*s = (struct ndm_integrity_super){
		.version = b[8], .log2_interleave = b[9], .tag_bytes = get_le(b + 10, 2),
		.journal_sections = get_le(b + 12, 4), .provided = get_le(b + 16, 8),
		.flags = get_le(b + 24, 4), .log2_block = b[28], .log2_blocks_per_bit = b[29],
		.recalc = get_le(b + 32, 8),
	};
	memcpy(s->salt, b + 48, sizeof s->salt);
	if (!memcmp(b, magic, sizeof magic))
		return 0;
	for (i = 0; i < NDM_INTEGRITY_SUPER_SECTORS * 512; i++)
		if (b[i])
			return -EINVAL;
	return -ENODATA;
}

void ndm_integrity_super_encode(const struct ndm_integrity_super *s, uint8_t *b)
{
	memset(b, 0, NDM_INTEGRITY_SUPER_SECTORS * 512);
	memcpy(b, magic, sizeof magic);
	b[8] = s->version;
	b[9] = s->log2_interleave;
	put_le(b + 10, s->tag_bytes, 2);
	put_le(b + 12, s->journal_sections, 4);
	put_le(b + 16, s->provided, 8);
	put_le(b + 24, s->flags, 4);
	b[28] = s->log2_block;
	b[29] = s->log2_blocks_per_bit;
	put_le(b + 32, s->recalc, 8);
	memcpy(b + 48, s->salt, sizeof s->salt);
}

int ndm_integrity_super_check(const struct ndm_integrity_super *s, bool separate, const char **why)
{
	*why = "Unknown version";
	if (!s->version || s->version > NDM_INTEGRITY_VERSION_MAX)
		return -EINVAL;
	*why = "Tag size doesn't match the information in superblock";
	if (!s->tag_bytes || s->tag_bytes > NDM_INTEGRITY_TAG_MAX)
		return -EINVAL;
	*why = "Block size doesn't match the information in superblock";
	if (s->log2_block > 3)			/* 8 sectors */
		return -EINVAL;
	*why = "Corrupted superblock, journal_sections is 0";
	if (!s->journal_sections && !(s->flags & NDM_INTEGRITY_INLINE))
		return -EINVAL;
	*why = "Invalid interleave_sectors in the superblock";
	if (separate ? s->log2_interleave : s->log2_interleave < INTERLEAVE_MIN ||
					    s->log2_interleave > INTERLEAVE_MAX)
		return -EINVAL;
	return 0;
}

unsigned ndm_integrity_super_version(const struct ndm_integrity_super *s, bool bitmap, bool separate)
{
	if (s->flags & NDM_INTEGRITY_DISCARD_KEYED)
		return 7;
	if (s->flags & NDM_INTEGRITY_INLINE)
		return 6;
	if (s->flags & NDM_INTEGRITY_FIXED_HMAC)
		return 5;
	if (s->flags & NDM_INTEGRITY_FIXED_PADDING)
		return 4;
	if (bitmap || s->flags & NDM_INTEGRITY_DIRTY_BITMAP)
		return 3;
	if (separate || s->flags & NDM_INTEGRITY_RECALCULATING)
		return 2;
	return 1;
}

/* ---- places ---- */

static uint64_t round_up(uint64_t n, uint64_t to)	/* to: power of 2 */
{
	return (n + to - 1) & ~(to - 1);
}

static unsigned log2_floor(uint64_t n)
{
	return 63 - __builtin_clzll(n);
}

static void layout_journal(struct ndm_integrity_layout *l)
{
	const struct ndm_integrity_super *s = &l->super;
	unsigned space = ENTRY_SPACE - (s->flags & NDM_INTEGRITY_JOURNAL_MAC ? 8 : 0);

	l->entry_bytes = round_up(8 + (8u << s->log2_block) + s->tag_bytes, 8);
	l->section_entries = space / l->entry_bytes * NDM_INTEGRITY_JOURNAL_HEAD;
	l->section_sectors = (l->section_entries << s->log2_block) + NDM_INTEGRITY_JOURNAL_HEAD;
	l->initial = NDM_INTEGRITY_SUPER_SECTORS +
		     (uint64_t)l->section_sectors * s->journal_sections;
}

uint64_t ndm_integrity_data_sector(const struct ndm_integrity_layout *l, uint64_t s)
{
	uint64_t area = s >> l->super.log2_interleave;
	uint64_t offset = s & ((1ull << l->super.log2_interleave) - 1);

	if (l->separate)
		return s;
	return l->start + l->initial + (area << l->super.log2_interleave) + (area + 1) * l->run +
	       offset;
}

uint64_t ndm_integrity_tag_offset(const struct ndm_integrity_layout *l, uint64_t s)
{
	unsigned log2_block = l->super.log2_block, tag = l->super.tag_bytes;
	uint64_t area = s >> l->super.log2_interleave;
	uint64_t offset = s & ((1ull << l->super.log2_interleave) - 1);

	if (l->separate)
		return (s >> log2_block) * tag;
	return ((area << l->super.log2_interleave) + area * l->run) * 512 +
	       (offset >> log2_block) * tag;
}

/* Does all of it fit when so much is provided? */
static bool layout_fits(struct ndm_integrity_layout *l)
{
	const struct ndm_integrity_super *s = &l->super;
	uint64_t padding = s->flags & NDM_INTEGRITY_FIXED_PADDING ? PADDING_SECTORS :
								   PADDING_SECTORS_OLD;
	uint64_t last, tags, buffer = 512ull << l->log2_buffer;

	if (l->initial + PADDING_SECTORS >= l->meta_sectors || l->initial > UINT32_MAX)
		return false;
	if (!l->separate) {
		l->run = round_up((uint64_t)s->tag_bytes << (s->log2_interleave - s->log2_block),
				  padding * 512) >> 9;
		last = l->provided - 1;
		/* an area with its tags is longer than its data: then it is beyond the end, too */
		if (last > l->meta_sectors || l->run > SECTORS_MAX >> 8 ||
		    (last >> s->log2_interleave) + 1 > SECTORS_MAX / (l->run + (1ull << s->log2_interleave)))
			return false;
		last = ndm_integrity_data_sector(l, last);
		return last >= l->start && last < l->meta_sectors;
	}
	l->run = 1;
	if (l->provided > SECTORS_MAX / NDM_INTEGRITY_TAG_MAX)
		return false;
	tags = round_up((l->provided >> s->log2_block) * s->tag_bytes, buffer) >> 9;
	return l->initial + tags <= l->meta_sectors;
}

/* The most that can be provided: a multiple of 8 sectors, as the kernel finds it, bit by bit. */
static void layout_provided(struct ndm_integrity_layout *l)
{
	unsigned bit;

	l->provided = 0;
	if (l->separate) {
		l->provided = l->data_sectors & ~((1ull << l->super.log2_block) - 1);
		return;
	}
	if (!l->meta_sectors)
		return;
	for (bit = log2_floor(l->meta_sectors) + 1; bit-- > 3;) {
		l->provided |= 1ull << bit;
		if (!layout_fits(l))
			l->provided &= ~(1ull << bit);
	}
	layout_fits(l);					/* for what it leaves behind */
}

int ndm_integrity_layout_init(struct ndm_integrity_layout *l)
{
	layout_journal(l);
	layout_provided(l);
	if (!l->section_entries || !l->provided)
		return -EINVAL;
	while (!layout_fits(l)) {
		if (!l->separate || l->log2_buffer <= BUFFER_MIN)
			return -EINVAL;
		l->log2_buffer--;
	}
	if (!l->separate && l->log2_buffer > (unsigned)__builtin_ctzll(l->run))
		l->log2_buffer = __builtin_ctzll(l->run);
	return 0;
}

/* As many sections as fit, bit by bit from the top; 0: not even one. */
static uint32_t sections_that_fit(struct ndm_integrity_layout *l, uint32_t wanted)
{
	unsigned bit;

	l->super.journal_sections = 0;
	for (bit = log2_floor(wanted) + 1; bit--;) {
		uint32_t before = l->super.journal_sections, more = before | 1u << bit;

		if (more > wanted)
			continue;
		l->super.journal_sections = more;
		layout_journal(l);
		if (!layout_fits(l))
			l->super.journal_sections = before;
	}
	layout_journal(l);
	return l->super.journal_sections;
}

int ndm_integrity_layout_new(struct ndm_integrity_layout *l, uint32_t journal_sectors,
			     uint32_t interleave_sectors)
{
	struct ndm_integrity_super *s = &l->super;
	uint32_t sections;

	layout_journal(l);
	if (!l->section_entries)
		return -EINVAL;
	sections = journal_sectors / l->section_sectors;
	sections = sections ? sections : 1;
	s->log2_interleave = 0;
	if (!l->separate) {
		s->log2_interleave = log2_floor(interleave_sectors ? interleave_sectors :
						INTERLEAVE_DEFAULT);
		if (s->log2_interleave < INTERLEAVE_MIN)
			s->log2_interleave = INTERLEAVE_MIN;
		s->journal_sections = sections;
		layout_journal(l);
	}
	layout_provided(l);
	if (!l->provided)
		return -EINVAL;
	while (l->separate && !sections_that_fit(l, sections)) {
		if (l->log2_buffer <= BUFFER_MIN)
			return -EINVAL;
		l->log2_buffer--;
	}
	s->provided = l->provided;
	return 0;
}
