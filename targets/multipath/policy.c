/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy.c - what multipathd would be told.  The kernel's table line has no words for it; these
 * are ours, as feature words of a table (never printed) and as messages:
 *
 *	ndm_checker <every_ms> <timeout_ms>	0 0 = none; see checker.c
 *	ndm_failback manual|immediate|followover|<seconds>
 *	ndm_no_path_retry queue|fail|<checks>	needs queue_if_no_path to mean anything
 *	ndm_unflushed <bytes>			how much is kept of what was not flushed; 0 = none
 *
 * A message has them without the "ndm_".
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "targets/multipath/multipath.h"

#define MS ((uint64_t)1000000u)
#define SECOND ((uint64_t)1000000000u)
#define DAY_MS 86400000u
#define UNFLUSHED_MAX ((uint64_t)64 << 30)

static int policy_checker(struct mpath *m, struct ndm_args *as)
{
	unsigned every, timeout;
	int err = ndm_args_uint(m->ti, as, 0, DAY_MS, "checker: invalid interval in milliseconds",
				&every);

	if (!err)
		err = ndm_args_uint(m->ti, as, 0, DAY_MS,
				    "checker: invalid time-out in milliseconds", &timeout);
	if (!err && !every != !timeout)
		err = ndm_error(m->ti, -EINVAL, "checker: interval and time-out are both 0, or "
				"neither");
	if (err)
		return err;
	m->policy.every_ns = every * MS;
	m->policy.timeout_ns = timeout * MS;
	return 0;
}

static int policy_failback(struct mpath *m, const char *word)
{
	struct mpath_policy *y = &m->policy;
	unsigned seconds;

	if (!strcasecmp(word, "manual")) {
		y->failback = MPATH_FAILBACK_MANUAL;
	} else if (!strcasecmp(word, "immediate")) {
		y->failback = MPATH_FAILBACK_IMMEDIATE;
	} else if (!strcasecmp(word, "followover")) {
		y->failback = MPATH_FAILBACK_FOLLOWOVER;
	} else if (!selector_number(word, &seconds)) {
		y->failback = MPATH_FAILBACK_AFTER;
		y->failback_ns = seconds * SECOND;
	} else {
		return ndm_error(m->ti, -EINVAL, "failback: '%s' is not manual, immediate, "
				 "followover or a number of seconds", word);
	}
	m->followover = false;
	m->better_ns = 0;
	return 0;
}

static int policy_retry(struct mpath *m, const char *word)
{
	struct mpath_policy *y = &m->policy;
	unsigned checks = 0;

	if (strcasecmp(word, "queue") && strcasecmp(word, "fail") && selector_number(word, &checks))
		return ndm_error(m->ti, -EINVAL, "no_path_retry: '%s' is not queue, fail or a "
				 "number of checks", word);
	y->retry_limited = strcasecmp(word, "queue") != 0;
	y->retries = checks;
	return 0;
}

static int policy_unflushed(struct mpath *m, const char *word)
{
	uint64_t bytes;

	if (m->unflushed)
		return ndm_error(m->ti, -EBUSY, "unflushed: it is settled when the table is loaded");
	if (ndm_arg_u64(word, &bytes) || bytes > UNFLUSHED_MAX)
		return ndm_error(m->ti, -EINVAL, "unflushed: '%s' is not a number of bytes up to "
				 "%llu", word, (unsigned long long)UNFLUSHED_MAX);
	m->policy.unflushed_bytes = bytes;
	m->policy.unflushed_given = true;
	return 0;
}

static bool is_word(const char *word, const char *name)
{
	if (!strncasecmp(word, "ndm_", 4))
		word += 4;
	return !strcasecmp(word, name);
}

int mpath_policy_word(struct mpath *m, const char *word, struct ndm_args *as)
{
	m->policy.given = true;
	if (is_word(word, "checker"))
		return policy_checker(m, as);
	if (!is_word(word, "failback") && !is_word(word, "no_path_retry") &&
	    !is_word(word, "unflushed"))
		return 1;
	if (!as->argc)
		return ndm_error(m->ti, -EINVAL, "%s: its value is missing", word);
	if (is_word(word, "failback"))
		return policy_failback(m, ndm_args_shift(as));
	if (is_word(word, "no_path_retry"))
		return policy_retry(m, ndm_args_shift(as));
	return policy_unflushed(m, ndm_args_shift(as));
}
