/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.c - the journal of mode J in memory, and the ways into and out of it.
 *
 * The journal is a ring of sections.  Entries fill one after the other ("free"); a commit closes
 * the section that is being filled and writes all that are full ("uncommitted") with FUA, and
 * then they are "committed": durable.  Later, committed entries are written to their places,
 * flushed, and their sections are free again.  A flush of the client is a commit.
 *
 *	committed, ncommitted | uncommitted, nuncommitted | free ...
 *
 * While an entry is in use reads find it here and never look at its place on the disk, so the
 * only ones a write to that place has to wait for are reads that began before the entry was
 * made; those hold their range.  Of several entries of one sector the newest is what is read; an
 * older one need not be written when a newer one is committed.
 *
 * Two tasks at most work here beside the requests: one that commits, one that writes to the
 * places.  Crash states: see replay.c.
 */
#include <errno.h>
#include <string.h>

#include "targets/integrity/integrity.h"

#define NONE UINT32_MAX
#define UNUSED 0xffffffffu		/* the upper half of an unused entry's sector */
#define RUN_MAX 2048u			/* sectors written to their place at once */
#define JOURNAL_BYTES_MAX (4ull << 30)

/* ---- entries ---- */

static uint8_t *section_bytes(struct integrity *ic, uint32_t section)
{
	return ic->journal.bytes + (size_t)section * ic->l.section_sectors * NDM_SECTOR_BYTES;
}

uint8_t *integrity_journal_entry(struct integrity *ic, uint32_t section, unsigned n)
{
	return section_bytes(ic, section) + ndm_integrity_entry(&ic->l, n);
}

uint8_t *integrity_journal_data(struct integrity *ic, uint32_t section, unsigned n)
{
	return section_bytes(ic, section) + ndm_integrity_entry_data(&ic->l, n);
}

static uint8_t *entry_of(struct integrity *ic, uint32_t entry)
{
	return integrity_journal_entry(ic, entry / ic->journal.section_entries,
				       entry % ic->journal.section_entries);
}

static uint8_t *data_of(struct integrity *ic, uint32_t entry)
{
	return integrity_journal_data(ic, entry / ic->journal.section_entries,
				      entry % ic->journal.section_entries);
}

static uint8_t *tag_of(struct integrity *ic, uint32_t entry)
{
	return entry_of(ic, entry) + 8 + 8 * ic->block_sectors;
}

static void entry_set_unused(struct integrity *ic, uint32_t entry)
{
	le32_put(entry_of(ic, entry) + 4, UNUSED);
}

/* The last 8 bytes of each sector, which are kept in the entry, back to where they belong. */
static void data_restore(struct integrity *ic, uint32_t entry)
{
	uint8_t *data = data_of(ic, entry);
	const uint8_t *last = entry_of(ic, entry) + 8;
	unsigned s;

	for (s = 0; s < ic->block_sectors; s++)
		memcpy(data + s * NDM_SECTOR_BYTES + NDM_SECTOR_BYTES - 8, last + 8 * s, 8);
}

/* ---- which sector is where ---- */

static uint32_t *bucket_of(struct integrity_journal *j, uint64_t sector)
{
	return &j->buckets[sector * 0x9e3779b97f4a7c15ull >> 32 & (j->nbuckets - 1)];
}

static uint32_t newest(struct integrity_journal *j, uint64_t sector)
{
	uint32_t e = *bucket_of(j, sector);

	while (e != NONE && j->nodes[e].sector != sector)
		e = j->nodes[e].next;
	return e;
}

static void node_add(struct integrity_journal *j, uint32_t entry, uint64_t sector)
{
	uint32_t *p = bucket_of(j, sector);
	struct journal_node *n = &j->nodes[entry];

	while (*p != NONE && j->nodes[*p].sector != sector)
		p = &j->nodes[*p].next;
	*n = (struct journal_node){ .sector = sector, .next = NONE, .older = *p };
	if (*p != NONE)				/* takes its place in the bucket */
		n->next = j->nodes[*p].next;
	*p = entry;
	j->used++;
}

/* Takes out an entry; those older than it have gone before. */
static void node_remove(struct integrity_journal *j, uint32_t entry)
{
	struct journal_node *n = &j->nodes[entry];
	uint32_t *p = bucket_of(j, n->sector), e;

	while (j->nodes[*p].sector != n->sector)
		p = &j->nodes[*p].next;
	if (*p == entry) {
		*p = n->next;
	} else {
		for (e = *p; j->nodes[e].older != entry; e = j->nodes[e].older)
			;
		j->nodes[e].older = n->older;
	}
	n->sector = UINT64_MAX;
	j->used--;
}

