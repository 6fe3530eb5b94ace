/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - the kernel's dm-stats: regions of a device, cut into areas, counted per area.
 *
 * Counted are the pieces after the core's splitting, as in the kernel.  Times are kept in
 * nanoseconds and printed in milliseconds unless a region asks for precise_timestamps.
 * A device without regions pays one comparison per piece.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core.h"

#define NS_PER_MS 1000000u
#define AREAS_MAX ((uint64_t)1 << 28)		/* of one region, about the kernel's own bound */

enum { R, W };

struct counters {
	uint64_t ios[2], merges[2], sectors[2], ns[2];
	uint64_t busy_ns[2], busy_total_ns, weighted_ns;
};

struct area {
	struct counters c;
	unsigned in_flight[2];
	uint64_t stamp_ns;
	uint64_t *histogram;			/* nbounds + 1 buckets */
};

struct ndm_stats {				/* one region */
	struct ndm_stats *next;			/* ascending ids */
	int id;
	uint64_t start, end, step, created_ns;
	size_t nareas;
	bool precise;
	uint64_t *bounds;			/* as given: ms, or ns when precise */
	unsigned nbounds;
	char *program, *aux;
	uint64_t *buckets;			/* of all areas */
	struct area areas[];
};

static void region_free(struct ndm_stats *s)
{
	ndm_free(s->program);
	ndm_free(s->aux);
	ndm_free(s->bounds);
	ndm_free(s->buckets);
	ndm_free(s);
}

void stats_free(struct ndm_device *dev)
{
	struct ndm_stats *s;

	while ((s = dev->regions)) {
		dev->regions = s->next;
		region_free(s);
	}
}

/* ---- counting ---- */

/* brings the times of an area up to now */
static void area_round(struct area *a, uint64_t now)
{
	uint64_t passed = now - a->stamp_ns;
	unsigned all = a->in_flight[R] + a->in_flight[W];

	if (a->in_flight[R])
		a->c.busy_ns[R] += passed;
	if (a->in_flight[W])
		a->c.busy_ns[W] += passed;
	if (all) {
		a->c.busy_total_ns += passed;
		a->c.weighted_ns += passed * all;
	}
	a->stamp_ns = now;
}

static void area_histogram(const struct ndm_stats *s, struct area *a, uint64_t duration_ns)
{
	uint64_t duration = s->precise ? duration_ns : duration_ns / NS_PER_MS;
	unsigned low = 0, high = s->nbounds;

	while (low < high) {			/* the number of bounds at or below it */
		unsigned middle = (low + high) / 2;

		if (s->bounds[middle] <= duration)
			low = middle + 1;
		else
			high = middle;
	}
	a->histogram[low]++;
}

struct piece { uint64_t sector, nr; unsigned rw; uint64_t now, duration_ns; bool end, merged; };

static void area_count(const struct ndm_stats *s, struct area *a, const struct piece *p,
		       uint64_t sectors)
{
	area_round(a, p->now);
	if (!p->end) {
		a->in_flight[p->rw]++;
		return;
	}
	if (a->in_flight[p->rw])
		a->in_flight[p->rw]--;
	a->c.ios[p->rw]++;
	a->c.merges[p->rw] += p->merged;
	a->c.sectors[p->rw] += sectors;
	a->c.ns[p->rw] += p->duration_ns;
	if (s->nbounds)
		area_histogram(s, a, p->duration_ns);
}

static void region_count(struct ndm_stats *s, const struct piece *p)
{
	uint64_t from = p->sector > s->start ? p->sector : s->start;
	uint64_t to = p->sector + p->nr < s->end ? p->sector + p->nr : s->end;

	while (from < to) {
		size_t i = (from - s->start) / s->step;
		uint64_t edge = s->start + (i + 1) * s->step;
		uint64_t n = (edge < to ? edge : to) - from;

		area_count(s, &s->areas[i], p, n);
		from += n;
	}
}

static bool stats_counted(const struct ndm_bio *clone)
{
	return clone->nr && clone->op != NDM_EXTENTS && clone->op != NDM_CACHE;
}

void stats_start(struct ndm_device *dev, struct ndm_bio *clone)
{
	struct piece p = { .sector = clone->device_sector, .nr = clone->nr,
			   .rw = clone->op != NDM_READ, .now = loop_now(dev->loop) };
	struct ndm_stats *s;

	if (!stats_counted(clone))
		return;
	clone->stats_ns = p.now;
	clone->stats_merged = dev->stats_last_end == p.sector && dev->stats_last_rw == p.rw;
	dev->stats_last_end = p.sector + p.nr;
	dev->stats_last_rw = p.rw;
	for (s = dev->regions; s; s = s->next)
		region_count(s, &p);
}

