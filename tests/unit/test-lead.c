/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sixteen blocking callers take turns as one loop: calls that end at once, from timers, from
 * workers, in tasks with real I/O, and because somebody else's call ended them.  A lost
 * wake-up hangs the test; a broken turn breaks the counters, which no lock but the loop guards.
 */
#include <pthread.h>
#include <sched.h>

#include "os-harness.h"

#define CALLERS 16
#define CALLS 400

struct shared {
	struct ndm_lead *lead;
	struct ndm_loop *loop;
	struct ndm_store *store;
	unsigned long started, ended;		/* the loop's own: no atomics, no locks */
	struct one *parked;			/* calls that somebody else's call ends */
	unsigned inline_calls;
	unsigned inside;
	atomic_bool over;			/* every caller has returned */
};

enum kind { AT_ONCE, BY_TIMER, BY_WORKER, BY_TASK, BY_OTHERS, KINDS };

struct one {
	struct ndm_call call;			/* first */
	struct shared *sh;
	enum kind kind;
	uint64_t dice;
	struct ndm_timer timer;
	struct ndm_work work;
	struct one *next;
	pthread_t caller;
	unsigned char buf[512];
};

static void one_end(struct one *o)
{
	o->sh->ended++;
	ndm_call_finish(o->sh->lead, &o->call);
}

static void timer_ends(struct ndm_timer *t)
{
	one_end(ndm_container_of(t, struct one, timer));
}

static int work(void *arg)
{
	return ((struct one *)arg)->kind == BY_WORKER ? 42 : 0;
}

static void work_ends(struct ndm_work *w)
{
	assert_int_equal(w->result, 42);
	one_end(w->arg);
}

static void task_ends(void *arg)
{
	struct one *o = arg;
	uint64_t sector = o->dice % o->sh->store->nr;

	memset(o->buf, (int)(o->dice & 0xff), sizeof o->buf);
	assert_int_equal(ndm_rw(o->sh->store, NDM_WRITE, 0, sector, 1, o->buf), 0);
	ndm_sleep(o->sh->loop, o->dice % 200000);
	assert_int_equal(ndm_rw(o->sh->store, NDM_READ, 0, sector, 1, o->buf), 0);
	one_end(o);
}

static void parked_end(struct shared *sh)
{
	struct one *o, *next = sh->parked;

	sh->parked = NULL;
	while ((o = next)) {
		next = o->next;
		one_end(o);
	}
}

static void one_start(struct ndm_call *call)
{
	struct one *o = (struct one *)call;
	struct shared *sh = o->sh;

	assert_int_equal(sh->inside++, 0);
	assert_true(pthread_equal(o->caller, pthread_self()));	/* no hand-over to a start */
	sh->started++;
	switch (o->kind) {
	case AT_ONCE:
		parked_end(sh);
		one_end(o);
		break;
	case BY_TIMER:
		ndm_timer_init(&o->timer, sh->loop, timer_ends);
		ndm_timer_set(&o->timer, ndm_now(sh->loop) + o->dice % 300000);
		break;
	case BY_WORKER:
		o->work = (struct ndm_work){
			.fn = work, .arg = o, .loop = sh->loop, .done = work_ends,
		};
		sh->loop->world->ops->offload(sh->loop->world, &o->work);
		break;
	case BY_TASK:
		ndm_spawn(sh->loop, "call", task_ends, o);
		break;
	default:
		o->next = sh->parked;
		sh->parked = o;
	}
	sh->inside--;
}

struct caller { struct shared *sh; unsigned n; pthread_t thread; };

static void *caller_run(void *arg)
{
	struct caller *c = arg;
	struct one o = { .sh = c->sh, .dice = c->n * 77 + 5, .call = { .start = one_start } };
	unsigned i;

	o.caller = pthread_self();
	for (i = 0; i < CALLS; i++) {
		o.dice = o.dice * 6364136223846793005u + 1442695040888963407u;
		o.kind = (o.dice >> 33) % KINDS;
		if (o.kind == BY_OTHERS && c->n == 0)
			o.kind = AT_ONCE;	/* somebody must be there to end them */
		ndm_lead_call(c->sh->lead, &o.call);
		assert_true(o.call.finished);
	}
	return NULL;
}

