/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml.c - volume definitions: libyaml's events into a tree of our own, and the way from there
 * to struct ndm_config.
 *
 * The tree is needed because everything that is wrong has to be said with its place in the
 * file.  An alias is the same node again, not a copy; the weight of a node counts its contents
 * as often as they would be visited, so that a few lines cannot stand for a billion.
 */
#include <stdlib.h>

#include <yaml.h>

#include "yaml-impl.h"

#define ANCHORS_MAX 1024

struct anchor {
	char *name;
	struct yaml_node *node; /* NULL while it is still being read */
};

struct reader {
	struct yaml *yaml;
	yaml_parser_t parser;
	struct yaml_node *stack[YAML_DEPTH_MAX];
	unsigned depth;
	unsigned open[YAML_DEPTH_MAX]; /* the anchor of each, plus one; 0: none */
	struct anchor *anchors;
	unsigned nanchors;
	struct yaml_node *root;
	unsigned documents;
	bool done;
};

void yaml_error(struct yaml *y, const struct yaml_node *at, const char *fmt, ...)
{
	va_list ap;

	if (++y->errors > YAML_ERRORS_MAX)
		return;
	ndm_printf(y->why, "%s:%u:%u: ", y->path, at ? at->line : 1, at ? at->column : 1);
	va_start(ap, fmt);
	ndm_vprintf(y->why, fmt, ap);
	va_end(ap);
	ndm_printf(y->why, "\n");
}

static int error_at(struct yaml *y, const yaml_mark_t *mark, const char *sentence)
{
	struct yaml_node at = {.line = (unsigned)mark->line + 1,
			       .column = (unsigned)mark->column + 1};

	yaml_error(y, &at, "%s", sentence);
	return -EINVAL;
}

/* ---- nodes ---- */

static struct yaml_node *node_new(struct reader *r, enum yaml_kind kind, const yaml_mark_t *mark)
{
	struct yaml_node *node = ndm_zalloc(sizeof(*node));

	if (!node)
		return NULL;
	node->kind = kind;
	node->line = (unsigned)mark->line + 1;
	node->column = (unsigned)mark->column + 1;
	node->weight = 1;
	node->all = r->yaml->all;
	r->yaml->all = node;
	return node;
}

static void nodes_free(struct yaml *y)
{
	struct yaml_node *next;

	for (; y->all; y->all = next) {
		next = y->all->all;
		ndm_free(y->all->text);
		free(y->all->items);
		ndm_free(y->all);
	}
}

