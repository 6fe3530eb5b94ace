/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slots.c - one pointer for each thing that several devices of a loop share by identity.
 *
 * A snapshot's origin is the example: whoever writes to it must know all snapshots of it,
 * whichever devices they belong to.  Devices that name the same backing live on the same loop
 * (lifecycle.c sees to it), so a slot needs no lock.  What a slot points to belongs to the
 * targets that use it; a slot itself lives as long as its loop.
 */
#include <stdlib.h>

#include "core.h"

struct ndm_slot {
	struct ndm_slot *next;
	const char *kind;			/* a literal */
	uint64_t identity[2];
	void *content;
};

void **ndm_slot(struct ndm_loop *loop, const char *kind, const uint64_t identity[2])
{
	struct ndm_slot *s;

	for (s = loop->slots; s; s = s->next)
		if (s->identity[0] == identity[0] && s->identity[1] == identity[1] &&
		    !strcmp(s->kind, kind))
			return &s->content;
	s = ndm_zalloc(sizeof *s);
	if (!s)
		return NULL;
	s->kind = kind;
	s->identity[0] = identity[0];
	s->identity[1] = identity[1];
	s->next = loop->slots;
	loop->slots = s;
	return &s->content;
}

void loop_slots_free(struct ndm_loop *loop)
{
	struct ndm_slot *s;

	while ((s = loop->slots)) {
		loop->slots = s->next;
		ndm_free(s);
	}
}
