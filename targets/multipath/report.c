/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - all that is known of the paths: the answer to the message `paths`.
 *
 * As one JSON object in one line, for programs and pages; or, to `paths lines`, as lines of
 * words with tabs between them (`ndm multipath -ll` reads these):
 *
 *	device	<valid paths> <requests parked> <bytes unflushed>
 *	group	<number> <state> <selector and its arguments>
 *	path	<device> <major:minor> <state> <link: up, down or -> <failures> <in flight> <ios>
 *		<errors> <latency in us> <age of the last error in ms> <what it was>
 *
 * What is not known is "-".  An age is how long ago something was.
 */
#include <errno.h>

#include "targets/multipath/multipath.h"

#define US ((uint64_t)1000u)
#define MS ((uint64_t)1000000u)

static void put_text(struct ndm_str *out, const char *key, const char *text)
{
	ndm_printf(out, "\"%s\":\"", key);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			ndm_printf(out, "\\%c", c);
		else if (c < 0x20)
			ndm_printf(out, "\\u%04x", c);
		else
			ndm_str_put(out, text, 1);
	}
	ndm_printf(out, "\"");
}

static const char *path_state(const struct mpath_path *p)
{
	if (p->active)
		return "active";
	return p->health.error == -ESTALE ? "refused" : "failed";
}

static void put_path(const struct mpath_path *p, uint64_t now, struct ndm_str *out)
{
	const struct mpath_health *h = &p->health;

	ndm_printf(out, "{");
	put_text(out, "device", p->dev->name);
	ndm_printf(out, ",\"major\":%u,\"minor\":%u,", p->dev->store->major, p->dev->store->minor);
	put_text(out, "state", path_state(p));
	ndm_printf(out, ",\"link\":%s,\"failures\":%u,\"in_flight\":%u,\"ios\":%llu,\"errors\":%llu",
		   !p->link ? "null" : p->link->up(p->dev->store) ? "true" : "false", p->fail_count,
		   h->in_flight, (unsigned long long)h->ios, (unsigned long long)h->errors);
	if (h->latency_ns)
		ndm_printf(out, ",\"latency_us\":%llu", (unsigned long long)(h->latency_ns / US));
	if (h->error_ns) {
		ndm_printf(out, ",");
		put_text(out, "error", h->why);
		ndm_printf(out, ",\"error_age_ms\":%llu",
			   (unsigned long long)((now - h->error_ns) / MS));
	}
	ndm_printf(out, "}");
}

static const char *group_state(const struct mpath *m, const struct mpath_group *g)
{
	return g->bypassed ? "disabled" : g == m->current ? "active" : "enabled";
}

static void put_group(const struct mpath *m, const struct mpath_group *g, uint64_t now,
		      struct ndm_str *out)
{
	unsigned i;

	ndm_printf(out, "{\"number\":%u,\"selector\":\"%s\",\"state\":\"%s\",\"paths\":[", g->number,
		   g->selector.type->name, group_state(m, g));
	for (i = 0; i < g->npaths; i++) {
		ndm_printf(out, "%s", i ? "," : "");
		put_path(&g->paths[i], now, out);
	}
	ndm_printf(out, "]}");
}

static void put_policy(const struct mpath *m, struct ndm_str *out)
{
	static const char *const words[] = { "manual", "immediate", "followover" };
	const struct mpath_policy *y = &m->policy;

	ndm_printf(out, "\"checker\":{\"every_ms\":%llu,\"timeout_ms\":%llu},\"failback\":",
		   (unsigned long long)(y->every_ns / MS),
		   (unsigned long long)(y->timeout_ns / MS));
	if (y->failback == MPATH_FAILBACK_AFTER)
		ndm_printf(out, "%llu", (unsigned long long)(y->failback_ns / MS / 1000));
	else
		ndm_printf(out, "\"%s\"", words[y->failback]);
	if (y->retry_limited)
		ndm_printf(out, ",\"no_path_retry\":%u", y->retries);
}

static unsigned count_parked(const struct mpath *m)
{
	const struct ndm_bio *bio;
	unsigned n = 0;

	for (bio = m->parked; bio; bio = bio->next)
		n++;
	return n;
}

void mpath_report(struct mpath *m, struct ndm_str *out)
{
	uint64_t now = ndm_now(m->ti->loop);
	unsigned i;

	ndm_printf(out, "{\"queue_if_no_path\":%s,\"valid_paths\":%u,\"parked\":%u,"
		   "\"unflushed_bytes\":%llu,", m->queue_if_no_path ? "true" : "false", m->nvalid,
		   count_parked(m),
		   (unsigned long long)(m->unflushed ? unflushed_bytes(m->unflushed) : 0));
	put_policy(m, out);
	ndm_printf(out, ",\"groups\":[");
	for (i = 0; i < m->ngroups; i++) {
		ndm_printf(out, "%s", i ? "," : "");
		put_group(m, m->groups[i], now, out);
	}
	ndm_printf(out, "]}");
}

/* A path of which nothing has been measured has no latency. */
void mpath_counters(struct ndm_target *ti, struct ndm_counters *out)
{
	struct mpath *m = ti->private_data;
	unsigned i, k;

	for (i = 0; i < m->ngroups; i++)
		for (k = 0; k < m->groups[i]->npaths; k++) {
			const struct mpath_path *p = &m->groups[i]->paths[k];

			if (p->health.latency_ns)
				ndm_counter_put(out, NDM_PATH_LATENCY, p->dev->name,
						m->groups[i]->number, p->health.latency_ns);
		}
}

/* ---- lines ---- */

static void path_line(const struct mpath_path *p, uint64_t now, struct ndm_str *out)
{
	const struct mpath_health *h = &p->health;

	ndm_printf(out, "path\t%s\t%u:%u\t%s\t%s\t%u\t%u\t%llu\t%llu\t", p->dev->name,
		   p->dev->store->major, p->dev->store->minor, path_state(p),
		   !p->link ? "-" : p->link->up(p->dev->store) ? "up" : "down", p->fail_count,
		   h->in_flight, (unsigned long long)h->ios, (unsigned long long)h->errors);
	if (h->latency_ns)
		ndm_printf(out, "%llu\t", (unsigned long long)(h->latency_ns / US));
	else
		ndm_printf(out, "-\t");
	if (h->error_ns)
		ndm_printf(out, "%llu\t%s\n", (unsigned long long)((now - h->error_ns) / MS), h->why);
	else
		ndm_printf(out, "-\t-\n");
}

void mpath_report_lines(struct mpath *m, struct ndm_str *out)
{
	uint64_t now = ndm_now(m->ti->loop);
	unsigned i, j;

	ndm_printf(out, "device\t%u\t%u\t%llu\n", m->nvalid, count_parked(m),
		   (unsigned long long)(m->unflushed ? unflushed_bytes(m->unflushed) : 0));
	for (i = 0; i < m->ngroups; i++) {
		const struct mpath_group *g = m->groups[i];
		size_t at;

		ndm_printf(out, "group\t%u\t%s\t%s ", g->number, group_state(m, g),
			   g->selector.type->name);
		at = out->len;
		if (g->selector.type->group_words)
			g->selector.type->group_words(&g->selector, out);
		else
			ndm_printf(out, "0");
		while (out->len > at && out->text[out->len - 1] == ' ')
			out->text[--out->len] = '\0';
		ndm_printf(out, "\n");
		for (j = 0; j < g->npaths; j++)
			path_line(&g->paths[j], now, out);
	}
}
