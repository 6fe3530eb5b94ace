/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree-print.c - `ls --tree`: lines and branches in three alphabets, long or compact, cut at
 * the width of the terminal.
 */
#include "dmsetup.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define DEPTH_MAX 100

struct symbols {
	const char *gap, *branch, *line, *last, *only, *first;
};

static const struct symbols ascii = { "  ", "|-", "| ", "`-", "---", "-+-" };
static const struct symbols utf = { "  ", "├─", "│ ", "└─", "───", "─┬─" };
#define VT(x) "\033(0\017" x "\033(B"
static const struct symbols vt100 = {
	"  ", VT("tq"), VT("x") " ", VT("mq"), VT("qqq"), VT("qwq")
};

enum mark { MARK_ACTIVE = 1, MARK_RW = 2, MARK_OPEN = 4, MARK_UUID = 8 };

struct tree_view {
	struct dmsetup *ds;
	const struct symbols *symbols;
	bool device, blkdevname, compact, inverted, truncate, targets;
	unsigned marks;			/* enum mark */
	int width, column;		/* of the terminal; of the next character, from 1 */
	char held;			/* the last that fits, until more follow */
	int widths[DEPTH_MAX + 3];	/* of the nodes on this line */
	bool more[DEPTH_MAX + 3];	/* do siblings follow at this depth? */
};

static const struct {
	const char *word;
	size_t flag;			/* offset of a bool, or 0 */
	bool value;
	unsigned mark;
	const struct symbols *symbols;
} words[] = {
	{ "device", offsetof(struct tree_view, device), true, 0, NULL },
	{ "blkdevname", offsetof(struct tree_view, blkdevname), true, 0, NULL },
	{ "nodevice", offsetof(struct tree_view, device), false, 0, NULL },
	{ "status", offsetof(struct tree_view, targets), true, 0, NULL },
	{ "table", offsetof(struct tree_view, targets), true, 0, NULL },
	{ "active", 0, false, MARK_ACTIVE, NULL },
	{ "open", 0, false, MARK_OPEN, NULL },
	{ "uuid", 0, false, MARK_UUID, NULL },
	{ "rw", 0, false, MARK_RW, NULL },
	{ "utf", 0, false, 0, &utf },
	{ "vt100", 0, false, 0, &vt100 },
	{ "ascii", 0, false, 0, &ascii },
	{ "inverted", offsetof(struct tree_view, inverted), true, 0, NULL },
	{ "compact", offsetof(struct tree_view, compact), true, 0, NULL },
	{ "notrunc", offsetof(struct tree_view, truncate), false, 0, NULL },
};

/* Words may be shortened; the first that fits is meant. */
static bool read_options(struct tree_view *v, const char *text)
{
	size_t i, n;

	for (; text && *text; text += text[n] ? n + 1 : n) {
		n = strcspn(text, ",");
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (!strncmp(text, words[i].word, n))
				break;
		if (i == sizeof(words) / sizeof(words[0])) {
			say("Tree options not recognised: %s.", text);
			return false;
		}
		if (words[i].flag)
			*(bool *)((char *)v + words[i].flag) = words[i].value;
		v->marks |= words[i].mark;
		if (words[i].symbols)
			v->symbols = words[i].symbols;
	}
	return true;
}

static bool view_init(struct tree_view *v, struct dmsetup *ds, const char *text)
{
	struct winsize size = { 0 };

	*v = (struct tree_view){
		.ds = ds, .symbols = strcmp(nl_langinfo(CODESET), "UTF-8") ? &ascii : &utf,
		.device = true, .truncate = true, .width = 80, .column = 1,
	};
	if (!read_options(v, text))
		return false;
	if (v->symbols != &vt100 && !ioctl(1, TIOCGWINSZ, &size) && size.ws_col > 3)
		v->width = size.ws_col - 3;
	return true;
}

bool tree_options(struct dmsetup *ds, const char *text)
{
	struct tree_view v;

	return view_init(&v, ds, text);
}

/* -- a line -------------------------------------------------------------------------- */

/* What does not fit becomes "..."; a line that just fits is left alone. */
static void put(struct tree_view *v, unsigned char c)
{
	bool begins = (c & 0xc0) != 0x80;	/* a character, of UTF-8 */

	v->column += begins;
	if (!v->truncate || v->column <= v->width) {
		putchar(c);
		return;
	}
	if (v->column != v->width + 1 || !begins)
		return;
	if (v->held || c & 0x80) {
		fputs("...", stdout);
	} else {
		v->held = (char)c;
		v->column--;
	}
}

static void put_text(struct tree_view *v, const char *text)
{
	while (*text)
		put(v, (unsigned char)*text++);
}

static void put_number(struct tree_view *v, unsigned number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	put_text(v, text);
}

static void end_line(struct tree_view *v)
{
	if (v->held && v->column == v->width)
		putchar(v->held);
	v->held = 0;
	putchar('\n');
	v->column = 1;
}