void stats_end(struct ndm_device *dev, struct ndm_bio *clone)
{
	uint64_t now = loop_now(dev->loop);
	struct piece p = { .sector = clone->device_sector, .nr = clone->nr,
			   .rw = clone->op != NDM_READ, .now = now, .end = true,
			   .duration_ns = now - clone->stats_ns, .merged = clone->stats_merged };
	struct ndm_stats *s;

	for (s = dev->regions; s; s = s->next)
		if (s->created_ns <= clone->stats_ns)
			region_count(s, &p);
}

/* ---- regions ---- */

static struct ndm_stats **region_find(struct ndm_device *dev, int id)
{
	struct ndm_stats **p = &dev->regions;

	while (*p && (*p)->id < id)
		p = &(*p)->next;
	return p;
}

static int region_arg(struct ndm_device *dev, const char *text, struct ndm_stats ***out)
{
	char rest;
	int id;

	if (sscanf(text, "%d%c", &id, &rest) != 1 || id < 0)
		return -EINVAL;
	*out = region_find(dev, id);
	return **out && (**out)->id == id ? 0 : -ENOENT;
}

static int histogram_parse(const char *text, struct ndm_stats *s)
{
	unsigned n = 1, i;
	const char *c;
	uint64_t last = 0;

	if (s->bounds)
		return -EINVAL;
	for (c = text; *c; c++)
		n += *c == ',';
	s->bounds = ndm_calloc(n, sizeof *s->bounds);
	if (!s->bounds)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		unsigned long long bound;
		char rest = ',';
		int got = sscanf(text, "%llu%c", &bound, &rest);

		if (got < 1 || rest != ',' || bound <= last || (i + 1 < n && got != 2) ||
		    (i + 1 == n && got != 1))
			return -EINVAL;
		s->bounds[i] = last = bound;
		text = strchr(text, ',');
		text = text ? text + 1 : "";
	}
	s->nbounds = n;
	return 0;
}

/* what a new region is to be; the areas are made when all is known */
static int create_parse(struct ndm_device *dev, struct ndm_args *as, struct ndm_stats *s)
{
	unsigned long long start, len, step;
	unsigned options, divisor;
	const char *a = ndm_args_shift(as);
	char rest;
	int err;

	if (!strcmp(a, "-")) {
		start = 0;
		len = dev->live && dev->live->nr ? dev->live->nr : 1;
	} else if (sscanf(a, "%llu+%llu%c", &start, &len, &rest) != 2) {
		return -EINVAL;
	}
	if (start + len <= start)
		return -EINVAL;
	s->start = start;
	s->end = start + len;
	a = ndm_args_shift(as);
	if (sscanf(a, "/%u%c", &divisor, &rest) == 1) {
		if (!divisor)
			return -EINVAL;
		s->step = len / divisor + (len % divisor != 0);
	} else if (sscanf(a, "%llu%c", &step, &rest) == 1 && step) {
		s->step = step;
	} else {
		return -EINVAL;
	}
	if (!as->argc || sscanf(as->argv[0], "%u%c", &options, &rest) != 1)
		return 0;
	ndm_args_shift(as);
	while (options--) {
		a = ndm_args_shift(as);
		if (!a)
			return -EINVAL;
		if (!strcasecmp(a, "precise_timestamps"))
			s->precise = true;
		else if (strncasecmp(a, "histogram:", 10))
			return -EINVAL;
		else if ((err = histogram_parse(a + 10, s)))
			return err;
	}
	return 0;
}

/* the region proper, out of its parsed head */
static int region_build(const struct ndm_stats *head, struct ndm_stats **out)
{
	uint64_t n = (head->end - head->start + head->step - 1) / head->step;
	struct ndm_stats *s;
	size_t i;

	if (n > AREAS_MAX)
		return -EOVERFLOW;
	s = ndm_calloc(1, sizeof *s + n * sizeof s->areas[0]);
	if (!s)
		return -ENOMEM;
	memcpy(s, head, sizeof *s);
	s->nareas = n;
	if (s->nbounds) {
		s->buckets = ndm_calloc(n, (s->nbounds + 1) * sizeof *s->buckets);
		if (!s->buckets) {
			ndm_free(s);
			return -ENOMEM;
		}
	}
	for (i = 0; i < n; i++) {
		s->areas[i].stamp_ns = s->created_ns;
		if (s->nbounds)
			s->areas[i].histogram = s->buckets + i * (s->nbounds + 1);
	}
	*out = s;
	return 0;
}

