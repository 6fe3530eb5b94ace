/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - the ndm core in a program of blocking threads.
 *
 * Requests: a thread builds its request on its own stack and takes its turn as the loop
 * (ndm_lead_call).  What the page cache has is done before it comes back; no other thread is
 * woken.  While nobody calls, one housekeeping thread keeps timers and workers going.
 *
 * Lifecycle: creating and removing devices may wait, so it runs in tasks of the loop.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define TABLE_DEVICE "ndm"			/* the name of the device that table= makes */

struct host {
	struct ndm_world *world;
	struct ndm_loop *loop;
	struct ndm_lead *lead;
	struct ndm_context *ctx;
	struct ndm_config *config;		/* yaml= */
	char *default_export;
	pthread_t housekeeper;
	bool keeping;
};

/* ---- running a function as a task, and waiting for it ---- */

struct job {
	struct ndm_call call;
	struct host *host;
	int (*fn)(struct host *, void *arg);
	void *arg;
	int result;
};

static void job_task(void *arg)
{
	struct job *job = arg;

	job->result = job->fn(job->host, job->arg);
	ndm_call_finish(job->host->lead, &job->call);
}

static void job_start(struct ndm_call *call)
{
	struct job *job = (struct job *)call;	/* call is its first member */

	ndm_spawn(job->host->loop, "plugin", job_task, job);
}

static int host_run(struct host *h, int (*fn)(struct host *, void *), void *arg)
{
	struct job job = { .call.start = job_start, .host = h, .fn = fn, .arg = arg };

	ndm_lead_call(h->lead, &job.call);
	return job.result;
}

/* ---- making the devices ---- */

#define LEAVING_TRIES 500			/* how often, and */
#define LEAVING_NS 10000000			/* after how long each, we look whether all have left */

struct making { const struct host_wish *wish; struct ndm_str *why; };

static int make_from_table(struct host *h, const char *text, struct ndm_str *why)
{
	struct ndm_table_line *lines = NULL;
	char *copy = ndm_strdup(text);
	struct ndm_device *dev;
	unsigned n;
	int err = copy ? ndm_table_parse(copy, &lines, &n, why) : -ENOMEM;

	if (!err)
		err = ndm_device_create(h->ctx, TABLE_DEVICE, NULL, -1, &dev);
	if (!err)
		err = ndm_device_load(dev, lines, n, false, why);
	if (!err)
		err = ndm_device_resume(dev, 0, why);
	free(lines);
	ndm_free(copy);
	return err;
}

/* nbdkit does not say who a client is: rather no volume than one that is open to everybody. */
static int check_allow(const struct ndm_config *config, const char *path, struct ndm_str *why)
{
	unsigned i;

	for (i = 0; i < config->nvolumes; i++)
		if (config->volumes[i].nallow) {
			ndm_printf(why, "%s: volume '%s' has 'allow', which only ndmd can heed", path,
				   config->volumes[i].name);
			return -EOPNOTSUPP;
		}
	return 0;
}

static int make_from_yaml(struct host *h, const char *path, struct ndm_str *why)
{
	struct ndm_str plan = { 0 };
	int err = ndm_config_read(path, &h->config, why);

	if (!err)
		err = check_allow(h->config, path, why);
	if (!err)
		err = ndm_config_apply(h->ctx, h->config, &plan, why);
	ndm_str_free(&plan);
	return err;
}

static int make(struct host *h, void *arg)
{
	struct making *m = arg;
	int err = 0;

	if (m->wish->table)
		err = make_from_table(h, m->wish->table, m->why);
	if (!err && m->wish->yaml)
		err = make_from_yaml(h, m->wish->yaml, m->why);
	if (err && !m->why->len)
		ndm_printf(m->why, "%s", strerror(-err));
	return err;
}

/* Tables hold each other open: removes what nobody holds until there is nothing more of it. */
static void remove_free_ones(struct host *h)
{
	struct ndm_device *dev, *next;
	bool progress = true;

	while (progress) {
		progress = false;
		for (dev = ndm_device_first(h->ctx); dev; dev = next) {
			next = ndm_device_next(dev);
			if (!ndm_device_remove(dev, false, NULL)) {
				progress = true;
				break;		/* the list may have changed while it waited */
			}
		}
	}
}

/* nbdkit waits for its connections, but not for ever: one may still be on its way out. */
static int unmake(struct host *h, void *arg)
{
	unsigned tries = 0;

	(void)arg;
	remove_free_ones(h);
	while (ndm_device_first(h->ctx) && tries++ < LEAVING_TRIES) {
		ndm_sleep(h->loop, LEAVING_NS);
		remove_free_ones(h);
	}
	return ndm_device_first(h->ctx) ? -EBUSY : 0;
}

static void *housekeeper(void *arg)
{
	ndm_lead_housekeeping(((struct host *)arg)->lead);
	return NULL;
}

static int host_start(struct host *h, const struct host_wish *wish, struct ndm_str *why)
{
	struct making m = { .wish = wish, .why = why };
	int err;

	err = pthread_create(&h->housekeeper, NULL, housekeeper, h);
	if (err) {
		ndm_printf(why, "no thread could be had: %s", strerror(err));
		return -err;
	}
	h->keeping = true;
	return host_run(h, make, &m);
}

static const char *only_export(struct host *h)
{
	const char *name = NULL;
	unsigned i;

	for (i = 0; h->config && i < h->config->nvolumes; i++) {
		const struct ndm_volume *v = &h->config->volumes[i];

		if (v->no_export)
			continue;
		if (name)
			return NULL;
		name = v->export_name ? v->export_name : v->name;
	}
	return name;
}

