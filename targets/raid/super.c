/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * super.c - the superblock at the start of a metadata device: one logical block, little-endian,
 * no checksum and no UUID.  Pure conversion.
 */
#include "raid.h"

void raid_super_decode(const uint8_t *b, struct raid_super *s)
{
	unsigned i;

	*s = (struct raid_super){
		.magic = le32_get(b), .compat = le32_get(b + 4), .disks = le32_get(b + 8),
		.position = le32_get(b + 12), .events = le64_get(b + 16), .recovery_offset = le64_get(b + 32),
		.resync_offset = le64_get(b + 40), .level = le32_get(b + 48), .layout = le32_get(b + 52),
		.chunk = le32_get(b + 56), .flags = le32_get(b + 60), .reshape_position = le64_get(b + 64),
		.new_level = le32_get(b + 72), .new_layout = le32_get(b + 76), .new_chunk = le32_get(b + 80),
		.delta_disks = (int32_t)le32_get(b + 84), .array_sectors = le64_get(b + 88),
		.data_offset = le64_get(b + 96), .new_data_offset = le64_get(b + 104),
		.sectors = le64_get(b + 112), .incompat = le32_get(b + 144),
	};
	s->failed[0] = le64_get(b + 24);
	for (i = 1; i < 4; i++)
		s->failed[i] = le64_get(b + 120 + 8 * (i - 1));
	if (!(s->compat & 1))			/* before 1.9: no failed bits there */
		memset(s->failed + 1, 0, sizeof s->failed - sizeof s->failed[0]);
}

void raid_super_encode(uint8_t *b, const struct raid_super *s)
{
	unsigned i;

	le32_put(b, s->magic);
	le32_put(b + 4, s->compat);
	le32_put(b + 8, s->disks);
	le32_put(b + 12, s->position);
	le64_put(b + 16, s->events);
	le64_put(b + 24, s->failed[0]);
	le64_put(b + 32, s->recovery_offset);
	le64_put(b + 40, s->resync_offset);
	le32_put(b + 48, s->level);
	le32_put(b + 52, s->layout);
	le32_put(b + 56, s->chunk);
	le32_put(b + 60, s->flags);
	le64_put(b + 64, s->reshape_position);
	le32_put(b + 72, s->new_level);
	le32_put(b + 76, s->new_layout);
	le32_put(b + 80, s->new_chunk);
	le32_put(b + 84, (uint32_t)s->delta_disks);
	le64_put(b + 88, s->array_sectors);
	le64_put(b + 96, s->data_offset);
	le64_put(b + 104, s->new_data_offset);
	le64_put(b + 112, s->sectors);
	for (i = 1; i < 4; i++)
		le64_put(b + 120 + 8 * (i - 1), s->failed[i]);
	le32_put(b + 144, s->incompat);
}
