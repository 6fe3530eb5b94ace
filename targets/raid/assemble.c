/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * assemble.c - the superblocks of all members are read, the freshest is believed: it says which
 * array this is, whatever the table has.  Nothing is written here.
 *
 * Done twice: when the table is loaded, to refuse what cannot run; and when it is resumed for the
 * first time, since the table before it may have gone on writing.
 */
#include "raid.h"

static int super_read(struct raid *r, struct raid_member *m, uint8_t *block)
{
	struct ndm_store *store = m->meta->store;
	unsigned bytes = store->limits.logical_block_bytes;

	if (bytes > 4096)
		return ndm_error(r->ti, -EINVAL, "superblock size of a logical block is no longer valid");
	if (!store->nr || ndm_rw(store, NDM_READ, NDM_META, 0, bytes / NDM_SECTOR_BYTES, block)) {
		m->unreadable = true;
		return 0;
	}
	raid_super_decode(block, &m->super);
	m->first_use = m->super.magic != RAID_SUPER_MAGIC || m->rebuild;
	return 0;
}

static int supers_read(struct raid *r)
{
	uint8_t *block = patient_buffer(r->ti->loop, 4096);
	unsigned i;
	int err = 0;

	if (!block)
		return -ENOMEM;
	for (i = 0; i < r->n && !err; i++) {
		struct raid_member *m = &r->members[i];

		m->faulty = m->by_bitmap = m->unreadable = m->first_use = false;
		m->in_sync = !m->rebuild;
		m->recovery_offset = m->rebuild ? 0 : RAID_NONE;
		m->sectors = r->want_dev;
		m->data_offset = m->new_data_offset = 0;
		if (!m->meta)
			continue;
		if (r->words & RAID_SYNC)
			m->first_use = true;	/* whatever is there */
		else
			err = super_read(r, m, block);
	}
	ndm_buffer_put(r->ti->loop, block, 4096);
	return err;
}

/*
 * An array is made in two steps: superblocks with events 1, which Linux never stores, then with
 * events 2.  Where the power failed in the first step nothing has been written yet: it is new.
 */
static void half_made_forget(struct raid *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (r->members[i].meta && !r->members[i].first_use &&
		    (r->members[i].unreadable || r->members[i].super.events != 1))
			return;
	for (i = 0; i < r->n; i++)
		if (r->members[i].meta && !r->members[i].rebuild)
			r->members[i].first_use = true;
}

static struct raid_member *freshest(struct raid *r)
{
	struct raid_member *best = NULL;
	unsigned i;

	for (i = 0; i < r->n; i++) {
		struct raid_member *m = &r->members[i];

		if (!m->meta || m->unreadable)
			continue;
		if (!best || (best->first_use && !m->first_use) ||
		    (!m->first_use && m->super.events > best->super.events))
			best = m;
	}
	return best;
}

/* ---- the checks of the one that is believed ---- */

static int injected_check(struct raid *r)
{
	unsigned i, fresh = 0, rebuilds = 0, both = 0;

	for (i = 0; i < r->n; i++) {
		const struct raid_member *m = &r->members[i];

		if (!m->data)
			continue;
		fresh += m->first_use;
		rebuilds += m->rebuild;
		both += m->first_use && m->rebuild;
	}
	r->new_array = fresh == r->n;
	if (r->new_array)
		return 0;
	if (!rebuilds && fresh != rebuilds && (int)fresh != r->delta_disks)
		return ndm_error(r->ti, -EINVAL, "Unable to assemble array: Invalid superblocks: "
				 "new device injected into existing raid set without "
				 "'delta_disks' or 'rebuild' parameter specified");
	if (rebuilds && fresh && (fresh != rebuilds || both != rebuilds))
		return ndm_error(r->ti, -EINVAL, "Unable to assemble array: Invalid superblocks: "
				 "'rebuild' devices cannot be injected into a raid set with "
				 "other first-time devices");
	return 0;
}

/* raid1 and raid10 near may be shuffled */
static int positions_check(struct raid *r, const struct raid_super *top)
{
	bool near = top->level == 10 && !(top->layout & RAID10_OFFSET) &&
		    raid10_near((int)top->layout) > 1;
	unsigned i;

	for (i = 0; i < r->n; i++) {
		const struct raid_member *m = &r->members[i];

		if (!m->meta || m->first_use || m->unreadable || m->super.position == i)
			continue;
		if (near && !(top->disks % raid10_near((int)top->layout)) &&
		    !(r->n % (unsigned)r->copies10))
			continue;
		if (near)
			return ndm_error(r->ti, -EINVAL,
					 "Cannot change raid10 near set to odd # of devices!");
		if (r->type->level != 1 && !(top->level == 10 && r->type->level == 0) &&
		    !(top->level == 0 && r->type->level == 10))
			return ndm_error(r->ti, -EINVAL, "Cannot change device positions in raid set");
	}
	return 0;
}

static bool failed_bit(const struct raid_super *s, unsigned i)
{
	return i < 256 && s->failed[i / 64] >> i % 64 & 1;
}

