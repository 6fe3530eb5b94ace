/* SPDX-License-Identifier: BSD-2-Clause */
/* selector.c - the list of selectors, and what they share: lists of valid paths, arguments. */
#include <errno.h>
#include <string.h>

#include "targets/multipath/multipath.h"

extern const struct selector_type selector_round_robin, selector_queue_length,
	selector_service_time, selector_historical_service_time, selector_io_affinity;

static const struct selector_type *const selector_types[] = {
	&selector_round_robin,
	&selector_queue_length,
	&selector_service_time,
	&selector_historical_service_time,
	&selector_io_affinity,
};

const struct selector_type *selector_find(const char *name)
{
	unsigned i;

	for (i = 0; i < sizeof selector_types / sizeof *selector_types; i++)
		if (!strcmp(selector_types[i]->name, name))
			return selector_types[i];
	return NULL;
}

struct selector_path *selector_path(struct mpath_path *p)
{
	return &p->sel;
}

const struct selector_path *selector_path_const(const struct mpath_path *p)
{
	return &p->sel;
}

void selector_add_last(struct selector *s, struct mpath_path *p)
{
	p->sel.next = NULL;
	p->sel.prev = s->last;
	if (s->last)
		s->last->sel.next = p;
	else
		s->first = p;
	s->last = p;
	s->nvalid++;
}

void selector_add_first(struct selector *s, struct mpath_path *p)
{
	p->sel.prev = NULL;
	p->sel.next = s->first;
	if (s->first)
		s->first->sel.prev = p;
	else
		s->last = p;
	s->first = p;
	s->nvalid++;
}

void selector_del(struct selector *s, struct mpath_path *p)
{
	if (p->sel.prev)
		p->sel.prev->sel.next = p->sel.next;
	else
		s->first = p->sel.next;
	if (p->sel.next)
		p->sel.next->sel.prev = p->sel.prev;
	else
		s->last = p->sel.prev;
	p->sel.prev = p->sel.next = NULL;
	s->nvalid--;
}

void selector_to_last(struct selector *s, struct mpath_path *p)
{
	if (s->last == p)
		return;
	selector_del(s, p);
	selector_add_last(s, p);
}

int selector_number(const char *word, unsigned *value)
{
	uint64_t v;

	if (ndm_arg_u64(word, &v) || v > UINT32_MAX)
		return -EINVAL;
	*value = (unsigned)v;
	return 0;
}

int selector_repeat_count(struct ndm_target *ti, struct selector *s, struct mpath_path *p,
			  const char *word)
{
	unsigned count = 1;

	if (word && selector_number(word, &count))
		return ndm_error(ti, -EINVAL, "%s ps: invalid repeat count: '%s' is no number",
				 s->type->name, word);
	if (count > 1)
		count = 1;			/* deprecated in the kernel, and without effect */
	p->sel.repeat_count = count;
	return 0;
}
