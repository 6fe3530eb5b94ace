/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.c - the simulated outside: clock, dice, workers, and what happens next.
 *
 * One event at a time: a ready task of a loop runs, a disk completes a request, a worker
 * returns, or the clock jumps to the next deadline.  Which of them is chosen by dice, each
 * possible event with the same chance; now and then the clock jumps although there is other
 * work, so that timers fire early from the point of view of slow I/O.
 *
 * The core runs one ready task per ndm_loop_run() when the world has a pick().
 */
#include "priv.h"

#define STEP_NS_MAX 2000		/* virtual time an event takes, at most */
#define HASTE_ONE_IN 24			/* jump to the next deadline although there is work */

static uint64_t world_now(struct ndm_world *w)
{
	return world_of(w)->now_ns;
}

static uint64_t world_random(struct ndm_world *w)
{
	return dice_next(&world_of(w)->core);
}

static void world_random_bytes(struct ndm_world *w, void *bytes, size_t len)
{
	uint8_t *p = bytes;

	while (len--)
		*p++ = dice_next(&world_of(w)->core);
}

static int world_loop_init(struct ndm_world *w, struct ndm_loop *loop)
{
	struct sim_world *world = world_of(w);
	struct sim_loop *l = &world->loops[world->nloops++];

	*l = (struct sim_loop){ .loop = loop, .deadline_ns = UINT64_MAX };
	loop->os = l;
	return 0;
}

static void world_loop_fini(struct ndm_world *w, struct ndm_loop *loop)
{
	((struct sim_loop *)loop->os)->loop = NULL;
}

static int world_loop_fd(struct ndm_loop *loop)
{
	return -1;
}

static void world_kick(struct ndm_loop *loop)
{
	((struct sim_loop *)loop->os)->kicked = true;
}

static void world_deadline(struct ndm_loop *loop, uint64_t at_ns)
{
	((struct sim_loop *)loop->os)->deadline_ns = at_ns;
}

static void world_poll(struct ndm_loop *loop, uint64_t timeout_ns)
{
	struct sim_world *world = world_of(loop->world);
	struct sim_event *ev = world->deliver;

	if (!ev || ev->loop != loop)
		return;
	world->deliver = NULL;
	ev->fire(ev);
}

/* Work on a worker thread: done at some later moment, all at once. */
struct work_event { struct sim_event ev; struct ndm_work *work; };

static void work_fire(struct sim_event *ev)
{
	struct work_event *we = ndm_container_of(ev, struct work_event, ev);
	struct ndm_work *work = we->work;

	free(we);
	work->result = work->fn(work->arg);
	work->done(work);
}

static void world_offload(struct ndm_world *w, struct ndm_work *work)
{
	struct work_event *we = calloc(1, sizeof *we);

	we->work = work;
	we->ev = (struct sim_event){ .loop = work->loop, .fire = work_fire, .what = "worker" };
	world_event(world_of(w), &we->ev);
}

static unsigned world_pick(struct ndm_world *w, unsigned n)
{
	return dice_below(&world_of(w)->order, n);
}

static const struct ndm_world_ops world_ops = {
	.now = world_now,
	.random = world_random,
	.random_bytes = world_random_bytes,
	.loop_init = world_loop_init,
	.loop_fini = world_loop_fini,
	.loop_fd = world_loop_fd,
	.kick = world_kick,
	.deadline = world_deadline,
	.poll = world_poll,
	.offload = world_offload,
	.pick = world_pick,
	.moment = world_moment,
};

static const struct ndm_store_ops *const world_stores[] = { &sim_disk_ops, &sim_leg_ops, NULL };

static void world_log(void *arg, enum ndm_level level, const char *line)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };

	sim_trace(arg, "log: %s: %s", words[level], line);
}

struct sim_world *world_new(struct sim *s, uint64_t seed)
{
	struct sim_world *world = calloc(1, sizeof *world);

	world->sim = s;
	world->world.ops = &world_ops;
	world->world.stores = world_stores;
	world->world.log.fn = world_log;
	world->world.log.arg = s;
	world->order = dice_seed(seed, 1);
	world->core = dice_seed(seed, 2);
	world->now_ns = 1000000000;
	return world;
}

void world_free(struct sim_world *world)
{
	assert(world->npending == 0);
	free(world->pending);
	free(world);
}

void world_event(struct sim_world *world, struct sim_event *ev)
{
	if (world->npending == world->cap) {
		world->cap = world->cap ? 2 * world->cap : 64;
		world->pending = realloc(world->pending, world->cap * sizeof *world->pending);
	}
	world->pending[world->npending++] = ev;
}

