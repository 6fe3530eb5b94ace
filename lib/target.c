/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.c - the registry of target types, and what a target asks of the core.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core.h"
#include "../targets/all.h"

#define X(name) extern const struct ndm_target_type ndm_target_##name;
NDM_TARGETS(X)
#undef X

static const struct ndm_target_type *const target_types[] = {
#define X(name) &ndm_target_##name,
	NDM_TARGETS(X)
#undef X
	NULL
};

const struct ndm_target_type *const *ndm_target_types(void)
{
	return target_types;
}

const struct ndm_target_type *ndm_target_type_find(const char *name)
{
	const struct ndm_target_type *const *t;

	for (t = target_types; *t; t++)
		if (!strcmp((*t)->name, name))
			return *t;
	return NULL;
}

int ndm_error(struct ndm_target *ti, int err, const char *fmt, ...)
{
	struct ndm_str detail = *ti->error;
	va_list ap;

	/* what ndm_get_dev() has said comes behind the target's own sentence */
	*ti->error = (struct ndm_str){ 0 };
	va_start(ap, fmt);
	ndm_vprintf(ti->error, fmt, ap);
	va_end(ap);
	if (detail.len)
		ndm_printf(ti->error, ": %s", detail.text);
	ndm_str_free(&detail);
	return err;
}

/* ---- devices of a target ---- */

static void dev_link(struct ndm_target *ti, struct ndm_dev *d)
{
	struct ndm_dev **p = &ti->devs;

	while (*p)
		p = &(*p)->next;
	*p = d;
}

/* The kernel's device has its name in /dev/mapper only after the first resume. */
static int refuse_itself(struct ndm_target *ti, const char *path)
{
	ndm_printf(ti->error, "a device cannot be its own backing");
	return strchr(path, '/') && !(ti->device->info.flags & NDM_DEVICE_LIVE) ? -ENOENT : -EINVAL;
}

/* first loop, in a task: the lower mapped device's store as seen from the target's loop */
static int get_mapped(struct ndm_target *ti, struct ndm_device *lower, unsigned mode,
		      struct target_dev *td)
{
	struct ndm_str *why = ti->error;
	struct ndm_opener *opener;
	int err;

	if (device_reaches(lower, ti->device)) {
		ndm_printf(why, "'%s' already stands on '%s': that would be a loop",
			   lower->info.name, ti->device->info.name);
		return -EINVAL;
	}
	err = opener_for_table(lower, ti->device, mode, &opener);
	if (err) {
		ndm_printf(why, "'%s' is being removed", lower->info.name);
		return err;
	}
	td->opener = opener;
	td->dev.store = &lower->store;
	if (lower->loop != ti->loop) {
		td->dev.store = td->hop = hop_new(ti->loop, &lower->store);
		if (!td->hop) {
			opener_put(opener);
			return -ENOMEM;
		}
	}
	snprintf(td->name, sizeof td->name, "%u:%u", NDM_MAJOR, lower->info.minor);
	td->dev.name = td->name;
	return 0;
}

/* Tables are split at blanks: as a table has to be written, so it is printed. */
static const char *backing_name(struct target_dev *td, const char *name)
{
	if (!strpbrk(name, " \t\n\v\f\r\\"))
		return name;
	ndm_table_put_word(&td->escaped, name, strlen(name));
	return td->escaped.text;
}

static int get_backing(struct ndm_target *ti, const char *path, unsigned mode,
		       struct target_dev *td)
{
	struct ndm_context *ctx = ti->device->ctx;
	struct ndm_store *store;
	int err = store_open(ti->loop, path, mode, &store, ti->error);

	if (err) {
		if (!ti->error->len)
			ndm_printf(ti->error, "'%s': %s", path, strerror(-err));
		return err;
	}
	if (!store->major) {
		ndm_task_hop(ti->loop, ctx->loops[0]);
		context_number(ctx, store);
		ndm_task_hop(ctx->loops[0], ti->loop);
	}
	td->dev.store = store;
	td->dev.name = backing_name(td, store->name);
	if (!td->dev.name) {
		store_put(store);
		return -ENOMEM;
	}
	return 0;
}

int ndm_get_dev_mode(struct ndm_target *ti, const char *path, unsigned mode, uint64_t start,
		     uint64_t nr, struct ndm_dev **out)
{
	struct ndm_context *ctx = ti->device->ctx;
	struct target_dev *td = ndm_zalloc(sizeof *td);
	struct ndm_device *lower;
	struct ndm_str spec = { 0 };
	bool mapped;
	int err;

	if (!td)
		return -ENOMEM;
	ndm_task_hop(ti->loop, ctx->loops[0]);
	lower = context_find(ctx, path, &mapped, &spec);
	if (lower == ti->device)
		err = refuse_itself(ti, path);
	else if (lower)
		err = get_mapped(ti, lower, mode, td);
	else
		err = mapped ? (strchr(path, '/') ? -ENOENT : -ENXIO) : 0;
	ndm_task_hop(ctx->loops[0], ti->loop);
	if (!err && !lower)
		err = get_backing(ti, spec.len ? spec.text : path, mode, td);
	else if (err && !lower)
		ndm_printf(ti->error, "there is no device '%s'", path);
	ndm_str_free(&spec);
	if (err) {
		ndm_free(td);
		return err;
	}
	td->dev.start = start;
	td->dev.nr = nr;
	td->dev.mode = mode;
	dev_link(ti, &td->dev);
	*out = &td->dev;
	return 0;
}

