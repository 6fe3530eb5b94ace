/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * look.h - looking around before sleeping.  All of it on the worker's own thread.
 */
#ifndef NDM_SERVER_LOOK_H
#define NDM_SERVER_LOOK_H

#include <stdbool.h>

struct conn;
struct worker;

void look_heard(struct conn *);		/* its socket has something */
void look_forget(struct conn *);	/* it leaves the worker */

/*
 * Between ndm_loop_begin() and ndm_loop_end(), when there is nothing to do: carries out what
 * comes within a few us.  False: it is not worth it, sleep.
 */
bool look_around(struct worker *);

#endif
