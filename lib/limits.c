/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.c - what a table can take, stacked from what its devices can; and whether the areas
 * that it uses are there and aligned.
 */
#include "core.h"

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint64_t smaller_set(uint64_t a, uint64_t b)	/* 0 = none */
{
	return !a ? b : !b ? a : a < b ? a : b;
}

static void limits_stack(struct ndm_limits *top, const struct ndm_limits *low)
{
	top->logical_block_bytes = larger(top->logical_block_bytes, low->logical_block_bytes);
	top->physical_block_bytes = larger(top->physical_block_bytes, low->physical_block_bytes);
	top->io_min_bytes = larger(top->io_min_bytes, low->io_min_bytes);
	top->io_opt_bytes = larger(top->io_opt_bytes, low->io_opt_bytes);
	top->max_sectors = smaller_set(top->max_sectors, low->max_sectors);
	top->discard_granularity_bytes = larger(top->discard_granularity_bytes,
						low->discard_granularity_bytes);
	top->rotational |= low->rotational;
	top->volatile_cache |= low->volatile_cache;
}

static void target_limits(struct ndm_target *ti, struct ndm_limits *l, bool *discard,
			  bool *zeroes, bool *fast)
{
	bool below_discards = ti->devs != NULL, below_zeroes = ti->devs != NULL;
	struct ndm_dev *d;

	*l = (struct ndm_limits){ .logical_block_bytes = NDM_SECTOR_BYTES,
				  .physical_block_bytes = NDM_SECTOR_BYTES,
				  .extents = ti->extents, .cache = ti->extents };
	for (d = ti->devs; d; d = d->next) {
		if (!d->nr)			/* a log, metadata: not where the data lies */
			continue;
		limits_stack(l, &d->store->limits);
		if (!d->store->limits.max_discard_sectors)
			below_discards = false;
		if (!d->store->limits.max_zeroes_sectors)
			below_zeroes = false;
		*fast &= d->store->limits.fast_zeroes;
		l->extents &= d->store->limits.extents;
		l->cache &= d->store->limits.cache;
	}
	if (!ti->num_discard || !(ti->discards_supported || below_discards))
		*discard = false;
	if (!ti->num_zeroes || !(ti->zeroes_supported || below_zeroes))
		*zeroes = false;
	if (ti->type->io_hints)
		ti->type->io_hints(ti, l);
}

void table_stack_limits(struct ndm_table *t)
{
	bool discard = true, zeroes = true, fast = true;
	struct ndm_limits l = { 0 };
	unsigned i;

	t->limits = (struct ndm_limits){ .logical_block_bytes = NDM_SECTOR_BYTES,
					 .physical_block_bytes = NDM_SECTOR_BYTES,
					 .extents = true, .cache = true };
	for (i = 0; i < t->n; i++) {
		target_limits(&t->targets[i], &l, &discard, &zeroes, &fast);
		limits_stack(&t->limits, &l);
		t->limits.extents &= l.extents;
		t->limits.cache &= l.cache;
	}
	if (t->n == 1) {			/* metadata: only where one target has the whole device */
		t->limits.tag_bytes = l.tag_bytes;
		t->limits.tag_sectors = l.tag_sectors;
	}
	/* the core splits and falls back by itself: what is supported takes any length */
	t->limits.max_sectors = 0;
	t->limits.max_discard_sectors = discard ? UINT64_MAX >> NDM_SECTOR_SHIFT : 0;
	t->limits.max_zeroes_sectors = zeroes ? UINT64_MAX >> NDM_SECTOR_SHIFT : 0;
	if (discard && !t->limits.discard_granularity_bytes)
		t->limits.discard_granularity_bytes = t->limits.logical_block_bytes;
	t->limits.read_only = t->read_only;
	t->limits.fua = true;
	t->limits.fast_zeroes = zeroes && fast;
}

/* ---- areas ---- */

static int area_check(const struct ndm_dev *d, uint32_t block_bytes, struct ndm_str *why)
{
	uint64_t size = d->store->nr, block = block_bytes >> NDM_SECTOR_SHIFT;
	unsigned long long start = d->start, nr = d->nr;

	if (!size || !d->nr)
		return 0;
	if (d->start >= size || d->start + d->nr > size || d->start + d->nr < d->start) {
		ndm_printf(why, "%s too small for target: start=%llu, len=%llu, dev_size=%llu",
			   d->name, start, nr, (unsigned long long)size);
		return -EINVAL;
	}
	if (block <= 1)
		return 0;
	if (d->start & (block - 1)) {
		ndm_printf(why, "start=%llu not aligned to h/w logical block size %u of %s", start,
			   block_bytes, d->name);
		return -EINVAL;
	}
	if (d->nr & (block - 1)) {
		ndm_printf(why, "len=%llu not aligned to h/w logical block size %u of %s", nr,
			   block_bytes, d->name);
		return -EINVAL;
	}
	return 0;
}

/* every boundary between lines must suit the blocks of the line that follows it */
static int boundary_check(struct ndm_table *t, struct ndm_str *why)
{
	uint64_t block = t->limits.logical_block_bytes >> NDM_SECTOR_SHIFT;
	uint64_t begun = 0;			/* sectors of a block that the line before left open */
	uint64_t remaining = 0;			/* and how many are missing to fill it */
	bool discard = true, zeroes = true, fast = true;
	struct ndm_limits l;
	unsigned i;

	for (i = 0; i < t->n; i++) {
		target_limits(&t->targets[i], &l, &discard, &zeroes, &fast);
		if (remaining < t->targets[i].nr &&
		    (remaining & ((l.logical_block_bytes >> NDM_SECTOR_SHIFT) - 1)))
			break;
		begun = (begun + t->targets[i].nr) & (block - 1);
		remaining = begun ? block - begun : 0;
	}
	if (!remaining)
		return 0;
	if (i == t->n)
		i--;
	ndm_printf(why,
		   "table line %u (start sect %llu len %llu) not aligned to h/w logical block size %u",
		   i, (unsigned long long)t->targets[i].begin,
		   (unsigned long long)t->targets[i].nr, t->limits.logical_block_bytes);
	return -EINVAL;
}

int table_check_areas(struct ndm_table *t, struct ndm_str *why)
{
	bool discard = true, zeroes = true, fast = true;
	struct ndm_limits l;
	struct ndm_dev *d;
	unsigned i;
	int err;

	for (i = 0; i < t->n; i++) {
		target_limits(&t->targets[i], &l, &discard, &zeroes, &fast);
		for (d = t->targets[i].devs; d; d = d->next) {
			struct ndm_str said = { 0 };

			err = area_check(d, l.logical_block_bytes, &said);
			if (err)
				ndm_printf(why, "line %u (%s): %s", i + 1, t->targets[i].type->name,
					   said.text);
			ndm_str_free(&said);
			if (err)
				return err;
		}
	}
	return boundary_check(t, why);
}
