/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lead.c - leader and followers: blocking callers take turns as the loop.
 *
 * The loop is guarded by one mutex, held for as long as it takes to start a call and to run
 * what is ready, never while waiting.  A caller therefore starts its call itself; one that
 * ends inline (a cached read) has then cost no context switch at all.
 *
 * Of those whose calls have not ended one is the leader: it waits on the loop's fd, outside
 * the mutex, and runs the loop when something happened.  All others sleep, each on a condition
 * of its own, until their call has ended, or until they are made the leader because the one
 * before has finished.
 *
 * A caller that ends the call of a leader who waits pokes him: an eventfd of his own, for the
 * loop's fd may be quiet again before he has looked.
 *
 * The housekeeper (one thread more) waits on the loop's fd while nobody calls, for timers and
 * background work.  A caller that wants to lead just does; the housekeeper finds out at its
 * next wake-up and rests.  It returns after a millisecond without calls: waking it at the end
 * of each call would cost the context switches that all this saves.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "os.h"

#define REST_NS 1000000

struct waiter {					/* on the stack of a caller that waits */
	pthread_cond_t wake;
	struct waiter *prev, *next;
	bool leads;
};

struct ndm_lead {
	struct ndm_loop *loop;
	pthread_mutex_t lock;			/* the loop, and all of this */
	pthread_cond_t rest;			/* the housekeeper's bed */
	struct waiter *waiters;			/* whose calls have not ended */
	struct waiter *leader;			/* NULL: nobody, or the housekeeper */
	bool leader_polls;			/* and may have to be poked */
	bool stop;
	bool poked;				/* poke_fd is readable */
	int poke_fd, stop_fd;			/* eventfds of the leader and of the housekeeper */
	uint64_t calls;				/* ever made: has anybody called lately? */
};

struct ndm_lead *ndm_lead_new(struct ndm_loop *loop)
{
	struct ndm_lead *l = ndm_zalloc(sizeof *l);
	pthread_mutexattr_t attr;
	pthread_condattr_t monotonic;

	if (!l)
		return NULL;
	l->loop = loop;
	l->poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->poke_fd < 0 || l->stop_fd < 0) {
		if (l->poke_fd >= 0)
			close(l->poke_fd);
		ndm_free(l);
		return NULL;
	}
	/* it is held for microseconds: to spin a little beats to sleep */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&l->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->rest, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return l;
}

void ndm_lead_free(struct ndm_lead *l)
{
	if (!l)
		return;
	assert(!l->waiters);
	close(l->poke_fd);
	close(l->stop_fd);
	pthread_cond_destroy(&l->rest);
	pthread_mutex_destroy(&l->lock);
	ndm_free(l);
}

/* ---- all below with the lock held, unless it says otherwise ---- */

static void eventfd_set(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void eventfd_clear(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
		;
}

/* Without the lock while it waits. */
static void wait_for_events(struct ndm_lead *l, int own_fd)
{
	struct pollfd fds[2] = {
		{ .fd = ndm_loop_fd(l->loop), .events = POLLIN },
		{ .fd = own_fd, .events = POLLIN },
	};

	pthread_mutex_unlock(&l->lock);
	poll(fds, 2, -1);
	pthread_mutex_lock(&l->lock);
}

static void lead_once(struct ndm_lead *l)
{
	if (!ndm_loop_busy(l->loop)) {
		l->leader_polls = true;
		wait_for_events(l, l->poke_fd);
		l->leader_polls = false;
	}
	if (l->poked) {
		eventfd_clear(l->poke_fd);
		l->poked = false;
	}
	ndm_loop_run(l->loop);
}

/* Nobody leads: one of those that wait shall. */
static void pass_on(struct ndm_lead *l)
{
	l->leader = l->waiters;
	if (!l->leader)
		return;
	l->leader->leads = true;
	pthread_cond_signal(&l->leader->wake);
}

static void waiter_link(struct ndm_lead *l, struct waiter *w)
{
	w->next = l->waiters;
	if (l->waiters)
		l->waiters->prev = w;
	l->waiters = w;
}

static void waiter_unlink(struct ndm_lead *l, struct waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		l->waiters = w->next;
	if (w->next)
		w->next->prev = w->prev;
}

static void call_wait(struct ndm_lead *l, struct ndm_call *call)
{
	struct waiter w = { .wake = PTHREAD_COND_INITIALIZER };

	call->waiter = &w;
	waiter_link(l, &w);
	if (!l->leader) {
		l->leader = &w;
		w.leads = true;
	}
	while (!call->finished) {
		if (w.leads)
			lead_once(l);
		else
			pthread_cond_wait(&w.wake, &l->lock);
	}
	waiter_unlink(l, &w);
	if (w.leads)
		pass_on(l);
	pthread_cond_destroy(&w.wake);
}

void ndm_lead_call(struct ndm_lead *l, struct ndm_call *call)
{
	call->finished = false;
	call->waiter = NULL;
	pthread_mutex_lock(&l->lock);
	l->calls++;
	ndm_loop_begin(l->loop);
	call->start(call);
	ndm_loop_end(l->loop);
	if (!call->finished)
		call_wait(l, call);
	pthread_mutex_unlock(&l->lock);
}

/* On the loop, so within somebody's hold of the lock. */
void ndm_call_finish(struct ndm_lead *l, struct ndm_call *call)
{
	struct waiter *w = call->waiter;

	call->finished = true;
	if (!w)
		return;				/* still in its own start() */
	if (!w->leads) {
		pthread_cond_signal(&w->wake);
	} else if (l->leader_polls && !l->poked) {
		l->poked = true;
		eventfd_set(l->poke_fd);
	}
}

/* Without the lock. */
void ndm_lead_housekeeping(struct ndm_lead *l)
{
	struct timespec until;
	uint64_t calls = 0;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		if (!l->leader && calls == l->calls) {
			if (!ndm_loop_busy(l->loop))
				wait_for_events(l, l->stop_fd);
			if (!l->leader)
				ndm_loop_run(l->loop);
			continue;
		}
		calls = l->calls;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += REST_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&l->rest, &l->lock, &until);
	}
	pthread_mutex_unlock(&l->lock);
}

/* Without the lock. */
void ndm_lead_stop(struct ndm_lead *l)
{
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	eventfd_set(l->stop_fd);
	pthread_cond_signal(&l->rest);
	pthread_mutex_unlock(&l->lock);
}