static bool is_committed(const struct integrity_journal *j, uint32_t entry)
{
	uint32_t section = entry / j->section_entries;
	uint32_t ahead = (section + j->sections - j->committed) % j->sections;

	return ahead < j->ncommitted;
}

/* Is there a newer committed entry of the same sector? */
static bool is_outdated(struct integrity_journal *j, uint32_t entry)
{
	uint32_t e;

	for (e = newest(j, j->nodes[entry].sector); e != entry; e = j->nodes[e].older)
		if (is_committed(j, e))
			return true;
	return false;
}

void integrity_journal_adopt(struct integrity *ic, uint32_t entry, uint64_t sector)
{
	node_add(&ic->journal, entry, sector);
}

uint64_t integrity_journal_look(struct integrity *ic, uint64_t sector, uint64_t nr, bool *found)
{
	struct integrity_journal *j = &ic->journal;
	uint64_t n;

	*found = false;
	if (!j->used)
		return nr;
	*found = newest(j, sector) != NONE;
	for (n = ic->block_sectors; n < nr; n += ic->block_sectors)
		if ((newest(j, sector + n) != NONE) != *found)
			break;
	return n;
}

void integrity_journal_copy(struct integrity *ic, uint64_t sector, uint64_t nr, struct ndm_data to,
			    uint8_t *tags)
{
	uint8_t block[NDM_SECTOR_BYTES];
	uint64_t i;
	unsigned s;

	for (i = 0; i < nr; i += ic->block_sectors) {
		uint32_t e = newest(&ic->journal, sector + i);

		for (s = 0; s < ic->block_sectors; s++) {
			memcpy(block, data_of(ic, e) + s * NDM_SECTOR_BYTES, NDM_SECTOR_BYTES - 8);
			memcpy(block + NDM_SECTOR_BYTES - 8, entry_of(ic, e) + 8 + 8 * s, 8);
			ndm_data_to(&to, NDM_SECTOR_BYTES, block);
			to = ndm_data_skip(to, NDM_SECTOR_BYTES);
		}
		if (tags) {
			memcpy(tags, tag_of(ic, e), ic->tag_bytes);
			tags += ic->tag_bytes;
		}
	}
}

/* ---- into it ---- */

static void entry_fill(struct integrity *ic, uint32_t entry, uint64_t sector,
		       const struct ndm_data *data, const uint8_t *tag)
{
	uint8_t *to = data_of(ic, entry), *head = entry_of(ic, entry);
	unsigned s;

	ndm_data_from(data, ic->block_bytes, to);
	le64_put(head, sector);
	for (s = 0; s < ic->block_sectors; s++)
		memcpy(head + 8 + 8 * s, to + s * NDM_SECTOR_BYTES + NDM_SECTOR_BYTES - 8, 8);
	if (tag)
		memcpy(tag_of(ic, entry), tag, ic->tag_bytes);
	else
		memset(tag_of(ic, entry), 0, ic->tag_bytes);
	node_add(&ic->journal, entry, sector);
}

static uint32_t entry_take(struct integrity_journal *j)
{
	uint32_t entry = j->free_section * j->section_entries + j->free_entry;

	j->nfree--;
	if (++j->free_entry == j->section_entries) {
		j->free_entry = 0;
		j->free_section = (j->free_section + 1) % j->sections;
		j->nuncommitted++;
	}
	return entry;
}

int integrity_journal_write(struct integrity *ic, uint64_t sector, uint64_t nr,
			    struct ndm_data data, const uint8_t *tags)
{
	struct integrity_journal *j = &ic->journal;
	uint64_t i;

	for (i = 0; i < nr && !ic->failed; i += ic->block_sectors) {
		while (!j->nfree && !ic->failed) {
			integrity_journal_commit_soon(ic);
			ndm_wait(&j->changed);
		}
		if (ic->failed)
			break;
		entry_fill(ic, entry_take(j), sector + i, &data, tags);
		data = ndm_data_skip(data, ic->block_bytes);
		if (tags)
			tags += ic->tag_bytes;
	}
	if (j->nfree <= j->threshold)
		integrity_journal_commit_soon(ic);
	else
		integrity_autocommit(ic);
	return ic->failed;
}

/* ---- commit ---- */

static void section_close(struct integrity_journal *j)
{
	if (!j->free_entry)
		return;
	j->nfree -= j->section_entries - j->free_entry;
	j->free_entry = 0;
	j->free_section = (j->free_section + 1) % j->sections;
	j->nuncommitted++;
}

