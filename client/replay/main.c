/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - `ndm replay-log`, also called ndm-replay: the options of the replay-log that file
 * system tests use, and more.  It works on logs as they are on disk; no ndmd is asked.
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t replay_stopped;	/* a signal handler can reach nothing else */

struct options {
	const char *log, *replay, *base, *check, *fsck, *start_mark, *end_mark, *to_mark, *serve;
	uint64_t limit, start_entry, to_entry, seed;
	bool list, num_entries, find, next_flush, next_fua, each_flush, each_fua, no_discard;
	bool json, has_to_entry;
	unsigned verbose, jobs, subsets;
	uint64_t *omit;
	size_t nr_omit;
};

static const char usage[] =
"Usage: ndm replay-log --log LOG [OPTION]...\n"
"  --list                       the entries\n"
"  --num-entries                how many\n"
"  --find --end-mark TEXT       the number of that mark; --next-flush, --next-fua likewise\n"
"  --replay DEV                 writes entries to a file or device\n"
"  --start-entry N, --start-mark TEXT, --limit N, --end-mark TEXT    which ones\n"
"  --check fua|flush|N --fsck COMMAND    after each such entry, or each Nth, of a replay\n"
"  --no-discard                 leaves discards out\n"
"  --base FILE                  what the device held before; it is not written to\n"
"  --each-flush, --each-fua     states at each flush, each FUA write\n"
"  --explore N [--seed N]       and for each flush N states that a power cut before may leave\n"
"  --check COMMAND [--jobs N]   is run for each state; $image is a copy of its own\n"
"  --to-entry N, --to-mark TEXT [--omit N,...]    one state, for --check, --replay, --serve\n"
"  --serve SOCKET               the state as an NBD export that can be written to\n"
"  -j, --json; -v, --verbose\n";

enum {
	OPT_LOG = 256, OPT_REPLAY, OPT_BASE, OPT_CHECK, OPT_FSCK, OPT_START_MARK, OPT_END_MARK,
	OPT_TO_MARK, OPT_SERVE, OPT_LIMIT, OPT_START_ENTRY, OPT_TO_ENTRY, OPT_SEED, OPT_JOBS,
	OPT_EXPLORE, OPT_OMIT, OPT_LIST, OPT_NUM, OPT_FIND, OPT_NEXT_FLUSH, OPT_NEXT_FUA,
	OPT_EACH_FLUSH, OPT_EACH_FUA, OPT_NO_DISCARD, OPT_HELP,
};

static const struct option long_options[] = {
	{ "log", required_argument, NULL, OPT_LOG },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "base", required_argument, NULL, OPT_BASE },
	{ "check", required_argument, NULL, OPT_CHECK },
	{ "fsck", required_argument, NULL, OPT_FSCK },
	{ "start-mark", required_argument, NULL, OPT_START_MARK },
	{ "end-mark", required_argument, NULL, OPT_END_MARK },
	{ "to-mark", required_argument, NULL, OPT_TO_MARK },
	{ "serve", required_argument, NULL, OPT_SERVE },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "start-entry", required_argument, NULL, OPT_START_ENTRY },
	{ "to-entry", required_argument, NULL, OPT_TO_ENTRY },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "jobs", required_argument, NULL, OPT_JOBS },
	{ "explore", required_argument, NULL, OPT_EXPLORE },
	{ "omit", required_argument, NULL, OPT_OMIT },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "num-entries", no_argument, NULL, OPT_NUM },
	{ "find", no_argument, NULL, OPT_FIND },
	{ "next-flush", no_argument, NULL, OPT_NEXT_FLUSH },
	{ "next-fua", no_argument, NULL, OPT_NEXT_FUA },
	{ "each-flush", no_argument, NULL, OPT_EACH_FLUSH },
	{ "each-fua", no_argument, NULL, OPT_EACH_FUA },
	{ "no-discard", no_argument, NULL, OPT_NO_DISCARD },
	{ "json", no_argument, NULL, 'j' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 }
};

/* ---- options ---- */

static bool number(const char *text, uint64_t most, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *value <= most)
		return true;
	say("'%s' is not a number from 0 to %" PRIu64 ".", text, most);
	return false;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool parse_omit(struct options *o, char *text)
{
	char *word, *rest = NULL;
	void *more;

	for (word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		more = realloc(o->omit, (o->nr_omit + 2) * sizeof(*o->omit));
		if (!more)
			return false;
		o->omit = more;
		if (!number(word, UINT64_MAX, &o->omit[o->nr_omit++]))
			return false;
	}
	qsort(o->omit, o->nr_omit, sizeof(*o->omit), ascending);
	return true;
}

