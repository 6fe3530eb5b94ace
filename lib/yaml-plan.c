/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml-plan.c - from the devices that are there to the volumes that a file wants.
 *
 * A device that came from a file remembers so (ndm_device.declared): the text of the volume as
 * the file had it, a NUL, and the table as the device printed it then.  The first says whether
 * the file has changed, the second whether somebody has reloaded the device since.  A device
 * that remembers and is no longer in the file is removed; one that dmsetup made is left alone,
 * and adopted when a file comes to name it.
 *
 * Each volume changes as a whole or not at all: a new one that cannot be started is removed
 * again, and one that does not take its new table gets the old one back.  Everything here runs
 * in a task of the first loop and may wait for the devices.
 */
#include <stdlib.h>

#include "yaml-impl.h"

enum step { STEP_CREATE, STEP_RELOAD, STEP_KEEP };

static const char *const step_names[] = { "create", "reload", "keep" };

struct applier {
	struct ndm_context *ctx;
	const struct ndm_config *config;
	struct ndm_str *plan; /* or NULL */
	struct ndm_str *why;
	int err; /* the first one */
};

static void failed(struct applier *a, const struct ndm_volume *v, int err,
		   const struct ndm_str *reason)
{
	const struct yaml_config *config = (const struct yaml_config *)a->config;

	if (!a->err)
		a->err = err;
	ndm_printf(a->why, "%s:%u:%u: volume %s: %s\n", config->path, v->line, v->column, v->name,
		   reason && reason->len ? reason->text : strerror(-err));
}

/* ---- texts to compare ---- */

static void print_wanted(const struct ndm_volume *v, struct ndm_str *out)
{
	ndm_printf(out, "%s\n", v->read_only ? "ro" : "rw");
	for (unsigned i = 0; i < v->nlines; i++)
		ndm_printf(out, "%llu %llu %s %s\n", (unsigned long long)v->lines[i].start,
			   (unsigned long long)v->lines[i].nr, v->lines[i].type, v->lines[i].args);
}

/* The live table in the same form; nothing where there is none. */
static int print_live(struct ndm_device *dev, struct ndm_str *out)
{
	struct ndm_target_status *lines;
	bool read_only;
	unsigned n;
	int err;

	err = ndm_device_status(dev, NDM_STATUS_TABLE, NDM_STATUS_SHOWKEYS | NDM_STATUS_NOFLUSH,
				false, &lines, &n, &read_only);
	if (err || !n)
		return err;
	ndm_printf(out, "%s\n", read_only ? "ro" : "rw");
	for (unsigned i = 0; i < n; i++)
		ndm_printf(out, "%llu %llu %s %s\n", (unsigned long long)lines[i].start,
			   (unsigned long long)lines[i].nr, lines[i].type, lines[i].text);
	ndm_target_status_free(lines, n);
	return 0;
}

static bool same(const struct ndm_str *a, const char *text)
{
	return !strcmp(a->len ? a->text : "", text);
}

static bool is_current(struct ndm_device *dev, const struct ndm_volume *v)
{
	struct ndm_str wanted = { 0 }, live = { 0 };
	bool current = false;

	print_wanted(v, &wanted);
	if (!print_live(dev, &live) && live.len) {
		if (dev->declared)
			current = same(&wanted, dev->declared) &&
				  same(&live, dev->declared + strlen(dev->declared) + 1);
		else
			current = same(&wanted, live.text);
	}
	ndm_str_free(&wanted);
	ndm_str_free(&live);
	return current;
}

/* Remembers what the device was told and what it says now. */
static void declare(struct ndm_device *dev, const struct ndm_volume *v)
{
	struct ndm_str text = { 0 }, live = { 0 };

	print_wanted(v, &text);
	print_live(dev, &live);
	ndm_str_put(&text, "", 1);
	ndm_str_put(&text, live.len ? live.text : "", live.len + 1);
	ndm_str_free(&live);
	ndm_free(dev->declared);
	dev->declared = text.text;
}

static enum step step_of(struct ndm_context *ctx, const struct ndm_volume *v)
{
	struct ndm_device *dev = ndm_device_by_name(ctx, v->name);
	enum step step;

	if (!dev)
		return STEP_CREATE;
	ndm_device_hold(dev);
	step = is_current(dev, v) ? STEP_KEEP : STEP_RELOAD;
	ndm_device_put(dev);
	return step;
}

/* ---- what is to go ---- */

static bool is_in(const struct ndm_config *config, const char *name)
{
	for (unsigned i = 0; i < config->nvolumes; i++)
		if (!strcmp(config->volumes[i].name, name))
			return true;
	return false;
}

