/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - I/O of scripts: through a device's opener, as a host would do it, with the oracle
 * told when a request begins and when its end was heard.
 */
#include "priv.h"

struct request {
	struct ndm_io io;
	struct sim_dev *dev;
	struct ndm_waitq q;
	bool finished;
	bool watched;				/* the oracle wants to know */
	struct oracle_ticket ticket;
	uint64_t flush;
	uint8_t *bytes;
	struct iovec iov;
};

/*
 * Writes lie in areas that several of them share and that targets may keep, as in ndmd.  What
 * nobody is counted in for any more is overwritten at once: whoever still looks gets rubbish.
 */
#define AREA_BYTES 16384u

struct io_area {
	struct ndm_share share;			/* first */
	size_t filled;
	uint8_t bytes[];
};

static void area_unused(struct ndm_share *share)
{
	struct io_area *a = (struct io_area *)share;

	memset(a->bytes, 0xdb, share->bytes);
	free(a);
}

void io_area_leave(struct sim *s)
{
	if (s->area)
		ndm_share_put(&s->area->share);
	s->area = NULL;
}

/* Room for so many bytes, with the caller counted in. */
static struct io_area *area_get(struct sim *s, size_t bytes, uint8_t **room)
{
	size_t all = bytes > AREA_BYTES ? bytes : AREA_BYTES;
	struct io_area *a = s->area;

	if (!a || a->share.bytes - a->filled < bytes) {
		io_area_leave(s);
		s->area = a = malloc(sizeof *a + all);
		a->share = (struct ndm_share){ .at = a->bytes, .bytes = all, .refs = 1,
					       .free = area_unused };
		a->filled = 0;
	}
	*room = a->bytes + a->filled;
	a->filled += bytes;
	a->share.refs++;
	return a;
}

/* Fails the trial for what a read should not have seen. */
static void bad_read(struct sim_dev *dev, uint64_t sector, const struct ndm_str *why)
{
	sim_fail(dev->sim, "%s: sector %llu reads %s", dev->name, (unsigned long long)sector,
		 why->text);
}

static void request_heard(struct request *r)
{
	struct oracle *o = r->dev->oracle;
	struct ndm_str why = { 0 };
	uint64_t bad;
	bool ok = !r->io.error;

	switch (r->io.op) {
	case NDM_READ:
		if (!oracle_read_end(o, &r->ticket, r->bytes, ok, &bad, &why))
			bad_read(r->dev, bad, &why);
		break;
	case NDM_FLUSH:
		oracle_flush_end(o, r->flush, ok);
		break;
	default:
		oracle_write_end(o, &r->ticket, ok, r->io.flags & NDM_FUA);
		if (r->flush)
			oracle_flush_end(o, r->flush, ok);
	}
}

static void request_done(struct ndm_io *io)
{
	struct request *r = ndm_container_of(io, struct request, io);
	struct sim *s = r->dev->sim;

	if (r->watched && !s->power_off) {
		s->changed = true;
		request_heard(r);
	}
	r->finished = true;
	ndm_wake_all(&r->q);
}

static void request_begin(struct request *r, uint64_t sector, uint64_t nr)
{
	struct oracle *o = r->dev->oracle;
	struct sim *s = r->dev->sim;
	uint64_t i;

	if (r->io.flags & NDM_PREFLUSH || r->io.op == NDM_FLUSH)
		r->flush = oracle_flush_begin(o);
	switch (r->io.op) {
	case NDM_READ:
		oracle_read_begin(o, &r->ticket, sector, nr);
		break;
	case NDM_WRITE:
		oracle_write_begin(o, &r->ticket, sector, nr, s->next_id);
		for (i = 0; i < nr; i++)
			oracle_stamp(r->bytes + i * NDM_SECTOR_BYTES, s->next_id++);
		break;
	case NDM_ZEROES:
		oracle_write_begin(o, &r->ticket, sector, nr, 0);
		break;
	case NDM_DISCARD:
		oracle_discard_begin(o, &r->ticket, sector, nr);
		break;
	}
}

