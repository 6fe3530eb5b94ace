/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd-open.c - an image of a Ceph cluster is found, opened and closed.
 *
 *	rbd:POOL[/NAMESPACE]/IMAGE[@SNAPSHOT][:OPTION=VALUE]...
 *
 * as QEMU spells it, with a backslash before a character that would end a word.  Options are
 *
 *   conf                 the configuration file (Ceph's own search: $CEPH_CONF, /etc/ceph)
 *   id                   the user, without "client." (admin)
 *   ndm-connect-timeout  milliseconds for which a silent cluster is waited for when the image is
 *                        opened or closed (10000; whole seconds, rounded up)
 *   anything else        Ceph's option of that name (mon_host, keyring, rados_osd_op_timeout, ...)
 *
 * Every call here may block, so all of it runs on a worker, and every call is bounded: Ceph's
 * own time-outs are set for it.  Requests later have none unless the administrator says so:
 * Ceph waits until its OSDs are back.
 *
 * librbd's cache stays off, whatever the configuration says: it keeps writes back and reads
 * stale data when several servers have one image.  Settings kept in the cluster (`rbd config
 * pool|image set`) would win over ours, so an image that turns it on is refused.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "rbd.h"

#define CONNECT_S 10u
#define DISCARD_BYTES 65536u			/* rbd_discard_granularity_bytes, its default */
#define SPACE_SECTORS ((uint64_t)1 << 21)	/* 1 GiB: a DISCARD or ZEROES of 256 objects */

/* ---- the text ---- */

/* The word up to an unescaped character of `stops`, in place; which one goes to *stop. */
static char *word(char **text, const char *stops, char *stop)
{
	char *from = *text, *to = *text, *begin = *text;

	while (*from && !strchr(stops, *from)) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from++;
	}
	*stop = *from;
	*text = *from ? from + 1 : from;
	*to = '\0';
	return begin;
}

static int option(struct rbd_spec *s, char *text, struct ndm_str *why)
{
	char *value = strchr(text, '='), *end;
	unsigned long ms;

	if (!value || value == text) {
		ndm_printf(why, "'%s' is no option: they are OPTION=VALUE, with colons between",
			   text);
		return -EINVAL;
	}
	*value++ = '\0';
	if (!strcmp(text, "conf")) {
		s->conf = value;
	} else if (!strcmp(text, "id")) {
		s->id = value;
	} else if (!strcmp(text, "ndm-connect-timeout")) {
		ms = strtoul(value, &end, 10);
		if (*value < '0' || *value > '9' || *end || !ms || ms > 86400000) {
			ndm_printf(why, "ndm-connect-timeout is a number of milliseconds");
			return -EINVAL;
		}
		s->connect_s = (unsigned)((ms + 999) / 1000);
	} else if (!strcmp(text, "rbd_cache") && strcmp(value, "false") && strcmp(value, "0")) {
		ndm_printf(why, "rbd_cache stays off: a server that keeps writes back may not "
			   "share an image with others");
		return -EINVAL;
	} else if (s->noptions == sizeof s->options / sizeof *s->options) {
		ndm_printf(why, "more than %u options", s->noptions);
		return -EINVAL;
	} else {
		s->options[s->noptions].name = text;
		s->options[s->noptions++].value = value;
	}
	return 0;
}

int rbd_spec_parse(struct rbd_spec *s, const char *spec, struct ndm_str *why)
{
	char *text, stop;
	int err = 0;

	memset(s, 0, sizeof *s);
	s->connect_s = CONNECT_S;
	s->text = text = ndm_strdup(spec + strlen("rbd:"));
	if (!text)
		return -ENOMEM;
	s->pool = word(&text, "/@:", &stop);
	s->image = "";
	if (stop == '/')
		s->image = word(&text, "/@:", &stop);
	if (stop == '/') {
		s->space = s->image;
		s->image = word(&text, "/@:", &stop);
	}
	if (stop == '@')
		s->snap = word(&text, "/@:", &stop);
	if (!*s->pool || !*s->image || (s->space && !*s->space) || (s->snap && !*s->snap) ||
	    (stop && stop != ':')) {
		ndm_printf(why, "an image is named rbd:POOL/IMAGE, rbd:POOL/NAMESPACE/IMAGE, with "
			   "@SNAPSHOT and :OPTION=VALUE behind it where wanted");
		return -EINVAL;
	}
	while (!err && stop)
		err = option(s, word(&text, ":", &stop), why);
	return err;
}

