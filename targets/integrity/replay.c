/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - what an unclean stop has left in the journal.
 *
 * Sections are written whole, in the order of the ring, each sector of them with the sequence of
 * its round.  So the newest sequence is found by looking which of the four are there; behind
 * the last section that has it begins what is oldest.  From there on sections are taken as long
 * as every one of their sectors has the sequence that it should: where that ends a commit was
 * under way, and nobody had been told that it was done.
 *
 * When everything has been written to its place the journal is made empty again: first the
 * section where the newest round ends, then the middle, then the last, so that a stop in between
 * finds either the same to do again or less.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define SEQUENCES NDM_INTEGRITY_SEQUENCES
#define UNUSED 0xffffffffu

struct found {
	bool used[SEQUENCES];
	uint32_t last[SEQUENCES];		/* the last section that has a sector of it */
	bool empty;				/* no entry anywhere */
	unsigned newest, want;			/* sequences */
	uint32_t start, n;			/* sections to be replayed */
};

static unsigned before(unsigned sequence)
{
	return (sequence + SEQUENCES - 1) % SEQUENCES;
}

static uint64_t commit_id_at(struct integrity *ic, uint32_t section, uint32_t sector)
{
	return le64_get(ic->journal.bytes + ((size_t)section * ic->l.section_sectors + sector) *
			    NDM_SECTOR_BYTES + NDM_SECTOR_BYTES - 8);
}

static bool has_sequence(struct integrity *ic, uint32_t section, uint32_t sector, unsigned sequence)
{
	return commit_id_at(ic, section, sector) ==
	       ndm_integrity_commit_id(ic->journal.ids, sequence, section, sector);
}

static bool entry_unused(struct integrity *ic, uint32_t section, unsigned n)
{
	return le32_get(integrity_journal_entry(ic, section, n) + 4) == UNUSED;
}

static int section_look(struct integrity *ic, uint32_t section, struct found *f)
{
	unsigned k, e;
	uint32_t s;

	for (s = 0; s < ic->l.section_sectors; s++) {
		for (k = 0; k < SEQUENCES && !has_sequence(ic, section, s, k); k++)
			;
		if (k == SEQUENCES) {
			integrity_fail(ic, "journal commit id", -EIO);
			return -EIO;
		}
		f->used[k] = true;
		f->last[k] = section;
	}
	for (e = 0; e < ic->l.section_entries && f->empty; e++)
		f->empty = entry_unused(ic, section, e);
	return 0;
}

/* The first of the sequences that is not there, counted on from the newest one. */
static int sequence_unused(struct integrity *ic, const struct found *f)
{
	int u;

	if (!f->used[SEQUENCES - 1]) {
		for (u = SEQUENCES - 1; u && !f->used[u - 1]; u--)
			;
		return u;
	}
	for (u = 0; u < SEQUENCES; u++)
		if (!f->used[u])
			return u;
	integrity_fail(ic, "journal commit ids", -EIO);
	return -EIO;
}

static bool section_has(struct integrity *ic, uint32_t section, unsigned sequence)
{
	uint32_t s;

	for (s = 0; s < ic->l.section_sectors; s++)
		if (!has_sequence(ic, section, s, sequence))
			return false;
	return true;
}

static void window_find(struct integrity *ic, struct found *f)
{
	uint32_t sections = ic->journal.sections, i;

	f->want = before(f->newest);
	if (!f->used[f->want] && f->used[before(f->want)])
		f->empty = true;
	f->start = f->last[f->newest] + 1;
	if (f->start == sections) {
		f->start = 0;
		f->want = (f->want + 1) % SEQUENCES;
	}
	for (i = f->start, f->n = 0; f->n < sections && section_has(ic, i, f->want); f->n++)
		if (++i == sections) {
			i = 0;
			f->want = (f->want + 1) % SEQUENCES;
		}
}

