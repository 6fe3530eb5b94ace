/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message.c - messages: the kernel's, with its answers.
 *
 *	fail_path <device>	reinstate_path <device>
 *	switch_group <n>	disable_group <n>	enable_group <n>
 *	queue_if_no_path	fail_if_no_path
 *
 * and ours: those of policy.c, and
 *
 *	paths [lines]		what is known of them, as JSON or as lines
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "targets/multipath/multipath.h"

/* ---- groups ---- */

static struct mpath_group *group_find(struct mpath *m, const char *word)
{
	unsigned n;

	if (selector_number(word, &n) || !n || n > m->ngroups) {
		ndm_error(m->ti, -EINVAL, "invalid PG number: '%s' is not one from 1 to %u", word,
			  m->ngroups);
		return NULL;
	}
	return m->groups[n - 1];
}

static int group_message(struct mpath *m, const char *verb, const char *word)
{
	struct mpath_group *g = group_find(m, word);

	if (!g)
		return -EINVAL;
	if (!strcasecmp(verb, "switch_group"))
		mpath_group_switch(m, g);
	else
		mpath_group_bypass(m, g, !strcasecmp(verb, "disable_group"));
	return 0;
}

/* ---- paths ---- */

static bool same_device(const struct ndm_store *a, const struct ndm_store *b)
{
	return a == b || (a->major == b->major && a->minor == b->minor);
}

/* Every occurrence of the device counts. */
static int path_message(struct mpath *m, const char *name, bool fail)
{
	struct ndm_dev *dev;
	unsigned i;
	int err = ndm_dev_find(m->ti, name, &dev);

	if (err)
		return ndm_error(m->ti, err, "error getting device '%s'", name);
	if (!dev)
		return ndm_error(m->ti, -EINVAL, "'%s' is no path of this device", name);
	if (m->suspended)			/* the look-up has waited */
		return ndm_error(m->ti, -EBUSY, "the device is suspended");
	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		if (!same_device(p->dev->store, dev->store))
			continue;
		if (fail)
			mpath_fail(m, p, 0, "by message");
		else
			mpath_reinstate(m, p);
	}
	return 0;
}

int mpath_message(struct ndm_target *ti, unsigned argc, char **argv, struct ndm_str *reply)
{
	struct mpath *m = ti->private_data;
	const char *verb = argv[0];

	int err;

	if (!strcasecmp(verb, "paths") && (argc == 1 || (argc == 2 && !strcasecmp(argv[1], "lines")))) {
		if (argc == 1)
			mpath_report(m, reply);
		else
			mpath_report_lines(m, reply);
		return 1;
	}
	if (m->suspended)
		return ndm_error(ti, -EBUSY, "the device is suspended");
	if (argc == 1 && (!strcasecmp(verb, "queue_if_no_path") ||
			  !strcasecmp(verb, "fail_if_no_path"))) {
		mpath_queue_if_no_path(m, *verb == 'q' || *verb == 'Q', false);
		return 0;
	}
	if (strncasecmp(verb, "ndm_", 4)) {
		struct ndm_args as = { .argc = argc - 1, .argv = argv + 1 };

		err = mpath_policy_word(m, verb, &as);
		if (err <= 0) {
			mpath_check_now(m);
			mpath_check_start(m);
			return err;
		}
	}
	if (argc != 2)
		return ndm_error(ti, -EINVAL, "Invalid multipath message arguments. "
				 "Expected 2 arguments, got %u", argc);
	if (!strcasecmp(verb, "disable_group") || !strcasecmp(verb, "enable_group") ||
	    !strcasecmp(verb, "switch_group"))
		return group_message(m, verb, argv[1]);
	if (!strcasecmp(verb, "fail_path") || !strcasecmp(verb, "reinstate_path"))
		return path_message(m, argv[1], *verb == 'f' || *verb == 'F');
	return ndm_error(ti, -EINVAL, "Unrecognised multipath message received: '%s'", verb);
}
