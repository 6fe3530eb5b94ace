/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lifecycle.c - load, clear, suspend, resume, remove: the verbs of a mapped device.
 *
 * Each verb is a task of the context's first loop.  It takes the device's lifecycle lock,
 * travels to the device's home loop, does its work there, comes back, and publishes what has
 * changed.  Status and messages take no lock: they look at whatever table is there.
 *
 * What a failure leaves behind is the kernel's rule (6.12): a load that fails changes nothing;
 * a resume whose new table does not fit throws that table away and leaves the device suspended
 * on the old one; a resume whose preresume fails leaves it suspended on the new one.
 */
#include <stdlib.h>

#include "core.h"

/* ---- travelling ---- */

static struct ndm_loop *first_loop(struct ndm_device *dev)
{
	return dev->ctx->loops[0];
}

static int lifecycle_enter(struct ndm_device *dev)
{
	ndm_device_hold(dev);
	ndm_lock(&dev->lifecycle);
	if (!dev->removing)
		return 0;
	ndm_unlock(&dev->lifecycle);
	ndm_device_put(dev);
	return -ENXIO;
}

static void go_home(struct ndm_device *dev)
{
	ndm_task_hop(first_loop(dev), dev->loop);
}

static void come_back(struct ndm_device *dev)
{
	ndm_task_hop(dev->loop, first_loop(dev));
}

/* looking only: no lock, but the device stays where it is meanwhile */
void device_visit(struct ndm_device *dev)
{
	ndm_device_hold(dev);
	dev->visitors++;
	go_home(dev);
}

void device_leave(struct ndm_device *dev)
{
	come_back(dev);
	dev->visitors--;
	ndm_device_put(dev);
}

static void lifecycle_leave(struct ndm_device *dev)
{
	ndm_unlock(&dev->lifecycle);
	ndm_device_put(dev);
}

/* what the first loop may know, taken on the home loop */
struct snapshot { unsigned flags, live, inactive; uint64_t nr; uint32_t metas; };

static struct snapshot home_snapshot(const struct ndm_device *dev)
{
	struct snapshot s = { 0 };

	if (dev->live) {
		s.flags |= NDM_DEVICE_LIVE | (dev->live->read_only ? NDM_DEVICE_READ_ONLY : 0);
		s.live = dev->live->n;
		s.nr = dev->live->nr;
		s.metas = table_metas(dev->live);
	}
	if (dev->inactive) {
		s.flags |= NDM_DEVICE_INACTIVE;
		s.inactive = dev->inactive->n;
	}
	if (dev->state != DEVICE_ACTIVE)
		s.flags |= NDM_DEVICE_SUSPENDED;
	return s;
}

static void publish(struct ndm_device *dev, struct snapshot s)
{
	dev->info.flags = s.flags | (dev->info.flags & NDM_DEVICE_DEFERRED_REMOVE);
	dev->info.live_targets = s.live;
	dev->info.inactive_targets = s.inactive;
	dev->info.nr = s.nr;
	dev->info.metas = s.metas;
}

/* ---- the targets' hooks ---- */

static void presuspend(struct ndm_device *dev)
{
	struct ndm_table *t = dev->live;
	unsigned i;

	for (i = 0; t && i < t->n; i++) {
		t->targets[i].stopping = true;
		if (t->targets[i].type->presuspend)
			t->targets[i].type->presuspend(&t->targets[i]);
	}
	for (i = 0; t && i < t->n; i++)
		while (t->targets[i].workers)
			ndm_wait(&dev->workers_idle);
}

static void postsuspend(struct ndm_device *dev)
{
	struct ndm_table *t = dev->live;
	unsigned i;

	for (i = 0; t && i < t->n; i++)
		if (t->targets[i].type->postsuspend)
			t->targets[i].type->postsuspend(&t->targets[i]);
}

static int preresume(struct ndm_device *dev, struct ndm_str *why)
{
	struct ndm_table *t = dev->live;
	struct ndm_str said = { 0 };
	unsigned i;
	int err = 0;

	for (i = 0; i < t->n && !err; i++) {
		struct ndm_target *ti = &t->targets[i];

		if (!ti->type->preresume)
			continue;
		ti->error = &said;
		err = ti->type->preresume(ti);
		ti->error = NULL;
		if (err)
			ndm_printf(why, "line %u (%s): %s", i + 1, ti->type->name,
				   said.len ? said.text : "preresume failed");
	}
	ndm_str_free(&said);
	return err;
}

static void resume_targets(struct ndm_table *t)
{
	unsigned i;

	for (i = 0; i < t->n; i++) {
		t->targets[i].stopping = false;
		if (t->targets[i].type->resume)
			t->targets[i].type->resume(&t->targets[i]);
	}
}

