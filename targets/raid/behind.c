/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * behind.c - raid1: writes that are answered before write-mostly legs have them (max_write_behind).
 *
 * Such a leg gets a copy of the data; the others' legs are waited for.  The regions stay marked in
 * the bitmap until all legs have them, so that after a crash the leg is made equal from the others,
 * and a resync, or another write of the same place, waits for what is behind.
 *
 * A read that must go to such a leg waits until nothing is behind.  A flush (and FUA) covers the
 * legs that were waited for: data are durable there once it is answered, as with Linux' md.  When
 * the last of those fails, what is behind is waited for and flushed before any superblock says so:
 * until then a crash would still believe that leg, afterwards the others have it all.
 */
#include "raid.h"

#define BEHIND_BYTES (64u << 20)		/* of one array, at most */

static bool is_behind_leg(const struct raid *r, unsigned i)
{
	return r->members[i].write_mostly && raid_member_alive(r, i);
}

static bool other_leg(const struct raid *r)
{
	unsigned i;

	for (i = 0; i < r->geo.disks; i++)
		if (!r->members[i].write_mostly && raid_member_alive(r, i) && r->members[i].in_sync)
			return true;
	return false;
}

struct raid_late *raid_behind_begin(struct raid *r, const struct ndm_bio *bio)
{
	size_t bytes = bio->nr * NDM_SECTOR_BYTES;
	struct raid_late *l;
	bool any = false;
	unsigned i;

	if (!r->write_behind || r->geo.level != 1 || bio->op != NDM_WRITE || !r->bitmap.on_disk ||
	    r->behind >= (unsigned)r->write_behind || r->behind_readers || r->frozen || bio->source ||
	    r->behind_bytes + bytes > BEHIND_BYTES)
		return NULL;
	for (i = 0; i < r->geo.disks; i++)
		any |= is_behind_leg(r, i);
	if (!any || !other_leg(r))
		return NULL;
	l = ndm_zalloc(sizeof *l);
	if (!l)
		return NULL;
	l->buf = ndm_buffer_get(r->ti->loop, bytes);
	if (!l->buf) {
		ndm_free(l);
		return NULL;
	}
	l->r = r;
	l->bytes = bytes;
	ndm_data_from(&bio->data, bytes, l->buf);
	l->iov = (struct iovec){ l->buf, bytes };
	l->bio = (struct ndm_bio){ .op = NDM_WRITE, .flags = bio->flags, .nr = bio->nr,
				   .data = { &l->iov, 1, 0 } };
	r->behind++;
	r->behind_tasks++;
	r->behind_bytes += bytes;
	return l;
}

void raid_behind_written(struct raid_late *l)
{
	struct raid *r = l->r;

	r->behind--;
	r->behind_bytes -= l->bytes;
	ndm_buffer_put(r->ti->loop, l->buf, l->bytes);
	ndm_free(l);
	ndm_wake_all(&r->behind_idle);
}

void raid_behind_end(struct raid *r)
{
	r->behind_tasks--;
	ndm_wake_all(&r->behind_idle);
}

/* until nobody comes back to this array any more: it may be given up then */
void raid_behind_drain(struct raid *r)
{
	while (r->behind_tasks)
		ndm_wait(&r->behind_idle);
}

void raid_behind_wait(struct raid *r)
{
	r->behind_readers++;
	while (r->behind)
		ndm_wait(&r->behind_idle);
	r->behind_readers--;
}

void raid_behind_settle(struct raid *r)
{
	unsigned i;

	if (r->geo.level != 1 || !r->write_behind || other_leg(r)) {
		r->behind_settled = false;
		return;
	}
	if (r->behind_settled)
		return;
	raid_behind_wait(r);
	for (i = 0; i < r->geo.disks; i++)
		if (is_behind_leg(r, i) && ndm_flush(raid_store(r, i)))
			ndm_warn(r->ti, "a flush of member %u, the last leg, has failed", i);
	r->behind_settled = true;
}