static int append(struct yaml_node *parent, struct yaml_node *child)
{
	struct yaml_node **more;

	if (parent->n == parent->room) {
		parent->room = parent->room ? parent->room * 2 : 4;
		more = realloc(parent->items, parent->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		parent->items = more;
	}
	parent->items[parent->n++] = child;
	return 0;
}

/* Puts a node (new, or an alias's) where the reader stands. */
static int place(struct reader *r, struct yaml_node *node, const yaml_mark_t *mark)
{
	struct yaml_node *parent;

	if (!r->depth) {
		r->root = node;
		return 0;
	}
	parent = r->stack[r->depth - 1];
	if (parent->kind == YAML_MAP && parent->n % 2 == 0 && node->kind != YAML_SCALAR)
		return error_at(r->yaml, mark, "a key has to be one word");
	return append(parent, node);
}

/* ---- anchors ---- */

/* *id: its number plus one, for anchor_done() */
static int anchor_add(struct reader *r, const char *name, const yaml_mark_t *mark, unsigned *id)
{
	struct anchor *more;

	*id = 0;
	if (!name)
		return 0;
	if (r->nanchors == ANCHORS_MAX)
		return error_at(r->yaml, mark, "too many anchors");
	more = realloc(r->anchors, (r->nanchors + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->anchors = more;
	more[r->nanchors] = (struct anchor){.name = ndm_strdup(name)};
	if (!more[r->nanchors].name)
		return -ENOMEM;
	*id = ++r->nanchors;
	return 0;
}

static void anchor_done(struct reader *r, unsigned id, struct yaml_node *node)
{
	if (id)
		r->anchors[id - 1].node = node;
}

/* The latest anchor of a name is the one that counts. */
static int on_alias(struct reader *r, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct yaml_node *node;

	for (unsigned i = r->nanchors; i--;) {
		if (strcmp(r->anchors[i].name, name))
			continue;
		node = r->anchors[i].node;
		if (!node)
			return error_at(r->yaml, &e->start_mark,
					"an alias within what it stands for");
		return place(r, node, &e->start_mark);
	}
	return error_at(r->yaml, &e->start_mark,
			"an alias without an anchor of that name before it");
}

/* ---- events ---- */

static int on_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	size_t length = e->data.scalar.length;
	struct yaml_node *node;
	unsigned anchor;
	int err;

	if (memchr(value, '\0', length))
		return error_at(r->yaml, &e->start_mark, "a text with a NUL character in it");
	node = node_new(r, YAML_SCALAR, &e->start_mark);
	if (!node)
		return -ENOMEM;
	node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = ndm_strdup(value);
	if (!node->text)
		return -ENOMEM;
	err = anchor_add(r, (const char *)e->data.scalar.anchor, &e->start_mark, &anchor);
	if (err)
		return err;
	anchor_done(r, anchor, node);
	return place(r, node, &e->start_mark);
}

static int on_open(struct reader *r, const yaml_event_t *e, enum yaml_kind kind)
{
	const yaml_char_t *anchor =
		kind == YAML_LIST ? e->data.sequence_start.anchor : e->data.mapping_start.anchor;
	struct yaml_node *node;
	int err;

	if (r->depth == YAML_DEPTH_MAX)
		return error_at(r->yaml, &e->start_mark, "nested too deep");
	node = node_new(r, kind, &e->start_mark);
	if (!node)
		return -ENOMEM;
	err = place(r, node, &e->start_mark);
	if (!err)
		err = anchor_add(r, (const char *)anchor, &e->start_mark, &r->open[r->depth]);
	if (!err)
		r->stack[r->depth++] = node;
	return err;
}

static int key_order(const void *a, const void *b)
{
	const struct yaml_node *const *left = a, *const *right = b;
	int order = strcmp((*left)->text, (*right)->text);

	if (order)
		return order;
	if ((*left)->line != (*right)->line)
		return (*left)->line < (*right)->line ? -1 : 1;
	return (*left)->column < (*right)->column ? -1 : (*left)->column > (*right)->column;
}

static int check_duplicates(struct reader *r, const struct yaml_node *map)
{
	unsigned n = map->n / 2;
	struct yaml_node **keys = ndm_calloc(n, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		keys[i] = map->items[2 * i];
	qsort(keys, n, sizeof(*keys), key_order);
	for (unsigned i = 1; i < n; i++)
		if (!strcmp(keys[i - 1]->text, keys[i]->text))
			yaml_error(r->yaml, keys[i], "duplicate key '%s' (the first is in line %u)",
				   keys[i]->text, keys[i - 1]->line);
	ndm_free(keys);
	return 0;
}

static int on_close(struct reader *r, const yaml_event_t *e)
{
	struct yaml_node *node = r->stack[--r->depth];

	for (unsigned i = 0; i < node->n; i++)
		node->weight += node->items[i]->weight;
	if (node->weight > YAML_NODES_MAX)
		return error_at(r->yaml, &e->start_mark,
				"too much: aliases multiply beyond a million values");
	anchor_done(r, r->open[r->depth], node);
	return node->kind == YAML_MAP ? check_duplicates(r, node) : 0;
}

static int on_event(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->documents++)
			return error_at(r->yaml, &e->start_mark,
					"a second document: one file is one document");
		return 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(r, e);
	case YAML_ALIAS_EVENT:
		return on_alias(r, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(r, e, YAML_LIST);
	case YAML_MAPPING_START_EVENT:
		return on_open(r, e, YAML_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(r, e);
	case YAML_STREAM_END_EVENT:
		r->done = true;
		return 0;
	default:
		return 0;
	}
}

/* ---- what libyaml itself refuses ---- */

/* An error of the encoding has a byte offset only. */
static yaml_mark_t mark_of_offset(const char *text, size_t bytes, size_t offset)
{
	yaml_mark_t mark = { 0 };

	for (size_t i = 0; i < offset && i < bytes; i++) {
		mark.column++;
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static int parser_error(struct reader *r, const char *text, size_t bytes)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "not YAML";
	struct ndm_str sentence = { 0 };
	yaml_mark_t mark = p->problem_mark;

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR)
		mark = mark_of_offset(text, bytes, p->problem_offset);
	if (p->context)
		ndm_printf(&sentence, "not YAML: %s (%s)", problem, p->context);
	else
		ndm_printf(&sentence, "not YAML: %s", problem);
	error_at(r->yaml, &mark, sentence.text);
	ndm_str_free(&sentence);
	return -EINVAL;
}

static int read_tree(struct yaml *y, const char *text, size_t bytes, struct yaml_node **root)
{
	struct reader r = { .yaml = y };
	yaml_event_t event;
	int err = 0;

	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
	while (!err && !r.done) {
		if (!yaml_parser_parse(&r.parser, &event)) {
			err = parser_error(&r, text, bytes);
			break;
		}
		err = on_event(&r, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&r.parser);
	for (unsigned i = 0; i < r.nanchors; i++)
		ndm_free(r.anchors[i].name);
	free(r.anchors);
	*root = r.root;
	return err;
}

/* ---- the file as a whole ---- */

static void read_version(struct yaml *y, const struct yaml_node *root)
{
	const struct yaml_node *node = yaml_get(root, "version");
	const char *text;

	if (!node) {
		yaml_error(y, root, "no version: the file begins with 'version: 1'");
		return;
	}
	text = yaml_text(y, node, "version");
	if (text && strcmp(text, "1"))
		yaml_error(y, node, "version '%s' is not known: this ndm reads version 1", text);
}

/* Keys that begin with x- are for the author: a place for anchors. */
static void check_top_keys(struct yaml *y, const struct yaml_node *root)
{
	static const char *const known[] = { "version", "server", "secrets", "volumes", NULL };

	for (unsigned i = 0; i < root->n; i += 2) {
		const char *key = root->items[i]->text, *near;
		unsigned j = 0;

		while (known[j] && strcmp(known[j], key))
			j++;
		if (known[j] || !strncmp(key, "x-", 2))
			continue;
		near = yaml_nearest(key, known, NULL);
		yaml_error(y, root->items[i], "unknown key '%s'%s%s%s", key,
			   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
}

static void read_config(struct yaml *y, const struct yaml_node *root)
{
	const struct yaml_node *node;
	struct yaml_node *volumes;

	if (!root) {
		yaml_error(y, NULL, "the file is empty: it needs 'version: 1' and volumes");
		return;
	}
	if (!yaml_want_map(y, root, "the file"))
		return;
	check_top_keys(y, root);
	read_version(y, root);
	node = yaml_get(root, "server");
	if (node)
		yaml_read_server(y, node);
	volumes = yaml_get(root, "volumes");
	volumes = yaml_nest(y, volumes, yaml_get(root, "secrets"));
	if (volumes)
		yaml_read_volumes(y, volumes);
}

int ndm_config_parse(const char *path, const char *text, size_t bytes, struct ndm_config **out,
		     struct ndm_str *why)
{
	struct yaml_config *config = ndm_zalloc(sizeof(*config));
	struct yaml y = { .path = path, .why = why };
	struct yaml_node *root = NULL;
	int err;

	if (!config)
		return -ENOMEM;
	y.config = &config->config;
	config->path = ndm_strdup(path);
	if (!config->path) {
		err = -ENOMEM;
	} else if (bytes > YAML_BYTES_MAX) {
		yaml_error(&y, NULL, "the file has %zu bytes, more than %u", bytes, YAML_BYTES_MAX);
		err = -E2BIG;
	} else {
		err = read_tree(&y, text, bytes, &root);
	}
	if (!err && !y.errors)
		read_config(&y, root);
	if (!err && y.no_memory)
		err = -ENOMEM;
	if (!err && y.errors)
		err = -EINVAL;
	if (y.errors > YAML_ERRORS_MAX)
		ndm_printf(why, "%s: %u more\n", path, y.errors - YAML_ERRORS_MAX);
	yaml_volumes_free(&y);
	nodes_free(&y);
	if (err) {
		ndm_config_free(&config->config);
		return err;
	}
	*out = &config->config;
	return 0;
}

static void volume_free(struct ndm_volume *v)
{
	for (unsigned i = 0; i < v->nlines; i++) {
		free((void *)(uintptr_t)v->lines[i].type);
		free((void *)(uintptr_t)v->lines[i].args);
	}
	ndm_free(v->lines);
	ndm_free(v->name);
	ndm_free(v->uuid);
	ndm_free(v->export_name);
	ndm_free(v->description);
	for (unsigned i = 0; i < v->nallow; i++)
		ndm_free(v->allow[i]);
	ndm_free(v->allow);
}

void ndm_config_free(struct ndm_config *config)
{
	if (!config)
		return;
	struct ndm_config_server *s = &config->server;

	for (unsigned i = 0; i < config->nvolumes; i++)
		volume_free(&config->volumes[i]);
	ndm_free(config->volumes);
	for (unsigned i = 0; i < s->nlisten; i++)
		ndm_free(s->listen[i]);
	ndm_free(s->listen);
	ndm_free(s->control);
	ndm_free(s->state);
	ndm_free(s->metrics);
	ndm_free(s->tls_mode);
	ndm_free(s->tls_certificates);
	ndm_free(s->tls_psk);
	ndm_free(ndm_container_of(config, struct yaml_config, config)->path);
	ndm_free(ndm_container_of(config, struct yaml_config, config));
}
