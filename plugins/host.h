/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - mapped devices inside a host whose threads block: one loop, led in turn.
 *
 * All functions may be called from any thread of nbdkit; each waits until its work is done.
 * Texts of errors are the caller's to free with ndm_str_free().
 */
#ifndef NDM_PLUGIN_HOST_H
#define NDM_PLUGIN_HOST_H

#include <ndm.h>

struct host;

/* what the user asked for on nbdkit's command line */
struct host_wish {
	const char *table;		/* lines of a table, or NULL */
	const char *yaml;		/* an absolute path, or NULL */
	const char *export_name;	/* the default export, or NULL */
	bool direct_io;
};

/* Builds every device; NULL and a reason when one of them refuses. */
struct host *host_new(const struct host_wish *, struct ndm_str *why);
void host_free(struct host *);

/* the name behind an export name: itself, or the default for ""; NULL when there is none */
const char *host_export(struct host *, const char *name);
/* calls fn for each export, in order of name */
void host_each(struct host *, void (*fn)(void *arg, const char *name, const char *description),
	       void *arg);
const char *host_description(struct host *, const char *name);

struct ndm_opener *host_open(struct host *, const char *name, bool readonly, const char *who,
			     int *err);
void host_close(struct host *, struct ndm_opener *);

/* one request; 0 or -errno */
int host_io(struct host *, struct ndm_opener *, enum ndm_op, unsigned flags, void *buf,
	    uint64_t offset, uint64_t bytes, struct ndm_extents *);

#endif
