/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * super.c - the superblock at the start of a metadata device: one logical block, little-endian,
 * no checksum and no UUID.  Pure conversion.
 */
#include "raid.h"

static uint32_t get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void put32(uint8_t *p, uint32_t v)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		p[i] = v >> 8 * i;
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, v);
	put32(p + 4, v >> 32);
}

void raid_super_decode(const uint8_t *b, struct raid_super *s)
{
	unsigned i;

	*s = (struct raid_super){
		.magic = get32(b), .compat = get32(b + 4), .disks = get32(b + 8),
		.position = get32(b + 12), .events = get64(b + 16), .recovery_offset = get64(b + 32),
		.resync_offset = get64(b + 40), .level = get32(b + 48), .layout = get32(b + 52),
		.chunk = get32(b + 56), .flags = get32(b + 60), .reshape_position = get64(b + 64),
		.new_level = get32(b + 72), .new_layout = get32(b + 76), .new_chunk = get32(b + 80),
		.delta_disks = (int32_t)get32(b + 84), .array_sectors = get64(b + 88),
		.data_offset = get64(b + 96), .new_data_offset = get64(b + 104),
		.sectors = get64(b + 112), .incompat = get32(b + 144),
	};
	s->failed[0] = get64(b + 24);
	for (i = 1; i < 4; i++)
		s->failed[i] = get64(b + 120 + 8 * (i - 1));
	if (!(s->compat & 1))			/* before 1.9: no failed bits there */
		memset(s->failed + 1, 0, sizeof s->failed - sizeof s->failed[0]);
}

void raid_super_encode(uint8_t *b, const struct raid_super *s)
{
	unsigned i;

	put32(b, s->magic);
	put32(b + 4, s->compat);
	put32(b + 8, s->disks);
	put32(b + 12, s->position);
	put64(b + 16, s->events);
	put64(b + 24, s->failed[0]);
	put64(b + 32, s->recovery_offset);
	put64(b + 40, s->resync_offset);
	put32(b + 48, s->level);
	put32(b + 52, s->layout);
	put32(b + 56, s->chunk);
	put32(b + 60, s->flags);
	put64(b + 64, s->reshape_position);
	put32(b + 72, s->new_level);
	put32(b + 76, s->new_layout);
	put32(b + 80, s->new_chunk);
	put32(b + 84, (uint32_t)s->delta_disks);
	put64(b + 88, s->array_sectors);
	put64(b + 96, s->data_offset);
	put64(b + 104, s->new_data_offset);
	put64(b + 112, s->sectors);
	for (i = 1; i < 4; i++)
		put64(b + 120 + 8 * (i - 1), s->failed[i]);
	put32(b + 144, s->incompat);
}