/* ---- suspend, on the home loop ---- */

static void suspend_home(struct ndm_device *dev, unsigned flags)
{
	dev->noflush_suspending = flags & NDM_SUSPEND_NOFLUSH;
	presuspend(dev);
	device_state(dev, DEVICE_SUSPENDING);	/* from here on new bios wait */
	while (dev->in_flight)
		ndm_wait(&dev->drained);
	dev->noflush_suspending = false;
	device_state(dev, DEVICE_SUSPENDED);
	postsuspend(dev);
}

int ndm_device_suspend(struct ndm_device *dev, unsigned flags)
{
	struct snapshot s;
	int err = lifecycle_enter(dev);

	if (err)
		return err;
	go_home(dev);
	if (dev->state == DEVICE_ACTIVE)
		suspend_home(dev, flags);
	s = home_snapshot(dev);
	come_back(dev);
	publish(dev, s);
	lifecycle_leave(dev);
	return 0;
}

/* ---- resume ---- */

static void live_install(struct ndm_device *dev, struct ndm_table *t)
{
	dev->live = t;
	dev->store.nr = t->nr;
	dev->store.limits = t->limits;
}

/* devices below may have changed since the table was built: stack their limits anew */
static int table_fits(struct ndm_table *t, struct ndm_str *why)
{
	struct ndm_dev *d;
	unsigned i;

	for (i = 0; i < t->n; i++)
		for (d = t->targets[i].devs; d; d = d->next) {
			struct target_dev *td = ndm_container_of(d, struct target_dev, dev);

			if (td->hop)
				hop_refresh(td->hop);
		}
	table_stack_limits(t);
	return table_check_areas(t, why);
}

/* the inactive table becomes live; *old is left for the caller to free */
static int swap_tables(struct ndm_device *dev, unsigned flags, struct ndm_table **old,
		       struct ndm_str *why)
{
	struct ndm_table *t = dev->inactive;
	int err;

	dev->inactive = NULL;
	if (dev->state == DEVICE_ACTIVE)
		suspend_home(dev, flags);
	err = table_fits(t, why);
	if (err) {
		table_free(t);
		return err;
	}
	*old = dev->live;
	live_install(dev, t);
	return 0;
}

static int resume_home(struct ndm_device *dev, unsigned flags, bool *swapped, struct ndm_str *why)
{
	struct ndm_table *old = NULL;
	int err = 0;

	if (dev->inactive) {
		err = swap_tables(dev, flags, &old, why);
		if (err)
			return err;
		*swapped = true;
	} else if (dev->state == DEVICE_ACTIVE) {
		return 0;
	}
	if (!dev->live) {
		ndm_printf(why, "there is no table to resume");
		return -EINVAL;
	}
	device_state(dev, DEVICE_RESUMING);
	err = preresume(dev, why);
	if (err) {
		device_state(dev, DEVICE_SUSPENDED);
	} else {
		resume_targets(dev->live);
		device_state(dev, DEVICE_ACTIVE);
		device_release_deferred(dev, 0);
	}
	table_free(old);
	return err;
}

int ndm_device_resume(struct ndm_device *dev, unsigned flags, struct ndm_str *why)
{
	struct snapshot s;
	bool swapped = false;
	int err = lifecycle_enter(dev);

	if (err)
		return err;
	go_home(dev);
	err = resume_home(dev, flags, &swapped, why);
	s = home_snapshot(dev);
	come_back(dev);
	publish(dev, s);
	if (swapped)
		context_notify(dev->ctx, dev, "resume");
	lifecycle_leave(dev);
	return err;
}

/* ---- load and clear ---- */

/* a device without a table joins the loop of the first device or known backing that its table
 * names: what shares a backing shares a loop */
static void choose_home(struct ndm_device *dev, const struct ndm_table_line *lines, unsigned n)
{
	struct ndm_context *ctx = dev->ctx;
	unsigned i, j, argc;
	char *text, **argv;

	if (dev->homed || ctx->nloops == 1)
		return;
	if (dev->visitors) {			/* somebody is there now: then it stays */
		dev->homed = true;
		return;
	}
	for (i = 0; i < n; i++) {
		text = ndm_strdup(lines[i].args ? lines[i].args : "");
		if (!text || split_words(text, &argc, &argv)) {
			ndm_free(text);
			return;
		}
		for (j = 0; j < argc && !dev->homed; j++) {
			struct ndm_loop *loop = context_loop_of(ctx, dev, argv[j]);

			if (loop) {
				device_move(dev, loop);
				dev->homed = true;
			}
		}
		free(argv);
		ndm_free(text);
		if (dev->homed)
			return;
	}
	dev->homed = true;
}

