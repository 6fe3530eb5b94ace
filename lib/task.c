/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task.c - tasks: straight-line code that may wait.
 *
 * A task is a fiber (fiber.c) plus its place in a loop: ready, running, or waiting in one
 * queue.  Only the loop's scheduler resumes tasks; a task leaves only by task_suspend(), so
 * code between two waits is atomic with respect to everything else on the loop.
 *
 * Finished tasks are kept with their stacks: a pooled start costs tens of nanoseconds.
 */
#include <stdlib.h>

#include "core.h"

#define FREE_TASKS_MAX 256

static void task_entry(void *arg)
{
	struct ndm_task *t = arg;

	t->fn(t->arg);
	t->state = NDM_TASK_DONE;
}

static struct ndm_task *task_get(struct ndm_loop *loop)
{
	struct ndm_task *t = loop->free_tasks;

	if (t) {
		loop->free_tasks = t->next;
		loop->nfree_tasks--;
		fiber_restart(t->fiber);
		return t;
	}
	t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->fiber = fiber_new(task_entry, t);
	if (!t->fiber) {
		free(t);
		return NULL;
	}
	return t;
}

static void task_link(struct ndm_loop *loop, struct ndm_task *t)
{
	t->loop = loop;
	t->all_prev = NULL;
	t->all_next = loop->tasks;
	if (loop->tasks)
		loop->tasks->all_prev = t;
	loop->tasks = t;
	loop->ntasks++;
}

static void task_unlink(struct ndm_task *t)
{
	struct ndm_loop *loop = t->loop;

	if (t->all_prev)
		t->all_prev->all_next = t->all_next;
	else
		loop->tasks = t->all_next;
	if (t->all_next)
		t->all_next->all_prev = t->all_prev;
	loop->ntasks--;
}

void task_ready(struct ndm_task *t)
{
	struct ndm_loop *loop = t->loop;

	assert(t->state == NDM_TASK_WAITING);
	t->state = NDM_TASK_READY;
	t->next = NULL;
	if (loop->ready_head)
		loop->ready_tail->next = t;
	else
		loop->ready_head = t;
	loop->ready_tail = t;
	if (loop->nready++ == 0 && !loop->running)
		loop->world->ops->kick(loop);
}

void ndm_spawn(struct ndm_loop *loop, const char *name, void (*fn)(void *), void *arg)
{
	struct ndm_task *t = task_get(loop);

	/* No stack, no task: there is nobody to tell and nothing to undo.  64 KiB of address
	 * space that cannot be had means that the process is beyond help. */
	if (!t)
		abort();
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	t->waiting_on = NULL;
	t->hop_to = NULL;
	t->state = NDM_TASK_WAITING;
	task_link(loop, t);
	task_ready(t);
}

void task_suspend(struct ndm_loop *loop, struct ndm_task *t)
{
	assert(loop->current == t);
	assert(loop->nowait == 0);		/* map, end_io and status may not wait */
	assert(!loop->submitting);
	fiber_leave(t->fiber);
}

static void task_arrive(struct ndm_msg *msg)
{
	struct ndm_task *t = ndm_container_of(msg, struct ndm_task, hop_msg);
	struct ndm_loop *to = t->hop_to;

	t->hop_to = NULL;
	task_link(to, t);
	t->state = NDM_TASK_WAITING;
	task_ready(t);
}

void ndm_task_hop(struct ndm_loop *from, struct ndm_loop *to)
{
	struct ndm_task *t = from->current;

	if (from == to)
		return;
	assert(t);
	t->hop_to = to;
	t->state = NDM_TASK_HOPPING;
	task_suspend(from, t);
}

static void task_finish(struct ndm_loop *loop, struct ndm_task *t)
{
	task_unlink(t);
	if (loop->nfree_tasks >= FREE_TASKS_MAX) {
		fiber_free(t->fiber);
		free(t);
		return;
	}
	t->next = loop->free_tasks;
	loop->free_tasks = t;
	loop->nfree_tasks++;
}

void task_run(struct ndm_loop *loop, struct ndm_task *t)
{
	assert(!loop->current && t->state == NDM_TASK_READY);
	t->state = NDM_TASK_RUNNING;
	loop->current = t;
	fiber_resume(t->fiber);
	loop->current = NULL;
	if (t->state == NDM_TASK_DONE) {
		task_finish(loop, t);
	} else if (t->state == NDM_TASK_HOPPING) {
		/* only now, when its stack is at rest, may another thread take it */
		task_unlink(t);
		t->hop_msg.fn = task_arrive;
		ndm_loop_post(t->hop_to, &t->hop_msg);
	}
}

void task_free_all(struct ndm_loop *loop)
{
	struct ndm_task *t;

	while ((t = loop->free_tasks)) {
		loop->free_tasks = t->next;
		fiber_free(t->fiber);
		free(t);
	}
	loop->nfree_tasks = 0;
}