static void put_prefix(struct tree_view *v, unsigned depth)
{
	unsigned d;
	int x;

	for (d = 0; d < depth; d++) {
		for (x = 0; x <= v->widths[d]; x++)
			put(v, ' ');
		if (d == depth - 1)
			put_text(v, v->more[depth] ? v->symbols->branch : v->symbols->last);
		else
			put_text(v, v->more[d + 1] ? v->symbols->line : v->symbols->gap);
	}
}

static void put_marks(struct tree_view *v, const struct tree_node *node)
{
	const char *before = " [";

	if (!node->mapped || !v->marks)
		return;
	if (v->marks & MARK_ACTIVE) {
		put_text(v, before);
		put_text(v, node->info.suspended ? "SUSPENDED" : "ACTIVE");
		before = ", ";
	}
	if (v->marks & MARK_RW) {
		put_text(v, before);
		put_text(v, node->info.read_only ? "RO" : "RW");
		before = ", ";
	}
	if (v->marks & MARK_OPEN) {
		put_text(v, before);
		put_number(v, (unsigned)node->info.open_count);
		before = ", ";
	}
	if (v->marks & MARK_UUID) {
		put_text(v, before);
		put_text(v, node->uuid);
	}
	put(v, ']');
}

static void put_node(struct tree_view *v, const struct tree_node *node, unsigned depth,
		     bool last, bool has_children)
{
	bool compact = v->compact && !v->marks && !v->targets, first_on_line = v->column == 1;
	char *kernel_name;
	int begin;

	if (!*node->name && !v->device && !v->blkdevname)
		return;
	v->more[depth] = !last;
	v->widths[depth] = 0;
	if (!compact || first_on_line)
		put_prefix(v, depth);
	begin = v->column;
	if (compact && !first_on_line)
		put_text(v, v->more[depth] ? v->symbols->first : v->symbols->only);
	put_text(v, node->name);
	kernel_name = v->blkdevname ?
		device_text(v->ds, node->major, node->minor, STYLE_BLKDEVNAME) : NULL;
	if (kernel_name) {
		put_text(v, " <");
		put_text(v, kernel_name);
		put(v, '>');
		free(kernel_name);
	}
	if (v->device) {
		put_text(v, " (");
		put_number(v, node->major);
		put(v, ':');
		put_number(v, node->minor);
		put(v, ')');
	}
	put_marks(v, node);
	if (compact)
		v->widths[depth] = v->column - begin;
	if (!compact || !has_children)
		end_line(v);
	if (v->targets)
		v->more[depth + 1] = has_children;
}

/* -- the walk -------------------------------------------------------------------------- */

static void walk(struct tree_view *v, struct tree_node *const *nodes, size_t n, unsigned depth)
{
	size_t i;

	if (depth + 2 > DEPTH_MAX)
		return;
	for (i = 0; i < n; i++) {
		size_t children = v->inverted ? nodes[i]->nr_used_by : nodes[i]->nr_uses;

		put_node(v, nodes[i], depth, i == n - 1, children != 0);
		if (children)
			walk(v, v->inverted ? nodes[i]->used_by : nodes[i]->uses, children,
			     depth + 1);
	}
}

/* -- as JSON: lsblk's nested children ---------------------------------------------------- */

static void json_nodes(struct dmsetup *ds, struct tree_node *const *nodes, size_t n,
		       unsigned depth)
{
	struct json *json = &ds->json;
	size_t i;

	for (i = 0; i < n && depth < DEPTH_MAX; i++) {
		const struct tree_node *node = nodes[i];
		const char *backing = node->mapped ? NULL :
			control_backing_name(ds->client, node->major, node->minor);

		json_open(json, '{');
		json_name(json, "name");
		json_string(json, backing ? backing : node->name);
		json_name(json, "major");
		json_number(json, node->major);
		json_name(json, "minor");
		json_number(json, node->minor);
		json_name(json, "mapped");
		json_bool(json, node->mapped);
		if (node->mapped) {
			json_name(json, "uuid");
			json_string(json, node->uuid);
			json_name(json, "suspended");
			json_bool(json, node->info.suspended);
			json_name(json, "readonly");
			json_bool(json, node->info.read_only);
			json_name(json, "open");
			json_number(json, (uint64_t)node->info.open_count);
		}
		if (node->nr_uses) {
			json_name(json, "children");
			json_open(json, '[');
			json_nodes(ds, node->uses, node->nr_uses, depth + 1);
			json_close(json, ']');
		}
		json_close(json, '}');
	}
}

bool tree_print(struct dmsetup *ds)
{
	struct tree_node *const *roots;
	struct tree_view v;
	bool good;
	size_t n;

	if (!view_init(&v, ds, ds->o.text[OPT_OPTIONS]))
		return false;
	good = tree_build(ds);
	if (!ds->tree)
		return good;
	n = tree_roots(ds->tree, v.inverted, &roots);
	if (ds->o.json)
		json_nodes(ds, roots, n, 0);
	else
		walk(&v, roots, n, 0);
	return good;
}
