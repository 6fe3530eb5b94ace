/* SPDX-License-Identifier: BSD-2-Clause */
/* test-core-sync.c - tasks and what they wait for: who runs when, and who gets the lock. */
#include "box.h"

#include <stdio.h>

#define N 5

/* What happened, in order, as text: the whole claim of most tests here. */
struct story {
	struct box *b;
	struct ndm_loop *loop;
	struct ndm_str text;
	struct ndm_waitq q;
	struct ndm_mutex mutex;
	struct ndm_rwlock rw;
	struct ndm_ranges ranges;
	unsigned running;
};

struct actor { struct story *s; char name; uint64_t a, z; };

static struct story story_new(struct box *b)
{
	struct story s = { .b = b, .loop = box_loop(b) };

	ndm_waitq_init(&s.q, s.loop);
	ndm_mutex_init(&s.mutex, s.loop);
	ndm_rwlock_init(&s.rw, s.loop);
	ndm_ranges_init(&s.ranges, s.loop);
	return s;
}

static void story_is(struct story *s, const char *text)
{
	assert_string_equal(s->text.text ? s->text.text : "", text);
	ndm_str_free(&s->text);
}

static void act(struct story *s, struct actor *a, char name, void (*fn)(void *))
{
	*a = (struct actor){ .s = s, .name = name };
	s->running++;
	ndm_spawn(s->loop, "actor", fn, a);
}

static void all_gone(struct story *s)
{
	while (s->running)
		ndm_sleep(s->loop, 10);	/* a clock that jumps needs idleness */
}

/* ---- tasks ---- */

static void say_twice(void *arg)
{
	struct actor *a = arg;

	ndm_printf(&a->s->text, "%c", a->name);
	ndm_yield(a->s->loop);
	ndm_printf(&a->s->text, "%c", a->name);
	a->s->running--;
}

static void tasks_take_turns(struct box *b)
{
	struct story s = story_new(b);
	struct actor a[3];

	act(&s, &a[0], 'a', say_twice);
	act(&s, &a[1], 'b', say_twice);
	act(&s, &a[2], 'c', say_twice);
	story_is(&s, "");			/* nobody runs before we wait */
	all_gone(&s);
	story_is(&s, "abcabc");
}
BOX_DEFINE(tasks_take_turns)

static void deep_task(void *arg)
{
	struct actor *a = arg;
	volatile char big[24 * 1024];

	memset((char *)big, a->name, sizeof big);
	ndm_yield(a->s->loop);
	assert_int_equal(big[sizeof big - 1], a->name);
	assert_int_equal(big[0], a->name);
	a->s->running--;
}

static void stacks_are_apart(struct box *b)
{
	struct story s = story_new(b);
	struct actor a[300];
	unsigned i, round;

	for (round = 0; round < 3; round++) {	/* more than are kept, and reused ones */
		for (i = 0; i < 300; i++)
			act(&s, &a[i], (char)('0' + i % 70), deep_task);
		all_gone(&s);
	}
}
BOX_DEFINE(stacks_are_apart)

/* A fresh stack must be aligned: vector instructions fault where it is not. */
static void aligned_task(void *arg)
{
	struct actor *a = arg;
	_Alignas(16) volatile double x[4] = { 1, 2, 3, 4 };
	char text[64];

	assert_int_equal((uintptr_t)x % 16, 0);
	snprintf(text, sizeof text, "%.1f", x[0] + x[1] + x[2] + x[3]);	/* varargs save xmm */
	assert_string_equal(text, "10.0");
	a->s->running--;
}

static void stacks_are_aligned(struct box *b)
{
	struct story s = story_new(b);
	struct actor a;

	act(&s, &a, 'a', aligned_task);
	all_gone(&s);
}
BOX_DEFINE(stacks_are_aligned)

/* ---- queues ---- */

static void wait_and_say(void *arg)
{
	struct actor *a = arg;

	ndm_wait(&a->s->q);
	ndm_printf(&a->s->text, "%c", a->name);
	a->s->running--;
}

static void queues_are_fifo(struct box *b)
{
	struct story s = story_new(b);
	struct actor a[N];
	unsigned i;

	for (i = 0; i < N; i++)
		act(&s, &a[i], (char)('a' + i), wait_and_say);
	ndm_yield(s.loop);
	ndm_wake_one(&s.q);
	ndm_yield(s.loop);
	story_is(&s, "a");
	ndm_wake_one(&s.q);
	ndm_wake_one(&s.q);
	ndm_yield(s.loop);
	story_is(&s, "bc");
	ndm_wake_all(&s.q);
	ndm_wake_all(&s.q);			/* nobody there: nothing */
	ndm_yield(s.loop);
	story_is(&s, "de");
	ndm_wake_one(&s.q);
	assert_int_equal(s.running, 0);
}
BOX_DEFINE(queues_are_fifo)

