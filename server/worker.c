/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c - the turn of a thread.  See worker.h.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>

#include "conn.h"
#include "ndmd.h"
#include "takeover.h"
#include "worker.h"

#define TRIM_SECONDS 5

static void loop_readable(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	w->look.seen = true;
	w->loop_ready = true;		/* run after the events: they are inside loop_begin() */
}

static void trim_due(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	w->trimming = false;
	if (pool_trim(&w->pool)) {
		struct timeval soon = { .tv_sec = TRIM_SECONDS };

		event_add(w->trim_event, &soon);
		w->trimming = true;
	}
}

static void trim_later(struct worker *w)
{
	struct timeval soon = { .tv_sec = TRIM_SECONDS };

	if (w->trimming || !(w->pool.cached || w->pool.area || w->pool.areas))
		return;
	event_add(w->trim_event, &soon);
	w->trimming = true;
}

/* Clients that have asked nothing for a while, and wait for nothing, go. */
static void idle_due(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct conn *c, *next;

	(void)fd;
	(void)what;
	if (w->parked)
		return;
	w->idle_tick++;
	for (c = w->conns; c; c = next) {
		next = c->next;
		if (!c->hs && !c->in_flight && w->idle_tick - c->heard_tick > 4)
			conn_drop(c, "has been idle for %u seconds", w->ndmd->opt.idle_s);
	}
}

static int idle_start(struct worker *w)
{
	unsigned ms = w->ndmd->opt.idle_s * 250;
	struct timeval quarter = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (!ms)
		return 0;
	w->idle_event = event_new(w->base, -1, EV_PERSIST, idle_due, w);
	return w->idle_event && !event_add(w->idle_event, &quarter) ? 0 : -ENOMEM;
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (!config)
		return NULL;
	/* no change list: a socket that moves must be out of the old epoll set before it goes */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

int worker_init(struct worker *w, struct ndmd *d, unsigned index)
{
	*w = (struct worker){ .ndmd = d, .index = index };
	pool_init(&w->pool);
	w->loop = ndm_loop_new(d->world);
	w->base = base_new();
	if (!w->loop || !w->base)
		return -ENOMEM;
	w->loop_event = event_new(w->base, ndm_loop_fd(w->loop), EV_READ | EV_PERSIST,
				  loop_readable, w);
	w->trim_event = evtimer_new(w->base, trim_due, w);
	if (!w->loop_event || !w->trim_event || event_add(w->loop_event, NULL))
		return -ENOMEM;
	return idle_start(w);
}

void worker_fini(struct worker *w)
{
	if (w->loop_event)
		event_free(w->loop_event);
	if (w->trim_event)
		event_free(w->trim_event);
	if (w->idle_event)
		event_free(w->idle_event);
	pool_fini(&w->pool);
	if (w->base)
		event_base_free(w->base);
	if (w->loop)
		ndm_loop_free(w->loop);
}

struct worker *worker_of(struct ndmd *d, const struct ndm_loop *loop)
{
	unsigned i;

	for (i = 0; i < d->nworkers; i++)
		if (d->workers[i].loop == loop)
			return &d->workers[i];
	return NULL;
}

/* ---- lists of connections that want something at the end of a turn ---- */

void worker_dirty(struct conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->next_dirty = c->worker->dirty;
	c->worker->dirty = c;
}

void worker_again(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->again)
		return;
	c->again = true;
	c->next_again = NULL;
	if (w->again)
		w->again_last->next_again = c;
	else
		w->again = c;
	w->again_last = c;
}

void worker_finished(struct conn *c)
{
	if (c->finished)
		return;
	c->finished = true;
	c->next_finished = c->worker->finished;
	c->worker->finished = c;
}

void worker_arrived(struct conn *c)
{
	c->next_again = c->worker->arrived;
	c->worker->arrived = c;
}

static void run_arrived(struct worker *w)
{
	struct conn *c;

	while ((c = w->arrived)) {
		w->arrived = c->next_again;
		opening_done(c);
	}
}

static void run_again(struct worker *w)
{
	struct conn *c, *list = w->again;

	w->again = NULL;		/* those that come back wait for the next turn */
	while ((c = list)) {
		list = c->next_again;
		c->again = false;
		if (!c->finished)
			transmit_again(c);
	}
}

static void send_replies(struct worker *w)
{
	struct conn *c;

	while ((c = w->dirty)) {
		w->dirty = c->next_dirty;
		c->dirty = false;
		reply_send(c);
	}
}

/*
 * What stores have lent is good until the loop runs its tasks: it leaves now, and what the
 * sockets do not take is copied.
 */
static void send_loans(struct worker *w)
{
	struct conn *c;

	for (c = w->dirty; c; c = c->next_dirty) {
		if (c->lent)
			reply_send(c);
		if (c->lent)
			reply_settle(c);
	}
}