static int stats_create(struct ndm_device *dev, struct ndm_args *as, struct ndm_str *reply)
{
	struct ndm_stats head = { .created_ns = loop_now(dev->loop) }, *s, **p;
	const char *program, *aux;
	int err, id = 0;

	if (as->argc < 2)
		return -EINVAL;
	err = create_parse(dev, as, &head);
	program = ndm_args_shift(as);
	aux = ndm_args_shift(as);
	if (!err && as->argc)
		err = -EINVAL;
	if (!err)
		err = region_build(&head, &s);
	if (err) {
		ndm_free(head.bounds);
		return err;
	}
	s->program = ndm_strdup(program ? program : "-");
	s->aux = ndm_strdup(aux ? aux : "-");
	if (!s->program || !s->aux) {
		region_free(s);
		return -ENOMEM;
	}
	for (p = &dev->regions; *p && (*p)->id == id; p = &(*p)->next)
		id++;
	s->id = id;
	s->next = *p;
	*p = s;
	ndm_printf(reply, "%d", id);
	return 1;
}

static int stats_delete(struct ndm_device *dev, struct ndm_args *as)
{
	struct ndm_stats **p, *s;
	int err;

	if (as->argc != 1)
		return -EINVAL;
	err = region_arg(dev, as->argv[0], &p);
	if (err)
		return err;
	s = *p;
	*p = s->next;
	region_free(s);
	return 0;
}

static void areas_clear(struct ndm_stats *s, size_t first, size_t n)
{
	size_t i;

	for (i = first; i < first + n; i++) {
		memset(&s->areas[i].c, 0, sizeof s->areas[i].c);
		if (s->nbounds)
			memset(s->areas[i].histogram, 0, (s->nbounds + 1) * sizeof *s->buckets);
	}
}

static int stats_clear(struct ndm_device *dev, struct ndm_args *as)
{
	struct ndm_stats **p;
	int err;

	if (as->argc != 1)
		return -EINVAL;
	err = region_arg(dev, as->argv[0], &p);
	if (!err)
		areas_clear(*p, 0, (*p)->nareas);
	return err ? err : 1;
}

static int stats_set_aux(struct ndm_device *dev, struct ndm_args *as)
{
	struct ndm_stats **p;
	char *aux;
	int err;

	if (as->argc != 2)
		return -EINVAL;
	err = region_arg(dev, as->argv[0], &p);
	if (err)
		return err;
	aux = ndm_strdup(as->argv[1]);
	if (!aux)
		return -ENOMEM;
	ndm_free((*p)->aux);
	(*p)->aux = aux;
	return 0;
}

/* ---- printing ---- */

static int stats_list(struct ndm_device *dev, struct ndm_args *as, struct ndm_str *out)
{
	const char *program = ndm_args_shift(as);
	struct ndm_stats *s;
	unsigned i;

	if (as->argc)
		return -EINVAL;
	for (s = dev->regions; s; s = s->next) {
		if (program && strcmp(program, s->program))
			continue;
		ndm_printf(out, "%d: %llu+%llu %llu %s %s", s->id, (unsigned long long)s->start,
			   (unsigned long long)(s->end - s->start), (unsigned long long)s->step,
			   s->program, s->aux);
		if (s->precise)
			ndm_printf(out, " precise_timestamps");
		for (i = 0; i < s->nbounds; i++)
			ndm_printf(out, "%s%llu", i ? "," : " histogram:",
				   (unsigned long long)s->bounds[i]);
		ndm_printf(out, "\n");
	}
	return 1;
}

static void area_print(const struct ndm_stats *s, struct area *a, uint64_t start,
		       struct ndm_str *out)
{
	unsigned long long unit = s->precise ? 1 : NS_PER_MS;
	unsigned i;

