/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-crypt-threads.c - a crypt device over a real file, whose workers are real threads: large reads
 * and writes side by side, errors below, and tables that change meanwhile.  The world counts what goes
 * to workers, and keeps it back where a test wants something to happen before.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "os-harness.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER_KEY "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define MIB (1u << 20)
#define SECTORS (8 * MIB / NDM_SECTOR_BYTES)
#define LANES_NR 8u
#define LANE_BYTES (8 * MIB / LANES_NR)

/* ---- a crypt device over a file of tmpfs ---- */

static struct { unsigned n; bool keep; struct ndm_work *kept; } offloads;	/* the loop's own */
static const struct ndm_world_ops *real_ops;
static struct ndm_world_ops test_ops;

static void test_offload(struct ndm_world *world, struct ndm_work *work)
{
	offloads.n++;
	if (offloads.keep && !offloads.kept)
		offloads.kept = work;
	else
		real_ops->offload(world, work);
}

struct bench {
	struct rig *rig;
	struct ndm_context *ctx;
	struct ndm_device *dev;
	struct ndm_opener *opener;
	const char *words;
	char path[64];
};

static void table_load(struct bench *b, const char *key)
{
	struct ndm_table_line line = { .nr = SECTORS, .type = "crypt" };
	struct ndm_str why = { 0 };
	char args[300];

	snprintf(args, sizeof args, "aes-xts-plain64 %s 5 %s 16%s", key, b->path, b->words);
	line.args = args;
	if (ndm_device_load(b->dev, &line, 1, false, &why))
		fail_msg("%s", why.text);
}

static void do_up(struct rig *rig, void *arg)
{
	struct bench *b = arg;
	struct ndm_str why = { 0 };

	(void)rig;
	assert_int_equal(ndm_device_create(b->ctx, "m", NULL, -1, &b->dev), 0);
	table_load(b, KEY);
	assert_int_equal(ndm_device_resume(b->dev, 0, &why), 0);
	assert_int_equal(ndm_open(b->dev, NDM_OPEN_READ | NDM_OPEN_WRITE, "test", &b->opener), 0);
}

static void do_down(struct rig *rig, void *arg)
{
	struct bench *b = arg;

	(void)rig;
	ndm_close(b->opener);
	assert_int_equal(ndm_device_remove(b->dev, false, NULL), 0);
}

static void bench_up(struct bench *b, void **state, const char *words)
{
	int fd;

	*b = (struct bench){ .rig = *state, .words = words };
	real_ops = b->rig->world->ops;
	test_ops = *real_ops;
	test_ops.offload = test_offload;
	b->rig->world->ops = &test_ops;
	snprintf(b->path, sizeof b->path, "/dev/shm/ndm-test-XXXXXX");
	fd = mkstemp(b->path);
	if (fd < 0)
		skip();
	assert_int_equal(ftruncate(fd, 8 * MIB + 16 * NDM_SECTOR_BYTES), 0);
	close(fd);
	b->ctx = ndm_context_new(&b->rig->loop, 1);
	run(b->rig, do_up, b);
}

static void bench_down(struct bench *b)
{
	run(b->rig, do_down, b);
	ndm_context_free(b->ctx);
	b->rig->world->ops = real_ops;
	unlink(b->path);
}

/* ---- requests as a host makes them: between begin and end ---- */

struct req {
	struct ndm_io io;			/* first */
	struct iovec iov[3];
	bool done;
};

static void req_done(struct ndm_io *io)
{
	((struct req *)io)->done = true;
}

static void req_start(struct bench *b, struct req *r, enum ndm_op op, uint64_t at, size_t bytes,
		      void *buf)
{
	*r = (struct req){ .io = { .op = op, .offset = at, .bytes = bytes, .done = req_done } };
	r->iov[0] = (struct iovec){ buf, bytes };
	r->io.data = (struct ndm_data){ .iov = r->iov, .iovcnt = 1 };
	ndm_loop_begin(b->rig->loop);
	ndm_io_submit(b->opener, &r->io);
	ndm_loop_end(b->rig->loop);
}

static int req_wait(struct bench *b, struct req *r)
{
	while (!r->done)
		ndm_loop_wait(b->rig->loop, UINT64_MAX);
	return r->io.error;
}

