/* SPDX-License-Identifier: BSD-2-Clause */
/* powerfail: what is flushed stays, what is not is at risk, and the seed decides how. */
#include <stdio.h>

#include "box.h"

#define NR 4096

static unsigned char buf[NR * NDM_SECTOR_BYTES];

static void fill(unsigned char value, uint64_t nr)
{
	memset(buf, value, nr * NDM_SECTOR_BYTES);
}

static void put(struct ndm_store *m, unsigned flags, uint64_t sector, uint64_t nr,
		unsigned char value)
{
	fill(value, nr);
	assert_int_equal(ndm_rw(m, NDM_WRITE, flags, sector, nr, buf), 0);
}

/* The sector, which must be of one value. */
static int get(struct ndm_store *m, uint64_t sector)
{
	unsigned char s[NDM_SECTOR_BYTES];
	unsigned i;

	assert_int_equal(ndm_rw(m, NDM_READ, 0, sector, 1, s), 0);
	for (i = 1; i < sizeof s; i++)
		assert_int_equal(s[i], s[0]);
	return s[0];
}

static void caching(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 100, 0);
	struct ndm_store *m = box_up(b, "m", "0 50 powerfail box:a 8");

	assert_string_equal(box_table(b, "m"), "box:a 8 2 seed 1");
	box_log(b);
	put(m, 0, 3, 4, 201);
	put(m, 0, 5, 4, 202);
	assert_string_equal(box_log(b), "");
	assert_string_equal(box_status(b, "m"), "on 2 8 2 0 0 0 0 0 0 1");
	assert_int_equal(get(m, 2), 10);
	assert_int_equal(get(m, 4), 201);
	assert_int_equal(get(m, 5), 202);
	assert_int_equal(get(m, 9), 17);
	assert_string_equal(box_extents(b, m, 40, 10), "8:data 2:hole");
	assert_string_equal(box_extents(b, m, 0, 10), "10:data");
	assert_int_equal(d->bytes[11 * NDM_SECTOR_BYTES], 11);
	box_log(b);
	assert_int_equal(ndm_flush(m), 0);
	/* what the second one overwrites needs no writing */
	assert_string_equal(box_log(b), "a write 11+2, a write 13+4, a flush");
	assert_int_equal(d->bytes[13 * NDM_SECTOR_BYTES], 202);
	put(m, NDM_FUA, 20, 2, 203);
	assert_string_equal(box_log(b), "a write 28+2 fua");
	assert_string_equal(box_status(b, "m"), "on 0 0 3 1 1 0 0 0 0 1");
	assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 50, buf), 0);
	assert_string_equal(box_log(b), "a read 8+50");
	put(m, 0, 20, 2, 204);
	assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 18, 3, NULL), 0);
	assert_string_equal(box_log(b), "a discard 26+3");
	assert_int_equal(get(m, 20), 203);		/* the medium's, which kept it */
	assert_int_equal(get(m, 21), 204);
	box_suspend(b, "m", NDM_SUSPEND_NOFLUSH);
	assert_int_equal(d->bytes[28 * NDM_SECTOR_BYTES], 203);
	assert_int_equal(d->bytes[29 * NDM_SECTOR_BYTES], 204);
	box_resume(b, "m");
	assert_string_equal(box_status(b, "m"), "on 0 0 4 1 1 0 0 0 0 1");
}

/* An older write that is still in the cache may not come back over a FUA one. */
static void fua_stays(struct box *b)
{
	struct ndm_store *m;
	char say[64];
	unsigned seed;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 50 powerfail box:a 0");
	for (seed = 0; seed < 40; seed++) {
		put(m, 0, 8, 8, 100 + seed);
		put(m, NDM_FUA, 10, 2, 200);
		put(m, 0, 11, 1, 201);
		snprintf(say, sizeof say, "crash seed %u", seed);
		assert_non_null(strstr(box_message(b, "m", say), "crashed: 2 writes"));
		assert_int_equal(ndm_rw(m, NDM_READ, 0, 0, 1, buf), -EIO);
		assert_int_equal(ndm_rw(m, NDM_WRITE, 0, 0, 1, buf), -EIO);
		assert_int_equal(ndm_rw(m, NDM_WRITE, NDM_FUA, 0, 1, buf), -EIO);
		assert_int_equal(ndm_rw(m, NDM_DISCARD, 0, 0, 1, NULL), -EIO);
		assert_int_equal(ndm_flush(m), -EIO);
		assert_string_equal(box_message(b, "m", "power_on"), "");
		assert_int_equal(get(m, 10), 200);
		assert_in_range(get(m, 11), 200, 201);
	}
	assert_int_equal(box_event_nr(b, "m"), 40);
}

