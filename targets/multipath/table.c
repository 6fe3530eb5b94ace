/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multipath: several paths to one thing; when one fails the others go on.
 *
 *	multipath <#features> <feature>* <#handler words> [<handler> ...]
 *		<#groups> <first group> { <selector> <#selector args> <arg>*
 *		<#paths> <#path args> { <device> <arg>{#path args} }{#paths} }{#groups}
 *
 *	features: queue_if_no_path, retain_attached_hw_handler, pg_init_retries <n>,
 *		pg_init_delay_msecs <n>, queue_mode bio|rq|mq
 *
 * Sector s of the device is sector s of each path.  With words of ours (policy.c) the line may
 * have the length 0, which is that of the paths then.  Hardware handlers drive SCSI controllers:
 * there are none here, and a table that names one is refused (but not with queue_mode bio, as
 * in the kernel).  The two queue modes differ in what is printed, in which error a request has
 * that no path would take, and in what a suspend without flush does to what is parked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "targets/multipath/multipath.h"

#define COUNT_MAX 1024u
#define KERNEL_WORDS_MAX 8u
#define WORDS_MAX 32u
#define UNFLUSHED_DEFAULT ((uint64_t)32 << 20)

struct mpath_path *mpath_path_nth(const struct mpath *m, unsigned n)
{
	unsigned i;

	for (i = 0; n >= m->groups[i]->npaths; i++)
		n -= m->groups[i]->npaths;
	return &m->groups[i]->paths[n];
}

/* ---- features ---- */

static int queue_mode(struct mpath *m, const char *word)
{
	m->bio_mode = !strcasecmp(word, "bio");
	if (!m->bio_mode && strcasecmp(word, "rq") && strcasecmp(word, "mq"))
		return ndm_error(m->ti, -EINVAL, "Unknown 'queue_mode' requested: '%s' is not bio, "
				 "rq or mq", word);
	return 0;
}

static int feature(struct mpath *m, struct ndm_args *as)
{
	const char *word = ndm_args_shift(as);
	int err;

	if (!strcasecmp(word, "queue_if_no_path")) {
		m->queue_if_no_path = true;
		return 0;
	}
	if (!strcasecmp(word, "retain_attached_hw_handler")) {
		m->retain_handler = true;
		return 0;
	}
	if (!strcasecmp(word, "pg_init_retries") && as->argc)
		return ndm_args_uint(m->ti, as, 1, 50, "pg_init_retries must be between 1 and 50",
				     &m->pg_init_retries);
	if (!strcasecmp(word, "pg_init_delay_msecs") && as->argc)
		return ndm_args_uint(m->ti, as, 0, 60000,
				     "pg_init_delay_msecs must be between 0 and 60000",
				     &m->pg_init_delay_ms);
	if (!strcasecmp(word, "queue_mode") && as->argc)
		return queue_mode(m, ndm_args_shift(as));
	if (!strncasecmp(word, "ndm_", 4)) {
		err = mpath_policy_word(m, word, as);
		if (err <= 0)
			return err;
	}
	return ndm_error(m->ti, -EINVAL, "Unrecognised multipath feature request: '%s'", word);
}

/* The kernel takes 8 words; with ours there may be more. */
static bool has_policy(const struct ndm_args *as)
{
	unsigned i;

	for (i = 1; i < as->argc && i <= WORDS_MAX; i++)
		if (!strncasecmp(as->argv[i], "ndm_", 4))
			return true;
	return false;
}

static int features(struct mpath *m, struct ndm_args *as)
{
	struct ndm_args own;
	unsigned n;
	int err = ndm_args_group(m->ti, as, 0, has_policy(as) ? WORDS_MAX : KERNEL_WORDS_MAX,
				 "invalid number of feature args", &n);

	if (err)
		return err;
	own = (struct ndm_args){ .argc = n, .argv = as->argv };
	ndm_args_consume(as, n);
	while (own.argc && !err)
		err = feature(m, &own);
	if (m->bio_mode)
		m->retain_handler = true;
	return err;
}

