/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.c - names, uuids and numbers; who watches; everything that belongs to the first loop.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core.h"

struct ndm_context *ndm_context_new(struct ndm_loop *const *loops, unsigned nloops)
{
	struct ndm_context *ctx = ndm_zalloc(sizeof *ctx);

	assert(nloops);
	if (!ctx)
		return NULL;
	ctx->loops = ndm_calloc(nloops, sizeof *ctx->loops);
	if (!ctx->loops) {
		ndm_free(ctx);
		return NULL;
	}
	memcpy(ctx->loops, loops, nloops * sizeof *loops);
	ctx->nloops = nloops;
	return ctx;
}

void ndm_context_free(struct ndm_context *ctx)
{
	unsigned i;

	if (!ctx)
		return;
	assert(!ctx->devices);
	for (i = 0; i < ctx->nnumbers; i++)
		ndm_free(ctx->numbers[i].name);
	free(ctx->numbers);
	ndm_free(ctx->loops);
	ndm_free(ctx);
}

struct ndm_loop *ndm_context_loop(struct ndm_context *ctx, unsigned i)
{
	return ctx->loops[i];
}

unsigned ndm_context_loops(struct ndm_context *ctx)
{
	return ctx->nloops;
}

void ndm_context_timing(struct ndm_context *ctx, bool on)
{
	atomic_store_explicit(&ctx->timing, on, memory_order_relaxed);
}

/* ---- watching ---- */

uint64_t ndm_context_event_nr(struct ndm_context *ctx)
{
	return ctx->event_nr;
}

void ndm_context_watch(struct ndm_context *ctx, struct ndm_watch *w)
{
	w->next = ctx->watches;
	ctx->watches = w;
}

void ndm_context_unwatch(struct ndm_context *ctx, struct ndm_watch *w)
{
	struct ndm_watch **p = &ctx->watches;

	while (*p && *p != w)
		p = &(*p)->next;
	if (*p)
		*p = w->next;
}

void context_notify(struct ndm_context *ctx, struct ndm_device *dev, const char *what)
{
	struct ndm_watch *w, *next;

	ctx->event_nr++;
	for (w = ctx->watches; w; w = next) {
		next = w->next;
		w->fn(w, dev, what);
	}
}

/* ---- the list, sorted by name ---- */

static void context_link(struct ndm_context *ctx, struct ndm_device *dev)
{
	struct ndm_device **p = &ctx->devices;

	while (*p && strcmp((*p)->info.name, dev->info.name) < 0)
		p = &(*p)->next;
	dev->next = *p;
	*p = dev;
}

void context_unlink(struct ndm_device *dev)
{
	struct ndm_device **p = &dev->ctx->devices;

	while (*p != dev)
		p = &(*p)->next;
	*p = dev->next;
}

struct ndm_device *ndm_device_first(struct ndm_context *ctx)
{
	return ctx->devices;
}

struct ndm_device *ndm_device_next(struct ndm_device *dev)
{
	return dev->next;
}

struct ndm_device *ndm_device_by_name(struct ndm_context *ctx, const char *name)
{
	struct ndm_device *d;

	for (d = ctx->devices; d; d = d->next)
		if (!strcmp(d->info.name, name))
			return d;
	return NULL;
}

struct ndm_device *ndm_device_by_uuid(struct ndm_context *ctx, const char *uuid)
{
	struct ndm_device *d;

	for (d = ctx->devices; d; d = d->next)
		if (d->info.uuid[0] && !strcmp(d->info.uuid, uuid))
			return d;
	return NULL;
}

struct ndm_device *ndm_device_by_minor(struct ndm_context *ctx, unsigned minor)
{
	struct ndm_device *d;

	for (d = ctx->devices; d; d = d->next)
		if (d->info.minor == minor)
			return d;
	return NULL;
}

void ndm_device_hold(struct ndm_device *dev)
{
	atomic_fetch_add(&dev->holds, 1);
}

void ndm_device_put(struct ndm_device *dev)
{
	if (atomic_fetch_sub(&dev->holds, 1) == 1)
		device_free(dev);
}

void ndm_device_info(struct ndm_device *dev, struct ndm_device_info *info)
{
	struct ndm_opener *o;

	*info = dev->info;
	info->event_nr = atomic_load(&dev->event_nr);
	info->open_count = 0;
	for (o = dev->openers; o; o = o->next)
		info->open_count++;
	for (info->loop = 0; dev->ctx->loops[info->loop] != dev->loop; info->loop++)
		;
}

/* ---- create, rename ---- */

static bool name_valid(const char *name)
{
	return *name && strlen(name) < NDM_NAME_BYTES && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..") && strcmp(name, "control");
}

static unsigned minor_lowest(struct ndm_context *ctx)
{
	unsigned minor = 0;

	while (ndm_device_by_minor(ctx, minor))
		minor++;
	return minor;
}

