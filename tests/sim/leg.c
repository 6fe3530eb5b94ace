/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leg.c - a simulated disk seen through a server that can die: `leg:DISK:NAME` in tables.
 *
 * Several legs of one disk are several servers that share it.  A request travels (an event),
 * is carried out by the disk, and is answered.  What can happen to a leg:
 *
 *   kill     what has not been carried out never will be; what is being carried out is, and
 *            then all that has no answer ends with -ENOTCONN
 *   stop     nothing is carried out and nothing answered, until cont
 *   reset    the client gives it up: as kill, and the server comes back by itself
 *   errors   answers -EIO, with the request carried out or not
 *
 * So what a client has given up is not carried out later.  Real servers do not promise that;
 * sim_leg_ghosts() takes it back: then what had not been carried out when its leg was given up
 * is carried out when the leg comes back.
 */
#include "priv.h"

struct leg;

struct leg_req {
	struct sim_event ev;			/* its arrival */
	struct leg *leg;
	struct leg_req *next;			/* of the leg's living ones */
	struct ndm_bio *home;			/* NULL: the client has had its end */
	struct ndm_bio away;
	bool arrived, started, answered;
	uint64_t writes_before;
	void *copy;				/* ghosts: the client's memory is gone */
	struct iovec iov;
	char what[64];
};

struct leg {
	struct ndm_store store;
	struct sim *sim;
	struct ndm_store *below;
	struct leg_req *reqs;
	unsigned nstarted;
	bool up, dying, stopped, returns, lost, ghosts;
	unsigned errors_one_in;
	uint64_t writes, flushed;
	struct ndm_link_watch *watches;
	struct ndm_timer timer;			/* it comes back by itself */
	struct leg_req *ghost;
};

static void leg_down_when_quiet(struct leg *);

static struct leg *leg_of(const struct ndm_store *s)
{
	return (struct leg *)(uintptr_t)s;
}

static void req_unlink(struct leg *l, struct leg_req *r)
{
	struct leg_req **p = &l->reqs;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
}

static void tell(struct leg *l)
{
	struct ndm_link_watch *w, *next;

	for (w = l->watches; w; w = next) {
		next = w->next;
		w->fn(w, &l->store, l->up);
	}
}

/* ---- a request ---- */

static void answer(struct leg *l, struct leg_req *r, int error)
{
	struct ndm_bio *home = r->home;
	bool writes = home->op == NDM_WRITE || home->op == NDM_ZEROES || home->op == NDM_DISCARD;

	if (home->op == NDM_FLUSH && !error && r->writes_before > l->flushed)
		l->flushed = r->writes_before;
	if (writes && !error && !(home->flags & NDM_FUA))
		l->writes++;
	req_unlink(l, r);
	free(r);
	ndm_end(home, error);
}

static void carried_out(struct ndm_bio *away)
{
	struct leg_req *r = ndm_container_of(away, struct leg_req, away);
	struct leg *l = r->leg;

	l->nstarted--;
	r->started = false;
	r->answered = true;
	if (l->dying)
		leg_down_when_quiet(l);
	else if (!l->stopped)
		answer(l, r, away->error);
}

static void start(struct leg *l, struct leg_req *r)
{
	r->started = true;
	l->nstarted++;
	ndm_submit(&r->away);
}

static void arrive(struct sim_event *ev)
{
	struct leg_req *r = ndm_container_of(ev, struct leg_req, ev);
	struct leg *l = r->leg;

	if (!l) {				/* given up on the way */
		free(r);
		return;
	}
	r->arrived = true;
	if (l->stopped || l->dying)
		return;
	if (l->errors_one_in && sim_dice(l->sim, l->errors_one_in) == 0) {
		if (sim_dice(l->sim, 2)) {
			answer(l, r, -EIO);
			return;
		}
		r->away.error = -EIO;		/* carried out, and called an error all the same */
	}
	start(l, r);
}

