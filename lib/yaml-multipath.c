/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-multipath.c - the mapping `multipath`: paths, groups in the order of their priority, a
 * checker and policies, as people think of them; the table line, with its counts of words that
 * depend on the selector, follows from it.
 *
 *	multipath:
 *	  queue_if_no_path: true
 *	  checker: {every: 500ms, timeout: 300ms}	# false: none; 5s and 3s by default
 *	  failback: immediate
 *	  groups:
 *	    - selector: service-time
 *	      priority: 50
 *	      paths: ["nbd://one/disk", {device: "nbd://two/disk", throughput: 2}]
 *
 * `paths` instead of `groups`: one group.  Without a length the volume is as long as its paths.
 */
#include <stdio.h>
#include <stdlib.h>

#include "yaml-impl.h"

#define GROUPS_MAX 1024u

struct words {
	struct yaml_args *args;
	struct ndm_str features;
	unsigned nfeatures;
};

struct group { const struct yaml_node *node; uint64_t priority; };

static const char *const selectors[] = {
	"service-time", "round-robin", "queue-length", "historical-service-time", "io-affinity", NULL
};

static void put_word(struct ndm_str *out, const char *word)
{
	ndm_printf(out, "%s", out->len ? " " : "");
	ndm_table_put_word(out, word, strlen(word));
}

static void put_number(struct ndm_str *out, uint64_t number)
{
	ndm_printf(out, "%s%llu", out->len ? " " : "", (unsigned long long)number);
}

/* ---- features and policies ---- */

static void feature(struct words *w, const char *word)
{
	put_word(&w->features, word);
	w->nfeatures++;
}

static void feature_number(struct words *w, uint64_t number)
{
	put_number(&w->features, number);
	w->nfeatures++;
}

static void checker(struct words *w, const struct yaml_node *node)
{
	static const char *const keys[] = { "every", "timeout", NULL };
	struct yaml *y = w->args->yaml;
	uint64_t every = 5000, timeout = 3000;
	const struct yaml_node *value;
	bool on;

	if (node && node->kind == YAML_SCALAR) {
		if (yaml_bool(y, node, "multipath: checker", &on) || !on)
			return;
	} else if (node) {
		if (!yaml_want_map(y, node, "multipath: checker"))
			return;
		yaml_check_keys(y, node, "multipath: checker", keys, NULL);
		value = yaml_get(node, "every");
		if (value)
			yaml_time(y, value, "multipath: checker: every", 1, &every);
		value = yaml_get(node, "timeout");
		if (value)
			yaml_time(y, value, "multipath: checker: timeout", 1, &timeout);
	}
	feature(w, "ndm_checker");
	feature_number(w, every);
	feature_number(w, timeout);
}

/* One of the words, or a number: seconds for `failback`, checks for `no_path_retry`. */
static void word_or_number(struct words *w, const struct yaml_node *node, const char *key,
			   const char *feature_word, const char *const *choices)
{
	struct yaml *y = w->args->yaml;
	const char *text = yaml_text(y, node, key);
	struct ndm_str all = { 0 };
	uint64_t number;
	unsigned i;

	if (!text)
		return;
	for (i = 0; choices[i] && strcmp(text, choices[i]); i++)
		ndm_printf(&all, "%s, ", choices[i]);
	if (choices[i]) {
		feature(w, feature_word);
		feature(w, text);
	} else if (*text < '0' || *text > '9') {
		yaml_error(y, node, "multipath: %s cannot be '%s': it is one of %sor a number", key,
			   text, all.text);
	} else if (!strcmp(key, "failback") ? !yaml_time(y, node, key, 1000, &number)
		   : !yaml_unsigned(y, node, key, UINT32_MAX, &number)) {
		feature(w, feature_word);
		feature_number(w, number);
	}
	ndm_str_free(&all);
}

static void features(struct words *w, const struct yaml_node *map)
{
	static const char *const failbacks[] = { "manual", "immediate", "followover", NULL };
	static const char *const retries[] = { "queue", "fail", NULL };
	struct yaml *y = w->args->yaml;
	const struct yaml_node *node = yaml_get(map, "queue_if_no_path");
	const char *text;
	uint64_t bytes;
	bool on;

	if (node && !yaml_bool(y, node, "multipath: queue_if_no_path", &on) && on)
		feature(w, "queue_if_no_path");
	node = yaml_get(map, "queue_mode");
	text = node ? yaml_text(y, node, "multipath: queue_mode") : NULL;
	if (text) {
		feature(w, "queue_mode");
		feature(w, text);
	}
	checker(w, yaml_get(map, "checker"));
	node = yaml_get(map, "failback");
	if (node)
		word_or_number(w, node, "failback", "ndm_failback", failbacks);
	node = yaml_get(map, "no_path_retry");
	if (node)
		word_or_number(w, node, "no_path_retry", "ndm_no_path_retry", retries);
	node = yaml_get(map, "unflushed");
	if (node && !yaml_size(y, node, "multipath: unflushed", 1, &bytes)) {
		feature(w, "ndm_unflushed");
		feature_number(w, bytes);
	}
}

