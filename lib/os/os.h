/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os.h - what the files of lib/os share: the world's and a loop's private parts, watched file
 * descriptors, and the engine that carries out file I/O which may block.
 *
 * Nothing here is locked unless it says so: a loop's part belongs to whoever runs the loop.
 */
#ifndef NDM_OS_H
#define NDM_OS_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include <ndm.h>

#include "../core.h"

struct os_loop;

/* ---- watched file descriptors (world.c); embedded in whatever owns the fd ---- */

struct os_watch {
	void (*fn)(struct os_watch *, uint32_t events);	/* EPOLL* bits; on the loop */
	int fd;
	uint32_t events;
};

int os_watch_add(struct ndm_loop *, struct os_watch *);		/* fn, fd and events are set */
void os_watch_change(struct ndm_loop *, struct os_watch *, uint32_t events);
/* fn will not be called any more, not even for what the current poll has already seen */
void os_watch_remove(struct ndm_loop *, struct os_watch *);

/* ---- what is done once at the end of a turn (world.c); embedded in whose it is ---- */

struct os_batch {
	void (*fn)(struct os_batch *);
	struct os_batch *next;
	bool waits;
};

void os_batch_add(struct ndm_loop *, struct os_batch *);	/* again while it waits: nothing */
void os_batch_remove(struct ndm_loop *, struct os_batch *);

/* ---- workers (workers.c) ---- */

struct os_workers {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct ndm_work *head, *tail;
	pthread_t threads[16];
	unsigned nthreads, idle, queued, max;
	bool stop;
};

void workers_init(struct os_workers *);
void workers_fini(struct os_workers *);		/* nothing may be queued */
void workers_offload(struct ndm_world *, struct ndm_work *);
/* certificates.c */
int certificates_read(const char *what, void *, size_t);

/* keyring.c */
int keyring_read(struct ndm_world *, const char *type, const char *description, void *, size_t);
/* runs done() of what has come back; true when there was any */
bool workers_collect(struct os_loop *);

/* ---- the world ---- */

struct os_mem;
struct rbd_api;

struct os_world {
	struct ndm_world base;
	_Atomic uint64_t dice;			/* state of splitmix64: one add per throw */
	_Atomic uint64_t serial;		/* identities of things without a name */
	bool direct_io;
	struct os_workers workers;
	pthread_mutex_t mems_lock;
	struct os_mem *mems;			/* scratch memory that has a name (mem.c) */
	pthread_mutex_t rbd_lock;
	struct rbd_api *rbd;			/* Ceph's libraries, once loaded (rbd-load.c) */
};

static inline struct os_world *os_world(struct ndm_world *w)
{
	return (struct os_world *)w;
}

uint64_t clock_now(struct ndm_world *);
uint64_t dice_random(struct ndm_world *);
void dice_bytes(struct ndm_world *, void *, size_t);
void dice_seed(struct os_world *);

/* ---- a loop's part ---- */

#define OS_EVENTS 64				/* taken from epoll at once */

struct os_ring;
struct os_req;

struct os_loop {
	struct ndm_loop *loop;
	int epoll_fd;
	unsigned watches;			/* others' fds: no shortcut past epoll_wait */
	struct os_batch *batches;
	struct epoll_event events[OS_EVENTS];	/* of the poll under way */
	int nevents;

	struct os_watch kick;			/* an eventfd */
	atomic_bool kicked;			/* it is readable, or will be in a moment */
	struct os_watch timer;			/* a timerfd */
	uint64_t deadline_ns, armed_ns;		/* what is wanted; what the timerfd knows */

	_Atomic(struct ndm_work *) done;	/* a stack of finished work */
	unsigned working;			/* handed to workers, not yet back */
	atomic_uint kicking;			/* workers that still hold a pointer to this */

	struct os_ring *ring;			/* made at first use; NULL without io_uring */
	bool ring_tried;
	struct os_req *free_reqs;
};

static inline struct os_loop *os_loop(struct ndm_loop *l)
{
	return l->os;
}

/* ---- the engine: one blocking file operation, by io_uring or by a worker (engine.c) ---- */

enum os_op { OS_READ, OS_WRITE, OS_FDATASYNC };

#define OS_REQ_IOV 16

struct os_req {
	struct os_req *next;			/* freelist; queue of the file */
	void (*fn)(struct os_req *);		/* on the loop; result says how it went */
	struct ndm_loop *loop;
	int fd;
	enum os_op op;
	int rwf;				/* RWF_* */
	int result;				/* bytes, or -errno */
	unsigned iovcnt;
	struct iovec iov[OS_REQ_IOV];
	uint64_t offset;			/* bytes */
	struct ndm_work work;

	/* the file store's */
	void *file;
	struct ndm_bio *bio;
	size_t done_bytes, total_bytes;
	void *bounce;
	size_t bounce_bytes;
};

struct os_req *os_req_get(struct ndm_loop *);	/* NULL when there is no memory */
void os_req_put(struct os_req *);
void os_req_start(struct os_req *);
void os_reqs_free(struct os_loop *);

/* ---- io_uring (uring.c; without liburing all of it says no) ---- */

bool ring_start(struct os_loop *, struct os_req *);	/* false: not here, use a worker */
void ring_submit(struct os_loop *);			/* what was started goes to the kernel */
bool ring_reap(struct os_loop *);			/* true when something had ended */
unsigned ring_in_flight(const struct os_loop *);
void ring_free(struct os_loop *);
void os_req_offload(struct os_req *);			/* past the ring */

/* ---- stores ---- */

extern const struct ndm_store_ops file_store_ops, mem_store_ops, nbd_store_ops, rbd_store_ops;

/* "SIZE" with k, M, G, T (powers of 1024) or s (sectors); bytes by default */
int os_parse_size(const char *text, size_t len, uint64_t *bytes);

/* struct ndm_link_ops of whatever store it is; files and memory are always up */
bool os_store_up(const struct ndm_store *);
void os_store_watch(struct ndm_store *, struct ndm_link_watch *);
void os_store_unwatch(struct ndm_store *, struct ndm_link_watch *);

#endif
