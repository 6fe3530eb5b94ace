/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.c - `ndm top [-n ROUNDS] [-d SECONDS] [-j]`: reads, writes, throughput and latency of every
 * device, live.  It counts with a statistics region of its own on each device (program id
 * "ndm-top"), which it takes away when it ends, by a signal, too.
 */
#include "dmsetup/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "ndm-top"

struct line_of_top {
	char *name;
	double reads, writes, read_bytes, write_bytes;	/* a second */
	double read_ms, write_ms, util;
};

struct top {
	struct client *client;
	double seconds;
	bool json, screen;
};

static volatile sig_atomic_t stopped;	/* a signal handler can reach nothing else */

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* Our region of a device, made where it is missing; false if the device is gone. */
static bool own_region(struct stats *stats)
{
	struct task *task;

	if (!stats_list(stats, PROGRAM))
		return false;
	if (stats->n)
		return true;
	task = stats_message(stats, text_format("@stats_create - /1 1 precise_timestamps %s -",
						PROGRAM));
	task_free(task);
	return task != NULL;
}

/* A device without a live table has nothing to be counted. */
static bool is_live(struct client *client, const char *name)
{
	struct task *task = task_new(client, TASK_INFO);
	struct info info = { 0 };

	if (task && task_set_name(task, name) && task_run(task))
		task_info(task, &info);
	task_free(task);
	return info.live;
}

static double sum(const struct stats *stats, enum counter counter)
{
	return stats->n && stats->regions[0].nr_areas ?
		(double)stats->regions[0].areas[0].counters[counter] : 0;
}

static void measure(struct top *top, const char *name, struct line_of_top *line)
{
	struct stats stats = { .client = top->client, .bound_name = name, .program = PROGRAM,
			       .major = -1, .minor = -1 };
	double ns = top->seconds * 1e9;

	memset(line, 0, sizeof(*line));
	line->name = strdup(name);
	if (is_live(top->client, name) && own_region(&stats) &&
	    stats_populate(&stats, PROGRAM)) {
		line->reads = sum(&stats, READS) / top->seconds;
		line->writes = sum(&stats, WRITES) / top->seconds;
		line->read_bytes = sum(&stats, READ_SECTORS) * 512 / top->seconds;
		line->write_bytes = sum(&stats, WRITE_SECTORS) * 512 / top->seconds;
		line->read_ms = sum(&stats, READS) ?
			sum(&stats, READ_NS) / sum(&stats, READS) / 1e6 : 0;
		line->write_ms = sum(&stats, WRITES) ?
			sum(&stats, WRITE_NS) / sum(&stats, WRITES) / 1e6 : 0;
		line->util = sum(&stats, IO_NS) / ns * 100;
	}
	stats_free(&stats);
}

static int busier(const void *a, const void *b)
{
	const struct line_of_top *x = a, *y = b;
	double left = x->read_bytes + x->write_bytes, right = y->read_bytes + y->write_bytes;

	return left > right ? -1 : left < right ? 1 : strcmp(x->name, y->name);
}

static void print_json_line(const struct line_of_top *line, struct json *json)
{
	json_open(json, '{');
	json_name(json, "name");
	json_string(json, line->name);
	json_name(json, "reads_per_sec");
	json_real(json, line->reads);
	json_name(json, "writes_per_sec");
	json_real(json, line->writes);
	json_name(json, "read_bytes_per_sec");
	json_real(json, line->read_bytes);
	json_name(json, "written_bytes_per_sec");
	json_real(json, line->write_bytes);
	json_name(json, "read_ms");
	json_real(json, line->read_ms);
	json_name(json, "write_ms");
	json_real(json, line->write_ms);
	json_name(json, "util_percent");
	json_real(json, line->util);
	json_close(json, '}');
}

static void print_lines(struct top *top, const struct line_of_top *lines, size_t n)
{
	struct json json = { .out = stdout, .first = true };
	size_t i;

	if (top->json) {
		json_open(&json, '{');
		json_name(&json, "device");
		json_open(&json, '[');
		for (i = 0; i < n; i++)
			print_json_line(&lines[i], &json);
		json_close(&json, ']');
		json_close(&json, '}');
		return;
	}
	if (top->screen)
		fputs("\033[H\033[J", stdout);
	printf("%-24s %9s %9s %10s %10s %9s %9s %6s\n", "DEVICE", "READ/S", "WRITE/S", "RD MiB/S",
	       "WR MiB/S", "RD ms", "WR ms", "UTIL%");
	for (i = 0; i < n; i++)
		printf("%-24s %9.0f %9.0f %10.2f %10.2f %9.3f %9.3f %6.1f\n", lines[i].name,
		       lines[i].reads, lines[i].writes, lines[i].read_bytes / 1048576,
		       lines[i].write_bytes / 1048576, lines[i].read_ms, lines[i].write_ms,
		       lines[i].util);
}

static bool round_of(struct top *top, bool print)
{
	struct device_list list;
	struct line_of_top *lines;
	size_t i;

	if (!device_list_read(top->client, &list))
		return false;
	lines = calloc(list.n + 1, sizeof(*lines));
	for (i = 0; lines && i < list.n; i++)
		measure(top, list.names[i], &lines[i]);
	if (lines && print) {
		qsort(lines, list.n, sizeof(*lines), busier);
		print_lines(top, lines, list.n);
	}
	for (i = 0; lines && i < list.n; i++)
		free(lines[i].name);
	free(lines);
	device_list_free(&list);
	fflush(stdout);
	return !ferror(stdout);
}

static void remove_regions(struct top *top)
{
	struct device_list list;
	size_t i, j;

	if (!device_list_read(top->client, &list))
		return;
	for (i = 0; i < list.n; i++) {
		struct stats stats = { .client = top->client, .bound_name = list.names[i],
				       .program = PROGRAM, .major = -1, .minor = -1 };

		if (stats_list(&stats, PROGRAM))
			for (j = 0; j < stats.n; j++)
				task_free(stats_message(&stats,
							text_format("@stats_delete %" PRIu64,
								    stats.regions[j].id)));
		stats_free(&stats);
	}
	device_list_free(&list);
}

int top_main(struct client *client, int argc, char **argv)
{
	struct top top = { .client = client, .seconds = 1, .screen = isatty(1) };
	struct sigaction action = { .sa_handler = stop };
	unsigned long rounds = 0, round;
	struct timespec pause;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json")) {
			top.json = true;
		} else if (!strcmp(argv[i], "-n") && i + 1 < argc) {
			rounds = strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "-d") && i + 1 < argc) {
			top.seconds = strtod(argv[++i], NULL);
		} else {
			top.seconds = 0;
		}
	}
	if (top.seconds < 0.01 || top.seconds > 86400) {
		say("Usage: ndm top [-j] [-n ROUNDS] [-d SECONDS]");
		return 1;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	pause.tv_sec = (time_t)top.seconds;
	pause.tv_nsec = (long)((top.seconds - (double)pause.tv_sec) * 1e9);
	if (!round_of(&top, false))
		return 1;
	for (round = 0; !stopped && (!rounds || round < rounds); round++) {
		nanosleep(&pause, NULL);
		if (stopped || !round_of(&top, true))
			break;
	}
	remove_regions(&top);
	return 0;
}