static void commit_once(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;
	uint32_t n;
	int err;

	section_close(j);
	n = j->nuncommitted;
	if (!n || ic->failed)
		return;
	j->wrote = true;
	err = integrity_sections_write(ic, j->uncommitted, n);
	if (err) {
		integrity_fail(ic, "writing journal", err);
		return;
	}
	j->uncommitted = (j->uncommitted + n) % j->sections;
	j->nuncommitted -= n;
	j->ncommitted += n;
}

static void writeback_soon(struct integrity *);

static void commit_task(void *arg)
{
	struct integrity *ic = arg;
	struct integrity_journal *j = &ic->journal;
	uint64_t now;

	while (j->done < j->wanted) {
		now = j->wanted;
		commit_once(ic);
		j->done = now;
		ndm_wake_all(&j->changed);
		if (j->nfree <= j->threshold && j->ncommitted)
			writeback_soon(ic);
	}
	j->committing = false;
	ndm_wake_all(&j->changed);
	crew_leave(&ic->tasks);
}

static void commit_start(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;

	if (j->committing)
		return;
	j->committing = true;
	ndm_timer_cancel(&ic->autocommit);
	crew_send(&ic->tasks, "integrity-commit", commit_task, ic);
}

void integrity_journal_commit_soon(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;

	/* the one under way may have begun before the last entry; one more is enough */
	if (j->wanted - j->done < 2)
		j->wanted++;
	commit_start(ic);
}

int integrity_journal_commit(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;
	uint64_t mine = ++j->wanted;

	commit_start(ic);
	while (j->done < mine)
		ndm_wait(&j->changed);
	return ic->failed;
}

/* ---- out of it ---- */

struct writeback {
	struct integrity *ic;
	struct ndm_group group;
};

/* Data goes down from where it lies in the journal. */
static void run_send(struct writeback *w, uint32_t entry, uint64_t sector, uint32_t nr)
{
	struct integrity *ic = w->ic;
	struct ndm_bio *bio = ndm_bio_get(ic->ti->loop);
	struct iovec *iov = ndm_per_bio(bio);

	*iov = (struct iovec){ data_of(ic, entry), (size_t)nr << NDM_SECTOR_SHIFT };
	bio->op = NDM_WRITE;
	bio->nr = nr;
	bio->data = (struct ndm_data){ .iov = iov, .iovcnt = 1 };
	ndm_group_add(&w->group, bio, ic->data->store, ndm_integrity_data_sector(&ic->l, sector));
}

/* May the entry after this one go with it?  Next to each other here and there. */
static bool run_goes_on(struct integrity *ic, uint32_t entry, uint32_t nr)
{
	struct integrity_journal *j = &ic->journal;
	uint64_t sector = j->nodes[entry].sector, area = 1ull << ic->l.super.log2_interleave;

	if ((entry + 1) % j->section_entries == 0 || nr >= RUN_MAX)
		return false;
	if (j->nodes[entry + 1].sector != sector + ic->block_sectors)
		return false;
	if (!ic->l.separate && !((sector + ic->block_sectors) & (area - 1)))
		return false;
	return !is_outdated(j, entry + 1);
}

/* Entries from this one on that make one write; returns how many. */
static uint32_t run_write(struct writeback *w, uint32_t entry)
{
	struct integrity *ic = w->ic;
	uint64_t sector = ic->journal.nodes[entry].sector;
	uint32_t n = 1, i, nr = ic->block_sectors;
	struct ndm_range range;
	int err = 0;

	while (run_goes_on(ic, entry + n - 1, nr)) {
		n++;
		nr += ic->block_sectors;
	}
	/* reads that looked here before these entries were made */
	ndm_range_lock(&ic->ranges, &range, sector, sector + nr - 1);
	ndm_range_unlock(&ic->ranges, &range);
	for (i = 0; i < n; i++)
		data_restore(ic, entry + i);
	run_send(w, entry, sector, nr);
	for (i = 0; i < n && !err; i++)
		err = integrity_tags_write(ic, sector + i * ic->block_sectors, ic->block_sectors,
					   tag_of(ic, entry + i));
	if (err)
		integrity_fail(ic, "writing tags", err);
	return n;
}

static void section_write(struct writeback *w, uint32_t section)
{
	struct integrity_journal *j = &w->ic->journal;
	uint32_t e = section * j->section_entries, end = e + j->section_entries;

	while (e < end && !w->ic->failed) {
		if (j->nodes[e].sector == UINT64_MAX || is_outdated(j, e))
			e++;
		else
			e += run_write(w, e);
	}
}

