/* SPDX-License-Identifier: BSD-2-Clause */
/* status.c - the status and table lines, and what their words are called. */
#include "journal.h"

static const char *action_word(const struct raid *r)
{
	static const char *const words[] = {
		[RAID_IDLE] = "idle", [RAID_RESYNC] = "resync", [RAID_RECOVER] = "recover",
		[RAID_CHECK] = "check", [RAID_REPAIR] = "repair", [RAID_RESHAPE] = "reshape",
	};

	return r->frozen ? "frozen" : words[r->sync.action];
}

static char member_char(const struct raid *r, unsigned i)
{
	const struct raid_member *m = &r->members[i];

	if (!m->data)
		return '-';
	if (m->faulty)
		return 'D';
	if (r->frozen || !r->geo.level)
		return m->in_sync ? 'A' : 'a';
	switch (r->sync.action) {
	case RAID_RESYNC: case RAID_RESHAPE: return 'a';
	case RAID_CHECK: case RAID_REPAIR: return 'A';
	default: return m->in_sync ? 'A' : 'a';
	}
}

static uint64_t progress(const struct raid *r, uint64_t total)
{
	uint64_t at;

	if (!r->geo.level)
		return total;
	if (r->frozen)
		return 0;
	at = r->sync.action == RAID_IDLE ? r->resync_offset : r->sync.completed;
	return at < total ? at : total;
}

static void info(const struct raid *r, struct ndm_str *out)
{
	const struct raid_type *t = raid_type_of(r->geo.level, r->geo.layout);
	uint64_t total = !r->preresumed ? r->geo.dev_sectors
		       : r->reshape.active ? raid_reshape_total(r) : raid_sync_total(r);
	unsigned i;

	ndm_printf(out, "%s %u ", t ? t->name : r->type->name, r->geo.disks);
	for (i = 0; i < r->n; i++)
		ndm_printf(out, "%c", member_char(r, i));
	ndm_printf(out, " %" PRIu64 "/%" PRIu64 " %s %" PRIu64 " %" PRIu64 " %s", progress(r, total),
		   total, action_word(r),
		   r->sync.last == RAID_CHECK || r->sync.action == RAID_CHECK ? r->sync.mismatches : 0,
		   r->members[0].data_offset, !r->journal ? "-" : raid_journal_failed(r) ? "D" : r->write_back ? "a" : "A");
}

/* ---- the table line ---- */

static unsigned words_count(const struct raid *r)
{
	const unsigned alone = RAID_SYNC | RAID_NOSYNC | RAID_NEAR_SETS;
	const unsigned many = RAID_REBUILD | RAID_WRITE_MOSTLY;
	unsigned n = 1 + (unsigned)__builtin_popcount(r->words & alone), i;

	n += 2 * (unsigned)__builtin_popcount(r->words & ~alone & ~many);
	for (i = 0; i < r->n; i++)
		n += 2u * r->members[i].rebuild + 2u * r->members[i].write_mostly;
	return n;
}

static void number(const struct raid *r, struct ndm_str *out, enum raid_word word, const char *name,
		   uint64_t value)
{
	if (r->words & word)
		ndm_printf(out, " %s %" PRIu64, name, value);
}

static const char *name_of(const struct ndm_dev *d) { return d ? d->name : "-"; }

static void members_words(const struct raid *r, struct ndm_str *out, bool mostly)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (mostly ? r->members[i].write_mostly : r->members[i].rebuild)
			ndm_printf(out, " %s %u", mostly ? "write_mostly" : "rebuild", i);
}

/* as Linux has it: a removal is 0 once it is done */
static int delta_shown(const struct raid *r)
{
	int now = r->reshape.active ? (int)r->geo.disks - (int)r->reshape.old.disks : 0;

	return r->delta_disks > now ? r->delta_disks : now;
}

static void table(const struct raid *r, struct ndm_str *out)
{
	unsigned i;

	ndm_printf(out, "%s %u %u", r->type->name, words_count(r), r->geo.chunk);
	if (r->words & RAID_SYNC)
		ndm_printf(out, " sync");
	if (r->words & RAID_NOSYNC)
		ndm_printf(out, " nosync");
	members_words(r, out, false);
	number(r, out, RAID_DAEMON_SLEEP, "daemon_sleep", (unsigned)r->daemon_sleep);
	number(r, out, RAID_MIN_RATE, "min_recovery_rate", (unsigned)r->min_rate);
	number(r, out, RAID_MAX_RATE, "max_recovery_rate", (unsigned)r->max_rate);
	members_words(r, out, true);
	number(r, out, RAID_WRITE_BEHIND, "max_write_behind", (unsigned)r->write_behind);
	number(r, out, RAID_STRIPE_CACHE, "stripe_cache", raid_stripe_cache(r));
	number(r, out, RAID_REGION_SIZE, "region_size", r->region);
	number(r, out, RAID_COPIES, "raid10_copies", raid10_copies(r->geo.layout));
	if (r->words & RAID_FORMAT)
		ndm_printf(out, " raid10_format %s", raid10_format_of(r->geo.layout));
	if (r->words & RAID_DELTA_DISKS)
		ndm_printf(out, " delta_disks %d", delta_shown(r));
	number(r, out, RAID_DATA_OFFSET, "data_offset", r->data_offset);
	if (r->words & RAID_JOURNAL_DEV)
		ndm_printf(out, " journal_dev %s", name_of(r->journal));
	if (r->words & RAID_JOURNAL_MODE)
		ndm_printf(out, " journal_mode %s", r->write_back ? "writeback" : "writethrough");
	ndm_printf(out, " %u", r->n);
	for (i = 0; i < r->n; i++)
		ndm_printf(out, " %s %s", name_of(r->members[i].meta), name_of(r->members[i].data));
}