static bool parse_small(const char *text, uint64_t most, unsigned *value)
{
	uint64_t n;

	if (!number(text, most, &n))
		return false;
	*value = (unsigned)n;
	return true;
}

static bool parse_number(struct options *o, int option, const char *text)
{
	switch (option) {
	case OPT_LIMIT:
		return number(text, UINT64_MAX, &o->limit);
	case OPT_START_ENTRY:
		return number(text, UINT64_MAX, &o->start_entry);
	case OPT_TO_ENTRY:
		o->has_to_entry = true;
		return number(text, UINT64_MAX - 1, &o->to_entry);
	case OPT_SEED:
		return number(text, UINT64_MAX, &o->seed);
	case OPT_JOBS:
		return parse_small(text, 64, &o->jobs) && o->jobs;
	default:
		return parse_small(text, 1000000, &o->subsets);
	}
}

static bool parse_one(struct options *o, int option)
{
	struct { int option; const char **value; } texts[] = {
		{ OPT_LOG, &o->log }, { OPT_REPLAY, &o->replay }, { OPT_BASE, &o->base },
		{ OPT_CHECK, &o->check }, { OPT_FSCK, &o->fsck },
		{ OPT_START_MARK, &o->start_mark }, { OPT_END_MARK, &o->end_mark },
		{ OPT_TO_MARK, &o->to_mark }, { OPT_SERVE, &o->serve },
	};
	struct { int option; bool *value; } flags[] = {
		{ OPT_LIST, &o->list }, { OPT_NUM, &o->num_entries }, { OPT_FIND, &o->find },
		{ OPT_NEXT_FLUSH, &o->next_flush }, { OPT_NEXT_FUA, &o->next_fua },
		{ OPT_EACH_FLUSH, &o->each_flush }, { OPT_EACH_FUA, &o->each_fua },
		{ OPT_NO_DISCARD, &o->no_discard }, { 'j', &o->json },
	};
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].option == option) {
			*texts[i].value = optarg;
			return true;
		}
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].option == option)
			return *flags[i].value = true;
	if (option == 'v') {
		o->verbose++;
		return true;
	}
	if (option == OPT_OMIT)
		return parse_omit(o, optarg);
	return option != '?' && parse_number(o, option, optarg);
}

static bool parse(struct options *o, int argc, char **argv)
{
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "jv", long_options, NULL)) >= 0) {
		if (option == OPT_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (!parse_one(o, option))
			return false;
	}
	if (optind < argc)
		say("'%s' is one word too many.", argv[optind]);
	else if (!o->log)
		say("Which log?  --log is missing; --help lists all options.");
	return optind == argc && o->log;
}

/* ---- replaying as the old tool does ---- */

static bool place_of(const struct log *log, const char *mark, uint64_t from, uint64_t *place)
{
	*place = log_find_mark(log, from, mark);
	if (*place < log->nr)
		return true;
	say("%s: there is no mark \"%s\"%s.", log->path, mark, from ? " from there on" : "");
	return false;
}

/* Which entries: start, and the end that is not included. */
static bool range(const struct options *o, const struct log *log, uint64_t *start, uint64_t *end)
{
	*start = o->start_entry < log->nr ? o->start_entry : log->nr;
	*end = log->nr;
	if (o->start_mark && !place_of(log, o->start_mark, 0, start))
		return false;
	if (o->limit && o->limit < *end - *start)
		*end = *start + o->limit;
	if (o->end_mark && !o->find) {
		if (!place_of(log, o->end_mark, *start, end))
			return false;
		*end += 1;
	}
	return true;
}

static int find(const struct options *o, const struct log *log, uint64_t start, uint64_t end)
{
	for (; start < end; start++) {
		const struct entry *e = &log->entries[start];

		if ((o->next_flush && e->flags & LOG_FLUSH) ||
		    (o->next_fua && e->flags & LOG_FUA) ||
		    (o->end_mark && e->mark && !strcmp(e->mark, o->end_mark))) {
			printf("%" PRIu64 "\n", start);
			return 0;
		}
	}
	say("%s: nothing of the kind was found.", log->path);
	return 1;
}

