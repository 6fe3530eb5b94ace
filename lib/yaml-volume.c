/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-volume.c - the mapping `volumes`: each volume's keys, the lines of its table, which
 * volumes stand on which, and the order that follows from it.
 *
 * A volume's place among the others is found in two passes: first all names, so that a device
 * argument can be told to be one of them wherever it stands; then everything else.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "yaml-impl.h"

#define VOLUMES_MAX	 100000u
#define LINES_MAX	 1048576u
#define SECTORS_MAX	 ((uint64_t)INT64_MAX >> NDM_SECTOR_SHIFT) /* as the kernel's */
#define EXPORT_BYTES_MAX 4096					   /* as NBD's */
#define NAME_CHARACTERS	 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#+-.:=@_"

struct yaml_volume {
	struct ndm_volume v;
	const struct yaml_node *key, *node;
	unsigned *deps, ndeps, deps_room; /* indexes into yaml.volumes */
	unsigned room;			  /* of v.lines */
	uint64_t end;			  /* sectors of the table so far */
	enum { NEW, OPEN, DONE } state;	  /* while the order is found */
	unsigned next_dep;
};

struct reader {
	struct yaml *yaml;
	struct yaml_volume *volume;
	struct yaml_volume **by_name; /* sorted */
	struct ndm_str name;	      /* the last device's, for yaml_args */
};

/* ---- names ---- */

static int name_order(const void *a, const void *b)
{
	const struct yaml_volume *const *left = a, *const *right = b;

	return strcmp((*left)->v.name, (*right)->v.name);
}

static struct yaml_volume *find_volume(struct reader *r, const char *name)
{
	struct yaml_volume key = { .v = { .name = (char *)(uintptr_t)name } }, *wanted = &key, **found;

	found = bsearch(&wanted, r->by_name, r->yaml->nvolumes, sizeof(wanted), name_order);
	return found ? *found : NULL;
}

/* dmsetup would show any other character as \xNN, and confuse people. */
static void check_word(struct yaml *y, const struct yaml_node *at, const char *what,
		       const char *word, size_t bytes_max)
{
	if (strlen(word) > bytes_max)
		yaml_error(y, at, "%s is longer than %zu bytes", what, bytes_max);
	else if (word[strspn(word, NAME_CHARACTERS)])
		yaml_error(y, at, "%s '%s' may have letters, digits and #+-.:=@_ only", what, word);
}

static void check_name(struct yaml *y, const struct yaml_node *at)
{
	const char *name = at->text;

	if (!*name)
		yaml_error(y, at, "a volume needs a name");
	else if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "control"))
		yaml_error(y, at, "a volume cannot be called '%s'", name);
	else
		check_word(y, at, "a volume's name", name, NDM_NAME_BYTES - 1);
}

/* ---- references ---- */

static void add_dep(struct reader *r, const struct yaml_volume *on)
{
	struct yaml_volume *v = r->volume;
	unsigned index = (unsigned)(on - r->yaml->volumes), *more;

	for (unsigned i = 0; i < v->ndeps; i++)
		if (v->deps[i] == index)
			return;
	if (v->ndeps == v->deps_room) {
		v->deps_room = v->deps_room ? v->deps_room * 2 : 4;
		more = realloc(v->deps, v->deps_room * sizeof(*more));
		if (!more) {
			r->yaml->no_memory = true;
			return;
		}
		v->deps = more;
	}
	v->deps[v->ndeps++] = index;
}

/* The volume that dev:NAME or /dev/mapper/NAME means, if it is one of the file. */
static struct yaml_volume *explicit_volume(struct reader *r, const char *text)
{
	if (!strncmp(text, "dev:", 4))
		return find_volume(r, text + 4);
	if (!strncmp(text, "/dev/mapper/", 12))
		return find_volume(r, text + 12);
	return NULL;
}

/*
 * A device of a mapping: a volume's plain name becomes dev:NAME; everything else has to be
 * recognisable as a path or a URI, so that a misspelt volume does not become a file's name.
 */