int ndm_get_dev(struct ndm_target *ti, const char *path, uint64_t start, uint64_t nr,
		struct ndm_dev **out)
{
	unsigned mode = NDM_OPEN_READ | (ti->writable ? NDM_OPEN_WRITE : 0);

	return ndm_get_dev_mode(ti, path, mode, start, nr, out);
}

static struct ndm_dev *dev_by_number(struct ndm_target *ti, uint32_t major, uint32_t minor)
{
	struct ndm_dev *d = ti->devs;

	while (d && (d->store->major != major || d->store->minor != minor))
		d = d->next;
	return d;
}

/* the same file by another name; opened for a look, for only then is it known what it is */
static int dev_by_identity(struct ndm_target *ti, const char *spec, struct ndm_dev **out)
{
	struct ndm_store *store;
	struct ndm_dev *d = ti->devs;
	int err = store_open(ti->loop, spec, NDM_OPEN_READ, &store, ti->error);

	if (err)
		return err;
	while (d && !store_same(d->store, store))
		d = d->next;
	store_put(store);
	*out = d;
	return 0;
}

int ndm_dev_find(struct ndm_target *ti, const char *path, struct ndm_dev **out)
{
	struct ndm_context *ctx = ti->device->ctx;
	struct ndm_str spec = { 0 };
	struct ndm_device *lower;
	unsigned minor = 0;
	bool mapped;
	int err = 0;

	for (*out = ti->devs; *out; *out = (*out)->next)
		if (!strcmp((*out)->name, path))
			return 0;
	ndm_task_hop(ti->loop, ctx->loops[0]);
	lower = context_find(ctx, path, &mapped, &spec);
	if (lower)
		minor = lower->info.minor;
	ndm_task_hop(ctx->loops[0], ti->loop);
	if (lower)
		*out = dev_by_number(ti, NDM_MAJOR, minor);
	else if (mapped)
		err = strchr(path, '/') ? -ENOENT : -ENXIO;
	else
		err = dev_by_identity(ti, spec.len ? spec.text : path, out);
	ndm_str_free(&spec);
	return err;
}

const struct ndm_store *ndm_own_store(const struct ndm_target *ti)
{
	return &ti->device->store;
}

void ndm_dev_grow(struct ndm_dev *d)
{
	if (d->store->ops->grow)
		d->store->ops->grow(d->store);
}

void ndm_dev_section(struct ndm_dev *d, uint64_t start, uint64_t nr)
{
	d->start = start;
	d->nr = nr;
}

void target_put_devs(struct ndm_target *ti)
{
	struct ndm_context *ctx = ti->device->ctx;
	struct ndm_dev *d;

	while ((d = ti->devs)) {
		struct target_dev *td = ndm_container_of(d, struct target_dev, dev);

		ti->devs = d->next;
		if (td->opener) {
			if (td->hop)
				hop_free(td->hop);
			ndm_task_hop(ti->loop, ctx->loops[0]);
			opener_put(td->opener);
			ndm_task_hop(ctx->loops[0], ti->loop);
		} else {
			store_put(d->store);
		}
		ndm_str_free(&td->escaped);
		ndm_free(td);
	}
}

/* ---- events and workers ---- */

void ndm_event(struct ndm_target *ti)
{
	device_event(ti->device);
}

bool ndm_noflush_suspending(const struct ndm_target *ti)
{
	return ti->device->noflush_suspending;
}

bool ndm_stopping(const struct ndm_target *ti)
{
	return ti->stopping;
}

struct worker {
	struct ndm_target *ti;
	void (*fn)(void *);
	void *arg;
};

static void worker_task(void *arg)
{
	struct worker w = *(struct worker *)arg;

	free(arg);
	w.fn(w.arg);
	assert(w.ti->workers);
	if (--w.ti->workers == 0)
		ndm_wake_all(&w.ti->device->workers_idle);
}

void ndm_worker(struct ndm_target *ti, const char *name, void (*fn)(void *), void *arg)
{
	struct worker *w = calloc(1, sizeof *w);	/* as a task's stack: no test makes it fail */

	if (!w)
		abort();			/* a worker that never runs is a hang */
	*w = (struct worker){ .ti = ti, .fn = fn, .arg = arg };
	ti->workers++;
	ndm_spawn(ti->loop, name, worker_task, w);
}
