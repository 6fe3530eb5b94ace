/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-nest.c - what stands inside a volume and is one itself: before volumes are read, a device
 * that is written as a mapping becomes a volume of its own, not exported, called after the one
 * that it stands in and the argument that it stands for.
 *
 *	vm:                                     vm.meta:   {export: false, linear: ...ssd.img...}
 *	  cache:                                vm.fast:   {export: false, linear: ...ssd.img...}
 *	    mode: writeback              ->     vm.origin: {export: false, luks: {device: slow.img, key: ...}}
 *	    fast: {file: ssd.img, size: 64M}    vm: {cache: {metadata: vm.meta, cache: vm.fast,
 *	    origin: {luks: {...}}}                           origin: vm.origin, features: [writeback, ...]}}
 *
 * {file: PATH} is that file, and with `size` (and `offset`) a part of it; a relative path begins
 * at the folder of the definition.  A secret's name becomes the place where its key is.  Nodes
 * of the file may be shared (aliases), so that they are copied and never changed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "yaml-impl.h"

#define MADE_MAX 100000u
#define META_MIN_BYTES (4u << 20)
#define CACHE_BLOCK_BYTES 65536u
#define META_BLOCK_BYTES 4096u

struct nest {
	struct yaml *yaml;
	struct yaml_node *volumes;	/* grows while it is walked */
	const struct yaml_node *secrets;
	const char *volume;		/* the name of the one being walked */
	const struct yaml_node *at;
	unsigned made;
};

static struct yaml_node *nest_args(struct nest *, const struct ndm_arg *, struct yaml_node *map,
				   const char *name);

/* ---- nodes of our own: all belong to the document, and where memory ends nothing is read ---- */

static struct yaml_node *node_make(struct nest *n, enum yaml_kind kind, const char *text)
{
	struct yaml_node *node = ndm_zalloc(sizeof(*node));

	if (!node || (text && !(node->text = ndm_strdup(text)))) {
		ndm_free(node);
		n->yaml->no_memory = true;
		return NULL;
	}
	node->kind = kind;
	node->line = n->at->line;
	node->column = n->at->column;
	node->weight = 1;
	node->all = n->yaml->all;
	n->yaml->all = node;
	return node;
}

static void node_add(struct nest *n, struct yaml_node *parent, struct yaml_node *child)
{
	struct yaml_node **more;

	if (!parent || !child)
		return;
	if (parent->n == parent->room) {
		more = realloc(parent->items, (parent->room * 2 + 4) * sizeof(*more));
		if (!more) {
			n->yaml->no_memory = true;
			return;
		}
		parent->items = more;
		parent->room = parent->room * 2 + 4;
	}
	parent->items[parent->n++] = child;
}

static void map_put(struct nest *n, struct yaml_node *map, const char *key, struct yaml_node *value)
{
	struct yaml_node *word = value ? node_make(n, YAML_SCALAR, key) : NULL;

	if (!map || !word)
		return;
	node_add(n, map, word);
	node_add(n, map, value);
	map->n -= map->n % 2;		/* never half a pair */
}

static void map_put_text(struct nest *n, struct yaml_node *map, const char *key, const char *text)
{
	map_put(n, map, key, node_make(n, YAML_SCALAR, text));
}

static void map_put_number(struct nest *n, struct yaml_node *map, const char *key, uint64_t number,
			   const char *unit)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu%s", (unsigned long long)number, unit);
	map_put_text(n, map, key, text);
}

/* A copy whose items may be replaced; the items themselves are shared. */
static struct yaml_node *node_copy(struct nest *n, const struct yaml_node *from)
{
	struct yaml_node *copy = node_make(n, from->kind, NULL);

	if (!copy)
		return NULL;
	copy->line = from->line;
	copy->column = from->column;
	for (unsigned i = 0; i < from->n; i++)
		node_add(n, copy, from->items[i]);
	copy->n = copy->n == from->n ? copy->n : 0;
	return copy;
}

static void map_drop(struct yaml_node *map, const char *key)
{
	for (unsigned i = 0; i < map->n; i += 2)
		if (!strcmp(map->items[i]->text, key)) {
			map->n -= 2;
			map->items[i] = map->items[map->n];
			map->items[i + 1] = map->items[map->n + 1];
			return;
		}
}

/* ---- places ---- */

