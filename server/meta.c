/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meta.c - the table of metadata contexts.  See meta.h.
 *
 * x-ndm:extent-type is base:allocation's raw material: the type bits exactly as the targets
 * gave them, those included that NBD has no word for (bits 2 and up are each target's own).
 */
#include <string.h>

#include <ndm.h>

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
};

_Static_assert(sizeof contexts / sizeof contexts[0] <= 32, "ids are bits of a word");

unsigned meta_count(void)
{
	return sizeof contexts / sizeof contexts[0];
}

const char *meta_name(unsigned id)
{
	return contexts[id].name;
}

bool meta_matches(unsigned id, const char *query, size_t bytes, bool listing)
{
	const char *name = contexts[id].name;
	size_t space = strcspn(name, ":") + 1;

	if (bytes == strlen(name) && !memcmp(name, query, bytes))
		return true;
	return listing && bytes == space && !memcmp(name, query, bytes);
}

uint32_t meta_state(unsigned id, unsigned extent_type)
{
	return contexts[id].state(extent_type);
}
