/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.c - faults as data: of disks, of named moments, of the allocator.
 */
#include "priv.h"

/* ---- disks ---- */

void sim_fault(struct sim *s, const struct sim_fault *f)
{
	struct fault_rule *rule = calloc(1, sizeof *rule), **p = &s->faults;

	rule->f = *f;
	if (!rule->f.nth)
		rule->f.nth = 1;
	while (*p)
		p = &(*p)->next;
	*p = rule;
}

void sim_fault_clear(struct sim *s)
{
	struct fault_rule *rule;

	while ((rule = s->faults)) {
		s->faults = rule->next;
		free(rule);
	}
}

static bool fault_matches(const struct sim_fault *f, const struct sim_disk *d,
			  const struct ndm_bio *bio)
{
	if (f->disk && strcmp(f->disk, d->name))
		return false;
	if (f->ops && !(f->ops >> bio->op & 1))
		return false;
	if (!f->last)
		return true;
	return bio->nr && bio->sector <= f->last && f->first <= bio->sector + bio->nr - 1;
}

const struct sim_fault *fault_hit(struct sim_disk *d, const struct ndm_bio *bio)
{
	struct fault_rule *rule;
	const struct sim_fault *hit = NULL;

	for (rule = d->sim->faults; rule; rule = rule->next) {
		if (!fault_matches(&rule->f, d, bio))
			continue;
		rule->hits++;
		if (!hit && (rule->hits == rule->f.nth ||
			     (rule->f.always && rule->hits > rule->f.nth)))
			hit = &rule->f;
	}
	return hit;
}

/* ---- moments ---- */

static void moment_add(struct sim *s, const struct moment_rule *rule)
{
	struct moment_rule *copy = calloc(1, sizeof *copy);

	*copy = *rule;
	copy->next = s->moments;
	s->moments = copy;
}

void sim_cut_at(struct sim *s, const char *moment, unsigned nth)
{
	moment_add(s, &(struct moment_rule){ .name = moment, .nth = nth, .what = MOMENT_CUT });
}

void sim_fail_at(struct sim *s, const char *moment, unsigned nth, int error)
{
	moment_add(s, &(struct moment_rule){ .name = moment, .nth = nth, .what = MOMENT_FAIL,
					     .error = error });
}

void sim_hold_at(struct sim *s, const char *moment, unsigned nth, const char *until)
{
	moment_add(s, &(struct moment_rule){ .name = moment, .nth = nth, .what = MOMENT_HOLD,
					     .until = until });
}

static struct moment_seen *moment_seen(struct sim *s, const char *name)
{
	struct moment_seen *m;

	for (m = s->seen; m; m = m->next)
		if (!strcmp(m->name, name))
			return m;
	m = calloc(1, sizeof *m);
	m->name = name;
	m->next = s->seen;
	s->seen = m;
	return m;
}

unsigned sim_moment_count(struct sim *s, const char *moment)
{
	return moment_seen(s, moment)->count;
}

static void moment_hold(struct sim *s, struct ndm_loop *loop, const struct moment_rule *rule)
{
	struct moment_seen *until = moment_seen(s, rule->until);
	unsigned before = until->count;

	if (!loop->current || loop->nowait)
		sim_fail(s, "moment '%s' is not in a task: nothing can be held there", rule->name);
	/* polling in virtual time: moments may be on different loops, and it costs nothing */
	while (until->count == before)
		ndm_sleep(loop, 1000);
}

int world_moment(struct ndm_world *w, struct ndm_loop *loop, const char *name)
{
	struct sim *s = world_of(w)->sim;
	struct moment_seen *seen = moment_seen(s, name);
	struct moment_rule *rule;

	seen->count++;
	sim_trace(s, "moment %s (%u)", name, seen->count);
	if (s->opt.cut_moment && !s->ncuts && !strcmp(s->opt.cut_moment, name) &&
	    s->opt.cut_moment_nth == seen->count)
		s->power_off = true;
	for (rule = s->moments; rule; rule = rule->next) {
		if (strcmp(rule->name, name) || rule->nth != seen->count)
			continue;
		if (rule->what == MOMENT_FAIL)
			return rule->error;
		if (rule->what == MOMENT_CUT)
			s->power_off = true;
		else
			moment_hold(s, loop, rule);
	}
	return 0;
}

void faults_free(struct sim *s)
{
	struct moment_rule *rule;
	struct moment_seen *seen;

	sim_fault_clear(s);
	while ((rule = s->moments)) {
		s->moments = rule->next;
		free(rule);
	}
	while ((seen = s->seen)) {
		s->seen = seen->next;
		free(seen);
	}
}

/* ---- memory: the hook of lib/alloc.c knows no argument, so this is the one static ---- */

static struct { struct sim *sim; unsigned left; } countdown;

bool alloc_countdown(size_t bytes)
{
	if (!countdown.left || --countdown.left)
		return true;
	countdown.sim->alloc_fired = countdown.sim->shared->alloc_fired = true;
	sim_trace(countdown.sim, "an allocation of %zu bytes fails", bytes);
	return false;
}

void sim_fail_alloc(struct sim *s, unsigned nth)
{
	countdown.sim = s;
	countdown.left = nth;
	ndm_alloc_hook = nth ? alloc_countdown : NULL;
}