/* PATH of {file: PATH}: where the definition lies, if it does not begin with / */
static struct yaml_node *file_node(struct nest *n, const struct yaml_node *file)
{
	const char *path = yaml_text(n->yaml, file, "file"), *slash = strrchr(n->yaml->path, '/');
	struct ndm_str text = { 0 };
	struct yaml_node *node;

	if (!path)
		return NULL;
	if (*path != '/' && slash)
		ndm_printf(&text, "%.*s/%s", (int)(slash - n->yaml->path), n->yaml->path, path);
	else
		ndm_printf(&text, "%s", path);
	node = text.text ? node_make(n, YAML_SCALAR, text.text) : NULL;
	if (node) {
		node->is_path = true;
		node->line = file->line;
		node->column = file->column;
	}
	ndm_str_free(&text);
	return node;
}

/* A new volume, walked in its turn; its name as a device. */
static struct yaml_node *volume_make(struct nest *n, const char *argument, struct yaml_node *body)
{
	struct ndm_str name = { 0 };
	struct yaml_node *node = NULL;

	if (++n->made > MADE_MAX) {
		yaml_error(n->yaml, n->at, "more than %u volumes inside volumes", MADE_MAX);
		return NULL;
	}
	ndm_printf(&name, "%s.%s", n->volume, argument);
	if (body && !yaml_get(body, "export")) {
		map_put_text(n, body, "export", "false");
		if (body->n)
			body->items[body->n - 1]->plain = true;
	}
	if (body && name.text) {
		map_put(n, n->volumes, name.text, body);
		node = node_make(n, YAML_SCALAR, name.text);
	}
	ndm_str_free(&name);
	return node;
}

/* {linear: {length: bytes, device: file, offset: bytes}} */
static struct yaml_node *part_make(struct nest *n, struct yaml_node *file, uint64_t offset,
				   uint64_t bytes)
{
	struct yaml_node *body = node_make(n, YAML_MAP, NULL), *linear = node_make(n, YAML_MAP, NULL);

	if (!body || !linear || !file)
		return NULL;
	map_put_number(n, linear, "length", bytes, "b");
	map_put(n, linear, "device", file);
	map_put_number(n, linear, "offset", offset, "b");
	map_put(n, body, "linear", linear);
	return body;
}

struct place { struct yaml_node *file; uint64_t offset, bytes; bool sized; };

/* {file: PATH, size: BYTES, offset: BYTES} */
static bool place_read(struct nest *n, const struct yaml_node *node, const char *what,
		       struct place *p)
{
	static const char *const keys[] = { "file", "size", "offset", NULL };
	const struct yaml_node *size = yaml_get(node, "size"), *offset = yaml_get(node, "offset");
	unsigned before = n->yaml->errors;

	*p = (struct place){ 0 };
	yaml_check_keys(n->yaml, node, what, keys, NULL);
	p->file = file_node(n, yaml_get(node, "file"));
	p->sized = size;
	if (size)
		yaml_size(n->yaml, size, "size", 1, &p->bytes);
	if (offset)
		yaml_size(n->yaml, offset, "offset", 1, &p->offset);
	if (offset && !size)
		yaml_error(n->yaml, offset, "%s: 'offset' needs 'size' beside it", what);
	return before == n->yaml->errors && p->file;
}

/* What a device argument is to be in place of a mapping. */
static struct yaml_node *nest_device(struct nest *n, struct yaml_node *value, const char *name)
{
	struct yaml_node *copy;
	struct place p;

	if (value->kind != YAML_MAP)
		return value;
	n->at = value;
	if (yaml_get(value, "file")) {
		if (!place_read(n, value, name, &p))
			return NULL;
		return p.sized ? volume_make(n, name, part_make(n, p.file, p.offset, p.bytes))
			       : p.file;
	}
	copy = node_copy(n, value);
	return copy ? volume_make(n, name, copy) : NULL;
}

/* ---- keys that are ours ---- */

/* `secret: NAME` of luks is where the key is; `backing` is the device */
static void nest_luks(struct nest *n, struct yaml_node *map)
{
	const struct yaml_node *secret = yaml_get(map, "secret");
	struct yaml_node *backing = yaml_get(map, "backing"), *place = NULL;
	const char *name = secret ? yaml_text(n->yaml, secret, "secret") : NULL;

	if (backing && !yaml_get(map, "device")) {
		map_drop(map, "backing");
		map_put(n, map, "device", backing);
	}
	if (!name || yaml_get(map, "key"))
		return;
	if (n->secrets && n->secrets->kind == YAML_MAP)
		place = yaml_get(n->secrets, name);
	if (!place)
		yaml_error(n->yaml, secret, "there is no secret '%s' in 'secrets'", name);
	map_drop(map, "secret");
	if (place)
		map_put(n, map, "key", place);
}