/* ---- what happens next ---- */

static unsigned loop_chances(const struct sim_loop *l)
{
	if (!l->loop)
		return 0;
	if (l->loop->nready)
		return l->loop->nready;
	return l->kicked || ndm_loop_busy(l->loop);
}

static uint64_t next_deadline(const struct sim_world *world)
{
	uint64_t first = UINT64_MAX;
	unsigned i;

	for (i = 0; i < world->nloops; i++)
		if (world->loops[i].loop && world->loops[i].deadline_ns < first)
			first = world->loops[i].deadline_ns;
	for (i = 0; i < world->npending; i++)
		if (world->pending[i]->not_before_ns > world->now_ns &&
		    world->pending[i]->not_before_ns < first)
			first = world->pending[i]->not_before_ns;
	return first;
}

static void run_loop(struct sim_world *world, struct sim_loop *l)
{
	l->kicked = false;
	ndm_loop_run(l->loop);
	assert(!world->deliver);
}

static void deliver(struct sim_world *world, unsigned i)
{
	struct sim_event *ev = world->pending[i];

	memmove(&world->pending[i], &world->pending[i + 1],
		(--world->npending - i) * sizeof *world->pending);
	sim_trace(world->sim, "%s", ev->what);
	world->deliver = ev;
	run_loop(world, ev->loop->os);
}

/* The dice's choice among everything that could happen now; false: there is nothing. */
static bool choose(struct sim_world *world, unsigned chances)
{
	unsigned i, n = dice_below(&world->order, chances);

	for (i = 0; i < world->nloops; i++) {
		unsigned c = loop_chances(&world->loops[i]);

		if (n < c) {
			run_loop(world, &world->loops[i]);
			return true;
		}
		n -= c;
	}
	for (i = 0; i < world->npending; i++)
		if (world->pending[i]->not_before_ns <= world->now_ns && n-- == 0) {
			deliver(world, i);
			return true;
		}
	return false;
}

bool world_step(struct sim_world *world)
{
	unsigned i, chances = 0;
	uint64_t at_ns = next_deadline(world);

	for (i = 0; i < world->nloops; i++)
		chances += loop_chances(&world->loops[i]);
	for (i = 0; i < world->npending; i++)
		chances += world->pending[i]->not_before_ns <= world->now_ns;
	if (at_ns != UINT64_MAX && at_ns > world->now_ns &&
	    (!chances || (!(world->sim->script->flags & SIM_PROMPT) &&
			  dice_below(&world->order, HASTE_ONE_IN) == 0))) {
		world->now_ns = at_ns;
		sim_trace(world->sim, "the clock jumps");
		return true;
	}
	world->now_ns += 1 + dice_below(&world->order, STEP_NS_MAX);
	return chances && choose(world, chances);
}

/* ---- post mortem ---- */

static const struct ndm_task *task_at(struct sim_world *world, const void *p)
{
	unsigned i;
	const struct ndm_task *t;

	for (i = 0; i < world->nloops; i++)
		for (t = world->loops[i].loop->tasks; t; t = t->all_next)
			if (t == p)
				return t;
	return NULL;
}

/*
 * A mutex and a range have their owner right before the queue, a rwlock its writer two words
 * before: a word there that is a living task is the holder.  Looks beyond the queue's own
 * bounds, so the address sanitizer must look away.
 */
__attribute__((no_sanitize("address"), no_sanitize("undefined"), noinline))
static const struct ndm_task *holder_of(struct sim_world *world, const struct ndm_waitq *q)
{
	const void *const volatile *word = (const void *const volatile *)q;
	const struct ndm_task *t = task_at(world, word[-1]);

	return t ? t : task_at(world, word[-2]);
}

void world_print_tasks(struct sim_world *world, FILE *f)
{
	static const char *const words[] = { "ready", "running", "waiting", "hopping", "done" };
	const struct ndm_task *t, *holder;
	unsigned i;

	for (i = 0; i < world->nloops; i++)
		for (t = world->loops[i].loop->tasks; t; t = t->all_next) {
			fprintf(f, "  loop %u: task %p '%s' %s", i, (const void *)t, t->name,
				words[t->state]);
			if (t->waiting_on) {
				holder = holder_of(world, t->waiting_on);
				fprintf(f, " in queue %p", (const void *)t->waiting_on);
				if (holder)
					fprintf(f, ", held by task %p '%s'", (const void *)holder,
						holder->name);
			}
			fprintf(f, "\n");
		}
}