/* ---- paths ---- */

static void path_device(struct yaml_args *a, const struct yaml_node *node)
{
	const char *text = yaml_text(a->yaml, node, "multipath: a path");

	text = text ? a->device(a->arg, node, text) : NULL;
	if (text)
		put_word(a->out, text);
}

/* A device's name alone, or with what the selector wants to know. */
static void path(struct yaml_args *a, const struct yaml_node *node, const char *selector)
{
	static const char *const keys[] = { "device", "throughput", "cpus", NULL };
	const struct yaml_node *device = node, *throughput = NULL, *cpus = NULL;
	bool by_time = !strcmp(selector, "service-time"), by_cpu = !strcmp(selector, "io-affinity");
	uint64_t number = 1;
	const char *mask;

	if (node->kind == YAML_MAP) {
		yaml_check_keys(a->yaml, node, "a path", keys, NULL);
		device = yaml_get(node, "device");
		throughput = yaml_get(node, "throughput");
		cpus = yaml_get(node, "cpus");
	}
	if (!device) {
		yaml_error(a->yaml, node, "a path needs 'device'");
		return;
	}
	path_device(a, device);
	if (throughput && !by_time)
		yaml_error(a->yaml, throughput, "'throughput' is for service-time, not for %s",
			   selector);
	else if (throughput)
		yaml_unsigned(a->yaml, throughput, "throughput", 100, &number);
	if (by_cpu && !cpus)
		yaml_error(a->yaml, node, "io-affinity wants 'cpus' of each path: a mask");
	else if (cpus && !by_cpu)
		yaml_error(a->yaml, cpus, "'cpus' is for io-affinity, not for %s", selector);
	mask = cpus ? yaml_text(a->yaml, cpus, "cpus") : NULL;
	if (mask)
		put_word(a->out, mask);
	else
		put_number(a->out, 1);
	if (by_time)
		put_number(a->out, number);
}

static void paths(struct yaml_args *a, const struct yaml_node *node, const char *selector)
{
	unsigned i, n = node->kind == YAML_LIST ? node->n : 1;

	put_number(a->out, n);
	put_number(a->out, strcmp(selector, "service-time") ? 1 : 2);
	for (i = 0; i < n; i++)
		path(a, node->kind == YAML_LIST ? node->items[i] : node, selector);
}