/* ---- closing, and what is left of a failed opening; on a worker ---- */

/* Ceph takes a changed setting up when it is told to look. */
static void patience_set(struct rbd_store *st, const char *osd, const char *mon)
{
	const char *argv[] = { "ndm", NULL };

	st->api->rados_conf_set(st->cluster, "rados_osd_op_timeout", osd);
	st->api->rados_conf_set(st->cluster, "rados_mon_op_timeout", mon);
	st->api->rados_conf_parse_argv(st->cluster, 1, argv);
}

static int close_run(void *arg)
{
	struct rbd_store *st = arg;
	const struct rbd_api *api = st->api;
	int err = 0;

	if (st->cluster)
		patience_set(st, st->patience, st->patience);
	if (st->watched)
		api->rbd_update_unwatch(st->image, st->watch);
	if (st->image)
		err = api->rbd_close(st->image);
	if (st->pool)
		api->rados_ioctx_destroy(st->pool);
	if (st->cluster)
		api->rados_shutdown(st->cluster);
	while (atomic_load_explicit(&st->calling, memory_order_acquire))
		sched_yield();
	return err;
}

/* ---- opening, step by step; on a worker ---- */

struct opening {
	struct rbd_store *st;
	struct os_world *world;
	struct rbd_spec spec;
	struct ndm_str *why;
};

static int configure(struct opening *o)
{
	struct rbd_store *st = o->st;
	const struct rbd_api *api = st->api;
	const struct rbd_spec *s = &o->spec;
	unsigned i;
	int err = api->rados_create(&st->cluster, s->id);

	if (err) {
		st->cluster = NULL;
		ndm_printf(o->why, "librados takes no user '%s'", s->id ? s->id : "admin");
		return err;
	}
	err = api->rados_conf_read_file(st->cluster, s->conf);
	if (err && s->conf) {			/* without one the options may say it all */
		ndm_printf(o->why, "Ceph's configuration file %s cannot be read", s->conf);
		return err;
	}
	for (i = 0; i < s->noptions; i++) {
		err = api->rados_conf_set(st->cluster, s->options[i].name, s->options[i].value);
		if (err) {
			ndm_printf(o->why, err == -ENOENT ? "Ceph has no option '%s'"
				   : "Ceph's option '%s' does not take this value",
				   s->options[i].name);
			return -EINVAL;
		}
	}
	api->rados_conf_get(st->cluster, "rados_osd_op_timeout", st->osd_timeout,
			    sizeof st->osd_timeout);
	api->rados_conf_get(st->cluster, "rados_mon_op_timeout", st->mon_timeout,
			    sizeof st->mon_timeout);
	snprintf(st->patience, sizeof st->patience, "%u", s->connect_s);
	api->rados_conf_set(st->cluster, "rbd_cache", "false");
	api->rados_conf_set(st->cluster, "client_mount_timeout", st->patience);
	patience_set(st, st->patience, st->patience);
	return 0;
}

static int connect_why(struct opening *o, int err)
{
	const char *id = o->spec.id ? o->spec.id : "admin";

	if (err == -ETIMEDOUT)
		ndm_printf(o->why, "no monitor of the Ceph cluster has answered within %u s",
			   o->spec.connect_s);
	else if (err == -ENOENT || err == -EINVAL)
		ndm_printf(o->why, "Ceph's configuration names no monitor, or has no key for "
			   "client.%s", id);
	else if (err == -EACCES || err == -EPERM)
		ndm_printf(o->why, "the Ceph cluster does not let client.%s in", id);
	else
		ndm_printf(o->why, "connecting to the Ceph cluster failed");
	return err;
}

static int pool_open(struct opening *o)
{
	struct rbd_store *st = o->st;
	int err = st->api->rados_ioctx_create(st->cluster, o->spec.pool, &st->pool);

	if (err) {
		st->pool = NULL;
		ndm_printf(o->why, err == -ENOENT ? "the Ceph cluster has no pool '%s'"
			   : "the Ceph cluster does not open pool '%s'", o->spec.pool);
		return err;
	}
	if (o->spec.space)
		st->api->rados_ioctx_set_namespace(st->pool, o->spec.space);
	return 0;
}