static int features_check(struct raid *r, const struct raid_member *m)
{
	if (m->first_use)
		return 0;
	if (m->super.compat > 1)
		return ndm_error(r->ti, -EINVAL, "Unable to assemble array: "
				 "Unknown flag(s) in compatible feature flags");
	if (m->super.incompat)
		return ndm_error(r->ti, -EINVAL, "Unable to assemble array: "
				 "No incompatible feature flags supported yet");
	return 0;
}

static void member_believe(struct raid *r, struct raid_member *m, const struct raid_super *top)
{
	const struct raid_super *s = &m->super;

	/* the same for all: some superblocks may be one reshape behind after a crash */
	if (top->compat & 1) {
		m->data_offset = top->data_offset;
		m->new_data_offset = top->new_data_offset;
	}
	if (m->unreadable) {
		m->faulty = true;
		m->in_sync = false;
		return;
	}
	if (!m->meta || m->first_use)
		return;
	m->recovery_offset = s->recovery_offset;
	m->in_sync = s->recovery_offset == RAID_NONE;
	if (s->compat & 1)
		m->sectors = s->sectors;
	/* by its own number: it may have another place now */
	if (failed_bit(top, s->position)) {
		m->recovery_offset = 0;
		m->in_sync = false;
		m->by_bitmap = !r->journal;
	}
}

static bool known(const struct raid_super *s)
{
	bool chunk = s->level == 1 || (s->chunk >= 8 && !(s->chunk & (s->chunk - 1)) &&
				       s->chunk <= UINT32_C(1) << 30);

	if (s->level == 10 && (!raid10_near((int)s->layout) || !raid10_far((int)s->layout) ||
			       s->layout >> 19 || (s->layout >> 17 & 3) == 1 ||
			       raid10_near((int)s->layout) * raid10_far((int)s->layout) > s->disks))
		return false;
	return raid_type_of((int)s->level, (int)s->layout) && chunk && s->disks &&
	       s->disks <= RAID_DISKS_MAX && s->level <= 10;
}

/* somebody has begun a reshape: r->geo becomes what it shall be */
static int reshape_believe(struct raid *r, const struct raid_super *s)
{
	struct raid_super then = *s, before = *s;
	struct raid_reshape *p = &r->reshape;

	if (r->words & RAID_DELTA_DISKS)
		return ndm_error(r->ti, -EINVAL, "Unable to assemble array: Invalid superblocks: "
				 "Reshape requested but raid set is still reshaping");
	then.level = s->new_level;
	then.layout = s->new_layout;
	then.chunk = s->new_chunk;
	before.disks = s->disks - (uint32_t)s->delta_disks;
	if (s->level != s->new_level || s->level < 5 || !known(&then) || !known(&before) || r->journal ||
	    before.disks <= r->geo.parity || then.disks <= r->geo.parity)
		return ndm_error(r->ti, -EINVAL, "Unable to assemble array: Invalid superblocks: "
				 "no reshape that is known");
	p->active = true;
	p->backwards = s->delta_disks < 0 || (!s->delta_disks && s->flags & RAID_SUPER_BACKWARDS);
	p->position = s->reshape_position;
	p->old = r->geo;
	p->old.disks = before.disks;
	r->geo.layout = (int)then.layout;
	r->geo.chunk = then.chunk;
	return 0;
}

static int top_take(struct raid *r, struct raid_member *m)
{
	const struct raid_super top = m->super;
	const struct raid_type *t;
	const struct raid *owner;
	unsigned i;
	int err = injected_check(r);

	if (err)
		return err;
	if (r->new_array) {
		r->events = 0;
		r->resync_offset = r->words & RAID_NOSYNC ? RAID_NONE : 0;
		r->update = true;
		return 0;
	}
	err = features_check(r, m);
	if (!err)
		err = positions_check(r, &top);
	for (i = 0; i < r->n && !err; i++)
		if (r->members[i].meta && !r->members[i].unreadable)
			err = features_check(r, &r->members[i]);
	if (err)
		return err;
	if (!known(&top))
		return ndm_error(r->ti, -EINVAL, "Unable to assemble array: Invalid superblocks");
	t = raid_type_of((int)top.level, (int)top.layout);
	r->events = top.events ? top.events : 1;
	owner = raid_owner(r, (unsigned)(m - r->members));
	if (!(r->words & RAID_NOSYNC))
		r->resync_offset = owner ? owner->resync_offset : top.resync_offset;
	r->geo.level = t->level;
	r->geo.layout = (int)top.layout;
	r->geo.parity = t->parity;
	r->geo.chunk = top.level == 1 ? 0 : top.chunk;
	r->geo.disks = top.disks;
	if (top.compat & 1)
		r->geo.array_sectors = top.array_sectors;
	if (top.compat & 1 && top.flags & RAID_SUPER_RESHAPE && top.reshape_position != RAID_NONE)
		err = reshape_believe(r, &top);
	if (err)
		return err;
	for (i = 0; i < r->n; i++)
		member_believe(r, &r->members[i], &top);
	return 0;
}

