/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta.c - the table of metadata contexts.  See meta.h.
 *
 * ndm:extent-type is base:allocation's raw material: the type bits exactly as the targets gave
 * them, those included that NBD has no word for (bits 2 and up are each target's own).  It was
 * called x-ndm:extent-type at first, and still is.
 */
#include <stdio.h>
#include <string.h>

#include "meta.h"
#include "nbd-protocol.h"

static uint32_t state_allocation(unsigned type)
{
	uint32_t state = 0;

	if (type & NDM_EXTENT_HOLE)
		state |= NBD_STATE_HOLE;
	if (type & NDM_EXTENT_ZERO)
		state |= NBD_STATE_ZERO;
	return state;
}

static uint32_t state_raw(unsigned type)
{
	return type;
}

static const struct meta_context {
	const char *name;
	uint32_t (*state)(unsigned extent_type);
} contexts[] = {
	{ "base:allocation", state_allocation },
	{ "x-ndm:extent-type", state_raw },
	{ "ndm:extent-type", state_raw },
};

#define TYPES (sizeof contexts / sizeof contexts[0])

_Static_assert((1u << TYPES) - 1 == META_TYPE_IDS, "they come first");
_Static_assert(TYPES + NDM_METAS_MAX <= META_MAX, "ids are bits of a word");

unsigned meta_count(void)
{
	unsigned n = 0;

	while (ndm_meta_name(n))
		n++;
	return TYPES + n;
}

size_t meta_name(unsigned id, char name[META_NAME_BYTES])
{
	if (id < TYPES)
		snprintf(name, META_NAME_BYTES, "%s", contexts[id].name);
	else
		snprintf(name, META_NAME_BYTES, "ndm:%s", ndm_meta_name(id - TYPES));
	return strlen(name);
}

uint32_t meta_offered(const struct ndm_device_info *info)
{
	return META_TYPE_IDS | info->metas << TYPES;
}

bool meta_matches(unsigned id, const char *query, size_t bytes, bool listing)
{
	char name[META_NAME_BYTES];
	size_t length = meta_name(id, name), space = strcspn(name, ":") + 1;

	if (bytes == length && !memcmp(name, query, bytes))
		return true;
	return listing && bytes == space && !memcmp(name, query, bytes);
}

int meta_number(unsigned id)
{
	return id < TYPES ? -1 : (int)(id - TYPES);
}

uint32_t meta_state(unsigned id, unsigned extent_type)
{
	return id < TYPES ? contexts[id].state(extent_type) : extent_type;
}
