/* SPDX-License-Identifier: BSD-2-Clause */
/* vdo-image.c - see vdo-image.h.  The audit walks the block map by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vdo-image.h"

void vdo_image_make(struct vdo_image *v, uint64_t physical, uint64_t logical, unsigned slab_bits,
		    unsigned journal_blocks, uint8_t *block0, uint8_t *block2)
{
	const struct ndm_vdo_sizes sizes = { .physical = physical, .logical = logical,
		.journal_blocks = journal_blocks, .slab_bits = slab_bits, .slab_journal_blocks = 2 };
	const char *why;

	v->geometry = (struct ndm_vdo_geometry){ .version = 5, .nonce = 0x1234567812345678, .index_start = 1,
						 .data_start = 2 };
	if (ndm_vdo_super_make(&sizes, &v->geometry, &v->super, &why)) {
		fprintf(stderr, "vdo_image_make: %s\n", why);
		abort();
	}
	ndm_vdo_geometry_encode(&v->geometry, block0);
	ndm_vdo_super_encode(&v->super, block2);
}

struct audit {
	struct vdo_image *v;
	unsigned *counts;			/* by pbn */
	uint64_t leaves, used;
	const char *wrong;
};

static void audit_page(struct audit *a, uint64_t pbn, unsigned height, uint64_t tree, uint64_t index)
{
	const struct ndm_vdo_super *s = &a->v->super;
	uint64_t lbn = (index * s->roots + tree) * NDM_VDO_PAGE_ENTRIES;
	uint8_t page[NDM_VDO_BLOCK];
	struct ndm_vdo_location l;
	unsigned i;
	int err;

	a->v->read(a->v->arg, pbn, page);
	err = ndm_vdo_page_check(page, s->nonce, pbn);
	if (err) {
		if (height < NDM_VDO_HEIGHT || err == -74)
			a->wrong = "a page of the block map is not one";
		return;
	}
	for (i = 0; i < NDM_VDO_PAGE_ENTRIES && !a->wrong; i++) {
		l = ndm_vdo_entry_get(page, i);
		if (!(height ? ndm_vdo_child_ok(s, l) : ndm_vdo_entry_ok(s, l)))
			a->wrong = "an entry that cannot be";
		else if (height && l.state) {
			a->leaves++;
			if (a->counts[l.pbn])
				a->wrong = "a page hangs in two places";
			a->counts[l.pbn] += NDM_VDO_COUNT_MAX;
			if (!a->wrong)
				audit_page(a, l.pbn, height - 1, tree, index * NDM_VDO_PAGE_ENTRIES + i);
		} else if (!height && l.state) {
			if (lbn + i >= s->logical)
				a->wrong = "an entry behind the end";
			a->used++;
			a->counts[l.pbn] += l.pbn != 0;
		}
	}
}

static void audit_slab(struct audit *a, unsigned slab, struct ndm_vdo_summary summary)
{
	const struct ndm_vdo_super *s = &a->v->super;
	uint64_t start = s->depot_start + slab * s->slab.blocks, i, free_blocks = 0;
	uint8_t block[NDM_VDO_BLOCK], counts[NDM_VDO_COUNTS] = { 0 };

	for (i = 0; i < s->slab.data && !a->wrong; i++) {
		if (summary.load && i % NDM_VDO_COUNTS == 0) {
			a->v->read(a->v->arg, start + s->slab.data + i / NDM_VDO_COUNTS, block);
			ndm_vdo_counts_get(block, counts);
		}
		free_blocks += !counts[i % NDM_VDO_COUNTS];
		if (counts[i % NDM_VDO_COUNTS] != a->counts[start + i])
			a->wrong = "a reference count is not the number of references";
	}
	if (summary.dirty)
		a->wrong = "a slab was not shut down";
	else if (!a->wrong && summary.load && summary.fullness != ndm_vdo_fullness(s, free_blocks))
		a->wrong = "the slab summary has another fullness";
}

const char *vdo_image_audit(struct vdo_image *v)
{
	struct audit a = { .v = v };
	uint8_t block[NDM_VDO_BLOCK];
	uint64_t i, slabs;

	v->read(v->arg, 0, block);
	if (ndm_vdo_geometry_decode(block, &v->geometry, &a.wrong))
		return a.wrong;
	v->read(v->arg, v->geometry.data_start, block);
	if (ndm_vdo_super_decode(block, &v->super, &a.wrong) ||
	    ndm_vdo_super_check(&v->super, &v->geometry, &a.wrong))
		return a.wrong;
	if (v->super.state == NDM_VDO_NEW)
		return NULL;
	if (v->super.state != NDM_VDO_CLEAN)
		return "the volume was not shut down";
	a.counts = calloc(v->super.physical, sizeof *a.counts);
	for (i = 0; i < v->super.roots && !a.wrong; i++)
		audit_page(&a, v->super.root_start + i, NDM_VDO_HEIGHT, i, 0);
	v->read(v->arg, v->super.part[NDM_VDO_SUMMARY].start, block);
	slabs = (v->super.depot_end - v->super.depot_start) / v->super.slab.blocks;
	for (i = 0; i < slabs && !a.wrong; i++)
		audit_slab(&a, (unsigned)i, ndm_vdo_summary_get(block, (unsigned)i));
	if (!a.wrong && a.leaves != v->super.map_blocks)
		a.wrong = "the super block has another number of pages of the block map";
	if (!a.wrong && a.used != v->super.logical_used)
		a.wrong = "the super block has another number of blocks in use";
	free(a.counts);
	return a.wrong;
}
