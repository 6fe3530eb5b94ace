/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree.c - which device uses which: the graph behind `ls --tree`, `ndm tree` and the fields of
 * reports that name users.  Order matters, because it is shown: devices come in the order of
 * the list, what they use in the order of `deps`.
 */
#include "dmsetup.h"

#include <ndm-control.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define DEPTH_MAX 100		/* of stacking; a kernel gives up far earlier */

struct tree {
	struct tree_node **nodes;	/* all */
	size_t nr_nodes;
	struct tree_node **tops, **bottoms;	/* in the order in which they became so */
	size_t nr_tops, nr_bottoms;
};

static bool append(struct tree_node ***list, size_t *n, struct tree_node *node)
{
	struct tree_node **longer = realloc(*list, (*n + 1) * sizeof(*longer));

	if (!longer) {
		say("Out of memory.");
		return false;
	}
	*list = longer;
	longer[(*n)++] = node;
	return true;
}

static void take_out(struct tree_node **list, size_t *n, const struct tree_node *node)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (list[i] == node) {
			memmove(list + i, list + i + 1, (--*n - i) * sizeof(*list));
			return;
		}
}

static bool contains(struct tree_node *const *list, size_t n, const struct tree_node *node)
{
	while (n--)
		if (list[n] == node)
			return true;
	return false;
}

static struct tree_node *find(const struct tree *tree, unsigned major, unsigned minor)
{
	size_t i;

	for (i = 0; i < tree->nr_nodes; i++)
		if (tree->nodes[i]->major == major && tree->nodes[i]->minor == minor)
			return tree->nodes[i];
	return NULL;
}

const struct tree_node *tree_find(const struct tree *tree, unsigned major, unsigned minor)
{
	return find(tree, major, minor);
}

size_t tree_roots(const struct tree *tree, bool inverted, struct tree_node *const **roots)
{
	*roots = inverted ? tree->bottoms : tree->tops;
	return inverted ? tree->nr_bottoms : tree->nr_tops;
}

/* A node that knows its name, and the devices that it uses; *deps stays NULL for others. */
static struct tree_node *node_new(struct dmsetup *ds, unsigned major, unsigned minor,
				  struct task **deps)
{
	struct tree_node *node = calloc(1, sizeof(*node));
	struct task *task = NULL;

	*deps = NULL;
	if (!node)
		goto bad;
	node->major = major;
	node->minor = minor;
	if (major == NDM_CTL_MAJOR) {
		task = task_new(ds->client, TASK_DEPS);
		if (!task)
			goto bad;
		task_set_device(task, major, minor);
		if (!task_run(task))
			goto bad;
		task_info(task, &node->info);
		node->mapped = true;
	}
	node->name = strdup(task ? task_name(task) : "");
	node->uuid = strdup(task ? task_uuid(task) : "");
	if (!node->name || !node->uuid)
		goto bad;
	*deps = task;
	return node;
bad:
	task_free(task);
	if (node) {
		free(node->name);
		free(node->uuid);
	}
	free(node);
	return NULL;
}

static bool link_nodes(struct tree *tree, struct tree_node *parent, struct tree_node *node)
{
	if (!parent)
		return node->nr_used_by || contains(tree->tops, tree->nr_tops, node) ||
			append(&tree->tops, &tree->nr_tops, node);
	take_out(tree->tops, &tree->nr_tops, node);
	if (contains(parent->uses, parent->nr_uses, node))
		return true;
	return append(&parent->uses, &parent->nr_uses, node) &&
		append(&node->used_by, &node->nr_used_by, parent);
}

/* parent NULL: whoever uses it, if anybody does, comes later */
static bool add_device(struct dmsetup *ds, struct tree_node *parent, unsigned major,
		       unsigned minor, unsigned depth)
{
	struct tree *tree = ds->tree;
	struct tree_node *node = find(tree, major, minor);
	struct task *task = NULL;
	const uint64_t *devs;
	uint32_t count = 0, i;
	bool good;

	if (node)
		return link_nodes(tree, parent, node);
	if (depth > DEPTH_MAX)
		return false;
	node = node_new(ds, major, minor, &task);
	if (!node)
		return false;
	good = append(&tree->nodes, &tree->nr_nodes, node) && link_nodes(tree, parent, node);
	devs = task ? task_deps(task, &count) : NULL;
	if (good && !count)
		good = append(&tree->bottoms, &tree->nr_bottoms, node);
	for (i = 0; good && i < count; i++)
		good = add_device(ds, node, major(devs[i]), minor(devs[i]), depth + 1);
	task_free(task);
	return good;
}

static bool add_one(struct dmsetup *ds, const struct call *call)
{
	return add_device(ds, NULL, major(call->dev), minor(call->dev), 0);
}

/* Says "No devices found" where there are none; what there is of a tree may be used anyway. */
bool tree_build(struct dmsetup *ds)
{
	struct call call = { 0 };

	if (ds->tree)
		return true;
	ds->tree = calloc(1, sizeof(*ds->tree));
	if (!ds->tree) {
		say("Out of memory.");
		return false;
	}
	return for_all(ds, &call, add_one, false);
}

void tree_free(struct tree *tree)
{
	size_t i;

	if (!tree)
		return;
	for (i = 0; i < tree->nr_nodes; i++) {
		free(tree->nodes[i]->name);
		free(tree->nodes[i]->uuid);
		free(tree->nodes[i]->uses);
		free(tree->nodes[i]->used_by);
		free(tree->nodes[i]);
	}
	free(tree->nodes);
	free(tree->tops);
	free(tree->bottoms);
	free(tree);
}