/* 300 overlapping writes, with flushes; a crash; what the disk has then */
static void story(struct box *b, const char *table, const char *say, unsigned char *image,
		  char answer[200])
{
	static unsigned disks;
	struct box_disk *d;
	struct ndm_store *m;
	char name[16], text[100];
	uint64_t x = 12345;
	unsigned i;

	snprintf(name, sizeof name, "d%u", disks);
	d = box_disk(b, name, NR, 0);
	memset(d->bytes, 0, NR * NDM_SECTOR_BYTES);
	snprintf(text, sizeof text, "0 %d powerfail box:%s 0%s", NR, name, table);
	snprintf(name, sizeof name, "m%u", disks++);
	m = box_up(b, name, text);
	for (i = 0; i < 300; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		put(m, 0, (x >> 33) % (NR - 40), 1 + (x >> 50) % 32, 1 + i % 250);
		if (i == 100)
			assert_int_equal(ndm_flush(m), 0);
	}
	snprintf(answer, 200, "%s", box_message(b, name, say));
	memcpy(image, d->bytes, NR * NDM_SECTOR_BYTES);
}

static void same_seed(struct box *b)
{
	static unsigned char one[NR * NDM_SECTOR_BYTES], two[NR * NDM_SECTOR_BYTES];
	char first[200], second[200];

	story(b, " 2 seed 7", "crash", one, first);
	story(b, "", "crash seed 7", two, second);
	assert_string_equal(first, second);
	assert_memory_equal(one, two, sizeof one);
	story(b, "", "crash", two, second);
	assert_memory_not_equal(one, two, sizeof one);
	assert_non_null(strstr(first, "crashed: 199 writes since last flush; kept "));
	assert_non_null(strstr(first, "(seed 7)"));
}

static void variants(struct box *b)
{
	static unsigned char image[NR * NDM_SECTOR_BYTES];
	unsigned kept, torn, dropped, n;
	char answer[200];

	story(b, "", "crash whole", image, answer);
	assert_non_null(strstr(answer, " torn 0,"));
	story(b, " 2 torn 100", "crash", image, answer);
	sscanf(strchr(answer, ';'), "; kept %u, torn %u, dropped %u", &kept, &torn, &dropped);
	assert_in_range(torn, 150, 199);
	story(b, " 4 torn 100 atomic 64", "crash", image, answer);
	sscanf(strchr(answer, ';'), "; kept %u, torn %u, dropped %u", &kept, &torn, &dropped);
	assert_in_range(torn, 5, 80);		/* only those across a boundary */
	story(b, " 4 keep 100 torn 0", "crash", image, answer);
	assert_non_null(strstr(answer, "kept 199, torn 0, dropped 0"));
	story(b, " 4 keep 0 torn 0", "crash", image, answer);
	assert_non_null(strstr(answer, "kept 0, torn 0, dropped 199"));
	for (n = 0; n < NR; n++)		/* values of writes after the flush are not there */
		assert_in_range(image[n * NDM_SECTOR_BYTES], 0, 101);
	story(b, " 1 ordered", "crash", image, answer);
	sscanf(strchr(answer, ';'), "; kept %u, torn %u, dropped %u", &kept, &torn, &dropped);
	assert_true(kept + torn + dropped == 199 && torn <= 1);
	story(b, "", "drop_unflushed", image, answer);
	assert_string_equal(answer, "dropped: 199 writes since last flush");
}

/* In an ordered cache nothing survives that came after something lost. */
static void ordered(struct box *b)
{
	struct ndm_store *m;
	char say[64];
	unsigned seed, i, lost, cuts = 0;

	box_disk(b, "a", 64, 0);
	m = box_up(b, "m", "0 64 powerfail box:a 0 1 ordered");
	assert_string_equal(box_table(b, "m"), "box:a 0 3 seed 1 ordered");
	for (seed = 0; seed < 50; seed++) {
		for (i = 0; i < 64; i += 4)
			put(m, 0, i, 4, 100 + seed);
		snprintf(say, sizeof say, "crash seed %u", seed);
		box_message(b, "m", say);
		box_message(b, "m", "power_on");
		for (i = lost = 0; i < 64; i++) {
			lost |= get(m, i) != (int)(100 + seed);
			assert_int_equal(lost, get(m, i) != (int)(100 + seed));
		}
		cuts += lost;
		put(m, 0, 0, 64, 0);
		assert_int_equal(ndm_flush(m), 0);
	}
	assert_in_range(cuts, 20, 50);
}

static void small_cache(struct box *b)
{
	struct ndm_store *m;

	box_disk(b, "a", 100, 0);
	m = box_up(b, "m", "0 100 powerfail box:a 0 2 cache 10");
	assert_string_equal(box_table(b, "m"), "box:a 0 4 seed 1 cache 10");
	box_log(b);
	put(m, 0, 0, 4, 201);
	put(m, 0, 8, 4, 202);
	assert_string_equal(box_log(b), "");
	put(m, 0, 16, 4, 203);
	assert_string_equal(box_log(b), "a write 0+4");
	put(m, 0, 32, 40, 204);			/* larger than the cache: what else is to be done */
	assert_string_equal(box_log(b), "a write 8+4, a write 16+4");
	assert_string_equal(box_status(b, "m"), "on 1 40 4 0 0 0 0 0 0 1");
	assert_int_equal(get(m, 8), 202);
	assert_int_equal(get(m, 71), 204);
}

