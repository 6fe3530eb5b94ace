/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics-report.h - what there is and how it does, taken down once for one answer: metrics-text.c
 * and metrics-json.c print it, and need not care for devices that come and go meanwhile.
 */
#ifndef NDM_SERVER_METRICS_REPORT_H
#define NDM_SERVER_METRICS_REPORT_H

#include "ndmd.h"

/*
 * A table's hash is the beginning of the SHA-256 of what `dmsetup table NAME` prints: two devices,
 * or one at two times, have the same table when it is the same.
 */
#define REPORT_HASH_CHARS 16

struct report_device {
	struct ndm_device *device;		/* held while the report is taken */
	struct ndm_device_info info;
	struct ndm_device_stats stats;
	struct ndm_target_status *lines;	/* of the live table; texts are `dmsetup status` */
	unsigned nlines;
	struct ndm_target_status *table;	/* texts are `dmsetup table`, without keys */
	unsigned ntable;
	char table_hash[REPORT_HASH_CHARS + 1];	/* of that; "" without a live table */
	struct ndm_counters counters;
	char *export;				/* name of its export; NULL: it has none */
	unsigned clients;
	uint32_t (*deps)[2];			/* major, minor */
	unsigned ndeps;
};

struct report {
	struct report_device *devices;		/* by name */
	unsigned n;
	struct ndm_str backings;		/* "MAJOR:MINOR TAB TEXT" lines */
	uint64_t requests, errors, received_bytes, sent_bytes, tls, ktls;
	unsigned connections, tls_connections;
	uint64_t now_ns;			/* monotonic */
};

extern const char *const report_groups[NDM_STAT_GROUPS];	/* "read", "write", ... */

int report_take(struct ndmd *, struct report *) ndm_waits;
void report_free(struct report *);
/* what a device's number stands for: a mapped device's name, or a file's, or a URI */
void report_dep_name(const struct report *, unsigned major, unsigned minor, struct ndm_str *);

/*
 * Status lines have words; these take them one by one.  NULL at the end.
 */
struct words { char *rest; };
char *words_next(struct words *);
bool words_number(struct words *, uint64_t *);	/* false: no word, or no number */
void words_skip(struct words *, uint64_t n);

/* One path of a multipath device; fn is called for each.  text is a status line, and is cut up. */
struct report_path { const char *device; unsigned group; bool up; uint64_t failures; };
void report_paths(char *text, void (*fn)(void *, const struct report_path *), void *arg);

/* the answers */
void metrics_text(const struct report *, struct ndm_str *);
void metrics_json(const struct report *, struct ndm_str *);

#endif
