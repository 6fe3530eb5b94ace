/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control-model.h - what device-mapper of Linux 6.12 does with control commands: names, uuids,
 * slots, suspension, open counts, deferred removal, event numbers, and the errno of each.
 * Plain data and plain functions; knows nothing of the library under test.
 */
#ifndef NDM_TESTS_CONTROL_MODEL_H
#define NDM_TESTS_CONTROL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_DEVS 5
#define MODEL_NAMES 6

struct model_table {
	bool present, read_only;
	bool stacked;			/* on another device, by its lasting identity: */
	int lower;			/* index into devs, or -1 */
	uint64_t nr, need;		/* size; sectors it needs below */
	uint64_t below;			/* size of a plain backing, 0 = none or unchecked */
	unsigned targets;
};

struct model_dev {
	bool exists;
	int name, uuid;			/* numbers of names; uuid -1 = none */
	unsigned minor;
	struct model_table live, inactive;
	bool suspended, deferred, had_table;
	unsigned clients;
	uint32_t events;
};

struct model { struct model_dev devs[MODEL_DEVS]; };

int model_by_name(const struct model *, int name);		/* -1: none */
unsigned model_open_count(const struct model *, int dev);
bool model_stands_on(const struct model *, int dev, int lower);	/* somewhere below */
/* would waiting for the device's I/O take forever: something below is suspended */
bool model_stuck_below(const struct model *, int dev);

/* All return what the kernel would: 0 or -errno. */
int model_create(struct model *, int name, int uuid, int *dev);
/* bad: the errno of the constructor, or 0 */
int model_load(struct model *, int dev, const struct model_table *, int bad);
int model_clear(struct model *, int dev);
int model_suspend(struct model *, int dev);
int model_resume(struct model *, int dev);
int model_rename(struct model *, int dev, int name);
int model_set_uuid(struct model *, int dev, int uuid);
int model_remove(struct model *, int dev, bool deferred);
int model_cancel(struct model *, int dev);
int model_open(struct model *, int dev);
void model_close(struct model *, int dev);

#endif
