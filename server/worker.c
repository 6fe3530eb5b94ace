/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c - the turn of a thread.  See worker.h.
 */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#include "conn.h"
#include "look.h"
#include "nap.h"
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

static bool more_to_do(const struct worker *w)
{
	return w->again || w->dirty || w->finished || w->arrived || ndm_loop_busy(w->loop);
}

static void wait_for_events(struct worker *w)
{
	uint64_t nap_ns = nap_worth(w);

	if (more_to_do(w)) {
		event_base_loop(w->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		return;
	}
	if (nap_ns)
		nap_take(nap_ns);
	else if (look_around(w))		/* sleeps in the next turn, if nobody came */
		return;
	event_base_loop(w->base, EVLOOP_ONCE);
}

void worker_turn(struct worker *w)
{
	ndm_loop_begin(w->loop);
	wait_for_events(w);
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
	nap_begin();
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