/*
 * `fast` of cache: metadata first, the cached blocks behind them.  16 bytes a block and as much
 * again for what is being changed; never less than 4 MiB.
 */
static void nest_fast(struct nest *n, struct yaml_node *map, const struct yaml_node *fast)
{
	const struct yaml_node *block = yaml_get(map, "block_size");
	uint64_t block_bytes = CACHE_BLOCK_BYTES, meta;
	struct place p;

	n->at = fast;
	if (fast->kind != YAML_MAP || !yaml_get(fast, "file") || !yaml_get(fast, "size")) {
		yaml_error(n->yaml, fast, "fast has to be {file: PATH, size: SIZE}: metadata and cached "
			   "blocks are parts of it");
		return;
	}
	if (!place_read(n, fast, "fast", &p) ||
	    (block && yaml_size(n->yaml, block, "block_size", 512, &block_bytes)))
		return;
	block_bytes = block ? block_bytes * 512 : block_bytes;
	meta = block_bytes ? p.bytes / block_bytes * 32 : 0;
	meta = (meta + META_MIN_BYTES + META_BLOCK_BYTES - 1) / META_BLOCK_BYTES * META_BLOCK_BYTES;
	if (p.bytes < meta + block_bytes) {
		yaml_error(n->yaml, fast, "fast: its metadata alone take %llu bytes",
			   (unsigned long long)meta);
		return;
	}
	map_put(n, map, "metadata", volume_make(n, "meta", part_make(n, p.file, p.offset, meta)));
	map_put(n, map, "cache",
		volume_make(n, "fast", part_make(n, p.file, p.offset + meta, p.bytes - meta)));
	if (!block)
		map_put_number(n, map, "block_size", CACHE_BLOCK_BYTES, "b");
}

static void nest_cache(struct nest *n, struct yaml_node *map)
{
	static const char *const modes[] = { "writeback", "writethrough", "passthrough", NULL };
	struct yaml_node *fast = yaml_get(map, "fast"), *mode = yaml_get(map, "mode"), *features;
	const char *text = mode ? yaml_text(n->yaml, mode, "mode") : "writethrough";
	unsigned i = 0;

	if (!fast && !mode)
		return;
	n->at = mode ? mode : fast;
	while (text && modes[i] && strcmp(modes[i], text))
		i++;
	if (text && !modes[i])
		yaml_error(n->yaml, mode, "mode is writeback, writethrough or passthrough, not '%s'", text);
	if (yaml_get(map, "features")) {
		yaml_error(n->yaml, n->at, "cache: 'features' cannot stand beside 'mode' and 'fast'");
		return;
	}
	map_drop(map, "mode");
	map_drop(map, "fast");
	features = node_make(n, YAML_LIST, NULL);
	if (features && text) {
		if (fast)
			node_add(n, features, node_make(n, YAML_SCALAR, "metadata2"));
		node_add(n, features, node_make(n, YAML_SCALAR, text));
		map_put(n, map, "features", features);
	}
	if (fast)
		nest_fast(n, map, fast);
}

/* ---- arguments ---- */

/* Each mapping of a list: NAME.0, NAME.1, ... */
static struct yaml_node *nest_list(struct nest *n, const struct ndm_arg *arg,
				   const struct yaml_node *list, const char *name)
{
	struct yaml_node *copy = node_copy(n, list);
	char item[NDM_NAME_BYTES];

	for (unsigned i = 0; copy && i < copy->n; i++) {
		snprintf(item, sizeof(item), "%.100s.%u", name, i);
		if (copy->items[i]->kind == YAML_MAP)
			copy->items[i] = nest_args(n, arg->sub, copy->items[i], item);
		if (!copy->items[i])
			return NULL;
	}
	return copy;
}

