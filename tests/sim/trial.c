/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trial.c - one seed: run it, and in forked copies of the process cut its power everywhere.
 *
 * A cut is a fork: before each event the process makes a copy of itself for each fate of the
 * volatile writes that is to be tried.  The copy never runs the old loop again (tasks, bios
 * and stacks simply stay where they are until it exits), lets the disks lose what they lose,
 * builds the devices anew over the durable bytes in a fresh world, and checks.  So a seed of
 * N events with a cut at each costs N recoveries, not N runs; and a crash or an assertion of
 * a copy is one more way for a trial to fail.  Since the world is single-threaded and knows
 * no outside, the copy differs from the original in nothing but the cut: to replay `--cut K:M`
 * the same program runs to event K and takes the same road without forking.
 *
 * Leaks: an uncut run tears everything down and is watched by the leak sanitizer and by the
 * core's own asserts (no task, bio, timer, store may outlive its loop); so is every recovery.
 * Only the world that lost its power is abandoned, in a process that then exits by _exit().
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "priv.h"

#define CPU_SECONDS_MAX 120

void *sim_private(struct sim *s)
{
	return s->private_data;
}

unsigned sim_cuts(const struct sim *s)
{
	return s->ncuts;
}

struct ndm_loop *sim_loop(struct sim *s)
{
	return ndm_context_loop(s->ctx, 0);
}

struct ndm_context *sim_context(struct sim *s)
{
	return s->ctx;
}

uint64_t sim_seed(const struct sim *s)
{
	return s->opt.seed;
}

/* ---- saying what went wrong ---- */

void trial_print_repro(struct sim *s, FILE *f)
{
	unsigned i;

	fprintf(f, "repro: tests/sim/run %s --seed %llu", s->script->name,
		(unsigned long long)s->opt.seed);
	for (i = 0; i < s->ncuts; i++)
		fprintf(f, " --cut %llu:%llu", (unsigned long long)s->path[i].event,
			(unsigned long long)s->path[i].subset);
	if (!s->ncuts)
		fprintf(f, " --no-cuts");
	if (s->opt.fail_alloc)
		fprintf(f, " --fail-alloc %u", s->opt.fail_alloc);
	if (s->opt.cut_moment)
		fprintf(f, " --cut-at %s:%u", s->opt.cut_moment, s->opt.cut_moment_nth);
	if (s->opt.loops)
		fprintf(f, " --loops %u", s->opt.loops);
	fprintf(f, "%s%s\n", s->opt.torn ? " --torn" : "", s->opt.lying ? " --lying" : "");
}

static void trial_failed(struct sim *s) __attribute__((noreturn));
static void trial_failed(struct sim *s)
{
	if (!s->ncuts && !s->shared->first_bad_event)
		s->shared->first_bad_event = s->event;
	if (!(s->script->flags & SIM_BROKEN) || s->opt.trace)
		trial_print_repro(s, stdout);
	fflush(stdout);
	_exit(1);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!(s->script->flags & SIM_BROKEN) || s->opt.trace) {
		printf("%s: event %llu: ", s->script->name, (unsigned long long)s->event);
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		printf("\n");
	}
	trial_failed(s);
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->opt.trace)
		return;
	printf("%u.%llu ", s->ncuts, (unsigned long long)s->event);
	if (s->world)
		printf("[%llu us] ", (unsigned long long)(s->world->now_ns / 1000));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

/* ---- cuts ---- */

static bool replaying(const struct sim *s)
{
	return s->opt.nreplay > 0;
}

/* The copy's way on: the power has failed after event s->event. */
static void cut_here(struct sim *s, uint64_t subset)
{
	s->path[s->ncuts++] = (struct sim_cut){ .event = s->event, .subset = subset };
}

static void report_death(struct sim *s, int status, uint64_t subset)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		return;				/* it has spoken for itself */
	if (s->script->flags & SIM_BROKEN && !s->opt.trace)
		return;
	if (WIFSIGNALED(status))
		printf("%s: died of signal %d (%s)\n", s->script->name, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else
		printf("%s: ended with status %d\n", s->script->name, WEXITSTATUS(status));
	cut_here(s, subset);
	trial_print_repro(s, stdout);
	s->ncuts--;
	fflush(stdout);
}

/* true in the copy; in the original the copy has ended */
static bool fork_cut(struct sim *s, uint64_t subset)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		cut_here(s, subset);
		return true;
	}
	if (pid < 0) {
		perror("fork");
		_exit(2);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	s->shared->cuts++;
	if (status) {
		report_death(s, status, subset);
		s->shared->failures++;
		if (!s->shared->first_bad_event)
			s->shared->first_bad_event = s->event;
		if (!s->opt.keep_going)
			_exit(1);
	}
	return false;
}