static void wait_until_and_say(void *arg)
{
	struct actor *a = arg;
	int err = ndm_wait_until(&a->s->q, a->a);

	assert_true(err == 0 || err == -ETIMEDOUT);
	ndm_printf(&a->s->text, "%c%c", a->name, err ? '-' : '+');
	a->s->running--;
}

static void timeouts(struct box *b)
{
	struct story s = story_new(b);
	uint64_t now = ndm_now(s.loop);
	struct actor a[4];
	unsigned i;

	for (i = 0; i < 4; i++) {
		act(&s, &a[i], (char)('a' + i), wait_until_and_say);
		a[i].a = now + 1000 * (i + 1);
	}
	ndm_sleep(s.loop, 1500);		/* a has given up */
	story_is(&s, "a-");
	ndm_wake_one(&s.q);
	ndm_yield(s.loop);
	story_is(&s, "b+");
	ndm_sleep(s.loop, 2000);		/* b's deadline passes: it is not woken again */
	story_is(&s, "c-");
	ndm_sleep(s.loop, 2000);
	story_is(&s, "d-");
	assert_int_equal(ndm_now(s.loop), now + 5500);
	assert_int_equal(s.running, 0);
}
BOX_DEFINE(timeouts)

static void wait_again_after_timeout(struct box *b)
{
	struct story s = story_new(b);
	struct actor a;
	uint64_t now = ndm_now(s.loop);

	assert_int_equal(ndm_wait_until(&s.q, now + 10), -ETIMEDOUT);
	assert_int_equal(ndm_wait_until(&s.q, now), -ETIMEDOUT);	/* already past */
	act(&s, &a, 'a', wait_and_say);
	ndm_yield(s.loop);
	ndm_wake_all(&s.q);
	all_gone(&s);
	story_is(&s, "a");
}
BOX_DEFINE(wait_again_after_timeout)

static void sleep_and_say(void *arg)
{
	struct actor *a = arg;

	ndm_sleep(a->s->loop, a->a);
	ndm_printf(&a->s->text, "%c", a->name);
	a->s->running--;
}

static void sleepers_wake_in_order(struct box *b)
{
	static const unsigned ns[] = { 700, 100, 900, 300, 500, 200, 800, 600, 400, 1000 };
	struct story s = story_new(b);
	struct actor a[10];
	unsigned i;

	for (i = 0; i < 10; i++) {
		act(&s, &a[i], (char)('0' + ns[i] / 100 % 10), sleep_and_say);
		a[i].a = ns[i];
	}
	ndm_sleep(s.loop, 2000);
	story_is(&s, "1234567890");
}
BOX_DEFINE(sleepers_wake_in_order)

/* ---- timers ---- */

struct alarm { struct ndm_timer t; struct story *s; char name; unsigned again; };

static void alarm_rings(struct ndm_timer *t)
{
	struct alarm *a = (struct alarm *)t;

	ndm_printf(&a->s->text, "%c", a->name);
	if (a->again && a->again--)
		ndm_timer_set(t, ndm_now(t->loop) + 100);
}

static void timers(struct box *b)
{
	struct story s = story_new(b);
	uint64_t now = ndm_now(s.loop);
	struct alarm a[200];
	unsigned i;

	for (i = 0; i < 200; i++) {
		a[i] = (struct alarm){ .s = &s, .name = i % 7 == 3 ? 'x' : '.' };
		ndm_timer_init(&a[i].t, s.loop, alarm_rings);
		ndm_timer_set(&a[i].t, now + 1 + (i * 7919) % 200);
	}
	for (i = 0; i < 200; i++)
		if (i % 7 != 3)
			ndm_timer_cancel(&a[i].t);
	ndm_timer_cancel(&a[0].t);		/* twice is fine */
	ndm_timer_set(&a[3].t, now + 5000);	/* later than it was */
	ndm_timer_set(&a[3].t, now + 6000);
	ndm_sleep(s.loop, 1000);
	assert_int_equal(s.text.len, 28);	/* 29 of 200 are 3 modulo 7, one was put off */
	ndm_str_free(&s.text);
	ndm_sleep(s.loop, 4500);
	story_is(&s, "");
	ndm_sleep(s.loop, 1000);
	story_is(&s, "x");
	a[1].name = 'r';
	a[1].again = 3;
	ndm_timer_set(&a[1].t, ndm_now(s.loop) + 100);
	ndm_sleep(s.loop, 1000);
	story_is(&s, "rrrr");
}
BOX_DEFINE(timers)