/* The power goes while a flush is under way: it fails, and nothing of it was promised. */
static void crash_in_flush(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 100, 0);
	struct ndm_store *m = box_up(b, "m", "0 100 powerfail box:a 0 2 keep 0");
	struct box_io io, flush;

	put(m, 0, 0, 1, 201);
	put(m, 0, 50, 1, 202);
	d->hold = true;
	box_start(b, &flush, m, NDM_FLUSH, 0, 0, NULL);
	ndm_yield(box_loop(b));
	box_start(b, &io, m, NDM_READ, 60, 1, buf);
	box_release(d);
	box_wait(&flush);
	assert_int_equal(flush.bio.error, 0);
	box_wait(&io);
	d->fail_ops = 1 << NDM_WRITE;
	put(m, 0, 4, 1, 203);
	assert_int_equal(ndm_flush(m), -EIO);	/* and stays cached */
	assert_int_equal(get(m, 4), 203);
	d->fail_ops = 0;
	assert_string_equal(box_message(b, "m", "crash whole"),
			    "crashed: 1 writes since last flush; kept 0, torn 0, dropped 1 (seed 1)");
	assert_string_equal(box_message(b, "m", "power_on"), "");
	assert_int_equal(get(m, 4), 4);
	assert_int_equal(get(m, 50), 202);
}

static void talking(struct box *b)
{
	static const struct { const char *say, *answer; } talk[] = {
		{ "power_on", "" },
		{ "crash seed", "EINVAL: powerfail: 'seed' is nothing that crash takes: seed <n>, "
		  "ordered, reordered, torn, whole" },
		{ "crash seed x", "EINVAL: powerfail: 'x' is not a seed" },
		{ "drop_unflushed now", "EINVAL: powerfail: unrecognised message 'drop_unflushed': "
		  "crash, power_on or drop_unflushed" },
		{ "explode", "EINVAL: powerfail: unrecognised message 'explode': crash, power_on or "
		  "drop_unflushed" },
		{ "drop_unflushed", "dropped: 0 writes since last flush" },
		{ "CRASH reordered torn seed 5", "crashed: 0 writes since last flush; kept 0, torn "
		  "0, dropped 0 (seed 5)" },
		{ "crash", "EINVAL: powerfail: the power is off already; power_on first" },
		{ "drop_unflushed", "EINVAL: powerfail: the power is off already; power_on first" },
		{ "power_on", "" },
		{ "crash", "crashed: 0 writes since last flush; kept 0, torn 0, dropped 0 (seed 1)" },
		{ "power_on", "" },
		{ "crash", "crashed: 0 writes since last flush; kept 0, torn 0, dropped 0 (seed 2)" },
	};
	unsigned i;

	box_disk(b, "a", 200, 0);
	box_up(b, "m", "0 200 powerfail box:a 0");
	for (i = 0; i < sizeof talk / sizeof *talk; i++)
		assert_string_equal(box_message(b, "m", talk[i].say), talk[i].answer);
	assert_string_equal(box_status(b, "m"), "off 0 0 0 0 0 3 0 0 0 3");
}

static void refusals(struct box *b)
{
	static const struct { const char *table; const char *why; } cases[] = {
		{ "0 8 powerfail box:a", "Invalid argument count: 1, at least 2 are needed" },
		{ "0 8 powerfail box:a y", "Invalid device sector: argument 2 is 'y'" },
		{ "0 8 powerfail box:a 0 x", "Invalid number of feature args" },
		{ "0 8 powerfail box:a 0 1 seed 4", "1 are announced, 2 are there" },
		{ "0 8 powerfail box:a 0 2 seed x", "Invalid seed: 'x'" },
		{ "0 8 powerfail box:a 0 1 seed", "Feature seed requires a number" },
		{ "0 8 powerfail box:a 0 2 keep 101", "Invalid keep: '101'" },
		{ "0 8 powerfail box:a 0 2 atomic 3", "Invalid atomic: '3'" },
		{ "0 8 powerfail box:a 0 2 cache 0", "Invalid cache: '0'" },
		{ "0 8 powerfail box:a 0 1 fast", "Unrecognised powerfail feature requested: 'fast'" },
		{ "0 8 powerfail box:x 0", "Device lookup failed: no such disk" },
		{ "0 8 powerfail box:a 93", "too small for target" },
	};
	const char *why;
	unsigned i;

	box_disk(b, "a", 100, 0);
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_not_equal(box_refused(b, cases[i].table, &why), 0);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: '%s'", cases[i].table, why);
	}
}

BOX_DEFINE(caching)
BOX_DEFINE(fua_stays)
BOX_DEFINE(same_seed)
BOX_DEFINE(variants)
BOX_DEFINE(ordered)
BOX_DEFINE(small_cache)
BOX_DEFINE(crash_in_flush)
BOX_DEFINE(talking)
BOX_DEFINE(refusals)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(caching),
		BOX_TEST(fua_stays),
		BOX_TEST(same_seed),
		BOX_TEST(variants),
		BOX_TEST(ordered),
		BOX_TEST(small_cache),
		BOX_TEST(crash_in_flush),
		BOX_TEST(talking),
		BOX_TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