	ndm_printf(out, "%llu+%llu", (unsigned long long)start, (unsigned long long)s->step);
	for (i = R; i <= W; i++)
		ndm_printf(out, " %llu %llu %llu %llu", (unsigned long long)a->c.ios[i],
			   (unsigned long long)a->c.merges[i], (unsigned long long)a->c.sectors[i],
			   (unsigned long long)a->c.ns[i] / unit);
	ndm_printf(out, " %u %llu %llu %llu %llu", a->in_flight[R] + a->in_flight[W],
		   (unsigned long long)a->c.busy_total_ns / unit,
		   (unsigned long long)a->c.weighted_ns / unit,
		   (unsigned long long)a->c.busy_ns[R] / unit,
		   (unsigned long long)a->c.busy_ns[W] / unit);
	for (i = 0; s->nbounds && i <= s->nbounds; i++)
		ndm_printf(out, "%s%llu", i ? ":" : " ", (unsigned long long)a->histogram[i]);
	ndm_printf(out, "\n");
}

static int line_arg(const char *text, size_t *value)
{
	unsigned long v;
	char rest;

	if (!strcmp(text, "-"))
		return 0;
	if (sscanf(text, "%lu%c", &v, &rest) != 1)
		return -EINVAL;
	*value = v;
	return 0;
}

static int stats_print(struct ndm_device *dev, struct ndm_args *as, bool clear,
		       struct ndm_str *out)
{
	size_t first = 0, n = SIZE_MAX, i;
	uint64_t now = loop_now(dev->loop);
	struct ndm_stats **p, *s;
	int err;

	if (as->argc != 1 && as->argc != 3)
		return -EINVAL;
	err = region_arg(dev, as->argv[0], &p);
	if (as->argc == 3 && (line_arg(as->argv[1], &first) || line_arg(as->argv[2], &n)))
		return -EINVAL;
	if (err)
		return err;
	s = *p;
	if (first > s->nareas)
		first = s->nareas;
	if (n > s->nareas - first)
		n = s->nareas - first;
	for (i = first; i < first + n; i++) {
		area_round(&s->areas[i], now);
		area_print(s, &s->areas[i], s->start + i * s->step, out);
	}
	if (clear)
		areas_clear(s, first, n);
	return 1;
}

/* ---- to another process, which has no request under way either ---- */

static void put_number(struct ndm_str *out, uint64_t n)
{
	ndm_str_put(out, (const char *)&n, sizeof n);
}

static void put_text(struct ndm_str *out, const char *text)
{
	size_t n = strlen(text) + 1;

	put_number(out, n);
	ndm_str_put(out, text, n);
}

static void region_save(const struct ndm_stats *s, struct ndm_str *out)
{
	size_t i;

	put_number(out, (uint64_t)s->id);
	put_number(out, s->start);
	put_number(out, s->end);
	put_number(out, s->step);
	put_number(out, s->precise);
	put_number(out, s->nbounds);
	ndm_str_put(out, (const char *)s->bounds, s->nbounds * sizeof *s->bounds);
	put_text(out, s->program);
	put_text(out, s->aux);
	for (i = 0; i < s->nareas; i++) {
		ndm_str_put(out, (const char *)&s->areas[i].c, sizeof s->areas[i].c);
		if (s->nbounds)
			ndm_str_put(out, (const char *)s->areas[i].histogram,
				    (s->nbounds + 1) * sizeof *s->buckets);
	}
}

int stats_save(struct ndm_device *dev, struct ndm_str *out)
{
	const struct ndm_stats *s;
	unsigned n = 0;

	for (s = dev->regions; s; s = s->next)
		n++;
	put_number(out, sizeof dev->stats);
	ndm_str_put(out, (const char *)&dev->stats, sizeof dev->stats);
	put_number(out, n);
	for (s = dev->regions; s; s = s->next)
		region_save(s, out);
	return out->len ? 0 : -ENOMEM;
}

struct saved { const char *at, *end; bool bad; };

static const char *take(struct saved *r, uint64_t n)
{
	const char *at = r->at;

	if (r->bad || n > (uint64_t)(r->end - r->at)) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return at;
}

static uint64_t take_number(struct saved *r)
{
	const char *at = take(r, sizeof(uint64_t));
	uint64_t n = 0;

	if (at)
		memcpy(&n, at, sizeof n);
	return n;
}

static const char *take_text(struct saved *r)
{
	uint64_t n = take_number(r);
	const char *text = take(r, n);

	if (text && n && memchr(text, '\0', n) == text + n - 1)
		return text;
	r->bad = true;
	return "";
}

