/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.c - what targets have counted besides their status lines, for metrics.
 *
 * Several lines of a table may count the same thing; a device has the sum.
 */
#include <stdio.h>

#include "core.h"

void ndm_counter_put(struct ndm_counters *list, enum ndm_counter_kind kind, const char *what,
		     unsigned group, uint64_t value)
{
	unsigned i, cap = list->cap ? 2 * list->cap : 8;
	struct ndm_counter *c;

	for (i = 0; i < list->n; i++) {
		c = &list->list[i];
		if (c->kind == kind && c->group == group && !strcmp(c->what, what)) {
			c->value += value;
			return;
		}
	}
	if (list->n == list->cap) {
		c = ndm_calloc(cap, sizeof *c);
		if (!c)
			return;
		if (list->n)
			memcpy(c, list->list, list->n * sizeof *c);
		ndm_free(list->list);
		list->list = c;
		list->cap = cap;
	}
	c = &list->list[list->n++];
	c->kind = kind;
	c->group = group;
	c->value = value;
	snprintf(c->what, sizeof c->what, "%s", what);
}

void ndm_counters_free(struct ndm_counters *list)
{
	ndm_free(list->list);
	*list = (struct ndm_counters){ 0 };
}

void counters_of(const struct ndm_table *t, struct ndm_counters *list)
{
	unsigned i;

	for (i = 0; i < t->n; i++)
		if (t->targets[i].type->counters)
			t->targets[i].type->counters(&t->targets[i], list);
}