static const char *device_name(void *arg, const struct yaml_node *at, const char *text)
{
	struct reader *r = arg;
	struct yaml_volume *on = at->is_path ? NULL : find_volume(r, text);

	if (at->is_path)
		return text;
	if (on) {
		add_dep(r, on);
		r->name.len = 0;
		ndm_printf(&r->name, "dev:%s", text);
		return r->name.text;
	}
	on = explicit_volume(r, text);
	if (on)
		add_dep(r, on);
	if (*text == '/' || !strcmp(text, "-") || strchr(text, ':'))
		return text;
	if (strchr(text, '/'))
		yaml_error(r->yaml, at, "'%s' is a relative path: write it from / on", text);
	else
		yaml_error(
			r->yaml, at,
			"'%s' is no volume of this file, nor a path from /, mem:SIZE or an NBD URI",
			text);
	return NULL;
}

/* Words of a dmsetup line: only dev:NAME and /dev/mapper/NAME can mean a volume. */
static void scan_references(struct reader *r, const char *args)
{
	char word[NDM_NAME_BYTES + 16];

	while (*args) {
		size_t n;

		args += strspn(args, " \t\n");
		n = strcspn(args, " \t\n");
		if (n && n < sizeof(word)) {
			struct yaml_volume *on;

			memcpy(word, args, n);
			word[n] = '\0';
			on = explicit_volume(r, word);
			if (on)
				add_dep(r, on);
		}
		args += n;
	}
}

/* ---- lines ---- */

static void add_line(struct reader *r, const struct yaml_node *at, uint64_t length,
		     const char *type, const char *args)
{
	struct yaml_volume *v = r->volume;
	struct ndm_table_line *more;

	if (v->v.nlines && !v->v.lines[v->v.nlines - 1].nr) {
		yaml_error(r->yaml, at, "%s: the line before it has no length: it must be the last",
			   type);
		return;
	}
	if (!length && !(ndm_target_type_find(type)->features & NDM_TARGET_OWN_SIZE)) {
		yaml_error(r->yaml, at, "%s: the length is 0", type);
		return;
	}
	if (length > SECTORS_MAX || v->end > SECTORS_MAX - length) {
		yaml_error(r->yaml, at, "%s: the volume becomes larger than a device can be", type);
		return;
	}
	if (v->v.nlines == v->room) {
		v->room = v->room ? v->room * 2 : 4;
		more = v->v.nlines < LINES_MAX ? realloc(v->v.lines, v->room * sizeof(*more))
					       : NULL;
		if (!more) {
			r->yaml->no_memory = true;
			return;
		}
		v->v.lines = more;
	}
	v->v.lines[v->v.nlines] = (struct ndm_table_line){
		.start = v->end,
		.nr = length,
		.type = ndm_strdup(type),
		.args = ndm_strdup(args),
	};
	if (!v->v.lines[v->v.nlines].type || !v->v.lines[v->v.nlines].args)
		r->yaml->no_memory = true;
	v->v.nlines++;
	v->end += length;
}

static const struct ndm_target_type *find_type(struct yaml *y, const struct yaml_node *at,
					       const char *name)
{
	const struct ndm_target_type *const *types = ndm_target_types();
	const struct ndm_target_type *type = ndm_target_type_find(name);
	const char **names, *near;
	unsigned n = 0;

	if (type)
		return type;
	while (types[n])
		n++;
	names = ndm_calloc(n + 1, sizeof(*names));
	for (unsigned i = 0; names && i < n; i++)
		names[i] = types[i]->name;
	near = names ? yaml_nearest(name, names, NULL) : NULL;
	if (near)
		yaml_error(y, at, "there is no target '%s': did you mean '%s'?", name, near);
	else
		yaml_error(y, at, "there is no target '%s'", name);
	ndm_free(names);
	return NULL;
}

static void check_start(struct reader *r, const struct yaml_node *at, uint64_t start)
{
	uint64_t end = r->volume->end;

	if (start != end)
		yaml_error(r->yaml, at,
			   "it starts at sector %llu, but the lines before it end at %llu",
			   (unsigned long long)start, (unsigned long long)end);
}

