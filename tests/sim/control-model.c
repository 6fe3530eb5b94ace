/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-model.c - the state machine of device-mapper, as small as it can be said.
 *
 * One deliberate difference from the kernel, both documented: opening a device that has no
 * live table is refused (there is nothing to export), and tables that would close a circle
 * are refused.
 */
#include <errno.h>
#include <string.h>

#include "control-model.h"

int model_by_name(const struct model *m, int name)
{
	int i;

	for (i = 0; i < MODEL_DEVS; i++)
		if (m->devs[i].exists && m->devs[i].name == name)
			return i;
	return -1;
}

static bool table_on(const struct model_table *t, int lower)
{
	return t->present && t->stacked && t->lower == lower;
}

/* clients, and one for each device with a table (of either slot) on it */
unsigned model_open_count(const struct model *m, int dev)
{
	unsigned n = m->devs[dev].clients;
	int i;

	for (i = 0; i < MODEL_DEVS; i++)
		if (m->devs[i].exists &&
		    (table_on(&m->devs[i].live, dev) || table_on(&m->devs[i].inactive, dev)))
			n++;
	return n;
}

bool model_stands_on(const struct model *m, int dev, int lower)
{
	int i;

	for (i = 0; i < MODEL_DEVS; i++)
		if ((table_on(&m->devs[dev].live, i) || table_on(&m->devs[dev].inactive, i)) &&
		    (i == lower || model_stands_on(m, i, lower)))
			return true;
	return false;
}

bool model_stuck_below(const struct model *m, int dev)
{
	const struct model_table *t = &m->devs[dev].live;

	if (!t->present || !t->stacked)
		return false;
	return m->devs[t->lower].suspended || model_stuck_below(m, t->lower);
}

/* a device whose removal was put off goes when nobody holds it; that may let go of others */
static void let_go(struct model *m)
{
	bool any = true;
	int i;

	while (any) {
		any = false;
		for (i = 0; i < MODEL_DEVS; i++)
			if (m->devs[i].exists && m->devs[i].deferred && !model_open_count(m, i)) {
				memset(&m->devs[i], 0, sizeof m->devs[i]);
				any = true;
			}
	}
}

int model_create(struct model *m, int name, int uuid, int *dev)
{
	struct model_dev *d = NULL;
	unsigned minor = 0;
	int i;

	for (i = 0; i < MODEL_DEVS; i++)
		if (m->devs[i].exists && (m->devs[i].name == name ||
					  (uuid >= 0 && m->devs[i].uuid == uuid)))
			return -EBUSY;
	for (i = 0; i < MODEL_DEVS && !d; i++)
		if (!m->devs[i].exists)
			d = &m->devs[*dev = i];
	for (i = 0; i < MODEL_DEVS; i++)
		if (m->devs[i].exists && m->devs[i].minor == minor) {
			minor++;
			i = -1;
		}
	*d = (struct model_dev){ .exists = true, .name = name, .uuid = uuid, .minor = minor };
	return 0;
}

static bool fits(const struct model *m, const struct model_table *t)
{
	uint64_t size = t->stacked ? m->devs[t->lower].live.nr : t->below;

	return !size || t->need <= size;
}

int model_load(struct model *m, int dev, const struct model_table *t, int bad)
{
	struct model_dev *d = &m->devs[dev];

	if (bad)
		return bad;
	if (t->stacked && (t->lower == dev || model_stands_on(m, t->lower, dev)))
		return -EINVAL;
	if (!d->had_table && !fits(m, t))
		return -EINVAL;
	d->had_table = true;
	d->inactive = *t;
	let_go(m);			/* the table there before may have held something */
	return 0;
}

int model_clear(struct model *m, int dev)
{
	m->devs[dev].inactive.present = false;
	let_go(m);
	return 0;
}

int model_suspend(struct model *m, int dev)
{
	m->devs[dev].suspended = true;
	return 0;
}

int model_resume(struct model *m, int dev)
{
	struct model_dev *d = &m->devs[dev];
	struct model_table t = d->inactive;

	if (t.present) {
		d->suspended = true;
		d->inactive.present = false;
		if (!fits(m, &t)) {
			let_go(m);
			return -EINVAL;
		}
		d->live = t;
	}
	if (d->suspended && !d->live.present)
		return -EINVAL;
	d->suspended = false;
	let_go(m);
	return 0;
}

int model_rename(struct model *m, int dev, int name)
{
	if (model_by_name(m, name) >= 0)
		return -EBUSY;
	m->devs[dev].name = name;
	m->devs[dev].events += m->devs[dev].live.present;
	return 0;
}

int model_set_uuid(struct model *m, int dev, int uuid)
{
	int i;

	for (i = 0; i < MODEL_DEVS; i++)
		if (m->devs[i].exists && m->devs[i].uuid == uuid)
			return -EBUSY;
	if (m->devs[dev].uuid >= 0)
		return -EINVAL;
	m->devs[dev].uuid = uuid;
	m->devs[dev].events += m->devs[dev].live.present;
	return 0;
}

int model_remove(struct model *m, int dev, bool deferred)
{
	if (model_open_count(m, dev)) {
		if (!deferred)
			return -EBUSY;
		m->devs[dev].deferred = true;
		return 0;
	}
	memset(&m->devs[dev], 0, sizeof m->devs[dev]);
	let_go(m);
	return 0;
}

int model_cancel(struct model *m, int dev)
{
	m->devs[dev].deferred = false;
	return 0;
}

int model_open(struct model *m, int dev)
{
	if (!m->devs[dev].live.present)
		return -ENXIO;
	m->devs[dev].clients++;
	return 0;
}

void model_close(struct model *m, int dev)
{
	m->devs[dev].clients--;
	let_go(m);
}
