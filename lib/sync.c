/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.c - what tasks wait for: queues, mutexes, rwlocks, ranges, groups, sleep.
 *
 * All of them are plain data of one loop; none knows about threads.  Queues are first come,
 * first served.  A task that is woken re-checks its condition: between the wake and its turn
 * anything may have happened.
 */
#include "core.h"

void ndm_waitq_init(struct ndm_waitq *q, struct ndm_loop *loop)
{
	*q = (struct ndm_waitq){ .loop = loop };
}

static struct ndm_task *waitq_join(struct ndm_waitq *q)
{
	struct ndm_task *t = q->loop->current;

	assert(t);				/* waiting outside a task */
	t->next = NULL;
	t->waiting_on = q;
	t->state = NDM_TASK_WAITING;
	if (q->head)
		q->tail->next = t;
	else
		q->head = t;
	q->tail = t;
	return t;
}

void ndm_wait(struct ndm_waitq *q)
{
	struct ndm_task *t = waitq_join(q);

	task_suspend(q->loop, t);
}

static void waitq_leave(struct ndm_waitq *q, struct ndm_task *t)
{
	struct ndm_task *before = NULL, *i = q->head;

	while (i != t) {
		before = i;
		i = i->next;
	}
	if (before)
		before->next = t->next;
	else
		q->head = t->next;
	if (q->tail == t)
		q->tail = before;
}

static void wait_timeout(struct ndm_timer *timer)
{
	struct ndm_task *t = ndm_container_of(timer, struct ndm_task, timer);

	waitq_leave(t->waiting_on, t);
	t->waiting_on = NULL;
	t->timed_out = true;
	task_ready(t);
}

int ndm_wait_until(struct ndm_waitq *q, uint64_t at_ns)
{
	struct ndm_task *t = waitq_join(q);

	t->timed_out = false;
	ndm_timer_init(&t->timer, q->loop, wait_timeout);
	ndm_timer_set(&t->timer, at_ns);
	task_suspend(q->loop, t);
	ndm_timer_cancel(&t->timer);
	return t->timed_out ? -ETIMEDOUT : 0;
}

void ndm_wake_one(struct ndm_waitq *q)
{
	struct ndm_task *t = q->head;

	if (!t)
		return;
	q->head = t->next;
	if (!q->head)
		q->tail = NULL;
	t->waiting_on = NULL;
	if (t->timer.index)			/* or it would fire on a task that has gone on */
		ndm_timer_cancel(&t->timer);
	task_ready(t);
}

void ndm_wake_all(struct ndm_waitq *q)
{
	while (q->head)
		ndm_wake_one(q);
}

void ndm_sleep(struct ndm_loop *loop, uint64_t ns)
{
	struct ndm_waitq q;

	ndm_waitq_init(&q, loop);
	ndm_wait_until(&q, loop_now(loop) + ns);
}

void ndm_yield(struct ndm_loop *loop)
{
	struct ndm_task *t = loop->current;

	assert(t);
	t->state = NDM_TASK_WAITING;
	task_ready(t);
	task_suspend(loop, t);
}

/* ---- mutex ---- */

void ndm_mutex_init(struct ndm_mutex *m, struct ndm_loop *loop)
{
	m->owner = NULL;
	ndm_waitq_init(&m->q, loop);
}

void ndm_lock(struct ndm_mutex *m)
{
	struct ndm_task *me = m->q.loop->current;

	assert(me && m->owner != me);
	if (!m->owner && !m->q.head) {
		m->owner = me;
		return;
	}
	while (m->owner != me)			/* unlock hands it over */
		ndm_wait(&m->q);
}

void ndm_unlock(struct ndm_mutex *m)
{
	assert(m->owner && m->owner == m->q.loop->current);
	m->owner = m->q.head;
	ndm_wake_one(&m->q);
}

/* ---- rwlock: writers go before readers that come after them ---- */

void ndm_rwlock_init(struct ndm_rwlock *l, struct ndm_loop *loop)
{
	*l = (struct ndm_rwlock){ 0 };
	ndm_waitq_init(&l->q, loop);
}

void ndm_rdlock(struct ndm_rwlock *l)
{
	while (l->writer || l->writers_waiting)
		ndm_wait(&l->q);
	l->readers++;
}

void ndm_wrlock(struct ndm_rwlock *l)
{
	struct ndm_task *me = l->q.loop->current;

	assert(me && l->writer != me);
	l->writers_waiting++;
	while (l->writer || l->readers)
		ndm_wait(&l->q);
	l->writers_waiting--;
	l->writer = me;
}

void ndm_rwunlock(struct ndm_rwlock *l)
{
	if (l->writer) {
		assert(l->writer == l->q.loop->current);
		l->writer = NULL;
	} else {
		assert(l->readers);
		if (--l->readers)
			return;
	}
	ndm_wake_all(&l->q);
}

