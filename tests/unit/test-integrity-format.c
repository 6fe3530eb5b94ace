/* SPDX-License-Identifier: BSD-2-Clause */
/* integrity's bytes and places, against devices that the kernel made. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ndm-integrity.h>

/* What was asked for, and what the kernel made of it (all sizes in sectors). */
static const struct made {
	uint64_t size, meta, start;
	unsigned tag, log2_block, journal, interleave;
	uint32_t flags;
	uint64_t provided, journal_made, first_data;
	unsigned buffer;
} made[] = {
	{ 1024, 0, 0, 4, 0, 160, 256, 8, 808, 176, 192, 3 },
	{ 1024, 0, 64, 4, 0, 160, 256, 8, 752, 176, 256, 3 },
	{ 3072, 0, 0, 4, 0, 1400, 256, 8, 1776, 1232, 1248, 3 },
	{ 1024, 0, 0, 20, 0, 160, 256, 8, 848, 104, 128, 4 },
	{ 1024, 0, 0, 4, 0, 340, 256, 8 | 1, 656, 336, 352, 3 },
	{ 2048, 0, 0, 4, 0, 88, 32768, 0, 1608, 176, 440, 7 },
	{ 2048, 0, 0, 20, 3, 264, 32768, 0, 1456, 328, 592, 7 },
	{ 8192, 0, 0, 4, 0, 64, 32768, 0, 7752, 176, 440, 7 },
	{ 512, 512, 0, 32, 0, 160, 32768, 0, 512, 88, 0, 7 },
};

static struct ndm_integrity_layout ask(const struct made *m)
{
	return (struct ndm_integrity_layout){
		.start = m->start, .data_sectors = m->size,
		.meta_sectors = m->meta ? m->meta : m->size, .separate = m->meta, .log2_buffer = 7,
		.super = { .tag_bytes = m->tag, .log2_block = m->log2_block, .flags = m->flags },
	};
}

static void sizes(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof made / sizeof *made; i++) {
		const struct made *m = &made[i];
		struct ndm_integrity_layout l = ask(m), again;

		assert_int_equal(ndm_integrity_layout_new(&l, m->journal, m->interleave), 0);
		again = l;
		assert_int_equal(ndm_integrity_layout_init(&again), 0);
		assert_int_equal(again.provided, m->provided);
		assert_int_equal(again.super.provided, m->provided);
		assert_int_equal(again.initial - 8, m->journal_made);
		assert_int_equal(again.log2_buffer, m->buffer);
		assert_int_equal(ndm_integrity_data_sector(&again, 0), m->first_data);
		assert_int_equal(ndm_integrity_tag_offset(&again, 8), (8u >> m->log2_block) * m->tag);
	}
}

/* Every block has its data and its tag, all apart, all on the device, all behind the journal. */
static void apart(void **state)
{
	static uint8_t data[8192], tags[8192 * 512];
	unsigned i, k;

	(void)state;
	for (i = 0; i < sizeof made / sizeof *made; i++) {
		const struct made *m = &made[i];
		struct ndm_integrity_layout l = ask(m);
		uint64_t s, at;

		assert_int_equal(ndm_integrity_layout_new(&l, m->journal, m->interleave), 0);
		assert_int_equal(ndm_integrity_layout_init(&l), 0);
		memset(data, 0, sizeof data);
		memset(tags, 0, sizeof tags);
		for (s = 0; s < l.provided; s++) {
			at = ndm_integrity_data_sector(&l, s);
			assert_true(at < m->size && (l.separate || at >= l.start + l.initial));
			assert_int_equal(data[at]++, 0);
		}
		for (s = 0; s < l.provided; s += 1u << m->log2_block) {
			at = (l.start + l.initial) * 512 + ndm_integrity_tag_offset(&l, s);
			for (k = 0; k < m->tag; k++, at++) {
				assert_true(at / 512 < l.meta_sectors);
				assert_int_equal(tags[at]++, 0);
				assert_true(l.separate || !data[at / 512]);
			}
		}
	}
}

static void too_small(void **state)
{
	struct ndm_integrity_layout l;
	struct made m = made[0];
	uint64_t size;
	unsigned fits = 0;

	(void)state;
	for (size = 0; size < 400; size++) {
		m.size = size;
		l = ask(&m);
		if (ndm_integrity_layout_new(&l, 160, 256))
			continue;
		fits++;
		assert_true(ndm_integrity_data_sector(&l, l.provided - 1) < size);
	}
	assert_true(fits > 100 && fits < 300);
}