static void leg_submit(struct ndm_store *s, struct ndm_bio *bio)
{
	struct leg *l = leg_of(s);
	struct leg_req *r;

	if (l->sim->power_off)
		return;
	if (!l->up) {
		ndm_end(bio, -ENOTCONN);
		return;
	}
	if (bio->op == NDM_FLUSH && l->lost) {
		l->lost = false;
		ndm_end(bio, -EIO);
		return;
	}
	r = calloc(1, sizeof *r);
	r->leg = l;
	r->home = bio;
	r->writes_before = l->writes;
	r->away.op = bio->op;
	r->away.flags = bio->flags;
	r->away.store = l->below;
	r->away.sector = bio->sector;
	r->away.nr = bio->nr;
	r->away.data = bio->data;
	r->away.extents = bio->extents;
	r->away.origin = bio->origin;
	r->away.done = carried_out;
	r->next = l->reqs;
	l->reqs = r;
	snprintf(r->what, sizeof r->what, "%s: op %u %llu+%llu arrives", s->name, bio->op,
		 (unsigned long long)bio->sector, (unsigned long long)bio->nr);
	r->ev = (struct sim_event){ .loop = s->loop, .fire = arrive, .what = r->what };
	world_event(l->sim->world, &r->ev);
}

/* ---- going and coming ---- */

/* The client's memory will be reused; the server has what was sent. */
static void keep_ghost(struct leg *l, struct leg_req *r)
{
	size_t bytes = r->away.nr * NDM_SECTOR_BYTES;

	if (r->away.op != NDM_WRITE) {
		free(r);
		return;
	}
	r->copy = malloc(bytes);
	ndm_data_from(&r->away.data, bytes, r->copy);
	r->iov = (struct iovec){ r->copy, bytes };
	r->away.data = (struct ndm_data){ .iov = &r->iov, .iovcnt = 1 };
	r->next = l->ghost;
	l->ghost = r;
}

static void leg_down(struct leg *l)
{
	struct leg_req *r, *list = l->reqs;

	l->reqs = NULL;
	l->up = l->dying = l->stopped = false;
	l->lost |= l->writes != l->flushed;
	while ((r = list)) {
		struct ndm_bio *home = r->home;

		list = r->next;
		r->home = NULL;
		r->leg = NULL;
		if (r->arrived && !r->answered && l->ghosts)
			keep_ghost(l, r);
		else if (r->arrived)
			free(r);
		ndm_end(home, -ENOTCONN);
	}
	tell(l);
}

static void leg_up(struct leg *l)
{
	l->up = true;
	l->returns = false;
	tell(l);
}

static void come_back(struct ndm_timer *t)
{
	struct leg *l = ndm_container_of(t, struct leg, timer);

	if (!l->up && l->returns)
		leg_up(l);
}

static void leg_down_when_quiet(struct leg *l)
{
	if (!l->dying || l->nstarted)
		return;
	leg_down(l);
	if (l->returns)
		ndm_timer_set(&l->timer, l->sim->world->now_ns + 1000 +
			      sim_random(l->sim) % 2000000);
}

static void leg_die(struct leg *l, bool returns)
{
	if (!l->up)
		return;
	l->returns = returns;
	l->dying = true;
	leg_down_when_quiet(l);
}

static struct leg *leg_find(struct sim *s, const char *name)
{
	struct ndm_store *st;

	for (st = sim_loop(s)->stores; st; st = st->next)
		if (!strncmp(st->name, "leg:", 4) && !strcmp(st->name + 4, name))
			return leg_of(st);
	sim_fail(s, "no leg '%s' is open", name);
}

bool sim_leg_up(struct sim *s, const char *name)
{
	return leg_find(s, name)->up;
}

void sim_leg_kill(struct sim *s, const char *name)
{
	leg_die(leg_find(s, name), false);
}

void sim_leg_return(struct sim *s, const char *name)
{
	struct leg *l = leg_find(s, name);

	if (!l->up)
		leg_up(l);
	l->stopped = false;
}

