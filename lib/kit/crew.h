/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crew.h - a target's own tasks, counted: whoever suspends it waits until all have gone.
 *
 * A task says crew_leave() when it has done its work, and touches nothing of the target's after
 * that.  Nothing is allocated here.
 */
#ifndef NDM_KIT_CREW_H
#define NDM_KIT_CREW_H

#include <ndm-target.h>

struct crew {
	unsigned n;
	struct ndm_waitq left;			/* somebody has */
};

static inline void crew_init(struct crew *c, struct ndm_loop *loop)
{
	c->n = 0;
	ndm_waitq_init(&c->left, loop);
}

static inline void crew_send(struct crew *c, const char *name, void (*fn)(void *), void *arg)
{
	c->n++;
	ndm_spawn(c->left.loop, name, fn, arg);
}

static inline void crew_leave(struct crew *c)
{
	c->n--;
	ndm_wake_all(&c->left);
}

static inline void crew_wait(struct crew *c)
{
	while (c->n)
		ndm_wait(&c->left);
}

#endif
