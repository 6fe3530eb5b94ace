/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - one line a message, on stderr; with a priority prefix where journald reads them.
 */
#ifndef NDM_SERVER_LOG_H
#define NDM_SERVER_LOG_H

#include <ndm.h>

struct log {
	enum ndm_level level;		/* the least urgent one that is written */
	bool journal;			/* "<4>" in front instead of "ndmd: " */
	bool syslog;			/* a daemon has no stderr */
};

void log_init(struct log *, bool verbose);
void log_line(const struct log *, enum ndm_level, const char *fmt, ...) ndm_printf_like(3, 4);
struct ndm_log log_for_world(struct log *);

#endif
