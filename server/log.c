/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - log lines on stderr.  A line is one write, so lines of several threads do not mix.
 *
 * systemd says by JOURNAL_STREAM (device:inode of the stream) that stderr is the journal's;
 * then each line starts with its syslog priority, which journald takes off again.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"

#define LINE_BYTES 1024

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || isatty(STDERR_FILENO) || fstat(STDERR_FILENO, &st))
		return false;
	if (sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return st.st_dev == device && st.st_ino == inode;
}

void log_init(struct log *log, bool verbose)
{
	log->syslog = false;
	log->level = verbose ? NDM_LOG_DEBUG : NDM_LOG_INFO;
	log->journal = stderr_is_journal();
}

static void log_write(const struct log *log, enum ndm_level level, const char *text)
{
	static const char priority[] = { '3', '4', '6', '7' };
	char line[LINE_BYTES];
	int n;

	if (level > log->level)
		return;
	if (log->syslog) {
		syslog(priority[level] - '0', "%s", text);
		return;
	}
	if (log->journal)
		n = snprintf(line, sizeof line, "<%c>%s\n", priority[level], text);
	else
		n = snprintf(line, sizeof line, "ndmd: %s\n", text);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof line) {		/* a long one is cut, and still ends */
		n = sizeof line - 1;
		line[n - 1] = '\n';
	}
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;				/* nobody is left to tell */
}

void log_line(const struct log *log, enum ndm_level level, const char *fmt, ...)
{
	char text[LINE_BYTES];
	va_list ap;
	char *p;

	if (level > log->level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (p = text; *p; p++)			/* what a client sent may be in it */
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	log_write(log, level, text);
}

static void log_from_world(void *arg, enum ndm_level level, const char *line)
{
	log_write(arg, level, line);
}

struct ndm_log log_for_world(struct log *log)
{
	return (struct ndm_log){ .fn = log_from_world, .arg = log };
}