/* The last of the parked have nobody left to end them but this. */
static void *sweeper(void *arg)
{
	struct shared *sh = arg;
	struct one o = { .sh = sh, .kind = AT_ONCE, .call = { .start = one_start } };

	o.caller = pthread_self();
	do {
		ndm_lead_call(sh->lead, &o.call);
		sh->inline_calls++;
		sched_yield();
	} while (!atomic_load(&sh->over));
	return NULL;
}

static void *housekeep(void *lead)
{
	ndm_lead_housekeeping(lead);
	return NULL;
}

static void do_open(struct rig *rig, void *arg)
{
	*(struct ndm_store **)arg = open_store(rig, "mem:1M", NDM_OPEN_READ | NDM_OPEN_WRITE);
}

static void do_close(struct rig *rig, void *arg)
{
	(void)rig;
	store_put(arg);
}

static void stress(struct rig *rig, bool housekeeper)
{
	struct shared sh = { .lead = ndm_lead_new(rig->loop), .loop = rig->loop };
	struct caller callers[CALLERS];
	pthread_t sweep, house;
	unsigned i;

	run(rig, do_open, &sh.store);
	if (housekeeper)
		assert_int_equal(pthread_create(&house, NULL, housekeep, sh.lead), 0);
	for (i = 0; i < CALLERS; i++) {
		callers[i].sh = &sh;
		callers[i].n = i;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_run,
						&callers[i]), 0);
	}
	assert_int_equal(pthread_create(&sweep, NULL, sweeper, &sh), 0);
	for (i = 0; i < CALLERS; i++)
		pthread_join(callers[i].thread, NULL);
	atomic_store(&sh.over, true);
	pthread_join(sweep, NULL);
	if (housekeeper) {
		ndm_lead_stop(sh.lead);
		pthread_join(house, NULL);
	}
	assert_int_equal(sh.started, CALLERS * CALLS + sh.inline_calls);
	assert_int_equal(sh.ended, sh.started);
	ndm_lead_free(sh.lead);
	run(rig, do_close, sh.store);
}

static void test_stress(void **state)
{
	stress(*state, false);
}

static void test_stress_housekeeper(void **state)
{
	stress(*state, true);
}

/* ---- with nobody calling, the housekeeper runs what is due; calls find it out of the way ---- */

struct tick { struct ndm_timer timer; atomic_uint n; };

static void tick(struct ndm_timer *t)
{
	struct tick *k = ndm_container_of(t, struct tick, timer);

	atomic_fetch_add(&k->n, 1);
	if (atomic_load(&k->n) < 100)
		ndm_timer_set(t, ndm_now(t->loop) + 100000);
}

struct tick_call {
	struct ndm_call call;
	struct ndm_lead *lead;
	struct tick *tick;
	struct ndm_loop *loop;
};

static void tick_start(struct ndm_call *call)
{
	struct tick_call *c = (struct tick_call *)call;

	if (!atomic_load(&c->tick->n)) {
		ndm_timer_init(&c->tick->timer, c->loop, tick);
		ndm_timer_set(&c->tick->timer, ndm_now(c->loop) + 100000);
	}
	ndm_call_finish(c->lead, call);
}

static void test_housekeeper(void **state)
{
	struct rig *rig = *state;
	struct tick k = { 0 };
	struct tick_call c = {
		.call = { .start = tick_start }, .lead = ndm_lead_new(rig->loop), .tick = &k,
		.loop = rig->loop,
	};
	pthread_t house;

	assert_int_equal(pthread_create(&house, NULL, housekeep, c.lead), 0);
	ndm_lead_call(c.lead, &c.call);
	while (atomic_load(&k.n) < 100)		/* nobody but the housekeeper can count it up */
		sched_yield();
	ndm_lead_call(c.lead, &c.call);
	ndm_lead_stop(c.lead);
	pthread_join(house, NULL);
	ndm_lead_free(c.lead);
}

/* ---- a call that ends in its own start costs no system call of the loop ---- */

static void test_inline(void **state)
{
	struct rig *rig = *state;
	struct shared sh = { .lead = ndm_lead_new(rig->loop), .loop = rig->loop };
	struct one o = { .sh = &sh, .kind = AT_ONCE, .call = { .start = one_start } };
	unsigned i;

	o.caller = pthread_self();
	for (i = 0; i < 100000; i++) {
		ndm_lead_call(sh.lead, &o.call);
		assert_null(o.call.waiter);	/* it never had to wait */
	}
	assert_int_equal(sh.ended, 100000);
	ndm_lead_free(sh.lead);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inline, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_stress, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_stress_housekeeper, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_housekeeper, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
