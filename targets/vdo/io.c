/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - requests, in runs of up to 64 blocks.
 *
 * A write goes to blocks that are free, never over what is there; a block of zeroes takes none.
 * What covers a block in part is filled up with what is there.  Nothing is deduplicated or
 * compressed here; what was before, stays so, and is read.
 *
 * The range of lbns is locked meanwhile: so what is looked up stays where it is until it is read.
 */
#include "targets/vdo/vdo.h"

#include "lib/kit/lz4.h"

#define RUN 64u
#define BS NDM_VDO_BLOCK_SECTORS

struct request {
	struct vdo *v;
	struct ndm_bio *bio;
	uint64_t first, end;			/* sectors of the volume */
};

static uint64_t store_sector(const struct vdo *v, uint64_t pbn)
{
	return (pbn - v->geometry.bio_offset) * BS;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct ndm_data data_at(const struct request *r, uint64_t sector)
{
	return ndm_data_skip(r->bio->data, (sector - r->first) * NDM_SECTOR_BYTES);
}

static int lookup(struct vdo *v, uint64_t lbn, unsigned n, struct ndm_vdo_location *at)
{
	unsigned done = 0, i;
	int got;

	while (done < n) {
		got = map_lookup(v, lbn + done, n - done, at + done);
		if (got < 0)
			return got;
		done += (unsigned)got;
	}
	for (i = 0; i < n; i++)
		if (!ndm_vdo_entry_ok(&v->super, at[i])) {
			ndm_warn(v->ti, "block %" PRIu64 " of the volume has an entry that cannot be", lbn + i);
			return -EIO;
		}
	return 0;
}

/* ---- reading ---- */

/* The fragment's block into `to`; `block` is room for the one it is in. */
static int fragment_read(struct vdo *v, struct ndm_vdo_location at, uint8_t *block, uint8_t *to)
{
	unsigned offset, bytes;
	int err = ndm_rw(v->dev->store, NDM_READ, 0, store_sector(v, at.pbn), BS, block);

	err = err ? err : ndm_vdo_fragment(block, at.state, &offset, &bytes);
	if (!err && ndm_lz4_decode(block + offset, bytes, to, NDM_VDO_BLOCK) != (int)NDM_VDO_BLOCK)
		err = -EIO;
	return err;
}

static int block_read(struct vdo *v, struct ndm_vdo_location at, uint8_t *to)
{
	uint8_t *block;
	int err;

	if (!at.pbn) {
		memset(to, 0, NDM_VDO_BLOCK);
		return 0;
	}
	if (at.state < NDM_VDO_FRAGMENT)
		return ndm_rw(v->dev->store, NDM_READ, 0, store_sector(v, at.pbn), BS, to);
	block = ndm_buffer_get(v->ti->loop, NDM_VDO_BLOCK);
	err = block ? fragment_read(v, at, block, to) : -ENOMEM;
	if (block)
		ndm_buffer_put(v->ti->loop, block, NDM_VDO_BLOCK);
	return err;
}

static int fragment_to_bio(const struct request *r, struct ndm_vdo_location at, uint64_t from, uint64_t to)
{
	uint8_t *buf = ndm_buffer_get(r->v->ti->loop, NDM_VDO_BLOCK);
	struct ndm_data d = data_at(r, from);
	int err = buf ? block_read(r->v, at, buf) : -ENOMEM;

	if (!err)
		ndm_data_to(&d, (to - from) * NDM_SECTOR_BYTES, buf + from % BS * NDM_SECTOR_BYTES);
	if (buf)
		ndm_buffer_put(r->v->ti->loop, buf, NDM_VDO_BLOCK);
	return err;
}

/* How many blocks from at[0] on are read in one go. */
static unsigned run_length(const struct ndm_vdo_location *at, unsigned n)
{
	unsigned i = 1;

	if (at[0].state >= NDM_VDO_FRAGMENT)
		return 1;
	while (i < n && at[i].state < NDM_VDO_FRAGMENT && at[i].pbn == (at[0].pbn ? at[0].pbn + i : 0))
		i++;
	return i;
}

static int run_read(const struct request *r, uint64_t lbn, unsigned n)
{
	struct ndm_vdo_location at[RUN];
	struct ndm_loop *loop = r->v->ti->loop;
	struct ndm_group g;
	unsigned i, len;
	int err = lookup(r->v, lbn, n, at), late;

	ndm_group_init(&g, loop);
	for (i = 0; i < n && !err; i += len) {
		uint64_t from = larger(r->first, (lbn + i) * BS), to;
		struct ndm_data d = data_at(r, from);

		len = run_length(at + i, n - i);
		to = smaller(r->end, (lbn + i + len) * BS);
		if (at[i].state >= NDM_VDO_FRAGMENT)
			err = fragment_to_bio(r, at[i], from, to);
		else if (!at[i].pbn)
			ndm_data_zero(&d, (to - from) * NDM_SECTOR_BYTES);
		else
			ndm_group_add(&g, ndm_clone(loop, r->bio, from - r->first, to - from), r->v->dev->store,
				      store_sector(r->v, at[i].pbn) + from % BS);
	}
	late = ndm_group_wait(&g);
	return err ? err : late;
}

/* ---- writing ---- */

static bool is_zero(const uint8_t *p)
{
	return !*p && !memcmp(p, p + 1, NDM_VDO_BLOCK - 1);
}

/* A block that is not covered whole, as it will be. */
static int block_merge(const struct request *r, uint64_t lbn, uint8_t *buf)
{
	uint64_t from = larger(r->first, lbn * BS), to = smaller(r->end, (lbn + 1) * BS);
	uint8_t *at = buf + from % BS * NDM_SECTOR_BYTES;
	struct ndm_vdo_location old;
	struct ndm_data d = data_at(r, from);
	int err = lookup(r->v, lbn, 1, &old);

	err = err ? err : block_read(r->v, old, buf);
	if (err)
		return err;
	if (r->bio->op == NDM_WRITE)
		ndm_data_from(&d, (to - from) * NDM_SECTOR_BYTES, at);
	else
		memset(at, 0, (to - from) * NDM_SECTOR_BYTES);
	return 0;
}

static bool covers(const struct request *r, uint64_t lbn)
{
	return r->first <= lbn * BS && r->end >= (lbn + 1) * BS;
}

static bool window_is_zero(const struct request *r, uint64_t lbn, uint8_t *buf)
{
	struct ndm_data d = data_at(r, lbn * BS);
	const uint8_t *flat = ndm_data_flat(&d, NDM_VDO_BLOCK);

	if (flat)
		return is_zero(flat);
	ndm_data_from(&d, NDM_VDO_BLOCK, buf);
	return is_zero(buf);
}

/* A block in part: at *now, or nowhere when all of it is zero. */
static int part_write(const struct request *r, uint64_t lbn, struct ndm_vdo_location *now, uint8_t *buf)
{
	int err = block_merge(r, lbn, buf);

	*now = (struct ndm_vdo_location){ .state = NDM_VDO_MAPPED };
	if (err || is_zero(buf))
		return err;
	err = vdo_alloc(r->v, &now->pbn);
	if (err)
		return err;
	err = ndm_rw(r->v->dev->store, NDM_WRITE, 0, store_sector(r->v, now->pbn), BS, buf);
	if (err) {
		depot_unref(r->v, now->pbn);
		now->pbn = 0;
	}
	return err;
}

/* Where each whole block shall go. */
static int places(const struct request *r, uint64_t lbn, unsigned n, struct ndm_vdo_location *now, uint8_t *buf)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		now[i] = (struct ndm_vdo_location){ .state = NDM_VDO_MAPPED };
		if (!window_is_zero(r, lbn + i, buf))
			err = vdo_alloc(r->v, &now[i].pbn);
	}
	return err;
}