/* Sections first, first + 1, ... n of them: their entries are no longer needed. */
static void sections_drop(struct integrity *ic, uint32_t first, uint32_t n)
{
	struct integrity_journal *j = &ic->journal;
	uint32_t i, e, at;

	for (i = 0; i < n; i++)
		for (e = 0; e < j->section_entries; e++) {
			at = (first + i) % j->sections * j->section_entries + e;
			if (j->nodes[at].sector == UINT64_MAX)
				continue;
			node_remove(j, at);
			entry_set_unused(ic, at);
		}
}

static void writeback_once(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;
	struct writeback w = { .ic = ic };
	uint32_t first, n, i;

	ndm_lock(&j->write_lock);
	first = j->committed;
	n = j->ncommitted;
	ndm_group_init(&w.group, ic->ti->loop);
	for (i = 0; i < n; i++)
		section_write(&w, (first + i) % j->sections);
	if (ndm_group_wait(&w.group))
		integrity_fail(ic, "copying from journal", -EIO);
	if (n && !ic->failed)
		integrity_flush(ic, true);
	if (n && !ic->failed) {
		sections_drop(ic, first, n);
		j->committed = (first + n) % j->sections;
		j->ncommitted -= n;
		j->nfree += n * j->section_entries;
	}
	ndm_unlock(&j->write_lock);
	ndm_wake_all(&j->changed);
}

static void writeback_task(void *arg)
{
	struct integrity *ic = arg;
	struct integrity_journal *j = &ic->journal;

	while (j->writeback_wanted) {
		j->writeback_wanted = false;
		writeback_once(ic);
	}
	j->writing = false;
	ndm_wake_all(&j->changed);
	crew_leave(&ic->tasks);
}

static void writeback_soon(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;

	j->writeback_wanted = true;
	if (j->writing)
		return;
	j->writing = true;
	crew_send(&ic->tasks, "integrity-write", writeback_task, ic);
}

void integrity_journal_empty(struct integrity *ic)
{
	if (ic->mode != 'R' && !integrity_journal_commit(ic))
		writeback_once(ic);
}

/* ---- making it ---- */

void integrity_journal_reset(struct integrity *ic, uint32_t section)
{
	struct integrity_journal *j = &ic->journal;
	uint32_t i;

	j->committed = j->uncommitted = j->free_section = section;
	j->ncommitted = j->nuncommitted = j->free_entry = 0;
	j->nfree = j->entries;
	j->used = 0;
	for (i = 0; i < j->entries; i++)
		j->nodes[i].sector = UINT64_MAX;
	for (i = 0; i < j->nbuckets; i++)
		j->buckets[i] = NONE;
}

int integrity_journal_init(struct ndm_target *ti, struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;
	uint64_t entries, bytes;
	int err;

	j->sections = ic->l.super.journal_sections;
	j->section_entries = ic->l.section_entries;
	entries = (uint64_t)j->sections * j->section_entries;
	bytes = (uint64_t)j->sections * ic->l.section_sectors * NDM_SECTOR_BYTES;
	if (bytes > JOURNAL_BYTES_MAX || entries >= NONE / 2)
		return ndm_error(ti, -ENOMEM, "Journal doesn't fit into memory");
	j->entries = entries;
	j->nbytes = bytes;
	j->threshold = (entries * (100 - ic->watermark) + 50) / 100;
	for (j->nbuckets = 64; j->nbuckets < entries; j->nbuckets *= 2)
		;
	ndm_waitq_init(&j->changed, ti->loop);
	ndm_mutex_init(&j->write_lock, ti->loop);
	j->bytes = ndm_calloc(1, bytes);
	j->nodes = ndm_calloc(entries, sizeof *j->nodes);
	j->buckets = ndm_calloc(j->nbuckets, sizeof *j->buckets);
	if (!j->bytes || !j->nodes || !j->buckets)
		return ndm_error(ti, -ENOMEM, "Could not allocate memory for journal");
	err = integrity_journal_crypt_init(ti, ic);
	if (!err)
		integrity_journal_reset(ic, 0);
	return err;
}

void integrity_journal_free(struct integrity *ic)
{
	struct integrity_journal *j = &ic->journal;

	integrity_journal_crypt_free(ic);
	ndm_free(j->bytes);
	ndm_free(j->nodes);
	ndm_free(j->buckets);
}
