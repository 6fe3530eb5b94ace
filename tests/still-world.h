/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * still-world.h - what a world without an outside does: nothing comes in, there is nothing to
 * wait for, and work is done at once.  For tests that run a loop by hand (ndm_loop_run) and
 * have their own clock; dice, where they may be as still as the rest.
 */
#ifndef NDM_TESTS_STILL_WORLD_H
#define NDM_TESTS_STILL_WORLD_H

#include <string.h>

#include <ndm.h>

static inline int still_loop_init(struct ndm_world *w, struct ndm_loop *loop)
{
	(void)w;
	(void)loop;
	return 0;
}

static inline void still_loop_fini(struct ndm_world *w, struct ndm_loop *loop)
{
	(void)w;
	(void)loop;
}

static inline int still_loop_fd(struct ndm_loop *loop)
{
	(void)loop;
	return -1;
}

static inline uint64_t still_random(struct ndm_world *w)
{
	(void)w;
	return 4;
}

static inline void still_random_bytes(struct ndm_world *w, void *p, size_t n)
{
	(void)w;
	memset(p, 4, n);
}

static inline void still_kick(struct ndm_loop *loop)
{
	(void)loop;				/* who runs the loop looks by itself */
}

static inline void still_poll(struct ndm_loop *loop, uint64_t timeout_ns)
{
	(void)loop;
	(void)timeout_ns;
}

static inline void still_offload(struct ndm_world *w, struct ndm_work *work)
{
	(void)w;
	work->result = work->fn(work->arg);
	work->done(work);
}

#endif
