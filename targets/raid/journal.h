/* SPDX-License-Identifier: BSD-2-Clause */
/* journal.h - the journal of raid4/5/6 as the rest of the target sees it. */
#ifndef NDM_TARGETS_RAID_JOURNAL_H
#define NDM_TARGETS_RAID_JOURNAL_H

#include "raid.h"

struct raid_journal;

int raid_journal_check(struct raid *);		/* whether its entries can be as large as stripes */
/* replays what is there, and begins anew */
int raid_journal_start(struct raid *) ndm_waits;
void raid_journal_free(struct raid *);
bool raid_journal_failed(const struct raid *);
/*
 * Makes the data lo .. hi and the parity of a job durable in the journal.  Then they may be
 * written; raid_journal_done() says that they have been.
 */
int raid_journal_log(struct stripe_job *, unsigned lo, unsigned hi) ndm_waits;
void raid_journal_done(struct raid *);

/* journal-replay.c: through all entries from sector 0 on; what sequence comes next */
int raid_journal_replay(struct raid *, uint64_t *seq) ndm_waits;

/* ---- the format ---- */

#define JOURNAL_MAGIC 0x6433c509u
#define JOURNAL_BLOCK 4096u
#define JOURNAL_BLOCK_SECTORS 8u
#define JOURNAL_HEAD 32u			/* bytes before the first payload */
enum { JOURNAL_DATA = 0, JOURNAL_PARITY = 1, JOURNAL_FLUSH = 2 };

uint32_t raid_journal_sum(const void *block);	/* of 4 KiB, with the uuid's seed */
/* of a metadata block whose sum is not filled in */
uint32_t raid_journal_head_sum(uint8_t *block);

static inline void journal_put(uint8_t *p, uint64_t v, unsigned bytes)
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		p[i] = v >> 8 * i;
}

static inline uint64_t journal_get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

#endif