/* Names of declared devices that the file no longer has; allocated. */
static int collect_gone(struct applier *a, char (**names)[NDM_NAME_BYTES], unsigned *n)
{
	struct ndm_device *dev;
	unsigned count = 0;

	for (dev = ndm_device_first(a->ctx); dev; dev = ndm_device_next(dev))
		count++;
	*n = 0;
	*names = ndm_calloc(count, sizeof(**names));
	if (!*names)
		return -ENOMEM;
	for (dev = ndm_device_first(a->ctx); dev; dev = ndm_device_next(dev))
		if (dev->declared && !is_in(a->config, dev->info.name))
			memcpy((*names)[(*n)++], dev->info.name, NDM_NAME_BYTES);
	return 0;
}

static void say_busy(struct applier *a, struct ndm_device *dev, int err)
{
	struct ndm_str holders = { 0 };

	ndm_device_holders(dev, &holders);
	for (size_t i = 0; i < holders.len; i++)
		if (holders.text[i] == '\n')
			holders.text[i] = i + 1 < holders.len ? ',' : '\0';
	if (!a->err)
		a->err = err;
	ndm_printf(a->why, "volume %s cannot be removed: %s%s%s\n", dev->info.name, strerror(-err),
		   holders.len ? ", in use by " : "", holders.len ? holders.text : "");
	ndm_str_free(&holders);
}

/*
 * Sweeps until a sweep removes nothing, so that stacks go from the top.  Before the changes
 * (last = false) what is still in use is left for after them.
 */
static void remove_gone(struct applier *a, bool last)
{
	char(*names)[NDM_NAME_BYTES];
	bool progress = true;
	unsigned n;

	while (progress) {
		progress = false;
		if (collect_gone(a, &names, &n)) {
			a->err = a->err ? a->err : -ENOMEM;
			return;
		}
		for (unsigned i = 0; i < n; i++) {
			struct ndm_device *dev = ndm_device_by_name(a->ctx, names[i]);

			if (dev && !ndm_device_remove(dev, false, NULL))
				progress = true;
		}
		ndm_free(names);
	}
	if (!last || collect_gone(a, &names, &n))
		return;
	for (unsigned i = 0; i < n; i++) {
		struct ndm_device *dev = ndm_device_by_name(a->ctx, names[i]);

		if (dev)
			say_busy(a, dev, -EBUSY);
	}
	ndm_free(names);
}

/* ---- one volume ---- */

static int start(struct ndm_device *dev, const struct ndm_volume *v, struct ndm_str *reason)
{
	int err = ndm_device_load(dev, v->lines, v->nlines, v->read_only, reason);

	return err ? err : ndm_device_resume(dev, 0, reason);
}

static void create(struct applier *a, const struct ndm_volume *v)
{
	struct ndm_str reason = { 0 };
	struct ndm_device *dev;
	int err;

	if (v->uuid && ndm_device_by_uuid(a->ctx, v->uuid))
		ndm_printf(&reason, "there is a device with uuid %s already", v->uuid);
	err = ndm_device_create(a->ctx, v->name, v->uuid, -1, &dev);
	if (err) {
		failed(a, v, err, &reason);
		ndm_str_free(&reason);
		return;
	}
	ndm_device_hold(dev);
	if (v->loop >= 0) {
		err = ndm_device_pin(dev, (unsigned)v->loop);
		if (err)
			ndm_printf(&reason, "there is no loop %d: there are %u, from 0 on", v->loop,
				   ndm_context_loops(a->ctx));
	}
	if (!err)
		err = start(dev, v, &reason);
	if (err) {
		failed(a, v, err, &reason);
		ndm_device_remove(dev, false, NULL);
	} else {
		declare(dev, v);
	}
	ndm_device_put(dev);
	ndm_str_free(&reason);
}

/* The table as it was, back into its place. */
static void restore(struct applier *a, struct ndm_device *dev, const struct ndm_volume *v,
		    const struct ndm_target_status *old, unsigned n, bool read_only)
{
	struct ndm_table_line *lines = ndm_calloc(n, sizeof(*lines));
	struct ndm_str reason = { 0 };
	int err = lines ? 0 : -ENOMEM;

	for (unsigned i = 0; !err && i < n; i++)
		lines[i] =
			(struct ndm_table_line){old[i].start, old[i].nr, old[i].type, old[i].text};
	if (!err)
		err = ndm_device_load(dev, lines, n, read_only, &reason);
	if (!err)
		err = ndm_device_resume(dev, 0, &reason);
	if (err) {
		struct ndm_str sentence = { 0 };

		ndm_printf(&sentence, "it stays suspended, the old table cannot be had back: %s",
			   reason.len ? reason.text : strerror(-err));
		failed(a, v, err, &sentence);
		ndm_str_free(&sentence);
	}
	ndm_str_free(&reason);
	ndm_free(lines);
}