static int table_replaceable(const struct ndm_device *dev, const struct ndm_table *t,
			     struct ndm_str *why)
{
	const struct ndm_target_type *immutable = table_immutable_type(dev->live);
	unsigned i;

	if (!immutable || immutable == table_immutable_type(t))
		return 0;
	for (i = 0; i < t->n; i++)
		if (t->targets[i].type->features & NDM_TARGET_WILDCARD)
			return 0;
	ndm_printf(why, "can't replace immutable target type %s", immutable->name);
	return -EINVAL;
}

/* bio or request based: settled by the first load; a wildcard (error) is either */
static int table_based(struct ndm_device *dev, const struct ndm_table *t, struct ndm_str *why)
{
	bool wildcard = true, request = false;
	unsigned i;

	for (i = 0; i < t->n; i++) {
		request |= t->targets[i].request_based;
		if (!(t->targets[i].type->features & NDM_TARGET_WILDCARD))
			wildcard = false;
	}
	if (!dev->had_table)
		dev->request_based = request;
	if (wildcard || dev->request_based == request)
		return 0;
	ndm_printf(why, "can't change device type (old=%u vs new=%u) after initial table load",
		   dev->request_based ? 2 : 1, request ? 2 : 1);
	return -EINVAL;
}

static int load_home(struct ndm_device *dev, const struct ndm_table_line *lines, unsigned n,
		     bool read_only, struct ndm_str *why)
{
	struct ndm_table *t, *old;
	int err = table_new(dev, lines, n, read_only, &t, why);

	if (err)
		return err;
	err = table_replaceable(dev, t, why);
	if (!err)
		err = table_based(dev, t, why);
	if (!err && !dev->had_table)
		err = table_fits(t, why);
	if (err) {
		table_free(t);
		return err;
	}
	dev->had_table = true;
	old = dev->inactive;
	dev->inactive = t;
	table_free(old);
	return 0;
}

int ndm_device_load(struct ndm_device *dev, const struct ndm_table_line *lines, unsigned n,
		    bool read_only, struct ndm_str *why)
{
	struct snapshot s;
	int err = lifecycle_enter(dev);

	if (err)
		return err;
	choose_home(dev, lines, n);
	go_home(dev);
	err = load_home(dev, lines, n, read_only, why);
	s = home_snapshot(dev);
	come_back(dev);
	dev->block_device |= !err;
	publish(dev, s);
	lifecycle_leave(dev);
	return err;
}

int ndm_device_clear(struct ndm_device *dev)
{
	struct ndm_table *old;
	struct snapshot s;
	int err = lifecycle_enter(dev);

	if (err)
		return err;
	go_home(dev);
	old = dev->inactive;
	dev->inactive = NULL;
	table_free(old);
	s = home_snapshot(dev);
	come_back(dev);
	publish(dev, s);
	lifecycle_leave(dev);
	return 0;
}

/* ---- remove ---- */

static void remove_home(struct ndm_device *dev)
{
	struct ndm_table *live = dev->live, *inactive = dev->inactive;

	if (dev->state == DEVICE_ACTIVE && live) {
		presuspend(dev);
		device_state(dev, DEVICE_SUSPENDING);
		while (dev->in_flight)
			ndm_wait(&dev->drained);
		device_state(dev, DEVICE_SUSPENDED);
		postsuspend(dev);
	}
	device_state(dev, DEVICE_REMOVED);
	device_release_deferred(dev, -EIO);
	dev->live = dev->inactive = NULL;
	table_free(live);
	table_free(inactive);
	stats_free(dev);
}

int ndm_device_remove(struct ndm_device *dev, bool deferred, bool *was_deferred)
{
	struct ndm_loop *first = first_loop(dev);

	if (was_deferred)
		*was_deferred = false;
	if (dev->removing)
		return -ENXIO;
	if (dev->openers) {
		if (!deferred)
			return -EBUSY;
		dev->info.flags |= NDM_DEVICE_DEFERRED_REMOVE;
		if (was_deferred)
			*was_deferred = true;
		return 0;
	}
	dev->removing = true;			/* no one opens it or finds it any more */
	context_unlink(dev);
	ndm_lock(&dev->lifecycle);		/* those who were under way finish first */
	ndm_task_hop(first, dev->loop);
	remove_home(dev);
	ndm_task_hop(dev->loop, first);
	ndm_unlock(&dev->lifecycle);
	if (dev->info.flags & NDM_DEVICE_LIVE)
		atomic_fetch_add(&dev->event_nr, 1);
	ndm_wake_all(&dev->events);
	context_notify(dev->ctx, dev, "remove");
	ndm_device_put(dev);			/* the context's own hold */
	return 0;
}

