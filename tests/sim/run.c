/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - the command line of the simulator.
 *
 *	run --list
 *	run SCRIPT [--seed N] [--runs N] [--cut K[:M]]... [--no-cuts] [--one-in N] ...
 *	run --all
 *
 * Each seed runs in a process of its own: an assertion or a crash is a failed trial like any
 * other, and what a seed leaves behind is gone with it.
 */
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "priv.h"

extern const struct sim_script *const __start_sim_scripts[];
extern const struct sim_script *const __stop_sim_scripts[];

static const char usage_text[] =
"usage: run --list | run --all [OPTION]... | run SCRIPT [OPTION]...\n"
"  --seed N          first seed (default 1)\n"
"  --runs N          how many seeds (default: the script's)\n"
"  --cut K[:M]       cut after event K, with fate M of the volatile writes (default: all fates);\n"
"                    given again: a cut during the recovery\n"
"  --no-cuts         run without a cut\n"
"  --one-in N        cut after one event of N, by dice (default: the script's)\n"
"  --cut-at NAME[:N] cut where the target passes the named moment the Nth time\n"
"  --moments         print the named moments that were passed\n"
"  --fail-alloc N    the Nth allocation fails; `all': each in turn\n"
"  --loops N         spread the devices over N loops\n"
"  --torn            blocks in flight at a cut may come back as garbage\n"
"  --lying           disks that do not keep FLUSH and FUA\n"
"  --blind           without the oracle (to see that a test depends on it)\n"
"  --log-writes DISK=FILE  what the disk was told, in the format of dm-log-writes\n"
"  --keep-going      do not stop at the first failure\n"
"  --trace           print every event\n";

static void usage(int status) __attribute__((noreturn));
static void usage(int status)
{
	fputs(usage_text, status ? stderr : stdout);
	exit(status);
}

static const struct sim_script *script_find(const char *name)
{
	const struct sim_script *const *p;

	for (p = __start_sim_scripts; p < __stop_sim_scripts; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	fprintf(stderr, "there is no script '%s'; --list shows them\n", name);
	exit(2);
}

static void list(void)
{
	const struct sim_script *const *p;

	for (p = __start_sim_scripts; p < __stop_sim_scripts; p++)
		printf("%-20s %s\n", (*p)->name, (*p)->summary);
}

/* ---- one seed, in a process of its own ---- */

static int seed_run(const struct sim_script *script, const struct sim_options *opt,
		    struct sim_shared *shared)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0)
		exit(trial_run(script, opt, shared));
	while (waitpid(pid, &status, 0) < 0)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
		if (status && !shared->failures)
			shared->failures++;
		return status != 0;
	}
	shared->failures++;
	if (WIFSIGNALED(status))
		printf("%s: died of signal %d (%s)\n", script->name, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else
		printf("%s: ended with status %d\n", script->name, WEXITSTATUS(status));
	printf("repro: tests/sim/run %s --seed %llu --no-cuts", script->name,
	       (unsigned long long)opt->seed);
	if (opt->fail_alloc)
		printf(" --fail-alloc %u", opt->fail_alloc);
	if (opt->loops)
		printf(" --loops %u", opt->loops);
	printf("%s%s\n", opt->torn ? " --torn" : "", opt->lying ? " --lying" : "");
	return 1;
}

/* Fails each allocation of a seed in turn, until there are no more. */
static int alloc_run(const struct sim_script *script, struct sim_options *opt,
		     struct sim_shared *shared, bool keep_going)
{
	int bad = 0;

	opt->one_in = 0;
	for (opt->fail_alloc = 1; !bad || keep_going; opt->fail_alloc++) {
		shared->alloc_fired = false;
		bad |= seed_run(script, opt, shared);
		if (!shared->alloc_fired)
			break;
	}
	printf("%s: seed %llu: %u allocations failed in turn\n", script->name,
	       (unsigned long long)opt->seed, opt->fail_alloc - 1);
	return bad;
}

struct job { struct sim_options opt; uint64_t runs; bool all_allocs, one_in_given; };

/* A planted bug: some trial must fail, and early enough. */
static int broken_verdict(const struct sim_script *script, const struct sim_shared *shared)
{
	if (!shared->failures) {
		printf("%s: NOT CAUGHT: the planted bug went unseen in %llu cuts\n", script->name,
		       (unsigned long long)shared->cuts);
		return 1;
	}
	if (script->catch_events && shared->first_bad_event > script->catch_events) {
		printf("%s: CAUGHT LATE: after event %llu, not within %u\n", script->name,
		       (unsigned long long)shared->first_bad_event, script->catch_events);
		return 1;
	}
	printf("%s: caught at cut %llu, event %llu\n", script->name,
	       (unsigned long long)shared->cuts, (unsigned long long)shared->first_bad_event);
	return 0;
}

static int script_run(const struct sim_script *script, const struct job *job,
		      struct sim_shared *shared)
{
	uint64_t i, runs = job->runs ? job->runs : script->seeds ? script->seeds : 4;
	struct sim_options opt = job->opt;
	int bad = 0;