static int data_write(const struct request *r, uint64_t lbn, unsigned n, const struct ndm_vdo_location *now)
{
	struct ndm_loop *loop = r->v->ti->loop;
	struct ndm_group g;
	unsigned i, len;

	ndm_group_init(&g, loop);
	for (i = 0; i < n; i += len) {
		struct ndm_bio *c;

		len = run_length(now + i, n - i);
		if (!now[i].pbn)
			continue;
		c = ndm_clone(loop, r->bio, (lbn + i) * BS - r->first, (uint64_t)len * BS);
		c->flags &= ~NDM_FUA;		/* the commit sees to it */
		ndm_group_add(&g, c, r->v->dev->store, store_sector(r->v, now[i].pbn));
	}
	return ndm_group_wait(&g);
}

static void places_drop(struct vdo *v, const struct ndm_vdo_location *now, unsigned n)
{
	while (n--)
		if (now[n].pbn)
			depot_unref(v, now[n].pbn);
}

static int run_write(const struct request *r, uint64_t lbn, unsigned n, uint8_t *buf)
{
	struct ndm_vdo_location now[RUN] = { { 0 } };
	int err;

	if (!covers(r, lbn)) {
		err = part_write(r, lbn, now, buf);
	} else {
		err = places(r, lbn, n, now, buf);
		err = err ? err : data_write(r, lbn, n, now);
		if (err)
			places_drop(r->v, now, n);
	}
	return err ? err : vdo_change(r->v, lbn, n, now, true);
}

