/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbd.h - what the parts of the "rbd" store share: the calls of librados and librbd, which are
 * loaded at first use and never linked (rbd-load.c), opening and closing (rbd-open.c), requests
 * (rbd.c) and block status (rbd-extents.c).
 */
#ifndef NDM_OS_RBD_H
#define NDM_OS_RBD_H

#include <sys/types.h>

#include "os.h"

typedef void *rbd_cluster;		/* rados_t */
typedef void *rbd_pool;			/* rados_ioctx_t */
typedef void *rbd_image;		/* rbd_image_t */
typedef void *rbd_completion;		/* rbd_completion_t */
typedef void (*rbd_done_fn)(rbd_completion, void *arg);
typedef void (*rbd_update_fn)(void *arg);
typedef int (*rbd_diff_fn)(uint64_t offset, size_t bytes, int exists, void *arg);

struct rbd_info {			/* rbd_image_info_t */
	uint64_t size, object_bytes, objects;
	int order;
	char prefix[24];
	int64_t parent_pool;
	char parent_name[96];
};

enum { RBD_EXCLUSIVE_LOCK = 1 << 2, RBD_STRIPING = 1 << 1, RBD_FAST_DIFF = 1 << 4 };
enum { RBD_FAST_DIFF_INVALID = 1 << 1 };	/* of rbd_get_flags() */
enum { RBD_ZEROES_THICK = 1 };		/* of rbd_aio_write_zeroes() */

/* library, type of the result, name, arguments: all that is called, with its C prototype */
#define RBD_CALLS(X)                                                                             \
	X(RADOS, int, rados_create, (rbd_cluster *, const char *id))                             \
	X(RADOS, int, rados_conf_read_file, (rbd_cluster, const char *path))                     \
	X(RADOS, int, rados_conf_parse_argv, (rbd_cluster, int argc, const char **argv))         \
	X(RADOS, int, rados_conf_set, (rbd_cluster, const char *option, const char *value))      \
	X(RADOS, int, rados_conf_get, (rbd_cluster, const char *option, char *, size_t))         \
	X(RADOS, int, rados_connect, (rbd_cluster))                                              \
	X(RADOS, int, rados_cluster_fsid, (rbd_cluster, char *, size_t))                         \
	X(RADOS, void, rados_shutdown, (rbd_cluster))                                            \
	X(RADOS, int, rados_ioctx_create, (rbd_cluster, const char *pool, rbd_pool *))           \
	X(RADOS, void, rados_ioctx_destroy, (rbd_pool))                                          \
	X(RADOS, void, rados_ioctx_set_namespace, (rbd_pool, const char *))                      \
	X(RADOS, int64_t, rados_ioctx_get_id, (rbd_pool))                                        \
	X(RBD, int, rbd_pool_metadata_get, (rbd_pool, const char *key, char *, size_t *))        \
	X(RBD, int, rbd_open, (rbd_pool, const char *name, rbd_image *, const char *snap))       \
	X(RBD, int, rbd_open_read_only, (rbd_pool, const char *, rbd_image *, const char *))     \
	X(RBD, int, rbd_snap_set, (rbd_image, const char *snap))                                 \
	X(RBD, int, rbd_close, (rbd_image))                                                      \
	X(RBD, int, rbd_stat, (rbd_image, struct rbd_info *, size_t))                            \
	X(RBD, int, rbd_get_size, (rbd_image, uint64_t *))                                       \
	X(RBD, int, rbd_get_id, (rbd_image, char *, size_t))                                     \
	X(RBD, int, rbd_get_features, (rbd_image, uint64_t *))                                   \
	X(RBD, int, rbd_get_flags, (rbd_image, uint64_t *))                                      \
	X(RBD, int, rbd_get_parent_info,                                                         \
	  (rbd_image, char *pool, size_t, char *name, size_t, char *snap, size_t))               \
	X(RBD, int, rbd_metadata_get, (rbd_image, const char *key, char *, size_t *))            \
	X(RBD, int, rbd_update_watch, (rbd_image, uint64_t *handle, rbd_update_fn, void *))      \
	X(RBD, int, rbd_update_unwatch, (rbd_image, uint64_t handle))                            \
	X(RBD, int, rbd_diff_iterate2,                                                           \
	  (rbd_image, const char *from, uint64_t, uint64_t, uint8_t parent, uint8_t whole_object, \
	   rbd_diff_fn, void *))                                                                 \
	X(RBD, int, rbd_aio_create_completion, (void *arg, rbd_done_fn, rbd_completion *))       \
	X(RBD, ssize_t, rbd_aio_get_return_value, (rbd_completion))                              \
	X(RBD, void, rbd_aio_release, (rbd_completion))                                          \
	X(RBD, int, rbd_aio_readv,                                                               \
	  (rbd_image, const struct iovec *, int, uint64_t offset, rbd_completion))               \
	X(RBD, int, rbd_aio_writev,                                                              \
	  (rbd_image, const struct iovec *, int, uint64_t offset, rbd_completion))               \
	X(RBD, int, rbd_aio_discard, (rbd_image, uint64_t offset, uint64_t, rbd_completion))     \
	X(RBD, int, rbd_aio_write_zeroes,                                                        \
	  (rbd_image, uint64_t offset, size_t, rbd_completion, int flags, int op_flags))         \
	X(RBD, int, rbd_aio_flush, (rbd_image, rbd_completion))