static uint64_t subsets_of(struct sim *s)
{
	unsigned units = disks_at_risk(s);

	if (units <= SIM_ENUMERATE_MAX)
		return (uint64_t)1 << units;
	return s->script->samples ? s->script->samples : 2;
}

/* Every fate at the first level; at the second a sample, or it would never end. */
static bool cut_all(struct sim *s)
{
	uint64_t subset, n = subsets_of(s), first = 0;

	if (s->opt.subset_given) {
		first = s->opt.replay[s->ncuts].subset;
		n = first + 1;
	}
	if (s->ncuts) {
		struct sim_dice d = dice_seed(s->opt.seed ^ s->event, 6);

		first = dice_below(&d, n);
		n = first + 1;
	}
	for (subset = first; subset < n; subset++)
		if (fork_cut(s, subset))
			return true;
	s->changed = false;
	return false;
}

/* Whether there is a cut before the next event: the dice depend on seed and event alone. */
static bool cut_wanted(struct sim *s)
{
	unsigned one_in = s->opt.one_in;
	struct sim_dice d = dice_seed(s->opt.seed ^ s->event << 20, 5 + s->ncuts);

	if (s->formatting || s->script->flags & SIM_NO_CUTS || !one_in || s->ncuts >= SIM_DEPTH_MAX)
		return false;
	if (s->ncuts)
		one_in = 200 * one_in;
	else if (!s->changed)
		return false;
	return dice_below(&d, one_in) == 0;
}

/* Between two events.  true: the power has failed. */
static bool boundary(struct sim *s)
{
	if (replaying(s)) {
		if (s->ncuts < s->opt.nreplay && (s->power_off ||
		    s->event == s->opt.replay[s->ncuts].event)) {
			if (!s->opt.subset_given && s->ncuts == s->opt.nreplay - 1)
				return cut_all(s);
			cut_here(s, s->opt.replay[s->ncuts].subset);
			return true;
		}
		return false;
	}
	if (s->power_off) {
		if (cut_all(s))
			return true;
		_exit(s->shared->failures != 0);	/* the original's power is off, too */
	}
	return cut_wanted(s) && cut_all(s);
}

/* ---- one world ---- */

static void stuck(struct sim *s, const char *how)
{
	if (s->script->flags & SIM_BROKEN && !s->opt.trace)
		trial_failed(s);
	printf("%s: event %llu: %s; tasks:\n", s->script->name, (unsigned long long)s->event, how);
	world_print_tasks(s->world, stdout);
	trial_failed(s);
}

static void one_event(struct sim *s)
{
	if (!world_step(s->world) && !s->main_done)
		stuck(s, "deadlock: nothing is ready, no timer runs");
	if (++s->event > SIM_EVENTS_MAX)
		stuck(s, "livelock: events without end");
}

static void world_up(struct sim *s)
{
	unsigned i, n = s->opt.loops ? s->opt.loops : s->script->loops ? s->script->loops : 1;
	struct ndm_loop *loops[SIM_LOOPS_MAX];

	s->event = 0;
	s->power_off = s->main_done = false;
	s->tasks = 0;
	s->world = world_new(s, s->opt.seed + (s->ncuts ? s->path[s->ncuts - 1].event : 0));
	s->world->world.types = s->script->types;
	s->script_dice = dice_seed(s->opt.seed, 16 + s->ncuts);
	for (i = 0; i < n; i++)
		loops[i] = ndm_loop_new(&s->world->world);
	s->ctx = ndm_context_new(loops, n);
	ndm_waitq_init(&s->join_q, loops[0]);
}

static void world_down(struct sim *s)
{
	struct ndm_loop *loops[SIM_LOOPS_MAX];
	unsigned i, n = ndm_context_loops(s->ctx);

	for (i = 0; i < n; i++)
		loops[i] = ndm_context_loop(s->ctx, i);
	ndm_context_free(s->ctx);
	s->ctx = NULL;
	for (i = 0; i < n; i++)
		if (loops[i]->tasks) {
			printf("%s: tasks outlive their devices:\n", s->script->name);
			world_print_tasks(s->world, stdout);
			trial_failed(s);
		}
	for (i = 0; i < n; i++) {
		if (loops[i]->stores)
			sim_fail(s, "store '%s' was not closed", loops[i]->stores->name);
		ndm_loop_free(loops[i]);
	}
	world_free(s->world);
	s->world = NULL;
}