/* ---- locks ---- */

static void lock_and_say(void *arg)
{
	struct actor *a = arg;

	ndm_lock(&a->s->mutex);
	ndm_printf(&a->s->text, "%c", a->name);
	ndm_sleep(a->s->loop, 100);
	ndm_printf(&a->s->text, "%c", a->name);
	ndm_unlock(&a->s->mutex);
	a->s->running--;
}

static void mutex_is_fair(struct box *b)
{
	struct story s = story_new(b);
	struct actor a[3];

	ndm_lock(&s.mutex);
	act(&s, &a[0], 'a', lock_and_say);
	act(&s, &a[1], 'b', lock_and_say);
	ndm_yield(s.loop);
	act(&s, &a[2], 'c', lock_and_say);
	ndm_yield(s.loop);
	story_is(&s, "");
	ndm_unlock(&s.mutex);
	ndm_lock(&s.mutex);			/* not past those who wait */
	story_is(&s, "aabbcc");
	ndm_unlock(&s.mutex);
	all_gone(&s);
}
BOX_DEFINE(mutex_is_fair)

static void read_and_say(void *arg)
{
	struct actor *a = arg;

	ndm_rdlock(&a->s->rw);
	ndm_printf(&a->s->text, "%c", a->name);
	ndm_sleep(a->s->loop, 100);
	ndm_rwunlock(&a->s->rw);
	a->s->running--;
}

static void write_and_say(void *arg)
{
	struct actor *a = arg;

	ndm_wrlock(&a->s->rw);
	ndm_printf(&a->s->text, "<%c", a->name);
	ndm_sleep(a->s->loop, 100);
	ndm_printf(&a->s->text, ">");
	ndm_rwunlock(&a->s->rw);
	a->s->running--;
}

static void writers_go_before_later_readers(struct box *b)
{
	struct story s = story_new(b);
	struct actor a[5];

	act(&s, &a[0], 'a', read_and_say);
	act(&s, &a[1], 'b', read_and_say);
	ndm_yield(s.loop);
	story_is(&s, "ab");			/* readers together */
	act(&s, &a[2], 'W', write_and_say);
	ndm_yield(s.loop);
	act(&s, &a[3], 'c', read_and_say);
	act(&s, &a[4], 'X', write_and_say);
	all_gone(&s);
	assert_non_null(strstr(s.text.text, "<W>"));
	assert_non_null(strstr(s.text.text, "<X>"));
	assert_int_equal(s.text.text[0], '<');	/* W waits for a and b only */
	assert_int_equal(s.text.len, 7);
	ndm_str_free(&s.text);
	ndm_wrlock(&s.rw);
	ndm_rwunlock(&s.rw);
}
BOX_DEFINE(writers_go_before_later_readers)

static void range_and_say(void *arg)
{
	struct actor *a = arg;
	struct ndm_range r;

	ndm_range_lock(&a->s->ranges, &r, a->a, a->z);
	ndm_printf(&a->s->text, "%c", a->name);
	ndm_sleep(a->s->loop, 100);
	ndm_range_unlock(&a->s->ranges, &r);
	a->s->running--;
}

static void range_actor(struct story *s, struct actor *a, char name, uint64_t first, uint64_t last)
{
	act(s, a, name, range_and_say);
	a->a = first;
	a->z = last;
}

static void ranges_exclude_what_overlaps(struct box *b)
{
	struct story s = story_new(b);
	struct actor a[5];
	struct ndm_range r;

	range_actor(&s, &a[0], 'a', 0, 9);
	range_actor(&s, &a[1], 'b', 10, 10);	/* beside it */
	range_actor(&s, &a[2], 'c', 9, 10);	/* over both */
	range_actor(&s, &a[3], 'd', 0, UINT64_MAX);
	range_actor(&s, &a[4], 'e', UINT64_MAX, UINT64_MAX);
	ndm_yield(s.loop);
	story_is(&s, "abe");
	assert_false(ndm_range_trylock(&s.ranges, &r, 5, 5));
	assert_true(ndm_range_trylock(&s.ranges, &r, 11, UINT64_MAX - 1));
	ndm_range_unlock(&s.ranges, &r);
	ndm_sleep(s.loop, 150);
	story_is(&s, "c");
	ndm_sleep(s.loop, 100);
	story_is(&s, "d");
	all_gone(&s);
	assert_null(s.ranges.held);
}
BOX_DEFINE(ranges_exclude_what_overlaps)