/* ---- ranges ---- */

void ndm_ranges_init(struct ndm_ranges *r, struct ndm_loop *loop)
{
	*r = (struct ndm_ranges){ .loop = loop };
}

static struct ndm_range *range_overlap(struct ndm_ranges *set, uint64_t first, uint64_t last)
{
	struct ndm_range *r;

	for (r = set->held; r; r = r->next)
		if (r->first <= last && first <= r->last)
			return r;
	return NULL;
}

bool ndm_range_trylock(struct ndm_ranges *set, struct ndm_range *me, uint64_t first, uint64_t last)
{
	assert(first <= last);
	if (range_overlap(set, first, last))
		return false;
	*me = (struct ndm_range){ .first = first, .last = last, .owner = set->loop->current };
	ndm_waitq_init(&me->q, set->loop);
	me->next = set->held;
	set->held = me;
	return true;
}

void ndm_range_lock(struct ndm_ranges *set, struct ndm_range *me, uint64_t first, uint64_t last)
{
	struct ndm_range *other;

	while ((other = range_overlap(set, first, last))) {
		assert(other->owner != set->loop->current || !other->owner);
		ndm_wait(&other->q);
	}
	ndm_range_trylock(set, me, first, last);
}

void ndm_range_unlock(struct ndm_ranges *set, struct ndm_range *me)
{
	struct ndm_range **p = &set->held;

	while (*p != me)
		p = &(*p)->next;
	*p = me->next;
	ndm_wake_all(&me->q);
}

/* ---- groups: fan out, gather ---- */

void ndm_group_init(struct ndm_group *g, struct ndm_loop *loop)
{
	*g = (struct ndm_group){ .loop = loop };
	ndm_waitq_init(&g->q, loop);
}

static void group_done(struct ndm_bio *b)
{
	struct ndm_group *g = b->owner;

	if (b->error && !g->error)
		g->error = b->error;
	ndm_bio_put(g->loop, b);
	if (--g->pending == 0)
		ndm_wake_all(&g->q);
}

void ndm_group_add(struct ndm_group *g, struct ndm_bio *clone, struct ndm_store *store,
		   uint64_t sector)
{
	g->pending++;
	clone->done = group_done;
	clone->owner = g;
	clone->store = store;
	clone->sector = sector;
	ndm_submit(clone);
}

int ndm_group_wait(struct ndm_group *g)
{
	while (g->pending)
		ndm_wait(&g->q);
	return g->error;
}

int ndm_forward(struct ndm_bio *bio, struct ndm_dev *dev, uint64_t sector)
{
	struct ndm_loop *loop = dev->store->loop;
	struct ndm_group g;

	ndm_group_init(&g, loop);
	ndm_group_add(&g, ndm_clone(loop, bio, 0, bio->nr), dev->store, sector);
	return ndm_group_wait(&g);
}

int ndm_rw_data(struct ndm_store *store, enum ndm_op op, unsigned flags, uint64_t sector,
		uint64_t nr, const struct ndm_data *data)
{
	struct ndm_bio *b = ndm_bio_get(store->loop);
	struct ndm_group g;

	b->op = op;
	b->flags = flags;
	b->nr = nr;
	if (data)
		b->data = *data;
	ndm_group_init(&g, store->loop);
	ndm_group_add(&g, b, store, sector);
	return ndm_group_wait(&g);
}

int ndm_rw(struct ndm_store *store, enum ndm_op op, unsigned flags, uint64_t sector, uint64_t nr,
	   void *buf)
{
	struct iovec iov = { .iov_base = buf, .iov_len = nr * NDM_SECTOR_BYTES };
	struct ndm_data data = { .iov = &iov, .iovcnt = 1 };

	return ndm_rw_data(store, op, flags, sector, nr, &data);
}

int ndm_flush(struct ndm_store *store)
{
	return ndm_rw_data(store, NDM_FLUSH, 0, 0, 0, NULL);
}

/* ---- work on other threads ---- */

struct offload { struct ndm_work work; struct ndm_waitq q; bool done; };

static void offload_done(struct ndm_work *work)
{
	struct offload *o = ndm_container_of(work, struct offload, work);

	o->done = true;
	ndm_wake_all(&o->q);
}

void ndm_work_start(struct ndm_loop *loop, struct ndm_work *work)
{
	work->loop = loop;
	loop->world->ops->offload(loop->world, work);
}

int ndm_offload(struct ndm_loop *loop, int (*fn)(void *), void *arg)
{
	struct offload o = { .work = { .fn = fn, .arg = arg, .loop = loop, .done = offload_done } };

	ndm_waitq_init(&o.q, loop);
	loop->world->ops->offload(loop->world, &o.work);
	while (!o.done)
		ndm_wait(&o.q);
	return o.work.result;
}
