/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop's outside: kicks, timers, workers, watched fds, and requests whose thread is gone. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "os-harness.h"

static bool readable(struct ndm_loop *loop)
{
	struct pollfd p = { .fd = ndm_loop_fd(loop), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* ---- messages of many threads ---- */

#define POSTERS 4
#define POSTS 5000

struct post { struct ndm_msg msg; unsigned *count; };
struct poster { struct ndm_loop *loop; struct post *posts; };

static void posted(struct ndm_msg *m)
{
	++*((struct post *)m)->count;
}

static void *post_all(void *arg)
{
	struct poster *p = arg;
	unsigned i;

	for (i = 0; i < POSTS; i++)
		ndm_loop_post(p->loop, &p->posts[i].msg);
	return NULL;
}

static void test_posts(void **state)
{
	struct rig *rig = *state;
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];
	unsigned count = 0, i, j;

	for (i = 0; i < POSTERS; i++) {
		posters[i].loop = rig->loop;
		posters[i].posts = calloc(POSTS, sizeof *posters[i].posts);
		for (j = 0; j < POSTS; j++)
			posters[i].posts[j] = (struct post){ { .fn = posted }, &count };
		assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
	}
	while (count < POSTERS * POSTS)		/* a lost kick would stop here for ever */
		ndm_loop_wait(rig->loop, UINT64_MAX);
	for (i = 0; i < POSTERS; i++) {
		pthread_join(threads[i], NULL);
		free(posters[i].posts);
	}
	ndm_loop_run(rig->loop);
	assert_false(readable(rig->loop));
}

/* ---- timers ---- */

struct bell { struct ndm_timer timer; unsigned rang; uint64_t at; };

static void ring(struct ndm_timer *t)
{
	struct bell *b = (struct bell *)t;

	b->rang++;
	b->at = ndm_now(t->loop);
}

static void test_timers(void **state)
{
	struct ndm_loop *loop = ((struct rig *)*state)->loop;
	struct bell a = { 0 }, b = { 0 }, c = { 0 };
	uint64_t start = ndm_now(loop);

	ndm_timer_init(&a.timer, loop, ring);
	ndm_timer_init(&b.timer, loop, ring);
	ndm_timer_init(&c.timer, loop, ring);
	ndm_timer_set(&c.timer, start + 3600ull * 1000000000u);
	ndm_timer_set(&b.timer, start + 40000000);
	ndm_timer_set(&a.timer, start + 20000000);	/* earlier than what the fd knows */
	assert_true(!readable(loop) || ndm_now(loop) >= start + 20000000);
	while (!a.rang)
		ndm_loop_wait(loop, UINT64_MAX);
	assert_true(a.at >= start + 20000000);
	ndm_timer_set(&a.timer, start + 80000000);
	while (!a.rang || !b.rang)
		ndm_loop_wait(loop, UINT64_MAX);
	assert_true(b.at >= start + 40000000);
	while (a.rang < 2)
		ndm_loop_wait(loop, UINT64_MAX);
	assert_int_equal(a.rang, 2);
	assert_int_equal(c.rang, 0);
	ndm_timer_cancel(&c.timer);

	/* one that is long over makes the fd readable at once, for hosts that nest it */
	ndm_timer_set(&a.timer, start);
	assert_true(readable(loop));
	ndm_loop_run(loop);
	assert_int_equal(a.rang, 3);
	ndm_loop_run(loop);
	assert_false(readable(loop));
}

/* A deadline moved away and back leaves no timer behind and loses none. */
static void test_timer_moves(void **state)
{
	struct ndm_loop *loop = ((struct rig *)*state)->loop;
	struct bell a = { 0 };
	unsigned i;

	ndm_timer_init(&a.timer, loop, ring);
	for (i = 0; i < 50; i++) {
		ndm_timer_set(&a.timer, ndm_now(loop) + 500000);
		ndm_timer_set(&a.timer, ndm_now(loop) + 2000000);
		ndm_loop_run(loop);
		while (a.rang == i)
			ndm_loop_wait(loop, UINT64_MAX);
		assert_int_equal(a.rang, i + 1);
	}
}

/* ---- workers ---- */

struct sum { struct ndm_waitq q; unsigned left; atomic_uint ran; };

static int sum_up(void *arg)
{
	atomic_fetch_add(&((struct sum *)arg)->ran, 1);
	return -7;
}

static void offload_one(void *arg)
{
	struct sum *s = arg;

	assert_int_equal(ndm_offload(s->q.loop, sum_up, s), -7);
	s->left--;
	ndm_wake_all(&s->q);
}

static void do_offloads(struct rig *rig, void *arg)
{
	struct sum s = { .left = 300 };
	unsigned i;

	(void)arg;
	ndm_waitq_init(&s.q, rig->loop);
	for (i = 0; i < 300; i++)
		ndm_spawn(rig->loop, "offload", offload_one, &s);
	while (s.left)
		ndm_wait(&s.q);
	assert_int_equal(atomic_load(&s.ran), 300);
}

static void test_offloads(void **state)
{
	run(*state, do_offloads, NULL);
}

/* Work that nobody waits for is waited for by the end of the loop. */
static int slow_work(void *arg)
{
	char c;

	return (int)read(*(int *)arg, &c, 1);
}

static void forgotten(struct ndm_work *w)
{
	*(bool *)((void **)w->arg)[1] = true;
}

static int slow_entry(void *arg)
{
	return slow_work(((void **)arg)[0]);
}

static void *let_go(void *arg)
{
	assert_int_equal(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

static void test_forgotten_work(void **state)
{
	struct rig *rig = *state;
	struct ndm_loop *loop = ndm_loop_new(rig->world);
	int ends[2];
	bool done = false;
	void *arg[2] = { &ends[0], &done };
	struct ndm_work work = { .fn = slow_entry, .arg = arg, .loop = loop, .done = forgotten };
	pthread_t thread;

	assert_int_equal(pipe(ends), 0);
	rig->world->ops->offload(rig->world, &work);
	assert_int_equal(pthread_create(&thread, NULL, let_go, &ends[1]), 0);
	ndm_loop_free(loop);
	assert_true(done);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(ends[1]);
}

/* ---- watched fds ---- */

struct seen { struct os_watch watch; struct ndm_loop *loop; struct seen *other; unsigned n; };

static void saw(struct os_watch *w, uint32_t events)
{
	struct seen *s = (struct seen *)w;

	assert_true(events & EPOLLIN);
	s->n++;
	/* the first to be called removes both: the other's event of the same poll is void */
	os_watch_remove(s->loop, &s->watch);
	os_watch_remove(s->loop, &s->other->watch);
}

static void test_watches(void **state)
{
	struct ndm_loop *loop = ((struct rig *)*state)->loop;
	struct seen a = { .loop = loop }, b = { .loop = loop, .other = &a };
	int one[2], two[2];

	a.other = &b;
	assert_int_equal(pipe(one) | pipe(two), 0);
	a.watch = (struct os_watch){ .fn = saw, .fd = one[0], .events = EPOLLIN };
	b.watch = (struct os_watch){ .fn = saw, .fd = two[0], .events = EPOLLIN };
	assert_int_equal(os_watch_add(loop, &a.watch), 0);
	assert_int_equal(os_watch_add(loop, &b.watch), 0);
	ndm_loop_run(loop);
	assert_int_equal(a.n + b.n, 0);
	assert_int_equal(write(one[1], "x", 1) + write(two[1], "x", 1), 2);
	assert_true(readable(loop));
	ndm_loop_run(loop);
	assert_int_equal(a.n + b.n, 1);
	assert_false(readable(loop));
	close(one[0]);
	close(one[1]);
	close(two[0]);
	close(two[1]);
}

/* ---- io_uring: the kernel cancels what an exiting thread has submitted ---- */

struct orphan { struct ndm_loop *loop; struct os_req *r; bool submitted, done; char byte; };

static void orphan_done(struct os_req *r)
{
	struct orphan *o = r->file;

	o->done = true;
}

static void *submit_and_leave(void *arg)
{
	struct orphan *o = arg;

	ndm_loop_begin(o->loop);
	o->submitted = ring_start(os_loop(o->loop), o->r);
	ndm_loop_end(o->loop);
	return NULL;
}

static void test_orphan(void **state)
{
	struct ndm_loop *loop = ((struct rig *)*state)->loop;
	struct orphan o = { .loop = loop, .r = os_req_get(loop) };
	pthread_t thread;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	o.r->fn = orphan_done;
	o.r->file = &o;
	o.r->fd = ends[0];
	o.r->op = OS_READ;
	o.r->rwf = 0;
	o.r->offset = 0;
	o.r->iov[0] = (struct iovec){ &o.byte, 1 };
	o.r->iovcnt = 1;
	assert_int_equal(pthread_create(&thread, NULL, submit_and_leave, &o), 0);
	pthread_join(thread, NULL);
	if (o.submitted) {
		ndm_loop_wait(loop, 50000000);	/* takes it back from the dead */
		assert_false(o.done);
		assert_int_equal(write(ends[1], "y", 1), 1);
		while (!o.done)
			ndm_loop_wait(loop, UINT64_MAX);
		assert_int_equal(o.r->result, 1);
		assert_int_equal(o.byte, 'y');
	}
	os_req_put(o.r);
	close(ends[0]);
	close(ends[1]);
	if (!o.submitted)
		skip();
}

static void test_dice(void **state)
{
	struct ndm_loop *loop = ((struct rig *)*state)->loop;
	unsigned char a[32] = { 0 }, b[32] = { 0 };
	uint64_t all_or = 0, all_and = UINT64_MAX;
	unsigned i;

	for (i = 0; i < 200; i++) {
		uint64_t n = ndm_random(loop);

		all_or |= n;
		all_and &= n;
	}
	assert_true(all_or == UINT64_MAX && all_and == 0);
	ndm_random_bytes(loop, a, sizeof a);
	ndm_random_bytes(loop, b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_posts, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_timers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_timer_moves, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_offloads, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_work, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_watches, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_orphan, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_dice, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