static int handler(struct mpath *m, struct ndm_args *as)
{
	unsigned n;
	int err = ndm_args_group(m->ti, as, 0, COUNT_MAX,
				 "invalid number of hardware handler args", &n);

	/* no module is called so, and a table that is printed could not be read again */
	if (!err && n && !m->bio_mode && strpbrk(as->argv[0], "\\#"))
		return ndm_error(m->ti, -EINVAL, "invalid name of a hardware handler");
	if (!err && n && !m->bio_mode) {
		m->handler = ndm_strdup(as->argv[0]);
		err = m->handler ? 0 : -ENOMEM;
	}
	if (!err)
		ndm_args_consume(as, n);
	return err;
}

/* ---- groups ---- */

/*
 * With a checker a server may be away when the table is loaded: the path begins as a failed
 * one, and is looked at when the server comes.  Where the size is to be found out it has to
 * wait for one that is there.
 */
static int get_absent(struct mpath *m, const char *name, struct ndm_dev **dev)
{
	struct ndm_str spec = { 0 };
	int err;

	ndm_printf(&spec, "%s%cndm-size=%llu", name, strchr(name, '?') ? '&' : '?',
		   (unsigned long long)(m->ti->begin + m->ti->nr) * NDM_SECTOR_BYTES);
	err = ndm_get_dev(m->ti, spec.text, m->ti->begin, m->ti->nr, dev);
	ndm_str_free(&spec);
	return err;
}

static int get_dev(struct mpath *m, const char *name, struct ndm_dev **dev)
{
	int err = ndm_get_dev(m->ti, name, m->ti->begin, m->ti->nr, dev);

	if (!err || !m->policy.every_ns || strncmp(name, "nbd", 3) || strstr(name, "ndm-size="))
		return err;
	ndm_warn(m->ti, "path %s is away: %s", name, m->ti->error->len ? m->ti->error->text
						      : strerror(-err));
	if (m->own_size || !get_absent(m, name, dev)) {
		ndm_str_free(m->ti->error);
		err = 0;
	}
	return err;
}

static int path_ctr(struct mpath *m, struct mpath_group *g, struct ndm_args *as)
{
	struct mpath_path *p = &g->paths[g->npaths];
	const char *name = ndm_args_shift(as);
	int err = get_dev(m, name, &p->dev);

	if (err)
		return ndm_error(m->ti, err, "error getting device");
	if (m->handler)
		return ndm_error(m->ti, -ENODEV, "error attaching hardware handler: '%s' drives a "
				 "SCSI controller, and '%s' is none", m->handler, name);
	p->m = m;
	p->group = g;
	p->name = name;
	p->number = m->npaths;
	p->active = true;
	err = g->selector.type->add(m->ti, &g->selector, p, as->argc, as->argv);
	if (err)
		return err;
	g->npaths++;
	m->npaths++;
	return 0;
}

static int paths_ctr(struct mpath *m, struct mpath_group *g, struct ndm_args *as)
{
	unsigned npaths, nargs, i;
	int err;

	err = ndm_args_uint(m->ti, as, 1, COUNT_MAX, "invalid number of paths", &npaths);
	if (!err)
		err = ndm_args_uint(m->ti, as, 0, COUNT_MAX, "invalid number of selector args",
				    &nargs);
	if (err)
		return err;
	g->paths = ndm_calloc(npaths, sizeof *g->paths);
	if (!g->paths)
		return ndm_error(m->ti, -ENOMEM, "couldn't allocate paths");
	for (i = 0; i < npaths; i++) {
		struct ndm_args own = { .argc = 1 + nargs, .argv = as->argv };

		if (as->argc < own.argc)
			return ndm_error(m->ti, -EINVAL, "not enough path parameters: group %u, "
					 "path %u needs a device and %u words", g->number, i + 1,
					 nargs);
		err = path_ctr(m, g, &own);
		if (err)
			return err;
		ndm_args_consume(as, 1 + nargs);
	}
	return 0;
}

static int selector_ctr(struct mpath *m, struct mpath_group *g, struct ndm_args *as)
{
	const char *name = ndm_args_shift(as);
	unsigned n;
	int err;

	g->selector.type = selector_find(name);
	g->selector.loop = m->ti->loop;
	if (!g->selector.type)
		return ndm_error(m->ti, -EINVAL, "unknown path selector type: '%s' is not "
				 "round-robin, queue-length, service-time, "
				 "historical-service-time or io-affinity", name);
	err = ndm_args_group(m->ti, as, 0, COUNT_MAX, "invalid number of path selector args", &n);
	if (err)
		return err;
	if (g->selector.type->create && g->selector.type->create(&g->selector, n, as->argv))
		return ndm_error(m->ti, -EINVAL, "path selector constructor failed: %s takes "
				 "[<weight 0..1023> [<threshold>]]", name);
	ndm_args_consume(as, n);
	return 0;
}

