/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdo-image.h - the smallest vdo volume there can be, made in memory; and an audit of one: are the
 * reference counts and numbers on disk those of its block map?
 */
#ifndef NDM_TESTS_VDO_IMAGE_H
#define NDM_TESTS_VDO_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <ndm-vdo.h>

struct vdo_image {
	struct ndm_vdo_geometry geometry;
	struct ndm_vdo_super super;
	/* where its blocks are: reads block pbn */
	void (*read)(void *arg, uint64_t pbn, uint8_t *to);
	void *arg;
};

#define VDO_IMAGE_BLOCKS(slabs, slab_bits, journal) (3u + 60 + 64 + (journal) + ((slabs) << (slab_bits)))

/* Geometry and super block for an image of so many blocks; the two blocks go to 0 and 2. */
void vdo_image_make(struct vdo_image *, uint64_t physical, uint64_t logical, unsigned slab_bits,
		    unsigned journal_blocks, uint8_t *block0, uint8_t *block2);
/* NULL, or what is wrong.  The volume must have been shut down. */
const char *vdo_image_audit(struct vdo_image *);

#endif
