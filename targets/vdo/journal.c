/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.c - the recovery journal while there are writes.
 *
 * Changes gather in up to sixteen blocks in memory and are committed together: what was written
 * before is flushed, then the blocks are written and flushed.  The last block, when it is not full,
 * stays open and is written again with more entries.  Each sector says how many of its entries
 * count and, by its check byte, of which round through the ring it is; so it does not matter where
 * a block is torn.
 *
 * A block that was freed is put back when the change that freed it has been committed.
 */
#include "targets/vdo/vdo.h"

int journal_init(struct vdo *v)
{
	struct vdo_journal *j = &v->journal;

	*j = (struct vdo_journal){ .room = JOURNAL_ROOM };
	if (j->room > v->super.journal_blocks / 4)
		j->room = (unsigned)(v->super.journal_blocks / 4);
	j->pending = ndm_buffer_get(v->ti->loop, JOURNAL_ROOM * NDM_VDO_BLOCK);
	return j->pending ? 0 : -ENOMEM;
}

void journal_free(struct vdo *v)
{
	if (v->journal.pending)
		ndm_buffer_put(v->ti->loop, v->journal.pending, JOURNAL_ROOM * NDM_VDO_BLOCK);
	v->journal.pending = NULL;
	ndm_free(v->journal.freed);
	v->journal.freed = NULL;
	v->journal.nfreed = v->journal.freed_room = 0;
}

void journal_restart(struct vdo *v, uint64_t sequence)
{
	struct vdo_journal *j = &v->journal;

	j->head = j->first = sequence;
	j->blocks = j->entries = 0;
	j->uncommitted = false;
}

unsigned journal_space(const struct vdo *v)
{
	const struct vdo_journal *j = &v->journal;
	unsigned open = j->blocks ? NDM_VDO_JOURNAL_ENTRIES - j->entries : 0;

	return (j->room - j->blocks) * NDM_VDO_JOURNAL_ENTRIES + open;
}

bool journal_is_long(const struct vdo *v)
{
	const struct vdo_journal *j = &v->journal;

	return j->first + j->room - j->head >= v->super.journal_blocks / 2;
}

static uint8_t *pending_block(struct vdo_journal *j, unsigned i)
{
	return j->pending + (size_t)i * NDM_VDO_BLOCK;
}

static void block_open(struct vdo *v)
{
	struct vdo_journal *j = &v->journal;
	uint64_t sequence = j->first + j->blocks;

	j->last = (struct ndm_vdo_journal_head){
		.sequence = sequence, .nonce = v->super.nonce, .type = NDM_VDO_JOURNAL_TYPE,
		.logical_used = v->super.logical_used, .map_blocks = v->super.map_blocks,
		.check = ndm_vdo_journal_check_byte(sequence, v->super.journal_blocks),
		.recovery = (uint8_t)v->super.complete_recoveries,
	};
	memset(pending_block(j, j->blocks), 0, NDM_VDO_BLOCK);
	ndm_vdo_journal_head_put(pending_block(j, j->blocks), &j->last);
	j->blocks++;
	j->entries = 0;
}

void journal_append(struct vdo *v, const struct ndm_vdo_change *c)
{
	struct vdo_journal *j = &v->journal;

	if (!j->blocks || j->entries == NDM_VDO_JOURNAL_ENTRIES)
		block_open(v);
	ndm_vdo_change_put(pending_block(j, j->blocks - 1), &j->last, j->entries++, c);
	j->uncommitted = true;
	j->entries_made++;
	if (c->tree)
		v->super.map_blocks++;
	else
		v->super.logical_used += (c->now.state != NDM_VDO_UNMAPPED) - (c->before.state != NDM_VDO_UNMAPPED);
	if (c->before.pbn)
		j->freed[j->nfreed++] = c->before.pbn;
}

static void heads_put(struct vdo *v)
{
	struct vdo_journal *j = &v->journal;
	struct ndm_vdo_journal_head h;
	unsigned i;

	for (i = 0; i < j->blocks; i++) {
		ndm_vdo_journal_head_get(pending_block(j, i), &h);
		h.map_head = h.slab_head = j->head;
		h.entries = i + 1 < j->blocks ? NDM_VDO_JOURNAL_ENTRIES : j->entries;
		ndm_vdo_journal_head_put(pending_block(j, i), &h);
	}
}

static int blocks_write(struct vdo *v)
{
	struct vdo_journal *j = &v->journal;
	uint64_t size = v->super.journal_blocks, at, n;
	unsigned i;
	int err = ndm_flush(v->dev->store);

	for (i = 0; i < j->blocks && !err; i += n) {
		at = (j->first + i) % size;
		n = j->blocks - i;
		if (n > size - at)
			n = size - at;
		err = vdo_block_write(v, v->super.part[NDM_VDO_JOURNAL].start + at, n, pending_block(j, i));
	}
	return err ? err : ndm_flush(v->dev->store);
}

int journal_commit(struct vdo *v)
{
	struct vdo_journal *j = &v->journal;
	unsigned whole;
	size_t i;
	int err;

	if (!j->uncommitted)
		return 0;
	heads_put(v);
	err = blocks_write(v);
	if (err)
		return vdo_fail(v, "writing the recovery journal", err);
	j->committed_blocks += j->blocks;
	j->entries_committed = j->entries_made;
	whole = j->entries == NDM_VDO_JOURNAL_ENTRIES ? j->blocks : j->blocks - 1;
	if (whole && whole < j->blocks)
		memmove(j->pending, pending_block(j, whole), NDM_VDO_BLOCK);
	j->first += whole;
	j->blocks -= whole;
	j->uncommitted = false;
	for (i = 0; i < j->nfreed; i++)
		depot_unref(v, j->freed[i]);
	j->nfreed = 0;
	return 0;
}