void device_move(struct ndm_device *dev, struct ndm_loop *loop)
{
	dev->loop = loop;
	dev->store.loop = loop;
	ndm_waitq_init(&dev->drained, loop);
	ndm_waitq_init(&dev->workers_idle, loop);
	ndm_waitq_init(&dev->untracked_idle, loop);
	ndm_ranges_init(&dev->align_locks, loop);
}

static struct ndm_device *device_new(struct ndm_context *ctx, const char *name, const char *uuid,
				     unsigned minor)
{
	struct ndm_device *dev = ndm_zalloc(sizeof *dev);

	if (!dev)
		return NULL;
	dev->ctx = ctx;
	snprintf(dev->info.name, sizeof dev->info.name, "%s", name);
	snprintf(dev->info.uuid, sizeof dev->info.uuid, "%s", uuid ? uuid : "");
	dev->info.minor = minor;
	dev->read_ahead = NDM_READ_AHEAD;
	atomic_init(&dev->holds, 1);
	ndm_mutex_init(&dev->lifecycle, ctx->loops[0]);
	ndm_waitq_init(&dev->events, ctx->loops[0]);
	dev->state = DEVICE_ACTIVE;
	dev->store.ops = &device_store_ops;
	dev->store.major = NDM_MAJOR;
	dev->store.minor = minor;
	dev->store.identity[0] = (uint64_t)NDM_MAJOR << 32 | minor;
	dev->store.identity[1] = UINT64_MAX;
	dev->store.limits.logical_block_bytes = NDM_SECTOR_BYTES;
	dev->store.limits.physical_block_bytes = NDM_SECTOR_BYTES;
	device_move(dev, ctx->loops[ctx->next_loop++ % ctx->nloops]);
	return dev;
}

void device_free(struct ndm_device *dev)
{
	assert(!dev->live && !dev->inactive && !dev->openers && !dev->deferred_head);
	ndm_free(dev->declared);
	ndm_free(dev);
}

int ndm_device_create(struct ndm_context *ctx, const char *name, const char *uuid, int minor,
		      struct ndm_device **out)
{
	struct ndm_device *dev;

	if (!name_valid(name) || (uuid && strlen(uuid) >= NDM_UUID_BYTES))
		return -EINVAL;
	if (ndm_device_by_name(ctx, name) || (uuid && *uuid && ndm_device_by_uuid(ctx, uuid)))
		return -EBUSY;
	if (minor >= 0 && ndm_device_by_minor(ctx, (unsigned)minor))
		return -ENXIO;			/* as the kernel: no device could be had */
	dev = device_new(ctx, name, uuid, minor >= 0 ? (unsigned)minor : minor_lowest(ctx));
	if (!dev)
		return -ENOMEM;
	context_link(ctx, dev);
	context_notify(ctx, dev, "create");
	*out = dev;
	return 0;
}

int ndm_device_pin(struct ndm_device *dev, unsigned loop)
{
	if (loop >= dev->ctx->nloops)
		return -EINVAL;
	if (dev->homed || dev->visitors || dev->lifecycle.owner || dev->info.live_targets ||
	    dev->info.inactive_targets)
		return dev->loop == dev->ctx->loops[loop] ? 0 : -EBUSY;
	device_move(dev, dev->ctx->loops[loop]);
	dev->homed = true;
	return 0;
}

/* the kernel tells waiters of a rename where there is a live table */
static void renamed(struct ndm_device *dev)
{
	if (dev->info.flags & NDM_DEVICE_LIVE) {
		atomic_fetch_add(&dev->event_nr, 1);
		ndm_wake_all(&dev->events);
	}
	context_notify(dev->ctx, dev, "rename");
}

int ndm_device_rename(struct ndm_device *dev, const char *name)
{
	if (!name_valid(name))
		return -EINVAL;
	if (ndm_device_by_name(dev->ctx, name))
		return -EBUSY;
	context_unlink(dev);
	snprintf(dev->info.name, sizeof dev->info.name, "%s", name);
	context_link(dev->ctx, dev);
	renamed(dev);
	return 0;
}

int ndm_device_set_uuid(struct ndm_device *dev, const char *uuid)
{
	if (!*uuid || strlen(uuid) >= NDM_UUID_BYTES)
		return -EINVAL;
	if (ndm_device_by_uuid(dev->ctx, uuid))
		return -EBUSY;
	if (dev->info.uuid[0])
		return -EINVAL;
	snprintf(dev->info.uuid, sizeof dev->info.uuid, "%s", uuid);
	renamed(dev);
	return 0;
}

int ndm_device_cancel_deferred(struct ndm_device *dev)
{
	dev->info.flags &= ~NDM_DEVICE_DEFERRED_REMOVE;
	return 0;
}