static int image_why(struct opening *o, int err)
{
	const struct rbd_spec *s = &o->spec;

	if (err == -ENOENT)
		ndm_printf(o->why, "pool '%s' has no image '%s'%s%s", s->pool, s->image,
			   s->space ? " in its namespace " : "", s->space ? s->space : "");
	else if (err == -ETIMEDOUT)
		ndm_printf(o->why, "no OSD of the Ceph cluster has answered for pool '%s' within "
			   "%u s", s->pool, s->connect_s);
	else if (err == -EACCES || err == -EPERM)
		ndm_printf(o->why, "client.%s has no right to image '%s'", s->id ? s->id : "admin",
			   s->image);
	else
		ndm_printf(o->why, "librbd does not open image '%s'", s->image);
	return err;
}

static int image_open(struct opening *o)
{
	struct rbd_store *st = o->st;
	const struct rbd_spec *s = &o->spec;
	int err;

	if (st->mode & NDM_OPEN_WRITE)
		err = st->api->rbd_open(st->pool, s->image, &st->image, NULL);
	else
		err = st->api->rbd_open_read_only(st->pool, s->image, &st->image, NULL);
	if (err) {
		st->image = NULL;
		return image_why(o, err);
	}
	if (!s->snap)
		return 0;
	err = st->api->rbd_snap_set(st->image, s->snap);
	if (err == -ENOENT)
		ndm_printf(o->why, "image '%s' has no snapshot '%s'", s->image, s->snap);
	else if (err)
		image_why(o, err);
	return err;
}

static bool says_yes(int err, const char *value)
{
	return err >= 0 && strcmp(value, "false") && strcmp(value, "0") && strcmp(value, "no");
}

/* What the cluster keeps for the image, or the pool, wins over our rbd_cache=false. */
static int cache_refuse(struct opening *o)
{
	struct rbd_store *st = o->st;
	char value[32] = "";
	size_t len = sizeof value;
	const char *what = "image";
	int err = st->api->rbd_metadata_get(st->image, "conf_rbd_cache", value, &len);

	if (err < 0) {
		what = "pool";
		len = sizeof value;
		err = st->api->rbd_pool_metadata_get(st->pool, "conf_rbd_cache", value, &len);
	}
	if (!says_yes(err, value))
		return 0;
	ndm_printf(o->why, "rbd_cache is on in the cluster's settings for the %s, so writes would "
		   "be kept back: 'rbd config %s set %s%s%s rbd_cache false' turns it off", what,
		   what, o->spec.pool, *what == 'i' ? "/" : "", *what == 'i' ? o->spec.image : "");
	return -EINVAL;
}

/* FNV-1a, twice with different beginnings. */
static uint64_t text_hash(const char *text, uint64_t h)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return h | 1;
}

/* However it is spelt, and through whichever monitor: an image is the same one. */
static void identify(struct opening *o)
{
	struct rbd_store *st = o->st;
	char fsid[64] = "", id[128] = "", text[512];

	st->api->rados_cluster_fsid(st->cluster, fsid, sizeof fsid);
	st->api->rbd_get_id(st->image, id, sizeof id);
	snprintf(text, sizeof text, "%s/%lld/%s/%s@%s", fsid,
		 (long long)st->api->rados_ioctx_get_id(st->pool),
		 o->spec.space ? o->spec.space : "", id, o->spec.snap ? o->spec.snap : "");
	st->base.identity[0] = text_hash(text, 0xcbf29ce484222325u);
	st->base.identity[1] = text_hash(text, 0x6c62272e07bb0142u);
}

/* A thread of librbd's: the image's header has changed. */
static void image_updated(void *arg)
{
	struct rbd_store *st = arg;
	uint64_t bytes;

	atomic_fetch_add_explicit(&st->calling, 1, memory_order_relaxed);
	if (!st->api->rbd_get_size(st->image, &bytes)) {
		atomic_store(&st->bytes, bytes);
		if (!atomic_exchange(&st->update_posted, true))
			ndm_loop_post(st->base.loop, &st->update);
	}
	atomic_fetch_sub_explicit(&st->calling, 1, memory_order_release);
}

/* Tables in use keep their size; the next one that is loaded may be larger. */
static void update_arrived(struct ndm_msg *msg)
{
	struct rbd_store *st = ndm_container_of(msg, struct rbd_store, update);
	uint64_t nr;

	atomic_store(&st->update_posted, false);
	nr = atomic_load(&st->bytes) / NDM_SECTOR_BYTES;
	if (nr == st->base.nr)
		return;
	ndm_log(st->base.loop->world, NDM_LOG_INFO,
		"%s: its size was %llu sectors, and is %llu now",
		st->base.name ? st->base.name : "rbd", (unsigned long long)st->base.nr,
		(unsigned long long)nr);
	st->base.nr = nr;
}

