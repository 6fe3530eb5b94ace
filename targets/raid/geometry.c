/* SPDX-License-Identifier: BSD-2-Clause */
/* geometry.c - where a sector of the array lies on its members, and the way back. */
#include "raid.h"

/* ---- raid10: near copies side by side, far copies in later rows ---- */

struct far { unsigned near, far, set; bool offset; uint64_t stride; };	/* stride in chunks */

static struct far far_of(const struct raid_geometry *g)
{
	struct far f = { raid10_near(g->layout), raid10_far(g->layout), g->disks,
			 g->layout & RAID10_OFFSET, 1 };

	if (g->layout & RAID10_FAR_SETS)
		f.set = f.near * f.far;
	if (!f.offset && f.far > 1)
		f.stride = g->dev_sectors / g->chunk / f.far;
	return f;
}

/* one far copy on: by `near` disks within the set; the last set takes what is left over */
static unsigned far_next(const struct raid_geometry *g, const struct far *f, unsigned d)
{
	unsigned last = (g->disks / f->set - 1) * f->set, size = f->set + g->disks % f->set;
	unsigned set = d / f->set;

	d += f->near;
	if (g->disks % f->set && d > last)
		return (d - last) % size + last;
	return d % f->set + set * f->set;
}

static unsigned copies10(const struct raid_geometry *g, uint64_t c, struct raid_copy *to,
			 unsigned max)
{
	struct far f = far_of(g);
	uint64_t m = c * f.near, row = m / g->disks;
	unsigned dev = m % g->disks, i, k, n = 0;

	if (f.offset)
		row *= f.far;
	for (i = 0; i < f.near; i++) {
		unsigned d = dev;
		uint64_t at = row;

		for (k = 0; k < f.far && n < max; k++) {
			to[n++] = (struct raid_copy){ d, at * g->chunk };
			d = far_next(g, &f, d);
			at += f.stride;
		}
		if (++dev == g->disks) {
			dev = 0;
			row++;
		}
	}
	return n;
}

unsigned raid_copies(const struct raid_geometry *g, uint64_t sector, struct raid_copy *to,
		     unsigned max, uint64_t *run)
{
	uint64_t c, within;
	unsigned i, n;

	if (g->level == 1) {
		for (i = 0; i < g->disks && i < max; i++)
			to[i] = (struct raid_copy){ i, sector };
		*run = g->array_sectors - sector;
		return i;
	}
	c = sector / g->chunk;
	within = sector % g->chunk;
	*run = g->chunk - within;
	if (g->level == 0) {
		to[0] = (struct raid_copy){ c % g->disks, c / g->disks * g->chunk };
		n = 1;
	} else {
		n = copies10(g, c, to, max);
	}
	for (i = 0; i < n; i++)
		to[i].sector += within;
	return n;
}

uint64_t raid_copy_owner(const struct raid_geometry *g, unsigned disk, uint64_t sector,
			 uint64_t *run)
{
	uint64_t row, zone, m;
	struct far f;
	unsigned d, k, hops;

	if (g->level == 1) {
		*run = g->array_sectors - sector;
		return sector;
	}
	f = far_of(g);
	*run = g->chunk - sector % g->chunk;
	row = sector / g->chunk;
	if (f.offset) {
		zone = row % f.far;
		row /= f.far;
	} else {
		zone = f.far > 1 && f.stride ? row / f.stride : 0;
		row -= zone * (f.far > 1 ? f.stride : 0);
	}
	if (zone >= f.far)
		return RAID_NONE;		/* what no whole stride is left for */
	for (d = 0; d < g->disks; d++) {
		for (k = d, hops = 0; hops < zone; hops++)
			k = far_next(g, &f, k);
		if (k == disk)
			break;
	}
	if (d == g->disks)
		return RAID_NONE;
	m = (row * g->disks + d) / f.near * g->chunk + sector % g->chunk;
	return m < g->array_sectors ? m : RAID_NONE;
}

uint64_t raid_total_of(const struct raid_geometry *g)
{
	uint64_t chunks;

	if (g->level == 10) {
		chunks = g->dev_sectors / g->chunk / raid10_far(g->layout) * g->disks;
		return chunks / raid10_near(g->layout) * g->chunk;
	}
	return g->parity ? g->dev_sectors / g->chunk * g->chunk : g->dev_sectors;
}

uint64_t raid_size_of(const struct raid_geometry *g)
{
	if (g->level == 1 || g->level == 10)
		return raid_total_of(g);
	return g->dev_sectors / g->chunk * g->chunk * raid_data_disks(g);
}

void raid_rows_of(const struct raid_geometry *g, uint64_t first, uint64_t end, uint64_t *low,
		  uint64_t *high)
{
	uint64_t a = first / g->chunk, b = (end - 1) / g->chunk;
	unsigned near = raid10_near(g->layout), far = g->layout & RAID10_OFFSET ? raid10_far(g->layout) : 1;

	if (g->parity) {
		*low = a / raid_data_disks(g) * g->chunk;
		*high = (b / raid_data_disks(g) + 1) * g->chunk;
	} else {
		*low = a * near / g->disks * far * g->chunk;
		*high = ((b * near + near - 1) / g->disks + 1) * far * g->chunk;
	}
}

/* ---- raid4, 5, 6 ---- */

enum { LA = 0, RA = 1, LS = 2, RS = 3, P_FIRST = 4, P_LAST = 5, ZR = 8, NR = 9, NC = 10, Q_LAST = 16 };

/* n disks, one of them parity */
static unsigned p_of(int layout, unsigned n, uint64_t stripe)
{
	switch (layout) {
	case LA: case LS: return n - 1 - stripe % n;
	case RA: case RS: return stripe % n;
	case P_FIRST: return 0;
	default: return n - 1;
	}
}

static unsigned data_of(int layout, unsigned n, unsigned p, unsigned i)
{
	return layout == LS || layout == RS ? (p + 1 + i) % n : i + (i >= p);
}

/* Q beside P, both rotating: the exponents are numbers of disks */
static void roles_rotating(const struct raid_geometry *g, uint64_t stripe, uint8_t *disk,
			   uint8_t *power)
{
	unsigned n = g->disks, d = n - 2, p, q, i;

	if (g->layout == ZR)
		p = stripe % n;
	else if (g->layout == NR)
		p = n - 1 - (stripe + 1) % n;
	else
		p = n - 1 - stripe % n;
	q = g->layout == NC ? (p + n - 1) % n : (p + 1) % n;
	for (i = 0; i < d; i++) {
		if (g->layout == NC)
			disk[i] = (p + 1 + i) % n;
		else if (p == n - 1)
			disk[i] = i + 1;
		else
			disk[i] = i + (i >= p ? 2 : 0);
		power[i] = disk[i];
	}
	disk[d] = p;
	disk[d + 1] = q;
}

void raid_stripe_roles(const struct raid_geometry *g, uint64_t stripe, uint8_t *disk,
		       uint8_t *power)
{
	unsigned d = raid_data_disks(g), n = d + 1, p, i;
	int layout = g->layout;

	if (g->level == 6 && layout >= ZR && layout <= NC) {
		roles_rotating(g, stripe, disk, power);
		return;
	}
	if (g->level == 6)			/* as raid5 on all disks but the last, which is Q */
		layout &= ~Q_LAST;
	p = p_of(layout, n, stripe);
	for (i = 0; i < d; i++) {
		disk[i] = data_of(layout, n, p, i);
		power[i] = disk[i] - (disk[i] > p);	/* counted over the data disks */
	}
	disk[d] = p;
	if (g->level == 6)
		disk[d + 1] = n;
}
