/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h - one thread: an event base, and in it one loop of the core, and connections.
 *
 * A turn: the events that are ready run (they parse requests and submit them), then the loop
 * runs what that made ready, then all replies of the turn leave, one system call for each
 * connection.
 */
#ifndef NDM_SERVER_WORKER_H
#define NDM_SERVER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <ndm.h>

#include "image.h"
#include "pool.h"

struct conn;
struct ndmd;

struct worker_counters {		/* read by other threads: metrics */
	_Atomic uint64_t requests, replies_failed, bytes_in, bytes_out, turns;
	_Atomic uint64_t tls, ktls;	/* handshakes done; those that the kernel encrypts */
};

struct worker {
	struct ndmd *ndmd;
	unsigned index;
	struct ndm_loop *loop;
	struct event_base *base;
	struct event *loop_event, *trim_event, *idle_event;
	unsigned idle_tick;		/* a quarter of the time after which idle clients go */
	bool loop_ready;		/* the loop's fd has been seen readable */
	pthread_t thread;
	bool started;
	bool stop;			/* this thread only */
	bool draining;
	bool trimming;			/* the trim timer is set */
	struct ndm_msg drain_msg, kill_msg, stop_msg;	/* of the process */
	struct pool pool;
	size_t bytes, bytes_max;	/* of data in flight, of all connections */
	struct conn *conns, *dirty, *finished;
	struct conn *arrived;		/* their device is open; after the loop has run */
	struct conn *again, *again_last;	/* may be over their limit no more */
	bool starving;			/* somebody is held back by bytes_max */
	struct {			/* look.c */
		bool seen;		/* something has happened since */
		struct conn *last;	/* heard last, or NULL */
		unsigned skip, misses, turns;
		uint64_t requests, bytes;	/* counted when the last turn began */
	} look;
	unsigned below;			/* requests that stores have */
	uint64_t ended;			/* requests that they had */
	struct {			/* nap.c */
		uint64_t ended, ns;	/* when it was last thought of */
	} nap;
	struct worker_counters count;
	/* takeover */
	bool parked;			/* nothing is read: see parcel.c */
	unsigned park_generation, quiet_generation;
	atomic_bool quiet_posted;
	struct ndm_msg park_msg, quiet_msg, pack_msg, unpark_msg;
	struct image parcel;
};

int worker_init(struct worker *, struct ndmd *, unsigned index);
void worker_fini(struct worker *);
int worker_start(struct worker *);	/* a thread of its own */
void worker_turn(struct worker *);	/* waits for something to do, and does it */
void worker_run(struct worker *);	/* until stop */
void worker_dirty(struct conn *);
void worker_again(struct conn *);
void worker_finished(struct conn *);
void worker_arrived(struct conn *);
struct worker *worker_of(struct ndmd *, const struct ndm_loop *);

#define COUNT(worker, what, n) \
	atomic_store_explicit(&(worker)->count.what, \
		atomic_load_explicit(&(worker)->count.what, memory_order_relaxed) + (n), \
		memory_order_relaxed)

#endif
