/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-check.c - would the file's tables be taken?  Each is built for trial and thrown away.
 *
 * That happens in a context of its own, on the same loops, where nobody sees it.  A trial table
 * is a read-only one, so that its devices are opened for reading and no constructor can write
 * to them; targets that have to write when they begin (NDM_TARGET_FORMATS, ALWAYS_WRITABLE) are
 * not tried.  In place of a volume that others stand on, and of the devices that are there
 * already, stand zeroes of the same size; a target that alone knows its size (OWN_SIZE) stands
 * for itself.
 */
#include <stdlib.h>

#include "yaml-impl.h"

#define UNKNOWN_SECTORS (1ull << 50)

struct checker {
	struct ndm_context *ctx; /* the real one */
	struct ndm_context *trial;
	const struct ndm_config *config;
	struct ndm_str *why;
	int err; /* the first one */
};

struct present {
	char name[NDM_NAME_BYTES];
	unsigned minor;
	uint64_t nr;
};

static void failed(struct checker *c, const struct ndm_volume *v, int err,
		   const struct ndm_str *reason)
{
	const struct yaml_config *config = (const struct yaml_config *)c->config;

	if (!c->err)
		c->err = err;
	ndm_printf(c->why, "%s:%u:%u: volume %s: %s\n", config->path, v->line, v->column, v->name,
		   reason->len ? reason->text : strerror(-err));
}

/* Zeroes of nr sectors, live. */
static int stand_in(struct ndm_device *dev, uint64_t nr)
{
	struct ndm_table_line line = { 0, nr, "zero", "" };
	struct ndm_str why = { 0 };
	int err = ndm_device_load(dev, &line, 1, true, &why);

	if (!err)
		err = ndm_device_resume(dev, 0, &why);
	ndm_str_free(&why);
	return err;
}

static bool is_in(const struct ndm_config *config, const char *name)
{
	for (unsigned i = 0; i < config->nvolumes; i++)
		if (!strcmp(config->volumes[i].name, name))
			return true;
	return false;
}

/* What is there and not of the file: tables may name it. */
static int copy_present(struct checker *c)
{
	struct ndm_device *dev, *copy;
	struct present *list;
	unsigned n = 0;
	int err = 0;

	for (dev = ndm_device_first(c->ctx); dev; dev = ndm_device_next(dev))
		n++;
	list = ndm_calloc(n, sizeof(*list));
	if (!list)
		return -ENOMEM;
	n = 0;
	for (dev = ndm_device_first(c->ctx); dev; dev = ndm_device_next(dev)) {
		if (!dev->info.nr || is_in(c->config, dev->info.name))
			continue;
		memcpy(list[n].name, dev->info.name, sizeof(list[n].name));
		list[n].minor = dev->info.minor;
		list[n++].nr = dev->info.nr;
	}
	for (unsigned i = 0; !err && i < n; i++) {
		err = ndm_device_create(c->trial, list[i].name, NULL, (int)list[i].minor, &copy);
		if (!err)
			err = stand_in(copy, list[i].nr);
	}
	ndm_free(list);
	return err;
}

static bool can_be_tried(const struct ndm_volume *v)
{
	for (unsigned i = 0; i < v->nlines; i++) {
		const struct ndm_target_type *type = ndm_target_type_find(v->lines[i].type);

		if (type->features & (NDM_TARGET_FORMATS | NDM_TARGET_ALWAYS_WRITABLE))
			return false;
	}
	return true;
}

static bool try_table(struct checker *c, const struct ndm_volume *v, struct ndm_device *dev)
{
	struct ndm_str reason = { 0 };
	int err;

	if (!can_be_tried(v))
		return false;
	err = ndm_device_load(dev, v->lines, v->nlines, true, &reason);
	if (err)
		failed(c, v, err, &reason);
	ndm_str_free(&reason);
	return !err;
}

static void check_loop(struct checker *c, const struct ndm_volume *v)
{
	struct ndm_str reason = { 0 };

	if (v->loop < 0 || (unsigned)v->loop < ndm_context_loops(c->ctx))
		return;
	ndm_printf(&reason, "there is no loop %d: there are %u, from 0 on", v->loop,
		   ndm_context_loops(c->ctx));
	failed(c, v, -EINVAL, &reason);
	ndm_str_free(&reason);
}

static int try_volume(struct checker *c, const struct ndm_volume *v)
{
	const struct ndm_table_line *last = &v->lines[v->nlines - 1];
	struct ndm_str reason = { 0 };
	struct ndm_device *dev;
	bool taken;
	int err;

	err = ndm_device_create(c->trial, v->name, NULL, -1, &dev);
	if (err)
		return err;
	taken = try_table(c, v, dev);
	check_loop(c, v);
	if (last->nr) {
		/* a device keeps the kind of its first table (multipath): zeroes need a new one */
		ndm_device_remove(dev, false, NULL);
		err = ndm_device_create(c->trial, v->name, NULL, -1, &dev);
		return err ? err : stand_in(dev, last->start + last->nr);
	}
	if (!taken)		/* of unknown size: large enough for whoever stands on it */
		return stand_in(dev, UNKNOWN_SECTORS);
	err = ndm_device_resume(dev, 0, &reason);
	if (err)
		failed(c, v, err, &reason);
	ndm_str_free(&reason);
	return 0;
}

/* From the top of each stack down; the list changes with each that goes. */
static void remove_all(struct ndm_context *trial)
{
	struct ndm_device *dev = ndm_device_first(trial);

	while (dev)
		if (ndm_device_remove(dev, false, NULL))
			dev = ndm_device_next(dev);
		else
			dev = ndm_device_first(trial);
}

int ndm_config_check(struct ndm_context *ctx, const struct ndm_config *config, struct ndm_str *why)
{
	struct checker c = { .ctx = ctx, .config = config, .why = why };
	int err;

	c.trial = ndm_context_new(ctx->loops, ctx->nloops);
	if (!c.trial)
		return -ENOMEM;
	err = copy_present(&c);
	for (unsigned i = 0; !err && i < config->nvolumes; i++)
		err = try_volume(&c, &config->volumes[i]);
	remove_all(c.trial);
	ndm_context_free(c.trial);
	return err ? err : c.err;
}
