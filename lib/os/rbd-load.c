/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd-load.c - librados and librbd, loaded when the first "rbd" store is opened.
 *
 * They bring some thirty libraries along, and most who use ndm have no Ceph: so they are neither
 * needed to build nor to start.  They are never unloaded; they leave threads and per-thread data.
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "rbd.h"

enum { RADOS, RBD, LIBRARIES };

static const char *const library_names[LIBRARIES] = { "librados.so.2", "librbd.so.1" };

static const struct { const char *name; size_t at; unsigned library; } calls[] = {
#define X(library, type, name, args) { #name, offsetof(struct rbd_api, name), library },
	RBD_CALLS(X)
#undef X
};

static int api_load(struct rbd_api *api, struct ndm_str *why)
{
	void *libraries[LIBRARIES], *call;
	unsigned i;

	for (i = 0; i < LIBRARIES; i++) {
		libraries[i] = dlopen(library_names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
		if (!libraries[i]) {
			ndm_printf(why, "Ceph's librbd cannot be loaded (%s); it is in Debian's "
				   "package librbd1", dlerror());
			return -ENOPKG;
		}
	}
	for (i = 0; i < sizeof calls / sizeof *calls; i++) {
		call = dlsym(libraries[calls[i].library], calls[i].name);
		if (!call) {
			ndm_printf(why, "this %s is too old: it has no %s",
				   library_names[calls[i].library], calls[i].name);
			return -ENOPKG;
		}
		memcpy((char *)api + calls[i].at, &call, sizeof call);
	}
	return 0;
}

int rbd_api_get(struct os_world *w, const struct rbd_api **out, struct ndm_str *why)
{
	struct rbd_api *api;
	int err = 0;

	pthread_mutex_lock(&w->rbd_lock);
	if (!w->rbd) {
		api = ndm_zalloc(sizeof *api);
		err = api ? api_load(api, why) : -ENOMEM;
		if (err)			/* it may be installed until the next try */
			ndm_free(api);
		else
			w->rbd = api;
	}
	*out = w->rbd;
	pthread_mutex_unlock(&w->rbd_lock);
	return err;
}
