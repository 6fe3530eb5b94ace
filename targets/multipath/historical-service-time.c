/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * historical-service-time.c - the path that has answered fastest of late.
 *
 * Each path has an average of its service times that forgets (exponentially, by time: a long
 * request wipes out more of the past), in nanoseconds with 10 binary digits behind the point.
 * A path from which nothing has been heard for about as long as its average would need to
 * serve all paths once is stale: its average may be too good to be true, so it is tried when
 * idle, and otherwise only taken when it has less to do.
 *
 * Group arguments: [<base weight 0..1023, 972> [<threshold, 0>]].  Averages that differ by no
 * more than the factor `threshold` count as equal; then the fewest requests in flight win.
 */
#include <errno.h>
#include <inttypes.h>

#include "targets/multipath/multipath.h"

#define POINT 10				/* binary digits behind the point */
#define ONE (1u << POINT)
#define LARGEST (UINT64_MAX >> POINT)
#define WEIGHT_DEFAULT 972			/* 0.95 */
#define BUCKET_SHIFT 24				/* a bucket of times is 2^24 ns, 16.8 ms */
#define BUCKETS 64
#define MANY 1024				/* requests in flight: products could overflow */

static uint64_t product(uint64_t a, uint64_t b)
{
	return (a * b + ONE / 2) >> POINT;
}

/* x^n by squaring; the roundings on the way are part of the result. */
static uint64_t power(uint64_t x, unsigned n)
{
	uint64_t result = ONE;

	while (n) {
		if (n & 1)
			result = product(result, x);
		n >>= 1;
		if (n)
			x = product(x, x);
	}
	return result;
}

static int hst_create(struct selector *s, unsigned argc, char **argv)
{
	unsigned base = WEIGHT_DEFAULT, threshold = 0, i;

	if (argc > 2)
		return -EINVAL;
	if (argc && (selector_number(argv[0], &base) || base >= ONE))
		return -EINVAL;
	if (argc > 1 && selector_number(argv[1], &threshold))
		return -EINVAL;
	for (i = 0; i < BUCKETS - 1; i++)
		s->hst.weights[i] = (unsigned)power(base, i + 1);
	s->hst.weights[BUCKETS - 1] = 0;
	s->hst.threshold = threshold;
	return 0;
}

static int hst_add(struct ndm_target *ti, struct selector *s, struct mpath_path *p, unsigned argc,
		   char **argv)
{
	int err;

	if (argc > 1)
		return ndm_error(ti, -EINVAL, "historical-service-time ps: incorrect number of "
				 "arguments: %u for a path, at most 1 ([<repeat_count>])", argc);
	err = selector_repeat_count(ti, s, p, argc ? argv[0] : NULL);
	if (err)
		return err;
	p->sel.hst.service = ONE;
	selector_add_last(s, p);
	return 0;
}

static bool similar(const struct selector *s, uint64_t a, uint64_t b)
{
	uint64_t more = a > b ? a : b, less = a > b ? b : a;

	return more <= less * s->hst.threshold;
}

/* Whether a is better than b. */
static bool hst_better(const struct selector *s, const struct selector_path *a,
		       const struct selector_path *b, uint64_t now)
{
	uint64_t time_a = a->hst.service, time_b = b->hst.service;
	uint64_t out_a = a->hst.outstanding, out_b = b->hst.outstanding;
	bool stale_a = a->hst.stale_after < now, stale_b = b->hst.stale_after < now;
	bool b_wins;

	if (similar(s, time_a, time_b))
		return out_a < out_b;
	/* an idle path is tried when it is stale; of two idle ones the one heard of less lately */
	if (!out_a && !out_b)
		return a->hst.stale_after < b->hst.stale_after;
	if (!out_a && stale_a)
		return b->hst.stale_after > 0;	/* b busy with its very first: no difference */
	if (!out_b && stale_b)
		return false;
	if (out_a == out_b) {
		b_wins = time_a > time_b;
	} else {
		if (out_a >= MANY || out_b >= MANY) {
			time_a >>= POINT;
			time_b >>= POINT;
		}
		b_wins = (1 + out_a) * time_a > (1 + out_b) * time_b;
	}
	/* a winner that is stale must not have more to do than the other */
	if (b_wins ? stale_b : stale_a)
		return out_a < out_b;
	return !b_wins;
}

static struct mpath_path *hst_select(struct selector *s, uint64_t sector, uint64_t bytes)
{
	uint64_t now = ndm_now(s->loop);
	struct mpath_path *p, *best = NULL;

	(void)sector;
	(void)bytes;
	for (p = s->first; p; p = p->sel.next)
		if (!best || hst_better(s, &p->sel, &best->sel, now))
			best = p;
	if (best)
		selector_to_last(s, best);
	return best;
}

static void hst_start(struct selector *s, struct mpath_path *p, uint64_t bytes)
{
	(void)s;
	(void)bytes;
	p->sel.hst.outstanding++;
}

/* Requests on one path are taken as served one after the other. */
static uint64_t service_time(struct selector_path *sp, uint64_t now, uint64_t start_ns)
{
	if (sp->hst.last_finish > start_ns)
		start_ns = sp->hst.last_finish;
	sp->hst.last_finish = now;
	return now < start_ns ? 0 : now - start_ns;
}

static void hst_end(struct selector *s, struct mpath_path *p, uint64_t bytes, uint64_t start_ns)
{
	struct selector_path *sp = &p->sel;
	uint64_t time = service_time(sp, ndm_now(s->loop), start_ns);
	uint64_t bucket = time >> BUCKET_SHIFT;
	uint64_t weight = s->hst.weights[bucket < BUCKETS ? bucket : BUCKETS - 1];
	uint64_t fixed = time > LARGEST >> POINT ? LARGEST : time << POINT;

	(void)bytes;
	sp->hst.outstanding--;
	sp->hst.service = (sp->hst.service * weight + fixed * (ONE - weight) + ONE / 2) >> POINT;
	sp->hst.stale_after = sp->hst.last_finish + s->nvalid * (sp->hst.service >> POINT);
}

static void hst_group_words(const struct selector *s, struct ndm_str *out)
{
	ndm_printf(out, "2 %u %u ", s->hst.weights[0], s->hst.threshold);
}

static void hst_table_words(const struct mpath_path *p, struct ndm_str *out)
{
	(void)p;
	ndm_printf(out, "0 ");
}

static void hst_info_words(const struct mpath_path *p, struct ndm_str *out)
{
	ndm_printf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " ", p->sel.hst.service,
		   p->sel.hst.outstanding, p->sel.hst.stale_after);
}

const struct selector_type selector_historical_service_time = {
	.name = "historical-service-time",
	.table_args = 1,
	.info_args = 3,
	.create = hst_create,
	.add = hst_add,
	.select = hst_select,
	.fail = selector_del,
	.reinstate = selector_add_last,
	.group_words = hst_group_words,
	.table_words = hst_table_words,
	.info_words = hst_info_words,
	.start = hst_start,
	.end = hst_end,
	.wants_time = true,
};
