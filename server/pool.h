/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - memory of one thread: data buffers, receive areas, requests.
 *
 * Buffers exist only while a request lives.  What is given back is handed out first (it is
 * still in the cache), and what lies unused is given back to the system after a while.
 */
#ifndef NDM_SERVER_POOL_H
#define NDM_SERVER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ndm.h>

#define POOL_MIN_BYTES 4096u
#define POOL_CLASSES 15				/* 4 KiB << class: up to 64 MiB */
#define AREA_BYTES (256u << 10)

struct request;

struct area {					/* what a receive fills; shared by requests */
	struct ndm_share share;			/* first; and by those that keep what was written */
	struct pool *pool;
	size_t filled;				/* bytes that belong to somebody */
	struct area *next;			/* free ones */
	uint8_t *data;				/* AREA_BYTES */
};

struct pool {
	struct pool_buffer { struct pool_buffer *next; } *free[POOL_CLASSES];
	unsigned nfree[POOL_CLASSES];
	unsigned least_free[POOL_CLASSES];	/* since the last trim: these were not needed */
	size_t cached;				/* bytes in free[] */
	size_t used;				/* bytes handed out */
	struct request *requests;		/* free ones */
	unsigned nrequests;
	struct area *areas;			/* free ones */
	unsigned nareas, least_areas;		/* of them; since the last trim */
	struct area *area;			/* the next receive goes here */
	struct area *around;			/* free ones without data */
};

void pool_init(struct pool *);
void pool_fini(struct pool *);			/* nothing may be handed out any more */
/* 4 KiB-aligned, NULL when there is no memory; bytes is at most 64 MiB */
void *pool_get(struct pool *, size_t bytes);
void pool_put(struct pool *, void *, size_t bytes);
/* gives back what has not been needed since the last call; true when something is left */
bool pool_trim(struct pool *);

/*
 * The area for the next receive, with AREA_ROOM bytes or more free behind `filled`; NULL when
 * there is no memory.  Writes that wait for slow stores keep their areas: that is why one is
 * filled up before the next is begun.
 */
#define AREA_ROOM (96u << 10)
struct area *pool_area(struct pool *);
struct area *pool_area_whole(struct pool *);	/* likewise, with AREA_BYTES free */
/* One around a buffer, which becomes the area's; NULL: no memory, and it stays the caller's. */
struct area *pool_area_around(struct pool *, void *buffer, size_t bytes);

static inline void area_get(struct area *a)
{
	a->share.refs++;
}

static inline void area_put(struct area *a)
{
	ndm_share_put(&a->share);
}

/* not zeroed */
struct request *pool_request_get(struct pool *);
void pool_request_put(struct pool *, struct request *);

#endif