static bool read_length(struct reader *r, const struct ndm_target_type *type,
			const struct yaml_node *value, uint64_t *length)
{
	const struct yaml_node *node = yaml_get(value, "length"), *start = yaml_get(value, "start");
	char what[64];
	uint64_t at;

	if (start) {
		snprintf(what, sizeof(what), "%s: start", type->name);
		if (!yaml_size(r->yaml, start, what, NDM_SECTOR_BYTES, &at))
			check_start(r, start, at);
	}
	if (!node && type->features & NDM_TARGET_OWN_SIZE)
		return true;		/* 0: as long as it is */
	if (!node) {
		yaml_error(r->yaml, value, "%s needs 'length': how much of the volume it is",
			   type->name);
		return false;
	}
	snprintf(what, sizeof(what), "%s: length", type->name);
	return !yaml_size(r->yaml, node, what, NDM_SECTOR_BYTES, length);
}

/* `args`: the argument text as dmsetup has it, for all that a mapping cannot say. */
static void raw_args(struct reader *r, const struct ndm_target_type *type,
		     const struct yaml_node *value, struct ndm_str *out)
{
	const struct yaml_node *node = yaml_get(value, "args");
	const char *text = yaml_text(r->yaml, node, "args");

	for (unsigned i = 0; i < value->n; i += 2) {
		const char *key = value->items[i]->text;

		if (strcmp(key, "args") && strcmp(key, "length") && strcmp(key, "start"))
			yaml_error(r->yaml, value->items[i],
				   "%s: 'args' is all the arguments, '%s' cannot stand beside it",
				   type->name, key);
	}
	if (text) {
		ndm_printf(out, "%s", text);
		scan_references(r, text);
	}
}

/* TYPE: {length: ..., arguments by name} */
static void read_target(struct reader *r, const struct yaml_node *key,
			const struct yaml_node *value)
{
	const struct ndm_target_type *type = find_type(r->yaml, key, key->text);
	struct ndm_str args = { 0 };
	struct yaml_args printer = { .yaml = r->yaml, .out = &args, .device = device_name, .arg = r };
	uint64_t length = 0;
	unsigned before = r->yaml->errors;

	if (!type)
		return;
	if (!yaml_want_map(r->yaml, value, type->name))
		return;
	read_length(r, type, value, &length);
	if (yaml_get(value, "args"))
		raw_args(r, type, value, &args);
	else
		yaml_args_print(&printer, type, value);
	if (before == r->yaml->errors)
		add_line(r, value, length, type->name, args.len ? args.text : "");
	ndm_str_free(&args);
}