/* Set once, a uuid cannot be unset: so it is looked at first and set last. */
static int check_uuid(struct applier *a, struct ndm_device *dev, const struct ndm_volume *v,
		      struct ndm_str *reason)
{
	if (!v->uuid || !strcmp(dev->info.uuid, v->uuid))
		return 0;
	if (*dev->info.uuid) {
		ndm_printf(reason, "its uuid is %s, and a uuid cannot be changed", dev->info.uuid);
		return -EINVAL;
	}
	if (ndm_device_by_uuid(a->ctx, v->uuid)) {
		ndm_printf(reason, "there is a device with uuid %s already", v->uuid);
		return -EBUSY;
	}
	return 0;
}

static int take_uuid(struct ndm_device *dev, const struct ndm_volume *v)
{
	return v->uuid && !*dev->info.uuid ? ndm_device_set_uuid(dev, v->uuid) : 0;
}

/* The end of a change or of none: the uuid, and what is to be remembered. */
static void finish(struct applier *a, struct ndm_device *dev, const struct ndm_volume *v, int err,
		   const struct ndm_str *reason)
{
	if (!err)
		err = take_uuid(dev, v);
	if (err)
		failed(a, v, err, reason);
	else
		declare(dev, v);
}

static void reload(struct applier *a, struct ndm_device *dev, const struct ndm_volume *v)
{
	struct ndm_target_status *old;
	struct ndm_str reason = { 0 };
	struct settle before = { 0 };
	bool read_only, swapped = false;
	uint64_t began = 0;
	unsigned n;
	int err;

	settle_look(dev, &before);
	err = check_uuid(a, dev, v, &reason);
	if (!err)
		err = ndm_device_load(dev, v->lines, v->nlines, v->read_only, &reason);
	if (!err)
		err = ndm_device_status(dev, NDM_STATUS_TABLE,
					NDM_STATUS_SHOWKEYS | NDM_STATUS_NOFLUSH, false, &old, &n,
					&read_only);
	if (!err) {
		began = ndm_now(a->ctx->loops[0]);
		err = ndm_device_resume(dev, 0, &reason);
		began = ndm_now(a->ctx->loops[0]) - began;
		swapped = true;
	}
	if (err && swapped && n) {
		failed(a, v, err, &reason);
		restore(a, dev, v, old, n, read_only);
	} else {
		finish(a, dev, v, err, &reason);
		if (!err)
			settle_finish(a->ctx->loops[0], dev, &before, began, a->plan);
	}
	if (swapped)
		ndm_target_status_free(old, n);
	ndm_str_free(&reason);
}

static void keep(struct applier *a, struct ndm_device *dev, const struct ndm_volume *v)
{
	struct ndm_str reason = { 0 };

	finish(a, dev, v, check_uuid(a, dev, v, &reason), &reason);
	ndm_str_free(&reason);
}

static void change(struct applier *a, const struct ndm_volume *v)
{
	struct ndm_device *dev = ndm_device_by_name(a->ctx, v->name);

	if (!dev) {
		create(a, v);
		return;
	}
	ndm_device_hold(dev);
	if (is_current(dev, v))
		keep(a, dev, v);
	else
		reload(a, dev, v);
	ndm_device_put(dev);
}

/* ---- the whole ---- */

int ndm_config_plan(struct ndm_context *ctx, const struct ndm_config *config, struct ndm_str *plan)
{
	struct applier a = { .ctx = ctx, .config = config };
	char(*gone)[NDM_NAME_BYTES];
	unsigned n;

	if (collect_gone(&a, &gone, &n))
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		ndm_printf(plan, "remove %s\n", gone[i]);
	ndm_free(gone);
	for (unsigned i = 0; i < config->nvolumes; i++)
		ndm_printf(plan, "%s %s\n", step_names[step_of(ctx, &config->volumes[i])],
			   config->volumes[i].name);
	return 0;
}

int ndm_config_apply(struct ndm_context *ctx, const struct ndm_config *config, struct ndm_str *plan,
		     struct ndm_str *why)
{
	struct applier a = { .ctx = ctx, .config = config, .plan = plan, .why = why };
	int err = plan ? ndm_config_plan(ctx, config, plan) : 0;

	if (err)
		return err;
	remove_gone(&a, false);
	for (unsigned i = 0; i < config->nvolumes; i++)
		change(&a, &config->volumes[i]);
	remove_gone(&a, true);
	return a.err;
}