static int group_ctr(struct mpath *m, struct ndm_args *as)
{
	struct mpath_group *g;
	int err;

	if (as->argc < 2)
		return ndm_error(m->ti, -EINVAL, "not enough priority group arguments");
	g = ndm_zalloc(sizeof *g);
	if (!g)
		return ndm_error(m->ti, -ENOMEM, "couldn't allocate priority group");
	g->number = m->ngroups + 1;
	m->groups[m->ngroups++] = g;
	err = selector_ctr(m, g, as);
	return err ? err : paths_ctr(m, g, as);
}

static int groups_ctr(struct mpath *m, struct ndm_args *as)
{
	unsigned n, first;
	int err;

	err = ndm_args_uint(m->ti, as, 0, COUNT_MAX, "invalid number of priority groups", &n);
	if (!err)
		err = ndm_args_uint(m->ti, as, 0, COUNT_MAX,
				    "invalid initial priority group number", &first);
	if (err)
		return err;
	if (!n != !first)
		return ndm_error(m->ti, -EINVAL, "invalid initial priority group: group %u of %u",
				 first, n);
	m->groups = ndm_calloc(n ? n : 1, sizeof *m->groups);
	if (!m->groups)
		return ndm_error(m->ti, -ENOMEM, "can't allocate multipath");
	while (as->argc && m->ngroups < n && !err)
		err = group_ctr(m, as);
	if (err)
		return err;
	if (m->ngroups != n || as->argc)
		return ndm_error(m->ti, -EINVAL, "priority group count mismatch: %u announced, %s",
				 n, as->argc ? "there are more words" : "fewer are there");
	if (first && first <= n)
		m->next = m->groups[first - 1];
	return 0;
}

static void mpath_free(struct mpath *m)
{
	unsigned i;

	for (i = 0; i < m->ngroups; i++) {
		ndm_free(m->groups[i]->paths);
		ndm_free(m->groups[i]);
	}
	ndm_free(m->groups);
	ndm_free(m->handler);
	unflushed_free(m->unflushed);
}

/* A line without a length: that of the paths, which must agree. */
static int size_ctr(struct mpath *m)
{
	const struct mpath_path *first = NULL;
	unsigned i;

	for (i = 0; i < m->npaths; i++) {
		const struct mpath_path *p = mpath_path_nth(m, i);

		if (!p->dev)
			continue;
		if (first && first->dev->store->nr != p->dev->store->nr)
			return ndm_error(m->ti, -EINVAL, "paths of different sizes: %s has %llu "
					 "sectors, %s has %llu", first->name,
					 (unsigned long long)first->dev->store->nr, p->name,
					 (unsigned long long)p->dev->store->nr);
		first = first ? first : p;
	}
	if (!first || !first->dev->store->nr)
		return ndm_error(m->ti, -EINVAL, "the size is not known: no path is there that "
				 "could tell it");
	m->ti->nr = first->dev->store->nr;
	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);
		int err = p->dev ? 0 : get_absent(m, p->name, &p->dev);

		if (err)
			return ndm_error(m->ti, err, "error getting device");
		ndm_dev_section(p->dev, m->ti->begin, m->ti->nr);
	}
	return 0;
}

