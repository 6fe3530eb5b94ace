/* SPDX-License-Identifier: BSD-2-Clause */
/* queue.c - a stack of least-recently-used lists; see queue.h. */
#include "targets/cache/queue.h"

void list_init(struct queue_list *l)
{
	*l = (struct queue_list){ QUEUE_NONE, QUEUE_NONE, 0 };
}

static void list_link(struct queue_entry *es, struct queue_list *l, uint32_t before, uint32_t e,
		      uint32_t after)
{
	es[e].prev = before;
	es[e].next = after;
	*(before == QUEUE_NONE ? &l->head : &es[before].next) = e;
	*(after == QUEUE_NONE ? &l->tail : &es[after].prev) = e;
	l->n += !es[e].sentinel;
}

void list_add_head(struct queue_entry *es, struct queue_list *l, uint32_t e)
{
	list_link(es, l, QUEUE_NONE, e, l->head);
}

void list_add_tail(struct queue_entry *es, struct queue_list *l, uint32_t e)
{
	list_link(es, l, l->tail, e, QUEUE_NONE);
}

void list_del(struct queue_entry *es, struct queue_list *l, uint32_t e)
{
	uint32_t before = es[e].prev, after = es[e].next;

	*(before == QUEUE_NONE ? &l->head : &es[before].next) = after;
	*(after == QUEUE_NONE ? &l->tail : &es[after].prev) = before;
	l->n -= !es[e].sentinel;
}

void queue_init(struct queue *q, struct queue_entry *entries)
{
	uint32_t i;

	*q = (struct queue){ .entries = entries };
	for (i = 0; i < QUEUE_LEVELS; i++)
		list_init(&q->levels[i]);
}

static struct queue_list *level_of(struct queue *q, uint32_t e)
{
	return &q->levels[q->entries[e].level];
}

void queue_push(struct queue *q, uint32_t e)
{
	q->n += !q->entries[e].sentinel;
	list_add_tail(q->entries, level_of(q, e), e);
}

void queue_push_front(struct queue *q, uint32_t e)
{
	q->n += !q->entries[e].sentinel;
	list_add_head(q->entries, level_of(q, e), e);
}

static void queue_push_before(struct queue *q, uint32_t other, uint32_t e)
{
	q->n += !q->entries[e].sentinel;
	list_link(q->entries, level_of(q, e), q->entries[other].prev, e, other);
}

void queue_del(struct queue *q, uint32_t e)
{
	q->n -= !q->entries[e].sentinel;
	list_del(q->entries, level_of(q, e), e);
}

static uint32_t first_real(const struct queue *q, uint32_t e, bool cross)
{
	while (e != QUEUE_NONE && q->entries[e].sentinel && cross)
		e = q->entries[e].next;
	return e == QUEUE_NONE || q->entries[e].sentinel ? QUEUE_NONE : e;
}

uint32_t queue_peek(const struct queue *q, uint32_t levels, bool cross)
{
	uint32_t i, e = QUEUE_NONE;

	for (i = 0; i < levels && e == QUEUE_NONE; i++)
		e = first_real(q, q->levels[i].head, cross);
	return e;
}

void queue_raise(struct queue *q, uint32_t e, uint32_t by, uint32_t s1, uint32_t s2)
{
	uint32_t level = q->entries[e].level, to = level + by, other, passed = 0;

	if (to > QUEUE_LEVELS - 1)
		to = QUEUE_LEVELS - 1;
	if (by && level < QUEUE_LEVELS - 1) {
		for (other = q->levels[to].head; other != QUEUE_NONE && q->entries[other].sentinel;
		     other = q->entries[other].next)
			passed++;
		if (other != QUEUE_NONE) {
			queue_del(q, other);
			q->entries[other].level = (uint8_t)level;
			if (s1 == QUEUE_NONE || passed > 1)
				queue_push(q, other);
			else
				queue_push_before(q, passed ? s2 : s1, other);
		}
	}
	queue_del(q, e);
	q->entries[e].level = (uint8_t)to;
	queue_push(q, e);
}

/* ---- targets ---- */

static void targets_spread(struct queue *q, uint32_t n, uint32_t from, uint32_t end)
{
	uint32_t levels = end - from, i;

	for (i = from; i < end; i++)
		q->targets[i] = n / levels + (i - from < n % levels);
}

static void targets_set(struct queue *q)
{
	uint32_t top = QUEUE_LEVELS - q->top_levels;

	if (q->targets_for == q->n)
		return;
	q->targets_for = q->n;
	targets_spread(q, q->in_top, top, QUEUE_LEVELS);
	targets_spread(q, q->in_top < q->n ? q->n - q->in_top : 0, 0, top);
}

static uint32_t take_from_above(struct queue *q, uint32_t level)
{
	uint32_t e = QUEUE_NONE;

	for (; level < QUEUE_LEVELS && e == QUEUE_NONE; level++)
		e = first_real(q, q->levels[level].head, true);
	if (e != QUEUE_NONE)
		list_del(q->entries, level_of(q, e), e);
	return e;
}

static uint32_t last_real(const struct queue *q, const struct queue_list *l)
{
	uint32_t e = l->tail;

	while (e != QUEUE_NONE && q->entries[e].sentinel)
		e = q->entries[e].prev;
	return e;
}

void queue_redistribute(struct queue *q)
{
	struct queue_list *l;
	uint32_t level, e;

	targets_set(q);
	for (level = 0; level + 1 < QUEUE_LEVELS; level++) {
		l = &q->levels[level];
		while (l->n < q->targets[level] &&
		       (e = take_from_above(q, level + 1)) != QUEUE_NONE) {
			q->entries[e].level = (uint8_t)level;
			list_add_tail(q->entries, l, e);
		}
		while (l->n > q->targets[level] && (e = last_real(q, l)) != QUEUE_NONE) {
			list_del(q->entries, l, e);
			q->entries[e].level = (uint8_t)(level + 1);
			list_add_tail(q->entries, &q->levels[level + 1], e);
		}
	}
}
