/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - the scheduler of a stack of devices: ready tasks, timers, a mailbox.
 *
 * A loop belongs to whoever runs it at the moment and to nobody else; only ndm_loop_post()
 * may be called from other threads.  The loop itself never blocks: the world collects what
 * happened outside (poll), and makes the loop's fd readable when there is something to do
 * (kick, deadline).
 */
#include <stdlib.h>

#include "core.h"

#define BATCH_MAX 4096				/* steps before the host gets its turn */

struct ndm_loop *ndm_loop_new(struct ndm_world *world)
{
	struct ndm_loop *loop = calloc(1, sizeof *loop);

	if (!loop)
		return NULL;
	loop->world = world;
	loop->armed_ns = UINT64_MAX;
	if (world->ops->loop_init(world, loop)) {
		free(loop);
		return NULL;
	}
	return loop;
}

void ndm_loop_free(struct ndm_loop *loop)
{
	struct ndm_task *t;

	if (!loop)
		return;
	for (t = loop->tasks; t; t = t->all_next)
		ndm_log(loop->world, NDM_LOG_ERROR, "task '%s' outlives its loop", t->name);
	assert(!loop->tasks);
	assert(loop->ntimers == 0);
	assert(loop->nbios == 0);
	task_free_all(loop);
	loop_pools_free(loop);
	loop_slots_free(loop);
	loop->world->ops->loop_fini(loop->world, loop);
	free(loop->timers);
	free(loop);
}

struct ndm_world *ndm_loop_world(struct ndm_loop *loop)
{
	return loop->world;
}

int ndm_loop_fd(struct ndm_loop *loop)
{
	return loop->world->ops->loop_fd(loop);
}

uint64_t ndm_now(struct ndm_loop *loop)
{
	return loop_now(loop);
}

uint64_t ndm_random(struct ndm_loop *loop)
{
	return loop->world->ops->random(loop->world);
}

void ndm_random_bytes(struct ndm_loop *loop, void *bytes, size_t len)
{
	loop->world->ops->random_bytes(loop->world, bytes, len);
}

/* ---- mailbox ---- */

void ndm_loop_post(struct ndm_loop *loop, struct ndm_msg *msg)
{
	struct ndm_msg *old = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);

	do {
		msg->next = old;
	} while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &old, msg,
							memory_order_release,
							memory_order_relaxed));
	if (!old)
		loop->world->ops->kick(loop);
}

static bool mailbox_take(struct ndm_loop *loop)
{
	struct ndm_msg *msg, *next, *first = NULL;

	if (!atomic_load_explicit(&loop->mailbox, memory_order_relaxed))
		return false;
	msg = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
	for (; msg; msg = next) {		/* last in, first out: turn it round */
		next = msg->next;
		msg->next = first;
		first = msg;
	}
	for (; first; first = next) {
		next = first->next;
		first->fn(first);
	}
	return true;
}

/* ---- timers: a binary heap by deadline ---- */

static void timer_put(struct ndm_loop *loop, unsigned i, struct ndm_timer *t)
{
	loop->timers[i] = t;
	t->index = i + 1;			/* 0 = not set */
}