void raid_status(struct ndm_target *ti, enum ndm_status what, unsigned flags, struct ndm_str *out)
{
	const struct raid *r = ti->private_data;

	(void)flags;
	if (what == NDM_STATUS_INFO)
		info(r, out);
	else
		table(r, out);
}

/* ---- names ---- */

static const struct ndm_arg param_args[] = {
	{ .name = "word", .kind = NDM_ARG_TEXT,
	  .help = "Chunk in sectors, then sync, nosync, rebuild I, region_size N and so on, word by word." },
	{ 0 }
};

static const struct ndm_arg device_args[] = {
	{ .name = "metadata", .kind = NDM_ARG_DEVICE, .dflt = "-",
	  .help = "Superblock and bitmap of a member; - for none." },
	{ .name = "data", .kind = NDM_ARG_DEVICE, .help = "The member's data; - where it is missing." },
	{ 0 }
};

const struct ndm_arg raid_args[] = {
	{ .name = "type", .kind = NDM_ARG_TEXT,
	  .help = "raid0, raid1, raid10, raid4, raid5_n, raid5_ls, raid5_rs, raid5_la, raid5_ra, raid6_zr, "
		  "raid6_nr, raid6_nc, raid6_n_6, raid6_ls_6, raid6_rs_6, raid6_la_6 or raid6_ra_6." },
	{ .name = "param_words", .kind = NDM_ARG_COUNT, .of = "params",
	  .help = "Number of words that follow." },
	{ .name = "params", .kind = NDM_ARG_LIST, .sub = param_args, .help = "The parameters' words." },
	{ .name = "raid_devices", .kind = NDM_ARG_COUNT, .of = "devices", .help = "Number of members." },
	{ .name = "devices", .kind = NDM_ARG_LIST, .sub = device_args, .help = "The members." },
	{ 0 }
};

const struct ndm_arg raid_status_fields[] = {
	{ .name = "type", .kind = NDM_ARG_TEXT, .help = "Which raid it is." },
	{ .name = "raid_devices", .kind = NDM_ARG_U64, .help = "Number of members." },
	{ .name = "health", .kind = NDM_ARG_TEXT,
	  .help = "A letter for each member: A in sync, a not in sync, D failed, - missing." },
	{ .name = "sync_ratio", .kind = NDM_ARG_TEXT, .help = "Sectors in sync and all of them." },
	{ .name = "sync_action", .kind = NDM_ARG_TEXT,
	  .help = "idle, frozen, resync, reshape, recover, check or repair." },
	{ .name = "mismatches", .kind = NDM_ARG_SECTORS, .help = "Differences that the last check found." },
	{ .name = "data_offset", .kind = NDM_ARG_SECTORS, .help = "Where data begin on the members." },
	{ .name = "journal", .kind = NDM_ARG_TEXT,
	  .help = "- for none, A write-through, a write-back, D failed." },
	{ 0 }
};

/* ---- block status ---- */

#define LOOKS_MAX 4096u				/* regions looked at for one answer */

static uint64_t sync_sector(const struct raid *r, uint64_t sector)
{
	if (!r->geo.parity)
		return sector;
	return sector / r->geo.chunk / raid_data_disks(&r->geo) * r->geo.chunk;
}

/* in array sectors, how far a region reaches from there */
static uint64_t reach(const struct raid *r, uint64_t sector)
{
	uint64_t span = r->bitmap.region * (r->geo.parity ? raid_data_disks(&r->geo) : 1);

	return (sector / span + 1) * span - sector;
}

static uint64_t dirty_value(struct ndm_target *ti, uint64_t sector, uint64_t nr, uint32_t *value)
{
	struct raid *r = ti->private_data;
	uint64_t at = ndm_offset(ti, sector), got, run;
	unsigned looks;

	*value = 0;
	if (!r->preresumed || raid_bitmap_none(r) || r->reshape.active || at + nr > r->usable)
		return nr;
	*value = raid_bitmap_dirty(r, sync_sector(r, at), &run);
	got = reach(r, at);
	for (looks = 1; got < nr && looks < LOOKS_MAX; looks++) {
		if (raid_bitmap_dirty(r, sync_sector(r, at + got), &run) != *value)
			break;
		got += reach(r, at + got);
	}
	return got < nr ? got : nr;
}

const struct ndm_meta raid_metas[] = {
	{ "dirty", "1: the legs of the mirror may differ here; 0: they are in sync.", dirty_value },
	{ 0 }
};