/* Paths whose servers are away, and a place for what those that are not may lose. */
static int links_ctr(struct mpath *m)
{
	uint64_t bytes = m->policy.unflushed_given ? m->policy.unflushed_bytes : UNFLUSHED_DEFAULT;
	bool any = false;
	unsigned i;

	ndm_waitq_init(&m->checker_q, m->ti->loop);
	ndm_waitq_init(&m->resend_q, m->ti->loop);
	m->nvalid = m->npaths;
	for (i = 0; i < m->npaths; i++) {
		struct mpath_path *p = mpath_path_nth(m, i);

		p->name = NULL;			/* it was the table line's */
		p->link = p->dev->store->ops->link;
		if (!p->link)
			continue;
		any = true;
		if (p->link->dirty(p->dev->store))
			p->writes = 1;		/* by the table before this one */
		if (p->link->up(p->dev->store) || !m->policy.every_ns)
			continue;
		p->group->selector.type->fail(&p->group->selector, p);
		p->active = false;
		p->health.error = -ENOTCONN;
		p->health.error_ns = ndm_now(m->ti->loop);
		snprintf(p->health.why, sizeof p->health.why, "%s", p->link->why(p->dev->store));
		m->nvalid--;
	}
	if (!any || !bytes)
		return 0;
	m->unflushed = unflushed_new(bytes);
	return m->unflushed ? 0 : ndm_error(m->ti, -ENOMEM, "no memory for unflushed writes");
}

static int mpath_ctr(struct ndm_target *ti, unsigned argc, char **argv)
{
	struct mpath *m = ti->private_data;
	struct ndm_args as = { .argc = argc, .argv = argv };
	int err;

	m->ti = ti;
	m->pg_init_delay_ms = MPATH_DELAY_DEFAULT;
	m->queue_io = true;
	m->own_size = !ti->nr;
	err = features(m, &as);
	if (!err && m->own_size && !m->policy.given)
		err = ndm_error(ti, -EINVAL, "zero-length target");
	if (!err)
		err = handler(m, &as);
	if (!err)
		err = groups_ctr(m, &as);
	if (!err && m->own_size)
		err = size_ctr(m);
	if (!err)
		err = links_ctr(m);
	if (err) {
		mpath_free(m);
		return err;
	}
	mpath_watch(m);
	ti->num_flush = ti->num_discard = ti->num_zeroes = 1;
	ti->request_based = !m->bio_mode;
	ti->extents = true;
	ti->per_bio_size = sizeof(struct mpath_io);
	return 0;
}

static void mpath_dtr(struct ndm_target *ti)
{
	mpath_unwatch(ti->private_data);
	mpath_give_up(ti->private_data);
	mpath_free(ti->private_data);
}

/* ---- suspend ---- */

/*
 * A suspend that flushes must see the end of every request, so without a path they fail; one
 * without flush keeps queueing (requests go to the next table), unless in bio mode.
 */
static void mpath_presuspend(struct ndm_target *ti)
{
	struct mpath *m = ti->private_data;

	if (m->bio_mode || !ndm_noflush_suspending(ti))
		mpath_queue_if_no_path(m, false, true);
	else
		mpath_kick(m);
}

static void mpath_postsuspend(struct ndm_target *ti)
{
	struct mpath *m = ti->private_data;

	mpath_settle(m);
	m->suspended = true;
	mpath_check_stop(m);
}

static void mpath_resume(struct ndm_target *ti)
{
	struct mpath *m = ti->private_data;

	m->suspended = false;
	mpath_take_over(m);
	if (m->saved_queue) {
		m->queue_if_no_path = true;
		m->saved_queue = false;
	}
	mpath_check_start(m);
	mpath_resend(m);
}

/* ---- the words ---- */

static const char *const selectors[] = {
	"service-time", "round-robin", "queue-length", "historical-service-time", "io-affinity", NULL
};
static const char *const queue_modes[] = { "bio", "rq", "mq", NULL };
static const char *const path_states[] = { "A", "F", NULL };
static const char *const group_states[] = { "A", "E", "D", NULL };