/* 0 when *f says what is to be done; the journal is useless otherwise. */
static int journal_look(struct integrity *ic, struct found *f)
{
	uint32_t i;
	int err = 0, unused;

	f->empty = true;
	for (i = 0; i < ic->journal.sections && !err; i++)
		err = section_look(ic, i, f);
	unused = err ? err : sequence_unused(ic, f);
	if (unused < 0)
		return unused;
	f->newest = before(unused);
	window_find(ic, f);
	return 0;
}

/* ---- to their places ---- */

static void entry_replay(struct integrity *ic, uint32_t section, unsigned n)
{
	uint8_t *entry = integrity_journal_entry(ic, section, n), made[NDM_INTEGRITY_TAG_MAX];
	uint8_t *block = ic->scratch[0];
	uint64_t sector = le64_get(entry);
	unsigned s;

	if (sector & (ic->block_sectors - 1)) {
		integrity_fail(ic, "invalid sector in journal", -EIO);
		return;
	}
	if (sector >= ic->l.provided) {		/* of a device that was larger */
		le32_put(entry + 4, UNUSED);
		return;
	}
	if (ic->digest_bytes) {
		memcpy(block, integrity_journal_data(ic, section, n), ic->block_bytes);
		for (s = 0; s < ic->block_sectors; s++)
			memcpy(block + s * NDM_SECTOR_BYTES + NDM_SECTOR_BYTES - 8, entry + 8 + 8 * s, 8);
		if (integrity_tag(ic, 0, sector, block, made) ||
		    !ndm_secret_equal(made, entry + 8 + 8 * ic->block_sectors, ic->tag_bytes)) {
			integrity_fail(ic, "tag mismatch when replaying journal", -EILSEQ);
			return;
		}
	}
	integrity_journal_adopt(ic, section * ic->journal.section_entries + n, sector);
}

static void sections_replay(struct integrity *ic, const struct found *f)
{
	struct integrity_journal *j = &ic->journal;
	uint32_t i, section;
	unsigned n;

	integrity_journal_reset(ic, f->start);
	for (i = 0; i < f->n && !ic->failed; i++) {
		section = (f->start + i) % j->sections;
		if (integrity_section_check(ic, section)) {
			integrity_fail(ic, "journal mac", -EILSEQ);
			return;
		}
		for (n = 0; n < ic->l.section_entries && !ic->failed; n++)
			if (!entry_unused(ic, section, n))
				entry_replay(ic, section, n);
	}
	if (ic->failed)
		return;
	j->ncommitted = f->n;
	j->uncommitted = j->free_section = (f->start + f->n) % j->sections;
	j->nfree = j->entries - f->n * j->section_entries;
	if (!ic->ti->writable)
		return;				/* it is read from there */
	integrity_moment(ic, "integrity.replay.found");
	integrity_journal_empty(ic);
	integrity_moment(ic, "integrity.replay.written");
}

static void journal_clear(struct integrity *ic, const struct found *f)
{
	struct integrity_journal *j = &ic->journal;
	unsigned sequence = before(before(f->newest));
	uint32_t s = f->start, n = j->sections;

	integrity_sections_clear(ic, s, 1, sequence);
	s = (s + 1) % n;
	if (n >= 2) {
		integrity_sections_clear(ic, s, n - 2, sequence);
		s = (s + n - 2) % n;
		integrity_sections_clear(ic, s, 1, sequence);
	}
	integrity_journal_reset(ic, 0);
	j->sequence = (sequence + 1) % SEQUENCES;
}

void integrity_replay(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;
	struct found f = { .empty = true };
	int err = 0;

	if (ic->mode == 'R' || ic->clean)
		return;
	if (!ic->formatted)
		err = integrity_sections_read(ic);
	if (err)
		integrity_fail(ic, "reading journal", err);
	if (ic->failed)
		return;
	if (journal_look(ic, &f))
		return;				/* failed: nothing is served, nothing changed */
	if (!f.empty)
		sections_replay(ic, &f);
	if (ic->failed || !ic->ti->writable)
		return;
	if (f.n == j->sections && (ic->mode == 'J' || f.empty)) {
		integrity_journal_reset(ic, f.start);
		j->sequence = f.want;
	} else {
		journal_clear(ic, &f);
	}
}