static char *cut_word(char **p)
{
	char *word = *p + strspn(*p, " \t\r\n\v\f"), *end;

	end = word + strcspn(word, " \t\r\n\v\f");
	if (end == word)
		return NULL;
	*p = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* "[START] LENGTH TYPE ARGUMENTS"; the text is cut up */
static void read_text_line(struct reader *r, const struct yaml_node *at, char *text)
{
	char *first = cut_word(&text), *second = cut_word(&text), *type = second, *comment;
	uint64_t start = r->volume->end, length, number;
	const struct ndm_target_type *known;

	if (!first || !second || yaml_size_text(first, NDM_SECTOR_BYTES, &length)) {
		yaml_error(r->yaml, at,
			   "a line of a table is [START] LENGTH TYPE and the target's arguments");
		return;
	}
	if (!yaml_size_text(second, NDM_SECTOR_BYTES, &number)) {
		start = length;
		length = number;
		type = cut_word(&text);
		if (!type) {
			yaml_error(r->yaml, at,
				   "a line of a table needs the target's type behind the length");
			return;
		}
	}
	known = find_type(r->yaml, at, type);
	if (!known)
		return;
	check_start(r, at, start);
	comment = strchr(text, '#');
	if (comment)
		*comment = '\0';
	text += strspn(text, " \t\r\n\v\f");
	for (size_t n = strlen(text); n && isspace((unsigned char)text[n - 1]);)
		text[--n] = '\0';
	scan_references(r, text);
	add_line(r, at, length, known->name, text);
}

/* One text may be several lines (a literal block), as dmsetup reads them. */
static void read_text(struct reader *r, const struct yaml_node *node)
{
	const char *value = yaml_text(r->yaml, node, "a line of the table");
	char *copy = value ? ndm_strdup(value) : NULL, *next;

	if (value && !copy)
		r->yaml->no_memory = true;
	for (char *line = copy; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line += strspn(line, " \t\r\v\f");
		if (*line && *line != '#')
			read_text_line(r, node, line);
	}
	ndm_free(copy);
}

static void read_table(struct reader *r, const struct yaml_node *node)
{
	if (node->kind == YAML_SCALAR) {
		read_text(r, node);
		return;
	}
	if (node->kind == YAML_MAP) {
		yaml_error(r->yaml, node, "table has to be a list: put '- ' before each target");
		return;
	}
	for (unsigned i = 0; i < node->n; i++) {
		const struct yaml_node *item = node->items[i];

		if (item->kind == YAML_SCALAR)
			read_text(r, item);
		else if (item->kind == YAML_MAP && item->n == 2)
			read_target(r, item->items[0], item->items[1]);
		else if (item->kind == YAML_MAP)
			yaml_error(
				r->yaml, item,
				"one target each: this one has %u (indent its arguments, perhaps)",
				item->n / 2);
		else
			yaml_error(r->yaml, item,
				   "a line of the table has to be TYPE: {...} or a text");
	}
}

/* ---- the other keys ---- */

static char *copy_text(struct reader *r, const struct yaml_node *node, const char *what)
{
	const char *text = yaml_text(r->yaml, node, what);
	char *copy = text ? ndm_strdup(text) : NULL;

	if (text && !copy)
		r->yaml->no_memory = true;
	return copy;
}

static void read_export(struct reader *r, const struct yaml_node *node)
{
	static const char *const known[] = { "name", "description", NULL };
	struct ndm_volume *v = &r->volume->v;
	const struct yaml_node *name = node;
	bool on;

	if (node->kind == YAML_SCALAR && node->plain &&
	    (!strcmp(node->text, "false") || !strcmp(node->text, "true") ||
	     !strcmp(node->text, "no") || !strcmp(node->text, "yes"))) {
		yaml_bool(r->yaml, node, "export", &on);
		v->no_export = !on;
		return;
	}
	if (node->kind == YAML_MAP) {
		const struct yaml_node *text = yaml_get(node, "description");

		yaml_check_keys(r->yaml, node, "export", known, NULL);
		if (text)
			v->description = copy_text(r, text, "export: description");
		name = yaml_get(node, "name");
	}
	if (name)
		v->export_name = copy_text(r, name, "export");
	if (v->export_name && strlen(v->export_name) > EXPORT_BYTES_MAX)
		yaml_error(r->yaml, name, "export: a name of more than %u bytes", EXPORT_BYTES_MAX);
}

static void read_uuid(struct reader *r, const struct yaml_node *node)
{
	char *uuid = copy_text(r, node, "uuid");

	r->volume->v.uuid = uuid;
	if (uuid)
		check_word(r->yaml, node, "uuid", uuid, NDM_UUID_BYTES - 1);
}

/* Clients that may connect: a kind of name, and a pattern for it. */
static void read_allow(struct reader *r, const struct yaml_node *node)
{
	static const char *const kinds[] = { "psk:", "cn:", "dn:" };
	struct ndm_volume *v = &r->volume->v;
	int err = yaml_texts(r->yaml, node, "allow", &v->allow, &v->nallow);
	unsigned i, k;

	if (err) {
		r->yaml->no_memory |= err == -ENOMEM;
		return;
	}
	for (i = 0; i < v->nallow; i++) {
		const struct yaml_node *at = node->kind == YAML_LIST ? node->items[i] : node;
		const char *text = v->allow[i];

		for (k = 0; k < 3 && strncmp(text, kinds[k], strlen(kinds[k])); k++)
			;
		if (k == 3 || !text[strlen(kinds[k])])
			yaml_error(r->yaml, at,
				   "allow has to be psk:USER, cn:NAME or dn:SUBJECT, not '%s'", text);
	}
}

static void read_loop(struct reader *r, const struct yaml_node *node)
{
	uint64_t loop;

	if (!yaml_unsigned(r->yaml, node, "loop", 1023, &loop))
		r->volume->v.loop = (int)loop;
}

static const char *const volume_keys[] = { "uuid", "read_only", "export", "allow",
					   "loop", "table", NULL };

static bool is_volume_key(const char *key)
{
	for (unsigned i = 0; volume_keys[i]; i++)
		if (!strcmp(key, volume_keys[i]))
			return true;
	return false;
}

/* Whatever is no key of a volume is a target: the volume's only one. */
static void read_shorthand(struct reader *r, const struct yaml_node *node)
{
	bool table = yaml_get(node, "table");
	const struct yaml_node *target = NULL;

	for (unsigned i = 0; i < node->n; i += 2) {
		const struct yaml_node *key = node->items[i];
		const char *near;

		if (is_volume_key(key->text))
			continue;
		near = ndm_target_type_find(key->text) ? NULL
						       : yaml_nearest(key->text, volume_keys, NULL);
		if (near) {
			yaml_error(r->yaml, key, "unknown key '%s' in a volume: did you mean '%s'?",
				   key->text, near);
		} else if (table || target) {
			yaml_error(r->yaml, key,
				   "unknown key '%s': targets beyond the first go into 'table'",
				   key->text);
		} else {
			target = key;
			read_target(r, key, node->items[i + 1]);
		}
	}
	if (!table && !target)
		yaml_error(r->yaml, r->volume->key, "volume '%s' has no table", r->volume->v.name);
}

static void read_volume(struct reader *r)
{
	const struct yaml_node *node = r->volume->node, *value;
	struct ndm_volume *v = &r->volume->v;
	unsigned before = r->yaml->errors;

	v->loop = -1;
	v->line = r->volume->key->line;
	v->column = r->volume->key->column;
	if (!yaml_want_map(r->yaml, node, v->name))
		return;
	value = yaml_get(node, "uuid");
	if (value)
		read_uuid(r, value);
	value = yaml_get(node, "read_only");
	if (value)
		yaml_bool(r->yaml, value, "read_only", &v->read_only);
	value = yaml_get(node, "export");
	if (value)
		read_export(r, value);
	value = yaml_get(node, "allow");
	if (value)
		read_allow(r, value);
	value = yaml_get(node, "loop");
	if (value)
		read_loop(r, value);
	value = yaml_get(node, "table");
	if (value)
		read_table(r, value);
	read_shorthand(r, node);
	if (!v->nlines && before == r->yaml->errors)
		yaml_error(r->yaml, r->volume->key, "volume '%s' has an empty table", v->name);
}

/* ---- all of them ---- */

struct label {
	const char *label;
	const struct yaml_volume *v;
};

static int label_order(const void *a, const void *b)
{
	const struct label *left = a, *right = b;
	int order = strcmp(left->label, right->label);

	return order ? order : left->v < right->v ? -1 : left->v > right->v;
}

/* No two volumes under one uuid, or under one name of an export. */
static void check_unique(struct yaml *y, bool uuid)
{
	struct label *list;
	unsigned n = 0;

	list = ndm_calloc(y->nvolumes, sizeof(*list));
	if (!list) {
		y->no_memory = true;
		return;
	}
	for (unsigned i = 0; i < y->nvolumes; i++) {
		const struct ndm_volume *v = &y->volumes[i].v;
		const char *label = uuid ? v->uuid : v->export_name ? v->export_name : v->name;

		if (!label || (!uuid && v->no_export))
			continue;
		list[n].label = label;
		list[n++].v = &y->volumes[i];
	}
	qsort(list, n, sizeof(*list), label_order);
	for (unsigned i = 1; i < n; i++)
		if (!strcmp(list[i - 1].label, list[i].label))
			yaml_error(y, list[i].v->key, "volumes '%s' and '%s' have the same %s '%s'",
				   list[i - 1].v->v.name, list[i].v->v.name,
				   uuid ? "uuid" : "export name", list[i].label);
	ndm_free(list);
}

static void say_cycle(struct yaml *y, struct yaml_volume *const *stack, unsigned depth,
		      const struct yaml_volume *again)
{
	struct ndm_str way = { 0 };
	unsigned i = depth;

	while (i && stack[i - 1] != again)
		i--;
	for (i -= i > 0; i < depth; i++)
		ndm_printf(&way, "%s -> ", stack[i]->v.name);
	if (stack[depth - 1] == again)
		yaml_error(y, again->key, "volume '%s' stands on itself", again->v.name);
	else
		yaml_error(y, again->key, "volumes stand on each other in a circle: %s%s", way.text,
			   again->v.name);
	ndm_str_free(&way);
}

/*
 * Depth first, without recursion: a chain of volumes may be long and a task's stack is not.
 * Volumes leave in the order in which they can be made.
 */
static bool visit(struct yaml *y, struct yaml_volume *v, struct yaml_volume **stack,
		  struct yaml_volume **order, unsigned *n)
{
	unsigned depth = 0;

	if (v->state == DONE)
		return true;
	v->state = OPEN;
	stack[depth++] = v;
	while (depth) {
		struct yaml_volume *top = stack[depth - 1], *on;

		if (top->next_dep == top->ndeps) {
			top->state = DONE;
			order[(*n)++] = top;
			depth--;
			continue;
		}
		on = &y->volumes[top->deps[top->next_dep++]];
		if (on->state == OPEN) {
			say_cycle(y, stack, depth, on);
			return false;
		}
		if (on->state == NEW) {
			on->state = OPEN;
			stack[depth++] = on;
		}
	}
	return true;
}

static void hand_over(struct yaml *y)
{
	struct yaml_volume **order = ndm_calloc(y->nvolumes, 2 * sizeof(*order)), **stack;
	struct ndm_volume *out = ndm_calloc(y->nvolumes, sizeof(*out));
	unsigned n = 0;
	bool ok = order && out;

	y->no_memory |= !ok;
	stack = order + y->nvolumes;
	for (unsigned i = 0; ok && i < y->nvolumes; i++)
		ok = visit(y, &y->volumes[i], stack, order, &n);
	if (!ok || y->errors) {
		ndm_free(out);
		ndm_free(order);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		out[i] = order[i]->v;
		memset(&order[i]->v, 0, sizeof(order[i]->v)); /* belongs to the configuration now */
	}
	y->config->volumes = out;
	y->config->nvolumes = n;
	ndm_free(order);
}

void yaml_read_volumes(struct yaml *y, const struct yaml_node *node)
{
	struct reader r = { .yaml = y };
	unsigned n = node->n / 2;

	if (yaml_is_null(node))
		return;
	if (!yaml_want_map(y, node, "volumes"))
		return;
	if (n > VOLUMES_MAX) {
		yaml_error(y, node, "%u volumes, more than %u", n, VOLUMES_MAX);
		return;
	}
	y->volumes = ndm_calloc(n, sizeof(*y->volumes));
	r.by_name = ndm_calloc(n, sizeof(*r.by_name));
	y->no_memory |= !y->volumes || !r.by_name;
	for (unsigned i = 0; i < n && !y->no_memory; i++) {
		struct yaml_volume *v = &y->volumes[i];

		v->key = node->items[2 * i];
		v->node = node->items[2 * i + 1];
		v->v.name = ndm_strdup(v->key->text);
		y->no_memory |= !v->v.name;
		y->nvolumes++;
		r.by_name[i] = v;
		check_name(y, v->key);
	}
	if (!y->no_memory) {
		qsort(r.by_name, n, sizeof(*r.by_name), name_order);
		for (unsigned i = 1; i < n; i++)
			if (!name_order(&r.by_name[i - 1], &r.by_name[i]))
				yaml_error(y, r.by_name[i]->key, "there are two volumes '%s': one stands "
					   "inside another", r.by_name[i]->v.name);
		for (unsigned i = 0; i < n; i++) {
			r.volume = &y->volumes[i];
			read_volume(&r);
		}
		check_unique(y, true);
		check_unique(y, false);
	}
	if (!y->no_memory)
		hand_over(y);
	ndm_str_free(&r.name);
	ndm_free(r.by_name);
}

void yaml_volumes_free(struct yaml *y)
{
	for (unsigned i = 0; i < y->nvolumes; i++) {
		struct ndm_volume *v = &y->volumes[i].v;

		for (unsigned j = 0; j < v->nlines; j++) {
			free((void *)(uintptr_t)v->lines[j].type);
			free((void *)(uintptr_t)v->lines[j].args);
		}
		free(v->lines);
		ndm_free(v->name);
		ndm_free(v->uuid);
		ndm_free(v->export_name);
		ndm_free(v->description);
		for (unsigned j = 0; j < v->nallow; j++)
			ndm_free(v->allow[j]);
		ndm_free(v->allow);
		free(y->volumes[i].deps);
	}
	ndm_free(y->volumes);
}