struct rbd_api {
#define X(library, type, name, args) type (*name) args;
	RBD_CALLS(X)
#undef X
};

#define RBD_IOV 16				/* pieces of memory that go down as they are */

struct rbd_extent { uint64_t offset, bytes; };

struct rbd_req {				/* one call: a bio, or a part of one */
	struct ndm_msg msg;			/* brings the end back to the loop */
	struct rbd_req *next;
	struct rbd_store *store;
	struct ndm_bio *bio;
	uint64_t offset, bytes;
	int64_t result;
	void *bounce;				/* memory in more pieces than RBD_IOV */
	struct iovec iov[RBD_IOV];
	struct rbd_extent *found;		/* block status: what holds data, ascending */
	size_t nfound, found_cap;
};

struct rbd_spec {				/* the text, taken apart */
	char *text;				/* the words below are in it */
	const char *pool, *space, *image, *snap;
	const char *conf, *id;
	unsigned noptions;
	struct { const char *name, *value; } options[32];
	unsigned connect_s;			/* patience with a silent cluster, seconds */
};

struct rbd_store {
	struct ndm_store base;
	const struct rbd_api *api;
	unsigned mode;
	rbd_cluster cluster;
	rbd_pool pool;
	rbd_image image;
	char osd_timeout[32], mon_timeout[32];	/* the administrator's, for requests */
	char patience[32];			/* ours, for opening and closing */
	uint64_t object_bytes, features;
	bool whole_data;			/* block status cannot be told (clones, striping) */
	atomic_uint calling;			/* librbd's threads that still look at this */

	bool watched;				/* the image tells of its changes */
	uint64_t watch;
	_Atomic uint64_t bytes;			/* as it told last */
	atomic_bool update_posted;
	struct ndm_msg update;

	bool cut_off;				/* blocklisted: said once */
	struct rbd_req *free_reqs;
	struct rbd_req *extents, *extents_last;	/* waiting for their turn; the first is at it */
	pthread_t thread;			/* of the first one, if one could be had */
	bool threaded;
};

/* ---- rbd-load.c ---- */

/* Any thread.  The world's table of calls; -ENOPKG where the libraries are not installed. */
int rbd_api_get(struct os_world *, const struct rbd_api **, struct ndm_str *why);

/* ---- rbd-open.c ---- */

int rbd_open_store(struct ndm_loop *, const char *spec, unsigned mode, struct ndm_store **,
		   struct ndm_str *why) ndm_waits;
void rbd_close_store(struct ndm_store *) ndm_waits;
int rbd_spec_parse(struct rbd_spec *, const char *spec, struct ndm_str *why);

/* ---- rbd-extents.c: one question at a time, on a thread of its own ---- */

void rbd_extents_start(struct rbd_req *);

/* ---- rbd.c ---- */

void rbd_req_finish(struct rbd_req *, int error);

#endif