/* "service-time", or "historical-service-time 972 2": the name and its arguments */
static void selector_words(struct yaml_args *a, const struct yaml_node *node, char *name, size_t len)
{
	const char *text = node ? yaml_text(a->yaml, node, "selector") : NULL, *p;
	unsigned i, n = 0;

	text = text ? text : selectors[0];
	snprintf(name, len, "%.*s", (int)strcspn(text, " "), text);
	for (i = 0; selectors[i] && strcmp(selectors[i], name); i++)
		;
	if (!selectors[i]) {
		const char *near = yaml_nearest(name, selectors, NULL);

		yaml_error(a->yaml, node, "there is no selector '%s'%s%s%s", name,
			   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	for (p = text + strlen(name); *p; p += strcspn(p, " ")) {
		p += strspn(p, " ");
		n += *p != '\0';
	}
	put_word(a->out, name);
	put_number(a->out, n);
	p = text + strlen(name) + strspn(text + strlen(name), " ");
	if (*p)
		ndm_printf(a->out, " %s", p);
}

static void group(struct yaml_args *a, const struct yaml_node *node,
		  const struct yaml_node *selector)
{
	static const char *const keys[] = { "selector", "priority", "paths", NULL };
	const struct yaml_node *own = node->kind == YAML_MAP ? yaml_get(node, "selector") : NULL;
	const struct yaml_node *list = node->kind == YAML_MAP ? yaml_get(node, "paths") : node;
	char name[32];

	if (node->kind == YAML_MAP)
		yaml_check_keys(a->yaml, node, "a group of paths", keys, NULL);
	if (!list) {
		yaml_error(a->yaml, node, "a group needs 'paths'");
		return;
	}
	selector_words(a, own ? own : selector, name, sizeof name);
	paths(a, list, name);
}

/* The highest priority first; the order of the file among equals. */
static int by_priority(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return x->node->line != y->node->line ? (x->node->line < y->node->line ? -1 : 1)
	       : x->node->column < y->node->column ? -1 : 1;
}

static void groups(struct yaml_args *a, const struct yaml_node *list,
		   const struct yaml_node *selector, uint64_t first)
{
	struct group *g;
	unsigned i, n = list->n;

	if (list->kind != YAML_LIST || !n || n > GROUPS_MAX) {
		yaml_error(a->yaml, list, "multipath: groups has to be a list of 1 to %u groups",
			   GROUPS_MAX);
		return;
	}
	g = ndm_calloc(n, sizeof *g);
	if (!g) {
		a->yaml->no_memory = true;
		return;
	}
	for (i = 0; i < n; i++) {
		const struct yaml_node *p = list->items[i]->kind == YAML_MAP
					    ? yaml_get(list->items[i], "priority") : NULL;

		g[i].node = list->items[i];
		if (p)
			yaml_unsigned(a->yaml, p, "priority", UINT32_MAX, &g[i].priority);
	}
	qsort(g, n, sizeof *g, by_priority);
	put_number(a->out, n);
	put_number(a->out, first);
	for (i = 0; i < n; i++)
		group(a, g[i].node, selector);
	ndm_free(g);
}

void yaml_multipath_print(struct yaml_args *a, const struct yaml_node *map)
{
	static const char *const keys[] = { "queue_if_no_path", "queue_mode", "checker", "failback",
		"no_path_retry", "unflushed", "selector", "first_group", "groups", "paths", NULL };
	static const char *const segment_keys[] = { "length", "start", "args", NULL };
	const struct yaml_node *list = yaml_get(map, "groups"), *alone = yaml_get(map, "paths");
	const struct yaml_node *first_node = yaml_get(map, "first_group");
	struct words w = { .args = a };
	uint64_t first = 1;

	yaml_check_keys(a->yaml, map, "multipath", keys, segment_keys);
	features(&w, map);
	put_number(a->out, w.nfeatures);
	if (w.nfeatures)
		ndm_printf(a->out, " %s", w.features.text);
	ndm_str_free(&w.features);
	put_number(a->out, 0);
	if (first_node)
		yaml_unsigned(a->yaml, first_node, "first_group", GROUPS_MAX, &first);
	if (list && alone) {
		yaml_error(a->yaml, alone, "multipath: 'paths' stands for one group: it cannot stand "
			   "beside 'groups'");
	} else if (list) {
		groups(a, list, yaml_get(map, "selector"), first);
	} else if (alone) {
		put_number(a->out, 1);
		put_number(a->out, first);
		group(a, alone, yaml_get(map, "selector"));
	} else {
		yaml_error(a->yaml, map, "multipath needs 'paths' or 'groups'");
	}
}

/* Properties of the mapping, for yaml-schema.c: apostrophes stand for quotes. */
const char *const yaml_multipath_schema =
	"'queue_if_no_path':{'type':'boolean'},'queue_mode':{'enum':['bio','rq','mq']},"
	"'checker':{'anyOf':[{'type':'boolean'},{'type':'object','additionalProperties':false,"
	"'properties':{'every':{'$ref':'#/$defs/time'},'timeout':{'$ref':'#/$defs/time'}}}]},"
	"'failback':{'anyOf':[{'enum':['manual','immediate','followover']},"
	"{'$ref':'#/$defs/time'}]},"
	"'no_path_retry':{'anyOf':[{'enum':['queue','fail']},{'type':'integer','minimum':0}]},"
	"'unflushed':{'$ref':'#/$defs/size'},'selector':{'$ref':'#/$defs/text'},"
	"'first_group':{'type':'integer','minimum':1},"
	"'paths':{'type':'array','minItems':1,'items':{'$ref':'#/$defs/path'}},"
	"'groups':{'type':'array','minItems':1,'items':{'anyOf':["
	"{'type':'array','minItems':1,'items':{'$ref':'#/$defs/path'}},"
	"{'type':'object','additionalProperties':false,'required':['paths'],'properties':{"
	"'selector':{'$ref':'#/$defs/text'},'priority':{'type':'integer','minimum':0},"
	"'paths':{'type':'array','minItems':1,'items':{'$ref':'#/$defs/path'}}}}]}}";

const char *const yaml_multipath_definitions =
	"'path':{'anyOf':[{'type':'string'},{'type':'object','additionalProperties':false,"
	"'required':['device'],'properties':{'device':{'type':'string'},"
	"'throughput':{'type':'integer','minimum':0,'maximum':100},"
	"'cpus':{'$ref':'#/$defs/text'}}}]},";