static const struct ndm_arg retries_args[] = {
	{ .name = "retries", .kind = NDM_ARG_U64, .help = "1 to 50." }, { 0 }
};
static const struct ndm_arg delay_args[] = {
	{ .name = "delay", .kind = NDM_ARG_MS, .help = "0 to 60000." }, { 0 }
};
static const struct ndm_arg mode_args[] = {
	{ .name = "mode", .kind = NDM_ARG_WORD, .choices = queue_modes,
	  .help = "rq (or mq) or bio." },
	{ 0 }
};
static const struct ndm_arg checker_args[] = {
	{ .name = "every", .kind = NDM_ARG_MS, .help = "How often an idle or failed path is asked." },
	{ .name = "timeout", .kind = NDM_ARG_MS,
	  .help = "After how long a silence a path is given up." },
	{ 0 }
};
static const struct ndm_arg failback_args[] = {
	{ .name = "failback", .kind = NDM_ARG_TEXT,
	  .help = "manual, immediate, followover or seconds." },
	{ 0 }
};
static const struct ndm_arg retry_args[] = {
	{ .name = "checks", .kind = NDM_ARG_TEXT, .help = "queue, fail or a number of checks." },
	{ 0 }
};
static const struct ndm_arg unflushed_args[] = {
	{ .name = "bytes", .kind = NDM_ARG_BYTES, .help = "0: nothing is kept." }, { 0 }
};
static const struct ndm_arg feature_args[] = {
	{ .name = "queue_if_no_path", .kind = NDM_ARG_FLAG,
	  .help = "Requests wait while there is no path, rather than fail." },
	{ .name = "pg_init_retries", .kind = NDM_ARG_KEYED, .sub = retries_args,
	  .help = "For hardware handlers; accepted and without effect." },
	{ .name = "pg_init_delay_msecs", .kind = NDM_ARG_KEYED, .sub = delay_args,
	  .help = "For hardware handlers; accepted and without effect." },
	{ .name = "retain_attached_hw_handler", .kind = NDM_ARG_FLAG,
	  .help = "For hardware handlers; accepted and without effect." },
	{ .name = "queue_mode", .kind = NDM_ARG_KEYED, .sub = mode_args,
	  .help = "Printed as given; a device keeps the one of its first table." },
	{ .name = "ndm_checker", .kind = NDM_ARG_KEYED, .sub = checker_args,
	  .help = "Finds out which paths work, and reinstates those that do again.  This and what "
		  "follows is ours, and not printed." },
	{ .name = "ndm_failback", .kind = NDM_ARG_KEYED, .sub = failback_args,
	  .help = "When to go back to a better group." },
	{ .name = "ndm_no_path_retry", .kind = NDM_ARG_KEYED, .sub = retry_args,
	  .help = "For how long requests wait for a path, with queue_if_no_path." },
	{ .name = "ndm_unflushed", .kind = NDM_ARG_KEYED, .sub = unflushed_args,
	  .help = "How much is kept of what was written and not yet flushed, to write it again "
		  "when a server dies; 32 MiB by default." },
	{ 0 }
};

static const struct ndm_arg word_args[] = {
	{ .name = "word", .kind = NDM_ARG_TEXT, .help = "An argument of the selector." }, { 0 }
};
static const struct ndm_arg handler_args[] = {
	{ .name = "word", .kind = NDM_ARG_TEXT, .help = "A hardware handler and its arguments." },
	{ 0 }
};
static const struct ndm_arg path_args[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE,
	  .help = "The path: the same data as all the others." },
	{ .name = "path_args", .kind = NDM_ARG_LIST, .flags = NDM_ARG_OPTIONAL, .sub = word_args,
	  .help = "round-robin, queue-length, historical-service-time: [<repeat_count>]; "
		  "service-time: [<repeat_count> [<throughput>]]; io-affinity: <cpumask>." },
	{ 0 }
};
static const struct ndm_arg group_args[] = {
	{ .name = "selector", .kind = NDM_ARG_WORD, .choices = selectors, .dflt = "service-time",
	  .help = "Who decides which path takes a request." },
	{ .name = "nselector_args", .kind = NDM_ARG_COUNT, .of = "selector_args",
	  .help = "How many arguments the selector has." },
	{ .name = "selector_args", .kind = NDM_ARG_LIST, .sub = word_args,
	  .help = "historical-service-time: [<base weight> [<threshold>]]." },
	{ .name = "npaths", .kind = NDM_ARG_COUNT, .of = "paths",
	  .help = "How many paths the group has." },
	{ .name = "npath_args", .kind = NDM_ARG_COUNT, .of = "path_args",
	  .help = "How many words follow each path." },
	{ .name = "paths", .kind = NDM_ARG_LIST, .sub = path_args, .help = "The paths." },
	{ 0 }
};

