/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-core-threads.c - a stack of devices across two loops, each run by a thread of its own:
 * requests cross by mailbox, control commands travel, and nobody sees half of anything.  Most
 * of what it can find is found by the thread sanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>

#include <cmocka.h>

#include "lib/core.h"

#define LANES 6				/* tasks with I/O, one sector each ... */
#define ROUNDS 150			/* ... and so many writes and reads of it */

struct rig {
	struct ndm_world *world;
	struct ndm_loop *loops[2];
	struct ndm_context *ctx;
	struct ndm_device *low, *top;
	unsigned left;				/* first loop */
	struct ndm_waitq gone;
};

struct runner { struct ndm_loop *loop; pthread_t thread; bool stop; struct ndm_msg msg; };

static void runner_stop(struct ndm_msg *msg)
{
	ndm_container_of(msg, struct runner, msg)->stop = true;
}

static void *runner_main(void *arg)
{
	struct runner *r = arg;

	while (!r->stop)
		ndm_loop_wait(r->loop, UINT64_MAX);
	return NULL;
}

static struct ndm_device *device_up(struct rig *rig, const char *name, unsigned loop,
				    const char *type, const char *args)
{
	struct ndm_table_line line = { .nr = 64, .type = type, .args = args };
	struct ndm_str why = { 0 };
	struct ndm_device *dev;

	assert_int_equal(ndm_device_create(rig->ctx, name, NULL, -1, &dev), 0);
	assert_int_equal(ndm_device_pin(dev, loop), 0);
	if (ndm_device_load(dev, &line, 1, false, &why) || ndm_device_resume(dev, 0, &why))
		fail_msg("%s: %s", name, why.text);
	return dev;
}

struct lane { struct rig *rig; struct ndm_device *dev; unsigned sector; };

static int lane_rw(struct ndm_opener *o, struct ndm_loop *there, enum ndm_op op, unsigned sector,
		   void *buf)
{
	assert_ptr_equal(there->current->loop, there);
	return ndm_rw(ndm_opener_store(o), op, sector % 2 && op == NDM_WRITE ? NDM_FUA : 0, sector,
		      1, buf);
}

static void lane_task(void *arg)
{
	struct lane *l = arg;
	struct rig *rig = l->rig;
	unsigned char out[512], in[512];
	struct ndm_opener *o;
	struct ndm_loop *there;
	unsigned i;

	assert_int_equal(ndm_open(l->dev, NDM_OPEN_READ | NDM_OPEN_WRITE, "lane", &o), 0);
	there = ndm_opener_loop(o);
	ndm_task_hop(rig->loops[0], there);
	for (i = 0; i < ROUNDS; i++) {
		memset(out, (int)(i + l->sector), sizeof out);
		assert_int_equal(lane_rw(o, there, NDM_WRITE, l->sector, out), 0);
		assert_int_equal(lane_rw(o, there, NDM_READ, l->sector, in), 0);
		assert_memory_equal(in, out, sizeof in);
		if (i % 16 == 0)
			assert_int_equal(ndm_flush(ndm_opener_store(o)), 0);
	}
	ndm_task_hop(there, rig->loops[0]);
	ndm_close(o);
	if (--rig->left == 0)
		ndm_wake_all(&rig->gone);
}

static void look_at(struct ndm_device *dev)
{
	struct ndm_target_status *list;
	struct ndm_device_info info;
	uint32_t (*deps)[2];
	bool read_only;
	unsigned n;

	assert_false(ndm_device_status(dev, NDM_STATUS_TABLE, 0, false, &list, &n, &read_only));
	assert_int_equal(n, 1);
	ndm_target_status_free(list, n);
	assert_int_equal(ndm_device_deps(dev, false, &deps, &n), 0);
	ndm_free(deps);
	ndm_device_info(dev, &info);
	assert_int_equal(info.nr, 64);
}

/* Commands while the lanes run: suspended from above to below, so that nobody waits in vain. */
static void commands(struct rig *rig)
{
	struct ndm_str why = { 0 };
	unsigned i;

	for (i = 0; rig->left && i < 200; i++) {
		look_at(rig->low);
		look_at(rig->top);
		assert_int_equal(ndm_device_suspend(rig->top, 0), 0);
		assert_int_equal(ndm_device_suspend(rig->low, i % 4), 0);
		look_at(rig->top);
		assert_int_equal(ndm_device_resume(rig->low, 0, &why), 0);
		assert_int_equal(ndm_device_resume(rig->top, 0, &why), 0);
		assert_int_equal(ndm_device_rename(rig->low, i % 2 ? "low" : "lower"), 0);
	}
}

struct director { struct rig *rig; struct runner *runners; };

static void director_task(void *arg)
{
	struct director *d = arg;
	struct rig *rig = d->rig;
	struct lane lanes[LANES];
	bool deferred;
	unsigned i;

	rig->low = device_up(rig, "low", 1, "linear", "mem:64k 0");
	rig->top = device_up(rig, "top", 0, "linear", "/dev/mapper/low 0");
	ndm_waitq_init(&rig->gone, rig->loops[0]);
	rig->left = LANES;
	for (i = 0; i < LANES; i++) {
		lanes[i] = (struct lane){ rig, i % 3 ? rig->top : rig->low, i };
		ndm_spawn(rig->loops[0], "lane", lane_task, &lanes[i]);
	}
	commands(rig);
	while (rig->left)
		ndm_wait(&rig->gone);
	assert_int_equal(ndm_device_remove(rig->low, false, &deferred), -EBUSY);
	assert_int_equal(ndm_device_remove(rig->low, true, &deferred), 0);
	assert_true(deferred);
	assert_int_equal(ndm_device_remove(rig->top, false, &deferred), 0);
	while (ndm_device_first(rig->ctx))	/* the lower one goes by itself */
		ndm_yield(rig->loops[0]);
	for (i = 0; i < 2; i++) {
		d->runners[i].msg.fn = runner_stop;
		ndm_loop_post(rig->loops[i], &d->runners[i].msg);
	}
}

static void a_stack_on_two_loops(void **state)
{
	struct rig rig = { .world = ndm_world_os() };
	struct runner runners[2];
	struct director director = { &rig, runners };
	unsigned i;

	for (i = 0; i < 2; i++) {
		rig.loops[i] = ndm_loop_new(rig.world);
		runners[i] = (struct runner){ .loop = rig.loops[i] };
	}
	rig.ctx = ndm_context_new(rig.loops, 2);
	ndm_spawn(rig.loops[0], "director", director_task, &director);
	for (i = 0; i < 2; i++)
		assert_false(pthread_create(&runners[i].thread, NULL, runner_main, &runners[i]));
	for (i = 0; i < 2; i++)
		pthread_join(runners[i].thread, NULL);
	/* what the last messages started ends here */
	for (i = 0; i < 8; i++)
		ndm_loop_run(rig.loops[i % 2]);
	ndm_context_free(rig.ctx);
	for (i = 0; i < 2; i++)
		ndm_loop_free(rig.loops[i]);
	ndm_world_os_free(rig.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_on_two_loops),
	};

	return cmocka_run_group_tests_name("core: threads", tests, NULL, NULL);
}