/* Many tasks on many ranges: never two in the same sector, and nobody is forgotten. */
#define STORM 64
static struct storm { struct story s; unsigned char busy[32]; unsigned turns; } storm;

static void storm_task(void *arg)
{
	struct actor *a = arg;
	uint64_t seed = (unsigned char)a->name;
	unsigned i, j;

	for (i = 0; i < 20; i++) {
		struct ndm_range r;
		unsigned first, n;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		first = (seed >> 33) % 28;
		n = 1 + (seed >> 40) % 4;
		ndm_range_lock(&a->s->ranges, &r, first, first + n - 1);
		for (j = first; j < first + n; j++)
			assert_int_equal(storm.busy[j]++, 0);
		ndm_sleep(a->s->loop, 1 + (seed >> 50) % 50);
		for (j = first; j < first + n; j++)
			storm.busy[j]--;
		ndm_range_unlock(&a->s->ranges, &r);
		storm.turns++;
	}
	a->s->running--;
}

static void ranges_in_a_storm(struct box *b)
{
	struct actor a[STORM];
	unsigned i;

	storm = (struct storm){ .s = story_new(b) };
	for (i = 0; i < STORM; i++)
		act(&storm.s, &a[i], (char)i, storm_task);
	while (storm.s.running)
		ndm_sleep(storm.s.loop, 1000);
	assert_int_equal(storm.turns, STORM * 20);
}
BOX_DEFINE(ranges_in_a_storm)

/* ---- groups, offload ---- */

static int add_up(void *arg)
{
	unsigned *n = arg;

	*n += 1;
	return -(int)*n;
}

static void offload_returns_the_result(struct box *b)
{
	unsigned n = 4;

	assert_int_equal(ndm_offload(box_loop(b), add_up, &n), -5);
	assert_int_equal(n, 5);
}
BOX_DEFINE(offload_returns_the_result)

static void groups_gather(struct box *b)
{
	struct box_disk *d = box_disk(b, "a", 16, 0), *e = box_disk(b, "b", 16, 0);
	struct ndm_store *s = box_up(b, "s", "0 16 linear box:a 0\n16 16 linear box:b 0");
	unsigned char buf[4][512];
	struct iovec iov[4];
	struct ndm_group g;
	unsigned i;

	ndm_group_init(&g, box_loop(b));
	assert_int_equal(ndm_group_wait(&g), 0);	/* an empty one is done */
	e->fail_ops = 1 << NDM_READ;
	e->error = -ENODATA;
	d->hold = true;
	for (i = 0; i < 4; i++) {
		struct ndm_bio *c = ndm_bio_get(box_loop(b));

		iov[i] = (struct iovec){ buf[i], 512 };
		c->op = NDM_READ;
		c->nr = 1;
		c->data = (struct ndm_data){ .iov = &iov[i], .iovcnt = 1 };
		ndm_group_add(&g, c, s, i == 2 ? 20 : i);
	}
	assert_int_equal(g.pending, 3);
	box_release(d);
	assert_int_equal(ndm_group_wait(&g), -ENODATA);
	assert_int_equal(buf[3][0], 3);
	ndm_group_init(&g, box_loop(b));
	assert_int_equal(ndm_group_wait(&g), 0);
}
BOX_DEFINE(groups_gather)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(tasks_take_turns),
		BOX_TEST(stacks_are_apart),
		BOX_TEST(stacks_are_aligned),
		BOX_TEST(queues_are_fifo),
		BOX_TEST(timeouts),
		BOX_TEST(wait_again_after_timeout),
		BOX_TEST(sleepers_wake_in_order),
		BOX_TEST(timers),
		BOX_TEST(mutex_is_fair),
		BOX_TEST(writers_go_before_later_readers),
		BOX_TEST(ranges_exclude_what_overlaps),
		BOX_TEST(ranges_in_a_storm),
		BOX_TEST(offload_returns_the_result),
		BOX_TEST(groups_gather),
	};

	return cmocka_run_group_tests_name("core: tasks and waiting", tests, NULL, NULL);
}
