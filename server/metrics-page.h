/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics-page.h - Prometheus' text format: what metrics-text.c and metrics-target.c print with.
 */
#ifndef NDM_SERVER_METRICS_PAGE_H
#define NDM_SERVER_METRICS_PAGE_H

#include "metrics-report.h"

struct page {
	const struct report *r;
	struct ndm_str *out;
	const char *family;			/* the one announced last, by the address of its name */
};

/* Once for each family, with its first row: so that none is there without rows. */
void page_announce(struct page *, const char *name, const char *type, const char *text);
void page_label(struct page *, const char *key, const char *text);
/* NAME{device="..." and, where there is one, ,KEY="VALUE" */
void page_head(struct page *, const char *name, const struct report_device *, const char *key,
	       const char *value);
/* } and the value */
void page_u64(struct page *, uint64_t value);
void page_seconds(struct page *, uint64_t ns);

/* metrics-target.c: what targets say in their status lines, and what they count besides */
void page_targets(struct page *);

#endif
