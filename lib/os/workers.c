/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workers.c - a few threads for what must not happen on a loop: CPU work by the piece, and
 * system calls that block where io_uring cannot help.
 *
 * Threads are started when there is work and nobody idle, twice as many as there are
 * processors, but 4 at least and 16 at most.  What is finished goes onto the loop's own stack
 * of done work, and the loop is kicked.
 */
#include <signal.h>
#include <unistd.h>

#include "os.h"

void workers_init(struct os_workers *w)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	w->max = cpus < 2 ? 4 : cpus > 8 ? 16 : 2 * (unsigned)cpus;
}

static void work_done(struct ndm_work *work)
{
	struct os_loop *os = os_loop(work->loop);
	struct ndm_work *old;

	atomic_fetch_add_explicit(&os->kicking, 1, memory_order_relaxed);
	old = atomic_load_explicit(&os->done, memory_order_relaxed);
	do {
		work->next = old;
	} while (!atomic_compare_exchange_weak_explicit(&os->done, &old, work,
							memory_order_release,
							memory_order_relaxed));
	if (!old)
		os->loop->world->ops->kick(os->loop);
	/* the loop may have seen the work long ago; it is not freed before this */
	atomic_fetch_sub_explicit(&os->kicking, 1, memory_order_release);
}

static void *worker(void *arg)
{
	struct os_workers *w = arg;
	struct ndm_work *work;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->head && !w->stop) {
			w->idle++;
			pthread_cond_wait(&w->more, &w->lock);
			w->idle--;
		}
		if (!w->head)
			break;
		work = w->head;
		w->head = work->next;
		w->queued--;
		pthread_mutex_unlock(&w->lock);
		work->result = work->fn(work->arg);
		work_done(work);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* With w->lock held. */
static void worker_start(struct os_workers *w)
{
	sigset_t all, before;

	/* signals are the host's affair: they shall find its threads, not ours */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!pthread_create(&w->threads[w->nthreads], NULL, worker, w))
		w->nthreads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void workers_offload(struct ndm_world *world, struct ndm_work *work)
{
	struct os_workers *w = &os_world(world)->workers;
	bool nobody;

	os_loop(work->loop)->working++;
	work->next = NULL;
	pthread_mutex_lock(&w->lock);
	if (w->queued >= w->idle && w->nthreads < w->max)
		worker_start(w);
	nobody = w->nthreads == 0;
	if (!nobody) {
		if (w->head)
			w->tail->next = work;
		else
			w->head = work;
		w->tail = work;
		w->queued++;
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	if (nobody) {			/* not one thread to be had: slow is better than stuck */
		work->result = work->fn(work->arg);
		work_done(work);
	}
}

bool workers_collect(struct os_loop *os)
{
	struct ndm_work *work, *next, *first = NULL;

	if (!atomic_load_explicit(&os->done, memory_order_relaxed))
		return false;
	work = atomic_exchange_explicit(&os->done, NULL, memory_order_acquire);
	for (; work; work = next) {		/* in the order in which they ended */
		next = work->next;
		work->next = first;
		first = work;
	}
	for (; first; first = next) {
		next = first->next;
		os->working--;
		first->done(first);
	}
	return true;
}

void workers_fini(struct os_workers *w)
{
	unsigned i;

	assert(!w->head);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (i = 0; i < w->nthreads; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
}
