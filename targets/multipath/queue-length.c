/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue-length.c - the path with the fewest requests in flight; the search stops at the first
 * idle one.  Who was chosen becomes the last of the list, so equals take turns.
 */
#include <errno.h>
#include <inttypes.h>

#include "targets/multipath/multipath.h"

static int ql_add(struct ndm_target *ti, struct selector *s, struct mpath_path *p, unsigned argc,
		  char **argv)
{
	int err;

	if (argc > 1)
		return ndm_error(ti, -EINVAL, "queue-length ps: incorrect number of arguments: "
				 "%u for a path, at most 1 ([<repeat_count>])", argc);
	err = selector_repeat_count(ti, s, p, argc ? argv[0] : NULL);
	if (err)
		return err;
	selector_add_last(s, p);
	return 0;
}

static struct mpath_path *ql_select(struct selector *s, uint64_t sector, uint64_t bytes)
{
	struct mpath_path *p, *best = NULL;

	(void)sector;
	(void)bytes;
	for (p = s->first; p; p = p->sel.next) {
		if (!best || p->sel.in_flight < best->sel.in_flight)
			best = p;
		if (!best->sel.in_flight)
			break;
	}
	if (best)
		selector_to_last(s, best);
	return best;
}

static void ql_start(struct selector *s, struct mpath_path *p, uint64_t bytes)
{
	(void)s;
	(void)bytes;
	p->sel.in_flight++;
}

static void ql_end(struct selector *s, struct mpath_path *p, uint64_t bytes, uint64_t start_ns)
{
	(void)s;
	(void)bytes;
	(void)start_ns;
	p->sel.in_flight--;
}

static void ql_table_words(const struct mpath_path *p, struct ndm_str *out)
{
	ndm_printf(out, "%u ", p->sel.repeat_count);
}

static void ql_info_words(const struct mpath_path *p, struct ndm_str *out)
{
	ndm_printf(out, "%" PRIu64 " ", p->sel.in_flight);
}

const struct selector_type selector_queue_length = {
	.name = "queue-length",
	.table_args = 1,
	.info_args = 1,
	.add = ql_add,
	.select = ql_select,
	.fail = selector_del,
	.reinstate = selector_add_last,
	.table_words = ql_table_words,
	.info_words = ql_info_words,
	.start = ql_start,
	.end = ql_end,
};
