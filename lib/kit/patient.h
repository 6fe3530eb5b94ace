/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * patient.h - memory for I/O that must not fail because of a short want of it.
 *
 * Linux keeps reserves (mempools) for this, and who finds them empty sleeps until something
 * comes back.  Here the task sleeps and asks again, for five seconds in all; what then still
 * fails is answered as any other error.  In tasks only.
 */
#ifndef NDM_KIT_PATIENT_H
#define NDM_KIT_PATIENT_H

#include <ndm-target.h>

#define PATIENT_NS 100000000			/* between two tries */
#define PATIENT_TRIES 50

static inline void *patient_zalloc(struct ndm_loop *loop, size_t bytes)
{
	unsigned tries = 0;
	void *p;

	while (!(p = ndm_zalloc(bytes)) && tries++ < PATIENT_TRIES)
		ndm_sleep(loop, PATIENT_NS);
	return p;
}

/* to be given back with ndm_buffer_put() */
static inline void *patient_buffer(struct ndm_loop *loop, size_t bytes)
{
	unsigned tries = 0;
	void *p;

	while (!(p = ndm_buffer_get(loop, bytes)) && tries++ < PATIENT_TRIES)
		ndm_sleep(loop, PATIENT_NS);
	return p;
}

#endif
