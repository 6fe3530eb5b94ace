/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * graph.c - `ndm tree`: which device stands on which, with sizes, targets, states and URIs,
 * as a tree for a terminal, for graphviz (--dot), for Markdown (--mermaid), or as JSON.
 */
#include "dmsetup/dmsetup.h"
#include "export.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

enum form { FORM_TREE, FORM_DOT, FORM_MERMAID, FORM_JSON };

struct graph {
	struct dmsetup ds;
	struct exports exports;
	enum form form;
	bool utf;
	const struct tree_node *seen[1024];
	size_t nr_seen;
};

/* What a device does and how large it is: "1.00g linear, zero". */
static char *describe(struct graph *g, const struct tree_node *node)
{
	struct task *task = task_new(g->ds.client, TASK_TABLE);
	char *text = strdup(""), *size, *longer;
	uint64_t nr = 0;
	size_t i, j;

	if (!task || !text)
		goto out;
	task_set_device(task, node->major, node->minor);
	if (!task_run(task))
		goto out;
	for (i = 0; i < task->nr_lines; i++) {
		nr += task->lines[i].length;
		for (j = 0; j < i; j++)
			if (!strcmp(task->lines[i].type, task->lines[j].type))
				break;
		if (j < i)
			continue;
		longer = text_format("%s%s%s", text, *text ? ", " : "", task->lines[i].type);
		free(text);
		text = longer;
	}
	size = units_format(nr, 'h', 1, false);
	longer = size && text ? text_format("%s %s", size, *text ? text : "no table") : NULL;
	free(size);
	free(text);
	text = longer;
out:
	task_free(task);
	return text;
}

static const char *name_of(struct graph *g, const struct tree_node *node)
{
	const char *name = node->mapped ? node->name :
		control_backing_name(g->ds.client, node->major, node->minor);

	return name ? name : "?";
}

static const char *state_of(const struct tree_node *node)
{
	return !node->mapped ? "" : node->info.suspended ? "suspended" :
		!node->info.live ? "no table" : node->info.read_only ? "read-only" : "";
}

static char *uri_of(struct graph *g, const struct tree_node *node)
{
	const struct export *export = node->mapped ? exports_find(&g->exports, node->name) : NULL;

	return export && g->exports.nr_listeners ?
		export_uri(g->exports.listeners[0], export->name) : NULL;
}

/* -- for a terminal ---------------------------------------------------------------------- */

static void print_branch(struct graph *g, const struct tree_node *node, const char *prefix,
			 bool root, bool last)
{
	char *what = node->mapped ? describe(g, node) : NULL, *uri = uri_of(g, node), *deeper;
	const char *state = state_of(node);
	size_t i;

	printf("%s%s%s", prefix, root ? "" : g->utf ? last ? "└─ " : "├─ " : last ? "`- " : "|- ",
	       name_of(g, node));
	if (what)
		printf("  %s", what);
	if (*state)
		printf("  [%s]", state);
	if (uri)
		printf("  %s", uri);
	putchar('\n');
	free(what);
	free(uri);
	deeper = text_format("%s%s", prefix, root ? "" : last ? "   " : g->utf ? "│  " : "|  ");
	for (i = 0; deeper && i < node->nr_uses; i++)
		print_branch(g, node->uses[i], deeper, false, i == node->nr_uses - 1);
	free(deeper);
}

/* -- for graphviz and mermaid ------------------------------------------------------------ */

static bool is_seen(struct graph *g, const struct tree_node *node)
{
	size_t i;

	for (i = 0; i < g->nr_seen; i++)
		if (g->seen[i] == node)
			return true;
	if (g->nr_seen < sizeof(g->seen) / sizeof(g->seen[0]))
		g->seen[g->nr_seen++] = node;
	return false;
}

/* Inside double quotes; mermaid knows no backslash, but HTML's entities. */
static void print_label(struct graph *g, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || (*text == '\\' && g->form == FORM_DOT))
			fputs(g->form == FORM_DOT ? *text == '"' ? "\\\"" : "\\\\" : "#quot;",
			      stdout);
		else
			putchar(*text);
	}
}

static void print_node(struct graph *g, const struct tree_node *node)
{
	char *what = node->mapped ? describe(g, node) : NULL;
	const char *state = state_of(node), *new_line = g->form == FORM_DOT ? "\\n" : "<br/>";

	if (g->form == FORM_DOT)
		printf("  d%u_%u [shape=%s%s,label=\"", node->major, node->minor,
		       node->mapped ? "box" : "cylinder",
		       *state ? ",style=dashed" : "");
	else
		printf("  d%u_%u%s\"", node->major, node->minor, node->mapped ? "[" : "[(");
	print_label(g, name_of(g, node));
	if (what)
		printf("%s%s", new_line, what);
	if (*state)
		printf("%s%s", new_line, state);
	printf(g->form == FORM_DOT ? "\"];\n" : node->mapped ? "\"]\n" : "\")]\n");
	free(what);
}

static void print_edges(struct graph *g, const struct tree_node *node)
{
	size_t i;

	if (is_seen(g, node))
		return;
	print_node(g, node);
	for (i = 0; i < node->nr_uses; i++) {
		print_edges(g, node->uses[i]);
		printf(g->form == FORM_DOT ? "  d%u_%u -> d%u_%u;\n" : "  d%u_%u --> d%u_%u\n",
		       node->major, node->minor, node->uses[i]->major, node->uses[i]->minor);
	}
}

static void print_graph(struct graph *g)
{
	struct tree_node *const *roots;
	size_t n = g->ds.tree ? tree_roots(g->ds.tree, false, &roots) : 0, i;

	if (g->form == FORM_DOT)
		printf("digraph ndm {\n  node [fontname=\"sans-serif\"];\n");
	else if (g->form == FORM_MERMAID)
		printf("flowchart TD\n");
	for (i = 0; i < n; i++) {
		if (g->form == FORM_TREE)
			print_branch(g, roots[i], "", true, true);
		else
			print_edges(g, roots[i]);
	}
	if (g->form == FORM_DOT)
		printf("}\n");
}

static bool parse_options(struct graph *g, int argc, char **argv)
{
	static const char *const words[] = { "--ascii", "--dot", "--mermaid", "-j", "--json" };
	int i, j;

	for (i = 1; i < argc; i++) {
		for (j = 0; j < 5; j++)
			if (!strcmp(argv[i], words[j]))
				break;
		switch (j) {
		case 0:
			g->utf = false;
			break;
		case 1:
			g->form = FORM_DOT;
			break;
		case 2:
			g->form = FORM_MERMAID;
			break;
		case 3: case 4:
			g->form = FORM_JSON;
			break;
		default:
			say("Usage: ndm tree [--ascii|--dot|--mermaid|-j]");
			return false;
		}
	}
	return true;
}

int graph_main(struct client *client, int argc, char **argv)
{
	struct graph *g = calloc(1, sizeof(*g));
	bool good;

	if (!g)
		return 1;
	g->ds.client = client;
	g->utf = !strcmp(nl_langinfo(CODESET), "UTF-8");
	good = parse_options(g, argc, argv);
	if (good && g->form == FORM_JSON) {
		g->ds.o.json = true;
		json_begin(&g->ds, "device");
		good = tree_print(&g->ds);
		json_end(&g->ds);
	} else if (good) {
		/* "No devices found" is only for those who read it */
		g->ds.o.json = g->form != FORM_TREE;
		good = !exports_read(client, &g->exports) && tree_build(&g->ds);
		if (good)
			print_graph(g);
	}
	tree_free(g->ds.tree);
	exports_free(&g->exports);
	free(g);
	return good ? 0 : 1;
}