static int default_export(struct host *h, const struct host_wish *wish, struct ndm_str *why)
{
	const char *name = wish->export_name;

	if (name && !host_export(h, name)) {
		ndm_printf(why, "export=%s: there is no such volume", name);
		return -ENOENT;
	}
	if (!name && wish->table)
		name = TABLE_DEVICE;
	if (!name)
		name = only_export(h);
	h->default_export = name ? ndm_strdup(name) : NULL;
	return 0;
}

struct host *host_new(const struct host_wish *wish, struct ndm_str *why)
{
	struct host *h = ndm_zalloc(sizeof *h);
	int err = -ENOMEM;

	if (!h)
		goto fail;
	h->world = ndm_world_os();
	if (!h->world)
		goto fail;
	ndm_world_os_direct_io(h->world, wish->direct_io);
	h->loop = ndm_loop_new(h->world);
	if (!h->loop)
		goto fail;
	h->lead = ndm_lead_new(h->loop);
	h->ctx = h->lead ? ndm_context_new(&h->loop, 1) : NULL;
	if (!h->ctx)
		goto fail;
	err = host_start(h, wish, why);
	if (!err)
		err = default_export(h, wish, why);
	if (!err)
		return h;
fail:
	if (!why->len)
		ndm_printf(why, "%s", strerror(-err));
	host_free(h);
	return NULL;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	if (h->keeping) {
		if (host_run(h, unmake, NULL)) {
			fprintf(stderr, "nbdkit: ndm: a connection is still open at the end\n");
			return;			/* it uses all this; the process ends */
		}
		ndm_lead_stop(h->lead);
		pthread_join(h->housekeeper, NULL);
	}
	ndm_config_free(h->config);
	ndm_context_free(h->ctx);
	ndm_lead_free(h->lead);
	ndm_loop_free(h->loop);
	ndm_world_os_free(h->world);
	ndm_free(h->default_export);
	ndm_free(h);
}

/* ---- exports: fixed after host_new ---- */

static const struct ndm_volume *volume_find(struct host *h, const char *name)
{
	unsigned i;

	for (i = 0; h->config && i < h->config->nvolumes; i++) {
		const struct ndm_volume *v = &h->config->volumes[i];

		if (!v->no_export && !strcmp(v->export_name ? v->export_name : v->name, name))
			return v;
	}
	return NULL;
}

static bool table_export(struct host *h, const char *name)
{
	return !strcmp(name, TABLE_DEVICE) && ndm_device_by_name(h->ctx, TABLE_DEVICE) &&
	       !volume_find(h, name);
}

const char *host_export(struct host *h, const char *name)
{
	if (!*name)
		return h->default_export;
	return volume_find(h, name) || table_export(h, name) ? name : NULL;
}

void host_each(struct host *h, void (*fn)(void *, const char *, const char *), void *arg)
{
	unsigned i;

	if (table_export(h, TABLE_DEVICE))
		fn(arg, TABLE_DEVICE, NULL);
	for (i = 0; h->config && i < h->config->nvolumes; i++) {
		const struct ndm_volume *v = &h->config->volumes[i];

		if (!v->no_export)
			fn(arg, v->export_name ? v->export_name : v->name, v->description);
	}
}

const char *host_description(struct host *h, const char *name)
{
	const struct ndm_volume *v = volume_find(h, name);

	return v ? v->description : NULL;
}

/* ---- clients ---- */

struct opening {
	const char *device, *who;
	unsigned mode;
	struct ndm_opener *opener;
};

static int open_task(struct host *h, void *arg)
{
	struct opening *o = arg;
	struct ndm_device *dev = ndm_device_by_name(h->ctx, o->device);

	return dev ? ndm_open(dev, o->mode, o->who, &o->opener) : -ENXIO;
}

struct ndm_opener *host_open(struct host *h, const char *name, bool readonly, const char *who,
			     int *err)
{
	const struct ndm_volume *v = volume_find(h, name);
	struct opening o = { .device = v ? v->name : name, .who = who,
			     .mode = NDM_OPEN_READ | (readonly ? 0 : NDM_OPEN_WRITE) };

	*err = host_run(h, open_task, &o);
	return o.opener;
}

static int close_task(struct host *h, void *arg)
{
	(void)h;
	ndm_close(arg);
	return 0;
}

void host_close(struct host *h, struct ndm_opener *opener)
{
	host_run(h, close_task, opener);
}

/* ---- I/O ---- */

struct request {
	struct ndm_call call;
	struct ndm_io io;
	struct host *host;
	struct ndm_opener *opener;
};

static void request_done(struct ndm_io *io)
{
	struct request *r = (struct request *)((char *)io - offsetof(struct request, io));

	ndm_call_finish(r->host->lead, &r->call);
}

static void request_start(struct ndm_call *call)
{
	struct request *r = (struct request *)call;

	ndm_io_submit(r->opener, &r->io);
}

int host_io(struct host *h, struct ndm_opener *opener, enum ndm_op op, unsigned flags, void *buf,
	    uint64_t offset, uint64_t bytes, struct ndm_extents *extents)
{
	struct iovec iov = { .iov_base = buf, .iov_len = bytes };
	struct request r;

	r.call = (struct ndm_call){ .start = request_start };
	r.host = h;
	r.opener = opener;
	r.io.op = op;
	r.io.flags = flags;
	r.io.offset = offset;
	r.io.bytes = bytes;
	r.io.data = (struct ndm_data){ .iov = &iov, .iovcnt = buf ? 1 : 0 };
	r.io.extents = extents;
	r.io.loan = NULL;
	r.io.source = NULL;
	r.io.share = NULL;
	r.io.done = request_done;
	r.io.error = 0;
	ndm_lead_call(h->lead, &r.call);
	return r.io.error;
}