static bool is_checkpoint(const struct options *o, const struct entry *e, uint64_t done)
{
	if (!strcmp(o->check, "fua"))
		return e->flags & LOG_FUA;
	if (!strcmp(o->check, "flush"))
		return e->flags & LOG_FLUSH;
	return done % strtoull(o->check, NULL, 10) == 0;
}

static bool old_check(const char *check)
{
	return !strcmp(check, "fua") || !strcmp(check, "flush") ||
		(*check && strspn(check, "0123456789") == strlen(check) &&
		 strtoull(check, NULL, 10));
}

static int replay(const struct options *o, const struct image_source *src, uint64_t start,
		  uint64_t end)
{
	int fd = open(o->replay, O_RDWR | O_CREAT | O_CLOEXEC, 0666), status = 0;
	uint64_t i;

	if (fd < 0) {
		say("%s: %s", o->replay, strerror(errno));
		return 1;
	}
	if (o->check && !(o->fsck && old_check(o->check))) {
		say("With --replay it is --check fua, flush or a number, and --fsck COMMAND.");
		status = 1;
	}
	for (i = start; !status && i < end; i++) {
		struct state upto = { .end = i + 1, .omit = o->omit, .nr_omit = o->nr_omit };

		if (o->verbose)
			log_print(src->log, i, stdout);
		if (!entries_apply(src, i, &upto, fd, o->replay))
			status = 1;
		if (status || !o->check || !is_checkpoint(o, &src->log->entries[i], i + 1 - start))
			continue;
		status = check_run(o->fsck, o->replay, true);
		if (status)
			say("Entry %" PRIu64 ": the check failed with status %d.", i, status);
	}
	if (fsync(fd) && errno != EINVAL && !status) {
		say("%s: %s", o->replay, strerror(errno));
		status = 1;
	}
	close(fd);
	return status ? 1 : 0;
}

/* ---- */

static bool one_state(const struct options *o, const struct log *log, struct state *state)
{
	*state = (struct state){ .end = log->nr, .omit = o->omit, .nr_omit = o->nr_omit };
	if (o->has_to_entry && o->to_entry >= log->nr) {
		say("%s: there is no entry %" PRIu64 ", it has %" PRIu64 ".", log->path,
		    o->to_entry, log->nr);
		return false;
	}
	if (o->has_to_entry)
		state->end = o->to_entry + 1;
	if (o->to_mark && !place_of(log, o->to_mark, 0, &state->end))
		return false;
	return true;
}

static int list(const struct log *log, uint64_t start, uint64_t end)
{
	for (; start < end; start++)
		log_print(log, start, stdout);
	return 0;
}

static int act(struct client *client, const struct options *o, const struct log *log)
{
	struct image_source src = { .log = log, .base = o->base, .no_discard = o->no_discard };
	struct explore x = {
		.src = src, .command = o->check, .each_flush = o->each_flush || o->subsets,
		.each_fua = o->each_fua, .subsets = o->subsets, .seed = o->seed,
		.jobs = o->jobs, .verbose = o->verbose, .json = o->json || client->json,
		.program = strcmp(client->program, "ndm-replay") ? "ndm replay-log" : "ndm-replay",
	};
	struct state state;

	if (!range(o, log, &x.first, &x.end) || !one_state(o, log, &state))
		return 1;
	if (o->num_entries) {
		printf("%" PRIu64 "\n", log->nr);
		return 0;
	}
	if (o->find)
		return find(o, log, x.first, x.end);
	if (o->list)
		return list(log, x.first, x.end);
	if (o->serve)
		return serve_state(client, &src, &state, o->serve);
	if (o->replay)
		return replay(o, &src, x.first, state.end < x.end ? state.end : x.end);
	if (!o->check) {
		say("What is to be done with it?  --help lists all options.");
		return 1;
	}
	if (x.each_flush || x.each_fua)
		return explore_run(&x);
	return explore_one(&x, &state);
}

static void stop(int signal)
{
	if (signal != SIGCHLD)			/* that one only wakes */
		replay_stopped = 1;
}

int replay_main(struct client *client, int argc, char **argv)
{
	struct options o = { .seed = 1, .jobs = 1 };
	struct sigaction action = { .sa_handler = stop };
	struct log log = { .fd = -1 };
	int status = 1;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (parse(&o, argc, argv)) {
		if (o.serve)
			sigaction(SIGCHLD, &action, NULL);
		if (log_open(&log, o.log))
			status = act(client, &o, &log);
		log_close(&log);
	}
	free(o.omit);
	return status;
}