static const struct ndm_arg mpath_args[] = {
	{ .name = "features", .kind = NDM_ARG_FEATURES, .sub = feature_args,
	  .help = "What is to be different." },
	{ .name = "nhandler", .kind = NDM_ARG_COUNT, .of = "handler",
	  .help = "How many words the hardware handler has: 0." },
	{ .name = "handler", .kind = NDM_ARG_LIST, .sub = handler_args,
	  .help = "For SCSI controllers in a kernel; none can be given here." },
	{ .name = "ngroups", .kind = NDM_ARG_COUNT, .of = "groups",
	  .help = "How many groups of paths there are." },
	{ .name = "first_group", .kind = NDM_ARG_U64, .dflt = "1",
	  .help = "The group to begin with, from 1." },
	{ .name = "groups", .kind = NDM_ARG_LIST, .sub = group_args,
	  .help = "The groups, the preferred one first." },
	{ 0 }
};

static const struct ndm_arg path_status[] = {
	{ .name = "device", .kind = NDM_ARG_DEVICE, .help = "The path." },
	{ .name = "state", .kind = NDM_ARG_WORD, .choices = path_states,
	  .help = "A (active) or F (failed)." },
	{ .name = "failures", .kind = NDM_ARG_U64, .help = "How often it has failed." },
	{ .name = "path_words", .kind = NDM_ARG_LIST, .sub = word_args,
	  .help = "queue-length: requests in flight; service-time: bytes in flight, throughput; "
		  "historical-service-time: average, requests in flight, stale after (ns)." },
	{ 0 }
};
static const struct ndm_arg group_status[] = {
	{ .name = "state", .kind = NDM_ARG_WORD, .choices = group_states,
	  .help = "A (in use), E (enabled) or D (disabled)." },
	{ .name = "nselector_words", .kind = NDM_ARG_COUNT, .of = "selector_words",
	  .help = "How many words the selector says of the group." },
	{ .name = "selector_words", .kind = NDM_ARG_LIST, .sub = word_args,
	  .help = "historical-service-time: base weight, threshold." },
	{ .name = "npaths", .kind = NDM_ARG_COUNT, .of = "paths",
	  .help = "How many paths the group has." },
	{ .name = "npath_words", .kind = NDM_ARG_COUNT, .of = "path_words",
	  .help = "How many words the selector says of each path." },
	{ .name = "paths", .kind = NDM_ARG_LIST, .sub = path_status, .help = "The paths." },
	{ 0 }
};
static const struct ndm_arg mpath_status_fields[] = {
	{ .name = "words", .kind = NDM_ARG_CONST, .dflt = "2",
	  .help = "How many words follow that belong to the device." },
	{ .name = "queue_io", .kind = NDM_ARG_U64,
	  .help = "1 until the first request has looked for a path." },
	{ .name = "pg_init_count", .kind = NDM_ARG_U64, .help = "0: there are no handlers." },
	{ .name = "handler", .kind = NDM_ARG_CONST, .dflt = "0",
	  .help = "How many words the hardware handler says." },
	{ .name = "ngroups", .kind = NDM_ARG_COUNT, .of = "groups",
	  .help = "How many groups there are." },
	{ .name = "group", .kind = NDM_ARG_U64,
	  .help = "The group in use, or to be used next; 1 when there is none." },
	{ .name = "groups", .kind = NDM_ARG_LIST, .sub = group_status, .help = "The groups." },
	{ 0 }
};

static const struct ndm_keep mpath_keeps[] = {
	NDM_KEEP(struct mpath, queue_io), NDM_KEEP(struct mpath, gave_up),
	{ 0 }
};

const struct ndm_target_type ndm_target_multipath = {
	.name = "multipath",
	.version = { 1, 14, 0 },
	.features = NDM_TARGET_SINGLETON | NDM_TARGET_IMMUTABLE | NDM_TARGET_OWN_SIZE,
	.private_size = sizeof(struct mpath),
	.args = mpath_args,
	.status_fields = mpath_status_fields,
	.summary = "Several paths to the same data; when one fails the others go on.",
	.ctr = mpath_ctr,
	.dtr = mpath_dtr,
	.map = mpath_map,
	.end_io = mpath_end_io,
	.status = mpath_status,
	.counters = mpath_counters,
	.message = mpath_message,
	.presuspend = mpath_presuspend,
	.postsuspend = mpath_postsuspend,
	.resume = mpath_resume,
	.keeps = mpath_keeps,
	.recall = mpath_recall,
	.remember = mpath_remember,
};