	memset(shared, 0, sizeof *shared);
	if (!job->one_in_given)
		opt.one_in = script->one_in ? script->one_in : 1;
	for (i = 0; i < runs && (!bad || opt.keep_going); i++, opt.seed++) {
		if (job->all_allocs)
			bad |= alloc_run(script, &opt, shared, opt.keep_going);
		else
			bad |= seed_run(script, &opt, shared);
	}
	if (script->flags & SIM_BROKEN && !opt.nreplay)
		return broken_verdict(script, shared);
	printf("%s: %llu seeds, %llu events, %llu power cuts, %llu failures\n", script->name,
	       (unsigned long long)i, (unsigned long long)shared->events,
	       (unsigned long long)shared->cuts, (unsigned long long)shared->failures);
	return bad;
}

/* ---- options ---- */

static uint64_t number(const char *text, char **end)
{
	uint64_t value;

	errno = 0;
	value = strtoull(text, end, 0);
	if (errno || *end == text) {
		fprintf(stderr, "'%s' is not a number\n", text);
		exit(2);
	}
	return value;
}

static uint64_t whole_number(const char *text)
{
	char *end;
	uint64_t value = number(text, &end);

	if (*end) {
		fprintf(stderr, "'%s' is not a number\n", text);
		exit(2);
	}
	return value;
}

static void parse_cut(struct sim_options *opt, const char *text)
{
	struct sim_cut *c = &opt->replay[opt->nreplay];
	char *end;

	if (opt->nreplay == SIM_DEPTH_MAX) {
		fprintf(stderr, "no more than %d cuts\n", SIM_DEPTH_MAX);
		exit(2);
	}
	c->event = number(text, &end);
	opt->subset_given = *end == ':';
	c->subset = opt->subset_given ? whole_number(end + 1) : 0;
	opt->nreplay++;
}

static void parse_moment(struct sim_options *opt, char *text)
{
	char *colon = strrchr(text, ':');

	opt->cut_moment = text;
	opt->cut_moment_nth = 1;
	if (colon) {
		*colon = '\0';
		opt->cut_moment_nth = whole_number(colon + 1);
	}
}

/* one run without cuts, or every cut would write the file */
static void parse_log(struct sim_options *opt, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals) {
		fprintf(stderr, "--log-writes takes DISK=FILE\n");
		exit(2);
	}
	*equals = '\0';
	opt->log_disk = text;
	opt->log_path = equals + 1;
}

static const struct option long_options[] = {
	{ "list", no_argument, NULL, 'l' },	{ "all", no_argument, NULL, 'a' },
	{ "seed", required_argument, NULL, 's' }, { "runs", required_argument, NULL, 'r' },
	{ "cut", required_argument, NULL, 'c' }, { "no-cuts", no_argument, NULL, 'n' },
	{ "one-in", required_argument, NULL, 'o' }, { "cut-at", required_argument, NULL, 'm' },
	{ "moments", no_argument, NULL, 'M' },	{ "fail-alloc", required_argument, NULL, 'f' },
	{ "loops", required_argument, NULL, 'L' }, { "torn", no_argument, NULL, 't' },
	{ "lying", no_argument, NULL, 'y' },	{ "blind", no_argument, NULL, 'b' },
	{ "log-writes", required_argument, NULL, 'w' },
	{ "keep-going", no_argument, NULL, 'k' }, { "trace", no_argument, NULL, 'T' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 }
};

static void option(struct job *job, int c)
{
	struct sim_options *opt = &job->opt;

	switch (c) {
	case 's': opt->seed = whole_number(optarg); break;
	case 'r': job->runs = whole_number(optarg); break;
	case 'c': parse_cut(opt, optarg); break;
	case 'n': opt->one_in = 0; job->one_in_given = true; break;
	case 'o': opt->one_in = whole_number(optarg); job->one_in_given = true; break;
	case 'm': parse_moment(opt, optarg); break;
	case 'M': opt->moments = true; break;
	case 'f':
		job->all_allocs = !strcmp(optarg, "all");
		opt->fail_alloc = job->all_allocs ? 0 : whole_number(optarg);
		break;
	case 'L': opt->loops = whole_number(optarg); break;
	case 't': opt->torn = true; break;
	case 'y': opt->lying = true; break;
	case 'b': opt->blind = true; break;
	case 'w': parse_log(opt, optarg); break;
	case 'k': opt->keep_going = true; break;
	case 'T': opt->trace = true; break;
	case 'h': usage(0);
	default: usage(2);
	}
}

int main(int argc, char **argv)
{
	struct job job = { .opt = { .seed = 1 } };
	const struct sim_script *const *p;
	struct sim_shared *shared;
	bool all = false;
	int c, bad = 0;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'l') {
			list();
			return 0;
		}
		if (c == 'a')
			all = true;
		else
			option(&job, c);
	}
	if (job.opt.loops > SIM_LOOPS_MAX || (!all && optind == argc))
		usage(2);
	if (job.opt.nreplay || job.opt.cut_moment || job.opt.log_disk)
		job.runs = 1;
	if (job.opt.log_disk) {
		job.opt.one_in = 0;
		job.one_in_given = true;
	}
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (p = __start_sim_scripts; all && p < __stop_sim_scripts; p++)
		if (!((*p)->flags & SIM_HIDDEN))
			bad |= script_run(*p, &job, shared);
	for (; !all && optind < argc; optind++)
		bad |= script_run(script_find(argv[optind]), &job, shared);
	return bad;
}
