/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * round-robin.c - each valid path in turn: the first of the list is taken and becomes the last.
 * A path that comes back is the next one to be used.
 */
#include <errno.h>

#include "targets/multipath/multipath.h"

static int rr_add(struct ndm_target *ti, struct selector *s, struct mpath_path *p, unsigned argc,
		  char **argv)
{
	int err;

	if (argc > 1)
		return ndm_error(ti, -EINVAL, "round-robin ps: incorrect number of arguments: "
				 "%u for a path, at most 1 ([<repeat_count>])", argc);
	err = selector_repeat_count(ti, s, p, argc ? argv[0] : NULL);
	if (err)
		return err;
	selector_add_last(s, p);
	return 0;
}

static struct mpath_path *rr_select(struct selector *s, uint64_t sector, uint64_t bytes)
{
	struct mpath_path *p = s->first;

	(void)sector;
	(void)bytes;
	if (p)
		selector_to_last(s, p);
	return p;
}

static void rr_table_words(const struct mpath_path *p, struct ndm_str *out)
{
	ndm_printf(out, "%u ", selector_path_const(p)->repeat_count);
}

const struct selector_type selector_round_robin = {
	.name = "round-robin",
	.table_args = 1,
	.add = rr_add,
	.select = rr_select,
	.fail = selector_del,
	.reinstate = selector_add_first,
	.table_words = rr_table_words,
};