static int run(struct sim_dev *dev, enum ndm_op op, unsigned flags, uint64_t sector, uint64_t nr,
	       void *bytes, bool watched, struct ndm_share *share)
{
	struct sim *s = dev->sim;
	struct ndm_loop *here = sim_loop(s), *there = ndm_opener_loop(dev->opener);
	struct request *r = calloc(1, sizeof *r);
	int error;

	r->dev = dev;
	r->watched = watched && dev->oracle && !s->power_off;
	r->bytes = bytes;
	r->iov = (struct iovec){ .iov_base = bytes, .iov_len = nr * NDM_SECTOR_BYTES };
	r->io = (struct ndm_io){
		.op = op, .flags = flags, .done = request_done,
		.offset = sector * NDM_SECTOR_BYTES, .bytes = nr * NDM_SECTOR_BYTES,
		.share = share,
	};
	if (bytes)
		r->io.data = (struct ndm_data){ .iov = &r->iov, .iovcnt = 1 };
	ndm_waitq_init(&r->q, there);
	dev->ios++;
	ndm_task_hop(here, there);
	if (r->watched)
		request_begin(r, sector, nr);
	ndm_io_submit(dev->opener, &r->io);
	while (!r->finished)
		ndm_wait(&r->q);
	ndm_task_hop(there, here);
	dev->ios--;
	error = r->io.error;
	sim_trace(s, "%s: op %d flags %x %llu+%llu: %d", dev->name, op, flags,
		  (unsigned long long)sector, (unsigned long long)nr, error);
	free(r);
	return error;
}

int sim_io(struct sim_dev *dev, enum ndm_op op, unsigned flags, uint64_t sector, uint64_t nr)
{
	struct io_area *area = NULL;
	uint8_t *bytes = NULL;
	int error;

	if (op == NDM_READ)
		bytes = malloc(nr * NDM_SECTOR_BYTES);
	else if (op == NDM_WRITE)
		area = area_get(dev->sim, nr * NDM_SECTOR_BYTES, &bytes);
	error = run(dev, op, flags, sector, nr, bytes, true, area ? &area->share : NULL);
	if (area)
		ndm_share_put(&area->share);
	else
		free(bytes);
	return error;
}

int sim_raw(struct sim_dev *dev, enum ndm_op op, unsigned flags, uint64_t sector, uint64_t nr,
	    void *bytes)
{
	return run(dev, op, flags, sector, nr, bytes, false, NULL);
}

/* ---- verify ---- */

static void settle(struct sim_dev *dev, uint64_t sector, uint64_t nr, const uint8_t *bytes)
{
	struct ndm_str why = { 0 };
	uint64_t i;

	for (i = 0; i < nr; i++)
		if (!oracle_settle(dev->oracle, sector + i, bytes + i * NDM_SECTOR_BYTES, &why)) {
			sim_fail(dev->sim, "%s: after the cut sector %llu reads %s", dev->name,
				 (unsigned long long)(sector + i), why.text);
		}
}

void sim_verify(struct sim_dev *dev)
{
	uint64_t sector, nr, step = dev->device->store.limits.logical_block_bytes;
	uint8_t *bytes = malloc(64 * NDM_SECTOR_BYTES);
	int error;

	step = step > NDM_SECTOR_BYTES ? step / NDM_SECTOR_BYTES : 1;
	for (sector = 0; sector < sim_dev_nr(dev); sector += nr) {
		nr = step * (1 + sim_dice(dev->sim, 64 / step));
		if (nr > sim_dev_nr(dev) - sector)
			nr = sim_dev_nr(dev) - sector;
		error = run(dev, NDM_READ, 0, sector, nr, bytes, !dev->unsettled, NULL);
		if (error && dev->sim->alloc_fired)
			error = run(dev, NDM_READ, 0, sector, nr, bytes, !dev->unsettled, NULL);
		if (error)
			sim_fail(dev->sim, "%s: verify: reading %llu+%llu: %s", dev->name,
				 (unsigned long long)sector, (unsigned long long)nr,
				 strerror(-error));
		if (dev->unsettled && dev->oracle)
			settle(dev, sector, nr, bytes);
	}
	free(bytes);
	dev->unsettled = false;
}

/* ---- a mix of requests ---- */

struct mixer { struct sim_dev *dev; struct sim_mix mix; unsigned total; };

struct choice { enum ndm_op op; unsigned flags; };

static struct choice mix_choose(struct sim *s, const struct sim_mix *m, unsigned total)
{
	unsigned n = sim_dice(s, total);