void sim_leg_stop(struct sim *s, const char *name)
{
	leg_find(s, name)->stopped = true;
}

static void ghost_done(struct ndm_bio *away)
{
	struct leg_req *r = ndm_container_of(away, struct leg_req, away);

	free(r->copy);
	free(r);
}

void sim_leg_cont(struct sim *s, const char *name)
{
	struct leg *l = leg_find(s, name);
	struct leg_req *r, *next;

	l->stopped = false;
	if (!l->up)				/* it was given up meanwhile */
		leg_up(l);
	while ((r = l->ghost)) {
		l->ghost = r->next;
		r->away.done = ghost_done;
		ndm_submit(&r->away);
	}
	for (r = l->reqs; r && !l->dying; r = next) {
		next = r->next;
		if (r->answered)
			answer(l, r, r->away.error);
		else if (r->arrived && !r->started)
			start(l, r);
	}
}

void sim_leg_errors(struct sim *s, const char *name, unsigned one_in)
{
	leg_find(s, name)->errors_one_in = one_in;
}

void sim_leg_ghosts(struct sim *s, const char *name)
{
	leg_find(s, name)->ghosts = true;
}

/* ---- the store ---- */

static int leg_open(struct ndm_loop *loop, const char *spec, unsigned mode,
		    struct ndm_store **store, struct ndm_str *why)
{
	const char *name = strchr(spec, ':') + 1;
	struct leg *l = calloc(1, sizeof *l);
	char disk[32];
	int err;

	snprintf(disk, sizeof disk, "sim:%.*s", (int)strcspn(name, ":"), name);
	err = sim_disk_ops.open(loop, disk, mode, &l->below, why);
	if (err) {
		free(l);
		return err;
	}
	l->sim = world_of(loop->world)->sim;
	l->store = (struct ndm_store){ .ops = &sim_leg_ops, .loop = loop, .nr = l->below->nr,
				       .limits = l->below->limits };
	for (; *name; name++)
		l->store.identity[1] = l->store.identity[1] * 257 + (unsigned char)*name;
	l->store.identity[0] = 0x6c6567;
	l->up = true;
	ndm_timer_init(&l->timer, loop, come_back);
	*store = &l->store;
	return 0;
}

static void leg_close(struct ndm_store *s)
{
	struct leg *l = leg_of(s);

	assert(!l->reqs && !l->watches);
	ndm_timer_cancel(&l->timer);
	sim_disk_ops.close(l->below);
	free(l);
}

static void leg_watch(struct ndm_store *s, struct ndm_link_watch *w)
{
	w->next = leg_of(s)->watches;
	leg_of(s)->watches = w;
}

static void leg_unwatch(struct ndm_store *s, struct ndm_link_watch *w)
{
	struct ndm_link_watch **p = &leg_of(s)->watches;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
}

static bool leg_is_up(const struct ndm_store *s)
{
	return leg_of(s)->up;
}

static const char *leg_why(const struct ndm_store *s)
{
	return "the leg is gone";
}

static void leg_reset(struct ndm_store *s, const char *why)
{
	leg_die(leg_of(s), !leg_of(s)->stopped);	/* stopped: it comes back with cont */
}

static bool leg_dirty(const struct ndm_store *s)
{
	return leg_of(s)->writes != leg_of(s)->flushed;
}

static void leg_settled(struct ndm_store *s)
{
	leg_of(s)->lost = false;
}

static const struct ndm_link_ops leg_link = {
	.watch = leg_watch,
	.unwatch = leg_unwatch,
	.up = leg_is_up,
	.why = leg_why,
	.reset = leg_reset,
	.dirty = leg_dirty,
	.settled = leg_settled,
};

const struct ndm_store_ops sim_leg_ops = {
	.scheme = "leg",
	.open = leg_open,
	.submit = leg_submit,
	.close = leg_close,
	.link = &leg_link,
};