/* ---- status, deps ---- */

static int status_home(struct ndm_device *dev, enum ndm_status kind, unsigned flags,
		       struct ndm_table *t, struct ndm_target_status **out, unsigned *n)
{
	struct ndm_target_status *list = ndm_calloc(t->n, sizeof *list);
	unsigned i;

	if (!list)
		return -ENOMEM;
	dev->loop->nowait++;
	for (i = 0; i < t->n; i++) {
		struct ndm_target *ti = &t->targets[i];
		struct ndm_str text = { 0 };

		if (ti->type->status)
			ti->type->status(ti, kind, flags, &text);
		list[i] = (struct ndm_target_status){
			.start = ti->begin, .nr = ti->nr, .type = ti->type->name,
			.text = text.len ? text.text : ndm_strdup(""),
		};
		if (!text.len)
			ndm_str_free(&text);
	}
	dev->loop->nowait--;
	*out = list;
	*n = t->n;
	return 0;
}

/* targets may wait here, so the table must not go meanwhile */
static void prestatus(struct ndm_table *t, unsigned flags)
{
	unsigned i;

	t->users++;
	for (i = 0; i < t->n; i++)
		if (t->targets[i].type->prestatus)
			t->targets[i].type->prestatus(&t->targets[i], flags);
	if (--t->users == 0)
		ndm_wake_all(&t->idle);
}

int ndm_device_status(struct ndm_device *dev, enum ndm_status kind, unsigned flags, bool inactive,
		      struct ndm_target_status **out, unsigned *n, bool *read_only)
{
	struct ndm_table *t;
	int err = 0;

	*out = NULL;
	*n = 0;
	device_visit(dev);
	t = inactive ? dev->inactive : dev->live;
	if (read_only)
		*read_only = t && t->read_only;
	if (t && kind == NDM_STATUS_INFO)
		prestatus(t, flags);
	if (t)
		err = status_home(dev, kind, flags, t, out, n);
	device_leave(dev);
	return err;
}

void ndm_target_status_free(struct ndm_target_status *list, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		free(list[i].text);
	ndm_free(list);
}

/* the kernel lists what was opened last first, and each device once */
static int deps_home(const struct ndm_table *t, uint32_t (**out)[2], unsigned *n)
{
	uint32_t (*list)[2];
	unsigned i, j, count = 0, max = 0;
	const struct ndm_dev *d;

	for (i = 0; i < t->n; i++)
		for (d = t->targets[i].devs; d; d = d->next)
			max++;
	list = ndm_calloc(max, sizeof *list);
	if (!list)
		return -ENOMEM;
	for (i = 0; i < t->n; i++)
		for (d = t->targets[i].devs; d; d = d->next) {
			for (j = 0; j < count; j++)
				if (list[j][0] == d->store->major && list[j][1] == d->store->minor)
					break;
			if (j < count)
				continue;
			list[count][0] = d->store->major;
			list[count++][1] = d->store->minor;
		}
	for (i = 0; i < count / 2; i++) {
		uint32_t a = list[i][0], b = list[i][1];

		list[i][0] = list[count - 1 - i][0];
		list[i][1] = list[count - 1 - i][1];
		list[count - 1 - i][0] = a;
		list[count - 1 - i][1] = b;
	}
	*out = list;
	*n = count;
	return 0;
}

int ndm_device_deps(struct ndm_device *dev, bool inactive, uint32_t (**out)[2], unsigned *n)
{
	struct ndm_table *t;
	int err = 0;

	*out = NULL;
	*n = 0;
	device_visit(dev);
	t = inactive ? dev->inactive : dev->live;
	if (t)
		err = deps_home(t, out, n);
	device_leave(dev);
	return err;
}

int ndm_device_stats_save(struct ndm_device *dev, struct ndm_str *out)
{
	int err;

	device_visit(dev);
	err = stats_save(dev, out);
	device_leave(dev);
	return err;
}

int ndm_device_stats_restore(struct ndm_device *dev, const char *bytes, size_t n)
{
	int err;

	device_visit(dev);
	err = stats_restore(dev, bytes, n);
	device_leave(dev);
	return err;
}

void ndm_device_counters(struct ndm_device *dev, struct ndm_counters *list)
{
	*list = (struct ndm_counters){ 0 };
	device_visit(dev);
	if (dev->live) {
		dev->loop->nowait++;
		counters_of(dev->live, list);
		dev->loop->nowait--;
	}
	device_leave(dev);
}