/* ---- may it run ---- */

/* as Linux looks at it first: members whose superblock is not there at all */
static bool redundancy_lacks(const struct raid *r)
{
	unsigned i, gone = 0;

	if (!r->persistent || r->new_array)
		return false;
	for (i = 0; i < r->n; i++)
		gone += !r->members[i].meta;
	if (r->geo.level == 1)
		return gone >= r->geo.disks;
	if (r->geo.level == 10)
		return gone >= raid10_copies(r->geo.layout) && !raid_may_run(r, RAID_DISKS_MAX);
	return gone > r->geo.parity;
}

static int redundancy_check(struct raid *r)
{
	unsigned i;

	if (!r->geo.level) {
		for (i = 0; i < r->n; i++)
			if (!r->members[i].data)
				return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
						 "member %u is missing", i);
		return 0;
	}
	if (redundancy_lacks(r))
		return ndm_error(r->ti, -EINVAL, "Insufficient redundancy to activate array");
	if (!raid_may_run(r, RAID_DISKS_MAX))
		return ndm_error(r->ti, r->geo.level == 1 ? -EINVAL : -EIO,
				 "Failed to run raid array: too few members");
	return 0;
}

/* members not in sync that have nothing but parity: a resync makes it, whatever is there */
static unsigned parity_only(const struct raid *r)
{
	const struct raid_geometry *g = &r->geo;
	unsigned i, n = 0;

	for (i = 0; i < g->disks; i++) {
		bool last = i + 1 == g->disks, before = i + 2 == g->disks, only;

		if (!raid_member_alive(r, i) || r->members[i].in_sync)
			continue;
		if (g->level == 6)
			only = (last && (g->layout == 5 || g->layout >= 16)) || (before && g->layout == 5);
		else
			only = (g->layout == 4 && !i) || (g->layout == 5 && last);
		n += only;
	}
	return n;
}

static int run_check(struct raid *r)
{
	const struct raid_geometry *g = &r->geo;
	unsigned i;
	int err;

	if (g->level == 6 && g->disks < 4)
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
				 "raid6 wants at least 4 devices");
	if (g->level == 10 && (!(g->layout >> 8) || r->words & RAID_SYNC))
		return ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
				 "raid10 needs the superblocks of metadata devices");
	err = redundancy_check(r);
	if (err)
		return err;
	for (i = 0; i < r->n; i++) {		/* what a superblock says need not fit */
		uint64_t room = r->members[i].data ? r->members[i].data->store->nr : RAID_NONE;
		uint64_t begins = r->members[i].data_offset;

		if (r->reshape.active && begins < r->members[i].new_data_offset)
			begins = r->members[i].new_data_offset;
		if (begins > room || g->dev_sectors > room - begins)
			return ndm_error(r->ti, -EINVAL, "Component device(s) too small");
	}
	if (g->parity && raid_stripe_cache(r) != 256 &&
	    (raid_stripe_cache(r) <= 16 || raid_stripe_cache(r) > 32768))
		return ndm_error(r->ti, -EINVAL, "Failed to set raid4/5/6 stripe cache size");
	if (g->parity && raid_degraded(r) > parity_only(r) && r->resync_offset < g->dev_sectors)
		return ndm_error(r->ti, -EIO, "Failed to run raid array: "
				 "cannot start dirty degraded array");
	return 0;
}

static void table_believe(struct raid *r)
{
	r->geo.level = r->want_level;
	r->geo.layout = r->want_layout;
	r->geo.chunk = r->want_chunk;
	r->geo.parity = r->type->parity;
	r->geo.disks = r->n;
}

static void usable_set(struct raid *r)
{
	r->usable = raid_size_of(&r->geo);
}

int raid_assemble(struct raid *r)
{
	struct raid_member *top;
	int err;

	r->new_array = r->grow = r->update = r->bitmap_anew = false;
	r->reshape.active = r->reshape.backwards = false;
	r->reshape.old = (struct raid_geometry){ 0 };
	r->events = 0;
	r->resync_offset = RAID_NONE;
	r->geo.array_sectors = r->want_array;
	r->geo.dev_sectors = r->want_dev;
	table_believe(r);
	err = supers_read(r);
	if (err)
		return err;
	half_made_forget(r);
	top = freshest(r);
	if (!r->geo.level) {			/* written, and never looked at */
		if (top) {
			r->events = top->first_use ? 1 : top->super.events;
			r->update = true;
		}
		err = raid_convert(r);
	} else if (top) {
		err = top_take(r, top);
		if (!err)
			err = raid_convert(r);
	} else if (r->persistent) {
		err = ndm_error(r->ti, -EINVAL, "Failed to run raid array: "
				"no superblock can be read");
	} else if (r->geo.level == 10) {
		r->geo.layout = 0;		/* as Linux has it: refused below */
	}
	if (err)
		return err;
	err = run_check(r);
	if (err)
		return err;
	r->degraded = raid_degraded(r);
	usable_set(r);
	return r->geo.level && r->persistent && !r->journal ? raid_bitmap_check(r) : 0;
}