/* Nothing may point at them any more: they leave the other lists first. */
static void free_finished(struct worker *w)
{
	struct conn *c, **p;

	while ((c = w->finished)) {
		w->finished = c->next_finished;
		if (c->again) {
			for (p = &w->again; *p != c; p = &(*p)->next_again)
				;
			*p = c->next_again;
			if (w->again_last == c)
				for (w->again_last = w->again;
				     w->again_last && w->again_last->next_again;)
					w->again_last = w->again_last->next_again;
		}
		conn_finish(c);
	}
}

/* ---- looking before sleeping ---- */

/*
 * A client that asks one small thing at a time has its next question ready some 10 to 40 us
 * after the answer.  To fall asleep and be woken costs more than that, for both sides, so the
 * thread looks around for a while first.  Where nobody comes it learns not to: after each miss
 * in a row it sleeps at once twice as often.  Many requests at a time are better off with a
 * nap, because more of them come together.
 */
#define LOOK_NS 50000u
#define LOOK_REQUESTS 2u			/* in the last turn, at most */
#define LOOK_BYTES (64u << 10)
#define LOOK_MISSES_MAX 10u

static uint64_t count_of(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static bool worth_a_look(struct worker *w)
{
	uint64_t requests = count_of(&w->count.requests);
	uint64_t bytes = count_of(&w->count.bytes_in) + count_of(&w->count.bytes_out);
	uint64_t asked = requests - w->look.requests, moved = bytes - w->look.bytes;

	w->look.requests = requests;
	w->look.bytes = bytes;
	if (!asked || asked > LOOK_REQUESTS || moved > LOOK_BYTES)
		return false;
	if (!w->look.skip)
		return true;
	w->look.skip--;
	return false;
}

static void look_around(struct worker *w)
{
	uint64_t end = ndm_now(w->loop) + LOOK_NS;

	w->look.seen = false;
	do {
		event_base_loop(w->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	} while (!w->look.seen && ndm_now(w->loop) < end);
	if (w->look.seen)
		w->look.misses = 0;
	else if (w->look.misses < LOOK_MISSES_MAX)
		w->look.misses++;
	w->look.skip = (1u << w->look.misses) - 1;
}

/* ---- sleeping before looking ---- */

/*
 * A server behind us answers one request at a time, and to wake up, receive, pass on and fall
 * asleep again costs more than the work in between.  While many requests are out the thread
 * sleeps a little first, so that some answers come together (network cards do so with their
 * interrupts): for as long as three of them took of late, which is no more than an eighth of what
 * each of them takes anyway.
 */
#define NAP_REQUESTS 24u		/* out, at least */
#define NAP_ANSWERS 3u
#define NAP_MIN_NS 5000u
#define NAP_MAX_NS 40000u

static uint64_t worth_a_nap(struct worker *w)
{
	uint64_t ended = w->ended - w->nap.ended, now, ns;

	if (!ended)
		return 0;
	w->nap.ended = w->ended;
	if (w->below < NAP_REQUESTS)
		return 0;
	now = ndm_now(w->loop);
	ns = NAP_ANSWERS * (now - w->nap.ns) / ended;
	w->nap.ns = now;
	return ended < NAP_ANSWERS && ns >= NAP_MIN_NS && ns <= NAP_MAX_NS ? ns : 0;
}

static void nap(uint64_t ns)
{
	struct timespec t = { .tv_nsec = (long)ns };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static bool more_to_do(const struct worker *w)
{
	return w->again || w->dirty || w->finished || w->arrived || ndm_loop_busy(w->loop);
}

void worker_turn(struct worker *w)
{
	uint64_t nap_ns = worth_a_nap(w);

	ndm_loop_begin(w->loop);
	if (more_to_do(w)) {
		event_base_loop(w->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	} else if (nap_ns) {
		nap(nap_ns);
		event_base_loop(w->base, EVLOOP_ONCE);
	} else if (worth_a_look(w)) {
		look_around(w);		/* and sleep in the next turn, if nobody came */
	} else {
		event_base_loop(w->base, EVLOOP_ONCE);
	}
	if (w->again)
		run_again(w);
	send_loans(w);
	ndm_loop_end(w->loop);
	if (w->loop_ready) {
		w->loop_ready = false;
		ndm_loop_run(w->loop);
	}
	if (w->arrived || w->dirty || w->finished) {
		ndm_loop_begin(w->loop);
		run_arrived(w);
		send_loans(w);
		send_replies(w);
		free_finished(w);
		ndm_loop_end(w->loop);
	}
	if (w->parked)
		takeover_turn(w);
	trim_later(w);
}

void worker_run(struct worker *w)
{
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);	/* ns; 50000 would be longer than a nap */
	while (!w->stop)
		worker_turn(w);
}

static void *worker_thread(void *arg)
{
	worker_run(arg);
	return NULL;
}

int worker_start(struct worker *w)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);			/* signals are for the first thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, worker_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->started = !err;
	return -err;
}