	if (n < m->read)
		return (struct choice){ NDM_READ, 0 };
	n -= m->read;
	if (n < m->write)
		return (struct choice){ NDM_WRITE, 0 };
	n -= m->write;
	if (n < m->fua)
		return (struct choice){ NDM_WRITE,
					NDM_FUA | (sim_one_in(s, 4) ? NDM_PREFLUSH : 0) };
	n -= m->fua;
	if (n < m->flush)
		return (struct choice){ NDM_FLUSH, 0 };
	n -= m->flush;
	if (n < m->discard)
		return (struct choice){ NDM_DISCARD, 0 };
	return (struct choice){ NDM_ZEROES, 0 };
}

static void mix_one(struct mixer *x)
{
	struct sim *s = x->dev->sim;
	struct choice c = mix_choose(s, &x->mix, x->total);
	uint64_t align = x->mix.align, blocks = x->mix.nr / align, first, nr;
	int error;

	nr = 1 + sim_dice(s, x->mix.max_nr / align ? x->mix.max_nr / align : 1);
	if (nr > blocks)
		nr = blocks;
	first = sim_dice(s, blocks - nr + 1);
	first = first * align + x->mix.first;
	nr *= align;
	if (c.op == NDM_FLUSH)
		first = nr = 0;
	error = sim_io(x->dev, c.op, c.flags, first, nr);
	if (!error || s->script->flags & SIM_ERRORS_OK || s->alloc_fired || s->power_off)
		return;
	if (error == -EOPNOTSUPP && (c.op == NDM_DISCARD || c.op == NDM_ZEROES))
		return;
	sim_fail(s, "%s: op %d flags %x at %llu+%llu: %s", x->dev->name, c.op, c.flags,
		 (unsigned long long)first, (unsigned long long)nr, strerror(-error));
}

static void mix_task(struct sim *s, void *arg)
{
	struct mixer *x = arg;
	unsigned i;

	for (i = 0; i < x->mix.ops; i++)
		mix_one(x);
}

static struct sim_mix mix_defaults(struct sim_dev *dev, const struct sim_mix *given)
{
	struct sim_mix m = *given;
	unsigned block = dev->device->store.limits.logical_block_bytes / NDM_SECTOR_BYTES;

	m.tasks = m.tasks ? m.tasks : 3;
	m.ops = m.ops ? m.ops : 6;
	m.max_nr = m.max_nr ? m.max_nr : 16;
	m.align = m.align ? m.align : block ? block : 1;
	if (!m.nr)
		m.nr = sim_dev_nr(dev) - m.first;
	if (!(m.read + m.write + m.fua + m.flush + m.discard + m.zeroes)) {
		m.read = 3;
		m.write = 5;
		m.fua = 1;
		m.flush = 2;
		m.zeroes = 1;
	}
	return m;
}

struct mix_run { struct mixer x; unsigned left; struct ndm_waitq q; };

static void mix_runner(void *arg)
{
	struct mix_run *run = arg;

	mix_task(run->x.dev->sim, &run->x);
	if (--run->left == 0)
		ndm_wake_all(&run->q);
}

void sim_mix(struct sim_dev *dev, const struct sim_mix *given)
{
	struct mix_run run = { .x = { .dev = dev, .mix = mix_defaults(dev, given) } };
	struct sim_mix *m = &run.x.mix;
	unsigned i;

	run.x.total = m->read + m->write + m->fua + m->flush + m->discard + m->zeroes;
	run.left = m->tasks;
	ndm_waitq_init(&run.q, sim_loop(dev->sim));
	for (i = 0; i < m->tasks; i++)
		ndm_spawn(sim_loop(dev->sim), "mix", mix_runner, &run);
	while (run.left)
		ndm_wait(&run.q);
}

/* ---- tasks ---- */

static void task_entry(void *arg)
{
	struct sim_task t = *(struct sim_task *)arg;

	free(arg);
	t.fn(t.sim, t.arg);
	if (--t.sim->tasks == 0)
		ndm_wake_all(&t.sim->join_q);
}

void sim_spawn(struct sim *s, const char *name, void (*fn)(struct sim *, void *), void *arg)
{
	struct sim_task *t = malloc(sizeof *t);

	*t = (struct sim_task){ .sim = s, .fn = fn, .arg = arg };
	s->tasks++;
	ndm_spawn(sim_loop(s), name, task_entry, t);
}

void sim_join(struct sim *s)
{
	while (s->tasks)
		ndm_wait(&s->join_q);
}

void sim_sleep(struct sim *s, uint64_t ns)
{
	ndm_sleep(sim_loop(s), ns);
}
