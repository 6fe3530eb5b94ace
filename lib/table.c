/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - from lines of text to a table of targets, and what the core checks about it.
 *
 * The order of the checks and their sentences are the kernel's (dm-table.c of 6.12), because
 * scripts see the order through errno, and people know the sentences.
 */
#include <ctype.h>
#include <stdlib.h>

#include "core.h"

#define SECTORS_MAX ((uint64_t)INT64_MAX >> NDM_SECTOR_SHIFT)
#define LINES_MAX (1u << 20)

/* White space separates words; a backslash takes the next character as it is.  Works in place. */
int split_words(char *text, unsigned *argc, char ***argv)
{
	char *in = text, *out, **grown, **list = NULL;
	unsigned n = 0, cap = 0;

	for (;;) {
		while (isspace((unsigned char)*in))
			in++;
		if (!*in)
			break;
		if (n + 1 >= cap) {
			cap = cap ? 2 * cap : 16;
			grown = realloc(list, cap * sizeof *list);
			if (!grown) {
				free(list);
				return -ENOMEM;
			}
			list = grown;
		}
		list[n++] = out = in;
		while (*in && !isspace((unsigned char)*in)) {
			if (*in == '\\' && in[1])
				in++;
			*out++ = *in++;
		}
		if (*in)
			in++;
		*out = '\0';
	}
	if (!list) {
		list = calloc(1, sizeof *list);
		if (!list)
			return -ENOMEM;
	}
	list[n] = NULL;
	*argc = n;
	*argv = list;
	return 0;
}

/* ---- one line ---- */

static int line_refuse(struct ndm_str *why, unsigned i, const struct ndm_table_line *line, int err,
		       const char *sentence)
{
	ndm_printf(why, "%sline %u (%s): %s", why->len ? "\n" : "", i + 1, line->type, sentence);
	return err;
}

/* a length of 0, which the constructor makes good */
static bool may_be_empty(const struct ndm_table_line *line, const struct ndm_target_type *type)
{
	return type && type->features & NDM_TARGET_OWN_SIZE &&
	       (!line->strict || type->features & NDM_TARGET_OURS);
}

/* the rules that do not need the constructor, in the kernel's order */
static const char *line_check(const struct ndm_table *t, const struct ndm_table_line *line,
			      const struct ndm_target_type *type)
{
	const struct ndm_target *last = t->n ? &t->targets[t->n - 1] : NULL;
	/* an immutable type tolerates no other, so the first line tells */
	const struct ndm_target_type *first = t->n ? t->targets[0].type : NULL;
	const struct ndm_target_type *immutable =
		first && (first->features & NDM_TARGET_IMMUTABLE) ? first : NULL;

	if (last && (t->targets[0].type->features & NDM_TARGET_SINGLETON))
		return "the target before it must appear alone in table";
	if (!line->nr && !may_be_empty(line, type))
		return "zero-length target";
	if (line->start + line->nr < line->start || line->start + line->nr > SECTORS_MAX)
		return "too large device";
	if (!type)
		return "unknown target type";
	if ((type->features & NDM_TARGET_SINGLETON) && t->n)
		return "singleton target type must appear alone in table";
	if ((type->features & NDM_TARGET_ALWAYS_WRITABLE) && t->read_only)
		return "target type may not be included in a read-only table";
	if ((immutable && immutable != type) ||
	    ((type->features & NDM_TARGET_IMMUTABLE) && t->n && t->targets[0].type != type))
		return "immutable target type cannot be mixed with other target types";
	if (line->start != (last ? last->begin + last->nr : 0))
		return "Gap in table";
	return NULL;
}

static int target_build(struct ndm_table *t, struct ndm_target *ti,
			const struct ndm_table_line *line, struct ndm_str *said)
{
	char *text = ndm_strdup(line->args ? line->args : ""), **argv = NULL;
	unsigned argc;
	int err = -ENOMEM;

	ti->table = t;
	ti->device = t->device;
	ti->loop = t->loop;
	ti->begin = line->start;
	ti->nr = line->nr;
	ti->writable = !t->read_only;
	ti->error = said;
	ti->private_data = ndm_zalloc(ti->type->private_size);
	if (!text || !ti->private_data)
		goto out;
	err = split_words(text, &argc, &argv);
	if (err)
		goto out;
	err = ti->type->ctr(ti, argc, argv);
	ti->constructed = !err;
	assert(err || ti->nr);
	assert(ti->per_bio_size <= NDM_PER_BIO_MAX);
out:
	ti->error = NULL;
	free(argv);
	ndm_free(text);
	return err;
}