static void super(void **state)
{
	struct ndm_integrity_super s = {
		.version = 5, .log2_interleave = 15, .tag_bytes = 28, .journal_sections = 7,
		.provided = 0x123456789ab, .flags = 0x1b, .log2_block = 3, .log2_blocks_per_bit = 12,
		.recalc = 0x1122334455667788, .salt = { 1, 2, 3, 0xff },
	}, back;
	uint8_t bytes[4096], again[4096];

	(void)state;
	ndm_integrity_super_encode(&s, bytes);
	assert_memory_equal(bytes, "integrt\0\5\17\34\0\7\0\0\0\253\211\147\105\43\1\0\0\33\0\0\0\3\14", 30);
	assert_int_equal(ndm_integrity_super_decode(bytes, &back), 0);
	assert_int_equal(back.recalc, s.recalc);
	assert_int_equal(back.provided, s.provided);
	assert_memory_equal(back.salt, s.salt, sizeof s.salt);
	ndm_integrity_super_encode(&back, again);	/* not the structs: they have holes */
	assert_memory_equal(again, bytes, sizeof bytes);
	bytes[0] = 'I';
	assert_int_equal(ndm_integrity_super_decode(bytes, &back), -EINVAL);
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(ndm_integrity_super_decode(bytes, &back), -ENODATA);
	bytes[4095] = 1;
	assert_int_equal(ndm_integrity_super_decode(bytes, &back), -EINVAL);
}

static void super_refused(void **state)
{
	const struct ndm_integrity_super good = { .version = 1, .log2_interleave = 8, .tag_bytes = 4,
						  .journal_sections = 1 };
	struct ndm_integrity_super s;
	const char *why;

	(void)state;
	assert_int_equal(ndm_integrity_super_check(&good, false, &why), 0);
	assert_int_equal(ndm_integrity_super_check(&good, true, &why), -EINVAL);
	assert_string_equal(why, "Invalid interleave_sectors in the superblock");
#define BAD(field, value, text) do { \
		s = good; \
		s.field = value; \
		assert_int_equal(ndm_integrity_super_check(&s, false, &why), -EINVAL); \
		assert_non_null(strstr(why, text)); \
	} while (0)
	BAD(version, 0, "Unknown version");
	BAD(version, 8, "Unknown version");
	BAD(tag_bytes, 0, "Tag size");
	BAD(tag_bytes, 256, "Tag size");
	BAD(log2_block, 4, "Block size");
	BAD(log2_block, 255, "Block size");
	BAD(journal_sections, 0, "journal_sections is 0");
	BAD(log2_interleave, 2, "interleave");
	BAD(log2_interleave, 32, "interleave");
}

static void versions(void **state)
{
	struct ndm_integrity_super s = { 0 };

	(void)state;
	assert_int_equal(ndm_integrity_super_version(&s, false, false), 1);
	assert_int_equal(ndm_integrity_super_version(&s, false, true), 2);
	assert_int_equal(ndm_integrity_super_version(&s, true, true), 3);
	s.flags = NDM_INTEGRITY_RECALCULATING;
	assert_int_equal(ndm_integrity_super_version(&s, false, false), 2);
	s.flags |= NDM_INTEGRITY_DIRTY_BITMAP;
	assert_int_equal(ndm_integrity_super_version(&s, false, false), 3);
	s.flags |= NDM_INTEGRITY_FIXED_PADDING;
	assert_int_equal(ndm_integrity_super_version(&s, false, false), 4);
	s.flags |= NDM_INTEGRITY_FIXED_HMAC;
	assert_int_equal(ndm_integrity_super_version(&s, false, false), 5);
	s.flags |= NDM_INTEGRITY_DISCARD_KEYED;
	assert_int_equal(ndm_integrity_super_version(&s, false, false), 7);
}

/* Whatever a superblock says, places are on the device or it is refused. */
static void hostile(void **state)
{
	unsigned i, k, used = 0;

	(void)state;
	srandom(3);
	for (i = 0; i < 200000; i++) {
		struct ndm_integrity_layout l = {
			.start = random() % 64, .data_sectors = random() % 100000,
			.log2_buffer = random() % 23, .separate = random() % 2,
		};
		struct ndm_integrity_super *s = &l.super;
		const char *why;

		l.meta_sectors = l.separate ? (uint64_t)random() % 100000 : l.data_sectors;
		*s = (struct ndm_integrity_super){
			.version = 1 + random() % 7, .tag_bytes = 1 + random() % 255,
			.log2_interleave = l.separate ? 0 : 3 + random() % 29,
			.journal_sections = random() >> random() % 31, .flags = random() % 128,
			.log2_block = random() % 4, .provided = random(),
		};
		if (ndm_integrity_super_check(s, l.separate, &why) || ndm_integrity_layout_init(&l))
			continue;
		used++;
		for (k = 0; k < 3; k++) {
			uint64_t sector = k == 2 ? l.provided - 1 : random() % l.provided;
			uint64_t tag = l.initial + (l.separate ? l.start : 0) +
				       ndm_integrity_tag_offset(&l, sector) / 512;

			assert_true(ndm_integrity_data_sector(&l, sector) < l.data_sectors);
			assert_true(l.separate || tag < l.meta_sectors);
		}
	}
	assert_true(used > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(apart),
		cmocka_unit_test(too_small),
		cmocka_unit_test(super),
		cmocka_unit_test(super_refused),
		cmocka_unit_test(versions),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
