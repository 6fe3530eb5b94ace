/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-settle.c - what a reload has to see to the end.  A cache that stops being writeback has
 * blocks that the origin does not: the new table writes none of them itself, and its background
 * copies the old ones; whoever asked for the change is told when nothing is left, for only then
 * is the origin of use alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "yaml-impl.h"

#define LOOK_NS 20000000u		/* between two looks */
#define STUCK_LOOKS 500u		/* so many without a block less: it is told how many are left */

/* cache's status: the 11th word is the dirty blocks, the features follow */
static void look_at_cache(const char *text, struct settle *s)
{
	unsigned long long dirty = 0;
	const char *p = text;
	unsigned i, n;
	int used;

	for (i = 0; i < 10; i++) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	if (sscanf(p, "%llu %u%n", &dirty, &n, &used) != 2 || n > 3)
		return;
	for (p += used; n; n--) {
		p += strspn(p, " ");
		i = (unsigned)strcspn(p, " ");
		if (i < sizeof(s->mode) && (!strncmp(p, "write", 5) || !strncmp(p, "pass", 4))) {
			memcpy(s->mode, p, i);
			s->mode[i] = '\0';
		}
		p += i;
	}
	s->dirty = dirty;
	s->cache = *s->mode;
}

void settle_look(struct ndm_device *dev, struct settle *s)
{
	struct ndm_target_status *lines;
	bool read_only;
	unsigned n;

	*s = (struct settle){ 0 };
	if (ndm_device_status(dev, NDM_STATUS_INFO, NDM_STATUS_NOFLUSH, false, &lines, &n,
			      &read_only))
		return;
	if (n == 1 && !strcmp(lines[0].type, "cache"))
		look_at_cache(lines[0].text, s);
	ndm_target_status_free(lines, n);
}

void settle_finish(struct ndm_loop *loop, struct ndm_device *dev, const struct settle *before,
		   uint64_t suspended_ns, struct ndm_str *plan)
{
	struct settle now;
	uint64_t least = UINT64_MAX;
	unsigned looks = 0;

	settle_look(dev, &now);
	if (!before->cache || !now.cache || !strcmp(before->mode, now.mode))
		return;
	while (strcmp(now.mode, "writeback") && now.cache && now.dirty && looks++ < STUCK_LOOKS) {
		if (now.dirty < least) {
			least = now.dirty;
			looks = 0;
		}
		ndm_sleep(loop, LOOK_NS);
		settle_look(dev, &now);
	}
	if (!plan)
		return;
	ndm_printf(plan, "%s: reload cache (%s→%s): ", dev->info.name, before->mode,
		   now.cache ? now.mode : "failed");
	if (strcmp(now.mode, "writeback"))
		ndm_printf(plan, "flushed %" PRIu64 " blocks, ",
			   before->dirty - (now.dirty < before->dirty ? now.dirty : before->dirty));
	if (now.dirty && strcmp(now.mode, "writeback"))
		ndm_printf(plan, "%" PRIu64 " still dirty, ", now.dirty);
	ndm_printf(plan, "suspended %" PRIu64 " ms\n", suspended_ns / 1000000);
}