int ndm_device_set_geometry(struct ndm_device *dev, const uint64_t geometry[4])
{
	uint64_t cylinders = geometry[0], heads = geometry[1], sectors = geometry[2];

	if (cylinders > 65535 || heads > 255 || sectors > 255 ||
	    geometry[3] > cylinders * heads * sectors)
		return -EINVAL;
	memcpy(dev->geometry, geometry, sizeof dev->geometry);
	return 0;
}

/* ---- waiting for events ---- */

int ndm_device_wait(struct ndm_device *dev, uint32_t event_nr, bool *cancelled)
{
	int err = 0;

	ndm_device_hold(dev);
	while (atomic_load(&dev->event_nr) == event_nr && !dev->removing) {
		ndm_wait(&dev->events);
		if (cancelled && *cancelled) {
			err = -EINTR;
			break;
		}
	}
	ndm_device_put(dev);
	return err;
}

void ndm_device_wait_wake(struct ndm_device *dev)
{
	ndm_wake_all(&dev->events);
}

/* ---- names in tables ---- */

void context_number(struct ndm_context *ctx, struct ndm_store *store)
{
	struct ndm_number *grown;
	unsigned i;

	for (i = 0; i < ctx->nnumbers; i++)
		if (!memcmp(ctx->numbers[i].identity, store->identity, sizeof store->identity) &&
		    (store->identity[0] || store->identity[1]))
			break;
	if (i == ctx->nnumbers)
		for (i = 0; i < ctx->nnumbers; i++)
			if (ctx->numbers[i].reserved && !strcmp(ctx->numbers[i].name, store->name)) {
				memcpy(ctx->numbers[i].identity, store->identity,
				       sizeof store->identity);
				ctx->numbers[i].reserved = false;
				break;
			}
	if (i == ctx->nnumbers) {
		grown = realloc(ctx->numbers, (i + 1) * sizeof *grown);
		if (!grown)
			return;			/* 0:0 then: a number is not worth failing for */
		ctx->numbers = grown;
		memcpy(grown[i].identity, store->identity, sizeof store->identity);
		grown[i].reserved = false;
		grown[i].name = ndm_strdup(store->name);
		if (!grown[i].name)
			return;
		ctx->nnumbers++;
	}
	ctx->numbers[i].loop = store->loop;
	store->major = NDM_VIRTUAL_MAJOR;
	store->minor = i;
}

void ndm_context_backings(struct ndm_context *ctx, struct ndm_str *out)
{
	unsigned i;

	for (i = 0; i < ctx->nnumbers; i++)
		ndm_printf(out, "%u:%u\t%s\n", NDM_VIRTUAL_MAJOR, i, ctx->numbers[i].name);
}

static bool number_parse(const char *spec, unsigned *major, unsigned *minor)
{
	char rest;

	return sscanf(spec, "%u:%u%c", major, minor, &rest) == 2;
}

struct ndm_device *context_find(struct ndm_context *ctx, const char *spec, bool *mapped,
				struct ndm_str *text)
{
	unsigned major, minor;

	*mapped = true;
	if (!strncmp(spec, "/dev/mapper/", 12))
		return ndm_device_by_name(ctx, spec + 12);
	if (!strncmp(spec, "dev:", 4)) {
		struct ndm_device *d = ndm_device_by_name(ctx, spec + 4);

		return d ? d : ndm_device_by_uuid(ctx, spec + 4);
	}
	if (sscanf(spec, "/dev/dm-%u", &minor) == 1)
		return ndm_device_by_minor(ctx, minor);
	if (number_parse(spec, &major, &minor)) {
		if (major == NDM_MAJOR)
			return ndm_device_by_minor(ctx, minor);
		if (major == NDM_VIRTUAL_MAJOR && minor < ctx->nnumbers) {
			ndm_printf(text, "%s", ctx->numbers[minor].name);
			*mapped = false;
		}
		return NULL;
	}
	*mapped = false;
	return NULL;
}

/* the loop of what a table's word names; NULL: nothing that is known */
struct ndm_loop *context_loop_of(struct ndm_context *ctx, struct ndm_device *dev, const char *word)
{
	struct ndm_str unused = { 0 };
	struct ndm_device *lower;
	bool mapped;
	unsigned i;

	lower = context_find(ctx, word, &mapped, &unused);
	ndm_str_free(&unused);
	if (lower)
		return lower == dev ? NULL : lower->loop;
	for (i = 0; i < ctx->nnumbers; i++)
		if (!strcmp(ctx->numbers[i].name, word))
			return ctx->numbers[i].loop;
	return NULL;
}

/* first loop: every table that stands on a device is an opener of it */
bool device_reaches(struct ndm_device *from, struct ndm_device *on)
{
	struct ndm_opener *o;

	for (o = on->openers; o; o = o->next)
		if (o->user && (o->user == from || device_reaches(from, o->user)))
			return true;
	return false;
}
