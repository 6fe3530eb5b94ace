/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * member.c - members that fail, and what is written to the superblocks.
 *
 * A write that a member has failed may be called done only when the others' superblocks say that
 * this member is not to be believed any more.  Each update counts events up, and writes the
 * bitmap's superblock first: a bitmap whose events are behind is not believed.
 *
 * array_resync_offset: Linux' md stores 0 while an array is written to, so that after a crash the
 * regions that the bitmap names are made equal again; Linux' dm-raid forgets to, and does not.
 * Here it is 0 from the first write on; Linux and we resync those regions then.  Not where a
 * raid4/5/6 is degraded: there is nothing to resync from, and Linux would refuse to run it.
 *
 * A member that comes back keeps its failed bit until it is in sync: what it has missed is in the
 * bitmap, also after a crash in the midst of it.
 */
#include "raid.h"

struct ndm_store *raid_store(const struct raid *r, unsigned i)
{
	return r->members[i].data->store;
}

uint64_t raid_member_sector(const struct raid *r, unsigned i, uint64_t sector, bool old)
{
	const struct raid_member *m = &r->members[i];

	return sector + (r->reshape.active && !old ? m->new_data_offset : m->data_offset);
}

bool raid_member_readable(const struct raid *r, unsigned i, uint64_t sector, uint64_t nr)
{
	const struct raid_member *m = &r->members[i];

	if (!raid_member_alive(r, i))
		return false;
	/* how far it has got says nothing where rows mean two things */
	return m->in_sync || (!m->by_bitmap && !r->reshape.active && sector + nr <= m->recovery_offset);
}

/* in the one of two shapes that lacks more */
unsigned raid_degraded(const struct raid *r)
{
	unsigned i, lack, most = 0, shape;

	for (shape = 0; shape < 1u + r->reshape.active; shape++) {
		for (i = 0, lack = 0; i < raid_geo(r, shape)->disks; i++)
			lack += !raid_member_alive(r, i) || !r->members[i].in_sync;
		most = lack > most ? lack : most;
	}
	return most;
}

static bool in_sync_without(const struct raid *r, unsigned i, unsigned without)
{
	return i != without && raid_member_alive(r, i) && r->members[i].in_sync;
}

bool raid_shape_runs(const struct raid *r, const struct raid_geometry *g, unsigned without)
{
	unsigned i, k, good = 0, copies;

	for (i = 0; i < g->disks; i++)
		good += in_sync_without(r, i, without);
	switch (g->level) {
	case 0:
		return good == g->disks;
	case 1:
		return good > 0;
	case 10:
		copies = raid10_near(g->layout) * raid10_far(g->layout);
		for (i = 0; i < g->disks; i += raid10_near(g->layout)) {
			for (k = 0, good = 0; k < copies; k++)
				good += in_sync_without(r, (i + k) % g->disks, without);
			if (!good)
				return false;
		}
		return true;
	default:
		return good + g->parity >= g->disks;
	}
}

bool raid_may_run(const struct raid *r, unsigned without)
{
	return raid_shape_runs(r, &r->geo, without) &&
	       (!r->reshape.active || raid_shape_runs(r, &r->reshape.old, without));
}

bool raid_member_fail(struct raid *r, unsigned i, const char *why)
{
	struct raid_member *m = &r->members[i];

	if (m->faulty || !r->geo.level)
		return m->faulty;
	/* the last copy is never called failed: its errors are passed up */
	if (m->in_sync && !r->geo.parity && !raid_may_run(r, i))
		return false;
	m->faulty = true;
	m->in_sync = false;
	r->degraded = raid_degraded(r);
	r->supers_wanted++;
	ndm_warn(r->ti, "%s of member %u (%s): it is not used any more", why, i, m->data->name);
	if (r->geo.parity && r->degraded > r->geo.parity)
		ndm_warn(r->ti, "Cannot continue operation (%u/%u failed)", r->degraded,
			 r->geo.disks);
	ndm_event(r->ti);
	raid_sync_kick(r);
	return true;
}

/* ---- superblocks ---- */

/*
 * Not while it is reshaped: Linux would resync first, and forget what shape it was on its way to.
 * Whoever goes on looks at the bitmap (here), or leaves stripes as they are (Linux).
 */
static uint64_t resync_offset_shown(const struct raid *r)
{
	if (r->reshape.active)
		return RAID_NONE;
	if (r->marked && (!r->geo.parity || !r->degraded))
		return 0;
	return r->resync_offset;
}

/* level, layout and chunk are those that are left; the number of disks is that to come */
static void reshape_fill(const struct raid *r, const struct raid_member *m, struct raid_super *s)
{
	const struct raid_reshape *p = &r->reshape;
	uint64_t apart = m->data_offset > m->new_data_offset ? m->data_offset - m->new_data_offset
							     : m->new_data_offset - m->data_offset;

	if (!p->active)
		return;
	s->flags = RAID_SUPER_RESHAPE | (p->backwards ? RAID_SUPER_BACKWARDS : 0);
	s->reshape_position = p->position;
	s->layout = (uint32_t)p->old.layout;
	s->chunk = p->old.chunk;
	s->delta_disks = (int)r->geo.disks - (int)p->old.disks;
	if (s->delta_disks > 0)
		s->array_sectors = p->old.array_sectors;
	if (!p->backwards)
		s->sectors += apart;
}

