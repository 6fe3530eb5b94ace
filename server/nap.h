/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nap.h - sleeping before looking.  All of it on the worker's own thread.
 */
#ifndef NDM_SERVER_NAP_H
#define NDM_SERVER_NAP_H

#include <stdint.h>

struct worker;

void nap_begin(void);				/* of a thread that will take naps */
uint64_t nap_worth(struct worker *);		/* once a turn: how long, in ns; 0: not at all */
void nap_take(uint64_t ns);

#endif