static void timer_up(struct ndm_loop *loop, unsigned i, struct ndm_timer *t)
{
	while (i && loop->timers[(i - 1) / 2]->at_ns > t->at_ns) {
		timer_put(loop, i, loop->timers[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	timer_put(loop, i, t);
}

static void timer_down(struct ndm_loop *loop, unsigned i, struct ndm_timer *t)
{
	for (;;) {
		unsigned child = 2 * i + 1;

		if (child >= loop->ntimers)
			break;
		if (child + 1 < loop->ntimers &&
		    loop->timers[child + 1]->at_ns < loop->timers[child]->at_ns)
			child++;
		if (loop->timers[child]->at_ns >= t->at_ns)
			break;
		timer_put(loop, i, loop->timers[child]);
		i = child;
	}
	timer_put(loop, i, t);
}

static void timers_arm(struct ndm_loop *loop)
{
	uint64_t first = loop->ntimers ? loop->timers[0]->at_ns : UINT64_MAX;

	if (first == loop->armed_ns)
		return;
	loop->armed_ns = first;
	loop->world->ops->deadline(loop, first);
}

void ndm_timer_init(struct ndm_timer *t, struct ndm_loop *loop, void (*fn)(struct ndm_timer *))
{
	*t = (struct ndm_timer){ .loop = loop, .fn = fn };
}

static void timer_remove(struct ndm_timer *t)
{
	struct ndm_loop *loop = t->loop;
	unsigned i = t->index - 1;
	struct ndm_timer *last = loop->timers[--loop->ntimers];

	t->index = 0;
	if (last == t)
		return;
	if (i && loop->timers[(i - 1) / 2]->at_ns > last->at_ns)
		timer_up(loop, i, last);
	else
		timer_down(loop, i, last);
}

void ndm_timer_set(struct ndm_timer *t, uint64_t at_ns)
{
	struct ndm_loop *loop = t->loop;

	if (t->index)
		timer_remove(t);
	if (loop->ntimers == loop->timers_cap) {
		unsigned cap = loop->timers_cap ? 2 * loop->timers_cap : 64;
		struct ndm_timer **grown = realloc(loop->timers, cap * sizeof *grown);

		if (!grown)
			abort();		/* a lost timer is a hang: rather fall loudly */
		loop->timers = grown;
		loop->timers_cap = cap;
	}
	t->at_ns = at_ns;
	timer_up(loop, loop->ntimers++, t);
	if (!loop->running)
		timers_arm(loop);
}

void ndm_timer_cancel(struct ndm_timer *t)
{
	if (!t->index)
		return;
	timer_remove(t);
	if (!t->loop->running)
		timers_arm(t->loop);
}

static bool timers_run(struct ndm_loop *loop)
{
	uint64_t now;
	bool any = false;

	if (!loop->ntimers)
		return false;
	now = loop_now(loop);
	while (loop->ntimers && loop->timers[0]->at_ns <= now) {
		struct ndm_timer *t = loop->timers[0];

		timer_remove(t);
		t->fn(t);
		any = true;
	}
	return any;
}

/* ---- running ---- */

static struct ndm_task *ready_take(struct ndm_loop *loop)
{
	unsigned n = loop->world->ops->pick ? loop->world->ops->pick(loop->world, loop->nready) : 0;
	struct ndm_task *before = NULL, *t = loop->ready_head;

	for (; n; n--) {
		before = t;
		t = t->next;
	}
	if (before)
		before->next = t->next;
	else
		loop->ready_head = t->next;
	if (loop->ready_tail == t)
		loop->ready_tail = before;
	loop->nready--;
	return t;
}

static void loop_turn(struct ndm_loop *loop)
{
	/* a world that picks wants its say before every task */
	unsigned steps = 0, most = loop->world->ops->pick ? 1 : BATCH_MAX;
	bool more = true;

	while (more && steps < most) {
		more = mailbox_take(loop);
		more |= timers_run(loop);
		if (loop->nready) {
			unsigned n = loop->nready;	/* those made ready meanwhile come later */

			more = true;
			for (; n && loop->nready && steps < most; n--, steps++)
				task_run(loop, ready_take(loop));
		}
		if (more && loop->world->ops->flush_batch)
			loop->world->ops->flush_batch(loop);
		steps++;
	}
	if (loop->world->ops->flush_batch)
		loop->world->ops->flush_batch(loop);
}

void ndm_loop_begin(struct ndm_loop *loop)
{
	assert(!loop->running);
	loop->running = true;
	loop->lending = true;
}

bool ndm_may_lend(const struct ndm_loop *loop)
{
	return loop->lending;
}

void ndm_loop_end(struct ndm_loop *loop)
{
	assert(loop->running);
	loop->lending = false;
	loop_turn(loop);
	loop->running = false;
	timers_arm(loop);
	if (loop->nready || atomic_load_explicit(&loop->mailbox, memory_order_relaxed))
		loop->world->ops->kick(loop);
}

void ndm_loop_wait(struct ndm_loop *loop, uint64_t timeout_ns)
{
	ndm_loop_begin(loop);
	loop->lending = false;
	if (loop->nready || atomic_load_explicit(&loop->mailbox, memory_order_relaxed))
		timeout_ns = 0;
	if (timeout_ns)
		timers_arm(loop);
	loop->world->ops->poll(loop, timeout_ns);
	ndm_loop_end(loop);
}

void ndm_loop_run(struct ndm_loop *loop)
{
	ndm_loop_wait(loop, 0);
}

bool ndm_loop_busy(struct ndm_loop *loop)
{
	return loop->nready || atomic_load_explicit(&loop->mailbox, memory_order_relaxed) ||
	       (loop->ntimers && loop->timers[0]->at_ns <= loop_now(loop));
}

#ifdef NDM_MOMENTS
int ndm_moment(struct ndm_loop *loop, const char *name)
{
	return loop->world->ops->moment ? loop->world->ops->moment(loop->world, loop, name) : 0;
}
#endif
