/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message.c - messages: the core's own (@...) and the targets'.
 *
 * The order of the checks is the kernel's: empty message, core message, live table, sector,
 * a target that takes messages.  The live table gets it, also while suspended.
 */
#include <stdlib.h>
#include <strings.h>

#include "core.h"

int core_message(struct ndm_device *dev, unsigned argc, char **argv, struct ndm_str *reply)
{
	if (!strcasecmp(argv[0], "@cancel_deferred_remove")) {
		if (argc != 1)
			return -EINVAL;
		return ndm_device_cancel_deferred(dev);
	}
	return stats_message(dev, argc, argv, reply);
}

static int message_home(struct ndm_device *dev, uint64_t sector, unsigned argc, char **argv,
			struct ndm_str *reply, struct ndm_str *why)
{
	struct ndm_table *t = dev->live;
	struct ndm_str said = { 0 };
	struct ndm_target *ti;
	int err;

	ti = t ? table_find(t, sector) : NULL;
	if (!ti) {
		ndm_printf(why, t ? "sector %llu lies outside the device" : "the device has no live table",
			   (unsigned long long)sector);
		return -EINVAL;
	}
	if (!ti->type->message) {
		ndm_printf(why, "%s takes no messages", ti->type->name);
		return -EINVAL;
	}
	t->users++;
	ti->error = &said;
	err = ti->type->message(ti, argc, argv, reply);
	ti->error = NULL;
	if (err < 0 && said.len)
		ndm_printf(why, "%s: %s", ti->type->name, said.text);
	ndm_str_free(&said);
	if (--t->users == 0)
		ndm_wake_all(&t->idle);
	return err;
}

int ndm_device_message(struct ndm_device *dev, uint64_t sector, const char *text,
		       struct ndm_str *reply, struct ndm_str *why)
{
	char *copy = ndm_strdup(text), **argv = NULL;
	unsigned argc;
	int err = copy ? split_words(copy, &argc, &argv) : -ENOMEM;

	if (err)
		goto out;
	if (!argc) {
		ndm_printf(why, "the message is empty");
		err = -EINVAL;
		goto out;
	}
	ndm_device_hold(dev);
	if (argv[0][0] == '@') {
		err = core_message(dev, argc, argv, reply);
		if (err < 0)
			ndm_printf(why, "'%s' is no message that the core takes", text);
	} else {
		device_visit(dev);
		err = message_home(dev, sector, argc, argv, reply, why);
		device_leave(dev);
	}
	ndm_device_put(dev);
out:
	free(argv);
	ndm_free(copy);
	return err;
}
