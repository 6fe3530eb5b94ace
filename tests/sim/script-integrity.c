/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * integrity: with a journal or a bitmap every block can be read after every cut: its tag fits
 * its data, or is known not to be believed; and what was acknowledged is there.
 *
 * Tags are long here, so that a journal section has few entries and the ring goes round often.
 */
#include "sim.h"

#define NR 96

struct plan {
	char mode;
	unsigned tag, sections, watermark, commit_ms, block, bit;
	const char *hash, *more;
	char size[160];				/* words that matter when it is formatted */
};

static const char *const hashes[] = { "crc32c", "sha256", "xxhash64", "crc32c" };
static const char *const mores[] = {
	"", "",
	" journal_mac:hmac(sha256):00112233445566778899aabbccddeeff",
	" journal_crypt:ctr(aes):00112233445566778899aabbccddeeff",
	" journal_crypt:cbc(aes):00112233445566778899aabbccddeeff"
	" journal_mac:hmac(sha1):0102030405060708",
};

static unsigned words_of(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == ' ';
	return n;
}

static void plan_make(struct sim *s, char mode, const char *meta)
{
	struct plan *p = sim_private(s);
	/* entries: 8, 24 or 56 in a section of 16, 32 or 64 sectors */
	static const unsigned tags[] = { 240, 240, 120, 40 };

	p->mode = mode;
	p->tag = tags[sim_dice(s, 4)];
	p->sections = 1 + sim_dice(s, 4);
	p->watermark = sim_dice(s, 3) * 50;
	p->commit_ms = sim_one_in(s, 2) ? 10000 : 1 + sim_dice(s, 3);
	p->block = sim_one_in(s, 4) ? 1024 : 512;
	p->bit = 8 << sim_dice(s, 3);
	p->hash = hashes[sim_dice(s, 4)];
	p->more = mores[sim_dice(s, 5)];
	if (mode == 'B')
		p->more = "";
	snprintf(p->size, sizeof p->size, " journal_sectors:%u interleave_sectors:%u fix_padding%s%s%s",
		 p->sections * (p->tag == 240 ? 16 : p->tag == 120 ? 32 : 64), 8u << sim_dice(s, 2),
		 sim_one_in(s, 2) ? " fix_hmac" : "", p->block == 1024 ? " block_size:1024" : "", meta);
}

static void table_of(const struct plan *p, char mode, const char *extra, char *to, size_t room)
{
	char words[512];

	snprintf(words, sizeof words, "%s internal_hash:%s%s%s", p->size, p->hash, p->more, extra);
	snprintf(to, room, "0 %u integrity sim:data 0 %u %c %u%s", NR, p->tag, mode,
		 words_of(words), words);
}

static void up(struct sim *s)
{
	struct plan *p = sim_private(s);
	char table[700], extra[160];

	if (p->mode == 'B')
		snprintf(extra, sizeof extra, " sectors_per_bit:%u bitmap_flush_interval:%u allow_discards",
			 p->bit, p->commit_ms);
	else
		snprintf(extra, sizeof extra, " journal_watermark:%u commit_time:%u allow_discards",
			 p->watermark, p->commit_ms);
	table_of(p, p->mode, extra, table, sizeof table);
	sim_up(s, "tagged", 0, "%s", table);
}

/* Formatted by the target, with tags for the zeroes that are there. */
static void tags_make(struct sim *s)
{
	struct sim_dev *d;
	unsigned provided, done;
	char table[700];

	table_of(sim_private(s), 'D', " recalculate legacy_recalculate", table, sizeof table);
	d = sim_up(s, "maker", SIM_RAW, "%s", table);
	do {
		sim_sleep(s, 1000);
		SIM_ASSERT(s, sscanf(sim_status(d), "0 %u %u", &provided, &done) == 2);
	} while (done < provided);
	sim_down(d);
}

static void format_journal(struct sim *s)
{
	plan_make(s, 'J', "");
	tags_make(s);
}

static void format_meta(struct sim *s)
{
	plan_make(s, 'J', " meta_device:sim:meta");
	tags_make(s);
}

static void format_bitmap(struct sim *s)
{
	plan_make(s, 'B', "");
	tags_make(s);
}

static const struct sim_mix mix = {
	.tasks = 4, .ops = 8, .max_nr = 12,
	.read = 3, .write = 7, .fua = 1, .flush = 1, .discard = 1,
};

static void work(struct sim *s)
{
	sim_mix(sim_dev(s, "tagged"), &mix);
}

/* Now and then stopped and started: the journal is emptied, the bitmap cleared. */
static void work_stops(struct sim *s)
{
	struct sim_dev *d = sim_dev(s, "tagged");
	const struct sim_mix some = { .tasks = 3, .ops = 4, .max_nr = 12, .write = 5, .read = 1,
				      .flush = 1 };
	unsigned i;

	for (i = 0; i < 3; i++) {
		sim_mix(d, &some);
		SIM_ASSERT(s, !sim_suspend(d, 0));
		SIM_ASSERT(s, !sim_resume(d));
	}
}

static void check(struct sim *s)
{
	SIM_ASSERT(s, !strncmp(sim_status(sim_dev(s, "tagged")), "0 ", 2));
}

SIM_SCRIPT(integrity) = {
	.name = "integrity",
	.summary = "a journal: data and tags are old or new together",
	.disks = { { "data", 700 } },
	.private_size = sizeof(struct plan),
	.seeds = 8,
	.format = format_journal, .up = up, .work = work, .check = check,
};

SIM_SCRIPT(integrity_stops) = {
	.name = "integrity-stops",
	.summary = "a journal that is stopped and started",
	.disks = { { "data", 700 } },
	.private_size = sizeof(struct plan),
	.seeds = 8,
	.format = format_journal, .up = up, .work = work_stops, .check = check,
};

SIM_SCRIPT(integrity_meta) = {
	.name = "integrity-meta",
	.summary = "a journal and tags on a device of their own",
	.disks = { { "data", NR }, { "meta", 700 } },
	.private_size = sizeof(struct plan),
	.format = format_meta, .up = up, .work = work, .check = check,
};

SIM_SCRIPT(integrity_bitmap) = {
	.name = "integrity-bitmap",
	.summary = "a bitmap: where tags may not fit they are not believed",
	.disks = { { "data", 700 } },
	.private_size = sizeof(struct plan),
	.seeds = 8,
	.format = format_bitmap, .up = up, .work = work, .check = check,
};

/* A journal and a bitmap in turn; whatever stops in between, the other goes on from there. */
static void up_turns(struct sim *s)
{
	struct plan *p = sim_private(s);

	p->mode = sim_cuts(s) % 2 ? 'J' : 'B';
	up(s);
}

SIM_SCRIPT(integrity_turns) = {
	.name = "integrity-turns",
	.summary = "a bitmap, then a journal after the cut",
	.disks = { { "data", 700 } },
	.private_size = sizeof(struct plan),
	.format = format_bitmap, .up = up_turns, .work = work, .check = check,
};