/* A copy of the mapping in which every device is a text; NULL after an error. */
static struct yaml_node *nest_args(struct nest *n, const struct ndm_arg *arg, struct yaml_node *map,
				   const char *name)
{
	struct yaml_node *copy = node_copy(n, map);
	char inner[NDM_NAME_BYTES];

	for (; copy && arg && arg->name; arg++)
		for (unsigned i = 1; i < copy->n; i += 2) {
			struct yaml_node *value = copy->items[i];

			if (strcmp(copy->items[i - 1]->text, arg->name))
				continue;
			snprintf(inner, sizeof(inner), "%.80s%s%.40s", name, *name ? "." : "",
				 arg->name);
			if (arg->kind == NDM_ARG_DEVICE)
				value = nest_device(n, value, inner);
			else if (arg->kind == NDM_ARG_LIST && value->kind == YAML_LIST)
				value = nest_list(n, arg, value, inner);
			else if (arg->kind == NDM_ARG_GROUP && value->kind == YAML_MAP)
				value = nest_args(n, arg->sub, value, inner);
			if (!value)
				return NULL;
			copy->items[i] = value;
		}
	return copy;
}

static struct yaml_node *nest_target(struct nest *n, const struct ndm_target_type *type,
				     struct yaml_node *map, const char *prefix)
{
	struct yaml_node *copy = node_copy(n, map);

	if (!copy)
		return NULL;
	n->at = map;
	if (!strcmp(type->name, "luks"))
		nest_luks(n, copy);
	else if (!strcmp(type->name, "cache"))
		nest_cache(n, copy);
	return nest_args(n, type->args, copy, prefix);
}

/* ---- volumes ---- */

/* A list of targets; in a volume of several each has its number in the names below it. */
static struct yaml_node *nest_table(struct nest *n, const struct yaml_node *table)
{
	struct yaml_node *copy = node_copy(n, table), *item;
	char prefix[16];

	for (unsigned i = 0; copy && i < copy->n; i++) {
		const struct ndm_target_type *type;

		item = copy->items[i];
		type = item->kind == YAML_MAP && item->n == 2 ?
			ndm_target_type_find(item->items[0]->text) : NULL;
		if (!type || item->items[1]->kind != YAML_MAP)
			continue;
		snprintf(prefix, sizeof(prefix), "%u", i);
		item = node_copy(n, item);
		if (item)
			item->items[1] = nest_target(n, type, item->items[1], copy->n > 1 ? prefix : "");
		if (!item || !item->items[1])
			return NULL;
		copy->items[i] = item;
	}
	return copy;
}

static struct yaml_node *nest_volume(struct nest *n, struct yaml_node *volume)
{
	struct yaml_node *copy = node_copy(n, volume), *value;

	for (unsigned i = 0; copy && i + 1 < copy->n; i += 2) {
		const char *key = copy->items[i]->text;
		const struct ndm_target_type *type = ndm_target_type_find(key);

		value = copy->items[i + 1];
		if (!strcmp(key, "table") && value->kind == YAML_LIST)
			value = nest_table(n, value);
		else if (type && value->kind == YAML_MAP)
			value = nest_target(n, type, value, "");
		if (!value)
			return NULL;
		copy->items[i + 1] = value;
	}
	return copy;
}

static void check_secrets(struct yaml *y, const struct yaml_node *secrets)
{
	static const char *const kinds[] = { "file", "fd", "credential", "exec", "user", NULL };

	if (!secrets || yaml_is_null(secrets) || !yaml_want_map(y, secrets, "secrets"))
		return;
	for (unsigned i = 1; i < secrets->n; i += 2) {
		const struct yaml_node *place = secrets->items[i];

		if (place->kind == YAML_SCALAR)
			continue;
		if (yaml_want_map(y, place, "a secret"))
			yaml_check_keys(y, place, "a secret", kinds, NULL);
	}
}

struct yaml_node *yaml_nest(struct yaml *y, struct yaml_node *volumes,
			    const struct yaml_node *secrets)
{
	struct nest n = { .yaml = y, .secrets = secrets, .at = volumes };
	unsigned before = y->errors;		/* of the rest of the file */

	check_secrets(y, secrets);
	if (!volumes || volumes->kind != YAML_MAP)
		return volumes;
	n.volumes = node_copy(&n, volumes);
	for (unsigned i = 0; n.volumes && !y->no_memory && i + 1 < n.volumes->n; i += 2) {
		struct yaml_node *volume = n.volumes->items[i + 1];

		if (volume->kind != YAML_MAP)
			continue;
		n.volume = n.volumes->items[i]->text;
		n.at = volume;
		volume = nest_volume(&n, volume);
		if (volume)
			n.volumes->items[i + 1] = volume;
		else if (y->errors == before)
			y->no_memory = true;
	}
	return n.volumes && !y->no_memory && y->errors == before ? n.volumes : NULL;
}