static void super_fill(const struct raid *r, unsigned i, struct raid_super *s)
{
	const struct raid_member *m = &r->members[i];
	unsigned k;

	*s = (struct raid_super){
		.magic = RAID_SUPER_MAGIC, .compat = 1, .disks = r->geo.disks, .position = i,
		.events = r->events, .recovery_offset = m->in_sync ? RAID_NONE : m->recovery_offset,
		.resync_offset = resync_offset_shown(r), .level = (uint32_t)r->geo.level,
		.layout = (uint32_t)r->geo.layout, .chunk = r->geo.chunk,
		.new_level = (uint32_t)r->geo.level, .new_layout = (uint32_t)r->geo.layout,
		.new_chunk = r->geo.chunk, .reshape_position = RAID_NONE,
		.array_sectors = r->geo.array_sectors, .data_offset = m->data_offset,
		.new_data_offset = m->new_data_offset, .sectors = r->geo.dev_sectors,
	};
	reshape_fill(r, m, s);
	for (k = 0; k < r->n; k++)
		if (!raid_member_alive(r, k) || (r->members[k].by_bitmap && !r->members[k].in_sync))
			s->failed[k / 64] |= UINT64_C(1) << k % 64;
}

static int supers_write(struct raid *r)
{
	struct ndm_loop *loop = r->ti->loop;
	int err = 0, got = 0;
	struct raid_super s;
	unsigned i, bytes;
	uint8_t *block;

	block = patient_buffer(loop, 4096);
	if (!block)
		return -ENOMEM;
	for (i = 0; i < r->n; i++) {
		if (!raid_member_alive(r, i) || !r->members[i].meta)
			continue;
		bytes = r->members[i].meta->store->limits.logical_block_bytes;
		memset(block, 0, 4096);
		super_fill(r, i, &s);
		raid_super_encode(block, &s);
		err = ndm_rw(r->members[i].meta->store, NDM_WRITE, NDM_FUA | NDM_META, 0,
			     bytes / NDM_SECTOR_BYTES, block);
		if (!err)
			got++;
		else if (!raid_member_fail(r, i, "Write error of the superblock"))
			got = -1;
		if (got < 0)
			break;
	}
	ndm_buffer_put(loop, block, 4096);
	return got > 0 ? 0 : err ? err : -EIO;
}

/* again while members fail meanwhile: those that are left must know */
int raid_supers_update(struct raid *r)
{
	uint64_t mine = ++r->supers_wanted, now;
	int err = 0;

	if (!r->persistent)
		return 0;
	ndm_lock(&r->supers);
	while (r->supers_written < mine && !err) {
		raid_behind_settle(r);
		now = r->supers_wanted;
		r->events++;
		err = raid_bitmap_super(r);
		if (!err)
			err = supers_write(r);
		if (!err)
			r->supers_written = now;
		if (r->supers_wanted != now)
			mine = r->supers_wanted;
	}
	ndm_unlock(&r->supers);
	return err;
}

int raid_supers_failed(struct raid *r)
{
	return r->persistent && r->supers_written < r->supers_wanted ? raid_supers_update(r) : 0;
}

/*
 * A table that is loaded meanwhile finds superblocks that are unclean only because this one is in
 * use: it can ask here.
 */
static struct raid **owner_slot(const struct raid *r, unsigned i)
{
	const struct ndm_dev *meta = r->members[i].meta;

	return meta ? (struct raid **)ndm_slot(r->ti->loop, "raid", meta->store->identity) : NULL;
}

void raid_owner_set(struct raid *r, bool mine)
{
	struct raid **slot;
	unsigned i;

	for (i = 0; i < r->n; i++) {
		slot = owner_slot(r, i);
		if (slot && (mine || *slot == r))
			*slot = mine ? r : NULL;
	}
}

const struct raid *raid_owner(const struct raid *r, unsigned i)
{
	struct raid **slot = owner_slot(r, i);

	return slot && *slot != r ? *slot : NULL;
}

/* nobody goes on before it is on disk, whoever has begun it */
int raid_mark_unclean(struct raid *r)
{
	int err;

	if (!r->persistent || !r->geo.level || r->journal || (r->marked && r->supers_written >= r->marked_at))
		return 0;
	if (!r->marked) {
		r->marked = true;
		r->marked_at = r->supers_wanted + 1;
		raid_owner_set(r, true);
	}
	err = raid_supers_update(r);
	if (err)
		r->marked = false;
	return err;
}

int raid_flush_members(struct raid *r)
{
	struct ndm_bio flush = { .op = NDM_FLUSH };
	struct ndm_group *g;
	unsigned i;
	int err, last = 0;

	g = patient_zalloc(r->ti->loop, r->n * sizeof *g);
	if (!g)
		return -ENOMEM;
	for (i = 0; i < r->n; i++) {
		ndm_group_init(&g[i], r->ti->loop);
		if (raid_member_alive(r, i))
			ndm_group_add(&g[i], ndm_clone(r->ti->loop, &flush, 0, 0), raid_store(r, i), 0);
	}
	for (i = 0; i < r->n; i++) {
		err = ndm_group_wait(&g[i]);
		if (err && !raid_member_fail(r, i, "A flush has failed"))
			last = err;
	}
	ndm_free(g);
	if (r->geo.parity && r->degraded > r->geo.parity)
		return -EIO;
	err = raid_supers_failed(r);
	return last ? last : err;
}
