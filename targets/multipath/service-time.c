/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service-time.c - the path on which this request would be done first: bytes in flight, and
 * those of the request, by the path's relative throughput.
 *
 * A throughput of 0 keeps a path for when no other is left.  With equal throughputs the bytes
 * in flight decide, with equal bytes the throughput; the earlier in the list wins a tie, and
 * who was chosen becomes the last.
 */
#include <errno.h>
#include <inttypes.h>

#include "targets/multipath/multipath.h"

#define THROUGHPUT_MAX 100u

static int st_add(struct ndm_target *ti, struct selector *s, struct mpath_path *p, unsigned argc,
		  char **argv)
{
	unsigned throughput = 1;
	int err;

	if (argc > 2)
		return ndm_error(ti, -EINVAL, "service-time ps: incorrect number of arguments: "
				 "%u for a path, at most 2 ([<repeat_count> [<throughput>]])", argc);
	err = selector_repeat_count(ti, s, p, argc ? argv[0] : NULL);
	if (err)
		return err;
	if (argc == 2 && (selector_number(argv[1], &throughput) || throughput > THROUGHPUT_MAX))
		return ndm_error(ti, -EINVAL, "service-time ps: invalid relative_throughput value: "
				 "'%s' is not a number from 0 to %u", argv[1], THROUGHPUT_MAX);
	p->sel.st.throughput = throughput;
	selector_add_last(s, p);
	return 0;
}

/* Whether a would have done a request of so many bytes before b. */
static bool st_better(const struct mpath_path *a, const struct mpath_path *b, uint64_t bytes)
{
	uint64_t load_a = a->sel.st.in_flight_bytes, load_b = b->sel.st.in_flight_bytes;
	unsigned speed_a = a->sel.st.throughput, speed_b = b->sel.st.throughput;
	uint64_t time_a, time_b;

	if (speed_a == speed_b)
		return load_a < load_b;
	if (load_a == load_b || !speed_a || !speed_b)
		return speed_a > speed_b;
	/* multiplied crosswise rather than divided; loads are far below 2^57 */
	time_a = (load_a + bytes) * speed_b;
	time_b = (load_b + bytes) * speed_a;
	return time_a != time_b ? time_a < time_b : speed_a > speed_b;
}

static struct mpath_path *st_select(struct selector *s, uint64_t sector, uint64_t bytes)
{
	struct mpath_path *p, *best = NULL;

	(void)sector;
	for (p = s->first; p; p = p->sel.next)
		if (!best || st_better(p, best, bytes))
			best = p;
	if (best)
		selector_to_last(s, best);
	return best;
}

static void st_start(struct selector *s, struct mpath_path *p, uint64_t bytes)
{
	(void)s;
	p->sel.st.in_flight_bytes += bytes;
}

static void st_end(struct selector *s, struct mpath_path *p, uint64_t bytes, uint64_t start_ns)
{
	(void)s;
	(void)start_ns;
	p->sel.st.in_flight_bytes -= bytes;
}

static void st_table_words(const struct mpath_path *p, struct ndm_str *out)
{
	ndm_printf(out, "%u %u ", p->sel.repeat_count, p->sel.st.throughput);
}

static void st_info_words(const struct mpath_path *p, struct ndm_str *out)
{
	ndm_printf(out, "%" PRIu64 " %u ", p->sel.st.in_flight_bytes, p->sel.st.throughput);
}

const struct selector_type selector_service_time = {
	.name = "service-time",
	.table_args = 2,
	.info_args = 2,
	.add = st_add,
	.select = st_select,
	.fail = selector_del,
	.reinstate = selector_add_last,
	.table_words = st_table_words,
	.info_words = st_info_words,
	.start = st_start,
	.end = st_end,
};