static int rw(struct bench *b, enum ndm_op op, uint64_t at, size_t bytes, void *buf)
{
	struct req r;

	req_start(b, &r, op, at, bytes, buf);
	return req_wait(b, &r);
}

static void fill(unsigned char *p, size_t n, unsigned seed)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 131 + seed * 7 + (i >> 9));
}

/* ---- tests ---- */

static void test_bytes(void **state)
{
	static const size_t lengths[] = { 512, 65536, 131072, 131072 + 512, 300 * 512, MIB, 3 * MIB };
	unsigned char *model = malloc(8 * MIB), *buf = malloc(8 * MIB);
	struct bench b;
	struct req r;
	unsigned i, j;

	bench_up(&b, state, "");
	fill(model, 8 * MIB, 1);
	assert_int_equal(rw(&b, NDM_WRITE, 0, 8 * MIB, model), 0);
	for (i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (j = 0; j < 8; j++) {
			size_t at = (j * 1237 * 512) % (8 * MIB - lengths[i]), n = lengths[i];

			at -= at % 512;
			memset(buf, 0xee, n + 1);
			assert_int_equal(rw(&b, NDM_READ, at, n, buf), 0);
			assert_memory_equal(buf, model + at, n);
			assert_int_equal(buf[n], 0xee);
		}
	assert_true(offloads.n > 0);
	/* into memory that is not flat */
	memset(buf, 0xee, 2 * MIB);
	r = (struct req){ .io = { .op = NDM_READ, .bytes = 131072, .done = req_done },
			  .iov = { { buf, 70000 }, { buf + 80000, 131072 - 70000 } } };
	r.io.data = (struct ndm_data){ .iov = r.iov, .iovcnt = 2 };
	ndm_loop_begin(b.rig->loop);
	ndm_io_submit(b.opener, &r.io);
	ndm_loop_end(b.rig->loop);
	assert_int_equal(req_wait(&b, &r), 0);
	assert_memory_equal(buf, model, 70000);
	assert_memory_equal(buf + 80000, model + 70000, 131072 - 70000);
	bench_down(&b);
	free(model);
	free(buf);
}

/* Somebody makes the file shorter under our hands. */
static void test_file_gets_shorter(void **state)
{
	unsigned char *was = malloc(8 * MIB), *buf = malloc(MIB);
	struct bench b;

	bench_up(&b, state, "");
	fill(was, 8 * MIB, 1);
	assert_int_equal(rw(&b, NDM_WRITE, 0, 8 * MIB, was), 0);
	assert_int_equal(truncate(b.path, 4 * MIB + 60000), 0);
	assert_int_equal(rw(&b, NDM_READ, 6 * MIB, MIB, buf), -EIO);
	assert_int_equal(rw(&b, NDM_READ, 4 * MIB - 131072, 262144, buf), -EIO);
	assert_int_equal(rw(&b, NDM_READ, MIB, MIB, buf), 0);
	assert_memory_equal(buf, was + MIB, MIB);
	bench_down(&b);
	free(was);
	free(buf);
}

struct change { struct bench *b; struct req *r; bool begun, done, waited; };

static void change_task(void *arg)
{
	struct change *c = arg;
	struct ndm_str why = { 0 };

	table_load(c->b, OTHER_KEY);
	c->begun = true;
	assert_int_equal(ndm_device_suspend(c->b->dev, 0), 0);
	c->waited = c->r->done;
	assert_int_equal(ndm_device_resume(c->b->dev, 0, &why), 0);
	c->done = true;
}

/* Suspend waits for the worker; the next table reads with its own key. */
static void test_suspend_waits(void **state)
{
	unsigned char *was = malloc(8 * MIB), *buf = malloc(MIB);
	struct bench b;
	struct req r, late;
	struct change c = { .b = &b, .r = &r };

	bench_up(&b, state, "");
	fill(was, 8 * MIB, 1);
	assert_int_equal(rw(&b, NDM_WRITE, 0, 8 * MIB, was), 0);
	offloads.keep = true;
	req_start(&b, &r, NDM_READ, MIB, 131072, buf);
	assert_non_null(offloads.kept);
	offloads.keep = false;
	ndm_spawn(b.rig->loop, "change", change_task, &c);
	while (!c.begun)
		ndm_loop_wait(b.rig->loop, UINT64_MAX);
	req_start(&b, &late, NDM_READ, MIB, 131072, buf + 131072);
	assert_false(late.done);
	assert_false(c.done);
	real_ops->offload(b.rig->world, offloads.kept);
	offloads.kept = NULL;
	assert_int_equal(req_wait(&b, &late), 0);
	while (!c.done)
		ndm_loop_wait(b.rig->loop, UINT64_MAX);
	assert_true(c.waited);
	assert_int_equal(r.io.error, 0);
	assert_memory_equal(buf, was + MIB, 131072);
	assert_memory_not_equal(buf + 131072, was + MIB, 131072);
	bench_down(&b);
	free(was);
	free(buf);
}

/* ---- all of it at once: lanes against a model, and suspends and new tables beside ---- */

struct mill {
	struct bench *b;
	struct lane_state {
		struct req r;
		uint64_t dice;
		unsigned left;
		uint64_t at;
		unsigned char *buf, *model;
	} lane[LANES_NR];
	bool stop, stopped;
};

static uint64_t dice(struct lane_state *l)
{
	l->dice = l->dice * 6364136223846793005u + 1442695040888963407u;
	return l->dice >> 33;
}

static void mill_step(struct mill *m, unsigned n)
{
	struct lane_state *l = &m->lane[n];
	size_t bytes = (1 + dice(l) % 1000) * NDM_SECTOR_BYTES;
	enum ndm_op op = dice(l) % 3 ? NDM_READ : NDM_WRITE;

	l->left--;
	l->at = dice(l) % ((LANE_BYTES - bytes) / NDM_SECTOR_BYTES) * NDM_SECTOR_BYTES;
	if (op == NDM_WRITE) {
		fill(l->buf, bytes, (unsigned)dice(l));
		memcpy(l->model + l->at, l->buf, bytes);
	} else {
		memset(l->buf, 0xee, bytes);
	}
	req_start(m->b, &l->r, op, n * LANE_BYTES + l->at, bytes, l->buf);
}

static bool mill_check(struct mill *m)
{
	unsigned i, busy = 0;

	for (i = 0; i < LANES_NR; i++) {
		struct lane_state *l = &m->lane[i];

		if (l->r.done) {
			l->r.done = false;
			assert_int_equal(l->r.io.error, 0);
			assert_memory_equal(l->buf, l->model + l->at, l->r.io.bytes);
			if (l->left)
				mill_step(m, i);
			else
				l->at = UINT64_MAX;
		}
		busy += l->at != UINT64_MAX;
	}
	return busy;
}

static void mill_director(void *arg)
{
	struct mill *m = arg;
	struct ndm_str why = { 0 };
	unsigned i;

	for (i = 0; !m->stop; i++) {
		if (i % 2)
			table_load(m->b, KEY);
		assert_int_equal(ndm_device_suspend(m->b->dev, i % 4), 0);
		assert_int_equal(ndm_device_resume(m->b->dev, 0, &why), 0);
		ndm_sleep(m->b->rig->loop, 300000);	/* let some through */
	}
	m->stopped = true;
}

static void test_mill(void **state)
{
	unsigned char *model = malloc(8 * MIB), *buf = malloc(8 * MIB);
	struct mill *m = calloc(1, sizeof *m);
	struct bench b;
	unsigned i;

	bench_up(&b, state, "");
	m->b = &b;
	fill(model, 8 * MIB, 9);
	assert_int_equal(rw(&b, NDM_WRITE, 0, 8 * MIB, model), 0);
	for (i = 0; i < LANES_NR; i++) {
		m->lane[i] = (struct lane_state){ .dice = 77 + i, .left = 150,
			.buf = buf + i * LANE_BYTES, .model = model + i * LANE_BYTES };
		mill_step(m, i);
	}
	ndm_spawn(b.rig->loop, "director", mill_director, m);
	while (mill_check(m))
		ndm_loop_wait(b.rig->loop, UINT64_MAX);
	m->stop = true;
	while (!m->stopped)
		ndm_loop_wait(b.rig->loop, UINT64_MAX);
	bench_down(&b);
	free(m);
	free(model);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_file_gets_shorter, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_suspend_waits, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_mill, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