static void target_destroy(struct ndm_target *ti)
{
	if (ti->constructed && ti->type->dtr)
		ti->type->dtr(ti);
	target_put_devs(ti);
	ndm_free(ti->private_data);
}

static const struct ndm_target_type *type_find(const struct ndm_world *world, const char *name)
{
	const struct ndm_target_type *const *t;

	for (t = world->types; t && *t; t++)
		if (!strcmp((*t)->name, name))
			return *t;
	return ndm_target_type_find(name);
}

static int table_add(struct ndm_table *t, unsigned i, const struct ndm_table_line *line,
		     struct ndm_str *why)
{
	const struct ndm_target_type *type = type_find(t->loop->world, line->type);
	const char *sentence = line_check(t, line, type);
	struct ndm_target *ti = &t->targets[t->n];
	struct ndm_str said = { 0 };
	int err;

	if (sentence)
		return line_refuse(why, i, line, -EINVAL, sentence);
	ti->type = type;
	err = target_build(t, ti, line, &said);
	if (err) {
		line_refuse(why, i, line, err, said.len ? said.text : strerror(-err));
		target_destroy(ti);
	} else {
		t->n++;
		t->nr = line->start + ti->nr;
	}
	ndm_str_free(&said);
	return err;
}

/* ---- the whole ---- */

const struct ndm_target_type *table_immutable_type(const struct ndm_table *t)
{
	unsigned i;

	for (i = 0; t && i < t->n; i++)
		if (t->targets[i].type->features & NDM_TARGET_IMMUTABLE)
			return t->targets[i].type;
	return NULL;
}

static int table_flush_stores(struct ndm_table *t)
{
	unsigned i, j, ndevs = 0;
	struct ndm_dev *d;

	t->flush_bypass = t->n > 0;
	for (i = 0; i < t->n; i++) {
		if (!(t->targets[i].type->features & NDM_TARGET_FLUSH_BYPASS))
			t->flush_bypass = false;
		for (d = t->targets[i].devs; d; d = d->next)
			ndevs++;
	}
	if (!t->flush_bypass)
		return 0;
	t->flush_stores = ndm_calloc(ndevs, sizeof *t->flush_stores);
	if (!t->flush_stores)
		return -ENOMEM;
	for (i = 0; i < t->n; i++)
		for (d = t->targets[i].devs; d; d = d->next) {
			for (j = 0; j < t->nflush_stores; j++)
				if (store_same(t->flush_stores[j], d->store))
					break;
			if (j == t->nflush_stores)
				t->flush_stores[t->nflush_stores++] = d->store;
		}
	return 0;
}

int table_new(struct ndm_device *dev, const struct ndm_table_line *lines, unsigned n,
	      bool read_only, struct ndm_table **out, struct ndm_str *why)
{
	struct ndm_table *t;
	unsigned i;
	int err = 0;

	if (!n) {
		ndm_printf(why, "the table has no targets");
		return -EINVAL;
	}
	if (n > LINES_MAX) {
		ndm_printf(why, "%u lines are too many for a table", n);
		return -EOVERFLOW;
	}
	t = ndm_zalloc(sizeof *t);
	if (!t)
		return -ENOMEM;
	t->device = dev;
	t->loop = dev->loop;
	t->read_only = read_only;
	ndm_waitq_init(&t->idle, t->loop);
	t->targets = ndm_calloc(n, sizeof *t->targets);
	if (!t->targets)
		err = -ENOMEM;
	for (i = 0; !err && i < n; i++)
		err = table_add(t, i, &lines[i], why);
	if (!err)
		err = table_flush_stores(t);
	if (err) {
		table_free(t);
		return err;
	}
	table_stack_limits(t);
	*out = t;
	return 0;
}

void table_free(struct ndm_table *t)
{
	unsigned i;

	if (!t)
		return;
	while (t->users)
		ndm_wait(&t->idle);
	for (i = t->n; i--;)
		target_destroy(&t->targets[i]);
	ndm_free(t->flush_stores);
	ndm_free(t->targets);
	ndm_free(t);
}

struct ndm_target *table_find(struct ndm_table *t, uint64_t sector)
{
	unsigned low = 0, high = t->n;

	if (sector >= t->nr)
		return NULL;
	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (t->targets[middle].begin <= sector)
			low = middle;
		else
			high = middle;
	}
	return &t->targets[low];
}

bool table_uses(const struct ndm_table *t, const struct ndm_device *lower)
{
	const struct ndm_dev *d;
	unsigned i;

	for (i = 0; t && i < t->n; i++)
		for (d = t->targets[i].devs; d; d = d->next)
			if (d->store->major == NDM_MAJOR &&
			    d->store->minor == lower->store.minor)
				return true;
	return false;
}