static int take_bounds(struct saved *r, struct ndm_stats *s)
{
	uint64_t n = take_number(r), last = 0, i;
	const char *bounds = n <= UINT32_MAX ? take(r, n * sizeof *s->bounds) : NULL;

	if (!bounds)
		return -EINVAL;
	if (!n)
		return 0;
	s->bounds = ndm_calloc(n, sizeof *s->bounds);
	if (!s->bounds)
		return -ENOMEM;
	memcpy(s->bounds, bounds, n * sizeof *s->bounds);
	s->nbounds = (unsigned)n;
	for (i = 0; i < n; last = s->bounds[i++])
		if (s->bounds[i] <= last)
			return -EINVAL;
	return 0;
}

static void take_areas(struct saved *r, struct ndm_stats *s)
{
	size_t row = s->nbounds ? (s->nbounds + 1) * sizeof *s->buckets : 0, i;
	const char *p;

	for (i = 0; i < s->nareas; i++) {
		p = take(r, sizeof s->areas[i].c + row);
		if (!p)
			return;
		memcpy(&s->areas[i].c, p, sizeof s->areas[i].c);
		if (row)
			memcpy(s->areas[i].histogram, p + sizeof s->areas[i].c, row);
	}
}

/* Areas are made only where their counters are there: an image cannot ask for memory. */
static bool areas_fit(const struct saved *r, const struct ndm_stats *s)
{
	uint64_t each = sizeof(struct counters), areas;

	if (r->bad || !s->step || s->end <= s->start)
		return false;
	areas = (s->end - s->start - 1) / s->step + 1;
	if (s->nbounds)
		each += (s->nbounds + 1) * sizeof(uint64_t);
	return areas <= (uint64_t)(r->end - r->at) / each;
}

static int region_restore(struct ndm_device *dev, struct saved *r, int last_id)
{
	struct ndm_stats head = { .created_ns = loop_now(dev->loop) }, *s, **p;
	uint64_t id = take_number(r);
	const char *program, *aux;
	int err;

	head.start = take_number(r);
	head.end = take_number(r);
	head.step = take_number(r);
	head.precise = take_number(r);
	err = take_bounds(r, &head);
	program = take_text(r);
	aux = take_text(r);
	if (!err && (!areas_fit(r, &head) || id > INT32_MAX || (int)id <= last_id))
		err = -EINVAL;
	if (!err)
		err = region_build(&head, &s);
	if (err) {
		ndm_free(head.bounds);
		return err;
	}
	s->id = (int)id;
	s->program = ndm_strdup(program);
	s->aux = ndm_strdup(aux);
	if (!s->program || !s->aux) {
		region_free(s);
		return -ENOMEM;
	}
	take_areas(r, s);
	for (p = &dev->regions; *p; p = &(*p)->next)
		;
	*p = s;
	return s->id;
}

int stats_restore(struct ndm_device *dev, const char *bytes, size_t n)
{
	struct saved r = { bytes, bytes + n, false };
	uint64_t size = take_number(&r), regions;
	const char *whole = take(&r, size);
	int id = -1;

	if (!whole || size != sizeof dev->stats || dev->regions)
		return -EINVAL;
	memcpy(&dev->stats, whole, size);
	dev->stats.in_flight = (unsigned)dev->in_flight;
	for (regions = take_number(&r); regions && !r.bad; regions--) {
		int next = region_restore(dev, &r, id);

		if (next < 0)
			return next;
		id = next;
	}
	return r.bad || r.at != r.end ? -EINVAL : 0;
}

/* ---- dispatch ---- */

static int message_home(struct ndm_device *dev, const char *verb, struct ndm_args *as,
			struct ndm_str *reply)
{
	if (!strcasecmp(verb, "@stats_create"))
		return stats_create(dev, as, reply);
	if (!strcasecmp(verb, "@stats_delete"))
		return stats_delete(dev, as);
	if (!strcasecmp(verb, "@stats_clear"))
		return stats_clear(dev, as);
	if (!strcasecmp(verb, "@stats_list"))
		return stats_list(dev, as, reply);
	if (!strcasecmp(verb, "@stats_print"))
		return stats_print(dev, as, false, reply);
	if (!strcasecmp(verb, "@stats_print_clear"))
		return stats_print(dev, as, true, reply);
	if (!strcasecmp(verb, "@stats_set_aux"))
		return stats_set_aux(dev, as);
	return -EINVAL;
}

int stats_message(struct ndm_device *dev, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct ndm_args as = { .argc = argc - 1, .argv = argv + 1 };
	int err;

	device_visit(dev);
	err = message_home(dev, argv[0], &as, reply);
	device_leave(dev);
	return err;
}
