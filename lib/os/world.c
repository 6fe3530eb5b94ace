/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.c - the real world of a loop: one epoll fd, and on it an eventfd for kicks from other
 * threads, a timerfd for the earliest deadline, the fd of the io_uring, and the sockets of
 * NBD stores.  The epoll fd is what a host nests in its own event loop.
 *
 * What can be known without the kernel is not asked of it: a poll that may not wait looks at
 * the ring's memory, the kick flag and the clock first, and enters epoll_wait only when one
 * of them, or somebody's socket, may have something.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "os.h"

/* ---- watches ---- */

int os_watch_add(struct ndm_loop *loop, struct os_watch *w)
{
	struct epoll_event ev = { .events = w->events, .data.ptr = w };
	struct os_loop *os = os_loop(loop);

	if (epoll_ctl(os->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev))
		return -errno;
	os->watches++;
	return 0;
}

void os_watch_change(struct ndm_loop *loop, struct os_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (w->events == events)
		return;
	w->events = events;
	epoll_ctl(os_loop(loop)->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev);
}

void os_watch_remove(struct ndm_loop *loop, struct os_watch *w)
{
	struct os_loop *os = os_loop(loop);
	int i;

	epoll_ctl(os->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	os->watches--;
	for (i = 0; i < os->nevents; i++)
		if (os->events[i].data.ptr == w)
			os->events[i].data.ptr = NULL;
}

/* ---- batches ---- */

void os_batch_add(struct ndm_loop *loop, struct os_batch *b)
{
	struct os_loop *os = os_loop(loop);

	if (b->waits)
		return;
	b->waits = true;
	b->next = os->batches;
	os->batches = b;
}

void os_batch_remove(struct ndm_loop *loop, struct os_batch *b)
{
	struct os_batch **p = &os_loop(loop)->batches;

	if (!b->waits)
		return;
	while (*p != b)
		p = &(*p)->next;
	*p = b->next;
	b->waits = false;
}

static void batches_run(struct os_loop *os)
{
	struct os_batch *b;

	while ((b = os->batches)) {
		os->batches = b->next;
		b->waits = false;
		b->fn(b);
	}
}

/* ---- kick ---- */

static void os_kick(struct ndm_loop *loop)
{
	struct os_loop *os = os_loop(loop);
	uint64_t one = 1;

	if (atomic_exchange(&os->kicked, true))
		return;
	while (write(os->kick.fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void kick_event(struct os_watch *w, uint32_t events)
{
	struct os_loop *os = ndm_container_of(w, struct os_loop, kick);
	uint64_t n;

	(void)events;
	/* First emptied, then said so: a kick that falls between the two writes nothing, but
	 * what it announces was there before, and is looked at after this. */
	while (read(w->fd, &n, sizeof n) < 0 && errno == EINTR)
		;
	atomic_store(&os->kicked, false);
}

/* ---- deadline ---- */

static void timer_arm(struct os_loop *os, uint64_t at_ns)
{
	struct itimerspec t = { 0 };

	os->armed_ns = at_ns;
	if (at_ns == 0)
		at_ns = 1;			/* 0 would disarm it */
	t.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
	t.it_value.tv_nsec = (long)(at_ns % 1000000000u);
	timerfd_settime(os->timer.fd, TFD_TIMER_ABSTIME, &t, NULL);
}

/* A deadline that moves away leaves the timer alone: one needless wake-up, and it is set
 * anew then, is cheaper than a system call for each move. */
static void os_deadline(struct ndm_loop *loop, uint64_t at_ns)
{
	struct os_loop *os = os_loop(loop);

	os->deadline_ns = at_ns;
	if (at_ns < os->armed_ns)
		timer_arm(os, at_ns);
}

static void timer_event(struct os_watch *w, uint32_t events)
{
	struct os_loop *os = ndm_container_of(w, struct os_loop, timer);
	uint64_t n;

	(void)events;
	while (read(w->fd, &n, sizeof n) < 0 && errno == EINTR)
		;
	os->armed_ns = UINT64_MAX;
	if (os->deadline_ns > clock_now(os->loop->world) && os->deadline_ns != UINT64_MAX) {
		timer_arm(os, os->deadline_ns);
		return;
	}
	/* Due.  The loop will name the next deadline, be it this same one again. */
	os->deadline_ns = UINT64_MAX;
	os->loop->armed_ns = UINT64_MAX;
}

/* ---- polling ---- */

static bool worth_asking(struct os_loop *os)
{
	return os->watches || atomic_load(&os->kicked) ||
	       (os->armed_ns != UINT64_MAX && os->armed_ns <= clock_now(os->loop->world));
}

static void dispatch(struct os_loop *os, int timeout_ms)
{
	int i, n = epoll_wait(os->epoll_fd, os->events, OS_EVENTS, timeout_ms);

	os->nevents = n < 0 ? 0 : n;		/* EINTR: as if nothing had happened */
	for (i = 0; i < os->nevents; i++) {
		struct os_watch *w = os->events[i].data.ptr;

		if (w)
			w->fn(w, os->events[i].events);
	}
	os->nevents = 0;
}

static void os_poll(struct ndm_loop *loop, uint64_t timeout_ns)
{
	struct os_loop *os = os_loop(loop);
	int timeout_ms = -1;

	batches_run(os);
	if (timeout_ns)
		ring_submit(os);
	if (ring_reap(os) | workers_collect(os))
		timeout_ns = 0;
	if (!timeout_ns && !worth_asking(os))
		return;
	if (timeout_ns / 1000000u < INT32_MAX)
		timeout_ms = (int)((timeout_ns + 999999u) / 1000000u);
	dispatch(os, timeout_ms);
	ring_reap(os);
	workers_collect(os);
}

static void os_flush_batch(struct ndm_loop *loop)
{
	batches_run(os_loop(loop));
	ring_submit(os_loop(loop));
}

static int os_fd(struct ndm_loop *loop)
{
	return os_loop(loop)->epoll_fd;
}

/* ---- a loop's beginning and end ---- */

static void loop_part_free(struct os_loop *os)
{
	if (os->epoll_fd >= 0)
		close(os->epoll_fd);
	if (os->kick.fd >= 0)
		close(os->kick.fd);
	if (os->timer.fd >= 0)
		close(os->timer.fd);
	free(os);
}

static int os_loop_init(struct ndm_world *world, struct ndm_loop *loop)
{
	struct os_loop *os = ndm_zalloc(sizeof *os);
	int err;

	(void)world;
	if (!os)
		return -ENOMEM;
	os->loop = loop;
	os->deadline_ns = os->armed_ns = UINT64_MAX;
	os->kick = (struct os_watch){ .fn = kick_event, .events = EPOLLIN };
	os->timer = (struct os_watch){ .fn = timer_event, .events = EPOLLIN };
	os->kick.fd = os->timer.fd = -1;
	os->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (os->epoll_fd >= 0)
		os->kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (os->kick.fd >= 0)
		os->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	err = os->timer.fd < 0 ? -errno : 0;
	loop->os = os;
	err = err ? err : os_watch_add(loop, &os->kick);
	err = err ? err : os_watch_add(loop, &os->timer);
	if (err) {
		loop->os = NULL;
		loop_part_free(os);
		return err;
	}
	os->watches = 0;			/* ours are known without asking */
	return 0;
}

static void os_loop_fini(struct ndm_world *world, struct ndm_loop *loop)
{
	struct os_loop *os = os_loop(loop);

	(void)world;
	/* Work that nobody waits for any more (a connect that was given up) still comes back. */
	while (os->working || ring_in_flight(os))
		os_poll(loop, UINT64_MAX);
	while (atomic_load_explicit(&os->kicking, memory_order_acquire))
		sched_yield();
	assert(os->watches == 0);
	ring_free(os);
	os_reqs_free(os);
	loop->os = NULL;
	loop_part_free(os);
}

/* ---- the world ---- */

static const struct ndm_world_ops os_ops = {
	.now = clock_now,
	.random = dice_random,
	.random_bytes = dice_bytes,
	.loop_init = os_loop_init,
	.loop_fini = os_loop_fini,
	.loop_fd = os_fd,
	.kick = os_kick,
	.deadline = os_deadline,
	.poll = os_poll,
	.offload = workers_offload,
	.key_read = keyring_read,
	.flush_batch = os_flush_batch,
};

static const struct ndm_store_ops *const os_stores[] = {
	&file_store_ops, &mem_store_ops, &nbd_store_ops, &rbd_store_ops, NULL,
};

struct ndm_world *ndm_world_os(void)
{
	struct os_world *w = ndm_zalloc(sizeof *w);

	if (!w)
		return NULL;
	w->base.ops = &os_ops;
	w->base.stores = os_stores;
	dice_seed(w);
	workers_init(&w->workers);
	pthread_mutex_init(&w->mems_lock, NULL);
	pthread_mutex_init(&w->rbd_lock, NULL);
	return &w->base;
}

void ndm_world_os_direct_io(struct ndm_world *world, bool on)
{
	os_world(world)->direct_io = on;
}

void ndm_world_os_free(struct ndm_world *world)
{
	struct os_world *w = os_world(world);

	if (!world)
		return;
	assert(!w->mems);
	workers_fini(&w->workers);
	pthread_mutex_destroy(&w->mems_lock);
	pthread_mutex_destroy(&w->rbd_lock);
	ndm_free(w->rbd);
	ndm_free(w);
}