/* DISCARD, ZEROES: whole blocks lose their entries, parts are written. */
static int run_clear(const struct request *r, uint64_t lbn, unsigned n, uint8_t *buf)
{
	static const struct ndm_vdo_location nowhere[RUN];

	if (!covers(r, lbn))
		return run_write(r, lbn, 1, buf);
	return vdo_change(r->v, lbn, n, nowhere, false);
}

/* ---- block status ---- */

static int extents(const struct request *r)
{
	uint64_t lbn = r->first / BS, last = (r->end - 1) / BS, begun = r->first, from, at0 = r->bio->sector;
	struct ndm_vdo_location at[RUN];
	int type = -1, now, got, i;

	while (lbn <= last) {
		got = map_lookup(r->v, lbn, (unsigned)smaller(RUN, last - lbn + 1), at);
		if (got < 0)
			return got;
		for (i = 0; i < got; i++) {
			now = at[i].pbn ? 0 : NDM_EXTENT_HOLE | NDM_EXTENT_ZERO;
			from = larger(r->first, (lbn + i) * BS);
			if (type >= 0 && now != type) {
				ndm_extent_add(r->bio, at0 + begun - r->first, from - begun, (unsigned)type);
				begun = from;
			}
			type = now;
		}
		lbn += (unsigned)got;
	}
	ndm_extent_add(r->bio, at0 + begun - r->first, r->end - begun, (unsigned)type);
	return 0;
}

/* ---- */

static int runs(const struct request *r)
{
	uint64_t lbn = r->first / BS, end = (r->end + BS - 1) / BS, n;
	uint8_t *buf = NULL;
	int err = 0;

	if (r->bio->op != NDM_READ) {
		buf = ndm_buffer_get(r->v->ti->loop, NDM_VDO_BLOCK);
		if (!buf)
			return -ENOMEM;
	}
	for (; lbn < end && !err; lbn += n) {
		n = smaller(RUN, end - lbn);
		if (r->bio->op == NDM_READ) {
			err = run_read(r, lbn, (unsigned)n);
			continue;
		}
		if (!covers(r, lbn))
			n = 1;
		else if (n > 1 && !covers(r, lbn + n - 1))
			n--;
		err = r->bio->op == NDM_WRITE ? run_write(r, lbn, (unsigned)n, buf) : run_clear(r, lbn, (unsigned)n, buf);
	}
	if (buf)
		ndm_buffer_put(r->v->ti->loop, buf, NDM_VDO_BLOCK);
	return err;
}

static void count(struct vdo *v, const struct ndm_bio *bio)
{
	v->in.read += bio->op == NDM_READ;
	v->in.write += bio->op == NDM_WRITE;
	v->in.discard += bio->op == NDM_DISCARD;
	v->in.flush += bio->op == NDM_FLUSH;
	v->in.fua += (bio->flags & NDM_FUA) != 0;
}

int vdo_io(struct ndm_target *ti, struct ndm_bio *bio)
{
	struct vdo *v = ti->private_data;
	struct request r = { .v = v, .bio = bio };
	struct ndm_range range;
	int err;

	count(v, bio);
	if (bio->op == NDM_FLUSH)
		return v->writable ? vdo_commit(v) : 0;
	r.first = ndm_offset(ti, bio->sector);
	r.end = r.first + bio->nr;
	if (bio->op == NDM_CACHE)
		return 0;
	if (bio->op == NDM_EXTENTS)
		return extents(&r);
	ndm_range_lock(&v->busy, &range, r.first / BS, (r.end - 1) / BS);
	err = runs(&r);
	ndm_range_unlock(&v->busy, &range);
	if (!err && bio->flags & NDM_FUA && bio->op != NDM_READ)
		err = vdo_commit(v);
	return err;
}