/* Runs until the main task is done and all is quiet, or until the power fails. */
static enum trial_end world_run(struct sim *s, void (*fn)(void *))
{
	ndm_spawn(sim_loop(s), "script", fn, s);
	while (!s->main_done) {
		if (boundary(s))
			return TRIAL_CUT;
		one_event(s);
	}
	while (world_step(s->world))
		if (++s->event > SIM_EVENTS_MAX)
			stuck(s, "livelock after the end of the script");
	return TRIAL_DONE;
}

/* ---- the tasks ---- */

static void verify_all(struct sim *s)
{
	struct sim_dev *d;

	for (d = s->devs; d; d = d->next)
		if (d->oracle && d->opener)
			sim_verify(d);
}

static void check(struct sim *s)
{
	verify_all(s);
	if (s->script->check)
		s->script->check(s);
}

static void after_default(struct sim *s)
{
	struct sim_mix mix = { .tasks = 2, .ops = 3 };
	struct sim_dev *d;

	for (d = s->devs; d; d = d->next)
		if (d->oracle && d->opener)
			sim_mix(d, &mix);
}

static void first_life(void *arg)
{
	struct sim *s = arg;

	if (s->script->format) {
		s->formatting = true;
		s->script->format(s);
		sim_join(s);
		devs_down(s);
		disks_sync(s);
		s->formatting = false;
	}
	if (s->opt.log_disk)
		log_open(disk_must(s, s->opt.log_disk), s->opt.log_path);
	if (s->opt.fail_alloc)
		sim_fail_alloc(s, s->opt.fail_alloc);
	s->script->up(s);
	if (s->script->work)
		s->script->work(s);
	sim_join(s);
	sim_fail_alloc(s, 0);
	check(s);
	devs_down(s);
	s->main_done = true;
}

/* After a cut, or after a clean end: build again, see what is there, use it, look again. */
static void next_life(void *arg)
{
	struct sim *s = arg;

	s->script->up(s);
	check(s);
	if (!(s->script->flags & SIM_NO_AFTER)) {
		if (s->script->after)
			s->script->after(s);
		else
			after_default(s);
		sim_join(s);
		check(s);
	}
	devs_down(s);
	s->main_done = true;
}

static void power_fails(struct sim *s)
{
	struct sim_cut *c = &s->path[s->ncuts - 1];
	struct sim_dice dice = dice_seed(s->opt.seed ^ c->event << 32, 100 + c->subset);
	bool few = disks_at_risk(s) <= SIM_ENUMERATE_MAX;

	sim_trace(s, "power cut");
	sim_fail_alloc(s, 0);
	disks_cut(s, c->subset, few ? NULL : &dice);
	s->world = NULL;
	s->ctx = NULL;
	devs_forget(s);
	sim_fault_clear(s);
}

static void sim_free(struct sim *s)
{
	devs_free(s);
	disks_free(s);
	faults_free(s);
	io_area_leave(s);
	ndm_str_free(&s->text);
	ndm_str_free(&s->why);
	free(s->private_data);
	free(s);
}

static struct sim *sim_new(const struct sim_script *script, const struct sim_options *opt,
			   struct sim_shared *shared)
{
	struct sim *s = calloc(1, sizeof *s);

	s->script = script;
	s->opt = *opt;
	s->shared = shared;
	s->private_data = calloc(1, script->private_size + 1);
	s->next_id = 1;
	disks_create(s);
	return s;
}

/* A hang that makes no events (a loop in C) is ended by the kernel. */
static void limit_cpu(void)
{
	struct rlimit limit = { .rlim_cur = CPU_SECONDS_MAX, .rlim_max = CPU_SECONDS_MAX };

	setrlimit(RLIMIT_CPU, &limit);
}

static void print_moments(const struct sim *s)
{
	const struct moment_seen *m;

	for (m = s->seen; m; m = m->next)
		printf("moment %s: %u\n", m->name, m->count);
}

int trial_run(const struct sim_script *script, const struct sim_options *opt,
	      struct sim_shared *shared)
{
	struct sim *s = sim_new(script, opt, shared);
	bool second = false;

	limit_cpu();
	world_up(s);
	while (world_run(s, s->ncuts || second ? next_life : first_life) == TRIAL_CUT) {
		limit_cpu();
		power_fails(s);
		world_up(s);
		second = true;
	}
	if (!s->ncuts)
		shared->events += s->event;
	world_down(s);
	if (!second && !s->alloc_fired) {	/* switched off and on again: nothing may be lost */
		struct sim_options quiet = s->opt;

		s->opt.one_in = s->opt.nreplay = 0;
		world_up(s);
		world_run(s, next_life);
		world_down(s);
		s->opt = quiet;
	}
	if (opt->moments)
		print_moments(s);
	if (s->ncuts) {
		fflush(stdout);
		_exit(0);			/* the dead world's memory is not a leak */
	}
	sim_free(s);
	return shared->failures != 0;
}