static int look(struct opening *o)
{
	struct rbd_store *st = o->st;
	struct ndm_limits *l = &st->base.limits;
	struct rbd_info info = { 0 };
	int err = st->api->rbd_stat(st->image, &info, sizeof info);

	err = err ? err : st->api->rbd_get_features(st->image, &st->features);
	if (err)
		return image_why(o, err);
	err = cache_refuse(o);
	if (err)
		return err;
	identify(o);
	st->bytes = info.size;
	st->base.nr = info.size / NDM_SECTOR_BYTES;
	st->object_bytes = info.object_bytes;
	/* librbd 16 mislays block status of clones and of striped images (rbd-extents.c) */
	st->whole_data = !info.object_bytes || st->features & RBD_STRIPING ||
			 st->api->rbd_get_parent_info(st->image, NULL, 0, NULL, 0, NULL, 0) !=
				 -ENOENT;
	l->logical_block_bytes = l->physical_block_bytes = NDM_SECTOR_BYTES;
	l->io_opt_bytes = DISCARD_BYTES;	/* a client's block, and what it discards */
	l->max_discard_sectors = l->max_zeroes_sectors = SPACE_SECTORS;
	l->discard_granularity_bytes = DISCARD_BYTES;
	l->read_only = !(st->mode & NDM_OPEN_WRITE);
	l->fast_zeroes = true;
	l->extents = !st->whole_data;
	l->volatile_cache = true;		/* it has none; a FLUSH that asks costs nothing */
	if (st->mode & NDM_OPEN_WRITE)
		st->watched = !st->api->rbd_update_watch(st->image, &st->watch, image_updated, st);
	return 0;
}

static int opening_run(void *arg)
{
	struct opening *o = arg;
	struct rbd_store *st = o->st;
	int err = rbd_api_get(o->world, &st->api, o->why);

	if (err)
		return err;
	err = configure(o);
	if (!err) {
		err = st->api->rados_connect(st->cluster);
		if (err)
			connect_why(o, err);
	}
	err = err ? err : pool_open(o);
	err = err ? err : image_open(o);
	err = err ? err : look(o);
	if (err)
		close_run(st);
	else
		patience_set(st, st->osd_timeout, st->mon_timeout);
	return err;
}

/* ---- on the loop ---- */

static void store_free(struct rbd_store *st)
{
	struct rbd_req *r;

	while ((r = st->free_reqs)) {
		st->free_reqs = r->next;
		free(r->found);
		ndm_free(r);
	}
	ndm_free(st);
}

int rbd_open_store(struct ndm_loop *loop, const char *spec, unsigned mode,
		   struct ndm_store **store, struct ndm_str *why)
{
	struct opening o = { .world = os_world(loop->world), .why = why };
	int err = rbd_spec_parse(&o.spec, spec, why);

	if (!err && o.spec.snap && mode & NDM_OPEN_WRITE) {
		ndm_printf(why, "a snapshot may not be written");
		err = -EROFS;
	}
	if (!err) {
		o.st = ndm_zalloc(sizeof *o.st);
		err = o.st ? 0 : -ENOMEM;
	}
	if (!err) {
		o.st->base.loop = loop;
		o.st->mode = mode;
		o.st->update.fn = update_arrived;
		err = ndm_offload(loop, opening_run, &o);
		if (err && o.st)
			store_free(o.st);
	}
	ndm_free(o.spec.text);
	if (err)
		return err;
	if (mode & NDM_OPEN_WRITE && o.st->features & RBD_EXCLUSIVE_LOCK)
		ndm_log(loop->world, NDM_LOG_INFO,
			"%s has the feature exclusive-lock: one server at a time writes it", spec);
	*store = &o.st->base;
	return 0;
}

void rbd_close_store(struct ndm_store *s)
{
	struct rbd_store *st = (struct rbd_store *)s;
	int err;

	assert(!st->extents);
	err = ndm_offload(s->loop, close_run, st);
	if (err)
		ndm_log(s->loop->world, NDM_LOG_WARNING, "%s: closing failed: %s", s->name,
			strerror(-err));
	while (atomic_load(&st->update_posted))	/* it lies in the loop's mailbox */
		ndm_yield(s->loop);
	store_free(st);
}
